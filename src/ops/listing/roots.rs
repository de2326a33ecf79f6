//! The projects that a view has, for the root of an index.
//!
//! Remotes are not asked for theirs: that can be a million names, and no client needs them to find a project.

use crate::error::{Error, Result};
use crate::manifest::Rows;
use crate::name::ProjectName;
use crate::ops::shown::Shown;
use crate::ops::variant::{SearchOrder, is_known_in};
use crate::store::Store;
use std::collections::BTreeSet;

/// Returns the projects that the collections of a view have, in order; `None`: there is no such view.
pub fn projects(store: &Store, shown: &Shown) -> Result<Option<Vec<ProjectName>>> {
    let rows = store.manifest.read()?;
    match shown {
        Shown::Collection { .. } => match shown.read(&rows, None) {
            Ok(read) => {
                let names: BTreeSet<ProjectName> = read.entries.into_iter().map(|entry| entry.project).collect();
                Ok(Some(names.into_iter().collect()))
            }
            Err(Error::NoRevision { .. } | Error::NoCollection { .. }) => Ok(None),
            Err(error) => Err(error),
        },
        Shown::Variant { name, .. } => {
            if !is_known_in(&rows, name)? {
                return Ok(None);
            }
            Ok(Some(of_order(&rows, &SearchOrder::read(&rows, name)?)?))
        }
    }
}

fn of_order(rows: &Rows, order: &SearchOrder) -> Result<Vec<ProjectName>> {
    let mut names = BTreeSet::new();
    for row in order.all() {
        let found = rows.project_names(row.id)?;
        // A collection that only an override leads to is searched for the overridden projects alone.
        names.extend(found.into_iter().filter(|project| order.rank(row.id, project).is_some()));
    }
    Ok(names.into_iter().collect())
}
