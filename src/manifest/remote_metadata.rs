//! METADATA of remotes' files that are not in the store yet: a page announces its digest, and a client gets these very bytes. It is
//! what one remote tells: another one that names the same file may lie about it.

use super::{RemoteId, Result, Rows, Transaction};
use crate::digest::Sha256;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use rusqlite::OptionalExtension;
use rusqlite::types::Type;
use std::io::Read;

impl Rows {
    /// Returns the digest of the METADATA that is kept of a remote's file.
    pub fn remote_metadata_digest(&self, remote: RemoteId, file: &Sha256) -> Result<Option<Sha256>> {
        let sql = "SELECT metadata_sha256 FROM remote_metadata WHERE remote_id = ?1 AND file_sha256 = ?2";
        Ok(self.conn.prepare_cached(sql)?.query_row((remote, file), |row| row.get(0)).optional()?)
    }

    /// Tells whether METADATA of a file is kept, whichever remote told it.
    pub fn has_remote_metadata(&self, file: &Sha256) -> Result<bool> {
        let sql = "SELECT 1 FROM remote_metadata WHERE file_sha256 = ?1";
        Ok(self.conn.prepare_cached(sql)?.exists([file])?)
    }

    /// Returns the METADATA that is kept of a remote's file.
    pub fn remote_metadata(&self, remote: RemoteId, file: &Sha256) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT bytes FROM remote_metadata WHERE remote_id = ?1 AND file_sha256 = ?2";
        let mut statement = self.conn.prepare_cached(sql)?;
        let bytes = statement.query_row((remote, file), |row| {
            let mut bytes = Vec::new();
            DeflateDecoder::new(row.get_ref(0)?.as_blob()?)
                .read_to_end(&mut bytes)
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(error)))?;
            Ok(bytes)
        });
        Ok(bytes.optional()?)
    }
}

impl Transaction<'_> {
    /// Keeps the METADATA of a remote's file.
    pub fn put_remote_metadata(&self, remote: RemoteId, file: &Sha256, bytes: &[u8], now: i64) -> Result<()> {
        let mut deflated = Vec::new();
        // Memory to memory: nothing can fail.
        DeflateEncoder::new(bytes, Compression::fast()).read_to_end(&mut deflated).expect("memory can be read");
        let mut statement = self.conn.prepare_cached(
            "INSERT OR REPLACE INTO remote_metadata(remote_id, file_sha256, metadata_sha256, fetched_at, bytes)
             VALUES(?1, ?2, ?3, ?4, ?5)",
        )?;
        statement.execute((remote, file, Sha256::of(bytes), now, deflated))?;
        Ok(())
    }

    /// Forgets the METADATA of a remote's file, which is in the store now.
    pub fn forget_remote_metadata(&self, file: &Sha256) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM remote_metadata WHERE file_sha256 = ?1")?.execute([file])?;
        Ok(())
    }

    /// Forgets all METADATA that a remote told.
    pub fn forget_metadata_of_remote(&self, remote: RemoteId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM remote_metadata WHERE remote_id = ?1")?.execute([remote])?;
        Ok(())
    }

    /// Forgets the METADATA that came before a time. Returns of how many files.
    pub fn forget_old_remote_metadata(&self, before: i64) -> Result<usize> {
        Ok(self.conn.prepare_cached("DELETE FROM remote_metadata WHERE fetched_at < ?1")?.execute([before])?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest, RemoteSettings};
    use super::*;
    use std::time::Duration;

    #[test]
    fn metadata_of_a_remotes_file_comes_back_to_the_byte() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest.sqlite"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let shared = transaction.insert_collection(&"shared".parse().unwrap(), 1).unwrap();
        let settings = RemoteSettings { url: "https://index.example/".to_owned(), ..RemoteSettings::default() };
        let remote = |name: &str| transaction.insert_remote(&name.parse().unwrap(), shared, &settings).unwrap();
        let (one, two) = (remote("one"), remote("two"));
        let (file, other, bytes) = (Sha256::of(b"a wheel"), Sha256::of(b"another"), b"Metadata-Version: 2.1\n\xff");
        assert_eq!(transaction.remote_metadata(one, &file).unwrap(), None);
        transaction.put_remote_metadata(one, &file, bytes, 10).unwrap();
        transaction.put_remote_metadata(two, &file, b"a lie", 10).unwrap();
        transaction.put_remote_metadata(one, &other, b"", 20).unwrap();
        assert_eq!(transaction.remote_metadata(one, &file).unwrap().as_deref(), Some(bytes.as_slice()));
        assert_eq!(transaction.remote_metadata_digest(one, &file).unwrap(), Some(Sha256::of(bytes)));
        assert_eq!(transaction.remote_metadata(one, &other).unwrap(), Some(Vec::new()));
        transaction.delete_remote(two).unwrap();
        assert_eq!(transaction.remote_metadata(two, &file).unwrap(), None, "it goes with its remote");
        assert_eq!(transaction.forget_old_remote_metadata(20).unwrap(), 1);
        assert!(!transaction.has_remote_metadata(&file).unwrap() && transaction.has_remote_metadata(&other).unwrap());
        transaction.forget_remote_metadata(&other).unwrap();
        assert_eq!(transaction.remote_metadata_digest(one, &other).unwrap(), None);
    }
}
