//! `block`: versions and files that must not come back, whichever way they would.
//!
//! Nothing is removed: what is blocked is neither taken nor offered, and says why. `unblock` lets it be as it was.

use super::status::revise;
use crate::catalog::at::collection_row;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::manifest::{BlockRow, CollectionRow, Transaction};
use crate::name::CollectionName;
use crate::requirement::Spec;
use crate::store::Store;
use std::collections::BTreeMap;

/// Tells what is blocked.
pub fn blocks(store: &Store) -> Result<Vec<BlockRow>> {
    Ok(store.manifest.read()?.blocks()?)
}

/// Blocks versions or files, in one collection or in all.
pub fn block(
    store: &Store,
    context: &Context<'_>,
    specs: &[Spec],
    collection: Option<&CollectionName>,
    reason: &str,
) -> Result<Vec<BlockRow>> {
    change(store, context, collection, |transaction, row| {
        let id = row.map(|row| row.id);
        for spec in specs {
            transaction.put_block(id, &spec.to_string(), reason, context.now)?;
        }
        Ok(format!("block {}: {reason}", texts(specs)))
    })?;
    let named: Vec<String> = specs.iter().map(ToString::to_string).collect();
    let is_meant = |row: &BlockRow| row.collection.as_ref() == collection && named.contains(&row.spec);
    Ok(blocks(store)?.into_iter().filter(is_meant).collect())
}

/// Lets versions or files be as they were; what isn't blocked there is an error.
pub fn unblock(
    store: &Store,
    context: &Context<'_>,
    specs: &[Spec],
    collection: Option<&CollectionName>,
) -> Result<()> {
    change(store, context, collection, |transaction, row| {
        for spec in specs {
            if !transaction.delete_block(row.map(|row| row.id), &spec.to_string())? {
                let place = collection.map_or("everywhere".to_owned(), |name| format!("in {name}"));
                return Err(Error::NoMatch(format!("{spec} among what is blocked {place}; see `wcas block list`")));
            }
        }
        Ok(format!("unblock {}", texts(specs)))
    })
}

fn texts(specs: &[Spec]) -> String {
    specs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Makes what is blocked in a collection, or in all, be what a document says.
pub(crate) fn replace(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    row: Option<&CollectionRow>,
    wanted: &BTreeMap<String, String>,
) -> Result<()> {
    let id = row.map(|row| row.id);
    for known in transaction.blocks()? {
        if known.collection.as_ref() == row.map(|row| &row.name) && !wanted.contains_key(&known.spec) {
            transaction.delete_block(id, &known.spec)?;
        }
    }
    for (spec, reason) in wanted {
        transaction.put_block(id, spec, reason, context.now)?;
    }
    tell(transaction, context, row, "what is blocked, by config")
}

/// Checks a document's blocks, and brings them into the form that is stored.
pub(crate) fn checked(blocks: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let check = |(spec, reason): (String, String)| match spec.parse::<Spec>() {
        Ok(parsed) => Ok((parsed.to_string(), reason)),
        Err(error) => Err(Error::Refused(error.to_string())),
    };
    blocks.into_iter().map(check).collect()
}

/// Changes what is blocked.
fn change(
    store: &Store,
    context: &Context<'_>,
    collection: Option<&CollectionName>,
    apply: impl FnOnce(&Transaction<'_>, Option<&CollectionRow>) -> Result<String>,
) -> Result<()> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = collection.map(|name| collection_row(&transaction, name)).transpose()?;
    let what = apply(&transaction, row.as_ref())?;
    tell(&transaction, context, row.as_ref(), &what)?;
    transaction.commit()?;
    Ok(())
}

/// Makes a revision of each collection that a change is about: whoever mirrors or caches goes by that.
fn tell(transaction: &Transaction<'_>, context: &Context<'_>, row: Option<&CollectionRow>, what: &str) -> Result<()> {
    let all = if row.is_none() { transaction.collections()? } else { Vec::new() };
    for row in row.into_iter().chain(&all) {
        revise(transaction, context, &collection_row(transaction, &row.name)?, "block", what)?;
    }
    Ok(())
}
