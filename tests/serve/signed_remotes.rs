//! `remote add --signed-by`: a wcas takes from another one what somebody signed there, whatever is between them.

use crate::clients::{Desk, interpreter};
use crate::signed::key;
use crate::site::{Site, add, file_path, sha256};
use crate::support::{Env, Reply, Server, WcasServer, Wheel};
use rusqlite::Connection;
use serde_json::{Value, json};

const JSON: &str = "application/vnd.pypi.simple.v1+json";
const LIST: &str = "/released/revision.txt";
const SIGNATURE: &str = "/released/revision.txt.sig";

/// A server with a signed collection, `released`; `None` without OpenSSH.
fn upstream() -> Option<Site> {
    let env = Env::new();
    key(&env, "release")?;
    key(&env, "other")?;
    add(&env, "released", &[Wheel::new("demo", "1.0"), Wheel::new("demo", "2.0"), Wheel::new("lib", "1.0")]);
    sign(&env, "release");
    Some(Site::of(env, &[]))
}

fn sign(env: &Env, key: &str) {
    env.ok(["collection", "sign", "released", "--key", key]);
}

/// A store that takes from a URL what `release` signed.
fn downstream(up: &Site, url: &str) -> Env {
    let env = Env::new();
    let keys = up.env.path("release.signers");
    env.ok(["remote", "add", "up", url, "--collection", "cuda", "--signed-by", keys.to_str().unwrap()]);
    env
}

/// What was heard of remotes is too old from now on.
fn age(env: &Env) {
    let manifest = Connection::open(env.store().join("manifest.sqlite")).unwrap();
    for (table, column) in [("remote_page", "fetched_at"), ("remote_list", "asked_at"), ("remote_failure", "failed_at")]
    {
        manifest.execute(&format!("UPDATE {table} SET {column} = {column} - 100000"), []).unwrap();
    }
}

/// The same for a server, which keeps pages in memory while they are young.
fn aged(site: Site) -> Site {
    site.server.stop();
    age(&site.env);
    Site::of(site.env, &[])
}

/// What lies between two servers, and says what it wants.
struct Mirror {
    server: Server,
    demo: Value,
}

impl Mirror {
    /// Copies what an upstream says.
    fn of(up: &Site) -> Self {
        let mirror = Self { server: Server::start(), demo: up.server.json("/released/simple/demo/") };
        mirror.copy(up, LIST);
        mirror.copy(up, SIGNATURE);
        for wheel in [Wheel::new("demo", "1.0"), Wheel::new("demo", "2.0")] {
            let path = file_path(&wheel.filename(), &wheel.bytes());
            mirror.server.route(&path, Reply::file(wheel.bytes()));
        }
        mirror.page(|_| {});
        mirror
    }

    fn copy(&self, up: &Site, path: &str) {
        self.server.route(path, Reply::bytes("text/plain", up.server.get(path).body));
    }

    /// Shows a page that was changed.
    fn page(&self, change: impl FnOnce(&mut Vec<Value>)) {
        let mut page = self.demo.clone();
        change(page["files"].as_array_mut().unwrap());
        self.server.route("/released/simple/demo/", Reply::bytes(JSON, page.to_string()));
    }

    fn url(&self) -> String {
        self.server.url("/released/simple/")
    }
}

/// Returns the filenames that a server lists of a project, none where it lists no page.
fn listed(server: &WcasServer, project: &str) -> Vec<String> {
    let page = server.ask("GET", &format!("/cuda/simple/{project}/"), &[("Accept", JSON)]);
    let page: Value = serde_json::from_slice(&page.body).unwrap_or_default();
    let files = page["files"].as_array().cloned().unwrap_or_default();
    files.iter().map(|file| file["filename"].as_str().unwrap().to_owned()).collect()
}

