//! `wcas run`: the same inputs give the wheels of the store, other inputs run the command.

use crate::support::{Env, Output, Wheel, until};
use crate::{array, blob, json_with_code, overwrite, refused, texts};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A builder without an index: makes a wheel of each project that it is told, of what `src.txt` says alone, and says so in `ran`.
const BUILD: &str = r#"import os, sys, zipfile
out, projects = sys.argv[1], sys.argv[2:]
print("building", *projects)
os.makedirs(out, exist_ok=True)
for project in projects:
    with open("ran", "a") as log:
        log.write(project + "\n")
    info = project + "-1.0.dist-info/"
    members = {
        project + "/__init__.py": open("src.txt").read(),
        info + "METADATA": "Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n" % project,
        info + "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        info + "RECORD": "",
    }
    with zipfile.ZipFile(os.path.join(out, project + "-1.0-py3-none-any.whl"), "w") as wheel:
        for name, text in members.items():
            wheel.writestr(zipfile.ZipInfo(name), text)
"#;

const KEY: [&str; 4] = ["run", "--key", "build.py", "src.txt"];
const MAKE: [&str; 5] = ["--", "python3", "build.py", "dist", "demo"];
const WHEEL: &str = "demo-1.0-py3-none-any.whl";

fn project() -> Env {
    let env = Env::new();
    fs::write(env.path("build.py"), BUILD).unwrap();
    fs::write(env.path("src.txt"), "one").unwrap();
    env
}

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&KEY, more, &["--out", "dist"], &MAKE].concat()
}

/// Returns how often the command ran.
fn ran(env: &Env) -> usize {
    fs::read_to_string(env.path("ran")).unwrap_or_default().lines().count()
}

/// Takes away what was made.
fn clean(env: &Env) {
    if env.path("dist").exists() {
        fs::remove_dir_all(env.path("dist")).unwrap();
    }
}

#[track_caller]
fn is_hit(env: &Env, more: &[&str]) -> bool {
    let before = ran(env);
    let document = env.json(args(more));
    assert_eq!(document["hit"], ran(env) == before, "{document}");
    assert_eq!(texts(&document["files"], "filename"), [WHEEL]);
    document["hit"] == true
}

#[test]
fn the_same_inputs_give_the_wheels_of_the_store() {
    let env = project();
    let output = env.ok(args(&["--collection", "cuda"]));
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("building demo\n", "made: 1 file in dist\n"));
    let made = fs::read(env.path("dist").join(WHEEL)).unwrap();
    assert_eq!(texts(&env.json(["list"])["distributions"], "collection"), ["cuda"]);
    clean(&env);
    let output = env.ok(args(&["--collection", "cuda"]));
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", "hit: 1 file in dist\n"));
    assert_eq!((fs::read(env.path("dist").join(WHEEL)).unwrap(), ran(&env)), (made, 1));
    // What lies there is replaced, whatever it was.
    fs::write(env.path("dist").join(WHEEL), "half").unwrap();
    env.ok(args(&["--collection", "cuda"]));
    assert!(fs::read(env.path("dist").join(WHEEL)).unwrap().len() > 4);
    assert!(!is_hit(&env, &["--collection", "rocm"]), "another collection hasn't got it");
}

#[test]
fn a_document_says_what_came_of_it_and_the_command_has_no_part_in_it() {
    let env = project();
    let output = env.run([&["--json"], &args(&[])[..]].concat());
    let document = output.json();
    assert!(output.stderr.contains("building demo"), "{output}");
    assert_eq!(
        (&document["schema"], &document["hit"], &document["exit_code"]),
        (&"wcas.run/1".into(), &false.into(), &0.into())
    );
    let bytes = fs::read(env.path("dist").join(WHEEL)).unwrap();
    let file = &document["files"][0];
    assert_eq!(file["sha256"], wcas::digest::Sha256::of(&bytes).to_string());
    assert_eq!((&file["filename"], &file["size"]), (&WHEEL.into(), &bytes.len().into()));
    let again = env.json(args(&[]));
    assert_eq!((&again["hit"], &again["key"], &again["files"]), (&true.into(), &document["key"], &document["files"]));
}

