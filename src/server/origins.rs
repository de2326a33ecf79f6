//! Whose pages a browser lets read what the server says (CORS, Fetch standard section 3.3).
//!
//! Nobody's unless told: who reaches the server by standing where they stand, on its machine or inside its network, looks at pages of
//! strangers, too, and those must not read along. The same holds of names (`hosts`).

use super::answer::{Body, set};
use super::{Answer, Request};
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};
use http::{Method, StatusCode};
use url::Url;

/// An origin as browsers write it, or `*` for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOrigin(String);

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an origin: https://notebook.example or * for any, without a path")]
pub struct OriginError(pub String);

impl std::str::FromStr for AllowedOrigin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let bad = || OriginError(text.to_owned());
        if text == "*" {
            return Ok(Self(text.to_owned()));
        }
        let url = Url::parse(text).map_err(|_| bad())?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !is_bare || has_user || !url.origin().is_tuple() || !matches!(url.scheme(), "http" | "https") {
            return Err(bad());
        }
        Ok(Self(url.origin().ascii_serialization()))
    }
}

/// The origins whose pages may read answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(pub Vec<AllowedOrigin>);

/// What a page may send beside what any form can.
const HEADERS: &str = "Authorization, If-Modified-Since, If-None-Match, If-Range, Range";
/// What a page may read beside what any page can.
const EXPOSED: &str = "Accept-Ranges, Content-Encoding, Content-Range, ETag, X-PyPI-Last-Serial";
/// So many seconds a browser needs not ask again.
const MAX_AGE: &str = "86400";

impl Origins {
    fn is_any(&self) -> bool {
        self.0.iter().any(|origin| origin.0 == "*")
    }

    /// Answers a browser that asks whether a page may ask; `None`: it doesn't ask that, or nobody may.
    pub(super) fn preflight(&self, request: &Request) -> Option<Answer> {
        let headers = request.headers();
        let is_asked = headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if self.0.is_empty() || *request.method() != Method::OPTIONS || !is_asked {
            return None;
        }
        let mut answer = Answer::new(Body::Bytes(Bytes::new()));
        *answer.status_mut() = StatusCode::NO_CONTENT;
        set(&mut answer, ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD");
        set(&mut answer, ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
        set(&mut answer, ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        Some(answer)
    }

    /// Says in an answer that a page of this origin may read it, if it may.
    pub(super) fn mark(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        let exposed = HeaderValue::from_static(EXPOSED);
        if self.is_any() {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
            return;
        }
        // A cache on the way must not give one origin what was said to another.
        let varies = headers.get(VARY).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
        let varies = varies.map_or_else(|| "Origin".to_owned(), |text| format!("{text}, Origin"));
        headers.insert(VARY, HeaderValue::try_from(varies).expect("two values make one"));
        let is_allowed = |origin: &&HeaderValue| self.0.iter().any(|allowed| allowed.0.as_bytes() == origin.as_bytes());
        if let Some(origin) = origin.filter(is_allowed) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_write() {
        for (text, origin) in [
            ("https://Notebook.Example", "https://notebook.example"),
            ("https://notebook.example:443/", "https://notebook.example"),
            ("http://localhost:8888", "http://localhost:8888"),
            ("*", "*"),
        ] {
            assert_eq!(text.parse(), Ok(AllowedOrigin(origin.to_owned())), "{text}");
        }
        for text in
            ["", "null", "notebook.example", "https://", "https://a/b", "https://u@a", "ftp://a", "https://a?b", "**"]
        {
            assert!(text.parse::<AllowedOrigin>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_who_is_named_reads() {
        let origins = |texts: &[&str]| Origins(texts.iter().map(|text| text.parse().unwrap()).collect());
        let told = |origins: &Origins, origin: &'static str| {
            let mut headers = HeaderMap::new();
            origins.mark(Some(&HeaderValue::from_static(origin)), &mut headers);
            let of = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            (of(ACCESS_CONTROL_ALLOW_ORIGIN), of(VARY))
        };
        let one = origins(&["https://notebook.example"]);
        let (own, vary) = ("https://notebook.example", Some("Origin".to_owned()));
        assert_eq!(told(&origins(&[]), own), (None, None));
        assert_eq!(told(&one, own), (Some(own.to_owned()), vary.clone()));
        for other in
            ["https://evil.example", "https://notebook.example.evil.example", "http://notebook.example", "null"]
        {
            assert_eq!(told(&one, other), (None, vary.clone()), "{other}");
        }
        assert_eq!(told(&origins(&["*"]), "null"), (Some("*".to_owned()), None));
    }
}
