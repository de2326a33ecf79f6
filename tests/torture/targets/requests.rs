//! Requests: paths, conditions, ranges and what is accepted, to a server without sockets.

use super::saw;
use super::site::{self, Site};
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LOCATION};
use http::{HeaderMap, Method, Request, StatusCode};
use std::cell::OnceCell;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::FileExt as _;
use url::Url;
use wcas::digest::Sha256;
use wcas::server::endpoint::{self, PathRefusal};
use wcas::server::{Anonymous, Body, Peer};

pub(super) const WORDS: &[&str] = &[
    "GET ",
    "HEAD ",
    "POST ",
    "/cuda/simple/demo/",
    "/cuda/simple/",
    "/cuda/",
    "/",
    "//",
    "/cuda@1/simple/demo/",
    "/cuda/files/",
    "/files/",
    "/cuda/pypi/demo/json",
    "/cuda/cache/max-build=3&suffix=_x/simple/demo/",
    "/cuda/build/simple/demo/",
    "/cuda/projects/demo/",
    "/cuda/revision.txt",
    "/metrics",
    "/healthz",
    "/_/oidc/audience",
    "/-/",
    "DIGEST",
    "demo-1.0+cu121-py3-none-any.whl",
    "demo-1.0%2Bcu121-py3-none-any.whl",
    ".metadata",
    "%2f",
    "%2e%2e",
    "%00",
    "%ff",
    "%3Cfuzz%3E",
    "?",
    "#",
    "\n",
    "Range: bytes=",
    "0-",
    "-5",
    "0-0",
    "1-3,5-7",
    "99999999999999999999-",
    "If-None-Match: ",
    "If-Match: ",
    "ETAG",
    "W/",
    "\"",
    "*",
    ",",
    "If-Modified-Since: ",
    "If-Unmodified-Since: ",
    "Tue, 31 Dec 2024 23:59:59 GMT",
    "If-Range: ",
    "Accept: ",
    "application/vnd.pypi.simple.v1+json",
    "text/html;q=0.1",
    ";q=",
    "1.000",
    "Accept-Encoding: ",
    "gzip;q=0, zstd",
    "Host: ",
    "X-Forwarded-For: ",
    "Authorization: Basic ",
    "Sec-Fetch-Mode: navigate",
    "/_/history/",
    "/_/search/",
    "/_/remotes/",
    "/_/growth/",
    "/cuda@0...1/",
    "/cuda/changes.atom",
    "?q=demo",
    "&page=18446744073709551615",
    "?before=9223372036854775807",
    "?before=-1",
    "?format=json",
    "?all",
    "&",
    "=",
    "+",
    "é",
];

pub(super) fn check(input: &[u8]) {
    thread_local! {
        static SITE: OnceCell<Site> = const { OnceCell::new() };
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    let digest = Sha256::of(&site::wheel()).to_string();
    let text = text.replace("DIGEST", &digest);
    SITE.with(|site| check_request(site.get_or_init(|| Site::new(Anonymous::Read)), &text));
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn number(&self, name: http::HeaderName) -> Option<u64> {
        self.headers.get(name)?.to_str().ok()?.parse().ok()
    }
}

/// Makes a request of a first line and lines of headers; `None`: HTTP has no such request.
fn request(method: &Method, text: &str, is_plain: bool, etag: &str) -> Option<Request<Peer>> {
    let mut lines = text.lines();
    let path = lines.next()?.split_once(' ').map(|(_, path)| path).filter(|path| path.starts_with('/'))?;
    let peer = Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), is_secure: false };
    let mut request = Request::builder().method(method).uri(path);
    for line in lines.take_while(|_| !is_plain) {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim().replace("ETAG", etag).as_bytes());
    }
    request.body(peer).ok()
}

fn ask(site: &Site, request: &Request<Peer>) -> Got {
    let (head, body) = site.server.respond(request).into_parts();
    let body = match body {
        Body::Bytes(bytes) => bytes.to_vec(),
        Body::File(file, range) => {
            let mut bytes = vec![0; usize::try_from(range.end - range.start).expect("a short file")];
            file.read_exact_at(&mut bytes, range.start).expect("the range is in the file");
            bytes
        }
        other => panic!("no remote is asked, and yet {other:?}"),
    };
    Got { status: head.status, headers: head.headers, body }
}

