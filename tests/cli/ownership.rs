//! Whose a project is: what a variant is offered of others' builds, whatever asks for it, and where what a guard refuses goes.

use crate::support::{Env, Reply, Server, Wheel, elf_needing};
use crate::{array, texts};
use serde_json::Value;
use std::fs;

const TAGS: &str = "cp312-cp312-manylinux_2_28_x86_64";

/// A native wheel; `library` is what its extension needs.
fn native(project: &str, version: &str, library: &str) -> Wheel {
    Wheel::new(project, version).tags(TAGS).build("0").member(&format!("{project}/_C.so"), elf_needing(library))
}

/// A store for the variants cuda, which requires torch, and cpu, with guards as the documents set them up.
fn teams() -> Env {
    let env = Env::new();
    for (name, accelerator) in [("shared", "none"), ("cuda", "cuda"), ("cpu", "none")] {
        env.ok(["collection", "create", name]);
        env.ok(["collection", "set", name, "--accelerator", accelerator]);
        if name != "shared" {
            env.ok(["collection", "set", name, "--fallback", "shared"]);
        }
    }
    fs::write(env.path("cuda.txt"), "torch\n").unwrap();
    fs::write(env.path("cpu.txt"), "app\n").unwrap();
    env.ok(["route", "set", "cuda", "--requirements", "cuda.txt"]);
    env.ok(["route", "set", "cpu", "--requirements", "cpu.txt"]);
    env
}

/// Imports a wheel for a variant, and returns the collection that got it.
fn import(env: &Env, variant: &str, wheel: &Wheel, more: &[&str]) -> String {
    let path = wheel.write_to(env.path(format!("in-{variant}")));
    let args = [&["import", "--variant", variant, path.to_str().unwrap()], more].concat();
    env.json(args)["distributions"][0]["collection"].as_str().unwrap().to_owned()
}

/// Returns the filenames of a variant's page.
fn page(env: &Env, variant: &str, more: &[&str]) -> Vec<String> {
    let document = env.json([&["view", "--variant", variant], more].concat());
    texts(&document["files"], "filename").into_iter().map(str::to_owned).collect()
}

fn fates(document: &Value) -> Vec<String> {
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    array(&document["files"]).iter().map(|row| format!("{} {}", text(row, "collection"), text(row, "fate"))).collect()
}

#[test]
fn what_a_variant_requires_is_never_taken_from_shared_whoever_built_first() {
    let env = teams();
    let torch = native("torch", "2.5.1", "libm.so.6");
    assert_eq!(import(&env, "cpu", &torch, &[]), "shared");
    assert_eq!(page(&env, "cpu", &[]), [torch.filename()]);
    assert!(page(&env, "cuda", &[]).is_empty());
    let missed = env.run(["lookup", "torch", "--variant", "cuda"]);
    assert_eq!(missed.code, 4, "{missed}");
    assert!(
        missed.stderr.contains("torch is cuda's own (cuda requires torch), and isn't taken from shared"),
        "{missed}"
    );
    assert_eq!(env.run(["lookup", "torch", "--variant", "cuda", "--metadata"]).code, 4);
    let why = env.json(["why", "torch", "--variant", "cuda"]);
    assert_eq!(fates(&why), ["shared foreign"]);
    assert_eq!(why["files"][0]["reason"], "torch is cuda's own (cuda requires torch), and isn't taken from shared");
    assert!(env.ok(["why", "torch", "--variant", "cuda"]).stdout.contains("held back: torch is cuda's own"));
    let tree = env.json(["view", "--variant", "cuda", "--to", "tree"]);
    assert_eq!(tree["files"], 0);
    // Its own hides nothing of others, and is all that it sees.
    let own = native("torch", "2.5.0", "libcudart.so.12");
    assert_eq!(import(&env, "cuda", &own, &[]), "cuda");
    assert_eq!(page(&env, "cuda", &["--strategy", "union"]), [own.filename()]);
    assert_eq!(page(&env, "cpu", &[]), [torch.filename()]);
    // Who asks for the collection itself gets what it has.
    assert_eq!(env.json(["lookup", "torch", "--collection", "shared"])["version"], "2.5.1");
}

