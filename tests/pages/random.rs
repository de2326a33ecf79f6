//! Pages gone wrong in every way: reading never panics, and what it lists is safe.

use crate::{BASE, DIGEST, WHEEL, url};
use proptest::prelude::*;
use wcas::index::read::page;
use wcas::wheel::DistributionFilename;

const LABELS: [Option<&str>; 3] = [None, Some("text/html"), Some("application/vnd.pypi.simple.v1+json")];

/// Good pages with all that a page may have, to be damaged.
fn good() -> Vec<String> {
    let html = format!(
        "<!DOCTYPE html><html><head><meta name=\"pypi:repository-version\" content=\"1.0\"><base href=\"../x/\"><title>Links for demo</title></head>\
         <body><a href=\"{WHEEL}#sha256={DIGEST}\" data-requires-python=\"&gt;=3.8\" data-yanked=\"a &amp; b\" data-core-metadata=\"sha256={DIGEST}\" \
         data-size=\"7\" data-upload-time=\"2024-12-31T23:59:59.5Z\">{WHEEL}</a><a href='https://u:p@files.example/..%2fdemo-1.0.zip'>x</a>\
         <script>a</script><a href=demo/>demo</a></body></html>"
    );
    let json = format!(
        r#"{{"meta":{{"api-version":"1.1"}},"name":"demo","projects":[{{"name":"demo"}}],"files":[{{"filename":"{WHEEL}","url":"https://u:p@files.example/{WHEEL}#sha256={DIGEST}","hashes":{{"sha256":"{DIGEST}"}},"requires-python":"\u003e=3.8","yanked":"x","core-metadata":{{"sha256":"{DIGEST}"}},"size":7,"upload-time":"2024-12-31T23:59:59.5Z"}}]}}"#
    );
    vec![html, json]
}

fn check(body: &[u8]) -> Result<(), TestCaseError> {
    for label in LABELS {
        let Ok(page) = page(body, label, &url(BASE)) else { continue };
        prop_assert!(page.problems.len() <= 22);
        for file in &page.files {
            let name = file.name.as_str();
            let is_plain = !name.contains(['/', '\\', '\0', '\u{fffd}']) && !name.starts_with('.');
            prop_assert!(is_plain, "{name:?} is one plain segment");
            let again = DistributionFilename::parse(name);
            prop_assert_eq!(again.as_ref(), Ok(&file.name));
            prop_assert!(matches!(file.url.scheme(), "http" | "https") && file.url.fragment().is_none());
            prop_assert!(file.url.username().is_empty(), "no credentials go to another host: {}", file.url);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn m2_arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..2000)) {
        check(&body)?;
    }

    #[test]
    fn m2_arbitrary_text_of_markup_never_panics(body in "([<>/\"'= {}\\[\\]:,#&;%]|a|href|base|meta|sha256|demo-1\\.0\\.zip|&amp;|\\.\\.|\\PC){0,200}") {
        check(body.as_bytes())?;
    }

    #[test]
    fn m2_damaged_pages_never_panic(
        which in 0..2usize,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..4usize, any::<u8>(), 0..60usize), 1..8),
    ) {
        let mut body = good()[which].clone().into_bytes();
        for (at, kind, byte, length) in edits {
            let at = at.index(body.len().max(1)).min(body.len());
            let end = (at + length).min(body.len());
            match kind {
                0 => body.insert(at, byte),
                1 => drop(body.drain(at..end)),
                2 => body.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
                _ => {
                    let copy = body[at..end].to_vec();
                    body.splice(at..at, copy);
                }
            }
        }
        check(&body)?;
    }
}
