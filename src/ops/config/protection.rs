//! What an apply would take away that protects: a file that merely doesn't say it must not lift it unseen.

use super::Config;
use super::document::CollectionConfig;
use crate::name::CollectionName;
use crate::status::Status;
use std::fmt::Display;

/// Tells, thing by thing, what protects before and no longer after.
pub(super) fn lifted(before: &Config, after: &Config) -> Vec<String> {
    let mut lifted = Vec::new();
    let blocks = |config: &Config| config.blocks.clone().unwrap_or_default();
    let kept = blocks(after);
    lifted
        .extend(blocks(before).into_keys().filter(|spec| !kept.contains_key(spec)).map(|spec| format!("block {spec}")));
    let none = CollectionConfig::default();
    for (name, old) in before.collections.iter().flatten() {
        let new = after.collections.as_ref().and_then(|collections| collections.get(name)).unwrap_or(&none);
        of_collection(name, old, new, &mut lifted);
    }
    for (name, old) in before.remotes.iter().flatten() {
        // A remote that goes altogether gives nothing any more.
        let Some(new) = after.remotes.as_ref().and_then(|remotes| remotes.get(name)) else { continue };
        if old.signed_by.is_some() && new.signed_by.is_none() {
            lifted.push(format!("signed-by of remote {name}"));
        }
    }
    lifted
}

fn of_collection(name: &CollectionName, old: &CollectionConfig, new: &CollectionConfig, lifted: &mut Vec<String>) {
    let mut add = |what: &str, of: &dyn Display| lifted.push(format!("{what} {of} of collection {name}"));
    for spec in old.blocks.keys().filter(|spec| !new.blocks.contains_key(*spec)) {
        add("block", spec);
    }
    for pattern in old.reserve.keys().filter(|pattern| !new.reserve.contains_key(*pattern)) {
        add("reserve", pattern);
    }
    for pattern in old.open.iter().filter(|pattern| !new.open.contains(pattern)) {
        add("open", pattern);
    }
    for (project, _) in old.projects.iter().filter(|(_, project)| project.status == Status::Quarantined) {
        if new.projects.get(project).is_none_or(|project| project.status != Status::Quarantined) {
            add("quarantine of", project);
        }
    }
}
