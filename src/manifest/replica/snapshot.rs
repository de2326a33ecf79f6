//! What is true of the store, as a manifest of its own: a new node begins with it, and a store of one machine becomes a shared one.

use super::super::triggers::tables_of_one_folder;
use super::super::view::own_views;
use super::super::{Access, connect};
use super::upgrade;
use super::{FILES, NODE, PLACE, SEAT};
use super::{Link, Manifest, Result, START, Transaction};
use crate::fs;
use crate::fs::fault::{Change, point};
use rusqlite::config::DbConfig;
use std::path::Path;

impl Manifest {
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

impl Transaction<'_> {
    /// Gives a store of one machine what it needs to become the first node of a shared one.
    pub fn become_node(&self, name: &str, machine: &str, now: i64) -> Result<()> {
        if self.node()?.is_some() {
            return Ok(());
        }
        let number = self.take_seat(name, machine, now)?;
        // Their paths say whose they are.
        self.conn.execute("UPDATE view SET path = ?1 || ':' || path", [number])?;
        Ok(())
    }

    /// Makes a node a store of one machine again: all its bytes are here.
    pub fn leave_share(&self) -> Result<()> {
        let own = own_views(self.node()?);
        self.conn.execute("DELETE FROM view WHERE path NOT GLOB ?1 || '/*'", [&own])?;
        self.conn.execute("UPDATE view SET path = substr(path, length(?1) + 1)", [&own])?;
        self.conn.execute_batch("UPDATE blob SET generation = NULL; DELETE FROM node; DELETE FROM doomed; DELETE FROM meta WHERE key = 'fence'")?;
        upgrade::forget(&self.conn)?;
        for key in [PLACE, NODE, SEAT, FILES] {
            self.conn.execute("DELETE FROM here WHERE key = ?1", [key])?;
        }
        Ok(())
    }
}
