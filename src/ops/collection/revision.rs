//! What happened to a collection: revisions, snapshots, and the way back.

use super::diff::{DiffReport, compare};
use crate::catalog::at::{RevisionSpec, collection_row, resolve};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::manifest::{NewRecord, RecordFilter, RecordRow};
use crate::name::CollectionName;
use crate::store::Store;
use serde::Serialize;

/// A revision as people see it, or a change of the collection's rules between two.
#[derive(Debug, Clone, Serialize)]
pub struct LogReport {
    /// Its number; of a change of rules the newest one then.
    pub revision: i64,
    /// When, in seconds since 1970.
    pub at: i64,
    /// The operation's number, for `undo`; `None`: a change of rules, which `undo` doesn't take back.
    pub operation: Option<i64>,
    /// Of a change of rules, the number of its record in the log.
    pub record: Option<i64>,
    /// What kind: `import`, `invalidate`, …
    pub kind: String,
    /// What was asked.
    pub what: String,
    /// Who asked.
    pub who: String,
    /// How many entries were added.
    pub added: i64,
    /// How many entries were removed.
    pub removed: i64,
    /// The operation that took it back.
    pub undone_by: Option<i64>,
    /// The snapshots of it.
    pub snapshots: Vec<String>,
    /// Whether all its files are there still.
    pub is_whole: bool,
}

/// Tells a collection's history, newest first.
pub fn log(store: &Store, name: &CollectionName) -> Result<Vec<LogReport>> {
    let transaction = store.manifest.read()?;
    let row = collection_row(&transaction, name)?;
    let snapshots = transaction.snapshots(row.id)?;
    let revisions = transaction.revisions(row.id)?.into_iter().map(|revision| {
        let of_it = snapshots.iter().filter(|snapshot| snapshot.revision == revision.number);
        let names: Vec<String> = of_it.map(|snapshot| snapshot.name.clone()).collect();
        LogReport {
            revision: revision.number,
            at: revision.at,
            operation: Some(revision.operation.number()),
            record: None,
            kind: revision.kind,
            what: revision.what,
            who: revision.who,
            added: revision.added,
            removed: revision.removed,
            undone_by: revision.undone_by.map(|operation| operation.number()),
            is_whole: revision.number >= row.complete_since || !names.is_empty(),
            snapshots: names,
        }
    });
    let mut all: Vec<LogReport> = revisions.collect();
    let filter = RecordFilter { collection: Some(name.to_string()), ..RecordFilter::default() };
    let mut rules = Vec::new();
    transaction.each_record(&filter, |record| {
        rules.extend(rule(record, &all));
        Ok::<_, Error>(())
    })?;
    all.extend(rules);
    // Within a second nothing tells which came first.
    all.sort_by_key(|row| std::cmp::Reverse((row.at, row.record.is_none(), row.revision, row.record)));
    Ok(all)
}

/// Returns a change of rules, as it stands between revisions.
fn rule(record: RecordRow, revisions: &[LogReport]) -> Option<LogReport> {
    let RecordRow { number, at, what: NewRecord { kind, name, before, after, .. }, actor, .. } = record;
    let is_change = match kind.as_str() {
        "guard" | "retention" | "remote" | "sign" => true,
        // That it was made, or that views hide what they showed, is a revision of its own or none.
        "collection" => before.is_some() && !after.as_ref().is_some_and(|after| after.contains("hide_variants")),
        _ => false,
    };
    let told = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
    let revision = revisions.iter().find(|row| row.at <= at).map_or(0, |row| row.revision);
    is_change.then(|| LogReport {
        revision,
        at,
        operation: None,
        record: Some(number),
        kind,
        what: format!("{name}{} -> {}", told(before), told(after)),
        who: actor.to_string(),
        added: 0,
        removed: 0,
        undone_by: None,
        snapshots: Vec::new(),
        is_whole: true,
    })
}

/// What `collection rollback` did.
#[derive(Debug, Serialize)]
pub struct RollbackReport {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// The collection.
    pub collection: CollectionName,
    /// The revision whose content it has again.
    pub to: i64,
    /// Its revision now.
    pub revision: i64,
    /// How many entries came back.
    pub added: usize,
    /// How many entries went.
    pub removed: usize,
    /// What would differ, of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<DiffReport>,
}

/// Tells what a rollback would do. It is read, not tried: whoever may read the store may ask.
pub fn rollback_plan(store: &Store, name: &CollectionName, to: &str) -> Result<RollbackReport> {
    let rows = store.manifest.read()?;
    let row = collection_row(&rows, name)?;
    let target = resolve(&rows, &row, Some(to))?;
    let spec = |revision: i64| RevisionSpec { collection: name.clone(), revision: Some(revision.to_string()) };
    let diff = compare(&rows, &spec(row.revision), &spec(target))?;
    let count = |other: &str| diff.changes.iter().filter(|change| change.change != other).count();
    // A file that is replaced or marked otherwise goes, and comes back as it was.
    let (added, removed) = (count("removed"), count("added"));
    let revision = row.revision + i64::from(added + removed > 0);
    Ok(RollbackReport {
        dry_run: true,
        collection: name.clone(),
        to: target,
        revision,
        added,
        removed,
        diff: Some(diff),
    })
}

/// Gives a collection the content of an older revision again, as a new revision: nothing of its history is lost.
pub fn rollback(store: &Store, context: &Context<'_>, name: &CollectionName, to: &str) -> Result<RollbackReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = collection_row(&transaction, name)?;
    let target = resolve(&transaction, &row, Some(to))?;
    let revision = row.revision + 1;
    let (added, removed) = transaction.restore_entries(row.id, target, revision, context.now)?;
    let (collection, newest) = (name.clone(), row.revision);
    let mut report =
        RollbackReport { dry_run: false, collection, to: target, revision: newest, added, removed, diff: None };
    if added + removed > 0 {
        let operation = transaction.insert_operation("rollback", &format!("to {target}"), context.who, context.now)?;
        transaction.insert_revision(row.id, revision, operation, added, removed)?;
        report.revision = revision;
    }
    transaction.commit()?;
    Ok(report)
}

/// Keeps a revision whole under a name: gc spares its files.
pub fn snapshot(store: &Store, context: &Context<'_>, spec: &RevisionSpec, name: &str) -> Result<i64> {
    // A snapshot's name stands in URLs and where a revision's number may stand.
    let is_name = name.parse::<CollectionName>().is_ok() && !name.bytes().all(|byte| byte.is_ascii_digit());
    if !is_name {
        let rule = "a-z, 0-9, '.', '_' and '-', not only digits";
        return Err(Error::Refused(format!("{name:?} is not a snapshot's name: {rule}")));
    }
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = collection_row(&transaction, &spec.collection)?;
    let revision = resolve(&transaction, &row, spec.revision.as_deref())?;
    if !transaction.insert_snapshot(row.id, name, revision, context.now)? {
        return Err(Error::Refused(format!("{} has a snapshot {name} already", spec.collection)));
    }
    transaction.commit()?;
    Ok(revision)
}

/// Lets a snapshot go; returns the revision that it kept.
pub fn delete_snapshot(store: &Store, collection: &CollectionName, name: &str) -> Result<i64> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = collection_row(&transaction, collection)?;
    let snapshots = transaction.snapshots(row.id)?;
    let Some(snapshot) = snapshots.iter().find(|snapshot| snapshot.name == name) else {
        return Err(Error::NoSuch(format!("snapshot {name} of {collection}")));
    };
    transaction.delete_snapshot(row.id, name)?;
    transaction.commit()?;
    Ok(snapshot.revision)
}
