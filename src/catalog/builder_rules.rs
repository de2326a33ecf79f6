//! The rules by which a cache for builders chooses among wheels: what a URL, a collection and a run say of them.

use crate::name::ProjectName;
use crate::wheel::WheelFilename;
use crate::wheel::accelerator::{Accelerator, named_by_label};
use pep440_rs::Version;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Whether the run that asks counts the project as its variant's own.
    pub own: Option<bool>,
    /// All projects that the run counts as its variant's own: for clients that are given one URL, and can't say it of each project.
    pub own_projects: Option<BTreeSet<ProjectName>>,
    /// Whether the run takes the project pre-built.
    pub prebuilt: Option<bool>,
    /// The number of the build that the run expects: another variant's changelog may have given higher ones.
    pub builds: Option<ExpectedBuilds>,
}

/// The build numbers that a run expects of a project, as its changelogs give them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ExpectedBuilds {
    by_version: BTreeMap<Version, u64>,
    /// That of all other versions.
    others: Option<u64>,
}

/// So many versions a run may name.
const MAX_EXPECTED: usize = 1000;
/// So many projects a run may name: what goes into a path is no longer.
const MAX_OWN: usize = 1000;

impl ExpectedBuilds {
    fn of(&self, version: &Version) -> Option<u64> {
        // A local label has no changelog of its own.
        self.by_version.get(&version.clone().without_local()).copied().or(self.others)
    }
}

impl FromStr for ExpectedBuilds {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let mut builds = Self::default();
        for pair in text.split(',') {
            let (version, number) = pair.rsplit_once(':').ok_or(())?;
            let number = number.parse().map_err(|_| ())?;
            match version {
                "*" => builds.others = Some(number),
                version => {
                    let version: Version = version.parse().map_err(|_| ())?;
                    builds.by_version.insert(version.without_local(), number);
                }
            }
            if builds.by_version.len() > MAX_EXPECTED {
                return Err(());
            }
        }
        Ok(builds)
    }
}

impl fmt::Display for ExpectedBuilds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.by_version.iter().map(|(version, number)| format!("{version}:{number}"));
        let others = self.others.map(|number| format!("*:{number}"));
        f.write_str(&named.chain(others).collect::<Vec<_>>().join(","))
    }
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
    /// All but wheels without a build tag that come from strangers, whose bytes no builder of ours made.
    #[default]
    Built,
    /// All.
    Any,
    /// Those with fromager's lists of build requirements: it builds all others again.
    Fromager,
}

/// What is encoded in rules; what build tags are made of is not.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.');
/// The rules by name.
const NAMES: [&str; 8] = ["max-build", "suffix", "local", "files", "own", "own-projects", "prebuilt", "builds"];

/// A text that is no rule of a cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no rule of a cache: expected max-build=NUMBER, suffix=TEXT, local=own|any|none, files=built|any|fromager, or of a run own=yes|no, own-projects=NAME,NAME, prebuilt=yes|no, builds=VERSION:NUMBER,*:NUMBER; several with & between them"
)]
pub struct CacheRulesError(pub String);

impl CacheRules {
    /// Reads rules from a URL's query, whose other parameters are left alone.
    pub fn of_query(query: Option<&str>) -> std::result::Result<Self, CacheRulesError> {
        let mut rules = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            if NAMES.contains(&name) {
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
            ("files", "built") => self.files = Some(Builder::Built),
            ("files", "any") => self.files = Some(Builder::Any),
            ("files", "fromager") => self.files = Some(Builder::Fromager),
            ("own", "yes" | "no") => self.own = Some(value == "yes"),
            ("own-projects", names) => self.own_projects = Some(projects(names).ok_or_else(wrong)?),
            ("prebuilt", "yes" | "no") => self.prebuilt = Some(value == "yes"),
            ("builds", builds) => self.builds = Some(builds.parse().map_err(|()| wrong())?),
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
            own: self.own.or(others.own),
            own_projects: self.own_projects.or(others.own_projects),
            prebuilt: self.prebuilt.or(others.prebuilt),
            builds: self.builds.or(others.builds),
        }
    }

    /// Returns what they say when one project is asked for: whether it is the run's own, and no set.
    pub fn about(self, project: &ProjectName) -> Self {
        let own = self.own.or(self.own_projects.map(|set| set.contains(project)));
        Self { own, own_projects: None, ..self }
    }

