//! What the server answers, asked in the process: endpoints, files, sidecars, conditions, counts.
//!
//! The store is changed by the real binary beside it, as imports and gc are, so that each answer is of what is true now.

#![allow(clippy::unwrap_used, reason = "tests and their helpers may panic")]

mod support;

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, LOCATION,
    RANGE, RETRY_AFTER, VARY,
};
use http::{Method, Request};
use proptest::prelude::*;
use serde_json::json;
use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use support::{Env, Got, Reply, Sdist, Server as Upstream, Wheel, request};
use wcas::Store;
use wcas::catalog::view_contents::Shown;
use wcas::digest::Digests;
use wcas::remote::{ClientOptions, LazyClient};
use wcas::server::{Anonymous, Peer, Server, ServerOptions};
use wcas::supply::listing::{stamp, stamp_of_all};

/// A store, and a server on it whose clock the test sets.
struct Site {
    // It ends before the environment looks at what is left.
    server: Server,
    env: Env,
    clock: Arc<AtomicI64>,
}

impl Site {
    /// Serves the store of an environment.
    fn of(env: Env) -> Self {
        Self::under(env, "")
    }

    fn under(env: Env, base_path: &str) -> Self {
        let clock = Arc::new(AtomicI64::new(1_800_000_000));
        let own = Arc::clone(&clock);
        let options = ServerOptions {
            store: env.store(),
            anonymous: Anonymous::Read,
            base_path: base_path.to_owned(),
            max_upload_bytes: 1 << 20,
            redirect: None,
            takes_direct: false,
            has_actions: false,
            clock: Arc::new(move || own.load(Ordering::Relaxed)),
            random: || Ok([7; 32]),
            actor: wcas::manifest::Actor::default(),
        };
        let server = Server::new(options, LazyClient::new(ClientOptions::default())).unwrap();
        Self { env, server, clock }
    }

