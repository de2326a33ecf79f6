//! Files: streamed to disk, hashed on the way, taken up again where they broke off, and gone if they are not what was announced.

use super::exchange::{Answer, Body, Question};
use super::failure::{Failure, PublicUrl};
use super::{Client, Source};
use crate::digest::{Digests, Hasher};
use crate::fs;
use crate::index::read::{ListedFile, Signed};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE,
};
use std::fmt::Display;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use url::{Host, Url};

/// A transfer that brought so many bytes before it broke off has its retries anew.
const PROGRESS_BYTES: u64 = 1 << 20;
/// The mode of staged files and blobs: nobody writes to them.
const MODE: u32 = crate::fs::READ_ONLY;

/// A file that came whole, and is what was announced.
#[derive(Debug)]
pub struct Downloaded {
    /// The file, open for reading. Its bytes are not durable yet.
    pub file: File,
    /// The digests of its bytes.
    pub digests: Digests,
    /// The number of its bytes.
    pub size: u64,
    /// Where it came from, after redirects; without user and password, but maybe with a secret query.
    pub url: Url,
}

/// What whoever watches a download hears of it.
#[derive(Debug, Clone, Copy)]
pub enum Moment<'a> {
    /// A transfer begins, the first or another: its bytes come into this file, which is empty.
    Began {
        /// The file, open for reading as well.
        file: &'a File,
        /// The number of bytes that are announced.
        size: Option<u64>,
    },
    /// So many bytes are there.
    Grown(u64),
}

