//! Kernel locks as values: held until dropped, and gone with the process that held them.

use super::{Error, Result, entry};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Lock files can be opened by who may write to their folder, which is closed to all others.
const MODE: u32 = 0o660;

/// A lock on a file. The file's existence means nothing: only the kernel's lock does.
#[derive(Debug)]
#[must_use = "a lock is held only as long as its value lives"]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock for this process alone, waiting for it.
    pub fn exclusive(path: &Path) -> Result<Self> {
        loop {
            let lock = Self::opened(path)?;
            lock.file.lock().map_err(Error::at("lock", path))?;
            if lock.is_named()? {
                return Ok(lock);
            }
        }
    }

    /// Takes the lock for this process alone; `None` when another process holds it.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        loop {
            let lock = Self::opened(path)?;
            match lock.file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(Error::at("lock", path)(error)),
                Ok(()) if lock.is_named()? => return Ok(Some(lock)),
                Ok(()) => {}
            }
        }
    }

    /// Takes the lock together with others who share it; `None` when a process holds it alone.
    pub fn try_shared(path: &Path) -> Result<Option<Self>> {
        let lock = Self::opened(path)?;
        match lock.file.try_lock_shared() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::at("lock", path)(error)),
        }
    }

    /// Removes the lock's file while the lock is held, so that nobody else can hold a lock on a file without a name.
    pub fn remove(self) -> Result<()> {
        super::remove_file(&self.path).map(drop)
    }

    fn opened(path: &Path) -> Result<Self> {
        // A FIFO or a symlink in its place makes nobody wait.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let open = |options: &mut OpenOptions| options.read(true).custom_flags(flags).open(path);
        let writable = open(OpenOptions::new().write(true).create(true).truncate(false).mode(MODE));
        // On a store that may only be read, a lock on what is there still works.
        let file = writable
            .or_else(|error| open(&mut OpenOptions::new()).map_err(|_| error))
            .map_err(Error::at("open the lock", path))?;
        let metadata = file.metadata().map_err(Error::at("look at", path))?;
        if !metadata.is_file() {
            return Err(Error::at("open the lock", path)(std::io::Error::other("it is no regular file; remove it")));
        }
        if metadata.uid() == rustix::process::geteuid().as_raw() && metadata.len() == 0 {
            super::give(path)?;
        }
        Ok(Self { file, path: path.to_owned() })
    }

    /// Tells whether the locked file still has its name: its last holder may have removed it between our open and our lock.
    fn is_named(&self) -> Result<bool> {
        let ours = self.file.metadata().map_err(Error::at("look at", &self.path))?;
        Ok(entry(&self.path)?.is_some_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_whose_file_was_removed_is_not_held() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::exclusive(&path).unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        assert!(Lock::try_shared(&path).unwrap().is_none());
        first.remove().unwrap();
        let second = Lock::try_exclusive(&path).unwrap().unwrap();
        assert!(path.exists() && Lock::try_exclusive(&path).unwrap().is_none());
        drop(second);
        let shared = Lock::try_shared(&path).unwrap().unwrap();
        assert!(Lock::try_shared(&path).unwrap().is_some());
        drop(shared);
    }
}
