//! The questions to remotes that are on their way: each is put once, a remote has its share of who waits, a slow one is left alone
//! by those who have little time.

use super::Recall;
use crate::budget;
use crate::manifest::RemoteId;
use crate::name::ProjectName;
use crate::supply::patience::FAILED_SECONDS;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How remotes are asked.
#[derive(Debug, Clone, Copy)]
pub enum Asking<'a> {
    /// Not at all, as if there were none.
    Never,
    /// What they said before counts, however old; they are not asked.
    Remembered(&'a Recall),
    /// They are asked where what they said is too old, each for a project by one thread at a time.
    Fresh(&'a Flights),
    /// The same until a time; who hasn't answered by then, or can't, is passed over.
    Brief {
        /// The questions on their way.
        flights: &'a Flights,
        /// When to go on without an answer.
        until: Instant,
    },
}

/// The questions that are on their way, so that many who want one page ask once.
#[derive(Debug, Default)]
pub struct Flights {
    running: Mutex<HashSet<(RemoteId, ProjectName)>>,
    /// How many threads ask each remote, or wait for what it says.
    waiting: Mutex<HashMap<RemoteId, u64>>,
    landed: Condvar,
    /// The remotes that took too long for who had little time, and since when.
    slow: Mutex<HashMap<RemoteId, Instant>>,
}

/// How long a remote that was too slow is left alone by those who have little time.
const SLOW: Duration = Duration::from_secs(FAILED_SECONDS.unsigned_abs());
/// What is waited for without an end is looked at so often.
const LONG: Duration = Duration::from_secs(60);

/// Whether to ask.
pub(super) enum Start<'a> {
    /// It is for this thread to ask.
    Own(Flight<'a>),
    /// Somebody else asked meanwhile, and may have the answer.
    Landed,
    /// Somebody else is asking still.
    Late,
}

/// A place among those who wait for remotes.
pub(super) struct Wait<'a> {
    flights: &'a Flights,
    remote: RemoteId,
}

/// A question that this thread asks.
pub(super) struct Flight<'a> {
    flights: &'a Flights,
    key: (RemoteId, ProjectName),
}

impl Asking<'_> {
    /// Tells whether remotes count.
    pub(super) fn has_remotes(&self) -> bool {
        !matches!(self, Self::Never)
    }
}

impl Flights {
    /// Takes the right to ask, unless somebody else is asking: then waits for what that brings, until a time.
    pub(super) fn start(&self, remote: RemoteId, project: &ProjectName, until: Option<Instant>) -> Start<'_> {
        let key = (remote, project.clone());
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.insert(key.clone()) {
            return Start::Own(Flight { flights: self, key });
        }
        while running.contains(&key) {
            let left = until.map_or(LONG, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Start::Late;
            }
            running = self.landed.wait_timeout(running, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Start::Landed
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<RemoteId, u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place among those who wait for a remote; none, where it has its share of them.
    pub(super) fn wait(&self, remote: RemoteId) -> Option<Wait<'_>> {
        let mut waiting = self.waiting();
        let own = waiting.get(&remote).copied().unwrap_or(0);
        if !budget::is_fair(budget::REMOTE_WAITS.limit, waiting.values().sum(), own) {
            return None;
        }
        waiting.insert(remote, own + 1);
        Some(Wait { flights: self, remote })
    }

    pub(super) fn slow(&self) -> MutexGuard<'_, HashMap<RemoteId, Instant>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether a remote was too slow a moment ago.
    pub(super) fn is_slow(&self, remote: RemoteId) -> bool {
        self.slow().get(&remote).is_some_and(|since| since.elapsed() < SLOW)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waiting = self.flights.waiting();
        if let Entry::Occupied(mut own) = waiting.entry(self.remote) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.flights.landed.notify_all();
    }
}
