//! The command line, through the real binary: answers, messages and exit codes, a file for each family of commands.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests and their helpers may panic and say what they skip"
)]

#[path = "../support/mod.rs"]
mod support;

mod archives;
mod audit;
mod clients;
mod collection;
mod compare;
mod complete;
mod config;
mod dry_run;
mod gc;
mod guard;
mod import;
mod inspect;
mod json;
mod list;
mod lock;
mod log;
mod machine;
mod migration;
mod misuse;
mod names;
mod near;
mod ownership;
mod remote;
mod room;
mod route;
mod run;
mod status;
mod store;
mod terminal;
mod tree;
mod tree_changes;
mod variants;
mod view;
mod webhook;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use support::{Env, Output};

/// Returns the elements of an array.
#[track_caller]
fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no array"))
}

/// Returns a text field of each row of an array.
#[track_caller]
fn texts<'a>(rows: &'a Value, field: &str) -> Vec<&'a str> {
    array(rows).iter().map(|row| row[field].as_str().unwrap_or_else(|| panic!("{row} has no {field}"))).collect()
}

/// Runs a command with `--json` that must end with this code, and returns its document.
#[track_caller]
fn json_with_code(env: &Env, code: i32, args: &[&str]) -> Value {
    let output = env.run([&["--json"], args].concat());
    assert_eq!(output.code, code, "{args:?}:\n{output}");
    output.json()
}

/// Runs a command that must fail with this code, and returns what it says.
#[track_caller]
fn refused(env: &Env, code: i32, args: &[&str]) -> Output {
    let output = env.run(args);
    assert_eq!((output.code, output.stdout.as_str()), (code, ""), "{args:?}:\n{output}");
    output
}

/// Returns the path of a distribution's blob.
fn blob(env: &Env, spec: &str) -> PathBuf {
    PathBuf::from(env.json(["show", spec])["distributions"][0]["path"].as_str().expect("a path"))
}

/// Puts other bytes in the place of a file, which is read-only.
fn overwrite(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::remove_file(path).and_then(|()| fs::write(path, bytes)).expect("the test owns the store");
}

/// Returns all files below a folder, sorted, relative to it.
fn files(dir: &Path) -> Vec<String> {
    let walk =
        walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(|entry| entry.expect("a readable folder"));
    let files = walk.filter(|entry| !entry.file_type().is_dir());
    files.map(|entry| entry.path().strip_prefix(dir).expect("it is below").display().to_string()).collect()
}

/// Asserts an inline snapshot of a command's output, with times and durations replaced.
macro_rules! assert_output {
    ($output:expr, @$snapshot:literal) => {
        insta::with_settings!({filters => vec![
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time]"),
            (r"unknown@\S+ +", "[who]  "),
            (r"WHO +", "WHO  "),
            (r"in \d+\.\d\d s \([^)]+/s\)", "in [duration]"),
            // Whether one is told in the plural isn't what the tests are for.
            (r"\b1 distributions\b", "1 distribution"),
        ]}, { insta::assert_snapshot!($output, @$snapshot) });
    };
}
pub(crate) use assert_output;
