//! What odd upstreams answer, and what clients get of it: pages without a file, sidecars that aren't, files that moved, yanks that
//! come later.

use crate::ownership::listed;
use crate::site::{Site, add, file_path, sha256};
use crate::support::{Env, Reply, Sdist, Server, Wheel};
use serde_json::Value;

fn html(title: &str, links: &str) -> Reply {
    Reply::html(format!("<!DOCTYPE html><html><body><h1>Links for {title}</h1>{links}</body></html>"))
}

/// Serves a store again, a minute later.
fn later(site: Site) -> Site {
    let env = site.end();
    minute_passes(&env);
    Site::of(env, &[])
}

/// Makes remembered pages old, and refusals nearly so.
fn minute_passes(env: &Env) {
    let manifest = rusqlite::Connection::open(env.path("store/manifest.sqlite")).unwrap();
    let all = "UPDATE remote_page SET fetched_at = fetched_at - 61, etag = NULL;
               UPDATE remote_refusal SET refused_at = refused_at - 61, until = until - 61;";
    manifest.execute_batch(all).unwrap();
}

fn one(site: &Site, path: &str) -> Value {
    let page = site.server.json(path);
    assert_eq!(page["files"].as_array().unwrap().len(), 1, "{page}");
    page["files"][0].clone()
}

#[test]
fn a_page_without_one_usable_file_is_no_project_and_hides_nothing() {
    let demo = Wheel::new("demo", "1.0");
    let full = Server::start();
    full.route("/simple/demo/", html("demo", &full.wheel(&demo.filename(), &demo.bytes())));
    let young = format!(
        r#"{{"meta":{{"api-version":"1.1"}},"name":"demo","versions":["2.0"],"files":[{{"filename":"demo-2.0-py3-none-any.whl",
           "url":"/x.whl","hashes":{{"sha256":"{}"}},"size":9,"upload-time":"2026-01-01T00:00:00Z"}}]}}"#,
        "0".repeat(64)
    );
    let eggs = "<a href=\"/files/demo-1.0-py2.7.egg\">demo-1.0-py2.7.egg</a>";
    let unhashed = "<a href=\"/files/demo-3.0-py3-none-any.whl\">demo-3.0-py3-none-any.whl</a>";
    let other = Wheel::new("other", "1.0");
    let near = Server::start();
    let empty_json = r#"{"meta":{"api-version":"1.1"},"name":"demo","versions":[],"files":[]}"#;
    let flat = html("all", &near.wheel(&other.filename(), &other.bytes()));
    for (what, reply, options) in [
        ("empty HTML", html("demo", ""), vec![]),
        ("empty JSON", Reply::json(empty_json), vec![]),
        ("eggs", html("demo", eggs), vec![]),
        ("unhashed", html("demo", unhashed), vec![]),
        ("too young", Reply::json(young), vec!["--min-age", "36500d"]),
        ("a flat page of others", flat, vec!["flat"]),
    ] {
        let url = if options == ["flat"] { near.url("/all.html") } else { near.url("/simple/") };
        let options = if options == ["flat"] { vec![] } else { options };
        near.route("/simple/demo/", reply.clone());
        near.route("/all.html", reply.clone());
        // Two remotes of one collection; the nearer one of two collections, whose farther one has a remote or a file of its own.
        for place in ["beside", "remote", "own"] {
            let env = Env::new();
            env.ok(["collection", "create", "cuda"]);
            env.ok(["collection", "create", "shared"]);
            env.ok(["collection", "set", "cuda", "--fallback", "shared"]);
            env.ok([&["remote", "add", "near", &url, "--collection", "cuda", "--priority", "1"], &options[..]].concat());
            let full = full.url("/simple/");
            match place {
                "beside" => _ = env.ok(["remote", "add", "full", &full, "--collection", "cuda", "--priority", "5"]),
                "remote" => _ = env.ok(["remote", "add", "full", &full, "--collection", "shared"]),
                _ => add(&env, "shared", std::slice::from_ref(&demo)),
            }
            let site = Site::of(env, &[]);
            for round in ["asked", "remembered"] {
                let names = listed(&site, "/cuda/simple/demo/", None);
                assert_eq!(names, [demo.filename()], "{what}, {place}, {round}");
            }
            assert_eq!(site.server.get("/cuda/simple/nowhere/").status, 404, "{what}");
            let path = file_path(&demo.filename(), &demo.bytes());
            assert!(site.server.get(&format!("/cuda{path}")).body == demo.bytes(), "{what}, {place}");
            site.env.ok(["lookup", "demo", "--collection", "cuda"]);
            site.end();
        }
        // Where nobody has it, it isn't there.
        let env = Env::new();
        env.ok([&["remote", "add", "near", &url], &options[..]].concat());
        let site = Site::of(env, &[]);
        assert_eq!(site.server.get("/shared/simple/demo/").status, 404, "{what}");
        site.end();
    }
}

