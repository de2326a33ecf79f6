//! Pages of other indexes, read: the rules one by one, pages as real servers write them, and pages gone wrong.

mod budgets;
mod foreign;
mod links;
mod random;
mod servers;
mod values;

use std::fmt::Write as _;
use url::Url;
use wcas::index::read::{ListedFile, ListedPage, PageError, page};

pub(crate) const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub(crate) const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
pub(crate) const WHEEL: &str = "demo-1.0-py3-none-any.whl";
pub(crate) const BASE: &str = "https://index.example/simple/demo/";

pub(crate) fn url(text: &str) -> Url {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn try_read(text: &str) -> Result<ListedPage, PageError> {
    page(text.as_bytes(), None, &url(BASE))
}

pub(crate) fn read(text: &str) -> ListedPage {
    try_read(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Reads a page of which nothing may be left out.
pub(crate) fn clean(text: &str) -> ListedPage {
    let page = read(text);
    assert_eq!(page.problems, [""; 0], "{text}");
    page
}

/// Reads the one file of a page of which nothing may be left out.
pub(crate) fn one(text: &str) -> ListedFile {
    let mut files = clean(text).files;
    assert_eq!(files.len(), 1, "{text}");
    files.remove(0)
}

/// Makes a page of one anchor.
pub(crate) fn anchor(attributes: &str) -> String {
    format!("<!DOCTYPE html><title>Links for demo</title><a {attributes}>demo</a>")
}

/// Makes a JSON page of one file with these fields beside name and URL.
pub(crate) fn json(fields: &str) -> String {
    format!(
        r#"{{"meta":{{"api-version":"1.0"}},"name":"demo","files":[{{"filename":"{WHEEL}","url":"{WHEEL}"{fields}}}]}}"#
    )
}

/// Tells a page as lines, one a file.
pub(crate) fn told(page: &ListedPage) -> String {
    let mut text = String::new();
    for file in &page.files {
        write!(text, "{} {}", file.name, file.url).expect("a text takes all");
        let digest = file.sha256.map(|digest| digest.to_string()[..8].to_owned());
        let facts = [
            ("sha256", digest),
            ("size", file.size.map(|size| size.to_string())),
            ("python", file.requires_python.clone()),
            ("yanked", file.yanked.clone()),
            (
                "sidecar",
                file.sidecar
                    .map(|sidecar| sidecar.sha256.map_or("true".into(), |digest| digest.to_string()[..8].into())),
            ),
            ("uploaded", file.uploaded_at.map(|time| time.to_string())),
        ];
        for (name, fact) in facts {
            fact.iter().for_each(|fact| write!(text, " {name}={fact}").expect("a text takes all"));
        }
        text.push('\n');
    }
    page.projects.iter().for_each(|project| writeln!(text, "project {project}").expect("a text takes all"));
    page.problems.iter().for_each(|problem| writeln!(text, "problem {problem}").expect("a text takes all"));
    text
}
