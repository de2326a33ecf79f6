//! Index pages: root and project, HTML and JSON, and the documents about variant wheels.
//!
//! What a page shows is decided by `crate::supply::listing`; here it gets its links, its form and its headers, and is kept as long as it holds.

mod mirror;
mod negotiate;
mod page_cache;
mod render;

pub(super) use mirror::document as mirror;

use super::answer::{Body, FOREVER, failure, plain, set, without_bytes};
use super::conditional::{Representation, Verdict, judge};
use super::discretion::{self, Discretion};
use super::endpoint::ViewName;
use super::{Answer, Request, Server, near};
use crate::catalog::builder_rules::CacheRules;
use crate::catalog::variant_documents::VariantsDocument;
use crate::digest::Sha256;
use crate::error::Result;
use crate::name::ProjectName;
use crate::server::bounded_cache::BoundedCache;
use crate::supply::PullNote;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName};
use negotiate::negotiate;
use page_cache::{Cache, Key, Page};
pub(super) use render::url as file_url;
use std::borrow::Cow;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

/// A page may have changed the next moment, and asking whether it has costs little.
const ASK_ALWAYS: &str = "max-age=0, must-revalidate";
/// A revision's pages stay as they are, until gc takes the revision.
const FOR_A_DAY: &str = "max-age=86400";
/// So much is kept of documents about variant wheels.
const MAX_DOCUMENT_BYTES: usize = 4 << 20;
/// As much has one usually.
const USUAL_DOCUMENT_BYTES: usize = 2 << 10;
/// The stamps of so many views are remembered.
const MAX_STAMPS: usize = 1024;
/// The header that names remotes whose files are missing from a page.
const INCOMPLETE: HeaderName = HeaderName::from_static("x-wcas-incomplete");
const SERIAL: HeaderName = HeaderName::from_static("x-pypi-last-serial");

/// What is remembered of pages.
#[derive(Debug)]
pub(super) struct Pages {
    cache: Cache,
    /// The stamps of views at a version of the manifest.
    stamps: BoundedCache<ViewName, (i64, Option<u64>)>,
    /// The documents about variant wheels that were asked for last, by view and filename, with their views' stamps.
    documents: BoundedCache<(ViewName, String), Documented>,
    /// Held while the root page of an older revision is made, or one that is too large to be kept: all that it shows is in memory, for any
    /// number who ask at once.
    turn: Mutex<()>,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            cache: Cache::default(),
            stamps: BoundedCache::of_things(MAX_STAMPS),
            documents: BoundedCache::of_bytes(MAX_DOCUMENT_BYTES, USUAL_DOCUMENT_BYTES, |(_, document)| {
                document.bytes.len()
            }),
            turn: Mutex::default(),
        }
    }
}

/// A document about variant wheels, and its view's stamp when it was made.
type Documented = (u64, Arc<VariantsDocument>);

/// What a page is about.
#[derive(Debug, Clone, Copy)]
enum Subject<'a> {
    Root,
    Project(&'a ProjectName),
    /// What builders may take of it.
    Cache(&'a ProjectName, &'a CacheRules),
    /// That, and what all else of it is built from.
    Build(&'a ProjectName, &'a CacheRules),
}

/// Why there is no page.
enum NoPage {
    Unknown,
    Unavailable(Vec<PullNote>),
}

/// Answers with the list of projects.
pub(super) fn root(server: &Server, request: &Request, view: &ViewName) -> Answer {
    page(server, request, view, Subject::Root)
}

/// Answers with the files of a project.
pub(super) fn project(server: &Server, request: &Request, view: &ViewName, project: &ProjectName) -> Answer {
    page(server, request, view, Subject::Project(project))
}

/// Answers with what builders may take of a project.
pub(super) fn cache(
    server: &Server,
    request: &Request,
    view: &ViewName,
    rules: &CacheRules,
    project: &ProjectName,
) -> Answer {
    page(server, request, view, Subject::Cache(project, rules))
}

/// Answers with what builders may take of a project, and what they build from.
pub(super) fn build(
    server: &Server,
    request: &Request,
    view: &ViewName,
    rules: &CacheRules,
    project: &ProjectName,
) -> Answer {
    page(server, request, view, Subject::Build(project, rules))
}

/// What a build tool that knows us says of its run, in the syntax of rules.
pub(super) const RULES: HeaderName = HeaderName::from_static("x-wcas-rules");