#[test]
fn while_a_remote_fails_what_it_said_before_holds() {
    let demo = Wheel::new("demo", "1.0");
    let server = Server::start();
    server.route("/simple/demo/", html("demo", &server.wheel(&demo.filename(), &demo.bytes())));
    let env = Env::new();
    env.ok(["remote", "add", "up", &server.url("/simple/")]);
    let site = Site::of(env, &[]);
    assert_eq!(listed(&site, "/shared/simple/demo/", None), [demo.filename()]);
    assert_eq!(site.server.get("/shared/simple/gone/").status, 404);
    let asked = |path: &str| server.paths().iter().filter(|asked| *asked == path).count();
    let count = || (asked("/simple/demo/"), asked("/simple/gone/"));
    // For a minute nobody asks again, another process neither.
    let site = Site::of(site.end(), &[]);
    assert_eq!(listed(&site, "/shared/simple/demo/", None), [demo.filename()]);
    assert_eq!(site.server.get("/shared/simple/gone/").status, 404);
    assert_eq!(count(), (1, 1));
    let mut site = later(site);
    server.route("/simple/demo/", Reply::status(500)).route("/simple/gone/", Reply::status(500));
    // It is asked, and fails; then that is remembered, also by another process.
    for round in ["asked", "remembered", "remembered still"] {
        assert_eq!(listed(&site, "/shared/simple/demo/", None), [demo.filename()], "{round}");
        let gone = site.server.get("/shared/simple/gone/").status;
        assert!(gone == 404 || round == "asked", "{round}: {gone}");
        site = Site::of(site.end(), &[]);
    }
    let before = count();
    listed(&site, "/shared/simple/demo/", None);
    site.server.get("/shared/simple/gone/");
    assert_eq!(count(), before, "who failed is left alone");
    site.end();
}

#[test]
fn a_link_without_a_digest_leads_to_the_file_once_it_is_here_too() {
    let demo = Wheel::new("demo", "1.0");
    let server = Server::start();
    let path = format!("/files/{}", demo.filename());
    server.route("/simple/demo/", html("demo", &format!("<a href=\"{path}\">x</a>")));
    server.route(&path, Reply::file(demo.bytes()));
    let env = Env::new();
    env.ok(["remote", "add", "up", &server.url("/simple/"), "--trust-unhashed"]);
    let site = Site::of(env, &[]);
    let page = site.server.get("/shared/simple/demo/").text();
    let (_, link) = page.split_once("href=\"").unwrap();
    let link = url::Url::parse(&site.server.url("/shared/simple/demo/")).unwrap().join(link.split_once('"').unwrap().0);
    let link = link.unwrap().path().to_owned();
    assert!(link.contains("/unhashed/"), "{link}");
    site.env.ok(["pull", "demo"]);
    // Pages of before lead to it still; to what came with a digest no such link leads.
    assert!(site.server.get(&link).body == demo.bytes(), "{}", site.server.get(&link));
    let own = Wheel::new("own", "1.0");
    site.add("shared", std::slice::from_ref(&own));
    assert_eq!(site.server.get(&link.replace("demo", "own")).status, 404);
    site.end();
}

