//! What a filename means, whatever its spelling.

use super::filename::{BuildTag, DistributionFilename, Kind};
use super::variant::VariantLabel;
use crate::name::ProjectName;
use pep440_rs::Version;
use std::collections::BTreeSet;
use std::str::Split;

/// What a filename means: two spellings of one are the same file to an installer, which takes one or the other.
///
/// The project is normalised, versions are compared by value (`1.0` is `1.0.0`), compressed tags as the sets that they stand for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    kind: Kind,
    project: ProjectName,
    version: Version,
    build_tag: Option<BuildTag>,
    variant: Option<VariantLabel>,
    /// A wheel's interpreters, ABIs and platforms.
    tags: [BTreeSet<String>; 3],
}

impl DistributionFilename {
    /// Returns what the filename means, whatever its spelling.
    pub fn identity(&self) -> Identity {
        let set = |tags: Split<'_, char>| tags.map(str::to_owned).collect();
        let tags = match self {
            Self::Wheel(wheel) => [set(wheel.python_tags()), set(wheel.abi_tags()), set(wheel.platform_tags())],
            Self::Sdist(sdist) => [BTreeSet::from([sdist.extension().to_owned()]), BTreeSet::new(), BTreeSet::new()],
        };
        Identity {
            kind: self.kind(),
            project: self.project().clone(),
            version: self.version().clone(),
            build_tag: self.build_tag().cloned(),
            variant: self.variant().cloned(),
            tags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_file_have_one_identity() {
        let identity = |text: &str| DistributionFilename::parse(text).unwrap().identity();
        for (one, other) in [
            ("demo-1.0-py3-none-any.whl", "Demo-1.0.0-py3-none-any.whl"),
            ("demo_lib-1.0-py2.py3-none-any.whl", "demo.lib-1.0-py3.py2-none-any.whl"),
            ("demo-1.0-1-py3-none-any.whl", "demo-1.0-01-py3-none-any.whl"),
            ("demo-1.0rc1.tar.gz", "demo-1.0.RC.1.tar.gz"),
        ] {
            assert_eq!(identity(one), identity(other), "{one} {other}");
        }
        for (one, other) in [
            ("demo-1.0-py3-none-any.whl", "demo-1.0-1-py3-none-any.whl"),
            ("demo-1.0-py3-none-any.whl", "demo-1.0-py2.py3-none-any.whl"),
            ("demo-1.0-py3-none-any.whl", "demo-1.0+cpu-py3-none-any.whl"),
            ("demo-1.0.tar.gz", "demo-1.0.zip"),
            ("demo-1.0.tar.gz", "demo-1.0.tgz"),
            ("demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"),
        ] {
            assert_ne!(identity(one), identity(other), "{one} {other}");
        }
    }
}
