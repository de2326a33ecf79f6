//! How members are packed: the methods that are read, and Zstandard, which `flate2` doesn't know.

use super::{ENCRYPTED, Entry, ZipError};
use std::io;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

/// The methods of APPNOTE 4.4.5 that are read here.
pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;
pub(super) const ZSTD: u16 = 93;
/// Those that Python's `zipfile` reads besides: bzip2 and LZMA.
const PYTHONS: [u16; 2] = [12, 14];

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
