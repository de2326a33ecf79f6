//! `list`, `show`, `why`: what is there, one distribution whole, and who keeps a blob.

use crate::catalog::search::{self, Filter, required};
use crate::context::Context;
use crate::digest::{Blake3, Sha256};
use crate::error::{Error, Result};
use crate::manifest::{BlobRow, Entry, Origin, Reference, State};
use crate::name::{CollectionName, ProjectName};
use crate::ops::outdated::Newer;
use crate::requirement::{DigestSpec, Spec};
use crate::store::Store;
use crate::wheel::{BuildTag, Metadata, VariantLabel};
use pep440_rs::Version;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A distribution in a collection.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
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
    /// A variant wheel's label.
    pub variant_label: Option<VariantLabel>,
    /// Its SHA-256 digest.
    pub sha256: Sha256,
    /// The blob.
    pub blake3: Blake3,
    /// Size in bytes.
    pub size: u64,
    /// The revision that added it.
    pub added_revision: i64,
    /// When the collection first had it, in seconds since 1970.
    pub uploaded_at: i64,
    /// The reason of a yank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yanked: Option<String>,
    /// `live`, `lost` when its bytes were found missing or wrong, or `elsewhere`: a node fetches them when they are wanted.
    pub state: State,
    /// What is newer, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer: Option<Newer>,
    /// How often this folder's server gave it to readers of the collection, in 400 days, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downloads: Option<u64>,
}

impl From<Entry> for Listed {
    fn from(entry: Entry) -> Self {
        Self {
            build_tag: entry.parsed_build_tag(),
            collection: entry.collection,
            filename: entry.filename,
            project: entry.project,
            version: entry.version,
            variant_label: entry.variant,
            sha256: entry.sha256,
            blake3: entry.blake3,
            size: entry.size,
            added_revision: entry.added,
            uploaded_at: entry.uploaded_at,
            newer: None,
            downloads: None,
            yanked: entry.yanked,
            state: entry.state,
        }
    }
}

/// Lists distributions by collection, project, version and build tag.
pub fn list(store: &Store, filter: &Filter) -> Result<Vec<Listed>> {
    let mut found = Vec::new();
    each_listed(store, filter, &mut |listed| {
        found.push(listed);
        Ok(())
    })?;
    Ok(found)
}

/// Shows what [`list`] returns one by one, as it is at one moment: there may be more than one wants to hold.
pub fn each_listed(store: &Store, filter: &Filter, show: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
    let transaction = store.manifest.read()?;
    search::each_entry(&transaction, filter, &mut |entry| show(entry.into()))
}

/// Finds how often distributions were downloaded.
pub fn count_downloads(store: &Store, all: &mut [Listed]) -> Result<()> {
    let rows = store.manifest.read()?;
    for listed in all {
        listed.downloads = Some(rows.download_count(&listed.sha256, Some(listed.collection.as_str()))?);
    }
    Ok(())
}

/// A distribution whole.
#[derive(Debug, Clone, Serialize)]
pub struct ShowReport {
    /// What builders call it: project, version, build tag.
    pub key: String,
    /// The filename.
    pub filename: String,
    /// The project.
    pub project: ProjectName,
    /// The version, normalised.
    pub version: String,
    /// The version that its METADATA says, where the filename's was trusted instead (`import --trust-filename`).
    pub version_in_metadata: Option<String>,
    /// A wheel's build tag.
    pub build_tag: Option<BuildTag>,
    /// A wheel's tags.
    pub tags: String,
    /// A variant wheel's label.
    pub variant_label: Option<VariantLabel>,
    /// The collections that have it, each with the revision that added it.
    pub collections: BTreeMap<CollectionName, i64>,
    /// Size in bytes.
    pub size: u64,
    /// Its SHA-256 digest.
    pub sha256: Sha256,
    /// The blob.
    pub blake3: Blake3,
    /// The blob's state.
    pub state: State,
    /// Where the blob is.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub path: PathBuf,
    /// When it first came, in seconds since 1970.
    pub uploaded_at: i64,
    /// When verify last read its bytes.
    pub verified_at: Option<i64>,
    /// When a lookup last gave it.
    pub used_at: Option<i64>,
    /// How often this folder's server gave it, in 400 days.
    pub downloads: u64,
    /// `Requires-Python`.
    pub requires_python: Option<String>,
    /// The summary in its metadata.
    pub summary: Option<String>,
    /// The dependencies in its metadata.
    pub requires_dist: Vec<String>,
    /// Who pinned it.
    pub pinned_by: Vec<String>,
    /// The reason of a yank, by collection.
    pub yanked: BTreeMap<CollectionName, String>,
    /// The remote and URL that it came from, by collection.
    pub origins: BTreeMap<CollectionName, Origin>,
    /// By collection, where a builder had its source, or the pre-built file, from.
    pub source_urls: BTreeMap<CollectionName, String>,
    /// The collections for which it was fetched as it is, where others build from source.
    pub prebuilt_in: Vec<CollectionName>,
}

