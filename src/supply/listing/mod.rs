//! What an index lists of a project: the one decision for pages and downloads alike.
//!
//! A view looks into its collections in order. A collection's files are its own and those of its remotes, own filenames first. Under
//! `nearest` the first collection that has the project, itself or by a remote, hides it in all farther ones, and of a collection's
//! remotes the first that has it answers; under `union` all are put together, the nearest of one filename wins. A remote that
//! can't be asked is never passed over for one farther away: its remembered page answers, else nobody does.

mod remote;
mod roots;
mod seek;
mod stamp;
mod taken;

pub use remote::{Asking, Flights, Recall};
pub use roots::projects;
pub use seek::{Sought, seek};
pub use stamp::{serial, stamp, stamp_of_all};

use crate::catalog::merge::Fate;
use crate::catalog::ownership::Ownership;
use crate::catalog::reach::{Matter, Reach};
use crate::catalog::search_order::SearchOrder;
use crate::catalog::statuses::stricter;
use crate::catalog::view_contents::{Shown, fates, strategy_of};
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::index::read::ListedFile;
use crate::manifest::{Entry, RemoteRow, State, StatusRow, Strategy};
use crate::name::{CollectionName, ProjectName, RemoteName};
use crate::remote::Place;
use crate::status::Status;
use crate::store::Store;
use crate::supply::{Offer, PullNote};
use crate::wheel::Kind;
use remote::Sight;
use std::collections::VecDeque;
use taken::Taken;

/// A file that is listed.
#[derive(Debug, Clone)]
pub enum Held {
    /// The store has it. What is lost is not among them.
    Local(Box<Entry>),
    /// A remote has it.
    Remote(Box<Offer>),
}

/// What a view lists of a project.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The files: those of nearer collections first, own before remotes'.
    pub files: Vec<Held>,
    /// When it should be looked at again because of what remotes said, in seconds since 1970; `None`: when the manifest changes.
    pub fresh_until: Option<i64>,
    /// The remotes whose files are missing from it, or are as they were remembered, and why.
    pub notes: Vec<PullNote>,
    /// Whether a remote's files are missing.
    pub is_incomplete: bool,
    /// The project's status, if it isn't simply active; in quarantine there are no files.
    pub status: Option<StatusRow>,
    /// What the store has changed while remotes were asked.
    pub(crate) is_outdated: bool,
    /// The remotes that have the project in quarantine.
    pub(crate) quarantined: Vec<(RemoteName, Option<StatusRow>)>,
}

/// Whether a view lists a project.
#[derive(Debug, Clone)]
pub enum Listed {
    /// It does.
    Found(Listing),
    /// It doesn't, or there is no such view.
    Unknown,
    /// A remote that may have it can't be asked.
    Unavailable(Vec<PullNote>),
}

impl Held {
    /// Returns the filename.
    pub fn filename(&self) -> &str {
        match self {
            Self::Local(entry) => &entry.filename,
            Self::Remote(offer) => offer.file.name.as_str(),
        }
    }

    /// Returns the digest, where one vouches for the bytes.
    pub fn sha256(&self) -> Option<Sha256> {
        match self {
            Self::Local(entry) => Some(entry.sha256),
            Self::Remote(offer) => offer.file.sha256,
        }
    }
}

/// Returns what a view lists of a project. `asking` says how remotes are asked.
pub fn listing(
    store: &Store,
    context: &Context<'_>,
    shown: &Shown,
    project: &ProjectName,
    asking: &Asking<'_>,
) -> Result<Listed> {
    listed(store, context, shown, project, asking, Purpose::Index)
}

/// What a listing is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// For clients that choose among all there is.
    Index,
    /// For builders, who know which version they want, and from whom: no collection hides what a farther one has, so that nothing is
    /// built that exists. One remote that fails is passed over, and what several of them have is listed for each: one may lie, or
    /// fail later.
    Cache,
    /// For who builds from source: our own wheels, and all source distributions, upstream's too. A project whose every file of ours
    /// was made from somebody else's source has an upstream; one that has a file without is ours alone, and no stranger is asked.
    Build,
}

/// The same for a purpose.
pub(crate) fn listed(
    store: &Store,
    context: &Context<'_>,
    shown: &Shown,
    project: &ProjectName,
    asking: &Asking<'_>,
    purpose: Purpose,
) -> Result<Listed> {
    match listed_once(store, context, shown, project, asking, purpose)? {
        // What remotes said on the way changed what the store has.
        Listed::Found(listing) if listing.is_outdated => listed_once(store, context, shown, project, asking, purpose),
        done => Ok(done),
    }
}

