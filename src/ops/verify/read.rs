//! Reads blobs and says what each is: good, bad, or not to be told now.

use super::ProblemKind;
use crate::blobs::{Blobs, Found};
use crate::digest::{Digests, Hasher};
use crate::fs::{self, Signature};
use crate::manifest::{BlobRow, State};
use crate::words::reason;
use std::io::{Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often, and after which pause, a blob is tried again that no handle could be had for.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// What a look at one blob showed.
#[derive(Debug)]
pub(super) enum Look {
    Good {
        found: Signature,
        was_read: bool,
    },
    Bad(Bad),
    /// It can't be told: this process lacks handles or memory.
    Failed(String),
}

/// What is wrong with a blob.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) kind: ProblemKind,
    pub(super) detail: String,
    /// The file that was judged.
    pub(super) inode: Option<i64>,
    /// What the row should say.
    pub(super) truth: Option<(Digests, u64)>,
}

/// What the reading threads share.
pub(super) struct Reader<'a> {
    pub(super) blobs: &'a Blobs,
    pub(super) rows: &'a [BlobRow],
    pub(super) quick: bool,
    pub(super) pace: Pace,
}

/// Counts what all threads read, and keeps them to so many bytes a second.
pub(super) struct Pace {
    rate: Option<u64>,
    started: Instant,
    bytes: AtomicU64,
}

impl Pace {
    pub(super) fn new(rate: Option<u64>, started: Instant) -> Self {
        Self { rate: rate.filter(|rate| *rate > 0), started, bytes: AtomicU64::new(0) }
    }

    /// Counts bytes that were read, and waits until more may be.
    pub(super) fn took(&self, bytes: usize) {
        let total = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if let Some(rate) = self.rate {
            let due = Duration::from_secs_f64(total as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Reader<'_> {
    /// Looks at a blob; a lack of handles or memory is waited out, for it is ours and not the blob's.
    pub(super) fn look(&self, index: usize, threads: usize) -> Look {
        for _ in 0..TRIES {
            match self.look_once(index, threads) {
                Look::Failed(_) => std::thread::sleep(PAUSE),
                look => return look,
            }
        }
        self.look_once(index, threads)
    }

    fn look_once(&self, index: usize, threads: usize) -> Look {
        let row = &self.rows[index];
        let found = match self.blobs.find(&row.blake3) {
            Ok(Found::File(found)) => found,
            Ok(Found::Absent) => return bad(ProblemKind::Missing, "there is no such file"),
            Ok(Found::Foreign) => return bad(ProblemKind::Corrupt, "a folder, symlink or device stands in its place"),
            Err(error) => return unreadable(&error),
        };
        if self.quick && row.state == State::Live && row.is_file(&found) {
            return Look::Good { found, was_read: false };
        }
        // At the end of the list idle threads help with the last large files.
        let wide = self.rows.len() - index < threads;
        match self.read(row, wide) {
            Ok((digests, found)) if digests.blake3 == row.blake3 => judge_row(row, digests, found),
            Ok((digests, found)) => {
                let detail =
                    format!("its bytes have the digest {} ({} of {} bytes)", digests.blake3, found.size, row.size);
                Look::Bad(Bad { kind: ProblemKind::Corrupt, detail, inode: Some(found.inode), truth: None })
            }
            Err(error) if error.is_not_found() => bad(ProblemKind::Missing, "there is no such file"),
            Err(error) => unreadable(&error),
        }
    }

    /// Hashes a blob's file, and once more from the medium if the digest is wrong: the error may be in memory only.
    fn read(&self, row: &BlobRow, wide: bool) -> fs::Result<(Digests, Signature)> {
        let path = self.blobs.path(&row.blake3);
        let mut file = fs::open(&path)?;
        let mut digests = self.hash(&file, &path, wide)?;
        if digests.blake3 != row.blake3 {
            fs::forget_pages(&file);
            file.seek(SeekFrom::Start(0)).map_err(fs::Error::at("read", &path))?;
            digests = self.hash(&file, &path, false)?;
        }
        let metadata = file.metadata().map_err(fs::Error::at("look at", &path))?;
        Ok((digests, Signature::of(&metadata)))
    }

    fn hash(&self, file: &std::fs::File, path: &std::path::Path, wide: bool) -> fs::Result<Digests> {
        let mut hasher = Hasher::default();
        fs::read_parts(file, path, |part| {
            if wide && part.len() == fs::BUFFER_BYTES {
                hasher.update_parallel(part);
            } else {
                hasher.update(part);
            }
            self.pace.took(part.len());
            Ok(())
        })?;
        Ok(hasher.finish())
    }
}

/// Compares what the row says of right bytes with them: a page of the manifest rots as any other.
fn judge_row(row: &BlobRow, digests: Digests, found: Signature) -> Look {
    if (digests.sha256, found.size) == (row.sha256, row.size) {
        return Look::Good { found, was_read: true };
    }
    let detail = format!(
        "its bytes are right and have the SHA-256 digest {} ({} bytes), and its row says {} ({} bytes)",
        digests.sha256, found.size, row.sha256, row.size
    );
    Look::Bad(Bad { kind: ProblemKind::Row, detail, inode: Some(found.inode), truth: Some((digests, found.size)) })
}

fn unreadable(error: &fs::Error) -> Look {
    if error.is_lack() { Look::Failed(reason(error)) } else { bad(ProblemKind::Unreadable, &reason(error)) }
}

fn bad(kind: ProblemKind, detail: &str) -> Look {
    Look::Bad(Bad { kind, detail: detail.to_owned(), inode: None, truth: None })
}
