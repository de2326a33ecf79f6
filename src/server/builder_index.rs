//! The cache for builders, `/{view}/cache/simple/{project}/` and what it links to, and the index that they build from, under `build`.
//!
//! Beside the index, and on other terms, since other clients ask. To pip a project that can't be looked up is an error, never an
//! absence; a build tool that hears of an error waits and tries again for most of an hour, and builds the wheel itself when it hears
//! of an absence, which is what a cache is for. So here whatever can't be given is a 404 at once, or a 410 where it was withdrawn:
//! remotes have little time, nothing is a 5xx, and a wheel's every byte is checked before its first one goes out.

use super::access::{self, Readable};
use super::answer::{Cause, plain, set, varies};
use super::bounded_cache::BoundedCache;
use super::endpoint::{CacheView, FileAddress, Offering};
use super::{Answer, Request, Server, feed, files, pages};
use crate::catalog::builder_rules::{CacheRules, CacheRulesError};
use crate::digest::Blake3;
use crate::error::Result;
use crate::manifest::Entry;
use crate::name::ProjectName;
use crate::ops;
use crate::ops::builder_index::{Buildable, CachedWheel};
use crate::wheel::DistributionFilename;
use http::StatusCode;
use http::header::CACHE_CONTROL;

/// So many blobs are remembered as read.
const MAX_READ: usize = 100_000;
/// Answers with what a cache offers of a project.
pub(super) fn project(server: &Server, request: &Request, cache: &CacheView, project: &ProjectName) -> Answer {
    match rules(request, cache).map(|rules| rules.about(project)) {
        Ok(rules) => {
            let mut answer = match cache.offering {
                Offering::Cache => softened(pages::cache(server, request, &cache.view, &rules, project)),
                // To who asks for sources an error is better than another version.
                Offering::Build => pages::build(server, request, &cache.view, &rules, project),
            };
            varies(&mut answer, "X-Wcas-Rules");
            answer
        }
        Err(error) => miss(error.to_string()),
    }
}

/// Answers with a file that a cache offers, or its METADATA.
pub(super) fn file(server: &Server, request: &Request, cache: &CacheView, address: &FileAddress) -> Answer {
    let rules = match rules(request, cache) {
        Ok(rules) => rules,
        Err(error) => return miss(error.to_string()),
    };
    let answer = find(server, cache, &rules, address).and_then(|wheel| match wheel {
        Some(CachedWheel::Local(entry)) => local(server, request, address, *entry),
        Some(CachedWheel::Remote(offers)) => feed::whole(server, request, cache, address, offers),
        None => withdrawn(server, request, cache, address),
    });
    softened(files::given_or(answer))
}

fn local(server: &Server, request: &Request, address: &FileAddress, entry: Entry) -> Result<Option<Answer>> {
    if !address.is_metadata && !is_read(server, &entry)? {
        return Ok(None);
    }
    let mut answer = files::of_entry(server, request, entry, address.is_metadata)?;
    if let (Some(answer), None) = (&mut answer, address.sha256) {
        // Without a digest in the URL it may be another tomorrow.
        set(answer, CACHE_CONTROL, "no-cache");
    }
    Ok(answer)
}

/// What was read from its first byte to its last since the server began: a stat tells of a changed file, and nothing of a disk that
/// lost a bit. Other clients check digests themselves; fromager doesn't.
#[derive(Debug)]
pub(super) struct ReadBlobs(BoundedCache<Blake3, ()>);

impl Default for ReadBlobs {
    fn default() -> Self {
        Self(BoundedCache::of_things(MAX_READ))
    }
}

/// Makes sure that a blob was read once.
fn is_read(server: &Server, entry: &Entry) -> Result<bool> {
    if server.read_blobs.0.get(&entry.blake3).is_some() {
        return Ok(true);
    }
    let is_right = crate::keep::health::read_through(&*server.stores.borrow()?, &entry.blake3)?;
    if is_right {
        server.read_blobs.0.insert(entry.blake3, ());
    } else {
        server.counters.bad_blobs.add(1);
    }
    Ok(is_right)
}

/// Makes a miss of what can't be answered; its cause goes into the log.
pub(super) fn softened(mut answer: Answer) -> Answer {
    if !answer.status().is_server_error() {
        return answer;
    }
    let mut missed = miss("it can't be given just now");
    if let Some(cause) = answer.extensions_mut().remove::<Cause>() {
        missed.extensions_mut().insert(cause);
    }
    missed
}

fn miss(text: impl Into<String>) -> Answer {
    plain(StatusCode::NOT_FOUND, text)
}

/// The rules of a request: those of its header, else of its query, else of its path.
fn rules(request: &Request, cache: &CacheView) -> std::result::Result<CacheRules, CacheRulesError> {
    let of_url = CacheRules::of_query(request.uri().query())?.or(cache.rules.clone());
    let Some(header) = request.headers().get(pages::RULES) else { return Ok(of_url) };
    let text = header.to_str().map_err(|_| CacheRulesError("the header X-Wcas-Rules".to_owned()))?;
    Ok(text.trim().parse::<CacheRules>()?.or(of_url))
}

/// Finds a file among those that the page of its project lists.
fn find(server: &Server, cache: &CacheView, rules: &CacheRules, address: &FileAddress) -> Result<Option<CachedWheel>> {
    let Ok(name) = DistributionFilename::parse(&address.filename) else { return Ok(None) };
    let store = server.stores.borrow()?;
    let (shown, project) = (cache.view.shown_to_builders(), name.project());
    let rules = &rules.clone().about(project);
    let cached = match cache.offering {
        Offering::Cache => ops::builder_index::cached(&server.ask_briefly(&store), &shown, project, rules)?,
        Offering::Build => match ops::builder_index::buildable(&server.ask(&store), &shown, project, rules)? {
            Buildable::Found(found) => Some(found),
            Buildable::Unknown | Buildable::Unavailable(_) => None,
        },
    };
    let mut wheels = cached.into_iter().flat_map(|cached| cached.wheels);
    // What was disputed when the page was made may have come since.
    let is_meant = |wheel: &CachedWheel| address.sha256.is_none() || wheel.sha256() == address.sha256;
    Ok(wheels.find(|wheel| wheel.filename() == address.filename && is_meant(wheel)))
}

/// Answers that a file was withdrawn, where the store has, or had, its bytes.
fn withdrawn(server: &Server, request: &Request, cache: &CacheView, address: &FileAddress) -> Result<Option<Answer>> {
    if let Ok(name) = DistributionFilename::parse(&address.filename)
        && let Some(reason) =
            crate::catalog::blocks::blocked(&*server.stores.borrow()?, &cache.view.name, &name, address.sha256)?
    {
        return Ok(Some(plain(StatusCode::GONE, reason)));
    }
    let Some(sha256) = &address.sha256 else { return Ok(None) };
    // Who may read one collection isn't told what others have.
    if access::readable(server, request)? != Readable::All {
        return Ok(None);
    }
    let is_known = server.stores.borrow()?.manifest.find_blob_by_sha256(sha256)?.is_some();
    Ok(is_known.then(|| plain(StatusCode::GONE, "it is not offered any more")))
}
