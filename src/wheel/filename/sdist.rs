//! An sdist's filename, which leaves open which dash parts project and version.

use super::{FilenameError, check_no_copy, check_safe, parse_project, parse_version};
use crate::name::ProjectName;
use crate::wheel::sdist::{EXTENSIONS, Packing};
use pep440_rs::Version;
use std::str::FromStr;

/// The most dashes of an sdist's name, from its end, that are taken for what parts project and version: a version has few.
const MAX_DASHES: usize = 6;

/// An sdist's filename.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SdistFilename {
    text: String,
    project: ProjectName,
    version: Version,
    packing: Packing,
}

impl SdistFilename {
    /// Returns the filename exactly as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the project, normalised.
    pub fn project(&self) -> &ProjectName {
        &self.project
    }

    /// Returns the version; its text is the normalised one.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Returns how the sdist is packed, by its extension.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// Returns the extension.
    pub fn extension(&self) -> &str {
        EXTENSIONS.iter().map(|(end, _)| *end).find(|end| self.text.ends_with(end)).unwrap_or_default()
    }

    /// Returns whether the public index takes new sdists of this extension: `.tar.gz` and `.zip` alone.
    pub fn is_of_today(&self) -> bool {
        matches!(self.extension(), ".tar.gz" | ".zip")
    }

    /// Returns what the name can mean, the likeliest first: a dash may stand in the project's name and, in old sdists, in the version
    /// (`cffi-1.0.2-2` is 1.0.2.post2), so only who knows the project knows which dash parts them.
    pub(super) fn readings(text: &str) -> Result<Vec<Self>, FilenameError> {
        check_safe(text)?;
        let found = EXTENSIONS.iter().find_map(|(end, packing)| Some((text.strip_suffix(end)?, *packing)));
        let (stem, packing) = found.ok_or_else(|| FilenameError::Extension(text.to_owned()))?;
        check_no_copy(text, stem)?;
        let dashes: Vec<usize> = stem.match_indices('-').map(|(at, _)| at).rev().take(MAX_DASHES).collect();
        let read = |at: &usize| {
            let (project, version) = (parse_project(text, &stem[..*at])?, parse_version(text, &stem[at + 1..])?);
            Ok(Self { text: text.to_owned(), project, version, packing })
        };
        let last = dashes.first().map(read).ok_or_else(|| FilenameError::Dash(text.to_owned()))?;
        let mut readings: Vec<Self> = dashes[1..].iter().filter_map(|at| read(at).ok()).collect();
        match last {
            Ok(last) => {
                // A name that ends like a release, then a number alone: sooner a post release than a project called so.
                let is_post = |own: &Self| {
                    own.version.is_post() && own.version.release().len() > 1 && last.version.release().len() == 1
                };
                let place = usize::from(readings.first().is_some_and(is_post));
                readings.insert(place, last);
            }
            Err(error) if readings.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok(readings)
    }
}

impl FromStr for SdistFilename {
    type Err = FilenameError;

    fn from_str(text: &str) -> Result<Self, FilenameError> {
        Self::readings(text).map(|mut readings| readings.swap_remove(0))
    }
}
