//! A store's settings as a document, and a document's as rows.

use super::RemoteConfig;
use super::document::{Bytes, CollectionConfig, Config, GuardAction, ProjectConfig, Seconds, VariantConfig};
use super::webhooks;
use crate::catalog::at::collection_row;
use crate::context::Context;
use crate::error::Result;
use crate::manifest::{CollectionRow, CollectionSettings, Rows, StatusRow, Transaction, VariantRow};
use crate::name::{CollectionName, ProjectName};
use crate::ops::collection::put_settings;
use crate::ops::{block, publisher, remote, requirements, reserve, status, webhook};
use crate::status::Status;
use std::collections::BTreeMap;

/// Reads all settings of a store.
pub(super) fn read(rows: &Rows) -> Result<Config> {
    let mut collections = BTreeMap::new();
    let (blocks, hooks) = (rows.blocks()?, rows.webhooks()?);
    let blocked = |name: Option<&CollectionName>| -> BTreeMap<String, String> {
        let rows = blocks.iter().filter(|row| row.collection.as_ref() == name);
        rows.map(|row| (row.spec.clone(), row.reason.clone())).collect()
    };
    for row in rows.collections()? {
        let reserved = rows.reservations(Some(row.id))?.into_iter();
        let CollectionSettings { retention, guard, .. } = row.settings;
        let config = CollectionConfig {
            fallbacks: rows.fallbacks(row.id)?.into_iter().map(|row| row.name).collect(),
            keep_builds: retention.keep_builds,
            keep_versions: retention.keep_versions,
            unused_for: retention.unused_for.map(Seconds),
            max_bytes: retention.max_bytes.map(Bytes),
            accelerators: guard.accelerators,
            guard: if guard.is_warning { GuardAction::Warn } else { GuardAction::Refuse },
            strict: guard.is_strict,
            hide_variants: row.settings.hides_variants,
            reuse_filenames: row.settings.reuses_filenames,
            cache: row.settings.cache_rules.and_then(|rules| rules.parse().ok()),
            open: row.settings.open_projects,
            reserve: reserved.map(|row| (row.pattern, row.reason.unwrap_or_default())).collect(),
            blocks: blocked(Some(&row.name)),
            webhooks: webhooks::of(&hooks, row.id),
            projects: rows.project_statuses(row.id)?.into_iter().map(project).collect(),
        };
        collections.insert(row.name, config);
    }
    let mut variants: BTreeMap<CollectionName, VariantConfig> = BTreeMap::new();
    for row in rows.variants()? {
        let lines = rows.variant_requirements(&row.name)?.into_iter().map(|row| row.requirement);
        let config = VariantConfig {
            requirements: row.has_requirements.then(|| lines.collect()),
            requirements_files: Vec::new(),
            detect: row.is_detecting,
            share_pure: row.shares_pure,
            strategy: row.strategy,
            overrides: BTreeMap::new(),
        };
        variants.insert(row.name, config);
    }
    let mut overrides = BTreeMap::new();
    for row in rows.overrides()? {
        match row.variant {
            Some(variant) => _ = variants.entry(variant).or_default().overrides.insert(row.project, row.collection),
            None => _ = overrides.insert(row.project, row.collection),
        }
    }
    let remotes =
        rows.remotes()?.into_iter().map(|row| (row.name, RemoteConfig::new(row.collection_name, row.settings)));
    Ok(Config {
        default: Some(rows.default_collection()?),
        collections: Some(collections),
        variants: Some(variants),
        overrides: Some(overrides),
        remotes: Some(remotes.collect()),
        publishers: Some(rows.publishers()?.into_iter().map(|row| (row.name.clone(), row.into())).collect()),
        blocks: Some(blocked(None)),
    })
}

fn project(row: StatusRow) -> (ProjectName, ProjectConfig) {
    (row.project, ProjectConfig { status: row.status, reason: row.reason })
}

/// Writes the settings that differ.
pub(super) fn write(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    before: &Config,
    wanted: &Config,
) -> Result<()> {
    if let Some(default) = wanted.default.as_ref().filter(|_| wanted.default != before.default) {
        transaction.set_default_collection(default)?;
    }
    write_collections(transaction, context, before, wanted)?;
    if wanted.variants != before.variants || wanted.overrides != before.overrides {
        write_routes(transaction, wanted)?;
    }
    if let (Some(blocks), true) = (&wanted.blocks, wanted.blocks != before.blocks) {
        block::replace(transaction, context, None, blocks)?;
    }
    write_publishers(transaction, context, before, wanted)?;
    write_remotes(transaction, before, wanted)
}

