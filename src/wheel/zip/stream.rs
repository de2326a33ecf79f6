//! A member of an archive as a stream: inflated piece by piece, its size and CRC checked at its end.
//!
//! Members inflate to gigabytes, so neither the packed nor the inflated bytes are ever in memory whole. A member that says it is
//! larger than the cap, that packs better than real ones do, or that goes on after the size it announced, is refused.

use super::packing::{self, step_zstd};
use super::{Archive, Entry, HEADER_BYTES, ReadAt, ZipError, le16};
use flate2::{Crc, Decompress, FlushDecompress, Status};
use std::io::{self, Read};

/// How much is read from the archive at a time.
const READ_BYTES: usize = 64 * 1024;
/// Members smaller than this may pack as well as they like.
const FREE_BYTES: u64 = 64 * 1024 * 1024;
/// The best ratio of larger ones. Deflate ends at 1032; device code, the best of real members, stays below 30.
const MAX_RATIO: u64 = 200;

/// Reads one member; made by [`Archive::reader`].
pub struct MemberReader<'a, R: ?Sized> {
    source: &'a R,
    entry: Entry<'a>,
    /// Where the next packed byte is in the file, and how many follow.
    place: u64,
    packed_left: u64,
    inflater: Inflater,
    input: Vec<u8>,
    /// The part of `input` that is not yet used.
    start: usize,
    crc: Crc,
    inflated: u64,
    is_done: bool,
}

/// What unpacks a member.
enum Inflater {
    /// It isn't packed.
    None,
    Deflate(Decompress),
    Zstd(zstd::stream::raw::Decoder<'static>),
}

impl Inflater {
    /// Unpacks a piece: how many bytes were used, how many made, and whether it says that this was all.
    fn step(&mut self, input: &[u8], out: &mut [u8]) -> io::Result<(usize, usize, bool)> {
        match self {
            Self::None => {
                let len = input.len().min(out.len());
                out[..len].copy_from_slice(&input[..len]);
                Ok((len, len, input.is_empty()))
            }
            Self::Deflate(inflater) => {
                let before = (inflater.total_in(), inflater.total_out());
                let status = inflater.decompress(input, out, FlushDecompress::None).map_err(io::Error::other)?;
                let (used, made) = (inflater.total_in() - before.0, inflater.total_out() - before.1);
                Ok((used as usize, made as usize, status == Status::StreamEnd))
            }
            Self::Zstd(decoder) => {
                let (used, made) = step_zstd(decoder, input, out)?;
                Ok((used, made, input.is_empty() && made == 0))
            }
        }
    }
}

impl<R: ReadAt + ?Sized> Archive<'_, R> {
    /// Opens a member as a stream; one that says it is larger than `cap` bytes is refused.
    ///
    /// An error in the member's bytes comes from the reader, as an [`io::Error`] that holds a [`ZipError`].
    pub fn reader<'a>(&'a self, entry: &Entry<'a>, cap: u64) -> Result<MemberReader<'a, R>, ZipError> {
        entry.check_readable()?;
        if entry.size > cap {
            return Err(entry.refused(format!("at most {cap} bytes"), format!("{}", entry.size)));
        }
        if entry.packs_too_well() {
            let found = format!("{} bytes from {}", entry.size, entry.packed_size);
            return Err(entry.refused(format!("at most {MAX_RATIO} bytes from each"), found));
        }
        let inflater = match entry.method {
            packing::STORED if entry.size != entry.packed_size => {
                return Err(entry.refused(format!("{} bytes", entry.size), format!("{}", entry.packed_size)));
            }
            packing::STORED => Inflater::None,
            packing::ZSTD => Inflater::Zstd(packing::zstd().map_err(|error| entry.refused("room", error.to_string()))?),
            _ => Inflater::Deflate(Decompress::new(false)),
        };
        Ok(MemberReader {
            source: self.tail.source,
            entry: *entry,
            place: self.bytes_start(entry)?,
            packed_left: entry.packed_size,
            inflater,
            input: Vec::new(),
            start: 0,
            crc: Crc::new(),
            inflated: 0,
            is_done: false,
        })
    }

    /// Returns where a member's packed bytes begin, and makes sure that they are before the directory.
    pub(super) fn bytes_start(&self, entry: &Entry<'_>) -> Result<u64, ZipError> {
        let outside =
            || entry.refused("its bytes before the directory", format!("a header at offset {}", entry.offset));
        let room = self.directory.0.checked_sub(entry.offset).ok_or_else(outside)?;
        let fixed = (HEADER_BYTES + entry.name.len()) as u64;
        if room < fixed {
            return Err(outside());
        }
        let header = self.tail.get(entry.offset, fixed)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(entry.refused("a member's header", format!("other bytes at offset {}", entry.offset)));
        }
        let len = usize::from(le16(&header, 26));
        entry.compare_name(header[HEADER_BYTES..].get(..len).unwrap_or_default())?;
        let skip = fixed + u64::from(le16(&header, 28));
        match skip.checked_add(entry.packed_size) {
            Some(end) if end <= room => Ok(entry.offset + skip),
            _ => Err(outside()),
        }
    }
}

impl Entry<'_> {
    /// Tells whether the member says that it packs better than any real one does.
    pub fn packs_too_well(&self) -> bool {
        self.size > FREE_BYTES && self.size / MAX_RATIO > self.packed_size
    }
}

