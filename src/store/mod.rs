//! A store, opened: its folder, format, locks and sessions.
//!
//! ```text
//! STORE/
//!   wcas.json          what kind of store this is; written last, so a folder without it is no store yet
//!   manifest.sqlite    what is true
//!   blobs/b3/00..ff/   the bytes
//!   metadata/          METADATA as files, for trees to link; derived from the manifest
//!   named/             links that end in a distribution's filename, made when asked for
//!   staging/<session>/ files on their way in
//!   quarantine/        bad bytes
//!   locks/             the writers' own, closed to others: store (shared by every command), gc (one run), reap (one batch), sessions/<id> (one writer each)
//!   reserve            room that gc gives back on a full disk, before it opens the manifest
//! ```
//!
//! Locks are taken in the order store, session, gc, reap, manifest transaction, and none is held for a process's life but the
//! shared one on `locks/store`, which a rebuild or a change of format takes alone.

mod create;
mod error;
mod format;
mod locks;
mod rehearsal;
mod reserve;
mod session;
mod shared;

pub use error::{Error, Result};
pub use locks::{Locks, TreeLock};
pub use session::{Scratch, Session};
use shared::Followed;
pub use shared::{MayConflict, Membership, despite_others, node_name};

use crate::blobs::Blobs;
use crate::fs::{self, Lock};
use crate::manifest::{self, Access, Manifest};
use format::Identity;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a store's path may be: SQLite's limit is 512 bytes for its longest file, `manifest.sqlite-journal` or a rebuilt one.
const MAX_PATH_BYTES: usize = 460;

/// The folders that a store has from the beginning, those above first.
const FOLDERS: [&str; 5] = ["locks/sessions", "staging", "quarantine", "blobs", "blobs/b3"];

/// How often a store that can't be written is tried to be opened while others start and end.
const READ_TRIES: u32 = 50;

/// An open store.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    id: String,
    /// The bytes.
    pub blobs: Blobs,
    /// What is true.
    pub manifest: Manifest,
    read_only: Option<String>,
    is_full: bool,
    /// Whether the manifest is a copy, and the disk is to stay as it is.
    is_rehearsal: bool,
    /// Where the other nodes' bytes are, if there are any.
    share: Option<Followed>,
    behind: Option<String>,
    _lock: Option<Lock>,
}

impl Store {
    /// Opens an existing store.
    pub fn open(root: &Path) -> Result<Self> {
        let (mut store, share) = Self::opened(root)?;
        store.follow(share)?;
        Ok(store)
    }

