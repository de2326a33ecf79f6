//! Bodies of requests: forms, piece by piece, for a thread that may wait; and what is thrown away.

use super::connection::Connections;
use crate::budget;
use crate::server::answer::plain;
use crate::server::counters::RequestKind;
use crate::server::upload::worded;
use crate::server::{Answer, Piece, Request};
use bytes::{Buf, Bytes};
use futures_core::Stream;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body::Body as _;
use hyper::body::Incoming;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};

/// So much of a body that nobody wants is read, so that the client gets to read its answer instead of a broken connection.
const DRAIN_BYTES: u64 = 1 << 30;
const DRAIN_TIME: Duration = Duration::from_secs(30);
/// Pieces on their way to the thread that takes them.
const PIECES: usize = 4;

/// A request's body, shared by who reads the form and who throws the rest away.
#[derive(Clone)]
struct Upload(Arc<Mutex<Flow>>);

struct Flow {
    body: Incoming,
    stall: Pin<Box<Sleep>>,
    pace: Pace,
    taken: u64,
    limit: u64,
    is_ended: bool,
    /// How many bytes came since a part's head is looked for; none while its bytes come.
    head: Option<u64>,
    /// Whether bytes were just given: whoever reads takes them first, and collects no more than it needs.
    has_given: bool,
}

/// How fast a body comes. Only the time counts in which it is waited for: a disk that is slow is no fault of the client.
struct Pace {
    patience: Duration,
    /// Since when it is waited for, if it is.
    waits: Option<Instant>,
    /// The time and the bytes of the window that is looked at.
    waited: Duration,
    came: u64,
}

impl Pace {
    fn new(patience: Duration) -> Self {
        Self { patience, waits: None, waited: Duration::ZERO, came: 0 }
    }

    fn wait(&mut self, now: Instant) {
        self.waits.get_or_insert(now);
    }

    /// Takes so many bytes. Returns whether enough came: one byte now and then would keep a place for ever.
    fn count(&mut self, bytes: u64, now: Instant) -> bool {
        self.waited += self.waits.take().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.came = self.came.saturating_add(bytes);
        if self.waited < self.patience {
            return true;
        }
        let least = u128::from(budget::UPLOAD_RATE.limit) * self.waited.as_millis() / 1000;
        let is_enough = u128::from(self.came) >= least;
        (self.waited, self.came) = (Duration::ZERO, 0);
        is_enough
    }
}

impl Flow {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if self.is_ended {
                return Poll::Ready(None);
            }
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(None) => self.is_ended = true,
                Poll::Ready(Some(Err(error))) => {
                    self.is_ended = true;
                    return Poll::Ready(Some(Err(io::Error::other(error))));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    self.stall.as_mut().reset(tokio::time::Instant::now() + self.pace.patience);
                    let Ok(data) = frame.into_data() else { continue };
                    if !self.pace.count(data.remaining() as u64, Instant::now()) {
                        self.is_ended = true;
                        let rate = budget::UPLOAD_RATE;
                        let text = format!("less than {} a second came ({rate})", rate.amount());
                        return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, text))));
                    }
                    self.taken += data.remaining() as u64;
                    if self.taken > self.limit {
                        return Poll::Ready(Some(Err(io::ErrorKind::FileTooLarge.into())));
                    }
                    if let Some(head) = &mut self.head {
                        *head += data.remaining() as u64;
                        // The last bytes may be those of the part already.
                        if head.saturating_sub(data.remaining() as u64) > budget::FORM_HEAD.limit {
                            self.is_ended = true;
                            return Poll::Ready(Some(Err(excess(&budget::FORM_HEAD))));
                        }
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Poll::Pending => {
                    self.pace.wait(Instant::now());
                    if self.stall.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    self.is_ended = true;
                    let text = format!("nothing came within {}", humantime::format_duration(self.pace.patience));
                    return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, text))));
                }
            }
        }
    }
}

