//! From a store of one machine to a shared one and back, and nodes that begin from a snapshot.

use super::support::{Env, WcasServer, Wheel};
use super::{Team, blobs, files_below, wheels};
use std::fs;
use std::path::PathBuf;

/// A store of one machine with a history.
fn own_store() -> Env {
    let env = Env::new();
    fs::create_dir(env.path("dist")).unwrap();
    wheels("demo", 4).iter().for_each(|wheel| drop(wheel.write_to(env.path("dist"))));
    env.ok(["import", "dist"]);
    env.ok(["collection", "create", "cuda"]);
    env.ok(["collection", "promote", "shared", "cuda", "demo1"]);
    env.ok(["invalidate", "demo2", "--yes", "--everywhere"]);
    env.ok(["pin", "demo3", "--reason", "kept"]);
    env.ok(["token", "create", "--all", "--scope", "read"]);
    env.ok(["view", "--to", "tree"]);
    env
}

fn url(env: &Env) -> String {
    format!("file://{}", env.path("share").display())
}

fn share_folder(env: &Env) -> PathBuf {
    env.path("share")
}

#[test]
fn a_store_of_one_machine_becomes_a_shared_one_with_all_that_it_has() {
    let one = own_store();
    let list = one.ok(["list"]).stdout;
    let report = one.json(["share", &url(&one)]);
    assert_eq!((report["blobs"].as_u64(), &report["problems"]), (Some(4), &serde_json::json!([])), "{report}");
    assert_eq!(one.ok(["list"]).stdout, list);
    assert!(one.ok(["view", "--to", "tree"]).stdout.contains(" 0 made anew"), "its trees are its own still");
    let two = Env::new();
    two.ok(["init", "--share", &url(&one)]);
    assert_eq!(two.ok(["list"]).stdout, list);
    two.ok(["lookup", "demo1", "--collection", "cuda"]);
    two.ok(["undo"]);
    assert_ne!(one.ok(["list"]).stdout, list, "what the other brought back is seen");
    one.ok(["lookup", "demo2"]);
    one.ok(["log", "verify"]);
    two.ok(["log", "verify"]);
    Team { nodes: vec![one, two] }.assert_equal();
}

#[test]
fn sharing_that_is_cut_off_anywhere_is_finished_by_the_next_run() {
    let traced = own_store();
    let output = traced.run_with_env(&[("WCAS_FAULT", "trace")], ["share", &url(&traced)]);
    let count = super::faults::points(&output);
    for (fault, point) in
        (1..=count).step_by(4).map(|point| ("kill", point)).chain((2..=count).step_by(9).map(|point| ("eio", point)))
    {
        let one = own_store();
        let list = one.ok(["list"]).stdout;
        let armed = format!("{fault}@{point}");
        let output = one.run_with_env(&[("WCAS_FAULT", &armed)], ["share", &url(&one)]);
        assert_eq!(one.ok(["list"]).stdout, list, "{armed}: {output}");
        let again = one.run(["share", &url(&one)]);
        // Cut off after its end it is a node.
        assert!(again.code == 0 || again.stderr.contains("is a node of"), "{armed}: {output}{again}");
        let two = Env::new();
        two.ok(["init", "--share", &url(&one)]);
        assert_eq!(two.ok(["list"]).stdout, list, "{armed}");
        two.ok(["lookup", "demo3"]);
        Team { nodes: vec![one, two] }.assert_equal();
    }
}

#[test]
fn what_can_not_become_a_shared_store_is_refused_with_the_way() {
    let (one, other) = (own_store(), own_store());
    one.ok(["share", &url(&one)]);
    let output = one.run(["share", &url(&one)]);
    assert!(output.code == 2 && output.stderr.contains("is a node of"), "{output}");
    let output = other.run(["share", &url(&one)]);
    assert!(output.code == 2 && output.stderr.contains("wcas init --share"), "{output}");
    // A server has the store open.
    let server = WcasServer::start(&other, &[]);
    let output = other.run(["share", &url(&other)]);
    assert!(output.code == 5 && output.stderr.contains("in use"), "{output}");
    server.stop();
    other.ok(["share", &url(&other)]);
    assert_eq!(other.run(["unshare", "x"]).code, 2);
    let own = own_store();
    let output = own.run(["unshare"]);
    assert!(output.code == 2 && output.stderr.contains("is no node"), "{output}");
}

