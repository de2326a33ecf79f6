use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn shown(text: &str) -> String {
    markdown(text).into_string()
}

fn rst_shown(text: &str) -> String {
    restructured_text(text).into_string()
}

/// Returns what is within the frame, with short links.
fn rst_body(text: &str) -> String {
    let html = rst_shown(text).replace(" rel=\"noreferrer noopener nofollow\"", "");
    html.strip_prefix("<div class=\"prose\">").and_then(|rest| rest.strip_suffix("</div>")).unwrap().to_owned()
}

/// Reads what is made of a text: all elements are known, closed in order, and without attributes but ours.
fn require_sound(text: &str, html: &str) {
    const KNOWN: [&str; 29] = [
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
        "dl",
        "dt",
        "dd",
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
        for html in [shown(text), rst_shown(text), plain(text).into_string()] {
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

    #[test]
    fn any_restructured_text_becomes_sound_html(
        text in "(\\.\\. |\n|\n\n|  |[a-z]|[-=*`|_:#+>.(\\\\]|``|__|::|`_|note::|image:: |code::|raw:: html|https://|javascript:|<a|&|é){0,80}"
    ) {
        require_sound(&text, &rst_shown(&text));
    }
}

#[test]
fn restructured_text_is_read_as_its_authors_mean_it() {
    for (text, html) in [
        ("Demo\n====\n\nPart\n----\n\ntext", "<h3>Demo</h3><h4>Part</h4><p>text</p>"),
        ("####\nDemo\n####\n\nPart\n####\n", "<h3>Demo</h3><h4>Part</h4>"),
        (
            "*a* **b** ``c * <d>`` `e` x*y*z 2 * 3",
            "<p><em>a</em> <strong>b</strong> <code>c * &lt;d&gt;</code> <em>e</em> x*y*z 2 * 3</p>",
        ),
        ("a\\*b\\* re\\ ``x``", "<p>a*b* re<code>x</code></p>"),
        ("- a\n- b\n  c\n\n  - d\n", "<ul><li>a</li><li><p>b\nc</p><ul><li>d</li></ul></li></ul>"),
        ("2. a\n3. b\n", "<ol start=\"2\"><li>a</li><li>b</li></ol>"),
        ("1999. A year\nof two lines", "<p>1999. A year\nof two lines</p>"),
        ("Run::\n\n   $ a\n     <b>\n\nafter", "<p>Run:</p><pre><code>$ a\n  &lt;b&gt;</code></pre><p>after</p>"),
        ("a ::\n\n  b", "<p>a</p><pre><code>b</code></pre>"),
        ("::\n\n> b\n> c\n\nd", "<pre><code>&gt; b\n&gt; c</code></pre><p>d</p>"),
        (">>> 1 < 2\nTrue\n\nx", "<pre><code>&gt;&gt;&gt; 1 &lt; 2\nTrue</code></pre><p>x</p>"),
        (":Author: Ann\n:Home: x\n   y\n", "<dl><dt>Author</dt><dd>Ann</dd><dt>Home</dt><dd>x\ny</dd></dl>"),
        ("term\n  what it is\n", "<dl><dt>term</dt><dd>what it is</dd></dl>"),
        ("-v, --verbose  say more\n", "<dl><dt><code>-v, --verbose</code></dt><dd>say more</dd></dl>"),
        ("a\n\n  quoted\n\nb", "<p>a</p><blockquote><p>quoted</p></blockquote><p>b</p>"),
        ("| a\n| b", "<p>a<br>b<br></p>"),
        ("a\n\n----\n\nb", "<p>a</p><hr><p>b</p>"),
        ("+---+\n| a |\n+---+\n\nb", "<pre><code>+---+\n| a |\n+---+</code></pre><p>b</p>"),
        ("== ==\na  b\n\nc  d\n== ==\n\nend", "<pre><code>== ==\na  b\n\nc  d\n== ==</code></pre><p>end</p>"),
        (
            "see [1]_ and :class:`~a.B`, :pep:`440`",
            "<p>see [1] and <code>a.B</code>, <a href=\"https://peps.python.org/pep-0440/\">PEP 440</a></p>",
        ),
        (".. a comment\n   of two lines\n\ntext", "<p>text</p>"),
        ("..\n\n  quoted", "<blockquote><p>quoted</p></blockquote>"),
    ] {
        assert_eq!(rst_body(text), html, "{text}");
        require_sound(text, &rst_shown(text));
    }
}

#[test]
fn links_of_restructured_text_lead_where_its_names_say() {
    let x = "<a href=\"https://x.example/\">";
    for (text, html) in [
        ("`the site <https://x.example/>`_ and `the site`_", format!("<p>{x}the site</a> and {x}the site</a></p>")),
        ("see demo_, my_name\n\n.. _Demo: https://x.example/", format!("<p>see {x}demo</a>, my_name</p>")),
        ("`a b`_\n\n.. _`A  B`: c_\n.. _c: https://x.example/", format!("<p>{x}a b</a></p>")),
        ("a__ `b`__\n\n.. __: https://x.example/\n__ https://x.example/", format!("<p>{x}a</a> {x}b</a></p>")),
        ("https://x.example/.", format!("<p>{x}https://x.example/</a>.</p>")),
        (
            "|logo|\n\n.. |logo| image:: https://y.example/l.png\n   :target: https://x.example/\n   :alt: Logo",
            format!("<p>{x}Logo</a></p>"),
        ),
        ("|a logo|\n\n.. |a logo| image:: https://x.example/\n", format!("<p>{x}a logo</a></p>")),
        (".. image:: https://x.example/", format!("<p>{x}link</a></p>")),
        ("`x <javascript:alert(1)>`_ `y <//x.example>`_ `z`_", "<p>x y z</p>".to_owned()),
        ("loop_\n\n.. _loop: other_\n.. _other: loop_", "<p>loop</p>".to_owned()),
        ("`mail <a@x.example>`_", "<p><a href=\"mailto:a@x.example\">mail</a></p>".to_owned()),
    ] {
        assert_eq!(rst_body(text), html, "{text}");
        require_sound(text, &rst_shown(text));
    }
}

#[test]
fn directives_that_are_known_are_shown_and_others_as_they_are_written() {
    for (text, html) in [
        (".. code-block:: python\n   :linenos:\n\n   a = 1\n\nb", "<pre><code>a = 1</code></pre><p>b</p>"),
        (
            ".. note:: Mind\n   this.\n\n   More.",
            "<blockquote><p><strong>Note</strong></p><p>Mind\nthis.</p><p>More.</p></blockquote>",
        ),
        (".. versionadded:: 1.2\n", "<blockquote><p><strong>New in version 1.2</strong></p></blockquote>"),
        (".. contents::\n   :local:\n\ntext", "<p>text</p>"),
        (".. raw:: html\n\n   <b onclick=x>bold</b><script>no</script>\n", "<p>bold</p>"),
        (".. raw:: latex\n\n   \\x\n", ""),
        (".. include:: /etc/passwd\n", ""),
        (".. strange:: a\n   :b: <c>\n", "<pre><code>.. strange:: a\n   :b: &lt;c&gt;</code></pre>"),
        (".. [1] A note\n   of two lines", "<p>[1] A note\nof two lines</p>"),
    ] {
        assert_eq!(rst_body(text), html, "{text}");
        require_sound(text, &rst_shown(text));
    }
}

#[test]
fn restructured_text_that_is_written_to_do_harm_ends_soon_and_is_bounded() {
    let long = 1 << 18;
    let name = "n".repeat(1000);
    for text in [
        ":a:`x ".repeat(long / 6),
        "a_-".repeat(long / 3),
        "[a ".repeat(long / 3),
        "|a |".repeat(long / 4),
        ":a ".repeat(long / 3),
        "`a`:".repeat(long / 4),
        ".. a::\n ".repeat(long / 8),
        "== ==\n\n".repeat(long / 7),
        "-\n".repeat(long / 2),
        (0..700).map(|depth| format!("{}- a\n", "  ".repeat(depth))).collect(),
        (0..700).map(|depth| format!("{}.. _a: b\n", " ".repeat(depth))).collect(),
        format!(".. |a| replace:: {}\n\n{}", "b".repeat(100_000), "|a| ".repeat(50_000)),
        format!(".. _{name}: https://x.example/{name}\n\n{}", ["`", &name, "`_ "].concat().repeat(200)),
        format!(".. note:: {}", ".. note:: ".repeat(20_000)),
    ] {
        let html = rst_shown(&text);
        require_sound(&text[..20], &html);
        assert!(html.len() < BYTES + 700_000, "{} of {:?}", html.len(), &text[..20]);
    }
}
