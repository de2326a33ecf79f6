//! `audit`: what is known of a revision's distributions: vulnerabilities, licences, and all of it as a bill of materials.

mod dump;
mod licenses;
mod osv;
mod sbom;

pub use dump::OsvPlace;
pub use licenses::Licenses;

use crate::catalog::at::{RevisionSpec, collection_row, resolve};
use crate::context::Context;
use crate::error::Result;
use crate::manifest::{Entry, Scope};
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;
use osv::Advisory;
use pep440_rs::Version;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A vulnerability that a version has.
#[derive(Debug, Clone, Serialize)]
pub struct Vulnerability {
    /// The project.
    pub project: ProjectName,
    /// The version.
    pub version: String,
    /// The record's name.
    pub id: String,
    /// Other names of it, those of other records of the same vulnerability too.
    pub aliases: Vec<String>,
    /// How bad it is said to be: a word, or CVSS's vector.
    pub severity: Option<String>,
    /// Later versions that are said not to have it.
    pub fixed: Vec<String>,
    /// What it is about.
    pub summary: String,
    /// The files of the version.
    pub filenames: Vec<String>,
}

/// The licences of a version.
#[derive(Debug, Clone, Serialize)]
pub struct VersionLicenses {
    /// The project.
    pub project: ProjectName,
    /// The version.
    pub version: String,
    /// What its files say; where they differ, each of them.
    pub licenses: Vec<Licenses>,
    /// How many files say nothing that can be read.
    pub silent: usize,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct AuditReport {
    /// The collection.
    pub collection: CollectionName,
    /// Its revision.
    pub revision: i64,
    /// How many distributions it has.
    pub distributions: usize,
    /// How many records of PyPI were read; `None`: no dump was given.
    pub records: Option<usize>,
    /// What is known against them.
    pub vulnerabilities: Vec<Vulnerability>,
    /// How many more were to be ignored.
    pub ignored: usize,
    /// Licences, where they are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licenses: Option<Vec<VersionLicenses>>,
    /// Records that could not be read.
    pub problems: Vec<String>,
}

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct AuditOptions<'a> {
    /// A dump of OSV's records.
    pub osv: Option<&'a OsvPlace>,
    /// Vulnerabilities that say nothing here, by any of their names.
    pub ignored: &'a [String],
    /// Whether licences are told.
    pub tells_licenses: bool,
}

/// Looks for what is known of a revision.
pub fn audit(
    store: &Store,
    context: &Context<'_>,
    of: &RevisionSpec,
    options: &AuditOptions<'_>,
) -> Result<AuditReport> {
    let (revision, entries) = entries(store, of)?;
    let mut versions: BTreeMap<(ProjectName, String), Vec<&Entry>> = BTreeMap::new();
    for entry in &entries {
        versions.entry((entry.project.clone(), entry.version.clone())).or_default().push(entry);
    }
    let wanted: BTreeSet<&ProjectName> = versions.keys().map(|(project, _)| project).collect();
    let dump = options.osv.map(|place| dump::read(context, place, &wanted)).transpose()?;
    let mut report = AuditReport {
        collection: of.collection.clone(),
        revision,
        distributions: entries.len(),
        records: dump.as_ref().map(|dump| dump.records),
        vulnerabilities: Vec::new(),
        ignored: 0,
        licenses: None,
        problems: Vec::new(),
    };
    if let Some(dump) = dump {
        for ((project, version), files) in &versions {
            let known = dump.advisories.get(project).map(Vec::as_slice).unwrap_or_default();
            let Ok(number) = version.parse::<Version>() else { continue };
            for mut vulnerability in
                merged(known.iter().map(|own| &**own).filter(|own| own.means(project, &number)).collect())
            {
                if options.ignored.iter().any(|name| vulnerability.iter().any(|own| own.has_name(name))) {
                    report.ignored += 1;
                    continue;
                }
                let filenames = files.iter().map(|entry| entry.filename.clone()).collect();
                report.vulnerabilities.push(told(&mut vulnerability, project, &number, filenames));
            }
        }
        report.problems = dump.problems;
        if dump.more_problems > 0 {
            report.problems.push(format!("and {} more", dump.more_problems));
        }
    }
    if options.tells_licenses {
        let of_version = |((project, version), files): (&(ProjectName, String), &Vec<&Entry>)| {
            let said = files.iter().map(|entry| licenses_of(store, entry)).collect::<Result<Vec<_>>>()?;
            let silent = said.iter().filter(|own| **own == Licenses::default()).count();
            let licenses: BTreeSet<Licenses> = said.into_iter().filter(|own| *own != Licenses::default()).collect();
            let (project, version) = (project.clone(), version.clone());
            Ok(VersionLicenses { project, version, licenses: licenses.into_iter().collect(), silent })
        };
        report.licenses = Some(versions.iter().map(of_version).collect::<Result<_>>()?);
    }
    Ok(report)
}

