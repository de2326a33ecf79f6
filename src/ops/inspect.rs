//! `inspect`: what files are bound to, without a store.

use crate::fs;
use crate::intake::Refused;
use crate::wheel::accelerator::{self, Accelerator, Finding, Inspection, Strength};
use crate::wheel::{self, DistributionFilename};
use crate::words::reason;
use serde::Serialize;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What was found about several files.
#[derive(Debug, Serialize)]
pub struct InspectReport {
    /// Those that could be read, in the order in which they were named.
    pub files: Vec<InspectedFile>,
    /// Those that could not, and why.
    pub refused: Vec<Refused>,
}

/// What one file is bound to.
#[derive(Debug, Serialize)]
pub struct InspectedFile {
    /// Where it is.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub path: PathBuf,
    /// The distribution's filename; for a file without a good one, such as a blob, the one that its contents tell.
    pub filename: String,
    /// The accelerators that were found, each with the strongest finding.
    pub accelerators: Vec<Bond>,
    /// The accelerators that it requires or is.
    pub bound: Vec<Accelerator>,
    /// Whether a deep look could not find more.
    pub is_conclusive: bool,
    /// What was found, and what is wrong.
    #[serde(flatten)]
    pub inspection: Inspection,
}

/// How strongly a file is bound to one accelerator.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Bond {
    /// Which one.
    pub accelerator: Accelerator,
    /// How strongly.
    pub strength: Strength,
}

impl InspectedFile {
    /// Returns the findings of an accelerator, strongest first.
    pub fn findings(&self, accelerator: Accelerator) -> impl Iterator<Item = &Finding> {
        self.inspection.findings.iter().filter(move |finding| finding.accelerator == accelerator)
    }
}

/// Looks at files, into their members where `is_deep`; bad ones are told, and the others are done.
pub fn inspect(paths: &[PathBuf], is_deep: bool) -> InspectReport {
    let mut report = InspectReport { files: Vec::new(), refused: Vec::new() };
    for path in paths {
        match inspect_file(path, is_deep) {
            Ok(file) => report.files.push(file),
            Err(refused) => report.refused.push(refused),
        }
    }
    report
}

fn inspect_file(path: &Path, is_deep: bool) -> Result<InspectedFile, Refused> {
    let file = fs::open(path).map_err(|error| refused(path, &error))?;
    let name = named(path, &file)?;
    let contents = wheel::read(&file, &name).map_err(|error| refused(path, &error))?;
    let metadata = contents.metadata.as_deref();
    let look = match is_deep {
        true => accelerator::deep(&file, &name, metadata),
        false => accelerator::quick(&file, &name, metadata),
    };
    let mut inspection = look.map_err(|error| refused(path, &error))?;
    if is_deep && let Err(error) = wheel::check_bytes(&file, &name) {
        let problem = reason(&error);
        if !inspection.problems.contains(&problem) {
            inspection.problems.push(problem);
        }
    }
    let strengths = inspection.strengths().into_iter();
    Ok(InspectedFile {
        path: path.to_owned(),
        filename: name.as_str().to_owned(),
        accelerators: strengths.map(|(accelerator, strength)| Bond { accelerator, strength }).collect(),
        bound: inspection.bound(),
        is_conclusive: inspection.is_conclusive(),
        inspection,
    })
}

/// Returns the distribution's filename: the file's own, or for a blob the one that its contents tell.
fn named(path: &Path, file: &File) -> Result<DistributionFilename, Refused> {
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    DistributionFilename::parse(&own).or_else(|error| {
        let guessed = wheel::guess::filename(file).and_then(|name| DistributionFilename::parse(&name).ok());
        guessed.ok_or_else(|| refused(path, &error))
    })
}

fn refused(path: &Path, error: &dyn std::error::Error) -> Refused {
    Refused { path: path.to_owned(), reason: reason(error) }
}
