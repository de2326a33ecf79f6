//! What differs between two collections or revisions: by file, by project, and in all.

use crate::catalog::at::{RevisionSpec, collection_row, resolve};
use crate::digest::Sha256;
use crate::error::Result;
use crate::manifest::{Entry, Rows, Scope};
use crate::name::ProjectName;
use crate::store::Store;
use pep440_rs::Version;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A filename that two revisions have differently.
#[derive(Debug, Clone, Serialize)]
pub struct FileChange {
    /// The filename.
    pub filename: String,
    /// The project.
    pub project: ProjectName,
    /// The version, normalised.
    pub version: String,
    /// `added`, `removed`, `replaced` (other bytes) or `yanked` (other mark).
    pub change: &'static str,
    /// The SHA-256 digest before.
    pub before: Option<Sha256>,
    /// The SHA-256 digest after.
    pub after: Option<Sha256>,
    /// Its size before, in bytes.
    pub size_before: Option<u64>,
    /// Its size after.
    pub size_after: Option<u64>,
}

/// A project that two revisions have differently.
#[derive(Debug, Clone, Serialize)]
pub struct ProjectChange {
    /// The project.
    pub project: ProjectName,
    /// `added`, `removed`, `changed` (other files), `replaced` (files with other bytes, no other change) or `yanked` (other marks alone).
    pub change: &'static str,
    /// The versions that it had, in order.
    pub before: Vec<String>,
    /// The versions that it has, in order.
    pub after: Vec<String>,
    /// How many files came.
    pub added: usize,
    /// How many went.
    pub removed: usize,
    /// How many have other bytes under the same name.
    pub replaced: usize,
    /// How many are marked otherwise, with the same bytes.
    pub yanked: usize,
    /// By how much it grew, in bytes.
    pub bytes: i64,
}

/// What differs, in numbers.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DiffTotals {
    /// Projects that came.
    pub projects_added: usize,
    /// Projects that went.
    pub projects_removed: usize,
    /// Projects that were there and are, with another file or mark.
    pub projects_changed: usize,
    /// Files that came.
    pub added: usize,
    /// Files that went.
    pub removed: usize,
    /// Files with other bytes under the same name.
    pub replaced: usize,
    /// Files that are marked otherwise, with the same bytes.
    pub yanked: usize,
    /// The bytes of what came, and of what took another's place.
    pub bytes_added: u64,
    /// The bytes of what went, and of whose place was taken.
    pub bytes_removed: u64,
}

/// What differs between two revisions.
#[derive(Debug, Clone, Serialize)]
pub struct DiffReport {
    /// The first, with its revision.
    pub from: String,
    /// The second, with its revision.
    pub to: String,
    /// What differs, by filename.
    pub changes: Vec<FileChange>,
    /// What differs, by project.
    pub projects: Vec<ProjectChange>,
    /// The sums.
    pub totals: DiffTotals,
}

/// What a revision has of a file.
struct FileState {
    project: ProjectName,
    version: String,
    sha256: Sha256,
    size: u64,
    yanked: Option<String>,
}

impl FileState {
    fn mark(&self) -> Mark<'_> {
        (self.sha256, self.yanked.as_deref())
    }
}

impl From<Entry> for FileState {
    fn from(entry: Entry) -> Self {
        let Entry { project, version, sha256, size, yanked, .. } = entry;
        Self { project, version, sha256, size, yanked }
    }
}

/// A file's digest, and why it is yanked.
pub(super) type Mark<'a> = (Sha256, Option<&'a str>);
type Files = BTreeMap<String, FileState>;

/// Compares two collections or revisions.
pub fn diff(store: &Store, from: &RevisionSpec, to: &RevisionSpec) -> Result<DiffReport> {
    compare(&*store.manifest.read()?, from, to)
}

/// Compares two collections or revisions, as some rows have them.
pub(in crate::ops) fn compare(rows: &Rows, from: &RevisionSpec, to: &RevisionSpec) -> Result<DiffReport> {
    let ((from, before), (to, after)) = (read(rows, from)?, read(rows, to)?);
    let filenames: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changes: Vec<FileChange> =
        filenames.into_iter().filter_map(|name| change(name, before.get(name), after.get(name))).collect();
    let projects = by_project(&changes, &before, &after);
    let totals = totals(&changes, &projects);
    Ok(DiffReport { from, to, changes, projects, totals })
}

