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

/// Serves with a form of the access log, asks for a page, a file and an upload, and returns the lines.
fn lines(form: &str) -> (Vec<String>, String, Wheel) {
    let env = Env::new();
    let wheel = Wheel::new("demo", "1.0");
    add(&env, "cuda", std::slice::from_ref(&wheel));
    let site = Site::of(env, &[form]);
    let token = site.token(&["--all", "--scope", "upload", "--name", "the ci"]);
    let (login, agent) = (basic(&token), ("User-Agent", "pip \"26\" \\n"));
    let page = site.server.ask("GET", "/cuda/simple/demo/?a=%22", &[("Authorization", &login), agent]);
    assert_eq!(page.status, 200);
    let json = site.server.json("/cuda/simple/demo/");
    let url = json["files"][0]["url"].as_str().unwrap().trim_start_matches("../").to_owned();
    let path = if url.starts_with("files/") { format!("/{url}") } else { format!("/cuda/{url}") };
    site.server.get(&path).assert_brings(&wheel.bytes());
    assert_eq!(post(&site, "/cuda/legacy/", None, &Wheel::new("up", "1.0")), 401);
    let wrong = [("Authorization", "Basic d2NhczpzZWNyZXQ="), ("Referer", "https://elsewhere.example/")];
    site.server.ask("GET", "/absent/", &wrong);
    let env = site.end();
    let said = std::fs::read_to_string(env.path("stderr")).unwrap();
    assert!(!said.contains(&token) && !said.contains("d2NhczpzZWNyZXQ") && !said.contains("secret"), "{said}");
    (said.lines().map(str::to_owned).collect(), path, wheel)
}

#[test]
fn the_access_log_has_the_form_of_other_web_servers() {
    let (lines, path, wheel) = lines("combined");
    let without_time = |line: &String| {
        let (before, rest) = line.split_once('[').unwrap();
        let (time, after) = rest.split_once(']').unwrap();
        assert!(time.len() == 26 && time.ends_with(" +0000") && time.split(['/', ':']).count() == 6, "{line}");
        format!("{before}[]{after}")
    };
    let seen: Vec<String> = lines.iter().map(without_time).collect();
    let begins = "127.0.0.1 - the_ci [] \"GET /cuda/simple/demo/?a=%22 HTTP/1.1\" 200 ";
    assert!(seen[0].starts_with(begins) && seen[0].ends_with(" \"-\" \"pip \\\"26\\\" \\\\n\""), "{}", seen[0]);
    assert_eq!(seen[2], format!("127.0.0.1 - - [] \"GET {path} HTTP/1.1\" 200 {} \"-\" \"-\"", wheel.bytes().len()));
    assert!(seen[3].starts_with("127.0.0.1 - - [] \"POST /cuda/legacy/ HTTP/1.1\" 401 "), "{}", seen[3]);
    assert!(seen[4].contains(" 404 ") && seen[4].contains("\"https://elsewhere.example/\""), "{}", seen[4]);
    assert_eq!(seen.len(), 5);
}

#[test]
fn the_access_log_is_a_document_a_line() {
    let (lines, path, wheel) = lines("json");
    let rows: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[0]["token"], json!({"id": 1, "name": "the ci"}));
    assert_eq!((&rows[0]["user_agent"], &rows[0]["status"]), (&json!("pip \"26\" \\n"), &json!(200)));
    let file = (&rows[2]["target"], &rows[2]["bytes"], &rows[2]["token"]);
    assert_eq!(file, (&json!(path), &json!(wheel.bytes().len()), &Value::Null));
    assert!(rows[3]["refused"].as_str().unwrap().contains("scope upload"), "{}", rows[3]);
    for row in &rows {
        assert!(row["schema"] == "wcas.access/1" && row["duration_ms"].is_number(), "{row}");
        assert!(row["time"].as_str().unwrap().ends_with('Z') && row["address"] == "127.0.0.1", "{row}");
    }
}

#[test]
fn programs_hear_the_names_that_they_may_read() {
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("demo", "1.0")]);
    add(&env, "rocm", &[Wheel::new("demo", "2.0")]);
    let site = Site::of(env, &["--anonymous", "nothing"]);
    let login = basic(&site.token(&["--collection", "rocm", "--scope", "read"]));
    let all = basic(&site.token(&["--all", "--scope", "read"]));
    let names = |login: &str, accept: &str| {
        let answer = site.server.ask("GET", "/", &[("Authorization", login), ("Accept", accept)]);
        assert_eq!((answer.status, answer.header("vary")), (200, "Accept, Authorization"));
        let document: Value = serde_json::from_str(&answer.text()).ok()?;
        Some(json!([document["schema"], document["names"]]))
    };
    let row = |name: &str| json!({"name": name, "revision": 1, "distributions": 1});
    assert_eq!(names(&login, "application/json"), Some(json!(["wcas.served/1", [row("rocm")]])));
    assert_eq!(names(&all, "*/*;q=0.1, application/json"), Some(json!(["wcas.served/1", [row("cuda"), row("rocm")]])));
    // Browsers, and who says nothing, get the page for people.
    for accept in ["text/html,application/json;q=0.9", "*/*", "application/json;q=0"] {
        assert_eq!(names(&all, accept), None, "{accept}");
    }
    assert_eq!(site.server.ask("GET", "/", &[("Accept", "application/json")]).status, 401);
    site.end();
}