    fn ask(&self, method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Got {
        Got::read(self.server.respond(&request(method, path, headers)))
    }

    fn get(&self, path: &str) -> Got {
        self.ask(Method::GET, path, &[])
    }

    fn status(&self, path: &str) -> u16 {
        self.get(path).status
    }

    /// Sets the clock forward by so many seconds.
    fn wait(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    fn blob(&self, bytes: &[u8]) -> PathBuf {
        Self::blob_in(&self.env, bytes)
    }

    fn blob_in(env: &Env, bytes: &[u8]) -> PathBuf {
        let name = Digests::of(bytes).blake3.to_string();
        env.store().join("blobs/b3").join(&name[..2]).join(name)
    }
}

fn file_path(wheel: &Wheel) -> String {
    url(&wheel.filename(), &wheel.bytes())
}

fn url(filename: &str, bytes: &[u8]) -> String {
    format!("/files/{}/{filename}", Digests::of(bytes).sha256)
}

/// A store where these wheels are in collections.
fn store(wheels: &[(&str, &Wheel)]) -> Env {
    let env = Env::new();
    for (collection, wheel) in wheels {
        add(&env, collection, wheel);
    }
    env
}

fn add(env: &Env, collection: &str, wheel: &Wheel) {
    let path = wheel.write_to(env.path(format!("in-{collection}")));
    env.ok(["import".as_ref(), path.as_os_str(), "--collection".as_ref(), collection.as_ref()]);
}

fn demo() -> Wheel {
    Wheel::new("demo", "1.0+cu121").payload(5000, 1)
}

#[test]
fn a_stamp_changes_with_whatever_pages_depend_on_and_with_nothing_else() {
    let lost = Wheel::new("lost", "1.0");
    let env = store(&[("cuda", &demo()), ("shared", &Wheel::new("other", "1.0")), ("cuda", &lost)]);
    env.ok(["collection", "create", "third"]);
    env.ok(["collection", "set", "cuda", "--fallback", "shared"]);
    env.ok(["collection", "set", "cuda", "--accelerator", "cuda"]);
    env.ok(["route", "set", "cuda"]);
    fs::write(env.path("names.txt"), "demo\n").unwrap();
    let shown = Shown::variant("cuda".parse().unwrap());
    let opened = Store::open(&env.store()).unwrap();
    let number = || stamp(&opened, &shown).unwrap();
    let all = || stamp_of_all(&opened).unwrap();
    let mut before = (number(), all());
    let names = env.path("names.txt");
    let changes: [&[&str]; 21] = [
        &["yank", "demo", "--collection", "cuda"],
        &["collection", "status", "shared", "other", "deprecated"],
        &["block", "demo<0.5", "--reason", "old"],
        &["block", "other<0.5", "--collection", "shared", "--reason", "old"],
        &["unblock", "demo<0.5"],
        &["remote", "add", "near", "https://index.example/simple/", "--collection", "shared"],
        &["remote", "set", "near", "--min-age", "3d"],
        &["remote", "set", "near", "--ours"],
        &["remote", "remove", "near"],
        &["reserve", "acme-*", "--collection", "shared"],
        &["collection", "set", "shared", "--open", "acme-tool"],
        &["route", "set", "cuda", "--strategy", "union"],
        &["route", "set", "cuda", "--requirements", names.to_str().unwrap()],
        &["route", "set", "cuda", "--share-pure"],
        &["route", "override", "other", "third"],
        &["route", "default", "third"],
        &["collection", "set", "shared", "--accelerator", "cuda"],
        &["collection", "set", "cuda", "--variants", "hide"],
        &["collection", "set", "cuda", "--cache", "max-build=3"],
        &["collection", "set", "cuda", "--fallback", "third"],
        &["invalidate", "demo", "--collection", "cuda"],
    ];
    for change in changes {
        env.ok(change);
        let after = (number(), all());
        assert_ne!(before.0, after.0, "{change:?}");
        assert_ne!(before.1, after.1, "{change:?}");
        before = after;
    }
    let path = Site::blob_in(&env, &lost.bytes());
    fs::remove_file(path).unwrap();
    assert_eq!(env.run(["verify"]).code, 3);
    assert_ne!(before, (number(), all()));
    before = (number(), all());

    for change in
        [&["pin", "lost"][..], &["lookup", "other", "--collection", "shared"], &["collection", "create", "far"]]
    {
        env.ok(change);
        assert_eq!(before.0, number(), "{change:?}");
    }
    assert_ne!(before.1, all(), "there is one view more");
    before = (number(), all());
    // What a later look finds in one of its projects' files: that it's bound, and that it's bound to another.
    for bound in ["cuda", "rocm"] {
        let sql =
            "INSERT OR REPLACE INTO inspection(blob_id, engine, is_deep, report, bound) VALUES(2, 1, 1, '{}', ?1)";
        let other = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
        other.execute(sql, [bound]).unwrap();
        assert_ne!(before.0, number(), "{bound}");
        before = (number(), all());
    }
    env.ok(["route", "delete", "cuda"]);
    assert_ne!(before.0, number());
    assert_eq!(stamp(&opened, &Shown::variant("nowhere".parse().unwrap())).unwrap(), None);
}

#[test]
fn what_a_remote_has_now_is_on_the_page_after_a_minute_and_what_comes_of_age_at_once() {
    let server = Upstream::start();
    // Files with the time since which each is a day old; the clock stands at 2027-01-15 08:00:00.
    let page = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(version, uploaded)| {
            json!({"filename": format!("demo-{version}-py3-none-any.whl"), "url": "/x", "hashes": {"sha256": "0".repeat(64)},
                   "size": 9, "upload-time": uploaded})
        });
        let page =
            json!({"meta": {"api-version": "1.1"}, "name": "demo", "versions": [], "files": files.collect::<Vec<_>>()});
        server.route("/simple/demo/", Reply::json(page.to_string()));
    };
    page(&[("1.0", "2027-01-01T00:00:00Z"), ("2.0", "2027-01-14T08:00:10Z")]);
    let env = Env::new();
    env.ok(["remote", "add", "up", &server.url("/simple/"), "--min-age", "1d"]);
    let site = Site::of(env);
    let listed = || {
        let text = String::from_utf8(site.get("/shared/simple/demo/").body).unwrap();
        ["1.0", "2.0", "3.0"].map(|version| text.contains(&format!("demo-{version}-py3-none-any.whl")))
    };
    assert_eq!(listed(), [true, false, false]);
    site.wait(11);
    assert_eq!(listed(), [true, true, false], "it is a day old now");
    page(&[("1.0", "2027-01-01T00:00:00Z"), ("3.0", "2027-01-01T00:00:00Z")]);
    assert_eq!(listed(), [true, true, false]);
    site.wait(60);
    assert_eq!(listed(), [true, false, true]);
}

