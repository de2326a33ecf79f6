//! Remotes: a collection that lacks a file asks other indexes for it, in order.
//!
//! Whatever goes wrong with a remote is a note, and the next one is asked; only the store's own faults are errors. A file is taken
//! when its page, its digest and the guard of the collection admit it, and it is imported like any other: next time it is local.
//! A project that a nearer collection has is not looked for farther away (dependency confusion).

mod choose;
mod fetch;
mod list;
mod moved;
pub(in crate::ops) mod page;
mod probe;
mod seen;
mod through;
mod way;
mod yanks;

pub(super) use choose::Wanted;
use choose::complaints;
pub use list::{PullOptions, PullReport, Pulled, Unmet, Want, pull};
pub use probe::{ProbeReport, Sample, test_remote};
pub(super) use seen::remotes_of;
pub use seen::{RemoteFile, RemoteSight};
pub use through::{Offer, Refusal, Told, pull_through, remote_metadata, sidecar_of};

use super::lookup::{self, LookupOptions};
use super::reach::Reach;
use super::{Context, reason};
use crate::error::{Error, Result};
use crate::index::read::ListedFile;
use crate::manifest::{CollectionRow, RemoteOutcome, RemoteRow, Transaction};
use crate::name::{ProjectName, RemoteName};
use crate::ops::import::{ImportedDistribution, Target};
use crate::remote::{Client, LazyClient};
use crate::store::Store;
use fetch::{Task, bring, count, note};
use page::Answer;
use serde::Serialize;

/// How many files of one remote are tried before the next remote is asked.
const TRIES: usize = 3;

/// What a remote said, when it gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullNote {
    /// The remote.
    pub remote: RemoteName,
    /// What it said, or why it wasn't asked.
    pub text: String,
}

/// A collection whose remotes are asked, and its place in the order.
pub(super) struct Asked<'a> {
    pub(super) collection: &'a CollectionRow,
    pub(super) place: usize,
    pub(super) reach: &'a Reach<'a>,
}

/// Asks a collection's remotes, in order, for the best file that a lookup may have, and brings it into the collection.
pub(super) fn find(
    store: &Store,
    context: &Context<'_>,
    asked: &Asked<'_>,
    options: &LookupOptions,
    notes: &mut Vec<PullNote>,
) -> Result<Option<(RemoteName, ImportedDistribution)>> {
    if !store.is_writable() {
        return Ok(None);
    }
    let target = Target::of_pulls(&store.manifest, options.variant.as_ref(), &asked.collection.name)?;
    let give = |client: &Client, task: &Task<'_>| bring(store, context, client, task, &target);
    first(store, context, asked, options, notes, give)
}

/// A filename and its METADATA.
type Metadata = (String, Vec<u8>);

/// Asks a collection's remotes, in order, for the METADATA of the best file that a lookup may have; the file stays where it is.
pub(super) fn find_metadata(
    store: &Store,
    context: &Context<'_>,
    asked: &Asked<'_>,
    options: &LookupOptions,
    notes: &mut Vec<PullNote>,
) -> Result<Option<(RemoteName, Metadata)>> {
    let give = |client: &Client, task: &Task<'_>| {
        let bytes = client.metadata(&task.source, &task.file);
        Ok(bytes.map(|bytes| (task.file.name.as_str().to_owned(), bytes)).map_err(|failure| reason(&failure)))
    };
    first(store, context, asked, options, notes, give)
}

/// Offers the files of a collection's remotes, the best first, until one is taken. The inner error is the reason why one isn't.
fn first<T>(
    store: &Store,
    context: &Context<'_>,
    asked: &Asked<'_>,
    options: &LookupOptions,
    notes: &mut Vec<PullNote>,
    give: impl Fn(&Client, &Task<'_>) -> Result<std::result::Result<T, String>>,
) -> Result<Option<(RemoteName, T)>> {
    let (Some(project), Some(lazy)) = (lookup::project(&options.spec), context.client) else { return Ok(None) };
    let wanted = Wanted { spec: &options.spec, filter: &options.filter, sha256: &[], now: context.now };
    for remote in store.manifest.remotes_of(asked.collection.id)? {
        if let Some(reason) = asked.reach.objection(asked.place, &remote) {
            notes.push(note(&remote, format!("not asked: {reason}")));
            continue;
        }
        let Some(page) = ask(store, context, lazy, &remote, &project, &wanted, notes)? else { continue };
        let Ok(source) = page::source(&remote) else { continue };
        let (mut good, unfit) = wanted.choose(&remote, &source, &page);
        good.retain(|file| admit(asked.reach, &remote, file, notes));
        if good.is_empty() {
            notes.extend(complaints(&unfit).into_iter().map(|text| note(&remote, text)));
            count(store, context, &remote, RemoteOutcome::Miss, 0, 0);
        }
        for file in good.into_iter().take(TRIES) {
            let client = match lazy.get() {
                Ok(client) => client,
                Err(error) => {
                    notes.push(note(&remote, reason(error)));
                    break;
                }
            };
            let task = Task { remote: &remote, source: source.clone(), file: file.clone() };
            match give(client, &task)? {
                Ok(given) => return Ok(Some((remote.name, given))),
                Err(reason) => notes.push(note(&remote, format!("{}: {reason}", file.name.as_str()))),
            }
        }
    }
    Ok(None)
}

/// Returns the client, for verbs that are nothing without one.
fn client<'a>(context: &Context<'a>) -> Result<&'a Client> {
    let Some(lazy) = context.client else {
        return Err(Error::Refused("this asks remotes, and none may be asked".to_owned()));
    };
    lazy.get().map_err(|error| Error::Refused(reason(error)))
}

/// Returns a remote's page of a project, if it has one. What is remembered is told without a client, which takes time to make.
fn ask(
    store: &Store,
    context: &Context<'_>,
    lazy: &LazyClient,
    remote: &RemoteRow,
    project: &ProjectName,
    wanted: &Wanted<'_>,
    notes: &mut Vec<PullNote>,
) -> Result<Option<crate::index::read::ListedPage>> {
    let answer = match page::prepare(&store.manifest, remote, project, context.now)? {
        Err(answer) => answer,
        Ok(question) => match question.remembered(|page| page.files.iter().any(|file| wanted.means(file))) {
            Some(answer) => answer,
            None => match lazy.get() {
                Ok(client) => {
                    let (answer, fetched) = question.fetch(client);
                    // A page that can't be remembered is asked for again; the answer stands.
                    let record = |transaction: &Transaction<'_>| fetched.record(transaction, remote, context.now);
                    let _ = store.manifest.write_relaxed(record);
                    answer
                }
                Err(error) => Answer::Failed(reason(error)),
            },
        },
    };
    Ok(match answer {
        Answer::Page(page, stale) => {
            notes.extend(stale.map(|reason| note(remote, format!("{reason}; its remembered page is used"))));
            Some(page)
        }
        Answer::Absent => {
            count(store, context, remote, RemoteOutcome::Miss, 0, 0);
            None
        }
        Answer::Excluded => None,
        Answer::Failed(reason) => {
            count(store, context, remote, RemoteOutcome::Failure, 0, 0);
            notes.push(note(remote, reason));
            None
        }
    })
}

/// Tells whether a remote's file may be taken; why one may not is a note.
fn admit(reach: &Reach<'_>, remote: &RemoteRow, file: &ListedFile, notes: &mut Vec<PullNote>) -> bool {
    let objection = reach.file_objection(remote, file);
    let is_admitted = objection.is_none();
    notes.extend(objection.map(|reason| note(remote, format!("{}: {reason}", file.name.as_str()))));
    is_admitted
}
