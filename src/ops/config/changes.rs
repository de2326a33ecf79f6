//! What differs between two documents, thing by thing and setting by setting.

use super::Config;
use crate::error::{Error, Result};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingChange {
    /// Its name in the document.
    pub key: String,
    /// What it was; `None`: not set.
    pub before: Option<Value>,
    /// What it is now.
    pub after: Option<Value>,
}

/// A thing that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigChange {
    /// `added`, `removed` or `changed`.
    pub change: &'static str,
    /// `default`, `collection`, `variant`, `override`, `remote`, `publisher` or `block`.
    pub kind: &'static str,
    /// The thing's name.
    pub name: String,
    /// Its settings that differ.
    pub settings: Vec<SettingChange>,
}

/// The order in which things are told.
const KINDS: [(&str, &str); 6] = [
    ("collections", "collection"),
    ("variants", "variant"),
    ("overrides", "override"),
    ("remotes", "remote"),
    ("publishers", "publisher"),
    ("blocks", "block"),
];

/// Compares two documents.
pub(super) fn between(before: &Config, after: &Config) -> Result<Vec<ConfigChange>> {
    let (before, after) = (things(before)?, things(after)?);
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let none = Table::new();
    let mut changes = Vec::new();
    for key in keys {
        let (old, new) = (before.get(key), after.get(key));
        let change = match (old, new) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(old), Some(new)) if old != new => "changed",
            _ => continue,
        };
        let settings = settings(old.unwrap_or(&none), new.unwrap_or(&none));
        changes.push(ConfigChange { change, kind: key.1, name: key.2.clone(), settings });
    }
    Ok(changes)
}

fn settings(before: &Table, after: &Table) -> Vec<SettingChange> {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let change = |key: &String| SettingChange {
        key: key.clone(),
        before: before.get(key).cloned(),
        after: after.get(key).cloned(),
    };
    changed.map(change).collect()
}

type Things = BTreeMap<(usize, &'static str, String), Table>;

/// Takes a document apart into things, in the order in which they are told.
fn things(config: &Config) -> Result<Things> {
    let all = Table::try_from(config).map_err(|error| Error::Refused(error.to_string()))?;
    let mut things = Things::new();
    if let Some(default) = all.get("default") {
        things.insert((0, "default", "collection".to_owned()), one("collection", default));
    }
    for (order, (section, kind)) in KINDS.into_iter().enumerate() {
        for (name, thing) in all.get(section).and_then(Value::as_table).into_iter().flatten() {
            let key = if kind == "block" { "reason" } else { "collection" };
            let table = thing.as_table().cloned().unwrap_or_else(|| one(key, thing));
            things.insert((order + 1, kind, name.clone()), table);
        }
    }
    Ok(things)
}

/// Makes a thing of a single value.
fn one(key: &str, value: &Value) -> Table {
    Table::from_iter([(key.to_owned(), value.clone())])
}
