//! Remotes: a collection that lacks a file asks other indexes for it, in order.
//!
//! Whatever goes wrong with a remote is a note, and the next one is asked; only the store's own faults are errors. A file is taken
//! when its page, its digest and the guard of the collection admit it, and it is imported like any other: next time it is local.
//! A project that a nearer collection has is not looked for farther away (dependency confusion).

pub(crate) mod choose;
pub(crate) mod fetch;
pub mod listing;
pub(crate) mod moved;
pub(crate) mod page;
mod patience;
mod probe;
mod seen;
mod signed_list;
pub(crate) mod task;
mod through;
pub(crate) mod way;
mod yanks;

pub(crate) use choose::FileQuery;
use choose::complaints;
pub(crate) use patience::Patience;
pub use probe::{ProbeReport, Sample, SignedSample, test_remote};
pub use seen::{RemoteFile, RemoteSight};
pub(crate) use seen::{remembered_versions, remotes_of};
pub use through::{KnownMetadata, Offer, Refusal, pull_through, remote_metadata, sidecar_of};

use crate::catalog::reach::Reach;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::index::read::ListedFile;
use crate::intake::{ImportedDistribution, Target};
use crate::manifest::{CollectionRow, PageFailure, RemoteOutcome, RemoteRow, Setback, Transaction};
use crate::name::{CollectionName, ProjectName, RemoteName};
use crate::remote::{Client, LazyClient};
use crate::store::Store;
use crate::words::reason;
pub(crate) use fetch::note;
use fetch::{bring, count};
use page::Answer;
use serde::Serialize;
use std::time::Instant;
use task::Task;

/// Where a collection of a wcas says what it has, beside its pages.
pub(crate) const REVISION_TEXT: &str = "revision.txt";

/// How many files of one remote are tried before the next remote is asked.
pub(crate) const TRIES: usize = 3;

/// What a remote said, when it gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullNote {
    /// The remote.
    pub remote: RemoteName,
    /// What it said, or why it wasn't asked.
    pub text: String,
    /// Whether waiting won't help.
    #[serde(skip)]
    pub is_lasting: bool,
    /// The farther collections that have what is asked for, and don't answer because this one may hide that.
    #[serde(skip)]
    pub hides: Vec<CollectionName>,
}

impl PullNote {
    /// Makes a note of what a remote said.
    pub(crate) fn new(remote: &RemoteRow, text: impl Into<String>) -> Self {
        Self { remote: remote.name.clone(), text: text.into(), is_lasting: false, hides: Vec::new() }
    }
}

/// A collection whose remotes are asked, and its place in the order.
pub(crate) struct AskedCollection<'a> {
    pub(crate) collection: &'a CollectionRow,
    pub(crate) place: usize,
    pub(crate) reach: &'a Reach<'a>,
    pub(crate) patience: &'a Patience,
}

/// Asks a collection's remotes, in order, for the best file that is wanted, and brings it into the collection, or where a variant's
/// rules send it.
pub(crate) fn find(
    store: &Store,
    context: &Context<'_>,
    asked: &AskedCollection<'_>,
    (wanted, variant): (&FileQuery<'_>, Option<&CollectionName>),
    notes: &mut Vec<PullNote>,
) -> Result<Option<(RemoteName, ImportedDistribution)>> {
    if !store.is_writable() {
        return Ok(None);
    }
    let target = Target::of_pulls(&store.manifest, variant, &asked.collection.name)?;
    let give = |client: &Client, task: &Task<'_>| bring(store, context, client, task, &target);
    first(store, context, asked, wanted, notes, give)
}

/// A filename and its METADATA.
type Metadata = (String, Vec<u8>);

/// Asks a collection's remotes, in order, for the METADATA of the best file that is wanted; the file stays where it is.
pub(crate) fn find_metadata(
    store: &Store,
    context: &Context<'_>,
    asked: &AskedCollection<'_>,
    wanted: &FileQuery<'_>,
    notes: &mut Vec<PullNote>,
) -> Result<Option<(RemoteName, Metadata)>> {
    let give = |client: &Client, task: &Task<'_>| {
        let bytes = client.metadata(&task.source, &task.file);
        Ok(bytes.map(|bytes| (task.file.name.as_str().to_owned(), bytes)).map_err(|failure| reason(&failure)))
    };
    first(store, context, asked, wanted, notes, give)
}

