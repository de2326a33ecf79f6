//! Pages: asked for under conditions, taken whole, within a time and a size.

use super::exchange::{Answer, Question};
use super::failure::{Failure, PublicUrl};
use super::{Client, Source};
use crate::index::read::{self, ListedPage};
use flate2::read::MultiGzDecoder;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use std::io::Read;
use url::Url;

/// JSON is smaller and says more; any HTML is better than nothing.
const ACCEPTED: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01";

/// What a server wants to hear when it is asked whether a page changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// The `ETag` header of the page.
    pub etag: Option<String>,
    /// The `Last-Modified` header of the page.
    pub last_modified: Option<String>,
}

/// A page as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Where it came from, after redirects: its links are relative to this. Without user and password.
    pub url: Url,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// What to ask with the next time.
    pub validators: Validators,
    /// The text, decompressed.
    pub body: Vec<u8>,
}

impl Page {
    /// Reads the page's files and projects.
    pub fn read(&self) -> Result<ListedPage, Failure> {
        read::page(&self.body, self.content_type.as_deref(), &self.url)
            .map_err(|source| Failure::BadPage { place: PublicUrl::from(&self.url), source })
    }
}

/// What is known of a page after asking for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageAnswer {
    /// Here it is.
    Page(Page),
    /// It is what it was.
    Unchanged,
    /// There is none, says the server (M6).
    Absent,
}

impl Client {
    /// Fetches a page, unless it is still the one that `validators` came with. What the text says is not looked at.
    pub fn page(&self, source: &Source, url: &Url, validators: Option<&Validators>) -> Result<PageAnswer, Failure> {
        self.text(source, url, validators, self.options.max_page_bytes)
    }

    /// The same for any text of at most `cap` bytes, unpacked.
    pub fn text(
        &self,
        source: &Source,
        url: &Url,
        validators: Option<&Validators>,
        cap: u64,
    ) -> Result<PageAnswer, Failure> {
        let headers = conditions(validators);
        let deadline = self.page_deadline();
        let expected: &[u16] = if validators.is_some() { &[200, 304] } else { &[200] };
        let fetched = self.retried(|| {
            let question = Question { source, url, headers: headers.clone(), is_vouched: false, deadline };
            let answer = self.ask(&question)?.expect(source, expected)?;
            source.believe(&answer)?;
            if answer.status == 304 {
                return Ok(PageAnswer::Unchanged);
            }
            read_page(answer, cap).map(PageAnswer::Page)
        });
        match fetched {
            Err(Failure::Absent { .. }) => Ok(PageAnswer::Absent),
            other => other,
        }
    }
}

impl Source {
    /// Refuses a page that came from another host: whoever holds that one would say what this remote has.
    fn believe(&self, answer: &Answer) -> Result<(), Failure> {
        let (own, found) = (self.url.host_str(), answer.url.host_str());
        let is_named = |host: &&str| self.follow_hosts.iter().any(|named| named.eq_ignore_ascii_case(host));
        match found {
            _ if own == found => Ok(()),
            Some(host) if is_named(&host) => Ok(()),
            host => {
                let host = host.unwrap_or("nowhere");
                let why = format!("a redirect of a page to another host, {host}; --follow-host {host} believes it");
                Err(Failure::Redirect { place: PublicUrl::from(&self.url), why })
            }
        }
    }
}

fn conditions(validators: Option<&Validators>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let mut put = |name: HeaderName, text: Option<&String>| {
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(name, value);
        }
    };
    if let Some(validators) = validators {
        put(IF_NONE_MATCH, validators.etag.as_ref());
        put(IF_MODIFIED_SINCE, validators.last_modified.as_ref());
    }
    headers
}

/// Reads a page's body, decompressed, up to its cap.
pub(super) fn read_page(mut answer: Answer, cap: u64) -> Result<Page, Failure> {
    let place = PublicUrl::from(&answer.url);
    if answer.length().is_some_and(|length| length > cap) {
        return Err(Failure::TooLarge { place, cap });
    }
    let mut bytes = Vec::new();
    let coding = answer.header(CONTENT_ENCODING).map(str::to_ascii_lowercase);
    let result = match coding.as_deref() {
        None | Some("identity") => (&mut answer.body).take(cap + 1).read_to_end(&mut bytes),
        Some("gzip" | "x-gzip") => MultiGzDecoder::new(&mut answer.body).take(cap + 1).read_to_end(&mut bytes),
        Some(other) => {
            return Err(Failure::Encoding { place, why: format!("it came as {other:?}, which was not asked for") });
        }
    };
    if let Some(failure) = answer.body.failure.take() {
        return Err(failure);
    }
    if let Err(error) = result {
        return Err(Failure::Encoding { place, why: error.to_string() });
    }
    if bytes.len() as u64 > cap {
        return Err(Failure::TooLarge { place, cap });
    }
    let text = |name| answer.header(name).map(str::to_owned);
    let validators = Validators { etag: text(ETAG), last_modified: text(LAST_MODIFIED) };
    Ok(Page { url: answer.url.clone(), content_type: text(CONTENT_TYPE), validators, body: bytes })
}
