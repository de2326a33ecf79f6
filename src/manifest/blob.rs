//! Rows of blobs: which bytes belong to the store, whatever this folder has of them.

use super::file::state_of_blob;
use super::{BlobId, Result, Rows, State, Transaction};
use crate::digest::{Blake3, Digests, Sha256};
use crate::fs::Signature;
use rusqlite::{OptionalExtension, Row, named_params};

/// A blob's row, and that of its file. A blob without a file's row is lost.
#[derive(Debug, Clone)]
pub struct BlobRow {
    /// The row.
    pub id: BlobId,
    /// The blob's name.
    pub blake3: Blake3,
    /// The other digest.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size: u64,
    /// The state of its file.
    pub state: State,
    /// Moves when the blob is found lost.
    pub epoch: i64,
    /// The inode of the file when it was last known to be right.
    pub inode: Option<i64>,
    /// Its modification time then.
    pub modified_ns: Option<i64>,
    /// When verify last read it.
    pub verified_at: Option<i64>,
    /// When a lookup last gave it.
    pub used_at: Option<i64>,
    /// When it came.
    pub created_at: i64,
    /// The end of its object's key in the share; `None`: it has no object.
    pub generation: Option<String>,
}

macro_rules! select_blobs {
    ($rest:literal) => {
        concat!(
            "SELECT b.id, b.blake3, b.sha256, b.size, b.created_at, b.used_at, b.generation, ",
            state_of_blob!(),
            " AS state, coalesce(f.epoch, 0) AS epoch, f.inode, f.modified_ns, f.verified_at
             FROM blob b LEFT JOIN file f ON f.id = b.id ",
            $rest
        )
    };
}

impl BlobRow {
    /// Tells whether a file with this stat is the one that was last known to be right.
    pub fn is_file(&self, found: &Signature) -> bool {
        found.is_recorded(self.inode, self.size, self.modified_ns)
    }

    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            blake3: row.get("blake3")?,
            sha256: row.get("sha256")?,
            size: row.get::<_, i64>("size")?.cast_unsigned(),
            state: row.get("state")?,
            epoch: row.get("epoch")?,
            inode: row.get("inode")?,
            modified_ns: row.get("modified_ns")?,
            verified_at: row.get("verified_at")?,
            used_at: row.get("used_at")?,
            created_at: row.get("created_at")?,
            generation: row.get("generation")?,
        })
    }
}

impl Rows {
    /// Returns the blob with this BLAKE3 digest.
    pub fn find_blob(&self, blake3: &Blake3) -> Result<Option<BlobRow>> {
        let mut statement = self.conn.prepare_cached(select_blobs!("WHERE b.blake3 = ?1"))?;
        Ok(statement.query_row([blake3], BlobRow::from_row).optional()?)
    }

    /// Returns the blob with this SHA-256 digest.
    pub fn find_blob_by_sha256(&self, sha256: &Sha256) -> Result<Option<BlobRow>> {
        let mut statement = self.conn.prepare_cached(select_blobs!("WHERE b.sha256 = ?1"))?;
        Ok(statement.query_row([sha256], BlobRow::from_row).optional()?)
    }

    /// Returns the blob of a row.
    pub fn blob(&self, id: BlobId) -> Result<Option<BlobRow>> {
        let mut statement = self.conn.prepare_cached(select_blobs!("WHERE b.id = ?1"))?;
        Ok(statement.query_row([id], BlobRow::from_row).optional()?)
    }

