//! A store as one who only reads it sees it, with a copy of its manifest: what a command would do is tried there.

use super::{Error, READ_TRIES, Result, Store, format, manifest_path};
use crate::blobs::Blobs;
use crate::fs::{self, Lock};
use crate::manifest::{self, Access, Manifest, SessionRow};
use std::path::Path;
use std::time::Duration;

impl Store {
    /// Opens an existing store to try a change on a copy of its manifest. That needs no right to write, takes no lock that others
    /// wait for, and changes nothing in the store: rows that are written are the copy's, and files can't be changed.
    pub fn open_to_rehearse(root: &Path) -> Result<Self> {
        let identity = format::identify(root)?;
        if Lock::is_held_alone(&identity.root.join("locks/store")) == Some(true) {
            let holder = "a rebuild or a change of its format".to_owned();
            return Err(Error::Busy { what: "the store", holder });
        }
        let manifest = copied(&manifest_path(&identity.root)?)?;
        Ok(Self::rehearsing(&identity.root, identity.id, manifest))
    }

    /// Opens a store's manifest alone, to read it at once: no lock is taken, nothing is waited for, and nothing is left there.
    pub fn glance(root: &Path) -> Result<Manifest> {
        let identity = format::identify(root)?;
        if Lock::is_held_alone(&identity.root.join("locks/store")) == Some(true) {
            let holder = "a rebuild or a change of its format".to_owned();
            return Err(Error::Busy { what: "the store", holder });
        }
        let path = manifest_path(&identity.root)?;
        let open = |access: &Access| Manifest::open(&path, *access, Duration::ZERO);
        let mut opened = Err(manifest::Error::Replaced(path.clone()));
        for access in ways(&path)? {
            opened = open(access);
            if opened.is_ok() {
                break;
            }
        }
        Ok(opened?)
    }

    /// Opens a store to try a change as [`Store::open_to_rehearse`] does; where there is none, one that has nothing yet.
    pub fn open_or_imagine(root: &Path) -> Result<Self> {
        match Self::open_to_rehearse(root) {
            Err(Error::Absent(_)) => {
                let manifest = Manifest::blank_rehearsal(&root.join("manifest.sqlite"), fs::lock_wait())?;
                Ok(Self::rehearsing(root, fs::unique_name(), manifest))
            }
            opened => opened,
        }
    }

    fn rehearsing(root: &Path, id: String, manifest: Manifest) -> Self {
        let (blobs, root) = (Blobs::new(root), root.to_owned());
        Self {
            root,
            id,
            blobs,
            manifest,
            read_only: None,
            is_full: false,
            is_rehearsal: true,
            share: None,
            behind: None,
            _lock: None,
        }
    }

    /// Returns the sessions whose process has died, as far as one who only reads the store can tell.
    pub fn abandoned_sessions(&self) -> Result<Vec<String>> {
        let mut sessions = self.manifest.sessions()?;
        sessions.retain(|session| match Lock::is_held_alone(&self.session_lock(&session.id)) {
            Some(is_held) => !is_held,
            None => has_ended(session),
        });
        Ok(sessions.into_iter().map(|session| session.id).collect())
    }
}

/// Tells whether a session's process is gone, where its lock can't be seen; of another machine's nothing is known.
fn has_ended(session: &SessionRow) -> bool {
    session.host == fs::host_name() && (session.boot_id != fs::boot_id() || !fs::is_running(session.pid))
}

/// Returns how a manifest can be read without leaving a trace. While others have it open, there is an index of the log (`-shm`), and it
/// is read as all readers do; without one there is nothing but the file itself.
fn ways(path: &Path) -> fs::Result<&'static [Access]> {
    let [log, index] = ["sqlite-wal", "sqlite-shm"].map(|end| path.with_extension(end));
    let has_log = fs::entry(&log)?.is_some_and(|log| log.len() > 0);
    Ok(match (has_log, fs::entry(&index)?.is_some()) {
        (false, false) => &[Access::Immutable],
        (true, false) => &[Access::Read],
        (false, true) => &[Access::ReadInPlace, Access::Read, Access::Immutable],
        (true, true) => &[Access::ReadInPlace, Access::Read],
    })
}

/// Copies a manifest without leaving a trace.
fn copied(path: &Path) -> manifest::Result<Manifest> {
    for _ in 0..READ_TRIES {
        for access in ways(path)? {
            match Manifest::rehearsal(path, *access, fs::lock_wait()) {
                Ok(copy) => return Ok(copy),
                Err(error @ (manifest::Error::Newer { .. } | manifest::Error::Foreign(_))) => return Err(error),
                // Another way may do, or the same one when whoever starts or ends just now is done.
                Err(_) => {}
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Manifest::rehearsal(path, Access::Read, fs::lock_wait())
}
