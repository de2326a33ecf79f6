//! Whose a name is: projects that a collection has or had, names that it reserves, and what must not come back.

use super::{CollectionId, Result, Rows, Transaction};
use crate::name::{CollectionName, ProjectName};
use crate::requirement::ProjectPattern;
use rusqlite::{OptionalExtension, Row};

/// A name, or many, that a collection owns before it has a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Reservation {
    /// The collection.
    pub collection: CollectionName,
    /// The names.
    pub pattern: ProjectPattern,
    /// Why.
    pub reason: Option<String>,
    /// Since when, in seconds since 1970.
    pub reserved_at: i64,
}

/// What must not come back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BlockRow {
    /// The collection; `None`: all of them.
    pub collection: Option<CollectionName>,
    /// Versions or files, as they were written.
    pub spec: String,
    /// Why.
    pub reason: String,
    /// Since when, in seconds since 1970.
    pub blocked_at: i64,
}

impl Reservation {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let pattern: String = row.get("pattern")?;
        let pattern = pattern.parse().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
        })?;
        let (collection, reason) = (row.get("name")?, row.get("reason")?);
        Ok(Self { collection, pattern, reason, reserved_at: row.get("reserved_at")? })
    }
}

impl BlockRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            collection: row.get("name")?,
            spec: row.get("spec")?,
            reason: row.get("reason")?,
            blocked_at: row.get("blocked_at")?,
        })
    }
}

impl Rows {
    /// Returns, if a collection has, or ever had, files of a project that came from no stranger, whether all were made from somebody's
    /// source.
    pub fn owned_project(&self, collection: CollectionId, project: &ProjectName) -> Result<Option<bool>> {
        let sql = "SELECT has_upstream FROM owned_project WHERE collection_id = ?1 AND project = ?2";
        Ok(self.conn.prepare_cached(sql)?.query_row((collection, project), |row| row.get(0)).optional()?)
    }

    /// Returns of how many projects a collection has, or ever had, such files.
    pub fn owned_project_count(&self, collection: CollectionId) -> Result<u64> {
        let sql = "SELECT count(*) FROM owned_project WHERE collection_id = ?1";
        let count: i64 = self.conn.prepare_cached(sql)?.query_row([collection], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    /// Returns what a collection reserves, by pattern; `None`: what all do.
    pub fn reservations(&self, collection: Option<CollectionId>) -> Result<Vec<Reservation>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT c.name, r.pattern, r.reason, r.reserved_at FROM reservation r JOIN collection c ON c.id = r.collection_id
             WHERE ?1 IS NULL OR r.collection_id = ?1 ORDER BY c.name, r.pattern",
        )?;
        let rows = statement.query_map([collection], Reservation::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns what must not come back, the oldest first.
    pub fn blocks(&self) -> Result<Vec<BlockRow>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT c.name, b.spec, b.reason, b.blocked_at FROM block b LEFT JOIN collection c ON c.id = b.collection_id
             ORDER BY b.id",
        )?;
        let rows = statement.query_map([], BlockRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Transaction<'_> {
    /// Reserves names for a collection; a reservation of the same names gets the new reason.
    pub fn put_reservation(
        &self,
        collection: CollectionId,
        pattern: &ProjectPattern,
        reason: Option<&str>,
        now: i64,
    ) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO reservation(collection_id, pattern, reason, reserved_at) VALUES(?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET reason = excluded.reason",
        )?;
        statement.execute((collection, pattern.as_str(), reason, now))?;
        Ok(())
    }

    /// Lets reserved names go. Returns whether they were reserved.
    pub fn delete_reservation(&self, collection: CollectionId, pattern: &ProjectPattern) -> Result<bool> {
        let sql = "DELETE FROM reservation WHERE collection_id = ?1 AND pattern = ?2";
        Ok(self.conn.prepare_cached(sql)?.execute((collection, pattern.as_str()))? == 1)
    }

    /// Keeps something out of a collection, or of all; what is kept out already gets the new reason.
    pub fn put_block(&self, collection: Option<CollectionId>, spec: &str, reason: &str, now: i64) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO block(collection_id, spec, reason, blocked_at) VALUES(?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET reason = excluded.reason",
        )?;
        statement.execute((collection, spec, reason, now))?;
        Ok(())
    }

    /// Lets something in again. Returns whether it was kept out.
    pub fn delete_block(&self, collection: Option<CollectionId>, spec: &str) -> Result<bool> {
        let sql = "DELETE FROM block WHERE coalesce(collection_id, 0) = coalesce(?1, 0) AND spec = ?2";
        Ok(self.conn.prepare_cached(sql)?.execute((collection, spec))? == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest};
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_collection_reserves_names_and_what_is_blocked_is_blocked_once() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest.sqlite"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let make = |name: &str| transaction.insert_collection(&name.parse().unwrap(), 1).unwrap();
        let (ours, other) = (make("ours"), make("other"));
        let (acme, plain): (ProjectPattern, ProjectPattern) = ("acme-*".parse().unwrap(), "demo".parse().unwrap());
        transaction.put_reservation(ours, &acme, None, 5).unwrap();
        transaction.put_reservation(ours, &acme, Some("ours"), 6).unwrap();
        transaction.put_reservation(other, &plain, None, 7).unwrap();
        let rows = transaction.reservations(Some(ours)).unwrap();
        assert_eq!((rows.len(), rows[0].reason.as_deref(), rows[0].reserved_at), (1, Some("ours"), 5));
        assert_eq!(transaction.reservations(None).unwrap().len(), 2);
        assert!(transaction.delete_reservation(ours, &acme).unwrap());
        assert!(!transaction.delete_reservation(ours, &acme).unwrap());

        transaction.put_block(None, "demo==1.0", "bad", 5).unwrap();
        transaction.put_block(None, "demo==1.0", "worse", 6).unwrap();
        transaction.put_block(Some(ours), "demo==1.0", "here", 7).unwrap();
        let told: Vec<_> = transaction.blocks().unwrap().into_iter().map(|row| (row.collection, row.reason)).collect();
        assert_eq!(told, [(None, "worse".to_owned()), (Some("ours".parse().unwrap()), "here".to_owned())]);
        assert!(transaction.delete_block(None, "demo==1.0").unwrap());
        assert!(!transaction.delete_block(Some(other), "demo==1.0").unwrap());
        assert_eq!(transaction.blocks().unwrap().len(), 1);
    }
}
