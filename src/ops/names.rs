//! The names that a store has, for who is typing one: found in a moment, without waiting, or not at all.

use crate::error::Result;
use crate::name::CollectionName;
use crate::store::Store;
use std::path::Path;

/// What is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Collections.
    Collections,
    /// Variants.
    Variants,
    /// Remotes.
    Remotes,
    /// Publishers.
    Publishers,
    /// Projects of which the store has, or had, files.
    Projects,
    /// Tokens that hold, by number.
    Tokens,
    /// A collection's snapshots, and its newest revisions.
    Revisions(CollectionName),
}

/// A name, and what else tells it from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The name.
    pub name: String,
    /// What it is, where the name alone doesn't say it.
    pub about: Option<String>,
}

/// So many projects are told at most, and so many revisions.
const PROJECTS: u32 = 500;
const REVISIONS: usize = 50;

/// Returns the names that begin with `prefix`. A store that is taken by a command alone, or can't be read as it is, has none to tell.
pub fn names(root: &Path, named: &Named, prefix: &str, now: i64) -> Result<Vec<Candidate>> {
    let manifest = Store::glance(root)?;
    let plain = |name: String| Candidate { name, about: None };
    let mut found: Vec<Candidate> = match named {
        Named::Collections => manifest.collections()?.into_iter().map(|row| plain(row.name.to_string())).collect(),
        Named::Variants => manifest.variants()?.into_iter().map(|row| plain(row.name.to_string())).collect(),
        Named::Remotes => manifest.remotes()?.into_iter().map(|row| plain(row.name.to_string())).collect(),
        Named::Publishers => manifest.publishers()?.into_iter().map(|row| plain(row.name.to_string())).collect(),
        Named::Projects => {
            manifest.projects_from(prefix, PROJECTS)?.into_iter().map(|name| plain(name.to_string())).collect()
        }
        Named::Tokens => {
            let tokens = manifest.tokens()?.into_iter().filter(|token| token.is_live(now));
            let candidate = |id: i64, name| Candidate { name: id.to_string(), about: Some(name) };
            tokens.map(|token| candidate(token.id.number(), token.name)).collect()
        }
        Named::Revisions(collection) => {
            let Some(row) = manifest.find_collection(collection)? else { return Ok(Vec::new()) };
            let snapshots = manifest.snapshots(row.id)?.into_iter();
            let snapshot = |name, revision| Candidate { name, about: Some(format!("revision {revision}")) };
            let snapshots = snapshots.map(|row| snapshot(row.name, row.revision));
            let newest = (1..=row.revision).rev().take(REVISIONS).map(|number| plain(number.to_string()));
            snapshots.chain(newest).collect()
        }
    };
    found.retain(|candidate| candidate.name.starts_with(prefix));
    Ok(found)
}
