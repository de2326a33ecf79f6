//! Metadata without the file: from the sidecar that the index announces, else from the wheel's tail, by ranges.
//!
//! Metadata that no digest vouches for comes by https only, unless the source allows more: a part of a file has no digest. A sidecar may
//! also come by the way that the page itself took.

use super::exchange::{Answer, Question};
use super::failure::{Failure, PublicUrl};
use super::{Client, Source};
use crate::digest::Sha256;
use crate::index::read::{ListedFile, Signed};
use crate::wheel::zip::ReadAt;
use crate::wheel::{self, DistributionFilename, Kind, WheelFilename};
use reqwest::header::{ACCEPT_ENCODING, ETAG, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use std::cell::{Cell, OnceCell, RefCell};
use std::io::{self, Read};
use url::Url;

/// The largest sidecar, and the most that is read of one wheel.
const MAX_SIDECAR_BYTES: u64 = 16 << 20;
const MAX_RANGED_BYTES: u64 = 64 << 20;
/// A file that a server sends whole instead of a part is taken up to this size.
const MAX_WHOLE_BYTES: u64 = 8 << 20;
/// What is asked for first; with most wheels nothing more is needed.
const TAIL_BYTES: u64 = 64 * 1024;

impl Client {
    /// Fetches the exact bytes of a distribution's METADATA, and makes sure that they are of its project and version.
    pub fn metadata(&self, source: &Source, file: &ListedFile) -> Result<Vec<u8>, Failure> {
        // What somebody signed is the file: nothing vouches for a part of it.
        if file.signed != Signed::Unasked {
            return Err(Failure::NoMetadata { place: PublicUrl::from(&file.url) });
        }
        if let Some(sidecar) = &file.sidecar {
            let mut url = file.url.clone();
            url.set_path(&format!("{}.metadata", url.path()));
            match self.sidecar(source, &url, sidecar.sha256, &file.name) {
                // Promised and not there, withheld, or another's: mirrors copy pages without sidecars, and stores sign links to files
                // alone. The wheel has its own.
                Err(failure) if file.name.kind() == Kind::Wheel && !failure.ends_all_ways(&source.url) => {}
                done => return done,
            }
        }
        match &file.name {
            DistributionFilename::Wheel(name) => {
                let bytes = self.tail(source, file, name)?;
                let announced = file.sidecar.and_then(|sidecar| sidecar.sha256);
                // Where parts of the file say something else than the page, all of it settles who is right.
                match announced.is_none_or(|digest| digest == Sha256::of(&bytes)) {
                    true => Ok(bytes),
                    false => Err(Failure::NoMetadata { place: PublicUrl::from(&file.url) }),
                }
            }
            DistributionFilename::Sdist(_) => Err(Failure::NoMetadata { place: PublicUrl::from(&file.url) }),
        }
    }

    fn sidecar(
        &self,
        source: &Source,
        url: &Url,
        sha256: Option<Sha256>,
        name: &DistributionFilename,
    ) -> Result<Vec<u8>, Failure> {
        let place = || PublicUrl::from(url);
        // By the plain way that the page itself took, a digest on it is worth no more than what comes beside the file.
        if sha256.is_none() && url.origin() != source.url.origin() {
            admit_unvouched(source, url)?;
        }
        let bytes = self.retried(|| {
            let answer = self.ask_for(source, url, None, None, sha256.is_some())?.expect(source, &[200])?;
            read_body(answer, MAX_SIDECAR_BYTES)
        })?;
        let found = Sha256::of(&bytes);
        if let Some(expected) = sha256.filter(|expected| *expected != found) {
            return Err(Failure::bad_sha256(place(), &expected, &found));
        }
        wheel::check_metadata(&bytes, name).map_err(|source| Failure::BadMetadata { place: place(), source })?;
        Ok(bytes)
    }

    fn tail(&self, source: &Source, file: &ListedFile, name: &WheelFilename) -> Result<Vec<u8>, Failure> {
        admit_unvouched(source, &file.url)?;
        let remote = RangedFile {
            client: self,
            source,
            file,
            first: OnceCell::new(),
            taken: Cell::new(0),
            failure: RefCell::default(),
        };
        let read = wheel::read_wheel(&remote, name);
        if let Some(failure) = remote.failure.take() {
            return Err(failure);
        }
        let contents = read.map_err(|source| Failure::BadMetadata { place: PublicUrl::from(&file.url), source })?;
        contents.metadata.ok_or_else(|| Failure::NoMetadata { place: PublicUrl::from(&file.url) })
    }

    fn ask_for(
        &self,
        source: &Source,
        url: &Url,
        range: Option<String>,
        validator: Option<&HeaderValue>,
        is_vouched: bool,
    ) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(range) = range {
            headers.insert(RANGE, HeaderValue::from_str(&range).expect("digits make a header"));
            validator.map(|validator| headers.insert(IF_RANGE, validator.clone()));
        }
        let deadline = self.page_deadline();
        self.ask(&Question { source, url, headers, is_vouched, deadline })
    }
}