#[test]
fn a_hot_file_is_answered_from_memory_again_after_the_store_has_changed() {
    let site = Site::of(store(&[("cuda", &demo())]));
    let path = file_path(&demo());
    let is_at_hand =
        |path: &str| site.server.cached(&request(Method::GET, path, &[])).is_some_and(|answer| answer.status() == 200);
    // The first answer is followed by a flush of its count, which moves the manifest, too.
    assert_eq!(site.status(&path), 200);
    for path in [path.clone(), format!("{path}.metadata")] {
        for version in ["2.0", "3.0"] {
            assert_eq!(site.status(&path), 200);
            assert!(is_at_hand(&path) && is_at_hand(&path), "{path}");
            add(&site.env, "cuda", &Wheel::new("demo", version).payload(10, path.len() as u64));
            assert!(!is_at_hand(&path), "what changed has to be looked at: {path}");
        }
        assert_eq!(site.status(&path), 200);
        assert!(is_at_hand(&path), "{path}");
    }
    site.env.ok(["invalidate", "demo==1.0+cu121"]);
    assert!(!is_at_hand(&path) && site.status(&path) == 404 && !is_at_hand(&path), "and nothing that is hidden");
}

#[test]
fn a7_a_file_goes_out_whole_and_is_the_same_forever() {
    let wheel = demo();
    let site = Site::of(store(&[("cuda", &wheel)]));
    let got = site.get(&file_path(&wheel));
    assert_eq!((got.status, &got.body), (200, &wheel.bytes()));
    let digest = Digests::of(&wheel.bytes()).sha256;
    assert_eq!(got.header(ETAG), format!("\"{digest}\""));
    assert_eq!(got.header(CACHE_CONTROL), "max-age=31536000, immutable");
    assert_eq!(got.header(ACCEPT_RANGES), "bytes");
    assert_eq!(got.header(CONTENT_TYPE), "application/octet-stream");
    assert_eq!(got.header(CONTENT_LENGTH), wheel.bytes().len().to_string());
    assert!(got.header(LAST_MODIFIED).ends_with(" GMT"));
    let encoded = site.ask(Method::GET, &file_path(&wheel), &[(ACCEPT_ENCODING, "gzip, zstd")]);
    assert!(encoded == got, "no coding on files, and asked again the same");
    assert_eq!(site.get(&file_path(&wheel).replace('+', "%2B")), got);
    for view in ["cuda", "cuda@1"] {
        assert_eq!(site.get(&format!("/{view}{}", file_path(&wheel))), got, "{view}");
    }
}

#[test]
fn a10_head_has_the_headers_of_get_and_no_body() {
    let wheel = demo();
    let site = Site::of(store(&[("cuda", &wheel)]));
    let sidecar = format!("{}.metadata", file_path(&wheel));
    for path in [&file_path(&wheel), &sidecar, "/healthz", "/metrics", "/cuda", "/nothing/here", "/cuda/legacy/"] {
        for lines in [&[][..], &[(ACCEPT_ENCODING, "zstd")][..]] {
            let (get, head) = (site.ask(Method::GET, path, lines), site.ask(Method::HEAD, path, lines));
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
            let length = get.body.len().to_string();
            // The text of the counters differs by what was counted meanwhile.
            assert!(path == "/metrics" || head.header(CONTENT_LENGTH) == length, "{path}");
            for name in [ETAG, CONTENT_TYPE, CONTENT_ENCODING, CACHE_CONTROL, ACCEPT_RANGES, LAST_MODIFIED] {
                assert_eq!(head.headers.get(&name), get.headers.get(&name), "{path}: {name}");
            }
        }
    }
    let range = site.ask(Method::HEAD, &file_path(&wheel), &[(RANGE, "bytes=0-0")]);
    assert_eq!((range.status, range.header(CONTENT_LENGTH)), (200, wheel.bytes().len().to_string().as_str()));
}

#[test]
fn a10_other_methods_are_refused_with_those_that_there_are() {
    let wheel = demo();
    let site = Site::of(store(&[("cuda", &wheel)]));
    for (path, allow) in [
        ("/", "GET, HEAD"),
        ("/cuda/", "GET, HEAD, POST"),
        ("/cuda/simple/", "GET, HEAD, POST"),
        ("/cuda/simple/demo/", "GET, HEAD"),
        ("/cuda/legacy/", "POST"),
        ("/metrics", "GET, HEAD"),
        (&file_path(&wheel), "GET, HEAD"),
    ] {
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
            let got = site.ask(method.clone(), path, &[]);
            assert_eq!((got.status, got.header(ALLOW)), (405, allow), "{method} {path}");
        }
    }
    assert_eq!(site.ask(Method::GET, "/cuda/legacy/", &[]).header(ALLOW), "POST");
    assert_eq!(site.ask(Method::POST, "/cuda/simple/demo", &[]).status, 405, "no redirect, G7");
    assert_eq!(site.ask(Method::POST, "/cuda/simple/De_mo", &[]).status, 404);
}

