//! `lookup`: the best distribution for a specification, along the search order.
//!
//! The search order is a variant's, or each collection that was asked for, followed by its fallbacks; the first collection that has a match
//! answers. Within it an exactly equal version wins, then released versions, then the highest version, the highest build tag, the
//! closest tags.

use super::block::Blocks;
use super::healing::{Health, check};
use super::ownership::{OwnProjects, Ownership};
use super::pull::{Asked, Patience};
use super::rank::{admits, rank};
use super::reach::{Matter, Reach};
use super::{Context, Filter, PullNote, collection_row, collection_rows, pull, status, variant};
use crate::digest::{Blake3, Sha256};
use crate::error::Result;
use crate::manifest::{CollectionRow, Entry, Outcome, Rows, State};
use crate::name::{CollectionName, ProjectName, RemoteName};
use crate::requirement::Spec;
use crate::store::Store;
use crate::wheel::{BuildTag, DistributionFilename};
use pep440_rs::Version;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// What `lookup` is told.
#[derive(Debug, Clone)]
pub struct LookupOptions {
    /// What is wanted.
    pub spec: Spec,
    /// Which collections, build tag and target.
    pub filter: Filter,
    /// Search in this variant's order, instead of the collections of the filter.
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
}

/// Finds the best distribution. A match whose bytes are missing or wrong is no match: the next best is taken. Of a project in
/// quarantine nothing is found, there and farther away.
pub fn lookup(store: &Store, context: &Context<'_>, options: &LookupOptions) -> Result<LookupReport> {
    let asked = asked(options);
    let mut report = LookupReport::default();
    let order = order(&store.manifest, &asked, options)?;
    let own = ownership(&store.manifest, options)?;
    let reach = reach(&store.manifest, &order, &options.spec, own.as_ref())?;
    let patience = Patience::default();
    let ask = |asked: Asked<'_>, report: &mut LookupReport| -> Result<Option<(CollectionRow, Entry, RemoteName)>> {
        let pulled = pull::find(store, context, &asked, options, &mut report.remotes)?;
        let Some((remote, pulled)) = pulled else { return Ok(None) };
        // A guard may have sent it to the variant's own.
        let taken = collection_row(&store.manifest, &pulled.collection)?;
        let entry = store.manifest.find_entry(taken.id, &pulled.filename)?;
        Ok(entry.filter(|entry| entry.sha256 == pulled.sha256).map(|entry| (taken, entry, remote)))
    };
    let mut asked_later = Vec::new();
    for (place, collection) in order.iter().enumerate().filter(|_| !options.force_miss) {
        let (entries, quarantine) = offered(&store.manifest, collection, options, own.as_ref(), &mut report.notes)?;
        report.notes.extend(quarantine.clone());
        for entry in entries {
            let Some(row) = store.manifest.blob(entry.blob)? else { continue };
            if row.state == State::Live && check(store, &row)? == Health::Good {
                return report.found(store, context, collection, entry, None);
            }
            report.unusable.push(entry.filename);
        }
        if quarantine.is_some() {
            break;
        }
        if options.is_offline {
            continue;
        }
        let Some(reach) = &reach else { continue };
        let asked = Asked { collection, place, reach, patience: &patience };
        if let Some((taken, entry, remote)) = ask(asked, &mut report)? {
            return report.found(store, context, &taken, entry, Some(remote));
        }
        asked_later.push((place, collection, reach));
    }
    if patience.try_again() {
        for (place, collection, reach) in asked_later {
            let asked = Asked { collection, place, reach, patience: &patience };
            if let Some((taken, entry, remote)) = ask(asked, &mut report)? {
                return report.found(store, context, &taken, entry, Some(remote));
            }
        }
    }
    count(store, context, options.variant.as_ref().unwrap_or(&asked[0]), "", Outcome::Miss, None);
    Ok(report)
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
}

/// Tells the METADATA of what a lookup would find; a remote is asked for no more than that, and nothing is imported or counted.
pub fn metadata(store: &Store, context: &Context<'_>, options: &LookupOptions) -> Result<MetadataReport> {
    let mut report = MetadataReport::default();
    let order = order(&store.manifest, &asked(options), options)?;
    let own = ownership(&store.manifest, options)?;
    let reach = reach(&store.manifest, &order, &options.spec, own.as_ref())?;
    let (patience, mut asked_later) = (Patience::default(), Vec::new());
    for (place, collection) in order.iter().enumerate() {
        let (entries, quarantine) = offered(&store.manifest, collection, options, own.as_ref(), &mut report.notes)?;
        report.notes.extend(quarantine.clone());
        for entry in entries {
            let Some(sha256) = entry.metadata_sha256 else { continue };
            let Some(bytes) = store.manifest.metadata(&sha256)? else { continue };
            return Ok(report.found(&collection.name, entry.filename, &bytes, None));
        }
        if quarantine.is_some() {
            break;
        }
        if options.is_offline {
            continue;
        }
        let Some(reach) = &reach else { continue };
        let asked = Asked { collection, place, reach, patience: &patience };
        let found = pull::find_metadata(store, context, &asked, options, &mut report.remotes)?;
        if let Some((remote, (filename, bytes))) = found {
            return Ok(report.found(&collection.name, filename, &bytes, Some(remote)));
        }
        asked_later.push((place, collection, reach));
    }
    if patience.try_again() {
        for (place, collection, reach) in asked_later {
            let asked = Asked { collection, place, reach, patience: &patience };
            let found = pull::find_metadata(store, context, &asked, options, &mut report.remotes)?;
            if let Some((remote, (filename, bytes))) = found {
                return Ok(report.found(&collection.name, filename, &bytes, Some(remote)));
            }
        }
    }
    Ok(report)
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
fn asked(options: &LookupOptions) -> Vec<CollectionName> {
    match options.filter.collections.as_slice() {
        [] => vec![CollectionName::shared()],
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
            build_tag: build_tag(&entry),
            size: Some(entry.size),
            filename: Some(entry.filename),
            project: Some(entry.project),
            version: Some(entry.version),
            ..self
        })
    }
}

