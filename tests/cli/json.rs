//! The documents of `--json`: the fields that others rely on, each with its type. More fields are welcome.

use crate::support::{Env, Wheel};
use crate::{blob, json_with_code, overwrite};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Asserts that a document or row has these fields: `name:type`, types `text`, `number`, `bool`, `list`, `map`, `digest`, with `?`
/// when it may be null.
#[track_caller]
fn assert_fields(value: &Value, fields: &str) {
    for field in fields.split_whitespace() {
        let (name, kind) = field.split_once(':').unwrap();
        let found = value.get(name).unwrap_or_else(|| panic!("{name} is missing in {value}"));
        let is_digest =
            |text: &str| text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_right = match kind.trim_end_matches('?') {
            _ if kind.ends_with('?') && found.is_null() => true,
            "text" => found.is_string(),
            "number" => found.is_number(),
            "bool" => found.is_boolean(),
            "list" => found.is_array(),
            "map" => found.is_object(),
            "digest" => found.as_str().is_some_and(is_digest),
            other => panic!("{other} is no type"),
        };
        assert!(is_right, "{name} must be {kind}: {found}");
    }
}

#[track_caller]
fn document(env: &Env, code: i32, args: &[&str], fields: &str) -> Value {
    let document = json_with_code(env, code, args);
    let command = if args[0] == "collection" { args[..2].join("-") } else { args[0].to_owned() };
    assert_eq!(document["schema"], format!("wcas.{command}/1"), "{args:?}");
    assert_fields(&document, fields);
    document
}

fn filled() -> Env {
    let env = Env::new();
    Wheel::new("demo", "1.0").build("3").payload(100, 1).write_to(env.path("in"));
    Wheel::new("other", "2.0").write_to(env.path("in"));
    fs::write(env.path("in/bad-1.0-py3-none-any.whl"), "bad").unwrap();
    fs::write(env.path("in/README"), "").unwrap();
    json_with_code(&env, 3, &["import", "in"]);
    env
}

#[test]
fn import_tells_each_distribution_and_each_refusal() {
    let env = filled();
    let report =
        document(&env, 3, &["import", "in"], "collection:text revision:number distributions:list refused:list");
    assert_eq!(report["collection"], "shared");
    let row = &report["distributions"][0];
    assert_fields(row, "filename:text collection:text project:text version:text build_tag:text? blake3:digest");
    assert_fields(row, "sha256:digest size:number outcome:text");
    assert_eq!((&row["build_tag"], &row["version"]), (&"3".into(), &"1.0".into()));
    assert_fields(&report["refused"][0], "path:text reason:text");
}

#[test]
fn lookup_tells_a_hit_and_a_miss_with_the_same_fields() {
    let env = filled();
    let hit = "hit:bool filename:text path:text collection:text remote:text? sha256:digest";
    let found = document(&env, 0, &["lookup", "demo"], hit);
    assert_eq!((&found["hit"], &found["remote"]), (&true.into(), &Value::Null));
    let miss = "hit:bool filename:text? path:text? collection:text? remote:text? sha256:digest?";
    assert_eq!(document(&env, 4, &["lookup", "absent"], miss)["hit"], false);
}

#[test]
fn list_show_why_and_stats_have_their_fields() {
    let env = filled();
    let list = document(&env, 0, &["list"], "distributions:list");
    assert_fields(&list["distributions"][0], "collection:text filename:text project:text version:text build_tag:text?");
    assert_fields(&list["distributions"][0], "sha256:digest blake3:digest size:number added_revision:number");
    assert_eq!(document(&env, 4, &["list", "absent"], "distributions:list")["distributions"], serde_json::json!([]));
    let show = document(&env, 0, &["show", "demo"], "distributions:list");
    assert_fields(&show["distributions"][0], "filename:text collections:map size:number path:text requires_dist:list");
    let why = document(&env, 0, &["why", "demo"], "blobs:list");
    assert_fields(&why["blobs"][0]["reasons"][0], "kind:text by:text since:number? freed_by:text");
    let stats = document(&env, 0, &["stats"], "blobs:map collections:list lookups:map");
    assert_fields(&stats["blobs"], "count:number bytes:number");
    assert_fields(
        &stats["collections"][0],
        "name:text revision:number distributions:number bytes:number unique_bytes:number",
    );
    assert_fields(&stats["lookups"], "hits:number misses:number by_collection:map by_remote:map");
}

