//! `wcas serve`

use super::app::App;
use super::import::Link;
use super::listen::ListenAddress;
use super::{End, INTERRUPTED, print, units};
use clap::ValueEnum;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wcas::error::Result;
use wcas::name::CollectionName;
use wcas::ops::destination::Destination;
use wcas::ops::watch::WatchOptions;
use wcas::server::http::{self, AccessForm, AccessLog, HttpOptions, Proxies, Stopper, Tls};
use wcas::server::{
    self, AllowedOrigin, Anonymous, Clock, HostName, Hosts, Origins, Server, ServerOptions, Watching, Webhooks,
    WriteBack,
};
use wcas::{Error, budget};

/// Serve collections to pip, uv, poetry, twine, build tools and people
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = long_help(),
    after_help = AFTER_HELP
)]
pub(super) struct Args {
    /// Make the store when there is none
    #[arg(long)]
    create: bool,
    /// Where to listen; port 0 is any free one, `:PORT` means all addresses of the machine
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: ListenAddress,
    /// What is allowed without a token
    #[arg(long, value_name = "WHAT", default_value = "read")]
    anonymous: Allowed,
    /// Answer for this name, as clients or a proxy say it; may be given several times [default: any; on loopback: localhost]. Addresses
    /// are always answered for
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    allowed_host: Vec<HostName>,
    /// Let pages of this origin, such as https://notebook.example, read in browsers what the server says; * is any; may be given several
    /// times [default: none]
    #[arg(long, visible_alias = "cors", value_name = "ORIGIN", value_delimiter = ',')]
    allow_origin: Vec<AllowedOrigin>,
    /// The certificate chain (PEM), for TLS without a proxy
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// What a proxy in front leaves before every path, such as /wheels
    #[arg(long, value_name = "PATH", default_value = "", value_parser = base_path)]
    base_path: String,
    /// Where others see the server's pages, for links in what webhooks are told [default: only the path is told]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Believe X-Forwarded-For and -Proto from this proxy; may be given several times
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    trust_proxy: Vec<IpAddr>,
    /// The largest file that is taken
    #[arg(long, value_name = "SIZE", default_value = "16G", value_parser = units::bytes)]
    max_upload_size: u64,
    /// Connections at a time; more wait, and of the last ones who has most loses an idle one
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = units::positive::<usize>)]
    max_connections: usize,
    /// Uploads at a time; more are told to come back, and one token has at most half of them
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = units::positive::<usize>)]
    max_uploads: usize,
    /// Requests a second from one address; more are told to come back [default: any number]
    #[arg(long, value_name = "N", value_parser = units::positive::<u32>)]
    max_requests: Option<u32>,
    /// Threads that handle connections [default: one a processor]
    #[arg(long, value_name = "N", value_parser = units::positive::<usize>)]
    workers: Option<usize>,
    /// How long a client may be silent before its request, or in the midst of a body
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = units::duration)]
    client_timeout: Duration,
    /// How long the end waits for what is in flight
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = units::duration)]
    grace_time: Duration,
    /// Let clients fetch files from the bucket of the store's share, by addresses that are signed for a while
    #[arg(long)]
    redirect: bool,
    /// How long such an address holds
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = units::duration, requires = "redirect")]
    redirect_for: Duration,
    /// Let builders with a token put files into the bucket of the store's share by themselves
    #[arg(long)]
    direct_uploads: bool,
    /// Let who signs in with a token of the scope admin act on the pages: yank, block, pin, promote, roll back, undo
    #[arg(long)]
    actions: bool,
    /// Write a line on standard error for each request [with no FORM: line]
    #[arg(long, value_name = "FORM", num_args = 0..=1, default_missing_value = "line")]
    access_log: Option<LogForm>,
    /// Import what appears or changes in this folder, such as a wheels-repo of fromager; may be given several times
    #[arg(long, value_name = "DIR")]
    watch: Vec<PathBuf>,
    /// The collection that gets what --watch finds; made when there is none [default: shared]
    #[arg(long, value_name = "C", requires = "watch", conflicts_with = "variant")]
    collection: Option<CollectionName>,
    /// Send what --watch finds where the variant's rules say
    #[arg(long, value_name = "V", requires = "watch")]
    variant: Option<CollectionName>,
    /// How bytes that --watch finds come into the store
    #[arg(long, value_enum, default_value = "auto", requires = "watch")]
    link: Link,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Allowed {
    /// Nothing: every page and file needs a token
    Nothing,
    /// Pages and files
    Read,
    /// Uploads, too
    Upload,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogForm {
    /// Address, method, target, status, length and duration, as soon as the answer is known
    Line,
    /// As web servers have it, with the token's name; when the answer has gone out
    Combined,
    /// A JSON document: the token, the bytes that went out and how long that took, too
    Json,
}

impl From<LogForm> for AccessForm {
    fn from(form: LogForm) -> Self {
        match form {
            LogForm::Line => Self::Line,
            LogForm::Combined => Self::Combined,
            LogForm::Json => Self::Json,
        }
    }
}

#[derive(Serialize)]
struct Listening {
    url: String,
}

/// A request's head comes within this time, also where clients may be slower elsewhere.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A remote's page comes within this time: pip gives up on a server that is silent for 15 s.
const PAGE_DEADLINE: Duration = Duration::from_secs(10);
/// Requests that wait for the disk or a remote at a time.
const WAITING: usize = 64;
/// Descriptors beside those of connections: the manifest's, locks, files on their way in and out.
const OTHER_FILES: usize = 256;

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let store = if args.create { app.open_or_create()? } else { app.open()? };
    let root = store.root().to_owned();
    drop(store);
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificates), Some(key)) => Some(tls(certificates, key)?),
        _ => None,
    };
    let base_url = args.base_url.as_deref().map(wcas::ops::webhook::check_base_url).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let clock: Clock =
        Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().cast_signed());
    let options = server_options(app, &args, &root, clock.clone());
    let anonymous = options.anonymous;
    let server = Arc::new(Server::new(options, app.new_client(PAGE_DEADLINE))?);
    let deaf = |error| Error::Refused(format!("{} can't be listened on ({error}): say another --listen", args.listen));
    let listener = args.listen.bind().map_err(deaf)?;
    let address = listener.local_addr().map_err(deaf)?;
    let http = http_options(app, &args, address.ip(), tls);
    if anonymous == Anonymous::Upload && !address.ip().is_loopback() {
        app.warn(&format!("warning: whoever reaches {address} may upload"));
    }
    let watching = watch(app, &args, &root, clock)?;
    let (stopper, stop) = http::stopper();
    app.own_interrupts();
    let (handle, heard) = stop_on_signals(stopper, watching)?;
    let url = format!("{scheme}://{address}{}/", args.base_path);
    app.report("serve", &Listening { url: url.clone() }, |out| writeln!(out, "{url}"))?;
    let write_back = WriteBack::start(server.clone(), line);
    let webhooks = Webhooks::start(server.clone(), base_url, line);
    let following = wcas::server::follow(server.clone(), Box::new(line));
    let left = http::serve(server.clone(), listener, http, stop)
        .map_err(|error| Error::Refused(format!("the server can't run: {error}")))?;
    drop((write_back, webhooks, following));
    server.close();
    handle.close();
    if left > 0 {
        app.warn(&format!("{left} requests were cut off"));
    }
    match heard.join() {
        Ok(Some(SIGINT)) => std::process::exit(INTERRUPTED),
        _ => Ok(End::Done),
    }
}

