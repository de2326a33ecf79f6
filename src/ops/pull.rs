//! `pull`: many requirements at a time, from the remotes of collections.
//!
//! Each requirement walks the search order: a collection's own files, then its remotes. In each round all pages are asked for at
//! once, then all files; what has come is imported while the rest is on its way, so a pull that was interrupted goes on where it was.

mod bring;

use crate::catalog::at::{collection_rows, remote_row};
use crate::catalog::blocks::Blocks;
use crate::catalog::ownership::{OwnProjects, Ownership};
use crate::catalog::reach::Reach;
use crate::catalog::search::TagFilter;
use crate::catalog::search_order;
use crate::catalog::wish::{Wish, candidates};
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::Result;
use crate::index::read::ListedFile;
use crate::intake::{Outcome, Target};
use crate::keep::health::is_usable;
use crate::manifest::{CollectionRow, RemoteOutcome, RemoteRow};
use crate::name::{CollectionName, ProjectName, RemoteName};
use crate::parallel;
use crate::remote::Client;
use crate::requirement::Spec;
use crate::store::Store;
use crate::supply::choose::{FileQuery, complaints};
use crate::supply::fetch::count;
use crate::supply::page::{self, Answer, Question};
use crate::supply::task::Task;
use crate::supply::way::{Step, WayParts, reach};
use crate::supply::{self, PullNote, admit, note};
use serde::Serialize;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};

/// A remote that could not be reached so many times in a row is left alone for the rest of the pull.
const PATIENCE: u32 = 3;

/// A requirement to be met.
#[derive(Debug, Clone)]
pub struct Want {
    /// What is wanted.
    pub wish: Wish,
    /// Where it was asked for, for messages.
    pub place: String,
}

impl Want {
    /// Makes one of what was typed.
    pub fn typed(spec: Spec, tags: &TagFilter) -> Self {
        Self { wish: Wish::new(spec, tags.clone()), place: "command line".to_owned() }
    }
}

/// What `pull` is told.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// The requirements.
    pub wants: Vec<Want>,
    /// The collections to search, each followed by its fallbacks.
    pub collections: Vec<CollectionName>,
    /// Search in this variant's order instead.
    pub variant: Option<CollectionName>,
    /// Which projects whoever asks counts as the variant's own.
    pub own: OwnProjects,
    /// Only from this remote.
    pub from: Option<RemoteName>,
    /// Where files go; `None`: to the collection whose remote has them.
    pub target: Option<Target>,
    /// How many downloads run at a time.
    pub downloads: usize,
}

/// A requirement that is met.
#[derive(Debug, Clone, Serialize)]
pub struct Pulled {
    /// The requirement.
    pub requirement: String,
    /// The filename.
    pub filename: String,
    /// The collection that has it.
    pub collection: CollectionName,
    /// The remote that it came from just now.
    pub remote: Option<RemoteName>,
    /// Its SHA-256 digest.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size: u64,
    /// What became of it: `unchanged` when the store had it.
    pub outcome: Outcome,
}

/// A requirement that is not met.
#[derive(Debug, Clone, Serialize)]
pub struct Unmet {
    /// The requirement.
    pub requirement: String,
    /// Where it was asked for.
    pub place: String,
    /// What the remotes said.
    pub notes: Vec<PullNote>,
    /// Why nobody was asked, if the project is in quarantine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
}

/// What `pull` did.
#[derive(Debug, Serialize)]
pub struct PullReport {
    /// Requirements that are met, in their order.
    pub distributions: Vec<Pulled>,
    /// Requirements that are not.
    pub missing: Vec<Unmet>,
    /// Bytes that were downloaded.
    pub downloaded_bytes: u64,
    /// What remotes said that did not matter in the end.
    pub notes: Vec<PullNote>,
}

/// A requirement on its way.
struct PendingRequirement<'a> {
    want: &'a Want,
    project: Option<ProjectName>,
    /// Whose the project is, in a variant's order.
    own: Option<&'a Ownership>,
    /// Whom it may be asked of.
    reach: Option<Reach<'a>>,
    steps: VecDeque<Step<'a>>,
    met: Option<Pulled>,
    notes: Vec<PullNote>,
    quarantine: Option<String>,
    /// What the current remote offers, the best first.
    offers: VecDeque<Task<'a>>,
}

