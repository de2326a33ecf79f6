//! The document: its shape, how it is read and written, and what makes sense in it.

use super::{PublisherConfig, RemoteConfig, WebhookConfig, webhooks};
use crate::catalog::builder_rules::CacheRules;
use crate::catalog::guard;
use crate::error::{Error, Result};
use crate::manifest::{CollectionSettings, Guard, Retention, Strategy};
use crate::name::{CollectionName, ProjectName, PublisherName, RemoteName};
use crate::ops::{block, publisher, remote, requirements};
use crate::requirement::ProjectPattern;
use crate::status::Status;
use crate::units;
use crate::wheel::accelerator::Accelerator;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// What `config show` writes first.
const HEADING: &str = "# The settings of a wcas store: `wcas config apply FILE` makes a store match them.\n\n";

/// All settings of a store; `None`: a section that says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The collection that takes what no rule sends elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<CollectionName>,
    /// Fallbacks, rules for gc and guards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collections: Option<BTreeMap<CollectionName, CollectionConfig>>,
    /// How new distributions of a variant are routed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variants: Option<BTreeMap<CollectionName, VariantConfig>>,
    /// Projects that go to one collection for all variants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<BTreeMap<ProjectName, CollectionName>>,
    /// Other indexes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remotes: Option<BTreeMap<RemoteName, RemoteConfig>>,
    /// Whose CI may upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publishers: Option<BTreeMap<PublisherName, PublisherConfig>>,
    /// Versions and files that must not come back, in no collection, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<BTreeMap<String, String>>,
}

/// What happens to a wheel that a guard finds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardAction {
    /// It is refused.
    #[default]
    Refuse,
    /// It is taken, with a warning.
    Warn,
}

/// A collection's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct CollectionConfig {
    /// Where a lookup goes on, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<CollectionName>,
    /// See [`crate::manifest::Retention::keep_builds`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_builds: Option<u32>,
    /// See [`crate::manifest::Retention::keep_versions`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_versions: Option<u32>,
    /// See [`crate::manifest::Retention::unused_for`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused_for: Option<Seconds>,
    /// See [`crate::manifest::Retention::max_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<Bytes>,
    /// See [`crate::manifest::Guard::accelerators`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerators: Option<Vec<Accelerator>>,
    /// What happens to what they don't allow.
    #[serde(skip_serializing_if = "is_default")]
    pub guard: GuardAction,
    /// See [`crate::manifest::Guard::is_strict`].
    #[serde(skip_serializing_if = "is_default")]
    pub strict: bool,
    /// See [`crate::manifest::CollectionSettings::hides_variants`].
    #[serde(skip_serializing_if = "is_default")]
    pub hide_variants: bool,
    /// See [`crate::manifest::CollectionSettings::reuses_filenames`].
    #[serde(skip_serializing_if = "is_default")]
    pub reuse_filenames: bool,
    /// See [`crate::manifest::CollectionSettings::cache_rules`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheRules>,
    /// Projects for which strangers' remotes are asked, though the collection has them itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<ProjectPattern>,
    /// Names that are the collection's before it has a file, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reserve: BTreeMap<ProjectPattern, String>,
    /// Versions and files that must not come back here, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub blocks: BTreeMap<String, String>,
    /// Who is told when it changes, by URL.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub webhooks: BTreeMap<String, WebhookConfig>,
    /// The projects that aren't simply active.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub projects: BTreeMap<ProjectName, ProjectConfig>,
}

impl CollectionConfig {
    /// Returns the settings as a row has them.
    pub(super) fn settings(&self) -> CollectionSettings {
        CollectionSettings {
            retention: Retention {
                keep_builds: self.keep_builds,
                keep_versions: self.keep_versions,
                unused_for: self.unused_for.map(|seconds| seconds.0),
                max_bytes: self.max_bytes.map(|bytes| bytes.0),
            },
            guard: Guard {
                accelerators: self.accelerators.clone(),
                is_warning: self.guard == GuardAction::Warn,
                is_strict: self.strict,
            },
            hides_variants: self.hide_variants,
            reuses_filenames: self.reuse_filenames,
            cache_rules: self.cache.as_ref().map(ToString::to_string),
            open_projects: self.open.clone(),
        }
    }
}

