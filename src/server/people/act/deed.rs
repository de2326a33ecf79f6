//! What is to be done, read from a link or a form, and done by the verbs of the command line.

use super::fields::Fields;
use crate::catalog::at::{RevisionSpec, collection_row};
use crate::catalog::search::{Filter, required};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::manifest::{Entry, TokenRow};
use crate::name::CollectionName;
use crate::ops;
use crate::ops::promote::PromoteOptions;
use crate::requirement::Spec;
use crate::server::verb::Verb;
use crate::store::Store;

/// The longest reason, in characters: people read it in a line of an installer.
pub(super) const MAX_REASON: usize = 500;
/// The longest time of a pin, in days.
const MAX_DAYS: i64 = 3650;
const DAY: i64 = 86_400;

/// What is to be done to a collection.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    /// `yank`; without a reason `unyank`.
    Mark(Spec, Option<String>),
    /// `block`, in this collection.
    Block(Spec, String),
    /// `pin`, for so many days.
    Pin(Spec, String, Option<i64>),
    /// `collection promote`, into this one.
    Promote(Spec, CollectionName),
    /// `collection rollback`, to this revision.
    Rollback(i64),
    /// `undo` of this operation.
    Undo(i64),
}

/// What was done, or would be.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Files, and what became of each.
    pub(super) changes: Vec<(String, &'static str)>,
    /// Files that stay as they are, and why.
    pub(super) refused: Vec<(String, String)>,
    /// How many had it already.
    pub(super) unchanged: usize,
}

impl Deed {
    /// Reads what is asked for; `None`: it isn't said yet where files are promoted to.
    pub(super) fn read(verb: Verb, fields: &Fields) -> std::result::Result<Option<Self>, String> {
        let number = |name: &str| {
            let found = fields.get(name).parse::<i64>().ok().filter(|number| *number >= 0);
            found.ok_or_else(|| format!("{name} is to be a number"))
        };
        let spec = || fields.get("spec").parse::<Spec>().map_err(|error| crate::words::reason(&error));
        Ok(Some(match verb {
            Verb::Yank => Self::Mark(spec()?, Some(reason(fields)?)),
            Verb::Unyank => Self::Mark(spec()?, None),
            Verb::Block => Self::Block(spec()?, reason(fields)?),
            Verb::Pin => Self::Pin(spec()?, reason(fields)?, days(fields)?),
            Verb::Promote if fields.get("to").is_empty() => {
                spec()?;
                return Ok(None);
            }
            Verb::Promote => {
                let to = fields.get("to").parse().map_err(|error| crate::words::reason(&error))?;
                Self::Promote(spec()?, to)
            }
            Verb::Rollback => Self::Rollback(number("to")?),
            Verb::Undo => Self::Undo(number("operation")?),
        }))
    }

    /// Returns what it names files by, if it does.
    fn spec(&self) -> Option<&Spec> {
        match self {
            Self::Mark(spec, _) | Self::Block(spec, _) | Self::Pin(spec, ..) | Self::Promote(spec, _) => Some(spec),
            Self::Rollback(_) | Self::Undo(_) => None,
        }
    }

    /// Returns what a form says again of it, beside what people write there.
    pub(super) fn hidden(&self) -> Vec<(&'static str, String)> {
        let mut fields: Vec<_> = self.spec().map(|spec| ("spec", spec.to_string())).into_iter().collect();
        match self {
            Self::Promote(_, to) => fields.push(("to", to.to_string())),
            Self::Rollback(to) => fields.push(("to", to.to_string())),
            Self::Undo(operation) => fields.push(("operation", operation.to_string())),
            Self::Mark(..) | Self::Block(..) | Self::Pin(..) => {}
        }
        fields
    }

