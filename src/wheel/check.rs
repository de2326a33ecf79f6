//! Checks beyond what reading a distribution takes: for what strangers send, for who asks, and for files that may still be written.

use super::sdist::{self, Packing};
use super::zip::Archive;
use super::{DistInfo, DistributionFilename, Error};
use std::collections::HashSet;
use std::fs::File;

/// Makes sure of more than its owner's import asks of a distribution, for what strangers send: a wheel has its RECORD and no member
/// twice, and all members of a zip archive have the bytes that they say. Inflates them, within the budgets `members-…`.
pub fn check_sent(file: &File, name: &DistributionFilename) -> Result<(), Error> {
    match name {
        DistributionFilename::Wheel(_) => check_members(&Archive::open(file)?),
        DistributionFilename::Sdist(sdist) if sdist.packing() == Packing::Zip => {
            Ok(Archive::open(file)?.check_all(true)?)
        }
        // It is read to its end in any case.
        DistributionFilename::Sdist(_) => Ok(()),
    }
}

fn check_members(archive: &Archive<'_>) -> Result<(), Error> {
    let directory = DistInfo::find(archive)?.directory;
    let record = format!("{directory}/RECORD");
    let mut names = HashSet::new();
    for entry in archive.entries() {
        let name = entry?.name;
        if !names.insert(name) {
            return Err(Error::Twice(String::from_utf8_lossy(name).into_owned()));
        }
    }
    if !names.contains(record.as_bytes()) {
        return Err(Error::Member { member: record, found: 0 });
    }
    drop(names);
    Ok(archive.check_all(true)?)
}

/// Makes sure that each member's own header says what the archive's directory says of it, for what comes from a remote: its digest
/// vouches for its bytes, not for what different readers make of them.
pub fn check_headers(file: &File, name: &DistributionFilename) -> Result<(), Error> {
    match name {
        DistributionFilename::Wheel(_) => Ok(Archive::open(file)?.check_headers()?),
        DistributionFilename::Sdist(_) => Ok(()),
    }
}

/// Makes sure that the bytes of all members are those that were packed, however many: by their sizes and CRCs.
///
/// An sdist has checksums of its own, which [`read`](super::read) looks at; a `.zip` is one like a wheel.
pub fn check_bytes(file: &File, name: &DistributionFilename) -> Result<(), Error> {
    match name {
        DistributionFilename::Sdist(sdist) if sdist.packing() != Packing::Zip => {
            Ok(sdist::pkg_info(file, sdist.packing()).map(drop)?)
        }
        _ => Ok(Archive::open(file)?.check_all(false)?),
    }
}

/// Makes sure that a distribution's archive goes to its end: one that is still being written doesn't.
///
/// A zip archive has its directory there; a `.tar.gz` is inflated to the end, where its checksum is.
pub fn check_whole(file: &File, name: &DistributionFilename) -> Result<(), Error> {
    match name {
        DistributionFilename::Sdist(sdist) => Ok(sdist::pkg_info(file, sdist.packing()).map(drop)?),
        DistributionFilename::Wheel(_) => Ok(Archive::open(file).map(drop)?),
    }
}
