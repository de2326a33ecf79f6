//! A copy of the manifest that only this process has: what is tried on it can't be told from the real thing, and holds nobody up.

use super::opened_file::OpenedFile;
use super::{Access, Actor, Error, Manifest, Result, Rows, connect, set_up, triggers};
use crate::fs::{self, Signature};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

/// How much of a copy is kept in memory; the rest of a larger one goes to a temporary file.
const MEMORY_KIB: i64 = 1024 * 1024;

impl Manifest {
    /// Copies a manifest, as it is at one moment, and brings the copy up to this program's version. The manifest itself is only
    /// read, as `access` says.
    ///
    /// # Errors
    ///
    /// [`Error::Replaced`] where the file was changed while it was read without locks (`Access::Immutable`), or others hold it:
    /// the same call may succeed later ([`Error::is_busy`]).
    pub fn rehearsal(path: &Path, access: Access, wait: Duration) -> Result<Self> {
        let before = stamp(path)?;
        let source = connect(path, access)?;
        source.busy_timeout(wait)?;
        let copy = private(Some(&source))?;
        if access == Access::Immutable && stamp(path)? != before {
            return Err(Error::Replaced(path.to_owned()));
        }
        let manifest = Self::of_private(copy, wait);
        manifest.migrate(path, Access::Write)?;
        // Nobody reads what a rehearsal would put into the log, which costs more than the changes.
        triggers::remove(&manifest.conn)?;
        Ok(manifest)
    }

    /// Makes a manifest without a row, for a store that is yet to be made.
    pub fn blank_rehearsal(path: &Path, wait: Duration) -> Result<Self> {
        let manifest = Self::of_private(private(None)?, wait);
        manifest.migrate(path, Access::Create)?;
        Ok(manifest)
    }

    fn of_private(conn: Connection, wait: Duration) -> Self {
        Self { rows: Rows { conn, opened: None, replica: None }, actor: Actor::default(), wait: Cell::new(wait) }
    }
}

/// Makes a database without a name, with all that a source has.
fn private(source: Option<&Connection>) -> Result<Connection> {
    let mut copy = Connection::open("")?;
    copy.pragma_update(None, "cache_size", -MEMORY_KIB)?;
    if let Some(source) = source
        && Backup::new(source, &mut copy)?.step(-1)? != StepResult::Done
    {
        return Err(busy());
    }
    set_up(&copy)?;
    copy.pragma_update(None, "cache_size", -MEMORY_KIB)?;
    copy.pragma_update(None, "journal_mode", "MEMORY")?;
    Ok(copy)
}

fn busy() -> Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    Error::Sqlite(rusqlite::Error::SqliteFailure(code, None))
}

/// What changes when a manifest does that nobody has open: the file, and whether there is a log.
fn stamp(path: &Path) -> Result<Option<(OpenedFile, Signature, bool)>> {
    let log = fs::entry(&path.with_extension("sqlite-wal"))?.is_some_and(|log| log.len() > 0);
    let Some(file) = OpenedFile::at(path) else { return Ok(None) };
    let Ok(metadata) = std::fs::metadata(path) else { return Ok(None) };
    Ok(Some((file, Signature::of(&metadata), log)))
}
