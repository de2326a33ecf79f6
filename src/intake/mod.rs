//! `import`: files become blobs, and blobs become entries of a collection, or of those that a variant's route names.
//!
//! Batches of files are staged, hashed and published under holds of a session; the entries of all of them become visible in one
//! last transaction, as one revision of each collection that gets any. Killed half-way, the next run finds the blobs there.

mod enter;
mod find;
mod fromager;
pub mod inspection;
mod judge;
pub mod route;
mod target;
mod token_reach;
mod upload;
pub(crate) mod write_back;

pub use find::{Made, Refused, Skipped, Source, find_sources, meant_by};
pub use fromager::{FromagerRepo, find_fromager};
pub use target::Target;
pub use upload::{Upload, UploadTerms, refer, upload};

use crate::blobs::{Found, LinkMode};
use crate::catalog::at::CollectionAt;
use crate::context::Context;
use crate::digest::{Blake3, Digests, Sha256};
use crate::error::Result;
use crate::fs::{self, ChangeTimes};
use crate::keep::publish::{Incoming, Publisher, was_read_lately};
use crate::manifest::{BlobId, State, TokenId};
use crate::name::{CollectionName, ProjectName};
use crate::store::{Session, Store, despite_others};
use crate::wheel::{self, BuildTag, DistributionFilename, Trust};
use enter::{Entered, enter};
use judge::judge;
use route::{Decision, Subject};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

/// A batch has at most this many files: enough that syncs and commits don't count. Each commit writes nearly all pages of the indexes of
/// digests, which come in no order.
const BATCH_FILES: usize = 2048;
/// A batch has at most this many bytes, so that little is lost when it is interrupted.
const BATCH_BYTES: u64 = 1 << 30;

/// What `import` is told.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Where the distributions go.
    pub target: Target,
    /// How bytes come into the store.
    pub link: LinkMode,
    /// Refuse a filename that the collection has with other bytes, instead of replacing it.
    pub keep_existing: bool,
    /// Which version counts of a wheel whose filename adds a local one that its METADATA lacks.
    pub trust: Trust,
}

/// What became of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// New bytes, in the collection now.
    New,
    /// Bytes that the store had, in the collection now.
    Deduplicated,
    /// The collection had it.
    Unchanged,
    /// The collection had other bytes under this name.
    Replaced,
    /// The store had lost the bytes and has them again.
    Healed,
}

/// An imported distribution.
#[derive(Debug, Clone, Serialize)]
pub struct ImportedDistribution {
    /// The filename.
    pub filename: String,
    /// The collection that has it now.
    pub collection: CollectionName,
    /// The project.
    pub project: ProjectName,
    /// The version, normalised.
    pub version: String,
    /// A wheel's build tag.
    pub build_tag: Option<BuildTag>,
    /// The blob.
    pub blake3: Blake3,
    /// Its other digest.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What `import` did.
#[derive(Debug, Serialize)]
pub struct ImportReport {
    /// The collection; of a routed import the variant's own where it has any of them, else the first that has.
    pub collection: CollectionName,
    /// Its revision now.
    pub revision: i64,
    /// All collections that have any of them.
    pub collections: Vec<CollectionAt>,
    /// What was imported, in the order of the sources.
    pub distributions: Vec<ImportedDistribution>,
    /// What was not, and why.
    pub refused: Vec<Refused>,
    /// Of what was refused, that of which the collection has, and keeps, other bytes under the same name.
    pub kept: Vec<Kept>,
    /// What was imported although the collection's guard speaks against it, and why.
    pub warned: Vec<Refused>,
    /// What was passed over in folders, and why.
    pub skipped: Vec<Skipped>,
    /// What was copied although a link or a move was asked for, and why.
    pub copied: Vec<Skipped>,
}

/// A file that was not imported, for the collection keeps what it has.
#[derive(Debug, Clone, Serialize)]
pub struct Kept {
    /// Where it is.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub path: PathBuf,
    /// Its filename.
    pub filename: String,
    /// The collection.
    pub collection: CollectionName,
    /// The digest of what the collection has.
    pub sha256: Option<Sha256>,
    /// All that in words.
    pub reason: String,
}

/// On whose terms files come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ImportPolicy {
    /// The store's owner knows what they do.
    Owner,
    /// A client of the server: the status of the project counts, and names are not given twice.
    Upload {
        /// It is a builder, who builds again what people invalidated.
        is_builders: bool,
        /// Whose reach counts; `None`: nobody's.
        token: Option<TokenId>,
    },
}

