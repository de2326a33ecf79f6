//! How members are packed: the methods that are read, and Zstandard, which `flate2` doesn't know.

use super::{Archive, ENCRYPTED, Entry, HEADER_BYTES, ReadAt, ZipError};
use flate2::{Decompress, FlushDecompress};
use std::io;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

/// The methods of APPNOTE 4.4.5 that are read here.
pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;
pub(super) const ZSTD: u16 = 93;
/// Those that Python's `zipfile` reads besides: bzip2 and LZMA.
const PYTHONS: [u16; 2] = [12, 14];

/// How much is looked at of how a member begins, and what is read for it: behind extra fields, a block's code comes first.
const HEAD_BYTES: usize = 8;
const PACKED_BYTES: usize = 512;

/// The largest window of a stream packed by Zstandard, as a power of two: 8 MiB, what every reader must be able to hold (RFC 8878).
const MAX_WINDOW: u32 = 23;

impl Entry<'_> {
    /// Makes sure that the member can be read here.
    pub(super) fn check_readable(&self) -> Result<(), ZipError> {
        self.check_installable()?;
        match self.method {
            STORED | DEFLATED | ZSTD => Ok(()),
            other => Err(self.refused("compression method 0, 8 or 93", format!("method {other}"))),
        }
    }

    /// Makes sure that some installer could unpack the member: it isn't encrypted, and of a method that one of them knows.
    pub fn check_installable(&self) -> Result<(), ZipError> {
        if self.flags & ENCRYPTED != 0 {
            return Err(self.refused("a readable member", "an encrypted one"));
        }
        let is_known = matches!(self.method, STORED | DEFLATED | ZSTD) || PYTHONS.contains(&self.method);
        let refused = || self.refused("compression method 0, 8, 12, 14 or 93", format!("method {}", self.method));
        if is_known { Ok(()) } else { Err(refused()) }
    }
}

/// Unpacks bytes that become at most `size`.
pub(super) fn unpack_zstd(packed: &[u8], size: usize) -> io::Result<Vec<u8>> {
    zstd::bulk::decompress(packed, size)
}

/// Returns a decoder of a stream.
pub(super) fn zstd() -> io::Result<Decoder<'static>> {
    let mut decoder = Decoder::new()?;
    decoder.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(MAX_WINDOW))?;
    Ok(decoder)
}

/// Unpacks a piece, and returns how many bytes were used and how many made.
pub(super) fn step_zstd(decoder: &mut Decoder<'_>, input: &[u8], out: &mut [u8]) -> io::Result<(usize, usize)> {
    let mut from = InBuffer::around(input);
    let mut to = OutBuffer::around(out);
    decoder.run(&mut from, &mut to)?;
    let made = to.pos();
    Ok((from.pos(), made))
}

/// Looks at how members begin, one after the other: far cheaper than reading them.
pub struct Peek<'a, R: ?Sized> {
    archive: &'a Archive<'a, R>,
    inflater: Decompress,
}

impl<'a, R: ReadAt + ?Sized> Archive<'a, R> {
    /// Returns what looks at how members begin.
    pub fn peek(&'a self) -> Peek<'a, R> {
        Peek { archive: self, inflater: Decompress::new(false) }
    }
}

impl<R: ReadAt + ?Sized> Peek<'_, R> {
    /// Returns a member's first eight bytes; `None` where they can't be told.
    pub fn first_bytes(&mut self, entry: &Entry<'_>) -> Option<[u8; HEAD_BYTES]> {
        let fixed = HEADER_BYTES + entry.name.len();
        let room = self.archive.directory.0.checked_sub(entry.offset)?;
        let piece = self.archive.tail.get(entry.offset, room.min((fixed + PACKED_BYTES) as u64)).ok()?;
        let extra = usize::from(u16::from_le_bytes(*piece.get(28..)?.first_chunk()?));
        let packed = piece.get(fixed + extra..).filter(|packed| !packed.is_empty())?;
        let mut head = [0; HEAD_BYTES];
        match entry.method {
            STORED => head = *packed.first_chunk()?,
            DEFLATED => {
                self.inflater.reset(false);
                self.inflater.decompress(packed, &mut head, FlushDecompress::None).ok()?;
                if self.inflater.total_out() < HEAD_BYTES as u64 {
                    return None;
                }
            }
            _ => return None,
        }
        Some(head)
    }
}
