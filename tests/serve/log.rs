//! What goes over HTTP is in the log of the store, with the token that did it and the address that it came from.

use crate::site::{Site, add};
use crate::support::{Env, Reply, Server, Wheel};
use crate::uploads::{FORM, basic, form};
use serde_json::{Value, json};

/// Returns who did what, from the records of a kind.
fn told(env: &Env, kind: &str) -> Vec<Value> {
    let log = env.json(["log", "--kind", kind]);
    let records = log["records"].as_array().unwrap();
    let short = |record: &Value| {
        json!([record["by"]["kind"], record["by"]["name"], record["from"], record["command"], record["filename"]])
    };
    records.iter().map(short).collect()
}

fn post(site: &Site, path: &str, token: Option<&str>, wheel: &Wheel) -> u16 {
    let login = token.map(basic);
    let mut headers = vec![FORM];
    headers.extend(login.as_ref().map(|login| ("Authorization", login.as_str())));
    site.server.connect().post(path, &headers, &form(&wheel.filename(), &wheel.bytes(), &[])).status
}

#[test]
fn an_upload_has_the_token_and_the_address() {
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("demo", "1.0")]);
    let site = Site::of(env, &[]);
    let token = site.token(&["--collection", "cuda", "--scope", "admin", "--name", "ci"]);
    let (first, other) = (Wheel::new("up", "1.0"), Wheel::new("up", "1.0").payload(100, 7));
    assert_eq!(post(&site, "/cuda/legacy/", Some(&token), &first), 200);
    assert_eq!(post(&site, "/cuda/legacy/?on_conflict=replace", Some(&token), &other), 200);
    assert_eq!(post(&site, "/cuda/legacy/", None, &Wheel::new("up", "9.0")), 401);
    let env = site.end();
    let row = json!(["token", "ci", "127.0.0.1", "upload", first.filename()]);
    assert_eq!(told(&env, "upload"), [row.clone(), row]);
    let records = env.json(["log", "--kind", "upload"]);
    let replaced = &records["records"][1];
    assert_eq!(replaced["before"]["sha256"], records["records"][0]["sha256"], "{replaced}");
    assert_eq!(replaced["after"]["sha256"], replaced["sha256"], "{replaced}");
    let used: Vec<Value> = told(&env, "token").into_iter().filter(|row| row[0] == "token").collect();
    assert_eq!(used.len(), 1, "the first use, and no other: {used:?}");
    assert_eq!(used[0][1], "ci");
    assert!(!env.json(["log"]).to_string().contains(&token), "no secret");
    env.ok(["log", "verify"]);
}

#[test]
fn anonymous_is_told_by_the_address() {
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("demo", "1.0")]);
    let site = Site::of(env, &["--anonymous", "upload"]);
    let wheel = Wheel::new("up", "1.0");
    assert_eq!(post(&site, "/cuda/legacy/", None, &wheel), 200);
    let env = site.end();
    assert_eq!(told(&env, "upload"), [json!(["anonymous", "anonymous", "127.0.0.1", "upload", wheel.filename()])]);
}

#[test]
fn what_a_request_pulls_has_whoever_asked_first() {
    let upstream = Server::start();
    let wheel = Wheel::new("far", "1.0");
    upstream.route("/simple/far/", Reply::html(upstream.wheel(&wheel.filename(), &wheel.bytes())));
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("demo", "1.0")]);
    env.ok(["remote", "add", "up", &upstream.url("/simple/"), "--collection", "cuda"]);
    let site = Site::of(env, &[]);
    let page = site.server.json("/cuda/simple/far/");
    let url = page["files"][0]["url"].as_str().unwrap();
    let path = url.find("/cuda/").map_or(url, |at| &url[at..]);
    let path = path.trim_start_matches("..").trim_start_matches("/..").to_owned();
    let path = if path.starts_with('/') { path } else { format!("/cuda/simple/far/{path}") };
    assert_eq!(site.server.get(&path).body, wheel.bytes());
    let env = site.end();
    assert_eq!(told(&env, "pull"), [json!(["anonymous", "anonymous", "127.0.0.1", "pull through", wheel.filename()])]);
    let record = env.json(["log", "--kind", "pull"])["records"][0].clone();
    assert_eq!(record["after"]["remote"], "up");
}
