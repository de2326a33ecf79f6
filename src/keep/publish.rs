//! One batch: stage, sync, row with hold, name, sync, live.
//!
//! The order is invariant I5: a file's row says `staged` and a hold keeps it before the name appears; the name is durable before the
//! row says `live`, and only then has the store the blob's row. The entry comes later, with all others of the import, while the hold still stands.

mod place;
mod prepare;
mod record;

use super::elsewhere::put_all;
use crate::blobs::{Blobs, LinkMode, Staging};
use crate::context::Context;
use crate::digest::Digests;
use crate::error::{Error, Result};
use crate::fs::{ChangeTimes, Signature};
use crate::manifest::{BlobId, BlobRow};
use crate::parallel;
use crate::store::{Session, Store, despite_others};
use crate::wheel::{DistributionFilename, Trust};
use prepare::Inspected;
use rayon::prelude::*;
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
    described: Inspected,
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
struct FileWork<'a> {
    blobs: &'a Blobs,
    staging: &'a Staging,
    link: LinkMode,
    trust: Trust,
    wide: bool,
    now: i64,
}

impl Publisher<'_> {
    fn files(&self, wide: bool) -> FileWork<'_> {
        let now = self.context.now;
        FileWork {
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
}
