//! `wcas serve --watch`: what appears in a folder is served, once it is whole, and by what is in it.

use crate::site::Site;
use crate::support::wait::is_in_time;
use crate::support::{Env, Sdist, WcasServer, Wheel};
use std::fs;
use std::time::{Duration, Instant};

/// Makes the folder `in`, and serves with `--watch in`.
fn watching(args: &[&str]) -> Site {
    let env = Env::new();
    fs::create_dir(env.path("in")).unwrap();
    watching_in(env, args)
}

fn watching_in(env: Env, args: &[&str]) -> Site {
    Site::of(env, &[&["--watch", "in"], args].concat())
}

fn stderr(env: &Env) -> String {
    fs::read_to_string(env.path("stderr")).unwrap_or_default()
}

/// Returns what the watch said.
fn said(env: &Env) -> Vec<String> {
    let text = stderr(env).replace(&format!("{}/", env.path("").display()).replace("//", "/"), "");
    text.lines().filter_map(|line| line.strip_prefix("watch: ")).map(str::to_owned).collect()
}

/// Waits until something holds, and tells what was said if it never does.
#[track_caller]
fn until(env: &Env, what: &str, holds: impl Fn() -> bool) {
    assert!(is_in_time(holds), "{what}:\n{}", stderr(env));
}

/// Returns the digests that a project's page lists for a filename.
fn digests(server: &WcasServer, collection: &str, project: &str, filename: &str) -> Vec<String> {
    let path = format!("/{collection}/simple/{project}/");
    let heard = server.ask("GET", &path, &[("Accept", crate::site::JSON)]);
    if heard.status == 404 {
        return Vec::new();
    }
    let page: serde_json::Value = serde_json::from_slice(&heard.body).unwrap();
    let files = page["files"].as_array().unwrap().iter();
    let named = files.filter(|file| file["filename"] == filename);
    named.map(|file| file["hashes"]["sha256"].as_str().unwrap().to_owned()).collect()
}

/// Waits until a collection's pages list exactly these bytes as this wheel.
#[track_caller]
fn served(site: &Site, collection: &str, wheel: &Wheel) {
    let project = wheel.filename().split('-').next().unwrap().replace('_', "-");
    let sha256 = crate::site::sha256(&wheel.bytes());
    until(&site.env, &format!("{} is not served", wheel.filename()), || {
        digests(&site.server, collection, &project, &wheel.filename()) == [sha256.as_str()]
    });
}

/// Puts a wheel into the folder `in`, and waits until it is served: what was there before has been looked at then.
#[track_caller]
fn passes(site: &Site, collection: &str, name: &str) {
    let wheel = Wheel::new(name, "1.0");
    wheel.write_to(site.env.path("in"));
    served(site, collection, &wheel);
}

#[test]
fn what_appears_in_a_folder_is_served_and_stays_when_it_vanishes_there() {
    let site = watching(&["--collection", "cuda"]);
    let (wheel, deep) = (Wheel::new("demo-app", "1.0"), Wheel::new("demo-deep", "1.0"));
    let path = wheel.write_to(site.env.path("in"));
    deep.write_to(site.env.path("in/a/b"));
    served(&site, "cuda", &wheel);
    served(&site, "cuda", &deep);
    fs::remove_file(path).unwrap();
    passes(&site, "cuda", "demo-next");
    served(&site, "cuda", &wheel);
    let begin = Instant::now();
    let env = site.end();
    assert!(begin.elapsed() < Duration::from_secs(10), "the watch holds up the end");
    assert_eq!(
        said(&env).iter().filter(|line| line.contains("new in cuda")).count(),
        said(&env).len(),
        "{:?}",
        said(&env)
    );
}

#[test]
fn without_a_collection_the_folder_is_the_default_collections() {
    let env = Env::new();
    Wheel::new("demo-old", "1.0").write_to(env.path("in"));
    let site = watching_in(env, &[]);
    served(&site, "shared", &Wheel::new("demo-old", "1.0"));
    site.end();
}