#[test]
fn verify_and_gc_have_their_fields() {
    let env = filled();
    overwrite(&blob(&env, "demo"), "other bytes");
    let verify = document(&env, 3, &["verify"], "checked:number bytes:number problems:list");
    assert_fields(&verify["problems"][0], "kind:text blake3:digest path:text filenames:list");
    assert_eq!(verify["problems"][0]["kind"], "corrupt");
    let gc =
        document(&env, 0, &["gc", "--unused-for", "0"], "dry_run:bool references:list blobs:number freed_bytes:number");
    assert_fields(&gc["references"][0], "collection:text filename:text reason:text");
    assert_eq!(document(&env, 0, &["gc", "--dry-run"], "dry_run:bool")["dry_run"], true);
}

#[test]
fn what_changes_references_answers_with_what_changed() {
    let env = filled();
    let gone = document(&env, 0, &["invalidate", "demo"], "dry_run:bool operation:number removed:list");
    assert_fields(&gone["removed"][0], "collection:text filename:text");
    let back = document(&env, 0, &["undo"], "operation:number what:text restored:list refused:list");
    assert_eq!(back["restored"], gone["removed"]);
    assert_eq!(back["operation"], gone["operation"]);
    for command in ["pin", "unpin"] {
        document(&env, 0, &[command, "demo"], "blobs:list filenames:list");
    }
    document(&env, 0, &["pin"], "pins:list");
    for command in ["yank", "unyank"] {
        assert_eq!(document(&env, 0, &[command, "demo"], "changed:list")["changed"], gone["removed"]);
    }
}

#[test]
fn collection_commands_answer_too() {
    let env = filled();
    let row = "name:text revision:number distributions:number fallbacks:list retention:map snapshots:map";
    document(&env, 0, &["collection", "create", "cuda"], row);
    document(&env, 0, &["collection", "set", "cuda", "--fallback", "shared"], row);
    assert_fields(&document(&env, 0, &["collection", "list"], "collections:list")["collections"][0], row);
    let copy = "from:text from_revision:number to:text revision:number copied:list unchanged:number refused:list";
    document(&env, 0, &["collection", "copy", "shared", "cuda"], copy);
    let diff = document(&env, 0, &["collection", "diff", "cuda@0", "cuda"], "from:text to:text changes:list");
    assert_fields(&diff["changes"][0], "filename:text change:text before:digest? after:digest?");
    let log = document(&env, 0, &["collection", "log", "cuda"], "collection:text revisions:list");
    assert_fields(
        &log["revisions"][0],
        "revision:number at:number operation:number kind:text what:text who:text added:number",
    );
    document(&env, 0, &["collection", "snapshot", "cuda", "release"], "collection:text name:text revision:number");
    document(&env, 0, &["collection", "rollback", "cuda", "0"], "collection:text to:number revision:number");
    document(&env, 0, &["collection", "delete", "cuda", "--yes"], "collection:text distributions:number");
}

#[test]
fn a_view_answers_with_the_page_of_pep_691_and_a_tree_with_a_report() {
    let env = filled();
    let page = json_with_code(&env, 0, &["view"]);
    assert_eq!(page, env.run(["view", "--format", "json"]).json(), "--json is the format for pages");
    assert_fields(&page, "meta:map name:text projects:list files:list");
    assert_fields(&page["files"][0], "filename:text url:text hashes:map size:number upload-time:text");
    let report = "collection:text revision:number path:text files:number projects:number made:number left_out:list";
    document(&env, 0, &["view", "--to", "tree"], report);
}

