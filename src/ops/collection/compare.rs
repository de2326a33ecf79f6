//! What differs between two revisions of a collection, as its pages show them: by project, without what is withheld.

use super::diff::{Mark, change_of};
use crate::catalog::changed::each_changed;
use crate::digest::Sha256;
use crate::error::Result;
use crate::manifest::Entry;
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes under a filename.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FileBytes {
    /// The digest.
    pub sha256: Sha256,
    /// How many.
    pub size: u64,
}

/// A file that two revisions have differently.
#[derive(Debug, Clone, Serialize)]
pub struct ComparedFile {
    /// The filename.
    pub filename: String,
    /// The version.
    pub version: String,
    /// `added`, `removed`, `replaced` (other bytes under the same name) or `yanked` (other mark).
    pub change: &'static str,
    /// What it was.
    pub before: Option<FileBytes>,
    /// What it is.
    pub after: Option<FileBytes>,
}

/// A project that two revisions have differently.
#[derive(Debug, Clone, Serialize)]
pub struct ComparedProject {
    /// The project.
    pub project: ProjectName,
    /// `added`, `removed` or `changed`.
    pub change: &'static str,
    /// The versions that the second has, and the first has not.
    pub new_versions: Vec<String>,
    /// The versions that the first has, and the second has not.
    pub old_versions: Vec<String>,
    /// The files, by name.
    pub files: Vec<ComparedFile>,
}

/// What differs between two revisions.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The collection.
    pub collection: CollectionName,
    /// The first revision.
    pub from: i64,
    /// The second.
    pub to: i64,
    /// How many files were added, removed, replaced, or marked otherwise.
    pub changed_files: usize,
    /// How many bytes came, and how many went.
    pub added_bytes: u64,
    /// The bytes that went.
    pub removed_bytes: u64,
    /// Whether all projects that differ are told.
    pub is_whole: bool,
    /// The projects, by name.
    pub projects: Vec<ComparedProject>,
}

/// Compares two revisions of a collection; tells of projects until `most` files are told.
pub fn compare(store: &Store, name: &CollectionName, from: &str, to: &str, most: usize) -> Result<Comparison> {
    let rows = store.manifest.read()?;
    let mut report = Comparison {
        collection: name.clone(),
        from: 0,
        to: 0,
        changed_files: 0,
        added_bytes: 0,
        removed_bytes: 0,
        is_whole: true,
        projects: Vec::new(),
    };
    let mut told = 0;
    let [from, to] = each_changed(&rows, name, [from, to], |project, [before, after]| {
        let Some(project) = compared(project, &before, &after) else { return };
        report.changed_files += project.files.len();
        for file in project.files.iter().filter(|file| file.change != "yanked") {
            report.added_bytes += file.after.map_or(0, |bytes| bytes.size);
            report.removed_bytes += file.before.map_or(0, |bytes| bytes.size);
        }
        told += project.files.len();
        if told > most && !report.projects.is_empty() {
            report.is_whole = false;
        } else {
            report.projects.push(project);
        }
    })?;
    Ok(Comparison { from, to, ..report })
}

/// Compares what two revisions have of a project; `None`: the same.
fn compared(project: ProjectName, before: &[Entry], after: &[Entry]) -> Option<ComparedProject> {
    let (old_files, new_files) = (by_name(before), by_name(after));
    let names: BTreeSet<&str> = old_files.keys().chain(new_files.keys()).copied().collect();
    let changed = |name| file(name, old_files.get(name).copied(), new_files.get(name).copied());
    let files: Vec<ComparedFile> = names.into_iter().filter_map(changed).collect();
    let versions = |entries: &[Entry]| entries.iter().map(|entry| entry.version.to_string()).collect();
    let (old, new): (BTreeSet<String>, BTreeSet<String>) = (versions(before), versions(after));
    let change = match (old.is_empty(), new.is_empty()) {
        (true, _) => "added",
        (_, true) => "removed",
        _ => "changed",
    };
    (!files.is_empty()).then(|| ComparedProject {
        project,
        change,
        new_versions: new.difference(&old).cloned().collect(),
        old_versions: old.difference(&new).cloned().collect(),
        files,
    })
}

fn by_name(entries: &[Entry]) -> BTreeMap<&str, &Entry> {
    entries.iter().map(|entry| (entry.filename.as_str(), entry)).collect()
}

fn mark(entry: &Entry) -> Mark<'_> {
    (entry.sha256, entry.yanked.as_deref())
}

fn file(filename: &str, before: Option<&Entry>, after: Option<&Entry>) -> Option<ComparedFile> {
    let change = change_of(before.map(mark), after.map(mark))?;
    let bytes = |entry: &Entry| FileBytes { sha256: entry.sha256, size: entry.size };
    Some(ComparedFile {
        filename: filename.to_owned(),
        version: after.or(before)?.version.to_string(),
        change,
        before: before.map(bytes),
        after: after.map(bytes),
    })
}
