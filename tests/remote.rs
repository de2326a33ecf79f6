//! The client of other indexes against a server that misbehaves in every way: what it says, how often it asks, what is left.

mod support;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Reply, Sdist, Server, Wheel};
use tempfile::TempDir;
use url::Url;
use wcas::digest::{Digests, Sha256};
use wcas::index::read::{ListedFile, Sidecar, Signed};
use wcas::remote::{
    Auth, Client, ClientOptions, Downloaded, Failure, FailureKind, Layout, Page, PageAnswer, Source, Validators,
    discover,
};

const STALL: Duration = Duration::from_millis(150);

fn options() -> ClientOptions {
    ClientOptions {
        connect_timeout: Duration::from_millis(500),
        stall_timeout: STALL,
        page_deadline: Duration::from_millis(400),
        backoff: Duration::from_millis(1),
        max_wait: Duration::from_secs(1),
        max_page_bytes: 1 << 20,
        max_file_bytes: 8 << 20,
        ..ClientOptions::default()
    }
}

fn client() -> Client {
    Client::new(options()).expect("a client can be made")
}

fn url(text: &str) -> Url {
    text.parse().expect("a good URL")
}

fn source(server: &Server) -> Source {
    Source::new(url(&server.url("/simple/")))
}

/// A file as a page would list it, with its digest.
fn listed(address: &str, bytes: &[u8]) -> ListedFile {
    let url = url(address);
    ListedFile {
        name: url
            .path_segments()
            .expect("a distribution's address")
            .next_back()
            .expect("a distribution's address")
            .parse()
            .expect("a distribution's address"),
        url,
        sha256: Some(Sha256::of(bytes)),
        digests: Vec::new(),
        size: None,
        requires_python: None,
        yanked: None,
        sidecar: None,
        uploaded_at: None,
        is_first_seen: false,
        provenance: None,
        signed: Signed::Unasked,
    }
}

/// A folder to download into.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder can be made"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("0")
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.0.path()).expect("a temporary folder can be listed").next().is_none()
    }
}

fn download(client: &Client, source: &Source, file: &ListedFile, folder: &Folder) -> Result<Downloaded, Failure> {
    client.download(source, file, &folder.path(), &|_| {})
}

const PATH: &str = "/files/demo-1.0-py3-none-any.whl";

fn wheel() -> Wheel {
    Wheel::new("demo", "1.0").payload(300_000, 7)
}

fn page(answer: PageAnswer) -> Page {
    match answer {
        PageAnswer::Page(page) => page,
        other => panic!("expected a page, found {other:?}"),
    }
}

// --- pages ---

