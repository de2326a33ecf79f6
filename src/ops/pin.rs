//! `pin`, `unpin`: references by hand.

use super::list::blobs;
use crate::catalog::search::Filter;
use crate::context::Context;
use crate::digest::Blake3;
use crate::error::{Error, Result};
use crate::store::Store;
use serde::Serialize;

/// A pin as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct Pinned {
    /// The blob.
    pub blake3: Blake3,
    /// The filenames under which it is known.
    pub filenames: Vec<String>,
    /// Who needs it.
    pub owner: String,
    /// What for.
    pub reason: String,
    /// Until when, in seconds since 1970.
    pub expires_at: Option<i64>,
}

/// What `pin` and `unpin` did.
#[derive(Debug, Serialize)]
pub struct PinReport {
    /// The blobs.
    pub blobs: Vec<Blake3>,
    /// Their filenames.
    pub filenames: Vec<String>,
}

/// Pins blobs: gc keeps them and their entries, whatever the rules say.
pub fn pin(
    store: &Store,
    context: &Context<'_>,
    filter: &Filter,
    owner: &str,
    reason: &str,
    expires_at: Option<i64>,
) -> Result<PinReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let found = blobs(store, filter)?;
    let mut filenames = Vec::new();
    for blob in &found {
        transaction.insert_pin(blob.id, owner, reason, context.now, expires_at)?;
        filenames.extend(transaction.filenames(blob.id)?);
    }
    transaction.commit()?;
    Ok(PinReport { blobs: found.into_iter().map(|blob| blob.blake3).collect(), filenames })
}

/// Takes an owner's pins off blobs; without an owner, all.
pub fn unpin(store: &Store, filter: &Filter, owner: Option<&str>) -> Result<PinReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let mut report = PinReport { blobs: Vec::new(), filenames: Vec::new() };
    for blob in blobs(store, filter)? {
        if transaction.delete_pins(blob.id, owner)? > 0 {
            report.filenames.extend(transaction.filenames(blob.id)?);
            report.blobs.push(blob.blake3);
        }
    }
    if report.blobs.is_empty() {
        let specs: Vec<String> = filter.specs.iter().map(ToString::to_string).collect();
        return Err(Error::NoSuch(format!("pin of {}", specs.join(", "))));
    }
    transaction.commit()?;
    Ok(report)
}

/// Lists all pins.
pub fn pins(store: &Store) -> Result<Vec<Pinned>> {
    let rows = store.manifest.pins(None)?;
    let pinned = rows.into_iter().map(|pin| {
        let filenames = store.manifest.filenames(pin.blob)?;
        Ok(Pinned { blake3: pin.blake3, filenames, owner: pin.owner, reason: pin.reason, expires_at: pin.expires_at })
    });
    pinned.collect()
}