#[test]
fn a_run_may_say_itself_what_is_its_own() {
    let env = teams();
    assert_eq!(import(&env, "cpu", &native("vllm", "1.0", "libm.so.6"), &[]), "shared");
    fs::write(env.path("run.txt"), "vllm\n").unwrap();
    fs::write(env.path("none.txt"), "").unwrap();
    let code = |args: &[&str]| env.run([&["lookup", "--variant", "cuda"], args].concat()).code;
    assert_eq!((code(&["vllm"]), code(&["vllm", "--requirements", "run.txt"])), (0, 4));
    assert!(page(&env, "cuda", &["--requirements", "run.txt"]).is_empty());
    assert_eq!(page(&env, "cuda", &["--requirements", "none.txt"]).len(), 1);
    let why = env.json(["why", "vllm", "--variant", "cuda", "--requirements", "run.txt"]);
    assert_eq!(fates(&why), ["shared foreign"]);
    assert_eq!(import(&env, "cuda", &native("vllm", "1.1", "libm.so.6"), &["--requirements", "run.txt"]), "cuda");
}

#[test]
fn an_override_is_a_home_and_one_to_the_default_collection_shares() {
    let env = teams();
    env.ok(["collection", "create", "special"]);
    assert_eq!(import(&env, "cpu", &native("torch", "2.5.1", "libm.so.6"), &[]), "shared");
    assert_eq!(import(&env, "cpu", &native("numpy", "2.0", "libm.so.6"), &[]), "shared");
    env.ok(["route", "override", "numpy", "special", "--variant", "cuda"]);
    env.ok(["route", "override", "torch", "shared", "--variant", "cuda"]);
    assert_eq!(page(&env, "cuda", &[]), ["torch-2.5.1-0-cp312-cp312-manylinux_2_28_x86_64.whl"]);
    assert_eq!(env.run(["lookup", "numpy", "--variant", "cuda"]).code, 4);
    assert_eq!(import(&env, "cuda", &native("numpy", "1.9", "libm.so.6"), &[]), "special");
    assert_eq!(env.json(["lookup", "numpy", "--variant", "cuda"])["version"], "1.9");
    assert_eq!(env.json(["lookup", "numpy", "--variant", "cpu"])["version"], "2.0");
}

#[test]
fn fallbacks_for_the_same_accelerator_are_at_home_with_a_variant() {
    let env = teams();
    for (name, first) in [("cuda-aarch64", "cuda"), ("cpu-aarch64", "cpu")] {
        env.ok(["collection", "create", name]);
        env.ok(["collection", "set", name, "--fallback", first, "--fallback", "shared"]);
    }
    fs::write(env.path("both.txt"), "torch\napp\n").unwrap();
    for name in ["cuda-aarch64", "cpu-aarch64"] {
        env.ok(["route", "set", name, "--requirements", "both.txt"]);
    }
    assert_eq!(import(&env, "cuda", &native("torch", "1.0", "libcudart.so.12"), &[]), "cuda");
    assert_eq!(import(&env, "cpu", &native("app", "1.0", "libm.so.6"), &[]), "cpu");
    assert_eq!(import(&env, "cpu", &native("torch", "2.0", "libm.so.6"), &[]), "shared");
    assert_eq!(import(&env, "cuda", &native("app", "2.0", "libm.so.6"), &[]), "shared");
    let found = |project: &str, variant: &str| env.json(["lookup", project, "--variant", variant])["version"].clone();
    assert_eq!((found("torch", "cuda-aarch64"), found("app", "cpu-aarch64")), ("1.0".into(), "1.0".into()));
    assert_eq!(env.run(["lookup", "app", "--variant", "cuda-aarch64"]).code, 4, "that is others'");
    assert_eq!(env.run(["lookup", "torch", "--variant", "cpu-aarch64"]).code, 4);
}

