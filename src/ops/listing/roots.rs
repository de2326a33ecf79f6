//! The projects that a view has, for the root of an index.
//!
//! Remotes are not asked for theirs: that can be a million names, and no client needs them to find a project.

use crate::error::{Error, Result};
use crate::manifest::Rows;
use crate::name::ProjectName;
use crate::ops::ownership::Ownership;
use crate::ops::shown::Shown;
use crate::ops::variant::SearchOrder;
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
        Shown::Variant { name, sense, own, .. } => {
            let Some(order) = SearchOrder::of_name(&rows, name, *sense)? else { return Ok(None) };
            let own = Ownership::read(&rows, name, own, None)?;
            Ok(Some(of_order(&rows, &order, &own)?))
        }
    }
}

fn of_order(rows: &Rows, order: &SearchOrder, own: &Ownership) -> Result<Vec<ProjectName>> {
    let mut names = BTreeSet::new();
    for row in order.all() {
        let found = rows.project_names(row.id)?;
        // A collection that only an override leads to is searched for the overridden projects alone.
        let is_offered = |project: &ProjectName| {
            order.rank(row.id, project).is_some()
                && (own.shares_pure || own.collection_objection(&row.name, project).is_none())
        };
        names.extend(found.into_iter().filter(is_offered));
    }
    Ok(names.into_iter().collect())
}