/// Offers the files of a collection's remotes, the best first, until one is taken. The inner error is the reason why one isn't.
fn first<T>(
    store: &Store,
    context: &Context<'_>,
    asked: &AskedCollection<'_>,
    wanted: &FileQuery<'_>,
    notes: &mut Vec<PullNote>,
    give: impl Fn(&Client, &Task<'_>) -> Result<std::result::Result<T, String>>,
) -> Result<Option<(RemoteName, T)>> {
    let (Some(project), Some(lazy)) = (wanted.wish.project(), context.client) else { return Ok(None) };
    for remote in store.manifest.remotes_of(asked.collection.id)? {
        if !asked.patience.admits(remote.id) {
            continue;
        }
        if let Some(reason) = asked.reach.objection(asked.place, &remote) {
            notes.push(note(&remote, format!("not asked: {reason}")));
            continue;
        }
        let question = Query { remote: &remote, project: &project, wanted, patience: asked.patience };
        let Some(page) = ask(store, context, lazy, &question, notes)? else { continue };
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
pub(crate) fn client<'a>(context: &Context<'a>) -> Result<&'a Client> {
    let Some(lazy) = context.client else {
        return Err(Error::Refused("this asks remotes, and none may be asked".to_owned()));
    };
    lazy.get().map_err(|error| Error::Refused(reason(error)))
}

/// What a lookup asks a remote.
struct Query<'a> {
    remote: &'a RemoteRow,
    project: &'a ProjectName,
    wanted: &'a FileQuery<'a>,
    patience: &'a Patience,
}

/// Returns a remote's page of a project, if it has one. What is remembered is told without a client, which takes time to make.
fn ask(
    store: &Store,
    context: &Context<'_>,
    lazy: &LazyClient,
    query: &Query<'_>,
    notes: &mut Vec<PullNote>,
) -> Result<Option<crate::index::read::ListedPage>> {
    let Query { remote, project, wanted, patience } = query;
    let answer = match page::prepare(&store.manifest, remote, project, context.now)? {
        Err(answer) => answer,
        Ok(question) => match question.remembered(&store.manifest, |file| wanted.means(file))? {
            Some(answer) => answer,
            None => match lazy.get() {
                Ok(client) => fetch(store, context, client, &question, patience)?,
                Err(error) => Answer::Failed(reason(error)),
            },
        },
    };
    if !patience.is_first_try() && !matches!(answer, Answer::Failed(_)) {
        // It did answer, given the time.
        notes.retain(|note| note.remote != remote.name);
    }
    let page = match answer {
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
            // What it failed at in a hurry is counted already, and told in its place.
            let told = notes.iter_mut().find(|note| !patience.is_first_try() && note.remote == remote.name);
            match told {
                Some(told) => told.text = reason,
                None => {
                    count(store, context, remote, RemoteOutcome::Failure, 0, 0);
                    notes.push(note(remote, reason));
                }
            }
            return Ok(None);
        }
    };
    Ok(page)
}

/// Asks a remote for a page, as long as there is patience. One that is late is asked again when others have been.
fn fetch(
    store: &Store,
    context: &Context<'_>,
    client: &Client,
    question: &page::Question<'_>,
    patience: &Patience,
) -> Result<Answer> {
    let remote = question.remote;
    let Some(limit) = patience.limit() else {
        let mut fetched = question.fetch(client);
        let answer = fetched.answer(&store.manifest, remote)?;
        remember(store, context, remote, fetched);
        return Ok(answer);
    };
    // Another lookup has waited for it in vain.
    if let Some(failure) = question.recent_failure(&store.manifest)?.filter(is_to_be_spared) {
        let seconds = context.now - failure.failed_at;
        let text = format!("not asked, since it failed {seconds} s ago: {}", failure.reason);
        return Ok(match question.kept(&store.manifest)?.1 {
            Some(Answer::Page(page, _)) => Answer::Page(page, Some(text)),
            _ => Answer::Failed(text),
        });
    }
    let hurried = client.until(Instant::now() + limit);
    let mut fetched = question.fetch(&hurried);
    let answer = fetched.answer(&store.manifest, remote)?;
    if fetched.is_passing() {
        patience.put_off(remote.id);
    }
    fetched.set_late();
    remember(store, context, remote, fetched);
    Ok(answer)
}

fn is_to_be_spared(failure: &PageFailure) -> bool {
    matches!(failure.setback, Setback::Slow | Setback::Late)
}

/// Remembers what a remote said. A page that can't be remembered is asked for again; the answer stands.
fn remember(store: &Store, context: &Context<'_>, remote: &RemoteRow, fetched: page::Fetched) {
    let record = |transaction: &Transaction<'_>| fetched.record(transaction, remote, context.now);
    let _ = store.manifest.write_relaxed(record);
}

/// Tells whether a remote's file may be taken; why one may not is a note.
pub(crate) fn admit(reach: &Reach<'_>, remote: &RemoteRow, file: &ListedFile, notes: &mut Vec<PullNote>) -> bool {
    let objection = reach.file_objection(remote, file);
    let is_admitted = objection.is_none();
    notes.extend(objection.map(|reason| note(remote, format!("{}: {reason}", file.name.as_str()))));
    is_admitted
}
