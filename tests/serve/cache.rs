//! The cache for builders: what it offers, what it hides, and that nothing makes it fail or wait.

use crate::site::{FROMAGER, Site, add, sha256};
use crate::support::{Env, Heard, Reply, Server, WcasServer, Wheel};
use std::time::{Duration, Instant};

/// What a lookup may take at most.
const LIMIT: Duration = Duration::from_secs(2);

fn page(site: &Site, path: &str) -> Heard {
    let begin = Instant::now();
    let heard = site.server.ask("GET", path, &[("Accept", FROMAGER)]);
    assert!(begin.elapsed() < LIMIT, "{path} took {:?}", begin.elapsed());
    assert!(matches!(heard.status, 200 | 404), "{path}: {heard}");
    heard
}

/// Returns the filenames of a page; none: it is a 404.
fn listed(site: &Site, path: &str) -> Vec<String> {
    page(site, path).files()
}

/// Returns a file's path as a page links to it.
fn link(site: &Site, page_path: &str, filename: &str) -> String {
    let heard = page(site, page_path);
    let page: serde_json::Value = serde_json::from_str(&heard.text()).unwrap();
    let file = page["files"].as_array().unwrap().iter().find(|file| file["filename"] == filename).unwrap();
    let url = file["url"].as_str().unwrap();
    let base = url::Url::parse(&site.server.url(page_path)).unwrap();
    base.join(url).unwrap().path().to_owned()
}

fn wheel(version: &str, build: &str) -> Wheel {
    Wheel::new("demo-gpu", version).build(build).tags("cp312-cp312-linux_x86_64").payload(3000, version.len() as u64)
}

fn wheels() -> Vec<Wheel> {
    vec![
        wheel("1.0+cu126", "1"),
        wheel("1.0+rocm6", "1"),
        wheel("1.0+cpu", "1"),
        wheel("1.0", "2_el9_cuda"),
        wheel("1.0", "3_el9_rocm6"),
        wheel("1.0", "12"),
        Wheel::new("demo-gpu", "0.9"),
    ]
}

