//! Another reader of zip archives, to compare with: written from APPNOTE.TXT, and sharing no line with the library's.
//!
//! It reads an archive in both ways that installers do: by its directory, as pip does, and from the front by the members' own headers,
//! as who unpacks while it downloads.

use flate2::{Decompress, FlushDecompress, Status};
use std::collections::HashMap;

/// A member, unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Where its own header begins.
    pub(super) offset: usize,
    pub(super) name: Vec<u8>,
    pub(super) content: Vec<u8>,
    pub(super) crc: u32,
}

/// What an archive's end says, by which all else is found.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// Where the directory begins in the file.
    pub(super) directory: usize,
    /// The bytes before the archive.
    pub(super) shift: usize,
    /// Where the directory ends.
    stop: usize,
}

pub(super) fn number(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(len)?)?;
    Some(field.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn begins(bytes: &[u8], at: usize, magic: &[u8; 4]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(magic))
}

/// Finds the end of an archive: the last record of it.
pub(super) fn find_end(bytes: &[u8]) -> Option<End> {
    let mut end = (0..=bytes.len().checked_sub(22)?).rev().find(|at| begins(bytes, *at, b"PK\x05\x06"))?;
    let (mut size, mut offset) = (number(bytes, end + 12, 4)?, number(bytes, end + 16, 4)?);
    if let Some(locator) = end.checked_sub(20)
        && begins(bytes, locator, b"PK\x06\x07")
    {
        end = locator.checked_sub(56)?;
        (size, offset) = (number(bytes, end + 40, 8)?, number(bytes, end + 48, 8)?);
    }
    let directory = end.checked_sub(size)?;
    Some(End { directory, shift: directory.checked_sub(offset)?, stop: end })
}

/// Returns the numbers of an extra field's zip64 block.
fn wide(mut extra: &[u8]) -> &[u8] {
    while let (Some(kind), Some(len)) = (number(extra, 0, 2), number(extra, 2, 2)) {
        let Some(body) = extra.get(4..4 + len) else { break };
        if kind == 1 {
            return body;
        }
        extra = &extra[4 + len..];
    }
    &[]
}

/// Unpacks bytes whose end their own coding tells, of at most `most` bytes: the content, and how many bytes it was packed into.
fn inflate(packed: &[u8], most: usize) -> Option<(Vec<u8>, usize)> {
    let (mut out, mut inflater) = (Vec::new(), Decompress::new(false));
    loop {
        if out.len() > most {
            return None;
        }
        out.reserve(4096);
        let (before, made) = (inflater.total_in(), inflater.total_out());
        let rest = packed.get(before as usize..)?;
        match inflater.decompress_vec(rest, &mut out, FlushDecompress::None).ok()? {
            Status::StreamEnd => return Some((out, inflater.total_in() as usize)),
            _ if inflater.total_in() == before && inflater.total_out() == made => return None,
            _ => {}
        }
    }
}

fn unpack(method: usize, packed: &[u8], most: usize) -> Option<Vec<u8>> {
    match method {
        0 => Some(packed.to_vec()),
        8 => inflate(packed, most).filter(|(_, used)| *used == packed.len()).map(|(content, _)| content),
        93 => zstd::stream::decode_all(packed).ok(),
        _ => None,
    }
}

