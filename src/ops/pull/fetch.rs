//! Brings files of remotes into the store: one download for all who want a file, checked on the way, imported like any file.

use super::PullNote;
use super::moved::moved;
use crate::blobs::LinkMode;
use crate::error::Result;
use crate::fs::{Lock, Signature};
use crate::index::read::ListedFile;
use crate::manifest::{BlobId, Entry, Origin, RemoteOutcome, RemoteRow, State};
use crate::ops::healing::{Health, check};
use crate::ops::import::{ImportOptions, ImportedDistribution, Made, Source as ImportSource, Target, import};
use crate::ops::variant::{SearchOrder, Sense};
use crate::ops::{Context, reason};
use crate::remote::{Client, Failure, Moment, Source, Watch};
use crate::store::{Locks, Store};
use std::path::PathBuf;
use std::time::Instant;

/// A file to bring, and where from.
#[derive(Debug, Clone)]
pub(super) struct Task<'a> {
    pub(super) remote: &'a RemoteRow,
    pub(super) source: Source,
    pub(super) file: ListedFile,
}

/// A file that lies in staging, or in the store already, with the right that nobody else fetches it.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) milliseconds: u64,
    lock: Lock,
}

/// How a download ended, beside success.
#[derive(Debug)]
pub(super) enum Unfetched {
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
    ) -> std::result::Result<Lock, Unfetched> {
        match locks.pull(&self.key()) {
            Ok((lock, false)) => match is_there() {
                Ok(None) => Ok(lock),
                Ok(Some(_)) => Err(Unfetched::Elsewhere),
                Err(error) => Err(Unfetched::Store(error)),
            },
            Ok((_, true)) => Err(Unfetched::Elsewhere),
            Err(error) => Err(Unfetched::Store(error.into())),
        }
    }

    /// Downloads the file into a folder, unless it is there by the time that it's our turn. Many can run at a time.
    pub(super) fn download(
        &self,
        client: &Client,
        locks: &Locks,
        is_there: &dyn Fn() -> Result<Option<PathBuf>>,
        to: PathBuf,
        watch: Watch<'_>,
    ) -> std::result::Result<Fetched, Unfetched> {
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
                    Failure::Disk(error) => Unfetched::Store(error.into()),
                    failure => Unfetched::Failed(failure),
                })
            }
        }
    }

    /// Returns where the store has the file's bytes already: by digest, or under its name in the remote's collection.
    ///
    /// Who merely names a digest has not shown to have the bytes: they are given only to a collection whose readers may have them
    /// anyway, or where this very remote gave them before. Else the remote's own are fetched, and found to be the same.
    pub(super) fn known(&self, store: &Store) -> Result<Option<PathBuf>> {
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
        let is_good = row.state == State::Live && check(store, &row)? == Health::Good;
        Ok(is_good.then(|| store.blobs.path(&row.blake3)))
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
    pub(super) fn import_source(&self, path: PathBuf) -> Result<ImportSource> {
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
    pub(super) fn release(self) {
        let _ = self.lock.remove();
    }
}

/// Why a file of a remote is not in the collection that should have it.
#[derive(Debug)]
pub(super) enum Unbrought {
    /// The remote failed.
    Remote(Failure),
    /// It came, and the import refused it.
    Import(String),
}

impl Unbrought {
    /// Returns the reason as a text.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Remote(failure) => reason(failure),
            Self::Import(reason) => reason.clone(),
        }
    }
}

/// Returns what adds to a progress bar, from what a download tells: how much is there, which falls when a transfer starts over.
pub(super) fn added(add: &(dyn Fn(u64) + Sync)) -> impl Fn(Moment<'_>) -> std::result::Result<(), String> {
    let there = std::cell::Cell::new(0);
    move |moment| {
        if let Moment::Grown(bytes) = moment {
            add(bytes.saturating_sub(there.replace(bytes.max(there.get()))));
        }
        Ok(())
    }
}

/// Brings one file into a collection. The inner error is the reason why not.
pub(super) fn bring(
    store: &Store,
    context: &Context<'_>,
    client: &Client,
    task: &Task<'_>,
    target: &Target,
) -> Result<std::result::Result<ImportedDistribution, String>> {
    let add = |bytes| context.progress.add(bytes);
    let done = bring_watched(store, context, client, task, target, &added(&add))?;
    Ok(done.map_err(|unbrought| unbrought.reason()))
}

