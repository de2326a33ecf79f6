//! Entries: which distributions a collection holds, from which revision until which.

mod scope;
mod write;

pub use scope::Scope;
pub(super) use scope::in_scope;

use super::file::state_of_blob;
use super::{BlobId, CollectionId, Result, Rows, State};
use crate::digest::{Blake3, Sha256};
use crate::name::{CollectionName, ProjectName};
use crate::wheel::{BuildTag, Kind, VariantLabel};
use pep440_rs::Version;
use rusqlite::{OptionalExtension, Params, Row};

/// An entry with its distribution and blob.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The collection.
    pub collection: CollectionName,
    /// The filename: one live entry for each in a collection.
    pub filename: String,
    /// Wheel or sdist.
    pub kind: Kind,
    /// The project.
    pub project: ProjectName,
    /// The version, normalised.
    pub version: String,
    /// A wheel's build tag.
    pub build_tag: Option<String>,
    /// A wheel's tags.
    pub tags: String,
    /// `Requires-Python`.
    pub requires_python: Option<String>,
    /// The digest of the sidecar, where there is one.
    pub metadata_sha256: Option<Sha256>,
    /// The blob's row.
    pub blob: BlobId,
    /// The blob.
    pub blake3: Blake3,
    /// Its other digest.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size: u64,
    /// The state of the blob's file.
    pub state: State,
    /// The revision that added it.
    pub added: i64,
    /// The revision that removed it; `None`: live.
    pub removed: Option<i64>,
    /// When it was removed.
    pub removed_at: Option<i64>,
    /// When this collection first had these bytes under this name.
    pub uploaded_at: i64,
    /// The reason of a yank, maybe empty.
    pub yanked: Option<String>,
    /// When a lookup last gave the blob.
    pub used_at: Option<i64>,
    /// How often the blob's bytes were found bad.
    pub epoch: i64,
    /// The inode of the blob's file when it was last known to be right.
    pub inode: Option<i64>,
    /// Its modification time then.
    pub modified_ns: Option<i64>,
    /// Where its bytes came from, when not from a local file.
    pub origin: Option<Origin>,
    /// A variant wheel's label.
    pub variant: Option<VariantLabel>,
    /// Whether it was fetched as it is, where others build from source.
    pub is_prebuilt: bool,
    /// Where a builder had its source, or the pre-built file, from.
    pub source_url: Option<String>,
}

impl Entry {
    /// Returns the digest of what is announced and given as the file's METADATA (PEP 658): a wheel's.
    ///
    /// An sdist's PKG-INFO may differ from what its build says, even where it calls its fields static: clients that believe it lose
    /// dependencies without a word.
    pub fn sidecar(&self) -> Option<Sha256> {
        self.metadata_sha256.filter(|_| self.kind == Kind::Wheel)
    }
}

/// Where an entry's bytes came from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Origin {
    /// The remote's name; it may be gone by now.
    pub remote: String,
    /// The file's URL there, without credentials.
    pub url: String,
    /// When it was uploaded there, where that is known: the entry takes this as its own time.
    pub uploaded_at: Option<i64>,
    /// Whether nothing but the transfer vouched for its bytes.
    pub is_unhashed: bool,
    /// Where its attestations are, an https URL (PEP 740).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<String>,
}

/// What an entry is to say.
#[derive(Debug, Clone, Copy)]
pub struct NewEntry<'a> {
    /// The filename.
    pub filename: &'a str,
    /// The blob.
    pub blob: BlobId,
    /// The reason of a yank, maybe empty.
    pub yanked: Option<&'a str>,
    /// Where the bytes came from, when not from a local file.
    pub origin: Option<&'a Origin>,
    /// Whether it was fetched as it is, where others build from source.
    pub is_prebuilt: bool,
    /// Where a builder had its source, or the pre-built file, from.
    pub source_url: Option<&'a str>,
}

impl<'a> NewEntry<'a> {
    /// Takes what a file itself says: nobody yanked it, and it came from no remote.
    pub fn new(filename: &'a str, blob: BlobId) -> Self {
        Self { filename, blob, yanked: None, origin: None, is_prebuilt: false, source_url: None }
    }
}

macro_rules! select_entries {
    ($rest:literal) => {
        concat!(
            "SELECT c.name AS collection, e.filename, d.kind, d.project, d.version, d.build_tag, d.tags,
                    d.requires_python, d.metadata_sha256, e.blob_id, b.blake3, b.sha256, b.size, ",
            state_of_blob!(),
            ",
                    e.added, e.removed, e.removed_at, e.uploaded_at, e.yanked, b.used_at, coalesce(f.epoch, 0), f.inode, f.modified_ns,
                    e.remote, e.url, e.is_unhashed, e.provenance, d.variant, e.is_prebuilt, e.source_url
             FROM entry e
             JOIN collection c ON c.id = e.collection_id
             JOIN distribution d ON d.blob_id = e.blob_id AND d.filename = e.filename
             JOIN blob b ON b.id = e.blob_id
             LEFT JOIN file f ON f.id = e.blob_id ",
            $rest
        )
    };
}

