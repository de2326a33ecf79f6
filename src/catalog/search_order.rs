//! Where a variant's distributions are looked for: what was routed there is found there.
//!
//! The order is the collection of the project's override, the variant's own, its fallbacks, the default collection; each once, and
//! only those that there are. A name in a URL may also be a collection's that is no variant: that one serves what it has and what it
//! names as fallbacks, and the default collection only if it is named.

use super::at::{RevisionSpec, collection_rows, scoped_rows};
use super::ownership::find_override;
use crate::error::Result;
use crate::manifest::{CollectionId, CollectionRow, RouteOverride, Rows, Scope};
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;
use std::collections::BTreeMap;

/// The collections that a variant searches.
#[derive(Debug, Clone)]
pub struct SearchOrder {
    /// The order for a project without an override.
    base: Vec<CollectionRow>,
    /// The collection of each overridden project.
    overrides: BTreeMap<ProjectName, CollectionRow>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sense {
    /// A variant, as whoever says it says.
    Variant,
    /// What the store knows: a variant that it was told of (`wcas route set`), else a collection.
    Known,
}

impl SearchOrder {
    /// Reads the order of a name; `None`: the store knows neither a variant nor a collection of that name.
    pub fn of_name(rows: &Rows, name: &CollectionName, sense: Sense) -> Result<Option<Self>> {
        if rows.find_variant(name)?.is_some() {
            return Self::read(rows, name).map(Some);
        }
        if rows.find_collection(name)?.is_none() {
            return Ok(None);
        }
        match sense {
            Sense::Variant => Self::read(rows, name).map(Some),
            Sense::Known => Self::read_of(rows, name, false).map(Some),
        }
    }

    /// The same, where an unknown name has the order of a variant of which nothing was said.
    pub fn of_any(rows: &Rows, name: &CollectionName, sense: Sense) -> Result<Self> {
        Self::of_name(rows, name, sense)?.map_or_else(|| Self::read(rows, name), Ok)
    }

    /// Reads a variant's order.
    pub fn read(rows: &Rows, variant: &CollectionName) -> Result<Self> {
        Self::read_of(rows, variant, true)
    }

