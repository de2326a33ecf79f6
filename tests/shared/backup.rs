//! Backups: all that a store has, in another place, and stores made of them.

use super::faults::points;
use super::support::bucket::{KEY, SECRET};
use super::support::{Env, WcasServer, Wheel, weed};
use super::{Team, blobs, files_below, shared_rows, wheels};
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// A store with something of everything.
fn store() -> Env {
    let env = Env::new();
    add(&env, &wheels("demo", 3));
    env.ok(["import", "dist", "--collection", "cuda"]);
    env.ok(["invalidate", "demo1", "--collection", "cuda"]);
    env.ok(["pin", "demo0==1.0", "--owner", "ci"]);
    env.ok(["token", "create", "--scope", "read", "--collection", "cuda"]);
    env.ok(["remote", "add", "far", "https://index.example/simple/"]);
    env.ok(["block", "demo2==9", "--reason", "bad"]);
    env.ok(["lookup", "demo0"]);
    env
}

fn add(env: &Env, wheels: &[Wheel]) {
    let dist = env.path("dist");
    fs::create_dir_all(&dist).unwrap();
    wheels.iter().for_each(|wheel| drop(wheel.write_to(&dist)));
    env.ok(["import", "dist"]);
}

/// A store that is made fast.
fn small() -> Env {
    let env = Env::new();
    add(&env, &wheels("demo", 2));
    env
}

/// Where an environment's backup is.
fn place(env: &Env) -> String {
    env.path("backup").display().to_string()
}

/// Makes a store of a backup.
fn restored(place: &str, args: &[&str]) -> Env {
    let env = Env::new();
    env.ok([&["restore", place], args].concat());
    env
}

