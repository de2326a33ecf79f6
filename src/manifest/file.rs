//! Rows of files: which bytes are in this folder, their state, and the stat of the file when they were last known to be right.
//!
//! A file's row is there before its blob's and after it: `staged` while an import publishes the bytes, `deleting` while gc removes
//! them. Both have the same number, and each its digest, so that either can be looked for alone.

use super::types::text_column;
use super::{BlobId, BlobRow, Result, Rows, Transaction};
use crate::digest::{Blake3, Digests};
use crate::fs::Signature;
use rusqlite::{OptionalExtension, named_params};

text_column! {
    /// The state of a file.
    State {
        /// Its row is there; its name may not be yet.
        Staged = "staged",
        /// Its bytes are durable at its name.
        Live = "live",
        /// gc decided: the bytes go, then the row.
        Deleting = "deleting",
        /// Its bytes were found missing or wrong.
        Lost = "lost",
        /// Its bytes are not in this folder, and the store's share has them. No row says this: it follows.
        Elsewhere = "elsewhere",
    }
}

impl State {
    /// Tells whether the bytes can be had: they are here, or are fetched when they are wanted.
    pub fn is_available(self) -> bool {
        matches!(self, Self::Live | Self::Elsewhere)
    }
}

/// The state of a blob `b` by its file `f`, as a column: without a good file it is elsewhere where it has an object in the share, else lost.
macro_rules! state_of_blob {
    () => {
        "iif(b.generation IS NOT NULL AND f.state IS NOT 'live' AND f.state IS NOT 'deleting', 'elsewhere', coalesce(f.state, 'lost'))"
    };
}
pub(super) use state_of_blob;

impl Rows {
    /// Returns the file with these bytes, as the row that its blob has or is to have.
    pub fn find_file(&self, digests: &Digests, now: i64) -> Result<Option<BlobRow>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT *, :sha256 AS sha256, NULL AS used_at, NULL AS generation, :now AS created_at FROM file WHERE blake3 = :blake3",
        )?;
        let params = named_params! {":blake3": digests.blake3, ":sha256": digests.sha256, ":now": now};
        Ok(statement.query_row(params, BlobRow::from_row).optional()?)
    }

    /// Tells whether a file with this digest is in this folder, or is coming or going.
    pub fn has_file(&self, blake3: &Blake3) -> Result<bool> {
        Ok(self.conn.prepare_cached("SELECT 1 FROM file WHERE blake3 = ?1")?.exists([blake3])?)
    }

    /// Returns the state of a blob's file.
    pub fn state(&self, id: BlobId) -> Result<Option<State>> {
        let mut statement = self.conn.prepare_cached("SELECT state FROM file WHERE id = ?1")?;
        Ok(statement.query_row([id], |row| row.get(0)).optional()?)
    }

    /// Tells whether some live file has this size, so that bytes of that size may be known.
    pub fn has_size(&self, size: u64) -> Result<bool> {
        let mut statement =
            self.conn.prepare_cached("SELECT 1 FROM file WHERE size = ?1 AND state = 'live' LIMIT 1")?;
        Ok(statement.exists([size.cast_signed()])?)
    }

    /// Returns how many blobs have lost their bytes and not found them again.
    pub fn lost_count(&self) -> Result<i64> {
        // The second condition is that of the index, which SQLite doesn't see in the first.
        let sql = "SELECT count(*) FROM file WHERE state = 'lost' AND state <> 'live'";
        Ok(self.conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }

    /// Returns the moment of the least recent verification among live files; `None` when there are none or one never was, as far as
    /// the clock of `now` knows.
    pub fn oldest_verification(&self, now: i64) -> Result<Option<i64>> {
        let sql =
            "SELECT CASE WHEN count(*) = count(iif(verified_at <= ?1, 1, NULL)) THEN min(verified_at) END FROM file
                   WHERE state = 'live'";
        Ok(self.conn.prepare_cached(sql)?.query_row([now], |row| row.get(0))?)
    }
}

/// How far verify has come with the files of this folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// When a file was last read, in seconds since 1970.
    pub newest: Option<i64>,
    /// How many were never read since they came.
    pub never: u64,
}

