//! Reads an ELF file's headers from whichever parts of it are at hand, and says which other parts it needs.
//!
//! The parser never holds a file: it asks [`Parts`] for ranges, and where some are missing the answer is a list of them, so that a
//! stream can be asked again. 32 and 64 bits, both byte orders. Every number is checked; what lies is told in `faults`.

use crate::budget::{self, Budget};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The most bytes that are read of a table of sections: real ones stay far below.
const MAX_TABLE_BYTES: u64 = 4 << 20;
/// The longest name that is read.
const MAX_NAME_BYTES: u64 = 512;

/// The most bytes that are read of the versions of symbols: real ones stay far below.
const MAX_VERSIONS_BYTES: u64 = 64 << 10;

/// A range of bytes: offset and length.
pub(super) type Range = (u64, u64);

/// The parts of a file that are at hand.
pub(super) trait Parts {
    /// Returns a range's bytes, when all of them are at hand.
    fn get(&self, range: Range) -> Option<Cow<'_, [u8]>>;
    /// Returns the file's size.
    fn size(&self) -> u64;
    /// Tells whether the versions of symbols are wanted.
    fn wants_versions(&self) -> bool {
        false
    }
}

/// What an ELF file says about itself; [`super::pe`] says the same of a Windows library.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Elf {
    /// The processor that it is for.
    pub(super) machine: u16,
    /// The processor's own flags.
    pub(super) flags: u32,
    /// The version of the processor's ABI.
    pub(super) abi_version: u8,
    /// The libraries that must be there when it is loaded.
    pub(super) needed: Vec<String>,
    /// Its own name as a library.
    pub(super) soname: Option<String>,
    /// Where its libraries are searched first.
    pub(super) search_paths: Vec<String>,
    /// The names of its sections.
    pub(super) sections: Vec<String>,
    /// The versions of symbols that it needs of other libraries, `GLIBC_2.17`; only where they are asked for.
    pub(super) versions: Vec<String>,
    /// What is wrong with it.
    pub(super) faults: Vec<String>,
    /// The budget that its dynamic section goes beyond: there may be more than was read.
    pub(super) excess: Option<Budget>,
}

/// How every ELF file begins.
pub(super) const MAGIC: &[u8] = b"\x7fELF";

/// Tells whether bytes begin an ELF file.
pub(super) fn is_elf(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Reads what the parts at hand tell. Ranges that are missing come back, and parsing again with them goes further.
pub(super) fn parse(parts: &dyn Parts) -> (Elf, Vec<Range>) {
    let mut reader = Reader { parts, missing: Vec::new(), elf: Elf::default(), wide: true, little: true };
    if let Err(fault) = reader.read() {
        reader.elf.faults.push(fault);
    }
    (reader.elf, reader.missing)
}

type Result<T> = std::result::Result<T, String>;

struct Reader<'a> {
    parts: &'a dyn Parts,
    missing: Vec<Range>,
    elf: Elf,
    wide: bool,
    little: bool,
}

/// A loaded part of the file: offset, address, bytes.
struct Segment(u64, u64, u64);

/// A section as its header describes it.
struct Section {
    name: u64,
    offset: u64,
    size: u64,
    link: u64,
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Result<()> {
        let Some(ident) = self.range("its first bytes", (0, 20))? else { return Ok(()) };
        self.wide = match ident[4] {
            1 => false,
            2 => true,
            other => return Err(format!("ELF class {other}, expected 1 or 2")),
        };
        self.little = match ident[5] {
            1 => true,
            2 => false,
            other => return Err(format!("ELF byte order {other}, expected 1 or 2")),
        };
        self.elf.abi_version = ident[8];
        let Some(header) = self.range("its header", (0, if self.wide { 64 } else { 52 }))? else { return Ok(()) };
        self.elf.machine = self.number(&header, 18, 2) as u16;
        // The fields up to the entry point are alike; what follows moves with the width of an address.
        let (word, rest) = if self.wide { (8, 48) } else { (4, 36) };
        let (programs, sections) = (self.number(&header, 24 + word, word), self.number(&header, 24 + 2 * word, word));
        self.elf.flags = self.number(&header, rest, 4) as u32;
        let short = |at: usize| self.number(&header, at, 2);
        let (program_bytes, program_count) = (short(rest + 6), short(rest + 8));
        let (section_bytes, section_count, names) = (short(rest + 10), short(rest + 12), short(rest + 14));
        let done = self.read_dynamic(programs, program_bytes, program_count);
        if let Err(fault) = done {
            self.elf.faults.push(fault);
        }
        self.read_sections(sections, section_bytes, section_count, names)
    }

