//! A spec: what people type to name distributions. A project with versions, a filename, or a digest.
//!
//! Versions are compared as PEP 440 says, with two things to know. `==2.5.1` takes `2.5.1+cu121` too, so a caller that has both
//! prefers what [`Spec::is_exact`] names. And a pre-release is never hidden: whoever names distributions of a store asks what is there,
//! while an installer's rule (stable versions unless told otherwise) guards against a new version that nobody asked for.

use crate::digest::{Blake3, DigestError, Digests, Sha256};
use crate::name::{NameError, ProjectName};
use pep440_rs::{Operator, Version, VersionSpecifier, VersionSpecifiers};
use std::fmt;
use std::str::FromStr;

/// The forms of a [`Spec`], for messages and the help.
pub const FORMS: &str =
    "NAME, NAME==VERSION, NAME>=A,<B, a .whl/.tar.gz/.zip filename, or a digest (64 hexadecimal digits)";

/// A text that names no distributions, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Nothing but spaces.
    #[error("an empty text names nothing: give {FORMS}")]
    Empty,
    /// `name[extra]`: extras add requirements, they are no property of a file.
    #[error("{0:?} has extras, and no file belongs to an extra: leave the brackets out")]
    Extras(String),
    /// `name; marker`.
    #[error("{0:?} has an environment marker, which only an installer can judge: leave out ';' and what follows")]
    Marker(String),
    /// A path, a URL or a direct reference (`name @ URL`).
    #[error("{0:?} is a path or a URL: give {FORMS}")]
    Location(String),
    /// The part before the version is not a project name.
    #[error("{text:?} is not understood: give {FORMS}")]
    Name {
        /// The whole text.
        text: String,
        /// What is wrong with the name.
        source: NameError,
    },
    /// The part after the name is not a PEP 440 specifier.
    #[error("{part:?} in {text:?} is not a version specifier such as ==2.5.1, ==2.5.* or ~=2.5: {reason}")]
    Specifier {
        /// The whole text.
        text: String,
        /// The part between two commas.
        part: String,
        /// What is wrong with it: the words of `pep440_rs`, whose error has no public name.
        reason: String,
    },
    /// `sha256:` or `blake3:` with something else than a digest behind.
    #[error("{text:?} is not understood: give {FORMS}")]
    Digest {
        /// The whole text.
        text: String,
        /// What is wrong with the digits.
        source: DigestError,
    },
}

/// The distributions that a person names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// All distributions of a project whose version satisfies every specifier; without any, all.
    Project {
        /// The project, normalised.
        name: ProjectName,
        /// PEP 440 specifiers, maybe none.
        specifiers: VersionSpecifiers,
    },
    /// The distributions of one filename, as it was typed: whether it is a good one is for its reader to say.
    Filename(String),
    /// The distributions that hold certain bytes.
    Digest(DigestSpec),
}

/// A digest that a person gives, with or without saying which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestSpec {
    /// `blake3:` and 64 digits.
    Blake3(Blake3),
    /// `sha256:` and 64 digits.
    Sha256(Sha256),
    /// 64 digits alone: whichever of the two is there.
    Either([u8; 32]),
}

impl Spec {
    /// Returns whether a distribution of this project and version is named; never for a filename or a digest.
    ///
    /// A local version is ignored unless the specifier has one (`==2.5.1` takes `2.5.1+cu121`); pre-releases count as any version.
    pub fn matches(&self, project: &ProjectName, version: &Version) -> bool {
        match self {
            Self::Project { name, specifiers } => {
                name == project && specifiers.iter().all(|specifier| contains(specifier, version))
            }
            Self::Filename(_) | Self::Digest(_) => false,
        }
    }

    /// Returns whether the one specifier is `==V` and `version` equals V to the local part: then it goes before the others that match.
    pub fn is_exact(&self, version: &Version) -> bool {
        match self {
            Self::Project { specifiers, .. } => match &specifiers[..] {
                [only] => *only.operator() == Operator::Equal && only.version() == version,
                _ => false,
            },
            Self::Filename(_) | Self::Digest(_) => false,
        }
    }
}

impl DigestSpec {
    /// Returns whether one of a blob's digests is the one given.
    pub fn matches(&self, digests: &Digests) -> bool {
        self.blake3() == Some(digests.blake3) || self.sha256() == Some(digests.sha256)
    }

