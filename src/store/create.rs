//! A new store in an empty folder, and what was begun of one taken away again.

use super::shared::begin_from_snapshot;
use super::{Error, FOLDERS, MAX_PATH_BYTES, Membership, Result, Store, format, reserve};
use crate::fs::{self, Lock};
use crate::manifest::{Access, Manifest};
use crate::share::Snapshot;
use std::path::Path;

impl Store {
    /// Makes a store in an empty or absent folder, as a node of a share where one is said. One that was begun and not finished is
    /// finished.
    pub fn create(root: &Path, share: Option<Membership>) -> Result<()> {
        Self::create_with(root, share, None)
    }

    /// Makes a store in an empty or absent folder, as it was in a state of its backup; it is called as the one was that was backed up.
    pub fn create_of_state(root: &Path, backup: Membership, state: &Snapshot) -> Result<()> {
        Self::create_with(root, Some(backup), Some(state))
    }

    fn create_with(root: &Path, share: Option<Membership>, state: Option<&Snapshot>) -> Result<()> {
        let ours = ["blobs", "filenames", "locks", "staging", "quarantine", "metadata", "named", "reserve"];
        let is_ours = |name: &std::ffi::OsString| {
            let name = name.to_string_lossy();
            ours.contains(&name.as_ref()) || name.starts_with("manifest.sqlite") || name.starts_with("wcas.")
        };
        if !fs::names(root)?.iter().all(is_ours) {
            return Err(Error::Foreign(root.to_owned()));
        }
        refuse_long(root)?;
        let was_there = fs::entry(root)?.is_some();
        let was_empty = fs::names(root)?.is_empty();
        let done = Self::make(root, share, state);
        if done.is_err() && was_empty {
            unmake(root);
            if !was_there {
                let _ = fs::remove_empty_dir(root);
            }
        }
        done
    }

    fn make(root: &Path, share: Option<Membership>, state: Option<&Snapshot>) -> Result<()> {
        fs::create_dir_all(root)?;
        let root = &std::fs::canonicalize(root).map_err(fs::Error::at("resolve", root))?;
        format::refuse_network(root)?;
        fs::remember_owner(root)?;
        fs::create_dir(&root.join("locks"))?;
        fs::close_to_readers(&root.join("locks"))?;
        let lock = Lock::exclusive(&root.join("locks/create"))?;
        if fs::entry(&root.join("wcas.json"))?.is_some() {
            return Ok(());
        }
        for dir in FOLDERS {
            fs::create_dir(&root.join(dir))?;
        }
        // A store without the reserve works; doctor tells.
        let _ = reserve::set_aside(root);
        if share.is_none() {
            format::refuse_lost_node(root)?;
        }
        let manifest = root.join("manifest.sqlite");
        if let Some(share) = share.as_ref().filter(|_| !manifest.exists()) {
            begin_from_snapshot(&manifest, share, state)?;
        }
        drop(Manifest::open(&manifest, Access::Create, fs::lock_wait())?);
        fs::give(&manifest)?;
        fs::sync_dir(&root.join("blobs"))?;
        fs::sync_dir(root)?;
        let id = state.and(share.as_ref()).map_or_else(fs::unique_name, |backup| backup.share.clone());
        format::write(root, id, share)?;
        lock.remove()?;
        Ok(())
    }
}

/// Takes away what was begun of a store in a folder that was empty, as far as that is possible: nothing is in it yet. Another process
/// that waits to make it begins anew, or tells that the folder is gone.
fn unmake(root: &Path) {
    if !matches!(fs::entry(&root.join("wcas.json")), Ok(None)) {
        return;
    }
    let _ = reserve::give_back(root);
    for end in ["", "-wal", "-shm", "-journal", "-new-packed", "-new"] {
        let _ = fs::remove_file(&root.join(format!("manifest.sqlite{end}")));
    }
    let _ = fs::remove_file(&root.join("wcas.tmp"));
    let _ = fs::remove_file(&root.join("locks/create"));
    for dir in FOLDERS.iter().rev().chain(&["locks"]) {
        let _ = fs::remove_empty_dir(&root.join(dir));
    }
}

/// Refuses a path that is too long for the manifest's own files.
fn refuse_long(root: &Path) -> Result<()> {
    let path = fs::absolute(root)?;
    let above = path.ancestors().find_map(|above| Some((above, std::fs::canonicalize(above).ok()?)));
    let bytes = above.map_or(path.as_os_str().len(), |(above, real)| {
        real.as_os_str().len() + path.as_os_str().len() - above.as_os_str().len()
    });
    if bytes > MAX_PATH_BYTES { Err(Error::TooLong { path, bytes }) } else { Ok(()) }
}
