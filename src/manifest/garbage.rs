//! What gc asks and changes: history that nothing keeps, rows of blobs that nothing refers to, and files that no row wants.
//!
//! Each question is one index probe per kind of reference. A UNION view over the references took minutes here, where the probes
//! take a fraction of a second.

use super::{BlobId, CollectionId, Result, Rows, Transaction};
use crate::digest::Blake3;
use crate::name::CollectionName;
use rusqlite::{Row, ToSql};
use std::collections::HashSet;

/// The key in `meta` of the span of times that gc can't judge, two numbers.
const DOUBTFUL_TIMES: &str = "doubtful_times";

/// A blob without a reference, or a file without a blob.
#[derive(Debug, Clone)]
pub struct Garbage {
    /// The row.
    pub id: BlobId,
    /// The blob.
    pub blake3: Blake3,
    /// Size in bytes.
    pub size: u64,
}

impl Garbage {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get("id")?, blake3: row.get("blake3")?, size: row.get::<_, i64>("size")?.cast_unsigned() })
    }
}

/// An entry in history that nothing keeps any longer.
#[derive(Debug, Clone)]
pub struct PrunedEntry {
    id: i64,
    collection_id: CollectionId,
    removed: i64,
    /// The collection.
    pub collection: CollectionName,
    /// The filename.
    pub filename: String,
}

