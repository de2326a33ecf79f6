//! Members that the directory doesn't have: who unpacks an archive from the front, as it comes, finds them, and who goes by its
//! directory doesn't.
//!
//! Bytes that are no member may stand between members, as padding; who reads from the front stops there, and installs nothing.

use super::{Archive, HEADER_BYTES, NUMBERS_LATER, ReadAt, ZipError, damaged};

/// What begins a member's own header, and the numbers that may follow its bytes.
const HEADER: &[u8] = b"PK\x03\x04";
const NUMBERS: &[u8] = b"PK\x07\x08";
/// The longest of those numbers.
const NUMBERS_BYTES: usize = 24;

impl<R: ReadAt + ?Sized> Archive<'_, R> {
    /// Makes sure that no member stands where the one before it ends, or first, without being in the directory.
    pub(super) fn check_gaps(&self) -> Result<(), ZipError> {
        let mut ends = Vec::new();
        for entry in self.entries() {
            let entry = entry?;
            let end = self.bytes_start(&entry)?.saturating_add(entry.packed_size);
            ends.push((entry.offset, end, entry.flags & NUMBERS_LATER != 0));
        }
        ends.sort_unstable();
        let first = (self.shift, self.shift, false);
        for (index, (_, end, is_later)) in std::iter::once(&first).chain(&ends).enumerate() {
            let next = ends.get(index).map_or(self.directory.0, |(offset, ..)| *offset);
            // What begins inside this one is told by the sum of all.
            if *end < next {
                self.check_gap(*end, next, *is_later)?;
            }
        }
        Ok(())
    }

    fn check_gap(&self, start: u64, end: u64, is_later: bool) -> Result<(), ZipError> {
        let room = (end - start).min((NUMBERS_BYTES + HEADER.len()) as u64);
        let gap = self.tail.get(start, room)?;
        // Behind the bytes may stand their CRC and sizes, of 4 bytes each or of 8, with a magic number or without.
        let skips: &[usize] = match (is_later, gap.starts_with(NUMBERS)) {
            (false, _) => &[0],
            (true, false) => &[12, 20],
            (true, true) => &[16, NUMBERS_BYTES],
        };
        let is_hidden = |skip: &usize| {
            let is_whole = end - start >= (skip + HEADER_BYTES) as u64;
            is_whole && gap.get(*skip..).is_some_and(|rest| rest.starts_with(HEADER))
        };
        match skips.iter().find(|skip| is_hidden(skip)) {
            None => Ok(()),
            Some(skip) => {
                let found = format!("another at offset {}", start + *skip as u64);
                Err(damaged("no member beside those in the directory", found))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::zip;
    use super::*;

    /// An archive with bytes put in at an offset, all that lies behind moved on.
    fn with(bytes: &[u8], at: usize, more: &[u8]) -> Vec<u8> {
        let mut longer = [&bytes[..at], more, &bytes[at..]].concat();
        let mut shift = |place: usize| {
            let old = u32::from_le_bytes(longer[place..place + 4].try_into().unwrap());
            if old as usize >= at {
                longer[place..place + 4].copy_from_slice(&(old + more.len() as u32).to_le_bytes());
            }
        };
        let end = bytes.len() - 22 + more.len();
        shift(end + 16);
        let mut places: Vec<usize> = Vec::new();
        let directory = u32::from_le_bytes(bytes[bytes.len() - 6..bytes.len() - 2].try_into().unwrap()) as usize;
        let mut entry = directory + more.len();
        for name in ["a", "b"] {
            places.push(entry + 42);
            entry += 46 + name.len();
        }
        places.into_iter().for_each(shift);
        longer
    }

    fn checked(bytes: &[u8]) -> Result<(), String> {
        let archive = Archive::open(bytes).unwrap();
        let names: Vec<Vec<u8>> = archive.entries().map(|entry| entry.unwrap().name.to_vec()).collect();
        assert_eq!(names, [b"a", b"b"]);
        let (headers, all) = (archive.check_headers(), archive.check_all(true));
        assert_eq!(headers.is_ok(), all.is_ok());
        headers.map_err(|error| error.to_string())
    }

    #[test]
    fn a_member_that_the_directory_lacks_is_found_wherever_one_would_read_it() {
        let good = zip(&[("a", b"one"), ("b", b"two")]);
        let member = |bytes: &[u8]| bytes[..bytes.windows(4).position(|part| part == b"PK\x01\x02").unwrap()].to_vec();
        let hidden = member(&zip(&[("c", b"three")]));
        let second = (1..good.len()).find(|at| good[*at..].starts_with(HEADER)).unwrap();
        let directory = member(&good).len();
        checked(&good).unwrap();
        for at in [0, second, directory] {
            assert!(checked(&with(&good, at, &hidden)).unwrap_err().contains("beside those in the directory"), "{at}");
            // Padding stops who reads from the front.
            checked(&with(&good, at, &[0; 64])).unwrap();
            checked(&with(&good, at, &[&[0; 7][..], &hidden].concat())).unwrap();
        }
    }

    #[test]
    fn numbers_behind_a_members_bytes_are_stepped_over() {
        let good = zip(&[("a", b"one"), ("b", b"two")]);
        let second = (1..good.len()).find(|at| good[*at..].starts_with(HEADER)).unwrap();
        let hidden = good[..second].to_vec();
        let directory = good.windows(4).position(|part| part == b"PK\x01\x02").unwrap();
        let mut later = good.clone();
        later[6] |= NUMBERS_LATER as u8;
        later[directory + 8] |= NUMBERS_LATER as u8;
        for numbers in [vec![1; 12], vec![1; 20], [NUMBERS, &[1; 12]].concat(), [NUMBERS, &[1; 20]].concat()] {
            checked(&with(&later, second, &numbers)).unwrap();
            assert!(checked(&with(&later, second, &[&numbers[..], &hidden].concat())).is_err(), "{}", numbers.len());
        }
    }
}
