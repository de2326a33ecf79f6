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

mod format;
mod rehearsal;
mod reserve;
mod session;
mod shared;

pub use session::{Scratch, Session};
use shared::Followed;
pub use shared::{MayConflict, Membership, despite_others, node_name};

use crate::blobs::Blobs;
use crate::digest::Blake3;
use crate::fs::{self, Beside, Lock};
use crate::manifest::{self, Access, Manifest};
use crate::name::RemoteName;
use crate::share::{self, Snapshot};
use format::Identity;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a store's path may be: SQLite's limit is 512 bytes for its longest file, `manifest.sqlite-journal` or a rebuilt one.
const MAX_PATH_BYTES: usize = 460;

/// The folders that a store has from the beginning, those above first.
const FOLDERS: [&str; 5] = ["locks/sessions", "staging", "quarantine", "blobs", "blobs/b3"];

/// How often a store that can't be written is tried to be opened while others start and end.
const READ_TRIES: u32 = 50;

/// Why a store could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no store at {}", .0.display())]
    Absent(PathBuf),
    /// The folder has other things in it.
    #[error("{} is not empty and not a store", .0.display())]
    Foreign(PathBuf),
    /// SQLite takes no longer paths than 512 bytes.
    #[error("the path of a store at {} is too long: {bytes} bytes, and {MAX_PATH_BYTES} is the most", path.display())]
    TooLong {
        /// The store.
        path: PathBuf,
        /// How long it is.
        bytes: usize,
    },
    /// `wcas.json` is damaged.
    #[error("{} can't be understood", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// The store has a feature that this program doesn't know.
    #[error("the store at {} needs {feature:?}, which this wcas doesn't know: use a newer wcas", path.display())]
    Feature {
        /// The store.
        path: PathBuf,
        /// The feature.
        feature: String,
    },
    /// The manifest is gone.
    #[error("the store at {} has lost its manifest.sqlite", .0.display())]
    NoManifest(PathBuf),
    /// The store can be read but not written.
    #[error("the store at {} can't be written: {why}", path.display())]
    ReadOnly {
        /// The store.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The store can be read, and not written before there is room.
    #[error("the store at {} can't be written: its disk has no room left", .0.display())]
    NoRoom(PathBuf),
    /// Another process has the store for itself.
    #[error("{what} is in use by {holder}")]
    Busy {
        /// Which lock.
        what: &'static str,
        /// Who holds it.
        holder: String,
    },
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] fs::Error),
    /// The manifest failed.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The share's log can't be reached.
    #[error("the shared store's log can't be followed: {0}")]
    Behind(String),
    /// A node's manifest isn't made of the blobs that it happens to have.
    #[error("the store at {} is a node of {url}: its manifest is the share's", path.display())]
    Node {
        /// The store.
        path: PathBuf,
        /// The share.
        url: String,
    },
    /// A node whose `wcas.json` is gone doesn't know of which share it is one.
    #[error("the store at {} is a node of a shared one, and has lost the wcas.json that says of which", .0.display())]
    LostNode(PathBuf),
    /// The share failed.
    #[error(transparent)]
    Share(#[from] share::Error),
}

/// The result of using a store.
pub type Result<T> = std::result::Result<T, Error>;

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

    /// Makes a store in an empty or absent folder, as a node of a share where one is said. One that was begun and not finished is
    /// finished.
    pub fn create(root: &Path, share: Option<Membership>) -> Result<()> {
        Self::create_with(root, share, None)
    }

    /// Makes a store in an empty or absent folder, as it was in a state of its backup; it is called as the one was that was backed up.
    pub fn create_of_state(root: &Path, backup: Membership, state: &Snapshot) -> Result<()> {
        Self::create_with(root, Some(backup), Some(state))
    }

    fn create_with(root: &Path, share: Option<Membership>, state: Option<&Snapshot>) -> Result<()> {
        let ours = ["blobs", "filenames", "locks", "staging", "quarantine", "metadata", "named", "reserve"];
        let is_ours = |name: &std::ffi::OsString| {
            let name = name.to_string_lossy();
            ours.contains(&name.as_ref()) || name.starts_with("manifest.sqlite") || name.starts_with("wcas.")
        };
        if !fs::names(root)?.iter().all(is_ours) {
            return Err(Error::Foreign(root.to_owned()));
        }
        refuse_long(root)?;
        let was_there = fs::entry(root)?.is_some();
        let was_empty = fs::names(root)?.is_empty();
        let done = Self::make(root, share, state);
        if done.is_err() && was_empty {
            unmake(root);
            if !was_there {
                let _ = fs::remove_empty_dir(root);
            }
        }
        done
    }

    fn make(root: &Path, share: Option<Membership>, state: Option<&Snapshot>) -> Result<()> {
        fs::create_dir_all(root)?;
        let root = &std::fs::canonicalize(root).map_err(fs::Error::at("resolve", root))?;
        format::refuse_network(root)?;
        fs::remember_owner(root)?;
        fs::create_dir(&root.join("locks"))?;
        fs::close_to_readers(&root.join("locks"))?;
        let lock = Lock::exclusive(&root.join("locks/create"))?;
        if fs::entry(&root.join("wcas.json"))?.is_some() {
            return Ok(());
        }
        for dir in FOLDERS {
            fs::create_dir(&root.join(dir))?;
        }
        // A store without the reserve works; doctor tells.
        let _ = reserve::set_aside(root);
        if share.is_none() {
            format::refuse_lost_node(root)?;
        }
        let manifest = root.join("manifest.sqlite");
        if let Some(share) = share.as_ref().filter(|_| !manifest.exists()) {
            shared::begin_from_snapshot(&manifest, share, state)?;
        }
        drop(Manifest::open(&manifest, Access::Create, fs::lock_wait())?);
        fs::give(&manifest)?;
        fs::sync_dir(&root.join("blobs"))?;
        fs::sync_dir(root)?;
        let id = state.and(share.as_ref()).map_or_else(fs::unique_name, |backup| backup.share.clone());
        format::write(root, id, share)?;
        lock.remove()?;
        Ok(())
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

    /// Takes the lock that only one gc run has; an error tells who has it.
    pub fn gc_lock(&self) -> Result<Lock> {
        self.require_changeable()?;
        let busy = || Error::Busy { what: "gc", holder: "another run of gc".to_owned() };
        Lock::try_exclusive(&self.root.join("locks/gc"))?.ok_or_else(busy)
    }

    /// Takes the locks of a tree on disk, whose folder must be there, so that two commands don't make it at once: this store's own, and
    /// the folder itself, which those of other stores take as well.
    pub fn view_lock(&self, path: &Path) -> Result<TreeLock> {
        self.require_changeable()?;
        let own = Lock::exclusive(&self.view_lock_path(path))?;
        let folder = if fs::entry(path)?.is_some() { Lock::folder(path)? } else { None };
        Ok(TreeLock { _locks: [Some(own), folder] })
    }

    /// Keeps commands from making or removing a tree while it is looked at, which needs no right to write. `None`: one is at it.
    pub fn still_view(&self, path: &Path) -> Option<TreeLock> {
        let share = |path: &Path| match Lock::try_beside(path) {
            Beside::Held => None,
            Beside::Shared(lock) => Some(Some(lock)),
            Beside::Absent | Beside::Unknown => Some(None),
        };
        Some(TreeLock { _locks: [share(&self.view_lock_path(path))?, share(path)?] })
    }

    fn view_lock_path(&self, path: &Path) -> PathBuf {
        let name = crate::digest::Sha256::of(path.as_os_str().as_encoded_bytes()).to_string();
        self.root.join("locks").join(format!("view-{}", &name[..16]))
    }

    /// Returns what takes locks without a manifest, so that many threads can.
    pub fn locks(&self) -> Locks {
        Locks { dir: self.root.join("locks") }
    }
}

