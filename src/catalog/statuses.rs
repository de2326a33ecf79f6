//! Whether a project may be used where it is seen (PEP 792).
//!
//! A status is a collection's own. In a view of several collections the strictest counts, as far as the nearest one that has the
//! project: what lies farther away isn't seen. Of a project in quarantine no file is offered, in no view and by no lookup.

use crate::error::Result;
use crate::index::ProjectStatus;
use crate::manifest::{CollectionRow, Rows, StatusRow};
use crate::name::{CollectionName, ProjectName};
use crate::status::Status;
use std::collections::HashMap;

/// Returns the stricter of two, the first of equals.
pub(crate) fn stricter(first: Option<StatusRow>, second: Option<StatusRow>) -> Option<StatusRow> {
    let rank = |row: &Option<StatusRow>| row.as_ref().map_or(Status::Active, |row| row.status);
    if rank(&second) > rank(&first) { second } else { first }
}

/// Returns a status as pages tell it.
pub fn shown_status(row: &StatusRow) -> ProjectStatus<'_> {
    ProjectStatus { status: row.status, reason: row.reason.as_deref() }
}

/// Returns why nothing of a project is offered, if it is in quarantine.
pub(crate) fn quarantine(row: Option<&StatusRow>) -> Option<String> {
    let row = row.filter(|row| row.status == Status::Quarantined)?;
    let reason = row.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(format!("{} is in quarantine{reason}", row.project))
}

/// Returns why a collection offers nothing of a project, if it has it in quarantine.
pub(crate) fn quarantine_in(
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
pub(crate) struct Statuses {
    rows: HashMap<(CollectionName, ProjectName), StatusRow>,
}

impl Statuses {
    /// Reads them.
    pub(crate) fn read(rows: &Rows, collections: &[&CollectionRow]) -> Result<Self> {
        let mut statuses = Self::default();
        for collection in collections {
            for row in rows.project_statuses(collection.id)? {
                statuses.rows.insert((collection.name.clone(), row.project.clone()), row);
            }
        }
        Ok(statuses)
    }

    /// Tells whether all projects are active.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the status of a project where these collections are seen: the strictest of theirs, among equals the nearest's; `None`:
    /// active.
    pub(crate) fn of<'a>(
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
