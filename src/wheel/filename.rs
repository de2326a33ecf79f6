//! Filenames of distributions: what a wheel's or sdist's name says, and which names are accepted.
//!
//! Accepts what `packaging.utils` 26.3 accepts, with the same meaning, except names that are no single safe path
//! segment ([`FilenameError::Unsafe`]), project names that [`ProjectName`] refuses, tags with other letters than tags have (no
//! installer takes those), and numbers of a build tag or version above `u64::MAX`; and, beyond that, the labels of variant wheels
//! (PEP 825), and what pip and uv install of old sdists: other extensions, and a dash in the version.

mod sdist;

pub use sdist::SdistFilename;

use super::sdist::EXTENSIONS;
use super::variant::{LabelError, VariantLabel};
use crate::name::{NameError, ProjectName};
use pep440_rs::{Version, VersionParseError};
use std::fmt;
use std::ops::Range;
use std::str::{FromStr, Split};

/// The longest name that common filesystems hold.
const MAX_BYTES: usize = 255;

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

/// A wheel or an sdist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A built distribution, `.whl`.
    Wheel,
    /// A source distribution: `.tar.gz`, `.zip`, or an old project's `.tgz`, `.tar.bz2` or `.tar.xz`.
    Sdist,
}

impl Kind {
    /// Returns what a name is meant as, by its extension in any case; `None`: nothing that the store takes.
    pub fn meant_by(name: &str) -> Option<Self> {
        let name = name.as_bytes();
        let ends = |end: &str| {
            let at = name.len().checked_sub(end.len());
            at.is_some_and(|at| name[at..].eq_ignore_ascii_case(end.as_bytes()))
        };
        let is_sdist = || EXTENSIONS.iter().any(|(end, _)| ends(end));
        if ends(".whl") { Some(Self::Wheel) } else { is_sdist().then_some(Self::Sdist) }
    }
}

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

/// The filename of a distribution.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DistributionFilename {
    /// A wheel.
    Wheel(WheelFilename),
    /// A source distribution.
    Sdist(SdistFilename),
}

impl DistributionFilename {
    /// Parses a filename; its extension says which kind it is.
    pub fn parse(text: &str) -> Result<Self, FilenameError> {
        if text.ends_with(".whl") { text.parse().map(Self::Wheel) } else { text.parse().map(Self::Sdist) }
    }

    /// Parses the filename of a distribution of this project, which an sdist's name alone may leave open.
    pub fn parse_of(text: &str, project: &ProjectName) -> Result<Self, FilenameError> {
        Self::parse(text)
            .map(|name| if name.project() == project { name } else { Self::read_as(text, project).unwrap_or(name) })
    }

    fn read_as(text: &str, project: &ProjectName) -> Option<Self> {
        let readings = SdistFilename::readings(text).ok()?;
        readings.into_iter().find(|name| name.project() == project).map(Self::Sdist)
    }

    /// Returns all that a filename can mean, the likeliest first: for nearly all names one.
    pub fn readings(text: &str) -> Result<Vec<Self>, FilenameError> {
        match text.ends_with(".whl") {
            true => Ok(vec![text.parse().map(Self::Wheel)?]),
            false => Ok(SdistFilename::readings(text)?.into_iter().map(Self::Sdist).collect()),
        }
    }

    /// Returns the filename exactly as it was given.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Wheel(wheel) => wheel.as_str(),
            Self::Sdist(sdist) => sdist.as_str(),
        }
    }

    /// Returns the project, normalised.
    pub fn project(&self) -> &ProjectName {
        match self {
            Self::Wheel(wheel) => wheel.project(),
            Self::Sdist(sdist) => sdist.project(),
        }
    }

    /// Returns the version; its text is the normalised one.
    pub fn version(&self) -> &Version {
        match self {
            Self::Wheel(wheel) => wheel.version(),
            Self::Sdist(sdist) => sdist.version(),
        }
    }

    /// Returns the build tag, if there is one; sdists have none.
    pub fn build_tag(&self) -> Option<&BuildTag> {
        match self {
            Self::Wheel(wheel) => wheel.build_tag(),
            Self::Sdist(_) => None,
        }
    }

    /// Returns the variant label of a variant wheel.
    pub fn variant(&self) -> Option<&VariantLabel> {
        match self {
            Self::Wheel(wheel) => wheel.variant(),
            Self::Sdist(_) => None,
        }
    }

    /// Returns a wheel's compressed tags as they are in the filename, and `""` for an sdist.
    pub fn tags(&self) -> &str {
        match self {
            Self::Wheel(wheel) => wheel.tags(),
            Self::Sdist(_) => "",
        }
    }

    /// Tells whether it is a wheel's that says that it runs anywhere.
    pub fn is_pure(&self) -> bool {
        self.kind() == Kind::Wheel && self.as_str().ends_with("-none-any.whl")
    }

    /// Returns whether this is a wheel or an sdist.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Wheel(_) => Kind::Wheel,
            Self::Sdist(_) => Kind::Sdist,
        }
    }
}