fn write_collections(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    before: &Config,
    wanted: &Config,
) -> Result<()> {
    let known = |name: &CollectionName| before.collections.as_ref().and_then(|collections| collections.get(name));
    // All are made before the first is another's fallback.
    for name in wanted.collections.iter().flat_map(|collections| collections.keys()) {
        if known(name).is_none() {
            transaction.insert_collection(name, context.now)?;
        }
    }
    for (name, config) in wanted.collections.iter().flatten().filter(|(name, config)| known(name) != Some(*config)) {
        let row = collection_row(transaction, name)?;
        put_settings(transaction, &row, config.settings(), Some(&config.fallbacks))?;
        let before = known(name).cloned().unwrap_or_default();
        if before.reserve != config.reserve {
            reserve::replace(transaction, context, row.id, &config.reserve)?;
        }
        if before.blocks != config.blocks {
            block::replace(transaction, context, Some(&row), &config.blocks)?;
        }
        if before.webhooks != config.webhooks {
            let wanted = config.webhooks.iter().map(|(url, config)| (url, config.settings()));
            webhook::replace(transaction, row.id, wanted)?;
        }
        // What is blocked may have made a revision.
        let row = collection_row(transaction, name)?;
        if (before.hide_variants, &before.projects) != (config.hide_variants, &config.projects) {
            write_shown(transaction, context, &row, &before, config)?;
        }
    }
    Ok(())
}

/// Writes what changes the collection's pages, as a revision.
fn write_shown(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    row: &CollectionRow,
    before: &CollectionConfig,
    config: &CollectionConfig,
) -> Result<()> {
    for project in before.projects.keys().filter(|project| !config.projects.contains_key(*project)) {
        let active = StatusRow { project: project.clone(), status: Status::Active, reason: None };
        transaction.set_project_status(row.id, &active)?;
    }
    for (project, wanted) in &config.projects {
        let (project, reason) = (project.clone(), wanted.reason.clone());
        transaction.set_project_status(row.id, &StatusRow { project, status: wanted.status, reason })?;
    }
    status::revise(transaction, context, row, "config", "what views show").map(drop)
}

fn write_routes(transaction: &Transaction<'_>, wanted: &Config) -> Result<()> {
    transaction.delete_routes()?;
    for (project, collection) in wanted.overrides.iter().flatten() {
        transaction.put_override(project, None, collection_row(transaction, collection)?.id)?;
    }
    for (name, config) in wanted.variants.iter().flatten() {
        transaction.put_variant(&VariantRow {
            name: name.clone(),
            has_requirements: config.requirements.is_some(),
            is_detecting: config.detect,
            shares_pure: config.share_pure,
            strategy: config.strategy,
        })?;
        let place = format!("variants.{name}.requirements");
        let set = requirements::named(&place, config.requirements.as_deref().unwrap_or_default())?;
        transaction.set_variant_requirements(name, &set)?;
        for (project, collection) in &config.overrides {
            transaction.put_override(project, Some(name), collection_row(transaction, collection)?.id)?;
        }
    }
    Ok(())
}

fn write_publishers(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    before: &Config,
    wanted: &Config,
) -> Result<()> {
    for row in transaction.publishers()? {
        if wanted.publishers.as_ref().is_some_and(|publishers| !publishers.contains_key(&row.name)) {
            transaction.delete_publisher(row.id, context.now)?;
        }
    }
    for (name, config) in wanted.publishers.iter().flatten() {
        if before.publishers.as_ref().and_then(|publishers| publishers.get(name)) != Some(config) {
            publisher::put(transaction, context, name, &config.options())?;
        }
    }
    Ok(())
}

fn write_remotes(transaction: &Transaction<'_>, before: &Config, wanted: &Config) -> Result<()> {
    for row in transaction.remotes()? {
        if wanted.remotes.as_ref().is_some_and(|remotes| !remotes.contains_key(&row.name)) {
            transaction.delete_remote(row.id)?;
        }
    }
    for (name, config) in wanted.remotes.iter().flatten() {
        if before.remotes.as_ref().and_then(|remotes| remotes.get(name)) == Some(config) {
            continue;
        }
        let collection = collection_row(transaction, &config.collection)?.id;
        match transaction.find_remote(name)? {
            // What is known of its health and pages stays.
            Some(row) => remote::update(transaction, &row, collection, &config.settings())?,
            None => _ = transaction.insert_remote(name, collection, &config.settings())?,
        }
    }
    Ok(())
}
