//! Where an import's distributions go: to one collection, or where a variant's route sends each.

use super::route::{Decision, Router, Rule, Subject};
use crate::catalog::at::CollectionAt;
use crate::error::Result;
use crate::manifest::Rows;
use crate::name::CollectionName;

/// Where an import's distributions go.
#[derive(Debug, Clone)]
pub enum Target {
    /// All to this collection; made when there is none.
    Collection(CollectionName),
    /// Each where a variant's rules send it; the variant's own collection and the default one are made when there are none.
    Route(Box<Router>),
}

impl Target {
    /// Takes what a collection's remote has, for a variant that may have asked.
    pub(crate) fn of_pulls(rows: &Rows, variant: Option<&CollectionName>, collection: &CollectionName) -> Result<Self> {
        Ok(match variant {
            Some(variant) => Self::Route(Box::new(Router::of_pulls(rows, variant, collection)?)),
            None => Self::Collection(collection.clone()),
        })
    }

    /// Decides where a file goes.
    pub(super) fn decide(&self, subject: &Subject<'_>) -> Decision {
        match self {
            Self::Collection(name) => Decision {
                collection: name.clone(),
                rule: Rule::Named,
                reason: "the collection was named".to_owned(),
                considered: Vec::new(),
            },
            Self::Route(router) => router.decide(subject),
        }
    }

    /// Returns the collection that the report names first.
    pub(super) fn first(&self, collections: &[CollectionAt]) -> CollectionAt {
        let (name, rest) = match self {
            Self::Collection(name) => (name, name),
            Self::Route(router) => (router.variant(), &router.own.default),
        };
        let own = collections.iter().find(|row| row.name == *name).or_else(|| collections.first());
        own.cloned().unwrap_or_else(|| CollectionAt { name: rest.clone(), revision: 0 })
    }
}
