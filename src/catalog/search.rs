//! Finds entries by what people type: a project with versions, a filename, a digest, narrowed by build tag and target.

use super::at::{RevisionSpec, scoped_rows};
use crate::digest::Digests;
use crate::error::{Error, Result};
use crate::manifest::{CollectionId, Entry, Rows, Scope};
use crate::name::ProjectName;
use crate::requirement::{ProjectPattern, Spec};
use crate::wheel::{BuildTag, DistributionFilename, Target};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What an entry must be.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In one of these collections, maybe at a revision; in any, when empty.
    pub collections: Vec<RevisionSpec>,
    /// Matches one of these, or of the patterns; anything does, when both are empty.
    pub specs: Vec<Spec>,
    /// The same for projects whose names fit.
    pub patterns: Vec<ProjectPattern>,
    /// Has these tags.
    pub tags: TagFilter,
}

impl Filter {
    /// Tells whether an entry is meant, whatever its collection.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        let is_any = self.specs.is_empty() && self.patterns.is_empty();
        let is_named = || self.specs.iter().any(|spec| is_meant(spec, entry)) || self.takes(&entry.project);
        (is_any || is_named()) && self.tags.matches(entry)
    }

    /// Tells whether a pattern takes a project.
    fn takes(&self, project: &ProjectName) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(project))
    }

    /// Returns the projects of a collection that the filter may mean.
    fn projects(&self, rows: &Rows, collection: CollectionId, scope: Scope) -> Result<BTreeSet<ProjectName>> {
        match projects(&self.specs) {
            Some(projects) if self.patterns.is_empty() => Ok(projects),
            Some(mut projects) => {
                let all = rows.project_names(collection, scope)?;
                projects.extend(all.into_iter().filter(|project| self.takes(project)));
                Ok(projects)
            }
            None => {
                let mut all = rows.project_names(collection, scope)?;
                if self.specs.is_empty() && !self.patterns.is_empty() {
                    all.retain(|project| self.takes(project));
                }
                Ok(all.into_iter().collect())
            }
        }
    }
}

/// What a wheel's tags must be.
#[derive(Debug, Clone, Default)]
pub struct TagFilter {
    /// This build tag; one without a suffix stands for any suffix of its number.
    pub build_tag: Option<BuildTag>,
    /// Those that run there.
    pub target: Target,
}

impl TagFilter {
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        // Parsing a name costs more than looking whether anything is asked of it.
        self.takes_any()
            || DistributionFilename::parse_of(&entry.filename, &entry.project).is_ok_and(|name| self.fits(&name))
    }

    /// Tells whether a file of this name is meant.
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

/// Returns the entries that a filter means, by collection, project, version, build tag and filename.
pub(crate) fn entries(rows: &Rows, filter: &Filter) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    each_entry(rows, filter, &mut |entry| {
        found.push(entry);
        Ok(())
    })?;
    Ok(found)
}

/// Shows the entries that a filter means one by one, in the same order: a project's are held at a time, whatever there is.
pub(crate) fn each_entry(rows: &Rows, filter: &Filter, show: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
    let mut collections = scoped_rows(rows, &filter.collections)?;
    // The revisions of a collection stay in the order in which they were named.
    collections.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let mut show_all = |mut entries: Vec<Entry>| {
        entries.retain(|entry| filter.matches(entry));
        entries.sort_by_cached_key(|entry| (entry.parsed_version(), entry.parsed_build_tag(), entry.filename.clone()));
        entries.into_iter().try_for_each(&mut *show)
    };
    for (collection, scope) in collections {
        if let ([Spec::Filename(filename)], [], Scope::Live) = (&*filter.specs, &*filter.patterns, scope) {
            show_all(rows.find_entry(collection.id, filename)?.into_iter().collect())?;
            continue;
        }
        for project in &filter.projects(rows, collection.id, scope)? {
            show_all(project_entries(rows, collection.id, project, scope)?)?;
        }
    }
    Ok(())
}

/// Returns a collection's entries, by project and filename: of the projects that specifications tell, or all where one tells none.
pub(crate) fn of_projects(rows: &Rows, collection: CollectionId, scope: Scope, specs: &[Spec]) -> Result<Vec<Entry>> {
    let Some(projects) = projects(specs) else { return Ok(rows.entries(collection, scope)?) };
    let mut found = Vec::new();
    for project in &projects {
        found.extend(project_entries(rows, collection, project, scope)?);
    }
    Ok(found)
}

/// Returns the entries of a project in a collection, by filename.
pub(crate) fn project_entries(
    rows: &Rows,
    collection: CollectionId,
    project: &ProjectName,
    scope: Scope,
) -> Result<Vec<Entry>> {
    Ok(match scope {
        Scope::Live => rows.project_entries(collection, project)?,
        Scope::At(revision) => rows.project_entries_at(collection, project, revision)?,
    })
}

/// Returns the projects that specifications name; `None` where one may mean any.
fn projects(specs: &[Spec]) -> Option<BTreeSet<ProjectName>> {
    // A filename may be read as that of several projects.
    let named = |spec: &Spec| match spec {
        Spec::Project { name, .. } => Some(name.clone()),
        Spec::Filename(_) | Spec::Digest(_) => None,
    };
    specs.iter().map(named).collect::<Option<BTreeSet<_>>>().filter(|all| !all.is_empty())
}

/// Returns the project that a specification is about, which a digest doesn't tell.
pub(crate) fn project(spec: &Spec) -> Option<ProjectName> {
    match spec {
        Spec::Project { name, .. } => Some(name.clone()),
        Spec::Filename(filename) => DistributionFilename::parse(filename).ok().map(|name| name.project().clone()),
        Spec::Digest(_) => None,
    }
}

/// Returns the entries that each specification means; one that means nothing is an error.
pub(crate) fn required(rows: &Rows, filter: &Filter) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    each_required(rows, filter, &mut |entry| {
        found.push(entry);
        Ok(())
    })?;
    Ok(found)
}

/// Shows what [`required`] returns one by one.
pub(crate) fn each_required(rows: &Rows, filter: &Filter, show: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
    let mut missed: Vec<&Spec> = filter.specs.iter().collect();
    each_entry(rows, filter, &mut |entry| {
        missed.retain(|spec| !is_meant(spec, &entry));
        show(entry)
    })?;
    missed.first().map_or(Ok(()), |spec| Err(Error::NoMatch(spec.to_string())))
}

/// Sorts entries as pages list them, whatever their collections: of a version the highest build first, for clients that take the first.
///
/// A version is parsed once, not for each comparison, and rows as large as these are moved once.
pub(crate) fn sort_projects(entries: &mut [Entry]) {
    entries.sort_by_cached_key(|entry| {
        let filename = (Reverse(entry.parsed_build_tag()), entry.filename.clone());
        (entry.project.clone(), entry.parsed_version(), filename)
    });
}
