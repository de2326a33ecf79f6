//! The locks that commands take of a store, beside those of opening it.

use super::{Error, Result, Store};
use crate::digest::{Blake3, Sha256};
use crate::fs::{self, Beside, Lock};
use crate::name::RemoteName;
use std::path::{Path, PathBuf};

impl Store {
    /// Takes the lock that only one gc run has; an error tells who has it.
    pub fn gc_lock(&self) -> Result<Lock> {
        self.require_changeable()?;
        let busy = || Error::Busy { what: "gc", holder: "another run of gc".to_owned() };
        Lock::try_exclusive(&self.root.join("locks/gc"))?.ok_or_else(busy)
    }

    /// Takes the locks of a tree on disk, whose folder must be there, so that two commands don't make it at once: this store's own, and
    /// the folder itself, which those of other stores take as well.
    pub fn view_lock(&self, path: &Path) -> Result<TreeLock> {
        self.require_changeable()?;
        let own = Lock::exclusive(&self.view_lock_path(path))?;
        let folder = if fs::entry(path)?.is_some() { Lock::folder(path)? } else { None };
        Ok(TreeLock { _locks: [Some(own), folder] })
    }

    /// Keeps commands from making or removing a tree while it is looked at, which needs no right to write. `None`: one is at it.
    pub fn still_view(&self, path: &Path) -> Option<TreeLock> {
        let share = |path: &Path| match Lock::try_beside(path) {
            Beside::Held => None,
            Beside::Shared(lock) => Some(Some(lock)),
            Beside::Absent | Beside::Unknown => Some(None),
        };
        Some(TreeLock { _locks: [share(&self.view_lock_path(path))?, share(path)?] })
    }

    fn view_lock_path(&self, path: &Path) -> PathBuf {
        let name = Sha256::of(path.as_os_str().as_encoded_bytes()).to_string();
        self.root.join("locks").join(format!("view-{}", &name[..16]))
    }

    /// Returns what takes locks without a manifest, so that many threads can.
    pub fn locks(&self) -> Locks {
        Locks { dir: self.root.join("locks") }
    }
}

/// The locks of a tree on disk.
#[derive(Debug)]
#[must_use = "locks are held only as long as their value lives"]
pub struct TreeLock {
    _locks: [Option<Lock>; 2],
}

/// Takes locks that many threads of a process, and other processes, want.
#[derive(Debug, Clone)]
pub struct Locks {
    dir: PathBuf,
}

impl Locks {
    /// Takes the lock of a file that is being pulled, known by its digest or URL. Tells whether somebody else had it first.
    pub fn pull(&self, key: &str) -> fs::Result<(Lock, bool)> {
        let name = Sha256::of(key.as_bytes()).to_string();
        let path = self.dir.join(format!("pull-{}", &name[..16]));
        match Lock::try_exclusive(&path)? {
            Some(lock) => Ok((lock, false)),
            None => Ok((Lock::exclusive_at_last(&path)?, true)),
        }
    }

    /// Takes the lock of what is sent to a remote, so that nothing is sent by two at once; `None`: somebody is sending.
    pub fn push(&self, remote: &RemoteName) -> fs::Result<Option<Lock>> {
        Lock::try_exclusive(&self.dir.join(format!("push-{remote}")))
    }

    /// Takes the lock of a run of the same inputs; `wait` is told that somebody else has it, before this waits for them.
    pub fn run(&self, key: &Blake3, wait: impl FnOnce()) -> fs::Result<Lock> {
        let path = self.dir.join(format!("run-{}", &key.to_string()[..16]));
        if let Some(lock) = Lock::try_exclusive(&path)? {
            return Ok(lock);
        }
        wait();
        Lock::exclusive_at_last(&path)
    }
}
