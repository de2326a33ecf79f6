//! What takes long to count, counted once for all who ask: what the store holds, how it grew, how it is.

use super::Server;
use super::bounded_cache::BoundedCache;
use crate::error::Result;
use crate::name::CollectionName;
use crate::ops::activity::{Activity, activity as happened};
use crate::ops::growth::{Growth, growth as grow};
use crate::ops::panel::{Panel, panel as look};
use crate::ops::stats::StatsReport;
use std::sync::{Arc, Mutex, PoisonError};

/// What is counted row by row is taken to hold so long, in seconds, while no collection changes.
const SECONDS: i64 = 60;
/// Programs that watch the server ask often: what they are told is at most so old, in seconds, whatever changes.
const WATCHED_SECONDS: i64 = 600;
/// So many days of growth are told.
pub(super) const DAYS: i64 = 90;

/// What was counted, when, and at which stamp.
type Counted<T> = Mutex<Option<(i64, u64, Arc<T>)>>;

/// The changes of one collection or of all, before an operation.
type ActivityKey = (Option<CollectionName>, Option<i64>);
/// So many pages of history are remembered.
const PAGES: usize = 64;
/// So many operations are on a page of history, or in a feed.
const OPERATIONS: u32 = 50;

/// What was counted.
#[derive(Debug)]
pub(super) struct Measured {
    stats: Counted<StatsReport>,
    growth: Counted<Growth>,
    panel: Counted<Panel>,
    /// With the version of the manifest.
    activity: BoundedCache<ActivityKey, (i64, Arc<Activity>)>,
    turn: Mutex<()>,
}

impl Default for Measured {
    fn default() -> Self {
        let (stats, growth, panel, turn) = Default::default();
        Self { stats, growth, panel, activity: BoundedCache::of_things(PAGES), turn }
    }
}

/// Returns what happened lately: to a collection or to all, before an operation or until now.
pub(super) fn activity(server: &Server, only: Option<&CollectionName>, before: Option<i64>) -> Result<Arc<Activity>> {
    // Each page walks all entries, and anybody may ask for any: one at a time.
    let _turn = server.measured.turn.lock().unwrap_or_else(PoisonError::into_inner);
    let (version, key) = (server.stores.version()?, (only.cloned(), before));
    if let Some((_, known)) = server.measured.activity.get(&key).filter(|(of, _)| *of == version) {
        return Ok(known);
    }
    let found = Arc::new(happened(&*server.stores.borrow()?, only, before, OPERATIONS)?);
    server.measured.activity.insert(key, (version, found.clone()));
    Ok(found)
}

/// Returns what the store holds, at a stamp of its collections.
pub(super) fn stats(server: &Server, stamp: u64) -> Result<Arc<StatsReport>> {
    let make = || crate::ops::stats::stats(&*server.stores.borrow()?, server.now());
    counted(&server.measured.stats, server.now(), Some(stamp), make)
}

/// Returns how the store came to its size; without a stamp as it was lately.
pub(super) fn growth(server: &Server, stamp: Option<u64>) -> Result<Arc<Growth>> {
    counted(&server.measured.growth, server.now(), stamp, || grow(&*server.stores.borrow()?, server.now(), DAYS))
}

/// Returns how the store is; without a stamp as it was lately.
pub(super) fn panel(server: &Server, stamp: Option<u64>) -> Result<Arc<Panel>> {
    counted(&server.measured.panel, server.now(), stamp, || look(&*server.stores.borrow()?, server.now()))
}

fn counted<T>(known: &Counted<T>, now: i64, stamp: Option<u64>, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
    // One at a time counts; who comes meanwhile gets what it found.
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, of, found)) = &*known {
        let lasts = if stamp.is_some() { SECONDS } else { WATCHED_SECONDS };
        if stamp.is_none_or(|stamp| stamp == *of) && (0..lasts).contains(&(now - at)) {
            return Ok(found.clone());
        }
    }
    let found = Arc::new(make()?);
    *known = Some((now, stamp.unwrap_or(0), found.clone()));
    Ok(found)
}
