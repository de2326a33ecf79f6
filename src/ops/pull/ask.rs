//! Asks remotes for pages, many at a time, and chooses what their files offer.

use super::{PendingRequirement, Run, Want};
use crate::error::Result;
use crate::index::read::ListedFile;
use crate::manifest::{RemoteOutcome, RemoteRow};
use crate::name::{ProjectName, RemoteName};
use crate::parallel;
use crate::supply::choose::{FileQuery, complaints};
use crate::supply::fetch::count;
use crate::supply::page::{self, Answer, Question};
use crate::supply::task::Task;
use crate::supply::way::Step;
use crate::supply::{self, admit, note};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};

/// A remote that could not be reached so many times in a row is left alone for the rest of the pull.
const PATIENCE: u32 = 3;

/// A requirement that asks a remote.
struct Asking<'a> {
    index: usize,
    remote: &'a RemoteRow,
    project: &'a ProjectName,
    want: &'a Want,
}

impl Run<'_> {
    /// Asks, for each requirement that is at a remote, for that remote's page.
    pub(super) fn ask(&mut self, items: &mut [PendingRequirement<'_>]) -> Result<()> {
        let mut at = Vec::new();
        for (index, item) in items.iter_mut().enumerate() {
            if item.met.is_some() || !item.offers.is_empty() {
                continue;
            }
            let (Some(Step::Remote(remote)), Some(project)) = (item.steps.pop_front(), item.path.project.as_ref())
            else {
                continue;
            };
            at.push(Asking { index, remote, project, want: item.want });
        }
        let mut left: Vec<&Asking<'_>> = at.iter().collect();
        while !left.is_empty() {
            left = self.ask_at_once(items, left)?;
        }
        Ok(())
    }

    /// Asks for different pages, all at a time. Returns who waits for a page that another one asks for, or for the first answer of a
    /// remote, which tells where its pages are.
    fn ask_at_once<'q, 'a>(
        &mut self,
        items: &mut [PendingRequirement<'a>],
        at: Vec<&'q Asking<'a>>,
    ) -> Result<Vec<&'q Asking<'a>>> {
        let (mut keys, mut answers) = (HashSet::new(), Vec::new());
        let (mut questions, mut later) = (Vec::new(), Vec::new());
        for asking in at {
            if self.strikes.get(&asking.remote.name).is_some_and(|&strikes| strikes >= PATIENCE) {
                answers.push((asking, None));
                continue;
            }
            let now = self.context.now;
            let wanted = FileQuery { wish: &asking.want.wish, now };
            let question = match page::prepare(&self.store.manifest, asking.remote, asking.project, now)? {
                Ok(question) => question,
                Err(answer) => {
                    answers.push((asking, Some(answer)));
                    continue;
                }
            };
            if let Some(answer) = question.remembered(&self.store.manifest, |file| wanted.means(file))? {
                answers.push((asking, Some(answer)));
                continue;
            }
            let name = &asking.remote.name;
            if keys.insert((name.clone(), question.key(self.known.contains(name)).map(str::to_owned))) {
                questions.push((asking, question));
            } else {
                later.push(asking);
            }
        }
        if !questions.is_empty() {
            answers.extend(self.fetch_pages(questions)?);
        }
        answers.sort_by_key(|(asking, _)| asking.index);
        for (asking, answer) in answers {
            let item = &mut items[asking.index];
            match answer {
                Some(answer) => self.take_answer(item, asking.remote, answer),
                None => item.notes.push(note(asking.remote, "not asked: it failed several times in a row")),
            }
        }
        Ok(later)
    }

    /// Asks by several threads, and remembers what was said. A remote that fails too often is given up on the way.
    fn fetch_pages<'q, 'a>(
        &mut self,
        questions: Vec<(&'q Asking<'a>, Question<'q>)>,
    ) -> Result<Vec<(&'q Asking<'a>, Option<Answer>)>> {
        let now = self.context.now;
        let strikes = |asking: &Asking<'_>| AtomicU32::new(*self.strikes.get(&asking.remote.name).unwrap_or(&0));
        let failures: HashMap<&RemoteName, AtomicU32> =
            questions.iter().map(|(asking, _)| (&asking.remote.name, strikes(asking))).collect();
        self.context.progress.start("asking", questions.len() as u64);
        let done = parallel::map(self.options.downloads, &questions, |(asking, question)| {
            let failures = &failures[&asking.remote.name];
            // One that hangs costs its time-out for each question.
            let done = (failures.load(Ordering::Relaxed) < PATIENCE).then(|| question.fetch(self.client));
            match &done {
                Some(fetched) if fetched.is_failed() => {
                    failures.fetch_add(1, Ordering::Relaxed);
                }
                Some(_) => failures.store(0, Ordering::Relaxed),
                None => {}
            }
            self.context.progress.add(1);
            done
        });
        self.context.progress.finish();
        let (mut answers, mut fetched) = (Vec::new(), Vec::new());
        for ((asking, _), done) in questions.into_iter().zip(done) {
            self.known.insert(asking.remote.name.clone());
            let answer = done.map(|mut page| {
                let answer = page.answer(&self.store.manifest, asking.remote);
                fetched.push((asking.remote, page));
                answer
            });
            answers.push((asking, answer.transpose()?));
        }
        // What can't be remembered is asked for again another time; the answers stand.
        let _ = self.store.manifest.write_relaxed(|transaction| {
            fetched.into_iter().try_for_each(|(remote, page)| page.record(transaction, remote, now))
        });
        Ok(answers)
    }

    /// Turns an answer into offers or notes.
    fn take_answer<'a>(&mut self, item: &mut PendingRequirement<'a>, remote: &'a RemoteRow, answer: Answer) {
        let note = |text: String| note(remote, text);
        let page = match answer {
            Answer::Page(page, stale) => {
                self.strike(remote, stale.is_some());
                item.notes.extend(stale.map(|reason| note(format!("{reason}; its remembered page is used"))));
                page
            }
            Answer::Absent => {
                self.strike(remote, false);
                return count(self.store, self.context, remote, RemoteOutcome::Miss, 0, 0);
            }
            Answer::Excluded => return,
            Answer::Failed(reason) => {
                self.strike(remote, true);
                count(self.store, self.context, remote, RemoteOutcome::Failure, 0, 0);
                return item.notes.push(note(reason));
            }
        };
        let Ok(source) = page::source(remote) else { return };
        let (mut good, unfit) =
            FileQuery { wish: &item.want.wish, now: self.context.now }.choose(remote, &source, &page);
        if let Some(reach) = &item.reach {
            good.retain(|file| admit(reach, remote, file, &mut item.notes));
        }
        if good.is_empty() {
            item.notes.extend(complaints(&unfit).into_iter().map(note));
            count(self.store, self.context, remote, RemoteOutcome::Miss, 0, 0);
        }
        let task = |file: &ListedFile| Task { remote, source: source.clone(), file: file.clone() };
        item.offers = good.into_iter().take(supply::TRIES).map(task).collect();
    }

    fn strike(&mut self, remote: &RemoteRow, failed: bool) {
        let strikes = self.strikes.entry(remote.name.clone()).or_default();
        *strikes = if failed { *strikes + 1 } else { 0 };
    }
}