impl Rows {
    /// Tells how far verify has come, as far as the clock of `now` knows.
    pub fn verified(&self, now: i64) -> Result<Verified> {
        let sql = "SELECT max(iif(verified_at <= ?1, verified_at, NULL)), count(*) - count(verified_at) FROM file WHERE state = 'live'";
        Ok(self.conn.prepare_cached(sql)?.query_row([now], |row| {
            Ok(Verified { newest: row.get(0)?, never: row.get::<_, i64>(1)?.cast_unsigned() })
        })?)
    }
}

impl Transaction<'_> {
    /// Inserts a file that is about to be published; returns the row that its blob is to have. `None`: there is one.
    pub fn insert_file(&self, digests: &Digests, size: u64, now: i64) -> Result<Option<BlobRow>> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO file(id, blake3, size, state) VALUES(:id, :blake3, :size, 'staged') ON CONFLICT(blake3) DO NOTHING
             RETURNING *, :sha256 AS sha256, NULL AS used_at, NULL AS generation, :now AS created_at",
        )?;
        let params = named_params! {
            ":id": self.file_number()?, ":blake3": digests.blake3, ":size": size.cast_signed(), ":sha256": digests.sha256, ":now": now,
        };
        Ok(statement.query_row(params, BlobRow::from_row).optional()?)
    }

    /// Inserts the row of a blob's file that has none: as lost, or as one that is about to come. Returns whether it had none.
    pub(super) fn insert_absent_file(&self, id: BlobId) -> Result<bool> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO file(id, blake3, size, state) SELECT id, blake3, size, iif(generation IS NULL, 'lost', 'staged')
             FROM blob WHERE id = ?1
             ON CONFLICT DO NOTHING",
        )?;
        Ok(statement.execute([id])? == 1)
    }

    /// Sets a file live with its stat, if its epoch is the one that the caller saw before it judged the file. Returns whether it
    /// was.
    pub fn set_live(&self, id: BlobId, epoch: i64, found: &Signature) -> Result<bool> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE file SET state = 'live', inode = :inode, modified_ns = :modified_ns
             WHERE id = :id AND epoch = :epoch AND state IN ('staged', 'live', 'lost')",
        )?;
        let count = statement.execute(named_params! {
            ":id": id, ":epoch": epoch, ":inode": found.inode, ":modified_ns": found.modified_ns,
        })?;
        Ok(count == 1)
    }

    /// Marks a live file as lost. Returns false when it was not live.
    pub fn set_lost(&self, id: BlobId) -> Result<bool> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE file SET state = 'lost', epoch = epoch + 1, verified_at = NULL WHERE id = ?1 AND state = 'live'",
        )?;
        let is_lost = statement.execute([id])? == 1;
        if is_lost {
            self.count_loss()?;
        }
        Ok(is_lost)
    }

    /// Records that the bytes of a live file were bad and are right now: trees may have copies of the bad ones.
    pub fn set_healed(&self, id: BlobId) -> Result<()> {
        self.conn.prepare_cached("UPDATE file SET epoch = epoch + 1 WHERE id = ?1")?.execute([id])?;
        self.count_loss()
    }

    fn count_loss(&self) -> Result<()> {
        let count = self.losses()? + 1;
        self.set_here("losses", &count.to_string())
    }

    /// Records that a blob's bytes were read and found right; `found` is its file's stat. A blob without a file's row gets one.
    pub fn set_verified(&self, id: BlobId, epoch: i64, found: &Signature, at: i64) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO file(id, blake3, size, state, inode, modified_ns, verified_at)
             SELECT id, blake3, size, 'live', :inode, :modified_ns, :at FROM blob WHERE id = :id
             ON CONFLICT(id) DO UPDATE SET verified_at = :at, inode = :inode, modified_ns = :modified_ns, state = 'live'
             WHERE epoch = :epoch AND state IN ('live', 'lost')",
        )?;
        statement.execute(named_params! {
            ":id": id, ":at": at, ":epoch": epoch, ":inode": found.inode, ":modified_ns": found.modified_ns,
        })?;
        Ok(())
    }
}
