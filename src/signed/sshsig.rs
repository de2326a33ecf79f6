//! OpenSSH's format of signatures of files (`PROTOCOL.sshsig`), Ed25519 only.

use super::signers::{self, Reader};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::Digest as _;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
/// A signature is some 300 bytes; a key with a certificate is more, and isn't taken.
const MAX_BYTES: usize = 16 * 1024;

/// Why a signature is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It can't be read.
    #[error("it is not a signature as `ssh-keygen -Y sign` makes them")]
    Format,
    /// It is of a kind that isn't checked here.
    #[error("it is of the kind {0:?}, and only ssh-ed25519 is checked")]
    Kind(String),
    /// It says something of something else.
    #[error("it was made for {0:?}, not for wcas-revision")]
    Namespace(String),
    /// It is of other bytes, or by another key.
    #[error("it is not the signature of this text by the key that it names")]
    Wrong,
}

/// A signature, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key that it names: 32 bytes.
    pub key: signers::Key,
    namespace: String,
    reserved: Vec<u8>,
    hash: String,
    bytes: Vec<u8>,
}

impl Signature {
    /// Reads an armoured signature.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let body = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(Error::Format)?;
        let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let bytes = Some(body).filter(|body| body.len() <= MAX_BYTES).and_then(|body| STANDARD.decode(body).ok());
        let bytes = bytes.ok_or(Error::Format)?;
        let mut reader = Reader(bytes.strip_prefix(MAGIC).ok_or(Error::Format)?);
        if reader.number() != Some(1) {
            return Err(Error::Format);
        }
        let key = reader.string().ok_or(Error::Format)?;
        let mut text = || Some(String::from_utf8_lossy(reader.string()?).into_owned());
        let namespace = text().ok_or(Error::Format)?;
        let reserved = reader.string().ok_or(Error::Format)?.to_vec();
        let hash = reader.string().map(|hash| String::from_utf8_lossy(hash).into_owned()).ok_or(Error::Format)?;
        let mut signature = Reader(reader.string().ok_or(Error::Format)?);
        let kind = signature.string().ok_or(Error::Format)?;
        if kind != signers::ED25519.as_bytes() {
            return Err(Error::Kind(String::from_utf8_lossy(kind).into_owned()));
        }
        let bytes = signature.string().ok_or(Error::Format)?.to_vec();
        let key = signers::Key::from_wire(key).ok_or(Error::Format)?;
        if !signature.0.is_empty() || !reader.0.is_empty() {
            return Err(Error::Format);
        }
        Ok(Self { key, namespace, reserved, hash, bytes })
    }

    /// Checks that this is the signature of a text, in a namespace, by the key that it names. Whether that key may sign is another
    /// question: [`signers::Signers::find`].
    pub fn verify(&self, namespace: &str, text: &[u8]) -> Result<(), Error> {
        if self.namespace != namespace {
            return Err(Error::Namespace(self.namespace.clone()));
        }
        let digest = match self.hash.as_str() {
            "sha512" => sha2::Sha512::digest(text).to_vec(),
            "sha256" => sha2::Sha256::digest(text).to_vec(),
            other => return Err(Error::Kind(other.to_owned())),
        };
        let mut signed = MAGIC.to_vec();
        for part in [namespace.as_bytes(), &self.reserved, self.hash.as_bytes(), &digest] {
            signed.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            signed.extend(part);
        }
        let key = UnparsedPublicKey::new(&ED25519, self.key.as_bytes());
        key.verify(&signed, &self.bytes).map_err(|_| Error::Wrong)
    }
}
