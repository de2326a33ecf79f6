//! Digests that a page gives beside SHA-256, or in its place: those that Python's hashlib always has.
//!
//! All are checked when the bytes come. Only SHA-384 and SHA-512 vouch for bytes as SHA-256 does: MD5 and SHA-1 can be forged, and of
//! the others installers make no use.

use blake2::{Blake2b512, Blake2s256};
use sha2::digest::DynDigest;
use std::fmt::{self, Write as _};
use std::io::{self, Read};

/// How much is hashed at a time.
const BUFFER_BYTES: usize = 64 * 1024;

macro_rules! algorithms {
    ($($name:ident $text:literal $label:literal $bytes:literal $hasher:ty;)+) => {
        /// A hash algorithm.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Algorithm { $(#[doc = $label] $name),+ }

        impl Algorithm {
            /// Returns the algorithm of a name as hashlib has it, in any case; `None`: none that is checked.
            fn parse(text: &str) -> Option<Self> {
                let is = |name: &str| text.eq_ignore_ascii_case(name);
                $(if is($text) { return Some(Self::$name); })+
                None
            }

            /// Returns its name for people.
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }

            fn len(self) -> usize {
                match self { $(Self::$name => $bytes),+ }
            }

            fn hasher(self) -> Box<dyn DynDigest> {
                match self { $(Self::$name => Box::new(<$hasher>::default())),+ }
            }
        }
    };
}

algorithms! {
    Md5 "md5" "MD5" 16 md5::Md5;
    Sha1 "sha1" "SHA-1" 20 sha1::Sha1;
    Sha224 "sha224" "SHA-224" 28 sha2::Sha224;
    Sha384 "sha384" "SHA-384" 48 sha2::Sha384;
    Sha512 "sha512" "SHA-512" 64 sha2::Sha512;
    Sha3_224 "sha3_224" "SHA3-224" 28 sha3::Sha3_224;
    Sha3_256 "sha3_256" "SHA3-256" 32 sha3::Sha3_256;
    Sha3_384 "sha3_384" "SHA3-384" 48 sha3::Sha3_384;
    Sha3_512 "sha3_512" "SHA3-512" 64 sha3::Sha3_512;
    Blake2b "blake2b" "BLAKE2b" 64 Blake2b512;
    Blake2s "blake2s" "BLAKE2s" 32 Blake2s256;
}

/// A digest that bytes must have.
#[derive(Clone, PartialEq, Eq)]
pub struct OtherDigest {
    algorithm: Algorithm,
    bytes: Box<[u8]>,
}

impl OtherDigest {
    /// Reads a digest. `None`: nothing checks such an algorithm; an error: its digits can't be read.
    pub(super) fn parse(algorithm: &str, hex: &str) -> Option<Result<Self, ()>> {
        let algorithm = Algorithm::parse(algorithm)?;
        let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
        let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?);
        let bytes: Option<Box<[u8]>> = hex.trim().as_bytes().chunks(2).map(pair).collect();
        Some(bytes.filter(|bytes| bytes.len() == algorithm.len()).map(|bytes| Self { algorithm, bytes }).ok_or(()))
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Tells whether it vouches for bytes as SHA-256 does.
    pub fn vouches(&self) -> bool {
        matches!(self.algorithm, Algorithm::Sha384 | Algorithm::Sha512)
    }

    /// Returns the digest of other bytes by the same algorithm.
    pub fn of(&self, bytes: &mut dyn Read) -> io::Result<Self> {
        let mut hasher = self.algorithm.hasher();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match bytes.read(&mut buffer) {
                Ok(0) => return Ok(Self { algorithm: self.algorithm, bytes: hasher.finalize() }),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl fmt::Display for OtherDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for OtherDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm.label())?;
        f.write_char(' ')?;
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_hashlib() {
        // hashlib.new(NAME, b"abc").hexdigest()
        let known = [
            ("md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("SHA224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
            ("sha3_224", "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
            ("sha3_256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
            ("blake2s", "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"),
            (
                "sha512",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ];
        for (name, hex) in known {
            let digest = OtherDigest::parse(name, hex).unwrap().unwrap();
            assert_eq!(digest.of(&mut &b"abc"[..]).unwrap(), digest, "{name}");
            assert_ne!(digest.of(&mut &b"abd"[..]).unwrap(), digest, "{name}");
            assert_eq!(digest.to_string(), hex);
            assert_eq!(digest.vouches(), name == "sha512");
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_digest_and_what_nobody_checks_is_none() {
        for hex in ["", "ab", "zz", "900150983cd24fb0d6963f7d28e17f7", "900150983cd24fb0d6963f7d28e17f72aa"] {
            assert_eq!(OtherDigest::parse("md5", hex), Some(Err(())), "{hex}");
        }
        assert_eq!(OtherDigest::parse("shake_128", "aa"), None);
        assert_eq!(OtherDigest::parse("blake2b_256", "aa"), None);
    }
}
