//! What is known of one wheel that is compared: its members by content, and what its documents and native code say.

use super::Error;
use crate::budget::{self, Account, Excess};
use crate::digest::{Hasher, Sha256};
use crate::wheel::accelerator::{Counted, Needs, inflation, needs};
use crate::wheel::metadata::headers;
use crate::wheel::zip::{Archive, Entry, ReadAt, ZipError};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io::{self, Read};

/// How much of a member is inflated at a time.
const PIECE_BYTES: usize = 64 << 10;
/// No member is larger: the account ends before.
const MAX_MEMBER_BYTES: u64 = 1 << 40;

/// A member: what it is when it is unpacked, and when it was last changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) size: u64,
    pub(super) sha256: Sha256,
    pub(super) mode: u16,
    pub(super) modified: u32,
}

impl Member {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.size, self.sha256, self.mode) == (other.size, other.sha256, other.mode)
    }
}

/// Fields of a document, each with its values in order.
pub(super) type Fields = BTreeMap<String, Vec<String>>;

/// A wheel, opened to be compared.
pub(super) struct Opened<'a, R: ?Sized> {
    archive: &'a Archive<'a, R>,
    entries: BTreeMap<String, Entry<'a>>,
    account: Account,
    /// Names and packed sizes, in the archive's order.
    pub(super) layout: Vec<(String, u64)>,
    pub(super) members: BTreeMap<String, Member>,
}

impl<'a, R: ReadAt + Sync + ?Sized> Opened<'a, R> {
    /// Reads all members of a wheel of `size` bytes, within the budgets of a deep look.
    pub(super) fn read(archive: &'a Archive<'a, R>, size: u64) -> Result<Self, Error> {
        // No member lies over another one, so what is inflated is bounded by what is there.
        archive.check_headers()?;
        let (mut entries, mut layout) = (BTreeMap::new(), Vec::new());
        for entry in archive.entries() {
            let entry = entry?;
            let name = String::from_utf8_lossy(entry.name).into_owned();
            if entries.len() as u64 == budget::DEEP_MEMBERS.limit {
                return Err(ZipError::TooMuch(Excess(budget::DEEP_MEMBERS)).into());
            }
            layout.push((name.clone(), entry.packed_size));
            if entries.insert(name.clone(), entry).is_some() {
                return Err(Error::Twice(name));
            }
        }
        let account = inflation(size);
        let read = |(name, entry): (&String, &Entry<'a>)| Ok((name.clone(), member(archive, entry, &account)?));
        let members = entries.par_iter().map(read).collect::<io::Result<BTreeMap<_, _>>>().map_err(refused)?;
        Ok(Self { archive, entries, account, layout, members })
    }

    /// Reads what the native ones of these members need; a new account is opened, since a member is inflated once more.
    pub(super) fn needs<'n>(
        &self,
        names: impl Iterator<Item = &'n String>,
        size: u64,
    ) -> Result<BTreeMap<String, Needs>, Error> {
        let account = inflation(size);
        let wanted: Vec<(&String, &Entry<'a>)> = names.filter_map(|name| self.entries.get_key_value(name)).collect();
        let read = |(name, entry): &(&String, &Entry<'a>)| {
            let found = needs(self.archive, entry, &account)?;
            Ok(found.map(|needs| ((*name).clone(), needs)))
        };
        let found = wanted.par_iter().map(read).collect::<io::Result<Vec<_>>>().map_err(refused)?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Returns the document of this name in the wheel's `.dist-info`, and its bytes.
    pub(super) fn document(&self, file: &str) -> Result<Option<Vec<u8>>, Error> {
        let is_it =
            |name: &str| name.split_once('/').is_some_and(|(dir, rest)| dir.ends_with(".dist-info") && rest == file);
        let Some((_, entry)) = self.entries.iter().find(|(name, _)| is_it(name)) else { return Ok(None) };
        self.account.spend(entry.size).map_err(ZipError::TooMuch)?;
        Ok(Some(self.archive.read(entry, budget::METADATA_BYTES.limit)?))
    }

    /// Returns the fields of a document, and what follows them.
    pub(super) fn fields(&self, file: &str) -> Result<Fields, Error> {
        let mut fields = Fields::new();
        let Some(bytes) = self.document(file)? else { return Ok(fields) };
        check_lines(&bytes)?;
        for (name, value) in headers(&bytes) {
            let value = String::from_utf8_lossy(&value).trim().to_owned();
            fields.entry(String::from_utf8_lossy(name).into_owned()).or_default().push(value);
        }
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        if let Some((_, body)) = text.split_once("\n\n").filter(|(_, body)| !body.trim().is_empty()) {
            // Whole texts of many lines are told by what they are, not shown.
            let digest = Sha256::of(body.as_bytes()).to_string();
            let told = format!("{} bytes, sha256 {}", body.len(), digest.get(..12).unwrap_or_default());
            fields.insert("(description)".to_owned(), vec![told]);
        }
        Ok(fields)
    }

    /// Returns the rows of RECORD by member.
    pub(super) fn record(&self) -> Result<BTreeMap<String, String>, Error> {
        let Some(bytes) = self.document("RECORD")? else { return Ok(BTreeMap::new()) };
        check_lines(&bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        // The path may have commas, and is quoted then; digest and size have none.
        let row = |line: &str| {
            let mut parts = line.trim_end().rsplitn(3, ',');
            let (size, digest, path) = (parts.next()?, parts.next()?, parts.next()?);
            Some((path.trim_matches('"').replace("\"\"", "\""), format!("{digest},{size}")))
        };
        Ok(text.lines().filter_map(row).collect())
    }
}

/// Refuses a document of too many lines: each takes memory of its own, and RECORD needs no more than there may be members.
fn check_lines(bytes: &[u8]) -> Result<(), Error> {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    if lines > budget::DEEP_MEMBERS.limit {
        Err(ZipError::TooMuch(Excess(budget::DEEP_MEMBERS)).into())
    } else {
        Ok(())
    }
}

fn member<R: ReadAt + ?Sized>(archive: &Archive<'_, R>, entry: &Entry<'_>, account: &Account) -> io::Result<Member> {
    let inner = archive.reader(entry, MAX_MEMBER_BYTES).map_err(io::Error::other)?;
    let mut reader = Counted::new(inner, account);
    let (mut hasher, mut piece) = (Hasher::default(), vec![0; PIECE_BYTES]);
    loop {
        match reader.read(&mut piece)? {
            0 => break,
            len => hasher.update(&piece[..len]),
        }
    }
    let (sha256, mode) = (hasher.finish().sha256, entry.mode);
    Ok(Member { size: entry.size, sha256, mode, modified: entry.modified })
}

/// Returns the error that a reader put into one of the system's.
fn refused(error: io::Error) -> Error {
    match error.into_inner() {
        None => Error::Twice("a member that can't be read".to_owned()),
        Some(inner) => match inner.downcast::<ZipError>() {
            Ok(refused) => (*refused).into(),
            Err(inner) => match inner.downcast::<Excess>() {
                Ok(excess) => ZipError::TooMuch(*excess).into(),
                Err(inner) => Error::Damaged(inner.to_string()),
            },
        },
    }
}
