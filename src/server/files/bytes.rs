//! A file's bytes: looked at before they go out, or awaited while they come from the share.

use super::SMALL_BYTES;
use super::known::FileDecision;
use crate::error::Result;
use crate::fs::{self, Signature};
use crate::keep::health;
use crate::server::Server;
use crate::server::answer::Body;
use crate::server::flow::{FeedReader, Status, Trouble};
use bytes::Bytes;
use std::fs::Metadata;
use std::ops::Range;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// One of at least this size is given while it comes from the share; smaller ones are here at once.
const LARGE_BYTES: u64 = 1 << 20;
/// So long a client waits for the share's first bytes, and then for more as they come.
const PATIENCE: Duration = Duration::from_secs(45);

/// What came of looking for a file's bytes.
pub(super) enum FoundBytes {
    /// These are they, or will be.
    Body(Body),
    /// They are missing or wrong, which is recorded.
    Bad,
    /// They can't be fetched just now.
    Failed(Trouble),
}

/// Returns a range of a file's bytes; of a file that isn't here none, if only its headers are wanted.
pub(super) fn body(server: &Server, known: &FileDecision, range: &Range<u64>, is_head: bool) -> Result<FoundBytes> {
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
        return Ok(FoundBytes::Body(Body::Bytes(part(&bytes, range))));
    }
    let opened = server.files.blobs.open(&known.blake3).ok();
    let file = match opened.filter(|file| file.metadata().is_ok_and(|found| is_right(&found))) {
        Some(file) => file,
        None => {
            if let Some(coming) = coming(server, known, range, is_head)? {
                return Ok(coming);
            }
            let found = health::open_blob(&*server.stores.borrow()?, &known.blake3)?;
            let Some((file, signature)) = found else { return Ok(FoundBytes::Bad) };
            *right() = Some(signature);
            file
        }
    };
    let mut bytes = vec![0; if is_small { known.size as usize } else { 0 }];
    if is_small && fs::read_at_hand(&file, 0, &mut bytes) {
        let bytes = Bytes::from(bytes);
        server.files.small.insert(known.blake3, bytes.clone());
        return Ok(FoundBytes::Body(Body::Bytes(part(&bytes, range))));
    }
    Ok(FoundBytes::Body(Body::File(file, range.clone())))
}

/// Returns a range of a file that the share has, while it comes; `None`: it is looked for otherwise.
fn coming(server: &Server, known: &FileDecision, range: &Range<u64>, is_head: bool) -> Result<Option<FoundBytes>> {
    let is_large = known.size >= LARGE_BYTES;
    if !(is_head || is_large) || !health::is_elsewhere(&*server.stores.borrow()?, &known.blake3)? {
        return Ok(None);
    }
    if is_head {
        return Ok(Some(FoundBytes::Body(Body::Bytes(Bytes::new()))));
    }
    let Some(feed) = server.fetches.open(known.blake3, known.size) else { return Ok(None) };
    feed.wait(Instant::now() + PATIENCE);
    Ok(match feed.status() {
        Status::Running => {
            let reader = FeedReader::new(feed, Some(range.clone()), Some(known.size));
            Some(FoundBytes::Body(Body::Feed(reader)))
        }
        Status::Done(_) => None,
        Status::Failed(trouble) => Some(FoundBytes::Failed(trouble)),
    })
}

/// Returns a range of bytes that is within them.
fn part(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    bytes.slice(range.start as usize..range.end as usize)
}