/// Makes sure that two stores have the same truth, and all bytes of it.
#[track_caller]
fn assert_same(one: &Env, other: &Env) {
    assert_eq!(shared_rows(&one.store()), shared_rows(&other.store()));
    other.ok(["verify"]);
    other.ok(["log", "verify"]);
    let doctor = other.json(["doctor"]);
    let problems = doctor["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "problem");
    assert_eq!(problems.count(), 0, "{doctor}");
}

/// Returns how many files a state has, and how many of them were put.
fn put(report: &Value) -> (u64, u64) {
    (report["blobs"].as_u64().unwrap(), report["put"].as_u64().unwrap())
}

#[test]
fn a_restored_store_has_all_that_was_backed_up_and_goes_on() {
    let one = store();
    let first = one.json(["backup", &place(&one)]);
    assert_eq!(put(&first), (3, 3));
    let other = restored(&place(&one), &[]);
    assert_same(&one, &other);
    // Only what is new is put, and a state each time.
    add(&one, &wheels("late", 2));
    assert_eq!(put(&one.json(["backup", &place(&one)])), (5, 2));
    assert_eq!(put(&one.json(["backup", &place(&one)])), (5, 0));
    let states = one.json(["backup", "--list", &place(&one)]);
    assert_eq!(states["states"].as_array().unwrap().len(), 3);
    // The store of then, by the log's number or the time.
    let then = restored(&place(&one), &["--at", &first["number"].to_string()]);
    assert_eq!(then.run(["lookup", "late0"]).code, 4);
    assert_same(&other, &then);
    assert_eq!(restored(&place(&one), &["--at", "2999-01-01"]).json(["list"]), one.json(["list"]));
    assert_eq!(Env::new().run(["restore", &place(&one), "--at", "2020-01-01"]).code, 2);
    // It is a store as any other: written, served, and backed up itself, into the same place.
    add(&other, &wheels("own", 1));
    let server = WcasServer::start(&other, &[]);
    assert_eq!(server.get("/cuda/simple/demo0/").status, 200);
    server.stop();
    assert_eq!(put(&other.json(["backup", &place(&one)])), (4, 1));
}

#[test]
fn what_a_backup_says_of_bytes_is_true() {
    let env = store();
    env.ok(["backup", &place(&env)]);
    // An object goes wrong there: a store that is made of it lacks this one, and says so.
    let object = files_below(&env.path("backup/blobs")).remove(0);
    let mut wrong = fs::read(&object).unwrap();
    wrong[100] ^= 1;
    fs::remove_file(&object).unwrap();
    fs::write(&object, &wrong).unwrap();
    let other = Env::new();
    let output = other.run(["--json", "restore", &place(&env)]);
    assert_eq!((output.code, output.json()["problems"].as_array().unwrap().len()), (3, 1), "{output}");
    let listed = other.json(["list"]);
    let lost = listed["distributions"].as_array().unwrap().iter().filter(|row| row["state"] == "lost");
    assert!(lost.count() > 0, "{listed}");
    add(&other, &wheels("demo", 3));
    assert_eq!(other.json(["list"]), env.json(["list"]));
    other.ok(["verify"]);
    // Who reads the backup finds it, and puts it again.
    let report = env.json(["backup", &place(&env), "--verify"]);
    assert_eq!((report["wrong"].as_u64(), report["put"].as_u64()), (Some(1), Some(1)), "{report}");
    assert_same(&env, &restored(&place(&env), &[]));
    // What the store itself has lost can't be put; the state has all else.
    fs::remove_file(&blobs(&env)[0]).unwrap();
    env.run(["verify"]);
    fs::remove_dir_all(env.path("backup")).unwrap();
    let output = env.run(["--json", "backup", &place(&env)]);
    assert_eq!((output.code, output.json()["blobs"].as_u64()), (3, Some(2)), "{output}");
    let output = Env::new().run(["restore", &place(&env)]);
    assert!(output.code == 3 && output.stderr.contains("hasn't got it"), "{output}");
}

#[test]
fn a_state_that_brings_a_schema_of_its_own_is_refused() {
    let env = small();
    env.ok(["backup", &place(&env)]);
    let state = files_below(&env.path("backup/snapshots")).remove(0);
    let plain = env.path("plain");
    fs::write(&plain, zstd::decode_all(&fs::read(&state).unwrap()[..]).unwrap()).unwrap();
    let manifest = rusqlite::Connection::open(&plain).unwrap();
    manifest.execute_batch("CREATE TRIGGER more AFTER INSERT ON token BEGIN DELETE FROM block; END").unwrap();
    drop(manifest);
    let packed = zstd::encode_all(&fs::read(&plain).unwrap()[..], 1).unwrap();
    // As whoever writes to the place can: its name says that the bytes are right.
    let (rest, _) = state.file_name().unwrap().to_str().unwrap().rsplit_once('.').unwrap();
    let digest = wcas::digest::Digests::of(&packed).blake3;
    fs::write(state.with_file_name(format!("{rest}.{digest}")), packed).unwrap();
    fs::remove_file(&state).unwrap();
    let other = Env::new();
    let output = other.run(["restore", &place(&env)]);
    assert!(output.code == 1 && output.stderr.contains("triggers or views that wcas doesn't write"), "{output}");
    assert!(!other.store().join("wcas.json").exists(), "no store is left of it");
}

#[test]
fn old_states_go_with_what_only_they_had() {
    let env = store();
    env.ok(["backup", &place(&env)]);
    env.ok(["invalidate", "demo1", "--everywhere"]);
    add(&env, &wheels("late", 1));
    env.ok(["gc", "--grace", "0"]);
    let report = env.json(["backup", &place(&env), "--keep-for", "1d"]);
    assert_eq!((report["removed_states"].as_u64(), report["removed_blobs"].as_u64()), (Some(0), Some(0)), "{report}");
    // A state's time has whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
    let report = env.json(["backup", &place(&env), "--keep-for", "0s"]);
    assert_eq!(report["removed_states"].as_u64(), Some(2), "{report}");
    assert_eq!(files_below(&env.path("backup/blobs")).len(), blobs(&env).len(), "{report}");
    assert_same(&env, &restored(&place(&env), &[]));
}

#[test]
fn a_backup_beside_imports_and_gc_is_whole() {
    let env = store();
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..8 {
                let dist = env.path(format!("more{round}"));
                fs::create_dir(&dist).unwrap();
                wheels(&format!("more{round}x"), 4).iter().for_each(|wheel| drop(wheel.write_to(&dist)));
                env.ok(["import", dist.to_str().unwrap()]);
                env.ok(["invalidate", &format!("more{round}x1")]);
                env.ok(["gc", "--grace", "0"]);
            }
        });
        while !writer.is_finished() {
            env.ok(["backup", &place(&env)]);
        }
        writer.join()
    });
    written.unwrap();
    env.ok(["backup", &place(&env)]);
    // Each state is whole.
    let states = env.json(["backup", "--list", &place(&env)]);
    for state in states["states"].as_array().unwrap() {
        restored(&place(&env), &["--at", &state["number"].to_string()]).ok(["verify"]);
    }
    assert_same(&env, &restored(&place(&env), &[]));
}

