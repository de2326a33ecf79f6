//! Which collection, and which of its revisions, a name means.

use crate::error::{Error, Result};
use crate::manifest::{CollectionRow, RemoteRow, Rows, Scope};
use crate::name::{CollectionName, NameError, RemoteName};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// A collection at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CollectionAt {
    /// The collection.
    pub name: CollectionName,
    /// The revision; 0: nothing happened yet.
    pub revision: i64,
}

/// A collection, maybe at a revision or snapshot: `cuda`, `cuda@41`, `cuda@release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionSpec {
    /// The collection.
    pub collection: CollectionName,
    /// A revision's number or a snapshot's name; `None`: the newest.
    pub revision: Option<String>,
}

impl FromStr for RevisionSpec {
    type Err = NameError;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let (name, revision) = match text.split_once('@') {
            Some((_, "")) => return Err(NameError::NoRevision(text.to_owned())),
            Some((name, revision)) => (name, Some(revision.to_owned())),
            None => (text, None),
        };
        Ok(Self { collection: name.parse()?, revision })
    }
}

impl From<CollectionName> for RevisionSpec {
    /// Means the newest revision.
    fn from(collection: CollectionName) -> Self {
        Self { collection, revision: None }
    }
}

impl fmt::Display for RevisionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.revision {
            Some(revision) => write!(f, "{}@{revision}", self.collection),
            None => self.collection.fmt(f),
        }
    }
}

/// Finds the revision that a number or a snapshot's name means, and refuses one whose entries gc has taken.
pub(crate) fn resolve(rows: &Rows, collection: &CollectionRow, asked: Option<&str>) -> Result<i64> {
    let Some(asked) = asked else { return Ok(collection.revision) };
    let no = |why: &str| Error::NoRevision {
        collection: collection.name.to_string(),
        asked: asked.to_owned(),
        why: why.to_owned(),
    };
    let snapshots = rows.snapshots(collection.id)?;
    if let Some(snapshot) = snapshots.iter().find(|snapshot| snapshot.name == asked) {
        return Ok(snapshot.revision);
    }
    let number: i64 = asked.parse().map_err(|_| no("there is no snapshot of that name"))?;
    if number < 0 || number > collection.revision {
        return Err(no(&format!("the newest is {}", collection.revision)));
    }
    if number < collection.complete_since && snapshots.iter().all(|snapshot| snapshot.revision != number) {
        return Err(no(&format!(
            "gc has taken files of it; {} is the oldest that is whole",
            collection.complete_since
        )));
    }
    Ok(number)
}

/// Returns the collection of this name, or an error that names those that there are.
pub(crate) fn collection_row(rows: &Rows, name: &CollectionName) -> Result<CollectionRow> {
    if let Some(row) = rows.find_collection(name)? {
        return Ok(row);
    }
    let known = rows.collections()?.into_iter().map(|row| row.name.to_string()).collect();
    Err(Error::NoCollection { name: name.to_string(), known })
}

/// Returns the collections that are meant, in this order, each with the entries that are; all as they are now, when none is named.
pub(crate) fn scoped_rows(rows: &Rows, specs: &[RevisionSpec]) -> Result<Vec<(CollectionRow, Scope)>> {
    if specs.is_empty() {
        return Ok(rows.collections()?.into_iter().map(|row| (row, Scope::Live)).collect());
    }
    let mut found: Vec<(CollectionRow, Scope)> = Vec::with_capacity(specs.len());
    for spec in specs {
        let row = collection_row(rows, &spec.collection)?;
        let revision = resolve(rows, &row, spec.revision.as_deref())?;
        let scope = if revision == row.revision { Scope::Live } else { Scope::At(revision) };
        if found.iter().all(|(known, of)| (known.id, *of) != (row.id, scope)) {
            found.push((row, scope));
        }
    }
    Ok(found)
}

/// Returns the remote of this name, or an error that names those that there are.
pub(crate) fn remote_row(rows: &Rows, name: &RemoteName) -> Result<RemoteRow> {
    if let Some(row) = rows.find_remote(name)? {
        return Ok(row);
    }
    let known: Vec<String> = rows.remotes()?.into_iter().map(|row| row.name.to_string()).collect();
    let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
    Err(Error::NoSuch(format!("remote {name}; the remotes are: {known}")))
}

/// Returns the collections of these names, in this order; all, when none is named.
pub(crate) fn collection_rows(rows: &Rows, names: &[CollectionName]) -> Result<Vec<CollectionRow>> {
    if names.is_empty() {
        return Ok(rows.collections()?);
    }
    let is_first = |(index, name): &(usize, &CollectionName)| !names[..*index].contains(name);
    names.iter().enumerate().filter(is_first).map(|(_, name)| collection_row(rows, name)).collect()
}
