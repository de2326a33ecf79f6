//! `push`: what was built here goes to remotes of our own, from a queue that imports fill.
//!
//! An import queues in its own transaction and sends nothing, so that no build waits for another machine or fails with it. Whoever
//! runs `push` sends, and a server does by itself. A file leaves the queue when the remote has it, or when nobody wants it there any
//! more; a process that ends before it could say so sends it again, and "it is there" counts as sent. Nothing is ever sent to a
//! stranger's remote, and nothing that came from a remote.

mod address;
mod dialect;
mod form;
mod queue;
mod send;

pub(crate) use address::upload_url;
pub use queue::{WriteBackReport, waiting};

use crate::context::Context;
use crate::digest::Sha256;
use crate::error::Result;
use crate::manifest::{Entry, RemoteRow, Transaction, WaitingRow};
use crate::name::{CollectionName, RemoteName};
use crate::requirement::Spec;
use crate::store::Store;
use send::{Fate, Sending};
use serde::Serialize;

/// What a remote refused so often is not tried again by itself.
const MAX_REFUSALS: u32 = 3;
/// After so many failures in a row a remote is left alone for the rest of the run.
const MAX_FAILURES: usize = 3;

/// What is sent beside what waits already.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The collection that it is in; `None`: each remote's own.
    pub collection: Option<CollectionName>,
    /// What of it; nothing: all.
    pub specs: Vec<Spec>,
}

/// What `push` is told.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    /// The remotes; none: all that are written back to.
    pub remotes: Vec<RemoteName>,
    /// What is put into the queue first.
    pub selection: Option<Selection>,
    /// Also what was refused too often.
    pub retries: bool,
    /// What was refused too often leaves the queue, instead.
    pub forgets: bool,
    /// Send nothing, and change nothing.
    pub is_dry_run: bool,
}

/// A file that a remote has now.
#[derive(Debug, Clone, Serialize)]
pub struct Pushed {
    /// The filename.
    pub filename: String,
    /// The remote.
    pub remote: RemoteName,
    /// The digest of its bytes.
    pub sha256: Sha256,
    /// The number of them.
    pub size: u64,
}

impl Pushed {
    fn new(remote: &RemoteRow, entry: Entry) -> Self {
        Self { filename: entry.filename, remote: remote.name.clone(), sha256: entry.sha256, size: entry.size }
    }
}

/// A file that a remote didn't take.
#[derive(Debug, Clone, Serialize)]
pub struct FailedPush {
    /// The filename.
    pub filename: String,
    /// The remote.
    pub remote: RemoteName,
    /// Why.
    pub reason: String,
    /// Whether it is not tried again by itself.
    pub is_given_up: bool,
}

/// A file that is not sent, or no longer waits.
#[derive(Debug, Clone, Serialize)]
pub struct Withheld {
    /// The filename.
    pub filename: String,
    /// The remote.
    pub remote: RemoteName,
    /// Why.
    pub reason: String,
}

/// A remote that was left alone.
#[derive(Debug, Clone, Serialize)]
pub struct LeftAlone {
    /// The remote.
    pub remote: RemoteName,
    /// Why.
    pub reason: String,
}

/// What `push` did; of a dry run, what it would send.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PushReport {
    /// Whether nothing was sent.
    pub dry_run: bool,
    /// What was sent.
    pub sent: Vec<Pushed>,
    /// What was there already.
    pub there: Vec<Pushed>,
    /// What wasn't taken.
    pub failed: Vec<FailedPush>,
    /// What isn't sent, or not any more.
    pub withheld: Vec<Withheld>,
    /// Remotes to which not all was sent that could have been.
    pub left_alone: Vec<LeftAlone>,
    /// How many files still wait for these remotes, those that are given up as well.
    pub left: u64,
    /// How many of them are given up.
    pub given_up: u64,
}

/// Sends what waits for remotes.
pub fn push(store: &Store, context: &Context<'_>, options: &PushOptions) -> Result<PushReport> {
    store.require_writable()?;
    let remotes = queue::receivers(&store.manifest, options)?;
    let mut report = PushReport { dry_run: options.is_dry_run, ..PushReport::default() };
    if options.is_dry_run || options.retries || options.forgets || options.selection.is_some() {
        let transaction = store.manifest.write()?;
        prepare(&transaction, context, &remotes, options, &mut report)?;
        if options.is_dry_run {
            // The real thing up to here, and rolled back: what waits now is what would be sent.
            remotes.iter().try_for_each(|remote| would_send(store, remote, &mut report))?;
            return Ok(report);
        }
        transaction.commit()?;
    }
    for remote in &remotes {
        send_all(store, context, remote, &mut report)?;
    }
    for (name, waits) in waiting(&store.manifest)? {
        if remotes.iter().any(|remote| remote.name == name) {
            report.left += waits.waiting;
            report.given_up += waits.given_up;
        }
    }
    Ok(report)
}

