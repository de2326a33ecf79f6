//! What a project says of itself: links, licence, who made it, classifiers, and its description.

use super::description::{link, markdown, plain, restructured_text, web};
use super::words;
use crate::error::Result;
use crate::manifest::Entry;
use crate::store::Store;
use crate::supply::listing::ViewFile;
use crate::wheel::Kind;
use crate::wheel::particulars::{DescriptionFormat, Particulars};
use maud::{Markup, html};
use pep440_rs::Version;

/// Returns what the newest version says whose METADATA the store has: one that is neither yanked nor a pre-release goes first.
pub(super) fn of_newest(
    store: &Store,
    versions: &[(Version, Vec<&ViewFile>)],
) -> Result<Option<(Version, Particulars)>> {
    let own = |files: &[&ViewFile], is_any: bool| -> Option<Entry> {
        let entries = files.iter().filter_map(|held| match held {
            ViewFile::Local(entry) if entry.metadata_sha256.is_some() => Some(entry),
            _ => None,
        });
        // A wheel's says what is installed; an sdist's may change when it is built.
        let entry =
            entries.filter(|entry| is_any || entry.yanked.is_none()).min_by_key(|entry| entry.kind != Kind::Wheel)?;
        Some((**entry).clone())
    };
    let find = |is_any: bool| {
        let mut candidates = versions.iter().filter(|(version, _)| is_any || !version.any_prerelease());
        candidates.find_map(|(version, files)| Some((version.clone(), own(files, is_any)?.metadata_sha256?)))
    };
    let Some((version, digest)) = find(false).or_else(|| find(true)) else { return Ok(None) };
    Ok(store.manifest.metadata(&digest)?.map(|bytes| (version, Particulars::read(&bytes))))
}

/// Shows the fields.
pub(super) fn fields(version: &Version, said: &Particulars) -> Markup {
    html! {
        section aria-labelledby="about" {
            h2 #about { "About" }
            dl.about {
                @if !said.urls.is_empty() { (pair("Links", links(&said.urls))) }
                @if let Some(expression) = &said.license_expression { (pair("Licence", html! { (expression) })) }
                @else if let Some(license) = &said.license { (pair("Licence", html! { (license) })) }
                @else if let Some(licence) = of_classifiers(said, "License :: ") { (pair("Licence", html! { (licence) })) }
                @if !said.license_files.is_empty() { (pair("Licence files", html! { (said.license_files.join(", ")) })) }
                @if let Some(python) = &said.requires_python { (pair("Python", html! { (python) })) }
                @if !said.authors.is_empty() { (pair("Author", people(&said.authors))) }
                @if !said.maintainers.is_empty() { (pair("Maintainer", people(&said.maintainers))) }
                @if !said.keywords.is_empty() { (pair("Keywords", html! { (said.keywords.join(", ")) })) }
                @if !said.provides_extra.is_empty() { (pair("Extras", html! { (said.provides_extra.join(", ")) })) }
                @if !said.classifiers.is_empty() {
                    (pair("Classifiers", html! {
                        details {
                            summary { (words::counted(said.classifiers.len() as u64, "classifier")) }
                            ul { @for classifier in &said.classifiers { li { (classifier) } } }
                        }
                    }))
                }
            }
            p.quiet { "As the METADATA of version " (version) " says it; nobody here has checked it." }
        }
    }
}

fn pair(name: &str, value: Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn links(urls: &[(String, String)]) -> Markup {
    html! {
        ul.inline {
            @for (label, url) in urls {
                li { @if let Some(to) = web(url) { (link(&to, label)) } @else { (label) " " span.quiet { (url) } } }
            }
        }
    }
}

/// Returns what classifiers say under a heading, without it.
fn of_classifiers(said: &Particulars, heading: &str) -> Option<String> {
    let own = said.classifiers.iter().filter_map(|classifier| classifier.strip_prefix(heading));
    let own: Vec<&str> = own.map(|rest| rest.rsplit(" :: ").next().unwrap_or(rest)).collect();
    (!own.is_empty()).then(|| own.join(", "))
}

/// Shows people with their addresses: `Ann <ann@x.example>`.
fn people(texts: &[String]) -> Markup {
    // One field may have several, each with an address.
    let each = texts.iter().flat_map(|text| match text.split(", ").all(|part| part.contains('@')) {
        true => text.split(", ").collect(),
        false => vec![text.as_str()],
    });
    html! {
        @for (place, text) in each.enumerate() {
            @if place > 0 { ", " }
            @match address(text) {
                Some((name, to)) => (link(&to, name)),
                None => (text),
            }
        }
    }
}

fn address(text: &str) -> Option<(&str, String)> {
    let (name, rest) = text.split_once('<').unwrap_or(("", text));
    let address = rest.strip_suffix('>').unwrap_or(rest).trim();
    let is_address = address.matches('@').count() == 1
        && address.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@._+-".contains(&byte));
    let name = name.trim().trim_matches('"');
    let to = is_address.then(|| web(&format!("mailto:{address}"))).flatten()?;
    Some((if name.is_empty() { address } else { name }, to))
}

/// Shows the description.
pub(super) fn description(said: &Particulars) -> Markup {
    html! {
        section aria-labelledby="description" {
            h2 #description { "Description" }
            @if said.description.trim().is_empty() { p.quiet { "It has none." } }
            @else {
                @match said.format {
                    DescriptionFormat::Markdown => (markdown(&said.description)),
                    DescriptionFormat::ReStructuredText => (restructured_text(&said.description)),
                    DescriptionFormat::Plain => (plain(&said.description)),
                }
            }
            @if said.is_cut { p.quiet { "It is longer than a page shows; the METADATA of a file has all of it." } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_with_an_address_is_a_link_and_anything_else_is_text() {
        assert_eq!(address("Ann B <ann@x.example>"), Some(("Ann B", "mailto:ann@x.example".to_owned())));
        assert_eq!(address("ann@x.example"), Some(("ann@x.example", "mailto:ann@x.example".to_owned())));
        for text in ["Ann", "Ann <javascript:1>", "a@b@c", "Ann <a b@x.example>", "x <a@b?subject=c>", ""] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn a_licence_is_told_by_classifiers_too() {
        let classifiers = ["Topic :: A", "License :: OSI Approved :: MIT License"].map(str::to_owned).to_vec();
        let said = Particulars { classifiers, ..Particulars::default() };
        assert_eq!(of_classifiers(&said, "License :: ").as_deref(), Some("MIT License"));
    }
}
