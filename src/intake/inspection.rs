//! Looks into wheels for what binds them to an accelerator.
//!
//! A quick look comes with every import. A deep one, which inflates each binary member, is taken only when a guard or a route asks a
//! question that the quick one can't answer; its result is kept, so a blob is read whole once.

use crate::catalog::guard::{self, is_open, is_pure, objection};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::manifest::{BlobId, Entry, Guard, InspectionRow};
use crate::parallel;
use crate::store::Store;
use crate::wheel::accelerator::{self, Accelerator, Inspection};
use crate::wheel::{self, DistributionFilename, Kind};
use crate::words::reason;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A blob to be judged.
#[derive(Debug, Clone)]
pub(crate) struct Subject<'a> {
    pub(crate) blob: BlobId,
    pub(crate) path: PathBuf,
    pub(crate) name: &'a DistributionFilename,
}

/// Looks into blobs, deeply or not, as many at a time as there are jobs, and keeps what is found.
pub(crate) fn inspect(
    store: &Store,
    context: &Context<'_>,
    subjects: &[Subject<'_>],
    is_deep: bool,
) -> Result<Vec<Inspection>> {
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let look = |subject: &Subject<'_>| {
        let found = inspect_file(&subject.path, subject.name, is_deep);
        context.progress.add(1);
        found
    };
    context.progress.start("inspecting", subjects.len() as u64);
    let found = parallel::map(context.jobs, subjects, look);
    context.progress.finish();
    let transaction = store.manifest.write()?;
    let mut inspections = Vec::with_capacity(found.len());
    for (subject, found) in subjects.iter().zip(found) {
        inspections.push(match found {
            Ok(inspection) => {
                transaction.put_inspection(subject.blob, &InspectionRow::of(&inspection))?;
                inspection
            }
            // Not kept: the bytes may be lost, and come back.
            Err(problem) => Inspection { unread: 1, problems: vec![problem], ..Inspection::default() },
        });
    }
    transaction.commit()?;
    Ok(inspections)
}

/// What a look into a file on disk found.
#[derive(Debug, Clone)]
pub struct Looked {
    /// The accelerators that it requires or is.
    pub accelerators: Vec<Accelerator>,
    /// Whether it is a wheel that may run anywhere, in which nothing of an accelerator was found.
    pub is_pure: bool,
}

/// Finds out what a file on disk is bound to: a quick look, and a deep one where that finds nothing and can't be sure.
pub fn bound_to(path: &Path, name: &DistributionFilename) -> Result<Looked> {
    let look =
        |is_deep| inspect_file(path, name, is_deep).map_err(|why| Error::Refused(format!("{}: {why}", path.display())));
    let mut found = look(false)?;
    if found.bound().is_empty() && !found.is_conclusive() {
        found = look(true)?;
    }
    Ok(Looked { is_pure: name.is_pure() && is_pure(&found), accelerators: found.bound() })
}

/// Returns why a guard doesn't admit some of these blobs, by their filenames.
pub(crate) fn objections(
    store: &Store,
    context: &Context<'_>,
    guard: &Guard,
    entries: &[Entry],
) -> Result<HashMap<String, String>> {
    let mut objections = HashMap::new();
    if guard.accelerators.is_none() {
        return Ok(objections);
    }
    let wheel = |entry: &Entry| {
        DistributionFilename::parse_of(&entry.filename, &entry.project).ok().filter(|name| name.kind() == Kind::Wheel)
    };
    let named: Vec<(&Entry, DistributionFilename)> =
        entries.iter().filter_map(|entry| Some((entry, wheel(entry)?))).collect();
    let mut known = HashMap::new();
    for is_deep in [false, true] {
        let mut subjects = Vec::new();
        for (entry, name) in &named {
            if !known.contains_key(&entry.blob)
                && let Some(kept) = guard::known(&store.manifest, entry.blob)?
            {
                known.insert(entry.blob, kept);
            }
            let is_left = known.get(&entry.blob).map_or(!is_deep, |found| is_deep && is_open(guard, found));
            if is_left {
                subjects.push(Subject { blob: entry.blob, path: store.blobs.path(&entry.blake3), name });
            }
        }
        for (subject, found) in subjects.iter().zip(inspect(store, context, &subjects, is_deep)?) {
            known.insert(subject.blob, found);
        }
    }
    for (entry, _) in &named {
        if let Some(why) = known.get(&entry.blob).and_then(|found| objection(guard, found)) {
            objections.insert(entry.filename.clone(), why);
        }
    }
    Ok(objections)
}

/// Looks into one file; the error is what a person reads.
fn inspect_file(path: &Path, name: &DistributionFilename, is_deep: bool) -> std::result::Result<Inspection, String> {
    let file = crate::fs::open(path).map_err(|error| reason(&error))?;
    // Whether its filename may be trusted was the import's question.
    let contents = wheel::read_trusting(&file, name, wheel::Trust::Filename).map_err(|error| reason(&error))?;
    let look = if is_deep { accelerator::deep } else { accelerator::quick };
    look(&file, name, contents.metadata.as_deref()).map_err(|error| reason(&error))
}
