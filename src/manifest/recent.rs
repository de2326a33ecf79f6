//! What happened lately: operations, revisions and lookups by day, a bounded number of rows each.

use super::count::Outcome;
use super::{CollectionId, Result, RevisionRow, Rows};
use crate::name::CollectionName;

/// A count of one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCount {
    /// Days since 1970.
    pub day: i64,
    /// The collection; for a miss, what was asked.
    pub collection: String,
    /// What is counted.
    pub outcome: Outcome,
    /// How many.
    pub count: u64,
}

/// What an operation did to one collection.
#[derive(Debug, Clone)]
pub struct OperationRow {
    /// The collection.
    pub collection: CollectionName,
    /// The revision that it made, and the operation.
    pub revision: RevisionRow,
}

macro_rules! select_revisions {
    ($rest:literal) => {
        concat!(
            "SELECT c.name AS collection, r.number, r.operation_id, r.added, r.removed, o.at, o.kind, o.what, o.who,
                    o.undone_by ",
            $rest
        )
    };
}

impl Rows {
    /// Returns the counts of lookups and stores since a day, by day and collection.
    pub fn day_counts(&self, since: i64) -> Result<Vec<DayCount>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT day, collection, outcome, sum(count) AS count FROM lookup_count WHERE day >= ?1
             GROUP BY day, collection, outcome ORDER BY day, collection, outcome",
        )?;
        let rows = statement.query_map([since], |row| {
            Ok(DayCount {
                day: row.get("day")?,
                collection: row.get("collection")?,
                outcome: row.get("outcome")?,
                count: row.get::<_, i64>("count")?.cast_unsigned(),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns what the newest operations did, newest first; an operation has a row for each collection that it changed.
    pub fn recent_operations(&self, operations: u32) -> Result<Vec<OperationRow>> {
        let sql = select_revisions!(
            "FROM (SELECT * FROM operation ORDER BY id DESC LIMIT ?1) o
             JOIN revision r ON r.operation_id = o.id JOIN collection c ON c.id = r.collection_id
             ORDER BY o.id DESC, c.name"
        );
        self.operation_rows(sql, [operations])
    }

    /// Returns the newest revisions of a collection, newest first.
    pub fn recent_revisions(&self, collection: CollectionId, revisions: u32) -> Result<Vec<OperationRow>> {
        let sql = select_revisions!(
            "FROM revision r JOIN operation o ON o.id = r.operation_id JOIN collection c ON c.id = r.collection_id
             WHERE r.collection_id = ?1 ORDER BY r.number DESC LIMIT ?2"
        );
        self.operation_rows(sql, (collection, revisions))
    }

    /// Returns one revision of a collection, with the operation that made it.
    pub fn revision_row(&self, collection: CollectionId, number: i64) -> Result<Option<OperationRow>> {
        let sql = select_revisions!(
            "FROM revision r JOIN operation o ON o.id = r.operation_id JOIN collection c ON c.id = r.collection_id
             WHERE r.collection_id = ?1 AND r.number = ?2"
        );
        Ok(self.operation_rows(sql, (collection, number))?.pop())
    }

    /// Returns what the newest operations before one did, newest first: of one collection or of all.
    pub fn operations_before(
        &self,
        only: Option<CollectionId>,
        before: i64,
        operations: u32,
    ) -> Result<Vec<OperationRow>> {
        let Some(collection) = only else {
            let sql = select_revisions!(
                "FROM (SELECT * FROM operation WHERE id < ?1 ORDER BY id DESC LIMIT ?2) o
                 JOIN revision r ON r.operation_id = o.id JOIN collection c ON c.id = r.collection_id
                 ORDER BY o.id DESC, c.name"
            );
            return self.operation_rows(sql, (before, operations));
        };
        let sql = select_revisions!(
            "FROM revision r JOIN operation o ON o.id = r.operation_id JOIN collection c ON c.id = r.collection_id
             WHERE r.collection_id = ?3 AND r.operation_id < ?1 ORDER BY r.number DESC LIMIT ?2"
        );
        self.operation_rows(sql, (before, operations, collection))
    }

    fn operation_rows(&self, sql: &'static str, params: impl rusqlite::Params) -> Result<Vec<OperationRow>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params, |row| {
            Ok(OperationRow { collection: row.get("collection")?, revision: RevisionRow::from_row(row)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
