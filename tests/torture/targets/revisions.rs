//! Collections at revisions, as people and paths say them: `cuda`, `cuda@41`, `cuda@release`.

use super::saw;
use super::site::Site;
use wcas::Store;
use wcas::catalog::at::RevisionSpec;
use wcas::error::ErrorKind;
use wcas::ops::collection::diff;
use wcas::server::Anonymous;
use wcas::share::Location;

pub(super) const WORDS: &[&str] = &[
    "cuda",
    "@",
    "1",
    "0",
    "-1",
    "+1",
    "01",
    "9223372036854775808",
    "first",
    "latest",
    " ",
    "\n",
    "cuda@1\ncuda\n",
    "/",
    "..",
    ".",
    "_",
    "-",
    "Cuda",
    "é",
    "\0",
    "\u{202e}",
    "@@",
    "cuda@first",
    "shared",
    "all",
    "s3://bucket/prefix",
    "gs://",
    "az://",
    "file:///",
    "file://",
    "//",
    "?",
    "#",
    "%2e",
    ":",
    "//u:p@",
];

struct Bench {
    store: Store,
    #[expect(dead_code, reason = "its folder goes when the value does")]
    site: Site,
}

pub(super) fn check(input: &[u8]) {
    thread_local! {
        static BENCH: Bench = {
            let site = Site::new(Anonymous::Read);
            Bench { store: Store::open(&site.store()).expect("a store"), site }
        };
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    let specs: Vec<RevisionSpec> = text.lines().take(20).filter_map(spec).collect();
    text.lines().take(20).for_each(place);
    BENCH.with(|bench| specs.iter().zip(specs.iter().cycle().skip(1)).for_each(|(from, to)| compare(bench, from, to)));
}

fn spec(line: &str) -> Option<RevisionSpec> {
    match line.parse::<RevisionSpec>() {
        Ok(spec) => {
            assert_eq!(spec.to_string(), line, "it prints as it was written");
            Some(spec)
        }
        Err(error) => {
            saw(error);
            None
        }
    }
}

/// What differs one way differs the other way.
fn compare(bench: &Bench, from: &RevisionSpec, to: &RevisionSpec) {
    match (diff(&bench.store, from, to), diff(&bench.store, to, from)) {
        (Ok(there), Ok(back)) => {
            assert_eq!(there.changes.len(), back.changes.len());
            assert_eq!((&there.from, &there.to), (&back.to, &back.from));
            if let Some(number) = from.revision.as_deref().and_then(|text| text.parse::<i64>().ok()) {
                assert_eq!(there.from, format!("{}@{number}", from.collection), "{from}");
            }
            saw(format!("{} {:?}", there.changes.is_empty(), from.revision.is_some()));
        }
        (Err(there), Err(back)) => {
            assert!(matches!(there.kind(), ErrorKind::NotFound), "{there:?}");
            assert!(matches!(back.kind(), ErrorKind::NotFound), "{back:?}");
            saw(there.to_string().split_whitespace().take(2).collect::<String>());
        }
        (there, back) => panic!("{from} to {to}: {there:?}, back {back:?}"),
    }
}

/// A place of a share is one that is understood, or refused before anything is asked.
fn place(line: &str) {
    let location = Location { url: line.to_owned(), endpoint: None, region: None, log: None };
    if !line.starts_with("file://") {
        return;
    }
    match wcas::share::Share::at(&location) {
        Ok(share) => {
            assert!(location.folder().is_some_and(std::path::Path::is_absolute), "{line:?}");
            saw(share.url() == line);
        }
        Err(error) => saw(error),
    }
}
