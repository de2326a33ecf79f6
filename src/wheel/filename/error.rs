//! Why a filename is refused.

use crate::name::NameError;
use crate::wheel::variant::LabelError;
use pep440_rs::VersionParseError;

/// A filename that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilenameError {
    /// Not one plain path segment.
    #[error(
        "{0:?} is not a safe filename: expected one path segment, 1 to 255 bytes, no control character, no '.' first"
    )]
    Unsafe(String),
    /// Neither a wheel's nor an sdist's extension.
    #[error("{0:?} is not a distribution's filename: expected '.whl', '.tar.gz' or '.zip' at its end")]
    Extension(String),
    /// A copy, as browsers name a second download.
    #[error("{name:?} is the name of a copy, which no installer takes: rename it to {right:?}")]
    Copy {
        /// The filename.
        name: String,
        /// What it should be.
        right: String,
    },
    /// A wheel's name with too few or too many dashes.
    #[error("{name:?} is not a wheel's filename: expected 5 to 7 parts between dashes, found {found}")]
    Parts {
        /// The filename.
        name: String,
        /// The number of parts.
        found: usize,
    },
    /// An sdist's name without a dash.
    #[error("{0:?} is not an sdist's filename: expected a dash between project and version")]
    Dash(String),
    /// A wheel's project name with two underscores in a row.
    #[error("{0:?} is not an escaped project name: expected single underscores in a wheel's filename")]
    Escape(String),
    /// A bad project name.
    #[error("the filename {name:?} has no good project name")]
    Project {
        /// The filename.
        name: String,
        /// What is wrong with the project name.
        source: NameError,
    },
    /// A bad version.
    #[error("{version:?} in the filename {name:?} is not a version")]
    Version {
        /// The filename.
        name: String,
        /// The part that should be a version.
        version: String,
        /// What is wrong with it.
        source: VersionParseError,
    },
    /// A bad build tag.
    #[error(
        "{0:?} is not a build tag: expected a number up to 18446744073709551615 and any suffix, without '-' or '/'"
    )]
    BuildTag(String),
    /// A bad part of the tags.
    #[error("{0:?} is not a wheel's tags: expected python-abi-platform of letters, digits and '_', no part empty")]
    Tags(String),
    /// A bad variant label.
    #[error("the filename {name:?} has no good variant label")]
    Label {
        /// The filename.
        name: String,
        /// What is wrong with the label.
        source: LabelError,
    },
}