/// Makes a bill of materials of a revision.
pub fn sbom(store: &Store, of: &RevisionSpec) -> Result<serde_json::Value> {
    let (revision, mut entries) = entries(store, of)?;
    entries.sort_by(|a, b| a.filename.cmp(&b.filename));
    let with_licenses = |entry: Entry| licenses_of(store, &entry).map(|licenses| (entry, licenses));
    let files = entries.into_iter().map(with_licenses).collect::<Result<Vec<_>>>()?;
    Ok(sbom::document(&of.collection, revision, &files))
}

fn entries(store: &Store, of: &RevisionSpec) -> Result<(i64, Vec<Entry>)> {
    let transaction = store.manifest.read()?;
    let row = collection_row(&transaction, &of.collection)?;
    let revision = resolve(&transaction, &row, of.revision.as_deref())?;
    Ok((revision, transaction.entries(row.id, Scope::At(revision))?))
}

fn licenses_of(store: &Store, entry: &Entry) -> Result<Licenses> {
    let Some(sha256) = entry.metadata_sha256 else { return Ok(Licenses::default()) };
    let metadata = store.manifest.metadata(&sha256)?;
    Ok(metadata.map(|bytes| Licenses::read(&bytes)).unwrap_or_default())
}

/// Puts the records of one vulnerability together: several databases tell of it.
fn merged(found: Vec<&Advisory>) -> Vec<Vec<&Advisory>> {
    let mut groups: Vec<Vec<&Advisory>> = Vec::new();
    for advisory in found {
        let (same, mut others): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.iter().any(|own| own.is_same(advisory)));
        let mut group: Vec<&Advisory> = same.into_iter().flatten().collect();
        group.push(advisory);
        others.push(group);
        groups = others;
    }
    groups
}

fn told(group: &mut [&Advisory], project: &ProjectName, version: &Version, filenames: Vec<String>) -> Vulnerability {
    // Whichever came first in the dump says nothing.
    group.sort_by_cached_key(|own| (own.id.clone(), own.line(), own.severity()));
    let id = group.first().map(|own| own.id.clone()).unwrap_or_default();
    let names = group.iter().flat_map(|own| std::iter::once(&own.id).chain(&own.aliases));
    let aliases: BTreeSet<&String> = names.filter(|name| **name != id).collect();
    let mut fixed: Vec<Version> =
        group.iter().flat_map(|own| own.fixed_after(project, version)).filter_map(|text| text.parse().ok()).collect();
    fixed.sort();
    fixed.dedup();
    Vulnerability {
        project: project.clone(),
        version: version.to_string(),
        id: id.clone(),
        aliases: aliases.into_iter().cloned().collect(),
        severity: group.iter().find_map(|own| own.severity()),
        fixed: fixed.iter().map(ToString::to_string).collect(),
        summary: group.iter().map(|own| own.line()).find(|line| !line.is_empty()).unwrap_or_default(),
        filenames,
    }
}