impl Entry {
    /// Returns what another entry of the same bytes is to say: a copy keeps yank and origin.
    pub fn again(&self) -> NewEntry<'_> {
        NewEntry {
            filename: &self.filename,
            blob: self.blob,
            yanked: self.yanked.as_deref(),
            origin: self.origin.as_ref(),
            is_prebuilt: self.is_prebuilt,
            source_url: self.source_url.as_deref(),
        }
    }

    /// Returns its version; it was parsed before it was stored.
    pub fn parsed_version(&self) -> Version {
        self.version.parse().unwrap_or_else(|_| Version::new([0]))
    }

    /// Returns its build tag.
    pub fn parsed_build_tag(&self) -> Option<BuildTag> {
        self.build_tag.as_deref().and_then(|tag| tag.parse().ok())
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        // By position, in the order of `select_entries`: by name costs a search for each of 30 columns and row.
        let uploaded_at = row.get(17)?;
        let origin = match row.get(23)? {
            Some(remote) => Some(Origin {
                remote,
                url: row.get::<_, Option<String>>(24)?.unwrap_or_default(),
                uploaded_at: Some(uploaded_at),
                is_unhashed: row.get(25)?,
                provenance: row.get(26)?,
            }),
            None => None,
        };
        Ok(Self {
            collection: row.get(0)?,
            filename: row.get(1)?,
            kind: row.get(2)?,
            project: row.get(3)?,
            version: row.get(4)?,
            build_tag: row.get(5)?,
            tags: row.get(6)?,
            requires_python: row.get(7)?,
            metadata_sha256: row.get(8)?,
            blob: row.get(9)?,
            blake3: row.get(10)?,
            sha256: row.get(11)?,
            size: row.get::<_, i64>(12)?.cast_unsigned(),
            state: row.get(13)?,
            added: row.get(14)?,
            removed: row.get(15)?,
            removed_at: row.get(16)?,
            uploaded_at,
            yanked: row.get(18)?,
            used_at: row.get(19)?,
            epoch: row.get(20)?,
            inode: row.get(21)?,
            modified_ns: row.get(22)?,
            origin,
            variant: row.get(27)?,
            is_prebuilt: row.get(28)?,
            source_url: row.get(29)?,
        })
    }
}

impl Rows {
    fn entries_where(&self, sql: &'static str, params: impl Params) -> Result<Vec<Entry>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params, Entry::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the entries of a collection, by project and filename.
    pub fn entries(&self, collection: CollectionId, scope: Scope) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.each_entry(collection, scope, |entry| entries.push(entry))?;
        // SQLite would copy each row once more to sort it.
        entries.sort_unstable_by(|a, b| (&a.project, &a.filename).cmp(&(&b.project, &b.filename)));
        Ok(entries)
    }

    /// Shows the entries of a collection one by one, in no order, to who doesn't need them all at once.
    pub fn each_entry(&self, collection: CollectionId, scope: Scope, mut show: impl FnMut(Entry)) -> Result<()> {
        let select = in_scope!(select_entries!("WHERE e.collection_id = ?1 AND "));
        self.each_in_scope(select, collection, scope, |row| {
            show(Entry::from_row(row)?);
            Ok(())
        })
    }

    /// Returns the projects of a collection's entries, each once, in no order.
    pub fn project_names(&self, collection: CollectionId, scope: Scope) -> Result<Vec<ProjectName>> {
        let select = in_scope!(
            "SELECT DISTINCT d.project FROM entry e
             JOIN distribution d ON d.blob_id = e.blob_id AND d.filename = e.filename
             WHERE e.collection_id = ?1 AND "
        );
        let mut names = Vec::new();
        self.each_in_scope(select, collection, scope, |row| {
            names.push(row.get(0)?);
            Ok(())
        })?;
        Ok(names)
    }

