//! What a collection holds, as it was signed: `/{view}/revision.txt` and its signature.
//!
//! Without a revision it is the newest signed one, where one is: so the text and the signature fit together whatever comes in meanwhile.

use super::answer::{Body, failure, plain, set, without_bytes};
use super::conditional::{Representation, Verdict, judge};
use super::endpoint::ViewName;
use super::{Answer, Request, Server};
use crate::catalog::at::RevisionSpec;
use crate::digest::Sha256;
use crate::error::{Error, ErrorKind, Result};
use crate::ops;
use crate::ops::collection::Newest;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use std::sync::{Mutex, PoisonError};

/// The text that was asked for last, as long as nothing changes: a long one takes a while to make.
#[derive(Debug, Default)]
pub(super) struct Texts(Mutex<Option<(ViewName, i64, Text)>>);

/// A text, and its signature.
#[derive(Debug, Clone)]
struct Text {
    text: Bytes,
    signature: Option<Bytes>,
}

/// Answers with the text of a revision, or with its signature.
pub(super) fn revision(server: &Server, request: &Request, view: &ViewName, is_signature: bool) -> Answer {
    let found = match text(server, view) {
        Ok(found) => found,
        Err(error @ Error::Refused(_)) => return plain(StatusCode::NOT_FOUND, error.to_string()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return plain(StatusCode::NOT_FOUND, format!("there is no revision {view}"));
        }
        Err(error) => return failure(&error),
    };
    let bytes = if is_signature { found.signature } else { Some(found.text) };
    let Some(bytes) = bytes else { return plain(StatusCode::NOT_FOUND, format!("{view} is not signed")) };
    let etag = format!("\"{}\"", Sha256::of(&bytes));
    let of = Representation { etag: &etag, modified: None, size: Some(bytes.len() as u64) };
    let mut answer = match judge(request.method(), request.headers(), &of) {
        Verdict::Whole | Verdict::Part(_) => {
            let mut answer = Answer::new(Body::Bytes(bytes));
            set(&mut answer, CONTENT_TYPE, "text/plain; charset=utf-8");
            answer
        }
        verdict => without_bytes(&verdict, &of),
    };
    set(&mut answer, ETAG, &etag);
    set(&mut answer, CACHE_CONTROL, "max-age=0, must-revalidate");
    answer
}

fn text(server: &Server, view: &ViewName) -> Result<Text> {
    let version = server.stores.version()?;
    let known = || server.texts.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, at, text)) = &*known()
        && (of, *at) == (view, version)
    {
        return Ok(text.clone());
    }
    let spec = RevisionSpec { collection: view.name.clone(), revision: view.at.clone() };
    let found = ops::collection::revision_text(&*server.stores.borrow()?, &spec, Newest::Signed)?;
    let text = Text { text: found.text.into(), signature: found.signature.map(Bytes::from) };
    *known() = Some((view.clone(), version, text.clone()));
    Ok(text)
}
