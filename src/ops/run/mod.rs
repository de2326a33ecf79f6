//! `run`: what a command made of the same inputs before is taken from the store; else it runs, and what it makes is imported.
//!
//! [`RunInputs`] are the inputs, and their key; this module acts: it finds a run and puts its files into a folder, notes what is in the
//! folder before a command begins, and imports and records what is new in it after. The command itself is started by others.

mod files;
mod inputs;

pub use files::read_key_files;
pub use inputs::{FileKind, Interpreter, KeyFile, RunInputs};

use crate::blobs::LinkMode;
use crate::context::Context;
use crate::digest::{Blake3, Sha256};
use crate::error::{Error, Result};
use crate::fs;
use crate::intake::{ImportOptions, ImportReport, Source, find_sources, import};
use crate::keep::health::is_usable;
use crate::manifest::{BlobId, BlobRow};
use crate::ops::destination::Destination;
use crate::store::{Store, despite_others};
use crate::view::LinkMaker;
use crate::wheel::{DistributionFilename, Trust};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Among so many runs, those used last, the nearest is looked for.
const RECENT: usize = 200;

/// A file that a run made.
#[derive(Debug, Clone, Serialize)]
pub struct RunFile {
    /// The filename.
    pub filename: String,
    /// Its digest.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size: u64,
}

/// What lay in a command's folder before it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    out: PathBuf,
    files: BTreeMap<PathBuf, String>,
}

/// What became of the files that a command made.
#[derive(Debug)]
pub struct RunReport {
    /// All that it made and that was imported.
    pub files: Vec<RunFile>,
    /// The import.
    pub import: ImportReport,
    /// Whether the next run of the same inputs finds them.
    pub is_recorded: bool,
}

