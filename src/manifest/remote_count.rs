//! How often remotes answered, by their name and day: what stays when a remote goes.

use super::types::text_column;
use super::{Result, Rows, Transaction};

text_column! {
    /// How a remote answered.
    RemoteOutcome {
        /// It had what was asked for.
        Hit = "hit",
        /// It had not.
        Miss = "miss",
        /// It gave no answer that could be used.
        Failure = "failure",
    }
}

/// How often a remote answered so: over all days, or what is added to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCount {
    /// The remote's name.
    pub remote: String,
    /// What is counted.
    pub outcome: RemoteOutcome,
    /// How many.
    pub count: u64,
    /// The bytes that came.
    pub bytes: u64,
    /// The time that it took.
    pub milliseconds: u64,
}

impl Rows {
    /// Returns all counts of remotes, those of remotes that are gone as well.
    pub fn remote_counts(&self) -> Result<Vec<RemoteCount>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT remote, outcome, sum(count) AS count, sum(bytes) AS bytes, sum(milliseconds) AS milliseconds
             FROM remote_count GROUP BY remote, outcome ORDER BY remote, outcome",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(RemoteCount {
                remote: row.get("remote")?,
                outcome: row.get("outcome")?,
                count: row.get::<_, i64>("count")?.cast_unsigned(),
                bytes: row.get::<_, i64>("bytes")?.cast_unsigned(),
                milliseconds: row.get::<_, i64>("milliseconds")?.cast_unsigned(),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Transaction<'_> {
    /// Adds to a remote's counts of the day of `now`.
    pub fn add_remote_count(&self, now: i64, added: &RemoteCount) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO remote_count(day, remote, outcome, count, bytes, milliseconds) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes,
               milliseconds = milliseconds + excluded.milliseconds",
        )?;
        let [count, bytes, milliseconds] = [added.count, added.bytes, added.milliseconds].map(u64::cast_signed);
        statement.execute((now.div_euclid(86_400), &added.remote, added.outcome, count, bytes, milliseconds))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest};
    use super::*;
    use std::time::Duration;

    fn manifest() -> (tempfile::TempDir, Manifest) {
        let dir = tempfile::tempdir().unwrap();
        let manifest =
            Manifest::open(&dir.path().join("manifest.sqlite"), Access::Create, Duration::from_secs(5)).unwrap();
        (dir, manifest)
    }

    #[test]
    fn counts_are_summed_over_days_and_outlive_their_remote() {
        let (_dir, manifest) = manifest();
        let transaction = manifest.write().unwrap();
        let count = |outcome, count, bytes, milliseconds| RemoteCount {
            remote: "gone".to_owned(),
            outcome,
            count,
            bytes,
            milliseconds,
        };
        for now in [0, 1, 90_000] {
            transaction.add_remote_count(now, &count(RemoteOutcome::Hit, 1, 100, 7)).unwrap();
        }
        transaction.add_remote_count(90_000, &count(RemoteOutcome::Failure, 1, 0, 30_000)).unwrap();
        let expected = [count(RemoteOutcome::Failure, 1, 0, 30_000), count(RemoteOutcome::Hit, 3, 300, 21)];
        assert_eq!(transaction.remote_counts().unwrap(), expected);
    }
}
