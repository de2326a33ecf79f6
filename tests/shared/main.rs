//! A shared store: several nodes with a folder for a share, through the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests and their helpers may panic and say what they skip"
)]

#[path = "../support/mod.rs"]
mod support;

mod at_once;
mod backup;
mod bucket;
mod cloud_web;
mod clouds;
mod cluster;
mod coming;
mod cut_off;
mod database;
mod direct;
mod disk;
mod faults;
mod moves;
mod nodes;
mod pruned;
mod redirect;
mod requests;
mod segments;
mod served;
mod site;
mod stress;
mod verify;
mod versions;
mod web;
mod webhooks;

use std::fs;
use std::path::{Path, PathBuf};
use support::{Env, Wheel};

/// Nodes of one shared store: each has a folder of its own, that of the first has the share as well.
struct Team {
    nodes: Vec<Env>,
}

impl Team {
    fn new(count: usize) -> Self {
        let nodes: Vec<Env> = (0..count).map(|_| Env::new()).collect();
        let url = format!("file://{}", nodes[0].path("share").display());
        Self::at(nodes, &["--share", &url])
    }

    /// Makes nodes of a share that these arguments say.
    fn at(nodes: Vec<Env>, share: &[&str]) -> Self {
        for (number, node) in nodes.iter().enumerate() {
            let made = node.json([&["init"], share].concat());
            assert_eq!(
                (made["share"].as_str().unwrap(), made["node"].as_u64().unwrap()),
                (share[1], number as u64 + 1)
            );
        }
        Self { nodes }
    }

    /// Makes a team whose first node has these wheels.
    fn with(count: usize, wheels: &[Wheel]) -> Self {
        let team = Self::new(count);
        team.import(0, wheels);
        team
    }

    fn import(&self, node: usize, wheels: &[Wheel]) {
        let dist = self.nodes[node].path("dist");
        let _ = fs::remove_dir_all(&dist);
        fs::create_dir(&dist).unwrap();
        wheels.iter().for_each(|wheel| drop(wheel.write_to(&dist)));
        self.nodes[node].ok(["import", "dist"]);
    }

    /// Lets all nodes import at once, so many times, a wheel of their own and one that is everybody's.
    fn import_at_once(&self, times: usize) {
        std::thread::scope(|scope| {
            for (number, node) in self.nodes.iter().enumerate() {
                scope.spawn(move || {
                    for import in 0..times {
                        let dist = node.path(format!("dist{import}"));
                        fs::create_dir(&dist).unwrap();
                        wheels(&format!("own{number}x{import}x"), 1)[0].write_to(&dist);
                        wheels(&format!("all{import}x"), 1)[0].write_to(&dist);
                        node.ok(["import", dist.to_str().unwrap()]);
                    }
                });
            }
        });
    }

    fn share(&self) -> PathBuf {
        self.nodes[0].path("share")
    }

    fn url(&self) -> String {
        format!("file://{}", self.share().display())
    }

    /// Returns the files of blobs in the share, without the folders that they are in.
    fn objects(&self) -> Vec<PathBuf> {
        files_below(&self.share().join("blobs"))
    }

    /// Makes sure that all nodes have the same truth, and that it is sound.
    #[track_caller]
    fn assert_equal(&self) {
        let truth = |node: &Env| {
            // Whoever opens the store reads the log to its end.
            let doctor = node.json(["doctor"]);
            let problems =
                doctor["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "problem");
            assert_eq!(problems.count(), 0, "{doctor}");
            shared_rows(&node.store())
        };
        let first = truth(&self.nodes[0]);
        for node in &self.nodes[1..] {
            assert_eq!(truth(node), first);
        }
    }
}

/// Returns all files below a folder.
fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Returns the blobs that a node's folder has.
fn blobs(node: &Env) -> Vec<PathBuf> {
    files_below(&node.store().join("blobs/b3"))
}

/// Tables that say what is true of one folder; all others are compared.
const OF_ONE_FOLDER: [&str; 19] = [
    "file",
    "quarantine",
    "change",
    "here",
    "session",
    "hold",
    "seen",
    "token_use",
    "view_shown",
    "lookup_count",
    "download",
    "remote_count",
    "remote_health",
    "remote_page",
    "remote_failure",
    "remote_refusal",
    "remote_metadata",
    "remote_first_seen",
    "want",
];

/// Returns the rows of all tables that nodes share.
fn shared_rows(store: &Path) -> Vec<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let manifest = rusqlite::Connection::open_with_flags(store.join("manifest.sqlite"), flags).unwrap();
    let strings = |sql: &str| -> Vec<String> {
        let mut statement = manifest.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let tables =
        strings("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name");
    let mut lines = Vec::new();
    for table in tables.iter().filter(|table| !OF_ONE_FOLDER.contains(&table.as_str())) {
        let columns = strings(&format!("SELECT name FROM pragma_table_info('{table}')"));
        let values = columns.iter().map(|column| format!("quote({column})")).collect::<Vec<_>>().join(" || ' ' || ");
        lines.extend(strings(&format!("SELECT '{table} ' || {values} AS line FROM {table} ORDER BY line")));
    }
    lines
}

/// Tells whether a command says that what nodes have in common can't be asked.
fn blames_share(text: &str) -> bool {
    text.contains("the share") || text.contains("the bucket")
}

/// Returns wheels of so many projects.
fn wheels(prefix: &str, count: usize) -> Vec<Wheel> {
    (0..count).map(|number| Wheel::new(&format!("{prefix}{number}"), "1.0").payload(2000, number as u64)).collect()
}
