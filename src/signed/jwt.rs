//! Tokens of a CI: JSON Web Tokens (RFC 7519) with one signature (RFC 7515, compact), as OpenID Connect issues them.
//!
//! Until its signature was checked a token chooses nothing: [`Unverified`] tells what is needed to find the key, and gives no claims.
//! The best practices of RFC 8725 hold: the algorithm is the key's, none is not one, what a header says must be understood is not.

use super::jwk::{Algorithm, Key};
use crate::digest::Sha256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// How far the clocks of an issuer and of a server may be apart, in seconds.
pub const LEEWAY_SECONDS: i64 = 60;

/// Why a text is no token that can be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It can't be read.
    #[error("it is no signed JSON Web Token (RFC 7519)")]
    Format,
    /// It is signed in a way that isn't believed, or not at all.
    #[error("its algorithm is not RS256 or ES256")]
    Algorithm,
    /// Its header has no name of a key.
    #[error("its header does not name its key (kid)")]
    NoKey,
    /// Its header is of another kind of token, or wants more than is done here.
    #[error("its header is not that of an ID token")]
    Header,
    /// It is of other bytes, or by another key.
    #[error("its signature is not its issuer's")]
    Signature,
    /// A claim that each such token has isn't there, or isn't of its kind.
    #[error("its claim {0} is missing, or no {1}")]
    Claim(&'static str, &'static str),
    /// It isn't good now.
    #[error("{0}")]
    Time(&'static str),
}

/// A token whose signature nobody checked yet.
#[derive(Debug)]
pub struct Unverified<'a> {
    algorithm: Algorithm,
    key_id: String,
    claims: Map<String, Value>,
    /// What the signature is of: header and claims as they came.
    signed: &'a str,
    signature: Vec<u8>,
}

/// What an issuer says of who holds its token.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    all: Map<String, Value>,
    digest: Sha256,
}

impl<'a> Unverified<'a> {
    /// Reads a token.
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Error::Format)?;
        let (header, claims) = signed.split_once('.').ok_or(Error::Format)?;
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::Format);
        let object = |text: &str| match serde_json::from_slice(&bytes(text)?) {
            Ok(Value::Object(object)) => Ok(object),
            _ => Err(Error::Format),
        };
        let (header, claims) = (object(header)?, object(claims)?);
        let algorithm = header.get("alg").and_then(Value::as_str).ok_or(Error::Format)?;
        let algorithm = Algorithm::parse(algorithm).ok_or(Error::Algorithm)?;
        // An access token is no proof of who somebody is (RFC 9068), and what must be understood (`crit`) is not.
        let is_id_token =
            header.get("typ").is_none_or(|typ| typ.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("JWT")));
        if !is_id_token || header.contains_key("crit") {
            return Err(Error::Header);
        }
        let key_id = header.get("kid").and_then(Value::as_str).ok_or(Error::NoKey)?.to_owned();
        Ok(Self { algorithm, key_id, claims, signed, signature: bytes(signature)? })
    }

    /// Returns who is said to have issued it.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// Returns the name of the key that is said to have signed it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns how it is said to be signed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Checks the signature, and gives the claims. The key must be one of the issuer that the token names.
    pub fn verify(self, key: &Key) -> Result<Claims, Error> {
        let is_its_key = key.id() == self.key_id && key.algorithm() == self.algorithm;
        if !is_its_key || !key.has_signed(self.signed.as_bytes(), &self.signature) {
            return Err(Error::Signature);
        }
        // Of what was signed: a signature can be written in more than one way.
        Ok(Claims { all: self.claims, digest: Sha256::of(self.signed.as_bytes()) })
    }
}

impl Claims {
    /// Returns all claims, by name.
    pub fn all(&self) -> &Map<String, Value> {
        &self.all
    }

    /// Returns a claim that can be compared: a text, or a number or truth value as JSON writes it.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.all.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Returns the digest of header and claims as they came.
    pub fn digest(&self) -> &Sha256 {
        &self.digest
    }

    /// Tells whether the token is for this audience, and for no other: who else it is for could bring it here.
    pub fn is_for(&self, audience: &str) -> bool {
        match self.all.get("aud") {
            Some(Value::String(only)) => only == audience,
            Some(Value::Array(all)) => matches!(all.as_slice(), [Value::String(only)] if only == audience),
            _ => false,
        }
    }

