//! `collection status`: whether more of a project is to come, and whether it may be used (PEP 792).
//!
//! A status is a collection's own. In a view of several collections the strictest counts, as far as the nearest one that has the
//! project: what lies farther away isn't seen. Of a project in quarantine no file is offered, in no view and by no lookup.

use super::{Context, collection_row};
use crate::error::Result;
use crate::index::ProjectStatus;
use crate::manifest::{CollectionRow, Rows, StatusRow, Transaction};
use crate::name::{CollectionName, ProjectName};
use crate::status::Status;
use crate::store::Store;
use serde::Serialize;
use std::collections::HashMap;

/// The projects of a collection that aren't simply active.
#[derive(Debug, Clone, Serialize)]
pub struct StatusReport {
    /// The collection.
    pub collection: CollectionName,
    /// Its revision: a change of a status is one.
    pub revision: i64,
    /// The projects that were asked for, also an active one; else all that aren't.
    pub projects: Vec<StatusRow>,
}

/// Tells the status of a project, or of all that aren't simply active.
pub fn project_status(store: &Store, name: &CollectionName, project: Option<&ProjectName>) -> Result<StatusReport> {
    let transaction = store.manifest.read()?;
    let row = collection_row(&transaction, name)?;
    let projects = match project {
        Some(project) => {
            let active = || StatusRow { project: project.clone(), status: Status::Active, reason: None };
            vec![transaction.project_status(row.id, project)?.unwrap_or_else(active)]
        }
        None => transaction.project_statuses(row.id)?,
    };
    Ok(StatusReport { collection: row.name, revision: row.revision, projects })
}

/// Sets the status of a project, as a new revision of the collection: whoever mirrors or caches goes by that.
pub fn set_project_status(
    store: &Store,
    context: &Context<'_>,
    name: &CollectionName,
    wanted: StatusRow,
) -> Result<StatusReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = collection_row(&transaction, name)?;
    let wanted = StatusRow { reason: wanted.reason.filter(|_| wanted.status != Status::Active), ..wanted };
    let before = transaction.project_status(row.id, &wanted.project)?;
    let is_same = before.as_ref().map_or(wanted.status == Status::Active, |before| *before == wanted);
    let mut report = StatusReport { collection: row.name.clone(), revision: row.revision, projects: Vec::new() };
    if !is_same {
        let reason = wanted.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let what = format!("{} {}{reason}", wanted.project, wanted.status);
        transaction.set_project_status(row.id, &wanted)?;
        report.revision = revise(&transaction, context, &row, "status", &what)?;
        transaction.commit()?;
    }
    report.projects.push(wanted);
    Ok(report)
}

/// Makes a revision of a collection in which no entry changes, but what its views show does.
pub(super) fn revise(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    row: &CollectionRow,
    kind: &str,
    what: &str,
) -> Result<i64> {
    let operation = transaction.insert_operation(kind, what, context.who, context.now)?;
    transaction.insert_revision(row.id, row.revision + 1, operation, 0, 0)?;
    Ok(row.revision + 1)
}

/// Returns the status of a project where these collections are seen: the strictest of theirs, among equals the nearest's; `None`:
/// active.
pub fn status_in(rows: &Rows, collections: &[&CollectionRow], project: &ProjectName) -> Result<Option<StatusRow>> {
    let mut strictest: Option<StatusRow> = None;
    for collection in collections {
        let own = rows.project_status(collection.id, project)?;
        strictest = stricter(strictest, own);
    }
    Ok(strictest)
}

/// Returns the stricter of two, the first of equals.
pub(super) fn stricter(first: Option<StatusRow>, second: Option<StatusRow>) -> Option<StatusRow> {
    let rank = |row: &Option<StatusRow>| row.as_ref().map_or(Status::Active, |row| row.status);
    if rank(&second) > rank(&first) { second } else { first }
}

/// Returns a status as pages tell it.
pub fn shown_status(row: &StatusRow) -> ProjectStatus<'_> {
    ProjectStatus { status: row.status, reason: row.reason.as_deref() }
}

/// Returns why nothing of a project is offered, if it is in quarantine.
pub(super) fn quarantine(row: Option<&StatusRow>) -> Option<String> {
    let row = row.filter(|row| row.status == Status::Quarantined)?;
    let reason = row.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(format!("{} is in quarantine{reason}", row.project))
}

/// Returns why a collection offers nothing of a project, if it has it in quarantine.
pub(super) fn quarantine_in(
    rows: &Rows,
    collection: &CollectionRow,
    project: Option<&ProjectName>,
) -> Result<Option<String>> {
    let Some(project) = project else { return Ok(None) };
    let reason = quarantine(rows.project_status(collection.id, project)?.as_ref());
    Ok(reason.map(|reason| format!("{reason} (collection {})", collection.name)))
}

/// The statuses of all projects of some collections, for views of many projects.
#[derive(Debug, Default)]
pub(super) struct Statuses {
    rows: HashMap<(CollectionName, ProjectName), StatusRow>,
}

impl Statuses {
    /// Reads them.
    pub(super) fn read(rows: &Rows, collections: &[&CollectionRow]) -> Result<Self> {
        let mut statuses = Self::default();
        for collection in collections {
            for row in rows.project_statuses(collection.id)? {
                statuses.rows.insert((collection.name.clone(), row.project.clone()), row);
            }
        }
        Ok(statuses)
    }

    /// Tells whether all projects are active.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the status of a project where these collections are seen, as [`status_in`] does.
    pub(super) fn of<'a>(
        &self,
        project: &ProjectName,
        collections: impl Iterator<Item = &'a CollectionRow>,
    ) -> Option<StatusRow> {
        collections.fold(None, |strictest, collection| {
            let own = self.rows.get(&(collection.name.clone(), project.clone()));
            stricter(strictest, own.cloned())
        })
    }
}
