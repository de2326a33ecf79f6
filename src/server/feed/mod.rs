//! Files that a remote lists and the store lacks: fetched when a client asks, given while they come.
//!
//! A request that has to wait for a remote does so without a thread: its answer is pending until there is something to say, and is
//! made then ([`Server::resume`]). What has come in the meantime is answered from the store like any file.

mod pulls;

pub(super) use pulls::Feeds;

use super::answer::{Body, Cause, describe, failure, plain, set, without_bytes};
use super::conditional::{Representation, Verdict, judge};
use super::discretion::Discretion;
use super::endpoint::{CacheView, FileAddress};
use super::flow::{FeedReader, Trouble};
use super::pending::Pending;
use super::{Answer, Request, Server, access, sidecars};
use crate::digest::Sha256;
use crate::error::Result;
use crate::server::coding::Coding;
use crate::supply::{Offer, sidecar_of};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER};
use http::{Method, StatusCode};
use pulls::PullTask;
use std::collections::VecDeque;
use std::time::Instant;

/// Answers with a file, or METADATA, that a remote lists and the store lacks.
pub(super) fn answer(
    server: &Server,
    request: &Request,
    address: &FileAddress,
    offer: Offer,
) -> Result<Option<Answer>> {
    begin(server, request, address, offer, None)
}

/// The same for a builder, who must not be given a byte before all have been checked; the remotes are tried one after the other.
pub(super) fn whole(
    server: &Server,
    request: &Request,
    cache: &CacheView,
    address: &FileAddress,
    offers: impl Into<VecDeque<Offer>>,
) -> Result<Option<Answer>> {
    let mut offers = offers.into();
    let Some(first) = offers.pop_front() else { return Ok(None) };
    begin(server, request, address, first, Some((cache.clone(), offers)))
}

fn begin(
    server: &Server,
    request: &Request,
    address: &FileAddress,
    offer: Offer,
    builder: Option<(CacheView, VecDeque<Offer>)>,
) -> Result<Option<Answer>> {
    if address.is_metadata {
        if sidecar_of(&offer.file, None).is_none() {
            return Ok(None);
        }
        if let Some(answer) = kept_metadata(server, request, &offer)? {
            return Ok(Some(answer));
        }
    } else if builder.is_none()
        && let Some(answer) = told_by_page(request, &offer)
    {
        return Ok(Some(answer));
    }
    let errand = if address.is_metadata { PullTask::Metadata } else { PullTask::File };
    let actor = access::actor(server, request, "pull through");
    let feed = match server.feeds.open(errand, offer.clone(), actor) {
        Ok(feed) => feed,
        Err(trouble) => return Ok(Some(troubled(server, request, trouble))),
    };
    let (request, address) = (request.clone(), address.clone());
    let others = VecDeque::new();
    Ok(Some(later(Pending { request, address, offer, feed, builder, others, started: Instant::now() })))
}

/// Answers with METADATA that several remotes tell differently: from the file, of whichever of them gives it.
pub(super) fn whole_for_metadata(
    server: &Server,
    request: &Request,
    address: &FileAddress,
    offers: impl Into<VecDeque<Offer>>,
) -> Result<Option<Answer>> {
    let mut others = offers.into();
    let Some(offer) = others.pop_front() else { return Ok(None) };
    let actor = access::actor(server, request, "pull through");
    let feed = match server.feeds.open(PullTask::File, offer.clone(), actor) {
        Ok(feed) => feed,
        Err(trouble) => return Ok(Some(troubled(server, request, trouble))),
    };
    let (request, address) = (request.clone(), address.clone());
    let started = Instant::now();
    Ok(Some(later(Pending { request, address, offer, feed, builder: None, others, started })))
}

/// Answers with why a file doesn't come, as far as the requester may know it.
pub(super) fn troubled(server: &Server, request: &Request, trouble: Trouble) -> Answer {
    let Some(remote) = &trouble.remote else { return answer_of(&trouble) };
    match Discretion::of(server, request) {
        Ok(discretion) => {
            let text = format!("{} {}", discretion.subject(remote), trouble.text);
            answer_of(&Trouble { text, ..trouble })
        }
        Err(error) => failure(&error),
    }
}

