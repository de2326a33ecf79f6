//! What is remembered, up to a number of things or of bytes: what is used least goes first.

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter};
use std::fmt;
use std::hash::Hash;

/// Things by their keys. Whoever reads waits for no other reader.
pub(super) struct BoundedCache<K, V>(Cache<K, V, Size<V>>);

/// Says how much of the limit a thing takes; it stays the same as long as the thing is kept.
#[derive(Clone, Copy)]
struct Size<V>(fn(&V) -> usize);

impl<K, V> Weighter<K, V> for Size<V> {
    fn weight(&self, _: &K, value: &V) -> u64 {
        (self.0)(value).max(1) as u64
    }
}

impl<K: Eq + Hash, V: Clone> BoundedCache<K, V> {
    /// Remembers at most so many things.
    pub(super) fn of_things(most: usize) -> Self {
        Self::new(most, most, |_| 1)
    }

    /// Remembers at most so many bytes in things that usually have this size, of which `size` tells the real one. What takes more than
    /// all of them isn't remembered.
    pub(super) fn of_bytes(most: usize, usual: usize, size: fn(&V) -> usize) -> Self {
        Self::new(most, most / usual, size)
    }

    fn new(most: usize, things: usize, size: fn(&V) -> usize) -> Self {
        // One part, so that a large thing may take more than a fraction of the limit.
        let options =
            OptionsBuilder::new().shards(1).estimated_items_capacity(things).weight_capacity(most as u64).build();
        let options = options.expect("both capacities are given");
        Self(Cache::with_options(options, Size(size), DefaultHashBuilder::default(), DefaultLifecycle::default()))
    }

    pub(super) fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        self.0.get(key)
    }

    pub(super) fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }
}

impl<K, V> fmt::Debug for BoundedCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_within_its_limits_and_what_is_used_stays() {
        let things = BoundedCache::of_things(100);
        things.insert(0, 'a');
        for number in 1..10_000 {
            assert_eq!(things.get(&0), Some('a'), "{number}");
            things.insert(number, 'b');
        }
        assert!((0..10_000).filter(|number| things.get(number).is_some()).count() <= 100);
        let bytes = BoundedCache::of_bytes(1000, 10, Vec::len);
        for number in 0..1000_usize {
            bytes.insert(number, vec![0; 1 + number % 50]);
        }
        assert!((0..1000).filter_map(|number| bytes.get(&number)).map(|kept| kept.len()).sum::<usize>() <= 1000);
        bytes.insert(5000, vec![0; 900]);
        assert!(bytes.get(&5000).is_some(), "one thing may take nearly all");
        bytes.insert(5001, vec![0; 1001]);
        assert!(bytes.get(&5001).is_none());
    }
}
