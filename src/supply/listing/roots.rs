//! The projects that a view has, for the root of an index.
//!
//! Remotes are not asked for theirs: that can be a million names, and no client needs them to find a project.

use crate::catalog::ownership::Ownership;
use crate::catalog::search_order::SearchOrder;
use crate::catalog::view_contents::{Shown, project_names};
use crate::error::{Error, Result};
use crate::manifest::{Rows, Scope};
use crate::name::ProjectName;
use crate::store::Store;
use std::collections::{BTreeSet, HashMap};

/// Projects, each with a number that grows as its files change, where that is known.
pub(crate) type ProjectSerials = Vec<(ProjectName, Option<i64>)>;

/// Returns the projects that the collections of a view have, in order, each with a number that grows as its files change, which an older
/// revision doesn't tell; `None`: there is no such view.
pub fn projects(store: &Store, shown: &Shown) -> Result<Option<ProjectSerials>> {
    let rows = store.manifest.read()?;
    match shown {
        Shown::Collection { name, at } => match project_names(&rows, name, at.as_deref()) {
            Ok(names) => Ok(Some(names.into_iter().map(|name| (name, None)).collect())),
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

fn of_order(rows: &Rows, order: &SearchOrder, own: &Ownership) -> Result<ProjectSerials> {
    let (mut names, mut serials) = (BTreeSet::new(), HashMap::new());
    for row in order.all() {
        let found = rows.project_names(row.id, Scope::Live)?;
        // A collection that only an override leads to is searched for the overridden projects alone.
        let is_offered = |project: &ProjectName| {
            order.rank(row.id, project).is_some()
                && (own.shares_pure || own.collection_objection(&row.name, project).is_none())
        };
        names.extend(found.into_iter().filter(is_offered));
        // Added up, as the view's own number is, which is never less.
        for (project, serial) in rows.project_serials(row.id)? {
            *serials.entry(project).or_insert(0) += serial;
        }
    }
    Ok(names.into_iter().map(|name| (serials.get(&name).copied(), name)).map(|(serial, name)| (name, serial)).collect())
}
