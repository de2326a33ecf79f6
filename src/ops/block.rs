//! `block`: versions and files that must not come back, whichever way they would.
//!
//! Nothing is removed: what is blocked is neither taken nor offered, and says why. `unblock` lets it be as it was.

use super::status::revise;
use super::variant::SearchOrder;
use super::{Context, collection_row};
use crate::digest::{Digests, Sha256};
use crate::error::{Error, Result};
use crate::index::read::ListedFile;
use crate::manifest::{BlockRow, CollectionRow, Entry, Rows, Transaction};
use crate::name::{CollectionName, ProjectName};
use crate::requirement::Spec;
use crate::store::Store;
use crate::wheel::DistributionFilename;
use pep440_rs::Version;
use std::collections::BTreeMap;

/// All that is blocked.
#[derive(Debug, Clone, Default)]
pub(in crate::ops) struct Blocks(Vec<(Spec, BlockRow)>);

/// A file, as far as it is known.
struct Subject<'a> {
    filename: &'a str,
    project: &'a ProjectName,
    version: &'a Version,
    digests: Option<Digests>,
    sha256: Option<Sha256>,
}

impl Blocks {
    /// Reads them.
    pub(in crate::ops) fn read(rows: &Rows) -> Result<Self> {
        // Only what can be read is ever written.
        let parsed = rows.blocks()?.into_iter().filter_map(|row| Some((row.spec.parse().ok()?, row)));
        Ok(Self(parsed.collect()))
    }

    /// Tells whether nothing is blocked.
    pub(in crate::ops) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells why a file of a remote isn't taken into a collection, or offered there.
    pub(in crate::ops) fn of_listed(&self, collection: &CollectionName, file: &ListedFile) -> Option<String> {
        self.of_file(collection, &file.name, None, file.sha256)
    }

    /// Tells why an entry isn't offered.
    pub(in crate::ops) fn of_entry(&self, entry: &Entry) -> Option<String> {
        self.of_entry_in(&entry.collection, entry)
    }

    /// Tells why another collection doesn't get what is an entry of one.
    pub(in crate::ops) fn of_entry_in(&self, collection: &CollectionName, entry: &Entry) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let digests = Digests { blake3: entry.blake3, sha256: entry.sha256 };
        let name = DistributionFilename::parse_of(&entry.filename, &entry.project).ok()?;
        self.of_file(collection, &name, Some(digests), Some(entry.sha256))
    }

    /// Tells why a file isn't taken into a collection.
    pub(in crate::ops) fn of_file(
        &self,
        collection: &CollectionName,
        name: &DistributionFilename,
        digests: Option<Digests>,
        sha256: Option<Sha256>,
    ) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let (project, version) = (name.project(), name.version());
        let subject = Subject { filename: name.as_str(), project, version, digests, sha256 };
        let is_here = |row: &BlockRow| row.collection.as_ref().is_none_or(|only| only == collection);
        let (_, row) = self.0.iter().find(|(spec, row)| is_here(row) && subject.is_named(spec))?;
        Some(format!("{} is blocked: {}", row.spec, row.reason))
    }
}

impl Subject<'_> {
    fn is_named(&self, spec: &Spec) -> bool {
        match spec {
            Spec::Project { .. } => spec.matches(self.project, self.version),
            Spec::Filename(filename) => filename == self.filename || self.is_same_file(filename),
            Spec::Digest(digest) => match self.digests {
                Some(digests) => digest.matches(&digests),
                None => self.sha256.is_some() && digest.sha256() == self.sha256,
            },
        }
    }

    /// Tells whether another spelling of the filename was written: `Demo-1.0.tar.gz` is `demo-1.0.tar.gz`.
    fn is_same_file(&self, filename: &str) -> bool {
        let key = |text: &str| DistributionFilename::parse(text).ok().map(|name| name.identity());
        key(filename).is_some_and(|other| Some(other) == key(self.filename))
    }
}

/// Tells what is blocked.
pub fn blocks(store: &Store) -> Result<Vec<BlockRow>> {
    Ok(store.manifest.read()?.blocks()?)
}

