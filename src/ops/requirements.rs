//! Files of requirements, read from disk: the projects that they name, and what they want.

use super::{Want, reason};
use crate::error::{Error, Result};
use crate::manifest::VariantRequirement;
use crate::requirement::{Environment, Place, Requirement, Requirements, read};
use crate::wheel::Target;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What files of requirements name, and what in them names nothing.
#[derive(Debug, Clone, Default)]
pub struct RequirementSet {
    /// The projects, by name, each with the first line that names it.
    pub projects: Vec<VariantRequirement>,
    /// Lines that name no project, and why.
    pub refused: Vec<String>,
    /// Lines that are good and not obeyed in full.
    pub notes: Vec<String>,
}

/// What files of requirements want for a target.
#[derive(Debug, Clone, Default)]
pub struct WantSet {
    /// What to pull.
    pub wants: Vec<Want>,
    /// Lines that can't be met, and why.
    pub refused: Vec<String>,
    /// Lines that are good and not obeyed in full.
    pub notes: Vec<String>,
}

/// Reads files of requirements: the union of what they name, whatever their markers say.
pub fn names(paths: &[PathBuf]) -> Result<RequirementSet> {
    let mut projects = BTreeMap::new();
    let mut set = RequirementSet::default();
    for path in paths {
        let found = open(path)?;
        set.refused.extend(texts(&found.refused));
        set.notes.extend(texts(&found.notes));
        for requirement in found.requirements {
            projects.entry(requirement.name).or_insert(requirement.text);
        }
    }
    let row = |(project, requirement)| VariantRequirement { project, requirement };
    set.projects = projects.into_iter().map(row).collect();
    Ok(set)
}

/// Reads files of requirements as what a target wants: lines whose marker shuts it out are left out, constraints narrow.
pub fn wants(paths: &[PathBuf], target: &Target) -> Result<WantSet> {
    let python = target.python.as_ref().map(|python| (python.major, python.minor));
    let environment = Environment::for_target(python, target.platform.as_ref().map(|platform| platform.as_str()));
    let mut set = WantSet::default();
    for path in paths {
        let found = open(path)?;
        set.refused.extend(texts(&found.refused));
        set.notes.extend(texts(&found.notes));
        for requirement in found.requirements.iter().filter(|line| line.applies(Some(&environment))) {
            match want(requirement, &found.constraints, &environment) {
                Ok(want) => set.wants.push(want),
                Err(why) => set.refused.push(format!("{}: {}: {why}", requirement.place, requirement.text)),
            }
        }
    }
    Ok(set)
}

fn want(
    requirement: &Requirement,
    constraints: &[Requirement],
    environment: &Environment,
) -> std::result::Result<Want, String> {
    if requirement.url.is_some() {
        return Err("a direct URL is no remote's: fetch the file and `wcas import` it".to_owned());
    }
    if requirement.sha256.is_empty() && !requirement.other_digests.is_empty() {
        return Err("it demands a digest, and none that indexes give: use sha256".to_owned());
    }
    let mut narrowed = requirement.clone();
    let mine = constraints.iter().filter(|line| line.name == requirement.name && line.applies(Some(environment)));
    for constraint in mine {
        narrowed.specifiers = narrowed.specifiers.iter().chain(constraint.specifiers.iter()).cloned().collect();
    }
    Ok(Want { spec: narrowed.spec(), sha256: requirement.sha256.clone(), place: requirement.place.to_string() })
}

fn open(path: &std::path::Path) -> Result<Requirements> {
    read(path, &mut |path| std::fs::read(path)).map_err(|error| Error::Refused(reason(&error)))
}

fn texts(lines: &[(Place, String)]) -> impl Iterator<Item = String> + '_ {
    lines.iter().map(|(place, text)| format!("{place}: {text}"))
}
