//! One file of a remote on its way: where it comes from, and the right to fetch it.

use crate::catalog::search_order::{SearchOrder, Sense};
use crate::error::Result;
use crate::fs::{Lock, Signature};
use crate::index::read::ListedFile;
use crate::intake::{Made, Source as ImportSource};
use crate::keep::health::is_usable;
use crate::manifest::{BlobId, Entry, Origin, RemoteRow};
use crate::remote::{Client, Failure, Source, Watch};
use crate::store::{Locks, Store};
use std::path::PathBuf;
use std::time::Instant;

/// A file to bring, and where from.
#[derive(Debug, Clone)]
pub(crate) struct Task<'a> {
    pub(crate) remote: &'a RemoteRow,
    pub(crate) source: Source,
    pub(crate) file: ListedFile,
}

/// A file that lies in staging, or in the store already, with the right that nobody else fetches it.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) milliseconds: u64,
    lock: Lock,
}

/// How a download ended, beside success.
#[derive(Debug)]
pub(crate) enum DownloadFailure {
    /// Somebody else was fetching the file: look into the store again.
    Elsewhere,
    /// The remote failed.
    Failed(Failure),
    /// The store's disk did.
    Store(crate::Error),
}

impl Task<'_> {
    /// What names the file among all remotes: its digest, else its place.
    fn key(&self) -> String {
        self.file.sha256.map_or_else(|| self.file.url.to_string(), |digest| digest.to_string())
    }

    /// Takes the lock of the file; an error tells that somebody had it, or has brought the file meanwhile.
    fn lock(
        &self,
        locks: &Locks,
        is_there: &dyn Fn() -> Result<Option<PathBuf>>,
    ) -> std::result::Result<Lock, DownloadFailure> {
        match locks.pull(&self.key()) {
            Ok((lock, false)) => match is_there() {
                Ok(None) => Ok(lock),
                Ok(Some(_)) => Err(DownloadFailure::Elsewhere),
                Err(error) => Err(DownloadFailure::Store(error)),
            },
            Ok((_, true)) => Err(DownloadFailure::Elsewhere),
            Err(error) => Err(DownloadFailure::Store(error.into())),
        }
    }

    /// Downloads the file into a folder, unless it is there by the time that it's our turn. Many can run at a time.
    pub(crate) fn download(
        &self,
        client: &Client,
        locks: &Locks,
        is_there: &dyn Fn() -> Result<Option<PathBuf>>,
        to: PathBuf,
        watch: Watch<'_>,
    ) -> std::result::Result<Fetched, DownloadFailure> {
        let lock = self.lock(locks, is_there)?;
        let start = Instant::now();
        let done = client.download_watched(&self.source, &self.file, &to, watch);
        let milliseconds = start.elapsed().as_millis() as u64;
        match done {
            Ok(downloaded) => Ok(Fetched { path: to, bytes: downloaded.size, milliseconds, lock }),
            Err(failure) => {
                // A lock's file that stays behind does no harm.
                let _ = lock.remove();
                Err(match failure {
                    Failure::Disk(error) => DownloadFailure::Store(error.into()),
                    failure => DownloadFailure::Failed(failure),
                })
            }
        }
    }

    /// Returns where the store has the file's bytes already: by digest, or under its name in the remote's collection.
    ///
    /// Who merely names a digest has not shown to have the bytes: they are given only to a collection whose readers may have them
    /// anyway, or where this very remote gave them before. Else the remote's own are fetched, and found to be the same.
    pub(crate) fn known(&self, store: &Store) -> Result<Option<PathBuf>> {
        let row = match &self.file.sha256 {
            Some(sha256) => store.manifest.find_blob_by_sha256(sha256)?,
            None => match store.manifest.find_entry(self.remote.collection, self.file.name.as_str())? {
                Some(entry) => store.manifest.blob(entry.blob)?,
                None => None,
            },
        };
        let Some(row) = row else { return Ok(None) };
        if !self.may_share(store, row.id)? {
            return Ok(None);
        }
        Ok(is_usable(store, &row)?.then(|| store.blobs.path(&row.blake3)))
    }

    fn may_share(&self, store: &Store, blob: BlobId) -> Result<bool> {
        let rows = &store.manifest;
        let entries = rows.blob_entries(blob)?;
        let remote = self.remote.name.as_str();
        let is_own = |entry: &Entry| {
            entry.collection == self.remote.collection_name
                || entry.origin.as_ref().is_some_and(|origin| origin.remote == remote)
        };
        if entries.iter().any(is_own) {
            return Ok(true);
        }
        let Some(order) = SearchOrder::of_name(rows, &self.remote.collection_name, Sense::Known)? else {
            return Ok(false);
        };
        let is_seen = |entry: &Entry| order.base().iter().any(|row| row.name == entry.collection);
        Ok(entries.iter().any(|entry| entry.removed.is_none() && is_seen(entry)))
    }

    /// Returns what `import` needs to know of the file's bytes at a path.
    pub(crate) fn import_source(&self, path: PathBuf) -> Result<ImportSource> {
        let metadata = std::fs::metadata(&path).map_err(crate::fs::Error::at("look at", &path))?;
        let mut url = self.file.url.clone();
        // What can be a secret is not kept: userinfo, and the signatures of presigned URLs.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        url.set_query(None);
        Ok(ImportSource {
            filename: self.file.name.as_str().to_owned(),
            signature: Signature::of(&metadata),
            path,
            origin: Some(Origin {
                remote: self.remote.name.to_string(),
                url: url.to_string(),
                uploaded_at: self.file.uploaded_at,
                is_unhashed: !self.file.is_vouched(),
                provenance: self.file.provenance.clone(),
            }),
            yanked: self.file.yanked.clone(),
            made: Made::default(),
        })
    }
}

impl Fetched {
    /// Lets others have the file: it is in the store, or never will be.
    pub(crate) fn release(self) {
        let _ = self.lock.remove();
    }
}
