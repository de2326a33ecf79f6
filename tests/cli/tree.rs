//! `wcas view --to`: trees on disk, made again incrementally and never over what others made.

use crate::support::{Env, Sdist, Wheel};
use crate::{array, assert_output, files, refused, texts};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

fn filled() -> Env {
    let env = Env::new();
    Wheel::new("demo", "1.0").requires("idna").payload(3000, 1).write_to(env.path("in"));
    Wheel::new("demo", "2.0").payload(3000, 2).write_to(env.path("in"));
    Wheel::new("idna", "3.10").write_to(env.path("in"));
    Sdist::new("source", "1.0").write_to(env.path("in"));
    env.ok(["import", "in"]);
    env
}

/// Returns the names in a folder, hidden ones too.
fn listed(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the JSON page of a project in a tree.
fn page(env: &Env, project: &str) -> Value {
    let text = fs::read(env.path(format!("tree/simple/{project}/index.json"))).expect("a page");
    serde_json::from_slice(&text).expect("pages are JSON")
}

/// Returns the inode of each project's folder as readers reach it.
fn inodes(env: &Env) -> BTreeMap<String, u64> {
    let rows = fs::read_dir(env.path("tree/simple")).unwrap().map(|entry| entry.unwrap());
    let folders = rows.filter(|entry| entry.path().is_dir());
    folders.map(|entry| (entry.file_name().into_string().unwrap(), fs::metadata(entry.path()).unwrap().ino())).collect()
}

#[test]
fn a_simple_tree_has_pages_files_and_sidecars_that_agree() {
    let env = filled();
    assert_output!(env.run(["view", "--to", "tree"]), @r"
    exit 0
    --- stdout
    $TMP/tree: shared@1, 4 files of 3 projects, 3 made anew
    ");
    let root: Value = serde_json::from_slice(&fs::read(env.path("tree/simple/index.json")).unwrap()).unwrap();
    assert_eq!(texts(&root["projects"], "name"), ["demo", "idna", "source"]);
    let html = fs::read_to_string(env.path("tree/simple/index.html")).unwrap();
    for project in texts(&root["projects"], "name") {
        assert!(html.contains(&format!("href=\"{project}/\"")), "{html}");
        let dir = env.path("tree/simple").join(project);
        let html = fs::read_to_string(dir.join("index.html")).unwrap();
        for file in array(&page(&env, project)["files"]) {
            let (name, url) = (file["filename"].as_str().unwrap(), file["url"].as_str().unwrap());
            assert_eq!(name, url, "links are relative and lead to the file beside the page");
            let bytes = fs::read(dir.join(name)).unwrap();
            let sha256 = hex(&Sha256::digest(&bytes));
            assert_eq!((&file["hashes"]["sha256"], &file["size"]), (&sha256.clone().into(), &bytes.len().into()));
            assert!(html.contains(&format!("href=\"{url}#sha256={sha256}\"")), "{html}");
            let link = fs::read_link(dir.join(name)).expect("a symlink by default");
            assert!(link.is_relative(), "{}", link.display());
            let sidecar = dir.join(format!("{name}.metadata"));
            assert_eq!(sidecar.exists(), file.get("core-metadata").is_some(), "a sidecar is there if it is announced");
            if let Ok(sidecar) = fs::read(sidecar) {
                let announced = hex(&Sha256::digest(&sidecar));
                assert_eq!(file["core-metadata"]["sha256"], announced);
                assert!(html.contains(&format!("data-core-metadata=\"sha256={announced}\"")), "{html}");
                assert!(html.contains(&format!("data-dist-info-metadata=\"sha256={announced}\"")), "{html}");
            }
        }
    }
    let sidecar = fs::read_to_string(env.path("tree/simple/demo/demo-1.0-py3-none-any.whl.metadata")).unwrap();
    let metadata = "Metadata-Version: 2.2\nName: demo\nVersion: 1.0\nRequires-Dist: idna\n\nA test distribution.\n";
    assert_eq!(sidecar, metadata, "to the byte as in the wheel");
}

#[test]
fn only_what_changed_is_made_anew() {
    let env = filled();
    env.ok(["view", "--to", "tree"]);
    let before = inodes(&env);
    let shown = fs::read_link(env.path("tree/simple")).unwrap();
    assert_eq!(env.json(["view", "--to", "tree"])["made"], 0);
    assert_eq!((inodes(&env), fs::read_link(env.path("tree/simple")).unwrap()), (before.clone(), shown));
    // One changed project.
    Wheel::new("demo", "3.0").write_to(env.path("in"));
    env.ok(["import", "in"]);
    assert_eq!(env.json(["view", "--to", "tree"])["made"], 1);
    let after = inodes(&env);
    assert_ne!(after["demo"], before["demo"]);
    assert_eq!((after["idna"], after["source"]), (before["idna"], before["source"]));
    assert_eq!(array(&page(&env, "demo")["files"]).len(), 3);
    // One new, one gone.
    Wheel::new("fresh", "1.0").write_to(env.path("in"));
    env.ok(["import", "in"]);
    env.ok(["invalidate", "source"]);
    assert_eq!(env.json(["view", "--to", "tree"])["made"], 1);
    let last = inodes(&env);
    assert_eq!(last.keys().collect::<Vec<_>>(), ["demo", "fresh", "idna"]);
    assert_eq!((last["demo"], last["idna"]), (after["demo"], after["idna"]));
    // Nothing that readers don't see is left.
    let folders = fs::read_dir(env.path("tree/.wcas/p")).unwrap().count();
    assert_eq!(folders, 3);
    // Going back to an older revision is a view like any other.
    env.ok(["view", "--to", "tree", "--at", "1"]);
    assert_eq!(inodes(&env).keys().collect::<Vec<_>>(), ["demo", "idna", "source"]);
}

#[test]
fn what_was_tampered_with_or_deleted_in_a_tree_is_the_next_runs_matter_when_its_index_is_gone() {
    let env = filled();
    env.ok(["view", "--to", "tree"]);
    fs::remove_dir_all(env.path("tree")).unwrap();
    env.ok(["view", "--to", "tree"]);
    assert_eq!(inodes(&env).len(), 3, "a tree that was removed is made again, though the collection didn't change");
}

#[test]
fn what_is_missing_of_a_tree_is_told_and_made_anew() {
    type Damage = fn(&Env);
    let damages: [(&str, Damage); 6] = [
        ("the store's METADATA files", |env| fs::remove_dir_all(env.store().join("metadata")).unwrap()),
        ("a file's link", |env| fs::remove_file(env.path("tree/simple/demo/demo-1.0-py3-none-any.whl")).unwrap()),
        ("a sidecar's link", |env| {
            fs::remove_file(env.path("tree/simple/demo/demo-1.0-py3-none-any.whl.metadata")).unwrap();
        }),
        ("a page", |env| fs::remove_file(env.path("tree/simple/demo/index.json")).unwrap()),
        ("an emptied page", |env| fs::write(env.path("tree/simple/demo/index.html"), "").unwrap()),
        ("a project's folder", |env| {
            fs::remove_dir_all(fs::canonicalize(env.path("tree/simple/demo")).unwrap()).unwrap();
        }),
    ];
    let problems = |env: &Env| -> usize {
        let findings = env.run(["--json", "doctor"]).json()["findings"].clone();
        findings.as_array().unwrap().iter().filter(|row| row["severity"] == "problem").count()
    };
    for (what, damage) in damages {
        for link in ["symlink", "copy"] {
            let env = filled();
            env.ok(["view", "--to", "tree", "--link", link]);
            let before = listed(&env.path("tree/simple/demo"));
            assert_eq!((problems(&env), &env.json(["view", "--to", "tree", "--link", link])["made"]), (0, &0.into()));
            damage(&env);
            // A copy of METADATA is the tree's own; a link that is gone leaves no trace but in counts.
            let is_hit = link == "symlink" || !what.contains("store");
            assert_eq!(problems(&env), usize::from(is_hit && !what.contains("sidecar")), "{what} {link}");
            let report = env.json(["view", "--to", "tree", "--link", link]);
            assert_eq!(report["made"].as_u64().unwrap() > 0, is_hit, "{what} {link}: {report}");
            assert_eq!(listed(&env.path("tree/simple/demo")), before, "{what} {link}");
            for name in &before {
                assert!(
                    fs::metadata(env.path("tree/simple/demo").join(name)).unwrap().len() > 0,
                    "{what} {link}: {name}"
                );
            }
            assert_eq!((problems(&env), &env.json(["view", "--to", "tree", "--link", link])["made"]), (0, &0.into()));
        }
    }
    let env = filled();
    env.ok(["view", "--to", "flat", "--layout", "flat"]);
    fs::remove_file(env.path("flat/demo-1.0-py3-none-any.whl")).unwrap();
    assert_eq!(problems(&env), 1);
    assert_eq!(env.json(["view", "--to", "flat", "--layout", "flat"])["made"], 1);
    assert_eq!(problems(&env), 0);
}

/// What is damaged, in a tree made with which options, and how.
type Damage = (&'static str, &'static [&'static str], fn(&Path));

#[test]
fn verify_finds_and_mends_what_is_missing_of_trees() {
    let damages: [Damage; 6] = [
        ("a link is gone", &[], |dir| fs::remove_file(dir.join("simple/demo/demo-1.0-py3-none-any.whl")).unwrap()),
        ("a page is gone", &[], |dir| fs::remove_file(dir.join("simple/idna/index.html")).unwrap()),
        ("a folder is gone", &[], |dir| {
            fs::remove_dir_all(fs::canonicalize(dir.join("simple/demo")).unwrap()).unwrap()
        }),
        ("`simple` is gone", &[], |dir| fs::remove_file(dir.join("simple")).unwrap()),
        ("a flat file is gone", &["--layout", "flat"], |dir| {
            fs::remove_file(dir.join("demo-1.0-py3-none-any.whl")).unwrap()
        }),
        ("a flat page is gone", &["--layout", "flat", "--link", "copy"], |dir| {
            fs::remove_file(dir.join("index.html")).unwrap()
        }),
    ];
    for (what, options, damage) in damages {
        let env = filled();
        let options = [&["view", "--to", "tree"], options].concat();
        env.ok(&options);
        let seen = || -> Vec<Vec<String>> {
            let dirs = ["tree", "tree/simple", "tree/simple/demo"].map(|dir| env.path(dir));
            dirs.iter().filter(|dir| dir.exists()).map(|dir| listed(dir)).collect()
        };
        let whole = seen();
        // The tree goes on showing what it shows.
        Wheel::new("later", "1.0").write_to(env.path("later"));
        env.ok(["import", "later"]);
        assert_eq!(env.json(["verify"])["trees"], Value::Array(Vec::new()));
        damage(&env.path("tree"));
        let output = env.run(["--json", "verify", "--quick"]);
        assert_eq!(output.code, 3, "{what}: {output}");
        let found = &output.json()["trees"][0];
        assert_eq!((found["path"].as_str(), &found["repaired"]), (env.path("tree").to_str(), &false.into()), "{what}");
        let output = env.run(["verify", "--repair"]);
        assert_eq!(output.code, 0, "{what}: {output}");
        assert!(output.stdout.contains("tree (repaired): "), "{what}: {output}");
        assert_eq!(seen(), whole, "{what}");
        assert_eq!(env.json(["verify"])["trees"], Value::Array(Vec::new()), "{what}");
    }
}

#[test]
fn what_looks_damaged_while_a_command_is_at_a_tree_is_no_damage() {
    let env = filled();
    env.ok(["view", "--to", "tree"]);
    fs::remove_file(env.path("tree/simple/idna/index.html")).unwrap();
    let own = fs::read_dir(env.store().join("locks")).unwrap().map(|entry| entry.unwrap().path());
    let own: Vec<_> = own.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("view-")).collect();
    // Its own store's command, or another store's.
    for path in [own[0].clone(), env.path("tree")] {
        let held = fs::File::open(&path).unwrap();
        held.lock().unwrap();
        for args in [&["verify"][..], &["verify", "--repair"], &["doctor"]] {
            assert_eq!(env.run(args).code, 0, "{args:?} {}", path.display());
        }
        drop(held);
        assert_eq!(env.run(["verify"]).code, 3);
    }
}

#[test]
fn what_verify_can_not_mend_of_trees_is_told() {
    let env = filled();
    env.ok(["view", "--variant", "shared", "--to", "merged"]);
    env.ok(["view", "--to", "away"]);
    fs::remove_file(env.path("merged/simple/idna/index.json")).unwrap();
    fs::remove_dir_all(env.path("away")).unwrap();
    let output = env.run(["--json", "verify", "--repair"]);
    assert_eq!(output.code, 3, "{output}");
    let trees = output.json()["trees"].clone();
    // A tree that was deleted whole is the doctor's to tell of: no byte is wrong.
    assert_eq!(array(&trees).iter().map(|tree| &tree["repaired"]).collect::<Vec<_>>(), [false], "{trees}");
    assert!(trees[0]["path"].as_str().unwrap().ends_with("merged"), "{trees}");
    assert!(!env.path("away").exists());
    assert!(env.run(["doctor"]).stdout.contains("the folder of a view is gone"));
    // What another store shows there is not this one's matter.
    env.ok(["view", "--variant", "shared", "--to", "merged"]);
    env.ok(["view", "--remove", "away"]);
    env.ok(["--store", "second", "import", "in"]);
    env.ok(["--store", "second", "view", "--to", "merged", "--replace"]);
    fs::remove_file(env.path("merged/simple/idna/index.json")).unwrap();
    assert_eq!(env.json(["verify"])["trees"], Value::Array(Vec::new()));
}

#[test]
fn two_stores_take_turns_at_one_folder() {
    let env = filled();
    env.ok(["--store", "second", "import", "in"]);
    for (layout, dir) in [("flat", "tree"), ("fromager", "tree/downloads"), ("simple", "other")] {
        let to = if layout == "simple" { "other" } else { "tree" };
        env.ok(["view", "--to", to, "--layout", layout]);
        let held = fs::File::open(env.path(dir)).unwrap();
        held.lock().unwrap();
        let commands: [&[&str]; 2] =
            [&["--store", "second", "view", "--to", to, "--layout", layout, "--replace"], &["view", "--remove", dir]];
        for args in commands {
            let mut waiting = env.spawn(args);
            std::thread::sleep(std::time::Duration::from_millis(400));
            assert!(waiting.try_wait().unwrap().is_none(), "{layout}: {args:?} doesn't wait");
        }
        held.unlock().unwrap();
        // Both stores at once, and one that takes its tree away: whoever was last has it whole.
        let run = |store: &'static str| {
            let env = &env;
            move || {
                (0..3)
                    .map(|_| env.run(["--store", store, "view", "--to", to, "--layout", layout, "--replace"]))
                    .collect::<Vec<_>>()
            }
        };
        std::thread::scope(|scope| {
            let both = [scope.spawn(run("store")), scope.spawn(run("second"))];
            for output in both.into_iter().flat_map(|running| running.join().unwrap()) {
                assert_eq!(output.code, 0, "{layout}: {output}");
            }
        });
        env.ok(["view", "--to", to, "--layout", layout, "--replace"]);
        assert_eq!(env.json(["verify"])["trees"], Value::Array(Vec::new()), "{layout}");
        let hidden = listed(&env.path(dir)).into_iter().filter(|name| name.starts_with(".wcas-")).count();
        assert!(hidden <= 1, "{layout}: {:?}", listed(&env.path(dir)));
        env.ok(["--store", "second", "view", "--remove", dir]);
        assert!(env.path(dir).join(if layout == "simple" { "simple" } else { "index.html" }).exists(), "{layout}");
        env.ok(["view", "--remove", dir]);
    }
}

#[test]
fn a_flat_tree_is_one_folder_with_one_page() {
    let env = filled();
    env.ok(["view", "--to", "flat", "--layout", "flat"]);
    let names = [
        "demo-1.0-py3-none-any.whl",
        "demo-2.0-py3-none-any.whl",
        "idna-3.10-py3-none-any.whl",
        "index.html",
        "source-1.0.tar.gz",
    ];
    let shown =
        |env: &Env| files(&env.path("flat")).into_iter().filter(|name| !name.starts_with('.')).collect::<Vec<_>>();
    assert_eq!(shown(&env), names);
    for name in names {
        assert!(env.path("flat").join(name).exists(), "{name} leads to its bytes");
    }
    let html = fs::read_to_string(env.path("flat/index.html")).unwrap();
    assert!(html.contains("href=\"demo-1.0-py3-none-any.whl#sha256="), "{html}");
    env.ok(["invalidate", "demo"]);
    env.ok(["view", "--to", "flat", "--layout", "flat"]);
    assert_eq!(shown(&env), names[2..]);
    let hidden: Vec<String> = listed(&env.path("flat")).into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(hidden, [".wcas-view"]);
}

#[test]
fn folders_that_others_made_are_refused_and_stay_as_they_are() {
    let env = filled();
    fs::create_dir_all(env.path("www/simple")).unwrap();
    fs::write(env.path("www/simple/index.html"), "by hand").unwrap();
    assert_output!(refused(&env, 1, &["view", "--to", "www"]), @r"
    exit 1
    --- stderr
    wcas: $TMP/www can't become a view: `simple` in it was not made by wcas
    ");
    assert_eq!(files(&env.path("www")), ["simple/index.html"]);
    fs::write(env.path("www/index.html"), "by hand").unwrap();
    assert_output!(refused(&env, 1, &["view", "--to", "www", "--layout", "flat"]), @r"
    exit 1
    --- stderr
    wcas: $TMP/www can't become a view: index.html in it was not made by this view, or was changed since, and is not what the view would put there; import it or move it away
    ");
    assert_eq!(files(&env.path("www")), ["index.html", "simple/index.html"]);
    assert_eq!(fs::read(env.path("www/simple/index.html")).unwrap(), b"by hand");
    fs::write(env.path("file"), "a file").unwrap();
    assert_eq!(env.run(["view", "--to", "file"]).code, 1);
    assert_eq!(env.run(["view", "--to", "file", "--layout", "flat"]).code, 1);
    assert_output!(refused(&env, 1, &["view", "--to", "store/blobs/tree"]), @r"
    exit 1
    --- stderr
    wcas: $STORE/blobs/tree can't be made a view: it is inside the store
    ");
    assert_output!(refused(&env, 1, &["view", "--to", "store"]), @r"
    exit 1
    --- stderr
    wcas: $STORE can't be made a view: it is inside the store
    ");
    env.ok(["view", "--to", "flat", "--layout", "flat"]);
    assert_output!(refused(&env, 1, &["view", "--to", "flat"]), @r"
    exit 1
    --- stderr
    wcas: $TMP/flat can't become a view: it is a view with the flat layout; remove that first
    ");
    // Other files beside a simple tree are nobody's business.
    fs::create_dir(env.path("site")).unwrap();
    fs::write(env.path("site/robots.txt"), "x").unwrap();
    env.ok(["view", "--to", "site"]);
    assert_eq!(fs::read(env.path("site/robots.txt")).unwrap(), b"x");
    // None of the refused ones is known as a view, which would keep blobs and collections.
    env.ok(["view", "--remove", "site"]);
    env.ok(["view", "--remove", "flat"]);
    env.ok(["collection", "delete", "shared", "--yes"]);
    assert_eq!(files(&env.path("site")), ["robots.txt"]);
}

#[test]
fn each_kind_of_link_shows_the_same_bytes() {
    for link in ["symlink", "hardlink", "reflink", "copy"] {
        for layout in ["simple", "flat"] {
            let env = filled();
            env.ok(["view", "--to", "tree", "--link", link, "--layout", layout]);
            let file = env
                .path(if layout == "simple" { "tree/simple/demo" } else { "tree" })
                .join("demo-1.0-py3-none-any.whl");
            assert_eq!(fs::read(&file).unwrap(), fs::read(env.path("in/demo-1.0-py3-none-any.whl")).unwrap());
            assert_eq!(file.is_symlink(), link == "symlink");
            let is_shared =
                fs::metadata(&file).unwrap().ino() == fs::metadata(crate::blob(&env, "demo==1.0")).unwrap().ino();
            assert!(is_shared || !matches!(link, "symlink" | "hardlink"), "{link}");
            assert!(!is_shared || !matches!(link, "reflink" | "copy"), "{link}: bytes of its own");
            // Another kind of link is another tree.
            env.ok(["view", "--to", "tree", "--link", "copy", "--layout", layout]);
            assert!(!file.is_symlink());
        }
    }
}

#[test]
fn relative_links_lead_to_the_store_from_wherever_the_tree_is() {
    let env = filled();
    fs::create_dir_all(env.path("deep/er")).unwrap();
    symlink("deep/er", env.path("short")).unwrap();
    for (to, real) in [("short/tree", "deep/er/tree"), ("./deep/../deep/t2", "deep/t2")] {
        env.ok(["view", "--to", to]);
        assert!(env.path(real).join("simple/demo/demo-1.0-py3-none-any.whl").exists(), "{to}");
    }
    // The folder that holds store and trees can be moved.
    let moved = env.path("moved");
    fs::create_dir(&moved).unwrap();
    for name in ["store", "deep"] {
        fs::rename(env.path(name), moved.join(name)).unwrap();
    }
    assert!(moved.join("deep/er/tree/simple/demo/demo-1.0-py3-none-any.whl").exists());
}

#[test]
fn a_tree_keeps_its_blobs_until_it_is_removed() {
    let env = filled();
    env.ok(["view", "--to", "tree"]);
    env.ok(["invalidate", "--all", "--yes"]);
    assert_eq!(env.json(["gc", "--grace", "0"])["blobs"], 0);
    assert!(env.path("tree/simple/idna/idna-3.10-py3-none-any.whl").exists());
    assert_output!(refused(&env, 2, &["collection", "delete", "shared", "--yes"]), @r"
    exit 2
    --- stderr
    wcas: the tree $TMP/tree shows shared; `wcas view --remove $TMP/tree` first
    ");
    let output = env.run(["view", "--remove", "tree"]);
    assert_eq!(output.code, 0, "{output}");
    assert!(!env.path("tree/simple").is_symlink() && !env.path("tree/.wcas").exists());
    assert_eq!(env.json(["gc", "--grace", "0"])["blobs"], 4);
    assert_output!(refused(&env, 4, &["view", "--remove", "tree"]), @r"
    exit 4
    --- stderr
    wcas: there is no view at $TMP/tree
    ");
    assert!(Path::new(&env.path("in")).exists());
}

#[test]
fn no_link_and_no_foreign_folder_is_swept_or_written_through() {
    let env = filled();
    env.ok(["view", "--to", "tree"]);
    fs::create_dir_all(env.path("victim/g-1/sub")).unwrap();
    fs::write(env.path("victim/g-1/sub/deep.txt"), "precious").unwrap();
    let victim = files(&env.path("victim"));
    for hidden in ["www/.wcas", "tree/.wcas", "inner/.wcas/p"] {
        let path = env.path(hidden);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(env.path("victim"), &path).unwrap();
        env.ok(["yank", "demo==1.0", "--reason", hidden]);
        let tree = hidden.split('/').next().unwrap();
        refused(&env, 1, &["view", "--to", tree]);
        assert_eq!(files(&env.path("victim")), victim, "{hidden}");
    }
    fs::create_dir_all(env.path("theirs/.wcas/p")).unwrap();
    fs::write(env.path("theirs/.wcas/notes.txt"), "theirs").unwrap();
    refused(&env, 1, &["view", "--to", "theirs"]);
    assert_eq!(files(&env.path("theirs")), [".wcas/notes.txt"]);
    assert_output!(refused(&env, 1, &["view", "--to", "."]), @r"
    exit 1
    --- stderr
    wcas: $TMP can't be made a view: the store is inside it
    ");
}

const FLAT: [&str; 5] = ["view", "--to", "flat", "--layout", "flat"];
const DEMO: &str = "demo-1.0-py3-none-any.whl";
const IDNA: &str = "idna-3.10-py3-none-any.whl";

#[test]
fn what_others_put_into_a_flat_tree_stays() {
    for link in ["symlink", "copy", "hardlink"] {
        let env = filled();
        let view = |env: &Env| env.json(FLAT.into_iter().chain(["--link", link]));
        // A folder in use already, with a wheel that the view will show, and others' things.
        fs::create_dir_all(env.path("flat/prebuilt")).unwrap();
        fs::write(env.path("flat/ours-1.0-py3-none-any.whl"), "built here").unwrap();
        fs::copy(env.path("in").join(IDNA), env.path("flat").join(IDNA)).unwrap();
        let inode = |env: &Env, name: &str| fs::symlink_metadata(env.path("flat").join(name)).unwrap().ino();
        let (idna, mark) = (inode(&env, IDNA), env.path(".flat.wcas-next"));
        fs::create_dir(&mark).unwrap();
        fs::write(mark.join("theirs"), "x").unwrap();
        let report = view(&env);
        assert_eq!(
            (array(&report["theirs"]).len(), &report["theirs"][0], &report["made"]),
            (1, &IDNA.into(), &4.into())
        );
        // A builder's rebuild in the place of our file, and one more.
        fs::remove_file(env.path("flat/demo-2.0-py3-none-any.whl")).unwrap();
        fs::write(env.path("flat/demo-2.0-py3-none-any.whl"), "rebuilt").unwrap();
        fs::write(env.path("flat/later-1.0-py3-none-any.whl"), "built later").unwrap();
        env.ok(["invalidate", "demo==2.0"]);
        env.ok(["invalidate", "idna"]);
        view(&env);
        assert_eq!(
            listed(&env.path("flat")),
            [
                ".wcas-view",
                DEMO,
                "demo-2.0-py3-none-any.whl",
                IDNA,
                "index.html",
                "later-1.0-py3-none-any.whl",
                "ours-1.0-py3-none-any.whl",
                "prebuilt",
                "source-1.0.tar.gz"
            ]
        );
        assert_eq!(fs::read(env.path("flat/demo-2.0-py3-none-any.whl")).unwrap(), b"rebuilt");
        assert_eq!(inode(&env, IDNA), idna);
        let html = fs::read_to_string(env.path("flat/index.html")).unwrap();
        assert!(html.contains(DEMO) && !html.contains("demo-2.0") && !html.contains("idna"), "{html}");
        // What is wanted, and is somebody else's with other bytes, is refused, and nothing changes.
        let page = inode(&env, "index.html");
        Wheel::new("later", "1.0").write_to(env.path("in2"));
        Wheel::new("fresh", "1.0").write_to(env.path("in2"));
        env.ok(["import", "in2"]);
        let output = refused(&env, 1, &[&FLAT[..], &["--link", link]].concat());
        assert!(output.stderr.contains("later-1.0-py3-none-any.whl in it was not made by this view"), "{output}");
        assert!(!env.path("flat/fresh-1.0-py3-none-any.whl").exists());
        assert_eq!(inode(&env, "index.html"), page);
        env.ok(["view", "--remove", "flat"]);
        let left =
            ["demo-2.0-py3-none-any.whl", IDNA, "later-1.0-py3-none-any.whl", "ours-1.0-py3-none-any.whl", "prebuilt"];
        assert_eq!(listed(&env.path("flat")), left);
        assert_eq!(files(&mark), ["theirs"]);
        env.ok(["view", "--to", "new/wheels-repo", "--layout", "fromager"]);
        env.ok(["view", "--remove", "new/wheels-repo/downloads"]);
        assert!(!env.path("new/wheels-repo/downloads").exists(), "a folder with nothing else in it goes too");
    }
}

#[test]
fn only_what_changed_in_a_flat_tree_is_made_anew_and_what_was_tampered_with_is_not_taken_for_ours() {
    let env = filled();
    let view = |env: &Env| env.json(FLAT.into_iter().chain(["--link", "copy"]));
    assert_eq!(view(&env)["made"], 5, "four files and a page");
    let inode = |env: &Env, name: &str| fs::symlink_metadata(env.path("flat").join(name)).unwrap().ino();
    let demo = inode(&env, DEMO);
    Wheel::new("fresh", "1.0").write_to(env.path("in"));
    env.ok(["import", "in"]);
    assert_eq!(view(&env)["made"], 2);
    assert_eq!(inode(&env, DEMO), demo);
    // A copy of the folder on another disk is known by its bytes.
    fs::rename(env.path("flat"), env.path("was")).unwrap();
    fs::create_dir(env.path("flat")).unwrap();
    for name in listed(&env.path("was")) {
        fs::copy(env.path("was").join(&name), env.path("flat").join(&name)).unwrap();
    }
    env.ok(["invalidate", "fresh"]);
    assert_eq!(view(&env)["made"], 1);
    assert!(!env.path("flat/fresh-1.0-py3-none-any.whl").exists());
    // An edit in place makes it somebody's.
    let mut bytes = fs::read(env.path("flat").join(DEMO)).unwrap();
    bytes[30] ^= 1;
    fs::write(env.path("flat").join(DEMO), &bytes).unwrap();
    env.ok(["yank", "idna"]);
    refused(&env, 1, &[&FLAT[..], &["--link", "copy"]].concat());
    env.ok(["invalidate", "demo"]);
    view(&env);
    let output = env.ok(["view", "--remove", "flat"]);
    assert_eq!(listed(&env.path("flat")), [DEMO], "{output}");
    assert_eq!(fs::read(env.path("flat").join(DEMO)).unwrap(), bytes);
}

#[test]
fn no_link_in_a_flat_tree_is_followed_and_no_mark_of_others_believed() {
    let env = filled();
    fs::create_dir(env.path("victim")).unwrap();
    fs::write(env.path("victim/precious"), "x").unwrap();
    // A mark that names files elsewhere, one that is a link, one that isn't to be understood.
    for (mark, says) in [
        (
            r#"{"store":"s","root":"r","view":"v","shows":"x","files":{"../victim/precious":[{"link":"x"}]}}"#,
            "elsewhere",
        ),
        (r#"{"store":"s","root":"r","view":"v","shows":"x","staging":".."}"#, "elsewhere"),
        ("by hand", "understood"),
    ] {
        let _ = fs::remove_dir_all(env.path("flat"));
        fs::create_dir(env.path("flat")).unwrap();
        fs::write(env.path("flat/.wcas-view"), mark).unwrap();
        let output = refused(&env, 1, &FLAT);
        assert!(output.stderr.contains(says), "{output}");
        assert_eq!(files(&env.path("flat")), [".wcas-view"]);
    }
    fs::remove_file(env.path("flat/.wcas-view")).unwrap();
    symlink(env.path("victim/precious"), env.path("flat/.wcas-view")).unwrap();
    refused(&env, 1, &FLAT);
    fs::remove_file(env.path("flat/.wcas-view")).unwrap();
    symlink(env.path("victim/precious"), env.path("flat").join(DEMO)).unwrap();
    refused(&env, 1, &FLAT);
    fs::remove_file(env.path("flat").join(DEMO)).unwrap();
    // The hidden folder that a run which was killed left, with a link in its place.
    env.ok(FLAT);
    let text = fs::read_to_string(env.path("flat/.wcas-view")).unwrap();
    let text = text.replacen('{', r#"{"staging":".wcas-0","#, 1);
    fs::write(env.path("flat/.wcas-view"), text).unwrap();
    symlink(env.path("victim"), env.path("flat/.wcas-0")).unwrap();
    env.ok(["yank", "idna"]);
    refused(&env, 1, &FLAT);
    assert_eq!(files(&env.path("victim")), ["precious"]);
    // A folder of that name holds what was taken out of the tree: what wasn't ours goes back.
    fs::remove_file(env.path("flat/.wcas-0")).unwrap();
    let text = fs::read_to_string(env.path("flat/.wcas-view")).unwrap().replacen('{', r#"{"is_ready":true,"#, 1);
    fs::write(env.path("flat/.wcas-view"), text).unwrap();
    fs::create_dir(env.path("flat/.wcas-0")).unwrap();
    fs::write(env.path("flat/.wcas-0/theirs.whl"), "theirs").unwrap();
    fs::write(env.path("flat/.wcas-0").join(IDNA), "theirs too").unwrap();
    env.ok(FLAT);
    assert_eq!(fs::read(env.path("flat/theirs.whl")).unwrap(), b"theirs");
    assert_eq!(fs::read(env.path(format!("flat/{IDNA}.1"))).unwrap(), b"theirs too");
    assert!(env.path("flat").join(IDNA).is_symlink() && !env.path("flat/.wcas-0").exists());
}

#[test]
fn a_tree_of_an_earlier_version_that_named_no_files_is_taken_over() {
    let env = filled();
    env.ok(FLAT);
    fs::write(env.path("flat/.wcas-view"), "made by wcas; replaced as a whole\n").unwrap();
    fs::write(env.path("flat/built-1.0-py3-none-any.whl"), "built here").unwrap();
    env.ok(["invalidate", "demo==2.0"]);
    env.ok(FLAT);
    let shown = [".wcas-view", "built-1.0-py3-none-any.whl", DEMO, IDNA, "index.html", "source-1.0.tar.gz"];
    assert_eq!(listed(&env.path("flat")), shown);
    fs::write(env.path("flat/.wcas-view"), "made by wcas; replaced as a whole\n").unwrap();
    env.ok(["view", "--remove", "flat"]);
    assert_eq!(listed(&env.path("flat")), ["built-1.0-py3-none-any.whl"]);
}

#[test]
fn a_tree_that_shows_something_else_or_would_lose_all_its_files_is_replaced_only_when_that_is_said() {
    for layout in ["simple", "flat"] {
        let env = filled();
        env.ok(["import", "in", "--collection", "cuda"]);
        let view = |more: &[&'static str]| [&["view", "--to", "tree", "--layout", layout][..], more].concat();
        env.ok(view(&[]));
        let before = files(&env.path("tree"));
        let output = refused(&env, 2, &view(&["--collection", "cuda"]));
        let says = "shows collection shared, not collection cuda; say --replace where that is meant";
        assert!(output.stderr.contains(says), "{output}");
        refused(&env, 2, &view(&["--variant", "cuda"]));
        assert_eq!(files(&env.path("tree")), before);
        env.ok(view(&["--collection", "cuda", "--replace"]));
        env.ok(view(&["--collection", "cuda"]));
        env.ok(["invalidate", "--all", "--collection", "cuda", "--yes"]);
        let output = refused(&env, 2, &view(&["--collection", "cuda"]));
        assert!(output.stderr.contains("has 4 files and would have none"), "{output}");
        env.ok(view(&["--collection", "cuda", "--replace"]));
        env.ok(view(&["--collection", "cuda"]));
        // The same of another store, which a typing error made.
        let other = |args: &[&str]| env.run([&["--store", "other"][..], args].concat());
        assert_eq!(other(&["import", "in"]).code, 0);
        let output = other(&view(&[]));
        assert_eq!(output.code, 2, "{output}");
        assert_eq!(other(&view(&["--replace"])).code, 0);
        // Whose it was lets go of it, and leaves it.
        let made = files(&env.path("tree"));
        let output = env.ok(["view", "--remove", "tree"]);
        assert!(output.stderr.contains("what is there now stays: collection shared of the store at"), "{output}");
        assert_eq!(files(&env.path("tree")), made);
        refused(&env, 4, &["view", "--remove", "tree"]);
        assert_eq!(other(&["view", "--remove", "tree"]).code, 0);
        assert_eq!(files(&env.path(".")).iter().filter(|name| name.starts_with("tree/")).count(), 0);
    }
}

#[test]
fn an_odd_filename_stands_in_the_list_of_a_tree_too() {
    let env = Env::new();
    Wheel::new("demo", "1.0").build("1 x").write_to(env.path("in"));
    env.ok(["import", "in", "--collection", "cuda"]);
    env.ok(["view", "--collection", "cuda", "--to", "tree"]);
    let list = std::fs::read_to_string(env.path("tree/revision.txt")).unwrap();
    assert!(list.ends_with(" \"demo-1.0-1 x-py3-none-any.whl\"\n"), "{list}");
}
