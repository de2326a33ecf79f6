//! `lookup`: the best distribution for a specification, along the search order.
//!
//! The search order is a variant's, or each collection that was asked for, followed by its fallbacks; the first collection that has a match
//! answers. Within it an exactly equal version wins, then released versions, then the highest version, the highest build tag, the
//! closest tags.

use crate::catalog::at::{RevisionSpec, collection_row, scoped_rows};
use crate::catalog::blocks::Blocks;
use crate::catalog::near::{Near, Searched, near};
use crate::catalog::ownership::{OwnProjects, Ownership};
use crate::catalog::reach::{Matter, Reach};
use crate::catalog::search_order;
use crate::catalog::view_contents::Shown;
use crate::catalog::wish::{Wish, candidates};
use crate::context::Context;
use crate::digest::{Blake3, Sha256};
use crate::error::Result;
use crate::keep::health::is_usable;
use crate::manifest::{CollectionRow, Entry, Outcome, Rows, Scope};
use crate::name::{CollectionName, ProjectName, RemoteName};
use crate::store::Store;
use crate::supply::{self, AskedCollection, FileQuery, Patience, PullNote};
use crate::wheel::BuildTag;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// What `lookup` is told.
#[derive(Debug, Clone)]
pub struct LookupOptions {
    /// What is wanted.
    pub wish: Wish,
    /// The collections to search, each followed by its fallbacks; none: the default one. Of one at a revision that revision is searched,
    /// and nothing after it: neither its fallbacks nor its remotes.
    pub collections: Vec<RevisionSpec>,
    /// Search in this variant's order instead.
    pub variant: Option<CollectionName>,
    /// Which projects whoever asks counts as the variant's own.
    pub own: OwnProjects,
    /// Miss whatever is there, as a build that wants to start afresh does.
    pub force_miss: bool,
    /// Ask no remote.
    pub is_offline: bool,
}

/// What `lookup` found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LookupReport {
    /// Whether anything was found.
    pub hit: bool,
    /// The filename.
    pub filename: Option<String>,
    /// Where its bytes are; the path ends in the filename.
    #[serde(serialize_with = "crate::fs::text::path_or_none")]
    pub path: Option<PathBuf>,
    /// The collection that has it.
    pub collection: Option<CollectionName>,
    /// The remote that it came from just now.
    pub remote: Option<RemoteName>,
    /// Its SHA-256 digest.
    pub sha256: Option<Sha256>,
    /// The blob.
    pub blake3: Option<Blake3>,
    /// The project.
    pub project: Option<ProjectName>,
    /// The version, normalised.
    pub version: Option<String>,
    /// A wheel's build tag.
    pub build_tag: Option<BuildTag>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// Matches that could not be handed out: their bytes are missing or wrong.
    pub unusable: Vec<String>,
    /// What remotes said that gave nothing.
    pub remotes: Vec<PullNote>,
    /// Why something is not handed out, though it may be there.
    pub notes: Vec<String>,
    /// What is near, on a miss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miss: Option<Near>,
}

/// Finds the best distribution. A match whose bytes are missing or wrong is no match: the next best is taken. Of a project in
/// quarantine nothing is found, there and farther away.
pub fn lookup(store: &Store, context: &Context<'_>, options: &LookupOptions) -> Result<LookupReport> {
    let asked = asked(options);
    let search = Search::begin(store, context, options, &asked)?;
    let own = |collection: &CollectionRow, entry: Entry, notes: &mut Notes| {
        let Some(row) = store.manifest.blob(entry.blob)? else { return Ok(None) };
        if is_usable(store, &row)? {
            return Ok(Some((collection.clone(), entry, None)));
        }
        notes.unusable.push(entry.filename);
        Ok(None)
    };
    let ask = |asked: &AskedCollection<'_>, wanted: &FileQuery<'_>, notes: &mut Notes| {
        let pulled = supply::find(store, context, asked, (wanted, options.variant.as_ref()), &mut notes.remotes)?;
        let Some((remote, pulled)) = pulled else { return Ok(None) };
        // A guard may have sent it to the variant's own.
        let taken = collection_row(&store.manifest, &pulled.collection)?;
        let entry = store.manifest.find_entry(taken.id, &pulled.filename)?;
        Ok(entry.filter(|entry| entry.sha256 == pulled.sha256).map(|entry| (taken, entry, Some(remote))))
    };
    let mut notes = Notes::default();
    let found = search.first(&mut notes, own, ask)?;
    let report = LookupReport {
        unusable: notes.unusable,
        remotes: notes.remotes,
        notes: notes.notes,
        ..LookupReport::default()
    };
    match found {
        Some((collection, entry, remote)) => report.found(store, context, &collection, entry, remote),
        None => {
            count(store, context, options.variant.as_ref().unwrap_or(&asked[0].collection), "", Outcome::Miss, None);
            Ok(LookupReport { miss: search.near()?, ..report })
        }
    }
}

