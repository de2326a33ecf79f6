//! What people write to name distributions and projects.
//!
//! [`Spec`] is one on a command line, [`read`] reads a file of requirements in pip's format, [`ProjectPattern`] names projects with a
//! wildcard. All is pure: a file's bytes come from the caller, and a [`Marker`] is judged for a target, never for this machine.

mod dependency;
mod environment;
mod file;
mod grammar;
mod line;
mod lines;
mod marker;
mod options;
mod pattern;
mod spec;

pub use dependency::{Dependency, DependencyError};
pub use environment::Environment;
pub use file::{FileError, LineOfFile, Requirement, Requirements, read};
pub use lines::EncodingError;
pub use marker::{Marker, MarkerError};
pub use pattern::{PatternError, ProjectPattern};
pub use spec::{DigestSpec, FORMS, Spec, SpecError};

#[cfg(test)]
mod tests;
