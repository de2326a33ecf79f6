//! Answers that wait for a remote: without a thread, until there is something to say.

use super::Request;
use super::endpoint::{CacheView, Endpoint, FileAddress};
use super::flow::{Feed, Status};
use crate::supply::Offer;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// So long a client waits for a remote's first bytes; the fetch goes on, for the client to come back.
const PATIENCE: Duration = Duration::from_secs(45);

/// So long a builder waits for all of a file: most wheels take longer to build than this.
const WHOLE_PATIENCE: Duration = Duration::from_secs(300);

/// An answer that waits for a remote.
pub struct Pending {
    pub(super) request: Request,
    pub(super) address: FileAddress,
    pub(super) offer: Offer,
    pub(super) feed: Arc<Feed>,
    /// For a builder nothing goes out before all has come; who else has it, should this remote give nothing good.
    pub(super) builder: Option<(CacheView, VecDeque<Offer>)>,
    /// Others who have the file, too.
    pub(super) others: VecDeque<Offer>,
    pub(super) started: Instant,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Pending {
    /// Tells whether the answer can be made.
    pub fn is_ready(&self) -> bool {
        if self.wants_end() { self.feed.status() != Status::Running } else { self.feed.is_ready() }
    }

    /// Tells whether the answer needs all that is fetched: a builder's does, and METADATA, which may be in the file alone.
    fn wants_end(&self) -> bool {
        self.builder.is_some() || self.address.is_metadata
    }

    fn patience(&self) -> Duration {
        if self.builder.is_some() { WHOLE_PATIENCE } else { PATIENCE }
    }

    /// Returns what says that something changed, and how long to wait for that at most.
    pub fn listen(&self) -> (watch::Receiver<()>, Duration) {
        (self.feed.listen(), self.patience().saturating_sub(self.started.elapsed()))
    }

    /// Waits until the answer can be made, or the time is up; for who has a thread to spare.
    pub fn wait(&self) {
        let until = self.started + self.patience();
        if self.wants_end() {
            self.feed.wait_for_end_until(until);
        } else {
            self.feed.wait(until);
        }
    }

    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// Returns what was asked for.
    pub(super) fn endpoint(&self) -> Endpoint {
        let address = self.address.clone();
        match &self.builder {
            Some((cache, _)) => Endpoint::CacheFile(cache.clone(), address),
            None => Endpoint::File(address),
        }
    }
}
