//! What a page of another site, or a cache on the way, may make of somebody's browser and token.

use crate::site::{FROMAGER, Site, add, file_path};
use crate::support::{Env, Wheel};
use crate::uploads::{FORM, basic, form};

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
