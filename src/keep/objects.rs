//! Blobs and their objects in the share's bucket: what is compared, and put there again.

use super::elsewhere::TRANSFERS;
use crate::error::Result;
use crate::manifest::{BlobId, BlobRow, State};
use crate::parallel;
use crate::share::{self, Share};
use crate::store::{Store, despite_others};
use crate::words::reason;
use std::collections::HashMap;

/// What is wrong with a blob's object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It isn't there.
    Missing,
    /// It has so many bytes.
    Size(u64),
    /// Its bytes are others.
    Bytes,
}

/// What the bucket lists, beside the rows of blobs.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// The objects of blobs, and those that no blob has: they are doomed, or an import is at it, or was killed.
    pub(crate) objects: usize,
    pub(crate) orphans: usize,
    pub(crate) orphan_bytes: u64,
    /// The blobs whose objects are there, in the order of their digests.
    pub(crate) good: Vec<BlobRow>,
    pub(crate) bad: Vec<(BlobRow, Fault)>,
}

/// Compares the bucket's list with the rows of blobs.
///
/// An object is there before its row and after it: one must be listed if its row is there before the list is made, and after it.
pub(crate) fn compare(store: &Store, share: &Share) -> Result<Comparison> {
    let before = generations(store)?;
    let listed = share.objects()?;
    store.manifest.catch_up()?;
    let mut comparison = Comparison { objects: listed.len(), ..Comparison::default() };
    let mut sizes: HashMap<_, u64> =
        listed.into_iter().map(|object| ((object.blake3, object.generation), object.size)).collect();
    let mut suspects = Vec::new();
    for row in store.manifest.blobs()? {
        let listed = row.generation.clone().and_then(|generation| sizes.remove(&(row.blake3, generation)));
        if listed == Some(row.size) {
            comparison.good.push(row);
        } else if before.get(&row.id) == Some(&row.generation) {
            suspects.push(row);
        }
    }
    (comparison.orphans, comparison.orphan_bytes) = (sizes.len(), sizes.values().sum());
    // A folder's list may be old where it comes over a network.
    let again = parallel::map(TRANSFERS, &suspects, |row| fault(share, row));
    for (row, fault) in suspects.into_iter().zip(again) {
        match fault? {
            Some(fault) => comparison.bad.push((row, fault)),
            None => comparison.good.push(row),
        }
    }
    comparison.good.sort_unstable_by_key(|row| row.blake3);
    comparison.bad = still(store, comparison.bad)?;
    Ok(comparison)
}

fn generations(store: &Store) -> Result<HashMap<BlobId, Option<String>>> {
    Ok(store.manifest.blobs()?.into_iter().map(|row| (row.id, row.generation)).collect())
}

/// Asks for one object.
fn fault(share: &Share, row: &BlobRow) -> share::Result<Option<Fault>> {
    let Some(generation) = &row.generation else { return Ok(Some(Fault::Missing)) };
    Ok(match share.blob_size(&row.blake3, generation)? {
        None => Some(Fault::Missing),
        Some(size) if size != row.size => Some(Fault::Size(size)),
        Some(_) => None,
    })
}

/// Returns those of what was found whose rows still are as they were: other nodes delete, and put again.
pub(crate) fn still(store: &Store, found: Vec<(BlobRow, Fault)>) -> Result<Vec<(BlobRow, Fault)>> {
    if found.is_empty() {
        return Ok(found);
    }
    store.manifest.catch_up()?;
    let mut left = Vec::new();
    for (row, fault) in found {
        if let Some(now) = store.manifest.blob(row.id)?.filter(|now| now.generation == row.generation) {
            left.push((now, fault));
        }
    }
    Ok(left)
}

/// Reads a blob's object to its end, which `took` is told of part by part.
pub(crate) fn read(share: &Share, row: &BlobRow, took: &dyn Fn(usize)) -> share::Result<Option<Fault>> {
    let generation = row.generation.as_deref().unwrap_or_default();
    let read = || share.digest_blob(&row.blake3, generation, took);
    // What is wrong may have gone wrong on the way.
    let found = match read()? {
        Some(digest) if digest != row.blake3 => read()?,
        found => found,
    };
    Ok(match found {
        None => Some(Fault::Missing),
        Some(digest) if digest != row.blake3 => Some(Fault::Bytes),
        Some(_) => None,
    })
}

/// Puts blobs whose objects are bad into the bucket again, from this folder, under new generations; the old objects are doomed. Returns
/// of each why it couldn't be done.
pub(crate) fn put_again(store: &Store, share: &Share, rows: &[BlobRow]) -> Result<Vec<Option<String>>> {
    let (blobs, now) = (&store.blobs, share.time()?);
    let put = |row: &BlobRow| {
        if row.state != State::Live {
            return Err("this node hasn't got it".to_owned());
        }
        let path = blobs.path(&row.blake3);
        let file = blobs.open(&row.blake3).map_err(|error| reason(&error))?;
        share.put_blob(&file, &path, &row.blake3).map_err(|error| match error {
            share::Error::WrongBytes(_) => "what this node has of it is wrong, too".to_owned(),
            error => reason(&error),
        })
    };
    // A generation is offered to one commit: where that doesn't count, the bytes are put once more.
    despite_others(|| {
        let put = parallel::map(TRANSFERS, rows, put);
        let transaction = store.manifest.write()?;
        let mut done = Vec::new();
        for (row, put) in rows.iter().zip(put) {
            done.push(match put {
                // Where the row names another object meanwhile, another node has put it there.
                Ok(generation) => transaction.replace_object(row, generation.as_str(), now).map(|_| None)?,
                Err(why) => Some(why),
            });
        }
        transaction.commit()?;
        Ok(done)
    })
}
