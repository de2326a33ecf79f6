//! The schema's versions: how a manifest is brought up to date.

use super::{Access, Error, Manifest, Result, triggers};
use crate::fs::fault::{Change, point};
use rusqlite::Connection;
use std::path::Path;

/// The schema's steps, each applied on top of those before it. A released step is never edited: a new one follows it.
///
/// Since nodes of a shared store take them at different times, steps after 10 change no row, and of shared tables nothing that is there:
/// they add tables, and columns with defaults (`replica/upgrade.rs`).
pub(super) const STEPS: [&str; 11] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
    include_str!("schema/8.sql"),
    include_str!("schema/9.sql"),
    include_str!("schema/10.sql"),
    include_str!("schema/11.sql"),
];
/// The same at once, which takes a quarter of the time.
pub(super) const NEWEST: &str = include_str!("schema/newest.sql");
/// "WCAS": tells the file from any other SQLite database.
const APPLICATION_ID: i64 = 0x5743_4153;

/// Returns the schema that this program writes; an older one is migrated, a newer one refused.
pub fn version() -> i64 {
    STEPS.len() as i64 + trial::step().into_iter().count() as i64
}

/// Makes one version of another; nothing is version 0.
pub(super) fn build(conn: &Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    let known = STEPS.len() as i64;
    let is_new = from == 0 && to >= known;
    if is_new {
        conn.execute_batch(NEWEST)?;
    }
    let number = |version: i64| usize::try_from(version).unwrap_or(0);
    let from = if is_new { known } else { from };
    let mut steps = STEPS.into_iter().chain(trial::step()).take(number(to)).skip(number(from));
    steps.try_for_each(|step| conn.execute_batch(step))
}

#[cfg(debug_assertions)]
pub use trial::try_step;

/// A step that isn't there yet, so that tests can have a program that is newer than this one. In debug builds only.
#[cfg(debug_assertions)]
mod trial {
    use std::sync::OnceLock;

    static STEP: OnceLock<&str> = OnceLock::new();

    /// Lets the schema have one more step.
    pub fn try_step(sql: String) {
        // The first one stays.
        let _ = STEP.set(sql.leak());
    }

    pub(super) fn step() -> Option<&'static str> {
        STEP.get().copied()
    }
}

#[cfg(not(debug_assertions))]
mod trial {
    pub(super) fn step() -> Option<&'static str> {
        None
    }
}

impl Manifest {
    /// Brings the manifest up to this program's schema; makes what isn't there where that is asked for.
    pub(super) fn migrate(&self, path: &Path, access: Access) -> Result<()> {
        let (application, user_version) = (self.pragma("application_id")?, self.pragma("user_version")?);
        match (application, user_version) {
            (APPLICATION_ID, found) if found == version() => return Ok(()),
            (APPLICATION_ID, found) if found > version() => return Err(Error::Newer { path: path.to_owned(), found }),
            (APPLICATION_ID, found) if found > 0 && matches!(access, Access::Create | Access::Write) => {}
            (APPLICATION_ID, found) if found > 0 => return Err(Error::Older { path: path.to_owned(), found }),
            (0, 0) if access == Access::Create => {}
            _ => return Err(Error::Foreign(path.to_owned())),
        }
        self.opened.iter().try_for_each(|_| point(Change::Grow, "create the manifest", path))?;
        // What older manifests have is as it was: no record tells of it.
        let transaction = self.begin("BEGIN IMMEDIATE")?;
        // Another process may have done the work while this one waited for the transaction.
        let done = self.pragma("user_version")?;
        if done == 0 {
            let tables: i64 = self.conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if tables > 0 {
                return Err(Error::Foreign(path.to_owned()));
            }
        }
        if done < version() {
            triggers::remove(&self.conn)?;
            build(&self.conn, done, version())?;
            triggers::install(&self.conn)?;
            self.conn.pragma_update(None, "application_id", APPLICATION_ID)?;
            self.conn.pragma_update(None, "user_version", version())?;
        }
        transaction.commit()
    }
}
