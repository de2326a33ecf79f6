//! Brings what was chosen: downloads by several threads, imports what has come while the rest is on its way.

use super::{PendingRequirement, Pulled, Run};
use crate::blobs::LinkMode;
use crate::context::Context;
use crate::error::Result;
use crate::intake::{ImportOptions, Target, import};
use crate::manifest::RemoteOutcome;
use crate::name::RemoteName;
use crate::parallel;
use crate::store::Store;
use crate::supply::fetch::{count, count_failure, metered, note};
use crate::supply::moved::moved;
use crate::supply::task::{DownloadFailure, Fetched, Task};
use crate::wheel::Trust;
use crate::words::reason;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

/// As many files as are imported together while others are downloaded.
const BATCH_FILES: usize = 256;

/// A task by its place, and how it ended: the error is the reason, none when another process was at it.
type Brought = (usize, std::result::Result<Pulled, Option<String>>);

impl Run<'_> {
    /// Brings the best offer of each requirement; each file once, however many want it.
    pub(super) fn bring(&mut self, items: &mut [PendingRequirement<'_>]) -> Result<()> {
        let mut tasks: Vec<Task<'_>> = Vec::new();
        let mut waiting: Vec<Vec<usize>> = Vec::new();
        let mut places: HashMap<(RemoteName, String), usize> = HashMap::new();
        for (index, item) in items.iter_mut().enumerate().filter(|(_, item)| item.met.is_none()) {
            let Some(task) = item.offers.pop_front() else { continue };
            let key = (task.remote.name.clone(), task.file.url.to_string());
            let place = *places.entry(key).or_insert_with(|| {
                tasks.push(task.clone());
                waiting.push(Vec::new());
                tasks.len() - 1
            });
            waiting[place].push(index);
        }
        if tasks.is_empty() {
            return Ok(());
        }
        let done = self.download(&tasks)?;
        for (place, result) in done {
            let task = &tasks[place];
            for &index in &waiting[place] {
                let item = &mut items[index];
                match &result {
                    Ok(pulled) => {
                        item.met = Some(Pulled { requirement: item.want.wish.spec.to_string(), ..pulled.clone() })
                    }
                    Err(Some(reason)) => {
                        let text = format!("{}: {reason}", task.file.name.as_str());
                        item.notes.push(note(task.remote, text));
                    }
                    // Another process was fetching it: the same offer once more, from the store by then.
                    Err(None) => item.offers.push_front(task.clone()),
                }
            }
        }
        Ok(())
    }

    /// Downloads files by several threads and imports what has come, batch by batch.
    fn download(&mut self, tasks: &[Task<'_>]) -> Result<Vec<Brought>> {
        let (store, context, client) = (self.store, self.context, self.client);
        let mut results = Vec::with_capacity(tasks.len());
        let (mut known, mut wanted) = (Vec::new(), Vec::new());
        for (place, task) in tasks.iter().enumerate() {
            match task.known(store)? {
                Some(path) => known.push((place, path)),
                None => wanted.push(place),
            }
        }
        self.import(tasks, known, LinkMode::Auto, &mut results)?;
        let total = wanted.iter().filter_map(|&place| tasks[place].file.size).sum();
        // The largest first: the small ones fill the gaps at the end.
        wanted.sort_by_key(|&place| std::cmp::Reverse(tasks[place].file.size.unwrap_or(0)));
        let scratch = store.scratch()?;
        let locks = store.locks();
        // Threads look into the manifest by a connection of their own.
        let mut beside = Store::open(store.root())?;
        beside.manifest.set_actor(store.manifest.actor().clone());
        let beside = Mutex::new(beside);
        context.progress.start_files("downloading", wanted.len() as u64, total);
        let (sender, receiver) = mpsc::channel();
        let stop = AtomicBool::new(false);
        let done = std::thread::scope(|scope| {
            let (scratch, locks, wanted, stop, beside) = (&scratch, &locks, &wanted, &stop, &beside);
            let threads = self.options.downloads;
            let work = move |sender: mpsc::Sender<_>| {
                parallel::map(threads, wanted, |&place| {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let to = scratch.dir().join(place.to_string());
                    // A receiver that is gone has met an error of the store, which ends the pull.
                    let task = &tasks[place];
                    let is_there = || task.known(&beside.lock().unwrap_or_else(PoisonError::into_inner));
                    let fetch = |task: &Task<'_>| {
                        let (name, size) = (task.file.name.as_str(), task.file.size.unwrap_or(0));
                        let download = || task.download(client, locks, &is_there, to.clone(), &metered);
                        context.progress.on(name, size, download)
                    };
                    let mut done = fetch(task);
                    if let Err(DownloadFailure::Failed(failure)) = &done {
                        let found = {
                            let store = beside.lock().unwrap_or_else(PoisonError::into_inner);
                            moved(&store, context, client, task, failure)
                        };
                        done = found.map_or(done, |task| fetch(&task));
                    }
                    let _ = sender.send((place, done));
                });
            };
            let own = sender.clone();
            if parallel::spawn(scope, move || work(own)).is_none() {
                work(sender.clone());
            }
            drop(sender);
            let done = self.take_downloads(tasks, &receiver, &mut results);
            stop.store(done.is_err(), Ordering::Relaxed);
            done
        });
        context.progress.finish();
        done.map(|()| results)
    }

    fn take_downloads(
        &mut self,
        tasks: &[Task<'_>],
        receiver: &mpsc::Receiver<(usize, std::result::Result<Fetched, DownloadFailure>)>,
        results: &mut Vec<Brought>,
    ) -> Result<()> {
        while let Ok(first) = receiver.recv() {
            let mut batch = Vec::new();
            for (place, result) in std::iter::once(first).chain(receiver.try_iter().take(BATCH_FILES)) {
                match result {
                    Ok(fetched) => batch.push((place, fetched)),
                    Err(DownloadFailure::Store(error)) => return Err(error),
                    Err(DownloadFailure::Elsewhere) => results.push((place, Err(None))),
                    Err(DownloadFailure::Failed(failure)) => {
                        let reason = reason(&failure);
                        count_failure(self.store, self.context, &tasks[place], &reason);
                        results.push((place, Err(Some(reason))));
                    }
                }
            }
            for (place, fetched) in &batch {
                self.downloaded_bytes += fetched.bytes;
                let (bytes, milliseconds) = (fetched.bytes, fetched.milliseconds);
                count(self.store, self.context, tasks[*place].remote, RemoteOutcome::Hit, bytes, milliseconds);
            }
            let paths = batch.iter().map(|(place, fetched)| (*place, fetched.path.clone())).collect();
            self.import(tasks, paths, LinkMode::Move, results)?;
            batch.into_iter().for_each(|(_, fetched)| fetched.release());
        }
        Ok(())
    }

    /// Imports files, those of one target together.
    fn import(
        &self,
        tasks: &[Task<'_>],
        files: Vec<(usize, std::path::PathBuf)>,
        link: LinkMode,
        results: &mut Vec<Brought>,
    ) -> Result<()> {
        let mut groups: BTreeMap<String, (Target, Vec<(usize, std::path::PathBuf)>)> = BTreeMap::new();
        for (place, path) in files {
            let own = &tasks[place].remote.collection_name;
            let target = match &self.options.target {
                Some(target) => target.clone(),
                None => Target::of_pulls(&self.store.manifest, self.options.variant.as_ref(), own)?,
            };
            groups.entry(own.to_string()).or_insert_with(|| (target, Vec::new())).1.push((place, path));
        }
        for (target, files) in groups.into_values() {
            self.import_group(tasks, target, files, link, results)?;
        }
        Ok(())
    }

    fn import_group(
        &self,
        tasks: &[Task<'_>],
        target: Target,
        files: Vec<(usize, std::path::PathBuf)>,
        link: LinkMode,
        results: &mut Vec<Brought>,
    ) -> Result<()> {
        let mut sources = Vec::with_capacity(files.len());
        for (place, path) in &files {
            sources.push(tasks[*place].import_source(path.clone())?);
        }
        let options = ImportOptions { target, link, keep_existing: true, trust: Trust::Neither };
        // The downloads' own bar goes on.
        let report = import(self.store, &Context { progress: &(), ..*self.context }, sources, &options)?;
        let mut left: HashSet<usize> = files.iter().map(|(place, _)| *place).collect();
        for distribution in report.distributions {
            let is_it = |place: &usize| tasks[*place].file.name.as_str() == distribution.filename;
            let Some(place) = left.iter().copied().find(is_it) else { continue };
            left.remove(&place);
            let pulled = Pulled {
                requirement: String::new(),
                filename: distribution.filename,
                collection: distribution.collection,
                remote: Some(tasks[place].remote.name.clone()),
                sha256: distribution.sha256,
                size: distribution.size,
                outcome: distribution.outcome,
            };
            results.push((place, Ok(pulled)));
        }
        for (place, path) in &files {
            if left.contains(place) {
                let refused = report.refused.iter().find(|refused| refused.path == *path);
                let reason =
                    refused.map_or_else(|| "nothing was imported".to_owned(), |refused| refused.reason.clone());
                results.push((*place, Err(Some(reason))));
            }
        }
        Ok(())
    }
}
