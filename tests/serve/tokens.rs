//! What a token reaches, how long it lasts, and what is told of it.

use crate::ownership::{fields, post, refer, upload};
use crate::site::{JSON, Site, add, sha256};
use crate::support::{Env, Heard, Wheel};
use crate::uploads::{basic, form};

/// The set-up of docs/remotes.md: two variants that detect, a guard on each.
fn env() -> Env {
    let env = Env::new();
    for (name, accelerator) in [("shared", "none"), ("cuda", "cuda"), ("gaudi", "gaudi")] {
        env.ok(["collection", "create", name]);
        env.ok(["collection", "set", name, "--accelerator", accelerator]);
    }
    for (variant, project) in [("cuda", "torch"), ("gaudi", "habana-media-loader")] {
        std::fs::write(env.path(variant), format!("{project}\n")).unwrap();
        env.ok(["route", "set", variant, "--requirements", env.path(variant).to_str().unwrap(), "--detect"]);
    }
    add(&env, "cuda", &[Wheel::new("torch", "2.6.0+cu126")]);
    add(&env, "shared", &[Wheel::new("requests", "2.32.3")]);
    env
}

/// Fails unless it is an answer with this status and these words.
#[track_caller]
fn is(heard: &Heard, status: u16, words: &[&str]) {
    assert_eq!(heard.status, status, "{heard}");
    for word in words {
        assert!(heard.text().contains(word), "{word}: {heard}");
    }
}

fn list(site: &Site) -> Vec<String> {
    let list = site.env.json(["list"]);
    let rows = list["distributions"].as_array().unwrap().iter();
    rows.map(|row| format!("{}/{}", row["collection"].as_str().unwrap(), row["filename"].as_str().unwrap())).collect()
}

#[test]
fn a_route_leads_an_upload_out_of_its_tokens_collection_only_where_the_token_says_so() {
    let site = Site::of(env(), &["--anonymous", "nothing"]);
    let before = list(&site);
    let [up, admin] =
        ["upload", "admin"].map(|scope| site.token(&["--collection", "gaudi", "--scope", scope, "--name", scope]));
    let torch = Wheel::new("torch", "99.0+cu126");
    let requests = Wheel::new("requests", "99.0");
    for (path, wheel, goes) in [
        ("/gaudi/legacy/", &torch, "cuda"),
        ("/gaudi/", &requests, "shared"),
        ("/gaudi/simple/?own=no", &requests, "shared"),
        ("/gaudi/legacy/?on_conflict=keep", &requests, "shared"),
    ] {
        let words = [format!("goes to {goes}"), format!("`wcas token create --collection gaudi --into {goes}")];
        for token in [&up, &admin] {
            is(&upload(&site, path, token, wheel), 403, &[&words[0], &words[1]]);
        }
    }
    is(&upload(&site, "/cuda/legacy/", &up, &torch), 403, &["the token upload allows to upload gaudi", "for cuda"]);
    for wheel in [Wheel::new("torch", "2.6.0+cu126").payload(9, 9), Wheel::new("requests", "2.32.3").payload(9, 9)] {
        is(&upload(&site, "/gaudi/legacy/?on_conflict=replace", &admin, &wheel), 403, &["the token admin"]);
    }
    is(&upload(&site, "/gaudi/legacy/", &up, &Wheel::new("requests", "2.32.3")), 403, &["goes to shared"]);
    assert_eq!(list(&site), before);
    is(&upload(&site, "/gaudi/legacy/?own=yes", &up, &requests), 200, &["in gaudi"]);
    is(&upload(&site, "/gaudi/legacy/", &up, &Wheel::new("habana-media-loader", "1.0")), 200, &["in gaudi"]);
    let all = site.token(&["--all", "--scope", "upload"]);
    is(&upload(&site, "/gaudi/legacy/", &all, &torch), 200, &["in cuda"]);
    // A reference is an upload.
    is(&refer(&site, "/gaudi/legacy/?own=no", &up, &requests), 403, &["--into shared"]);
    is(&refer(&site, "/gaudi/legacy/?own=no", &all, &requests), 200, &["in shared"]);
    site.end();
}

