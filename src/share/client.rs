//! How buckets are asked, by who keeps them.
//!
//! Credentials and whatever else isn't said come from the environment, as the library reads it (`AWS_…`, `GOOGLE_…`, `AZURE_…`, web
//! identity, the instance), or, for S3, from a profile.

use super::connector::Connector;
use super::provider::{Provider, profile};
use super::{Error, Location, Result};
use object_store::aws::{AmazonS3Builder, Checksum, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::signer::Signer;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// A request that fails is tried again for so long. Whoever waits is a command, or a server's answer.
const RETRY: RetryConfig = RetryConfig {
    backoff: BackoffConfig { init_backoff: Duration::from_millis(50), max_backoff: Duration::from_secs(2), base: 2.0 },
    max_retries: 6,
    retry_timeout: Duration::from_secs(8),
};

/// What URLs have by which a machine is asked for the credentials of its own role: the last resort, of S3, Google and Azure.
const OWN_ROLE: [&str; 4] =
    ["/latest/api/token", "/latest/meta-data/", "/computeMetadata/", "api-version=2019-08-01&resource="];

/// What asks a bucket, and what signs addresses in it, as far as its credentials can.
pub(super) type Connection = (Arc<dyn ObjectStore>, Arc<dyn Signer>);

impl Provider {
    /// Returns what a request's failure means.
    pub(super) fn failure(self, act: &'static str, key: &str, source: object_store::Error) -> Error {
        let told = source.to_string();
        if !OWN_ROLE.iter().any(|part| told.contains(part)) {
            return Error::Bucket { act, key: key.to_owned(), source: source.into() };
        }
        let unset = match self {
            Self::S3 => "AWS_ACCESS_KEY_ID",
            Self::Google => "GOOGLE_APPLICATION_CREDENTIALS",
            Self::Azure => "AZURE_STORAGE_ACCOUNT_KEY",
        };
        Error::Credentials { unset, source: source.into() }
    }

    /// Returns what asks a bucket, and what signs addresses in it. Nothing is asked yet.
    pub(super) fn connect(self, location: &Location, bucket: &str) -> Result<Connection> {
        let endpoint = location.endpoint.as_deref().map(|endpoint| endpoint.trim_end_matches('/'));
        let client = |error: object_store::Error| Error::Client(error.to_string());
        match self {
            Self::S3 => {
                let store = Arc::new(s3(location, bucket).build().map_err(client)?);
                Ok((store.clone(), store))
            }
            Self::Google => {
                let store = Arc::new(google(endpoint, bucket).build().map_err(client)?);
                Ok((store.clone(), store))
            }
            Self::Azure => {
                let store = Arc::new(azure(location, endpoint, bucket)?.build().map_err(client)?);
                Ok((store.clone(), store))
            }
        }
    }
}

fn s3(location: &Location, bucket: &str) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_http_connector(Connector)
        .with_retry(RETRY)
        .with_checksum_algorithm(Checksum::SHA256)
        .with_conditional_put(S3ConditionalPut::ETagMatch);
    let mut location = location.clone();
    if let Some(profile) = profile() {
        builder = builder.with_access_key_id(profile.access_key_id).with_secret_access_key(profile.secret_access_key);
        if let Some(token) = profile.session_token {
            builder = builder.with_token(token);
        }
        location.region = location.region.or(profile.region);
        location.endpoint = location.endpoint.or(profile.endpoint);
    }
    if let Some(region) = &location.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &location.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    builder
}

fn google(endpoint: Option<&str>, bucket: &str) -> GoogleCloudStorageBuilder {
    let builder =
        GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_http_connector(Connector).with_retry(RETRY);
    match endpoint {
        Some(endpoint) => builder.with_base_url(endpoint),
        None => builder,
    }
}

fn azure(location: &Location, endpoint: Option<&str>, container: &str) -> Result<MicrosoftAzureBuilder> {
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(container)
        .with_http_connector(Connector)
        .with_retry(RETRY);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.to_owned()).with_allow_http(endpoint.starts_with("http://"));
    }
    if builder.get_config_value(&AzureConfigKey::AccountName).is_none() {
        // Its account is a part of where a container is, and not of its name.
        let account = endpoint.and_then(account).ok_or_else(|| Error::Url {
            url: location.url.clone(),
            why: "its account must be said, by AZURE_STORAGE_ACCOUNT_NAME or --endpoint https://ACCOUNT.blob.core.windows.net",
        })?;
        builder = builder.with_account(account);
    }
    Ok(builder)
}

/// Returns the account that an endpoint belongs to: its host's first label, or the path's first part where the host is an emulator's.
fn account(endpoint: &str) -> Option<String> {
    let url = url::Url::parse(endpoint).ok()?;
    let of_host = url.domain().and_then(|host| host.split_once(".blob.")).map(|(account, _)| account);
    let of_path = || url.path_segments().and_then(|mut parts| parts.next());
    of_host.or_else(of_path).filter(|account| !account.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_tells_its_account() {
        assert_eq!(account("https://team.blob.core.windows.net").as_deref(), Some("team"));
        assert_eq!(account("http://127.0.0.1:10000/devstoreaccount1").as_deref(), Some("devstoreaccount1"));
        assert_eq!(account("http://localhost:10000"), None);
        assert_eq!(account("no URL"), None);
    }
}
