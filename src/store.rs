//! A store, opened: its folder, format, locks and sessions.
//!
//! ```text
//! STORE/
//!   wcas.json          what kind of store this is; written last, so a folder without it is no store yet
//!   manifest.sqlite    what is true
//!   blobs/b3/00..ff/   the bytes
//!   named/             links that end in a distribution's filename, made when asked for
//!   staging/<session>/ files on their way in
//!   quarantine/        bad bytes
//!   locks/             store (shared by every command), gc (one run), reap (one batch), sessions/<id> (one writer each)
//!   reserve            room that gc gives back on a full disk
//! ```
//!
//! Locks are taken in the order store, session, gc, reap, manifest transaction, and none is held for a process's life but the
//! shared one on `locks/store`, which only a change of format takes alone.

use crate::blobs::{Blobs, Staging};
use crate::fs::{self, Filesystem, Lock, Signature};
use crate::manifest::{self, Access, Manifest, SessionRow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many bytes `reserve` sets aside.
const RESERVE_BYTES: u64 = 8 << 20;
/// The features without which this program can't understand a store.
const INCOMPATIBLE: [&str; 1] = ["b3-v1"];
/// How long a command waits for another process's transaction or batch.
const WAIT: Duration = Duration::from_secs(60);

/// Why a store could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no store at {}", .0.display())]
    Absent(PathBuf),
    /// The folder has other things in it.
    #[error("{} is not empty and not a store", .0.display())]
    Foreign(PathBuf),
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
}

/// The result of using a store.
pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Serialize, Deserialize)]
struct Format {
    store: String,
    #[serde(default)]
    compat: Vec<String>,
    #[serde(default)]
    ro_compat: Vec<String>,
    #[serde(default)]
    incompat: Vec<String>,
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// The bytes.
    pub blobs: Blobs,
    /// What is true.
    pub manifest: Manifest,
    read_only: Option<String>,
    _lock: Option<Lock>,
}

