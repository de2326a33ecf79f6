//! Yanks of a remote reach what was pulled from it (PEP 592 wants mirrors to keep them): what changes on its page changes here.
//!
//! Only a change counts: a yank that somebody took away here stays away, and one that somebody made here stays.

use crate::digest::Sha256;
use crate::index::read::ListedPage;
use crate::manifest::{Entry, NewEntry, RemoteRow, Result, Transaction};
use crate::name::CollectionName;
use crate::signed;
use std::collections::{BTreeMap, HashMap};

/// A file whose yank a remote changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YankChange {
    filename: String,
    sha256: Sha256,
    from: Option<String>,
    to: Option<String>,
}

/// Returns what a new page changes; of what no page was known before, all that it yanks.
pub(crate) fn changes(old: Option<&ListedPage>, new: &ListedPage) -> Vec<YankChange> {
    let before: HashMap<&str, &str> = old
        .iter()
        .flat_map(|page| &page.files)
        .filter_map(|file| Some((file.name.as_str(), file.yanked.as_deref()?)))
        .collect();
    let changed = new.files.iter().filter_map(|file| {
        let (from, to) = (before.get(file.name.as_str()).copied(), file.yanked.as_deref());
        let change = |sha256| YankChange {
            filename: file.name.as_str().to_owned(),
            sha256,
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        file.sha256.filter(|_| from != to).map(change)
    });
    changed.collect()
}

/// The same of a signed list, whose word alone counts; `before` is what the one before it yanked.
pub(crate) fn changes_of_list(before: &HashMap<String, String>, files: &[signed::ListedFile]) -> Vec<YankChange> {
    let changed = files.iter().filter_map(|file| {
        let (from, to) = (before.get(&file.filename), file.yanked.as_ref());
        let (filename, sha256) = (file.filename.clone(), file.sha256);
        (from != to).then(|| YankChange { filename, sha256, from: from.cloned(), to: to.cloned() })
    });
    changed.collect()
}

/// Changes what came from the remote, in whatever collection it is.
pub(crate) fn follow(
    transaction: &Transaction<'_>,
    remote: &RemoteRow,
    changes: &[YankChange],
    now: i64,
) -> Result<()> {
    let mut wanted: BTreeMap<CollectionName, Vec<(Entry, &YankChange)>> = BTreeMap::new();
    for change in changes {
        let Some(blob) = transaction.find_blob_by_sha256(&change.sha256)? else { continue };
        for entry in transaction.blob_entries(blob.id)? {
            let is_theirs = entry.origin.as_ref().is_some_and(|origin| origin.remote == remote.name.as_str());
            let is_live = entry.removed.is_none() && entry.filename == change.filename;
            if is_theirs && is_live && entry.yanked == change.from {
                wanted.entry(entry.collection.clone()).or_default().push((entry, change));
            }
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let (what, who) = (format!("as remote {} has it", remote.name), format!("remote {}", remote.name));
    let operation = transaction.insert_operation("yank", &what, &who, now)?;
    for (name, entries) in wanted {
        let Some(row) = transaction.find_collection(&name)? else { continue };
        let revision = row.revision + 1;
        for (entry, change) in &entries {
            transaction.remove_entry(row.id, &entry.filename, revision, now)?;
            let marked = NewEntry { yanked: change.to.as_deref(), ..entry.again() };
            transaction.insert_entry(row.id, &marked, revision, now)?;
        }
        transaction.insert_revision(row.id, revision, operation, entries.len(), entries.len())?;
    }
    Ok(())
}
