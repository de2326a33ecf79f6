//! One batch: stage, sync, row with hold, name, sync, live.
//!
//! The order is invariant I5: a file's row says `staged` and a hold keeps it before the name appears; the name is durable before the
//! row says `live`, and only then has the store the blob's row. The entry comes later, with all others of the import, while the hold still stands.

use super::deletion::finish_deletion;
use super::elsewhere::put_all;
use crate::blobs::{Blobs, Found, LinkMode, Staging};
use crate::context::Context;
use crate::digest::{Blake3, Digests};
use crate::error::{Error, Result};
use crate::fs::{self, ChangeTimes, Signature};
use crate::manifest::{BlobId, BlobRow, Distribution, InspectionRow, State, Transaction};
use crate::parallel;
use crate::store::{Session, Store, despite_others};
use crate::wheel::{self, DistributionFilename, Trust};
use crate::words::reason;
use rayon::prelude::*;
use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Files of at least this size are synced one by one as soon as they are staged, smaller ones together with their batch.
const SYNC_AT_ONCE_BYTES: u64 = 8 << 20;

/// Bytes that come again are compared with a blob that wasn't read for so long: 30 days, in seconds.
const READ_AGAIN_SECONDS: i64 = 30 * 86_400;

/// Tells whether a blob was read so lately that its stat is enough to take its bytes for right: when its bytes come again, they are
/// at hand. A time later than now was a clock's that was ahead.
pub(crate) fn was_read_lately(read_at: i64, now: i64) -> bool {
    (0..READ_AGAIN_SECONDS).contains(&now.saturating_sub(read_at))
}

/// How often an item is tried again when verify or gc got in between.
const TRIES: usize = 5;

/// Publishes batches of files under the holds of a session.
pub(crate) struct Publisher<'a> {
    pub(crate) store: &'a Store,
    pub(crate) session: &'a Session<'a>,
    pub(crate) context: &'a Context<'a>,
    pub(crate) link: LinkMode,
    pub(crate) times: ChangeTimes,
    pub(crate) trust: Trust,
}

/// A file that is to become a blob.
pub(crate) struct Incoming<'a> {
    pub(crate) path: &'a Path,
    pub(crate) name: &'a DistributionFilename,
    pub(crate) size: u64,
    /// Whether another index has it: its archive is looked at as strangers' are.
    pub(crate) is_from_elsewhere: bool,
}

/// A published blob.
pub(crate) struct Published {
    pub(crate) blob: BlobId,
    pub(crate) digests: Digests,
    pub(crate) size: u64,
    pub(crate) is_new: bool,
    pub(crate) is_healed: bool,
    pub(crate) copied: Option<&'static str>,
}

/// A file that was hashed and judged, on its way to its name.
struct Ready {
    index: usize,
    source: PathBuf,
    digests: Digests,
    size: u64,
    /// Where its bytes lie in staging; `None`: they were hashed where they are, since the store seems to have them.
    staged: Option<(PathBuf, Signature)>,
    /// The stat of the source, while which stays its bytes are taken to stay.
    signature: Option<Signature>,
    described: Described,
    /// The row as the first transaction saw it.
    row: Option<BlobRow>,
    /// Whether the store had the blob's row then.
    has_blob: bool,
    is_new: bool,
    is_healed: bool,
    /// Why it is a copy though a link was asked for.
    copied: Option<&'static str>,
    /// Whether the blob that was there was read, and was right.
    was_read: bool,
    found: Option<Signature>,
    /// Where bad bytes at its name went.
    quarantined: Option<PathBuf>,
}

type PerItem<T> = std::result::Result<T, String>;

/// What a batch's files were found to be, by their positions.
type Prepared = Vec<(usize, Result<PerItem<Ready>>)>;

/// A batch that is being staged, or was at once where no thread could be had.
enum BatchStaging<'scope> {
    Running(std::thread::ScopedJoinHandle<'scope, Prepared>),
    Done(Prepared),
}

/// What works on many files at a time needs: no manifest, which belongs to one thread.
#[derive(Clone, Copy)]
struct Files<'a> {
    blobs: &'a Blobs,
    staging: &'a Staging,
    link: LinkMode,
    trust: Trust,
    wide: bool,
    now: i64,
}

