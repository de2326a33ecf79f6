//! Files of requirements and lock files, read from disk: the projects that they name, and what they want.

mod lock;

use super::pull::Want;
use crate::catalog::rank::admits;
use crate::catalog::search::TagFilter;
use crate::catalog::wish::Wish;
use crate::error::{Error, Result};
use crate::manifest::VariantRequirement;
use crate::requirement::{Environment, FileError, LineOfFile, Requirement, Requirements, Spec, read};
use crate::words::reason;
use lock::{LockFile, LockedFile, LockedPackage};
use pep440_rs::{Version, VersionSpecifier, VersionSpecifiers};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
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
        let found = match open(path)? {
            Opened::Lines(found) => found,
            Opened::Lock(lock) => {
                set.refused.extend(lock.refused);
                set.notes.extend(lock.notes);
                for LockedPackage { name, version, .. } in lock.packages {
                    let text = version.map_or_else(|| name.to_string(), |version| format!("{name}=={version}"));
                    projects.entry(name).or_insert(text);
                }
                continue;
            }
        };
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
///
/// Of a lock file the target wants the best file of each package; where nothing is said of a target, all files are wanted.
pub fn wants(paths: &[PathBuf], tags: &TagFilter) -> Result<WantSet> {
    let target = &tags.target;
    let python = target.python.as_ref().map(|python| (python.major, python.minor));
    let environment = Environment::for_target(python, target.platform.as_ref().map(|platform| platform.as_str()));
    let mut set = WantSet::default();
    for path in paths {
        let found = match open(path)? {
            Opened::Lines(found) => found,
            Opened::Lock(lock) => {
                lock_wants(path, lock, &environment, tags, &mut set);
                continue;
            }
        };
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

/// Adds what a lock file wants; its digests bind what is taken.
fn lock_wants(path: &Path, lock: LockFile, environment: &Environment, tags: &TagFilter, set: &mut WantSet) {
    set.refused.extend(lock.refused);
    set.notes.extend(lock.notes);
    let is_any_target = tags.build_tag.is_none() && tags.target == crate::wheel::Target::default();
    for package in lock.packages.iter().filter(|package| package.applies(environment)) {
        if !admits(package.requires_python.as_deref(), &tags.target) {
            continue;
        }
        let version = package.version.as_deref().unwrap_or("of any version");
        let place = format!("{}: {} {version}", path.display(), package.name);
        if is_any_target {
            set.wants.extend(package.files.iter().map(|LockedFile { filename, sha256 }| {
                let wish = Wish { spec: Spec::Filename(filename.clone()), tags: tags.clone(), sha256: vec![*sha256] };
                Want { wish, place: place.clone() }
            }));
            continue;
        }
        let version = package.version.as_deref().and_then(|text| text.parse::<Version>().ok());
        let specifiers: VersionSpecifiers = version.map(VersionSpecifier::equals_version).into_iter().collect();
        let spec = Spec::Project { name: package.name.clone(), specifiers };
        let sha256 = package.files.iter().map(|file| file.sha256).collect();
        set.wants.push(Want { wish: Wish { spec, tags: tags.clone(), sha256 }, place });
    }
}

/// The largest file that is read, in bytes: it is text that people or resolvers wrote.
const MAX_BYTES: u64 = 16 << 20;

/// A file, read as what it is.
enum Opened {
    Lines(Requirements),
    Lock(LockFile),
}

fn open(path: &Path) -> Result<Opened> {
    let bytes = bounded(path).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => Error::Refused(format!("{}: {error}", path.display())),
        _ => crate::fs::Error::at("read", path)(error).into(),
    })?;
    if let Some(lock) = lock::read(path, &bytes)? {
        return Ok(Opened::Lock(lock));
    }
    let mut first = Some(bytes);
    let found = read(path, &mut |path| first.take().map_or_else(|| bounded(path), Ok));
    found.map(Opened::Lines).map_err(|error| match error {
        FileError::Open { path, source } => crate::fs::Error::at("read", path)(source).into(),
        FileError::Encoding { .. } => Error::Refused(reason(&error)),
    })
}

fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} MiB", MAX_BYTES >> 20))),
        false => Ok(bytes),
    }
}

fn texts(lines: &[(LineOfFile, String)]) -> impl Iterator<Item = String> + '_ {
    lines.iter().map(|(place, text)| format!("{place}: {text}"))
}
