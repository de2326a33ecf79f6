//! What a page of another site, or a cache on the way, may make of somebody's browser and token.

use crate::site::{FROMAGER, Site, add, file_path};
use crate::support::{Env, Wheel};
use crate::uploads::{FORM, basic, form};
use std::io::{Read as _, Write as _};

#[test]
fn a_page_of_another_site_uploads_nothing_with_somebodys_browser() {
    let env = Env::new();
    env.ok(["collection", "create", "shared"]);
    let site = Site::of(env, &["--anonymous", "upload"]);
    let wheel = Wheel::new("demo", "1.0");
    let body = form(&wheel.filename(), &wheel.bytes(), &[]);
    let login = basic(&site.token(&["--all", "--scope", "admin"]));
    let own = site.server.url("");
    let post = |headers: &[(&str, &str)]| {
        site.server.connect().post("/shared/legacy/", &[&[FORM], headers].concat(), &body).status
    };
    for headers in [
        &[("Origin", "https://other.example")][..],
        &[("Origin", "null")],
        &[("Origin", "http://127.0.0.1:1")],
        &[("Origin", "")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-origin"), ("Origin", "https://other.example")],
        &[("Origin", "https://other.example"), ("Authorization", login.as_str())],
    ] {
        assert_eq!(post(headers), 403, "{headers:?}");
    }
    assert_eq!(site.server.get("/shared/simple/demo/").status, 404);
    assert_eq!(post(&[("Origin", &own), ("Sec-Fetch-Site", "same-origin")]), 200);
    site.end();
}

#[test]
fn what_nobody_may_read_without_a_token_is_kept_by_no_cache_for_others() {
    let env = Env::new();
    let wheel = Wheel::new("demo", "1.0");
    add(&env, "cuda", std::slice::from_ref(&wheel));
    let file = file_path(&wheel.filename(), &wheel.bytes());
    let paths = [
        "/",
        "/cuda/",
        "/cuda/simple/",
        "/cuda/simple/demo/",
        "/cuda/cache/simple/demo/",
        "/cuda/build/simple/demo/",
        "/cuda/projects/demo/",
        "/metrics",
        "/_/history/",
        "/_/health/",
        "/cuda@0...1/",
        "/cuda/changes.atom",
        "/cuda/pypi/demo/1.0/json",
        &file,
        &format!("{file}.metadata"),
        &format!("/cuda{file}"),
        &format!("/cuda/cache{file}"),
    ];
    let site = Site::of(env, &["--anonymous", "nothing"]);
    let login = basic(&site.token(&["--all", "--scope", "read"]));
    for path in paths {
        let accept = if path.contains("simple") { FROMAGER } else { "text/html" };
        for headers in [&[][..], &[("Authorization", login.as_str())]] {
            let heard = site.server.ask("GET", path, &[&[("Accept", accept)], headers].concat());
            let control = heard.header("cache-control");
            assert!(control.contains("private") || control.contains("no-store"), "{path}: {heard}");
            assert!(heard.header("vary").contains("Authorization"), "{path}: {heard}");
        }
    }
    site.server.stop();
    let site = Site::of(site.env, &[]);
    assert_eq!(site.server.get(&file).header("cache-control"), "max-age=31536000, immutable", "anybody may read it");
    site.end();
}

#[test]
fn a_name_that_leads_here_and_isnt_ours_is_answered_with_nothing() {
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("demo", "1.0")]);
    let site = Site::of(env, &["--anonymous", "upload"]);
    let path = "/cuda/simple/demo/";
    let ask = |site: &Site, path: &str, host: &str| site.server.ask("GET", path, &[("Host", host)]);
    assert_eq!(site.server.get(path).status, 200);
    let port = site.server.address().port();
    for host in ["localhost", &format!("localhost:{port}"), "127.0.0.1", &format!("[::1]:{port}")] {
        assert_eq!(ask(&site, path, host).status, 200, "{host}");
    }
    let other = Wheel::new("requests", "99.0");
    let body = form(&other.filename(), &other.bytes(), &[]);
    for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1.evil.example"] {
        for path in [path, "/", "/healthz", "/metrics"] {
            let heard = ask(&site, path, host);
            assert!(heard.status == 421 && heard.text().contains("--allowed-host"), "{host}{path}: {heard}");
        }
        // Its own origin, as a browser sees it.
        let origin = format!("http://{host}");
        let headers = [FORM, ("Host", host), ("Origin", &origin), ("Sec-Fetch-Site", "same-origin")];
        assert_eq!(site.server.connect().post("/cuda/legacy/", &headers, &body).status, 421, "{host}");
    }
    let raw = |head: &str| {
        let mut connection = site.server.connect();
        connection.send(head.as_bytes()).unwrap();
        connection.head().map(|heard| heard.status)
    };
    assert_eq!(raw("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"), Some(400));
    assert_eq!(raw("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"), Some(400));
    assert_eq!(raw("GET / HTTP/1.1\r\n\r\n"), Some(400));
    let mut probe = std::net::TcpStream::connect(site.server.address()).unwrap();
    probe.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    let mut heard = String::new();
    probe.read_to_string(&mut heard).unwrap();
    assert!(heard.starts_with("HTTP/1.0 200"), "an old probe says no host: {heard}");
    assert_eq!(raw("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n"), Some(421));
    let env = site.end();
    let log = std::fs::read_to_string(env.path("stderr")).unwrap();
    assert!(log.contains("421") && log.contains("does not answer for evil.example"), "{log}");
    let site = Site::of(env, &["--allowed-host", "wheels.example"]);
    for (host, status) in
        [("wheels.example", 200), ("Wheels.Example:443", 200), ("localhost", 200), ("other.example", 421)]
    {
        assert_eq!(ask(&site, path, host).status, status, "{host}");
    }
    assert_eq!(site.env.run(["serve", "--allowed-host", "https://wheels.example"]).code, 2);
    site.end();
}