#[test]
fn a_page_is_asked_for_with_what_is_understood_and_comes_with_its_validators() {
    let server = Server::start();
    let reply = Reply::html("<a href=\"demo-1.0-py3-none-any.whl\">x</a>").etag("\"a\"");
    server.route("/simple/demo/", reply.last_modified("Mon, 01 Jan 2024 00:00:00 GMT"));
    let answer = client().page(&source(&server), &url(&server.url("/simple/demo/")), None).unwrap();
    let found = page(answer);
    assert_eq!(found.url.path(), "/simple/demo/");
    assert_eq!(found.content_type.as_deref(), Some("text/html; charset=utf-8"));
    assert_eq!(found.validators.etag.as_deref(), Some("\"a\""));
    assert_eq!(found.validators.last_modified.as_deref(), Some("Mon, 01 Jan 2024 00:00:00 GMT"));
    assert_eq!(found.read().unwrap().files.len(), 1);
    let request = &server.requests()[0];
    assert!(request.header("accept").unwrap().starts_with("application/vnd.pypi.simple.v1+json, "));
    assert_eq!(request.header("accept-encoding"), Some("gzip"));
    assert_eq!(request.header("user-agent"), Some(concat!("wcas/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("if-none-match"), None);
}

#[test]
fn a_page_that_did_not_change_is_not_sent_again() {
    let server = Server::start();
    server.route("/a/", Reply::html("x").etag("W/\"a\""));
    server.route("/b/", Reply::html("x").last_modified("Mon, 01 Jan 2024 00:00:00 GMT"));
    let client = client();
    for path in ["/a/", "/b/"] {
        let ask = |validators: Option<&Validators>| client.page(&source(&server), &url(&server.url(path)), validators);
        let first = page(ask(None).unwrap());
        assert_eq!(ask(Some(&first.validators)).unwrap(), PageAnswer::Unchanged, "{path}");
        let other = Validators { etag: Some("\"other\"".to_owned()), last_modified: None };
        assert_eq!(page(ask(Some(&other)).unwrap()).body, b"x", "{path}");
    }
    assert_eq!(server.connections(), 1, "the connection is kept");
}

#[test]
fn pages_come_in_every_good_form() {
    let server = Server::start();
    let text = "<a href=\"/x/\">x</a>".repeat(1000);
    for (path, reply) in [
        ("/gzip/", Reply::html(text.as_str()).gzip()),
        ("/chunked/", Reply::html(text.as_str()).chunked()),
        ("/chunked-gzip/", Reply::html(text.as_str()).gzip().chunked()),
        ("/closed/", Reply::html(text.as_str()).no_length()),
        ("/identity/", Reply::html(text.as_str()).header("Content-Encoding", "identity")),
    ] {
        server.route(path, reply);
        let found = page(client().page(&source(&server), &url(&server.url(path)), None).unwrap());
        assert!(found.body == text.as_bytes(), "{path}");
    }
    server.route("/latin/", Reply::bytes("text/html; charset=iso-8859-1", b"caf\xe9 <a href=\"/x/\">".as_slice()));
    let found = page(client().page(&source(&server), &url(&server.url("/latin/")), None).unwrap());
    assert_eq!(found.body[3], 0xe9, "the bytes are left to the reader");
}

/// One row: what the path answers, the failure's kind, a part of its message, and the number of requests.
type Row = (&'static str, Vec<Reply>, FailureKind, &'static str, usize);

#[test]
fn every_fault_of_a_page_has_its_failure_and_its_number_of_requests() {
    let bomb = || Reply::html(vec![b' '; 4 << 20]).gzip();
    let good = || Reply::html("<a href=\"/x/\">x</a>".repeat(100));
    let endless = "x".repeat(1 << 20);
    let rows: Vec<Row> = vec![
        ("403", vec![Reply::status(403)], FailureKind::Refused, "/p/ answered with status 403", 1),
        ("401", vec![Reply::status(401)], FailureKind::Refused, "status 401", 1),
        ("500", vec![Reply::status(500)], FailureKind::Refused, "status 500", 3),
        ("501", vec![Reply::status(501)], FailureKind::Refused, "status 501", 1),
        ("204", vec![Reply::status(204)], FailureKind::Refused, "status 204", 1),
        ("304 unasked", vec![Reply::status(304)], FailureKind::Refused, "status 304", 1),
        ("503 soon", vec![Reply::status(503).header("Retry-After", "0")], FailureKind::Refused, "status 503", 3),
        ("503 late", vec![Reply::status(503).header("Retry-After", "3600")], FailureKind::Refused, "status 503", 1),
        (
            "429 at some date",
            vec![Reply::status(429).header("Retry-After", "Mon, 01 Jan 2024 00:00:00 GMT")],
            FailureKind::Refused,
            "status 429",
            3,
        ),
        ("no answer", vec![Reply::hang_up()], FailureKind::Unreachable, "cannot reach http://127.0.0.1:", 3),
        ("half a header", vec![Reply::raw("HTTP/1.1 200 OK\r\nContent-")], FailureKind::Unreachable, "cannot reach", 3),
        ("no HTTP", vec![Reply::raw("SSH-2.0-OpenSSH\r\n\r\n")], FailureKind::Unreachable, "invalid HTTP", 3),
        (
            "huge header",
            vec![Reply::raw(format!("HTTP/1.1 200 OK\r\nX: {endless}\r\n\r\n"))],
            FailureKind::Unreachable,
            "message head is too large",
            3,
        ),
        ("hangs", vec![Reply::hang()], FailureKind::TimedOut, "no answer came within 150ms", 1),
        ("stalls", vec![good().stall_at(100)], FailureKind::TimedOut, "no further byte came within 150ms", 1),
        (
            "drips",
            vec![good().drip(1, Duration::from_millis(10))],
            FailureKind::TimedOut,
            "less than 4 KiB a second came (budget least-rate)",
            1,
        ),
        ("cut", vec![good().cut_at(100)], FailureKind::CutShort, "broke off after 100 bytes: ", 3),
        ("chunked cut", vec![good().chunked().cut_at(100)], FailureKind::CutShort, "broke off after 100 bytes: ", 3),
        ("cut gzip", vec![good().gzip().cut_at(20)], FailureKind::CutShort, "broke off after 20 bytes: ", 3),
        ("too long", vec![good().claims(2 << 20)], FailureKind::TooLarge, "more than 1048576 bytes", 1),
        (
            "too long, no length",
            vec![Reply::html(vec![b' '; 2 << 20]).chunked()],
            FailureKind::TooLarge,
            "too large",
            1,
        ),
        ("gzip bomb", vec![bomb()], FailureKind::TooLarge, "too large", 1),
        ("no gzip", vec![good().header("Content-Encoding", "gzip")], FailureKind::Encoding, "cannot decode", 1),
        ("other coding", vec![good().header("Content-Encoding", "br")], FailureKind::Encoding, "\"br\"", 1),
        ("loop", vec![Reply::redirect(301, "/p/")], FailureKind::Redirect, "a redirect in a circle", 1),
        ("nowhere", vec![Reply::status(302)], FailureKind::Redirect, "a redirect to nowhere", 1),
        ("no URL", vec![Reply::redirect(302, "http://[")], FailureKind::Redirect, "a redirect to no URL", 1),
        ("to a file", vec![Reply::redirect(302, "file:///x")], FailureKind::Redirect, "to a \"file\" URL", 1),
    ];
    for (name, replies, kind, message, count) in rows {
        let server = Server::start();
        server.sequence("/p/", replies);
        let begin = Instant::now();
        let failure = client().page(&source(&server), &url(&server.url("/p/")), None).expect_err(name);
        assert_eq!(failure.kind(), kind, "{name}: {failure}");
        assert!(failure.to_string().contains(message), "{name}: {failure}");
        assert!(!failure.is_definite(), "{name}: {failure}");
        assert_eq!(server.requests().len(), count, "{name}: {failure}");
        assert!(begin.elapsed() < Duration::from_secs(2), "{name}: {:?}", begin.elapsed());
    }
}

#[test]
fn a_server_that_is_not_there_or_resets_is_unreachable() {
    let source = Source::new(url("http://joe:secret@127.0.0.1/"));
    let ask = |address: &str| client().page(&source, &url(address), None).unwrap_err();
    let failure = ask(&format!("{}/p/?token=secret", Server::nobody()));
    assert_eq!(failure.kind(), FailureKind::Unreachable);
    assert!(failure.to_string().ends_with("/p/: Connection refused (os error 111)"), "{failure}");
    assert!(!failure.to_string().contains("secret"), "{failure}");
    let server = Server::resetting();
    let failure = ask(&server.url("/p/"));
    assert_eq!((failure.kind(), server.connections()), (FailureKind::Unreachable, 3), "{failure}");
    assert!(failure.to_string().ends_with("Connection reset by peer (os error 104)"), "{failure}");
    let failure = ask("file:///etc/passwd");
    assert_eq!(failure.kind(), FailureKind::Insecure, "{failure}");
}

#[test]
fn a_page_that_drips_fast_enough_to_live_ends_at_the_deadline() {
    let server = Server::start();
    server.route("/p/", Reply::html(vec![b' '; 4096]).drip(1, Duration::from_millis(1)));
    let options = ClientOptions { stall_timeout: Duration::from_secs(60), ..options() };
    let failure = Client::new(options).unwrap().page(&source(&server), &url(&server.url("/p/")), None).unwrap_err();
    assert!(failure.to_string().ends_with("took too long: not all of it came within 400ms"), "{failure}");
}

#[test]
fn m6_absent_is_what_the_server_says_and_what_its_owner_says_that_it_means() {
    let server = Server::start();
    let mut source = source(&server);
    let ask = |source: &Source, path: &str| client().page(source, &url(&server.url(path)), None);
    server.route("/gone/", Reply::status(410)).route("/hidden/", Reply::status(403));
    server.route("/login/", Reply::redirect(302, "/gate/"));
    assert_eq!(ask(&source, "/none/").unwrap(), PageAnswer::Absent);
    assert_eq!(ask(&source, "/gone/").unwrap(), PageAnswer::Absent);
    assert_eq!(ask(&source, "/hidden/").unwrap_err().kind(), FailureKind::Refused);
    source.not_found = vec![403, 302];
    assert_eq!(ask(&source, "/hidden/").unwrap(), PageAnswer::Absent);
    assert_eq!(ask(&source, "/login/").unwrap(), PageAnswer::Absent);
}

#[test]
fn a_passing_failure_is_got_over() {
    let server = Server::start();
    server.sequence("/p/", [Reply::status(503), Reply::hang_up(), Reply::html("x")]);
    let found = page(client().page(&source(&server), &url(&server.url("/p/")), None).unwrap());
    assert_eq!((found.body.as_slice(), server.requests().len()), (b"x".as_slice(), 3));
}

#[test]
fn redirects_are_followed_up_to_their_limit() {
    let server = Server::start();
    for hop in 0..10 {
        server.route(&format!("/{hop}/"), Reply::redirect(302, &format!("../{}/", hop + 1)));
    }
    server.route("/10/", Reply::html("x"));
    let ask = |path: &str| client().page(&source(&server), &url(&server.url(path)), None);
    assert_eq!(page(ask("/5/").unwrap()).url.path(), "/10/", "links are relative to where the page came from");
    let failure = ask("/4/").unwrap_err();
    assert!(failure.to_string().ends_with("/9/ leads astray: more than 5 redirects"), "{failure}");
}

// --- what is no page ---

#[test]
fn a_text_that_is_no_page_is_told_with_its_address() {
    let server = Server::start();
    for (path, reply) in [("/json/", Reply::json("{\"files\": [")), ("/error/", Reply::html("<h1>Log in</h1>"))] {
        server.route(path, reply);
        let found = page(client().page(&source(&server), &url(&server.url(path)), None).unwrap());
        let failure = found.read().unwrap_err();
        assert_eq!(failure.kind(), FailureKind::BadPage, "{path}");
        assert_eq!(failure.to_string(), format!("{} is no index page", server.url(path)));
    }
    server.route("/empty/", Reply::html(""));
    let found = page(client().page(&source(&server), &url(&server.url("/empty/")), None).unwrap());
    assert!(found.body.is_empty());
}

// --- credentials ---

#[test]
fn credentials_go_to_the_own_origin_only() {
    let server = Server::start();
    server.route("/simple/demo/", Reply::redirect(302, "/moved/"));
    server.route("/moved/", Reply::redirect(302, &server.other_url("/elsewhere/")));
    server.route("/elsewhere/", Reply::redirect(302, &server.url("/back/").replace("://", "://evil:pair@")));
    server.route("/back/", Reply::html("x"));
    let dir = TempDir::new().unwrap();
    let netrc = dir.path().join("netrc");
    fs::write(&netrc, "machine 127.0.0.1 login joe password secret\ndefault login any password one\n").unwrap();
    let variable = |name: &str| (name == "PAIR").then(|| "joe:secret".to_owned());
    let options = ClientOptions { netrc: Some(netrc), variable: Arc::new(variable), ..options() };
    let client = Client::new(options).unwrap();
    let own = || Source::new(url(&server.url("/simple/")));
    let in_url = Source::new(url(&server.url("/simple/").replace("://", "://joe:secret@")));
    for source in
        [Source { auth: Auth::Netrc, ..own() }, Source { auth: Auth::Variable("PAIR".to_owned()), ..own() }, in_url]
    {
        let before = server.requests().len();
        let found = page(client.page(&source, &url(&server.url("/simple/demo/")), None).unwrap());
        assert_eq!(found.url, url(&server.url("/back/")), "no user and password from a redirect");
        let sent: Vec<_> = server.requests()[before..]
            .iter()
            .map(|request| request.header("authorization").map(str::to_owned))
            .collect();
        let own = Some("Basic am9lOnNlY3JldA==".to_owned());
        assert_eq!(sent, [own.clone(), own.clone(), None, own], "{source:?}");
        assert!(!format!("{source:?}").contains("secret"));
    }
}

#[test]
fn credentials_that_are_configured_and_missing_are_a_failure() {
    let server = Server::start();
    let source = Source { auth: Auth::Variable("INDEX_TOKEN".to_owned()), ..source(&server) };
    let failure = client().page(&source, &url(&server.url("/simple/demo/")), None).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Credentials);
    assert!(failure.to_string().ends_with(": the variable INDEX_TOKEN is not set"), "{failure}");
    assert_eq!(server.requests().len(), 0);
    let source = Source { auth: Auth::Netrc, ..source };
    assert_eq!(
        client().page(&source, &url(&server.url("/none/")), None).unwrap(),
        PageAnswer::Absent,
        "no netrc is none"
    );
}

// --- files ---

#[test]
fn m4_a_download_is_hashed_on_the_way_and_what_was_announced() {
    let (server, folder, bytes) = (Server::start(), Folder::new(), wheel().bytes());
    server.route(PATH, Reply::file(bytes.as_slice()));
    let file = ListedFile { size: Some(bytes.len() as u64), ..listed(&server.url(PATH), &bytes) };
    let seen = Cell::new(0);
    let done = client().download(&source(&server), &file, &folder.path(), &|count| seen.set(count)).unwrap();
    assert_eq!((done.digests, done.size, seen.get()), (Digests::of(&bytes), bytes.len() as u64, bytes.len() as u64));
    assert!(fs::read(folder.path()).unwrap() == bytes);
    let request = &server.requests()[0];
    assert_eq!((request.header("accept-encoding"), request.header("range")), (Some("identity"), None));
}

#[test]
fn a_file_that_is_there_already_is_left_alone() {
    let (server, folder) = (Server::start(), Folder::new());
    fs::write(folder.path(), "mine").unwrap();
    let failure = download(&client(), &source(&server), &listed(&server.url(PATH), b""), &folder).unwrap_err();
    assert_eq!((failure.kind(), server.requests().len()), (FailureKind::Disk, 0), "{failure}");
    assert_eq!(fs::read(folder.path()).unwrap(), b"mine");
}

#[test]
fn every_fault_of_a_file_has_its_failure_and_leaves_nothing() {
    let bytes = wheel().bytes();
    let size = bytes.len() as u64;
    let good = || Reply::file(bytes.as_slice());
    let flipped = bytes.iter().map(|byte| byte ^ 1).collect::<Vec<_>>();
    let other = || Reply::file(flipped.as_slice());
    let html = || Reply::html("<h1>Log in</h1>");
    let rows: Vec<Row> = vec![
        ("404", vec![Reply::status(404)], FailureKind::Absent, "is not there: status 404", 1),
        ("410", vec![Reply::status(410)], FailureKind::Absent, "is not there: status 410", 1),
        ("403", vec![Reply::status(403)], FailureKind::Refused, "status 403", 1),
        ("500", vec![Reply::status(500)], FailureKind::Refused, "status 500", 3),
        ("206 unasked", vec![good().code(206)], FailureKind::Refused, "status 206", 1),
        ("no answer", vec![Reply::hang_up()], FailureKind::Unreachable, "cannot reach", 3),
        ("hangs", vec![Reply::hang()], FailureKind::TimedOut, "no answer came", 1),
        ("stalls again and again", vec![good().stall_at(1000)], FailureKind::TimedOut, "no further byte came", 3),
        ("stalls at once", vec![good().stall_at(0)], FailureKind::TimedOut, "no further byte came", 1),
        (
            "drips",
            vec![good().drip(1, Duration::from_millis(1)).ignoring_ranges()],
            FailureKind::TimedOut,
            "4 KiB a second",
            3,
        ),
        ("cut at once", vec![good().cut_at(0)], FailureKind::CutShort, "broke off after 0 bytes", 3),
        ("chunked cut", vec![good().chunked().cut_at(0)], FailureKind::CutShort, "broke off", 3),
        ("other bytes", vec![other()], FailureKind::BadDigest, "expected SHA-256 ", 1),
        ("a page", vec![html()], FailureKind::BadSize, "found 15 (the server sent text/html; charset=utf-8)", 1),
        ("longer than said", vec![good().claims(size - 1)], FailureKind::BadSize, "another size than announced", 1),
        ("shorter, no length", vec![good().no_length().cut_at(9)], FailureKind::BadSize, "found 9", 1),
        ("longer, no length", vec![Reply::file(vec![0; 400_000]).no_length()], FailureKind::BadSize, "announced", 1),
        ("gzip", vec![good().gzip()], FailureKind::BadSize, "(the server sent it as \"gzip\")", 1),
        ("to a file", vec![Reply::redirect(302, "file:///x")], FailureKind::Redirect, "\"file\" URL", 1),
        ("loop", vec![Reply::redirect(302, PATH)], FailureKind::Redirect, "in a circle", 1),
    ];
    for (name, replies, kind, message, count) in rows {
        let (server, folder) = (Server::start(), Folder::new());
        server.sequence(PATH, replies);
        let file = ListedFile { size: Some(size), ..listed(&server.url(PATH), &bytes) };
        let failure = download(&client(), &source(&server), &file, &folder).expect_err(name);
        assert_eq!(failure.kind(), kind, "{name}: {failure}");
        assert!(failure.to_string().contains(message), "{name}: {failure}");
        assert_eq!(failure.is_definite(), kind == FailureKind::Absent, "{name}");
        assert_eq!(server.requests().len(), count, "{name}: {failure}");
        assert!(folder.is_empty(), "{name}");
    }
}

#[test]
fn a_file_without_an_announced_size_is_capped_and_judged_by_its_digest() {
    let bytes = wheel().bytes();
    for (name, reply, kind, message) in [
        ("too large, told", Reply::file(vec![0; 9 << 20]), FailureKind::TooLarge, "more than 8388608 bytes"),
        (
            "too large, untold",
            Reply::file(vec![0; 9 << 20]).chunked(),
            FailureKind::TooLarge,
            "more than 8388608 bytes",
        ),
        ("cut without a length", Reply::file(bytes.as_slice()).no_length().cut_at(9), FailureKind::BadDigest, "found "),
        ("gzip", Reply::file(bytes.as_slice()).gzip(), FailureKind::BadDigest, "(the server sent it as \"gzip\")"),
    ] {
        let (server, folder) = (Server::start(), Folder::new());
        server.route(PATH, reply);
        let failure =
            download(&client(), &source(&server), &listed(&server.url(PATH), &bytes), &folder).expect_err(name);
        assert_eq!((failure.kind(), server.requests().len()), (kind, 1), "{name}: {failure}");
        assert!(failure.to_string().contains(message), "{name}: {failure}");
        assert!(folder.is_empty(), "{name}");
    }
    let server = Server::start();
    let file = ListedFile { size: Some(9 << 20), ..listed(&server.url(PATH), &bytes) };
    let failure = download(&client(), &source(&server), &file, &Folder::new()).unwrap_err();
    assert_eq!((failure.kind(), server.requests().len()), (FailureKind::TooLarge, 0), "nobody is asked");
    // Mislabelled, but the right bytes.
    server.route(PATH, Reply::file(bytes.as_slice()).header("Content-Encoding", "gzip"));
    download(&client(), &source(&server), &listed(&server.url(PATH), &bytes), &Folder::new()).unwrap();
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_did() {
    let bytes = wheel().bytes();
    let good = || Reply::file(bytes.as_slice());
    let date = "Mon, 01 Jan 2024 00:00:00 GMT";
    // What comes first, what then, the second request's conditions, and the number of requests.
    let range = Some("bytes=1000-");
    for (name, first, then, asked, validator, count) in [
        ("etag", good().cut_at(1000), good(), range, Some("\"first\""), 2),
        ("stall", good().stall_at(1000), good(), range, Some("\"first\""), 2),
        ("chunked", good().chunked().cut_at(1000), good(), range, Some("\"first\""), 2),
        (
            "date",
            good().without_etag().last_modified(date).cut_at(1000),
            good().last_modified(date),
            range,
            Some(date),
            2,
        ),
        ("nothing but the digest", good().without_etag().cut_at(1000), good(), range, None, 2),
        ("weak etag", good().etag("W/\"x\"").cut_at(1000), good().etag("W/\"x\""), range, None, 2),
        ("range ignored", good().cut_at(1000), good().ignoring_ranges(), range, Some("\"first\""), 2),
        ("changed", good().cut_at(1000), good().etag("\"second\""), range, Some("\"first\""), 2),
        ("416", good().cut_at(1000), good().refusing_ranges(), range, Some("\"first\""), 3),
        ("other range", good().cut_at(1000), good().wrong_ranges(), range, Some("\"first\""), 3),
        ("other bytes before", Reply::file(vec![7; 300_000]).without_etag().cut_at(1000), good(), range, None, 3),
    ] {
        let (server, folder) = (Server::start(), Folder::new());
        server.sequence(PATH, [first, then]);
        let done = download(&client(), &source(&server), &listed(&server.url(PATH), &bytes), &folder);
        let done = done.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert_eq!(done.digests, Digests::of(&bytes), "{name}");
        assert!(fs::read(folder.path()).unwrap() == bytes, "{name}");
        let requests = server.requests();
        assert_eq!((requests[1].header("range"), requests[1].header("if-range")), (asked, validator), "{name}");
        assert_eq!(requests.len(), count, "{name}");
    }
}

#[test]
fn what_cannot_be_taken_up_again_is_started_over_a_few_times_only() {
    let bytes = wheel().bytes();
    let (server, folder) = (Server::start(), Folder::new());
    server.route(PATH, Reply::file(bytes.as_slice()).cut_at(1000).ignoring_ranges());
    let failure = download(&client(), &source(&server), &listed(&server.url(PATH), &bytes), &folder).unwrap_err();
    assert_eq!((failure.kind(), server.requests().len()), (FailureKind::CutShort, 3), "{failure}");
    assert!(folder.is_empty());
    // Without a digest, two halves of two files would be one nobody notices: it is fetched from its beginning.
    server.sequence(PATH, [Reply::file(bytes.as_slice()).without_etag().cut_at(1000), Reply::file(bytes.as_slice())]);
    let mut source = source(&server);
    source.allow_insecure = true;
    let file = ListedFile { sha256: None, ..listed(&server.url(PATH), &bytes) };
    assert_eq!(download(&client(), &source, &file, &folder).unwrap().digests, Digests::of(&bytes));
    assert_eq!(server.requests().last().unwrap().header("range"), None);
}

#[test]
fn a_download_that_comes_forward_is_not_given_up() {
    let bytes = Wheel::new("demo", "1.0").payload(6 << 20, 7).bytes();
    let (server, folder) = (Server::start(), Folder::new());
    let part = Reply::file(bytes.as_slice()).cut_at(3 << 19);
    server.route(PATH, part);
    let done = download(&client(), &source(&server), &listed(&server.url(PATH), &bytes), &folder).unwrap();
    assert_eq!((done.digests, server.requests().len()), (Digests::of(&bytes), 5));
}

#[test]
fn a_slow_download_may_take_longer_than_a_stall() {
    let (server, folder, bytes) = (Server::start(), Folder::new(), wheel().bytes());
    server.route(PATH, Reply::file(bytes.as_slice()).drip(10_000, Duration::from_millis(10)));
    let begin = Instant::now();
    download(&client(), &source(&server), &listed(&server.url(PATH), &bytes), &folder).unwrap();
    assert!(begin.elapsed() > STALL && server.requests().len() == 1);
}

#[test]
fn m3_plain_http_without_a_digest_needs_leave_and_with_one_it_does_not() {
    let bytes = wheel().bytes();
    let (server, folder) = (Server::start(), Folder::new());
    server.route(PATH, Reply::file(bytes.as_slice()));
    let unhashed = ListedFile { sha256: None, ..listed(&server.url(PATH), &bytes) };
    let mut source = source(&server);
    let failure = download(&client(), &source, &unhashed, &folder).unwrap_err();
    assert_eq!((failure.kind(), server.requests().len()), (FailureKind::Insecure, 0), "{failure}");
    assert!(failure.to_string().ends_with("--allow-insecure takes it"), "{failure}");
    assert!(folder.is_empty());
    // Trust alone is enough on the own machine, and nowhere else.
    source.trust_unhashed = true;
    wcas::remote::admit(&source, &unhashed).unwrap();
    let far = ListedFile { url: url("http://index.example/demo-1.0-py3-none-any.whl"), ..unhashed.clone() };
    assert_eq!(wcas::remote::admit(&source, &far).unwrap_err().kind(), FailureKind::Insecure);
    source.allow_insecure = true;
    wcas::remote::admit(&source, &far).unwrap();
    assert_eq!(download(&client(), &source, &unhashed, &folder).unwrap().digests, Digests::of(&bytes));
}

#[test]
fn x9_https_without_a_digest_needs_trust() {
    let source = Source::new(url("https://index.example/simple/"));
    let file = ListedFile { sha256: None, ..listed("https://index.example/demo-1.0-py3-none-any.whl", b"") };
    let failure = wcas::remote::admit(&source, &file).unwrap_err();
    assert!(failure.to_string().ends_with("--trust-unhashed takes it"), "{failure}");
    wcas::remote::admit(&Source { trust_unhashed: true, ..source.clone() }, &file).unwrap();
    wcas::remote::admit(&Source { allow_insecure: true, ..source.clone() }, &file).unwrap();
    let local = ListedFile { url: url("file:///demo-1.0-py3-none-any.whl"), sha256: Some(Sha256::of(b"")), ..file };
    let failure = wcas::remote::admit(&Source { allow_insecure: true, ..source }, &local).unwrap_err();
    assert!(failure.to_string().ends_with("its URL is neither https nor http"), "{failure}");
}

#[test]
fn threads_share_a_client_and_its_connections() {
    let (server, bytes) = (Server::start(), wheel().bytes());
    server.route(PATH, Reply::file(bytes.as_slice()));
    let (client, source, file) = (client(), source(&server), listed(&server.url(PATH), &bytes));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    download(&client, &source, &file, &Folder::new()).unwrap();
                }
            });
        }
    });
    assert_eq!(server.requests().len(), 20);
    assert!(server.connections() <= 8, "{} connections", server.connections());
}

