//! Records of a log in a bucket that are read before they are asked for.
//!
//! A bucket answers late, and to many requests at once. Who has just joined, or was away, has thousands of records to read: one after the
//! other they would take minutes. Records are made once and never changed, so what was found counts; what wasn't is asked for again.

use super::objects::Objects;
use super::segment::{self, RECORDS, last_of, segment_key};
use super::{Result, Share};
use std::collections::VecDeque;
use std::sync::PoisonError;
use tokio::task::JoinHandle;

/// No record is longer.
pub(super) const MAX_RECORD_BYTES: u64 = 1 << 30;
/// So many are asked for at a time, and so many segments.
const MOST: usize = 48;
const MOST_SEGMENTS: usize = 6;
/// Larger ones are read when it is their turn.
const MAX_AHEAD_BYTES: usize = 1 << 20;

/// Records from the first to the last that are on their way; `None`: not all are there, they are too large, or can't be read.
#[derive(Debug)]
struct Coming {
    first: i64,
    last: i64,
    task: JoinHandle<Option<Vec<Vec<u8>>>>,
}

/// The records after the one that was read last, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The number of the next one.
    next: i64,
    /// How many were read one after the other.
    streak: u32,
    records: VecDeque<Vec<u8>>,
    coming: VecDeque<Coming>,
    /// The last record of the newest segment that was looked for to find out whether there are segments.
    tried: i64,
    trial: Option<Coming>,
    /// Whether there are segments, as far as is known: `coming` has nothing else then.
    has_segments: bool,
    /// What was read one by one since the begin of a segment, as long as it is small.
    single: Vec<Vec<u8>>,
    single_bytes: usize,
}

impl Ahead {
    /// Returns how many requests may be on their way: none, until it looks as if there were many records.
    fn window(&self) -> usize {
        match self.streak {
            0..=1 => 0,
            _ if self.has_segments => MOST_SEGMENTS,
            // Half as many as there were: few are asked for that aren't there yet.
            found => MOST.min(found as usize / 2 + 1),
        }
    }

    /// Returns what was read ahead, if it was, and asks for more.
    fn take(&mut self, objects: &Objects, number: i64) -> Option<Vec<u8>> {
        while self.records.is_empty() {
            self.begin(objects, number);
            let is_tried = self.trial.as_ref().is_some_and(|trial| trial.first <= number);
            if let Some(trial) = self.trial.take_if(|_| is_tried)
                && let Some(records) = objects.end(trial.task)
            {
                self.has_segments = true;
                self.coming.clear();
                self.fill(number, trial.first, records);
                break;
            }
            let Coming { first, task, .. } = self.coming.pop_front()?;
            match objects.end(task) {
                Some(records) => self.fill(number, first, records),
                None => {
                    self.coming.clear();
                    if !std::mem::take(&mut self.has_segments) {
                        // Whoever asks for it by itself is told whether it is absent.
                        return None;
                    }
                }
            }
        }
        let found = self.records.pop_front();
        self.begin(objects, number + 1);
        found
    }

    /// Has records from a number on, of those that came.
    fn fill(&mut self, number: i64, first: i64, records: Vec<Vec<u8>>) {
        let passed = usize::try_from(number - first).unwrap_or(usize::MAX);
        self.records = records.into_iter().skip(passed).collect();
    }

    /// Asks for more, as long as few are on their way.
    fn begin(&mut self, objects: &Objects, number: i64) {
        let known = number + self.records.len() as i64;
        let mut next = self.coming.back().map_or(known, |coming| coming.last + 1);
        while self.coming.len() < self.window() {
            let last = last_of(next);
            if !self.has_segments && self.tried < last {
                self.tried = last;
                self.trial = Some(begin_segment(objects, last));
            }
            let coming = if self.has_segments { begin_segment(objects, last) } else { begin_record(objects, next) };
            next = coming.last + 1;
            self.coming.push_back(coming);
        }
    }

    /// Notes a record that was read by itself: a whole run of them becomes a segment.
    fn note(&mut self, objects: &Objects, number: i64, record: &[u8]) {
        let place = (number - 1) % RECORDS;
        if place == 0 {
            self.single.clear();
            self.single_bytes = 0;
        }
        self.single_bytes = self.single_bytes.saturating_add(record.len());
        if self.single.len() as i64 != place || self.single_bytes > segment::MAX_BYTES {
            self.single.clear();
            return;
        }
        self.single.push(record.to_vec());
        if place == RECORDS - 1 {
            segment::begin(objects, number, &std::mem::take(&mut self.single));
        }
    }
}

fn begin_record(objects: &Objects, number: i64) -> Coming {
    let record = objects.small(&record_key(number), MAX_AHEAD_BYTES);
    let task = objects.begin(async { record.await.map(|record| vec![record]) });
    Coming { first: number, last: number, task }
}

fn begin_segment(objects: &Objects, last: i64) -> Coming {
    let segment = objects.small(&segment_key(last), 2 * segment::MAX_BYTES);
    let end = objects.small(&record_key(last), MAX_AHEAD_BYTES);
    let task = objects.begin(async {
        let (segment, end) = tokio::join!(segment, end);
        segment::read(&segment?, &end?)
    });
    Coming { first: last - RECORDS + 1, last, task }
}

impl Share {
    /// Returns a record of a log in the bucket; `None`: it isn't there yet.
    pub(super) fn record_object(&self, number: i64) -> Result<Option<Vec<u8>>> {
        let one = || self.bucket.get(&record_key(number), MAX_RECORD_BYTES);
        // A folder answers at once.
        let Some(objects) = self.bucket.objects() else { return one() };
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.next != number {
            *ahead = Ahead { next: number, ..Ahead::default() };
        }
        let found = match ahead.take(objects, number) {
            Some(record) => Some(record),
            None => one()?,
        };
        match &found {
            Some(record) => {
                (ahead.next, ahead.streak) = (number + 1, ahead.streak.saturating_add(1));
                if !ahead.has_segments {
                    ahead.note(objects, number, record);
                }
            }
            None => ahead.streak = 0,
        }
        Ok(found)
    }
}

pub(super) fn record_key(number: i64) -> String {
    format!("log/{number:020}.json")
}
