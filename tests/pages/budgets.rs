//! Pages that are more than anybody needs: refused by a budget's name, before they take the memory that they ask for.

use crate::{BASE, DIGEST, try_read, url};
use wcas::budget::{LINK_BYTES, PAGE_FILES, PAGE_MEMORY, TAG_ATTRIBUTES};
use wcas::index::read::{PageError, page};

fn json(item: &str, count: usize) -> String {
    let items = vec![item; count].join(",");
    format!(r#"{{"meta":{{"api-version":"1.1"}},"files":[{items}]}}"#)
}

/// Returns the most memory that this process has had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux tells it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("it is a number of KiB") << 10
}

#[test]
fn a_page_of_too_many_files_is_refused_whatever_they_are() {
    let count = PAGE_FILES.limit as usize + 1;
    for item in ["{}", "null", r#"{"hashes":{"":0}}"#, r#"{"filename":7}"#, r#"{"filename":"a","url":"a"}"#] {
        let error = try_read(&json(item, count)).unwrap_err();
        assert_eq!(error, PageError::TooMuch(PAGE_FILES), "{item}");
    }
    let anchors = "<a href=demo-1.0.zip>x</a>".repeat(count);
    assert_eq!(try_read(&anchors).unwrap_err(), PageError::TooMuch(PAGE_FILES));
    assert!(PageError::TooMuch(PAGE_FILES).to_string().contains("budget page-files"));
    assert!(try_read(&json("{}", count - 1)).is_ok());
}

#[test]
fn a_page_takes_a_few_times_its_size_whatever_it_says() {
    const BYTES: usize = 8 << 20;
    // In a process of its own, for the other tests take memory, too.
    if std::env::var_os("WCAS_TEST_ALONE").is_none() {
        let name = "budgets::a_page_takes_a_few_times_its_size_whatever_it_says";
        let mut alone = std::process::Command::new(std::env::current_exe().expect("a test has a path"));
        let output = alone.args([name, "--exact"]).env("WCAS_TEST_ALONE", "1").output().expect("the test runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let fill = |head: &str, piece: &str, end: &str| format!("{head}{}{end}", piece.repeat(BYTES / piece.len()));
    let base = format!("{BASE}{}/", "x".repeat(8000));
    let bodies = [
        (fill(r#"{"files":[{"hashes":{"a":0"#, r#","":0"#, "}}]}"), BASE),
        (fill(r#"{"files":[],"project-status":{"a":0"#, r#","":{}"#, "}}"), BASE),
        (fill(r#"{"projects":[{"name":"a"}"#, r#",{"name":"a"}"#, "]}"), BASE),
        (fill(r#"{"files":[{"filename":""#, r"\u0001", r#""}]}"#), BASE),
        (fill("<a href='", "é", "'>x</a>"), BASE),
        (fill("<title>", "\u{1}", "</title>"), BASE),
        (fill("<html>", "<a href=a/>a</a>", ""), BASE),
    ];
    let before = peak();
    for (body, base) in bodies {
        // Whether it is taken is not the question.
        let _ = page(body.as_bytes(), None, &url(base));
    }
    // Names that differ, each with a long URL of the page's own.
    let files: String =
        (0..150_000).map(|n| format!(r#",{{"filename":"a-{n}-py3-none-any.whl","url":"a"}}"#)).collect();
    let body = format!(r#"{{"files":[null{files}]}}"#);
    assert_eq!(page(body.as_bytes(), None, &url(&base)).unwrap_err(), PageError::TooMuch(PAGE_MEMORY));
    let grown = peak().saturating_sub(before);
    assert!(grown < 160 << 20, "{} MiB for pages of {} MiB", grown >> 20, BYTES >> 20);
}

#[test]
fn a_tag_of_endless_attributes_is_refused_before_the_stack_ends() {
    for attribute in ["a=\"b\" ", "a=\"b\"\n", "a=\"b\"/", "a=b ", "a='b' ", "a ", "a=\"b\""] {
        for tag in ["<a href=demo-1.0.zip ", "<p ", "</a "] {
            let many = |count: usize| format!("<html>{tag}{}>x</a><a href=demo-2.0.zip>", attribute.repeat(count));
            assert_eq!(
                try_read(&many(1_000_000)).unwrap_err(),
                PageError::TooMuch(TAG_ATTRIBUTES),
                "{tag}{attribute:?}"
            );
            assert!(try_read(&many(90)).is_ok(), "{tag}{attribute:?}");
        }
    }
    let many_tags = "<a href=\"demo-1.0.zip\" a=\"b\" c=\"d\">x</a>".repeat(10_000);
    assert_eq!(try_read(&many_tags).unwrap().files.len(), 1);
}

#[test]
fn an_honest_page_of_many_files_is_no_excess() {
    let files: Vec<String> = (0..50_000)
        .map(|n| {
            format!(
                r#"{{"filename":"demo-{n}-py3-none-any.whl","url":"demo-{n}-py3-none-any.whl","hashes":{{"sha256":"{DIGEST}"}}}}"#
            )
        })
        .collect();
    let listed = try_read(&format!(r#"{{"files":[{}]}}"#, files.join(","))).unwrap();
    assert_eq!(listed.files.len(), 50_000);
    let anchors: String =
        (0..50_000).map(|n| format!("<a href='demo-{n}.zip#sha256={DIGEST}'>demo-{n}.zip</a><br>\n")).collect();
    assert_eq!(try_read(&anchors).unwrap().files.len(), 50_000);
}

#[test]
fn a_link_without_end_is_left_out_and_the_others_are_good() {
    let long = "x".repeat(LINK_BYTES.limit as usize);
    let listed = try_read(&format!("<a href='{long}/demo-1.0.zip'>x</a><a href='demo-2.0.zip'>x</a>")).unwrap();
    assert_eq!(listed.files.len(), 1);
    assert!(listed.problems[0].contains("budget link-bytes"), "{:?}", listed.problems);
}
