//! Bodies of answers as hyper takes them.
//!
//! A file is read piece by piece, where it isn't in the kernel's memory by threads that may wait, and no piece ahead of the client, so
//! that a slow client holds neither a thread nor much memory.

use super::access_log::Entry;
use super::feeding::Feeding;
use super::shares::{Busy, Place};
use crate::fs;
use crate::server::{Body, Server};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// The size of a piece: large enough that handing it to another thread doesn't count, small enough for a processor's cache.
const PIECE_BYTES: u64 = 256 << 10;
/// The size of a piece that the kernel has in memory: it is copied between two writes, in the processor's cache.
const AT_HAND_BYTES: u64 = 64 << 10;
/// A file of at most this size is read at once, by the thread that made the answer.
pub(super) const SMALL_BYTES: u64 = 64 << 10;

/// A body on its way.
pub(super) enum Outgoing {
    /// In memory, until it is taken.
    Bytes(Bytes),
    /// In a file.
    File(Reading),
    /// In a file that still comes from a remote.
    Feed(Feeding),
}

/// A file that is being read.
pub(super) struct Reading {
    file: Arc<File>,
    /// What was not asked for yet.
    rest: Range<u64>,
    /// What was not handed out yet.
    left: u64,
    next: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Outgoing {
    /// Takes a body. Small files are read here: this may wait for the disk.
    pub(super) fn prepare(body: Body) -> io::Result<Self> {
        match body {
            Body::Bytes(bytes) => Ok(Self::Bytes(bytes)),
            Body::File(file, range) if range.end - range.start <= SMALL_BYTES => {
                Ok(Self::Bytes(read(&file, range.start, (range.end - range.start) as usize)?))
            }
            Body::File(file, range) => {
                Ok(Self::File(Reading { file: Arc::new(file), left: range.end - range.start, rest: range, next: None }))
            }
            Body::Feed(reader) => Ok(Self::Feed(Feeding::new(reader))),
            Body::Pending(_) => Err(io::Error::other("an answer that waits has no body yet")),
        }
    }

    /// Takes a body without waiting: a small file must be in the kernel's memory. Gives back any other.
    pub(super) fn ready(body: Body) -> Result<Self, Body> {
        match body {
            Body::Bytes(bytes) => Ok(Self::Bytes(bytes)),
            Body::File(file, range) if range.end - range.start <= SMALL_BYTES => {
                match at_hand(&file, range.start, (range.end - range.start) as usize) {
                    Some(bytes) => Ok(Self::Bytes(bytes)),
                    None => Err(Body::File(file, range)),
                }
            }
            Body::File(file, range) => {
                Ok(Self::File(Reading { file: Arc::new(file), left: range.end - range.start, rest: range, next: None }))
            }
            other => Err(other),
        }
    }
}

impl Reading {
    fn start(&mut self) {
        let size = PIECE_BYTES.min(self.rest.end - self.rest.start);
        if size > 0 {
            let (file, at) = (self.file.clone(), self.rest.start);
            self.rest.start += size;
            self.next = Some(tokio::task::spawn_blocking(move || read(&file, at, size as usize)));
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if self.next.is_none() {
            let size = AT_HAND_BYTES.min(self.rest.end - self.rest.start);
            if let Some(piece) = at_hand(&self.file, self.rest.start, size as usize) {
                self.rest.start += size;
                self.left -= size;
                return Poll::Ready(Some(Ok(piece)));
            }
            self.start();
        }
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let piece = ready!(Pin::new(next).poll(context)).unwrap_or_else(|error| Err(io::Error::other(error)));
        self.next = None;
        if let Ok(piece) = &piece {
            self.left -= piece.len() as u64;
        }
        Poll::Ready(Some(piece))
    }
}

/// Reads so many bytes, if that takes no waiting for the disk.
fn at_hand(file: &File, at: u64, size: usize) -> Option<Bytes> {
    let mut bytes = vec![0; size];
    (size == 0 || fs::read_at_hand(file, at, &mut bytes)).then(|| bytes.into())
}

/// Reads so many bytes, or fails: a blob has the length that it was announced with.
fn read(file: &File, at: u64, size: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::File(reading) => reading.poll(context).map(|piece| piece.map(|piece| piece.map(Frame::data))),
            Self::Feed(feeding) => feeding.poll(context).map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::File(reading) => reading.left == 0,
            Self::Feed(feeding) => feeding.left() == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::File(reading) => SizeHint::with_exact(reading.left),
            Self::Feed(feeding) => feeding.left().map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}

/// A body whose bytes are counted as they go out.
pub(super) struct Counted {
    body: Outgoing,
    server: Arc<Server>,
    /// Until it is gone, its connection is busy, and its place is taken.
    _held: (Busy, Option<Place>),
    /// The line of the log that is written then.
    entry: Option<Entry>,
}

impl Counted {
    pub(super) fn new(body: Outgoing, server: Arc<Server>, held: (Busy, Option<Place>), entry: Option<Entry>) -> Self {
        Self { body, server, _held: held, entry }
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let own = self.get_mut();
        let frame = ready!(Pin::new(&mut own.body).poll_frame(context));
        if let Some(bytes) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            own.server.counters.sent_bytes.add(bytes.len() as u64);
            if let Some(entry) = &mut own.entry {
                entry.add(bytes.len());
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
