//! What is blocked: versions and files that must not come back, whichever way they would.

use super::search_order::SearchOrder;
use crate::digest::{Digests, Sha256};
use crate::error::Result;
use crate::index::read::ListedFile;
use crate::manifest::{BlockRow, CollectionRow, Entry, Rows};
use crate::name::{CollectionName, ProjectName};
use crate::requirement::Spec;
use crate::store::Store;
use crate::wheel::DistributionFilename;
use pep440_rs::Version;

/// All that is blocked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blocks(Vec<(Spec, BlockRow)>);

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
    pub(crate) fn read(rows: &Rows) -> Result<Self> {
        // Only what can be read is ever written.
        let parsed = rows.blocks()?.into_iter().filter_map(|row| Some((row.spec.parse().ok()?, row)));
        Ok(Self(parsed.collect()))
    }

    /// Tells whether nothing is blocked.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells why a file of a remote isn't taken into a collection, or offered there.
    pub(crate) fn of_listed(&self, collection: &CollectionName, file: &ListedFile) -> Option<String> {
        self.of_file(collection, &file.name, None, file.sha256)
    }

    /// Tells why an entry isn't offered.
    pub(crate) fn of_entry(&self, entry: &Entry) -> Option<String> {
        self.of_entry_in(&entry.collection, entry)
    }

    /// Tells why another collection doesn't get what is an entry of one.
    pub(crate) fn of_entry_in(&self, collection: &CollectionName, entry: &Entry) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let digests = Digests { blake3: entry.blake3, sha256: entry.sha256 };
        let name = DistributionFilename::parse_of(&entry.filename, &entry.project).ok()?;
        self.of_file(collection, &name, Some(digests), Some(entry.sha256))
    }

    /// Tells why a file isn't taken into a collection.
    pub(crate) fn of_file(
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
