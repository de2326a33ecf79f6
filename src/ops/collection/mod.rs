//! `collection`: named sets of distributions with a history.

mod compare;
mod diff;
mod revision;
pub(super) mod signed;

pub use compare::{ComparedFile, ComparedProject, Comparison, FileBytes, compare};
pub(in crate::ops) use diff::compare as compare_revisions;
pub use diff::{DiffReport, DiffTotals, FileChange, ProjectChange, diff};
pub use revision::{LogReport, RollbackReport, delete_snapshot, log, rollback, rollback_plan, snapshot};

pub use signed::{Newest, SignedProblem, SignedReport, SignedText, keep_signature, revision_text, verify_signed};

use crate::catalog::at::collection_row;
use crate::catalog::builder_rules::CacheRules;
use crate::catalog::{guard, retention};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::manifest::{BlockRow, CollectionRow, CollectionSettings, Guard, Retention, Rows, Transaction};
use crate::name::CollectionName;
use crate::ops::status::revise;
use crate::requirement::ProjectPattern;
use crate::store::Store;
use crate::wheel::accelerator::Accelerator;
use crate::words::counted;
use serde::Serialize;
use std::collections::BTreeMap;

/// A collection as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct CollectionReport {
    /// Its name.
    pub name: CollectionName,
    /// Its newest revision.
    pub revision: i64,
    /// How many distributions it has.
    pub distributions: u64,
    /// Where a lookup goes on.
    pub fallbacks: Vec<CollectionName>,
    /// What people say of it.
    #[serde(flatten)]
    pub settings: CollectionSettings,
    /// Of how many projects it has, or had, files that came from no stranger.
    pub owned_projects: u64,
    /// What it reserves.
    pub reserved: Vec<ProjectPattern>,
    /// How many versions and files must not come back, here or in all collections.
    pub blocks: usize,
    /// Its snapshots and their revisions.
    pub snapshots: BTreeMap<String, i64>,
    /// The oldest revision from which on all are whole.
    pub complete_since: i64,
    /// When it was created, in seconds since 1970.
    pub created_at: i64,
}

fn report(rows: &Rows, row: CollectionRow) -> Result<CollectionReport> {
    let is_here = |block: &BlockRow| block.collection.as_ref().is_none_or(|name| *name == row.name);
    Ok(CollectionReport {
        blocks: rows.blocks()?.iter().filter(|block| is_here(block)).count(),
        owned_projects: rows.owned_project_count(row.id)?,
        reserved: rows.reservations(Some(row.id))?.into_iter().map(|row| row.pattern).collect(),
        distributions: rows.live_count(row.id)?,
        fallbacks: rows.fallbacks(row.id)?.into_iter().map(|row| row.name).collect(),
        snapshots: rows.snapshots(row.id)?.into_iter().map(|snapshot| (snapshot.name, snapshot.revision)).collect(),
        name: row.name,
        revision: row.revision,
        settings: row.settings,
        complete_since: row.complete_since,
        created_at: row.created_at,
    })
}

/// Tells of one collection.
pub fn collection(store: &Store, name: &CollectionName) -> Result<CollectionReport> {
    let transaction = store.manifest.read()?;
    report(&transaction, collection_row(&transaction, name)?)
}

/// Lists all collections.
pub fn collections(store: &Store) -> Result<Vec<CollectionReport>> {
    let transaction = store.manifest.read()?;
    transaction.collections()?.into_iter().map(|row| report(&transaction, row)).collect()
}

/// Creates an empty collection; one that is there already is refused.
pub fn create_collection(store: &Store, context: &Context<'_>, name: &CollectionName) -> Result<CollectionReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    if transaction.find_collection(name)?.is_some() {
        return Err(Error::Refused(format!("the collection {name} is there already")));
    }
    transaction.insert_collection(name, context.now)?;
    let report = report(&transaction, collection_row(&transaction, name)?)?;
    transaction.commit()?;
    Ok(report)
}

/// Deletes a collection with its history and remotes. One that has distributions needs `is_sure`; one that a tree on disk shows or an
/// override names is refused.
pub fn delete_collection(store: &Store, name: &CollectionName, is_sure: bool) -> Result<u64> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = collection_row(&transaction, name)?;
    let count = transaction.live_count(row.id)?;
    if count > 0 && !is_sure {
        let count = counted(count as usize, "distribution");
        return Err(Error::Refused(format!("{name} has {count} and its history; say --yes to delete it")));
    }
    if let Some(path) = transaction.views_of(row.id)?.first() {
        return Err(Error::Refused(format!("the tree {path} shows {name}; `wcas view --remove {path}` first")));
    }
    if let Some(found) = transaction.overrides()?.iter().find(|found| found.collection == *name) {
        let whose = found.variant.as_ref().map(|variant| format!(" --variant {variant}")).unwrap_or_default();
        let project = &found.project;
        return Err(Error::Refused(format!(
            "{project} is sent to {name}; `wcas route override {project} --remove{whose}` first"
        )));
    }
    transaction.delete_collection(row.id)?;
    transaction.commit()?;
    Ok(count)
}

