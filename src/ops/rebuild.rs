//! `rebuild`: a new manifest from the blobs, for a store whose own is lost or damaged.
//!
//! What only the manifest knew is lost with it: which collection had what, history, pins, views. All distributions go into one
//! collection, in one revision. A blob that has no place there is pinned, so that gc lets it be until somebody has looked.
//!
//! The new manifest is made under another name and gets its own when it is whole. So nothing can see a part of it (gc would take
//! every blob that has no entry yet), and a run that is killed leaves nothing behind that the next one doesn't begin anew.

mod old_manifest;

use crate::blobs::{Found, Staging};
use crate::context::Context;
use crate::digest::{Blake3, Digests};
use crate::error::{Error, Result};
use crate::fs::{self, Signature};
use crate::manifest::{self, Access, Actor, BlobId, Distribution, Manifest, NewEntry, RecordFilter, Transaction};
use crate::name::CollectionName;
use crate::store::{ExclusiveStore, Store};
use crate::wheel::{self, DistributionFilename};
use crate::words::reason;
use old_manifest::{move_aside, part, refuse_sound, remove_parts};
use rayon::prelude::*;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So many files are read before their rows are inserted: it bounds the metadata in memory.
const BATCH_FILES: usize = 1024;
/// Who pins what has no place in the collection.
const OWNER: &str = "rebuild";
/// What `rebuild` is told.
#[derive(Debug, Clone)]
pub struct RebuildOptions {
    /// The collection that gets all distributions.
    pub collection: CollectionName,
    /// Replace a manifest that is there and sound.
    pub force: bool,
    /// Who asks, for the log.
    pub actor: Actor,
}

impl Default for RebuildOptions {
    fn default() -> Self {
        Self { collection: "recovered".parse().expect("a collection's name"), force: false, actor: Actor::default() }
    }
}

/// A blob whose filename nothing tells.
#[derive(Debug, Clone, Serialize)]
pub struct UnnamedBlob {
    /// The blob; it is pinned.
    pub blake3: Blake3,
    /// Size in bytes.
    pub size: u64,
}

