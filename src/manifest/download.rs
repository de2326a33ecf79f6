//! How often files were downloaded from here, by day. That is true of this folder alone; counts may be lost, so no writer waits for them.

use super::{Result, Rows, Transaction};
use crate::digest::Sha256;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// So often a file was downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// The file's digest.
    pub sha256: Sha256,
    /// The collection that has it.
    pub collection: String,
    /// How often.
    pub count: u64,
}

impl Rows {
    /// Returns how often a file was downloaded since a day, by day; of one collection or of all.
    pub fn downloads_by_day(&self, sha256: &Sha256, collection: Option<&str>, since: i64) -> Result<Vec<(i64, u64)>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT day, sum(count) FROM download WHERE sha256 = ?1 AND (?2 IS NULL OR collection = ?2) AND day >= ?3
             GROUP BY day ORDER BY day",
        )?;
        let rows = statement
            .query_map((sha256, collection, since), |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns how often a file was downloaded, as far as that is known; of one collection or of all.
    pub fn download_count(&self, sha256: &Sha256, collection: Option<&str>) -> Result<u64> {
        let sql = "SELECT coalesce(sum(count), 0) FROM download WHERE sha256 = ?1 AND (?2 IS NULL OR collection = ?2)";
        let count: i64 = self.conn.prepare_cached(sql)?.query_row((sha256, collection), |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }
}

impl Transaction<'_> {
    /// Adds to a file's count of the day of `now`.
    pub fn add_downloads(&self, now: i64, own: &Downloaded) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO download(sha256, collection, day, count) VALUES(?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        let Downloaded { sha256, collection, count } = own;
        statement.execute((sha256, collection, now.div_euclid(DAY), count.cast_signed()))?;
        Ok(())
    }

    /// Forgets the counts of days before the day of a time.
    pub fn forget_downloads(&self, before: i64) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM download WHERE day < ?1")?.execute([before.div_euclid(DAY)])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest};
    use super::*;
    use std::time::Duration;

    #[test]
    fn counts_add_up_by_day_and_old_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest"), Access::Create, Duration::ZERO).unwrap();
        let (one, other) = (Sha256::of(b"one"), Sha256::of(b"other"));
        let of = |sha256, collection: &str, count| Downloaded { sha256, collection: collection.to_owned(), count };
        let transaction = manifest.write().unwrap();
        let first = [of(one, "cuda", 2), of(one, "rocm", 1), of(other, "cuda", 7)];
        first.iter().for_each(|own| transaction.add_downloads(5 * DAY, own).unwrap());
        transaction.add_downloads(5 * DAY + 9, &of(one, "cuda", 1)).unwrap();
        transaction.add_downloads(7 * DAY, &of(one, "cuda", 4)).unwrap();
        transaction.commit().unwrap();
        assert_eq!(manifest.downloads_by_day(&one, None, 0).unwrap(), [(5, 4), (7, 4)]);
        assert_eq!(manifest.downloads_by_day(&one, Some("cuda"), 6).unwrap(), [(7, 4)]);
        assert_eq!(manifest.download_count(&one, None).unwrap(), 8);
        let transaction = manifest.write().unwrap();
        transaction.forget_downloads(7 * DAY - 1).unwrap();
        transaction.commit().unwrap();
        assert_eq!(manifest.downloads_by_day(&one, None, 0).unwrap(), [(5, 4), (7, 4)].split_at(1).1);
        assert_eq!(manifest.download_count(&other, Some("cuda")).unwrap(), 0);
    }
}
