//! Whether what was listed still is: a number for all that a view's pages depend on.

use crate::catalog::ownership::accelerators_of;
use crate::catalog::search_order::{SearchOrder, Sense};
use crate::catalog::view_contents::{Shown, strategy_of};
use crate::error::Result;
use crate::manifest::{CollectionRow, Rows};
use crate::name::CollectionName;
use crate::store::Store;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Returns a number that changes with whatever a view's pages depend on in the manifest, and not with what they don't; `None`: there
/// is no such view. What remotes say has its own time.
pub fn stamp(store: &Store, shown: &Shown) -> Result<Option<u64>> {
    let rows = store.manifest.read()?;
    let mut hasher = DefaultHasher::new();
    rows.file().hash(&mut hasher);
    // The bytes of any file may have been lost, or found again.
    (rows.losses()?, rows.lost_count()?).hash(&mut hasher);
    match shown {
        Shown::Collection { name, at } => {
            let Some(row) = rows.find_collection(name)? else { return Ok(None) };
            // A snapshot's name can be given to another revision, and gc takes history away.
            (row.id, row.complete_since, &row.created_at, at).hash(&mut hasher);
            rows.snapshots(row.id)?.iter().for_each(|row| (&row.name, row.revision).hash(&mut hasher));
            (row.revision, row.settings.hides_variants).hash(&mut hasher);
            cache_settings(&row).hash(&mut hasher);
        }
        Shown::Variant { name, strategy, .. } => {
            // Builders' pages of a collection that is no variant search the default one, too.
            let Some(order) = SearchOrder::of_name(&rows, name, Sense::Variant)? else { return Ok(None) };
            rows.find_variant(name)?.is_some().hash(&mut hasher);
            rows.find_collection(name)?.as_ref().map(cache_settings).hash(&mut hasher);
            (strategy_of(&rows, name, *strategy)?.as_str()).hash(&mut hasher);
            for row in order.all() {
                (row.id, row.revision, row.settings.hides_variants).hash(&mut hasher);
                remotes(&rows, row.id, &mut hasher)?;
                // Whom strangers' remotes are closed to.
                row.settings.open_projects.hash(&mut hasher);
                rows.reservations(Some(row.id))?.iter().for_each(|row| row.pattern.hash(&mut hasher));
            }
            ownership(&rows, name, &mut hasher)?;
            order.base().iter().for_each(|row| row.id.hash(&mut hasher));
            order.overridden().for_each(|(project, row)| (project, row.id).hash(&mut hasher));
        }
    }
    Ok(Some(hasher.finish()))
}

/// Returns a number that changes with whatever any view's own files depend on in the manifest.
pub fn stamp_of_all(store: &Store) -> Result<u64> {
    let rows = store.manifest.read()?;
    let collections: Vec<_> = rows.collections()?.into_iter().map(|row| row.name).collect();
    let variants: Vec<_> = rows.variants()?.into_iter().map(|row| row.name).collect();
    drop(rows);
    let mut hasher = DefaultHasher::new();
    store.manifest.file().hash(&mut hasher);
    for name in &collections {
        stamp(store, &Shown::Collection { name: name.clone(), at: None })?.hash(&mut hasher);
    }
    for name in collections.into_iter().chain(variants) {
        stamp(store, &Shown::known(name))?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// Returns a number that grows whenever a collection of a view changes: mirrors compare it. 0: there is no such view.
pub fn serial(store: &Store, shown: &Shown) -> Result<i64> {
    let sources = shown.sources(&*store.manifest.read()?);
    Ok(sources.map_or(0, |sources| sources.iter().map(|(_, source)| source.revision).sum()))
}

/// What decides whose a project is: the variant's set, its accelerators, and the files that are known to be bound to any.
fn ownership(rows: &Rows, variant: &CollectionName, hasher: &mut DefaultHasher) -> Result<()> {
    if let Some(row) = rows.find_variant(variant)? {
        (row.has_requirements, row.shares_pure).hash(hasher);
        rows.variant_requirements(variant)?.iter().for_each(|row| row.project.hash(hasher));
    }
    let accelerators = accelerators_of(rows, variant)?.unwrap_or_default();
    if !accelerators.is_empty() {
        (accelerators, rows.bound_stamp()?).hash(hasher);
    }
    rows.default_collection()?.hash(hasher);
    if let Some(row) = rows.find_collection(variant)? {
        // What their guards admit says whether they are for the same.
        let fallbacks = rows.fallbacks(row.id)?;
        fallbacks.iter().for_each(|row| (row.id, &row.settings.guard.accelerators).hash(hasher));
    }
    Ok(())
}

/// What the cache endpoint offers, and whose accelerator is foreign there.
fn cache_settings(row: &CollectionRow) -> String {
    format!("{:?} {:?}", row.settings.cache_rules, row.settings.guard.accelerators)
}

fn remotes(rows: &Rows, collection: crate::manifest::CollectionId, hasher: &mut DefaultHasher) -> Result<()> {
    for remote in rows.remotes_of(collection)? {
        // Rare rows, few of them: their text is all that they say.
        format!("{:?} {:?}", remote.id, remote.settings).hash(hasher);
        rows.refusal_count(remote.id)?.hash(hasher);
    }
    Ok(())
}
