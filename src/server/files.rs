//! Files and their METADATA.
//!
//! A file is given when a view lists it (`crate::catalog::listed_file::find_listed`), under the digest that the URL names; its bytes are opened by their
//! BLAKE3 digest, never by anything that a client wrote, and looked at before they go out: a stat, and the bytes where the stat is
//! another than the known one. What was decided is remembered until the manifest changes, so that a hot file costs no SQL.

use super::access::{self, Readable};
use super::answer::{Body, USUAL_HEADERS, describe, failure, plain, set, sign, unavailable, without_bytes};
use super::bounded_cache::BoundedCache;
use super::coding::Coding;
use super::conditional::{Representation, Verdict, judge};
use super::counters::Tally;
use super::downloads::DownloadCount;
use super::endpoint::{Endpoint, FileAddress};
use super::flow::{FeedReader, Status, Trouble};
use super::{Answer, Request, Server, discretion, feed, near, redirect, sidecars};
use crate::blobs::Blobs;
use crate::catalog::view_contents::Shown;
use crate::digest::{Blake3, Sha256};
use crate::error::Result;
use crate::fs::{self, Signature};
use crate::manifest::{BlobId, Entry};
use crate::name::CollectionName;
use crate::store::Store;
use crate::supply::Offer;
use crate::supply::listing::{Ask, Asking, Recall, Sought, ViewFile};
use crate::wheel::DistributionFilename;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::collections::HashSet;
use std::fs::Metadata;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many decisions are remembered.
const MAX_KNOWN: usize = 4096;
/// So many bytes of small files are remembered, too: opening, reading and closing one takes longer than all else about it.
const MAX_SMALL_BYTES: usize = 8 << 20;
/// What the path of a sidecar has after the file's (PEP 658).
const METADATA: &str = ".metadata";
/// A file of at most this size is small.
const SMALL_BYTES: u64 = 32 << 10;
/// One of at least this size is given while it comes from the share; smaller ones are here at once.
const LARGE_BYTES: u64 = 1 << 20;
/// So long a client waits for the share's first bytes, and then for more as they come.
const PATIENCE: Duration = Duration::from_secs(45);

/// A file's address, and the one view that counts for whoever may read no other.
type FileKey = (FileAddress, Option<CollectionName>);

/// What is remembered of files.
#[derive(Debug)]
pub(super) struct Files {
    blobs: Blobs,
    known: BoundedCache<FileKey, Arc<FileDecision>>,
    /// The same by the paths that were asked for, so that a hot file's path isn't parsed again.
    paths: BoundedCache<Box<str>, Arc<FileDecision>>,
    /// A version of the manifest, and all views' stamp at it.
    stamp: Mutex<Option<(i64, u64)>>,
    small: BoundedCache<Blake3, Bytes>,
}

/// What was decided of a file.
#[derive(Debug)]
struct FileDecision {
    /// The manifest's version at which it was last known to hold.
    version: AtomicI64,
    /// What all views' stamp was before it was decided.
    stamp: u64,
    filename: String,
    blob: BlobId,
    blake3: Blake3,
    size: u64,
    modified: i64,
    etag: String,
    /// What every answer with its bytes tells.
    headers: HeaderMap,
    metadata: Option<Sha256>,
    tally: Arc<Tally>,
    downloads: DownloadCount,
    /// The stat of the file whose bytes are known to be right.
    signature: Mutex<Option<Signature>>,
    /// The day on which it was last noted as used.
    used_day: AtomicI64,
}

impl Files {
    /// Takes the store's folder.
    pub(super) fn new(root: &Path) -> Self {
        Self {
            blobs: Blobs::new(root),
            known: BoundedCache::of_things(MAX_KNOWN),
            paths: BoundedCache::of_things(MAX_KNOWN),
            stamp: Mutex::default(),
            small: BoundedCache::of_bytes(MAX_SMALL_BYTES, SMALL_BYTES as usize / 4, Bytes::len),
        }
    }

