//! Every `--dry-run`: a plan that a reader makes. It says what the real run then does, needs no right to write, waits for nobody and
//! changes nothing in the store.

use crate::array;
use crate::support::{Env, Fill, Output, SmallDisk, Wheel, skip};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// All commands with `--dry-run`, as they are run without it; the last one sends to a server that isn't there.
const COMMANDS: [&[&str]; 7] = [
    &["gc", "--grace", "0", "--keep-versions", "1"],
    &["gc"],
    &["invalidate", "demo<3", "--everywhere"],
    &["collection", "promote", "shared", "released"],
    &["collection", "promote", "shared", "released", "demo", "--replace"],
    &["config", "apply", "wanted.toml", "--unprotect"],
    &["push", "team", "--all"],
];

const WANTED: &str = "default = \"shared\"\n\n[collections.fresh]\nkeep-versions = 2\nfallbacks = [\"shared\"]\n\n\
                      [collections.shared]\nkeep-builds = 1\n";

/// A store with something to do for each of the commands.
fn filled(env: &Env) {
    for (version, payload) in [("1.0", 1), ("2.0", 2), ("3.0", 3)] {
        Wheel::new("demo", version).payload(3000, payload).write_to(env.path("in"));
    }
    Wheel::new("other", "1.0").payload(2000, 4).write_to(env.path("in"));
    Wheel::new("demo", "1.0").payload(3000, 9).write_to(env.path("old"));
    env.ok(["import", "old", "--collection", "released"]);
    env.ok(["import", "in"]);
    env.ok(["pin", "other", "--for", "0s"]);
    env.ok(["collection", "snapshot", "shared", "first"]);
    env.ok(["view", "--to", "tree"]);
    env.ok(["invalidate", "demo==2.0", "--collection", "shared"]);
    env.ok([
        "remote",
        "add",
        "team",
        "http://127.0.0.1:9/team/simple/",
        "--ours",
        "--write-back",
        "--collection",
        "shared",
    ]);
    fs::write(env.path("wanted.toml"), WANTED).unwrap();
}

/// The same with what a killed import left: a session, its hold, a staged file.
fn with_a_dead_session(env: &Env) {
    filled(env);
    Wheel::new("late", "1.0").payload(2000, 5).write_to(env.path("late"));
    let killed = env.run_with_env(&[("WCAS_FAULT", "kill@14")], ["import", "late"]);
    assert!(cfg!(not(debug_assertions)) || killed.code == 137, "{killed}");
    env.leaves("the session of an import that was killed");
}

/// The same with bytes that are lost, and a retention rule.
fn with_losses(env: &Env) {
    filled(env);
    fs::remove_file(crate::blob(env, "demo==3.0")).unwrap();
    assert_eq!(env.run(["verify"]).code, 3);
    env.ok(["collection", "set", "shared", "--keep-versions", "1"]);
}

fn plan(args: &[&str]) -> Vec<String> {
    [&["--json"], args, &["--dry-run"]].concat().into_iter().map(str::to_owned).collect()
}

/// Returns what a plan or a report says that both have to say alike.
fn said(output: &Output) -> (i32, Value) {
    let mut document = output.json();
    let fields = document.as_object_mut().unwrap();
    for name in ["dry_run", "operation", "failed", "left_alone", "left"] {
        fields.remove(name);
    }
    (output.code, document)
}

/// Returns all that is in a folder: modes, sizes, modification times, inodes.
fn state(dir: &Path) -> BTreeMap<PathBuf, (u32, u64, i64, u64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(state(&path));
        }
        // Not when it was changed: SQLite lets root's log be the manifest's owner's whenever it opens one.
        let time = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
        found.insert(path, (metadata.mode(), metadata.len(), time, metadata.ino()));
    }
    found
}

/// Returns what was made, changed or removed since.
fn traces(before: &BTreeMap<PathBuf, (u32, u64, i64, u64)>, dir: &Path) -> Vec<PathBuf> {
    let after = state(dir);
    let differs = |path: &&PathBuf| before.get(*path) != after.get(*path);
    before.keys().chain(after.keys()).filter(differs).cloned().collect()
}

#[test]
fn a_plan_says_what_the_real_run_does() {
    for prepare in [filled as fn(&Env), with_a_dead_session, with_losses] {
        let env = Env::new();
        prepare(&env);
        for args in COMMANDS {
            let before = state(&env.store());
            let planned = env.run(plan(args));
            assert_eq!(traces(&before, &env.store()), [] as [PathBuf; 0], "{args:?}");
            assert_eq!(planned.json()["dry_run"], true, "{planned}");
            if args[0] == "push" {
                assert!(!array(&planned.json()["sent"]).is_empty(), "{planned}");
                continue;
            }
            let done = env.run([&["--json"], args].concat());
            assert_eq!(said(&planned), said(&done), "{args:?}");
            assert!(planned.code == 0 || planned.code == 3, "{planned}");
        }
    }
}

