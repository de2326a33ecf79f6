//! Reads single members of a zip archive: its directory first, from the tail, then only the bytes that are asked for.
//!
//! As strict as safety needs: an archive that two readers could see differently (bytes after its end, a directory that
//! does not add up, a member whose two names differ) is refused, and so are names that lead out of a folder. Bytes before
//! the archive, as in a self-extracting one, are allowed: all offsets shift by their number, as in Python's `zipfile`. So are NUL bytes
//! after it, with which some stores of artifacts fill up a block. Nothing here panics on any bytes.

mod check;
mod directory;
mod end;
mod error;
mod gaps;
mod literal;
mod packing;
mod peek;
mod source;
mod stream;

pub use directory::Entries;
pub use error::ZipError;
pub use source::ReadAt;
pub use stream::MemberReader;

use crate::budget::{self, Excess};
use directory::zip64_extra;
use end::{End, find_end};
use flate2::{Crc, Decompress, FlushDecompress, Status};
use source::Tail;
use std::borrow::Cow;
use std::fs::File;

/// The first read from the end: holds the whole directory of most wheels, and their METADATA.
const FIRST_READ: u64 = 64 * 1024;
/// The fixed part of the end record.
const END_BYTES: usize = 22;
/// The farthest that an end record can lie from the end: it may have a comment of 65 535 bytes.
const END_REACH: u64 = END_BYTES as u64 + u16::MAX as u64;
/// The zip64 end record's fixed part, and the locator that follows the record.
const END64_BYTES: u64 = 56;
const LOCATOR_BYTES: u64 = 20;
/// The flags of an encrypted member, of one whose numbers follow its bytes, and of one whose name is in UTF-8.
const ENCRYPTED: u16 = 1;
const NUMBERS_LATER: u16 = 1 << 3;
const UTF8: u16 = 1 << 11;
/// The fixed part of an entry of the directory, and of a member's own header.
const ENTRY_BYTES: usize = 46;
const HEADER_BYTES: usize = 30;

/// A zip archive whose directory has been read.
pub struct Archive<'a, R: ?Sized = File> {
    tail: Tail<'a, R>,
    /// The directory's range in the file; the tail covers it.
    directory: (u64, u64),
    /// The number of entries that the end record announces, and the bits of it that the record can hold.
    announced: (u64, u64),
    /// The number of bytes before the archive itself.
    shift: u64,
}

/// A member, as the directory describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The member's name: a relative path with slashes, in an encoding that is nearly always UTF-8.
    pub name: &'a [u8],
    /// The number of its bytes when unpacked.
    pub size: u64,
    /// The number of its bytes in the archive.
    pub packed_size: u64,
    /// When it was last changed, as MS-DOS tells it: the date above the time.
    pub modified: u32,
    /// The mode that Unix gave it; 0: none.
    pub mode: u16,
    flags: u16,
    method: u16,
    crc: u32,
    /// Where the member's own header begins, in the file.
    offset: u64,
}

impl<'a, R: ReadAt + ?Sized> Archive<'a, R> {
    /// Finds and reads the directory.
    pub fn open(source: &'a R) -> Result<Self, ZipError> {
        let size = source.size().map_err(|source| ZipError::Read { offset: 0, len: 0, source })?;
        let mut tail = Tail { source, size, start: 0, bytes: Vec::new() };
        tail.extend_to(size.saturating_sub(FIRST_READ))?;
        if find_end(&tail.bytes).is_none() && tail.start > 0 {
            tail.extend_to(size.saturating_sub(END_REACH))?;
        }
        let Some((at, record)) = find_end(&tail.bytes) else {
            return Err(ZipError::NoEnd { searched: tail.bytes.len() as u64, size });
        };
        let end = tail.start + at as u64;
        let after = size - end - END_BYTES as u64;
        let comment = usize::from(le16(record, 20));
        let padding = tail.bytes.get(at + END_BYTES + comment..);
        if padding.is_none_or(|padding| padding.iter().any(|byte| *byte != 0)) {
            return Err(damaged("an end record whose comment goes to the end", format!("{after} bytes after it")));
        }
        let (end, record) = End::read(&tail, end, record)?;
        if record.disks {
            return Err(damaged("an archive in one part", "one in several".to_owned()));
        }
        if record.bytes > budget::ZIP_DIRECTORY.limit {
            return Err(ZipError::TooMuch(Excess(budget::ZIP_DIRECTORY)));
        }
        // The directory ends where the end record begins; where it says to start tells how many bytes stand before the
        // archive.
        let start = end.checked_sub(record.bytes);
        let Some((start, shift)) = start.and_then(|start| Some((start, start.checked_sub(record.offset)?))) else {
            let found = format!("{} bytes at offset {} with the end at {end}", record.bytes, record.offset);
            return Err(damaged("a directory inside the file", found));
        };
        if start < tail.start {
            tail.extend_to(start)?;
        }
        Ok(Self { tail, directory: (start, end), announced: (record.count, record.count_mask), shift })
    }

