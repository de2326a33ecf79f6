//! Who keeps the manifest from being written: SQLite says only that somebody does.
//!
//! Whoever can read `manifest.sqlite-shm` can hold the kernel's lock on the byte that writers need, for as long as he likes. The kernel
//! can't be told otherwise, but it tells who it is.

use super::Error;
use crate::fs;
use rusqlite::Connection;
use std::path::PathBuf;

/// The byte of the file `-shm` that SQLite locks to write (`WAL_WRITE_LOCK`: <https://sqlite.org/walformat.html>, 2.3).
const WRITE_LOCK: u64 = 120;

/// Adds who holds the manifest to an error that says that somebody does.
pub(super) fn told(error: rusqlite::Error, conn: &Connection) -> Error {
    let error = Error::from(error);
    let Some(path) = conn.path().filter(|_| error.is_busy()) else { return error };
    let holders = fs::lock_holders(&PathBuf::from(format!("{path}-shm")), WRITE_LOCK);
    if holders.is_empty() {
        return error;
    }
    Error::Held(holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}