impl Store {
    /// Opens an existing store.
    pub fn open(root: &Path) -> Result<Self> {
        let path = root.join("wcas.json");
        let Some(_) = fs::entry(&path)? else { return Err(Error::Absent(root.to_owned())) };
        let root = std::fs::canonicalize(root).map_err(fs::Error::at("resolve", root))?;
        let text = std::fs::read(&path).map_err(fs::Error::at("read", &path))?;
        let format: Format = serde_json::from_slice(&text).map_err(|source| Error::Format { path, source })?;
        if let Some(feature) = format.incompat.iter().find(|feature| !INCOMPATIBLE.contains(&feature.as_str())) {
            return Err(Error::Feature { path: root, feature: feature.clone() });
        }
        let mut read_only = format.ro_compat.first().map(|feature| format!("it needs {feature:?} for that"));
        if read_only.is_none() {
            read_only = unwritable(&root)?;
        }
        let lock = match Lock::try_shared(&root.join("locks/store")) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => return Err(Error::Busy { what: "the store", holder: "a change of its format".to_owned() }),
            Err(_) if read_only.is_some() => None,
            Err(error) => return Err(error.into()),
        };
        let path = root.join("manifest.sqlite");
        if fs::entry(&path)?.is_none() {
            return Err(Error::NoManifest(root));
        }
        let pending = fs::entry(&root.join("manifest.sqlite-wal"))?.is_some_and(|wal| wal.len() > 0);
        // SQLite can read a log that others write to only where it can write itself; without a log it needs no locks at all.
        let access = if read_only.is_some() && !pending { Access::Immutable } else { Access::Write };
        let manifest = Manifest::open(&path, access, WAIT)?;
        Ok(Self { blobs: Blobs::new(&root), manifest, root, read_only, _lock: lock })
    }

    /// Opens the store, making it when there is none.
    pub fn open_or_create(root: &Path) -> Result<Self> {
        if fs::entry(&root.join("wcas.json"))?.is_none() {
            Self::create(root)?;
        }
        Self::open(root)
    }

    /// Makes a store in an empty or absent folder. One that was begun and not finished is finished.
    pub fn create(root: &Path) -> Result<()> {
        let ours = ["blobs", "locks", "staging", "quarantine", "named", "reserve"];
        let is_ours = |name: &std::ffi::OsString| {
            let name = name.to_string_lossy();
            ours.contains(&name.as_ref()) || name.starts_with("manifest.sqlite") || name.starts_with("wcas.")
        };
        if !fs::names(root)?.iter().all(is_ours) {
            return Err(Error::Foreign(root.to_owned()));
        }
        fs::create_dir_all(root)?;
        refuse_network(root)?;
        fs::create_dir(&root.join("locks"))?;
        let lock = Lock::exclusive(&root.join("locks/create"))?;
        if fs::entry(&root.join("wcas.json"))?.is_some() {
            return Ok(());
        }
        for dir in ["locks/sessions", "staging", "quarantine", "blobs", "blobs/b3"] {
            fs::create_dir(&root.join(dir))?;
        }
        let reserve = root.join("reserve");
        if fs::entry(&reserve)?.is_none() {
            // A store without the reserve works; doctor tells.
            let _ = fs::reserve(&reserve, RESERVE_BYTES);
        }
        drop(Manifest::open(&root.join("manifest.sqlite"), Access::Create, WAIT)?);
        fs::sync_dir(&root.join("blobs"))?;
        fs::sync_dir(root)?;
        let format = Format {
            store: fs::unique_name(),
            compat: Vec::new(),
            ro_compat: Vec::new(),
            incompat: INCOMPATIBLE.map(str::to_owned).to_vec(),
        };
        let text = serde_json::to_vec_pretty(&format).expect("plain strings make JSON");
        fs::write_durable(&root.join("wcas.json"), &text)?;
        lock.remove()?;
        Ok(())
    }

    /// Returns the store's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns an error that says why, if the store can't be written.
    pub fn require_writable(&self) -> Result<()> {
        match &self.read_only {
            Some(why) => Err(Error::ReadOnly { path: self.root.clone(), why: why.clone() }),
            None => refuse_network(&self.root),
        }
    }

    /// Tells whether the store can be written.
    pub fn is_writable(&self) -> bool {
        self.read_only.is_none()
    }

    /// Starts a session: the right to stage files and to hold blobs. Sessions whose process has died are cleared first.
    pub fn session(&self, command: &str, now: i64) -> Result<Session<'_>> {
        self.require_writable()?;
        self.clear_sessions()?;
        let id = fs::unique_name();
        let lock = Lock::exclusive(&self.session_lock(&id))?;
        let dir = self.staging_dir(&id);
        fs::create_dir(&dir)?;
        let look = |path: &Path| fs::entry(path).map(|entry| entry.map(|metadata| Signature::of(&metadata)));
        let (staging, blobs) = (look(&dir)?, look(&self.root.join("blobs/b3"))?);
        if staging.map(|found| found.device) != blobs.map(|found| found.device) {
            let why = "staging/ and blobs/ are on different filesystems".to_owned();
            return Err(Error::ReadOnly { path: self.root.clone(), why });
        }
        let transaction = self.manifest.write()?;
        transaction.insert_session(&SessionRow {
            id: id.clone(),
            host: fs::host_name(),
            boot_id: fs::boot_id(),
            pid: std::process::id(),
            command: command.to_owned(),
            started_at: now,
        })?;
        transaction.commit()?;
        let started_ns = staging.map_or(0, |found| found.changed_ns);
        Ok(Session { store: self, staging: Staging::new(dir), id, started_ns, lock: Some(lock) })
    }

    /// Clears sessions whose process has died: their holds and staged files go. Returns how many.
    pub fn clear_sessions(&self) -> Result<usize> {
        let mut count = 0;
        self.each_dead_session(|id, lock| {
            count += 1;
            self.end_session(id, lock)
        })?;
        Ok(count)
    }

    /// Returns the sessions whose process has died.
    pub fn dead_sessions(&self) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        self.each_dead_session(|id, _lock| {
            ids.push(id.to_owned());
            Ok(())
        })?;
        Ok(ids)
    }

    fn each_dead_session(&self, mut act: impl FnMut(&str, Lock) -> Result<()>) -> Result<()> {
        let mut ids: BTreeSet<String> = self.manifest.sessions()?.into_iter().map(|session| session.id).collect();
        for folder in ["locks/sessions", "staging"] {
            ids.extend(fs::names(&self.root.join(folder))?.into_iter().filter_map(|name| name.into_string().ok()));
        }
        for id in ids {
            // A live session holds its lock from before its row and folder are there until after they are gone.
            if let Some(lock) = Lock::try_exclusive(&self.session_lock(&id))? {
                act(&id, lock)?;
            }
        }
        Ok(())
    }

    fn end_session(&self, id: &str, lock: Lock) -> Result<()> {
        fs::remove_tree(&self.staging_dir(id))?;
        let transaction = self.manifest.write()?;
        transaction.delete_session(id)?;
        transaction.commit()?;
        Ok(lock.remove()?)
    }

    fn session_lock(&self, id: &str) -> PathBuf {
        self.root.join("locks/sessions").join(id)
    }

    fn staging_dir(&self, id: &str) -> PathBuf {
        self.root.join("staging").join(id)
    }

    /// Takes the lock that only one gc run has; an error tells who has it.
    pub fn gc_lock(&self) -> Result<Lock> {
        self.require_writable()?;
        let busy = || Error::Busy { what: "gc", holder: "another run of gc".to_owned() };
        Lock::try_exclusive(&self.root.join("locks/gc"))?.ok_or_else(busy)
    }

    /// Takes the lock of a tree on disk, so that two commands don't make it at once.
    pub fn view_lock(&self, path: &Path) -> Result<Lock> {
        self.require_writable()?;
        let name = crate::digest::Sha256::of(path.as_os_str().as_encoded_bytes()).to_string();
        Ok(Lock::exclusive(&self.root.join("locks").join(format!("view-{}", &name[..16])))?)
    }

    /// Gives the reserved room back to the disk. Returns whether there was any.
    pub fn give_reserve(&self) -> Result<bool> {
        Ok(fs::remove_file(&self.root.join("reserve"))?)
    }

    /// Sets room aside again. Returns whether there is enough.
    pub fn take_reserve(&self) -> bool {
        let path = self.root.join("reserve");
        self.has_reserve() || fs::reserve(&path, RESERVE_BYTES).is_ok()
    }

    /// Tells whether room is set aside.
    pub fn has_reserve(&self) -> bool {
        fs::entry(&self.root.join("reserve")).is_ok_and(|entry| entry.is_some())
    }
}

