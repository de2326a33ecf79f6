//! What all entries together tell: which collections share how many bytes, and how a store came to its size. Each statement here walks
//! all entries, so that who asks keeps the answer for a while.

use super::{BlobId, CollectionId, OperationId, Result, Rows};

/// Blobs that the same collections have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSet {
    /// The collections.
    pub collections: Vec<CollectionId>,
    /// The bytes of the blobs.
    pub bytes: u64,
}

/// A time in which a collection had a blob under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The blob.
    pub blob: BlobId,
    /// Its size.
    pub size: u64,
    /// When it came, in seconds since 1970.
    pub from: i64,
    /// When it went; `None`: it is there.
    pub until: Option<i64>,
}

/// The bytes of files that came or went with a revision, as far as their entries are still known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedBytes {
    /// The collection.
    pub collection: CollectionId,
    /// The revision.
    pub revision: i64,
    /// Whether they came.
    pub is_added: bool,
    /// How many.
    pub bytes: u64,
}

impl Rows {
    /// Returns the sets of collections that have the same blobs.
    pub fn shared_sets(&self) -> Result<Vec<SharedSet>> {
        let mut statement = self.conn.prepare_cached(
            "WITH held(blob_id, names) AS (SELECT blob_id, group_concat(DISTINCT collection_id) FROM entry WHERE removed IS NULL GROUP BY blob_id)
             SELECT names, sum(size) AS bytes FROM held JOIN blob ON id = blob_id GROUP BY names",
        )?;
        let rows = statement.query_map([], |row| {
            let names: String = row.get("names")?;
            let collections = names.split(',').filter_map(|id| id.parse().ok()).map(CollectionId).collect();
            Ok(SharedSet { collections, bytes: row.get::<_, i64>("bytes")?.cast_unsigned() })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Tells when collections had their blobs, those of one blob one after the other.
    pub fn each_span(&self, mut take: impl FnMut(Span)) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "SELECT e.blob_id, b.size, coalesce(o.at, e.uploaded_at) AS since, e.removed_at AS until
             FROM entry e JOIN blob b ON b.id = e.blob_id
             LEFT JOIN revision r ON r.collection_id = e.collection_id AND r.number = e.added LEFT JOIN operation o ON o.id = r.operation_id
             ORDER BY e.blob_id",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let size = row.get::<_, i64>("size")?.cast_unsigned();
            take(Span { blob: row.get("blob_id")?, size, from: row.get("since")?, until: row.get("until")? });
        }
        Ok(())
    }

    /// Returns the bytes that came and went with the revisions that operations made, from the first of them until the last; of one
    /// collection or of all.
    pub fn changed_bytes(
        &self,
        only: Option<CollectionId>,
        first: OperationId,
        last: OperationId,
    ) -> Result<Vec<ChangedBytes>> {
        let mut statement = self.conn.prepare_cached(
            "WITH newest(collection_id, number) AS MATERIALIZED (
               SELECT collection_id, number FROM revision WHERE operation_id BETWEEN ?1 AND ?2 AND (?3 IS NULL OR collection_id = ?3))
             SELECT n.collection_id, n.number, 1 AS is_added, sum(b.size) AS bytes
             FROM entry e JOIN newest n ON n.collection_id = e.collection_id AND n.number = e.added JOIN blob b ON b.id = e.blob_id GROUP BY 1, 2
             UNION ALL
             SELECT n.collection_id, n.number, 0, sum(b.size)
             FROM newest n CROSS JOIN entry e ON e.collection_id = n.collection_id AND e.removed = n.number JOIN blob b ON b.id = e.blob_id GROUP BY 1, 2",
        )?;
        let rows = statement.query_map((first, last, only), |row| {
            Ok(ChangedBytes {
                collection: row.get(0)?,
                revision: row.get(1)?,
                is_added: row.get(2)?,
                bytes: row.get::<_, i64>(3)?.cast_unsigned(),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
