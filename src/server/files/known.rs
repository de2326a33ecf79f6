//! What was decided of files, and is remembered until the manifest changes.

use super::SMALL_BYTES;
use crate::blobs::Blobs;
use crate::digest::{Blake3, Sha256};
use crate::error::Result;
use crate::fs::Signature;
use crate::manifest::{BlobId, Entry};
use crate::name::CollectionName;
use crate::server::access::{self, Readable};
use crate::server::answer::{Body, USUAL_HEADERS, describe, set, sign};
use crate::server::bounded_cache::BoundedCache;
use crate::server::conditional::Representation;
use crate::server::counters::Tally;
use crate::server::downloads::DownloadCount;
use crate::server::endpoint::FileAddress;
use crate::server::{Answer, Request, Server};
use crate::store::Store;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

/// So many decisions are remembered.
const MAX_KNOWN: usize = 4096;
/// So many bytes of small files are remembered, too: opening, reading and closing one takes longer than all else about it.
const MAX_SMALL_BYTES: usize = 8 << 20;

/// A file's address, and the one view that counts for whoever may read no other.
type FileKey = (FileAddress, Option<CollectionName>);

/// What is remembered of files.
#[derive(Debug)]
pub(in crate::server) struct KnownFiles {
    pub(super) blobs: Blobs,
    pub(super) known: BoundedCache<FileKey, Arc<FileDecision>>,
    /// The same by the paths that were asked for, so that a hot file's path isn't parsed again.
    pub(super) paths: BoundedCache<Box<str>, Arc<FileDecision>>,
    /// A version of the manifest, and all views' stamp at it.
    pub(super) stamp: Mutex<Option<(i64, u64)>>,
    pub(super) small: BoundedCache<Blake3, Bytes>,
}

/// What was decided of a file.
#[derive(Debug)]
pub(super) struct FileDecision {
    /// The manifest's version at which it was last known to hold.
    pub(super) version: AtomicI64,
    /// What all views' stamp was before it was decided.
    pub(super) stamp: u64,
    pub(super) filename: String,
    pub(super) blob: BlobId,
    pub(super) blake3: Blake3,
    pub(super) size: u64,
    pub(super) modified: i64,
    pub(super) etag: String,
    /// What every answer with its bytes tells.
    pub(super) headers: HeaderMap,
    pub(super) metadata: Option<Sha256>,
    pub(super) tally: Arc<Tally>,
    pub(super) downloads: DownloadCount,
    /// The stat of the file whose bytes are known to be right.
    pub(super) signature: Mutex<Option<Signature>>,
    /// The day on which it was last noted as used.
    pub(super) used_day: AtomicI64,
}

impl KnownFiles {
    /// Takes the store's folder.
    pub(in crate::server) fn new(root: &Path) -> Self {
        Self {
            blobs: Blobs::new(root),
            known: BoundedCache::of_things(MAX_KNOWN),
            paths: BoundedCache::of_things(MAX_KNOWN),
            stamp: Mutex::default(),
            small: BoundedCache::of_bytes(MAX_SMALL_BYTES, SMALL_BYTES as usize / 4, Bytes::len),
        }
    }

    /// Tells whether a decision still holds, as far as that is known without SQL.
    pub(super) fn holds(&self, known: &FileDecision, version: i64) -> bool {
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

impl FileDecision {
    pub(super) fn of(server: &Server, entry: Entry, version: i64, stamp: u64) -> Self {
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

    /// Counts the file as given.
    pub(super) fn count(&self, server: &Server) {
        self.tally.hit();
        self.downloads.fetch_add(1, Relaxed);
        let day = server.now().div_euclid(86_400);
        if self.used_day.swap(day, Relaxed) != day {
            server.counters.used(self.blob);
        }
    }
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

/// Finds what the store has of a file that a view lists.
pub(super) fn find(server: &Server, request: &Request, address: &FileAddress) -> Result<Option<Arc<FileDecision>>> {
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
