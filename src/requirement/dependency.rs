//! What a distribution depends on, as its METADATA says it: `Requires-Dist` (PEP 508).

use super::environment::Environment;
use super::line;
use super::marker::Marker;
use super::spec::Spec;
use crate::name::ProjectName;
use pep440_rs::VersionSpecifiers;
use std::str::FromStr;

/// A text that is no requirement, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no requirement: {reason}")]
pub struct DependencyError {
    /// The text.
    pub text: String,
    /// Why.
    pub reason: String,
}

/// A requirement of a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The project, normalised.
    pub name: ProjectName,
    /// The extras that are asked for, normalised.
    pub extras: Vec<String>,
    /// The versions that will do; none: all.
    pub specifiers: VersionSpecifiers,
    /// Where it is to come from, and from nowhere else.
    pub url: Option<String>,
    /// Where it is for.
    pub marker: Marker,
}

impl Dependency {
    /// Returns the project and versions as a [`Spec`].
    pub fn spec(&self) -> Spec {
        Spec::Project { name: self.name.clone(), specifiers: self.specifiers.clone() }
    }

    /// Tells whether nobody gets it who asks for no extra, wherever that is.
    pub fn is_extra(&self) -> bool {
        // Nothing is known of the target, so that only an extra can decide it.
        self.marker.evaluate(&Environment::default()) == Some(false)
    }
}

impl FromStr for Dependency {
    type Err = DependencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = line::parse(text.trim())
            .map_err(|error| DependencyError { text: text.to_owned(), reason: error.to_string() })?;
        let line::Parts { name, extras, specifiers, url, marker } = parts;
        Ok(Self { name, extras, specifiers, url, marker })
    }
}

#[cfg(test)]
mod tests {
    use super::Dependency;

    fn of(text: &str) -> Dependency {
        text.parse().unwrap()
    }

    #[test]
    fn a_requirement_of_a_distribution_says_which_versions_and_for_whom() {
        let one = of("Torch_Vision[video] (>=0.20,<1) ; python_version >= \"3.9\"");
        assert_eq!(
            (one.name.as_str(), one.extras.join(","), one.is_extra()),
            ("torch-vision", "video".to_owned(), false)
        );
        let fits = |version: &str| one.spec().matches(&one.name, &version.parse().unwrap());
        assert_eq!(["0.19", "0.20.1+cu121", "1.0"].map(fits), [false, true, false]);
        assert!("".parse::<Dependency>().is_err() && "a b".parse::<Dependency>().is_err());
    }

    #[test]
    fn what_only_an_extra_brings_is_told_from_what_a_target_decides() {
        for (text, is_extra) in [
            ("a", false),
            ("a; extra == 'x'", true),
            ("a; extra == 'x' and sys_platform == 'linux'", true),
            ("a; extra == 'x' or sys_platform == 'linux'", false),
            ("a; sys_platform == 'linux'", false),
        ] {
            assert_eq!(of(text).is_extra(), is_extra, "{text}");
        }
    }
}