impl Upload {
    fn new(body: Incoming, patience: Duration, limit: u64) -> Self {
        let stall = Box::pin(sleep(patience));
        let pace = Pace::new(patience);
        let flow = Flow { body, stall, pace, taken: 0, limit, is_ended: false, head: None, has_given: false };
        Self(Arc::new(Mutex::new(flow)))
    }

    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is left and throws it away, as far as that is bearable.
    async fn drain(self) {
        {
            let mut flow = self.flow();
            flow.head = None;
            flow.limit = flow.taken.saturating_add(DRAIN_BYTES);
        }
        let end = Instant::now() + DRAIN_TIME;
        let mut stream = self;
        while let Some(Ok(_)) = std::future::poll_fn(|context| Pin::new(&mut stream).poll_next(context)).await {
            if Instant::now() > end {
                return;
            }
        }
    }
}

impl Stream for Upload {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut flow = self.flow();
        // A reader of forms asks until nothing is there, and would keep all that a fast client sends.
        if std::mem::take(&mut flow.has_given) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = flow.poll(context);
        flow.has_given = matches!(next, Poll::Ready(Some(Ok(_))));
        next
    }
}

/// Takes what is posted: an upload, a token, or a form of the pages.
pub(super) async fn posted(connections: &Arc<Connections>, request: Request, body: Incoming) -> (RequestKind, Answer) {
    if connections.server.is_exchange(&request) {
        return (RequestKind::Exchange, exchange(connections, request, body).await);
    }
    if connections.server.is_act(&request) {
        return (RequestKind::People, act(connections, request, body).await);
    }
    (RequestKind::Upload, upload(connections, request, body).await)
}

/// Takes a form of the pages, on a thread that may wait for the store.
async fn act(connections: &Arc<Connections>, request: Request, body: Incoming) -> Answer {
    let body = match whole(connections, body, budget::ACTION_BYTES).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let server = connections.server.clone();
    connections.waiting(move || server.act(&request, &body)).await.unwrap_or_else(|answer| answer)
}

/// Exchanges a CI's token, or takes one of ours back, on a thread that may wait for its issuer.
async fn exchange(connections: &Arc<Connections>, request: Request, body: Incoming) -> Answer {
    let body = match whole(connections, body, budget::JWT_BYTES).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let server = connections.server.clone();
    connections.waiting(move || server.exchange(&request, &body)).await.unwrap_or_else(|answer| answer)
}

