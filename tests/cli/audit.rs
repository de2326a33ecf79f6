//! `wcas audit`: vulnerabilities by a dump of OSV, licences, and a bill of materials.

use crate::support::wheels::zip;
use crate::support::{Env, Reply, Server, Wheel};
use crate::{json_with_code, refused, texts};
use serde_json::{Value, json};
use std::fs;

fn filled() -> Env {
    Env::filled([
        Wheel::new("demo", "1.0").header("License-Expression", "MIT"),
        Wheel::new("torch", "2.5.1+cu126").header("Classifier", "License :: OSI Approved :: BSD License"),
        Wheel::new("fine", "3.0"),
    ])
}

fn record(id: &str, aliases: &[&str], project: &str, events: Value) -> (String, Vec<u8>) {
    let ranges = json!([{"type": "ECOSYSTEM", "events": events}]);
    let record = json!({
        "schema_version": "1.6.0", "id": id, "modified": "2026-01-01T00:00:00Z", "aliases": aliases, "summary": format!("about {id}"),
        "affected": [{"package": {"ecosystem": "PyPI", "name": project}, "ranges": ranges}],
        "database_specific": {"severity": "HIGH"},
    });
    (format!("{id}.json"), record.to_string().into_bytes())
}

fn records() -> Vec<(String, Vec<u8>)> {
    vec![
        record("PYSEC-2026-1", &["CVE-2026-1"], "Demo", json!([{"introduced": "0"}, {"fixed": "1.1"}])),
        record("GHSA-aaaa", &["CVE-2026-1"], "demo", json!([{"introduced": "0"}, {"fixed": "1.1"}])),
        record("PYSEC-2026-2", &[], "torch", json!([{"introduced": "2.0"}, {"last_affected": "2.5.1"}])),
        record("PYSEC-2026-3", &[], "fine", json!([{"introduced": "0"}, {"fixed": "3.0"}])),
        record("PYSEC-2026-4", &[], "absent", json!([{"introduced": "0"}])),
    ]
}

#[test]
fn a_dump_is_read_as_a_folder_and_as_an_archive_alike() {
    let env = filled();
    fs::create_dir(env.path("osv")).unwrap();
    for (name, bytes) in records() {
        fs::write(env.path("osv").join(name), bytes).unwrap();
    }
    fs::write(env.path("all.zip"), zip(&records())).unwrap();
    let report = json_with_code(&env, 3, &["audit", "--osv", "osv"]);
    assert_eq!(report, json_with_code(&env, 3, &["audit", "--osv", "all.zip"]));
    assert_eq!((&report["records"], &report["distributions"]), (&json!(5), &json!(3)));
    // Two databases tell of one vulnerability.
    assert_eq!(texts(&report["vulnerabilities"], "id"), ["GHSA-aaaa", "PYSEC-2026-2"]);
    let first = &report["vulnerabilities"][0];
    assert_eq!((&first["aliases"], &first["fixed"]), (&json!(["CVE-2026-1", "PYSEC-2026-1"]), &json!(["1.1"])));
    assert_eq!(report["vulnerabilities"][1]["version"], "2.5.1+cu126");
    let text = env.run(["audit", "--osv", "osv"]);
    assert!(text.stdout.contains("demo     1.0          GHSA-aaaa CVE-2026-1  high"), "{text}");
    assert!(text.stderr.contains("2 vulnerabilities in 3 distributions of shared@1; 5 records read"), "{text}");
    let ignored = json_with_code(&env, 0, &["audit", "--osv", "osv", "--ignore", "cve-2026-1,PYSEC-2026-2"]);
    assert_eq!((&ignored["ignored"], &ignored["vulnerabilities"]), (&json!(2), &json!([])));
}

#[test]
fn what_cant_be_read_is_told_and_a_dump_of_nothing_is_refused() {
    let env = filled();
    fs::create_dir(env.path("osv")).unwrap();
    refused(&env, 2, &["audit", "--osv", "osv"]);
    let (name, bytes) = record("PYSEC-2026-3", &[], "fine", json!([{"introduced": "0"}, {"fixed": "3.0"}]));
    fs::write(env.path("osv").join(name), bytes).unwrap();
    fs::write(env.path("osv/bad.json"), "{\"id\": 7}").unwrap();
    let output = env.run(["audit", "--osv", "osv"]);
    assert!(output.code == 3 && output.stderr.contains("not read: osv/bad.json: "), "{output}");
    fs::write(env.path("cut.zip"), &zip(&records())[..100]).unwrap();
    refused(&env, 2, &["audit", "--osv", "cut.zip"]);
    for url in ["ftp://osv.example/all.zip", "file:///all.zip", "https://", "s3://bucket/all.zip"] {
        assert_eq!(env.run(["audit", "--osv", url]).code, 2, "{url}");
    }
    refused(&env, 2, &["audit"]);
    refused(&env, 4, &["audit", "--collection", "none", "--licenses"]);
}

