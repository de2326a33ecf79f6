//! The origin's cases, each by its id, through the real binary: behaviours to keep (K, L, R, C, S, T, B) and faults to do better (X).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests and their helpers may panic and say what they skip"
)]

mod support;

use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use support::{Env, Sdist, Wheel};

const PLATFORM: &str = "cp312-cp312-manylinux_2_28_x86_64";

/// Returns the filenames of a document's distributions, in its order.
fn filenames(document: &Value) -> Vec<&str> {
    let distributions = document["distributions"].as_array().expect("a list of distributions");
    distributions.iter().map(|row| row["filename"].as_str().expect("a filename")).collect()
}

/// Returns what `lookup` prints, without the line's end; it must be a hit.
#[track_caller]
fn hit(env: &Env, args: &[&str]) -> PathBuf {
    PathBuf::from(env.ok([&["lookup"], args].concat()).stdout.trim_end())
}

#[track_caller]
fn hit_name(env: &Env, args: &[&str]) -> String {
    hit(env, args).file_name().and_then(|name| name.to_str()).expect("a filename").to_owned()
}

#[track_caller]
fn assert_miss(env: &Env, args: &[&str]) {
    let output = env.run([&["lookup"], args].concat());
    assert_eq!((output.code, output.stdout.as_str()), (4, ""), "must be a miss:\n{output}");
}

/// Returns the path of the blob that a distribution has.
fn blob(env: &Env, spec: &str) -> PathBuf {
    PathBuf::from(env.json(["show", spec])["distributions"][0]["path"].as_str().expect("a path"))
}

/// Puts other bytes in the place of a file, which is read-only.
fn overwrite(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::remove_file(path).and_then(|()| fs::write(path, bytes)).expect("the test owns the store");
}

/// Returns all regular files below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let walk =
        walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(|entry| entry.expect("a readable folder"));
    walk.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

fn dangling(dir: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(dir).into_iter().map(|entry| entry.expect("a readable folder").into_path());
    walk.filter(|path| path.is_symlink() && !path.exists()).collect()
}

#[test]
fn k1_a_key_is_the_normalised_project_the_version_and_the_build_tag() {
    let env = Env::new();
    Wheel::new("Flask-RESTful", "0.3.10").build("2").write_to(env.path("in"));
    Wheel::new("numpy", "1.26.4").build("2").write_to(env.path("in"));
    Wheel::new("numpy", "1.26.5").write_to(env.path("in"));
    env.ok(["import", "in"]);
    let key = |row: &Value| (row["project"].clone(), row["version"].clone(), row["build_tag"].clone());
    let document = env.json(["list"]);
    let keys: Vec<_> = document["distributions"].as_array().unwrap().iter().map(key).collect();
    assert_eq!(
        keys,
        [
            ("flask-restful".into(), "0.3.10".into(), "2".into()),
            ("numpy".into(), "1.26.4".into(), "2".into()),
            ("numpy".into(), "1.26.5".into(), Value::Null),
        ]
    );
    // Equal keys are equal, however they are spelled.
    for spelling in ["Flask-RESTful", "flask_restful", "FLASK.restful", "flask--restful"] {
        for version in ["0.3.10", "v0.3.10", "0.3.10.0"] {
            let spec = format!("{spelling}=={version}");
            assert_eq!(
                hit_name(&env, &[&spec, "--build-tag", "2"]),
                "flask_restful-0.3.10-2-py3-none-any.whl",
                "{spec}"
            );
        }
    }
    assert_miss(&env, &["flask-restful==0.3.10", "--build-tag", "1"]);
    assert_miss(&env, &["numpy==1.26.5", "--build-tag", "2"]);
}

#[test]
fn k2_the_highest_build_number_wins_and_asked_for_none_any_is_a_match() {
    let env = Env::new();
    for tag in ["2", "10", "2_el9_rocm6", "9a"] {
        Wheel::new("torch", "2.5.1").build(tag).write_to(env.path("in"));
    }
    Wheel::new("torch", "2.5.1").write_to(env.path("in"));
    Wheel::new("fromager-built", "1.0").build("0").write_to(env.path("in"));
    Wheel::new("untagged", "1.0").write_to(env.path("in"));
    env.ok(["import", "in"]);
    let document = env.json(["list", "torch"]);
    let tags: Vec<&Value> = document["distributions"].as_array().unwrap().iter().map(|row| &row["build_tag"]).collect();
    assert_eq!(tags, [&Value::Null, &"2".into(), &"2_el9_rocm6".into(), &"9a".into(), &"10".into()]);
    assert_eq!(hit_name(&env, &["torch==2.5.1"]), "torch-2.5.1-10-py3-none-any.whl");
    assert_eq!(
        hit_name(&env, &["torch==2.5.1", "--build-tag", "2_el9_rocm6"]),
        "torch-2.5.1-2_el9_rocm6-py3-none-any.whl"
    );
    // What fromager builds carries the tag 0, and the draft never found it.
    assert_eq!(hit_name(&env, &["fromager-built==1.0"]), "fromager_built-1.0-0-py3-none-any.whl");
    assert_eq!(hit_name(&env, &["untagged==1.0"]), "untagged-1.0-py3-none-any.whl");
}

