//! Uploads: a form as twine sends it, its file streamed from disk, with a known length and an eye on the clock.
//!
//! An answer of any status is an answer: what it means is for whoever sent the form to say. Redirects are not followed, so that
//! neither a file nor credentials go where nobody meant them to. Nothing is tried again here: what is to be sent waits in a queue.

use super::failure::{Failure, PublicUrl, innermost};
use super::{Client, Source};
use crate::digest::Sha256;
use reqwest::blocking::{Body, RequestBuilder, Response};
use reqwest::header::{ACCEPT, CONTENT_TYPE, SERVER};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use url::Url;

/// So often it is looked how far an upload is.
const TICK: Duration = Duration::from_millis(200);
/// A receiver looks at a file before it answers; so many bytes a second it manages at least.
const JUDGED_BYTES_PER_SECOND: u64 = 20 << 20;
/// No request is longer on its way: it ends what nobody waits for any more.
const LAST_RESORT: Duration = Duration::from_secs(24 * 3600);
/// So much of an answer is read: it is a line for people.
const MAX_ANSWER_BYTES: u64 = 16 << 10;

/// A form to be sent.
#[derive(Debug)]
pub struct UploadForm {
    /// Its fields, in order; a name may be there several times.
    pub fields: Vec<(&'static str, String)>,
    /// The digest of the file that the form is about. It makes the form's boundary, for no file has its own digest in it.
    pub sha256: Sha256,
    /// The file; `None`: the form only asks about it.
    pub content: Option<UploadContent>,
}

/// The file of a form.
#[derive(Debug)]
pub struct UploadContent {
    /// Its name.
    pub filename: String,
    /// It, open at its first byte.
    pub file: File,
    /// The number of its bytes.
    pub size: u64,
}

/// What a server said to a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadAnswer {
    /// Where it was sent.
    pub place: PublicUrl,
    /// The status.
    pub status: u16,
    /// What it calls itself.
    pub server: Option<String>,
    /// Its text, if it is one for people.
    pub text: String,
}

/// How far an upload is, as its thread tells.
#[derive(Debug, Default)]
struct Meter {
    sent: AtomicU64,
    is_given_up: AtomicBool,
}

/// A body that tells how far it was read, and ends when nobody waits for it.
struct Metered<R> {
    body: R,
    meter: Arc<Meter>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.meter.is_given_up.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        let count = self.body.read(bytes)?;
        self.meter.sent.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl UploadForm {
    fn boundary(&self) -> String {
        format!("wcas-{}", self.sha256)
    }

    /// Returns what comes before the file, and after it.
    fn frame(&self) -> (Vec<u8>, Vec<u8>) {
        let boundary = self.boundary();
        let mut before = String::new();
        for (name, value) in &self.fields {
            before += &format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        let mut after = format!("--{boundary}--\r\n");
        if let Some(content) = &self.content {
            before += &format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n",
                content.filename
            );
            after.insert_str(0, "\r\n");
        }
        (before.into_bytes(), after.into_bytes())
    }
}

impl Client {
    /// Sends a form; `progress` hears how many bytes are on their way.
    pub fn upload(
        &self,
        source: &Source,
        url: &Url,
        form: UploadForm,
        progress: &dyn Fn(u64),
    ) -> Result<UploadAnswer, Failure> {
        let place = PublicUrl::from(url);
        match (url.scheme(), &self.no_certificates) {
            ("https", Some(why)) => return Err(Failure::Unreachable { place, why: why.clone() }),
            ("http" | "https", _) => {}
            _ => return Err(Failure::Insecure { place, why: "its URL is neither https nor http" }),
        }
        let (before, after) = form.frame();
        let boundary = form.boundary();
        let file_size = form.content.as_ref().map_or(0, |content| content.size);
        let size = before.len() as u64 + file_size + after.len() as u64;
        let meter = Arc::new(Meter::default());
        let file = form.content.map(|content| content.file.take(file_size));
        let body = Cursor::new(before).chain(Opt(file)).chain(Cursor::new(after));
        let body = Body::sized(Metered { body, meter: meter.clone() }, size);
        let mut request = self.http.post(super::failure::bare(url)).timeout(LAST_RESORT).body(body);
        request = request.header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"));
        request = request.header(ACCEPT, "text/plain, */*;q=0.5");
        if let Some(authorization) = self.authorization(source, url)? {
            request = authorization.put(request);
        }
        let judged = Duration::from_secs(file_size / JUDGED_BYTES_PER_SECOND);
        let watched =
            Watched { meter, size, place, limits: [self.options.stall_timeout, self.options.stall_timeout + judged] };
        let response = watched.send(request, progress)?;
        Ok(watched.read(response))
    }
}

/// A reader that may be none.
struct Opt<R>(Option<R>);

impl<R: Read> Read for Opt<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Ok(0), |body| body.read(bytes))
    }
}