fn listed_once(
    store: &Store,
    context: &Context<'_>,
    shown: &Shown,
    project: &ProjectName,
    asking: &Asking<'_>,
    purpose: Purpose,
) -> Result<Listed> {
    let Shown::Variant { name, sense, strategy, own } = shown else { return alone(store, shown, project) };
    let rows = store.manifest.read()?;
    let Some(order) = SearchOrder::of_name(&rows, name, *sense)? else { return Ok(Listed::Unknown) };
    let strategy = strategy_of(&rows, name, *strategy)?;
    let own = Ownership::read(&rows, name, own, Some(project))?;
    let merged = if purpose == Purpose::Index { strategy } else { Strategy::Union };
    let mut fates = fates(&rows, &order, &own, merged, Some(project))?;
    let searched = order.of(project);
    let matter = if purpose == Purpose::Build { Matter::Sources } else { Matter::Files };
    let reach = Reach::read(&rows, &searched, Some(&own), project, matter)?;
    let mut parts = Vec::new();
    for (place, row) in searched.into_iter().enumerate() {
        let is_meant = |(entry, fate): &mut (Entry, Fate)| entry.collection == row.name && !fate.is_foreign();
        let entries = fates.extract_if(.., is_meant).collect();
        let mut remotes = if asking.has_remotes() { rows.remotes_of(row.id)? } else { Vec::new() };
        remotes.retain(|remote| {
            match purpose {
                // What a variant builds itself it still builds from somebody's source.
                Purpose::Build => reach.stranger_objection(place, remote),
                _ => reach.objection(place, remote),
            }
            .is_none()
        });
        let is_foreign = reach.foreign(&row.name).is_some();
        parts.push(Part {
            name: row.name.clone(),
            own: entries,
            remotes,
            status: rows.project_status(row.id, project)?,
            is_foreign,
        });
    }
    // Remotes are asked without a transaction: that could last, and would keep the log from being shortened.
    drop(rows);
    let view = View { store, context, project, asking, strategy, variant: name, reach: &reach };
    match purpose {
        Purpose::Index => view.look(parts),
        Purpose::Cache => view.look_for_builders(parts),
        Purpose::Build => view.look_for_sources(parts),
    }
}

/// Returns what a collection alone lists of a project at a revision.
fn alone(store: &Store, shown: &Shown, project: &ProjectName) -> Result<Listed> {
    let read = match shown.read(&*store.manifest.read()?, Some(project)) {
        Ok(read) => read,
        Err(Error::NoRevision { .. } | Error::NoCollection { .. }) => return Ok(Listed::Unknown),
        Err(error) => return Err(error),
    };
    if read.entries.is_empty() && read.withheld.is_empty() {
        return Ok(Listed::Unknown);
    }
    let status = read.statuses.get(project).cloned();
    let live = read.entries.into_iter().filter(|entry| entry.state == State::Live);
    let files = live.map(|entry| Held::Local(Box::new(entry))).collect();
    Ok(Listed::Found(Listing { files, status, ..Listing::default() }))
}

/// A collection of a view, and what it has of the project.
struct Part {
    name: CollectionName,
    own: Vec<(Entry, Fate)>,
    remotes: Vec<RemoteRow>,
    status: Option<StatusRow>,
    /// The project is the variant's own, and the collection isn't where it goes.
    is_foreign: bool,
}

impl Part {
    /// Tells whether it has files that would be shown, were nobody nearer.
    fn has_shown(&self) -> bool {
        self.own.iter().any(|(entry, _)| entry.state == State::Live)
    }
}

struct View<'a> {
    store: &'a Store,
    context: &'a Context<'a>,
    project: &'a ProjectName,
    asking: &'a Asking<'a>,
    strategy: Strategy,
    variant: &'a CollectionName,
    reach: &'a Reach<'a>,
}

