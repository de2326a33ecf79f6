//! `serve --watch`: what appears in folders is imported, and what changes there is imported again.
//!
//! A [`Watch`] looks when it is told to, and never waits: who calls it says the time. Folders are asked for their modification
//! time, files for their stat (`folders`); a file is taken when it stood still for a moment and is whole (`sight`). What vanishes
//! from a folder stays in the store. Nothing is remembered from one start to the next but what every import remembers, by which a
//! file that was imported before costs no read.

mod folders;
mod sight;

use crate::blobs::LinkMode;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fs;
use crate::intake::{ImportOptions, ImportReport, Made, Refused, Source, import};
use crate::ops::destination::Destination;
use crate::store::Store;
use crate::wheel::{self, DistributionFilename, Trust};
use crate::words::reason;
use folders::{Folders, Part};
use sight::{FileSight, Sights, Stage};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So many files are imported at a time, at most: the end of the server waits for no more.
const BATCH_FILES: usize = 512;
/// So many bytes, unless one file has more.
const BATCH_BYTES: u64 = 512 << 20;
/// After a failure of the store, the first pause; each further one doubles it.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// What `serve --watch` is told.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// The folders.
    pub dirs: Vec<PathBuf>,
    /// Where what is found there goes.
    pub destination: Destination,
    /// How bytes come into the store.
    pub link: LinkMode,
}

/// What a look at the folders came to.
#[derive(Debug, Default)]
pub struct WatchReport {
    /// What was imported.
    pub import: Option<ImportReport>,
    /// What was not taken, or can't be looked at: each is told once, and again when it has changed.
    pub problems: Vec<Refused>,
    /// Why the store took nothing this time; the same reason is told once.
    pub failure: Option<String>,
    /// Whether more is ready, so that the next look should come at once.
    pub has_more: bool,
}

/// Folders that are watched, and what is known of the files in them.
#[derive(Debug)]
pub struct Watch {
    options: WatchOptions,
    folders: Vec<Folders>,
    sights: Sights,
    /// The pause after the last failure, and when it is over.
    pause: Option<(Duration, Instant)>,
    failure: Option<String>,
}

impl Watch {
    /// Takes folders that are there, outside the store.
    pub fn new(store: &Store, options: WatchOptions) -> Result<Self> {
        store.require_writable()?;
        let root = std::fs::canonicalize(store.root()).map_err(fs::Error::at("resolve", store.root()))?;
        let mut dirs: Vec<PathBuf> = Vec::new();
        for dir in &options.dirs {
            let path = std::fs::canonicalize(dir).map_err(fs::Error::at("watch", dir))?;
            if !path.is_dir() {
                return Err(Error::Refused(format!("{} is no folder, and only folders are watched", dir.display())));
            }
            if path.starts_with(&root) {
                let text = "is in the store: what is there is imported already, so watch a folder outside of it";
                return Err(Error::Refused(format!("{} {text}", dir.display())));
            }
            if let Some(other) = dirs.iter().find(|other| path.starts_with(other) || other.starts_with(&path)) {
                let text = "are one in the other: folders are watched with all that is in them, so name the outer one";
                return Err(Error::Refused(format!("{} and {} {text}", other.display(), path.display())));
            }
            dirs.push(path);
        }
        let folders = dirs.into_iter().map(|dir| Folders::new(dir, root.clone())).collect();
        Ok(Self { options, folders, sights: Sights::default(), pause: None, failure: None })
    }

    /// Looks at the folders, and imports what is ready.
    pub fn import_ready(&mut self, store: &Store, context: &Context<'_>, at: Instant) -> WatchReport {
        let mut report = WatchReport::default();
        for folders in &mut self.folders {
            report.problems.extend(folders.find_changes(&mut self.sights, at));
        }
        self.sights.refresh(at);
        report.problems.extend(self.sights.incomplete(at));
        if self.pause.is_none_or(|(_, until)| at >= until) {
            match self.import_batch(store, context, at, &mut report) {
                Ok(()) => (self.pause, self.failure) = (None, None),
                Err(error) => self.fail(&error, at, &mut report),
            }
        }
        report
    }

