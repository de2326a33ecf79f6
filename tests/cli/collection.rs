//! `wcas collection`, `invalidate`, `undo`: history, and what can be taken back.

use crate::support::{Env, Wheel};
use crate::{array, assert_output, json_with_code, refused, texts};
use serde_json::Value;
use std::fs;

fn put(env: &Env, version: &str, seed: u64, collection: &str) {
    let dir = env.path("in");
    // There is none the first time.
    drop(fs::remove_dir_all(&dir));
    Wheel::new("demo", version).payload(100, seed).write_to(dir);
    env.ok(["import", "in", "--collection", collection]);
}

fn names(env: &Env, spec: &str) -> String {
    let (collection, revision) = spec.split_once('@').unwrap_or((spec, ""));
    let mut args = vec!["view", "--collection", collection];
    if !revision.is_empty() {
        args.extend(["--at", revision]);
    }
    let page = env.json(args);
    let versions = texts(&page["files"], "filename");
    versions.iter().map(|name| name.split('-').nth(1).expect("a version")).collect::<Vec<_>>().join(" ")
}

#[test]
fn history_is_told_newest_first() {
    let env = Env::new();
    put(&env, "1.0", 1, "cuda");
    put(&env, "2.0", 2, "cuda");
    env.ok(["invalidate", "demo==1.0"]);
    env.ok(["undo"]);
    env.ok(["collection", "snapshot", "cuda@2", "release"]);
    env.ok(["collection", "rollback", "cuda", "1"]);
    assert_output!(env.run(["collection", "log", "cuda"]), @r"
    exit 0
    --- stdout
    REVISION  TIME                  OPERATION  KIND        CHANGES  WHO  WHAT
           5  [time]          5  rollback    +0 -1    [who]  to 1
           4  [time]          4  undo        +1 -0    [who]  invalidate demo==1.0
           3  [time]          3  invalidate  +0 -1    [who]  demo==1.0 (undone by 4)
           2  [time]          2  import      +1 -0    [who]  1 distribution into cuda [release]
           1  [time]          1  import      +1 -0    [who]  1 distribution into cuda
    ");
    assert_output!(env.run(["collection", "list"]), @r"
    exit 0
    --- stdout
    COLLECTION  REVISION  DISTRIBUTIONS  FALLBACKS  RULES  SNAPSHOTS
    cuda               5              1  -          -      release@2
    ");
    assert_output!(env.run(["collection", "diff", "cuda@release", "cuda"]), @r"
    exit 0
    --- stdout
    CHANGE   PROJECT  VERSIONS     SIZE
    changed  demo     2.0 goes  -1.1 kB
    ");
    env.ok(["collection", "set", "cuda", "--accelerator", "none"]);
    let rows = env.json(["collection", "log", "cuda"])["revisions"].clone();
    let guard = array(&rows).iter().find(|row| row["kind"] == "guard").unwrap();
    assert_eq!((&guard["operation"], &guard["revision"]), (&Value::Null, &5.into()), "{guard}");
    assert_eq!(guard["what"], r#"{"accelerators":"any"} -> {"accelerators":"none"}"#);
}

#[test]
fn a_collection_at_a_revision_is_what_it_was_then() {
    let env = Env::new();
    put(&env, "1.0", 1, "cuda");
    put(&env, "2.0", 2, "cuda");
    put(&env, "1.0", 3, "cuda");
    env.ok(["invalidate", "demo==2.0"]);
    for (spec, versions) in
        [("cuda@0", ""), ("cuda@1", "1.0"), ("cuda@2", "1.0 2.0"), ("cuda@3", "1.0 2.0"), ("cuda", "1.0")]
    {
        assert_eq!(names(&env, spec), versions, "{spec}");
    }
    let changes = |from: &str, to: &str| {
        let diff = env.json(["collection", "diff", from, to]);
        let words = texts(&diff["changes"], "change");
        words.join(" ")
    };
    assert_eq!(changes("cuda@1", "cuda@2"), "added");
    assert_eq!(changes("cuda@2", "cuda@3"), "replaced");
    assert_eq!(changes("cuda@3", "cuda@4"), "removed");
    assert_eq!(changes("cuda@1", "cuda"), "replaced");
    assert_eq!(changes("cuda", "cuda@4"), "");
}

#[test]
fn a_rollback_is_a_new_revision_and_can_be_rolled_back_itself() {
    let env = Env::new();
    put(&env, "1.0", 1, "cuda");
    put(&env, "2.0", 2, "cuda");
    assert_output!(env.run(["collection", "rollback", "cuda", "1"]), @r"
    exit 0
    --- stdout
    cuda@3 has the content of cuda@1: 0 added, 1 removed
    ");
    assert_eq!(names(&env, "cuda"), "1.0");
    assert_eq!(env.json(["collection", "rollback", "cuda", "2"])["revision"], 4);
    assert_eq!(names(&env, "cuda"), "1.0 2.0");
    assert_eq!(env.json(["collection", "rollback", "cuda", "2"])["revision"], 4, "what it is already is no change");
    env.ok(["collection", "rollback", "cuda", "0"]);
    assert_eq!(names(&env, "cuda"), "");
    assert_output!(refused(&env, 4, &["collection", "rollback", "cuda", "9"]), @r"
    exit 4
    --- stderr
    wcas: collection cuda has no revision 9: the newest is 5
    ");
    assert_output!(refused(&env, 4, &["collection", "rollback", "cuda", "release"]), @r"
    exit 4
    --- stderr
    wcas: collection cuda has no revision release: there is no snapshot of that name
    ");
}

#[test]
fn a_copy_moves_references_and_keeps_what_it_meets_unless_told() {
    let env = Env::new();
    put(&env, "1.0", 1, "cuda");
    put(&env, "2.0", 2, "cuda");
    assert_output!(env.run(["collection", "copy", "cuda@1", "prod"]), @r"
    exit 0
    --- stdout
    cuda@1 to prod@1: 1 copied, 0 unchanged
    ");
    assert_eq!(names(&env, "prod"), "1.0");
    put(&env, "1.0", 9, "prod");
    assert_output!(env.run(["collection", "copy", "cuda", "prod"]), @r"
    exit 3
    --- stdout
    cuda@2 to prod@3: 1 copied, 0 unchanged
    --- stderr
    prod has demo-1.0-py3-none-any.whl with other bytes and keeps it; --replace takes the new ones
    ");
    assert_output!(env.run(["collection", "copy", "cuda", "prod", "--replace"]), @r"
    exit 0
    --- stdout
    cuda@2 to prod@4: 1 copied, 1 unchanged
    ");
    assert_eq!(env.json(["collection", "diff", "cuda", "prod"])["changes"], serde_json::json!([]));
    assert_eq!(env.json(["collection", "copy", "cuda", "prod"])["unchanged"], 2);
    assert_eq!(env.json(["stats"])["blobs"]["count"], 3, "no byte moved");
}

#[test]
fn a_snapshot_keeps_a_revision_whole_through_gc() {
    let env = Env::new();
    put(&env, "1.0", 1, "cuda");
    env.ok(["collection", "snapshot", "cuda", "release"]);
    put(&env, "1.0", 2, "cuda");
    put(&env, "1.0", 3, "cuda");
    let gc = env.json(["gc", "--grace", "0"]);
    assert_eq!(gc["blobs"], 1, "only the one in between goes");
    assert_eq!(names(&env, "cuda@release"), "1.0");
    assert_eq!(names(&env, "cuda@1"), "1.0", "a number of a kept revision is as good");
    assert_output!(refused(&env, 4, &["view", "--collection", "cuda", "--at", "2"]), @r"
    exit 4
    --- stderr
    wcas: collection cuda has no revision 2: gc has taken files of it; 3 is the oldest that is whole
    ");
    assert_output!(refused(&env, 2, &["collection", "snapshot", "cuda", "release"]), @r"
    exit 2
    --- stderr
    wcas: cuda has a snapshot release already
    ");
    assert_output!(refused(&env, 2, &["collection", "snapshot", "cuda", "12"]), @r#"
    exit 2
    --- stderr
    wcas: "12" is not a snapshot's name: a-z, 0-9, '.', '_' and '-', not only digits
    "#);
    assert_output!(refused(&env, 2, &["collection", "snapshot", "cuda", "../x"]), @r#"
    exit 2
    --- stderr
    wcas: "../x" is not a snapshot's name: a-z, 0-9, '.', '_' and '-', not only digits
    "#);
    env.ok(["collection", "snapshot", "cuda", "release", "--delete"]);
    assert_output!(refused(&env, 4, &["collection", "snapshot", "cuda", "release", "--delete"]), @r"
    exit 4
    --- stderr
    wcas: there is no snapshot release of cuda
    ");
    assert_eq!(env.json(["gc", "--grace", "0"])["blobs"], 1);
}

#[test]
fn settings_are_kept_and_taken_away() {
    let env = Env::new();
    for name in ["cuda", "shared", "base"] {
        env.ok(["collection", "create", name]);
    }
    let fallbacks = ["--fallback", "shared", "--fallback", "base"];
    let rules = ["--keep-builds", "2", "--keep-versions", "3", "--unused-for", "90d", "--max-bytes", "500G"];
    assert_output!(env.run([&["collection", "set", "cuda"], &fallbacks[..], &rules].concat()), @r"
    exit 0
    --- stdout
    cuda: fallbacks shared, base; rules 2 builds, 3 versions, used in 90 d, at most 500.0 GB
    ");
    assert_output!(env.run(["collection", "set", "cuda", "--keep-builds", "none", "--fallback", "none"]), @r"
    exit 0
    --- stdout
    cuda: fallbacks -; rules 3 versions, used in 90 d, at most 500.0 GB
    ");
    let row = env.json(["collection", "list"])["collections"][1].clone();
    assert_eq!(row["name"], "cuda");
    let left = serde_json::json!({"keep_builds": null, "keep_versions": 3, "unused_for": 7_776_000, "max_bytes": 500_000_000_000u64});
    assert_eq!((&row["retention"], &row["fallbacks"]), (&left, &serde_json::json!([])));
    assert_output!(refused(&env, 4, &["collection", "set", "cuda", "--fallback", "rocm"]), @r#"
    exit 4
    --- stderr
    wcas: there is no collection "rocm"
      hint: the collections are: base, cuda, shared
    "#);
    assert_output!(refused(&env, 2, &["collection", "set", "cuda", "--fallback", "cuda"]), @r"
    exit 2
    --- stderr
    wcas: cuda can't be a fallback of cuda twice, or of itself
    ");
    assert_output!(refused(&env, 2, &["collection", "create", "cuda"]), @r"
    exit 2
    --- stderr
    wcas: the collection cuda is there already
    ");
    assert_output!(refused(&env, 2, &["collection", "create", "Cuda"]), @r#"
    exit 2
    --- stderr
    error: invalid value 'Cuda' for '<NAME>': "Cuda" is not a collection name: 1 to 100 of a-z, 0-9, '.', '_' and '-', with a letter or digit first

    For more information, try '--help'.
    "#);
}

#[test]
fn deleting_a_full_collection_wants_to_be_sure() {
    let env = Env::new();
    put(&env, "1.0", 1, "cuda");
    assert_output!(refused(&env, 2, &["collection", "delete", "cuda"]), @r"
    exit 2
    --- stderr
    wcas: cuda has 1 distribution and its history; say --yes to delete it
    ");
    assert_output!(env.run(["collection", "delete", "cuda", "--yes"]), @r"
    exit 0
    --- stderr
    deleted cuda with 1 distribution
    ");
    assert_eq!(env.json(["gc", "--grace", "0"])["blobs"], 1);
    assert_eq!(refused(&env, 4, &["collection", "log", "cuda"]).code, 4);
}

#[test]
fn undo_brings_back_what_was_dropped_last() {
    let env = Env::new();
    put(&env, "1.0", 1, "cuda");
    put(&env, "2.0", 2, "cuda");
    env.ok(["collection", "copy", "cuda", "rocm"]);
    let before = env.json(["list"]);
    assert_output!(env.run(["invalidate", "demo==1.0", "--dry-run"]), @r"
    exit 0
    --- stdout
    cuda: demo-1.0-py3-none-any.whl
    rocm: demo-1.0-py3-none-any.whl
    --- stderr
    would drop 2 distributions
    ");
    assert_output!(env.run(["invalidate", "demo==1.0"]), @r"
    exit 2
    --- stderr
    wcas: this touches 2 distributions in cuda, rocm: name one with --collection, or say --everywhere
    ");
    assert_eq!(env.json(["list"]), before);
    assert_output!(env.run(["invalidate", "demo==1.0", "--everywhere"]), @r"
    exit 0
    --- stdout
    cuda: demo-1.0-py3-none-any.whl
    rocm: demo-1.0-py3-none-any.whl
    --- stderr
    dropped 2 distributions; `wcas undo 4` brings them back until gc has run
    ");
    env.ok(["invalidate", "demo==2.0", "--collection", "rocm"]);
    env.ok(["undo"]);
    assert_output!(env.run(["undo"]), @r"
    exit 0
    --- stdout
    cuda: demo-1.0-py3-none-any.whl
    rocm: demo-1.0-py3-none-any.whl
    --- stderr
    undid operation 4 (invalidate demo==1.0): 2 distributions back
    ");
    assert_eq!(texts(&env.json(["list"])["distributions"], "filename"), texts(&before["distributions"], "filename"));
    assert_output!(refused(&env, 4, &["undo"]), @r"
    exit 4
    --- stderr
    wcas: there is no operation to undo: without a number it is the last `invalidate`; `wcas collection log` tells the numbers of others
    ");
    assert_output!(refused(&env, 4, &["undo", "99"]), @r"
    exit 4
    --- stderr
    wcas: there is no operation 99
    ");
}

#[test]
fn undo_refuses_a_name_that_came_back_and_what_gc_has_taken() {
    let env = Env::new();
    put(&env, "1.0", 1, "cuda");
    env.ok(["invalidate", "demo"]);
    put(&env, "1.0", 2, "cuda");
    let report = json_with_code(&env, 3, &["undo"]);
    assert_eq!((array(&report["restored"]).len(), array(&report["refused"]).len()), (0, 1));
    env.ok(["invalidate", "demo"]);
    env.ok(["gc", "--grace", "0"]);
    assert_eq!(env.run(["undo"]).code, 2, "nothing is left of it");
    assert_eq!(array(&env.json(["list"])["distributions"]).len(), 0);
}

#[test]
fn a_guard_is_set_shown_and_taken_away() {
    let env = Env::new();
    env.ok(["collection", "create", "shared"]);
    assert_output!(env.run(["collection", "set", "shared", "--accelerator", "none", "--strict"]), @r"
    exit 0
    --- stdout
    shared: fallbacks -; rules accelerator none (strict)
    ");
    assert_output!(env.run(["collection", "set", "shared", "--accelerator", "rocm,cuda", "--guard", "warn"]), @r"
    exit 0
    --- stdout
    shared: fallbacks -; rules accelerator cuda+rocm (warns, strict)
    ");
    assert_output!(env.run(["collection", "list"]), @r"
    exit 0
    --- stdout
    COLLECTION  REVISION  DISTRIBUTIONS  FALLBACKS  RULES                                  SNAPSHOTS
    shared             0              0  -          accelerator cuda+rocm (warns, strict)  -
    ");
    let row = env.json(["collection", "list"])["collections"][0]["guard"].clone();
    assert_eq!(row, serde_json::json!({"accelerators": ["cuda", "rocm"], "is_warning": true, "is_strict": true}));
    assert_output!(env.run(["collection", "set", "shared", "--keep-builds", "2", "--guard", "refuse", "--no-strict"]), @r"
    exit 0
    --- stdout
    shared: fallbacks -; rules 2 builds, accelerator cuda+rocm
    ");
    assert_output!(env.run(["collection", "set", "shared", "--accelerator", "any"]), @r"
    exit 0
    --- stdout
    shared: fallbacks -; rules 2 builds
    ");
    assert_output!(refused(&env, 2, &["collection", "set", "shared", "--accelerator", "tpu"]), @r#"
    exit 2
    --- stderr
    wcas: "tpu" is no accelerator: expected cuda, rocm, oneapi or gaudi
    "#);
}

#[test]
fn who_made_a_change_is_known_where_no_variable_says_so() {
    let env = Env::new();
    Wheel::new("demo", "1.0").write_to(env.path("in"));
    let imported = env.command(["import", "in", "--collection", "cuda"]).env_remove("USER").output().unwrap();
    assert!(imported.status.success());
    let found = std::process::Command::new("id").arg("-un").output().expect("every system has it");
    let name = String::from_utf8(found.stdout).unwrap();
    let name = if found.status.success() { name.trim() } else { "unknown" };
    assert_eq!(env.json(["log", "--collection", "cuda"])["records"][0]["by"]["name"], name);
    let who = env.json(["collection", "log", "cuda"])["revisions"][0]["who"].as_str().unwrap().to_owned();
    assert_eq!(who.split('@').next(), Some(name), "{who}");
}
