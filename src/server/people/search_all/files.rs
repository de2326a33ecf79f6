//! The files whose names have a text.

use super::{Domain, Found, PAGE};
use crate::error::Result;
use crate::store::Store;
use std::collections::HashSet;
use std::time::Instant;

/// So many are looked at in one go, of which the reader may find few.
const BATCH: u64 = 500;

/// Finds those of a page, for a reader of everything.
pub(super) fn of_all(
    store: &Store,
    (domain, end): (&Domain, Instant),
    (text, first): (&str, usize),
    found: &mut Found,
) -> Result<()> {
    let mut skipped = first as u64;
    for (id, _, place) in &domain.sources {
        if Instant::now() > end {
            found.is_cut = true;
            break;
        }
        let count = store.manifest.read()?.count_files_named(*id, text)?;
        if count > 0 {
            found.counts.entry(place.clone()).or_default().1 += count;
        }
        let room = (PAGE as u64).saturating_sub(found.files.len() as u64);
        if skipped >= count {
            skipped -= count;
            continue;
        }
        let files = store.manifest.read()?.files_named(*id, text, skipped, room)?;
        found.has_more_files |= count - skipped > files.len() as u64;
        skipped = 0;
        for file in files {
            domain.add(store, place, file, found)?;
        }
    }
    Ok(())
}

/// Finds those of a page, for the reader of one view: what is not offered there is passed over before anything is counted, so that neither
/// a page nor whether there is a next one tells of it.
pub(super) fn offered(
    store: &Store,
    (domain, end): (&Domain, Instant),
    (text, mut skipped): (&str, usize),
    found: &mut Found,
) -> Result<()> {
    let most = found.files.len() + PAGE;
    // A variant's collections may have the same file.
    let mut seen = HashSet::new();
    for (id, _, place) in &domain.sources {
        let count = store.manifest.read()?.count_files_named(*id, text)?;
        for first in (0..count).step_by(BATCH as usize) {
            if Instant::now() > end {
                found.is_cut = true;
                return Ok(());
            }
            let files = store.manifest.read()?.files_named(*id, text, first, BATCH)?;
            for file in files {
                let is_found = domain.has(&file.project)
                    && domain.offers(store, place, &file, found)?
                    && seen.insert(file.filename.clone());
                if !is_found {
                    continue;
                }
                if found.files.len() >= most {
                    found.has_more_files = true;
                    return Ok(());
                }
                match skipped.checked_sub(1) {
                    Some(left) => skipped = left,
                    None => found.add(place, file, true),
                }
            }
        }
    }
    Ok(())
}
