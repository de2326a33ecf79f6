//! Files on their way into the store: cloned, linked or copied into `staging/<session>/` and hashed there.
//!
//! Digests are taken from the staged bytes, never from the source, which may change meanwhile (I3).

use crate::digest::{Digests, Hasher};
use crate::fs::{self, Error, Result, Signature};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How bytes come into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkMode {
    /// A clone where the filesystem can, else a copy.
    Auto,
    /// A clone; an error where the filesystem can't.
    Reflink,
    /// A hard link, else a copy. An edit in place of the source then corrupts the store.
    Hardlink,
    /// A copy.
    Copy,
    /// A hard link, else a copy; the caller removes the source once the import is durable.
    Move,
}

/// A file in staging, hashed.
#[derive(Debug)]
pub struct Staged {
    /// Where it lies now.
    pub path: PathBuf,
    /// The digests of its bytes.
    pub digests: Digests,
    /// The stat of the staged file: a rename keeps its inode, size and modification time.
    pub signature: Signature,
    /// The stat of the source, if its bytes are those that were hashed: the source didn't change meanwhile.
    pub source: Option<Signature>,
}

/// The staging folder of one session.
#[derive(Debug)]
pub struct Staging {
    dir: PathBuf,
    next: AtomicU64,
    cannot_reflink: AtomicBool,
}

/// Files of at least this size are hashed with both digests side by side when there are idle processors.
const WIDE_BYTES: u64 = 8 << 20;

/// The mode of blobs: nobody writes to them.
const MODE: u32 = 0o444;

impl Staging {
    /// Takes an existing folder that nobody else writes to.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, next: AtomicU64::new(0), cannot_reflink: AtomicBool::new(false) }
    }

    /// Returns the folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns a path in the folder that nothing has yet.
    pub fn fresh(&self) -> PathBuf {
        self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Brings a source's bytes into staging and hashes them. `wide` spreads the hashing of a large file over processors.
    pub fn stage(&self, source: &Path, mode: LinkMode, wide: bool) -> Result<Staged> {
        let file = fs::open(source)?;
        let before = file.metadata().map_err(Error::at("look at", source))?;
        let path = self.fresh();
        let wide = wide && before.len() >= WIDE_BYTES;
        let linked = match mode {
            LinkMode::Auto | LinkMode::Reflink => self.reflink(&file, &path, mode == LinkMode::Reflink)?,
            LinkMode::Hardlink | LinkMode::Move => hard_link(source, &file, &path)?,
            LinkMode::Copy => false,
        };
        let digests = if linked {
            hash(&fs::open(&path)?, &path, wide)?
        } else {
            let mut hasher = Hasher::default();
            let look = |part: &[u8]| if wide { hasher.update_parallel(part) } else { hasher.update(part) };
            fs::copy_into(&file, source, &path, MODE, look)?;
            hasher.finish()
        };
        let staged = fs::entry(&path)?.ok_or_else(|| vanished(&path))?;
        let after = file.metadata().map_err(Error::at("look at", source))?;
        let signature = Signature::of(&staged);
        let is_same_inode =
            signature.inode == Signature::of(&after).inode && signature.device == Signature::of(&after).device;
        // A hard link to the source moves its change time, so only bytes and modification time can be compared there.
        let unchanged = if is_same_inode {
            after.len() == before.len() && Signature::of(&after).modified_ns == Signature::of(&before).modified_ns
        } else {
            Signature::of(&after) == Signature::of(&before)
        };
        Ok(Staged { path, digests, signature, source: unchanged.then(|| Signature::of(&after)) })
    }

    /// Hashes a source where it lies: for bytes that the store probably has.
    pub fn hash_source(source: &Path, wide: bool) -> Result<(Digests, Option<Signature>)> {
        let file = fs::open(source)?;
        let before = file.metadata().map_err(Error::at("look at", source))?;
        let digests = hash(&file, source, wide && before.len() >= WIDE_BYTES)?;
        let after = file.metadata().map_err(Error::at("look at", source))?;
        let (before, after) = (Signature::of(&before), Signature::of(&after));
        Ok((digests, (before == after).then_some(after)))
    }

    /// Makes the bytes of staged files durable.
    pub fn sync<'a>(&self, paths: impl ExactSizeIterator<Item = &'a Path>) -> Result<()> {
        // Many small files: one sync of the filesystem is cheaper than a journal commit for each.
        if paths.len() > 32 {
            return fs::sync_filesystem(&self.dir);
        }
        for path in paths {
            fs::sync_file(path)?;
        }
        Ok(())
    }

    fn reflink(&self, source: &File, path: &Path, required: bool) -> Result<bool> {
        if !required && self.cannot_reflink.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let done = fs::reflink(source, path, MODE)?;
        if !done && required {
            return Err(Error::at("clone to", path)(std::io::Error::new(
                std::io::ErrorKind::Unsupported,
                "the filesystem can't share blocks between these files; use --link copy or auto",
            )));
        }
        self.cannot_reflink.fetch_or(!done, Ordering::Relaxed);
        Ok(done)
    }
}

/// Links the source itself, not a symlink to it, into staging. Returns false where only a copy will do.
fn hard_link(source: &Path, file: &File, path: &Path) -> Result<bool> {
    let real = std::fs::canonicalize(source).map_err(Error::at("resolve", source))?;
    let linked = match fs::hard_link(&real, path) {
        Ok(()) => true,
        Err(error) => {
            use std::io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
            let kind = error.source.kind();
            let is_fallback = matches!(kind, CrossesDevices | TooManyLinks | PermissionDenied | Unsupported);
            if !is_fallback {
                return Err(error);
            }
            false
        }
    };
    if linked {
        let opened = file.metadata().map_err(Error::at("look at", source))?;
        let named = fs::entry(path)?.ok_or_else(|| vanished(path))?;
        // The name may have been replaced since we opened it, or lead to the store's own bytes of another name.
        if Signature::of(&opened).inode != Signature::of(&named).inode || fs::set_mode(path, MODE).is_err() {
            fs::remove_file(path)?;
            return Ok(false);
        }
    }
    Ok(linked)
}

fn hash(file: &File, path: &Path, wide: bool) -> Result<Digests> {
    let mut hasher = Hasher::default();
    fs::read_parts(file, path, |part| {
        if wide {
            hasher.update_parallel(part)
        } else {
            hasher.update(part)
        }
        Ok(())
    })?;
    Ok(hasher.finish())
}

fn vanished(path: &Path) -> Error {
    Error::at("look at", path)(std::io::ErrorKind::NotFound.into())
}
