//! `collection status`: whether more of a project is to come, and whether it may be used (PEP 792).
//!
//! A status is a collection's own. In a view of several collections the strictest counts, as far as the nearest one that has the
//! project: what lies farther away isn't seen. Of a project in quarantine no file is offered, in no view and by no lookup.

use crate::catalog::at::collection_row;
use crate::context::Context;
use crate::error::Result;
use crate::manifest::{CollectionRow, StatusRow, Transaction};
use crate::name::{CollectionName, ProjectName};
use crate::status::Status;
use crate::store::Store;
use serde::Serialize;

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