#[test]
fn bytes_that_went_bad_are_told_and_not_shared() {
    let one = own_store();
    let victim = blobs(&one).remove(0);
    let bytes = fs::read(&victim).unwrap();
    fs::remove_file(&victim).unwrap();
    fs::write(&victim, vec![7; bytes.len()]).unwrap();
    let output = one.run(["--json", "share", &url(&one)]);
    assert_eq!(output.code, 3, "{output}");
    assert!(output.json()["problems"][0].as_str().unwrap().contains("bytes are wrong"), "{output}");
    assert_eq!(files_below(&share_folder(&one).join("blobs")).len(), 3);
}

#[test]
fn bytes_that_nobody_has_missed_yet_are_told_and_the_others_are_shared() {
    let one = own_store();
    let victim = blobs(&one).remove(0);
    fs::remove_file(&victim).unwrap();
    let output = one.run(["--json", "share", &url(&one)]);
    assert_eq!(output.code, 3, "{output}");
    let problems = output.json()["problems"].clone();
    let digest = victim.file_name().unwrap().to_str().unwrap();
    assert_eq!(problems, serde_json::json!([format!("{digest}: its bytes are lost; `wcas verify` tells more")]));
    assert_eq!(files_below(&share_folder(&one).join("blobs")).len(), 3);
}

#[test]
fn a_node_that_lost_its_wcas_json_is_no_store_of_its_own() {
    let team = Team::with(2, &wheels("demo", 1));
    let [one, two] = &team.nodes[..] else { panic!() };
    let path = two.store().join("wcas.json");
    let kept = fs::read(&path).unwrap();
    Wheel::new("more", "1.0").write_to(two.path("more"));
    for damaged in [None, Some("{")] {
        fs::remove_file(&path).unwrap();
        damaged.iter().for_each(|text| fs::write(&path, text).unwrap());
        // What was imported here would be seen by nobody else.
        for args in [&["import", "more"][..], &["rebuild"], &["rebuild", "--force"]] {
            let output = two.run(args);
            let is_told = output.stderr.contains("node of a shared one") || damaged.is_some() && args[0] == "import";
            assert!(output.code == 1 && is_told, "{args:?} {output}");
        }
        assert_eq!(fs::read(&path).ok().as_deref(), damaged.map(str::as_bytes), "it stays as it was");
        drop(fs::remove_file(&path));
        fs::write(&path, &kept).unwrap();
    }
    fs::remove_file(&path).unwrap();
    two.ok(["init", "--share", &team.url()]);
    two.ok(["import", "more"]);
    assert!(one.ok(["list"]).stdout.contains("more-1.0"));
    assert_eq!(
        one.json(["doctor"])["findings"].as_array().unwrap().iter().filter(|row| row["severity"] == "problem").count(),
        0
    );
    // One that left is its own, whatever became of that file.
    two.ok(["unshare"]);
    fs::remove_file(&path).unwrap();
    two.ok(["import", "more"]);
}

#[test]
fn a_node_becomes_a_store_of_its_own_with_all_bytes() {
    let team = Team::with(2, &wheels("demo", 5));
    let [one, two] = &team.nodes[..] else { panic!() };
    one.ok(["view", "--to", "tree"]);
    two.ok(["view", "--to", "tree", "--collection", "shared"]);
    team.import(0, &[Wheel::new("later", "1.0")]);
    let report = two.json(["unshare"]);
    assert_eq!(report["blobs"], 1, "{report}");
    assert_eq!(blobs(two).len(), 6);
    fs::rename(team.share(), one.path("away")).unwrap();
    let list = two.json(["list"]);
    assert_eq!(list["distributions"].as_array().unwrap().len(), 6);
    assert!(two.ok(["view", "--to", "tree"]).stdout.contains("6 files"));
    assert!(two.json(["doctor"])["share"].is_null());
    two.ok(["invalidate", "demo1", "--yes"]);
    two.ok(["gc", "--grace", "0"]);
    two.ok(["verify"]);
    two.ok(["log", "verify"]);
    fs::rename(one.path("away"), team.share()).unwrap();
    one.ok(["lookup", "demo1"]);
    assert_eq!(one.run(["doctor"]).code, 0);
}