/// What `collection set` changes: `None` leaves as it is, `Some(None)` takes away.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where a lookup goes on, in this order.
    pub fallbacks: Option<Vec<CollectionName>>,
    /// See [`Retention::keep_builds`].
    pub keep_builds: Option<Option<u32>>,
    /// See [`Retention::keep_versions`].
    pub keep_versions: Option<Option<u32>>,
    /// See [`Retention::unused_for`].
    pub unused_for: Option<Option<i64>>,
    /// See [`Retention::max_bytes`].
    pub max_bytes: Option<Option<u64>>,
    /// See [`Guard::accelerators`].
    pub accelerators: Option<Option<Vec<Accelerator>>>,
    /// See [`Guard::is_warning`].
    pub is_warning: Option<bool>,
    /// See [`Guard::is_strict`].
    pub is_strict: Option<bool>,
    /// See [`CollectionSettings::hides_variants`].
    pub hides_variants: Option<bool>,
    /// See [`CollectionSettings::reuses_filenames`].
    pub reuses_filenames: Option<bool>,
    /// See [`CollectionSettings::cache_rules`].
    pub cache: Option<Option<CacheRules>>,
    /// See [`CollectionSettings::open_projects`].
    pub open: Option<Vec<ProjectPattern>>,
}

impl Settings {
    /// Returns a collection's settings with these changes.
    fn applied_to(&self, old: &CollectionSettings) -> CollectionSettings {
        let rules = |cache: &Option<CacheRules>| cache.as_ref().map(ToString::to_string);
        CollectionSettings {
            retention: Retention {
                keep_builds: self.keep_builds.unwrap_or(old.retention.keep_builds),
                keep_versions: self.keep_versions.unwrap_or(old.retention.keep_versions),
                unused_for: self.unused_for.unwrap_or(old.retention.unused_for),
                max_bytes: self.max_bytes.unwrap_or(old.retention.max_bytes),
            },
            guard: Guard {
                accelerators: self.accelerators.clone().unwrap_or_else(|| old.guard.accelerators.clone()),
                is_warning: self.is_warning.unwrap_or(old.guard.is_warning),
                is_strict: self.is_strict.unwrap_or(old.guard.is_strict),
            },
            hides_variants: self.hides_variants.unwrap_or(old.hides_variants),
            reuses_filenames: self.reuses_filenames.unwrap_or(old.reuses_filenames),
            cache_rules: self.cache.as_ref().map_or_else(|| old.cache_rules.clone(), rules),
            open_projects: self.open.clone().unwrap_or_else(|| old.open_projects.clone()),
        }
    }
}

/// Changes a collection's settings.
pub fn set_collection(
    store: &Store,
    context: &Context<'_>,
    name: &CollectionName,
    settings: &Settings,
) -> Result<CollectionReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = collection_row(&transaction, name)?;
    put_settings(&transaction, &row, settings.applied_to(&row.settings), settings.fallbacks.as_deref())?;
    if let Some(hides_variants) = settings.hides_variants.filter(|hides| *hides != row.settings.hides_variants) {
        let what = if hides_variants { "variants hide" } else { "variants show" };
        revise(&transaction, context, &row, "set", what)?;
    }
    let report = report(&transaction, collection_row(&transaction, name)?)?;
    transaction.commit()?;
    Ok(report)
}

/// Checks a collection's settings, and writes them; fallbacks only where they are given.
pub(super) fn put_settings(
    transaction: &Transaction<'_>,
    row: &CollectionRow,
    mut settings: CollectionSettings,
    fallbacks: Option<&[CollectionName]>,
) -> Result<()> {
    retention::refuse_nothing(settings.retention.keep_builds, settings.retention.keep_versions)?;
    settings.guard.accelerators = settings.guard.accelerators.map(guard::in_order);
    transaction.set_collection_settings(row.id, &settings)?;
    transaction.forget_refusals(row.id)?;
    let Some(fallbacks) = fallbacks else { return Ok(()) };
    let mut ids = Vec::new();
    for fallback in fallbacks {
        let id = collection_row(transaction, fallback)?.id;
        if id == row.id || ids.contains(&id) {
            let name = &row.name;
            return Err(Error::Refused(format!("{fallback} can't be a fallback of {name} twice, or of itself")));
        }
        ids.push(id);
    }
    Ok(transaction.set_fallbacks(row.id, &ids)?)
}