    /// Returns the BLAKE3 digest to look for, unless a SHA-256 digest was asked for.
    pub fn blake3(&self) -> Option<Blake3> {
        match self {
            Self::Blake3(digest) => Some(*digest),
            Self::Sha256(_) => None,
            Self::Either(bytes) => Some(Blake3::from_bytes(*bytes)),
        }
    }

    /// Returns the SHA-256 digest to look for, unless a BLAKE3 digest was asked for.
    pub fn sha256(&self) -> Option<Sha256> {
        match self {
            Self::Blake3(_) => None,
            Self::Sha256(digest) => Some(*digest),
            Self::Either(bytes) => Some(Sha256::from_bytes(*bytes)),
        }
    }
}

/// Decides one specifier. Where `pep440_rs` 0.7 departs from PEP 440, and from `packaging`, this function does not.
pub(super) fn contains(specifier: &VersionSpecifier, version: &Version) -> bool {
    let given = specifier.version();
    // A specifier with one of these operators has no local part, so that of the version is ignored.
    let public = || version.clone().without_local();
    match specifier.operator() {
        // 2 is 2.0 and not in 2.5.*: a short release is padded.
        Operator::EqualStar => starts_with(version, given),
        Operator::NotEqualStar => !starts_with(version, given),
        // Only <2 shuts out the pre-releases of 2: 2rc1 is in <2rc2, in <2.post1 and in <1!2.
        Operator::LessThan => {
            let public = public();
            let pre_release_of_given = match (given.any_prerelease(), given.is_post()) {
                (true, _) => false,
                (false, true) => public.clone().with_dev(None) == *given,
                (false, false) => public.epoch() == given.epoch() && public.only_release() == given.only_release(),
            };
            public < *given && !pre_release_of_given
        }
        // 2.post1 is in >2rc1: it is a post-release of 2, not of 2rc1.
        Operator::GreaterThan if given.any_prerelease() && !given.is_post() => {
            let public = public();
            public > *given && !(public.is_post() && public.with_post(None).with_dev(None) == *given)
        }
        _ => specifier.contains(version),
    }
}

fn starts_with(version: &Version, prefix: &Version) -> bool {
    let padded = version.release().iter().chain(std::iter::repeat(&0));
    version.epoch() == prefix.epoch() && prefix.release().iter().zip(padded).all(|(want, got)| want == got)
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let spec = text.trim();
        let whole = || text.to_owned();
        if spec.is_empty() {
            return Err(SpecError::Empty);
        }
        if let Some(digest) = digest(spec)? {
            return Ok(Self::Digest(digest));
        }
        // What a file may be called it may be named by: a build tag is nearly any text.
        if is_wheel_name(spec) {
            return Ok(Self::Filename(spec.to_owned()));
        }
        // Refused by name, for each is good elsewhere: in a requirements file, or on the command line of `import`.
        if spec.contains(';') {
            return Err(SpecError::Marker(whole()));
        }
        if spec.contains(['/', '\\', '@']) {
            return Err(SpecError::Location(whole()));
        }
        if spec.contains(['[', ']']) {
            return Err(SpecError::Extras(whole()));
        }
        if is_filename(spec) {
            return Ok(Self::Filename(spec.to_owned()));
        }
        // `!` and `~` begin an operator here: a version with an epoch comes after one.
        let end = spec.find(|c: char| c.is_whitespace() || "=<>!~".contains(c)).unwrap_or(spec.len());
        let (name, versions) = spec.split_at(end);
        let name = name.parse().map_err(|source| SpecError::Name { text: whole(), source })?;
        let versions = versions.trim();
        if versions.is_empty() {
            return Ok(Self::Project { name, specifiers: VersionSpecifiers::empty() });
        }
        let specifiers = versions.split(',').map(|part| {
            let part = part.trim();
            let bad = |reason: String| SpecError::Specifier { text: whole(), part: part.to_owned(), reason };
            VersionSpecifier::from_str(part).map_err(|error| bad(error.to_string()))
        });
        Ok(Self::Project {
            name,
            specifiers: specifiers.collect::<Result<Vec<VersionSpecifier>, _>>()?.into_iter().collect(),
        })
    }
}

/// Reads a digest: 64 digits alone are one, though a project could have such a name.
fn digest(spec: &str) -> Result<Option<DigestSpec>, SpecError> {
    let bad = |source| SpecError::Digest { text: spec.to_owned(), source };
    Ok(if let Some(digits) = spec.strip_prefix("sha256:") {
        Some(DigestSpec::Sha256(digits.parse().map_err(bad)?))
    } else if let Some(digits) = spec.strip_prefix("blake3:") {
        Some(DigestSpec::Blake3(digits.parse().map_err(bad)?))
    } else {
        spec.parse::<Sha256>().ok().map(|digest| DigestSpec::Either(*digest.as_bytes()))
    })
}

