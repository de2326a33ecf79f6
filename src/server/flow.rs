//! One file on its way from a remote: who asked for it reads it while it comes.
//!
//! Readers read the staged file itself at their own pace, so a slow one holds up nobody. They get all but the last piece until the
//! file was checked and imported: nobody ever has the whole of a wrong file. When a transfer starts over, who has bytes of the old one
//! goes on only if the new one begins with the same bytes.

use crate::digest::Sha256;
use crate::name::RemoteName;
use bytes::Bytes;
use http::StatusCode;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// So many bytes are kept back until the file is known to be right.
pub(super) const HELD_BYTES: u64 = 64 << 10;
/// So many bytes are read at a time.
const PIECE_BYTES: u64 = 128 << 10;

/// Why a file doesn't come, as clients are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) status: StatusCode,
    pub(super) text: String,
    /// The remote that the text goes on about, if its name is told.
    pub(super) remote: Option<RemoteName>,
    /// What only the server's owner is told.
    pub(super) cause: Option<String>,
}

/// What came in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FlowEnd {
    /// A file with this digest, which is in the store.
    File(Sha256),
    /// METADATA alone.
    Metadata(Bytes),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Done(FlowEnd),
    Failed(Trouble),
}

/// What comes, and how far it has come.
#[derive(Debug)]
pub(super) struct Feed {
    state: Mutex<State>,
    moved: Condvar,
    signal: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    status: Status,
    /// Counts the transfers.
    epoch: u32,
    /// What the bytes of this transfer are in.
    file: Option<Arc<File>>,
    there: u64,
    size: Option<u64>,
}

impl State {
    /// Returns how many bytes may be given out.
    fn free(&self) -> u64 {
        match (&self.status, self.size) {
            (Status::Done(_), _) => self.there,
            (Status::Running, Some(size)) => self.there.min(size.saturating_sub(HELD_BYTES)),
            (Status::Running, None) => self.there.saturating_sub(HELD_BYTES),
            (Status::Failed(_), _) => 0,
        }
    }
}

