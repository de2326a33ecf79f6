//! Writing back: what is queued, what is sent and how, and what becomes of what isn't taken.

use crate::support::server::Request;
use crate::support::{Env, Reply, Server, Wheel};
use crate::{PATIENCE, add, json, manifest, offer, wheel};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;

/// An environment with one remote of ours, `team`, which takes files at `/up/`.
pub(crate) fn with_team(server: &Server, options: &[&str]) -> Env {
    let env = Env::new();
    let uploads = server.url("/up/");
    add(&env, "team", server, &[&["--ours", "--write-back", "--upload-url", &uploads], options].concat());
    env
}

/// Imports a wheel from a folder of its own.
pub(crate) fn import(env: &Env, wheel: &Wheel) {
    wheel.write_to(env.path("built"));
    env.ok(["import", "built"]);
    fs::remove_dir_all(env.path("built")).unwrap();
}

/// Returns how many files wait for a remote, and how many of them are given up.
#[track_caller]
pub(crate) fn waits(env: &Env, remote: &str) -> (u64, u64) {
    let list = env.json(["remote", "list"]);
    let remotes = list["remotes"].as_array().unwrap();
    let row = &remotes.iter().find(|row| row["name"] == remote).expect("the remote is there")["write_back"];
    let number = |field: &str| row[field].as_u64().unwrap_or_default();
    (number("waiting"), number("given_up"))
}

/// Returns the uploads that a server got: neither questions nor pages.
fn posts(server: &Server, action: &str) -> Vec<Request> {
    let is_meant = |request: &Request| {
        request.method == "POST" && request.form().contains(&(":action".to_owned(), action.as_bytes().to_vec()))
    };
    server.requests().into_iter().filter(is_meant).collect()
}

/// Returns the filenames in a list of a report.
pub(crate) fn names<'a>(report: &'a Value, list: &str) -> Vec<&'a str> {
    report[list].as_array().unwrap().iter().map(|row| row["filename"].as_str().unwrap()).collect()
}

#[test]
fn what_is_imported_waits_and_is_sent_as_twine_sends_it() {
    let server = Server::start();
    let env = with_team(&server, &[]);
    let demo = wheel("demo", "1.0", 1).requires_python(">=3.8").requires("a>=1").requires("b");
    import(&env, &demo);
    assert_eq!(waits(&env, "team"), (1, 0));
    let doctor = env.ok(["doctor"]).stdout;
    assert!(doctor.contains("1 distribution to be sent to team"), "{doctor}");
    let planned = env.json(["push", "--dry-run"]);
    assert_eq!((names(&planned, "sent"), &planned["left"]), (vec![demo.filename().as_str()], &1.into()));
    assert!(server.requests().is_empty(), "an import and a dry run send nothing");
    server.sequence("/up/", [Reply::status(404), Reply::status(200)]);
    let report = env.json(["push"]);
    assert_eq!((names(&report, "sent"), &report["left"]), (vec![demo.filename().as_str()], &0.into()));
    assert_eq!(waits(&env, "team"), (0, 0));
    let question = posts(&server, "file_reference").pop().expect("it is asked by digest first");
    let sha256 = wcas::digest::Sha256::of(&demo.bytes()).to_string();
    assert!(question.form().contains(&("sha256_digest".to_owned(), sha256.clone().into_bytes())));
    let form = posts(&server, "file_upload").pop().expect("it is sent").form();
    let file = form.iter().find(|(name, _)| *name == format!("content={}", demo.filename()));
    assert!(file.is_some_and(|(_, bytes)| *bytes == demo.bytes()), "the bytes are the wheel's");
    let requirements: Vec<_> = form.iter().filter(|(name, _)| name == "requires_dist").collect();
    assert_eq!(requirements.len(), 2);
    let fields: HashMap<_, _> =
        form.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value).into_owned())).collect();
    for (name, value) in [
        ("protocol_version", "1"),
        ("name", "demo"),
        ("version", "1.0"),
        ("filetype", "bdist_wheel"),
        ("pyversion", "py3"),
        ("requires_python", ">=3.8"),
        ("sha256_digest", &sha256),
    ] {
        assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!((fields["md5_digest"].len(), fields["blake2_256_digest"].len()), (32, 64));
    let before = server.requests().len();
    env.ok(["push"]);
    import(&env, &demo);
    assert_eq!((waits(&env, "team"), server.requests().len()), ((0, 0), before), "once is enough");
}

