//! What happened to collections lately, with all that goes with each change: sizes, snapshots, where it came from.

use crate::error::Result;
use crate::manifest::{CollectionRow, OperationId, OperationRow, Rows};
use crate::name::CollectionName;
use crate::store::Store;
use std::collections::{BTreeMap, HashMap};

/// What an operation did to a collection.
#[derive(Debug, Clone)]
pub struct Change {
    /// The collection, the revision that came of it, and the operation.
    pub row: OperationRow,
    /// The bytes of the files that came, as far as they are still known.
    pub added_bytes: u64,
    /// The bytes of the files that went.
    pub removed_bytes: u64,
    /// The snapshots of the revision.
    pub snapshots: Vec<String>,
    /// The collection that it was promoted or copied from.
    pub source: Option<CollectionName>,
    /// The revision whose content it has again.
    pub back_to: Option<i64>,
    /// Whether all files of the revision are there still.
    pub is_whole: bool,
    /// Whether the revision before it can be compared with it.
    pub can_compare: bool,
}

/// What happened, newest first.
#[derive(Debug, Clone)]
pub struct Activity {
    /// The changes.
    pub changes: Vec<Change>,
    /// Before which operation there may be more.
    pub more_before: Option<i64>,
}

/// A collection with its snapshots.
struct Known {
    row: CollectionRow,
    snapshots: BTreeMap<i64, Vec<String>>,
}

impl Known {
    fn is_whole(&self, revision: i64) -> bool {
        revision >= self.row.complete_since || self.snapshots.contains_key(&revision)
    }
}

/// Tells what the newest `most` operations before one did, to one collection or to all; the newest of all, where none is named.
pub fn activity(store: &Store, only: Option<&CollectionName>, before: Option<i64>, most: u32) -> Result<Activity> {
    let rows = store.manifest.read()?;
    let known = known(&rows, only)?;
    let of = match only {
        Some(name) => match known.get(name) {
            Some(known) => Some(known.row.id),
            None => return Ok(Activity { changes: Vec::new(), more_before: None }),
        },
        None => None,
    };
    let found = rows.operations_before(of, before.unwrap_or(i64::MAX), most)?;
    let numbers = || found.iter().map(|row| row.revision.operation);
    let (Some(first), Some(last)) = (numbers().min_by_key(number), numbers().max_by_key(number)) else {
        return Ok(Activity { changes: Vec::new(), more_before: None });
    };
    let mut bytes: HashMap<_, (u64, u64)> = HashMap::new();
    for changed in rows.changed_bytes(of, first, last)? {
        let both = bytes.entry((changed.collection, changed.revision)).or_default();
        *(if changed.is_added { &mut both.0 } else { &mut both.1 }) = changed.bytes;
    }
    let mut operations: Vec<i64> = numbers().map(OperationId::number).collect();
    operations.dedup();
    let more_before = (operations.len() >= most as usize).then(|| first.number());
    let change = |row: OperationRow| {
        let own = known.get(&row.collection)?;
        let revision = row.revision.number;
        let (added_bytes, removed_bytes) = bytes.get(&(own.row.id, revision)).copied().unwrap_or_default();
        Some(Change {
            added_bytes,
            removed_bytes,
            snapshots: own.snapshots.get(&revision).cloned().unwrap_or_default(),
            source: source(&row),
            back_to: back_to(&row),
            is_whole: own.is_whole(revision),
            can_compare: own.is_whole(revision) && own.is_whole(revision - 1),
            row,
        })
    };
    Ok(Activity { changes: found.into_iter().filter_map(change).collect(), more_before })
}

fn number(operation: &OperationId) -> i64 {
    operation.number()
}

fn known(rows: &Rows, only: Option<&CollectionName>) -> Result<HashMap<CollectionName, Known>> {
    let mut known = HashMap::new();
    for row in rows.collections()?.into_iter().filter(|row| only.is_none_or(|only| *only == row.name)) {
        let mut snapshots: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for snapshot in rows.snapshots(row.id)? {
            snapshots.entry(snapshot.revision).or_default().push(snapshot.name);
        }
        known.insert(row.name.clone(), Known { row, snapshots });
    }
    Ok(known)
}

/// Reads which collection an operation took from: its words are `testing (revision 3)`.
fn source(row: &OperationRow) -> Option<CollectionName> {
    let is_transfer = matches!(row.revision.kind.as_str(), "promote" | "copy");
    let (name, _) = row.revision.what.split_once(" (revision ").filter(|_| is_transfer)?;
    name.parse().ok()
}

/// Reads which revision a rollback went back to: its words are `to 3`.
fn back_to(row: &OperationRow) -> Option<i64> {
    let to = row.revision.what.strip_prefix("to ").filter(|_| row.revision.kind == "rollback")?;
    to.parse().ok()
}