#[test]
fn k3_a_wheel_for_another_interpreter_abi_or_platform_is_never_the_answer() {
    let env = Env::new();
    let others = [
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp312-cp312-manylinux_2_28_aarch64",
        "cp312-cp312-macosx_14_0_arm64",
        "cp312-cp312-win_amd64",
        "cp313-cp313t-manylinux_2_28_x86_64",
        "pp310-pypy310_pp73-manylinux_2_28_x86_64",
    ];
    for (number, tags) in (1u64..).zip(others) {
        Wheel::new("native", "1.0").build("9").tags(tags).payload(32, number).write_to(env.path("in"));
    }
    env.ok(["import", "in"]);
    let asked = ["native==1.0", "--python", "3.12", "--platform", "linux_x86_64"];
    assert_miss(&env, &asked);
    assert_miss(&env, &["native==1.0", "--python", "3.13", "--platform", "manylinux_2_28_x86_64"]);
    Wheel::new("native", "1.0").tags(PLATFORM).write_to(env.path("in"));
    env.ok(["import", "in"]);
    // A lower build that runs comes before a higher one that doesn't.
    let platform = ["native==1.0", "--python", "3.12", "--platform", "manylinux_2_28_x86_64"];
    assert_eq!(hit_name(&env, &platform), format!("native-1.0-{PLATFORM}.whl"));
    assert_eq!(hit_name(&env, &asked), format!("native-1.0-{PLATFORM}.whl"));
}

#[test]
fn l1_empty_missing_and_junk_inputs_are_told_and_nothing_crashes() {
    let env = Env::new();
    fs::create_dir_all(env.path("empty")).unwrap();
    let empty = env.ok(["import", "empty"]);
    assert!(empty.stdout.starts_with("0 distributions"), "{empty}");
    let missing = env.run(["import", "nowhere"]);
    assert_eq!(missing.code, 3, "{missing}");
    assert!(missing.stderr.contains("nowhere"), "{missing}");
    assert!(env.json(["list"])["distributions"].as_array().unwrap().is_empty());

    Wheel::new("good", "1.0").write_to(env.path("mixed"));
    fs::write(env.path("mixed/notes.txt"), "junk").unwrap();
    fs::write(env.path("mixed/backup.zip"), "no sdist by its name").unwrap();
    fs::write(env.path("mixed/unparsable.whl"), "no name").unwrap();
    let mixed = env.run(["import", "mixed"]);
    for name in ["notes.txt", "backup.zip", "unparsable.whl"] {
        assert!(mixed.stderr.contains(name), "{name} is skipped with a word:\n{mixed}");
    }
    assert_eq!(env.listed(&[]), ["good-1.0-py3-none-any.whl"]);
}

#[test]
fn l2_a_file_that_vanished_is_a_miss_and_a_finding_and_is_healed_by_the_next_import() {
    if Env::is_of_own_store_only("what it loses the share has") {
        return;
    }
    let env = Env::new();
    let source = Wheel::new("demo", "1.0").write_to(env.path("in"));
    env.ok(["import", "in"]);
    let path = blob(&env, "demo");
    fs::remove_file(&path).unwrap();
    assert_miss(&env, &["demo==1.0"]);
    let verify = env.run(["--json", "verify"]);
    assert_eq!(verify.code, 3, "{verify}");
    let problem = &verify.json()["problems"][0];
    assert_eq!((&problem["kind"], problem["path"].as_str()), (&"missing".into(), path.to_str()));
    assert_eq!(problem["filenames"], serde_json::json!(["demo-1.0-py3-none-any.whl"]));
    let page = env.run(["view"]);
    assert_eq!(page.code, 3, "{page}");
    assert!(!page.stdout.contains("demo-1.0"), "it leaves the listing that installers read:\n{page}");
    assert_eq!(env.json(["import", "in"])["distributions"][0]["outcome"], "healed");
    assert_eq!(fs::read(hit(&env, &["demo==1.0"])).unwrap(), fs::read(source).unwrap());
    env.ok(["verify"]);
    assert!(env.ok(["view"]).stdout.contains("demo-1.0"));
}

#[test]
fn l3_a_store_keeps_the_source_is_visible_at_once_and_is_idempotent() {
    let env = Env::new();
    let wheel = Wheel::new("demo", "1.0").payload(1000, 1);
    let first = wheel.write_to(env.path("wheels-repo/build/140053"));
    Wheel::new("other", "1.0").write_to(env.path("wheels-repo/build/140054/deeper"));
    let report = env.json(["import", "wheels-repo", "--collection", "cuda"]);
    assert_eq!(filenames(&report), ["demo-1.0-py3-none-any.whl", "other-1.0-py3-none-any.whl"]);
    assert_eq!(fs::read(&first).unwrap(), wheel.bytes(), "the source stays as it was");
    assert_eq!(fs::read(hit(&env, &["demo==1.0", "--collection", "cuda"])).unwrap(), wheel.bytes());
    let before = files(&env.path("store/blobs"));
    let again = env.json(["import", "wheels-repo", "--collection", "cuda"]);
    let outcomes: HashSet<&str> =
        again["distributions"].as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, HashSet::from(["unchanged"]));
    assert_eq!((&again["revision"], &report["revision"]), (&1.into(), &1.into()), "same files again are no work");
    assert_eq!(files(&env.path("store/blobs")), before);
}