/// Returns the collections to search for a specification.
fn order(rows: &Rows, asked: &[CollectionName], options: &LookupOptions) -> Result<Vec<CollectionRow>> {
    match &options.variant {
        Some(variant) => variant::order(rows, variant, project(&options.spec).as_ref()),
        None => search_order(rows, asked),
    }
}

/// Reads whose the project is that a variant's lookup is about.
fn ownership(rows: &Rows, options: &LookupOptions) -> Result<Option<Ownership>> {
    let Some(variant) = &options.variant else { return Ok(None) };
    Ok(Some(Ownership::read(rows, variant, &options.own, project(&options.spec).as_ref())?))
}

/// Reads whom the project of a specification may be asked of; `None`: nobody, since it tells no project.
fn reach<'a>(
    rows: &Rows,
    order: &[CollectionRow],
    spec: &Spec,
    own: Option<&'a Ownership>,
) -> Result<Option<Reach<'a>>> {
    let Some(project) = project(spec) else { return Ok(None) };
    let order: Vec<&CollectionRow> = order.iter().collect();
    Reach::read(rows, &order, own, &project, Matter::Files)?.behind_nearer(rows, &order).map(Some)
}

/// Returns the project that a specification is about, which a digest doesn't tell.
pub(super) fn project(spec: &Spec) -> Option<ProjectName> {
    match spec {
        Spec::Project { name, .. } => Some(name.clone()),
        Spec::Filename(filename) => DistributionFilename::parse(filename).ok().map(|name| name.project().clone()),
        Spec::Digest(_) => None,
    }
}

/// Returns the collections to search, in order, each once.
pub(super) fn search_order(rows: &Rows, asked: &[CollectionName]) -> Result<Vec<CollectionRow>> {
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

/// Returns the matches in a collection, the best first.
pub(super) fn candidates(rows: &Rows, collection: &CollectionRow, options: &LookupOptions) -> Result<Vec<Entry>> {
    let filter = Filter {
        specs: vec![options.spec.clone()],
        collections: vec![collection.name.clone()],
        ..options.filter.clone()
    };
    let found = super::search::entries(rows, &filter)?;
    let mut ranked: Vec<_> = found
        .into_iter()
        .filter(|entry| admits(entry.requires_python.as_deref(), &options.filter.target))
        .filter_map(|entry| {
            let name = DistributionFilename::parse(&entry.filename).ok()?;
            Some((rank(&options.spec, &options.filter.target, &name, entry.yanked.is_some())?, entry))
        })
        .collect();
    ranked.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.filename.cmp(&other.filename)));
    Ok(ranked.into_iter().map(|(_, entry)| entry).collect())
}

/// Returns the matches in a collection, the best first, without those whose project is in quarantine, and a word about that; what isn't
/// for the variant is left out with a note.
fn offered(
    rows: &Rows,
    collection: &CollectionRow,
    options: &LookupOptions,
    own: Option<&Ownership>,
    notes: &mut Vec<String>,
) -> Result<(Vec<Entry>, Option<String>)> {
    let (mut entries, blocks) = (Vec::new(), Blocks::read(rows)?);
    for entry in candidates(rows, collection, options)? {
        let foreign = own.map_or(Ok(None), |own| own.objection(rows, &entry))?;
        match foreign.or_else(|| blocks.of_entry(&entry)) {
            None => entries.push(entry),
            Some(reason) => notes.push(format!("{}: {reason}", entry.filename)),
        }
    }
    let project = project(&options.spec).or_else(|| entries.first().map(|entry| entry.project.clone()));
    let quarantine = status::quarantine_in(rows, collection, project.as_ref())?;
    if quarantine.is_some() {
        // A digest may mean a file of another project, too; that is not handed out instead.
        entries.clear();
    }
    Ok((entries, quarantine))
}

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
    let _ = store.manifest.write_relaxed(|transaction| {
        if let Some(entry) = entry {
            transaction.set_used(entry.blob, context.now)?;
        }
        transaction.add_count(context.now, collection.as_str(), remote, outcome, 1)
    });
}

/// Returns an entry's version; it was parsed before it was stored.
pub(super) fn version(entry: &Entry) -> Version {
    entry.version.parse().unwrap_or_else(|_| Version::new([0]))
}

/// Returns an entry's build tag.
pub(super) fn build_tag(entry: &Entry) -> Option<BuildTag> {
    entry.build_tag.as_deref().and_then(|tag| tag.parse().ok())
}
