//! Names for bytes: rename, hard link, symbolic link, clone, copy.

use super::fault::{Change, point};
use super::{Error, Result, append, create_new, read_about, set_modified};
use rustix::fs::{AtFlags, CWD, RenameFlags};
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// Renames a file or folder, replacing what has the new name.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    point(Change::Sync, "rename to", to)?;
    std::fs::rename(from, to).map_err(Error::at("rename to", to))
}

/// Renames a file to a name that must be free. Returns false, with nothing done, when it is taken.
pub fn rename_new(from: &Path, to: &Path) -> Result<bool> {
    point(Change::Sync, "rename to", to)?;
    let done = match flagged(from, to, RenameFlags::NOREPLACE) {
        // Filesystems without the flag have hard links: a link fails on a taken name, too. A kill between leaves both names.
        Err(error) if matches!(error.raw_os_error(), Some(EINVAL | ENOSYS | EOPNOTSUPP)) => {
            let linked = std::fs::hard_link(from, to);
            if linked.is_ok() {
                point(Change::Shrink, "remove", from)?;
            }
            linked.and_then(|()| std::fs::remove_file(from))
        }
        done => done,
    };
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::at("rename to", to)(error)),
    }
}

fn flagged(from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
    if super::fault::lacks_rename_flags() {
        return Err(io::Error::from_raw_os_error(EINVAL));
    }
    Ok(rustix::fs::renameat_with(CWD, from, CWD, to, flags)?)
}

const EINVAL: i32 = rustix::io::Errno::INVAL.raw_os_error();
const EOPNOTSUPP: i32 = rustix::io::Errno::OPNOTSUPP.raw_os_error();
const ENOSYS: i32 = rustix::io::Errno::NOSYS.raw_os_error();

/// Exchanges two names in one step: nobody sees either of them absent. Returns false, with nothing done, where the filesystem can't.
pub fn exchange(one: &Path, other: &Path) -> Result<bool> {
    point(Change::Sync, "exchange", one)?;
    match flagged(one, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(EINVAL | ENOSYS | EOPNOTSUPP)) => Ok(false),
        Err(error) => Err(Error::at("exchange", one)(error)),
    }
}

/// Gives a file another name on the same filesystem; a symlink is followed.
pub fn hard_link(original: &Path, link: &Path) -> Result<()> {
    point(Change::Grow, "link", link)?;
    let linked = rustix::fs::linkat(CWD, original, CWD, link, AtFlags::SYMLINK_FOLLOW);
    linked.map_err(|error| Error::at("link", link)(error.into()))
}

/// Makes a symbolic link that says `target`.
pub fn symlink(target: &Path, link: &Path) -> Result<()> {
    point(Change::Grow, "link", link)?;
    std::os::unix::fs::symlink(target, link).map_err(Error::at("link", link))?;
    super::give(link)
}

/// Makes a file that shares its blocks with the original until either is written to, and keeps its modification time. Returns
/// `None`, with nothing left behind, where the filesystem can't.
pub fn reflink(original: &File, link: &Path, mode: u32) -> Result<Option<File>> {
    let file = create_new(link, mode)?;
    match rustix::fs::ioctl_ficlone(&file, original) {
        Ok(()) => {
            keep_time(original, &file, link)?;
            Ok(Some(file))
        }
        Err(error) => {
            super::remove_file(link)?;
            let error = io::Error::from(error);
            let unable = [rustix::io::Errno::XDEV, rustix::io::Errno::NOTTY, rustix::io::Errno::INVAL];
            let unable = unable.map(|errno| errno.raw_os_error());
            // EOPNOTSUPP has two numbers in one kind; the others have no kind of their own.
            let is_unable = error.kind() == io::ErrorKind::Unsupported
                || error.raw_os_error().is_some_and(|code| unable.contains(&code));
            if is_unable { Ok(None) } else { Err(Error::at("clone to", link)(error)) }
        }
    }
}

/// Copies an open file, of which this was seen, into a new one, showing each part to `look` as it is written, and keeps its
/// modification time. `path` names the original in errors.
pub fn copy_into(
    original: &File,
    seen: &Metadata,
    path: &Path,
    copy: &Path,
    mode: u32,
    mut look: impl FnMut(&[u8]),
) -> Result<File> {
    let file = create_new(copy, mode)?;
    read_about(original, path, seen.len(), |part| {
        look(part);
        append(&file, copy, part)
    })?;
    set_modified(&file, copy, seen.modified().map_err(Error::at("read the time of", path))?)?;
    Ok(file)
}

fn keep_time(original: &File, file: &File, path: &Path) -> Result<()> {
    let modified = original.metadata().and_then(|metadata| metadata.modified());
    set_modified(file, path, modified.map_err(Error::at("read the time of", path))?)
}
