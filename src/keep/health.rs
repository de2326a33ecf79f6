//! Whether a blob has its bytes: found out, recorded, and finished where a gc that died was at it.

use super::elsewhere::{Watch, fetch};
use crate::blobs::{Blobs, Found};
use crate::digest::{Blake3, Sha256};
use crate::error::Result;
use crate::fs::{self, Signature};
use crate::manifest::{BlobRow, State};
use crate::store::Store;
use std::fs::File;
use std::path::Path;

/// Records in the manifest where bad bytes went.
pub(crate) fn record_quarantine(store: &Store, blake3: &Blake3, moved: &Path, now: i64) -> Result<()> {
    let name = moved.file_name().unwrap_or_default().to_string_lossy();
    let transaction = store.manifest.write()?;
    transaction.insert_quarantine(blake3, &name, now)?;
    Ok(transaction.commit()?)
}

/// Tells whether a blob can be handed out: it belongs to the store, and its file has its bytes. They are read only when the file's stat
/// is not the one that was recorded; what is found bad is recorded as lost, so that nothing else hands it out.
pub(crate) fn is_usable(store: &Store, row: &BlobRow) -> Result<bool> {
    if row.state != State::Live {
        return fetch(store, row, &|_, _| {});
    }
    let found = match store.blobs.find(&row.blake3)? {
        Found::File(found) if row.is_file(&found) => return Ok(true),
        Found::File(found) if found.size == row.size => found,
        Found::File(_) | Found::Absent | Found::Foreign => return set_lost(store, row),
    };
    match Blobs::hash(&store.blobs.path(&row.blake3)) {
        Ok((digest, _)) if digest == row.blake3 => {}
        Err(error) if !error.is_not_found() => return Err(error.into()),
        Ok(_) | Err(_) => return set_lost(store, row),
    }
    if store.is_writable() {
        let transaction = store.manifest.write()?;
        transaction.set_live(row.id, row.epoch, &found)?;
        transaction.commit()?;
    }
    Ok(true)
}

/// Records that a blob's bytes are missing or wrong, which makes it unusable, unless the other nodes of a shared store have them.
fn set_lost(store: &Store, row: &BlobRow) -> Result<bool> {
    if !store.is_writable() {
        return Ok(false);
    }
    let transaction = store.manifest.write()?;
    transaction.set_lost(row.id)?;
    transaction.commit()?;
    match store.manifest.blob(row.id)? {
        Some(now) if now.state == State::Elsewhere => fetch(store, &now, &|_, _| {}),
        _ => Ok(false),
    }
}

/// Reads a blob from its first byte to its last, whatever its stat says; bytes that are missing or wrong are recorded as lost.
pub fn read_through(store: &Store, blake3: &Blake3) -> Result<bool> {
    let Some(row) = store.manifest.find_blob(blake3)? else { return Ok(false) };
    if row.state != State::Live {
        return is_usable(store, &row);
    }
    match Blobs::hash(&store.blobs.path(blake3)) {
        Ok((digest, _)) if digest == *blake3 => Ok(true),
        Err(error) if !error.is_not_found() => Err(error.into()),
        Ok(_) | Err(_) => set_lost(store, &row),
    }
}

/// Tells whether a blob's bytes would have to be fetched from the share.
pub(crate) fn is_elsewhere(store: &Store, blake3: &Blake3) -> Result<bool> {
    let row = store.manifest.find_blob(blake3)?;
    Ok(store.share().is_some() && row.is_some_and(|row| row.state == State::Elsewhere))
}

/// Fetches a blob from the share, where it isn't here, before somebody's eyes. Returns its file and what indexes call it by.
pub(crate) fn bring(store: &Store, blake3: &Blake3, watch: Watch<'_>) -> Result<Option<(File, Sha256)>> {
    let Some(row) = store.manifest.find_blob(blake3)? else { return Ok(None) };
    if row.state != State::Live && !fetch(store, &row, watch)? {
        return Ok(None);
    }
    Ok(open_blob(store, blake3)?.map(|(file, _)| (file, row.sha256)))
}

/// Opens a blob to hand it out, fetched if need be, with the stat by which its bytes are known to be right. `None`: they are missing or wrong, which is
/// recorded.
pub fn open_blob(store: &Store, blake3: &Blake3) -> Result<Option<(File, Signature)>> {
    for _ in 0..3 {
        let Some(row) = store.manifest.find_blob(blake3)? else { return Ok(None) };
        if row.state != State::Live {
            if !is_usable(store, &row)? {
                return Ok(None);
            }
            continue;
        }
        let file = match store.blobs.open(blake3) {
            Ok(file) => file,
            Err(error) if !error.is_not_found() => return Err(error.into()),
            Err(_) if is_usable(store, &row)? => continue,
            Err(_) => return Ok(None),
        };
        let path = store.blobs.path(blake3);
        let signature = Signature::of(&file.metadata().map_err(fs::Error::at("look at", &path))?);
        if row.is_file(&signature) {
            return Ok(Some((file, signature)));
        }
        if !is_usable(store, &row)? {
            return Ok(None);
        }
        if !store.is_writable() {
            // The stat that a look at the bytes vouches for can't be recorded: the open file itself is looked at.
            let is_right = Blobs::hash_open(&file, &path)?.0 == *blake3;
            return Ok(is_right.then_some((file, signature)));
        }
        // The stat of what was read is recorded now: it must be that of the file that is opened.
    }
    Ok(None)
}