/// Checks that nothing of a remote is to be had, by any way, and that the reason is told.
#[track_caller]
fn gives_nothing(env: &Env, reason: &str) {
    for args in [["lookup", "demo==2.0"].as_slice(), &["pull", "demo==2.0", "--collection", "cuda"]] {
        let output = env.run([args, &["--collection", "cuda"][..if args[0] == "pull" { 0 } else { 2 }]].concat());
        assert!(output.code != 0 && output.stderr.contains(reason), "{reason}: {output}");
        // What was said in the same second counts as a failure anyhow.
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    let why = env.run(["why", "demo==2.0", "--variant", "cuda"]);
    assert!(format!("{why}").contains(reason), "{reason}: {why}");
    assert_eq!(env.json(["remote", "list"])["remotes"][0]["health"], "failing");
    let test = env.run(["remote", "test", "up"]);
    assert!(test.code == 3 && test.stdout.contains(reason), "{reason}: {test}");
    let doctor = format!("{}", env.run(["doctor"]));
    assert!(doctor.contains(reason) && doctor.contains("nothing of it is listed or taken"), "{reason}: {doctor}");
    let server = WcasServer::start(env, &[]);
    assert!(listed(&server, "demo").is_empty());
    let wheel = Wheel::new("demo", "2.0");
    assert!(server.get(&format!("/cuda{}", file_path(&wheel.filename(), &wheel.bytes()))).status >= 400);
    server.stop();
}

#[test]
fn what_was_signed_comes_and_what_was_not_comes_when_it_is() {
    let Some(up) = upstream() else { return };
    let env = downstream(&up, &up.server.url("/released/simple/"));
    let report = env.json(["remote", "list"])["remotes"][0].clone();
    assert!(report["signed_by"].as_str().unwrap().starts_with("release@index.example "), "{report}");
    let config = env.ok(["config", "show"]).stdout;
    assert!(config.contains("signed-by = 'release@index.example "), "{config}");
    let test = env.json(["remote", "test", "up"]);
    let expected = json!({"collection": "released", "revision": 1, "signer": "release@index.example", "files": 3});
    assert_eq!(test["signed"], expected);
    let down = Site::of(env, &[]);
    assert_eq!(listed(&down.server, "demo").len(), 2);
    if interpreter("pip").is_some() {
        let desk = Desk::new();
        assert_eq!(desk.install("pip", &down.server.url("/cuda/simple/"), &["demo"]), ["demo-2.0"]);
    }
    // What comes in there unsigned stays there.
    let late = Wheel::new("demo", "3.0");
    up.add("released", std::slice::from_ref(&late));
    let down = aged(down);
    assert_eq!(listed(&down.server, "demo").len(), 2);
    let path = format!("/cuda{}", file_path(&late.filename(), &late.bytes()));
    assert_eq!(down.server.get(&path).status, 404);
    let output = down.env.run(["lookup", "demo==3.0", "--collection", "cuda"]);
    assert!(output.code == 4 && output.stderr.contains("signed list doesn't have it"), "{output}");
    let why = down.env.ok(["why", "demo==3.0", "--variant", "cuda"]);
    assert!(format!("{why}").contains("signed list doesn't have it"), "{why}");
    sign(&up.env, "release");
    let down = aged(down);
    assert_eq!(listed(&down.server, "demo").len(), 3);
    down.server.get(&path).assert_brings(&late.bytes());
    down.env.ok(["pull", "lib", "--collection", "cuda"]);
    down.end();
    up.end();
}

#[test]
fn a_mirror_adds_and_changes_nothing() {
    let Some(up) = upstream() else { return };
    let mirror = Mirror::of(&up);
    let (good, evil) = (Wheel::new("demo", "2.0"), Wheel::new("demo", "2.0").payload(9_000, 9));
    let added = Wheel::new("demo", "9.0");
    for wheel in [&evil, &added] {
        mirror.server.route(&file_path(&wheel.filename(), &wheel.bytes()), Reply::file(wheel.bytes()));
    }
    // A file of its own, and other bytes with their digest.
    mirror.page(|files| {
        let place = |wheel: &Wheel| format!("../../..{}", file_path(&wheel.filename(), &wheel.bytes()));
        let digest = |wheel: &Wheel| json!({"sha256": sha256(&wheel.bytes())});
        files.push(json!({"filename": added.filename(), "url": place(&added), "hashes": digest(&added)}));
        let file = files.iter_mut().find(|file| file["filename"] == good.filename()).unwrap();
        (file["url"], file["hashes"]) = (place(&evil).into(), digest(&evil));
    });
    let down = Site::of(downstream(&up, &mirror.url()), &[]);
    assert_eq!(listed(&down.server, "demo"), [Wheel::new("demo", "1.0").filename()]);
    for (spec, why) in [("demo==9.0", "signed list doesn't have it"), ("demo==2.0", "another digest than was signed")] {
        for verb in ["lookup", "pull"] {
            let output = down.env.run([verb, spec, "--collection", "cuda"]);
            assert!(output.code != 0 && output.stderr.contains(why), "{output}");
        }
    }
    // Other bytes without a digest: the list's is what they are compared with.
    mirror.page(|files| {
        let file = files.iter_mut().find(|file| file["filename"] == good.filename()).unwrap();
        file["hashes"] = json!({});
    });
    let path = file_path(&good.filename(), &good.bytes());
    mirror.server.route(&path, Reply::file(evil.bytes()));
    let down = aged(down);
    assert_eq!(listed(&down.server, "demo").len(), 2);
    assert_ne!(down.server.get(&format!("/cuda{path}")).body, evil.bytes());
    let output = down.env.run(["lookup", "demo==2.0", "--collection", "cuda"]);
    assert!(output.code == 4, "{output}");
    mirror.server.route(&path, Reply::file(good.bytes()));
    assert!(down.server.get(&format!("/cuda{path}")).body == good.bytes());
    down.end();
    up.end();
}

#[test]
fn metadata_is_the_wheels_own() {
    let Some(up) = upstream() else { return };
    let mirror = Mirror::of(&up);
    let wheel = Wheel::new("demo", "2.0");
    let path = file_path(&wheel.filename(), &wheel.bytes());
    let lie = "Metadata-Version: 2.1\nName: demo\nVersion: 2.0\nRequires-Dist: evil\n";
    mirror.server.route(&format!("{path}.metadata"), Reply::bytes("text/plain", lie));
    mirror.page(|files| {
        let file = files.iter_mut().find(|file| file["filename"] == wheel.filename()).unwrap();
        for key in ["core-metadata", "data-dist-info-metadata"] {
            file[key] = json!({"sha256": sha256(lie.as_bytes())});
        }
    });
    let down = Site::of(downstream(&up, &mirror.url()), &[]);
    let page = down.server.json("/cuda/simple/demo/");
    assert!(!page.to_string().contains(&sha256(lie.as_bytes())), "{page}");
    let heard = down.server.get(&format!("/cuda{path}.metadata"));
    assert!(heard.status == 200 && !heard.text().contains("evil"), "{heard}");
    assert!(!mirror.server.paths().iter().any(|path| path.ends_with(".metadata")));
    down.end();
    up.end();
}

#[test]
fn a_list_that_is_not_good_gives_nothing() {
    let Some(up) = upstream() else { return };
    let mirror = Mirror::of(&up);
    let text = up.server.get(LIST).text();
    // Nobody signed it.
    mirror.server.route(SIGNATURE, Reply::status(404));
    gives_nothing(&downstream(&up, &mirror.url()), "its list is not signed");
    mirror.server.route(LIST, Reply::status(404));
    gives_nothing(&downstream(&up, &mirror.url()), "it has no signed list");
    // Somebody else did, or signed something else.
    let forged = Env::new();
    key(&forged, "other").unwrap();
    add(&forged, "released", &[Wheel::new("demo", "2.0")]);
    sign(&forged, "other");
    let forger = Site::of(forged, &[]);
    mirror.copy(&forger, LIST);
    mirror.copy(&forger, SIGNATURE);
    gives_nothing(&downstream(&up, &mirror.url()), "not among the allowed signers");
    mirror.copy(&up, SIGNATURE);
    gives_nothing(&downstream(&up, &mirror.url()), "not the signature of this text");
    mirror.server.route(LIST, Reply::bytes("text/plain", text.clone()).claims(64 << 20));
    gives_nothing(&downstream(&up, &mirror.url()), "(budget signed-list)");
    // Another collection's, of the same signer.
    add(&up.env, "nightly", &[Wheel::new("demo", "2.0")]);
    up.env.ok(["collection", "sign", "nightly", "--key", "release"]);
    for (path, other) in [(LIST, "/nightly/revision.txt"), (SIGNATURE, "/nightly/revision.txt.sig")] {
        mirror.server.route(path, Reply::bytes("text/plain", up.server.get(other).body));
    }
    gives_nothing(&downstream(&up, &mirror.url()), "is of nightly");
    forger.end();
    up.end();
}

#[test]
fn history_does_not_go_back() {
    let Some(up) = upstream() else { return };
    let mirror = Mirror::of(&up);
    let old = [LIST, SIGNATURE].map(|path| (path, up.server.get(path).body));
    up.env.ok(["invalidate", "demo==1.0", "--collection", "released", "--yes"]);
    sign(&up.env, "release");
    mirror.copy(&up, LIST);
    mirror.copy(&up, SIGNATURE);
    let env = downstream(&up, &mirror.url());
    env.ok(["lookup", "demo==2.0", "--collection", "cuda"]);
    env.ok(["invalidate", "demo==2.0", "--collection", "cuda", "--yes"]);
    // What was withdrawn comes back with the list of then.
    for (path, body) in old {
        mirror.server.route(path, Reply::bytes("text/plain", body));
    }
    age(&env);
    gives_nothing(&env, "older than released@2");
    // Another history under the same numbers.
    let fork = Env::new();
    for name in ["release", "release.pub", "release.signers"] {
        std::fs::copy(up.env.path(name), fork.path(name)).unwrap();
    }
    add(&fork, "released", &[Wheel::new("demo", "2.0")]);
    add(&fork, "released", &[Wheel::new("demo", "7.0")]);
    sign(&fork, "release");
    let fork = Site::of(fork, &[]);
    for path in [LIST, SIGNATURE] {
        mirror.copy(&fork, path);
    }
    age(&env);
    gives_nothing(&env, "not the one that was there before");
    fork.add("released", &[Wheel::new("demo", "8.0")]);
    sign(&fork.env, "release");
    for path in [LIST, SIGNATURE] {
        mirror.copy(&fork, path);
    }
    age(&env);
    gives_nothing(&env, "doesn't follow released@2");
    // Whoever says the keys again begins anew; nothing is taken on the word of nobody.
    let keys = up.env.path("release.signers");
    env.ok(["remote", "set", "up", "--signed-by", keys.to_str().unwrap()]);
    env.ok(["lookup", "demo==2.0", "--collection", "cuda"]);
    fork.end();
    up.end();
}

#[test]
fn a_yank_is_what_the_list_says_and_not_what_the_page_does() {
    let Some(up) = upstream() else { return };
    let mirror = Mirror::of(&up);
    let env = downstream(&up, &mirror.url());
    env.ok(["pull", "demo==1.0", "--collection", "cuda"]);
    let is_yanked = |env: &Env| env.json(["show", "demo==1.0"])["distributions"][0]["yanked"].to_string().len() > 2;
    assert!(!is_yanked(&env));
    mirror.page(|files| files.iter_mut().for_each(|file| file["yanked"] = json!("says the mirror")));
    age(&env);
    env.ok(["pull", "demo==2.0", "--collection", "cuda"]);
    assert!(!is_yanked(&env));
    up.env.ok(["yank", "demo==1.0", "--reason", "broken", "--collection", "released"]);
    sign(&up.env, "release");
    mirror.copy(&up, LIST);
    mirror.copy(&up, SIGNATURE);
    age(&env);
    assert_ne!(env.run(["pull", "demo==9.0", "--collection", "cuda"]).code, 0);
    assert!(is_yanked(&env), "{}", env.json(["show", "demo==1.0"]));
    up.end();
}

#[test]
fn what_is_here_stays_and_a_remote_that_is_down_is_remembered() {
    let Some(up) = upstream() else { return };
    let mirror = Mirror::of(&up);
    let down = Site::of(downstream(&up, &mirror.url()), &[]);
    let wheel = Wheel::new("demo", "1.0");
    let path = format!("/cuda{}", file_path(&wheel.filename(), &wheel.bytes()));
    assert_eq!(listed(&down.server, "demo").len(), 2);
    down.server.get(&path).assert_brings(&wheel.bytes());
    // Down for a while: what was heard before stands.
    mirror.server.route(LIST, Reply::status(503));
    let down = aged(down);
    assert_eq!(listed(&down.server, "demo").len(), 2);
    mirror.server.route(LIST, Reply::status(404));
    let down = aged(down);
    assert_eq!(listed(&down.server, "demo"), [wheel.filename()], "what was taken while it was signed");
    down.server.get(&path).assert_brings(&wheel.bytes());
    // No list is asked for any more.
    down.env.ok(["remote", "set", "up", "--signed-by", "none"]);
    assert_eq!(listed(&down.server, "demo").len(), 2);
    assert!(down.env.json(["remote", "list"])["remotes"][0]["signed_by"].is_null());
    down.end();
    up.end();
}

#[test]
fn only_a_collection_of_a_wcas_has_a_list_and_somebody_must_sign_it() {
    let Some(up) = upstream() else { return };
    let env = Env::new();
    let keys = up.env.path("release.signers").to_str().unwrap().to_owned();
    let refused = |url: &str, keys: &str, why: &str| {
        let output = env.run(["remote", "add", "up", url, "--signed-by", keys]);
        assert!(output.code == 2 && output.stderr.contains(why), "{output}");
    };
    refused("https://index.example/simple/", &keys, "https://index.example/NAME/simple/");
    refused("https://index.example/released/", &keys, "https://index.example/NAME/simple/");
    let url = "https://index.example/released/simple/";
    refused(url, "absent", "can't be read");
    std::fs::write(env.path("nobody"), "# nobody yet\n").unwrap();
    refused(url, env.path("nobody").to_str().unwrap(), "names nobody");
    std::fs::write(env.path("bad"), "me ssh-rsa AAAA\n").unwrap();
    refused(url, env.path("bad").to_str().unwrap(), "not Ed25519");
    // By file: the same.
    env.ok(["remote", "add", "up", url, "--signed-by", &keys]);
    let config = env.ok(["config", "show"]).stdout;
    std::fs::write(env.path("c.toml"), &config).unwrap();
    assert!(env.ok(["config", "apply", "c.toml"]).stdout.lines().count() <= 1);
    std::fs::write(env.path("c.toml"), config.replace("signed-by = '", "signed-by = 'nobody ")).unwrap();
    assert_eq!(env.run(["config", "apply", "c.toml"]).code, 2);
    up.end();
}
