//! Where links lead, which names are taken, and which digests.

use crate::{BASE, DIGEST, OTHER, WHEEL, anchor, clean, json, one, read, told, url};
use wcas::index::read::{ListedFile, page};

fn leads(attributes: &str) -> String {
    one(&anchor(attributes)).url.to_string()
}

#[test]
fn m2_links_may_be_relative_absolute_root_relative_and_protocol_relative_in_any_case() {
    for (href, leads_to) in [
        (WHEEL.to_owned(), format!("{BASE}{WHEEL}")),
        (format!("./{WHEEL}"), format!("{BASE}{WHEEL}")),
        (format!("../../files/{WHEEL}"), format!("https://index.example/files/{WHEEL}")),
        (format!("/files/{WHEEL}"), format!("https://index.example/files/{WHEEL}")),
        (format!("//files.example/{WHEEL}"), format!("https://files.example/{WHEEL}")),
        (format!("https://files.example/a/{WHEEL}"), format!("https://files.example/a/{WHEEL}")),
        (format!("HTTP://Files.Example/a/{WHEEL}"), format!("http://files.example/a/{WHEEL}")),
        (format!("  {WHEEL}\n"), format!("{BASE}{WHEEL}")),
        (format!("{WHEEL}?token=a&amp;b=%2F"), format!("{BASE}{WHEEL}?token=a&b=%2F")),
    ] {
        assert_eq!(leads(&format!("href=\"{href}\"")), leads_to, "{href}");
        let decoded = href.replace("&amp;", "&").replace('\n', "\\n");
        let text = json("").replace(&format!(r#""url":"{WHEEL}""#), &format!(r#""url":"{decoded}""#));
        assert_eq!(one(&text).url.as_str(), leads_to, "{text}");
    }
}

#[test]
fn m2_attributes_may_be_odd_in_case_quotes_order_and_number() {
    for attributes in [
        format!("HREF='{WHEEL}#sha256={DIGEST}' Data-Requires-Python='&gt;=3.8'"),
        format!("data-requires-python=\"&#62;=3.8\" class=x disabled href={WHEEL}#sha256={DIGEST}"),
        format!("\n data-requires-python = '&#x3e;=3.8'\thref = \"{WHEEL}&#35;sha256={DIGEST}\" rel=internal"),
        format!(
            "href='{WHEEL}#sha256={DIGEST}' href='evil-1.0.zip' data-requires-python='&gt;=3.8' data-requires-python='&lt;2'"
        ),
    ] {
        let file = one(&anchor(&attributes));
        assert_eq!((file.url.as_str(), file.name.as_str()), (format!("{BASE}{WHEEL}").as_str(), WHEEL), "{attributes}");
        assert_eq!(file.requires_python.as_deref(), Some(">=3.8"), "{attributes}");
        assert_eq!(file.sha256.map(|digest| digest.to_string()).as_deref(), Some(DIGEST), "{attributes}");
    }
}

#[test]
fn m2_names_may_be_percent_encoded_once() {
    let encoded = leads("href='torch-2.5.1%2Bcu121-cp312-cp312-linux_x86_64.whl'");
    assert!(
        encoded.ends_with("/torch-2.5.1%2Bcu121-cp312-cp312-linux_x86_64.whl"),
        "the URL stays as it is: {encoded}"
    );
    for href in ["torch-2.5.1%2Bcu121-cp312-cp312-linux_x86_64.whl", "torch-2.5.1+cu121-cp312-cp312-linux%5Fx86_64.whl"]
    {
        let file = one(&anchor(&format!("href='{href}'")));
        assert_eq!(file.name.as_str(), "torch-2.5.1+cu121-cp312-cp312-linux_x86_64.whl");
        assert_eq!(file.name.version().to_string(), "2.5.1+cu121");
    }
    let twice = read(&anchor("href='torch-2.5.1%252Bcu121-cp312-cp312-linux_x86_64.whl'"));
    assert!(twice.files.is_empty() && twice.problems.len() == 1, "{}", told(&twice));
}

#[test]
fn m2_a_digest_may_be_in_either_case_and_among_others() {
    let upper = DIGEST.to_uppercase();
    for fragment in [
        format!("sha256={DIGEST}"),
        format!("sha256={upper}"),
        format!("SHA256={DIGEST}"),
        format!("egg=demo&amp;sha256={DIGEST}&amp;subdirectory=a"),
        format!("md5=0&amp;sha256={DIGEST}"),
        format!("sha256={DIGEST}&amp;sha256={upper}"),
    ] {
        let file = one(&anchor(&format!("href='{WHEEL}#{fragment}'")));
        assert_eq!(file.sha256.map(|digest| digest.to_string()).as_deref(), Some(DIGEST), "{fragment}");
        assert_eq!(file.url.fragment(), None);
    }
    for hashes in [format!(r#"{{"sha256":"{upper}"}}"#), format!(r#"{{"md5":null,"SHA256":"{DIGEST}","blake2b":"0"}}"#)]
    {
        let file = one(&json(&format!(r#","hashes":{hashes}"#)));
        assert_eq!(file.sha256.map(|digest| digest.to_string()).as_deref(), Some(DIGEST), "{hashes}");
    }
}

#[test]
fn m3_a_malformed_digest_takes_the_file_off_the_page_and_no_later_link_brings_it_back() {
    let cut = &DIGEST[1..];
    let fragments = [
        format!("sha256={cut}"),
        "sha256=".to_owned(),
        "sha256".to_owned(),
        format!("sha256:{DIGEST}"),
        format!("sha256={DIGEST}0"),
        format!("sha256={}", DIGEST.replace('0', "g")),
        format!("sha256={DIGEST}&amp;sha256={OTHER}"),
        format!("md5=0&amp;sha256={cut}"),
    ];
    for fragment in fragments {
        let page = read(&format!("{}<a href='{WHEEL}'>again</a>", anchor(&format!("href='{WHEEL}#{fragment}'"))));
        assert!(page.files.is_empty(), "{fragment}: {}", told(&page));
        assert_eq!(page.problems, [format!("{WHEEL}: its SHA-256 digest can't be read, or there are two")]);
    }
    for hashes in [
        format!(r#"{{"sha256":"{cut}"}}"#),
        r#"{"sha256":""}"#.to_owned(),
        r#"{"sha256":7}"#.to_owned(),
        r#"{"sha256":{"a":[1]}}"#.to_owned(),
        format!(r#"{{"sha256":"{DIGEST}","sha256":"{OTHER}"}}"#),
        format!(r#""{DIGEST}""#),
        "[]".to_owned(),
        "true".to_owned(),
    ] {
        let page = read(&json(&format!(r#","hashes":{hashes}"#)));
        assert!(page.files.is_empty() && page.problems.len() == 1, "{hashes}: {}", told(&page));
    }
    // The fragment of a link in JSON counts beside `hashes`.
    let text = json(&format!(r#","hashes":{{"sha256":"{DIGEST}"}}"#));
    let differ = text.replace(&format!(r#""url":"{WHEEL}""#), &format!(r#""url":"{WHEEL}#sha256={OTHER}""#));
    assert!(read(&differ).files.is_empty());
}

#[test]
fn m3_other_algorithms_give_no_digest_and_one_word_for_all() {
    let (md5, sha512) = ("0123456789abcdef".repeat(2), "0123456789abcdef".repeat(8));
    let page = read(&format!(
        "<a href='a-1.0.zip#md5={md5}'>a</a><a href='b-1.0.zip#sha512={sha512}'>b</a><a href='c-1.0.zip#egg=c'>c</a>\
         <a href='d-1.0.zip#blake2b_256=00'>d</a><a href='e-1.0.zip#md5=0'>e</a>"
    ));
    assert!(page.files.len() == 4 && page.files.iter().all(|file| file.sha256.is_none()));
    let vouched: Vec<bool> = page.files.iter().map(ListedFile::is_vouched).collect();
    assert_eq!(vouched, [false, true, false, false], "SHA-512 is as good as SHA-256");
    assert_eq!(
        page.problems,
        [
            "e-1.0.zip: a digest of it can't be read, or there are two of a kind",
            "2 files have a digest, but none by SHA-256"
        ]
    );
    for hashes in ["{}", "null"] {
        assert_eq!(one(&json(&format!(r#","hashes":{hashes}"#))).sha256, None);
    }
}

#[test]
fn m3_the_first_of_several_links_wins_and_differing_digests_are_told() {
    let link = |at: &str, digest: &str| format!("<a href='{at}/{WHEEL}#sha256={digest}'>x</a>");
    let same = clean(&(link("a", DIGEST) + &link("b", DIGEST)));
    assert_eq!(same.files.len(), 1);
    assert!(same.files[0].url.path().ends_with("/a/demo-1.0-py3-none-any.whl"));
    let differ = read(&(link("a", OTHER) + &link("b", DIGEST)));
    assert_eq!(differ.files[0].sha256, OTHER.parse().ok());
    assert_eq!(differ.problems, [format!("{WHEEL}: listed twice with different digests; the first one counts")]);
}

#[test]
fn m3_names_with_path_parts_or_traversal_are_skipped_with_a_word() {
    for href in [
        "..%2fdemo-1.0-py3-none-any.whl",
        "%2e%2e%2fdemo-1.0-py3-none-any.whl",
        "%2e%2e/demo-1.0-py3-none-any.whl",
        "a/.%2E/demo-1.0-py3-none-any.whl",
        "%2Fetc%2Fdemo-1.0-py3-none-any.whl",
        "..\\demo-1.0-py3-none-any.whl",
        "..%5Cdemo-1.0-py3-none-any.whl",
        "a\\b\\demo-1.0-py3-none-any.whl",
        "demo-1.0-py3-none-any%00.whl",
        "demo-1.0-1%0A-py3-none-any.whl",
        "demo-1.0-1%FF-py3-none-any.whl",
        "demo-1.0-1\u{fffd}-py3-none-any.whl",
        ".demo-1.0-py3-none-any.whl",
        "%252e%252e%252fdemo-1.0-py3-none-any.whl",
        "demo.whl",
        "demo-1.0-py3-none-any.WHL",
        "demo.tar.gz",
        "demo-x.zip",
    ] {
        let page = read(&anchor(&format!("href='{href}'")));
        assert!(page.files.is_empty() && page.problems.len() == 1, "{href}: {}", told(&page));
    }
    for name in [
        "../demo-1.0-py3-none-any.whl",
        "a/demo-1.0.zip",
        "a\\\\demo-1.0.zip",
        "demo-1.0-1\\u0000-py3-none-any.whl",
        ".zip",
    ] {
        let page = read(&json("").replace(&format!(r#""filename":"{WHEEL}""#), &format!(r#""filename":"{name}""#)));
        assert!(page.files.is_empty() && page.problems.len() == 1, "{name}: {}", told(&page));
    }
}

#[test]
fn m3_bytes_that_are_no_utf_8_are_replaced_in_text_and_refused_in_names() {
    let html = b"<title>Links for demo</title><a href='demo-1.0-1\xff-py3-none-any.whl'>x</a>\
        <a href='demo-1.0.zip' data-yanked='caf\xe9'>x</a>";
    let json = b"{\"files\":[{\"filename\":\"demo-1.0-1\xff-py3-none-any.whl\",\"url\":\"x\"},\
        {\"filename\":\"demo-1.0.zip\",\"url\":\"demo-1.0.zip\",\"yanked\":\"caf\xe9\"}]}";
    for body in [&html[..], &json[..]] {
        let page = page(body, None, &url(BASE)).unwrap();
        assert_eq!(page.files.len(), 1, "{}", told(&page));
        assert_eq!(page.files[0].yanked.as_deref(), Some("caf\u{fffd}"));
        assert_eq!(page.problems.len(), 1);
    }
}

#[test]
fn m3_only_http_is_followed_and_file_only_from_a_file() {
    for href in [
        "javascript:alert(1)/demo-1.0.zip",
        "data:application/zip,demo-1.0.zip",
        "file:///etc/demo-1.0.zip",
        "FILE:/etc/demo-1.0.zip",
        "ftp://files.example/demo-1.0.zip",
        "git+https://files.example/demo-1.0.zip",
        "http://[::1/demo-1.0.zip",
    ] {
        let page = read(&anchor(&format!("href='{href}'")));
        assert!(page.files.is_empty() && page.problems.len() == 1, "{href}: {}", told(&page));
    }
    let local = url("file:///srv/wheels/index.html");
    let text =
        "<a href='demo-1.0.zip'>a</a><a href='file:///srv/demo-2.0.zip'>b</a><a href='file://host/demo-3.0.zip'>c</a>";
    let read = page(text.as_bytes(), None, &local).unwrap();
    let urls: Vec<_> = read.files.iter().map(|file| file.url.as_str()).collect();
    assert_eq!(urls, ["file:///srv/wheels/demo-1.0.zip", "file:///srv/demo-2.0.zip"]);
}

#[test]
fn m3_credentials_stay_with_their_host() {
    let base = url("https://user:secret@index.example/simple/demo/");
    let read = |href: &str| page(anchor(&format!("href='{href}'")).as_bytes(), None, &base).unwrap();
    for (href, leads_to) in [
        ("demo-1.0.zip", "https://user:secret@index.example/simple/demo/demo-1.0.zip"),
        ("https://a:b@index.example/demo-1.0.zip", "https://a:b@index.example/demo-1.0.zip"),
        ("https://files.example/demo-1.0.zip", "https://files.example/demo-1.0.zip"),
    ] {
        let page = read(href);
        assert_eq!((page.files[0].url.as_str(), page.problems.len()), (leads_to, 0));
    }
    for host in ["https://u:p@files.example", "http://u:p@index.example", "https://u@index.example:8443"] {
        let page = read(&format!("{host}/demo-1.0.zip"));
        assert_eq!((page.files[0].url.username(), page.files[0].url.password()), ("", None), "{host}");
        assert_eq!(page.problems, ["demo-1.0.zip: credentials for another host are taken off its link"]);
    }
}

#[test]
fn m2_a_base_element_is_honoured_wherever_it_stands_and_only_the_first() {
    let link = format!("<a href='{WHEEL}'>x</a>");
    for (text, leads_to) in [
        (format!("<base href='/files/'>{link}"), format!("https://index.example/files/{WHEEL}")),
        (format!("<BASE HREF=https://files.example/x/y>{link}"), format!("https://files.example/x/{WHEEL}")),
        (format!("<base target=_top><base href='a/'><base href='b/'>{link}"), format!("{BASE}a/{WHEEL}")),
        (format!("{link}<base href='../late/'>"), format!("https://index.example/simple/late/{WHEEL}")),
    ] {
        assert_eq!(one(&text).url.as_str(), leads_to, "{text}");
    }
    for bad in ["javascript:1", "data:text/html,x", "http://[", "mailto:a@b"] {
        let page = read(&format!("<base href='{bad}'>{link}"));
        assert_eq!(page.files[0].url.as_str(), format!("{BASE}{WHEEL}"), "{bad}");
        assert_eq!(page.problems.len(), 1, "{bad}");
    }
}

#[test]
fn m3_what_is_no_wheel_or_sdist_is_passed_over_in_silence() {
    let page = clean(
        "<title>Links for demo</title><a href='../'>up</a><a href='index.html'>x</a><a name=top>top</a><a href=''>x</a>\
        <a href='demo-1.0.exe'>x</a><a href='demo-1.0-py3.egg'>x</a><a href='demo-1.0.zip.asc'>x</a>\
        <a href='demo-1.0-py3-none-any.whl.metadata'>x</a><a href='demo-1.0.zip.provenance'>x</a><a href='demo-1.0.tar.Z'>x</a><a href='demo-1.0.tar.lzma'>x</a>\
        <a href='mailto:me@demo.example'>x</a><link href='demo-1.0.zip'><!-- <a href='demo-2.0.zip'> -->\
        <script>'<a href=\"demo-3.0.zip\">'</script></a href='demo-4.0.zip'>",
    );
    assert_eq!((page.files.len(), page.projects.len()), (0, 0), "{}", told(&page));
}

#[test]
fn m2_old_forms_of_sdists_are_files_as_installers_take_them() {
    let names = ["demo-1.0.tar.gz", "demo-1.1.tgz", "demo-1.2.tar.bz2", "demo-1.3.tar.xz", "demo-1.4.zip"];
    let links: String = names.iter().map(|name| format!("<a href='{name}'>{name}</a>")).collect();
    let page = clean(&links);
    assert_eq!(page.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), names);
}

#[test]
fn m3_problems_are_capped_with_a_count_and_each_is_short() {
    let long = "x".repeat(100_000);
    let text: String = (0..50).map(|n| format!("<a href='é{n}{long}.whl'>x</a>")).collect();
    let page = read(&text);
    assert_eq!(page.problems.len(), 21);
    assert_eq!(page.problems[20], "30 more problems");
    assert!(page.problems.iter().all(|problem| problem.len() < 310));
}