/// Returns whether the text is meant as a filename; `foo==1.zip` is not.
fn is_filename(spec: &str) -> bool {
    let lower = spec.to_ascii_lowercase();
    [".whl", ".tar.gz", ".zip"].iter().any(|end| lower.ends_with(end))
        && !spec.contains(|c: char| c.is_whitespace() || "=<>~".contains(c))
}

/// Returns whether the text has the parts of a wheel's filename (PEP 427), whatever its build tag and its tags.
fn is_wheel_name(spec: &str) -> bool {
    let mut parts = spec.split('-');
    let has_end =
        spec.len() > 4 && spec.is_char_boundary(spec.len() - 4) && spec[spec.len() - 4..].eq_ignore_ascii_case(".whl");
    let is_named = parts.next().is_some_and(|name| name.parse::<ProjectName>().is_ok())
        && parts.next().is_some_and(|version| Version::from_str(version).is_ok());
    has_end && is_named && parts.count() >= 3 && !spec.contains(['/', '\\'])
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project { name, specifiers } => {
                write!(f, "{name}")?;
                write_specifiers(f, specifiers)
            }
            Self::Filename(filename) => f.write_str(filename),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

pub(super) fn write_specifiers(f: &mut fmt::Formatter<'_>, specifiers: &VersionSpecifiers) -> fmt::Result {
    let mut parts = specifiers.iter().enumerate();
    parts.try_for_each(|(n, specifier)| write!(f, "{}{specifier}", if n == 0 { "" } else { "," }))
}

impl fmt::Display for DigestSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blake3(digest) => write!(f, "blake3:{digest}"),
            Self::Sha256(digest) => write!(f, "sha256:{digest}"),
            Self::Either(bytes) => write!(f, "{}", Blake3::from_bytes(*bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Spec {
        text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    /// The versions of torch that a text takes.
    fn taken<'a>(text: &str, versions: &[&'a str]) -> Vec<&'a str> {
        let torch = "torch".parse().unwrap();
        versions.iter().copied().filter(|version| spec(text).matches(&torch, &version.parse().unwrap())).collect()
    }

    #[test]
    fn a_spec_prints_as_the_shortest_text_that_reads_back() {
        let hex = "ab".repeat(32);
        for (text, printed) in [
            ("Torch", "torch"),
            (" torch == 2.5.1 ", "torch==2.5.1"),
            ("torch >=1 , <2", "torch>=1,<2"),
            ("my_pkg==2.5.*", "my-pkg==2.5.*"),
            ("a!=1!2.0", "a!=1!2.0"),
            ("torch~=2.5", "torch~=2.5"),
            ("torch==2.5.1+CU121", "torch==2.5.1+cu121"),
            ("Demo.Pkg-1!2.0+cu1-py3-none-any.whl", "Demo.Pkg-1!2.0+cu1-py3-none-any.whl"),
            ("demo-1.0.tar.gz", "demo-1.0.tar.gz"),
            ("demo-1.0-1;x-py3-none-any.whl", "demo-1.0-1;x-py3-none-any.whl"),
            ("demo-1.0-1[x] =<@>!~-py3-none-any.WHL", "demo-1.0-1[x] =<@>!~-py3-none-any.WHL"),
            (&hex.to_uppercase(), &hex),
            (&format!("sha256:{hex}"), &format!("sha256:{hex}")),
            (&format!("blake3:{hex}"), &format!("blake3:{hex}")),
        ] {
            assert_eq!(spec(text).to_string(), printed);
            assert_eq!(spec(printed), spec(text));
        }
    }

    #[test]
    fn what_is_not_a_spec_is_refused_with_the_reason() {
        for (text, word) in [
            ("", "NAME==VERSION"),
            ("  ", "NAME==VERSION"),
            ("torch[cuda]==1", "extras"),
            ("torch==1; python_version>'3'", "marker"),
            ("torch @ https://host/torch.whl", "URL"),
            ("./dist/torch-1-py3-none-any.whl", "path"),
            ("../x", "path"),
            ("==1.0", "NAME==VERSION"),
            ("-torch", "NAME==VERSION"),
            ("torch 2.5", "\"2.5\""),
            ("torch=2.5", "\"=2.5\""),
            ("torch==", "\"==\""),
            ("torch>=1,", "\"\""),
            ("torch>=1<2", "\">=1<2\""),
            ("torch==2.5..1", "\"==2.5..1\""),
            ("torch>=2.5.*", "\">=2.5.*\""),
            ("foo==1.zip", "\"==1.zip\""),
            ("sha256:abc", "digest"),
            ("md5:abc", "NAME==VERSION"),
        ] {
            let error = text.parse::<Spec>().expect_err(text).to_string();
            assert!(error.contains(word), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_specifier_without_a_local_part_takes_any_and_one_with_it_takes_its_own() {
        let versions = ["2.5.0", "2.5.1", "2.5.1+cpu", "2.5.1+cu121", "2.5.1.post1"];
        assert_eq!(taken("torch==2.5.1", &versions), ["2.5.1", "2.5.1+cpu", "2.5.1+cu121"]);
        assert_eq!(taken("torch==2.5.1+cu121", &versions), ["2.5.1+cu121"]);
        assert_eq!(taken("torch===2.5.1", &versions), ["2.5.1"]);
        assert_eq!(taken("torch>2.5.0,<=2.5.1", &versions), ["2.5.1", "2.5.1+cpu", "2.5.1+cu121"]);
        assert_eq!(taken("torch", &versions), versions);
        assert!(taken("other", &versions).is_empty());
    }

    #[test]
    fn only_the_very_version_is_exact() {
        let exact = |text: &str, version: &str| spec(text).is_exact(&version.parse().unwrap());
        assert!(
            exact("torch==2.5.1", "2.5.1") && exact("torch==2.5", "2.5.0") && exact("torch==2.5.1+cpu", "2.5.1+cpu")
        );
        assert!(!exact("torch==2.5.1", "2.5.1+cpu") && !exact("torch==2.5.1+cpu", "2.5.1"));
        assert!(!exact("torch==2.5.*", "2.5") && !exact("torch==2.5,>=2", "2.5") && !exact("torch", "2.5"));
    }

    #[test]
    fn versions_compare_as_packaging_does() {
        // What `packaging` 26.3 answers with `prereleases=True`; most of these `pep440_rs` 0.7 answers otherwise.
        assert_eq!(
            taken("torch==2.5.*", &["2", "2.4.9", "2.5", "2.5rc1", "2.5.1+cpu", "2.50", "1!2.5"]),
            ["2.5", "2.5rc1", "2.5.1+cpu"]
        );
        assert_eq!(taken("torch!=2.5.*", &["2", "2.5", "2.50", "1!2.5"]), ["2", "2.50", "1!2.5"]);
        assert_eq!(taken("torch==2.0.*", &["2", "2.1", "3"]), ["2"]);
        assert_eq!(taken("torch<2", &["1.9", "2.dev1", "2rc1", "2"]), ["1.9"]);
        assert_eq!(
            taken("torch<2rc2", &["1.9", "2.dev1", "2rc1", "2rc1+cpu", "2rc2", "2"]),
            ["1.9", "2.dev1", "2rc1", "2rc1+cpu"]
        );
        assert_eq!(taken("torch<2.post1", &["2.post1.dev1", "2rc1", "2", "2.post1"]), ["2rc1", "2"]);
        assert_eq!(taken("torch>2rc1", &["2rc1", "2rc1+cpu", "2rc1.post1", "2rc2", "2.post1"]), ["2rc2", "2.post1"]);
        assert_eq!(taken("torch>2", &["2rc1", "2+cpu", "2.post1", "2.0.1"]), ["2.0.1"]);
        assert_eq!(taken("torch~=2.5.1", &["2.5", "2.5.1", "2.5.9rc1", "2.6", "3"]), ["2.5.1", "2.5.9rc1"]);
    }

    #[test]
    fn a_digest_that_does_not_say_which_may_be_either() {
        let digests = Digests::of(b"wheel");
        for text in [digests.blake3.to_string(), digests.sha256.to_string(), format!("sha256:{}", digests.sha256)] {
            let Spec::Digest(digest) = spec(&text) else { panic!("{text} is a digest") };
            assert!(digest.matches(&digests), "{text}");
        }
        let Spec::Digest(other) = spec(&format!("blake3:{}", digests.sha256)) else { panic!("a digest") };
        assert!(!other.matches(&digests));
    }
}
