//! `verify --bucket`: the objects of a node's share against the rows of blobs, and their bytes against their names; `--repair`: what this
//! node has in the place of what is bad.
//!
//! All objects are listed in each run. Their bytes are read in the order of their digests, from where the last run stopped.

use super::ProblemKind;
use super::mend::names;
use super::read::Pace;
use crate::context::Context;
use crate::digest::Blake3;
use crate::error::{Error, Result};
use crate::keep::elsewhere::TRANSFERS;
use crate::keep::objects::{self, Fault};
use crate::manifest::BlobRow;
use crate::name::CollectionName;
use crate::parallel;
use crate::share::{self, Share};
use crate::store::Store;
use crate::words::reason;
use serde::Serialize;
use std::time::{Duration, Instant};

/// After so many objects it is recorded how far they were read, and what is put again counts.
const BATCH: usize = 64;

/// What `verify --bucket` is told.
#[derive(Debug, Clone, Default)]
pub struct BucketOptions {
    /// Begin to read no object after this time.
    pub max_duration: Option<Duration>,
    /// Read at most so many bytes a second, all transfers together.
    pub rate: Option<u64>,
    /// Put what this node has in the place of what is bad.
    pub repair: bool,
}

/// A blob whose object is bad.
#[derive(Debug, Clone, Serialize)]
pub struct BucketProblem {
    /// What is wrong: `missing` or `corrupt`.
    pub kind: ProblemKind,
    /// The blob.
    pub blake3: Blake3,
    /// The object's key; `None`: the blob never had one.
    pub object: Option<String>,
    /// The filenames that it has.
    pub filenames: Vec<String>,
    /// The collections that list it now.
    pub collections: Vec<CollectionName>,
    /// More about it.
    pub detail: String,
    /// Whether the share has the right bytes again.
    pub repaired: bool,
}

/// What `verify --bucket` found.
#[derive(Debug, Default, Serialize)]
pub struct BucketReport {
    /// How many objects of blobs the share has.
    pub objects: usize,
    /// How many of them no blob has: on their way to be swept, or what an import is at, or left.
    pub orphans: usize,
    /// Their bytes.
    pub orphan_bytes: u64,
    /// How many objects were read.
    pub checked: usize,
    /// How many bytes were read.
    pub bytes: u64,
    /// What is wrong.
    pub problems: Vec<BucketProblem>,
    /// How many objects are left for the next run to read.
    pub left: usize,
    /// What went wrong that is no object's fault.
    pub failures: Vec<String>,
    /// Seconds that it took.
    pub seconds: f64,
}

impl BucketReport {
    /// Tells whether all is right now, and could be looked at.
    pub fn is_good(&self) -> bool {
        self.failures.is_empty() && self.problems.iter().all(|problem| problem.repaired)
    }
}

/// Verifies what a node's share has.
pub fn verify_bucket(store: &Store, context: &Context<'_>, options: &BucketOptions) -> Result<BucketReport> {
    let started = Instant::now();
    let Some(share) = store.share() else {
        return Err(Error::Refused(format!(
            "{} is no node of a shared store: it has no bucket",
            store.root().display()
        )));
    };
    store.require_writable()?;
    store.require_up_to_date()?;
    let compared = objects::compare(store, share)?;
    let mut report = BucketReport {
        objects: compared.objects,
        orphans: compared.orphans,
        orphan_bytes: compared.orphan_bytes,
        ..BucketReport::default()
    };
    let mut bad = compared.bad;
    let pace = Pace::new(options.rate, started);
    let deadline = options.max_duration.map(|limit| started + limit);
    let reading = Reading { store, share, context, pace: &pace, deadline };
    let rows = rotated(compared.good, store.manifest.objects_read_to()?);
    bad.extend(objects::still(store, reading.read_all(&rows, &mut report)?)?);
    for batch in bad.chunks(BATCH) {
        report.problems.extend(deal(store, share, batch, options.repair)?);
    }
    report.problems.sort_by(|a, b| (a.kind, &a.filenames, a.blake3).cmp(&(b.kind, &b.filenames, b.blake3)));
    report.bytes = pace.bytes();
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Lets those come first that are behind the last one that was read; they are in the order of their digests.
fn rotated(mut rows: Vec<BlobRow>, read_to: Option<Blake3>) -> Vec<BlobRow> {
    let read = read_to.map_or(0, |last| rows.partition_point(|row| row.blake3 <= last));
    rows.rotate_left(read);
    rows
}

/// What reading objects takes.
struct Reading<'a> {
    store: &'a Store,
    share: &'a Share,
    context: &'a Context<'a>,
    pace: &'a Pace,
    deadline: Option<Instant>,
}