    /// Checks that it is good at a time, with [`LEEWAY_SECONDS`] for the clocks, and returns when it ends, in seconds since 1970.
    pub fn check_time(&self, now: i64) -> Result<i64, Error> {
        // Issuers may write fractions of a second (RFC 7519 §2, NumericDate).
        let moment = |name| match self.all.get(name) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(seconds) if (0.0..1e12).contains(&seconds) => Ok(Some(seconds as i64)),
                _ => Err(Error::Claim(name, "time")),
            },
        };
        let end = moment("exp")?.ok_or(Error::Claim("exp", "time"))?;
        let issued = moment("iat")?.ok_or(Error::Claim("iat", "time"))?;
        if end.saturating_add(LEEWAY_SECONDS) <= now {
            return Err(Error::Time("it has expired (exp)"));
        }
        if issued.saturating_sub(LEEWAY_SECONDS) > now {
            return Err(Error::Time("it was issued in the future (iat): compare the clocks"));
        }
        if moment("nbf")?.is_some_and(|begin| begin.saturating_sub(LEEWAY_SECONDS) > now) {
            return Err(Error::Time("it is not good yet (nbf)"));
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(header: &str, claims: &str) -> String {
        let coded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.AAAA", coded(header), coded(claims))
    }

    #[test]
    fn a_header_says_what_is_done_here_or_the_token_is_none() {
        let parse = |header: &str| Unverified::parse(&token(header, "{\"iss\":\"i\"}")).map(|token| token.key_id);
        assert_eq!(parse("{\"alg\":\"RS256\",\"kid\":\"a\",\"typ\":\"jwt\"}"), Ok("a".to_owned()));
        for (header, error) in [
            ("{\"alg\":\"none\",\"kid\":\"a\"}", Error::Algorithm),
            ("{\"alg\":\"HS256\",\"kid\":\"a\"}", Error::Algorithm),
            ("{\"alg\":[\"RS256\"],\"kid\":\"a\"}", Error::Format),
            ("{\"kid\":\"a\"}", Error::Format),
            ("{\"alg\":\"RS256\"}", Error::NoKey),
            ("{\"alg\":\"RS256\",\"kid\":7}", Error::NoKey),
            ("{\"alg\":\"RS256\",\"kid\":\"a\",\"crit\":[]}", Error::Header),
            ("{\"alg\":\"RS256\",\"kid\":\"a\",\"typ\":\"at+jwt\"}", Error::Header),
            ("{\"alg\":\"RS256\",\"kid\":\"a\",\"typ\":7}", Error::Header),
            ("[]", Error::Format),
        ] {
            assert_eq!(parse(header), Err(error), "{header}");
        }
    }

    fn claims(text: &str) -> Claims {
        let Ok(Value::Object(all)) = serde_json::from_str(text) else { panic!("{text}") };
        Claims { all, digest: Sha256::of(text.as_bytes()) }
    }

    #[test]
    fn a_token_is_good_for_its_time_and_a_minute_around_it() {
        let claims = claims("{\"iat\": 1000.5, \"nbf\": 1000, \"exp\": 2000}");
        for (now, is_good) in [(939, false), (940, true), (1500, true), (2059, true), (2060, false)] {
            assert_eq!(claims.check_time(now).ok(), Some(2000).filter(|_| is_good), "{now}");
        }
    }

    #[test]
    fn values_are_compared_as_texts_and_lists_are_none() {
        let claims = claims("{\"a\": \"x\", \"b\": 7, \"c\": true, \"d\": [\"x\"], \"e\": null, \"f\": {}}");
        let texts = ["a", "b", "c", "d", "e", "f", "g"].map(|name| claims.text(name).unwrap_or_default());
        assert_eq!(texts, ["x", "7", "true", "", "", "", ""]);
    }

    proptest! {
        #[test]
        fn no_text_confuses(text in "[A-Za-z0-9_.=-]{0,120}", header in "\\PC{0,60}", claims in "\\PC{0,60}") {
            let _ = Unverified::parse(&text);
            prop_assert!(Unverified::parse(&token(&header, &claims)).is_err() || header.contains("alg"));
        }
    }
}
