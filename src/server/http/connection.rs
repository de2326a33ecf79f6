//! Connections: accepted within a limit, each request answered, ended when the server ends.

use super::access_log::Asked;
use super::body::{Counted, Outgoing};
use super::shares::{Busy, Guest, Guests, Place, Places, Rate, network, too_wide};
use super::{HttpOptions, REMOTE_WAITS, Stop, WIDE_PAGES, form};
use crate::digest::Sha256;
use crate::server::answer::{Cause, Reason, plain, sign};
use crate::server::{Answer, Body, Pending, Request, Server};
use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Sleep, sleep};

/// A request's head may have so many bytes.
const HEAD_BYTES: usize = 32 << 10;
/// After a failed accept (no descriptors left, as a rule) the next one waits, so that the processor isn't kept busy with it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whose share an upload is of: what his token hashes to, or the address of who has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Uploader {
    Token(Sha256),
    Address(IpAddr),
}

impl Uploader {
    pub(super) fn of(request: &Request) -> Self {
        match request.headers().get(header::AUTHORIZATION) {
            Some(token) => Self::Token(Sha256::of(token.as_bytes())),
            None => Self::Address(network(request.body().address)),
        }
    }
}

/// So long a connection that must go may take to finish what it does.
const LEAVE_TIME: Duration = Duration::from_secs(1);

/// What all connections share.
pub(super) struct Connections {
    pub(super) server: Arc<Server>,
    pub(super) options: HttpOptions,
    pub(super) uploads: Arc<Places<Uploader>>,
    guests: Guests,
    rate: Option<Rate>,
    /// Places for pages that may read whole collections, by address.
    wide: Arc<Places<IpAddr>>,
    waiting: Semaphore,
    in_flight: AtomicUsize,
}

impl Connections {
    pub(super) fn new(server: Arc<Server>, options: HttpOptions) -> Self {
        let uploads = Arc::new(Places::new(options.max_uploads));
        let guests = Guests::new(options.max_connections);
        let rate = options.max_requests.map(Rate::new);
        let waiting = Semaphore::new(options.max_waiting + REMOTE_WAITS + WIDE_PAGES);
        let wide = Arc::new(Places::new(WIDE_PAGES));
        Self { server, uploads, guests, rate, wide, waiting, options, in_flight: AtomicUsize::new(0) }
    }

