//! `prefetch`: a node of a shared store fetches what it is going to be asked for.

use crate::catalog::search::Filter;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::keep::elsewhere::fetch_all;
use crate::manifest::{BlobRow, State};
use crate::ops::list::each_listed;
use crate::store::Store;
use serde::Serialize;
use std::collections::BTreeSet;

/// What `prefetch` did.
#[derive(Debug, Default, Serialize)]
pub struct PrefetchReport {
    /// How many files match.
    pub files: usize,
    /// How many of them were fetched; the others were here.
    pub fetched: usize,
    /// The bytes that were fetched.
    pub bytes: u64,
    /// What couldn't be fetched, and why.
    pub problems: Vec<String>,
}

/// Fetches what a filter lists and this folder hasn't got.
pub fn prefetch(store: &Store, context: &Context<'_>, filter: &Filter) -> Result<PrefetchReport> {
    if store.share().is_none() {
        return Err(Error::Refused(format!("{} is no node of a shared store: all is here", store.root().display())));
    }
    let mut wanted = BTreeSet::new();
    each_listed(store, filter, &mut |listed| {
        wanted.insert(listed.blake3);
        Ok(())
    })?;
    let mut report = PrefetchReport { files: wanted.len(), ..PrefetchReport::default() };
    let rows = wanted.iter().map(|blake3| Ok(store.manifest.find_blob(blake3)?)).collect::<Result<Vec<_>>>()?;
    let rows: Vec<BlobRow> = rows.into_iter().flatten().filter(|row| row.state == State::Elsewhere).collect();
    for (row, fetched) in rows.iter().zip(fetch_all(store, context, &rows)?) {
        match fetched {
            Ok(true) => {
                report.fetched += 1;
                report.bytes += row.size;
            }
            Ok(false) => report.problems.push(format!("{}: the share hasn't got it", row.blake3)),
            Err(why) => report.problems.push(format!("{}: {why}", row.blake3)),
        }
    }
    Ok(report)
}
