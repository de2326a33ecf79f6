//! `backup`: all that a store has, kept elsewhere, as it was at several times.
//!
//! Each file is put once; a state is the manifest, with the objects of its blobs. It is put last, so one that is there is whole.

use crate::blobs::{Blobs, Staging};
use crate::context::Context;
use crate::digest::Blake3;
use crate::error::{Error, Result};
use crate::fs;
use crate::keep::elsewhere::{TRANSFERS, fetch_to};
use crate::keep::objects::{self, Fault};
use crate::manifest::{Access, BackedUp, BlobRow, Manifest, State};
use crate::parallel;
use crate::share::{self, Location, Share, Snapshot};
use crate::store::{self, Scratch, Store};
use crate::words::reason;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// So many files are put at a time.
const BATCH: usize = 64;
/// So often what came meanwhile is put, too, before the state is.
const TRIES: u32 = 20;

/// What `backup` is told.
#[derive(Debug, Clone, Default)]
pub struct BackupOptions {
    /// Read what is there already, and put again what is wrong.
    pub verify: bool,
    /// Remove states that are older than so many seconds, but for the newest, and the files that are in no other.
    pub keep_for: Option<i64>,
}

/// What `backup` did.
#[derive(Debug, Default, Serialize)]
pub struct BackupReport {
    /// Where the backup is.
    pub backup: String,
    /// The newest record of the store's log in the state that was put.
    pub number: i64,
    /// How many files the state has.
    pub blobs: usize,
    /// How many of them were put; the others were there.
    pub put: usize,
    /// The bytes that were put.
    pub bytes: u64,
    /// How many objects that were there had other bytes than they should.
    pub wrong: usize,
    /// How many old states were removed.
    pub removed_states: usize,
    /// How many files were removed that are in no state any more.
    pub removed_blobs: usize,
    /// Files that can't be put: the store hasn't got their bytes.
    pub problems: Vec<String>,
}

/// A state of a store in a backup.
#[derive(Debug, Serialize)]
pub struct StateReport {
    /// When it was put, by the backup's clock, in seconds since 1970.
    pub at: i64,
    /// The newest record of the store's log in it.
    pub number: i64,
}

impl From<&Snapshot> for StateReport {
    fn from(state: &Snapshot) -> Self {
        Self { at: state.at(), number: state.number }
    }
}

/// The objects that a backup has, by the digest and size of their bytes.
type Objects = HashMap<(Blake3, u64), String>;

/// A backup that is being made.
struct Making<'a> {
    store: &'a Store,
    context: &'a Context<'a>,
    share: &'a Share,
    scratch: &'a Scratch,
    objects: Objects,
    /// What can't be put.
    without: HashSet<Blake3>,
    report: BackupReport,
}

/// Puts what a store has into its backup.
pub fn backup(
    store: &Store,
    context: &Context<'_>,
    location: &Location,
    options: &BackupOptions,
) -> Result<BackupReport> {
    store.require_up_to_date()?;
    if let Some(path) = location.folder().filter(|path| path.starts_with(store.root())) {
        return Err(Error::Refused(format!("{} is inside the store: what takes one takes both", path.display())));
    }
    let share = Share::at(location)?;
    share.make_backup(store.common_id())?;
    let _lock = share.lock_backup()?.map_err(|holder| store::Error::Busy { what: "the backup", holder })?;
    let scratch = store.scratch()?;
    let objects = share.objects()?.into_iter().map(|object| ((object.blake3, object.size), object.generation));
    let mut making = Making {
        store,
        context,
        share: &share,
        scratch: &scratch,
        objects: objects.collect(),
        without: HashSet::new(),
        report: BackupReport { backup: share.url().to_owned(), ..BackupReport::default() },
    };
    if options.verify {
        making.verify()?;
    }
    making.put_blobs()?;
    making.put_state()?;
    if let Some(seconds) = options.keep_for {
        making.prune(seconds)?;
    }
    share.tidy()?;
    Ok(making.report)
}

