//! A file on its project's page: what it is, where it came from, who else has it.

use super::{tags, words};
use crate::digest::Sha256;
use crate::error::Result;
use crate::manifest::{Entry, State};
use crate::name::CollectionName;
use crate::ops;
use crate::ops::histories::FileHistory;
use crate::server::discretion::Discretion;
use crate::server::endpoint::ViewName;
use crate::server::pages;
use crate::store::Store;
use crate::supply::listing::ViewFile;
use crate::wheel::accelerator::{Inspection, Strength};
use crate::wheel::{DistributionFilename, Kind};
use maud::{Markup, html};
use url::Url;

/// A file, and what is known of its name.
pub(super) struct FileSight<'a> {
    pub(super) view: &'a ViewName,
    pub(super) held: &'a ViewFile,
    pub(super) history: Option<&'a FileHistory>,
    pub(super) discretion: &'a Discretion,
    pub(super) now: i64,
    /// The way from the page to the server's root.
    pub(super) root: &'a str,
}

/// Shows a file, with a link to its own page.
pub(super) fn card(store: &Store, sight: &FileSight<'_>) -> Result<Markup> {
    let (filename, yanked) = (sight.held.filename(), yanked(sight.held));
    Ok(html! {
        article.file.yanked[yanked.is_some()] {
            h3 { a href=(pages::file_url(sight.view, sight.held.sha256().as_ref(), filename)) { (filename) } }
            (details(store, sight)?)
            p.more { a href=(super::file_page(filename)) { "What is in it" span.hidden { ": " (filename) } } }
        }
    })
}

fn yanked(held: &ViewFile) -> Option<&str> {
    match held {
        ViewFile::Local(entry) => entry.yanked.as_deref(),
        ViewFile::Remote(offer) => offer.file.yanked.as_deref(),
    }
}

/// Tells what is known of a file.
pub(super) fn details(store: &Store, sight: &FileSight<'_>) -> Result<Markup> {
    let FileSight { held, now, .. } = sight;
    let (size, uploaded_at, requires_python) = match held {
        ViewFile::Local(entry) => (Some(entry.size), Some(entry.uploaded_at), entry.requires_python.as_deref()),
        ViewFile::Remote(offer) => {
            let file = &offer.file;
            (file.size, file.uploaded_at, file.requires_python.as_deref())
        }
    };
    let inspection = match held {
        ViewFile::Local(entry) => ops::histories::inspection_of(store, entry)?,
        ViewFile::Remote(_) => None,
    };
    Ok(html! {
        @if let Some(reason) = yanked(held) {
            p { span.mark.bad { "yanked" } @if !reason.is_empty() { " " (reason) } }
        }
        dl {
            @if let Ok(name) = DistributionFilename::parse(held.filename()) { (kind(&name)) }
            @if let Some(wanted) = requires_python { (pair("Requires", html! { "Python " (wanted) })) }
            @if let Some(size) = size { (pair("Size", html! { (words::bytes(size)) })) }
            @if let Some(at) = uploaded_at { (pair("Uploaded", words::date(at, *now))) }
            (pair("Origin", origin(sight)))
            @if let Some(inspection) = &inspection { (pair("Accelerators", accelerators(inspection))) }
            (pair("Digests", digests(held)))
            (elsewhere(sight))
        }
    })
}

/// Shows what something is called, and what it is.
fn pair(name: &str, value: Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn kind(name: &DistributionFilename) -> Markup {
    html! {
        @if name.kind() == Kind::Sdist { (pair("For", html! { "building from source" })) }
        @else if let Some(words) = tags::in_words(name.tags()) { (pair("For", html! { (words) })) }
        @if let Some(build) = name.build_tag() { (pair("Build", html! { (build) })) }
        @if let Some(label) = name.variant() { (pair("Variant", html! { (label) })) }
    }
}

fn origin(sight: &FileSight<'_>) -> Markup {
    // Who reads a view gets files of its fallbacks, and needn't know what those are called.
    let into = |name: &CollectionName| {
        if sight.discretion.may_read(name) { name.to_string() } else { "another collection".to_owned() }
    };
    match sight.held {
        ViewFile::Remote(offer) => html! {
            @if sight.discretion.may_name(&offer.remote.name) {
                "the remote " b { (offer.remote.name) } ", at " (host(offer.file.url.as_str()))
                (provenance(offer.file.provenance.as_deref()))
            } @else { "a remote" }
            "; it comes into " (into(&offer.remote.collection_name)) " when somebody asks for it"
        },
        ViewFile::Local(entry) => html! {
            @match &entry.origin {
                Some(origin) => {
                    @if sight.discretion.may_name_one_called(&origin.remote) {
                        "pulled from the remote " b { (origin.remote) } ", at " (host(&origin.url))
                        (provenance(origin.provenance.as_deref()))
                    } @else { "pulled from a remote" }
                    @if origin.is_unhashed { "; nothing but the transfer vouched for its bytes" }
                }
                None => { "imported or uploaded into " (into(&entry.collection)) }
            }
            @if entry.origin.is_some() { ", into " (into(&entry.collection)) }
            ", since revision " (entry.added)
        },
    }
}

fn host(url: &str) -> String {
    Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "an unknown host".to_owned())
}

