//! From a request to its answer: which module answers what.

use super::answer::{Body, Reason, plain, set};
use super::counters::RequestKind;
use super::endpoint::{self, CacheView, Endpoint, FileAddress, PathRefusal, ViewName};
use super::finish::finish;
use super::{
    Anonymous, Answer, Borrowed, Pending, Request, Server, access, builder_index, files, metrics, oidc, pages, people,
    signed, wide,
};
use crate::token::Scope;
use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_LENGTH, LOCATION};
use http::{Method, StatusCode};
use std::borrow::Cow;
use std::time::Instant;

impl Server {
    /// Answers a request without its body; one with an upload goes to [`Server::upload`]. It may wait for the disk and for remotes.
    pub fn respond(&self, request: &Request) -> Answer {
        let (started, _in_flight) = (Instant::now(), self.counters.begin());
        match self.endpoint(request) {
            Ok(endpoint) => {
                let answer = self.answer(request, &endpoint);
                self.end(request, Some(&endpoint), answer, started)
            }
            Err(answer) => self.end(request, None, answer, started),
        }
    }

    /// Answers what needs neither SQL nor a remote, in microseconds; anything else is `None`, and [`Server::respond`] is to be asked.
    pub fn cached(&self, request: &Request) -> Option<Answer> {
        if *request.method() != Method::GET
            || self.options.anonymous < Anonymous::Read
            || request.headers().contains_key(AUTHORIZATION)
        {
            return None;
        }
        let started = Instant::now();
        let path = request.uri().path();
        let path = path.strip_prefix(self.options.base_path.as_str()).unwrap_or(path);
        let is_cache = matches!(path.split('/').nth(2), Some("cache" | "build"));
        let (asked, answer) = if is_cache && path.contains("/files/") {
            // Which files a cache offers is decided anew each time.
            return None;
        } else if is_cache {
            // A query or a header may have rules.
            let is_plain = request.uri().query().is_none() && !request.headers().contains_key(pages::RULES);
            (RequestKind::CachePage, is_plain.then(|| pages::at_hand(self, request))??)
        } else if path.contains("/files/") {
            let is_metadata = request.uri().path().ends_with(".metadata");
            (if is_metadata { RequestKind::Metadata } else { RequestKind::File }, files::at_hand(self, request)?)
        } else {
            (RequestKind::Project, pages::at_hand(self, request)?)
        };
        self.counters.answered(asked, answer.status().as_u16(), started.elapsed());
        Some(answer)
    }

    /// Tells whether a request asks for a page that may read whole collections: of those so many are made at a time as
    /// [`budget::WIDE_PAGES`](crate::budget::WIDE_PAGES) says.
    pub fn is_wide(&self, request: &Request) -> bool {
        self.endpoint(request).is_ok_and(|endpoint| wide::is_wide(&endpoint))
    }

    /// Makes an answer that was pending ([`Body::Pending`]): what there is to say now.
    pub fn resume(&self, pending: Pending) -> Answer {
        let _in_flight = self.counters.begin();
        let (request, started) = (pending.request().clone(), pending.started);
        let endpoint = pending.endpoint();
        self.end(&request, Some(&endpoint), finish(self, pending), started)
    }

    /// Counts an answer, and takes away what HEAD doesn't get; one that is pending ends later.
    fn end(&self, request: &Request, endpoint: Option<&Endpoint>, mut answer: Answer, started: Instant) -> Answer {
        if matches!(answer.body(), Body::Pending(_)) {
            return answer;
        }
        if let Some(endpoint) = endpoint.filter(|_| answer.status() == StatusCode::NOT_FOUND) {
            self.missed(endpoint);
        }
        access::keep_private(self, &mut answer);
        if request.method() == Method::HEAD {
            empty(&mut answer);
        }
        let asked = endpoint.map_or(RequestKind::PathRefusal, RequestKind::of);
        self.counters.answered(asked, answer.status().as_u16(), started.elapsed());
        self.tick();
        answer
    }

