//! Which collection takes a new distribution of a variant: a pure function of plain values.
//!
//! The first rule that says something decides: an override for the project (one of the variant before one for all), the project in
//! the variant's requirements, the accelerator that the file is bound to where the variant detects, or that another file of its
//! version is, the default collection; where that one's guard refuses, the variant's own.

use crate::catalog::ownership::{Claim, OwnProjects, Ownership, accelerators_of};
use crate::error::Result;
use crate::manifest::Rows;
use crate::name::{CollectionName, ProjectName};
use crate::wheel::DistributionFilename;
use crate::wheel::accelerator::Accelerator;
use crate::words::counted;
use pep440_rs::Version;
use serde::Serialize;
use std::collections::BTreeMap;

/// The rule that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The collection was named; no rule was asked.
    Named,
    /// The project has a collection of its own.
    Override,
    /// It was fetched as it is.
    Prebuilt,
    /// The project is in the variant's requirements.
    Requirement,
    /// The file, or another of its version, is bound to an accelerator that a variant's collection accepts.
    Accelerator,
    /// The default collection's guard refuses it, and the variant's collection doesn't.
    Guard,
    /// Nothing else said anything.
    Default,
}

/// A rule that was asked before, and said nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Considered {
    /// The rule.
    pub rule: Rule,
    /// Why it said nothing.
    pub because: String,
}

/// Where a distribution goes, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The collection.
    pub collection: CollectionName,
    /// The rule that decided.
    pub rule: Rule,
    /// What it said.
    pub reason: String,
    /// The rules that were asked before, in order.
    pub considered: Vec<Considered>,
}

impl Decision {
    /// Tells whether the collection is made when there is none: an override's was there when people set it.
    pub(crate) fn makes_collection(&self) -> bool {
        self.rule != Rule::Override
    }
}

/// A variant's collection as far as accelerators go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepting {
    /// The variant, whose collection has its name.
    pub variant: CollectionName,
    /// What the collection was told to hold; `None`: it was told nothing, and its name says it.
    pub accelerators: Option<Vec<Accelerator>>,
}

impl Accepting {
    fn accepts(&self, bound: &[Accelerator]) -> bool {
        bound.iter().all(|own| match &self.accelerators {
            Some(accepted) => accepted.contains(own),
            None => self.variant.as_str() == own.as_str(),
        })
    }
}

/// What is to be routed, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The project.
    pub project: &'a ProjectName,
    /// The version; `None`: any.
    pub version: Option<&'a Version>,
    /// The accelerators that the file is bound to; `None`: not known.
    pub bound: Option<&'a [Accelerator]>,
    /// Whether it is a wheel that may run anywhere, in which nothing of an accelerator was found.
    pub is_pure: bool,
    /// Whether it was fetched as it is, where others build from source.
    pub is_prebuilt: bool,
}

impl<'a> Subject<'a> {
    /// Takes a project of which nothing else is known.
    pub fn of(project: &'a ProjectName) -> Self {
        Self { project, version: None, bound: None, is_pure: false, is_prebuilt: false }
    }
}

/// All that decides where a variant's distributions go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// Whose a project is.
    pub own: Ownership,
    /// Whether the store knows the variant; one that it doesn't know has no requirements and doesn't detect.
    pub is_known: bool,
    /// Whether accelerators are asked for.
    pub is_detecting: bool,
    /// The other variants' collections and this one's, by name.
    pub accepting: Vec<Accepting>,
    /// The accelerators that the variant's collection admits; `None`: it admits all.
    pub admitted: Option<Vec<Accelerator>>,
}

