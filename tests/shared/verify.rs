//! `verify --bucket`: what the share has, compared, read and put again.

use super::bucket;
use super::support::{Env, Weed, Wheel, until, weed};
use super::{Team, blobs, wheels};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// A team, and where the objects of its share can be changed by others than wcas.
struct Place {
    team: Team,
    weed: Option<(&'static Weed, String)>,
}

impl Place {
    /// Returns teams with a folder for a share, and with a bucket where there is one.
    fn all(count: usize) -> Vec<Self> {
        let in_bucket = weed().map(|weed| {
            let team = bucket::team(count, &weed.address);
            let url = team.nodes[0].json(["doctor"])["share"]["url"].as_str().unwrap().to_owned();
            Self { team, weed: Some((weed, url.strip_prefix("s3:/").unwrap().to_owned())) }
        });
        [Self { team: Team::new(count), weed: None }].into_iter().chain(in_bucket).collect()
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        match &self.weed {
            None => {
                let path = self.team.share().join(key);
                let _ = fs::remove_file(&path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
            Some((weed, prefix)) => {
                let file = self.team.nodes[0].path("object");
                fs::write(&file, bytes).unwrap();
                assert_eq!(weed.ask("PUT", &format!("{prefix}/{key}"), &format!("@{}", file.display())), Some(200));
            }
        }
    }

    fn remove(&self, key: &str) {
        match &self.weed {
            None => fs::remove_file(self.team.share().join(key)).unwrap(),
            Some((weed, prefix)) => assert_eq!(weed.ask("DELETE", &format!("{prefix}/{key}"), ""), Some(204)),
        }
    }
}

/// Returns the keys of blobs' objects, in the order of the digests.
fn keys(node: &Env) -> Vec<String> {
    let manifest = rusqlite::Connection::open(node.store().join("manifest.sqlite")).unwrap();
    let sql = "SELECT lower(hex(blake3)) || '.' || generation FROM blob ORDER BY blake3";
    let mut statement = manifest.prepare(sql).unwrap();
    let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    names.map(|name| name.map(|name| format!("blobs/{}/{name}", &name[..2])).unwrap()).collect()
}

/// Returns the file of a key's blob in a node's folder.
fn file(node: &Env, key: &str) -> PathBuf {
    let digest = key.rsplit('/').next().unwrap().split('.').next().unwrap().to_owned();
    blobs(node).into_iter().find(|path| path.ends_with(&digest)).unwrap()
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

#[track_caller]
fn verify(node: &Env, args: &[&str], code: i32) -> Value {
    let output = node.run([&["--json", "verify", "--bucket"], args].concat());
    assert_eq!(output.code, code, "{output}");
    output.json()
}

fn kinds(report: &Value) -> Vec<(&str, bool)> {
    let problems = report["problems"].as_array().unwrap().iter();
    problems.map(|problem| (problem["kind"].as_str().unwrap(), problem["repaired"].as_bool().unwrap())).collect()
}

#[test]
fn objects_that_are_gone_cut_or_wrong_are_told_and_put_again() {
    for place in Place::all(2) {
        let team = &place.team;
        let [one, two] = &team.nodes[..] else { panic!() };
        team.import(0, &wheels("demo", 5));
        let keys = keys(one);
        let bytes: Vec<Vec<u8>> = keys.iter().map(|key| fs::read(file(one, key)).unwrap()).collect();
        let total: usize = bytes.iter().map(Vec::len).sum();
        let report = verify(one, &[], 0);
        assert_eq!(
            (report["objects"].as_u64(), report["checked"].as_u64(), report["orphans"].as_u64()),
            (Some(5), Some(5), Some(0)),
            "{report}"
        );
        assert_eq!((report["bytes"].as_u64(), report["left"].as_u64()), (Some(total as u64), Some(0)), "{report}");
        place.remove(&keys[0]);
        place.put(&keys[1], &bytes[1][..bytes[1].len() - 1]);
        place.put(&keys[2], &flipped(&bytes[2]));
        place.put(&format!("blobs/ab/ab{}.000000000010123456789abcdef", "0".repeat(62)), b"stray");
        let report = verify(one, &[], 3);
        assert_eq!(kinds(&report), [("corrupt", false), ("corrupt", false), ("missing", false)], "{report}");
        assert_eq!(
            (report["objects"].as_u64(), report["checked"].as_u64(), report["orphans"].as_u64()),
            (Some(5), Some(3), Some(1)),
            "{report}"
        );
        let missing = &report["problems"][2];
        assert_eq!(
            (missing["object"].as_str(), missing["collections"][0].as_str()),
            (Some(&*keys[0]), Some("shared")),
            "{report}"
        );
        assert!(missing["filenames"][0].as_str().unwrap().starts_with("demo"), "{report}");
        // What needs no reading doctor tells, too.
        let doctor = two.run(["--json", "doctor"]);
        assert_eq!((doctor.code, doctor.json()["share"]["missing"].as_u64()), (3, Some(2)), "{doctor}");
        assert!(doctor.stdout.contains("2 blobs that the share hasn't got whole"), "{doctor}");
        // Who hasn't got it can't put it.
        let report = verify(two, &["--repair"], 3);
        assert_eq!(kinds(&report), [("corrupt", false), ("corrupt", false), ("missing", false)], "{report}");
        assert!(report["problems"][2]["detail"].as_str().unwrap().contains("this node hasn't got it"), "{report}");
        let report = verify(one, &["--repair"], 0);
        assert_eq!(kinds(&report), [("corrupt", true), ("corrupt", true), ("missing", true)], "{report}");
        let report = verify(two, &[], 0);
        assert_eq!(
            (report["objects"].as_u64(), report["checked"].as_u64(), report["orphans"].as_u64()),
            (Some(8), Some(5), Some(3)),
            "{report}"
        );
        (0..5).for_each(|number| drop(two.ok(["lookup", &format!("demo{number}")])));
        // The old ones, of which one was gone, and the stray one.
        assert_eq!(two.json(["gc", "--grace", "0"])["swept"], 4);
        let report = verify(one, &[], 0);
        assert_eq!((report["objects"].as_u64(), report["orphans"].as_u64()), (Some(5), Some(0)), "{report}");
        team.assert_equal();
        assert_eq!(blobs(two).len(), 5);
    }
}

#[test]
fn what_is_nowhere_right_is_told_until_it_comes_again() {
    let team = Team::with(1, &wheels("demo", 2));
    let one = &team.nodes[0];
    let key = &keys(one)[0];
    let path = file(one, key);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, flipped(&bytes)).unwrap();
    fs::remove_file(team.share().join(key)).unwrap();
    let report = verify(one, &["--repair"], 3);
    assert_eq!(kinds(&report), [("missing", false)], "{report}");
    assert!(report["problems"][0]["detail"].as_str().unwrap().contains("wrong, too"), "{report}");
    assert_eq!(one.run(["verify", "--repair"]).code, 3);
    let output = one.run(["verify", "--bucket", "--repair"]);
    assert!(output.code == 3 && output.stdout.contains("this node hasn't got it"), "{output}");
    one.ok(["import", "dist"]);
    let output = one.ok(["verify", "--bucket", "--repair"]);
    assert!(output.stdout.contains("missing (repaired): blobs/"), "{output}");
    one.ok(["verify"]);
    team.assert_equal();
}

#[test]
fn what_the_time_does_not_reach_is_read_by_the_next_run() {
    let large = |number: u64| Wheel::new(&format!("demo{number}"), "1.0").payload(20_000, number);
    let team = Team::with(1, &(0..70).map(large).collect::<Vec<_>>());
    let one = &team.nodes[0];
    let report = verify(one, &["--max-duration", "0"], 0);
    assert_eq!((report["checked"].as_u64(), report["left"].as_u64()), (Some(0), Some(70)), "{report}");
    let part = ["--max-duration", "1s", "--rate", "100k"];
    let report = verify(one, &part, 0);
    let (read, left) = (report["checked"].as_u64().unwrap(), report["left"].as_u64().unwrap());
    assert!(read > 0 && read < 35 && read + left == 70, "{report}");
    let keys = keys(one);
    for key in [&keys[0], &keys[usize::try_from(read).unwrap()]] {
        let path = team.share().join(key);
        let bytes = flipped(&fs::read(&path).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let report = verify(one, &part, 3);
    assert_eq!(report["problems"][0]["object"].as_str(), Some(&*keys[usize::try_from(read).unwrap()]), "{report}");
    assert_eq!(kinds(&report).len(), 1, "{report}");
    let report = verify(one, &["--repair"], 0);
    assert_eq!((kinds(&report).len(), report["checked"].as_u64()), (2, Some(70)), "{report}");
    team.assert_equal();
}

#[test]
fn nodes_that_put_the_same_again_at_once_leave_one_object() {
    for place in Place::all(3) {
        let team = &place.team;
        team.import(0, &wheels("demo", 3));
        team.nodes.iter().for_each(|node| drop(node.ok(["prefetch"])));
        keys(&team.nodes[0]).iter().for_each(|key| place.remove(key));
        std::thread::scope(|scope| {
            for node in &team.nodes {
                scope.spawn(|| verify(node, &["--repair"], 0));
            }
        });
        // A bucket's clock is told in whole seconds: what came in this one isn't before the fence yet.
        until("all others are gone", || {
            team.nodes[1].ok(["gc", "--grace", "0"]);
            let report = verify(&team.nodes[2], &[], 0);
            assert!(report["objects"].as_u64() >= Some(3), "{report}");
            report["orphans"].as_u64() == Some(0)
        });
        team.assert_equal();
    }
}

#[test]
fn a_repair_that_is_killed_anywhere_is_finished_by_the_next_run() {
    let make = || {
        let team = Team::with(2, &wheels("demo", 2));
        let [gone, wrong] = &keys(&team.nodes[0])[..] else { panic!() };
        fs::remove_file(team.share().join(gone)).unwrap();
        let path = team.share().join(wrong);
        let bytes = flipped(&fs::read(&path).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(path, bytes).unwrap();
        team
    };
    let args = ["verify", "--bucket", "--repair"];
    let count = super::faults::points(&make().nodes[0].run_with_env(&[("WCAS_FAULT", "trace")], args));
    assert!(count > 5);
    for point in 1..=count {
        let team = make();
        let armed = format!("kill@{point}");
        team.nodes[0].run_with_env(&[("WCAS_FAULT", &armed)], args);
        verify(&team.nodes[0], &["--repair"], 0);
        (0..2).for_each(|number| drop(team.nodes[1].ok(["lookup", &format!("demo{number}")])));
        team.nodes[0].ok(["gc", "--grace", "0"]);
        assert_eq!(team.objects().len(), 2, "{armed}");
        team.assert_equal();
    }
}

#[test]
fn a_store_of_its_own_has_no_bucket() {
    let env = Env::new();
    env.ok(["init"]);
    let output = env.run(["verify", "--bucket"]);
    assert!(output.code == 2 && output.stderr.contains("no node of a shared store"), "{output}");
    assert_eq!(env.run(["verify", "--bucket", "--quick"]).code, 2);
}

#[test]
fn a_file_that_a_dead_import_left_staged_of_another_nodes_blob_is_not_missing() {
    let team = Team::new(2);
    let (one, two) = (&team.nodes[0], &team.nodes[1]);
    wheels("w", 1)[0].write_to(one.path("in"));
    one.ok(["import", "in"]);
    two.ok(["list"]);
    let manifest = rusqlite::Connection::open(two.store().join("manifest.sqlite")).unwrap();
    let sql = "INSERT INTO file(id, blake3, size, state) SELECT id, blake3, size, 'staged' FROM blob";
    assert_eq!(manifest.execute(sql, []).unwrap(), 1);
    drop(manifest);
    assert_eq!(two.json(["verify"])["problems"], serde_json::json!([]));
    let path = two.ok(["lookup", "w0"]).stdout;
    assert!(fs::read(path.trim_end()).is_ok(), "it is fetched when it is asked for: {path}");
    assert_eq!(two.json(["verify"])["problems"], serde_json::json!([]));
}
