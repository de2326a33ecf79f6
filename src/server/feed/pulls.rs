//! Who fetches: a few threads for files and a few for METADATA, one fetch for any number of clients.
//!
//! A fetch goes on when its clients go away: others may wait, and the store wants the file. A file whose size is known is begun only
//! where the disk has room for it; room is taken as its bytes come.

use crate::context::Context;
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Actor, RemoteId};
use crate::name::CollectionName;
use crate::remote::{LazyClient, Moment};
use crate::server::counters::Count;
use crate::server::flow::{Feed, FlowEnd, Status, Trouble};
use crate::server::{Clock, stores};
use crate::store::Store;
use crate::supply::{KnownMetadata, Offer, Refusal};
use crate::{budget, fs};
use http::StatusCode;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many fetches may wait for their turn, of one remote half of them.
const MAX_QUEUE: u64 = 1024;

/// What is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PullTask {
    File,
    Metadata,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    errand: PullTask,
    remote: RemoteId,
    filename: String,
    sha256: Option<Sha256>,
    /// Who asks: one may have what another's guard refuses. The bytes are fetched once all the same: who comes second waits for the
    /// lock of the file, and finds them in the store if the first could have them.
    variant: CollectionName,
}

/// All fetches of a server.
pub(in crate::server) struct Feeds(Arc<Pulls>);

struct Pulls {
    root: PathBuf,
    client: Arc<LazyClient>,
    clock: Clock,
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

/// A fetch that waits for its turn.
type Waiting = (Key, Offer, Actor, Arc<Feed>);

/// What waits for its turn, and how many threads are at work.
#[derive(Default)]
struct Lane {
    /// With whoever asked first.
    queue: VecDeque<Waiting>,
    threads: u64,
    /// How many fetch from each remote.
    busy: HashMap<RemoteId, u64>,
}

impl Lane {
    /// Takes what waits longest of those whose remote has not its share of the threads.
    fn next(&mut self, threads: u64) -> Option<Waiting> {
        let used = self.busy.values().sum();
        let own = |remote| self.busy.get(&remote).copied().unwrap_or(0);
        let at = self.queue.iter().position(|(key, ..)| budget::is_fair(threads, used, own(key.remote)))?;
        let next = self.queue.remove(at)?;
        *self.busy.entry(next.0.remote).or_default() += 1;
        Some(next)
    }

    /// Tells whether a fetch from a remote may wait for its turn.
    fn has_place(&self, remote: RemoteId) -> bool {
        let own = self.queue.iter().filter(|(key, ..)| key.remote == remote).count();
        budget::is_fair(MAX_QUEUE, self.queue.len() as u64, own as u64)
    }

    /// Gives back a thread that fetched from a remote.
    fn ended(&mut self, remote: RemoteId) {
        if let Some(own) = self.busy.get_mut(&remote) {
            *own -= 1;
            if *own == 0 {
                self.busy.remove(&remote);
            }
        }
    }
}

impl PullTask {
    fn threads(self) -> u64 {
        match self {
            Self::File => budget::REMOTE_FILES.limit,
            Self::Metadata => budget::REMOTE_SIDECARS.limit,
        }
    }
}

impl Feeds {
    /// Takes what a fetch needs; nothing runs yet.
    pub(in crate::server) fn new(root: PathBuf, client: Arc<LazyClient>, clock: Clock) -> Self {
        let (inner, ended, pulled) = (Mutex::default(), Condvar::new(), Count::default());
        Self(Arc::new(Pulls { root, client, clock, inner, ended, pulled }))
    }

    /// Returns the fetch of a file, beginning it when there is none.
    pub(super) fn open(&self, errand: PullTask, offer: Offer, actor: Actor) -> Result<Arc<Feed>, Trouble> {
        self.0.open(errand, offer, actor)
    }

