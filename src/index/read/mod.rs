//! Reads the pages of other indexes: PEP 503 HTML, PEP 691 JSON and flat `find-links` pages, told apart by content.
//!
//! A page is a stranger's text: whatever it says, the result is plain, checked values or a reason, never a panic. A file whose
//! name or link can't be used is left out with a word; the others are good. Nothing here opens a connection.

mod claim;
mod digest;
mod html;
mod json;
mod link;
mod looks;

pub use digest::{Algorithm, OtherDigest};

use crate::budget::{self, Budget, Gate};
use crate::digest::Sha256;
use crate::name::ProjectName;
use crate::status::Status;
use crate::wheel::DistributionFilename;
use url::Url;

/// A file as a page of another index lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedFile {
    /// Its filename, parsed: it has no path parts.
    pub name: DistributionFilename,
    /// Where it is: absolute, without fragment.
    pub url: Url,
    /// What its bytes must hash to.
    pub sha256: Option<Sha256>,
    /// What they must hash to by other algorithms.
    pub digests: Vec<OtherDigest>,
    /// Its size in bytes (PEP 700).
    pub size: Option<u64>,
    /// `Requires-Python`, entities decoded.
    pub requires_python: Option<String>,
    /// The reason of a yank, maybe empty (PEP 592).
    pub yanked: Option<String>,
    /// Whether its METADATA is to be had at `<url>.metadata`, and what that must hash to (PEP 658, 714).
    pub sidecar: Option<Sidecar>,
    /// When it was uploaded, in seconds since 1970 (PEP 700).
    pub uploaded_at: Option<i64>,
    /// Whether that is since when it is known, and not what the page says.
    pub is_first_seen: bool,
    /// Where its attestations are, an https URL (PEP 740).
    pub provenance: Option<String>,
    /// Whether a signed list has it.
    pub signed: Signed,
}

/// Whether a signed list has a file, where its index must have such a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signed {
    /// No list is asked for.
    #[default]
    Unasked,
    /// It has it: digest and size are the list's.
    Listed,
    /// The file is not to be taken, and why.
    Refused(&'static str),
}

impl ListedFile {
    /// Tells whether a digest that can't be forged vouches for its bytes.
    pub fn is_vouched(&self) -> bool {
        self.sha256.is_some() || self.digests.iter().any(OtherDigest::vouches)
    }
}

/// A sidecar that a page announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sidecar {
    /// What the METADATA must hash to.
    pub sha256: Option<Sha256>,
}

/// What kind of page a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// PEP 503 HTML, or a flat page.
    Html,
    /// PEP 691 JSON.
    Json,
}

/// A page, read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListedPage {
    /// The files, in the page's order.
    pub files: Vec<ListedFile>,
    /// The projects that a root page names.
    pub projects: Vec<ProjectName>,
    /// What was left out, and why.
    pub problems: Vec<String>,
    /// HTML or JSON.
    pub syntax: Option<Syntax>,
    /// The API version that the page claims.
    pub version: Option<String>,
    /// The project's status and why it has it (PEP 792); a word that nobody knows is none.
    pub status: Option<(Status, Option<String>)>,
}

impl ListedPage {
    /// Returns the files of one project; a flat page lists many.
    pub fn files_of<'a>(&'a self, project: &'a ProjectName) -> impl Iterator<Item = &'a ListedFile> {
        self.files.iter().filter(move |file| file.name.project() == project)
    }
}

/// A text that is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// JSON that can't be parsed, or lacks what PEP 691 demands.
    #[error("not a JSON index page: {0}")]
    Json(String),
    /// A major version that nobody knows here.
    #[error("the page has API version {0}, and this wcas knows 1.x")]
    Version(String),
    /// Something else altogether: a login form, an error page, a binary.
    #[error("not an index page: {0}")]
    Foreign(String),
    /// More than is taken.
    #[error("the page is too much: at most {} of {} ({_0})", _0.amount(), _0.what)]
    TooMuch(Budget),
}

/// All pages that are read at a time.
static READING: Gate = Gate::new(budget::PAGES_AT_ONCE.limit);

/// Reads a page of any kind: of a project, a flat one of many projects, or a root page that names projects.
///
/// `base` is the URL that answered in the end. `content_type` may be missing or lie: the text itself decides, where it can.
pub fn page(body: &[u8], content_type: Option<&str>, base: &Url) -> Result<ListedPage, PageError> {
    let label = content_type.unwrap_or_default().to_ascii_lowercase();
    if label.contains("utf-16") || body.starts_with(b"\xff\xfe") || body.starts_with(b"\xfe\xff") {
        return Err(PageError::Foreign("it is UTF-16, where an index has UTF-8".to_owned()));
    }
    if body.len() as u64 > budget::PAGE_BYTES.limit {
        return Err(PageError::TooMuch(budget::PAGE_BYTES));
    }
    // Reading is the processor's work alone, so whoever waits here does not wait long.
    let _hold = READING.hold(link::memory(body.len() as u64));
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let Some(first) = body.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        return Err(PageError::Foreign("it is empty".to_owned()));
    };
    match first {
        b'{' => json::read(body, base),
        // What a server calls JSON is reported as bad JSON, but some call everything JSON.
        byte if *byte != b'<' && label.contains("json") => json::read(body, base),
        _ if body[..body.len().min(BINARY_BYTES)].contains(&0) => Err(PageError::Foreign("it is binary".to_owned())),
        _ => html::read(body, base),
    }
}

/// How far a zero byte is looked for: a text has none, and an archive has one soon.
const BINARY_BYTES: usize = 1024;

/// Returns whether an API version is one that this reader knows: a newer minor version only adds.
fn is_known(version: &str) -> bool {
    let major = version.trim().split('.').next().unwrap_or_default();
    matches!(major.parse::<u64>(), Ok(0 | 1))
}