/// The locks of a tree on disk.
#[derive(Debug)]
#[must_use = "locks are held only as long as their value lives"]
pub struct TreeLock {
    _locks: [Option<Lock>; 2],
}

/// Returns the path of a store's manifest, which must be a file.
fn manifest_path(root: &Path) -> Result<PathBuf> {
    let path = root.join("manifest.sqlite");
    if fs::entry(&path)?.is_none() {
        return Err(Error::NoManifest(root.to_owned()));
    }
    Ok(path)
}

/// Takes away what was begun of a store in a folder that was empty, as far as that is possible: nothing is in it yet. Another process
/// that waits to make it begins anew, or tells that the folder is gone.
fn unmake(root: &Path) {
    if !matches!(fs::entry(&root.join("wcas.json")), Ok(None)) {
        return;
    }
    let _ = reserve::give_back(root);
    for end in ["", "-wal", "-shm", "-journal", "-new-packed", "-new"] {
        let _ = fs::remove_file(&root.join(format!("manifest.sqlite{end}")));
    }
    let _ = fs::remove_file(&root.join("wcas.tmp"));
    let _ = fs::remove_file(&root.join("locks/create"));
    for dir in FOLDERS.iter().rev().chain(&["locks"]) {
        let _ = fs::remove_empty_dir(&root.join(dir));
    }
}

/// Refuses a path that is too long for the manifest's own files.
fn refuse_long(root: &Path) -> Result<()> {
    let path = fs::absolute(root)?;
    let above = path.ancestors().find_map(|above| Some((above, std::fs::canonicalize(above).ok()?)));
    let bytes = above.map_or(path.as_os_str().len(), |(above, real)| {
        real.as_os_str().len() + path.as_os_str().len() - above.as_os_str().len()
    });
    if bytes > MAX_PATH_BYTES { Err(Error::TooLong { path, bytes }) } else { Ok(()) }
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

/// Takes locks that many threads of a process, and other processes, want.
#[derive(Debug, Clone)]
pub struct Locks {
    dir: PathBuf,
}

impl Locks {
    /// Takes the lock of a file that is being pulled, known by its digest or URL. Tells whether somebody else had it first.
    pub fn pull(&self, key: &str) -> fs::Result<(Lock, bool)> {
        let name = crate::digest::Sha256::of(key.as_bytes()).to_string();
        let path = self.dir.join(format!("pull-{}", &name[..16]));
        match Lock::try_exclusive(&path)? {
            Some(lock) => Ok((lock, false)),
            None => Ok((Lock::exclusive_at_last(&path)?, true)),
        }
    }

    /// Takes the lock of what is sent to a remote, so that nothing is sent by two at once; `None`: somebody is sending.
    pub fn push(&self, remote: &RemoteName) -> fs::Result<Option<Lock>> {
        Lock::try_exclusive(&self.dir.join(format!("push-{remote}")))
    }

    /// Takes the lock of a run of the same inputs; `wait` is told that somebody else has it, before this waits for them.
    pub fn run(&self, key: &Blake3, wait: impl FnOnce()) -> fs::Result<Lock> {
        let path = self.dir.join(format!("run-{}", &key.to_string()[..16]));
        if let Some(lock) = Lock::try_exclusive(&path)? {
            return Ok(lock);
        }
        wait();
        Lock::exclusive_at_last(&path)
    }
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
