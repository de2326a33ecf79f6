//! Whose a project is: the one rule by which a variant's distributions are routed, and by which others' are offered to it.
//!
//! A project is a variant's own when an override sends it to a collection of its own, when the variant's requirements (or the run
//! that asks) name it, or, version by version, when a file is known anywhere that is bound to the variant's accelerator. What is
//! its own is taken from where it is sent and from the variant's collection, and from nowhere farther away: else whoever built
//! first would decide which build all others get.

use super::guard;
use crate::digest::Sha256;
use crate::error::Result;
use crate::index::read::ListedFile;
use crate::manifest::{CollectionRow, Entry, RouteOverride, Rows, VariantRequirement};
use crate::name::{CollectionName, ProjectName};
use crate::wheel::accelerator::{Accelerator, named_by_label, named_by_word};
use pep440_rs::Version;
use std::collections::{BTreeMap, HashSet};

/// Which projects whoever asks counts as the variant's own, beside those of overrides and bound files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OwnProjects {
    /// Those that the store was told.
    #[default]
    Stored,
    /// These, as a run's own requirements name them.
    Named(Vec<VariantRequirement>),
    /// The project in question is one, or isn't: a client that asks for one project need not send its whole set.
    Asked(bool),
}

/// The projects that are a variant's own, with what was written; `None`: it has no set, which an empty one is.
pub(crate) type Requirements = Option<BTreeMap<ProjectName, String>>;

/// Why a project is a variant's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim<'a> {
    /// It is sent to a collection, whatever else is said.
    Override(&'a RouteOverride),
    /// It is required by the variant, as it is written here.
    Requirement(&'a str),
}

/// What decides whose a project is, as plain values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// The variant.
    pub variant: CollectionName,
    /// The collection that takes what nobody claims.
    pub default: CollectionName,
    /// The overrides of all variants.
    pub overrides: Vec<RouteOverride>,
    /// The variant's own projects.
    pub requirements: Requirements,
    /// Whether pure wheels of its own projects may be shared.
    pub shares_pure: bool,
    /// The variant's accelerators, as far as its guard or its name tells them.
    pub accelerators: Vec<Accelerator>,
    /// The fallbacks that are for the same: `cuda` for `cuda-aarch64`. Their builds are the variant's, too.
    pub kin: Vec<CollectionName>,
    /// By project and public version, a file that is bound to the variant's accelerators.
    pub bound: BTreeMap<(ProjectName, Version), String>,
    /// The digests of such files.
    pub bound_digests: HashSet<Sha256>,
}

impl Ownership {
    /// Reads what decides for a variant and one project, or for `None` all.
    pub fn read(
        rows: &Rows,
        variant: &CollectionName,
        own: &OwnProjects,
        project: Option<&ProjectName>,
    ) -> Result<Self> {
        let row = rows.find_variant(variant)?;
        let requirements = match (own, &row) {
            (OwnProjects::Named(set), _) => Some(set.clone()),
            (OwnProjects::Asked(is_own), _) => {
                let asked = project.filter(|_| *is_own).map(|project| VariantRequirement {
                    project: project.clone(),
                    requirement: format!("{project}, as the run that asks says"),
                });
                Some(asked.into_iter().collect())
            }
            (OwnProjects::Stored, Some(row)) if row.has_requirements => Some(match project {
                Some(project) => rows.variant_requirement(variant, project)?.into_iter().collect(),
                None => rows.variant_requirements(variant)?,
            }),
            (OwnProjects::Stored, _) => None,
        };
        let accelerators = accelerators_of(rows, variant)?.unwrap_or_default();
        let (mut bound, mut bound_digests) = (BTreeMap::new(), HashSet::new());
        if !accelerators.is_empty() {
            for file in rows.bound_files(project)? {
                let Ok(version) = file.version.parse::<Version>() else { continue };
                if file.accelerators.iter().all(|own| accelerators.contains(own)) {
                    bound_digests.insert(file.sha256);
                    bound.entry((file.project, public(&version))).or_insert(file.filename);
                }
            }
        }
        let default = rows.default_collection()?;
        Ok(Self {
            variant: variant.clone(),
            kin: kin(rows, variant, &accelerators, &default)?,
            default,
            overrides: rows.overrides()?,
            requirements: requirements.map(|set| set.into_iter().map(|row| (row.project, row.requirement)).collect()),
            shares_pure: row.is_some_and(|row| row.shares_pure),
            accelerators,
            bound,
            bound_digests,
        })
    }

