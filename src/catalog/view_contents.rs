//! What a view shows: a collection at a revision, or what a variant sees of several.

use super::at::{CollectionAt, collection_row, resolve};
use super::blocks::Blocks;
use super::merge::{Fate, merge};
use super::ownership::{OwnProjects, Ownership};
use super::search_order::{SearchOrder, Sense};
use super::statuses::{Statuses, quarantine};
use crate::error::Result;
use crate::manifest::{CollectionId, CollectionRow, Entry, Rows, Scope, StatusRow, Strategy};
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

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
        /// What the name stands for.
        sense: Sense,
        /// How it is put together; `None`: as the variant says.
        strategy: Option<Strategy>,
        /// Which projects whoever asks counts as the variant's own.
        own: OwnProjects,
    },
}

/// What is shown, read from rows of one moment.
#[derive(Debug)]
pub(crate) struct ShownEntries {
    /// The collections, the nearest first, each with the revision.
    pub(crate) sources: Vec<(CollectionId, CollectionAt)>,
    /// What is listed or would be but for its lost bytes, by project.
    pub(crate) entries: Vec<Entry>,
    /// What would be shown and is withheld, and why.
    pub(crate) withheld: Vec<WithheldFile>,
    /// The projects among them that aren't simply active.
    pub(crate) statuses: BTreeMap<ProjectName, StatusRow>,
}

/// A file that a view withholds.
#[derive(Debug, Clone, Serialize)]
pub struct WithheldFile {
    /// The filename.
    pub filename: String,
    /// Why.
    pub reason: String,
}

impl Shown {
    /// Returns what a variant sees, put together as it says itself.
    pub fn variant(name: CollectionName) -> Self {
        Self::Variant { name, sense: Sense::Variant, strategy: None, own: OwnProjects::Stored }
    }

    /// Returns what a variant, or else a collection with its fallbacks, has: what a URL with this name shows.
    pub fn known(name: CollectionName) -> Self {
        Self::Variant { name, sense: Sense::Known, strategy: None, own: OwnProjects::Stored }
    }

    /// Returns the name of the collection or variant.
    pub(crate) fn name(&self) -> &CollectionName {
        match self {
            Self::Collection { name, .. } | Self::Variant { name, .. } => name,
        }
    }

    /// Returns the collections and revisions that are shown, the nearest first.
    pub(crate) fn sources(&self, rows: &Rows) -> Result<Vec<(CollectionId, CollectionAt)>> {
        match self {
            Self::Collection { name, at } => {
                let row = collection_row(rows, name)?;
                let revision = resolve(rows, &row, at.as_deref())?;
                Ok(vec![source(&row, revision)])
            }
            Self::Variant { name, sense, .. } => {
                let order = SearchOrder::of_any(rows, name, *sense)?;
                Ok(order.all().into_iter().map(|row| source(row, row.revision)).collect())
            }
        }
    }

    /// Reads what is shown of some projects of a collection's newest revision; `None`: a variant, an older revision, or one of which
    /// something is withheld, shows what only all entries tell.
    pub(crate) fn read_projects(&self, rows: &Rows, projects: &BTreeSet<ProjectName>) -> Result<Option<ShownEntries>> {
        let Self::Collection { name, at: None } = self else { return Ok(None) };
        let row = collection_row(rows, name)?;
        if !Withholding::read(rows, vec![&row])?.is_idle() {
            return Ok(None);
        }
        let mut entries = Vec::new();
        for project in projects {
            entries.append(&mut rows.project_entries(row.id, project)?);
        }
        let sources = vec![source(&row, row.revision)];
        Ok(Some(ShownEntries { sources, entries, withheld: Vec::new(), statuses: BTreeMap::new() }))
    }

    /// Reads what is shown of one project or of all.
    pub(crate) fn read(&self, rows: &Rows, project: Option<&ProjectName>) -> Result<ShownEntries> {
        match self {
            Self::Collection { name, at } => {
                let row = collection_row(rows, name)?;
                let revision = resolve(rows, &row, at.as_deref())?;
                let scope = if revision == row.revision { Scope::Live } else { Scope::At(revision) };
                let entries = match (project, scope) {
                    (None, scope) => rows.entries(row.id, scope)?,
                    (Some(project), Scope::Live) => rows.project_entries(row.id, project)?,
                    (Some(project), Scope::At(revision)) => rows.project_entries_at(row.id, project, revision)?,
                };
                let sources = vec![source(&row, revision)];
                // Also of an older revision: what is unsafe now is no safer there.
                let withholding = Withholding::read(rows, vec![&row])?;
                if withholding.is_idle() {
                    return Ok(ShownEntries { sources, entries, withheld: Vec::new(), statuses: BTreeMap::new() });
                }
                let mut judged = Judged::default();
                for of_project in by_project(entries) {
                    let fates = of_project.into_iter().map(|entry| (entry, Fate::Listed)).collect();
                    withholding.judge(fates, |_, _| vec![&row], &mut judged);
                }
                Ok(ShownEntries::new(sources, judged))
            }
            Self::Variant { name, sense, strategy, own } => {
                let order = SearchOrder::of_any(rows, name, *sense)?;
                if order.all().is_empty() {
                    // What a variant without a collection sees is the default one, which isn't there either.
                    collection_row(rows, name)?;
                }
                let strategy = strategy_of(rows, name, *strategy)?;
                let sources = order.all().into_iter().map(|row| source(row, row.revision)).collect();
                let own = Ownership::read(rows, name, own, project)?;
                Ok(ShownEntries::new(sources, judged(rows, &order, &own, strategy, project)?))
            }
        }
    }
}