    /// Imports one batch of what is ready.
    fn import_batch(
        &mut self,
        store: &Store,
        context: &Context<'_>,
        at: Instant,
        report: &mut WatchReport,
    ) -> Result<()> {
        let (batch, has_more) = self.batch(at);
        let mut sources = Vec::with_capacity(batch.len());
        for path in batch {
            let Some(sight) = self.sights.get_mut(&path) else { continue };
            let Some(filename) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
            match whole(store, &path, &filename, sight)? {
                None => {
                    let signature = sight.signature;
                    let made = Made { is_prebuilt: sight.part == Part::Prebuilt, source_url: None };
                    sources.push(Source { path, filename, signature, origin: None, yanked: None, made });
                }
                Some(reason) => sight.stage = Stage::Incomplete(reason),
            }
        }
        report.has_more = has_more;
        if sources.is_empty() {
            return Ok(());
        }
        let target = self.options.destination.target(store)?;
        let options = ImportOptions { target, link: self.options.link, keep_existing: false, trust: Trust::Neither };
        let paths: Vec<PathBuf> = sources.iter().map(|source| source.path.clone()).collect();
        let mut imported = import(store, context, sources, &options)?;
        for path in paths {
            if let Some(sight) = self.sights.get_mut(&path) {
                sight.stage = Stage::Done;
            }
        }
        // What vanished meanwhile is no problem: it was moved on, or its owner changed their mind.
        let is_there = |refused: &Refused| refused.path.exists();
        report.problems.extend(std::mem::take(&mut imported.refused).into_iter().filter(is_there));
        report.import = Some(imported);
        Ok(())
    }

    /// Chooses what is imported next, and tells whether more is ready. Of several files with one name the newest counts, wherever it
    /// lies; the others are passed over.
    fn batch(&mut self, at: Instant) -> (Vec<PathBuf>, bool) {
        let ready = self.sights.ready(at);
        let mut newest: HashMap<&str, (i64, &Path)> = HashMap::new();
        for (path, sight) in self.sights.iter().filter(|_| !ready.is_empty()) {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let mine = (sight.signature.modified_ns, path);
            let known = newest.entry(name).or_insert(mine);
            *known = mine.max(*known);
        }
        let (mut batch, mut passed_over, mut bytes, mut has_more) = (Vec::new(), Vec::new(), 0, false);
        for path in ready {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if newest.get(name).is_some_and(|(_, other)| *other != path) {
                passed_over.push(path);
                continue;
            }
            bytes += self.sights.get(&path).map_or(0, |sight| sight.signature.size);
            if batch.len() == BATCH_FILES || bytes > BATCH_BYTES && !batch.is_empty() {
                has_more = true;
                break;
            }
            batch.push(path);
        }
        for path in passed_over {
            if let Some(sight) = self.sights.get_mut(&path) {
                sight.stage = Stage::Done;
            }
        }
        (batch, has_more)
    }

    fn fail(&mut self, error: &Error, at: Instant, report: &mut WatchReport) {
        let pause = self.pause.map_or(PAUSE, |(pause, _)| (pause * 2).min(MAX_PAUSE));
        self.pause = Some((pause, at + pause));
        let text = reason(error);
        if self.failure.as_ref() != Some(&text) {
            report.failure = Some(text.clone());
            self.failure = Some(text);
        }
        report.has_more = false;
    }
}

/// Tells what a file lacks to be whole. What was imported as it stands was whole then; what can't be opened is the import's to tell.
fn whole(store: &Store, path: &Path, filename: &str, sight: &FileSight) -> Result<Option<String>> {
    if store.manifest.find_seen(&sight.signature)?.is_some() {
        return Ok(None);
    }
    let (Ok(name), Ok(file)) = (DistributionFilename::parse(filename), fs::open(path)) else { return Ok(None) };
    Ok(wheel::check_whole(&file, &name).err().map(|error| reason(&error)))
}