#[test]
fn l4_the_new_bytes_win_and_nobody_reads_a_mixture() {
    let env = Env::new();
    let wheel = |seed| Wheel::new("demo", "1.0").payload(300_000, seed);
    let (old, new) = (wheel(1).bytes(), wheel(2).bytes());
    wheel(1).write_to(env.path("in"));
    env.ok(["import", "in"]);
    let old_path = hit(&env, &["demo==1.0"]);
    // Whoever looked it up before reads on what was found then.
    let mut reader = fs::File::open(&old_path).unwrap();
    wheel(2).write_to(env.path("in"));
    assert_eq!(env.json(["import", "in"])["distributions"][0]["outcome"], "replaced");
    assert_eq!(env.listed(&[]).len(), 1);
    let new_path = hit(&env, &["demo==1.0"]);
    assert_eq!(fs::read(&new_path).unwrap(), new);
    let page = env.ok(["view"]).stdout;
    let sha256 = env.json(["lookup", "demo==1.0"])["sha256"].as_str().unwrap().to_owned();
    assert!(page.contains(&format!("#sha256={sha256}")), "the page says the digest of the new bytes:\n{page}");
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut read).unwrap();
    assert_eq!(read, old);
    assert_eq!(fs::read(&old_path).unwrap(), old, "the old path has the old bytes or none, never the new ones");
    // The old reference stays in history.
    assert_eq!(env.json(["view", "--format", "json", "--at", "1"])["files"][0]["size"], old.len());
}

#[test]
fn r4_a_collection_owns_only_its_own_files() {
    let env = Env::new();
    for project in ["one", "two"] {
        Wheel::new(project, "1.0").payload(5000, 1).write_to(env.path("in"));
    }
    env.ok(["import", "in", "--collection", "a"]);
    let second = env.json(["import", "in", "--collection", "b"]);
    assert!(second["distributions"].as_array().unwrap().iter().all(|row| row["outcome"] == "deduplicated"));
    let stats = env.json(["stats"]);
    assert_eq!(stats["blobs"]["count"], 2, "counted once");
    assert_eq!(env.listed(&["--collection", "a"]).len(), 2);
    assert_eq!(env.listed(&["--collection", "a", "--collection", "a"]).len(), 2, "listed once");
    let gone = env.json(["invalidate", "--all", "--yes", "--collection", "a"]);
    assert_eq!(gone["removed"].as_array().unwrap().len(), 2, "invalidated once");
    assert!(env.listed(&["--collection", "a"]).is_empty());
    assert_eq!(env.listed(&["--collection", "b"]).len(), 2);
    env.ok(["gc", "--grace", "0"]);
    assert!(hit(&env, &["one==1.0", "--collection", "b"]).exists(), "the other collection's bytes stay");
}

#[test]
fn r3_an_override_whose_collection_is_gone_fails_the_import_and_names_it() {
    let env = Env::new();
    let path = Wheel::new("torch", "1.0").write_to(env.path("in"));
    env.ok(["collection", "create", "special"]);
    env.ok(["route", "override", "torch", "special"]);
    let store = wcas::Store::open(&env.store()).unwrap();
    let variant = "cuda".parse().unwrap();
    // What another process does between the import's start and its end.
    let router = wcas::ops::route::router(&store, &variant, &wcas::catalog::ownership::OwnProjects::Stored).unwrap();
    env.ok(["route", "override", "torch", "--remove"]);
    env.ok(["collection", "delete", "special"]);
    let options = wcas::intake::ImportOptions {
        target: wcas::intake::Target::Route(Box::new(router)),
        link: wcas::blobs::LinkMode::Copy,
        keep_existing: false,
        trust: wcas::wheel::Trust::Neither,
    };
    let context = wcas::context::Context { now: 1_700_000_000, who: "test", jobs: 1, progress: &(), client: None };
    let (sources, ..) = wcas::intake::find_sources(&[path], None);
    let error = wcas::intake::import(&store, &context, sources, &options).unwrap_err();
    assert!(error.to_string().contains("\"special\""), "{error}");
    assert_eq!(env.json(["collection", "list"])["collections"], serde_json::json!([]), "nothing was made");
    env.ok(["gc", "--grace", "0s"]);
    assert_eq!(env.json(["stats"])["blobs"]["count"], 0);
}

#[test]
fn c1_lookup_goes_through_collections_in_order_and_the_first_hit_wins() {
    let env = Env::new();
    let wheel = |seed| Wheel::new("torch", "2.10.0").build("7").tags(PLATFORM).payload(500, seed);
    wheel(1).write_to(env.path("cuda"));
    wheel(2).write_to(env.path("shared"));
    Wheel::new("torch", "2.11.0").write_to(env.path("shared"));
    Wheel::new("idna", "3.10").write_to(env.path("base"));
    for name in ["cuda", "shared", "base"] {
        env.ok(["import", name, "--collection", name]);
    }
    let find = |args: &[&str]| {
        let document = env.json([&["lookup"], args].concat());
        let bytes = fs::read(document["path"].as_str().unwrap()).unwrap();
        (document["collection"].as_str().unwrap().to_owned(), bytes)
    };
    let both = |first, second| find(&["torch==2.10.0", "--collection", first, "--collection", second]);
    assert_eq!(both("cuda", "shared"), ("cuda".to_owned(), wheel(1).bytes()));
    assert_eq!(both("shared", "cuda"), ("shared".to_owned(), wheel(2).bytes()));
    assert_miss(&env, &["idna", "--collection", "cuda"]);
    env.ok(["collection", "set", "cuda", "--fallback", "shared", "--fallback", "base"]);
    assert_eq!(find(&["torch==2.10.0", "--collection", "cuda"]), ("cuda".to_owned(), wheel(1).bytes()));
    // The nearest collection that has any match answers, though a farther one has a higher version.
    assert_eq!(find(&["torch", "--collection", "cuda"]).0, "cuda");
    assert_eq!(find(&["torch>2.10", "--collection", "cuda"]).0, "shared");
    assert_eq!(find(&["idna", "--collection", "cuda"]).0, "base");
    // The order is each collection that was asked for, then its fallbacks, each once.
    assert_eq!(find(&["idna", "--collection", "cuda", "--collection", "base"]).0, "base");
    if Env::is_node() {
        // The share has what is lost here.
        return;
    }
    // A nearer match whose bytes are gone is a miss there, and the next is tried.
    fs::remove_file(
        env.json(["lookup", "torch==2.10.0", "--collection", "cuda"])["path"]
            .as_str()
            .map(|path| fs::canonicalize(path).unwrap())
            .unwrap(),
    )
    .unwrap();
    assert_eq!(find(&["torch==2.10.0", "--collection", "cuda"]), ("shared".to_owned(), wheel(2).bytes()));
}

