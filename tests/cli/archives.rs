//! Archives as they are in the wild: what pip and uv install is taken, what no installer takes is refused.

use crate::support::{Env, Sdist, Wheel};
use crate::{array, json_with_code, texts};
use std::fs;
use std::path::Path;

fn put(env: &Env, name: &str, bytes: &[u8]) {
    let dir = env.path("in");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(name), bytes).unwrap();
}

/// Imports the folder `in`, where all is refused, and returns the reasons.
fn reasons(env: &Env) -> Vec<String> {
    let report = json_with_code(env, 3, &["import", "in"]);
    assert_eq!(array(&report["distributions"]).len(), 0, "{report:#}");
    array(&report["refused"]).iter().map(|row| row["reason"].as_str().unwrap().to_owned()).collect()
}

/// Changes the first place where these bytes are.
fn change(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at = bytes.windows(old.len()).position(|window| window == old).expect("the bytes are there");
    bytes[at..at + new.len()].copy_from_slice(new);
}

#[test]
fn old_sdists_that_installers_take_are_taken_under_the_version_that_they_mean() {
    let env = Env::new();
    let dashed = |version: &str| Sdist::new("functools32", version).bytes();
    put(&env, "functools32-3.2.3-2.tar.gz", &dashed("3.2.3-2"));
    // The name alone would say that the project is called functools32-9: PKG-INFO knows better.
    put(&env, "functools32-9-1.tar.gz", &dashed("9-1"));
    put(&env, "numbers-2.5-3.tar.gz", &Sdist::new("numbers-2.5", "3").bytes());
    let found = |spec: &str| texts(&env.json(["list", spec])["distributions"], "filename").join(" ");
    env.ok(["import", "in"]);
    assert_eq!(found("functools32==3.2.3.post2"), "functools32-3.2.3-2.tar.gz");
    assert_eq!(found("functools32==9.post1"), "functools32-9-1.tar.gz");
    assert_eq!(found("numbers-2.5==3"), "numbers-2.5-3.tar.gz");
    let path = env.ok(["lookup", "functools32==9.post1"]).stdout;
    assert!(path.trim().ends_with("functools32-9-1.tar.gz"), "{path}");
}

#[test]
fn an_old_pkg_info_that_says_nothing_is_as_good_as_none() {
    let env = Env::new();
    let sdist = |name: &str, info: &str| {
        put(&env, &format!("{name}-1.0.tar.gz"), &Sdist::new(name, "1.0").member("PKG-INFO", info).bytes());
    };
    sdist("blank", "\nMetadata-Version: 1.0\nName: blank\nVersion: 1.0\n");
    sdist("empty", "");
    sdist("unknown", "Metadata-Version: 1.0\nName: UNKNOWN\nVersion: 0.0.0\n");
    assert_eq!(array(&env.json(["import", "in"])["distributions"]).len(), 3);
    // What is read by installers, or names another, is no such one.
    let env = Env::new();
    for info in ["Metadata-Version: 2.2\n", "Metadata-Version: 1.0\nName: demo\nVersion: 2.0\n"] {
        put(&env, "demo-1.0.tar.gz", &Sdist::new("demo", "1.0").member("PKG-INFO", info).bytes());
        assert_eq!(reasons(&env).len(), 1, "{info}");
    }
}

#[test]
fn archives_of_old_kinds_are_taken_and_have_no_metadata() {
    let env = Env::new();
    put(&env, "demo-1.0.tgz", &Sdist::new("demo", "1.0").bytes());
    put(&env, "demo-1.0.tar.bz2", b"BZh91AY&SY and so on");
    put(&env, "demo-1.0.tar.xz", b"\xfd7zXZ\0 and so on YZ");
    put(&env, "notes.tar.xz", b"text");
    let report = env.json(["import", "in"]);
    assert_eq!(array(&report["distributions"]).len(), 3, "{report:#}");
    assert_eq!(array(&report["skipped"]).len(), 1);
    env.ok(["view", "--to", "tree"]);
    let page = fs::read_to_string(env.path("tree/simple/demo/index.html")).unwrap();
    for end in [".tgz", ".tar.bz2", ".tar.xz"] {
        assert!(page.contains(&format!(">demo-1.0{end}<")), "{page}");
    }
    assert!(!page.contains("metadata"), "{page}");
    put(&env, "other-1.0.tar.bz2", b"<html>not found</html>");
    let report = json_with_code(&env, 3, &["import", "in/other-1.0.tar.bz2"]);
    assert!(report["refused"][0]["reason"].as_str().unwrap().contains("bzip2"), "{report:#}");
}