impl Router {
    /// Reads what decides for a variant.
    pub fn read(rows: &Rows, variant: &CollectionName, own: &OwnProjects) -> Result<Self> {
        let row = rows.find_variant(variant)?;
        let guards = rows.collections()?.into_iter();
        let mut accelerators: BTreeMap<CollectionName, _> =
            guards.filter_map(|row| Some((row.name, row.settings.guard.accelerators?))).collect();
        let mut variants: Vec<CollectionName> = rows.variants()?.into_iter().map(|row| row.name).collect();
        if row.is_none() {
            variants.push(variant.clone());
        }
        let accepting = |variant: CollectionName| Accepting { accelerators: accelerators.remove(&variant), variant };
        Ok(Self {
            own: Ownership::read(rows, variant, own, None)?,
            is_known: row.is_some(),
            is_detecting: row.is_some_and(|row| row.is_detecting),
            accepting: variants.into_iter().map(accepting).collect(),
            admitted: accelerators_of(rows, variant)?,
        })
    }

    /// Sends all to one collection, and what that one's guard refuses to the variant's own: how what remotes have is taken.
    pub(crate) fn of_pulls(rows: &Rows, variant: &CollectionName, collection: &CollectionName) -> Result<Self> {
        let mut router = Self::read(rows, variant, &OwnProjects::Named(Vec::new()))?;
        router.own.default = collection.clone();
        router.own.overrides.clear();
        router.own.bound.clear();
        router.is_detecting = false;
        Ok(router)
    }

    /// Returns the variant.
    pub fn variant(&self) -> &CollectionName {
        &self.own.variant
    }

    /// Tells whether a file's decision depends on what it is bound to.
    pub fn wants_accelerator(&self, name: &DistributionFilename) -> bool {
        match self.own.claim(name.project()) {
            Some(Claim::Override(_)) => false,
            Some(Claim::Requirement(_)) => self.own.shares_pure && name.is_pure(),
            None => self.is_detecting,
        }
    }