#[test]
fn each_input_counts() {
    let env = project();
    let python = env.path("python");
    let interpreter = |version: &str| {
        let said = format!(
            r#"{{"implementation": "cpython", "version": "{version}", "abi": "cp312", "platform": "linux", "libc": "glibc"}}"#
        );
        fs::write(&python, format!("#!/bin/sh\necho '{said}'\n")).unwrap();
        fs::set_permissions(&python, PermissionsExt::from_mode(0o755)).unwrap();
    };
    interpreter("3.12.1");
    let base = ["--key-env", "FLAGS", "--python", "./python", "--tag", "gcc 12"];
    assert!(!is_hit(&env, &base));
    assert!(is_hit(&env, &base));
    let with = |value: &str| {
        let output = env.run_with_env(&[("FLAGS", value)], [&["--json"], &args(&base)[..]].concat());
        output.json()["hit"] == true
    };
    assert!(!with("-O2") && with("-O2") && !with("") && is_hit(&env, &base));
    assert!(!is_hit(&env, &base[..4]), "a tag");
    interpreter("3.12.2");
    assert!(!is_hit(&env, &base), "the interpreter");
    interpreter("3.12.1");
    assert!(is_hit(&env, &base));
    fs::write(env.path("src.txt"), "two").unwrap();
    assert!(!is_hit(&env, &base), "a file's bytes");
    assert!(is_hit(&env, &base));
    fs::write(env.path("src.txt"), "one").unwrap();
    assert!(!is_hit(&env, &base), "the name has other bytes meanwhile");
    let other = [&KEY[..], &base, &["--out", "dist"], &MAKE, &["demo"]].concat();
    assert_eq!(env.json(other)["hit"], false, "the command's words");
    let real =
        env.run([&args(&["--python", "python3"])[..4], &["--python", "false"], &["--out", "dist"], &MAKE].concat());
    assert!(real.code == 2 && real.stderr.contains("false doesn't tell what it is"), "{real}");
    assert!(!is_hit(&env, &["--python", "python3"]) && is_hit(&env, &["--python", "python3"]), "a real one");
}

#[test]
fn a_folder_counts_with_all_that_is_in_it_but_what_is_made_there() {
    let env = project();
    fs::create_dir_all(env.path("proj/deep")).unwrap();
    fs::write(env.path("proj/deep/a.c"), "1").unwrap();
    let run =
        || env.json(["run", "--key", "proj", "--out", "proj/out", "--", "python3", "build.py", "proj/out", "demo"]);
    assert_eq!(run()["hit"], false);
    assert_eq!(run()["hit"], true, "proj/out has been filled meanwhile");
    fs::rename(env.path("proj/deep/a.c"), env.path("proj/deep/b.c")).unwrap();
    assert_eq!(run()["hit"], false);
}

#[test]
fn a_command_that_fails_says_so_itself_and_nothing_is_imported() {
    let env = project();
    let failing = [&KEY[..], &["--out", "dist", "--", "sh", "-c", "python3 build.py dist demo; exit 7"]].concat();
    let document = json_with_code(&env, 7, &failing);
    assert_eq!((&document["hit"], &document["exit_code"]), (&false.into(), &7.into()));
    let killed = [&KEY[..], &["--out", "dist", "--", "sh", "-c", "kill -9 $$"]].concat();
    assert_eq!(env.run(killed).code, 137);
    let nothing = [&KEY[..], &["--out", "empty", "--", "true"]].concat();
    let output = env.run(&nothing);
    assert!(output.code == 1 && output.stderr.contains("made no wheel and no sdist in empty"), "{output}");
    assert_eq!(env.json(["list"])["distributions"], Value::Array(Vec::new()));
    assert_eq!(json_with_code(&env, 7, &failing)["hit"], false, "it isn't recorded");
}

