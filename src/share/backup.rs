//! A backup of a store: laid out as a share without a log. Its snapshots are states of the store, each with the generations of its blobs'
//! objects, so one that is being restored is a node of it that can't write.

use super::{BACKUP, Error, Format, Generation, MAX_BYTES, Result, Share, Snapshot};
use crate::digest::Blake3;
use crate::fs;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::Path;

/// After so many seconds nobody is at work any more, where he can't be looked for.
const LOCK_SECONDS: i64 = 2 * 86_400;
const LOCK: &str = "lock";

/// Who is at work on a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    host: String,
    machine: String,
    boot: String,
    pid: u32,
    at: i64,
}

/// The right to be the only one at work on a backup; it ends with the value.
#[derive(Debug)]
pub struct BackupLock<'s>(&'s Share);

impl Drop for BackupLock<'_> {
    fn drop(&mut self) {
        // Where it stays, the next one sees that its process is gone.
        let _ = self.0.bucket.remove(LOCK);
    }
}

impl Share {
    /// Makes sure that the backup of a store is here; it is made where nothing is.
    pub fn make_backup(&self, store: &str) -> Result<()> {
        if self.format()?.is_none() {
            self.prepare()?;
            let format = Format { share: store.to_owned(), incompat: vec![BACKUP.to_owned()], log: None };
            let text = serde_json::to_vec_pretty(&format).expect("plain strings make JSON");
            self.bucket.create("wcas.json", &text)?;
        }
        let found = self.require_backup()?;
        if found != store {
            return Err(Error::OtherBackup { url: self.url.clone(), found });
        }
        Ok(())
    }

    /// Returns which store this is a backup of.
    pub fn require_backup(&self) -> Result<String> {
        match self.format()? {
            Some(format) if format.is_backup() => Ok(format.share),
            _ => Err(Error::NoBackup(self.url.clone())),
        }
    }

    /// Lets nobody else be at work on the backup; an answer tells who is.
    pub fn lock_backup(&self) -> Result<std::result::Result<BackupLock<'_>, String>> {
        let (host, machine, boot) = (fs::host_name(), fs::machine(), fs::boot_id());
        let own = Holder { host, machine, boot, pid: std::process::id(), at: self.time()? };
        let text = serde_json::to_vec(&own).expect("plain values make JSON");
        loop {
            if self.bucket.create(LOCK, &text)? {
                return Ok(Ok(BackupLock(self)));
            }
            let Some(found) = self.bucket.get(LOCK, MAX_BYTES)? else { continue };
            let holder: Option<Holder> = serde_json::from_slice(&found).ok();
            match holder {
                // The answer to the first try was lost.
                Some(holder) if holder == own => return Ok(Ok(BackupLock(self))),
                Some(holder) if !holder.is_gone(&own) => {
                    return Ok(Err(format!("process {} on {}", holder.pid, holder.host)));
                }
                _ => self.bucket.remove(LOCK)?,
            }
        }
    }

    /// Puts a state of the store, a file whose digest this is, beside the others.
    pub fn put_state(&self, number: i64, file: &File, path: &Path, blake3: &Blake3) -> Result<()> {
        let name = |at| format!("snapshots/{number:020}.{}.{blake3}", Generation::new(at).as_str());
        self.bucket.put(file, path, blake3, &name)
    }

    /// Returns the states of the store, the newest last.
    pub fn states(&self) -> Result<Vec<Snapshot>> {
        let mut states = self.snapshots()?;
        states.sort_by_key(|state| (state.at(), state.number));
        Ok(states)
    }

    /// Removes a state. Its blobs stay.
    pub fn remove_state(&self, state: &Snapshot) -> Result<()> {
        self.bucket.remove(&state.key())
    }
}

impl Holder {
    /// Tells whether a holder's process is known to be gone, or was at it long ago.
    fn is_gone(&self, own: &Self) -> bool {
        let is_here = self.machine == own.machine;
        is_here && (self.boot != own.boot || !fs::is_running(self.pid) || self.pid == own.pid)
            || own.at - self.at > LOCK_SECONDS
    }
}
