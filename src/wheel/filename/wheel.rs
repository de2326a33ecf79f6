//! A wheel's filename, and the build tag in it.

use super::{FilenameError, check_no_copy, check_safe, is_safe, parse_project, parse_version};
use crate::name::ProjectName;
use crate::wheel::variant::VariantLabel;
use pep440_rs::Version;
use std::fmt;
use std::ops::Range;
use std::str::{FromStr, Split};

/// A wheel's build tag: a number, then any suffix. Sorts by number, then suffix.
///
/// The number is kept as a number, as `packaging` does: `01` is `1` and prints so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildTag {
    /// The leading digits.
    pub number: u64,
    /// What follows them, maybe nothing.
    pub suffix: String,
}

impl FromStr for BuildTag {
    type Err = FilenameError;

    fn from_str(text: &str) -> Result<Self, FilenameError> {
        let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let (number, suffix) = text.split_at(digits);
        match number.parse() {
            Ok(number) if !suffix.contains('-') && is_safe(text) => Ok(Self { number, suffix: suffix.to_owned() }),
            _ => Err(FilenameError::BuildTag(text.to_owned())),
        }
    }
}

impl fmt::Display for BuildTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.number, self.suffix)
    }
}

impl serde::Serialize for BuildTag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A wheel's filename.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WheelFilename {
    text: String,
    project: ProjectName,
    version: Version,
    build_tag: Option<BuildTag>,
    /// Where the tags are in `text`.
    tags: Range<usize>,
    variant: Option<VariantLabel>,
}

impl WheelFilename {
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

    /// Returns the build tag, if there is one.
    pub fn build_tag(&self) -> Option<&BuildTag> {
        self.build_tag.as_ref()
    }

    /// Returns the compressed tags `python-abi-platform` as they are in the filename.
    pub fn tags(&self) -> &str {
        &self.text[self.tags.clone()]
    }

    /// Returns the variant label, if this is a variant wheel.
    pub fn variant(&self) -> Option<&VariantLabel> {
        self.variant.as_ref()
    }

    /// Returns the alternatives of the interpreter tag.
    pub fn python_tags(&self) -> Split<'_, char> {
        self.tag_part(0)
    }

    /// Returns the alternatives of the ABI tag.
    pub fn abi_tags(&self) -> Split<'_, char> {
        self.tag_part(1)
    }

    /// Returns the alternatives of the platform tag.
    pub fn platform_tags(&self) -> Split<'_, char> {
        self.tag_part(2)
    }

    fn tag_part(&self, part: usize) -> Split<'_, char> {
        self.tags().split('-').nth(part).unwrap_or_default().split('.')
    }
}

impl FromStr for WheelFilename {
    type Err = FilenameError;

    fn from_str(text: &str) -> Result<Self, FilenameError> {
        check_safe(text)?;
        let stem = text.strip_suffix(".whl").ok_or_else(|| FilenameError::Extension(text.to_owned()))?;
        check_no_copy(text, stem)?;
        let parts: Vec<&str> = stem.split('-').collect();
        let (project, version, build_tag, tags, label) = match parts[..] {
            [project, version, python, abi, platform] => (project, version, None, [python, abi, platform], None),
            // A build tag begins with a digit, and no interpreter's tag does.
            [project, version, python, abi, platform, label] if !is_build_tag(python, label) => {
                (project, version, None, [python, abi, platform], Some(label))
            }
            [project, version, build, python, abi, platform] => {
                (project, version, Some(build), [python, abi, platform], None)
            }
            [project, version, build, python, abi, platform, label] => {
                (project, version, Some(build), [python, abi, platform], Some(label))
            }
            _ => return Err(FilenameError::Parts { name: text.to_owned(), found: parts.len() }),
        };
        let end = stem.len() - label.map_or(0, |label| label.len() + 1);
        let start = end - (tags.iter().map(|tag| tag.len()).sum::<usize>() + 2);
        if project.contains("__") {
            return Err(FilenameError::Escape(project.to_owned()));
        }
        if !tags[0].split('.').all(is_identifier) || !tags.iter().all(|tag| tag.split('.').all(is_word)) {
            return Err(FilenameError::Tags(stem[start..end].to_owned()));
        }
        let variant = label.map(str::parse).transpose();
        Ok(Self {
            project: parse_project(text, project)?,
            version: parse_version(text, version)?,
            build_tag: build_tag.map(str::parse).transpose()?,
            tags: start..end,
            variant: variant.map_err(|source| FilenameError::Label { name: text.to_owned(), source })?,
            text: text.to_owned(),
        })
    }
}

/// Tells whether the third of six parts is meant as a build tag, where `last` is the sixth. A wheel for some platform whose build tag
/// is a bad one must not pass for a variant wheel, so no label is the name of a platform.
fn is_build_tag(third: &str, last: &str) -> bool {
    const PLATFORMS: [&str; 5] = ["linux_", "manylinux", "musllinux_", "macosx_", "win_"];
    let is_platform = matches!(last, "any" | "win32") || PLATFORMS.iter().any(|start| last.starts_with(start));
    third.is_empty() || third.starts_with(|first: char| first.is_ascii_digit()) || is_platform
}

fn is_identifier(tag: &str) -> bool {
    !tag.starts_with(|first: char| first.is_ascii_digit()) && is_word(tag)
}

fn is_word(tag: &str) -> bool {
    !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