impl<R: ReadAt + ?Sized> MemberReader<'_, R> {
    /// Reads packed bytes when all before them are used.
    fn fill(&mut self) -> io::Result<()> {
        if self.start < self.input.len() || self.packed_left == 0 {
            return Ok(());
        }
        let len = self.packed_left.min(READ_BYTES as u64);
        self.input.resize(len as usize, 0);
        self.source.read_exact_at(&mut self.input, self.place)?;
        (self.place, self.packed_left, self.start) = (self.place + len, self.packed_left - len, 0);
        Ok(())
    }

    /// Writes the next bytes; none only at the end.
    fn inflate(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            self.fill()?;
            let stepped = self.inflater.step(&self.input[self.start..], out);
            let (used, made, is_end) = stepped.map_err(|error| self.refused("packed bytes", error.to_string()))?;
            self.start += used;
            match (used, made, is_end) {
                (_, 1.., _) | (_, _, true) => return Ok(made),
                (0, ..) => return Err(self.refused("packed bytes to their end", "fewer".to_owned())),
                _ => {}
            }
        }
    }

    /// Checks what can be known only at the end.
    fn finish(&mut self) -> io::Result<()> {
        let left = self.packed_left + (self.input.len() - self.start) as u64;
        if self.inflated != self.entry.size || left != 0 {
            let expected = format!("{} bytes from {}", self.entry.size, self.entry.packed_size);
            return Err(self.refused(&expected, format!("{} from {}", self.inflated, self.entry.packed_size - left)));
        }
        if self.crc.sum() != self.entry.crc {
            let expected = format!("CRC {:08x}", self.entry.crc);
            return Err(self.refused(&expected, format!("{:08x}", self.crc.sum())));
        }
        self.is_done = true;
        Ok(())
    }

    fn refused(&self, expected: &str, found: String) -> io::Error {
        io::Error::other(self.entry.refused(expected, found))
    }
}

impl<R: ReadAt + ?Sized> Read for MemberReader<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.is_done || out.is_empty() {
            return Ok(0);
        }
        let len = self.inflate(out)?;
        self.inflated += len as u64;
        if self.inflated > self.entry.size {
            return Err(self.refused(&format!("{} bytes", self.entry.size), "more".to_owned()));
        }
        self.crc.update(&out[..len]);
        if len == 0 {
            self.finish()?;
        }
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::zip;
    use super::*;

    fn read(bytes: &[u8], change: impl Fn(&mut Entry<'_>), cap: u64) -> Result<Vec<u8>, String> {
        let archive = Archive::open(bytes).unwrap();
        let mut entry = archive.entries().next().unwrap().unwrap();
        change(&mut entry);
        let mut reader = archive.reader(&entry, cap).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        reader.read_to_end(&mut out).map_err(|error| error.to_string())?;
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
        Ok(out)
    }

    #[test]
    fn a_stream_gives_what_reading_the_member_whole_gives() {
        for size in [0, 1, 5000, 300_000] {
            let content: Vec<u8> = (0..size).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            let bytes = zip(&[("a", &content), ("b", b"x")]);
            assert!(read(&bytes, |_| {}, 1 << 20).unwrap() == content);
            assert!(read(&[&b"before"[..], &bytes].concat(), |_| {}, 1 << 20).unwrap() == content);
        }
    }

    #[test]
    fn a_bomb_is_refused_before_or_while_it_is_inflated() {
        let bytes = zip(&[("bomb", &vec![0; 1 << 20])]);
        assert!(read(&bytes, |_| {}, 1000).unwrap_err().contains("at most 1000 bytes, found 1048576"));
        assert!(
            read(&bytes, |entry| entry.size = 1000, 1 << 30).unwrap_err().contains("expected 1000 bytes, found more")
        );
        assert!(
            read(&bytes, |entry| entry.size = 1 << 27, 1 << 30).unwrap_err().contains("at most 200 bytes from each")
        );
        assert!(read(&bytes, |entry| entry.size += 1, 1 << 30).unwrap_err().contains("found 1048576 from"));
        assert!(read(&bytes, |entry| entry.crc ^= 1, 1 << 30).unwrap_err().contains("CRC"));
        assert!(read(&bytes, |entry| entry.packed_size -= 1, 1 << 30).is_err());
        assert!(read(&bytes, |entry| entry.packed_size = u64::MAX, 1 << 30).is_err());
        assert!(read(&bytes, |entry| entry.method = 12, 1 << 30).unwrap_err().contains("method 12"));
        assert!(read(&bytes, |entry| entry.flags = 1, 1 << 30).unwrap_err().contains("encrypted"));
        assert!(read(&bytes, |entry| entry.name = b"other", 1 << 30).unwrap_err().contains("same name"));
    }

    #[test]
    fn no_changed_byte_makes_it_panic_or_give_other_bytes() {
        let content: Vec<u8> = (0..600u32).map(|at| (at * at) as u8).collect();
        let good = zip(&[("a", &content)]);
        for at in 0..good.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] ^= flip;
                let Ok(archive) = Archive::open(&bytes[..]) else { continue };
                let Some(Ok(entry)) = archive.entries().next() else { continue };
                let Ok(mut reader) = archive.reader(&entry, 1 << 20) else { continue };
                let mut out = Vec::new();
                if reader.read_to_end(&mut out).is_ok() {
                    assert!(out == content, "byte {at}");
                }
            }
        }
    }
}
