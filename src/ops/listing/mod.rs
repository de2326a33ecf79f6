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

pub use remote::{Asking, Flights};
pub use roots::projects;
pub use seek::{Sought, seek};
pub use stamp::{serial, stamp, stamp_of_all};

use super::Context;
use super::merge::Fate;
use super::ownership::Ownership;
use super::pull::{Offer, PullNote};
use super::shown::{Shown, fates, strategy_of};
use super::status::stricter;
use super::variant::{SearchOrder, is_known_in};
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::index::read::ListedFile;
use crate::manifest::{Entry, RemoteRow, State, StatusRow, Strategy};
use crate::name::ProjectName;
use crate::status::Status;
use crate::store::Store;
use remote::Sight;
use std::collections::HashSet;

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
    listed(store, context, shown, project, asking, false)
}

/// The same for builders, who know which version they want, and from whom: no collection hides what a farther one has, so that
/// nothing is built that exists. One remote that fails is passed over, and what several of them have is listed for each: one may lie,
/// or fail later.
pub(super) fn for_builders(
    store: &Store,
    context: &Context<'_>,
    shown: &Shown,
    project: &ProjectName,
    asking: &Asking<'_>,
) -> Result<Listed> {
    listed(store, context, shown, project, asking, true)
}

fn listed(
    store: &Store,
    context: &Context<'_>,
    shown: &Shown,
    project: &ProjectName,
    asking: &Asking<'_>,
    is_for_builders: bool,
) -> Result<Listed> {
    let Shown::Variant { name, strategy, own } = shown else { return alone(store, shown, project) };
    let (strategy, own, parts) = {
        let rows = store.manifest.read()?;
        if !is_known_in(&rows, name)? {
            return Ok(Listed::Unknown);
        }
        let strategy = strategy_of(&rows, name, *strategy)?;
        let order = SearchOrder::read(&rows, name)?;
        let own = Ownership::read(&rows, name, own, Some(project))?;
        let merged = if is_for_builders { Strategy::Union } else { strategy };
        let mut fates = fates(&rows, &order, &own, merged, Some(project))?;
        let mut parts = Vec::new();
        for row in order.of(project) {
            let is_meant = |(entry, fate): &mut (Entry, Fate)| entry.collection == row.name && !fate.is_foreign();
            let entries = fates.extract_if(.., is_meant).collect();
            let may_ask = asking.has_remotes() && own.collection_objection(&row.name, project).is_none();
            let remotes = if may_ask { rows.remotes_of(row.id)? } else { Vec::new() };
            parts.push(Part { own: entries, remotes, status: rows.project_status(row.id, project)? });
        }
        (strategy, own, parts)
    };
    // Remotes are asked without a transaction: that could last, and would keep the log from being shortened.
    let view = View { store, context, project, asking, strategy, own: &own };
    if is_for_builders { view.look_for_builders(parts) } else { view.look(parts) }
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
    own: Vec<(Entry, Fate)>,
    remotes: Vec<RemoteRow>,
    status: Option<StatusRow>,
}

struct View<'a> {
    store: &'a Store,
    context: &'a Context<'a>,
    project: &'a ProjectName,
    asking: &'a Asking<'a>,
    strategy: Strategy,
    own: &'a Ownership,
}

impl View<'_> {
    fn look(&self, parts: Vec<Part>) -> Result<Listed> {
        let is_first_only = self.strategy == Strategy::Nearest;
        let (mut listing, mut names, mut has_project) = (Listing::default(), HashSet::new(), false);
        for part in parts {
            let has_own = !part.own.is_empty();
            has_project |= has_own;
            if !listing.add_part(part.own, part.status, &mut names) {
                return Ok(Listed::Found(listing));
            }
            for remote in &part.remotes {
                match self.ask(remote, &mut listing)? {
                    Asked::Absent => continue,
                    Asked::Files(files) => {
                        has_project = true;
                        listing.add_remote(remote, files, &mut names);
                    }
                    Asked::Failed => {
                        listing.is_incomplete = true;
                        if is_first_only && !has_own {
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
        if listing.is_quarantined() {
            listing.files.clear();
        }
        Ok(match (has_project, listing.is_incomplete) {
            (true, _) => Listed::Found(listing),
            (false, true) => Listed::Unavailable(listing.notes),
            (false, false) => Listed::Unknown,
        })
    }

    /// Our own caches are asked along the whole order: an old version near by is no reason to build a new one that somebody has.
    /// Strangers are asked for what nobody of ours has, and of them the nearest.
    fn look_for_builders(&self, parts: Vec<Part>) -> Result<Listed> {
        let (mut listing, mut names, mut is_ours) = (Listing::default(), HashSet::new(), false);
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
        if listing.is_quarantined() {
            listing.files.clear();
        }
        Ok(if has_own || is_found { Listed::Found(listing) } else { Listed::Unknown })
    }

    /// Adds what remotes have under names that the store hasn't; each remote's, since one may lie. Returns whether any has the project.
    fn offer(&self, remotes: &[RemoteRow], names: &HashSet<String>, listing: &mut Listing) -> Result<bool> {
        let mut is_found = false;
        for remote in remotes {
            if let Asked::Files(files) = self.ask(remote, listing)? {
                is_found = true;
                let files = files.into_iter().filter(|file| !names.contains(file.name.as_str()));
                listing.files.extend(files.map(|file| held(remote, file)));
            }
        }
        Ok(is_found)
    }

    /// Asks a remote, and adds what it says beside its files.
    fn ask(&self, remote: &RemoteRow, listing: &mut Listing) -> Result<Asked> {
        Ok(match remote::look(self.store, self.context, remote, self.project, self.asking)? {
            Sight::Excluded => Asked::Absent,
            Sight::Absent { until } => {
                listing.until(until);
                Asked::Absent
            }
            Sight::Files { mut files, until, note, status } => {
                listing.status = stricter(listing.status.take(), status);
                listing.until(until);
                listing.notes.extend(note);
                let (collection, project) = (&remote.collection_name, self.project);
                files.retain(|file| self.own.offer_objection(collection, project, file.name.version()).is_none());
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

fn held(remote: &RemoteRow, file: ListedFile) -> Held {
    Held::Remote(Box::new(Offer { remote: remote.clone(), file }))
}

impl Listing {
    /// Adds a collection's own files and status. Returns whether to look farther: what is unsafe here is not looked for elsewhere.
    fn add_part(&mut self, own: Vec<(Entry, Fate)>, status: Option<StatusRow>, names: &mut HashSet<String>) -> bool {
        self.add_own(own, names);
        self.status = stricter(self.status.take(), status);
        let is_quarantined = self.is_quarantined();
        if is_quarantined {
            self.files.clear();
        }
        !is_quarantined
    }

    /// Adds a collection's own files; `names` are those that nearer ones have.
    fn add_own(&mut self, fates: Vec<(Entry, Fate)>, names: &mut HashSet<String>) {
        for (entry, fate) in fates {
            if fate.is_hidden() {
                continue;
            }
            // What is lost hides what lies farther away, as a nearer collection's project does.
            names.insert(entry.filename.clone());
            if matches!(fate, Fate::Listed | Fate::Yanked { .. }) {
                self.files.push(Held::Local(Box::new(entry)));
            }
        }
    }

    fn add_remote(&mut self, remote: &RemoteRow, files: Vec<ListedFile>, names: &mut HashSet<String>) {
        for file in files {
            if names.insert(file.name.as_str().to_owned()) {
                self.files.push(held(remote, file));
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
