//! What is in a distribution, by name and size, without inflating a wheel's members; and whether a wheel's RECORD names the same.
//!
//! Bounded, for whoever shows it while somebody waits: digests are for [`check_bytes`](super::check_bytes).

use super::filename::DistributionFilename;
use super::sdist;
use super::zip::{Archive, ZipError};
use super::{Error, budget};
use std::collections::HashMap;
use std::fs::File;

/// So many members are listed; the others are counted.
const LISTED: usize = 2000;
/// Of a wheel with more members RECORD isn't compared, nor one of more lines.
const COMPARED: u64 = 50_000;
/// So much of an sdist is inflated to list it.
const INFLATED: u64 = 32 << 20;
/// So many differences are told; the others are counted.
const TOLD: usize = 50;

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name in the archive.
    pub name: String,
    /// The number of its bytes, unpacked.
    pub size: u64,
}

/// What is in a distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// The first members, in the archive's order; no directories.
    pub list: Vec<Member>,
    /// How many there are, as far as was looked.
    pub count: u64,
    /// Their bytes, unpacked.
    pub bytes: u64,
    /// Whether there are more that weren't looked at.
    pub is_cut: bool,
    /// The documents that say what it is made of (PEP 770).
    pub sboms: Vec<Member>,
    /// How RECORD compares; of an sdist there is none.
    pub record: Option<RecordCheck>,
}

/// How a wheel's RECORD compares with the archive's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordCheck {
    /// There is none.
    Missing,
    /// It can't be read, or there is too much to compare, as this says.
    Unread(String),
    /// It was compared.
    Compared {
        /// How many files it names.
        named: usize,
        /// What differs.
        differences: Vec<String>,
        /// The differences that aren't told.
        more: usize,
    },
}

/// Lists a distribution's members; `None`: it is packed in a way that isn't unpacked here.
pub fn members(file: &File, name: &DistributionFilename) -> Result<Option<Members>, Error> {
    match name {
        DistributionFilename::Wheel(_) => of_wheel(file).map(Some),
        DistributionFilename::Sdist(name) => {
            let mut found = Members::default();
            let Some(is_whole) =
                sdist::each_member(file, name.packing(), INFLATED, &mut |name, size| found.add(name, size))?
            else {
                return Ok(None);
            };
            found.is_cut = !is_whole;
            Ok(Some(found))
        }
    }
}

impl Members {
    fn add(&mut self, name: &[u8], size: u64) {
        if name.ends_with(b"/") {
            return;
        }
        self.count += 1;
        self.bytes = self.bytes.saturating_add(size);
        let member = || Member { name: String::from_utf8_lossy(name).into_owned(), size };
        if self.list.len() < LISTED {
            self.list.push(member());
        }
        if is_sbom(name) && self.sboms.len() < TOLD {
            self.sboms.push(member());
        }
    }
}

fn is_sbom(name: &[u8]) -> bool {
    let mut parts = name.splitn(3, |byte| *byte == b'/');
    let top = parts.next().unwrap_or_default();
    top.ends_with(b".dist-info") && parts.next() == Some(b"sboms") && parts.next().is_some()
}

fn of_wheel(file: &File) -> Result<Members, Error> {
    let archive = Archive::open(file)?;
    let mut found = Members::default();
    let mut record = None;
    for entry in archive.entries() {
        let entry = entry?;
        found.add(entry.name, entry.size);
        if record_of(entry.name) == Some("RECORD") {
            record = Some(entry);
        }
    }
    found.record = Some(match record {
        None => RecordCheck::Missing,
        Some(_) if found.count > COMPARED => RecordCheck::Unread(format!("{} members are too many", found.count)),
        Some(entry) => match archive.read(&entry, budget::METADATA_BYTES.limit) {
            // Each line takes memory, and a small archive has room for millions.
            Ok(bytes) => match bytes.iter().filter(|byte| **byte == b'\n').count() as u64 {
                lines if lines > COMPARED => RecordCheck::Unread(format!("its {lines} lines are too many")),
                _ => compare(&archive, &bytes)?,
            },
            Err(error) => RecordCheck::Unread(crate::words::reason(&error)),
        },
    });
    Ok(found)
}

/// Returns which of the files that RECORD needn't name a member is.
fn record_of(name: &[u8]) -> Option<&str> {
    let (top, rest) = std::str::from_utf8(name).ok()?.split_once('/')?;
    (top.ends_with(".dist-info") && matches!(rest, "RECORD" | "RECORD.jws" | "RECORD.p7s")).then_some(rest)
}

