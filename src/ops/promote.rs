//! `collection copy` and `collection promote`: references of one collection into another, as one revision; no byte moves.

use crate::catalog::at::{RevisionSpec, collection_row, resolve};
use crate::catalog::blocks::Blocks;
use crate::catalog::search::{is_meant, of_projects};
use crate::catalog::variant_documents;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::intake::inspection;
use crate::manifest::{Entry, Rows, Scope, Transaction};
use crate::name::CollectionName;
use crate::requirement::Spec;
use crate::store::Store;
use serde::Serialize;
use std::collections::HashMap;

/// What `collection copy` did.
#[derive(Debug, Serialize)]
pub struct CopyReport {
    /// The collection that was read, and its revision.
    pub from: CollectionName,
    /// That revision.
    pub from_revision: i64,
    /// The collection that was made or changed.
    pub to: CollectionName,
    /// Its revision now.
    pub revision: i64,
    /// What it has now and hadn't.
    pub copied: Vec<String>,
    /// What it had already.
    pub unchanged: usize,
    /// What it has with other bytes, and keeps.
    pub refused: Vec<String>,
    /// What its guard doesn't admit, and variant wheels that contradict those that it has.
    pub barred: Vec<RefusedPromotion>,
}

/// What `collection promote` is told.
#[derive(Debug, Clone)]
pub struct PromoteOptions {
    /// Where the references are, maybe in an older revision.
    pub from: RevisionSpec,
    /// The collection that gets them; made when there is none.
    pub to: CollectionName,
    /// What is promoted; everything, when empty.
    pub specs: Vec<Spec>,
    /// Replace other bytes under the same name.
    pub replace: bool,
    /// Tell what would be done.
    pub is_dry_run: bool,
}

/// Something that was not promoted.
#[derive(Debug, Clone, Serialize)]
pub struct RefusedPromotion {
    /// The filename.
    pub filename: String,
    /// Why not.
    pub reason: String,
}

/// What `collection promote` did, or would do.
#[derive(Debug, Serialize)]
pub struct PromoteReport {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// The collection that was read.
    pub from: CollectionName,
    /// Its revision.
    pub from_revision: i64,
    /// The collection that gets the references.
    pub to: CollectionName,
    /// Its revision then.
    pub revision: i64,
    /// The filenames that it hadn't.
    pub added: Vec<String>,
    /// The filenames that it had with other bytes.
    pub replaced: Vec<String>,
    /// How many it had already.
    pub unchanged: usize,
    /// What it doesn't get.
    pub refused: Vec<RefusedPromotion>,
}

/// Copies the references of a collection, maybe an older revision, into another.
pub fn copy_collection(
    store: &Store,
    context: &Context<'_>,
    from: &RevisionSpec,
    to: &CollectionName,
    replace: bool,
) -> Result<CopyReport> {
    store.require_writable()?;
    let objections = objections(store, context, from, to, &[])?;
    let transaction = store.manifest.write()?;
    let (from_revision, mut entries) = read(&transaction, from, &[])?;
    let barred: Vec<Entry> = entries.extract_if(.., |entry| objections.contains_key(&entry.filename)).collect();
    let request = Request { kind: "copy", from, from_revision, to, replace };
    let done = request.transfer(&transaction, context, &entries)?;
    transaction.commit()?;
    let copied =
        entries.iter().zip(&done.received).filter(|(_, of)| matches!(of, Received::Added | Received::Replaced));
    Ok(CopyReport {
        from: from.collection.clone(),
        from_revision,
        to: to.clone(),
        revision: done.revision,
        copied: copied.map(|(entry, _)| entry.filename.clone()).collect(),
        unchanged: done.received.iter().filter(|of| **of == Received::Unchanged).count(),
        refused: done.names(&entries, Received::Refused),
        barred: barred.into_iter().map(|entry| not_admitted(to, entry, &objections)).chain(done.conflicts).collect(),
    })
}

fn not_admitted(to: &CollectionName, entry: Entry, objections: &HashMap<String, String>) -> RefusedPromotion {
    let reason = format!("{to} doesn't admit it: {}", objections[&entry.filename]);
    RefusedPromotion { filename: entry.filename, reason }
}

/// Promotes distributions from one collection to another. A dry run is the real one in a transaction that is rolled back.
pub fn promote(store: &Store, context: &Context<'_>, options: &PromoteOptions) -> Result<PromoteReport> {
    store.require_writable()?;
    let PromoteOptions { from, to, specs, replace, is_dry_run } = options;
    let objections = objections(store, context, from, to, specs)?;
    let transaction = store.manifest.write()?;
    let (from_revision, mut entries) = read(&transaction, from, specs)?;
    if let Some(spec) = specs.iter().find(|spec| !entries.iter().any(|entry| is_meant(spec, entry))) {
        return Err(Error::NoMatch(format!("{spec} in {from}")));
    }
    entries.retain(|entry| specs.is_empty() || specs.iter().any(|spec| is_meant(spec, entry)));
    let lost: Vec<Entry> = entries.extract_if(.., |entry| !entry.state.is_available()).collect();
    let barred: Vec<Entry> = entries.extract_if(.., |entry| objections.contains_key(&entry.filename)).collect();
    let request = Request { kind: "promote", from, from_revision, to, replace: *replace };
    let done = request.transfer(&transaction, context, &entries)?;
    if !is_dry_run {
        transaction.commit()?;
    }
    let refuse = |filename: String, reason: &str| RefusedPromotion { filename, reason: reason.to_owned() };
    let kept = done.names(&entries, Received::Refused).into_iter();
    let mut refused: Vec<_> = kept.map(|name| refuse(name, &format!("{to} has it with other bytes"))).collect();
    refused.extend(lost.into_iter().map(|entry| refuse(entry.filename, "its bytes are lost")));
    refused.extend(barred.into_iter().map(|entry| not_admitted(to, entry, &objections)));
    refused.extend(done.conflicts.iter().cloned());
    Ok(PromoteReport {
        dry_run: *is_dry_run,
        from: from.collection.clone(),
        from_revision,
        to: to.clone(),
        revision: done.revision,
        added: done.names(&entries, Received::Added),
        replaced: done.names(&entries, Received::Replaced),
        unchanged: done.received.iter().filter(|of| **of == Received::Unchanged).count(),
        refused,
    })
}