#[test]
fn a_backup_killed_anywhere_goes_on_and_leaves_whole_states_only() {
    let traced = small();
    let count = points(&traced.run_with_env(&[("WCAS_FAULT", "trace")], ["backup", &place(&traced)]));
    assert!(count > 30, "{count}");
    for (number, point) in (1..=count).step_by(3).enumerate() {
        let env = small();
        let armed = format!("{}@{point}", if number % 2 == 0 { "kill" } else { "eio" });
        env.run_with_env(&[("WCAS_FAULT", &armed)], ["backup", &place(&env)]);
        let listed = env.run(["--json", "backup", "--list", &place(&env)]);
        if listed.code == 0 && !listed.json()["states"].as_array().unwrap().is_empty() {
            assert_same(&env, &restored(&place(&env), &[]));
        }
        env.ok(["backup", &place(&env)]);
        // What was on its way when it was killed goes when the next writer comes.
        add(&env, &wheels("late", 1));
        env.ok(["backup", &place(&env)]);
        assert_same(&env, &restored(&place(&env), &[]));
    }
}

#[test]
fn a_restore_killed_anywhere_can_be_read_and_goes_on() {
    let env = small();
    env.ok(["backup", &place(&env)]);
    let traced = Env::new();
    let count = points(&traced.run_with_env(&[("WCAS_FAULT", "trace")], ["restore", &place(&env)]));
    assert!(count > 30, "{count}");
    for (number, point) in (1..=count).step_by(3).enumerate() {
        let other = Env::new();
        let armed = format!("{}@{point}", if number % 2 == 0 { "kill" } else { "eio" });
        let output = other.run_with_env(&[("WCAS_FAULT", &armed)], ["restore", &place(&env)]);
        let settings = || fs::read_to_string(other.store().join("wcas.json")).unwrap_or_default();
        let mut is_written = false;
        if settings().contains("backup") {
            // What the end would lose can't be written; where all is done but to say so, nothing is lost.
            let written = other.run(["collection", "create", "early"]);
            is_written = written.code == 0;
            assert!(is_written || written.code == 1 && written.stderr.contains("is a backup"), "{armed}: {written}");
        }
        if !settings().is_empty() {
            other.run(["lookup", "demo0"]);
        }
        if settings().is_empty() || settings().contains("backup") {
            other.ok(["restore", &place(&env)]);
        }
        assert!(!settings().contains("backup"), "{armed}");
        assert_eq!(other.run(["collection", "show", "early"]).code == 0, is_written, "{armed}");
        other.ok(["collection", "create", "late"]);
        other.ok(["verify"]);
        assert_eq!(other.json(["list"]), env.json(["list"]), "{armed}: {output}");
    }
}

#[test]
fn a_store_that_is_being_restored_answers_at_once() {
    let env = store();
    env.ok(["backup", &place(&env)]);
    let other = Env::new();
    let object = files_below(&env.path("backup/blobs")).remove(0);
    let away = object.with_extension("away");
    // It is cut off where an object can't be read.
    fs::rename(&object, &away).unwrap();
    fs::create_dir(&object).unwrap();
    let cut = other.run(["restore", &place(&env)]);
    assert!(cut.code != 0 && cut.stderr.contains("run it again"), "{cut}");
    fs::remove_dir(&object).unwrap();
    fs::rename(&away, &object).unwrap();
    for project in ["demo0", "demo1", "demo2"] {
        other.ok(["lookup", project]);
    }
    assert_eq!(blobs(&other).len(), 3);
    let report = other.json(["restore", &place(&env)]);
    assert_eq!((report["fetched"].as_u64(), &report["state"]), (Some(0), &Value::Null));
    assert_eq!(other.json(["list"]), env.json(["list"]));
    other.ok(["collection", "create", "late"]);
}

