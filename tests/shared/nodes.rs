//! Every command on every node.

use super::support::{Env, Wheel, skip};
use super::{Team, blobs, files_below, wheels};
use std::fs;

#[test]
fn what_one_node_imports_another_finds_and_fetches_when_it_is_wanted() {
    let wheel = Wheel::new("demo", "1.0");
    let team = Team::with(2, &[wheel, Wheel::new("other", "2.0")]);
    let [one, two] = &team.nodes[..] else { panic!() };
    assert_eq!(team.objects().len(), 2);
    let listed = two.json(["list"]);
    assert_eq!(listed["distributions"].as_array().unwrap().len(), 2, "{listed}");
    assert_eq!(blobs(two).len(), 0, "nothing is fetched before it is wanted");
    let found = two.json(["lookup", "demo"]);
    let path = found["path"].as_str().unwrap();
    assert!(path.starts_with(two.store().to_str().unwrap()), "{found}");
    assert_eq!(fs::read(path).unwrap(), fs::read(one.path("dist/demo-1.0-py3-none-any.whl")).unwrap());
    assert_eq!(blobs(two).len(), 1);
    two.ok(["verify"]);
    // What the share has is no news, wherever it comes from.
    fs::create_dir(two.path("dist")).unwrap();
    fs::copy(one.path("dist/other-2.0-py3-none-any.whl"), two.path("dist/other-2.0-py3-none-any.whl")).unwrap();
    let again = two.json(["import", "dist"]);
    assert_eq!(again["distributions"][0]["outcome"], "unchanged", "{again}");
    assert_eq!((blobs(two).len(), team.objects().len()), (2, 2));
    team.assert_equal();
}

#[test]
fn settings_history_and_log_are_the_same_everywhere() {
    let team = Team::with(3, &wheels("demo", 3));
    let [one, two, three] = &team.nodes[..] else { panic!() };
    two.ok(["collection", "create", "cuda"]);
    three.ok(["collection", "promote", "shared", "cuda", "demo1"]);
    one.ok(["invalidate", "demo0", "--yes"]);
    two.ok(["undo"]);
    three.ok(["pin", "demo2", "--reason", "kept"]);
    one.ok(["yank", "demo1", "--reason", "broken", "--everywhere"]);
    two.ok(["remote", "add", "up", "https://index.example/simple/", "--collection", "cuda"]);
    three.ok(["token", "create", "--all", "--scope", "read"]);
    two.ok(["collection", "rollback", "cuda", "1"]);
    one.ok(["block", "demo9", "--reason", "never"]);
    team.assert_equal();
    let logs: Vec<String> = team.nodes.iter().map(|node| node.ok(["log"]).stdout).collect();
    assert!(logs.iter().all(|log| *log == logs[0]));
    team.nodes.iter().for_each(|node| drop(node.ok(["log", "verify"])));
    let names = team.nodes.iter().map(|node| node.ok(["collection", "list"]).stdout).collect::<Vec<_>>();
    assert!(names.iter().all(|list| *list == names[0]), "{names:?}");
}

#[test]
fn trees_are_a_nodes_own_and_keep_what_they_show_on_all() {
    let team = Team::with(2, &wheels("demo", 3));
    let [one, two] = &team.nodes[..] else { panic!() };
    // Both call it the same: another machine's folder has nothing to do with it.
    let tree = one.path("tree");
    let tree = tree.to_str().unwrap();
    one.ok(["view", "--to", tree]);
    assert!(!two.ok(["doctor"]).stdout.contains("tree"), "it is no tree of this machine");
    let other = two.path("tree");
    two.ok(["view", "--to", other.to_str().unwrap()]);
    assert_eq!(blobs(two).len(), 3, "what a tree links is here");
    let why = two.ok(["why", "demo1"]).stdout;
    assert!(why.contains(&format!("{} ", other.display())) || why.contains(&format!("{}\n", other.display())), "{why}");
    assert!(why.contains(&format!("{tree} of node 1")), "{why}");
    let page = fs::read_to_string(other.join("simple/demo1/index.html")).unwrap();
    assert!(page.contains("demo1-1.0"), "{page}");
    one.ok(["invalidate", "demo1", "--yes"]);
    one.ok(["gc", "--grace", "0"]);
    // The other's tree shows it still.
    two.ok(["gc", "--grace", "0"]);
    assert!(fs::read(other.join("simple/demo1/demo1-1.0-py3-none-any.whl")).is_ok());
    team.assert_equal();
    for node in &team.nodes {
        let view = node.path("tree");
        node.ok(["view", "--to", view.to_str().unwrap()]);
    }
    team.nodes.iter().for_each(|node| drop(node.ok(["gc", "--grace", "0"])));
    assert_eq!(team.objects().len(), 2);
    team.assert_equal();
}

