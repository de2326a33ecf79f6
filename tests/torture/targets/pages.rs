//! Pages of other indexes, in HTML and JSON: what is read of one is safe, and reads back from the pages that this index makes of it.

use super::saw;
use std::borrow::Cow;
use url::Url;
use wcas::index::read::{ListedFile, ListedPage, page};
use wcas::index::{self, File, Page, ProjectStatus};
use wcas::name::ProjectName;
use wcas::wheel::DistributionFilename;

pub(super) const HTML_WORDS: &[&str] = &[
    "<a href=\"",
    "<a href=",
    "</a>",
    "<base href=\"",
    "<meta name=\"",
    "content=\"",
    "pypi:repository-version",
    "pypi:project-status",
    "pypi:project-status-reason",
    "quarantined",
    "archived",
    "1.4",
    "2.0",
    "<!--",
    "-->",
    "<script>",
    "</script>",
    "<title>",
    "<h1>",
    "<plaintext>",
    "<textarea>",
    "<svg>",
    "<![CDATA[",
    "]]>",
    "<?",
    "data-requires-python=\"",
    "data-yanked=\"",
    "data-yanked",
    "data-core-metadata=\"",
    "data-dist-info-metadata=\"true\"",
    "data-size=\"",
    "data-upload-time=\"",
    "data-provenance=\"https://",
    "2024-12-31T23:59:59.5Z",
    "#sha256=",
    "#md5=",
    "&amp;",
    "&lt;",
    "&#0;",
    "&#x110000;",
    "&notit;",
    "%2f",
    "%2e%2e",
    "%00",
    "%ff",
    "..",
    "//",
    "https://u:p@files.example/",
    "file:///",
    "javascript:",
    "data:,",
    "?",
    "#",
    "'",
    "\"",
    ">",
    "\u{fffd}",
    "\0",
    "\r",
    "\u{85}",
    "demo-1.0-py3-none-any.whl",
    "demo-1.0.tar.gz",
    ".egg",
    "+cu126",
    "!",
    "é",
];

pub(super) const JSON_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "false",
    "\"\"",
    "0",
    "-1",
    "1e400",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "\\\"",
    "\"meta\"",
    "\"api-version\"",
    "\"1.4\"",
    "\"files\"",
    "\"projects\"",
    "\"name\"",
    "\"filename\"",
    "\"url\"",
    "\"hashes\"",
    "\"sha256\"",
    "\"md5\"",
    "\"sha512\"",
    "\"requires-python\"",
    "\"yanked\"",
    "\"core-metadata\"",
    "\"dist-info-metadata\"",
    "\"size\"",
    "\"upload-time\"",
    "\"provenance\"",
    "\"project-status\"",
    "\"status\"",
    "\"state\"",
    "\"reason\"",
    "\"quarantined\"",
    "\"archived\"",
    "\"versions\"",
    "\"demo-1.0-py3-none-any.whl\"",
    "\"https://u:p@files.example/demo-1.0.tar.gz#sha256=\"",
    "\"2024-12-31T23:59:59.5Z\"",
    "\u{feff}",
    "é",
];

/// Where the page is.
const BASE: &str = "https://u:p@index.example/simple/demo/";

pub(super) fn check_html(input: &[u8]) {
    check(input, "text/html");
}

pub(super) fn check_json(input: &[u8]) {
    check(input, "application/vnd.pypi.simple.v1+json");
}

fn check(input: &[u8], label: &str) {
    let base = Url::parse(BASE).expect("a URL");
    let listed = match page(input, Some(label), &base) {
        Ok(listed) => listed,
        Err(error) => return saw(error),
    };
    saw(format!("{:?} {:?} {:?}", listed.syntax, listed.version.is_some(), listed.status));
    listed.problems.iter().for_each(saw);
    assert!(listed.problems.len() <= 22, "{} problems are told", listed.problems.len());
    listed.files.iter().for_each(check_file);
    let mut names: Vec<&str> = listed.files.iter().map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), listed.files.len(), "each file is listed once");
    read_back(&listed);
    read_back_root(&listed.projects);
}

fn check_file(file: &ListedFile) {
    let name = file.name.as_str();
    assert!(!name.contains(['/', '\\', '\0', '\u{fffd}']) && !name.starts_with('.'), "{name:?} is one plain segment");
    assert_eq!(DistributionFilename::parse(name).as_ref(), Ok(&file.name));
    assert!(matches!(file.url.scheme(), "http" | "https") && file.url.fragment().is_none(), "{}", file.url);
    let is_own =
        file.url.host_str() == Some("index.example") && file.url.scheme() == "https" && file.url.port().is_none();
    assert!(
        is_own || file.url.username().is_empty() && file.url.password().is_none(),
        "credentials go to {}",
        file.url
    );
    assert!(!file.url.path().contains('+'), "{}", file.url);
    let is_secure = |url: &String| url.starts_with("https://") && !url.contains(['"', '<', ' ', '\n']);
    assert!(file.provenance.as_ref().is_none_or(is_secure), "{:?}", file.provenance);
    saw(format!(
        "{:?} {} {} {} {:?} {} {}",
        file.name.kind(),
        file.sha256.is_some(),
        file.digests.len(),
        file.size.is_some(),
        file.sidecar.map(|sidecar| sidecar.sha256.is_some()),
        file.yanked.as_ref().is_some_and(|reason| !reason.is_empty()),
        file.uploaded_at.is_some()
    ));
}

