//! A small HTTP server on the own machine that does what it is told, well or badly.
//!
//! `Server::start()` listens on a free port; `route` says what a path answers, `sequence` what it answers the first time, the
//! second, and so on. It writes down what it was asked. It waits for its clients rather than for the clock: what hangs does so
//! until the client goes away.

#![allow(dead_code, reason = "each test crate uses its own part")]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What a path answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    framing: Framing,
    ranges: Ranges,
    fault: Fault,
}

/// How the end of the body is told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Framing {
    Length,
    Claims(u64),
    Chunked,
    Closed,
}

/// What becomes of a `Range` header.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ranges {
    Kept,
    Ignored,
    /// The right bytes, said to be others.
    Wrong,
    Unsatisfiable,
}

/// What goes wrong on the way.
#[derive(Debug, Clone, PartialEq)]
enum Fault {
    None,
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// Nothing comes after so many bytes of the body.
    Stall(usize),
    /// So many bytes at a time, with this pause between two.
    Drip(usize, Duration),
    /// No answer at all, and the connection stays.
    Hang,
    /// No answer at all, and the connection ends.
    HangUp,
    /// These bytes instead of an answer; then the connection ends.
    Raw(Vec<u8>),
}

impl Reply {
    /// Answers with a status and a short text.
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: format!("status {status}\n").into_bytes(),
            framing: Framing::Length,
            ranges: Ranges::Ignored,
            fault: Fault::None,
        }
    }

    /// Answers with bytes of a content type.
    pub(crate) fn bytes(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut reply = Self::status(200).header("Content-Type", content_type);
        reply.body = body.into();
        reply
    }

    /// Answers with an HTML page.
    pub(crate) fn html(body: impl Into<Vec<u8>>) -> Self {
        Self::bytes("text/html; charset=utf-8", body)
    }

    /// Answers with a PEP 691 page.
    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::bytes("application/vnd.pypi.simple.v1+json", body)
    }

    /// Answers with a file: with an ETag, and in parts if a client wants that.
    pub(crate) fn file(body: impl Into<Vec<u8>>) -> Self {
        let mut reply = Self::bytes("application/octet-stream", body).etag("\"first\"");
        reply.ranges = Ranges::Kept;
        reply
    }

    /// Sends the client elsewhere.
    pub(crate) fn redirect(status: u16, to: &str) -> Self {
        Self::status(status).header("Location", to)
    }

    /// Reads the request and says nothing.
    pub(crate) fn hang() -> Self {
        Self::status(200).with(Fault::Hang)
    }

    /// Reads the request and closes the connection.
    pub(crate) fn hang_up() -> Self {
        Self::status(200).with(Fault::HangUp)
    }

    /// Sends bytes as they are and closes the connection.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::status(200).with(Fault::Raw(bytes.into()))
    }

    /// Sets the status.
    pub(crate) fn code(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the ETag; a client that knows it is told 304.
    pub(crate) fn etag(mut self, etag: &str) -> Self {
        self.headers.retain(|(name, _)| name != "ETag");
        self.header("ETag", etag)
    }

    /// Takes the ETag away.
    pub(crate) fn without_etag(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "ETag");
        self
    }

    /// Sets the time of the last change; a client that knows it is told 304.
    pub(crate) fn last_modified(self, time: &str) -> Self {
        self.header("Last-Modified", time)
    }

    /// Compresses the body, and says so.
    pub(crate) fn gzip(mut self) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&self.body).expect("memory takes all bytes");
        self.body = encoder.finish().expect("memory takes all bytes");
        self.header("Content-Encoding", "gzip")
    }

    /// Announces another length than the body has.
    pub(crate) fn claims(mut self, length: u64) -> Self {
        self.framing = Framing::Claims(length);
        self
    }

    /// Sends the body in chunks.
    pub(crate) fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// Sends the body without a length; it ends with the connection.
    pub(crate) fn no_length(mut self) -> Self {
        self.framing = Framing::Closed;
        self
    }

    /// Closes the connection after so many bytes of the body.
    pub(crate) fn cut_at(self, bytes: usize) -> Self {
        self.with(Fault::Cut(bytes))
    }

    /// Sends nothing more after so many bytes of the body.
    pub(crate) fn stall_at(self, bytes: usize) -> Self {
        self.with(Fault::Stall(bytes))
    }

    /// Sends so many bytes at a time, with a pause between two.
    pub(crate) fn drip(self, bytes: usize, pause: Duration) -> Self {
        self.with(Fault::Drip(bytes, pause))
    }

    /// Sends the whole, whatever part was asked for.
    pub(crate) fn ignoring_ranges(mut self) -> Self {
        self.ranges = Ranges::Ignored;
        self
    }

    /// Sends parts that are said to lie elsewhere.
    pub(crate) fn wrong_ranges(mut self) -> Self {
        self.ranges = Ranges::Wrong;
        self
    }

    /// Refuses to send parts, with 416.
    pub(crate) fn refusing_ranges(mut self) -> Self {
        self.ranges = Ranges::Unsatisfiable;
        self
    }

    fn with(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Sends the answer; returns whether the connection goes on.
    fn send(&self, request: &Request, stream: &mut (impl Read + Write)) -> io::Result<bool> {
        match &self.fault {
            Fault::Hang => return until_gone(stream),
            Fault::HangUp => return Ok(false),
            Fault::Raw(bytes) => return stream.write_all(bytes).map(|()| false),
            _ => {}
        }
        let (status, range) = self.judge(request);
        let body = match &range {
            _ if status == 304 || status == 416 => &[],
            Some(range) => &self.body[range.clone()],
            None => &self.body[..],
        };
        let mut head = format!("HTTP/1.1 {status} Said\r\n");
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match self.framing {
            _ if status == 304 => {}
            Framing::Length => head += &format!("Content-Length: {}\r\n", body.len()),
            Framing::Claims(length) => head += &format!("Content-Length: {length}\r\n"),
            Framing::Chunked => head += "Transfer-Encoding: chunked\r\n",
            Framing::Closed => head += "Connection: close\r\n",
        }
        if let Some(range) = &range {
            let shift = if self.ranges == Ranges::Wrong { 1 } else { 0 };
            let (first, last) = (range.start + shift, range.end - 1 + shift);
            head += &format!("Content-Range: bytes {first}-{last}/{}\r\n", self.body.len());
        }
        stream.write_all(head.as_bytes())?;
        stream.write_all(b"\r\n")?;
        self.send_body(body, stream)
    }

    fn send_body(&self, body: &[u8], stream: &mut (impl Read + Write)) -> io::Result<bool> {
        let end = match self.fault {
            Fault::Cut(end) | Fault::Stall(end) => end.min(body.len()),
            _ => body.len(),
        };
        if let Fault::Drip(bytes, pause) = self.fault {
            for piece in body.chunks(bytes) {
                stream.write_all(piece)?;
                stream.flush()?;
                // A server too slow to be of use has to be slow by the clock.
                std::thread::sleep(pause);
            }
        } else if self.framing == Framing::Chunked && end > 0 {
            stream.write_all(format!("{end:x}\r\n").as_bytes())?;
            stream.write_all(&body[..end])?;
            stream.write_all(b"\r\n")?;
        } else {
            stream.write_all(&body[..end])?;
        }
        stream.flush()?;
        match (&self.fault, self.framing) {
            (Fault::Cut(_), _) | (_, Framing::Closed | Framing::Claims(_)) => Ok(false),
            (Fault::Stall(_), _) => until_gone(stream),
            (_, Framing::Chunked) => stream.write_all(b"0\r\n\r\n").map(|()| true),
            _ => Ok(true),
        }
    }

    /// Decides on conditions and ranges as RFC 9110 says, unless told otherwise.
    fn judge(&self, request: &Request) -> (u16, Option<std::ops::Range<usize>>) {
        let is_known = |asked: &str, own: &str| {
            self.status == 200 && request.header(asked).is_some_and(|asked| Some(asked) == self.value(own))
        };
        if is_known("If-None-Match", "ETag") || is_known("If-Modified-Since", "Last-Modified") {
            return (304, None);
        }
        let Some(range) = request.header("Range").filter(|_| self.status == 200) else { return (self.status, None) };
        let validator = request.header("If-Range");
        let is_other = validator.is_some_and(|validator| {
            Some(validator) != self.value("ETag") && Some(validator) != self.value("Last-Modified")
        });
        if self.ranges == Ranges::Ignored || is_other {
            return (self.status, None);
        }
        match part(range, self.body.len()).filter(|_| self.ranges != Ranges::Unsatisfiable) {
            Some(part) => (206, Some(part)),
            None => (416, None),
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics while it holds this")
}

/// Reads `bytes=A-B`, `bytes=A-` or `bytes=-N`.
fn part(range: &str, size: usize) -> Option<std::ops::Range<usize>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (first, last) {
        ("", count) => (size.saturating_sub(count.parse().ok()?), size),
        (first, "") => (first.parse().ok()?, size),
        (first, last) => (first.parse().ok()?, last.parse::<usize>().ok()?.saturating_add(1).min(size)),
    };
    (start < end).then_some(start..end)
}

/// Waits until the client goes away.
fn until_gone(stream: &mut impl Read) -> io::Result<bool> {
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes)? > 0 {}
    Ok(false)
}

