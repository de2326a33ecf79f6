//! How members begin: a guard asks it of each member that isn't Python, of which some wheels have thousands.
//!
//! So it must cost little: what lies close together is read at once, and of most members only the first bytes are unpacked.

use super::literal::{Literals, first_literals};
use super::packing::{DEFLATED, STORED};
use super::{Archive, Entry, HEADER_BYTES, ReadAt, Tail};
use flate2::{Decompress, FlushDecompress};

/// How much is looked at of how a member begins, and what is read for it: behind extra fields, a block's code comes first.
const HEAD_BYTES: usize = 8;
const PACKED_BYTES: usize = 512;
/// What is read at once where members are small.
const WINDOW_BYTES: usize = 8 * 1024;

/// Looks at how members begin, one after the other: far cheaper than reading them.
pub struct Peek<'a, R: ?Sized> {
    archive: &'a Archive<'a, R>,
    /// Most wheels need none.
    inflater: Option<Decompress>,
    window: Window,
}

/// What was read last: the first `len` of the bytes are those of the file from `place` on.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    place: u64,
    len: usize,
}

impl<'a, R: ReadAt + ?Sized> Archive<'a, R> {
    /// Returns what looks at how members begin; quickest in the order in which they lie.
    pub fn peek(&'a self) -> Peek<'a, R> {
        Peek { archive: self, inflater: None, window: Window::default() }
    }
}

impl<R: ReadAt + ?Sized> Peek<'_, R> {
    /// Returns a member's first eight bytes; `None` where they can't be told. Where the first one or two aren't wanted, those behind them
    /// may be left 0.
    pub fn first_bytes(&mut self, entry: &Entry<'_>, is_wanted: impl Fn(&[u8]) -> bool) -> Option<[u8; HEAD_BYTES]> {
        let fixed = HEADER_BYTES + entry.name.len();
        let room = self.archive.directory.0.checked_sub(entry.offset)?;
        let len = room.min((fixed + PACKED_BYTES) as u64) as usize;
        // What lies behind a large member isn't read with it.
        let is_small = entry.packed_size < WINDOW_BYTES as u64;
        let reach = if is_small { room.min(WINDOW_BYTES.max(len) as u64) as usize } else { len };
        let piece = self.window.get(&self.archive.tail, entry.offset, len, reach)?;
        let extra = usize::from(u16::from_le_bytes(*piece.get(28..)?.first_chunk()?));
        let packed = piece.get(fixed + extra..).filter(|packed| !packed.is_empty())?;
        let mut head = [0; HEAD_BYTES];
        match entry.method {
            STORED => head = *packed.first_chunk()?,
            DEFLATED => {
                let literals = first_literals(packed);
                if let Some(first) = literals.as_ref().map(Literals::as_slice).filter(|first| !is_wanted(first)) {
                    head[..first.len()].copy_from_slice(first);
                    return Some(head);
                }
                let inflater = self.inflater.get_or_insert_with(|| Decompress::new(false));
                inflater.reset(false);
                inflater.decompress(packed, &mut head, FlushDecompress::None).ok()?;
                if inflater.total_out() < HEAD_BYTES as u64 {
                    return None;
                }
            }
            _ => return None,
        }
        Some(head)
    }
}

impl Window {
    /// Returns `len` bytes from an offset on: from memory, else read from the file together with what follows, `reach` bytes in all.
    fn get<'w, R: ReadAt + ?Sized>(
        &'w mut self,
        tail: &'w Tail<'_, R>,
        offset: u64,
        len: usize,
        reach: usize,
    ) -> Option<&'w [u8]> {
        if let Some(start) = offset.checked_sub(tail.start) {
            return tail.bytes.get(start as usize..)?.get(..len);
        }
        let end = self.place + self.len as u64;
        if offset < self.place || offset + len as u64 > end {
            if self.bytes.len() < reach {
                self.bytes.resize(reach, 0);
            }
            self.len = 0;
            tail.source.read_exact_at(&mut self.bytes[..reach], offset).ok()?;
            (self.place, self.len) = (offset, reach);
        }
        let start = (offset - self.place) as usize;
        self.bytes.get(start..start + len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::zip;
    use super::*;
    use std::cell::Cell;
    use std::io;

    /// Bytes that count how often they are read.
    struct Counted<'a>(&'a [u8], Cell<usize>);

    impl ReadAt for Counted<'_> {
        fn size(&self) -> io::Result<u64> {
            self.0.size()
        }

        fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
            self.1.set(self.1.get() + 1);
            self.0.read_exact_at(bytes, offset)
        }
    }

    /// Members of many sizes, each with other bytes, some of which deflate well; more than the archive's tail.
    fn members() -> Vec<(String, Vec<u8>)> {
        let member = |at: usize| {
            let noise = (0..at * 37 % 9000 + 60).map(|place| ((place * place * (at + 7)) >> (at % 7)) as u8);
            (format!("m/{at}"), if at.is_multiple_of(3) { vec![at as u8; at * 50 + 60] } else { noise.collect() })
        };
        (0..200).map(member).collect()
    }

    #[test]
    fn all_that_is_wanted_is_as_the_member_begins_in_any_order() {
        let members = members();
        let named: Vec<(&str, &[u8])> = members.iter().map(|(name, bytes)| (&**name, &**bytes)).collect();
        let bytes = zip(&named);
        assert!(bytes.len() > 4 * WINDOW_BYTES + 64 * 1024, "{}", bytes.len());
        let archive = Archive::open(&bytes[..]).unwrap();
        let mut entries: Vec<_> = archive.entries().map(Result::unwrap).collect();
        for _ in 0..2 {
            let mut peek = archive.peek();
            for entry in &entries {
                let (_, content) = members.iter().find(|(name, _)| name.as_bytes() == entry.name).unwrap();
                assert_eq!(peek.first_bytes(entry, |_| true).unwrap(), content[..8], "{entry:?}");
                let unwanted = peek.first_bytes(entry, |_| false).unwrap();
                assert_eq!(unwanted[0], content[0], "{entry:?}");
            }
            entries.sort_by_key(|entry| entry.crc);
        }
    }

    #[test]
    fn members_that_lie_together_are_read_together() {
        let content: Vec<(String, [u8; 200])> = (0..2000).map(|at| (format!("{at:04}"), [at as u8; 200])).collect();
        let named: Vec<(&str, &[u8])> = content.iter().map(|(name, bytes)| (&**name, &bytes[..])).collect();
        let bytes = zip(&named);
        let counted = Counted(&bytes, Cell::new(0));
        let archive = Archive::open(&counted).unwrap();
        let (mut peek, before) = (archive.peek(), counted.1.get());
        let heads = archive.entries().map(|entry| peek.first_bytes(&entry.unwrap(), |_| true).unwrap()[0]);
        assert!(heads.eq((0..2000).map(|at| at as u8)));
        let reads = counted.1.get() - before;
        assert!(reads <= bytes.len().div_ceil(WINDOW_BYTES - 1024), "{reads} reads of {} bytes", bytes.len());
    }

    #[test]
    fn no_changed_byte_makes_it_panic() {
        let good = zip(&[("a", &[7; 300]), ("b", b"wheels wheels wheels wheels")]);
        for at in 0..good.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] ^= flip;
                let Ok(archive) = Archive::open(&bytes[..]) else { continue };
                let mut peek = archive.peek();
                for entry in archive.entries().map_while(Result::ok) {
                    peek.first_bytes(&entry, |_| false);
                }
            }
        }
    }
}
