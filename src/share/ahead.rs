//! Records of a log in a bucket that are read before they are asked for.
//!
//! A bucket answers late, and to many requests at once. Who has just joined, or was away, has thousands of records to read: one after the
//! other they would take minutes. Records are made once and never changed, so what was found counts; what wasn't is asked for again.

use super::objects::Objects;
use super::{Result, Share};
use std::collections::VecDeque;
use std::sync::PoisonError;

/// No record is longer.
pub(super) const MAX_RECORD_BYTES: u64 = 1 << 30;
/// So many are asked for at a time.
const MOST: usize = 16;
/// Larger ones are read when it is their turn.
const MAX_AHEAD_BYTES: usize = 1 << 20;

/// The records after the one that was read last, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The number of the next one.
    next: i64,
    /// How many were read one after the other.
    streak: u32,
    records: VecDeque<Vec<u8>>,
}

impl Ahead {
    /// Returns how many records to ask for: the next one, until it looks as if there were many.
    fn window(&self) -> usize {
        match self.streak {
            0..=1 => 1,
            found => MOST.min(1 << (found - 1).min(16)),
        }
    }
}

impl Share {
    /// Returns a record of a log in the bucket; `None`: it isn't there yet.
    pub(super) fn record_object(&self, number: i64) -> Result<Option<Vec<u8>>> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.next != number {
            *ahead = Ahead { next: number, ..Ahead::default() };
        }
        let found = match (ahead.records.pop_front(), self.bucket.objects()) {
            (Some(record), _) => Some(record),
            (None, Some(objects)) if ahead.window() > 1 => {
                let last = number.saturating_add(ahead.window() as i64 - 1);
                let (first, more) = read_records(objects, number, last);
                ahead.records = more;
                first?
            }
            (None, _) => self.bucket.get(&record_key(number), MAX_RECORD_BYTES)?,
        };
        match found {
            Some(_) => (ahead.next, ahead.streak) = (number + 1, ahead.streak.saturating_add(1)),
            None => ahead.streak = 0,
        }
        Ok(found)
    }
}

/// Reads a record, and those after it up to the first that isn't there, or too large, or can't be read.
fn read_records(objects: &Objects, first: i64, last: i64) -> (Result<Option<Vec<u8>>>, VecDeque<Vec<u8>>) {
    use super::Bucket as _;
    let keys: Vec<String> = (first + 1..=last).map(record_key).collect();
    let more = objects.begin_small(&keys, MAX_AHEAD_BYTES);
    let found = objects.get(&record_key(first), MAX_RECORD_BYTES);
    let more = objects.end_small(more).into_iter();
    let more = if matches!(found, Ok(Some(_))) { more.map_while(|record| record).collect() } else { VecDeque::new() };
    (found, more)
}

pub(super) fn record_key(number: i64) -> String {
    format!("log/{number:020}.json")
}
