//! What the server counts: in memory, and what lasts beyond the process goes into the manifest every few seconds.
//!
//! Nothing here waits on the way of an answer. A hit is a file that was given, of the collection that has it; a miss is a page or a
//! file that a view was asked for and has not.

use super::Server;
use super::downloads::Downloads;
use super::endpoint::Endpoint;
use crate::manifest::{BlobId, Downloaded, Outcome, TokenId, Transaction};
use crate::name::{CollectionName, ProjectName};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// So often, in seconds, counts go into the manifest.
const FLUSH_SECONDS: i64 = 5;
/// How long the flush waits for another process's transaction; the next one has the counts, too.
const FLUSH_WAIT: Duration = Duration::from_millis(500);
/// The upper ends of the buckets of durations, in microseconds.
pub(super) const BUCKETS: [u64; 8] = [100, 1_000, 5_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000];

/// A count that only grows, or a number of things that there are now.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, number: u64) {
        self.0.fetch_add(number, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn take(&self) -> u64 {
        self.0.swap(0, Relaxed)
    }
}

/// What is asked for, as far as counts tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    Root,
    Project,
    File,
    Metadata,
    CachePage,
    CacheFile,
    Variants,
    Upload,
    Exchange,
    People,
    Probe,
    PathRefusal,
}

impl RequestKind {
    pub(super) const ALL: [Self; 12] = [
        Self::Root,
        Self::Project,
        Self::File,
        Self::Metadata,
        Self::CachePage,
        Self::CacheFile,
        Self::Variants,
        Self::Upload,
        Self::Exchange,
        Self::People,
        Self::Probe,
        Self::PathRefusal,
    ];

    /// Tells what an endpoint counts as.
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Root(_) | Endpoint::Revision(..) => Self::Root,
            Endpoint::Project(..) | Endpoint::Mirror(..) => Self::Project,
            Endpoint::File(address) if address.is_metadata => Self::Metadata,
            Endpoint::File(_) => Self::File,
            Endpoint::CacheRoot(_) | Endpoint::CacheProject(..) => Self::CachePage,
            Endpoint::CacheFile(..) => Self::CacheFile,
            Endpoint::Variants(..) => Self::Variants,
            Endpoint::Legacy(_) => Self::Upload,
            Endpoint::Home
            | Endpoint::Collection(_)
            | Endpoint::ProjectPage(..)
            | Endpoint::FilePage(..)
            | Endpoint::Asset(_)
            | Endpoint::Changes(_)
            | Endpoint::Section(_)
            | Endpoint::Account(_)
            | Endpoint::Action(..) => Self::People,
            Endpoint::Health | Endpoint::Metrics => Self::Probe,
            Endpoint::Audience | Endpoint::MintToken | Endpoint::BurnToken => Self::Exchange,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Project => "project",
            Self::File => "file",
            Self::Metadata => "metadata",
            Self::CachePage => "cache_page",
            Self::CacheFile => "cache_file",
            Self::Variants => "variants",
            Self::Upload => "upload",
            Self::Exchange => "exchange",
            Self::People => "people",
            Self::Probe => "probe",
            Self::PathRefusal => "none",
        }
    }
}

/// Hits and misses of a collection or variant, and of the remote that the files came from.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) hits: Count,
    pub(super) misses: Count,
    /// Those of them that the manifest has not.
    new_hits: Count,
    new_misses: Count,
}

impl Tally {
    pub(super) fn hit(&self) {
        self.hits.add(1);
        self.new_hits.add(1);
    }

    pub(super) fn miss(&self) {
        self.misses.add(1);
        self.new_misses.add(1);
    }
}

/// A collection's or variant's name, and a remote's; empty: the store itself.
pub(super) type TallyName = (String, String);

/// What a builder asked for in vain: a collection or variant, and a project.
type MissKey = (CollectionName, ProjectName);
/// So many of them wait for the manifest at a time: anybody may ask for any name.
const MAX_WANTS: usize = 10_000;

/// All counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Answers by what was asked for and by class of status: 1xx to 5xx.
    answers: [[Count; 5]; RequestKind::ALL.len()],
    /// Answers by how long they took to make; the last one: longer than all buckets.
    pub(super) durations: [Count; BUCKETS.len() + 1],
    /// How long they took together, in microseconds.
    pub(super) spent_micros: Count,
    /// Bytes of bodies that went out.
    pub(super) sent_bytes: Count,
    /// Answers that are being made.
    in_flight: AtomicI64,
    /// Files that were taken.
    pub(super) uploads: Count,
    /// Pages that were in the cache.
    pub(super) cached_pages: Count,
    /// Pages that had to be made.
    pub(super) made_pages: Count,
    /// Files that could not be given since their bytes were missing or wrong.
    pub(super) bad_blobs: Count,
    /// Files that clients were told to fetch from the bucket.
    pub(super) redirects: Count,
    pub(super) direct_uploads: Count,
    /// Files that were given.
    pub(super) downloads: Downloads,
    tallies: RwLock<HashMap<TallyName, Arc<Tally>>>,
    used: Mutex<Vec<BlobId>>,
    used_tokens: Mutex<Vec<(TokenId, i64, IpAddr)>>,
    wants: Mutex<HashMap<MissKey, u64>>,
    flushed_at: AtomicI64,
    is_flushing: AtomicBool,
}