#[test]
fn a_version_that_has_a_bound_build_is_its_variants_own() {
    let env = teams();
    let plain = |version| native("xformers", version, "libm.so.6");
    assert_eq!(import(&env, "cpu", &plain("0.28"), &[]), "shared");
    assert_eq!(import(&env, "cpu", &plain("0.29"), &[]), "shared");
    assert_eq!(page(&env, "cuda", &[]).len(), 2, "nobody has a build for cuda");
    let bound = native("xformers", "0.28", "libcudart.so.12").build("1");
    // Its guard wants to know, and looks deeply.
    env.ok(["collection", "create", "elsewhere"]);
    env.ok(["collection", "set", "elsewhere", "--accelerator", "cuda"]);
    env.ok(["import", "--collection", "elsewhere", bound.write_to(env.path("in")).to_str().unwrap()]);
    assert_eq!(page(&env, "cuda", &[]), [plain("0.29").filename()], "known anywhere");
    assert_eq!(env.run(["lookup", "xformers==0.28", "--variant", "cuda"]).code, 4);
    assert_eq!(page(&env, "cpu", &[]).len(), 2, "it is nothing to others");
    let why = env.json(["why", "xformers==0.28", "--variant", "cuda"]);
    assert!(why["files"][0]["reason"].as_str().unwrap().contains("is cuda's own, since xformers-0.28-1-"), "{why}");
    // The same rule routes: what cuda builds of this version next isn't lost in shared.
    let explained = env.json(["route", "explain", "xformers==0.28", "--variant", "cuda"]);
    assert_eq!((&explained["collection"], &explained["rule"]), (&"cuda".into(), &"accelerator".into()));
    assert_eq!(env.json(["route", "explain", "xformers==0.29", "--variant", "cuda"])["collection"], "shared");
    let again = plain("0.28").tags("cp313-cp313-manylinux_2_28_x86_64");
    assert_eq!(import(&env, "cuda", &again, &[]), "cuda");
    assert!(page(&env, "cuda", &[]).contains(&again.filename()));
}

#[test]
fn pure_wheels_of_own_projects_are_shared_where_the_variant_says_so() {
    let env = teams();
    let pure = Wheel::new("torch", "1.0").build("0");
    let native_inside = Wheel::new("torch", "1.1").build("0").member("torch/_C.so", elf_needing("libcudart.so.12"));
    assert_eq!(import(&env, "cpu", &pure, &[]), "shared");
    assert_eq!(import(&env, "cpu", &native("torch", "1.2", "libm.so.6"), &[]), "shared");
    assert!(page(&env, "cuda", &[]).is_empty());
    env.ok(["route", "set", "cuda", "--share-pure"]);
    assert_eq!(page(&env, "cuda", &[]), [pure.filename()], "what is native stays apart");
    assert_eq!(import(&env, "cuda", &Wheel::new("torch", "1.3").build("0"), &[]), "shared");
    assert_eq!(import(&env, "cuda", &native_inside, &[]), "cuda", "its name alone says that it is pure");
    assert_eq!(import(&env, "cuda", &native("torch", "1.4", "libm.so.6"), &[]), "cuda");
    assert!(env.ok(["config", "show"]).stdout.contains("share-pure = true"));
    assert!(env.ok(["route", "show", "cuda"]).stdout.contains("pure wheels   shared"));
    env.ok(["route", "set", "cuda", "--no-share-pure"]);
    assert!(!page(&env, "cuda", &["--strategy", "union"]).contains(&pure.filename()));
}

#[test]
fn what_shared_refuses_goes_to_the_variant_that_admits_it() {
    let env = teams();
    let bound = native("flash", "1.0", "libcudart.so.12");
    let path = bound.write_to(env.path("in"));
    let path = path.to_str().unwrap();
    let document = env.json(["import", "--variant", "cuda", path]);
    assert_eq!(document["distributions"][0]["collection"], "cuda");
    assert_eq!(array(&document["refused"]).len(), 0);
    assert_eq!(env.json(["lookup", "flash", "--variant", "cuda"])["collection"], "cuda");
    assert_eq!(env.json(["import", "--variant", "cuda", path])["distributions"][0]["outcome"], "unchanged");
    // Neither admits it: both say why, and nothing comes in.
    let refused = env.run(["import", "--variant", "cpu", path]);
    assert_eq!(refused.code, 3, "{refused}");
    assert!(refused.stderr.contains("shared doesn't admit it: it requires cuda"), "{refused}");
    let rocm = native("hip", "1.0", "libamdhip64.so.6").write_to(env.path("in"));
    assert_eq!(env.run(["import", "--variant", "cuda", rocm.to_str().unwrap()]).code, 3);
    assert_eq!(env.run(["lookup", "hip", "--variant", "cuda"]).code, 4);
    let explained = env.json(["route", "explain", path, "--variant", "cuda"]);
    assert_eq!((&explained["collection"], &explained["rule"]), (&"cuda".into(), &"guard".into()));
    assert_eq!(
        env.json(["route", "explain", "flash", "--variant", "cuda"])["collection"],
        "shared",
        "as far as is known"
    );
    // Somebody's word that it goes elsewhere stands.
    env.ok(["collection", "create", "plain"]);
    env.ok(["collection", "set", "plain", "--accelerator", "none"]);
    env.ok(["route", "override", "flash", "plain"]);
    assert_eq!(env.run(["import", "--variant", "cuda", path]).code, 3);
    // A variant whose collection isn't there yet, and whose name tells nothing, admits it.
    env.ok(["route", "override", "flash", "--remove"]);
    assert_eq!(env.json(["import", "--variant", "box-7", path])["distributions"][0]["collection"], "box-7");
}

