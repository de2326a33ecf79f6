//! Variant wheels (PEP 825): what is taken, what pages say of them, and who is spared them.

use crate::support::{Env, Output, Wheel};
use crate::{array, files, json_with_code, texts};
use serde_json::{Value, json};
use std::fs;
use wcas::digest::Sha256;

const DOCUMENT: &str = "demo-1.0-variants.json";

/// A variant wheel with one property.
fn wheel(label: &str, namespaces: &[&str], property: (&str, &str, &str), seed: u64) -> Wheel {
    Wheel::new("demo", "1.0").payload(100, seed).property(label, namespaces, property)
}

fn cuda() -> Wheel {
    wheel("cuda12", &["nvidia", "x86_64"], ("nvidia", "cuda_version_lower_bound", "12.0"), 1)
}

fn v3() -> Wheel {
    wheel("v3", &["nvidia"], ("nvidia", "sm_arch", "90"), 2)
}

fn plain() -> Wheel {
    Wheel::new("demo", "1.0").payload(100, 3)
}

/// A wheel that orders namespaces unlike the others.
fn contrary() -> Wheel {
    wheel("rocm6", &["x86_64", "nvidia"], ("nvidia", "sm_arch", "90"), 4)
}

fn import(env: &Env, collection: &str, wheels: &[Wheel]) -> Output {
    let dir = env.path(format!("in-{collection}"));
    wheels.iter().for_each(|wheel| drop(wheel.write_to(&dir)));
    env.run(["import", dir.to_str().unwrap(), "--collection", collection])
}

fn with(wheels: &[Wheel]) -> Env {
    let env = Env::new();
    let output = import(&env, "shared", wheels);
    assert_eq!(output.code, 0, "{output}");
    env
}

/// Returns the files of a page.
fn listed(env: &Env, args: &[&str]) -> Value {
    let output = env.ok([&["view", "--format", "json", "--base-url", "https://index.example"], args].concat());
    serde_json::from_str::<Value>(&output.stdout).unwrap()["files"].clone()
}

/// Reads the document that stands in a tree.
fn document(env: &Env, path: &str) -> Value {
    serde_json::from_slice(&fs::read(env.path(path)).unwrap()).unwrap()
}