#[test]
fn only_what_was_built_here_goes_and_only_to_remotes_of_ours() {
    let server = Server::start();
    let (theirs, own) = (wheel("theirs", "1.0", 1), wheel("own", "1.0", 2));
    offer(&server, "theirs", std::slice::from_ref(&theirs));
    let env = with_team(&server, &["--except", "secret-*", "--except", "theirs"]);
    add(&env, "mirror", &server, &[]);
    env.ok(["pull", "theirs"]);
    // The same bytes by another way are no build of ours, either.
    theirs.write_to(env.path("built"));
    env.ok(["import", "built", "--collection", "cuda"]);
    env.ok(["collection", "copy", "shared", "released"]);
    import(&env, &wheel("secret-sauce", "1.0", 3));
    import(&env, &own);
    assert_eq!(waits(&env, "team"), (1, 0));
    server.route("/up/", Reply::status(404));
    for args in [&["push", "--all", "--dry-run"][..], &["push", "team", "--collection", "cuda", "--dry-run"]] {
        assert_eq!(names(&env.json(args), "sent"), [own.filename()], "{args:?}");
    }
    let report = env.json(["push", "--spec", "theirs", "--dry-run"]);
    assert_eq!(names(&report, "withheld"), [theirs.filename()], "{report}");
    assert_eq!(report["withheld"][0]["reason"], "it came from the remote mirror");
    let none = Env::new();
    none.ok(["collection", "create", "shared"]);
    assert!(none.ok(["push"]).stderr.starts_with("no remote is written back to"));
    let refused = env.run(["push", "mirror"]);
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.stderr.contains("mirror is a stranger's, and gets nothing"), "{refused}");
    env.ok(["remote", "set", "team", "--no-write-back"]);
    assert_eq!(waits(&env, "team"), (0, 0), "what waited is dropped");
    import(&env, &wheel("own", "2.0", 4));
    assert_eq!(waits(&env, "team"), (0, 0));
    let report = env.json(["push", "team", "--all", "--dry-run"]);
    assert_eq!(names(&report, "sent").len(), 2, "a remote of ours gets what is asked for: {report}");
    assert_eq!(posts(&server, "file_upload").len(), 0);
}

#[test]
fn what_fails_for_now_waits_and_goes_later() {
    let server = Server::start();
    let env = with_team(&server, &[]);
    let all: Vec<Wheel> = (1..=5).map(|seed| wheel("demo", &format!("{seed}.0"), seed)).collect();
    all.iter().for_each(|wheel| import(&env, wheel));
    server.route("/up/", Reply::status(503));
    let report = json(&env, 3, &["push"]);
    assert_eq!((names(&report, "failed").len(), &report["left"], &report["given_up"]), (3, &5.into(), &0.into()));
    assert_eq!(report["left_alone"][0]["reason"], "it failed 3 times in a row, and the rest waits");
    assert!(report["failed"][0]["reason"].as_str().unwrap().ends_with("/up/ answered with status 503"), "{report}");
    let doctor = env.ok(["doctor"]).stdout;
    assert!(doctor.contains("5 distributions to be sent to team; the last failure, at "), "{doctor}");
    server.route("/up/", Reply::hang());
    let report = env.run_with_env(&PATIENCE, ["--json", "push"]);
    assert_eq!(report.code, 3, "{report}");
    assert!(report.stdout.contains("took too long: no answer came within 1s"), "{report}");
    // Killed in the midst of it.
    let mut running = env.spawn(["push"]);
    let asked = server.requests().len();
    while server.requests().len() == asked {
        assert!(running.try_wait().unwrap().is_none(), "it sends");
        std::thread::yield_now();
    }
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(waits(&env, "team"), (5, 0));
    server.sequence("/up/", [Reply::status(400), Reply::status(200)]);
    let report = env.json(["push"]);
    assert_eq!((names(&report, "sent").len(), &report["left"]), (5, &0.into()), "{report}");
    assert_eq!(posts(&server, "file_upload").len(), 5, "who doesn't understand references is asked once");
}

#[test]
fn a_name_that_is_taken_there_is_told_once_and_given_up() {
    let server = Server::start();
    let env = with_team(&server, &[]);
    let (own, other) = (wheel("demo", "1.0", 1), wheel("demo", "1.0", 2));
    import(&env, &own);
    server.sequence("/up/", [Reply::status(404), Reply::status(409)]);
    offer(&server, "demo", std::slice::from_ref(&other));
    let report = json(&env, 3, &["push"]);
    let failed = &report["failed"][0];
    assert_eq!((&failed["is_given_up"], &report["given_up"]), (&true.into(), &1.into()), "{report}");
    let digest = wcas::digest::Sha256::of(&other.bytes()).to_string();
    assert!(failed["reason"].as_str().unwrap().contains(&format!("it has other bytes, with sha256 digest {digest}")));
    let asked = server.requests().len();
    let report = json(&env, 0, &["push"]);
    assert_eq!((names(&report, "failed").len(), &report["left"], server.requests().len()), (0, &1.into(), asked));
    // The same bytes there are as good as sent.
    offer(&server, "demo", std::slice::from_ref(&own));
    let report = json(&env, 0, &["push", "--retry"]);
    assert_eq!((names(&report, "there"), &report["left"]), (vec![own.filename().as_str()], &0.into()), "{report}");
}

