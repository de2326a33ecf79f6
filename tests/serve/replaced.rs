//! The manifest, or the whole store, is replaced under a running server: nothing is answered from what was removed, and nothing that
//! was answered is lost.

use crate::ownership::upload;
use crate::site::{Site, add, token, whole};
use crate::support::{Env, Wheel, until};
use std::fs;
use std::path::Path;
use std::time::Duration;

fn wheel(name: &str) -> Wheel {
    Wheel::new(name, "1.0").payload(3000, name.len() as u64)
}

/// Puts a manifest in the place of a store's, as an operator does who puts a backup back.
fn put_back(env: &Env, backup: &Path) {
    // Readers may take 10 ms to notice.
    for end in ["-wal", "-shm"] {
        drop(fs::remove_file(env.store().join(format!("manifest.sqlite{end}"))));
    }
    fs::rename(backup, env.store().join("manifest.sqlite")).unwrap();
    std::thread::sleep(Duration::from_millis(20));
}

fn back_up(env: &Env) -> std::path::PathBuf {
    let path = env.path("backup.sqlite");
    let manifest = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
    manifest.execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
    path
}

fn listed(env: &Env) -> Vec<String> {
    let report = env.json(["list"]);
    let rows = report["distributions"].as_array().unwrap().iter();
    rows.map(|row| row["project"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn uploads_after_a_backup_was_put_back_are_in_what_was_put_back() {
    let env = Env::new();
    add(&env, "cuda", &[wheel("one")]);
    let secret = token(&env, &["--collection", "cuda", "--scope", "upload"]);
    let site = Site::of(env, &[]);
    let backup = back_up(&site.env);
    let send = |name: &str| upload(&site, "/cuda/legacy/", &secret, &wheel(name));
    let first = send("two");
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(site.server.get("/cuda/simple/two/").status, 200);
    put_back(&site.env, &backup);
    // What came after the backup is not listed any more, from the first request on, and what comes now is.
    assert_eq!(site.server.get("/cuda/simple/two/").status, 404);
    assert_eq!(send("three").status, 200);
    assert_eq!(site.server.get("/cuda/simple/three/").status, 200);
    assert_eq!(listed(&site.env), ["one", "three"]);
    site.server.stop();
    assert_eq!(listed(&site.env), ["one", "three"]);
    site.env.ok(["verify"]);
}

#[test]
fn a_store_that_was_moved_away_takes_nothing_and_one_made_anew_is_served() {
    let env = Env::new();
    add(&env, "cuda", &[wheel("one")]);
    let secret = token(&env, &["--collection", "cuda", "--scope", "upload"]);
    let site = Site::of(env, &[]);
    assert_eq!(site.server.get("/cuda/simple/one/").status, 200);
    fs::rename(site.env.store(), site.env.path("away")).unwrap();
    let refused = upload(&site, "/cuda/legacy/", &secret, &wheel("two"));
    assert!(refused.status >= 500, "{} {}", refused.status, refused.text());
    add(&site.env, "cuda", &[wheel("three")]);
    assert_eq!(site.server.get("/cuda/simple/one/").status, 404);
    assert_eq!(site.server.get("/cuda/simple/three/").status, 200);
    assert_eq!(upload(&site, "/cuda/legacy/", &secret, &wheel("two")).status, 401, "the new store knows no such token");
    site.server.stop();
    whole(&site.env);
}

#[test]
fn what_is_watched_is_imported_again_into_what_was_put_back() {
    let env = Env::new();
    fs::create_dir(env.path("in")).unwrap();
    add(&env, "shared", &[wheel("one")]);
    let site = Site::of(env, &["--watch", "in"]);
    let backup = back_up(&site.env);
    wheel("two").write_to(site.env.path("in"));
    let is_imported = || listed(&site.env) == ["one", "two"];
    until("both are imported", is_imported);
    put_back(&site.env, &backup);
    until("both are imported again", is_imported);
    site.server.stop();
}