/// Brings one file into a collection, for somebody who reads it on the way. The inner error tells why not.
pub(super) fn bring_watched(
    store: &Store,
    context: &Context<'_>,
    client: &Client,
    task: &Task<'_>,
    target: &Target,
    watch: Watch<'_>,
) -> Result<std::result::Result<ImportedDistribution, Unbrought>> {
    let (mut task, mut is_again) = (task.clone(), false);
    loop {
        if let Some(path) = task.known(store)? {
            let imported = import_one(store, context, &task, path, LinkMode::Auto, target)?;
            count(store, context, task.remote, outcome_of(&imported), 0, 0);
            return Ok(imported.map_err(Unbrought::Import));
        }
        let scratch = store.scratch()?;
        context.progress.start(&format!("downloading {}", task.file.name.as_str()), task.file.size.unwrap_or(0));
        let done = task.download(client, &store.locks(), &|| task.known(store), scratch.dir().join("0"), watch);
        context.progress.finish();
        match done {
            Ok(fetched) => {
                let imported = import_one(store, context, &task, fetched.path.clone(), LinkMode::Move, target)?;
                count(store, context, task.remote, outcome_of(&imported), fetched.bytes, fetched.milliseconds);
                fetched.release();
                return Ok(imported.map_err(Unbrought::Import));
            }
            Err(Unfetched::Failed(failure)) => {
                if !is_again && let Some(found) = moved(store, context, client, &task, &failure) {
                    (task, is_again) = (found, true);
                    continue;
                }
                // What was declined here is no fault of the remote.
                if !matches!(failure, Failure::Declined { .. }) {
                    count_failure(store, context, &task, &reason(&failure));
                }
                return Ok(Err(Unbrought::Remote(failure)));
            }
            Err(Unfetched::Store(error)) => return Err(error),
            // Whoever fetched it has it in the store by now, or has failed: then it's our turn.
            Err(Unfetched::Elsewhere) => {}
        }
    }
}

fn outcome_of<T, E>(imported: &std::result::Result<T, E>) -> RemoteOutcome {
    if imported.is_ok() { RemoteOutcome::Hit } else { RemoteOutcome::Failure }
}

fn import_one(
    store: &Store,
    context: &Context<'_>,
    task: &Task<'_>,
    path: PathBuf,
    link: LinkMode,
    target: &Target,
) -> Result<std::result::Result<ImportedDistribution, String>> {
    let options = ImportOptions { target: target.clone(), link, keep_existing: true };
    let mut report = import(store, context, vec![task.import_source(path)?], &options)?;
    Ok(match (report.distributions.pop(), report.refused.pop()) {
        (Some(distribution), _) => Ok(distribution),
        (None, Some(refused)) => Err(refused.reason),
        (None, None) => Err("nothing was imported".to_owned()),
    })
}

/// Counts a remote's answer. A lookup is never held up or lost for the sake of a count.
pub(super) fn count(
    store: &Store,
    context: &Context<'_>,
    remote: &RemoteRow,
    outcome: RemoteOutcome,
    bytes: u64,
    milliseconds: u64,
) {
    if !store.is_writable() {
        return;
    }
    let _ = store.manifest.write_relaxed(|transaction| {
        transaction.add_remote_count(context.now, remote.name.as_str(), outcome, 1, bytes, milliseconds)
    });
}

/// Counts a file that a remote lists and doesn't give, and remembers why.
pub(super) fn count_failure(store: &Store, context: &Context<'_>, task: &Task<'_>, reason: &str) {
    if !store.is_writable() {
        return;
    }
    let (name, now) = (&task.remote.name, context.now);
    let text = format!("{}: {reason}", task.file.name.as_str());
    let _ = store.manifest.write_relaxed(|transaction| {
        transaction.set_remote_failure(task.remote.id, now, &text)?;
        transaction.add_remote_count(now, name.as_str(), RemoteOutcome::Failure, 1, 0, 0)
    });
}

/// Makes a note of what a remote said.
pub(super) fn note(remote: &RemoteRow, text: impl Into<String>) -> PullNote {
    PullNote::new(remote, text)
}
