//! Rows of distributions: what an index says of bytes under a filename.

use super::entry::in_scope;
use super::{BlobId, BlobRow, CollectionId, Result, Rows, Scope, Transaction};
use crate::digest::{Blake3, Sha256};
use crate::name::ProjectName;
use crate::wheel::{Contents, DistributionFilename, Kind, VariantLabel};
use rusqlite::{OptionalExtension, named_params};
use std::collections::HashMap;

/// Whoever works on a blob of this size is seen to do so.
const LARGE: u64 = 16 << 20;

/// A distribution as a row holds it.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// The filename.
    pub filename: String,
    /// Wheel or sdist.
    pub kind: Kind,
    /// The project.
    pub project: ProjectName,
    /// The version, normalised.
    pub version: String,
    /// A wheel's build tag.
    pub build_tag: Option<String>,
    /// A wheel's tags as in the filename, or nothing.
    pub tags: String,
    /// `Requires-Python`, as METADATA has it.
    pub requires_python: Option<String>,
    /// METADATA or PKG-INFO, where it may be served as a sidecar.
    pub metadata: Option<Vec<u8>>,
    /// A variant wheel's label.
    pub variant: Option<VariantLabel>,
    /// A variant wheel's `variant.json`.
    pub variant_json: Option<Vec<u8>>,
}

impl Distribution {
    /// Takes what a filename says, and what the file itself says.
    pub fn new(name: &DistributionFilename, contents: Contents) -> Self {
        Self {
            filename: name.as_str().to_owned(),
            kind: name.kind(),
            project: name.project().clone(),
            version: name.version().to_string(),
            build_tag: name.build_tag().map(ToString::to_string),
            tags: name.tags().to_owned(),
            requires_python: contents.requires_python,
            // Only what may be served as a sidecar is kept: an old sdist's PKG-INFO may differ from what it builds.
            metadata: contents.metadata.filter(|_| contents.metadata_may_be_served),
            variant: name.variant().cloned(),
            variant_json: contents.variant,
        }
    }
}

/// A distribution of a collection, as far as it takes to know what its project says.
#[derive(Debug, Clone)]
pub struct Described {
    /// The project.
    pub project: ProjectName,
    /// The version, normalised.
    pub version: String,
    /// Whether it is a wheel.
    pub is_wheel: bool,
    /// Whether it was yanked.
    pub is_yanked: bool,
    /// The digest of its metadata.
    pub metadata: Option<Sha256>,
}

