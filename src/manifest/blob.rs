//! Rows of blobs: digests, state, and the stat of the file when its bytes were last known to be right.

use super::types::text_column;
use super::{BlobId, Result, Rows, Transaction};
use crate::digest::{Blake3, Digests, Sha256};
use crate::fs::Signature;
use rusqlite::{OptionalExtension, Row, named_params};

text_column! {
    /// The state of a blob.
    State {
        /// Its row is there; its name may not be yet.
        Staged = "staged",
        /// Its bytes are durable at its name.
        Live = "live",
        /// gc decided: the bytes go, then the row.
        Deleting = "deleting",
        /// Its bytes were found missing or wrong.
        Lost = "lost",
    }
}

/// A blob's row.
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
    /// Its state.
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
}

impl BlobRow {
    /// Tells whether a file with this stat is the one that was last known to be right.
    pub fn is_file(&self, found: &Signature) -> bool {
        matches!((self.inode, self.modified_ns), (Some(inode), Some(ns)) if found.is_same_file(inode, self.size, ns))
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
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
        })
    }
}

impl Rows {
    /// Returns the blob with this BLAKE3 digest.
    pub fn find_blob(&self, blake3: &Blake3) -> Result<Option<BlobRow>> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM blob WHERE blake3 = ?1")?;
        Ok(statement.query_row([blake3], BlobRow::from_row).optional()?)
    }

    /// Returns the blob with this SHA-256 digest.
    pub fn find_blob_by_sha256(&self, sha256: &Sha256) -> Result<Option<BlobRow>> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM blob WHERE sha256 = ?1")?;
        Ok(statement.query_row([sha256], BlobRow::from_row).optional()?)
    }

    /// Returns the blob of a row.
    pub fn blob(&self, id: BlobId) -> Result<Option<BlobRow>> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM blob WHERE id = ?1")?;
        Ok(statement.query_row([id], BlobRow::from_row).optional()?)
    }

    /// Returns a blob's state.
    pub fn state(&self, id: BlobId) -> Result<Option<State>> {
        let mut statement = self.conn.prepare_cached("SELECT state FROM blob WHERE id = ?1")?;
        Ok(statement.query_row([id], |row| row.get(0)).optional()?)
    }

    /// Tells whether some live blob has this size, so that bytes of that size may be known.
    pub fn has_size(&self, size: u64) -> Result<bool> {
        let mut statement =
            self.conn.prepare_cached("SELECT 1 FROM blob WHERE size = ?1 AND state = 'live' LIMIT 1")?;
        Ok(statement.exists([size.cast_signed()])?)
    }

    /// Returns the live and lost blobs that were not verified since `before` (all, when `None`), never verified ones first, then
    /// the least recently verified, among equals the largest. What was verified later than `now`, by a clock that was ahead, never was.
    pub fn blobs_to_verify(&self, before: Option<i64>, now: i64) -> Result<Vec<BlobRow>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT *, iif(verified_at <= :now, verified_at, NULL) AS at FROM blob WHERE state IN ('live', 'lost')
               AND (:before IS NULL OR state = 'lost' OR at IS NULL OR at < :before)
             ORDER BY state = 'lost' DESC, at IS NOT NULL, at, size DESC, id",
        )?;
        let rows = statement.query_map(named_params! {":before": before, ":now": now}, BlobRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns all blobs, in the order of their digests.
    pub fn blobs(&self) -> Result<Vec<BlobRow>> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM blob ORDER BY blake3")?;
        let rows = statement.query_map([], BlobRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the name in `quarantine/` that a blob's wrong bytes last got.
    pub fn quarantined(&self, blake3: &Blake3) -> Result<Option<String>> {
        let mut statement =
            self.conn.prepare_cached("SELECT name FROM quarantine WHERE blake3 = ?1 ORDER BY id DESC LIMIT 1")?;
        Ok(statement.query_row([blake3], |row| row.get(0)).optional()?)
    }

    /// Returns how often the store has found bytes bad.
    pub fn losses(&self) -> Result<i64> {
        Ok(self.meta("losses")?.and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// Returns how many blobs have lost their bytes and not found them again.
    pub fn lost_count(&self) -> Result<i64> {
        let sql = "SELECT count(*) FROM blob WHERE state = 'lost' AND state <> 'live'";
        Ok(self.conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }

    /// Returns the moment of the least recent verification among live blobs; `None` when there are none or one never was, as far as
    /// the clock of `now` knows.
    pub fn oldest_verification(&self, now: i64) -> Result<Option<i64>> {
        let sql =
            "SELECT CASE WHEN count(*) = count(iif(verified_at <= ?1, 1, NULL)) THEN min(verified_at) END FROM blob
                   WHERE state = 'live'";
        Ok(self.conn.prepare_cached(sql)?.query_row([now], |row| row.get(0))?)
    }

    /// Counts the blobs and entries with times later than `at`: of a clock that was ahead.
    pub fn times_after(&self, at: i64) -> Result<i64> {
        let sql = "SELECT (SELECT count(*) FROM blob
                     WHERE max(created_at, coalesce(verified_at, 0), coalesce(used_at, 0), coalesce(maybe_unreferenced_at, 0)) > ?1)
                   + (SELECT count(*) FROM entry WHERE max(uploaded_at, coalesce(removed_at, 0)) > ?1)";
        Ok(self.conn.prepare_cached(sql)?.query_row([at], |row| row.get(0))?)
    }
}

impl Transaction<'_> {
    /// Inserts a blob that is about to be published.
    pub fn insert_blob(&self, digests: &Digests, size: u64, now: i64) -> Result<BlobRow> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO blob(blake3, sha256, size, state, created_at) VALUES(:blake3, :sha256, :size, 'staged', :now)",
        )?;
        let id = statement.insert(named_params! {
            ":blake3": digests.blake3, ":sha256": digests.sha256, ":size": size.cast_signed(), ":now": now,
        })?;
        Ok(BlobRow {
            id: BlobId(id),
            blake3: digests.blake3,
            sha256: digests.sha256,
            size,
            state: State::Staged,
            epoch: 0,
            inode: None,
            modified_ns: None,
            verified_at: None,
            used_at: None,
            created_at: now,
        })
    }

    /// Sets a blob live with the stat of its file, if its epoch is the one that the caller saw before it judged the file. Returns
    /// whether it was.
    pub fn set_live(&self, id: BlobId, epoch: i64, found: &Signature) -> Result<bool> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE blob SET state = 'live', inode = :inode, modified_ns = :modified_ns
             WHERE id = :id AND epoch = :epoch AND state IN ('staged', 'live', 'lost')",
        )?;
        let count = statement.execute(named_params! {
            ":id": id, ":epoch": epoch, ":inode": found.inode, ":modified_ns": found.modified_ns,
        })?;
        Ok(count == 1)
    }

    /// Marks a live blob as lost. Returns false when it was not live.
    pub fn set_lost(&self, id: BlobId) -> Result<bool> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE blob SET state = 'lost', epoch = epoch + 1, verified_at = NULL WHERE id = ?1 AND state = 'live'",
        )?;
        let is_lost = statement.execute([id])? == 1;
        if is_lost {
            self.count_loss()?;
        }
        Ok(is_lost)
    }

    /// Records that the bytes of a live blob were bad and are right now: trees may have copies of the bad ones.
    pub fn set_healed(&self, id: BlobId) -> Result<()> {
        self.conn.prepare_cached("UPDATE blob SET epoch = epoch + 1 WHERE id = ?1")?.execute([id])?;
        self.count_loss()
    }

    fn count_loss(&self) -> Result<()> {
        let count = self.losses()? + 1;
        self.set_meta("losses", &count.to_string())
    }

    /// Records that a blob's bytes were read and found right; `found` is its file's stat.
    pub fn set_verified(&self, id: BlobId, epoch: i64, found: &Signature, at: i64) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE blob SET verified_at = :at, inode = :inode, modified_ns = :modified_ns, state = 'live'
             WHERE id = :id AND epoch = :epoch AND state IN ('live', 'lost')",
        )?;
        statement.execute(named_params! {
            ":id": id, ":at": at, ":epoch": epoch, ":inode": found.inode, ":modified_ns": found.modified_ns,
        })?;
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
        let sql = "UPDATE blob SET blake3 = ?2, sha256 = ?3, size = ?4, epoch = epoch + 1 WHERE id = ?1";
        Ok(self.conn.prepare_cached(sql)?.execute((id, digests.blake3, digests.sha256, size.cast_signed()))? == 1)
    }

    /// Records that bytes were moved to quarantine.
    pub fn insert_quarantine(&self, blake3: &Blake3, name: &str, at: i64) -> Result<()> {
        let sql = "INSERT INTO quarantine(blake3, name, at) VALUES(?1, ?2, ?3)";
        self.conn.prepare_cached(sql)?.execute((blake3, name, at))?;
        Ok(())
    }
}