fn names(wheels: &[&Wheel]) -> Vec<String> {
    let mut names: Vec<String> = wheels.iter().map(|wheel| wheel.filename()).collect();
    names.sort();
    names
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn x12_a_cache_hides_what_its_client_would_take_by_mistake() {
    let env = Env::new();
    let all = wheels();
    let [cuda, rocm, cpu, built_cuda, built_rocm, high, plain] = &all[..] else { unreachable!() };
    add(&env, "shared", &all);
    // What it has itself nobody holds back.
    add(&env, "cuda", &all);
    env.ok(["collection", "create", "cpu"]);
    env.ok(["collection", "set", "cpu", "--fallback", "shared"]);
    let sdist = crate::support::Sdist::new("demo-gpu", "0.8").write_to(env.path("sdist"));
    env.ok(["import", "--collection", "cuda", sdist.to_str().unwrap()]);
    env.ok(["invalidate", "demo-gpu==0.8", "--collection", "cuda"]);
    let site = Site::of(env, &[]);
    let at = |path: &str| sorted(listed(&site, path));
    let index = site.server.json("/cuda/simple/demo-gpu/")["files"].as_array().unwrap().len();
    assert_eq!(index, 7, "the index shows all");
    assert_eq!(at("/cuda/cache/simple/demo-gpu/"), names(&[cuda, built_cuda, high, plain]));
    assert_eq!(at("/cpu/cache/simple/demo-gpu/"), names(&[cpu, high, plain]));
    assert_eq!(at("/shared/cache/simple/demo-gpu/").len(), 7, "no accelerator is foreign there");
    for (rules, seen) in [
        ("max-build=2", vec![cuda, built_cuda, plain]),
        ("suffix=_el9_cuda", vec![built_cuda, plain]),
        ("suffix=_el9_cuda&max-build=1", vec![plain]),
        ("local=none", vec![built_cuda, built_rocm, high, plain]),
        ("local=any", all.iter().collect()),
        ("files=fromager", vec![]),
    ] {
        let seen = names(&seen);
        assert_eq!(at(&format!("/cuda/cache/{rules}/simple/demo-gpu/")), seen, "{rules} in the path");
        assert_eq!(at(&format!("/cuda/cache/simple/demo-gpu/?{rules}")), seen, "{rules} in the query");
        // Asked again, it comes from memory.
        assert_eq!(at(&format!("/cuda/cache/{rules}/simple/demo-gpu/")), seen, "{rules} again");
    }
    assert_eq!(at("/cuda/cache/simple/demo-gpu/"), names(&[cuda, built_cuda, high, plain]), "no query leaves a trace");
    assert_eq!(page(&site, "/cuda/cache/simple/demo-gpu/?max-build=x").status, 404);
    // The collection's own rules, where the URL has none of that kind.
    site.env.ok(["collection", "set", "cuda", "--cache", "max-build=2&local=any"]);
    assert_eq!(at("/cuda/cache/simple/demo-gpu/"), names(&[cuda, rocm, cpu, built_cuda, plain]));
    assert_eq!(at("/cuda/cache/max-build=1/simple/demo-gpu/"), names(&[cuda, rocm, cpu, plain]));
    let list = site.env.ok(["collection", "list"]);
    assert!(list.stdout.contains("cache max-build=2&local=any"));
    let config = site.env.ok(["config", "show"]).stdout;
    assert!(config.contains("cache = \"max-build=2&local=any\""), "{config}");
    site.env.ok(["collection", "set", "cuda", "--cache", "none"]);
    assert_eq!(at("/cuda/cache/simple/demo-gpu/"), names(&[cuda, built_cuda, high, plain]));
    let refused = site.env.run(["collection", "set", "cuda", "--cache", "builds=2"]);
    assert!(refused.code == 2 && refused.stderr.contains("max-build=NUMBER"));
    // Another accelerator's file isn't to be had either, whoever knows its address.
    let path = |wheel: &Wheel| format!("/cuda/cache/files/{}/{}", sha256(&wheel.bytes()), wheel.filename());
    assert_eq!(site.server.get(&path(cuda)).status, 200);
    assert_eq!(site.server.get(&path(rocm)).status, 410);
    assert_eq!(site.server.get(&path(&Wheel::new("demo-gpu", "7.0"))).status, 404);
    site.end();
}

#[test]
fn c1_nothing_is_hidden_by_a_nearer_collection_but_farther_remotes() {
    let env = Env::new();
    let [new, old, again] =
        [("2.0", 1), ("1.0", 2), ("2.0", 3)].map(|(version, seed)| Wheel::new("demo", version).payload(9, seed));
    add(&env, "cuda", std::slice::from_ref(&new));
    add(&env, "shared", &[old.clone(), again]);
    env.ok(["collection", "set", "cuda", "--fallback", "shared"]);
    let outside = Wheel::new("demo", "9.0");
    let remote = remote(&outside, "demo", Reply::html);
    let own = Wheel::new("demo", "8.0");
    let cache = self::remote(&own, "demo", Reply::html);
    env.ok(["remote", "add", "up", &remote.url("/simple/"), "--collection", "shared"]);
    env.ok(["remote", "add", "ours", &cache.url("/simple/"), "--collection", "shared", "--ours"]);
    let site = Site::of(env, &[]);
    assert_eq!(sorted(listed(&site, "/cuda/simple/demo/")), names(&[&new]), "the index");
    assert_eq!(sorted(listed(&site, "/cuda/cache/simple/demo/")), names(&[&old, &new, &own]), "and a cache of ours");
    for wheel in [&new, &old] {
        let path = link(&site, "/cuda/cache/simple/demo/", &wheel.filename());
        assert_eq!(site.server.get(&path).body, wheel.bytes(), "{path}");
        assert_eq!(site.server.get(&format!("{path}.metadata")).status, 200, "{path}");
    }
    assert_eq!(sorted(listed(&site, "/shared/cache/simple/demo/")), names(&[&old, &new, &own]));
    site.env.ok(["route", "set", "cuda", "--strategy", "union"]);
    assert_eq!(sorted(listed(&site, "/cuda/cache/simple/demo/")), names(&[&old, &new, &own]));
    // Our own builds are enough for that, also where strangers may be asked for the project.
    site.env.ok(["remote", "remove", "ours"]);
    for collection in ["cuda", "shared"] {
        site.env.ok(["collection", "set", collection, "--open", "demo"]);
    }
    assert_eq!(sorted(listed(&site, "/cuda/cache/simple/demo/")), names(&[&old, &new]));
    assert_eq!(remote.paths(), [""; 0], "a stranger isn't even asked for what somebody of ours has");
    site.end();
}

#[test]
fn files_of_a_cache_come_with_a_literal_plus_their_sidecars_and_ranges() {
    let env = Env::new();
    let wheel = wheel("1.0+cu126", "1");
    add(&env, "cuda", std::slice::from_ref(&wheel));
    let site = Site::of(env, &[]);
    for at in ["/cuda/cache/simple/demo-gpu/", "/cuda/cache/max-build=3/simple/demo-gpu/"] {
        let path = link(&site, at, &wheel.filename());
        assert!(path.ends_with(&format!("/{}", wheel.filename())) && path.contains("+cu126"), "{path}");
        assert_eq!(site.server.get(&path).body, wheel.bytes());
        let sidecar = site.server.get(&format!("{path}.metadata"));
        assert!(sidecar.status == 200 && sidecar.text().contains("Name: demo-gpu"), "{sidecar}");
        let part = site.server.ask("GET", &path, &[("Range", "bytes=0-3")]);
        assert_eq!((part.status, &part.body[..]), (206, &b"PK\x03\x04"[..]));
    }
    // A yanked one is withdrawn, and so is one that was invalidated.
    let path = link(&site, "/cuda/cache/simple/demo-gpu/", &wheel.filename());
    site.env.ok(["yank", "demo-gpu==1.0+cu126", "--collection", "cuda"]);
    assert_eq!((listed(&site, "/cuda/cache/simple/demo-gpu/").len(), site.server.get(&path).status), (0, 410));
    site.env.ok(["unyank", "demo-gpu==1.0+cu126", "--collection", "cuda"]);
    assert_eq!(site.server.get(&path).status, 200);
    site.env.ok(["invalidate", "demo-gpu==1.0+cu126"]);
    assert_eq!((listed(&site, "/cuda/cache/simple/demo-gpu/").len(), site.server.get(&path).status), (0, 410));
    site.end();
}

#[test]
fn only_fromagers_own_wheels_where_that_is_asked_for() {
    let env = Env::new();
    let built = Wheel::new("demo", "1.0")
        .build("0")
        .member("demo-1.0.dist-info/fromager-build-system-requirements.txt", "setuptools\n");
    let other = Wheel::new("demo", "1.1");
    add(&env, "cuda", &[built.clone(), other.clone()]);
    env.ok(["collection", "set", "cuda", "--cache", "files=fromager"]);
    let site = Site::of(env, &[]);
    assert_eq!(listed(&site, "/cuda/cache/simple/demo/"), names(&[&built]));
    assert_eq!(sorted(listed(&site, "/cuda/cache/files=any/simple/demo/")), names(&[&built, &other]));
    site.end();
}

#[test]
fn damaged_bytes_are_a_miss() {
    let env = Env::new();
    let wheel = wheel("1.0+cu126", "1");
    add(&env, "cuda", std::slice::from_ref(&wheel));
    let site = Site::of(env, &[]);
    let path = link(&site, "/cuda/cache/simple/demo-gpu/", &wheel.filename());
    let name = wcas::digest::Digests::of(&wheel.bytes()).blake3.to_string();
    let blob = site.env.store().join("blobs/b3").join(&name[..2]).join(name);
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, b"other").unwrap();
    assert_eq!(site.server.get(&path).status, 404);
    assert_eq!(listed(&site, "/cuda/cache/simple/demo-gpu/").len(), 0, "what is lost isn't listed");
    site.server.stop();
}

