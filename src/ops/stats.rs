//! `stats`: what the store holds, saves and answers.

use crate::error::Result;
use crate::manifest::{Outcome, RemoteOutcome, Rows, StoreTotals};
use crate::name::CollectionName;
use crate::store::Store;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many, and their bytes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Totals {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl From<StoreTotals> for Totals {
    fn from(totals: StoreTotals) -> Self {
        Self { count: totals.count, bytes: totals.bytes }
    }
}

/// What a collection holds.
#[derive(Debug, Clone, Serialize)]
pub struct CollectionStats {
    /// The collection.
    pub name: CollectionName,
    /// Its newest revision.
    pub revision: i64,
    /// Its distributions.
    pub distributions: u64,
    /// The bytes of their blobs.
    pub bytes: u64,
    /// The bytes of the blobs that no other collection has.
    pub unique_bytes: u64,
    /// The bytes of the blobs that others have, too.
    pub shared_bytes: u64,
}

/// Lookups and stores of one collection or remote.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Lookups {
    /// Lookups that found something.
    pub hits: u64,
    /// Lookups that found nothing.
    pub misses: u64,
    /// Distributions that came into the collection.
    pub stores: u64,
}

impl Lookups {
    fn add(&mut self, outcome: Outcome, count: u64) {
        *match outcome {
            Outcome::Hit => &mut self.hits,
            Outcome::Miss => &mut self.misses,
            Outcome::Store => &mut self.stores,
        } += count;
    }

    fn hit_rate(&self) -> f64 {
        let lookups = self.hits + self.misses;
        if lookups == 0 { 0.0 } else { self.hits as f64 / lookups as f64 }
    }
}

/// All lookups and stores, ever.
#[derive(Debug, Clone, Serialize)]
pub struct LookupStats {
    /// Lookups that found something.
    pub hits: u64,
    /// Lookups that found nothing.
    pub misses: u64,
    /// Distributions that came in.
    pub stores: u64,
    /// Hits among lookups; 0.0 when there were none.
    pub hit_rate: f64,
    /// By collection.
    pub by_collection: BTreeMap<String, Lookups>,
    /// By remote; what the store itself answered is not among them.
    pub by_remote: BTreeMap<String, Lookups>,
}

/// What a remote answered, ever.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RemoteStats {
    /// The remote; it may be gone by now.
    pub name: String,
    /// What it had.
    pub hits: u64,
    /// What it had not.
    pub misses: u64,
    /// What it gave no usable answer to.
    pub failures: u64,
    /// The bytes that came from it.
    pub bytes: u64,
    /// The time that its answers took.
    pub milliseconds: u64,
}

fn remote_stats(rows: &Rows) -> Result<Vec<RemoteStats>> {
    let mut remotes: BTreeMap<String, RemoteStats> = BTreeMap::new();
    for row in rows.remotes()? {
        let name = row.name.to_string();
        remotes.insert(name.clone(), RemoteStats { name, ..RemoteStats::default() });
    }
    for row in rows.remote_counts()? {
        let name = row.remote.clone();
        let stats = remotes.entry(row.remote).or_insert_with(|| RemoteStats { name, ..RemoteStats::default() });
        *match row.outcome {
            RemoteOutcome::Hit => &mut stats.hits,
            RemoteOutcome::Miss => &mut stats.misses,
            RemoteOutcome::Failure => &mut stats.failures,
        } += row.count;
        stats.bytes += row.bytes;
        stats.milliseconds += row.milliseconds;
    }
    Ok(remotes.into_values().collect())
}

/// What `stats` found.
#[derive(Debug, Serialize)]
pub struct StatsReport {
    /// The blobs of the store.
    pub blobs: Totals,
    /// The live entries of all collections, and what they would take without sharing.
    pub entries: Totals,
    /// The bytes that sharing saves.
    pub saved_bytes: u64,
    /// Each collection.
    pub collections: Vec<CollectionStats>,
    /// Lookups.
    pub lookups: LookupStats,
    /// Each remote, by name.
    pub remotes: Vec<RemoteStats>,
    /// When all live blobs were last verified by: the least recent verification.
    pub verified_since: Option<i64>,
}

/// Returns what each remote answered, ever, by name.
pub fn remotes(store: &Store) -> Result<Vec<RemoteStats>> {
    remote_stats(&*store.manifest.read()?)
}

/// Counts.
pub fn stats(store: &Store, now: i64) -> Result<StatsReport> {
    let transaction = store.manifest.read()?;
    let mut collections = Vec::new();
    for row in transaction.collections()? {
        let (all, unique) = (transaction.collection_totals(row.id)?, transaction.unique_totals(row.id)?);
        collections.push(CollectionStats {
            name: row.name,
            revision: row.revision,
            distributions: all.count,
            bytes: all.bytes,
            unique_bytes: unique.bytes,
            shared_bytes: all.bytes - unique.bytes,
        });
    }
    let (mut all, mut by_collection, mut by_remote) = (Lookups::default(), BTreeMap::new(), BTreeMap::new());
    for row in transaction.lookup_counts()? {
        all.add(row.outcome, row.count);
        by_collection.entry(row.collection).or_insert_with(Lookups::default).add(row.outcome, row.count);
        if !row.remote.is_empty() {
            by_remote.entry(row.remote).or_insert_with(Lookups::default).add(row.outcome, row.count);
        }
    }
    let (entries, live) = (transaction.entry_totals()?, transaction.live_blob_totals()?);
    Ok(StatsReport {
        blobs: transaction.blob_totals()?.into(),
        entries: entries.into(),
        saved_bytes: entries.bytes - live.bytes,
        collections,
        lookups: LookupStats {
            hits: all.hits,
            misses: all.misses,
            stores: all.stores,
            hit_rate: all.hit_rate(),
            by_collection,
            by_remote,
        },
        remotes: remote_stats(&transaction)?,
        verified_since: transaction.oldest_verification(now)?,
    })
}
