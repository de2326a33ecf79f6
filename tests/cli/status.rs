//! `wcas collection status`: projects that are deprecated, archived or in quarantine (PEP 792).

use crate::support::{Env, Wheel};
use crate::{array, assert_output, files, refused, texts};
use serde_json::{Value, json};
use std::fs;

fn filled() -> Env {
    Env::filled([Wheel::new("demo", "1.0"), Wheel::new("demo", "2.0"), Wheel::new("other", "1.0")])
}

fn page(env: &Env, args: &[&str]) -> Value {
    let output = env.ok([&["view", "--format", "json", "--base-url", "https://index.example"], args].concat());
    serde_json::from_str(&output.stdout).unwrap()
}

/// Returns the files that a page lists.
fn listed(env: &Env, args: &[&str]) -> Vec<String> {
    texts(&page(env, args)["files"], "filename").into_iter().map(str::to_owned).collect()
}

#[test]
fn e2_a_status_is_set_told_and_taken_away() {
    let env = filled();
    assert_output!(env.run(["collection", "status", "shared", "demo"]), @r"
    exit 0
    --- stdout
    PROJECT  STATUS  REASON
    demo     active  -
    ");
    assert_output!(env.run(["collection", "status", "shared", "Demo", "archived", "--reason", "moved to other"]), @r"
    exit 0
    --- stdout
    PROJECT  STATUS    REASON
    demo     archived  moved to other
    ");
    env.ok(["collection", "status", "shared", "other", "deprecated"]);
    let all = env.json(["collection", "status", "shared"]);
    assert_eq!((&all["schema"], &all["revision"]), (&"wcas.collection-status/1".into(), &3.into()));
    let expected = json!([
        {"project": "demo", "status": "archived", "reason": "moved to other"},
        {"project": "other", "status": "deprecated", "reason": null},
    ]);
    assert_eq!(all["projects"], expected);
    env.ok(["collection", "status", "shared", "demo", "active"]);
    assert_eq!(texts(&env.json(["collection", "status", "shared"])["projects"], "project"), ["other"]);
    refused(&env, 2, &["collection", "status", "shared", "demo", "gone"]);
    refused(&env, 4, &["collection", "status", "absent"]);
}

#[test]
fn e2_a_change_is_a_revision_without_entries_that_undo_leaves_alone() {
    let env = filled();
    env.ok(["invalidate", "demo==1.0"]);
    for _ in 0..2 {
        // Said twice, it is one change.
        env.ok(["collection", "status", "shared", "other", "archived", "--reason", "old"]);
    }
    let log = env.json(["collection", "log", "shared"])["revisions"].clone();
    let newest = &log[0];
    assert_eq!(
        (&newest["revision"], &newest["kind"], &newest["what"]),
        (&3.into(), &"status".into(), &"other archived: old".into())
    );
    assert_eq!((&newest["added"], &newest["removed"]), (&0.into(), &0.into()));
    let undone = env.ok(["undo"]);
    assert!(undone.stderr.contains("(invalidate demo==1.0): 1 distribution back"), "{undone}");
    assert_eq!(texts(&env.json(["collection", "status", "shared"])["projects"], "status"), ["archived"]);
}

#[test]
fn e2_pages_and_trees_tell_the_status() {
    let env = filled();
    env.ok(["collection", "status", "shared", "demo", "deprecated", "--reason", "use <other>"]);
    let document = page(&env, &["--project", "demo"]);
    assert_eq!(document["project-status"], json!({"status": "deprecated", "reason": "use <other>"}));
    assert_eq!(array(&document["files"]).len(), 2);
    env.ok(["view", "--to", "tree"]);
    let html = fs::read_to_string(env.path("tree/simple/demo/index.html")).unwrap();
    assert!(html.contains("<meta name=\"pypi:project-status\" content=\"deprecated\">"), "{html}");
    assert!(html.contains("<meta name=\"pypi:project-status-reason\" content=\"use &lt;other&gt;\">"), "{html}");
    let other = fs::read_to_string(env.path("tree/simple/other/index.html")).unwrap();
    assert!(!other.contains("project-status"), "{other}");
}

#[test]
fn e3_of_a_project_in_quarantine_no_file_is_offered_anywhere() {
    let env = filled();
    env.ok(["collection", "snapshot", "shared", "before"]);
    env.ok(["view", "--to", "tree"]);
    env.ok(["view", "--to", "flat", "--layout", "flat"]);
    env.ok(["view", "--at", "before", "--to", "old"]);
    env.ok(["collection", "status", "shared", "demo", "quarantined", "--reason", "malware"]);
    for at in [&[][..], &["--at", "before"], &["--variant", "shared"]] {
        assert_eq!(listed(&env, at), ["other-1.0-py3-none-any.whl"], "{at:?}");
    }
    let document = page(&env, &["--project", "demo"]);
    assert_eq!(document["project-status"], json!({"status": "quarantined", "reason": "malware"}));
    assert_eq!((&document["files"], &document["versions"]), (&json!([]), &json!([])));
    for format in ["requirements", "paths"] {
        let text = env.ok(["view", "--format", format]).stdout;
        assert!(!text.contains("demo") && text.contains("other"), "{text}");
    }
    for tree in [&["--to", "tree"][..], &["--to", "flat", "--layout", "flat"], &["--at", "before", "--to", "old"]] {
        let output = env.ok([&["view"], tree].concat());
        assert!(
            output.stderr.contains("left out demo-1.0-py3-none-any.whl: demo is in quarantine: malware"),
            "{output}"
        );
        let shown = files(&env.path(tree[tree.iter().position(|arg| *arg == "--to").unwrap() + 1]));
        assert!(shown.iter().all(|file| !file.contains("demo-")), "{shown:?}");
    }
    for tree in ["tree", "old"] {
        // Without a page, clients would ask their next index for the project.
        let html = fs::read_to_string(env.path(tree).join("simple/demo/index.html")).unwrap();
        assert!(html.contains("content=\"quarantined\"") && !html.contains("<a "), "{html}");
    }
    assert_output!(env.run(["lookup", "demo==1.0"]), @r"
    exit 4
    --- stderr
    demo is in quarantine: malware (collection shared)
    no match for demo==1.0
      shared has demo 2.0, 1.0
    ");
    for spec in ["demo-1.0-py3-none-any.whl", "demo"] {
        let report = crate::json_with_code(&env, 4, &["lookup", spec]);
        assert_eq!((&report["hit"], &report["path"]), (&false.into(), &Value::Null));
        assert_eq!(report["notes"], json!(["demo is in quarantine: malware (collection shared)"]));
    }
    let digest = env.json(["show", "demo==1.0"])["distributions"][0]["sha256"].as_str().unwrap().to_owned();
    assert_eq!(env.run(["lookup", &format!("sha256:{digest}")]).code, 4);
    assert_eq!(env.run(["lookup", "demo", "--metadata"]).code, 4);
    for spec in ["demo==1.0", &format!("sha256:{digest}")] {
        let missing = &crate::json_with_code(&env, 3, &["pull", spec])["missing"][0];
        assert_eq!(missing["quarantine"], "demo is in quarantine: malware (collection shared)", "{spec}");
    }
    assert_eq!(env.run(["lookup", "other"]).code, 0);
    // It is there still, and comes back.
    assert_eq!(array(&env.json(["list", "demo"])["distributions"]).len(), 2);
    env.ok(["collection", "status", "shared", "demo", "active"]);
    assert_eq!(env.run(["lookup", "demo==1.0"]).code, 0);
    env.ok(["view", "--to", "tree"]);
    assert!(files(&env.path("tree")).iter().any(|file| file.contains("demo-1.0")));
}

#[test]
fn e3_in_a_merged_view_the_strictest_counts_as_far_as_the_project_is_seen() {
    let env = filled();
    Wheel::new("demo", "3.0").write_to(env.path("own"));
    env.ok(["import", "own", "--collection", "gpu"]);
    env.ok(["collection", "status", "shared", "demo", "quarantined"]);
    env.ok(["collection", "status", "shared", "other", "archived"]);
    let seen = |args: &[&str]| listed(&env, &[&["--variant", "gpu"], args].concat());
    assert_eq!(seen(&[]), ["demo-3.0-py3-none-any.whl", "other-1.0-py3-none-any.whl"], "shared's demo isn't seen");
    assert_eq!(seen(&["--strategy", "union"]), ["other-1.0-py3-none-any.whl"]);
    let status =
        |project: &str| page(&env, &["--variant", "gpu", "--project", project])["project-status"]["status"].clone();
    assert_eq!((status("demo"), status("other")), (Value::Null, "archived".into()));
    // The nearer collection's word counts for what only a farther one has.
    env.ok(["collection", "status", "gpu", "other", "quarantined"]);
    assert_eq!(seen(&[]), ["demo-3.0-py3-none-any.whl"]);
    assert_eq!(env.run(["lookup", "other", "--variant", "gpu"]).code, 4);
    assert_eq!(listed(&env, &[]), ["other-1.0-py3-none-any.whl"], "and for no other view");
    let why = env.json(["why", "other", "--variant", "gpu"]);
    assert_eq!(
        (&why["files"][0]["fate"], &why["files"][0]["reason"]),
        (&"withheld".into(), &"other is in quarantine".into())
    );
}

#[test]
fn statuses_are_settings_of_the_store() {
    let env = filled();
    env.ok(["collection", "status", "shared", "demo", "archived", "--reason", "old"]);
    env.ok(["collection", "set", "shared", "--variants", "hide"]);
    let shown = env.ok(["config", "show"]).stdout;
    assert!(shown.contains("[collections.shared.projects.demo]\nstatus = \"archived\"\nreason = \"old\"\n"), "{shown}");
    let fresh = Env::new();
    let applied = fresh.run_with_stdin(&shown, ["config", "apply", "-"]);
    assert_eq!(applied.code, 0, "{applied}");
    assert_eq!(fresh.ok(["config", "show"]).stdout, shown);
    assert_eq!(fresh.run_with_stdin(&shown, ["config", "apply", "-"]).stdout, "", "there is nothing left to do");
    let text = "[collections.shared.projects]\nother = { status = 'quarantined' }\ndemo = { status = 'active' }\n";
    let output = env.run_with_stdin(text, ["config", "apply", "-"]);
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(texts(&env.json(["collection", "status", "shared"])["projects"], "project"), ["other"]);
    let newest = env.json(["collection", "log", "shared"])["revisions"][0].clone();
    assert_eq!((&newest["kind"], &newest["revision"]), (&"config".into(), &4.into()));
    let slip = env.run_with_stdin("[collections.shared.projects]\nx = { status = 'gone' }\n", ["config", "apply", "-"]);
    assert!(slip.code != 0 && slip.stderr.contains("line 2: unknown variant `gone`"), "{slip}");
}
