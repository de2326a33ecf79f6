//! Files and their METADATA.
//!
//! A file is given when a view lists it (`crate::catalog::listed_file::find_listed`), under the digest that the URL names; its bytes are opened by their
//! BLAKE3 digest, never by anything that a client wrote, and looked at before they go out: a stat, and the bytes where the stat is
//! another than the known one. What was decided is remembered until the manifest changes, so that a hot file costs no SQL.

mod bytes;
mod known;
mod of_remote;

pub(super) use known::KnownFiles;
pub(super) use of_remote::unhashed;

use super::answer::{failure, plain, set, unavailable, without_bytes};
use super::coding::Coding;
use super::conditional::{Representation, Verdict, judge};
use super::endpoint::{Endpoint, FileAddress};
use super::{Answer, Request, Server, feed, near, redirect, sidecars};
use crate::error::Result;
use crate::manifest::Entry;
use ::bytes::Bytes;
use bytes::{FoundBytes, body};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderValue, Method, StatusCode};
use known::{FileDecision, find};
use of_remote::of_remote;
use std::sync::PoisonError;

/// What the path of a sidecar has after the file's (PEP 658).
const METADATA: &str = ".metadata";
/// A file of at most this size is small.
const SMALL_BYTES: u64 = 32 << 10;

/// Answers with a file's bytes, or a part of them, or its METADATA.
pub(super) fn file(server: &Server, request: &Request, address: &FileAddress) -> Answer {
    let given = local(server, request, address).and_then(|given| match given {
        // A remote may have the very bytes that are damaged or missing here.
        Some(answer) if is_damaged(&answer) => Ok(of_remote(server, request, address)?.or(Some(answer))),
        Some(answer) => Ok(Some(answer)),
        None => of_remote(server, request, address),
    });
    match given {
        Ok(None) if !address.is_metadata => near::no_file(server, address, NOTHING),
        given => given_or(given),
    }
}

/// Answers with a file, or its METADATA, whose every decision is remembered, without SQL; `None`: another is to be asked, who may wait.
pub(super) fn at_hand(server: &Server, request: &Request) -> Option<Answer> {
    let path = request.uri().path();
    let version = server.stores.version().ok()?;
    let known = server.files.paths.get(path);
    let known = match known.filter(|known| server.files.holds(known, version)) {
        Some(known) => known,
        None => {
            let Ok(Endpoint::File(address)) = server.endpoint(request) else { return None };
            let file = FileAddress { is_metadata: false, ..address };
            let known = server.files.known.get(&(file, None))?;
            if !server.files.holds(&known, version) {
                return None;
            }
            server.files.paths.insert(path.into(), known.clone());
            known
        }
    };
    if path.ends_with(METADATA) {
        return about(server, request, &known, true).ok()?;
    }
    if server.options.redirect.is_some() {
        return None;
    }
    let is_looked_at = known.signature.lock().unwrap_or_else(PoisonError::into_inner).is_some();
    if is_looked_at { give(server, request, &known).ok()?.filter(|answer| !is_damaged(answer)) } else { None }
}

/// Makes an answer of what came of looking for a file.
pub(super) fn given_or(given: Result<Option<Answer>>) -> Answer {
    given.map_or_else(|error| failure(&error), |given| given.unwrap_or_else(nothing))
}

/// Marks an answer that tells that the store's own bytes aren't right.
#[derive(Clone, Copy)]
struct Damaged;

fn is_damaged(answer: &Answer) -> bool {
    answer.extensions().get::<Damaged>().is_some()
}

/// Answers with a file that the store has.
pub(super) fn local(server: &Server, request: &Request, address: &FileAddress) -> Result<Option<Answer>> {
    if address.is_metadata { metadata(server, request, address) } else { whole(server, request, address) }
}

/// Answers with a file, or its METADATA, that was found otherwise than by its address.
pub(super) fn of_entry(server: &Server, request: &Request, entry: Entry, is_metadata: bool) -> Result<Option<Answer>> {
    let known = FileDecision::of(server, entry, 0, 0);
    if is_metadata { about(server, request, &known, false) } else { give(server, request, &known) }
}

