//! Filenames of distributions: what a wheel's or sdist's name says, and which names are accepted.
//!
//! Accepts what `packaging.utils` 26.3 accepts, with the same meaning, except names that are no single safe path
//! segment ([`FilenameError::Unsafe`]), project names that [`ProjectName`] refuses, tags with other letters than tags have (no
//! installer takes those), and numbers of a build tag or version above `u64::MAX`; and, beyond that, the labels of variant wheels
//! (PEP 825), and what pip and uv install of old sdists: other extensions, and a dash in the version.

mod error;
mod sdist;
mod wheel;

pub use error::FilenameError;
pub use sdist::SdistFilename;
pub use wheel::{BuildTag, WheelFilename};

use super::sdist::EXTENSIONS;
use super::variant::VariantLabel;
use crate::name::ProjectName;
use pep440_rs::Version;
use std::fmt;
use std::str::FromStr;

/// The longest name that common filesystems hold.
const MAX_BYTES: usize = 255;

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
