//! `doctor`: what is wrong with a store, and what to do about it, without reading blobs' bytes.
//!
//! Nothing is changed: what the filesystem can do is tried out in a staging folder that goes at once. Imports and gc may run
//! meanwhile; what looks wrong is looked at once more before it is said. Bytes are verify's matter.

mod blobs;
mod node;
mod rights;
mod settings;
mod unopened;

pub use node::NodeState;
pub use unopened::diagnose;

use crate::context::Context;
use crate::digest::Blake3;
use crate::error::{Error, Result};
use crate::fs::{self, Lock};
use crate::manifest::BlobRow;
use crate::store::{self, Store};
use crate::words::{counted, reason};
use blobs::MODE;
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// With less free room than this, a note says so.
const LITTLE_ROOM_BYTES: u64 = 1 << 30;
/// What to do about a file or folder that can't be looked at.
const DISK_ADVICE: &str = "see why it can't be read or written: whose it is, what kind of file, what links lead to it";

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is broken.
    Problem,
    /// Good to know.
    Note,
}

/// One thing that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What kind of thing: `missing`, `orphan`, …
    pub kind: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// Where; of several files, the first.
    #[serde(serialize_with = "crate::fs::text::path_or_none")]
    pub path: Option<PathBuf>,
    /// What is the matter.
    pub detail: String,
    /// What to do about it.
    pub advice: String,
}

/// What `doctor` found.
#[derive(Debug, Serialize)]
pub struct DoctorReport {
    /// The store's folder.
    #[serde(serialize_with = "crate::fs::text::path")]
    pub store: PathBuf,
    /// The filesystem that it is on.
    pub filesystem: String,
    /// Whether files there can share blocks.
    pub reflink: bool,
    /// The bytes that can still be written.
    pub free_bytes: u64,
    /// Whether this process can write to the store.
    pub is_writable: bool,
    /// The share that the store is a node of.
    pub share: Option<NodeState>,
    /// What was found, problems first.
    pub findings: Vec<Finding>,
}

/// A walk over one kind of thing after the other, which gathers findings.
struct Examination<'a> {
    store: &'a Store,
    findings: Vec<Finding>,
}

/// Examines a store.
pub fn doctor(store: &Store, context: &Context<'_>) -> Result<DoctorReport> {
    let filesystem = fs::filesystem(store.root())?;
    let free_bytes = fs::free_bytes(store.root())?;
    let mut examination = Examination { store, findings: Vec::new() };
    if filesystem.is_network {
        let detail = format!("the store is on {}, whose locks and renames can't be relied on", filesystem.name);
        examination.problem("network", Some(store.root()), detail, "keep the store on a local disk");
    }
    if free_bytes < LITTLE_ROOM_BYTES {
        let detail = format!("{free_bytes} bytes are free");
        examination.note("room", Some(store.root()), detail, "`wcas gc` frees what nothing refers to");
    }
    let tried = store.require_writable().and_then(|()| examination.try_filesystem());
    let reflink = match &tried {
        Ok(reflink) => *reflink,
        Err(error) => {
            if !filesystem.is_network {
                let advice = "run as the store's owner, with room on the disk, or import elsewhere";
                examination.problem("unwritable", Some(store.root()), reason(error), advice);
            }
            false
        }
    };
    let share = examination.share();
    context.progress.start("examining", 0);
    match examination.manifest(context.now) {
        Err(Error::Manifest(error) | Error::Store(store::Error::Manifest(error))) if error.is_corrupt() => {
            examination.damaged(reason(&error));
        }
        done => done?,
    }
    let done = examination.quarantine();
    examination.told(done)?;
    if !store.has_reserve() {
        let detail = "no room is set aside for gc on a full disk".to_owned();
        examination.note("reserve", None, detail, "`wcas gc` sets it aside when there is enough room");
    }
    context.progress.finish();
    let mut findings = examination.findings;
    findings.sort_by_key(|finding| finding.severity);
    Ok(DoctorReport {
        store: store.root().to_owned(),
        filesystem: filesystem.name,
        reflink,
        free_bytes,
        is_writable: tried.is_ok(),
        share,
        findings,
    })
}

