//! Which file was opened as the manifest: what is written to one that lost its name is lost.

use super::{Error, Result};
use crate::fs::{self, Signature};
use std::path::{Path, PathBuf};

/// A file, known by device and inode, and where it was found.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OpenedFile {
    path: PathBuf,
    device: i64,
    inode: i64,
}

impl OpenedFile {
    /// Takes the file that is at a path now, at the end of symlinks; `None`: none is.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let found = Signature::of(&std::fs::metadata(path).ok()?);
        Some(Self { path: path.to_owned(), device: found.device, inode: found.inode })
    }

    /// Returns the file's inode.
    pub(super) fn inode(&self) -> i64 {
        self.inode
    }

    /// Makes sure that it still is the one that others find at its path.
    pub(super) fn require(&self) -> Result<()> {
        match Self::at(&self.path) {
            Some(found) if found == *self => Ok(()),
            _ => Err(Error::Replaced(self.path.clone())),
        }
    }
}

/// What SQLite keeps beside a manifest.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Refuses what is no file at the manifest's name, or at one beside it: SQLite would wait for a pipe's other end.
pub(super) fn require_plain(path: &Path) -> Result<()> {
    let refused = |path: &Path| {
        let source = std::io::Error::other("it is no regular file; remove it, `wcas doctor` tells more");
        Err(fs::Error::at("open", path)(source).into())
    };
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return refused(path);
    }
    for end in BESIDE {
        let mut beside = path.as_os_str().to_owned();
        beside.push(end);
        let beside = PathBuf::from(beside);
        if fs::entry(&beside)?.is_some_and(|found| !found.is_file()) {
            return refused(&beside);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest};
    use super::*;
    use std::time::Duration;

    #[test]
    fn nothing_is_committed_to_a_file_that_lost_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("manifest.sqlite"), dir.path().join("other"));
        let open = |path: &Path| Manifest::open(path, Access::Create, Duration::ZERO).unwrap();
        let manifest = open(&path);
        drop(open(&other));
        let transaction = manifest.write().unwrap();
        transaction.set_meta("key", "value").unwrap();
        std::fs::rename(&other, &path).unwrap();
        let error = transaction.commit().unwrap_err();
        assert!(matches!(error, Error::Replaced(_)) && error.is_busy(), "{error}");
        assert!(!manifest.is_in_place());
        assert!(manifest.write_relaxed(|transaction| transaction.set_meta("key", "value")).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(manifest.write().unwrap().commit().is_err());
    }

    #[test]
    fn a_manifest_behind_a_symlink_is_the_file_at_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let (path, real) = (dir.path().join("manifest.sqlite"), dir.path().join("real"));
        drop(Manifest::open(&real, Access::Create, Duration::ZERO).unwrap());
        std::os::unix::fs::symlink(&real, &path).unwrap();
        let manifest = Manifest::open(&path, Access::Write, Duration::ZERO).unwrap();
        manifest.write().unwrap().commit().unwrap();
        assert!(manifest.is_in_place());
    }
}