/// An answer that is being made.
#[derive(Debug)]
#[must_use = "the answer is being made as long as the value lives"]
pub(super) struct InFlight<'a>(&'a Counters);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Counters {
    /// Counts an answer as being made, until the value is dropped.
    pub(super) fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self)
    }

    /// Returns how many answers are being made.
    pub(super) fn in_flight(&self) -> i64 {
        self.in_flight.load(Relaxed)
    }

    /// Counts an answer.
    pub(super) fn answered(&self, asked: RequestKind, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.answers[asked as usize][class].add(1);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.durations[BUCKETS.partition_point(|end| *end < micros)].add(1);
        self.spent_micros.add(micros);
    }

    /// Returns how many answers there were, by class of status.
    pub(super) fn answers(&self, asked: RequestKind) -> [u64; 5] {
        self.answers[asked as usize].each_ref().map(Count::get)
    }

    /// Returns the hits and misses of a name that there is: who asks for others must not fill the memory.
    pub(super) fn tally(&self, collection: &str, remote: &str) -> Arc<Tally> {
        let name = (collection.to_owned(), remote.to_owned());
        if let Some(tally) = self.tallies.read().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Arc::clone(tally);
        }
        let mut tallies = self.tallies.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tallies.entry(name).or_default())
    }

    /// Returns all hits and misses, by name.
    pub(super) fn tallies(&self) -> Vec<(TallyName, Arc<Tally>)> {
        let tallies = self.tallies.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = tallies.iter().map(|(name, tally)| (name.clone(), Arc::clone(tally))).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Remembers that a blob was given.
    pub(super) fn used(&self, blob: BlobId) {
        self.used_blobs().push(blob);
    }

    /// Remembers that a token was used.
    pub(super) fn token_used(&self, token: TokenId, at: i64, from: IpAddr) {
        self.tokens_used().push((token, at, from));
    }

    /// Counts a project that a builder asked for in vain.
    pub(super) fn wanted(&self, variant: &CollectionName, project: &ProjectName) {
        let mut wants = self.wants();
        if wants.len() < MAX_WANTS {
            *wants.entry((variant.clone(), project.clone())).or_default() += 1;
        }
    }

    fn wants(&self) -> MutexGuard<'_, HashMap<MissKey, u64>> {
        self.wants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tokens_used(&self) -> MutexGuard<'_, Vec<(TokenId, i64, IpAddr)>> {
        self.used_tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used_blobs(&self) -> MutexGuard<'_, Vec<BlobId>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the manifest doesn't have yet.
    fn take_unsaved(&self) -> Unsaved {
        let taken = |(name, tally): (TallyName, Arc<Tally>)| {
            let (hits, misses) = (tally.new_hits.take(), tally.new_misses.take());
            (name, tally, hits, misses)
        };
        let counts = self.tallies().into_iter().map(taken).filter(|(_, _, hits, misses)| hits + misses > 0);
        Unsaved {
            counts: counts.collect(),
            used: std::mem::take(&mut *self.used_blobs()),
            tokens: std::mem::take(&mut *self.tokens_used()),
            wants: std::mem::take(&mut *self.wants()),
            downloads: self.downloads.take(),
        }
    }
}

/// Counts on their way into the manifest.
struct Unsaved {
    counts: Vec<(TallyName, Arc<Tally>, u64, u64)>,
    used: Vec<BlobId>,
    tokens: Vec<(TokenId, i64, IpAddr)>,
    wants: HashMap<MissKey, u64>,
    downloads: Vec<Downloaded>,
}

impl Unsaved {
    fn is_empty(&self) -> bool {
        let (is_counted, is_used) = (!self.counts.is_empty(), !(self.used.is_empty() && self.tokens.is_empty()));
        !is_counted && !is_used && self.wants.is_empty() && self.downloads.is_empty()
    }

