//! `wcas route`, `import --variant`, and what a variant sees.

use crate::support::{Env, Wheel};
use crate::{array, assert_output, json_with_code, refused, texts};
use serde_json::{Value, json};
use std::fs;

/// Writes wheels of these projects into the folder `in`, in the place of what was there.
fn write_wheels(env: &Env, wheels: &[(&str, &str, u64)]) {
    // There is none the first time.
    drop(fs::remove_dir_all(env.path("in")));
    for (project, version, seed) in wheels {
        Wheel::new(project, version).payload(100, *seed).write_to(env.path("in"));
    }
}

fn write(env: &Env, name: &str, text: &str) {
    fs::write(env.path(name), text).expect("a test's folder can be written");
}

/// A store with a variant `cuda` that requires torch, and its wheels imported: torch in cuda, numpy in shared.
fn routed() -> Env {
    let env = Env::new();
    write(&env, "cuda.txt", "# ours\ntorch==2.5.1\nFlash_Attn\n");
    env.ok(["route", "set", "cuda", "--requirements", "cuda.txt"]);
    write_wheels(&env, &[("torch", "2.5.1", 1), ("numpy", "2.0", 2)]);
    env.ok(["import", "--variant", "cuda", "in"]);
    env
}

#[test]
fn a_variant_is_set_changed_shown_and_deleted() {
    let env = Env::new();
    write(&env, "a.txt", "torch==2.5.1 # ours\n\n# a comment\nFlash_Attn>=2\n");
    write(&env, "b.txt", "torch\nvllm[all]\n");
    assert_output!(env.run(["route", "set", "cuda", "--requirements", "a.txt", "b.txt", "--detect"]), @r"
    exit 0
    --- stdout
    cuda: requirements 3 projects; detection on; strategy nearest
    ");
    env.ok(["import", "--collection", "special", &write_one(&env)]);
    env.ok(["route", "override", "Torch", "special"]);
    env.ok(["route", "override", "vllm", "special", "--variant", "cuda"]);
    assert_output!(env.run(["route", "show", "cuda"]), @r"
    exit 0
    --- stdout
    cuda
      collection    cuda (made by the first import that needs it)
      searched      -
      detection     on
      strategy      nearest
      requirements  3 projects
        flash-attn>=2
        torch==2.5.1
        vllm[all]
      override      torch to special  (all variants)
      override      vllm to special
    ");
    assert_output!(env.run(["route", "set", "cuda", "--no-requirements", "--no-detect", "--strategy", "union"]), @r"
    exit 0
    --- stdout
    cuda: requirements none; detection off; strategy union
    ");
    assert_output!(env.run(["route", "list"]), @r"
    exit 0
    --- stdout
    default collection: shared

    VARIANT  REQUIREMENTS  DETECT  STRATEGY  SEARCHED
    cuda     none          off     union     -

    OVERRIDE  VARIANT  COLLECTION
    torch     (all)    special
    vllm      cuda     special
    ");
    assert_output!(env.run(["route", "delete", "cuda"]), @r"
    exit 0
    --- stderr
    deleted the variant cuda
    ");
    let routes = env.json(["route", "list"]);
    assert_eq!(routes["variants"], json!([]));
    assert_eq!(texts(&routes["overrides"], "project"), ["torch"], "an override for all stays");
    assert_output!(refused(&env, 4, &["route", "show", "cuda"]), @r"
    exit 4
    --- stderr
    wcas: there is no variant cuda: there are none yet
    ");
}

fn write_one(env: &Env) -> String {
    Wheel::new("demo", "1.0").write_to(env.path("one")).display().to_string()
}

#[test]
fn lines_that_name_no_project_are_told_and_the_others_are_taken() {
    let env = Env::new();
    write(&env, "cuda.txt", "torch\n-e ./here\n");
    let output = env.run(["route", "set", "cuda", "--requirements", "cuda.txt"]);
    assert_eq!(output.code, 3, "{output}");
    assert!(
        output.stderr.contains("cuda.txt:2") && output.stderr.contains("--editable ./here: a folder to edit"),
        "{output}"
    );
    assert_eq!(texts(&env.json(["route", "show", "cuda"])["requirements"], "project"), ["torch"]);
    assert_eq!(env.run(["route", "set", "cuda", "--requirements", "absent.txt"]).code, 1);
}

#[test]
fn one_routed_import_is_one_operation_and_one_revision_of_each_collection() {
    let env = Env::new();
    write(&env, "cuda.txt", "torch\n");
    env.ok(["route", "set", "cuda", "--requirements", "cuda.txt"]);
    write_wheels(&env, &[("torch", "2.5.1", 1), ("numpy", "2.0", 2), ("scipy", "1.0", 3)]);
    let first = env.json(["import", "--variant", "cuda", "in"]);
    assert_eq!((&first["collection"], &first["revision"]), (&json!("cuda"), &json!(1)));
    let both = json!([{"name": "cuda", "revision": 1}, {"name": "shared", "revision": 1}]);
    assert_eq!(first["collections"], both);
    let mut went: Vec<String> =
        array(&first["distributions"]).iter().map(|row| format!("{} {}", row["project"], row["collection"])).collect();
    went.sort();
    assert_eq!(went, [r#""numpy" "shared""#, r#""scipy" "shared""#, r#""torch" "cuda""#]);
    for collection in ["cuda", "shared"] {
        let log = env.json(["collection", "log", collection]);
        let row = &log["revisions"][0];
        assert_eq!((&row["operation"], &row["revision"]), (&json!(1), &json!(1)), "{log}");
        assert_eq!(row["what"], "1 distribution into cuda, 2 distributions into shared");
    }
    // Again, nothing changes; with one new file, one collection.
    let again = env.json(["import", "--variant", "cuda", "in"]);
    assert_eq!(again["collections"], both);
    assert_eq!(texts(&again["distributions"], "outcome"), ["unchanged"; 3]);
    Wheel::new("pandas", "1.0").write_to(env.path("in"));
    assert_output!(env.run(["import", "--variant", "cuda", "in"]), @r"
    exit 0
    --- stdout
    4 distributions in cuda@1, shared@2 (1 new, 3 unchanged)
    ");
}

#[test]
fn requirements_for_one_run_take_the_place_of_the_set_and_leave_it_as_it_is() {
    let env = routed();
    write(&env, "other.txt", "numpy\n");
    write_wheels(&env, &[("torch", "2.6", 3), ("numpy", "2.1", 4)]);
    let report = env.json(["import", "--variant", "cuda", "--requirements", "other.txt", "in"]);
    let went = |project: &str| {
        let row = array(&report["distributions"]).iter().find(|row| row["project"] == project);
        row.expect("it was imported")["collection"].clone()
    };
    assert_eq!((went("torch"), went("numpy")), (json!("shared"), json!("cuda")));
    assert_eq!(texts(&env.json(["route", "show", "cuda"])["requirements"], "project"), ["flash-attn", "torch"]);
    for args in [
        &["import", "in", "--requirements", "other.txt"][..],
        &["import", "in", "--variant", "cuda", "--collection", "cuda"],
        &["lookup", "torch", "--variant", "cuda", "--collection", "cuda"],
        &["view", "--variant", "cuda", "--at", "1"],
    ] {
        refused(&env, 2, args);
    }
}

#[test]
fn explain_tells_the_rule_the_collection_and_what_else_was_considered() {
    let env = routed();
    assert_output!(env.run(["route", "explain", "flash-attn", "--variant", "cuda"]), @r"
    exit 0
    --- stdout
    flash-attn goes to cuda
      requirement  variant cuda requires flash-attn
      override     no: flash-attn has no override
      searched     cuda, shared
    ");
    let numpy = "in/numpy-2.0-py3-none-any.whl";
    assert_output!(env.run(["route", "explain", numpy, "--variant", "cuda"]), @r"
    exit 0
    --- stdout
    numpy goes to shared
      default      shared takes what no rule sends elsewhere
      override     no: numpy has no override
      requirement  no: numpy is not among the 2 requirements of variant cuda
      accelerator  no: variant cuda doesn't detect accelerators
      searched     cuda, shared
    ");
    env.ok(["collection", "create", "special"]);
    env.ok(["route", "override", "numpy", "special", "--variant", "cuda"]);
    assert_output!(env.run(["route", "explain", "numpy==2.0", "--variant", "cuda"]), @r"
    exit 0
    --- stdout
    numpy goes to special
      override     numpy is sent to special for variant cuda
      searched     special, cuda, shared
    ");
    assert_output!(env.run(["route", "explain", "numpy", "--variant", "rocm"]), @r"
    exit 0
    --- stdout
    numpy goes to shared
      default      shared takes what no rule sends elsewhere
      override     no: numpy has no override
      requirement  no: nothing was said of a variant rocm
      accelerator  no: variant rocm doesn't detect accelerators
      searched     shared
    ");
    let document = env.json(["route", "explain", "torch", "--variant", "cuda"]);
    assert_eq!(document["schema"], "wcas.route-explain/1");
    assert_eq!((&document["rule"], &document["collection"]), (&json!("requirement"), &json!("cuda")));
    assert_eq!(texts(&document["considered"], "rule"), ["override"]);
    refused(&env, 2, &["route", "explain", "../x", "--variant", "cuda"]);
}

#[test]
fn a_collection_that_an_override_names_can_not_be_deleted() {
    let env = routed();
    env.ok(["route", "override", "numpy", "cuda", "--variant", "rocm"]);
    assert_output!(refused(&env, 2, &["collection", "delete", "cuda", "--yes"]), @r"
    exit 2
    --- stderr
    wcas: numpy is sent to cuda; `wcas route override numpy --remove --variant rocm` first
    ");
    assert_eq!(env.run(["route", "override", "numpy", "--remove"]).code, 4, "there is none for all variants");
    env.ok(["route", "override", "numpy", "--remove", "--variant", "rocm"]);
    env.ok(["collection", "delete", "cuda", "--yes"]);
}

#[test]
fn a_variant_that_nothing_is_known_of_is_told_and_has_what_the_default_has() {
    let env = routed();
    assert_output!(env.run(["view", "--variant", "cdua", "--format", "requirements"]), @r"
    exit 0
    --- stdout
    numpy==2.0 \
        --hash=sha256:768770bd…
    --- stderr
    nothing was said of a variant cdua, and it has no collection: the default one is searched; see `wcas route list`
    ");
    assert_output!(env.run(["lookup", "torch", "--variant", "cdua"]), @r"
    exit 4
    --- stderr
    nothing was said of a variant cdua, and it has no collection: the default one is searched; see `wcas route list`
    no match for torch
      not searched: cuda has torch 2.5.1
    ");
    assert_eq!(env.ok(["lookup", "torch", "--variant", "cuda"]).stderr, "");
    env.ok(["route", "set", "cpu"]);
    assert_eq!(env.ok(["lookup", "numpy", "--variant", "cpu"]).stderr, "");
}

/// Returns `project version` of each file on a page of a variant.
fn page(env: &Env, args: &[&str]) -> Vec<String> {
    let document = env.json([&["view", "--format", "json"], args].concat());
    let versions = texts(&document["files"], "filename").into_iter().map(|name| {
        let parts: Vec<&str> = name.split('-').collect();
        format!("{} {}", parts[0], parts[1])
    });
    versions.collect()
}

fn fates(document: &Value) -> Vec<String> {
    let row = |row: &Value| {
        let by = row["by"].as_str().map(|by| format!(" by {by}")).unwrap_or_default();
        let text = |field: &str| row[field].as_str().expect("a text").to_owned();
        format!("{} {} {}{by}", text("collection"), text("version"), text("fate"))
    };
    array(&document["files"]).iter().map(row).collect()
}

#[test]
fn a_nearer_collection_hides_a_project_and_a_union_merges_filenames() {
    let env = routed();
    write_wheels(&env, &[("torch", "2.5.1", 7), ("torch", "2.7", 8), ("idna", "3.0", 9)]);
    env.ok(["import", "in"]);
    env.ok(["import", "--collection", "base", &write_one(&env)]);
    env.ok(["collection", "set", "cuda", "--fallback", "base"]);
    // Torch is nobody's own: the merge alone decides.
    env.ok(["route", "set", "cuda", "--no-requirements"]);
    assert_eq!(page(&env, &["--variant", "cuda"]), ["demo 1.0", "idna 3.0", "numpy 2.0", "torch 2.5.1"]);
    let union = page(&env, &["--variant", "cuda", "--strategy", "union"]);
    assert_eq!(union, ["demo 1.0", "idna 3.0", "numpy 2.0", "torch 2.5.1", "torch 2.7"]);
    assert_output!(env.run(["why", "torch", "--variant", "cuda"]), @r"
    exit 0
    --- stdout
    COLLECTION  FILENAME                      FATE
    cuda        torch-2.5.1-py3-none-any.whl  listed
    shared      torch-2.5.1-py3-none-any.whl  shadowed by cuda
    shared      torch-2.7-py3-none-any.whl    shadowed by cuda
    ");
    env.ok(["yank", "torch", "--collection", "cuda", "--reason", "broken"]);
    assert_eq!(
        fates(&env.json(["why", "torch", "--variant", "cuda", "--strategy", "union"])),
        ["cuda 2.5.1 yanked", "shared 2.5.1 shadowed by cuda", "shared 2.7 listed"]
    );
    let page = env.json(["view", "--variant", "cuda", "--project", "torch"]);
    assert_eq!(array(&page["files"]).len(), 1, "what is yanked is listed with its mark, and hides: {page}");
    assert_eq!(page["files"][0]["yanked"], "broken");
    // The variant's own strategy is what it has without being asked.
    env.ok(["route", "set", "cuda", "--strategy", "union"]);
    assert_eq!(array(&env.json(["view", "--variant", "cuda", "--project", "torch"])["files"]).len(), 2);
    assert_eq!(fates(&env.json(["why", "torch==2.7", "--variant", "cuda"])), ["shared 2.7 listed"]);
    assert_eq!(env.run(["why", "absent", "--variant", "cuda"]).code, 4);
}

#[test]
fn an_overridden_project_is_seen_in_its_collection_and_nothing_else_of_it() {
    let env = routed();
    env.ok(["collection", "create", "special"]);
    env.ok(["route", "override", "numpy", "special"]);
    write_wheels(&env, &[("numpy", "1.0", 3), ("hidden", "1.0", 4)]);
    env.ok(["import", "in", "--collection", "special"]);
    assert_eq!(page(&env, &["--variant", "cuda"]), ["numpy 1.0", "torch 2.5.1"]);
    assert_eq!(fates(&env.json(["why", "numpy", "--variant", "cuda"])), ["special 1.0 listed", "shared 2.0 foreign"]);
    assert_eq!(env.json(["lookup", "numpy", "--variant", "cuda"])["collection"], "special");
    assert_eq!(env.run(["lookup", "hidden", "--variant", "cuda"]).code, 4);
}

#[test]
fn a_merged_tree_keeps_what_it_shows_and_follows_each_of_its_collections() {
    let env = routed();
    let listed = |project: &str| {
        let page = env.path("tree/simple").join(project).join("index.json");
        fs::read(page).ok().map(|bytes| {
            let page: Value = serde_json::from_slice(&bytes).expect("a document");
            texts(&page["files"], "filename").len()
        })
    };
    let update = || env.json(["view", "--variant", "cuda", "--to", "tree"]);
    let report = update();
    assert_eq!(report["collections"], json!([{"name": "cuda", "revision": 1}, {"name": "shared", "revision": 1}]));
    assert_eq!((listed("torch"), listed("numpy"), listed("idna")), (Some(1), Some(1), None));
    assert_eq!(update()["made"], 0);
    env.ok(["route", "set", "cuda", "--no-requirements"]);
    write_wheels(&env, &[("torch", "2.7", 8), ("idna", "3.0", 9)]);
    env.ok(["import", "in"]);
    assert_eq!(update()["made"], 1, "torch is hidden in shared");
    assert_eq!((listed("torch"), listed("idna")), (Some(1), Some(1)));
    // What decides is not only revisions.
    env.ok(["route", "set", "cuda", "--strategy", "union"]);
    assert_eq!(update()["made"], 1);
    assert_eq!(listed("torch"), Some(2));
    // Both collections' files are kept by the tree.
    env.ok(["invalidate", "torch", "numpy", "--everywhere"]);
    env.ok(["gc", "--grace", "0s"]);
    for name in ["torch/torch-2.5.1", "torch/torch-2.7", "numpy/numpy-2.0"] {
        let path = env.path(format!("tree/simple/{name}-py3-none-any.whl"));
        assert!(path.exists(), "{} leads nowhere", path.display());
    }
    update();
    assert_eq!((listed("torch"), listed("numpy"), listed("idna")), (None, None, Some(1)));
    // The same folder may show one collection next, where that is meant, and the flat layout is merged as well.
    assert_eq!(env.json(["view", "--collection", "cuda", "--to", "tree", "--replace"])["files"], 0);
    assert_eq!(env.json(["view", "--variant", "cuda", "--to", "flat", "--layout", "flat"])["files"], 1);
    assert!(env.path("flat/idna-3.0-py3-none-any.whl").exists());
}

#[test]
fn promote_takes_what_is_asked_for_as_one_revision_and_refuses_other_bytes() {
    let env = Env::new();
    write_wheels(&env, &[("torch", "2.5", 1), ("torch", "2.6", 2), ("numpy", "2.0", 3)]);
    env.ok(["import", "in", "--collection", "arch"]);
    write_wheels(&env, &[("torch", "2.5", 9)]);
    env.ok(["import", "in", "--collection", "wide"]);
    assert_output!(env.run(["collection", "promote", "arch", "wide", "torch", "--dry-run"]), @r"
    exit 3
    --- stdout
    + torch-2.6-py3-none-any.whl
    arch@1 to wide@2: would be: 1 added, 0 replaced, 0 unchanged
    --- stderr
    refused torch-2.5-py3-none-any.whl: wide has it with other bytes
    ");
    assert_eq!(env.json(["collection", "list"])["collections"][1]["revision"], 1, "nothing was done");
    assert_output!(env.run(["collection", "promote", "arch", "wide", "torch"]), @r"
    exit 3
    --- stdout
    arch@1 to wide@2: 1 added, 0 replaced, 0 unchanged
    --- stderr
    refused torch-2.5-py3-none-any.whl: wide has it with other bytes
    ");
    assert_output!(env.run(["collection", "promote", "arch", "wide", "--replace", "--dry-run"]), @r"
    exit 0
    --- stdout
    + numpy-2.0-py3-none-any.whl
    ~ torch-2.5-py3-none-any.whl  (replaced)
    arch@1 to wide@3: would be: 1 added, 1 replaced, 1 unchanged
    ");
    let plan = env.json(["collection", "promote", "arch", "wide", "--replace", "--dry-run"]);
    let mut done = env.json(["collection", "promote", "arch", "wide", "--replace"]);
    assert_eq!((&plan["schema"], &done["dry_run"]), (&json!("wcas.collection-promote/1"), &json!(false)));
    done["dry_run"] = json!(true);
    assert_eq!(plan, done, "a dry run tells what the real one does");
    assert_eq!(env.json(["collection", "diff", "arch", "wide"])["changes"], json!([]));
    assert_eq!(env.json(["collection", "promote", "arch", "wide"])["revision"], 3, "no change, no revision");
    assert_eq!(env.json(["list", "--collection", "arch"])["distributions"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        json_with_code(&env, 0, &["collection", "promote", "wide@1", "released"])["added"],
        json!(["torch-2.5-py3-none-any.whl"])
    );
    refused(&env, 4, &["collection", "promote", "arch", "wide", "absent"]);
    refused(&env, 4, &["collection", "promote", "absent", "wide"]);
    assert_eq!(env.json(["collection", "log", "wide"])["revisions"][0]["kind"], "promote");
}