    /// Tells whether a decision still holds, as far as that is known without SQL.
    fn holds(&self, known: &FileDecision, version: i64) -> bool {
        if known.version.load(Relaxed) == version {
            return true;
        }
        // Whoever has the lock may be asking the manifest.
        let is_same = self.stamp.try_lock().is_ok_and(|stamp| *stamp == Some((version, known.stamp)));
        if is_same {
            known.version.store(version, Relaxed);
        }
        is_same
    }
}

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

impl FileDecision {
    fn of(server: &Server, entry: Entry, version: i64, stamp: u64) -> Self {
        let etag = format!("\"{}\"", entry.sha256);
        let of = Representation { etag: &etag, modified: Some(entry.uploaded_at), size: Some(entry.size) };
        let metadata = entry.sidecar();
        Self {
            headers: headers(&of),
            version: AtomicI64::new(version),
            stamp,
            filename: entry.filename,
            blob: entry.blob,
            blake3: entry.blake3,
            size: entry.size,
            modified: entry.uploaded_at,
            etag,
            metadata,
            tally: server.counters.tally(entry.collection.as_str(), ""),
            downloads: server.counters.downloads.of(entry.sha256, &entry.collection),
            signature: Mutex::default(),
            used_day: AtomicI64::new(i64::MIN),
        }
    }
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

/// Answers with a file that the store has not, or not under its digest, and a remote lists.
fn of_remote(server: &Server, request: &Request, address: &FileAddress) -> Result<Option<Answer>> {
    let sought = {
        let store = server.stores.borrow()?;
        let readable = access::readable(server, request)?;
        let views = views(&store, address, &readable)?;
        let recall = Recall::default();
        let mut ask = server.ask(&store);
        if address.view.is_none() && is_own(&store, &address.filename)? {
            ask.asking = Asking::Remembered(&recall);
        }
        let sought = ask.seek(&views, address.sha256.as_ref(), &address.filename)?;
        if let (true, Sought::Listed(ViewFile::Remote(offer))) = (address.is_metadata, &sought) {
            let offers = disputed(ask, &views, address, offer)?;
            if !offers.is_empty() {
                return feed::whole_for_metadata(server, request, address, offers);
            }
        }
        sought
    };
    match sought {
        Sought::Listed(ViewFile::Remote(offer)) => feed::answer(server, request, address, *offer),
        Sought::Listed(ViewFile::Local(entry)) if address.sha256.is_none() => {
            unhashed(server, request, address, &entry.sha256)
        }
        Sought::Listed(ViewFile::Local(_)) | Sought::Nowhere => Ok(None),
        Sought::Unavailable(notes) => Ok(Some(discretion::unasked(server, request, &notes)?)),
    }
}

/// Returns all offers of a file if remotes of several views tell other METADATA of it: an address without a view doesn't say which of
/// them is believed, and the file itself, which its digest vouches for, settles it.
fn disputed(ask: Ask<'_>, views: &[Shown], address: &FileAddress, first: &Offer) -> Result<Vec<Offer>> {
    let (mut offers, recall) = (vec![first.clone()], Recall::default());
    let announced = |offer: &Offer| offer.file.sidecar.and_then(|sidecar| sidecar.sha256);
    for view in views {
        let ask = Ask { asking: Asking::Remembered(&recall), ..ask };
        let sought = ask.seek(std::slice::from_ref(view), address.sha256.as_ref(), &address.filename)?;
        if let Sought::Listed(ViewFile::Remote(offer)) = sought
            && offers.iter().all(|known| known.remote.id != offer.remote.id)
        {
            offers.push(*offer);
        }
    }
    let is_disputed = offers.iter().any(|offer| announced(offer) != announced(first));
    Ok(if is_disputed { offers } else { Vec::new() })
}

/// Tells whether a collection owns a file's project: whoever may not read that collection, and the remotes of others, needn't hear of
/// the name. A remote that has it, too, is known by its pages.
fn is_own(store: &Store, filename: &str) -> Result<bool> {
    let Ok(name) = DistributionFilename::parse(filename) else { return Ok(false) };
    let (rows, project) = (store.manifest.read()?, name.project());
    if rows.reservations(None)?.iter().any(|reservation| reservation.pattern.matches(project)) {
        return Ok(true);
    }
    for collection in rows.collections()? {
        if rows.owned_project(collection.id, project)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Answers with a file of the store, asked for at an address without a digest: that may give other bytes tomorrow.
pub(super) fn unhashed(
    server: &Server,
    request: &Request,
    address: &FileAddress,
    sha256: &Sha256,
) -> Result<Option<Answer>> {
    let mut answer = local(server, request, &FileAddress { sha256: Some(*sha256), ..address.clone() })?;
    if let Some(answer) = answer.as_mut().filter(|answer| answer.status() != StatusCode::TEMPORARY_REDIRECT) {
        set(answer, CACHE_CONTROL, "no-cache");
    }
    Ok(answer)
}

/// Returns the views that may list a file: those of remotes are asked for that.
fn views(store: &Store, address: &FileAddress, readable: &Readable) -> Result<Vec<Shown>> {
    if let Some(view) = &address.view {
        return Ok(vec![view.shown()]);
    }
    if let Readable::Only(name) = readable {
        return Ok(vec![Shown::known(name.clone())]);
    }
    let rows = store.manifest.read()?;
    let mut names: Vec<CollectionName> = rows.remotes()?.into_iter().map(|row| row.collection_name).collect();
    names.extend(rows.collections()?.into_iter().map(|row| row.name));
    names.extend(rows.variants()?.into_iter().map(|row| row.name));
    let mut known = HashSet::new();
    names.retain(|name| known.insert(name.clone()));
    Ok(names.into_iter().map(Shown::known).collect())
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
        count(server, known);
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
        Looked::Body(body) => body,
        Looked::Failed(trouble) => {
            let mut answer = feed::troubled(server, request, trouble);
            answer.extensions_mut().insert(Damaged);
            return Ok(Some(answer));
        }
        Looked::Bad => {
            server.counters.bad_blobs.add(1);
            let text = format!("the bytes of {} are damaged or missing: they need repair", known.filename);
            let mut answer = unavailable(text);
            answer.extensions_mut().insert(Damaged);
            return Ok(Some(answer));
        }
    };
    if *request.method() == Method::GET && range.start == 0 {
        count(server, known);
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

/// Returns what every answer with a file's bytes tells.
fn headers(of: &Representation<'_>) -> HeaderMap {
    let mut answer = Answer::new(Body::Bytes(Bytes::new()));
    answer.headers_mut().reserve(USUAL_HEADERS);
    describe(&mut answer, of);
    set(&mut answer, CONTENT_TYPE, "application/octet-stream");
    if let Some(size) = of.size {
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    // It is set again on the way out; where it has its place, the map needs not grow.
    sign(answer.headers_mut());
    answer.into_parts().0.headers
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

/// Finds what the store has of a file that a view lists.
fn find(server: &Server, request: &Request, address: &FileAddress) -> Result<Option<Arc<FileDecision>>> {
    let only = match access::readable(server, request)? {
        Readable::Only(name) if address.view.is_none() => Some(name),
        _ => None,
    };
    let key = (address.clone(), only);
    // Taken first: what changes while it is being decided makes the decision an old one.
    let version = server.stores.version()?;
    let stamp = stamp(server, version)?;
    let remembered = server.files.known.get(&key).filter(|known| known.stamp == stamp);
    if let Some(known) = remembered {
        known.version.store(version, Relaxed);
        return Ok(Some(known));
    }
    let store = server.stores.borrow()?;
    let Some(entry) = decide(&store, address, key.1.as_ref())? else { return Ok(None) };
    let known = Arc::new(FileDecision::of(server, entry, version, stamp));
    server.files.known.insert(key, known.clone());
    Ok(Some(known))
}

/// Returns all views' stamp at a version of the manifest. It is found once, and the others wait for it: most of what moves the
/// manifest's version are counts, which decide nothing.
fn stamp(server: &Server, version: i64) -> Result<u64> {
    let mut known = server.files.stamp.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, stamp)) = *known
        && at == version
    {
        return Ok(stamp);
    }
    let stamp = crate::supply::listing::stamp_of_all(&*server.stores.borrow()?)?;
    *known = Some((version, stamp));
    Ok(stamp)
}

/// Decides whether a file is given: what is listed is, and nothing else.
fn decide(store: &Store, address: &FileAddress, only: Option<&CollectionName>) -> Result<Option<Entry>> {
    let Some(sha256) = &address.sha256 else { return Ok(None) };
    match &address.view {
        Some(view) => crate::catalog::listed_file::find_listed(store, &view.shown(), sha256, &address.filename),
        None => crate::catalog::listed_file::find_listed_anywhere(
            store,
            only.map(std::slice::from_ref),
            sha256,
            &address.filename,
        ),
    }
}

/// What came of looking for a file's bytes.
enum Looked {
    /// These are they, or will be.
    Body(Body),
    /// They are missing or wrong, which is recorded.
    Bad,
    /// They can't be fetched just now.
    Failed(Trouble),
}

/// Returns a range of a file's bytes; of a file that isn't here none, if only its headers are wanted.
fn body(server: &Server, known: &FileDecision, range: &Range<u64>, is_head: bool) -> Result<Looked> {
    let right = || known.signature.lock().unwrap_or_else(PoisonError::into_inner);
    let last = *right();
    let is_right = |found: &Metadata| {
        last.is_some_and(|last| Signature::of(found).is_recorded(Some(last.inode), last.size, Some(last.modified_ns)))
    };
    let is_small = known.size <= SMALL_BYTES;
    if is_small
        && let Some(bytes) = server.files.small.get(&known.blake3)
        && server.files.blobs.stat(&known.blake3)?.is_some_and(|found| is_right(&found))
    {
        return Ok(Looked::Body(Body::Bytes(part(&bytes, range))));
    }
    let opened = server.files.blobs.open(&known.blake3).ok();
    let file = match opened.filter(|file| file.metadata().is_ok_and(|found| is_right(&found))) {
        Some(file) => file,
        None => {
            if let Some(coming) = coming(server, known, range, is_head)? {
                return Ok(coming);
            }
            let found = crate::keep::health::open_blob(&*server.stores.borrow()?, &known.blake3)?;
            let Some((file, signature)) = found else { return Ok(Looked::Bad) };
            *right() = Some(signature);
            file
        }
    };
    let mut bytes = vec![0; if is_small { known.size as usize } else { 0 }];
    if is_small && fs::read_at_hand(&file, 0, &mut bytes) {
        let bytes = Bytes::from(bytes);
        server.files.small.insert(known.blake3, bytes.clone());
        return Ok(Looked::Body(Body::Bytes(part(&bytes, range))));
    }
    Ok(Looked::Body(Body::File(file, range.clone())))
}

/// Returns a range of a file that the share has, while it comes; `None`: it is looked for otherwise.
fn coming(server: &Server, known: &FileDecision, range: &Range<u64>, is_head: bool) -> Result<Option<Looked>> {
    let is_large = known.size >= LARGE_BYTES;
    if !(is_head || is_large) || !crate::keep::health::is_elsewhere(&*server.stores.borrow()?, &known.blake3)? {
        return Ok(None);
    }
    if is_head {
        return Ok(Some(Looked::Body(Body::Bytes(Bytes::new()))));
    }
    let Some(feed) = server.fetches.open(known.blake3, known.size) else { return Ok(None) };
    feed.wait(Instant::now() + PATIENCE);
    Ok(match feed.status() {
        Status::Running => {
            let reader = FeedReader::new(feed, Some(range.clone()), Some(known.size));
            Some(Looked::Body(Body::Feed(reader)))
        }
        Status::Done(_) => None,
        Status::Failed(trouble) => Some(Looked::Failed(trouble)),
    })
}

/// Returns a range of bytes that is within them.
fn part(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    bytes.slice(range.start as usize..range.end as usize)
}

/// Counts a file as given.
fn count(server: &Server, known: &FileDecision) {
    known.tally.hit();
    known.downloads.fetch_add(1, Relaxed);
    let day = server.now().div_euclid(86_400);
    if known.used_day.swap(day, Relaxed) != day {
        server.counters.used(known.blob);
    }
}
