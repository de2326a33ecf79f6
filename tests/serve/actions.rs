//! Actions on the pages, over the wire.

use crate::site::Site;
use crate::support::{Env, Heard, Wheel};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn site(args: &[&str]) -> Site {
    let env = Env::new();
    crate::site::add(&env, "cuda", &[Wheel::new("demo", "1.0")]);
    Site::of(env, args)
}

fn post(site: &Site, path: &str, headers: &[(&str, &str)], body: &str) -> Heard {
    site.server.connect().post(path, &[&[FORM], headers].concat(), body.as_bytes())
}

fn value(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn a_browser_signs_in_acts_and_signs_out() {
    let site = site(&["--actions", "--trust-proxy", "127.0.0.1", "--base-path", "/wheels"]);
    let token = site.token(&["--collection", "cuda", "--scope", "admin", "--name", "release"]);
    // Behind a proxy that speaks TLS and leaves what is before every path.
    let origin = format!("https://{}", site.server.address());
    let secure = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "203.0.113.9"), ("Origin", origin.as_str())];
    let heard = post(&site, "/wheels/_/sign-in/", &secure, &format!("token={token}"));
    assert_eq!((heard.status, heard.header("location")), (303, "../sign-in/"), "{heard}");
    let cookie = heard.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-wcas-session=") && cookie.ends_with("; Secure"), "{cookie}");
    let cookie = ("Cookie", cookie.split(';').next().unwrap());
    let with_cookie = [&secure[..], &[cookie]].concat();
    let path = "/wheels/cuda/actions/yank/";
    let page = site.server.ask("GET", &format!("{path}?spec=demo"), &with_cookie);
    assert_eq!((page.status, page.header("cache-control")), (200, "no-store"), "{page}");
    assert_eq!(site.server.ask("GET", &format!("{path}?spec=demo"), &[cookie]).status, 403, "it is for TLS alone");
    let page = page.text();
    assert!(page.contains("href=\"../../../-/style-"), "{page}");
    let (proof, state) = (value(&page, "proof"), value(&page, "state"));
    let body = format!("proof={proof}&state={state}&spec=demo&reason=it+leaks");
    let done = post(&site, path, &with_cookie, &body);
    assert_eq!(done.status, 200, "{done}");
    let record = site.env.json(["log"])["records"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&record["by"]["name"], &record["from"]), (&"release".into(), &"203.0.113.9".into()), "{record}");
    let out = post(&site, "/wheels/_/sign-out/", &with_cookie, &format!("proof={proof}"));
    assert_eq!(out.status, 303, "{out}");
    assert_eq!(post(&site, path, &with_cookie, &body).status, 403);
    site.end();
}

#[test]
fn forms_are_bounded_and_without_the_switch_there_are_none() {
    let own = site(&["--actions"]);
    let heard = post(&own, "/_/sign-in/", &[], &format!("token={}", "x".repeat(20_000)));
    assert_eq!(heard.status, 413, "{heard}");
    assert!(heard.text().contains("budget action-bytes"), "{heard}");
    assert!(own.env.ok(["serve", "--help"]).stdout.contains("action-bytes"));
    let heard = own.server.ask("PUT", "/_/sign-in/", &[]);
    assert_eq!((heard.status, heard.header("allow")), (405, "GET, HEAD, POST"), "{heard}");
    own.end();
    let none = site(&[]);
    assert_eq!(post(&none, "/_/sign-in/", &[], "token=x").status, 404);
    assert_eq!(post(&none, "/cuda/actions/yank/", &[], "spec=demo").status, 404);
    none.end();
}

#[test]
fn a_share_out_of_reach_is_told_and_the_form_holds_until_it_is_back() {
    if Env::is_of_own_store_only("it makes its own share") {
        return;
    }
    let env = Env::new();
    let (share, gone) = (env.path("share"), env.path("share-gone"));
    std::fs::create_dir(&share).unwrap();
    env.ok(["init", "--share", &format!("file://{}", share.display())]);
    crate::site::add(&env, "cuda", &[Wheel::new("demo", "1.0")]);
    let site = Site::of(env, &["--actions"]);
    let token = site.token(&["--all", "--scope", "admin"]);
    let heard = post(&site, "/_/sign-in/", &[], &format!("token={token}"));
    let cookie = [("Cookie", heard.header("set-cookie").split(';').next().unwrap())];
    let path = "/cuda/actions/yank/";
    let page = site.server.ask("GET", &format!("{path}?spec=demo"), &cookie).text();
    let body = format!("proof={}&state={}&spec=demo&reason=x", value(&page, "proof"), value(&page, "state"));
    std::fs::rename(&share, &gone).unwrap();
    let heard = post(&site, path, &cookie, &body);
    assert_eq!(heard.status, 503, "{heard}");
    assert!(heard.text().contains("The shared store can't be reached"), "{heard}");
    assert!(!heard.text().contains("share-gone") && !heard.text().contains(share.to_str().unwrap()), "{heard}");
    std::fs::rename(&gone, &share).unwrap();
    let heard = post(&site, path, &cookie, &body);
    assert_eq!(heard.status, 200, "{heard}");
    site.end();
}

#[test]
fn a_server_that_may_only_read_its_store_says_so() {
    let site = site(&["--actions"]);
    let token = site.token(&["--all", "--scope", "admin"]);
    // What a newer program knows of, and this one may only read beside.
    let env = site.end();
    let file = env.store().join("wcas.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let marked = text.replace("\"ro_compat\": []", "\"ro_compat\": [\"unheard-of\"]");
    assert_ne!(text, marked, "{text}");
    std::fs::write(&file, marked).unwrap();
    let site = Site::of(env, &["--actions"]);
    let heard = post(&site, "/_/sign-in/", &[], &format!("token={token}"));
    assert_eq!(heard.status, 303, "{heard}");
    let cookie = ("Cookie", heard.header("set-cookie").split(';').next().unwrap());
    let page = site.server.ask("GET", "/cuda/actions/yank/?spec=demo", &[cookie]);
    assert_eq!(page.status, 403, "{page}");
    assert!(page.text().contains("The server may only read its store"), "{page}");
    std::fs::write(&file, text).unwrap();
    site.end();
}
