//! Pages of an index, from plain structs to bytes: HTML (PEP 503), JSON (PEP 691 and 700), requirements and paths.
//!
//! No disk, no clock, no store: whoever asks for a page has looked everything up and made every URL, relative or not. Text from
//! outside (`requires_python`, reasons) is passed on verbatim, escaped for where it stands. Files keep the order they are given in.
//!
//! Both kinds of page say version 1.4 and carry the same facts. What has no value is left out, never `null`: uv refuses a whole page
//! for one.

pub mod html;
pub mod json;
pub mod legacy;
pub mod lines;
pub mod pylock;
pub mod read;

use crate::digest::{Blake3, Sha256};
pub use crate::status::Status;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use read::Sidecar;
use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// The version of the simple repository API that the pages follow.
pub const API_VERSION: &str = "1.4";

/// One distribution, as an index lists it.
#[derive(Debug, Clone)]
pub struct File<'a> {
    /// The filename, which is also the last segment of the URL.
    pub filename: &'a str,
    /// The project, normalised.
    pub project: &'a str,
    /// The version, normalised as PEP 440 says.
    pub version: &'a str,
    /// Where the file is: percent-encoded (see [`href`]), absolute or relative to the page, without a fragment.
    pub url: Cow<'a, str>,
    /// The digest that clients check; `None`: nobody vouches for the bytes.
    pub sha256: Option<Sha256>,
    /// The digest that names the blob: in JSON under a private key, for pip fails on a hash that `hashlib` does not know.
    pub blake3: Option<Blake3>,
    /// The file's length in bytes, where it is known.
    pub size: Option<u64>,
    /// When the collection first had the file, or its remote did, in seconds since 1970.
    pub upload_time: Option<i64>,
    /// Whether that is only since when it is known, for want of a better time.
    pub is_first_seen: bool,
    /// `Requires-Python` of the metadata, good or not.
    pub requires_python: Option<&'a str>,
    /// Why the file is yanked; empty if nobody said why.
    pub yanked: Option<&'a str>,
    /// What `{url}.metadata` answers; `None` where nothing is there, since pip fails on a promise not kept.
    pub sidecar: Option<Sidecar>,
    /// Where its attestations are (PEP 740); left out unless it is an https URL, as the standard demands.
    pub provenance: Option<&'a str>,
}

/// A page of files: of one project, or of a whole collection.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The project, normalised, or the collection.
    pub name: &'a str,
    /// The collection's revision, which only grows; mirroring tools take it for the serial number.
    pub serial: Option<u64>,
    /// What PEP 792 says of the project; `None` is active.
    pub status: Option<ProjectStatus<'a>>,
    /// The files, in the order of the page.
    pub files: &'a [File<'a>],
}

/// A project's status and why it has it (PEP 792).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectStatus<'a> {
    /// The status.
    pub status: Status,
    /// Why, for people.
    pub reason: Option<&'a str>,
}

impl File<'_> {
    /// Returns where the file's attestations are, if pages may say so.
    fn secure_provenance(&self) -> Option<&str> {
        self.provenance.filter(|url| url.starts_with("https://"))
    }
}

impl<'a> Page<'a> {
    /// Returns an active page without a serial number.
    pub fn new(name: &'a str, files: &'a [File<'a>]) -> Self {
        Self { name, serial: None, status: None, files }
    }

    /// Returns the files to list: none in quarantine, for clients install whatever a page offers.
    fn offered(&self) -> &'a [File<'a>] {
        match self.status {
            Some(ProjectStatus { status: Status::Quarantined, .. }) => &[],
            _ => self.files,
        }
    }
}

/// What stays as it is in a segment of a path. `+` and `!` may (RFC 3986) and do: some clients compare a URL without decoding it.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'+').remove(b'!');
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// Encodes a filename as the last segment of an href.
pub fn href(filename: &str) -> Cow<'_, str> {
    percent_encode(filename.as_bytes(), SEGMENT).into()
}

/// Makes the `file://` URL of an absolute path.
pub fn file_url(path: &Path) -> String {
    debug_assert!(path.is_absolute(), "a file URL has no place for a relative path");
    format!("file://{}", percent_encode(path.as_os_str().as_encoded_bytes(), PATH))
}

/// Returns a time, in seconds since 1970, as RFC 3339 text. Whatever a wrong clock or a damaged row says is a time: years have four
/// digits, and none is before 1970.
pub fn rfc3339(seconds: i64) -> String {
    UploadTime(seconds).to_string()
}

/// A time as PEP 700 wants it: `2024-12-31T23:59:59Z`.
pub(crate) struct UploadTime(pub(crate) i64);

impl fmt::Display for UploadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Four digits for the year, which clients insist on, end with 9999; before 1970 there were no wheels.
        const LAST: u64 = 253_402_300_799;
        let seconds = u64::try_from(self.0).unwrap_or(0).min(LAST);
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).fmt(f)
    }
}

/// Files that the tests of the formats share.
#[cfg(test)]
mod fixtures {
    use super::*;

    pub(super) const HOSTILE: &str = "\"<b>&'\n\r\0é";

    pub(super) fn file<'a>(filename: &'a str, project: &'a str, version: &'a str) -> File<'a> {
        File {
            filename,
            project,
            version,
            url: format!("../../files/{}", href(filename)).into(),
            sha256: Some(Sha256::from_bytes([0xab; 32])),
            blake3: Some(Blake3::from_bytes([0xcd; 32])),
            size: Some(1234),
            upload_time: Some(1_735_689_599),
            is_first_seen: false,
            requires_python: None,
            yanked: None,
            sidecar: None,
            provenance: None,
        }
    }

    pub(super) fn text(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
        let mut bytes = Vec::new();
        render(&mut bytes).expect("memory takes all bytes");
        String::from_utf8(bytes).expect("pages are UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_href_encodes_once_and_keeps_plus_and_bang() {
        assert_eq!(href("torch-1!2.5.1+cu121-1_a-py3-none-any.whl"), "torch-1!2.5.1+cu121-1_a-py3-none-any.whl");
        assert_eq!(href("a b%2B#?/é\".whl"), "a%20b%252B%23%3F%2F%C3%A9%22.whl");
        assert!(matches!(href("demo-1.0-py3-none-any.whl"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_file_url_keeps_the_segments_of_its_path() {
        assert_eq!(file_url(Path::new("/srv/my store/a+b/é#1.whl")), "file:///srv/my%20store/a+b/%C3%A9%231.whl");
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            assert_eq!(file_url(Path::new(std::ffi::OsStr::from_bytes(b"/a\xff"))), "file:///a%FF");
        }
    }

    #[test]
    fn an_upload_time_has_one_form_for_any_number() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (i64::MIN, "1970-01-01T00:00:00Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UploadTime(seconds).to_string(), text);
        }
    }
}
