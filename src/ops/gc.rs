//! `gc`: rules drop entries, history that nothing keeps is forgotten, and blobs without a reference are deleted.
//!
//! A dry run does the same in a transaction and rolls it back, so that it prints what the real run would do; on a store that was opened
//! to rehearse, that is a copy, and needs no rights. Safety never depends on the grace: it serves those who read an index and fetch later, and `undo`.

use super::invalidate::{RemovedEntry, remove};
use super::publisher;
use crate::blobs::{Blobs, Going};
use crate::catalog::at::collection_rows;
use crate::catalog::retention;
use crate::context::Context;
use crate::error::Result;
use crate::fs;
use crate::keep::deletion::end_deletion;
use crate::keep::evict::evict;
use crate::keep::snapshot;
use crate::keep::sweep::sweep;
use crate::manifest::{DroppedKept, Entry, Garbage, Retention, Scope, Transaction};
use crate::name::CollectionName;
use crate::share::Share;
use crate::store::Store;
use crate::words::reason;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How many blobs are deleted under one hold of `locks/reap`: under a second's work.
const BATCH: usize = 2048;
/// What `wcas run` made is forgotten when nobody asked for it in so many seconds; the files stay as long as their entries do.
const RUN_SECONDS: i64 = 90 * 86_400;
/// What webhooks were told is forgotten after so many seconds.
const DELIVERY_SECONDS: i64 = 30 * 86_400;
/// And how often files were downloaded on a day.
const DOWNLOAD_SECONDS: i64 = 400 * 86_400;
/// What remotes lack is forgotten after an hour, and what they had after 30 days in which nobody asked for it.
const ABSENT_SECONDS: i64 = 3600;
const PAGE_SECONDS: i64 = 30 * 86_400;

/// What `gc` is told.
#[derive(Debug, Clone)]
pub struct GcOptions {
    /// Change nothing, tell what would go.
    pub dry_run: bool,
    /// How long removed entries and blobs without a reference stay, in seconds.
    pub grace: i64,
    /// Rules for this run; where one is not given, each collection's own counts. `max_bytes` is for the whole store.
    pub rules: Retention,
    /// The collections whose rules are applied; all, when empty.
    pub collections: Vec<CollectionName>,
    /// Keep at most so many bytes in this folder of what the share has, too.
    pub cache_size: Option<u64>,
    /// Stop deleting after this time; the next run goes on.
    pub max_duration: Option<Duration>,
}

/// An entry that a rule removed.
#[derive(Debug, Clone, Serialize)]
pub struct RemovedReference {
    /// The collection.
    pub collection: CollectionName,
    /// The filename.
    pub filename: String,
    /// Which rule, and why.
    pub reason: String,
}

/// What `gc` did.
#[derive(Debug, Default, Serialize)]
pub struct GcReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The entries that rules removed from collections.
    pub references: Vec<RemovedReference>,
    /// Removed entries that can't be brought back any longer.
    pub forgotten: usize,
    /// Runs whose files are gone, or that nobody asked for in 90 days: the command runs again.
    pub forgotten_runs: usize,
    /// Pins that had expired.
    pub expired_pins: usize,
    /// How many blobs were deleted.
    pub blobs: usize,
    /// The bytes that this gave back to the disk.
    pub freed_bytes: u64,
    /// Bytes that stay on the disk, since hard links outside the store have them too.
    pub held_bytes: u64,
    /// How many objects of blobs that were deleted, by any node, went from the share's bucket.
    pub swept: usize,
    /// How many files went from this folder that the share has.
    pub evicted: usize,
    /// Their bytes.
    pub evicted_bytes: u64,
    /// Whether blobs are left for the next run.
    pub is_unfinished: bool,
    /// Who keeps the bytes of what rules or people dropped: trees and snapshots that show an older revision.
    pub kept: Vec<DroppedKept>,
    /// What went wrong or could not be reached.
    pub problems: Vec<String>,
}

