//! Between bytes and entries: where the route sends each file, and whether the collection's guard admits it. What the default
//! collection refuses goes to the variant's own.
//!
//! What a file is bound to is asked only where the answer matters, quickly first and deeply when that doesn't settle it.

use super::incoming::subject;
use super::route::{Rule, Subject};
use super::{ImportOptions, IncomingFile, Refused, Target, inspection};
use crate::catalog::guard::{self, is_pure};
use crate::context::Context;
use crate::error::Result;
use crate::manifest::{BlobId, Guard};
use crate::name::CollectionName;
use crate::store::Store;
use crate::wheel::Kind;
use crate::wheel::accelerator::Inspection;
use std::collections::{HashMap, HashSet};

/// Routes items by what they are bound to, and refuses those that their collection doesn't admit. Returns those that a guard only
/// warns of.
pub(super) fn judge(
    store: &Store,
    context: &Context<'_>,
    options: &ImportOptions,
    items: &mut Vec<IncomingFile>,
    refused: &mut Vec<Refused>,
) -> Result<Vec<Refused>> {
    let mut inspected = HashMap::new();
    if let Target::Route(router) = &options.target {
        let asks = |item: &IncomingFile| item.name.kind() == Kind::Wheel && router.wants_accelerator(&item.name);
        let open =
            |_: &IncomingFile, inspection: &Inspection| inspection.bound().is_empty() && !inspection.is_conclusive();
        inspect(store, context, items, asks, open, &mut inspected)?;
        for item in items.iter_mut() {
            let Some(inspection) = item.blob.and_then(|blob| inspected.get(&blob)) else { continue };
            let is_pure = item.name.is_pure() && is_pure(inspection);
            let subject =
                Subject { bound: Some(&inspection.bound()), is_pure, ..subject(&item.name, &item.source.made) };
            item.decision = router.decide(&subject);
        }
    }
    loop {
        let (warned, is_settled) = ask_guards(store, context, options, items, &mut inspected, refused)?;
        if is_settled {
            return Ok(warned);
        }
        // What was sent elsewhere has another guard to pass, once: nothing is sent on from there.
    }
}

/// Refuses what its collection doesn't admit, or sends it to the variant's own. Returns what guards warn of, and whether all items
/// are where they stay.
fn ask_guards(
    store: &Store,
    context: &Context<'_>,
    options: &ImportOptions,
    items: &mut Vec<IncomingFile>,
    inspected: &mut HashMap<BlobId, Inspection>,
    refused: &mut Vec<Refused>,
) -> Result<(Vec<Refused>, bool)> {
    let guards = guards(store, items)?;
    if guards.is_empty() {
        return Ok((Vec::new(), true));
    }
    let old = unchanged(store, items)?;
    let guard_of = |item: &IncomingFile| guards.get(&item.decision.collection);
    // What a collection has already was admitted, or was there before the guard: it's for doctor to tell.
    let asks = |item: &IncomingFile| {
        item.name.kind() == Kind::Wheel && guard_of(item).is_some() && !old.contains(item.name.as_str())
    };
    let open = |item: &IncomingFile, inspection: &Inspection| {
        guard_of(item).is_some_and(|guard| guard::is_open(guard, inspection))
    };
    inspect(store, context, items, asks, open, inspected)?;
    let (mut warned, mut is_settled) = (Vec::new(), true);
    items.retain_mut(|item| {
        let (true, Some(guard)) = (asks(item), guard_of(item)) else { return true };
        let Some(inspection) = item.blob.and_then(|blob| inspected.get(&blob)) else { return true };
        let Some(objection) = object(guard, &item.decision.collection, inspection) else { return true };
        let path = item.source.path.clone();
        if !objection.is_refused {
            warned.push(Refused { path, reason: objection.reason });
            return true;
        }
        let elsewhere = match &options.target {
            Target::Route(router) => router.decide_refused(&item.decision, &inspection.bound(), &objection.reason),
            Target::Collection(_) => None,
        };
        let Some(decision) = elsewhere else {
            let before = item.decision.considered.last().filter(|_| item.decision.rule == Rule::Guard);
            let before = before.map(|first| format!("{}; ", first.because)).unwrap_or_default();
            refused.push(Refused { path, reason: format!("{before}{}", objection.reason) });
            return false;
        };
        item.decision = decision;
        is_settled = false;
        true
    });
    Ok((warned, is_settled))
}