    /// Opens a store that follows nothing yet; also returns of which share it is a node.
    fn opened(root: &Path) -> Result<(Self, Option<Membership>)> {
        let Identity { root, id, read_only, share } = format::identify(root)?;
        if read_only.is_none() {
            match settle(&root) {
                Err(Error::Disk(error)) if error.is_full() => {}
                done => done?,
            }
        }
        let lock = match Lock::try_shared(&root.join("locks/store")) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => {
                return Err(Error::Busy {
                    what: "the store",
                    holder: "a rebuild or a change of its format".to_owned(),
                });
            }
            Err(error) if read_only.is_some() || error.is_full() => None,
            Err(error) => return Err(error.into()),
        };
        let path = manifest_path(&root)?;
        let opened = match read_only {
            None => Manifest::open(&path, Access::Write, fs::lock_wait()),
            Some(_) => open_to_read(&path),
        };
        let (manifest, is_full) = match opened {
            // SQLite can't make its log, or the log's index, and doesn't say why.
            Err(error) if error.may_want_room() && fs::is_full(&root) => (open_to_read(&path)?, true),
            opened => (opened?, false),
        };
        let (blobs, is_rehearsal) = (Blobs::new(&root), false);
        let (none, behind) = (None, None);
        let store =
            Self { blobs, manifest, root, id, read_only, is_full, is_rehearsal, share: none, behind, _lock: lock };
        Ok((store, share))
    }

    /// Takes a store for this process alone, whatever the state of its manifest; an error tells that another command is at work.
    /// A `wcas.json` that is gone or can't be understood is written anew where blobs say that this is a store.
    pub fn alone(root: &Path) -> Result<ExclusiveStore> {
        format::mend(root)?;
        let identity = format::identify(root)?;
        if let Some(Membership { location, .. }) = identity.share {
            return Err(Error::Node { path: identity.root, url: location.url });
        }
        Self::alone_as_it_is(root)
    }

    /// Takes a store for this process alone, as it is; an error tells that another command is at work.
    pub fn alone_as_it_is(root: &Path) -> Result<ExclusiveStore> {
        let Identity { root, read_only, .. } = format::identify(root)?;
        if let Some(why) = read_only {
            return Err(Error::ReadOnly { path: root, why });
        }
        format::refuse_network(&root)?;
        settle(&root)?;
        let busy = || Error::Busy { what: "the store", holder: "another command".to_owned() };
        let lock = Lock::try_exclusive(&root.join("locks/store"))?.ok_or_else(busy)?;
        Ok(ExclusiveStore { blobs: Blobs::new(&root), root, _lock: lock })
    }

    /// Opens the store, making it when there is none.
    pub fn open_or_create(root: &Path) -> Result<Self> {
        if fs::entry(&root.join("wcas.json"))?.is_none() {
            Self::create(root, None)?;
        }
        Self::open(root)
    }

    /// Returns the store's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns what tells the store from all others.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns an error that says why, if the store's rows can't be written.
    pub fn require_writable(&self) -> Result<()> {
        match &self.read_only {
            _ if self.is_rehearsal => Ok(()),
            _ if self.is_full => Err(Error::NoRoom(self.root.clone())),
            Some(why) => Err(Error::ReadOnly { path: self.root.clone(), why: why.clone() }),
            None => format::refuse_network(&self.root),
        }
    }

    /// Returns an error that says why, if the store's files can't be changed.
    fn require_changeable(&self) -> Result<()> {
        let why = "this command only tells what it would do".to_owned();
        let refused = || Err(Error::ReadOnly { path: self.root.clone(), why });
        if self.is_rehearsal { refused() } else { self.require_writable() }
    }

    /// Tells whether the store can be written, its files as well.
    pub fn is_writable(&self) -> bool {
        self.read_only.is_none() && !self.is_full && !self.is_rehearsal
    }

    /// Tells whether the handle is as it should be: one whose manifest was replaced, or that was opened on a full disk, is opened
    /// again.
    pub fn is_current(&self) -> bool {
        self.manifest.is_in_place() && !self.is_full
    }
}

/// Returns the path of a store's manifest, which must be a file.
fn manifest_path(root: &Path) -> Result<PathBuf> {
    let path = root.join("manifest.sqlite");
    if fs::entry(&path)?.is_none() {
        return Err(Error::NoManifest(root.to_owned()));
    }
    Ok(path)
}

/// Sees to it that what is made in the store is its owner's, and that who may only read it can't stop those who write.
fn settle(root: &Path) -> Result<()> {
    fs::remember_owner(root)?;
    // Tools that copy files leave empty folders out.
    for dir in ["locks"].iter().chain(&FOLDERS) {
        let dir = root.join(dir);
        if fs::entry(&dir)?.is_none() {
            fs::create_dir(&dir)?;
        }
    }
    fs::close_to_readers(&root.join("locks"))?;
    // A reader of a manifest that couldn't be written leaves an index of the log that can't be written either.
    let manifest = root.join("manifest.sqlite");
    for end in ["sqlite-shm", "sqlite-wal"] {
        fs::follow_mode(&manifest.with_extension(end), &manifest)?;
    }
    Ok(())
}

/// Opens the manifest of a store that this process can't write. While others write, their log is read; when nobody does, there is
/// no log, and nothing that SQLite could take its locks on.
fn open_to_read(path: &Path) -> manifest::Result<Manifest> {
    let log = path.with_extension("sqlite-wal");
    for _ in 0..READ_TRIES {
        let ways = [Access::Read, Access::ReadInPlace];
        if let Some(manifest) = ways.into_iter().find_map(|access| Manifest::open(path, access, fs::lock_wait()).ok()) {
            return Ok(manifest);
        }
        if fs::entry(&log)?.is_none_or(|log| log.len() == 0) {
            return Manifest::open(path, Access::Immutable, fs::lock_wait());
        }
        // A writer that starts or ends just now leaves neither state for a moment.
        std::thread::sleep(Duration::from_millis(20));
    }
    Manifest::open(path, Access::Read, fs::lock_wait())
}

/// A store that this process has for itself, with its manifest not opened: it may be missing or damaged.
#[derive(Debug)]
#[must_use = "the store is this process's alone only as long as the value lives"]
pub struct ExclusiveStore {
    root: PathBuf,
    /// The bytes.
    pub blobs: Blobs,
    _lock: Lock,
}

impl ExclusiveStore {
    /// Returns the store's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the manifest.
    pub fn manifest_path(&self) -> PathBuf {
        self.root.join("manifest.sqlite")
    }
}
