//! Files of remotes that the store won't have: no page of the variant that asked lists them until the refusal ends or is forgotten.
//! Another variant may have what one may not.

use super::{CollectionId, RemoteId, Result, Rows, Transaction};
use crate::digest::Sha256;
use crate::name::CollectionName;
use rusqlite::Row;

/// A file of a remote that is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalRow {
    /// The variant, or the collection, for which it was asked for.
    pub variant: CollectionName,
    /// Its filename.
    pub filename: String,
    /// What the remote's page announced, if it did.
    pub sha256: Option<Sha256>,
    /// Since when, in seconds since 1970.
    pub refused_at: i64,
    /// Until when.
    pub until: i64,
    /// Why.
    pub reason: String,
    /// The link that led nowhere: another link to the file is tried. `None`: it isn't taken wherever it is.
    pub url: Option<String>,
}

impl RefusalRow {
    /// Tells whether a remote's file is meant.
    pub fn is_about(&self, filename: &str, sha256: Option<&Sha256>, url: &str) -> bool {
        self.filename == filename && self.sha256.as_ref() == sha256 && self.url.as_deref().is_none_or(|own| own == url)
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let digest: Vec<u8> = row.get("sha256")?;
        Ok(Self {
            variant: row.get("variant")?,
            filename: row.get("filename")?,
            // The table holds 32 bytes or none.
            sha256: <[u8; 32]>::try_from(digest).ok().map(Sha256::from_bytes),
            refused_at: row.get("refused_at")?,
            until: row.get("until")?,
            reason: row.get("reason")?,
            url: row.get("url")?,
        })
    }
}

/// What stands for a digest; nothing for none.
fn key(sha256: Option<&Sha256>) -> &[u8] {
    sha256.map_or(&[], |digest| digest.as_bytes().as_slice())
}

impl Rows {
    /// Returns the refusals of a remote's files for a variant that hold at a time, by filename.
    pub fn refusals(&self, remote: RemoteId, variant: &CollectionName, now: i64) -> Result<Vec<RefusalRow>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT * FROM remote_refusal WHERE remote_id = ?1 AND variant = ?2 AND until > ?3 ORDER BY filename, sha256",
        )?;
        let rows = statement.query_map((remote, variant, now), RefusalRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns how many refusals of a remote's files there are, and the newest's time.
    pub fn refusal_count(&self, remote: RemoteId) -> Result<(i64, i64)> {
        let sql = "SELECT count(*), coalesce(max(refused_at), 0) FROM remote_refusal WHERE remote_id = ?1";
        Ok(self.conn.prepare_cached(sql)?.query_row([remote], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }
}

impl Transaction<'_> {
    /// Remembers that a remote's file is not taken; those that have ended are forgotten.
    pub fn put_refusal(&self, remote: RemoteId, row: &RefusalRow) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM remote_refusal WHERE until <= ?1")?.execute([row.refused_at])?;
        let mut statement = self.conn.prepare_cached(
            "INSERT OR REPLACE INTO remote_refusal(remote_id, variant, filename, sha256, refused_at, until, reason, url)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        let sha256 = key(row.sha256.as_ref());
        let (variant, filename, reason, url) = (&row.variant, &row.filename, &row.reason, row.url.as_deref());
        statement.execute((remote, variant, filename, sha256, row.refused_at, row.until, reason, url))?;
        Ok(())
    }

    /// Forgets the refusals of all remotes of a collection, and those for the variant of its name: what it admits has changed.
    pub fn forget_refusals(&self, collection: CollectionId) -> Result<()> {
        let sql = "DELETE FROM remote_refusal WHERE remote_id IN (SELECT id FROM remote WHERE collection_id = ?1)
                   OR variant = (SELECT name FROM collection WHERE id = ?1)";
        self.conn.prepare_cached(sql)?.execute([collection])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest, RemoteSettings};
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_refusal_holds_for_one_digest_of_one_remotes_file_and_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest.sqlite"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let shared = transaction.insert_collection(&"shared".parse().unwrap(), 1).unwrap();
        let settings = RemoteSettings { url: "https://index.example/".to_owned(), ..RemoteSettings::default() };
        let remote = |name: &str| transaction.insert_remote(&name.parse().unwrap(), shared, &settings).unwrap();
        let (one, two) = (remote("one"), remote("two"));
        let digest = Sha256::of(b"bytes");
        let (cuda, cpu): (CollectionName, CollectionName) = ("cuda".parse().unwrap(), "cpu".parse().unwrap());
        let row = |sha256, until| RefusalRow {
            variant: cuda.clone(),
            filename: "demo-1.0-py3-none-any.whl".to_owned(),
            sha256,
            refused_at: 100,
            until,
            reason: "no wheel".to_owned(),
            url: None,
        };
        transaction.put_refusal(one, &row(Some(digest), 200)).unwrap();
        transaction.put_refusal(one, &row(None, 300)).unwrap();
        assert_eq!(transaction.refusals(one, &cuda, 199).unwrap(), [row(None, 300), row(Some(digest), 200)]);
        assert_eq!(transaction.refusals(one, &cuda, 200).unwrap(), [row(None, 300)], "it has ended");
        assert_eq!(transaction.refusals(two, &cuda, 100).unwrap(), []);
        assert_eq!(transaction.refusals(one, &cpu, 100).unwrap(), [], "another variant may have it");
        let (name, link) = ("demo-1.0-py3-none-any.whl", "https://index.example/old");
        assert!(row(None, 1).is_about(name, None, link));
        assert!(!row(None, 1).is_about(name, Some(&digest), link));
        let moved = RefusalRow { url: Some(link.to_owned()), ..row(None, 1) };
        assert!(moved.is_about(name, None, link) && !moved.is_about(name, None, "https://index.example/new"));
        // A new one takes the place of the old one, and what has ended goes.
        let again = RefusalRow { refused_at: 250, until: 400, ..row(None, 0) };
        transaction.put_refusal(one, &again).unwrap();
        assert_eq!(transaction.refusals(one, &cuda, 0).unwrap(), [again]);
        transaction.forget_refusals(shared).unwrap();
        assert_eq!(transaction.refusals(one, &cuda, 0).unwrap(), []);
    }
}