    fn read_dynamic(&mut self, offset: u64, entry: u64, count: u64) -> Result<()> {
        let least = if self.wide { 56 } else { 32 };
        if offset == 0 || count == 0 {
            return Ok(());
        }
        if entry < least {
            return Err(format!("program headers of {entry} bytes, expected {least}"));
        }
        let Some(table) = self.range("program headers", (offset, entry * count))? else { return Ok(()) };
        let (mut segments, mut dynamic) = (Vec::new(), None);
        for header in table.chunks_exact(entry as usize) {
            let (offset, address, bytes) = match self.wide {
                true => (self.number(header, 8, 8), self.number(header, 16, 8), self.number(header, 32, 8)),
                false => (self.number(header, 4, 4), self.number(header, 8, 4), self.number(header, 16, 4)),
            };
            match self.number(header, 0, 4) {
                1 => segments.push(Segment(offset, address, bytes)),
                2 => dynamic = Some((offset, bytes)),
                _ => {}
            }
        }
        let Some((offset, bytes)) = dynamic.filter(|(_, bytes)| *bytes > 0) else { return Ok(()) };
        let Some(table) = self.range("dynamic section", (offset, bytes.min(budget::ELF_DYNAMIC.limit)))? else {
            return Ok(());
        };
        if bytes > budget::ELF_DYNAMIC.limit {
            self.elf.excess = Some(budget::ELF_DYNAMIC);
        }
        self.read_names(&table, &segments)
    }

