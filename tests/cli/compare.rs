//! `wcas compare`: what differs between two wheels, in files and in the store.

use crate::support::{Env, Wheel, elf_needing};
use crate::{json_with_code, refused};
use serde_json::json;
use std::fs;

const NAME: &str = "demo-1.0-cp312-cp312-linux_x86_64.whl";

fn demo(library: &str, requirement: &str) -> Wheel {
    let wheel = Wheel::new("demo", "1.0").tags("cp312-cp312-linux_x86_64").requires(requirement);
    wheel.member("demo/_C.so", elf_needing(library)).member("demo/same.py", "x = 1\n")
}

fn two_builds() -> Env {
    let env = Env::new();
    demo("libcudart.so.12", "numpy>=1").write_to(env.path("old"));
    demo("libamdhip64.so.6", "numpy>=2").member("demo/new.py", "y = 2\n").write_to(env.path("new"));
    env
}

#[test]
fn files_need_no_store_and_what_differs_is_told() {
    if Env::is_of_own_store_only("it is made before the test") {
        return;
    }
    let env = two_builds();
    let (old, new) = (format!("old/{NAME}"), format!("new/{NAME}"));
    let told = env.ok(["compare", &old, &new]).stdout;
    for line in [
        "only in B:\n  demo/new.py  6 B\n",
        "METADATA:\n  - Requires-Dist: numpy>=1\n  + Requires-Dist: numpy>=2\n",
        "  demo/_C.so: - needs libcudart.so.12\n  demo/_C.so: + needs libamdhip64.so.6\n",
        "~ demo/_C.so",
    ] {
        assert!(told.contains(line), "{line} is missing:\n{told}");
    }
    assert!(!env.store().exists(), "looking makes no store");
    assert_eq!(env.ok(["compare", &old, &old]).stdout.lines().nth(2), Some("the same bytes"));
    env.ok(["compare", &old, &old, "--exit-code"]);
    assert_eq!(env.run(["compare", &old, &new, "--exit-code"]).code, 3);
}

#[test]
fn one_filename_in_two_collections_is_compared_by_their_names() {
    let env = two_builds();
    env.ok(["import", "old", "--collection", "released"]);
    env.ok(["import", "new", "--collection", "nightly"]);
    let report = json_with_code(&env, 0, &["compare", "released:demo==1.0", &format!("nightly:{NAME}")]);
    assert_eq!((&report["schema"], &report["difference"]), (&json!("wcas.compare/1"), &json!("content")));
    assert_eq!(report["added"][0]["name"], "demo/new.py");
    assert_eq!(report["natives"][0]["a"]["libraries"], json!(["libcudart.so.12"]));
    assert_eq!(report["glibc"], json!([null, null]));
    let digest = report["a"]["blake3"].as_str().unwrap();
    let same = json_with_code(&env, 0, &["compare", &format!("blake3:{digest}"), &format!("old/{NAME}")]);
    assert_eq!(same["difference"], "none");
    let several = refused(&env, 2, &["compare", "demo", "demo"]).stderr;
    assert!(several.contains("nightly:demo-1.0") && several.contains("name one"), "{several}");
    refused(&env, 4, &["compare", "absent", "demo"]);
    refused(&env, 4, &["compare", "none:demo", "nightly:demo"]);
}

#[test]
fn what_has_lost_its_bytes_is_told_so_and_is_no_wrong_question() {
    if Env::is_of_own_store_only("a node fetches what it lacks") {
        return;
    }
    let env = two_builds();
    env.ok(["import", "old"]);
    for blob in crate::files(&env.store().join("blobs")) {
        fs::remove_file(env.store().join("blobs").join(blob)).unwrap();
    }
    let said = refused(&env, 1, &["compare", "demo", &format!("old/{NAME}")]).stderr;
    assert!(said.contains(&format!("the bytes of {NAME} are lost")) && said.contains("`wcas verify"), "{said}");
}

#[test]
fn what_is_no_wheel_is_refused_with_its_name() {
    let env = two_builds();
    fs::write(env.path("bad.whl"), "bad").unwrap();
    let said = refused(&env, 2, &["compare", "./bad.whl", &format!("old/{NAME}")]).stderr;
    assert!(said.contains("bad.whl") && said.contains("end record"), "{said}");
    for other in ["/dev/zero", "./old"] {
        let said = refused(&env, 2, &["compare", &format!("old/{NAME}"), other]).stderr;
        assert!(said.contains(&format!("{other} is no file")), "{said}");
    }
    refused(&env, 1, &["compare", "./absent.whl", &format!("old/{NAME}")]);
    refused(&env, 2, &["compare", "./bad.whl"]);
}

/// Returns the highest version of glibc whose name is in a program's bytes.
fn glibc_named(bytes: &[u8]) -> Option<(u32, u32)> {
    let names =
        bytes.split(|byte| *byte == 0).filter_map(|text| std::str::from_utf8(text).ok()?.strip_prefix("GLIBC_2."));
    names.filter_map(|rest| Some((2, rest.split('.').next()?.parse().ok()?))).max()
}

#[test]
fn the_least_glibc_is_that_of_real_programs() {
    let program = std::fs::read("/bin/true").ok().filter(|bytes| glibc_named(bytes).is_some());
    let Some(program) = program else { return crate::support::skip("/bin/true isn't one of glibc's") };
    let env = Env::new();
    let (major, minor) = glibc_named(&program).unwrap();
    Wheel::new("demo", "1.0").member("demo/true", &program).write_to(env.path("old"));
    Wheel::new("demo", "1.0").write_to(env.path("new"));
    let name = "demo-1.0-py3-none-any.whl";
    let report = json_with_code(&env, 0, &["compare", &format!("old/{name}"), &format!("new/{name}")]);
    assert_eq!(report["glibc"], json!([format!("{major}.{minor}"), null]));
    let libraries = report["natives"][0]["a"]["libraries"].as_array().unwrap();
    assert!(libraries.iter().any(|library| library == "libc.so.6"), "{report}");
}