    /// Returns why a project is the variant's own, all versions of it; `None`: it isn't, or one by one.
    pub fn claim(&self, project: &ProjectName) -> Option<Claim<'_>> {
        if let Some(found) = find_override(&self.overrides, &self.variant, project) {
            return Some(Claim::Override(found));
        }
        self.requirements.as_ref()?.get(project).map(|text| Claim::Requirement(text))
    }

    /// Returns a file of a version that is bound to the variant's accelerators.
    pub fn bound_file(&self, project: &ProjectName, version: &Version) -> Option<&str> {
        if self.bound.is_empty() {
            return None;
        }
        self.bound.get(&(project.clone(), public(version))).map(String::as_str)
    }

    /// Tells why nothing that a collection or its remotes have of a project is the variant's; `None`: it may be looked at.
    pub fn collection_objection(&self, collection: &CollectionName, project: &ProjectName) -> Option<String> {
        match self.claim(project)? {
            _ if self.is_home(collection, project) => None,
            claim => Some(self.because(project, claim, collection)),
        }
    }

    /// Tells why a file that a collection's remote has isn't the variant's; what its bytes are bound to is known if they were seen before.
    pub fn offer_objection(&self, collection: &CollectionName, file: &ListedFile) -> Option<String> {
        let (project, version) = (file.name.project(), file.name.version());
        let reason = self.collection_objection(collection, project);
        let build_tag = file.name.build_tag().map(ToString::to_string);
        let is_bound = || file.sha256.is_some_and(|digest| self.bound_digests.contains(&digest));
        if reason.is_none() && (is_bound() || self.is_labelled(&version.to_string(), build_tag.as_deref())) {
            return None;
        }
        reason.or_else(|| self.version_objection(collection, project, version))
    }

    /// Tells why an entry of a collection that a variant searches isn't offered to it.
    pub fn objection(&self, rows: &Rows, entry: &Entry) -> Result<Option<String>> {
        let reason = match self.collection_objection(&entry.collection, &entry.project) {
            Some(reason) => reason,
            None if self.bound_digests.contains(&entry.sha256) || self.bound.is_empty() => return Ok(None),
            None if self.is_labelled(&entry.version, entry.build_tag.as_deref()) => return Ok(None),
            None => {
                let Ok(version) = entry.version.parse() else { return Ok(None) };
                match self.version_objection(&entry.collection, &entry.project, &version) {
                    Some(reason) => reason,
                    None => return Ok(None),
                }
            }
        };
        let is_overridden = matches!(self.claim(&entry.project), Some(Claim::Override(_)));
        let is_shared = self.shares_pure && !is_overridden && is_pure_entry(rows, entry)?;
        Ok((!is_shared).then_some(reason))
    }

    fn version_objection(
        &self,
        collection: &CollectionName,
        project: &ProjectName,
        version: &Version,
    ) -> Option<String> {
        if self.claim(project).is_some() || *collection == self.variant || self.kin.contains(collection) {
            return None;
        }
        let bound = self.bound_file(project, version)?;
        let Self { variant, .. } = self;
        Some(format!(
            "{project} {} is {variant}'s own, since {bound} is bound to what {variant} is for",
            public(version)
        ))
    }

    /// Tells whether a local version or a build tag names an accelerator of the variant: `+cu126`, `2_el9_cuda`.
    fn is_labelled(&self, version: &str, build_tag: Option<&str>) -> bool {
        let local = version.split_once('+').map(|(_, local)| local);
        let mut labels = local.into_iter().chain(build_tag);
        labels.any(|label| named_by_label(label).is_some_and(|own| self.accelerators.contains(&own)))
    }

    /// Tells whether a claimed project may be had from a collection.
    fn is_home(&self, collection: &CollectionName, project: &ProjectName) -> bool {
        match self.claim(project) {
            // What people send to the default collection they share.
            Some(Claim::Override(found)) if found.collection == self.default => true,
            Some(Claim::Override(found)) => *collection == found.collection || *collection == self.variant,
            Some(Claim::Requirement(_)) => {
                *collection == self.variant || self.variant == self.default || self.kin.contains(collection)
            }
            None => true,
        }
    }

    fn because(&self, project: &ProjectName, claim: Claim<'_>, collection: &CollectionName) -> String {
        let variant = &self.variant;
        match claim {
            Claim::Override(found) => {
                format!("{project} is sent to {} for {variant}, and isn't taken from {collection}", found.collection)
            }
            Claim::Requirement(text) => {
                format!("{project} is {variant}'s own ({variant} requires {text}), and isn't taken from {collection}")
            }
        }
    }
}

