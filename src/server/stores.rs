//! Handles on one store, borrowed by threads: a handle has one connection to the manifest, which one thread uses at a time.

use crate::error::Result;
use crate::store::Store;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// So many idle handles are kept; more are opened when more threads want one.
const IDLE: usize = 4;

/// So much of the manifest a handle keeps in memory; the kernel keeps the rest.
const CACHE_KIB: i64 = 1024;

/// The handles.
#[derive(Debug)]
pub struct Stores {
    root: PathBuf,
    idle: Mutex<Vec<Store>>,
    /// A handle that only looks: its own changes would not be seen.
    watch: Mutex<Store>,
}

/// A handle; it goes back when the value is dropped.
#[derive(Debug)]
pub struct Borrowed<'a> {
    stores: &'a Stores,
    store: Option<Store>,
}

impl Stores {
    /// Opens the first handles.
    pub fn open(root: &Path) -> Result<Self> {
        let store = open(root)?;
        let root = store.root().to_owned();
        let watch = Mutex::new(open(&root)?);
        Ok(Self { root, idle: Mutex::new(vec![store]), watch })
    }

    /// Returns the store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns a number that moves whenever anybody, this process too, has changed the manifest: microseconds.
    pub fn version(&self) -> Result<i64> {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(watch.manifest.version()?)
    }

    /// Borrows a handle.
    pub fn borrow(&self) -> Result<Borrowed<'_>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let store = idle.map_or_else(|| open(&self.root), Ok)?;
        Ok(Borrowed { stores: self, store: Some(store) })
    }
}

/// Opens a handle for the server.
pub(super) fn open(root: &Path) -> Result<Store> {
    let store = Store::open(root)?;
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
