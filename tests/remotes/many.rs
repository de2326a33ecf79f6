//! Many at a time: processes that want one file, and pulls of many requirements, interrupted and taken up again.

use crate::support::{Env, Reply, Server};
use crate::{PATIENCE, add, asked, assert_whole, document, json, notes, offer, serve, wheel, with_remote};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// How many requirements a large pull has.
const MANY: usize = 40;

fn project(number: usize) -> String {
    format!("demo{number}")
}

fn file(number: usize) -> String {
    format!("/files/demo{number}-1.0-py3-none-any.whl")
}

/// Serves `MANY` projects, and writes a file that requires them all.
fn many(env: &Env) -> Server {
    let server = Server::start();
    let mut requirements = String::from("# all of them\n");
    for number in 0..MANY {
        offer(&server, &project(number), &[wheel(&project(number), "1.0", number as u64)]);
        requirements += &format!("{}==1.0\n", project(number));
    }
    fs::write(env.path("r.txt"), requirements).unwrap();
    server
}

/// Counts the requests for each path.
fn tally(server: &Server) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for path in server.paths() {
        *tally.entry(path).or_default() += 1;
    }
    tally
}

#[test]
fn eight_processes_that_look_up_one_file_download_it_once() {
    let demo = wheel("demo", "1.0", 1).payload(20_000, 3);
    let server = serve("demo", std::slice::from_ref(&demo));
    let path = format!("/files/{}", demo.filename());
    // Slow enough that the others come while the first one is at it.
    server.route(&path, Reply::file(demo.bytes()).drip(2000, Duration::from_millis(50)));
    let env = with_remote(&server, &[]);
    let mut all: Vec<_> = (0..8).map(|_| env.spawn(["--json", "lookup", "demo==1.0"])).collect();
    for running in &mut all {
        assert!(running.wait().unwrap().success(), "{}", fs::read_to_string(env.path("stderr")).unwrap());
    }
    assert_eq!(asked(&server, &path), 1);
    assert_whole(&env);
}

#[test]
fn processes_that_pull_the_same_requirements_at_once_fetch_each_file_once() {
    let env = Env::new();
    let server = many(&env);
    add(&env, "mirror", &server, &[]);
    let mut all: Vec<_> = (0..4).map(|_| env.spawn(["pull", "-r", "r.txt"])).collect();
    for running in &mut all {
        assert!(running.wait().unwrap().success(), "{}", fs::read_to_string(env.path("stderr")).unwrap());
    }
    for number in 0..MANY {
        assert_eq!(asked(&server, &file(number)), 1, "{number}");
    }
    assert_eq!(env.json(["list"])["distributions"].as_array().unwrap().len(), MANY);
    assert_whole(&env);
}

#[test]
fn a_pull_of_many_requirements_asks_for_each_page_and_file_once_and_then_for_nothing() {
    for (path, flat) in [("/simple/", false), ("/", false), ("/links.html", true)] {
        let env = Env::new();
        let server = many(&env);
        if flat {
            let link = |number| {
                let wheel = wheel(&project(number), "1.0", number as u64);
                server.wheel(&wheel.filename(), &wheel.bytes())
            };
            server.route(path, Reply::html((0..MANY).map(link).collect::<String>()));
        }
        env.ok(["remote", "add", "mirror", &server.url(path)]);
        let report = json(&env, 0, &["pull", "-r", "r.txt"]);
        assert_eq!(report["distributions"].as_array().unwrap().len(), MANY, "{report}");
        assert_eq!(report["missing"], serde_json::json!([]));
        let tally = tally(&server);
        let repeated: Vec<_> = tally.iter().filter(|(_, count)| **count > 1).collect();
        assert!(repeated.is_empty(), "{path}: {repeated:?}");
        // To find out where the pages are takes a few questions, but only once.
        let fewest = if flat { MANY + 1 } else { 2 * MANY };
        assert!((fewest..fewest + 4).contains(&tally.len()), "{path}: {tally:?}");
        let before = server.paths().len();
        let again = json(&env, 0, &["pull", "-r", "r.txt"]);
        assert_eq!((&again["downloaded_bytes"], server.paths().len()), (&0.into(), before), "{path}");
        assert_whole(&env);
    }
}

#[test]
fn several_versions_of_one_project_need_its_page_once() {
    let wheels: Vec<_> = (0..8).map(|number| wheel("demo", &format!("1.{number}"), number)).collect();
    let server = serve("demo", &wheels);
    let env = with_remote(&server, &[]);
    let specs: Vec<String> = (0..8).map(|number| format!("demo==1.{number}")).collect();
    let mut args = vec!["pull"];
    args.extend(specs.iter().map(String::as_str));
    json(&env, 0, &args);
    assert_eq!(asked(&server, "/simple/demo/"), 1);
}

#[test]
fn one_missing_and_one_bad_requirement_keep_no_other_from_being_met() {
    let env = Env::new();
    let server = many(&env);
    server.route("/simple/demo3/", Reply::status(404));
    server.route(&file(7), Reply::file(wheel("demo7", "1.0", 700).bytes()));
    add(&env, "mirror", &server, &[]);
    let report = json(&env, 3, &["pull", "-r", "r.txt"]);
    assert_eq!(report["distributions"].as_array().unwrap().len(), MANY - 2);
    let missing = report["missing"].as_array().unwrap();
    let names: Vec<_> = missing.iter().map(|unmet| unmet["requirement"].as_str().unwrap()).collect();
    assert_eq!(names, ["demo3==1.0", "demo7==1.0"]);
    assert!(missing[0]["place"].as_str().unwrap().contains("r.txt"), "{report}");
    assert!(notes(&missing[1]["notes"]).contains("other bytes than its digest says"), "{report}");
    assert_whole(&env);
    // The rest comes when it is there.
    let before = server.paths().len();
    server.route(&file(7), Reply::file(wheel("demo7", "1.0", 7).bytes()));
    json(&env, 3, &["pull", "-r", "r.txt"]);
    assert_eq!(server.paths()[before..], [file(7)]);
}