    /// Walks the members in the directory's order; the first thing wrong is the last item.
    pub fn entries(&self) -> Entries<'_> {
        let (start, end) = self.directory;
        let inside = (start - self.tail.start) as usize..(end - self.tail.start) as usize;
        Entries {
            rest: self.tail.bytes.get(inside).unwrap_or_default(),
            count: 0,
            announced: self.announced,
            directory: start,
            shift: self.shift,
            done: false,
        }
    }

    /// Reads a member whole, and checks its size and CRC; one larger than `cap` bytes is refused.
    pub fn read(&self, entry: &Entry<'_>, cap: u64) -> Result<Vec<u8>, ZipError> {
        entry.check_readable()?;
        if entry.size > cap || entry.packed_size > cap {
            let largest = entry.size.max(entry.packed_size);
            return Err(entry.refused(format!("at most {cap} bytes"), format!("{largest}")));
        }
        let packed = self.packed(entry)?;
        let bytes = match entry.method {
            packing::STORED => packed.into_owned(),
            packing::ZSTD => packing::unpack_zstd(&packed, entry.size as usize)
                .map_err(|error| entry.refused("bytes packed by zstd", error.to_string()))?,
            _ => entry.inflate(&packed)?,
        };
        if bytes.len() as u64 != entry.size {
            return Err(entry.refused(format!("{} bytes", entry.size), format!("{}", bytes.len())));
        }
        let mut crc = Crc::new();
        crc.update(&bytes);
        if crc.sum() != entry.crc {
            return Err(entry.refused(format!("CRC {:08x}", entry.crc), format!("{:08x}", crc.sum())));
        }
        Ok(bytes)
    }

    /// Returns a member's bytes as they are in the archive.
    fn packed(&self, entry: &Entry<'_>) -> Result<Cow<'_, [u8]>, ZipError> {
        // The header's extra field is not the directory's. A guess at it spares members outside the tail a second read.
        const EXTRA_GUESS: u64 = 64;
        let outside =
            || entry.refused("its bytes before the directory", format!("a header at offset {}", entry.offset));
        let room =
            self.directory.0.checked_sub(entry.offset).filter(|room| entry.packed_size <= *room).ok_or_else(outside)?;
        let fixed = (HEADER_BYTES + entry.name.len()) as u64;
        let guess = self.tail.get(entry.offset, room.min(fixed + EXTRA_GUESS + entry.packed_size))?;
        let Some(header) = guess.first_chunk::<HEADER_BYTES>().filter(|header| header.starts_with(b"PK\x03\x04"))
        else {
            return Err(entry.refused("a member's header", format!("other bytes at offset {}", entry.offset)));
        };
        let name_len = usize::from(le16(header, 26));
        let name = guess.get(HEADER_BYTES..).and_then(|rest| rest.get(..name_len)).unwrap_or_default();
        entry.compare_name(name)?;
        let skip = fixed + u64::from(le16(header, 28));
        if skip + entry.packed_size > room {
            return Err(outside());
        }
        let wanted = skip as usize..(skip + entry.packed_size) as usize;
        match guess {
            Cow::Borrowed(guess) if guess.len() >= wanted.end => Ok(Cow::Borrowed(&guess[wanted])),
            Cow::Owned(mut guess) if guess.len() >= wanted.end => {
                guess.truncate(wanted.end);
                guess.drain(..wanted.start);
                Ok(Cow::Owned(guess))
            }
            _ => self.tail.get(entry.offset + skip, entry.packed_size),
        }
    }
}