/// Returns the collection that each project went to, of an import's document.
fn went(document: &Value) -> Vec<String> {
    let rows = document["distributions"].as_array().expect("a list of distributions").iter();
    let mut went: Vec<String> = rows
        .map(|row| format!("{} {}", row["project"].as_str().unwrap(), row["collection"].as_str().unwrap()))
        .collect();
    went.sort();
    went
}

#[test]
fn r1_an_override_goes_before_the_requirements_and_they_before_the_default_collection() {
    let env = Env::new();
    for project in ["torch", "Flash-Attn", "numpy", "vllm"] {
        Wheel::new(project, "1.0").write_to(env.path("in"));
    }
    fs::write(env.path("cuda.txt"), "torch\nflash_ATTN\nvllm\n").unwrap();
    env.ok(["route", "set", "cuda", "--requirements", "cuda.txt"]);
    let import = || went(&env.json(["import", "--variant", "cuda", "in"]));
    assert_eq!(import(), ["flash-attn cuda", "numpy shared", "torch cuda", "vllm cuda"]);
    env.ok(["collection", "create", "special"]);
    env.ok(["route", "override", "VLLM", "special"]);
    env.ok(["route", "override", "Numpy", "cuda", "--variant", "cuda"]);
    env.ok(["route", "override", "torch", "cuda"]);
    env.ok(["route", "override", "torch", "special", "--variant", "cuda"]);
    assert_eq!(import(), ["flash-attn cuda", "numpy cuda", "torch special", "vllm special"]);
    for project in ["numpy", "torch", "vllm"] {
        let whose: &[&str] = if project == "vllm" { &[] } else { &["--variant", "cuda"] };
        env.ok([&["route", "override", project, "--remove"], whose].concat());
    }
    env.ok(["route", "default", "base"]);
    assert_eq!(import(), ["flash-attn cuda", "numpy base", "torch cuda", "vllm cuda"]);
    // What was stored for a variant is found for it, once nothing nearer from before is in the way.
    env.ok(["invalidate", "numpy", "--collection", "cuda"]);
    for (project, collection) in [("numpy", "base"), ("torch", "cuda")] {
        assert_eq!(env.json(["lookup", project, "--variant", "cuda"])["collection"], collection);
    }
}

#[test]
fn r2_an_empty_requirements_file_is_an_empty_set_and_not_none() {
    let env = Env::new();
    Wheel::new("torch", "1.0").write_to(env.path("in"));
    fs::write(env.path("one.txt"), "torch\n").unwrap();
    fs::write(env.path("empty.txt"), "# nothing\n").unwrap();
    let import = |args: &[&str]| went(&env.json([&["import", "in", "--variant", "cuda"], args].concat()));
    env.ok(["route", "set", "cuda", "--requirements", "one.txt"]);
    assert_eq!(import(&[]), ["torch cuda"]);
    assert_eq!(import(&["--requirements", "empty.txt"]), ["torch shared"], "for one run");
    assert_eq!(import(&[]), ["torch cuda"]);
    env.ok(["route", "set", "cuda", "--requirements", "empty.txt"]);
    assert_eq!(import(&[]), ["torch shared"]);
    assert_eq!(env.json(["route", "show", "cuda"])["requirements"], serde_json::json!([]));
    assert_eq!(import(&["--requirements", "one.txt"]), ["torch cuda"]);
    env.ok(["route", "set", "cuda", "--no-requirements"]);
    assert_eq!(env.json(["route", "show", "cuda"])["requirements"], Value::Null);
    assert_eq!(import(&[]), ["torch shared"]);
    let reasons = env.ok(["route", "explain", "torch", "--variant", "cuda"]).stdout;
    assert!(reasons.contains("variant cuda has no requirements set"), "{reasons}");
}

#[test]
fn r3_an_unknown_collection_is_an_error_that_names_it_and_the_default_variant_does_not_trip() {
    let env = Env::new();
    Wheel::new("torch", "1.0").write_to(env.path("in"));
    // Nothing was said of the variant, and it has no collection.
    assert_eq!(went(&env.json(["import", "in", "--variant", "cpu"])), ["torch shared"]);
    assert_eq!(hit_name(&env, &["torch", "--variant", "cpu"]), "torch-1.0-py3-none-any.whl");
    env.ok(["route", "set", "cpu"]);
    assert_eq!(went(&env.json(["import", "in", "--variant", "cpu"])), ["torch shared"]);
    let output = env.run(["route", "override", "torch", "cdua"]);
    assert_eq!(output.code, 4, "{output}");
    assert!(output.stderr.contains("\"cdua\"") && output.stderr.contains("shared"), "{output}");
    // A variant's own collection is made by the first import that needs it.
    fs::write(env.path("cuda.txt"), "torch\n").unwrap();
    env.ok(["route", "set", "cuda", "--requirements", "cuda.txt"]);
    let output = env.run(["lookup", "torch", "--variant", "cuda"]);
    assert_eq!(output.code, 4, "what another variant built isn't cuda's torch: {output}");
    assert!(
        output.stderr.contains("torch is cuda's own (cuda requires torch), and isn't taken from shared"),
        "{output}"
    );
    assert_eq!(went(&env.json(["import", "in", "--variant", "cuda"])), ["torch cuda"]);
    assert_eq!(env.json(["lookup", "torch", "--variant", "cuda"])["collection"], "cuda");
}

