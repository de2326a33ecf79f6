//! What of a tree may have changed since it was made, told by few rows: one of many projects is brought up to date without reading all.

use crate::catalog::view_contents::{Shown, ShownEntries};
use crate::error::Result;
use crate::manifest::{Rows, ViewRow};
use crate::view::{Project, SimpleTree};

/// What a tree shows already and goes on showing.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) projects: Vec<Project>,
    pub(super) files: usize,
}

/// Where more than one project of so many changed, reading all of them at once is quicker.
const FEW: usize = 8;

/// Reads what has changed since a tree was made whole, and what goes on as it is; `None`: all must be read to tell.
pub(super) fn read(
    rows: &Rows,
    shown: &Shown,
    known: &ViewRow,
    tree: &SimpleTree,
) -> Result<Option<(ShownEntries, Kept)>> {
    let [(collection, revision)] = rows.view_sources(known.id, known.generation)?[..] else { return Ok(None) };
    let Some(changed) = rows.changed_projects(collection, revision)? else { return Ok(None) };
    if changed.len() * FEW > known.projects {
        return Ok(None);
    }
    let read = shown.read_projects(rows, &changed)?;
    let Some(read) = read.filter(|read| read.sources.iter().all(|(id, _)| *id == collection)) else { return Ok(None) };
    let mut files = known.files;
    for project in &changed {
        files -= rows.project_entries_at(collection, project, revision)?.len().min(files);
    }
    let is_kept = |project: &Project| !changed.contains(project.name.as_str());
    Ok(Some((read, Kept { projects: tree.shown().filter(is_kept).collect(), files })))
}