/// Changes the queue as was asked for.
fn prepare(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    remotes: &[RemoteRow],
    options: &PushOptions,
    report: &mut PushReport,
) -> Result<()> {
    for remote in remotes {
        if options.forgets {
            transaction.clear_waiting(remote.id, MAX_REFUSALS)?;
        }
        if options.retries {
            transaction.forget_waiting_refusals(remote.id)?;
        }
        if let Some(selection) = &options.selection {
            report.withheld.extend(queue::select(transaction, remote, selection, context.now)?);
        }
    }
    Ok(())
}

/// Tells what would be sent to a remote.
fn would_send(store: &Store, remote: &RemoteRow, report: &mut PushReport) -> Result<()> {
    for row in store.manifest.waiting(remote.id)? {
        report.left += 1;
        if row.refusals >= MAX_REFUSALS {
            report.given_up += 1;
            continue;
        }
        match send::wanted(store, remote, &row)? {
            Ok(entry) => report.sent.push(Pushed::new(remote, entry)),
            Err(reason) => {
                report.withheld.push(Withheld { filename: row.filename, remote: remote.name.clone(), reason });
            }
        }
    }
    Ok(())
}

/// Sends all that waits for a remote, until it fails too often in a row.
fn send_all(store: &Store, context: &Context<'_>, remote: &RemoteRow, report: &mut PushReport) -> Result<()> {
    if due(store, remote)?.is_empty() {
        return Ok(());
    }
    let mut leave = |reason: String| report.left_alone.push(LeftAlone { remote: remote.name.clone(), reason });
    let Some(_lock) = store.locks().push(&remote.name)? else {
        leave("another process is sending to it".to_owned());
        return Ok(());
    };
    let mut sending = match Sending::to(store, context, remote) {
        Ok(sending) => sending,
        Err(reason) => {
            leave(reason);
            return Ok(());
        }
    };
    let mut failures = 0;
    // Asked again under the lock: whoever had it may have sent some of them.
    let waiting = due(store, remote)?;
    let sizes = waiting.iter().map(|row| Ok(store.manifest.blob(row.blob)?.map_or(0, |blob| blob.size)));
    let sizes = sizes.collect::<Result<Vec<u64>>>()?;
    context.progress.start_files("sending", waiting.len() as u64, sizes.iter().sum());
    for (row, size) in waiting.into_iter().zip(sizes) {
        let fate = context.progress.on(&row.filename, size, || sending.send(&row))?;
        failures = if settle(store, context, remote, &row, fate, report)? { failures + 1 } else { 0 };
        if failures == MAX_FAILURES {
            let reason = format!("it failed {MAX_FAILURES} times in a row, and the rest waits");
            report.left_alone.push(LeftAlone { remote: remote.name.clone(), reason });
            break;
        }
    }
    context.progress.finish();
    Ok(())
}

/// Returns what waits for a remote and isn't given up.
fn due(store: &Store, remote: &RemoteRow) -> Result<Vec<WaitingRow>> {
    let mut rows = store.manifest.waiting(remote.id)?;
    rows.retain(|row| row.refusals < MAX_REFUSALS);
    Ok(rows)
}

/// Records what became of a file. Tells whether the remote failed, which it may do at the next one, too.
fn settle(
    store: &Store,
    context: &Context<'_>,
    remote: &RemoteRow,
    row: &WaitingRow,
    fate: Fate,
    report: &mut PushReport,
) -> Result<bool> {
    let transaction = store.manifest.write()?;
    let (filename, name) = (row.filename.clone(), remote.name.clone());
    let mut is_down = false;
    match fate {
        Fate::Failed { reason, refusals } => {
            transaction.set_waiting_failure(remote.id, row, context.now, refusals, &reason)?;
            is_down = refusals == 0;
            let is_given_up = row.refusals + refusals >= MAX_REFUSALS;
            report.failed.push(FailedPush { filename, remote: name, reason, is_given_up });
        }
        done => {
            transaction.delete_waiting(remote.id, row)?;
            match done {
                Fate::Sent(entry) => report.sent.push(Pushed::new(remote, *entry)),
                Fate::There(entry) => report.there.push(Pushed::new(remote, *entry)),
                Fate::Unwanted(reason) | Fate::Failed { reason, .. } => {
                    report.withheld.push(Withheld { filename, remote: name, reason });
                }
            }
        }
    }
    transaction.commit()?;
    Ok(is_down)
}
