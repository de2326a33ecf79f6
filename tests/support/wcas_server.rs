//! `wcas serve` itself on a free port, and a raw client for exact headers: one connection, no redirects, no cookies, nothing added.

#![allow(dead_code, reason = "each test crate uses its own part")]

use super::env::{Env, Running};
use super::wait::PATIENCE;
use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// A server on an environment's store; it is killed when the test ends.
#[derive(Debug)]
pub(crate) struct WcasServer {
    running: Running,
    url: String,
    address: SocketAddr,
}

impl WcasServer {
    /// Starts `wcas serve` with an access log; what it says goes to the file `stderr` of the environment.
    pub(crate) fn start(env: &Env, args: &[&str]) -> Self {
        Self::start_with(env, args, &[])
    }

    /// Starts it with more environment variables.
    pub(crate) fn start_with(env: &Env, args: &[&str], vars: &[(&str, &str)]) -> Self {
        // The log's form may be the first of the arguments.
        let fixed = ["serve", "--create", "--listen", "127.0.0.1:0", "--grace-time", "20s", "--access-log"];
        let mut running = env.spawn_with(vars, fixed.iter().chain(args));
        let mut line = String::new();
        let out = running.stdout.as_mut().expect("stdout is a pipe");
        BufReader::new(out).read_line(&mut line).expect("the server says its URL");
        let url = line.trim_end().to_owned();
        let stderr = || std::fs::read_to_string(env.path("stderr")).unwrap_or_default();
        let host = url.split('/').nth(2).unwrap_or_else(|| panic!("the server said {line:?}: {}", stderr()));
        Self { running, address: host.parse().expect("the host is an address and a port"), url }
    }

    /// Returns the URL of a path, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }

    /// Returns the URL of a path with credentials in it.
    pub(crate) fn url_as(&self, login: &str, path: &str) -> String {
        self.url(path).replacen("://", &format!("://{login}@"), 1)
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.running.id()
    }

    /// Opens a connection.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Asks once, on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Heard {
        self.connect().ask(method, path, headers)
    }

    /// Gets a path.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Heard {
        self.ask("GET", path, &[])
    }

    /// Gets a page as JSON.
    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> serde_json::Value {
        let heard = self.ask("GET", path, &[("Accept", "application/vnd.pypi.simple.v1+json")]);
        assert_eq!(heard.status, 200, "{path}: {heard}");
        serde_json::from_slice(&heard.body).unwrap_or_else(|error| panic!("{path}: {error}: {heard}"))
    }

    /// Returns a value of `/metrics`, by its name with the labels; 0 when there is none.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map_or(0.0, |value| value.parse().expect("a value is a number"))
    }

    /// Sends SIGTERM and waits until it ended, which must be well.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        let sent = Command::new("kill").arg(self.pid().to_string()).status().expect("kill runs");
        assert!(sent.success(), "the server is there no more");
        let begin = Instant::now();
        let status = loop {
            match self.running.try_wait().expect("it is this process's child") {
                Some(status) => break status,
                None if begin.elapsed() > PATIENCE => panic!("the server doesn't end"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        assert!(status.success(), "the server ended with {status}");
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(mut self) {
        self.running.kill().expect("it runs");
        self.running.wait().expect("it is this process's child");
    }
}

/// A connection that a test speaks HTTP/1.1 on, byte by byte.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::try_open(address).expect("the server listens")
    }

    /// Connects to a server that may have ended.
    pub(crate) fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out can be set");
        Ok(Self { stream: BufReader::new(stream), host: address.to_string() })
    }

    /// Sends bytes as they are; fails when the server has closed.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends a request's head, with a Host unless the headers have one.
    pub(crate) fn send_head(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.host);
        }
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        self.send(format!("{head}\r\n").as_bytes()).expect("the server reads");
    }

    /// Asks and reads the whole answer; the connection goes on.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> Heard {
        self.send_head(method, path, headers);
        let mut heard = self.head().expect("the server answers");
        heard.read_body(&mut self.stream, method == "HEAD");
        heard
    }

    /// Posts a body.
    #[track_caller]
    pub(crate) fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Heard {
        let length = body.len().to_string();
        self.send_head("POST", path, &[headers, &[("Content-Length", &length)]].concat());
        // A server that has heard enough may close its end; the answer is there all the same.
        drop(self.send(body));
        let mut heard = self.head().expect("the server answers");
        heard.read_body(&mut self.stream, false);
        heard
    }

    /// Reads the head of an answer; nothing when the server closes instead.
    pub(crate) fn head(&mut self) -> Option<Heard> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut parts = line.trim_end().splitn(3, ' ');
        assert_eq!(parts.next(), Some("HTTP/1.1"), "{line:?} is no status line");
        let status = parts.next().and_then(|code| code.parse().ok()).expect("a status is a number");
        let reason = parts.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(Heard { status, reason, headers, body: Vec::new(), is_whole: true })
    }

    /// Reads what there is until the server closes; the time-out ends it, too.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        drop(self.stream.read_to_end(&mut bytes));
        bytes
    }

    /// Gives up after so long without a byte.
    pub(crate) fn patience(&self, time: Duration) {
        self.stream.get_ref().set_read_timeout(Some(time)).expect("a time-out can be set");
    }

    /// Reads exactly so many bytes.
    pub(crate) fn read(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        self.stream.read_exact(&mut bytes).expect("the server sends so much");
        bytes
    }
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// The status code.
    pub(crate) status: u16,
    /// The reason phrase.
    pub(crate) reason: String,
    /// Names, lowercase, and values, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// The body without the framing.
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(crate) is_whole: bool,
}

