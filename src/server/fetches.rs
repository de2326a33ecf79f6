//! Files that a shared store's bucket has and this node hasn't: fetched once for all who ask, and given while they come.
//!
//! A fetch goes on when its clients go away: the node keeps what it brings.

use super::flow::{Feed, FlowEnd, Status, Trouble};
use super::stores;
use crate::budget::SHARE_FILES;
use crate::digest::Blake3;
use crate::error::Result;
use crate::keep::health::bring;
use crate::manifest::Actor;
use http::StatusCode;
use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// All fetches of a server from its share.
#[derive(Debug)]
pub(super) struct Fetches(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    actor: Actor,
    running: Mutex<HashMap<Blake3, Arc<Feed>>>,
    ended: Condvar,
}

impl Fetches {
    pub(super) fn new(root: PathBuf, actor: Actor) -> Self {
        Self(Arc::new(Inner { root, actor, running: Mutex::default(), ended: Condvar::new() }))
    }

    /// Returns the fetch of a blob, beginning it when there is none; `None`: as many run as may, and who asks fetches it himself.
    pub(super) fn open(&self, blake3: Blake3, size: u64) -> Option<Arc<Feed>> {
        let mut running = self.0.running();
        // One that has just failed is about to go: who asks now asks again.
        if let Some(feed) = running.get(&blake3).filter(|feed| !matches!(feed.status(), Status::Failed(_))) {
            return Some(feed.clone());
        }
        if running.len() as u64 >= SHARE_FILES.limit {
            return None;
        }
        let feed = Arc::new(Feed::new(Some(size)));
        let run = Run { inner: self.0.clone(), blake3, size, feed: feed.clone() };
        std::thread::Builder::new().name("wcas-fetch".to_owned()).spawn(move || run.go()).ok()?;
        running.insert(blake3, feed.clone());
        Some(feed)
    }

    /// Waits until all that run have ended, or the time is up: what is staged then is cleared by the next session.
    pub(super) fn close(&self, limit: Duration) {
        let until = Instant::now().checked_add(limit);
        let mut running = self.0.running();
        while !running.is_empty() {
            let left = until.and_then(|until| until.checked_duration_since(Instant::now()));
            let Some(left) = left.filter(|left| !left.is_zero()) else { return };
            running = self.0.ended.wait_timeout(running, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Inner {
    fn running(&self) -> MutexGuard<'_, HashMap<Blake3, Arc<Feed>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One fetch; when it ends, however it does, nobody waits for it any more.
struct Run {
    inner: Arc<Inner>,
    blake3: Blake3,
    size: u64,
    feed: Arc<Feed>,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.feed.failed(trouble(None));
        let mut running = self.inner.running();
        // Another one may have begun meanwhile.
        if running.get(&self.blake3).is_some_and(|feed| Arc::ptr_eq(feed, &self.feed)) {
            running.remove(&self.blake3);
        }
        drop(running);
        self.inner.ended.notify_all();
    }
}

impl Run {
    fn go(&self) {
        match self.fetch() {
            Ok(Some(end)) => self.feed.done(self.size, end),
            Ok(None) => self.feed.failed(trouble(Some("the share hasn't got it".to_owned()))),
            Err(error) => self.feed.failed(trouble(Some(crate::words::reason(&error)))),
        }
    }

    fn fetch(&self) -> Result<Option<FlowEnd>> {
        let store = stores::open(&self.inner.root, &self.inner.actor)?;
        let is_begun = Cell::new(false);
        let watch = |file: &File, there: u64| {
            // Whoever can't read it while it comes reads it afterwards.
            if !is_begun.get()
                && let Ok(file) = file.try_clone()
            {
                self.feed.began(file, Some(self.size));
                is_begun.set(true);
            }
            self.feed.grown(there);
        };
        let Some((file, sha256)) = bring(&store, &self.blake3, &watch)? else { return Ok(None) };
        if !is_begun.get() {
            // Somebody else was at it.
            self.feed.began(file, Some(self.size));
        }
        Ok(Some(FlowEnd::File(sha256)))
    }
}

/// Clients are told little: where the share is, and what it said, is for the log.
fn trouble(cause: Option<String>) -> Trouble {
    let text = "the bytes can't be fetched just now".to_owned();
    Trouble { status: StatusCode::SERVICE_UNAVAILABLE, text, remote: None, cause }
}
