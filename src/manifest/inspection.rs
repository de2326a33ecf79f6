//! What was found out about a blob's accelerators. The report is JSON that `wheel::accelerator` wrote; here it is only kept.

use super::types::{joined, list};
use super::{BlobId, Result, Rows, Transaction};
use crate::digest::Sha256;
use crate::name::ProjectName;
use crate::wheel::accelerator::{Accelerator, ENGINE, Inspection};
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
    /// The accelerators that it requires or is.
    pub bound: Vec<Accelerator>,
}

impl InspectionRow {
    /// Makes the row of an inspection by today's rules.
    pub fn of(inspection: &Inspection) -> Self {
        let report = serde_json::to_string(inspection).expect("plain values become JSON");
        Self { engine: ENGINE, is_deep: inspection.is_deep, report, bound: inspection.bound() }
    }
}

/// A file that is bound to accelerators, whichever collections have it or had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundFile {
    /// Its digest.
    pub sha256: Sha256,
    /// Its filename.
    pub filename: String,
    /// Its project.
    pub project: ProjectName,
    /// Its version, normalised.
    pub version: String,
    /// The accelerators that it requires or is.
    pub accelerators: Vec<Accelerator>,
}

impl BoundFile {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            sha256: row.get("sha256")?,
            filename: row.get("filename")?,
            project: row.get("project")?,
            version: row.get("version")?,
            accelerators: list(row, "bound", ',')?,
        })
    }
}

impl Rows {
    /// Returns what is known about a blob.
    pub fn inspection(&self, blob: BlobId) -> Result<Option<InspectionRow>> {
        let sql = "SELECT engine, is_deep, report, bound FROM inspection WHERE blob_id = ?1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let row = statement.query_row([blob], |row| {
            Ok(InspectionRow {
                engine: row.get("engine")?,
                is_deep: row.get("is_deep")?,
                report: row.get("report")?,
                bound: list(row, "bound", ',')?,
            })
        });
        Ok(row.optional()?)
    }

    /// Returns the files of a project that are known to be bound to accelerators; of any project for `None`.
    pub fn bound_files(&self, project: Option<&ProjectName>) -> Result<Vec<BoundFile>> {
        let sql = match project {
            Some(_) => {
                "SELECT b.sha256, d.filename, d.project, d.version, i.bound FROM distribution d
                 JOIN inspection i ON i.blob_id = d.blob_id JOIN blob b ON b.id = d.blob_id WHERE d.project = ?1 AND i.bound <> ''"
            }
            // One statement for both would read all distributions.
            None => {
                "SELECT b.sha256, d.filename, d.project, d.version, i.bound FROM inspection i
                 JOIN distribution d ON d.blob_id = i.blob_id JOIN blob b ON b.id = i.blob_id WHERE i.bound <> '' AND ?1 IS NULL"
            }
        };
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([project], BoundFile::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns what changes with the blobs that are known to be bound to accelerators, and with what they are bound to: which, how
    /// many, and the sum of their numbers.
    pub fn bound_stamp(&self) -> Result<Vec<(String, i64, i64)>> {
        let sql =
            "SELECT bound, count(*), sum(blob_id) FROM inspection WHERE bound <> '' GROUP BY bound ORDER BY bound";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Transaction<'_> {
    /// Keeps what was found. A quick look never takes the place of a deep one by the same rules.
    pub fn put_inspection(&self, blob: BlobId, inspection: &InspectionRow) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO inspection(blob_id, engine, is_deep, report, bound) VALUES(?1, ?2, ?3, ?4, ?5)
             ON CONFLICT(blob_id) DO UPDATE SET engine = excluded.engine, is_deep = excluded.is_deep, report = excluded.report,
               bound = excluded.bound
             WHERE excluded.engine > inspection.engine OR (excluded.engine = inspection.engine AND excluded.is_deep >= inspection.is_deep)",
        )?;
        let bound = joined(&inspection.bound, ",");
        statement.execute((blob, inspection.engine, inspection.is_deep, &inspection.report, bound))?;
        Ok(())
    }
}