impl View<'_> {
    fn look(&self, parts: Vec<Part>) -> Result<Listed> {
        let is_first_only = self.strategy == Strategy::Nearest;
        let (mut listing, mut names, mut has_project) = (Listing::default(), Taken::default(), false);
        let mut parts = VecDeque::from(parts);
        while let Some(part) = parts.pop_front() {
            let has_own = !part.own.is_empty();
            has_project |= has_own;
            if !listing.add_part(part.own, part.status, &mut names) {
                return Ok(Listed::Found(listing));
            }
            for remote in &part.remotes {
                match self.ask(remote, &mut listing, |file| self.is_offered(remote, file))? {
                    Asked::Absent => continue,
                    Asked::Files(files) => {
                        has_project = true;
                        listing.add_remote(remote, self.variant, files, &mut names);
                    }
                    Asked::Failed => {
                        listing.is_incomplete = true;
                        if remote.settings.is_optional {
                            continue;
                        }
                        if is_first_only && !has_own {
                            let farther = parts.into_iter().filter(|part| part.has_shown()).map(|part| part.name);
                            listing.notes.last_mut().expect("a failure leaves a note").hides = farther.collect();
                            return Ok(Listed::Unavailable(listing.notes));
                        }
                    }
                }
                if is_first_only {
                    break;
                }
            }
            if is_first_only && has_project {
                break;
            }
        }
        listing.settle();
        Ok(match (has_project, listing.is_incomplete) {
            (true, _) => Listed::Found(listing),
            (false, true) => Listed::Unavailable(listing.notes),
            (false, false) => Listed::Unknown,
        })
    }

    /// Our own caches are asked along the whole order: an old version near by is no reason to build a new one that somebody has.
    /// Strangers are asked for what nobody of ours has, and of them the nearest.
    fn look_for_builders(&self, parts: Vec<Part>) -> Result<Listed> {
        let (mut listing, mut names, mut is_ours) = (Listing::default(), Taken::default(), false);
        let (mut ours, mut strangers) = (Vec::new(), Vec::new());
        for part in parts {
            is_ours |= part.own.iter().any(|(entry, _)| entry.origin.is_none());
            if !listing.add_part(part.own, part.status, &mut names) {
                return Ok(Listed::Found(listing));
            }
            let (own, others): (Vec<_>, Vec<_>) = part.remotes.into_iter().partition(|row| row.settings.is_ours);
            ours.extend(own);
            strangers.push(others);
        }
        let has_own = !names.is_empty();
        is_ours |= self.offer(&ours, &names, &mut listing)?;
        let mut is_found = is_ours;
        for remotes in &strangers {
            is_found = is_found || self.offer(remotes, &names, &mut listing)?;
        }
        listing.settle();
        Ok(if has_own || is_found { Listed::Found(listing) } else { Listed::Unknown })
    }

    /// Adds what remotes have under names that the store hasn't; each remote's, since one may lie. Returns whether any has the project.
    fn offer(&self, remotes: &[RemoteRow], names: &Taken, listing: &mut Listing) -> Result<bool> {
        let mut is_found = false;
        for remote in remotes {
            if let Asked::Files(files) = self.ask(remote, listing, |file| self.is_offered(remote, file))? {
                is_found = true;
                let files = files.into_iter().filter_map(|mut file| names.admits(&mut file).then_some(file));
                listing.files.extend(files.map(|file| held(remote, self.variant, file)));
            }
        }
        Ok(is_found)
    }

    /// Of builds, ours; sources from anybody, strangers included where the project has an upstream.
    fn look_for_sources(&self, parts: Vec<Part>) -> Result<Listed> {
        let (mut listing, mut names, mut remotes) = (Listing::default(), Taken::default(), Vec::new());
        for part in parts {
            if !listing.add_part(part.own, part.status, &mut names) {
                return Ok(Listed::Found(listing));
            }
            remotes.extend(part.remotes.into_iter().map(|remote| (remote, part.is_foreign)));
        }
        // Ours first, and of strangers the nearest that has it.
        remotes.sort_by_key(|(remote, _)| !remote.settings.is_ours);
        let (mut is_found, mut has_stranger) = (!names.is_empty(), false);
        for (remote, is_foreign) in &remotes {
            let is_ours = remote.settings.is_ours;
            if !is_ours && has_stranger {
                continue;
            }
            let is_builder = is_ours && !is_foreign;
            let is_meant = |file: &ListedFile| match file.name.kind() {
                Kind::Sdist => self.reach.block(remote, file).is_none(),
                Kind::Wheel => is_builder && self.is_offered(remote, file),
            };
            match self.ask(remote, &mut listing, is_meant)? {
                Asked::Absent => {}
                Asked::Files(files) => {
                    has_stranger |= !is_ours;
                    is_found = true;
                    listing.add_remote(remote, self.variant, files, &mut names);
                }
                Asked::Failed => listing.is_incomplete = true,
            }
        }
        listing.settle();
        Ok(match (is_found, listing.is_incomplete) {
            (true, _) => Listed::Found(listing),
            (false, true) => Listed::Unavailable(listing.notes),
            (false, false) => Listed::Unknown,
        })
    }

    /// Tells whether a remote's file is for the variant.
    fn is_offered(&self, remote: &RemoteRow, file: &ListedFile) -> bool {
        self.reach.file_objection(remote, file).is_none()
    }

    /// Asks a remote for the files that are meant, and adds what it says beside them. A page without any is no project: groups of
    /// repositories answer so for every name that they lack, and it must not hide what somebody farther away has.
    fn ask(&self, remote: &RemoteRow, listing: &mut Listing, is_meant: impl Fn(&ListedFile) -> bool) -> Result<Asked> {
        Ok(match remote::look(self.store, self.context, remote, self.project, self.asking)? {
            Sight::Excluded => Asked::Absent,
            Sight::Absent { until } => {
                listing.until(until);
                Asked::Absent
            }
            Sight::Files { mut files, until, note, status, has_changed } => {
                listing.is_outdated |= has_changed;
                let refusals = self.store.manifest.refusals(remote.id, self.variant, self.context.now)?;
                let is_refused = |file: &ListedFile| {
                    !refusals.is_empty() && {
                        let link = Place::from(&file.url).to_string();
                        refusals.iter().any(|row| row.is_about(file.name.as_str(), file.sha256.as_ref(), &link))
                    }
                };
                files.retain(|file| is_meant(file) && !is_refused(file));
                let is_quarantined = status.as_ref().is_some_and(|row| row.status == Status::Quarantined);
                listing.until(until);
                listing.notes.extend(note);
                if is_quarantined {
                    // It speaks for its own files, those that were pulled before included, and for no others.
                    listing.quarantined.push((remote.name.clone(), status));
                    return Ok(Asked::Files(Vec::new()));
                }
                if files.is_empty() {
                    return Ok(Asked::Absent);
                }
                listing.status = stricter(listing.status.take(), status);
                Asked::Files(files)
            }
            Sight::Failed { note, until } => {
                listing.until(until);
                listing.notes.push(note);
                Asked::Failed
            }
        })
    }
}

