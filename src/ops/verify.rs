//! `verify`: every blob's bytes against its name; `--repair`: right bytes from elsewhere in the place of wrong ones.
//!
//! Bytes are read, never mapped, by as many threads as asked for, the least recently verified first. A mismatch is read once more
//! from the medium. What is bad is marked lost and moved to quarantine, so that no link leads to it; nothing is destroyed.

use super::healing::record_quarantine;
use super::members::{self, DamagedDistribution};
use super::{Context, reason, view};
use crate::blobs::{Blobs, Found};
use crate::digest::{Blake3, Sha256};
use crate::error::Result;
use crate::fs::{self, Signature};
use crate::manifest::{BlobRow, State};
use crate::name::CollectionName;
use crate::store::Store;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
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
}

/// A bad blob.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// The blob.
    pub blake3: Blake3,
    /// Where it should be.
    pub path: PathBuf,
    /// The filenames that it has.
    pub filenames: Vec<String>,
    /// The collections that list it now.
    pub collections: Vec<CollectionName>,
    /// More about it: the digest that was found, the error.
    pub detail: String,
    /// Where the wrong bytes are now.
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
    /// How many `.metadata` files had wrong bytes and were made again from the manifest.
    pub sidecars_rewritten: usize,
    /// How many blobs are left for the next run, since the time was over.
    pub left: usize,
    /// Seconds that it took.
    pub seconds: f64,
}

impl VerifyReport {
    /// Tells whether all that was looked at is right now.
    pub fn is_good(&self) -> bool {
        self.problems.iter().all(|problem| problem.repaired) && self.damaged.is_empty()
    }
}

/// What a look at one blob showed.
#[derive(Debug)]
enum Look {
    Good { found: Signature, was_read: bool },
    Bad { kind: ProblemKind, detail: String, inode: Option<i64> },
}

/// Verifies the store's blobs.
pub fn verify(store: &Store, context: &Context<'_>, options: &VerifyOptions) -> Result<VerifyReport> {
    let started = Instant::now();
    let before = options.max_age.map(|age| context.now.saturating_sub(age));
    let mut rows = store.manifest.blobs_to_verify(before)?;
    if options.max_duration.is_none() {
        // All will be read: the largest first, so that no thread ends up alone with a long one.
        rows.sort_by_key(|row| std::cmp::Reverse(row.size));
    }
    let threads = if options.threads == 0 { context.jobs } else { options.threads }.clamp(1, rows.len().max(1));
    context.progress.start("verifying", rows.iter().map(|row| row.size).sum());
    let mut report = VerifyReport::default();
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let reader = Reader {
        blobs: &store.blobs,
        rows: &rows,
        quick: options.quick,
        rate: options.rate,
        started,
        bytes: AtomicU64::new(0),
    };
    let (sender, receiver) = mpsc::channel();
    let done: Result<()> = std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, stop, reader) = (sender.clone(), &next, &stop, &reader);
            scope.spawn(move || {
                loop {
                    let is_over = options.max_duration.is_some_and(|limit| started.elapsed() >= limit);
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if is_over || index >= reader.rows.len() || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let look = reader.look(index, threads);
                    context.progress.add(reader.rows[index].size);
                    if sender.send((index, look)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let collected = collect(store, context, options, &rows, &receiver, &mut report);
        stop.store(true, Ordering::Relaxed);
        collected
    });
    done?;
    if !options.quick && options.max_duration.is_none() {
        report.sidecars_rewritten = rewrite_sidecars(store)?;
    }
    context.progress.finish();
    if options.deep {
        report.damaged = members::damaged(store, context, &rows, options.max_duration.map(|limit| (started, limit)))?;
    }
    report.bytes = reader.bytes.load(Ordering::Relaxed);
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
) -> Result<()> {
    let mut marks = Vec::new();
    let mut marked = Instant::now();
    for (index, look) in looks {
        report.checked += 1;
        let row = &rows[index];
        match look {
            Look::Good { found, was_read } => {
                if was_read || row.state == State::Lost || !row.is_file(&found) {
                    marks.push((row, found));
                }
            }
            Look::Bad { kind, detail, inode } => {
                let failed = (kind, detail.clone());
                match problem(store, context, row, (kind, detail, inode), options.repair) {
                    // gc may have deleted it since the list was made: then nothing is wrong.
                    Ok(found) => report.problems.extend(found),
                    // One blob that can't be dealt with doesn't end the run for all others.
                    Err(error) => report.problems.push(Problem {
                        kind: failed.0,
                        blake3: row.blake3,
                        path: store.blobs.path(&row.blake3),
                        filenames: Vec::new(),
                        collections: Vec::new(),
                        detail: format!("{}; and then: {}", failed.1, reason(&error)),
                        quarantine: None,
                        repaired: false,
                    }),
                }
            }
        }
        if marks.len() >= CHECKPOINT.0 || marked.elapsed() >= CHECKPOINT.1 {
            mark(store, context, &mut marks)?;
            marked = Instant::now();
        }
    }
    mark(store, context, &mut marks)
}

fn mark(store: &Store, context: &Context<'_>, marks: &mut Vec<(&BlobRow, Signature)>) -> Result<()> {
    if marks.is_empty() || !store.is_writable() {
        marks.clear();
        return Ok(());
    }
    let transaction = store.manifest.write()?;
    for (row, found) in marks.drain(..) {
        transaction.set_verified(row.id, row.epoch, &found, context.now)?;
    }
    Ok(transaction.commit()?)
}

/// What the reading threads share.
struct Reader<'a> {
    blobs: &'a Blobs,
    rows: &'a [BlobRow],
    quick: bool,
    rate: Option<u64>,
    started: Instant,
    bytes: AtomicU64,
}

