//! Counts: lookups that last beyond a process, and totals over blobs and entries.

use super::types::text_column;
use super::{CollectionId, Manifest, Result, Rows, Transaction};
use rusqlite::OptionalExtension;

text_column! {
    /// How a lookup ended, or that something was stored.
    Outcome {
        /// Found.
        Hit = "hit",
        /// Not found.
        Miss = "miss",
        /// A distribution came into a collection.
        Store = "store",
    }
}

/// A count over all days.
#[derive(Debug, Clone)]
pub struct LookupCount {
    /// The collection.
    pub collection: String,
    /// The remote; empty: the store itself.
    pub remote: String,
    /// What is counted.
    pub outcome: Outcome,
    /// How many.
    pub count: u64,
}

/// Totals of one collection or of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreTotals {
    /// How many: entries of a collection, blobs of the store.
    pub count: u64,
    /// Their bytes, each blob once.
    pub bytes: u64,
}

impl Rows {
    /// Returns all counts of lookups and stores.
    pub fn lookup_counts(&self) -> Result<Vec<LookupCount>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT collection, remote, outcome, sum(count) AS count FROM lookup_count
             GROUP BY collection, remote, outcome ORDER BY collection, remote, outcome",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(LookupCount {
                collection: row.get("collection")?,
                remote: row.get("remote")?,
                outcome: row.get("outcome")?,
                count: row.get::<_, i64>("count")?.cast_unsigned(),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn totals(&self, sql: &'static str, params: impl rusqlite::Params) -> Result<StoreTotals> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let totals = statement.query_row(params, |row| {
            let (count, bytes): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
            Ok(StoreTotals { count: count.cast_unsigned(), bytes: bytes.unwrap_or(0).cast_unsigned() })
        });
        Ok(totals.optional()?.unwrap_or_default())
    }

    /// Returns the number and bytes of blobs that have bytes.
    pub fn blob_totals(&self) -> Result<StoreTotals> {
        self.totals("SELECT count(*), sum(size) FROM file WHERE state = 'live'", [])
    }

    /// Returns the bytes of all live entries, a blob counted once for each: what separate folders would hold.
    pub fn entry_totals(&self) -> Result<StoreTotals> {
        self.totals(
            "SELECT count(*), sum(b.size) FROM entry e JOIN blob b ON b.id = e.blob_id WHERE e.removed IS NULL",
            [],
        )
    }

    /// Returns the blobs that some live entry has, each once.
    pub fn live_blob_totals(&self) -> Result<StoreTotals> {
        self.totals(
            "SELECT count(*), sum(size) FROM blob WHERE id IN (SELECT blob_id FROM entry WHERE removed IS NULL)",
            [],
        )
    }

    /// Returns the live entries of a collection and the bytes of their blobs.
    pub fn collection_totals(&self, collection: CollectionId) -> Result<StoreTotals> {
        self.totals(
            "SELECT (SELECT count(*) FROM entry WHERE collection_id = ?1 AND removed IS NULL), sum(size) FROM blob
             WHERE id IN (SELECT blob_id FROM entry WHERE collection_id = ?1 AND removed IS NULL)",
            [collection],
        )
    }

    /// Returns the blobs that are live in this collection and in no other, and their bytes.
    pub fn unique_totals(&self, collection: CollectionId) -> Result<StoreTotals> {
        self.totals(
            "SELECT count(*), sum(size) FROM blob
             WHERE id IN (SELECT blob_id FROM entry WHERE collection_id = ?1 AND removed IS NULL)
               AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.blob_id = blob.id AND e.removed IS NULL AND e.collection_id <> ?1)",
            [collection],
        )
    }
}

impl Manifest {
    /// Counts a lookup, as [`Self::write_relaxed`] does: that is true of this folder alone, so nothing collects what changes, and no shared
    /// log is asked.
    pub fn count_lookup(&self, now: i64, collection: &str, remote: &str, outcome: Outcome) -> Result<()> {
        self.relaxed(|| {
            let transaction = self.begin("BEGIN IMMEDIATE")?;
            transaction.add_count(now, collection, remote, outcome, 1)?;
            transaction.commit_here()
        })
    }
}

impl Transaction<'_> {
    /// Adds to a count of the day of `now`.
    pub fn add_count(&self, now: i64, collection: &str, remote: &str, outcome: Outcome, count: u64) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO lookup_count(day, collection, remote, outcome, count) VALUES(?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        statement.execute((now.div_euclid(86_400), collection, remote, outcome, count.cast_signed()))?;
        Ok(())
    }
}
