//! The end of a deletion: of gc's own, of one that died, of an eviction.

use crate::blobs::{Going, Reap};
use crate::digest::Blake3;
use crate::error::Result;
use crate::manifest::{BlobId, BlobRow, State};
use crate::store::Store;

/// Waits for gc to delete a blob that it has set to be deleted; a gc that died is finished for.
pub(crate) fn finish_deletion(store: &Store, row: &BlobRow) -> Result<()> {
    // gc holds this lock from setting the state until the row is gone: with it in hand, a row that is left is a dead gc's.
    let reap = store.blobs.reap()?;
    if store.manifest.state(row.id)? == Some(State::Deleting) {
        remove_links(store, &reap, &[Going { blake3: row.blake3, filenames: None }])?;
        store.blobs.remove(&reap, &row.blake3)?;
        end_deletion(store, [(row.id, &row.blake3)].into_iter())?;
    }
    Ok(())
}

/// Removes the links of blobs that go, or tells why not.
pub(super) fn remove_links(store: &Store, reap: &Reap, going: &[Going]) -> Result<()> {
    match store.blobs.remove_links(reap, going)?.into_iter().next() {
        Some((_, error)) => Err(error.into()),
        None => Ok(()),
    }
}

/// Ends a deletion whose names are gone: syncs that, since an unlink that isn't durable would come back after a power cut, as a file
/// without a row, and takes the files' rows away.
pub(crate) fn end_deletion<'a>(store: &Store, gone: impl Iterator<Item = (BlobId, &'a Blake3)> + Clone) -> Result<()> {
    store.blobs.sync_names(gone.clone().map(|(_, blake3)| blake3))?;
    let transaction = store.manifest.write()?;
    transaction.delete_files(gone.map(|(id, _)| id))?;
    Ok(transaction.commit()?)
}
