//! `reserve`: names that are a collection's before it has a file of them.

use crate::catalog::at::collection_row;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::manifest::{CollectionId, Reservation, Transaction};
use crate::name::CollectionName;
use crate::requirement::ProjectPattern;
use crate::store::Store;
use std::collections::BTreeMap;

/// Tells what is reserved, by one collection or by all.
pub fn reservations(store: &Store, collection: Option<&CollectionName>) -> Result<Vec<Reservation>> {
    let rows = store.manifest.read()?;
    let id = collection.map(|name| collection_row(&rows, name)).transpose()?.map(|row| row.id);
    Ok(rows.reservations(id)?)
}

/// Reserves names for a collection.
pub fn reserve(
    store: &Store,
    context: &Context<'_>,
    collection: &CollectionName,
    patterns: &[ProjectPattern],
    reason: Option<&str>,
) -> Result<Vec<Reservation>> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let id = collection_row(&transaction, collection)?.id;
    for pattern in patterns {
        transaction.put_reservation(id, pattern, reason, context.now)?;
    }
    let mut rows = transaction.reservations(Some(id))?;
    rows.retain(|row| patterns.contains(&row.pattern));
    transaction.commit()?;
    Ok(rows)
}

/// Lets reserved names go; one that isn't reserved is an error.
pub fn unreserve(store: &Store, collection: &CollectionName, patterns: &[ProjectPattern]) -> Result<()> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let id = collection_row(&transaction, collection)?.id;
    for pattern in patterns {
        if !transaction.delete_reservation(id, pattern)? {
            return Err(Error::NoMatch(format!("{pattern} among what {collection} reserves; see `wcas reserve`")));
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Makes what a collection reserves be what a document says.
pub(crate) fn replace(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    collection: CollectionId,
    wanted: &BTreeMap<ProjectPattern, String>,
) -> Result<()> {
    for known in transaction.reservations(Some(collection))? {
        if !wanted.contains_key(&known.pattern) {
            transaction.delete_reservation(collection, &known.pattern)?;
        }
    }
    for (pattern, reason) in wanted {
        let reason = Some(reason.as_str()).filter(|reason| !reason.is_empty());
        transaction.put_reservation(collection, pattern, reason, context.now)?;
    }
    Ok(())
}
