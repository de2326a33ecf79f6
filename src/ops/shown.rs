//! What a view shows: a collection at a revision, or what a variant sees of several.

use super::collection::resolve;
use super::merge::{Fate, merge};
use super::variant::SearchOrder;
use super::{CollectionAt, Context, Filter, RemoteSight, collection_row, lookup, pull, search};
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::manifest::{CollectionId, CollectionRow, Entry, Rows, Scope, Strategy};
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;
use crate::wheel::BuildTag;
use serde::Serialize;

/// What a view shows.
#[derive(Debug, Clone)]
pub enum Shown {
    /// A collection.
    Collection {
        /// Its name.
        name: CollectionName,
        /// A revision's number or a snapshot's name; `None`: the newest.
        at: Option<String>,
    },
    /// All that a variant sees, merged.
    Variant {
        /// Its name.
        name: CollectionName,
        /// How it is put together; `None`: as the variant says.
        strategy: Option<Strategy>,
    },
}

/// What is shown, read from rows of one moment.
#[derive(Debug)]
pub(super) struct ShownEntries {
    /// The collections, the nearest first, each with the revision.
    pub(super) sources: Vec<(CollectionId, CollectionAt)>,
    /// What is listed or would be but for its lost bytes, by project.
    pub(super) entries: Vec<Entry>,
}

impl Shown {
    /// Returns the name of the collection or variant.
    pub(super) fn name(&self) -> &CollectionName {
        match self {
            Self::Collection { name, .. } | Self::Variant { name, .. } => name,
        }
    }

    /// Returns the collections and revisions that are shown, the nearest first.
    pub(super) fn sources(&self, rows: &Rows) -> Result<Vec<(CollectionId, CollectionAt)>> {
        match self {
            Self::Collection { name, at } => {
                let row = collection_row(rows, name)?;
                let revision = resolve(rows, &row, at.as_deref())?;
                Ok(vec![source(&row, revision)])
            }
            Self::Variant { name, .. } => {
                let order = SearchOrder::read(rows, name)?;
                Ok(order.all().into_iter().map(|row| source(row, row.revision)).collect())
            }
        }
    }

    /// Reads what is shown of one project or of all.
    pub(super) fn read(&self, rows: &Rows, project: Option<&ProjectName>) -> Result<ShownEntries> {
        match self {
            Self::Collection { name, at } => {
                let row = collection_row(rows, name)?;
                let revision = resolve(rows, &row, at.as_deref())?;
                let scope = if revision == row.revision { Scope::Live } else { Scope::At(revision) };
                let mut entries = rows.entries(row.id, scope)?;
                entries.retain(|entry| project.is_none_or(|project| entry.project == *project));
                Ok(ShownEntries { sources: vec![source(&row, revision)], entries })
            }
            Self::Variant { name, strategy } => {
                let order = SearchOrder::read(rows, name)?;
                if order.all().is_empty() {
                    // What a variant without a collection sees is the default one, which isn't there either.
                    collection_row(rows, name)?;
                }
                let strategy = strategy_of(rows, name, *strategy)?;
                let fates = fates(rows, &order, strategy, project)?;
                Ok(ShownEntries {
                    sources: order.all().into_iter().map(|row| source(row, row.revision)).collect(),
                    entries: fates
                        .into_iter()
                        .filter(|(_, fate)| !fate.is_shadowed())
                        .map(|(entry, _)| entry)
                        .collect(),
                })
            }
        }
    }
}

impl ShownEntries {
    /// Returns the revision of the nearest collection.
    pub(super) fn revision(&self) -> i64 {
        self.sources.first().map_or(0, |(_, source)| source.revision)
    }

    /// Returns a number that grows whenever one of the collections changes.
    pub(super) fn serial(&self) -> i64 {
        self.sources.iter().map(|(_, source)| source.revision).sum()
    }

    /// Returns the collections and their revisions.
    pub(super) fn collections(&self) -> Vec<CollectionAt> {
        self.sources.iter().map(|(_, source)| source.clone()).collect()
    }
}

fn source(row: &CollectionRow, revision: i64) -> (CollectionId, CollectionAt) {
    (row.id, CollectionAt { name: row.name.clone(), revision })
}