#[test]
fn a_dump_is_fetched_from_a_url_each_time() {
    let env = filled();
    let server = Server::start();
    fs::write(env.path("all.zip"), zip(&records())).unwrap();
    let here = json_with_code(&env, 3, &["audit", "--osv", "all.zip"]);
    server.route("/PyPI/all.zip", Reply::bytes("application/zip", zip(&records())));
    for path in ["/PyPI/all.zip", "/PyPI/", "/PyPI/all.zip?generation=1"] {
        assert_eq!(json_with_code(&env, 3, &["audit", "--osv", &server.url(path)]), here, "{path}");
    }
    assert_eq!(server.paths().len(), 3, "nothing is kept: {:?}", server.paths());
    let (_, record) = record("PYSEC-2026-1", &[], "demo", json!([{"introduced": "0"}]));
    server.route("/one.json", Reply::json(record));
    let report = json_with_code(&env, 3, &["audit", "--osv", &server.url("/one.json")]);
    assert_eq!(texts(&report["vulnerabilities"], "id"), ["PYSEC-2026-1"]);
    server.route("/moved.zip", Reply::redirect(302, "/PyPI/all.zip"));
    assert_eq!(json_with_code(&env, 3, &["audit", "--osv", &server.url("/moved.zip")]), here);
}

#[test]
fn a_dump_that_cant_be_fetched_is_told() {
    let env = filled();
    let server = Server::start();
    let archive = || Reply::bytes("application/zip", zip(&records()));
    server.route("/html.zip", Reply::html("<p>Sign in</p>"));
    server.route("/cut.zip", archive().cut_at(100));
    server.route("/coded.zip", archive().gzip());
    server.route("/large.zip", archive().claims(1 << 40));
    server.route("/large.json", archive().claims(1 << 30));
    server.route("/away.zip", Reply::redirect(302, "ftp://osv.example/all.zip"));
    for (path, code, word) in [
        ("/absent.zip", 1, "404"),
        ("/html.zip", 2, "can't be read as a dump"),
        ("/cut.zip", 1, "cut.zip"),
        ("/coded.zip", 1, "not asked for"),
        ("/large.zip", 1, "budget osv-fetch"),
        ("/large.json", 1, "budget osv-record"),
        ("/away.zip", 1, "a redirect to a"),
    ] {
        let output = refused(&env, code, &["audit", "--osv", &server.url(path)]);
        assert!(output.stderr.contains(word), "{path}: {output}");
    }
    let secret = server.url("/absent.zip?key=hidden").replace("http://", "http://ann:secret@");
    let output = refused(&env, 1, &["audit", "--osv", &secret]);
    assert!(!output.stderr.contains("secret") && !output.stderr.contains("hidden"), "{output}");
}

#[test]
fn licences_are_those_of_metadata() {
    let env = filled();
    let report = json_with_code(&env, 0, &["audit", "--licenses"]);
    assert_eq!(report["records"], Value::Null);
    assert_eq!(texts(&report["licenses"], "project"), ["demo", "fine", "torch"]);
    assert_eq!(report["licenses"][0]["licenses"][0]["expression"], "MIT");
    assert_eq!(report["licenses"][1]["silent"], 1);
    let text = env.ok(["audit", "--licenses"]).stdout;
    assert!(text.contains("torch    2.5.1+cu126  BSD License\n"), "{text}");
}

#[test]
fn a_bill_of_materials_is_the_same_for_the_same_revision() {
    let env = filled();
    let first = env.ok(["audit", "--sbom"]).stdout;
    let bill: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(
        (&bill["bomFormat"], &bill["specVersion"], &bill["version"]),
        (&json!("CycloneDX"), &json!("1.6"), &json!(1))
    );
    let serial = bill["serialNumber"].as_str().and_then(|text| text.strip_prefix("urn:uuid:")).unwrap();
    assert!(serial.len() == 36 && serial.chars().all(|c| c == '-' || matches!(c, '0'..='9' | 'a'..='f')), "{serial}");
    assert_eq!(texts(&bill["components"], "name"), ["demo", "fine", "torch"]);
    let purls = texts(&bill["components"], "purl");
    assert_eq!(purls[2], "pkg:pypi/torch@2.5.1%2Bcu126?file_name=torch-2.5.1%2Bcu126-py3-none-any.whl");
    assert_eq!(purls, texts(&bill["components"], "bom-ref"));
    for component in bill["components"].as_array().unwrap() {
        assert_eq!((&component["type"], &component["hashes"][0]["alg"]), (&json!("library"), &json!("SHA-256")));
        assert_eq!(component["hashes"][0]["content"].as_str().map(str::len), Some(64));
    }
    assert_eq!(bill["components"][0]["licenses"], json!([{"expression": "MIT"}]));
    assert_eq!(bill["components"][1].get("licenses"), None);
    Wheel::new("more", "1.0").write_to(env.path("in"));
    env.ok(["import", "in"]);
    assert_eq!(env.ok(["audit", "--sbom", "--collection", "shared@1"]).stdout, first);
    assert_ne!(env.ok(["audit", "--sbom"]).stdout, first);
}
