//! `collection`: named sets of distributions with a history.

mod revision;
pub(super) mod signed;

pub use revision::{DiffReport, FileChange, LogReport, RollbackReport, delete_snapshot, diff, log, rollback, snapshot};

pub use signed::{Newest, SignedProblem, SignedReport, SignedText, keep_signature, revision_text, verify_signed};

use crate::catalog::at::collection_row;
use crate::catalog::builder_rules::CacheRules;
use crate::catalog::{guard, retention};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::manifest::{BlockRow, CollectionRow, Guard, Retention, Rows};
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
    /// Its rules for gc.
    pub retention: Retention,
    /// What it holds of wheels that are bound to accelerators.
    pub guard: Guard,
    /// Whether views leave its variant wheels out.
    pub hides_variants: bool,
    /// See [`CollectionRow::reuses_filenames`].
    pub reuses_filenames: bool,
    /// See [`CollectionRow::cache_rules`].
    pub cache: Option<String>,
    /// See [`CollectionRow::open_projects`].
    pub open: Vec<ProjectPattern>,
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
        retention: row.retention,
        guard: row.guard,
        hides_variants: row.hides_variants,
        reuses_filenames: row.reuses_filenames,
        cache: row.cache_rules,
        open: row.open_projects,
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
    /// See [`CollectionRow::hides_variants`].
    pub hides_variants: Option<bool>,
    /// See [`CollectionRow::reuses_filenames`].
    pub reuses_filenames: Option<bool>,
    /// See [`CollectionRow::cache_rules`].
    pub cache: Option<Option<CacheRules>>,
    /// See [`CollectionRow::open_projects`].
    pub open: Option<Vec<ProjectPattern>>,
}

/// Changes a collection's settings.
pub fn set_collection(
    store: &Store,
    context: &Context<'_>,
    name: &CollectionName,
    settings: &Settings,
) -> Result<CollectionReport> {
    store.require_writable()?;
    retention::refuse_nothing(settings.keep_builds.flatten(), settings.keep_versions.flatten())?;
    let transaction = store.manifest.write()?;
    let row = collection_row(&transaction, name)?;
    let old = row.retention;
    let retention = Retention {
        keep_builds: settings.keep_builds.unwrap_or(old.keep_builds),
        keep_versions: settings.keep_versions.unwrap_or(old.keep_versions),
        unused_for: settings.unused_for.unwrap_or(old.unused_for),
        max_bytes: settings.max_bytes.unwrap_or(old.max_bytes),
    };
    transaction.set_retention(row.id, &retention)?;
    let accelerators = match &settings.accelerators {
        Some(accelerators) => accelerators.clone().map(guard::in_order),
        None => row.guard.accelerators.clone(),
    };
    let guard = Guard {
        accelerators,
        is_warning: settings.is_warning.unwrap_or(row.guard.is_warning),
        is_strict: settings.is_strict.unwrap_or(row.guard.is_strict),
    };
    transaction.set_guard(row.id, &guard)?;
    transaction.forget_refusals(row.id)?;
    if let Some(names) = &settings.fallbacks {
        let mut ids = Vec::new();
        for fallback in names {
            let id = collection_row(&transaction, fallback)?.id;
            if id == row.id || ids.contains(&id) {
                return Err(Error::Refused(format!("{fallback} can't be a fallback of {name} twice, or of itself")));
            }
            ids.push(id);
        }
        transaction.set_fallbacks(row.id, &ids)?;
    }
    if let Some(rules) = &settings.cache {
        let rules = rules.as_ref().map(ToString::to_string);
        transaction.set_cache_rules(row.id, rules.as_deref())?;
    }
    if let Some(patterns) = &settings.open {
        transaction.set_open_projects(row.id, patterns)?;
    }
    if let Some(reuses_filenames) = settings.reuses_filenames {
        transaction.set_reuse_filenames(row.id, reuses_filenames)?;
    }
    if let Some(hides_variants) = settings.hides_variants.filter(|hides| *hides != row.hides_variants) {
        transaction.set_hide_variants(row.id, hides_variants)?;
        let what = if hides_variants { "variants hide" } else { "variants show" };
        revise(&transaction, context, &row, "set", what)?;
    }
    let report = report(&transaction, collection_row(&transaction, name)?)?;
    transaction.commit()?;
    Ok(report)
}
