//! Lock files, and requirements files by their names: what `pull -r` and a variant's set read.

use super::saw;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;
use wcas::catalog::search::TagFilter;
use wcas::error::Error;
use wcas::ops::requirements::{names, wants};
use wcas::requirement::Spec;
use wcas::wheel::DistributionFilename;

pub(super) const WORDS: &[&str] = &[
    "[[packages]]\n",
    "[[package]]\n",
    "[metadata]\n",
    "[metadata.files]\n",
    "lock-version = \"1.0\"\n",
    "version = 1\n",
    "name = \"demo\"\n",
    "version = \"1.0\"\n",
    "marker = \"python_version < '3.12'\"\n",
    "markers = { main = \"extra == 'x'\" }\n",
    "resolution-markers = [\"sys_platform == 'linux'\"]\n",
    "requires-python = \">=3.9\"\n",
    "directory = { path = \".\" }\n",
    "vcs = { type = \"git\" }\n",
    "archive = { url = \"https://index.example/demo.zip\" }\n",
    "source = { registry = \"https://index.example/simple\" }\n",
    "source = { editable = \".\" }\n",
    "source = { type = \"git\" }\n",
    "wheels = [",
    "sdist = ",
    "files = [",
    "{ file = \"demo-1.0-py3-none-any.whl\", hash = \"sha256:DIGEST\" }",
    "{ url = \"https://index.example/demo-1.0-py3-none-any.whl\", hash = \"sha256:DIGEST\" }",
    "{ name = \"demo-1.0.tar.gz\", hashes = { sha256 = \"DIGEST\" } }",
    "DIGEST",
    "sha256",
    "md5:00",
    "%2e%2e%2f",
    "../",
    "\\",
    "?x#y",
    ",\n",
    "]\n",
    "\"\"\"",
    "'''",
    "{",
    "}",
    "\n",
    "nan",
    "-1",
    "\u{feff}",
    "\\u0000",
    "é",
    "\u{202e}",
    "1!2.0+local",
    "Demo_Pkg",
];

/// The names that decide how a file is read; the first byte of an input chooses.
const NAMES: [&str; 6] =
    ["pylock.toml", "uv.lock", "poetry.lock", "other.toml", "requirements.lock", "pylock.dev.toml"];

pub(super) fn check(input: &[u8]) {
    thread_local! {
        static DIR: TempDir = TempDir::new().expect("a folder");
    }
    let (first, rest) = input.split_first().unwrap_or((&b'0', &[]));
    let name = NAMES[usize::from(first.wrapping_sub(b'0')) % NAMES.len()];
    let bytes = String::from_utf8_lossy(rest).replace("DIGEST", &"ab".repeat(32)).into_bytes();
    // What is no text is tried as it came.
    let bytes = if std::str::from_utf8(rest).is_ok() { bytes } else { rest.to_vec() };
    let path = DIR.with(|dir| dir.path().join(name));
    fs::write(&path, bytes).expect("a file");
    check_file(&path);
}

fn check_file(path: &PathBuf) {
    let paths = std::slice::from_ref(path);
    let (named, wanted) = (names(paths), wants(paths, &TagFilter::default()));
    let (named, wanted) = match (named, wanted) {
        (Ok(named), Ok(wanted)) => (named, wanted),
        (Err(named), Err(wanted)) => {
            assert_eq!(named.to_string(), wanted.to_string());
            assert!(matches!(named, Error::Refused(_)), "{named:?}");
            return saw(named.to_string().rsplit(": ").next().unwrap_or_default());
        }
        (named, wanted) => panic!("named {named:?}, wanted {wanted:?}"),
    };
    named.notes.iter().chain(&named.refused).for_each(|told| saw(told.rsplit(": ").next().unwrap_or_default()));
    let projects: BTreeSet<&str> = named.projects.iter().map(|row| row.project.as_str()).collect();
    assert_eq!(projects.len(), named.projects.len(), "each project once");
    for want in &wanted.wants {
        let Spec::Filename(filename) = &want.wish.spec else { continue };
        if want.wish.sha256.is_empty() {
            continue;
        }
        // A locked file is one of a project that the file names, and its digest binds it.
        let parsed = DistributionFilename::parse(filename).unwrap_or_else(|error| panic!("{filename:?}: {error}"));
        assert!(projects.contains(parsed.project().as_str()), "{filename:?} is of none of {projects:?}");
        assert!(!filename.contains(['/', '\0', '\n']), "{filename:?}");
    }
    saw(format!("{} {}", projects.len() > 1, wanted.wants.len() > 1));
}