impl Reader<'_> {
    fn look(&self, index: usize, threads: usize) -> Look {
        let row = &self.rows[index];
        let found = match self.blobs.find(&row.blake3) {
            Ok(Found::File(found)) => found,
            Ok(Found::Absent) => return bad(ProblemKind::Missing, "there is no such file"),
            Ok(Found::Foreign) => return bad(ProblemKind::Corrupt, "a folder, symlink or device stands in its place"),
            Err(error) => return bad(ProblemKind::Unreadable, &reason(&error)),
        };
        if self.quick && row.state == State::Live && row.is_file(&found) {
            return Look::Good { found, was_read: false };
        }
        // At the end of the list idle threads help with the last large files.
        let wide = self.rows.len() - index < threads;
        match self.read(row, wide) {
            Ok((digest, found)) if digest == row.blake3 => Look::Good { found, was_read: true },
            Ok((digest, found)) => {
                let detail = format!("its bytes have the digest {digest} ({} of {} bytes)", found.size, row.size);
                Look::Bad { kind: ProblemKind::Corrupt, detail, inode: Some(found.inode) }
            }
            Err(error) if error.is_not_found() => bad(ProblemKind::Missing, "there is no such file"),
            Err(error) => bad(ProblemKind::Unreadable, &reason(&error)),
        }
    }

    /// Hashes a blob's file, and once more from the medium if the digest is wrong: the error may be in memory only.
    fn read(&self, row: &BlobRow, wide: bool) -> fs::Result<(Blake3, Signature)> {
        let path = self.blobs.path(&row.blake3);
        let mut file = fs::open(&path)?;
        let mut digest = self.hash(&file, &path, wide)?;
        if digest != row.blake3 {
            fs::forget_pages(&file);
            file.seek(SeekFrom::Start(0)).map_err(fs::Error::at("read", &path))?;
            digest = self.hash(&file, &path, false)?;
        }
        let metadata = file.metadata().map_err(fs::Error::at("look at", &path))?;
        Ok((digest, Signature::of(&metadata)))
    }

    fn hash(&self, file: &std::fs::File, path: &std::path::Path, wide: bool) -> fs::Result<Blake3> {
        let mut hasher = blake3::Hasher::new();
        fs::read_parts(file, path, |part| {
            if wide && part.len() == fs::BUFFER_BYTES {
                hasher.update_rayon(part)
            } else {
                hasher.update(part)
            };
            let total = self.bytes.fetch_add(part.len() as u64, Ordering::Relaxed) + part.len() as u64;
            if let Some(rate) = self.rate.filter(|rate| *rate > 0) {
                let due = Duration::from_secs_f64(total as f64 / rate as f64);
                std::thread::sleep(due.saturating_sub(self.started.elapsed()));
            }
            Ok(())
        })?;
        Ok(Blake3::from_bytes(hasher.finalize().into()))
    }
}

/// Makes the files again that trees link as `.metadata` and that don't hold what the manifest says: they are derived from it.
fn rewrite_sidecars(store: &Store) -> Result<usize> {
    if !store.is_writable() {
        return Ok(0);
    }
    let mut count = 0;
    for (path, sha256) in store.blobs.sidecars()? {
        let Some(sha256) = sha256 else { continue };
        let is_good = std::fs::read(&path).is_ok_and(|bytes| Sha256::of(&bytes) == sha256);
        let Some(bytes) = (!is_good).then(|| store.manifest.metadata(&sha256)).transpose()?.flatten() else { continue };
        let scratch = store.scratch()?;
        store.blobs.stage_sidecar(scratch.dir(), &sha256, &bytes)?;
        fs::sync_filesystem(scratch.dir())?;
        store.blobs.publish_sidecar(scratch.dir(), &sha256)?;
        count += 1;
    }
    Ok(count)
}

fn bad(kind: ProblemKind, detail: &str) -> Look {
    Look::Bad { kind, detail: detail.to_owned(), inode: None }
}