impl Publisher<'_> {
    fn files(&self, wide: bool) -> Files<'_> {
        let now = self.context.now;
        Files {
            blobs: &self.store.blobs,
            staging: &self.session.staging,
            link: self.link,
            trust: self.trust,
            wide,
            now,
        }
    }

    /// Publishes the items at the indexes of each batch; each becomes a live, held blob or a reason why not. An error that is no
    /// item's fault ends the import. The next batch is staged while the manifest learns of the one before.
    pub(crate) fn publish(
        &self,
        items: &[Incoming<'_>],
        batches: &[&[usize]],
    ) -> Result<Vec<(usize, PerItem<Published>)>> {
        let mut results = Vec::with_capacity(items.len());
        let (jobs, progress) = (self.context.jobs, self.context.progress);
        std::thread::scope(|scope| {
            let start = |batch: &[usize]| -> Result<_> {
                // The manifest belongs to this thread, so it is asked before the others start: once, since each question alone takes
                // and gives back a lock.
                let rows = self.store.manifest.read()?;
                let has_size = |&index: &usize| Ok((index, rows.has_size(items[index].size)?));
                let work = batch.iter().map(has_size).collect::<Result<Vec<(usize, bool)>>>()?;
                drop(rows);
                // With fewer files than processors, the idle ones help to hash; else two files at a time are faster than one.
                let files = self.files(work.len() < jobs);
                let work = std::sync::Arc::new(work);
                let prepare_all = move |work: &[(usize, bool)]| {
                    let prepare = |&(index, may_be_known): &(usize, bool)| {
                        let item = &items[index];
                        let prepare = || files.prepare(index, item, may_be_known);
                        (index, progress.on(item.name.as_str(), item.size, prepare))
                    };
                    parallel::map(jobs, work, prepare)
                };
                let own = work.clone();
                Ok(match parallel::spawn(scope, move || prepare_all(&own)) {
                    Some(running) => BatchStaging::Running(running),
                    None => BatchStaging::Done(prepare_all(&work)),
                })
            };
            let mut staging = batches.first().map(|batch| start(batch)).transpose()?;
            let mut next = 1;
            while let Some(running) = staging.take() {
                let prepared = match running {
                    BatchStaging::Running(thread) => {
                        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                    }
                    BatchStaging::Done(prepared) => prepared,
                };
                staging = batches.get(next).map(|batch| start(batch)).transpose()?;
                next += 1;
                self.finish(prepared, &mut results)?;
            }
            Ok(results)
        })
    }

    /// Syncs, names and records what was staged.
    fn finish(&self, prepared: Prepared, results: &mut Vec<(usize, PerItem<Published>)>) -> Result<()> {
        let mut ready = Vec::with_capacity(prepared.len());
        for (index, prepared) in prepared {
            match prepared? {
                Ok(item) => ready.push(item),
                Err(reason) => results.push((index, Err(reason))),
            }
        }
        let is_small = |item: &&Ready| item.size < SYNC_AT_ONCE_BYTES;
        let staged: Vec<&Path> =
            ready.iter().filter(is_small).filter_map(|item| Some(item.staged.as_ref()?.0.as_path())).collect();
        self.session.staging.sync(staged.into_iter())?;
        for _ in 0..TRIES {
            if ready.is_empty() {
                return Ok(());
            }
            ready = self.round(ready, results)?;
        }
        let given_up = "verify found the store's bytes bad again and again; run `wcas doctor`".to_owned();
        results.extend(ready.into_iter().map(|item| (item.index, Err(given_up.clone()))));
        Ok(())
    }

    /// Row and hold, name, live. Returns the items that must go round again: verify moved the epoch meanwhile.
    fn round(&self, mut ready: Vec<Ready>, results: &mut Vec<(usize, PerItem<Published>)>) -> Result<Vec<Ready>> {
        self.insert_rows(&mut ready, results)?;
        let files = self.files(false);
        files.blobs.make_shards(ready.iter().filter(|item| item.staged.is_some()).map(|item| &item.digests.blake3))?;
        let placed: Vec<Result<()>> = ready.par_iter_mut().map(|item| files.place(item)).collect();
        placed.into_iter().collect::<Result<Vec<()>>>()?;
        self.store.blobs.sync_names(ready.iter().map(|item| &item.digests.blake3))?;
        let recorded = despite_others(|| {
            self.put_new(&mut ready)?;
            let recorded = self.record(&ready);
            if recorded.as_ref().is_err_and(Error::is_fenced) {
                // No commit is offered that generation again.
                ready.iter_mut().filter_map(|item| item.row.as_mut()).for_each(|row| row.generation = None);
            }
            recorded
        })?;
        let mut again = Vec::new();
        for (mut item, published) in ready.into_iter().zip(recorded) {
            item.quarantined = None;
            match published {
                Some(published) => results.push((item.index, Ok(published))),
                None => again.push(item),
            }
        }
        Ok(again)
    }

    /// Puts what the store doesn't have yet into the bucket of a node's share: a row says that it is there.
    fn put_new(&self, ready: &mut [Ready]) -> Result<()> {
        let Some(share) = self.store.share() else { return Ok(()) };
        let new = ready.par_iter_mut().filter(|item| !item.has_blob).filter_map(|item| item.row.as_mut());
        put_all(share, &self.store.blobs, new.filter(|row| row.generation.is_none()))
    }

    /// Records the batch in one transaction. Without an answer an item must go round again: verify, or another node, was at it.
    fn record(&self, ready: &[Ready]) -> Result<Vec<Option<Published>>> {
        let transaction = self.store.manifest.write()?;
        self.note_filenames(&transaction, ready)?;
        let mut recorded = Vec::with_capacity(ready.len());
        for item in ready {
            let row = item.row.as_ref().expect("inserted above");
            if let Some(name) = item.quarantined.as_deref().and_then(Path::file_name) {
                transaction.insert_quarantine(&row.blake3, &name.to_string_lossy(), self.context.now)?;
            }
            let found = item.found.expect("placed above");
            // Holds keep the rows that gc here would delete, and not from another node's.
            let is_gone = item.has_blob && self.store.share().is_some() && transaction.blob(row.id)?.is_none();
            if is_gone || !transaction.set_live(row.id, row.epoch, &found)? {
                recorded.push(None);
                continue;
            }
            if !item.has_blob {
                transaction.insert_blob(row)?;
            }
            if item.is_healed && row.state == State::Live {
                transaction.set_healed(row.id)?;
            }
            if item.was_read {
                transaction.set_verified(row.id, row.epoch, &found, self.context.now)?;
            }
            transaction.insert_distribution(row.id, &item.described.distribution)?;
            if let Some(inspection) = &item.described.inspection {
                transaction.put_inspection(row.id, inspection)?;
            }
            let proves =
                |source: &Signature| !source.is_racy(self.session.started_ns) && self.times.prove(&item.source, source);
            if let Some(source) = item.signature.filter(proves) {
                transaction.set_seen(&source, row.id)?;
            }
            recorded.push(Some(Published {
                blob: row.id,
                digests: item.digests,
                size: item.size,
                is_new: item.is_new,
                is_healed: item.is_healed,
                copied: item.copied,
            }));
        }
        transaction.commit()?;
        Ok(recorded)
    }

    /// Notes filenames beside the blobs that the manifest doesn't have yet: it may be lost one day.
    fn note_filenames(&self, transaction: &Transaction<'_>, ready: &[Ready]) -> Result<()> {
        let mut new = Vec::new();
        for item in ready {
            let (row, name) = (item.row.as_ref().expect("inserted before"), &item.described.distribution.filename);
            if !item.has_blob || !transaction.has_distribution(row.id, name)? {
                new.push((item.digests.blake3, name.as_str()));
            }
        }
        Ok(self.store.blobs.note_filenames(&new)?)
    }

    /// Inserts the rows of new files and the holds of all: what is true of this folder alone. A file that gc is deleting is waited
    /// for.
    fn insert_rows(&self, ready: &mut Vec<Ready>, results: &mut Vec<(usize, PerItem<Published>)>) -> Result<()> {
        loop {
            let transaction = self.store.manifest.write()?;
            let mut deleting = None;
            let mut collisions = Vec::new();
            let mut inserted = HashSet::new();
            for (position, item) in ready.iter_mut().enumerate() {
                let row = match self.find_or_insert(&transaction, item, &mut inserted)? {
                    Ok(row) => row,
                    Err(known) => {
                        collisions.push((position, known));
                        continue;
                    }
                };
                if row.state == State::Deleting {
                    deleting = Some(row);
                    break;
                }
                item.is_healed |= row.state == State::Lost;
                transaction.insert_hold(&self.session.id, row.id)?;
                item.row = Some(row);
            }
            if let Some(row) = deleting {
                drop(transaction);
                finish_deletion(self.store, &row)?;
                ready.iter_mut().for_each(|item| item.is_new = false);
                continue;
            }
            transaction.commit()?;
            for (position, known) in collisions.into_iter().rev() {
                let item = ready.remove(position);
                let collision = Error::Collision { known, path: item.source, sha256: item.digests.sha256 };
                results.push((item.index, Err(collision.to_string())));
            }
            return Ok(());
        }
    }

    /// Returns the row of an item's bytes, which is made where there is none, or the blob whose SHA-256 digest is theirs though its
    /// bytes are others.
    fn find_or_insert(
        &self,
        transaction: &Transaction<'_>,
        item: &mut Ready,
        inserted: &mut HashSet<BlobId>,
    ) -> Result<std::result::Result<BlobRow, Blake3>> {
        let (digests, now) = (item.digests, self.context.now);
        item.has_blob = true;
        if let Some(row) = transaction.find_blob(&digests.blake3)? {
            return Ok(Ok(item.corrected(transaction, row)?));
        }
        if let Some(other) = transaction.find_blob_by_sha256(&digests.sha256)? {
            let was_live = matches!(other.state, State::Live | State::Lost);
            if !was_live || self.store.blobs.find(&other.blake3)? != Found::Absent {
                return Ok(Err(other.blake3));
            }
            // No such file was ever there: a row that went bad, and no broken algorithm.
            return Ok(Ok(item.corrected(transaction, other)?));
        }
        item.has_blob = false;
        if let Some(row) = transaction.insert_file(&digests, item.size, now)? {
            inserted.insert(row.id);
            item.is_new = true;
            return Ok(Ok(row));
        }
        let file = transaction.find_file(&digests, now)?.expect("it was in the way");
        if let Some(row) = transaction.blob(file.id)? {
            // The blob's row says something else than its file's does.
            item.has_blob = true;
            return Ok(Ok(item.corrected(transaction, row)?));
        }
        // The same bytes twice in one batch: one of the two is the copy, also where a killed import left the row.
        item.is_new |= file.state == State::Staged && inserted.insert(file.id);
        Ok(Ok(file))
    }
}

