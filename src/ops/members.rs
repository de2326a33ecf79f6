//! What `verify --deep` looks at: whether the members of distributions have the bytes that they say.
//!
//! A blob can be right, byte for byte what came, and hold a wheel that no installer unpacks: it was built or sent so. Nothing is done to
//! it; it is told.

use crate::context::Context;
use crate::digest::Blake3;
use crate::error::Result;
use crate::manifest::BlobRow;
use crate::parallel;
use crate::store::Store;
use crate::wheel::{self, DistributionFilename};
use crate::words::reason;
use serde::Serialize;
use std::time::{Duration, Instant};

/// A distribution with a member that is not what it says.
#[derive(Debug, Clone, Serialize)]
pub struct DamagedDistribution {
    /// Its filename.
    pub filename: String,
    /// The blob, whose bytes are right.
    pub blake3: Blake3,
    /// Which member, and how.
    pub detail: String,
}

/// Looks into the blobs that have a filename, until the time is over, if there is a limit; what can't be opened is verify's to tell.
pub(super) fn damaged(
    store: &Store,
    context: &Context<'_>,
    rows: &[BlobRow],
    limit: Option<(Instant, Duration)>,
) -> Result<Vec<DamagedDistribution>> {
    let mut subjects = Vec::new();
    for row in rows {
        // All of a blob's names are of one archive.
        let name = store.manifest.filenames(row.id)?.into_iter().next();
        subjects.extend(name.map(|name| (row.blake3, name)));
    }
    let blobs = &store.blobs;
    let look = |(blake3, filename): &(Blake3, String)| {
        if limit.is_some_and(|(started, limit)| started.elapsed() >= limit) {
            return None;
        }
        let (file, name) = (blobs.open(blake3).ok()?, DistributionFilename::parse(filename).ok()?);
        let error = wheel::check_bytes(&file, &name).err()?;
        Some(DamagedDistribution { filename: filename.clone(), blake3: *blake3, detail: reason(&error) })
    };
    let mut damaged: Vec<_> = parallel::map(context.jobs, &subjects, look).into_iter().flatten().collect();
    damaged.sort_by(|one, other| one.filename.cmp(&other.filename));
    Ok(damaged)
}
