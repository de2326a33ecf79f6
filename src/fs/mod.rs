//! The only module that changes the disk.
//!
//! Every function here that changes something passes a numbered [`fault`] point first, so that a test can stop a command at
//! each of its disk changes. Every error names the path and the act. What is durable is said by name: nothing here syncs
//! unless its name or its documentation says so.

pub mod fault;
mod folder;
mod holders;
mod link;
mod lock;
mod mode;
mod pack;
mod probe;
mod room;
mod signature;
pub(crate) mod text;

pub use folder::Folder;
pub use holders::{Holder, LockKind, lock_holders};
pub use link::{copy_into, exchange, hard_link, reflink, rename, rename_new, symlink};
pub(crate) use lock::tell_of_wait;
pub use lock::{Beside, Lock, lock_wait, on_wait, set_lock_wait};
pub use mode::{FILE, FOLDER, READ_ONLY, Umask, set_umask};
pub(crate) use mode::{close_to_readers, follow_mode, give, is_owners, remember_owner};
pub use pack::{pack, unpack};
pub use probe::{
    Filesystem, boot_id, device, filesystem, free_bytes, free_names, host_name, is_full, is_running, machine,
    threads_left, unique_name, user_id, user_name,
};
pub use room::{Lease, has_room};
pub use signature::{ChangeTimes, Signature};

use crate::meter;
use fault::{Change, point};
use std::ffi::OsString;
use std::fs::{DirEntry, File, FileType, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A disk operation that failed: what was tried, where, and (as its source) why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act} {}", path.display())]
pub struct Error {
    /// What was tried, as a verb: "read", "rename".
    pub act: &'static str,
    /// Where.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl Error {
    /// Returns a closure for `map_err` that adds the act and the path.
    pub fn at(act: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { act, path: folder::told(path.as_ref()), source }
    }

    /// Tells whether there is no such file or folder.
    pub fn is_not_found(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    }

    /// Tells whether another process has a lock for too long.
    pub fn is_held(&self) -> bool {
        self.act == "lock" && self.source.kind() == io::ErrorKind::TimedOut
    }

    /// Tells whether this process, or the machine, lacks handles or memory: it says nothing about the file.
    pub fn is_lack(&self) -> bool {
        use rustix::io::Errno;
        let lacks = [Errno::MFILE, Errno::NFILE, Errno::NOMEM].map(|errno| errno.raw_os_error());
        self.source.raw_os_error().is_some_and(|code| lacks.contains(&code))
    }

    /// Tells whether the filesystem is full, or the user's share of it.
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// The result of a disk operation.
pub type Result<T> = std::result::Result<T, Error>;

/// How many bytes are read at a time: larger buffers were slower, since they leave the processor's cache.
pub const BUFFER_BYTES: usize = 128 * 1024;

/// Opens a file for reading; a symlink is followed.
pub fn open(path: &Path) -> Result<File> {
    // A FIFO would block the open until somebody writes to it; on a regular file the flag means nothing.
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(nonblock).open(path).map_err(Error::at("open", path))
}

/// Reads a small file of our own, whole: what is no regular file, or longer than `limit` bytes, is an error, and nobody waits for it.
pub fn read_own(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = opened.map_err(Error::at("read", path))?;
    let metadata = file.metadata().map_err(Error::at("read", path))?;
    if !metadata.is_file() || metadata.len() > limit {
        return Err(Error::at("read", path)(io::Error::other("it is no file, or too large")));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(Error::at("read", path))?;
    Ok(bytes)
}

/// Reads from a file until its end, part by part, in buffers that fit the processor's cache.
///
/// The file is read, never mapped: a mapped file that shrinks kills the process.
pub fn read_parts(file: &File, path: &Path, take: impl FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let expected = file.metadata().map_err(Error::at("read", path))?.len();
    read_about(file, path, expected, take)
}

/// Reads a file of about so many bytes until its end, part by part.
fn read_about(file: &File, path: &Path, expected: u64, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    // Small files (most wheels of a set) should not pay for clearing a large buffer.
    let room = usize::try_from(expected).map_or(BUFFER_BYTES, |size| (size + 1).clamp(4096, BUFFER_BYTES));
    let mut buffer = vec![0; room];
    let (mut reader, mut total) = (file, 0);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                take(&buffer[..count])?;
                meter::passed(count as u64);
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::at("read", path)(error)),
        }
    }
}

