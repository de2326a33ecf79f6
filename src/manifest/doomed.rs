//! Objects in a share's bucket that no blob has any longer, and the fence below which no new blob may begin.

use super::{BlobRow, Error, Result, Rows, Transaction};
use crate::digest::Blake3;
use rusqlite::OptionalExtension;

/// The key in `meta` of the fence: generations below it are given to no blob any more.
const FENCE: &str = "fence";
/// The key in `here` of when the bucket was last looked through.
const SCANNED: &str = "scanned_at";
/// The key in `here` of the blob up to which this node has read the bucket's objects, in the order of their digests.
const READ_TO: &str = "read_to";

impl Rows {
    /// Returns the names of objects that were doomed at or before a time.
    pub fn doomed(&self, before: i64) -> Result<Vec<String>> {
        let mut statement = self.conn.prepare_cached("SELECT key FROM doomed WHERE since <= ?1 ORDER BY key")?;
        let names = statement.query_map([before], |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }

    /// Tells when this node last looked through the bucket.
    pub fn scanned_at(&self) -> Result<Option<i64>> {
        Ok(self.here(SCANNED)?.and_then(|at| at.parse().ok()))
    }

    /// Returns the blob up to which this node has read the bucket's objects; `None`: it begins with the first.
    pub fn objects_read_to(&self) -> Result<Option<Blake3>> {
        Ok(self.here(READ_TO)?.and_then(|blake3| blake3.parse().ok()))
    }

    /// Makes sure that no orphan scan has passed the generation of a blob that is about to come: its object may be doomed.
    pub(super) fn require_above_fence(&self, generation: &str) -> Result<()> {
        match self.meta(FENCE)? {
            Some(fence) if generation < fence.as_str() => Err(Error::Fenced),
            _ => Ok(()),
        }
    }
}

impl Transaction<'_> {
    /// Forgets doomed objects that are gone.
    pub fn delete_doomed(&self, names: &[String]) -> Result<()> {
        let mut delete = self.conn.prepare_cached("DELETE FROM doomed WHERE key = ?1")?;
        for name in names {
            delete.execute([name])?;
        }
        Ok(())
    }

    /// Raises the fence, and dooms the objects below it that no blob has. Returns how many.
    pub fn raise_fence(&self, fence: &str, objects: &[(Blake3, String)]) -> Result<usize> {
        let known = self.meta(FENCE)?;
        if known.is_none_or(|known| known.as_str() < fence) {
            self.set_meta(FENCE, fence)?;
        }
        let mut has = self.conn.prepare_cached("SELECT 1 FROM blob WHERE blake3 = ?1 AND generation = ?2")?;
        let mut doom =
            self.conn.prepare_cached("INSERT INTO doomed(key, since) VALUES(?1, 0) ON CONFLICT DO NOTHING")?;
        let mut count = 0;
        for (blake3, generation) in objects.iter().filter(|(_, generation)| generation.as_str() < fence) {
            let is_had = has.query_row((blake3, generation), |_| Ok(())).optional()?.is_some();
            if !is_had {
                count += doom.execute([format!("{blake3}.{generation}")])?;
            }
        }
        Ok(count)
    }

    /// Lets a blob's row name another object, if it still names the one that was seen, which is doomed. Returns whether it did.
    pub fn replace_object(&self, row: &BlobRow, generation: &str, now: i64) -> Result<bool> {
        self.require_above_fence(generation)?;
        let sql = "UPDATE blob SET generation = ?3 WHERE id = ?1 AND generation IS ?2";
        if self.conn.prepare_cached(sql)?.execute((row.id, &row.generation, generation))? == 0 {
            return Ok(false);
        }
        if let Some(old) = &row.generation {
            let sql = "INSERT INTO doomed(key, since) VALUES(?1, ?2) ON CONFLICT DO NOTHING";
            self.conn.prepare_cached(sql)?.execute((format!("{}.{old}", row.blake3), now))?;
        }
        Ok(true)
    }

    /// Records up to which blob this node has read the bucket's objects.
    pub fn set_objects_read_to(&self, blake3: &Blake3) -> Result<()> {
        self.set_here(READ_TO, &blake3.to_string())
    }

    /// Records that this node has looked through the bucket.
    pub fn set_scanned(&self, at: i64) -> Result<()> {
        self.set_here(SCANNED, &at.to_string())
    }
}