fn answer_of(trouble: &Trouble) -> Answer {
    let mut answer = plain(trouble.status, trouble.text.clone());
    if trouble.status.is_server_error() {
        set(&mut answer, RETRY_AFTER, "30");
    }
    if let Some(cause) = &trouble.cause {
        answer.extensions_mut().insert(Cause(cause.clone()));
    }
    answer
}

/// Lets an answer be made when there is something to say.
fn later(pending: Pending) -> Answer {
    Answer::new(Body::Pending(Box::new(pending)))
}

/// Answers what needs no byte of the file, where the page tells enough.
fn told_by_page(request: &Request, offer: &Offer) -> Option<Answer> {
    let etag = format!("\"{}\"", offer.file.sha256?);
    let of = Representation { etag: &etag, modified: offer.file.uploaded_at, size: offer.file.size };
    let verdict = judge(request.method(), request.headers(), &of);
    match (&verdict, of.size) {
        (Verdict::NotModified | Verdict::Failed | Verdict::Unsatisfiable, _) => Some(without_bytes(&verdict, &of)),
        (_, Some(size)) if request.method() == Method::HEAD => {
            let mut answer = Answer::new(Body::Bytes(Bytes::new()));
            describe(&mut answer, &of);
            set(&mut answer, CONTENT_TYPE, "application/octet-stream");
            set(&mut answer, CONTENT_LENGTH, &size.to_string());
            Some(answer)
        }
        _ => None,
    }
}

/// Answers with a file that is on its way.
pub(super) fn running(server: &Server, pending: Pending) -> Answer {
    let Pending { request, offer, feed, .. } = pending;
    let size = feed.size();
    let etag = offer.file.sha256.map(|digest| format!("\"{digest}\""));
    // Without a digest nobody can say yet which bytes these are: a part would fit nothing.
    let of = Representation {
        etag: etag.as_deref().unwrap_or_default(),
        modified: offer.file.uploaded_at,
        size: size.filter(|_| etag.is_some()),
    };
    let verdict = if etag.is_some() { judge(request.method(), request.headers(), &of) } else { Verdict::Whole };
    let part = match &verdict {
        Verdict::Whole => None,
        Verdict::Part(part) => Some(part.clone()),
        _ => return without_bytes(&verdict, &of),
    };
    let mut answer = Answer::new(Body::Bytes(Bytes::new()));
    if etag.is_some() {
        describe(&mut answer, &of);
    }
    set(&mut answer, CONTENT_TYPE, "application/octet-stream");
    if let (Some(part), Some(size)) = (&part, size) {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        set(&mut answer, CONTENT_RANGE, &format!("bytes {}-{}/{size}", part.start, part.end - 1));
    }
    if part.is_none() && *request.method() == Method::GET {
        let (collection, remote) = (&offer.remote.collection_name, &offer.remote.name);
        server.counters.tally(collection.as_str(), remote.as_str()).hit();
    }
    let reader = FeedReader::new(feed, part, size);
    if let Some(left) = reader.left() {
        set(&mut answer, CONTENT_LENGTH, &left.to_string());
    }
    *answer.body_mut() = Body::Feed(reader);
    answer
}

/// Answers with METADATA that was had without its file, if it is kept.
fn kept_metadata(server: &Server, request: &Request, offer: &Offer) -> Result<Option<Answer>> {
    let Some(sha256) = offer.file.sha256 else { return Ok(None) };
    let bytes = server.stores.borrow()?.manifest.remote_metadata(offer.remote.id, &sha256)?;
    Ok(bytes.map(|bytes| metadata(server, request, &bytes.into())))
}

/// Answers with METADATA that a remote gave.
pub(super) fn metadata(server: &Server, request: &Request, bytes: &Bytes) -> Answer {
    let sha256 = Sha256::of(bytes);
    let coding = Coding::accepted(request.headers()).of_size(bytes.len());
    sidecars::answer(request, (&sha256, None), coding, || server.sidecars.coded(&sha256, coding, bytes))
}
