//! The index server: collections and variants under their own URLs, for pip, uv, poetry, twine, build tools and people.
//!
//! What a request means ([`endpoint`]) and what its answer is ([`Server::respond`]) are plain functions, without sockets and
//! without waiting for one another; [`http`] alone is async. It hands requests in and answers out.
//!
//! Every handle on the store is borrowed from a small pool, for a manifest belongs to one thread at a time. No lock of the store is
//! held between requests, so that imports, gc and verify of other processes go on beside it, and what they do is seen at once.

pub mod endpoint;

pub mod http;

pub mod verb;

mod accept;
mod access;
mod answer;
mod bounded_cache;
mod builder_index;
mod coding;
mod conditional;
mod counters;
mod discretion;
mod downloads;
mod feed;
mod fetches;
mod files;
mod finish;
mod flow;
mod follow;
mod hosts;
mod measured;
mod metrics;
mod near;
mod oidc;
mod origins;
mod pages;
mod pending;
mod people;
mod redirect;
mod respond;
mod segment;
mod sessions;
mod sidecars;
mod signed;
mod stores;
mod upkeep;
mod upload;
mod watch;
mod webhooks;
mod wide;
mod write_back;

pub use answer::{Answer, Body, Cause, Reason};
pub use flow::{FeedReader, Next};
pub use follow::{Following, follow};
pub use hosts::{HostError, HostName, Hosts};
pub use origins::{AllowedOrigin, OriginError, Origins};
pub use pending::Pending;
pub use stores::{Borrowed, Stores};
pub use upload::Piece;
pub use watch::{Watching, watch};
pub use webhooks::Webhooks;
pub use write_back::{Complain, WriteBack};

use crate::budget::{self, Gate};
use crate::context::Context;
use crate::manifest::Actor;
use crate::remote::LazyClient;
use crate::store::Store;
use crate::supply::listing::{Ask, Asking, Flights};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Builders wait no longer for all remotes together to tell what they have of a project. Who takes longer is left alone for a while.
const BUILDERS_PATIENCE: Duration = Duration::from_millis(1800);

/// Tells the time, in seconds since 1970: only the binary reads the clock.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Gives random bytes, or says why there are none: only the binary asks the system.
pub type Random = fn() -> Result<[u8; 32], String>;

/// What anybody may do without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anonymous {
    /// Nothing.
    Nothing,
    /// Read pages and files.
    Read,
    /// Upload, too.
    Upload,
}

/// What the server is told, beside where it listens.
#[derive(Clone)]
pub struct ServerOptions {
    /// The store's folder.
    pub store: PathBuf,
    /// What is allowed without a token.
    pub anonymous: Anonymous,
    /// What comes before every path, for a proxy that leaves it there; empty, or `/…` without a slash at its end.
    pub base_path: String,
    /// The largest file that is taken, in bytes.
    pub max_upload_bytes: u64,
    /// How long the addresses hold that clients are redirected to, where they fetch files from the bucket of the store's share.
    pub redirect: Option<Duration>,
    /// Whether builders may put files into the bucket of the store's share by themselves.
    pub takes_direct: bool,
    /// Whether who signs in with a token of the scope admin acts on the pages.
    pub has_actions: bool,
    /// The clock.
    pub clock: Clock,
    /// Where the secrets of new tokens come from.
    pub random: Random,
    /// Who does what the server does by itself, for the log.
    pub actor: Actor,
}

/// Who asks, as far as the connection tells.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The address; behind a trusted proxy the one that the proxy names.
    pub address: IpAddr,
    /// Whether the client speaks TLS, to us or to a trusted proxy.
    pub is_secure: bool,
}

/// A request without its body.
pub type Request = ::http::Request<Peer>;

