//! What a builder's cache offers: of what a view lists, the wheels that a build tool may take instead of building.
//!
//! An index tells all there is and lets the client choose. Build tools choose badly: fromager takes the highest build tag whatever
//! its suffix, and the highest version with any local label, another accelerator's too; build-sequence ends when it sees a build
//! number higher than the one that it is about to make. So a cache hides what its client must not see, and a remote that can't be
//! asked hides nothing else: a miss costs one build, a wrong wheel all that come after it.

use crate::catalog::at::collection_row;
use crate::catalog::builder_rules::{Builder, CacheRules};
use crate::catalog::ownership::{OwnProjects, accelerators_of};
use crate::catalog::search_order;
use crate::catalog::view_contents::Shown;
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::Result;
use crate::manifest::{Entry, WantRow};
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;
use crate::supply::listing::{Ask, Asking, Listed, Listing, Purpose, Recall, ViewFile};
use crate::supply::{Offer, PullNote};
use crate::wheel::accelerator::Accelerator;
use crate::wheel::{DistributionFilename, WheelFilename, is_built_by_fromager};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// A wheel that a cache offers.
#[derive(Debug, Clone)]
pub enum CachedWheel {
    /// The store has it.
    Local(Box<Entry>),
    /// These remotes have it, the nearest first: one at least.
    Remote(Vec<Offer>),
}

impl CachedWheel {
    /// Returns the filename.
    pub fn filename(&self) -> &str {
        match self {
            Self::Local(entry) => &entry.filename,
            Self::Remote(offers) => offers[0].file.name.as_str(),
        }
    }

    /// Returns the digest; `None`: nobody vouches for the bytes, or remotes tell different ones, and one of them lies.
    pub fn sha256(&self) -> Option<Sha256> {
        match self {
            Self::Local(entry) => Some(entry.sha256),
            Self::Remote(offers) => {
                let first = offers[0].file.sha256?;
                offers.iter().all(|offer| offer.file.sha256 == Some(first)).then_some(first)
            }
        }
    }

    /// Returns the wheel as a page lists it.
    fn held(self) -> ViewFile {
        match self {
            Self::Local(entry) => ViewFile::Local(entry),
            Self::Remote(ref offers) => {
                let mut offer = offers[0].clone();
                offer.file.sha256 = self.sha256();
                if offer.file.sha256.is_none() {
                    // What was told of the one isn't true of the other.
                    (offer.file.sidecar, offer.file.size) = (None, None);
                }
                ViewFile::Remote(Box::new(offer))
            }
        }
    }
}

/// What a cache offers of a project.
#[derive(Debug, Clone)]
pub struct CachedProject {
    /// The wheels.
    pub wheels: Vec<CachedWheel>,
    /// See [`Listing::fresh_until`].
    pub fresh_until: Option<i64>,
    /// What remotes said that gave nothing.
    pub notes: Vec<PullNote>,
}

impl CachedProject {
    /// Returns it as a page lists it.
    pub fn listing(self) -> Listing {
        let files = self.wheels.into_iter().map(CachedWheel::held).collect();
        Listing { files, fresh_until: self.fresh_until, notes: self.notes, ..Listing::default() }
    }
}

/// Returns what a cache offers of a project, without yanked files and sdists; `None`: nothing. `rules` are those of whoever asks, before
/// the collection's.
pub fn cached(
    ask: &Ask<'_>,
    shown: &Shown,
    project: &ProjectName,
    rules: &CacheRules,
) -> Result<Option<CachedProject>> {
    let shown = of_run(shown, rules);
    let listed = ask.listed(&shown, project, Purpose::Cache)?;
    let Listed::Found(mut listing) = listed else { return Ok(None) };
    let terms = OfferRules::read(ask.store, &shown, rules)?;
    listing.files.retain(|held| {
        let Ok(DistributionFilename::Wheel(wheel)) = DistributionFilename::parse(held.filename()) else { return false };
        !is_yanked(held) && terms.admit(&wheel, held) && is_of_builder(ask.store, &terms.rules, held)
    });
    let found = grouped(listing);
    Ok((!found.wheels.is_empty()).then_some(found))
}

