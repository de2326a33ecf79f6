//! METADATA as people and bills of materials see it: a wheel that has it is imported, and its project's page and the documents are read.

use super::metadata::stored;
use super::saw;
use super::site::Site;
use http::Request;
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use wcas::Store;
use wcas::blobs::LinkMode;
use wcas::catalog::at::RevisionSpec;
use wcas::context::Context;
use wcas::intake::{ImportOptions, Target};
use wcas::name::CollectionName;
use wcas::ops::audit::{AuditOptions, audit, sbom};
use wcas::server::{Anonymous, Body, Peer};
use wcas::wheel::Trust;

pub(super) const WORDS: &[&str] = &[
    "Description-Content-Type: text/markdown\n",
    "License-Expression: MIT OR Apache-2.0\n",
    "License: ",
    "Classifier: License :: OSI Approved :: MIT License\n",
    "Project-URL: Docs, https://index.example/\n",
    "Home-page: javascript:alert(1)\n",
    "Author-Email: \"A\" <a@b.example>\n",
    "Summary: ",
    "Keywords: a,b\n",
    "Requires-Dist: demo>1 ; extra == 'x'\n",
    "Requires-Python: >=3.9\n",
    "\n\n",
    "\n",
    "# ",
    "## ",
    "- ",
    "    - ",
    "1. ",
    "> ",
    "> > > > ",
    "```py\n",
    "~~~",
    "`",
    "**",
    "_",
    "~~",
    "| a | b |\n|---|---|\n| 1 | 2 |\n",
    "[a](https://index.example/ \"t\")",
    "[a](javascript:x)",
    "[a]: data:text/html,x\n",
    "![a](https://index.example/p.png)",
    "<https://index.example/>",
    "<fuzz onload=x>",
    "<script>",
    "</script>",
    "<!--",
    "-->",
    "<![CDATA[",
    "<a href='javascript:x'>",
    "&lt;",
    "&#0;",
    "\\",
    "[^1]",
    "[ ] ",
    "---\n",
    "http://",
    "\"><fuzz>",
    "\u{202e}",
    "\0",
    "é",
];

const CONTEXT: Context<'_> = Context { now: 1_800_000_000, who: "torture", jobs: 1, progress: &(), client: None };

struct Bench {
    store: Store,
    site: Site,
    count: Cell<u32>,
}

pub(super) fn check(input: &[u8]) {
    thread_local! {
        static BENCH: Bench = {
            let site = Site::new(Anonymous::Read);
            Bench { store: Store::open(&site.store()).expect("a store"), site, count: Cell::new(0) }
        };
    }
    BENCH.with(|bench| check_metadata(bench, input));
}

/// Imports a wheel with this METADATA into a collection that nobody had before.
fn import(bench: &Bench, input: &[u8]) -> CollectionName {
    let metadata = [b"Metadata-Version: 2.1\nName: told\nVersion: 1.0\n", input].concat();
    let wheel =
        stored(&[("told-1.0.dist-info/METADATA", &metadata), ("told-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\n")]);
    let path = bench.site.source().join("told-1.0-py3-none-any.whl");
    std::fs::write(&path, wheel).expect("a file");
    bench.count.set(bench.count.get() + 1);
    let collection: CollectionName = format!("told-{}", bench.count.get()).parse().expect("a name");
    let target = Target::Collection(collection.clone());
    let options = ImportOptions { target, link: LinkMode::Copy, keep_existing: false, trust: Trust::Neither };
    let (sources, _, _) = wcas::intake::find_sources(&[path], None);
    let report = wcas::intake::import(&bench.store, &CONTEXT, sources, &options).expect("an import");
    report.refused.iter().for_each(|refused| saw(format!("{refused:?}").split("reason").nth(1).unwrap_or_default()));
    collection
}

fn check_metadata(bench: &Bench, input: &[u8]) {
    let collection = import(bench, input);
    let of = RevisionSpec::from(collection.clone());
    let Ok(bill) = sbom(&bench.store, &of) else { return };
    assert_eq!(bill, sbom(&bench.store, &of).expect("it was there"), "the same for the same revision");
    let parts = bill["components"].as_array().expect("components").len();
    let asked = audit(&bench.store, &CONTEXT, &of, &AuditOptions { tells_licenses: true, ..AuditOptions::default() });
    let report = asked.expect("it was there");
    assert_eq!(report.distributions, parts);
    for version in report.licenses.iter().flatten() {
        let words: Vec<_> = version.licenses.iter().filter_map(wcas::ops::audit::Licenses::word).collect();
        assert!(words.iter().all(|word| !word.contains(['\n', '\r'])), "{words:?} in a table");
        version.licenses.iter().for_each(|own| {
            saw(format!("{} {} {}", own.expression.is_some(), own.text.is_some(), own.classifiers.is_empty()));
        });
    }
    for path in
        [format!("/{collection}/projects/told/"), format!("/{collection}/"), format!("/{collection}/changes.atom")]
    {
        let (is_page, text) = page(bench, &path);
        if is_page {
            check_page(&text);
        }
        assert!(!text.contains("<fuzz"), "{path}: a stranger's markup in {text}");
    }
    // The collection goes, or each one is slower than the one before.
    wcas::ops::collection::delete_collection(&bench.store, &collection, true).expect("it was there");
}

fn page(bench: &Bench, path: &str) -> (bool, String) {
    let peer = Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), is_secure: false };
    let request = Request::builder().uri(path).header("Accept", "text/html").body(peer).expect("a request");
    let (head, body) = bench.site.server.respond(&request).into_parts();
    assert!(head.status.as_u16() < 500, "{path}: {}", head.status);
    let is_html = head.headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let Body::Bytes(bytes) = body else { panic!("a page is bytes") };
    saw(format!("{} {is_html}", head.status.canonical_reason().unwrap_or_default()));
    (is_html, String::from_utf8(bytes.to_vec()).expect("pages are UTF-8"))
}

/// A page's elements are closed in their order, nothing in it runs, and its links lead to the web or to the server.
fn check_page(text: &str) {
    const EMPTY: [&str; 9] = ["!DOCTYPE", "meta", "link", "br", "hr", "input", "img", "path", "col"];
    let mut open: Vec<&str> = Vec::new();
    for part in text.split('<').skip(1) {
        let tag = part.split('>').next().unwrap_or_default();
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed in {text}");
        } else if !EMPTY.contains(&name) && !tag.ends_with('/') {
            open.push(name);
            saw(open.iter().skip(2).copied().collect::<Vec<_>>().join(" "));
        }
        assert!(name != "script" && !tag.contains(" on"), "<{tag}>");
        for link in tag.split("href=\"").skip(1) {
            let link = link.split('"').next().unwrap_or_default();
            let scheme = link.split(['/', '?', '#']).next().unwrap_or_default();
            assert!(
                !scheme.contains(':') || ["https:", "http:"].contains(&scheme) || link.starts_with("mailto:"),
                "<{tag}>"
            );
        }
    }
    assert!(open.is_empty(), "{open:?} left open in {text}");
}
