//! `prefetch`: a node of a shared store fetches what it is going to be asked for.

use crate::catalog::search::Filter;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::keep::elsewhere::fetch_all;
use crate::manifest::{BlobRow, State};
use crate::ops::list::each_listed;
use crate::ops::pull::Want;
use crate::store::Store;
use crate::words::reason;
use serde::Serialize;
use std::collections::BTreeSet;

/// What `prefetch` did.
#[derive(Debug, Default, Serialize)]
pub struct PrefetchReport {
    /// How many files match.
    pub files: usize,
    /// How many of them were fetched; the others were here.
    pub fetched: usize,
    /// How many are here now.
    #[serde(skip)]
    pub here: usize,
    /// The bytes that were fetched.
    pub bytes: u64,
    /// What couldn't be fetched, and why.
    pub problems: Vec<String>,
}

/// Fetches what a filter lists, or these files' requirements want of it, and this folder hasn't got.
pub fn prefetch(store: &Store, context: &Context<'_>, filter: &Filter, wants: &[Want]) -> Result<PrefetchReport> {
    if store.share().is_none() {
        return Err(Error::Refused(format!("{} is no node of a shared store: all is here", store.root().display())));
    }
    let mut wanted = BTreeSet::new();
    let mut problems = Vec::new();
    if wants.is_empty() || !filter.specs.is_empty() {
        each_listed(store, filter, &mut |listed| {
            wanted.insert(listed.blake3);
            Ok(())
        })?;
    }
    for Want { wish, place } in wants {
        let specs = vec![wish.spec.clone()];
        let (collections, tags) = (filter.collections.clone(), wish.tags.clone());
        let of_wish = Filter { collections, specs, tags, patterns: Vec::new() };
        let mut is_there = false;
        each_listed(store, &of_wish, &mut |listed| {
            if wish.sha256.is_empty() || wish.sha256.contains(&listed.sha256) {
                is_there = true;
                wanted.insert(listed.blake3);
            }
            Ok(())
        })?;
        if !is_there {
            problems.push(format!("no match for {} ({place})", wish.spec));
        }
    }
    let mut report = PrefetchReport { files: wanted.len(), problems, ..PrefetchReport::default() };
    let rows = wanted.iter().map(|blake3| Ok(store.manifest.find_blob(blake3)?)).collect::<Result<Vec<_>>>()?;
    let rows: Vec<BlobRow> = rows.into_iter().flatten().filter(|row| row.state == State::Elsewhere).collect();
    report.here = report.files - rows.len();
    for (row, fetched) in rows.iter().zip(fetch_all(store, context, &rows)?) {
        match fetched {
            Ok(true) => {
                report.fetched += 1;
                report.here += 1;
                report.bytes += row.size;
            }
            Ok(false) => report.problems.push(format!("{}: the share hasn't got it", row.blake3)),
            Err(error) => report.problems.push(format!("{}: {}", row.blake3, reason(&error))),
        }
    }
    Ok(report)
}