/// Deals with a bad blob: marks it lost, moves wrong bytes to quarantine, and repairs it where that is asked for and possible.
fn problem(
    store: &Store,
    context: &Context<'_>,
    row: &BlobRow,
    (mut kind, mut detail, inode): (ProblemKind, String, Option<i64>),
    repair: bool,
) -> Result<Option<Problem>> {
    let mut quarantine = None;
    if store.is_writable() {
        let Some(moved) = condemn(store, context, row, kind, inode)? else { return Ok(None) };
        quarantine = moved;
    }
    if kind == ProblemKind::Missing && quarantine.is_none() {
        // Found corrupt by an earlier run: that is what it still is.
        if let Some(name) = store.manifest.quarantined(&row.blake3)? {
            let path = store.root().join("quarantine").join(name);
            if fs::entry(&path)?.is_some() {
                (kind, detail) = (ProblemKind::Corrupt, "found by an earlier run".to_owned());
                quarantine = Some(path);
            }
        }
    }
    let mut collections = BTreeSet::new();
    let mut filenames: BTreeSet<String> = store.manifest.filenames(row.id)?.into_iter().collect();
    for entry in store.manifest.blob_entries(row.id)? {
        filenames.insert(entry.filename);
        if entry.removed.is_none() {
            collections.insert(entry.collection);
        }
    }
    let repaired = repair && store.is_writable() && restore(store, context, row, &filenames)?;
    Ok(Some(Problem {
        kind,
        blake3: row.blake3,
        path: store.blobs.path(&row.blake3),
        filenames: filenames.into_iter().collect(),
        collections: collections.into_iter().collect(),
        detail,
        quarantine,
        repaired,
    }))
}

/// Marks a bad blob lost and moves its bytes to quarantine, if they still are the ones that were judged. Returns `None` when the
/// blob is no longer the store's matter, or was healed meanwhile.
fn condemn(
    store: &Store,
    context: &Context<'_>,
    row: &BlobRow,
    kind: ProblemKind,
    inode: Option<i64>,
) -> Result<Option<Option<PathBuf>>> {
    let reap = store.blobs.reap()?;
    let Some(now) = store.manifest.blob(row.id)? else { return Ok(None) };
    let found = store.blobs.find(&row.blake3)?;
    let is_judged = match (kind, found) {
        (ProblemKind::Missing, Found::Absent) | (ProblemKind::Corrupt, Found::Foreign) => true,
        (ProblemKind::Corrupt, Found::File(found)) => inode == Some(found.inode),
        // It can't be told what an unreadable file holds: it stays where it is, and is handed out to nobody.
        (ProblemKind::Unreadable, _) => true,
        _ => false,
    };
    if !is_judged || now.state == State::Deleting || now.epoch != row.epoch {
        return Ok(None);
    }
    if now.state == State::Live {
        let transaction = store.manifest.write()?;
        transaction.set_lost(row.id)?;
        transaction.commit()?;
    }
    if kind != ProblemKind::Corrupt {
        return Ok(Some(None));
    }
    let moved = store.blobs.quarantine(&reap, &row.blake3)?;
    if let Some(moved) = &moved {
        record_quarantine(store, &row.blake3, moved, context.now)?;
    }
    Ok(Some(moved))
}

/// Puts right bytes at a lost blob's name, from trees on disk that have bytes of their own.
fn restore(store: &Store, context: &Context<'_>, row: &BlobRow, filenames: &BTreeSet<String>) -> Result<bool> {
    let session = store.session("verify --repair", context.now)?;
    let mut repaired = false;
    for path in view::copies(store, row, filenames)? {
        let Ok((digest, _)) = Blobs::hash(&path) else { continue };
        if digest != row.blake3 {
            continue;
        }
        let transaction = store.manifest.write()?;
        let Some(now) = transaction.blob(row.id)?.filter(|now| now.state == State::Lost) else { break };
        transaction.insert_hold(&session.id, row.id)?;
        transaction.commit()?;
        let staged = session.staging.stage(&path, crate::blobs::LinkMode::Auto, false)?;
        if staged.digests.blake3 != row.blake3 || staged.digests.sha256 != row.sha256 {
            continue;
        }
        fs::sync_file(&staged.path)?;
        let reap = store.blobs.reap()?;
        // An import may have healed it meanwhile.
        if !store.blobs.is_good(&row.blake3) {
            store.blobs.replace(&reap, &staged.path, &row.blake3)?;
        }
        store.blobs.sync_names([row.blake3].iter())?;
        drop(reap);
        let Found::File(found) = store.blobs.find(&row.blake3)? else { continue };
        let transaction = store.manifest.write()?;
        repaired = transaction.set_live(row.id, now.epoch, &found)?;
        transaction.commit()?;
        if repaired {
            break;
        }
    }
    session.end()?;
    Ok(repaired)
}
