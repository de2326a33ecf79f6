//! What a node of a shared store may let go: files whose bytes the share has, and that nothing here needs.

use super::view::own_views;
use super::{BlobId, BlobRow, Result, Rows, Transaction};
use rusqlite::named_params;
use std::collections::HashSet;

impl Rows {
    /// Returns the bytes of all files that are in this folder.
    pub fn bytes_here(&self) -> Result<u64> {
        let sql = "SELECT coalesce(sum(size), 0) FROM file WHERE state = 'live'";
        let bytes: i64 = self.conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(bytes.cast_unsigned())
    }

    /// Returns the files that the share has as well, that no tree of this folder shows, no command keeps, and that were neither used nor
    /// new since `before`: the least recently used ones first.
    pub fn evictable(&self, before: i64) -> Result<Vec<BlobRow>> {
        let mut statement = self.conn.prepare_cached(
            "WITH shown(id) AS MATERIALIZED (
               SELECT e.blob_id FROM view w JOIN view_source v ON v.view_id = w.id
                 JOIN entry e ON e.collection_id = v.collection_id AND e.added <= v.revision AND coalesce(e.removed > v.revision, 1)
               WHERE w.path GLOB :own || '/*')
             SELECT b.*, f.state, f.epoch, f.inode, f.modified_ns, f.verified_at FROM file f JOIN blob b ON b.id = f.id
             WHERE f.state = 'live' AND b.generation IS NOT NULL AND max(coalesce(b.used_at, 0), b.created_at) < :before
               AND b.id NOT IN (SELECT id FROM shown)
               AND NOT EXISTS (SELECT 1 FROM hold WHERE blake3 = b.blake3)
             ORDER BY max(coalesce(b.used_at, 0), b.created_at), b.id",
        )?;
        let own = own_views(self.node()?);
        let rows = statement.query_map(named_params! {":own": own, ":before": before}, BlobRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Transaction<'_> {
    /// Sets files to be deleted whose bytes the share has, if nothing keeps them at this moment. Returns those that are to be deleted now;
    /// their blobs stay.
    pub fn evict(&self, ids: impl Iterator<Item = BlobId>) -> Result<HashSet<BlobId>> {
        self.name_gone(ids)?;
        let sql = "UPDATE file SET state = 'deleting' WHERE id IN (SELECT id FROM gone) AND state = 'live'
               AND EXISTS (SELECT 1 FROM blob WHERE id = file.id AND generation IS NOT NULL)
               AND NOT EXISTS (SELECT 1 FROM hold WHERE blake3 = file.blake3) RETURNING id";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
