//! What a remote lists of a project, for an index: asked for at most once at a time, believed for a minute, left alone after a
//! failure.

use crate::error::Result;
use crate::index::read::{ListedFile, ListedPage};
use crate::manifest::{RemoteId, RemoteRow, Transaction};
use crate::name::ProjectName;
use crate::ops::pull::page::{Answer, FAILED_SECONDS, MISS_SECONDS};
use crate::ops::pull::{PullNote, page};
use crate::ops::{Context, reason};
use crate::remote::{Source, admit};
use crate::store::Store;
use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};

/// How remotes are asked.
#[derive(Debug, Clone, Copy)]
pub enum Asking<'a> {
    /// Not at all, as if there were none.
    Never,
    /// What they said before counts, however old; they are not asked.
    Remembered,
    /// They are asked where what they said is too old, each for a project by one thread at a time.
    Fresh(&'a Flights),
}

/// The questions that are on their way, so that many who want one page ask once.
#[derive(Debug, Default)]
pub struct Flights {
    running: Mutex<HashSet<(RemoteId, ProjectName)>>,
    landed: Condvar,
}

/// A question that this thread asks.
struct Flight<'a> {
    flights: &'a Flights,
    key: (RemoteId, ProjectName),
}

/// What a remote lists of a project; times are until when that holds, in seconds since 1970.
pub(super) enum Sight {
    /// It isn't asked for this project.
    Excluded,
    /// It has no such project.
    Absent { until: i64 },
    /// These files of it may be had; with a note when its page is an old one.
    Files { files: Vec<ListedFile>, until: i64, note: Option<PullNote> },
    /// It can't be asked, and nothing is remembered.
    Failed { note: PullNote, until: i64 },
}

impl Asking<'_> {
    /// Tells whether remotes count.
    pub(super) fn has_remotes(&self) -> bool {
        !matches!(self, Self::Never)
    }
}

impl Flights {
    /// Takes the right to ask; `None`: somebody else asked meanwhile, and may have the answer.
    fn start(&self, remote: RemoteId, project: &ProjectName) -> Option<Flight<'_>> {
        let key = (remote, project.clone());
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.insert(key.clone()) {
            return Some(Flight { flights: self, key });
        }
        while running.contains(&key) {
            running = self.landed.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.flights.landed.notify_all();
    }
}

/// Returns what a remote lists.
pub(super) fn look(
    store: &Store,
    context: &Context<'_>,
    remote: &RemoteRow,
    project: &ProjectName,
    asking: &Asking<'_>,
) -> Result<Sight> {
    let now = context.now;
    loop {
        let question = match page::prepare(&store.manifest, remote, project, now)? {
            Ok(question) => question,
            Err(Answer::Excluded) => return Ok(Sight::Excluded),
            Err(Answer::Failed(reason)) => return Ok(failed(remote, reason, now + FAILED_SECONDS)),
            Err(Answer::Absent) => return Ok(Sight::Absent { until: now + MISS_SECONDS }),
            Err(Answer::Page(page, _)) => return seen(store, context, remote, page, now + MISS_SECONDS, None),
        };
        let (fetched_at, kept) = question.kept();
        let until = fetched_at.map_or(now, |at| at.min(now)) + MISS_SECONDS;
        let is_fresh = fetched_at.is_some_and(|at| (0..MISS_SECONDS).contains(&(now - at)));
        if is_fresh || matches!(asking, Asking::Remembered) {
            return match kept {
                Some(Answer::Page(page, _)) => seen(store, context, remote, page, until.max(now + 1), None),
                _ => Ok(Sight::Absent { until: until.max(now + 1) }),
            };
        }
        if let Some((failed_at, text)) = question.recent_failure(&store.manifest)? {
            let until = (failed_at + FAILED_SECONDS).max(now + 1);
            return match kept {
                Some(Answer::Page(page, _)) => seen(store, context, remote, page, until, Some(text)),
                Some(Answer::Absent) => Ok(Sight::Absent { until }),
                _ => Ok(failed(remote, text, until)),
            };
        }
        let Asking::Fresh(flights) = asking else { return Ok(Sight::Excluded) };
        // Who waited for another's question looks at what it brought.
        let Some(_flight) = flights.start(remote.id, project) else { continue };
        let client = match context.client.map(|lazy| lazy.get()) {
            Some(Ok(client)) => client,
            Some(Err(error)) => return Ok(failed(remote, reason(error), now + FAILED_SECONDS)),
            None => return Ok(Sight::Excluded),
        };
        let (answer, fetched) = question.fetch(client);
        // A page that can't be remembered is asked for again; the answer stands.
        let record = |transaction: &Transaction<'_>| fetched.record(transaction, remote, now);
        let _ = store.manifest.write_relaxed(record);
        return match answer {
            Answer::Page(page, None) => seen(store, context, remote, page, now + MISS_SECONDS, None),
            Answer::Page(page, stale) => seen(store, context, remote, page, now + FAILED_SECONDS, stale),
            Answer::Absent => Ok(Sight::Absent { until: now + MISS_SECONDS }),
            Answer::Excluded => Ok(Sight::Excluded),
            Answer::Failed(text) => Ok(failed(remote, text, now + FAILED_SECONDS)),
        };
    }
}

fn failed(remote: &RemoteRow, text: String, until: i64) -> Sight {
    Sight::Failed { note: PullNote { remote: remote.name.clone(), text }, until }
}

/// Takes the files of a page that may be had.
fn seen(
    store: &Store,
    context: &Context<'_>,
    remote: &RemoteRow,
    page: ListedPage,
    until: i64,
    stale: Option<String>,
) -> Result<Sight> {
    let source = match page::source(remote) {
        Ok(source) => source,
        Err(reason) => return Ok(failed(remote, reason, until)),
    };
    let refusals = store.manifest.refusals(remote.id, context.now)?;
    let (mut files, mut until) = (page.files, until);
    files.retain(|file| {
        let is_refused = refusals.iter().any(|row| row.is_about(file.name.as_str(), file.sha256.as_ref()));
        !is_refused && may_be_had(remote, &source, file, context.now, &mut until)
    });
    let note = stale
        .map(|reason| PullNote { remote: remote.name.clone(), text: format!("{reason}; its remembered page is used") });
    Ok(Sight::Files { files, until, note })
}

/// Tells whether the settings of a remote let a file through; one that is too young shortens what holds until then.
fn may_be_had(remote: &RemoteRow, source: &Source, file: &ListedFile, now: i64, until: &mut i64) -> bool {
    if admit(source, file).is_err() {
        return false;
    }
    match (remote.settings.min_age, file.uploaded_at) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(age), Some(uploaded)) => {
            let ready = uploaded.saturating_add(age);
            if ready > now {
                *until = (*until).min(ready);
            }
            ready <= now
        }
    }
}