/// Tells what is near to a specification for which a view has nothing.
pub fn near_in_view(store: &Store, shown: &Shown, wish: &Wish) -> Result<Near> {
    let (rows, project) = (store.manifest.read()?, wish.project());
    let (order, own) = match shown {
        Shown::Collection { name, at } => {
            let spec = RevisionSpec { collection: name.clone(), revision: at.clone() };
            (scoped_rows(&rows, &[spec])?, None)
        }
        Shown::Variant { name, own, .. } => {
            let order = search_order::order(&rows, name, project.as_ref())?;
            let own = Ownership::read(&rows, name, own, project.as_ref())?;
            (order.into_iter().map(|row| (row, Scope::Live)).collect(), Some(own))
        }
    };
    let searched = Searched { order: &order, own: own.as_ref(), blocks: &Blocks::read(&rows)? };
    near(&rows, &searched, wish)
}

/// What is said of a distribution without its bytes.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MetadataReport {
    /// Whether there is a match whose METADATA can be had.
    pub hit: bool,
    /// The filename.
    pub filename: Option<String>,
    /// The collection that has it, or whose remote has.
    pub collection: Option<CollectionName>,
    /// The remote that told.
    pub remote: Option<RemoteName>,
    /// METADATA, as text.
    pub metadata: Option<String>,
    /// What remotes said that gave nothing.
    pub remotes: Vec<PullNote>,
    /// Why something is not handed out, though it may be there.
    pub notes: Vec<String>,
    /// What is near, on a miss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miss: Option<Near>,
}

/// Tells the METADATA of what a lookup would find; a remote is asked for no more than that, and nothing is imported or counted.
pub fn metadata(store: &Store, context: &Context<'_>, options: &LookupOptions) -> Result<MetadataReport> {
    let search = Search::begin(store, context, options, &asked(options))?;
    let own = |collection: &CollectionRow, entry: Entry, _: &mut Notes| {
        let Some(sha256) = entry.metadata_sha256 else { return Ok(None) };
        let bytes = store.manifest.metadata(&sha256)?;
        Ok(bytes.map(|bytes| (collection.name.clone(), entry.filename, bytes, None)))
    };
    let ask = |asked: &AskedCollection<'_>, wanted: &FileQuery<'_>, notes: &mut Notes| {
        let found = supply::find_metadata(store, context, asked, wanted, &mut notes.remotes)?;
        let name = asked.collection.name.clone();
        Ok(found.map(|(remote, (filename, bytes))| (name, filename, bytes, Some(remote))))
    };
    let mut notes = Notes::default();
    let found = search.first(&mut notes, own, ask)?;
    let report = MetadataReport { remotes: notes.remotes, notes: notes.notes, ..MetadataReport::default() };
    Ok(match found {
        Some((collection, filename, bytes, remote)) => report.found(&collection, filename, &bytes, remote),
        None => MetadataReport { miss: search.near()?, ..report },
    })
}

/// Tells what is near to a specification that nothing in these collections matches, or, where none is named, in any.
pub fn near_to(store: &Store, collections: &[RevisionSpec], wish: &Wish) -> Result<Near> {
    let rows = store.manifest.read()?;
    let (order, blocks) = (scoped_rows(&rows, collections)?, Blocks::read(&rows)?);
    near(&rows, &Searched { order: &order, own: None, blocks: &blocks }, wish)
}

impl MetadataReport {
    fn found(self, collection: &CollectionName, filename: String, bytes: &[u8], remote: Option<RemoteName>) -> Self {
        Self {
            hit: true,
            filename: Some(filename),
            collection: Some(collection.clone()),
            remote,
            metadata: Some(String::from_utf8_lossy(bytes).into_owned()),
            ..self
        }
    }
}

/// Returns the collections that were asked for.
fn asked(options: &LookupOptions) -> Vec<RevisionSpec> {
    match options.collections.as_slice() {
        [] => vec![CollectionName::shared().into()],
        named => named.to_vec(),
    }
}

impl LookupReport {
    /// Counts a hit, and tells of it.
    fn found(
        self,
        store: &Store,
        context: &Context<'_>,
        collection: &CollectionRow,
        entry: Entry,
        remote: Option<RemoteName>,
    ) -> Result<Self> {
        let path = match store.blobs.named(&entry.blake3, &entry.filename) {
            // Who can't make the link gets the bytes all the same.
            Err(_) if !store.is_writable() => store.blobs.path(&entry.blake3),
            path => path?,
        };
        let from = remote.as_ref().map_or("", RemoteName::as_str);
        count(store, context, &collection.name, from, Outcome::Hit, Some(&entry));
        Ok(Self {
            hit: true,
            path: Some(path),
            collection: Some(collection.name.clone()),
            remote,
            sha256: Some(entry.sha256),
            blake3: Some(entry.blake3),
            build_tag: entry.parsed_build_tag(),
            size: Some(entry.size),
            filename: Some(entry.filename),
            project: Some(entry.project),
            version: Some(entry.version),
            ..self
        })
    }
}

/// What a search says beside what it finds.
#[derive(Debug, Default)]
struct Notes {
    unusable: Vec<String>,
    remotes: Vec<PullNote>,
    notes: Vec<String>,
}