#[test]
fn what_no_installer_takes_is_refused_with_the_reason() {
    let env = Env::new();
    let wheel = |info: &str| Wheel::new("demo", "1.0").member("demo-1.0.dist-info/WHEEL", info).bytes();
    let name = "demo-1.0-py3-none-any.whl";
    for (bytes, why) in [
        (wheel("Wheel-Version: 2.0\n"), "expected Wheel-Version 1.x in WHEEL, found \"2.0\""),
        (wheel("Tag: py3-none-any\n"), "expected Wheel-Version in WHEEL"),
    ] {
        put(&env, name, &bytes);
        assert!(reasons(&env)[0].contains(why), "{why}");
    }
    let good = Wheel::new("demo", "1.0").bytes();
    for (old, new, why) in [
        (&b"PK\x01\x02"[..], [&b"PK\x01\x02\x14\0\x14\0"[..], &[1, 0]].concat(), "an encrypted one"),
        (b"PK\x01\x02", [&b"PK\x01\x02\x14\0\x14\0\0\0"[..], &[97, 0]].concat(), "method 97"),
    ] {
        let mut bytes = good.clone();
        change(&mut bytes, old, &new);
        put(&env, name, &bytes);
        assert!(reasons(&env)[0].contains(why), "{why}: {:?}", reasons(&env));
    }
    fs::remove_file(env.path("in").join(name)).unwrap();
    put(&env, "demo-1.0-py3-none-any (1).whl", &good);
    assert!(reasons(&env)[0].contains("rename it to \"demo-1.0-py3-none-any.whl\""));
    // What a newer builder adds within the format is no reason; nor is what pads a file.
    fs::remove_file(env.path("in").join("demo-1.0-py3-none-any (1).whl")).unwrap();
    put(&env, name, &[wheel("Wheel-Version: 1.9\n"), vec![0; 512]].concat());
    env.ok(["import", "in"]);
}

#[test]
fn a_cut_sdist_is_refused_however_late_it_is_cut() {
    let env = Env::new();
    let bytes = Sdist::new("demo", "1.0").payload(50_000, 1).bytes();
    for left in [bytes.len() / 2, bytes.len() - 1] {
        put(&env, "demo-1.0.tar.gz", &bytes[..left]);
        assert!(reasons(&env)[0].contains("gzip"), "{left} bytes");
    }
    put(&env, "demo-1.0.tar.gz", &bytes);
    env.ok(["import", "in"]);
}

#[test]
fn a_renamed_wheel_is_taken_by_its_filename_where_that_is_said_and_show_tells_it() {
    let env = Env::new();
    let name = "flash_attn-2.7.0+cu12torch2.4-py3-none-any.whl";
    put(&env, name, &Wheel::new("flash_attn", "2.7.0").bytes());
    assert!(reasons(&env)[0].contains("--trust-filename"), "{:?}", reasons(&env));
    let path = Path::new("in").join(name);
    env.ok(["import", "--trust-filename", path.to_str().unwrap()]);
    let shown = env.json(["show", name]);
    let shown = &shown["distributions"][0];
    assert_eq!(shown["version"], "2.7.0+cu12torch2.4");
    assert_eq!(shown["version_in_metadata"], "2.7.0");
    let text = env.ok(["show", name]).stdout;
    assert!(text.contains("in METADATA      2.7.0: the filename was trusted"), "{text}");
    // It stands for the local part alone.
    fs::remove_file(env.path("in").join(name)).unwrap();
    for name in ["flash_attn-2.7.1+cu12-py3-none-any.whl", "other-2.7.0+cu12-py3-none-any.whl"] {
        put(&env, name, &Wheel::new("flash_attn", "2.7.0").bytes());
        let report = json_with_code(&env, 3, &["import", "--trust-filename", "in"]);
        assert_eq!(array(&report["distributions"]).len(), 0, "{name}");
        fs::remove_file(env.path("in").join(name)).unwrap();
    }
    let good = Wheel::new("plain", "1.0");
    put(&env, &good.filename(), &good.bytes());
    env.ok(["import", "--trust-filename", "in"]);
    assert_eq!(env.json(["show", "plain"])["distributions"][0]["version_in_metadata"], serde_json::Value::Null);
}

#[test]
fn a_damaged_member_is_found_by_deep_looks() {
    let env = Env::new();
    let mut bytes = Wheel::new("demo", "1.0").payload(5000, 1).bytes();
    let at = bytes.windows(11).position(|window| window == b"payload.bin").unwrap();
    bytes[at + 2000] ^= 1;
    put(&env, "demo-1.0-py3-none-any.whl", &bytes);
    Wheel::new("good", "1.0").payload(5000, 2).write_to(env.path("in"));
    Sdist::new("good", "1.0").write_to(env.path("in"));
    // The owner's import takes what it doesn't inflate.
    env.ok(["import", "in"]);
    env.ok(["verify"]);
    let report = json_with_code(&env, 3, &["verify", "--deep"]);
    assert_eq!(texts(&report["damaged"], "filename"), ["demo-1.0-py3-none-any.whl"]);
    assert!(report["damaged"][0]["detail"].as_str().unwrap().contains("payload.bin"), "{report:#}");
    assert_eq!((&report["problems"], &report["checked"]), (&serde_json::json!([]), &3.into()));
    let report = json_with_code(&env, 3, &["inspect", "--deep", "in/demo-1.0-py3-none-any.whl"]);
    assert!(report["files"][0]["problems"].to_string().contains("payload.bin"), "{report:#}");
    env.ok(["inspect", "--deep", "in/good-1.0-py3-none-any.whl"]);
    env.ok(["inspect", "in/demo-1.0-py3-none-any.whl"]);
}
