//! Damage × command: every way in which a blob's file goes wrong, met by every command that could trip over it.
//!
//! Each cell runs in a store of its own. Whatever happened, the outcome is the defined one, nothing panics, what is told names the
//! path or the filename, nothing is destroyed, and once a command has noticed, no lookup and no page hands out the damaged file.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests and their helpers may panic and say what they skip"
)]

mod support;

use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use support::{Env, Output, Wheel};

/// What is done to a blob's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    TruncateToNothing,
    TruncateToHalf,
    FlipABitKeepingTheTime,
    Delete,
    OtherBytesOfTheSameSize,
    ReplaceBySymlink,
    ReplaceByFolder,
    TakeAllPermissions,
    MoveToTheWrongShard,
    RenameToUpperCase,
    AddAnotherFile,
}

use Damage::*;

const ALL: [Damage; 11] = [
    TruncateToNothing,
    TruncateToHalf,
    FlipABitKeepingTheTime,
    Delete,
    OtherBytesOfTheSameSize,
    ReplaceBySymlink,
    ReplaceByFolder,
    TakeAllPermissions,
    MoveToTheWrongShard,
    RenameToUpperCase,
    AddAnotherFile,
];

impl Damage {
    fn apply(self, path: &Path) {
        let bytes = fs::read(path).unwrap();
        let time = fs::metadata(path).unwrap().modified().unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mode = |mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let in_place = |bytes: &[u8]| {
            mode(0o644);
            fs::write(path, bytes).unwrap();
            mode(0o444);
        };
        match self {
            TruncateToNothing => in_place(&[]),
            TruncateToHalf => in_place(&bytes[..bytes.len() / 2]),
            FlipABitKeepingTheTime => {
                let mut bytes = bytes.clone();
                bytes[100] ^= 4;
                in_place(&bytes);
                fs::File::open(path).unwrap().set_modified(time).unwrap();
            }
            Delete => fs::remove_file(path).unwrap(),
            OtherBytesOfTheSameSize => in_place(&vec![b'x'; bytes.len()]),
            ReplaceBySymlink => {
                // Even one that leads to the right bytes: the next edit there would be an edit here.
                let elsewhere = path.ancestors().nth(5).unwrap().join("elsewhere");
                fs::rename(path, &elsewhere).and_then(|()| symlink(&elsewhere, path)).unwrap();
            }
            ReplaceByFolder => {
                fs::remove_file(path).and_then(|()| fs::create_dir(path)).unwrap();
                fs::write(path.join("inside"), "x").unwrap();
            }
            TakeAllPermissions => mode(0o000),
            MoveToTheWrongShard => {
                let shard = if name.starts_with("00") { "01" } else { "00" };
                let shard = path.parent().unwrap().with_file_name(shard);
                fs::create_dir_all(&shard).and_then(|()| fs::rename(path, shard.join(&name))).unwrap();
            }
            RenameToUpperCase => fs::rename(path, path.with_file_name(name.to_uppercase())).unwrap(),
            AddAnotherFile => fs::write(path.with_file_name("README"), "not a blob").unwrap(),
        }
    }