/// Reads a part of a file that the kernel has in memory, whole; otherwise nothing is read, and nobody waits.
pub fn read_at_hand(file: &File, at: u64, part: &mut [u8]) -> bool {
    let size = part.len();
    let mut into = [io::IoSliceMut::new(part)];
    rustix::io::preadv2(file, &mut into, at, rustix::io::ReadWriteFlags::NOWAIT).is_ok_and(|read| read == size)
}

/// Returns an absolute path of what a path names from here, whether or not it is there.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Error::at("resolve", path))
}

/// Returns what [`std::fs::symlink_metadata`] says, with no entry as `None`.
pub fn entry(path: &Path) -> Result<Option<std::fs::Metadata>> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) => match Error::at("look at", path)(error) {
            error if error.is_not_found() => Ok(None),
            error => Err(error),
        },
    }
}

/// Tells whether a file belongs to the user that this process acts for.
pub fn is_own(metadata: &std::fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(metadata) == rustix::process::geteuid().as_raw()
}

/// Returns the names in a folder, sorted; an absent folder has none.
pub fn names(dir: &Path) -> Result<Vec<OsString>> {
    let mut names = listed(dir, |entry| Ok(entry.file_name()))?;
    names.sort_unstable();
    Ok(names)
}

/// Returns the names of the files, or folders, in a folder, sorted, as the folder itself tells: a look at each costs more than
/// the list.
pub fn names_of(dir: &Path, is_wanted: fn(&FileType) -> bool) -> Result<Vec<OsString>> {
    let wanted = kinds(dir)?.into_iter().filter(|(kind, _)| is_wanted(kind));
    let mut names: Vec<OsString> = wanted.map(|(_, name)| name).collect();
    names.sort_unstable();
    Ok(names)
}

/// Returns what kinds of files a folder says that it has, in its own order; an absent folder has none.
pub fn kinds(dir: &Path) -> Result<Vec<(FileType, OsString)>> {
    listed(dir, |entry| Ok((entry.file_type()?, entry.file_name())))
}

fn listed<T>(dir: &Path, take: fn(&DirEntry) -> io::Result<T>) -> Result<Vec<T>> {
    let list = match std::fs::read_dir(dir) {
        Ok(list) => list,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::at("list", dir)(error)),
    };
    let taken = list.map(|entry| entry.and_then(|entry| take(&entry)));
    // What went meanwhile, of which a filesystem without kinds in its folders must ask, isn't there.
    let there = taken.filter(|taken| !taken.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
    there.collect::<io::Result<_>>().map_err(Error::at("list", dir))
}

/// Creates one folder; one that is there already is fine. Returns whether it was made.
pub fn create_dir(path: &Path) -> Result<bool> {
    point(Change::Grow, "create folder", path)?;
    match std::fs::DirBuilder::new().mode(FOLDER).create(path) {
        Ok(()) => give(path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(Error::at("create folder", path)(error)),
    }
}

/// Creates a folder with the folders above it, each made durable in its parent.
pub fn create_dir_all(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_dir_all(parent)?;
        create_dir(path)?;
        return sync_dir(parent);
    }
    create_dir(path).map(drop)
}

/// Creates a file that must not be there yet, open for reading and writing, with the permissions `mode` and what the umask leaves of them.
pub fn create_new(path: &Path, mode: u32) -> Result<File> {
    point(Change::Grow, "create", path)?;
    let made = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path);
    let file = made.map_err(Error::at("create", path))?;
    give(path)?;
    Ok(file)
}

/// Opens a file whose end is written to, whoever else does so; one that isn't there is made. A link or a pipe is refused.
pub fn open_to_append(path: &Path) -> Result<File> {
    point(Change::Grow, "open", path)?;
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits().cast_signed();
    let opened = OpenOptions::new().append(true).create(true).mode(FILE).custom_flags(flags).open(path);
    let file = opened.map_err(Error::at("open", path))?;
    let metadata = file.metadata().map_err(Error::at("look at", path))?;
    if !metadata.is_file() {
        return Err(Error::at("open", path)(io::Error::other("it is no regular file; remove it")));
    }
    if metadata.len() == 0 {
        give(path)?;
    }
    Ok(file)
}