/// What the server was asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The method as it came.
    pub(crate) method: String,
    /// The path as it came, with the query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    /// What came after them, of a known length.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Returns a header, whose name may be in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
                None => break,
            }
        }
        let mut request = Self { method, path, headers, body: Vec::new() };
        let length = request.header("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
        request.body.resize(length, 0);
        stream.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    /// Reads the body as a form: its fields in order, that of a file with its name as `NAME=FILENAME`.
    pub(crate) fn form(&self) -> Vec<(String, Vec<u8>)> {
        let kind = self.header("Content-Type").expect("a form has a type");
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").expect("a form has a boundary");
        let limit = format!("--{boundary}").into_bytes();
        let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
        let (mut fields, mut rest) = (Vec::new(), self.body.strip_prefix(limit.as_slice()).expect("it begins"));
        while let Some(part) = rest.strip_prefix(b"\r\n") {
            let head = find(part, b"\r\n\r\n").expect("a part has a head");
            let text = String::from_utf8(part[..head].to_vec()).expect("a head is text");
            let value = &part[head + 4..];
            let end = find(value, &[b"\r\n", limit.as_slice()].concat()).expect("a part has an end");
            let quoted: Vec<&str> = text.split('"').collect();
            let filename = quoted.get(3).map(|name| format!("={name}")).unwrap_or_default();
            fields.push((format!("{}{filename}", quoted[1]), value[..end].to_vec()));
            rest = &value[end + 2 + limit.len()..];
        }
        assert_eq!(rest, b"--\r\n", "a form has an end");
        fields
    }
}

