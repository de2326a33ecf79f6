//! Who fetches: a few threads for files and a few for METADATA, one fetch for any number of clients.
//!
//! A fetch goes on when its clients go away: others may wait, and the store wants the file. A file whose size is known is begun only
//! where the disk has room for it and for all others on their way.

use super::flow::{Brought, Feed, Status, Trouble};
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind};
use crate::fs;
use crate::manifest::RemoteId;
use crate::ops::{self, Context, Offer, Refusal, Told};
use crate::remote::{LazyClient, Moment};
use crate::server::counters::Count;
use crate::server::{Clock, stores};
use crate::store::Store;
use http::StatusCode;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many files are fetched at a time; more wait their turn.
const FILES: usize = 8;
/// METADATA is small: more of it at a time.
const SIDECARS: usize = 16;
/// So many bytes of the disk stay free: for imports, the manifest, and all else that lives there.
const SPARE_BYTES: u64 = 64 << 20;
/// So many fetches may wait for their turn.
const MAX_QUEUE: usize = 1024;

/// What is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Errand {
    File,
    Metadata,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    errand: Errand,
    remote: RemoteId,
    filename: String,
    sha256: Option<Sha256>,
}

/// All fetches of a server.
pub(in crate::server) struct Feeds(Arc<Pulls>);

struct Pulls {
    root: PathBuf,
    client: Arc<LazyClient>,
    clock: Clock,
    who: String,
    inner: Mutex<Inner>,
    ended: Condvar,
    pulled: Count,
}

#[derive(Default)]
struct Inner {
    feeds: HashMap<Key, Arc<Feed>>,
    lanes: [Lane; 2],
    is_closed: bool,
}

/// What waits for its turn, and how many threads are at work.
#[derive(Default)]
struct Lane {
    queue: VecDeque<(Key, Offer, Arc<Feed>)>,
    threads: usize,
}

impl Errand {
    fn threads(self) -> usize {
        match self {
            Self::File => FILES,
            Self::Metadata => SIDECARS,
        }
    }
}

impl Feeds {
    /// Takes what a fetch needs; nothing runs yet.
    pub(in crate::server) fn new(root: PathBuf, client: Arc<LazyClient>, clock: Clock, who: String) -> Self {
        let (inner, ended, pulled) = (Mutex::default(), Condvar::new(), Count::default());
        Self(Arc::new(Pulls { root, client, clock, who, inner, ended, pulled }))
    }

    /// Returns the fetch of a file, beginning it when there is none.
    pub(super) fn open(&self, errand: Errand, offer: Offer) -> Result<Arc<Feed>, Trouble> {
        self.0.open(errand, offer)
    }

    /// Returns how many files are being fetched or wait for their turn.
    pub(in crate::server) fn running(&self) -> usize {
        self.0.inner().feeds.keys().filter(|key| key.errand == Errand::File).count()
    }

    /// Returns how many files were fetched.
    pub(in crate::server) fn pulled(&self) -> &Count {
        &self.0.pulled
    }

    /// Begins no more fetches and waits until those that run have ended, or the time is up: what is staged then is cleared by the next
    /// session.
    pub(in crate::server) fn close(&self, limit: Duration) {
        let until = Instant::now().checked_add(limit);
        let mut inner = self.0.inner();
        inner.close();
        while inner.lanes.iter().any(|lane| lane.threads > 0) {
            let left = until.and_then(|until| until.checked_duration_since(Instant::now()));
            let Some(left) = left.filter(|left| !left.is_zero()) else { return };
            inner = self.0.ended.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Pulls {
    fn open(self: &Arc<Self>, errand: Errand, offer: Offer) -> Result<Arc<Feed>, Trouble> {
        let file = &offer.file;
        let (filename, sha256) = (file.name.as_str().to_owned(), file.sha256);
        let key = Key { errand, remote: offer.remote.id, filename, sha256 };
        let mut inner = self.inner();
        if let Some(feed) = inner.feeds.get(&key) {
            return Ok(feed.clone());
        }
        if inner.is_closed || inner.lanes[errand as usize].queue.len() >= MAX_QUEUE {
            return Err(Trouble::passing("the server has no time for this just now"));
        }
        let size = file.size.filter(|_| errand == Errand::File);
        inner.check_room(&self.root, size.unwrap_or(0))?;
        let feed = Arc::new(Feed::new(size));
        inner.feeds.insert(key.clone(), feed.clone());
        let lane = &mut inner.lanes[errand as usize];
        lane.queue.push_back((key.clone(), offer, feed.clone()));
        if lane.threads < errand.threads() {
            let own = self.clone();
            let spawned = std::thread::Builder::new().name("wcas-pull".to_owned()).spawn(move || own.work(errand));
            if spawned.is_ok() {
                lane.threads += 1;
            } else if lane.threads == 0 {
                // Without any thread nobody would take it from the queue.
                lane.queue.pop_back();
                inner.feeds.remove(&key);
                return Err(Trouble::passing("the server can start no more threads just now"));
            }
        }
        Ok(feed)
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        self.0.inner().close();
    }
}

impl Inner {
    fn close(&mut self) {
        self.is_closed = true;
        for lane in &mut self.lanes {
            for (key, _, feed) in lane.queue.drain(..) {
                feed.failed(Trouble::passing("the server is about to end"));
                self.feeds.remove(&key);
            }
        }
    }

    /// Makes sure that the disk has room for what is on its way, and for so many bytes more.
    fn check_room(&self, root: &std::path::Path, more: u64) -> Result<(), Trouble> {
        let promised = self.feeds.values().fold(more, |sum, feed| sum.saturating_add(feed.missing()));
        match fs::free_bytes(root) {
            Ok(free) if promised.saturating_add(SPARE_BYTES) > free && promised > 0 => {
                Err(Trouble::passing("the server's disk has no room for it"))
            }
            // Where nobody can tell, the disk itself will.
            _ => Ok(()),
        }
    }
}

impl Pulls {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until nothing waits.
    fn work(self: &Arc<Self>, errand: Errand) {
        let mut store = None;
        loop {
            let next = {
                let mut inner = self.inner();
                let lane = &mut inner.lanes[errand as usize];
                let next = lane.queue.pop_front();
                if next.is_none() {
                    lane.threads -= 1;
                    drop(inner);
                    self.ended.notify_all();
                }
                next
            };
            let Some((key, offer, feed)) = next else { return };
            let run = Run { pulls: self, key, feed };
            let is_sound =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.go(&offer, &mut store))).is_ok();
            if !is_sound {
                // A panic may have left a transaction open.
                store = None;
            }
        }
    }
}

/// One fetch; when it ends, however it does, nobody waits for it any more.
struct Run<'a> {
    pulls: &'a Arc<Pulls>,
    key: Key,
    feed: Arc<Feed>,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.feed.failed(Trouble::passing("the server failed to fetch it"));
        self.pulls.inner().feeds.remove(&self.key);
    }
}

