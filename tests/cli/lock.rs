//! Lock files: read by `pull`, written by `view`.

use crate::support::{Env, Wheel, skip};
use crate::{json_with_code, refused, texts};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wcas::digest::Sha256;

/// Wheels of two projects in the store, and their digests.
fn filled() -> (Env, Vec<(String, String)>) {
    let env = Env::new();
    let wheels = [
        Wheel::new("demo", "1.0").tags("cp311-cp311-manylinux_2_28_x86_64"),
        Wheel::new("demo", "1.0").tags("cp312-cp312-manylinux_2_28_x86_64"),
        Wheel::new("other", "2.0"),
    ];
    let files = wheels.map(|wheel| {
        wheel.write_to(env.path("in"));
        (wheel.filename(), Sha256::of(&wheel.bytes()).to_string())
    });
    env.ok(["import", "in"]);
    (env, files.to_vec())
}

fn pylock(files: &[(String, String)]) -> String {
    let wheel = |(name, digest): &(String, String)| {
        format!("{{name = '{name}', url = 'https://index.example/{name}', hashes = {{sha256 = '{digest}'}}}}")
    };
    format!(
        "lock-version = '1.0'\ncreated-by = 'test'\n[[packages]]\nname = 'demo'\nversion = '1.0'\nwheels = [{}, {}]\n\
         [[packages]]\nname = 'other'\nversion = '2.0'\nmarker = \"python_version >= '3.12'\"\nwheels = [{}]\n\
         [[packages]]\nname = 'me'\ndirectory = {{path = '.'}}\n",
        wheel(&files[0]),
        wheel(&files[1]),
        wheel(&files[2]),
    )
}

#[test]
fn a_lock_wants_all_its_files_or_those_of_a_target() {
    let (env, files) = filled();
    fs::write(env.path("pylock.toml"), pylock(&files)).unwrap();
    let pulled = |args: &[&str]| {
        let report = env.json([&["pull", "-r", "pylock.toml"], args].concat());
        texts(&report["distributions"], "filename").join(" ")
    };
    let [one, two, other] = [0, 1, 2].map(|at: usize| files[at].0.as_str());
    assert_eq!(pulled(&[]), format!("{one} {two} {other}"));
    assert_eq!(pulled(&["--python", "3.12"]), format!("{two} {other}"));
    // The marker shuts it out.
    assert_eq!(pulled(&["--python", "3.11"]), one);
    let output = env.ok(["pull", "-r", "pylock.toml"]);
    assert!(output.stderr.contains("pylock.toml: left out me: it is a folder"), "{output}");
}

#[test]
fn a_digest_of_a_lock_binds() {
    let (env, mut files) = filled();
    files[2].1 = "ab".repeat(32);
    fs::write(env.path("pylock.dev.toml"), pylock(&files)).unwrap();
    for target in [&[][..], &["--python", "3.12"]] {
        let report = json_with_code(&env, 3, &[&["pull", "-r", "pylock.dev.toml"], target].concat());
        assert_eq!(report["missing"][0]["place"], "pylock.dev.toml: other 2.0");
        let reason = report["missing"][0]["miss"]["left_out"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("which is not one that is asked for"), "{report}");
    }
}

#[test]
fn locks_of_uv_and_poetry_are_read_and_variants_take_them() {
    let (env, files) = filled();
    let (name, digest) = &files[2];
    let uv = format!(
        "version = 1\n[[package]]\nname = 'other'\nversion = '2.0'\nsource = {{registry = 'https://index.example/simple'}}\n\
         wheels = [{{url = 'https://index.example/{name}', hash = 'sha256:{digest}'}}]\n\
         [[package]]\nname = 'me'\nsource = {{editable = '.'}}\n"
    );
    let poetry = format!(
        "[[package]]\nname = 'other'\nversion = '2.0'\nfiles = [{{file = '{name}', hash = 'sha256:{digest}'}}]\n\
         [metadata]\nlock-version = '2.1'\n"
    );
    for (lock, text) in [("uv.lock", uv), ("poetry.lock", poetry)] {
        fs::write(env.path(lock), text).unwrap();
        let report = env.json(["pull", "-r", lock]);
        assert_eq!(texts(&report["distributions"], "filename"), [name.as_str()], "{lock}");
        let variant = env.json(["route", "set", "cuda", "--requirements", lock]);
        assert_eq!(variant["requirements"], json!([{"project": "other", "requirement": "other==2.0"}]), "{lock}");
    }
}

#[test]
fn what_is_no_lock_file_is_refused_with_its_place() {
    let (env, _) = filled();
    for (name, text, word) in [
        ("uv.lock", "version = 2\n", "its version is 2"),
        ("pylock.toml", "lock-version = 1\n", "pylock.toml:1: "),
        ("pylock.x.toml", "lock-version = '2.0'\n", "lock-version is 2.0"),
        ("poetry.lock", "[[package]]\nname = 'x'\n", "missing field `version`"),
        ("pyproject.toml", "[project]\nname = 'x'\n", "no lock file"),
        ("uv.lock", "\u{0}", "uv.lock:1: "),
    ] {
        fs::write(env.path(name), text).unwrap();
        let output = refused(&env, 2, &["pull", "-r", name]);
        assert!(output.stderr.contains(word), "{name}: {output}");
    }
    fs::File::create(env.path("large.txt")).and_then(|file| file.set_len((16 << 20) + 1)).unwrap();
    assert!(refused(&env, 2, &["pull", "-r", "large.txt"]).stderr.contains("larger than 16 MiB"));
    fs::write(env.path("requirements.lock"), "other==2.0\n").unwrap();
    assert_eq!(env.run(["pull", "-r", "requirements.lock"]).code, 0, "others call their requirements so");
}

fn python() -> Option<PathBuf> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/bin/python");
    let python = std::env::var_os("WCAS_TEST_PYTHON").map_or(made, PathBuf::from);
    let knows = |python: &Path| Command::new(python).args(["-c", "import packaging.pylock, tomllib"]).output();
    let is_there = knows(&python).is_ok_and(|output| output.status.success());
    is_there.then_some(python)
}

#[test]
fn a_view_as_a_lock_is_one_that_packaging_reads() {
    let (env, _) = filled();
    Wheel::new("demo", "0.9").write_to(env.path("old"));
    env.ok(["import", "old"]);
    let output = env.ok(["view", "--format", "pylock", "--base-url", "https://index.example/files/"]);
    assert!(output.stderr.contains("left out 1 file of older versions"), "{output}");
    assert!(output.stdout.contains("url = \"https://index.example/files/other-2.0-py3-none-any.whl\""), "{output}");
    fs::write(env.path("pylock.toml"), &output.stdout).unwrap();
    // What is written can be read here, too.
    assert_eq!(env.json(["pull", "-r", "pylock.toml"])["distributions"].as_array().unwrap().len(), 3);
    let Some(python) = python() else { return skip("no Python with packaging.pylock; run tests/clients.sh") };
    let script = "import sys, tomllib\nfrom packaging.pylock import Pylock\n\
                  lock = Pylock.from_dict(tomllib.load(open(sys.argv[1], 'rb')))\nlock.validate()\n\
                  print(*(f'{p.name}=={p.version}:{len(p.wheels)}' for p in lock.packages))";
    let done = Command::new(python).args(["-c", script]).arg(env.path("pylock.toml")).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert_eq!(text.trim(), "demo==1.0:2 other==2.0:1");
}