#[test]
fn metadata_comes_from_the_wheel_where_the_sidecar_is_withheld_or_wrong() {
    let demo = Wheel::new("demo", "1.0").requires("other>=2");
    let (name, bytes) = (demo.filename(), demo.bytes());
    let env = Env::new();
    add(&env, "own", std::slice::from_ref(&demo));
    let site = Site::of(env, &[]);
    let metadata = site.server.get(&(file_path(&name, &bytes) + ".metadata")).body;
    site.end();
    let (right, wrong) = (format!("sha256={}", sha256(&metadata)), format!("sha256={}", "0".repeat(64)));
    let whole = || Reply::file(bytes.as_slice());
    let others: &[u8] = b"Metadata-Version: 2.1\nName: other\nVersion: 9\n";
    let sidecar = |body: &[u8]| Reply::bytes("application/octet-stream", body);
    let long = format!("{}Summary: {}\n", String::from_utf8_lossy(others), "x".repeat(17 << 20));
    for (what, claim, sidecar, file) in [
        ("401", right.as_str(), Reply::status(401), whole()),
        ("403", &right, Reply::status(403), whole()),
        ("404", &right, Reply::status(404), whole()),
        ("451", &right, Reply::status(451), whole()),
        ("500", "true", Reply::status(500), whole()),
        ("a login page", "true", Reply::redirect(302, "/login"), whole()),
        ("another's", "true", sidecar(others), whole()),
        ("too long", "true", sidecar(long.as_bytes()), whole()),
        ("cut short", &right, sidecar(&metadata).cut_at(9), whole()),
        ("wrong claim", &wrong, sidecar(&metadata), whole()),
        ("wrong claim, no sidecar", &wrong, Reply::status(404), whole()),
        ("ranges ignored", &right, Reply::status(404), whole().ignoring_ranges()),
        ("ranges wrong", &right, Reply::status(404), whole().wrong_ranges()),
        ("ranges refused", &right, Reply::status(404), whole().refusing_ranges()),
        ("none announced", "", Reply::status(404), whole().refusing_ranges()),
    ] {
        let server = Server::start();
        let attribute = if claim.is_empty() { String::new() } else { format!(" data-core-metadata=\"{claim}\"") };
        let link = format!("<a href=\"/files/{name}#sha256={}\"{attribute}>{name}</a>", sha256(&bytes));
        server.route("/simple/demo/", html("demo", &link)).route("/login", html("sign in", ""));
        server.route(&format!("/files/{name}"), file).route(&format!("/files/{name}.metadata"), sidecar);
        let env = Env::new();
        env.ok(["remote", "add", "r", &server.url("/simple/")]);
        let site = Site::of(env, &[]);
        let told = |site: &Site| one(site, "/shared/simple/demo/")["core-metadata"].clone();
        assert_eq!(told(&site), Value::Bool(true), "{what}: nobody has seen its bytes yet");
        let heard = site.server.get(&format!("/shared{}.metadata", file_path(&name, &bytes)));
        assert!(heard.status == 200 && heard.body == metadata, "{what}: {heard}");
        let after = told(&site);
        assert!(after == Value::Bool(true) || after["sha256"] == sha256(&metadata), "{what}: {after}");
        site.end();
    }
}

#[test]
fn an_sdists_metadata_is_announced_nowhere() {
    let sdist = Sdist::new("demo", "1.0");
    let (name, bytes) = (sdist.filename(), sdist.bytes());
    let server = Server::start();
    let link = format!("<a href=\"/f/{name}#sha256={}\" data-core-metadata=\"true\">{name}</a>", sha256(&bytes));
    server.route("/simple/demo/", html("demo", &link)).route(&format!("/f/{name}"), Reply::file(bytes.as_slice()));
    server.route(
        &format!("/f/{name}.metadata"),
        Reply::bytes("text/plain", "Metadata-Version: 2.2\nName: demo\nVersion: 1.0\n"),
    );
    let env = Env::new();
    env.ok(["remote", "add", "r", &server.url("/simple/")]);
    let site = Site::of(env, &[]);
    let path = format!("/shared{}", file_path(&name, &bytes));
    for round in ["remote", "own"] {
        assert!(one(&site, "/shared/simple/demo/").get("core-metadata").is_none(), "{round}");
        assert_eq!(site.server.get(&format!("{path}.metadata")).status, 404, "{round}");
        site.server.get(&path).assert_brings(&bytes);
    }
    site.env.ok(["view", "--collection", "shared", "--to", site.env.path("tree").to_str().unwrap()]);
    let page = std::fs::read_to_string(site.env.path("tree/simple/demo/index.html")).unwrap();
    assert!(page.contains(&name) && !page.contains("metadata"), "{page}");
    assert!(!site.env.path(format!("tree/simple/demo/{name}.metadata")).exists());
    site.end();
}

