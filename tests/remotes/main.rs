//! Remotes through the real binary: what is asked of whom and how often, what is taken, what is remembered, and what stays whole
//! when a remote misbehaves.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests and their helpers may panic and say what they skip"
)]

#[path = "../support/mod.rs"]
mod support;

mod auth;
mod faults;
mod files;
mod many;
mod memory;
mod order;
mod pages;
mod patience;
mod peers;
mod push;
mod push_servers;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use support::{Env, Output, Reply, Server, Wheel};

/// Short enough for a test, and long enough for a busy machine.
pub(crate) const PATIENCE: [(&str, &str); 2] = [("WCAS_CONNECT_TIMEOUT", "5"), ("WCAS_STALL_TIMEOUT", "1")];

/// A wheel whose bytes differ with the seed.
pub(crate) fn wheel(project: &str, version: &str, seed: u64) -> Wheel {
    Wheel::new(project, version).payload(200, seed)
}

/// Lists wheels on their project's page of a server, and offers them.
pub(crate) fn offer(server: &Server, project: &str, wheels: &[Wheel]) {
    let links: String = wheels.iter().map(|wheel| server.wheel(&wheel.filename(), &wheel.bytes())).collect();
    server.route(&format!("/simple/{project}/"), Reply::html(links));
}

/// Starts a server with wheels of one project.
pub(crate) fn serve(project: &str, wheels: &[Wheel]) -> Server {
    let server = Server::start();
    offer(&server, project, wheels);
    server
}

/// Starts a server whose one project page has this text, with one file whatever its name.
pub(crate) fn serve_page(reply: Reply, path: &str, bytes: &[u8]) -> Server {
    let server = Server::start();
    server.route("/simple/demo/", reply).route(path, Reply::file(bytes));
    server
}

/// Adds a server's index as a remote.
pub(crate) fn add(env: &Env, name: &str, server: &Server, options: &[&str]) {
    let url = server.url("/simple/");
    env.ok([&["remote", "add", name, &url], options].concat());
}

/// An environment with one remote, `mirror`, of the collection `shared`.
pub(crate) fn with_remote(server: &Server, options: &[&str]) -> Env {
    let env = Env::new();
    add(&env, "mirror", server, options);
    env
}

/// Runs a command with `--json`, whose code must be this one, and returns its document.
#[track_caller]
pub(crate) fn json(env: &Env, code: i32, args: &[&str]) -> Value {
    document(&env.run([&["--json"], args].concat()), code)
}

/// Reads the document of a command whose code must be this one.
#[track_caller]
pub(crate) fn document(output: &Output, code: i32) -> Value {
    assert_eq!(output.code, code, "{output}");
    output.json()
}

/// Returns the remote that a lookup's answer came from, and the version; it must be an answer.
#[track_caller]
pub(crate) fn found(env: &Env, args: &[&str]) -> (Option<String>, String) {
    let report = json(env, 0, &[&["lookup"], args].concat());
    let path = report["path"].as_str().expect("a hit has a path");
    assert!(Path::new(path).exists(), "{report}");
    (report["remote"].as_str().map(str::to_owned), report["version"].as_str().expect("a hit has a version").to_owned())
}

/// Returns what the remotes said of a lookup that must miss.
#[track_caller]
pub(crate) fn missed(env: &Env, args: &[&str]) -> String {
    let report = json(env, 4, &[&["lookup"], args].concat());
    assert_eq!(report["hit"], false, "{report}");
    notes(&report["remotes"])
}

/// Returns notes as lines `remote: text`.
pub(crate) fn notes(rows: &Value) -> String {
    let line = |row: &Value| format!("{}: {}\n", row["remote"].as_str().unwrap(), row["text"].as_str().unwrap());
    rows.as_array().unwrap_or_else(|| panic!("{rows} are no notes")).iter().map(line).collect()
}

/// Counts the requests for a path.
pub(crate) fn asked(server: &Server, path: &str) -> usize {
    server.paths().iter().filter(|asked| *asked == path).count()
}

/// Opens the manifest beside the binary.
pub(crate) fn manifest(env: &Env) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection
}

/// Makes what is remembered of pages older.
pub(crate) fn age(env: &Env, seconds: i64) {
    let changed = manifest(env).execute("UPDATE remote_page SET fetched_at = fetched_at - ?1", [seconds]).unwrap();
    assert!(changed > 0, "nothing was remembered");
}

/// Returns all files and folders below a folder of the store.
pub(crate) fn below(env: &Env, folder: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            found.push(entry.path());
            walk(&entry.path(), found);
        }
    }
    let mut found = Vec::new();
    walk(&env.store().join(folder), &mut found);
    found
}

/// Checks that nothing is half done: staging is empty, and the store is as it says it is.
#[track_caller]
pub(crate) fn assert_whole(env: &Env) {
    let staged = below(env, "staging");
    assert!(staged.is_empty(), "staging is not empty: {staged:?}");
    env.ok(["verify"]);
}

/// Returns what `stats` counts of a remote: hits, misses, failures.
pub(crate) fn counts(env: &Env, remote: &str) -> (u64, u64, u64) {
    let stats = env.json(["stats"]);
    let rows = stats["remotes"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == remote);
    row.map_or((0, 0, 0), |row| {
        let count = |field: &str| row[field].as_u64().unwrap();
        (count("hits"), count("misses"), count("failures"))
    })
}