fn check_request(site: &Site, text: &str) {
    let method = text.split(' ').next().and_then(|method| method.parse::<Method>().ok()).unwrap_or(Method::GET);
    if method == Method::POST {
        return;
    }
    // What is there without conditions tells the validator for those with them.
    let Some(plain) = request(&Method::GET, text, true, "").map(|request| ask(site, &request)) else { return };
    let etag = plain.headers.get(ETAG).and_then(|etag| etag.to_str().ok()).unwrap_or_default().to_owned();
    let Some(asked) = request(&method, text, false, &etag) else { return };
    let got = ask(site, &asked);
    saw(format!(
        "{method} {} {}",
        got.status.as_str().replace(|letter: char| letter.is_ascii_digit(), ""),
        got.headers.len()
    ));
    saw(format!("{:?} {:?}", std::mem::discriminant(&Some(got.status)), got.status.canonical_reason()));
    assert!(got.status.as_u16() < 500, "{}: {}", got.status, String::from_utf8_lossy(&got.body));
    check_path(asked.uri().path());
    check_answer(&asked, &got, &plain);
    // What is at hand is what an answer would be.
    if let Some(cached) = site.server.cached(&asked) {
        assert_eq!(cached.status(), got.status);
    }
    if method == Method::GET {
        let head = request(&Method::HEAD, text, false, &etag).map(|request| ask(site, &request)).expect("it was one");
        let is_range = got.status == StatusCode::PARTIAL_CONTENT || got.status == StatusCode::RANGE_NOT_SATISFIABLE;
        assert!(head.body.is_empty(), "HEAD has a body");
        assert!(head.status == got.status || is_range, "GET {}, HEAD {}", got.status, head.status);
    }
}

/// A path that moved leads to one that didn't.
fn check_path(path: &str) {
    let base = Url::parse("http://index.example").and_then(|base| base.join(path));
    if let (Err(PathRefusal::Moved(location)), Ok(base)) = (endpoint::parse(path), base) {
        let moved = base.join(&location).unwrap_or_else(|error| panic!("{location:?}: {error}"));
        assert_eq!(moved.host_str(), Some("index.example"), "{path:?} leads to {location:?}, another host");
        if base.path() == path {
            assert!(
                !matches!(endpoint::parse(moved.path()), Err(PathRefusal::Moved(_))),
                "{path:?} goes on from {location:?}"
            );
        }
    }
}

fn check_answer(asked: &Request<Peer>, got: &Got, plain: &Got) {
    let has = |name: &str| asked.headers().contains_key(name);
    if let Some(length) = got.number(CONTENT_LENGTH).filter(|_| *asked.method() == Method::GET) {
        assert_eq!(length, got.body.len() as u64);
    }
    assert!(!String::from_utf8_lossy(&got.body).contains("<fuzz>"), "what is asked for comes back as markup");
    match got.status {
        StatusCode::PARTIAL_CONTENT => {
            let range =
                got.headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).expect("a part says which");
            let (part, size) =
                range.strip_prefix("bytes ").and_then(|rest| rest.split_once('/')).expect("a range of bytes");
            let (first, last) = part.split_once('-').expect("from and to");
            let [first, last, size] = [first, last, size].map(|number| number.parse::<usize>().expect("a number"));
            assert!(first <= last && last < size && size == plain.body.len() && has("range"), "{range}");
            assert!(got.body == plain.body[first..=last], "{range} has other bytes than the whole");
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let range = got.headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
            assert_eq!(range, Some(format!("bytes */{}", plain.body.len()).as_str()));
        }
        StatusCode::NOT_MODIFIED => {
            assert!(got.body.is_empty() && (has("if-none-match") || has("if-modified-since")), "{:?}", asked.headers());
        }
        StatusCode::PRECONDITION_FAILED => {
            assert!(has("if-match") || has("if-unmodified-since"), "{:?}", asked.headers());
        }
        StatusCode::METHOD_NOT_ALLOWED => assert!(got.headers.contains_key(ALLOW)),
        StatusCode::MOVED_PERMANENTLY => assert!(got.headers.contains_key(LOCATION)),
        _ => {}
    }
}
