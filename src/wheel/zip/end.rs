//! The end record, by which the directory is found.

use super::{END_BYTES, END64_BYTES, LOCATOR_BYTES, ReadAt, Tail, ZipError, damaged, le16, le32, le64};

/// What the end record says, with zip64's numbers where it has them.
pub(super) struct End {
    pub(super) disks: bool,
    pub(super) count: u64,
    pub(super) count_mask: u64,
    pub(super) bytes: u64,
    pub(super) offset: u64,
}

impl End {
    /// Returns where the directory ends, and what is said of it.
    pub(super) fn read<R: ReadAt + ?Sized>(
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

/// Finds the last end record.
pub(super) fn find_end(bytes: &[u8]) -> Option<(usize, &[u8; END_BYTES])> {
    let room = bytes.len().checked_sub(END_BYTES)?;
    let at = (0..=room).rev().find(|at| bytes[*at..].starts_with(b"PK\x05\x06"))?;
    Some((at, bytes[at..].first_chunk()?))
}