    /// Returns the live and lost blobs of this folder that were not verified since `before` (all, when `None`), never verified ones first, then
    /// the least recently verified, among equals the largest. What was verified later than `now`, by a clock that was ahead, never was.
    pub fn blobs_to_verify(&self, before: Option<i64>, now: i64) -> Result<Vec<BlobRow>> {
        let mut statement = self.conn.prepare_cached(select_blobs!(
            "WHERE coalesce(f.state, 'lost') IN ('live', 'lost') AND (f.state IS 'live' OR b.generation IS NULL) AND (:before IS NULL OR f.state IS NOT 'live'
               OR iif(f.verified_at <= :now, f.verified_at, NULL) IS NULL OR iif(f.verified_at <= :now, f.verified_at, NULL) < :before)
             ORDER BY f.state IS NOT 'live' DESC, coalesce(f.verified_at <= :now, 0), iif(f.verified_at <= :now, f.verified_at, NULL),
               b.size DESC, b.id"
        ))?;
        let rows = statement.query_map(named_params! {":before": before, ":now": now}, BlobRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns all blobs, in the order of their digests.
    pub fn blobs(&self) -> Result<Vec<BlobRow>> {
        let mut statement = self.conn.prepare_cached(select_blobs!("ORDER BY b.blake3"))?;
        let rows = statement.query_map([], BlobRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the name in `quarantine/` that a blob's wrong bytes last got.
    pub fn quarantined(&self, blake3: &Blake3) -> Result<Option<String>> {
        let mut statement =
            self.conn.prepare_cached("SELECT name FROM quarantine WHERE blake3 = ?1 ORDER BY id DESC LIMIT 1")?;
        Ok(statement.query_row([blake3], |row| row.get(0)).optional()?)
    }

    /// Returns how many files with bad bytes were moved to `quarantine/`, ever.
    pub fn quarantined_count(&self) -> Result<u64> {
        let mut statement = self.conn.prepare_cached("SELECT count(*) FROM quarantine")?;
        Ok(statement.query_row([], |row| row.get::<_, i64>(0))?.cast_unsigned())
    }

    /// Returns how often bytes of this folder were found bad.
    pub fn losses(&self) -> Result<i64> {
        Ok(self.here("losses")?.and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// Counts the blobs and entries with times later than `at`: of a clock that was ahead.
    pub fn times_after(&self, at: i64) -> Result<i64> {
        let sql = "SELECT (SELECT count(*) FROM blob
                     WHERE max(created_at, coalesce(used_at, 0), coalesce(maybe_unreferenced_at, 0)) > ?1
                     OR id IN (SELECT id FROM file WHERE verified_at > ?1))
                   + (SELECT count(*) FROM entry WHERE max(uploaded_at, coalesce(removed_at, 0)) > ?1)";
        Ok(self.conn.prepare_cached(sql)?.query_row([at], |row| row.get(0))?)
    }
}

impl Transaction<'_> {
    /// Inserts a blob whose file is there.
    pub fn insert_blob(&self, row: &BlobRow) -> Result<()> {
        row.generation.as_deref().map_or(Ok(()), |generation| self.require_above_fence(generation))?;
        // Two imports may bring the same bytes at a time: the row of one serves both.
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO blob(id, blake3, sha256, size, created_at, generation)
             VALUES(:id, :blake3, :sha256, :size, :at, :generation)
             ON CONFLICT(id) DO NOTHING",
        )?;
        statement.execute(named_params! {
            ":id": row.id, ":blake3": row.blake3, ":sha256": row.sha256, ":size": row.size.cast_signed(),
            ":at": row.created_at, ":generation": row.generation,
        })?;
        Ok(())
    }

    /// Records that a blob's bytes are in a share, under this generation.
    pub fn set_object(&self, id: BlobId, generation: &str) -> Result<()> {
        self.conn.prepare_cached("UPDATE blob SET generation = ?2 WHERE id = ?1")?.execute((id, generation))?;
        Ok(())
    }

    /// Records that a blob was used, at most once a day.
    pub fn set_used(&self, id: BlobId, now: i64) -> Result<()> {
        let sql = "UPDATE blob SET used_at = ?2 WHERE id = ?1 AND coalesce(used_at, 0) NOT BETWEEN ?2 - 86400 AND ?2";
        self.conn.prepare_cached(sql)?.execute((id, now))?;
        Ok(())
    }

    /// Lets a row say what its blob's bytes are, after they were read. Returns whether there is such a row.
    pub fn correct_blob(&self, id: BlobId, digests: &Digests, size: u64) -> Result<bool> {
        let size = size.cast_signed();
        let sql = "UPDATE file SET blake3 = ?2, size = ?3, epoch = epoch + 1 WHERE id = ?1";
        self.conn.prepare_cached(sql)?.execute((id, digests.blake3, size))?;
        let sql = "UPDATE blob SET blake3 = ?2, sha256 = ?3, size = ?4 WHERE id = ?1";
        Ok(self.conn.prepare_cached(sql)?.execute((id, digests.blake3, digests.sha256, size))? == 1)
    }

    /// Records that bytes were moved to quarantine.
    pub fn insert_quarantine(&self, blake3: &Blake3, name: &str, at: i64) -> Result<()> {
        let sql = "INSERT INTO quarantine(blake3, name, at) VALUES(?1, ?2, ?3)";
        self.conn.prepare_cached(sql)?.execute((blake3, name, at))?;
        Ok(())
    }
}
