//! Files compressed by Zstandard (RFC 8878), and such files unpacked.

use super::{Error, FILE, Result, create_new, open};
use crate::fs::fault::{Change, point};
use std::path::Path;

/// Compresses a file into a new one; not durable.
pub fn pack(from: &Path, to: &Path) -> Result<()> {
    let (source, target) = (open(from)?, create_new(to, FILE)?);
    point(Change::Grow, "write", to)?;
    zstd::stream::copy_encode(source, target, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(Error::at("compress to", to))
}

/// Unpacks a file into a new one; not durable.
pub fn unpack(from: &Path, to: &Path) -> Result<()> {
    let (source, target) = (open(from)?, create_new(to, FILE)?);
    point(Change::Grow, "write", to)?;
    zstd::stream::copy_decode(source, target).map_err(Error::at("unpack to", to))
}
