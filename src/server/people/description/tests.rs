use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn shown(text: &str) -> String {
    markdown(text).into_string()
}

/// Reads what is made of a text: all elements are known, closed in order, and without attributes but ours.
fn require_sound(text: &str, html: &str) {
    const KNOWN: [&str; 26] = [
        "div",
        "p",
        "h3",
        "h4",
        "h5",
        "h6",
        "blockquote",
        "pre",
        "code",
        "ul",
        "ol",
        "li",
        "table",
        "caption",
        "thead",
        "tr",
        "th",
        "td",
        "em",
        "strong",
        "del",
        "a",
        "br",
        "hr",
        "thead",
        "pre",
    ];
    let known: BTreeSet<&str> = KNOWN.into();
    let mut open = Vec::new();
    for part in html.split('<').skip(1) {
        let tag = part.split('>').next().unwrap();
        let name = tag.trim_start_matches('/').split(' ').next().unwrap();
        assert!(known.contains(name), "<{tag}> of {text:?}");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{text:?}: {html}");
        } else if !matches!(name, "br" | "hr") {
            open.push(name);
        }
        let quiet = tag.replace(" href=\"", " ").replace(" rel=\"noreferrer noopener nofollow\"", "");
        assert!(!quiet.contains(" on") && !quiet.contains("style="), "{tag}");
        if let Some(at) = tag.find("href=\"") {
            let to = &tag[at + 6..];
            assert!(["https://", "http://", "mailto:"].iter().any(|start| to.starts_with(start)), "{tag}");
        }
    }
    assert!(open.is_empty(), "{text:?}: {open:?} left open");
}

#[test]
fn markdown_is_shown_with_headings_below_the_pages_own() {
    let html = shown(
        "# One\n\n### Two\n\na *b* **c** ~~d~~ `e<` \\\nf\n\n- [x] g\n- h\n\n3. i\n\n> j\n\n```py\nk = '<b>'\n```\n\n---\n",
    );
    require_sound("", &html);
    for wanted in [
        "<h3>One</h3>",
        "<h4>Two</h4>",
        "<em>b</em> <strong>c</strong> <del>d</del> <code>e&lt;</code>",
        "<br>",
        "<li>☑ g</li>",
        "<ol start=\"3\">",
        "<blockquote><p>j</p></blockquote>",
        "<pre><code>k = '&lt;b&gt;'\n</code></pre>",
        "<hr>",
    ] {
        assert!(html.contains(wanted), "{wanted} in {html}");
    }
    let html = shown("| a | b |\n|---|---|\n| 1 | 2 |\n");
    require_sound("", &html);
    assert!(html.contains("<th scope=\"col\">a</th>") && html.contains("<td>2</td>"), "{html}");
}

#[test]
fn links_lead_to_the_web_or_a_mailbox_and_pictures_are_links() {
    let html = shown(
        "[a](https://x.example/?a=1&b=2) [b](mailto:b@x.example) ![c](https://x.example/c.png) [![](https://x.example/d.svg)](https://x.example)",
    );
    require_sound("", &html);
    assert!(
        html.contains("<a href=\"https://x.example/?a=1&amp;b=2\" rel=\"noreferrer noopener nofollow\">a</a>"),
        "{html}"
    );
    assert!(
        html.contains(">c</a>")
            && html.contains("rel=\"noreferrer noopener nofollow\">link</a>")
            && !html.contains("<img"),
        "{html}"
    );
    let html = shown("<b@x.example>");
    assert!(
        html.contains("<a href=\"mailto:b@x.example\" rel=\"noreferrer noopener nofollow\">b@x.example</a>"),
        "{html}"
    );
    for bad in [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        "&#106;avascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example/x",
        "/files/x",
        "docs/a.md",
        "#top",
        "ftp://x.example",
        "blob:https://x.example/1",
        "https:",
    ] {
        for text in [format!("[a]({bad})"), format!("![a](<{bad}>)"), format!("[a]\n\n[a]: {bad}"), format!("<{bad}>")]
        {
            let html = shown(&text);
            require_sound(&text, &html);
            assert!(
                !html.contains("<a ") && html.contains(if text.starts_with('<') { "" } else { "a" }),
                "{text}: {html}"
            );
        }
    }
}

