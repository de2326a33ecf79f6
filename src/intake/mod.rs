//! `import`: files become blobs, and blobs become entries of a collection, or of those that a variant's route names.
//!
//! Batches of files are staged, hashed and published under holds of a session; the entries of all of them become visible in one
//! last transaction, as one revision of each collection that gets any. Killed half-way, the next run finds the blobs there.

mod enter;
mod find;
mod fromager;
mod incoming;
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

use crate::blobs::LinkMode;
use crate::catalog::at::CollectionAt;
use crate::context::Context;
use crate::digest::{Blake3, Sha256};
use crate::error::Result;
use crate::fs::ChangeTimes;
use crate::keep::publish::Publisher;
use crate::manifest::TokenId;
use crate::name::{CollectionName, ProjectName};
use crate::store::{Store, despite_others};
use crate::wheel::{BuildTag, Trust};
use enter::{Entered, enter};
use incoming::{IncomingFile, find_unknown, refuse_contradictions, remove_source, stage_all, take_named};
use judge::judge;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

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
    let mut items = take_named(sources, &options.target, &mut refused);
    store.require_writable()?;
    let mut unknown = find_unknown(store, context, &mut items, options.link)?;
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
            let (link, trust, times) = (options.link, options.trust, ChangeTimes::default());
            let publisher = Publisher { store, session, context, link, trust, times };
            stage_all(&publisher, &mut items, &mut unknown, &mut refused)?;
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
    Ok(tell(options, items, outcomes, collections, refused, warned))
}

/// Makes the report of what became of the files, and removes the sources of those that were moved.
fn tell(
    options: &ImportOptions,
    items: Vec<IncomingFile>,
    outcomes: Vec<std::result::Result<Outcome, Objection>>,
    collections: Vec<CollectionAt>,
    mut refused: Vec<Refused>,
    warned: Vec<Refused>,
) -> (ImportReport, Vec<Objected>) {
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
    (report, objections)
}
