//! A place for a static site: a part of a bucket, or a folder, that web servers show as it is.
//!
//! What is there, and whose it is, is the caller's matter ([`crate::ops::view`]); here objects are listed, made, copied and removed.
//! An object appears whole, and takes the place of the one before it at once.

mod folder;
#[cfg(feature = "shared")]
mod objects;
#[cfg(not(feature = "shared"))]
#[path = "../absent/site.rs"]
mod objects;

use super::objects::Objects;
use super::{Error, Location, Place, Result, Share, blob_key};
use crate::digest::Blake3;
use folder::SiteFolder;
use objects::SiteObjects;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::File;
use std::path::Path;

/// What is told of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its size.
    pub size: u64,
    /// What it has until it is made again: its entity tag, or what stands for one.
    pub tag: String,
}

/// What a web server shall tell of an object.
#[derive(Debug, Clone, Copy)]
pub struct Headers {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `Cache-Control`.
    pub cache_control: &'static str,
}

/// Where objects are.
trait Store: Debug + Send + Sync {
    fn list(&self) -> Result<BTreeMap<String, Listed>>;
    fn get(&self, key: &str, limit: u64) -> Result<Option<(Vec<u8>, String)>>;
    fn tag(&self, key: &str) -> Result<Option<String>>;
    fn write_if(&self, key: &str, bytes: &[u8], headers: Headers, tag: Option<&str>) -> Result<Option<String>>;
    fn write(&self, key: &str, bytes: &[u8], headers: Headers) -> Result<String>;
    fn upload(&self, key: &str, file: (&File, &Path), blake3: &Blake3, headers: Headers) -> Result<()>;
    fn remove(&self, key: &str) -> Result<()>;
    /// Returns itself where it is a part of a bucket, and no folder.
    fn objects(&self) -> Option<&SiteObjects>;
}

/// A place for a static site.
#[derive(Debug)]
pub struct Site {
    url: String,
    store: Box<dyn Store>,
}

/// No object of more bytes is copied by one request.
const MAX_COPY_BYTES: u64 = 5 << 30;

impl Site {
    /// Takes a place. In the bucket of a share it is asked as the share is, unless something else is said.
    pub fn at(location: &Location, share: Option<&Share>) -> Result<Self> {
        let mut location = location.clone();
        location.url = location.url.trim_end_matches('/').to_owned();
        if share.is_some_and(|share| share.has_its_own_at(&location.url)) {
            return Err(Error::Url { url: location.url, why: "the share has its own objects there" });
        }
        let of_share = share.and_then(|share| share.bucket.objects());
        let store: Box<dyn Store> = match location.place()? {
            Place::Folder(path) => Box::new(SiteFolder::at(path)),
            Place::Bucket { provider, bucket, prefix } => {
                let mut asked = location.clone();
                if let Some(of_share) = of_share.filter(|share| share.bucket() == bucket)
                    && (&location.endpoint, &location.region) == (&None, &None)
                {
                    asked.endpoint.clone_from(&of_share.location().endpoint);
                    asked.region.clone_from(&of_share.location().region);
                }
                Box::new(SiteObjects(Objects::of(provider, &asked, bucket, prefix)?))
            }
        };
        Ok(Self { url: location.url, store })
    }

    /// Returns where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns all objects that are there, by their keys.
    pub fn list(&self) -> Result<BTreeMap<String, Listed>> {
        self.store.list()
    }

    /// Returns a small object, and its tag.
    pub fn get(&self, key: &str, limit: u64) -> Result<Option<(Vec<u8>, String)>> {
        self.store.get(require(key)?, limit)
    }

    /// Returns an object's tag; `None`: it isn't there.
    pub fn tag(&self, key: &str) -> Result<Option<String>> {
        self.store.tag(require(key)?)
    }

    /// Makes an object in the place of the one with this tag, or where there is none. Returns its tag; `None`: something else is there.
    /// Some servers take the condition and don't keep it.
    pub fn write_if(&self, key: &str, bytes: &[u8], headers: Headers, tag: Option<&str>) -> Result<Option<String>> {
        self.store.write_if(require(key)?, bytes, headers, tag)
    }

    /// Makes an object, or makes it anew. Returns its tag.
    pub fn write(&self, key: &str, bytes: &[u8], headers: Headers) -> Result<String> {
        self.store.write(require(key)?, bytes, headers)
    }

    /// Makes an object from a file, or makes it anew, if the file has the right bytes.
    pub fn upload(&self, key: &str, file: (&File, &Path), blake3: &Blake3, headers: Headers) -> Result<()> {
        self.store.upload(require(key)?, file, blake3, headers)
    }

    /// Tells whether a blob of a share can be copied here without its bytes being fetched.
    pub fn can_copy(&self, share: &Share, size: u64) -> bool {
        let (Some(of_share), Some(own)) = (share.bucket.objects(), self.store.objects()) else { return false };
        size <= MAX_COPY_BYTES && own.is_in_bucket_of(of_share)
    }

    /// Copies a blob's object within the bucket. Returns whether it was there.
    pub fn copy_blob(&self, key: &str, share: &Share, blake3: &Blake3, generation: &str) -> Result<bool> {
        match (share.bucket.objects(), self.store.objects()) {
            (Some(of_share), Some(own)) => own.copy(of_share, &blob_key(blake3, generation), require(key)?),
            _ => Ok(false),
        }
    }

    /// Removes an object; one that isn't there is fine.
    pub fn remove(&self, key: &str) -> Result<()> {
        self.store.remove(require(key)?)
    }
}

/// Makes sure that a key, of which names from outside are parts, is one of the site, and not one beside it.
fn require(key: &str) -> Result<&str> {
    if super::is_within(key) { Ok(key) } else { Err(Error::Key(key.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::require;

    #[test]
    fn no_key_leads_out_of_the_site() {
        for key in ["simple/index.html", "files/ab/cd/demo-1!0+cu~1-py3-none-any.whl", ".wcas-site.json"] {
            assert_eq!(require(key).expect("a plain key is fine"), key);
        }
        for key in ["", "/etc", "a//b", "a/", "a/../b", "./a", "..", "a/b\0", "a\\b", "a\nb"] {
            assert!(require(key).is_err(), "{key:?}");
        }
    }
}
