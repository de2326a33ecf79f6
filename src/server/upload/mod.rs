//! Uploads: forms as twine, uv and poetry send them, streamed into staging, checked, imported like any file.
//!
//! Fields come before the file and after it, so that a form is judged when it is there. Nothing of it chooses a path: the file lies in
//! staging under a name of our own. An upload that was answered with 200 is listed; one that was not has left nothing behind.

mod direct;
mod form;
mod promised;
mod wishes;
mod words;

use self::form::{Fault, Form, Reference};
use self::wishes::{Conflict, Wishes};
use super::access::{self, Readable};
use super::answer::{failure, plain};
use super::endpoint::{Endpoint, ViewName};
use super::{Answer, Borrowed, Request, Server, respond};
use crate::context::Context;
use crate::intake::{ImportedDistribution, Outcome, Target, Upload, UploadTerms};
use crate::manifest::TokenId;
use crate::name::CollectionName;
use crate::token::Scope;
use crate::wheel::DistributionFilename;
use crate::{budget, fs, ops};
use bytes::Bytes;
pub(super) use direct::require as require_bucket;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
pub(super) use promised::Promised;
use std::io;
use std::path::Path;
pub(super) use words::worded;

/// A piece of a form, in the order in which it comes.
#[derive(Debug)]
pub enum Piece {
    /// A field begins.
    Field {
        /// Its name.
        name: String,
        /// The filename that the client gives, if it is a file.
        filename: Option<String>,
    },
    /// Bytes of the field that began last.
    Data(Bytes),
}

/// Where an upload goes, and how.
struct Receiver<'a> {
    store: Borrowed<'a>,
    name: CollectionName,
    wishes: Wishes,
    /// Whose reach counts wherever the file goes; `None`: nobody's.
    token: Option<TokenId>,
}

impl Server {
    /// Answers an upload before its form is read: an error is an answer that needs no form.
    pub fn admit_upload(&self, request: &Request) -> Result<(), Answer> {
        self.receiver(request).map(|_| ()).map_err(|answer| worded(request.headers(), answer))
    }

    /// Takes an upload. An error among the pieces is the connection's.
    pub fn upload(&self, request: &Request, pieces: &mut dyn Iterator<Item = io::Result<Piece>>) -> Answer {
        let done = self.receiver(request).and_then(|receiver| self.take_file(request, &receiver, pieces));
        worded(request.headers(), done.unwrap_or_else(|answer| answer))
    }