#[test]
fn pages_of_other_sites_read_only_where_that_is_told() {
    let env = Env::new();
    let demo = Wheel::new("demo", "1.0");
    add(&env, "cuda", std::slice::from_ref(&demo));
    let file = file_path(&demo.filename(), &demo.bytes());
    let paths = ["/cuda/simple/demo/", &file, &format!("{file}.metadata"), "/cuda/simple/nothing/"];
    let (own, other) = ("https://notebook.example", "https://evil.example");
    let site = Site::of(env, &[]);
    for path in paths {
        let heard = site.server.ask("GET", path, &[("Origin", own)]);
        assert_eq!(heard.header("access-control-allow-origin"), "", "{path}");
    }
    let env = site.end();
    let site = Site::of(env, &["--allow-origin", own]);
    for path in paths {
        // The second answer comes from memory.
        for _ in 0..2 {
            let heard = site.server.ask("GET", path, &[("Origin", own)]);
            assert_eq!(heard.header("access-control-allow-origin"), own, "{path}");
            let heard = site.server.ask("GET", path, &[("Origin", other)]);
            assert_eq!(heard.header("access-control-allow-origin"), "", "{path}");
            assert!(heard.header("vary").contains("Origin"), "{path}: {heard}");
        }
    }
    let asked =
        [("Origin", own), ("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "range")];
    let heard = site.server.ask("OPTIONS", &file, &asked);
    assert_eq!((heard.status, heard.header("access-control-allow-origin")), (204, own));
    assert!(heard.header("access-control-allow-headers").contains("Range"), "{heard}");
    assert_eq!(site.server.ask("OPTIONS", &file, &[]).status, 405);
    // Every answer says it, whatever it is; and none lends what a browser keeps for the server.
    let tag = site.server.ask("GET", &file, &[]).header("etag").to_owned();
    let basic = basic("wcas_nobody");
    for (method, path, headers, status) in [
        ("GET", "/cuda/simple/demo/", &[("Accept", "application/vnd.pypi.simple.v1+json")][..], 200),
        ("HEAD", "/cuda/simple/demo/", &[], 200),
        ("GET", "/cuda/pypi/demo/json", &[], 200),
        ("GET", "/cuda/simple/Demo/", &[], 301),
        ("GET", file.as_str(), &[("If-None-Match", tag.as_str())], 304),
        ("GET", file.as_str(), &[("Range", "bytes=0-9")], 206),
        ("GET", file.as_str(), &[("Range", "bytes=99999999-")], 416),
        ("GET", "/nothing/simple/", &[], 404),
        ("GET", "/cuda/simple/demo/", &[("Authorization", basic.as_str())], 200),
        ("PUT", "/cuda/simple/demo/", &[], 405),
        ("GET", "/cuda/simple/demo/", &[("Host", "evil.example")], 421),
    ] {
        let heard = site.server.ask(method, path, &[&[("Origin", own)], headers].concat());
        assert_eq!(heard.status, status, "{method} {path}: {heard}");
        assert_eq!(heard.header("access-control-allow-origin"), own, "{method} {path}: {heard}");
        assert_eq!(heard.header("access-control-allow-credentials"), "", "{method} {path}");
    }
    site.server.stop();
    let site = Site::of(site.env, &["--allow-origin", own, "--anonymous", "nothing"]);
    let login = crate::uploads::basic(&site.token(&["--all", "--scope", "read"]));
    for (headers, status) in [(&[][..], 401), (&[("Authorization", login.as_str())][..], 200)] {
        for (origin, allowed) in [(own, own), (other, "")] {
            let heard = site.server.ask("GET", "/cuda/simple/demo/", &[&[("Origin", origin)], headers].concat());
            assert_eq!((heard.status, heard.header("access-control-allow-origin")), (status, allowed), "{heard}");
            assert_eq!(heard.header("access-control-allow-credentials"), "", "{heard}");
        }
    }
    let env = site.end();
    let site = Site::of(env, &["--cors", "*"]);
    assert_eq!(site.server.ask("GET", &file, &[]).header("access-control-allow-origin"), "*");
    let asked = [("Origin", own), ("Access-Control-Request-Method", "POST")];
    let heard = site.server.ask("OPTIONS", "/cuda/legacy/", &asked);
    assert_eq!(heard.header("access-control-allow-methods"), "GET, HEAD", "whatever it asks for");
    assert_eq!(heard.header("access-control-allow-credentials"), "", "nobody's browser lends what it keeps");
    assert_eq!(site.env.run(["serve", "--allow-origin", "notebook.example"]).code, 2);
    site.end();
}