/// Watches a download; an error, which says why, ends it.
pub type Watch<'a> = &'a dyn Fn(Moment<'_>) -> Result<(), String>;

/// Tells whether a source may give this file: with a digest always, without one as far as the source is trusted.
///
/// By https the source must be trusted to be right (`trust_unhashed`); by plain http everybody on the way must be, too
/// (`allow_insecure`, which includes the other). Nobody is on the way to a server of the own machine, as a builder's own is.
pub fn admit(source: &Source, file: &ListedFile) -> Result<(), Failure> {
    let refused = |why| Err(Failure::Insecure { place: PublicUrl::from(&file.url), why });
    if let Signed::Refused(why) = file.signed {
        return refused(why);
    }
    match (file.url.scheme(), file.is_vouched()) {
        ("http" | "https", true) => Ok(()),
        ("http" | "https", false) if source.allow_insecure => Ok(()),
        ("https", false) if source.trust_unhashed => Ok(()),
        ("http", false) if source.trust_unhashed && is_loopback(&file.url) => Ok(()),
        ("https", false) => refused("the index gives no SHA-256 digest; --trust-unhashed takes it"),
        ("http", false) => refused("plain http, and the index gives no SHA-256 digest; --allow-insecure takes it"),
        _ => refused("its URL is neither https nor http"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // A name may resolve to anything, but for this one (RFC 6761).
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

impl Client {
    /// Fetches a file to `to`, which must not be there yet. `progress` hears the number of bytes that are there, which
    /// starts over when the transfer does. After a failure `to` is not there.
    pub fn download(
        &self,
        source: &Source,
        file: &ListedFile,
        to: &Path,
        progress: &dyn Fn(u64),
    ) -> Result<Downloaded, Failure> {
        let watch = |moment: Moment<'_>| {
            if let Moment::Grown(bytes) = moment {
                progress(bytes);
            }
            Ok(())
        };
        self.download_watched(source, file, to, &watch)
    }

    /// Fetches a file as [`Client::download`] does, for somebody who reads it while it grows.
    pub fn download_watched(
        &self,
        source: &Source,
        file: &ListedFile,
        to: &Path,
        watch: Watch<'_>,
    ) -> Result<Downloaded, Failure> {
        admit(source, file)?;
        let cap = self.options.max_file_bytes;
        if file.size.is_some_and(|size| size > cap) {
            return Err(Failure::TooLarge { place: PublicUrl::from(&file.url), cap });
        }
        let part = Part::new(to)?;
        let mut transfer = Transfer {
            client: self,
            source,
            file,
            to,
            watch,
            part,
            origin: Origin::default(),
            is_resumed: false,
            restarts: 0,
            came: 0,
        };
        let done = transfer.run();
        if done.is_err() {
            // The failure is what counts; staging is emptied with its session.
            let _ = fs::remove_file(to);
        }
        let (digests, url) = done?;
        Ok(Downloaded { size: transfer.part.size, file: transfer.part.file, digests, url })
    }
}

/// What is on disk so far.
struct Part {
    file: File,
    hasher: Hasher,
    size: u64,
    lease: fs::Lease,
}

impl Part {
    fn new(path: &Path) -> fs::Result<Self> {
        let lease = fs::Lease::new(fs::parent(path));
        Ok(Self { file: fs::create_new(path, MODE)?, hasher: Hasher::default(), size: 0, lease })
    }
}

/// What the server said of the bytes when it began to send them.
#[derive(Default)]
struct Origin {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
    total: Option<u64>,
    hint: String,
}

impl Origin {
    fn of(answer: &Answer) -> Self {
        let mut hint = String::new();
        if let Some(coding) = coding(answer) {
            hint = format!(" (the server sent it as {coding:?})");
        } else if let Some(kind) = answer.header(CONTENT_TYPE).filter(|kind| kind.starts_with("text/html")) {
            hint = format!(" (the server sent {kind})");
        }
        Self {
            etag: answer.headers.get(ETAG).cloned(),
            last_modified: answer.headers.get(LAST_MODIFIED).cloned(),
            total: answer.length(),
            hint,
        }
    }

    /// Returns the ETag, if equal ones mean equal bytes.
    fn strong_etag(&self) -> Option<&HeaderValue> {
        self.etag.as_ref().filter(|etag| etag.as_bytes().starts_with(b"\""))
    }
}

fn coding(answer: &Answer) -> Option<&str> {
    answer.header(CONTENT_ENCODING).filter(|coding| !coding.eq_ignore_ascii_case("identity"))
}

/// Tells whether a server sooner guessed a coding from the file's name than coded it: `gzip` for a `.tar.gz`. Had it done so, the bytes
/// would be no tar archive after unpacking once, and no import takes that.
fn is_guess(coding: &str, filename: &str) -> bool {
    let is_gzip = coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip");
    is_gzip && (filename.ends_with(".gz") || filename.ends_with(".tgz"))
}

struct Transfer<'a> {
    client: &'a Client,
    source: &'a Source,
    file: &'a ListedFile,
    to: &'a Path,
    watch: Watch<'a>,
    part: Part,
    origin: Origin,
    /// Whether the bytes came in several answers.
    is_resumed: bool,
    restarts: u32,
    /// The number of bytes that this attempt brought.
    came: u64,
}

impl Transfer<'_> {
    fn run(&mut self) -> Result<(Digests, Url), Failure> {
        let mut failures = 0;
        loop {
            self.came = 0;
            let done = self.attempt().and_then(|url| Ok((self.check()?, url)));
            match done {
                // The parts may be of two files: only the whole from one answer convicts a server.
                Err(Failure::BadDigest { .. } | Failure::BadSize { .. }) if self.is_resumed => {
                    self.start_over("its bytes changed meanwhile")?;
                }
                // Who has waited in vain once does not wait again; after a stall on the way the rest may come.
                Err(failure @ Failure::TimedOut { .. }) if self.came == 0 => return Err(failure),
                Err(failure) => {
                    if self.came >= PROGRESS_BYTES {
                        failures = 0;
                    }
                    let Some(wait) = self.client.pause(&failure, failures) else { return Err(failure) };
                    std::thread::sleep(wait);
                    failures += 1;
                }
                done => return done,
            }
        }
    }

    /// Asks for the file, or for the rest of it, and takes what comes.
    fn attempt(&mut self) -> Result<Url, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let is_ranged = self.part.size > 0 && self.ask_for_rest(&mut headers);
        if !is_ranged && self.part.size > 0 {
            self.start_over("it can't be taken up again")?;
        }
        let is_vouched = self.file.is_vouched();
        let question = Question { source: self.source, url: &self.file.url, headers, is_vouched, deadline: None };
        let expected: &[u16] = if is_ranged { &[200, 206, 416] } else { &[200] };
        let mut answer = match self.client.ask(&question)?.expect(self.source, expected) {
            // It may give the whole, though not the rest.
            Err(failure @ Failure::Refused { .. }) if is_ranged && !failure.is_passing() => {
                self.start_over("it refuses to send the rest")?;
                return self.attempt();
            }
            answer => answer?,
        };
        match answer.status {
            200 => {
                if self.part.size > 0 {
                    self.start_over("it is sent from its beginning again and again")?;
                }
                self.begin(&answer)?;
            }
            206 if self.fits(&answer) => self.is_resumed = true,
            _ => {
                self.start_over("the rest that it offers does not fit")?;
                return self.attempt();
            }
        }
        self.receive(&mut answer.body)?;
        Ok(answer.url)
    }

    /// Adds the headers that ask for the rest; says no if the parts could be of two files without anybody noticing.
    fn ask_for_rest(&self, headers: &mut HeaderMap) -> bool {
        let origin = &self.origin;
        let validator = origin.strong_etag().or(origin.last_modified.as_ref().filter(|_| self.file.is_vouched()));
        let is_safe = validator.is_some() || self.file.is_vouched();
        if is_safe {
            let range = format!("bytes={}-", self.part.size);
            headers.insert(RANGE, HeaderValue::from_str(&range).expect("digits make a header"));
            validator.map(|validator| headers.insert(IF_RANGE, validator.clone()));
        }
        is_safe
    }

    /// Notes what the server says of the whole file, and refuses what can't be right.
    fn begin(&mut self, answer: &Answer) -> Result<(), Failure> {
        self.origin = Origin::of(answer);
        let place = PublicUrl::from(&answer.url);
        let is_told = coding(answer).filter(|coding| !is_guess(coding, self.file.name.as_str()));
        if let (Some(coding), false) = (is_told, self.file.is_vouched()) {
            return Err(Failure::Encoding { place, why: format!("it came as {coding:?}, which was not asked for") });
        }
        match (self.origin.total, self.file.size) {
            (Some(found), Some(expected)) if found != expected => {
                Err(Failure::BadSize { place, expected, found, hint: self.origin.hint.clone() })
            }
            (Some(found), _) if found > self.client.options.max_file_bytes => {
                Err(Failure::TooLarge { place, cap: self.client.options.max_file_bytes })
            }
            (total, announced) => self.tell(Moment::Began { file: &self.part.file, size: announced.or(total) }),
        }
    }

    fn tell(&self, moment: Moment<'_>) -> Result<(), Failure> {
        (self.watch)(moment).map_err(|why| Failure::Declined { place: PublicUrl::from(&self.file.url), why })
    }

    /// Tells whether a partial answer goes on where the part ends, in the same file.
    fn fits(&self, answer: &Answer) -> bool {
        let is_other = |before: Option<u64>, now: Option<u64>| before.is_some() && now.is_some() && before != now;
        let (before, now) = (self.origin.etag.as_ref(), answer.headers.get(ETAG));
        coding(answer).is_none()
            && (before.is_none() || now.is_none() || before == now)
            && answer.range().is_some_and(|(first, _, total)| {
                first == self.part.size && !is_other(self.origin.total, total) && !is_other(self.file.size, total)
            })
    }

    fn receive(&mut self, body: &mut Body) -> Result<(), Failure> {
        let mut buffer = vec![0; fs::BUFFER_BYTES];
        loop {
            // Small pieces are collected: each write has its price.
            let mut filled = 0;
            let mut is_end = false;
            while filled < buffer.len() && !is_end {
                match body.read(&mut buffer[filled..]) {
                    Ok(count) => {
                        filled += count;
                        is_end = count == 0;
                    }
                    Err(error) => is_end = error.kind() != ErrorKind::Interrupted,
                }
            }
            self.keep(&buffer[..filled])?;
            if is_end {
                return body.failure.take().map_or(Ok(()), Err);
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let size = self.part.size + bytes.len() as u64;
        let place = || PublicUrl::from(&self.file.url);
        if let Some(expected) = self.file.size.filter(|expected| size > *expected) {
            return Err(Failure::BadSize { place: place(), expected, found: size, hint: self.origin.hint.clone() });
        }
        if size > self.client.options.max_file_bytes {
            return Err(Failure::TooLarge { place: place(), cap: self.client.options.max_file_bytes });
        }
        if !bytes.is_empty() {
            self.part.lease.cover(size)?;
            fs::append(&self.part.file, self.to, bytes)?;
            self.part.hasher.update(bytes);
            self.part.size = size;
            self.came += bytes.len() as u64;
            self.tell(Moment::Grown(size))?;
        }
        Ok(())
    }

    /// Throws away what came, for a limited number of times.
    fn start_over(&mut self, why: &str) -> Result<(), Failure> {
        self.restarts += 1;
        if self.restarts > self.client.options.retries.max(1) {
            let why = format!("{why}, and it was started over too often");
            return Err(Failure::BadRange { place: PublicUrl::from(&self.file.url), why });
        }
        fs::remove_file(self.to)?;
        self.part = Part::new(self.to)?;
        self.origin = Origin::default();
        self.is_resumed = false;
        Ok(())
    }

    /// Compares what came with what the index announced.
    fn check(&mut self) -> Result<Digests, Failure> {
        let digests = std::mem::take(&mut self.part.hasher).finish();
        let (place, hint) = (PublicUrl::from(&self.file.url), self.origin.hint.clone());
        if let Some(expected) = self.file.size.filter(|expected| self.part.size != *expected) {
            return Err(Failure::BadSize { place, expected, found: self.part.size, hint });
        }
        let bad = |algorithm, expected: &dyn Display, found: &dyn Display| {
            let (expected, found) = (expected.to_string(), found.to_string());
            Failure::BadDigest { place: place.clone(), algorithm, expected, found, hint: hint.clone() }
        };
        if let Some(expected) = self.file.sha256.filter(|expected| *expected != digests.sha256) {
            return Err(bad("SHA-256", &expected, &digests.sha256));
        }
        for expected in &self.file.digests {
            // Rare: the bytes are read once more for each.
            let mut file = File::open(self.to).map_err(fs::Error::at("open", self.to))?;
            let found = expected.of(&mut file).map_err(fs::Error::at("read", self.to))?;
            if found != *expected {
                return Err(bad(expected.algorithm().label(), expected, &found));
            }
        }
        Ok(digests)
    }
}