/// What an index to build from has of a project.
#[derive(Debug, Clone)]
pub enum Buildable {
    /// Wheels of ours, and source distributions.
    Found(CachedProject),
    /// Nothing, or there is no such view.
    Unknown,
    /// A remote that may have it can't be asked.
    Unavailable(Vec<PullNote>),
}

/// Returns what builders may take of a project and what they build from: the wheels that were built here or by caches of ours, and
/// source distributions, upstream's included; wheels that others built never.
pub fn buildable(ask: &Ask<'_>, shown: &Shown, project: &ProjectName, rules: &CacheRules) -> Result<Buildable> {
    let shown = of_run(shown, rules);
    let mut listing = match ask.listed(&shown, project, Purpose::Build)? {
        Listed::Found(listing) => listing,
        Listed::Unknown => return Ok(Buildable::Unknown),
        Listed::Unavailable(notes) => return Ok(Buildable::Unavailable(notes)),
    };
    let terms = OfferRules::read(ask.store, &shown, rules)?;
    listing.files.retain(|held| match DistributionFilename::parse(held.filename()) {
        Ok(DistributionFilename::Wheel(wheel)) => terms.admit_build(&wheel, held),
        Ok(DistributionFilename::Sdist(_)) => true,
        Err(_) => false,
    });
    Ok(Buildable::Found(grouped(listing)))
}

/// Puts together what several remotes have under one name.
fn grouped(listing: Listing) -> CachedProject {
    let mut wheels: Vec<CachedWheel> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for held in listing.files {
        match held {
            ViewFile::Local(entry) => wheels.push(CachedWheel::Local(entry)),
            ViewFile::Remote(offer) => match places.get(offer.file.name.as_str()).map(|place| &mut wheels[*place]) {
                Some(CachedWheel::Remote(offers)) => offers.push(*offer),
                _ => {
                    places.insert(offer.file.name.as_str().to_owned(), wheels.len());
                    wheels.push(CachedWheel::Remote(vec![*offer]));
                }
            },
        }
    }
    CachedProject { wheels, fresh_until: listing.fresh_until, notes: listing.notes }
}

fn is_yanked(held: &ViewFile) -> bool {
    match held {
        ViewFile::Local(entry) => entry.yanked.is_some(),
        ViewFile::Remote(offer) => offer.file.yanked.is_some(),
    }
}

/// Returns the view as the run that asks sees it.
fn of_run(shown: &Shown, rules: &CacheRules) -> Shown {
    match (shown, rules.own) {
        (Shown::Variant { name, sense, strategy, .. }, Some(is_own)) => {
            let own = OwnProjects::Asked(is_own);
            Shown::Variant { name: name.clone(), sense: *sense, strategy: *strategy, own }
        }
        _ => shown.clone(),
    }
}

/// What decides which wheels are offered.
struct OfferRules {
    /// Those of whoever asks, before the collection's.
    rules: CacheRules,
    variant: CollectionName,
    /// The variant's accelerators, where they are known.
    accelerators: Option<Vec<Accelerator>>,
    /// The remotes that are ours.
    ours: HashSet<String>,
}

impl OfferRules {
    fn read(store: &Store, shown: &Shown, rules: &CacheRules) -> Result<Self> {
        let rows = store.manifest.read()?;
        let kept = rows.find_collection(shown.name())?.and_then(|row| row.settings.cache_rules);
        // What the manifest has was looked at when it was written.
        let kept = kept.and_then(|text| text.parse().ok()).unwrap_or_default();
        let ours = rows.remotes()?.into_iter().filter(|row| row.settings.is_ours).map(|row| row.name.to_string());
        Ok(Self {
            rules: rules.clone().or(kept),
            variant: shown.name().clone(),
            accelerators: accelerators_of(&rows, shown.name())?,
            ours: ours.collect(),
        })
    }