/// Why a file that is good has no place in its collection.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Objection {
    /// The collection has other bytes, with this digest, under its name, and keeps them.
    Existing(Option<Sha256>),
    /// Whoever sends it may not put it there.
    Forbidden(String),
    /// Another reason.
    Other(String),
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Existing(sha256) => {
                let digest = sha256.map(|digest| format!(" (sha256 {digest})")).unwrap_or_default();
                write!(f, "the collection has other bytes under this name{digest}, and existing ones are kept")
            }
            Self::Forbidden(reason) | Self::Other(reason) => f.write_str(reason),
        }
    }
}

/// A file that is good and has no place in its collection.
struct Objected {
    path: PathBuf,
    filename: String,
    collection: CollectionName,
    objection: Objection,
}

/// A source on its way.
struct IncomingFile {
    source: Source,
    name: DistributionFilename,
    /// The collection that gets it.
    decision: Decision,
    /// The blob, once it is known.
    blob: Option<BlobId>,
    digests: Option<Digests>,
    size: u64,
    /// The store didn't have the bytes before.
    is_new: bool,
    /// The store should have had the bytes, and hadn't.
    is_healed: bool,
    /// Why it is a copy though a link was asked for.
    copied: Option<&'static str>,
}

impl IncomingFile {
    fn incoming(&self) -> Incoming<'_> {
        let is_from_elsewhere = self.source.origin.is_some();
        Incoming { path: &self.source.path, name: &self.name, size: self.size, is_from_elsewhere }
    }
}

/// Imports files.
pub fn import(
    store: &Store,
    context: &Context<'_>,
    sources: Vec<Source>,
    options: &ImportOptions,
) -> Result<ImportReport> {
    let (mut report, objected) = import_on(store, context, sources, options, ImportPolicy::Owner)?;
    for Objected { path, filename, collection, objection } in objected {
        let reason = objection.to_string();
        report.refused.push(Refused { path: path.clone(), reason: reason.clone() });
        if let Objection::Existing(sha256) = objection {
            report.kept.push(Kept { path, filename, collection, sha256, reason });
        }
    }
    Ok(report)
}

