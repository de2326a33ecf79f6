//! `upgrade`: lets the records of a shared store be written in this program's schema.

use crate::error::Result;
use crate::manifest;
use crate::store::Store;
use serde::Serialize;
use std::path::PathBuf;

/// What was done.
#[derive(Debug, Serialize)]
pub struct UpgradeReport {
    /// The store's folder.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub store: PathBuf,
    /// The share that it is a node of.
    pub share: Option<String>,
    /// The schema of what was written before: the share's records, or the manifest of a store of one machine, which is brought up to date
    /// whenever it is opened.
    pub from: i64,
    /// The schema of what is written from now on.
    pub to: i64,
}

/// Lets all nodes write in the schema of this program, which all of them must have.
pub fn upgrade(store: &Store) -> Result<UpgradeReport> {
    store.require_writable()?;
    store.require_up_to_date()?;
    let to = manifest::version();
    let share = store.share().map(|share| share.url().to_owned());
    let mut report = UpgradeReport { store: store.root().to_owned(), share, from: to, to };
    if report.share.is_some() {
        let transaction = store.manifest.write()?;
        report.from = transaction.log_schema()?;
        if report.from < to {
            transaction.set_log_schema()?;
            transaction.commit()?;
        }
    }
    Ok(report)
}
