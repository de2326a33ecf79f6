//! `invalidate`, `undo`, `yank`, `unyank`: references go, come back, or are marked.

use crate::catalog::at::collection_row;
use crate::catalog::search::{self, Filter, required};
use crate::catalog::variant_documents;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::manifest::{Entry, NewEntry, OperationId, Transaction};
use crate::name::CollectionName;
use crate::store::Store;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What `invalidate` is told.
#[derive(Debug, Clone, Default)]
pub struct InvalidateOptions {
    /// What goes.
    pub filter: Filter,
    /// Everything may go: without specifications the filter means all.
    pub all: bool,
    /// Change nothing, tell what would go.
    pub dry_run: bool,
}

/// An entry that was removed or brought back.
#[derive(Debug, Clone, Serialize)]
pub struct RemovedEntry {
    /// The collection.
    pub collection: CollectionName,
    /// The filename.
    pub filename: String,
}

/// What `invalidate` did.
#[derive(Debug, Serialize)]
pub struct InvalidateReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The operation, for `undo`.
    pub operation: Option<i64>,
    /// What went.
    pub removed: Vec<RemovedEntry>,
}

/// Removes entries from their collections. Their bytes stay until gc has run and its grace has passed.
pub fn invalidate(store: &Store, context: &Context<'_>, options: &InvalidateOptions) -> Result<InvalidateReport> {
    if options.filter.specs.is_empty() && !options.all {
        return Err(Error::Refused("name what is to go, or say --all".to_owned()));
    }
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let mut removed = Vec::new();
    search::each_required(&transaction, &options.filter, &mut |entry| {
        removed.push(entry.into());
        Ok(())
    })?;
    if removed.is_empty() {
        return Ok(InvalidateReport { dry_run: options.dry_run, operation: None, removed });
    }
    let specs: Vec<String> = options.filter.specs.iter().map(ToString::to_string).collect();
    let what = if specs.is_empty() { "everything".to_owned() } else { specs.join(" ") };
    let operation = remove(&transaction, context, "invalidate", &what, &removed)?;
    if options.dry_run {
        return Ok(InvalidateReport { dry_run: true, operation: None, removed });
    }
    transaction.commit()?;
    Ok(InvalidateReport { dry_run: false, operation: Some(operation.number()), removed })
}

impl From<Entry> for RemovedEntry {
    fn from(entry: Entry) -> Self {
        Self { collection: entry.collection, filename: entry.filename }
    }
}

/// Removes live entries, which come by collection, as one operation with one revision of each collection.
pub(super) fn remove(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    kind: &str,
    what: &str,
    entries: &[RemovedEntry],
) -> Result<OperationId> {
    let operation = transaction.insert_operation(kind, what, context.who, context.now)?;
    for entries in entries.chunk_by(|a, b| a.collection == b.collection) {
        let row = collection_row(transaction, &entries[0].collection)?;
        let revision = row.revision + 1;
        let filenames = entries.iter().map(|entry| entry.filename.as_str());
        transaction.remove_entries(row.id, filenames, revision, context.now)?;
        transaction.insert_revision(row.id, revision, operation, 0, entries.len())?;
    }
    Ok(operation)
}

fn by_collection(entries: &[Entry]) -> BTreeMap<&CollectionName, Vec<&Entry>> {
    let mut grouped: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in entries {
        grouped.entry(&entry.collection).or_default().push(entry);
    }
    grouped
}

/// What `undo` did.
#[derive(Debug, Serialize)]
pub struct UndoReport {
    /// The operation that was undone.
    pub operation: i64,
    /// Its words.
    pub what: String,
    /// What came back.
    pub restored: Vec<RemovedEntry>,
    /// What went that the operation had brought.
    pub removed: Vec<RemovedEntry>,
    /// What did not, and why.
    pub refused: Vec<(RemovedEntry, String)>,
}

/// Returns the collections in which an operation changed files that are still known.
pub fn reach(store: &Store, number: i64) -> Result<BTreeSet<CollectionName>> {
    let (rows, id) = (store.manifest.read()?, OperationId::from_number(number));
    let (gone, come) = (rows.entries_removed_by(id)?, rows.entries_added_by(id)?);
    Ok(gone.into_iter().chain(come).map(|entry| entry.collection).collect())
}