    /// Tells whether only a run can say so: a collection has no runs.
    pub fn are_of_a_run(&self) -> bool {
        self.own.is_some() || self.own_projects.is_some() || self.prebuilt.is_some() || self.builds.is_some()
    }

    /// Tells whether a wheel is offered, as far as its name says; `own` are the accelerators of who asks, where they are known.
    pub(crate) fn admit(&self, wheel: &WheelFilename, own: Option<&[Accelerator]>) -> bool {
        if let Some(tag) = wheel.build_tag() {
            // A wheel without a tag comes from elsewhere: the rules are about builds.
            let expected = self.builds.as_ref().and_then(|builds| builds.of(wheel.version()));
            let is_too_high = [self.max_build, expected].into_iter().flatten().any(|most| tag.number > most);
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
            self.files.map(|files| {
                let word = match files {
                    Builder::Built => "built",
                    Builder::Any => "any",
                    Builder::Fromager => "fromager",
                };
                format!("files={word}")
            }),
            self.own.map(|own| format!("own={}", yes(own))),
            self.own_projects.as_ref().map(|set| {
                let names: Vec<_> = set.iter().map(ProjectName::as_str).collect();
                format!("own-projects={}", names.join(","))
            }),
            self.prebuilt.map(|prebuilt| format!("prebuilt={}", yes(prebuilt))),
            self.builds.as_ref().map(|builds| format!("builds={builds}")),
        ];
        f.write_str(&pairs.into_iter().flatten().collect::<Vec<_>>().join("&"))
    }
}

/// Reads names with commas between them; none at all are a set, too.
fn projects(names: &str) -> Option<BTreeSet<ProjectName>> {
    let names = names.split(',').filter(|name| !name.is_empty());
    let set: BTreeSet<ProjectName> = names.map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
    (set.len() <= MAX_OWN).then_some(set)
}

fn yes(answer: bool) -> &'static str {
    if answer { "yes" } else { "no" }
}

/// Tells whether a label names an accelerator that isn't among these, or none at all where one is needed.
fn is_foreign(label: &str, own: &[Accelerator]) -> bool {
    let is_for_none = |segment: &str| segment.eq_ignore_ascii_case("cpu");
    match named_by_label(label) {
        Some(accelerator) => !own.contains(&accelerator),
        None => !own.is_empty() && label.split(['.', '_', '-']).any(is_for_none),
    }
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
            "own=yes&prebuilt=no&builds=3.0:0,1!2.5.1:3,*:1",
            "files=built",
            "own-projects=",
            "own-projects=flash-attn,torch",
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
            "own=1",
            "own-projects",
            "own-projects=-",
            "own-projects=a/b",
            "builds=",
            "builds=2.5.1",
            "builds=x y:1",
            "builds=1.0:-1",
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
    fn a_set_of_own_projects_says_of_each_project_whether_it_is_one() {
        let about =
            |rules: &str, name: &str| rules.parse::<CacheRules>().unwrap().about(&name.parse().unwrap()).to_string();
        let rules = "max-build=2&own-projects=torch,Flash_Attn";
        assert_eq!(about(rules, "flash.attn"), "max-build=2&own=yes");
        assert_eq!(about(rules, "numpy"), "max-build=2&own=no");
        assert_eq!(
            about("own-projects=torch&own=no", "torch"),
            "own=no",
            "what is said of the project itself goes first"
        );
        assert_eq!(about("own-projects=", "torch"), "own=no", "none is a set");
        assert_eq!(about("max-build=2", "torch"), "max-build=2");
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
    fn builds_above_what_a_run_expects_of_the_version_are_hidden() {
        let is_seen = |rules: &str, stem: &str| admits(rules, &format!("{stem}-cp312-cp312-linux_x86_64.whl"), None);
        let rules = "builds=2.5.1:3,*:1";
        assert!(is_seen(rules, "torch-2.5.1-3") && !is_seen(rules, "torch-2.5.1-4"));
        assert!(is_seen(rules, "torch-2.5.1+local.1-3") && !is_seen(rules, "torch-2.5.1+local.1-4"));
        assert!(is_seen(rules, "torch-2.6-1_el9") && !is_seen(rules, "torch-2.6-2_el9"));
        assert!(is_seen(rules, "torch-2.6"), "it is no build");
        assert!(is_seen("builds=2.5.1:3", "torch-2.6-9"), "nothing was said of it");
        assert!(!is_seen("builds=*:9&max-build=3", "torch-2.6-4"));
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
