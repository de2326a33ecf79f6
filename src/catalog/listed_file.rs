//! Which collection's entry answers for a file, asked for by digest and filename: only what some view lists is handed out.

use super::merge::Fate;
use super::ownership::{OwnProjects, Ownership};
use super::search_order::{SearchOrder, Sense};
use super::view_contents::{Shown, fates, strategy_of};
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::index::File;
use crate::index::read::Sidecar;
use crate::manifest::{Entry, Rows};
use crate::name::CollectionName;
use crate::store::Store;
use std::borrow::Cow;

/// Returns the entry that a view lists under this filename with this digest.
pub fn find_listed(store: &Store, shown: &Shown, sha256: &Sha256, filename: &str) -> Result<Option<Entry>> {
    let rows = store.manifest.read()?;
    let entries = entries(&rows, sha256, filename)?;
    match shown {
        Shown::Collection { name, .. } => {
            let Some(any) = entries.iter().find(|entry| entry.collection == *name) else { return Ok(None) };
            // What the page of that revision withholds, the file's address doesn't give.
            let read = match shown.read(&rows, Some(&any.project)) {
                Ok(read) => read,
                Err(Error::NoRevision { .. } | Error::NoCollection { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let is_meant = |entry: &Entry| entry.blob == any.blob && entry.filename == filename;
            Ok(read.entries.into_iter().find(|entry| entry.state.is_available() && is_meant(entry)))
        }
        Shown::Variant { name, sense, own, .. } => listed(&rows, (name, *sense), own, &entries),
    }
}

/// Returns the entry that any view lists under this filename with this digest; with `views`, any of those.
pub fn find_listed_anywhere(
    store: &Store,
    views: Option<&[CollectionName]>,
    sha256: &Sha256,
    filename: &str,
) -> Result<Option<Entry>> {
    let rows = store.manifest.read()?;
    let entries = entries(&rows, sha256, filename)?;
    let live = || entries.iter().filter(|entry| entry.removed.is_none());
    if live().next().is_none() {
        return Ok(None);
    }
    let names = match views {
        Some(views) => views.to_vec(),
        None => {
            // Where it is its own collection's, the first question has the answer.
            let mut names: Vec<CollectionName> = live().map(|entry| entry.collection.clone()).collect();
            names.extend(rows.collections()?.into_iter().map(|row| row.name));
            names.extend(rows.variants()?.into_iter().map(|row| row.name));
            names
        }
    };
    for name in &names {
        if let Some(entry) = listed(&rows, (name, Sense::Known), &OwnProjects::Stored, &entries)? {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Returns all entries, in history too, of these bytes under this filename.
fn entries(rows: &Rows, sha256: &Sha256, filename: &str) -> Result<Vec<Entry>> {
    let Some(blob) = rows.find_blob_by_sha256(sha256)? else { return Ok(Vec::new()) };
    let mut entries = rows.blob_entries(blob.id)?;
    entries.retain(|entry| entry.filename == filename);
    Ok(entries)
}

/// Returns which of the entries what a variant sees of their project lists.
fn listed(
    rows: &Rows,
    (variant, sense): (&CollectionName, Sense),
    own: &OwnProjects,
    entries: &[Entry],
) -> Result<Option<Entry>> {
    let Some(any) = entries.iter().find(|entry| entry.removed.is_none()) else { return Ok(None) };
    let Some(order) = SearchOrder::of_name(rows, variant, sense)? else { return Ok(None) };
    let searched = order.of(&any.project);
    if !entries.iter().any(|entry| searched.iter().any(|row| row.name == entry.collection)) {
        return Ok(None);
    }
    let strategy = strategy_of(rows, variant, None)?;
    let own = Ownership::read(rows, variant, own, Some(&any.project))?;
    let seen = fates(rows, &order, &own, strategy, Some(&any.project))?.into_iter().find(|(entry, fate)| {
        let is_listed = matches!(fate, Fate::Listed | Fate::Yanked { .. });
        is_listed && entry.blob == any.blob && entry.filename == any.filename
    });
    Ok(seen.map(|(entry, _)| entry))
}

/// Returns what a page says of a file of the store, which is at a URL.
pub(crate) fn line<'a>(entry: &'a Entry, url: Cow<'a, str>, has_sidecar: bool) -> File<'a> {
    File {
        filename: &entry.filename,
        project: entry.project.as_str(),
        version: &entry.version,
        url,
        sha256: Some(entry.sha256),
        blake3: Some(entry.blake3),
        size: Some(entry.size),
        upload_time: Some(entry.uploaded_at),
        is_first_seen: false,
        requires_python: entry.requires_python.as_deref(),
        yanked: entry.yanked.as_deref(),
        sidecar: entry.sidecar().filter(|_| has_sidecar).map(|sha256| Sidecar { sha256: Some(sha256) }),
        provenance: entry.origin.as_ref().and_then(|origin| origin.provenance.as_deref()),
    }
}
