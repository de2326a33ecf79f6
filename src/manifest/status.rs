//! The status of projects, by collection (PEP 792). A project without a row is active.

use super::{CollectionId, Result, Rows, Transaction};
use crate::name::ProjectName;
use crate::status::Status;
use rusqlite::{OptionalExtension, Row};

/// A project that isn't simply active.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StatusRow {
    /// The project.
    pub project: ProjectName,
    /// Its status.
    pub status: Status,
    /// Why, for people.
    pub reason: Option<String>,
}

impl StatusRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { project: row.get("project")?, status: row.get("status")?, reason: row.get("reason")? })
    }
}

impl Rows {
    /// Returns the status of a project in a collection; `None`: active.
    pub fn project_status(&self, collection: CollectionId, project: &ProjectName) -> Result<Option<StatusRow>> {
        let sql = "SELECT project, status, reason FROM project_status WHERE collection_id = ?1 AND project = ?2";
        Ok(self.conn.prepare_cached(sql)?.query_row((collection, project), StatusRow::from_row).optional()?)
    }

    /// Returns the projects of a collection that aren't simply active, by name.
    pub fn project_statuses(&self, collection: CollectionId) -> Result<Vec<StatusRow>> {
        let sql = "SELECT project, status, reason FROM project_status WHERE collection_id = ?1 ORDER BY project";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([collection], StatusRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Transaction<'_> {
    /// Sets the status of a project in a collection.
    pub fn set_project_status(&self, collection: CollectionId, row: &StatusRow) -> Result<()> {
        if row.status == Status::Active {
            let sql = "DELETE FROM project_status WHERE collection_id = ?1 AND project = ?2";
            self.conn.prepare_cached(sql)?.execute((collection, &row.project))?;
            return Ok(());
        }
        let sql = "INSERT INTO project_status(collection_id, project, status, reason) VALUES(?1, ?2, ?3, ?4)
                   ON CONFLICT DO UPDATE SET status = excluded.status, reason = excluded.reason";
        self.conn.prepare_cached(sql)?.execute((collection, &row.project, row.status, &row.reason))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest};
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_status_is_a_collections_own_and_active_is_no_row() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let [cuda, rocm] =
            ["cuda", "rocm"].map(|name| transaction.insert_collection(&name.parse().unwrap(), 0).unwrap());
        let row = |status, reason: Option<&str>| StatusRow {
            project: "torch".parse().unwrap(),
            status,
            reason: reason.map(str::to_owned),
        };
        for row in [row(Status::Deprecated, None), row(Status::Quarantined, Some("bad"))] {
            transaction.set_project_status(cuda, &row).unwrap();
            assert_eq!(transaction.project_status(cuda, &row.project).unwrap().as_ref(), Some(&row));
            assert_eq!(transaction.project_statuses(cuda).unwrap(), std::slice::from_ref(&row));
            assert_eq!(transaction.project_status(rocm, &row.project).unwrap(), None);
        }
        transaction.set_project_status(cuda, &row(Status::Active, Some("good again"))).unwrap();
        assert_eq!(transaction.project_statuses(cuda).unwrap(), []);
    }
}
