//! How often files are given: one addition where a file is given, and a batch for the manifest every few seconds.

use crate::digest::Sha256;
use crate::manifest::Downloaded;
use crate::name::CollectionName;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many files are counted at a time; what is given beyond them isn't.
const MOST: usize = 65_536;

/// How often one file was given since its count was last taken.
pub(super) type DownloadCount = Arc<AtomicU64>;
type Counts = HashMap<(Sha256, CollectionName), DownloadCount>;

/// Counts of files. Who gives a file often keeps its count.
#[derive(Debug, Default)]
pub(super) struct Downloads {
    counts: Mutex<Counts>,
    taken: AtomicU64,
}

impl Downloads {
    /// Returns the count of a file of a collection.
    pub(super) fn of(&self, sha256: Sha256, collection: &CollectionName) -> DownloadCount {
        let mut counts = self.counts();
        if counts.len() >= MOST {
            // Nobody looks at this one.
            return DownloadCount::default();
        }
        Arc::clone(counts.entry((sha256, collection.clone())).or_default())
    }

    /// Takes all counts, and forgets those that nobody adds to any more.
    pub(super) fn take(&self) -> Vec<Downloaded> {
        let mut all = Vec::new();
        self.counts().retain(|(sha256, collection), own| {
            let count = own.swap(0, Relaxed);
            if count > 0 {
                all.push(Downloaded { sha256: *sha256, collection: collection.to_string(), count });
                self.taken.fetch_add(count, Relaxed);
            }
            count > 0 || Arc::strong_count(own) > 1
        });
        all
    }

    /// Leaves counts for the next time, as far as there is room.
    pub(super) fn give_back(&self, all: Vec<Downloaded>) {
        for Downloaded { sha256, collection, count } in all {
            if let Ok(collection) = collection.parse() {
                self.of(sha256, &collection).fetch_add(count, Relaxed);
            }
            self.taken.fetch_sub(count, Relaxed);
        }
    }

    /// Returns how many files were given since the server began.
    pub(super) fn total(&self) -> u64 {
        // Under the lock, so that nothing is counted twice or not at all while it is taken.
        let counts = self.counts();
        let waiting: u64 = counts.values().map(|count| count.load(Relaxed)).sum();
        waiting + self.taken.load(Relaxed)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_taken_once_and_what_nobody_holds_is_forgotten() {
        let (downloads, collection) = (Downloads::default(), "cuda".parse().unwrap());
        let (one, other) = (Sha256::of(b"one"), Sha256::of(b"other"));
        let count = downloads.of(one, &collection);
        count.fetch_add(2, Relaxed);
        downloads.of(one, &collection).fetch_add(1, Relaxed);
        drop(downloads.of(other, &collection));
        let taken = downloads.take();
        assert_eq!(taken, [Downloaded { sha256: one, collection: "cuda".to_owned(), count: 3 }]);
        assert_eq!(downloads.counts().len(), 1);
        assert_eq!(downloads.total(), 3);
        assert!(downloads.take().is_empty());
        downloads.give_back(taken);
        assert_eq!((downloads.total(), count.load(Relaxed)), (3, 3));
        drop(count);
        assert_eq!(downloads.take().len(), 1);
        assert!(downloads.take().is_empty() && downloads.counts().is_empty());
        assert_eq!(downloads.total(), 3);
    }

    #[test]
    fn no_more_files_are_counted_than_there_is_room_for() {
        let (downloads, collection) = (Downloads::default(), "cuda".parse().unwrap());
        for number in 0..=MOST {
            downloads.of(Sha256::of(&number.to_be_bytes()), &collection).fetch_add(1, Relaxed);
        }
        assert_eq!(downloads.take().len(), MOST);
    }
}
