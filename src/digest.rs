//! Digests: the BLAKE3 digest that names a blob and the SHA-256 digest that indexes and lock files carry.
//!
//! Both are 32 bytes and print as 64 lowercase hexadecimal digits. No disk here: [`Hasher`] takes bytes from its caller.

use sha2::Digest as _;
use std::fmt;
use std::str::FromStr;

/// A text that is not a digest: 64 hexadecimal digits are needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a digest: 64 hexadecimal digits are needed")]
pub struct DigestError(pub String);

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Wraps the 32 bytes of a digest.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Returns the 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0u8; 64];
                f.pad(hex(&self.0, &mut text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                unhex(text).map(Self).ok_or_else(|| DigestError(text.to_owned()))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest! {
    /// The BLAKE3-256 digest of a blob's bytes: the blob's name.
    Blake3
}
digest! {
    /// The SHA-256 digest of a blob's bytes, as indexes and lock files carry it.
    Sha256
}

/// Writes `bytes` as lowercase hexadecimal digits into `text` and returns them.
fn hex<'a>(bytes: &[u8; 32], text: &'a mut [u8; 64]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(text).expect("hexadecimal digits are ASCII")
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte");
    }
    Some(bytes)
}

/// Both digests of the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digests {
    /// The blob's name.
    pub blake3: Blake3,
    /// What indexes carry.
    pub sha256: Sha256,
}

impl Digests {
    /// Takes both digests of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }
}

impl Sha256 {
    /// Takes the SHA-256 digest of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

/// Takes both digests in one pass.
#[derive(Default, Clone)]
pub struct Hasher {
    blake3: blake3::Hasher,
    sha256: sha2::Sha256,
}

impl Hasher {
    /// Adds bytes, one digest after the other: while they are still in the processor's cache.
    pub fn update(&mut self, bytes: &[u8]) {
        self.blake3.update(bytes);
        self.sha256.update(bytes);
    }

    /// Adds bytes with the two digests side by side; worth it for a large file when other processors are idle.
    pub fn update_parallel(&mut self, bytes: &[u8]) {
        rayon::join(|| self.sha256.update(bytes), || self.blake3.update_rayon(bytes));
    }

    /// Returns the digests of all bytes added.
    pub fn finish(self) -> Digests {
        Digests { blake3: Blake3(self.blake3.finalize().into()), sha256: Sha256(self.sha256.finalize().into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_nothing_are_the_published_ones() {
        let digests = Digests::of(b"");
        assert_eq!(digests.blake3.to_string(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        assert_eq!(digests.sha256.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn a_digest_reads_back_from_its_text_in_either_case() {
        let digest = Digests::of(b"wheel").blake3;
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.to_string().to_uppercase().parse(), Ok(digest));
        for bad in ["", "ab", &"g".repeat(64), &"0".repeat(63), &"é".repeat(32)] {
            assert!(bad.parse::<Blake3>().is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_added_in_parallel_or_in_parts_give_the_same_digests() {
        let bytes: Vec<u8> = (0..1_000_003u32).map(|n| (n.wrapping_mul(n) >> 3) as u8).collect();
        let (mut parts, mut parallel) = (Hasher::default(), Hasher::default());
        bytes.chunks(7919).for_each(|part| parts.update(part));
        bytes.chunks(300_000).for_each(|part| parallel.update_parallel(part));
        assert_eq!(parts.finish(), Digests::of(&bytes));
        assert_eq!(parallel.finish(), Digests::of(&bytes));
    }
}
