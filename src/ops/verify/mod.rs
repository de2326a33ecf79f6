//! `verify`: every blob's bytes against its name; `--repair`: right bytes from elsewhere in the place of wrong ones.
//!
//! Bytes are read, never mapped, by as many threads as asked for, the least recently verified first. A mismatch is read once more
//! from the medium. What is bad is marked lost and moved to quarantine, so that no link leads to it; nothing is destroyed. Trees on disk
//! are looked at, too: whether all that was made of them stands.

mod bucket;
mod mend;
mod read;
mod trees;

pub use bucket::{BucketOptions, BucketProblem, BucketReport, verify_bucket};
pub use trees::DamagedTree;

use crate::blobs::Found;
use crate::context::Context;
use crate::digest::Blake3;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::Signature;
use crate::manifest::BlobRow;
use crate::name::CollectionName;
use crate::ops::members::{self, DamagedDistribution};
use crate::parallel;
use crate::store::Store;
use crate::words::reason;
use mend::{problem, rewrite_sidecars};
use read::{Look, Pace, Reader};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Marks are written after this many blobs or this time, whichever is first: an interrupted run loses no more.
const CHECKPOINT: (usize, Duration) = (1000, Duration::from_secs(30));

/// What `verify` is told.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Threads; 0: as many as the context has jobs.
    pub threads: usize,
    /// Only look at stats, and read what looks changed.
    pub quick: bool,
    /// Leave out what was verified less than this many seconds ago.
    pub max_age: Option<i64>,
    /// Start no blob after this time.
    pub max_duration: Option<Duration>,
    /// Read at most so many bytes a second, all threads together.
    pub rate: Option<u64>,
    /// Put right bytes in the place of wrong ones, where there are any.
    pub repair: bool,
    /// Look into good blobs, too: whether their members have the bytes that they say.
    pub deep: bool,
}

/// What is wrong with a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProblemKind {
    /// Its bytes are others.
    Corrupt,
    /// It has no file.
    Missing,
    /// Its file can't be read.
    Unreadable,
    /// Its bytes are right, and its row says another SHA-256 digest or size.
    Row,
}

/// A bad blob.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// The blob.
    pub blake3: Blake3,
    /// Where it should be.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub path: PathBuf,
    /// The filenames that it has.
    pub filenames: Vec<String>,
    /// The collections that list it now.
    pub collections: Vec<CollectionName>,
    /// More about it: the digest that was found, the error.
    pub detail: String,
    /// Where the wrong bytes are now.
    #[serde(serialize_with = "crate::fs::text::path_or_none")]
    pub quarantine: Option<PathBuf>,
    /// Whether right bytes are in its place again.
    pub repaired: bool,
}

/// What `verify` found.
#[derive(Debug, Default, Serialize)]
pub struct VerifyReport {
    /// How many blobs were looked at.
    pub checked: usize,
    /// How many bytes were read.
    pub bytes: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// The distributions whose bytes are those that came, and whose members are not what they say.
    pub damaged: Vec<DamagedDistribution>,
    /// The trees on disk that aren't as they were made.
    pub trees: Vec<DamagedTree>,
    /// How many `.metadata` files had wrong bytes and were made again from the manifest.
    pub sidecars_rewritten: usize,
    /// How many blobs are left for the next run, since the time was over, or no handle could be had to read them.
    pub left: usize,
    /// What went wrong that is no blob's fault: what was found could not be recorded, or not all be read.
    pub failures: Vec<String>,
    /// Seconds that it took.
    pub seconds: f64,
}

impl VerifyReport {
    /// Tells whether all is right now, and could be looked at and recorded.
    pub fn is_good(&self) -> bool {
        self.failures.is_empty()
            && self.damaged.is_empty()
            && self.problems.iter().all(|problem| problem.repaired)
            && self.trees.iter().all(|tree| tree.repaired)
    }

