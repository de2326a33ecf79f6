//! Entries are added, removed into history, and made those of an older revision again.

use super::NewEntry;
use crate::manifest::{CollectionId, Result, Transaction};
use rusqlite::named_params;

impl Transaction<'_> {
    /// Adds a live entry. Its upload time is the first at which the collection had these bytes under this name; else the origin's,
    /// else now.
    pub fn insert_entry(&self, collection: CollectionId, entry: &NewEntry<'_>, revision: i64, now: i64) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO entry(collection_id, filename, blob_id, added, uploaded_at, yanked, remote, url, is_unhashed,
               provenance, is_prebuilt, source_url)
             VALUES(:collection, :filename, :blob, :revision, coalesce((SELECT min(uploaded_at) FROM entry
               WHERE blob_id = :blob AND filename = :filename AND collection_id = :collection), :uploaded_at), :yanked,
               :remote, :url, :is_unhashed, :provenance, :is_prebuilt, :source_url)",
        )?;
        let origin = entry.origin;
        statement.execute(named_params! {
            ":collection": collection, ":filename": entry.filename, ":blob": entry.blob, ":revision": revision,
            ":uploaded_at": origin.and_then(|origin| origin.uploaded_at).unwrap_or(now), ":yanked": entry.yanked,
            ":remote": origin.map(|origin| &origin.remote), ":url": origin.map(|origin| &origin.url),
            ":is_unhashed": origin.is_some_and(|origin| origin.is_unhashed),
            ":provenance": origin.and_then(|origin| origin.provenance.as_ref()),
            ":is_prebuilt": entry.is_prebuilt, ":source_url": entry.source_url,
        })?;
        Ok(())
    }

    /// Makes a collection's live entries those of an older revision, as to bytes and yanks. Returns how many were added and removed.
    pub fn restore_entries(
        &self,
        collection: CollectionId,
        to: i64,
        revision: i64,
        now: i64,
    ) -> Result<(usize, usize)> {
        let params = named_params! {":collection": collection, ":to": to, ":revision": revision};
        // The pluses keep SQLite to the blob's entries, or the filename's one, where else it would walk a revision for each.
        let sql = "UPDATE entry SET removed = :revision, removed_at = :now WHERE collection_id = :collection AND removed IS NULL
                   AND NOT EXISTS (SELECT 1 FROM entry o WHERE o.blob_id = entry.blob_id AND o.filename = entry.filename
                     AND +o.collection_id = :collection AND +o.added <= :to AND (+o.removed IS NULL OR +o.removed > :to)
                     AND o.yanked IS entry.yanked)";
        let mut remove = self.conn.prepare_cached(sql)?;
        let removed = remove.execute(&[params, named_params! {":now": now}].concat()[..])?;
        let sql =
            "INSERT INTO entry(collection_id, filename, blob_id, added, uploaded_at, yanked, remote, url, is_unhashed,
                     provenance, is_prebuilt, source_url)
                   SELECT collection_id, filename, blob_id, :revision, (SELECT min(uploaded_at) FROM entry e
                       WHERE e.blob_id = o.blob_id AND e.filename = o.filename AND +e.collection_id = :collection),
                     yanked, remote, url, is_unhashed, provenance, is_prebuilt, source_url
                   FROM entry o WHERE collection_id = :collection AND removed > :to AND added <= :to
                   AND NOT EXISTS (SELECT 1 FROM entry l WHERE l.collection_id = :collection AND l.filename = o.filename
                     AND l.removed IS NULL AND l.blob_id = o.blob_id AND l.yanked IS o.yanked)
                   ORDER BY filename";
        let added = self.conn.prepare_cached(sql)?.execute(params)?;
        Ok((added, removed))
    }

    /// Removes the live entry of a filename, into history. Returns whether there was one.
    pub fn remove_entry(&self, collection: CollectionId, filename: &str, revision: i64, now: i64) -> Result<bool> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE entry SET removed = ?3, removed_at = ?4 WHERE collection_id = ?1 AND filename = ?2 AND removed IS NULL",
        )?;
        Ok(statement.execute((collection, filename, revision, now))? == 1)
    }

    /// Removes the live entries of filenames, into history: in one statement, since each that may be rolled back alone costs a
    /// journal of its own.
    pub fn remove_entries<'a>(
        &self,
        collection: CollectionId,
        filenames: impl Iterator<Item = &'a str>,
        revision: i64,
        now: i64,
    ) -> Result<()> {
        self.conn
            .execute_batch("CREATE TEMP TABLE IF NOT EXISTS leaving(filename TEXT NOT NULL); DELETE FROM leaving;")?;
        let mut insert = self.conn.prepare_cached("INSERT INTO leaving(filename) VALUES(?1)")?;
        for filename in filenames {
            insert.execute([filename])?;
        }
        let mut statement = self.conn.prepare_cached(
            "UPDATE entry SET removed = ?2, removed_at = ?3 WHERE collection_id = ?1 AND removed IS NULL
               AND filename IN (SELECT filename FROM leaving)",
        )?;
        statement.execute((collection, revision, now))?;
        Ok(())
    }
}
