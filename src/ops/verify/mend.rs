//! Deals with what was found: bad bytes go to quarantine, right ones come back, derived files are made again.

use super::read::Bad;
use super::{Problem, ProblemKind};
use crate::blobs::{Blobs, Found};
use crate::context::Context;
use crate::digest::{Digests, Sha256};
use crate::error::Result;
use crate::fs;
use crate::keep::elsewhere::put_back;
use crate::keep::health::{is_usable, record_quarantine};
use crate::manifest::{BlobRow, State};
use crate::name::CollectionName;
use crate::ops::view;
use crate::store::Store;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Makes the files again that trees link as `.metadata` and that don't hold what the manifest says: they are derived from it.
pub(super) fn rewrite_sidecars(store: &Store) -> Result<usize> {
    if !store.is_writable() {
        return Ok(0);
    }
    let mut count = 0;
    for (path, sha256) in store.blobs.sidecars()? {
        let Some(sha256) = sha256 else { continue };
        let is_good = std::fs::read(&path).is_ok_and(|bytes| Sha256::of(&bytes) == sha256);
        let Some(bytes) = (!is_good).then(|| store.manifest.metadata(&sha256)).transpose()?.flatten() else { continue };
        let scratch = store.scratch()?;
        store.blobs.stage_sidecar(scratch.dir(), &sha256, &bytes)?;
        fs::sync_filesystem(scratch.dir())?;
        store.blobs.publish_sidecar(scratch.dir(), &sha256)?;
        count += 1;
    }
    Ok(count)
}

/// Deals with a bad blob: marks it lost, moves wrong bytes to quarantine, and repairs it where that is asked for and possible.
pub(super) fn problem(
    store: &Store,
    context: &Context<'_>,
    row: &BlobRow,
    bad: Bad,
    repair: bool,
) -> Result<Option<Problem>> {
    let Bad { mut kind, mut detail, inode, truth } = bad;
    let mut quarantine = None;
    if store.is_writable() && truth.is_none() {
        let Some(moved) = condemn(store, context, row, kind, inode)? else { return Ok(None) };
        quarantine = moved;
    }
    if kind == ProblemKind::Missing && quarantine.is_none() {
        // Found corrupt by an earlier run: that is what it still is.
        if let Some(name) = store.manifest.quarantined(&row.blake3)? {
            let path = store.root().join("quarantine").join(name);
            if fs::entry(&path)?.is_some() {
                (kind, detail) = (ProblemKind::Corrupt, "found by an earlier run".to_owned());
                quarantine = Some(path);
            }
        }
    }
    let (filenames, collections) = names(store, row)?;
    let repaired = repair
        && store.is_writable()
        && match truth {
            Some((digests, size)) => correct(store, row, &digests, size)?,
            None => fetch_again(store, row)? || restore(store, context, row, &filenames)?,
        };
    Ok(Some(Problem {
        kind,
        blake3: row.blake3,
        path: store.blobs.path(&row.blake3),
        filenames: filenames.into_iter().collect(),
        collections: collections.into_iter().collect(),
        detail,
        quarantine,
        repaired,
    }))
}

/// Returns the filenames that a blob has, and the collections that list it now.
pub(super) fn names(store: &Store, row: &BlobRow) -> Result<(BTreeSet<String>, BTreeSet<CollectionName>)> {
    let mut collections = BTreeSet::new();
    let mut filenames: BTreeSet<String> = store.manifest.filenames(row.id)?.into_iter().collect();
    for entry in store.manifest.blob_entries(row.id)? {
        filenames.insert(entry.filename);
        if entry.removed.is_none() {
            collections.insert(entry.collection);
        }
    }
    Ok((filenames, collections))
}

/// Marks a bad blob lost and moves its bytes to quarantine, if they still are the ones that were judged. Returns `None` when the
/// blob is no longer the store's matter, or was healed meanwhile.
fn condemn(
    store: &Store,
    context: &Context<'_>,
    row: &BlobRow,
    kind: ProblemKind,
    inode: Option<i64>,
) -> Result<Option<Option<PathBuf>>> {
    let reap = store.blobs.reap()?;
    let Some(now) = store.manifest.blob(row.id)? else { return Ok(None) };
    let found = store.blobs.find(&row.blake3)?;
    let is_judged = match (kind, found) {
        (ProblemKind::Missing, Found::Absent) | (ProblemKind::Corrupt, Found::Foreign) => true,
        (ProblemKind::Corrupt, Found::File(found)) => inode == Some(found.inode),
        // It can't be told what an unreadable file holds: it stays where it is, and is handed out to nobody.
        (ProblemKind::Unreadable, _) => true,
        _ => false,
    };
    // Elsewhere: a node let go of it meanwhile, or somebody else has found it lost.
    if !is_judged || matches!(now.state, State::Deleting | State::Elsewhere) || now.epoch != row.epoch {
        return Ok(None);
    }
    if now.state == State::Live {
        let transaction = store.manifest.write()?;
        transaction.set_lost(row.id)?;
        transaction.commit()?;
    }
    if kind != ProblemKind::Corrupt {
        return Ok(Some(None));
    }
    let moved = store.blobs.quarantine(&reap, &row.blake3)?;
    if let Some(moved) = &moved {
        record_quarantine(store, &row.blake3, moved, context.now)?;
    }
    Ok(Some(moved))
}

/// Lets a row say what its blob's bytes are.
fn correct(store: &Store, row: &BlobRow, digests: &Digests, size: u64) -> Result<bool> {
    let transaction = store.manifest.write()?;
    let is_done = transaction.correct_blob(row.id, digests, size)?;
    transaction.commit()?;
    Ok(is_done)
}

/// Fetches a lost blob from where the other nodes of a shared store have it.
fn fetch_again(store: &Store, row: &BlobRow) -> Result<bool> {
    match store.manifest.blob(row.id)? {
        Some(now) if now.state == State::Elsewhere => is_usable(store, &now),
        _ => Ok(false),
    }
}

/// Puts right bytes at a lost blob's name, from trees on disk that have bytes of their own.
fn restore(store: &Store, context: &Context<'_>, row: &BlobRow, filenames: &BTreeSet<String>) -> Result<bool> {
    let session = store.session("verify --repair", context.now)?;
    let mut repaired = false;
    for path in view::copies(store, row, filenames)? {
        let Ok((digest, _)) = Blobs::hash(&path) else { continue };
        if digest != row.blake3 {
            continue;
        }
        let staged = session.staging.stage(&path, crate::blobs::LinkMode::Auto, false)?;
        if staged.digests.blake3 != row.blake3 || staged.digests.sha256 != row.sha256 {
            continue;
        }
        repaired = put_back(store, &session, row, &staged.path)?;
        if repaired {
            break;
        }
    }
    session.end()?;
    Ok(repaired)
}
