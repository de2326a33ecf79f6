//! Files compressed by Zstandard (RFC 8878), and such files unpacked.

use super::{BUFFER_BYTES, Error, FILE, Lease, Result, append, create_new, open, parent};
use crate::fs::fault::{Change, point};
use std::io::Read;
use std::path::Path;

/// Compresses a file into a new one; not durable.
pub fn pack(from: &Path, to: &Path) -> Result<()> {
    let (source, target) = (open(from)?, create_new(to, FILE)?);
    point(Change::Grow, "write", to)?;
    zstd::stream::copy_encode(source, target, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(Error::at("compress to", to))
}

/// Unpacks a file into a new one; not durable. Returns whether that is all: what is larger than `most` bytes ends there.
pub fn unpack(from: &Path, to: &Path, most: u64) -> Result<bool> {
    let (source, target) = (open(from)?, create_new(to, FILE)?);
    let mut decoder = zstd::stream::read::Decoder::new(source).map_err(Error::at("unpack", from))?;
    let (mut room, mut size, mut buffer) = (Lease::new(parent(to)), 0, vec![0; BUFFER_BYTES]);
    loop {
        let count = decoder.read(&mut buffer).map_err(Error::at("unpack", from))?;
        if count == 0 {
            return Ok(true);
        }
        size += count as u64;
        if size > most {
            return Ok(false);
        }
        room.cover(size)?;
        append(&target, to, &buffer[..count])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unpacked_ends_where_it_is_too_much() {
        let dir = tempfile::tempdir().unwrap();
        let [plain, packed, to] = ["plain", "packed", "to"].map(|name| dir.path().join(name));
        std::fs::write(&plain, vec![0; 3_000_000]).unwrap();
        pack(&plain, &packed).unwrap();
        assert!(unpack(&packed, &to, 3_000_000).unwrap());
        assert_eq!(std::fs::read(&to).unwrap(), std::fs::read(&plain).unwrap());
        std::fs::remove_file(&to).unwrap();
        assert!(!unpack(&packed, &to, 2_999_999).unwrap());
        assert!(std::fs::metadata(&to).unwrap().len() < 3_000_000);
        std::fs::remove_file(&to).unwrap();
        let bytes = std::fs::read(&packed).unwrap();
        std::fs::write(&packed, &bytes[..bytes.len() / 2]).unwrap();
        assert!(unpack(&packed, &to, u64::MAX).is_err(), "half of it is not taken for all");
    }
}