#[test]
fn c1_a_variant_searches_its_override_then_itself_then_its_fallbacks_then_the_default() {
    let env = Env::new();
    let wheel = |seed| Wheel::new("torch", "2.10.0").build("7").tags(PLATFORM).payload(500, seed);
    for (seed, name) in [(1, "cuda"), (2, "base"), (3, "shared"), (4, "special")] {
        wheel(seed).write_to(env.path(name));
        env.ok(["import", name, "--collection", name]);
    }
    env.ok(["collection", "set", "cuda", "--fallback", "base"]);
    let find = || {
        let document = env.json(["lookup", "torch==2.10.0", "--variant", "cuda"]);
        let bytes = fs::read(document["path"].as_str().unwrap()).unwrap();
        (document["collection"].as_str().unwrap().to_owned(), bytes)
    };
    let filename = wheel(1).filename();
    assert_eq!(find(), ("cuda".to_owned(), wheel(1).bytes()), "cuda's bytes, though shared has the name");
    env.ok(["route", "override", "torch", "special", "--variant", "cuda"]);
    assert_eq!(find(), ("special".to_owned(), wheel(4).bytes()));
    // A filename and a digest are found along the same way.
    assert_eq!(env.json(["lookup", &filename, "--variant", "cuda"])["collection"], "special");
    let sha256 = env.json(["lookup", &filename, "--variant", "cuda"])["sha256"].as_str().unwrap().to_owned();
    assert_eq!(env.json(["lookup", &sha256, "--variant", "cuda"])["collection"], "special");
    env.ok(["route", "override", "torch", "--remove", "--variant", "cuda"]);
    assert_miss(&env, &[&sha256, "--variant", "cuda"]);
    for (nearest, next, seed) in [("cuda", "base", 2), ("base", "shared", 3)] {
        env.ok(["invalidate", "torch", "--collection", nearest]);
        assert_eq!(find(), (next.to_owned(), wheel(seed).bytes()));
    }
    env.ok(["invalidate", "torch", "--collection", "shared"]);
    assert_miss(&env, &["torch", "--variant", "cuda"]);
}

#[test]
fn c2_store_then_lookup_hits_and_a_forced_lookup_always_misses() {
    let env = Env::new();
    let source = Wheel::new("demo", "1.0").write_to(env.path("in"));
    assert_eq!(env.run(["lookup", "demo==1.0"]).code, 4, "nothing yet");
    env.ok(["import", "in"]);
    assert_eq!(fs::read(hit(&env, &["demo==1.0"])).unwrap(), fs::read(source).unwrap());
    assert_miss(&env, &["demo==1.0", "--no-cache"]);
    assert_eq!(env.run(["--json", "lookup", "demo==1.0", "--no-cache"]).json()["hit"], false);
}

#[test]
fn s1_statistics_count_hits_misses_and_stores_and_last() {
    let env = Env::new();
    for name in ["a", "b"] {
        Wheel::new(name, "1.0").write_to(env.path(name));
        env.ok(["import", name, "--collection", name]);
    }
    let lookups = || env.json(["stats"])["lookups"].clone();
    let fresh = lookups();
    assert_eq!((&fresh["hits"], &fresh["misses"], &fresh["stores"]), (&0.into(), &0.into(), &2.into()));
    assert_eq!(fresh["hit_rate"], 0.0, "no lookups: 0.0, not an error");
    for (spec, collection) in [("a", "a"), ("a", "a"), ("b", "b"), ("a", "b")] {
        env.run(["lookup", spec, "--collection", collection]);
    }
    let lookups = lookups();
    assert_eq!((&lookups["hits"], &lookups["misses"], &lookups["stores"]), (&3.into(), &1.into(), &2.into()));
    assert_eq!(lookups["hit_rate"], 0.75);
    assert_eq!(lookups["by_collection"]["a"], serde_json::json!({"hits": 2, "misses": 0, "stores": 1}));
    assert_eq!(lookups["by_collection"]["b"], serde_json::json!({"hits": 1, "misses": 1, "stores": 1}));
    assert_eq!(lookups["by_remote"], serde_json::json!({}));
    env.ok(["import", "a", "--collection", "a"]);
    assert_eq!(env.json(["stats"])["lookups"]["stores"], 2, "what was there already is no store");
}

#[test]
fn t1_concurrent_stores_lookups_and_scans_have_no_errors_and_no_torn_reads() {
    let env = Env::new();
    let wheel = |seed| Wheel::new("shared-name", "1.0").payload(200_000, seed);
    let good: HashSet<Vec<u8>> = (0..3).map(|seed| wheel(seed).bytes()).collect();
    for writer in 0..3u64 {
        let dir = env.path(format!("in{writer}"));
        wheel(writer).write_to(&dir);
        for number in 0..10 {
            Wheel::new(&format!("own-{writer}-{number}"), "1.0").payload(2000, number).write_to(&dir);
        }
    }
    env.ok(["import", "in0"]);
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let env = &env;
            scope.spawn(move || {
                for _ in 0..3 {
                    env.ok(["import", &format!("in{writer}")]);
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let bytes = fs::read(hit(&env, &["shared-name"])).expect("what a lookup gives is there");
                    assert!(good.contains(&bytes), "a torn read");
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..5 {
                env.ok(["list"]);
                env.ok(["view"]);
                env.ok(["gc"]);
                env.ok(["verify"]);
            }
        });
    });
    assert_eq!(env.listed(&[]).len(), 31);
    let verify = env.json(["verify"]);
    assert_eq!((&verify["checked"], &verify["problems"]), (&33.into(), &serde_json::json!([])));
}

