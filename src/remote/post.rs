//! Small documents to a receiver that an operator named: one request, one answer of any status, within a time limit for all of it.
//!
//! Redirects are not followed, so that nothing goes where nobody meant it to. Nothing is tried again here: what is to be sent waits in a
//! queue.

use super::Client;
use super::failure::{Failure, NO_ANSWER, PublicUrl, innermost};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::io::Read;
use std::time::{Duration, Instant};
use url::Url;

/// So much of an answer is read: it is a line for people.
const MAX_ANSWER_BYTES: usize = 1024;

/// What a receiver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostAnswer {
    /// The status.
    pub status: u16,
    /// How its text begins.
    pub text: String,
}

impl Client {
    /// Sends a document, and waits no longer than that for the whole of the answer.
    pub fn post(
        &self,
        url: &Url,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<PostAnswer, Failure> {
        let place = || PublicUrl::from(url);
        if let ("https", Some(why)) = (url.scheme(), &self.no_certificates) {
            return Err(Failure::Unreachable { place: place(), why: why.clone() });
        }
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value)
                .map_err(|error| Failure::Unreachable { place: place(), why: error.to_string() })?;
            all.insert(HeaderName::from_static(name), value);
        }
        let request = self.http.post(url.clone()).headers(all).timeout(limit).body(body);
        let begin = Instant::now();
        let mut response = request.send().map_err(|error| {
            if error.is_timeout() {
                return Failure::TimedOut { place: place(), what: NO_ANSWER, limit };
            }
            Failure::Unreachable { place: place(), why: innermost(&error.without_url()) }
        })?;
        let status = response.status().as_u16();
        let (mut bytes, mut part) = (Vec::new(), [0; MAX_ANSWER_BYTES]);
        // One that breaks off, or comes byte by byte, still has its status.
        while bytes.len() < MAX_ANSWER_BYTES && begin.elapsed() < limit {
            match response.read(&mut part) {
                Ok(0) | Err(_) => break,
                Ok(count) => bytes.extend_from_slice(&part[..count]),
            }
        }
        bytes.truncate(MAX_ANSWER_BYTES);
        Ok(PostAnswer { status, text: String::from_utf8_lossy(&bytes).trim().to_owned() })
    }
}