/// The status of a project in a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProjectConfig {
    /// The status.
    pub status: Status,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How new distributions of a variant are routed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct VariantConfig {
    /// Its own projects, as requirements; `None`: nothing is said, which is not an empty set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirements: Option<Vec<String>>,
    /// Files with more of them; what is stored, and shown, is what they say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requirements_files: Vec<PathBuf>,
    /// Whether unlisted wheels go by the accelerator that they are bound to.
    #[serde(skip_serializing_if = "is_default")]
    pub detect: bool,
    /// How its view is made.
    #[serde(skip_serializing_if = "is_nearest")]
    pub strategy: Strategy,
    /// Whether pure wheels of its own projects may be shared.
    #[serde(skip_serializing_if = "is_default")]
    pub share_pure: bool,
    /// Projects that go to one collection for this variant.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<ProjectName, CollectionName>,
}

impl Default for VariantConfig {
    fn default() -> Self {
        Self {
            requirements: None,
            requirements_files: Vec::new(),
            detect: false,
            strategy: Strategy::Nearest,
            share_pure: false,
            overrides: BTreeMap::new(),
        }
    }
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_nearest(strategy: &Strategy) -> bool {
    *strategy == Strategy::Nearest
}

impl Config {
    /// Reads a document; `name` is what errors call it.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let place = if line == 0 { name.to_owned() } else { format!("{name}, line {line}") };
            Error::Refused(format!("{place}: {}", error.message()))
        })
    }

    /// Reads the files of requirements that the document names, relative to `folder`, into it. Returns what is told of their lines.
    pub fn read_files(&mut self, folder: &Path) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        for (name, variant) in self.variants.iter_mut().flatten().filter(|(_, row)| !row.requirements_files.is_empty())
        {
            let paths: Vec<PathBuf> = variant.requirements_files.drain(..).map(|path| folder.join(path)).collect();
            let place = format!("variants.{name}.requirements-files");
            let set = requirements::names(&paths)?;
            // All or nothing: a line that is left out would send its project elsewhere.
            if let Some(refused) = set.refused.first() {
                return Err(Error::Refused(format!("{place}: {refused}")));
            }
            notes.extend(set.notes);
            let lines = set.projects.into_iter().map(|row| row.requirement);
            variant.requirements.get_or_insert_default().extend(lines);
        }
        Ok(notes)
    }

    /// Writes the document.
    pub fn to_toml(&self) -> Result<String> {
        let text = toml::to_string_pretty(self).map_err(|error| Error::Refused(error.to_string()))?;
        Ok(format!("{HEADING}{text}"))
    }

    /// Checks what the shape alone can't say, and brings all into the form that is stored.
    pub(super) fn checked(mut self) -> Result<Self> {
        for (name, collection) in self.collections.iter_mut().flatten() {
            let mut seen = BTreeSet::new();
            if collection.fallbacks.iter().any(|fallback| fallback == name || !seen.insert(fallback.clone())) {
                let why = "no collection is its own fallback, or one twice";
                return Err(Error::Refused(format!("collections.{name}.fallbacks: {why}")));
            }
            collection.accelerators = collection.accelerators.take().map(guard::in_order);
            // No row says so, and so no document does.
            collection.projects.retain(|_, project| project.status != Status::Active);
            collection.open.sort_unstable();
            collection.open.dedup();
            let place = format!("collections.{name}.blocks");
            collection.blocks = within(&place, block::checked(std::mem::take(&mut collection.blocks)))?;
            let place = format!("collections.{name}.webhooks");
            collection.webhooks = within(&place, webhooks::checked(std::mem::take(&mut collection.webhooks)))?;
        }
        for (name, variant) in self.variants.iter_mut().flatten() {
            if let Some(path) = variant.requirements_files.first() {
                let why = format!("{} was not read", path.display());
                return Err(Error::Refused(format!("variants.{name}.requirements-files: {why}")));
            }
            let Some(lines) = variant.requirements.take() else { continue };
            let set = requirements::named(&format!("variants.{name}.requirements"), &lines)?;
            variant.requirements = Some(set.into_iter().map(|row| row.requirement).collect());
        }
        for (name, remote) in self.remotes.iter_mut().flatten() {
            let checked = within(&format!("remotes.{name}"), remote::check(remote.settings()))?;
            *remote = RemoteConfig::new(remote.collection.clone(), checked);
        }
        let mut settings = Vec::new();
        for (name, config) in self.publishers.iter_mut().flatten() {
            let place = format!("publishers.{name}");
            *config = within(&place, config.checked())?;
            let own = config.options().settings;
            within(&place, publisher::refuse_other_audience(&settings, &own))?;
            settings.push(own);
        }
        self.blocks = self.blocks.map(|blocks| within("blocks", block::checked(blocks))).transpose()?;
        Ok(self)
    }
}

