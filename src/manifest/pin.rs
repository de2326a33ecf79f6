//! Pins, and the one list of all that keeps a blob: for `show` and `why` only, gc has its own probes.

use super::{BlobId, Result, Rows, Transaction};
use crate::digest::Blake3;
use rusqlite::named_params;
use serde::Serialize;

/// A pin.
#[derive(Debug, Clone)]
pub struct PinRow {
    /// The pinned blob.
    pub blake3: Blake3,
    /// Its row.
    pub blob: BlobId,
    /// Who needs it.
    pub owner: String,
    /// What for.
    pub reason: String,
    /// Since when.
    pub created_at: i64,
    /// Until when; `None`: until unpinned.
    pub expires_at: Option<i64>,
}

/// What keeps bytes that no collection lists any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DroppedKept {
    /// `tree` or `snapshot`.
    pub kind: String,
    /// The tree's folder, or the snapshot as `COLLECTION@NAME`.
    pub name: String,
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Something that keeps a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A session that is using it now.
    Hold {
        /// The command.
        command: String,
        /// Its process.
        pid: i64,
        /// Since when.
        since: i64,
    },
    /// A snapshot whose revision has it.
    Snapshot {
        /// The collection.
        collection: String,
        /// The snapshot's name.
        name: String,
        /// Since when.
        since: i64,
    },
    /// A tree on disk whose revision has it.
    View {
        /// The tree's folder.
        path: String,
        /// The collection.
        collection: String,
        /// The revision shown.
        revision: i64,
    },
}

