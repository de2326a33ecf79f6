//! Pages as they go out, kept until what they show changes.
//!
//! A page is right as long as the manifest's version is the one at which it was made; when that has moved, as long as the stamp of its
//! view is the same, and, with files of remotes, until a time. Bounded by bytes; what was not used for long goes first.

use super::negotiate::Form;
use super::{INCOMPLETE, SERIAL};
use crate::server::answer::{USUAL_HEADERS, sign};
use crate::server::bounded_cache::BoundedCache;
use crate::server::coding::Coding;
use crate::server::endpoint::ViewName;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, VARY};
use std::collections::HashMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// So many bytes of pages are kept, in all forms and codings.
const MAX_BYTES: usize = 16 << 20;
/// As many bytes takes one usually.
const USUAL_BYTES: usize = 16 << 10;
/// About so much a map of headers takes.
const HEADERS_BYTES: usize = 2 << 10;

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
    form: Form,
    /// Its entity tag without quotes and without what the coding adds.
    tag: String,
    /// What every answer about it tells.
    pub(super) told: HeaderMap,
    plain: Coded,
    gzip: OnceLock<Coded>,
    zstd: OnceLock<Coded>,
    /// The remotes whose files are missing from it.
    pub(super) incomplete: Option<String>,
}

/// A page as it goes out in a coding.
#[derive(Debug)]
pub(super) struct Coded {
    pub(super) bytes: Bytes,
    pub(super) etag: String,
    /// Its answer's headers, made once: to copy them takes less than to make them.
    pub(super) headers: HeaderMap,
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
        let tag = format!("{}{}", &digest[..24], made.form.suffix());
        let mut told = HeaderMap::new();
        told.insert(CACHE_CONTROL, HeaderValue::from_static(made.cache_control));
        told.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        told.insert(SERIAL, HeaderValue::from(made.serial));
        if let Some(remotes) = made.incomplete.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            told.insert(INCOMPLETE, remotes);
        }
        Self {
            plain: Coded::new((&tag, Coding::Identity), made.form, &told, made.bytes),
            view: made.view,
            stamp: made.stamp,
            version: AtomicI64::new(made.version),
            until: made.until,
            form: made.form,
            tag,
            told,
            gzip: OnceLock::new(),
            zstd: OnceLock::new(),
            incomplete: made.incomplete,
        }
    }

    /// Returns the coding in which a client gets the page.
    pub(super) fn coding(&self, asked: &HeaderMap) -> Coding {
        Coding::accepted(asked).of_size(self.plain.bytes.len())
    }

    /// Returns its entity tag in a coding.
    pub(super) fn etag(&self, coding: Coding) -> String {
        etag(&self.tag, coding)
    }

    /// Returns the page in a coding, if it is made already or needs no making.
    pub(super) fn ready(&self, coding: Coding) -> Option<&Coded> {
        match coding {
            Coding::Identity => Some(&self.plain),
            Coding::Gzip => self.gzip.get(),
            Coding::Zstd => self.zstd.get(),
        }
    }

    /// Returns the page in a coding, made once.
    pub(super) fn coded(&self, coding: Coding) -> &Coded {
        let made = match coding {
            Coding::Identity => return &self.plain,
            Coding::Gzip => &self.gzip,
            Coding::Zstd => &self.zstd,
        };
        made.get_or_init(|| {
            // Coding needs memory only; should that fail, an uncoded page under the coding's name would be wrong.
            let bytes = coding.encode(&self.plain.bytes).expect("bytes in memory can be coded into memory");
            Coded::new((&self.tag, coding), self.form, &self.told, bytes)
        })
    }

    /// Tells whether it takes more than all that is kept.
    fn is_large(&self) -> bool {
        self.size() > MAX_BYTES
    }

    /// How many bytes it takes with all its codings, which are made when they are asked for; a coded one takes less than the plain one.
    fn size(&self) -> usize {
        2 * self.plain.bytes.len() + 4 * HEADERS_BYTES
    }
}

impl Coded {
    fn new((tag, coding): (&str, Coding), form: Form, told: &HeaderMap, bytes: Bytes) -> Self {
        let etag = etag(tag, coding);
        let mut headers = HeaderMap::with_capacity(USUAL_HEADERS);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        if let Some(name) = coding.header() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        headers.insert(ETAG, HeaderValue::from_str(&etag).expect("a digest and a word are visible ASCII"));
        headers.extend(told.clone());
        sign(&mut headers);
        Self { bytes, etag, headers }
    }
}

fn etag(tag: &str, coding: Coding) -> String {
    format!("\"{tag}{}\"", coding.suffix())
}

