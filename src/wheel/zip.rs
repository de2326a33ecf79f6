//! Reads single members of a zip archive: its directory first, from the tail, then only the bytes that are asked for.
//!
//! As strict as safety needs: an archive that two readers could see differently (bytes after its end, a directory that
//! does not add up, a member whose two names differ) is refused, and so are names that lead out of a folder. Bytes before
//! the archive, as in a self-extracting one, are allowed: all offsets shift by their number, as in Python's `zipfile`. So are NUL bytes
//! after it, with which some stores of artifacts fill up a block. Nothing here panics on any bytes.

mod check;
mod gaps;
mod literal;
mod packing;
mod peek;
mod stream;

pub use stream::MemberReader;

use crate::budget::{self, Excess};
use flate2::{Crc, Decompress, FlushDecompress, Status};
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

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

/// Why an archive, or a member of one, was refused.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// The file can't be read.
    #[error("cannot read {len} bytes at offset {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// How many.
        len: u64,
        /// The disk's answer.
        source: io::Error,
    },
    /// No end record: not a zip archive, or a truncated one.
    #[error("expected a zip archive's end record in the last {searched} bytes of {size}, found none")]
    NoEnd {
        /// The number of bytes looked at.
        searched: u64,
        /// The file's size.
        size: u64,
    },
    /// The archive's directory contradicts itself.
    #[error("damaged zip archive: expected {expected}, found {found}")]
    Damaged {
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// More than is read.
    #[error("{0}")]
    TooMuch(Excess),
    /// A name that leads out of the folder where the archive is unpacked.
    #[error("unsafe member name {0:?}: expected a relative path without '..', backslash or NUL")]
    UnsafeName(String),
    /// A member that can't be read.
    #[error("cannot read the member {name:?}: expected {expected}, found {found}")]
    Member {
        /// The member's name.
        name: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
}

/// Bytes that can be read at any offset, without a cursor: files, and slices in tests.
pub trait ReadAt {
    /// Returns the number of bytes.
    fn size(&self) -> io::Result<u64>;
    /// Fills `bytes` from `offset` on, or fails.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, bytes, offset)
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let from = self.get(start..).and_then(|rest| rest.get(..bytes.len()));
        bytes.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// The source, with its tail in memory.
struct Tail<'a, R: ?Sized> {
    source: &'a R,
    size: u64,
    /// Where `bytes` begin; they go to the end.
    start: u64,
    bytes: Vec<u8>,
}

impl<R: ReadAt + ?Sized> Tail<'_, R> {
    /// Reads the tail anew, from `start` on.
    fn extend_to(&mut self, start: u64) -> Result<(), ZipError> {
        self.bytes = self.read(start, self.size - start)?;
        self.start = start;
        Ok(())
    }

    /// Returns the bytes of a range inside the file, from memory where they are there.
    fn get(&self, offset: u64, len: u64) -> Result<Cow<'_, [u8]>, ZipError> {
        let start = offset.checked_sub(self.start).map(|start| start as usize);
        match start.and_then(|start| self.bytes.get(start..)?.get(..len as usize)) {
            Some(bytes) => Ok(Cow::Borrowed(bytes)),
            None => self.read(offset, len).map(Cow::Owned),
        }
    }

    fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>, ZipError> {
        let mut bytes = vec![0; len as usize];
        match self.source.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(bytes),
            Err(source) => Err(ZipError::Read { offset, len, source }),
        }
    }
}

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

/// What the end record says, with zip64's numbers where it has them.
struct End {
    disks: bool,
    count: u64,
    count_mask: u64,
    bytes: u64,
    offset: u64,
}

impl End {
    /// Returns where the directory ends, and what is said of it.
    fn read<R: ReadAt + ?Sized>(
        tail: &Tail<'_, R>,
        end: u64,
        record: &[u8; END_BYTES],
    ) -> Result<(u64, Self), ZipError> {
        let locator = match end.checked_sub(LOCATOR_BYTES) {
            Some(at) => Some((at, tail.get(at, LOCATOR_BYTES)?)),
            None => None,
        };
        let Some((at, locator)) = locator.filter(|(_, locator)| locator.starts_with(b"PK\x06\x07")) else {
            let disks = le16(record, 4) != 0 || le16(record, 6) != 0 || le16(record, 8) != le16(record, 10);
            let count = u64::from(le16(record, 10));
            let (bytes, offset) = (u64::from(le32(record, 12)), u64::from(le32(record, 16)));
            return Ok((end, Self { disks, count, count_mask: 0xffff, bytes, offset }));
        };
        // The locator says where zip64's record is, counted from the archive's start; nothing may stand between them.
        let record = at.checked_sub(END64_BYTES).map(|at| tail.get(at, END64_BYTES)).transpose()?;
        let (at, record) = match record {
            Some(record) if record.starts_with(b"PK\x06\x06") => (at - END64_BYTES, record),
            _ => return Err(damaged("a zip64 end record before its locator", "other bytes".to_owned())),
        };
        if le64(&locator, 8) > at {
            let found = format!("one at {at} said to be at {}", le64(&locator, 8));
            return Err(damaged("a zip64 end record where its locator says", found));
        }
        let disks = le32(&locator, 4) != 0
            || le32(&locator, 16) > 1
            || le32(&record, 16) != 0
            || le32(&record, 20) != 0
            || le64(&record, 24) != le64(&record, 32);
        let (bytes, offset) = (le64(&record, 40), le64(&record, 48));
        Ok((at, Self { disks, count: le64(&record, 32), count_mask: u64::MAX, bytes, offset }))
    }
}

