//! Texts that are no index page, and pages that are one though they list nothing.

use crate::{BASE, WHEEL, anchor, clean, json, url};
use wcas::index::read::{PageError, Syntax, page};

fn foreign(body: &[u8], content_type: Option<&str>) -> String {
    match page(body, content_type, &url(BASE)) {
        Err(PageError::Foreign(reason)) => reason,
        other => panic!("{other:?}: {}", body.escape_ascii()),
    }
}

#[test]
fn x8_a_login_form_or_an_error_page_is_not_remembered_as_an_empty_project() {
    for text in [
        "<!DOCTYPE html><html><title>Sign in</title><form action=/login><input name=user><a href='help/'>help</a></form>",
        "<!DOCTYPE html><html><head><title>Loading</title><script src=app.js></script></head><body></body></html>",
        "<html><head><title>404 Not Found</title></head><body><center><h1>404 Not Found</h1></center><hr>nginx</body></html>",
        "<html><body>Service unavailable, try <a href='/'>again</a></body></html>",
        "<?xml version='1.0'?><ListBucketResult><Key>demo-1.0.zip</Key></ListBucketResult>",
        "Not Found",
        "404: not found <support@index.example>",
        "[]",
    ] {
        assert!(!foreign(text.as_bytes(), Some("text/html")).is_empty());
    }
    let reason = foreign(b"<title> Sign in\n</title><form>", None);
    assert_eq!(reason, "it has a form or a script, and no file; its title is \"Sign in\"");
}

#[test]
fn x8_an_empty_page_that_looks_like_an_index_is_an_empty_project() {
    for text in [
        "<!DOCTYPE html><html><head><title>Links for demo</title></head><body><h1>Links for demo</h1></body></html>",
        "<!DOCTYPE html><html><body><h1>Links for demo</h1><script>1</script></body></html>",
        "<meta name='pypi:repository-version' content='1.0'><title>demo</title>No files.",
        "<html><head><title>Index of /demo/</title></head><body><a href='../'>../</a></body></html>",
        "<!DOCTYPE html><html><body>\n</body></html>",
        "<a href='demo-1.0-py2.7.egg'>demo-1.0-py2.7.egg</a>",
        r#"{"meta":{"api-version":"1.1"},"name":"demo","files":[],"versions":[]}"#,
        r#"{"files":null,"projects":[]}"#,
    ] {
        assert!(clean(text).files.is_empty());
    }
}

#[test]
fn x8_what_is_empty_binary_or_utf_16_is_refused_with_a_word() {
    let wide: Vec<u8> = anchor(&format!("href={WHEEL}")).encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (body, content_type, reason) in [
        (&b""[..], None, "it is empty"),
        (b" \r\n\t", Some("text/html"), "it is empty"),
        (b"\xef\xbb\xbf", None, "it is empty"),
        (b"PK\x03\x04\x14\x00\x00\x00", None, "it is binary"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", Some("text/html"), "it is binary"),
        (&wide, None, "it is binary"),
        (b"\xff\xfe<\0", None, "it is UTF-16, where an index has UTF-8"),
        (b"<a href=x.zip>", Some("text/html; charset=UTF-16LE"), "it is UTF-16, where an index has UTF-8"),
    ] {
        assert_eq!(foreign(body, content_type), reason, "{}", body.escape_ascii());
    }
}

#[test]
fn x8_json_that_is_no_page_is_refused() {
    for text in [
        "{",
        "{}",
        r#"{"detail":"Not found."}"#,
        r#"{"errors":[{"status":404}]}"#,
        r#"{"files":{}}"#,
        r#"{"files":["demo-1.0.zip"]}"#,
        r#"{"files":[],"files":[]}"#,
        r#"{"files":[]} trailing"#,
    ] {
        let error = page(text.as_bytes(), None, &url(BASE)).unwrap_err();
        assert!(matches!(error, PageError::Json(_)), "{text}: {error:?}");
    }
    for text in ["null", "\"x\"", "[]", "7", "oops"] {
        let error = page(text.as_bytes(), Some("application/vnd.pypi.simple.v1+json"), &url(BASE)).unwrap_err();
        assert!(matches!(error, PageError::Json(_)), "{text}: {error:?}");
    }
    let deep = format!("{{\"files\":[],\"project-status\":{}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert!(matches!(page(deep.as_bytes(), None, &url(BASE)), Err(PageError::Json(_))));
}

#[test]
fn x8_the_text_decides_what_a_page_is_when_its_label_lies_or_is_missing() {
    let html = anchor(&format!("href={WHEEL}"));
    for (text, syntax) in [(html, Syntax::Html), (json(""), Syntax::Json)] {
        for label in
            [None, Some("text/html"), Some("application/vnd.pypi.simple.v1+json"), Some("application/octet-stream")]
        {
            for start in ["", "\u{feff}", "\r\n  "] {
                let page = page(format!("{start}{text}").as_bytes(), label, &url(BASE)).unwrap();
                assert_eq!((page.syntax, page.files.len()), (Some(syntax), 1), "{label:?} {start:?}");
            }
        }
    }
}
