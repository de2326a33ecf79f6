//! The directory: what it says of each member, as it is walked.

use super::{ENTRY_BYTES, Entry, UTF8, ZipError, damaged, le16, le32};

/// A walk over an archive's members.
pub struct Entries<'a> {
    pub(super) rest: &'a [u8],
    pub(super) count: u64,
    pub(super) announced: (u64, u64),
    pub(super) directory: u64,
    pub(super) shift: u64,
    pub(super) done: bool,
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

/// Returns the body of the extra field's zip64 block.
pub(super) fn zip64_extra(mut extra: &[u8]) -> &[u8] {
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
