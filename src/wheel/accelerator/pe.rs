//! Reads the headers of a Windows library (Microsoft's "PE Format"): what it imports, what it calls itself, its sections.
//!
//! As with ELF files, the parser asks [`Parts`] for ranges and says which are missing. What a library loads late (delay imports) is not
//! needed to load it, and isn't read.

use super::elf::{Elf, Parts, Range};
use crate::budget;

/// More sections than this are none.
const MAX_SECTIONS: u64 = 96;
/// The longest name that is read, and what an import takes in their directory.
const MAX_NAME_BYTES: u64 = 256;
const IMPORT_BYTES: u64 = 20;

/// How every PE file begins, with a program for DOS.
pub(super) const MAGIC: &[u8] = b"MZ";

/// Tells whether bytes may begin a Windows library or program.
pub(super) fn is_pe(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Reads what the parts at hand tell, in an ELF file's terms. Ranges that are missing come back, and parsing again with them goes
/// further. `None`: it only begins like one.
pub(super) fn parse(parts: &dyn Parts) -> Option<(Elf, Vec<Range>)> {
    let mut reader = Reader { parts, missing: Vec::new(), library: Elf::default(), sections: Vec::new() };
    match reader.read() {
        Ok(()) => {}
        Err(Fault::Other) => return None,
        Err(Fault::Told(fault)) => reader.library.faults.push(fault),
        Err(Fault::Missing) => {}
    }
    Some((reader.library, reader.missing))
}

/// Why reading ended early.
enum Fault {
    /// Something else than it seemed.
    Other,
    /// It contradicts itself.
    Told(String),
    /// A range that is not at hand.
    Missing,
}

/// Where a section is when it is loaded, and in the file: address, offset, bytes.
struct Section(u64, u64, u64);

struct Reader<'a> {
    parts: &'a dyn Parts,
    missing: Vec<Range>,
    library: Elf,
    sections: Vec<Section>,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), Fault> {
        let dos =
            self.range((0, 64)).map_err(|fault| if matches!(fault, Fault::Told(_)) { Fault::Other } else { fault })?;
        let start = number(&dos, 0x3c, 4);
        if start < 64 || start.checked_add(24).is_none_or(|end| end > self.parts.size()) {
            return Err(Fault::Other);
        }
        let header = self.range((start, 24))?;
        if !header.starts_with(b"PE\0\0") {
            return Err(Fault::Other);
        }
        let (count, optional) = (number(&header, 6, 2), number(&header, 20, 2));
        let table = start + 24 + optional;
        let options = self.range((start + 24, optional))?;
        // The directories stand behind fields whose width is that of an address.
        let directories = match number(&options, 0, 2) {
            0x10b => 96,
            0x20b => 112,
            other => {
                return Err(Fault::Told(format!("optional header of kind {other:#x}, expected 0x10b or 0x20b")));
            }
        };
        let count = count.min(MAX_SECTIONS);
        let sections = self.range((table, count * 40))?;
        for section in sections.chunks_exact(40) {
            let name = section[..8].split(|byte| *byte == 0).next().unwrap_or_default();
            let name = String::from_utf8_lossy(name).into_owned();
            if super::evidence::section(&name).is_some() {
                self.library.sections.push(name);
            }
            self.sections.push(Section(number(section, 12, 4), number(section, 20, 4), number(section, 16, 4)));
        }
        self.library.sections.sort_unstable();
        self.library.sections.dedup();
        let directory = |index: usize| number(&options, directories + 8 * index, 4);
        self.read_own_name(directory(0))?;
        self.read_imports(directory(1), number(&options, directories + 12, 4))
    }

    /// Reads the name in the directory of exports.
    fn read_own_name(&mut self, address: u64) -> Result<(), Fault> {
        let Some(place) = self.place(address) else { return Ok(()) };
        match self.range((place, 40)) {
            Ok(exports) => {
                let name = self.name(number(&exports, 12, 4));
                self.library.soname = name;
            }
            Err(Fault::Missing) => {}
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    fn read_imports(&mut self, address: u64, bytes: u64) -> Result<(), Fault> {
        let Some(place) = self.place(address) else { return Ok(()) };
        if bytes > budget::ELF_NAMES.limit * IMPORT_BYTES {
            self.library.excess = Some(budget::ELF_NAMES);
            return Ok(());
        }
        let imports = self.range((place, bytes))?;
        for import in imports.chunks_exact(IMPORT_BYTES as usize) {
            let name = number(import, 12, 4);
            if name == 0 {
                break;
            }
            let name = self.name(name);
            self.library.needed.extend(name);
        }
        Ok(())
    }

    /// Returns where an address is in the file; `None` for none, or one in no section.
    fn place(&self, address: u64) -> Option<u64> {
        self.sections.iter().find_map(|Section(start, offset, bytes)| {
            let inside = address.checked_sub(*start).filter(|inside| inside < bytes)?;
            (address > 0).then_some(offset + inside)
        })
    }

    fn name(&mut self, address: u64) -> Option<String> {
        let place = self.place(address)?;
        let bytes = self.range((place, MAX_NAME_BYTES.min(self.parts.size().saturating_sub(place)))).ok()?;
        let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
    }

    fn range(&mut self, range: Range) -> Result<Vec<u8>, Fault> {
        let size = self.parts.size();
        if range.0.checked_add(range.1).is_none_or(|end| end > size) {
            return Err(Fault::Told(format!("{} bytes at offset {}, the file ends at {size}", range.1, range.0)));
        }
        match self.parts.get(range) {
            Some(bytes) => Ok(bytes.into_owned()),
            None => {
                self.missing.push(range);
                Err(Fault::Missing)
            }
        }
    }
}

/// Returns the little-endian number in `bytes` bytes; 0 outside the record.
fn number(record: &[u8], at: usize, bytes: usize) -> u64 {
    let field = record.get(at..at + bytes).unwrap_or_default();
    field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
