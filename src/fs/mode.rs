//! Who owns what is made, and who may do what with it: said once, whatever the umask of a shell is.
//!
//! Folders and files can be read by all and written by their owner; lock files are the writers' own, since whoever can open a file can
//! lock it, and so stop all others. A store that another user owns (this process is root's) gets that user's files.

use super::fault::{Change, point};
use super::{Error, Result, entry};
use rustix::fs::{AtFlags, CWD, Mode};
use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::RwLock;

/// Folders.
pub const FOLDER: u32 = 0o755;
/// Files that are written anew.
pub const FILE: u32 = 0o644;
/// Files whose bytes never change.
pub const READ_ONLY: u32 = 0o444;
/// What the process' umask is, so that the modes above are what files have.
const UMASK: u32 = 0o022;
/// What all users may do with a folder of locks: nothing.
const OTHERS: u32 = 0o007;
const GROUP: u32 = 0o070;
const GROUP_WRITES: u32 = 0o020;

/// Stores of other users, and who those are.
static OWNERS: RwLock<Vec<(PathBuf, u32, u32)>> = RwLock::new(Vec::new());

/// Sets the umask of this process; returns the one that it had, for programs that it starts.
pub fn set_umask() -> Umask {
    Umask(rustix::process::umask(Mode::from_raw_mode(UMASK)))
}

/// A umask from outside.
#[derive(Debug, Clone, Copy)]
pub struct Umask(Mode);

impl Umask {
    /// Does something (starts a program) under this umask.
    pub fn during<T>(self, act: impl FnOnce() -> T) -> T {
        rustix::process::umask(self.0);
        let done = act();
        rustix::process::umask(Mode::from_raw_mode(UMASK));
        done
    }
}

/// Remembers whose a store's folder is, if this process is root's and it is another's: what is made in it is given to them.
pub(crate) fn remember_owner(root: &Path) -> Result<()> {
    let Some(found) = entry(root)? else { return Ok(()) };
    if !rustix::process::geteuid().is_root() || found.uid() == 0 {
        return Ok(());
    }
    let mut owners = OWNERS.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    owners.retain(|(path, ..)| path != root);
    owners.push((root.to_owned(), found.uid(), found.gid()));
    Ok(())
}

/// Returns who is to own what is made at a path, where that is not this process' user.
fn owner(path: &Path) -> Option<(u32, u32)> {
    let owners = OWNERS.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    owners.iter().find(|(root, ..)| path.starts_with(root)).map(|&(_, uid, gid)| (uid, gid))
}

/// Tells whether a file may become a part of what is at `path` as it is: it belongs to the user that what is made there does.
pub(crate) fn is_owners(metadata: &std::fs::Metadata, path: &Path) -> bool {
    let uid = owner(path).map_or_else(|| rustix::process::geteuid().as_raw(), |(uid, _)| uid);
    metadata.uid() == uid
}

/// Gives what was made at a path to the store's owner.
pub(crate) fn give(path: &Path) -> Result<()> {
    let Some((uid, gid)) = owner(path) else { return Ok(()) };
    point(Change::Sync, "set the owner of", path)?;
    let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
    let given = rustix::fs::chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
    given.map_err(|error| Error::at("set the owner of", path)(error.into()))
}

/// Closes a folder to all who may not write to it; one that is another user's stays as it is.
pub(crate) fn close_to_readers(dir: &Path) -> Result<()> {
    let Some(found) = entry(dir)?.filter(|found| found.is_dir() && super::is_own(found)) else { return Ok(()) };
    let mode = found.mode() & 0o7777;
    let closed = mode & !OTHERS & if mode & GROUP_WRITES == 0 { !GROUP } else { !0 };
    if closed != mode {
        set_mode_at(dir, closed)?;
    }
    Ok(())
}

/// Gives a file the mode of another, if both are this user's and it differs; a file that isn't there is fine.
pub(crate) fn follow_mode(path: &Path, model: &Path) -> Result<()> {
    let of = |path: &Path| Ok(entry(path)?.filter(|found| found.is_file() && super::is_own(found)));
    let (Some(found), Some(model)) = (of(path)?, of(model)?) else { return Ok(()) };
    if found.mode() & 0o777 != model.mode() & 0o777 {
        set_mode_at(path, model.mode() & 0o777)?;
    }
    Ok(())
}

fn set_mode_at(path: &Path, mode: u32) -> Result<()> {
    use rustix::fs::OFlags;
    point(Change::Sync, "set the permissions of", path)?;
    let failed = |error: std::io::Error| Error::at("set the permissions of", path)(error);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    File::from(file).set_permissions(Permissions::from_mode(mode)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_closed_to_who_may_not_write_to_it() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, closed) in [(0o755, 0o700), (0o777, 0o770), (0o775, 0o770), (0o2775, 0o2770), (0o700, 0o700)] {
            std::fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
            close_to_readers(dir.path()).unwrap();
            assert_eq!(entry(dir.path()).unwrap().unwrap().mode() & 0o7777, closed, "{mode:o}");
        }
    }
}