#[test]
fn b1_list_is_sorted_and_invalidate_needs_names_or_all() {
    let env = Env::new();
    for (project, version) in [("b", "1.10"), ("b", "1.9"), ("a", "2.0")] {
        Wheel::new(project, version).write_to(env.path("in"));
    }
    env.ok(["import", "in", "--collection", "z"]);
    env.ok(["import", "in", "--collection", "m"]);
    let document = env.json(["list"]);
    let rows = document["distributions"].as_array().unwrap();
    let key = |row: &Value| {
        ["collection", "project", "version"].map(|field| row[field].as_str().unwrap().to_owned()).join(" ")
    };
    let keys: Vec<String> = rows.iter().map(key).collect();
    assert_eq!(keys, ["m a 2.0", "m b 1.9", "m b 1.10", "z a 2.0", "z b 1.9", "z b 1.10"]);
    let table = env.ok(["list"]).stdout;
    let shown: Vec<String> =
        table.lines().skip(1).map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(shown, keys, "the table has the same order");
    assert_eq!(env.run(["invalidate"]).code, 2, "neither names nor --all");
    assert_eq!(env.run(["invalidate", "--all"]).code, 2, "--all asks, and there is no terminal");
    assert_eq!(env.listed(&[]).len(), 6);
    env.ok(["invalidate", "b==1.9", "--collection", "m"]);
    assert_eq!(env.listed(&["--collection", "m"]), ["a-2.0-py3-none-any.whl", "b-1.10-py3-none-any.whl"]);
    let dry = env.json(["gc", "--dry-run", "--keep-versions", "1", "--grace", "0"]);
    let real = env.json(["gc", "--keep-versions", "1", "--grace", "0"]);
    assert_eq!(dry["references"], real["references"]);
    assert_eq!(real["references"].as_array().unwrap().len(), 1, "z's b 1.9");
    assert_eq!(env.listed(&["--collection", "z"]), ["a-2.0-py3-none-any.whl", "b-1.10-py3-none-any.whl"]);
}

#[test]
fn x1_all_abi_builds_of_a_version_are_listed_and_invalidated() {
    let env = Env::new();
    for abi in ["cp311", "cp312", "cp313"] {
        Wheel::new("numpy", "2.0")
            .tags(&format!("{abi}-{abi}-manylinux_2_28_x86_64"))
            .payload(100, 7)
            .write_to(env.path("in"));
    }
    env.ok(["import", "in"]);
    assert_eq!(env.listed(&["numpy"]).len(), 3);
    assert_eq!(env.json(["invalidate", "--all", "--yes"])["removed"].as_array().unwrap().len(), 3);
    assert_eq!(env.json(["gc", "--grace", "0"])["blobs"], 3);
    assert_eq!(files(&env.path("store/blobs")), Vec::<PathBuf>::new(), "nothing is left on the disk");
}

#[test]
fn x2_every_collection_is_seen_and_an_unknown_one_is_an_error_that_names_it() {
    let env = Env::new();
    Wheel::new("demo", "1.0").write_to(env.path("in"));
    env.ok(["import", "in", "--collection", "cuda"]);
    assert_eq!(env.listed(&[]).len(), 1, "without a name all collections are listed");
    let commands: [&[&str]; 9] = [
        &["list", "--collection", "rocm"],
        &["view", "--collection", "rocm"],
        &["lookup", "demo", "--collection", "rocm"],
        &["show", "demo", "--collection", "rocm"],
        &["invalidate", "demo", "--collection", "rocm"],
        &["gc", "--collection", "rocm"],
        &["pin", "demo", "--collection", "rocm"],
        &["collection", "log", "rocm"],
        &["collection", "copy", "rocm", "other"],
    ];
    for args in commands {
        let output = env.run(args);
        assert_eq!(output.code, 4, "{args:?}: {output}");
        assert!(output.stderr.contains("rocm") && output.stderr.contains("cuda"), "{args:?}: {output}");
    }
    assert_eq!(env.json(["collection", "list"])["collections"].as_array().unwrap().len(), 1, "none was made by asking");
}

#[test]
fn x3_stats_live_in_the_store_and_not_in_a_process() {
    let env = Env::new();
    Wheel::new("demo", "1.0").write_to(env.path("in"));
    env.ok(["import", "in"]);
    for number in 1..=3 {
        hit(&env, &["demo"]);
        assert_eq!(env.json(["stats"])["lookups"]["hits"], number);
    }
}

#[test]
fn x4_verify_finds_a_flipped_byte_an_empty_file_a_text_file_and_a_deleted_one() {
    let env = Env::new();
    for name in ["flipped", "empty", "text", "deleted", "sound"] {
        Wheel::new(name, "1.0").payload(3000, 1).write_to(env.path("in"));
    }
    env.ok(["import", "in"]);
    let flipped = blob(&env, "flipped");
    let mut bytes = fs::read(&flipped).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    overwrite(&flipped, bytes);
    overwrite(&blob(&env, "empty"), "");
    overwrite(&blob(&env, "text"), "not a wheel at all\n");
    fs::remove_file(blob(&env, "deleted")).unwrap();
    let output = env.run(["--json", "verify"]);
    assert_eq!(output.code, 3, "{output}");
    let document = output.json();
    let found: BTreeSet<(String, String)> = document["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            let filename = problem["filenames"][0].as_str().unwrap();
            (filename.split('-').next().unwrap().to_owned(), problem["kind"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [("deleted", "missing"), ("empty", "corrupt"), ("flipped", "corrupt"), ("text", "corrupt")];
    assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())).into());
    assert_eq!(document["checked"], 5);
}