/// Returns the strategy that is asked for, else the variant's own.
pub(super) fn strategy_of(rows: &Rows, variant: &CollectionName, asked: Option<Strategy>) -> Result<Strategy> {
    let own = || Ok(rows.find_variant(variant)?.map_or(Strategy::Nearest, |row| row.strategy));
    asked.map_or_else(own, Ok)
}

/// Returns the live entries of the collections that a variant searches, by project and nearness, each with what became of it.
pub(super) fn fates(
    rows: &Rows,
    order: &SearchOrder,
    strategy: Strategy,
    project: Option<&ProjectName>,
) -> Result<Vec<(Entry, Fate)>> {
    let mut ranked = Vec::new();
    for row in order.all() {
        let entries = match project {
            Some(project) => rows.project_entries(row.id, project)?,
            None => rows.entries(row.id, Scope::Live)?,
        };
        ranked.extend(entries.into_iter().filter_map(|entry| Some((order.rank(row.id, &entry.project)?, entry))));
    }
    // One collection's entries are in order already, and a stable sort finds that out.
    ranked.sort_by(|(a, one), (b, other)| one.project.cmp(&other.project).then(a.cmp(b)));
    let mut fates = Vec::with_capacity(ranked.len());
    let mut ranked = ranked.into_iter().map(|(_, entry)| entry).peekable();
    while let Some(first) = ranked.next() {
        let mut of_project = vec![first];
        while let Some(next) = ranked.next_if(|entry| entry.project == of_project[0].project) {
            of_project.push(next);
        }
        fates.extend(merge(strategy, of_project));
    }
    Ok(fates)
}

/// A file of a collection that a variant searches, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct SeenFile {
    /// The collection.
    pub collection: CollectionName,
    /// The filename.
    pub filename: String,
    /// The project.
    pub project: ProjectName,
    /// The version, normalised.
    pub version: String,
    /// A wheel's build tag.
    pub build_tag: Option<BuildTag>,
    /// Its SHA-256 digest.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size: u64,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What a variant sees of some projects.
#[derive(Debug, Clone, Serialize)]
pub struct SightReport {
    /// The variant.
    pub variant: CollectionName,
    /// How its view is put together.
    pub strategy: Strategy,
    /// The collections that it searches for a project without an override, in order.
    pub order: Vec<CollectionName>,
    /// The files, by project and nearness.
    pub files: Vec<SeenFile>,
    /// What remotes have, as far as is remembered, in the order in which they are asked.
    pub remotes: Vec<RemoteSight>,
}

/// Tells of each file in the collections that a variant searches whether it is listed, and if not, why.
pub fn sight(
    store: &Store,
    context: &Context<'_>,
    variant: &CollectionName,
    strategy: Option<Strategy>,
    filter: &Filter,
) -> Result<SightReport> {
    let rows = store.manifest.read()?;
    let order = SearchOrder::read(&rows, variant)?;
    let strategy = strategy_of(&rows, variant, strategy)?;
    let (mut files, mut remotes) = (Vec::new(), Vec::new());
    for spec in &filter.specs {
        let searched = match lookup::project(spec) {
            Some(project) => order.of(&project),
            None => order.all(),
        };
        let has_remotes = remotes.len();
        remotes.extend(pull::remotes_of(store, &searched, spec, filter, context.now)?);
        // What hides a file may be of another version than is asked for: all of the project is looked at.
        let fates = fates(&rows, &order, strategy, lookup::project(spec).as_ref())?;
        let before = files.len();
        let meant = fates.into_iter().filter(|(entry, _)| search::is_meant(spec, entry) && filter.matches_tags(entry));
        files.extend(meant.map(|(entry, fate)| SeenFile {
            build_tag: lookup::build_tag(&entry),
            collection: entry.collection,
            filename: entry.filename,
            project: entry.project,
            version: entry.version,
            sha256: entry.sha256,
            size: entry.size,
            fate,
        }));
        if files.len() == before && remotes.len() == has_remotes {
            return Err(Error::NoMatch(format!("{spec} in what variant {variant} searches")));
        }
    }
    let order = order.base().iter().map(|row| row.name.clone()).collect();
    Ok(SightReport { variant: variant.clone(), strategy, order, files, remotes })
}
