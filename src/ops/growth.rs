//! How a store came to its size, and which collections share how much of it.
//!
//! No sizes are recorded: what is told of earlier days follows from when entries came and went. What gc has forgotten since is not in it.

use crate::error::Result;
use crate::manifest::Rows;
use crate::name::CollectionName;
use crate::store::Store;
use std::collections::BTreeMap;

const DAY_SECONDS: i64 = 86_400;

/// What the store held at the end of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeldAt {
    /// Days since 1970.
    pub day: i64,
    /// The bytes of blobs that a collection had.
    pub kept: u64,
    /// The bytes that sharing saved.
    pub saved: u64,
    /// The bytes of blobs that no collection had any longer, and that are there still.
    pub removed: u64,
}

/// How a store came to its size.
#[derive(Debug, Clone, Default)]
pub struct Growth {
    /// The days, oldest first.
    pub days: Vec<HeldAt>,
    /// The bytes that two collections both have; of a collection with itself, what it has. The names are in order.
    pub shared: BTreeMap<(CollectionName, CollectionName), u64>,
}

/// Counts, for so many days until now.
pub fn growth(store: &Store, now: i64, days: i64) -> Result<Growth> {
    let rows = store.manifest.read()?;
    let today = now.div_euclid(DAY_SECONDS);
    let mut tally = Tally::new(today - days + 1, days);
    rows.each_span(|span| tally.take(span.blob, span.size, span.from, span.until))?;
    Ok(Growth { days: tally.end(), shared: shared(&rows)? })
}

fn shared(rows: &Rows) -> Result<BTreeMap<(CollectionName, CollectionName), u64>> {
    let names: BTreeMap<_, _> = rows.collections()?.into_iter().map(|row| (row.id, row.name)).collect();
    let mut shared = BTreeMap::new();
    for set in rows.shared_sets()? {
        let mut names: Vec<&CollectionName> = set.collections.iter().filter_map(|id| names.get(id)).collect();
        names.sort_unstable();
        for (place, one) in names.iter().enumerate() {
            for other in &names[place..] {
                *shared.entry(((*one).clone(), (*other).clone())).or_default() += set.bytes;
            }
        }
    }
    Ok(shared)
}

/// What comes and goes by day; what came before the first day is there on it.
struct Tally<B> {
    first: i64,
    /// By day: what comes to be kept, counted once for each collection; once for each blob; and what is there at all.
    all: Vec<i128>,
    once: Vec<i128>,
    there: Vec<i128>,
    blob: Option<(B, u64)>,
    spans: Vec<(i64, i64)>,
}

impl<B: Copy + PartialEq> Tally<B> {
    fn new(first: i64, days: i64) -> Self {
        let none = vec![0; usize::try_from(days).unwrap_or(0)];
        Self { first, all: none.clone(), once: none.clone(), there: none, blob: None, spans: Vec::new() }
    }

    /// Takes a time in which a collection had a blob; those of one blob come one after the other.
    fn take(&mut self, blob: B, size: u64, from: i64, until: Option<i64>) {
        if self.blob.is_some_and(|(known, _)| known != blob) {
            self.end_blob();
        }
        self.blob = Some((blob, size));
        let days = (self.day(from), until.map_or(i64::MAX, |until| self.day(until)));
        add(&mut self.all, days, size);
        self.spans.push(days);
    }

    /// Returns a day's place, from 0.
    fn day(&self, at: i64) -> i64 {
        (at.div_euclid(DAY_SECONDS) - self.first).max(0)
    }

    fn end_blob(&mut self) {
        let Some((_, size)) = self.blob.take() else { return };
        let mut spans = std::mem::take(&mut self.spans);
        spans.sort_unstable();
        if let Some((first, _)) = spans.first() {
            add(&mut self.there, (*first, i64::MAX), size);
        }
        let mut covered = i64::MIN;
        for (from, until) in spans {
            add(&mut self.once, (from.max(covered), until), size);
            covered = covered.max(until);
        }
    }

    fn end(mut self) -> Vec<HeldAt> {
        self.end_blob();
        let sum = |deltas: &[i128]| {
            let sums = deltas.iter().scan(0, |sum, delta| {
                *sum += delta;
                Some(u64::try_from(*sum).unwrap_or(0))
            });
            sums.collect::<Vec<u64>>()
        };
        let (all, once, there) = (sum(&self.all), sum(&self.once), sum(&self.there));
        let day = |((day, all), (once, there)): ((i64, u64), (u64, u64))| HeldAt {
            day,
            kept: once,
            saved: all.saturating_sub(once),
            removed: there.saturating_sub(once),
        };
        (self.first..).zip(all).zip(once.into_iter().zip(there)).map(day).collect()
    }
}

/// Adds a size from a day until before another.
fn add(deltas: &mut [i128], (from, until): (i64, i64), size: u64) {
    if from >= until {
        return;
    }
    let mut put = |day: i64, size: i128| {
        if let Some(delta) = usize::try_from(day).ok().and_then(|day| deltas.get_mut(day)) {
            *delta += size;
        }
    };
    put(from, size.into());
    put(until, -i128::from(size));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_from_when_entries_came_and_went() {
        let mut tally = Tally::new(100, 5);
        let at = |day: i64| day * DAY_SECONDS + 5;
        for (blob, size, from, until) in [
            ("one", 10, at(90), None),
            ("one", 10, at(102), None),
            ("other", 7, at(101), Some(at(103))),
            // It came and went on one day.
            ("other", 7, at(102), Some(at(102))),
        ] {
            tally.take(blob, size, from, until);
        }
        let held = |day, kept, saved, removed| HeldAt { day, kept, saved, removed };
        let before = [held(100, 10, 0, 0), held(101, 17, 0, 0), held(102, 17, 10, 0)];
        let after = [held(103, 10, 10, 7), held(104, 10, 10, 7)];
        assert_eq!(tally.end(), [&before[..], &after].concat());
    }
}