#[test]
fn a_plan_for_a_store_that_is_not_there_yet_says_what_would_be_in_it() {
    if Env::is_of_own_store_only("it is made before the test") {
        return;
    }
    let env = Env::new();
    fs::write(
        env.path("wanted.toml"),
        WANTED.replace("[collections.shared]", "[collections.more]").replace("\"shared\"", "\"more\""),
    )
    .unwrap();
    let args: &[&str] = &["config", "apply", "wanted.toml"];
    let planned = env.run(plan(args));
    assert!(!env.store().exists());
    let done = env.run([&["--json"], args].concat());
    assert_eq!(said(&planned), said(&done));
    assert_eq!(env.run(["gc", "--dry-run", "--json"]).code, 0);
    assert_eq!(env.run(["gc", "--dry-run", "--store", "absent"]).code, 4);
}

#[test]
fn a_plan_needs_no_right_to_write() {
    let env = Env::new();
    with_a_dead_session(&env);
    let planned: Vec<_> = COMMANDS.iter().map(|args| said(&env.run(plan(args)))).collect();
    let user = reader(&env);
    let before = state(&env.store());
    for (args, planned) in COMMANDS.iter().zip(&planned) {
        let mut command = env.command(plan(args));
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        let mut document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{args:?}: {text}"));
        for name in ["dry_run", "operation", "failed", "left_alone", "left"] {
            document.as_object_mut().unwrap().remove(name);
        }
        assert_eq!((output.status.code().unwrap(), document), *planned, "{args:?}: {text}");
    }
    assert_eq!(traces(&before, &env.store()), [] as [PathBuf; 0]);
    // Others that write have the log open.
    let writer = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE collection SET revision = revision + 5").unwrap();
    for (args, planned) in COMMANDS.iter().zip(&planned) {
        let mut command = env.command(plan(args));
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code().unwrap(), planned.0, "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Takes the right to write from everybody, and returns another user where this one would have it all the same.
fn reader(env: &Env) -> Option<u32> {
    let mut paths: Vec<PathBuf> = state(&env.store()).into_keys().collect();
    paths.push(env.store());
    for path in paths {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if !metadata.is_symlink() {
            fs::set_permissions(&path, fs::Permissions::from_mode(metadata.mode() & 0o555)).unwrap();
        }
    }
    if rustix::process::geteuid().as_raw() != 0 {
        skip("only root can be another user, so the owner without rights was tried");
        return None;
    }
    // Its own folder is closed to others, as temporary folders are.
    fs::set_permissions(env.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    Some(65534)
}

#[test]
fn a_plan_waits_for_no_writer_and_is_waited_for_by_none() {
    let env = Env::new();
    filled(&env);
    let planned: Vec<_> = COMMANDS.iter().map(|args| said(&env.run(plan(args)))).collect();
    let writer = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; DELETE FROM pin; UPDATE blob SET used_at = 5").unwrap();
    let locks: Vec<_> = ["gc", "reap", "push-team"].iter().map(|name| env.store().join("locks").join(name)).collect();
    let held: Vec<_> =
        locks.iter().map(|path| fs::File::options().create(true).append(true).open(path).unwrap()).collect();
    held.iter().for_each(|lock| lock.lock().unwrap());
    let begin = Instant::now();
    for (args, planned) in COMMANDS.iter().zip(&planned) {
        let output = env.run(plan(args));
        assert_eq!(said(&output), *planned, "{args:?}");
        assert!(!output.stderr.contains("waiting"), "{output}");
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    writer.execute_batch("COMMIT").unwrap();
    // What was written meanwhile, and is in the log alone, is seen.
    assert_eq!(env.json(["gc", "--dry-run"])["expired_pins"], 0);
    // A rebuild changes what is read.
    let alone = fs::File::open(env.store().join("locks/store")).unwrap();
    alone.lock().unwrap();
    assert_eq!(env.run(["gc", "--dry-run"]).code, 5);
}

#[test]
fn a_plan_is_made_on_a_full_disk_and_on_a_read_only_one() {
    let env = Env::new();
    let Some(disk) = SmallDisk::mount(&env.path("disk"), "size=24m,nr_inodes=400") else { return };
    filled(&env);
    let store = disk.path().join("store");
    let done = std::process::Command::new("cp").arg("-a").arg(env.store()).arg(&store).status().unwrap();
    assert!(done.success());
    let planned: Vec<_> = COMMANDS.iter().map(|args| said(&env.run(plan(args)))).collect();
    let try_all = |how: &str| {
        for (args, planned) in COMMANDS.iter().zip(&planned) {
            let here = [&["--store", store.to_str().unwrap()][..], args].concat();
            assert_eq!(said(&env.run(plan(&here))), *planned, "{how}: {args:?}");
        }
    };
    disk.fill(Fill::Bytes);
    disk.fill(Fill::Names);
    try_all("full");
    let mut mount = std::process::Command::new("mount");
    let remounted = mount.args(["-o", "remount,ro"]).arg(disk.path()).status().unwrap();
    assert!(remounted.success());
    try_all("read-only");
}
