//! METADATA as it goes out, of files of the store and of remotes (PEP 658).

use super::answer::{Body, describe, set, without_bytes};
use super::bounded_cache::BoundedCache;
use super::coding::Coding;
use super::conditional::{Representation, Verdict, judge};
use super::{Answer, Request};
use crate::digest::Sha256;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};

/// So many bytes of sidecars are remembered.
const MAX_BYTES: usize = 4 << 20;
/// As many bytes has one usually.
const USUAL_BYTES: usize = 4 << 10;

/// What is remembered of METADATA, in each coding that was asked for.
#[derive(Debug)]
pub(super) struct Sidecars(BoundedCache<(Sha256, Coding), Bytes>);

impl Default for Sidecars {
    fn default() -> Self {
        Self(BoundedCache::of_bytes(MAX_BYTES, USUAL_BYTES, Bytes::len))
    }
}

impl Sidecars {
    /// Returns METADATA with this digest in a coding, if it is remembered.
    pub(super) fn get(&self, sha256: &Sha256, coding: Coding) -> Option<Bytes> {
        self.0.get(&(*sha256, coding))
    }

    /// Remembers it.
    pub(super) fn keep(&self, sha256: &Sha256, coding: Coding, bytes: &Bytes) {
        self.0.insert((*sha256, coding), bytes.clone());
    }

    /// Returns it in a coding, coded once.
    pub(super) fn coded(&self, sha256: &Sha256, coding: Coding, bytes: &Bytes) -> Bytes {
        self.get(sha256, coding).unwrap_or_else(|| {
            // Memory is all that coding needs; without it the server has other worries than a sidecar.
            let coded = coding.encode(bytes).unwrap_or_else(|_| bytes.clone());
            self.keep(sha256, coding, &coded);
            coded
        })
    }
}

/// Answers with METADATA, of which the digest is known and maybe when its file came, in a coding.
pub(super) fn answer(
    request: &Request,
    (sha256, modified): (&Sha256, Option<i64>),
    coding: Coding,
    coded: impl FnOnce() -> Bytes,
) -> Answer {
    let etag = format!("\"{sha256}{}\"", coding.suffix());
    let of = Representation { etag: &etag, modified, size: None };
    let verdict = judge(request.method(), request.headers(), &of);
    let mut answer = match verdict {
        Verdict::Whole | Verdict::Part(_) => {
            let mut answer = Answer::new(Body::Bytes(coded()));
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
