//! What a remote lists of a project, for an index: asked for at most once at a time, believed for a minute, left alone after a
//! failure.

use crate::budget;
use crate::context::Context;
use crate::error::Result;
use crate::index::read::{ListedFile, ListedPage};
use crate::manifest::{RemoteId, RemoteRow, Setback, StatusRow, Transaction};
use crate::name::ProjectName;
use crate::remote::{Source, admit};
use crate::status::Status;
use crate::store::Store;
use crate::supply::PullNote;
use crate::supply::page::{self, Answer};
use crate::supply::patience::{FAILED_SECONDS, MISS_SECONDS};
use crate::words::reason;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How remotes are asked.
#[derive(Debug, Clone, Copy)]
pub enum Asking<'a> {
    /// Not at all, as if there were none.
    Never,
    /// What they said before counts, however old; they are not asked.
    Remembered(&'a Recall),
    /// They are asked where what they said is too old, each for a project by one thread at a time.
    Fresh(&'a Flights),
    /// The same until a time; who hasn't answered by then, or can't, is passed over.
    Brief {
        /// The questions on their way.
        flights: &'a Flights,
        /// When to go on without an answer.
        until: Instant,
    },
}

/// The questions that are on their way, so that many who want one page ask once.
#[derive(Debug, Default)]
pub struct Flights {
    running: Mutex<HashSet<(RemoteId, ProjectName)>>,
    /// How many threads ask each remote, or wait for what it says.
    waiting: Mutex<HashMap<RemoteId, u64>>,
    landed: Condvar,
    /// The remotes that took too long for who had little time, and since when.
    slow: Mutex<HashMap<RemoteId, Instant>>,
}

/// What flat pages said, read once for all projects that are looked for.
#[derive(Debug, Default)]
pub struct Recall(Mutex<HashMap<RemoteId, HashMap<ProjectName, Vec<ListedFile>>>>);

impl Recall {
    /// Returns the files that a remote's one page has of a project; `None`: the remote has a page for each.
    fn files(&self, store: &Store, remote: &RemoteRow, project: &ProjectName) -> Result<Option<Vec<ListedFile>>> {
        if !page::is_flat(remote) {
            return Ok(None);
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Vacant(place) = known.entry(remote.id) {
            let files = place.insert(HashMap::new());
            for file in page::flat_files(&store.manifest, remote)? {
                files.entry(file.name.project().clone()).or_default().push(file);
            }
        }
        Ok(Some(known[&remote.id].get(project).cloned().unwrap_or_default()))
    }
}

/// How long a remote that was too slow is left alone by those who have little time.
const SLOW: Duration = Duration::from_secs(FAILED_SECONDS.unsigned_abs());
/// So much of the time of those who have little a single remote gets.
const SHARE: Duration = Duration::from_millis(1200);
/// What is waited for without an end is looked at so often.
const LONG: Duration = Duration::from_secs(60);

/// Whether to ask.
enum Start<'a> {
    /// It is for this thread to ask.
    Own(Flight<'a>),
    /// Somebody else asked meanwhile, and may have the answer.
    Landed,
    /// Somebody else is asking still.
    Late,
}

/// A place among those who wait for remotes.
struct Wait<'a> {
    flights: &'a Flights,
    remote: RemoteId,
}

/// A question that this thread asks.
struct Flight<'a> {
    flights: &'a Flights,
    key: (RemoteId, ProjectName),
}

/// What a remote lists of a project; times are until when that holds, in seconds since 1970.
pub(crate) enum Sight {
    /// It isn't asked for this project.
    Excluded,
    /// It has no such project.
    Absent { until: i64 },
    /// These files of it may be had; with a note when its page is an old one.
    Files {
        files: Vec<ListedFile>,
        until: i64,
        note: Option<PullNote>,
        status: Option<StatusRow>,
        /// What it said changed what the store has.
        has_changed: bool,
    },
    /// It can't be asked, and nothing is remembered.
    Failed { note: PullNote, until: i64 },
}

impl Asking<'_> {
    /// Tells whether remotes count.
    pub(crate) fn has_remotes(&self) -> bool {
        !matches!(self, Self::Never)
    }
}