#[test]
fn a_failure_prints_no_document() {
    let env = filled();
    // But what was looked for in vain is told, as by a lookup.
    let missed = document(&env, 4, &["show", "absent"], "distributions:list misses:list");
    assert_fields(&missed["misses"][0], "spec:text project:text has:list left_out:list elsewhere:list similar:list");
    for args in
        [&["--json", "show", "demo", "--collection", "absent"][..], &["--json", "list", "--collection", "absent"]]
    {
        let output = env.run(args);
        assert_eq!((output.code, output.stdout.as_str()), (4, ""), "{output}");
    }
}

#[test]
fn every_document_is_described() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_to_string(root.join("docs/cli.md")).unwrap();
    // What is in a block of code before the first brace of a line: `pin, unpin {schema, …`.
    let described: BTreeSet<&str> = docs
        .lines()
        .filter_map(|line| Some(line.split_once("{schema")?.0))
        .flat_map(|names| names.split([',', ' ']))
        .filter(|name| !name.is_empty())
        .collect();
    let mut missing = Vec::new();
    let mut known = 0;
    for file in fs::read_dir(root.join("src/cli")).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        for call in [".report(", ".done(", ".table(", ".report_as_is("] {
            for after in source.split(call).skip(1) {
                // A name that is a variable has its calls elsewhere.
                let Some(name) = after.trim_start().strip_prefix('"').and_then(|text| text.split('"').next()) else {
                    continue;
                };
                known += 1;
                if !described.contains(name) {
                    missing.push(name.to_owned());
                }
            }
        }
    }
    assert!(known > 50, "the calls are written otherwise: {known}");
    assert!(missing.is_empty(), "docs/cli.md says nothing of {missing:?}");
}

#[test]
fn what_is_empty_is_an_answer() {
    let env = Env::new();
    env.ok(["collection", "create", "a"]);
    for (args, list) in [
        ("list", "distributions"),
        ("remote list", "remotes"),
        ("token list", "tokens"),
        ("publisher list", "publishers"),
        ("webhook list", "webhooks"),
        ("webhook deliveries", "deliveries"),
        ("block list", "blocks"),
        ("reserve", "reservations"),
        ("pin", "pins"),
        ("wants", "wants"),
        ("collection log a", "revisions"),
        ("collection status a", "projects"),
        ("collection diff a a", "changes"),
        ("log --project nobody", "records"),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        assert_eq!(env.json(&args)[list], serde_json::json!([]), "{args:?}");
        let output = env.ok(&args);
        assert_eq!(output.stdout, "", "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?} says nothing");
        assert_eq!(env.ok([&["-q"], &args[..]].concat()).stderr, "", "{args:?}");
    }
}

#[test]
fn an_error_is_a_document_after_what_people_read() {
    let env = filled();
    for (args, code, kind) in [
        (&["collection", "show", "none"][..], 4, "not-found"),
        (&["undo", "99"], 4, "not-found"),
        (&["reserve", "acme"], 2, "usage"),
    ] {
        let plain = env.run(args);
        let output = env.run([&["--json"], args].concat());
        assert_eq!((output.code, output.stdout.as_str()), (code, ""), "{output}");
        let (text, document) = output.stderr.trim_end().rsplit_once('\n').unwrap();
        assert_eq!(text, plain.stderr.trim_end(), "what people read stays");
        let document: Value = serde_json::from_str(document).unwrap();
        assert_eq!(document["schema"], "wcas.error/1");
        assert_eq!((&document["error"]["kind"], &document["error"]["exit_code"]), (&kind.into(), &code.into()));
        let message = document["error"]["message"].as_str().unwrap();
        assert!(plain.stderr.starts_with(&format!("wcas: {message}")), "{document}");
        assert!(document["error"]["causes"].is_array() && document["error"].get("hint").is_some(), "{document}");
    }
}
