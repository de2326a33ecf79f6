//! The signed lists of remotes that must have one: what was taken last, so that nothing older is taken after it.

use super::{RemoteId, Result, Rows, Transaction};
use crate::digest::Sha256;
use crate::signed::ListedFile;
use rusqlite::{OptionalExtension, named_params};
use std::collections::HashMap;

/// What is known of a remote's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteListRow {
    /// When it was last asked for, in seconds since 1970.
    pub asked_at: i64,
    /// Why nothing of the remote is taken just now.
    pub refusal: Option<String>,
    /// The list that was taken last.
    pub taken: Option<TakenList>,
}

/// A list that was signed by somebody who may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenList {
    /// The revision.
    pub revision: i64,
    /// The digest of its text.
    pub digest: Sha256,
    /// Who signed it, as the allowed signers call them.
    pub signer: String,
    /// The entity tag of its text.
    pub etag: Option<String>,
    /// When the text last changed, as the remote wrote it.
    pub last_modified: Option<String>,
}

impl Rows {
    /// Returns what is known of a remote's list; `None`: it was never asked for.
    pub fn remote_list(&self, remote: RemoteId) -> Result<Option<RemoteListRow>> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM remote_list WHERE remote_id = ?1")?;
        let row = statement.query_row([remote], |row| {
            let taken = match (row.get("revision")?, row.get("digest")?, row.get("signer")?) {
                (Some(revision), Some(digest), Some(signer)) => Some(TakenList {
                    revision,
                    digest,
                    signer,
                    etag: row.get("etag")?,
                    last_modified: row.get("last_modified")?,
                }),
                _ => None,
            };
            Ok(RemoteListRow { asked_at: row.get("asked_at")?, refusal: row.get("refusal")?, taken })
        });
        Ok(row.optional()?)
    }

    /// Returns what the list that was taken last says of a file.
    pub fn remote_list_file(&self, remote: RemoteId, filename: &str) -> Result<Option<ListedFile>> {
        let sql = "SELECT * FROM remote_list_file WHERE remote_id = ?1 AND filename = ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let file = statement.query_row((remote, filename), |row| {
            Ok(ListedFile {
                filename: row.get("filename")?,
                sha256: row.get("sha256")?,
                size: row.get::<_, i64>("size")?.cast_unsigned(),
                yanked: row.get("yanked")?,
            })
        });
        Ok(file.optional()?)
    }

    /// Returns what the list that was taken last yanks, and why.
    pub fn remote_list_yanks(&self, remote: RemoteId) -> Result<HashMap<String, String>> {
        let sql = "SELECT filename, yanked FROM remote_list_file WHERE remote_id = ?1 AND yanked IS NOT NULL";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([remote], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Transaction<'_> {
    /// Records what is known of a remote's list.
    pub fn put_remote_list(&self, remote: RemoteId, row: &RemoteListRow) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO remote_list(remote_id, asked_at, refusal, revision, digest, signer, etag, last_modified)
             VALUES(:remote, :asked_at, :refusal, :revision, :digest, :signer, :etag, :last_modified)
             ON CONFLICT DO UPDATE SET asked_at = excluded.asked_at, refusal = excluded.refusal,
               revision = excluded.revision, digest = excluded.digest, signer = excluded.signer,
               etag = excluded.etag, last_modified = excluded.last_modified",
        )?;
        let taken = row.taken.as_ref();
        statement.execute(named_params! {
            ":remote": remote, ":asked_at": row.asked_at, ":refusal": row.refusal,
            ":revision": taken.map(|taken| taken.revision), ":digest": taken.map(|taken| taken.digest),
            ":signer": taken.map(|taken| &taken.signer), ":etag": taken.and_then(|taken| taken.etag.as_ref()),
            ":last_modified": taken.and_then(|taken| taken.last_modified.as_ref()),
        })?;
        Ok(())
    }

    /// Keeps a list's files in place of those of the one before.
    pub fn replace_remote_list_files(&self, remote: RemoteId, files: &[ListedFile]) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM remote_list_file WHERE remote_id = ?1")?.execute([remote])?;
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO remote_list_file(remote_id, filename, sha256, size, yanked) VALUES(?1, ?2, ?3, ?4, ?5)",
        )?;
        for file in files {
            statement.execute((remote, &file.filename, file.sha256, file.size.cast_signed(), &file.yanked))?;
        }
        Ok(())
    }

    /// Forgets a remote's list, and which one was taken last.
    pub fn forget_remote_list(&self, remote: RemoteId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM remote_list WHERE remote_id = ?1")?.execute([remote])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest, RemoteSettings};
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_list_is_replaced_whole_and_goes_with_its_remote() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest.sqlite"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let shared = transaction.insert_collection(&"shared".parse().unwrap(), 1).unwrap();
        let settings = RemoteSettings { url: "https://index.example/".to_owned(), ..RemoteSettings::default() };
        let id = transaction.insert_remote(&"one".parse().unwrap(), shared, &settings).unwrap();
        assert_eq!(transaction.remote_list(id).unwrap(), None);
        let taken = TakenList {
            revision: 41,
            digest: Sha256::of(b"text"),
            signer: "me".to_owned(),
            etag: Some("\"1\"".to_owned()),
            last_modified: None,
        };
        let good = RemoteListRow { asked_at: 7, refusal: None, taken: Some(taken) };
        let bad = RemoteListRow { asked_at: 8, refusal: Some("why".to_owned()), taken: None };
        for row in [bad, good] {
            transaction.put_remote_list(id, &row).unwrap();
            assert_eq!(transaction.remote_list(id).unwrap(), Some(row));
        }
        let file = |name: &str| ListedFile {
            filename: name.to_owned(),
            sha256: Sha256::of(name.as_bytes()),
            size: 3,
            yanked: Some(String::new()),
        };
        transaction.replace_remote_list_files(id, &[file("a"), file("b")]).unwrap();
        transaction.replace_remote_list_files(id, &[file("b"), file("c")]).unwrap();
        assert_eq!(transaction.remote_list_file(id, "a").unwrap(), None);
        assert_eq!(transaction.remote_list_file(id, "b").unwrap(), Some(file("b")));
        transaction.delete_remote(id).unwrap();
        assert_eq!(transaction.remote_list_file(id, "c").unwrap(), None);
        assert_eq!(transaction.remote_list(id).unwrap(), None);
    }
}
