//! Whose names are: what a collection owns is asked of no stranger, and what is blocked comes back by no way.

use crate::array;
use crate::support::{Env, Reply, Sdist, Server, Wheel};

/// A stranger's index that has a higher version of each project.
fn stranger(projects: &[&str]) -> Server {
    let server = Server::start();
    for project in projects {
        let wheel = Wheel::new(project, "99.0");
        server.route(&format!("/simple/{project}/"), Reply::html(server.wheel(&wheel.filename(), &wheel.bytes())));
    }
    server
}

/// A store with an own project and, at a stranger's index, one of the same name.
fn env(server: &Server) -> Env {
    let env = Env::new();
    Wheel::new("demo", "1.0").write_to(env.path("in"));
    env.ok(["import", "in", "--collection", "shared"]);
    env.ok(["remote", "add", "mirror", &server.url("/simple/"), "--collection", "shared"]);
    env
}

fn found(env: &Env, args: &[&str]) -> Option<String> {
    let output = env.run([&["lookup"], args].concat());
    let path = output.stdout.trim();
    assert!(output.code == 0 || output.code == 4, "{output}");
    (!path.is_empty()).then(|| path.rsplit('/').next().unwrap().to_owned())
}

#[test]
fn a_project_that_a_collection_has_or_had_is_asked_of_no_stranger() {
    let server = stranger(&["demo", "other"]);
    let env = env(&server);
    assert_eq!(found(&env, &["demo"]).as_deref(), Some("demo-1.0-py3-none-any.whl"));
    assert_eq!(found(&env, &["demo>=2"]), None);
    assert_eq!(env.run(["pull", "demo>=2"]).code, 3);
    let told = env.run(["pull", "demo==99.0", "--from", "mirror"]);
    assert!(told.code == 3 && told.stderr.contains("demo of its own"), "{told}");
    assert_eq!(found(&env, &["other"]).as_deref(), Some("other-99.0-py3-none-any.whl"), "what nobody owns is pulled");
    // What was pulled from a stranger is nobody's own.
    env.ok(["invalidate", "other"]);
    assert_eq!(found(&env, &["other"]).as_deref(), Some("other-99.0-py3-none-any.whl"));
    // The name stays ours when the last file goes.
    env.ok(["invalidate", "demo"]);
    assert_eq!(found(&env, &["demo"]), None);
    assert!(server.paths().iter().all(|path| !path.contains("demo")), "{:?}", server.paths());
    let why = env.run(["why", "demo==99.0", "--variant", "shared"]);
    assert!(why.stdout.contains("--open demo"), "{why}");
    let shown = env.json(["collection", "show", "shared"]);
    assert_eq!((&shown["owned_projects"], &shown["open"]), (&1.into(), &serde_json::json!([])));
    // Its owner may say otherwise, and take it back.
    env.ok(["collection", "set", "shared", "--open", "dem*"]);
    assert_eq!(found(&env, &["demo"]).as_deref(), Some("demo-99.0-py3-none-any.whl"));
    env.ok(["invalidate", "demo"]);
    env.ok(["collection", "set", "shared", "--open", "none"]);
    assert_eq!(found(&env, &["demo"]), None);
}

#[test]
fn farther_collections_and_our_own_caches() {
    let (theirs, ours) = (stranger(&["demo"]), stranger(&["demo", "built"]));
    let env = env(&theirs);
    env.ok(["collection", "create", "cuda"]);
    env.ok(["collection", "set", "cuda", "--fallback", "shared"]);
    Wheel::new("ext", "1.0").write_to(env.path("cuda"));
    env.ok(["import", "cuda", "--collection", "cuda"]);
    let more = stranger(&["ext"]);
    env.ok(["remote", "add", "far", &more.url("/simple/"), "--collection", "shared"]);
    assert_eq!(found(&env, &["ext>=2", "--collection", "cuda"]), None, "the owner is nearer than the stranger");
    assert!(more.paths().iter().all(|path| !path.contains("ext")));
    // For shared itself nobody owns it.
    assert_eq!(found(&env, &["ext>=2", "--collection", "shared"]).as_deref(), Some("ext-99.0-py3-none-any.whl"));
    env.ok(["remote", "add", "cache", &ours.url("/simple/"), "--collection", "shared", "--ours"]);
    assert_eq!(found(&env, &["demo>=2"]).as_deref(), Some("demo-99.0-py3-none-any.whl"), "a cache of ours is asked");
    // What came from it is ours, too.
    let built = stranger(&["built"]);
    env.ok(["pull", "built"]);
    env.ok(["remote", "remove", "cache"]);
    env.ok(["remote", "add", "third", &built.url("/simple/"), "--collection", "shared"]);
    env.ok(["invalidate", "built"]);
    assert_eq!(found(&env, &["built"]), None);
}