    /// Tells what is missing of what people write, before it is done.
    pub(super) fn lack(&self) -> Option<&'static str> {
        match self {
            Self::Block(_, reason) if reason.is_empty() => Some("Say why: whoever asks for it is told."),
            _ => None,
        }
    }

    /// Tells why a token may not do this; `None`: it may. Nothing that it may not read is named.
    pub(super) fn objection(&self, store: &Store, at: &CollectionName, token: &TokenRow) -> Result<Option<String>> {
        if !is_for(token, at) {
            return Ok(Some("Your token is for another collection.".to_owned()));
        }
        match self {
            Self::Promote(_, to) if !takes(token, to) => {
                return Ok(Some("Your token may not promote into that collection.".to_owned()));
            }
            Self::Undo(operation) => {
                let reach = ops::invalidate::reach(store, *operation)?;
                if !reach.contains(at) || !reach.iter().all(|name| is_for(token, name)) {
                    let text = format!(
                        "Operation {operation} changed no file that is still known of {at}, or others as well that your token is not for."
                    );
                    return Ok(Some(text));
                }
            }
            _ => {}
        }
        if token.projects.is_empty() {
            return Ok(None);
        }
        let is_own = |entry: &Entry| token.projects.iter().any(|pattern| pattern.matches(&entry.project));
        let is_within = match self.spec() {
            Some(spec) => required(&*store.manifest.read()?, &filter(at, spec))?.iter().all(is_own),
            None => false,
        };
        Ok((!is_within).then(|| "Your token is for some projects only.".to_owned()))
    }

    /// Returns what tells whether anything happened since to the collections that it is about.
    pub(super) fn state(&self, store: &Store, at: &CollectionName) -> Result<String> {
        let mut places = match self {
            Self::Undo(operation) => ops::invalidate::reach(store, *operation)?,
            Self::Promote(_, to) => [to.clone()].into(),
            _ => [].into(),
        };
        places.insert(at.clone());
        let rows = store.manifest.read()?;
        let revisions = places.iter().map(|name| Ok(collection_row(&rows, name)?.revision.to_string()));
        Ok(revisions.collect::<Result<Vec<_>>>()?.join("."))
    }

    /// Does it.
    pub(super) fn perform(
        &self,
        store: &Store,
        context: &Context<'_>,
        at: &CollectionName,
        token: &TokenRow,
    ) -> Result<Done> {
        match self {
            Self::Mark(spec, reason) => {
                let word = if reason.is_some() { "yanked" } else { "no longer yanked" };
                let changed = ops::invalidate::yank(store, context, &filter(at, spec), reason.as_deref())?;
                Ok(Done::of(changed.into_iter().map(|entry| (entry.filename, word))))
            }
            Self::Block(spec, reason) => {
                let met = required(&*store.manifest.read()?, &filter(at, spec))?;
                ops::block::block(store, context, std::slice::from_ref(spec), Some(at), reason)?;
                Ok(Done::of(met.into_iter().map(|entry| (entry.filename, "blocked"))))
            }
            Self::Pin(spec, reason, days) => {
                let filter = filter(at, spec);
                let met = required(&*store.manifest.read()?, &filter)?;
                let until = days.map(|days| context.now.saturating_add(days * DAY));
                ops::pin::pin(store, context, &filter, &token.name, reason, until)?;
                Ok(Done::of(met.into_iter().map(|entry| (entry.filename, "pinned"))))
            }
            Self::Promote(spec, to) => promote(store, context, at, spec, to),
            Self::Rollback(to) => {
                let plan = ops::collection::rollback_plan(store, at, &to.to_string())?;
                ops::collection::rollback(store, context, at, &to.to_string())?;
                let changes = plan.diff.into_iter().flat_map(|diff| diff.changes);
                Ok(Done::of(changes.map(|change| (change.filename, change.change))))
            }
            Self::Undo(operation) => undo(store, context, at, *operation),
        }
    }
}

/// Promotes: what the other collection has with other bytes it keeps, since a token may be for its uploads alone.
fn promote(
    store: &Store,
    context: &Context<'_>,
    at: &CollectionName,
    spec: &Spec,
    to: &CollectionName,
) -> Result<Done> {
    if store.manifest.find_collection(to)?.is_none() {
        return Err(Error::NoSuch(format!("collection {to}")));
    }
    let from = RevisionSpec { collection: at.clone(), revision: None };
    let specs = vec![spec.clone()];
    let options = PromoteOptions { from, to: to.clone(), specs, replace: false, is_dry_run: false };
    let report = ops::promote::promote(store, context, &options)?;
    let refused = report.refused.into_iter().map(|refused| (refused.filename, refused.reason)).collect();
    let changes = report.added.into_iter().map(|filename| (filename, "promoted")).collect();
    Ok(Done { changes, refused, unchanged: report.unchanged })
}

fn undo(store: &Store, context: &Context<'_>, at: &CollectionName, operation: i64) -> Result<Done> {
    // The words of an operation may name other collections.
    let told = |error| match error {
        Error::Refused(_) => Error::Refused("it was undone already, or gc has taken all of it since".to_owned()),
        error => error,
    };
    let report = ops::invalidate::undo(store, context, Some(operation)).map_err(told)?;
    let name = |collection: &CollectionName, filename: String| {
        if collection == at { filename } else { format!("{collection}: {filename}") }
    };
    let back = report.restored.into_iter().map(|entry| (name(&entry.collection, entry.filename), "brought back"));
    let gone = report.removed.into_iter().map(|entry| (name(&entry.collection, entry.filename), "removed"));
    let refused = report.refused.into_iter().map(|(entry, why)| (name(&entry.collection, entry.filename), why));
    Ok(Done { refused: refused.collect(), ..Done::of(back.chain(gone)) })
}

impl Done {
    fn of(changes: impl Iterator<Item = (String, &'static str)>) -> Self {
        Self { changes: changes.collect(), ..Self::default() }
    }
}

/// Tells whether a token is for a collection.
pub(super) fn is_for(token: &TokenRow, name: &CollectionName) -> bool {
    token.collection.as_ref().is_none_or(|only| only == name)
}

/// Tells whether files may be promoted into a collection by a token.
pub(super) fn takes(token: &TokenRow, name: &CollectionName) -> bool {
    is_for(token, name) || token.into.iter().any(|place| place.name == *name)
}

fn filter(at: &CollectionName, spec: &Spec) -> Filter {
    let here = RevisionSpec { collection: at.clone(), revision: None };
    Filter { collections: vec![here], specs: vec![spec.clone()], ..Filter::default() }
}

fn reason(fields: &Fields) -> std::result::Result<String, String> {
    let text = fields.get("reason").trim();
    if text.chars().count() > MAX_REASON {
        return Err(format!("the reason has more than {MAX_REASON} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("the reason is to be one line".to_owned());
    }
    Ok(text.to_owned())
}

fn days(fields: &Fields) -> std::result::Result<Option<i64>, String> {
    match fields.get("days") {
        "" => Ok(None),
        text => match text.parse() {
            Ok(days @ 1..=MAX_DAYS) => Ok(Some(days)),
            _ => Err(format!("a pin lasts from 1 to {MAX_DAYS} days, or until it is taken off")),
        },
    }
}