/// Collects garbage.
pub fn gc(store: &Store, context: &Context<'_>, options: &GcOptions) -> Result<GcReport> {
    let started = Instant::now();
    let mut report = GcReport { dry_run: options.dry_run, ..GcReport::default() };
    store.require_writable()?;
    retention::refuse_nothing(options.rules.keep_builds, options.rules.keep_versions)?;
    if options.dry_run {
        let transaction = store.manifest.write()?;
        for session in store.abandoned_sessions()? {
            transaction.delete_session(&session)?;
        }
        let garbage = decide(&transaction, context, options, &mut report)?;
        drop(transaction);
        let blobs = &store.blobs;
        let rooms: Vec<_> = garbage.par_iter().map(|blob| room(blobs, blob)).collect::<Result<_>>()?;
        report.blobs = rooms.len();
        report.freed_bytes = rooms.iter().map(|(freed, _)| freed).sum();
        report.held_bytes = rooms.iter().map(|(_, held)| held).sum();
        return Ok(report);
    }
    // A node's own clock decides nothing for the others.
    let now = store.share().map_or(Ok(context.now), Share::time)?;
    let context = &Context { now, ..*context };
    let _lock = store.gc_lock()?;
    let gave = store.give_reserve()?;
    store.clear_sessions()?;
    let transaction = store.manifest.write()?;
    let garbage = decide(&transaction, context, options, &mut report)?;
    transaction.set_gc_at(context.now)?;
    transaction.commit()?;
    context.progress.start("collecting", garbage.len() as u64);
    for batch in garbage.chunks(BATCH) {
        if options.max_duration.is_some_and(|limit| started.elapsed() >= limit) {
            report.is_unfinished = true;
            break;
        }
        delete(store, batch, &mut report)?;
        context.progress.add(batch.len() as u64);
    }
    context.progress.finish();
    if report.blobs > 0 {
        sweep_sidecars(store)?;
    }
    if let Some(most) = options.cache_size {
        (report.evicted, report.evicted_bytes) = evict(store, most, context.now, &mut report.problems)?;
    }
    report.swept = sweep(store, context.now, options.grace)?;
    snapshot::refresh(store)?;
    store.blobs.mend_filenames(&store.manifest.all_filenames()?)?;
    store.manifest.compact(|bytes| fs::has_room(store.root(), bytes))?;
    store.manifest.tidy()?;
    if (gave || !store.has_reserve()) && !store.take_reserve() {
        report.problems.push("there is not enough room to set the reserve aside again".to_owned());
    }
    Ok(report)
}

/// Applies rules, forgets history, and returns the files and blobs that nothing refers to; all in the given transaction.
fn decide(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    options: &GcOptions,
    report: &mut GcReport,
) -> Result<Vec<Garbage>> {
    transaction.settle_times(context.now)?;
    report.expired_pins = transaction.delete_expired_pins(context.now)?;
    let removed = retain_all(transaction, context, options, report)?;
    if !removed.is_empty() {
        remove(transaction, context, "gc", "retention", &removed)?;
    }
    // Before any blob goes: a run must not lose one of its files and keep the others.
    report.forgotten_runs = transaction.forget_build_runs(context.now.saturating_sub(RUN_SECONDS))?;
    // Without a grace nothing is too young, whatever clock marked it.
    let before = if options.grace == 0 { i64::MAX } else { context.now.saturating_sub(options.grace) };
    let forgotten = transaction.prunable_entries(before)?;
    transaction.prune(&forgotten)?;
    forget_what_strangers_left(transaction, context.now, options.grace)?;
    report.forgotten = forgotten.len();
    report.kept = transaction.keepers_of_dropped()?;
    transaction.clear_marks()?;
    // What a gc that was killed had decided comes first: its rows say so durably.
    let mut garbage = transaction.deleting()?;
    garbage.extend(transaction.unwanted()?);
    // The manifest has no filenames of these, so that their links are looked for in each folder of a batch: those lie together.
    garbage.sort_unstable_by_key(|blob| blob.blake3);
    garbage.extend(transaction.garbage(before)?);
    Ok(garbage)
}

/// Forgets what grows with what strangers ask for: none of it is needed again, or it is asked for anew.
fn forget_what_strangers_left(transaction: &Transaction<'_>, now: i64, grace: i64) -> Result<()> {
    // What a remote lacks is believed for a minute.
    let absent = now.saturating_sub(grace.min(ABSENT_SECONDS)).saturating_add(i64::from(grace == 0));
    transaction.forget_old_pages(absent, now.saturating_sub(PAGE_SECONDS))?;
    transaction.forget_old_remote_metadata(now.saturating_sub(PAGE_SECONDS))?;
    publisher::forget_ended(transaction, now, 0)?;
    transaction.forget_deliveries(now.saturating_sub(DELIVERY_SECONDS))?;
    transaction.forget_downloads(now.saturating_sub(DOWNLOAD_SECONDS))?;
    transaction.forget_old_wants(now.saturating_sub(RUN_SECONDS))?;
    Ok(())
}