#[test]
fn two_are_never_at_work_on_one_backup_and_nobody_waits_for_the_dead() {
    let env = store();
    env.ok(["backup", &place(&env)]);
    let lock = env.path("backup/lock");
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let boot = read("/proc/sys/kernel/random/boot_id");
    let machine = Some(read("/etc/machine-id")).filter(|id| !id.is_empty()).unwrap_or(host.clone());
    let holder = |pid: u32, machine: &str, at: i64| {
        format!(r#"{{"host":"{host}","machine":"{machine}","boot":"{boot}","pid":{pid},"at":{at}}}"#)
    };
    let future = i64::from(u32::MAX);
    for (pid, machine) in [(std::process::id(), machine.as_str()), (1, "another")] {
        fs::write(&lock, holder(pid, machine, future)).unwrap();
        let output = env.run(["backup", &place(&env)]);
        assert!(output.code == 5 && output.stderr.contains(&format!("process {pid} on {host}")), "{output}");
    }
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    for text in [holder(ended.id(), &machine, future), holder(1, "another", 0), "garbage".to_owned()] {
        fs::write(&lock, text).unwrap();
        env.ok(["backup", &place(&env)]);
        assert!(!lock.exists());
    }
}

#[test]
fn places_of_other_things_are_refused() {
    let (one, two) = (store(), store());
    one.ok(["backup", &place(&one)]);
    let refused = |env: &Env, args: &[&str], why: &str| {
        let output = env.run(args);
        assert!(output.code != 0 && output.stderr.contains(why), "{args:?}: {output}");
    };
    refused(&two, &["backup", &place(&one)], "the backup of another store");
    refused(&two, &["restore", &place(&one)], "there is a store at");
    let url = format!("file://{}", place(&one));
    refused(&Env::new(), &["init", "--share", &url], "is a backup");
    refused(&two, &["share", &url], "is a backup");
    let team = Team::with(1, &wheels("demo", 1));
    refused(&two, &["backup", &team.url()], "there is no backup at");
    refused(&Env::new(), &["restore", &team.url()], "there is no backup at");
    refused(&Env::new(), &["restore", "/nowhere/at/all"], "there is no backup at");
    fs::create_dir(two.path("full")).unwrap();
    fs::write(two.path("full/file"), "").unwrap();
    refused(&two, &["backup", "full"], "not empty");
    refused(&two, &["backup", "ftp://host/x"], "are known");
    refused(&two, &["backup", &two.store().join("kept").display().to_string()], "inside the store");
}

#[test]
fn a_nodes_backup_has_what_only_the_share_has_and_becomes_a_store_of_its_own() {
    let team = Team::with(2, &wheels("demo", 3));
    let [one, two] = &team.nodes[..] else { panic!() };
    one.ok(["collection", "create", "cuda"]);
    let there = place(two);
    assert_eq!(put(&two.json(["backup", &there])), (3, 3));
    assert_eq!(blobs(two).len(), 0, "nothing stays that was only carried");
    // Any node goes on with it.
    assert_eq!(put(&one.json(["backup", &there])), (3, 0));
    let own = restored(&there, &[]);
    own.ok(["verify"]);
    assert_eq!(own.json(["doctor"])["share"], Value::Null);
    assert_eq!(own.json(["collection", "list"])["collections"].as_array().unwrap().len(), 2);
    // It can be shared again.
    own.ok(["share", &format!("file://{}", own.path("again").display())]);
    own.ok(["collection", "create", "cpu"]);
    team.assert_equal();
}

#[test]
fn a_bucket_takes_a_backup() {
    let Some(weed) = weed() else { return };
    let (mut one, mut other) = (store(), Env::new());
    for env in [&mut one, &mut other] {
        env.set("AWS_ACCESS_KEY_ID", KEY);
        env.set("AWS_SECRET_ACCESS_KEY", SECRET);
    }
    add(&one, &[Wheel::new("large", "1.0").payload(20_000_000, 7)]);
    let endpoint = format!("http://{}", weed.address);
    let args = ["s3://wcas/backup-of-one", "--endpoint", &endpoint, "--region", "us-east-1"];
    assert_eq!(put(&one.json([&["backup"], &args[..]].concat())), (4, 4));
    assert_eq!(put(&one.json([&["backup", "--verify", "--keep-for", "0s"], &args[..]].concat())), (4, 0));
    other.ok([&["restore"], &args[..]].concat());
    assert_same(&one, &other);
}