    fn save(&self, transaction: &Transaction<'_>, now: i64) -> crate::manifest::Result<()> {
        for blob in &self.used {
            transaction.set_used(*blob, now)?;
        }
        for (token, at, from) in &self.tokens {
            transaction.set_token_used(*token, *at, &from.to_string())?;
        }
        for ((variant, project), count) in &self.wants {
            transaction.add_want(variant, project, *count, now)?;
        }
        let variants: HashSet<&CollectionName> = self.wants.keys().map(|(variant, _)| variant).collect();
        variants.into_iter().try_for_each(|variant| transaction.trim_wants(variant))?;
        self.downloads.iter().try_for_each(|own| transaction.add_downloads(now, own))?;
        for ((collection, remote), _, hits, misses) in &self.counts {
            for (outcome, count) in [(Outcome::Hit, *hits), (Outcome::Miss, *misses)] {
                if count > 0 {
                    transaction.add_count(now, collection, remote, outcome, count)?;
                }
            }
        }
        Ok(())
    }

    /// Leaves them for the next time.
    fn give_back(self, counters: &Counters) {
        for (_, tally, hits, misses) in self.counts {
            tally.new_hits.add(hits);
            tally.new_misses.add(misses);
        }
        counters.used_blobs().extend(self.used);
        counters.tokens_used().extend(self.tokens);
        counters.downloads.give_back(self.downloads);
        let mut wants = counters.wants();
        self.wants.into_iter().for_each(|(wanted, count)| *wants.entry(wanted).or_default() += count);
    }
}

impl Server {
    /// Puts counts into the manifest, if it is time to; one thread does, and the others go on.
    pub fn tick(&self) {
        let (counters, now) = (&self.counters, self.now());
        let last = counters.flushed_at.load(Relaxed);
        // A clock that was set back must not stop the counting.
        if (0..FLUSH_SECONDS).contains(&(now - last)) || counters.is_flushing.swap(true, Relaxed) {
            return;
        }
        self.flush(now);
        counters.flushed_at.store(now, Relaxed);
        counters.is_flushing.store(false, Relaxed);
    }

    /// Puts all counts into the manifest: no more requests are to come.
    pub fn close(&self) {
        self.flush(self.now());
    }

    fn flush(&self, now: i64) {
        let unsaved = self.counters.take_unsaved();
        if unsaved.is_empty() {
            return;
        }
        let saved = self.stores.borrow().ok().and_then(|store| {
            if !store.is_writable() {
                // There is no place for them, now or later.
                return Some(());
            }
            store.manifest.set_wait(FLUSH_WAIT).ok()?;
            let saved = store.manifest.write_relaxed(|transaction| unsaved.save(transaction, now)).ok();
            store.manifest.set_wait(crate::fs::lock_wait()).ok()?;
            saved
        });
        if saved.is_none() {
            unsaved.give_back(&self.counters);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_counted_by_what_was_asked_its_status_and_its_duration() {
        let counters = Counters::default();
        counters.answered(RequestKind::File, 206, Duration::from_micros(100));
        counters.answered(RequestKind::File, 404, Duration::from_micros(101));
        counters.answered(RequestKind::PathRefusal, 599, Duration::from_secs(3600));
        assert_eq!(counters.answers(RequestKind::File), [0, 1, 0, 1, 0]);
        assert_eq!(counters.answers(RequestKind::PathRefusal), [0, 0, 0, 0, 1]);
        assert_eq!(counters.answers(RequestKind::Root), [0; 5]);
        assert_eq!(counters.durations.each_ref().map(Count::get), [1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(counters.spent_micros.get(), 3_600_000_201);
        for (place, asked) in RequestKind::ALL.into_iter().enumerate() {
            assert_eq!(asked as usize, place, "{}", asked.label());
        }
    }

    #[test]
    fn an_answer_is_in_flight_until_it_is_made() {
        let counters = Counters::default();
        let (one, two) = (counters.begin(), counters.begin());
        assert_eq!(counters.in_flight(), 2);
        drop((one, two));
        assert_eq!(counters.in_flight(), 0);
    }

    #[test]
    fn what_could_not_be_saved_is_left_for_the_next_time() {
        let counters = Counters::default();
        counters.tally("cuda", "").hit();
        counters.tally("cuda", "").miss();
        counters.used(BlobId::for_test(7));
        let unsaved = counters.take_unsaved();
        assert!(counters.take_unsaved().is_empty());
        counters.tally("cuda", "").hit();
        unsaved.give_back(&counters);
        let again = counters.take_unsaved();
        assert_eq!(again.counts.iter().map(|(_, _, hits, misses)| (*hits, *misses)).collect::<Vec<_>>(), [(2, 1)]);
        assert_eq!(again.used, [BlobId::for_test(7)]);
        assert_eq!(counters.tally("cuda", "").hits.get(), 2, "what the probe tells only grows");
    }
}