#[test]
fn v1_a_variant_wheel_is_taken_and_told_with_its_label() {
    let env =
        with(&[cuda(), plain(), Wheel::new("demo", "1.0").build("2").variant("null", r#"{"variants": {"null": {}}}"#)]);
    let rows = env.json(["list"])["distributions"].clone();
    let labels: Vec<(&str, &Value)> =
        array(&rows).iter().map(|row| (row["filename"].as_str().unwrap(), &row["variant_label"])).collect();
    let expected = [
        ("demo-1.0-py3-none-any-cuda12.whl", &json!("cuda12")),
        ("demo-1.0-py3-none-any.whl", &Value::Null),
        ("demo-1.0-2-py3-none-any-null.whl", &json!("null")),
    ];
    assert_eq!(labels, expected);
    let show = env.json(["show", "demo-1.0-py3-none-any-cuda12.whl"])["distributions"][0].clone();
    assert_eq!((&show["variant_label"], &show["tags"]), (&"cuda12".into(), &"py3-none-any".into()));
    env.ok(["verify"]);
}

#[test]
fn v1_a_wheel_that_does_not_say_what_its_label_stands_for_is_refused() {
    let other = cuda().bytes();
    for (name, bytes, reason) in [
        ("demo-1.0-py3-none-any-cuda13.whl", other.clone(), r#"expected "cuda13" as the only label"#),
        (
            "demo-1.0-py3-none-any-cuda12.whl",
            plain().bytes(),
            r#"expected the member "demo-1.0.dist-info/variant.json" once"#,
        ),
        ("demo-1.0-py3-none-any-CUDA.whl", other, r#""CUDA" is not a variant label"#),
    ] {
        let env = Env::new();
        fs::create_dir(env.path("in")).and_then(|()| fs::write(env.path("in").join(name), bytes)).unwrap();
        let report = json_with_code(&env, 3, &["import", "in"]);
        let found = report["refused"][0]["reason"].as_str().unwrap();
        assert!(found.contains(reason), "{found}");
    }
}

#[test]
fn v2_one_document_tells_of_all_variant_wheels_of_a_version_whatever_came_first() {
    let (one, other) = (with(&[cuda()]), with(&[v3()]));
    for (env, wheel) in [(&one, v3()), (&other, cuda())] {
        assert_eq!(import(env, "shared", &[wheel, plain()]).code, 0);
        env.ok(["view", "--to", "tree"]);
        env.ok(["view", "--to", "flat", "--layout", "flat"]);
    }
    let read = |env: &Env, path: &str| fs::read(env.path(path)).unwrap();
    let bytes = read(&one, &format!("tree/simple/demo/{DOCUMENT}"));
    assert_eq!(bytes, read(&other, &format!("tree/simple/demo/{DOCUMENT}")));
    assert_eq!(bytes, read(&one, &format!("flat/{DOCUMENT}")));
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        document,
        json!({
            "$schema": "https://variants-schema.wheelnext.dev/peps/825/v0.1.1.json",
            "default-priorities": {"namespace": ["nvidia", "x86_64"]},
            "variants": {
                "cuda12": {"nvidia": {"cuda_version_lower_bound": ["12.0"]}},
                "v3": {"nvidia": {"sm_arch": ["90"]}},
            },
        })
    );
    let digest = Sha256::of(&bytes).to_string();
    for page in ["tree/simple/demo/index.html", "flat/index.html"] {
        let html = String::from_utf8(read(&one, page)).unwrap();
        let anchor = format!("<a href=\"{DOCUMENT}#sha256={digest}\" data-size=\"{}\"", bytes.len());
        assert_eq!(html.matches(&anchor).count(), 1, "{page}: {html}");
    }
    let page: Value = serde_json::from_slice(&read(&one, "tree/simple/demo/index.json")).unwrap();
    assert_eq!(page["versions"], json!(["1.0"]));
    let row = array(&page["files"]).iter().find(|row| row["filename"] == DOCUMENT).unwrap();
    assert_eq!((&row["url"], &row["hashes"]["sha256"]), (&DOCUMENT.into(), &digest.clone().into()));
    assert!(row.get("core-metadata").is_none() && row["upload-time"].is_string());
    // The page that is printed links to the document, as it does to files.
    let text = one.ok(["view", "--project", "demo"]).stdout;
    let start = text.find("file://").map(|at| &text[at..]).unwrap();
    let link = start.split("<a href=\"file://").find(|link| link.contains(DOCUMENT)).unwrap();
    let path = link.trim_start_matches("file://").split('#').next().unwrap();
    assert_eq!(fs::read(path).unwrap(), bytes);
}

#[test]
fn v2_a_collection_without_variant_wheels_has_no_document() {
    let env = with(&[plain()]);
    env.ok(["view", "--to", "tree"]);
    assert!(files(&env.path("tree")).iter().all(|file| !file.contains("variants")));
    assert_eq!(array(&listed(&env, &[])).len(), 1);
}

#[test]
fn v2_a_wheel_that_contradicts_the_versions_others_is_refused_wherever_it_comes_from() {
    let env = with(&[cuda()]);
    let refused = import(&env, "shared", &[contrary()]);
    assert_eq!(refused.code, 3, "{refused}");
    let reason = "variant.json says [\"x86_64\",\"nvidia\"] of default-priorities.namespace, and the version's other variant wheels say";
    assert!(refused.stderr.contains(reason), "{refused}");
    assert_eq!(import(&env, "other", &[contrary()]).code, 0, "each collection has its own");
    for command in ["copy", "promote"] {
        let output = env.run(["collection", command, "other", "shared"]);
        assert!(output.code == 3 && output.stderr.contains(reason), "{output}");
    }
    assert_eq!(env.json(["list", "--collection", "shared"])["distributions"].as_array().unwrap().len(), 1);
    // Once the other one is gone, nothing contradicts; then it may not come back.
    env.ok(["invalidate", "demo", "--collection", "shared"]);
    assert_eq!(env.run(["collection", "promote", "other", "shared"]).code, 0);
    let undone = env.run(["undo"]);
    assert!(undone.code == 3 && undone.stderr.contains("cuda12.whl: variant.json says [\"nvidia\","), "{undone}");
    assert_eq!(texts(&env.json(["list", "--collection", "shared"])["distributions"], "variant_label"), ["rocm6"]);
}

#[test]
fn v2_a_wheel_may_replace_the_only_one_that_it_contradicts_by_its_own_name() {
    let env = with(&[cuda()]);
    let other = wheel("cuda12", &["other", "nvidia"], ("nvidia", "cuda_version_lower_bound", "12.4"), 9);
    let output = import(&env, "shared", &[other]);
    assert_eq!(output.code, 0, "{output}");
    env.ok(["view", "--to", "tree"]);
    let document = document(&env, &format!("tree/simple/demo/{DOCUMENT}"));
    assert_eq!(document["default-priorities"]["namespace"], json!(["other", "nvidia"]));
}

#[test]
fn v2_a_merged_view_says_what_the_nearer_collection_says() {
    let env = with(&[contrary()]);
    assert_eq!(import(&env, "gpu", &[cuda()]).code, 0);
    env.ok(["view", "--variant", "gpu", "--strategy", "union", "--to", "tree"]);
    let document = document(&env, &format!("tree/simple/demo/{DOCUMENT}"));
    let labels: Vec<&String> = document["variants"].as_object().unwrap().keys().collect();
    assert_eq!(labels, ["cuda12"], "clients pass over a label that isn't in the document");
    assert_eq!(document["default-priorities"]["namespace"], json!(["nvidia", "x86_64"]));
}

#[test]
fn v2_versions_that_are_equal_have_one_document() {
    let env = with(&[cuda(), Wheel::new("demo", "1.0.0").property("v3", &["nvidia"], ("nvidia", "sm_arch", "90"))]);
    let rows = listed(&env, &[]);
    let documents: Vec<_> = texts(&rows, "filename").into_iter().filter(|name| name.ends_with(".json")).collect();
    assert_eq!(documents, [DOCUMENT]);
}

#[test]
fn v3_a_lookup_gives_a_variant_wheel_only_by_its_name() {
    let env = with(&[cuda()]);
    assert_eq!(env.run(["lookup", "demo==1.0"]).code, 4);
    assert_eq!(env.run(["lookup", "demo", "--metadata"]).code, 4);
    let named = env.json(["lookup", "demo-1.0-py3-none-any-cuda12.whl"]);
    assert_eq!(named["filename"], "demo-1.0-py3-none-any-cuda12.whl");
    import(&env, "shared", &[plain()]);
    assert_eq!(env.json(["lookup", "demo==1.0"])["filename"], "demo-1.0-py3-none-any.whl");
}

#[test]
fn v3_a_collection_may_hide_its_variant_wheels() {
    let env = with(&[cuda(), plain()]);
    env.ok(["view", "--to", "tree"]);
    let before = texts(&listed(&env, &[]), "filename").len();
    assert_eq!(before, 3);
    let set = env.json(["collection", "set", "shared", "--variants", "hide"]);
    assert_eq!((&set["hides_variants"], &set["revision"]), (&true.into(), &2.into()));
    assert_eq!(texts(&listed(&env, &[]), "filename"), ["demo-1.0-py3-none-any.whl"]);
    assert_eq!(texts(&listed(&env, &["--variant", "shared"]), "filename"), ["demo-1.0-py3-none-any.whl"]);
    let output = env.ok(["view", "--to", "tree"]);
    assert!(
        output.stderr.contains("left out demo-1.0-py3-none-any-cuda12.whl: shared hides variant wheels"),
        "{output}"
    );
    let shown = files(&env.path("tree"));
    assert!(shown.iter().all(|file| !file.contains("cuda12") && !file.contains("variants")), "{shown:?}");
    let why = env.json(["why", "demo", "--variant", "shared"]);
    let fates: Vec<_> = array(&why["files"]).iter().map(|row| row["fate"].as_str().unwrap()).collect();
    assert_eq!(fates, ["withheld", "listed"], "{why}");
    assert!(env.ok(["config", "show"]).stdout.contains("hide-variants = true"));
    env.ok(["collection", "set", "shared", "--variants", "show"]);
    assert_eq!(texts(&listed(&env, &[]), "filename").len(), before);
    env.ok(["view", "--to", "tree"]);
    assert!(files(&env.path("tree")).iter().any(|file| file.contains(DOCUMENT)));
}

#[test]
fn v1_retention_counts_labels_apart() {
    let env = with(&[cuda(), v3(), plain()]);
    env.ok(["gc", "--keep-builds", "1", "--keep-versions", "1"]);
    assert_eq!(array(&env.json(["list"])["distributions"]).len(), 3);
}

#[test]
fn v1_a_rebuilt_manifest_knows_labels_again() {
    if Env::is_of_own_store_only("its manifest is the share's") {
        return;
    }
    let env = with(&[cuda(), plain()]);
    fs::remove_file(env.store().join("manifest.sqlite")).unwrap();
    env.ok(["rebuild"]);
    let mut labels: Vec<Value> =
        array(&env.json(["list"])["distributions"]).iter().map(|row| row["variant_label"].clone()).collect();
    labels.sort_by_key(ToString::to_string);
    assert_eq!(labels, [json!("cuda12"), Value::Null]);
    env.ok([
        "view",
        "--collection",
        array(&env.json(["collection", "list"])["collections"])[0]["name"].as_str().unwrap(),
        "--to",
        "tree",
    ]);
    assert!(files(&env.path("tree")).iter().any(|file| file.ends_with(DOCUMENT)));
}

#[test]
fn a_variant_json_beyond_its_budget_is_refused() {
    let env = Env::new();
    for (version, size) in [("1.0", 60_000), ("2.0", 70_000)] {
        let wheel = Wheel::new("demo", version).property("v3", &["ns"], ("ns", "feature", &"x".repeat(size)));
        wheel.write_to(env.path("in"));
    }
    let output = env.run(["import", "in"]);
    assert_eq!(output.code, 3, "{output}");
    assert!(output.stderr.contains("demo-2.0") && output.stderr.contains("(budget variant-bytes)"), "{output}");
    assert_eq!(env.json(["list"])["distributions"].as_array().unwrap().len(), 1);
}
