//! One request and its answer: redirects, credentials, time limits and retries.

use super::failure::{Failure, NO_ANSWER, NO_CONNECTION, PublicUrl, bare, innermost};
use super::zone::Inward;
use super::{Client, ClientError, ClientOptions, Source, road};
use crate::budget;
use reqwest::blocking::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use url::Url;

/// What is asked for.
pub(super) struct Question<'a> {
    pub(super) source: &'a Source,
    pub(super) url: &'a Url,
    pub(super) headers: HeaderMap,
    /// Whether a digest vouches for the bytes, whatever way they come.
    pub(super) is_vouched: bool,
    /// When to give up, and the time that was given.
    pub(super) deadline: Option<(Instant, Duration)>,
}

/// An answer whose body is still to be read.
pub(super) struct Answer {
    /// Where it came from, after redirects; without user and password.
    pub(super) url: Url,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Answer {
    /// Returns a header as text.
    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
    }

    /// Returns the number of bytes that the body is said to have.
    pub(super) fn length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.parse().ok()
    }

    /// Returns what `Content-Range` says: the first byte, the last one, and the number of all.
    pub(super) fn range(&self) -> Option<(u64, u64, Option<u64>)> {
        let (range, total) = self.header(CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total = if total == "*" { None } else { Some(total.parse().ok()?) };
        Some((first.parse().ok()?, last.parse().ok()?, total))
    }

    fn retry_after(&self) -> Option<Duration> {
        // A date would need a clock; without one the own patience counts.
        self.header(RETRY_AFTER)?.parse().ok().map(Duration::from_secs)
    }

    /// Lets the expected status codes pass.
    pub(super) fn expect(self, source: &Source, expected: &[u16]) -> Result<Self, Failure> {
        let (status, place) = (self.status, PublicUrl::from(&self.url));
        if matches!(status, 404 | 410) || source.not_found.contains(&status) {
            return Err(Failure::Absent { place, status });
        }
        if expected.contains(&status) {
            return Ok(self);
        }
        Err(Failure::Refused { place, status, retry_after: self.retry_after() })
    }
}

/// A body, read with an eye on the clock. What ended it early is kept, since readers on top only pass on an [`io::Error`].
pub(super) struct Body {
    response: Response,
    place: PublicUrl,
    got: u64,
    limit: Duration,
    deadline: Option<(Instant, Duration)>,
    /// Whether the time limit is what was left until the deadline.
    is_last: bool,
    window: (Instant, u64),
    pub(super) failure: Option<Failure>,
}

impl Body {
    fn fail(&mut self, failure: Failure) -> io::Error {
        self.failure = Some(failure);
        io::Error::other("the body ended early")
    }

    fn judge(&self, error: &io::Error) -> Failure {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<reqwest::Error>());
        let place = self.place.clone();
        if cause.is_some_and(reqwest::Error::is_timeout) {
            if let Some((_, limit)) = self.deadline.filter(|_| self.is_last) {
                return Failure::TimedOut { place, what: "not all of it came", limit };
            }
            return Failure::TimedOut { place, what: "no further byte came", limit: self.limit };
        }
        let why = cause.map_or_else(|| error.to_string(), |cause| innermost(cause));
        Failure::CutShort { place, got: self.got, why }
    }

    fn check_time(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if let Some((_, limit)) = self.deadline.filter(|(deadline, _)| now >= *deadline) {
            return Err(Failure::TimedOut { place: self.place.clone(), what: "not all of it came", limit });
        }
        let (since, bytes) = self.window;
        if now - since >= self.limit {
            // One byte now and then would keep a thread for ever.
            let least = u128::from(budget::LEAST_RATE.limit) * self.limit.as_millis() / 1000;
            if u128::from(self.got - bytes) < least {
                let place = self.place.clone();
                let what = "less than 4 KiB a second came (budget least-rate)";
                return Err(Failure::TimedOut { place, what, limit: self.limit });
            }
            self.window = (now, self.got);
        }
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = match self.response.read(bytes) {
            Ok(0) => return Ok(0),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                let failure = self.judge(&error);
                return Err(self.fail(failure));
            }
        };
        self.got += count as u64;
        self.check_time().map_err(|failure| self.fail(failure))?;
        Ok(count)
    }
}