#[test]
fn a1_a_redirect_is_relative_and_keeps_the_query() {
    let site = Site::under(store(&[("cuda", &demo())]), "/wheels");
    for (path, location) in [
        ("/cuda", "cuda/"),
        ("/cuda/simple", "simple/"),
        ("/cuda/simple/Foo_Bar", "foo-bar/"),
        ("/cuda/simple/Foo_Bar/?format=a/b", "../foo-bar/?format=a/b"),
    ] {
        for path in [path.to_owned(), format!("/wheels{path}")] {
            let got = site.get(&path);
            assert_eq!((got.status, got.header(LOCATION)), (301, location), "{path}");
        }
    }
    assert_eq!(site.status("/wheelscuda/"), 404);
}

#[test]
fn parts_of_a_file_are_the_bytes_that_were_asked_for() {
    let wheel = demo();
    let (site, bytes) = (Site::of(store(&[("cuda", &wheel)])), wheel.bytes());
    let size = bytes.len();
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=100-1099", 100..1100),
        ("bytes=1000-", 1000..size),
        ("bytes=-100", size - 100..size),
        ("bytes=-16777216", 0..size),
    ] {
        let got = site.ask(Method::GET, &file_path(&wheel), &[(RANGE, range)]);
        assert_eq!((got.status, &got.body[..]), (206, &bytes[part.clone()]), "{range}");
        assert_eq!(got.header(CONTENT_RANGE), format!("bytes {}-{}/{size}", part.start, part.end - 1));
        assert_eq!(got.header(CONTENT_LENGTH), part.len().to_string());
    }
    let behind = site.ask(Method::GET, &file_path(&wheel), &[(RANGE, &format!("bytes={size}-"))]);
    assert_eq!((behind.status, behind.header(CONTENT_RANGE)), (416, format!("bytes */{size}").as_str()));
    let several = site.ask(Method::GET, &file_path(&wheel), &[(RANGE, "bytes=0-0,2-3")]);
    assert_eq!((several.status, several.body.len()), (200, size));
}

#[test]
fn conditions_spare_bytes_and_never_mix_two_files() {
    let wheel = demo();
    let site = Site::of(store(&[("cuda", &wheel)]));
    let path = file_path(&wheel);
    let whole = site.get(&path);
    let (tag, date) = (whole.header(ETAG), whole.header(LAST_MODIFIED));
    let ask = |lines: &[(HeaderName, &str)]| site.ask(Method::GET, &path, lines);
    for line in [(IF_NONE_MATCH, tag), (IF_NONE_MATCH, "*"), (IF_MODIFIED_SINCE, date)] {
        let got = ask(std::slice::from_ref(&line));
        assert_eq!((got.status, got.body.len(), got.header(ETAG)), (304, 0, tag), "{line:?}");
        assert_eq!(got.header(CACHE_CONTROL), whole.header(CACHE_CONTROL));
        assert!(!got.headers.contains_key(CONTENT_TYPE) && !got.headers.contains_key(CONTENT_LENGTH));
    }
    for (line, status) in [((IF_RANGE, tag), 206), ((IF_RANGE, date), 206), ((IF_RANGE, "\"other\""), 200)] {
        assert_eq!(ask(&[(RANGE, "bytes=5-"), line.clone()]).status, status, "{line:?}");
    }
    assert_eq!(ask(&[(IF_MATCH, "\"other\"")]).status, 412);
}

#[test]
fn h5_two_collections_may_have_other_bytes_under_one_name() {
    let (one, other) = (Wheel::new("demo", "1.0").payload(100, 1), Wheel::new("demo", "1.0").payload(100, 2));
    let site = Site::of(store(&[("cuda", &one), ("rocm", &other)]));
    assert_eq!(one.filename(), other.filename());
    for (wheel, own, foreign) in [(&one, "cuda", "rocm"), (&other, "rocm", "cuda")] {
        assert_eq!(site.get(&file_path(wheel)).body, wheel.bytes());
        assert_eq!(site.get(&format!("/{own}{}", file_path(wheel))).body, wheel.bytes());
        assert_eq!(site.status(&format!("/{foreign}{}", file_path(wheel))), 404);
    }
}

