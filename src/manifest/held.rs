//! Who keeps the manifest from being written: SQLite says only that somebody does.
//!
//! Whoever can read `manifest.sqlite-shm` can hold the kernel's lock on the byte that writers need, for as long as he likes. The kernel
//! can't be told otherwise, but it tells who it is.

use super::{Error, Result};
use crate::fs::{self, LockKind};
use rusqlite::Connection;
use std::path::PathBuf;
use std::time::Duration;

/// The byte of the file `-shm` that SQLite locks to write (`WAL_WRITE_LOCK`: <https://sqlite.org/walformat.html>, 2.3).
const WRITE_LOCK: u64 = 120;

/// After this time somebody is told who is waited for.
const SILENCE: Duration = Duration::from_secs(2);

/// Adds who holds the manifest to an error that says that somebody does.
fn told(error: rusqlite::Error, conn: &Connection) -> Error {
    let error = Error::from(error);
    match holders(conn).filter(|_| error.is_busy()) {
        Some(holders) => Error::Held(holders),
        None => error,
    }
}

/// Returns who has the lock, in words.
fn holders(conn: &Connection) -> Option<String> {
    let mut holders = fs::lock_holders(&PathBuf::from(format!("{}-shm", conn.path()?)), LockKind::Byte(WRITE_LOCK));
    holders.retain(|holder| holder.pid != std::process::id());
    (!holders.is_empty()).then(|| holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// Begins a transaction. Whoever waits for long is told whom he waits for.
pub(super) fn begin(conn: &Connection, sql: &str, wait: Duration) -> Result<()> {
    if wait > SILENCE {
        conn.busy_timeout(SILENCE)?;
        let first = conn.execute_batch(sql).map_err(Error::from);
        conn.busy_timeout(wait)?;
        if !first.as_ref().is_err_and(Error::is_busy) {
            return first;
        }
        if let Some(holders) = holders(conn) {
            fs::tell_of_wait(&format!("waiting for the manifest, which {holders} has"));
        }
    }
    conn.execute_batch(sql).map_err(|error| told(error, conn))
}
