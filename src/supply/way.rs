//! Where a requirement of a pull is looked for, step by step: a collection's own files, then those of its remotes that may be asked.

use super::{PullNote, note};
use crate::catalog::at::collection_rows;
use crate::catalog::ownership::Ownership;
use crate::catalog::reach::{Matter, Reach};
use crate::error::Result;
use crate::manifest::{CollectionId, CollectionRow, RemoteRow, Rows};
use crate::name::ProjectName;
use std::collections::{HashMap, VecDeque};

/// A place to look, in a requirement's order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    Local(&'a CollectionRow),
    Remote(&'a RemoteRow),
}

/// Reads whom a project may be asked of along an order, or of one remote alone.
pub(crate) fn reach<'a>(
    rows: &Rows,
    order: &[CollectionRow],
    only: Option<&RemoteRow>,
    project: &ProjectName,
    own: Option<&'a Ownership>,
) -> Result<Reach<'a>> {
    if let Some(remote) = only {
        // Whoever names a remote means it, but for a name that is its collection's own, or that of the one where it goes.
        let collection = collection_rows(rows, std::slice::from_ref(&remote.collection_name))?;
        let all: Vec<_> = order.iter().chain(&collection).collect();
        return Reach::read(rows, &all, own, project, Matter::Files);
    }
    let order: Vec<&CollectionRow> = order.iter().collect();
    Reach::read(rows, &order, own, project, Matter::Files)?.behind_nearer(rows, &order)
}

/// What a requirement's way is made of.
pub(crate) struct WayParts<'a, 'r> {
    pub(crate) order: &'a [CollectionRow],
    pub(crate) remotes: &'a HashMap<CollectionId, Vec<RemoteRow>>,
    pub(crate) only: Option<&'a RemoteRow>,
    pub(crate) reach: Option<&'r Reach<'r>>,
}

impl<'a> WayParts<'a, '_> {
    /// Lays out where a requirement is looked for.
    pub(crate) fn steps(&self, notes: &mut Vec<PullNote>) -> VecDeque<Step<'a>> {
        let mut steps = VecDeque::new();
        let mut ask = |place: usize, remote: &'a RemoteRow, steps: &mut VecDeque<Step<'a>>| {
            let Some(reach) = self.reach else { return };
            match reach.objection(place, remote) {
                None => steps.push_back(Step::Remote(remote)),
                Some(reason) => notes.push(note(remote, format!("not asked: {reason}"))),
            }
        };
        for (place, collection) in self.order.iter().enumerate() {
            steps.push_back(Step::Local(collection));
            if self.only.is_none() {
                self.remotes[&collection.id].iter().for_each(|remote| ask(place, remote, &mut steps));
            }
        }
        if let Some(remote) = self.only {
            // What closes any collection of the order closes it.
            ask(self.order.len(), remote, &mut steps);
        }
        steps
    }
}
