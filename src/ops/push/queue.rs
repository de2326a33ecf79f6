//! What waits for which remote: what imports put there (`crate::intake::write_back`), and what somebody asks for.

use super::{MAX_REFUSALS, PushOptions, Selection, Withheld};
use crate::catalog::at::{collection_row, remote_row};
use crate::catalog::search::{is_meant, of_projects};
use crate::error::{Error, Result};
use crate::manifest::{Entry, RemoteRow, Rows, Scope, Transaction, WaitingCount};
use crate::name::RemoteName;
use serde::Serialize;

/// What waits for a remote, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WriteBackReport {
    /// How many files wait, those that are given up as well.
    pub waiting: u64,
    /// How many of them the remote refused too often.
    pub given_up: u64,
    /// When one was last tried, in vain.
    pub failed_at: Option<i64>,
    /// Why that failed.
    pub failure: Option<String>,
}

impl From<WaitingCount> for WriteBackReport {
    fn from(count: WaitingCount) -> Self {
        let WaitingCount { remote: _, waiting, given_up, failed_at, failure } = count;
        Self { waiting, given_up, failed_at, failure }
    }
}

/// Returns the remotes that something waits for, by name.
pub fn waiting(rows: &Rows) -> Result<Vec<(RemoteName, WriteBackReport)>> {
    let mut counts = rows.waiting_counts(MAX_REFUSALS)?;
    if counts.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for remote in rows.remotes()? {
        if let Some(place) = counts.iter().position(|count| count.remote == remote.id) {
            found.push((remote.name, counts.swap_remove(place).into()));
        }
    }
    Ok(found)
}

/// Returns the remotes that are meant; an error where one gets nothing, whoever asks.
pub(super) fn receivers(rows: &Rows, options: &PushOptions) -> Result<Vec<RemoteRow>> {
    if options.remotes.is_empty() {
        let mut remotes = rows.remotes()?;
        let from = options.selection.as_ref().and_then(|selection| selection.collection.as_ref());
        remotes.retain(|remote| remote.settings.writes_back && from.is_none_or(|name| *name == remote.collection_name));
        return match from {
            Some(name) if remotes.is_empty() => {
                Err(Error::Refused(format!("no remote of {name} is written back to: name the remote that gets it")))
            }
            _ => Ok(remotes),
        };
    }
    let mut remotes = Vec::with_capacity(options.remotes.len());
    for name in &options.remotes {
        let row = remote_row(rows, name)?;
        if !row.settings.is_ours {
            let why =
                format!("{name} is a stranger's, and gets nothing: `wcas remote set {name} --ours`, if it is yours");
            return Err(Error::Refused(why));
        }
        if !remotes.iter().any(|known: &RemoteRow| known.id == row.id) {
            remotes.push(row);
        }
    }
    Ok(remotes)
}

/// Lets what is selected wait for a remote, and returns what is not sent although it was named.
pub(super) fn select(
    transaction: &Transaction<'_>,
    remote: &RemoteRow,
    selection: &Selection,
    now: i64,
) -> Result<Vec<Withheld>> {
    let name = selection.collection.as_ref().unwrap_or(&remote.collection_name);
    let collection = collection_row(transaction, name)?;
    let entries = of_projects(transaction, collection.id, Scope::Live, &selection.specs)?;
    if let Some(spec) = selection.specs.iter().find(|spec| !entries.iter().any(|entry| is_meant(spec, entry))) {
        return Err(Error::NoMatch(format!("{spec} in {name}")));
    }
    let mut withheld = Vec::new();
    for entry in entries {
        let is_named = selection.specs.iter().any(|spec| is_meant(spec, &entry));
        if !selection.specs.is_empty() && !is_named {
            continue;
        }
        match objection(transaction, remote, &entry)? {
            None => transaction.insert_waiting(remote.id, collection.id, &entry.filename, entry.blob, now)?,
            Some(reason) if is_named => {
                withheld.push(Withheld { filename: entry.filename, remote: remote.name.clone(), reason });
            }
            Some(_) => {}
        }
    }
    Ok(withheld)
}

/// Tells why an entry is not for a remote, if so.
fn objection(rows: &Rows, remote: &RemoteRow, entry: &Entry) -> Result<Option<String>> {
    if let Some(origin) = &entry.origin {
        return Ok(Some(format!("it came from the remote {}", origin.remote)));
    }
    if entry.is_prebuilt {
        return Ok(Some("it was fetched as it is, and not built here".to_owned()));
    }
    if rows.came_from_remote(entry.blob)? {
        return Ok(Some("its bytes came from a remote".to_owned()));
    }
    Ok(unwanted(remote, entry))
}

/// Tells why an entry that was made here is not for a remote, or is no more.
pub(super) fn unwanted(remote: &RemoteRow, entry: &Entry) -> Option<String> {
    if entry.yanked.is_some() {
        return Some("it is yanked".to_owned());
    }
    (!remote.includes(&entry.project)).then(|| format!("the patterns of {} leave its project out", remote.name))
}