#[test]
fn a_bit_that_the_disk_lost_is_found_before_the_first_byte_goes_out() {
    use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
    let env = Env::new();
    let wheel = Wheel::new("demo", "1.0").payload(200_000, 1);
    add(&env, "cuda", std::slice::from_ref(&wheel));
    let name = wcas::digest::Digests::of(&wheel.bytes()).blake3.to_string();
    let blob = env.store().join("blobs/b3").join(&name[..2]).join(name);
    let before = std::fs::metadata(&blob).unwrap();
    std::fs::set_permissions(&blob, std::fs::Permissions::from_mode(0o644)).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&blob).unwrap();
    file.write_all_at(b"?", 100_000).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    drop(file);
    let site = Site::of(env, &[]);
    let path = format!("/cuda/cache/files/{}/{}", sha256(&wheel.bytes()), wheel.filename());
    for turn in 0..2 {
        assert_ne!(site.server.get(&path).status, 200, "{turn}");
    }
    assert_eq!(listed(&site, "/cuda/cache/simple/demo/").len(), 0);
    assert_eq!(site.server.metric("wcas_bad_blobs_total"), 1.0);
    site.server.stop();
}

#[test]
fn a_cache_is_a_remote_of_another() {
    let env = Env::new();
    let own = [wheel("1.0+cu126", "1"), wheel("1.0+rocm6", "1")];
    add(&env, "cuda", &own);
    let first = Site::of(env, &[]);
    let second = behind(&[("team", first.server.url("/cuda/cache/simple/"))]);
    for at in ["/cuda/cache/simple/demo-gpu/", "/cuda/simple/demo-gpu/"] {
        assert_eq!(listed(&second, at), [own[0].filename()], "{at}");
    }
    let path = link(&second, "/cuda/cache/simple/demo-gpu/", &own[0].filename());
    assert_eq!(second.server.get(&path).body, own[0].bytes());
    assert_eq!(page(&second, "/cuda/cache/simple/absent/").status, 404);
    first.end();
    // What was pulled is here, whether or not who had it answers.
    let second = Site::of(second.end(), &[]);
    second.env.ok(["remote", "set", "team", "--url", &Server::nobody()]);
    assert_eq!(listed(&second, "/cuda/cache/simple/demo-gpu/"), [own[0].filename()]);
    second.end();
}

