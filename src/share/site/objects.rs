//! A site in a bucket.

use super::super::objects::{Objects, next};
use super::super::provider::Provider;
use super::super::{Error, Result};
use super::{Headers, Listed, Store};
use crate::digest::Blake3;
use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, PutResult,
    UpdateVersion,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

#[derive(Debug)]
pub(super) struct SiteObjects(pub(super) Objects);

impl SiteObjects {
    /// Returns the key of an object, as it is: a web server finds it by its URL.
    fn key(&self, key: &str) -> Result<Key> {
        Key::parse(format!("{}{key}", self.0.prefix)).map_err(|_| Error::Key(key.to_owned()))
    }

    /// Returns what a condition is told of an object: Google has a generation for that, the others its entity tag.
    fn version(&self, e_tag: Option<String>, version: Option<String>) -> String {
        let is_google = self.0.client.provider == Provider::Google;
        version.filter(|_| is_google).or(e_tag).unwrap_or_default()
    }

    /// Returns an entity tag as lists have it as well: Azure's leave the quotes away.
    fn listed(&self, e_tag: Option<String>) -> String {
        let tag = e_tag.unwrap_or_default();
        if self.0.client.provider == Provider::Azure { tag.trim_matches('"').to_owned() } else { tag }
    }

    fn put(&self, key: &str, bytes: &[u8], headers: Headers, mode: PutMode) -> Result<Option<PutResult>> {
        let (payload, location) = (PutPayload::from(Bytes::copy_from_slice(bytes)), self.key(key)?);
        let options = PutOptions { mode, attributes: attributes(headers), ..PutOptions::default() };
        self.0.wait("write", key, async {
            match self.0.client.store.put_opts(&location, payload, options).await {
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(None),
                done => done.map(Some),
            }
        })
    }

    pub(super) fn is_in_bucket_of(&self, share: &Objects) -> bool {
        let (own, other) = (self.0.location(), share.location());
        self.0.bucket() == share.bucket() && own.endpoint == other.endpoint && own.region == other.region
    }

    pub(super) fn copy(&self, share: &Objects, from: &str, key: &str) -> Result<bool> {
        let (from, to) = (share.key(from)?, self.key(key)?);
        self.0.wait("copy to", key, async {
            match self.0.client.store.copy(&from, &to).await {
                Err(object_store::Error::NotFound { .. }) => Ok(false),
                done => done.map(|()| true),
            }
        })
    }
}

impl Store for SiteObjects {
    fn list(&self) -> Result<BTreeMap<String, Listed>> {
        let prefix = self.0.prefix.trim_end_matches('/');
        let prefix = Key::parse(prefix).map_err(|_| Error::Key(prefix.to_owned()))?;
        self.0.wait("list", "it", async {
            let mut list = self.0.client.store.list(Some(&prefix));
            let mut found = BTreeMap::new();
            while let Some(meta) = next(&mut list).await {
                let meta = meta?;
                // Some tools make an object that stands for the folder itself.
                if let Some(key) = meta.location.as_ref().strip_prefix(&self.0.prefix) {
                    let tag = self.listed(meta.e_tag);
                    found.insert(key.to_owned(), Listed { size: meta.size, tag });
                }
            }
            Ok(found)
        })
    }

    fn get(&self, key: &str, limit: u64) -> Result<Option<(Vec<u8>, String)>> {
        let location = self.key(key)?;
        let found = self.0.wait("read", key, async {
            match self.0.client.store.get(&location).await {
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Ok(found) if found.meta.size > limit => Ok(Some(None)),
                found => {
                    let found = found?;
                    let tag = self.version(found.meta.e_tag.clone(), found.meta.version.clone());
                    Ok(Some(Some((Vec::from(found.bytes().await?), tag))))
                }
            }
        })?;
        found.map(|found| found.ok_or_else(|| Error::WrongBytes(key.to_owned()))).transpose()
    }

    fn tag(&self, key: &str) -> Result<Option<String>> {
        let location = self.key(key)?;
        self.0.wait("look at", key, async {
            match self.0.client.store.head(&location).await {
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                found => found.map(|meta| Some(self.version(meta.e_tag, meta.version))),
            }
        })
    }

    fn write_if(&self, key: &str, bytes: &[u8], headers: Headers, tag: Option<&str>) -> Result<Option<String>> {
        let version = |tag: &str| UpdateVersion { e_tag: Some(tag.to_owned()), version: Some(tag.to_owned()) };
        let mode = tag.map_or(PutMode::Create, |tag| PutMode::Update(version(tag)));
        Ok(self.put(key, bytes, headers, mode)?.map(|made| self.version(made.e_tag, made.version)))
    }

    fn write(&self, key: &str, bytes: &[u8], headers: Headers) -> Result<String> {
        Ok(self.put(key, bytes, headers, PutMode::Overwrite)?.map(|made| self.listed(made.e_tag)).unwrap_or_default())
    }

    fn upload(&self, key: &str, file: (&File, &Path), blake3: &Blake3, headers: Headers) -> Result<()> {
        self.0.upload(file, blake3, &self.key(key)?, attributes(headers))
    }

    fn remove(&self, key: &str) -> Result<()> {
        let location = self.key(key)?;
        self.0.wait("remove", key, async {
            match self.0.client.store.delete(&location).await {
                Err(object_store::Error::NotFound { .. }) => Ok(()),
                done => done,
            }
        })
    }

    fn objects(&self) -> Option<&SiteObjects> {
        Some(self)
    }
}

fn attributes(headers: Headers) -> Attributes {
    Attributes::from_iter([
        (Attribute::ContentType, headers.content_type),
        (Attribute::CacheControl, headers.cache_control),
    ])
}
