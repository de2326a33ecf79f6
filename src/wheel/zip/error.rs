//! Why an archive is refused.

use crate::budget::Excess;
use std::io;

/// Why an archive, or a member of one, was refused.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// The file can't be read.
    #[error("cannot read {len} bytes at offset {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// How many.
        len: u64,
        /// The disk's answer.
        source: io::Error,
    },
    /// No end record: not a zip archive, or a truncated one.
    #[error("expected a zip archive's end record in the last {searched} bytes of {size}, found none")]
    NoEnd {
        /// The number of bytes looked at.
        searched: u64,
        /// The file's size.
        size: u64,
    },
    /// The archive's directory contradicts itself.
    #[error("damaged zip archive: expected {expected}, found {found}")]
    Damaged {
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// More than is read.
    #[error("{0}")]
    TooMuch(Excess),
    /// A name that leads out of the folder where the archive is unpacked.
    #[error("unsafe member name {0:?}: expected a relative path without '..', backslash or NUL")]
    UnsafeName(String),
    /// A member that can't be read.
    #[error("cannot read the member {name:?}: expected {expected}, found {found}")]
    Member {
        /// The member's name.
        name: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
}
