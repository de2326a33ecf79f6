//! Examines one member as a stream: the headers of an ELF file wherever they lie, and device code on the way.
//!
//! One pass keeps the first megabytes, the last ones, and the ranges that the header names before they come by. What a header named
//! too late (names that lie before the table which refers to them) is fetched by another pass that ends as soon as it has it.
//! Memory is the same for any member: what [`KeptBytes`] holds.

use super::device::{BUNDLE_BYTES, DeviceCode};
use super::elf::{self, Elf, Parts, Range};
use super::pe;
use std::borrow::Cow;
use std::io::{self, Read};

/// How much is kept of the start, where names and program headers usually lie, and of the end, where sections are told.
const HEAD_BYTES: usize = 4 << 20;
const TAIL_BYTES: usize = 1 << 20;
/// The most that is kept of ranges between them.
const MAX_KEPT_BYTES: u64 = 12 << 20;
/// How much is read at a time.
const PIECE_BYTES: usize = 128 << 10;
/// The most memory that one member takes: what is kept of it, with the room that growing takes, and what inflates it.
const MOST_MEMORY: u64 =
    2 * (HEAD_BYTES + TAIL_BYTES) as u64 + MAX_KEPT_BYTES + 2 * (PIECE_BYTES + BUNDLE_BYTES) as u64;
/// The most passes over one member: header, program headers, dynamic section, names.
const MAX_PASSES: usize = 5;

/// What a member turned out to be.
#[derive(Debug, Default)]
pub(super) struct Examined {
    /// The headers, when it is an ELF file or a Windows library.
    pub(super) elf: Option<Elf>,
    /// Device code inside.
    pub(super) device: DeviceCode,
}

/// Returns the memory that examining a member of `size` bytes takes at most.
pub(super) fn memory(size: u64) -> u64 {
    size.saturating_mul(2).saturating_add(2 * PIECE_BYTES as u64).min(MOST_MEMORY)
}

/// What is kept of a stream.
struct KeptBytes {
    size: u64,
    head: Vec<u8>,
    /// The last bytes that were read, which end at `read`.
    tail: Vec<u8>,
    read: u64,
    ranges: Vec<(Range, Vec<u8>)>,
    wants_versions: bool,
}

impl Parts for KeptBytes {
    fn get(&self, (start, len): Range) -> Option<Cow<'_, [u8]>> {
        let inside = |from: u64, bytes: &[u8]| {
            let at = usize::try_from(start.checked_sub(from)?).ok()?;
            bytes.get(at..at.checked_add(usize::try_from(len).ok()?)?).map(<[u8]>::to_vec)
        };
        let tail = || inside(self.read - self.tail.len() as u64, &self.tail);
        let range = || self.ranges.iter().find_map(|((from, _), bytes)| inside(*from, bytes));
        inside(0, &self.head).or_else(range).or_else(tail).map(Cow::Owned)
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn wants_versions(&self) -> bool {
        self.wants_versions
    }
}

impl KeptBytes {
    /// Keeps what is wanted of a piece that begins at `read`.
    fn take(&mut self, piece: &[u8]) {
        let start = self.read;
        for ((from, len), bytes) in &mut self.ranges {
            let next = *from + bytes.len() as u64;
            if bytes.len() as u64 == *len || next < start || next >= start + piece.len() as u64 {
                continue;
            }
            let rest = &piece[(next - start) as usize..];
            let take = rest.len().min((*len - bytes.len() as u64) as usize);
            bytes.extend_from_slice(&rest[..take]);
        }
        self.tail.extend_from_slice(piece);
        if self.tail.len() > 2 * TAIL_BYTES {
            self.tail.drain(..self.tail.len() - TAIL_BYTES);
        }
        self.read += piece.len() as u64;
    }

    /// Asks for ranges that the rest of this pass, or the next one, will see.
    fn want(&mut self, missing: Vec<Range>) {
        let mut room = MAX_KEPT_BYTES.saturating_sub(self.ranges.iter().map(|((_, len), _)| len).sum());
        for range in missing {
            let is_new = !self.ranges.iter().any(|(own, _)| *own == range);
            if is_new && range.1 <= room && range.0 >= self.read {
                room -= range.1;
                self.ranges.push((range, Vec::new()));
            }
        }
    }

    /// Begins again at the start of the stream; what is whole is kept.
    fn restart(&mut self) {
        self.ranges.retain(|((_, len), bytes)| bytes.len() as u64 == *len);
        self.tail.clear();
        self.read = 0;
    }
}

/// Examines a member of `size` bytes; `open` begins its stream anew.
pub(super) fn examine<R: Read>(size: u64, open: impl FnMut() -> io::Result<R>) -> io::Result<Examined> {
    examine_for(size, false, open)
}

/// Examines a member as [`examine`] does, and its versions of symbols where they are wanted.
pub(super) fn examine_for<R: Read>(
    size: u64,
    wants_versions: bool,
    mut open: impl FnMut() -> io::Result<R>,
) -> io::Result<Examined> {
    let mut kept = KeptBytes { size, head: Vec::new(), tail: Vec::new(), read: 0, ranges: Vec::new(), wants_versions };
    let mut examined = Examined::default();
    let mut stream = open()?;
    stream.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut kept.head)?;
    kept.read = kept.head.len() as u64;
    examined.device.feed(&kept.head);
    let is_library = match headers(&kept) {
        Some((_, missing)) => {
            kept.want(missing);
            true
        }
        None => false,
    };
    let mut piece = vec![0; size.clamp(1, PIECE_BYTES as u64) as usize];
    loop {
        let len = stream.read(&mut piece)?;
        if len == 0 {
            break;
        }
        examined.device.feed(&piece[..len]);
        kept.take(&piece[..len]);
    }
    examined.device.finish();
    if is_library {
        examined.elf = Some(parse(&mut kept, &mut piece, &mut open)?);
    }
    Ok(examined)
}

/// Reads the headers as far as the parts at hand tell them; `None`: it has none.
fn headers(kept: &KeptBytes) -> Option<(Elf, Vec<Range>)> {
    if elf::is_elf(&kept.head) {
        return Some(elf::parse(kept));
    }
    if pe::is_pe(&kept.head) { pe::parse(kept) } else { None }
}

/// Parses what the first pass kept, with more passes for what it didn't.
fn parse<R: Read>(kept: &mut KeptBytes, piece: &mut [u8], open: &mut impl FnMut() -> io::Result<R>) -> io::Result<Elf> {
    for _ in 1..MAX_PASSES {
        let (elf, missing) = headers(kept).unwrap_or_default();
        if missing.is_empty() {
            return Ok(elf);
        }
        kept.restart();
        kept.want(missing);
        let end = kept.ranges.iter().map(|((from, len), _)| from + len).max().unwrap_or(0);
        let mut stream = open()?;
        while kept.read < end {
            let len = stream.read(piece)?;
            if len == 0 {
                break;
            }
            kept.take(&piece[..len]);
        }
    }
    let (mut elf, missing) = headers(kept).unwrap_or_default();
    if let Some((offset, len)) = missing.first() {
        elf.faults.push(format!("too much to keep: {len} bytes at offset {offset}, and {} more", missing.len() - 1));
    }
    Ok(elf)
}