    /// Returns how many requests are not finished.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Accepts connections until the end.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener, permits: Arc<Semaphore>, mut stop: Stop) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.stopped() => return,
                accepted = async {
                    let permit = permits.clone().acquire_owned().await.expect("nobody closes it");
                    listener.accept().await.map(|connection| (connection, permit))
                } => accepted,
            };
            match accepted {
                Ok(((stream, address), permit)) => {
                    let (connections, stop) = (self.clone(), stop.clone());
                    let from = network(address.ip());
                    let is_proxy = self.options.proxies.0.contains(&address.ip().to_canonical());
                    // A proxy has all its clients' connections.
                    let guest = if is_proxy { Some(Arc::default()) } else { self.guests.enter(from) };
                    let Some(guest) = guest else { continue };
                    tokio::spawn(async move {
                        connections.clone().run(stream, address, guest.clone(), stop).await;
                        connections.guests.left(from, &guest);
                        drop(permit);
                    });
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    (self.options.complain)(&format!("a connection can't be accepted: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn run(self: Arc<Self>, stream: TcpStream, address: SocketAddr, guest: Arc<Guest>, stop: Stop) {
        let _ = stream.set_nodelay(true);
        match self.options.tls.clone() {
            None => self.talk(stream, (address, false), guest, stop).await,
            Some(tls) => {
                let shaken = tokio::time::timeout(self.options.head_timeout, tls.0.accept(stream));
                let shaken = tokio::select! {
                    shaken = shaken => shaken,
                    () = guest.leave.notified() => return,
                };
                // A client that doesn't trust the certificate, or speaks no TLS, knows it best itself.
                if let Ok(Ok(stream)) = shaken {
                    Box::pin(self.talk(stream, (address, true), guest, stop)).await;
                }
            }
        }
    }

    async fn talk(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        (address, is_tls): (SocketAddr, bool),
        guest: Arc<Guest>,
        mut stop: Stop,
    ) {
        let stream = TokioIo::new(SlowClient::new(stream, self.options.stall_timeout));
        let (connections, own) = (self.clone(), guest.clone());
        let service = service_fn(move |request| {
            let (connections, busy) = (connections.clone(), Busy::begin(own.clone()));
            // In a box of its own, which goes with the answer: connections without a request are many, and should be small.
            Box::pin(async move { Ok::<_, Infallible>(connections.handle(request, address, is_tls, busy).await) })
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.options.head_timeout);
        builder.max_buf_size(HEAD_BYTES.max(8192)).half_close(false);
        let mut connection = pin!(builder.serve_connection(stream, service));
        let is_ended = tokio::select! {
            // What goes wrong with a connection is the client's to notice.
            _ = connection.as_mut() => true,
            () = stop.stopped() => false,
            // Others from its address want its place. Where nothing was ever asked, nothing is to be finished.
            () = guest.leave.notified() => {
                if guest.has_asked.load(Ordering::Relaxed) {
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(LEAVE_TIME, connection).await;
                }
                return;
            }
        };
        if !is_ended {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }

    async fn handle(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        address: SocketAddr,
        is_tls: bool,
        busy: Busy,
    ) -> Response<Counted> {
        let start = Instant::now();
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let _flight = Flight(&self.in_flight);
        let (parts, body) = request.into_parts();
        let peer = self.options.proxies.peer(address, is_tls, &parts.headers);
        let request = Request::from_parts(parts, peer);
        let origin = request.headers().get(header::ORIGIN).cloned();
        let is_admitted = self.rate.as_ref().is_none_or(|rate| rate.admits(network(peer.address), start));
        let asked = Asked::of(&self, &request, is_admitted).await;
        let mut answer = if is_admitted { self.answer(request, body).await } else { self.prepare(too_often()) };
        if let Some(Cause(text)) = answer.extensions_mut().remove() {
            (self.options.complain)(&text);
        }
        let entry = asked.and_then(|asked| asked.answered(&self, &answer, start));
        let place = answer.extensions_mut().remove::<Place>();
        self.options.origins.mark(origin.as_ref(), answer.headers_mut());
        let server = self.server.clone();
        answer.map(|body| Counted::new(body, server, (busy, place), entry))
    }

    async fn answer(self: &Arc<Self>, request: Request, body: Incoming) -> Response<Outgoing> {
        if let Err(answer) = self.options.hosts.admit(&request) {
            return self.prepare(answer);
        }
        if let Some(answer) = self.options.origins.preflight(&request) {
            return self.prepare(answer);
        }
        if let Some(answer) = self.server.cached(&request) {
            let (parts, body) = answer.into_parts();
            return match Outgoing::ready(body) {
                Ok(body) => finish(Response::from_parts(parts, body)),
                Err(body) => {
                    let step = self.waiting(move || Outgoing::prepare(body)).await;
                    self.done(step.map(|body| body.map(|body| Response::from_parts(parts, body))))
                }
            };
        }
        if *request.method() == Method::POST {
            let (start, in_flight) = (Instant::now(), self.server.counters.begin());
            let (asked, answer) = Box::pin(form::posted(self, request, body)).await;
            drop(in_flight);
            self.server.counters.answered(asked, answer.status().as_u16(), start.elapsed());
            return self.prepare(answer);
        }
        let place = self.server.is_wide(&request).then(|| self.wide.take(network(request.body().address)));
        if matches!(place, Some(None)) {
            return self.prepare(too_wide());
        }
        // In boxes of their own, that and uploads: what is at hand needs not their room.
        let mut answer = self.done(Box::pin(self.respond(request)).await);
        if let Some(place) = place.flatten() {
            answer.extensions_mut().insert(Place(Arc::new(place)));
        }
        answer
    }

    fn done(&self, answer: Result<io::Result<Response<Outgoing>>, Answer>) -> Response<Outgoing> {
        match answer {
            Ok(Ok(answer)) => finish(answer),
            Ok(Err(error)) => {
                (self.options.complain)(&format!("a file can't be read: {error}"));
                self.prepare(plain(StatusCode::SERVICE_UNAVAILABLE, "the file can't be read just now"))
            }
            Err(answer) => self.prepare(answer),
        }
    }

    /// Answers from the store, and from remotes: those are waited for without a thread.
    async fn respond(&self, request: Request) -> Result<io::Result<Response<Outgoing>>, Answer> {
        let server = self.server.clone();
        let mut step = self.waiting(move || Step::of(server.respond(&request))).await?;
        loop {
            match step {
                Step::Ready(answer) => return Ok(*answer),
                Step::Pending(pending) => {
                    let (mut signal, patience) = pending.listen();
                    let is_moved = async { while !pending.is_ready() && signal.changed().await.is_ok() {} };
                    // When the time is up, the answer says so.
                    let _ = tokio::time::timeout(patience, is_moved).await;
                    let server = self.server.clone();
                    step = self.waiting(move || Step::of(server.resume(*pending))).await?;
                }
            }
        }
    }

    /// Does work that may wait, on a thread for that; a panic there is an answer.
    pub(super) async fn waiting<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Answer> {
        let _permit = self.waiting.acquire().await;
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            (self.options.complain)(&format!("a request failed: {error}"));
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log may tell why")
        })
    }

    /// Makes an answer whose body is in memory ready.
    fn prepare(&self, answer: Answer) -> Response<Outgoing> {
        let (parts, body) = answer.into_parts();
        match Outgoing::ready(body) {
            Ok(body) => finish(Response::from_parts(parts, body)),
            Err(_) => finish(Response::new(Outgoing::Bytes(bytes::Bytes::new()))),
        }
    }
}

/// Answers who asks more often than the server's owner allows.
fn too_often() -> Answer {
    let mut answer =
        plain(StatusCode::TOO_MANY_REQUESTS, "there are too many requests from this address (--max-requests)");
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// How far an answer is.
enum Step {
    Ready(Box<io::Result<Response<Outgoing>>>),
    Pending(Box<Pending>),
}

impl Step {
    /// Takes an answer. Small files are read here: this may wait for the disk.
    fn of(answer: Answer) -> Self {
        let (parts, body) = answer.into_parts();
        match body {
            Body::Pending(pending) => Self::Pending(pending),
            body => Self::Ready(Box::new(Outgoing::prepare(body).map(|body| Response::from_parts(parts, body)))),
        }
    }
}

/// A request that is not finished yet.
struct Flight<'a>(&'a AtomicUsize);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sets what every answer has.
fn finish(mut answer: Response<Outgoing>) -> Response<Outgoing> {
    sign(answer.headers_mut());
    if let Some(Reason(text)) = answer.extensions_mut().remove::<Reason>() {
        // A reason phrase is one line of a few words; the whole text is in the body.
        let line: String =
            text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).take(400).collect();
        if let Ok(reason) = hyper::ext::ReasonPhrase::try_from(line.into_bytes()) {
            answer.extensions_mut().insert(reason);
        }
    }
    answer
}

/// Tells whether an accept failed for a reason that only its client has.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A stream whose writes fail when the client takes nothing for too long.
struct SlowClient<S> {
    stream: S,
    patience: Duration,
    /// Runs while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S> SlowClient<S> {
    fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, stall: None }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stall = None;
            return done;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SlowClient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SlowClient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch(context, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, done)
    }
}
