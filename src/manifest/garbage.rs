//! What gc asks and changes: history that nothing keeps, blobs without a reference, and their deletion in two steps.
//!
//! Each question is one index probe per kind of reference. A UNION view over the references took minutes here, where the probes
//! take a fraction of a second.

use super::{BlobId, CollectionId, Result, Rows, State, Transaction};
use crate::digest::Blake3;
use crate::name::CollectionName;
use rusqlite::{Row, named_params};

/// A blob without a reference.
#[derive(Debug, Clone)]
pub struct Garbage {
    /// The row.
    pub id: BlobId,
    /// The blob.
    pub blake3: Blake3,
    /// Size in bytes.
    pub size: u64,
    /// Its state.
    pub state: State,
}

impl Garbage {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            blake3: row.get("blake3")?,
            size: row.get::<_, i64>("size")?.cast_unsigned(),
            state: row.get("state")?,
        })
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

    /// Returns the blobs without a reference that may have been without one since `before` or longer. A blob that was never
    /// published needs no grace.
    pub fn garbage(&self, before: i64, limit: usize) -> Result<Vec<Garbage>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT b.id, b.blake3, b.size, b.state FROM blob b
             WHERE b.maybe_unreferenced_at IS NOT NULL AND b.state <> 'deleting'
               AND (b.state = 'staged' OR b.maybe_unreferenced_at <= :before)
               AND NOT EXISTS (SELECT 1 FROM entry WHERE blob_id = b.id)
               AND NOT EXISTS (SELECT 1 FROM pin WHERE blob_id = b.id)
               AND NOT EXISTS (SELECT 1 FROM hold WHERE blob_id = b.id)
             ORDER BY b.maybe_unreferenced_at, b.id LIMIT :limit",
        )?;
        let rows = statement.query_map(named_params! {":before": before, ":limit": limit as i64}, Garbage::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the blobs that a gc was deleting when it ended.
    pub fn deleting(&self) -> Result<Vec<Garbage>> {
        // The second condition is that of the index, which SQLite doesn't see in the first.
        let sql = "SELECT id, blake3, size, state FROM blob WHERE state = 'deleting' AND state <> 'live'";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([], Garbage::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Transaction<'_> {
    /// Deletes entries from history for good, and records from which revision on their collections are complete.
    pub fn prune(&self, entries: &[PrunedEntry]) -> Result<()> {
        let mut delete = self.conn.prepare_cached("DELETE FROM entry WHERE id = ?1")?;
        let mut complete =
            self.conn.prepare_cached("UPDATE collection SET complete_since = max(complete_since, ?2) WHERE id = ?1")?;
        for entry in entries {
            delete.execute([entry.id])?;
            complete.execute((entry.collection_id, entry.removed))?;
        }
        Ok(())
    }

    /// Lets what was dropped by a clock that was ahead have been dropped at `now`: else it would stay until that time has come.
    pub fn end_times_after(&self, now: i64) -> Result<()> {
        let sql = "UPDATE blob SET maybe_unreferenced_at = ?1 WHERE maybe_unreferenced_at > ?1";
        self.conn.prepare_cached(sql)?.execute([now])?;
        self.conn.prepare_cached("UPDATE entry SET removed_at = ?1 WHERE removed_at > ?1")?.execute([now])?;
        Ok(())
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

    /// Sets a blob to be deleted, if nothing refers to it at this moment. Returns whether nothing did.
    pub fn set_deleting(&self, id: BlobId) -> Result<bool> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE blob SET state = 'deleting' WHERE id = ?1 AND state <> 'deleting'
               AND NOT EXISTS (SELECT 1 FROM entry WHERE blob_id = ?1)
               AND NOT EXISTS (SELECT 1 FROM pin WHERE blob_id = ?1)
               AND NOT EXISTS (SELECT 1 FROM hold WHERE blob_id = ?1)",
        )?;
        Ok(statement.execute([id])? == 1)
    }

    /// Deletes the rows of blobs whose names are durably gone: in one statement, since each that may be rolled back alone costs a
    /// journal of its own.
    pub fn delete_blobs(&self, ids: impl Iterator<Item = BlobId>) -> Result<()> {
        self.conn.execute_batch("CREATE TEMP TABLE IF NOT EXISTS gone(id INTEGER PRIMARY KEY); DELETE FROM gone;")?;
        let mut insert = self.conn.prepare_cached("INSERT INTO gone(id) VALUES(?1)")?;
        for id in ids {
            insert.execute([id])?;
        }
        let sql = "DELETE FROM blob WHERE id IN (SELECT id FROM gone) AND state = 'deleting'";
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}