#[test]
fn what_is_deleted_goes_from_all_nodes_and_from_the_share() {
    let team = Team::with(2, &wheels("demo", 2));
    let [one, two] = &team.nodes[..] else { panic!() };
    two.ok(["lookup", "demo0"]);
    two.ok(["invalidate", "demo0", "--yes"]);
    let report = two.json(["gc", "--grace", "0"]);
    assert_eq!((report["blobs"].as_u64(), report["swept"].as_u64()), (Some(1), Some(1)), "{report}");
    assert_eq!(team.objects().len(), 1);
    assert_eq!((blobs(one).len(), blobs(two).len()), (2, 0));
    // The other's file is one that nobody wants any more.
    assert_eq!(one.run(["lookup", "demo0"]).code, 4);
    one.ok(["gc", "--grace", "0"]);
    assert_eq!(blobs(one).len(), 1);
    team.assert_equal();
    // The same bytes may come again: under another generation.
    team.import(1, &wheels("demo", 1));
    one.ok(["lookup", "demo0"]);
    team.assert_equal();
}

#[test]
fn an_object_without_a_grace_stays_for_those_who_are_behind() {
    let team = Team::with(1, &wheels("demo", 1));
    let one = &team.nodes[0];
    one.ok(["invalidate", "demo0", "--yes"]);
    // No rule is this old, and no object of the share goes before a week is over.
    let report = one.json(["gc", "--grace", "1s"]);
    assert_eq!(report["swept"], 0, "{report}");
    assert_eq!(team.objects().len(), 1);
}

#[test]
fn objects_that_nobody_committed_go_and_never_those_of_blobs() {
    let team = Team::with(2, &wheels("demo", 2));
    let known = team.objects();
    let orphan = known[0].with_extension("00000000001aaaaaaaaaaaaaaaa");
    fs::write(&orphan, "left by a killed import").unwrap();
    fs::write(team.share().join("blobs/stray"), "no folder").unwrap();
    fs::write(known[0].with_file_name("no digest.1"), "stray").unwrap();
    let report = team.nodes[1].json(["gc", "--grace", "0"]);
    assert_eq!(report["swept"], 1, "{report}");
    assert!(!orphan.exists() && known.iter().all(|object| object.exists()));
    team.nodes[1].ok(["lookup", "demo0"]);
    team.assert_equal();
}

#[test]
fn wrong_bytes_in_the_share_are_told_and_never_handed_out() {
    let team = Team::with(2, &wheels("demo", 2));
    let two = &team.nodes[1];
    for object in team.objects() {
        let mut bytes = fs::read(&object).unwrap();
        bytes[100] ^= 1;
        fs::remove_file(&object).unwrap();
        fs::write(&object, bytes).unwrap();
    }
    let output = two.run(["lookup", "demo0"]);
    assert!(output.code == 1 && output.stdout.is_empty() && output.stderr.contains("has wrong bytes"), "{output}");
    assert!(blobs(two).is_empty());
    // One that never ends is written no further than its row says.
    let object = &team.objects()[0];
    fs::remove_file(object).unwrap();
    fs::File::create(object).unwrap().set_len(1 << 40).unwrap();
    let outputs = [two.run(["lookup", "demo0"]), two.run(["lookup", "demo1"])];
    assert!(outputs.iter().all(|output| output.code == 1 && output.stderr.contains("has wrong bytes")), "{outputs:?}");
    // Gone is not wrong: that file can't be had, and the command says so.
    team.objects().iter().for_each(|object| fs::remove_file(object).unwrap());
    let output = two.run(["lookup", "demo0"]);
    assert!(output.code == 4 && output.stdout.is_empty(), "{output}");
    // Who has the bytes still hands them out.
    team.nodes[0].ok(["lookup", "demo0"]);
}