/// A remote that offers a project's wheel, and answers its page so.
fn remote(wheel: &Wheel, project: &str, page: impl FnOnce(String) -> Reply) -> Server {
    let server = Server::start();
    let link = server.wheel(&wheel.filename(), &wheel.bytes());
    server.route(&format!("/simple/{project}/"), page(link));
    server
}

fn behind(remotes: &[(&str, String)]) -> Site {
    let env = Env::new();
    for (name, url) in remotes {
        env.ok(["remote", "add", name, url, "--collection", "cuda", "--ours"]);
    }
    let server = WcasServer::start(&env, &[]);
    Site { env, server }
}

#[test]
fn remotes_that_fail_hang_or_lie_are_misses_and_the_others_count() {
    let wheel = Wheel::new("demo", "1.0").payload(50_000, 5);
    let good = remote(&wheel, "demo", Reply::html);
    let other = Wheel::new("other", "1.0");
    let link = good.wheel(&other.filename(), &other.bytes());
    good.route("/simple/other/", Reply::html(link));
    let hanging = remote(&wheel, "demo", |_| Reply::hang());
    hanging.route("/simple/other/", Reply::hang());
    let failing = remote(&wheel, "demo", |_| Reply::status(500));
    let slow = remote(&wheel, "demo", |link| Reply::html(link).drip(40, Duration::from_millis(100)));
    for (name, first) in [
        ("down", Server::nobody()),
        ("hanging", hanging.url("")),
        ("failing", failing.url("")),
        ("resetting", Server::resetting().url("")),
    ] {
        let site = behind(&[("first", format!("{first}/simple/")), ("second", good.url("/simple/"))]);
        // The one beside it may be asked only when the time is up; then the next lookup has it.
        let path = "/cuda/cache/simple/demo/";
        let found = (0..2).map(|_| listed(&site, path)).find(|names| !names.is_empty());
        let begin = Instant::now();
        assert_eq!(listed(&site, "/cuda/cache/simple/other/"), names(&[&other]), "{name}");
        assert!(begin.elapsed() < Duration::from_secs(1), "{name}: it is left alone now: {:?}", begin.elapsed());
        let found = found.unwrap_or_else(|| listed(&site, path));
        assert_eq!(found, names(&[&wheel]), "{name}");
        let path = self::link(&site, path, &wheel.filename());
        assert_eq!(site.server.get(&path).body, wheel.bytes(), "{name}");
        assert_eq!(page(&site, "/cuda/cache/simple/absent/").status, 404, "{name}");
        site.end();
    }
    // Where two disagree the page vouches for neither, and the honest one's bytes are given.
    let liar = Server::start();
    let link = format!("<a href=\"/files/{0}#sha256={1}\">{0}</a>", wheel.filename(), "0".repeat(64));
    liar.route("/simple/demo/", Reply::html(link));
    liar.route(&format!("/files/{}", wheel.filename()), Reply::file(b"no wheel"));
    let site = behind(&[("a-liar", liar.url("/simple/")), ("b-good", good.url("/simple/"))]);
    assert_eq!(listed(&site, "/cuda/cache/simple/demo/"), names(&[&wheel]));
    let file = self::link(&site, "/cuda/cache/simple/demo/", &wheel.filename());
    assert!(file.contains("/unhashed/"), "{file}");
    let path = |digest: &str| format!("/cuda/cache/files/{digest}/{}", wheel.filename());
    assert_eq!(site.server.get(&path(&"0".repeat(64))).status, 404);
    for turn in 0..2 {
        let heard = site.server.get(&file);
        assert!(heard.body == wheel.bytes() && heard.header("cache-control") == "no-cache", "{turn}: {heard}");
    }
    let file = self::link(&site, "/cuda/cache/simple/demo/", &wheel.filename());
    assert_eq!(file, path(&sha256(&wheel.bytes())), "now it is known which");
    assert_eq!(site.server.get(&file).body, wheel.bytes());
    // Wheels without a build tag are no builder's of ours.
    assert_eq!(listed(&site, "/cuda/cache/files=fromager/simple/other/"), [""; 0]);
    site.end();
    let site = behind(&[("slow", slow.url("/simple/"))]);
    assert_eq!(listed(&site, "/cuda/cache/simple/demo/"), names(&[&wheel]), "half a second is no failure");
    // What it said before holds where it takes longer than anybody here may wait.
    let env = site.end();
    let manifest = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
    manifest.execute("UPDATE remote_page SET fetched_at = fetched_at - 61", []).unwrap();
    slow.route("/simple/demo/", Reply::hang());
    let site = Site::of(env, &[]);
    for _ in 0..2 {
        assert_eq!(listed(&site, "/cuda/cache/simple/demo/"), names(&[&wheel]));
    }
    site.end();
    // All of a file is looked at before its first byte goes out.
    for (name, reply) in [
        ("lying", Reply::file(wheel.bytes().iter().map(|byte| byte ^ 1).collect::<Vec<_>>())),
        ("cut", Reply::file(wheel.bytes()).cut_at(20_000)),
        ("gone", Reply::status(404)),
        ("failing", Reply::status(503)),
        ("closed", Reply::hang_up()),
    ] {
        let server = remote(&wheel, "demo", Reply::html);
        server.route(&format!("/files/{}", wheel.filename()), reply);
        let site = behind(&[("only", server.url("/simple/"))]);
        let path = self::link(&site, "/cuda/cache/simple/demo/", &wheel.filename());
        let heard = site.server.get(&path);
        // A fetch that is cut goes on where it was.
        let is_right = heard.status == 404 || (name == "cut" && heard.status == 200 && heard.body == wheel.bytes());
        assert!(heard.is_whole && is_right, "{name}: {heard}");
        site.end();
    }
}