#[test]
fn a_head_of_a_remotes_file_says_its_size() {
    let demo = Wheel::new("demo", "1.0").payload(70_000, 1);
    let (name, bytes) = (demo.filename(), demo.bytes());
    for has_size in [true, false] {
        let server = Server::start();
        let size = if has_size { format!(",\"size\":{}", bytes.len()) } else { String::new() };
        let hash = sha256(&bytes);
        let page = format!(
            "{{\"meta\":{{\"api-version\":\"1.1\"}},\"name\":\"demo\",\"versions\":[],\"files\":[{{\"filename\":\"{name}\",\
             \"url\":\"/files/{name}\",\"hashes\":{{\"sha256\":\"{hash}\"}}{size}}}]}}"
        );
        server
            .route("/simple/demo/", Reply::json(page))
            .route(&format!("/files/{name}"), Reply::file(bytes.as_slice()));
        let env = Env::new();
        env.ok(["remote", "add", "r", &server.url("/simple/")]);
        let site = Site::of(env, &[]);
        let path = format!("/shared{}", file_path(&name, &bytes));
        for _ in 0..2 {
            let heard = site.server.ask("HEAD", &path, &[]);
            assert_eq!((heard.status, heard.header("content-length")), (200, bytes.len().to_string().as_str()));
            site.server.get(&path).assert_brings(&bytes);
        }
        site.end();
    }
}

#[test]
fn a_file_that_moved_or_whose_link_ended_is_asked_for_at_its_new_link() {
    let demo = Wheel::new("demo", "1.0").requires("other");
    let (name, bytes) = (demo.filename(), demo.bytes());
    let link = |path: &str| format!("<a href=\"{path}#sha256={}\">{name}</a>", sha256(&bytes));
    let path = format!("/shared{}", file_path(&name, &bytes));
    for (what, old, new, gone) in [
        ("moved", format!("/old/{name}"), format!("/new/{name}"), 404),
        ("gone", format!("/old/{name}"), format!("/new/{name}"), 410),
        ("signed", format!("/signed-1/{name}"), format!("/signed-2/{name}"), 403),
    ] {
        for wanted in ["file", "metadata", "pull", "lookup"] {
            let server = Server::start();
            server.sequence("/simple/demo/", [html("demo", &link(&old)), html("demo", &link(&new))]);
            server.route(&old, Reply::status(gone)).route(&new, Reply::file(bytes.as_slice()));
            let env = Env::new();
            env.ok(["remote", "add", "r", &server.url("/simple/")]);
            let site = Site::of(env, &[]);
            assert_eq!(listed(&site, "/shared/simple/demo/", None), std::slice::from_ref(&name));
            match wanted {
                "file" => site.server.get(&path).assert_brings(&bytes),
                "metadata" => assert_eq!(site.server.get(&format!("{path}.metadata")).status, 200, "{what}"),
                "pull" => _ = site.env.ok(["pull", "demo"]),
                _ => _ = site.env.ok(["lookup", "demo"]),
            }
            site.end();
        }
    }
    // Gone at first, and listed elsewhere a minute later.
    let server = Server::start();
    server.route("/simple/demo/", html("demo", &link(&format!("/old/{name}"))));
    let env = Env::new();
    env.ok(["remote", "add", "r", &server.url("/simple/")]);
    let site = Site::of(env, &[]);
    assert_eq!(listed(&site, "/shared/simple/demo/", None), std::slice::from_ref(&name));
    assert_eq!(site.server.get(&path).status, 404);
    assert!(listed(&site, "/shared/simple/demo/", None).is_empty(), "what isn't there isn't listed");
    server
        .route("/simple/demo/", html("demo", &link(&format!("/new/{name}"))))
        .route(&format!("/new/{name}"), Reply::file(bytes.as_slice()));
    let site = later(site);
    assert_eq!(listed(&site, "/shared/simple/demo/", None), std::slice::from_ref(&name));
    site.server.get(&path).assert_brings(&bytes);
    site.end();
}

