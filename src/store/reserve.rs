//! Room that is set aside, so that gc finds some on a full disk: bytes for the manifest's log, and names where names can run out.

use super::{Result, Store, format};
use crate::fs::{self, Lock};
use std::path::{Path, PathBuf};

/// How many bytes `reserve` sets aside.
const BYTES: u64 = 8 << 20;
/// The manifest's log, the log's index, and the locks of gc and reap may all have to be made.
const NAMES: usize = 4;
/// With less room than this, gc starts by giving back the reserve.
const LITTLE_ROOM_BYTES: u64 = 16 << 20;

impl Store {
    /// Opens an existing store for a command that frees room. With little left the reserve is given back first: the manifest can't
    /// be opened without any.
    pub fn open_to_free_room(root: &Path) -> Result<Self> {
        let identity = format::identify(root)?;
        if identity.read_only.is_none() && has_little_room(&identity.root)? {
            give_back(&identity.root)?;
        }
        Self::open(root)
    }

    /// Gives the reserve back where there is little room. Returns whether there was any.
    pub fn give_reserve(&self) -> Result<bool> {
        if has_little_room(&self.root)? { give_back(&self.root) } else { Ok(false) }
    }

    /// Sets room aside again. Returns whether there is enough.
    pub fn take_reserve(&self) -> bool {
        self.has_reserve() || set_aside(&self.root).is_ok()
    }

    /// Tells whether room is set aside.
    pub fn has_reserve(&self) -> bool {
        is_whole(&bytes(&self.root))
            && names(&self.root).all(|name| fs::entry(&name).is_ok_and(|found| found.is_some()))
    }
}

fn bytes(root: &Path) -> PathBuf {
    root.join("reserve")
}

fn names(root: &Path) -> impl Iterator<Item = PathBuf> {
    let dir = root.join("locks");
    (1..=NAMES).map(move |number| dir.join(format!("spare-{number}")))
}

/// Tells whether the reserve is there in full: a kill between its making and its growth leaves an empty file.
fn is_whole(reserve: &Path) -> bool {
    fs::entry(reserve).is_ok_and(|entry| entry.is_some_and(|metadata| metadata.len() == BYTES))
}

fn has_little_room(root: &Path) -> Result<bool> {
    Ok(fs::free_bytes(root)? < LITTLE_ROOM_BYTES || fs::free_names(root)?.is_some_and(|free| free < 16))
}

pub(super) fn give_back(root: &Path) -> Result<bool> {
    let mut gave = fs::remove_file(&bytes(root))?;
    for name in names(root) {
        gave |= fs::remove_file(&name)?;
    }
    Ok(gave)
}

/// Sets room aside; what an interrupted attempt left is made anew.
pub(super) fn set_aside(root: &Path) -> Result<()> {
    let reserve = bytes(root);
    if !is_whole(&reserve) {
        fs::remove_file(&reserve)?;
        fs::reserve(&reserve, BYTES)?;
    }
    for name in names(root) {
        drop(Lock::exclusive(&name)?);
    }
    Ok(())
}