/// Returns the projects of which a collection lists files at a revision, without all of its files in memory.
pub(crate) fn project_names(rows: &Rows, name: &CollectionName, at: Option<&str>) -> Result<BTreeSet<ProjectName>> {
    let row = collection_row(rows, name)?;
    let revision = resolve(rows, &row, at)?;
    let scope = if revision == row.revision { Scope::Live } else { Scope::At(revision) };
    let withholding = Withholding::read(rows, vec![&row])?;
    if withholding.is_idle() {
        return Ok(rows.project_names(row.id, scope)?.into_iter().collect());
    }
    let mut names = BTreeSet::new();
    rows.each_entry(row.id, scope, |entry| {
        let mut judged = Judged::default();
        withholding.judge(vec![(entry, Fate::Listed)], |_, _| vec![&row], &mut judged);
        names.extend(judged.fates.into_iter().filter(|(_, fate)| fate.is_shown()).map(|(entry, _)| entry.project));
    })?;
    Ok(names)
}

impl ShownEntries {
    fn new(sources: Vec<(CollectionId, CollectionAt)>, judged: Judged) -> Self {
        let (mut entries, mut withheld) = (Vec::with_capacity(judged.fates.len()), Vec::new());
        for (entry, fate) in judged.fates {
            match fate {
                Fate::Listed | Fate::Yanked { .. } | Fate::Lost => entries.push(entry),
                Fate::Withheld { reason } | Fate::Foreign { reason } => {
                    withheld.push(WithheldFile { filename: entry.filename, reason })
                }
                Fate::Shadowed { .. } => {}
            }
        }
        Self { sources, entries, withheld, statuses: judged.statuses }
    }

    /// Returns the revision of the nearest collection.
    pub(crate) fn revision(&self) -> i64 {
        self.sources.first().map_or(0, |(_, source)| source.revision)
    }

    /// Returns a number that grows whenever one of the collections changes.
    pub(crate) fn serial(&self) -> i64 {
        self.sources.iter().map(|(_, source)| source.revision).sum()
    }

    /// Returns the collections and their revisions.
    pub(crate) fn collections(&self) -> Vec<CollectionAt> {
        self.sources.iter().map(|(_, source)| source.clone()).collect()
    }
}

fn source(row: &CollectionRow, revision: i64) -> (CollectionId, CollectionAt) {
    (row.id, CollectionAt { name: row.name.clone(), revision })
}

/// Returns the strategy that is asked for, else the variant's own.
pub(crate) fn strategy_of(rows: &Rows, variant: &CollectionName, asked: Option<Strategy>) -> Result<Strategy> {
    let own = || Ok(rows.find_variant(variant)?.map_or(Strategy::Nearest, |row| row.strategy));
    asked.map_or_else(own, Ok)
}

/// Entries by project and nearness, each with what became of it, and the projects that aren't simply active.
#[derive(Debug, Default)]
struct Judged {
    fates: Vec<(Entry, Fate)>,
    statuses: BTreeMap<ProjectName, StatusRow>,
}

/// Returns the live entries of the collections that a variant searches, by project and nearness, each with what became of it.
pub(crate) fn fates(
    rows: &Rows,
    order: &SearchOrder,
    own: &Ownership,
    strategy: Strategy,
    project: Option<&ProjectName>,
) -> Result<Vec<(Entry, Fate)>> {
    Ok(judged(rows, order, own, strategy, project)?.fates)
}

/// Judges the live entries of the collections that a variant searches.
fn judged(
    rows: &Rows,
    order: &SearchOrder,
    own: &Ownership,
    strategy: Strategy,
    project: Option<&ProjectName>,
) -> Result<Judged> {
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
    let withholding = Withholding::read(rows, order.all())?;
    let mut judged = Judged::default();
    for of_project in by_project(ranked.into_iter().map(|(_, entry)| entry)) {
        let seen = |project: &ProjectName, nearest: &CollectionName| {
            let mut searched = order.of(project);
            if strategy == Strategy::Nearest {
                searched.truncate(1 + searched.iter().position(|row| row.name == *nearest).unwrap_or(searched.len()));
            }
            searched
        };
        // What isn't for the variant hides nothing: it counts as if it weren't there.
        let (mut offered, mut foreign) = (Vec::with_capacity(of_project.len()), Vec::new());
        for entry in of_project {
            match own.objection(rows, &entry)? {
                None => offered.push(entry),
                Some(reason) => foreign.push((entry, Fate::Foreign { reason })),
            }
        }
        withholding.judge(merge(strategy, offered), seen, &mut judged);
        judged.fates.append(&mut foreign);
    }
    Ok(judged)
}