#[test]
fn a_refusal_is_tried_a_few_times_and_can_be_forgotten() {
    let server = Server::start();
    let env = with_team(&server, &["--auth", "env:TEAM"]);
    import(&env, &wheel("demo", "1.0", 1));
    let report = json(&env, 3, &["push"]);
    let reason = report["failed"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("the variable TEAM is not set"), "{reason}");
    server.route("/up/", Reply::status(403));
    let push = || env.run_with_env(&[("TEAM", "user:hunter2")], ["--json", "push"]);
    for tries in 1..=3 {
        let report = crate::document(&push(), 3);
        assert_eq!(report["failed"][0]["is_given_up"], tries == 3, "{report}");
    }
    let request = server.requests().pop().unwrap();
    assert_eq!(request.header("Authorization"), Some("Basic dXNlcjpodW50ZXIy"));
    let asked = server.requests().len();
    let report = crate::document(&push(), 0);
    assert_eq!((&report["given_up"], server.requests().len()), (&1.into(), asked));
    let list = env.ok(["remote", "list"]).stdout;
    assert!(list.contains("1 to be sent (1 given up): ") && !list.contains("hunter2"), "{list}");
    assert_eq!(env.json(["push", "--forget"])["left"], 0);
    assert_eq!(waits(&env, "team"), (0, 0));
}

#[test]
fn a_redirect_is_not_followed_with_a_file() {
    let (server, elsewhere) = (Server::start(), Server::start());
    let env = with_team(&server, &[]);
    import(&env, &wheel("demo", "1.0", 1));
    server.route("/up/", Reply::redirect(307, &elsewhere.url("/up/")));
    let report = json(&env, 3, &["push"]);
    assert!(report["failed"][0]["reason"].as_str().unwrap().contains("uploads follow no redirect"), "{report}");
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn what_was_removed_or_is_bad_meanwhile_leaves_the_queue() {
    let server = Server::start();
    let env = with_team(&server, &[]);
    for (version, seed) in [("1.0", 1), ("2.0", 2), ("3.0", 3), ("4.0", 4)] {
        import(&env, &wheel("demo", version, seed));
    }
    env.ok(["invalidate", "demo==1.0"]);
    env.ok(["yank", "demo==2.0"]);
    let path = env.json(["lookup", "demo==3.0"])["path"].as_str().unwrap().to_owned();
    let blob = fs::canonicalize(path).unwrap();
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, b"other bytes").unwrap();
    server.sequence("/up/", [Reply::status(404), Reply::status(200)]);
    let report = env.json(["push"]);
    assert_eq!(names(&report, "sent"), [wheel("demo", "4.0", 4).filename()], "{report}");
    let mut reasons: Vec<_> =
        report["withheld"].as_array().unwrap().iter().map(|row| row["reason"].as_str().unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["it is yanked", "its bytes are missing or wrong", "its collection has it no more"]);
    assert_eq!(waits(&env, "team"), (0, 0));
    // A collection, and a remote, take what waits with them.
    import(&env, &wheel("demo", "5.0", 5));
    env.ok(["remote", "remove", "team"]);
    let left: i64 = manifest(&env).query_row("SELECT count(*) FROM write_back", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

/// Runs a command that is killed at a change of the disk; tells whether it ended before it came so far.
fn is_past_its_end(env: &Env, point: usize, args: &[&str]) -> bool {
    env.leaves("the session of a command that was killed");
    let output = env.run_with_env(&[("WCAS_FAULT", &format!("kill@{point}"))], args);
    assert!(matches!(output.code, 0 | 137), "{args:?} at {point}: {output}");
    output.code == 0
}

#[test]
fn what_is_killed_anywhere_loses_nothing_that_waits() {
    let server = Server::start();
    server.route("/up/", Reply::status(200));
    let env = with_team(&server, &[]);
    let count = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        manifest(&env).query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    let mut point = 0;
    loop {
        point += 1;
        wheel("demo", &format!("{point}.0"), point as u64).write_to(env.path("built"));
        let is_done = is_past_its_end(&env, point, &["import", "built"]);
        assert_eq!(count("entry"), count("write_back"), "neither is there without the other, killed at {point}");
        env.ok(["import", "built"]);
        assert_eq!((count("entry"), count("write_back")), (point as i64, point as i64));
        if is_done {
            break;
        }
    }
    assert!(point > 5, "an import has more than {point} points");
    let all = point as i64;
    let mut point = 1;
    while !is_past_its_end(&env, point, &["push"]) {
        point += 1;
        assert_eq!(env.ok(["verify", "--quick"]).code, 0);
    }
    assert_eq!((count("entry"), count("write_back")), (all, 0));
    let sent: std::collections::HashSet<Vec<u8>> = posts(&server, "file_upload")
        .iter()
        .map(|request| request.form().into_iter().find(|(name, _)| name == "version").expect("it has a version").1)
        .collect();
    assert_eq!(sent.len() as i64, all, "each came, some twice");
}
