//! What differs between two revisions of a collection, as its pages show them: by project, without what is withheld.

use super::diff::{Mark, change_of};
use crate::catalog::view_contents::Shown;
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
    let read = |at: &str| Shown::Collection { name: name.clone(), at: Some(at.to_owned()) }.read(&rows, None);
    let (before, after) = (read(from)?, read(to)?);
    let mut report = Comparison {
        collection: name.clone(),
        from: before.revision(),
        to: after.revision(),
        changed_files: 0,
        added_bytes: 0,
        removed_bytes: 0,
        is_whole: true,
        projects: Vec::new(),
    };
    let mut told = 0;
    for project in grouped(&before.entries, &after.entries) {
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
    }
    Ok(report)
}

/// Groups what differs by project.
fn grouped(before: &[Entry], after: &[Entry]) -> Vec<ComparedProject> {
    /// What there was under a filename, and what there is.
    type Pair<'a> = (Option<&'a Entry>, Option<&'a Entry>);
    let mut projects: BTreeMap<&ProjectName, BTreeMap<&str, Pair<'_>>> = BTreeMap::new();
    for entry in before {
        projects.entry(&entry.project).or_default().entry(&entry.filename).or_default().0 = Some(entry);
    }
    for entry in after {
        projects.entry(&entry.project).or_default().entry(&entry.filename).or_default().1 = Some(entry);
    }
    let compared = projects.into_iter().filter_map(|(project, files)| {
        let versions = |entry: fn(&Pair<'_>) -> Option<String>| files.values().filter_map(entry).collect();
        let old: BTreeSet<String> = versions(|pair| pair.0.map(|entry| entry.version.to_string()));
        let new: BTreeSet<String> = versions(|pair| pair.1.map(|entry| entry.version.to_string()));
        let changed: Vec<ComparedFile> =
            files.iter().filter_map(|(filename, (old, new))| file(filename, *old, *new)).collect();
        let change = match (old.is_empty(), new.is_empty()) {
            (true, _) => "added",
            (_, true) => "removed",
            _ => "changed",
        };
        (!changed.is_empty()).then(|| ComparedProject {
            project: project.clone(),
            change,
            new_versions: new.difference(&old).cloned().collect(),
            old_versions: old.difference(&new).cloned().collect(),
            files: changed,
        })
    });
    compared.collect()
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