    /// Tells whether a cache offers a wheel: not a pre-built one that would be taken for a build from source, which is one of another
    /// variant, one that the run wants to build itself, or one of strangers, whose wheels have no build tag.
    fn admit(&self, wheel: &WheelFilename, held: &ViewFile) -> bool {
        if !self.rules.admit(wheel, self.accelerators.as_deref()) {
            return false;
        }
        if let Some(is_own) = self.prebuilt(held) {
            return is_own && self.rules.prebuilt != Some(false);
        }
        let is_public = self.is_strangers(held) && wheel.build_tag().is_none();
        match (self.rules.prebuilt, self.rules.files.unwrap_or_default()) {
            (Some(is_prebuilt), _) => is_prebuilt || !is_public,
            (None, Builder::Any) => true,
            (None, Builder::Built | Builder::Fromager) => !is_public,
        }
    }

    /// Tells whether an index to build from has a wheel: one that we built, or took pre-built for this variant.
    fn admit_build(&self, wheel: &WheelFilename, held: &ViewFile) -> bool {
        self.rules.admit(wheel, self.accelerators.as_deref())
            && self.prebuilt(held).unwrap_or_else(|| !self.is_strangers(held))
    }

    /// Tells of a pre-built wheel whether it is the variant's own.
    fn prebuilt(&self, held: &ViewFile) -> Option<bool> {
        match held {
            ViewFile::Local(entry) if entry.is_prebuilt => Some(entry.collection == self.variant),
            _ => None,
        }
    }

    fn is_strangers(&self, held: &ViewFile) -> bool {
        match held {
            ViewFile::Local(entry) => entry.origin.as_ref().is_some_and(|origin| !self.ours.contains(&origin.remote)),
            ViewFile::Remote(offer) => !offer.remote.settings.is_ours,
        }
    }
}

/// Tells whether a wheel comes from the wanted builder. What a remote has can't be looked into; fromager's wheels have a build tag, which
/// those of public indexes hardly ever have.
fn is_of_builder(store: &Store, rules: &CacheRules, held: &ViewFile) -> bool {
    match (rules.files.unwrap_or_default(), held) {
        (Builder::Any | Builder::Built, _) => true,
        (Builder::Fromager, ViewFile::Remote(offer)) => offer.file.name.build_tag().is_some(),
        (Builder::Fromager, ViewFile::Local(entry)) => {
            store.blobs.open(&entry.blake3).is_ok_and(|file| is_built_by_fromager(&file))
        }
    }
}

/// A project that builders asked for in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WantReport {
    /// The collection or variant that was asked.
    pub variant: CollectionName,
    /// The project.
    pub project: ProjectName,
    /// How often it was asked for.
    pub count: u64,
    /// When first, in seconds since 1970.
    pub first_at: i64,
    /// When last.
    pub last_at: i64,
}

/// Returns what builders asked caches for in vain and is still not there, most often first; of one variant or of all;
/// `most` of them at most.
pub fn wanted(
    store: &Store,
    context: &Context<'_>,
    variant: Option<&CollectionName>,
    most: usize,
) -> Result<Vec<WantReport>> {
    let rows = { store.manifest.read()?.wants()? };
    let (mut wanted, recall) = (Vec::new(), Recall::default());
    let ask = Ask { store, context: *context, asking: Asking::Remembered(&recall) };
    for WantRow { variant: asked, project, count, first_at, last_at } in rows {
        if wanted.len() == most {
            break;
        }
        if variant.is_some_and(|only| *only != asked) {
            continue;
        }
        let shown = Shown::variant(asked.clone());
        let there = cached(&ask, &shown, &project, &CacheRules::default())?;
        if there.is_none() {
            wanted.push(WantReport { variant: asked, project, count, first_at, last_at });
        }
    }
    Ok(wanted)
}

/// Forgets what builders asked for in vain, of one variant or of all, before a time; returns how many projects that were.
pub fn forget_wanted(store: &Store, variant: Option<&CollectionName>, before: i64) -> Result<u64> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    if let Some(variant) = variant
        && !search_order::is_known_in(&transaction, variant)?
    {
        collection_row(&transaction, variant)?;
    }
    let mut count = 0;
    for row in transaction.wants()? {
        if row.last_at < before && variant.is_none_or(|only| *only == row.variant) {
            transaction.forget_want(&row.variant, &row.project)?;
            count += 1;
        }
    }
    transaction.commit()?;
    Ok(count)
}