/// Finds what a run of the same inputs made, and puts it into a folder. `None`: there was none, or not all of it is there, good, and
/// offered by the destination.
pub fn take_run(
    store: &Store,
    context: &Context<'_>,
    key: &Blake3,
    destination: &Destination,
    out: &Path,
) -> Result<Option<Vec<RunFile>>> {
    let made = store.manifest.build_run_files(key)?;
    let mut rows = Vec::with_capacity(made.len());
    for (filename, blob) in &made {
        match find(store, destination, filename, *blob)? {
            Some(row) => rows.push((filename, row)),
            None => return Ok(None),
        }
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let out = folder(store, out)?;
    for (filename, row) in &rows {
        put(&store.blobs.path(&row.blake3), &out, filename, key)?;
    }
    if store.is_writable() {
        // What can't be counted is there all the same.
        let _ = store.manifest.write_relaxed(|transaction| {
            rows.iter().try_for_each(|(_, row)| transaction.set_used(row.id, context.now))?;
            transaction.set_build_run_used(key, context.now)
        });
    }
    let file = |(filename, row): (&String, BlobRow)| RunFile {
        filename: filename.clone(),
        sha256: row.sha256,
        size: row.size,
    };
    Ok(Some(rows.into_iter().map(file).collect()))
}

/// Finds the blob of a file that a run made, if its destination offers it, and its bytes are right.
fn find(store: &Store, destination: &Destination, filename: &str, blob: BlobId) -> Result<Option<BlobRow>> {
    let Ok(name) = DistributionFilename::parse(filename) else { return Ok(None) };
    if destination.offered(&store.manifest, &name, blob)?.is_none() {
        return Ok(None);
    }
    let Some(row) = store.manifest.blob(blob)? else { return Ok(None) };
    Ok(is_usable(store, &row)?.then_some(row))
}

/// Puts a file into a folder under its name at once: nobody finds half of it there, whenever this ends.
fn put(blob: &Path, out: &Path, filename: &str, key: &Blake3) -> Result<()> {
    // The same name each time: what a run that was killed left is taken away by the next.
    let part = out.join(format!(".{filename}.{}", &key.to_string()[..8]));
    fs::remove_file(&part)?;
    LinkMaker::Reflink.link(blob, &part)?;
    Ok(fs::rename(&part, &out.join(filename))?)
}

/// Makes a command's folder, and returns its real path; the store is no place for one.
fn folder(store: &Store, out: &Path) -> Result<PathBuf> {
    let resolve = |path: &Path| std::fs::canonicalize(path).map_err(fs::Error::at("resolve", path));
    let absolute = fs::absolute(out)?;
    // What isn't there yet lies in what is.
    let there = absolute.ancestors().find(|path| path.exists()).unwrap_or(&absolute);
    if resolve(there)?.starts_with(resolve(store.root())?) {
        let text = "is in the store, which keeps what it needs itself: say another --out";
        return Err(Error::Refused(format!("{} {text}", out.display())));
    }
    fs::create_dir_all(out)?;
    Ok(resolve(out)?)
}

/// Looks what is in a command's folder before it begins, and makes the folder. Where an earlier run of the same inputs began and
/// didn't end well, what it left counts as made: a command may leave it as it is when it runs again.
pub fn begin_run(store: &Store, context: &Context<'_>, key: &Blake3, out: &Path) -> Result<Begun> {
    store.require_writable()?;
    let out = folder(store, out)?;
    let left = store.manifest.begun_build_run(key)?.and_then(|note| serde_json::from_str::<Begun>(&note).ok());
    if let Some(begun) = left.filter(|begun| begun.out == out) {
        return Ok(begun);
    }
    let files = sources(&out).into_iter().map(|source| (source.path.clone(), stamp(&source))).collect();
    let begun = Begun { out, files };
    let note = serde_json::to_string(&begun).map_err(|error| Error::Refused(error.to_string()))?;
    let transaction = store.manifest.write()?;
    transaction.begin_build_run(key, &note, context.now)?;
    transaction.commit()?;
    Ok(begun)
}

/// Imports what a command made, and records it under its key if all of it was taken. `None`: it made nothing.
pub fn finish_run(
    store: &Store,
    context: &Context<'_>,
    inputs: &RunInputs,
    destination: &Destination,
    begun: &Begun,
) -> Result<Option<RunReport>> {
    let is_made = |source: &Source| begun.files.get(&source.path) != Some(&stamp(source));
    let made: Vec<Source> = sources(&begun.out).into_iter().filter(is_made).collect();
    if made.is_empty() {
        return Ok(None);
    }
    let options = ImportOptions {
        target: destination.target(store)?,
        link: LinkMode::Auto,
        keep_existing: false,
        trust: Trust::Neither,
    };
    let import = import(store, context, made, &options)?;
    let is_recorded = import.refused.is_empty() && despite_others(|| record(store, context, inputs, &import))?;
    let files = import.distributions.iter();
    let file = files.map(|row| RunFile { filename: row.filename.clone(), sha256: row.sha256, size: row.size });
    Ok(Some(RunReport { files: file.collect(), import, is_recorded }))
}

/// Records what was imported, all at once. Returns whether it was there still.
fn record(store: &Store, context: &Context<'_>, inputs: &RunInputs, import: &ImportReport) -> Result<bool> {
    let transaction = store.manifest.write()?;
    let mut files = BTreeMap::new();
    for row in &import.distributions {
        let Some(blob) = transaction.find_blob(&row.blake3)?.filter(|blob| blob.state.is_available()) else {
            return Ok(false);
        };
        files.insert(row.filename.clone(), blob.id);
    }
    let files: Vec<(String, BlobId)> = files.into_iter().collect();
    transaction.put_build_run(&inputs.key(), &inputs.document(), &files, context.now)?;
    transaction.commit()?;
    Ok(true)
}

/// Returns what differs from the nearest earlier run of the same command; `None`: there is none.
pub fn explain_run(store: &Store, inputs: &RunInputs) -> Result<Option<Vec<String>>> {
    let runs = store.manifest.recent_build_runs(RECENT)?;
    let earlier = runs.iter().filter_map(|run| RunInputs::parse(&run.inputs)).filter(|run| run.has_command_of(inputs));
    Ok(earlier.map(|run| inputs.differences(&run)).min_by_key(Vec::len))
}

/// Returns the distributions in a folder, and in those in it.
fn sources(out: &Path) -> Vec<Source> {
    find_sources(&[out.to_owned()], None).0
}

/// Returns what tells a file that was made from one that was there.
fn stamp(source: &Source) -> String {
    let found = &source.signature;
    format!("{} {} {} {}", found.inode, found.size, found.modified_ns, found.changed_ns)
}