#[test]
fn a_pull_that_was_killed_goes_on_where_it_was() {
    let env = Env::new();
    let server = many(&env);
    let size = wheel("demo5", "1.0", 5).bytes().len();
    server.route(&file(5), Reply::file(wheel("demo5", "1.0", 5).bytes()).stall_at(size / 2));
    add(&env, "mirror", &server, &[]);
    let mut running = env.spawn(["pull", "-r", "r.txt"]);
    // All but one are in the store before the end.
    while env.json(["list"])["distributions"].as_array().unwrap().len() < MANY - 1 {
        assert!(running.try_wait().unwrap().is_none(), "{}", fs::read_to_string(env.path("stderr")).unwrap());
    }
    running.kill().unwrap();
    running.wait().unwrap();
    server.route(&file(5), Reply::file(wheel("demo5", "1.0", 5).bytes()));
    let before = server.paths().len();
    let output = env.run(["--json", "pull", "-r", "r.txt"]);
    assert_eq!(document(&output, 0)["missing"], serde_json::json!([]));
    assert_eq!(server.paths()[before..], [file(5)]);
    assert_whole(&env);
}

#[test]
fn a_remote_that_is_down_is_given_up_soon_and_the_next_serves_all() {
    let env = Env::new();
    let server = many(&env);
    let bad = Server::start();
    for number in 0..MANY {
        bad.route(&format!("/simple/{}/", project(number)), Reply::hang());
    }
    add(&env, "bad", &bad, &["--priority", "-1"]);
    add(&env, "good", &server, &[]);
    let report = document(&env.run_with_env(&PATIENCE, ["--json", "pull", "-r", "r.txt", "--downloads", "2"]), 0);
    assert_eq!(report["distributions"].as_array().unwrap().len(), MANY);
    assert!(report["distributions"].as_array().unwrap().iter().all(|pulled| pulled["remote"] == "good"));
    assert!(bad.paths().len() < 10, "{} requests to a remote that never answers", bad.paths().len());
    assert!(notes(&report["notes"]).contains("bad: not asked: it failed several times in a row"), "{report}");
}

#[test]
fn a_pull_takes_what_hashes_and_variants_say() {
    let good = wheel("demo", "1.0", 1);
    let server = serve("demo", std::slice::from_ref(&good));
    let env = with_remote(&server, &[]);
    fs::write(env.path("bad.txt"), format!("demo==1.0 --hash=sha256:{}\n", "0".repeat(64))).unwrap();
    let report = json(&env, 3, &["pull", "-r", "bad.txt"]);
    let told = notes(&report["missing"][0]["notes"]);
    assert!(told.contains("its digest is none of those that the requirement demands"), "{told}");
    assert_eq!(asked(&server, &format!("/files/{}", good.filename())), 0);
    let digest = wcas::digest::Sha256::of(&good.bytes());
    fs::write(env.path("good.txt"), format!("demo==1.0 --hash=sha256:{digest}\n")).unwrap();
    json(&env, 0, &["pull", "-r", "good.txt"]);
}

#[test]
fn import_from_a_remote_goes_to_its_collection_or_where_it_is_told() {
    let server = serve("demo", &[wheel("demo", "1.0", 1), wheel("demo", "2.0", 2)]);
    offer(&server, "torch", &[wheel("torch", "2.5.1", 3)]);
    let env = with_remote(&server, &["--collection", "upstream"]);
    json(&env, 0, &["import", "demo==1.0", "--from", "mirror"]);
    json(&env, 0, &["import", "demo==2.0", "--from", "mirror", "--collection", "cuda"]);
    // That another collection has it is no reason to leave this one without.
    json(&env, 0, &["import", "demo==1.0", "--from", "mirror", "--collection", "cuda"]);
    fs::write(env.path("cuda.txt"), "torch\n").unwrap();
    env.ok(["route", "set", "gpu", "--requirements", "cuda.txt"]);
    json(&env, 0, &["import", "torch", "demo", "--from", "mirror", "--variant", "gpu"]);
    let list = env.json(["list"]);
    let mut rows: Vec<String> = list["distributions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |field: &str| row[field].as_str().unwrap();
            format!("{}: {}-{}", text("collection"), text("project"), text("version"))
        })
        .collect();
    rows.sort_unstable();
    let expected = ["cuda: demo-1.0", "cuda: demo-2.0", "gpu: torch-2.5.1", "shared: demo-2.0", "upstream: demo-1.0"];
    assert_eq!(rows, expected, "{list}");
    assert_eq!(asked(&server, "/files/demo-1.0-py3-none-any.whl"), 1, "what the store has isn't fetched again");
    assert_eq!(env.run(["import", "absent", "--from", "mirror"]).code, 3);
    assert_eq!(env.run(["import", "demo", "--from", "nobody"]).code, 4);
    assert_whole(&env);
}