    /// Returns how many files are being fetched or wait for their turn.
    pub(in crate::server) fn running(&self) -> usize {
        self.0.inner().feeds.keys().filter(|key| key.errand == PullTask::File).count()
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
    fn open(self: &Arc<Self>, errand: PullTask, offer: Offer, actor: Actor) -> Result<Arc<Feed>, Trouble> {
        let file = &offer.file;
        let (filename, sha256) = (file.name.as_str().to_owned(), file.sha256);
        let variant = offer.variant.clone();
        let key = Key { errand, remote: offer.remote.id, filename, sha256, variant };
        let mut inner = self.inner();
        if let Some(feed) = inner.feeds.get(&key) {
            return Ok(feed.clone());
        }
        if inner.is_closed || !inner.lanes[errand as usize].has_place(key.remote) {
            return Err(Trouble::passing("the server has no time for this just now"));
        }
        let size = file.size.filter(|_| errand == PullTask::File);
        if size.is_some_and(|size| !fs::has_room(&self.root, size)) {
            let text = format!("the server's disk has no room for it ({})", budget::DISK_SPARE);
            return Err(Trouble::passing(&text));
        }
        let feed = Arc::new(Feed::new(size));
        inner.feeds.insert(key.clone(), feed.clone());
        let lane = &mut inner.lanes[errand as usize];
        lane.queue.push_back((key.clone(), offer, actor, feed.clone()));
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
            for (key, _, _, feed) in lane.queue.drain(..) {
                feed.failed(Trouble::passing("the server is about to end"));
                self.feeds.remove(&key);
            }
        }
    }
}

impl Pulls {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until nothing waits.
    fn work(self: &Arc<Self>, errand: PullTask) {
        let mut store = None;
        loop {
            let next = {
                let mut inner = self.inner();
                let lane = &mut inner.lanes[errand as usize];
                let next = lane.next(errand.threads());
                if next.is_none() {
                    lane.threads -= 1;
                    drop(inner);
                    self.ended.notify_all();
                }
                next
            };
            let Some((key, offer, actor, feed)) = next else { return };
            let remote = key.remote;
            let run = Run { pulls: self, key, actor, feed };
            let is_sound =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.go(&offer, &mut store))).is_ok();
            if !is_sound {
                // A panic may have left a transaction open.
                store = None;
            }
            self.inner().lanes[errand as usize].ended(remote);
        }
    }
}

/// One fetch; when it ends, however it does, nobody waits for it any more.
struct Run<'a> {
    pulls: &'a Arc<Pulls>,
    key: Key,
    actor: Actor,
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

    fn fetch(&self, offer: &Offer, store: &mut Option<Store>) -> Result<(u64, FlowEnd), Trouble> {
        let kept = stores::reopened(store, &self.pulls.root, &self.actor)?;
        let store = store.insert(kept);
        store.manifest.set_actor(self.actor.clone());
        let who = self.actor.to_string();
        let context =
            Context { now: (self.pulls.clock)(), who: &who, jobs: 1, progress: &(), client: Some(&self.pulls.client) };
        if self.key.errand == PullTask::File {
            let imported = crate::supply::pull_through(store, &context, offer, &|moment| self.watch(moment))?
                .map_err(|refusal| Trouble::with(offer, &refusal))?;
            self.pulls.pulled.add(1);
            return Ok((imported.size, FlowEnd::File(imported.sha256)));
        }
        let told = crate::supply::remote_metadata(store, &context, offer)?;
        match told.map_err(|refusal| Trouble::with(offer, &refusal))? {
            KnownMetadata::Metadata(bytes) => Ok((0, FlowEnd::Metadata(bytes.into()))),
            // As any client that asks for the file, and together with those.
            KnownMetadata::WithFile => {
                match self.pulls.open(PullTask::File, offer.clone(), self.actor.clone())?.wait_for_end() {
                    Status::Done(brought) => Ok((0, brought)),
                    Status::Failed(trouble) => Err(trouble),
                    Status::Running => unreachable!("it has ended"),
                }
            }
        }
    }

    fn watch(&self, moment: Moment<'_>) -> Result<(), String> {
        match moment {
            Moment::Began { file, size } => {
                self.feed.began(file.try_clone().map_err(|error| error.to_string())?, size);
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
            // No client waits for a status that is its own fault, or another's for good.
            Refusal::Denied(_) => (StatusCode::FAILED_DEPENDENCY, format!("refuses to give {file}")),
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
            _ if error.is_full() => "the server's disk is full, but for what stays free (budget disk-spare)",
            _ => "the store can't take it",
        };
        Self { cause: Some(crate::words::reason(&error)), ..Self::passing(text) }
    }
}
