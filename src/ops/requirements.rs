//! Files of requirements, read from disk: the projects that they name, and what they want.

use super::pull::Want;
use crate::catalog::search::TagFilter;
use crate::catalog::wish::Wish;
use crate::error::{Error, Result};
use crate::manifest::VariantRequirement;
use crate::requirement::{Environment, FileError, LineOfFile, Requirement, Requirements, read};
use crate::words::reason;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
            // What is stored has no secret: a URL with one is not needed to know the project.
            let text = if requirement.has_credentials() { requirement.name.to_string() } else { requirement.text };
            projects.entry(requirement.name).or_insert(text);
        }
    }
    let row = |(project, requirement)| VariantRequirement { project, requirement };
    set.projects = projects.into_iter().map(row).collect();
    Ok(set)
}

/// Reads lines of requirements that stand in a list, whose place is what errors call it: the projects, by name, each with its first.
pub(super) fn named(place: &str, lines: &[String]) -> Result<Vec<VariantRequirement>> {
    let mut projects = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        let mut is_first = true;
        let mut open = |_: &Path| match std::mem::take(&mut is_first) {
            true => Ok(line.clone().into_bytes()),
            false => Err(std::io::Error::other("name it in requirements-files")),
        };
        let refuse = |why: &str| Err(Error::Refused(format!("{place}, item {}: {why}", at + 1)));
        let found = read(Path::new(""), &mut open).map_err(|error| Error::Refused(reason(&error)))?;
        if let Some((_, why)) = found.refused.first() {
            return refuse(why);
        }
        for requirement in found.requirements {
            // A file may be fetched with them; a list is kept for all to see.
            if requirement.has_credentials() {
                return refuse(&format!(
                    "the URL of {} has credentials in it, which would be stored",
                    requirement.name
                ));
            }
            projects.entry(requirement.name).or_insert(requirement.text);
        }
    }
    let row = |(project, requirement)| VariantRequirement { project, requirement };
    Ok(projects.into_iter().map(row).collect())
}

/// Reads files of requirements as what the target of these tags wants: lines whose marker shuts it out are left out, constraints narrow.
pub fn wants(paths: &[PathBuf], tags: &TagFilter) -> Result<WantSet> {
    let target = &tags.target;
    let python = target.python.as_ref().map(|python| (python.major, python.minor));
    let environment = Environment::for_target(python, target.platform.as_ref().map(|platform| platform.as_str()));
    let mut set = WantSet::default();
    for path in paths {
        let found = open(path)?;
        set.refused.extend(texts(&found.refused));
        set.notes.extend(texts(&found.notes));
        for requirement in found.requirements.iter().filter(|line| line.applies(Some(&environment))) {
            match want(requirement, &found.constraints, &environment, tags) {
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
    tags: &TagFilter,
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
    let wish = Wish { spec: narrowed.spec(), tags: tags.clone(), sha256: requirement.sha256.clone() };
    Ok(Want { wish, place: requirement.place.to_string() })
}

fn open(path: &Path) -> Result<Requirements> {
    read(path, &mut |path| std::fs::read(path)).map_err(|error| match error {
        FileError::Open { path, source } => crate::fs::Error::at("read", path)(source).into(),
        FileError::Encoding { .. } => Error::Refused(reason(&error)),
    })
}

fn texts(lines: &[(LineOfFile, String)]) -> impl Iterator<Item = String> + '_ {
    lines.iter().map(|(place, text)| format!("{place}: {text}"))
}