#[test]
fn into_another_collection_a_token_adds_and_replaces_nothing() {
    let site = Site::of(env(), &[]);
    let token = site.token(&["--collection", "gaudi", "--into", "shared", "--into", "gaudi", "--scope", "admin"]);
    let path = "/gaudi/legacy/?on_conflict=replace";
    let own = |seed| Wheel::new("habana-media-loader", "1.0").payload(10, seed);
    let requests = |version: &str, seed| Wheel::new("requests", version).payload(10, seed);
    is(&upload(&site, path, &token, &own(1)), 200, &["in gaudi"]);
    is(&upload(&site, path, &token, &own(2)), 200, &["took the place of other bytes in gaudi"]);
    is(&upload(&site, path, &token, &requests("99.0", 1)), 200, &["in shared"]);
    is(&upload(&site, path, &token, &requests("99.0", 1)), 200, &["was there in shared"]);
    let words = ["shared has other bytes", "token of shared itself", "admin"];
    is(&upload(&site, path, &token, &requests("99.0", 2)), 403, &words);
    is(&upload(&site, "/gaudi/legacy/", &token, &requests("99.0", 2)), 400, &["already exists"]);
    is(&upload(&site, "/gaudi/legacy/?on_conflict=keep", &token, &requests("99.0", 2)), 200, &["kept"]);
    site.env.ok(["invalidate", "requests==99.0", "--collection", "shared"]);
    is(&upload(&site, path, &token, &requests("99.0", 2)), 400, &["shared had other bytes"]);
    is(&upload(&site, path, &token, &Wheel::new("torch", "99.0+cu126")), 403, &["--into cuda"]);
    is(&upload(&site, "/shared/legacy/", &token, &requests("98.0", 1)), 403, &["gaudi"]);
    let listed = site.env.ok(["token", "list"]).stdout;
    assert!(listed.contains("gaudi, into shared"), "{listed}");
    // What an override leads elsewhere goes with the rest.
    site.env.ok(["collection", "create", "special"]);
    site.env.ok(["route", "override", "numpy", "special"]);
    is(&upload(&site, "/gaudi/legacy/", &token, &Wheel::new("numpy", "1.0")), 403, &["--into special"]);
    // What a collection has lost is its own token's to bring.
    site.end();
}

#[test]
fn a_token_of_some_projects_uploads_no_other() {
    let env = env();
    let site = Site::of(env, &[]);
    let args = ["--project", "acme-*", "--project", "Torch", "--scope", "upload", "--name", "few"];
    for place in [&["--collection", "gaudi", "--into", "shared"][..], &["--all"]] {
        let token = site.token(&[place, &args].concat());
        is(&upload(&site, "/gaudi/legacy/", &token, &Wheel::new("Acme.Tools", "1.0")), 200, &["in shared"]);
        for name in ["requests", "acme", "torchvision"] {
            let words = ["acme-*, torch only", &format!("--project {name}")];
            is(&upload(&site, "/gaudi/legacy/", &token, &Wheel::new(name, "5.0")), 403, &words);
        }
        site.env.ok(["token", "revoke", "few"]);
    }
    let listed = site.env.json(["token", "list"]);
    assert_eq!(listed["tokens"][0]["projects"], serde_json::json!(["acme-*", "torch"]));
    for args in [
        &["--collection", "cuda", "--scope", "read", "--project", "a"][..],
        &["--collection", "cuda", "--scope", "read", "--into", "shared"],
        &["--collection", "cuda", "--scope", "read", "--no-read"],
        &["--all", "--scope", "upload", "--into", "shared"],
        &["--all", "--scope", "upload", "--project", "a b"],
        &["--all", "--scope", "upload", "--forever", "--expires", "1d"],
        &["--all", "--scope", "upload", "--expires", "1970-01-01"],
    ] {
        assert_eq!(site.env.run([&["token", "create"], args].concat()).code, 2, "{args:?}");
    }
    assert_eq!(site.env.run(["token", "create", "--collection", "cuda", "--into", "x", "--scope", "upload"]).code, 4);
    site.end();
}

#[test]
fn a_token_is_its_collections_and_not_its_names() {
    let env = Env::new();
    add(&env, "team", &[Wheel::new("old", "1.0")]);
    add(&env, "shared", &[Wheel::new("known", "1.0")]);
    let site = Site::of(env, &["--anonymous", "nothing"]);
    let token = site.token(&["--collection", "team", "--scope", "admin", "--name", "ci"]);
    let beside = site.token(&["--collection", "shared", "--into", "team", "--scope", "upload", "--name", "beside"]);
    let login = basic(&token);
    let page = || site.server.ask("GET", "/team/simple/", &[("Accept", JSON), ("Authorization", &login)]);
    is(&page(), 200, &["old"]);
    site.env.ok(["collection", "delete", "team", "--yes"]);
    is(&page(), 401, &["ci ended with the collection team"]);
    add(&site.env, "team", &[Wheel::new("new", "1.0")]);
    is(&page(), 401, &["ci ended"]);
    is(&upload(&site, "/team/legacy/", &token, &Wheel::new("old", "2.0")), 401, &["ci ended"]);
    site.env.ok(["route", "override", "stray", "team"]);
    site.env.ok(["route", "set", "shared", "--detect"]);
    is(&upload(&site, "/shared/legacy/", &beside, &Wheel::new("stray", "1.0")), 403, &["goes to team"]);
    let listed = site.env.ok(["token", "list"]).stdout;
    assert!(listed.contains("ended with its collection"), "{listed}");
    // A variant's collection is made for its token where there is none.
    site.env.ok(["route", "set", "rocm", "--detect"]);
    let token = site.token(&["--collection", "rocm", "--scope", "upload", "--name", "ci"]);
    let wheel = Wheel::new("own", "1.0");
    is(&upload(&site, "/rocm/legacy/?own=yes", &token, &wheel), 200, &["in rocm"]);
    site.end();
}