/// Says where in the document an error is.
fn within<T>(place: &str, done: Result<T>) -> Result<T> {
    done.map_err(|error| Error::Refused(format!("{place}: {error}")))
}

/// A time, written as `7d`; read also as a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub i64);

/// A size, written as `500G`; read also as a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&units::seconds_text(self.0))
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&units::bytes_text(self.0))
    }
}

/// Reads a number, or text with a unit.
struct Measured<T>(fn(&str) -> std::result::Result<T, String>);

impl<T> Visitor<'_> for Measured<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or text with a unit such as \"7d\" or \"500G\"")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> std::result::Result<T, E> {
        (self.0)(&number.to_string()).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Measured(units::seconds)).map(Self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Measured(units::bytes)).map(Self)
    }
}

impl<'de> Deserialize<'de> for Strategy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "nearest" => Ok(Self::Nearest),
            "union" => Ok(Self::Union),
            other => Err(de::Error::unknown_variant(other, &["nearest", "union"])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Config::parse(text, "wcas.toml").and_then(Config::checked).unwrap_err().to_string()
    }

    #[test]
    fn a_slip_is_refused_with_its_line() {
        for (text, expected) in [
            ("\n[collections.cuda]\nkeep-build = 3\n", "wcas.toml, line 3: unknown field `keep-build`"),
            ("remote = 1\n", "wcas.toml, line 1: unknown field `remote`"),
            ("[remotes.a]\nurl = 'https://index.example/'\n", "wcas.toml, line 1: missing field `collection`"),
            ("[collections.Cuda]\n", "wcas.toml, line 1: \"Cuda\" is not a collection name"),
            ("[collections.a]\nunused-for = 'soon'\n", "wcas.toml, line 2: "),
            ("[collections.a]\nmax-bytes = -1\n", "wcas.toml, line 2: "),
            ("[collections.a]\nguard = 'panic'\n", "wcas.toml, line 2: unknown variant `panic`"),
            ("[variants.a]\nstrategy = 'far'\n", "wcas.toml, line 2: unknown variant `far`"),
            ("default = 'a'\ndefault = 'b'\n", "wcas.toml, line 2: duplicate key"),
            ("[", "wcas.toml, line 1: "),
            ("[collections.a]\naccelerators = ['cuda', 'tpu']\n", "wcas.toml, line 2: unknown variant `tpu`"),
            ("[collections.a]\nfallbacks = ['b', 'b']\n", "collections.a.fallbacks: "),
            ("[variants.a]\nrequirements = ['torch', 'torch=2']\n", "variants.a.requirements, item 2: "),
            ("[variants.a]\nrequirements = ['-r other.txt']\n", "name it in requirements-files"),
            ("[variants.a]\nrequirements-files = ['other.txt']\n", "other.txt was not read"),
            ("[remotes.a]\ncollection = 'a'\nurl = 'https://h/'\nonly = ['a b']\n", "line 4: \"a b\" is not a pattern"),
            ("[variants.a]\nrequirements = ['a @ https://me:hunter2@index.example/a.whl']\n", "credentials"),
            (
                "[remotes.a]\ncollection = 'a'\nurl = 'https://me:hunter2@index.example/'\n",
                "remotes.a: the URL has cred",
            ),
        ] {
            let found = refusal(text);
            assert!(found.contains(expected) && !found.contains("hunter2"), "{text}\n{found}");
        }
    }

    #[test]
    fn numbers_and_texts_with_units_are_one() {
        let parse = |text: &str| Config::parse(text, "x").unwrap();
        assert_eq!(
            parse("[collections.a]\nunused-for = 604800\nmax-bytes = 1000"),
            parse("[collections.a]\nunused-for = '7d'\nmax-bytes = '1K'")
        );
    }
}
