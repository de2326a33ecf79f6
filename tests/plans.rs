//! What a store's growth does not slow down: which statements walk a table that grows with the store is written down here, with why.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The tables with a row for each file, or for each that was ever there.
const LARGE: [&str; 10] =
    ["blob", "distribution", "entry", "file", "hold", "inspection", "metadata", "record", "remote_first_seen", "seen"];

/// The statements that walk one of them: a file, how they begin, and why they may.
const WALKS: [(&str, &str, &str); 18] = [
    (
        "blob.rs",
        "SELECT b.id",
        "the head of statements, which have conditions, but for verify and doctor, which look at every blob",
    ),
    ("blob.rs", "SELECT (SELECT count(*) FROM blob WHERE max(", "doctor looks for times of a clock that was ahead"),
    ("collection.rs", "DELETE FROM collection", "once for a collection that is deleted"),
    ("count.rs", "SELECT count(*), sum(size) FROM file WHERE state", "stats count all"),
    ("distribution.rs", "SELECT b.blake3, d.filename", "the list of filenames beside the blobs is made anew"),
    ("cache.rs", "SELECT coalesce(sum(size), 0) FROM file", "gc with a size for a node's cache, once a run"),
    ("cache.rs", "WITH shown(id)", "gc with a size for a node's cache, once a run"),
    ("entry.rs", "SELECT c.name AS collection", "the head of statements, which have conditions"),
    (
        "entry.rs",
        "SELECT DISTINCT d.project FROM entry e JOIN distribution d ON d.blob_id = e.blob_id AND d.filename = e.filename WHERE e.collection_id = ?1 AND (e.added > ?2",
        "two revisions are compared, one request at a time: no index tells what came with a revision",
    ),
    ("file.rs", "SELECT CASE WHEN count(*)", "stats and metrics tell the oldest verification"),
    ("file.rs", "SELECT max(iif(", "the page about health, once in a minute"),
    ("garbage.rs", "UPDATE entry SET removed_at", "gc, once a run"),
    ("growth.rs", "WITH newest(collection_id", "the page about history: no index tells what came with a revision"),
    ("record.rs", "SELECT number, digest FROM record ORDER BY number DESC LIMIT 1", "the last row alone is read"),
    ("remote_page.rs", "DELETE FROM remote_first_seen", "gc, once a run"),
    ("snapshot.rs", "UPDATE blob SET generation", "unshare and restore, at their end"),
    ("soundness.rs", "SELECT count(*) FROM file f LEFT JOIN blob", "doctor compares the rows of both"),
    ("view.rs", "WITH known(id)", "from the last row back to the last one that a tree shows"),
];

/// Returns the texts in a Rust source that are whole statements of SQL.
fn statements(source: &str) -> Vec<String> {
    let mut code = source.split("#[cfg(test)]").next().unwrap().to_owned();
    // An expression that two statements have in common: any will do.
    while let Some(at) = code.find("state_of_blob!(),") {
        let (start, end) = (code[..at].rfind('"').unwrap(), at + code[at..].find('"').unwrap());
        code.replace_range(start..=end, "NULL");
    }
    let mut found = Vec::new();
    let mut rest = code.as_str();
    while let Some(start) = rest.find('"') {
        let mut text = String::new();
        let mut chars = rest[start + 1..].char_indices();
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = start + 1 + at + 1;
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, '\n')) => text.push(' '),
                    Some((_, c)) => text.push(c),
                    None => {}
                },
                c => text.push(c),
            }
        }
        rest = &rest[end..];
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if ["SELECT ", "WITH ", "INSERT ", "UPDATE ", "DELETE "].iter().any(|verb| text.starts_with(verb)) {
            found.push(text);
        }
    }
    found
}

/// Returns the large tables that a statement walks; `None`: it is a part of one, which is put together elsewhere.
fn walked(connection: &Connection, sql: &str) -> Option<Vec<String>> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).ok()?;
    let steps = statement.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<Vec<_>, _>>().ok()?;
    let mut tables = Vec::new();
    for step in steps {
        let Some(table) = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next()) else { continue };
        // A partial index is walked for the few rows that it has.
        if !step.contains("INDEX") || step.contains("autoindex") {
            tables.push(table.to_owned());
        }
    }
    // An alias stands for its table.
    let words: Vec<&str> = sql.split([' ', ',', '(', ')']).collect();
    let named = |alias: &String| match words.windows(2).find(|pair| pair[1] == alias && LARGE.contains(&pair[0])) {
        Some(pair) => Some(pair[0].to_owned()),
        None => LARGE.contains(&alias.as_str()).then(|| alias.clone()),
    };
    Some(tables.iter().filter_map(named).collect())
}

#[test]
fn what_walks_a_large_table_is_written_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manifest");
    let connection = Connection::open_in_memory().unwrap();
    for number in 1.. {
        let Ok(step) = fs::read_to_string(root.join(format!("schema/{number}.sql"))) else { break };
        connection.execute_batch(&step).unwrap();
    }
    let (mut looked, mut walks, mut used) = (0, Vec::new(), BTreeSet::new());
    let entries = [root.clone(), root.join("replica")].map(|dir| fs::read_dir(dir).unwrap());
    let mut files: Vec<_> = entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in
        files.iter().filter(|path| path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs"))
    {
        let name = path.file_name().unwrap().to_str().unwrap();
        for sql in statements(&fs::read_to_string(path).unwrap()) {
            let Some(tables) = walked(&connection, &sql) else { continue };
            looked += 1;
            if tables.is_empty() {
                continue;
            }
            match WALKS.iter().find(|(file, start, _)| *file == name && sql.starts_with(start)) {
                Some(walk) => drop(used.insert(walk)),
                None => walks.push(format!("{name}: {tables:?}: {sql}")),
            }
        }
    }
    assert!(looked > 150, "statements are written otherwise: {looked}");
    assert!(walks.is_empty(), "these walk tables that grow with the store:\n{}", walks.join("\n"));
    let gone: Vec<_> = WALKS.iter().filter(|walk| !used.contains(walk)).collect();
    assert!(gone.is_empty(), "these are no longer there, or walk no more: {gone:?}");
}
