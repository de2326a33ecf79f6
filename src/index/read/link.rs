//! One decision for a link, whichever syntax it comes from: a file, something wrong that is told, or nothing of ours.
//!
//! A name is what [`DistributionFilename::parse`] accepts of a whole decoded segment. A digest that can't be read takes the file
//! off the page.

use super::claim::Claim;
use super::digest::OtherDigest;
use super::{ListedFile, ListedPage, PageError, Sidecar, Signed, Syntax};
use crate::budget::{self, Budget};
use crate::name::ProjectName;
use crate::status::Status;
use crate::wheel::{DistributionFilename, Kind};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::UNIX_EPOCH;
use url::Url;

/// How many problems are told one by one.
const PROBLEMS: usize = 20;

/// The longest problem in bytes: it may quote a stranger's text.
const PROBLEM_BYTES: usize = 300;

/// What a file takes beside its texts: its place in a list that grows by doubling, its key, and what the allocator adds.
const FILE_BYTES: usize = size_of::<ListedFile>() * 3 / 2 + 2 * size_of::<(String, Option<usize>)>() + 128;
/// What a project takes beside its name.
const PROJECT_BYTES: usize = size_of::<ProjectName>() * 3 / 2 + 16;

/// A short page may take so many times its size, for a file takes what it takes.
const SHORT_TIMES: u64 = 64;

/// Returns how much memory a page of so many bytes may take while it is read, itself included.
pub(super) fn memory(bytes: u64) -> u64 {
    let short = bytes.saturating_mul(SHORT_TIMES).min(budget::PAGE_SHORT.limit);
    bytes.saturating_mul(budget::PAGE_MEMORY.limit).max(short)
}

/// A link as a page has it.
#[derive(Debug, Default)]
pub(super) struct Link<'a> {
    /// Where it leads, as it is written.
    pub(super) href: Cow<'a, str>,
    /// The file's name, where the page says it beside the link.
    pub(super) filename: Option<Cow<'a, str>>,
    /// The digest beside the link; the link's fragment may have one, too.
    pub(super) claim: Claim,
    pub(super) requires_python: Option<Cow<'a, str>>,
    pub(super) yanked: Option<Cow<'a, str>>,
    pub(super) sidecar: Option<Sidecar>,
    pub(super) size: Option<u64>,
    pub(super) uploaded_at: Option<i64>,
    pub(super) provenance: Option<Cow<'a, str>>,
    /// What was left out of it.
    pub(super) doubts: Vec<&'static str>,
}

impl Link<'_> {
    /// Sets the sidecar from the text of an attribute: `true`, `false` or a digest.
    pub(super) fn set_sidecar(&mut self, text: &str) {
        let text = text.trim();
        let mut claim = Claim::default();
        match text.split_once('=') {
            _ if text.is_empty() || text.eq_ignore_ascii_case("false") => return,
            Some((algorithm, value)) => claim.add(algorithm, Some(value)),
            None if text.eq_ignore_ascii_case("true") => {}
            None => claim = Claim::bad(),
        }
        self.set_sidecar_claim(claim);
    }

    /// Sets the sidecar from what is said of its digest.
    pub(super) fn set_sidecar_claim(&mut self, claim: Claim) {
        if claim.is_bad {
            self.doubts.push("the digest of its metadata can't be read, so its metadata isn't used");
        } else {
            self.sidecar = Some(Sidecar { sha256: claim.sha256 });
        }
    }

    /// Sets the time of upload from RFC 3339, with or without a fraction.
    pub(super) fn set_upload_time(&mut self, text: &str) {
        // PEP 700 wants Z; what some languages print for it means the same.
        let text = text.trim();
        let time = match text.strip_suffix("+00:00") {
            Some(start) => humantime::parse_rfc3339(&format!("{start}Z")),
            None => humantime::parse_rfc3339(text),
        };
        let seconds = time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
        self.uploaded_at = seconds.and_then(|seconds| i64::try_from(seconds).ok());
        if self.uploaded_at.is_none() {
            self.doubts.push("its upload time can't be read");
        }
    }
}

/// What became of a link.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is on the list, or a problem says why not.
    Told,
    /// It leads to no file that is ours to list.
    Elsewhere(Option<Url>),
}

/// A page in the making.
pub(super) struct Listing<'a> {
    /// The URL of the page.
    pub(super) url: &'a Url,
    /// What relative links are relative to.
    pub(super) base: Url,
    pub(super) page: ListedPage,
    /// Where a name is in the list; `None` for one whose digest can't be read, which no later link brings back.
    seen: HashMap<String, Option<usize>>,
    unchecked: usize,
    untold: usize,
    /// How many files the page has, those that are left out too.
    files: u64,
    /// How many bytes of memory are left for what is kept.
    room: u64,
    /// The budget that the page goes beyond: nothing more of it is taken.
    pub(super) excess: Option<Budget>,
}

