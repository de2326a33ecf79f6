//! Files that clients fetch from the bucket of a node's share: the answer is an address there, signed, that holds for some minutes.
//!
//! Who may have the file is decided before. Who has the address can fetch that one object until it ends, and nothing else.

use super::answer::{Body, Reason, plain, set};
use super::{Answer, Server};
use crate::error::{Error, Result};
use crate::manifest::BlobId;
use crate::store::Store;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, LAST_MODIFIED, LOCATION};
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// No bucket believes a signature for longer.
const MAX_SECONDS: u64 = 7 * 86_400;

/// No cache keeps an address longer than it holds, or gives it to others.
const NEVER_KEPT: &str = "private, no-store";

/// Makes sure that a store has a bucket that addresses can be signed of, and that they can hold so long.
pub(super) fn require(store: &Store, lasting: Duration) -> Result<()> {
    let Some(share) = store.share().filter(|share| share.is_in_bucket()) else {
        return Err(Error::Refused(format!(
            "{} is no node of a share in a bucket (s3://…, gs://…, az://…): files can't be redirected",
            store.root().display()
        )));
    };
    if lasting.as_secs() == 0 || lasting.as_secs() > MAX_SECONDS {
        return Err(Error::Refused("a redirect holds for a second to 7 days".to_owned()));
    }
    // Some credentials are good for requests and not for addresses.
    Ok(share.try_signing(lasting)?)
}

/// Returns an address of a blob's object; `None`: the file is given from here.
pub(super) fn address(server: &Server, blob: BlobId, lasting: Duration) -> Result<Option<String>> {
    let store = server.stores.borrow()?;
    let Some(row) = store.manifest.blob(blob)? else { return Ok(None) };
    let (Some(share), Some(generation)) = (store.share(), &row.generation) else { return Ok(None) };
    // Without credentials just now the file may still be here.
    Ok(share.signed_url(&row.blake3, generation, lasting).ok().flatten())
}

/// Makes the answer that a file is at an address.
pub(super) fn to(server: &Server, address: &str) -> Answer {
    let mut answer = plain(StatusCode::TEMPORARY_REDIRECT, "it is in the bucket");
    answer.extensions_mut().remove::<Reason>();
    set(&mut answer, LOCATION, address);
    set(&mut answer, CACHE_CONTROL, NEVER_KEPT);
    server.counters.redirects.add(1);
    answer
}

/// Makes the answer to who asks what a file is that is elsewhere, of what is told of the file here.
pub(super) fn about(mut headers: HeaderMap) -> Answer {
    // The bucket has validators of its own.
    for name in [ETAG, LAST_MODIFIED] {
        headers.remove(name);
    }
    let mut answer = Answer::new(Body::Bytes(Bytes::new()));
    *answer.headers_mut() = headers;
    set(&mut answer, CACHE_CONTROL, NEVER_KEPT);
    answer
}