#[derive(Default)]
struct Shared {
    /// For each path what it answers, the next one first; the last one stays.
    routes: Mutex<HashMap<String, Vec<Reply>>>,
    requests: Mutex<Vec<Request>>,
    /// Copies of the sockets, to end them all; none of those that are to be reset, which the last copy's end does.
    sockets: Mutex<Vec<TcpStream>>,
    connections: AtomicUsize,
    is_over: AtomicBool,
    is_resetting: bool,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// The server; it ends when it is dropped, with all its connections.
pub(crate) struct Server {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Starts a server without routes: all it says is 404.
    pub(crate) fn start() -> Self {
        Self::with("http", Shared::default())
    }

    /// Starts one that answers by TLS.
    pub(crate) fn start_tls(config: rustls::ServerConfig) -> Self {
        Self::with("https", Shared { tls: Some(Arc::new(config)), ..Shared::default() })
    }

    /// Starts one that resets each connection when the request comes.
    pub(crate) fn resetting() -> Self {
        Self::with("http", Shared { is_resetting: true, ..Shared::default() })
    }

    /// Returns the address of a port where nobody listens.
    pub(crate) fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        format!("http://{}", listener.local_addr().expect("a bound socket has an address"))
    }

    fn with(scheme: &'static str, shared: Shared) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(shared);
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), false) = (stream, own.is_over.load(Ordering::SeqCst)) else { break };
                own.connections.fetch_add(1, Ordering::SeqCst);
                if !own.is_resetting {
                    held(&own.sockets).extend(stream.try_clone());
                }
                let shared = Arc::clone(&own);
                std::thread::spawn(move || shared.talk(stream));
            }
        });
        Self { address, scheme, shared, thread: Some(thread) }
    }

    /// Returns the URL of a path, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Returns the URL of a path under another name of the same machine: another origin.
    pub(crate) fn other_url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address.port())
    }

    /// Says what a path answers from now on.
    pub(crate) fn route(&self, path: &str, reply: Reply) -> &Self {
        self.sequence(path, [reply])
    }

    /// Says what a path answers, one after the other; the last stays.
    pub(crate) fn sequence(&self, path: &str, replies: impl IntoIterator<Item = Reply>) -> &Self {
        held(&self.shared.routes).insert(path.to_owned(), replies.into_iter().collect());
        self
    }

    /// Offers a file below `/files/`, and returns the `<a>` element that lists it with its digest.
    pub(crate) fn wheel(&self, filename: &str, bytes: &[u8]) -> String {
        self.route(&format!("/files/{filename}"), Reply::file(bytes));
        format!("<a href=\"/files/{filename}#sha256={}\">{filename}</a>\n", wcas::digest::Sha256::of(bytes))
    }

    /// Returns what was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        held(&self.shared.requests).clone()
    }

    /// Returns the paths that were asked for so far, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.path).collect()
    }

    /// Returns how many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // The listener is woken up to see that.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
        for stream in held(&self.shared.sockets).iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn talk(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        if self.is_resetting {
            // A socket that is closed with bytes unread resets its connection.
            let _ = stream.peek(&mut [0]);
            return;
        }
        match &self.tls {
            Some(config) => {
                let connection = rustls::ServerConnection::new(Arc::clone(config)).expect("a good configuration");
                self.answer(rustls::StreamOwned::new(connection, stream.try_clone().expect("a socket has copies")));
            }
            None => self.answer(stream.try_clone().expect("a socket has copies")),
        }
        // A copy of the socket is kept for the server's end: closing this one is not enough.
        let _ = stream.shutdown(Shutdown::Both);
    }

    fn answer(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = Request::read(&mut stream) {
            held(&self.requests).push(request.clone());
            let path = request.path.split('?').next().unwrap_or_default();
            let reply = match held(&self.routes).get_mut(path) {
                Some(replies) if replies.len() > 1 => replies.remove(0),
                Some(replies) => replies[0].clone(),
                None => Reply::status(404),
            };
            if !matches!(reply.send(&request, stream.get_mut()), Ok(true)) {
                return;
            }
        }
    }
}