#[test]
fn what_no_page_lists_is_not_given() {
    let (wheel, other) = (demo(), Wheel::new("other", "1.0"));
    let env = store(&[("cuda", &wheel), ("shared", &other), ("shared", &Wheel::new("demo", "2.0"))]);
    let site = Site::of(env);
    let digest = |wheel: &Wheel| Digests::of(&wheel.bytes()).sha256;
    let path = file_path(&wheel);
    for path in [
        format!("/files/{}/{}", digest(&other), wheel.filename()),
        format!("/files/{}/renamed-1.0-py3-none-any.whl", digest(&wheel)),
        format!("/files/{}/{}.asc", digest(&wheel), wheel.filename()),
        format!("/files/{}/{}", Digests::of(b"").sha256, wheel.filename()),
        format!("/shared{path}"),
        format!("/unknown{path}"),
        format!("/cuda@2{path}"),
        format!("/cuda@0{path}"),
        format!("/cuda@nosnapshot{path}"),
        format!("/unknown@1{path}"),
        format!("/cuda/files/unhashed/{}", wheel.filename()),
        format!("/cuda{}", file_path(&Wheel::new("demo", "2.0"))),
    ] {
        assert_eq!(site.status(&path), 404, "{path}");
    }
    let path = format!("/cuda{}", file_path(&other));
    assert_eq!(site.status(&path), 404, "a collection has the default one's files only where it names it");
    site.env.ok(["collection", "set", "cuda", "--fallback", "shared"]);
    assert_eq!(site.status(&path), 200);
    assert_eq!(site.status(&file_path(&Wheel::new("demo", "2.0"))), 200, "shared itself lists it");
}

#[test]
fn what_other_processes_do_is_seen_at_once() {
    let wheel = demo();
    let site = Site::of(store(&[("cuda", &wheel)]));
    let (path, env) = (file_path(&wheel), &site.env);
    let sidecar = format!("{path}.metadata");
    let statuses = || [site.status(&path), site.status(&sidecar), site.status(&format!("/cuda{path}"))];
    assert_eq!(statuses(), [200; 3]);
    env.ok(["collection", "snapshot", "cuda", "release"]);
    env.ok(["invalidate", "demo", "--collection", "cuda"]);
    assert_eq!(statuses(), [404; 3]);
    assert_eq!([site.status(&format!("/cuda@1{path}")), site.status(&format!("/cuda@release{path}"))], [200; 2]);
    assert_eq!(site.status(&format!("/cuda@2{path}")), 404);
    env.ok(["undo"]);
    assert_eq!(statuses(), [200; 3]);
    env.ok(["yank", "demo", "--collection", "cuda"]);
    assert_eq!(statuses(), [200; 3], "E1: a yanked file is still there for who pins it");
    let newer = Wheel::new("newer", "1.0");
    assert_eq!(site.status(&file_path(&newer)), 404);
    add(env, "cuda", &newer);
    assert_eq!(site.status(&file_path(&newer)), 200);
    env.ok(["collection", "delete", "cuda", "--yes"]);
    assert_eq!(statuses(), [404; 3]);
}

#[test]
fn what_an_override_hides_everywhere_is_not_given() {
    let (hidden, own) = (Wheel::new("demo", "1.0"), Wheel::new("demo", "9.0"));
    let site = Site::of(store(&[("cuda", &hidden), ("pinned", &own)]));
    assert_eq!(site.status(&file_path(&hidden)), 200);
    site.env.ok(["route", "override", "demo", "pinned"]);
    assert_eq!(site.status(&file_path(&hidden)), 404, "no view lists it");
    assert_eq!(site.status(&format!("/cuda@1{}", file_path(&hidden))), 200, "but the collection alone does");
    assert_eq!(site.status(&format!("/cuda{}", file_path(&own))), 200);
}

#[test]
fn what_is_not_there_is_answered_with_what_is_near_in_the_view() {
    let site = Site::of(store(&[("cuda", &demo()), ("secret", &Wheel::new("demos", "3.0")), ("secret", &demo())]));
    let text = |path: &str| {
        let got = site.get(path);
        assert_eq!(got.status, 404, "{path}");
        got.text().to_owned()
    };
    let version = demo().filename().split('-').nth(1).unwrap().to_owned();
    assert_eq!(text("/cuda/simple/dmeo/"), "cuda has no project dmeo\ndid you mean demo?\n");
    // What only another collection has is nobody's business here, nor in which it is.
    assert_eq!(text("/cuda/simple/demos/"), "cuda has no project demos\ndid you mean demo?\n");
    assert_eq!(text("/cuda/simple/zzz/"), "cuda has no project zzz\n");
    assert_eq!(text("/absent/simple/demo/"), "absent has no project demo\n");
    let other = Wheel::new("demo", "77.0");
    assert_eq!(
        text(&format!("/cuda{}", file_path(&other))),
        format!("there is no such file\ncuda has demo {version}\n")
    );
    assert_eq!(text(&file_path(&other)), "there is no such file\n", "without a view nothing is told");
    // What the view doesn't offer is offered by no answer.
    site.env.ok(["collection", "status", "cuda", "demo", "quarantined"]);
    assert_eq!(text("/cuda/simple/dmeo/"), "cuda has no project dmeo\n");
    site.env.ok(["collection", "status", "cuda", "demo", "active"]);
    // The reason phrase is one line.
    assert_eq!(text("/cuda@1/simple/dmeo/"), "cuda@1 has no project dmeo\ndid you mean demo?\n");
    // Who asks for any number of names is told so for some.
    let told = (0..100).filter(|_| text("/cuda/simple/dmeo/").contains("did you mean")).count();
    assert!((1..100).contains(&told), "{told} answers");
    site.wait(1);
    assert!(text("/cuda/simple/dmeo/").contains("did you mean"));
    assert!(text(&format!("/cuda/simple/{}/", "a".repeat(3000))).lines().count() == 1);
}

