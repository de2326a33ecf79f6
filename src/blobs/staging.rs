//! Files on their way into the store: cloned, linked or copied into `staging/<session>/` and hashed there.
//!
//! Digests are taken from the staged bytes, never from the source, which may change meanwhile (I3).

use crate::digest::{Digests, Hasher};
use crate::fs::{self, Error, Result, Signature};
use std::fs::{File, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
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
    /// A hard link where the file is this user's and has no other name, else a copy; the caller removes the source once the import is
    /// durable.
    Move,
}

/// A file in staging, hashed.
#[derive(Debug)]
pub struct Staged {
    /// Where it lies now.
    pub path: PathBuf,
    /// The file, open for reading.
    pub file: File,
    /// The digests of its bytes.
    pub digests: Digests,
    /// The stat of the staged file: a rename keeps its inode, size and modification time.
    pub signature: Signature,
    /// The stat of the source, if its bytes are those that were hashed: the source didn't change meanwhile. Never that of a source that
    /// was linked: a new name moves its change time, which then is too young to prove anything, and it is known by being the blob.
    pub source: Option<Signature>,
    /// Why it is a copy though a link was asked for.
    pub copied: Option<&'static str>,
    /// The mode that the source had before it was linked.
    mode: Option<u32>,
}

impl Staged {
    /// Takes back what a link did to the source's permissions: it will be no blob.
    pub fn give_back(&self) -> Result<()> {
        match self.mode.filter(|&mode| mode != MODE) {
            Some(mode) => fs::set_mode(&self.file, &self.path, mode),
            None => Ok(()),
        }
    }
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
const MODE: u32 = fs::READ_ONLY;

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
        let original = fs::open(source)?;
        let before = original.metadata().map_err(Error::at("look at", source))?;
        let path = self.fresh();
        let wide = wide && before.len() >= WIDE_BYTES;
        let is_linked = matches!(mode, LinkMode::Hardlink | LinkMode::Move);
        let mut copied = is_linked.then(|| self.unfit(source, &before, mode)).transpose()?.flatten();
        if is_linked && copied.is_none() && !hard_link(source, &original, &before, &path)? {
            copied = Some("it can't be linked there");
        }
        if is_linked && copied.is_none() {
            let digests = hash(&original, &path, wide)?;
            // The source and the staged file are one: what changed it changed both.
            let signature = Signature::of(&original.metadata().map_err(Error::at("look at", source))?);
            let mode = Some(before.permissions().mode() & 0o7777);
            return Ok(Staged { path, file: original, digests, signature, source: None, copied, mode });
        }
        let (file, digests) = match self.reflink(&original, &path, mode)? {
            Some(file) => {
                let digests = hash(&file, &path, wide)?;
                (file, digests)
            }
            None => {
                let mut hasher = Hasher::default();
                let look = |part: &[u8]| if wide { hasher.update_parallel(part) } else { hasher.update(part) };
                let file = fs::copy_into(&original, &before, source, &path, MODE, look)?;
                (file, hasher.finish())
            }
        };
        let signature = Signature::of(&file.metadata().map_err(Error::at("look at", &path))?);
        let after = Signature::of(&original.metadata().map_err(Error::at("look at", source))?);
        let source = (after == Signature::of(&before)).then_some(after);
        Ok(Staged { path, file, digests, signature, source, copied, mode: None })
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

    /// Tells why a file can't become a blob as it is, if it can't: whoever owns an inode, or has another name for it, can change its bytes
    /// later, whatever its mode; and a name that is a symlink may lead elsewhere a moment later.
    fn unfit(&self, source: &Path, before: &Metadata, mode: LinkMode) -> Result<Option<&'static str>> {
        Ok(match fs::entry(source)? {
            Some(named) if named.is_symlink() => Some("a symlink led to it"),
            _ if !fs::is_owners(before, &self.dir) => Some("it is another user's file"),
            _ if mode == LinkMode::Move && before.nlink() > 1 => Some("it has other names"),
            _ => None,
        })
    }

    fn reflink(&self, original: &File, path: &Path, mode: LinkMode) -> Result<Option<File>> {
        let is_required = mode == LinkMode::Reflink;
        if !is_required && (mode != LinkMode::Auto || self.cannot_reflink.load(Ordering::Relaxed)) {
            return Ok(None);
        }
        let done = fs::reflink(original, path, MODE)?;
        if done.is_none() && is_required {
            return Err(Error::at("clone to", path)(std::io::Error::new(
                std::io::ErrorKind::Unsupported,
                "the filesystem can't share blocks between these files; use --link copy or auto",
            )));
        }
        self.cannot_reflink.fetch_or(done.is_none(), Ordering::Relaxed);
        Ok(done)
    }
}

/// Links the source into staging. Returns false where only a copy will do.
fn hard_link(source: &Path, original: &File, before: &Metadata, path: &Path) -> Result<bool> {
    match fs::hard_link(source, path) {
        Ok(()) => {}
        Err(error) if fs::needs_copy(&error) => return Ok(false),
        Err(error) => return Err(error),
    }
    let named = fs::entry(path)?.ok_or_else(|| Error::at("look at", path)(std::io::ErrorKind::NotFound.into()))?;
    // The name may have been given to another file since it was opened; and who can't make it read-only gets a copy.
    let is_same = Signature::of(&named).inode == Signature::of(before).inode;
    let is_read_only = before.permissions().mode() & 0o7777 == MODE;
    if !is_same || !is_read_only && fs::set_mode(original, path, MODE).is_err() {
        fs::remove_file(path)?;
        return Ok(false);
    }
    Ok(true)
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