#[test]
fn what_is_asked_for_in_vain_is_wanted_until_it_comes() {
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("demo", "1.0")]);
    let site = Site::of(env, &[]);
    for path in ["/cuda/cache/simple/absent/", "/cuda/cache/simple/absent/", "/cuda/cache/simple/other/"] {
        assert_eq!(page(&site, path).status, 404);
    }
    assert_eq!(page(&site, "/nowhere/cache/simple/absent/").status, 404);
    assert_eq!(listed(&site, "/cuda/cache/simple/demo/").len(), 1);
    assert_eq!(site.server.get("/cuda/simple/elsewhere/").status, 404);
    assert!(site.server.metric("wcas_requests_total{endpoint=\"cache_page\",status=\"4xx\"}") == 4.0);
    assert!(site.server.metric("wcas_requests_total{endpoint=\"cache_page\",status=\"2xx\"}") == 1.0);
    let env = site.end();
    let wants = env.json(["wants"]);
    let rows: Vec<_> = wants["wants"].as_array().unwrap().iter().map(|row| (&row["project"], &row["count"])).collect();
    assert_eq!(rows, [(&"absent".into(), &2.into()), (&"other".into(), &1.into())], "{wants}");
    assert_eq!(wants["wants"][0]["variant"], "cuda");
    let text = env.ok(["wants", "--since", "1h"]).stdout;
    assert!(text.contains("absent") && text.contains("TIMES"), "{text}");
    assert_eq!(env.json(["wants", "--variant", "shared"])["wants"].as_array().unwrap().len(), 0);
    let site = Site::of(env, &[]);
    let page = site.server.get("/cuda/").text();
    assert!(page.contains("Wanted") && page.contains("<th scope=\"row\">absent</th>"), "{page}");
    assert_eq!(page.matches("id=\"want").count(), 2, "each id once: the heading's and the table's");
    let env = site.end();
    add(&env, "cuda", &[Wheel::new("absent", "1.0")]);
    assert_eq!(env.json(["wants"])["wants"].as_array().unwrap().len(), 1, "what has come is no want");
    assert_eq!(env.json(["wants", "--forget", "1d"])["forgotten"], 0);
    assert_eq!(env.json(["wants", "--forget", "0s"])["forgotten"], 2);
    assert_eq!(env.json(["wants"])["wants"].as_array().unwrap().len(), 0);
}

