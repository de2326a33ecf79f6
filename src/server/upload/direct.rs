//! Files that a builder puts into the bucket of the store's share by itself, so that gigabytes pass no server on their way there.
//!
//! A reference with `direct=yes` is answered by a signed request (202), and taken when it comes again, once the file is there. Nobody
//! else's eyes see it before: it is read, hashed and judged here as if it had come in a form, and only then a blob.

use super::Receiver;
use super::form::{Fault, Reference};
use crate::digest::Hasher;
use crate::manifest::ActorKind;
use crate::server::answer::{Body, failure, plain, set};
use crate::server::{Answer, Request, Server};
use crate::share::{Incoming, Share, SignedPut};
use crate::store::Store;
use crate::{error, fs};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// An address holds so long; what has begun by then may end.
pub(super) const LASTING: Duration = Duration::from_secs(900);

#[derive(Serialize)]
struct Put<'a> {
    url: &'a str,
    headers: BTreeMap<&'a str, &'a str>,
    size: u64,
    expires_in: u64,
}

/// What is there of a file that somebody was to put.
enum Found {
    Nothing,
    /// Its bytes are in staging, and the right ones.
    File,
    Wrong(String),
}

/// Makes sure that a store has a bucket that others can put files into.
pub(in crate::server) fn require(store: &Store) -> error::Result<()> {
    let root = store.root().display();
    let why = match store.share() {
        Some(share) if share.takes_puts() => return Ok(()),
        Some(share) if share.is_in_bucket() => format!(
            "an address in {} can't be made to hold for one file alone, as it can in s3://: uploads go through the server",
            share.url()
        ),
        _ => format!("{root} is no node of a share in a bucket (s3://…): nothing can be put into it"),
    };
    Err(error::Error::Refused(why))
}

impl Server {
    /// Takes a file that its builder has put into the bucket, or tells how to put it there; 404: it is to be sent.
    pub(super) fn take_direct(
        &self,
        request: &Request,
        receiver: &Receiver<'_>,
        reference: &Reference,
        path: &Path,
    ) -> Result<Answer, Answer> {
        let (store, Reference { filename, sha256, direct }) = (&*receiver.store, reference);
        let send =
            || plain(StatusCode::NOT_FOUND, format!("{filename} with sha256 digest {sha256} isn't here: send it"));
        let size = direct.filter(|_| self.options.takes_direct).ok_or_else(send)?;
        // An address is for who can be told from others.
        let actor = store.manifest.actor();
        let token = actor.id.filter(|_| actor.kind == ActorKind::Token).ok_or_else(send)?;
        let share = store.share().ok_or_else(send)?;
        let limit = self.options.max_upload_bytes;
        if size > limit {
            return Err(Fault::too_large(limit).answer());
        }
        let incoming = Incoming { token, sha256 };
        let fetched = fetch(share, &incoming, size, path).map_err(|error| failure(&error))?;
        let done = match fetched {
            // Who has put much that isn't taken sends the rest.
            Found::Nothing if !self.promised.admits(token, sha256, size, self.now()) => return Err(send()),
            Found::Nothing => {
                let put = share.signed_put(&incoming, size, LASTING).map_err(|error| failure(&error.into()))?;
                return Ok(offer(&put.ok_or_else(send)?, size));
            }
            Found::Wrong(why) => Err(plain(StatusCode::BAD_REQUEST, format!("{filename}: {why}"))),
            Found::File => {
                self.counters.direct_uploads.add(1);
                self.take(request, receiver, filename, path)
            }
        };
        // What the server couldn't do now is tried again with what is there.
        let is_over = done.as_ref().err().is_none_or(|answer| answer.status().is_client_error());
        if is_over {
            // Where it can't be removed now, it goes within days.
            let _ = share.remove_incoming(&incoming);
            self.promised.taken(token, sha256, self.now());
        }
        done
    }
}

/// Makes the answer that tells how a file is put.
fn offer(put: &SignedPut, size: u64) -> Answer {
    let headers = put.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let put = Put { url: &put.url, headers, size, expires_in: LASTING.as_secs() };
    let text = serde_json::to_vec(&serde_json::json!({ "put": put })).expect("texts are JSON");
    let mut answer = Answer::new(Body::Bytes(text.into()));
    *answer.status_mut() = StatusCode::ACCEPTED;
    set(&mut answer, CONTENT_TYPE, "application/json");
    set(&mut answer, CACHE_CONTROL, "private, no-store");
    answer
}

/// Brings what was put into staging, if it is what was announced.
fn fetch(share: &Share, incoming: &Incoming<'_>, size: u64, path: &Path) -> error::Result<Found> {
    match share.incoming_size(incoming)? {
        None => return Ok(Found::Nothing),
        Some(there) if there == size => {}
        Some(there) => return Ok(Found::Wrong(format!("what was put has {there} bytes, and not {size}"))),
    }
    let file = fs::create_new(path, fs::FILE)?;
    let mut room = fs::Lease::new(fs::parent(path));
    room.cover(size)?;
    let (mut hasher, mut bytes) = (Hasher::default(), 0);
    let is_there = share.read_incoming(incoming, &mut |part| {
        bytes += part.len() as u64;
        if bytes > size {
            // It was put again meanwhile.
            return Err(fs::Error::at("fetch to", path)(std::io::Error::other("it is larger than it should be")));
        }
        hasher.update(part);
        fs::append(&file, path, part)
    })?;
    let sha256 = hasher.finish().sha256;
    if is_there && sha256 != *incoming.sha256 {
        return Ok(Found::Wrong(format!("what was put has another sha256_digest, {sha256}, than announced")));
    }
    Ok(if is_there { Found::File } else { Found::Nothing })
}