// --- metadata ---

/// A wheel whose METADATA is far before its end.
fn upside_down(seed: u64) -> Vec<u8> {
    let member = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    support::wheels::zip(&[
        member("demo-1.0.dist-info/METADATA", b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"),
        member("demo-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\n"),
        member("demo/payload.bin", &support::wheels::noise(200_000, seed)),
    ])
}

/// A source whose metadata may come by plain http.
fn lenient(server: &Server) -> Source {
    Source { allow_insecure: true, ..source(server) }
}

fn metadata_of(bytes: &[u8]) -> Vec<u8> {
    let dir = TempDir::new().expect("a temporary folder can be made");
    fs::write(dir.path().join("0"), bytes).expect("a temporary folder can be written");
    let name = "demo-1.0-py3-none-any.whl".parse().expect("a distribution's filename");
    wcas::wheel::read(&fs::File::open(dir.path().join("0")).expect("a wheel with METADATA"), &name)
        .expect("a wheel with METADATA")
        .metadata
        .expect("a wheel with METADATA")
}

#[test]
fn metadata_comes_from_the_sidecar_where_one_is_promised() {
    let (server, bytes) = (Server::start(), wheel().bytes());
    let metadata = metadata_of(&bytes);
    let sidecar = format!("{PATH}.metadata");
    let file = |sha256| ListedFile { sidecar: Some(Sidecar { sha256 }), ..listed(&server.url(PATH), &bytes) };
    server.route(&sidecar, Reply::bytes("text/plain", metadata.as_slice())).route(PATH, Reply::file(bytes.as_slice()));
    let ask = |source: &Source, file: &ListedFile| client().metadata(source, file);
    assert_eq!(ask(&source(&server), &file(Some(Sha256::of(&metadata)))).unwrap(), metadata);
    assert_eq!(ask(&lenient(&server), &file(None)).unwrap(), metadata);
    assert_eq!(server.paths(), [sidecar.as_str(), sidecar.as_str()]);
    assert_eq!(ask(&source(&server), &file(None)).unwrap(), metadata, "by the plain way that the page itself took");
    let elsewhere = Source::new(server.other_url("/simple/").parse().unwrap());
    let failure = ask(&elsewhere, &file(None)).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Insecure, "{failure}");
    // Where it isn't what was promised, the wheel's own counts: not against a digest that the page has, which the whole wheel settles.
    let failure = ask(&lenient(&server), &file(Some(Sha256::of(b"other")))).unwrap_err();
    assert!(matches!(failure, Failure::NoMetadata { .. }), "{failure}");
    let another = Reply::bytes("text/plain", "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n");
    for reply in [another, Reply::status(404), Reply::status(403), Reply::status(451)] {
        server.route(&sidecar, reply);
        assert_eq!(ask(&lenient(&server), &file(None)).unwrap(), metadata, "a promise not kept");
        let failure = ask(&source(&server), &file(None)).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Insecure, "a part of a wheel has no digest: {failure}");
    }
}

