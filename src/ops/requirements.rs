//! The projects that files of requirements name.

use crate::error::{Error, Result};
use crate::fs;
use crate::manifest::VariantRequirement;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What files of requirements name, and what in them names nothing.
#[derive(Debug, Clone, Default)]
pub struct RequirementSet {
    /// The projects, by name, each with the first line that names it.
    pub projects: Vec<VariantRequirement>,
    /// Lines that name no project, and why.
    pub refused: Vec<String>,
}

/// Reads files of requirements: the union of what they name.
pub fn names(paths: &[PathBuf]) -> Result<RequirementSet> {
    let mut projects = BTreeMap::new();
    let mut refused = Vec::new();
    for path in paths {
        for (number, line) in lines(path)?.iter().enumerate() {
            let line = line.split(" #").next().unwrap_or_default().trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let end = line.find(|letter: char| !(letter.is_ascii_alphanumeric() || "._-".contains(letter)));
            match line[..end.unwrap_or(line.len())].parse() {
                Ok(project) => {
                    projects.entry(project).or_insert_with(|| line.to_owned());
                }
                Err(_) => refused.push(format!("{}:{}: {line:?} names no project", path.display(), number + 1)),
            }
        }
    }
    let row = |(project, requirement)| VariantRequirement { project, requirement };
    Ok(RequirementSet { projects: projects.into_iter().map(row).collect(), refused })
}

fn lines(path: &Path) -> Result<Vec<String>> {
    let bytes = std::fs::read(path).map_err(fs::Error::at("read", path))?;
    let text = String::from_utf8(bytes).map_err(|_| Error::Refused(format!("{} is not UTF-8", path.display())))?;
    Ok(text.lines().map(str::to_owned).collect())
}