#[test]
fn html_loses_its_tags_and_what_no_reader_is_to_see() {
    let text = "<p align=\"center\"><img src=x onerror=alert(1)>\n<b>Logo &amp; co</b></p>\n\n<script>alert(1)</script>\n\nin <kbd>line</kbd> <script>alert(2)</script> <img src=x onerror=alert(3)>\n\n<!-- secret -->\n\n<style>\n* { display: none }\n</style>\n\n<iframe src=//evil.example>\n\nend";
    let html = shown(text);
    require_sound(text, &html);
    assert!(html.contains("Logo &amp; co") && html.contains("in line") && html.contains("end"), "{html}");
    for gone in ["alert", "secret", "display", "evil", "onerror", "kbd"] {
        assert!(!html.contains(gone), "{gone} in {html}");
    }
}

#[test]
fn text_is_shown_as_it_is_with_its_addresses_as_links() {
    let html =
        plain("Title\n=====\n\n`demo <https://x.example/a>`_, see https://y.example/b. httpx <script>\n").into_string();
    require_sound("", &html);
    assert!(
        html.contains(
            "<a href=\"https://x.example/a\" rel=\"noreferrer noopener nofollow\">https://x.example/a</a>&gt;`_"
        ),
        "{html}"
    );
    assert!(html.contains(">https://y.example/b</a>. httpx &lt;script&gt;"), "{html}");
}

#[test]
fn what_is_written_to_do_harm_ends_soon_and_is_bounded() {
    let long = 100_000;
    let row = format!("|{}\n", "a|".repeat(400));
    let rule = format!("|{}\n", "-|".repeat(400));
    let texts = [
        "[".repeat(long),
        "![".repeat(long / 2),
        "[a](".repeat(long / 4),
        ">".repeat(long),
        format!("{}\n", "> ".repeat(long / 2)).repeat(2),
        "- ".repeat(long / 2),
        "*a_".repeat(long / 3),
        "`a``".repeat(long / 4),
        "<".repeat(long),
        "<!--".repeat(long / 4),
        "<script ".repeat(long / 8),
        "<div>\n<script>".repeat(long / 14),
        "a\n\n    ".repeat(long / 7),
        format!("{row}{rule}{}", "|a\n".repeat(60_000)),
        format!("[a]: https://x.example/{}\n\n{}", "b".repeat(1000), "[a] ".repeat(long / 4)),
        "&#x41;".repeat(long / 6),
        "\\".repeat(long),
        "https://".repeat(long / 8),
        "http".repeat(long / 4),
        "~~".repeat(long / 2),
        (0..300).map(|depth| format!("{}- a\n", "  ".repeat(depth))).collect(),
    ];
    for text in &texts {
        for html in [shown(text), plain(text).into_string()] {
            require_sound(&text[..20], &html);
            assert!(html.len() < BYTES + 700_000, "{} of {:?}", html.len(), &text[..20]);
            let (mut depth, mut deepest) = (0_usize, 0);
            for part in html.split('<').skip(1).filter(|part| !part.starts_with("br>") && !part.starts_with("hr>")) {
                depth = if part.starts_with('/') { depth - 1 } else { depth + 1 };
                deepest = deepest.max(depth);
            }
            assert!(deepest <= DEPTH + 3, "{deepest} deep: {:?}", &text[..20]);
        }
    }
}

proptest! {
    #[test]
    fn any_text_becomes_sound_html(text in "([ -~]|\n|[#>*_`|~<&!\\[\\]()-]|<[a-z]{1,6}|</|-->|javascript:|https://|[a-z]){0,80}") {
        require_sound(&text, &shown(&text));
        require_sound(&text, &plain(&text).into_string());
    }
}