#[test]
fn metadata_comes_from_a_wheels_tail_by_a_range() {
    for (name, bytes, with_size, count) in [
        ("small", Wheel::new("demo", "1.0").bytes(), false, 1),
        ("large", wheel().bytes(), false, 1),
        ("size known", wheel().bytes(), true, 1),
        ("far away", upside_down(3), false, 2),
    ] {
        let server = Server::start();
        server.route(PATH, Reply::file(bytes.as_slice()));
        let size = with_size.then_some(bytes.len() as u64);
        let file = ListedFile { size, ..listed(&server.url(PATH), &bytes) };
        assert_eq!(client().metadata(&lenient(&server), &file).unwrap(), metadata_of(&bytes), "{name}");
        let requests = server.requests();
        assert_eq!(requests.len(), count, "{name}");
        assert!(requests.iter().all(|request| request.header("range").is_some()), "{name}");
    }
}

#[test]
fn a_server_that_sends_no_good_ranges_gives_no_metadata() {
    let bytes = wheel().bytes();
    let large = Wheel::new("demo", "1.0").payload(9 << 20, 7).bytes();
    let good = || Reply::file(bytes.as_slice());
    let broken: Vec<u8> = bytes.iter().map(|_| b'x').collect();
    let rows: Vec<Row> = vec![
        (
            "ignored, large",
            vec![Reply::file(large).ignoring_ranges()],
            FailureKind::BadRange,
            "sends the whole file",
            1,
        ),
        ("wrong", vec![good().wrong_ranges()], FailureKind::BadRange, "it sends ", 1),
        ("no range said", vec![good().code(206)], FailureKind::BadRange, "does not say which bytes", 1),
        ("416", vec![good().refusing_ranges()], FailureKind::Refused, "status 416", 1),
        ("404", vec![Reply::status(404)], FailureKind::Absent, "is not there", 1),
        ("500", vec![Reply::status(500)], FailureKind::Refused, "status 500", 3),
        ("no archive", vec![Reply::file(broken)], FailureKind::BadMetadata, "gives no good metadata", 2),
        ("cut", vec![good().cut_at(10)], FailureKind::CutShort, "broke off after 10 bytes", 3),
        ("stall", vec![good().stall_at(10)], FailureKind::TimedOut, "no further byte", 1),
    ];
    for (name, replies, kind, message, count) in rows {
        let server = Server::start();
        server.sequence(PATH, replies);
        let file = ListedFile { sha256: None, ..listed(&server.url(PATH), &bytes) };
        let failure = client().metadata(&lenient(&server), &file).expect_err(name);
        assert_eq!(failure.kind(), kind, "{name}: {failure}");
        assert!(failure.to_string().contains(message), "{name}: {failure}");
        assert_eq!(server.requests().len(), count, "{name}");
    }
    let server = Server::start();
    server.route(PATH, good().ignoring_ranges());
    let file = listed(&server.url(PATH), &bytes);
    assert_eq!(
        client().metadata(&lenient(&server), &file).unwrap(),
        metadata_of(&bytes),
        "small enough to be taken whole"
    );
    let failure = client().metadata(&source(&server), &file).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Insecure, "a part has no digest: {failure}");
    let sdist = Sdist::new("demo", "1.0");
    let file = listed(&server.url(&format!("/files/{}", sdist.filename())), &sdist.bytes());
    assert_eq!(client().metadata(&lenient(&server), &file).unwrap_err().kind(), FailureKind::BadMetadata);
}

