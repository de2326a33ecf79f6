//! Names for bytes: rename, hard link, symbolic link, clone, copy.

use super::fault::{Change, point};
use super::{Error, Result, append, create_new, read_parts, set_modified};
use rustix::fs::{AtFlags, CWD, RenameFlags};
use std::fs::File;
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
    let renamed = rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from);
    let done = match renamed {
        // Filesystems without the flag have hard links: a link fails on a taken name, too.
        Err(error) if matches!(error.raw_os_error(), Some(EINVAL | ENOSYS)) => {
            std::fs::hard_link(from, to).and_then(|()| std::fs::remove_file(from))
        }
        done => done,
    };
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::at("rename to", to)(error)),
    }
}

const EINVAL: i32 = rustix::io::Errno::INVAL.raw_os_error();
const ENOSYS: i32 = rustix::io::Errno::NOSYS.raw_os_error();

/// Exchanges two names in one step: nobody sees either of them absent.
pub fn exchange(one: &Path, other: &Path) -> Result<()> {
    point(Change::Sync, "exchange", one)?;
    let exchanged = rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
    exchanged.map_err(|error| Error::at("exchange", one)(error.into()))
}

/// Gives a file another name on the same filesystem.
pub fn hard_link(original: &Path, link: &Path) -> Result<()> {
    point(Change::Grow, "link", link)?;
    std::fs::hard_link(original, link).map_err(Error::at("link", link))
}

/// Makes a symbolic link that says `target`.
pub fn symlink(target: &Path, link: &Path) -> Result<()> {
    point(Change::Grow, "link", link)?;
    std::os::unix::fs::symlink(target, link).map_err(Error::at("link", link))
}

/// Gives an existing symbolic link (itself, not its target) or file one more name: cheaper than making it anew.
pub fn link_unchanged(original: &Path, link: &Path) -> Result<()> {
    point(Change::Grow, "link", link)?;
    let linked = rustix::fs::linkat(CWD, original, CWD, link, AtFlags::empty());
    linked.map_err(|error| Error::at("link", link)(error.into()))
}

/// Makes a file that shares its blocks with the original until either is written to. Returns false, with nothing left behind,
/// where the filesystem can't.
pub fn reflink(original: &File, link: &Path, mode: u32) -> Result<bool> {
    let file = create_new(link, mode)?;
    match rustix::fs::ioctl_ficlone(&file, original) {
        Ok(()) => {
            keep_time(original, &file, link)?;
            Ok(true)
        }
        Err(error) => {
            super::remove_file(link)?;
            let error = io::Error::from(error);
            let unable = [rustix::io::Errno::XDEV, rustix::io::Errno::NOTTY, rustix::io::Errno::INVAL];
            let unable = unable.map(|errno| errno.raw_os_error());
            // EOPNOTSUPP has two numbers in one kind; the others have no kind of their own.
            let is_unable = error.kind() == io::ErrorKind::Unsupported
                || error.raw_os_error().is_some_and(|code| unable.contains(&code));
            if is_unable { Ok(false) } else { Err(Error::at("clone to", link)(error)) }
        }
    }
}

/// Copies an open file into a new one, showing each part to `look` as it is written, and keeps its modification time.
pub fn copy_into(original: &File, path: &Path, copy: &Path, mode: u32, mut look: impl FnMut(&[u8])) -> Result<u64> {
    let file = create_new(copy, mode)?;
    let total = read_parts(original, path, |part| {
        look(part);
        append(&file, copy, part)
    })?;
    keep_time(original, &file, copy)?;
    Ok(total)
}

fn keep_time(original: &File, file: &File, path: &Path) -> Result<()> {
    let modified =
        original.metadata().and_then(|metadata| metadata.modified()).map_err(Error::at("read the time of", path))?;
    set_modified(file, path, modified)
}
