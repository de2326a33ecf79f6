//! The share that a store is a node of.

use super::{Error, ExclusiveStore, Result, Store, format};
use crate::digest::Sha256;
use crate::fs;
use crate::manifest::{self, LogError, Manifest, SharedLog};
use crate::share::{self, Location, Share, Snapshot};
use crate::words::reason;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What a node's `wcas.json` says of its share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Membership {
    /// Where it is.
    #[serde(flatten)]
    pub location: Location,
    /// What tells it from all others.
    pub share: String,
}

/// How often something is done again when other nodes commit just before it does.
const TRIES: u32 = 20;

/// An error that may say that another node was faster.
pub trait MayConflict {
    /// Tells whether it does.
    fn is_conflict(&self) -> bool;
}

/// Waits before the next try: whoever waits as long as the others meets them again.
fn pause(tried: u32) {
    let most = 10_u64 << tried.min(7);
    let chance = u64::from_str_radix(&fs::unique_name()[..8], 16).unwrap_or(0);
    std::thread::sleep(Duration::from_millis(1 + chance % most));
}

/// Does something again where another node was faster, whose change it didn't know: nothing of it counts then.
pub fn despite_others<T, E: MayConflict>(
    mut act: impl FnMut() -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let mut tried = 1;
    loop {
        match act() {
            Err(error) if tried < TRIES && error.is_conflict() => {
                pause(tried);
                tried += 1;
            }
            done => return done,
        }
    }
}

/// The log of a share.
#[derive(Debug)]
struct ShareLog {
    share: Arc<Share>,
    id: String,
    /// Whether the bucket was found to be the right one, which is asked before anything of it is believed or changed.
    is_known: std::sync::atomic::AtomicBool,
}

impl ShareLog {
    fn require(&self) -> share::Result<()> {
        use std::sync::atomic::Ordering::Relaxed;
        if !self.is_known.load(Relaxed) {
            self.share.require(&self.id)?;
            self.is_known.store(true, Relaxed);
        }
        Ok(())
    }
}

impl SharedLog for ShareLog {
    fn read(&self, number: i64) -> std::result::Result<Option<Vec<u8>>, LogError> {
        let record = self.share.record(&self.id, number)?;
        // In a database it is asked for by that name.
        if record.is_some() && self.share.log().is_none() {
            self.require()?;
        }
        Ok(record)
    }

    fn newest(&self) -> std::result::Result<Option<i64>, LogError> {
        self.require()?;
        Ok(self.share.newest_record(&self.id)?)
    }

    fn kept_digest(&self, number: i64) -> std::result::Result<Option<Sha256>, LogError> {
        Ok(self.share.kept_digest(number)?)
    }

    fn append(&self, number: i64, record: &[u8]) -> std::result::Result<bool, LogError> {
        self.require()?;
        Ok(self.share.append(&self.id, number, record)?)
    }

    fn take_turn(&self, is_contended: bool) {
        // Not in the turn: others wait for its end. Where it fails, the append says so.
        let _ = self.require();
        // Without it the log still lets only one of two go on.
        let _ = self.share.take_turn(&self.id, is_contended);
    }

    fn has_lost(&self) -> bool {
        self.share.has_lost()
    }

    fn end_turn(&self) {
        self.share.end_turn();
    }
}

/// The share that a store is a node of.
#[derive(Debug)]
pub(super) struct Followed {
    share: Arc<Share>,
    /// What tells it from all others.
    id: String,
}

/// Returns what people call the node at a folder.
pub fn node_name(root: &Path) -> String {
    format!("{}:{}", fs::host_name(), root.display())
}

/// Gives a store that is being made as a node a snapshot of the share for a manifest, the newest if none is named and there is one: the
/// log's records before it needn't be read.
pub(super) fn begin_from_snapshot(manifest: &Path, membership: &Membership, state: Option<&Snapshot>) -> Result<()> {
    let share = Share::at(&membership.location)?;
    let new = PathBuf::from(format!("{}-new", manifest.display()));
    let is_made = match state {
        Some(state) if !share.unpack_snapshot(state, &new)? => return Err(share::Error::WrongBytes(state.key()).into()),
        Some(_) => true,
        None => share.unpack_newest_snapshot(&new)?.is_some(),
    };
    if !is_made {
        return Ok(());
    }
    drop(Manifest::open_foreign(&new)?);
    fs::sync_file(&new)?;
    Ok(fs::rename(&new, manifest)?)
}

