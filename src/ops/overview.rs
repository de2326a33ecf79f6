//! What a person who comes to a store wants to see first: what it holds and saves, what was asked of it, what happened lately.

use crate::catalog::search_order::{SearchOrder, Sense};
use crate::error::Result;
use crate::manifest::{OperationRow, Outcome, Rows};
use crate::name::CollectionName;
use crate::store::Store;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// So many of the newest operations are told.
const OPERATIONS: u32 = 25;

/// A name under which the store is served.
#[derive(Debug, Clone)]
pub struct ServedName {
    /// The collection's or variant's name.
    pub name: CollectionName,
    /// The collections that are searched, the nearest first.
    pub order: Vec<CollectionName>,
}

/// Lookups of one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayLookups {
    /// Those that found something.
    pub hits: u64,
    /// Those that found nothing.
    pub misses: u64,
    /// Distributions that came in.
    pub stores: u64,
}

/// What changes often and is read in microseconds; what a store holds is in [`StatsReport`](super::stats::StatsReport), which takes longer.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The names, in order.
    pub names: Vec<ServedName>,
    /// Lookups by collection and day (days since 1970); a day without any is not there.
    pub lookups: BTreeMap<String, BTreeMap<i64, DayLookups>>,
    /// What the newest operations did, newest first.
    pub changes: Vec<OperationRow>,
    /// A number that changes whenever what collections hold does.
    pub stamp: u64,
}

/// Reads what a person wants to see first; lookups since a day.
pub fn overview(store: &Store, since_day: i64) -> Result<Overview> {
    let rows = store.manifest.read()?;
    Ok(Overview {
        names: served(&rows)?,
        lookups: lookups(&rows, since_day)?,
        changes: rows.recent_operations(OPERATIONS)?,
        stamp: stamp_of(&rows)?,
    })
}

/// Returns the names under which the store is served, in order.
pub fn names(store: &Store) -> Result<Vec<CollectionName>> {
    all_names(&*store.manifest.read()?)
}

/// Returns a number that changes whenever what collections hold does, or their rules.
pub fn stamp(store: &Store) -> Result<u64> {
    stamp_of(&*store.manifest.read()?)
}

fn all_names(rows: &Rows) -> Result<Vec<CollectionName>> {
    let mut names: Vec<CollectionName> = rows.collections()?.into_iter().map(|row| row.name).collect();
    names.extend(rows.variants()?.into_iter().map(|row| row.name));
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn served(rows: &Rows) -> Result<Vec<ServedName>> {
    let served = all_names(rows)?.into_iter().map(|name| {
        let order = SearchOrder::of_name(rows, &name, Sense::Known)?;
        let order = order.iter().flat_map(|order| order.base()).map(|row| row.name.clone()).collect();
        Ok(ServedName { name, order })
    });
    served.collect()
}

fn lookups(rows: &Rows, since_day: i64) -> Result<BTreeMap<String, BTreeMap<i64, DayLookups>>> {
    let mut found: BTreeMap<String, BTreeMap<i64, DayLookups>> = BTreeMap::new();
    for row in rows.day_counts(since_day)? {
        let day = found.entry(row.collection).or_default().entry(row.day).or_default();
        *match row.outcome {
            Outcome::Hit => &mut day.hits,
            Outcome::Miss => &mut day.misses,
            Outcome::Store => &mut day.stores,
        } += row.count;
    }
    Ok(found)
}

fn stamp_of(rows: &Rows) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    (rows.losses()?, rows.lost_count()?).hash(&mut hasher);
    for row in rows.collections()? {
        // What rules would take changes with them.
        (row.id, &row.name, row.revision, format!("{:?}", row.settings.retention)).hash(&mut hasher);
    }
    Ok(hasher.finish())
}
