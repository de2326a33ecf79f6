//! An issuer's public keys, as its JSON Web Key Set tells them (RFC 7517, RFC 7518 §6): RSA of at least 2048 bits for RS256, and P-256
//! for ES256.
//!
//! A set has keys for other uses as well, and of kinds to come: what can't be used here is left out, and is no error.

use crate::budget::{self, Excess};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

/// The shortest RSA key that is believed, in bits.
const MIN_RSA_BITS: usize = 2048;
/// The bytes of a coordinate of P-256.
const P256_BYTES: usize = 32;

/// How a token is signed. There is no third way: not by a shared secret, and not without a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// Reads the name that headers and keys have (RFC 7518 §3.1).
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    id: String,
    bytes: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
}

/// Why a document is no set of keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is something else.
    #[error("it is no set of keys (RFC 7517)")]
    Format(#[source] serde_json::Error),
    /// It has too many of them.
    #[error(transparent)]
    Excess(#[from] Excess),
}

/// A key as a set has it. Private parts, certificates and whatever else is there are not read.
#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

/// Reads a set of keys.
pub fn parse(document: &[u8]) -> Result<Vec<Key>, Error> {
    let Document { keys } = serde_json::from_slice(document).map_err(Error::Format)?;
    if keys.len() as u64 > budget::ISSUER_KEYS.limit {
        return Err(Excess(budget::ISSUER_KEYS).into());
    }
    Ok(keys.into_iter().filter_map(|key| usable(serde_json::from_value(key).ok()?)).collect())
}

/// Takes a key that says nothing against its use here.
fn usable(entry: Entry) -> Option<Key> {
    let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
    let is_for_signatures = entry.usage.is_none_or(|usage| usage == "sig")
        && entry.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    let (algorithm, material) = match entry.kty.as_str() {
        "RSA" => {
            let (n, e) = (without_zeros(bytes(entry.n)?), without_zeros(bytes(entry.e)?));
            (bits(&n) >= MIN_RSA_BITS).then_some((Algorithm::Rs256, Material::Rsa { n, e }))?
        }
        "EC" if entry.crv.as_deref() == Some("P-256") => {
            let (x, y) = (bytes(entry.x)?, bytes(entry.y)?);
            let is_point = x.len() == P256_BYTES && y.len() == P256_BYTES;
            is_point.then(|| (Algorithm::Es256, Material::P256([&[4], x.as_slice(), &y].concat())))?
        }
        _ => return None,
    };
    let is_of_its_kind = entry.alg.is_none_or(|name| Algorithm::parse(&name) == Some(algorithm));
    (is_for_signatures && is_of_its_kind).then_some(Key { id: entry.kid?, bytes: material })
}

/// Returns a number as it is reckoned with; some issuers write zeros before it.
fn without_zeros(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

impl Key {
    /// Returns its name in the set.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the one algorithm that it is for.
    pub fn algorithm(&self) -> Algorithm {
        match self.bytes {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
        }
    }

    /// Tells whether this is the key's signature of a text.
    pub(super) fn has_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        match &self.bytes {
            Material::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, text, signature).is_ok()
            }
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(text, signature).is_ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rsa(bytes: usize) -> Value {
        json!({"kty": "RSA", "kid": "a", "n": URL_SAFE_NO_PAD.encode(vec![0xc3; bytes]), "e": "AQAB"})
    }

    fn with(mut key: Value, name: &str, value: impl Into<Value>) -> Value {
        key[name] = value.into();
        key
    }

    fn usable(key: &Value) -> Option<Key> {
        parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap().pop()
    }

    #[test]
    fn a_key_is_taken_for_what_it_is_and_says() {
        let coordinate = URL_SAFE_NO_PAD.encode([7; 32]);
        let p256 = json!({"kty": "EC", "crv": "P-256", "kid": "b", "x": coordinate, "y": coordinate});
        assert_eq!(usable(&rsa(256)).unwrap().algorithm(), Algorithm::Rs256);
        let padded = URL_SAFE_NO_PAD.encode([vec![0], vec![0xc3; 256]].concat());
        assert_eq!(usable(&with(rsa(256), "n", padded)), usable(&rsa(256)));
        assert_eq!((usable(&p256).unwrap().algorithm(), usable(&p256).unwrap().id()), (Algorithm::Es256, "b"));
        for good in
            [with(rsa(256), "use", "sig"), with(rsa(256), "alg", "RS256"), with(rsa(256), "key_ops", json!(["verify"]))]
        {
            assert!(usable(&good).is_some(), "{good}");
        }
        let short = [vec![0], vec![0xc3; 255]].concat();
        for bad in [
            rsa(255),
            with(rsa(256), "n", URL_SAFE_NO_PAD.encode(short)),
            with(rsa(256), "n", "+/=="),
            with(rsa(256), "use", "enc"),
            with(rsa(256), "key_ops", json!(["sign"])),
            with(rsa(256), "alg", "ES256"),
            with(rsa(256), "alg", "PS256"),
            with(rsa(256), "kid", Value::Null),
            with(rsa(256), "kty", "oct"),
            with(p256.clone(), "crv", "P-384"),
            with(p256.clone(), "x", URL_SAFE_NO_PAD.encode([7; 31])),
            json!({"kty": "oct", "kid": "c", "k": "AAAA"}),
            json!("key"),
        ] {
            assert_eq!(usable(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_document_that_is_no_set_is_an_error_and_a_huge_one_names_its_budget() {
        for text in ["", "[]", "{}", "{\"keys\": {}}"] {
            assert!(matches!(parse(text.as_bytes()), Err(Error::Format(_))), "{text}");
        }
        let many = json!({"keys": vec![rsa(1); 101]}).to_string();
        assert!(parse(many.as_bytes()).unwrap_err().to_string().contains("issuer-keys"));
    }
}