/// Groups entries, which are in the order of their projects.
fn by_project(entries: impl IntoIterator<Item = Entry>) -> impl Iterator<Item = Vec<Entry>> {
    let mut entries = entries.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut of_project = vec![entries.next()?];
        while let Some(next) = entries.next_if(|entry| entry.project == of_project[0].project) {
            of_project.push(next);
        }
        Some(of_project)
    })
}

/// What a view withholds although a collection has it: the files of projects in quarantine, what is blocked, and variant wheels that are
/// hidden.
pub(super) struct Withholding<'a> {
    collections: Vec<&'a CollectionRow>,
    statuses: Statuses,
    blocks: Blocks,
}

impl<'a> Withholding<'a> {
    pub(super) fn read(rows: &Rows, collections: Vec<&'a CollectionRow>) -> Result<Self> {
        Ok(Self { statuses: Statuses::read(rows, &collections)?, blocks: Blocks::read(rows)?, collections })
    }

    /// Returns what is listed of entries of one collection, which are in the order of their projects.
    pub(super) fn listed(&self, entries: Vec<Entry>, row: &CollectionRow) -> Vec<Entry> {
        if self.is_idle() {
            return entries;
        }
        let mut judged = Judged::default();
        for of_project in by_project(entries) {
            let fates = of_project.into_iter().map(|entry| (entry, Fate::Listed)).collect();
            self.judge(fates, |_, _| vec![row], &mut judged);
        }
        ShownEntries::new(Vec::new(), judged).entries
    }

    /// Tells whether nothing is withheld, and all projects are active.
    fn is_idle(&self) -> bool {
        self.statuses.is_empty()
            && self.blocks.is_empty()
            && !self.collections.iter().any(|row| row.settings.hides_variants)
    }

    /// Judges the entries of one project, of which the first is in the nearest collection. `seen` tells which collections count.
    fn judge<'o>(
        &self,
        fates: Vec<(Entry, Fate)>,
        seen: impl Fn(&ProjectName, &CollectionName) -> Vec<&'o CollectionRow>,
        judged: &mut Judged,
    ) {
        let Some((first, _)) = fates.first() else { return };
        let status = match self.statuses.is_empty() {
            true => None,
            false => self.statuses.of(&first.project, seen(&first.project, &first.collection).into_iter()),
        };
        let quarantine = quarantine(status.as_ref());
        judged.statuses.extend(status.map(|row| (row.project.clone(), row)));
        let hides = |entry: &Entry| {
            self.collections.iter().any(|row| row.settings.hides_variants && row.name == entry.collection)
        };
        judged.fates.extend(fates.into_iter().map(|(entry, fate)| {
            let reason = match &quarantine {
                _ if !fate.is_shown() => None,
                Some(reason) => Some(reason.clone()),
                None if entry.variant.is_some() && hides(&entry) => {
                    Some(format!("{} hides variant wheels", entry.collection))
                }
                None => self.blocks.of_entry(&entry),
            };
            let fate = reason.map_or(fate, |reason| Fate::Withheld { reason });
            (entry, fate)
        }));
    }
}

/// A file of a collection that a variant searches, and that isn't offered.
#[derive(Debug, Clone)]
pub struct HeldBack {
    /// The collection.
    pub collection: CollectionName,
    /// The filename.
    pub filename: String,
    /// Whose it is, and why.
    pub reason: String,
}

/// Returns the files of a project that a variant isn't offered, since it has, or builds, its own, or since they are withheld.
pub fn held_back(store: &Store, variant: &CollectionName, project: &ProjectName) -> Result<Vec<HeldBack>> {
    let rows = store.manifest.read()?;
    let Some(order) = SearchOrder::of_name(&rows, variant, Sense::Known)? else { return Ok(Vec::new()) };
    let own = Ownership::read(&rows, variant, &OwnProjects::Stored, Some(project))?;
    let fates = fates(&rows, &order, &own, Strategy::Union, Some(project))?;
    let held = fates.into_iter().filter_map(|(entry, fate)| match fate {
        Fate::Foreign { reason } | Fate::Withheld { reason } => {
            Some(HeldBack { collection: entry.collection, filename: entry.filename, reason })
        }
        _ => None,
    });
    Ok(held.collect())
}
