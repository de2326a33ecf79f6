//! Snapshots of a shared store, from which new nodes begin.

use crate::blobs::Blobs;
use crate::error::Result;
use crate::fs;
use crate::manifest::Manifest;
use crate::share::Share;
use crate::store::Store;
use std::path::Path;

/// After so many records of the log there is a new snapshot, and when the manifest has grown by so many bytes: some records are large.
const RECORDS: i64 = 500;
const GROWN_BYTES: i64 = 16 << 20;

/// Puts a snapshot into the share, if the newest one is old, and lets nodes that are far behind read on quickly.
pub(crate) fn refresh(store: &Store) -> Result<()> {
    let Some(share) = store.share() else { return Ok(()) };
    // An older node couldn't begin with it.
    if store.manifest.awaits_upgrade()? {
        return Ok(());
    }
    let newest = share.newest_snapshot()?.map_or(0, |snapshot| snapshot.number);
    let new = store.manifest.place()?.number - newest;
    if new < RECORDS && (new == 0 || store.manifest.grown_since_snapshot()? < GROWN_BYTES) {
        return Ok(());
    }
    let scratch = store.scratch()?;
    put(share, &store.manifest, scratch.dir())?;
    share.make_segments()?;
    let transaction = store.manifest.write()?;
    transaction.note_snapshot()?;
    Ok(transaction.commit()?)
}

/// Puts a snapshot of a manifest into a share; `dir` is for files on their way.
pub(crate) fn put(share: &Share, manifest: &Manifest, dir: &Path) -> Result<()> {
    let (plain, packed) = (dir.join("snapshot"), dir.join("snapshot.zst"));
    for path in [&plain, &packed] {
        fs::remove_file(path)?;
    }
    let place = manifest.export(&plain)?;
    fs::pack(&plain, &packed)?;
    let (blake3, _) = Blobs::hash(&packed)?;
    let done = share.put_snapshot(place.number, &fs::open(&packed)?, &packed, &blake3);
    for path in [&plain, &packed] {
        fs::remove_file(path)?;
    }
    Ok(done?)
}
