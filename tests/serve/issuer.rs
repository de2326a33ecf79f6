//! An issuer of a CI's tokens, as OpenID Connect has it, that tests own: its keys, what it says of itself, and what it signs.

use crate::support::{Reply, Server};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const CONFIGURATION: &str = "/.well-known/openid-configuration";
pub(crate) const KEYS: &str = "/keys";
/// Whom its tokens are for.
pub(crate) const AUDIENCE: &str = "wcas";

const RSA: [&[u8]; 2] = [include_bytes!("../support/oidc/rsa-1.pk8"), include_bytes!("../support/oidc/rsa-2.pk8")];

/// The issuer; it ends when it is dropped.
pub(crate) struct Issuer {
    pub(crate) server: Server,
    random: SystemRandom,
    ec: EcdsaKeyPair,
    rsa: [RsaKeyPair; 2],
}

/// Returns the time, in seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Returns values with others in their place, or, where those are null, without them.
pub(crate) fn with(mut values: Value, others: Value) -> Value {
    for (name, value) in others.as_object().unwrap() {
        if value.is_null() {
            values.as_object_mut().unwrap().remove(name);
        } else {
            values[name] = value.clone();
        }
    }
    values
}

pub(crate) fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

impl Issuer {
    pub(crate) fn start() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let rsa = RSA.map(|pkcs8| RsaKeyPair::from_pkcs8(pkcs8).unwrap());
        let issuer = Self { server: Server::start(), random, ec, rsa };
        issuer.server.route(CONFIGURATION, Reply::json(issuer.configuration().to_string()));
        issuer.publish(&["ec", "rsa-1"]);
        issuer
    }

    pub(crate) fn url(&self) -> String {
        self.server.url("")
    }

    /// Returns what it says of itself.
    pub(crate) fn configuration(&self) -> Value {
        json!({"issuer": self.url(), "jwks_uri": self.server.url(KEYS), "id_token_signing_alg_values_supported": ["RS256"]})
    }

    /// Returns a public key as a set has it.
    pub(crate) fn key(&self, name: &str) -> Value {
        let coded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        if name == "ec" {
            let point = self.ec.public_key().as_ref();
            let (x, y) = (coded(&point[1..33]), coded(&point[33..]));
            return json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "ec", "x": x, "y": y});
        }
        let parts: RsaPublicKeyComponents<Vec<u8>> = self.rsa(name).public().into();
        let (n, e) = (coded(&parts.n), coded(&parts.e));
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": name, "n": n, "e": e})
    }

    fn rsa(&self, name: &str) -> &RsaKeyPair {
        &self.rsa[usize::from(name == "rsa-2")]
    }

    /// Says which keys it has from now on.
    pub(crate) fn publish(&self, names: &[&str]) {
        let keys: Vec<Value> = names.iter().map(|name| self.key(name)).collect();
        self.server.route(KEYS, Reply::json(json!({ "keys": keys }).to_string()));
    }

    /// Returns how often it was asked for its keys.
    pub(crate) fn asked(&self) -> usize {
        self.server.paths().iter().filter(|path| *path == KEYS).count()
    }

    /// Returns the claims of a job of acme/tools, as GitHub has them; each call those of another token.
    pub(crate) fn claims(&self) -> Value {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        json!({
            "iss": self.url(), "aud": AUDIENCE, "sub": "repo:acme/tools:ref:refs/heads/main", "jti": format!("n-{number}"),
            "repository": "acme/tools", "repository_owner": "acme", "repository_owner_id": "42", "ref": "refs/heads/main",
            "job_workflow_ref": "acme/tools/.github/workflows/release.yml@refs/heads/main", "run_attempt": 1,
            "iat": now(), "nbf": now() - 5, "exp": now() + 300,
        })
    }

    /// Signs by one of its keys.
    pub(crate) fn sign(&self, key: &str, text: &str) -> Vec<u8> {
        if key == "ec" {
            return self.ec.sign(&self.random, text.as_bytes()).unwrap().as_ref().to_vec();
        }
        let key = self.rsa(key);
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &self.random, text.as_bytes(), &mut signature).unwrap();
        signature
    }

    /// Makes a token with a header of its own.
    pub(crate) fn token_with(&self, key: &str, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.sign(key, &signed)))
    }

    /// Makes a token.
    pub(crate) fn token(&self, key: &str, claims: &Value) -> String {
        let algorithm = if key == "ec" { "ES256" } else { "RS256" };
        self.token_with(key, &json!({"alg": algorithm, "kid": key, "typ": "JWT"}), claims)
    }

    /// Makes a token that is signed by a shared secret: the public key, as everybody has it.
    pub(crate) fn confused(&self, secret: &[u8], kid: &str) -> String {
        let signed = format!("{}.{}", encoded(&json!({"alg": "HS256", "kid": kid})), encoded(&self.claims()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }
}
