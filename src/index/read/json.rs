//! JSON pages: PEP 691 with what PEP 592, 700, 714, 740 and 792 add.
//!
//! Text is borrowed from the page. A field of a wrong kind costs that field, not the page: only what isn't JSON, or has neither
//! `files` nor `projects`, is refused.

use super::claim::Claim;
use super::link::{Link, Listing};
use super::{ListedPage, PageError, Syntax, is_known};
use crate::name::ProjectName;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use url::Url;

/// Reads a page.
pub(super) fn read(body: &[u8], url: &Url) -> Result<ListedPage, PageError> {
    // JSON is UTF-8; where it is not, the text is still readable, and a name with a replaced letter is refused.
    let text = str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed);
    let document: Document<'_> = serde_json::from_str(&text).map_err(|error| PageError::Json(error.to_string()))?;
    let mut listing = Listing::new(url, url.clone(), Syntax::Json);
    listing.page.version = match document.meta.unwrap_or_default().api_version {
        Fact::Text(version) => Some(version.into_owned()),
        Fact::Whole(version) => Some(version.to_string()),
        _ => None,
    };
    if let Some(version) = listing.page.version.as_ref().filter(|version| !is_known(version)) {
        return Err(PageError::Version(version.clone()));
    }
    if document.files.is_none() && document.projects.is_none() {
        return Err(PageError::Json("it has neither files nor projects".to_owned()));
    }
    for project in document.projects.into_iter().flatten().flatten() {
        match project.name.text().map(|name| name.parse::<ProjectName>()) {
            Some(Ok(name)) => listing.page.projects.push(name),
            Some(Err(error)) => listing.problem(error.to_string()),
            None => listing.problem("a project has no name".to_owned()),
        }
    }
    listing.page.files.reserve(document.files.as_ref().map_or(0, Vec::len));
    for file in document.files.into_iter().flatten().flatten() {
        take(&mut listing, file);
    }
    let text = |key: &str| match document.project_status.get(key) {
        Some(Fact::Text(text)) => Some(text.as_ref()),
        _ => None,
    };
    // The PEP's prose says `state`, its example and the living specification say `status`.
    if let Some(status) = text("status").or_else(|| text("state")) {
        listing.set_status(status, text("reason"));
    }
    Ok(listing.finish())
}

fn take(listing: &mut Listing<'_>, file: FileJson<'_>) {
    let Some(filename) = file.filename.text() else {
        return listing.problem("a file has no name".to_owned());
    };
    let Some(href) = file.url.text() else {
        return listing.problem(format!("{filename:?} has no URL"));
    };
    let mut link = Link { href, filename: Some(filename), ..Link::default() };
    match &file.hashes {
        Fact::Null => {}
        Fact::Map(_) => link.claim = file.hashes.claim(),
        _ => link.claim = Claim::Bad,
    }
    // PEP 714: the new name counts, where there is one.
    let metadata = if matches!(file.core_metadata, Fact::Null) { file.dist_info_metadata } else { file.core_metadata };
    match &metadata {
        Fact::Null | Fact::Bool(false) => {}
        Fact::Bool(true) => link.set_sidecar("true"),
        Fact::Map(_) => link.set_sidecar_claim(metadata.claim()),
        Fact::Text(text) => link.set_sidecar(text),
        _ => link.doubts.push("what is said of its metadata can't be read"),
    }
    match file.yanked {
        Fact::Null | Fact::Bool(false) => {}
        Fact::Bool(true) => link.yanked = Some("".into()),
        // An empty reason is no yank: PEP 691 has `true` for that.
        Fact::Text(reason) => link.yanked = Some(reason).filter(|reason| !reason.is_empty()),
        _ => link.doubts.push("whether it is yanked can't be read"),
    }
    match file.size {
        Fact::Null => {}
        Fact::Whole(size) => link.size = Some(size),
        _ => link.doubts.push("its size is no whole number"),
    }
    match file.upload_time {
        Fact::Null => {}
        Fact::Text(text) => link.set_upload_time(&text),
        _ => link.doubts.push("its upload time can't be read"),
    }
    match file.requires_python {
        Fact::Null => {}
        Fact::Text(text) => link.requires_python = Some(text),
        _ => link.doubts.push("its Requires-Python is no text"),
    }
    // What is no URL that may be passed on is no loss: it changes nothing of the file.
    link.provenance = file.provenance.text();
    listing.take(link);
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    meta: Option<Meta<'a>>,
    #[serde(borrow, default)]
    files: Option<Vec<Option<FileJson<'a>>>>,
    #[serde(borrow, default)]
    projects: Option<Vec<Option<ProjectJson<'a>>>>,
    #[serde(borrow, default, rename = "project-status")]
    project_status: Fact<'a>,
}

#[derive(Deserialize, Default)]
struct Meta<'a> {
    #[serde(borrow, default, rename = "api-version")]
    api_version: Fact<'a>,
}

#[derive(Deserialize)]
struct ProjectJson<'a> {
    #[serde(borrow, default)]
    name: Fact<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct FileJson<'a> {
    #[serde(borrow)]
    filename: Fact<'a>,
    #[serde(borrow)]
    url: Fact<'a>,
    #[serde(borrow)]
    hashes: Fact<'a>,
    #[serde(borrow)]
    requires_python: Fact<'a>,
    #[serde(borrow)]
    yanked: Fact<'a>,
    #[serde(borrow)]
    core_metadata: Fact<'a>,
    #[serde(borrow)]
    dist_info_metadata: Fact<'a>,
    #[serde(borrow)]
    size: Fact<'a>,
    #[serde(borrow)]
    upload_time: Fact<'a>,
    #[serde(borrow)]
    provenance: Fact<'a>,
}

/// Any value, of which only the kinds that pages use are kept.
#[derive(Debug, Default)]
enum Fact<'a> {
    #[default]
    Null,
    Bool(bool),
    Whole(u64),
    Text(Cow<'a, str>),
    /// All pairs in their order: a key may come twice.
    Map(Vec<(Cow<'a, str>, Fact<'a>)>),
    Other,
}

impl<'a> Fact<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// Returns what a map of digests says.
    fn claim(&self) -> Claim {
        let mut claim = Claim::Nothing;
        let Self::Map(pairs) = self else { return claim };
        for (algorithm, value) in pairs {
            match value {
                Self::Null => {}
                Self::Text(value) => claim.add(algorithm, Some(value)),
                _ => claim.add(algorithm, None),
            }
        }
        claim
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fact<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FactVisitor)
    }
}

struct FactVisitor;

impl<'de> Visitor<'de> for FactVisitor {
    type Value = Fact<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Fact<'de>, E> {
        Ok(Fact::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Fact<'de>, E> {
        Ok(Fact::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Fact<'de>, E> {
        Ok(Fact::Whole(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Fact<'de>, E> {
        Ok(Fact::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Fact<'de>, E> {
        Ok(Fact::Other)
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Fact<'de>, E> {
        Ok(Fact::Text(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Fact<'de>, E> {
        Ok(Fact::Text(value.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fact<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Fact::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fact<'de>, A::Error> {
        let mut pairs = Vec::new();
        while let Some((Text(key), value)) = map.next_entry()? {
            pairs.push((key, value));
        }
        Ok(Fact::Map(pairs))
    }
}

/// A key, borrowed where the page has it without escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