#[test]
fn a_wheel_that_changes_between_two_ranges_gives_no_metadata() {
    let (server, bytes) = (Server::start(), upside_down(3));
    // The directory is in the first range; METADATA is far before it.
    server.sequence(PATH, [Reply::file(bytes.as_slice()), Reply::file(upside_down(4)).etag("\"second\"")]);
    let failure = client().metadata(&lenient(&server), &listed(&server.url(PATH), &bytes)).unwrap_err();
    assert_eq!((failure.kind(), server.requests().len()), (FailureKind::BadRange, 2), "{failure}");
}

// --- layouts ---

#[test]
fn x8_pages_are_found_where_they_are_with_and_without_simple_and_slash() {
    let page = |server: &Server| Reply::html(server.wheel("demo-1.0-py3-none-any.whl", b"x"));
    // The remote's URL, where the page is, the layout, and what was asked for.
    for (given, path, layout, asked) in [
        ("", "/simple/demo/", "simple {}/simple/", &["/demo/", "/simple/demo/"][..]),
        ("/", "/simple/demo/", "simple {}/simple/", &["/demo/", "/simple/demo/"]),
        ("/simple", "/simple/demo/", "simple {}/simple/", &["/simple/demo/"]),
        ("/simple/", "/simple/demo/", "simple {}/simple/", &["/simple/demo/"]),
        ("/whl/cu126", "/whl/cu126/demo/", "simple {}/whl/cu126/", &["/whl/cu126/demo/"]),
        (
            "/links.html",
            "/links.html",
            "flat {}/links.html",
            &["/links.html/demo/", "/links.html/simple/demo/", "/links.html"],
        ),
        ("/flat", "/flat/", "flat {}/flat/", &["/flat/demo/", "/flat/simple/demo/", "/flat", "/flat/"]),
    ] {
        let server = Server::start();
        server.route(path, page(&server));
        let source = Source::new(url(&server.url(given)));
        let found = discover(&client(), &source, &"Demo".parse().unwrap()).unwrap();
        let expected = layout.replace("{}", &server.url(""));
        assert_eq!(found.layout.map(|layout| layout.to_string()), Some(expected), "{given}");
        assert_eq!(found.page.map(|(_, listed)| listed.files.len()), Some(1), "{given}");
        assert_eq!(server.paths(), asked, "{given}");
    }
}

