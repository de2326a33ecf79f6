//! Uploads: forms, over a connection to a real server in this process.
//!
//! Whatever comes is answered, and what is answered with success is listed with the digest of the bytes that another reader of forms
//! finds in it.

use super::saw;
use super::site::Site;
use std::cell::RefCell;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;
use wcas::digest::Sha256;
use wcas::server::Anonymous;
use wcas::server::http::{self, HttpOptions, Proxies, Stopper, stopper};
use wcas::server::{Hosts, Origins};
use wcas::wheel::DistributionFilename;

pub(super) const WORDS: &[&str] = &[
    "\r\n--b\r\n",
    "\r\n--b--\r\n",
    "--b",
    "--",
    "\r\n",
    "\r\n\r\n",
    "Content-Disposition: form-data; name=\"",
    "name=\"content\"; filename=\"",
    "\"; filename=\"demo-1.0.zip\"",
    "filename*=utf-8''demo-1.0.zip",
    "Content-Type: application/octet-stream\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    ":action\"\r\n\r\nfile_upload",
    "file_reference",
    "sha256_digest",
    "SHA256",
    "md5_digest",
    "blake2_256_digest",
    "filetype\"\r\n\r\nsdist",
    "bdist_wheel",
    "name\"\r\n\r\ndemo",
    "version\"\r\n\r\n1.0",
    "attestations",
    "protocol_version\"\r\n\r\n1",
    "PK\u{3}\u{4}",
    "PK\u{5}\u{6}",
    "demo-1.0.zip",
    "../",
    "/",
    "\\",
    "\0",
    "é",
    "\"",
    "'",
    ";",
    "=",
];

/// So long an answer is waited for; the server waits less for a form.
const PATIENCE: Duration = Duration::from_secs(20);

struct Served {
    #[expect(dead_code, reason = "its store goes with it")]
    site: Site,
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.connection = None;
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Answer {
    status: u16,
    text: String,
}

impl Served {
    fn new() -> Self {
        let site = Site::new(Anonymous::Upload);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it has one");
        let options = HttpOptions {
            workers: 1,
            max_connections: 8,
            max_waiting: 4,
            max_uploads: 4,
            max_requests: None,
            head_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(10),
            grace: Duration::ZERO,
            tls: None,
            hosts: Hosts::of(address.ip(), Vec::new()),
            origins: Origins(Vec::new()),
            proxies: Proxies(Vec::new()),
            access_log: None,
            complain: Box::new(|line| panic!("the server complains: {line}")),
        };
        let (stopper, stop) = stopper();
        let server = site.server.clone();
        let thread = std::thread::spawn(move || _ = http::serve(server, listener, options, stop).expect("it serves"));
        Self { site, address, connection: None, stopper, thread: Some(thread) }
    }

    /// Sends a request and reads its answer.
    fn ask(&mut self, head: &str, body: &[u8]) -> Answer {
        match self.try_ask(head, body) {
            Ok(answer) => answer,
            // An idle connection may have ended; a new one has not.
            Err(_) if self.connection.take().is_some() => self.try_ask(head, body).expect("an answer"),
            Err(error) => panic!("no answer: {error}"),
        }
    }

    fn try_ask(&mut self, head: &str, body: &[u8]) -> io::Result<Answer> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                self.connection.insert(BufReader::new(stream))
            }
        };
        connection.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let (mut line, mut length, mut is_last) = (String::new(), 0, false);
        connection.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("{line:?} is no answer")))?;
        loop {
            line.clear();
            connection.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
                "connection" => is_last = value.trim().eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        let mut text = vec![0; length];
        connection.read_exact(&mut text)?;
        if is_last {
            self.connection = None;
        }
        Ok(Answer { status, text: String::from_utf8_lossy(&text).into_owned() })
    }
}

pub(super) fn check(input: &[u8]) {
    thread_local! {
        static SERVED: RefCell<Option<Served>> = const { RefCell::new(None) };
    }
    SERVED.with_borrow_mut(|served| check_form(served.get_or_insert_with(Served::new), input));
}

fn check_form(served: &mut Served, input: &[u8]) {
    // Its own digest, wherever the form wants it: else hardly any change would be taken.
    let digest = content(input).map(|(_, content)| Sha256::of(&content).to_string()).unwrap_or_default();
    let body = replace(input, b"SHA256", digest.as_bytes());
    let head = format!(
        "POST /cuda/ HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
        served.address,
        body.len()
    );
    let answer = served.ask(&head, &body);
    saw(format!("{:?} {}", answer.status, answer.text.split(':').next().unwrap_or_default()));
    assert!(matches!(answer.status, 200 | 400 | 403 | 404 | 410 | 413), "{}: {}", answer.status, answer.text);
    if answer.status != 200 {
        return;
    }
    let (filename, bytes) =
        content(&body).unwrap_or_else(|| panic!("taken, and no other reader sees a file: {}", answer.text));
    let sha256 = Sha256::of(&bytes).to_string();
    assert!(answer.text.contains(&sha256), "{filename} has {sha256}, and the server says {}", answer.text);
    let name = DistributionFilename::parse(&filename).expect("only good names are taken");
    let head = format!(
        "GET /cuda/simple/{}/ HTTP/1.1\r\nHost: {}\r\nAccept: application/vnd.pypi.simple.v1+json\r\n\r\n",
        name.project(),
        served.address
    );
    let page = served.ask(&head, b"");
    assert!(page.status == 200 && page.text.contains(&sha256), "{filename} was taken, and the page is {}", page.text);
}

fn replace(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    match bytes.windows(old.len()).position(|window| window == old) {
        Some(at) => [&bytes[..at], new, &bytes[at + old.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

/// Reads a form by itself (RFC 7578), and returns the name and the bytes of its one file.
fn content(body: &[u8]) -> Option<(String, Vec<u8>)> {
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
    let mut rest = &body[find(body, b"--b")? + 3..];
    let mut found = None;
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = find(part, b"\r\n--b")?;
        let (part, after) = (&part[..end], &part[end + 5..]);
        let gap = find(part, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&part[..gap]).into_owned();
        if let Some(name) =
            head.split_once("name=\"content\"; filename=\"").and_then(|(_, rest)| rest.split('"').next())
        {
            found.get_or_insert((name.to_owned(), part[gap + 4..].to_vec()));
        }
        rest = after;
    }
    found
}
