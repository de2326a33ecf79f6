//! Where a share is, as commands take it.

use wcas::share::Location;

/// What isn't in a share's URL.
#[derive(Debug, clap::Args)]
pub(super) struct PlaceArgs {
    /// The bucket's server, where it isn't the provider's own [default: $AWS_ENDPOINT_URL, $GOOGLE_BASE_URL or $AZURE_STORAGE_ENDPOINT]
    #[arg(long, value_name = "URL", requires = "share")]
    endpoint: Option<String>,
    /// The bucket's region, of s3:// only [default: $AWS_REGION or $AWS_DEFAULT_REGION]
    #[arg(long, value_name = "REGION", requires = "share")]
    region: Option<String>,
    /// Keep the log in PostgreSQL, not in the bucket: postgres://user@host/database [default: where the share's first node keeps it]
    #[arg(long, value_name = "URL", requires = "share")]
    log: Option<String>,
}

impl PlaceArgs {
    /// Returns the place of the share at a URL.
    pub(super) fn of(self, url: String) -> Location {
        Location { url, endpoint: self.endpoint, region: self.region, log: self.log }
    }
}