    /// Decides.
    pub fn decide(&self, subject: &Subject<'_>) -> Decision {
        let (mut considered, project) = (Vec::new(), subject.project);
        let mut pass = |rule, because: String| considered.push(Considered { rule, because });
        let variant = self.variant();
        let (collection, rule, reason) = 'decided: {
            let claim = self.own.claim(project);
            match claim {
                Some(Claim::Override(found)) => {
                    let whose =
                        found.variant.as_ref().map_or("all variants".to_owned(), |name| format!("variant {name}"));
                    let reason = format!("{project} is sent to {} for {whose}", found.collection);
                    break 'decided (found.collection.clone(), Rule::Override, reason);
                }
                _ => pass(Rule::Override, format!("{project} has no override")),
            }
            if subject.is_prebuilt {
                let reason = format!("it is pre-built for {variant}, and others build it from source");
                break 'decided (variant.clone(), Rule::Prebuilt, reason);
            }
            match claim {
                Some(Claim::Requirement(requirement)) if !(self.own.shares_pure && subject.is_pure) => {
                    let reason = format!("variant {variant} requires {requirement}");
                    break 'decided (variant.clone(), Rule::Requirement, reason);
                }
                Some(_) => pass(Rule::Requirement, format!("{variant} shares pure wheels of its own projects")),
                None => pass(Rule::Requirement, self.unlisted(project)),
            }
            match self.accepting(subject) {
                Ok((collection, reason)) => break 'decided (collection, Rule::Accelerator, reason),
                Err(because) => pass(Rule::Accelerator, because),
            }
            let default = &self.own.default;
            (default.clone(), Rule::Default, format!("{default} takes what no rule sends elsewhere"))
        };
        Decision { collection, rule, reason, considered }
    }

    /// Decides anew for a file that the guard of its collection refuses, with what it said; `None`: it stays refused.
    ///
    /// What the default collection doesn't take is the variant's own, if that admits it: somebody builds it because they need it.
    pub fn decide_refused(&self, decision: &Decision, bound: &[Accelerator], objection: &str) -> Option<Decision> {
        let is_admitted = match &self.admitted {
            Some(admitted) => bound.iter().all(|own| admitted.contains(own)),
            None => true,
        };
        let is_elsewhere = *self.variant() != self.own.default;
        if decision.collection != self.own.default || !is_elsewhere || !is_admitted {
            return None;
        }
        let mut considered = decision.considered.clone();
        considered.push(Considered { rule: decision.rule, because: objection.to_owned() });
        let (default, variant) = (&self.own.default, self.variant());
        Some(Decision {
            collection: variant.clone(),
            rule: Rule::Guard,
            reason: format!("{default} refuses it, and {variant} doesn't"),
            considered,
        })
    }

    fn unlisted(&self, project: &ProjectName) -> String {
        let variant = self.variant();
        match &self.own.requirements {
            Some(set) if set.is_empty() => format!("the requirements of variant {variant} are an empty set"),
            Some(set) => {
                format!("{project} is not among the {} of variant {variant}", counted(set.len(), "requirement"))
            }
            None if self.is_known => format!("variant {variant} has no requirements set"),
            None => format!("nothing was said of a variant {variant}"),
        }
    }

    /// Returns the collection that accepts what a file is bound to: the variant's own before another's; or why there is none.
    fn accepting(&self, subject: &Subject<'_>) -> std::result::Result<(CollectionName, String), String> {
        let bound_file = subject.version.and_then(|version| self.own.bound_file(subject.project, version));
        let detected = self.detected(subject.bound);
        match (detected, bound_file, subject.bound) {
            // What is bound to something that nobody accepts isn't ours because another file of the version is.
            (Err(_), Some(file), None | Some([])) => {
                let variant = self.variant();
                Ok((variant.clone(), format!("{file}, of the same version, is bound to what {variant} is for")))
            }
            (detected, ..) => detected,
        }
    }

    fn detected(&self, bound: Option<&[Accelerator]>) -> std::result::Result<(CollectionName, String), String> {
        if !self.is_detecting {
            return Err(format!("variant {} doesn't detect accelerators", self.variant()));
        }
        let Some(bound) = bound else { return Err("it is not known what the file is bound to".to_owned()) };
        if bound.is_empty() {
            return Err("the file is bound to no accelerator".to_owned());
        }
        let names = bound.iter().map(|own| own.as_str()).collect::<Vec<_>>().join(" and ");
        let own = self.accepting.iter().filter(|accepting| accepting.variant == *self.variant());
        let others = self.accepting.iter().filter(|accepting| accepting.variant != *self.variant());
        match own.chain(others).find(|accepting| accepting.accepts(bound)) {
            Some(found) => {
                Ok((found.variant.clone(), format!("the file is bound to {names}, which {} accepts", found.variant)))
            }
            None => Err(format!("the file is bound to {names}, which no variant's collection accepts")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::RouteOverride;
    use Accelerator::{Cuda, Gaudi, Rocm};

    fn name(text: &str) -> CollectionName {
        text.parse().unwrap()
    }

    fn project(text: &str) -> ProjectName {
        text.parse().unwrap()
    }

    fn file(text: &str) -> DistributionFilename {
        DistributionFilename::parse(text).unwrap()
    }

    fn router(requirements: Option<&[&str]>) -> Router {
        let set = |names: &[&str]| names.iter().map(|name| (project(name), format!("{name}>=1"))).collect();
        Router {
            own: Ownership {
                variant: name("cuda"),
                default: CollectionName::shared(),
                overrides: Vec::new(),
                requirements: requirements.map(set),
                shares_pure: false,
                accelerators: vec![Cuda],
                kin: Vec::new(),
                bound: BTreeMap::new(),
                bound_digests: std::collections::HashSet::new(),
            },
            is_known: true,
            is_detecting: false,
            accepting: Vec::new(),
            admitted: Some(vec![Cuda]),
        }
    }

    fn sent(project_name: &str, variant: Option<&str>, collection: &str) -> RouteOverride {
        RouteOverride { project: project(project_name), variant: variant.map(name), collection: name(collection) }
    }

    fn went(router: &Router, project_name: &str, bound: Option<&[Accelerator]>) -> (String, Rule) {
        let decision = router.decide(&Subject { bound, ..Subject::of(&project(project_name)) });
        (decision.collection.to_string(), decision.rule)
    }

    #[test]
    fn r1_an_override_goes_before_the_requirements_and_they_before_the_default() {
        let mut router = router(Some(&["torch", "Flash_Attn"]));
        assert_eq!(went(&router, "torch", None), ("cuda".into(), Rule::Requirement));
        assert_eq!(went(&router, "flash.attn", None), ("cuda".into(), Rule::Requirement), "names are normalised");
        assert_eq!(went(&router, "numpy", None), ("shared".into(), Rule::Default));
        router.own.overrides = vec![sent("torch", None, "all"), sent("numpy", Some("rocm"), "else")];
        assert_eq!(went(&router, "torch", None), ("all".into(), Rule::Override));
        assert_eq!(went(&router, "numpy", None), ("shared".into(), Rule::Default), "another variant's override");
        router.own.overrides.push(sent("torch", Some("cuda"), "own"));
        assert_eq!(went(&router, "torch", None), ("own".into(), Rule::Override), "the variant's own goes first");
        router.own.default = name("base");
        assert_eq!(went(&router, "numpy", None), ("base".into(), Rule::Default), "the default's name can be changed");
    }

    #[test]
    fn r2_an_empty_set_of_requirements_is_a_set() {
        let because = |router: &Router| {
            let decision = router.decide(&Subject::of(&project("torch")));
            assert_eq!((decision.collection.as_str(), decision.rule), ("shared", Rule::Default));
            let of_it = decision.considered.iter().find(|considered| considered.rule == Rule::Requirement);
            of_it.unwrap().because.clone()
        };
        assert_eq!(because(&router(Some(&[]))), "the requirements of variant cuda are an empty set");
        assert_eq!(because(&router(None)), "variant cuda has no requirements set");
        assert_eq!(because(&router(Some(&["numpy"]))), "torch is not among the 1 requirement of variant cuda");
    }

    #[test]
    fn r3_a_variant_that_nothing_was_said_of_goes_to_the_default() {
        let mut router = Router { is_known: false, ..router(None) };
        router.own.variant = name("cpu");
        assert_eq!(went(&router, "torch", None), ("shared".into(), Rule::Default));
        assert!(!router.wants_accelerator(&file("torch-1.0-cp312-cp312-linux_x86_64.whl")));
    }

    #[test]
    fn a_detected_accelerator_goes_to_the_own_collection_then_to_another_that_accepts_it() {
        let mut router = router(Some(&["torch"]));
        let accepting = |variant: &str, accelerators: Option<&[Accelerator]>| Accepting {
            variant: name(variant),
            accelerators: accelerators.map(<[_]>::to_vec),
        };
        router.accepting = vec![
            accepting("a-both", Some(&[Cuda, Rocm])),
            accepting("cuda", None),
            accepting("gaudi", Some(&[])),
            accepting("rocm", None),
        ];
        assert_eq!(went(&router, "xformers", Some(&[Cuda])).1, Rule::Default, "it wasn't asked to detect");
        router.is_detecting = true;
        assert_eq!(went(&router, "xformers", Some(&[Cuda])), ("cuda".into(), Rule::Accelerator));
        assert_eq!(went(&router, "xformers", Some(&[Rocm])), ("a-both".into(), Rule::Accelerator), "the first by name");
        assert_eq!(went(&router, "xformers", Some(&[Rocm, Cuda])), ("a-both".into(), Rule::Accelerator));
        assert_eq!(went(&router, "xformers", Some(&[Gaudi])), ("shared".into(), Rule::Default), "it accepts none");
        assert_eq!(went(&router, "xformers", Some(&[])), ("shared".into(), Rule::Default));
        assert_eq!(went(&router, "xformers", None), ("shared".into(), Rule::Default));
        assert_eq!(went(&router, "torch", Some(&[Rocm])), ("cuda".into(), Rule::Requirement));
    }

    #[test]
    fn what_a_file_is_bound_to_is_wanted_only_where_it_decides() {
        let mut router = router(Some(&["torch"]));
        router.own.overrides = vec![sent("triton", None, "all")];
        let wants = |router: &Router| {
            ["torch", "triton", "numpy"]
                .map(|name| router.wants_accelerator(&file(&format!("{name}-1.0-py3-none-any.whl"))))
        };
        assert_eq!(wants(&router), [false, false, false]);
        router.is_detecting = true;
        assert_eq!(wants(&router), [false, false, true]);
        router.own.shares_pure = true;
        assert_eq!(wants(&router), [true, false, true], "whether it is pure");
        assert!(!router.wants_accelerator(&file("torch-1.0-cp312-cp312-linux_x86_64.whl")));
    }

    #[test]
    fn a_pure_wheel_of_an_own_project_is_shared_where_the_variant_says_so() {
        let mut router = router(Some(&["torch"]));
        router.own.overrides = vec![sent("vllm", None, "special")];
        let went = |router: &Router, name: &str| {
            let decision = router.decide(&Subject { bound: Some(&[]), is_pure: true, ..Subject::of(&project(name)) });
            (decision.collection.to_string(), decision.rule)
        };
        assert_eq!(went(&router, "torch"), ("cuda".into(), Rule::Requirement));
        router.own.shares_pure = true;
        assert_eq!(went(&router, "torch"), ("shared".into(), Rule::Default));
        assert_eq!(went(&router, "vllm"), ("special".into(), Rule::Override), "whatever else is said");
    }

    #[test]
    fn a_version_of_which_a_bound_file_is_known_is_the_variants_own() {
        let mut router = router(Some(&[]));
        let version: Version = "2.5.1".parse().unwrap();
        router.own.bound.insert((project("xformers"), version.clone()), "xformers-2.5.1-1-py3-none-any.whl".to_owned());
        let went = |version: &str, bound: Option<&[Accelerator]>| {
            let (version, name) = (version.parse().unwrap(), project("xformers"));
            router.decide(&Subject { version: Some(&version), bound, ..Subject::of(&name) }).collection.to_string()
        };
        assert_eq!(went("2.5.1", None), "cuda");
        assert_eq!(went("2.5.1+cu126", Some(&[])), "cuda", "it is a build of the same version");
        assert_eq!(went("2.5.2", None), "shared");
        assert_eq!(went("2.5.1", Some(&[Rocm])), "shared", "it is bound to something else");
    }

    #[test]
    fn what_the_default_collection_refuses_is_the_variants_if_that_admits_it() {
        let mut router = router(Some(&["torch"]));
        router.own.overrides = vec![sent("vllm", None, "special"), sent("apex", None, "shared")];
        let again = |router: &Router, name: &str, bound: &[Accelerator]| {
            let first = router.decide(&Subject::of(&project(name)));
            router.decide_refused(&first, bound, "no").map(|decision| (decision.collection.to_string(), decision.rule))
        };
        let own = Some(("cuda".to_owned(), Rule::Guard));
        assert_eq!(again(&router, "numpy", &[Cuda]), own);
        assert_eq!(again(&router, "apex", &[Cuda]), own, "people sent it to the default collection");
        assert_eq!(again(&router, "numpy", &[Rocm]), None, "it isn't for cuda either");
        assert_eq!(again(&router, "numpy", &[Cuda, Rocm]), None);
        assert_eq!(again(&router, "vllm", &[Cuda]), None, "people said where it goes");
        assert_eq!(again(&router, "torch", &[Rocm]), None, "it was cuda that refused it");
        router.admitted = None;
        assert_eq!(again(&router, "numpy", &[Rocm]), own, "it admits all");
    }
}