    /// Finds out where an upload goes, and whether it may.
    fn receiver(&self, request: &Request) -> Result<Receiver<'_>, Answer> {
        access::refuse_other_sites(request)?;
        let endpoint = self.endpoint(request)?;
        let view = match &endpoint {
            Endpoint::Collection(view) | Endpoint::Root(view) | Endpoint::Legacy(view) => view,
            _ => return Err(respond::not_allowed(&endpoint)),
        };
        let ViewName { name, at: None } = view else {
            let text = format!("{view} is as it was; uploads go to {}", view.name);
            return Err(plain(StatusCode::METHOD_NOT_ALLOWED, text));
        };
        let wishes = Wishes::of_query(request.uri().query()).map_err(|text| plain(StatusCode::BAD_REQUEST, text))?;
        let scope = if wishes.conflict == Conflict::Replace { Scope::Admin } else { Scope::Upload };
        access::permit(self, request, scope, &endpoint)?;
        let token = access::limits(self, request, scope)?;
        let store = self.stores.borrow_for(&access::actor(self, request, "upload"));
        let store = store.map_err(|error| failure(&error))?;
        if !crate::catalog::search_order::is_known_variant(&store, name).map_err(|error| failure(&error))? {
            let text = format!("there is no collection {name}: `wcas collection create {name}` makes one");
            return Err(plain(StatusCode::NOT_FOUND, text));
        }
        if !store.is_writable() {
            return Err(plain(StatusCode::FORBIDDEN, "the server may only read its store"));
        }
        self.check_room(request, &store)?;
        Ok(Receiver { store, name: name.clone(), wishes, token })
    }

    /// Makes sure that the disk has room for what the client announces.
    fn check_room(&self, request: &Request, store: &Borrowed<'_>) -> Result<(), Answer> {
        let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if fs::has_room(store.root(), length.unwrap_or(0)) {
            return Ok(());
        }
        let text = format!("the server's disk has no room for the file ({})", budget::DISK_SPARE);
        Err(plain(StatusCode::INSUFFICIENT_STORAGE, text))
    }

    fn take_file(
        &self,
        request: &Request,
        receiver: &Receiver<'_>,
        pieces: &mut dyn Iterator<Item = io::Result<Piece>>,
    ) -> Result<Answer, Answer> {
        let store = &*receiver.store;
        // It goes, with what is in it, however this ends.
        let scratch = store.scratch().map_err(|error| failure(&error.into()))?;
        let path = scratch.dir().join("upload");
        let form = Form::read(pieces, &path, self.options.max_upload_bytes).map_err(Fault::answer)?;
        if let Some(reference) = form.reference().map_err(Fault::answer)? {
            return match self.refer(request, receiver, &reference)? {
                Some(answer) => Ok(answer),
                None => self.take_direct(request, receiver, &reference, &path),
            };
        }
        let filename = form.check().map_err(Fault::answer)?;
        self.take(request, receiver, &filename, &path)
    }

    /// Takes a file that came into staging.
    fn take(&self, request: &Request, receiver: &Receiver<'_>, filename: &str, path: &Path) -> Result<Answer, Answer> {
        let store = &*receiver.store;
        let terms = terms(receiver, filename)?;
        let who = store.manifest.actor().to_string();
        let context = Context { who: &who, ..self.context() };
        let done = crate::intake::upload(store, &context, path, filename, terms).map_err(|error| failure(&error))?;
        self.taken(request, receiver, filename, done)
    }

    /// Takes a file by its digest, where the store has it and whoever asks may read it; `None`: it is to be sent.
    fn refer(
        &self,
        request: &Request,
        receiver: &Receiver<'_>,
        reference: &Reference,
    ) -> Result<Option<Answer>, Answer> {
        let (store, Reference { filename, sha256, .. }) = (&*receiver.store, reference);
        let own = [receiver.name.clone()];
        let views = match access::readable(self, request).map_err(|error| failure(&error))? {
            Readable::All => None,
            Readable::Only(name) if name == receiver.name => Some(&own[..]),
            Readable::Only(_) | Readable::Nothing => return Ok(None),
        };
        let found = crate::catalog::listed_file::find_listed_anywhere(store, views, sha256, filename)
            .map_err(|error| failure(&error))?;
        let Some(entry) = found else { return Ok(None) };
        let terms = terms(receiver, filename)?;
        let who = store.manifest.actor().to_string();
        let context = Context { who: &who, ..self.context() };
        let done = crate::intake::refer(store, &context, &entry, terms).map_err(|error| failure(&error))?;
        done.map(|done| self.taken(request, receiver, filename, done)).transpose()
    }

    /// Answers with what became of an upload.
    fn taken(
        &self,
        request: &Request,
        receiver: &Receiver<'_>,
        filename: &str,
        done: Upload,
    ) -> Result<Answer, Answer> {
        let may_read = access::readable(self, request).is_ok_and(|readable| readable != Readable::Nothing);
        match done {
            Upload::Taken(distribution, warning) => {
                self.counters.uploads.add(1);
                Ok(plain(StatusCode::OK, taken(&distribution, warning)))
            }
            Upload::Existing(sha256) => {
                // Who may not read isn't told what is there.
                let sha256 = sha256.filter(|_| may_read);
                let digest = sha256.map(|digest| format!(", with sha256 digest '{digest}'")).unwrap_or_default();
                if receiver.wishes.conflict == Conflict::Keep {
                    return Ok(plain(StatusCode::OK, format!("kept what is there as '{filename}'{digest}")));
                }
                let text = format!(
                    "File already exists ('{filename}'{digest}). Use another version or build tag, or withdraw the old one."
                );
                Err(plain(StatusCode::BAD_REQUEST, text))
            }
            Upload::Forbidden(reason) => Err(plain(StatusCode::FORBIDDEN, reason)),
            Upload::Refused(reason) => Err(plain(StatusCode::BAD_REQUEST, format!("{filename}: {reason}"))),
        }
    }
}

/// Returns how a file is taken: a variant has its routes, a collection takes it itself, unless the run says whose the project is.
fn terms(receiver: &Receiver<'_>, filename: &str) -> Result<UploadTerms, Answer> {
    let Receiver { store, name, wishes, token } = receiver;
    let parsed = DistributionFilename::parse(filename);
    let parsed = parsed.map_err(|error| plain(StatusCode::BAD_REQUEST, crate::words::reason(&error)))?;
    let own = wishes.own(parsed.project());
    let router = ops::route::router(store, name, &own).map_err(|error| failure(&error))?;
    let is_routed = router.is_known || wishes.is_own.is_some() || wishes.made.is_prebuilt;
    let target = if is_routed { Target::Route(Box::new(router)) } else { Target::Collection(name.clone()) };
    Ok(UploadTerms {
        target,
        is_replacing: wishes.conflict == Conflict::Replace,
        is_builders: wishes.is_builders(),
        token: *token,
        made: wishes.made.clone(),
    })
}

/// Returns what is said of a file that was taken.
fn taken(distribution: &ImportedDistribution, warning: Option<String>) -> String {
    let ImportedDistribution { filename, collection, sha256, .. } = distribution;
    let done = match distribution.outcome {
        Outcome::Unchanged => "was there",
        Outcome::Replaced => "took the place of other bytes",
        Outcome::New | Outcome::Deduplicated | Outcome::Healed => "is there",
    };
    let warning = warning.map(|text| format!("; warning: {text}")).unwrap_or_default();
    format!("{filename} {done} in {collection}, with sha256 digest {sha256}{warning}")
}