impl Rows {
    /// Returns all pins, or those of a blob.
    pub fn pins(&self, blob: Option<BlobId>) -> Result<Vec<PinRow>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT b.blake3, p.blob_id, p.owner, p.reason, p.created_at, p.expires_at FROM pin p JOIN blob b ON b.id = p.blob_id
             WHERE ?1 IS NULL OR p.blob_id = ?1 ORDER BY p.owner, b.blake3",
        )?;
        let rows = statement.query_map([blob], |row| {
            Ok(PinRow {
                blake3: row.get("blake3")?,
                blob: row.get("blob_id")?,
                owner: row.get("owner")?,
                reason: row.get("reason")?,
                created_at: row.get("created_at")?,
                expires_at: row.get("expires_at")?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the holds, snapshots and views that keep a blob, beside its entries and pins.
    pub fn keepers(&self, blob: BlobId) -> Result<Vec<Reference>> {
        let mut keepers = Vec::new();
        let mut statement = self.conn.prepare_cached(
            "SELECT s.command, s.pid, s.started_at FROM blob b JOIN hold h ON h.blake3 = b.blake3
             JOIN session s ON s.id = h.session_id WHERE b.id = ?1",
        )?;
        let rows = statement.query_map([blob], |row| {
            Ok(Reference::Hold { command: row.get(0)?, pid: row.get(1)?, since: row.get(2)? })
        })?;
        keepers.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        let mut statement = self.conn.prepare_cached(
            "SELECT DISTINCT c.name, s.name, s.created_at FROM entry e
             JOIN snapshot s ON s.collection_id = e.collection_id AND s.revision >= e.added
               AND (e.removed IS NULL OR s.revision < e.removed)
             JOIN collection c ON c.id = e.collection_id WHERE e.blob_id = ?1 ORDER BY 1, 2",
        )?;
        let rows = statement.query_map([blob], |row| {
            Ok(Reference::Snapshot { collection: row.get(0)?, name: row.get(1)?, since: row.get(2)? })
        })?;
        keepers.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        let mut statement = self.conn.prepare_cached(
            "SELECT DISTINCT w.path, c.name, v.revision FROM entry e
             JOIN view_source v ON v.collection_id = e.collection_id AND v.revision >= e.added
               AND (e.removed IS NULL OR v.revision < e.removed)
             JOIN view w ON w.id = v.view_id
             JOIN collection c ON c.id = e.collection_id WHERE e.blob_id = ?1 ORDER BY 1, 2",
        )?;
        let rows = statement.query_map([blob], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for row in rows {
            let (path, collection, revision) = row?;
            keepers.push(Reference::View { path: self.tell_view(path)?, collection, revision });
        }
        Ok(keepers)
    }

    /// Returns the blobs whose entries no rule may drop: those that pins or holds keep.
    pub fn kept_blobs(&self, now: i64) -> Result<std::collections::HashSet<BlobId>> {
        // A cross join is walked in its order: holds are few.
        let mut statement = self.conn.prepare_cached(
            "SELECT blob_id FROM pin WHERE expires_at IS NULL OR expires_at > ?1 
             UNION SELECT b.id FROM hold h CROSS JOIN blob b ON b.blake3 = h.blake3",
        )?;
        let rows = statement.query_map([now], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns who keeps the bytes of what no collection lists any more: trees and snapshots that show an older revision.
    pub fn keepers_of_dropped(&self) -> Result<Vec<DroppedKept>> {
        let mut statement = self.conn.prepare_cached(
            "WITH dropped AS MATERIALIZED (
               SELECT e.collection_id, e.added, e.removed, b.id, b.size FROM entry e JOIN blob b ON b.id = e.blob_id
               WHERE e.removed IS NOT NULL AND NOT EXISTS (SELECT 1 FROM entry l WHERE l.blob_id = b.id AND l.removed IS NULL)
                 AND NOT EXISTS (SELECT 1 FROM pin WHERE blob_id = b.id)),
             kept AS (
               SELECT DISTINCT 'tree' AS kind, w.path AS name, d.id, d.size FROM dropped d JOIN view_source v
                 ON v.collection_id = d.collection_id AND v.revision >= d.added AND v.revision < d.removed JOIN view w ON w.id = v.view_id
               UNION SELECT 'snapshot', c.name || '@' || s.name, d.id, d.size FROM dropped d JOIN snapshot s
                 ON s.collection_id = d.collection_id AND s.revision >= d.added AND s.revision < d.removed
                 JOIN collection c ON c.id = s.collection_id)
             SELECT kind, name, count(*), sum(size) FROM kept GROUP BY kind, name ORDER BY sum(size) DESC, name",
        )?;
        let rows = statement.query_map([], |row| {
            let (files, bytes): (i64, i64) = (row.get(2)?, row.get(3)?);
            let (files, bytes) = (files.cast_unsigned(), bytes.cast_unsigned());
            Ok(DroppedKept { kind: row.get(0)?, name: row.get(1)?, files, bytes })
        })?;
        let told = |kept: DroppedKept| -> Result<DroppedKept> {
            let name = if kept.kind == "tree" { self.tell_view(kept.name)? } else { kept.name };
            Ok(DroppedKept { name, ..kept })
        };
        rows.map(|kept| told(kept?)).collect()
    }
}

impl Transaction<'_> {
    /// Pins a blob; an owner's earlier pin of it is replaced.
    pub fn insert_pin(&self, blob: BlobId, owner: &str, reason: &str, now: i64, expires_at: Option<i64>) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO pin(blob_id, owner, reason, created_at, expires_at) VALUES(:blob, :owner, :reason, :now, :expires_at)
             ON CONFLICT(blob_id, owner) DO UPDATE SET reason = excluded.reason, expires_at = excluded.expires_at",
        )?;
        statement.execute(named_params! {
            ":blob": blob, ":owner": owner, ":reason": reason, ":now": now, ":expires_at": expires_at,
        })?;
        Ok(())
    }

    /// Takes pins off a blob: one owner's, or all. Returns how many.
    pub fn delete_pins(&self, blob: BlobId, owner: Option<&str>) -> Result<usize> {
        let sql = "DELETE FROM pin WHERE blob_id = ?1 AND (?2 IS NULL OR owner = ?2)";
        Ok(self.conn.prepare_cached(sql)?.execute((blob, owner))?)
    }
}
