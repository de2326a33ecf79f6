//! What clients are told of remotes: which one failed, and nothing of what it said.
//!
//! What a remote says may be another server's words: a redirect leads to whatever the server's machine can reach, and a status or the
//! title of a page would tell strangers what is there. The log has it. Who may not read a remote's collection isn't told its name.

use super::access::{self, Readable};
use super::answer::{Cause, plain, set, unavailable};
use super::{Answer, Request, Server};
use crate::error::Result;
use crate::name::{CollectionName, RemoteName};
use crate::supply::PullNote;
use http::StatusCode;
use http::header::RETRY_AFTER;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// The same is logged of a remote once in so many seconds: any number of clients may ask for what it has not.
const LOG_SECONDS: i64 = 60;
/// And so many different texts in that time: whoever asks for a project chooses a part of them.
const LOG_TEXTS: usize = 10;
/// So many remotes are remembered.
const MAX_REMEMBERED: usize = 1024;

/// What was logged of each remote since a time.
#[derive(Debug, Default)]
pub(super) struct Logged(Mutex<HashMap<RemoteName, (i64, Vec<String>)>>);

/// What a requester may know of remotes.
#[derive(Debug)]
pub(super) struct Discretion {
    readable: Readable,
    /// The remotes that may be named, where not all may be.
    named: BTreeMap<RemoteName, CollectionName>,
}

impl Discretion {
    /// Reads whose remotes are whose, where that matters.
    pub(super) fn of(server: &Server, request: &Request) -> Result<Self> {
        let readable = access::readable(server, request)?;
        let named = match readable {
            Readable::All => BTreeMap::new(),
            Readable::Only(_) | Readable::Nothing => {
                let rows = server.stores.borrow()?.manifest.remotes()?.into_iter();
                rows.map(|row| (row.name, row.collection_name)).collect()
            }
        };
        Ok(Self { readable, named })
    }

    /// Tells whether the requester may know of a collection.
    pub(super) fn may_read(&self, collection: &CollectionName) -> bool {
        self.readable.includes(collection)
    }

    /// Tells whether the requester may know of a remote. One that is gone may have been anybody's.
    pub(super) fn may_name(&self, remote: &RemoteName) -> bool {
        self.readable == Readable::All || self.named.get(remote).is_some_and(|collection| self.may_read(collection))
    }

    /// Tells the same of a remote by what it was called when it gave something.
    pub(super) fn may_name_one_called(&self, remote: &str) -> bool {
        self.readable == Readable::All || remote.parse().is_ok_and(|remote| self.may_name(&remote))
    }

    /// Returns what a remote is called for the requester.
    pub(super) fn subject(&self, remote: &RemoteName) -> String {
        if self.may_name(remote) { format!("the remote {remote}") } else { "a remote".to_owned() }
    }

    /// Returns the names among some, as a header has them, that the requester may know; those that it may not are one "-".
    pub(super) fn names(&self, names: &str) -> String {
        let mut told: Vec<&str> = names.split(", ").collect();
        told.iter_mut().for_each(|name| {
            if !self.may_name_one_called(name) {
                *name = "-";
            }
        });
        told.dedup();
        told.join(", ")
    }
}

impl Readable {
    /// Tells whether a view may be read.
    pub(super) fn includes(&self, name: &CollectionName) -> bool {
        match self {
            Self::All => true,
            Self::Only(only) => only == name,
            Self::Nothing => false,
        }
    }
}

/// Answers that remotes which may have something can't be asked.
pub(super) fn unasked(server: &Server, request: &Request, notes: &[PullNote]) -> Result<Answer> {
    let discretion = Discretion::of(server, request)?;
    let mut subjects: Vec<String> = notes.iter().map(|note| discretion.subject(&note.remote)).collect();
    subjects.dedup();
    let subjects = subjects.join(", ");
    let is_lasting = !notes.is_empty() && notes.iter().all(|note| note.is_lasting);
    let mut text = match is_lasting {
        true => format!("{subjects} may have it and refuses to be asked, which waiting won't change"),
        false => format!("{subjects} may have it and can't be asked just now"),
    };
    text.push_str("; the server's log says why");
    let hidden: Vec<String> = farther(&discretion, notes).iter().map(ToString::to_string).collect();
    if !hidden.is_empty() {
        text.push_str(&format!(
            ". {} has it, farther away: a remote that is set --optional lets that answer",
            hidden.join(", ")
        ));
    }
    // Clients wait for what says so, and for what is 5xx: for minutes, without a word.
    let mut answer = if is_lasting { plain(StatusCode::FAILED_DEPENDENCY, text) } else { unavailable(text) };
    if !is_lasting {
        set(&mut answer, RETRY_AFTER, "30");
    }
    log(server, &mut answer, notes);
    Ok(answer)
}

/// Returns the collections that have what is asked for and are hidden by remotes that fail, as far as the requester may know of them.
pub(super) fn farther<'a>(discretion: &Discretion, notes: &'a [PullNote]) -> BTreeSet<&'a CollectionName> {
    notes.iter().flat_map(|note| &note.hides).filter(|name| discretion.may_read(name)).collect()
}

/// Leaves what remotes said to the log, unless it was there a moment ago or they said a lot since.
pub(super) fn log(server: &Server, answer: &mut Answer, notes: &[PullNote]) {
    let now = server.now();
    let mut logged = server.logged.0.lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = |note: &&PullNote| {
        if logged.len() >= MAX_REMEMBERED && !logged.contains_key(&note.remote) {
            logged.clear();
        }
        let (since, texts) = logged.entry(note.remote.clone()).or_default();
        if !(0..LOG_SECONDS).contains(&(now - *since)) {
            *since = now;
            texts.clear();
        }
        let is_new = texts.len() < LOG_TEXTS && !texts.contains(&note.text);
        if is_new {
            texts.push(note.text.clone());
        }
        is_new
    };
    let texts: Vec<String> =
        notes.iter().filter(is_new).map(|note| format!("the remote {}: {}", note.remote, note.text)).collect();
    if !texts.is_empty() {
        answer.extensions_mut().insert(Cause(texts.join("; ")));
    }
}
