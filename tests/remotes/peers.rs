//! Servers that people run, as remotes: pypiserver, devpi, and a public index.
//!
//! `$WCAS_TEST_PEERS` is the interpreter that `tests/peers.sh` printed; `$WCAS_TEST_INDEX` the URL of an index that may be asked
//! over the network. Without them these tests say so and pass.

use crate::support::peer::{http, program, start};
use crate::support::{Env, Sdist, Wheel};
use crate::{assert_whole, found, json, missed, wheel};
use serde_json::Value;

/// What the peers have: two versions, a local one, and a source distribution.
fn wheels() -> Vec<Wheel> {
    vec![
        wheel("demo-app", "1.0", 1).requires_python(">=3.8"),
        wheel("demo-app", "2.0+cu126", 2).requires("demo-lib>=1"),
        wheel("demo-lib", "1.0", 3),
    ]
}

/// Looks at a remote, looks up, pulls, and misses.
fn use_remote(env: &Env, url: &str) -> Value {
    env.ok(["remote", "add", "peer", url]);
    let test = json(env, 0, &["remote", "test", "peer", "--project", "demo-app"]);
    assert_eq!(
        (&test["ok"], &test["sample"]["files"], &test["sample"]["hashes"]),
        (&true.into(), &3.into(), &3.into()),
        "{test}"
    );
    assert_eq!(test["sample"]["problems"], serde_json::json!([]), "{test}");
    assert_eq!(found(env, &["demo-app==1.0"]), (Some("peer".to_owned()), "1.0".to_owned()));
    assert_eq!(found(env, &["demo_app-2.0+cu126-py3-none-any.whl"]), (Some("peer".to_owned()), "2.0+cu126".to_owned()));
    let report = json(env, 0, &["pull", "demo-lib", "demo-app==1.0", "demo_app-0.5.tar.gz"]);
    let outcomes: Vec<_> = report["distributions"].as_array().unwrap().iter().map(|row| &row["remote"]).collect();
    assert_eq!(outcomes, [&Value::from("peer"), &Value::Null, &Value::from("peer")], "{report}");
    assert_eq!(missed(env, &["demo-absent"]), "", "a project that isn't there is no failure");
    missed(env, &["demo-app==9"]);
    for wheel in wheels() {
        let shown = env.json(["show", &wheel.filename()]);
        let digest = wcas::digest::Sha256::of(&wheel.bytes()).to_string();
        assert_eq!(shown["distributions"][0]["sha256"], digest, "{shown}");
    }
    assert_whole(env);
    test
}

#[test]
fn pypiserver_is_a_remote() {
    let env = Env::new();
    wheels().iter().for_each(|wheel| drop(wheel.write_to(env.path("served"))));
    Sdist::new("demo-app", "0.5").write_to(env.path("served"));
    let Some(peer) = start(&env, "pypi-server", &[], |port| {
        let fixed = "run -i 127.0.0.1 --disable-fallback --hash-algo sha256 -P . -a . -p";
        fixed.split(' ').chain([port, "served"]).map(str::to_owned).collect::<Vec<_>>()
    }) else {
        return;
    };
    let test = use_remote(&env, &format!("{}/simple/", peer.url));
    assert_eq!(
        (&test["layout"], &test["sample"]["syntax"], &test["projects"]),
        (&"simple".into(), &"html".into(), &2.into())
    );
    // By its bare address, too.
    let other = Env::new();
    other.ok(["remote", "add", "peer", &format!("{}/", peer.url)]);
    found(&other, &["demo-app==1.0"]);
}

#[test]
fn devpi_is_a_remote() {
    let env = Env::new();
    let fixed = "--argon2-memory-cost 8 --argon2-parallelism 1 --argon2-time-cost 1";
    let Some(mut init) = program(&env, "devpi-init") else { return };
    assert!(init.args(["--serverdir", "devpi", "--no-root-pypi"]).status().unwrap().success());
    let args = |port: &str| {
        let own = ["--serverdir", "devpi", "--host", "127.0.0.1", "--offline-mode", "--port", port];
        own.into_iter().chain(fixed.split(' ')).map(str::to_owned).collect::<Vec<_>>()
    };
    let Some(peer) = start(&env, "devpi-server", &[], args) else { return };
    fill_devpi(&peer.url);
    let test = use_remote(&env, &format!("{}/root/dev/+simple/", peer.url));
    assert_eq!((&test["layout"], &test["sample"]["syntax"]), (&"simple".into(), &"json".into()), "{test}");
    drop(peer);
    // And what it exports is imported (docs/coming-from.md).
    let mut export = program(&env, "devpi-export").unwrap();
    assert!(export.args(["--serverdir", "devpi", "export"]).status().unwrap().success());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/migrate/from-devpi.sh");
    let moved = Env::new();
    let mut migrate = moved.shell("exec bash \"$script\" \"$export\"");
    migrate.env("script", script).env("export", env.path("export")).env("WCAS", env!("CARGO_BIN_EXE_wcas"));
    assert!(migrate.status().unwrap().success());
    assert_eq!(moved.json(["collection", "show", "root-dev"])["distributions"], wheels().len() + 1);
}