fn admit_unvouched(source: &Source, url: &Url) -> Result<(), Failure> {
    if url.scheme() == "https" || source.allow_insecure {
        return Ok(());
    }
    let why = "plain http, and no SHA-256 digest for the metadata alone; --allow-insecure takes it";
    Err(Failure::Insecure { place: PublicUrl::from(url), why })
}

/// Reads a whole body of at most `cap` bytes.
fn read_body(mut answer: Answer, cap: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let place = PublicUrl::from(&answer.url);
    if answer.length().is_some_and(|length| length > cap) {
        return Err(Failure::TooLarge { place, cap });
    }
    let read = (&mut answer.body).take(cap + 1).read_to_end(&mut bytes);
    match (answer.body.failure.take(), read) {
        (Some(failure), _) => Err(failure),
        (None, Err(error)) => Err(Failure::CutShort { place, got: bytes.len() as u64, why: error.to_string() }),
        (None, Ok(_)) if bytes.len() as u64 > cap => Err(Failure::TooLarge { place, cap }),
        (None, Ok(_)) => Ok(bytes),
    }
}

/// A remote wheel, of which only ranges are read.
struct RangedFile<'a> {
    client: &'a Client,
    source: &'a Source,
    file: &'a ListedFile,
    first: OnceCell<Tail>,
    taken: Cell<u64>,
    /// What went wrong, since a reader of archives knows I/O errors only.
    failure: RefCell<Option<Failure>>,
}

/// The end of the file, and what it said of itself with it.
struct Tail {
    start: u64,
    bytes: Vec<u8>,
    size: u64,
    etag: Option<HeaderValue>,
}

