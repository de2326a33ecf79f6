//! JSON pages: PEP 691 with what PEP 592, 700, 714, 740 and 792 add.
//!
//! Text is borrowed from the page, and each file is turned into its last form as it is read, so that memory is bounded by what is
//! kept. A field of a wrong kind costs that field, not the page: only what isn't JSON, or has neither
//! `files` nor `projects`, is refused.

mod value;

use super::claim::Claim;
use super::link::{Link, Listing};
use super::{ListedPage, PageError, Syntax, is_known};
use crate::name::ProjectName;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use url::Url;
use value::{Fact, StatusJson, Text};

/// Reads a page.
pub(super) fn read(body: &[u8], url: &Url) -> Result<ListedPage, PageError> {
    let mut listing = Listing::new(url, url.clone(), Syntax::Json, body.len());
    // JSON is UTF-8; where it is not, the text is still readable, and a name with a replaced letter is refused.
    let text = str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed);
    if matches!(text, Cow::Owned(_)) {
        listing.spend(text.len());
        listing.check_excess()?;
    }
    let mut facts = Facts::default();
    let mut json = serde_json::Deserializer::from_str(&text);
    let done = Document(&mut listing, &mut facts).deserialize(&mut json).and_then(|()| json.end());
    listing.check_excess()?;
    done.map_err(|error| PageError::Json(error.to_string()))?;
    if let Some(version) = listing.page.version.as_ref().filter(|version| !is_known(version)) {
        return Err(PageError::Version(version.clone()));
    }
    if !facts.has_list {
        return Err(PageError::Json("it has neither files nor projects".to_owned()));
    }
    // The PEP's prose says `state`, its example and the living specification say `status`.
    let status = facts.status.unwrap_or_default();
    if let Some(word) = status.status.or(status.state) {
        listing.set_status(&word, status.reason.as_deref());
    }
    Ok(listing.finish())
}

fn add_file(listing: &mut Listing<'_>, file: FileJson<'_>) {
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
        _ => link.claim = Claim::bad(),
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
    listing.take_link(link);
}

/// What a page says beside its files and projects.
#[derive(Default)]
struct Facts<'a> {
    has_list: bool,
    status: Option<StatusJson<'a>>,
}

/// The page, whose files and projects are taken as they are read: none is kept in another form than its last.
struct Document<'l, 'u, 'f, 'de>(&'l mut Listing<'u>, &'f mut Facts<'de>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index page")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        const KEYS: [&str; 4] = ["meta", "files", "projects", "project-status"];
        let Self(listing, facts) = self;
        let mut seen = [false; KEYS.len()];
        while let Some(Text(key)) = map.next_key()? {
            let Some(at) = KEYS.iter().position(|known| *known == key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if std::mem::replace(&mut seen[at], true) {
                return Err(A::Error::duplicate_field(KEYS[at]));
            }
            match at {
                0 => {
                    let meta: Option<Meta<'de>> = map.next_value()?;
                    listing.page.version = match meta.unwrap_or_default().api_version {
                        Fact::Text(version) => Some(version.into_owned()),
                        Fact::Whole(version) => Some(version.to_string()),
                        _ => None,
                    };
                }
                1 => facts.has_list |= map.next_value_seed(Each { listing, take: take_file })?,
                2 => facts.has_list |= map.next_value_seed(Each { listing, take: take_project })?,
                _ => facts.status = Some(map.next_value()?),
            }
        }
        Ok(())
    }
}

/// A list that is taken item by item, `null` left out; the value tells whether there is one.
struct Each<'l, 'u, T> {
    listing: &'l mut Listing<'u>,
    take: fn(&mut Listing<'u>, T),
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Each<'_, '_, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<'_, '_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_none<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while let Some(item) = seq.next_element::<Option<T>>()? {
            if let Some(item) = item {
                (self.take)(self.listing, item);
            } else {
                self.listing.count();
            }
            if let Some(budget) = self.listing.excess {
                return Err(A::Error::custom(budget));
            }
        }
        Ok(true)
    }
}

fn take_project(listing: &mut Listing<'_>, project: ProjectJson<'_>) {
    match project.name.text().map(|name| name.parse::<ProjectName>()) {
        Some(Ok(name)) => listing.add_project(name),
        Some(Err(error)) => listing.problem(error.to_string()),
        None => listing.problem("a project has no name".to_owned()),
    }
}

fn take_file(listing: &mut Listing<'_>, file: FileJson<'_>) {
    if listing.count() {
        add_file(listing, file);
    }
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