#[test]
fn a_share_out_of_reach_stops_writes_at_once_and_no_read() {
    let team = Team::with(2, &wheels("demo", 2));
    let [one, two] = &team.nodes[..] else { panic!() };
    two.ok(["lookup", "demo0"]);
    fs::rename(team.share(), one.path("away")).unwrap();
    let output = two.run(["lookup", "demo0"]);
    assert!(output.code == 0 && output.stderr.contains("may be old"), "{output}");
    assert_eq!(two.run(["list"]).code, 0);
    // What isn't here can't be had.
    let output = two.run(["lookup", "demo1"]);
    assert!(output.code == 1 && output.stderr.contains("no share"), "{output}");
    for command in [&["collection", "create", "cuda"][..], &["invalidate", "demo0", "--yes"]] {
        let output = two.run(command);
        assert!(output.code == 1 && output.stderr.contains("nothing was changed"), "{output}");
    }
    fs::create_dir(two.path("dist")).unwrap();
    wheels("new", 1)[0].write_to(two.path("dist"));
    let output = two.run(["import", "dist"]);
    assert!(output.code == 1 && output.stderr.contains("share"), "{output}");
    // An empty folder where it was mounted is no share, and becomes none.
    fs::create_dir(team.share()).unwrap();
    let output = two.run(["import", "dist"]);
    assert_eq!(output.code, 1, "{output}");
    assert_eq!(fs::read_dir(team.share()).unwrap().count(), 0);
    fs::remove_dir(team.share()).unwrap();
    fs::rename(one.path("away"), team.share()).unwrap();
    let report = two.json(["import", "dist"]);
    assert_eq!(report["distributions"][0]["outcome"], "new", "{report}");
    team.assert_equal();
}

#[test]
fn a_node_made_while_its_share_is_away_is_told_and_joins_later() {
    let team = Team::with(1, &wheels("demo", 1));
    let late = Env::new();
    late.ok(["init", "--share", &team.url()]);
    let output = late.run(["init", "--share", &team.url()]);
    assert!(output.code == 2 && output.stderr.contains("there is a store"), "{output}");
    assert_eq!(late.json(["list"])["distributions"].as_array().unwrap().len(), 1);
}

