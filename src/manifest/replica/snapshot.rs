//! What is true of the store, as a manifest of its own: a new node begins with it, and a store of one machine becomes a shared one.

use super::super::triggers::tables_of_one_folder;
use super::super::view::own_views;
use super::super::{Access, connect};
use super::known::KNOWN;
use super::upgrade;
use super::{FILES, LEFT, NODE, PLACE, SEAT};
use super::{Link, Manifest, Result, Rows, START, Transaction};
use crate::digest::Blake3;
use crate::fs;
use crate::fs::fault::{Change, point};
use rusqlite::config::DbConfig;
use std::collections::HashMap;
use std::path::Path;

/// What a manifest has that was written for a backup.
#[derive(Debug)]
pub struct BackedUp {
    /// The newest record of the log.
    pub number: i64,
    /// How many blobs it has.
    pub blobs: usize,
    /// Those of them that have no object.
    pub missing: Vec<Blake3>,
}

/// Tables whose rows are of no use elsewhere, and later: bytes of this folder, running commands, and what can be asked for again.
const LEFT_OUT: [&str; 12] = [
    "file",
    "quarantine",
    "session",
    "hold",
    "seen",
    "view_shown",
    "remote_health",
    "remote_page",
    "remote_failure",
    "remote_refusal",
    "remote_metadata",
    "want",
];

impl Manifest {
    /// Writes a manifest to a path that nothing has yet, durably, with all that is wanted when this folder is lost: its blobs are elsewhere, where
    /// `objects` says by their digest and size.
    pub fn back_up(&self, to: &Path, objects: &HashMap<(Blake3, u64), String>) -> Result<BackedUp> {
        point(Change::Grow, "write", to)?;
        self.conn.execute("VACUUM INTO CAST(?1 AS TEXT)", [to.as_os_str().as_encoded_bytes()])?;
        let mut rows = Rows { conn: connect(to, Access::Write)?, opened: None, replica: None };
        rows.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        rows.conn.pragma_update(None, "foreign_keys", false)?;
        if rows.node()?.is_some() {
            rows.leave()?;
        }
        let blobs = rows.blobs()?;
        let number = rows.log_head()?.map_or(0, |head| head.number);
        let mut backed_up = BackedUp { number, blobs: blobs.len(), missing: Vec::new() };
        let transaction = rows.conn.transaction()?;
        for table in LEFT_OUT {
            transaction.execute_batch(&format!("DELETE FROM {table}"))?;
        }
        transaction.execute("DELETE FROM here WHERE key = ?1", [LEFT])?;
        let mut set = transaction.prepare("UPDATE blob SET generation = ?2 WHERE id = ?1")?;
        for blob in blobs {
            let object = objects.get(&(blob.blake3, blob.size));
            set.execute((blob.id, object))?;
            backed_up.missing.extend(object.is_none().then_some(blob.blake3));
        }
        drop(set);
        transaction.commit()?;
        rows.conn.execute_batch("VACUUM")?;
        drop(rows);
        fs::sync_file(to)?;
        Ok(backed_up)
    }

    /// Lets the manifest of a state, which a store begins with that is being restored, follow its backup as a node does that can't write.
    pub fn sit_as_guest(&self, machine: &str) -> Result<()> {
        let transaction = self.write()?;
        for (key, value) in [(NODE, "0"), (SEAT, &self.seat(machine)), (FILES, "0")] {
            transaction.set_here(key, value)?;
        }
        transaction.commit()
    }

    /// Writes a manifest to a path that nothing has yet, durably, with all that is true of the store and nothing that is true of this
    /// folder. Returns which record it ends with.
    pub fn export(&self, to: &Path) -> Result<Link> {
        point(Change::Grow, "write", to)?;
        // A path is whatever the filesystem takes.
        self.conn.execute("VACUUM INTO CAST(?1 AS TEXT)", [to.as_os_str().as_encoded_bytes()])?;
        let copy = connect(to, Access::Write)?;
        copy.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        copy.pragma_update(None, "foreign_keys", false)?;
        for table in tables_of_one_folder() {
            let kept = if table == "here" { format!(" WHERE key <> '{PLACE}'") } else { String::new() };
            copy.execute_batch(&format!("DELETE FROM {table}{kept}"))?;
        }
        copy.execute_batch("VACUUM")?;
        let place: rusqlite::Result<String> =
            copy.query_row("SELECT value FROM here WHERE key = ?1", [PLACE], |row| row.get(0));
        drop(copy);
        fs::sync_file(to)?;
        Ok(place.ok().and_then(|place| place.parse().ok()).unwrap_or(START))
    }
}

/// The key in `here` of how many bytes the manifest had when this node last made a snapshot.
const BYTES: &str = "snapshot_bytes";

impl Rows {
    /// Returns by how many bytes the manifest has grown since this node made a snapshot.
    pub fn grown_since_snapshot(&self) -> Result<i64> {
        let then: i64 = self.here(BYTES)?.and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
        Ok(self.bytes()?.saturating_sub(then))
    }

    fn bytes(&self) -> Result<i64> {
        let sql = "SELECT (page_count - freelist_count) * page_size
                   FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
        Ok(self.conn.query_row(sql, [], |row| row.get(0))?)
    }

    /// Returns the objects of all blobs: digest, a point, and generation.
    pub fn objects(&self) -> Result<Vec<String>> {
        let rows = self.blobs()?.into_iter();
        Ok(rows.filter_map(|row| Some(format!("{}.{}", row.blake3, row.generation?))).collect())
    }

    /// Takes away what only a node of a share has.
    fn leave(&self) -> Result<()> {
        let own = own_views(self.node()?);
        self.conn.execute("DELETE FROM view WHERE path NOT GLOB ?1 || '/*'", [&own])?;
        self.conn.execute("UPDATE view SET path = substr(path, length(?1) + 1)", [&own])?;
        self.conn.execute_batch("DELETE FROM node; DELETE FROM doomed; DELETE FROM meta WHERE key = 'fence'")?;
        upgrade::forget(&self.conn)?;
        self.be_alone()
    }

    /// Takes away what a folder has of the log that it followed.
    fn be_alone(&self) -> Result<()> {
        self.conn.execute_batch("UPDATE blob SET generation = NULL")?;
        for key in [PLACE, NODE, SEAT, FILES, KNOWN] {
            self.conn.execute("DELETE FROM here WHERE key = ?1", [key])?;
        }
        Ok(())
    }
}

impl Transaction<'_> {
    /// Records that a snapshot was made.
    pub fn note_snapshot(&self) -> Result<()> {
        self.set_here(BYTES, &self.bytes()?.to_string())
    }

    /// Gives a store of one machine what it needs to become the first node of a shared one.
    pub fn become_node(&self, name: &str, machine: &str, now: i64) -> Result<()> {
        if self.node()?.is_some() {
            return Ok(());
        }
        self.conn.execute("DELETE FROM here WHERE key = ?1", [LEFT])?;
        let number = self.take_seat(name, machine, now)?;
        // Their paths say whose they are.
        self.conn.execute("UPDATE view SET path = ?1 || ':' || path", [number])?;
        Ok(())
    }

    /// Makes a node a store of one machine again: all its bytes are here.
    pub fn leave_share(&self) -> Result<()> {
        self.leave()?;
        self.set_here(LEFT, "1")
    }

    /// Makes a store that was being restored one of its own.
    pub fn end_restore(&self) -> Result<()> {
        self.be_alone()?;
        self.set_here(LEFT, "1")
    }
}
