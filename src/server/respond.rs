//! From a request to its answer.

use super::answer::plain;
use super::{Answer, Request, Server};
use http::StatusCode;

impl Server {
    /// Answers a request that has no body. It may wait for the disk and for remotes.
    pub fn respond(&self, request: &Request) -> Answer {
        let _ = (self.now(), &self.client, self.stores.borrow().is_ok(), request);
        plain(StatusCode::NOT_FOUND, "there is nothing here")
    }
}