/// A server's state: what all connections share.
pub struct Server {
    pub(in crate::server) options: ServerOptions,
    /// Whose name operations have that the server does by itself.
    pub(in crate::server) who: String,
    pub(in crate::server) stores: Stores,
    /// When the log of a shared store was last read to its end; 0: it is no node, or it wasn't yet.
    pub(in crate::server) followed_at: std::sync::atomic::AtomicI64,
    pub(in crate::server) client: Arc<LazyClient>,
    pub(in crate::server) counters: counters::Counters,
    pub(in crate::server) files: files::KnownFiles,
    pub(in crate::server) feeds: feed::Feeds,
    pub(in crate::server) fetches: fetches::Fetches,
    pub(in crate::server) flights: Flights,
    pub(in crate::server) totals: metrics::Totals,
    pub(in crate::server) pages: pages::Pages,
    pub(in crate::server) people: people::Remembered,
    pub(in crate::server) measured: measured::Measured,
    pub(in crate::server) tokens: access::Tokens,
    pub(in crate::server) sessions: sessions::Sessions,
    pub(in crate::server) read_blobs: builder_index::ReadBlobs,
    pub(in crate::server) near: near::NearAnswers,
    /// Who reads whole collections or projects for a page has a part of it meanwhile.
    pub(in crate::server) wide_reads: Gate,
    pub(in crate::server) sidecars: sidecars::Sidecars,
    pub(in crate::server) texts: signed::Texts,
    pub(in crate::server) logged: discretion::Logged,
    pub(in crate::server) issuers: crate::ops::publisher::Issuers,
    pub(in crate::server) refusals: oidc::Logged,
    pub(in crate::server) promised: upload::Promised,
}

impl Server {
    /// Opens the store. `client` asks remotes.
    pub fn new(options: ServerOptions, client: LazyClient) -> crate::error::Result<Self> {
        let stores = Stores::open(&options.store, options.actor.clone())?;
        if let Some(lasting) = options.redirect {
            redirect::require(&*stores.borrow()?, lasting)?;
        }
        if options.takes_direct {
            upload::require_bucket(&*stores.borrow()?)?;
        }
        let files = files::KnownFiles::new(stores.root());
        let client = Arc::new(client);
        let root = stores.root().to_owned();
        let fetches = fetches::Fetches::new(root.clone(), options.actor.clone());
        let feeds = feed::Feeds::new(root, client.clone(), options.clock.clone());
        Ok(Self {
            who: options.actor.to_string(),
            options,
            stores,
            followed_at: 0.into(),
            client,
            counters: counters::Counters::default(),
            files,
            feeds,
            fetches,
            flights: Flights::default(),
            totals: metrics::Totals::default(),
            pages: pages::Pages::default(),
            people: people::Remembered::default(),
            measured: measured::Measured::default(),
            tokens: access::Tokens::default(),
            sessions: sessions::Sessions::default(),
            read_blobs: builder_index::ReadBlobs::default(),
            near: near::NearAnswers::default(),
            wide_reads: Gate::new(budget::WIDE_READS.limit),
            sidecars: sidecars::Sidecars::default(),
            texts: signed::Texts::default(),
            logged: discretion::Logged::default(),
            issuers: crate::ops::publisher::Issuers::default(),
            refusals: oidc::Logged::default(),
            promised: upload::Promised::default(),
        })
    }

    /// Returns what a verb is told.
    pub(in crate::server) fn context(&self) -> Context<'_> {
        Context { now: self.now(), who: &self.who, jobs: 1, progress: &(), client: Some(&self.client) }
    }

    /// Returns a question to a store's indexes; remotes are asked, as long as it takes.
    pub(in crate::server) fn ask<'a>(&'a self, store: &'a Store) -> Ask<'a> {
        Ask { store, context: self.context(), asking: Asking::Fresh(&self.flights) }
    }

    /// The same of builders, who wait no longer than that for all remotes together.
    pub(in crate::server) fn ask_briefly<'a>(&'a self, store: &'a Store) -> Ask<'a> {
        let until = Instant::now() + BUILDERS_PATIENCE;
        Ask { asking: Asking::Brief { flights: &self.flights, until }, ..self.ask(store) }
    }

    /// Returns the time, in seconds since 1970.
    pub(in crate::server) fn now(&self) -> i64 {
        (self.options.clock)()
    }
}
