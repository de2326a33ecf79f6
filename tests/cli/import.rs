//! `wcas import`: what is taken, what is refused and why, and how bytes come in.

use crate::support::{Env, Sdist, Wheel};
use crate::{array, assert_output, json_with_code, texts};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

fn outcomes(report: &Value) -> Vec<&str> {
    texts(&report["distributions"], "outcome")
}

#[test]
fn every_kind_of_bad_file_is_refused_with_its_reason_and_the_good_one_beside_it_is_done() {
    let env = Env::new();
    let good = Wheel::new("good", "1.0").payload(2000, 1);
    let bytes = good.bytes();
    let dir = env.path("in");
    good.write_to(&dir);
    let put = |name: &str, bytes: &[u8]| fs::write(dir.join(name), bytes).unwrap();
    put("text-1.0-py3-none-any.whl", b"not a zip");
    put("empty-1.0-py3-none-any.whl", b"");
    put("cut-1.0-py3-none-any.whl", &bytes[..bytes.len() / 2]);
    put("honest-1.0-py3-none-any.whl", &Wheel::new("liar", "1.0").bytes());
    put("three-parts.whl", &bytes);
    put("v-1.x-py3-none-any.whl", &bytes);
    put("b-1.0-x1-py3-none-any.whl", &bytes);
    put("..-1.0-py3-none-any.whl", &bytes);
    put(".hidden-1.0-py3-none-any.whl", &bytes);
    put("sdist-1.0.tar.gz", b"not a gzip");
    Wheel::new("bare", "1.0").without("METADATA").write_to(&dir);
    Wheel::new("tagless", "1.0").without("WHEEL").write_to(&dir);
    let metadata = |name: &str, version: &str| format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n");
    Wheel::new("named", "1.0").member("named-1.0.dist-info/METADATA", metadata("other", "1.0")).write_to(&dir);
    Wheel::new("aged", "1.0").member("aged-1.0.dist-info/METADATA", metadata("aged", "2.0")).write_to(&dir);
    Wheel::new("silent", "1.0").member("silent-1.0.dist-info/METADATA", "").write_to(&dir);
    let report = json_with_code(&env, 3, &["import", "in"]);
    assert_eq!(texts(&report["distributions"], "filename"), ["good-1.0-py3-none-any.whl"]);
    let mut refused: Vec<String> = array(&report["refused"])
        .iter()
        .map(|row| {
            let name = row["path"].as_str().unwrap().strip_prefix("in/").unwrap();
            format!("{name}: {}", row["reason"].as_str().unwrap())
        })
        .collect();
    refused.sort_unstable();
    insta::assert_snapshot!(refused.join("\n"), @r#"
    ..-1.0-py3-none-any.whl: "..-1.0-py3-none-any.whl" is not a safe filename: expected one path segment, 1 to 255 bytes, no control character, no '.' first
    .hidden-1.0-py3-none-any.whl: ".hidden-1.0-py3-none-any.whl" is not a safe filename: expected one path segment, 1 to 255 bytes, no control character, no '.' first
    aged-1.0-py3-none-any.whl: expected Version "1.0" in METADATA, as the filename says, found "2.0"
    b-1.0-x1-py3-none-any.whl: "x1" is not a build tag: expected a number up to 18446744073709551615 and any suffix, without '-' or '/'
    bare-1.0-py3-none-any.whl: expected the member "bare-1.0.dist-info/METADATA" once in the wheel, found it 0 times
    cut-1.0-py3-none-any.whl: expected a wheel, which is a zip archive: expected a zip archive's end record in the last 1514 bytes of 1514, found none
    empty-1.0-py3-none-any.whl: expected a wheel, which is a zip archive: expected a zip archive's end record in the last 0 bytes of 0, found none
    honest-1.0-py3-none-any.whl: expected the directory "honest-1.0.dist-info" in the wheel, found "liar-1.0.dist-info"
    named-1.0-py3-none-any.whl: expected Name "named" in METADATA, as the filename says, found "other"
    sdist-1.0.tar.gz: expected an sdist, which is a .tar.gz or .zip archive: expected a gzip-compressed tar archive: invalid gzip header
    silent-1.0-py3-none-any.whl: expected core metadata in METADATA: expected a Name header, found none among 0 headers
    tagless-1.0-py3-none-any.whl: expected the member "tagless-1.0.dist-info/WHEEL" once in the wheel, found it 0 times
    text-1.0-py3-none-any.whl: expected a wheel, which is a zip archive: expected a zip archive's end record in the last 9 bytes of 9, found none
    three-parts.whl: "three-parts.whl" is not a wheel's filename: expected 5 to 7 parts between dashes, found 2
    v-1.x-py3-none-any.whl: "1.x" in the filename "v-1.x-py3-none-any.whl" is not a version: after parsing `1`, found `.x`, which is not part of a valid version
    "#);
    assert!(array(&env.json(["list"])["distributions"]).len() == 1, "nothing of the bad ones is left");
    assert_eq!(env.json(["stats"])["blobs"]["count"], 1);
}

#[test]
fn members_that_lead_out_of_the_archive_are_never_written_anywhere() {
    let env = Env::new();
    let wheel = Wheel::new("evil", "1.0").member("../../escaped.py", "boom").member("/absolute.py", "boom");
    wheel.write_to(env.path("in"));
    let output = env.run(["import", "in"]);
    assert!(matches!(output.code, 0 | 3), "{output}");
    if output.code == 0 {
        env.ok(["view", "--to", "tree"]);
    }
    assert!(!env.path("escaped.py").exists() && !Path::new("/absolute.py").exists());
}

#[test]
fn a_list_of_paths_comes_on_standard_input_by_lines_or_by_nul() {
    let env = Env::new();
    for name in ["a", "b", "c d"] {
        Wheel::new("demo", "1.0").payload(10, name.len() as u64).write_to(env.path(name));
        Wheel::new(&name.replace(' ', "-"), "1.0").write_to(env.path(name));
    }
    let lines = env.run_with_stdin("a/a-1.0-py3-none-any.whl\n\nb\r\n", ["--json", "import", "-"]);
    assert_eq!(lines.code, 0, "{lines}");
    assert_eq!(lines.json()["distributions"].as_array().unwrap().len(), 3);
    let nul = env.run_with_stdin("c d/c_d-1.0-py3-none-any.whl\0a/nowhere.whl\0", ["--json", "import", "-"]);
    assert_eq!(nul.code, 3, "{nul}");
    assert_eq!(texts(&nul.json()["distributions"], "filename"), ["c_d-1.0-py3-none-any.whl"]);
    let both = env.run_with_stdin("a", ["--json", "import", "-", "c d/c_d-1.0-py3-none-any.whl"]);
    assert_eq!(both.json()["distributions"].as_array().unwrap().len(), 3, "{both}");
    let empty = env.run_with_stdin("", ["import", "-"]);
    assert_eq!(empty.code, 0, "an empty list is nothing to do: {empty}");
}

#[test]
fn symlinks_lead_to_files_and_everything_else_is_skipped_with_a_word() {
    let env = Env::new();
    let dir = env.path("in");
    let real = Wheel::new("real", "1.0").write_to(env.path("elsewhere"));
    Wheel::new("hidden", "1.0").write_to(env.path("elsewhere/deep"));
    fs::create_dir(&dir).unwrap();
    symlink(&real, dir.join("real-1.0-py3-none-any.whl")).unwrap();
    symlink(env.path("elsewhere/deep"), dir.join("folder")).unwrap();
    symlink("nowhere", dir.join("dangling-1.0-py3-none-any.whl")).unwrap();
    assert!(Command::new("mkfifo").arg(dir.join("pipe-1.0-py3-none-any.whl")).status().unwrap().success());
    fs::write(dir.join("README"), "").unwrap();
    assert_output!(env.run(["import", "in"]), @r"
    exit 0
    --- stdout
    1 distribution in shared@1 (1 new)
    --- stderr
    skipped in/README: not a wheel or sdist
    skipped in/dangling-1.0-py3-none-any.whl: a symlink that leads nowhere
    skipped in/folder: a symlink to a folder
    skipped in/pipe-1.0-py3-none-any.whl: not a regular file
    ");
    assert_eq!(texts(&env.json(["list"])["distributions"], "filename"), ["real-1.0-py3-none-any.whl"]);
    // Asked for by name it must be what it should be; and opening a FIFO would wait for ever.
    assert_output!(env.run(["import", "in/pipe-1.0-py3-none-any.whl", "in/README", "/dev/null", "in/dangling-1.0-py3-none-any.whl"]), @r"
    exit 3
    --- stdout
    0 distributions in shared@1
    --- stderr
    refused in/pipe-1.0-py3-none-any.whl: neither a file nor a folder
    refused in/README: not a wheel (.whl) or sdist (.tar.gz, .zip)
    refused /dev/null: neither a file nor a folder
    refused in/dangling-1.0-py3-none-any.whl: No such file or directory (os error 2)
    ");
}

#[test]
fn a_folder_that_has_the_store_in_it_is_imported_without_the_store() {
    let env = Env::new();
    Wheel::new("demo", "1.0").write_to(env.path("sub"));
    env.ok(["import", "."]);
    env.ok(["lookup", "demo"]); // makes a link in the store that ends in the filename
    let again = env.json(["import", "."]);
    assert_eq!(outcomes(&again), ["unchanged"]);
    assert_eq!(again["refused"], json!([]));
    assert!(array(&again["skipped"]).iter().all(|row| !row["path"].as_str().unwrap().contains("store/")), "{again}");
}

#[test]
fn importing_again_is_unchanged_until_the_bytes_change() {
    let env = Env::new();
    let wheel = |seed| Wheel::new("demo", "1.0").payload(100, seed).bytes();
    let path = Wheel::new("demo", "1.0").payload(100, 1).write_to(env.path("in"));
    assert_eq!(outcomes(&env.json(["import", "in"])), ["new"]);
    assert_eq!(outcomes(&env.json(["import", "in"])), ["unchanged"]);
    // Touched, and written again with the same bytes: other times, same content.
    fs::write(&path, wheel(1)).unwrap();
    let same = env.json(["import", "in"]);
    assert_eq!((outcomes(&same), &same["revision"]), (vec!["unchanged"], &json!(1)));
    // Same size, same modification time, other bytes.
    let before = fs::metadata(&path).unwrap();
    let other = (2..).map(wheel).find(|bytes| bytes.len() as u64 == before.len()).unwrap();
    fs::write(&path, other).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(before.modified().unwrap()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), before.len());
    assert_eq!(outcomes(&env.json(["import", "in"])), ["replaced"]);
    // The same bytes under another name are one blob.
    fs::copy(&path, env.path("in/demo-1.0-0-py3-none-any.whl")).unwrap();
    let twin = env.run(["--json", "import", "in/demo-1.0-0-py3-none-any.whl"]);
    assert_eq!(outcomes(&twin.json()), ["deduplicated"], "{twin}");
    assert_eq!(env.json(["stats"])["blobs"]["count"], 2);
}

#[test]
fn keep_existing_refuses_other_bytes_under_a_known_name() {
    let env = Env::new();
    Wheel::new("demo", "1.0").payload(100, 1).write_to(env.path("old"));
    Wheel::new("demo", "1.0").payload(100, 2).write_to(env.path("new"));
    Wheel::new("fresh", "1.0").write_to(env.path("new"));
    let old = env.json(["import", "old"])["distributions"][0]["sha256"].clone();
    assert_output!(env.run(["import", "new", "--keep-existing"]), @r"
    exit 3
    --- stdout
    1 distribution in shared@2 (1 new)
    --- stderr
    refused new/demo-1.0-py3-none-any.whl: the collection has other bytes under this name (sha256 318e2e7d…), and existing ones are kept
    ");
    assert_eq!(env.json(["lookup", "demo"])["sha256"], old);
    assert_eq!(outcomes(&env.json(["import", "old", "--keep-existing"])), ["unchanged"]);
}

#[test]
fn one_name_twice_in_one_run_is_one_distribution_or_a_contradiction() {
    let env = Env::new();
    let wheel = |seed| Wheel::new("demo", "1.0").payload(100, seed);
    wheel(1).write_to(env.path("a"));
    wheel(1).write_to(env.path("b"));
    wheel(2).write_to(env.path("c"));
    let same = env.json(["import", "a", "b", "a"]);
    assert_eq!(same["refused"], json!([]));
    assert_eq!(same["revision"], 1);
    assert_eq!(env.json(["stats"])["blobs"]["count"], 1);
    let first = json_with_code(&env, 3, &["import", "c", "a"]);
    assert_eq!(outcomes(&first), ["replaced"]);
    assert_eq!(texts(&first["refused"], "path"), ["a/demo-1.0-py3-none-any.whl"]);
    assert!(first["refused"][0]["reason"].as_str().unwrap().contains("c/demo-1.0-py3-none-any.whl"), "{first}");
}

#[test]
fn link_modes_bring_the_same_bytes_in_their_own_way() {
    for mode in ["auto", "copy", "hardlink", "move", "reflink"] {
        let env = Env::new();
        let wheel = Wheel::new("demo", "1.0").payload(5000, 1);
        let source = wheel.write_to(env.path("in"));
        let inode = fs::metadata(&source).unwrap().ino();
        let output = env.run(["--json", "import", "in", "--link", mode]);
        if mode == "reflink" && output.code == 3 {
            let reason = output.json()["refused"][0]["reason"].clone();
            assert!(reason.as_str().unwrap().contains("--link copy"), "says what to do instead: {reason}");
            assert!(source.exists());
            continue;
        }
        assert_eq!(output.code, 0, "{mode}: {output}");
        if mode == "reflink" {
            let clone =
                Command::new("cp").arg("--reflink=always").args([&source, &env.path("clone")]).output().unwrap();
            assert!(clone.status.success(), "no clone can be made here, and a copy is not what was asked for");
        }
        let stored = crate::blob(&env, "demo");
        assert_eq!(fs::read(&stored).unwrap(), wheel.bytes(), "{mode}");
        assert_eq!(source.exists(), mode != "move", "{mode}");
        let is_shared = fs::metadata(&stored).unwrap().ino() == inode;
        assert_eq!(is_shared, matches!(mode, "hardlink" | "move"), "{mode}: one inode");
        env.ok(["verify"]);
        if mode == "move" {
            // Moved again: what the store has is taken away from the source, as the first time.
            wheel.write_to(env.path("in"));
            assert_eq!(outcomes(&env.json(["import", "in", "--link", "move"])), ["unchanged"]);
            assert!(!source.exists());
            wheel.write_to(env.path("in"));
            Wheel::new("liar", "1.0").payload(1, 1).write_to(env.path("x"));
            fs::rename(env.path("x/liar-1.0-py3-none-any.whl"), env.path("in/bad-1.0-py3-none-any.whl")).unwrap();
            assert_eq!(env.run(["import", "in", "--link", "move"]).code, 3);
            assert!(env.path("in/bad-1.0-py3-none-any.whl").exists(), "what is refused stays where it is");
        }
    }
}

/// Changes a byte of a blob and leaves its stat as it was.
fn rot(path: &Path) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(b"#", 100).unwrap();
    file.set_modified(modified).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
}

#[test]
fn a_source_is_removed_only_when_the_stores_own_copy_was_read() {
    let env = Env::new();
    let wheel = Wheel::new("demo", "1.0").payload(5000, 1);
    let source = wheel.write_to(env.path("in"));
    env.ok(["import", "in"]);
    rot(&crate::blob(&env, "demo"));
    // By name and stat all is as it was.
    assert_eq!(outcomes(&env.json(["import", "in"])), ["unchanged"]);
    assert_eq!(outcomes(&env.json(["import", "in", "--link", "move"])), ["healed"]);
    assert!(!source.exists());
    assert_eq!(fs::read(crate::blob(&env, "demo")).unwrap(), wheel.bytes());
    env.ok(["verify"]);
    // The blob's own file has bytes of its own elsewhere: that one goes, and the blob stays.
    fs::hard_link(crate::blob(&env, "demo"), &source).unwrap();
    env.ok(["import", "in", "--link", "move"]);
    assert!(!source.exists());
    env.ok(["verify"]);
}

#[test]
fn more_files_than_two_batches_take_come_in_and_go_again() {
    let env = Env::new();
    // An import takes 1024 files at a time, and gc 2048 blobs.
    let count = 2 * 1024 + 1;
    for number in 0..count {
        Wheel::new("demo", &number.to_string()).write_to(env.path("in"));
    }
    fs::write(env.path("in/demo-9999-py3-none-any.whl"), "not a zip").unwrap();
    let report = json_with_code(&env, 3, &["import", "in"]);
    assert_eq!((outcomes(&report), array(&report["refused"]).len()), (vec!["new"; count], 1));
    let blobs = || crate::files(&env.path("store/blobs/b3")).len();
    assert_eq!((blobs(), array(&env.json(["list"])["distributions"]).len()), (count, count));
    assert_eq!(outcomes(&json_with_code(&env, 3, &["import", "in"])), vec!["unchanged"; count]);
    env.ok(["invalidate", "demo"]);
    assert_eq!((&env.json(["gc", "--grace", "0"])["blobs"], blobs()), (&count.into(), 0));
}

#[test]
fn bytes_that_come_again_are_compared_with_what_nobody_read_for_long() {
    let env = Env::new();
    let wheel = Wheel::new("demo", "1.0").payload(5000, 1);
    wheel.write_to(env.path("in"));
    env.ok(["import", "in"]);
    for (days, outcome) in [(0, "unchanged"), (31, "healed")] {
        rot(&crate::blob(&env, "demo"));
        let manifest = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
        manifest.execute("UPDATE blob SET created_at = created_at - ?1 * 86400", [days]).unwrap();
        manifest.execute("UPDATE file SET verified_at = NULL", []).unwrap();
        let again = format!("again-{days}");
        wheel.write_to(env.path(&again));
        assert_eq!(outcomes(&env.json(["import", &again])), [outcome], "{days} days");
    }
    // An unchanged source is read again, too, when nobody read the blob for so long, or only by a clock that was ahead.
    for (days, outcome) in [(0, "unchanged"), (31, "healed"), (-400, "healed")] {
        rot(&crate::blob(&env, "demo"));
        let manifest = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
        for sql in [
            "UPDATE blob SET created_at = unixepoch() - ?1 * 86400",
            "UPDATE file SET verified_at = unixepoch() - ?1 * 86400",
        ] {
            manifest.execute(sql, [days]).unwrap();
        }
        assert_eq!(outcomes(&env.json(["import", "in"])), [outcome], "{days} days");
        if outcome == "healed" {
            assert_eq!(outcomes(&env.json(["import", "in"])), ["unchanged"], "read once, and trusted again");
        }
    }
    assert_eq!(fs::read(crate::blob(&env, "demo")).unwrap(), wheel.bytes());
}

#[test]
fn what_came_by_a_hard_link_is_known_by_its_stat_the_next_time() {
    let env = Env::new();
    let source = Wheel::new("demo", "1.0").payload(5000, 1).write_to(env.path("in"));
    env.ok(["import", "in", "--link", "hardlink"]);
    let stored = crate::blob(&env, "demo");
    if fs::metadata(&source).unwrap().ino() != fs::metadata(&stored).unwrap().ino() {
        crate::support::skip("hard links can't be made here");
        return;
    }
    // Nobody can see that bytes were not read but by bytes that would have been noticed.
    rot(&stored);
    for link in ["hardlink", "auto"] {
        assert_eq!(outcomes(&env.json(["import", "in", "--link", link])), ["unchanged"], "{link}");
    }
    // With another time it is read.
    fs::File::open(&source).unwrap().set_modified(SystemTime::now()).unwrap();
    assert_ne!(outcomes(&env.run(["--json", "import", "in"]).json()), ["unchanged"]);
}

/// Opens the manifest of an environment, beside it that of another one as `other`.
fn beside(env: &Env, other: &Env) -> rusqlite::Connection {
    let manifest = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
    let other = other.store().join("manifest.sqlite");
    manifest.execute("ATTACH ?1 AS other", [other.to_str().unwrap()]).unwrap();
    manifest
}

#[test]
fn the_same_bytes_under_two_names_are_new_once_also_where_a_killed_import_left_their_row() {
    let wheel = Wheel::new("demo", "1.0").payload(5000, 1);
    let (other, one) = (Env::new(), Wheel::new("one", "1.0"));
    wheel.write_to(other.path("in"));
    other.ok(["import", "in"]);
    for is_left in [false, true] {
        let env = Env::new();
        one.write_to(env.path("one"));
        env.ok(["import", "one"]);
        if is_left {
            let sql = "INSERT INTO file(blake3, size, state) SELECT blake3, size, 'staged' FROM other.file";
            beside(&env, &other).execute(sql, []).unwrap();
        }
        let source = wheel.write_to(env.path("in"));
        fs::copy(source, env.path("in/demo-1.0-0-py3-none-any.whl")).unwrap();
        let report = env.json(["import", "in"]);
        let mut told = outcomes(&report);
        told.sort_unstable();
        assert_eq!(told, ["deduplicated", "new"], "{is_left}");
        assert_eq!(env.json(["verify"])["checked"], 2);
        env.ok(["doctor"]);
    }
}

#[test]
fn other_bytes_of_a_known_sha256_are_an_alarm_and_change_nothing() {
    let (env, other) = (Env::new(), Env::new());
    let known = Wheel::new("known", "1.0").payload(5000, 1);
    known.write_to(env.path("known"));
    env.ok(["import", "known"]);
    for at in [&env, &other] {
        Wheel::new("demo", "1.0").payload(5000, 2).write_to(at.path("in"));
    }
    other.ok(["import", "in"]);
    beside(&env, &other).execute("UPDATE blob SET sha256 = (SELECT sha256 FROM other.blob)", []).unwrap();
    // Whether or not somebody has taken its bytes for bad: they are there.
    for state in ["live", "lost"] {
        beside(&env, &other).execute("UPDATE file SET state = ?1", [state]).unwrap();
        let report = json_with_code(&env, 3, &["import", "in"]);
        let reason = array(&report["refused"])[0]["reason"].as_str().unwrap();
        assert!(reason.contains("have the same SHA-256 digest"), "{reason}");
        assert_eq!(crate::files(&env.path("store/blobs/b3")).len(), 1, "{state}");
        let same = "SELECT count(*) FROM blob b JOIN file f USING(blake3) WHERE f.state = ?1";
        let count: i64 = beside(&env, &other).query_row(same, [state], |row| row.get(0)).unwrap();
        assert_eq!(count, 1, "{state}: the known blob's row is as it was");
    }
}

#[test]
fn a_row_that_was_wrong_vouches_for_no_bytes() {
    for sql in ["UPDATE blob SET sha256 = randomblob(32)", "UPDATE blob SET size = size + 64"] {
        let env = Env::new();
        let wheel = Wheel::new("demo", "1.0").payload(5000, 1);
        wheel.write_to(env.path("in"));
        env.ok(["import", "in"]);
        let stored = crate::blob(&env, "demo");
        rot(&stored);
        rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap().execute(sql, []).unwrap();
        wheel.write_to(env.path("again"));
        assert_eq!(outcomes(&env.json(["import", "again"])), ["healed"], "{sql}");
        assert!(fs::read(&stored).unwrap() == wheel.bytes(), "{sql}");
        env.ok(["verify"]);
    }
}

#[test]
fn a_source_that_can_not_be_read_is_refused_alone_and_the_stores_own_fault_is_no_files() {
    let env = Env::new();
    Wheel::new("good", "1.0").write_to(env.path("in"));
    // Its first byte can't be read, not even by root.
    symlink("/proc/self/mem", env.path("in/bad-1.0-py3-none-any.whl")).unwrap();
    let report = json_with_code(&env, 3, &["import", "in"]);
    assert_eq!(
        (outcomes(&report), texts(&report["refused"], "path")),
        (vec!["new"], vec!["in/bad-1.0-py3-none-any.whl"])
    );
    for (link, fault) in [("copy", "eio"), ("copy", "enospc"), ("hardlink", "eio")] {
        let (mut faults, mut copies) = (0, 0);
        for point in 1..30 {
            let env = Env::new();
            Wheel::new("one", "1.0").write_to(env.path("one"));
            env.ok(["import", "one"]);
            env.leaves("what an import could not take away, since that failed");
            Wheel::new("demo", "1.0").write_to(env.path("in"));
            let fault = format!("{fault}@{point}");
            let output = env.run_with_env(&[("WCAS_FAULT", &*fault)], ["--json", "import", "in", "--link", link]);
            assert_ne!(output.code, 3, "{link}, {fault}: {output}");
            if output.code == 0 {
                copies += array(&output.json()["copied"]).len();
            }
            faults += usize::from(output.code != 0);
        }
        assert!(faults > 0, "{link}, {fault}: nothing failed, so nothing was tried");
        assert_eq!(copies, usize::from(link == "hardlink"), "only where it can't be made read-only");
    }
}

#[test]
fn what_can_not_be_linked_from_another_filesystem_is_copied_and_told() {
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else {
        crate::support::skip("there is no second filesystem here");
        return;
    };
    for mode in ["hardlink", "move"] {
        let env = Env::new();
        let wheel = Wheel::new("demo", "1.0").payload(5000, 1);
        let source = wheel.write_to(elsewhere.path());
        if fs::metadata(&source).unwrap().dev() == fs::metadata(env.path("")).unwrap().dev() {
            crate::support::skip("there is no second filesystem here");
            return;
        }
        let report = env.json(["import", elsewhere.path().to_str().unwrap(), "--link", mode]);
        assert_eq!(
            (outcomes(&report), texts(&report["copied"], "reason")),
            (vec!["new"], vec!["it can't be linked there"])
        );
        assert_eq!(fs::read(crate::blob(&env, "demo")).unwrap(), wheel.bytes());
        assert_eq!(source.exists(), mode == "hardlink");
        env.ok(["verify"]);
    }
}

#[test]
fn a_tree_of_copies_of_bytes_that_nobody_noticed_is_right_again_once_an_import_healed_them() {
    let env = Env::new();
    let wheel = Wheel::new("demo", "1.0").payload(5000, 1);
    wheel.write_to(env.path("in"));
    env.ok(["import", "in"]);
    rot(&crate::blob(&env, "demo"));
    let shown = || fs::read(env.path("tree/simple/demo/demo-1.0-py3-none-any.whl")).unwrap();
    env.ok(["view", "--to", "tree", "--link", "copy"]);
    assert!(shown() != wheel.bytes(), "its stat is as it was");
    assert_eq!(outcomes(&env.json(["import", "in", "--link", "move"])), ["healed"]);
    env.ok(["view", "--to", "tree", "--link", "copy"]);
    assert!(shown() == wheel.bytes());
}

#[test]
fn a_source_is_remembered_once_its_stat_proves_its_bytes() {
    let env = Env::new();
    let put = |dir: &str, seed: u64| Wheel::new("demo", "1.0").payload(5000, seed).write_to(env.path(dir));
    let remembered = || -> i64 {
        let manifest = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
        manifest.query_row("SELECT count(*) FROM seen", [], |row| row.get(0)).unwrap()
    };
    // What was written a moment ago, or has a time later than now, may be written again within its times.
    let young = put("young", 1);
    fs::File::open(&young).unwrap().set_modified(SystemTime::now() + Duration::from_secs(3600)).unwrap();
    put("staged", 2);
    put("in-place", 2);
    std::thread::sleep(Duration::from_secs(1));
    for (dir, count) in [("young", 0), ("staged", 1), ("in-place", 2), ("staged", 2)] {
        env.ok(["import", dir, "--link", "copy"]);
        assert_eq!(remembered(), count, "{dir}");
    }
}

/// An image of a filesystem with one file, mounted read-only; all its times are the same as those of any other.
struct Image(std::path::PathBuf);

impl Image {
    fn mount(env: &Env, number: u64) -> Option<Self> {
        let (dir, image, at) =
            (env.path(format!("dir{number}")), env.path(format!("image{number}")), env.path("mounted"));
        let wheel = Wheel::new("demo", "1.0").payload(5000, number).write_to(&dir);
        fs::File::open(wheel).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        fs::create_dir_all(&at).unwrap();
        fs::File::create(&image).unwrap().set_len(1 << 20).unwrap();
        let run = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let mut make = Command::new("mke2fs");
        make.env("E2FSPROGS_FAKE_TIME", "1000000000").args(["-q", "-U", "01234567-89ab-cdef-0123-456789abcdef", "-d"]);
        let is_made = run(make.arg(&dir).arg(&image));
        let is_mounted = is_made && run(Command::new("mount").args(["-o", "loop,ro"]).arg(&image).arg(&at));
        if !is_mounted {
            crate::support::skip("no image can be made and mounted here, so nothing was tried on images");
        }
        is_mounted.then_some(Self(at))
    }

    fn stat(&self) -> (u64, u64, u64, i64, i64) {
        let found = fs::metadata(self.0.join("demo-1.0-py3-none-any.whl")).unwrap();
        (found.dev(), found.ino(), found.size(), found.mtime(), found.ctime())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

#[test]
fn what_an_image_says_of_a_files_times_proves_nothing() {
    let env = Env::new();
    let Some(first) = Image::mount(&env, 1) else { return };
    let stat = first.stat();
    env.ok(["import", "mounted"]);
    drop(first);
    let Some(second) = Image::mount(&env, 2) else { return };
    if second.stat() != stat {
        crate::support::skip("the second image's file has another stat than the first one's");
        return;
    }
    assert_eq!(outcomes(&env.json(["import", "mounted"])), ["replaced"]);
}

#[test]
fn only_a_file_of_ours_with_one_name_becomes_a_blob_as_it_is() {
    let env = Env::new();
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    for (number, mode) in ["move", "hardlink"].into_iter().enumerate() {
        let wheel = |name: &str| Wheel::new(&format!("{name}{number}"), "1.0").payload(5000, 1);
        let dir = env.path(format!("in{number}"));
        let linked = wheel("linked").write_to(&dir);
        fs::hard_link(&linked, env.path(format!("other{number}"))).unwrap();
        let outside = wheel("outside").write_to(env.path(format!("outside{number}")));
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&outside, dir.join(outside.file_name().unwrap())).unwrap();
        let foreign = wheel("foreign").write_to(&dir);
        let is_root = std::os::unix::fs::chown(&foreign, Some(65534), None).is_ok();
        let inodes = [&linked, &outside, &foreign].map(|path| inode(path));
        let report = env.json(["import", dir.to_str().unwrap(), "--link", mode]);
        let copied: BTreeMap<&str, &str> = array(&report["copied"])
            .iter()
            .map(|row| (row["path"].as_str().unwrap().rsplit('/').next().unwrap(), row["reason"].as_str().unwrap()))
            .map(|(path, reason)| (path.split('-').next().unwrap().trim_end_matches(char::is_numeric), reason))
            .collect();
        let mut expected = BTreeMap::from([("outside", "a symlink led to it")]);
        expected.extend((mode == "move").then_some(("linked", "it has other names")));
        expected.extend(is_root.then_some(("foreign", "it is another user's file")));
        assert_eq!(copied, expected, "{mode}");
        let stored = ["linked", "outside", "foreign"].map(|name| inode(&crate::blob(&env, &format!("{name}{number}"))));
        assert_eq!(stored[0] == inodes[0], mode == "hardlink");
        assert!(stored[1] != inodes[1] && (stored[2] != inodes[2] || !is_root), "{mode}");
        let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode_of(&outside), 0o640, "{mode}: what is outside stays as it is");
        for name in ["linked", "outside", "foreign"] {
            let stored = crate::blob(&env, &format!("{name}{number}"));
            assert_eq!(mode_of(&stored), 0o444, "{mode}, {name}: nobody writes to a blob");
        }
        // What was refused has its permissions.
        Wheel::new("liar", "1.0").write_to(env.path("x"));
        let bad = dir.join("bad-1.0-py3-none-any.whl");
        fs::rename(env.path("x/liar-1.0-py3-none-any.whl"), &bad).unwrap();
        fs::set_permissions(&bad, fs::Permissions::from_mode(0o664)).unwrap();
        assert_eq!(
            env.run([std::ffi::OsStr::new("import"), bad.as_os_str(), "--link".as_ref(), mode.as_ref()]).code,
            3
        );
        assert_eq!(mode_of(&bad), 0o664);
    }
}

#[test]
fn an_edit_through_a_hard_link_is_found_and_healed() {
    if Env::is_of_own_store_only("what it loses the share has") {
        return;
    }
    let env = Env::new();
    let wheel = Wheel::new("demo", "1.0").payload(5000, 1);
    let source = wheel.write_to(env.path("in"));
    env.ok(["import", "in", "--link", "hardlink"]);
    if fs::metadata(&source).unwrap().ino() != fs::metadata(crate::blob(&env, "demo")).unwrap().ino() {
        crate::support::skip("hard links can't be made here");
        return;
    }
    let mut permissions = fs::metadata(&source).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    fs::set_permissions(&source, permissions).unwrap();
    let mut bytes = wheel.bytes();
    bytes[100] ^= 0xff;
    fs::write(&source, &bytes).unwrap();
    assert_eq!(env.run(["lookup", "demo"]).code, 4, "edited bytes are never handed out");
    assert_eq!(env.run(["verify"]).code, 3);
    fs::remove_file(&source).unwrap();
    wheel.write_to(env.path("in"));
    assert_eq!(outcomes(&env.json(["import", "in"])), ["healed"]);
    env.ok(["verify"]);
}

#[test]
fn all_files_of_one_import_are_one_revision() {
    let env = Env::new();
    for number in 0..40 {
        Wheel::new(&format!("p{number}"), "1.0").write_to(env.path("in"));
        Sdist::new(&format!("p{number}"), "1.0").write_to(env.path("in"));
    }
    assert_output!(env.run(["import", "in", "--collection", "cuda"]), @r"
    exit 0
    --- stdout
    80 distributions in cuda@1 (80 new)
    ");
    assert_output!(env.run(["import", "in", "--collection", "rocm"]), @r"
    exit 0
    --- stdout
    80 distributions in rocm@1 (80 deduplicated)
    ");
    assert_output!(env.run(["import", "in", "--collection", "cuda"]), @r"
    exit 0
    --- stdout
    80 distributions in cuda@1 (80 unchanged)
    ");
    assert_eq!(array(&env.json(["collection", "log", "cuda"])["revisions"]).len(), 1);
}
