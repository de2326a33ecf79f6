//! Files on their way in: those that the store has are known by their stat, the others are staged and published, batch by batch.

use super::route::{Decision, Subject};
use super::{Made, Refused, Source, Target};
use crate::blobs::{Found, LinkMode};
use crate::context::Context;
use crate::digest::{Blake3, Digests};
use crate::error::Result;
use crate::fs::{self, ChangeTimes};
use crate::keep::publish::{Incoming, Publisher, was_read_lately};
use crate::manifest::{BlobId, State};
use crate::store::Store;
use crate::wheel::{self, DistributionFilename};
use std::collections::HashMap;
use std::path::PathBuf;

/// A batch has at most this many files: enough that syncs and commits don't count. Each commit writes nearly all pages of the indexes of
/// digests, which come in no order.
const BATCH_FILES: usize = 2048;
/// A batch has at most this many bytes, so that little is lost when it is interrupted.
const BATCH_BYTES: u64 = 1 << 30;

/// A source on its way.
pub(super) struct IncomingFile {
    pub(super) source: Source,
    pub(super) name: DistributionFilename,
    /// The collection that gets it.
    pub(super) decision: Decision,
    /// The blob, once it is known.
    pub(super) blob: Option<BlobId>,
    pub(super) digests: Option<Digests>,
    pub(super) size: u64,
    /// The store didn't have the bytes before.
    pub(super) is_new: bool,
    /// The store should have had the bytes, and hadn't.
    pub(super) is_healed: bool,
    /// Why it is a copy though a link was asked for.
    pub(super) copied: Option<&'static str>,
}

impl IncomingFile {
    fn incoming(&self) -> Incoming<'_> {
        let is_from_elsewhere = self.source.origin.is_some();
        Incoming { path: &self.source.path, name: &self.name, size: self.size, is_from_elsewhere }
    }
}

/// Takes the sources whose names say what they are.
pub(super) fn take_named(sources: Vec<Source>, target: &Target, refused: &mut Vec<Refused>) -> Vec<IncomingFile> {
    let mut items = Vec::with_capacity(sources.len());
    for source in sources {
        match wheel::name_of(|| fs::open(&source.path).ok(), &source.filename) {
            Ok(name) => items.push(IncomingFile {
                size: source.signature.size,
                decision: target.decide(&subject(&name, &source.made)),
                source,
                name,
                blob: None,
                digests: None,
                is_new: false,
                is_healed: false,
                copied: None,
            }),
            Err(error) => refused.push(Refused::new(&source.path, &error)),
        }
    }
    items
}

/// Returns where the files are that the store doesn't have, as far as their stat tells.
pub(super) fn find_unknown(
    store: &Store,
    context: &Context<'_>,
    items: &mut [IncomingFile],
    link: LinkMode,
) -> Result<Vec<usize>> {
    let mut unknown = Vec::new();
    let times = ChangeTimes::default();
    // One transaction for all the questions: each on its own would take and give back a lock.
    let transaction = store.manifest.read()?;
    for (index, item) in items.iter_mut().enumerate() {
        if !recognise(store, context, item, link, &times)? {
            unknown.push(index);
        }
    }
    drop(transaction);
    Ok(unknown)
}

/// What is known of a file without looking into it.
pub(super) fn subject<'a>(name: &'a DistributionFilename, made: &Made) -> Subject<'a> {
    Subject { version: Some(name.version()), is_prebuilt: made.is_prebuilt, ..Subject::of(name.project()) }
}

/// Finds out whether an unchanged file was hashed before and its blob is there: about two stats, and no byte is read.
/// A source that will be removed is read all the same, unless it is the blob's own file; so is one whose blob nobody read for long.
fn recognise(
    store: &Store,
    context: &Context<'_>,
    item: &mut IncomingFile,
    link: LinkMode,
    times: &ChangeTimes,
) -> Result<bool> {
    let source = item.source.signature;
    let own = || store.manifest.find_own(&source);
    let seen = store.manifest.find_seen(&source)?.filter(|_| times.prove(&item.source.path, &source));
    let Some(seen) = seen.map_or_else(own, |seen| Ok(Some(seen)))? else { return Ok(false) };
    if seen.state != State::Live || !store.manifest.has_distribution(seen.blob, item.name.as_str())? {
        return Ok(false);
    }
    // The row alone is not trusted: the name may be gone, or another file.
    let Found::File(found) = store.blobs.find(&seen.blake3)? else { return Ok(false) };
    let is_source = (found.device, found.inode) == (source.device, source.inode);
    let may_be_trusted = is_source || link != LinkMode::Move && was_read_lately(seen.read_at, context.now);
    if !found.is_recorded(seen.inode, seen.size, seen.modified_ns) || !may_be_trusted {
        return Ok(false);
    }
    item.blob = Some(seen.blob);
    item.digests = Some(Digests { blake3: seen.blake3, sha256: seen.sha256 });
    item.size = seen.size;
    Ok(true)
}

