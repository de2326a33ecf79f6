//! What commands made of which inputs (`wcas run`).
//!
//! A run's files don't keep their blobs: entries do. A blob that goes takes its row here along, so gc forgets runs before it deletes
//! blobs: a run never has fewer files than it made.

use super::{BlobId, Result, Rows, Transaction};
use crate::digest::Blake3;
use rusqlite::{OptionalExtension, named_params};

/// A command that ran.
#[derive(Debug, Clone)]
pub struct BuildRunRow {
    /// The digest of its inputs.
    pub key: Blake3,
    /// The inputs, as JSON.
    pub inputs: String,
}

impl Rows {
    /// Returns the files that a run made, by name; none, when it isn't known.
    pub fn build_run_files(&self, key: &Blake3) -> Result<Vec<(String, BlobId)>> {
        let sql = "SELECT filename, blob_id FROM build_run_file WHERE key = ?1 ORDER BY filename";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([key], |row| Ok((row.get("filename")?, row.get("blob_id")?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns so many runs, those that were used last.
    pub fn recent_build_runs(&self, limit: usize) -> Result<Vec<BuildRunRow>> {
        let sql = "SELECT key, inputs FROM build_run ORDER BY used_at DESC, made_at DESC, key LIMIT ?1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement
            .query_map([limit as i64], |row| Ok(BuildRunRow { key: row.get("key")?, inputs: row.get("inputs")? }))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns what a run noted when it began, if it didn't end.
    pub fn begun_build_run(&self, key: &Blake3) -> Result<Option<String>> {
        let sql = "SELECT substr(value, instr(value, ' ') + 1) FROM here WHERE key = 'build_run_begun:' || ?1";
        Ok(self.conn.prepare_cached(sql)?.query_row([key.to_string()], |row| row.get(0)).optional()?)
    }
}

impl Transaction<'_> {
    /// Records what a run of these inputs made, in the place of what an earlier one did; it has ended with that.
    pub fn put_build_run(&self, key: &Blake3, inputs: &str, files: &[(String, BlobId)], now: i64) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO build_run(key, inputs, made_at, used_at) VALUES(:key, :inputs, :now, :now)
             ON CONFLICT DO UPDATE SET made_at = :now, used_at = :now",
        )?;
        statement.execute(named_params! {":key": key, ":inputs": inputs, ":now": now})?;
        self.conn.prepare_cached("DELETE FROM build_run_file WHERE key = ?1")?.execute([key])?;
        let sql = "INSERT INTO build_run_file(key, filename, blob_id) VALUES(?1, ?2, ?3)";
        let mut statement = self.conn.prepare_cached(sql)?;
        for (filename, blob) in files {
            statement.execute((key, filename, blob))?;
        }
        let sql = "DELETE FROM here WHERE key = 'build_run_begun:' || ?1";
        self.conn.prepare_cached(sql)?.execute([key.to_string()])?;
        Ok(())
    }

    /// Notes that a run begins; the note goes with its end.
    pub fn begin_build_run(&self, key: &Blake3, note: &str, now: i64) -> Result<()> {
        self.set_here(&format!("build_run_begun:{key}"), &format!("{now} {note}"))
    }

    /// Records that what a run made was used.
    pub fn set_build_run_used(&self, key: &Blake3, now: i64) -> Result<()> {
        let sql = "UPDATE build_run SET used_at = ?2 WHERE key = ?1";
        self.conn.prepare_cached(sql)?.execute((key, now))?;
        Ok(())
    }

    /// Forgets the runs whose files no collection has any longer, and those that were not used since `before`. Returns how many.
    pub fn forget_build_runs(&self, before: i64) -> Result<usize> {
        let mut statement = self.conn.prepare_cached(
            "DELETE FROM build_run WHERE used_at < ?1
               OR NOT EXISTS (SELECT 1 FROM build_run_file f WHERE f.key = build_run.key)
               OR EXISTS (SELECT 1 FROM build_run_file f WHERE f.key = build_run.key AND NOT EXISTS
                 (SELECT 1 FROM entry e WHERE e.blob_id = f.blob_id AND e.filename = f.filename AND e.removed IS NULL))",
        )?;
        let count = statement.execute([before])?;
        let sql = "DELETE FROM here WHERE key GLOB 'build_run_begun:*' AND CAST(value AS INTEGER) < ?1";
        self.conn.prepare_cached(sql)?.execute([before])?;
        Ok(count)
    }
}