/// A running writer: a lock file, a row, a staging folder. All three go when it ends; when its process dies, the lock goes and the
/// next session clears the rest.
#[derive(Debug)]
#[must_use = "a session ends when its value is dropped"]
pub struct Session<'s> {
    store: &'s Store,
    /// Files on their way in.
    pub staging: Staging,
    /// The session's identity, for holds.
    pub id: String,
    /// When it started, by the clock of the store's filesystem, in nanoseconds since 1970.
    pub started_ns: i64,
    lock: Option<Lock>,
}

impl Session<'_> {
    /// Ends the session.
    pub fn end(mut self) -> Result<()> {
        match self.lock.take() {
            Some(lock) => self.store.end_session(&self.id, lock),
            None => Ok(()),
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            // On the way out of an error: what can't be cleared now is cleared by the next session.
            let _ = self.store.end_session(&self.id, lock);
        }
    }
}

/// Tells why this process can't write to the store, if it can't.
fn unwritable(root: &Path) -> Result<Option<String>> {
    use rustix::fs::{Access as A, access};
    for name in ["", "manifest.sqlite", "blobs/b3", "locks"] {
        let path = root.join(name);
        match access(&path, A::WRITE_OK) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Ok(Some(format!("{}: {}", path.display(), std::io::Error::from(error)))),
        }
    }
    Ok(None)
}

fn refuse_network(root: &Path) -> Result<()> {
    match fs::filesystem(root)? {
        Filesystem { name, is_network: true } => {
            let why = format!("it is on {name}, whose locks and renames can't be relied on; keep the store on a local disk");
            Err(Error::ReadOnly { path: root.to_owned(), why })
        }
        _ => Ok(()),
    }
}

/// A store that this process has for itself, with its manifest not opened: it may be missing or damaged.
#[derive(Debug)]
#[must_use = "the store is this process's alone only as long as the value lives"]
pub struct Alone {
    root: PathBuf,
    /// The bytes.
    pub blobs: Blobs,
    _lock: Lock,
}

impl Alone {
    /// Returns the store's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the manifest.
    pub fn manifest_path(&self) -> PathBuf {
        self.root.join("manifest.sqlite")
    }
}

/// A staging folder without a session's row, for a look at what the filesystem can do; nothing in the manifest changes. It goes
/// with the value; when its process dies, the next session clears it.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    lock: Option<Lock>,
}

impl Scratch {
    /// Returns the folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            // What can't be removed now is cleared by the next session.
            let _ = fs::remove_tree(&self.dir).and_then(|()| lock.remove());
        }
    }
}

impl Store {
    /// Takes a store for this process alone, whatever the state of its manifest; an error tells that another command is at work.
    pub fn alone(root: &Path) -> Result<Alone> {
        let path = root.join("wcas.json");
        let Some(_) = fs::entry(&path)? else { return Err(Error::Absent(root.to_owned())) };
        let root = std::fs::canonicalize(root).map_err(fs::Error::at("resolve", root))?;
        let text = std::fs::read(&path).map_err(fs::Error::at("read", &path))?;
        let format: Format = serde_json::from_slice(&text).map_err(|source| Error::Format { path, source })?;
        if let Some(feature) = format.incompat.iter().find(|feature| !INCOMPATIBLE.contains(&feature.as_str())) {
            return Err(Error::Feature { path: root, feature: feature.clone() });
        }
        let unknown = format.ro_compat.first().map(|feature| format!("it needs {feature:?} for that"));
        if let Some(why) = unknown.map_or_else(|| unwritable(&root), |why| Ok(Some(why)))? {
            return Err(Error::ReadOnly { path: root, why });
        }
        refuse_network(&root)?;
        let busy = || Error::Busy { what: "the store", holder: "another command".to_owned() };
        let lock = Lock::try_exclusive(&root.join("locks/store"))?.ok_or_else(busy)?;
        Ok(Alone { blobs: Blobs::new(&root), root, _lock: lock })
    }

    /// Makes a staging folder that no session has.
    pub fn scratch(&self) -> Result<Scratch> {
        self.require_writable()?;
        let id = fs::unique_name();
        // The lock comes first: a folder in staging/ whose lock can be taken is cleared by others.
        let lock = Lock::exclusive(&self.session_lock(&id))?;
        let scratch = Scratch { dir: self.staging_dir(&id), lock: Some(lock) };
        fs::create_dir(&scratch.dir)?;
        Ok(scratch)
    }
}
