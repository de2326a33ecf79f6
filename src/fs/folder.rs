//! Folders held open: what is judged is what is changed, whatever others make of its path meanwhile.
//!
//! A folder is opened component by component, and no component may be a symlink. Its [`Folder::at`] gives paths that the kernel
//! resolves from the open folder (through `/proc/self/fd`), so that the functions of this module change things in it and nowhere
//! else; errors tell the folder's own path.

use super::fault::{Change, point};
use super::{Error, Result, create_dir, names};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

const HANDLES: &str = "/proc/self/fd";

/// A folder, open.
#[derive(Debug)]
pub struct Folder {
    handle: File,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder by a path without symlinks in it, as [`std::fs::canonicalize`] gives it.
    pub fn root(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| Error::at("open folder", path)(error);
        let open = |dir: Option<&File>, name: &Path, flags| match dir {
            Some(dir) => openat(dir, name, flags, Mode::empty()),
            None => openat(CWD, name, flags, Mode::empty()),
        };
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let start = if path.is_absolute() { "/" } else { "." };
        let mut dir =
            File::from(open(None, Path::new(start), flags | OFlags::PATH).map_err(|error| failed(error.into()))?);
        for component in path.components().filter(|component| *component != Component::RootDir) {
            // Folders above may be ones that can be gone through but not listed.
            let next = open(Some(&dir), component.as_ref(), flags | OFlags::PATH);
            dir = File::from(next.map_err(|error| failed(error.into()))?);
        }
        let handle = open(Some(&dir), Path::new("."), flags).map_err(|error| failed(error.into()))?;
        Ok(Self { handle: File::from(handle), path: path.to_owned() })
    }

    /// Opens a folder in this one; `None`: there is none. A symlink, or anything else of this name, is an error.
    pub fn child(&self, name: &str) -> Result<Option<Self>> {
        let path = self.path.join(name);
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.handle, name, flags, Mode::empty()) {
            Ok(handle) => Ok(Some(Self { handle: File::from(handle), path })),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::at("open folder", path)(error.into())),
        }
    }

    /// Makes a folder in this one, or takes the one that is there, which must be this user's.
    pub fn make(&self, name: &str) -> Result<Self> {
        create_dir(&self.at(name))?;
        let path = self.path.join(name);
        let child = self.child(name)?.ok_or_else(|| Error::at("open folder", &path)(io::ErrorKind::NotFound.into()))?;
        match child.is_own()? {
            true => Ok(child),
            false => Err(Error::at("write to folder", path)(io::Error::other("it is another user's"))),
        }
    }

    /// Reads a file of at most `limit` bytes in this folder, and tells whether it is this user's; `None`: there is none. A symlink, or
    /// anything else than a file, is an error.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<(Vec<u8>, bool)>> {
        let path = self.path.join(name);
        let failed = |error: io::Error| Error::at("read", &path)(error);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.handle, name, flags, Mode::empty()) {
            Ok(handle) => File::from(handle),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() || metadata.len() > limit {
            return Err(failed(io::Error::other("it is no file, or too large")));
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some((bytes, super::is_own(&metadata))))
    }

    /// Gives a file another name in this folder; a symlink is followed. By the handle, for a tree of thousands: a path through
    /// [`Self::at`] is looked up anew for each.
    pub fn hard_link(&self, original: &Path, name: &str) -> Result<()> {
        let link = self.path.join(name);
        point(Change::Grow, "link", &link)?;
        let linked = linkat(CWD, original, &self.handle, name, AtFlags::SYMLINK_FOLLOW);
        linked.map_err(|error| Error::at("link", link)(error.into()))
    }

    /// Returns the path of a name in the folder, which leads there even when the folder was moved, or another put in its place.
    pub fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.handle().join(name)
    }

    /// Returns a path of the folder itself.
    pub fn handle(&self) -> PathBuf {
        Path::new(HANDLES).join(self.handle.as_raw_fd().to_string())
    }

    /// Returns where the folder was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the names in it, sorted.
    pub fn names(&self) -> Result<Vec<std::ffi::OsString>> {
        names(&self.handle())
    }

    /// Sets its modification time, which any change of a name in it moves on.
    pub fn stamp(&self, time: SystemTime) -> Result<()> {
        super::set_modified(&self.handle, &self.path, time)
    }

    /// Tells whether it belongs to the user that this process acts for.
    pub fn is_own(&self) -> Result<bool> {
        let metadata = self.handle.metadata().map_err(Error::at("look at", &self.path))?;
        Ok(metadata.uid() == rustix::process::geteuid().as_raw())
    }
}

/// Returns what people know a path by: one through an open folder by where that folder is.
pub(super) fn told(path: &Path) -> PathBuf {
    let Ok(rest) = path.strip_prefix(HANDLES) else { return path.to_owned() };
    let mut rest = rest.components();
    let Some(number) = rest.next() else { return path.to_owned() };
    let folder = std::fs::read_link(Path::new(HANDLES).join(number));
    folder.map_or_else(
        |_| path.to_owned(),
        |folder| match rest.as_path() {
            rest if rest.as_os_str().is_empty() => folder,
            rest => folder.join(rest),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_leads_into_a_folder_and_a_swapped_path_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(dir.join("root/ours")).unwrap();
        std::fs::create_dir_all(dir.join("victim/ours")).unwrap();
        symlink(dir.join("victim"), dir.join("root/link")).unwrap();
        symlink("root", dir.join("above")).unwrap();
        std::fs::write(dir.join("root/file"), "").unwrap();
        assert!(Folder::root(&dir.join("above")).is_err());
        assert!(Folder::root(&dir.join("above/ours")).is_err());
        let root = Folder::root(&dir.join("root")).unwrap();
        assert!(root.child("link").is_err() && root.make("link").is_err());
        assert!(root.child("file").is_err() && root.child("absent").unwrap().is_none());
        let ours = root.child("ours").unwrap().unwrap();
        std::fs::rename(dir.join("root"), dir.join("away")).unwrap();
        symlink(dir.join("victim"), dir.join("root")).unwrap();
        crate::fs::write_new(&ours.at("new"), b"x").unwrap();
        assert!(dir.join("away/ours/new").exists() && !dir.join("victim/ours/new").exists());
        let error = crate::fs::write_new(&ours.at("new"), b"x").unwrap_err();
        assert_eq!(error.path, dir.join("away/ours/new"));
    }
}
