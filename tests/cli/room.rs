//! A disk without any room: readers read, each refusal says what frees some, and gc does.

use crate::array;
use crate::support::{Env, Fill, SmallDisk, Wheel};
use std::fs;
use std::path::Path;
use std::process::Command;

/// How many files nobody needs.
const GONE: u64 = 20;

/// A store on a disk of its own, which has nothing left.
fn full(with: Fill) -> Option<(Env, SmallDisk)> {
    let env = Env::new();
    let disk = SmallDisk::mount(&env.path("disk"), "size=24m,nr_inodes=400")?;
    Wheel::new("demo", "1.0").payload(300_000, 0).write_to(env.path("in"));
    for number in 1..=GONE {
        Wheel::new("gone", &number.to_string()).payload(30_000, number).write_to(env.path("in"));
    }
    in_store(&env, &["import", "in"]);
    in_store(&env, &["invalidate", "gone", "--collection", "shared"]);
    disk.fill(with);
    Some((env, disk))
}

fn run(env: &Env, args: &[&str]) -> crate::support::Output {
    let store = env.path("disk/store");
    env.run([&["--store", store.to_str().unwrap()], args].concat())
}

#[track_caller]
fn in_store(env: &Env, args: &[&str]) -> crate::support::Output {
    let output = run(env, args);
    assert_eq!(output.code, 0, "{args:?}: {output}");
    output
}

#[test]
fn without_room_readers_read_writers_say_gc_and_gc_frees() {
    for with in [Fill::Bytes, Fill::Names] {
        let Some((env, disk)) = full(with) else { return };
        let readers =
            ["list", "show demo", "lookup demo", "verify", "stats", "why demo", "collection log shared", "log"];
        for args in readers.iter().chain(&["gc --dry-run", "invalidate demo --dry-run"]) {
            in_store(&env, &args.split(' ').collect::<Vec<_>>());
        }
        Wheel::new("more", "1.0").write_to(env.path("more"));
        for args in ["import more", "pin demo", "view --to tree", "collection create new", "undo"] {
            let output = run(&env, &args.split(' ').collect::<Vec<_>>());
            assert_eq!(output.code, 1, "{with:?} {args}: {output}");
            assert!(output.stderr.contains("`wcas gc`"), "{with:?} {args}: {output}");
        }
        let doctor = run(&env, &["--json", "doctor"]).json();
        let kinds: Vec<_> =
            array(&doctor["findings"]).iter().map(|finding| finding["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"unwritable"), "{with:?} {kinds:?}");
        let gc = run(&env, &["--json", "gc", "--grace", "0"]);
        assert_eq!(gc.json()["blobs"], GONE, "{with:?} {gc}");
        in_store(&env, &["import", "more"]);
        in_store(&env, &["lookup", "more"]);
        // With what filled the disk gone, the reserve is set aside again.
        for entry in fs::read_dir(disk.path()).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.file_name().unwrap().to_str().unwrap().starts_with("filling") {
                fs::remove_file(entry).unwrap();
            }
        }
        in_store(&env, &["gc"]);
        assert_eq!(fs::metadata(disk.path().join("store/reserve")).unwrap().len(), 8 << 20);
        in_store(&env, &["doctor"]);
    }
}

#[test]
fn a_store_is_made_whole_or_not_at_all() {
    let env = Env::new();
    Wheel::new("demo", "1.0").write_to(env.path("in"));
    let empty = |path: &Path| !path.exists() || fs::read_dir(path).unwrap().next().is_none();
    // The shell's limit on files, in blocks of 512 or 1024 bytes: too little for a manifest.
    let text = format!("ulimit -f 100 && exec {} import in", env!("CARGO_BIN_EXE_wcas"));
    let mut command = Command::new("sh");
    command.args(["-c", &text]).current_dir(env.path("")).env("WCAS_STORE", env.path("limited"));
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("ulimit -f"), "{stderr}");
    assert!(empty(&env.path("limited")));
    for with in [Fill::Bytes, Fill::Names] {
        let Some(disk) = SmallDisk::mount(&env.path("disk"), "size=4m,nr_inodes=20") else { return };
        disk.fill(with);
        let output = run(&env, &["import", "in"]);
        assert_eq!(output.code, 1, "{with:?} {output}");
        assert!(output.stderr.contains("`wcas gc`") || output.stderr.contains("full"), "{with:?} {output}");
        assert!(empty(&env.path("disk/store")), "{with:?}");
        drop(disk);
    }
}
