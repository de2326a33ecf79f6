//! Files that a remote lists and the store lacks: fetched when a client asks, given while they come.
//!
//! A request that has to wait for a remote does so without a thread: its answer is pending until there is something to say, and is
//! made then ([`Server::resume`]). What has come in the meantime is answered from the store like any file.

mod flow;
mod pulls;

pub use flow::{FeedReader, Next};
pub(super) use pulls::Feeds;

use super::answer::{Body, failure, set, unavailable};
use super::coding::Coding;
use super::conditional::{Representation, Verdict, judge};
use super::discretion::Discretion;
use super::endpoint::{CacheView, Endpoint, FileAddress};
use super::files::{self, describe, without_bytes};
use super::{Answer, Request, Server, access, cache};
use crate::digest::Sha256;
use crate::error::Result;
use crate::ops::{Offer, sidecar_of};
use bytes::Bytes;
use flow::{Brought, Feed, Status, Trouble};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, VARY};
use http::{Method, StatusCode};
use pulls::Errand;
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
    request: Request,
    address: FileAddress,
    offer: Offer,
    feed: Arc<Feed>,
    /// For a builder nothing goes out before all has come; who else has it, should this remote give nothing good.
    builder: Option<(CacheView, VecDeque<Offer>)>,
    /// Others who have the file, too.
    others: VecDeque<Offer>,
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
    offers: Vec<Offer>,
) -> Result<Option<Answer>> {
    let mut offers = VecDeque::from(offers);
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
    let errand = if address.is_metadata { Errand::Metadata } else { Errand::File };
    let actor = access::actor(server, request, "pull through");
    let feed = match server.feeds.open(errand, offer.clone(), actor) {
        Ok(feed) => feed,
        Err(trouble) => return Ok(Some(troubled(server, request, trouble))),
    };
    let (request, address) = (request.clone(), address.clone());
    let others = VecDeque::new();
    Ok(Some(wait_for(server, Pending { request, address, offer, feed, builder, others, started: Instant::now() })))
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
    let feed = match server.feeds.open(Errand::File, offer.clone(), actor) {
        Ok(feed) => feed,
        Err(trouble) => return Ok(Some(troubled(server, request, trouble))),
    };
    let (request, address) = (request.clone(), address.clone());
    let started = Instant::now();
    Ok(Some(wait_for(server, Pending { request, address, offer, feed, builder: None, others, started })))
}

fn wait_for(server: &Server, pending: Pending) -> Answer {
    if pending.is_ready() {
        return finish(server, pending);
    }
    Answer::new(Body::Pending(Box::new(pending)))
}

/// Makes the answer that was pending.
pub(super) fn finish(server: &Server, mut pending: Pending) -> Answer {
    let Some((cache, mut offers)) = pending.builder.take() else {
        if matches!(pending.feed.status(), Status::Failed(_)) && !pending.others.is_empty() {
            let Pending { request, address, others, .. } = pending;
            return files::given_or(whole_for_metadata(server, &request, &address, others));
        }
        return finished(server, pending);
    };
    let Pending { request, address, .. } = &pending;
    match (pending.feed.status(), offers.pop_front()) {
        (Status::Done(Brought::File(_)), _) => cache::file(server, request, &cache, address),
        (Status::Failed(_), Some(next)) => {
            let begun = begin(server, request, address, next, Some((cache, offers)));
            cache::softened(files::given_or(begun))
        }
        (Status::Running, _) => {
            cache::softened(unavailable("a remote has not given the file yet; it is being fetched"))
        }
        _ => cache::softened(finished(server, pending)),
    }
}

fn finished(server: &Server, pending: Pending) -> Answer {
    match pending.feed.status() {
        Status::Failed(trouble) => troubled(server, &pending.request, trouble),
        // It is in the store: given like any file, if it is listed still.
        Status::Done(Brought::File(sha256)) => {
            let Pending { request, address, .. } = &pending;
            let given = match address.sha256 {
                Some(_) => files::local(server, request, address),
                None => files::unhashed(server, request, address, &sha256),
            };
            files::given_or(given)
        }
        Status::Done(Brought::Metadata(bytes)) => metadata(server, &pending.request, &bytes),
        Status::Running if !pending.is_ready() => {
            let text = "has not given the file yet; it is being fetched".to_owned();
            let (status, remote) = (StatusCode::SERVICE_UNAVAILABLE, Some(pending.offer.remote.name));
            troubled(server, &pending.request, Trouble { status, text, remote, cause: None })
        }
        Status::Running => running(server, pending),
    }
}

/// Answers with why a file doesn't come, as far as the requester may know it.
fn troubled(server: &Server, request: &Request, trouble: Trouble) -> Answer {
    let Some(remote) = &trouble.remote else { return trouble.answer() };
    match Discretion::of(server, request) {
        Ok(discretion) => {
            let text = format!("{} {}", discretion.subject(remote), trouble.text);
            Trouble { text, ..trouble }.answer()
        }
        Err(error) => failure(&error),
    }
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
fn running(server: &Server, pending: Pending) -> Answer {
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

fn metadata(server: &Server, request: &Request, bytes: &Bytes) -> Answer {
    let sha256 = Sha256::of(bytes);
    let coding = Coding::accepted(request.headers()).of_size(bytes.len());
    let etag = format!("\"{sha256}{}\"", coding.suffix());
    let of = Representation { etag: &etag, modified: None, size: None };
    let verdict = judge(request.method(), request.headers(), &of);
    let mut answer = match verdict {
        Verdict::Whole | Verdict::Part(_) => {
            let coded = files::coded(server, &sha256, coding, bytes);
            let mut answer = Answer::new(Body::Bytes(coded));
            describe(&mut answer, &of);
            set(&mut answer, CONTENT_TYPE, "text/plain; charset=utf-8");
            if let Some(name) = coding.header() {
                set(&mut answer, CONTENT_ENCODING, name);
            }
            answer
        }
        _ => without_bytes(&verdict, &of),
    };
    set(&mut answer, VARY, "Accept-Encoding");
    answer
}
