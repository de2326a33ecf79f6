//! What an index lists of a project: the one decision for pages and downloads alike.
//!
//! A view looks into its collections in order. A collection's files are its own and those of its remotes, own filenames first. Under
//! `nearest` the first collection that has the project, itself or by a remote, hides it in all farther ones, and of a collection's
//! remotes the first that has it answers; under `union` all are put together, the nearest of one filename wins. A remote that
//! can't be asked is never passed over for one farther away: its remembered page answers, else nobody does.

mod flights;
mod remote;
mod roots;
mod seek;
mod stamp;
mod taken;
mod view;

pub use flights::{Asking, Flights};
pub use remote::Recall;
pub use roots::projects;
pub use seek::Sought;
pub use stamp::{serial, stamp, stamp_of_all};

use crate::catalog::merge::Fate;
use crate::catalog::statuses::stricter;
use crate::catalog::view_contents::Shown;
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::index::read::ListedFile;
use crate::manifest::{Entry, RemoteRow, StatusRow};
use crate::name::{CollectionName, ProjectName, RemoteName};
use crate::status::Status;
use crate::store::Store;
use crate::supply::{Offer, PullNote};
use taken::Taken;

/// A file that is listed.
#[derive(Debug, Clone)]
pub enum ViewFile {
    /// The store has it. What is lost is not among them.
    Local(Box<Entry>),
    /// A remote has it.
    Remote(Box<Offer>),
}

/// What a view lists of a project.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The files: those of nearer collections first, own before remotes'.
    pub files: Vec<ViewFile>,
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

impl ViewFile {
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

/// A question about what indexes list: of which store, when, and how remotes are asked for it.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The store.
    pub store: &'a Store,
    /// Who asks, and when.
    pub context: Context<'a>,
    /// How remotes are asked.
    pub asking: Asking<'a>,
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

impl Ask<'_> {
    /// Returns what a view lists of a project.
    pub fn listing(&self, shown: &Shown, project: &ProjectName) -> Result<Listed> {
        self.listed(shown, project, Purpose::Index)
    }

    /// The same for a purpose.
    pub(crate) fn listed(&self, shown: &Shown, project: &ProjectName, purpose: Purpose) -> Result<Listed> {
        match self.listed_once(shown, project, purpose)? {
            // What remotes said on the way changed what the store has.
            Listed::Found(listing) if listing.is_outdated => self.listed_once(shown, project, purpose),
            done => Ok(done),
        }
    }

    fn listed_once(&self, shown: &Shown, project: &ProjectName, purpose: Purpose) -> Result<Listed> {
        match shown {
            Shown::Collection { .. } => alone(self.store, shown, project),
            Shown::Variant { .. } => view::look(self, shown, project, purpose),
        }
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
    let live = read.entries.into_iter().filter(|entry| entry.state.is_available());
    let files = live.map(|entry| ViewFile::Local(Box::new(entry))).collect();
    Ok(Listed::Found(Listing { files, status, ..Listing::default() }))
}

fn held(remote: &RemoteRow, variant: &CollectionName, file: ListedFile) -> ViewFile {
    ViewFile::Remote(Box::new(Offer { remote: remote.clone(), variant: variant.clone(), file }))
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
                self.files.push(ViewFile::Local(Box::new(entry)));
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
                ViewFile::Local(entry) => entry.origin.as_ref().is_none_or(|origin| origin.remote != remote.as_str()),
                ViewFile::Remote(offer) => offer.remote.name != remote,
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
