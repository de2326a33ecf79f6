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
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};

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

/// The pages by path and form, right or not.
pub(super) type Cache = BoundedCache<Key, Arc<Page>>;

/// Returns an empty one.
pub(super) fn cache() -> Cache {
    BoundedCache::of_bytes(MAX_BYTES, USUAL_BYTES, |page| page.size())
}
