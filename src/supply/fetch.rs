//! Brings files of remotes into the store: one download for all who want a file, checked on the way, imported like any file.

use super::PullNote;
use super::moved::moved;
use super::task::{DownloadFailure, Task};
use crate::blobs::LinkMode;
use crate::context::Context;
use crate::error::Result;
use crate::intake::{ImportOptions, ImportedDistribution, Target, import};
use crate::manifest::{RemoteCount, RemoteOutcome, RemoteRow};
use crate::meter;
use crate::remote::{Client, Failure, Moment, Watch};
use crate::store::Store;
use crate::wheel::Trust;
use crate::words::reason;
use std::path::PathBuf;

/// Why a file of a remote is not in the collection that should have it.
#[derive(Debug)]
pub(crate) enum PullFailure {
    /// The remote failed.
    Remote(Failure),
    /// It came, and the import refused it.
    Import(String),
}

impl PullFailure {
    /// Returns the reason as a text.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Remote(failure) => reason(failure),
            Self::Import(reason) => reason.clone(),
        }
    }
}

/// Shows how far a download has come: how much is there, which falls when a transfer starts over.
pub(crate) fn metered(moment: Moment<'_>) -> std::result::Result<(), String> {
    if let Moment::Grown(bytes) = moment {
        meter::reached(bytes);
    }
    Ok(())
}

/// Brings one file into a collection. The inner error is the reason why not.
pub(crate) fn bring(
    store: &Store,
    context: &Context<'_>,
    client: &Client,
    task: &Task<'_>,
    target: &Target,
) -> Result<std::result::Result<ImportedDistribution, String>> {
    let done = bring_watched(store, context, client, task, target, &metered)?;
    Ok(done.map_err(|unbrought| unbrought.reason()))
}

/// Brings one file into a collection, for somebody who reads it on the way. The inner error tells why not.
pub(crate) fn bring_watched(
    store: &Store,
    context: &Context<'_>,
    client: &Client,
    task: &Task<'_>,
    target: &Target,
    watch: Watch<'_>,
) -> Result<std::result::Result<ImportedDistribution, PullFailure>> {
    let (mut task, mut is_again) = (task.clone(), false);
    loop {
        if let Some(path) = task.known(store)? {
            let imported = import_one(store, context, &task, path, LinkMode::Auto, target)?;
            count(store, context, task.remote, outcome_of(&imported), 0, 0);
            return Ok(imported.map_err(PullFailure::Import));
        }
        let scratch = store.scratch()?;
        let (name, size) = (task.file.name.as_str(), task.file.size.unwrap_or(0));
        context.progress.start_files("downloading", 1, size);
        let to = scratch.dir().join("0");
        let download = || task.download(client, &store.locks(), &|| task.known(store), to, watch);
        let done = context.progress.on(name, size, download);
        context.progress.finish();
        match done {
            Ok(fetched) => {
                let imported = import_one(store, context, &task, fetched.path.clone(), LinkMode::Move, target)?;
                count(store, context, task.remote, outcome_of(&imported), fetched.bytes, fetched.milliseconds);
                fetched.release();
                return Ok(imported.map_err(PullFailure::Import));
            }
            Err(DownloadFailure::Failed(failure)) => {
                if !is_again && let Some(found) = moved(store, context, client, &task, &failure) {
                    (task, is_again) = (found, true);
                    continue;
                }
                // What was declined here is no fault of the remote.
                if !matches!(failure, Failure::Declined { .. }) {
                    count_failure(store, context, &task, &reason(&failure));
                }
                return Ok(Err(PullFailure::Remote(failure)));
            }
            Err(DownloadFailure::Store(error)) => return Err(error),
            // Whoever fetched it has it in the store by now, or has failed: then it's our turn.
            Err(DownloadFailure::Elsewhere) => {}
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
    let options = ImportOptions { target: target.clone(), link, keep_existing: true, trust: Trust::Neither };
    let mut report = import(store, context, vec![task.import_source(path)?], &options)?;
    Ok(match (report.distributions.pop(), report.refused.pop()) {
        (Some(distribution), _) => Ok(distribution),
        (None, Some(refused)) => Err(refused.reason),
        (None, None) => Err("nothing was imported".to_owned()),
    })
}

/// Counts a remote's answer. A lookup is never held up or lost for the sake of a count.
pub(crate) fn count(
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
    let count = RemoteCount { remote: remote.name.to_string(), outcome, count: 1, bytes, milliseconds };
    let _ = store.manifest.write_relaxed(|transaction| transaction.add_remote_count(context.now, &count));
}

/// Counts a file that a remote lists and doesn't give, and remembers why.
pub(crate) fn count_failure(store: &Store, context: &Context<'_>, task: &Task<'_>, reason: &str) {
    if !store.is_writable() {
        return;
    }
    let (remote, now) = (task.remote.name.to_string(), context.now);
    let count = RemoteCount { remote, outcome: RemoteOutcome::Failure, count: 1, bytes: 0, milliseconds: 0 };
    let text = format!("{}: {reason}", task.file.name.as_str());
    let _ = store.manifest.write_relaxed(|transaction| {
        transaction.set_remote_failure(task.remote.id, now, &text)?;
        transaction.add_remote_count(now, &count)
    });
}

/// Makes a note of what a remote said.
pub(crate) fn note(remote: &RemoteRow, text: impl Into<String>) -> PullNote {
    PullNote::new(remote, text)
}