/// Blocks versions or files, in one collection or in all.
pub fn block(
    store: &Store,
    context: &Context<'_>,
    specs: &[Spec],
    collection: Option<&CollectionName>,
    reason: &str,
) -> Result<Vec<BlockRow>> {
    change(store, context, collection, |transaction, row| {
        let id = row.map(|row| row.id);
        for spec in specs {
            transaction.put_block(id, &spec.to_string(), reason, context.now)?;
        }
        Ok(format!("block {}: {reason}", texts(specs)))
    })?;
    let named: Vec<String> = specs.iter().map(ToString::to_string).collect();
    let is_meant = |row: &BlockRow| row.collection.as_ref() == collection && named.contains(&row.spec);
    Ok(blocks(store)?.into_iter().filter(is_meant).collect())
}

/// Lets versions or files be as they were; what isn't blocked there is an error.
pub fn unblock(
    store: &Store,
    context: &Context<'_>,
    specs: &[Spec],
    collection: Option<&CollectionName>,
) -> Result<()> {
    change(store, context, collection, |transaction, row| {
        for spec in specs {
            if !transaction.delete_block(row.map(|row| row.id), &spec.to_string())? {
                let place = collection.map_or("everywhere".to_owned(), |name| format!("in {name}"));
                return Err(Error::NoMatch(format!("{spec} among what is blocked {place}; see `wcas block list`")));
            }
        }
        Ok(format!("unblock {}", texts(specs)))
    })
}

fn texts(specs: &[Spec]) -> String {
    specs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Makes what is blocked in a collection, or in all, be what a document says.
pub(in crate::ops) fn replace(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    row: Option<&CollectionRow>,
    wanted: &BTreeMap<String, String>,
) -> Result<()> {
    let id = row.map(|row| row.id);
    for known in transaction.blocks()? {
        if known.collection.as_ref() == row.map(|row| &row.name) && !wanted.contains_key(&known.spec) {
            transaction.delete_block(id, &known.spec)?;
        }
    }
    for (spec, reason) in wanted {
        transaction.put_block(id, spec, reason, context.now)?;
    }
    tell(transaction, context, row, "what is blocked, by config")
}

/// Checks a document's blocks, and brings them into the form that is stored.
pub(in crate::ops) fn checked(blocks: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let check = |(spec, reason): (String, String)| match spec.parse::<Spec>() {
        Ok(parsed) => Ok((parsed.to_string(), reason)),
        Err(error) => Err(Error::Refused(error.to_string())),
    };
    blocks.into_iter().map(check).collect()
}

/// Changes what is blocked.
fn change(
    store: &Store,
    context: &Context<'_>,
    collection: Option<&CollectionName>,
    apply: impl FnOnce(&Transaction<'_>, Option<&CollectionRow>) -> Result<String>,
) -> Result<()> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = collection.map(|name| collection_row(&transaction, name)).transpose()?;
    let what = apply(&transaction, row.as_ref())?;
    tell(&transaction, context, row.as_ref(), &what)?;
    transaction.commit()?;
    Ok(())
}

/// Makes a revision of each collection that a change is about: whoever mirrors or caches goes by that.
fn tell(transaction: &Transaction<'_>, context: &Context<'_>, row: Option<&CollectionRow>, what: &str) -> Result<()> {
    let all = if row.is_none() { transaction.collections()? } else { Vec::new() };
    for row in row.into_iter().chain(&all) {
        revise(transaction, context, &collection_row(transaction, &row.name)?, "block", what)?;
    }
    Ok(())
}

/// Tells why a view gives nothing of a file that a remote may have, or the store had.
pub fn blocked(
    store: &Store,
    name: &CollectionName,
    filename: &DistributionFilename,
    sha256: Option<Sha256>,
) -> Result<Option<String>> {
    let rows = store.manifest.read()?;
    let blocks = Blocks::read(&rows)?;
    if blocks.is_empty() {
        return Ok(None);
    }
    let order = SearchOrder::read(&rows, name)?;
    let of = |row: &&CollectionRow| blocks.of_file(&row.name, filename, None, sha256);
    Ok(order.of(filename.project()).iter().find_map(of))
}