/// Meets requirements from collections and their remotes.
pub fn pull(store: &Store, context: &Context<'_>, options: &PullOptions) -> Result<PullReport> {
    store.require_writable()?;
    let client = supply::client(context)?;
    let rows = &store.manifest;
    let only = options.from.as_ref().map(|name| remote_row(rows, name)).transpose()?;
    let mut orders = Vec::with_capacity(options.wants.len());
    let mut remotes = HashMap::new();
    for want in &options.wants {
        let order = match (&only, &options.variant) {
            // What is where it should go, nobody needs to fetch.
            (Some(remote), _) => match &options.target {
                None => collection_rows(rows, std::slice::from_ref(&remote.collection_name))?,
                Some(Target::Collection(name)) => rows.find_collection(name)?.into_iter().collect(),
                Some(Target::Route(_)) => Vec::new(),
            },
            (None, Some(variant)) => search_order::order(rows, variant, want.wish.project().as_ref())?,
            (None, None) => search_order::with_fallbacks(rows, &options.collections)?,
        };
        for collection in &order {
            if let Entry::Vacant(place) = remotes.entry(collection.id) {
                place.insert(rows.remotes_of(collection.id)?);
            }
        }
        orders.push(order);
    }
    let mut items = Vec::with_capacity(options.wants.len());
    let mut owners = Vec::with_capacity(options.wants.len());
    for want in &options.wants {
        let project = want.wish.project();
        owners.push(match (&options.variant, &only) {
            (Some(variant), None) => Some(Ownership::read(rows, variant, &options.own, project.as_ref())?),
            _ => None,
        });
    }
    for ((want, order), own) in options.wants.iter().zip(&orders).zip(&owners) {
        let project = want.wish.project();
        let reach =
            project.as_ref().map(|project| reach(rows, order, only.as_ref(), project, own.as_ref())).transpose()?;
        let mut notes = Vec::new();
        let place = WayParts { order, remotes: &remotes, only: only.as_ref(), reach: reach.as_ref() };
        let (steps, quarantine) = place.steps(store, project.as_ref(), &mut notes)?;
        items.push(PendingRequirement {
            want,
            project,
            own: own.as_ref(),
            reach,
            steps,
            met: None,
            notes,
            quarantine,
            offers: VecDeque::new(),
        });
    }
    let (strikes, known, blocks) = (HashMap::new(), HashSet::new(), Blocks::read(rows)?);
    let mut run = Run { store, context, client, options, strikes, known, downloaded_bytes: 0, blocks };
    while run.round(&mut items)? {}
    let mut report = PullReport {
        distributions: Vec::new(),
        missing: Vec::new(),
        downloaded_bytes: run.downloaded_bytes,
        notes: Vec::new(),
    };
    for item in items {
        match item.met {
            Some(pulled) => {
                report.notes.extend(item.notes);
                report.distributions.push(pulled);
            }
            None => report.missing.push(Unmet {
                requirement: item.want.wish.spec.to_string(),
                place: item.want.place.clone(),
                notes: item.notes,
                quarantine: item.quarantine,
            }),
        }
    }
    Ok(report)
}

/// A requirement that asks a remote.
struct Asking<'a> {
    index: usize,
    remote: &'a RemoteRow,
    project: ProjectName,
    want: &'a Want,
}

struct Run<'a> {
    store: &'a Store,
    context: &'a Context<'a>,
    client: &'a Client,
    options: &'a PullOptions,
    /// Failures in a row, by remote.
    strikes: HashMap<RemoteName, u32>,
    /// Remotes that have been asked in this pull.
    known: HashSet<RemoteName>,
    downloaded_bytes: u64,
    blocks: Blocks,
}

impl Run<'_> {
    /// Takes each requirement one step on. Returns whether there was anything left to do.
    fn round(&mut self, items: &mut [PendingRequirement<'_>]) -> Result<bool> {
        for item in items.iter_mut().filter(|item| item.met.is_none() && item.offers.is_empty()) {
            while let Some(&Step::Local(collection)) = item.steps.front() {
                item.steps.pop_front();
                self.look_into(collection, item)?;
                if item.met.is_some() {
                    break;
                }
            }
        }
        self.ask(items)?;
        self.bring(items)?;
        Ok(items.iter().any(|item| item.met.is_none() && !(item.steps.is_empty() && item.offers.is_empty())))
    }

    /// Looks into a collection. Where that has the project in quarantine, the way ends.
    fn look_into(&self, collection: &CollectionRow, item: &mut PendingRequirement<'_>) -> Result<()> {
        let (rows, wish) = (&self.store.manifest, &item.want.wish);
        let found = candidates(rows, collection, wish, (item.own, &self.blocks))?;
        for entry in found.entries {
            let Some(row) = rows.blob(entry.blob)? else { continue };
            if is_usable(self.store, &row)? {
                item.met = Some(Pulled {
                    requirement: wish.spec.to_string(),
                    filename: entry.filename,
                    collection: collection.name.clone(),
                    remote: None,
                    sha256: entry.sha256,
                    size: entry.size,
                    outcome: Outcome::Unchanged,
                });
                return Ok(());
            }
        }
        if found.quarantine.is_some() {
            item.quarantine = found.quarantine;
            item.steps.clear();
        }
        Ok(())
    }

    /// Asks, for each requirement that is at a remote, for that remote's page.
    fn ask(&mut self, items: &mut [PendingRequirement<'_>]) -> Result<()> {
        let mut at = Vec::new();
        for (index, item) in items.iter_mut().enumerate() {
            if item.met.is_some() || !item.offers.is_empty() {
                continue;
            }
            let (Some(Step::Remote(remote)), Some(project)) = (item.steps.pop_front(), item.project.clone()) else {
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
            let question = match page::prepare(&self.store.manifest, asking.remote, &asking.project, now)? {
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
                Some(answer) => self.take(item, asking.remote, answer),
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
    fn take<'a>(&mut self, item: &mut PendingRequirement<'a>, remote: &'a RemoteRow, answer: Answer) {
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