impl FromStr for DistributionFilename {
    type Err = FilenameError;

    fn from_str(text: &str) -> Result<Self, FilenameError> {
        Self::parse(text)
    }
}

macro_rules! display {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}
display! { WheelFilename SdistFilename DistributionFilename }

fn is_safe(text: &str) -> bool {
    (1..=MAX_BYTES).contains(&text.len())
        && !text.starts_with('.')
        && !text.contains(|letter: char| matches!(letter, '/' | '\\') || letter.is_control())
}

fn check_safe(text: &str) -> Result<(), FilenameError> {
    if is_safe(text) { Ok(()) } else { Err(FilenameError::Unsafe(text.to_owned())) }
}

/// Refuses the names that browsers give to a second download: `demo-1.0-py3-none-any (1).whl`.
fn check_no_copy(text: &str, stem: &str) -> Result<(), FilenameError> {
    let inside = stem.strip_suffix(')').and_then(|rest| rest.rsplit_once('('));
    let Some((own, number)) = inside else { return Ok(()) };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    let right = format!("{}{}", own.trim_end(), &text[stem.len()..]);
    Err(FilenameError::Copy { name: text.to_owned(), right })
}

fn is_identifier(tag: &str) -> bool {
    !tag.starts_with(|first: char| first.is_ascii_digit()) && is_word(tag)
}

