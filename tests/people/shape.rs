//! That pages are sound: elements closed, one heading, landmarks, tables with headers, identities once, and nothing foreign among them.

use crate::site::{HOSTILE, Site};
use html5gum::{Token, Tokenizer};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use std::collections::{BTreeMap, BTreeSet};

/// A start tag: its name and attributes.
type Tag = (String, BTreeMap<String, String>);

const VOID: [&str; 6] = ["meta", "link", "input", "br", "img", "hr"];
/// All elements that pages use: a foreign one would be noticed.
const KNOWN: &str = "html head meta title link body a header nav ol li b main h1 h2 h3 p dl div dt dd small span ul svg rect line path circle text \
                     figure figcaption details summary table caption thead tbody tr th td time code pre section form label \
                     input button select option article footer em strong del blockquote hr br h4 h5";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Reads a page strictly, and returns its start tags.
fn tags(path: &str, html: &str) -> Vec<Tag> {
    let (mut open, mut tags) = (Vec::<String>::new(), Vec::new());
    for token in Tokenizer::new(html).flatten() {
        match token {
            Token::StartTag(tag) => {
                let name = text(&tag.name);
                let attributes = tag.attributes.iter().map(|(name, value)| (text(name), text(value))).collect();
                if !VOID.contains(&name.as_str()) && !tag.self_closing {
                    open.push(name.clone());
                }
                tags.push((name, attributes));
            }
            Token::EndTag(tag) => assert_eq!(open.pop(), Some(text(&tag.name)), "{path}: elements overlap"),
            Token::Error(error) => panic!("{path}: {error:?}"),
            _ => {}
        }
    }
    assert_eq!(open, [""; 0], "{path}: left open");
    tags
}

fn count(tags: &[Tag], name: &str) -> usize {
    tags.iter().filter(|(own, _)| own == name).count()
}

pub(crate) fn paths() -> [&'static str; 24] {
    [
        "/",
        "/cuda/",
        "/cuda/?q=torch",
        "/cuda/?page=2",
        "/cuda@release/",
        "/cpu/",
        "/cuda/projects/torch/",
        "/cuda/projects/idna/",
        "/cuda/projects/hostile/",
        "/cuda/projects/closed/",
        "/cuda/projects/evil/",
        "/none/",
        "/cuda/projects/atlas/",
        "/cuda/projects/atlas/atlas-2.0%2Bcu126-cp312-cp312-manylinux_2_28_x86_64.whl/",
        "/cuda/projects/atlas/atlas-2.0.tar.gz/",
        "/cuda@release/projects/torch/torch-2.4.0%2Bcu121-cp312-cp312-manylinux_2_28_x86_64.whl/",
        "/_/search/",
        "/_/search/?q=atlas",
        "/_/search/?q=plain&page=2",
        "/_/remotes/",
        "/_/history/",
        "/_/wanted/",
        "/_/health/",
        "/cuda@1...3/",
    ]
}

#[test]
fn each_page_is_sound_and_can_be_used_without_eyes_or_mouse() {
    let site = Site::full();
    for path in paths() {
        sound(path, site.browse(path).text());
    }
}