impl Making<'_> {
    /// Reads the objects that the state is going to have. Wrong ones are as good as none.
    fn verify(&mut self) -> Result<()> {
        let mut rows = self.store.manifest.blobs()?;
        for row in &mut rows {
            row.generation = self.objects.get(&(row.blake3, row.size)).cloned();
        }
        rows.retain(|row| row.generation.is_some());
        let (share, progress) = (self.share, self.context.progress);
        progress.start_files("reading the backup", rows.len() as u64, rows.iter().map(|row| row.size).sum());
        let named = self.store.manifest.named(&rows);
        let faults = parallel::map(TRANSFERS, &named, |(row, name)| {
            progress.on(name, row.size, || objects::read(share, row, &|_| {}))
        });
        progress.finish();
        for (row, fault) in rows.iter().zip(faults) {
            if fault?.is_some_and(|fault| fault != Fault::Missing) {
                self.report.wrong += 1;
                self.objects.remove(&(row.blake3, row.size));
            }
        }
        Ok(())
    }

    /// Puts all blobs that the backup lacks.
    fn put_blobs(&mut self) -> Result<()> {
        let mut rows = self.store.manifest.blobs()?;
        rows.retain(|row| !self.without.contains(&row.blake3) && !self.objects.contains_key(&(row.blake3, row.size)));
        let source = Source {
            blobs: &self.store.blobs,
            own: self.store.share(),
            backup: self.share,
            staging: Staging::new(self.scratch.dir().to_owned()),
        };
        let progress = self.context.progress;
        progress.start_files("backing up", rows.len() as u64, rows.iter().map(|row| row.size).sum());
        for batch in rows.chunks(BATCH) {
            let named = self.store.manifest.named(batch);
            let put = parallel::map(TRANSFERS, &named, |(row, name)| progress.on(name, row.size, || source.put(row)));
            for (row, put) in batch.iter().zip(put) {
                match put? {
                    Ok(generation) => {
                        self.objects.insert((row.blake3, row.size), generation);
                        self.report.put += 1;
                        self.report.bytes += row.size;
                    }
                    // gc may have taken it meanwhile.
                    Err(_) if self.store.manifest.find_blob(&row.blake3)?.is_none() => {}
                    Err(why) => {
                        self.without.insert(row.blake3);
                        self.report.problems.push(format!("{}: {why}", row.blake3));
                    }
                }
            }
        }
        progress.finish();
        Ok(())
    }

    /// Puts the manifest, once the backup has all that it names.
    fn put_state(&mut self) -> Result<()> {
        let [plain, packed] = ["state", "state.zst"].map(|name| self.scratch.dir().join(name));
        for _ in 0..TRIES {
            fs::remove_file(&plain)?;
            let BackedUp { number, blobs, missing } = self.store.manifest.back_up(&plain, &self.objects)?;
            if missing.iter().any(|blake3| !self.without.contains(blake3)) {
                self.put_blobs()?;
                continue;
            }
            fs::remove_file(&packed)?;
            fs::pack(&plain, &packed)?;
            let (blake3, _) = Blobs::hash(&packed)?;
            (self.report.number, self.report.blobs) = (number, blobs - missing.len());
            return Ok(self.share.put_state(number, &fs::open(&packed)?, &packed, &blake3)?);
        }
        Err(Error::Refused("the store changes faster than it can be backed up: try again in a moment".to_owned()))
    }

    /// Removes old states, and then the objects that none of the others has.
    fn prune(&mut self, seconds: i64) -> Result<()> {
        let mut states = self.share.states()?;
        let Some(newest) = states.pop() else { return Ok(()) };
        let limit = self.share.time()?.saturating_sub(seconds);
        let (old, kept): (Vec<_>, Vec<_>) = states.into_iter().partition(|state| state.at() < limit);
        for state in &old {
            self.share.remove_state(state)?;
            self.report.removed_states += 1;
        }
        if old.is_empty() {
            return Ok(());
        }
        let mut wanted = HashSet::new();
        for state in kept.iter().chain([&newest]) {
            let path = self.scratch.dir().join("old");
            if !self.share.unpack_snapshot(state, &path)? {
                // Who knows what it names?
                return Err(share::Error::WrongBytes(state.key()).into());
            }
            wanted.extend(Manifest::open(&path, Access::Immutable, fs::lock_wait())?.objects()?);
            fs::remove_file(&path)?;
        }
        for object in self.share.objects()? {
            let name = format!("{}.{}", object.blake3, object.generation);
            if !wanted.contains(&name) {
                self.share.remove_blob(&name)?;
                self.report.removed_blobs += 1;
            }
        }
        Ok(())
    }
}

/// Where bytes come from, and go to; many threads ask it.
struct Source<'a> {
    blobs: &'a Blobs,
    /// The share that has what this node hasn't got.
    own: Option<&'a Share>,
    backup: &'a Share,
    staging: Staging,
}

impl Source<'_> {
    /// Puts one blob; tells why its bytes can't be had.
    fn put(&self, row: &BlobRow) -> Result<std::result::Result<String, String>> {
        let (path, is_fetched) = match (row.state, self.own) {
            (State::Live, _) => (self.blobs.path(&row.blake3), false),
            (State::Elsewhere, Some(own)) => match fetch_to(own, row, &self.staging) {
                Ok(Some(path)) => (path, true),
                Ok(None) => return Ok(Err("the share hasn't got it".to_owned())),
                Err(error) => return Ok(Err(reason(&error))),
            },
            _ => return Ok(Err("its bytes are lost".to_owned())),
        };
        let file = match fs::open(&path) {
            Ok(file) => file,
            Err(error) => return Ok(Err(reason(&error))),
        };
        let put = self.backup.put_blob(&file, &path, &row.blake3);
        if is_fetched {
            fs::remove_file(&path)?;
        }
        match put {
            Ok(generation) => Ok(Ok(generation.as_str().to_owned())),
            Err(share::Error::WrongBytes(_)) => Ok(Err("its bytes are wrong; `wcas verify` tells more".to_owned())),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns the states of a backup, the newest last.
pub fn states(location: &Location) -> Result<Vec<StateReport>> {
    let share = Share::at(location)?;
    share.require_backup()?;
    Ok(share.states()?.iter().map(StateReport::from).collect())
}
