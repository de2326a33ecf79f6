//! Writing back: what is made here goes to the remotes of its collection that want it. Here it is put into the queue, which `push` sends.

use crate::error::Result;
use crate::manifest::{BlobId, CollectionId, Transaction};
use crate::name::ProjectName;

/// Lets an entry that was made here wait for all remotes of its collection that are written back to: part of the transaction that
/// makes the entry, so that neither is there without the other.
pub(crate) fn queue(
    transaction: &Transaction<'_>,
    collection: CollectionId,
    project: &ProjectName,
    filename: &str,
    blob: BlobId,
    now: i64,
) -> Result<()> {
    for remote in transaction.remotes_of(collection)?.iter().filter(|remote| remote.settings.writes_back) {
        // Known bytes of a remote were fetched, by whatever way they came in now.
        if remote.includes(project) && !transaction.came_from_remote(blob)? {
            transaction.insert_waiting(remote.id, collection, filename, blob, now)?;
        }
    }
    Ok(())
}