#[test]
fn x5_gc_keeps_another_accelerators_newest() {
    let env = Env::new();
    for tag in ["1", "2", "2_el9_rocm6", "1_el9_rocm6"] {
        Wheel::new("torch", "2.5.1").build(tag).tags(PLATFORM).payload(100, 3).write_to(env.path("in"));
    }
    Wheel::new("torch", "2.5.1").build("1").tags("cp311-cp311-manylinux_2_28_x86_64").write_to(env.path("in"));
    env.ok(["import", "in"]);
    let report = env.json(["gc", "--keep-builds", "1", "--grace", "0"]);
    let mut gone: Vec<&str> =
        report["references"].as_array().unwrap().iter().map(|row| row["filename"].as_str().unwrap()).collect();
    gone.sort_unstable();
    assert_eq!(gone, [format!("torch-2.5.1-1-{PLATFORM}.whl"), format!("torch-2.5.1-1_el9_rocm6-{PLATFORM}.whl")]);
    assert_eq!(report["blobs"], 2);
    assert_eq!(env.listed(&[]).len(), 3, "2, 2_el9_rocm6 and the other interpreter's 1");
    for tag in ["2", "2_el9_rocm6"] {
        assert!(hit(&env, &["torch==2.5.1", "--build-tag", tag]).exists());
    }
}

#[test]
fn x7_a_wheel_is_on_disk_once_and_gc_and_invalidate_leave_no_dangling_links() {
    let env = Env::new();
    Wheel::new("demo", "1.0").payload(10_000, 1).write_to(env.path("in"));
    Wheel::new("demo", "2.0").payload(10_000, 2).write_to(env.path("in"));
    for name in ["shared", "cuda", "rocm"] {
        env.ok(["import", "in", "--collection", name]);
        env.ok(["view", "--collection", name, "--to", &format!("{name}-tree")]);
        for _ in 0..3 {
            hit(&env, &["demo==1.0", "--collection", name]);
        }
    }
    let stored: Vec<_> =
        files(&env.store()).into_iter().filter(|path| fs::metadata(path).unwrap().len() > 10_000).collect();
    let blobs = stored.iter().filter(|path| path.starts_with(env.path("store/blobs"))).count();
    assert_eq!(blobs, 2, "each wheel once, however many collections, trees and hits: {stored:?}");
    env.ok(["invalidate", "demo==1.0", "--everywhere"]);
    env.ok(["gc", "--grace", "0"]);
    for name in ["shared", "cuda", "rocm"] {
        let tree = env.path(format!("{name}-tree"));
        assert_eq!(dangling(&tree), Vec::<PathBuf>::new(), "the tree still shows what it showed");
        assert!(tree.join("simple/demo/demo-1.0-py3-none-any.whl").exists());
        env.ok(["view", "--collection", name, "--to", tree.to_str().unwrap()]);
        assert!(!tree.join("simple/demo/demo-1.0-py3-none-any.whl").is_symlink());
    }
    assert_eq!(env.json(["gc", "--grace", "0"])["blobs"], 1, "no tree shows it any more");
    for name in ["shared-tree", "cuda-tree", "rocm-tree", "store"] {
        assert_eq!(dangling(&env.path(name)), Vec::<PathBuf>::new());
    }
}

#[test]
fn x10_an_sdist_is_imported_looked_up_and_listed() {
    let env = Env::new();
    let source = Sdist::new("demo-pkg", "1.0").requires_python(">=3.9").write_to(env.path("in"));
    env.ok(["import", "in"]);
    assert_eq!(fs::read(hit(&env, &["demo-pkg==1.0"])).unwrap(), fs::read(source).unwrap());
    assert_eq!(env.listed(&["demo_pkg"]), ["demo_pkg-1.0.tar.gz"]);
    assert!(env.ok(["view"]).stdout.contains("demo_pkg-1.0.tar.gz"));
    // Beside a wheel the wheel is the answer; where the wheel doesn't run, the sdist still isn't: it has no tags to match.
    Wheel::new("demo-pkg", "1.0").write_to(env.path("in"));
    env.ok(["import", "in"]);
    assert_eq!(hit_name(&env, &["demo-pkg==1.0"]), "demo_pkg-1.0-py3-none-any.whl");
    assert_eq!(hit_name(&env, &["demo_pkg-1.0.tar.gz"]), "demo_pkg-1.0.tar.gz");
}