fn retain_all(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    options: &GcOptions,
    report: &mut GcReport,
) -> Result<Vec<RemovedEntry>> {
    let kept = transaction.kept_blobs(context.now)?;
    let (mut removed, mut left) = (Vec::new(), Vec::new());
    for row in collection_rows(transaction, &options.collections)? {
        let rules = Retention {
            keep_builds: options.rules.keep_builds.or(row.settings.retention.keep_builds),
            keep_versions: options.rules.keep_versions.or(row.settings.retention.keep_versions),
            unused_for: options.rules.unused_for.or(row.settings.retention.unused_for),
            max_bytes: row.settings.retention.max_bytes,
        };
        if rules == Retention::default() && options.rules.max_bytes.is_none() {
            continue;
        }
        let entries = transaction.entries(row.id, Scope::Live)?;
        let decisions = retention::plan(&entries, &rules, &kept, context.now);
        if let Some(max_bytes) = rules.max_bytes {
            let gone = decisions.iter().map(|(index, _)| *index).collect();
            let (_, beyond) = retention::beyond_bytes(&entries, max_bytes, &kept, &gone, context.now);
            report.tell_beyond(Some(&row.name), beyond, max_bytes);
        }
        take(entries, decisions, &mut removed, &mut left, report);
    }
    if let Some(max_bytes) = options.rules.max_bytes {
        let (decisions, beyond) = retention::beyond_bytes(&left, max_bytes, &kept, &HashSet::new(), context.now);
        let entries = std::mem::take(&mut left);
        take(entries, decisions, &mut removed, &mut left, report);
        report.tell_beyond(None, beyond, max_bytes);
    }
    removed.sort_by(|a, b| a.collection.cmp(&b.collection));
    Ok(removed)
}

impl GcReport {
    /// Tells of what a rule can't reach.
    fn tell_beyond(&mut self, collection: Option<&CollectionName>, beyond: u64, max_bytes: u64) {
        if beyond > 0 {
            let of = collection.map(|name| format!("{name}: ")).unwrap_or_default();
            self.problems.push(format!("{of}{beyond} bytes more than {max_bytes} are left: pins keep them"));
        }
    }
}

/// Moves entries to those that go, with their reasons reported, or to those that stay.
fn take(
    entries: Vec<Entry>,
    decisions: Vec<retention::Decision>,
    removed: &mut Vec<RemovedEntry>,
    left: &mut Vec<Entry>,
    report: &mut GcReport,
) {
    let mut reasons: std::collections::HashMap<usize, String> = decisions.into_iter().collect();
    for (index, entry) in entries.into_iter().enumerate() {
        match reasons.remove(&index) {
            Some(reason) => {
                report.references.push(RemovedReference {
                    collection: entry.collection.clone(),
                    filename: entry.filename.clone(),
                    reason,
                });
                removed.push(entry.into());
            }
            None => left.push(entry),
        }
    }
}

/// Deletes one batch: the blobs' rows, and their files `deleting`, in a transaction that itself checks the references; then names,
/// sync, the files' rows.
fn delete(store: &Store, batch: &[Garbage], report: &mut GcReport) -> Result<()> {
    let reap = store.blobs.reap()?;
    let transaction = store.manifest.write()?;
    // An import may have finished what a dead gc began, and brought the blob back since: the rows count, not the list.
    let mut filenames = transaction.filenames_of(batch.iter().map(|blob| blob.id))?;
    let buried = transaction.bury(batch.iter().map(|blob| blob.id))?;
    transaction.commit()?;
    let mut condemned: Vec<_> = batch.iter().filter(|blob| buried.contains(&blob.id)).collect();
    let blobs = &store.blobs;
    let going = condemned.iter().map(|blob| Going { blake3: blob.blake3, filenames: filenames.remove(&blob.id) });
    let failed = blobs.remove_links(&reap, &going.collect::<Vec<_>>())?;
    report.problems.extend(failed.iter().map(|(_, error)| reason(error)));
    condemned.retain(|blob| failed.iter().all(|(shard, _)| *shard != blob.blake3.as_bytes()[0]));
    let remove = |blob: &&Garbage| -> Result<(u64, u64)> {
        let room = room(blobs, blob)?;
        blobs.remove(&reap, &blob.blake3)?;
        Ok(room)
    };
    let removed: Vec<_> = condemned.par_iter().map(remove).collect();
    let mut gone = Vec::with_capacity(condemned.len());
    for (blob, removed) in condemned.into_iter().zip(removed) {
        match removed {
            Ok((freed, held)) => {
                report.freed_bytes += freed;
                report.held_bytes += held;
                gone.push(blob);
            }
            // Its row says `deleting` still: the next run tries again.
            Err(error) => report.problems.push(reason(&error)),
        }
    }
    end_deletion(store, gone.iter().map(|blob| (blob.id, &blob.blake3)))?;
    report.blobs += gone.len();
    Ok(())
}

/// Removes the `.metadata` files of distributions that are gone.
fn sweep_sidecars(store: &Store) -> Result<()> {
    for (path, sha256) in store.blobs.sidecars()? {
        let is_known = sha256.map(|sha256| store.manifest.has_metadata(&sha256)).transpose()?;
        if is_known != Some(true) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Returns the bytes that deleting a blob gives back, and those that stay since other hard links have them.
fn room(blobs: &Blobs, blob: &Garbage) -> Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Ok(match fs::entry(&blobs.path(&blob.blake3))? {
        Some(metadata) if metadata.is_file() && metadata.nlink() > 1 => (0, metadata.len()),
        Some(metadata) => (metadata.len(), 0),
        None => (0, 0),
    })
}
