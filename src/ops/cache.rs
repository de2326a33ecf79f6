//! What a builder's cache offers: of what a view lists, the wheels that a build tool may take instead of building.
//!
//! An index tells all there is and lets the client choose. Build tools choose badly: fromager takes the highest build tag whatever
//! its suffix, and the highest version with any local label, another accelerator's too; build-sequence ends when it sees a build
//! number higher than the one that it is about to make. So a cache hides what its client must not see, and a remote that can't be
//! asked hides nothing else: a miss costs one build, a wrong wheel all that come after it.

use super::listing::{self, Asking, Held, Listed, Listing};
use super::ownership::accelerators_of;
use super::pull::{Offer, PullNote};
use super::shown::Shown;
use super::{Context, collection_row};
use crate::digest::Sha256;
use crate::error::Result;
use crate::manifest::{Entry, WantRow};
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;
use crate::wheel::accelerator::{Accelerator, named_by_label};
use crate::wheel::{DistributionFilename, WheelFilename, is_built_by_fromager};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// Which wheels a cache offers. Each rule that isn't given is left to the next one who gives rules: the URL, then the collection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CacheRules {
    /// The highest number of a build tag.
    pub max_build: Option<u64>,
    /// What follows the number of a build tag, exactly.
    pub suffix: Option<String>,
    /// Which local versions are offered.
    pub local: Option<LocalVersions>,
    /// Which builders' wheels are offered.
    pub files: Option<Builder>,
}

/// Which local versions (`+cu126`) a cache offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum LocalVersions {
    /// All but those that name an accelerator which isn't the collection's own.
    #[default]
    Own,
    /// All.
    Any,
    /// None at all.
    None,
}

/// Which builders' wheels a cache offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Builder {
    /// All.
    #[default]
    Any,
    /// Those with fromager's lists of build requirements: it builds all others again.
    Fromager,
}

/// What is encoded in rules; what build tags are made of is not.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.');

/// A text that is no rule of a cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no rule of a cache: expected max-build=NUMBER, suffix=TEXT, local=own|any|none or files=any|fromager, several with & between them"
)]
pub struct CacheRulesError(pub String);

impl CacheRules {
    /// Reads rules from a URL's query, whose other parameters are left alone.
    pub fn of_query(query: Option<&str>) -> std::result::Result<Self, CacheRulesError> {
        let mut rules = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            if ["max-build", "suffix", "local", "files"].contains(&name) {
                rules.add(pair)?;
            }
        }
        Ok(rules)
    }

    fn add(&mut self, pair: &str) -> std::result::Result<(), CacheRulesError> {
        let wrong = || CacheRulesError(pair.to_owned());
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let value = percent_decode_str(value).decode_utf8().map_err(|_| wrong())?;
        match (name, &*value) {
            ("max-build", number) => self.max_build = Some(number.parse().map_err(|_| wrong())?),
            ("suffix", suffix) if suffix.len() <= 64 && !suffix.contains(['-', '/']) => {
                self.suffix = Some(suffix.to_owned());
            }
            ("local", "own") => self.local = Some(LocalVersions::Own),
            ("local", "any") => self.local = Some(LocalVersions::Any),
            ("local", "none") => self.local = Some(LocalVersions::None),
            ("files", "any") => self.files = Some(Builder::Any),
            ("files", "fromager") => self.files = Some(Builder::Fromager),
            _ => return Err(wrong()),
        }
        Ok(())
    }

    /// Takes what isn't given from others.
    pub fn or(self, others: Self) -> Self {
        Self {
            max_build: self.max_build.or(others.max_build),
            suffix: self.suffix.or(others.suffix),
            local: self.local.or(others.local),
            files: self.files.or(others.files),
        }
    }

    /// Tells whether a wheel is offered, as far as its name says; `own` are the accelerators of who asks, where they are known.
    fn admit(&self, wheel: &WheelFilename, own: Option<&[Accelerator]>) -> bool {
        if let Some(tag) = wheel.build_tag() {
            // A wheel without a tag comes from elsewhere: the rules are about builds.
            let is_too_high = self.max_build.is_some_and(|most| tag.number > most);
            if is_too_high || self.suffix.as_ref().is_some_and(|suffix| *suffix != tag.suffix) {
                return false;
            }
        }
        let version = wheel.version().to_string();
        let label = version.split_once('+').map(|(_, label)| label);
        let labels = label.into_iter().chain(wheel.build_tag().map(|tag| tag.suffix.as_str()));
        match (self.local.unwrap_or_default(), own) {
            (LocalVersions::None, _) => label.is_none(),
            (LocalVersions::Own, Some(own)) => labels.into_iter().all(|label| !is_foreign(label, own)),
            (LocalVersions::Any, _) | (LocalVersions::Own, None) => true,
        }
    }
}

