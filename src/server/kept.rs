//! Bytes that are remembered, up to a limit.

use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Mutex;

/// Bytes in memory, up to a limit; the oldest go first.
#[derive(Debug)]
pub(super) struct Kept<K> {
    pub(super) bytes: HashMap<K, Bytes>,
    order: VecDeque<K>,
    total: usize,
    limit: usize,
}

impl<K: Copy + Eq + Hash> Kept<K> {
    pub(super) fn up_to(limit: usize) -> Mutex<Self> {
        Mutex::new(Self { bytes: HashMap::new(), order: VecDeque::new(), total: 0, limit })
    }

    pub(super) fn insert(&mut self, key: K, bytes: &Bytes) {
        if bytes.len() > self.limit / 4 || self.bytes.insert(key, bytes.clone()).is_some() {
            return;
        }
        self.order.push_back(key);
        self.total += bytes.len();
        while self.total > self.limit {
            let Some(oldest) = self.order.pop_front() else { break };
            self.total -= self.bytes.remove(&oldest).map_or(0, |bytes| bytes.len());
        }
    }
}