#[test]
fn many_wants_beside_a_flat_remote_cost_a_collections_page_little() {
    let (env, flat) = (Env::new(), Server::start());
    add(&env, "cuda", &[Wheel::new("demo", "1.0")]);
    let line = |number| format!("<a href=\"p{number}-1.0-py3-none-any.whl#sha256={number:064x}\">p{number}</a>\n");
    flat.route("/links.html", Reply::html((0..3000).map(line).collect::<String>()));
    env.ok(["remote", "add", "flat", &flat.url("/links.html"), "--collection", "cuda", "--ours"]);
    let site = Site::of(env, &[]);
    assert_eq!(site.server.get("/cuda/simple/p1/").status, 200);
    for number in 0..60 {
        assert_eq!(site.server.get(&format!("/cuda/cache/simple/want{number}/")).status, 404);
    }
    assert_eq!(listed(&site, "/cuda/cache/simple/p2/").len(), 1);
    // What the remote has by now is no want; that it has, its one page says.
    let manifest = rusqlite::Connection::open(site.env.store().join("manifest.sqlite")).unwrap();
    let wish = "INSERT INTO want(variant, project, count, first_at, last_at) VALUES('cuda', 'p2', 1, 1, 1)";
    manifest.execute(wish, []).unwrap();
    // The server puts what is wanted into the manifest when it ends.
    let site = Site::of(site.end(), &[]);
    let text = site.server.get("/cuda/").text();
    assert!(text.contains("more than 20 projects") && text.contains("the most wanted"), "{text}");
    let begin = Instant::now();
    site.server.get("/cuda/");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert_eq!(site.end().json(["wants"])["wants"].as_array().unwrap().len(), 60);
}