#[test]
fn a_variant_takes_what_its_rules_send_it() {
    let env = Env::new();
    fs::create_dir(env.path("in")).unwrap();
    fs::write(env.path("own.txt"), "demo-own\n").unwrap();
    env.ok(["route", "set", "cuda", "--requirements", "own.txt"]);
    let site = watching_in(env, &["--variant", "cuda"]);
    Wheel::new("demo-own", "1.0").write_to(site.env.path("in"));
    passes(&site, "cuda", "demo-other");
    let listed = |name: &str| {
        let rows = site.env.json(["list", name])["distributions"].clone();
        rows.as_array().unwrap().iter().map(|row| row["collection"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until(&site.env, "demo-own is nowhere", || !listed("demo-own").is_empty());
    assert_eq!((listed("demo-own"), listed("demo-other")), (vec!["cuda".to_owned()], vec!["shared".to_owned()]));
    site.end();
}

#[test]
fn a_half_written_file_is_left_until_it_is_whole() {
    let site = watching(&["--collection", "cuda"]);
    let wheel = Wheel::new("demo-app", "1.0").payload(100_000, 1);
    let sdist = Sdist::new("demo-source", "1.0").payload(100_000, 2);
    let parts = [(wheel.filename(), wheel.bytes()), (sdist.filename(), sdist.bytes())];
    for (name, bytes) in &parts {
        fs::write(site.env.path("in").join(name), &bytes[..bytes.len() - 20]).unwrap();
    }
    passes(&site, "cuda", "demo-first");
    passes(&site, "cuda", "demo-second");
    let source = |server: &WcasServer| digests(server, "cuda", "demo-source", &sdist.filename());
    assert_eq!(digests(&site.server, "cuda", "demo-app", &wheel.filename()), Vec::<String>::new());
    assert_eq!(source(&site.server), Vec::<String>::new());
    for (name, bytes) in &parts {
        fs::write(site.env.path("in").join(name), bytes).unwrap();
    }
    served(&site, "cuda", &wheel);
    until(&site.env, "the sdist is not served", || source(&site.server).len() == 1);
    let env = site.end();
    assert!(said(&env).iter().all(|line| line.contains("new in cuda")), "{:?}", said(&env));
}

#[test]
fn a_bad_file_is_told_once_and_again_when_it_changed() {
    let site = watching(&[]);
    let path = site.env.path("in/demo_app-1.0-py3-none-any.whl");
    let bad = |version: &str| Wheel::new("demo-app", version).bytes();
    let told = |env: &Env| said(env).iter().filter(|line| line.contains("found \"demo_app-")).count();
    fs::write(&path, bad("2.0")).unwrap();
    until(&site.env, "nothing is told", || told(&site.env) == 1);
    passes(&site, "shared", "demo-first");
    passes(&site, "shared", "demo-second");
    assert_eq!(told(&site.env), 1, "{}", stderr(&site.env));
    fs::write(&path, bad("3.0.1")).unwrap();
    until(&site.env, "the new one isn't told", || told(&site.env) == 2);
    fs::write(&path, bad("1.0")).unwrap();
    served(&site, "shared", &Wheel::new("demo-app", "1.0"));
    site.end();
}

#[test]
fn a_file_that_never_becomes_whole_is_told_once() {
    let site = watching(&[]);
    fs::write(site.env.path("in/demo_app-1.0-py3-none-any.whl"), "half").unwrap();
    let told = |env: &Env| {
        said(env).iter().filter(|line| line.contains("demo_app-1.0-py3-none-any.whl: it isn't whole")).count()
    };
    until(&site.env, "it is not told", || told(&site.env) == 1);
    passes(&site, "shared", "demo-first");
    assert_eq!(told(&site.env), 1);
    site.end();
}

#[test]
fn a_file_edited_by_hand_takes_the_place_of_the_entry() {
    let site = watching(&["--collection", "cuda"]);
    let (old, new) = (Wheel::new("demo-app", "1.0").payload(5000, 1), Wheel::new("demo-app", "1.0").payload(5000, 2));
    let path = old.write_to(site.env.path("in"));
    served(&site, "cuda", &old);
    // In place: the folder's own time stands still, and so may the size.
    fs::write(&path, new.bytes()).unwrap();
    served(&site, "cuda", &new);
    let env = site.end();
    assert!(said(&env).contains(&"1 replaced in cuda".to_owned()), "{:?}", said(&env));
}

#[test]
fn what_is_there_already_makes_no_revision() {
    let site = watching(&["--collection", "cuda"]);
    let wheel = Wheel::new("demo-app", "1.0");
    wheel.write_to(site.env.path("in"));
    served(&site, "cuda", &wheel);
    let env = site.end();
    let revision = |env: &Env| env.json(["collection", "list"])["collections"][0]["revision"].clone();
    let before = revision(&env);
    let site = watching_in(env, &["--collection", "cuda"]);
    // A copy elsewhere in the folder, with the same bytes, is no change either.
    wheel.write_to(site.env.path("in/again"));
    passes(&site, "cuda", "demo-next");
    let env = site.end();
    assert_eq!(revision(&env), before.as_i64().unwrap() + 1, "demo-next alone");
}

#[test]
fn of_two_files_with_one_name_the_newer_counts() {
    let env = Env::new();
    let (old, new) = (Wheel::new("demo-app", "1.0").payload(9, 1), Wheel::new("demo-app", "1.0").payload(9, 2));
    let path = new.write_to(env.path("in/b"));
    let time = fs::metadata(&path).unwrap().modified().unwrap() - Duration::from_secs(100);
    let path = old.write_to(env.path("in/a"));
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    let site = watching_in(env, &[]);
    served(&site, "shared", &new);
    passes(&site, "shared", "demo-next");
    served(&site, "shared", &new);
    let env = site.end();
    assert!(said(&env).iter().all(|line| line.contains("new in shared")), "{:?}", said(&env));
}

#[test]
fn of_a_live_wheels_repo_what_is_done_is_taken() {
    let env = Env::new();
    for name in ["downloads", "prebuilt", "build", "simple/demo-app"] {
        fs::create_dir_all(env.path("in").join(name)).unwrap();
    }
    let site = watching_in(env, &["--collection", "cuda"]);
    let into = |name: &str| site.env.path("in").join(name);
    let raw = Wheel::new("demo-raw", "1.0");
    let raw_path = raw.write_to(into("build"));
    let stepped = Wheel::new("demo-step", "1.0").build("0");
    stepped.write_to(into("build"));
    let (built, fetched) = (Wheel::new("demo-app", "1.0").build("3"), Wheel::new("demo-fetched", "1.0"));
    let path = built.write_to(into("downloads"));
    std::os::unix::fs::symlink(&path, into("simple/demo-app").join(built.filename())).unwrap();
    fetched.write_to(into("prebuilt"));
    for wheel in [&built, &fetched, &stepped] {
        served(&site, "cuda", wheel);
    }
    assert!(digests(&site.server, "cuda", "demo-raw", &raw.filename()).is_empty(), "the backend's wheel isn't done");
    // Packed again, under the name that it keeps.
    fs::remove_file(raw_path).unwrap();
    let packed = Wheel::new("demo-raw", "1.0").build("0");
    let made = packed.write_to(into("build"));
    fs::rename(made, into("downloads").join(packed.filename())).unwrap();
    served(&site, "cuda", &packed);
    assert_eq!(site.env.json(["list"])["distributions"].as_array().unwrap().len(), 4);
    let env = site.end();
    let manifest = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
    let sql = "SELECT group_concat(filename) FROM entry WHERE is_prebuilt";
    let prebuilt: String = manifest.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(prebuilt, fetched.filename(), "what fromager fetched as it is, is kept apart");
}

#[test]
fn what_the_store_cannot_take_now_is_taken_later() {
    let site = watching(&[]);
    passes(&site, "shared", "demo-first");
    let (staging, away) = (site.env.store().join("staging"), site.env.path("away"));
    fs::rename(&staging, &away).unwrap();
    // A folder that is merely lost would be made again.
    fs::write(&staging, "in the way").unwrap();
    let wheel = Wheel::new("demo-app", "1.0");
    wheel.write_to(site.env.path("in"));
    let told = |env: &Env| said(env).iter().filter(|line| line.starts_with("nothing can be imported now")).count();
    until(&site.env, "nothing is told", || told(&site.env) == 1);
    assert_eq!(site.server.get("/healthz").status, 200);
    fs::remove_file(&staging).unwrap();
    fs::rename(&away, &staging).unwrap();
    served(&site, "shared", &wheel);
    assert_eq!(told(&site.env), 1, "the same reason is told once");
    site.end();
}

#[test]
fn a_watch_that_cannot_be_is_refused_before_the_server_listens() {
    let env = Env::new();
    env.ok(["collection", "create", "cuda"]);
    fs::create_dir_all(env.path("in/deep")).unwrap();
    fs::write(env.path("file"), "").unwrap();
    let refused = |args: &[&str], text: &str| {
        let output = env.run([&["serve", "--listen", "127.0.0.1:0"], args].concat());
        assert!(output.code != 0 && output.stdout.is_empty() && output.stderr.contains(text), "{args:?}: {output}");
    };
    refused(&["--watch", "store/blobs"], "is in the store");
    refused(&["--watch", "absent"], "absent");
    refused(&["--watch", "file"], "is no folder");
    refused(&["--watch", "in", "--watch", "in/deep"], "are one in the other");
    refused(&["--collection", "cuda"], "--watch");
    refused(&["--watch", "in", "--collection", "cuda", "--variant", "cuda"], "cannot be used with");
}