#[test]
fn what_a_failed_run_left_counts_as_made_by_the_next() {
    let env = project();
    // As make does it: what is there isn't made again.
    let script = "for name in one two; do [ -e dist/$name-1.0-py3-none-any.whl ] || python3 build.py dist $name || exit; \
                  [ -e fine ] || exit 9; done";
    let args = [&KEY[..], &["--out", "dist", "--", "sh", "-c", script]].concat();
    Wheel::new("foreign", "1.0").write_to(env.path("dist"));
    assert_eq!(env.run(&args).code, 9);
    fs::write(env.path("fine"), "").unwrap();
    let both = ["one-1.0-py3-none-any.whl", "two-1.0-py3-none-any.whl"];
    let document = env.json(&args);
    assert_eq!((texts(&document["files"], "filename"), ran(&env)), (both.to_vec(), 2), "{document}");
    clean(&env);
    assert_eq!(texts(&env.json(&args)["files"], "filename"), both);
}

#[test]
fn what_is_not_all_there_and_good_is_made_again() {
    if Env::is_of_own_store_only("what it loses the share has") {
        return;
    }
    let env = project();
    assert!(!is_hit(&env, &[]) && is_hit(&env, &[]));
    env.ok(["invalidate", "demo"]);
    assert!(!is_hit(&env, &[]) && is_hit(&env, &[]));
    env.ok(["yank", "demo"]);
    assert!(!is_hit(&env, &[]));
    env.ok(["unyank", "demo"]);
    assert!(is_hit(&env, &[]));
    overwrite(&blob(&env, WHEEL), "other bytes");
    assert!(!is_hit(&env, &[]));
    env.ok(["verify"]);
    let before = ran(&env);
    env.ok(args(&["--force"]));
    assert_eq!(ran(&env), before + 1);
}

#[test]
fn what_a_guard_refuses_is_told_and_made_again() {
    let env = project();
    env.ok(["collection", "create", "plain"]);
    env.ok(["collection", "set", "plain", "--accelerator", "none"]);
    let bad = r#"import zipfile; zipfile.ZipFile("dist/demo-1.0+cu126-py3-none-any.whl", "w").writestr("x", "")"#;
    let script = ["--out", "dist", "--collection", "plain", "--", "python3", "-c", bad];
    let args = [&KEY[..], &script].concat();
    for _ in 0..2 {
        let document = json_with_code(&env, 3, &args);
        assert_eq!((&document["hit"], array(&document["files"]).len()), (&false.into(), 0));
    }
}

#[test]
fn a_variant_takes_and_finds_what_its_rules_say() {
    let env = project();
    fs::write(env.path("own.txt"), "demo\n").unwrap();
    env.ok(["route", "set", "cuda", "--requirements", "own.txt"]);
    env.ok(["route", "set", "rocm", "--requirements", "own.txt"]);
    assert!(!is_hit(&env, &["--variant", "cuda"]));
    assert_eq!(texts(&env.json(["list"])["distributions"], "collection"), ["cuda"]);
    assert!(is_hit(&env, &["--variant", "cuda"]));
    assert!(!is_hit(&env, &["--variant", "rocm"]), "its own isn't another's");
}

#[test]
fn of_two_runs_at_once_the_second_waits_and_is_given_what_the_first_made() {
    let env = project();
    let script = "touch begun; while [ ! -e go ]; do sleep 0.05; done; python3 build.py dist demo";
    let args = [&KEY[..], &["--out", "dist", "--", "sh", "-c", script]].concat();
    let mut first = env.spawn(&args);
    until("the first has begun", || env.path("begun").exists());
    let mut second = env.spawn(&args);
    let said = || fs::read_to_string(env.path("stderr")).unwrap();
    until("the second waits", || said().contains("another run of the same inputs is at work"));
    fs::write(env.path("go"), "").unwrap();
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success(), "{}", said());
    assert_eq!((ran(&env), said().matches("hit: 1 file").count()), (1, 1), "{}", said());
}