/// Takes a short body, whole. A client has its time for all of it, not for each byte.
async fn whole(connections: &Arc<Connections>, body: Incoming, most: budget::Budget) -> Result<Vec<u8>, Answer> {
    let patience = connections.options.stall_timeout;
    let mut body = Upload::new(body, patience, most.limit);
    let read = async {
        let mut bytes = Vec::new();
        while let Some(piece) = std::future::poll_fn(|context| Pin::new(&mut body).poll_next(context)).await {
            bytes.extend_from_slice(&piece?);
        }
        Ok::<_, io::Error>(bytes)
    };
    match tokio::time::timeout(patience, read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
            body.drain().await;
            Err(plain(StatusCode::PAYLOAD_TOO_LARGE, budget::Excess(most).to_string()))
        }
        Ok(Err(_)) => Err(plain(StatusCode::BAD_REQUEST, "the body ended early")),
        Err(_) => Err(plain(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

/// Takes an upload: its form goes to a thread that may wait, piece by piece.
async fn upload(connections: &Arc<Connections>, request: Request, body: Incoming) -> Answer {
    let limit = connections.server.options.max_upload_bytes.saturating_add(budget::FORM_BYTES.limit);
    let is_too_large = body.size_hint().lower() > limit;
    let body = Upload::new(body, connections.options.stall_timeout, limit);
    let Some(permit) = connections.uploads.take(super::connection::Uploader::of(&request)) else {
        body.drain().await;
        let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, "there are too many uploads just now; try again");
        crate::server::answer::set(&mut answer, http::header::RETRY_AFTER, "5");
        return worded(request.headers(), answer);
    };
    let request = Arc::new(request);
    let boundary = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = boundary.and_then(|text| multer::parse_boundary(text).ok());
    let admitted = {
        let (server, request) = (connections.server.clone(), request.clone());
        connections.waiting(move || server.admit_upload(&request)).await
    };
    let answer = match (admitted, boundary) {
        (Err(answer) | Ok(Err(answer)), _) => answer,
        (Ok(Ok(())), _) if is_too_large => too_large(connections.server.options.max_upload_bytes),
        (Ok(Ok(())), None) => {
            plain(StatusCode::BAD_REQUEST, "an upload is a form: multipart/form-data with a boundary")
        }
        (Ok(Ok(())), Some(boundary)) => take_form(connections, request.clone(), &body, boundary).await,
    };
    drop(permit);
    body.drain().await;
    worded(request.headers(), answer)
}

/// Answers that a file is larger than is taken.
fn too_large(limit: u64) -> Answer {
    plain(StatusCode::PAYLOAD_TOO_LARGE, format!("the file is larger than the {limit} bytes that are taken here"))
}

async fn take_form(connections: &Arc<Connections>, request: Arc<Request>, body: &Upload, boundary: String) -> Answer {
    let (sender, mut receiver) = mpsc::channel::<io::Result<Piece>>(PIECES);
    let server = connections.server.clone();
    let taking = tokio::task::spawn_blocking(move || {
        server.upload(&request, &mut std::iter::from_fn(|| receiver.blocking_recv()))
    });
    if let Err(error) = send(body.clone(), boundary, &sender).await {
        let _ = sender.send(Err(error)).await;
    }
    drop(sender);
    match taking.await {
        Ok(answer) => answer,
        Err(error) => {
            (connections.options.complain)(&format!("an upload failed: {error}"));
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log may tell why")
        }
    }
}

/// Cuts a form into pieces. An error is the connection's or the form's; who takes the pieces may end early.
async fn send(body: Upload, boundary: String, to: &mpsc::Sender<io::Result<Piece>>) -> io::Result<()> {
    let mut form = multer::Multipart::new(body.clone(), boundary);
    for count in 0.. {
        body.flow().head = Some(0);
        let Some(mut field) = form.next_field().await.map_err(fault)? else { break };
        body.flow().head = None;
        if count == budget::FORM_PARTS.limit {
            return Err(excess(&budget::FORM_PARTS));
        }
        let name = field.name().unwrap_or_default().to_owned();
        let filename = field.file_name().map(str::to_owned);
        if to.send(Ok(Piece::Field { name, filename })).await.is_err() {
            return Ok(());
        }
        while let Some(data) = field.chunk().await.map_err(fault)? {
            if to.send(Ok(Piece::Data(data))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A form that is more than is taken.
fn excess(budget: &budget::Budget) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, budget::Excess(*budget))
}

/// Tells the connection's faults from the form's.
fn fault(error: multer::Error) -> io::Error {
    match error {
        multer::Error::StreamReadFailed(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_counts_in_which_a_body_is_waited_for() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let rate = budget::UPLOAD_RATE.limit;
        let mut pace = Pace::new(Duration::from_secs(10));
        for second in 0..9 {
            pace.wait(at(second));
            assert!(pace.count(1, at(second + 1)), "{second}");
        }
        pace.wait(at(9));
        assert!(!pace.count(1, at(10)));
        // A minute in which nobody asked for more.
        let mut pace = Pace::new(Duration::from_secs(10));
        assert!(pace.count(1, at(60)) && pace.count(1, at(120)));
        for second in (120..150).step_by(10) {
            pace.wait(at(second));
            assert!(pace.count(10 * rate, at(second + 10)));
        }
        pace.wait(at(150));
        assert!(!pace.count(10 * rate - 1, at(160)));
    }
}