impl<'a> Listing<'a> {
    /// Begins a page of so many bytes.
    pub(super) fn new(url: &'a Url, base: Url, syntax: Syntax, bytes: usize) -> Self {
        let page = ListedPage { syntax: Some(syntax), ..ListedPage::default() };
        // The page itself is there, too.
        let room = memory(bytes as u64).saturating_sub(bytes as u64);
        Self { url, base, page, seen: HashMap::new(), unchecked: 0, untold: 0, files: 0, room, excess: None }
    }

    /// Counts a file, whether it is kept or not. Says no when there are too many.
    pub(super) fn count(&mut self) -> bool {
        self.files += 1;
        if self.files > budget::PAGE_FILES.limit {
            self.excess.get_or_insert(budget::PAGE_FILES);
        }
        self.excess.is_none()
    }

    /// Takes memory from what the page may need. Says no when it needs too much.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        match self.room.checked_sub(bytes as u64) {
            Some(room) => self.room = room,
            None => _ = self.excess.get_or_insert(budget::PAGE_MEMORY),
        }
        self.excess.is_none()
    }

    /// Returns what is wrong with the page as a whole, if it is too much.
    pub(super) fn check_excess(&self) -> Result<(), PageError> {
        self.excess.map_or(Ok(()), |budget| Err(PageError::TooMuch(budget)))
    }

    /// Adds a project of a root page.
    pub(super) fn add_project(&mut self, project: ProjectName) {
        if self.page.projects.len() as u64 >= budget::PAGE_PROJECTS.limit {
            self.excess.get_or_insert(budget::PAGE_PROJECTS);
        }
        if self.spend(PROJECT_BYTES + project.as_str().len()) {
            self.page.projects.push(project);
        }
    }

    /// Notes something that was left out.
    pub(super) fn problem(&mut self, mut text: String) {
        if self.page.problems.len() == PROBLEMS {
            self.untold += 1;
            return;
        }
        if text.len() > PROBLEM_BYTES {
            let end = (0..=PROBLEM_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
        }
        self.page.problems.push(text);
    }

    /// Returns the page.
    pub(super) fn finish(mut self) -> ListedPage {
        if self.unchecked > 0 {
            self.page.problems.push(format!("{} files have a digest, but none by SHA-256", self.unchecked));
        }
        if self.untold > 0 {
            self.page.problems.push(format!("{} more problems", self.untold));
        }
        self.page.projects.dedup();
        self.page
    }

    /// Sets the project's status (PEP 792). A page of one in quarantine should not have offered any file: all are dropped.
    pub(super) fn set_status(&mut self, word: &str, reason: Option<&str>) {
        let Ok(status) = word.trim().to_ascii_lowercase().parse() else { return };
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        self.page.status = Some((status, reason.map(str::to_owned)));
        if status == Status::Quarantined && !self.page.files.is_empty() {
            self.problem(format!("the project is in quarantine: {} files are left out", self.page.files.len()));
            self.page.files.clear();
            self.unchecked = 0;
        }
    }

    /// Decides on a link.
    pub(super) fn take_link(&mut self, link: Link<'_>) -> Outcome {
        if self.excess.is_some() {
            return Outcome::Told;
        }
        if link.href.len() as u64 > budget::LINK_BYTES.limit {
            let budget = budget::LINK_BYTES;
            self.problem(format!(
                "a link of {} bytes is left out: at most {} ({budget})",
                link.href.len(),
                budget.amount()
            ));
            return Outcome::Told;
        }
        let joined = self.base.join(link.href.split('#').next().unwrap_or_default().trim());
        let name = match (&link.filename, &joined) {
            (Some(name), _) => Some(name.as_ref().into()),
            (None, Ok(url)) => last_segment(url.path()),
            (None, Err(_)) => last_segment(path_of(&link.href)),
        };
        let name = name.filter(|name| is_distribution(name)).map(Cow::into_owned);
        let Some(name) = name else { return Outcome::Elsewhere(joined.ok()) };
        // What JSON says is a file is counted where it is read.
        if self.page.syntax == Some(Syntax::Html) && !self.count() {
            return Outcome::Told;
        }
        match self.check(&name, &link, joined) {
            Ok((name, url, claim)) => self.add(name, url, claim, link),
            Err(problem) => self.problem(problem),
        }
        Outcome::Told
    }

    /// Returns the name, URL and digest of a file, or why it is left out.
    fn check(
        &mut self,
        text: &str,
        link: &Link<'_>,
        url: Result<Url, url::ParseError>,
    ) -> Result<(DistributionFilename, Url, Claim), String> {
        // Stands for bytes that were no UTF-8, so the true name is unknown.
        if text.contains('\u{fffd}') {
            return Err(format!("{text:?} is no UTF-8"));
        }
        let name = DistributionFilename::parse(text).map_err(|error| error.to_string())?;
        let mut url = url.map_err(|error| format!("{name}: the link is no URL: {error}"))?;
        if is_traversal(&link.href) {
            return Err(format!("{name}: the link has a backslash or an encoded dot segment"));
        }
        match url.scheme() {
            "http" | "https" => {}
            "file" if self.url.scheme() == "file" && url.host_str().is_none() => {}
            scheme => return Err(format!("{name}: a link of the kind {scheme}: is not followed")),
        }
        if url.path().contains('+') {
            // Object stores read a bare plus in a path as a space; escaped, as pip and uv send it, all read it alike.
            url.set_path(&url.path().replace('+', "%2B"));
        }
        let mut claim = link.claim.clone();
        if let Some((_, fragment)) = link.href.split_once('#') {
            claim.add_fragment(fragment);
        }
        // Where SHA-256 vouches for the bytes, nothing hangs on another digest.
        let bad = match (claim.is_bad, claim.is_other_bad && claim.sha256.is_none()) {
            (true, _) => Some("its SHA-256 digest can't be read, or there are two"),
            (false, true) => Some("a digest of it can't be read, or there are two of a kind"),
            (false, false) => None,
        };
        if let Some(why) = bad {
            self.seen.entry(text.to_owned()).or_insert(None);
            return Err(format!("{name}: {why}"));
        }
        let is_vouched = claim.sha256.is_some() || claim.others.iter().any(OtherDigest::vouches);
        if claim.is_any && !is_vouched {
            self.unchecked += usize::from(!self.seen.contains_key(text));
        }
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if has_credentials && url.origin() != self.url.origin() {
            // Neither can fail for a URL that has a host, and only such a one has credentials.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            self.problem(format!("{name}: credentials for another host are taken off its link"));
        }
        Ok((name, url, claim))
    }

    fn add(&mut self, name: DistributionFilename, url: Url, claim: Claim, link: Link<'_>) {
        let texts = [&link.requires_python, &link.yanked, &link.provenance];
        let texts: usize = texts.iter().map(|text| text.as_ref().map_or(0, |text| text.len())).sum();
        // The name is there several times: whole, as a key, and in its parts.
        if !self.seen.contains_key(name.as_str())
            && !self.spend(FILE_BYTES + 4 * name.as_str().len() + url.as_str().len() + texts + 96 * claim.others.len())
        {
            return;
        }
        match self.seen.entry(name.as_str().to_owned()) {
            Entry::Vacant(entry) => entry.insert(Some(self.page.files.len())),
            Entry::Occupied(entry) => {
                let first = entry.get().map(|at| &self.page.files[at]);
                if first.is_some_and(|first| claim.contradicts(first.sha256, &first.digests)) {
                    self.problem(format!("{name}: listed twice with different digests; the first one counts"));
                }
                return;
            }
        };
        for doubt in &link.doubts {
            self.problem(format!("{name}: {doubt}"));
        }
        let requires_python = link.requires_python.filter(|text| !text.trim().is_empty());
        self.page.files.push(ListedFile {
            name,
            url,
            sha256: claim.sha256,
            digests: claim.others,
            size: link.size,
            requires_python: requires_python.map(Cow::into_owned),
            yanked: link.yanked.map(Cow::into_owned),
            sidecar: link.sidecar,
            uploaded_at: link.uploaded_at,
            is_first_seen: false,
            provenance: link.provenance.and_then(|text| provenance(&text)),
            signed: Signed::Unasked,
        });
    }
}

