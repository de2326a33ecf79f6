//! Handles on one store, borrowed by threads: a handle has one connection to the manifest, which one thread uses at a time.
//!
//! Whoever takes a handle looks whether its manifest is still the one at its path: a backup may have been put back, or a store made
//! anew. Then all handles are opened again, for what the old one says is not true any more.

use crate::error::Result;
use crate::manifest::Actor;
use crate::store::Store;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

/// So many idle handles are kept; more are opened when more threads want one.
const IDLE: usize = 4;

/// So many look for changes at a time, at most.
const MAX_WATCHES: usize = 4;

/// So long a watch believes that its manifest is still the one at its path: to look costs a tenth of a page. Who writes always looks.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// So much of the manifest a handle keeps in memory; the kernel keeps the rest.
const CACHE_KIB: i64 = 1024;

/// The handles.
#[derive(Debug)]
pub struct Stores {
    root: PathBuf,
    /// Who writes, where nobody else is named: the server.
    actor: Actor,
    idle: Mutex<Vec<Store>>,
    /// Who looks for changes: several, so that threads need not wait for one another.
    watches: Vec<Mutex<Watch>>,
    /// Moves with every change that a watch sees.
    version: AtomicI64,
}

/// A handle that only looks: its own changes would not be seen.
#[derive(Debug)]
struct Watch {
    store: Store,
    /// What it saw last; each handle counts for itself.
    seen: i64,
    /// When it last looked at the manifest's path.
    looked: Instant,
}

/// A handle; it goes back when the value is dropped.
#[derive(Debug)]
pub struct Borrowed<'a> {
    stores: &'a Stores,
    store: Option<Store>,
}

impl Stores {
    /// Opens the first handles.
    pub fn open(root: &Path, actor: Actor) -> Result<Self> {
        let store = open(root, &actor)?;
        let root = store.root().to_owned();
        let count = thread::available_parallelism().map_or(1, usize::from).min(MAX_WATCHES);
        let watches = (0..count).map(|_| Watch::open(&root, &actor).map(Mutex::new)).collect::<Result<_>>()?;
        Ok(Self { root, actor, idle: Mutex::new(vec![store]), watches, version: AtomicI64::new(0) })
    }

    /// Returns the store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns a number that moves whenever anybody, this process too, has changed the manifest: microseconds.
    ///
    /// A change moves it once for each watch that sees it, which costs a second look at what was made since. It never stays when
    /// there was a change before the call: a watch that saw none since its last look has told of all that it saw.
    pub fn version(&self) -> Result<i64> {
        let free = self.watches.iter().find_map(|watch| match watch.try_lock() {
            Ok(watch) => Some(watch),
            Err(TryLockError::Poisoned(watch)) => Some(watch.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        let mut watch = free.unwrap_or_else(|| self.watches[0].lock().unwrap_or_else(PoisonError::into_inner));
        if watch.looked.elapsed() >= LOOK_PAUSE && !watch.is_current() {
            *watch = Watch::open(&self.root, &self.actor)?;
            self.version.fetch_add(1, Ordering::AcqRel);
        }
        let found = watch.store.manifest.version()?;
        if found != watch.seen {
            watch.seen = found;
            self.version.fetch_add(1, Ordering::AcqRel);
        }
        Ok(self.version.load(Ordering::Acquire))
    }

    /// Returns who writes, where nobody else is named.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Borrows a handle, with which the server writes.
    pub fn borrow(&self) -> Result<Borrowed<'_>> {
        self.borrow_for(&self.actor)
    }

    /// Borrows a handle, with which somebody writes.
    pub fn borrow_for(&self, actor: &Actor) -> Result<Borrowed<'_>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut store = reopened(&mut idle, &self.root, actor)?;
        if store.manifest.actor() != actor {
            store.manifest.set_actor(actor.clone());
        }
        Ok(Borrowed { stores: self, store: Some(store) })
    }
}

impl Watch {
    fn open(root: &Path, actor: &Actor) -> Result<Self> {
        let store = open(root, actor)?;
        Ok(Self { seen: store.manifest.version()?, store, looked: Instant::now() })
    }

    /// Looks whether the manifest is still the one at its path.
    fn is_current(&mut self) -> bool {
        self.looked = Instant::now();
        self.store.is_current()
    }
}

/// Takes a handle that is kept, if its manifest is still the store's; else opens one.
pub(super) fn reopened(kept: &mut Option<Store>, root: &Path, actor: &Actor) -> Result<Store> {
    match kept.take().filter(|store| store.is_current()) {
        Some(store) => Ok(store),
        None => open(root, actor),
    }
}

/// Opens a handle for the server.
pub(super) fn open(root: &Path, actor: &Actor) -> Result<Store> {
    let mut store = Store::open(root)?;
    store.manifest.set_actor(actor.clone());
    store.manifest.set_cache(CACHE_KIB)?;
    Ok(store)
}

impl Deref for Borrowed<'_> {
    type Target = Store;

    fn deref(&self) -> &Store {
        self.store.as_ref().expect("it is taken on drop only")
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        // A panic may have left a transaction open: then the handle is not used again.
        if std::thread::panicking() {
            return;
        }
        let mut idle = self.stores.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.extend(self.store.take());
        }
    }
}