/// Something in `blobs/` that is not in the collection now, and why.
#[derive(Debug, Clone, Serialize)]
pub struct RebuildProblem {
    /// Where it is; it was left there.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

/// What `rebuild` did.
#[derive(Debug, Serialize)]
pub struct RebuildReport {
    /// The collection.
    pub collection: CollectionName,
    /// Its revision now; 0: there was nothing to put into it.
    pub revision: i64,
    /// How many blobs the manifest knows now.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The filenames in the collection, sorted.
    pub distributions: Vec<String>,
    /// How many of the filenames are guesses from the bytes: the alternatives in their tags may have had another order.
    pub guessed: usize,
    /// Blobs without a filename.
    pub unnamed: Vec<UnnamedBlob>,
    /// What is not in the collection for other reasons.
    pub problems: Vec<RebuildProblem>,
    /// How many records of the log could be taken over.
    pub records: u64,
    /// Where the damaged manifest is now.
    #[serde(serialize_with = "crate::fs::text::path_or_none")]
    pub damaged_manifest: Option<PathBuf>,
}

/// A blob with right bytes.
struct Blob {
    digests: Digests,
    found: Signature,
    names: Vec<Distribution>,
    is_guess: bool,
}

/// A distribution that asks for its filename's place in the collection.
struct Candidate {
    filename: String,
    is_guess: bool,
    modified_ns: i64,
    blake3: Blake3,
    blob: BlobId,
}

/// Makes a new manifest from the blobs of the store in this folder.
pub fn rebuild(root: &Path, context: &Context<'_>, options: &RebuildOptions) -> Result<RebuildReport> {
    let store = Store::alone(root)?;
    refuse_sound(&store, options.force)?;
    let mut report = RebuildReport {
        collection: options.collection.clone(),
        revision: 0,
        blobs: 0,
        bytes: 0,
        distributions: Vec::new(),
        guessed: 0,
        unnamed: Vec::new(),
        problems: Vec::new(),
        records: 0,
        damaged_manifest: None,
    };
    let unfinished = store.root().join("manifest.sqlite.rebuilding");
    remove_parts(&unfinished)?;
    let mut manifest = Manifest::open(&unfinished, Access::Create, Duration::ZERO)?;
    manifest.set_actor(options.actor.clone());
    fill(&store, &manifest, context, options, &mut report)?;
    store.blobs.mend_filenames(&manifest.all_filenames()?)?;
    manifest.tidy()?;
    drop(manifest);
    // SQLite has moved its log into the file and removed it: a log that is left would be lost by the rename.
    let log = part(&unfinished, "-wal");
    if fs::entry(&log)?.is_some_and(|entry| entry.len() > 0) {
        return Err(fs::Error::at("empty", &log)(std::io::Error::other("SQLite left its log")).into());
    }
    fs::give(&unfinished)?;
    fs::sync_file(&unfinished)?;
    report.damaged_manifest = move_aside(&store)?;
    fs::rename(&unfinished, &store.manifest_path())?;
    fs::sync_dir(store.root())?;
    Ok(report)
}

/// Reads all blobs and inserts what they are, in one transaction.
fn fill(
    store: &ExclusiveStore,
    manifest: &Manifest,
    context: &Context<'_>,
    options: &RebuildOptions,
    report: &mut RebuildReport,
) -> Result<()> {
    let files = files(store, report)?;
    let mut noted = store.blobs.noted_filenames()?;
    for (blake3, linked) in store.blobs.linked_filenames()? {
        // What a link says comes first, as the newer of the two.
        let names = noted.entry(blake3).or_default();
        let told = std::mem::take(names);
        names.extend(linked);
        names.extend(told);
    }
    // Without threads of its own it takes longer.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(context.jobs.max(1)).build().ok();
    context.progress.start_files("rebuilding", files.len() as u64, files.iter().map(|(_, size)| size).sum());
    let transaction = manifest.write()?;
    let mut candidates = Vec::new();
    for batch in files.chunks(BATCH_FILES) {
        let read = |&(blake3, size): &(Blake3, u64)| {
            let names = noted.get(&blake3).map_or(&[][..], Vec::as_slice);
            let name = names.first().map_or_else(|| blake3.to_string(), ToString::to_string);
            (blake3, context.progress.on(&name, size, || look(store, &blake3, names)))
        };
        let looked: Vec<_> = match &pool {
            Some(pool) => pool.install(|| batch.par_iter().with_max_len(1).map(read).collect()),
            None => batch.iter().map(read).collect(),
        };
        for (blake3, blob) in looked {
            let path = store.blobs.path(&blake3);
            match blob {
                Ok(blob) => insert(&transaction, context, blob, &path, report, &mut candidates)?,
                Err(reason) => report.problems.push(RebuildProblem { path, reason }),
            }
        }
    }
    // The log goes on: what can be read of the old one comes first.
    let old = Manifest::open(&store.manifest_path(), Access::Write, Duration::ZERO).ok();
    let base = old.as_ref().and_then(|old| old.log_base().ok()?);
    report.records = transaction.take_log(base, |take| {
        // Up to where the damage begins.
        let _ = old.iter().try_for_each(|old| {
            old.each_record(&RecordFilter::default(), |row| {
                take(row);
                Ok::<_, manifest::Error>(())
            })
        });
    })?;
    enter(store, &transaction, context, options, candidates, report)?;
    // A row says that its blob's name is durable: one that a killed import left may not be yet.
    if report.blobs > 0 {
        fs::sync_filesystem(store.root())?;
    }
    transaction.commit()?;
    context.progress.finish();
    Ok(())
}

/// Returns the blobs' files and sizes, in the order of their digests; what else lies there is a problem.
fn files(store: &ExclusiveStore, report: &mut RebuildReport) -> Result<Vec<(Blake3, u64)>> {
    let mut files = Vec::new();
    for entry in store.blobs.iter() {
        let problem = match entry {
            Err(error) => RebuildProblem { path: error.path.clone(), reason: reason(&error) },
            Ok((path, None)) => RebuildProblem { path, reason: "not named like a blob".to_owned() },
            Ok((path, Some(blake3))) => match store.blobs.find(&blake3)? {
                Found::File(found) => {
                    files.push((blake3, found.size));
                    continue;
                }
                Found::Foreign => RebuildProblem { path, reason: "not a regular file".to_owned() },
                Found::Absent => continue,
            },
        };
        report.problems.push(problem);
    }
    files.sort_unstable();
    Ok(files)
}

/// Reads a blob's bytes and finds its filenames; tells why not, when they are not the right bytes.
fn look(store: &ExclusiveStore, blake3: &Blake3, noted: &[String]) -> std::result::Result<Blob, String> {
    let path = store.blobs.path(blake3);
    let (digests, found) = Staging::hash_source(&path, true).map_err(|error| reason(&error))?;
    let found = found.ok_or("it changed while it was read")?;
    if digests.blake3 != *blake3 {
        return Err(format!("its bytes are those of {}", digests.blake3));
    }
    let file = store.blobs.open(blake3).map_err(|error| reason(&error))?;
    let read = |name: &DistributionFilename| wheel::read_trusting(&file, name, wheel::Trust::Filename).ok();
    let describe = |name: &DistributionFilename| Some(Distribution::new(name, read(name)?));
    let mut known: Vec<DistributionFilename> = Vec::new();
    for name in noted.iter().filter_map(|name| DistributionFilename::parse(name).ok()) {
        if !known.iter().any(|other| other.as_str() == name.as_str()) {
            known.push(name);
        }
    }
    let mut names: Vec<_> = known.iter().filter_map(describe).collect();
    let is_guess = names.is_empty();
    if is_guess {
        names.extend(guess(&file).as_ref().and_then(describe));
    }
    Ok(Blob { digests, found, names, is_guess })
}

fn guess(file: &File) -> Option<DistributionFilename> {
    DistributionFilename::parse(&wheel::guess::filename(file)?).ok()
}

/// Inserts a blob, live, with its distributions; one without is pinned.
fn insert(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    blob: Blob,
    path: &Path,
    report: &mut RebuildReport,
    candidates: &mut Vec<Candidate>,
) -> Result<()> {
    let Digests { blake3, sha256 } = blob.digests;
    if let Some(known) = transaction.find_blob_by_sha256(&sha256)? {
        return Err(Error::Collision { known: known.blake3, path: path.to_owned(), sha256 });
    }
    let row = transaction.insert_file(&blob.digests, blob.found.size, context.now)?;
    let Some(row) = row else { return Err(Error::Collision { known: blake3, path: path.to_owned(), sha256 }) };
    let id = row.id;
    transaction.insert_blob(&row)?;
    transaction.set_live(id, 0, &blob.found)?;
    report.blobs += 1;
    report.bytes += blob.found.size;
    if blob.names.is_empty() {
        transaction.insert_pin(id, OWNER, "nothing tells its filename", context.now, None)?;
        report.unnamed.push(UnnamedBlob { blake3, size: blob.found.size });
    }
    let (is_guess, modified_ns) = (blob.is_guess, blob.found.modified_ns);
    for distribution in blob.names {
        transaction.insert_distribution(id, &distribution)?;
        candidates.push(Candidate { filename: distribution.filename, is_guess, modified_ns, blake3, blob: id });
    }
    Ok(())
}

/// Makes the entries, all in one revision. Of several blobs with one filename, the one that a link named gets the entry, among
/// equals the newest; the others are pinned.
fn enter(
    store: &ExclusiveStore,
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    options: &RebuildOptions,
    mut candidates: Vec<Candidate>,
    report: &mut RebuildReport,
) -> Result<()> {
    candidates.sort_by(|a, b| {
        let rank = |candidate: &Candidate| (candidate.is_guess, Reverse(candidate.modified_ns), candidate.blake3);
        a.filename.cmp(&b.filename).then_with(|| rank(a).cmp(&rank(b)))
    });
    let collection = transaction.insert_collection(&options.collection, context.now)?;
    let mut first: HashMap<&str, Blake3> = HashMap::with_capacity(candidates.len());
    for candidate in &candidates {
        let Candidate { filename, blake3, blob, .. } = candidate;
        if let Some(other) = first.get(filename.as_str()) {
            let why = format!("blob {other} is {filename}, too, and has the entry");
            transaction.insert_pin(*blob, OWNER, &why, context.now, None)?;
            report.problems.push(RebuildProblem { path: store.blobs.path(blake3), reason: why });
            continue;
        }
        first.insert(filename, *blake3);
        transaction.insert_entry(collection, &NewEntry::new(filename, *blob), 1, context.now)?;
        report.guessed += usize::from(candidate.is_guess);
        report.distributions.push(filename.clone());
    }
    let added = report.distributions.len();
    let what = format!("{added} distributions into {}", options.collection);
    let operation = transaction.insert_operation("rebuild", &what, context.who, context.now)?;
    if added > 0 {
        transaction.insert_revision(collection, 1, operation, added, 0)?;
        report.revision = 1;
    }
    Ok(())
}
