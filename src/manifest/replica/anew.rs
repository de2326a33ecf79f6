//! A replica that is too far behind to read on takes what a snapshot says of the store in place of what it knew. What is true of this
//! folder stays: its files, what running commands hold, its number as a node.

use super::super::triggers::{every_column, shared_tables, tables_of_one_folder};
use super::super::{Manifest, Result, START, Transaction};
use super::{Link, PLACE};
use rusqlite::config::DbConfig;
use std::path::Path;

/// What tells rows of shared tables from others that have had their numbers since: what is known here of a row goes with it.
const IDENTITIES: [(&str, &[&str]); 4] =
    [("blob", &["blake3"]), ("remote", &["name", "url"]), ("token", &["digest"]), ("view", &["path"])];

impl Manifest {
    /// Takes what another manifest says of the store, a snapshot that was unpacked, where that is newer.
    pub fn begin_anew(&self, from: &Path) -> Result<()> {
        // An older program's is brought up to date.
        drop(Self::open_foreign(from)?);
        self.conn.execute("ATTACH CAST(?1 AS TEXT) AS snapshot", [from.as_os_str().as_encoded_bytes()])?;
        let set = |on: bool| {
            self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, on)?;
            self.conn.pragma_update(None, "foreign_keys", on)
        };
        let done = set(false).map_err(Into::into).and_then(|()| {
            let transaction = self.begin("BEGIN IMMEDIATE")?;
            transaction.take_snapshot()?;
            transaction.commit_here()
        });
        set(true)?;
        self.conn.execute_batch("DETACH snapshot")?;
        done
    }
}

impl Transaction<'_> {
    fn take_snapshot(&self) -> Result<()> {
        let place: rusqlite::Result<String> =
            self.conn.query_row("SELECT value FROM snapshot.here WHERE key = ?1", [PLACE], |row| row.get(0));
        let place: Link = place.ok().and_then(|place| place.parse().ok()).unwrap_or(START);
        // Another process was faster, or the snapshot is of no use.
        if place.number <= self.place()?.number {
            return Ok(());
        }
        self.forget_what_went()?;
        for table in shared_tables() {
            let columns: Vec<String> = every_column(&self.conn, table)?.into_iter().map(|column| column.name).collect();
            let columns = columns.join(", ");
            self.conn.execute_batch(&format!(
                "DELETE FROM main.{table}; INSERT INTO main.{table}({columns}) SELECT {columns} FROM snapshot.{table};"
            ))?;
            // Numbers that are never given twice.
            let sql = "UPDATE main.sqlite_sequence SET seq = max(seq, (SELECT seq FROM snapshot.sqlite_sequence WHERE name = ?1))
                       WHERE name = ?1 AND EXISTS (SELECT 1 FROM snapshot.sqlite_sequence WHERE name = ?1)";
            self.conn.execute(sql, [table])?;
            let sql = "INSERT INTO main.sqlite_sequence(name, seq) SELECT name, seq FROM snapshot.sqlite_sequence
                       WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM main.sqlite_sequence WHERE name = ?1)";
            self.conn.execute(sql, [table])?;
        }
        // As records would have left them.
        self.conn.execute_batch(
            "UPDATE file SET id = (SELECT id FROM blob WHERE blob.blake3 = file.blake3)
             WHERE EXISTS (SELECT 1 FROM blob WHERE blob.blake3 = file.blake3 AND blob.id <> file.id);
             UPDATE file SET state = 'staged', epoch = epoch + 1
             WHERE state IN ('live', 'lost') AND NOT EXISTS (SELECT 1 FROM blob WHERE blob.id = file.id);",
        )?;
        self.set_here(PLACE, &place.to_string())?;
        self.note_known()?;
        self.replica.as_ref().map_or(Ok(()), |replica| replica.forget(&self.conn))
    }

    /// Forgets what is known here of shared rows that the snapshot hasn't got.
    fn forget_what_went(&self) -> Result<()> {
        for table in tables_of_one_folder() {
            let mut keys = self.conn.prepare("SELECT \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1)")?;
            let keys = keys.query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            for key in keys.collect::<rusqlite::Result<Vec<(String, String, String)>>>()? {
                let (parent, from, to) = key;
                let Some((_, columns)) = IDENTITIES.iter().find(|(name, _)| *name == parent) else { continue };
                let same: String = columns.iter().map(|column| format!(" AND a.{column} IS b.{column}")).collect();
                self.conn.execute_batch(&format!(
                    "DELETE FROM main.{table} WHERE {from} NOT IN
                     (SELECT a.{to} FROM main.{parent} a JOIN snapshot.{parent} b ON a.{to} = b.{to}{same})"
                ))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Access;
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_known_here_of_shared_rows_goes_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest"), Access::Create, Duration::ZERO).unwrap();
        for table in tables_of_one_folder() {
            let sql = "SELECT \"table\" FROM pragma_foreign_key_list(?1)";
            let mut keys = manifest.conn.prepare(sql).unwrap();
            let parents = keys.query_map([table], |row| row.get::<_, String>(0)).unwrap();
            for parent in parents.map(std::result::Result::unwrap) {
                let is_known = IDENTITIES.iter().any(|(name, _)| *name == parent);
                assert!(is_known || !shared_tables().any(|shared| shared == parent), "{table} refers to {parent}");
            }
        }
    }
}