impl Rows {
    /// Returns the removed entries that no snapshot and no view keeps and that were removed at or before `before`.
    pub fn prunable_entries(&self, before: i64) -> Result<Vec<PrunedEntry>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT e.id, e.collection_id, e.removed, c.name, e.filename FROM entry e JOIN collection c ON c.id = e.collection_id
             WHERE e.removed IS NOT NULL AND e.removed_at <= ?1
               AND NOT EXISTS (SELECT 1 FROM snapshot s
                 WHERE s.collection_id = e.collection_id AND s.revision >= e.added AND s.revision < e.removed)
               AND NOT EXISTS (SELECT 1 FROM view_source v
                 WHERE v.collection_id = e.collection_id AND v.revision >= e.added AND v.revision < e.removed)
             ORDER BY e.collection_id, e.removed, e.filename",
        )?;
        let rows = statement.query_map([before], |row| {
            Ok(PrunedEntry {
                id: row.get(0)?,
                collection_id: row.get(1)?,
                removed: row.get(2)?,
                collection: row.get(3)?,
                filename: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the blobs without a reference that may have been without one since `before` or longer.
    pub fn garbage(&self, before: i64) -> Result<Vec<Garbage>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT b.id, b.blake3, b.size FROM blob b
             WHERE b.maybe_unreferenced_at IS NOT NULL AND b.maybe_unreferenced_at <= ?1
               AND NOT EXISTS (SELECT 1 FROM entry WHERE blob_id = b.id)
               AND NOT EXISTS (SELECT 1 FROM pin WHERE blob_id = b.id)
               AND NOT EXISTS (SELECT 1 FROM hold WHERE blake3 = b.blake3)
             ORDER BY b.maybe_unreferenced_at, b.id",
        )?;
        let rows = statement.query_map([before], Garbage::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the files that a gc was deleting when it ended.
    pub fn deleting(&self) -> Result<Vec<Garbage>> {
        // The second condition is that of the index, which SQLite doesn't see in the first.
        let sql = "SELECT id, blake3, size FROM file WHERE state = 'deleting' AND state <> 'live'";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([], Garbage::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the files that were never published, and that nobody is about to publish: they need no grace.
    pub fn unwanted(&self) -> Result<Vec<Garbage>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT f.id, f.blake3, f.size FROM file f WHERE f.state = 'staged' AND f.state <> 'live'
               AND NOT EXISTS (SELECT 1 FROM blob WHERE id = f.id)
               AND NOT EXISTS (SELECT 1 FROM hold WHERE blake3 = f.blake3)",
        )?;
        let rows = statement.query_map([], Garbage::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// The key in `here` of when gc last ran.
const GC_AT: &str = "gc_at";

impl Rows {
    /// Tells when gc last ran in this folder.
    pub fn gc_at(&self) -> Result<Option<i64>> {
        Ok(self.here(GC_AT)?.and_then(|at| at.parse().ok()))
    }
}

impl Transaction<'_> {
    /// Records that gc runs in this folder.
    pub fn set_gc_at(&self, at: i64) -> Result<()> {
        self.set_here(GC_AT, &at.to_string())
    }
}

impl Transaction<'_> {
    /// Deletes entries from history for good, and records from which revision on their collections are complete.
    pub fn prune(&self, entries: &[PrunedEntry]) -> Result<()> {
        self.name_gone(entries.iter().map(|entry| entry.id))?;
        self.conn.prepare_cached("DELETE FROM entry WHERE id IN (SELECT id FROM gone)")?.execute([])?;
        let mut complete =
            self.conn.prepare_cached("UPDATE collection SET complete_since = max(complete_since, ?2) WHERE id = ?1")?;
        // They are in the order of their collections and of the revisions that removed them.
        for of_collection in entries.chunk_by(|one, next| one.collection_id == next.collection_id) {
            let latest = of_collection.iter().map(|entry| entry.removed).max();
            complete.execute((of_collection[0].collection_id, latest))?;
        }
        Ok(())
    }

    /// Lets what was dropped at a time that can't be have been dropped at `now`, so that its grace begins now.
    ///
    /// Times later than now were written by a clock that was ahead: else they would stay until that time has come. Or the clock is
    /// behind now. So that what was dropped then, or before, has its whole grace by the clock that is right again, the span is
    /// remembered: once it is over by the clock, all times in it begin anew. Nothing goes early either way; where the clock was
    /// ahead, what is dropped at the very end of the span stays for one more grace.
    pub fn settle_times(&self, now: i64) -> Result<()> {
        if let Some((from, until)) = self.doubtful_times()?.filter(|(_, until)| *until <= now) {
            self.move_times(from, until, now)?;
            self.set_doubtful_times(None)?;
        }
        let sql = "SELECT max(coalesce((SELECT max(maybe_unreferenced_at) FROM blob), 0),
                              coalesce((SELECT max(removed_at) FROM entry), 0))";
        let latest: i64 = self.conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        if latest > now {
            let (from, until) = self.doubtful_times()?.unwrap_or((now, latest));
            self.set_doubtful_times(Some((from.min(now), until.max(latest))))?;
            self.move_times(now.saturating_add(1), i64::MAX, now)?;
        }
        // What was dropped before it came was dropped by a clock that was behind.
        let sql = "UPDATE blob SET maybe_unreferenced_at = ?1
                   WHERE maybe_unreferenced_at < created_at AND maybe_unreferenced_at IS NOT NULL AND created_at <= ?1";
        self.conn.prepare_cached(sql)?.execute([now])?;
        let sql = "UPDATE entry SET removed_at = ?1 WHERE removed_at < uploaded_at AND uploaded_at <= ?1";
        self.conn.prepare_cached(sql)?.execute([now])?;
        Ok(())
    }

    fn move_times(&self, from: i64, until: i64, now: i64) -> Result<()> {
        for sql in [
            "UPDATE blob SET maybe_unreferenced_at = ?3 WHERE maybe_unreferenced_at BETWEEN ?1 AND ?2",
            "UPDATE entry SET removed_at = ?3 WHERE removed_at BETWEEN ?1 AND ?2",
        ] {
            self.conn.prepare_cached(sql)?.execute((from, until, now))?;
        }
        Ok(())
    }

    fn doubtful_times(&self) -> Result<Option<(i64, i64)>> {
        let text = self.meta(DOUBTFUL_TIMES)?;
        Ok(text.and_then(|text| {
            let (from, until) = text.split_once(' ')?;
            Some((from.parse().ok()?, until.parse().ok()?))
        }))
    }

    fn set_doubtful_times(&self, times: Option<(i64, i64)>) -> Result<()> {
        match times {
            Some((from, until)) => self.set_meta(DOUBTFUL_TIMES, &format!("{from} {until}")),
            None => {
                self.conn.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([DOUBTFUL_TIMES])?;
                Ok(())
            }
        }
    }

    /// Deletes pins that have expired. Returns how many.
    pub fn delete_expired_pins(&self, now: i64) -> Result<usize> {
        Ok(self.conn.prepare_cached("DELETE FROM pin WHERE expires_at <= ?1")?.execute([now])?)
    }

    /// Clears the marks of blobs that have a reference after all.
    pub fn clear_marks(&self) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE blob SET maybe_unreferenced_at = NULL WHERE maybe_unreferenced_at IS NOT NULL
               AND (EXISTS (SELECT 1 FROM entry WHERE blob_id = blob.id) OR EXISTS (SELECT 1 FROM pin WHERE blob_id = blob.id))",
        )?;
        statement.execute([])?;
        Ok(())
    }

    /// Deletes the rows of blobs that nothing refers to at this moment, and sets the files that no row wants to be deleted. Returns
    /// those whose files are to be deleted now.
    ///
    /// These are the two halves of gc, in sets: of this folder's files, and of the store's rows. Each asks for holds, so that an
    /// import finds the row that it saw.
    pub fn bury(&self, ids: impl Iterator<Item = BlobId>) -> Result<HashSet<BlobId>> {
        self.name_gone(ids)?;
        let rows = "DELETE FROM blob WHERE id IN (SELECT id FROM gone)
               AND NOT EXISTS (SELECT 1 FROM entry WHERE blob_id = blob.id)
               AND NOT EXISTS (SELECT 1 FROM pin WHERE blob_id = blob.id)
               AND NOT EXISTS (SELECT 1 FROM hold WHERE blake3 = blob.blake3)";
        self.conn.prepare_cached(rows)?.execute([])?;
        let files = "UPDATE file SET state = 'deleting' WHERE id IN (SELECT id FROM gone) AND state <> 'deleting'
               AND NOT EXISTS (SELECT 1 FROM blob WHERE id = file.id)
               AND NOT EXISTS (SELECT 1 FROM hold WHERE blake3 = file.blake3)";
        self.conn.prepare_cached(files)?.execute([])?;
        let sql = "SELECT id FROM file WHERE id IN (SELECT id FROM gone) AND state = 'deleting'";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Deletes the rows of files whose names are durably gone: in one statement, since each that may be rolled back alone costs a
    /// journal of its own.
    pub fn delete_files(&self, ids: impl Iterator<Item = BlobId>) -> Result<()> {
        self.name_gone(ids)?;
        let sql = "DELETE FROM file WHERE id IN (SELECT id FROM gone) AND state = 'deleting'";
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    pub(super) fn name_gone(&self, ids: impl Iterator<Item = impl ToSql>) -> Result<()> {
        self.conn.execute_batch("CREATE TEMP TABLE IF NOT EXISTS gone(id INTEGER PRIMARY KEY); DELETE FROM gone;")?;
        let mut insert = self.conn.prepare_cached("INSERT INTO gone(id) VALUES(?1)")?;
        for id in ids {
            insert.execute([id])?;
        }
        Ok(())
    }
}
