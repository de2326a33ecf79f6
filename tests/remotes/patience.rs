//! One remote that hangs, refuses or falters, and others that have the file: who waits for whom, and for how long.

use crate::support::{Env, Reply, Server, Wheel};
use crate::{add, asked, document, found, json, notes, offer, serve, wheel};
use std::time::{Duration, Instant};

const PAGE: &str = "/simple/demo/";

/// A remote that reads its page's request and says nothing.
fn hanging() -> Server {
    let server = Server::start();
    server.route(PAGE, Reply::hang());
    server
}

/// Looks up with the patience that the program has by itself, and returns the remote that gave the file.
fn giver(env: &Env) -> serde_json::Value {
    document(&env.run(["--json", "lookup", "demo"]), 0)["remote"].clone()
}

#[test]
fn a_lookup_waits_a_moment_for_a_remote_that_hangs_and_takes_what_the_next_one_has() {
    let (near, far) = (hanging(), serve("demo", &[wheel("demo", "1.0", 1)]));
    for place in ["shared", "farther"] {
        let env = Env::new();
        env.ok(["collection", "create", "shared"]);
        env.ok(["collection", "create", "farther"]);
        env.ok(["collection", "set", "shared", "--fallback", "farther"]);
        add(&env, "near", &near, &["--collection", "shared", "--priority", "1"]);
        add(&env, "far", &far, &["--collection", place, "--priority", "5"]);
        let start = Instant::now();
        assert_eq!(giver(&env), "far", "{place}");
        // Without this the near one's time-out would come first: half a minute.
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        // For a while nobody asks it again.
        let before = asked(&near, PAGE);
        let report = json(&env, 4, &["lookup", "demo==2"]);
        assert!(notes(&report["remotes"]).contains("not asked, since it failed"), "{report}");
        assert_eq!(asked(&near, PAGE), before, "{place}");
    }
}

#[test]
fn a_remote_that_is_slow_is_waited_for_where_nobody_else_has_the_file() {
    let server = serve("demo", &[wheel("demo", "1.0", 1)]);
    let page = server.wheel(&wheel("demo", "1.0", 1).filename(), &wheel("demo", "1.0", 1).bytes());
    // Some five seconds for the page.
    let pieces = page.len() / 10 + 1;
    server.route(PAGE, Reply::html(page).drip(10, Duration::from_millis(5000 / pieces as u64)));
    let empty = Server::start();
    let env = Env::new();
    add(&env, "slow", &server, &["--priority", "1"]);
    add(&env, "empty", &empty, &["--priority", "5"]);
    assert_eq!(giver(&env), "slow");
    assert_eq!(asked(&server, PAGE), 2, "once in a hurry, once with patience");
}

#[test]
fn a_remote_that_falters_is_asked_again_before_a_miss_is_told() {
    let demo = wheel("demo", "1.0", 1);
    let server = Server::start();
    let page = Reply::html(server.wheel(&demo.filename(), &demo.bytes()));
    server.sequence(PAGE, [Reply::status(503), page]);
    let env = Env::new();
    add(&env, "mirror", &server, &[]);
    assert_eq!(found(&env, &["demo"]).0.as_deref(), Some("mirror"));
}

#[test]
fn a_page_in_a_bucket_that_refuses_all_else_is_tried_as_it_is() {
    let demo = wheel("demo", "1.0", 1);
    for refusal in [403, 401, 400] {
        let server = Server::start();
        for path in ["/whl/all.html/demo/", "/whl/all.html/simple/demo/", "/whl/all.html/", "/whl/all.html/simple/"] {
            server.route(path, Reply::status(refusal));
        }
        server.route("/whl/all.html", Reply::html(server.wheel(&demo.filename(), &demo.bytes())));
        let env = Env::new();
        env.ok(["remote", "add", "bucket", &server.url("/whl/all.html")]);
        assert_eq!(found(&env, &["demo"]).0.as_deref(), Some("bucket"), "{refusal}");
    }
    // Where nothing is to be had, what may be meant is said.
    let server = Server::start();
    server.route(PAGE, Reply::status(403));
    let env = Env::new();
    add(&env, "mirror", &server, &[]);
    let told = notes(&json(&env, 4, &["lookup", "demo"])["remotes"]);
    assert!(told.contains("wcas remote set mirror --not-found 403"), "{told}");
    env.ok(["remote", "set", "mirror", "--not-found", "403"]);
    assert_eq!(notes(&json(&env, 4, &["lookup", "demo"])["remotes"]), "");
}

#[test]
fn a_transfer_whose_rest_is_refused_starts_over() {
    let demo = Wheel::new("demo", "1.0").payload(400_000, 3);
    let (name, bytes) = (demo.filename(), demo.bytes());
    for refusal in [400, 403, 405, 412, 501] {
        let server = serve("demo", std::slice::from_ref(&demo));
        let whole = || Reply::file(bytes.as_slice());
        let path = format!("/files/{name}");
        server.sequence(&path, [whole().cut_at(200_000), Reply::status(refusal), whole()]);
        let env = Env::new();
        add(&env, "mirror", &server, &[]);
        assert_eq!(found(&env, &["demo"]).0.as_deref(), Some("mirror"), "{refusal}");
        let ranges: Vec<bool> = server
            .requests()
            .iter()
            .filter(|request| request.path == path)
            .map(|request| request.header("Range").is_some())
            .collect();
        assert_eq!(ranges, [false, true, false], "{refusal}");
    }
}

#[test]
fn a_pull_from_a_remote_goes_into_the_collection_that_is_named() {
    let server = serve("demo", &[wheel("demo", "1.0", 1)]);
    let env = Env::new();
    env.ok(["collection", "create", "other"]);
    add(&env, "mirror", &server, &["--collection", "shared"]);
    let report = json(&env, 0, &["pull", "demo", "--from", "mirror", "--collection", "other"]);
    assert_eq!(report["distributions"][0]["collection"], "other", "{report}");
    assert_eq!(json(&env, 0, &["pull", "demo", "--from", "mirror", "--collection", "other"])["downloaded_bytes"], 0);
    assert_eq!(env.run(["pull", "demo", "--from", "mirror", "--collection", "a", "--collection", "b"]).code, 2);
    // A name that the collection owns isn't taken from a stranger who is named, either.
    env.ok(["reserve", "own-*", "--collection", "other"]);
    offer(&server, "own-lib", &[wheel("own-lib", "9.0", 1)]);
    let refused = env.run(["--json", "pull", "own-lib", "--from", "mirror", "--collection", "other"]);
    assert_eq!(asked(&server, "/simple/own-lib/"), 0, "{refused}");
    assert!(notes(&document(&refused, 3)["missing"][0]["notes"]).contains("reserves"), "{refused}");
}