fn is_word(tag: &str) -> bool {
    !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn parse_project(name: &str, project: &str) -> Result<ProjectName, FilenameError> {
    project.parse().map_err(|source| FilenameError::Project { name: name.to_owned(), source })
}

fn parse_version(name: &str, version: &str) -> Result<Version, FilenameError> {
    // The oracle strips every kind of white space that Unicode knows; pep440_rs only that of ASCII.
    version.trim().parse().map_err(|source| FilenameError::Version {
        name: name.to_owned(),
        version: version.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_packaging_says() {
        for (text, project, version, build_tag) in [
            ("Demo.Pkg-1.0-py3-none-any.whl", "demo-pkg", "1.0", ""),
            ("demo_pkg-v1.0-py3-none-any.whl", "demo-pkg", "1.0", ""),
            ("demo-1!2.0-py3-none-any.whl", "demo", "1!2.0", ""),
            ("demo-1.0.post1+cu121-cp312-cp312-linux_x86_64.whl", "demo", "1.0.post1+cu121", ""),
            ("demo-1.0.0-0_9_cuda-py3-none-any.whl", "demo", "1.0.0", "0_9_cuda"),
            ("demo-1.0-010x-py3-none-any.whl", "demo", "1.0", "10x"),
            ("demo-1.0-1.5-py3-none-any.whl", "demo", "1.0", "1.5"),
            ("demo-1.0-1 é-py3-none-any.whl", "demo", "1.0", "1 é"),
            ("demo- 1.0 -py3-none-any.whl", "demo", "1.0", ""),
            ("demo-1.0\u{a0}-py3-none-any.whl", "demo", "1.0", ""),
            ("demo-1.0RC1-py2.py3-none-any.whl", "demo", "1.0rc1", ""),
            ("demo-1.0alpha-py3-none-any.whl", "demo", "1.0a0", ""),
            ("demo-1.0+A.B_c.010-py3-none-any.whl", "demo", "1.0+a.b.c.10", ""),
            ("demo-1.0.dev-py3-none-any.whl", "demo", "1.0.dev0", ""),
            ("demo-1.0.tar.gz", "demo", "1.0", ""),
            ("Demo.Pkg-1.0.zip", "demo-pkg", "1.0", ""),
            ("a-b-1-2.tar.gz", "a-b-1", "2", ""),
            ("demo__x-1.0.tar.gz", "demo-x", "1.0", ""),
            ("functools32-3.2.3-2.tar.gz", "functools32", "3.2.3.post2", ""),
            ("demo-1.0-2.zip", "demo", "1.0.post2", ""),
            ("demo-1.0-rc1.tar.gz", "demo", "1.0rc1", ""),
            ("demo-2-1.0.tar.gz", "demo-2", "1.0", ""),
            ("demo-1.0-2.0.tar.gz", "demo-1-0", "2.0", ""),
            ("demo-1.0.tgz", "demo", "1.0", ""),
            ("Demo.Pkg-1.0.tar.bz2", "demo-pkg", "1.0", ""),
            ("demo-1.0.tar.xz", "demo", "1.0", ""),
            ("torch-2.10.0-7-cp312-cp312-manylinux_2_28_x86_64.whl", "torch", "2.10.0", "7"),
        ] {
            let name = DistributionFilename::parse(text).unwrap();
            assert_eq!(name.as_str(), text);
            assert_eq!((name.project().as_str(), name.version().to_string().as_str()), (project, version), "{text}");
            assert_eq!(name.build_tag().map(BuildTag::to_string).unwrap_or_default(), build_tag, "{text}");
            assert_eq!(name.kind() == Kind::Wheel, text.ends_with(".whl"));
        }
    }

    #[test]
    fn names_that_packaging_refuses_are_refused() {
        for text in [
            "demo-1.0_1-py3-none-any.whl",
            "demo__x-1.0-py3-none-any.whl",
            "demo-1.0-py3-none-any.WHL",
            "demo-1.0-a1-py3-none-any.whl",
            "demo-1.0--py3-none-any.whl",
            "demo-1.0-a1-cp312-cp312-manylinux_2_28_x86_64.whl",
            "demo-1.0-a1-cp312-cp312-win_amd64.whl",
            "demo-1.0-none-any.whl",
            "demo-1.0.x-py3-none-any.whl",
            "demo-1.0-3-none-any.whl",
            "demo-1.0-py3.-none-any.whl",
            "demo-1.0-py3-none-.whl",
            "demo-1.0-py3+x-none-any.whl",
            "demo-1.0-py3 -none-any.whl",
            "demo-1.*-py3-none-any.whl",
            "demo-1.0+-py3-none-any.whl",
            "-1.0-py3-none-any.whl",
            "déjà vu-1.0-py3-none-any.whl",
            "demo-1.0-unknown-weird-no where.whl",
            "demo-1.0-py3-none-any-.whl",
            "demo-1.0-py3-no+ne-any.whl",
            "demo-1.0.tar",
            "demo-1.0.tar.Z",
            "demo-1.0.tbz",
            "demo-1.0.egg",
            "demo-1.0.TAR.GZ",
            "demo1.0.tar.gz",
            "-1.0.tar.gz",
            "demo-.zip",
            "demo-1.0.whl",
        ] {
            assert!(DistributionFilename::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_that_packaging_accepts_are_refused_when_unsafe_or_too_large() {
        let long = format!("demo-1.0-1{}-py3-none-any.whl", "x".repeat(230));
        for text in [
            "demo-1.0-1/2-py3-none-any.whl",
            "../demo-1.0.tar.gz",
            "demo-1.0-1\\2-py3-none-any.whl",
            "demo-1.0-py3-none-any\0.whl",
            "demo-1.0\n-py3-none-any.whl",
            ".demo-1.0-py3-none-any.whl",
            "démo-1.0-py3-none-any.whl",
            "_demo-1.0-py3-none-any.whl",
            "demo-1.0-pé-none-any.whl",
            "demo-1.0-18446744073709551616-py3-none-any.whl",
            "demo-18446744073709551616-py3-none-any.whl",
            &long,
        ] {
            assert!(DistributionFilename::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn who_knows_the_project_knows_which_dash_parts_it_from_the_version() {
        let read = |text: &str, project: &str| {
            let name = DistributionFilename::parse_of(text, &project.parse().unwrap()).unwrap();
            format!("{} {}", name.project(), name.version())
        };
        assert_eq!(read("a-b-1-2.tar.gz", "a-b"), "a-b 1.post2");
        assert_eq!(read("a-b-1-2.tar.gz", "a_b.1"), "a-b-1 2");
        assert_eq!(read("foo-1.2-3.tar.gz", "foo-1-2"), "foo-1-2 3");
        assert_eq!(read("foo-1.2-3.tar.gz", "Foo"), "foo 1.2.post3");
        assert_eq!(read("foo-1.2-3.tar.gz", "other"), "foo 1.2.post3");
        assert_eq!(read("foo-1.2-beta-3.tgz", "foo"), "foo 1.2b3");
        assert_eq!(read("foo-1.2-3-py3-none-any.whl", "foo-1-2"), "foo 1.2");
    }

    #[test]
    fn the_name_of_a_copy_is_refused_with_the_right_one() {
        for (text, right) in [
            ("demo-1.0-py3-none-any (1).whl", "demo-1.0-py3-none-any.whl"),
            ("demo-1.0-py3-none-any(12).whl", "demo-1.0-py3-none-any.whl"),
            ("demo-1.0 (2).tar.gz", "demo-1.0.tar.gz"),
        ] {
            let error = DistributionFilename::parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("rename it to {right:?}")), "{error}");
        }
        let other = DistributionFilename::parse("demo-1.0-py3-none-any (x).whl").unwrap_err();
        assert!(matches!(other, FilenameError::Tags(_)), "{other}");
    }

    #[test]
    fn k2_build_tags_sort_as_number_then_suffix() {
        let mut tags: Vec<BuildTag> =
            ["10", "2_el9_rocm6", "1", "2", "0_9_cuda"].map(|tag| tag.parse().unwrap()).into();
        tags.sort();
        let texts: Vec<String> = tags.iter().map(BuildTag::to_string).collect();
        assert_eq!(texts, ["0_9_cuda", "1", "2", "2_el9_rocm6", "10"]);
        for bad in ["", "a1", "1-2", "1/2", "-1", "+1", " 1", "1\n"] {
            assert!(bad.parse::<BuildTag>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn k1_equal_keys_come_from_different_spellings() {
        let key = |text: &str| {
            let name = DistributionFilename::parse(text).unwrap();
            (name.project().clone(), name.version().clone(), name.build_tag().cloned())
        };
        assert_eq!(key("Flask.RESTful-1.0-02-py3-none-any.whl"), key("flask_restful-v1.0-2-cp312-none-any.whl"));
        assert_ne!(key("flask_restful-1.0-2-py3-none-any.whl"), key("flask_restful-1.0-py3-none-any.whl"));
    }

    #[test]
    fn h1_v1_a_label_stands_last_and_a_build_tag_third() {
        for (text, build_tag, tags, label) in [
            ("demo-1.0-py3-none-any-cuda12.whl", "", "py3-none-any", "cuda12"),
            ("demo-1.0-1-py3-none-any-cuda12.whl", "1", "py3-none-any", "cuda12"),
            ("demo-1.0-1a-py3-none-any.whl", "1a", "py3-none-any", ""),
            ("demo-1.0-cp312-cp312-linux_x86_64-null.whl", "", "cp312-cp312-linux_x86_64", "null"),
            ("demo-1.0-py2.py3-none-any-12.8_x.whl", "", "py2.py3-none-any", "12.8_x"),
            ("demo-1.0-py3-none-any-winter.whl", "", "py3-none-any", "winter"),
            ("demo-1.0-py3-none-any.whl", "", "py3-none-any", ""),
        ] {
            let name: WheelFilename = text.parse().unwrap();
            assert_eq!(name.build_tag().map(BuildTag::to_string).unwrap_or_default(), build_tag, "{text}");
            assert_eq!((name.tags(), name.variant().map_or("", VariantLabel::as_str)), (tags, label), "{text}");
            assert_eq!(name.platform_tags().collect::<Vec<_>>().join("."), tags.rsplit('-').next().unwrap());
        }
        for text in [
            "demo-1.0-py3-none-any-CUDA.whl",
            "demo-1.0-py3-none-any-.whl",
            "demo-1.0-py3-none-any-a+b.whl",
            "demo-1.0-1-py3-none-any-a-b.whl",
            "demo-1.0--py3-none-any-cuda12.whl",
            "demo-1.0-x-py3-none-any-cuda12.whl",
            "demo-1.0-1-2-py3-none-any.whl",
        ] {
            assert!(text.parse::<WheelFilename>().is_err(), "{text}");
        }
    }

    #[test]
    fn tags_are_kept_and_taken_apart() {
        let wheel: WheelFilename = "d-1-3-py2.py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl".parse().unwrap();
        assert_eq!(wheel.tags(), "py2.py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64");
        assert_eq!(wheel.python_tags().collect::<Vec<_>>(), ["py2", "py3"]);
        assert_eq!(wheel.abi_tags().collect::<Vec<_>>(), ["none"]);
        assert_eq!(wheel.platform_tags().collect::<Vec<_>>(), ["manylinux_2_17_x86_64", "manylinux2014_x86_64"]);
        assert_eq!(DistributionFilename::parse("d-1.zip").unwrap().tags(), "");
    }
}
