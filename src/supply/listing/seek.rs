//! Which file of all that views list is meant by a digest and a filename: what is listed can be downloaded, and nothing else.

use super::{Ask, Listed, ViewFile};
use crate::catalog::view_contents::Shown;
use crate::digest::Sha256;
use crate::error::Result;
use crate::supply::PullNote;
use crate::wheel::DistributionFilename;

/// What was found of a file.
#[derive(Debug, Clone)]
pub enum Sought {
    /// A view lists it.
    Listed(ViewFile),
    /// No view lists it.
    Nowhere,
    /// A remote that may have it can't be asked.
    Unavailable(Vec<PullNote>),
}

impl Ask<'_> {
    /// Looks into views, one after the other, for a file with this digest or, for `None`, without one that vouches for it.
    pub fn seek(&self, views: &[Shown], sha256: Option<&Sha256>, filename: &str) -> Result<Sought> {
        let Ok(readings) = DistributionFilename::readings(filename) else { return Ok(Sought::Nowhere) };
        let mut unavailable = None;
        for (view, name) in views.iter().flat_map(|view| readings.iter().map(move |name| (view, name))) {
            match self.listing(view, name.project())? {
                Listed::Found(listing) => {
                    let found = listing.files.into_iter().find(|held| is_meant(held, sha256, filename));
                    if let Some(held) = found {
                        return Ok(Sought::Listed(held));
                    }
                    if listing.is_incomplete {
                        unavailable.get_or_insert(listing.notes);
                    }
                }
                Listed::Unknown => {}
                Listed::Unavailable(notes) => {
                    unavailable.get_or_insert(notes);
                }
            }
        }
        Ok(unavailable.map_or(Sought::Nowhere, Sought::Unavailable))
    }
}

fn is_meant(held: &ViewFile, sha256: Option<&Sha256>, filename: &str) -> bool {
    if held.filename() != filename {
        return false;
    }
    match (held, sha256) {
        // It came without a digest, and who found it without one means it still.
        (ViewFile::Local(entry), None) => entry.origin.as_ref().is_some_and(|origin| origin.is_unhashed),
        _ => held.sha256().as_ref() == sha256,
    }
}