/// CRC-32, bit by bit.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// Reads an archive by its directory, in its order. `None`: something of it can't be read.
pub(super) fn by_directory(bytes: &[u8], most: usize) -> Option<Vec<Member>> {
    let end = find_end(bytes)?;
    let (mut members, mut at) = (Vec::new(), end.directory);
    while at < end.stop {
        if !begins(bytes, at, b"PK\x01\x02") {
            return None;
        }
        let field = |offset: usize, len: usize| number(bytes, at + offset, len);
        let (name, extra, comment) = (field(28, 2)?, field(30, 2)?, field(32, 2)?);
        let mut numbers = wide(bytes.get(at + 46 + name..at + 46 + name + extra)?);
        let mut widened = |value: usize| {
            if value != u32::MAX as usize {
                return Some(value);
            }
            let wide = number(numbers, 0, 8)?;
            numbers = &numbers[8..];
            Some(wide)
        };
        let (_size, packed, offset) = (widened(field(24, 4)?)?, widened(field(20, 4)?)?, widened(field(42, 4)?)?);
        let offset = offset.checked_add(end.shift)?;
        let start =
            offset.checked_add(30 + number(bytes, offset.checked_add(26)?, 2)? + number(bytes, offset + 28, 2)?)?;
        let content = unpack(field(10, 2)?, bytes.get(start..start.checked_add(packed)?)?, most)?;
        let name_bytes = bytes.get(at + 46..at + 46 + name)?.to_vec();
        members.push(Member { offset, name: name_bytes, crc: crc(&content), content });
        at += 46 + name + extra + comment;
    }
    Some(members)
}

/// Reads an archive from the front, each member by its own header, until the directory begins. `None`: this way it can't be read.
pub(super) fn from_the_front(bytes: &[u8], most: usize) -> Option<Vec<Member>> {
    let end = find_end(bytes)?;
    let (mut members, mut at) = (Vec::new(), end.shift);
    while begins(bytes, at, b"PK\x03\x04") {
        let field = |offset: usize, len: usize| number(bytes, at + offset, len);
        let (flags, method, name, extra) = (field(6, 2)?, field(8, 2)?, field(26, 2)?, field(28, 2)?);
        let (offset, start) = (at, at + 30 + name + extra);
        let numbers = wide(bytes.get(at + 30 + name..start)?);
        let packed = match field(18, 4)? {
            0xffff_ffff if !numbers.is_empty() => number(numbers, 8, 8)?,
            packed => packed,
        };
        let (name, is_later) = (bytes.get(at + 30..at + 30 + name)?.to_vec(), flags & 8 != 0);
        let (content, used) = match (is_later && packed == 0, method) {
            (true, 8) => inflate(bytes.get(start..)?, most)?,
            // Nothing in the bytes tells where they end.
            (true, _) => return None,
            (false, _) => (unpack(method, bytes.get(start..start.checked_add(packed)?)?, most)?, packed),
        };
        at = start + used;
        if is_later {
            let sum = crc(&content);
            // With or without its magic, with numbers of 4 bytes or 8.
            at += [(0, 12), (0, 20), (4, 16), (4, 24)].into_iter().find_map(|(magic, len)| {
                let width = (len - magic - 4) / 2;
                let is_it = (magic == 0 || begins(bytes, at, b"PK\x07\x08"))
                    && number(bytes, at + magic, 4)? == sum as usize
                    && number(bytes, at + magic + 4, width)? == used
                    && number(bytes, at + magic + 4 + width, width)? == content.len();
                is_it.then_some(len)
            })?;
        }
        members.push(Member { offset, name, crc: crc(&content), content });
    }
    (at == end.directory).then_some(members)
}

/// Returns the archive with the CRCs that its members' contents have: what an enemy who can reckon would send.
pub(super) fn with_right_sums(bytes: &[u8], most: usize) -> Option<Vec<u8>> {
    let (end, members) = (find_end(bytes)?, by_directory(bytes, most)?);
    let (mut mended, mut at) = (bytes.to_vec(), end.directory);
    let mut sums = HashMap::new();
    for member in &members {
        let sum = member.crc.to_le_bytes();
        mended.get_mut(at + 16..at + 20)?.copy_from_slice(&sum);
        if number(bytes, member.offset + 6, 2)? & 8 == 0 {
            sums.insert(member.offset, sum);
        }
        at += 46 + number(bytes, at + 28, 2)? + number(bytes, at + 30, 2)? + number(bytes, at + 32, 2)?;
    }
    for (offset, sum) in sums {
        mended.get_mut(offset + 14..offset + 18)?.copy_from_slice(&sum);
    }
    (mended != bytes).then_some(mended)
}