#[test]
fn explain_tells_what_differs_from_the_nearest_run_of_the_command() {
    let env = project();
    let miss = |env: &Env, more: &[&str]| -> Output { env.ok(args(&[&["--explain"], more].concat())) };
    assert!(miss(&env, &[]).stderr.contains("miss: there is no earlier run of this command"));
    fs::write(env.path("src.txt"), "two").unwrap();
    miss(&env, &["--tag", "x"]);
    fs::write(env.path("src.txt"), "three").unwrap();
    let told = miss(&env, &[]).stderr;
    assert!(told.contains("nearest earlier run of this command\n  src.txt has changed\nmade: "), "{told}");
    assert!(!miss(&env, &[]).stderr.contains("miss"), "a hit has nothing to explain");
    env.ok(["invalidate", "demo"]);
    assert!(miss(&env, &[]).stderr.contains("what it made isn't all there"));
}

#[test]
fn gc_forgets_runs_whose_files_are_gone_or_that_nobody_asked_for() {
    let env = project();
    env.ok(args(&[]));
    assert_eq!(env.json(["gc"])["forgotten_runs"], 0);
    env.ok(["invalidate", "demo"]);
    assert_eq!(env.json(["gc", "--dry-run"])["forgotten_runs"], 1);
    assert_eq!(env.json(["gc"])["forgotten_runs"], 1);
    env.ok(args(&[]));
    let manifest = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
    let age = |days: i64| {
        manifest.execute("UPDATE build_run SET used_at = unixepoch() - ?1 * 86400", [days]).unwrap();
        env.json(["gc"])["forgotten_runs"].as_u64().unwrap()
    };
    assert_eq!((age(89), age(91)), (0, 1));
    assert_eq!(texts(&env.json(["list"])["distributions"], "filename"), [WHEEL], "the entries' files stay");
}

#[test]
fn a_run_can_be_killed_anywhere_and_run_again() {
    let full = project();
    let points = full.run_with_env(&[("WCAS_FAULT", "kill@100000")], args(&[])).stderr;
    let Some(points) = points.lines().find_map(|line| line.strip_prefix("passed ")?.split(' ').next()?.parse().ok())
    else {
        crate::support::skip("there are no fault points in a release build");
        return;
    };
    for point in 1..=points {
        let (env, fault) = (project(), format!("kill@{point}"));
        env.leaves("the session of a run that was killed");
        assert_eq!(env.run_with_env(&[("WCAS_FAULT", &fault)], args(&[])).code, 137, "{fault}");
        assert_eq!(texts(&env.json(args(&[]))["files"], "filename"), [WHEEL], "{fault}");
        env.ok(["verify"]);
    }
    // What takes from the store has fewer points, and leaves nothing half done in the folder.
    let mut stopped = 0;
    for point in 1.. {
        clean(&full);
        let fault = format!("kill@{point}");
        full.leaves("the session of a run that was killed");
        if full.run_with_env(&[("WCAS_FAULT", &fault)], args(&[])).code != 137 {
            break;
        }
        stopped = point;
        assert!(is_hit(&full, &[]), "{fault}");
        let left: Vec<_> = fs::read_dir(full.path("dist")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [WHEEL], "{fault}");
    }
    assert!(stopped > 2, "stopped {stopped} times");
}

#[test]
fn what_cannot_be_run_is_told_before_anything_is() {
    let env = project();
    let out = ["--out", "dist"];
    refused(&env, 2, &["run", "--out", "dist", "--", "true"]);
    refused(&env, 2, &[&KEY[..], &out].concat());
    let absent = refused(&env, 1, &[&["run", "--key", "absent"], &out[..], &MAKE].concat());
    assert!(absent.stderr.contains("absent"), "{absent}");
    let program = refused(&env, 2, &[&KEY[..], &out, &["--", "./no-such-program"]].concat());
    assert!(program.stderr.contains("./no-such-program can't be run"), "{program}");
    let inside = refused(&env, 2, &[&KEY[..], &["--out", "store/out"], &MAKE].concat());
    assert!(inside.stderr.contains("is in the store") && !env.store().join("out").exists(), "{inside}");
    assert_eq!(ran(&env), 0);
    env.ok(args(&[]));
    let link = env.path("link");
    std::os::unix::fs::symlink(env.store().join("staging"), &link).unwrap();
    refused(&env, 2, &[&KEY[..], &["--out", "link/deep"], &MAKE].concat());
}