impl Feed {
    /// Starts with what the remote's page tells of the size.
    pub(super) fn new(size: Option<u64>) -> Self {
        let state = State { status: Status::Running, epoch: 0, file: None, there: 0, size };
        Self { state: Mutex::new(state), moved: Condvar::new(), signal: watch::Sender::new(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.moved.notify_all();
        self.signal.send_replace(());
    }

    /// A transfer begins, with an empty file.
    pub(super) fn began(&self, file: File, size: Option<u64>) {
        self.change(|state| {
            state.epoch += 1;
            state.file = Some(Arc::new(file));
            state.there = 0;
            state.size = size;
        });
    }

    /// So many bytes are there.
    pub(super) fn grown(&self, there: u64) {
        self.change(|state| state.there = there);
    }

    /// All of it is here.
    pub(super) fn done(&self, size: u64, brought: FlowEnd) {
        self.change(|state| {
            state.there = size;
            state.size = Some(size);
            state.status = Status::Done(brought);
        });
    }

    /// It won't come. What has ended stays as it is.
    pub(super) fn failed(&self, trouble: Trouble) {
        self.change(|state| {
            if state.status == Status::Running {
                state.status = Status::Failed(trouble);
            }
        });
    }

    pub(super) fn status(&self) -> Status {
        self.state().status.clone()
    }

    /// Tells whether an answer can begin: there are bytes to give, or there never will be.
    pub(super) fn is_ready(&self) -> bool {
        let state = self.state();
        state.status != Status::Running || state.free() > 0
    }

    /// Returns the size of the whole, as far as it is known.
    pub(super) fn size(&self) -> Option<u64> {
        self.state().size
    }

    pub(super) fn listen(&self) -> watch::Receiver<()> {
        self.signal.subscribe()
    }

    /// Waits until it has ended.
    pub(super) fn wait_for_end(&self) -> Status {
        let mut state = self.state();
        while state.status == Status::Running {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.status.clone()
    }

    /// Waits until it has ended, or the time is up.
    pub(super) fn wait_for_end_until(&self, until: Instant) {
        let mut state = self.state();
        while state.status == Status::Running {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            state = self.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until an answer can begin. Returns false when the time is up.
    pub(super) fn wait(&self, until: Instant) -> bool {
        let mut state = self.state();
        while state.status == Status::Running && state.free() == 0 {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            state = self.moved.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// What a reader gets next.
#[derive(Debug)]
pub enum Next {
    /// These bytes.
    Ready(Bytes),
    /// Nothing yet: something has changed when this says so.
    Wait(watch::Receiver<()>),
    /// No more: that was all.
    End,
    /// No more, and that was not all: the connection must break.
    Abort,
}

/// Reads a file while it comes.
pub struct FeedReader {
    feed: Arc<Feed>,
    signal: watch::Receiver<()>,
    epoch: u32,
    file: Option<Arc<File>>,
    start: u64,
    at: u64,
    /// Where to stop; none: at the end of the whole.
    end: Option<u64>,
    /// The size that the client was told.
    promised: Option<u64>,
}

impl fmt::Debug for FeedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedReader").field("at", &self.at).field("end", &self.end).finish_non_exhaustive()
    }
}

impl FeedReader {
    /// Reads a part, or all; `promised` is the size of the whole that the client is told.
    pub(super) fn new(feed: Arc<Feed>, part: Option<Range<u64>>, promised: Option<u64>) -> Self {
        let (start, end) = part.map_or((0, promised), |part| (part.start, Some(part.end)));
        let signal = feed.listen();
        let (epoch, file) = {
            let state = feed.state();
            (state.epoch, state.file.clone())
        };
        Self { feed, signal, epoch, file, start, at: start, end, promised }
    }

    /// Returns the number of bytes that are left to read, where the size is known.
    pub fn left(&self) -> Option<u64> {
        self.end.map(|end| end.saturating_sub(self.at))
    }

    /// Returns what comes next. Reads the disk.
    pub fn proceed(&mut self) -> Next {
        match self.advance() {
            Ok(next) => next,
            // The staged file can't be read: the client is better off with another try.
            Err(_) => Next::Abort,
        }
    }

    fn advance(&mut self) -> io::Result<Next> {
        // Before the look at the state: what changes later wakes the reader.
        self.signal.borrow_and_update();
        let (status, epoch, file, free, size) = {
            let state = self.feed.state();
            (state.status.clone(), state.epoch, state.file.clone(), state.free(), state.size)
        };
        let is_done = matches!(status, Status::Done(_));
        let is_other = self.promised.is_some_and(|promised| size.is_some_and(|size| size != promised));
        if matches!(status, Status::Failed(_)) || is_other && (is_done || self.at > self.start) {
            return Ok(Next::Abort);
        }
        if epoch != self.epoch {
            if free < self.at && !is_done {
                return Ok(Next::Wait(self.signal.clone()));
            }
            if !self.is_continued(file.as_deref(), free)? {
                return Ok(Next::Abort);
            }
            (self.epoch, self.file) = (epoch, file);
        }
        let end = self.end.unwrap_or(u64::MAX);
        let count = free.min(end).saturating_sub(self.at).min(PIECE_BYTES);
        if count == 0 {
            let is_end = self.at >= end || is_done && self.at >= free;
            // Of a part that was promised and of which the end is missing, there is no end.
            let is_short = self.end.is_some_and(|end| self.at < end);
            return Ok(match (is_end, is_short) {
                (true, false) => Next::End,
                (true, true) => Next::Abort,
                (false, _) => Next::Wait(self.signal.clone()),
            });
        }
        let Some(file) = &self.file else { return Ok(Next::Abort) };
        let mut bytes = vec![0; usize::try_from(count).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, self.at)?;
        self.at += count;
        Ok(Next::Ready(bytes.into()))
    }

    /// Tells whether another transfer brings what was given out already.
    fn is_continued(&self, new: Option<&File>, free: u64) -> io::Result<bool> {
        if self.at == self.start {
            return Ok(true);
        }
        let (Some(old), Some(new)) = (self.file.as_deref(), new) else { return Ok(false) };
        if free < self.at {
            return Ok(false);
        }
        let (mut one, mut other) = (vec![0; PIECE_BYTES as usize], vec![0; PIECE_BYTES as usize]);
        let mut at = self.start;
        while at < self.at {
            let count = (self.at - at).min(PIECE_BYTES) as usize;
            old.read_exact_at(&mut one[..count], at)?;
            new.read_exact_at(&mut other[..count], at)?;
            if one[..count] != other[..count] {
                return Ok(false);
            }
            at += count as u64;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A file that grows.
    fn staged(bytes: &[u8]) -> (File, File) {
        let file = tempfile::tempfile().unwrap();
        (&file).write_all(bytes).unwrap();
        (file.try_clone().unwrap(), file)
    }

    fn noise(size: u64, seed: u64) -> Vec<u8> {
        (0..size).map(|at| (at.wrapping_mul(seed) >> 3) as u8).collect()
    }

    /// Reads until there is nothing more for now.
    fn drain(reader: &mut FeedReader) -> (Vec<u8>, &'static str) {
        let mut bytes = Vec::new();
        loop {
            match reader.proceed() {
                Next::Ready(piece) => bytes.extend_from_slice(&piece),
                Next::Wait(_) => return (bytes, "wait"),
                Next::End => return (bytes, "end"),
                Next::Abort => return (bytes, "abort"),
            }
        }
    }

    fn running(bytes: &[u8], there: u64, size: Option<u64>) -> (Arc<Feed>, File) {
        let feed = Arc::new(Feed::new(None));
        let (copy, file) = staged(bytes);
        feed.began(copy, size);
        feed.grown(there);
        (feed, file)
    }

    const SIZE: u64 = 3 * HELD_BYTES;

    fn file() -> FlowEnd {
        FlowEnd::File(Sha256::of(b""))
    }

    fn trouble() -> Trouble {
        Trouble { status: StatusCode::BAD_GATEWAY, text: "no".to_owned(), remote: None, cause: None }
    }

    #[test]
    fn the_last_piece_waits_for_the_import() {
        for size in [Some(SIZE), None] {
            let bytes = noise(SIZE, 7);
            let (feed, _file) = running(&bytes, SIZE, size);
            let mut reader = FeedReader::new(feed.clone(), None, size);
            let (begin, why) = drain(&mut reader);
            assert_eq!((begin.len() as u64, why), (SIZE - HELD_BYTES, "wait"), "{size:?}");
            feed.done(SIZE, file());
            let (rest, why) = drain(&mut reader);
            assert_eq!(([begin, rest].concat() == bytes, why), (true, "end"));
        }
    }

    #[test]
    fn who_waits_is_woken() {
        let (feed, _file) = running(&noise(SIZE, 7), HELD_BYTES, Some(SIZE));
        let mut reader = FeedReader::new(feed.clone(), None, Some(SIZE));
        let (bytes, _) = drain(&mut reader);
        assert_eq!(bytes.len() as u64, HELD_BYTES);
        let Next::Wait(signal) = reader.proceed() else { panic!("nothing more is there") };
        assert!(!signal.has_changed().unwrap());
        feed.grown(SIZE);
        assert!(signal.has_changed().unwrap());
        assert_eq!(drain(&mut reader).0.len() as u64, SIZE - 2 * HELD_BYTES);
    }

    #[test]
    fn a_failure_breaks_off_whoever_reads() {
        let (feed, _file) = running(&noise(SIZE, 7), SIZE, None);
        let mut reader = FeedReader::new(feed.clone(), None, None);
        drain(&mut reader);
        feed.failed(trouble());
        assert_eq!(drain(&mut reader), (Vec::new(), "abort"));
        feed.done(SIZE, file());
        feed.failed(trouble());
        assert_eq!(feed.status(), Status::Done(file()), "what is done stays done");
    }

    #[test]
    fn a_transfer_that_starts_over_goes_on_where_its_bytes_are_the_same() {
        for (seed, expected) in [(7, "end"), (9, "abort")] {
            let (feed, _file) = running(&noise(SIZE, 7), SIZE, Some(SIZE));
            let mut reader = FeedReader::new(feed.clone(), None, Some(SIZE));
            let mut fresh = FeedReader::new(feed.clone(), None, Some(SIZE));
            let (begin, _) = drain(&mut reader);
            let bytes = noise(SIZE, seed);
            let (copy, _other) = staged(&bytes);
            feed.began(copy, Some(SIZE));
            assert_eq!(drain(&mut reader), (Vec::new(), "wait"), "it can't be known yet");
            feed.grown(SIZE);
            feed.done(SIZE, file());
            let (rest, why) = drain(&mut reader);
            assert_eq!(why, expected);
            assert!(why == "abort" && rest.is_empty() || [begin, rest].concat() == bytes);
            assert!(drain(&mut fresh) == (bytes, "end"), "who had nothing begins with the new bytes");
        }
    }

    #[test]
    fn who_was_promised_another_size_is_broken_off() {
        let (feed, _file) = running(&noise(SIZE, 7), SIZE, Some(SIZE + 1));
        let mut reader = FeedReader::new(feed.clone(), None, Some(SIZE + 1));
        drain(&mut reader);
        feed.done(SIZE, file());
        assert_eq!(drain(&mut reader).1, "abort");
    }

    #[test]
    fn a_part_ends_where_it_was_asked_to() {
        let bytes = noise(SIZE, 7);
        let (feed, _file) = running(&bytes, 100, Some(SIZE));
        let mut reader = FeedReader::new(feed.clone(), Some(50..HELD_BYTES), Some(SIZE));
        assert_eq!(drain(&mut reader), (bytes[50..100].to_vec(), "wait"));
        feed.grown(SIZE);
        assert_eq!(drain(&mut reader), (bytes[100..HELD_BYTES as usize].to_vec(), "end"));
        let mut tail = FeedReader::new(feed.clone(), Some(SIZE - 10..SIZE), Some(SIZE));
        assert_eq!(drain(&mut tail), (Vec::new(), "wait"), "a tail waits for the import");
        feed.done(SIZE, file());
        assert_eq!(drain(&mut tail), (bytes[bytes.len() - 10..].to_vec(), "end"));
    }

    #[test]
    fn an_answer_begins_with_the_first_byte_that_may_go_out() {
        let feed = Feed::new(Some(SIZE));
        assert!(!feed.is_ready() && !feed.wait(Instant::now()));
        let (copy, _file) = staged(&noise(SIZE, 7));
        feed.began(copy, Some(SIZE));
        feed.grown(1);
        assert!(feed.is_ready() && feed.wait(Instant::now()));
        let small = Feed::new(Some(HELD_BYTES));
        small.grown(HELD_BYTES);
        assert!(!small.is_ready(), "a small file waits for its import, so that its failure is an answer");
        small.failed(trouble());
        assert!(small.is_ready());
    }
}