impl Ready {
    /// Returns the row of these bytes, made to say what they are where it says something else: its page went bad.
    fn corrected(&mut self, transaction: &Transaction<'_>, row: BlobRow) -> Result<BlobRow> {
        let digests = self.digests;
        if (row.blake3, row.sha256, row.size) == (digests.blake3, digests.sha256, self.size) {
            return Ok(row);
        }
        transaction.correct_blob(row.id, &digests, self.size)?;
        self.is_healed = true;
        // What stands at its name is read before it is believed.
        let state = if row.state == State::Live { State::Lost } else { row.state };
        Ok(BlobRow {
            state,
            epoch: row.epoch + 1,
            size: self.size,
            blake3: digests.blake3,
            sha256: digests.sha256,
            ..row
        })
    }
}

impl Files<'_> {
    /// Stages a file (or hashes it where it is, if the store may have it) and reads what it is.
    fn prepare(&self, index: usize, item: &Incoming<'_>, may_be_known: bool) -> Result<PerItem<Ready>> {
        let source = item.path;
        let is_linked = matches!(self.link, LinkMode::Hardlink | LinkMode::Move);
        let done = if may_be_known && !is_linked {
            Staging::hash_source(source, self.wide).map(|(digests, signature)| (None, digests, signature))
        } else {
            self.staging.stage(source, self.link, self.wide).map(|staged| {
                let (digests, source) = (staged.digests, staged.source);
                (Some(staged), digests, source)
            })
        };
        let (mut staged, mut digests, mut signature) = match self.own_fault(done, source)? {
            Ok(done) => done,
            Err(reason) => return Ok(Err(reason)),
        };
        // A source that changed while it was hashed where it is, or whose blob is gone, is hashed again in staging.
        let is_known = staged.is_some() || signature.is_some() && self.blobs.find(&digests.blake3)? != Found::Absent;
        if !is_known {
            match self.own_fault(self.staging.stage(source, self.link, self.wide), source)? {
                Ok(again) => {
                    (digests, signature) = (again.digests, again.source);
                    staged = Some(again);
                }
                Err(reason) => return Ok(Err(reason)),
            }
        }
        let judged = match &staged {
            Some(staged) => self.describe(&staged.file, item),
            None => self.describe_source(signature, item),
        };
        let size = staged.as_ref().map_or(item.size, |staged| staged.signature.size);
        if let Some(staged) = staged.as_ref().filter(|_| size >= SYNC_AT_ONCE_BYTES && judged.is_ok()) {
            // While the disk works on a large file, the other threads hash.
            fs::sync_file(&staged.path)?;
        }
        let copied = staged.as_ref().and_then(|staged| staged.copied);
        if let Some(staged) = staged.as_ref().filter(|_| judged.is_err()) {
            staged.give_back()?;
        }
        let staged = staged.map(|staged| (staged.path, staged.signature));
        match judged {
            Ok(described) => Ok(Ok(Ready {
                index,
                source: source.to_owned(),
                digests,
                size,
                staged,
                signature,
                described,
                row: None,
                has_blob: false,
                is_new: false,
                is_healed: false,
                copied,
                was_read: false,
                found: None,
                quarantined: None,
            })),
            Err(reason) => {
                if let Some((path, _)) = staged {
                    fs::remove_file(&path)?;
                }
                Ok(Err(reason))
            }
        }
    }

    /// Reads what a file is that was hashed where it lies, and makes sure that it still is the one that was hashed.
    fn describe_source(&self, hashed: Option<Signature>, item: &Incoming<'_>) -> PerItem<Described> {
        let file = fs::open(item.path).map_err(|error| reason(&error))?;
        let described = self.describe(&file, item)?;
        match file.metadata() {
            Ok(metadata) if Some(Signature::of(&metadata)) == hashed => Ok(described),
            _ => Err("it changed while it was imported; import it again".to_owned()),
        }
    }

    /// Reads what a file is and checks that it is what its name says.
    fn describe(&self, file: &File, item: &Incoming<'_>) -> PerItem<Described> {
        let read = wheel::read_and_inspect(file, item.name, self.trust);
        let (contents, inspection) = read.map_err(|error| reason(&error))?;
        if item.is_from_elsewhere {
            wheel::check_headers(file, item.name).map_err(|error| reason(&error))?;
        }
        let inspection = inspection.as_ref().map(InspectionRow::of);
        Ok(Described { distribution: Distribution::new(item.name, contents), inspection })
    }

    /// Tells an item's fault (its file can't be read, or vanished) from the store's, which ends the import.
    fn own_fault<T>(&self, done: fs::Result<T>, source: &Path) -> Result<PerItem<T>> {
        match done {
            Ok(done) => Ok(Ok(done)),
            Err(error) if error.path == source || self.link == LinkMode::Reflink && !error.is_full() => {
                Ok(Err(reason(&error)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes sure that the right bytes stand at the blob's name, and takes their stat.
    fn place(&self, item: &mut Ready) -> Result<()> {
        let (blobs, blob) = (self.blobs, item.digests.blake3);
        let row = item.row.clone().expect("inserted before");
        // Nothing can stand at the name of a blob that nobody knew; if something does, the rename says so.
        let mut found = if item.is_new { Found::Absent } else { blobs.find(&blob)? };
        item.found = loop {
            match found {
                Found::File(known) if row.is_file(&known) && self.is_trusted(&row, item, &known) => break Some(known),
                // Bytes that others read are looked at once more: a row can be wrong about them.
                Found::File(known) if blobs.is_good(&blob) => {
                    item.was_read = true;
                    break Some(known);
                }
                Found::Absent => {
                    item.is_healed |= row.state == State::Live;
                    let (staged, signature) = self.staged(item)?;
                    if blobs.publish(&staged, &blob)? {
                        item.staged = None;
                        // A rename keeps inode, size and modification time.
                        break Some(signature);
                    }
                }
                Found::File(_) | Found::Foreign => {
                    item.is_healed |= !matches!(row.state, State::Staged | State::Elsewhere);
                    let (staged, _) = self.staged(item)?;
                    let reap = blobs.reap()?;
                    // Another import may have healed it while this one waited for the right.
                    if !blobs.is_good(&blob) {
                        item.quarantined = blobs.replace(&reap, &staged, &blob)?;
                        item.staged = None;
                    }
                }
            }
            found = blobs.find(&blob)?;
        };
        if let Some((left, _)) = item.staged.take() {
            fs::remove_file(&left)?;
        }
        Ok(())
    }

    /// Tells whether the stat of a blob's file is enough to take its bytes for right. Not where they become the last copy, nor where
    /// nobody has read them for long: the right ones are at hand.
    fn is_trusted(&self, row: &BlobRow, item: &Ready, known: &Signature) -> bool {
        let is_source = item.staged.as_ref().is_some_and(|(_, staged)| staged.inode == known.inode);
        let read_at = row.verified_at.unwrap_or(row.created_at);
        let is_fresh = self.link != LinkMode::Move && was_read_lately(read_at, self.now);
        row.state == State::Live && (is_source || is_fresh)
    }

    /// Returns the item's staged file, staging it now if it was hashed where it lies.
    fn staged(&self, item: &mut Ready) -> Result<(PathBuf, Signature)> {
        if let Some(staged) = &item.staged {
            return Ok(staged.clone());
        }
        let again = self.staging.stage(&item.source, LinkMode::Auto, self.wide)?;
        if again.digests != item.digests {
            let changed = std::io::Error::other("the file changed while it was imported; import it again");
            return Err(fs::Error::at("import", &item.source)(changed).into());
        }
        fs::sync_file(&again.path)?;
        item.staged = Some((again.path.clone(), again.signature));
        Ok((again.path, again.signature))
    }
}

/// What a file is, and what a quick look found that it is bound to.
struct Described {
    distribution: Distribution,
    inspection: Option<InspectionRow>,
}
