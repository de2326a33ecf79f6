//! Where a variant's distributions are looked for: what was routed there is found there.
//!
//! The order is the collection of the project's override, the variant's own, its fallbacks, the default collection; each once, and
//! only those that there are.

use super::route::find_override;
use crate::error::Result;
use crate::manifest::{CollectionId, CollectionRow, RouteOverride, Rows};
use crate::name::{CollectionName, ProjectName};
use std::collections::BTreeMap;

/// The collections that a variant searches.
#[derive(Debug, Clone)]
pub struct SearchOrder {
    /// The order for a project without an override.
    base: Vec<CollectionRow>,
    /// The collection of each overridden project.
    overrides: BTreeMap<ProjectName, CollectionRow>,
}

impl SearchOrder {
    /// Reads a variant's order.
    pub fn read(rows: &Rows, variant: &CollectionName) -> Result<Self> {
        let mut base: Vec<CollectionRow> = Vec::new();
        let mut add = |row: CollectionRow| {
            if base.iter().all(|known| known.id != row.id) {
                base.push(row);
            }
        };
        if let Some(own) = rows.find_collection(variant)? {
            let fallbacks = rows.fallbacks(own.id)?;
            add(own);
            fallbacks.into_iter().for_each(&mut add);
        }
        rows.find_collection(&rows.default_collection()?)?.into_iter().for_each(&mut add);
        let all = rows.overrides()?;
        let mut overrides = BTreeMap::new();
        for RouteOverride { project, .. } in &all {
            let Some(found) = find_override(&all, variant, project) else { continue };
            if let Some(row) = rows.find_collection(&found.collection)? {
                overrides.insert(project.clone(), row);
            }
        }
        Ok(Self { base, overrides })
    }

    /// Returns the order for a project without an override.
    pub fn base(&self) -> &[CollectionRow] {
        &self.base
    }

    /// Returns the order for a project.
    pub fn of(&self, project: &ProjectName) -> Vec<&CollectionRow> {
        let first = self.overrides.get(project);
        let rest = self.base.iter().filter(|row| first.is_none_or(|first| first.id != row.id));
        first.into_iter().chain(rest).collect()
    }

    /// Returns all collections that any project is looked for in, each once.
    pub fn all(&self) -> Vec<&CollectionRow> {
        let mut all: Vec<&CollectionRow> = self.base.iter().collect();
        for row in self.overrides.values() {
            if all.iter().all(|known| known.id != row.id) {
                all.push(row);
            }
        }
        all
    }

    /// Returns how near a collection is for a project, the nearest first; `None`: the project isn't looked for there.
    pub(super) fn rank(&self, collection: CollectionId, project: &ProjectName) -> Option<usize> {
        match self.overrides.get(project) {
            Some(first) if first.id == collection => Some(0),
            _ => self.base.iter().position(|row| row.id == collection).map(|place| place + 1),
        }
    }
}

/// Returns the collections that a variant searches for a project, or (`None`: the project isn't known) for any.
pub(super) fn order(
    rows: &Rows,
    variant: &CollectionName,
    project: Option<&ProjectName>,
) -> Result<Vec<CollectionRow>> {
    let order = SearchOrder::read(rows, variant)?;
    let found = match project {
        Some(project) => order.of(project),
        None => order.all(),
    };
    Ok(found.into_iter().cloned().collect())
}