/// Returns the version that the metadata says, where it is not the entry's.
fn other_version(entry: &Entry, metadata: &Metadata) -> Option<String> {
    let value = |text: &str| text.parse::<Version>().ok();
    (value(&metadata.version) != value(&entry.version)).then(|| metadata.version.clone())
}

/// Shows the distributions that a filter means, each once however many collections have it.
pub fn show(store: &Store, filter: &Filter) -> Result<Vec<ShowReport>> {
    let manifest = &store.manifest;
    let mut shown: Vec<ShowReport> = Vec::new();
    for entry in required(manifest, filter)? {
        let known = shown.iter_mut().find(|known| known.blake3 == entry.blake3 && known.filename == entry.filename);
        let report = match known {
            Some(report) => report,
            None => {
                let bytes = entry.metadata_sha256.map(|sha256| manifest.metadata(&sha256)).transpose()?.flatten();
                let metadata = bytes.as_deref().and_then(|bytes| Metadata::parse(bytes).ok());
                let blob = manifest.blob(entry.blob)?;
                shown.push(ShowReport {
                    key: key(&entry),
                    filename: entry.filename.clone(),
                    project: entry.project.clone(),
                    version: entry.version.clone(),
                    version_in_metadata: metadata.as_ref().and_then(|metadata| other_version(&entry, metadata)),
                    build_tag: entry.parsed_build_tag(),
                    tags: entry.tags.clone(),
                    variant_label: entry.variant.clone(),
                    collections: BTreeMap::new(),
                    size: entry.size,
                    sha256: entry.sha256,
                    blake3: entry.blake3,
                    state: entry.state,
                    path: store.blobs.path(&entry.blake3),
                    uploaded_at: entry.uploaded_at,
                    verified_at: blob.and_then(|blob| blob.verified_at),
                    used_at: entry.used_at,
                    downloads: manifest.download_count(&entry.sha256, None)?,
                    requires_python: entry.requires_python.clone(),
                    summary: metadata.as_ref().and_then(|metadata| metadata.summary.clone()),
                    requires_dist: metadata.map(|metadata| metadata.requires_dist).unwrap_or_default(),
                    pinned_by: manifest.pins(Some(entry.blob))?.into_iter().map(|pin| pin.owner).collect(),
                    yanked: BTreeMap::new(),
                    origins: BTreeMap::new(),
                    source_urls: BTreeMap::new(),
                    prebuilt_in: Vec::new(),
                });
                shown.last_mut().expect("pushed just now")
            }
        };
        report.uploaded_at = report.uploaded_at.min(entry.uploaded_at);
        report.yanked.extend(entry.yanked.map(|reason| (entry.collection.clone(), reason)));
        if entry.is_prebuilt {
            report.prebuilt_in.push(entry.collection.clone());
        }
        report.source_urls.extend(entry.source_url.map(|url| (entry.collection.clone(), url)));
        report.origins.extend(entry.origin.map(|origin| (entry.collection.clone(), origin)));
        report.collections.insert(entry.collection, entry.added);
    }
    Ok(shown)
}

/// Returns what builders call a distribution: `numpy==1.26.4-2`, without a build tag `numpy==1.26.4`.
fn key(entry: &Entry) -> String {
    let build = entry.build_tag.as_ref().map(|tag| format!("-{tag}")).unwrap_or_default();
    format!("{}=={}{build}", entry.project, entry.version)
}

/// Something that keeps a blob.
#[derive(Debug, Clone, Serialize)]
pub struct Reason {
    /// `collection`, `history`, `snapshot`, `view`, `pin` or `hold`.
    pub kind: &'static str,
    /// Who or what.
    pub by: String,
    /// Since when, in seconds since 1970, where that is known.
    pub since: Option<i64>,
    /// What would take it away.
    pub freed_by: String,
}

/// Why a blob is kept.
#[derive(Debug, Clone, Serialize)]
pub struct WhyReport {
    /// The blob.
    pub blake3: Blake3,
    /// Its other digest.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size: u64,
    /// Its state.
    pub state: State,
    /// The filenames under which it is known.
    pub filenames: Vec<String>,
    /// All that keeps it; nothing: gc takes it.
    pub reasons: Vec<Reason>,
}

