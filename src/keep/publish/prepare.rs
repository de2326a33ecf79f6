//! A file is staged, or hashed where it is, and read for what it is.

use super::{FileWork, Incoming, PerItem, Ready, SYNC_AT_ONCE_BYTES};
use crate::blobs::{Found, LinkMode, Staging};
use crate::error::Result;
use crate::fs::{self, Signature};
use crate::manifest::{Distribution, InspectionRow};
use crate::wheel;
use crate::words::reason;
use std::fs::File;
use std::path::Path;

impl FileWork<'_> {
    /// Stages a file (or hashes it where it is, if the store may have it) and reads what it is.
    pub(super) fn prepare(&self, index: usize, item: &Incoming<'_>, may_be_known: bool) -> Result<PerItem<Ready>> {
        let source = item.path;
        let is_linked = matches!(self.link, LinkMode::Hardlink | LinkMode::Move);
        let done = if may_be_known && !is_linked {
            Staging::hash_source(source, self.wide).map(|(digests, signature)| (None, digests, signature))
        } else {
            self.staging.stage(source, self.link, self.wide).map(|staged| {
                let (digests, source) = (staged.digests, staged.source);
                (Some(staged), digests, source)
            })
        };
        let (mut staged, mut digests, mut signature) = match self.own_fault(done, source)? {
            Ok(done) => done,
            Err(reason) => return Ok(Err(reason)),
        };
        // A source that changed while it was hashed where it is, or whose blob is gone, is hashed again in staging.
        let is_known = staged.is_some() || signature.is_some() && self.blobs.find(&digests.blake3)? != Found::Absent;
        if !is_known {
            match self.own_fault(self.staging.stage(source, self.link, self.wide), source)? {
                Ok(again) => {
                    (digests, signature) = (again.digests, again.source);
                    staged = Some(again);
                }
                Err(reason) => return Ok(Err(reason)),
            }
        }
        let judged = match &staged {
            Some(staged) => self.describe(&staged.file, item),
            None => self.describe_source(signature, item),
        };
        let size = staged.as_ref().map_or(item.size, |staged| staged.signature.size);
        if let Some(staged) = staged.as_ref().filter(|_| size >= SYNC_AT_ONCE_BYTES && judged.is_ok()) {
            // While the disk works on a large file, the other threads hash.
            fs::sync_file(&staged.path)?;
        }
        let copied = staged.as_ref().and_then(|staged| staged.copied);
        if let Some(staged) = staged.as_ref().filter(|_| judged.is_err()) {
            staged.give_back()?;
        }
        let staged = staged.map(|staged| (staged.path, staged.signature));
        match judged {
            Ok(described) => Ok(Ok(Ready {
                index,
                source: source.to_owned(),
                digests,
                size,
                staged,
                signature,
                described,
                row: None,
                has_blob: false,
                is_new: false,
                is_healed: false,
                copied,
                was_read: false,
                found: None,
                quarantined: None,
            })),
            Err(reason) => {
                if let Some((path, _)) = staged {
                    fs::remove_file(&path)?;
                }
                Ok(Err(reason))
            }
        }
    }

    /// Reads what a file is that was hashed where it lies, and makes sure that it still is the one that was hashed.
    fn describe_source(&self, hashed: Option<Signature>, item: &Incoming<'_>) -> PerItem<Inspected> {
        let file = fs::open(item.path).map_err(|error| reason(&error))?;
        let described = self.describe(&file, item)?;
        match file.metadata() {
            Ok(metadata) if Some(Signature::of(&metadata)) == hashed => Ok(described),
            _ => Err("it changed while it was imported; import it again".to_owned()),
        }
    }

    /// Reads what a file is and checks that it is what its name says.
    fn describe(&self, file: &File, item: &Incoming<'_>) -> PerItem<Inspected> {
        let read = wheel::read_and_inspect(file, item.name, self.trust);
        let (contents, inspection) = read.map_err(|error| reason(&error))?;
        if item.is_from_elsewhere {
            wheel::check_headers(file, item.name).map_err(|error| reason(&error))?;
        }
        let inspection = inspection.as_ref().map(InspectionRow::of);
        Ok(Inspected { distribution: Distribution::new(item.name, contents), inspection })
    }

    /// Tells an item's fault (its file can't be read, or vanished) from the store's, which ends the import.
    fn own_fault<T>(&self, done: fs::Result<T>, source: &Path) -> Result<PerItem<T>> {
        match done {
            Ok(done) => Ok(Ok(done)),
            Err(error) if error.path == source || self.link == LinkMode::Reflink && !error.is_full() => {
                Ok(Err(reason(&error)))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What a file is, and what a quick look found that it is bound to.
pub(super) struct Inspected {
    pub(super) distribution: Distribution,
    pub(super) inspection: Option<InspectionRow>,
}
