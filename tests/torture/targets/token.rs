//! Tokens of a CI and the keys of their issuers: what is signed is what was said, and nothing else passes.

use super::saw;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use std::sync::OnceLock;
use wcas::signed::jwk::{self, Key};
use wcas::signed::jwt::{LEEWAY_SECONDS, Unverified};

pub(super) const WORDS: &[&str] = &[
    "{\"alg\":\"ES256\",\"kid\":\"own\"}",
    "\"alg\":\"none\"",
    "\"RS256\"",
    "\"typ\":\"JWT\"",
    "\"crit\":[]",
    "\"kid\"",
    "\n",
    ".",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"iss\":\"https://ci.example\"",
    "\"aud\":\"wcas\"",
    "\"aud\":[\"wcas\",\"b\"]",
    "\"exp\":1800000600",
    "\"iat\":1800000000",
    "\"nbf\":0",
    "1e999",
    "-1",
    "null",
    "0.5",
    "9007199254740993",
    "\"keys\":[",
    "\"kty\":\"EC\"",
    "\"crv\":\"P-256\"",
    "\"x\":\"\"",
    "\"y\":\"\"",
    "\"kty\":\"RSA\"",
    "\"n\":\"\"",
    "\"e\":\"AQAB\"",
    "\"use\":\"sig\"",
    "\"key_ops\":[\"verify\"]",
    "\\u0000",
    "é",
    "=",
    "-",
    "_",
];

/// A moment, in seconds since 1970.
const NOW: i64 = 1_800_000_000;

struct Issuer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    key: Key,
}

impl Issuer {
    fn of_all() -> &'static Self {
        static ISSUER: OnceLock<Issuer> = OnceLock::new();
        ISSUER.get_or_init(|| {
            let random = SystemRandom::new();
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let secret = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, secret.as_ref(), &random).expect("a key");
            let point = pair.public_key().as_ref();
            let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
            let set = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"own","x":"{x}","y":"{y}"}}]}}"#);
            let key = jwk::parse(set.as_bytes()).expect("a set of keys").remove(0);
            Self { pair, random, key }
        })
    }

    fn sign(&self, text: &str) -> String {
        let signature = self.pair.sign(&self.random, text.as_bytes()).expect("it can sign");
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

pub(super) fn check(input: &[u8]) {
    check_keys(input);
    if let Ok(text) = std::str::from_utf8(input) {
        // As it is, nobody signed it.
        match Unverified::parse(text.trim()) {
            Ok(token) => assert!(token.verify(&Issuer::of_all().key).is_err(), "{text:?} is signed by nobody"),
            Err(error) => saw(error),
        }
    }
    // The first line as header, the rest as claims, and signed.
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (header, claims) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    check_signed(header, claims);
}

fn check_keys(input: &[u8]) {
    let keys = match jwk::parse(input) {
        Ok(keys) => keys,
        Err(error) => return saw(error),
    };
    let issuer = Issuer::of_all();
    let signed = issuer.sign(&unsigned(br#"{"alg":"ES256","kid":"own"}"#, b"{}"));
    saw(format!("{} keys", keys.len()));
    for key in keys {
        saw(format!("{:?}", key.algorithm()));
        let token = Unverified::parse(&signed).expect("a good token");
        let is_it = token.verify(&key).is_ok();
        assert!(!is_it || key == issuer.key, "another's key takes a token: {key:?}");
    }
}

fn unsigned(header: &[u8], claims: &[u8]) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn check_signed(header: &[u8], claims: &[u8]) {
    let issuer = Issuer::of_all();
    let text = issuer.sign(&unsigned(header, claims));
    let token = match Unverified::parse(&text) {
        Ok(token) => token,
        Err(error) => return saw(error),
    };
    let is_own = token.key_id() == issuer.key.id() && token.algorithm() == issuer.key.algorithm();
    let verified = match token.verify(&issuer.key) {
        Ok(verified) => verified,
        Err(error) => {
            assert!(!is_own, "signed, and yet {error}");
            return saw(error);
        }
    };
    let told: serde_json::Value = serde_json::from_slice(claims).expect("claims are JSON");
    assert_eq!(told.as_object(), Some(verified.all()), "the claims are those that were signed");
    saw(format!("{:?}", verified.is_for("wcas")));
    for name in verified.all().keys() {
        saw(format!("{}", verified.text(name).is_some()));
    }
    // A token is good for one stretch of time.
    let times = [0, NOW - 3600, NOW, NOW + 3600, i64::MAX];
    let answers = times.map(|now| verified.check_time(now));
    for (now, answer) in times.iter().zip(&answers) {
        match answer {
            Ok(end) => assert!(end.saturating_add(LEEWAY_SECONDS) > *now, "good at {now}, and ended at {end}"),
            Err(error) => saw(error),
        }
    }
    let is_good: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    let changes = is_good.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes <= 2 && !(changes == 2 && is_good[0]), "good, not good, and good again: {answers:?}");
    // One letter more or less and it isn't.
    let place = header.len() % text.rfind('.').unwrap_or(1).max(1);
    let mut other = text.clone().into_bytes();
    other[place] = if other[place] == b'A' { b'B' } else { b'A' };
    let other = String::from_utf8(other).expect("ASCII");
    let passes = Unverified::parse(&other).is_ok_and(|token| token.verify(&issuer.key).is_ok());
    assert!(!passes || other == text, "changed at {place} it is still good");
}