#[test]
fn x8_a_remote_needs_no_root_page_and_an_unknown_project_is_no_failure() {
    let discover = |server: &Server, path: &str| {
        let source = Source::new(url(&server.url(path)).clone());
        discover(&client(), &source, &"demo".parse().unwrap())
    };
    let server = Server::start();
    let nothing = discover(&server, "/").unwrap();
    assert_eq!((nothing.layout, nothing.page), (None, None));
    assert_eq!(server.paths(), ["/demo/", "/simple/demo/", "/", "/simple/"]);
    let named = discover(&server, "/simple").unwrap();
    assert_eq!(named.layout, Some(Layout::Simple(url(&server.url("/simple/")))));
    server.route("/simple/", Reply::html("<a href=\"/simple/other/\">other</a>"));
    let rooted = discover(&server, "/").unwrap();
    assert_eq!(rooted.layout, Some(Layout::Simple(url(&server.url("/simple/")))));
    assert_eq!(rooted.page, None);
    // A server that is down says nothing of where its pages are.
    server.route("/demo/", Reply::status(503));
    assert_eq!(discover(&server, "/").unwrap_err().kind(), FailureKind::Refused);
}

#[test]
fn a_redirect_on_the_same_server_is_remembered_and_one_to_another_is_not() {
    let server = Server::start();
    server.route("/simple/demo/", Reply::html(server.wheel("demo-1.0-py3-none-any.whl", b"x")));
    server.route("/a/demo/", Reply::redirect(303, "/simple/demo/"));
    server.route("/b/demo/", Reply::redirect(303, &server.other_url("/simple/demo/")));
    for (given, layout) in [("/a", "/simple/"), ("/b", "/b/")] {
        let mut source = Source::new(url(&server.url(given).replace("://", "://joe:secret@")));
        let refused = discover(&client(), &source, &"demo".parse().unwrap()).map(|found| found.page);
        assert_eq!(refused.is_err(), given == "/b", "another host's page isn't this remote's");
        source.follow_hosts.push("LOCALHOST".to_owned());
        let found = discover(&client(), &source, &"demo".parse().unwrap()).unwrap();
        assert_eq!(found.layout, Some(Layout::Simple(url(&server.url(layout)))), "without credentials");
    }
}

