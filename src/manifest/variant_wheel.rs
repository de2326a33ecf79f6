//! What variant wheels say of their variants, to the byte, and which collections hide them.

use super::{BlobId, Result, Rows, Transaction};
use rusqlite::OptionalExtension;

impl Rows {
    /// Returns the bytes of a variant wheel's `variant.json`.
    pub fn variant_json(&self, blob: BlobId) -> Result<Option<Vec<u8>>> {
        let mut statement = self.conn.prepare_cached("SELECT bytes FROM variant_json WHERE blob_id = ?1")?;
        Ok(statement.query_row([blob], |row| row.get(0)).optional()?)
    }
}

impl Transaction<'_> {
    /// Keeps the bytes of a variant wheel's `variant.json`.
    pub(super) fn insert_variant_json(&self, blob: BlobId, bytes: &[u8]) -> Result<()> {
        let sql = "INSERT INTO variant_json(blob_id, bytes) VALUES(?1, ?2) ON CONFLICT DO NOTHING";
        self.conn.prepare_cached(sql)?.execute((blob, bytes))?;
        Ok(())
    }
}
