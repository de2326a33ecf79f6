//! Which collection takes a new distribution of a variant: a pure function of plain values.
//!
//! The first rule that says something decides: an override for the project (one of the variant before one for all), the project in
//! the variant's requirements, the accelerator that the file is bound to where the variant detects, the default collection.

use crate::error::Result;
use crate::manifest::{RouteOverride, Rows, VariantRequirement};
use crate::name::{CollectionName, ProjectName};
use crate::ops::counted;
use crate::wheel::accelerator::Accelerator;
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
    /// The project is in the variant's requirements.
    Requirement,
    /// The file is bound to an accelerator that a variant's collection accepts.
    Accelerator,
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
    pub(in crate::ops) fn makes_collection(&self) -> bool {
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

/// All that decides where a variant's distributions go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// The variant.
    pub variant: CollectionName,
    /// Whether the store knows the variant; one that it doesn't know has no requirements and doesn't detect.
    pub is_known: bool,
    /// The projects that are its own, with what was written; `None`: it has no set, which an empty one is.
    pub requirements: Option<BTreeMap<ProjectName, String>>,
    /// Whether accelerators are asked for.
    pub is_detecting: bool,
    /// The overrides of all variants.
    pub overrides: Vec<RouteOverride>,
    /// The other variants' collections and this one's, by name.
    pub accepting: Vec<Accepting>,
    /// The collection for the rest.
    pub default: CollectionName,
}

impl Router {
    /// Reads what decides for a variant; requirements that are given take the place of the stored set.
    pub fn read(rows: &Rows, variant: &CollectionName, requirements: Option<Vec<VariantRequirement>>) -> Result<Self> {
        let row = rows.find_variant(variant)?;
        let requirements = match requirements {
            Some(given) => Some(given),
            None if row.as_ref().is_some_and(|row| row.has_requirements) => Some(rows.variant_requirements(variant)?),
            None => None,
        };
        let guards = rows.collections()?.into_iter();
        let mut accelerators: BTreeMap<CollectionName, _> =
            guards.filter_map(|row| Some((row.name, row.guard.accelerators?))).collect();
        let mut variants: Vec<CollectionName> = rows.variants()?.into_iter().map(|row| row.name).collect();
        if row.is_none() {
            variants.push(variant.clone());
        }
        let accepting = |variant: CollectionName| Accepting { accelerators: accelerators.remove(&variant), variant };
        Ok(Self {
            variant: variant.clone(),
            is_known: row.is_some(),
            requirements: requirements.map(|set| set.into_iter().map(|row| (row.project, row.requirement)).collect()),
            is_detecting: row.is_some_and(|row| row.is_detecting),
            overrides: rows.overrides()?,
            accepting: variants.into_iter().map(accepting).collect(),
            default: rows.default_collection()?,
        })
    }

    /// Tells whether a project's decision depends on what its file is bound to.
    pub fn wants_accelerator(&self, project: &ProjectName) -> bool {
        self.is_detecting && find_override(&self.overrides, &self.variant, project).is_none() && !self.lists(project)
    }

    /// Decides. `bound` are the accelerators that the file is bound to; `None`: not known.
    pub fn decide(&self, project: &ProjectName, bound: Option<&[Accelerator]>) -> Decision {
        let mut considered = Vec::new();
        let mut pass = |rule, because: String| considered.push(Considered { rule, because });
        let (collection, rule, reason) = 'decided: {
            match find_override(&self.overrides, &self.variant, project) {
                Some(found) => {
                    let whose =
                        found.variant.as_ref().map_or("all variants".to_owned(), |name| format!("variant {name}"));
                    let reason = format!("{project} is sent to {} for {whose}", found.collection);
                    break 'decided (found.collection.clone(), Rule::Override, reason);
                }
                None => pass(Rule::Override, format!("{project} has no override")),
            }
            match &self.requirements {
                Some(set) => match set.get(project) {
                    Some(requirement) => {
                        let reason = format!("variant {} requires {requirement}", self.variant);
                        break 'decided (self.variant.clone(), Rule::Requirement, reason);
                    }
                    None => pass(Rule::Requirement, self.unlisted(project, set.len())),
                },
                None if self.is_known => {
                    pass(Rule::Requirement, format!("variant {} has no requirements set", self.variant));
                }
                None => pass(Rule::Requirement, format!("nothing was said of a variant {}", self.variant)),
            }
            match self.accepting(bound) {
                Ok((collection, reason)) => break 'decided (collection, Rule::Accelerator, reason),
                Err(because) => pass(Rule::Accelerator, because),
            }
            (self.default.clone(), Rule::Default, format!("{} takes what no rule sends elsewhere", self.default))
        };
        Decision { collection, rule, reason, considered }
    }

    fn lists(&self, project: &ProjectName) -> bool {
        self.requirements.as_ref().is_some_and(|set| set.contains_key(project))
    }

    fn unlisted(&self, project: &ProjectName, count: usize) -> String {
        match count {
            0 => format!("the requirements of variant {} are an empty set", self.variant),
            _ => format!("{project} is not among the {} of variant {}", counted(count, "requirement"), self.variant),
        }
    }

    /// Returns the collection that accepts what a file is bound to: the variant's own before another's; or why there is none.
    fn accepting(&self, bound: Option<&[Accelerator]>) -> std::result::Result<(CollectionName, String), String> {
        if !self.is_detecting {
            return Err(format!("variant {} doesn't detect accelerators", self.variant));
        }
        let Some(bound) = bound else { return Err("it is not known what the file is bound to".to_owned()) };
        if bound.is_empty() {
            return Err("the file is bound to no accelerator".to_owned());
        }
        let names = bound.iter().map(|own| own.as_str()).collect::<Vec<_>>().join(" and ");
        let own = self.accepting.iter().filter(|accepting| accepting.variant == self.variant);
        let others = self.accepting.iter().filter(|accepting| accepting.variant != self.variant);
        match own.chain(others).find(|accepting| accepting.accepts(bound)) {
            Some(found) => {
                Ok((found.variant.clone(), format!("the file is bound to {names}, which {} accepts", found.variant)))
            }
            None => Err(format!("the file is bound to {names}, which no variant's collection accepts")),
        }
    }
}