    /// Returns the projects of a collection of which a file was added or removed after one revision and until another, each once, in order.
    pub fn projects_changed(&self, collection: CollectionId, after: i64, until: i64) -> Result<Vec<ProjectName>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT DISTINCT d.project FROM entry e
             JOIN distribution d ON d.blob_id = e.blob_id AND d.filename = e.filename
             WHERE e.collection_id = ?1 AND (e.added > ?2 AND e.added <= ?3 OR e.removed > ?2 AND e.removed <= ?3)
             ORDER BY d.project",
        )?;
        let rows = statement.query_map((collection, after, until), |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the projects of a collection, each with the newest revision that added or removed a file of it.
    pub fn project_serials(&self, collection: CollectionId) -> Result<Vec<(ProjectName, i64)>> {
        let mut statement = self.conn.prepare_cached(
            "WITH changed AS (
               SELECT blob_id, filename, added AS number FROM entry WHERE collection_id = ?1 AND removed IS NULL
               UNION ALL
               SELECT blob_id, filename, removed FROM entry WHERE collection_id = ?1 AND removed IS NOT NULL)
             SELECT d.project, max(c.number) FROM changed c
             JOIN distribution d ON d.blob_id = c.blob_id AND d.filename = c.filename GROUP BY d.project",
        )?;
        let rows = statement.query_map([collection], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the live entries of a project in a collection.
    pub fn project_entries(&self, collection: CollectionId, project: &ProjectName) -> Result<Vec<Entry>> {
        self.entries_where(
            // The plus keeps SQLite from walking the whole collection instead of the project's few distributions.
            select_entries!("WHERE d.project = ?2 AND +e.collection_id = ?1 AND e.removed IS NULL ORDER BY e.filename"),
            (collection, project),
        )
    }

    /// Returns the entries of a project in a collection at a revision.
    pub fn project_entries_at(
        &self,
        collection: CollectionId,
        project: &ProjectName,
        revision: i64,
    ) -> Result<Vec<Entry>> {
        self.entries_where(
            select_entries!(
                "WHERE d.project = ?2 AND +e.collection_id = ?1 AND +e.added <= ?3 AND (e.removed IS NULL OR e.removed > ?3)
                 ORDER BY e.filename"
            ),
            (collection, project, revision),
        )
    }

    /// Returns the live entry of a filename in a collection.
    pub fn find_entry(&self, collection: CollectionId, filename: &str) -> Result<Option<Entry>> {
        let sql = select_entries!("WHERE e.collection_id = ?1 AND e.filename = ?2 AND e.removed IS NULL");
        Ok(self.entries_where(sql, (collection, filename))?.pop())
    }

    /// Returns the blob of the live entry of a filename in a collection.
    pub fn find_entry_blob(&self, collection: CollectionId, filename: &str) -> Result<Option<BlobId>> {
        let sql = "SELECT blob_id FROM entry WHERE collection_id = ?1 AND filename = ?2 AND removed IS NULL";
        Ok(self.conn.prepare_cached(sql)?.query_row((collection, filename), |row| row.get(0)).optional()?)
    }

    /// Tells whether a collection's history has a filename with other bytes than these, and not with these. What was lost doesn't
    /// count; nor, for who builds again, what was invalidated on purpose: who did that wants another.
    pub fn was_other(
        &self,
        collection: CollectionId,
        filename: &str,
        blob: BlobId,
        is_built_again: bool,
    ) -> Result<bool> {
        // In two halves, each with its index: a condition on both would walk the table.
        let sql = "WITH own AS (
                     SELECT collection_id, blob_id, removed FROM entry WHERE collection_id = ?1 AND filename = ?2 AND removed IS NULL
                     UNION ALL
                     SELECT collection_id, blob_id, removed FROM entry WHERE collection_id = ?1 AND filename = ?2 AND removed IS NOT NULL)
                   SELECT max(e.blob_id = ?3) FROM own e LEFT JOIN file f ON f.id = e.blob_id
                   LEFT JOIN revision r ON r.collection_id = e.collection_id AND r.number = e.removed
                   LEFT JOIN operation o ON o.id = r.operation_id
                   WHERE e.blob_id = ?3 OR (f.state = 'live' AND NOT (?4 AND coalesce(o.kind, '') = 'invalidate'))";
        let mut statement = self.conn.prepare_cached(sql)?;
        let has_these: Option<bool> =
            statement.query_row((collection, filename, blob, is_built_again), |row| row.get(0))?;
        Ok(has_these == Some(false))
    }

    /// Returns all entries of a blob, live and in history, in all collections.
    pub fn blob_entries(&self, blob: BlobId) -> Result<Vec<Entry>> {
        self.entries_where(select_entries!("WHERE e.blob_id = ?1 ORDER BY c.name, e.added"), [blob])
    }

    /// Returns all entries of a project, live and in history, in all collections.
    pub fn project_history(&self, project: &ProjectName) -> Result<Vec<Entry>> {
        let sql = select_entries!("WHERE d.project = ?1 ORDER BY e.filename, c.name, e.added");
        self.entries_where(sql, [project])
    }

    /// Returns the entries that an operation removed, in all collections.
    pub fn entries_removed_by(&self, operation: super::OperationId) -> Result<Vec<Entry>> {
        self.entries_where(
            select_entries!(
                "JOIN revision r ON r.collection_id = e.collection_id AND r.number = e.removed
                 WHERE r.operation_id = ?1 ORDER BY c.name, d.project, e.filename"
            ),
            [operation],
        )
    }

    /// Returns the entries that an operation added, in all collections; also those that are removed since.
    pub fn entries_added_by(&self, operation: super::OperationId) -> Result<Vec<Entry>> {
        self.entries_where(
            select_entries!(
                "JOIN revision r ON r.collection_id = e.collection_id AND r.number = e.added
                 WHERE r.operation_id = ?1 ORDER BY c.name, d.project, e.filename"
            ),
            [operation],
        )
    }
}