    /// Reads the names that the dynamic section refers to.
    fn read_names(&mut self, table: &[u8], segments: &[Segment]) -> Result<()> {
        let word = if self.wide { 8 } else { 4 };
        let (mut names, mut seen, mut strings, mut room) = (Vec::new(), BTreeSet::new(), None, u64::MAX);
        let (mut needs, mut needs_count) = (None, 0);
        for entry in table.chunks_exact(2 * word) {
            let value = self.number(entry, word, word);
            match self.number(entry, 0, word) {
                0 => break,
                5 => strings = Some(value),
                10 => room = value,
                0x6fff_fffe if self.parts.wants_versions() => needs = Some(value),
                0x6fff_ffff => needs_count = value,
                // One name said a thousand times is one.
                tag @ (1 | 14 | 15 | 29) if seen.insert((tag, value)) => names.push((tag, value)),
                _ => {}
            }
            if names.len() as u64 > budget::ELF_NAMES.limit {
                self.elf.excess = Some(budget::ELF_NAMES);
                names.pop();
                break;
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        let address = strings.ok_or("a dynamic section without a string table")?;
        let place_of = |address: u64| {
            segments.iter().find_map(|Segment(offset, start, bytes)| {
                let inside = address.checked_sub(*start).filter(|inside| inside < bytes)?;
                offset.checked_add(inside)
            })
        };
        let place =
            place_of(address).ok_or_else(|| format!("a string table at address {address:#x}, which no segment has"))?;
        for (tag, at) in names {
            let Some(name) = self.name(place, room, at, "dynamic string table")? else { continue };
            match tag {
                1 => self.elf.needed.push(name),
                14 => self.elf.soname = Some(name),
                _ => self.elf.search_paths.push(name),
            }
        }
        let Some(needs) = needs else { return Ok(()) };
        let needs = place_of(needs).ok_or_else(|| format!("versions at address {needs:#x}, which no segment has"))?;
        self.read_versions((needs, needs_count), (place, room))
    }

    /// Reads the versions of symbols that are needed: a list of libraries, each with a list of names.
    fn read_versions(&mut self, (place, count): (u64, u64), (strings, room): (u64, u64)) -> Result<()> {
        let len = MAX_VERSIONS_BYTES.min(self.parts.size().saturating_sub(place));
        let Some(block) = self.range("versions of symbols", (place, len))? else { return Ok(()) };
        let mut names = BTreeSet::new();
        let (mut at, mut left) = (0usize, block.len() / 16);
        for _ in 0..count {
            let Some(library) = block.get(at..).and_then(|rest| rest.get(..16)) else { break };
            let (versions, mut aux) = (self.number(library, 2, 2), at + self.number(library, 8, 4) as usize);
            for _ in 0..versions {
                let Some(version) = block.get(aux..).and_then(|rest| rest.get(..16)).filter(|_| left > 0) else {
                    break;
                };
                left -= 1;
                names.insert(self.number(version, 8, 4));
                aux += self.number(version, 12, 4) as usize;
            }
            let next = self.number(library, 12, 4) as usize;
            if next == 0 || left == 0 {
                break;
            }
            at += next;
        }
        for at in names {
            let name = self.name(strings, room, at, "dynamic string table")?;
            self.elf.versions.extend(name);
        }
        Ok(())
    }

    fn read_sections(&mut self, offset: u64, entry: u64, count: u64, names: u64) -> Result<()> {
        let least = if self.wide { 64 } else { 40 };
        if offset == 0 {
            return Ok(());
        }
        if entry < least {
            return Err(format!("section headers of {entry} bytes, expected {least}"));
        }
        // Numbers that don't fit the header stand in the first section's header.
        let Some(first) = self.range("section headers", (offset, entry))? else { return Ok(()) };
        let first = self.section(&first);
        let count = if count == 0 { first.size } else { count };
        let names = if names == 0xffff { first.link } else { names };
        let whole = entry.checked_mul(count).ok_or("section headers without end")?;
        let room = self.parts.size().saturating_sub(offset);
        if whole > room {
            return Err(format!("{whole} bytes of section headers at offset {offset}, {room} are there"));
        }
        let bytes = whole.min(MAX_TABLE_BYTES) / entry * entry;
        let Some(table) = self.range("section headers", (offset, bytes))? else { return Ok(()) };
        let names = names
            .checked_mul(entry)
            .and_then(|at| table.get(at as usize..))
            .and_then(|rest| rest.get(..least as usize));
        let names = self.section(names.ok_or("no section with the names of sections")?);
        let range = (names.offset, names.size.min(MAX_TABLE_BYTES));
        let Some(strings) = self.range("names of sections", range)? else { return Ok(()) };
        for header in table.chunks_exact(entry as usize) {
            let name = strings.get(self.section(header).name as usize..).unwrap_or_default();
            let name = name.iter().take(MAX_NAME_BYTES as usize).take_while(|byte| **byte != 0);
            let name: Vec<u8> = name.copied().collect();
            // What no table knows is not kept: an object file may have many thousand sections.
            if super::evidence::section(&String::from_utf8_lossy(&name)).is_some() {
                self.elf.sections.push(String::from_utf8_lossy(&name).into_owned());
            }
        }
        self.elf.sections.sort_unstable();
        self.elf.sections.dedup();
        Ok(())
    }

    fn section(&self, header: &[u8]) -> Section {
        let number = |at, bytes| self.number(header, at, bytes);
        match self.wide {
            true => Section { name: number(0, 4), offset: number(24, 8), size: number(32, 8), link: number(40, 4) },
            false => Section { name: number(0, 4), offset: number(16, 4), size: number(20, 4), link: number(24, 4) },
        }
    }

    /// Reads a name of a string table at `place`, of `room` bytes.
    fn name(&mut self, place: u64, room: u64, at: u64, what: &str) -> Result<Option<String>> {
        let start = place.checked_add(at).filter(|start| *start < self.parts.size() && at < room);
        let start = start.ok_or_else(|| format!("a name outside the {what}"))?;
        let len = MAX_NAME_BYTES.min(room - at).min(self.parts.size() - start);
        let Some(bytes) = self.range(what, (start, len))? else { return Ok(None) };
        let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Some(String::from_utf8_lossy(name).into_owned()))
    }

    /// Returns a range's bytes; `None` when they are in the file, but not at hand.
    fn range(&mut self, what: &str, range: Range) -> Result<Option<Cow<'a, [u8]>>> {
        let size = self.parts.size();
        if range.0.checked_add(range.1).is_none_or(|end| end > size) {
            return Err(format!("{what}: {} bytes at offset {}, the file ends at {size}", range.1, range.0));
        }
        let bytes = self.parts.get(range);
        if bytes.is_none() {
            self.missing.push(range);
        }
        Ok(bytes)
    }

    /// Returns the number in `bytes` bytes of a record; 0 outside it.
    fn number(&self, record: &[u8], at: usize, bytes: usize) -> u64 {
        let field = record.get(at..at + bytes).unwrap_or_default();
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        if self.little { field.iter().rev().fold(0, add) } else { field.iter().fold(0, add) }
    }
}