impl Run<'_> {
    fn go(&self, offer: &Offer, store: &mut Option<Store>) {
        match self.fetch(offer, store) {
            Ok((size, brought)) => self.feed.done(size, brought),
            Err(trouble) => self.feed.failed(trouble),
        }
    }

    fn fetch(&self, offer: &Offer, store: &mut Option<Store>) -> Result<(u64, Brought), Trouble> {
        let store = match store {
            Some(store) => store,
            none => none.insert(stores::open(&self.pulls.root)?),
        };
        let context = Context {
            now: (self.pulls.clock)(),
            who: &self.pulls.who,
            jobs: 1,
            progress: &(),
            client: Some(&self.pulls.client),
        };
        if self.key.errand == Errand::File {
            let imported = ops::pull_through(store, &context, offer, &|moment| self.watch(offer, moment))?
                .map_err(|refusal| Trouble::with(offer, &refusal))?;
            self.pulls.pulled.add(1);
            return Ok((imported.size, Brought::File(imported.sha256)));
        }
        let told = ops::remote_metadata(store, &context, offer)?;
        match told.map_err(|refusal| Trouble::with(offer, &refusal))? {
            Told::Metadata(bytes) => Ok((0, Brought::Metadata(bytes.into()))),
            // As any client that asks for the file, and together with those.
            Told::WithFile => match self.pulls.open(Errand::File, offer.clone())?.wait_for_end() {
                Status::Done(brought) => Ok((0, brought)),
                Status::Failed(trouble) => Err(trouble),
                Status::Running => unreachable!("it has ended"),
            },
        }
    }

    fn watch(&self, offer: &Offer, moment: Moment<'_>) -> Result<(), String> {
        match moment {
            Moment::Began { file, size } => {
                self.feed.began(file.try_clone().map_err(|error| error.to_string())?, size);
                if offer.file.size.is_none() {
                    // Only now its size is known.
                    self.pulls.inner().check_room(&self.pulls.root, 0).map_err(|trouble| trouble.text)?;
                }
            }
            Moment::Grown(bytes) => self.feed.grown(bytes),
        }
        Ok(())
    }
}

impl Trouble {
    /// Trouble with a remote. What it said, where it is and what it gave is for the log.
    fn with(offer: &Offer, refusal: &Refusal) -> Self {
        let file = offer.file.name.as_str();
        let (status, text) = match refusal {
            Refusal::Failed(_) => (StatusCode::BAD_GATEWAY, format!("failed to give {file}")),
            // What is not to be had is not listed from now on.
            Refusal::Absent(_) => (StatusCode::NOT_FOUND, format!("lists {file} and does not have it")),
            Refusal::Unwanted(_) => (StatusCode::NOT_FOUND, format!("gave a {file} that is not taken")),
            Refusal::NoRoom(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, format!("has {file}, for which there is no room just now"))
            }
        };
        Self { status, text, remote: Some(offer.remote.name.clone()), cause: Some(refusal.to_string()) }
    }

    /// Trouble of the server's own that will pass.
    fn passing(text: &str) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, text: text.to_owned(), remote: None, cause: None }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let text = match error.kind() {
            ErrorKind::Busy => "the store is busy",
            _ if error.is_full() => "the server's disk is full",
            _ => "the store can't take it",
        };
        Self { cause: Some(ops::reason(&error)), ..Self::passing(text) }
    }
}
