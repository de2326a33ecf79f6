//! Where a share or a site is, as people and `wcas.json` say it.

use super::provider::Provider;
use super::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where a share or a site is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// `file:///absolute/path`, or `s3://bucket/prefix`, `gs://…`, `az://…`.
    pub url: String,
    /// The bucket's server, where it isn't the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The bucket's region, of `s3://` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The database that has the log, where it isn't in the bucket: `postgres://user@host/database`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// What a location's URL says.
pub(super) enum Place<'a> {
    Folder(PathBuf),
    Bucket { provider: Provider, bucket: &'a str, prefix: &'a str },
}

impl Location {
    /// Returns the folder that it is, if it is one.
    pub fn folder(&self) -> Option<&Path> {
        self.url.trim_end_matches('/').strip_prefix("file://").map(Path::new).filter(|path| path.is_absolute())
    }

    /// Takes the URL apart.
    pub(super) fn place(&self) -> Result<Place<'_>> {
        let refused = |why| Err(Error::Url { url: self.url.clone(), why });
        if let Some(path) = self.url.trim_end_matches('/').strip_prefix("file://") {
            let path = PathBuf::from(path);
            if !path.is_absolute() || path.components().any(|part| part.as_os_str() == "..") {
                return refused("a folder is said by its absolute path: file:///mnt/share");
            }
            return Ok(Place::Folder(path));
        }
        let Some((provider, path)) = Provider::of(&self.url) else {
            return refused(
                "only file:///absolute/path, s3://bucket/prefix, gs://bucket/prefix and az://container/prefix are known",
            );
        };
        let path = path.trim_end_matches('/');
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        if bucket.is_empty() || prefix.split('/').any(|part| matches!(part, "." | "..")) || prefix.contains("//") {
            return refused(provider.example());
        }
        // It is kept in wcas.json, which has no secrets.
        if self.endpoint.as_ref().is_some_and(|endpoint| endpoint.contains(['?', '@'])) {
            return refused("its endpoint is a server's address, without credentials: they come from the environment");
        }
        if self.region.is_some() && provider != Provider::S3 {
            return refused("only buckets of s3:// are asked by their region");
        }
        Ok(Place::Bucket { provider, bucket, prefix })
    }
}
