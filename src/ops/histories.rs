//! What else is known of files of a project: which collections have them with the same or other bytes, now and before.

use crate::catalog::guard;
use crate::error::Result;
use crate::manifest::Entry;
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;
use crate::wheel::accelerator::Inspection;
use std::collections::BTreeMap;

/// What is known under one filename, in all collections.
#[derive(Debug, Clone, Default)]
pub struct FileHistory {
    /// The entries that are live, by collection.
    pub live: Vec<Entry>,
    /// The entries that were removed, newest first.
    pub removed: Vec<Entry>,
}

/// Returns what is known of the files of a project in collections that count, by filename.
pub fn histories(
    store: &Store,
    project: &ProjectName,
    counts: impl Fn(&CollectionName) -> bool,
) -> Result<BTreeMap<String, FileHistory>> {
    let mut found: BTreeMap<String, FileHistory> = BTreeMap::new();
    for entry in store.manifest.read()?.project_history(project)? {
        if !counts(&entry.collection) {
            continue;
        }
        let history = found.entry(entry.filename.clone()).or_default();
        if entry.removed.is_some() { history.removed.push(entry) } else { history.live.push(entry) }
    }
    for history in found.values_mut() {
        history.removed.sort_by_key(|entry| std::cmp::Reverse(entry.removed_at));
    }
    Ok(found)
}

/// Returns what is known of the accelerators that an entry's bytes are bound to; nothing is looked into.
pub fn inspection_of(store: &Store, entry: &Entry) -> Result<Option<Inspection>> {
    if !entry.state.is_available() {
        return Ok(None);
    }
    guard::known(&store.manifest, entry.blob)
}