/// Stages and publishes the items at these indexes, batch by batch, the largest first.
pub(super) fn stage_all(
    publisher: &Publisher<'_>,
    items: &mut Vec<IncomingFile>,
    indexes: &mut Vec<usize>,
    refused: &mut Vec<Refused>,
) -> Result<()> {
    indexes.sort_by_key(|&index| std::cmp::Reverse(items[index].size));
    let mut batches: Vec<&[usize]> = Vec::new();
    let mut left = indexes.as_slice();
    while !left.is_empty() {
        let mut bytes = 0;
        let fits = |&&index: &&usize| {
            let fits = bytes == 0 || bytes + items[index].size <= BATCH_BYTES;
            bytes += items[index].size;
            fits
        };
        let (batch, rest) = left.split_at(left.iter().take(BATCH_FILES).take_while(fits).count());
        batches.push(batch);
        left = rest;
    }
    let mut failed = HashMap::new();
    let incoming: Vec<Incoming<'_>> = items.iter().map(IncomingFile::incoming).collect();
    for (index, result) in publisher.publish(&incoming, &batches)? {
        match result {
            Ok(published) => {
                let item = &mut items[index];
                item.blob = Some(published.blob);
                item.digests = Some(published.digests);
                item.size = published.size;
                item.is_new |= published.is_new;
                item.is_healed |= published.is_healed;
                item.copied = published.copied;
            }
            Err(reason) => {
                failed.insert(index, reason);
            }
        }
    }
    indexes.clear();
    let all = std::mem::take(items).into_iter().enumerate();
    items.extend(all.filter_map(|(index, item)| match failed.remove(&index) {
        None => Some(item),
        Some(reason) => {
            refused.push(Refused { path: item.source.path, reason });
            None
        }
    }));
    Ok(())
}

/// Refuses all but the first of files with one name and different bytes: which one is meant can't be known.
pub(super) fn refuse_contradictions(items: &mut Vec<IncomingFile>, refused: &mut Vec<Refused>) {
    let mut first: HashMap<String, (Blake3, PathBuf)> = HashMap::new();
    items.retain(|item| {
        let Some(digests) = item.digests else { return true };
        let mine = (digests.blake3, item.source.path.clone());
        let (blake3, path) = first.entry(item.name.as_str().to_owned()).or_insert(mine);
        if *blake3 == digests.blake3 {
            return true;
        }
        let reason = format!("{} has the same name and other bytes, and is imported", path.display());
        refused.push(Refused { path: item.source.path.clone(), reason });
        false
    });
}

/// Removes a source that was moved into the store, if it still is the file that was hashed.
pub(super) fn remove_source(item: &IncomingFile, refused: &mut Vec<Refused>) {
    let is_same = |metadata: &std::fs::Metadata| {
        let (now, then) = (fs::Signature::of(metadata), &item.source.signature);
        (now.device, now.inode, now.size, now.modified_ns) == (then.device, then.inode, then.size, then.modified_ns)
    };
    match std::fs::metadata(&item.source.path) {
        Ok(metadata) if is_same(&metadata) => {
            if let Err(error) = fs::remove_file(&item.source.path) {
                let reason = format!("imported, but the source can't be removed: {}", error.source);
                refused.push(Refused { path: item.source.path.clone(), reason });
            }
        }
        Ok(_) => {
            let reason = "imported, but the source has changed since and is left where it is".to_owned();
            refused.push(Refused { path: item.source.path.clone(), reason });
        }
        Err(_) => {}
    }
}
