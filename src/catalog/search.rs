//! Finds entries by what people type: a project with versions, a filename, a digest, narrowed by build tag and target.

use super::at::collection_rows;
use super::rank::{admits, rank};
use crate::digest::Digests;
use crate::error::{Error, Result};
use crate::manifest::{CollectionId, CollectionRow, Entry, Rows, Scope};
use crate::name::{CollectionName, ProjectName};
use crate::requirement::Spec;
use crate::wheel::{BuildTag, DistributionFilename, Target};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What an entry must be.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In one of these collections; in any, when empty.
    pub collections: Vec<CollectionName>,
    /// Matches one of these; anything does, when empty.
    pub specs: Vec<Spec>,
    /// Has this build tag; a tag without a suffix matches any suffix of its number.
    pub build_tag: Option<BuildTag>,
    /// Runs there.
    pub target: Target,
}

impl Filter {
    /// Tells whether an entry is meant, whatever its collection.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        let is_spec = self.specs.is_empty() || self.specs.iter().any(|spec| is_meant(spec, entry));
        is_spec && self.matches_tags(entry)
    }

    pub(crate) fn matches_tags(&self, entry: &Entry) -> bool {
        // Parsing a name costs more than looking whether anything is asked of it.
        self.takes_any()
            || DistributionFilename::parse_of(&entry.filename, &entry.project).is_ok_and(|name| self.fits(&name))
    }

    /// Tells whether a file of this name is meant, as far as build tag and target go.
    pub(crate) fn fits(&self, name: &DistributionFilename) -> bool {
        let DistributionFilename::Wheel(wheel) = name else { return self.takes_any() };
        let is_build = self.build_tag.as_ref().is_none_or(|asked| {
            wheel.build_tag().is_some_and(|tag| {
                tag.number == asked.number && (asked.suffix.is_empty() || tag.suffix == asked.suffix)
            })
        });
        is_build && self.target.rank(wheel).is_some()
    }

    fn takes_any(&self) -> bool {
        self.build_tag.is_none() && self.target == Target::default()
    }
}

/// Tells whether a specification means an entry.
pub(crate) fn is_meant(spec: &Spec, entry: &Entry) -> bool {
    match spec {
        Spec::Project { name, .. } => *name == entry.project && spec.matches(name, &entry.parsed_version()),
        Spec::Filename(filename) => *filename == entry.filename,
        Spec::Digest(digest) => digest.matches(&Digests { blake3: entry.blake3, sha256: entry.sha256 }),
    }
}

/// Returns the live entries that a filter means, by collection, project, version, build tag and filename.
pub(crate) fn entries(rows: &Rows, filter: &Filter) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    for collection in collection_rows(rows, &filter.collections)? {
        match filter.specs.as_slice() {
            // Projects or a file are probes of an index; anything else reads the collection.
            [Spec::Filename(filename)] => found.extend(rows.find_entry(collection.id, filename)?),
            specs => found.extend(of_projects(rows, collection.id, Scope::Live, specs)?),
        }
    }
    found.retain(|entry| filter.matches(entry));
    sort(&mut found);
    Ok(found)
}

/// Returns a collection's entries, by project and filename: of the projects that specifications tell, or all where one tells none.
pub(crate) fn of_projects(rows: &Rows, collection: CollectionId, scope: Scope, specs: &[Spec]) -> Result<Vec<Entry>> {
    // A filename may be read as that of several projects.
    let named = |spec: &Spec| match spec {
        Spec::Project { name, .. } => Some(name.clone()),
        Spec::Filename(_) | Spec::Digest(_) => None,
    };
    let Some(projects) = specs.iter().map(named).collect::<Option<BTreeSet<_>>>().filter(|all| !all.is_empty()) else {
        return Ok(rows.entries(collection, scope)?);
    };
    let mut found = Vec::new();
    for project in &projects {
        found.extend(match scope {
            Scope::Live => rows.project_entries(collection, project)?,
            Scope::At(revision) => rows.project_entries_at(collection, project, revision)?,
        });
    }
    Ok(found)
}

/// Returns the project that a specification is about, which a digest doesn't tell.
pub(crate) fn project(spec: &Spec) -> Option<ProjectName> {
    match spec {
        Spec::Project { name, .. } => Some(name.clone()),
        Spec::Filename(filename) => DistributionFilename::parse(filename).ok().map(|name| name.project().clone()),
        Spec::Digest(_) => None,
    }
}

/// Returns what a specification means in a collection, the best first; the filter's own collections and specifications don't count.
pub(crate) fn candidates(rows: &Rows, collection: &CollectionRow, spec: &Spec, filter: &Filter) -> Result<Vec<Entry>> {
    let (specs, collections) = (vec![spec.clone()], vec![collection.name.clone()]);
    let found = entries(rows, &Filter { specs, collections, ..filter.clone() })?;
    let mut ranked: Vec<_> = found
        .into_iter()
        .filter(|entry| admits(entry.requires_python.as_deref(), &filter.target))
        .filter_map(|entry| {
            let name = DistributionFilename::parse_of(&entry.filename, &entry.project).ok()?;
            Some((rank(spec, &filter.target, &name, entry.yanked.is_some())?, entry))
        })
        .collect();
    ranked.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.filename.cmp(&other.filename)));
    Ok(ranked.into_iter().map(|(_, entry)| entry).collect())
}

/// Returns the live entries that each specification means; one that means nothing is an error.
pub(crate) fn required(rows: &Rows, filter: &Filter) -> Result<Vec<Entry>> {
    let found = entries(rows, filter)?;
    let missed = filter.specs.iter().find(|spec| !found.iter().any(|entry| is_meant(spec, entry)));
    match missed {
        Some(spec) => Err(Error::NoMatch(spec.to_string())),
        None => Ok(found),
    }
}

/// Sorts entries as people read them. Here and below a version is parsed once, not for each comparison, and rows as large as these
/// are moved once.
pub(crate) fn sort(entries: &mut [Entry]) {
    entries.sort_by_cached_key(|entry| {
        let filename = (entry.parsed_build_tag(), entry.filename.clone());
        (entry.collection.clone(), entry.project.clone(), entry.parsed_version(), filename)
    });
}

/// Sorts entries as pages list them, whatever their collections: of a version the highest build first, for clients that take the first.
pub(crate) fn sort_projects(entries: &mut [Entry]) {
    entries.sort_by_cached_key(|entry| {
        let filename = (Reverse(entry.parsed_build_tag()), entry.filename.clone());
        (entry.project.clone(), entry.parsed_version(), filename)
    });
}
