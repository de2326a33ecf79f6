//! Pages as they go out, kept until what they show changes.
//!
//! A page is right as long as the manifest's version is the one at which it was made; when that has moved, as long as the stamp of its
//! view is the same, and, with files of remotes, until a time. Bounded by bytes; what was not used for long goes first.

use super::negotiate::Form;
use crate::server::coding::Coding;
use crate::server::endpoint::ViewName;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// So many bytes of pages are kept, in all forms and codings.
const MAX_BYTES: usize = 16 << 20;

/// A page in one form.
#[derive(Debug)]
pub(super) struct Page {
    /// What it shows.
    pub(super) view: ViewName,
    /// The view's stamp when it was made.
    pub(super) stamp: u64,
    /// The manifest's version at which it was last known to be right.
    pub(super) version: AtomicI64,
    /// Until when it is right, in seconds since 1970.
    pub(super) until: Option<i64>,
    pub(super) form: Form,
    /// Its entity tag without quotes and without what the coding adds.
    pub(super) tag: String,
    pub(super) bytes: Bytes,
    gzip: OnceLock<Bytes>,
    zstd: OnceLock<Bytes>,
    /// What mirrors compare.
    pub(super) serial: i64,
    /// How long it may be believed without asking.
    pub(super) cache_control: &'static str,
    /// The remotes whose files are missing from it.
    pub(super) incomplete: Option<String>,
    used: AtomicU64,
}

/// What is known of a page that is to be kept.
pub(super) struct Made {
    pub(super) view: ViewName,
    pub(super) stamp: u64,
    pub(super) version: i64,
    pub(super) until: Option<i64>,
    pub(super) form: Form,
    pub(super) bytes: Bytes,
    pub(super) serial: i64,
    pub(super) cache_control: &'static str,
    pub(super) incomplete: Option<String>,
}

impl Page {
    pub(super) fn new(made: Made) -> Self {
        let digest = blake3::hash(&made.bytes).to_hex();
        Self {
            view: made.view,
            stamp: made.stamp,
            version: AtomicI64::new(made.version),
            until: made.until,
            form: made.form,
            tag: format!("{}{}", &digest[..24], made.form.suffix()),
            bytes: made.bytes,
            gzip: OnceLock::new(),
            zstd: OnceLock::new(),
            serial: made.serial,
            cache_control: made.cache_control,
            incomplete: made.incomplete,
            used: AtomicU64::new(0),
        }
    }

    /// Returns the page in a coding, if it is made already or needs no making.
    pub(super) fn ready(&self, coding: Coding) -> Option<Bytes> {
        match coding {
            Coding::Identity => Some(self.bytes.clone()),
            Coding::Gzip => self.gzip.get().cloned(),
            Coding::Zstd => self.zstd.get().cloned(),
        }
    }

    /// Returns the page in a coding, made once.
    pub(super) fn coded(&self, coding: Coding) -> Bytes {
        let made = match coding {
            Coding::Identity => return self.bytes.clone(),
            Coding::Gzip => &self.gzip,
            Coding::Zstd => &self.zstd,
        };
        // Coding needs memory only; should that fail, an uncoded page under the coding's name would be wrong.
        made.get_or_init(|| coding.encode(&self.bytes).expect("bytes in memory can be coded into memory")).clone()
    }

    fn size(&self) -> usize {
        let coded = [&self.gzip, &self.zstd].into_iter().filter_map(OnceLock::get).map(Bytes::len).sum::<usize>();
        self.bytes.len() + coded + 512
    }
}

/// The pages by path and form.
#[derive(Debug, Default)]
pub(super) struct Cache {
    pages: Mutex<HashMap<Key, Arc<Page>>>,
    /// Counts uses, so that the least recent is known.
    clock: AtomicU64,
}

/// What a page is found by.
pub(super) type Key = (Box<str>, Form);

impl Cache {
    fn pages(&self) -> MutexGuard<'_, HashMap<Key, Arc<Page>>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a page, right or not.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Page>> {
        let page = self.pages().get(key).cloned()?;
        page.used.store(self.clock.fetch_add(1, Relaxed), Relaxed);
        Some(page)
    }

    /// Keeps a page.
    pub(super) fn put(&self, key: Key, page: &Arc<Page>) {
        if page.size() > MAX_BYTES / 2 {
            return;
        }
        page.used.store(self.clock.fetch_add(1, Relaxed), Relaxed);
        let mut pages = self.pages();
        pages.insert(key, page.clone());
        let total: usize = pages.values().map(|page| page.size()).sum();
        if total > MAX_BYTES {
            // Half goes at once, so that this is rare.
            let mut by_use: Vec<(u64, usize)> =
                pages.values().map(|page| (page.used.load(Relaxed), page.size())).collect();
            by_use.sort_unstable();
            let mut left = total;
            let mut oldest = 0;
            for (used, size) in by_use {
                if left <= MAX_BYTES / 2 {
                    break;
                }
                left -= size;
                oldest = used;
            }
            pages.retain(|_, page| page.used.load(Relaxed) > oldest);
        }
    }
}
