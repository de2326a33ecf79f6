//! `wcas gc` and `wcas verify`: what goes and why, what stays, and what is found wrong.

use crate::support::{Env, Wheel};
use crate::{array, assert_output, blob, files, json_with_code, overwrite, texts};
use std::fs;

/// Three versions, the highest with two builds, of 1000 bytes and a little each.
fn filled() -> Env {
    let versions =
        (1..).zip(["1.0", "2.0", "3.0"]).map(|(seed, version)| Wheel::new("demo", version).payload(1000, seed));
    Env::filled(versions.chain([Wheel::new("demo", "3.0").build("2").payload(1000, 9)]))
}

#[test]
fn a_dry_run_prints_exactly_what_the_run_then_does() {
    if Env::is_of_own_store_only("no plan tells what goes from the share") {
        return;
    }
    let env = filled();
    env.ok(["collection", "copy", "shared", "cuda"]);
    env.ok(["collection", "set", "cuda", "--keep-versions", "1"]);
    env.ok(["invalidate", "demo==1.0", "--collection", "shared"]);
    env.ok(["pin", "demo==2.0"]);
    let rules = ["gc", "--keep-builds", "1", "--grace", "0"];
    let before = files(&env.path("store/blobs/b3"));
    let mut dry = env.json([&rules[..], &["--dry-run"]].concat());
    assert_eq!((env.listed(&[]).len(), files(&env.path("store/blobs/b3"))), (7, before), "nothing was changed");
    let text = env.ok([&rules[..], &["--dry-run"]].concat()).stdout;
    let real = env.json(rules);
    assert_eq!(dry["dry_run"], true);
    dry["dry_run"] = false.into();
    assert_eq!(dry, real);
    for reference in array(&real["references"]) {
        assert!(text.contains(reference["reason"].as_str().unwrap()), "{text}");
    }
    assert_eq!(env.json([&rules[..], &["--dry-run"]].concat())["blobs"], 0, "and a second run has nothing to do");
}

#[test]
fn rules_that_keep_nothing_are_refused_wherever_they_are_said() {
    let env = filled();
    fs::write(env.path("wcas.toml"), "[collections.shared]\nkeep-versions = 0\n").unwrap();
    for rule in ["--keep-builds", "--keep-versions"] {
        for args in
            [&["gc", rule, "0"][..], &["collection", "set", "shared", rule, "0"], &["config", "apply", "wcas.toml"]]
        {
            let output = crate::refused(&env, 2, args);
            assert!(output.stderr.contains("would keep nothing"), "{output}");
        }
    }
    assert_eq!(env.listed(&[]).len(), 4);
}

