//! Sessions: running writers, and what is cleared when one has died.

use super::{Error, Result, Store};
use crate::blobs::Staging;
use crate::fs::{self, Lock, Signature};
use crate::manifest::SessionRow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

impl Store {
    /// Starts a session: the right to stage files and to hold blobs. Sessions whose process has died are cleared first.
    pub fn session(&self, command: &str, now: i64) -> Result<Session<'_>> {
        self.require_changeable()?;
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
        for (folder, is_folder) in [("locks/sessions", false), ("staging", true)] {
            let dir = self.root.join(folder);
            for name in fs::names(&dir)? {
                // A pipe, a link or a stray file is nobody's session, and doctor's matter.
                let fits = |found: std::fs::Metadata| if is_folder { found.is_dir() } else { found.is_file() };
                if fs::entry(&dir.join(&name))?.is_some_and(fits) {
                    ids.extend(name.into_string());
                }
            }
        }
        for id in ids {
            if fs::entry(&self.session_lock(&id))?.is_some_and(|found| !found.is_file()) {
                continue;
            }
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

    pub(super) fn session_lock(&self, id: &str) -> PathBuf {
        self.root.join("locks/sessions").join(id)
    }

    fn staging_dir(&self, id: &str) -> PathBuf {
        self.root.join("staging").join(id)
    }

    /// Makes a staging folder that no session has.
    pub fn scratch(&self) -> Result<Scratch> {
        self.require_changeable()?;
        let id = fs::unique_name();
        // The lock comes first: a folder in staging/ whose lock can be taken is cleared by others.
        let lock = Lock::exclusive(&self.session_lock(&id))?;
        let scratch = Scratch { dir: self.staging_dir(&id), lock: Some(lock) };
        fs::create_dir(&scratch.dir)?;
        Ok(scratch)
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