/// Returns why the receiving collection's guard doesn't admit some of the distributions, by filename. Asked before the transaction: a
/// deep look takes its time.
fn objections(
    store: &Store,
    context: &Context<'_>,
    from: &RevisionSpec,
    to: &CollectionName,
    specs: &[Spec],
) -> Result<HashMap<String, String>> {
    let Some(target) = store.manifest.find_collection(to)?.filter(|row| !row.settings.guard.is_warning) else {
        return Ok(HashMap::new());
    };
    let mut entries = read(&store.manifest, from, specs)?.1;
    entries.retain(|entry| entry.state.is_available());
    entries.retain(|entry| specs.is_empty() || specs.iter().any(|spec| is_meant(spec, entry)));
    let mut new = Vec::new();
    for entry in entries {
        if store.manifest.find_entry_blob(target.id, &entry.filename)? != Some(entry.blob) {
            new.push(entry);
        }
    }
    inspection::objections(store, context, &target.settings.guard, &new)
}

fn read(transaction: &Rows, from: &RevisionSpec, specs: &[Spec]) -> Result<(i64, Vec<Entry>)> {
    let source = collection_row(transaction, &from.collection)?;
    let revision = resolve(transaction, &source, from.revision.as_deref())?;
    Ok((revision, of_projects(transaction, source.id, Scope::At(revision), specs)?))
}

/// What became of an entry on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Received {
    Added,
    Replaced,
    Unchanged,
    /// The collection has other bytes under this name, and keeps them.
    Refused,
    /// It is blocked, or a variant wheel that contradicts the collection's.
    Conflicting,
}

struct Request<'a> {
    kind: &'static str,
    from: &'a RevisionSpec,
    from_revision: i64,
    to: &'a CollectionName,
    replace: bool,
}

struct Transfer {
    /// The collection's revision then.
    revision: i64,
    /// One for each entry.
    received: Vec<Received>,
    conflicts: Vec<RefusedPromotion>,
}

impl Transfer {
    fn names(&self, entries: &[Entry], wanted: Received) -> Vec<String> {
        let of_it = entries.iter().zip(&self.received).filter(|(_, its)| **its == wanted);
        of_it.map(|(entry, _)| entry.filename.clone()).collect()
    }
}

impl Request<'_> {
    /// Gives entries to the collection, which is made when there is none.
    fn transfer(&self, transaction: &Transaction<'_>, context: &Context<'_>, entries: &[Entry]) -> Result<Transfer> {
        let (target, newest) = match transaction.find_collection(self.to)? {
            Some(row) => (row.id, row.revision),
            None => (transaction.insert_collection(self.to, context.now)?, 0),
        };
        let revision = newest + 1;
        let (mut received, mut conflicts) = (Vec::with_capacity(entries.len()), Vec::new());
        let blocks = Blocks::read(transaction)?;
        for entry in entries {
            let mut outcome = match transaction.find_entry_blob(target, &entry.filename)? {
                Some(blob) if blob == entry.blob => Received::Unchanged,
                Some(_) if !self.replace => Received::Refused,
                Some(_) => Received::Replaced,
                None => Received::Added,
            };
            let blocked = blocks.of_entry_in(self.to, entry);
            if matches!(outcome, Received::Added | Received::Replaced)
                && let Some(reason) = blocked.map_or_else(
                    || variant_documents::objection(transaction, target, &entry.filename, entry.blob),
                    |it| Ok(Some(it)),
                )?
            {
                conflicts.push(RefusedPromotion { filename: entry.filename.clone(), reason });
                outcome = Received::Conflicting;
            }
            if outcome == Received::Replaced {
                transaction.remove_entry(target, &entry.filename, revision, context.now)?;
            }
            if matches!(outcome, Received::Added | Received::Replaced) {
                transaction.insert_entry(target, &entry.again(), revision, context.now)?;
            }
            received.push(outcome);
        }
        let count = |wanted: Received| received.iter().filter(|its| **its == wanted).count();
        let (removed, added) = (count(Received::Replaced), count(Received::Added) + count(Received::Replaced));
        if added == 0 {
            return Ok(Transfer { revision: newest, received, conflicts });
        }
        let what = format!("{} (revision {})", self.from, self.from_revision);
        let operation = transaction.insert_operation(self.kind, &what, context.who, context.now)?;
        transaction.insert_revision(target, revision, operation, added, removed)?;
        Ok(Transfer { revision, received, conflicts })
    }
}
