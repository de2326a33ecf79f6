//! Files of remotes: checked on the way, kept out when nothing vouches for them, healed, and never mixed up with what is there.

use crate::support::{Env, Reply, Server};
use crate::{
    add, asked, assert_whole, below, document, found, json, missed, notes, serve, serve_page, wheel, with_remote,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use wcas::digest::Sha256;

const FILE: &str = "/files/demo-1.0-py3-none-any.whl";

#[test]
fn m4_bytes_with_another_digest_leave_nothing_behind() {
    let server = serve("demo", &[wheel("demo", "1.0", 1)]);
    server.route(FILE, Reply::file(wheel("demo", "1.0", 2).bytes()));
    let env = with_remote(&server, &[]);
    let told = missed(&env, &["demo"]);
    assert!(told.contains("has other bytes than its digest says: expected SHA-256 "), "{told}");
    let stats = env.json(["stats"]);
    assert_eq!((&stats["blobs"]["count"], &stats["entries"]["count"]), (&0.into(), &0.into()), "{stats}");
    assert!(below(&env, "blobs").iter().all(|path| path.is_dir()));
    assert_whole(&env);
    // As soon as the right bytes are there they are taken.
    server.route(FILE, Reply::file(wheel("demo", "1.0", 1).bytes()));
    found(&env, &["demo"]);
}

#[test]
fn m4_a_file_that_is_no_wheel_or_another_projects_is_refused_although_its_digest_is_right() {
    for bytes in [b"no wheel".to_vec(), wheel("other", "1.0", 1).bytes(), wheel("demo", "2.0", 1).bytes()] {
        let page = format!("<a href=\"{FILE}#sha256={}\">x</a>", Sha256::of(&bytes));
        let server = serve_page(Reply::html(page), FILE, &bytes);
        let env = with_remote(&server, &[]);
        let told = missed(&env, &["demo"]);
        assert!(told.starts_with("mirror: demo-1.0-py3-none-any.whl: "), "{told}");
        assert_eq!(env.json(["stats"])["entries"]["count"], 0);
        assert_whole(&env);
    }
}

#[test]
fn l2_a_blob_that_vanished_or_is_damaged_is_healed_by_a_remote() {
    for damage in [true, false] {
        let server = serve("demo", &[wheel("demo", "1.0", 1)]);
        let env = Env::new();
        wheel("demo", "1.0", 1).write_to(env.path("in"));
        env.ok(["import", "in"]);
        // No stranger is asked for what is our own, not even for the same bytes.
        add(&env, "mirror", &server, &["--ours"]);
        let shown = env.json(["show", "demo"]);
        let blob = PathBuf::from(shown["distributions"][0]["path"].as_str().unwrap());
        fs::remove_file(&blob).unwrap();
        if damage {
            fs::write(&blob, "cut").unwrap();
        }
        let report = json(&env, 0, &["lookup", "demo"]);
        assert_eq!(
            (&report["remote"], &report["unusable"][0]),
            (&"mirror".into(), &"demo-1.0-py3-none-any.whl".into())
        );
        assert_eq!(Sha256::of(&fs::read(report["path"].as_str().unwrap()).unwrap()).to_string(), report["sha256"]);
        assert_eq!(found(&env, &["demo"]).0, None);
        assert_whole(&env);
    }
}

#[test]
fn l4_a_remotes_other_bytes_never_replace_what_a_collection_has() {
    let server = serve("demo", &[wheel("demo", "1.0", 2)]);
    let env = Env::new();
    let own = wheel("demo", "1.0", 1);
    own.write_to(env.path("in"));
    env.ok(["import", "in"]);
    add(&env, "mirror", &server, &[]);
    env.ok(["collection", "set", "shared", "--open", "demo"]);
    // Who demands the remote's bytes by digest can't have them in this collection, and is told so.
    let theirs = Sha256::of(&wheel("demo", "1.0", 2).bytes());
    fs::write(env.path("r.txt"), format!("demo==1.0 --hash=sha256:{theirs}\n")).unwrap();
    let report = json(&env, 3, &["pull", "-r", "r.txt"]);
    let told = notes(&report["missing"][0]["notes"]);
    assert!(told.starts_with("mirror: demo-1.0-py3-none-any.whl: "), "{told}");
    let shown = env.json(["show", "demo"]);
    assert_eq!(shown["distributions"][0]["sha256"], Sha256::of(&own.bytes()).to_string(), "{told}");
    // Nor does a lookup that finds the own bytes damaged.
    let blob = PathBuf::from(shown["distributions"][0]["path"].as_str().unwrap());
    fs::remove_file(&blob).unwrap();
    missed(&env, &["demo"]);
    let shown = env.json(["show", "demo"]);
    assert_eq!(shown["distributions"][0]["sha256"], Sha256::of(&own.bytes()).to_string());
    // The own bytes again: healed.
    env.ok(["import", "in"]);
    assert_eq!(found(&env, &["demo"]).0, None);
    assert_whole(&env);
}

#[test]
fn m3_x9_a_file_without_a_digest_is_refused_by_default_and_told() {
    let bytes = wheel("demo", "1.0", 1).bytes();
    // By way of a proxy, as if it were far away.
    let server = Server::start();
    server.route("http://index.example/simple/demo/", Reply::html(format!("<a href=\"{FILE}\">x</a>")));
    server.route(&format!("http://index.example{FILE}"), Reply::file(bytes.as_slice()));
    let proxy = server.url("");
    let vars = [("http_proxy", proxy.as_str())];
    let env = Env::new();
    env.ok(["remote", "add", "mirror", "http://index.example/simple/"]);
    let told = || notes(&document(&env.run_with_env(&vars, ["--json", "lookup", "demo"]), 4)["remotes"]);
    assert!(told().contains("--allow-insecure takes it"), "{}", told());
    env.ok(["remote", "set", "mirror", "--trust-unhashed"]);
    assert!(told().contains("plain http"), "trust in the index is none in the way to it");
    assert_eq!(asked(&server, &format!("http://index.example{FILE}")), 0);
    env.ok(["remote", "set", "mirror", "--allow-insecure"]);
    assert_unhashed(&env, &bytes, &vars);
}

#[test]
fn x9_a_server_of_the_own_machine_needs_trust_in_itself_only() {
    let bytes = wheel("demo", "1.0", 1).bytes();
    let server = serve_page(Reply::html(format!("<a href=\"{FILE}\">x</a>")), FILE, &bytes);
    let env = with_remote(&server, &[]);
    missed(&env, &["demo"]);
    assert_eq!(asked(&server, FILE), 0);
    env.ok(["remote", "set", "mirror", "--trust-unhashed"]);
    assert_unhashed(&env, &bytes, &[]);
}

#[test]
fn m3_plain_http_with_a_digest_needs_no_leave_and_an_unreadable_digest_is_never_none() {
    let bytes = wheel("demo", "1.0", 1).bytes();
    for (claim, is_taken) in [
        (format!("sha256={}", Sha256::of(&bytes)), true),
        ("sha256=abc".to_owned(), false),
        ("sha256=".to_owned(), false),
        (format!("sha256={}&sha256={}", Sha256::of(&bytes), Sha256::of(b"")), false),
    ] {
        let server = serve_page(Reply::html(format!("<a href=\"{FILE}#{claim}\">x</a>")), FILE, &bytes);
        let env = with_remote(&server, if is_taken { &[] } else { &["--allow-insecure", "--trust-unhashed"] });
        assert_eq!(env.run(["lookup", "demo"]).code == 0, is_taken, "{claim}");
    }
}

#[test]
fn x9_by_https_trust_in_the_index_is_enough() {
    let bytes = wheel("demo", "1.0", 1).bytes();
    let server = Server::start_tls(tls());
    server.route("/simple/demo/", Reply::html(format!("<a href=\"{FILE}\">x</a>")));
    server.route(FILE, Reply::file(bytes.as_slice()));
    let env = with_remote(&server, &[]);
    let certificate = certificates().join("own.pem");
    let trust = [("SSL_CERT_FILE", certificate.to_str().unwrap())];
    let refused = env.run_with_env(&trust, ["--json", "lookup", "demo"]);
    assert!(notes(&document(&refused, 4)["remotes"]).contains("--trust-unhashed takes it"), "{refused}");
    env.ok(["remote", "set", "mirror", "--trust-unhashed"]);
    assert!(missed(&env, &["demo", "--python", "3.12"]).contains("certificate"), "without trust in the certificate");
    assert_unhashed(&env, &bytes, &trust);
}

/// Checks that a file that nothing vouches for is taken, that this is told, and that its own digest counts from then on.
#[track_caller]
fn assert_unhashed(env: &Env, bytes: &[u8], vars: &[(&str, &str)]) {
    let output = env.run_with_env(vars, ["--json", "lookup", "demo"]);
    assert_eq!(document(&output, 0)["sha256"], Sha256::of(bytes).to_string());
    let show = env.ok(["show", "demo"]).stdout;
    assert!(show.contains("(no digest vouched for it)"), "{show}");
    let page = env.json(["show", "demo"]);
    let origin = &page["distributions"][0]["origins"]["shared"];
    assert_eq!((&origin["is_unhashed"], &origin["remote"]), (&true.into(), &"mirror".into()), "{page}");
    // Damage is noticed, as of any file.
    let blob = PathBuf::from(page["distributions"][0]["path"].as_str().unwrap());
    let mut changed = bytes.to_vec();
    changed[100] ^= 1;
    fs::remove_file(&blob).and_then(|()| fs::write(&blob, changed)).unwrap();
    assert_eq!(env.run(["verify"]).code, 3);
}

#[test]
fn a_minimum_age_is_told_by_the_pages_upload_times() {
    let bytes = wheel("demo", "1.0", 1).bytes();
    let page = |time: Option<SystemTime>| {
        let mut file = serde_json::json!({
            "filename": "demo-1.0-py3-none-any.whl", "url": FILE, "hashes": {"sha256": Sha256::of(&bytes).to_string()},
        });
        if let Some(time) = time {
            file["upload-time"] = humantime::format_rfc3339_micros(time).to_string().into();
        }
        Reply::json(serde_json::json!({"meta": {"api-version": "1.1"}, "name": "demo", "files": [file]}).to_string())
    };
    let now = SystemTime::now();
    let day = Duration::from_secs(86_400);
    for (time, said) in [
        (None, "--min-age is set and the page tells no upload time"),
        (Some(now - 6 * day), "too young"),
        (Some(now + 400 * day), "too young"),
    ] {
        let server = serve_page(page(time), FILE, &bytes);
        let env = with_remote(&server, &["--min-age", "7d"]);
        let told = missed(&env, &["demo"]);
        assert!(told.contains(said), "{told}");
        assert_eq!(env.run(["pull", "demo"]).code, 3);
        assert_eq!(asked(&server, FILE), 0);
    }
    let server = serve_page(page(Some(now - 8 * day)), FILE, &bytes);
    let env = with_remote(&server, &["--min-age", "7d"]);
    found(&env, &["demo"]);
}

#[test]
fn urls_are_remembered_without_what_may_be_secret_in_them() {
    let bytes = wheel("demo", "1.0", 1).bytes();
    let page = format!("<a href=\"{FILE}?X-Signature=hunter2#sha256={}\">x</a>", Sha256::of(&bytes));
    let server = serve_page(Reply::html(page), FILE, &bytes);
    let env = with_remote(&server, &[]);
    let output = env.ok(["--json", "lookup", "demo"]);
    assert_eq!(asked(&server, &format!("{FILE}?X-Signature=hunter2")), 1, "what it needs to be had is sent");
    let said = output.stdout + &output.stderr + &env.ok(["--json", "show", "demo"]).stdout;
    assert!(!said.contains("hunter2"), "{said}");
}

fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/tls")
}

fn tls() -> rustls::ServerConfig {
    let key = PrivateKeyDer::from_pem_file(certificates().join("own.key.pem")).unwrap();
    let certificate = CertificateDer::from_pem_file(certificates().join("own.pem")).unwrap();
    rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}
