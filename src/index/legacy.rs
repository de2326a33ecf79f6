//! A project's document as the public index has beside its pages: `/pypi/NAME/json`, which mirrors read.
//!
//! Only what a mirror needs is in it, and only files of which all of that is known. Links are paths from the host's root, `/packages/…`:
//! mirrors store files by that path, and ask for it below the index that they were told.

use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Result, Write};

/// A file in the document.
#[derive(Debug, Clone, Serialize)]
pub struct LegacyFile {
    /// Its filename.
    pub filename: String,
    /// Its path from the host's root.
    pub url: String,
    /// Its digest by SHA-256, in hexadecimal digits.
    pub digests: LegacyDigests,
    /// Its size in bytes.
    pub size: u64,
    /// `bdist_wheel` or `sdist`.
    pub packagetype: &'static str,
    /// The interpreters that a wheel is for; `source` of an sdist.
    pub python_version: String,
    /// `Requires-Python`, if it says so.
    pub requires_python: Option<String>,
    /// When it was uploaded, as RFC 3339.
    pub upload_time_iso_8601: String,
    /// Whether it was yanked.
    pub yanked: bool,
    /// Why, if somebody said so.
    pub yanked_reason: Option<String>,
}

/// A file's digests.
#[derive(Debug, Clone, Serialize)]
pub struct LegacyDigests {
    /// By SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// A project's document.
#[derive(Debug, Serialize)]
pub struct LegacyProject {
    /// What is said of its newest version.
    pub info: LegacyInfo,
    /// The number that grows with each change.
    pub last_serial: i64,
    /// The files of each version.
    pub releases: BTreeMap<String, Vec<LegacyFile>>,
    /// The files of the newest version.
    pub urls: Vec<LegacyFile>,
}

/// What is said of a project.
#[derive(Debug, Serialize)]
pub struct LegacyInfo {
    /// Its name, normalised.
    pub name: String,
    /// Its newest version.
    pub version: String,
    /// A line about it, where the store has one.
    pub summary: Option<String>,
    /// What its newest version requires of Python.
    pub requires_python: Option<String>,
}

/// Writes the document.
pub fn project(out: &mut dyn Write, project: &LegacyProject) -> Result<()> {
    serde_json::to_writer(&mut *out, project)?;
    out.write_all(b"\n")
}
