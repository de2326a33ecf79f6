//! Files and their METADATA.

use super::answer::plain;
use super::endpoint::FileAddress;
use super::{Answer, Request, Server};
use http::StatusCode;

/// Answers with a file's bytes, or a part of them, or its METADATA.
pub(super) fn file(server: &Server, request: &Request, address: &FileAddress) -> Answer {
    let _ = (server, request, address);
    plain(StatusCode::NOT_FOUND, "there is nothing here")
}