#[test]
fn a_yank_upstream_reaches_what_was_pulled_and_a_persons_word_stays() {
    let wheels = [Wheel::new("demo", "1.0"), Wheel::new("demo", "1.1"), Wheel::new("demo", "1.2")];
    let server = Server::start();
    let page = |yanked: &[&str]| {
        let link = |wheel: &Wheel| {
            let name = wheel.filename();
            let is_yanked = yanked.iter().any(|version| name.contains(version));
            let mark = if is_yanked { " data-yanked=\"broken\"" } else { "" };
            server.wheel(&name, &wheel.bytes()).replace("<a ", &format!("<a{mark} "))
        };
        server.route("/simple/demo/", html("demo", &wheels.iter().map(link).collect::<String>()));
    };
    page(&[]);
    let env = Env::new();
    env.ok(["remote", "add", "r", &server.url("/simple/")]);
    env.ok(["pull", "demo==1.1"]);
    env.ok(["pull", "demo==1.2"]);
    let site = Site::of(env, &[]);
    let yanks = |site: &Site| {
        let page = site.server.json("/shared/simple/demo/");
        let files = page["files"].as_array().unwrap().iter();
        let mut yanked: Vec<_> =
            files.filter(|file| file.get("yanked").is_some()).map(|file| file["filename"].clone()).collect();
        yanked.sort_by_key(|name| name.to_string());
        yanked
    };
    assert!(yanks(&site).is_empty());
    page(&["-1.1-", "-1.2-"]);
    let site = later(site);
    assert_eq!(yanks(&site), [wheels[1].filename(), wheels[2].filename()], "at once, in the answer that learns of it");
    let found = site.env.json(["lookup", "demo"]);
    assert_eq!(
        found["distributions"].as_array().map_or(&found["filename"], |all| &all[0]["filename"]),
        &wheels[0].filename()
    );
    // A person takes one back: the same page again doesn't change that, whatever else it changes.
    site.env.ok(["unyank", "demo==1.2"]);
    page(&["-1.0-", "-1.1-", "-1.2-"]);
    let site = later(site);
    assert_eq!(yanks(&site), [wheels[0].filename(), wheels[1].filename()]);
    page(&["-1.0-", "-1.2-"]);
    let site = later(site);
    assert_eq!(yanks(&site), [wheels[0].filename()], "upstream takes one back");
    let log = site.env.ok(["log"]).stdout;
    assert!(log.contains("yank"), "{log}");
    site.end();
}

#[test]
fn what_is_lost_here_comes_back_from_who_offers_the_same_bytes() {
    let (demo, changed) = (Wheel::new("demo", "1.0"), Wheel::new("demo", "1.0").payload(500, 7));
    let (name, bytes) = (demo.filename(), demo.bytes());
    let server = Server::start();
    server.route("/simple/demo/", html("demo", &server.wheel(&name, &bytes)));
    for (what, offered) in [("same", &demo), ("other", &changed)] {
        server.route("/simple/demo/", html("demo", &server.wheel(&name, &bytes)));
        let env = Env::new();
        env.ok(["remote", "add", "r", &server.url("/simple/")]);
        env.ok(["pull", "demo"]);
        env.ok(["yank", "demo", "--reason", "ours"]);
        let blob = env.json(["show", "demo"])["distributions"][0]["path"].as_str().unwrap().to_owned();
        std::fs::remove_file(blob).unwrap();
        server.route("/simple/demo/", html("demo", &server.wheel(&offered.filename(), &offered.bytes())));
        minute_passes(&env);
        let site = Site::of(env, &[]);
        let path = file_path(&name, &bytes);
        if what == "same" {
            site.server.get(&path).assert_brings(&bytes);
            assert_eq!(site.server.get(&format!("{path}.metadata")).status, 200);
            assert_eq!(one(&site, "/shared/simple/demo/")["yanked"], "ours");
            site.end();
        } else {
            // Other bytes under its name are not what was lost.
            assert_eq!(site.server.get(&path).status, 503);
            assert_eq!(site.server.get(&file_path(&name, &changed.bytes())).status, 404);
            assert!(listed(&site, "/shared/simple/demo/", None).is_empty());
            site.server.stop();
        }
    }
}

