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
fn a_flat_tree_is_one_folder_with_one_page_and_is_replaced_whole() {
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
    let beside: Vec<_> = fs::read_dir(env.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!beside.iter().any(|name| name.to_string_lossy().contains("wcas-next")), "{beside:?}");
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
    assert_output!(refused(&env, 1, &["view", "--to", "www", "--layout", "flat"]), @r"
    exit 1
    --- stderr
    wcas: $TMP/www can't become a view: it has other files in it, and this layout replaces the whole folder
    ");
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