/// Imports files on somebody's terms; what is good and has no place in its collection is told beside the report.
fn import_on(
    store: &Store,
    context: &Context<'_>,
    sources: Vec<Source>,
    options: &ImportOptions,
    terms: ImportPolicy,
) -> Result<(ImportReport, Vec<Objected>)> {
    let mut refused = Vec::new();
    let mut items = Vec::with_capacity(sources.len());
    for source in sources {
        match wheel::name_of(|| fs::open(&source.path).ok(), &source.filename) {
            Ok(name) => items.push(IncomingFile {
                size: source.signature.size,
                decision: options.target.decide(&subject(&name, &source.made)),
                source,
                name,
                blob: None,
                digests: None,
                is_new: false,
                is_healed: false,
                copied: None,
            }),
            Err(error) => refused.push(Refused::new(&source.path, &error)),
        }
    }
    store.require_writable()?;
    let mut unknown = Vec::new();
    let times = ChangeTimes::default();
    // One transaction for all the questions: each on its own would take and give back a lock.
    let transaction = store.manifest.read()?;
    for (index, item) in items.iter_mut().enumerate() {
        if !recognise(store, context, item, options.link, &times)? {
            unknown.push(index);
        }
    }
    drop(transaction);
    // An import of what is there needs no session: that would cost it two commits.
    let mut session = None;
    let total = unknown.iter().map(|&index| items[index].size).sum();
    context.progress.start_files("importing", unknown.len() as u64, total);
    let mut warned;
    let (collections, outcomes) = loop {
        if !unknown.is_empty() {
            let session = match &mut session {
                Some(session) => session,
                none => none.insert(store.session("import", context.now)?),
            };
            stage_all(store, context, session, options, &mut items, &mut unknown, &mut refused)?;
        }
        refuse_contradictions(&mut items, &mut refused);
        warned = judge(store, context, options, &mut items, &mut refused)?;
        match despite_others(|| enter(store, context, session.as_ref(), options, terms, &items))? {
            Entered::Done { collections, outcomes } => break (collections, outcomes),
            Entered::Lost(indexes) => {
                unknown = indexes;
                unknown.iter().for_each(|&index| items[index].blob = None);
            }
        }
    };
    context.progress.finish();
    // The import is done: what the end of the session can't clear now, the next session clears.
    drop(session);
    let mut distributions = Vec::with_capacity(items.len());
    let mut objections = Vec::new();
    let mut copied = Vec::new();
    for (item, outcome) in items.into_iter().zip(outcomes) {
        let Some(digests) = item.digests else { continue };
        match outcome {
            Ok(outcome) => {
                if let Some(reason) = item.copied {
                    copied.push(Skipped { path: item.source.path.clone(), reason: reason.to_owned() });
                }
                if options.link == LinkMode::Move {
                    remove_source(&item, &mut refused);
                }
                distributions.push(ImportedDistribution {
                    filename: item.name.as_str().to_owned(),
                    collection: item.decision.collection,
                    project: item.name.project().clone(),
                    version: item.name.version().to_string(),
                    build_tag: item.name.build_tag().cloned(),
                    blake3: digests.blake3,
                    sha256: digests.sha256,
                    size: item.size,
                    outcome,
                });
            }
            Err(objection) => objections.push(Objected {
                path: item.source.path,
                filename: item.name.as_str().to_owned(),
                collection: item.decision.collection,
                objection,
            }),
        }
    }
    let first = options.target.first(&collections);
    let report = ImportReport {
        collection: first.name,
        revision: first.revision,
        collections,
        distributions,
        refused,
        kept: Vec::new(),
        warned,
        skipped: Vec::new(),
        copied,
    };
    Ok((report, objections))
}

/// What is known of a file without looking into it.
fn subject<'a>(name: &'a DistributionFilename, made: &Made) -> Subject<'a> {
    Subject { version: Some(name.version()), is_prebuilt: made.is_prebuilt, ..Subject::of(name.project()) }
}

/// Finds out whether an unchanged file was hashed before and its blob is there: about two stats, and no byte is read.
/// A source that will be removed is read all the same, unless it is the blob's own file; so is one whose blob nobody read for long.
fn recognise(
    store: &Store,
    context: &Context<'_>,
    item: &mut IncomingFile,
    link: LinkMode,
    times: &ChangeTimes,
) -> Result<bool> {
    let source = item.source.signature;
    let own = || store.manifest.find_own(&source);
    let seen = store.manifest.find_seen(&source)?.filter(|_| times.prove(&item.source.path, &source));
    let Some(seen) = seen.map_or_else(own, |seen| Ok(Some(seen)))? else { return Ok(false) };
    if seen.state != State::Live || !store.manifest.has_distribution(seen.blob, item.name.as_str())? {
        return Ok(false);
    }
    // The row alone is not trusted: the name may be gone, or another file.
    let Found::File(found) = store.blobs.find(&seen.blake3)? else { return Ok(false) };
    let is_source = (found.device, found.inode) == (source.device, source.inode);
    let may_be_trusted = is_source || link != LinkMode::Move && was_read_lately(seen.read_at, context.now);
    if !found.is_recorded(seen.inode, seen.size, seen.modified_ns) || !may_be_trusted {
        return Ok(false);
    }
    item.blob = Some(seen.blob);
    item.digests = Some(Digests { blake3: seen.blake3, sha256: seen.sha256 });
    item.size = seen.size;
    Ok(true)
}

