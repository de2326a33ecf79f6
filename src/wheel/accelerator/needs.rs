//! What one native member needs where it is loaded: libraries, versions of symbols, GPUs.

use super::deep::{Counted, EXAMINING, MAX_MEMBER_BYTES, MIN_BYTES, begins_native};
use super::examine;
use crate::budget::{Account, Excess};
use crate::wheel::zip::{Archive, Entry, ReadAt};
use serde::Serialize;
use std::io::{self, Read};

/// What a native member needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// The libraries that must be there.
    pub libraries: Vec<String>,
    /// The versions of their symbols: `GLIBC_2.17`, `CXXABI_1.3`.
    pub versions: Vec<String>,
    /// The GPU architectures that it has code for.
    pub architectures: Vec<String>,
    /// What is wrong with its headers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

impl Needs {
    /// Returns the highest version of glibc that it needs.
    pub fn glibc(&self) -> Option<(u32, u32)> {
        let number = |name: &String| {
            let mut parts = name.strip_prefix("GLIBC_")?.split('.').map(|part| part.parse().ok());
            Some((parts.next()??, parts.next()??))
        };
        self.versions.iter().filter_map(number).max()
    }
}

/// Reads what a member needs; `None`: it is no native code.
pub fn needs<R: ReadAt + ?Sized>(
    archive: &Archive<'_, R>,
    entry: &Entry<'_>,
    account: &Account,
) -> io::Result<Option<Needs>> {
    if entry.size < MIN_BYTES {
        return Ok(None);
    }
    let open = || Ok(Counted::new(archive.reader(entry, MAX_MEMBER_BYTES).map_err(io::Error::other)?, account));
    let mut magic = [0; 8];
    open()?.read_exact(&mut magic)?;
    if !begins_native(&magic) {
        return Ok(None);
    }
    let examined = {
        let _memory = EXAMINING.hold(examine::memory(entry.size));
        examine::examine_for(entry.size, true, open)?
    };
    let architectures = examined.device.architectures.into_iter().collect();
    let elf = examined.elf.unwrap_or_default();
    if let Some(excess) = elf.excess {
        return Err(io::Error::other(Excess(excess)));
    }
    let sorted = |mut list: Vec<String>| {
        list.sort_unstable();
        list.dedup();
        list
    };
    let (libraries, versions) = (sorted(elf.needed), sorted(elf.versions));
    Ok(Some(Needs { libraries, versions, architectures, problems: elf.faults }))
}