/// Answers with what the variant wheels of a version say of their variants.
pub(super) fn variants(
    server: &Server,
    request: &Request,
    view: &ViewName,
    sha256: Option<&Sha256>,
    filename: &str,
) -> Answer {
    let document = match document(server, view, filename) {
        Ok(Some(document)) if sha256.is_none_or(|sha256| document.sha256 == *sha256) => document,
        Ok(_) => return plain(StatusCode::NOT_FOUND, "there is no such document"),
        Err(error) => return failure(&error),
    };
    let etag = format!("\"{}\"", document.sha256);
    let of = Representation { etag: &etag, modified: None, size: Some(document.bytes.len() as u64) };
    let mut answer = match judge(request.method(), request.headers(), &of) {
        Verdict::Whole | Verdict::Part(_) => {
            let mut answer = Answer::new(Body::Bytes(Bytes::copy_from_slice(&document.bytes)));
            set(&mut answer, CONTENT_TYPE, "application/json");
            answer
        }
        verdict => without_bytes(&verdict, &of),
    };
    // uv checks the digest that a page gave: only under that digest are the bytes the same forever.
    set(&mut answer, ETAG, &etag);
    set(&mut answer, CACHE_CONTROL, if sha256.is_some() { FOREVER } else { ASK_ALWAYS });
    answer
}

/// Returns a document about variant wheels, made once for what a view shows.
fn document(server: &Server, view: &ViewName, filename: &str) -> Result<Option<Arc<VariantsDocument>>> {
    let Some(stamp) = stamp(server, view, server.stores.version()?)? else { return Ok(None) };
    let key = (view.clone(), filename.to_owned());
    if let Some((_, document)) = server.pages.documents.get(&key).filter(|(at, _)| *at == stamp) {
        return Ok(Some(document));
    }
    let Some(made) = render::variants(server, view, filename)? else { return Ok(None) };
    let made = Arc::new(made);
    server.pages.documents.insert(key, (stamp, made.clone()));
    Ok(Some(made))
}

fn page(server: &Server, request: &Request, view: &ViewName, subject: Subject<'_>) -> Answer {
    let Some(form) = negotiate(request.uri().query(), request.headers()) else {
        return plain(StatusCode::NOT_ACCEPTABLE, "this is to be had as JSON (PEP 691) or HTML (PEP 503)");
    };
    let key: Key = match (subject, request.uri().path_and_query()) {
        // Rules in the query or a header make another page.
        (Subject::Cache(..) | Subject::Build(..), Some(path)) => match request.headers().get(RULES) {
            Some(header) => (format!("{path} {}", String::from_utf8_lossy(header.as_bytes())).into(), form),
            None => (path.as_str().into(), form),
        },
        _ => (request.uri().path().into(), form),
    };
    let made = valid(server, view, &key).and_then(|page| match page {
        Some(page) => Ok(Ok(page)),
        None => make_in_turn(server, view, subject, key),
    });
    match made {
        Ok(Ok(page)) => {
            let mut answer = give(request, &page, true).expect("a page that may be coded now can be given");
            if let Some(names) = &page.incomplete {
                // The page is everybody's who may read it; the names in its header are not.
                match Discretion::of(server, request) {
                    Ok(discretion) => set(&mut answer, INCOMPLETE, &discretion.names(names)),
                    Err(error) => return failure(&error),
                }
            }
            answer
        }
        Ok(Err(NoPage::Unknown)) => match subject {
            Subject::Project(project) => near::no_project(server, view, project, unknown(view, subject)),
            _ => plain(StatusCode::NOT_FOUND, unknown(view, subject)),
        },
        Ok(Err(NoPage::Unavailable(notes))) => {
            discretion::unasked(server, request, &notes).unwrap_or_else(|error| failure(&error))
        }
        Err(error) => failure(&error),
    }
}

fn unknown(view: &ViewName, subject: Subject<'_>) -> String {
    match subject {
        Subject::Root => format!("there is no collection {view}"),
        Subject::Project(project) => format!("{view} has no project {project}"),
        Subject::Cache(project, _) => format!("{view} has no wheel of {project} for builders"),
        Subject::Build(project, _) => format!("{view} has no wheel and no source of {project}"),
    }
}

/// Returns a page that is kept and right.
fn valid(server: &Server, view: &ViewName, key: &Key) -> Result<Option<Arc<Page>>> {
    let Some(page) = server.pages.cache.get(key) else { return Ok(None) };
    if page.until.is_some_and(|until| server.now() >= until) {
        return Ok(None);
    }
    let version = server.stores.version()?;
    if page.version.load(Relaxed) == version {
        return Ok(Some(page));
    }
    if stamp(server, view, version)? != Some(page.stamp) {
        return Ok(None);
    }
    page.version.store(version, Relaxed);
    Ok(Some(page))
}

/// Returns a view's stamp at a version of the manifest, found once.
pub(super) fn stamp(server: &Server, view: &ViewName, version: i64) -> Result<Option<u64>> {
    if let Some(stamp) = known_stamp(server, view, version) {
        return Ok(stamp);
    }
    let found = crate::supply::listing::stamp(&*server.stores.borrow()?, &view.shown())?;
    server.pages.stamps.insert(view.clone(), (version, found));
    Ok(found)
}

