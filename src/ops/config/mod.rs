//! `config`: all that a team decides about a store, as one TOML document to keep in git.
//!
//! `show` writes it; `apply` makes a store match it, in one transaction. A section of the document is complete: what the store has
//! of its kind and the document has not, goes. Distributions never go by it, and so no collection does; one that isn't mentioned
//! keeps its settings, too, unless that is asked for, since imports make collections. A section that is left out says nothing.
//! Secrets are never in it.

mod changes;
mod document;
mod protection;
mod publishers;
mod remotes;
mod state;
mod webhooks;

pub use changes::{ConfigChange, SettingChange};
pub use document::{Bytes, CollectionConfig, Config, GuardAction, ProjectConfig, Seconds, VariantConfig};
pub use publishers::PublisherConfig;
pub use remotes::RemoteConfig;
pub use webhooks::WebhookConfig;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::name::CollectionName;
use crate::store::Store;
use serde::Serialize;

/// What `config apply` did.
#[derive(Debug, Serialize)]
pub struct ConfigReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// What is different now.
    pub changes: Vec<ConfigChange>,
    /// What protected before and doesn't now: blocks, reservations, what is open, quarantines, who must sign.
    pub lifted: Vec<String>,
}

/// How a document is applied.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApplyOptions {
    /// Whether collections that it doesn't list lose their settings, if it lists any.
    pub prune: bool,
    /// Whether what protects may go because the document doesn't have it.
    pub unprotect: bool,
    /// Whether nothing is changed.
    pub dry_run: bool,
}

/// Returns all settings of a store.
pub fn show_config(store: &Store) -> Result<Config> {
    let transaction = store.manifest.read()?;
    state::read(&transaction)
}

/// Makes a store match a document.
pub fn apply_config(
    store: &Store,
    context: &Context<'_>,
    config: &Config,
    options: &ApplyOptions,
) -> Result<ConfigReport> {
    let ApplyOptions { prune, unprotect, dry_run } = *options;
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let before = state::read(&transaction)?;
    let wanted = merge(&before, config, prune)?;
    let changes = changes::between(&before, &wanted)?;
    let lifted = protection::lifted(&before, &wanted);
    if !(lifted.is_empty() || unprotect || dry_run) {
        let text = format!(
            "this would take away what protects: {}; put it into the file (`wcas config show` prints it), or say --unprotect if it \
             is to go",
            lifted.join(", ")
        );
        return Err(Error::Refused(text));
    }
    if !changes.is_empty() {
        state::write(&transaction, context, &before, &wanted)?;
    }
    // A dry run is the real thing, rolled back.
    if !dry_run && !changes.is_empty() {
        transaction.commit()?;
    }
    Ok(ConfigReport { dry_run, changes, lifted })
}

/// Lays a document over what a store has.
fn merge(before: &Config, config: &Config, prune: bool) -> Result<Config> {
    let config = config.clone().checked()?;
    let mut collections = before.collections.clone().unwrap_or_default();
    if let Some(listed) = config.collections {
        if prune {
            collections.values_mut().for_each(|collection| *collection = CollectionConfig::default());
        }
        collections.extend(listed);
    }
    let wanted = Config {
        default: config.default.or_else(|| before.default.clone()),
        variants: config.variants.or_else(|| before.variants.clone()),
        overrides: config.overrides.or_else(|| before.overrides.clone()),
        remotes: config.remotes.or_else(|| before.remotes.clone()),
        publishers: config.publishers.or_else(|| before.publishers.clone()),
        blocks: config.blocks.or_else(|| before.blocks.clone()),
        collections: None,
    };
    // A variant's collection has its name.
    let is_new = |name: &&CollectionName| !before.variants.as_ref().is_some_and(|known| known.contains_key(*name));
    for name in wanted.variants.iter().flat_map(|variants| variants.keys()).filter(is_new) {
        collections.entry(name.clone()).or_default();
    }
    let wanted = Config { collections: Some(collections), ..wanted };
    refuse_unknown(&wanted)?;
    Ok(wanted)
}

/// Refuses a document that names a collection which neither it nor the store has: most likely a slip.
fn refuse_unknown(config: &Config) -> Result<()> {
    let collections = config.collections.as_ref();
    let check = |what: String, name: &CollectionName| {
        if collections.is_some_and(|collections| collections.contains_key(name)) {
            return Ok(());
        }
        let advice = format!("add [collections.{name}] to make it");
        Err(Error::Refused(format!("{what}: there is no collection {name}, in the file or in the store; {advice}")))
    };
    for (name, collection) in collections.into_iter().flatten() {
        collection
            .fallbacks
            .iter()
            .try_for_each(|fallback| check(format!("collections.{name}.fallbacks"), fallback))?;
    }
    for (project, collection) in config.overrides.iter().flatten() {
        check(format!("overrides.{project}"), collection)?;
    }
    for (name, variant) in config.variants.iter().flatten() {
        for (project, collection) in &variant.overrides {
            check(format!("variants.{name}.overrides.{project}"), collection)?;
        }
    }
    for (name, remote) in config.remotes.iter().flatten() {
        check(format!("remotes.{name}"), &remote.collection)?;
    }
    for (name, publisher) in config.publishers.iter().flatten() {
        let places = std::iter::once(&publisher.collection).chain(&publisher.into);
        places.into_iter().try_for_each(|place| check(format!("publishers.{name}"), place))?;
    }
    Ok(())
}