impl Entry<'_> {
    fn inflate(&self, packed: &[u8]) -> Result<Vec<u8>, ZipError> {
        // One byte more than announced shows a member that is longer; the sizes are below the cap already.
        let mut bytes = Vec::with_capacity(self.size as usize + 1);
        let mut inflater = Decompress::new(false);
        match inflater.decompress_vec(packed, &mut bytes, FlushDecompress::Finish) {
            Ok(Status::StreamEnd) if inflater.total_in() == self.packed_size => Ok(bytes),
            Ok(_) => {
                let expected = format!("{} bytes from {}", self.size, self.packed_size);
                Err(self.refused(expected, format!("{} from {}", inflater.total_out(), inflater.total_in())))
            }
            Err(error) => Err(self.refused("deflated bytes", error.to_string())),
        }
    }

    fn refused(&self, expected: impl Into<String>, found: impl Into<String>) -> ZipError {
        let name = String::from_utf8_lossy(self.name).into_owned();
        ZipError::Member { name, expected: expected.into(), found: found.into() }
    }
}

fn damaged(expected: &'static str, found: String) -> ZipError {
    ZipError::Damaged { expected, found }
}

/// Reads a number in a record; each caller's record is longer than its constant offsets.
fn le16(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

fn le32(record: &[u8], at: usize) -> u32 {
    u32::from(le16(record, at)) | u32::from(le16(record, at + 2)) << 16
}

fn le64(record: &[u8], at: usize) -> u64 {
    u64::from(le32(record, at)) | u64::from(le32(record, at + 4)) << 32
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Write;

    /// Makes a zip archive, members deflated.
    pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (name, content) in members {
            let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            packed.write_all(content).unwrap();
            let packed = packed.finish().unwrap();
            let mut crc = Crc::new();
            crc.update(content);
            let numbers = [crc.sum(), packed.len() as u32, content.len() as u32].map(u32::to_le_bytes).concat();
            let common = [&[20, 0, 0, 0, 8, 0, 0, 0, 33, 0], &numbers[..], &[name.len() as u8, 0, 0, 0]].concat();
            let offset = (bytes.len() as u32).to_le_bytes();
            directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &offset, name.as_bytes()].concat());
            bytes.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat());
        }
        let count = (members.len() as u16).to_le_bytes();
        let place = [directory.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
        bytes.extend([&directory[..], b"PK\x05\x06\0\0\0\0", &count, &count, &place, &[0, 0]].concat());
        bytes
    }

    /// Reads all members, as far as they can be.
    fn unpack(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ZipError> {
        let archive = Archive::open(bytes)?;
        let members = archive.entries().map(|entry| {
            let entry = entry?;
            Ok((String::from_utf8_lossy(entry.name).into_owned(), archive.read(&entry, 1 << 20)?))
        });
        members.collect()
    }

    fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
        let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
        assert!(!places.is_empty());
        places.iter().for_each(|at| bytes[*at..*at + old.len()].copy_from_slice(new));
    }

    const MEMBERS: &[(&str, &[u8])] = &[("a/b.txt", b"wheels wheels wheels"), ("empty", b"")];

    #[test]
    fn members_are_read_back_whatever_stands_around_the_archive() {
        let plain = zip(MEMBERS);
        let want = unpack(&plain).unwrap();
        assert_eq!(want[0], ("a/b.txt".to_owned(), b"wheels wheels wheels".to_vec()));
        assert_eq!(want[1], ("empty".to_owned(), Vec::new()));
        assert_eq!(unpack(&[&[b'#'; 70_000], &plain[..]].concat()).unwrap(), want, "bytes before it");
        for len in [1, 65_000, 65_535u16] {
            let mut comment = plain.clone();
            let at = comment.len() - 2;
            comment.splice(at.., len.to_le_bytes());
            comment.resize(comment.len() + usize::from(len), b'-');
            assert_eq!(unpack(&comment).unwrap(), want, "a comment of {len} bytes");
        }
        assert!(unpack(&[&plain[..], b"more"].concat()).is_err(), "bytes after it");
        for nuls in [1, 512, 60_000] {
            assert_eq!(unpack(&[&plain[..], &vec![0; nuls]].concat()).unwrap(), want, "{nuls} NUL bytes after it");
        }
        assert!(unpack(&[&plain[..], &[0, 0, 1]].concat()).is_err(), "NUL bytes and another after it");
    }

    #[test]
    fn a_directory_larger_than_the_first_read_is_read_whole() {
        let names: Vec<String> = (0..2000).map(|n| format!("package/{n:0>60}")).collect();
        let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
        let read = unpack(&zip(&members)).unwrap();
        assert_eq!(read.len(), 2000);
        assert!(read.iter().all(|(name, content)| name.as_bytes() == content));
    }

    #[test]
    fn zip64_records_are_understood() {
        let plain = zip(MEMBERS);
        let (body, end) = plain.split_at(plain.len() - END_BYTES);
        let wide = |at: usize| u64::from(le32(end, at)).to_le_bytes();
        let count = 2u64.to_le_bytes();
        let record =
            [b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0", &count[..], &count, &wide(12), &wide(16)];
        let place = (body.len() as u64).to_le_bytes();
        let locator = [b"PK\x06\x07\0\0\0\0", &place[..], &[1, 0, 0, 0]].concat();
        let end = [b"PK\x05\x06\0\0\0\0", &[0xff; 12][..], &[0, 0]].concat();
        let wide = [body, &record.concat(), &locator, &end].concat();
        assert_eq!(unpack(&wide).unwrap(), unpack(&plain).unwrap());
        assert_eq!(unpack(&[b"#!", &wide[..]].concat()).unwrap(), unpack(&plain).unwrap());
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in ["/abs", "../up", "a/../../b", "a/..", "a\\b", "a\0b", ".."] {
            assert!(matches!(unpack(&zip(&[(name, b"x")])), Err(ZipError::UnsafeName(_))), "{name:?}");
        }
        for name in ["a..b/c", "...", "a/.../b", "é"] {
            assert!(unpack(&zip(&[(name, b"x")])).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn an_archive_that_two_readers_could_see_differently_is_refused() {
        let refused = |change: fn(&mut Vec<u8>)| {
            let mut bytes = zip(MEMBERS);
            change(&mut bytes);
            unpack(&bytes).unwrap_err().to_string()
        };
        let name = refused(|bytes| bytes[31] = b'-');
        assert_eq!(name, "cannot read the member \"a/b.txt\": expected the same name in its header, found \"a-b.txt\"");
        assert!(
            refused(|bytes| replace(bytes, b"\0\0\0\0\x02\0\x02\0", b"\0\0\0\0\x03\0\x03\0")).contains("found 2 of 3")
        );
        assert!(refused(|bytes| replace(bytes, b"\x14\0\0\0\x08\0", b"\x14\0\x01\0\x08\0")).contains("encrypted"));
        assert!(refused(|bytes| replace(bytes, b"\x14\0\0\0\x08\0", b"\x14\0\0\0\x0c\0")).contains("method 12"));
        assert!(
            refused(|bytes| replace(bytes, b"\0\0\0\0\x02\0\x02\0", b"\x01\0\0\0\x02\0\x02\0")).contains("several")
        );
        let crc_of_the_last = |bytes: &mut Vec<u8>| {
            let entry = bytes.len() - END_BYTES - ENTRY_BYTES - "empty".len();
            bytes[entry + 16] ^= 1;
        };
        assert!(refused(crc_of_the_last).contains("CRC"));
    }

    #[test]
    fn a_member_larger_than_the_cap_or_than_it_says_is_refused() {
        let bytes = zip(&[("bomb", &[0; 100_000])]);
        let archive = Archive::open(&bytes[..]).unwrap();
        let entry = archive.entries().next().unwrap().unwrap();
        assert!(archive.read(&entry, 99_999).unwrap_err().to_string().contains("at most 99999 bytes, found 100000"));
        for size in [99_999, 100_001] {
            assert!(archive.read(&Entry { size, ..entry }, 1 << 20).is_err(), "{size}");
        }
        assert_eq!(archive.read(&entry, 100_000).unwrap().len(), 100_000);
    }
}