/// The page that this index makes of what it read, in both forms, reads as what it read.
fn read_back(listed: &ListedPage) {
    let versions: Vec<String> = listed.files.iter().map(|file| file.name.version().to_string()).collect();
    let files: Vec<File<'_>> = listed.files.iter().zip(&versions).map(|(file, version)| shown(file, version)).collect();
    let status =
        listed.status.as_ref().map(|(status, reason)| ProjectStatus { status: *status, reason: reason.as_deref() });
    let page = Page { serial: Some(7), status, ..Page::new("demo", &files) };
    let (mut html, mut json) = (Vec::new(), Vec::new());
    index::html::project(&mut html, &page).expect("memory takes a page");
    index::json::project(&mut json, &page).expect("memory takes a page");
    let (html, json) = (again(&html, "text/html"), again(&json, "application/vnd.pypi.simple.v1+json"));
    // Text in HTML can't have every control character; JSON says all.
    for (own, expected) in json.files.iter().zip(&listed.files) {
        compare(own, expected, str::to_owned);
    }
    for (own, expected) in html.files.iter().zip(&listed.files) {
        compare(own, expected, in_html);
    }
    assert_eq!(
        (html.files.len(), json.files.len()),
        (listed.files.len(), listed.files.len()),
        "both pages have all files"
    );
    assert_eq!(json.status, listed.status);
    let plain = |status: &ListedPage| status.status.as_ref().map(|(status, _)| *status);
    assert_eq!(plain(&html), plain(listed));
}

fn shown<'a>(file: &'a ListedFile, version: &'a str) -> File<'a> {
    File {
        filename: file.name.as_str(),
        project: file.name.project().as_str(),
        version,
        // As the server has it: whatever a remote calls it, its link ends with its name.
        url: Cow::Owned(format!("../../files/{}", index::href(file.name.as_str()))),
        sha256: file.sha256,
        blake3: None,
        size: file.size,
        upload_time: file.uploaded_at,
        is_first_seen: false,
        requires_python: file.requires_python.as_deref(),
        yanked: file.yanked.as_deref(),
        sidecar: file.sidecar,
        provenance: file.provenance.as_deref(),
    }
}

fn again(body: &[u8], label: &str) -> ListedPage {
    let base = Url::parse(BASE).expect("a URL");
    let listed = page(body, Some(label), &base);
    let listed = listed.unwrap_or_else(|error| panic!("{error}, in our own page:\n{}", String::from_utf8_lossy(body)));
    assert_eq!(listed.problems, Vec::<String>::new(), "in our own page:\n{}", String::from_utf8_lossy(body));
    listed
}

/// Compares all that a page of ours says of a file; `text` is what the page's form leaves of a text.
fn compare(own: &ListedFile, expected: &ListedFile, text: fn(&str) -> String) {
    let facts = |file: &ListedFile| (file.name.clone(), file.sha256, file.size, file.sidecar, file.provenance.clone());
    assert_eq!(facts(own), facts(expected));
    let some = |value: &Option<String>| value.as_deref().map(text);
    assert_eq!(own.requires_python, some(&expected.requires_python).filter(|text| !text.trim().is_empty()));
    assert_eq!(own.yanked, some(&expected.yanked));
    // Years have four digits.
    let latest = 253_402_300_799;
    assert_eq!(own.uploaded_at, expected.uploaded_at.map(|time| time.min(latest)));
}

/// What HTML leaves of a text.
fn in_html(text: &str) -> String {
    let letter = |letter: char| match letter {
        '\t' | '\n' | '\r' => letter,
        '\0'..'\u{20}' | '\u{7f}' => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    text.chars().map(letter).collect()
}

fn read_back_root(projects: &[ProjectName]) {
    let (mut html, mut json) = (Vec::new(), Vec::new());
    index::html::root(&mut html, None, projects).expect("memory takes a page");
    index::json::root(&mut json, None, projects.iter().map(|name| (name.as_str(), None))).expect("memory takes a page");
    assert_eq!(again(&json, "application/json").projects, projects);
    assert_eq!(again(&html, "text/html").projects, projects);
}