/// Asks devpi for something that must work.
fn send(request: reqwest::blocking::RequestBuilder, kind: &str, body: Vec<u8>, token: &str) -> Value {
    let request = request.header("Content-Type", kind).header("Accept", "application/json").body(body);
    let request = if token.is_empty() { request } else { request.header("X-Devpi-Auth", token) };
    let response = request.send().unwrap();
    let (status, text) = (response.status(), response.text().unwrap());
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// Makes the index `root/dev`, and returns the token that uploads to it.
pub(crate) fn make_devpi_index(url: &str) -> String {
    let (client, json) = (http(), "application/json");
    let login = client.post(format!("{url}/+login"));
    let answer = send(login, json, br#"{"user":"root","password":""}"#.to_vec(), "");
    let token = base64(format!("root:{}", answer["result"]["password"].as_str().unwrap()).as_bytes());
    let index = br#"{"type":"stage","bases":[],"volatile":true}"#.to_vec();
    send(client.put(format!("{url}/root/dev")), json, index, &token);
    token
}

/// Makes an index and uploads to it.
fn fill_devpi(url: &str) {
    let (client, token) = (http(), make_devpi_index(url));
    let sdist = Sdist::new("demo-app", "0.5");
    let mut files: Vec<_> = wheels()
        .iter()
        .map(|wheel| {
            let filename = wheel.filename();
            let parts: Vec<String> = filename.split('-').map(str::to_owned).collect();
            (parts[0].replace('_', "-"), parts[1].clone(), "bdist_wheel", filename, wheel.bytes())
        })
        .collect();
    files.push(("demo-app".to_owned(), "0.5".to_owned(), "sdist", sdist.filename(), sdist.bytes()));
    for (name, version, kind, filename, bytes) in files {
        let mut body = Vec::new();
        for (field, value) in [
            (":action", "file_upload"),
            ("name", &name),
            ("version", &version),
            ("filetype", kind),
            ("pyversion", "py3"),
            ("metadata_version", "2.1"),
        ] {
            let part = format!("--limit\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n");
            body.extend(part.into_bytes());
        }
        let head = format!(
            "--limit\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{filename}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend([head.as_bytes(), &bytes, b"\r\n--limit--\r\n"].concat());
        send(client.post(format!("{url}/root/dev/")), "multipart/form-data; boundary=limit", body, &token);
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |three: &[u8]| -> String {
        let word = three.iter().fold(0, |word, byte| word << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        let letter = |place: usize| char::from(LETTERS[word >> (18 - 6 * place) & 63]);
        (0..4).map(|place| if place <= three.len() { letter(place) } else { '=' }).collect()
    };
    bytes.chunks(3).map(four).collect()
}

#[test]
fn a_public_index_is_a_remote() {
    let Some(url) = std::env::var("WCAS_TEST_INDEX").ok().filter(|url| !url.is_empty()) else {
        crate::support::skip("WCAS_TEST_INDEX is not set; it names an index that may be asked over the network");
        return;
    };
    let env = Env::new();
    let mut given = url::Url::parse(&url).expect("WCAS_TEST_INDEX is a URL");
    // Credentials are never stored: they come by a variable.
    let login = format!("{}:{}", given.username(), given.password().unwrap_or_default());
    let _ = (given.set_username(""), given.set_password(None));
    let mut vars: Vec<(String, String)> = std::env::vars()
        .filter(|(name, _)| name.to_ascii_lowercase().ends_with("_proxy") || name.starts_with("SSL_CERT_"))
        .collect();
    let mut add = vec!["remote", "add", "public", given.as_str()];
    if login != ":" {
        vars.push(("INDEX_LOGIN".to_owned(), login));
        add.extend(["--auth", "env:INDEX_LOGIN"]);
    }
    env.ok(add);
    let vars: Vec<(&str, &str)> = vars.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let output = env.run_with_env(&vars, ["--json", "pull", "packaging==24.2", "iniconfig==2.0.0"]);
    let report = crate::document(&output, 0);
    let names: Vec<_> =
        report["distributions"].as_array().unwrap().iter().map(|row| row["filename"].as_str().unwrap()).collect();
    assert_eq!(names, ["packaging-24.2-py3-none-any.whl", "iniconfig-2.0.0-py3-none-any.whl"]);
    let test = env.run_with_env(&vars, ["--json", "remote", "test", "public", "--project", "packaging"]);
    let test = crate::document(&test, 0);
    assert_eq!((&test["layout"], test["sample"]["files"] == test["sample"]["hashes"]), (&"simple".into(), true));
    assert_whole(&env);
}