impl Examination<'_> {
    fn add(&mut self, kind: &'static str, severity: Severity, path: Option<&Path>, detail: String, advice: &str) {
        let (path, advice) = (path.map(Path::to_owned), advice.to_owned());
        self.findings.push(Finding { kind, severity, path, detail, advice });
    }

    fn problem(&mut self, kind: &'static str, path: Option<&Path>, detail: String, advice: &str) {
        self.add(kind, Severity::Problem, path, detail, advice);
    }

    fn note(&mut self, kind: &'static str, path: Option<&Path>, detail: String, advice: &str) {
        self.add(kind, Severity::Note, path, detail, advice);
    }

    fn damaged(&mut self, detail: String) {
        let advice = "keep a copy of it, then put a backup in place or `wcas rebuild --force`";
        self.problem("manifest", Some(&self.store.root().join("manifest.sqlite")), detail, advice);
    }

    /// Makes a finding of what can't be looked at: all else is looked at none the less.
    fn told<T: Default>(&mut self, done: Result<T>) -> Result<T> {
        let error = match done {
            Err(Error::Disk(error) | Error::Store(store::Error::Disk(error))) => error,
            done => return done,
        };
        let (path, error) = (error.path.clone(), Error::Disk(error));
        self.problem("disk", Some(&path), reason(&error), DISK_ADVICE);
        Ok(T::default())
    }

    /// Tries out locks and clones; tells whether files can be cloned.
    fn try_filesystem(&mut self) -> store::Result<bool> {
        let scratch = self.store.scratch()?;
        let path = scratch.dir().join("lock");
        let first = Lock::try_exclusive(&path)?;
        if first.is_none() || Lock::try_exclusive(&path)?.is_some() {
            let detail = "two locks on one file don't exclude each other".to_owned();
            self.problem("locks", Some(self.store.root()), detail, "keep the store on a local disk");
        }
        let original = scratch.dir().join("original");
        fs::write_new(&original, b"wcas")?;
        let is_cloned = fs::reflink(&fs::open(&original)?, &scratch.dir().join("clone"), MODE)?.is_some();
        if !is_cloned {
            let detail = "the filesystem can't clone files: imports and reflink views copy bytes".to_owned();
            let advice = "imports with `--link hardlink` and views with symlinks copy none; btrfs and xfs can clone";
            self.note("reflink", None, detail, advice);
        }
        Ok(is_cloned)
    }

    fn manifest(&mut self, now: i64) -> Result<()> {
        for complaint in self.store.manifest.complaints()? {
            self.damaged(complaint);
        }
        let rows = self.blobs()?;
        self.unfinished()?;
        self.clock(now)?;
        for examine in [Self::filenames, Self::sessions] {
            let done = examine(self);
            self.told(done)?;
        }
        let done = self.links(&rows);
        self.told(done)?;
        self.views()?;
        self.remotes()?;
        self.write_backs()?;
        self.routes()?;
        self.guards()?;
        self.log()
    }

    fn log(&mut self) -> Result<()> {
        let check = super::record::verify_log(self.store, None)?;
        if let Some(first) = check.problems.first() {
            let more = match check.problems.len() {
                1 => String::new(),
                count => format!("; {} more", count - 1),
            };
            let advice = "find out who could write to the store; `wcas log verify` tells all";
            self.problem("log", None, format!("the log is not whole: {}{more}", first.detail), advice);
        }
        Ok(())
    }

    /// Looks for what killed commands left in the manifest.
    fn unfinished(&mut self) -> Result<()> {
        let manifest = &self.store.manifest;
        let staged = manifest.unwanted()?.len();
        if staged > 0 {
            let detail = format!("{} that a killed command didn't finish", counted(staged, "blob"));
            self.note("staged", None, detail, "import the files again, or `wcas gc` clears them");
        }
        if !manifest.deleting()?.is_empty() && self.store.is_writable() {
            // gc holds this lock while such rows are its own.
            let reap = self.store.blobs.reap()?;
            let left = manifest.deleting()?.len();
            drop(reap);
            if left > 0 {
                let detail = format!("{} that a killed gc didn't finish deleting", counted(left, "blob"));
                self.note("deleting", None, detail, "`wcas gc` finishes it");
            }
        }
        Ok(())
    }

    /// Looks whether a rebuild would find the filenames.
    fn filenames(&mut self) -> Result<()> {
        let noted = self.store.blobs.noted_filenames()?;
        let is_noted = |(blake3, name): &&(Blake3, String)| noted.get(blake3).is_some_and(|names| names.contains(name));
        let all = self.store.manifest.all_filenames()?;
        let count = all.iter().filter(|row| !is_noted(row)).count();
        if count > 0 {
            let detail = format!("{} that nothing but the manifest knows", counted(count, "filename"));
            self.note("filenames", None, detail, "`wcas gc` notes them in filenames, for a rebuild");
        }
        Ok(())
    }

    fn sessions(&mut self) -> Result<()> {
        if self.store.is_writable() {
            let dead = self.store.dead_sessions()?;
            if let Some(first) = dead.first() {
                let path = self.store.root().join("staging").join(first);
                let path = fs::entry(&path)?.map(|_| path);
                let count = counted(dead.len(), "session");
                let detail = format!("{count} whose process has died, with its holds and staged files");
                self.note("session", path.as_deref(), detail, "the next import or `wcas gc` clears it");
            }
        }
        Ok(())
    }

    /// Looks for links in `named/` that lead to no blob.
    fn links(&mut self, rows: &HashMap<Blake3, BlobRow>) -> Result<()> {
        let mut dangling = Vec::new();
        for (path, blob) in self.store.blobs.all_links()? {
            let is_known = blob.is_some_and(|blake3| rows.contains_key(&blake3));
            if !is_known && blob.is_none_or(|blake3| !self.store.blobs.path(&blake3).exists()) {
                dangling.push(path);
            }
        }
        if let Some(first) = dangling.first() {
            let detail = format!("{} in named/ whose blob is gone", counted(dangling.len(), "name"));
            self.note("named", Some(first), detail, "nothing needs them: remove them by hand");
        }
        Ok(())
    }

    fn views(&mut self) -> Result<()> {
        for view in self.store.manifest.views()? {
            let path = Path::new(&view.path);
            if crate::ops::view::is_unfinished(&view) {
                let advice = format!(
                    "if nobody is at work, `wcas view --to {0}` or `wcas view --remove {0}` again ends it",
                    view.path
                );
                let detail =
                    "the view is being changed, or that was cut off: its page lists only what is there".to_owned();
                self.note("view", Some(path), detail, &advice);
            } else if let Some(detail) = crate::ops::view::damage(self.store, &view)? {
                let advice = match path.exists() {
                    true => format!(
                        "`wcas verify --repair`, or `wcas view --to {}` with what it shows, makes that anew",
                        view.path
                    ),
                    false => format!("wcas view --remove {}", view.path),
                };
                self.problem("view", Some(path), detail, &advice);
            }
        }
        Ok(())
    }

    fn quarantine(&mut self) -> Result<()> {
        let files = self.store.blobs.quarantined()?;
        let mut bytes = 0;
        for file in &files {
            bytes += fs::entry(file)?.map_or(0, |entry| entry.len());
        }
        if !files.is_empty() {
            let detail = format!("{} of wrong bytes in quarantine, {bytes} bytes", counted(files.len(), "file"));
            let dir = self.store.root().join("quarantine");
            self.note("quarantine", Some(&dir), detail, "look at them for the cause, then remove them by hand");
        }
        Ok(())
    }
}
