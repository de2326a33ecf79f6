//! Small documents of JSON, such as an issuer's keys: asked for once, taken whole within a size, with how long they may be kept.

use super::exchange::{Answer, Question};
use super::failure::{Failure, PublicUrl};
use super::{Client, Source, page};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, HeaderMap, HeaderValue};
use std::time::Duration;
use url::Url;

/// A document as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its text, decompressed.
    pub body: Vec<u8>,
    /// How long it may be kept, if its server says so (RFC 9111 §5.2.2).
    pub max_age: Option<Duration>,
}

impl Client {
    /// Fetches a document of at most so many bytes. What another host than the asked one answers is not believed.
    pub fn document(&self, source: &Source, url: &Url, cap: u64) -> Result<Document, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let question = Question { source, url, headers, is_vouched: false, deadline: self.page_deadline() };
        let answer = self.ask(&question)?;
        if answer.url.host() != url.host() {
            let why = format!("a redirect to another host, {}", answer.url.host_str().unwrap_or("nowhere"));
            return Err(Failure::Redirect { place: PublicUrl::from(url), why });
        }
        let answer = answer.expect(source, &[200])?;
        let max_age = max_age(&answer);
        Ok(Document { body: page::read_page(answer, cap)?.body, max_age })
    }
}

fn max_age(answer: &Answer) -> Option<Duration> {
    let words = answer.header(CACHE_CONTROL)?.to_ascii_lowercase();
    let mut words = words.split(',').map(str::trim);
    let is_never = |word: &str| matches!(word, "no-store" | "no-cache");
    if words.clone().any(is_never) {
        return Some(Duration::ZERO);
    }
    words.find_map(|word| word.strip_prefix("max-age=")?.trim_matches('"').parse().ok()).map(Duration::from_secs)
}
