//! Checks of all members: that each one's own header says what the directory says, and that its bytes are right.
//!
//! Readers differ in which of the two headers they believe, so an archive where they differ is two archives. The bytes of all members
//! are for what strangers send and for who asks: inflating a wheel costs far more than an import of it.

use super::{Archive, ENCRYPTED, Entry, HEADER_BYTES, NUMBERS_LATER, ReadAt, UTF8, ZipError, le16, le32, zip64_extra};
use crate::budget::{self, Account, Excess};
use rayon::prelude::*;
use std::io::{self, Read};

/// How much of a member is inflated at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// No member is larger: the account ends before.
const MAX_MEMBER_BYTES: u64 = 1 << 40;

impl<R: ReadAt + Sync + ?Sized> Archive<'_, R> {
    /// Inflates all members, several at a time by rayon's current pool, and makes sure that their headers, sizes and CRCs are right, and
    /// that there are no others.
    ///
    /// With `is_bounded` no more is inflated than the budgets `members-…` have: what goes beyond is refused.
    pub fn check_all(&self, is_bounded: bool) -> Result<(), ZipError> {
        let packed = budget::MEMBERS_RATIO.limit.saturating_mul(self.tail.size);
        let most = if is_bounded { budget::MEMBERS_BYTES.limit.saturating_add(packed) } else { u64::MAX };
        self.check_within(&Account::new(budget::MEMBERS_BYTES, most))
    }

    fn check_within(&self, account: &Account) -> Result<(), ZipError> {
        self.check_gaps()?;
        let piece = || vec![0; PIECE_BYTES];
        self.entries().par_bridge().try_for_each_init(piece, |piece, entry| self.check(&entry?, account, piece))
    }

    fn check(&self, entry: &Entry<'_>, account: &Account, piece: &mut [u8]) -> Result<(), ZipError> {
        self.check_header(entry)?;
        let mut reader = self.reader(entry, MAX_MEMBER_BYTES)?;
        loop {
            match reader.read(piece) {
                Ok(0) => return Ok(()),
                Ok(len) => account.spend(len as u64).map_err(ZipError::TooMuch)?,
                Err(error) => return Err(own(entry, error)),
            }
        }
    }
}

/// Returns the error that a reader put into one of the system's.
fn own(entry: &Entry<'_>, error: io::Error) -> ZipError {
    let kind = error.kind();
    match error.into_inner().map(|inner| inner.downcast::<ZipError>()) {
        Some(Ok(refused)) => *refused,
        _ => entry.refused("its bytes", format!("{kind}")),
    }
}

impl<R: ReadAt + ?Sized> Archive<'_, R> {
    /// Makes sure that the members' own headers say what the directory says of them, that they don't lie over one another, and that
    /// there are no others.
    pub fn check_headers(&self) -> Result<(), ZipError> {
        let mut packed = 0u64;
        for entry in self.entries() {
            let entry = entry?;
            entry.check_readable()?;
            self.check_header(&entry)?;
            packed = packed.saturating_add(entry.packed_size);
        }
        // They lie over one another, as in a bomb.
        let excess = || ZipError::TooMuch(Excess(budget::MEMBERS_BYTES));
        if packed > self.tail.size { Err(excess()) } else { self.check_gaps() }
    }

    /// Makes sure that a member's own header says what the directory says of it.
    fn check_header(&self, entry: &Entry<'_>) -> Result<(), ZipError> {
        let start = self.bytes_start(entry)?;
        let header = self.tail.get(entry.offset, start - entry.offset)?;
        let (flags, method) = (le16(&header, 6), le16(&header, 8));
        // How an ASCII name is read hangs on no flag.
        let meant = if entry.name.is_ascii() { ENCRYPTED } else { ENCRYPTED | UTF8 };
        if method != entry.method || (flags ^ entry.flags) & meant != 0 {
            let expected = format!("method {} and flags {:#06x} in its header", entry.method, entry.flags);
            return Err(entry.refused(expected, format!("method {method} and flags {flags:#06x}")));
        }
        let extra = zip64_extra(header.get(HEADER_BYTES + entry.name.len()..).unwrap_or_default());
        let wide =
            |at: usize| extra.get(at..at + 8).and_then(|bytes| bytes.first_chunk().copied()).map(u64::from_le_bytes);
        let narrow = |at: usize| u64::from(le32(&header, at));
        // In a member's own header the wide numbers are both there, the size first (APPNOTE 4.5.3).
        let size = if narrow(22) == u64::from(u32::MAX) { wide(0).unwrap_or(narrow(22)) } else { narrow(22) };
        let packed = if narrow(18) == u64::from(u32::MAX) { wide(8).unwrap_or(narrow(18)) } else { narrow(18) };
        let (own, said) = ([narrow(14), packed, size], [u64::from(entry.crc), entry.packed_size, entry.size]);
        // Who writes to a pipe leaves them at 0 and tells them after the bytes.
        let is_later = flags & NUMBERS_LATER != 0;
        if own.iter().zip(&said).all(|(own, said)| own == said || is_later && *own == 0) {
            return Ok(());
        }
        let told = |[crc, packed, size]: [u64; 3]| format!("{size} bytes from {packed} with CRC {crc:08x}");
        Err(entry.refused(format!("{} in its header", told(said)), told(own)))
    }
}