/// Writes bytes at the file's position.
pub fn append(mut file: &File, path: &Path, bytes: &[u8]) -> Result<()> {
    point(Change::Grow, "write", path)?;
    file.write_all(bytes).map_err(Error::at("write", path))
}

/// Creates a file with these bytes; not durable until its folder's tree is synced.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = create_new(path, FILE)?;
    append(&file, path, bytes)
}

/// Replaces a file by these bytes, durably: temporary file, sync, rename, sync of the folder.
pub fn write_durable(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    remove_file(&temporary)?;
    write_new(&temporary, bytes)?;
    let done = sync_file(&temporary).and_then(|()| rename(&temporary, path));
    if done.is_err() {
        let _ = remove_file(&temporary);
    }
    done?;
    sync_dir(parent(path))
}

/// Creates a file of this size with its blocks reserved, so that deleting it gives them back.
pub fn reserve(path: &Path, bytes: u64) -> Result<()> {
    let file = create_new(path, FILE)?;
    point(Change::Grow, "reserve space in", path)?;
    let reserved = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes);
    if let Err(error) = reserved {
        let _ = remove_file(path);
        return Err(Error::at("reserve space in", path)(error.into()));
    }
    Ok(())
}

/// Removes a file; one that isn't there is fine. Returns whether it was there.
pub fn remove_file(path: &Path) -> Result<bool> {
    point(Change::Shrink, "remove", path)?;
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::at("remove", path)(error)),
    }
}

/// Removes a folder with all that is in it; symlinks are removed, not followed. One that isn't there is fine.
pub fn remove_tree(path: &Path) -> Result<()> {
    point(Change::Shrink, "remove folder", path)?;
    match std::fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::at("remove folder", path)(error)),
    }
}

/// Removes a folder that must be empty; one that isn't there is fine.
pub fn remove_empty_dir(path: &Path) -> Result<()> {
    point(Change::Shrink, "remove folder", path)?;
    match std::fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::at("remove folder", path)(error)),
        _ => Ok(()),
    }
}

/// Sets the permissions of an open file.
pub fn set_mode(file: &File, path: &Path, mode: u32) -> Result<()> {
    point(Change::Sync, "set the permissions of", path)?;
    let set = file.set_permissions(std::fs::Permissions::from_mode(mode));
    set.map_err(Error::at("set the permissions of", path))
}

/// Sets the modification time of an open file.
pub fn set_modified(file: &File, path: &Path, time: SystemTime) -> Result<()> {
    point(Change::Sync, "set the time of", path)?;
    file.set_modified(time).map_err(Error::at("set the time of", path))
}

/// Makes the bytes of a file durable.
pub fn sync_file(path: &Path) -> Result<()> {
    point(Change::Sync, "sync", path)?;
    File::open(path).and_then(|file| file.sync_data()).map_err(Error::at("sync", path))
}

/// Makes the names in a folder durable.
pub fn sync_dir(path: &Path) -> Result<()> {
    point(Change::Sync, "sync", path)?;
    File::open(path).and_then(|dir| dir.sync_all()).map_err(Error::at("sync", path))
}

/// Makes all that was written to the filesystem of `path` durable: cheaper than many single syncs.
pub fn sync_filesystem(path: &Path) -> Result<()> {
    point(Change::Sync, "sync", path)?;
    let sync = |file: File| rustix::fs::syncfs(&file).map_err(io::Error::from);
    File::open(path).and_then(sync).map_err(Error::at("sync", path))
}

/// Drops a file's pages from the kernel's cache, so that the next read comes from the medium.
pub fn forget_pages(file: &File) {
    // Advice only: a kernel that declines leaves us with the cached bytes.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

/// Tells whether a hard link failed for a reason that a copy gets around: another device, too many links, not permitted.
pub fn needs_copy(error: &Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.source.kind(), CrossesDevices | TooManyLinks | PermissionDenied | Unsupported)
}

/// Returns the folder that holds `path`.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Lets this process open as many files as the system allows it to; returns how many, or `None` where there is no limit.
pub fn raise_open_files() -> Option<u64> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    limit.current
}