#[test]
fn a_bare_plus_in_a_link_goes_out_as_pip_sends_it() {
    let demo = Wheel::new("demo", "1.0+cu126");
    let (name, bytes) = (demo.filename(), demo.bytes());
    for href in [name.clone(), name.replace('+', "&#43;"), name.replace('+', "%2B"), name.replace('+', "%2b")] {
        let server = Server::start();
        let link = format!("<a href=\"/whl+x/{href}#sha256={}\">{name}</a>", sha256(&bytes));
        server.route("/simple/demo/", html("demo", &link));
        for sent in ["%2B", "%2b"] {
            // A store of objects, in whose paths a bare plus is a space.
            server.route(&format!("/whl%2Bx/{}", name.replace('+', sent)), Reply::file(bytes.as_slice()));
        }
        let env = Env::new();
        env.ok(["remote", "add", "r", &server.url("/simple/")]);
        env.ok(["lookup", "demo"]);
        let asked = server.paths();
        assert!(asked.iter().all(|path| !path.contains('+')), "{href}: {asked:?}");
    }
}

#[test]
fn what_a_server_fetches_is_counted_for_its_remote() {
    let (demo, lost) = (Wheel::new("demo", "1.0").payload(50_000, 3), Wheel::new("lost", "1.0"));
    let server = Server::start();
    server.route("/simple/demo/", html("demo", &server.wheel(&demo.filename(), &demo.bytes())));
    server.route("/simple/lost/", html("lost", &server.wheel(&lost.filename(), &lost.bytes())));
    server.route(&format!("/files/{}", lost.filename()), Reply::status(500));
    let env = Env::new();
    env.ok(["remote", "add", "mirror", &server.url("/simple/")]);
    let site = Site::of(env, &[]);
    let get =
        |wheel: &Wheel| site.server.get(&format!("/shared{}", file_path(&wheel.filename(), &wheel.bytes()))).status;
    assert_eq!(get(&demo), 200);
    assert!(get(&lost) >= 500);
    let rows = site.env.json(["stats"])["remotes"].as_array().unwrap().clone();
    let row = rows.iter().find(|row| row["name"] == "mirror").unwrap_or_else(|| panic!("{rows:?}"));
    let count = |key: &str| row[key].as_u64().unwrap_or_else(|| panic!("{key}: {row}"));
    assert_eq!((count("hits"), count("failures")), (1, 1), "{row}");
    assert_eq!(count("bytes"), demo.bytes().len() as u64, "{row}");
    site.end();
}

#[test]
fn a_page_that_can_not_be_understood_is_no_answer_now_and_a_moment_later() {
    let server = Server::start();
    let newer = "{\"meta\":{\"api-version\":\"9.0\"},\"name\":\"demo\",\"files\":[]}";
    server.route("/simple/demo/", Reply::json(newer));
    let env = Env::new();
    env.ok(["remote", "add", "r", &server.url("/simple/")]);
    let site = Site::of(env, &[]);
    // Nobody knows what it says: it may well have the project.
    for _ in 0..3 {
        let heard = site.server.get("/shared/simple/demo/");
        assert_eq!(heard.status, 503, "{heard}");
    }
    assert_eq!(server.paths().iter().filter(|path| path.as_str() == "/simple/demo/").count(), 1, "it is remembered");
    site.end();
}
