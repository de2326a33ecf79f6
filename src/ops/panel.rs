//! What somebody who runs a store wants to see at a glance. Nothing here takes a lock or changes anything.

use crate::catalog::retention;
use crate::error::Result;
use crate::fs;
use crate::manifest::{Retention, Rows, Scope, SessionRow};
use crate::name::CollectionName;
use crate::ops::webhook;
use crate::store::Store;

/// What retention would take is not looked for in a collection with more files: `wcas gc --dry-run` does it.
pub const MOST_FILES: u64 = 300_000;

/// What the next gc would drop from a collection by its rules.
#[derive(Debug, Clone)]
pub struct Due {
    /// The collection.
    pub collection: CollectionName,
    /// How many files, and their bytes, which others may share; `None`: it is too large to tell.
    pub files: Option<(u64, u64)>,
}

/// What is read in microseconds.
#[derive(Debug, Clone)]
pub struct Glance {
    /// What can still be written on its filesystem; `None`: nobody can tell.
    pub free_bytes: Option<u64>,
    /// When gc last ran in this folder.
    pub gc_at: Option<i64>,
    /// How many blobs are missing or wrong.
    pub lost: u64,
    /// How many files with wrong bytes were moved away, ever.
    pub quarantined: u64,
    /// The commands that write, or were cut off while they did.
    pub sessions: Vec<SessionRow>,
    /// How many changes webhooks are to be told, and were not told in the last 30 days; `None`: there are no webhooks.
    pub webhooks: Option<(u64, u64)>,
}

/// What is counted row by row.
#[derive(Debug, Clone)]
pub struct Panel {
    /// When verify last read a file.
    pub verified_at: Option<i64>,
    /// Since when all files were read; `None`: some never were.
    pub verified_since: Option<i64>,
    /// How many files were never read since they came.
    pub unverified: u64,
    /// What retention would take, by collections that have rules.
    pub due: Vec<Due>,
}

/// Tells how a store is at a glance.
pub fn glance(store: &Store) -> Result<Glance> {
    let rows = store.manifest.read()?;
    Ok(Glance {
        free_bytes: fs::free_bytes(store.root()).ok(),
        gc_at: rows.gc_at()?,
        lost: rows.lost_count()?.unsigned_abs(),
        quarantined: rows.quarantined_count()?,
        sessions: rows.sessions()?,
        webhooks: webhook::waiting(&rows)?
            .into_iter()
            .map(|(_, waiting, failed)| (waiting, failed))
            .reduce(|one, other| (one.0 + other.0, one.1 + other.1)),
    })
}

/// Tells how a store is kept.
pub fn panel(store: &Store, now: i64) -> Result<Panel> {
    let rows = store.manifest.read()?;
    let verified = rows.verified(now)?;
    Ok(Panel {
        verified_at: verified.newest,
        verified_since: rows.oldest_verification(now)?,
        unverified: verified.never,
        due: due(&rows, now)?,
    })
}

/// Returns what gc would take by collections' own rules, decided as gc decides it.
fn due(rows: &Rows, now: i64) -> Result<Vec<Due>> {
    let kept = rows.kept_blobs(now)?;
    let mut all = Vec::new();
    for row in rows.collections()? {
        let rules = &row.settings.retention;
        if *rules == Retention::default() {
            continue;
        }
        let mut due = Due { collection: row.name, files: None };
        if rows.live_count(row.id)? <= MOST_FILES {
            let entries = rows.entries(row.id, Scope::Live)?;
            let going = retention::plan(&entries, rules, &kept, now);
            let bytes = going.iter().map(|(place, _)| entries[*place].size).sum();
            due.files = Some((going.len() as u64, bytes));
        }
        all.push(due);
    }
    Ok(all)
}