/// Tells who keeps the blobs that a specification means, since when, and what would free them.
pub fn why(store: &Store, context: &Context<'_>, filter: &Filter) -> Result<Vec<WhyReport>> {
    // Each one that nothing matches is told, like one alone.
    for spec in &filter.specs {
        blobs(store, &Filter { specs: vec![spec.clone()], ..filter.clone() })?;
    }
    let transaction = store.manifest.read()?;
    let mut reports = Vec::new();
    for blob in blobs(store, filter)? {
        let mut reasons = Vec::new();
        for entry in transaction.blob_entries(blob.id)? {
            reasons.push(match (entry.removed, entry.removed_at) {
                (Some(removed), at) => Reason {
                    kind: "history",
                    by: format!("{}@{} to {}: {}", entry.collection, entry.added, removed - 1, entry.filename),
                    since: at,
                    freed_by: "gc, once its grace has passed and no snapshot or view shows it".to_owned(),
                },
                (None, _) => Reason {
                    kind: "collection",
                    by: format!("{}: {}", entry.collection, entry.filename),
                    since: Some(entry.uploaded_at),
                    freed_by: format!("wcas invalidate {} --collection {}", entry.filename, entry.collection),
                },
            });
        }
        for pin in transaction.pins(Some(blob.id))? {
            if pin.expires_at.is_none_or(|at| at > context.now) {
                reasons.push(Reason {
                    kind: "pin",
                    by: if pin.reason.is_empty() {
                        pin.owner.clone()
                    } else {
                        format!("{}: {}", pin.owner, pin.reason)
                    },
                    since: Some(pin.created_at),
                    freed_by: format!("wcas unpin {} --owner {}", blob.blake3, pin.owner),
                });
            }
        }
        reasons.extend(transaction.keepers(blob.id)?.into_iter().map(keeper));
        reports.push(WhyReport {
            blake3: blob.blake3,
            sha256: blob.sha256,
            size: blob.size,
            state: blob.state,
            filenames: transaction.filenames(blob.id)?,
            reasons,
        });
    }
    Ok(reports)
}

fn keeper(reference: Reference) -> Reason {
    match reference {
        Reference::Hold { command, pid, since } => Reason {
            kind: "hold",
            by: format!("{command} (process {pid})"),
            since: Some(since),
            freed_by: "the end of that process".to_owned(),
        },
        Reference::Snapshot { collection, name, since } => Reason {
            kind: "snapshot",
            by: format!("{collection}@{name}"),
            since: Some(since),
            freed_by: format!("wcas collection snapshot {collection} {name} --delete"),
        },
        Reference::View { path, collection, revision } => Reason {
            kind: "view",
            by: format!("{path} shows {collection}@{revision}"),
            since: None,
            // The tree may show one collection or what a variant sees of several.
            freed_by: format!("writing the tree anew once it is not listed, or wcas view --remove {path}"),
        },
    }
}

/// Returns the blobs that a filter means: those of live entries, and by digest any other.
pub(super) fn blobs(store: &Store, filter: &Filter) -> Result<Vec<BlobRow>> {
    let manifest = &store.manifest;
    let mut found: BTreeMap<Blake3, BlobRow> = BTreeMap::new();
    for spec in &filter.specs {
        let before = found.len();
        if let Spec::Digest(digest) = spec {
            let row = match digest {
                DigestSpec::Blake3(blake3) => manifest.find_blob(blake3)?,
                DigestSpec::Sha256(sha256) => manifest.find_blob_by_sha256(sha256)?,
                DigestSpec::Either(bytes) => match manifest.find_blob(&Blake3::from_bytes(*bytes))? {
                    Some(row) => Some(row),
                    None => manifest.find_blob_by_sha256(&Sha256::from_bytes(*bytes))?,
                },
            };
            found.extend(row.map(|row| (row.blake3, row)));
        } else {
            let one = Filter { specs: vec![spec.clone()], ..filter.clone() };
            for entry in search::entries(manifest, &one)? {
                found.extend(manifest.blob(entry.blob)?.map(|row| (row.blake3, row)));
            }
        }
        let is_known = found.values().any(|row| matches!(spec, Spec::Digest(digest) if digest.matches(&digests(row))));
        if found.len() == before && !is_known && found.is_empty() {
            return Err(Error::NoMatch(spec.to_string()));
        }
    }
    Ok(found.into_values().collect())
}

fn digests(row: &BlobRow) -> crate::digest::Digests {
    crate::digest::Digests { blake3: row.blake3, sha256: row.sha256 }
}
