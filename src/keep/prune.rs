//! Old records of a share's log go: those that two whole snapshots make needless, and that no node lacks which was there lately.
//!
//! What becomes of a node that comes back later is the manifest's matter: it finds the digest of the record that it stands on, and begins
//! anew from a snapshot. So the digests are kept before the first record goes. Killed anywhere, the next run goes on.

use super::elsewhere::TRANSFERS;
use super::snapshot;
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::fs;
use crate::fs::fault::{Change, point};
use crate::manifest::{Access, KEPT_SECONDS, Manifest};
use crate::parallel;
use crate::share::{self, SNAPSHOTS, Share, Snapshot};
use crate::store::Store;
use std::path::Path;
use std::time::Duration;

/// Removes the records of the store's share that are older than so many seconds, by its clock, and that new nodes don't need. Returns how
/// many went.
pub(crate) fn prune(store: &Store, age: i64) -> Result<u64> {
    let (Some(share), Some(id)) = (store.share(), store.share_id()) else { return Ok(0) };
    store.require_up_to_date()?;
    // Older nodes couldn't begin with the snapshots that this one makes.
    if store.manifest.awaits_upgrade()? {
        return Ok(0);
    }
    share.require(id)?;
    let old = share.old_records(id, share.time()?.saturating_sub(age.max(KEPT_SECONDS)))?;
    if old.is_empty() {
        return Ok(0);
    }
    // What is put into a snapshot must be the end of the log that was looked at, at least.
    store.manifest.catch_up()?;
    let scratch = store.scratch()?;
    require_snapshots(store, share, id, old.end, scratch.dir())?;
    let numbers: Vec<i64> = old.clone().collect();
    // A log in a database is read ahead by one.
    let threads = if share.log().is_some() { 1 } else { TRANSFERS };
    let digest = |number: &i64| -> share::Result<Option<(i64, Sha256)>> {
        Ok(share.record(id, *number)?.map(|record| (*number, Sha256::of(&record))))
    };
    let digests = parallel::map(threads, &numbers, digest).into_iter().collect::<share::Result<Vec<_>>>()?;
    // One that is gone meanwhile had its digest kept by whoever was faster.
    let digests: Vec<(i64, Sha256)> = digests.into_iter().flatten().collect();
    share.keep_digests(&digests)?;
    point(Change::Shrink, "prune", Path::new("the shared log"))?;
    share.remove_records(id, old.end)?;
    Ok(digests.len() as u64)
}

/// Makes sure that the share has so many whole snapshots from a record on as it keeps.
fn require_snapshots(store: &Store, share: &Share, id: &str, from: i64, dir: &Path) -> Result<()> {
    for _ in 0..=SNAPSHOTS {
        let mut whole = 0;
        for snapshot in share.snapshots()?.iter().rev().take_while(|snapshot| snapshot.number >= from) {
            whole += usize::from(is_whole(share, id, snapshot, dir)?);
        }
        if whole >= SNAPSHOTS {
            return Ok(());
        }
        snapshot::put(share, &store.manifest, dir)?;
    }
    Err(Error::Refused(format!("nothing was pruned: snapshots that were put into {} aren't whole there", share.url())))
}

/// Tells whether a snapshot can be read, and is one of this log.
fn is_whole(share: &Share, id: &str, snapshot: &Snapshot, dir: &Path) -> Result<bool> {
    let plain = dir.join("found");
    let is_read = share.unpack_snapshot(snapshot, &plain)?;
    let place = is_read.then(|| Manifest::open(&plain, Access::Immutable, Duration::ZERO)?.place()).transpose();
    fs::remove_file(&plain)?;
    let Ok(Some(place)) = place else { return Ok(false) };
    let record = share.record(id, snapshot.number)?;
    Ok(place.number == snapshot.number && record.is_some_and(|record| Sha256::of(&record) == place.digest))
}
