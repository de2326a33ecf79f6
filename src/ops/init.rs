//! `init`: makes a store, alone or as a node of a shared one.

use crate::error::{Error, Result};
use crate::share::{Location, Share};
use crate::store::{Membership, Store};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What was made.
#[derive(Debug, Serialize)]
pub struct InitReport {
    /// The store's folder.
    pub store: PathBuf,
    /// The share that it is a node of.
    pub share: Option<String>,
    /// Where the log is, if it isn't in the bucket.
    pub log: Option<String>,
    /// The node's number.
    pub node: Option<i64>,
    /// How many records of the share's log the node has.
    pub records: i64,
}

/// Makes sure that no store is at `root`, and that the share at a place is there: it is made where it isn't. Returns what a store has to say
/// of it that is made as a node.
pub fn prepare(root: &Path, location: Option<Location>) -> Result<Option<Membership>> {
    if crate::fs::entry(&root.join("wcas.json"))?.is_some() {
        return Err(Error::Refused(format!("there is a store at {} already", root.display())));
    }
    let membership = |location| -> Result<Membership> {
        let location = Share::find_log(location)?;
        let share = Share::at(&location)?.make()?;
        Ok(Membership { location, share })
    };
    location.map(membership).transpose()
}

/// Tells what a store is that was made just now.
pub fn report(store: &Store) -> Result<InitReport> {
    // Whoever makes a node wants to see it work.
    store.require_up_to_date()?;
    Ok(InitReport {
        store: store.root().to_owned(),
        share: store.share().map(|share| share.url().to_owned()),
        log: store.share().and_then(Share::log).map(str::to_owned),
        node: store.manifest.node()?,
        records: store.manifest.place()?.number,
    })
}