#[test]
fn each_removal_says_why() {
    if Env::is_of_own_store_only("it tells what went from the share as well") {
        return;
    }
    let env = filled();
    assert_output!(env.run(["gc", "--keep-builds", "1", "--keep-versions", "2", "--dry-run", "--grace", "0"]), @r"
    exit 0
    --- stdout
    shared: demo-1.0-py3-none-any.whl: not among the 2 highest versions; 3.0 is higher
    shared: demo-3.0-py3-none-any.whl: not among the 1 highest builds; demo-3.0-2-py3-none-any.whl is higher
    would drop 2 references, would delete 2 blobs, 4.1 kB freed
    ");
    assert_output!(env.run(["gc", "--unused-for", "0s", "--dry-run"]), @r"
    exit 0
    --- stdout
    shared: demo-1.0-py3-none-any.whl: unused for 0 days
    shared: demo-2.0-py3-none-any.whl: unused for 0 days
    shared: demo-3.0-2-py3-none-any.whl: unused for 0 days
    shared: demo-3.0-py3-none-any.whl: unused for 0 days
    would drop 4 references, would delete 0 blobs, 0 B freed
    ");
    assert_output!(env.run(["gc", "--max-bytes", "3K", "--grace", "0"]), @r"
    exit 0
    --- stdout
    shared: demo-1.0-py3-none-any.whl: least recently used, and more than 3000 bytes are kept
    shared: demo-3.0-2-py3-none-any.whl: least recently used, and more than 3000 bytes are kept
    shared: demo-3.0-py3-none-any.whl: least recently used, and more than 3000 bytes are kept
    dropped 3 references, deleted 3 blobs, 6.1 kB freed
    ");
    assert_output!(env.run(["gc"]), @r"
    exit 0
    --- stdout
    dropped 0 references, deleted 0 blobs, 0 B freed
    ");
}

#[test]
fn the_grace_keeps_what_was_dropped_and_undo_brings_it_back() {
    let env = filled();
    env.ok(["gc", "--keep-versions", "1"]);
    assert_eq!(env.listed(&[]).len(), 2);
    assert_eq!(files(&env.path("store/blobs/b3")).len(), 4, "the bytes stay for 48 hours");
    assert_eq!(env.json(["undo"])["restored"].as_array().unwrap().len(), 2);
    assert_eq!(env.listed(&[]).len(), 4);
    assert_eq!(env.json(["gc", "--grace", "0"])["blobs"], 0);
    env.ok(["verify"]);
}

#[test]
fn gc_goes_on_where_its_time_was_over() {
    let env = filled();
    env.ok(["invalidate", "demo"]);
    let gone = env.json(["gc", "--grace", "0", "--max-duration", "0s"]);
    assert_eq!((&gone["blobs"], &gone["is_unfinished"]), (&0.into(), &true.into()));
    assert_eq!(files(&env.path("store/blobs/b3")).len(), 4);
    let gone = env.json(["gc", "--grace", "0", "--max-duration", "1h"]);
    assert_eq!((&gone["blobs"], &gone["is_unfinished"]), (&4.into(), &false.into()));
    assert_eq!(files(&env.path("store/blobs/b3")).len(), 0);
}

#[test]
fn bytes_that_other_names_have_count_as_held_and_not_as_freed() {
    let env = filled();
    let blobs = env.path("store/blobs/b3");
    let size = |path: &std::path::Path| fs::metadata(path).unwrap().len();
    let all: u64 = files(&blobs).iter().map(|name| size(&blobs.join(name))).sum();
    let mut held = 0;
    for version in ["1.0", "2.0"] {
        let path = blob(&env, &format!("demo=={version}"));
        held += size(&path);
        fs::hard_link(path, env.path(version)).unwrap();
    }
    env.ok(["invalidate", "demo"]);
    for args in [&["gc", "--grace", "0", "--dry-run"][..], &["gc", "--grace", "0"]] {
        let gone = env.json(args);
        assert_eq!((&gone["held_bytes"], &gone["freed_bytes"]), (&held.into(), &(all - held).into()));
    }
}

#[test]
fn metadata_files_go_with_the_last_blob_that_has_them() {
    let env = filled();
    env.ok(["view", "--to", "tree"]);
    let sidecars = || files(&env.path("store/metadata")).len();
    assert_eq!(sidecars(), 3, "two builds of one version have the same");
    env.ok(["invalidate", "demo==2.0"]);
    env.ok(["view", "--to", "tree"]);
    env.ok(["gc", "--grace", "0"]);
    assert_eq!(sidecars(), 2);
    assert!(files(&env.path("tree")).iter().any(|name| name.ends_with(".metadata")));
    env.ok(["verify"]);
}

#[test]
fn pins_win_over_every_rule() {
    let env = filled();
    env.ok(["pin", "demo==1.0", "--owner", "release", "--reason", "24.11 image"]);
    env.ok(["pin", "demo==2.0", "--for", "0s"]);
    assert_output!(env.run(["pin"]), @r"
    exit 0
    --- stdout
    OWNER    UNTIL                 REASON       FILENAMES
    admin    [time]               demo-2.0-py3-none-any.whl
    release  -                     24.11 image  demo-1.0-py3-none-any.whl
    ");
    let rules =
        ["gc", "--keep-builds", "1", "--keep-versions", "1", "--unused-for", "0", "--max-bytes", "0", "--grace", "0"];
    let output = env.run([&["--json"], &rules[..]].concat());
    assert_eq!(output.code, 3, "what is pinned is more than the limit: {output}");
    assert_eq!(env.listed(&[]), ["demo-1.0-py3-none-any.whl"], "a pin that has expired keeps nothing");
    // Invalidated by hand the entry goes, and the pinned bytes stay.
    env.ok(["invalidate", "demo"]);
    assert_eq!(env.json(["gc", "--grace", "0"])["blobs"], 0);
    assert_eq!(files(&env.path("store/blobs/b3")).len(), 1);
    let digest = env.json(["pin"])["pins"][0]["blake3"].as_str().unwrap().to_owned();
    assert_output!(env.run(["unpin", &digest, "--owner", "somebody"]), @r"
    exit 4
    --- stderr
    wcas: there is no pin of 233a060a…
    ");
    env.ok(["unpin", &digest, "--owner", "release"]);
    assert_eq!(env.json(["gc", "--grace", "0"])["blobs"], 1);
    assert_eq!(files(&env.path("store/blobs/b3")).len(), 0);
}

#[test]
fn a_collections_own_rules_count_when_none_are_given() {
    let env = filled();
    env.ok(["collection", "copy", "shared", "cuda"]);
    env.ok(["collection", "set", "cuda", "--keep-versions", "1"]);
    let gone = env.json(["gc"]);
    assert_eq!(texts(&gone["references"], "collection"), ["cuda", "cuda"]);
    let gone = env.json(["gc", "--collection", "shared", "--keep-versions", "2"]);
    assert_eq!(texts(&gone["references"], "filename"), ["demo-1.0-py3-none-any.whl"]);
    assert_eq!(env.listed(&[]).len(), 2 + 3);
}

#[test]
fn verify_tells_what_is_wrong_where_and_whom_it_hits() {
    if Env::is_of_own_store_only("what it loses the share has") {
        return;
    }
    let env = filled();
    env.ok(["collection", "copy", "shared", "cuda"]);
    assert_output!(env.run(["verify"]), @r"
    exit 0
    --- stdout
    verified 4 blobs, 8.1 kB in [duration]: all good
    ");
    let path = blob(&env, "demo==1.0");
    let size = fs::metadata(&path).unwrap().len();
    overwrite(&path, vec![b'x'; usize::try_from(size).unwrap()]);
    fs::remove_file(blob(&env, "demo==2.0")).unwrap();
    assert_output!(env.run(["verify"]), @r"
    exit 3
    --- stdout
    corrupt: $STORE/blobs/b3/23/233a060a…
      its bytes have the digest 9c5d950f… (2029 of 2029 bytes)
      files: demo-1.0-py3-none-any.whl
      collections: cuda, shared
      quarantine: $STORE/quarantine/233a060a….0
    missing: $STORE/blobs/b3/b6/b645af3b…
      there is no such file
      files: demo-2.0-py3-none-any.whl
      collections: cuda, shared
    verified 4 blobs, 8.1 kB in [duration]: 2 problems
    ");
    assert!(!path.exists(), "the wrong bytes have left their name");
    let quarantine = fs::read_dir(env.path("store/quarantine")).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> = quarantine.map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(kept, [vec![b'x'; usize::try_from(size).unwrap()]], "and nothing is destroyed");
    let again = json_with_code(&env, 3, &["verify"]);
    assert_eq!(texts(&again["problems"], "kind"), ["corrupt", "missing"], "found again until it is healed");
    env.ok(["import", "in"]);
    env.ok(["verify"]);
}

#[test]
fn verify_quick_reads_only_what_looks_changed() {
    let env = filled();
    let quick = env.json(["verify", "--quick"]);
    assert_eq!((&quick["checked"], &quick["bytes"]), (&4.into(), &0.into()));
    let path = blob(&env, "demo==1.0");
    let bytes = fs::read(&path).unwrap();
    overwrite(&path, &bytes);
    let quick = env.json(["verify", "--quick"]);
    assert_eq!(quick["bytes"], bytes.len(), "another inode with the right bytes is right");
    assert_eq!(env.json(["verify", "--quick"])["bytes"], 0, "and is known from then on");
    overwrite(&path, &bytes[1..]);
    assert_eq!(json_with_code(&env, 3, &["verify", "--quick"])["problems"][0]["kind"], "corrupt");
}

#[test]
fn verify_leaves_out_what_was_verified_lately_and_goes_on_where_it_stopped() {
    let env = filled();
    assert_eq!(env.json(["verify", "--max-age", "1h"])["checked"], 4);
    assert_eq!(env.json(["verify", "--max-age", "1h"])["checked"], 0);
    assert_eq!(env.json(["verify", "--parallel"])["checked"], 4);
    assert_eq!(env.json(["verify", "--parallel", "3"])["checked"], 4);
    let slowly = env.json(["verify", "--rate", "64KiB"]);
    let least = slowly["bytes"].as_f64().unwrap() / 65_536.0;
    assert!(least > 0.1 && slowly["seconds"].as_f64().unwrap() >= least, "{slowly}");
    let stopped = env.json(["verify", "--max-duration", "0s"]);
    assert_eq!((&stopped["checked"], &stopped["left"]), (&0.into(), &4.into()));
}

#[test]
fn repair_takes_right_bytes_from_a_tree_that_has_its_own() {
    if Env::is_of_own_store_only("what it loses the share has") {
        return;
    }
    let env = filled();
    env.ok(["view", "--to", "tree", "--link", "copy"]);
    let path = blob(&env, "demo==1.0");
    let right = fs::read(&path).unwrap();
    overwrite(&path, "wrong");
    let report = env.json(["verify", "--repair"]);
    assert_eq!(report["problems"][0]["repaired"], true);
    assert_eq!(fs::read(&path).unwrap(), right);
    env.ok(["lookup", "demo==1.0"]);
    // Of two copies that are both wrong none is taken.
    overwrite(&path, "wrong");
    overwrite(&env.path("tree/simple/demo/demo-1.0-py3-none-any.whl"), "wrong");
    assert_eq!(json_with_code(&env, 3, &["verify", "--repair"])["problems"][0]["repaired"], false);
}

fn manifest(env: &Env) -> rusqlite::Connection {
    rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap()
}

#[test]
fn an_import_and_a_gc_finish_what_a_killed_gc_was_deleting() {
    let env = filled();
    let store = env.path("store/blobs/b3");
    let killed = || {
        env.ok(["invalidate", "demo==1.0"]);
        env.ok(["gc", "--grace", "0", "--max-duration", "0s"]);
        let manifest = manifest(&env);
        let sql = "UPDATE file SET state = 'deleting' WHERE id IN (SELECT id FROM blob WHERE maybe_unreferenced_at IS NOT NULL)";
        assert_eq!(manifest.execute(sql, []).unwrap(), 1);
        assert_eq!(manifest.execute("DELETE FROM blob WHERE maybe_unreferenced_at IS NOT NULL", []).unwrap(), 1);
    };
    killed();
    env.ok(["import", "in"]);
    assert_eq!((files(&store).len(), env.listed(&[]).len()), (4, 4));
    env.ok(["lookup", "demo==1.0"]);
    env.ok(["verify"]);
    killed();
    assert_eq!(env.json(["gc"])["blobs"], 1, "whatever the grace");
    assert_eq!((files(&store).len(), env.listed(&[]).len()), (3, 3));
    env.ok(["verify"]);
}

#[test]
fn what_a_row_says_wrong_is_told_whatever_its_bytes_were_before() {
    if Env::is_of_own_store_only("its manifest is the share's") {
        return;
    }
    let env = filled();
    overwrite(&blob(&env, "demo==1.0"), "wrong");
    assert_eq!(texts(&json_with_code(&env, 3, &["verify"])["problems"], "kind"), ["corrupt"]);
    let again = json_with_code(&env, 3, &["verify"]);
    assert_eq!(texts(&again["problems"], "detail"), ["found by an earlier run"]);
    env.ok(["import", "in"]);
    env.ok(["verify"]);
    manifest(&env).execute_batch("UPDATE blob SET size = size + 64").unwrap();
    assert_eq!(texts(&json_with_code(&env, 3, &["verify"])["problems"], "kind"), ["row"; 4]);
}

#[test]
fn verify_looks_at_trees_while_there_is_time() {
    let env = filled();
    env.ok(["view", "--to", "tree"]);
    fs::remove_file(env.path("tree/simple/demo/demo-1.0-py3-none-any.whl")).unwrap();
    let damaged = |report: serde_json::Value| array(&report["trees"]).len();
    assert_eq!(damaged(json_with_code(&env, 3, &["verify", "--max-duration", "1h"])), 1);
    assert_eq!(damaged(json_with_code(&env, 0, &["verify", "--max-duration", "0s"])), 0);
}

#[test]
fn verify_makes_wrong_metadata_files_again() {
    let env = filled();
    env.ok(["view", "--to", "tree"]);
    assert_eq!(env.json(["verify"])["sidecars_rewritten"], 0);
    let store = env.path("store/metadata");
    let path = store.join(&files(&store)[0]);
    let right = fs::read(&path).unwrap();
    overwrite(&path, "wrong");
    // Neither takes the time to read them all.
    for args in [&["verify", "--quick"][..], &["verify", "--max-duration", "1h"]] {
        assert_eq!(json_with_code(&env, 0, args)["sidecars_rewritten"], 0);
    }
    assert_eq!(env.json(["verify"])["sidecars_rewritten"], 1);
    assert_eq!(fs::read(&path).unwrap(), right);
}

#[test]
fn what_a_tree_or_a_snapshot_shows_is_dropped_and_keeps_its_bytes_until_they_move_on() {
    let env = filled();
    env.ok(["collection", "set", "shared", "--keep-versions", "1"]);
    env.ok(["view", "--to", "tree"]);
    env.ok(["collection", "snapshot", "shared", "release"]);
    let gc = env.json(["gc", "--grace", "0"]);
    assert_eq!(texts(&gc["references"], "filename"), ["demo-1.0-py3-none-any.whl", "demo-2.0-py3-none-any.whl"]);
    assert_eq!((&gc["blobs"], array(&gc["problems"]).len()), (&0.into(), 0));
    let keepers = |gc: &serde_json::Value| -> Vec<(String, u64)> {
        let rows = array(&gc["kept"]).iter();
        rows.map(|row| (row["kind"].as_str().unwrap().to_owned(), row["files"].as_u64().unwrap())).collect()
    };
    assert_eq!(keepers(&gc), [("tree".to_owned(), 2), ("snapshot".to_owned(), 2)]);
    assert_eq!(env.listed(&[]).len(), 2);
    fs::read(env.path("tree/simple/demo/demo-1.0-py3-none-any.whl")).unwrap();
    let text = env.ok(["gc"]).stdout;
    assert!(text.contains("tree ") && text.contains("2 files that collections have dropped"), "{text}");
    assert!(text.contains("snapshot shared@release"), "{text}");
    // A pin's bytes are nobody's to let go.
    env.ok(["view", "--to", "tree"]);
    assert_eq!(keepers(&env.json(["gc", "--grace", "0"])), [("snapshot".to_owned(), 2)]);
    env.ok(["collection", "snapshot", "shared", "release", "--delete"]);
    let gc = env.json(["gc", "--grace", "0"]);
    assert_eq!((&gc["blobs"], keepers(&gc).len()), (&2.into(), 0));
    env.ok(["verify"]);
    // A limit in bytes reaches what is shown as well.
    env.ok(["view", "--to", "tree"]);
    let gc = env.json(["gc", "--grace", "0", "--max-bytes", "0"]);
    assert_eq!((array(&gc["references"]).len(), &gc["kept"][0]["files"]), (2, &2.into()));
}

#[test]
fn times_of_a_clock_that_was_ahead_count_as_never() {
    let env = filled();
    let years = 15 * 365 * 86_400;
    env.ok(["invalidate", "demo==2.0"]);
    manifest(&env)
        .execute_batch(&format!(
            "UPDATE file SET verified_at = unixepoch() + {years};
             UPDATE blob SET used_at = unixepoch() + {years};
             UPDATE blob SET maybe_unreferenced_at = unixepoch() + {years} WHERE maybe_unreferenced_at IS NOT NULL;
             UPDATE entry SET removed_at = unixepoch() + {years} WHERE removed IS NOT NULL;"
        ))
        .unwrap();
    let findings = env.json(["doctor"])["findings"].clone();
    assert!(texts(&findings, "kind").contains(&"clock"), "{findings}");
    assert_eq!(env.json(["stats"])["verified_since"], serde_json::Value::Null);
    fs::remove_file(blob(&env, "demo==1.0")).unwrap();
    let report = json_with_code(&env, 3, &["verify", "--max-age", "7d"]);
    assert_eq!((&report["checked"], texts(&report["problems"], "kind")), (&4.into(), vec!["missing"]));
    assert_eq!(env.json(["gc", "--grace", "1s"])["blobs"], 0, "the grace begins now");
    std::thread::sleep(std::time::Duration::from_millis(2100));
    assert_eq!(env.json(["gc", "--grace", "1s"])["blobs"], 1);
    // A lookup by the right clock is a use again.
    env.ok(["lookup", "demo==3.0"]);
    let gone = env.json(["gc", "--dry-run", "--unused-for", "1h"]);
    assert_eq!(array(&gone["references"]).len(), 0, "{gone}");
}

#[test]
fn a_clock_that_is_behind_takes_no_grace() {
    let env = filled();
    env.ok(["invalidate", "demo==2.0"]);
    let day = 86_400;
    // As if all was done by the right clock, and the clock of now were years behind: what is there is of the future.
    let shift = |seconds: i64| {
        manifest(&env)
            .execute_batch(&format!(
                "UPDATE blob SET created_at = created_at + {seconds}, maybe_unreferenced_at = maybe_unreferenced_at + {seconds};
                 UPDATE entry SET uploaded_at = uploaded_at + {seconds}, removed_at = removed_at + {seconds};
                 UPDATE meta SET value = (substr(value, 1, instr(value, ' ') - 1) + {seconds}) || ' ' ||
                     (substr(value, instr(value, ' ') + 1) + {seconds}) WHERE key = 'doubtful_times';"
            ))
            .unwrap();
    };
    shift(3650 * day);
    assert_eq!(env.json(["gc", "--grace", "2d"])["blobs"], 0);
    // What is dropped by that clock is so, too.
    env.ok(["invalidate", "demo==1.0"]);
    // The clock is right again: to it, all of that happened years ago.
    shift(-3650 * day - 3600);
    for _ in 0..2 {
        let gc = env.json(["gc", "--grace", "2d"]);
        assert_eq!(
            (&gc["blobs"], &gc["forgotten"]),
            (&0.into(), &0.into()),
            "the grace begins when the clock is right: {gc}"
        );
    }
    env.ok(["undo"]);
    assert_eq!(env.listed(&[]).len(), 3);
    env.ok(["invalidate", "demo==1.0"]);
    // And it ends.
    shift(-3 * day);
    assert_eq!(env.json(["gc", "--grace", "2d"])["blobs"], 2);
}

#[test]
fn a_clock_that_was_behind_when_something_was_dropped_takes_no_grace() {
    let env = filled();
    env.ok(["invalidate", "demo==2.0"]);
    manifest(&env)
        .execute_batch("UPDATE blob SET maybe_unreferenced_at = 60 WHERE maybe_unreferenced_at IS NOT NULL; UPDATE entry SET removed_at = 60 WHERE removed IS NOT NULL")
        .unwrap();
    let gc = env.json(["gc", "--grace", "2d"]);
    assert_eq!((&gc["blobs"], &gc["forgotten"]), (&0.into(), &0.into()), "{gc}");
    env.ok(["undo"]);
    assert_eq!(env.listed(&[]).len(), 4);
}

#[test]
fn a_blob_without_a_files_row_is_lost_until_its_bytes_are_read() {
    if Env::is_of_own_store_only("what it loses the share has") {
        return;
    }
    for heals in ["verify", "import"] {
        let env = filled();
        manifest(&env).execute_batch("DELETE FROM file WHERE id = 1").unwrap();
        let listed = env.json(["list"]);
        assert_eq!(
            texts(&listed["distributions"], "state").iter().filter(|state| **state == "lost").count(),
            1,
            "{listed}"
        );
        assert!(texts(&json_with_code(&env, 3, &["doctor"])["findings"], "kind").contains(&"lost"));
        if heals == "verify" {
            assert_eq!(env.json(["verify"])["checked"], 4);
        } else {
            let report = env.json(["import", "in"]);
            assert_eq!(texts(&report["distributions"], "outcome").iter().filter(|o| **o == "healed").count(), 1);
        }
        assert!(!texts(&env.json(["list"])["distributions"], "state").contains(&"lost"), "{heals}");
        env.ok(["doctor"]);
    }
}

#[test]
fn verify_tells_wrong_values_of_rows_and_an_import_or_a_repair_heals_them() {
    if Env::is_of_own_store_only("its manifest is the share's") {
        return;
    }
    for (sql, heals_by_repair) in [
        ("UPDATE blob SET sha256 = randomblob(32) WHERE id = 1", true),
        ("UPDATE blob SET size = size + 64 WHERE id = 1", true),
        ("UPDATE blob SET blake3 = randomblob(32) WHERE id = 1", false),
    ] {
        for by_repair in [false, true] {
            let env = filled();
            manifest(&env).execute_batch(sql).unwrap();
            let report = json_with_code(&env, 3, &["verify"]);
            let kind = if heals_by_repair { "row" } else { "missing" };
            assert_eq!(texts(&report["problems"], "kind"), [kind], "{sql}");
            if by_repair && heals_by_repair {
                assert_eq!(env.json(["verify", "--repair"])["problems"][0]["repaired"], true, "{sql}");
            } else {
                fs::rename(env.path("in"), env.path("again")).unwrap();
                for file in files(&env.path("again")) {
                    fs::File::open(env.path("again").join(file))
                        .unwrap()
                        .set_modified(std::time::SystemTime::now())
                        .unwrap();
                }
                let report = env.json(["import", "again"]);
                assert_eq!(
                    texts(&report["distributions"], "outcome").iter().filter(|o| **o == "healed").count(),
                    1,
                    "{sql}"
                );
            }
            assert_eq!(env.json(["verify"])["checked"], 4, "{sql}");
            env.ok(["doctor"]);
            assert_eq!(files(&env.path("store/quarantine")).len(), 0, "{sql}: no bytes were wrong");
        }
    }
}

#[test]
fn findings_are_told_whatever_can_not_be_recorded() {
    for point in 1..=12 {
        let env = filled();
        fs::remove_file(blob(&env, "demo==1.0")).unwrap();
        fs::write(env.store().join("metadata"), "a stray file")
            .or_else(|_| fs::write(env.store().join("metadata/stray"), ""))
            .unwrap();
        let output = env.run_with_env(&[("WCAS_FAULT", &*format!("eio@{point}"))], ["--json", "verify"]);
        assert_eq!(output.code, 3, "{point}: {output}");
        assert_eq!(texts(&output.json()["problems"], "kind"), ["missing"], "{point}: {output}");
    }
    // Of a sound store it can't be said that all is well. A node whose share was slow notes that, too, and may fail to.
    let mut told = 0;
    for point in 1..=3 {
        let env = filled();
        let output = env.run_with_env(&[("WCAS_FAULT", &*format!("eio@{point}"))], ["--json", "verify"]);
        let report = output.json();
        assert_eq!(array(&report["problems"]).len(), 0, "{point}: {output}");
        let failures: Vec<_> = array(&report["failures"]).iter().map(|why| why.as_str().unwrap()).collect();
        assert_eq!(
            (output.code, failures.len()),
            if failures.is_empty() { (0, 0) } else { (3, 1) },
            "{point}: {output}"
        );
        let is_recording = |why: &&str| why.starts_with("what was verified could not be recorded: ");
        assert!(failures.iter().all(is_recording), "{failures:?}");
        told += failures.len();
    }
    assert_eq!(told, 2, "as many disk changes record what was verified");
}

#[test]
fn a_lack_of_handles_is_no_blobs_fault() {
    let mut told = 0;
    for handles in 6..=16 {
        let env = filled();
        let text = format!("ulimit -n {handles} && exec {} --json verify --parallel 8", env!("CARGO_BIN_EXE_wcas"));
        let output = env.shell(&text).output().unwrap();
        if let Ok(report) = serde_json::from_slice::<serde_json::Value>(&output.stdout) {
            assert_eq!(array(&report["problems"]).len(), 0, "{handles}: {report}");
            told += array(&report["failures"]).len();
        }
        env.ok(["verify"]);
        assert_eq!(files(&env.path("store/quarantine")).len(), 0, "{handles}");
    }
    assert!(told > 0, "some had too few handles to read all, and said so");
}