/// Returns a view's stamp at a version of the manifest, if it was found already; the inner `None`: there is no such view.
fn known_stamp(server: &Server, view: &ViewName, version: i64) -> Option<Option<u64>> {
    server.pages.stamps.get(view).filter(|(at, _)| *at == version).map(|(_, stamp)| stamp)
}

/// Makes a page; the root pages of older revisions, and those that are known to be too large to be kept, one after the other, where the one
/// before may be the one that is asked for.
fn make_in_turn(
    server: &Server,
    view: &ViewName,
    subject: Subject<'_>,
    key: Key,
) -> Result<std::result::Result<Arc<Page>, NoPage>> {
    let is_old_root = view.at.is_some() && matches!(subject, Subject::Root);
    if !is_old_root && !server.pages.cache.is_made_in_turn(&key) {
        return make(server, view, subject, key);
    }
    let _turn = server.pages.turn.lock().unwrap_or_else(PoisonError::into_inner);
    match valid(server, view, &key)? {
        Some(page) => Ok(Ok(page)),
        None => make(server, view, subject, key),
    }
}

/// Makes a page and keeps it.
fn make(
    server: &Server,
    view: &ViewName,
    subject: Subject<'_>,
    key: Key,
) -> Result<std::result::Result<Arc<Page>, NoPage>> {
    // Version and stamp are taken first: what changes while the page is made makes it an old one.
    let version = server.stores.version()?;
    let Some(stamp) = stamp(server, view, version)? else { return Ok(Err(NoPage::Unknown)) };
    let cache_control = if is_number(view) { FOR_A_DAY } else { ASK_ALWAYS };
    let base = render::Basis { view: view.clone(), version, stamp, cache_control, form: key.1 };
    let made = match subject {
        Subject::Root => render::root(server, view, base)?,
        Subject::Project(project) => render::project(server, view, project, base)?,
        Subject::Cache(project, rules) => render::cache(server, view, rules, project, base)?,
        Subject::Build(project, rules) => render::build(server, view, rules, project, base)?,
    };
    server.counters.made_pages.add(1);
    Ok(made.map(|made| {
        let page = Arc::new(Page::new(made));
        server.pages.cache.insert(key, page.clone());
        page
    }))
}

/// Tells whether a view is that of a revision's number: a snapshot's name can be given to another.
fn is_number(view: &ViewName) -> bool {
    view.at.as_ref().is_some_and(|at| at.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Answers with a page; `None`: it must be coded first, which takes a while.
fn give(request: &Request, page: &Arc<Page>, may_code: bool) -> Option<Answer> {
    let coding = page.coding(request.headers());
    let ready = page.ready(coding);
    let etag = ready.map_or_else(|| page.etag(coding).into(), |ready| Cow::from(&ready.etag));
    let of = Representation { etag: &etag, modified: None, size: None };
    let mut answer = match judge(request.method(), request.headers(), &of) {
        Verdict::NotModified => {
            let mut answer = Answer::new(Body::Bytes(Bytes::new()));
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            answer
        }
        Verdict::Failed => plain(StatusCode::PRECONDITION_FAILED, "it is another than you expect"),
        _ => {
            let coded = ready.or_else(|| may_code.then(|| page.coded(coding)))?;
            let mut answer = Answer::new(Body::Bytes(page_cache::sent(page, coded)));
            answer.headers_mut().clone_from(&coded.headers);
            return Some(answer);
        }
    };
    set(&mut answer, ETAG, &etag);
    answer.headers_mut().extend(page.told.clone());
    Some(answer)
}

/// Answers with a page that is in memory and holds; anything else is `None`.
pub(super) fn at_hand(server: &Server, request: &Request) -> Option<Answer> {
    let form = negotiate(request.uri().query(), request.headers())?;
    let key: Key = (request.uri().path().into(), form);
    let page = server.pages.cache.get(&key)?;
    // A page whose view changed is looked at by a thread that may wait.
    let version = server.stores.version().ok()?;
    let is_right = page.until.is_none_or(|until| server.now() < until)
        && (page.version.load(Relaxed) == version
            || known_stamp(server, &page.view, version) == Some(Some(page.stamp)));
    let answer = is_right.then(|| give(request, &page, false)).flatten()?;
    server.counters.cached_pages.add(1);
    Some(answer)
}

/// Returns the names of remotes as a header has them.
fn remote_names(notes: &[PullNote]) -> String {
    let mut names: Vec<String> = notes.iter().map(|note| note.remote.to_string()).collect();
    names.dedup();
    names.join(", ")
}
