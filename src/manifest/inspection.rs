//! What was found out about a blob's accelerators. The report is JSON that `wheel::accelerator` wrote; here it is only kept.

use super::{BlobId, Result, Rows, Transaction};
use rusqlite::OptionalExtension;

/// The result of a look into a blob.
#[derive(Debug, Clone)]
pub struct InspectionRow {
    /// The version of the rules that were applied.
    pub engine: i64,
    /// Whether every member was read.
    pub is_deep: bool,
    /// The findings, as JSON.
    pub report: String,
}

impl Rows {
    /// Returns what is known about a blob.
    pub fn inspection(&self, blob: BlobId) -> Result<Option<InspectionRow>> {
        let sql = "SELECT engine, is_deep, report FROM inspection WHERE blob_id = ?1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let row = statement.query_row([blob], |row| {
            Ok(InspectionRow { engine: row.get("engine")?, is_deep: row.get("is_deep")?, report: row.get("report")? })
        });
        Ok(row.optional()?)
    }
}

impl Transaction<'_> {
    /// Keeps what was found. A quick look never takes the place of a deep one by the same rules.
    pub fn put_inspection(&self, blob: BlobId, inspection: &InspectionRow) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO inspection(blob_id, engine, is_deep, report) VALUES(?1, ?2, ?3, ?4)
             ON CONFLICT(blob_id) DO UPDATE SET engine = excluded.engine, is_deep = excluded.is_deep, report = excluded.report
             WHERE excluded.engine > inspection.engine OR (excluded.engine = inspection.engine AND excluded.is_deep >= inspection.is_deep)",
        )?;
        statement.execute((blob, inspection.engine, inspection.is_deep, &inspection.report))?;
        Ok(())
    }
}