#[test]
fn bad_bytes_never_go_out_and_are_told_once() {
    type Damage = fn(&PathBuf, &[u8]);
    let damages: [(&str, Damage); 6] = [
        ("other bytes", |path, bytes| fs::write(path, vec![7; bytes.len()]).unwrap()),
        ("cut off", |path, bytes| fs::write(path, &bytes[..100]).unwrap()),
        ("empty", |path, _| fs::write(path, b"").unwrap()),
        ("gone", |path, _| fs::remove_file(path).unwrap()),
        ("a symlink", |path, _| {
            fs::remove_file(path).unwrap();
            symlink("/etc/hostname", path).unwrap();
        }),
        ("a folder", |path, _| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
    ];
    for (what, damage) in damages {
        for is_known in [false, true] {
            let wheel = demo();
            let site = Site::of(store(&[("cuda", &wheel)]));
            let path = file_path(&wheel);
            assert!(!is_known || site.status(&path) == 200);
            let blob = site.blob(&wheel.bytes());
            fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
            damage(&blob, &wheel.bytes());
            let got = site.get(&path);
            assert_eq!((got.status, got.header(RETRY_AFTER)), (503, "5"), "{what}");
            assert!(got.text().contains(&wheel.filename()), "{what}: {}", got.text());
            assert_eq!(site.status(&path), 404, "{what}: what is lost is listed nowhere");
            let list = site.env.ok(["list", "--json"]).stdout;
            assert!(list.contains("\"lost\""), "{what}: {list}");
            assert!(site.get("/metrics").text().contains("wcas_bad_blobs_total 1"), "{what}");
            add(&site.env, "cuda", &wheel);
            assert_eq!(site.get(&path).body, wheel.bytes(), "{what}: healed by an import");
        }
    }
}

#[test]
fn the_right_bytes_in_another_file_are_given() {
    let wheel = demo();
    let site = Site::of(store(&[("cuda", &wheel)]));
    let (path, blob) = (file_path(&wheel), site.blob(&wheel.bytes()));
    for _ in 0..3 {
        fs::remove_file(&blob).unwrap();
        fs::write(&blob, wheel.bytes()).unwrap();
        assert_eq!(site.get(&path).body, wheel.bytes());
        assert_eq!(site.get(&path).body, wheel.bytes());
    }
}

#[test]
fn d1_d3_a_sidecar_is_metadata_to_the_byte_in_the_coding_that_is_asked_for() {
    let text =
        format!("Metadata-Version: 2.2\r\nName: demo\r\nVersion: 1.0\r\nSummary: grün\r\n\r\n{}", "long ".repeat(999));
    let wheel = Wheel::new("demo", "1.0").member("demo-1.0.dist-info/METADATA", &text);
    let site = Site::of(store(&[("cuda", &wheel)]));
    let path = format!("{}.metadata", file_path(&wheel));
    let identity = site.get(&path);
    assert_eq!((identity.status, identity.header(VARY)), (200, "Accept-Encoding"));
    assert_eq!(identity.text(), text);
    assert_eq!(identity.header(ETAG), format!("\"{}\"", Digests::of(&identity.body).sha256));
    assert_eq!(identity.header(CACHE_CONTROL), "max-age=31536000, immutable");
    assert_eq!(identity.header(CONTENT_TYPE), "text/plain; charset=utf-8");
    let mut tags = vec![identity.header(ETAG).to_owned()];
    for (asked, coding) in [("zstd, gzip, deflate", "zstd"), ("gzip, deflate", "gzip"), ("br", "")] {
        let got = site.ask(Method::GET, &path, &[(ACCEPT_ENCODING, asked)]);
        assert_eq!((got.status, got.header(CONTENT_ENCODING), got.header(VARY)), (200, coding, "Accept-Encoding"));
        let mut bytes = Vec::new();
        match coding {
            "zstd" => zstd::stream::copy_decode(&got.body[..], &mut bytes).unwrap(),
            "gzip" => drop(flate2::read::GzDecoder::new(&got.body[..]).read_to_end(&mut bytes).unwrap()),
            _ => bytes.clone_from(&got.body),
        }
        assert_eq!(bytes, identity.body, "{asked}");
        assert!(coding.is_empty() || got.body.len() < bytes.len() / 4, "{asked}");
        let again = [(ACCEPT_ENCODING, asked), (IF_NONE_MATCH, got.header(ETAG))];
        let again = site.ask(Method::GET, &path, &again);
        assert_eq!((again.status, again.header(ETAG)), (304, got.header(ETAG)));
        tags.push(got.header(ETAG).to_owned());
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3, "one for each coding: {tags:?}");
    let range = site.ask(Method::GET, &path, &[(RANGE, "bytes=0-3")]);
    assert_eq!((range.status, range.header(ACCEPT_RANGES)), (200, ""), "parts are for files");
}

#[test]
fn d1_an_sdist_has_no_sidecar_whatever_its_pkg_info_says() {
    let (new, old) = (Sdist::new("new", "1.0"), Sdist::new("old", "1.0"));
    let old = old.member("PKG-INFO", "Metadata-Version: 2.1\nName: old\nVersion: 1.0\n");
    let env = Env::new();
    for sdist in [&new, &old] {
        let path = sdist.write_to(env.path("in"));
        env.ok(["import".as_ref(), path.as_os_str()]);
    }
    let site = Site::of(env);
    for sdist in [&new, &old] {
        let path = url(&sdist.filename(), &sdist.bytes());
        assert_eq!(site.get(&path).body, sdist.bytes());
        assert_eq!(site.status(&format!("{path}.metadata")), 404, "{path}");
        assert_eq!(site.ask(Method::HEAD, &format!("{path}.metadata"), &[]).status, 404);
    }
}

#[test]
fn given_files_and_what_is_missed_are_counted_in_the_manifest_every_few_seconds() {
    let wheel = demo();
    let site = Site::of(store(&[("cuda", &wheel), ("shared", &Wheel::new("other", "1.0"))]));
    let path = file_path(&wheel);
    let before = site.get("/metrics").text().to_owned();
    assert!(before.contains("wcas_store_blobs 2\n"), "{before}");
    for path in [&path, &path, &format!("/cuda{path}")] {
        assert_eq!(site.status(path), 200);
    }
    site.ask(Method::HEAD, &path, &[]);
    site.ask(Method::GET, &path, &[(IF_NONE_MATCH, "*")]);
    site.ask(Method::GET, &path, &[(RANGE, "bytes=500-")]);
    site.status(&format!("/shared{path}"));
    for n in 0..50 {
        site.status(&format!("/nobody{n}/simple/demo/"));
    }
    let metrics = site.get("/metrics");
    assert_eq!(metrics.header(CONTENT_TYPE), "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "wcas_hits_total{collection=\"cuda\",remote=\"\"} 3",
        "wcas_misses_total{collection=\"shared\"} 1",
        "wcas_requests_total{endpoint=\"file\",status=\"2xx\"} 5",
        "wcas_requests_total{endpoint=\"file\",status=\"3xx\"} 1",
    ] {
        assert!(metrics.text().lines().any(|own| own == line), "{line} is not in\n{}", metrics.text());
    }
    let told: Vec<&str> =
        metrics.text().lines().filter(|line| !line.starts_with('#') && line.contains("nobody")).collect();
    assert!(told.is_empty(), "who asks for names that there are not fills no memory: {told:?}");
    let counted = || {
        let stats: serde_json::Value = serde_json::from_str(&site.env.ok(["stats", "--json"]).stdout).unwrap();
        let of = |name: &str| stats["lookups"]["by_collection"][name].clone();
        [of("cuda")["hits"].as_u64().unwrap_or(0), of("shared")["misses"].as_u64().unwrap_or(0)]
    };
    site.wait(5);
    site.status("/healthz");
    assert_eq!(counted(), [3, 1]);
    let shown: serde_json::Value = serde_json::from_str(&site.env.ok(["show", "demo", "--json"]).stdout).unwrap();
    assert!(shown.to_string().contains("\"used_at\":1800000005"), "{shown}");
    site.status(&path);
    assert_eq!(counted(), [3, 1], "not at each request");
    site.server.close();
    site.server.close();
    assert_eq!(counted(), [4, 1], "and none is lost at the end, or twice");
}

#[test]
fn a_probe_tells_whether_the_store_can_be_read() {
    let site = Site::of(store(&[("cuda", &demo())]));
    let got = site.get("/healthz");
    assert_eq!((got.status, got.text()), (200, "ok\n"));
    let aside = site.env.path("aside");
    fs::rename(site.env.store(), &aside).unwrap();
    let got = site.get("/healthz");
    assert_eq!(got.status, 503);
    assert_eq!(got.text(), "the store can't be read\n", "where it lies is for the log");
    fs::rename(&aside, site.env.store()).unwrap();
    assert_eq!(site.status("/healthz"), 200);
}

#[test]
fn a_store_that_cannot_be_written_is_served_all_the_same() {
    let wheel = demo();
    let env = store(&[("cuda", &wheel), ("cuda", &Wheel::new("other", "1.0"))]);
    let identity = env.store().join("wcas.json");
    let mut format: serde_json::Value = serde_json::from_slice(&fs::read(&identity).unwrap()).unwrap();
    format["ro_compat"] = serde_json::json!(["what-a-later-version-does"]);
    fs::write(&identity, format.to_string()).unwrap();
    let site = Site::of(env);
    let (path, blob) = (file_path(&wheel), site.blob(&wheel.bytes()));
    assert_eq!(site.get(&path).body, wheel.bytes());
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, wheel.bytes()).unwrap();
    for _ in 0..2 {
        assert_eq!(site.get(&path).body, wheel.bytes(), "the same bytes, though nobody can note their new stat");
    }
    fs::write(&blob, vec![7; wheel.bytes().len()]).unwrap();
    assert_eq!([site.status(&path), site.status(&path)], [503; 2], "nobody can note that they are lost");
    assert_eq!(site.status(&file_path(&Wheel::new("other", "1.0"))), 200);
    site.server.close();
    assert_eq!(site.status("/healthz"), 200);
}

#[test]
fn many_clients_at_once_get_the_right_bytes_while_the_collection_changes() {
    let wheels: Vec<Wheel> = (0..8).map(|n| Wheel::new("demo", &format!("{n}.0")).payload(20_000, n)).collect();
    let wheels: Vec<(&str, &Wheel)> = wheels.iter().map(|wheel| ("cuda", wheel)).collect();
    let site = Site::of(store(&wheels));
    std::thread::scope(|scope| {
        for turn in 0..6 {
            let (site, wheels) = (&site, &wheels);
            scope.spawn(move || {
                for n in 0..200 {
                    let wheel = wheels[(n + turn) % wheels.len()].1;
                    assert_eq!(site.get(&file_path(wheel)).body, wheel.bytes());
                    site.wait(1);
                }
            });
        }
        for n in 0..3 {
            add(&site.env, "rocm", &Wheel::new("else", &format!("{n}.0")));
        }
    });
    assert!(site.get("/metrics").text().contains("wcas_hits_total{collection=\"cuda\",remote=\"\"} 1200\n"));
    assert!(site.get("/metrics").text().contains("wcas_requests_in_flight 1\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_request_has_an_answer_that_is_no_fault_of_the_server(
        path in "(/|/(cuda|files|healthz|[a-zA-Z0-9@%._-]{1,8}))(/(simple|files|unhashed|legacy|DIGEST|\\.\\.|.{0,6})){0,3}/?(\\?.{0,5})?",
        lines in proptest::collection::vec((0..6usize, "[ -~]{0,12}|\"[a-z]*\"|bytes=[0-9,-]*"), 0..3),
        method in prop::sample::select(vec![Method::GET, Method::HEAD, Method::POST, Method::OPTIONS]),
    ) {
        thread_local!(static SITE: Site = Site::of(store(&[("cuda", &demo())])));
        let names = [ACCEPT_ENCODING, IF_NONE_MATCH, IF_MATCH, IF_RANGE, RANGE, IF_MODIFIED_SINCE];
        let path = path.replace("DIGEST", &Digests::of(&demo().bytes()).sha256.to_string());
        let mut request = Request::builder().method(method).uri(&path);
        for (name, value) in &lines {
            request = request.header(&names[*name], value);
        }
        let peer = Peer { address: IpAddr::V4(Ipv4Addr::LOCALHOST), is_secure: false };
        if let Ok(request) = request.body(peer) {
            let status = SITE.with(|site| site.server.respond(&request)).status();
            prop_assert!(!status.is_server_error() && !status.is_informational(), "{path}: {status}");
        }
    }
}