/// Fails unless a page is sound.
#[track_caller]
pub(crate) fn sound(path: &str, html: &str) {
    {
        assert!(html.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{path}");
        let tags = tags(path, html);
        for name in ["main", "h1", "header", "footer", "head"] {
            assert_eq!(count(&tags, name), 1, "{path}: {name}");
        }
        assert_eq!(html.matches("<title>").count(), 1 + html.matches("role=\"img\"><title>").count(), "{path}");
        let known: BTreeSet<&str> = KNOWN.split_whitespace().collect();
        let mut ids = BTreeSet::new();
        for (name, attributes) in &tags {
            assert!(known.contains(name.as_str()), "{path}: <{name}>");
            if let Some(id) = attributes.get("id") {
                assert!(ids.insert(id.clone()), "{path}: the id {id} twice");
            }
            for banned in ["style", "onclick", "onerror", "onload"] {
                assert!(!attributes.contains_key(banned), "{path}: <{name} {banned}>");
            }
            if name == "th" {
                let scope = attributes.get("scope").map(String::as_str);
                assert!(matches!(scope, Some("col" | "row")), "{path}: a header without a scope");
            }
            if attributes.get("role").is_some_and(|role| role == "region") {
                assert!(attributes.contains_key("aria-label"), "{path}: a region without a name");
                assert!(attributes.get("tabindex").is_some_and(|at| at == "0"), "{path}: the keyboard can't scroll it");
            }
        }
        for (name, attributes) in &tags {
            let _ = name;
            for refers in ["aria-labelledby", "for"] {
                assert!(attributes.get(refers).is_none_or(|id| ids.contains(id)), "{path}: {refers} leads nowhere");
            }
        }
        assert_eq!(count(&tags, "table"), count(&tags, "caption"), "{path}: each table says what it is");
        let drawings =
            tags.iter().filter(|(name, attributes)| name == "svg" && !attributes.contains_key("aria-hidden"));
        assert!(
            drawings.clone().all(|(_, attributes)| attributes.get("role").is_some_and(|role| role == "img")),
            "{path}"
        );
        assert_eq!(html.matches("role=\"img\"><title>").count(), drawings.count(), "{path}: drawings have a text");
        assert!(html.contains("<a class=\"skip\" href=\"#main\">"), "{path}");
    }
}

#[test]
fn links_are_relative_and_lead_to_what_there_is() {
    let site = Site::full();
    for path in paths() {
        let html = site.browse(path).text().to_owned();
        let base = url::Url::parse(&format!("https://wheels.example{path}")).unwrap();
        for (name, attributes) in tags(path, &html) {
            let Some(href) = attributes.get("href").filter(|href| !href.starts_with('#')) else { continue };
            if attributes.get("rel").is_some_and(|rel| rel == "noreferrer noopener nofollow") {
                let is_outside = ["https://", "http://", "mailto:"].iter().any(|start| href.starts_with(start));
                assert!(is_outside, "{path}: {href}");
                continue;
            }
            assert!(!href.starts_with('/') && !href.contains("//"), "{path}: {href}");
            let to = base.join(href).unwrap();
            if name == "a" && !to.path().contains("/files/") {
                let target = to.query().map_or_else(|| to.path().to_owned(), |query| format!("{}?{query}", to.path()));
                let is_there = matches!(site.browse(&target).status, 200 | 503) || path == "/none/";
                assert!(is_there, "{path}: {href} leads to {target}");
            }
        }
    }
}

#[test]
fn foreign_text_stays_text() {
    let site = Site::full();
    let query: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    let file = "/cuda/projects/hostile/hostile-1.0-py3-none-any.whl/";
    for path in [
        "/cuda/projects/hostile/",
        "/cuda/projects/evil/",
        file,
        &format!("/cuda/?q={query}"),
        &format!("/_/search/?q={query}"),
        "/",
    ] {
        let html = site.page(path);
        assert!(!html.contains("<script") && !html.contains("<img"), "{path}: {html}");
        if path != "/" {
            assert!(html.contains("&lt;script&gt;alert(1)"), "{path}: it is shown: {html}");
        }
        assert_eq!(count(&tags(path, &html), "h1"), 1);
    }
}

#[test]
fn browsers_are_told_to_run_nothing() {
    let site = Site::full();
    for path in paths() {
        let got = site.browse(path);
        let header = |name: &str| got.headers[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'"),
            "{policy}"
        );
        assert!(policy.ends_with("form-action 'self'; frame-ancestors 'none'"), "{policy}");
        assert_eq!(
            (header("referrer-policy"), header("x-content-type-options")),
            ("no-referrer".into(), "nosniff".into())
        );
    }
}

#[test]
fn the_style_sheet_is_kept_for_good_under_a_name_of_its_bytes() {
    let site = Site::full();
    let html = site.page("/cuda/projects/torch/");
    for (kind, mime) in [("../../../-/style-", "text/css; charset=utf-8"), ("../../../-/icon-", "image/svg+xml")] {
        let at = html.find(kind).unwrap();
        let name = html[at..].split('"').next().unwrap().strip_prefix("../../..").unwrap();
        let got = site.browse(name);
        assert_eq!((got.status, got.headers[CONTENT_TYPE].to_str().unwrap()), (200, mime), "{name}");
        assert_eq!(got.headers[CACHE_CONTROL].to_str().unwrap(), "max-age=31536000, immutable");
        let isolates = got.text().contains(" li, p, small, span, strong, summary, td, th { unicode-bidi: isolate; }");
        assert_eq!(isolates, mime.starts_with("text/css"), "what strangers wrote turns only itself round");
    }
    assert_eq!(site.browse("/-/style-000000000000.css").status, 404);
}