#[test]
fn leaving_that_is_cut_off_anywhere_is_finished_by_the_next_run() {
    let make = || {
        let team = Team::with(2, &wheels("demo", 2));
        team.nodes[1].ok(["view", "--to", "tree"]);
        team.import(0, &wheels("later", 1));
        team
    };
    let count = super::faults::points(&make().nodes[1].run_with_env(&[("WCAS_FAULT", "trace")], ["unshare"]));
    assert!(count > 15, "{count}");
    for (fault, point) in
        (1..=count).map(|point| ("kill", point)).chain((2..=count).step_by(3).map(|point| ("eio", point)))
    {
        let team = make();
        let two = &team.nodes[1];
        let armed = format!("{fault}@{point}");
        let output = two.run_with_env(&[("WCAS_FAULT", &armed)], ["unshare"]);
        assert_eq!(two.json(["list"])["distributions"].as_array().unwrap().len(), 3, "{armed}: {output}");
        two.ok(["pin", "demo0", "--reason", "kept"]);
        let again = two.run(["unshare"]);
        // Cut off after its end it is a store of its own.
        assert!(again.code == 0 || again.stderr.contains("is no node"), "{armed}: {output}{again}");
        assert_eq!(blobs(two).len(), 3, "{armed}");
        fs::rename(team.share(), team.nodes[0].path("away")).unwrap();
        two.ok(["invalidate", "demo1", "--yes"]);
        two.ok(["gc", "--grace", "0"]);
        two.ok(["verify"]);
        two.ok(["log", "verify"]);
        two.ok(["lookup", "later0"]);
        two.ok(["doctor"]);
        fs::rename(team.nodes[0].path("away"), team.share()).unwrap();
        team.nodes[0].ok(["lookup", "demo1"]);
        assert_eq!(team.nodes[0].run(["doctor"]).code, 0, "{armed}");
    }
}

#[test]
fn a_new_node_begins_from_the_newest_snapshot() {
    let team = Team::with(1, &wheels("demo", 3));
    let one = &team.nodes[0];
    {
        let store = wcas::Store::open(&one.store()).unwrap();
        for number in 0..520 {
            let transaction = store.manifest.write().unwrap();
            transaction.set_meta("number", &number.to_string()).unwrap();
            transaction.commit().unwrap();
        }
    }
    assert!(files_below(&team.share().join("snapshots")).is_empty());
    one.ok(["gc"]);
    one.ok(["gc"]);
    assert_eq!(files_below(&team.share().join("snapshots")).len(), 1, "there is one, and it is new enough");
    one.ok(["collection", "create", "after"]);
    // Records before it are not wanted.
    for record in files_below(&team.share().join("log")).iter().take(500) {
        fs::remove_file(record).unwrap();
    }
    let two = Env::new();
    two.ok(["init", "--share", &team.url()]);
    two.ok(["lookup", "demo2"]);
    assert!(two.ok(["collection", "list"]).stdout.contains("after"));
    // One that is damaged is none.
    let snapshot = files_below(&team.share().join("snapshots")).remove(0);
    let bytes = fs::read(&snapshot).unwrap();
    fs::remove_file(&snapshot).unwrap();
    fs::write(&snapshot, &bytes[..bytes.len() / 2]).unwrap();
    let three = Env::new();
    let output = three.run(["init", "--share", &team.url()]);
    assert!(output.code == 1 && output.stderr.contains("wrong bytes"), "{output}");
    fs::remove_file(&snapshot).unwrap();
    fs::write(&snapshot, &bytes).unwrap();
    three.ok(["init", "--share", &team.url()]);
    let Team { nodes } = team;
    Team { nodes: nodes.into_iter().chain([two, three]).collect() }.assert_equal();
}