impl Entry<'_> {
    /// Makes sure that a name in the member's own header is that of the directory.
    pub(super) fn compare_name(&self, name: &[u8]) -> Result<(), ZipError> {
        let found = || format!("{:?}", String::from_utf8_lossy(name));
        if name == self.name { Ok(()) } else { Err(self.refused("the same name in its header", found())) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::zip;
    use super::*;

    /// Where the first member's own header has each of its numbers: flags, method, CRC, packed size, size, name.
    const NUMBERS: [usize; 6] = [6, 8, 14, 18, 22, 30];

    #[test]
    fn a_header_that_differs_from_the_directory_is_found_wherever_it_differs() {
        let good = zip(&[("a/b.txt", b"wheels wheels wheels"), ("empty", b"")]);
        let archive = Archive::open(&good[..]).unwrap();
        archive.check_headers().unwrap();
        archive.check_all(true).unwrap();
        for at in NUMBERS {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            let archive = Archive::open(&bytes[..]).unwrap();
            assert!(archive.check_headers().is_err(), "byte {at}");
            assert!(archive.check_all(true).is_err(), "byte {at}");
        }
    }

    #[test]
    fn numbers_that_follow_the_bytes_or_are_wide_are_understood() {
        let mut later = zip(&[("a", b"wheels wheels wheels")]);
        later[14..26].fill(0);
        assert!(Archive::open(&later[..]).unwrap().check_headers().is_err());
        later[6] |= NUMBERS_LATER as u8;
        Archive::open(&later[..]).unwrap().check_headers().unwrap();
        later[22] = 1;
        assert!(Archive::open(&later[..]).unwrap().check_headers().is_err(), "neither 0 nor right");
    }

    #[test]
    fn all_members_are_inflated_within_a_budget() {
        let noise: Vec<u8> = (0..3000u32).map(|at| (at.wrapping_mul(at) >> 3) as u8).collect();
        let mut bytes = zip(&[("a", &[7; 3000]), ("b", &noise)]);
        let at = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[at - 100] ^= 0x10;
        let error = Archive::open(&bytes[..]).unwrap().check_all(true).unwrap_err();
        assert!(error.to_string().contains("\"b\""), "{error}");
        let good = zip(&[("a", &[7; 3000]), ("b", &noise)]);
        let archive = Archive::open(&good[..]).unwrap();
        let within = |most: u64| archive.check_within(&Account::new(budget::MEMBERS_BYTES, most));
        assert!(matches!(within(5999), Err(ZipError::TooMuch(Excess(budget::MEMBERS_BYTES)))));
        within(6000).unwrap();
    }
}