impl Reading<'_> {
    /// Reads objects until the time is over. Returns the bad ones.
    fn read_all(&self, rows: &[BlobRow], report: &mut BucketReport) -> Result<Vec<(BlobRow, Fault)>> {
        let mut bad = Vec::new();
        self.context.progress.start_files(
            "reading the share",
            rows.len() as u64,
            rows.iter().map(|row| row.size).sum(),
        );
        let mut begun = 0;
        for batch in rows.chunks(BATCH) {
            let (share, pace, deadline, progress) = (self.share, self.pace, self.deadline, self.context.progress);
            let looks = parallel::map(TRANSFERS, &self.store.manifest.named(batch), |(row, name)| {
                let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
                (!is_over).then(|| {
                    let read = || objects::read(share, row, &|bytes| pace.took(bytes));
                    progress.on(name, row.size, read)
                })
            });
            // Of several at a time a later one may have begun just before the time was over: it is read once more.
            let done: Vec<_> = looks.into_iter().map_while(|look| look).collect();
            let is_over = done.len() < batch.len();
            begun += done.len();
            if let Some(last) = done.len().checked_sub(1) {
                self.read_to(&batch[last].blake3)?;
            }
            for (row, look) in batch.iter().zip(done) {
                report.checked += usize::from(look.is_ok());
                match look {
                    Ok(fault) => bad.extend(fault.map(|fault| (row.clone(), fault))),
                    Err(error) => failed(report, &error),
                }
            }
            if is_over {
                break;
            }
        }
        self.context.progress.finish();
        report.left = rows.len() - begun;
        Ok(bad)
    }

    fn read_to(&self, blake3: &Blake3) -> Result<()> {
        let transaction = self.store.manifest.write()?;
        transaction.set_objects_read_to(blake3)?;
        Ok(transaction.commit()?)
    }
}

/// Tells of an object that can't be read now; of many alike the first.
fn failed(report: &mut BucketReport, error: &share::Error) {
    if report.failures.is_empty() {
        report.failures.push(format!("not all objects could be read: {}", reason(error)));
    }
}

/// Tells of bad objects, and puts what this node has in their place where that is asked for.
fn deal(store: &Store, share: &Share, bad: &[(BlobRow, Fault)], repair: bool) -> Result<Vec<BucketProblem>> {
    let rows: Vec<BlobRow> = bad.iter().map(|(row, _)| row.clone()).collect();
    let put = match repair.then(|| objects::put_again(store, share, &rows)) {
        None => vec![Some(String::new()); rows.len()],
        Some(Ok(put)) => put,
        // What can't be committed doesn't end the run for all others.
        Some(Err(error)) => vec![Some(reason(&error)); rows.len()],
    };
    let mut problems = Vec::new();
    for ((row, fault), failure) in bad.iter().zip(put) {
        let (kind, mut detail) = match fault {
            Fault::Missing => (ProblemKind::Missing, "there is no such object".to_owned()),
            Fault::Size(size) => (ProblemKind::Corrupt, format!("it has {size} bytes and should have {}", row.size)),
            Fault::Bytes => (ProblemKind::Corrupt, "its bytes have another digest".to_owned()),
        };
        if let Some(why) = failure.as_ref().filter(|why| !why.is_empty()) {
            detail = format!("{detail}; it can't be put again: {why}");
        }
        let (filenames, collections) = names(store, row)?;
        problems.push(BucketProblem {
            kind,
            blake3: row.blake3,
            object: row.generation.as_deref().map(|generation| share.object_key(&row.blake3, generation)),
            filenames: filenames.into_iter().collect(),
            collections: collections.into_iter().collect(),
            detail,
            repaired: failure.is_none(),
        });
    }
    Ok(problems)
}