#[test]
fn a_snapshot_that_packs_too_well_is_refused_before_it_fills_the_disk() {
    let team = Team::with(1, &wheels("demo", 1));
    let put = |number: u32, packed: &[u8]| {
        let digest = wcas::digest::Digests::of(packed).blake3;
        let snapshots = team.share().join("snapshots");
        fs::create_dir_all(&snapshots).unwrap();
        // As whoever writes to the place can: its name says that the bytes are right.
        fs::write(snapshots.join(format!("{number:020}.0000000000000000.{digest}")), packed).unwrap();
    };
    let mut bomb = zstd::Encoder::new(Vec::new(), 1).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 400 << 20), &mut bomb).unwrap();
    put(900, &bomb.finish().unwrap());
    let node = Env::new();
    let output = node.run(["init", "--share", &team.url()]);
    assert!(output.code == 1 && output.stderr.contains("(budget snapshot-bytes)"), "{output}");
    assert!(output.stderr.contains("snapshots/00000000000000000900."), "{output}");
    let left = || if node.store().exists() { files_below(&node.store()) } else { Vec::new() };
    assert!(left().iter().all(|path| fs::metadata(path).unwrap().len() < 10 << 20), "{:?}", left());
}

#[test]
fn a_node_lets_go_of_what_it_does_not_use_and_never_of_what_it_needs() {
    let team = Team::with(2, &wheels("demo", 6));
    let [one, two] = &team.nodes[..] else { panic!() };
    // What came within a day stays, whatever is wished.
    assert_eq!(one.json(["gc", "--cache-size", "0"])["evicted"], 0);
    two.ok(["collection", "create", "kept"]);
    two.ok(["collection", "promote", "shared", "kept", "demo0"]);
    one.ok(["view", "--to", "tree", "--collection", "kept"]);
    let days_ago = |days: i64, which: &str| {
        let manifest = rusqlite::Connection::open(one.store().join("manifest.sqlite")).unwrap();
        let at = format!("unixepoch() - {days} * 86400");
        let sql = format!(
            "UPDATE blob SET created_at = {at}, used_at = {at} WHERE id IN (SELECT blob_id FROM distribution WHERE project GLOB '{which}')"
        );
        manifest.execute_batch(&sql).unwrap();
    };
    days_ago(9, "demo*");
    days_ago(2, "demo1");
    days_ago(0, "demo2");
    let size = fs::metadata(&blobs(one)[0]).unwrap().len();
    // What the share has lost stays, and is told.
    let objects = files_below(&team.share().join("blobs"));
    let away: Vec<_> = objects.iter().map(|object| (object, fs::read(object).unwrap())).collect();
    for (number, (object, bytes)) in away.iter().enumerate() {
        fs::remove_file(object).unwrap();
        if number % 2 == 0 {
            fs::write(object, &bytes[1..]).unwrap();
        }
    }
    let output = one.run(["--json", "gc", "--cache-size", "0"]);
    let report = output.json();
    assert_eq!((report["evicted"].as_u64(), report["problems"].as_array().unwrap().len()), (Some(0), 4), "{output}");
    for (object, bytes) in away {
        let _ = fs::remove_file(object);
        fs::write(object, bytes).unwrap();
    }
    let report = one.json(["gc", "--cache-size", &(size * 4).to_string()]);
    assert_eq!((report["evicted"].as_u64(), blobs(one).len()), (Some(2), 4), "{report}");
    assert!(one.ok(["view", "--to", "tree", "--collection", "kept"]).stdout.contains(" 0 made anew"));
    let report = one.json(["gc", "--cache-size", "0"]);
    assert_eq!(
        (report["evicted"].as_u64(), blobs(one).len()),
        (Some(2), 2),
        "what a tree shows and what is fresh stay: {report}"
    );
    assert_eq!(one.json(["list"])["distributions"].as_array().unwrap().len(), 7);
    assert_eq!(one.run(["doctor"]).code, 0);
    one.ok(["verify"]);
    // All of it can be had, as before.
    (0..6).for_each(|number| drop(one.ok(["lookup", &format!("demo{number}")])));
    assert_eq!(blobs(one).len(), 6);
    // On a store of one machine nothing goes.
    let own = own_store();
    assert_eq!(own.json(["gc", "--cache-size", "0"])["evicted"], 0);
    assert_eq!(blobs(&own).len(), 4);
}

