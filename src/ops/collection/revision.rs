//! What happened to a collection: revisions, what differs between them, snapshots, and the way back.

use crate::catalog::at::{RevisionSpec, collection_row, resolve};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::manifest::{NewRecord, RecordFilter, RecordRow, Scope};
use crate::name::CollectionName;
use crate::store::Store;
use serde::Serialize;
use std::collections::BTreeMap;

/// A filename that two revisions have differently.
#[derive(Debug, Clone, Serialize)]
pub struct FileChange {
    /// The filename.
    pub filename: String,
    /// `added`, `removed`, `replaced` (other bytes) or `yanked` (other mark).
    pub change: &'static str,
    /// The SHA-256 digest before.
    pub before: Option<crate::digest::Sha256>,
    /// The SHA-256 digest after.
    pub after: Option<crate::digest::Sha256>,
}

/// What differs between two revisions.
#[derive(Debug, Serialize)]
pub struct DiffReport {
    /// The first, with its revision.
    pub from: String,
    /// The second, with its revision.
    pub to: String,
    /// What differs.
    pub changes: Vec<FileChange>,
}

/// Compares two collections or revisions.
pub fn diff(store: &Store, from: &RevisionSpec, to: &RevisionSpec) -> Result<DiffReport> {
    let transaction = store.manifest.read()?;
    let read = |spec: &RevisionSpec| -> Result<_> {
        let row = collection_row(&transaction, &spec.collection)?;
        let revision = resolve(&transaction, &row, spec.revision.as_deref())?;
        let entries = transaction.entries(row.id, Scope::At(revision))?;
        let entries: BTreeMap<String, _> =
            entries.into_iter().map(|entry| (entry.filename, (entry.sha256, entry.yanked))).collect();
        Ok((format!("{}@{revision}", spec.collection), entries))
    };
    let ((from, before), (to, after)) = (read(from)?, read(to)?);
    let mut changes = Vec::new();
    let filenames: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for filename in filenames {
        let (old, new) = (before.get(filename), after.get(filename));
        let change = match (old, new) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(old), Some(new)) if old.0 != new.0 => "replaced",
            (Some(old), Some(new)) if old.1 != new.1 => "yanked",
            _ => continue,
        };
        changes.push(FileChange {
            filename: filename.clone(),
            change,
            before: old.map(|old| old.0),
            after: new.map(|new| new.0),
        });
    }
    Ok(DiffReport { from, to, changes })
}

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
}

/// Gives a collection the content of an older revision again, as a new revision: nothing of its history is lost.
pub fn rollback(store: &Store, context: &Context<'_>, name: &CollectionName, to: &str) -> Result<RollbackReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = collection_row(&transaction, name)?;
    let target = resolve(&transaction, &row, Some(to))?;
    let revision = row.revision + 1;
    let (added, removed) = transaction.restore_entries(row.id, target, revision, context.now)?;
    let mut report = RollbackReport { collection: name.clone(), to: target, revision: row.revision, added, removed };
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