// --- where a remote leads ---

/// A client for which names mean these addresses; `turning.example` means another one each time.
fn knowing() -> Client {
    let turns = AtomicUsize::new(0);
    let lookup = move |name: &str| {
        let texts: &[&str] = match name {
            "public.example" => &["1.1.1.1"],
            "home.example" => &["127.0.0.1"],
            "metadata.example" => &["169.254.169.254", "fe80::1"],
            "mixed.example" => &["169.254.169.254", "127.0.0.1"],
            "turning.example" => [&["1.1.1.1"], &["127.0.0.1"]][turns.fetch_add(1, Ordering::Relaxed) % 2],
            _ => return Err(std::io::Error::other("no such name")),
        };
        Ok(texts.iter().map(|text| text.parse().expect("an address")).collect())
    };
    Client::new(ClientOptions { lookup: Arc::new(lookup), ..options() }).expect("a client can be made")
}

#[test]
fn a_public_remote_links_nothing_inside() {
    let (server, bytes) = (Server::start(), wheel().bytes());
    server.route(PATH, Reply::file(bytes.as_slice()));
    let port = url(&server.url("/")).port().unwrap();
    let get = |source: &str, host: &str| {
        let file = listed(&format!("http://{host}:{port}{PATH}"), &bytes);
        download(&knowing(), &Source::new(url(source)), &file, &Folder::new()).map(|_| ())
    };
    let inside =
        ["127.0.0.1", "2130706433", "0x7f.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"];
    for host in inside.into_iter().chain(["home.example", "metadata.example", "mixed.example", "home.example."]) {
        for source in ["http://public.example/simple/", "https://1.1.1.1/simple/", "https://nowhere.example/simple/"] {
            let failure = get(source, host).unwrap_err();
            assert!(failure.kind() == FailureKind::Redirect || host == "home.example.", "{source} {host}: {failure}");
            assert!(!failure.to_string().contains("digest"), "{failure}");
        }
    }
    assert_eq!(server.paths(), [""; 0], "nothing was asked");
    // A remote that is inside itself leads there, and of several addresses to those alone.
    for source in ["http://home.example/simple/", "http://127.0.0.2/simple/"] {
        for host in ["127.0.0.1", "home.example", "mixed.example"] {
            get(source, host).unwrap();
        }
        assert_eq!(get(source, "metadata.example").unwrap_err().kind(), FailureKind::Redirect);
    }
}