/// A request that is on its way, and how long it may be.
struct Watched {
    meter: Arc<Meter>,
    size: u64,
    place: PublicUrl,
    /// How long no byte may go, and how long the answer to all of them may take.
    limits: [Duration; 2],
}

impl Watched {
    /// Waits for the answer. The client can only limit the time of a whole request, and that of a large file is no measure: another
    /// thread sends, and this one looks whether anything moves.
    fn send(&self, request: RequestBuilder, progress: &dyn Fn(u64)) -> Result<Response, Failure> {
        let (tell, hear) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            // Who has given up hears nothing.
            let _ = tell.send(request.send());
        });
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            match hear.recv_timeout(TICK) {
                Ok(result) => {
                    progress(self.meter.sent.load(Ordering::Relaxed));
                    return result.map_err(|error| self.judge(error));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.failed("the thread that sends it ended".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            let sent = self.meter.sent.load(Ordering::Relaxed);
            if sent != seen {
                (seen, since) = (sent, Instant::now());
                progress(sent);
            }
            let is_sent = sent >= self.size;
            let limit = self.limits[usize::from(is_sent)];
            if since.elapsed() >= limit {
                self.meter.is_given_up.store(true, Ordering::Relaxed);
                let what = if is_sent { "no answer came" } else { "no further byte was taken" };
                return Err(Failure::TimedOut { place: self.place.clone(), what, limit });
            }
        }
    }

    fn judge(&self, error: reqwest::Error) -> Failure {
        let sent = self.meter.sent.load(Ordering::Relaxed);
        let why = innermost(&error.without_url());
        if sent > 0 && sent < self.size {
            return self.failed(format!("it broke off after {sent} of {} bytes ({why})", self.size));
        }
        self.failed(why)
    }

    fn failed(&self, why: String) -> Failure {
        Failure::Unreachable { place: self.place.clone(), why }
    }

    /// Reads the answer, as far as it is one for people; one that breaks off still has its status.
    fn read(&self, response: Response) -> UploadAnswer {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, server) = (response.status().as_u16(), header(SERVER));
        let is_text = header(CONTENT_TYPE)
            .is_some_and(|kind| kind.starts_with("text/plain") || kind.starts_with("application/json"));
        let mut bytes = Vec::new();
        let _ = response.take(MAX_ANSWER_BYTES).read_to_end(&mut bytes);
        let text = if is_text { String::from_utf8_lossy(&bytes).trim().to_owned() } else { String::new() };
        UploadAnswer { place: self.place.clone(), status, server, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_framed_as_browsers_frame_it() {
        let sha256 = Sha256::of(b"bytes");
        let fields = vec![(":action", "file_reference".to_owned()), ("name", "demo".to_owned())];
        let form = UploadForm { fields, sha256, content: None };
        let text = form.frame().0;
        let expected = format!(
            "--wcas-{sha256}\r\nContent-Disposition: form-data; name=\":action\"\r\n\r\nfile_reference\r\n\
             --wcas-{sha256}\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\ndemo\r\n"
        );
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert_eq!(form.frame().1, format!("--wcas-{sha256}--\r\n").into_bytes());
        assert!(form.boundary().len() <= 70, "RFC 2046");
    }
}