impl RangedFile<'_> {
    fn bad(&self, why: impl Into<String>) -> Failure {
        Failure::BadRange { place: PublicUrl::from(&self.file.url), why: why.into() }
    }

    fn first(&self) -> Result<&Tail, Failure> {
        if let Some(tail) = self.first.get() {
            return Ok(tail);
        }
        let tail = self.client.retried(|| self.fetch_tail())?;
        Ok(self.first.get_or_init(|| tail))
    }

    fn fetch_tail(&self) -> Result<Tail, Failure> {
        // Some servers know no ranges that count from the end.
        let range = match self.file.size {
            Some(size) => format!("bytes={}-{}", size.saturating_sub(TAIL_BYTES), size.saturating_sub(1)),
            None => format!("bytes=-{TAIL_BYTES}"),
        };
        let answer = self.client.ask_for(self.source, &self.file.url, Some(range), None, false)?;
        let answer = answer.expect(self.source, &[200, 206])?;
        let etag = answer.headers.get(ETAG).filter(|etag| etag.as_bytes().starts_with(b"\"")).cloned();
        if answer.status == 200 {
            let is_small = answer.length().or(self.file.size).is_some_and(|size| size <= MAX_WHOLE_BYTES);
            if !is_small {
                return Err(self.bad("it sends the whole file instead"));
            }
            let bytes = read_body(answer, MAX_WHOLE_BYTES)?;
            return self.checked(Tail { start: 0, size: bytes.len() as u64, bytes, etag });
        }
        let Some((start, last, Some(size))) = answer.range() else {
            return Err(self.bad("it does not say which bytes it sends"));
        };
        let count = size.saturating_sub(start);
        if last.checked_add(1) != Some(size) || count > TAIL_BYTES || self.file.size.is_some_and(|known| known != size)
        {
            return Err(self.bad(format!("asked for the last bytes, it sends {start}-{last} of {size}")));
        }
        let bytes = self.take_exactly(answer, count)?;
        self.checked(Tail { start, bytes, size, etag })
    }

    /// Where the tail is the whole file, its digest can be checked after all.
    fn checked(&self, tail: Tail) -> Result<Tail, Failure> {
        let place = || PublicUrl::from(&self.file.url);
        if let Some(expected) = self.file.size.filter(|expected| *expected != tail.size) {
            return Err(Failure::BadSize { place: place(), expected, found: tail.size, hint: String::new() });
        }
        let found = Sha256::of(&tail.bytes);
        match self.file.sha256 {
            Some(expected) if tail.start == 0 && expected != found => {
                Err(Failure::bad_sha256(place(), &expected, &found))
            }
            _ => Ok(tail),
        }
    }

    fn fetch(&self, tail: &Tail, offset: u64, count: u64) -> Result<Vec<u8>, Failure> {
        let taken = self.taken.get() + count;
        if taken > MAX_RANGED_BYTES {
            return Err(Failure::TooLarge { place: PublicUrl::from(&self.file.url), cap: MAX_RANGED_BYTES });
        }
        self.taken.set(taken);
        self.client.retried(|| {
            let range = Some(format!("bytes={offset}-{}", offset + count - 1));
            let answer = self.client.ask_for(self.source, &self.file.url, range, tail.etag.as_ref(), false)?;
            let answer = answer.expect(self.source, &[200, 206])?;
            if answer.status == 200 {
                return Err(self.bad("the file changed meanwhile, or it stopped to send parts"));
            }
            if answer.headers.get(ETAG).is_some_and(|etag| tail.etag.as_ref().is_some_and(|first| first != etag)) {
                return Err(self.bad("the file changed meanwhile"));
            }
            if answer.range() != Some((offset, offset + count - 1, Some(tail.size))) {
                return Err(self.bad(format!("asked for {count} bytes at {offset}, it sends others")));
            }
            self.take_exactly(answer, count)
        })
    }

    fn take_exactly(&self, answer: Answer, count: u64) -> Result<Vec<u8>, Failure> {
        let bytes = read_body(answer, count)?;
        if bytes.len() as u64 == count { Ok(bytes) } else { Err(self.bad("it sends fewer bytes than it says")) }
    }

    fn read(&self, into: &mut [u8], offset: u64) -> Result<(), Failure> {
        let tail = self.first()?;
        let count = into.len() as u64;
        let Some(end) = offset.checked_add(count).filter(|end| *end <= tail.size) else {
            return Err(self.bad("its end was passed"));
        };
        // What lies in the tail is there; a longer tail needs only the bytes before it.
        let missing = count.min(tail.start.saturating_sub(offset));
        let (front, back) = into.split_at_mut(missing as usize);
        if !front.is_empty() {
            front.copy_from_slice(&self.fetch(tail, offset, missing)?);
        }
        if !back.is_empty() {
            let start = (offset + missing - tail.start) as usize;
            back.copy_from_slice(&tail.bytes[start..(end - tail.start) as usize]);
        }
        Ok(())
    }

    fn kept<T>(&self, result: Result<T, Failure>) -> io::Result<T> {
        result.map_err(|failure| {
            let error = io::Error::other(failure.to_string());
            *self.failure.borrow_mut() = Some(failure);
            error
        })
    }
}

impl ReadAt for RangedFile<'_> {
    fn size(&self) -> io::Result<u64> {
        self.kept(self.first().map(|tail| tail.size))
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.kept(self.read(bytes, offset))
    }
}