impl Rows {
    /// Returns projects whose names begin with a text, by name; at most so many.
    pub fn projects_from(&self, prefix: &str, most: u32) -> Result<Vec<ProjectName>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT DISTINCT project FROM distribution WHERE project >= ?1 AND project < ?2 ORDER BY project LIMIT ?3",
        )?;
        let rows = statement.query_map((prefix, format!("{prefix}\u{10ffff}"), most), |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the filenames of all blobs.
    pub fn all_filenames(&self) -> Result<Vec<(Blake3, String)>> {
        let sql =
            "SELECT b.blake3, d.filename FROM distribution d JOIN blob b ON b.id = d.blob_id ORDER BY b.id, d.filename";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Tells whether these bytes are known under this filename.
    pub fn has_distribution(&self, blob: BlobId, filename: &str) -> Result<bool> {
        let mut statement =
            self.conn.prepare_cached("SELECT 1 FROM distribution WHERE blob_id = ?1 AND filename = ?2")?;
        Ok(statement.exists((blob, filename))?)
    }

    /// Returns the filenames under which a blob is known.
    pub fn filenames(&self, blob: BlobId) -> Result<Vec<String>> {
        let sql = "SELECT filename FROM distribution WHERE blob_id = ?1 ORDER BY filename";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([blob], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the filenames of these blobs.
    pub fn filenames_of(&self, blobs: impl Iterator<Item = BlobId>) -> Result<HashMap<BlobId, Vec<String>>> {
        let mut statement = self.conn.prepare_cached("SELECT filename FROM distribution WHERE blob_id = ?1")?;
        let mut found = HashMap::new();
        for blob in blobs {
            let rows = statement.query_map([blob], |row| row.get(0))?;
            let names: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
            if !names.is_empty() {
                found.insert(blob, names);
            }
        }
        Ok(found)
    }

    /// Returns each blob with the name by which it is shown while it is worked on. Filenames are looked up for large ones only: the
    /// others are done before somebody could read them.
    pub(crate) fn named<'b>(&self, blobs: &'b [BlobRow]) -> Vec<(&'b BlobRow, String)> {
        let filename = |blob: &BlobRow| self.filenames(blob.id).ok()?.into_iter().next();
        let name = |blob: &BlobRow| (blob.size >= LARGE).then(|| filename(blob)).flatten();
        blobs.iter().map(|blob| (blob, name(blob).unwrap_or_else(|| blob.blake3.to_string()))).collect()
    }

    /// Tells whether some distribution has the metadata with this digest.
    pub fn has_metadata(&self, sha256: &Sha256) -> Result<bool> {
        Ok(self.conn.prepare_cached("SELECT 1 FROM metadata WHERE sha256 = ?1")?.exists([sha256])?)
    }

    /// Shows a collection's distributions one by one, in no order, as far as it takes to know what projects say.
    pub fn each_described(
        &self,
        collection: CollectionId,
        scope: Scope,
        mut show: impl FnMut(Described),
    ) -> Result<()> {
        let select = in_scope!(
            "SELECT d.project, d.version, d.kind = 'wheel', e.yanked IS NOT NULL, d.metadata_sha256 FROM entry e
             JOIN distribution d ON d.blob_id = e.blob_id AND d.filename = e.filename
             WHERE e.collection_id = ?1 AND "
        );
        self.each_in_scope(select, collection, scope, |row| {
            show(Described {
                project: row.get(0)?,
                version: row.get(1)?,
                is_wheel: row.get(2)?,
                is_yanked: row.get(3)?,
                metadata: row.get(4)?,
            });
            Ok(())
        })
    }

    /// Returns the metadata bytes with this digest.
    pub fn metadata(&self, sha256: &Sha256) -> Result<Option<Vec<u8>>> {
        let mut statement = self.conn.prepare_cached("SELECT bytes FROM metadata WHERE sha256 = ?1")?;
        Ok(statement.query_row([sha256], |row| row.get(0)).optional()?)
    }
}

impl Transaction<'_> {
    /// Inserts a distribution, unless it is known.
    pub fn insert_distribution(&self, blob: BlobId, distribution: &Distribution) -> Result<()> {
        if self.has_distribution(blob, &distribution.filename)? {
            return Ok(());
        }
        let metadata = distribution.metadata.as_ref().map(|bytes| self.insert_metadata(bytes)).transpose()?;
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO distribution(blob_id, filename, kind, project, version, build_tag, tags, requires_python,
               metadata_sha256, variant)
             VALUES(:blob, :filename, :kind, :project, :version, :build_tag, :tags, :requires_python, :metadata, :variant)",
        )?;
        statement.execute(named_params! {
            ":blob": blob, ":filename": distribution.filename, ":kind": distribution.kind, ":project": distribution.project,
            ":version": distribution.version, ":build_tag": distribution.build_tag, ":tags": distribution.tags,
            ":requires_python": distribution.requires_python, ":metadata": metadata,
            ":variant": distribution.variant,
        })?;
        distribution.variant_json.as_ref().map_or(Ok(()), |bytes| self.insert_variant_json(blob, bytes))?;
        Ok(())
    }

    fn insert_metadata(&self, bytes: &[u8]) -> Result<Sha256> {
        let sha256 = Sha256::of(bytes);
        let sql = "INSERT INTO metadata(sha256, bytes) VALUES(?1, ?2) ON CONFLICT DO NOTHING";
        self.conn.prepare_cached(sql)?.execute((sha256, bytes))?;
        Ok(sha256)
    }
}
