//! The sockets: connections, HTTP/1.1, TLS, limits and a graceful end. The one async place.
//!
//! A request whose answer is in memory is answered where it is read; everything else goes to a thread that may wait for the disk
//! and for remotes. Nothing is decided here: what a request means and what it gets is [`Server`]'s.

mod access_log;
mod body;
mod connection;
mod feeding;
mod form;
mod proxy;
mod shares;
mod tls;

pub use access_log::{AccessForm, AccessLog};
pub use proxy::Proxies;
pub use tls::{Tls, TlsError};

use super::{Hosts, Origins, Server};
use crate::budget;
use connection::Connections;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// How often the server looks whether there is anything to save.
const TICK: Duration = Duration::from_secs(5);

/// Connections that may wait to be accepted. With the 128 of the standard library, a crowd at once loses some, and each of those
/// clients tries again a second later.
const BACKLOG: i32 = 4096;

/// Who waits for a remote takes no place of those who don't.
pub(super) const REMOTE_WAITS: usize = budget::REMOTE_WAITS.limit as usize;

/// Nor does who asks for pages that read whole collections.
pub(super) const WIDE_PAGES: usize = budget::WIDE_PAGES.limit as usize;

/// Takes a line of a log.
pub type Line = Box<dyn Fn(&str) + Send + Sync>;

/// How the server treats its connections.
pub struct HttpOptions {
    /// Threads that handle connections; what waits for the disk has threads of its own.
    pub workers: usize,
    /// Connections at a time; more wait until one ends. Of the last ones, the address that has most loses an idle one.
    pub max_connections: usize,
    /// Requests that wait for the disk at a time, beside those that wait for remotes; more wait their turn.
    pub max_waiting: usize,
    /// Uploads at a time; more are told to come back. One token, or one address without, has half of them at most.
    pub max_uploads: usize,
    /// Requests a second from one address; more are told to come back. Of no other than trusted proxies it is the client's.
    pub max_requests: Option<u32>,
    /// How long a request's head may take, and how long a connection without a request is kept.
    pub head_timeout: Duration,
    /// How long a client may neither send nor take a byte in the midst of a body.
    pub stall_timeout: Duration,
    /// How long the end waits for what is in flight.
    pub grace: Duration,
    /// TLS, unless a proxy does it.
    pub tls: Option<Tls>,
    /// The names that are answered for.
    pub hosts: Hosts,
    /// Whose pages may read answers in browsers.
    pub origins: Origins,
    /// Whose forwarded headers are believed.
    pub proxies: Proxies,
    /// Is told of every request: one line.
    pub access_log: Option<AccessLog>,
    /// Is told what went wrong, for the owner of the server.
    pub complain: Line,
}

/// Ends a server: from any thread, or by being dropped.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Hears of the end.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// Makes what ends a server, and what the server listens to for that.
pub fn stopper() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks the server to finish what is in flight and to end.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits for the end.
    async fn stopped(&mut self) {
        // A stopper that is gone means the end, too.
        let _ = self.0.wait_for(|is_stopped| *is_stopped).await;
    }
}

/// Serves until it is stopped and what was in flight is finished, or its time is up. Returns how many requests were cut off.
pub fn serve(server: Arc<Server>, listener: TcpListener, options: HttpOptions, mut stop: Stop) -> io::Result<usize> {
    listener.set_nonblocking(true)?;
    rustix::net::listen(&listener, BACKLOG)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.workers.max(1))
        // Files are read by these, too, so there are more than may wait.
        .max_blocking_threads(options.max_waiting + REMOTE_WAITS + WIDE_PAGES + 8)
        .thread_keep_alive(Duration::from_secs(5))
        .thread_name("wcas-serve")
        .enable_io()
        .enable_time()
        .build()?;
    let grace = options.grace;
    runtime.spawn(tick(server.clone()));
    let pulls = server.clone();
    let connections = Arc::new(Connections::new(server, options));
    let (left, stopped) = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let permits = Arc::new(Semaphore::new(connections.options.max_connections));
        let accepting = connections.clone().accept(listener, permits.clone(), stop.clone());
        // On a worker, not on this thread, which would have to wake one for each connection.
        let accepting = tokio::spawn(accepting);
        stop.stopped().await;
        let stopped = Instant::now();
        let _ = accepting.await;
        let all = u32::try_from(connections.options.max_connections).unwrap_or(u32::MAX);
        let finished = tokio::time::timeout(grace, permits.acquire_many(all)).await;
        let is_finished = finished.is_ok();
        let left = if is_finished { 0 } else { connections.in_flight() };
        Ok::<_, io::Error>((left, stopped))
    })?;
    pulls.feeds.close(grace.saturating_sub(stopped.elapsed()));
    pulls.fetches.close(grace.saturating_sub(stopped.elapsed()));
    // Threads that still wait for a remote end with the process.
    runtime.shutdown_timeout(Duration::from_millis(200));
    Ok(left)
}

/// Saves what is counted also when nobody asks for anything any more.
async fn tick(server: Arc<Server>) {
    loop {
        tokio::time::sleep(TICK).await;
        let server = server.clone();
        // A panic there would be told with the next request.
        let _ = tokio::task::spawn_blocking(move || server.tick()).await;
    }
}