#[test]
fn a_name_is_judged_by_what_is_connected_to() {
    let (server, bytes) = (Server::start(), wheel().bytes());
    server.route(PATH, Reply::file(bytes.as_slice()));
    let port = url(&server.url("/")).port().unwrap();
    let (client, source) = (knowing(), Source::new(url("https://1.1.1.1/simple/")));
    let file = listed(&format!("http://turning.example:{port}{PATH}"), &bytes);
    for _ in 0..4 {
        download(&client, &source, &file, &Folder::new()).unwrap_err();
    }
    assert_eq!(server.paths(), [""; 0]);
}

#[test]
fn a_redirect_leads_to_no_clouds_metadata() {
    let server = Server::start();
    let client = knowing();
    for to in ["http://169.254.169.254/latest/", "http://2852039166/", "http://metadata.example/", "https://[fe80::1]/"]
    {
        server.route("/simple/demo/", Reply::redirect(302, to));
        let failure = client.page(&source(&server), &url(&server.url("/simple/demo/")), None).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Redirect, "{failure}");
        assert!(failure.to_string().contains("farther inside"), "{failure}");
    }
}

#[test]
fn a_document_is_taken_from_the_asked_host_within_its_size_and_from_no_farther_inside() {
    let server = Server::start();
    let (client, source) = (client(), source(&server));
    let get = |path: &str, cap| client.document(&source, &url(&server.url(path)), cap);
    for (told, expected) in [
        (None, None),
        (Some("public, max-age=90"), Some(90)),
        (Some("Max-Age=\"5\", must-revalidate"), Some(5)),
        (Some("max-age=90, no-store"), Some(0)),
        (Some("no-cache"), Some(0)),
        (Some("max-age=soon"), None),
    ] {
        let reply = Reply::json("{\"keys\": []}");
        server.route("/keys", told.map_or(reply.clone(), |told| reply.header("Cache-Control", told)));
        let document = get("/keys", 20).unwrap();
        assert_eq!(document.max_age, expected.map(Duration::from_secs), "{told:?}");
        assert_eq!(document.body, b"{\"keys\": []}");
    }
    server.route("/keys", Reply::json(vec![b' '; 21]));
    assert!(matches!(get("/keys", 20), Err(Failure::TooLarge { .. })));
    // A bomb is as large as what comes out of it.
    server.route("/keys", Reply::json(vec![b' '; 100_000]).gzip());
    assert!(matches!(get("/keys", 20_000), Err(Failure::TooLarge { .. })));
    server.route("/keys", Reply::json("{}")).route("/same", Reply::redirect(302, "/keys"));
    assert_eq!(get("/same", 20).unwrap().body, b"{}");
    server.route("/other", Reply::redirect(302, &server.other_url("/keys")));
    assert_eq!(get("/other", 20).unwrap_err().kind(), FailureKind::Redirect);
    for issuer in ["https://public.example/", "https://1.1.1.1/"] {
        let failure = knowing().document(&Source::new(url(issuer)), &url(&server.url("/keys")), 20).unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Redirect, "{failure}");
    }
}

// --- TLS ---

/// The test runs itself again, since the file of certificates is the process's own.
#[test]
fn tls_trusts_the_systems_certificates_and_never_leads_to_plain_http() {
    let Ok(trusted) = std::env::var("WCAS_TEST_TRUSTED") else {
        for trusted in ["own.pem", "other.pem"] {
            let mut again = std::process::Command::new(std::env::current_exe().unwrap());
            again.args(["--exact", "tls_trusts_the_systems_certificates_and_never_leads_to_plain_http"]);
            again.env("WCAS_TEST_TRUSTED", trusted).env_remove("SSL_CERT_DIR");
            again.env("SSL_CERT_FILE", certificates().join(trusted));
            let output = again.output().unwrap();
            assert!(output.status.success(), "{trusted}: {}", String::from_utf8_lossy(&output.stdout));
        }
        return;
    };
    let server = Server::start_tls(tls());
    let (plain, bytes) = (Server::start(), wheel().bytes());
    plain.route(PATH, Reply::file(bytes.as_slice())).route("/p/", Reply::html("x"));
    server.route("/good/", Reply::html("x"));
    server.route("/p/", Reply::redirect(302, &plain.url("/p/")));
    server.route(PATH, Reply::redirect(302, &plain.url(PATH)));
    let source = Source::new(url(&server.url("/")));
    let ask = |path: &str| client().page(&source, &url(&server.url(path)), None);
    if trusted == "other.pem" {
        let failure = ask("/good/").unwrap_err();
        assert!(failure.to_string().contains("invalid peer certificate: UnknownIssuer"), "{failure}");
        return;
    }
    assert_eq!(page(ask("/good/").unwrap()).body, b"x");
    let failure = ask("/p/").unwrap_err();
    assert!(failure.to_string().ends_with("/p/ leads astray: a redirect from https to http"), "{failure}");
    let file = listed(&server.url(PATH), &bytes);
    download(&client(), &source, &file, &Folder::new()).expect("a digest vouches for the bytes");
    let unhashed = ListedFile { sha256: None, ..file };
    let trusting = Source { trust_unhashed: true, ..source.clone() };
    let failure = download(&client(), &trusting, &unhashed, &Folder::new()).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Redirect, "{failure}");
}

/// Self-signed certificates that are valid for a hundred years, made for these tests alone.
fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/tls")
}

fn tls() -> rustls::ServerConfig {
    let key = PrivateKeyDer::from_pem_file(certificates().join("own.key.pem")).expect("the tests' own key");
    let certificate =
        CertificateDer::from_pem_file(certificates().join("own.pem")).expect("the tests' own certificate");
    rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("ring has them")
}
