//! Signed revisions: made and checked by the real `ssh-keygen`, over HTTP, in a store and in a tree.

use crate::site::{Site, add};
use crate::support::{Env, Output, Wheel};
use rusqlite::Connection;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes a key and a file of those who may sign; `None`, and a word about it, without OpenSSH.
pub(crate) fn key(env: &Env, name: &str) -> Option<()> {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(env.path(name))
        .stdin(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        crate::support::skip("there is no ssh-keygen");
        return None;
    }
    let public = fs::read_to_string(env.path(format!("{name}.pub"))).unwrap();
    let line = format!("{name}@index.example namespaces=\"wcas-revision\" {public}");
    fs::write(env.path(format!("{name}.signers")), line).unwrap();
    Some(())
}

/// Checks a signature as anybody can.
fn ssh_verify(env: &Env, text: &Path, signature: &Path) -> bool {
    Command::new("ssh-keygen")
        .args(["-Y", "verify", "-n", "wcas-revision", "-I", "release@index.example", "-f"])
        .arg(env.path("release.signers"))
        .arg("-s")
        .arg(signature)
        .stdin(fs::File::open(text).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

fn filled() -> Option<Env> {
    let env = Env::new();
    key(&env, "release")?;
    key(&env, "other")?;
    add(&env, "released", &[Wheel::new("demo", "1.0"), Wheel::new("demo", "2.0"), Wheel::new("lib", "1.0")]);
    env.ok(["yank", "demo==1.0", "--reason", "broken \"badly\""]);
    Some(env)
}

fn check(env: &Env, code: i32, args: &[&str]) -> Vec<String> {
    let output: Output = env.run([&["--json", "verify", "--signed"], args].concat());
    assert_eq!(output.code, code, "{args:?}: {output}");
    let document = output.json();
    let kinds = |report: &Value| -> Vec<String> {
        let problems = report["problems"].as_array().unwrap();
        problems.iter().map(|problem| problem["kind"].as_str().unwrap().to_owned()).collect()
    };
    document["signed"].as_array().unwrap().iter().flat_map(kinds).collect()
}

#[test]
fn anybody_checks_a_served_collection_with_openssh_alone() {
    let Some(env) = filled() else { return };
    let site = Site::of(env, &[]);
    let text = site.server.get("/released/revision.txt");
    assert_eq!(text.status, 200, "{text}");
    assert_eq!(site.server.get("/released/revision.txt.sig").status, 404);
    assert_eq!(site.server.get("/absent/revision.txt").status, 404);
    assert_eq!(site.server.get("/released@99/revision.txt").status, 404);
    let signed = site.env.json(["collection", "sign", "released", "--key", "release"]);
    assert_eq!((&signed["revision"], &signed["text"]), (&2.into(), &text.text().into()));
    let again = site.server.get("/released/revision.txt");
    assert_eq!(again.body, text.body);
    let signature = site.server.get("/released/revision.txt.sig");
    assert_eq!(signature.status, 200);
    let [text_path, signature_path] = ["t", "t.sig"].map(|name| site.env.path(name));
    fs::write(&text_path, &text.body).unwrap();
    fs::write(&signature_path, &signature.body).unwrap();
    assert!(ssh_verify(&site.env, &text_path, &signature_path));
    fs::write(&text_path, text.text().replace("demo-2.0", "demo-3.0")).unwrap();
    assert!(!ssh_verify(&site.env, &text_path, &signature_path));
    // The pair fits together, whatever comes in meanwhile, until the next is signed.
    site.add("released", &[Wheel::new("late", "1.0")]);
    assert_eq!(site.server.get("/released/revision.txt").body, text.body);
    assert_eq!(site.server.get("/released/revision.txt.sig").body, signature.body);
    assert!(site.server.get("/released@3/revision.txt").text().contains("late-1.0"));
    assert_eq!(site.server.get("/released@3/revision.txt.sig").status, 404);
    site.env.ok(["collection", "sign", "released", "--key", "release"]);
    let newer = site.server.get("/released/revision.txt").text();
    let digest = crate::site::sha256(&text.body);
    assert!(newer.contains("revision 3\n") && newer.contains(&format!("previous 2 {digest}\n")), "{newer}");
    assert_eq!(site.server.get("/released@2/revision.txt").body, text.body, "also when its text is not kept");
    let record = site.env.json(["log", "--kind", "sign"])["records"][0].clone();
    assert_eq!((&record["collection"], &record["after"]["revision"]), (&"released".into(), &2.into()));
    site.end();
}

#[test]
fn a_list_says_names_digests_sizes_and_yanks() {
    let Some(env) = filled() else { return };
    let text = env.ok(["collection", "revision", "released"]).stdout;
    let line = |wheel: &Wheel, end: &str| {
        let bytes = wheel.bytes();
        format!("{} {} {}{end}\n", crate::site::sha256(&bytes), bytes.len(), wheel.filename())
    };
    let expected = [
        "wcas-revision/1\ncollection released\nrevision 2\nprevious -\nfiles 3\n".to_owned(),
        line(&Wheel::new("demo", "1.0"), " yanked \"broken \\\"badly\\\"\""),
        line(&Wheel::new("demo", "2.0"), ""),
        line(&Wheel::new("lib", "1.0"), ""),
    ];
    assert_eq!(text, expected.concat());
    assert_eq!(env.run(["collection", "revision", "released", "--signature"]).code, 4);
}

#[test]
fn a_store_that_does_not_fit_what_was_signed_is_told() {
    let Some(env) = filled() else { return };
    assert_eq!(check(&env, 3, &["release.signers"]), ["unsigned"]);
    env.ok(["collection", "sign", "released", "--key", "release"]);
    assert!(check(&env, 0, &["release.signers"]).is_empty());
    assert_eq!(check(&env, 3, &["other.signers"]), ["signer"]);
    fs::write(env.path("nobody"), "").unwrap();
    assert_eq!(check(&env, 3, &["nobody"]), ["signer"]);
    add(&env, "released", &[Wheel::new("late", "1.0")]);
    assert_eq!(check(&env, 3, &["release.signers"]), ["unlisted"]);
    env.ok(["invalidate", "late==1.0", "--yes"]);
    assert!(check(&env, 0, &["release.signers", "--collection", "released"]).is_empty());
    assert_eq!(env.run(["verify", "--signed", "release.signers", "--collection", "absent"]).code, 4);
    // By hand: other bytes under a name, with all digests of the manifest made to fit.
    let blob = env.json(["show", "lib"])["distributions"][0]["path"].as_str().unwrap().to_owned();
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, "other").unwrap();
    assert_eq!(check(&env, 3, &["release.signers"]), ["corrupt"]);
    let manifest = Connection::open(env.store().join("manifest.sqlite")).unwrap();
    let sql = format!(
        "UPDATE blob SET sha256 = x'{}', size = 5 WHERE id = (SELECT blob_id FROM entry WHERE filename LIKE 'lib%')",
        crate::site::sha256(b"other")
    );
    manifest.execute_batch(&sql).unwrap();
    assert_eq!(check(&env, 3, &["release.signers"]), ["changed", "changed"]);
}

#[test]
fn a_signature_of_something_else_is_not_kept_and_not_believed() {
    let Some(env) = filled() else { return };
    assert_eq!(env.run(["collection", "sign", "released", "--key", "absent"]).code, 1);
    env.ok(["collection", "sign", "released", "--key", "release"]);
    add(&env, "other", &[Wheel::new("evil", "1.0")]);
    env.ok(["collection", "sign", "other", "--key", "release"]);
    let manifest = Connection::open(env.store().join("manifest.sqlite")).unwrap();
    let before = [
        // Another collection's list, soundly signed.
        "UPDATE revision_signature SET (digest, signature, text) = (SELECT digest, signature, text FROM revision_signature o \
         JOIN collection c ON c.id = o.collection_id WHERE c.name = 'other')",
        "UPDATE revision_signature SET signature = 'nonsense'",
    ];
    for sql in before {
        manifest
            .execute_batch(&format!(
                "SAVEPOINT s; {sql} WHERE collection_id = (SELECT id FROM collection WHERE name = 'released')"
            ))
            .unwrap();
        manifest.execute_batch("RELEASE s").unwrap();
        assert_eq!(check(&env, 3, &["release.signers", "--collection", "released"]), ["signature"], "{sql}");
    }
    // An older revision is not signed after a newer one: what names it as the one before would change.
    env.ok(["collection", "sign", "released", "--key", "release"]);
    assert_eq!(env.run(["collection", "sign", "released@1", "--key", "release"]).code, 2);
}

#[test]
fn a_tree_carries_the_list_and_is_checked_without_a_store() {
    let Some(env) = filled() else { return };
    env.ok(["collection", "sign", "released", "--key", "release"]);
    env.ok(["view", "--collection", "released", "--to", "tree", "--link", "copy"]);
    let (text, signature) = (env.path("tree/revision.txt"), env.path("tree/revision.txt.sig"));
    assert!(ssh_verify(&env, &text, &signature));
    fs::rename(env.store(), env.path("elsewhere")).unwrap();
    assert!(check(&env, 0, &["release.signers", "--tree", "tree"]).is_empty());
    assert_eq!(check(&env, 3, &["other.signers", "--tree", "tree"]), ["signer"]);
    let demo = env.path("tree/simple/lib").join(Wheel::new("lib", "1.0").filename());
    let bytes = fs::read(&demo).unwrap();
    let write = |bytes: &[u8]| {
        fs::remove_file(&demo).unwrap();
        fs::write(&demo, bytes).unwrap();
    };
    write(b"other");
    assert_eq!(check(&env, 3, &["release.signers", "--tree", "tree"]), ["corrupt"]);
    fs::remove_file(&demo).unwrap();
    assert_eq!(check(&env, 3, &["release.signers", "--tree", "tree"]), ["missing"]);
    fs::write(&demo, &bytes).unwrap();
    let evil = env.path("tree/simple/lib/lib-9.0-py3-none-any.whl");
    fs::write(&evil, "evil").unwrap();
    assert_eq!(check(&env, 3, &["release.signers", "--tree", "tree"]), ["unlisted"]);
    fs::remove_file(evil).unwrap();
    assert!(check(&env, 0, &["release.signers", "--tree", "tree"]).is_empty());
    // What was signed later comes with the next run, also where nothing else changed.
    fs::rename(env.path("elsewhere"), env.store()).unwrap();
    env.ok(["collection", "create", "empty"]);
    add(&env, "released", &[Wheel::new("late", "1.0")]);
    env.ok(["view", "--collection", "released", "--to", "tree", "--link", "copy"]);
    assert!(text.exists() && !signature.exists(), "no signature of another revision");
    env.ok(["collection", "sign", "released", "--key", "release"]);
    env.ok(["view", "--collection", "released", "--to", "tree", "--link", "copy"]);
    assert!(check(&env, 0, &["release.signers", "--tree", "tree"]).is_empty());
    env.ok(["view", "--remove", "tree"]);
    assert!(!text.exists() && !signature.exists());
}