fn compare(archive: &Archive<'_>, record: &[u8]) -> Result<RecordCheck, ZipError> {
    let text = String::from_utf8_lossy(record);
    let mut said: HashMap<String, Option<u64>> = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (path, rest) = first_field(line);
        said.insert(path, rest.rsplit(',').next().and_then(|size| size.trim().parse().ok()));
    }
    let named = said.len();
    let mut found = Vec::new();
    for entry in archive.entries() {
        let entry = entry?;
        let name = String::from_utf8_lossy(entry.name);
        match said.remove(name.as_ref()) {
            Some(Some(size)) if size != entry.size => {
                found.push(format!("{name}: {size} bytes in RECORD, {} in the archive", entry.size))
            }
            None if !name.ends_with('/') && record_of(entry.name).is_none() => {
                found.push(format!("{name}: not in RECORD"))
            }
            _ => {}
        }
    }
    let mut gone: Vec<String> = said.into_keys().collect();
    gone.sort();
    found.extend(gone.into_iter().map(|name| format!("{name}: not in the archive")));
    let more = found.len().saturating_sub(TOLD);
    found.truncate(TOLD);
    Ok(RecordCheck::Compared { named, differences: found, more })
}

/// Takes the first field of a line of CSV, and what follows it.
fn first_field(line: &str) -> (String, &str) {
    let Some(quoted) = line.strip_prefix('"') else {
        let (path, rest) = line.split_once(',').unwrap_or((line, ""));
        return (path.to_owned(), rest);
    };
    let (mut path, mut rest) = (String::new(), quoted);
    while let Some((part, after)) = rest.split_once('"') {
        path.push_str(part);
        rest = after;
        match rest.strip_prefix('"') {
            // Two quotes are one.
            Some(after) => {
                path.push('"');
                rest = after;
            }
            None => break,
        }
    }
    (path, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wheel::zip::tests::zip;
    use std::io::Write as _;

    fn of(members: &[(&str, &[u8])]) -> Members {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&zip(members)).unwrap();
        let name = DistributionFilename::parse("demo-1.0-py3-none-any.whl").unwrap();
        super::members(&file, &name).unwrap().unwrap()
    }

    #[test]
    fn a_wheel_whose_record_names_what_there_is_has_no_differences() {
        let record = "demo/a.py,sha256=x,3\n\"demo/b,\"\"c\"\".py\",,1\ndemo-1.dist-info/RECORD,,\ndemo-1.dist-info/sboms/a.cdx.json,,2\n";
        let found = of(&[
            ("demo/a.py", b"abc"),
            ("demo/b,\"c\".py", b"x"),
            ("demo-1.dist-info/sboms/a.cdx.json", b"{}"),
            ("demo-1.dist-info/RECORD", record.as_bytes()),
            ("demo-1.dist-info/RECORD.jws", b""),
        ]);
        assert_eq!(found.record, Some(RecordCheck::Compared { named: 4, differences: Vec::new(), more: 0 }));
        assert_eq!((found.count, found.sboms.len(), found.sboms[0].size), (5, 1, 2));
    }

    #[test]
    fn differences_are_told_and_counted() {
        let record = "demo/a.py,,4\ngone.py,,1\n";
        let found = of(&[("demo/a.py", b"abc"), ("new.py", b""), ("demo-1.dist-info/RECORD", record.as_bytes())]);
        let Some(RecordCheck::Compared { differences, .. }) = found.record else { panic!("{found:?}") };
        assert_eq!(
            differences,
            ["demo/a.py: 4 bytes in RECORD, 3 in the archive", "new.py: not in RECORD", "gone.py: not in the archive"]
        );
        assert_eq!(of(&[("a", b"")]).record, Some(RecordCheck::Missing));
        let endless = "a,,\n".repeat(COMPARED as usize + 1);
        let found = of(&[("demo-1.dist-info/RECORD", endless.as_bytes())]);
        assert!(matches!(&found.record, Some(RecordCheck::Unread(why)) if why.contains("50001 lines")), "{found:?}");
        let many: String = (0..80).map(|number| format!("{number},,\n")).collect();
        let found = of(&[("demo-1.dist-info/RECORD", many.as_bytes())]);
        assert!(matches!(found.record, Some(RecordCheck::Compared { named: 80, more: 30, .. })), "{found:?}");
    }
}