/// What a guard has against a wheel.
struct GuardObjection {
    reason: String,
    is_refused: bool,
}

fn object(guard: &Guard, name: &CollectionName, inspection: &Inspection) -> Option<GuardObjection> {
    if let Some(reason) = guard::objection(guard, inspection) {
        let reason = format!("{name} doesn't admit it: {reason}");
        return Some(GuardObjection { reason, is_refused: !guard.is_warning });
    }
    if inspection.problems.is_empty() {
        return None;
    }
    // Nothing speaks against what could be read: only a strict guard takes that for too little.
    let reason = format!("the guard could not look into all of it: {}", inspection.problems.join("; "));
    Some(GuardObjection { reason, is_refused: guard.is_strict && !guard.is_warning })
}

/// Returns the guards of the items' collections, as far as they have any.
fn guards(store: &Store, items: &[IncomingFile]) -> Result<HashMap<CollectionName, Guard>> {
    let names: HashSet<&CollectionName> = items.iter().map(|item| &item.decision.collection).collect();
    let mut guards = HashMap::new();
    for name in names {
        if let Some(row) = store.manifest.find_collection(name)?.filter(|row| row.settings.guard.accelerators.is_some())
        {
            guards.insert(row.name, row.settings.guard);
        }
    }
    Ok(guards)
}

/// Returns the filenames that their collections have with the same bytes.
fn unchanged(store: &Store, items: &[IncomingFile]) -> Result<HashSet<String>> {
    let mut ids = HashMap::new();
    let mut old = HashSet::new();
    for item in items {
        let name = &item.decision.collection;
        if !ids.contains_key(name) {
            ids.insert(name.clone(), store.manifest.find_collection(name)?.map(|row| row.id));
        }
        let Some(collection) = ids[name] else { continue };
        if item.blob.is_some() && store.manifest.find_entry_blob(collection, item.name.as_str())? == item.blob {
            old.insert(item.name.as_str().to_owned());
        }
    }
    Ok(old)
}

/// Finds out what the items are bound to that `asks` names: what is kept, else by a quick look, else, where that leaves the question
/// `open`, by a deep one.
fn inspect(
    store: &Store,
    context: &Context<'_>,
    items: &[IncomingFile],
    asks: impl Fn(&IncomingFile) -> bool,
    open: impl Fn(&IncomingFile, &Inspection) -> bool,
    inspected: &mut HashMap<BlobId, Inspection>,
) -> Result<()> {
    for is_deep in [false, true] {
        let mut subjects = Vec::new();
        for item in items.iter().filter(|item| asks(item)) {
            let Some(blob) = item.blob else { continue };
            if !inspected.contains_key(&blob)
                && let Some(known) = guard::known(&store.manifest, blob)?
            {
                inspected.insert(blob, known);
            }
            let is_left = match inspected.get(&blob) {
                None => true,
                Some(inspection) => is_deep && open(item, inspection),
            };
            if let Some(digests) = item.digests.filter(|_| is_left) {
                subjects.push(inspection::Subject { blob, path: store.blobs.path(&digests.blake3), name: &item.name });
            }
        }
        if !subjects.is_empty() {
            for (subject, inspection) in subjects.iter().zip(inspection::inspect(store, context, &subjects, is_deep)?) {
                inspected.insert(subject.blob, inspection);
            }
        }
    }
    Ok(())
}
