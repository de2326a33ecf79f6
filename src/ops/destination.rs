//! Where what is found in a folder goes: a collection, or where a variant's rules, as they are then, send each file.

use super::route;
use crate::catalog::blocks::Blocks;
use crate::catalog::ownership::{OwnProjects, Ownership};
use crate::catalog::{search_order, statuses};
use crate::error::Result;
use crate::intake::Target;
use crate::manifest::{BlobId, Entry, Rows};
use crate::name::CollectionName;
use crate::store::Store;
use crate::wheel::DistributionFilename;

/// Where what is found goes, and where it is looked for.
#[derive(Debug, Clone)]
pub enum Destination {
    /// This collection.
    Collection(CollectionName),
    /// This variant.
    Variant(CollectionName),
}

impl Destination {
    /// Reads the rules that hold now.
    pub(super) fn target(&self, store: &Store) -> Result<Target> {
        Ok(match self {
            Self::Collection(name) => Target::Collection(name.clone()),
            Self::Variant(name) => Target::Route(Box::new(route::router(store, name, &OwnProjects::Stored)?)),
        })
    }

    /// Returns the entry of a file that is offered here: not yanked, of no project in quarantine, and no other variant's.
    pub(super) fn offered(&self, rows: &Rows, name: &DistributionFilename, blob: BlobId) -> Result<Option<Entry>> {
        let project = name.project();
        let (order, own) = match self {
            Self::Collection(name) => (rows.find_collection(name)?.into_iter().collect(), None),
            Self::Variant(name) => (
                search_order::order(rows, name, Some(project))?,
                Some(Ownership::read(rows, name, &OwnProjects::Stored, Some(project))?),
            ),
        };
        let blocks = Blocks::read(rows)?;
        for collection in order {
            if statuses::quarantine_in(rows, &collection, Some(project))?.is_some() {
                break;
            }
            let entry = rows.find_entry(collection.id, name.as_str())?;
            let Some(entry) = entry.filter(|entry| entry.blob == blob && entry.yanked.is_none()) else { continue };
            let foreign = own.as_ref().map_or(Ok(None), |own| own.objection(rows, &entry))?;
            if foreign.or_else(|| blocks.of_entry(&entry)).is_none() {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}
