//! What gc does in a share's bucket: objects that no blob has any longer go, after a grace in which nodes that are behind may read them.
//!
//! A blob's row goes first, and its object is doomed by the same commit; only then is the object deleted, by any node. What was put and
//! never committed has no row to go: a fence is committed first, below which no commit may take a generation, and what is below it and has
//! no row is doomed.

use crate::error::Result;
use crate::store::Store;

/// So long, in seconds, an object stays that no blob has any longer, and one that was put may wait for its commit.
const GRACE_SECONDS: i64 = 7 * 86_400;
/// So often, in seconds, a node looks through the whole bucket.
const SCAN_SECONDS: i64 = 86_400;

/// Deletes doomed objects. Without a grace that is done at once, and the bucket is looked through. Returns how many went.
pub(crate) fn sweep(store: &Store, now: i64, grace: i64) -> Result<usize> {
    let Some(share) = store.share() else { return Ok(0) };
    let grace = if grace == 0 { 0 } else { grace.max(GRACE_SECONDS) };
    let scanned_at = store.manifest.scanned_at()?.unwrap_or(0);
    if grace == 0 || !(0..SCAN_SECONDS).contains(&now.saturating_sub(scanned_at)) {
        let fence = share.fence(grace)?;
        let objects = share.blobs()?;
        let transaction = store.manifest.write()?;
        transaction.raise_fence(&fence, &objects)?;
        transaction.set_scanned(now)?;
        transaction.commit()?;
        share.tidy()?;
    }
    let before = if grace == 0 { i64::MAX } else { now.saturating_sub(grace) };
    let doomed = store.manifest.doomed(before)?;
    for name in &doomed {
        share.remove_blob(name)?;
    }
    if !doomed.is_empty() {
        let transaction = store.manifest.write()?;
        transaction.delete_doomed(&doomed)?;
        transaction.commit()?;
    }
    Ok(doomed.len())
}