/// What came of asking a remote.
enum Asked {
    Absent,
    Files(Vec<ListedFile>),
    Failed,
}

fn held(remote: &RemoteRow, variant: &CollectionName, file: ListedFile) -> Held {
    Held::Remote(Box::new(Offer { remote: remote.clone(), variant: variant.clone(), file }))
}

impl Listing {
    /// Adds a collection's own files and status. Returns whether to look farther: what is unsafe here is not looked for elsewhere.
    fn add_part(&mut self, own: Vec<(Entry, Fate)>, status: Option<StatusRow>, names: &mut Taken) -> bool {
        self.add_own(own, names);
        self.status = stricter(self.status.take(), status);
        let is_quarantined = self.is_quarantined();
        if is_quarantined {
            self.files.clear();
        }
        !is_quarantined
    }

    /// Adds a collection's own files; `names` are those that nearer ones have.
    fn add_own(&mut self, fates: Vec<(Entry, Fate)>, names: &mut Taken) {
        for (entry, fate) in fates {
            if fate.is_hidden() {
                continue;
            }
            // What is lost hides what lies farther away, as a nearer collection's project does; but not its own bytes.
            names.take(&entry);
            if matches!(fate, Fate::Listed | Fate::Yanked { .. }) {
                self.files.push(Held::Local(Box::new(entry)));
            }
        }
    }

    fn add_remote(&mut self, remote: &RemoteRow, variant: &CollectionName, files: Vec<ListedFile>, names: &mut Taken) {
        for mut file in files {
            if names.take_offered(&mut file) {
                self.files.push(held(remote, variant, file));
            }
        }
    }

    /// Takes away what is in quarantine.
    fn settle(&mut self) {
        if self.is_quarantined() {
            self.files.clear();
        }
        for (remote, status) in std::mem::take(&mut self.quarantined) {
            let before = self.files.len();
            self.files.retain(|file| match file {
                Held::Local(entry) => entry.origin.as_ref().is_none_or(|origin| origin.remote != remote.as_str()),
                Held::Remote(offer) => offer.remote.name != remote,
            });
            // Where nothing else is left, clients are told why.
            if self.files.is_empty() {
                self.status = stricter(self.status.take(), status);
            } else if self.files.len() < before {
                let text = "it has the project in quarantine, and its files are left out".to_owned();
                self.notes.push(PullNote { remote, text, is_lasting: false, hides: Vec::new() });
            }
        }
    }

    /// Tells whether nothing of the project is offered.
    fn is_quarantined(&self) -> bool {
        self.status.as_ref().is_some_and(|row| row.status == Status::Quarantined)
    }

    fn until(&mut self, until: i64) {
        self.fresh_until = Some(self.fresh_until.map_or(until, |before| before.min(until)));
    }
}
