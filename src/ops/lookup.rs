//! `lookup`: the best distribution for a specification, along the search order.
//!
//! The search order is a variant's, or each collection that was asked for, followed by its fallbacks; the first collection that has a match
//! answers. Within it an exactly equal version wins, then released versions, then the highest version, the highest build tag, the
//! closest tags.

use super::healing::{Health, check};
use super::{Context, Filter, collection_rows, variant};
use crate::digest::{Blake3, Sha256};
use crate::error::Result;
use crate::manifest::{CollectionRow, Entry, Outcome, Rows, State};
use crate::name::{CollectionName, ProjectName};
use crate::requirement::Spec;
use crate::store::Store;
use crate::wheel::filename::WheelFilename;
use crate::wheel::{BuildTag, DistributionFilename, Kind};
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
    /// Miss whatever is there, as a build that wants to start afresh does.
    pub force_miss: bool,
}

/// What `lookup` found.
#[derive(Debug, Clone, Serialize)]
pub struct LookupReport {
    /// Whether anything was found.
    pub hit: bool,
    /// The filename.
    pub filename: Option<String>,
    /// Where its bytes are; the path ends in the filename.
    pub path: Option<PathBuf>,
    /// The collection that has it.
    pub collection: Option<CollectionName>,
    /// The remote that it came from just now.
    pub remote: Option<String>,
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
}

/// Finds the best distribution. A match whose bytes are missing or wrong is no match: the next best is taken.
pub fn lookup(store: &Store, context: &Context<'_>, options: &LookupOptions) -> Result<LookupReport> {
    let asked = if options.filter.collections.is_empty() {
        vec![CollectionName::shared()]
    } else {
        options.filter.collections.clone()
    };
    let mut unusable = Vec::new();
    let order = match &options.variant {
        Some(variant) => variant::order(&store.manifest, variant, project(&options.spec).as_ref())?,
        None => search_order(&store.manifest, &asked)?,
    };
    for collection in order.iter().filter(|_| !options.force_miss) {
        for entry in candidates(&store.manifest, collection, options)? {
            let Some(row) = store.manifest.blob(entry.blob)? else { continue };
            if row.state != State::Live || check(store, &row)? != Health::Good {
                unusable.push(entry.filename);
                continue;
            }
            let path = match store.blobs.named(&entry.blake3, &entry.filename) {
                // Who can't make the link gets the bytes all the same.
                Err(_) if !store.is_writable() => store.blobs.path(&entry.blake3),
                path => path?,
            };
            count(store, context, &collection.name, Outcome::Hit, Some(&entry));
            return Ok(LookupReport {
                hit: true,
                path: Some(path),
                collection: Some(collection.name.clone()),
                remote: None,
                sha256: Some(entry.sha256),
                blake3: Some(entry.blake3),
                build_tag: build_tag(&entry),
                size: Some(entry.size),
                filename: Some(entry.filename),
                project: Some(entry.project),
                version: Some(entry.version),
                unusable,
            });
        }
    }
    count(store, context, options.variant.as_ref().unwrap_or(&asked[0]), Outcome::Miss, None);
    Ok(LookupReport {
        hit: false,
        filename: None,
        path: None,
        collection: None,
        remote: None,
        sha256: None,
        blake3: None,
        project: None,
        version: None,
        build_tag: None,
        size: None,
        unusable,
    })
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
fn candidates(rows: &Rows, collection: &CollectionRow, options: &LookupOptions) -> Result<Vec<Entry>> {
    let filter = Filter {
        specs: vec![options.spec.clone()],
        collections: vec![collection.name.clone()],
        ..options.filter.clone()
    };
    let found = super::search::entries(rows, &filter)?;
    let mut ranked: Vec<_> = found
        .into_iter()
        .filter_map(|entry| {
            let version = version(&entry);
            let is_exact = options.spec.is_exact(&version) || !matches!(options.spec, Spec::Project { .. });
            // PEP 592: a yanked file answers only to its exact version.
            if entry.yanked.is_some() && !is_exact {
                return None;
            }
            let closeness = wheel_filename(&entry).and_then(|wheel| options.filter.target.rank(&wheel));
            let is_wheel = entry.kind == Kind::Wheel;
            Some(((is_exact, is_wheel, !version.any_prerelease(), version, build_tag(&entry), closeness), entry))
        })
        .collect();
    ranked.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.filename.cmp(&other.filename)));
    Ok(ranked.into_iter().map(|(_, entry)| entry).collect())
}

/// Counts the lookup. An answer is never held up or lost for the sake of a count.
fn count(store: &Store, context: &Context<'_>, collection: &CollectionName, outcome: Outcome, entry: Option<&Entry>) {
    if !store.is_writable() || store.manifest.set_wait(Duration::from_millis(500)).is_err() {
        return;
    }
    let _ = store.manifest.write_relaxed(|transaction| {
        if let Some(entry) = entry {
            transaction.set_used(entry.blob, context.now)?;
        }
        transaction.add_count(context.now, collection.as_str(), "", outcome, 1)
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

/// Returns the parsed name of an entry that is a wheel.
pub(super) fn wheel_filename(entry: &Entry) -> Option<WheelFilename> {
    match DistributionFilename::parse(&entry.filename) {
        Ok(DistributionFilename::Wheel(wheel)) => Some(wheel),
        _ => None,
    }
}