/// Takes back what an operation did to collections: what it removed comes back, what it brought goes, where nothing was done to that
/// since. Without a number it is the last `invalidate`, or run of gc's retention, that was not undone.
pub fn undo(store: &Store, context: &Context<'_>, number: Option<i64>) -> Result<UndoReport> {
    const KINDS: [&str; 2] = ["invalidate", "gc"];
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let id = match number {
        Some(number) => OperationId::from_number(number),
        None => transaction.last_operation(KINDS)?.ok_or_else(|| Error::NoSuch("operation to undo: without a number it is the last `invalidate`; `wcas collection log` tells the numbers of others".to_owned()))?,
    };
    let (kind, what, is_undone) =
        transaction.operation(id)?.ok_or_else(|| Error::NoSuch(format!("operation {}", id.number())))?;
    let refuse = |why: &str| Error::Refused(format!("operation {} ({kind} {what}): {why}", id.number()));
    if is_undone {
        return Err(refuse("was undone already"));
    }
    let (gone, come) = (transaction.entries_removed_by(id)?, transaction.entries_added_by(id)?);
    if gone.is_empty() && come.is_empty() {
        return Err(refuse(match kind.as_str() {
            "set" => "it changed no file; `wcas collection set` sets what is to be",
            "status" => "it changed no file; `wcas collection status` sets what is to be",
            _ => "gc has taken all of it since, or it changed no file",
        }));
    }
    let operation = transaction.insert_operation("undo", &format!("{kind} {what}"), context.who, context.now)?;
    let mut report = UndoReport {
        operation: id.number(),
        what: format!("{kind} {what}"),
        restored: Vec::new(),
        removed: Vec::new(),
        refused: Vec::new(),
    };
    let (gone, come) = (by_collection(&gone), by_collection(&come));
    let collections: BTreeSet<&CollectionName> = gone.keys().chain(come.keys()).copied().collect();
    for collection in collections {
        let (gone, come) = (gone.get(collection), come.get(collection));
        let changes = (gone.map_or(&[][..], Vec::as_slice), come.map_or(&[][..], Vec::as_slice));
        report.revert(&transaction, context, collection, changes, operation)?;
    }
    transaction.set_undone(id, operation)?;
    transaction.commit()?;
    Ok(report)
}

impl UndoReport {
    /// Takes back what an operation did to one collection: the entries that are gone, and those that came.
    fn revert(
        &mut self,
        transaction: &Transaction<'_>,
        context: &Context<'_>,
        collection: &CollectionName,
        (gone, come): (&[&Entry], &[&Entry]),
        operation: OperationId,
    ) -> Result<()> {
        let row = collection_row(transaction, collection)?;
        let revision = row.revision + 1;
        let (mut added, mut removed) = (0, 0);
        for entry in come {
            if entry.removed.is_some() {
                let why = "is changed or gone since".to_owned();
                self.refused.push(((*entry).clone().into(), why));
                continue;
            }
            transaction.remove_entry(row.id, &entry.filename, revision, context.now)?;
            removed += 1;
            // One that is given back as it was is told below.
            if gone.iter().all(|other| other.filename != entry.filename) {
                self.removed.push((*entry).clone().into());
            }
        }
        for entry in gone {
            let name = RemovedEntry::from((*entry).clone());
            if transaction.find_entry_blob(row.id, &entry.filename)?.is_some() {
                self.refused.push((name, "the collection has this name again".to_owned()));
            } else if let Some(reason) = variant_documents::objection(transaction, row.id, &entry.filename, entry.blob)?
            {
                self.refused.push((name, reason));
            } else {
                transaction.insert_entry(row.id, &entry.again(), revision, context.now)?;
                added += 1;
                if !entry.state.is_available() {
                    self.refused.push((name, "is listed again, but its bytes are lost".to_owned()));
                } else {
                    self.restored.push(name);
                }
            }
        }
        if added + removed > 0 {
            transaction.insert_revision(row.id, revision, operation, added, removed)?;
        }
        Ok(())
    }
}

/// Marks entries as yanked for a reason (PEP 592), or with `None` takes the mark away. Returns those that changed.
pub fn yank(store: &Store, context: &Context<'_>, filter: &Filter, reason: Option<&str>) -> Result<Vec<RemovedEntry>> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let mut changed = required(&transaction, filter)?;
    changed.retain(|entry| entry.yanked.as_deref() != reason);
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let specs: Vec<String> = filter.specs.iter().map(ToString::to_string).collect();
    let kind = if reason.is_some() { "yank" } else { "unyank" };
    let operation = transaction.insert_operation(kind, &specs.join(" "), context.who, context.now)?;
    for (collection, entries) in by_collection(&changed) {
        let row = collection_row(&transaction, collection)?;
        let revision = row.revision + 1;
        for entry in &entries {
            // A yank is a change of the collection like any other, so that an older revision shows the file as it was.
            transaction.remove_entry(row.id, &entry.filename, revision, context.now)?;
            let marked = NewEntry { yanked: reason, ..entry.again() };
            transaction.insert_entry(row.id, &marked, revision, context.now)?;
        }
        transaction.insert_revision(row.id, revision, operation, entries.len(), entries.len())?;
    }
    transaction.commit()?;
    Ok(changed.into_iter().map(RemovedEntry::from).collect())
}
