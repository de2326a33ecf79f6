//! Which of several files answers best: one order for entries of the store and files of remotes.

use crate::requirement::Spec;
use crate::wheel::{BuildTag, DistributionFilename, Kind, Target};
use pep440_rs::{Version, VersionSpecifiers};

/// How well a file answers; the greater, the better: an exactly equal version, a wheel, a released version, the highest version, the
/// highest build tag, the closest tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    is_exact: bool,
    is_wheel: bool,
    is_final: bool,
    version: Version,
    build_tag: Option<BuildTag>,
    closeness: Option<u32>,
}

/// Tells whether a specification doesn't mean a file although it is of the project and version: a variant wheel fits some machines
/// only, and nothing tells whether this one is among them, so that it must be named.
pub(crate) fn is_other_variant(spec: &Spec, name: &DistributionFilename) -> bool {
    name.variant().is_some() && matches!(spec, Spec::Project { .. })
}

/// Ranks a file that a specification means; `None` for one that is yanked and wasn't asked for by its very version (PEP 592), and for
/// a variant wheel that wasn't named.
pub(crate) fn rank(spec: &Spec, target: &Target, name: &DistributionFilename, is_yanked: bool) -> Option<Rank> {
    let is_exact = spec.is_exact(name.version()) || !matches!(spec, Spec::Project { .. });
    if is_yanked && !is_exact || is_other_variant(spec, name) {
        return None;
    }
    let closeness = match name {
        DistributionFilename::Wheel(wheel) => target.rank(wheel),
        DistributionFilename::Sdist(_) => None,
    };
    Some(Rank {
        is_exact,
        is_wheel: name.kind() == Kind::Wheel,
        is_final: !name.version().any_prerelease(),
        version: name.version().clone(),
        build_tag: name.build_tag().cloned(),
        closeness,
    })
}

/// Tells whether a distribution's `Requires-Python` admits the target's interpreter. What can't be parsed admits any, as in pip;
/// without an interpreter, so does everything.
pub(crate) fn admits(requires_python: Option<&str>, target: &Target) -> bool {
    let (Some(text), Some(python)) = (requires_python, &target.python) else { return true };
    let Ok(specifiers) = text.parse::<VersionSpecifiers>() else { return true };
    let version = Version::new([u64::from(python.major), u64::from(python.minor)]);
    let python = Spec::Project { name: "python".parse().expect("a project name"), specifiers };
    python.matches(&"python".parse().expect("a project name"), &version)
}
