//! Who keeps a bucket: Amazon and all that speak S3, Google, Azure. What a share asks of it is the same everywhere.

use std::sync::OnceLock;

/// Who keeps a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    /// Amazon, and whoever speaks S3.
    S3,
    /// Google Cloud Storage, by its XML interface.
    Google,
    /// Azure's blobs, whose buckets are called containers.
    Azure,
}

/// Credentials that somebody keeps in files, where the environment has none.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The key's name.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: String,
    /// What goes with a key that is lent for a while.
    pub session_token: Option<String>,
    /// The region, where nothing else says one.
    pub region: Option<String>,
    /// The bucket's server, where nothing else says one.
    pub endpoint: Option<String>,
}

/// Who finds the profile.
static PROFILE: OnceLock<fn() -> Option<Profile>> = OnceLock::new();

/// Says who finds credentials in files, when a bucket is first asked: only the binary reads them.
pub fn on_profile(find: fn() -> Option<Profile>) {
    // The first one stays.
    let _ = PROFILE.set(find);
}

/// Returns the credentials that are kept in files, if there are any.
#[cfg(feature = "shared")]
pub(super) fn profile() -> Option<Profile> {
    PROFILE.get().and_then(|find| find())
}

impl Provider {
    /// Returns who keeps the bucket of a URL, and the URL's rest: the bucket's name and a prefix.
    pub(super) fn of(url: &str) -> Option<(Self, &str)> {
        let (scheme, rest) = url.split_once("://")?;
        let provider = match scheme {
            "s3" => Self::S3,
            "gs" => Self::Google,
            "az" => Self::Azure,
            _ => return None,
        };
        Some((provider, rest))
    }

    /// Says how a bucket is said.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::S3 => "a bucket is said by its name and a prefix: s3://bucket/wheels",
            Self::Google => "a bucket is said by its name and a prefix: gs://bucket/wheels",
            Self::Azure => "a container is said by its name and a prefix: az://container/wheels",
        }
    }
}
