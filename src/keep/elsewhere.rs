//! Blobs whose bytes are not in this folder: those of a node's store are in the share's bucket.

use super::deletion::finish_deletion;
use crate::blobs::{Blobs, Found, Staging};
use crate::context::Context;
use crate::digest::Hasher;
use crate::error::Result;
use crate::fs;
use crate::manifest::{BlobRow, State};
use crate::parallel;
use crate::share::Share;
use crate::store::{Session, Store};
use rayon::prelude::*;
use std::fs::File;
use std::path::{Path, PathBuf};

/// So many blobs are fetched before they get their names.
const BATCH: usize = 64;
/// So many transfers go on at a time: a bucket answers late, and many at once.
pub(crate) const TRANSFERS: usize = 8;

/// Is shown the file that a fetch comes into, open for reading as well, and how many bytes are there: none at first.
pub(crate) type Watch<'a> = &'a dyn Fn(&File, u64);

/// Fetches a blob into this folder, if the store is a node and the bucket has it. Returns whether its bytes are here now.
pub(super) fn fetch(store: &Store, row: &BlobRow, watch: Watch<'_>) -> Result<bool> {
    if fetch_object(store, row, watch)? {
        return Ok(true);
    }
    // Where this node was behind, the bytes may have gone and come again meanwhile.
    if store.share().is_none() || store.manifest.catch_up().is_err() {
        return Ok(false);
    }
    match store.manifest.blob(row.id)?.or(store.manifest.find_blob(&row.blake3)?) {
        Some(now) if now.generation != row.generation => fetch_object(store, &now, watch),
        _ => Ok(false),
    }
}

/// Fetches the object that a row names.
fn fetch_object(store: &Store, row: &BlobRow, watch: Watch<'_>) -> Result<bool> {
    let (Some(share), Some(generation)) = (store.share(), &row.generation) else { return Ok(false) };
    if !store.is_writable() {
        // Who may not, or has no room, is told so; a rehearsal fetches nothing.
        store.require_writable()?;
        return Ok(false);
    }
    // An eviction that is at it, or died.
    finish_deletion(store, row)?;
    // Of many who want it at once one fetches it.
    let (_lock, has_waited) = store.locks().pull(&row.blake3.to_string())?;
    if has_waited && store.manifest.state(row.id)? == Some(State::Live) {
        return Ok(true);
    }
    let session = store.session("fetch", store.manifest.clock()?)?;
    let staged = download(share, row, generation, &session.staging, watch)?;
    let is_here = staged.map_or(Ok(false), |staged| put_back(store, &session, row, &staged))?;
    session.end()?;
    Ok(is_here)
}

/// Fetches many blobs into this folder, several at a time. Returns of each whether its bytes are here now, or why they can't be.
pub(crate) fn fetch_all(store: &Store, context: &Context<'_>, rows: &[BlobRow]) -> Result<Vec<Result<bool>>> {
    let Some(share) = store.share() else { return Ok(rows.iter().map(|_| Ok(false)).collect()) };
    store.require_writable()?;
    let session = store.session("fetch", context.now)?;
    let mut fetched = Vec::with_capacity(rows.len());
    let staging = &session.staging;
    context.progress.start_files("fetching", rows.len() as u64, rows.iter().map(|row| row.size).sum());
    for batch in rows.chunks(BATCH) {
        let staged = parallel::map(TRANSFERS, &store.manifest.named(batch), |(row, name)| {
            let generation = row.generation.as_deref().unwrap_or_default();
            let fetch = || download(share, row, generation, staging, &|_, _| {});
            context.progress.on(name, row.size, fetch)
        });
        for (row, staged) in batch.iter().zip(staged) {
            fetched.push(match staged {
                Ok(Some(staged)) => {
                    finish_deletion(store, row)?;
                    // Where it isn't put back now, somebody else was faster.
                    let is_new = put_back(store, &session, row, &staged)?;
                    fs::remove_file(&staged)?;
                    Ok(is_new || store.manifest.state(row.id)? == Some(State::Live))
                }
                Ok(None) => Ok(false),
                Err(error) => Err(error),
            });
        }
    }
    context.progress.finish();
    session.end()?;
    Ok(fetched)
}

/// Brings a blob's object into staging, and makes sure that it has the right bytes. `None`: the bucket hasn't got it.
fn download(
    share: &Share,
    row: &BlobRow,
    generation: &str,
    staging: &Staging,
    watch: Watch<'_>,
) -> Result<Option<PathBuf>> {
    let path = staging.fresh();
    let file = fs::create_new(&path, fs::READ_ONLY)?;
    let mut room = fs::Lease::new(staging.dir());
    room.cover(row.size)?;
    let (mut hasher, mut bytes) = (Hasher::default(), 0);
    watch(&file, 0);
    let read = share.read_blob(&row.blake3, generation, &mut |part| {
        bytes += part.len() as u64;
        if bytes > row.size {
            // Whoever can write to the bucket doesn't decide how much is written here.
            return Err(fs::Error::at("fetch to", &path)(std::io::Error::other("it is larger than it should be")));
        }
        hasher.update(part);
        fs::append(&file, &path, part)?;
        watch(&file, bytes);
        Ok(())
    });
    let is_there = if bytes > row.size { true } else { read? };
    let digests = hasher.finish();
    if is_there && (digests.blake3, digests.sha256, bytes) != (row.blake3, row.sha256, row.size) {
        return Err(share.wrong_bytes(&row.blake3, generation).into());
    }
    Ok(is_there.then_some(path))
}

/// Brings a blob's object among files on their way, for who wants to carry it on. `None`: the bucket hasn't got it.
pub(crate) fn fetch_to(share: &Share, row: &BlobRow, staging: &Staging) -> Result<Option<PathBuf>> {
    let generation = row.generation.as_deref().unwrap_or_default();
    download(share, row, generation, staging, &|_, _| {})
}

/// Gives right bytes, staged by a session, the name of a blob that lost its own or never had them here. Returns whether they are handed
/// out now; where not, verify or gc got in between.
pub(crate) fn put_back(store: &Store, session: &Session<'_>, row: &BlobRow, staged: &Path) -> Result<bool> {
    let transaction = store.manifest.write()?;
    let Some(now) = transaction.blob(row.id)?.filter(|now| matches!(now.state, State::Lost | State::Elsewhere)) else {
        return Ok(false);
    };
    transaction.insert_hold(&session.id, row.id)?;
    transaction.commit()?;
    fs::sync_file(staged)?;
    let reap = store.blobs.reap()?;
    // An import may have healed it meanwhile.
    if !store.blobs.is_good(&row.blake3) {
        store.blobs.replace(&reap, staged, &row.blake3)?;
    }
    store.blobs.sync_names([row.blake3].iter())?;
    drop(reap);
    let Found::File(found) = store.blobs.find(&row.blake3)? else { return Ok(false) };
    let transaction = store.manifest.write()?;
    let is_back = transaction.set_live(row.id, now.epoch, &found)?;
    transaction.commit()?;
    Ok(is_back)
}

/// Puts the bytes of blobs into the bucket of a node's share.
pub(super) fn put_all<'r>(
    share: &Share,
    blobs: &Blobs,
    rows: impl ParallelIterator<Item = &'r mut BlobRow>,
) -> Result<()> {
    let put = |row: &mut BlobRow| -> Result<()> {
        let file = blobs.open(&row.blake3)?;
        row.generation = Some(share.put_blob(&file, &blobs.path(&row.blake3), &row.blake3)?.as_str().to_owned());
        Ok(())
    };
    rows.map(put).collect()
}