#[test]
fn places_that_can_be_no_share_are_refused_with_the_reason() {
    let env = Env::new();
    for (url, why) in [
        ("share", "file:///"),
        ("file://share", "absolute path"),
        ("file:///tmp/../etc", "absolute path"),
        ("ftp://host/share", "file:///"),
        ("", "file:///"),
    ] {
        let output = env.run(["init", "--share", url]);
        assert!(output.code == 2 && output.stderr.contains(why), "{url:?}: {output}");
    }
    fs::create_dir(env.path("other")).unwrap();
    fs::write(env.path("other/file"), "somebody's").unwrap();
    let url = format!("file://{}", env.path("other").display());
    let output = env.run(["init", "--share", &url]);
    assert!(output.code == 1 && output.stderr.contains("not empty and not a share"), "{output}");
    fs::write(env.path("other/wcas.json"), "{").unwrap();
    let output = env.run(["init", "--share", &url]);
    assert!(output.code == 1 && output.stderr.contains("can't be understood"), "{output}");
    fs::write(env.path("other/wcas.json"), r#"{"share":"x","incompat":["log-v9"]}"#).unwrap();
    let output = env.run(["init", "--share", &url]);
    assert!(output.code == 1 && output.stderr.contains("use a newer wcas"), "{output}");
    assert!(!env.store().exists(), "nothing is made where nothing can be");
}

#[test]
fn another_share_in_its_place_is_never_followed() {
    let (team, other) = (Team::with(1, &wheels("demo", 1)), Team::with(1, &wheels("other", 5)));
    fs::rename(team.share(), team.nodes[0].path("away")).unwrap();
    fs::rename(other.share(), team.share()).unwrap();
    let output = team.nodes[0].run(["collection", "create", "cuda"]);
    assert!(output.code == 1 && output.stderr.contains("is the share"), "{output}");
    assert_eq!(team.nodes[0].json(["list"])["distributions"].as_array().unwrap().len(), 1);
    other.nodes[0].leaves("its share was taken away");
}

#[test]
fn a_log_that_was_put_back_is_told_and_stops_writes() {
    let team = Team::with(2, &wheels("demo", 1));
    let log = team.share().join("log");
    let last = super::files_below(&log).pop().unwrap();
    let record = fs::read_to_string(&last).unwrap();
    fs::remove_file(&last).unwrap();
    let output = team.nodes[0].run(["collection", "create", "cuda"]);
    assert!(output.code == 1 && output.stderr.contains("not the one that follows"), "{output}");
    // The other, which was behind, goes on: of two pasts the log has one.
    team.nodes[1].ok(["collection", "create", "cuda"]);
    assert_eq!(team.nodes[0].run(["collection", "create", "cuda"]).code, 1);
    fs::write(&last, record.replacen("\"schema\":", "\"schema\":9", 1)).unwrap();
    let output = team.nodes[1].run(["list"]);
    assert!(output.code == 0, "{output}");
}

#[test]
fn a_nodes_manifest_is_not_made_of_the_blobs_that_it_has() {
    let team = Team::with(1, &wheels("demo", 1));
    let output = team.nodes[0].run(["rebuild"]);
    assert!(output.code == 1 && output.stderr.contains("is a node of"), "{output}");
}

#[test]
fn init_without_a_share_makes_a_store_of_its_own() {
    let env = Env::new();
    let made = env.json(["init"]);
    assert_eq!((&made["share"], &made["node"]), (&serde_json::Value::Null, &serde_json::Value::Null), "{made}");
    assert_eq!(env.run(["init"]).code, 2);
    assert!(env.ok(["list"]).stdout.is_empty());
}

#[test]
fn a_node_whose_clock_is_ahead_takes_nothing_from_the_others() {
    let team = Team::with(2, &wheels("demo", 2));
    let [one, two] = &team.nodes[..] else { panic!() };
    let library = one.path("clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture/clock/clock.c");
    let compiled =
        std::process::Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).output();
    if !compiled.is_ok_and(|output| output.status.success()) {
        return skip("no C compiler makes a library here, so no clock was wrong");
    }
    one.ok(["invalidate", "demo0", "--yes"]);
    let ahead = [("LD_PRELOAD", library.to_str().unwrap()), ("WCAS_TEST_CLOCK", "+31536000")];
    let output = two.run_with_env(&ahead, ["gc"]);
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(team.objects().len(), 2);
    one.ok(["undo"]);
    one.ok(["lookup", "demo0"]);
    two.ok(["lookup", "demo0"]);
    team.assert_equal();
}

#[test]
fn who_is_behind_finds_bytes_that_went_and_came_again() {
    let team = Team::with(2, &wheels("demo", 1));
    let [one, two] = &team.nodes[..] else { panic!() };
    let behind = wcas::Store::open(&two.store()).unwrap();
    let blake3 = one.json(["list"])["distributions"][0]["blake3"].as_str().unwrap().parse().unwrap();
    one.ok(["invalidate", "demo0", "--yes"]);
    one.ok(["gc", "--grace", "0"]);
    assert!(team.objects().is_empty());
    team.import(0, &wheels("demo", 1));
    assert!(wcas::keep::health::open_blob(&behind, &blake3).unwrap().is_some());
    one.ok(["invalidate", "demo0", "--yes"]);
    one.ok(["gc", "--grace", "0"]);
    let gone = wcas::Store::open(&two.store()).unwrap();
    assert!(wcas::keep::health::open_blob(&gone, &blake3).unwrap().is_none());
    drop((behind, gone));
    two.ok(["gc", "--grace", "0"]);
    team.assert_equal();
}

#[test]
fn large_records_make_a_snapshot_due_as_many_do() {
    let text = "Nothing to see here. ".repeat(230_000);
    let large = |number| Wheel::new(&format!("large{number}"), "1.0").header("Description", &text);
    let team = Team::with(1, &(0..4).map(large).collect::<Vec<_>>());
    let snapshots = || files_below(&team.share().join("snapshots"));
    assert!(snapshots().is_empty());
    team.nodes[0].ok(["gc"]);
    let first = snapshots();
    assert_eq!(first.len(), 1, "{first:?}");
    // Not again while little is new.
    team.import(0, &wheels("demo", 1));
    team.nodes[0].ok(["gc"]);
    assert_eq!(snapshots(), first);
    let three = Env::new();
    three.json(["init", "--share", &team.url()]);
    assert!(three.ok(["list"]).stdout.contains("demo0"));
}