impl Client {
    /// Makes a client; nothing is connected yet.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let (tls, no_certificates) = crate::tls::client().map_err(|error| ClientError(error.into()))?;
        let http = road::direct(&options, tls.clone())?;
        let roads = Arc::new(road::Roads::new(&options, tls));
        Ok(Self { http, roads, options, netrc: OnceLock::new(), no_certificates, end: None })
    }

    /// Returns a client that gives up at a time and tries nothing again, for who can do without an answer.
    pub fn until(&self, end: Instant) -> Self {
        let mut hurried = self.clone();
        (hurried.end, hurried.options.retries) = (Some(end), 0);
        hurried
    }

    /// Returns when a page that is asked for now is given up, and the time that is left for it.
    pub(super) fn page_deadline(&self) -> Option<(Instant, Duration)> {
        let now = Instant::now();
        let left = self.end.map(|end| end.saturating_duration_since(now));
        let limit = left.map_or(self.options.page_deadline, |left| left.min(self.options.page_deadline));
        now.checked_add(limit).map(|deadline| (deadline, limit))
    }

    /// Asks once, and follows redirects.
    pub(super) fn ask(&self, question: &Question<'_>) -> Result<Answer, Failure> {
        let mut seen = vec![bare(question.url)];
        loop {
            let url = seen.last().expect("it begins with one and only grows");
            let answer = self.ask_one(question, url)?;
            let status = answer.status;
            if !matches!(status, 301 | 302 | 303 | 307 | 308) || question.source.not_found.contains(&status) {
                return Ok(answer);
            }
            let lost = |why: String| Failure::Redirect { place: PublicUrl::from(url), why };
            let location = answer.headers.get(LOCATION).ok_or_else(|| lost("a redirect to nowhere".to_owned()))?;
            let location = String::from_utf8_lossy(location.as_bytes());
            let mut next = bare(&url.join(&location).map_err(|error| lost(format!("a redirect to no URL: {error}")))?);
            if next.fragment().is_none() {
                next.set_fragment(url.fragment());
            }
            match (url.scheme(), next.scheme()) {
                (_, "https") | ("http", "http") => {}
                ("https", "http") if question.is_vouched || question.source.allow_insecure => {}
                ("https", "http") => return Err(lost("a redirect from https to http".to_owned())),
                (_, other) => return Err(lost(format!("a redirect to a {other:?} URL"))),
            }
            if seen.contains(&next) {
                return Err(lost("a redirect in a circle".to_owned()));
            }
            if seen.len() > self.options.redirects {
                return Err(lost(format!("more than {} redirects", self.options.redirects)));
            }
            seen.push(next);
        }
    }

    fn ask_one(&self, question: &Question<'_>, url: &Url) -> Result<Answer, Failure> {
        let place = PublicUrl::from(url);
        match (url.scheme(), &self.no_certificates) {
            ("https", Some(why)) => return Err(Failure::Unreachable { place, why: why.clone() }),
            ("http" | "https", _) => {}
            _ => return Err(Failure::Insecure { place, why: "its URL is neither https nor http" }),
        }
        if let Some((_, limit)) = question.deadline.filter(|(deadline, _)| Instant::now() >= *deadline) {
            return Err(Failure::TimedOut { place, what: NO_ANSWER, limit });
        }
        // The client's own time limit is for each wait; one of a request would be for the whole of it.
        let left = question.deadline.map(|(deadline, _)| deadline.saturating_duration_since(Instant::now()));
        let limit = left.map_or(self.options.stall_timeout, |left| left.min(self.options.stall_timeout));
        let is_last = limit < self.options.stall_timeout;
        let mut request = self.road(question.source, url)?.get(url.clone()).headers(question.headers.clone());
        if is_last {
            request = request.timeout(limit);
        }
        if let Some(authorization) = self.authorization(question.source, url)? {
            request = authorization.put(request);
        }
        let response = request.send().map_err(|error| {
            let place = PublicUrl::from(url);
            if road::is_inward(&error) {
                return Failure::Redirect { place, why: Inward.to_string() };
            }
            match (error.is_timeout(), error.is_connect()) {
                (true, true) => Failure::TimedOut { place, what: NO_CONNECTION, limit: self.options.connect_timeout },
                (true, false) => {
                    let told = question.deadline.filter(|_| is_last).map_or(limit, |(_, limit)| limit);
                    Failure::TimedOut { place, what: NO_ANSWER, limit: told }
                }
                (false, _) => Failure::Unreachable { place, why: innermost(&error.without_url()) },
            }
        })?;
        self.note_place(question.source, url, &response);
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let window = (Instant::now(), 0);
        let body = Body { response, place, got: 0, limit, deadline: question.deadline, is_last, window, failure: None };
        Ok(Answer { url: url.clone(), status, headers, body })
    }

    /// Returns how long to wait before a request that failed is tried again, or `None` where that makes no sense.
    pub(super) fn pause(&self, failure: &Failure, failures: u32) -> Option<Duration> {
        if failures >= self.options.retries || !failure.is_passing() {
            return None;
        }
        let own = self.options.backoff.saturating_mul(1 << failures.min(16)).min(self.options.max_wait);
        match failure {
            Failure::Refused { retry_after: Some(asked), .. } if *asked > self.options.max_wait => None,
            Failure::Refused { retry_after: Some(asked), .. } => Some(own.max(*asked)),
            _ => Some(own),
        }
    }

    /// Tries until it works, or until it makes no sense to.
    pub(super) fn retried<T>(&self, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut failures = 0;
        loop {
            match attempt() {
                // Who has waited for so long in vain once does not wait again.
                Err(failure) if !matches!(failure, Failure::TimedOut { .. }) => match self.pause(&failure, failures) {
                    Some(wait) => std::thread::sleep(wait),
                    None => return Err(failure),
                },
                done => return done,
            }
            failures += 1;
        }
    }
}
