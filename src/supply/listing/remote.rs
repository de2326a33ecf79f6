//! What a remote lists of a project, for an index: asked for at most once at a time, believed for a minute, left alone after a
//! failure.

use super::Ask;
use super::flights::{Asking, Start};
use crate::budget;
use crate::error::Result;
use crate::index::read::{ListedFile, ListedPage};
use crate::manifest::{RemoteId, RemoteRow, Setback, StatusRow, Transaction};
use crate::name::ProjectName;
use crate::remote::{Source, admit};
use crate::status::Status;
use crate::store::Store;
use crate::supply::PullNote;
use crate::supply::page::{self, Answer, Question};
use crate::supply::patience::{FAILED_SECONDS, MISS_SECONDS};
use crate::words::reason;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What flat pages said, read once for all projects that are looked for.
#[derive(Debug, Default)]
pub struct Recall(Mutex<HashMap<RemoteId, HashMap<ProjectName, Vec<ListedFile>>>>);

impl Recall {
    /// Returns the files that a remote's one page has of a project; `None`: the remote has a page for each.
    pub(crate) fn files(
        &self,
        store: &Store,
        remote: &RemoteRow,
        project: &ProjectName,
    ) -> Result<Option<Vec<ListedFile>>> {
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

/// So much of the time of those who have little a single remote gets.
const SHARE: Duration = Duration::from_millis(1200);
/// What a remote lists of a project; times are until when that holds, in seconds since 1970.
pub(crate) enum RemoteLook {
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

/// Returns what a remote lists.
pub(crate) fn look(ask: &Ask<'_>, remote: &RemoteRow, project: &ProjectName) -> Result<RemoteLook> {
    Look { ask, remote, project, now: ask.context.now }.sight()
}

/// A remote that is looked at for a project.
struct Look<'a> {
    ask: &'a Ask<'a>,
    remote: &'a RemoteRow,
    project: &'a ProjectName,
    now: i64,
}

impl Look<'_> {
    fn sight(&self) -> Result<RemoteLook> {
        let rows = &self.ask.store.manifest;
        if let Asking::Remembered(recall) = self.ask.asking
            && self.remote.includes(self.project)
            && let Some(files) = recall.files(self.ask.store, self.remote, self.project)?
        {
            return self.said(Answer::Page(ListedPage { files, ..ListedPage::default() }, None), false);
        }
        loop {
            let question = match page::prepare(rows, self.remote, self.project, self.now)? {
                Ok(question) => question,
                Err(answer) => return self.said(answer, false),
            };
            if let Some(sight) = self.remembered(&question)? {
                return Ok(sight);
            }
            // Who waited for another's question looks at what it brought.
            if let Some(sight) = self.asked(&question)? {
                return Ok(sight);
            }
        }
    }

    /// Returns what holds of what the remote said before, or failed at; `None`: it is to be asked.
    fn remembered(&self, question: &Question<'_>) -> Result<Option<RemoteLook>> {
        let (rows, now) = (&self.ask.store.manifest, self.now);
        let (fetched_at, kept) = question.kept(rows)?;
        let is_fresh = fetched_at.is_some_and(|at| (0..MISS_SECONDS).contains(&(now - at)));
        if is_fresh || matches!(self.ask.asking, Asking::Remembered(_)) {
            let until = (fetched_at.map_or(now, |at| at.min(now)) + MISS_SECONDS).max(now + 1);
            return Ok(Some(match kept {
                Some(Answer::Page(page, _)) => self.seen(page, until, None)?,
                Some(Answer::Failed(why)) => self.failed(why, until, false),
                _ => RemoteLook::Absent { until },
            }));
        }
        let before = question.recent_failure(rows)?;
        let Some(failure) = before.filter(|failure| failure.setback != Setback::Late) else { return Ok(None) };
        let (until, text) = ((failure.failed_at + FAILED_SECONDS).max(now + 1), failure.reason);
        Ok(Some(match kept {
            Some(Answer::Page(page, _)) => self.seen(page, until, Some(text))?,
            Some(Answer::Absent) => RemoteLook::Absent { until },
            _ => self.failed(text, until, failure.setback == Setback::Lasting),
        }))
    }

    /// Asks; `None`: somebody else asked meanwhile, and may have the answer.
    fn asked(&self, question: &Question<'_>) -> Result<Option<RemoteLook>> {
        let (rows, now) = (&self.ask.store.manifest, self.now);
        let (flights, end) = match self.ask.asking {
            Asking::Fresh(flights) => (flights, None),
            // One that hangs leaves some of the time to the next.
            Asking::Brief { flights, until } => (flights, Some(until.min(Instant::now() + SHARE))),
            Asking::Never | Asking::Remembered(_) => return Ok(Some(RemoteLook::Excluded)),
        };
        let without = |text: String, until| match question.kept(rows)?.1 {
            Some(Answer::Page(page, _)) => self.seen(page, until, Some(text)).map(Some),
            _ => Ok(Some(self.failed(text, until, false))),
        };
        let late = || without("it takes too long to answer".to_owned(), now + FAILED_SECONDS);
        let is_over = |end: Instant| Instant::now() >= end;
        if end.is_some_and(|end| is_over(end) || flights.is_slow(self.remote.id)) {
            return late();
        }
        // Who waits has a thread, and so has everybody who waits for other remotes, or for none.
        let Some(_wait) = flights.wait(self.remote.id) else {
            let text = format!("too many requests wait for it ({})", budget::REMOTE_WAITS);
            return without(text, now + 1);
        };
        let _flight = match flights.start(self.remote.id, self.project, end) {
            Start::Own(flight) => flight,
            Start::Landed => return Ok(None),
            Start::Late => return late(),
        };
        let client = match self.ask.context.client.map(|lazy| lazy.get()) {
            Some(Ok(client)) => client,
            Some(Err(error)) => return self.said(Answer::Failed(reason(error)), false).map(Some),
            None => return Ok(Some(RemoteLook::Excluded)),
        };
        let hurried = end.map(|end| client.until(end));
        let mut fetched = question.fetch(hurried.as_ref().unwrap_or(client));
        if fetched.is_failed() && end.is_some_and(is_over) {
            // For those who have the time it may be quick enough: that isn't recorded as a failure.
            flights.slow().insert(self.remote.id, Instant::now());
            return late();
        }
        let answer = fetched.answer(rows, self.remote)?;
        let (has_yanked, is_lasting) = (fetched.has_yanked(), fetched.is_lasting());
        // A page that can't be remembered is asked for again; the answer stands.
        let record = |transaction: &Transaction<'_>| fetched.record(transaction, self.remote, now);
        let is_recorded = rows.write_relaxed(record).is_ok();
        let mut sight = self.said(answer, is_lasting)?;
        if let RemoteLook::Files { has_changed, .. } = &mut sight {
            *has_changed = is_recorded && has_yanked;
        }
        Ok(Some(sight))
    }

    /// Takes what the remote says now; `is_lasting` tells of a failure that waiting won't help.
    fn said(&self, answer: Answer, is_lasting: bool) -> Result<RemoteLook> {
        Ok(match answer {
            Answer::Page(page, None) => self.seen(page, self.now + MISS_SECONDS, None)?,
            Answer::Page(page, stale) => self.seen(page, self.now + FAILED_SECONDS, stale)?,
            Answer::Absent => RemoteLook::Absent { until: self.now + MISS_SECONDS },
            Answer::Excluded => RemoteLook::Excluded,
            Answer::Failed(text) => self.failed(text, self.now + FAILED_SECONDS, is_lasting),
        })
    }

    fn failed(&self, text: String, until: i64, is_lasting: bool) -> RemoteLook {
        RemoteLook::Failed { note: PullNote { is_lasting, ..PullNote::new(self.remote, text) }, until }
    }

    /// Takes the files of a page that may be had.
    fn seen(&self, page: ListedPage, until: i64, stale: Option<String>) -> Result<RemoteLook> {
        let remote = self.remote;
        let source = match page::source(remote) {
            Ok(source) => source,
            Err(reason) => return Ok(self.failed(reason, until, false)),
        };
        let (mut files, mut until) = (page.files, until);
        files.retain(|file| {
            // A flat page lists many projects.
            if file.name.project() != self.project {
                return false;
            }
            may_be_had(remote, &source, file, self.now, &mut until)
        });
        for file in files.iter_mut().filter(|file| file.uploaded_at.is_none()) {
            // pip and uv can't judge the age of a file without a time, and leave it out.
            file.uploaded_at = self.ask.store.manifest.first_seen(remote.id, file.name.as_str())?;
            file.is_first_seen = file.uploaded_at.is_some();
        }
        let note = stale.map(|reason| PullNote::new(remote, format!("{reason}; its remembered page is used")));
        let status = page.status.filter(|(status, _)| *status != Status::Active);
        let status = status.map(|(status, reason)| StatusRow { project: self.project.clone(), status, reason });
        Ok(RemoteLook::Files { files, until, note, status, has_changed: false })
    }
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