#[test]
fn names_are_reserved_before_there_is_a_file() {
    let server = stranger(&["acme-lib", "acme-open", "other"]);
    let env = env(&server);
    env.ok(["reserve", "Acme_*", "--collection", "shared", "--reason", "the company's"]);
    assert_eq!(found(&env, &["acme-lib"]), None);
    let why = env.run(["why", "acme-lib", "--variant", "shared"]);
    assert!(why.stdout.contains("shared reserves acme-* (the company's)"), "{why}");
    env.ok(["collection", "set", "shared", "--open", "acme-open"]);
    assert!(found(&env, &["acme-open"]).is_some() && found(&env, &["other"]).is_some());
    let rows = env.json(["reserve"]);
    assert_eq!(array(&rows["reservations"])[0]["pattern"], "acme-*");
    assert_eq!(env.run(["unreserve", "acme-lib", "--collection", "shared"]).code, 4);
    assert_eq!(env.run(["reserve", "a*", "--collection", "nowhere"]).code, 4);
    env.ok(["unreserve", "acme-*", "--collection", "shared"]);
    assert!(found(&env, &["acme-lib"]).is_some());
}

#[test]
fn what_is_blocked_comes_by_no_way_and_says_why() {
    let server = stranger(&["other"]);
    let env = env(&server);
    Sdist::new("demo", "1.0").write_to(env.path("in"));
    env.ok(["import", "in", "--collection", "shared"]);
    let told = env.run(["block", "demo==1.0", "other", "--reason", "CVE-2026-1"]);
    assert_eq!(told.code, 0, "{told}");
    assert_eq!(env.run(["block", "demo==1.0"]).code, 2, "a reason is wanted");
    assert_eq!((found(&env, &["demo"]), found(&env, &["other"])), (None, None));
    assert_eq!(env.run(["pull", "other"]).code, 3);
    assert!(!server.paths().iter().any(|path| path.ends_with(".whl")), "{:?}", server.paths());
    let why = env.run(["why", "demo==1.0", "--variant", "shared"]);
    assert!(why.stdout.contains("CVE-2026-1"), "{why}");
    let page = env.ok(["view", "--collection", "shared", "--project", "demo"]);
    assert!(!page.stdout.contains("demo-1.0"), "{page}");
    // Nor into any other collection, nor under other bytes.
    env.ok(["collection", "create", "cuda"]);
    Wheel::new("demo", "1.0").payload(10, 1).write_to(env.path("again"));
    let told = env.run(["import", "again", "--collection", "cuda"]);
    assert!(told.code == 3 && told.stderr.contains("demo==1.0 is blocked: CVE-2026-1"), "{told}");
    let told = env.run(["collection", "promote", "shared", "cuda"]);
    assert!(told.code == 3 && told.stderr.contains("CVE-2026-1"), "{told}");
    let rows = env.json(["block", "list"]);
    assert_eq!(array(&rows["blocks"]).len(), 2);
    // Nothing was deleted.
    env.ok(["unblock", "demo==1.0"]);
    assert_eq!(env.run(["unblock", "demo==1.0"]).code, 4);
    assert!(found(&env, &["demo"]).is_some());
}

#[test]
fn a_file_or_a_digest_is_blocked_in_one_collection_alone() {
    let env = Env::new();
    let wheel = Wheel::new("demo", "1.0");
    wheel.write_to(env.path("in"));
    env.ok(["import", "in", "--collection", "shared"]);
    env.ok(["import", "in", "--collection", "cuda"]);
    // Another spelling of the file is the file.
    env.ok(["block", "Demo-1.0.0-py3-none-any.whl", "--collection", "cuda", "--reason", "broken there"]);
    let hits = |env: &Env| ["cuda", "shared"].map(|name| found(env, &["demo", "--collection", name]).is_some());
    assert_eq!(hits(&env), [false, true]);
    env.ok(["unblock", "Demo-1.0.0-py3-none-any.whl", "--collection", "cuda"]);
    assert_eq!(hits(&env), [true, true]);
    let row = env.json(["list", "--collection", "shared"]);
    let sha256 = array(&row["distributions"])[0]["sha256"].as_str().unwrap().to_owned();
    env.ok(["block", &sha256, "--reason", "these bytes"]);
    assert_eq!(hits(&env), [false, false]);
}