/// What a page is found by.
pub(super) type Key = (Box<str>, Form);

/// So many keys of pages that are too large to be kept are known.
const MAX_LARGE: usize = 256;

/// The pages by path and form, right or not. One that is too large to be kept is here as long as somebody takes it: any number who want
/// it, however slowly, have it in memory once.
#[derive(Debug)]
pub(super) struct Cache {
    kept: BoundedCache<Key, Arc<Page>>,
    large: Mutex<HashMap<Key, Large>>,
}

/// A page that is too large to be kept.
#[derive(Debug)]
struct Large {
    page: Weak<Page>,
    /// Whether remotes were asked for it, whom nobody should wait for in vain.
    has_remotes: bool,
}

impl Default for Cache {
    fn default() -> Self {
        Self { kept: BoundedCache::of_bytes(MAX_BYTES, USUAL_BYTES, |page| page.size()), large: Mutex::default() }
    }
}

impl Cache {
    fn large(&self) -> MutexGuard<'_, HashMap<Key, Large>> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Page>> {
        self.kept.get(key).or_else(|| self.large().get(key)?.page.upgrade())
    }

    /// Tells whether a page was too large to be kept when it was made last, of what is here alone: who wants it next had better wait for
    /// who makes it now.
    pub(super) fn is_made_in_turn(&self, key: &Key) -> bool {
        self.large().get(key).is_some_and(|large| !large.has_remotes)
    }

    pub(super) fn insert(&self, key: Key, page: Arc<Page>) {
        let mut large = self.large();
        if !page.is_large() {
            large.remove(&key);
            drop(large);
            return self.kept.insert(key, page);
        }
        if large.len() >= MAX_LARGE {
            large.retain(|_, large| large.page.strong_count() > 0);
        }
        // Else it is made anew for each, as if it weren't large.
        if large.len() < MAX_LARGE {
            large.insert(key, Large { page: Arc::downgrade(&page), has_remotes: page.until.is_some() });
        }
    }
}

/// A large page's bytes on their way, which keep the page.
struct Sent {
    bytes: Bytes,
    _page: Arc<Page>,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Returns the bytes of a page for an answer.
pub(super) fn sent(page: &Arc<Page>, coded: &Coded) -> Bytes {
    if page.is_large() {
        return Bytes::from_owner(Sent { bytes: coded.bytes.clone(), _page: page.clone() });
    }
    coded.bytes.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(size: usize, until: Option<i64>) -> Arc<Page> {
        let view = ViewName { name: "shared".parse().unwrap(), at: None };
        let bytes = Bytes::from(vec![b'x'; size]);
        let (form, cache_control) = (Form::Html, "no-cache");
        let (stamp, version, serial, incomplete) = (1, 1, 1, None);
        Arc::new(Page::new(Made { view, stamp, version, until, form, bytes, serial, cache_control, incomplete }))
    }

    fn key(number: usize) -> Key {
        (number.to_string().into(), Form::Html)
    }

    #[test]
    fn a_page_that_is_too_large_to_be_kept_is_there_once_for_all_who_take_it() {
        let cache = Cache::default();
        cache.insert(key(0), page(100, None));
        assert!(cache.get(&key(0)).is_some() && !cache.is_made_in_turn(&key(0)));
        let (large, size) = (key(1), MAX_BYTES / 2);
        let made = page(size, None);
        cache.insert(large.clone(), made.clone());
        let first = sent(&made, made.coded(Coding::Identity));
        drop(made);
        let found = cache.get(&large).unwrap();
        let second = sent(&found, found.coded(Coding::Identity));
        assert_eq!((first.as_ptr(), first.len()), (second.as_ptr(), size), "nothing is copied");
        drop((found, first));
        assert!(cache.get(&large).is_some(), "somebody takes it still");
        drop(second);
        assert!(cache.get(&large).is_none() && cache.is_made_in_turn(&large));
        cache.insert(large.clone(), page(size, Some(7)));
        assert!(!cache.is_made_in_turn(&large), "a remote may keep it waiting");
        cache.insert(large.clone(), page(100, None));
        assert!(cache.get(&large).is_some() && !cache.is_made_in_turn(&large));
    }

    #[test]
    fn so_many_large_pages_are_known() {
        let (cache, one) = (Cache::default(), page(MAX_BYTES / 2, None));
        for number in 0..MAX_LARGE + 10 {
            cache.insert(key(number), one.clone());
        }
        assert_eq!(cache.large().len(), MAX_LARGE);
        drop(one);
        cache.insert(key(MAX_LARGE + 10), page(MAX_BYTES / 2, None));
        assert_eq!(cache.large().len(), 1, "those that nobody takes went");
    }
}