    /// Tells of a failure; of many alike the first.
    fn fail(&mut self, what: &str, why: &str) {
        if !self.failures.iter().any(|told| told.starts_with(what)) {
            self.failures.push(format!("{what}: {why}"));
        }
    }
}

/// Verifies the store's blobs.
pub fn verify(store: &Store, context: &Context<'_>, options: &VerifyOptions) -> Result<VerifyReport> {
    let started = Instant::now();
    let before = options.max_age.map(|age| context.now.saturating_sub(age));
    let mut rows = store.manifest.blobs_to_verify(before, context.now)?;
    if options.max_duration.is_none() {
        // All will be read: the largest first, so that no thread ends up alone with a long one.
        rows.sort_by_key(|row| std::cmp::Reverse(row.size));
    }
    let threads = if options.threads == 0 { context.jobs } else { options.threads }.clamp(1, rows.len().max(1));
    context.progress.start_files("verifying", rows.len() as u64, rows.iter().map(|row| row.size).sum());
    let mut report = VerifyReport::default();
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let reader =
        Reader { blobs: &store.blobs, rows: &rows, quick: options.quick, pace: Pace::new(options.rate, started) };
    let named = store.manifest.named(&rows);
    let (sender, receiver) = mpsc::channel();
    let work = |sender: mpsc::Sender<(usize, Look)>| {
        loop {
            let is_over = options.max_duration.is_some_and(|limit| started.elapsed() >= limit);
            let index = next.fetch_add(1, Ordering::Relaxed);
            if is_over || index >= reader.rows.len() || stop.load(Ordering::Relaxed) {
                return;
            }
            let (row, name) = &named[index];
            let look = context.progress.on(name, row.size, || reader.look(index, threads));
            if sender.send((index, look)).is_err() {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        let work = &work;
        let begun = (0..threads).map_while(|_| {
            let sender = sender.clone();
            parallel::spawn(scope, move || work(sender))
        });
        if begun.count() == 0 {
            work(sender.clone());
        }
        drop(sender);
        collect(store, context, options, &rows, &receiver, &mut report);
        stop.store(true, Ordering::Relaxed);
    });
    if !options.quick && options.max_duration.is_none() {
        match rewrite_sidecars(store) {
            Ok(count) => report.sidecars_rewritten = count,
            Err(error) => report.fail("the .metadata files could not be looked at", &reason(&error)),
        }
    }
    context.progress.finish();
    if options.deep {
        match members::damaged(store, context, &rows, options.max_duration.map(|limit| (started, limit))) {
            Ok(damaged) => report.damaged = damaged,
            Err(error) => report.fail("not all distributions could be looked into", &reason(&error)),
        }
    }
    if options.max_duration.is_none_or(|limit| started.elapsed() < limit)
        && let Err(error) = trees::look(store, context, options.repair, &mut report)
    {
        report.fail("not all trees could be looked at", &reason(&error));
    }
    report.bytes = reader.pace.bytes();
    report.left = rows.len() - report.checked;
    report.problems.sort_by(|a, b| (a.kind, &a.filenames, a.blake3).cmp(&(b.kind, &b.filenames, b.blake3)));
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Takes what the threads found: marks what is good, batch by batch, and deals with what is bad.
fn collect(
    store: &Store,
    context: &Context<'_>,
    options: &VerifyOptions,
    rows: &[BlobRow],
    looks: &mpsc::Receiver<(usize, Look)>,
    report: &mut VerifyReport,
) {
    let mut marks = Vec::new();
    let mut marked = Instant::now();
    let mut is_held = false;
    for (index, look) in looks {
        let row = &rows[index];
        report.checked += usize::from(!matches!(look, Look::Failed(_)));
        match look {
            Look::Failed(why) => report.fail("not all blobs could be read", &why),
            Look::Good { found, was_read } => {
                // What wasn't read is live, and has the stat that was recorded.
                if was_read {
                    marks.push((row, found));
                }
            }
            Look::Bad(bad) => {
                let failed = (bad.kind, bad.detail.clone());
                let dealt = if is_held { Err(held()) } else { problem(store, context, row, bad, options.repair) };
                match dealt {
                    // gc may have deleted it since the list was made: then nothing is wrong.
                    Ok(found) => report.problems.extend(found),
                    // One blob that can't be dealt with doesn't end the run for all others.
                    Err(error) => {
                        is_held |= error.kind() == ErrorKind::Busy;
                        report.problems.push(undealt(store, row, failed, &error));
                    }
                }
            }
        }
        if marks.len() >= CHECKPOINT.0 || marked.elapsed() >= CHECKPOINT.1 {
            mark(store, context, &mut marks, report);
            marked = Instant::now();
        }
    }
    mark(store, context, &mut marks, report);
}

/// Who holds a lock for longer than is waited for once isn't waited for at each bad blob.
fn held() -> Error {
    Error::Refused("the lock that was waited for in vain before is needed for this one, too".to_owned())
}

/// Tells of a bad blob that could not be dealt with.
fn undealt(store: &Store, row: &BlobRow, (kind, detail): (ProblemKind, String), error: &Error) -> Problem {
    Problem {
        kind,
        blake3: row.blake3,
        path: store.blobs.path(&row.blake3),
        filenames: store.manifest.filenames(row.id).unwrap_or_default(),
        collections: Vec::new(),
        detail: format!("{detail}; and then: {}", reason(error)),
        quarantine: None,
        repaired: false,
    }
}

/// Records which blobs are good. That it can't be recorded is told, and takes nothing from what was found.
fn mark(store: &Store, context: &Context<'_>, marks: &mut Vec<(&BlobRow, Signature)>, report: &mut VerifyReport) {
    if marks.is_empty() || !store.is_writable() {
        return marks.clear();
    }
    let record = || -> Result<()> {
        let transaction = store.manifest.write()?;
        for (row, found) in marks.iter() {
            // A node may have let go of the file since it was read, and of its row, which would come back without it.
            if matches!(store.blobs.find(&row.blake3)?, Found::File(now) if now.inode == found.inode) {
                transaction.set_verified(row.id, row.epoch, found, context.now)?;
            }
        }
        Ok(transaction.commit()?)
    };
    if let Err(error) = record() {
        report.fail("what was verified could not be recorded", &reason(&error));
    }
    marks.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digests;

    #[test]
    fn what_was_let_go_of_while_it_was_read_gets_no_row() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        Store::create(&root, None).unwrap();
        let store = Store::open(&root).unwrap();
        let digests = Digests::of(b"bytes");
        let path = store.blobs.path(&digests.blake3);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"bytes").unwrap();
        let found = Signature::of(&path.metadata().unwrap());
        let transaction = store.manifest.write().unwrap();
        let mut row = transaction.insert_file(&digests, 5, 1).unwrap().unwrap();
        row.generation = Some("1".to_owned());
        transaction.insert_blob(&row).unwrap();
        assert!(transaction.set_live(row.id, row.epoch, &found).unwrap());
        transaction.commit().unwrap();
        let context = Context { now: 2, who: "test", jobs: 1, progress: &(), client: None };
        let mut report = VerifyReport::default();
        mark(&store, &context, &mut vec![(&row, found)], &mut report);
        assert_eq!(store.manifest.state(row.id).unwrap(), Some(crate::manifest::State::Live));
        let transaction = store.manifest.write().unwrap();
        assert_eq!(transaction.evict([row.id].into_iter()).unwrap().len(), 1);
        transaction.delete_files([row.id].into_iter()).unwrap();
        transaction.commit().unwrap();
        std::fs::remove_file(&path).unwrap();
        mark(&store, &context, &mut vec![(&row, found)], &mut report);
        assert_eq!(store.manifest.state(row.id).unwrap(), None);
    }
}
