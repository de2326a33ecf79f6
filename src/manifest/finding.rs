//! Files that people look for by a part of their name or by the beginning of a digest: a bounded number of rows.

use super::{BlobId, CollectionId, Result, Rows};
use crate::digest::Sha256;
use crate::name::ProjectName;
use rusqlite::named_params;

/// A file that was found in a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// The filename.
    pub filename: String,
    /// Its project.
    pub project: ProjectName,
    /// Its digest.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size: u64,
}

impl Rows {
    /// Returns the live files of a collection whose names have a text, in small letters, by name: so many, after those that are skipped.
    pub fn files_named(&self, collection: CollectionId, text: &str, skipped: u64, most: u64) -> Result<Vec<FoundFile>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT e.filename, d.project, b.sha256, b.size FROM
               (SELECT filename, blob_id FROM entry WHERE collection_id = :collection AND removed IS NULL
                  AND instr(lower(filename), :text) > 0 ORDER BY filename LIMIT :most OFFSET :skipped) e
             JOIN distribution d ON d.blob_id = e.blob_id AND d.filename = e.filename JOIN blob b ON b.id = e.blob_id
             ORDER BY e.filename",
        )?;
        let params = named_params! {
            ":collection": collection, ":text": text, ":most": most.cast_signed(), ":skipped": skipped.cast_signed(),
        };
        let rows = statement.query_map(params, |row| {
            Ok(FoundFile {
                filename: row.get(0)?,
                project: row.get(1)?,
                sha256: row.get(2)?,
                size: row.get::<_, i64>(3)?.cast_unsigned(),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns how many live files of a collection have a text in their names.
    pub fn count_files_named(&self, collection: CollectionId, text: &str) -> Result<u64> {
        let sql = "SELECT count(*) FROM entry WHERE collection_id = ?1 AND removed IS NULL AND instr(lower(filename), ?2) > 0";
        let count: i64 = self.conn.prepare_cached(sql)?.query_row((collection, text), |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    /// Returns the blobs whose SHA-256 or BLAKE3 digest is between two, those included; at most so many of each.
    pub fn blobs_between(&self, first: &[u8; 32], last: &[u8; 32], most: u64) -> Result<Vec<BlobId>> {
        let mut found = Vec::new();
        for sql in [
            "SELECT id FROM blob WHERE sha256 BETWEEN ?1 AND ?2 ORDER BY sha256 LIMIT ?3",
            "SELECT id FROM blob WHERE blake3 BETWEEN ?1 AND ?2 ORDER BY blake3 LIMIT ?3",
        ] {
            let mut statement = self.conn.prepare_cached(sql)?;
            let rows = statement.query_map((first, last, most.cast_signed()), |row| row.get(0))?;
            found.extend(rows.collect::<rusqlite::Result<Vec<BlobId>>>()?);
        }
        Ok(found)
    }
}
