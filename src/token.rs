//! Tokens for the server: what one allows, and the secret that stands for it.

use crate::digest::Blake3;
use std::fmt;
use std::str::FromStr;

/// What a token allows; each scope includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Pages and files.
    Read,
    /// Uploads.
    Upload,
    /// Replacing what is there, and acting on pages.
    Admin,
}

/// A word that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope: expected read, upload or admin")]
pub struct ScopeError(pub String);

impl Scope {
    /// Returns the word that people and rows use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Upload => "upload",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let all = [Self::Read, Self::Upload, Self::Admin];
        all.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| ScopeError(text.to_owned()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a secret begins with, so that people and scanners of leaked secrets know it, and credentials for others are told from it.
const PREFIX: &str = "wcas_";
/// Its random part, in bytes: nobody guesses that, so that a fast digest of it is safe to keep.
const BYTES: usize = 32;

/// A token's secret. It is shown once; only its digest is kept, and the text of neither is ever printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Makes a secret of random bytes.
    pub fn of(random: [u8; BYTES]) -> Self {
        Self(format!("{PREFIX}{}", Blake3::from_bytes(random)))
    }

    /// Takes what a client sends, if it looks like a secret.
    pub fn parse(text: &str) -> Option<Self> {
        let is_lower_hex = |rest: &str| rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let rest = text.strip_prefix(PREFIX)?;
        (rest.len() == 2 * BYTES && is_lower_hex(rest)).then(|| Self(text.to_owned()))
    }

    /// Returns the text, to be shown to whoever it is made for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns its digest.
    pub fn digest(&self) -> Blake3 {
        Blake3::from_bytes(*blake3::hash(self.0.as_bytes()).as_bytes())
    }

    /// Tells whether it has this digest, in a time that doesn't tell how much of it is alike.
    pub fn has_digest(&self, digest: &Blake3) -> bool {
        // The equality of `blake3::Hash` is that of the crate constant_time_eq.
        let [mine, theirs] = [self.digest(), *digest].map(|digest| blake3::Hash::from_bytes(*digest.as_bytes()));
        mine == theirs
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_scopes_and_each_includes_those_before_it() {
        let scopes = ["read", "upload", "admin"].map(|word| word.parse::<Scope>().unwrap());
        assert!(scopes.is_sorted());
        assert_eq!("Read".parse::<Scope>(), Err(ScopeError("Read".to_owned())));
    }

    #[test]
    fn a_secret_is_known_by_its_form_and_never_shows_itself() {
        let secret = Secret::of([0xab; BYTES]);
        assert_eq!(Secret::parse(secret.reveal()), Some(secret.clone()));
        assert_eq!(secret.reveal().len(), 69);
        assert!(secret.has_digest(&secret.digest()) && !secret.has_digest(&Secret::of([0xac; BYTES]).digest()));
        assert!(!format!("{secret:?}").contains("ab"));
        let upper = secret.reveal().to_uppercase();
        for other in ["", "wcas_", "password", &secret.reveal()[..68], &format!("{}0", secret.reveal()), &upper] {
            assert_eq!(Secret::parse(other), None, "{other}");
        }
    }
}