impl Flights {
    /// Takes the right to ask, unless somebody else is asking: then waits for what that brings, until a time.
    fn start(&self, remote: RemoteId, project: &ProjectName, until: Option<Instant>) -> Start<'_> {
        let key = (remote, project.clone());
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.insert(key.clone()) {
            return Start::Own(Flight { flights: self, key });
        }
        while running.contains(&key) {
            let left = until.map_or(LONG, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Start::Late;
            }
            running = self.landed.wait_timeout(running, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Start::Landed
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<RemoteId, u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place among those who wait for a remote; none, where it has its share of them.
    fn wait(&self, remote: RemoteId) -> Option<Wait<'_>> {
        let mut waiting = self.waiting();
        let own = waiting.get(&remote).copied().unwrap_or(0);
        if !budget::is_fair(budget::REMOTE_WAITS.limit, waiting.values().sum(), own) {
            return None;
        }
        waiting.insert(remote, own + 1);
        Some(Wait { flights: self, remote })
    }

    fn slow(&self) -> MutexGuard<'_, HashMap<RemoteId, Instant>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether a remote was too slow a moment ago.
    fn is_slow(&self, remote: RemoteId) -> bool {
        self.slow().get(&remote).is_some_and(|since| since.elapsed() < SLOW)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waiting = self.flights.waiting();
        if let Entry::Occupied(mut own) = waiting.entry(self.remote) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.flights.landed.notify_all();
    }
}

/// Returns what a remote lists.
pub(crate) fn look(
    store: &Store,
    context: &Context<'_>,
    remote: &RemoteRow,
    project: &ProjectName,
    asking: &Asking<'_>,
) -> Result<Sight> {
    let now = context.now;
    if let Asking::Remembered(recall) = asking
        && remote.includes(project)
        && let Some(files) = recall.files(store, remote, project)?
    {
        let page = ListedPage { files, ..ListedPage::default() };
        return seen(store, context, remote, project, page, now + MISS_SECONDS, None);
    }
    loop {
        let question = match page::prepare(&store.manifest, remote, project, now)? {
            Ok(question) => question,
            Err(Answer::Excluded) => return Ok(Sight::Excluded),
            Err(Answer::Failed(reason)) => return Ok(failed(remote, reason, now + FAILED_SECONDS)),
            Err(Answer::Absent) => return Ok(Sight::Absent { until: now + MISS_SECONDS }),
            Err(Answer::Page(page, _)) => return seen(store, context, remote, project, page, now + MISS_SECONDS, None),
        };
        let (fetched_at, kept) = question.kept(&store.manifest)?;
        let until = fetched_at.map_or(now, |at| at.min(now)) + MISS_SECONDS;
        let is_fresh = fetched_at.is_some_and(|at| (0..MISS_SECONDS).contains(&(now - at)));
        if is_fresh || matches!(asking, Asking::Remembered(_)) {
            return match kept {
                Some(Answer::Page(page, _)) => seen(store, context, remote, project, page, until.max(now + 1), None),
                Some(Answer::Failed(why)) => Ok(failed(remote, why, until.max(now + 1))),
                _ => Ok(Sight::Absent { until: until.max(now + 1) }),
            };
        }
        let before = question.recent_failure(&store.manifest)?;
        if let Some(failure) = before.filter(|failure| failure.setback != Setback::Late) {
            let (until, text) = ((failure.failed_at + FAILED_SECONDS).max(now + 1), failure.reason);
            return match kept {
                Some(Answer::Page(page, _)) => seen(store, context, remote, project, page, until, Some(text)),
                Some(Answer::Absent) => Ok(Sight::Absent { until }),
                _ => Ok(lasting(failed(remote, text, until), failure.setback == Setback::Lasting)),
            };
        }
        let (flights, end) = match asking {
            Asking::Fresh(flights) => (flights, None),
            // One that hangs leaves some of the time to the next.
            Asking::Brief { flights, until } => (flights, Some((*until).min(Instant::now() + SHARE))),
            Asking::Never | Asking::Remembered(_) => return Ok(Sight::Excluded),
        };
        let without = |text: String, until| match question.kept(&store.manifest)?.1 {
            Some(Answer::Page(page, _)) => seen(store, context, remote, project, page, until, Some(text)),
            _ => Ok(failed(remote, text, until)),
        };
        let late = || without("it takes too long to answer".to_owned(), now + FAILED_SECONDS);
        let is_over = |end: Instant| Instant::now() >= end;
        if end.is_some_and(|end| is_over(end) || flights.is_slow(remote.id)) {
            return late();
        }
        // Who waits has a thread, and so has everybody who waits for other remotes, or for none.
        let Some(_wait) = flights.wait(remote.id) else {
            let text = format!("too many requests wait for it ({})", budget::REMOTE_WAITS);
            return without(text, now + 1);
        };
        // Who waited for another's question looks at what it brought.
        let _flight = match flights.start(remote.id, project, end) {
            Start::Own(flight) => flight,
            Start::Landed => continue,
            Start::Late => return late(),
        };
        let client = match context.client.map(|lazy| lazy.get()) {
            Some(Ok(client)) => client,
            Some(Err(error)) => return Ok(failed(remote, reason(error), now + FAILED_SECONDS)),
            None => return Ok(Sight::Excluded),
        };
        let hurried = end.map(|end| client.until(end));
        let mut fetched = question.fetch(hurried.as_ref().unwrap_or(client));
        if fetched.is_failed() && end.is_some_and(is_over) {
            // For those who have the time it may be quick enough: that isn't recorded as a failure.
            flights.slow().insert(remote.id, Instant::now());
            return late();
        }
        let answer = fetched.answer(&store.manifest, remote)?;
        let (has_yanked, is_lasting) = (fetched.has_yanked(), fetched.is_lasting());
        // A page that can't be remembered is asked for again; the answer stands.
        let record = |transaction: &Transaction<'_>| fetched.record(transaction, remote, now);
        let is_recorded = store.manifest.write_relaxed(record).is_ok();
        let seen = match answer {
            Answer::Page(page, None) => seen(store, context, remote, project, page, now + MISS_SECONDS, None),
            Answer::Page(page, stale) => seen(store, context, remote, project, page, now + FAILED_SECONDS, stale),
            Answer::Absent => Ok(Sight::Absent { until: now + MISS_SECONDS }),
            Answer::Excluded => Ok(Sight::Excluded),
            Answer::Failed(text) => Ok(lasting(failed(remote, text, now + FAILED_SECONDS), is_lasting)),
        };
        return seen.map(|sight| match sight {
            Sight::Files { files, until, note, status, .. } => {
                Sight::Files { files, until, note, status, has_changed: is_recorded && has_yanked }
            }
            sight => sight,
        });
    }
}

fn failed(remote: &RemoteRow, text: String, until: i64) -> Sight {
    Sight::Failed { note: PullNote::new(remote, text), until }
}

/// Says of a failure whether waiting won't help.
fn lasting(sight: Sight, is_lasting: bool) -> Sight {
    match sight {
        Sight::Failed { note, until } => Sight::Failed { note: PullNote { is_lasting, ..note }, until },
        sight => sight,
    }
}

/// Takes the files of a page that may be had.
fn seen(
    store: &Store,
    context: &Context<'_>,
    remote: &RemoteRow,
    project: &ProjectName,
    page: ListedPage,
    until: i64,
    stale: Option<String>,
) -> Result<Sight> {
    let source = match page::source(remote) {
        Ok(source) => source,
        Err(reason) => return Ok(failed(remote, reason, until)),
    };
    let (mut files, mut until) = (page.files, until);
    files.retain(|file| {
        // A flat page lists many projects.
        if file.name.project() != project {
            return false;
        }
        may_be_had(remote, &source, file, context.now, &mut until)
    });
    for file in files.iter_mut().filter(|file| file.uploaded_at.is_none()) {
        // pip and uv can't judge the age of a file without a time, and leave it out.
        file.uploaded_at = store.manifest.first_seen(remote.id, file.name.as_str())?;
        file.is_first_seen = file.uploaded_at.is_some();
    }
    let note = stale.map(|reason| PullNote::new(remote, format!("{reason}; its remembered page is used")));
    let status = page.status.filter(|(status, _)| *status != Status::Active);
    let status = status.map(|(status, reason)| StatusRow { project: project.clone(), status, reason });
    Ok(Sight::Files { files, until, note, status, has_changed: false })
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
