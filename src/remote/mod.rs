//! The client of other indexes: pages, files, sidecars and the tails of wheels, by HTTP; uploads to them, and what webhooks are told.
//!
//! Synchronous, and shared by threads. Whatever a server does, the answer is bytes that fit their digest and size, or a
//! [`Failure`] within a bounded time; a file that failed leaves nothing behind. Which index is asked in which order, what is
//! remembered of its pages and what a failure means for a lookup is decided elsewhere; nothing here knows of collections.
//!
//! Trust: pages may come by plain http, if the source says so; a file by http, or without a digest, only as [`admit`] says.
//! Redirects never leave https, except for a file whose digest is known. Credentials go to the source's own scheme, host and
//! port only. What a source redirects to or links is no farther inside the network than the source is itself. Certificates are the operating system's; proxies are the environment's.

mod credentials;
mod document;
mod download;
mod exchange;
mod failure;
mod layout;
mod lazy;
mod metadata;
mod netrc;
mod page;
mod post;
mod road;
mod upload;
mod whole;
mod zone;

pub use document::Document;
pub use download::{Downloaded, Moment, Watch, admit};
pub use failure::{Failure, FailureKind, PublicUrl};
pub use layout::{Discovery, Layout, LayoutError, beside_pages, discover, project_page_url};
pub use lazy::LazyClient;
pub use page::{Page, PageAnswer, Validators};
pub use post::PostAnswer;
pub use upload::{UploadAnswer, UploadContent, UploadForm};
pub use zone::Lookup;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use url::Url;

/// Reads a variable of the environment, which only the binary may do itself.
pub type Variable = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How patient a client is, and how much it takes.
#[derive(Clone)]
pub struct ClientOptions {
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long an answer, or the next bytes of one, may take.
    pub stall_timeout: Duration,
    /// How long a page may take in all, with its retries.
    pub page_deadline: Duration,
    /// How often a request that failed for a passing reason is tried again. A file that came forward meanwhile has them anew.
    pub retries: u32,
    /// How long to wait before the first of them; each further wait is twice as long.
    pub backoff: Duration,
    /// The longest wait; a server that asks for a longer one is given up.
    pub max_wait: Duration,
    /// The largest page, decompressed.
    pub max_page_bytes: u64,
    /// The largest file.
    pub max_file_bytes: u64,
    /// How many redirects are followed.
    pub redirects: usize,
    /// Where the netrc file is, for [`Auth::Netrc`].
    pub netrc: Option<PathBuf>,
    /// Reads the variable of [`Auth::Variable`], and those that name proxies.
    pub variable: Variable,
    /// Looks up the names of what sources lead to.
    pub lookup: Lookup,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            page_deadline: Duration::from_secs(60),
            retries: 2,
            backoff: Duration::from_millis(200),
            max_wait: Duration::from_secs(5),
            max_page_bytes: 64 << 20,
            max_file_bytes: 16 << 30,
            redirects: 5,
            netrc: None,
            variable: Arc::new(|_| None),
            lookup: road::system(),
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("netrc", &self.netrc)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

/// Where a source's credentials are; the secret itself is read when it is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Auth {
    /// Those in the source's URL, if it has any.
    #[default]
    None,
    /// Those of the host in the netrc file.
    Netrc,
    /// A variable that holds `user:password`, a token, or a whole `Basic …` or `Bearer …` header.
    Variable(String),
}

/// Another index, as its owner describes it.
#[derive(Clone)]
pub struct Source {
    /// Where it is. User and password go to no other origin, and into no message.
    pub url: Url,
    /// Where its credentials are.
    pub auth: Auth,
    /// Status codes that mean "not there", beside 404 and 410.
    pub not_found: Vec<u16>,
    /// Other hosts whose pages are believed where it sends to them.
    pub follow_hosts: Vec<String>,
    /// Whether files come by plain http without a digest.
    pub allow_insecure: bool,
    /// Whether files come by https without a digest.
    pub trust_unhashed: bool,
}

impl Source {
    /// Returns a source that is asked without credentials and trusted no further than needed.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            auth: Auth::None,
            not_found: Vec::new(),
            follow_hosts: Vec::new(),
            allow_insecure: false,
            trust_unhashed: false,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = PublicUrl::from(&self.url);
        f.debug_struct("Source").field("url", &place).field("auth", &self.auth).finish_non_exhaustive()
    }
}

/// A client that can't be made: TLS or the proxies of the environment are unusable.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client")]
pub struct ClientError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// A client of other indexes, with its connections; threads share it.
#[derive(Clone)]
pub struct Client {
    /// For what is a source's own.
    http: reqwest::blocking::Client,
    /// For what sources lead to.
    roads: Arc<road::Roads>,
    options: ClientOptions,
    /// The netrc file's text, once it was needed.
    netrc: OnceLock<Result<Option<String>, String>>,
    /// Why no certificate can be checked, if so.
    no_certificates: Option<String>,
    /// When all pages are given up.
    end: Option<Instant>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}