#[test]
fn remotes_of_farther_collections_are_not_asked_for_what_is_own() {
    let env = teams();
    let torch = native("torch", "2.5.1", "libm.so.6");
    let server = Server::start();
    let link = server.wheel(&torch.filename(), &torch.bytes());
    server.route("/simple/torch/", Reply::html(link));
    env.ok(["remote", "add", "far", &server.url("/simple/"), "--collection", "shared"]);
    assert_eq!(env.run(["lookup", "torch", "--variant", "cuda"]).code, 4);
    assert_eq!(env.run(["pull", "torch", "--variant", "cuda"]).code, 3);
    assert_eq!(server.requests().len(), 0, "it was asked");
    let why = env.ok(["why", "torch", "--variant", "cuda"]).stdout;
    assert!(why.contains("remote far of shared: not asked: torch is cuda's own"), "{why}");
    assert_eq!(env.json(["lookup", "torch", "--variant", "cpu"])["remote"], "far");
    assert_eq!(env.run(["pull", "torch", "--variant", "cuda"]).code, 3, "now that it is in shared");
}

#[test]
fn what_a_remote_of_shared_has_and_shared_refuses_is_the_variants() {
    let env = teams();
    let server = Server::start();
    for (project, library) in [("flash", "libcudart.so.12"), ("plain", "libm.so.6"), ("apex", "libcudart.so.12")] {
        let wheel = native(project, "1.0", library);
        server.route(&format!("/simple/{project}/"), Reply::html(server.wheel(&wheel.filename(), &wheel.bytes())));
    }
    env.ok(["remote", "add", "far", &server.url("/simple/"), "--collection", "shared"]);
    let found = |project: &str| env.json(["lookup", project, "--variant", "cuda"])["collection"].clone();
    assert_eq!((found("flash"), found("plain")), ("cuda".into(), "shared".into()));
    assert_eq!(env.json(["pull", "apex", "--variant", "cuda"])["distributions"][0]["collection"], "cuda");
    assert_eq!(env.run(["lookup", "apex", "--variant", "cpu"]).code, 4, "it is for neither");
}

#[test]
fn equal_builds_are_kept_and_lost_ones_are_not() {
    if Env::is_of_own_store_only("what it loses the share has") {
        return;
    }
    let env = teams();
    let (first, second) = (native("torch", "1.0", "liba.so.1"), native("torch", "1.0", "libb.so.1"));
    assert_eq!(import(&env, "cuda", &first, &[]), "cuda");
    let path = second.write_to(env.path("second"));
    let args = ["import", "--variant", "cuda", "--on-conflict", "keep", path.to_str().unwrap()];
    let document = env.json(args);
    assert_eq!((array(&document["distributions"]).len(), array(&document["refused"]).len()), (0, 0));
    assert_eq!(
        (&document["kept"][0]["collection"], &document["kept"][0]["filename"]),
        (&"cuda".into(), &first.filename().into())
    );
    assert_eq!(document["kept"][0]["sha256"], env.json(["lookup", "torch", "--variant", "cuda"])["sha256"]);
    let said = env.ok(args);
    assert!(said.stderr.contains("kept what cuda has as torch-1.0-0-"), "{said}");
    fs::remove_file(crate::blob(&env, "torch")).unwrap();
    assert_eq!(env.run(["verify"]).code, 3);
    assert_eq!(env.json(args)["distributions"][0]["outcome"], "replaced", "nobody has the bytes any more");
}