impl ExclusiveStore {
    /// Makes the store a node of a share, or of none any more. Its manifest says so already.
    pub fn set_membership(&self, share: Option<Membership>) -> Result<()> {
        format::set_share(&self.root, share)
    }
}

impl Store {
    /// Opens a store that is being restored, for who does so: what changes here is told to nobody.
    pub fn open_to_restore(root: &Path) -> Result<Self> {
        let (mut store, backup) = Self::opened(root)?;
        if let Some(Membership { location, share: id }) = backup {
            store.share = Some(Followed { share: Arc::new(Share::at(&location)?), id });
        }
        Ok(store)
    }

    /// Lets the store follow its share, if it is a node of one.
    pub(super) fn follow(&mut self, membership: Option<Membership>) -> Result<()> {
        let Some(Membership { location, share: id }) = membership else { return Ok(()) };
        if self.manifest.has_left()? {
            return Ok(());
        }
        let share = Arc::new(Share::at(&location)?);
        let log = Arc::new(ShareLog { share: share.clone(), id: id.clone(), is_known: false.into() });
        self.share = Some(Followed { share, id });
        if !self.is_writable() {
            return Ok(());
        }
        let behind = match self.manifest.follow(log)? {
            Some(error @ manifest::Error::TooFarBehind(_)) => self.begin_anew(&error).err().map(|error| reason(&error)),
            behind => behind.map(|error| reason(&error)),
        };
        self.behind = behind;
        Ok(())
    }

    /// Reads what others have committed to the share's log, if the store is a node.
    pub fn catch_up(&self) -> Result<()> {
        match self.manifest.catch_up() {
            Err(error @ manifest::Error::TooFarBehind(_)) => self.begin_anew(&error),
            done => Ok(done?),
        }
    }

    /// Takes the share's newest snapshot in place of what is known here, and reads on from there.
    fn begin_anew(&self, why: &manifest::Error) -> Result<()> {
        let Some(share) = self.share() else { return Ok(()) };
        fs::tell_of_wait(&format!("{why}: it begins anew from a snapshot"));
        let scratch = self.scratch()?;
        let plain = scratch.dir().join("snapshot");
        if share.unpack_newest_snapshot(&plain)?.is_some() {
            self.manifest.begin_anew(&plain)?;
        }
        // Where there was no snapshot that helps, that is told once more.
        Ok(self.manifest.catch_up()?)
    }

    /// Tells whether the store has left its share and its `wcas.json` doesn't say so yet.
    pub fn is_leaving(&self) -> Result<bool> {
        Ok(self.share.is_none() && format::identify(&self.root)?.share.is_some())
    }

    /// Makes the store a node of its share, if it isn't one. Where the log can't be reached, that waits; nothing can be written meanwhile.
    pub fn join(&self) -> Result<()> {
        if self.share.is_some() && self.is_writable() && self.behind.is_none() {
            self.manifest.join(&node_name(&self.root), &fs::machine(), self.manifest.clock()?)?;
        }
        Ok(())
    }

    /// Returns what tells that share from all others.
    pub(crate) fn share_id(&self) -> Option<&str> {
        self.share.as_ref().map(|followed| followed.id.as_str())
    }

    /// Returns the share that the store is a node of.
    pub fn share(&self) -> Option<&Share> {
        self.share.as_ref().map(|followed| &*followed.share)
    }

    /// Returns what tells the store from all others: on all nodes of a share the same.
    pub fn common_id(&self) -> &str {
        self.share.as_ref().map_or(&self.id, |followed| &followed.id)
    }

    /// Returns an error that says why, if the share's log could not be followed when the store was opened.
    pub fn require_up_to_date(&self) -> Result<()> {
        match &self.behind {
            Some(why) => Err(Error::Behind(why.clone())),
            None => Ok(()),
        }
    }

    /// Returns why the share's log could not be followed when the store was opened, in words: what is known here is told, as old as it is.
    pub fn behind(&self) -> Option<&str> {
        self.behind.as_deref()
    }
}