/// A lookup on its way: where it goes, and what may be asked there.
struct Search<'a> {
    store: &'a Store,
    options: &'a LookupOptions,
    order: Vec<(CollectionRow, Scope)>,
    /// The collections that are asked for at a revision: their remotes have nothing to do with it.
    fixed: Vec<CollectionName>,
    /// Whose the project is that a variant's lookup is about.
    own: Option<Ownership>,
    now: i64,
}

impl<'a> Search<'a> {
    fn begin(
        store: &'a Store,
        context: &Context<'_>,
        options: &'a LookupOptions,
        asked: &[RevisionSpec],
    ) -> Result<Self> {
        let (rows, project) = (&store.manifest, options.wish.project());
        let (order, own) = match &options.variant {
            Some(variant) => (
                search_order::order(rows, variant, project.as_ref())?
                    .into_iter()
                    .map(|row| (row, Scope::Live))
                    .collect(),
                Some(Ownership::read(rows, variant, &options.own, project.as_ref())?),
            ),
            None => (search_order::with_fallbacks_at(rows, asked)?, None),
        };
        let fixed = asked.iter().filter(|spec| spec.revision.is_some()).map(|spec| spec.collection.clone()).collect();
        Ok(Self { store, options, order, fixed, own, now: context.now })
    }

    /// Tells what is near, where nothing was found though it was looked for.
    fn near(&self) -> Result<Option<Near>> {
        if self.options.force_miss {
            return Ok(None);
        }
        let rows = self.store.manifest.read()?;
        let blocks = Blocks::read(&rows)?;
        let searched = Searched { order: &self.order, own: self.own.as_ref(), blocks: &blocks };
        near(&rows, &searched, &self.options.wish).map(Some)
    }

    /// Goes along the order, and returns what the first collection has, by its own entries, the best first, or by its remotes. Remotes
    /// that took too long are asked again, at leisure, when nobody else has it.
    fn first<T>(
        &self,
        notes: &mut Notes,
        own: impl Fn(&CollectionRow, Entry, &mut Notes) -> Result<Option<T>>,
        ask: impl Fn(&AskedCollection<'_>, &FileQuery<'_>, &mut Notes) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let wanted = FileQuery { wish: &self.options.wish, now: self.now };
        let blocks = Blocks::read(&self.store.manifest)?;
        let (reach, patience, mut asked) = (self.reach()?, Patience::default(), Vec::new());
        for (place, (collection, scope)) in self.order.iter().enumerate().filter(|_| !self.options.force_miss) {
            let found =
                candidates(&self.store.manifest, (collection, *scope), wanted.wish, (self.own.as_ref(), &blocks))?;
            notes.notes.extend(found.notes);
            for entry in found.entries {
                if let Some(found) = own(collection, entry, notes)? {
                    return Ok(Some(found));
                }
            }
            if let Some(text) = found.quarantine {
                notes.notes.push(text);
                break;
            }
            let asks = !self.options.is_offline && !self.fixed.contains(&collection.name);
            let Some(reach) = reach.as_ref().filter(|_| asks) else { continue };
            let question = AskedCollection { collection, place, reach, patience: &patience };
            if let Some(found) = ask(&question, &wanted, notes)? {
                return Ok(Some(found));
            }
            asked.push(question);
        }
        if !patience.try_again() {
            return Ok(None);
        }
        for question in &asked {
            if let Some(found) = ask(question, &wanted, notes)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Reads whom the project of the specification may be asked of; `None`: nobody, since it tells no project.
    fn reach(&self) -> Result<Option<Reach<'_>>> {
        let Some(project) = self.options.wish.project() else { return Ok(None) };
        let order: Vec<&CollectionRow> = self.order.iter().map(|(row, _)| row).collect();
        let rows: &Rows = &self.store.manifest;
        let reach = Reach::read(rows, &order, self.own.as_ref(), &project, Matter::Files)?;
        reach.behind_nearer(rows, &order).map(Some)
    }
}

/// A day in seconds.
const DAY: i64 = 86_400;

/// Counts the lookup. An answer is never held up or lost for the sake of a count.
fn count(
    store: &Store,
    context: &Context<'_>,
    collection: &CollectionName,
    remote: &str,
    outcome: Outcome,
    entry: Option<&Entry>,
) {
    if !store.is_writable() || store.manifest.set_wait(Duration::from_millis(500)).is_err() {
        return;
    }
    let (manifest, name) = (&store.manifest, collection.as_str());
    // A use is told once a day: to the other nodes of a shared store, too.
    let is_told = |entry: &&Entry| entry.used_at.is_some_and(|at| (0..=DAY).contains(&(context.now - at)));
    let _ = match entry.filter(|entry| !is_told(entry)) {
        None => manifest.count_lookup(context.now, name, remote, outcome),
        Some(entry) => manifest.write_relaxed(|transaction| {
            transaction.set_used(entry.blob, context.now)?;
            transaction.add_count(context.now, name, remote, outcome, 1)
        }),
    };
}