fn provenance(url: Option<&str>) -> Markup {
    // Whatever a remote says, only what leads to the web becomes a link.
    let url = url.filter(|url| Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http")));
    html! { @if let Some(url) = url { " (" a href=(url) rel="noreferrer noopener nofollow" { "provenance" } ")" } }
}

fn accelerators(inspection: &Inspection) -> Markup {
    let words = |strength| match strength {
        Strength::Is => "is a library of",
        Strength::Requires => "requires",
        Strength::Carries => "carries code for",
        Strength::Mentions => "mentions",
    };
    let strengths = inspection.strengths();
    html! {
            @if strengths.is_empty() {
                @if inspection.is_conclusive() { "none" } @else { "none found; not all members were read" }
            }
            @for (place, (accelerator, strength)) in strengths.iter().enumerate() {
                @if place > 0 { "; " }
                (words(*strength)) " " (accelerator)
            }
            @if !inspection.architectures.is_empty() {
                span.quiet { " (" (inspection.architectures.join(", ")) ")" }
            }
            @if !inspection.findings.is_empty() {
                details.more {
                    summary { "What gives it away" }
                    ul {
                        @for finding in &inspection.findings {
                            li.wrap {
                                (finding.accelerator) ": " (finding.evidence)
                                @if let Some(member) = &finding.member { " in " code { (member) } }
                            }
                        }
                    }
                }
            }
    }
}

/// Shows the beginning of a digest, and all of it on the element.
pub(super) fn short(sha256: &Sha256) -> Markup {
    let text = sha256.to_string();
    html! { code title=(text) { (text[..12]) "…" } }
}

fn digests(held: &ViewFile) -> Markup {
    let Some(sha256) = held.sha256() else { return html! { "none: nothing vouches for its bytes" } };
    html! {
        details {
            summary { "SHA-256 " (short(&sha256)) }
            div { "SHA-256 " code { (sha256) } }
            @if let ViewFile::Local(entry) = held { div { "BLAKE3 " code { (entry.blake3) } } }
        }
    }
}

/// Tells what became of an entry.
pub(super) fn state(entry: &Entry, now: i64) -> Markup {
    html! {
        @match entry.removed {
            Some(revision) => {
                "removed at revision " (revision)
                @if let Some(at) = entry.removed_at { ", " (words::time(at, now)) }
            }
            None if entry.state == State::Lost => span.mark.bad { "its bytes are lost" },
            None => { "there since revision " (entry.added) }
        }
        @if entry.yanked.is_some() { " " span.mark.bad { "yanked" } }
    }
}

/// Tells who else has something under this name, and what was there before.
fn elsewhere(sight: &FileSight<'_>) -> Markup {
    let Some(history) = sight.history else { return html! {} };
    let own = match sight.held {
        ViewFile::Local(entry) => Some(&entry.collection),
        ViewFile::Remote(_) => None,
    };
    let others: Vec<&Entry> = history.live.iter().filter(|entry| Some(&entry.collection) != own).collect();
    let is_same = |entry: &&Entry| sight.held.sha256() == Some(entry.sha256);
    let (same, different): (Vec<&Entry>, Vec<&Entry>) = others.into_iter().partition(is_same);
    html! {
        @if !same.is_empty() { (pair("Same bytes", links(sight.root, &same, false))) }
        @if !different.is_empty() { (pair("Other bytes", links(sight.root, &different, true))) }
        @if !history.removed.is_empty() {
            (pair("History", html! {
                details {
                    summary { (words::counted(history.removed.len() as u64, "earlier state")) }
                    ul {
                        @for entry in &history.removed {
                            li {
                                (entry.collection) "@" (entry.added) ": " (short(&entry.sha256)) ", "
                                (words::bytes(entry.size)) ", " (state(entry, sight.now))
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn links(root: &str, entries: &[&Entry], has_digest: bool) -> Markup {
    html! {
        @for (place, entry) in entries.iter().enumerate() {
            @if place > 0 { ", " }
            a href={ (root) (entry.collection) "/projects/" (entry.project) "/" } { (entry.collection) }
            @if has_digest { " " (short(&entry.sha256)) ", " (words::bytes(entry.size)) }
        }
    }
}