/// A walk over an archive's members.
pub struct Entries<'a> {
    rest: &'a [u8],
    count: u64,
    announced: (u64, u64),
    directory: u64,
    shift: u64,
    done: bool,
}

impl<'a> Entries<'a> {
    fn take(&mut self) -> Result<Option<Entry<'a>>, ZipError> {
        if self.rest.is_empty() {
            let (announced, mask) = self.announced;
            let found = || format!("{} of {announced} announced", self.count);
            let all = self.count & mask == announced;
            return if all { Ok(None) } else { Err(damaged("all members in the directory", found())) };
        }
        let broken = || damaged("a whole directory", format!("a broken entry after {} good ones", self.count));
        let (fixed, rest) = self.rest.split_first_chunk::<ENTRY_BYTES>().ok_or_else(broken)?;
        if !fixed.starts_with(b"PK\x01\x02") {
            return Err(broken());
        }
        let (name, rest) = rest.split_at_checked(le16(fixed, 28).into()).ok_or_else(broken)?;
        let (extra, rest) = rest.split_at_checked(le16(fixed, 30).into()).ok_or_else(broken)?;
        let (_comment, rest) = rest.split_at_checked(le16(fixed, 32).into()).ok_or_else(broken)?;
        if !is_safe(name) {
            return Err(ZipError::UnsafeName(String::from_utf8_lossy(name).into_owned()));
        }
        if le16(fixed, 8) & UTF8 != 0 && std::str::from_utf8(name).is_err() {
            return Err(damaged("names in UTF-8, as their flag says", format!("{:?}", String::from_utf8_lossy(name))));
        }
        // Numbers that don't fit stand in the extra field, in this order.
        let mut wide = zip64_extra(extra);
        let mut widen = |value: u32| match value {
            u32::MAX => wide.split_first_chunk::<8>().map(|(bytes, rest)| {
                wide = rest;
                u64::from_le_bytes(*bytes)
            }),
            value => Some(u64::from(value)),
        };
        let numbers = (|| Some((widen(le32(fixed, 24))?, widen(le32(fixed, 20))?, widen(le32(fixed, 42))?)))();
        let (size, packed_size, offset) = numbers.ok_or_else(broken)?;
        let offset = offset.checked_add(self.shift).filter(|offset| *offset < self.directory).ok_or_else(broken)?;
        let (flags, method, crc) = (le16(fixed, 8), le16(fixed, 10), le32(fixed, 16));
        self.rest = rest;
        self.count += 1;
        let (modified, mode) = (le32(fixed, 12), le16(fixed, 40));
        Ok(Some(Entry { name, size, packed_size, modified, mode, flags, method, crc, offset }))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, ZipError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.take().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}

/// Finds the last end record.
fn find_end(bytes: &[u8]) -> Option<(usize, &[u8; END_BYTES])> {
    let room = bytes.len().checked_sub(END_BYTES)?;
    let at = (0..=room).rev().find(|at| bytes[*at..].starts_with(b"PK\x05\x06"))?;
    Some((at, bytes[at..].first_chunk()?))
}

/// Returns the body of the extra field's zip64 block.
fn zip64_extra(mut extra: &[u8]) -> &[u8] {
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let Some((body, rest)) = rest.split_at_checked(le16(head, 2).into()) else { break };
        if le16(head, 0) == 1 {
            return body;
        }
        extra = rest;
    }
    &[]
}

fn is_safe(name: &[u8]) -> bool {
    // Folds without an early exit become vector code, and a directory may hold many thousand names.
    let bad_byte = name.iter().fold(false, |bad, byte| bad | (*byte == b'\\') | (*byte == 0));
    let dots = name.iter().zip(name.iter().skip(1)).fold(false, |dots, (a, b)| dots | ((*a == b'.') & (*b == b'.')));
    let leads_out =
        name.is_empty() || name[0] == b'/' || (dots && name.split(|byte| *byte == b'/').any(|part| part == b".."));
    !bad_byte && !leads_out
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
