//! What is wished for, decided once: a collection's own entries and the files of remotes are judged by the same value.

use super::at::RevisionSpec;
use super::blocks::Blocks;
use super::ownership::Ownership;
use super::rank::{Rank, admits, rank};
use super::search::{self, Filter, TagFilter};
use super::statuses::quarantine_in;
use crate::digest::Sha256;
use crate::error::Result;
use crate::manifest::{CollectionRow, Entry, Rows, Scope};
use crate::name::ProjectName;
use crate::requirement::Spec;
use crate::wheel::DistributionFilename;
use pep440_rs::VersionSpecifiers;

/// One distribution that somebody wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Which one.
    pub spec: Spec,
    /// What its tags must be.
    pub tags: TagFilter,
    /// What its bytes must hash to, one of these; empty: anything.
    pub sha256: Vec<Sha256>,
}

impl Wish {
    /// Makes one that any bytes meet.
    pub fn new(spec: Spec, tags: TagFilter) -> Self {
        Self { spec, tags, sha256: Vec::new() }
    }

    /// Makes one that any file of a project meets.
    pub fn of_project(name: ProjectName) -> Self {
        Self::new(Spec::Project { name, specifiers: VersionSpecifiers::empty() }, TagFilter::default())
    }

    /// Returns the project that it is about, which a digest doesn't tell.
    pub(crate) fn project(&self) -> Option<ProjectName> {
        search::project(&self.spec)
    }

    /// Tells whether these may be its bytes; those that nothing vouches for may not, where any must be known.
    pub(crate) fn takes(&self, sha256: Option<Sha256>) -> bool {
        self.sha256.is_empty() || sha256.is_some_and(|digest| self.sha256.contains(&digest))
    }

    /// Tells whether the interpreter that it is for is admitted.
    pub(crate) fn admits(&self, requires_python: Option<&str>) -> bool {
        admits(requires_python, &self.tags.target)
    }

    /// Ranks a file that is meant; `None` for one that must be asked for by its very version or name.
    pub(crate) fn rank(&self, name: &DistributionFilename, is_yanked: bool) -> Option<Rank> {
        rank(&self.spec, &self.tags.target, name, is_yanked)
    }
}

/// What a collection has for a wish.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// What may be given, the best first.
    pub(crate) entries: Vec<Entry>,
    /// What may not, and why.
    pub(crate) notes: Vec<String>,
    /// Why nothing of the project is given, here or farther away, where it is in quarantine.
    pub(crate) quarantine: Option<String>,
}

/// Finds what a collection has for a wish; what isn't for the variant whose projects those are, or is blocked, is left out.
pub(crate) fn candidates(
    rows: &Rows,
    (collection, scope): (&CollectionRow, Scope),
    wish: &Wish,
    (own, blocks): (Option<&Ownership>, &Blocks),
) -> Result<Candidates> {
    let mut found = Candidates::default();
    for entry in ranked(rows, collection, scope, wish)? {
        let foreign = own.map_or(Ok(None), |own| own.objection(rows, &entry))?;
        match foreign.or_else(|| blocks.of_entry(&entry)) {
            None => found.entries.push(entry),
            Some(reason) => found.notes.push(format!("{}: {reason}", entry.filename)),
        }
    }
    let project = wish.project().or_else(|| found.entries.first().map(|entry| entry.project.clone()));
    found.quarantine = quarantine_in(rows, collection, project.as_ref())?;
    if found.quarantine.is_some() {
        // A digest may mean a file of another project, too; that is not given instead.
        found.entries.clear();
    }
    Ok(found)
}

/// Returns the entries of a collection that are meant, the best first.
fn ranked(rows: &Rows, collection: &CollectionRow, scope: Scope, wish: &Wish) -> Result<Vec<Entry>> {
    let revision = match scope {
        Scope::Live => None,
        Scope::At(revision) => Some(revision.to_string()),
    };
    let (collections, specs) =
        (vec![RevisionSpec { collection: collection.name.clone(), revision }], vec![wish.spec.clone()]);
    let filter = Filter { collections, specs, tags: wish.tags.clone(), ..Filter::default() };
    let mut found = search::entries(rows, &filter)?;
    found.retain(|entry| wish.takes(Some(entry.sha256)) && wish.admits(entry.requires_python.as_deref()));
    let mut ranked: Vec<(Rank, Entry)> = Vec::with_capacity(found.len());
    for entry in found {
        let Ok(name) = DistributionFilename::parse_of(&entry.filename, &entry.project) else { continue };
        ranked.extend(wish.rank(&name, entry.yanked.is_some()).map(|rank| (rank, entry)));
    }
    ranked.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.filename.cmp(&other.filename)));
    Ok(ranked.into_iter().map(|(_, entry)| entry).collect())
}