/// Returns the URL of a file's attestations, if it is one that may be passed on: absolute, https, no secret in it.
fn provenance(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let is_good = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    is_good.then(|| url.into())
}

/// Returns the path of a link as it is written.
fn path_of(href: &str) -> &str {
    href.split(['?', '#']).next().unwrap_or_default().trim()
}

/// Decodes the last segment of a path, once; bytes that are no UTF-8 are replaced, which [`Listing::check`] refuses.
pub(super) fn last_segment(path: &str) -> Option<Cow<'_, str>> {
    let segment = path.rsplit('/').next().filter(|segment| !segment.is_empty())?;
    Some(percent_decode_str(segment).decode_utf8_lossy())
}

/// Returns whether a name is meant as one that this store takes; no other file is worth a word.
fn is_distribution(name: &str) -> bool {
    Kind::meant_by(name).is_some()
}

/// Returns whether a link climbs in a way that clients read differently: a backslash, or `..` in disguise.
fn is_traversal(href: &str) -> bool {
    let path = path_of(href);
    let is_dots = |segment: &str| {
        segment.contains('%') && matches!(percent_decode_str(segment).decode_utf8_lossy().as_ref(), "." | "..")
    };
    path.contains('\\') || path.contains('%') && path.split('/').any(is_dots)
}