impl Serialize for CacheRules {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for CacheRules {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for CacheRules {
    type Err = CacheRulesError;

    fn from_str(text: &str) -> std::result::Result<Self, CacheRulesError> {
        let mut rules = Self::default();
        text.split('&').try_for_each(|pair| rules.add(pair))?;
        Ok(rules)
    }
}

impl fmt::Display for CacheRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = [
            self.max_build.map(|most| format!("max-build={most}")),
            self.suffix.as_ref().map(|text| format!("suffix={}", utf8_percent_encode(text, ENCODED))),
            self.local.map(|local| {
                let word = match local {
                    LocalVersions::Own => "own",
                    LocalVersions::Any => "any",
                    LocalVersions::None => "none",
                };
                format!("local={word}")
            }),
            self.files.map(|files| format!("files={}", if files == Builder::Any { "any" } else { "fromager" })),
        ];
        f.write_str(&pairs.into_iter().flatten().collect::<Vec<_>>().join("&"))
    }
}

/// Tells whether a label names an accelerator that isn't among these, or none at all where one is needed.
fn is_foreign(label: &str, own: &[Accelerator]) -> bool {
    let is_for_none = |segment: &str| segment.eq_ignore_ascii_case("cpu");
    match named_by_label(label) {
        Some(accelerator) => !own.contains(&accelerator),
        None => !own.is_empty() && label.split(['.', '_', '-']).any(is_for_none),
    }
}

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
    fn held(self) -> Held {
        match self {
            Self::Local(entry) => Held::Local(entry),
            Self::Remote(ref offers) => {
                let mut offer = offers[0].clone();
                offer.file.sha256 = self.sha256();
                if offer.file.sha256.is_none() {
                    // What was told of the one isn't true of the other.
                    (offer.file.sidecar, offer.file.size) = (None, None);
                }
                Held::Remote(Box::new(offer))
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
    store: &Store,
    context: &Context<'_>,
    shown: &Shown,
    project: &ProjectName,
    asking: &Asking<'_>,
    rules: &CacheRules,
) -> Result<Option<CachedProject>> {
    let listed = listing::for_builders(store, context, shown, project, asking)?;
    let Listed::Found(mut listing) = listed else { return Ok(None) };
    let (rules, own) = {
        let rows = store.manifest.read()?;
        let kept = rows.find_collection(shown.name())?.and_then(|row| row.cache_rules);
        // What the manifest has was looked at when it was written.
        let kept = kept.and_then(|text| text.parse().ok()).unwrap_or_default();
        (rules.clone().or(kept), accelerators_of(&rows, shown.name())?)
    };
    listing.files.retain(|held| {
        let Ok(DistributionFilename::Wheel(wheel)) = DistributionFilename::parse(held.filename()) else { return false };
        !is_yanked(held) && rules.admit(&wheel, own.as_deref()) && is_of_builder(store, &rules, held)
    });
    let mut wheels: Vec<CachedWheel> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for held in listing.files {
        match held {
            Held::Local(entry) => wheels.push(CachedWheel::Local(entry)),
            Held::Remote(offer) => match places.get(offer.file.name.as_str()).map(|place| &mut wheels[*place]) {
                Some(CachedWheel::Remote(offers)) => offers.push(*offer),
                _ => {
                    places.insert(offer.file.name.as_str().to_owned(), wheels.len());
                    wheels.push(CachedWheel::Remote(vec![*offer]));
                }
            },
        }
    }
    let (fresh_until, notes) = (listing.fresh_until, listing.notes);
    Ok((!wheels.is_empty()).then_some(CachedProject { wheels, fresh_until, notes }))
}

fn is_yanked(held: &Held) -> bool {
    match held {
        Held::Local(entry) => entry.yanked.is_some(),
        Held::Remote(offer) => offer.file.yanked.is_some(),
    }
}

/// Tells whether a wheel comes from the wanted builder. What a remote has can't be looked into; fromager's wheels have a build tag, which
/// those of public indexes hardly ever have.
fn is_of_builder(store: &Store, rules: &CacheRules, held: &Held) -> bool {
    match (rules.files.unwrap_or_default(), held) {
        (Builder::Any, _) => true,
        (Builder::Fromager, Held::Remote(offer)) => offer.file.name.build_tag().is_some(),
        (Builder::Fromager, Held::Local(entry)) => {
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

/// Returns what builders asked caches for in vain and is still not there, most often first; of one variant or of all.
pub fn wanted(store: &Store, context: &Context<'_>, variant: Option<&CollectionName>) -> Result<Vec<WantReport>> {
    let rows = { store.manifest.read()?.wants()? };
    let mut wanted = Vec::new();
    for WantRow { variant: asked, project, count, first_at, last_at } in rows {
        if variant.is_some_and(|only| *only != asked) {
            continue;
        }
        let shown = Shown::variant(asked.clone());
        let there = cached(store, context, &shown, &project, &Asking::Remembered, &CacheRules::default())?;
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
        && !super::variant::is_known_in(&transaction, variant)?
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

#[cfg(test)]
mod tests {
    use super::*;
    use Accelerator::{Cuda, Rocm};

    fn admits(rules: &str, filename: &str, own: Option<&[Accelerator]>) -> bool {
        rules.parse::<CacheRules>().unwrap().admit(&filename.parse().unwrap(), own)
    }

    #[test]
    fn rules_are_read_and_written_alike() {
        for text in [
            "max-build=3",
            "suffix=_el9.rocm",
            "suffix=",
            "local=none",
            "max-build=0&suffix=_a&local=any&files=fromager",
        ] {
            assert_eq!(text.parse::<CacheRules>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "max-build",
            "max-build=",
            "max-build=-1",
            "local=cuda",
            "suffix=a/b",
            "suffix=a%2Fb",
            "suffix=1-2",
            "x=1",
            "&",
        ] {
            assert!(bad.parse::<CacheRules>().is_err(), "{bad}");
        }
        let rules = CacheRules::of_query(Some("format=json&max-build=3")).unwrap();
        assert_eq!(rules.clone().or("max-build=9&suffix=_a".parse().unwrap()).to_string(), "max-build=3&suffix=_a");
        assert!(CacheRules::of_query(Some("max-build=x")).is_err());
        assert_eq!(CacheRules::of_query(None).unwrap(), CacheRules::default());
    }

    #[test]
    fn builds_above_the_number_and_with_another_suffix_are_hidden() {
        let name = |tag: &str| format!("torch-2.5.1-{tag}-cp312-cp312-linux_x86_64.whl");
        assert!(admits("max-build=2", &name("2_el9"), None) && !admits("max-build=2", &name("10"), None));
        assert!(admits("suffix=_el9", &name("2_el9"), None) && !admits("suffix=_el9", &name("2"), None));
        assert!(admits("suffix=", &name("2"), None) && !admits("suffix=", &name("2_el9"), None));
        assert!(admits("suffix=_el9&max-build=0", "torch-2.5.1-py3-none-any.whl", None), "it is no build");
    }

    #[test]
    fn x12_labels_of_other_accelerators_are_hidden() {
        let label = |label: &str| format!("flit_core-3.12.0+{label}-0-py3-none-any.whl");
        let build = |suffix: &str| format!("flit_core-3.12.0-1_{suffix}-py3-none-any.whl");
        for (text, own, is_seen) in [
            ("rocm6", Some(&[Cuda][..]), false),
            ("cu126", Some(&[Cuda][..]), true),
            ("cu126", Some(&[][..]), false),
            ("cpu", Some(&[Cuda][..]), false),
            ("cpu", Some(&[][..]), true),
            ("el9.rocm6", Some(&[Rocm][..]), true),
            ("local.1", Some(&[Cuda][..]), true),
            ("rocm6", None, true),
        ] {
            assert_eq!(admits("local=own", &label(text), own), is_seen, "{text} {own:?}");
            assert_eq!(admits("files=any", &build(text), own), is_seen, "{text} {own:?}");
            assert!(admits("local=any", &label(text), own) && !admits("local=none", &label(text), own));
        }
    }
}
