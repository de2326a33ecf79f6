//! `wcas inspect`: what wheels are bound to, in both depths, and what can't be read.

use crate::support::{Env, Wheel, elf_needing};
use crate::{assert_output, json_with_code, refused};
use std::fs;

fn extension() -> Wheel {
    let name = "demo/_C.cpython-312-x86_64-linux-gnu.so";
    Wheel::new("demo", "1.0").tags("cp312-cp312-manylinux_2_28_x86_64").member(name, elf_needing("libcudart.so.12"))
}

#[test]
fn a_quick_look_says_what_it_did_not_read_and_a_deep_one_reads_it() {
    if Env::is_of_own_store_only("it is made before the test") {
        return;
    }
    let env = Env::new();
    extension().write_to(env.path(""));
    let name = extension().filename();
    assert_output!(env.ok(["inspect", &name]), @r#"
    exit 0
    --- stdout
    demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl: no accelerator seen (quick look)
    1 native member not read: --deep tells more
    "#);
    assert_output!(env.ok(["inspect", "--deep", &name]), @r#"
    exit 0
    --- stdout
    demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl: requires cuda (deep look)
    ACCELERATOR  STRENGTH  MEMBER                                   EVIDENCE
    cuda         requires  demo/_C.cpython-312-x86_64-linux-gnu.so  NEEDED libcudart.so.12
    "#);
    assert!(!env.store().exists(), "looking makes no store");
}

#[test]
fn names_and_metadata_are_enough_for_many() {
    let env = Env::new();
    let bound = Wheel::new("torch", "2.6.0+cu126").requires("nvidia-cublas-cu12; platform_system == 'Linux'");
    bound.requires("cupy-cuda12x; extra == 'gpu'").write_to(env.path(""));
    Wheel::new("plain", "1.0").write_to(env.path(""));
    assert_output!(env.ok(["inspect", "torch-2.6.0+cu126-py3-none-any.whl", "plain-1.0-py3-none-any.whl"]), @r#"
    exit 0
    --- stdout
    torch-2.6.0+cu126-py3-none-any.whl: requires cuda (quick look)
    ACCELERATOR  STRENGTH  MEMBER      EVIDENCE
    cuda         requires  (filename)  local version +cu126
    cuda         requires  METADATA    Requires-Dist: nvidia-cublas-cu12; platform_system == 'Linux'

    plain-1.0-py3-none-any.whl: no accelerator (quick look)
    "#);
}

#[test]
fn the_document_names_accelerators_findings_and_depth() {
    let env = Env::new();
    extension().write_to(env.path(""));
    let report = json_with_code(&env, 0, &["inspect", "--deep", &extension().filename()]);
    assert_eq!(report["schema"], "wcas.inspect/1");
    let file = &report["files"][0];
    assert_eq!(file["filename"], extension().filename());
    assert_eq!(file["accelerators"], serde_json::json!([{"accelerator": "cuda", "strength": "requires"}]));
    assert_eq!(file["bound"], serde_json::json!(["cuda"]));
    assert_eq!((&file["is_deep"], &file["is_conclusive"], &file["unread"]), (&true.into(), &true.into(), &0.into()));
    assert_eq!(file["findings"][0]["evidence"], "NEEDED libcudart.so.12");
    let quick = json_with_code(&env, 0, &["inspect", &extension().filename()]);
    let file = &quick["files"][0];
    assert_eq!((&file["is_deep"], &file["is_conclusive"], &file["unread"]), (&false.into(), &false.into(), &1.into()));
    assert_eq!(file["bound"], serde_json::json!([]));
}

#[test]
fn bad_files_are_told_and_the_others_are_done() {
    let env = Env::new();
    Wheel::new("plain", "1.0").write_to(env.path(""));
    fs::write(env.path("bad-1.0-py3-none-any.whl"), "bad").unwrap();
    let cut = &elf_needing("libcudart.so.12")[..150];
    Wheel::new("cut", "1.0").tags("py3-none-linux_x86_64").member("cut/cut.so", cut).write_to(env.path(""));
    let names = ["bad-1.0-py3-none-any.whl", "none-1.0-py3-none-any.whl", "cut-1.0-py3-none-linux_x86_64.whl"];
    let output = env.run([&["inspect", "--deep"][..], &names, &["plain-1.0-py3-none-any.whl"]].concat());
    assert_output!(output, @r#"
    exit 3
    --- stdout
    cut-1.0-py3-none-linux_x86_64.whl: no accelerator (deep look)
    problem: cut/cut.so: program headers: 112 bytes at offset 64, the file ends at 150

    plain-1.0-py3-none-any.whl: no accelerator (deep look)
    --- stderr
    refused bad-1.0-py3-none-any.whl: expected a wheel, which is a zip archive: expected a zip archive's end record in the last 3 bytes of 3, found none
    refused none-1.0-py3-none-any.whl: cannot open none-1.0-py3-none-any.whl: No such file or directory (os error 2)
    "#);
}

#[test]
fn a_blob_is_known_by_its_contents() {
    let env = Env::new();
    extension().write_to(env.path("in"));
    env.ok(["import", "in"]);
    let blob = crate::blob(&env, "demo");
    let report = json_with_code(&env, 0, &["inspect", "--deep", blob.to_str().unwrap()]);
    assert_eq!(report["files"][0]["filename"], extension().filename());
    assert_eq!(report["files"][0]["bound"], serde_json::json!(["cuda"]));
    refused(&env, 2, &["inspect"]);
}