/// Returns the override that holds for a project: the variant's own before the one for all.
pub(crate) fn find_override<'a>(
    overrides: &'a [RouteOverride],
    variant: &CollectionName,
    project: &ProjectName,
) -> Option<&'a RouteOverride> {
    let of = |whose: Option<&CollectionName>| {
        overrides.iter().find(|row| row.project == *project && row.variant.as_ref() == whose)
    };
    of(Some(variant)).or_else(|| of(None))
}

/// Returns the fallbacks of a variant that are for the same accelerators, or, where it has none, of which it is a kind by its name; never
/// the default collection, which is for all.
fn kin(
    rows: &Rows,
    variant: &CollectionName,
    accelerators: &[Accelerator],
    default: &CollectionName,
) -> Result<Vec<CollectionName>> {
    let Some(row) = rows.find_collection(variant)? else { return Ok(Vec::new()) };
    let is_a_kind_of =
        |name: &CollectionName| variant.as_str().strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('-'));
    let mut fallbacks = rows.fallbacks(row.id)?;
    fallbacks.retain(|row| {
        let is_for_same = !accelerators.is_empty() && accelerators_of_row(row).is_some_and(|own| own == accelerators);
        row.name != *default && (is_for_same || is_a_kind_of(&row.name))
    });
    Ok(fallbacks.into_iter().map(|row| row.name).collect())
}

fn accelerators_of_row(row: &CollectionRow) -> Option<Vec<Accelerator>> {
    row.settings.guard.accelerators.clone().or_else(|| accelerators_of_name(&row.name))
}

/// Returns the accelerators of a collection or variant: those that its guard allows, else the one that its name tells; `cpu` is none.
pub(crate) fn accelerators_of(rows: &Rows, name: &CollectionName) -> Result<Option<Vec<Accelerator>>> {
    Ok(rows
        .find_collection(name)?
        .and_then(|row| row.settings.guard.accelerators)
        .or_else(|| accelerators_of_name(name)))
}

fn accelerators_of_name(name: &CollectionName) -> Option<Vec<Accelerator>> {
    let mut words = name.as_str().split(['-', '_', '.']);
    let own = words.clone().find_map(named_by_word).map(|accelerator| vec![accelerator]);
    own.or_else(|| words.any(|word| word == "cpu").then(Vec::new))
}

fn is_pure_entry(rows: &Rows, entry: &Entry) -> Result<bool> {
    if !entry.filename.ends_with("-none-any.whl") {
        return Ok(false);
    }
    Ok(guard::known(rows, entry.blob)?.is_some_and(|found| guard::is_pure(&found)))
}

/// Returns a version without its local part: `2.5.1+cu126` is a build of 2.5.1.
fn public(version: &Version) -> Version {
    version.clone().without_local()
}
