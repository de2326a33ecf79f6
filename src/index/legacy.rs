//! A project's document as the public index has beside its pages: `/pypi/NAME/json`, which mirrors read.
//!
//! Tools read it as well, for what METADATA says of a project. Only files of which all that a mirror needs is known are in it. Links are paths from the host's root, `/packages/…`:
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
    /// The same without its zone, as the document had it first.
    pub upload_time: String,
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
    /// The files of each version; a document about one version has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub releases: Option<BTreeMap<String, Vec<LegacyFile>>>,
    /// The files of the version that is told of.
    pub urls: Vec<LegacyFile>,
    /// What is known to be wrong with it: nothing is looked for.
    pub vulnerabilities: [(); 0],
}

/// What is said of a version of a project: what METADATA says, under the names that the public index gave it.
#[derive(Debug, Default, Serialize)]
pub struct LegacyInfo {
    /// Its name, normalised.
    pub name: String,
    /// The version.
    pub version: String,
    /// A line about it, where the store has one.
    pub summary: Option<String>,
    /// What the version requires of Python.
    pub requires_python: Option<String>,
    /// What it requires, where the store has its METADATA.
    pub requires_dist: Option<Vec<String>>,
    /// Its extras.
    pub provides_extra: Option<Vec<String>>,
    /// Its author.
    pub author: Option<String>,
    /// The author's address.
    pub author_email: Option<String>,
    /// Who maintains it.
    pub maintainer: Option<String>,
    /// The maintainer's address.
    pub maintainer_email: Option<String>,
    /// Its license, in any words.
    pub license: Option<String>,
    /// Its license, as an SPDX expression.
    pub license_expression: Option<String>,
    /// The files with its license.
    pub license_files: Option<Vec<String>>,
    /// Its classifiers.
    pub classifiers: Vec<String>,
    /// Its keywords.
    pub keywords: Option<String>,
    /// Its home page.
    pub home_page: Option<String>,
    /// Where it can be downloaded.
    pub download_url: Option<String>,
    /// Its links, by what they are called.
    pub project_urls: Option<BTreeMap<String, String>>,
    /// The platforms that it names.
    pub platform: Option<String>,
    /// The fields that a build may change.
    pub dynamic: Option<Vec<String>>,
    /// Its description.
    pub description: String,
    /// In which form that is written.
    pub description_content_type: Option<String>,
    /// Whether all files of the version are yanked.
    pub yanked: bool,
    /// Why, if somebody said so.
    pub yanked_reason: Option<String>,
}

/// Writes the document.
pub fn project(out: &mut dyn Write, project: &LegacyProject) -> Result<()> {
    serde_json::to_writer(&mut *out, project)?;
    out.write_all(b"\n")
}