fn read(rows: &Rows, spec: &RevisionSpec) -> Result<(String, Files)> {
    let row = collection_row(rows, &spec.collection)?;
    let revision = resolve(rows, &row, spec.revision.as_deref())?;
    let scope = if revision == row.revision { Scope::Live } else { Scope::At(revision) };
    let entries = rows.entries(row.id, scope)?.into_iter();
    let files = entries.map(|mut entry| (std::mem::take(&mut entry.filename), entry.into())).collect();
    Ok((format!("{}@{revision}", spec.collection), files))
}

/// Says what became of a file, by its digest and its mark before and after; `None`: nothing.
pub(super) fn change_of(before: Option<Mark<'_>>, after: Option<Mark<'_>>) -> Option<&'static str> {
    match (before, after) {
        (None, _) => Some("added"),
        (_, None) => Some("removed"),
        (Some(old), Some(new)) if old.0 != new.0 => Some("replaced"),
        (Some(old), Some(new)) => (old != new).then_some("yanked"),
    }
}

fn change(filename: &str, before: Option<&FileState>, after: Option<&FileState>) -> Option<FileChange> {
    let change = change_of(before.map(FileState::mark), after.map(FileState::mark))?;
    let known = after.or(before)?;
    Some(FileChange {
        filename: filename.to_owned(),
        project: known.project.clone(),
        version: known.version.clone(),
        change,
        before: before.map(|file| file.sha256),
        after: after.map(|file| file.sha256),
        size_before: before.map(|file| file.size),
        size_after: after.map(|file| file.size),
    })
}

/// Returns the changes of each project that has any.
fn by_project(changes: &[FileChange], before: &Files, after: &Files) -> Vec<ProjectChange> {
    let mut changed: BTreeMap<&ProjectName, Vec<&FileChange>> = BTreeMap::new();
    for change in changes {
        changed.entry(&change.project).or_default().push(change);
    }
    let (before, after) = (versions(before), versions(after));
    let none = BTreeSet::new();
    let of = |(project, changes): (&ProjectName, Vec<&FileChange>)| {
        let (old, new) = (before.get(project).unwrap_or(&none), after.get(project).unwrap_or(&none));
        let count = |kind: &str| changes.iter().filter(|change| change.change == kind).count();
        let (added, removed, replaced, yanked) = (count("added"), count("removed"), count("replaced"), count("yanked"));
        let change = match (old.is_empty(), new.is_empty()) {
            (true, _) => "added",
            (_, true) => "removed",
            _ if added + removed > 0 => "changed",
            _ if replaced > 0 => "replaced",
            _ => "yanked",
        };
        let texts = |versions: &BTreeSet<(Option<Version>, &str)>| -> Vec<String> {
            versions.iter().map(|(_, text)| (*text).to_owned()).collect()
        };
        let grown = changes.iter().map(|change| signed(change.size_after) - signed(change.size_before)).sum();
        ProjectChange {
            project: project.clone(),
            change,
            before: texts(old),
            after: texts(new),
            added,
            removed,
            replaced,
            yanked,
            bytes: grown,
        }
    };
    changed.into_iter().map(of).collect()
}

fn signed(size: Option<u64>) -> i64 {
    i64::try_from(size.unwrap_or(0)).unwrap_or(i64::MAX)
}

/// Returns the versions of each project, in order.
fn versions(files: &Files) -> BTreeMap<&ProjectName, BTreeSet<(Option<Version>, &str)>> {
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for file in files.values() {
        found.entry(&file.project).or_default().insert((file.version.parse().ok(), file.version.as_str()));
    }
    found
}

fn totals(changes: &[FileChange], projects: &[ProjectChange]) -> DiffTotals {
    let mut totals = DiffTotals::default();
    for project in projects {
        match project.change {
            "added" => totals.projects_added += 1,
            "removed" => totals.projects_removed += 1,
            _ => totals.projects_changed += 1,
        }
        totals.added += project.added;
        totals.removed += project.removed;
        totals.replaced += project.replaced;
        totals.yanked += project.yanked;
    }
    for change in changes.iter().filter(|change| change.change != "yanked") {
        totals.bytes_added += change.size_after.unwrap_or(0);
        totals.bytes_removed += change.size_before.unwrap_or(0);
    }
    totals
}
