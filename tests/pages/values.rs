//! What pages say of a file beside its name and link.

use crate::{BASE, DIGEST, OTHER, WHEEL, anchor, clean, json, one, read, url};
use std::borrow::Cow;
use wcas::digest::{Blake3, Sha256};
use wcas::index::read::{ListedFile, PageError, Sidecar, Syntax, page};
use wcas::index::{self, File, Page, Status};
use wcas::wheel::DistributionFilename;

fn html_file(attributes: &str) -> ListedFile {
    one(&anchor(&format!("href='{WHEEL}' {attributes}")))
}

fn json_file(fields: &str) -> ListedFile {
    one(&json(fields))
}

fn with(sha256: &str) -> Option<Sidecar> {
    Some(Sidecar { sha256: Some(sha256.parse().expect("the test has a digest")) })
}

#[test]
fn m3_a_yank_is_read_with_and_without_a_reason() {
    for (attribute, yanked) in [
        ("", None),
        ("data-yanked", Some("")),
        ("data-yanked=''", Some("")),
        ("data-yanked='a &amp; b'", Some("a & b")),
    ] {
        assert_eq!(html_file(attribute).yanked.as_deref(), yanked, "{attribute}");
    }
    for (value, yanked) in
        [("false", None), ("null", None), (r#""""#, None), ("true", Some("")), (r#""a \u0026 b""#, Some("a & b"))]
    {
        assert_eq!(json_file(&format!(r#","yanked":{value}"#)).yanked.as_deref(), yanked, "{value}");
    }
}

#[test]
fn m3_requires_python_is_read_with_its_entities_decoded() {
    assert_eq!(html_file("data-requires-python='&gt;=3.8, &lt;4'").requires_python.as_deref(), Some(">=3.8, <4"));
    assert_eq!(html_file("data-requires-python").requires_python, None);
    assert_eq!(json_file(r#","requires-python":">=3.8""#).requires_python.as_deref(), Some(">=3.8"));
    assert_eq!(json_file(r#","requires-python":null"#).requires_python, None);
}

#[test]
fn m2_a_sidecar_is_announced_under_either_name_and_the_new_one_counts() {
    let bare = Some(Sidecar { sha256: None });
    for (attributes, sidecar) in [
        (String::new(), None),
        ("data-core-metadata=true".into(), bare),
        ("data-core-metadata=false".into(), None),
        ("data-core-metadata".into(), None),
        ("data-core-metadata='sha512=00'".into(), bare),
        (format!("data-core-metadata='sha256={DIGEST}'"), with(DIGEST)),
        (format!("data-dist-info-metadata='sha256={DIGEST}'"), with(DIGEST)),
        (format!("data-dist-info-metadata='sha256={DIGEST}' data-core-metadata='sha256={OTHER}'"), with(OTHER)),
    ] {
        assert_eq!(html_file(&attributes).sidecar, sidecar, "{attributes}");
    }
    for (fields, sidecar) in [
        (r#","core-metadata":true"#.to_owned(), bare),
        (r#","core-metadata":{}"#.to_owned(), bare),
        (r#","core-metadata":false,"dist-info-metadata":true"#.to_owned(), None),
        (r#","core-metadata":null,"dist-info-metadata":true"#.to_owned(), bare),
        (format!(r#","core-metadata":{{"sha256":"{DIGEST}"}}"#), with(DIGEST)),
        (format!(r#","dist-info-metadata":{{"sha512":"0","sha256":"{DIGEST}"}}"#), with(DIGEST)),
    ] {
        assert_eq!(json_file(&fields).sidecar, sidecar, "{fields}");
    }
    // A digest that can't be read does not become a sidecar without one.
    for text in [
        anchor(&format!("href='{WHEEL}' data-core-metadata='sha256=00'")),
        anchor(&format!("href='{WHEEL}' data-core-metadata='yes'")),
        json(r#","core-metadata":{"sha256":"00"}"#),
    ] {
        let page = read(&text);
        assert_eq!((page.files[0].sidecar, page.problems.len()), (None, 1), "{text}");
    }
}

#[test]
fn m2_sizes_and_times_are_read_and_malformed_ones_are_told() {
    for (time, seconds) in [
        ("2024-12-31T23:59:59Z", 1_735_689_599),
        ("2024-12-31T23:59:59.987654Z", 1_735_689_599),
        ("2024-12-31T23:59:59.9+00:00", 1_735_689_599),
    ] {
        assert_eq!(json_file(&format!(r#","size":7,"upload-time":"{time}""#)).uploaded_at, Some(seconds), "{time}");
        let file = html_file(&format!("data-upload-time='{time}' data-size=7"));
        assert_eq!((file.uploaded_at, file.size), (Some(seconds), Some(7)));
    }
    for time in ["\"\"", "\"yesterday\"", "\"2024-13-31T23:59:59Z\"", "\"1960-01-01T00:00:00Z\"", "1735689599", "{}"] {
        let page = read(&json(&format!(r#","upload-time":{time}"#)));
        assert_eq!((page.files[0].uploaded_at, page.problems.len()), (None, 1), "{time}");
    }
    for size in ["-1", "1.5", "\"7\"", "1e400", "99999999999999999999", "[7]"] {
        let Ok(page) = page(json(&format!(r#","size":{size}"#)).as_bytes(), None, &url(BASE)) else {
            assert_eq!(size, "1e400", "only what JSON itself can't hold costs the page");
            continue;
        };
        assert_eq!((page.files[0].size, page.problems.len()), (None, 1), "{size}");
    }
}

#[test]
fn m2_nulls_and_unknown_fields_are_tolerated() {
    let fields = [
        "hashes",
        "requires-python",
        "yanked",
        "core-metadata",
        "dist-info-metadata",
        "size",
        "upload-time",
        "provenance",
    ];
    let nulls: String = fields.iter().map(|field| format!(r#","{field}":null"#)).collect();
    let plain = json_file("");
    assert_eq!(json_file(&nulls), plain);
    assert_eq!(json_file(r#","_blake3":"x","gpg-sig":true,"deep":{"a":[{"b":null}]}"#), plain);
    let page =
        clean(r#"{"meta":null,"name":null,"versions":null,"files":[null],"projects":null,"alternate-locations":[]}"#);
    assert!(page.files.is_empty() && page.syntax == Some(Syntax::Json));
}

#[test]
fn m3_a_field_of_the_wrong_kind_costs_that_field_alone() {
    for field in ["requires-python", "yanked", "core-metadata", "size", "upload-time"] {
        let page = read(&json(&format!(r#","{field}":[1,{{}}]"#)));
        assert_eq!((page.files.len(), page.problems.len()), (1, 1), "{field}: {:?}", page.problems);
    }
    let page = read(
        r#"{"files":[{"url":"x"},{"filename":7,"url":"x"},{"filename":"demo-1.0.zip"},{"filename":"demo-2.0.zip","url":"x"}]}"#,
    );
    assert_eq!((page.files.len(), page.problems.len()), (1, 3), "{:?}", page.problems);
}

#[test]
fn m2_a_newer_minor_version_is_read_and_a_newer_major_version_is_refused() {
    let html = |version: &str| {
        format!("<meta name='pypi:repository-version' content='{version}'>{}", anchor(&format!("href={WHEEL}")))
    };
    let json = |version: &str| json("").replace("1.0\"},", &format!("{version}\"}},"));
    for version in ["1.0", "1.99", "1"] {
        for text in [html(version), json(version)] {
            assert_eq!(clean(&text).version.as_deref(), Some(version), "{text}");
        }
    }
    for version in ["2.0", "10.0", "next"] {
        for text in [html(version), json(version)] {
            let error = page(text.as_bytes(), None, &url(BASE)).unwrap_err();
            assert_eq!(error, PageError::Version(version.to_owned()), "{text}");
        }
    }
}

#[test]
fn m3_a_project_in_quarantine_offers_nothing() {
    for text in [
        format!("<meta name='pypi:project-status' content='quarantined'>{}", anchor(&format!("href={WHEEL}"))),
        json("").replace("\"name\"", r#""project-status":{"status":"quarantined","reason":"x"},"name""#),
    ] {
        let page = read(&text);
        assert_eq!((page.files.len(), page.problems.len()), (0, 1), "{text}");
    }
}

#[test]
fn e2_a_status_is_read_with_its_reason_and_a_word_that_nobody_knows_is_none() {
    let html = |word: &str, reason: &str| {
        format!(
            "<meta name='pypi:project-status' content='{word}'><meta name='pypi:project-status-reason' \
             content='{reason}'>{}",
            anchor(&format!("href={WHEEL}"))
        )
    };
    let json = |key: &str, word: &str, reason: &str| {
        json("").replace("\"name\"", &format!(r#""project-status":{{"{key}":"{word}","reason":"{reason}"}},"name""#))
    };
    for (word, status) in [
        ("archived", Some(Status::Archived)),
        ("deprecated", Some(Status::Deprecated)),
        ("active", Some(Status::Active)),
        ("gone", None),
    ] {
        for (text, reason) in [
            (html(word, "a &amp; b"), Some("a & b")),
            (html(word, ""), None),
            (json("status", word, "a & b"), Some("a & b")),
            (json("state", word, ""), None),
        ] {
            let page = clean(&text);
            assert_eq!(page.status, status.map(|status| (status, reason.map(str::to_owned))), "{text}");
            assert_eq!(page.files.len(), 1);
        }
    }
    assert_eq!(clean(&json("note", "archived", "x")).status, None);
    let twice = format!("<meta name='pypi:project-status' content='quarantined'>{}", html("active", "x"));
    assert_eq!(
        read(&twice).status.map(|(status, _)| status),
        Some(Status::Quarantined),
        "said twice, the stricter counts"
    );
}

#[test]
fn f1_provenance_is_kept_where_it_is_an_https_url() {
    for (text, kept) in [
        ("https://index.example/integrity/a?b=c", true),
        ("http://index.example/integrity/a", false),
        ("/integrity/a", false),
        ("https://me:hunter2@index.example/a", false),
        ("", false),
        ("no url", false),
    ] {
        let expected = kept.then_some(text);
        assert_eq!(html_file(&format!("data-provenance='{text}'")).provenance.as_deref(), expected, "{text}");
        assert_eq!(json_file(&format!(r#","provenance":"{text}""#)).provenance.as_deref(), expected, "{text}");
    }
    assert_eq!(json_file(r#","provenance":null"#).provenance, None);
}

#[test]
fn v1_v2_a_variant_wheel_is_listed_and_the_document_about_it_passed_over() {
    let (wheel, document) = ("demo-1.0-py3-none-any-cuda12.whl", "demo-1.0-variants.json");
    let other = format!(r#"{{"filename":"{document}","url":"{document}","hashes":{{}},"size":7}}"#);
    for text in [
        format!(
            "<title>Links for demo</title><a href={wheel}>x</a><a href='{document}#sha256={DIGEST}'>{document}</a>"
        ),
        json("").replace(WHEEL, wheel).replace("\"files\":[", &format!("\"files\":[{other},")),
    ] {
        let page = clean(&text);
        assert_eq!(page.files.len(), 1, "{text}");
        let DistributionFilename::Wheel(name) = &page.files[0].name else { panic!("{text}") };
        assert_eq!(name.variant().map(|label| label.as_str()), Some("cuda12"));
        assert_eq!(page.projects, []);
    }
}

#[test]
fn m2_the_pages_of_this_program_read_back_the_same_facts() {
    let digest = |byte| Sha256::from_bytes([byte; 32]);
    let names = ["demo-1.0+cu1-py3-none-any.whl", "demo-1!2.0-1_x-py3-none-any.whl", "demo-2.0.tar.gz", "demo-3.zip"];
    let files: Vec<File<'_>> = (1u8..)
        .zip(names)
        .map(|(n, name)| File {
            filename: name,
            project: "demo",
            version: "1.0",
            url: Cow::Owned(format!("../../files/{}", index::href(name))),
            sha256: Some(digest(n)),
            blake3: Some(Blake3::from_bytes([9; 32])),
            size: Some(u64::from(n) << 40),
            upload_time: Some(1_700_000_000 + i64::from(n)),
            is_first_seen: false,
            requires_python: (n % 2 == 0).then_some(">=3.9,<\"4\" & 'é'\n"),
            yanked: [None, Some(""), Some("<b>&amp;")][usize::from(n) % 3],
            sidecar: (n < 3).then(|| Sidecar { sha256: Some(digest(n + 100)) }),
            provenance: [None, Some("https://index.example/integrity/a")][usize::from(n) % 2],
        })
        .collect();
    let (mut html, mut json) = (Vec::new(), Vec::new());
    index::html::project(&mut html, &Page::new("demo", &files)).unwrap();
    index::json::project(&mut json, &Page::new("demo", &files)).unwrap();
    let [html, json] = [html, json].map(|body| clean(std::str::from_utf8(&body).unwrap()));
    assert_eq!((html.syntax, json.syntax), (Some(Syntax::Html), Some(Syntax::Json)));
    assert_eq!(html.version, json.version);
    assert_eq!(html.files, json.files);
    assert_eq!(html.files.len(), files.len());
    for (read, file) in html.files.iter().zip(&files) {
        assert_eq!(read.name.as_str(), file.filename);
        // A plus is escaped, as pip sends it.
        assert_eq!(read.url.as_str(), format!("https://index.example/files/{}", file.filename.replace('+', "%2B")));
        assert_eq!((read.sha256, read.size, read.uploaded_at), (file.sha256, file.size, file.upload_time));
        assert_eq!((read.requires_python.as_deref(), read.yanked.as_deref()), (file.requires_python, file.yanked));
        assert_eq!((read.sidecar, read.provenance.as_deref()), (file.sidecar, file.provenance));
    }
    let (mut html, mut json) = (Vec::new(), Vec::new());
    index::html::root(&mut html, None, &["demo", "flask-restful"]).unwrap();
    index::json::root(&mut json, None, [("demo", None), ("flask-restful", Some(3))]).unwrap();
    for body in [html, json] {
        let root = page(&body, None, &url("https://index.example/simple/")).unwrap();
        assert_eq!(root.projects.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["demo", "flask-restful"]);
    }
}