    /// Returns the kind of problem that verify finds; `None` when the blob is as sound as before.
    fn kind(self) -> Option<&'static str> {
        match self {
            AddAnotherFile => None,
            Delete | MoveToTheWrongShard | RenameToUpperCase => Some("missing"),
            TakeAllPermissions if is_root() => None,
            TakeAllPermissions => Some("unreadable"),
            _ => Some("corrupt"),
        }
    }

    /// Tells whether a stat is enough to see it.
    fn is_seen_by_stat(self) -> bool {
        // A kept modification time on the same inode with the same size is what only reading finds.
        self.kind().is_some() && self != FlipABitKeepingTheTime && self != TakeAllPermissions
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A store with a damaged blob and a sound one.
struct Case {
    env: Env,
    damage: Damage,
    blob: PathBuf,
    bytes: Vec<u8>,
}

impl Case {
    /// Runs a check for each damage.
    fn each(check: impl Fn(&Self) + Sync) {
        if is_root() {
            support::skip("permissions don't bind root, so a file without them is no damage");
        }
        // Each store is made by some processes that sync: two at a time is what the disk takes.
        std::thread::scope(|scope| {
            for part in ALL.chunks(ALL.len().div_ceil(2)) {
                let check = &check;
                scope.spawn(move || part.iter().for_each(|damage| check(&Self::new(*damage))));
            }
        });
    }

    fn new(damage: Damage) -> Self {
        let env = Env::new();
        let wheel = Wheel::new("victim", "1.0").payload(4000, 1);
        wheel.write_to(env.path("in"));
        Wheel::new("sound", "1.0").payload(4000, 2).write_to(env.path("in"));
        env.ok(["import", "in"]);
        let blob = PathBuf::from(env.json(["show", "victim"])["distributions"][0]["path"].as_str().unwrap());
        damage.apply(&blob);
        Self { env, damage, blob, bytes: wheel.bytes() }
    }

    fn is_bad(&self) -> bool {
        self.damage.kind().is_some()
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Output {
        let output = self.env.run(args);
        assert!(matches!(output.code, 0..=5), "{:?} {args:?}: {output}", self.damage);
        assert!(!output.stderr.contains("panicked"), "{:?} {args:?}: {output}", self.damage);
        output
    }

    #[track_caller]
    fn expect(&self, code: i32, args: &[&str]) -> Output {
        let output = self.run(args);
        assert_eq!(output.code, code, "{:?} {args:?}: {output}", self.damage);
        output
    }

    /// Asserts that nothing hands out the blob: neither lookup nor any page nor a tree.
    #[track_caller]
    fn is_handed_out_to_nobody(&self) {
        let lookup = self.expect(4, &["lookup", "victim"]);
        assert!(lookup.stdout.is_empty() && lookup.stderr.contains("victim-1.0-py3-none-any.whl"), "{lookup}");
        for format in ["html", "json", "requirements", "paths"] {
            let page = self.expect(3, &["view", "--format", format]);
            assert!(!page.stdout.contains("victim") && page.stdout.contains("sound"), "{:?}: {page}", self.damage);
            assert!(page.stderr.contains("victim-1.0-py3-none-any.whl"), "{:?}: {page}", self.damage);
        }
        self.expect(3, &["view", "--to", "handed"]);
        assert!(!self.env.path("handed/simple/victim").exists());
    }

    #[track_caller]
    fn is_whole(&self) {
        let path = self.expect(0, &["lookup", "victim"]).stdout;
        assert_eq!(fs::read(path.trim_end()).unwrap(), self.bytes, "{:?}", self.damage);
        let page = self.expect(0, &["view"]);
        assert!(page.stdout.contains("victim"), "{:?}: {page}", self.damage);
        self.expect(0, &["verify"]);
    }

    /// Asserts that the bytes that stood in the place are somewhere still: nothing is ever destroyed.
    #[track_caller]
    fn nothing_is_destroyed(&self) {
        if matches!(self.damage, Delete | AddAnotherFile) {
            return;
        }
        let count = fs::read_dir(self.env.path("store/quarantine")).unwrap().count();
        let strays = matches!(self.damage, MoveToTheWrongShard | RenameToUpperCase);
        let expected = usize::from(self.damage.kind() == Some("corrupt"));
        assert_eq!(count, expected, "{:?} (a stray stays: {strays})", self.damage);
    }
}

fn problems(output: &Output) -> Vec<Value> {
    output.json()["problems"].as_array().expect("a list").clone()
}

#[test]
fn verify_finds_each_kind_and_names_path_and_filename() {
    Case::each(|case| {
        let Some(kind) = case.damage.kind() else {
            assert_eq!(problems(&case.expect(0, &["--json", "verify"])), [Value::Null; 0], "{:?}", case.damage);
            return case.is_whole();
        };
        let found = problems(&case.expect(3, &["--json", "verify"]));
        assert_eq!(found.len(), 1, "{:?}: {found:?}", case.damage);
        assert_eq!(found[0]["kind"], kind, "{:?}", case.damage);
        assert_eq!(found[0]["path"].as_str(), case.blob.to_str());
        assert_eq!(found[0]["filenames"], serde_json::json!(["victim-1.0-py3-none-any.whl"]));
        case.is_handed_out_to_nobody();
        case.nothing_is_destroyed();
        let again = problems(&case.expect(3, &["--json", "verify"]));
        assert_eq!(again[0]["kind"], kind, "{:?}: the same when asked again", case.damage);
        assert_eq!(case.env.json(["import", "in"])["distributions"][1]["outcome"], "healed", "{:?}", case.damage);
        case.is_whole();
    });
}

#[test]
fn verify_quick_finds_what_a_stat_shows() {
    Case::each(|case| {
        if case.damage == FlipABitKeepingTheTime {
            // The change time tells it apart, so either answer is right; what it says must hold.
            let code = case.run(&["verify", "--quick"]).code;
            assert!(code == 0 || code == 3);
            return;
        }
        let output = case.expect(if case.damage.is_seen_by_stat() { 3 } else { 0 }, &["--json", "verify", "--quick"]);
        if case.damage.is_seen_by_stat() {
            assert_eq!(problems(&output)[0]["kind"].as_str(), case.damage.kind(), "{:?}", case.damage);
            case.is_handed_out_to_nobody();
            case.nothing_is_destroyed();
        }
    });
}

#[test]
fn verify_repair_takes_a_trees_copy_and_without_one_only_tells() {
    Case::each(|case| {
        let code = if case.is_bad() { 3 } else { 0 };
        case.expect(code, &["verify", "--repair"]);
        case.nothing_is_destroyed();
        case.expect(0, &["import", "in"]);
        case.is_whole();
    });
    Case::each(|case| {
        // The tree is made from right bytes, then the same damage is done again.
        case.expect(0, &["import", "in"]);
        let output = case.run(&["verify"]);
        if output.code == 3 {
            case.expect(0, &["import", "in"]);
        }
        case.expect(0, &["view", "--to", "tree", "--link", "copy"]);
        if case.damage == TakeAllPermissions || !case.blob.is_file() {
            return;
        }
        fs::remove_file(&case.blob).unwrap();
        fs::write(&case.blob, "wrong").unwrap();
        let report = case.expect(0, &["--json", "verify", "--repair"]);
        assert_eq!(problems(&report)[0]["repaired"], true, "{:?}", case.damage);
        case.is_whole();
    });
}

#[test]
fn lookup_and_list_never_stumble_and_a_stat_is_always_taken() {
    Case::each(|case| {
        case.expect(0, &["list"]);
        case.expect(0, &["show", "victim"]);
        case.expect(0, &["why", "victim"]);
        case.expect(0, &["stats"]);
        let lookup = case.run(&["lookup", "victim"]);
        if case.damage.is_seen_by_stat() {
            assert_eq!((lookup.code, lookup.stdout.as_str()), (4, ""), "{:?}: {lookup}", case.damage);
            assert!(lookup.stderr.contains("victim-1.0-py3-none-any.whl"), "{lookup}");
            case.is_handed_out_to_nobody();
            assert!(case.expect(0, &["list"]).stdout.contains("lost"), "{:?}", case.damage);
        } else if !case.is_bad() {
            case.is_whole();
        }
    });
}

#[test]
fn pages_and_trees_are_made_whatever_the_blobs_are() {
    Case::each(|case| {
        // What nobody has noticed yet may be listed; nothing is copied from it under its name, though.
        let page = case.run(&["view"]);
        assert!(matches!(page.code, 0 | 3) && page.stdout.contains("sound"), "{:?}: {page}", case.damage);
        for link in ["symlink", "copy", "hardlink"] {
            let dir = format!("tree-{link}");
            let output = case.run(&["view", "--to", &dir, "--link", link]);
            let victim = case.env.path(&dir).join("simple/victim/victim-1.0-py3-none-any.whl");
            match output.code {
                0 | 3 => assert!(case.env.path(&dir).join("simple/sound/sound-1.0-py3-none-any.whl").exists()),
                _ => {
                    let is_named = output.stderr.contains("victim-1.0-py3-none-any.whl");
                    let is_named = is_named || output.stderr.contains(case.blob.to_str().unwrap());
                    assert!(is_named, "the message names the path: {:?} {link}: {output}", case.damage);
                    assert!(!victim.exists(), "{:?} {link}", case.damage);
                }
            }
        }
        if case.is_bad() && case.expect(3, &["verify"]).code == 3 {
            case.is_handed_out_to_nobody();
            // The trees that were made before lead to nothing wrong now.
            let link = case.env.path("tree-symlink/simple/victim/victim-1.0-py3-none-any.whl");
            assert!(case.damage.kind() == Some("unreadable") || !link.exists(), "{:?}", case.damage);
            case.expect(3, &["view", "--to", "tree-symlink"]);
            assert!(!link.is_symlink());
        }
        case.expect(0, &["import", "in"]);
        if case.damage != FlipABitKeepingTheTime {
            case.is_whole();
        }
    });
}

#[test]
fn importing_good_bytes_again_heals_what_a_stat_shows_without_a_verify() {
    Case::each(|case| {
        let report = case.expect(0, &["--json", "import", "in"]).json();
        let outcome = report["distributions"][1]["outcome"].as_str().unwrap().to_owned();
        if case.damage.is_seen_by_stat() {
            assert_eq!(outcome, "healed", "{:?}", case.damage);
            case.is_whole();
            case.nothing_is_destroyed();
        } else if !case.is_bad() {
            assert_eq!(outcome, "unchanged", "{:?}", case.damage);
            case.is_whole();
        }
    });
}

#[test]
fn gc_takes_what_nobody_needs_whatever_it_looks_like() {
    Case::each(|case| {
        case.expect(0, &["gc", "--grace", "0"]);
        assert!(case.env.run(["lookup", "sound"]).code == 0);
        case.expect(0, &["invalidate", "victim"]);
        let output = case.run(&["gc", "--grace", "0"]);
        if case.damage == ReplaceByFolder {
            // A folder is no blob of ours to remove: told, or moved out of the way.
            assert!(output.code == 0 || output.stderr.contains(case.blob.to_str().unwrap()), "{output}");
            return;
        } else {
            assert_eq!(output.code, 0, "{:?}: {output}", case.damage);
            assert!(!case.blob.exists() && !case.blob.is_symlink(), "{:?}", case.damage);
        }
        case.expect(0, &["verify"]);
        case.expect(0, &["import", "in"]);
        case.is_whole();
    });
}

#[test]
fn doctor_tells_strays_and_ends() {
    Case::each(|case| {
        let output = case.run(&["doctor"]);
        match case.damage {
            AddAnotherFile => {
                assert_eq!(output.code, 0, "only to be noted: {output}");
                assert!(output.stdout.contains(case.blob.with_file_name("README").to_str().unwrap()), "{output}");
            }
            Delete | MoveToTheWrongShard | RenameToUpperCase => {
                assert_eq!(output.code, 3, "{:?}: {output}", case.damage);
                assert!(output.stdout.contains(case.blob.to_str().unwrap()), "{:?}: {output}", case.damage);
            }
            // Whether a stat is read so far is doctor's matter: bytes are verify's.
            _ => assert!(matches!(output.code, 0 | 3), "{:?}: {output}", case.damage),
        }
    });
}

#[test]
fn a_tree_of_copies_or_hard_links_is_right_again_once_its_blob_was_healed() {
    for (link, is_told) in [("copy", true), ("hardlink", true), ("copy", false), ("hardlink", false)] {
        let case = Case::new(OtherBytesOfTheSameSize);
        // Nobody has noticed so far.
        case.run(&["view", "--to", "tree", "--link", link]);
        if is_told {
            case.expect(3, &["verify"]);
        }
        case.expect(0, &["import", "in"]);
        case.expect(0, &["view", "--to", "tree", "--link", link]);
        let shown = fs::read(case.env.path("tree/simple/victim/victim-1.0-py3-none-any.whl")).unwrap();
        assert!(shown == case.bytes, "{link}, {is_told}: the tree still has the wrong bytes");
    }
}

#[test]
fn a_manifest_whose_words_or_indexes_are_wrong_is_told_and_what_to_do() {
    // What a flipped bit does to a page: SQLite takes the words for true, and an index for whole.
    let cases = [
        (
            "UPDATE sqlite_schema SET sql = replace(sql, 'keep_versions', 'keep_versionz') WHERE name = 'collection'",
            "collection",
        ),
        (
            "CREATE TEMP TABLE root AS SELECT name, rootpage FROM main.sqlite_schema WHERE name IN ('entry_live', 'entry_blob');
             UPDATE main.sqlite_schema SET rootpage = (SELECT rootpage FROM root WHERE name = 'entry_blob') WHERE name = 'entry_live';
             UPDATE main.sqlite_schema SET rootpage = (SELECT rootpage FROM root WHERE name = 'entry_live') WHERE name = 'entry_blob'",
            "entry_live",
        ),
    ];
    for (change, name) in cases {
        let env = Env::new();
        for version in ["1.0", "2.0", "3.0"] {
            Wheel::new("demo", version).write_to(env.path("in"));
        }
        env.ok(["import", "in"]);
        env.ok(["doctor"]);
        let manifest = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
        manifest.execute_batch(&format!("PRAGMA writable_schema = on; {change}; PRAGMA schema_version = 99")).unwrap();
        drop(manifest);
        let doctor = env.run(["doctor"]);
        assert_eq!(doctor.code, 3, "{name}: {doctor}");
        assert!(doctor.stdout.contains(name) && doctor.stdout.contains("wcas rebuild"), "{name}: {doctor}");
        let list = env.run(["collection", "list"]);
        assert!(list.code == 0 || list.code == 1 && list.stderr.contains("wcas rebuild"), "{name}: {list}");
        // The way that it names leads out.
        env.ok(["rebuild", "--force"]);
        env.ok(["doctor"]);
        env.ok(["lookup", "demo", "--collection", "recovered"]);
    }
}
