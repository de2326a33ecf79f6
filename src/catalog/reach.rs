//! Whom a project may be asked of: one decision for lookups, pulls, pages, files and the cache for builders.
//!
//! A collection owns a project when it has, or ever had, a file of it that came from no stranger, or when it reserves the name. What is
//! owned is closed to strangers' remotes, the owner's own and all farther ones: else whoever takes the name at a public index, with a
//! higher version, would put code into our builds (dependency confusion). `--open` lifts it, name by name.

use super::blocks::Blocks;
use super::ownership::Ownership;
use crate::error::Result;
use crate::index::read::ListedFile;
use crate::manifest::{CollectionRow, RemoteRow, Reservation, Rows};
use crate::name::{CollectionName, ProjectName};
use crate::requirement::ProjectPattern;

/// Where strangers stop being asked, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Closing {
    /// From this place in the order on.
    place: usize,
    /// What a person is told.
    reason: String,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matter {
    /// Any files.
    Files,
    /// Sources to build from: what we build from somebody's source still has that somebody.
    Sources,
}

/// Whom a project may be asked of along a search order.
#[derive(Debug)]
pub(crate) struct Reach<'a> {
    project: ProjectName,
    own: Option<&'a Ownership>,
    closings: Vec<Closing>,
    blocks: Blocks,
}

impl<'a> Reach<'a> {
    /// Reads what decides, for collections in the order in which they are searched.
    pub(crate) fn read(
        rows: &Rows,
        order: &[&CollectionRow],
        own: Option<&'a Ownership>,
        project: &ProjectName,
        matter: Matter,
    ) -> Result<Self> {
        let mut closings = Vec::new();
        for (place, collection) in order.iter().enumerate() {
            closings.extend(owning(rows, collection, project, matter)?.map(|reason| Closing { place, reason }));
        }
        Ok(Self { project: project.clone(), own, closings, blocks: Blocks::read(rows)? })
    }

    /// Lets a collection that has the project close it behind itself: a lookup takes the nearest.
    pub(crate) fn behind_nearer(mut self, rows: &Rows, order: &[&CollectionRow]) -> Result<Self> {
        for (place, collection) in order.iter().enumerate() {
            if !rows.project_entries(collection.id, &self.project)?.is_empty() {
                let reason = format!("{} is nearer and has {}", collection.name, self.project);
                self.closings.push(Closing { place: place + 1, reason });
                break;
            }
        }
        Ok(self)
    }

    /// Tells why a remote of the collection at this place isn't asked; `None`: it may be.
    pub(crate) fn objection(&self, place: usize, remote: &RemoteRow) -> Option<String> {
        if let Some(reason) = self.foreign(&remote.collection_name) {
            return Some(reason);
        }
        self.stranger_objection(place, remote)
    }

    /// The same, where a variant builds its own from what others have.
    pub(crate) fn stranger_objection(&self, place: usize, remote: &RemoteRow) -> Option<String> {
        let mut closings = self.closings.iter().filter(|closing| place >= closing.place && !remote.settings.is_ours);
        closings.next().map(|closing| closing.reason.clone())
    }

    /// Tells why nothing that a collection or its remotes have of the project is for the variant that asks.
    pub(crate) fn foreign(&self, collection: &CollectionName) -> Option<String> {
        self.own.and_then(|own| own.collection_objection(collection, &self.project))
    }

    /// Tells why a remote's file isn't taken, or offered.
    pub(crate) fn file_objection(&self, remote: &RemoteRow, file: &ListedFile) -> Option<String> {
        let foreign = self.own.and_then(|own| own.offer_objection(&remote.collection_name, file));
        foreign.or_else(|| self.block(remote, file))
    }

    /// Tells what blocks a remote's file.
    pub(crate) fn block(&self, remote: &RemoteRow, file: &ListedFile) -> Option<String> {
        self.blocks.of_listed(&remote.collection_name, file)
    }
}

/// Tells why strangers aren't asked for a project that this collection has, or is to have; `None`: they are.
fn owning(rows: &Rows, collection: &CollectionRow, project: &ProjectName, matter: Matter) -> Result<Option<String>> {
    let name = &collection.name;
    let open = specific(&collection.settings.open_projects, project);
    let reserved = rows.reservations(Some(collection.id))?.into_iter().filter(|row| row.pattern.matches(project));
    let reserved = reserved.max_by_key(|row| specificity(&row.pattern));
    if let Some(Reservation { pattern, reason, .. }) = reserved
        // Of two patterns the one that says more counts; in doubt the name is kept.
        && open.is_none_or(|open| open <= specificity(&pattern))
    {
        let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        return Ok(Some(format!("{name} reserves {pattern}{why}, and strangers' remotes are not asked for it")));
    }
    let owned = if open.is_none() { rows.owned_project(collection.id, project)? } else { None };
    if owned.is_some_and(|has_upstream| matter == Matter::Files || !has_upstream) {
        return Ok(Some(format!(
            "{name} has, or had, a {project} of its own, and strangers' remotes are not asked for it \
             (`wcas collection set {name} --open {project}` lets them)"
        )));
    }
    Ok(None)
}

fn specific(patterns: &[ProjectPattern], project: &ProjectName) -> Option<(bool, usize)> {
    patterns.iter().filter(|pattern| pattern.matches(project)).map(specificity).max()
}

/// How much a pattern says: a whole name more than any pattern, a longer one more than a shorter.
fn specificity(pattern: &ProjectPattern) -> (bool, usize) {
    let text = pattern.as_str();
    (!text.contains('*'), text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Access, CollectionSettings, Manifest};
    use std::time::Duration;

    #[test]
    fn of_a_reservation_and_an_exception_the_one_that_says_more_counts() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest.sqlite"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let id = transaction.insert_collection(&"ours".parse().unwrap(), 1).unwrap();
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<ProjectPattern>>();
        transaction.put_reservation(id, &"acme-*".parse().unwrap(), Some("the company's"), 1).unwrap();
        let is_closed = |open: &[&str], project: &str| {
            let settings = CollectionSettings { open_projects: patterns(open), ..CollectionSettings::default() };
            transaction.set_collection_settings(id, &settings).unwrap();
            let row = transaction.find_collection(&"ours".parse().unwrap()).unwrap().unwrap();
            owning(&transaction, &row, &project.parse().unwrap(), Matter::Files).unwrap().is_some()
        };
        assert!(is_closed(&[], "acme-lib") && !is_closed(&[], "other") && !is_closed(&[], "acme"));
        assert!(is_closed(&["*"], "acme-lib"), "all but what is reserved");
        assert!(is_closed(&["acme-*"], "acme-lib"), "in doubt the name is kept");
        assert!(!is_closed(&["acme-lib"], "acme-lib") && is_closed(&["acme-lib"], "acme-other"));
        assert!(!is_closed(&["acme-open-*"], "acme-open-lib"));
    }
}