    fn answer(&self, request: &Request, endpoint: &Endpoint) -> Answer {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return not_allowed(endpoint);
        }
        if let Err(answer) = access::permit(self, request, Scope::Read, endpoint) {
            return answer;
        }
        // Those that ask remotes take their turn when they know what there is.
        let _turn = wide::reads_widely(endpoint).then(|| self.wide_reads.hold(1));
        match endpoint {
            Endpoint::Root(view) => pages::root(self, request, view),
            Endpoint::Project(view, project) => pages::project(self, request, view, project),
            Endpoint::Mirror(view, project, version) => pages::mirror(self, request, view, (project, version.as_ref())),
            Endpoint::Changes(view) => people::changes(self, request, view),
            Endpoint::Variants(view, sha256, filename) => {
                pages::variants(self, request, view, sha256.as_ref(), filename)
            }
            Endpoint::Revision(view, is_signature) => signed::revision(self, request, view, *is_signature),
            Endpoint::File(address) => files::file(self, request, address),
            Endpoint::CacheRoot(cache) => builder_index::softened(pages::root(self, request, &cache.view)),
            Endpoint::CacheProject(cache, project) => builder_index::project(self, request, cache, project),
            Endpoint::CacheFile(cache, address) => builder_index::file(self, request, cache, address),
            Endpoint::Health => metrics::health(self),
            Endpoint::Metrics => metrics::metrics(self),
            Endpoint::Audience => oidc::audience(self),
            Endpoint::Legacy(_) | Endpoint::MintToken | Endpoint::BurnToken => not_allowed(endpoint),
            Endpoint::Home
            | Endpoint::Collection(_)
            | Endpoint::ProjectPage(..)
            | Endpoint::FilePage(..)
            | Endpoint::Asset(_)
            | Endpoint::Section(_)
            | Endpoint::Account(_)
            | Endpoint::Action(..) => self.page(&self.below_base(request), endpoint),
        }
    }

    /// Answers with a page for people.
    fn page(&self, request: &Request, endpoint: &Endpoint) -> Answer {
        match endpoint {
            Endpoint::Home => people::home(self, request),
            Endpoint::Collection(view) => people::collection(self, request, view),
            Endpoint::ProjectPage(view, project) => people::project(self, request, view, project),
            Endpoint::FilePage(view, project, filename) => people::file(self, request, view, (project, filename)),
            Endpoint::Section(section) => people::section(self, request, *section),
            Endpoint::Account(account) => people::account(self, request, *account),
            Endpoint::Action(view, verb) => people::action(self, request, &view.name, *verb),
            Endpoint::Asset(name) => people::asset(request, name),
            _ => not_allowed(endpoint),
        }
    }

    /// Returns a request without what comes before every path: pages for people lead to the server's root by its depth.
    pub(super) fn below_base<'a>(&self, request: &'a Request) -> Cow<'a, Request> {
        let base = self.options.base_path.as_str();
        let below = || {
            let all = request.uri().path_and_query()?.as_str();
            let rest = all.strip_prefix(base).filter(|rest| !base.is_empty() && rest.starts_with('/'))?;
            rest.parse::<http::Uri>().ok()
        };
        let Some(uri) = below() else { return Cow::Borrowed(request) };
        let mut request = request.clone();
        *request.uri_mut() = uri;
        Cow::Owned(request)
    }

    /// Counts a page or file that a view has not. Names that there are not are not counted: anybody may ask for any.
    fn missed(&self, endpoint: &Endpoint) {
        let view = match endpoint {
            Endpoint::Project(view, _) | Endpoint::Mirror(view, ..) => view,
            Endpoint::File(FileAddress { view: Some(view), is_metadata: false, .. }) => view,
            Endpoint::CacheProject(cache, _) => &cache.view,
            Endpoint::CacheFile(cache, FileAddress { is_metadata: false, .. }) => &cache.view,
            _ => return,
        };
        let is_known =
            |store: Borrowed<'_>| crate::catalog::search_order::is_known_variant(&store, &view.name).unwrap_or(false);
        if !self.stores.borrow().is_ok_and(is_known) {
            return;
        }
        self.counters.tally(view.name.as_str(), "").miss();
        if let Endpoint::CacheProject(CacheView { view: ViewName { name, at: None }, .. }, project) = endpoint {
            self.counters.wanted(name, project);
        }
    }

    /// Returns what a request's path asks for, or the answer that it asks for nothing.
    pub(super) fn endpoint(&self, request: &Request) -> Result<Endpoint, Answer> {
        let path = request.uri().path();
        let base = &self.options.base_path;
        let path = path.strip_prefix(base.as_str()).filter(|rest| rest.starts_with('/')).unwrap_or(path);
        // Settings are often a URL and a path, joined by one slash too many.
        let path = &*one_slash(path);
        // An upload's body would be lost on the way: twine and uv stop at any redirect.
        let is_upload = request.method() == Method::POST;
        let parsed = if is_upload { endpoint::parse_upload(path) } else { endpoint::parse(path) };
        parsed.map_err(|astray| match astray {
            PathRefusal::Moved(_) if is_upload => plain(StatusCode::NOT_FOUND, "there is nothing here"),
            PathRefusal::NotFound => people::lost(&self.below_base(request), "There is nothing here."),
            PathRefusal::Moved(mut location) => {
                if let Some(query) = request.uri().query().filter(|query| query.is_ascii()) {
                    location = format!("{location}?{query}");
                }
                let mut answer = plain(StatusCode::MOVED_PERMANENTLY, "it is called otherwise");
                answer.extensions_mut().remove::<Reason>();
                set(&mut answer, LOCATION, &location);
                answer
            }
        })
    }
}

/// Returns a path with one slash where there are several.
fn one_slash(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return path.into();
    }
    let mut clean = String::with_capacity(path.len());
    for part in path.split_inclusive('/') {
        if part != "/" || clean.is_empty() {
            clean.push_str(part);
        }
    }
    clean.into()
}

/// Takes an answer's body away and leaves its headers: those of GET, with the length.
fn empty(answer: &mut Answer) {
    let length = match answer.body() {
        Body::Bytes(bytes) => Some(bytes.len() as u64),
        Body::File(_, range) => Some(range.end - range.start),
        Body::Feed(reader) => reader.left(),
        Body::Pending(_) => None,
    };
    let has_none = matches!(answer.status(), StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
    // What needed no byte of the file has said its length already.
    if let Some(length) = length.filter(|_| !has_none && !answer.headers().contains_key(CONTENT_LENGTH)) {
        set(answer, CONTENT_LENGTH, &length.to_string());
    }
    *answer.body_mut() = Body::Bytes(Bytes::new());
}

pub(super) fn not_allowed(endpoint: &Endpoint) -> Answer {
    let allow = match endpoint {
        Endpoint::Legacy(_) | Endpoint::MintToken | Endpoint::BurnToken => "POST",
        Endpoint::Collection(_) | Endpoint::Root(_) | Endpoint::Account(_) | Endpoint::Action(..) => "GET, HEAD, POST",
        _ => "GET, HEAD",
    };
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, format!("this takes {allow}"));
    set(&mut answer, ALLOW, allow);
    answer
}
