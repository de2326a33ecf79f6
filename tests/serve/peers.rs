//! Beside the servers that people run: wcas behind them, and they behind wcas.

use crate::clients::{Desk, interpreter};
use crate::site::{Site, add, file_path, sha256, wheels};
use crate::support::peer::{Peer, http, program, start};
use crate::support::{Env, WcasServer};
use std::process::Stdio;

/// A site whose collection is served to a peer.
fn origin() -> Site {
    let env = Env::new();
    add(&env, "cuda", &wheels());
    env.ok(["yank", "demo-lib==2.5", "--reason", "broken", "--collection", "cuda"]);
    Site::of(env, &[])
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn proxpi(env: &Env, index: &str) -> Option<Peer> {
    let vars = [("PROXPI_INDEX_URL", index), ("PROXPI_CACHE_DIR", "proxpi-cache")];
    start(env, "python", &vars, |port| {
        strings(&["-m", "flask", "--app", "proxpi.server", "run", "--host", "127.0.0.1", "--port", port])
    })
}

/// Starts devpi with an index `root/up` that mirrors another.
fn devpi(env: &Env, index: &str) -> Option<Peer> {
    let mut init = program(env, "devpi-init")?;
    assert!(init.args(["--serverdir", "devpi", "--no-root-pypi"]).stderr(Stdio::null()).status().unwrap().success());
    let peer = start(env, "devpi-server", &[], |port| {
        let own = ["--serverdir", "devpi", "--host", "127.0.0.1", "--port", port, "--argon2-memory-cost", "8"];
        strings(&[&own[..], &["--argon2-parallelism", "1", "--argon2-time-cost", "1"]].concat())
    })?;
    let client = http();
    let json = ("Content-Type", "application/json");
    let login = client.post(format!("{}/+login", peer.url)).header(json.0, json.1).header("Accept", json.1);
    let answer: serde_json::Value =
        serde_json::from_str(&login.body(r#"{"user":"root","password":""}"#).send().unwrap().text().unwrap()).unwrap();
    use base64::Engine as _;
    let token = format!("root:{}", answer["result"]["password"].as_str().unwrap());
    let token = base64::engine::general_purpose::STANDARD.encode(token);
    let body = serde_json::json!({"type": "mirror", "mirror_url": index, "volatile": true}).to_string();
    let made = client.put(format!("{}/root/up", peer.url)).header(json.0, json.1).header("X-Devpi-Auth", token);
    let made = made.header("Accept", json.1).body(body).send().unwrap();
    assert!(made.status().is_success(), "{}", made.text().unwrap());
    Some(peer)
}

/// Installs through an index that stands before or behind ours.
fn install(index: &str, name: &str) {
    for client in ["pip", "uv"].into_iter().filter(|client| interpreter(client).is_some()) {
        let desk = Desk::new();
        let names = desk.install(client, index, &["demo-app==2.0", "demo-lib<2.5"]);
        assert_eq!(names, ["demo_app-2.0", "demo_lib-2.0"], "{name}: {client}");
    }
}

/// Puts a server of ours behind a peer's index, and looks whether all arrives.
fn ours_behind(index: &str, name: &str) {
    let env = Env::new();
    env.ok(["remote", "add", "up", index, "--collection", "cuda"]);
    let server = WcasServer::start(&env, &[]);
    let site = Site { env, server };
    let page = site.server.json("/cuda/simple/demo-app/");
    let rows = page["files"].as_array().unwrap();
    for wheel in &wheels()[..3] {
        let bytes = wheel.bytes();
        let row = rows.iter().find(|row| row["filename"] == wheel.filename());
        let row = row.unwrap_or_else(|| panic!("{name} lost {}: {page}", wheel.filename()));
        assert_eq!(row["hashes"]["sha256"], sha256(&bytes), "{name}");
        let path = file_path(&wheel.filename(), &bytes);
        site.server.get(&path).assert_brings(&bytes);
        // The sidecar is there, whether the peer had it or not.
        let sidecar = site.server.get(&format!("{path}.metadata"));
        assert!(sidecar.status == 200 && sidecar.text().contains("Name: demo-app"), "{name}: {sidecar}");
    }
    assert_eq!(site.server.get("/cuda/simple/demo-absent/").status, 404, "{name}");
    install(&site.server.url("/cuda/simple/"), name);
    site.end();
}

#[test]
fn proxpi_caches_us_and_we_pull_through_it() {
    let origin = origin();
    let env = Env::new();
    let Some(peer) = proxpi(&env, &origin.server.url("/cuda/simple/")) else { return };
    let index = format!("{}/index/", peer.url);
    install(&index, "proxpi");
    ours_behind(&index, "proxpi");
    origin.end();
}

#[test]
fn devpi_mirrors_us_and_we_pull_through_it() {
    let origin = origin();
    let env = Env::new();
    let Some(peer) = devpi(&env, &origin.server.url("/cuda/simple/")) else { return };
    let index = format!("{}/root/up/+simple/", peer.url);
    install(&index, "devpi");
    ours_behind(&index, "devpi");
    origin.end();
}

#[test]
fn we_pull_through_pypiserver() {
    let env = Env::new();
    wheels()[..6].iter().for_each(|wheel| drop(wheel.write_to(env.path("served"))));
    let Some(peer) = start(&env, "pypi-server", &[], |port| {
        let fixed = "run -i 127.0.0.1 --disable-fallback --hash-algo sha256 -P . -a . -p";
        strings(&fixed.split(' ').chain([port, "served"]).collect::<Vec<_>>())
    }) else {
        return;
    };
    ours_behind(&format!("{}/simple/", peer.url), "pypiserver");
}