/// Returns the override that holds for a project: the variant's own before the one for all.
pub(in crate::ops) fn find_override<'a>(
    overrides: &'a [RouteOverride],
    variant: &CollectionName,
    project: &ProjectName,
) -> Option<&'a RouteOverride> {
    let of = |whose: Option<&CollectionName>| {
        overrides.iter().find(|row| row.project == *project && row.variant.as_ref() == whose)
    };
    of(Some(variant)).or_else(|| of(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Accelerator::{Cuda, Gaudi, Rocm};

    fn name(text: &str) -> CollectionName {
        text.parse().unwrap()
    }

    fn project(text: &str) -> ProjectName {
        text.parse().unwrap()
    }

    fn router(requirements: Option<&[&str]>) -> Router {
        let set = |names: &[&str]| names.iter().map(|name| (project(name), format!("{name}>=1"))).collect();
        Router {
            variant: name("cuda"),
            is_known: true,
            requirements: requirements.map(set),
            is_detecting: false,
            overrides: Vec::new(),
            accepting: Vec::new(),
            default: CollectionName::shared(),
        }
    }

    fn sent(project_name: &str, variant: Option<&str>, collection: &str) -> RouteOverride {
        RouteOverride { project: project(project_name), variant: variant.map(name), collection: name(collection) }
    }

    fn went(router: &Router, project_name: &str, bound: Option<&[Accelerator]>) -> (String, Rule) {
        let decision = router.decide(&project(project_name), bound);
        (decision.collection.to_string(), decision.rule)
    }

    #[test]
    fn r1_an_override_goes_before_the_requirements_and_they_before_the_default() {
        let mut router = router(Some(&["torch", "Flash_Attn"]));
        assert_eq!(went(&router, "torch", None), ("cuda".into(), Rule::Requirement));
        assert_eq!(went(&router, "flash.attn", None), ("cuda".into(), Rule::Requirement), "names are normalised");
        assert_eq!(went(&router, "numpy", None), ("shared".into(), Rule::Default));
        router.overrides = vec![sent("torch", None, "all"), sent("numpy", Some("rocm"), "else")];
        assert_eq!(went(&router, "torch", None), ("all".into(), Rule::Override));
        assert_eq!(went(&router, "numpy", None), ("shared".into(), Rule::Default), "another variant's override");
        router.overrides.push(sent("torch", Some("cuda"), "own"));
        assert_eq!(went(&router, "torch", None), ("own".into(), Rule::Override), "the variant's own goes first");
        router.default = name("base");
        assert_eq!(went(&router, "numpy", None), ("base".into(), Rule::Default), "the default's name can be changed");
    }

    #[test]
    fn r2_an_empty_set_of_requirements_is_a_set() {
        let because = |router: &Router| {
            let decision = router.decide(&project("torch"), None);
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
        let router = Router { variant: name("cpu"), is_known: false, ..router(None) };
        assert_eq!(went(&router, "torch", None), ("shared".into(), Rule::Default));
        assert!(!router.wants_accelerator(&project("torch")));
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
        router.overrides = vec![sent("triton", None, "all")];
        let wants = |router: &Router| ["torch", "triton", "numpy"].map(|name| router.wants_accelerator(&project(name)));
        assert_eq!(wants(&router), [false, false, false]);
        router.is_detecting = true;
        assert_eq!(wants(&router), [false, false, true]);
    }
}