/// Stages and publishes the items at these indexes, batch by batch, the largest first.
fn stage_all(
    store: &Store,
    context: &Context<'_>,
    session: &Session<'_>,
    options: &ImportOptions,
    items: &mut Vec<IncomingFile>,
    indexes: &mut Vec<usize>,
    refused: &mut Vec<Refused>,
) -> Result<()> {
    indexes.sort_by_key(|&index| std::cmp::Reverse(items[index].size));
    let mut batches: Vec<&[usize]> = Vec::new();
    let mut left = indexes.as_slice();
    while !left.is_empty() {
        let mut bytes = 0;
        let fits = |&&index: &&usize| {
            let fits = bytes == 0 || bytes + items[index].size <= BATCH_BYTES;
            bytes += items[index].size;
            fits
        };
        let (batch, rest) = left.split_at(left.iter().take(BATCH_FILES).take_while(fits).count());
        batches.push(batch);
        left = rest;
    }
    let mut failed = HashMap::new();
    let (link, trust, times) = (options.link, options.trust, ChangeTimes::default());
    let incoming: Vec<Incoming<'_>> = items.iter().map(IncomingFile::incoming).collect();
    for (index, result) in (Publisher { store, session, context, link, trust, times }).publish(&incoming, &batches)? {
        match result {
            Ok(published) => {
                let item = &mut items[index];
                item.blob = Some(published.blob);
                item.digests = Some(published.digests);
                item.size = published.size;
                item.is_new |= published.is_new;
                item.is_healed |= published.is_healed;
                item.copied = published.copied;
            }
            Err(reason) => {
                failed.insert(index, reason);
            }
        }
    }
    indexes.clear();
    let all = std::mem::take(items).into_iter().enumerate();
    items.extend(all.filter_map(|(index, item)| match failed.remove(&index) {
        None => Some(item),
        Some(reason) => {
            refused.push(Refused { path: item.source.path, reason });
            None
        }
    }));
    Ok(())
}

/// Refuses all but the first of files with one name and different bytes: which one is meant can't be known.
fn refuse_contradictions(items: &mut Vec<IncomingFile>, refused: &mut Vec<Refused>) {
    let mut first: HashMap<String, (Blake3, PathBuf)> = HashMap::new();
    items.retain(|item| {
        let Some(digests) = item.digests else { return true };
        let mine = (digests.blake3, item.source.path.clone());
        let (blake3, path) = first.entry(item.name.as_str().to_owned()).or_insert(mine);
        if *blake3 == digests.blake3 {
            return true;
        }
        let reason = format!("{} has the same name and other bytes, and is imported", path.display());
        refused.push(Refused { path: item.source.path.clone(), reason });
        false
    });
}

/// Removes a source that was moved into the store, if it still is the file that was hashed.
fn remove_source(item: &IncomingFile, refused: &mut Vec<Refused>) {
    let is_same = |metadata: &std::fs::Metadata| {
        let (now, then) = (fs::Signature::of(metadata), &item.source.signature);
        (now.device, now.inode, now.size, now.modified_ns) == (then.device, then.inode, then.size, then.modified_ns)
    };
    match std::fs::metadata(&item.source.path) {
        Ok(metadata) if is_same(&metadata) => {
            if let Err(error) = fs::remove_file(&item.source.path) {
                let reason = format!("imported, but the source can't be removed: {}", error.source);
                refused.push(Refused { path: item.source.path.clone(), reason });
            }
        }
        Ok(_) => {
            let reason = "imported, but the source has changed since and is left where it is".to_owned();
            refused.push(Refused { path: item.source.path.clone(), reason });
        }
        Err(_) => {}
    }
}