#[test]
fn a_token_that_may_not_read_learns_nothing_of_what_is_there() {
    let env = Env::new();
    let known = Wheel::new("known", "1.0");
    add(&env, "cuda", std::slice::from_ref(&known));
    let site = Site::of(env, &["--anonymous", "nothing"]);
    let token = site.token(&["--collection", "cuda", "--scope", "upload", "--no-read", "--name", "drop"]);
    let login = basic(&token);
    let file = format!("/files/{}/{}", sha256(&known.bytes()), known.filename());
    for path in ["/", "/cuda/", "/cuda/simple/", "/cuda/simple/known/", "/cuda/projects/known/", "/metrics", &file] {
        let heard = site.server.ask("GET", path, &[("Authorization", &login)]);
        assert!([403, 404].contains(&heard.status) && !heard.text().contains("known-"), "{path}: {heard}");
    }
    let other = Wheel::new("known", "1.0").payload(9, 9);
    let (upload, digest) = (|wheel| upload(&site, "/cuda/legacy/", &token, wheel), sha256(&known.bytes()));
    let heard = upload(&other);
    is(&heard, 400, &["already exists"]);
    assert!(!heard.text().contains(&digest), "{heard}");
    is(&refer(&site, "/cuda/legacy/", &token, &known), 404, &["send it"]);
    is(&upload(&Wheel::new("fresh", "1.0")), 200, &[]);
    assert!(site.env.ok(["token", "list"]).stdout.contains("upload, no read"));
    site.end();
}

#[test]
fn a_token_ends_after_ninety_days_unless_told_otherwise_and_only_its_holder_hears_it() {
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("known", "1.0")]);
    let site = Site::of(env, &[]);
    let lasts = |args: &[&str]| {
        let made = site.env.json([&["token", "create", "--all", "--scope", "read"], args].concat());
        made["expires_at"].as_i64().map(|end| end - made["created_at"].as_i64().unwrap())
    };
    assert_eq!((lasts(&[]), lasts(&["--forever"])), (Some(90 * 86_400), None));
    assert_eq!(lasts(&["--expires", "30d"]), Some(30 * 86_400));
    let dated = site.env.json(["token", "create", "--all", "--scope", "read", "--expires", "2100-01-01"]);
    assert_eq!(dated["expires_at"], 4_102_444_800_i64);
    let token = site.token(&["--collection", "cuda", "--scope", "read", "--expires", "1s", "--name", "brief"]);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let ask = |secret: &str| site.server.ask("GET", "/cuda/simple/", &[("Authorization", &basic(secret))]);
    is(&ask(&token), 401, &["the token brief expired on 2", "ask for a new one"]);
    let heard = ask(&format!("wcas_{}", "0".repeat(64)));
    is(&heard, 401, &["unknown"]);
    assert!(!heard.text().contains("brief"), "{heard}");
    let listed = site.env.ok(["token", "list"]).stdout;
    assert!(listed.contains("expired 2"), "{listed}");
    let env = site.end();
    let log = std::fs::read_to_string(env.path("stderr")).unwrap();
    let line =
        log.lines().find(|line| line.contains("(the token brief expired on 2")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("GET /cuda/simple/ 401") && !log.contains(&token), "{log}");
}

#[test]
fn a_tokens_last_use_is_noted_with_its_address() {
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("known", "1.0")]);
    let site = Site::of(env, &["--anonymous", "nothing"]);
    let login = basic(&site.token(&["--all", "--scope", "read"]));
    for _ in 0..3 {
        is(&site.server.ask("GET", "/cuda/simple/", &[("Authorization", &login)]), 200, &[]);
    }
    let env = site.end();
    let row = env.json(["token", "list"])["tokens"][0].clone();
    assert_eq!(row["used_from"], "127.0.0.1", "{row}");
    assert!(row["used_at"].as_i64() >= row["created_at"].as_i64(), "{row}");
    assert!(env.ok(["token", "list"]).stdout.contains("from 127.0.0.1"));
}

#[test]
fn many_uploads_of_one_token_are_each_judged() {
    // Routed in one request after another over one connection: nothing of one is taken for the next.
    let site = Site::of(env(), &[]);
    let login = basic(&site.token(&["--collection", "gaudi", "--scope", "upload"]));
    let mut connection = site.server.connect();
    for round in 0..4 {
        for (name, status) in [("habana-media-loader", 200), ("requests", 403)] {
            let wheel = Wheel::new(name, &format!("7.{round}"));
            let body = form(&wheel.filename(), &wheel.bytes(), &[]);
            let headers = [crate::uploads::FORM, ("Authorization", login.as_str())];
            assert_eq!(connection.post("/gaudi/legacy/", &headers, &body).status, status, "{name} {round}");
        }
    }
    let empty = post(&site, "/gaudi/legacy/", "wcas_", &fields(&[(":action", "file_upload")]));
    assert_eq!(empty.status, 401);
    site.end();
}
