//! `pull`: many requirements at a time, from the remotes of collections.
//!
//! Each requirement walks the search order: a collection's own files, then its remotes. In each round all pages are asked for at
//! once, then all files; what has come is imported while the rest is on its way, so a pull that was interrupted goes on where it was.

mod ask;
mod bring;

use crate::catalog::at::{collection_rows, remote_row};
use crate::catalog::blocks::Blocks;
use crate::catalog::near::{Near, Searched, near};
use crate::catalog::ownership::{OwnProjects, Ownership};
use crate::catalog::reach::Reach;
use crate::catalog::search::TagFilter;
use crate::catalog::search_order;
use crate::catalog::wish::{Wish, candidates};
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::Result;
use crate::intake::{Outcome, Target};
use crate::keep::health::is_usable;
use crate::manifest::{CollectionRow, RemoteRow, Rows, Scope};
use crate::name::{CollectionName, ProjectName, RemoteName};
use crate::remote::Client;
use crate::requirement::Spec;
use crate::store::Store;
use crate::supply::task::Task;
use crate::supply::way::{Step, WayParts, reach};
use crate::supply::{self, PullNote};
use serde::Serialize;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};

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
    /// What is near in the collections that were searched.
    pub miss: Near,
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
    path: &'a SearchPath,
    /// Whom it may be asked of.
    reach: Option<Reach<'a>>,
    steps: VecDeque<Step<'a>>,
    met: Option<Pulled>,
    notes: Vec<PullNote>,
    quarantine: Option<String>,
    /// What the current remote offers, the best first.
    offers: VecDeque<Task<'a>>,
}

/// Where a requirement is looked for.
struct SearchPath {
    project: Option<ProjectName>,
    order: Vec<CollectionRow>,
    /// Whose the project is, in a variant's order.
    own: Option<Ownership>,
}

impl SearchPath {
    fn read(rows: &Rows, options: &PullOptions, only: Option<&RemoteRow>, wish: &Wish) -> Result<Self> {
        let project = wish.project();
        let (order, own) = match (only, &options.variant) {
            // What is where it should go, nobody needs to fetch.
            (Some(remote), _) => match &options.target {
                None => (collection_rows(rows, std::slice::from_ref(&remote.collection_name))?, None),
                Some(Target::Collection(name)) => (rows.find_collection(name)?.into_iter().collect(), None),
                Some(Target::Route(_)) => (Vec::new(), None),
            },
            (None, Some(variant)) => (
                search_order::order(rows, variant, project.as_ref())?,
                Some(Ownership::read(rows, variant, &options.own, project.as_ref())?),
            ),
            (None, None) => (search_order::with_fallbacks(rows, &options.collections)?, None),
        };
        Ok(Self { project, order, own })
    }

    /// Tells what is near to a wish that nothing met on the way.
    fn near(&self, rows: &Rows, blocks: &Blocks, wish: &Wish) -> Result<Near> {
        let order: Vec<_> = self.order.iter().map(|row| (row.clone(), Scope::Live)).collect();
        near(rows, &Searched { order: &order, own: self.own.as_ref(), blocks }, wish)
    }
}

/// Meets requirements from collections and their remotes.
pub fn pull(store: &Store, context: &Context<'_>, options: &PullOptions) -> Result<PullReport> {
    store.require_writable()?;
    let client = supply::client(context)?;
    let rows = &store.manifest;
    let only = options.from.as_ref().map(|name| remote_row(rows, name)).transpose()?;
    let (mut paths, mut remotes) = (Vec::with_capacity(options.wants.len()), HashMap::new());
    for want in &options.wants {
        let path = SearchPath::read(rows, options, only.as_ref(), &want.wish)?;
        for collection in &path.order {
            if let Entry::Vacant(place) = remotes.entry(collection.id) {
                place.insert(rows.remotes_of(collection.id)?);
            }
        }
        paths.push(path);
    }
    let mut items = Vec::with_capacity(options.wants.len());
    for (want, path) in options.wants.iter().zip(&paths) {
        let (order, own) = (&path.order, path.own.as_ref());
        let reach = path.project.as_ref().map(|project| reach(rows, order, only.as_ref(), project, own)).transpose()?;
        let mut notes = Vec::new();
        let way = WayParts { order, remotes: &remotes, only: only.as_ref(), reach: reach.as_ref() };
        let steps = way.steps(&mut notes);
        let (met, quarantine, offers) = (None, None, VecDeque::new());
        items.push(PendingRequirement { want, path, reach, steps, met, notes, quarantine, offers });
    }
    let (strikes, known, blocks) = (HashMap::new(), HashSet::new(), Blocks::read(rows)?);
    let mut run = Run { store, context, client, options, strikes, known, downloaded_bytes: 0, blocks };
    while run.round(&mut items)? {}
    let (downloaded_bytes, blocks) = (run.downloaded_bytes, run.blocks);
    PullReport::of(items, downloaded_bytes, rows, &blocks)
}

impl PullReport {
    fn of(items: Vec<PendingRequirement<'_>>, downloaded_bytes: u64, rows: &Rows, blocks: &Blocks) -> Result<Self> {
        let mut report = Self { distributions: Vec::new(), missing: Vec::new(), downloaded_bytes, notes: Vec::new() };
        for item in items {
            match item.met {
                Some(pulled) => {
                    report.notes.extend(item.notes);
                    report.distributions.push(pulled);
                }
                None => report.missing.push(Unmet {
                    miss: item.path.near(rows, blocks, &item.want.wish)?,
                    requirement: item.want.wish.spec.to_string(),
                    place: item.want.place.clone(),
                    notes: item.notes,
                    quarantine: item.quarantine,
                }),
            }
        }
        Ok(report)
    }
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
        let found = candidates(rows, (collection, Scope::Live), wish, (item.path.own.as_ref(), &self.blocks))?;
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
}