fn server_options(app: &App, args: &Args, store: &Path, clock: Clock) -> ServerOptions {
    ServerOptions {
        store: store.to_owned(),
        anonymous: match args.anonymous {
            Allowed::Nothing => Anonymous::Nothing,
            Allowed::Read => Anonymous::Read,
            Allowed::Upload => Anonymous::Upload,
        },
        base_path: args.base_path.clone(),
        max_upload_bytes: args.max_upload_size,
        redirect: args.redirect.then_some(args.redirect_for),
        takes_direct: args.direct_uploads,
        has_actions: args.actions,
        clock,
        random: || super::token::random().map_err(|error| error.to_string()),
        actor: app.actor().clone(),
    }
}

fn http_options(app: &App, args: &Args, address: IpAddr, tls: Option<Tls>) -> HttpOptions {
    let max_connections = fit(args.max_connections, wcas::fs::raise_open_files());
    if max_connections < args.max_connections {
        app.note(&format!("connections are limited to {max_connections}, for this process may open no more files"));
    }
    HttpOptions {
        workers: args.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        max_connections,
        max_waiting: WAITING,
        max_uploads: args.max_uploads.max(1),
        max_requests: args.max_requests,
        head_timeout: args.client_timeout.min(HEAD_TIMEOUT),
        stall_timeout: args.client_timeout,
        grace: args.grace_time,
        tls,
        hosts: Hosts::of(address, args.allowed_host.clone()),
        origins: Origins(args.allow_origin.clone()),
        proxies: Proxies(args.trust_proxy.clone()),
        access_log: args.access_log.map(|form| AccessLog { form: form.into(), line: Box::new(line) }),
        complain: Box::new(line),
    }
}