#[test]
fn an_eviction_that_is_killed_anywhere_leaves_what_can_be_had() {
    let make = || {
        let team = Team::with(1, &wheels("demo", 2));
        let manifest = rusqlite::Connection::open(team.nodes[0].store().join("manifest.sqlite")).unwrap();
        manifest.execute_batch("UPDATE blob SET created_at = 1").unwrap();
        team
    };
    let traced = make();
    let args = ["gc", "--cache-size", "0"];
    let count = super::faults::points(&traced.nodes[0].run_with_env(&[("WCAS_FAULT", "trace")], args));
    for point in 1..=count {
        let team = make();
        let armed = format!("kill@{point}");
        team.nodes[0].run_with_env(&[("WCAS_FAULT", &armed)], args);
        for number in 0..2 {
            team.nodes[0].ok(["lookup", &format!("demo{number}")]);
        }
        team.nodes[0].ok(["gc"]);
        team.assert_equal();
    }
}

#[test]
fn what_is_going_to_be_wanted_is_fetched_before() {
    let team = Team::with(2, &wheels("demo", 70));
    let [one, two] = &team.nodes[..] else { panic!() };
    let report = two.json(["prefetch", "demo1", "demo2"]);
    assert_eq!((report["files"].as_u64(), report["fetched"].as_u64()), (Some(2), Some(2)), "{report}");
    assert_eq!(blobs(two).len(), 2);
    // What a file of requirements names, of the builds that are left by what it is for.
    fs::write(two.path("r.txt"), "demo3>=1.0\ndemo4==1.0 ; sys_platform == 'win32'\n").unwrap();
    let target = ["--python", "3.12", "--platform", "linux_x86_64"];
    let report = two.json([&["prefetch", "-r", "r.txt"], &target[..]].concat());
    assert_eq!((report["files"].as_u64(), report["fetched"].as_u64()), (Some(1), Some(1)), "{report}");
    fs::write(
        two.path("r.txt"),
        "demo3==1.0 --hash=sha256:0000000000000000000000000000000000000000000000000000000000000000\nabsent\n",
    )
    .unwrap();
    let output = two.run(["prefetch", "-r", "r.txt"]);
    assert!(output.code == 3 && output.stderr.contains("no match for absent (r.txt:2)"), "{output}");
    assert!(output.stderr.contains("no match for demo3==1.0"), "{output}");
    fs::write(two.path("r.txt"), "# nothing\n").unwrap();
    assert_eq!(two.run(["prefetch", "-r", "r.txt"]).code, 2);
    let gone = files_below(&team.share().join("blobs")).into_iter().find(|object| {
        let digest = object.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned();
        !blobs(two).iter().any(|blob| blob.ends_with(&digest))
    });
    let gone = gone.unwrap();
    let bytes = fs::read(&gone).unwrap();
    fs::remove_file(&gone).unwrap();
    let output = two.run(["--json", "prefetch", "--collection", "shared"]);
    assert_eq!(output.code, 3, "{output}");
    let report = output.json();
    assert_eq!((report["fetched"].as_u64(), report["problems"].as_array().unwrap().len()), (Some(66), 1), "{report}");
    fs::write(&gone, &bytes[1..]).unwrap();
    assert!(two.run(["prefetch"]).stderr.contains("has wrong bytes"));
    fs::remove_file(&gone).unwrap();
    fs::write(&gone, bytes).unwrap();
    assert_eq!(two.json(["prefetch"])["fetched"], 1);
    assert_eq!(two.json(["prefetch"])["fetched"], 0);
    assert_eq!(blobs(two).len(), 70);
    two.ok(["verify"]);
    team.assert_equal();
    assert_eq!(one.run(["prefetch", "absent"]).code, 4);
    assert_eq!(own_store().run(["prefetch"]).code, 2);
}
