//! Whether the log goes on from where this replica is: it may be another log, have been put back, or have gone on for so long without this
//! node that records which it lacks were pruned.

use super::super::{Error, Link, Manifest, Result, Rows, START, Transaction};
use super::Replica;
use crate::digest::Sha256;
use std::time::{Duration, Instant};

/// The key in `here` of when the log was last seen to go on from here.
pub(super) const KNOWN: &str = "shared_log_known";
/// So many seconds that is believed. No record is pruned that is younger than [`KEPT_SECONDS`], so none that this replica lacks is.
const KNOWN_SECONDS: i64 = 43_200;
/// The same by a clock that nobody sets, for a process that runs for long.
const LATELY: Duration = Duration::from_secs(KNOWN_SECONDS.unsigned_abs());
/// Records that are younger are never pruned, in seconds: twice as long, since clocks differ.
pub const KEPT_SECONDS: i64 = 2 * KNOWN_SECONDS;

impl Manifest {
    /// Makes sure, where that wasn't done for long, that the log has no more than what is here.
    pub(super) fn require_end(&self) -> Result<()> {
        if self.was_known_at(self.clock()?)? {
            return Ok(());
        }
        self.require_known()?;
        // Who can't note it looks again the next time.
        let _ = self.begin("BEGIN IMMEDIATE").and_then(|transaction| {
            transaction.note_known()?;
            transaction.commit_here()
        });
        Ok(())
    }
}

impl Rows {
    fn was_known_at(&self, now: i64) -> Result<bool> {
        let known: Option<i64> = self.here(KNOWN)?.and_then(|at| at.parse().ok());
        Ok(known.is_some_and(|known| is_lately(known, now)))
    }

    /// Makes sure that the log has the record that this replica stands on: once for each handle, and again after a while.
    pub(super) fn require_known(&self) -> Result<()> {
        let Some(replica) = &self.replica else { return Ok(()) };
        let is_known = replica.known_at.get().is_some_and(|at| at.elapsed() < LATELY);
        if !(is_known && self.was_known_at(self.clock()?)?) {
            replica.require(self.place()?)?;
            replica.known_at.set(Some(Instant::now()));
        }
        Ok(())
    }
}

impl Transaction<'_> {
    /// Notes that the log goes on from here.
    pub(super) fn note_known(&self) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM here WHERE key = ?1")?.execute([super::AWAY_AT])?;
        self.set_here(KNOWN, &self.clock()?.to_string())
    }

    /// Makes sure that what was appended stands on a record: a process that was stopped on the way for long may have put it where records
    /// were pruned, and nobody is told that it counts.
    pub(super) fn require_in_time(&self, replica: &Replica, began: (Instant, i64), before: Link) -> Result<()> {
        let is_in_time = began.0.elapsed() < LATELY && is_lately(began.1, self.clock()?);
        if is_in_time { Ok(()) } else { replica.require(before) }
    }
}

fn is_lately(at: i64, now: i64) -> bool {
    (0..KNOWN_SECONDS).contains(&now.saturating_sub(at))
}

impl Replica {
    fn require(&self, place: Link) -> Result<()> {
        // The first record comes while one asks, and never again.
        let newest = if place == START { self.log.newest().map_err(Error::Log)? } else { None };
        let found = match place.number {
            0 if newest.is_none() => return Ok(()),
            0 => self.read(1)?.map(|_| START.digest),
            number => self.read(number)?.map(|record| Sha256::of(&record)),
        };
        if found == Some(place.digest) {
            return Ok(());
        }
        let newest = if newest.is_none() { self.log.newest().map_err(Error::Log)? } else { newest };
        if found.is_some() || newest.is_none_or(|newest| newest <= place.number) {
            return Err(Error::Diverged(place.number));
        }
        // It was pruned. Who knew another one has another past, and maybe files that nobody else has.
        let is_same = place == START || self.log.kept_digest(place.number).map_err(Error::Log)? == Some(place.digest);
        Err(if is_same { Error::TooFarBehind(place.number) } else { Error::Diverged(place.number) })
    }
}
