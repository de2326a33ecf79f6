//! What is outdated: a distribution of whose project a newer version is known, in the same collection or at its remotes.

use crate::catalog::at::collection_row;
use crate::catalog::reach::{Matter, Reach};
use crate::error::Result;
use crate::manifest::{CollectionRow, Rows};
use crate::name::{CollectionName, ProjectName, RemoteName};
use crate::store::Store;
use crate::supply;
use crate::supply::listing::Recall;
use pep440_rs::Version;
use serde::Serialize;
use std::collections::HashMap;

/// A newer version, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Newer {
    /// The version, normalised.
    pub version: String,
    /// The remote that has it, as far as is remembered; `None`: the collection itself.
    pub remote: Option<RemoteName>,
}

/// The highest version that is known of a project for a collection: a release, and one before releases only beside such.
#[derive(Debug, Clone)]
struct Highest {
    release: Option<(Version, Option<RemoteName>)>,
    any: Option<(Version, Option<RemoteName>)>,
}

/// Finds newer versions; each project of a collection is looked at once.
pub struct NewerVersions<'a> {
    store: &'a Store,
    now: i64,
    known: HashMap<(CollectionName, ProjectName), Highest>,
    collections: HashMap<CollectionName, CollectionRow>,
    recall: Recall,
}

impl<'a> NewerVersions<'a> {
    /// Begins without anything known. No remote is asked.
    pub fn new(store: &'a Store, now: i64) -> Self {
        Self { store, now, known: HashMap::new(), collections: HashMap::new(), recall: Recall::default() }
    }

    /// Returns the newest version of a project that is higher than one of a collection. A release is outdated by releases alone.
    pub fn than(&mut self, collection: &CollectionName, project: &ProjectName, version: &str) -> Result<Option<Newer>> {
        let Ok(version) = version.parse::<Version>() else { return Ok(None) };
        let key = (collection.clone(), project.clone());
        if !self.known.contains_key(&key) {
            let found = self.highest(collection, project)?;
            self.known.insert(key.clone(), found);
        }
        let Some(known) = self.known.get(&key) else { return Ok(None) };
        let highest = if version.any_prerelease() { &known.any } else { &known.release };
        let newer = highest.as_ref().filter(|(highest, _)| *highest > version);
        Ok(newer.map(|(version, remote)| Newer { version: version.to_string(), remote: remote.clone() }))
    }

    fn highest(&mut self, name: &CollectionName, project: &ProjectName) -> Result<Highest> {
        let rows: &Rows = &self.store.manifest;
        if !self.collections.contains_key(name) {
            self.collections.insert(name.clone(), collection_row(rows, name)?);
        }
        let mut highest = Highest { release: None, any: None };
        let Some(collection) = self.collections.get(name) else { return Ok(highest) };
        for entry in rows.project_entries(collection.id, project)?.iter().filter(|entry| entry.yanked.is_none()) {
            highest.add(entry.parsed_version(), None);
        }
        let order = [collection];
        let reach = Reach::read(rows, &order, None, project, Matter::Files)?;
        for remote in rows.remotes_of(collection.id)? {
            if reach.objection(0, &remote).is_some() {
                continue;
            }
            for version in supply::remembered_versions(self.store, &remote, project, (&self.recall, self.now))? {
                highest.add(version, Some(remote.name.clone()));
            }
        }
        Ok(highest)
    }
}

impl Highest {
    /// Takes a version; of equal ones the first stays, which is the nearest.
    fn add(&mut self, version: Version, remote: Option<RemoteName>) {
        let is_higher =
            |than: &Option<(Version, Option<RemoteName>)>| than.as_ref().is_none_or(|(highest, _)| version > *highest);
        if !version.any_prerelease() && is_higher(&self.release) {
            self.release = Some((version.clone(), remote.clone()));
        }
        if is_higher(&self.any) {
            self.any = Some((version, remote));
        }
    }
}
