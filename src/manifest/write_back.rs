//! What is to go to a remote: files of our own that wait, and why the last try failed.
//!
//! A row is made in the transaction that makes its entry, and goes when the remote has the file or nobody wants it there any more: a
//! process that ends between the two sends it again, which does no harm.

use super::{BlobId, CollectionId, RemoteId, Result, Rows, Transaction};
use rusqlite::named_params;

/// A file that is to go to a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRow {
    /// The filename.
    pub filename: String,
    /// The blob.
    pub blob: BlobId,
    /// The collection whose entry it is.
    pub collection: CollectionId,
    /// How often it was tried.
    pub tries: u32,
    /// How often the remote refused it.
    pub refusals: u32,
}

/// What waits for a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingCount {
    /// The remote.
    pub remote: RemoteId,
    /// How many files wait, those that are given up as well.
    pub waiting: u64,
    /// How many of them were refused too often.
    pub given_up: u64,
    /// When one was last tried, in vain.
    pub failed_at: Option<i64>,
    /// Why that failed.
    pub failure: Option<String>,
}

impl Rows {
    /// Returns what waits for a remote: first what was tried least, then what waits longest, so that one bad file holds up no other.
    pub fn waiting(&self, remote: RemoteId) -> Result<Vec<WaitingRow>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT filename, blob_id, collection_id, tries, refusals FROM write_back WHERE remote_id = ?1
             ORDER BY tries, queued_at, filename",
        )?;
        let rows = statement.query_map([remote], |row| {
            Ok(WaitingRow {
                filename: row.get("filename")?,
                blob: row.get("blob_id")?,
                collection: row.get("collection_id")?,
                tries: row.get("tries")?,
                refusals: row.get("refusals")?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Counts what waits, by remote; what was refused so often is given up.
    pub fn waiting_counts(&self, max_refusals: u32) -> Result<Vec<WaitingCount>> {
        // Beside `max`, SQLite takes the other columns from the row that has it.
        let mut statement = self.conn.prepare_cached(
            "SELECT remote_id, count(*) AS waiting, sum(refusals >= ?1) AS given_up, max(tried_at) AS failed_at, failure
             FROM write_back GROUP BY remote_id",
        )?;
        let rows = statement.query_map([max_refusals], |row| {
            Ok(WaitingCount {
                remote: row.get("remote_id")?,
                waiting: row.get::<_, i64>("waiting")?.cast_unsigned(),
                given_up: row.get::<_, i64>("given_up")?.cast_unsigned(),
                failed_at: row.get("failed_at")?,
                failure: row.get("failure")?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Tells whether some entry says that these bytes came from a remote: then nobody built them here.
    pub fn came_from_remote(&self, blob: BlobId) -> Result<bool> {
        let sql = "SELECT 1 FROM entry WHERE blob_id = ?1 AND remote IS NOT NULL";
        Ok(self.conn.prepare_cached(sql)?.exists([blob])?)
    }
}

impl Transaction<'_> {
    /// Lets an entry of a collection wait for a remote, unless it does.
    pub fn insert_waiting(
        &self,
        remote: RemoteId,
        collection: CollectionId,
        filename: &str,
        blob: BlobId,
        now: i64,
    ) -> Result<()> {
        let sql = "INSERT INTO write_back(remote_id, collection_id, filename, blob_id, queued_at)
                   VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
        self.conn.prepare_cached(sql)?.execute((remote, collection, filename, blob, now))?;
        Ok(())
    }

    /// Lets a file wait no longer.
    pub fn delete_waiting(&self, remote: RemoteId, row: &WaitingRow) -> Result<()> {
        let sql = "DELETE FROM write_back WHERE remote_id = ?1 AND filename = ?2 AND blob_id = ?3";
        self.conn.prepare_cached(sql)?.execute((remote, &row.filename, row.blob))?;
        Ok(())
    }

    /// Records that a try failed, and whether it was refused: so often at once.
    pub fn set_waiting_failure(
        &self,
        remote: RemoteId,
        row: &WaitingRow,
        at: i64,
        refusals: u32,
        failure: &str,
    ) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE write_back SET tries = tries + 1, refusals = refusals + :refusals, tried_at = :at, failure = :failure
             WHERE remote_id = :remote AND filename = :filename AND blob_id = :blob",
        )?;
        statement.execute(named_params! {
            ":refusals": refusals, ":at": at, ":failure": failure, ":remote": remote, ":filename": row.filename,
            ":blob": row.blob,
        })?;
        Ok(())
    }

    /// Forgets how often a remote refused what waits for it: all is tried again.
    pub fn forget_waiting_refusals(&self, remote: RemoteId) -> Result<()> {
        self.conn.prepare_cached("UPDATE write_back SET refusals = 0 WHERE remote_id = ?1")?.execute([remote])?;
        Ok(())
    }

    /// Lets nothing wait for a remote that it refused at least so often; 0: nothing at all. Returns how many did.
    pub fn clear_waiting(&self, remote: RemoteId, refusals: u32) -> Result<usize> {
        let sql = "DELETE FROM write_back WHERE remote_id = ?1 AND refusals >= ?2";
        Ok(self.conn.prepare_cached(sql)?.execute((remote, refusals))?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Distribution, Manifest, NewEntry, Origin, RemoteSettings};
    use super::*;
    use crate::digest::{Blake3, Digests, Sha256};
    use crate::wheel::Kind;
    use std::time::Duration;

    /// A manifest with two blobs of one filename, and a remote.
    fn manifest(dir: &std::path::Path) -> (Manifest, CollectionId, RemoteId, [BlobId; 2]) {
        let manifest = Manifest::open(&dir.join("manifest"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let collection = transaction.insert_collection(&"cuda".parse().unwrap(), 0).unwrap();
        let settings = RemoteSettings { url: "https://cache.example/".to_owned(), ..RemoteSettings::default() };
        let remote = transaction.insert_remote(&"team".parse().unwrap(), collection, &settings).unwrap();
        let blobs = [1, 2].map(|seed| {
            let digests = Digests { blake3: Blake3::from_bytes([seed; 32]), sha256: Sha256::from_bytes([seed; 32]) };
            let row = transaction.insert_file(&digests, 1, 0).unwrap().unwrap();
            transaction.insert_blob(&row).unwrap();
            let blob = row.id;
            let distribution = Distribution {
                filename: "a-1-py3-none-any.whl".to_owned(),
                kind: Kind::Wheel,
                project: "a".parse().unwrap(),
                version: "1".to_owned(),
                build_tag: None,
                tags: "py3-none-any".to_owned(),
                requires_python: None,
                metadata: None,
                variant: None,
                variant_json: None,
            };
            transaction.insert_distribution(blob, &distribution).unwrap();
            blob
        });
        transaction.commit().unwrap();
        (manifest, collection, remote, blobs)
    }

    #[test]
    fn what_waits_is_counted_with_its_last_failure_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (manifest, collection, remote, blobs) = manifest(dir.path());
        let transaction = manifest.write().unwrap();
        let filename = "a-1-py3-none-any.whl";
        for now in [5, 6] {
            transaction.insert_waiting(remote, collection, filename, blobs[0], now).unwrap();
        }
        transaction.insert_waiting(remote, collection, filename, blobs[1], 7).unwrap();
        let rows = transaction.waiting(remote).unwrap();
        assert_eq!(rows.iter().map(|row| row.blob).collect::<Vec<_>>(), blobs);
        transaction.set_waiting_failure(remote, &rows[0], 10, 0, "down").unwrap();
        transaction.set_waiting_failure(remote, &rows[1], 9, 3, "no").unwrap();
        transaction.set_waiting_failure(remote, &rows[0], 11, 0, "still down").unwrap();
        let count = WaitingCount {
            remote,
            waiting: 2,
            given_up: 1,
            failed_at: Some(11),
            failure: Some("still down".to_owned()),
        };
        assert_eq!(transaction.waiting_counts(3).unwrap(), [count]);
        assert_eq!(transaction.waiting(remote).unwrap()[0].blob, blobs[1], "what was tried less comes first");
        assert_eq!(transaction.clear_waiting(remote, 3).unwrap(), 1);
        transaction.delete_waiting(remote, &rows[0]).unwrap();
        assert_eq!(transaction.waiting_counts(3).unwrap(), []);
    }

    #[test]
    fn bytes_that_came_from_a_remote_are_known_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let (manifest, collection, _, blobs) = manifest(dir.path());
        let transaction = manifest.write().unwrap();
        let (remote, url) = ("mirror".to_owned(), "https://index.example/a.whl".to_owned());
        let origin = Origin { remote, url, uploaded_at: None, is_unhashed: false, provenance: None };
        let entry = NewEntry { origin: Some(&origin), ..NewEntry::new("a-1-py3-none-any.whl", blobs[0]) };
        transaction.insert_entry(collection, &entry, 1, 0).unwrap();
        assert_eq!(blobs.map(|blob| transaction.came_from_remote(blob).unwrap()), [true, false]);
    }
}