/// Stops the server, and the watching of folders, at the first signal, and the process at the second. The thread tells which came first.
fn stop_on_signals(stopper: Stopper, mut watching: Option<Watching>) -> Result<(Handle, JoinHandle<Option<i32>>)> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| Error::Refused(error.to_string()))?;
    let handle = signals.handle();
    let heard = std::thread::spawn(move || {
        let mut first = None;
        for signal in &mut signals {
            if first.is_some() {
                // Asked twice: whoever waits has waited enough.
                std::process::exit(if signal == SIGINT { INTERRUPTED } else { 1 });
            }
            first = Some(signal);
            stopper.stop();
            drop(watching.take());
        }
        first
    });
    Ok((handle, heard))
}

const AFTER_HELP: &str = "The first line on standard output is the URL. A collection's index is at URL/COLLECTION/simple/, uploads go to \
                          URL/COLLECTION/legacy/ with a token (`wcas token create`).\n\
                          Example: wcas serve --listen 127.0.0.1:8080";

/// Tells the budgets as well.
fn long_help() -> String {
    format!("{AFTER_HELP}\n\nBudgets, which refusals name:\n{}", budget::table())
}

/// Starts to watch folders, if there are any.
fn watch(app: &App, args: &Args, store: &Path, clock: Clock) -> Result<Option<Watching>> {
    if args.watch.is_empty() {
        return Ok(None);
    }
    let collection = || Destination::Collection(args.collection.clone().unwrap_or_else(CollectionName::shared));
    let options = WatchOptions {
        dirs: args.watch.clone(),
        destination: args.variant.clone().map_or_else(collection, Destination::Variant),
        link: args.link.into(),
    };
    server::watch(store, options, clock, app.actor().at("serve --watch"), Box::new(line)).map(Some)
}

fn line(text: &str) {
    print::say(text);
}

/// Fits the number of connections to the number of files that may be open.
fn fit(connections: usize, open_files: Option<u64>) -> usize {
    let open_files = open_files.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    // A connection that gets a file has that open, too.
    connections.min(open_files.saturating_sub(OTHER_FILES) / 2).max(16)
}

fn tls(certificates: &Path, key: &Path) -> Result<Tls> {
    let read = |path: &Path| {
        let mut bytes = Vec::new();
        let done = File::open(path).and_then(|mut file| std::io::Read::read_to_end(&mut file, &mut bytes));
        done.map(|_| bytes).map_err(wcas::fs::Error::at("read", path))
    };
    Tls::new(&read(certificates)?, &read(key)?).map_err(|error| {
        let because = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Error::Refused(format!(
            "TLS can't be offered with {} and {}: {error}{because}",
            certificates.display(),
            key.display()
        ))
    })
}

fn base_path(text: &str) -> std::result::Result<String, String> {
    let path = text.trim_end_matches('/');
    if !path.is_empty() && (!path.starts_with('/') || path.contains(['?', '#', '%', ' ', '"'])) {
        return Err("a path such as /wheels is wanted".to_owned());
    }
    Ok(path.to_owned())
}