#[test]
fn x11_processes_lock_each_other_out_and_one_that_is_killed_leaves_nothing_wrong() {
    let env = Env::new();
    for number in 0..8 {
        Wheel::new(&format!("p{number}"), "1.0").payload(50_000, number).write_to(env.path("in"));
    }
    // All at once, each into its own collection and all into one: the store itself is being made, too.
    let mut running: Vec<_> = (0..6)
        .map(|number| {
            let collection = if number % 2 == 0 { "same".to_owned() } else { format!("own{number}") };
            let mut command = env.command(["import", "in", "--collection", &collection]);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in running.drain(..) {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for collection in ["same", "own1", "own3", "own5"] {
        assert_eq!(env.listed(&["--collection", collection]).len(), 8);
    }
    assert_eq!(env.json(["stats"])["blobs"]["count"], 8);
    assert_eq!(
        env.json(["collection", "log", "same"])["revisions"].as_array().unwrap().len(),
        1,
        "the same files are one change"
    );
    env.ok(["verify"]);

    Wheel::new("late", "1.0").payload(50_000, 99).write_to(env.path("more"));
    let killed = env.run_with_env(&[("WCAS_FAULT", "kill@12")], ["import", "more"]);
    assert_eq!(killed.code, 137, "{killed}");
    env.ok(["import", "more"]);
    env.ok(["verify"]);
    env.ok(["gc", "--grace", "0"]);
    assert_eq!(fs::read_dir(env.path("store/staging")).unwrap().count(), 0);
}

#[test]
fn x11_what_is_reported_as_done_was_synced_before() {
    let env = Env::new();
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        support::skip("strace is not installed");
        return;
    }
    Wheel::new("demo", "1.0").payload(50_000, 1).write_to(env.path("in"));
    let trace = env.path("trace");
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-y", "-e", "trace=rename,renameat,renameat2,fsync,fdatasync,syncfs,write", "-o"]).arg(&trace);
    let inner = env.command(["import", "in"]);
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(env.path(""));
    command.env("WCAS_STORE", env.store()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    if !output.status.success() {
        support::skip(format_args!("strace may not trace here: {}", String::from_utf8_lossy(&output.stderr)));
        return;
    }
    let trace = fs::read_to_string(trace).unwrap();
    let lines: Vec<&str> = trace.lines().collect();
    let name = blob(&env, "demo").file_name().unwrap().to_str().unwrap().to_owned();
    let at = |what: &dyn Fn(&str) -> bool| lines.iter().position(|line| what(line));
    let is_sync = |line: &str| line.contains("sync");
    let staged = at(&|line| is_sync(line) && line.contains("/staging/")).expect("the staged file is synced");
    let named = at(&|line| line.contains("rename") && line.contains(&name)).expect("the blob gets its name");
    let shard =
        at(&|line| is_sync(line) && line.contains(&format!("/blobs/b3/{}>", &name[..2]))).expect("its shard is synced");
    let told = at(&|line| line.contains("write(1")).expect("the answer");
    assert!(staged < named && named < shard && shard < told, "out of order:\n{trace}");
    // The blob is live, then its entry is there: a durable commit each.
    let commits =
        lines[shard..told].iter().filter(|line| is_sync(line) && line.contains("manifest.sqlite-wal")).count();
    assert!(commits >= 2, "the answer comes before the commit is durable:\n{trace}");
}

#[test]
fn x7_a_wheels_repo_becomes_collections_with_each_wheel_once() {
    let env = Env::new();
    let wheels = ["downloads", "prebuilt", "build/17", "variants/cuda", "variants/rocm"].map(|folder| {
        let dir = env.path("out/wheels-repo").join(folder);
        fs::create_dir_all(&dir).unwrap();
        dir
    });
    let [downloads, prebuilt, build, cuda, rocm] = &wheels;
    let (common, own, other) =
        (Wheel::new("demo-lib", "1.0"), Wheel::new("demo-gpu", "1.0"), Wheel::new("demo-gpu", "1.0").payload(9, 9));
    // The draft keeps each routed wheel twice, and links to all in an index of its own (X7).
    common.write_to(downloads);
    own.write_to(downloads);
    own.write_to(cuda);
    other.write_to(rocm);
    Wheel::new("demo-pre", "1.0").write_to(prebuilt);
    Wheel::new("demo-late", "1.0").write_to(build);
    fs::write(downloads.join("broken-1.0-py3-none-any.whl"), b"no wheel").unwrap();
    let simple = env.path("out/wheels-repo/simple/demo-lib");
    fs::create_dir_all(&simple).unwrap();
    std::os::unix::fs::symlink("../../downloads/gone.whl", simple.join("gone.whl")).unwrap();
    support::Sdist::new("demo-lib", "1.0").write_to(env.path("out/sdists-repo/downloads"));
    // fromager packs each source again under the same name.
    let packed = support::Sdist::new("demo-lib", "1.0").member("patched", "yes");
    packed.write_to(env.path("out/sdists-repo/builds"));
    let run = env.run(["--json", "import", "--fromager", "out"]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&report["duplicates"], &report["damaged"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(report["duplicate_bytes"], own.bytes().len());
    assert!(run.stderr.contains("broken-1.0"), "{}", run.stderr);
    let list = |collection: &str| -> Vec<String> {
        let list = env.json(["list", "--collection", collection]);
        let rows = list["distributions"].as_array().unwrap();
        rows.iter().map(|row| row["filename"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((list("cuda"), list("rocm")), (vec![own.filename()], vec![other.filename()]));
    assert_eq!(list("shared").len(), 5, "the common wheels and the source");
    assert_eq!(list("built-sdists"), [packed.filename()], "no name is refused for that");
    assert_eq!(env.json(["stats"])["blobs"]["count"], 7);
    // Again it is a stat a file; and a wheels-repo comes back out of it.
    let again: serde_json::Value =
        serde_json::from_str(&env.run(["--json", "import", "--fromager", "out"]).stdout).unwrap();
    assert!(again["imports"][0]["distributions"][0]["outcome"] == "unchanged" && again["damaged"] == 1, "{again}");
    env.ok(["view", "--collection", "cuda", "--layout", "fromager", "--link", "copy", "--to", "back/wheels-repo"]);
    assert_eq!(fs::read(env.path("back/wheels-repo/downloads").join(own.filename())).unwrap(), own.bytes());
    let none = env.run(["import", "--fromager", "back"]);
    assert!(none.code == 0, "{}", none.stderr);
    let wrong = env.run(["import", "--fromager", "."]);
    assert!(wrong.code == 2 && wrong.stderr.contains("no wheels-repo"), "{}", wrong.stderr);
}
