//! `restore`: a store of its backup, as it was at a time.
//!
//! Meanwhile it is a node of the backup that can't write: it can be read at once, and what isn't here yet is fetched when it is wanted.

use super::backup::StateReport;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fs;
use crate::keep::elsewhere::fetch_all;
use crate::manifest::{Access, Actor, BlobRow, Manifest, State};
use crate::share::{self, Location, Share, Snapshot};
use crate::store::{Membership, Store};
use crate::words::reason;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Which state of a backup is restored.
#[derive(Debug, Clone, Copy, Default)]
pub enum At {
    /// The newest.
    #[default]
    Newest,
    /// The newest that was put at this time, in seconds since 1970, or before.
    Time(i64),
    /// The newest without records of the store's log after this one.
    Number(i64),
}

/// What `restore` did.
#[derive(Debug, Serialize)]
pub struct RestoreReport {
    /// The store's folder.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub store: PathBuf,
    /// The state that it has; `None`: an interrupted run had begun with it.
    pub state: Option<StateReport>,
    /// How many files it has.
    pub blobs: usize,
    /// How many of them were fetched now.
    pub fetched: usize,
    /// The bytes that were fetched.
    pub bytes: u64,
    /// Files whose bytes the backup hasn't got: they are lost.
    pub problems: Vec<String>,
}

/// Makes a store of a backup, where none is, or ends what an interrupted run began.
pub fn restore(root: &Path, context: &Context<'_>, actor: &Actor, location: Location, at: At) -> Result<RestoreReport> {
    let share = Share::at(&location)?;
    let id = share.require_backup()?;
    let mut state = None;
    if fs::entry(&root.join("wcas.json"))?.is_none() {
        let chosen = choose(&share, at)?;
        state = Some(StateReport::from(&chosen));
        Store::create_of_state(root, Membership { location, share: id }, &chosen)?;
    }
    let store = Store::open_to_restore(root)?;
    if store.share().is_none_or(|found| found.url() != share.url()) {
        let why = "restore into a folder of its own: --store DIR";
        return Err(Error::Refused(format!("there is a store at {} already: {why}", root.display())));
    }
    store.manifest.sit_as_guest(&fs::machine())?;
    let mut report = RestoreReport {
        store: store.root().to_owned(),
        state,
        blobs: store.manifest.blobs()?.len(),
        fetched: 0,
        bytes: 0,
        problems: Vec::new(),
    };
    fetch(&store, context, &mut report)?;
    store.blobs.mend_filenames(&store.manifest.all_filenames()?)?;
    drop(store);
    let alone = Store::alone_as_it_is(root)?;
    let mut manifest = Manifest::open(&alone.manifest_path(), Access::Write, fs::lock_wait())?;
    manifest.set_actor(actor.clone());
    let transaction = manifest.write()?;
    transaction.end_restore()?;
    transaction.commit()?;
    alone.set_membership(None)?;
    Ok(report)
}

/// Returns the state that is wanted.
fn choose(share: &Share, at: At) -> Result<Snapshot> {
    let states = share.states()?;
    let oldest = states.first().map(Snapshot::at);
    let is_wanted = |state: &Snapshot| match at {
        At::Newest => true,
        At::Time(time) => state.at() <= time,
        At::Number(number) => state.number <= number,
    };
    states.into_iter().rfind(is_wanted).ok_or_else(|| {
        let oldest =
            oldest.map_or("it has none".to_owned(), |at| format!("its oldest is of {}", crate::index::rfc3339(at)));
        Error::Refused(format!("the backup at {} has no state of then: {oldest}", share.url()))
    })
}

/// Fetches all that isn't here.
fn fetch(store: &Store, context: &Context<'_>, report: &mut RestoreReport) -> Result<()> {
    let rows: Vec<BlobRow> = store.manifest.blobs()?.into_iter().filter(|row| row.state != State::Live).collect();
    for (row, fetched) in rows.iter().zip(fetch_all(store, context, &rows)?) {
        match fetched {
            Ok(true) => {
                report.fetched += 1;
                report.bytes += row.size;
            }
            Ok(false) => report.problems.push(format!("{}: the backup hasn't got it", row.blake3)),
            Err(error @ Error::Share(share::Error::WrongBytes(_))) => {
                report.problems.push(format!("{}: {}", row.blake3, reason(&error)));
            }
            // What can't be reached now may be had later, and a full disk be emptied.
            Err(error) => return Err(Error::Unfetched { blake3: row.blake3, why: reason(&error) }),
        }
    }
    Ok(())
}