    fn read_of(rows: &Rows, variant: &CollectionName, has_default: bool) -> Result<Self> {
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
        if has_default {
            rows.find_collection(&rows.default_collection()?)?.into_iter().for_each(&mut add);
        }
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

    /// Returns the projects that are looked for in a collection of their own first.
    pub(crate) fn overridden(&self) -> impl Iterator<Item = (&ProjectName, &CollectionRow)> {
        self.overrides.iter()
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
    pub(crate) fn rank(&self, collection: CollectionId, project: &ProjectName) -> Option<usize> {
        match self.overrides.get(project) {
            Some(first) if first.id == collection => Some(0),
            _ => self.base.iter().position(|row| row.id == collection).map(|place| place + 1),
        }
    }
}

/// Tells whether anything was said of a variant, or it has a collection; else its name may be a slip.
pub fn is_known_variant(store: &Store, variant: &CollectionName) -> Result<bool> {
    let rows = store.manifest.read()?;
    is_known_in(&rows, variant)
}

pub(crate) fn is_known_in(rows: &Rows, variant: &CollectionName) -> Result<bool> {
    Ok(rows.find_variant(variant)?.is_some() || rows.find_collection(variant)?.is_some())
}

/// Returns the collections that a variant searches for a project, or (`None`: the project isn't known) for any.
pub(crate) fn order(
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

/// Returns collections with their fallbacks, in the order in which they are searched, each once.
pub(crate) fn with_fallbacks(rows: &Rows, asked: &[CollectionName]) -> Result<Vec<CollectionRow>> {
    let mut order: Vec<CollectionRow> = Vec::new();
    for row in collection_rows(rows, asked)? {
        let fallbacks = rows.fallbacks(row.id)?;
        for row in std::iter::once(row).chain(fallbacks) {
            if order.iter().all(|known| known.id != row.id) {
                order.push(row);
            }
        }
    }
    Ok(order)
}

/// Returns the same where some are asked for at a revision. Of such a one nothing else is searched: its fallbacks may have had other files then.
pub(crate) fn with_fallbacks_at(rows: &Rows, asked: &[RevisionSpec]) -> Result<Vec<(CollectionRow, Scope)>> {
    let mut order: Vec<(CollectionRow, Scope)> = Vec::new();
    for spec in asked {
        let found = match &spec.revision {
            Some(_) => scoped_rows(rows, std::slice::from_ref(spec))?,
            None => {
                let rows = with_fallbacks(rows, std::slice::from_ref(&spec.collection))?;
                rows.into_iter().map(|row| (row, Scope::Live)).collect()
            }
        };
        for (row, scope) in found {
            if order.iter().all(|(known, of)| (known.id, *of) != (row.id, scope)) {
                order.push((row, scope));
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Access, Manifest};
    use std::time::Duration;

    fn name(text: &str) -> CollectionName {
        text.parse().unwrap()
    }

    /// A manifest with collections, where `cuda` falls back to `base`, and overrides (project, variant, collection).
    fn manifest(collections: &[&str], overrides: &[(&str, Option<&str>, &str)]) -> (tempfile::TempDir, Manifest) {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let id = |text: &str| transaction.find_collection(&name(text)).unwrap().map(|row| row.id);
        for collection in collections {
            transaction.insert_collection(&name(collection), 0).unwrap();
        }
        if let (Some(cuda), Some(base)) = (id("cuda"), id("base")) {
            transaction.set_fallbacks(cuda, &[base]).unwrap();
        }
        for (project, variant, collection) in overrides {
            let variant = variant.map(name);
            transaction.put_override(&project.parse().unwrap(), variant.as_ref(), id(collection).unwrap()).unwrap();
        }
        transaction.commit().unwrap();
        (dir, manifest)
    }

    fn ordered(manifest: &Manifest, variant: &str, project: Option<&str>) -> String {
        let project = project.map(|project| project.parse().unwrap());
        let order = order(manifest, &name(variant), project.as_ref()).unwrap();
        order.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn c1_a_variant_comes_before_its_fallbacks_and_they_before_the_default() {
        let (_dir, manifest) = manifest(&["base", "cuda", "other", "shared"], &[]);
        assert_eq!(ordered(&manifest, "cuda", Some("torch")), "cuda base shared");
        assert_eq!(ordered(&manifest, "other", None), "other shared");
        assert_eq!(ordered(&manifest, "shared", None), "shared", "each once");
        let transaction = manifest.write().unwrap();
        transaction.set_default_collection(&name("base")).unwrap();
        transaction.commit().unwrap();
        assert_eq!(ordered(&manifest, "cuda", None), "cuda base");
        assert_eq!(ordered(&manifest, "other", None), "other base");
    }

    #[test]
    fn r3_a_variant_without_a_collection_has_the_default_and_without_that_nothing() {
        let (_dir, of_shared) = manifest(&["shared"], &[]);
        assert_eq!(ordered(&of_shared, "cpu", Some("torch")), "shared");
        let (_dir, of_none) = manifest(&[], &[]);
        assert_eq!(ordered(&of_none, "cpu", Some("torch")), "");
    }

    #[test]
    fn an_override_comes_first_for_its_project_and_counts_for_no_other() {
        let overrides = [
            ("torch", None, "all"),
            ("torch", Some("cuda"), "own"),
            ("numpy", Some("rocm"), "own"),
            ("idna", None, "base"),
        ];
        let (_dir, manifest) = manifest(&["all", "base", "cuda", "own", "shared"], &overrides);
        assert_eq!(ordered(&manifest, "cuda", Some("torch")), "own cuda base shared");
        assert_eq!(ordered(&manifest, "rocm", Some("torch")), "all shared");
        assert_eq!(ordered(&manifest, "cuda", Some("numpy")), "cuda base shared");
        assert_eq!(ordered(&manifest, "cuda", Some("idna")), "base cuda shared", "nearer than else, and once");
        assert_eq!(ordered(&manifest, "cuda", None), "cuda base shared own", "where any project may be");
    }

    #[test]
    fn a_collection_that_an_override_leads_to_is_searched_for_that_project_only() {
        let (_dir, manifest) =
            manifest(&["cuda", "own", "shared"], &[("torch", None, "own"), ("idna", None, "shared")]);
        let order = SearchOrder::read(&manifest, &name("cuda")).unwrap();
        let rank = |collection: &str, project: &str| {
            let row = manifest.find_collection(&name(collection)).unwrap().unwrap();
            order.rank(row.id, &project.parse().unwrap())
        };
        assert_eq!(["own", "cuda", "shared"].map(|collection| rank(collection, "torch")), [Some(0), Some(1), Some(2)]);
        assert_eq!(["own", "cuda", "shared"].map(|collection| rank(collection, "numpy")), [None, Some(1), Some(2)]);
        assert!(rank("shared", "idna") < rank("cuda", "idna"));
    }
}
