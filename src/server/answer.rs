//! Answers as plain values: status, headers, and where the body's bytes are.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use std::fs::File;
use std::ops::Range;

/// An answer. A reason beside the standard one is in the extension [`Reason`].
pub type Answer = Response<Body>;

/// Where a body's bytes are.
#[derive(Debug)]
pub enum Body {
    /// In memory; other connections may share them.
    Bytes(Bytes),
    /// In a file, from one byte until before another.
    File(File, Range<u64>),
}

/// The reason phrase of an answer: twine shows no more than that.
#[derive(Debug, Clone)]
pub struct Reason(pub String);

/// Makes an answer of a status and a text for people, which is the reason phrase, too.
pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Answer {
    let text = text.into();
    let mut answer = Response::new(Body::Bytes(Bytes::from(format!("{text}\n"))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer.extensions_mut().insert(Reason(text));
    answer
}

/// Sets a header whose value is known to be one.
pub(super) fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("the server makes its own headers of visible ASCII");
    answer.headers_mut().insert(name, value);
}
