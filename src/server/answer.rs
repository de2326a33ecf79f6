//! Answers as plain values: status, headers, and where the body's bytes are.

use super::conditional::{Representation, Verdict};
use super::flow::FeedReader;
use super::pending::Pending;
use crate::budget;
use crate::error::{Error, ErrorKind};
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED,
    RETRY_AFTER, SERVER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Response, StatusCode};
use std::fs::File;
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

/// An answer. A reason beside the standard one is in the extension [`Reason`].
pub type Answer = Response<Body>;

/// Where a body's bytes are.
#[derive(Debug)]
pub enum Body {
    /// In memory; other connections may share them.
    Bytes(Bytes),
    /// In a file, from one byte until before another.
    File(File, Range<u64>),
    /// In a file that is still coming from a remote.
    Feed(FeedReader),
    /// Not known yet: the answer waits for a remote, and is made by [`Server::resume`](super::Server::resume).
    Pending(Box<Pending>),
}

/// The reason phrase of an answer: twine shows no more than that.
#[derive(Debug, Clone)]
pub struct Reason(pub String);

/// The bytes behind a URL with a digest are the same forever.
pub(super) const FOREVER: &str = "max-age=31536000, immutable";

/// Makes an answer of a status and a text for people, which is the reason phrase, too.
pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Answer {
    let text = text.into();
    let mut answer = Response::new(Body::Bytes(Bytes::from(format!("{text}\n"))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer.extensions_mut().insert(Reason(text));
    answer
}

/// How many headers an answer has room for: those that it is made with, and those that every answer gets on its way out. A map that
/// grows does so by making all its entries anew.
pub(super) const USUAL_HEADERS: usize = 12;

/// Sets what every answer tells.
pub(super) fn sign(headers: &mut HeaderMap) {
    const SERVER_NAME: HeaderValue = HeaderValue::from_static(concat!("wcas/", env!("CARGO_PKG_VERSION")));
    headers.insert(SERVER, SERVER_NAME);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// Makes the answer that something can't be had just now: clients must not take it for absent.
pub(super) fn unavailable(text: impl Into<String>) -> Answer {
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, text);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

/// Why an answer failed, for the log: clients are told less, since paths of the server are none of their business.
#[derive(Debug, Clone)]
pub struct Cause(pub String);

/// Makes the answer that the store failed.
pub(super) fn failure(error: &Error) -> Answer {
    let mut answer = match error.kind() {
        ErrorKind::Busy => unavailable("the store is busy"),
        _ if error.is_full() => {
            let text = format!("the server's disk is full, but for what stays free ({})", budget::DISK_SPARE);
            plain(StatusCode::INSUFFICIENT_STORAGE, text)
        }
        _ => unavailable("the store can't be read"),
    };
    answer.extensions_mut().insert(Cause(crate::words::reason(error)));
    answer
}

/// Sets a header whose value is known to be one.
pub(super) fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("the server makes its own headers of visible ASCII");
    answer.headers_mut().insert(name, value);
}

/// Says of another header of the request that the answer depends on it.
pub(super) fn varies(answer: &mut Answer, name: &str) {
    let told = answer.headers().get(VARY).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if told.split(',').any(|own| own.trim().eq_ignore_ascii_case(name)) {
        return;
    }
    let value = if told.is_empty() { name.to_owned() } else { format!("{told}, {name}") };
    set(answer, VARY, &value);
}

/// Sets what all answers with a file or about one tell.
pub(super) fn describe(answer: &mut Answer, of: &Representation<'_>) {
    set(answer, ETAG, of.etag);
    set(answer, CACHE_CONTROL, FOREVER);
    // Before 1970 there were no wheels.
    if let Some(seconds) = of.modified.and_then(|modified| u64::try_from(modified).ok()) {
        set(answer, LAST_MODIFIED, &httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds)));
    }
    if of.size.is_some() {
        set(answer, ACCEPT_RANGES, "bytes");
    }
}

/// Makes the answer of a verdict that asks for no bytes.
pub(super) fn without_bytes(verdict: &Verdict, of: &Representation<'_>) -> Answer {
    match verdict {
        Verdict::Failed => plain(StatusCode::PRECONDITION_FAILED, "it is another than you expect"),
        Verdict::Unsatisfiable => {
            let mut answer = plain(StatusCode::RANGE_NOT_SATISFIABLE, "the file ends before that range");
            set(&mut answer, CONTENT_RANGE, &format!("bytes */{}", of.size.unwrap_or(0)));
            answer
        }
        _ => {
            let mut answer = Answer::new(Body::Bytes(Bytes::new()));
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            describe(&mut answer, of);
            answer
        }
    }
}