fn whole(server: &Server, request: &Request, address: &FileAddress) -> Result<Option<Answer>> {
    let Some(known) = find(server, request, address)? else { return Ok(None) };
    match elsewhere(server, request, &known)? {
        Some(answer) => Ok(Some(answer)),
        None => give(server, request, &known),
    }
}

/// Answers where a file's bytes are, if clients fetch them from the bucket; `None`: they are given from here, or none are asked for.
fn elsewhere(server: &Server, request: &Request, known: &FileDecision) -> Result<Option<Answer>> {
    let Some(lasting) = server.options.redirect else { return Ok(None) };
    let of = Representation { etag: &known.etag, modified: Some(known.modified), size: Some(known.size) };
    let verdict = judge(request.method(), request.headers(), &of);
    if !matches!(verdict, Verdict::Whole | Verdict::Part(_)) {
        return Ok(None);
    }
    let Some(address) = redirect::address(server, known.blob, lasting)? else { return Ok(None) };
    if *request.method() == Method::HEAD {
        // The address is signed for GET alone; and what HEAD asks is known here.
        return Ok(Some(redirect::about(known.headers.clone())));
    }
    if !matches!(verdict, Verdict::Part(range) if range.start > 0) {
        known.count(server);
    }
    Ok(Some(redirect::to(server, &address)))
}

fn give(server: &Server, request: &Request, known: &FileDecision) -> Result<Option<Answer>> {
    let of = Representation { etag: &known.etag, modified: Some(known.modified), size: Some(known.size) };
    let verdict = judge(request.method(), request.headers(), &of);
    let range = match &verdict {
        Verdict::Whole => 0..known.size,
        Verdict::Part(range) => range.clone(),
        Verdict::NotModified | Verdict::Failed | Verdict::Unsatisfiable => {
            return Ok(Some(without_bytes(&verdict, &of)));
        }
    };
    let body = match body(server, known, &range, *request.method() == Method::HEAD)? {
        FoundBytes::Body(body) => body,
        FoundBytes::Failed(trouble) => {
            let mut answer = feed::troubled(server, request, trouble);
            answer.extensions_mut().insert(Damaged);
            return Ok(Some(answer));
        }
        FoundBytes::Bad => {
            server.counters.bad_blobs.add(1);
            let text = format!("the bytes of {} are damaged or missing: they need repair", known.filename);
            let mut answer = unavailable(text);
            answer.extensions_mut().insert(Damaged);
            return Ok(Some(answer));
        }
    };
    if *request.method() == Method::GET && range.start == 0 {
        known.count(server);
    }
    let mut answer = Answer::new(body);
    answer.headers_mut().clone_from(&known.headers);
    if verdict != Verdict::Whole {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
        set(&mut answer, CONTENT_RANGE, &format!("bytes {}-{}/{}", range.start, range.end - 1, known.size));
    }
    Ok(Some(answer))
}

fn metadata(server: &Server, request: &Request, address: &FileAddress) -> Result<Option<Answer>> {
    // What is announced of the file is announced of its sidecar: one decision for both.
    let file = FileAddress { is_metadata: false, ..address.clone() };
    let Some(known) = find(server, request, &file)? else { return Ok(None) };
    about(server, request, &known, false)
}

/// Answers with a file's METADATA; on demand only if that needs nothing but memory.
fn about(server: &Server, request: &Request, known: &FileDecision, is_at_hand: bool) -> Result<Option<Answer>> {
    let Some(sha256) = known.metadata else { return Ok(None) };
    let bytes = match server.sidecars.get(&sha256, Coding::Identity) {
        None if is_at_hand => return Ok(None),
        None => server.stores.borrow()?.manifest.metadata(&sha256)?.map(Bytes::from),
        known => known,
    };
    let Some(bytes) = bytes else { return Ok(None) };
    server.sidecars.keep(&sha256, Coding::Identity, &bytes);
    let coding = Coding::accepted(request.headers()).of_size(bytes.len());
    if is_at_hand && server.sidecars.get(&sha256, coding).is_none() {
        return Ok(None);
    }
    let coded = || server.sidecars.coded(&sha256, coding, &bytes);
    Ok(Some(sidecars::answer(request, (&sha256, Some(known.modified)), coding, coded)))
}

const NOTHING: &str = "there is no such file";

fn nothing() -> Answer {
    plain(StatusCode::NOT_FOUND, NOTHING)
}
