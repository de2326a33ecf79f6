//! Files that uploaders put into the bucket by themselves: each lies there until a server has read it, checked it, and made it a blob.
//!
//! An object is named after the token that asked for its address, and the digest that was announced: nobody takes what another put.

use super::objects::Objects;
use super::{INCOMING, Result, Share};
use crate::digest::Sha256;
use crate::fs;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// What S3 takes by one request (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html>).
const MAX_PUT_BYTES: u64 = 5 << 30;
/// After this time nobody comes back for what was put.
#[cfg(feature = "shared")]
pub(super) const UNCLAIMED: Duration = Duration::from_secs(86_400);
/// What the bucket compares the bytes with.
const CHECKSUM: &str = "x-amz-checksum-sha256";

/// A file that somebody is going to put, or has put.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// Whose token asked for its address.
    pub token: i64,
    /// What was announced of its bytes.
    pub sha256: &'a Sha256,
}

/// How a file is put: this request, with these headers, holds for these bytes alone.
#[derive(Debug, Clone)]
pub struct SignedPut {
    /// The address.
    pub url: String,
    /// Headers that must be sent as they are.
    pub headers: [(&'static str, String); 1],
}

impl Incoming<'_> {
    fn key(&self) -> String {
        format!("{INCOMING}/{}-{}", self.token, self.sha256)
    }
}

impl Share {
    /// Tells whether files can be put into it by who has an address, and nothing but these files.
    pub fn takes_puts(&self) -> bool {
        self.bucket.objects().is_some_and(Objects::binds_puts)
    }

    /// Returns how a file of this size can be put for a while; `None`: not by one request, or not here. The digest is signed, and so are
    /// the bytes that it holds for; whoever has the address can put nothing else where the bucket compares them.
    pub fn signed_put(&self, incoming: &Incoming<'_>, size: u64, lasting: Duration) -> Result<Option<SignedPut>> {
        let objects = self.bucket.objects().filter(|objects| objects.binds_puts() && size <= MAX_PUT_BYTES);
        let Some(objects) = objects else { return Ok(None) };
        let checksum = STANDARD.encode(incoming.sha256.as_bytes());
        let url = objects.signed_put(&incoming.key(), lasting, (CHECKSUM, &checksum))?;
        Ok(Some(SignedPut { url, headers: [(CHECKSUM, checksum)] }))
    }

    /// Returns the size of a file that was put; `None`: it isn't there.
    pub fn incoming_size(&self, incoming: &Incoming<'_>) -> Result<Option<u64>> {
        self.bucket.size(&incoming.key())
    }

    /// Shows a file that was put part by part; whoever takes it checks it. Returns whether it is there.
    pub fn read_incoming(
        &self,
        incoming: &Incoming<'_>,
        look: &mut dyn FnMut(&[u8]) -> fs::Result<()>,
    ) -> Result<bool> {
        self.bucket.read(&incoming.key(), look)
    }

    /// Removes a file that was put, once it is a blob or isn't wanted.
    pub fn remove_incoming(&self, incoming: &Incoming<'_>) -> Result<()> {
        self.bucket.remove(&incoming.key())
    }
}
