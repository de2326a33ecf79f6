//! Requests to a server in this process, and its answers with their bodies read.

#![allow(dead_code, reason = "each test crate uses its own part")]

use http::{HeaderMap, HeaderName, Method, Request, Response};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::FileExt as _;
use wcas::server::{Body, Peer, Reason};

/// Makes a request from this machine, in the clear.
pub(crate) fn request(method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Request<Peer> {
    let peer = Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), is_secure: false };
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.body(peer).expect("a test's request is well-formed")
}

/// An answer with its body read.
#[derive(Debug, PartialEq)]
pub(crate) struct Got {
    /// The status code.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The reason phrase, where the server gives one of its own.
    pub(crate) reason: Option<String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Got {
    /// Reads an answer, which must be one that waits for nobody.
    #[track_caller]
    pub(crate) fn read(answer: Response<Body>) -> Self {
        let (head, body) = answer.into_parts();
        let body = match body {
            Body::Bytes(bytes) => bytes.to_vec(),
            Body::File(file, range) => {
                let mut bytes = vec![0; usize::try_from(range.end - range.start).expect("it fits into memory")];
                file.read_exact_at(&mut bytes, range.start).expect("the file has its bytes");
                bytes
            }
            other => panic!("{other:?}"),
        };
        let reason = head.extensions.get::<Reason>().map(|reason| reason.0.clone());
        Self { status: head.status.as_u16(), headers: head.headers, reason, body }
    }

    /// Returns a header; empty when it isn't there.
    pub(crate) fn header(&self, name: HeaderName) -> &str {
        self.headers.get(&name).map_or("", |value| value.to_str().expect("a header is text"))
    }

    /// Returns the body as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// Fails unless it is an error with this status whose text has these words, in its body and in its reason.
    #[track_caller]
    pub(crate) fn is(&self, status: u16, words: &[&str]) {
        assert_eq!(self.status, status, "{self:?}");
        for word in words {
            assert!(self.text().contains(word), "{word:?} in {}", self.text());
            let has = |reason: &str| reason.contains(word);
            assert!(status < 300 || self.reason.as_deref().is_some_and(has), "{word:?} in {:?}", self.reason);
        }
    }
}