impl Heard {
    /// Returns a header that is there at most once; empty when it isn't.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(own, _)| *own == name.to_ascii_lowercase());
        let value = found.next().map_or("", |(_, value)| value);
        assert_eq!(found.next(), None, "{name} is there twice");
        value
    }

    /// Asserts that it is an answer with these bytes, whole.
    #[track_caller]
    pub(crate) fn assert_brings(&self, bytes: &[u8]) {
        assert!(self.body == bytes && self.is_whole && self.status == 200, "{} bytes: {self}", self.body.len());
    }

    /// Returns the body as text.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is text")
    }

    /// Returns the files that a JSON page lists; none where there is no such page.
    #[track_caller]
    pub(crate) fn files(&self) -> Vec<String> {
        if self.status == 404 {
            return Vec::new();
        }
        assert_eq!(self.status, 200, "{self}");
        let page: serde_json::Value = serde_json::from_slice(&self.body).expect("a page in JSON");
        let files = page["files"].as_array().expect("a list");
        files.iter().map(|file| file["filename"].as_str().expect("a name").to_owned()).collect()
    }

    fn read_body(&mut self, stream: &mut impl Read, is_head: bool) {
        if is_head || matches!(self.status, 204 | 304) {
            return;
        }
        if self.header("transfer-encoding") == "chunked" {
            self.is_whole = chunks(stream, &mut self.body);
        } else if let Ok(length) = self.header("content-length").parse::<u64>() {
            drop(stream.take(length).read_to_end(&mut self.body));
            self.is_whole = self.body.len() as u64 == length;
        } else {
            drop(stream.read_to_end(&mut self.body));
        }
    }
}

/// Reads chunks; tells whether the last one came.
fn chunks(stream: &mut impl Read, body: &mut Vec<u8>) -> bool {
    let line = |stream: &mut dyn Read| {
        let (mut text, mut byte) = (String::new(), [0]);
        while stream.read_exact(&mut byte).is_ok() {
            match byte[0] {
                b'\n' => return Some(text),
                b'\r' => {}
                letter => text.push(char::from(letter)),
            }
        }
        None
    };
    while let Some(size) = line(stream).and_then(|text| u64::from_str_radix(&text, 16).ok()) {
        let before = body.len() as u64;
        drop(stream.take(size).read_to_end(body));
        if body.len() as u64 - before < size || line(stream).is_none() {
            return false;
        }
        if size == 0 {
            return true;
        }
    }
    false
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.status, self.reason)?;
        self.headers.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))?;
        write!(f, "\n{}", String::from_utf8_lossy(&self.body[..self.body.len().min(4000)]))
    }
}
