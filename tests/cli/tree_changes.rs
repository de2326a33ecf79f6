//! Trees that are brought up to date: after each kind of change one shows what a tree made anew shows.

use crate::support::{Env, Wheel};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// As many projects as let one of them be read alone.
const PROJECTS: usize = 20;

/// Makes a store with a version of each project.
fn filled() -> Env {
    Env::filled((0..PROJECTS).map(|number| Wheel::new(&format!("p{number}"), "1.0")))
}

/// Returns what readers find in a tree: by path, the bytes.
fn shown(tree: &Path) -> BTreeMap<String, Vec<u8>> {
    let simple = tree.join("simple");
    let walk = walkdir::WalkDir::new(&simple).follow_links(true).into_iter().map(Result::unwrap);
    let files = walk.filter(|entry| entry.file_type().is_file());
    let file = |path: &Path| (path.strip_prefix(&simple).unwrap().display().to_string(), fs::read(path).unwrap());
    files.map(|entry| file(entry.path())).collect()
}

/// Changes of a collection of `p0` to `p19`, the number of projects whose folders they make anew, and that of all files then.
const CHANGES: [(&str, usize, usize); 13] = [
    ("import more", 1, 21),
    ("import new", 1, 22),
    ("yank p1 --reason broken", 1, 22),
    ("unyank p1", 1, 22),
    ("invalidate p0==2.0", 1, 21),
    ("invalidate p2", 0, 20),
    ("undo", 1, 21),
    ("block p3 --reason bad", 0, 20),
    ("import more2", 1, 21),
    ("unblock p3", 1, 22),
    ("collection status shared p4 archived", 1, 22),
    ("collection status shared p4 active", 1, 22),
    ("collection rollback shared 1", 1, 20),
];

#[test]
fn a_tree_brought_up_to_date_shows_what_one_made_anew_shows() {
    for link in ["hardlink", "symlink", "copy"] {
        let env = filled();
        Wheel::new("p0", "2.0").write_to(env.path("more"));
        Wheel::new("p5", "2.0").write_to(env.path("more2"));
        Wheel::new("q", "1.0").write_to(env.path("new"));
        env.ok(["view", "--to", "tree", "--link", link]);
        for (number, (change, made, files)) in CHANGES.into_iter().enumerate() {
            env.ok(change.split(' '));
            let report = env.json(["view", "--to", "tree", "--link", link]);
            let fresh = format!("fresh-{number}");
            let anew = env.json(["view", "--to", &fresh, "--link", link]);
            let what = format!("{link}: {change}: {report}");
            assert_eq!((&report["made"], &report["files"]), (&made.into(), &files.into()), "{what}");
            for key in ["files", "projects", "revision", "collections", "left_out", "withheld"] {
                assert_eq!(report[key], anew[key], "{key}: {what}");
            }
            assert_eq!(report["revision"], number + 2, "{what}");
            assert!(shown(&env.path("tree")) == shown(&env.path(&fresh)), "{what}");
            let again = env.json(["view", "--to", "tree", "--link", link]);
            assert_eq!((&again["made"], &again["files"]), (&0.into(), &files.into()), "again: {what}");
            env.ok(["view", "--remove", &fresh]);
        }
    }
}

#[test]
fn what_others_did_to_a_tree_is_mended_with_a_change_and_without() {
    for link in ["hardlink", "symlink"] {
        for harm in ["file", "sidecar", "page", "empty page", "another name", "folder", "generation"] {
            for is_changed in [true, false] {
                let env = filled();
                Wheel::new("p0", "2.0").write_to(env.path("more"));
                env.ok(["view", "--to", "tree", "--link", link]);
                let project = env.path("tree/simple/p7");
                let wheel = project.join("p7-1.0-py3-none-any.whl");
                let damaged = match harm {
                    "file" => fs::remove_file(&wheel),
                    "sidecar" => fs::remove_file(project.join("p7-1.0-py3-none-any.whl.metadata")),
                    "page" => fs::remove_file(project.join("index.html")),
                    "empty page" => fs::write(project.join("index.json"), ""),
                    "another name" => fs::rename(&wheel, project.join("p7-1.0-py3-none-any.whl.old")),
                    "folder" => fs::remove_dir_all(fs::canonicalize(&project).unwrap()),
                    _ => fs::remove_file(&project),
                };
                damaged.unwrap();
                if is_changed {
                    env.ok(["import", "more"]);
                }
                env.ok(["view", "--to", "tree", "--link", link]);
                env.ok(["view", "--to", "fresh", "--link", link]);
                let is_same = shown(&env.path("tree")) == shown(&env.path("fresh"));
                assert!(is_same, "{link}: {harm}, then a change: {is_changed}");
            }
        }
    }
}

#[test]
fn a_tree_of_before_that_is_as_it_was_made_is_kept() {
    let env = filled();
    env.ok(["view", "--to", "tree", "--link", "hardlink"]);
    let folder = fs::canonicalize(env.path("tree/simple/p7")).unwrap();
    let time = || fs::metadata(&folder).unwrap().modified().unwrap();
    let made = time();
    // Trees of before, and copies of trees, have folders of other times.
    fs::File::open(&folder).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    for _ in 0..2 {
        assert_eq!(env.json(["view", "--to", "tree", "--link", "hardlink"])["made"], 0);
        assert_eq!(time(), made, "it is looked at once, and known from then on");
    }
}

#[test]
fn a_store_or_a_tree_that_was_put_back_is_noticed() {
    for layout in ["simple", "flat"] {
        for is_store in [true, false] {
            let env = filled();
            Wheel::new("p0", "2.0").write_to(env.path("more"));
            Wheel::new("p1", "2.0").write_to(env.path("later"));
            let view = ["view", "--to", "tree", "--layout", layout, "--link", "hardlink"];
            env.ok(view);
            let put_back = if is_store { "store" } else { "tree" };
            let copy = |from: &str, to: &str| {
                let done = std::process::Command::new("cp").arg("-a").arg(env.path(from)).arg(env.path(to)).status();
                assert!(done.unwrap().success());
            };
            copy(put_back, "backup");
            env.ok(["import", "more"]);
            env.ok(view);
            // As many files and projects as before, but others.
            env.ok(["invalidate", "p2"]);
            Wheel::new("p9", "2.0").write_to(env.path("more2"));
            env.ok(["import", "more2"]);
            env.ok(view);
            fs::remove_dir_all(env.path(put_back)).unwrap();
            copy("backup", put_back);
            let listed = |tree: &str| -> Vec<String> {
                let files = crate::files(&env.path(tree)).into_iter().filter(|file| file.ends_with(".whl"));
                let mut names: Vec<String> =
                    files.map(|file| file.rsplit('/').next().unwrap_or_default().to_owned()).collect();
                names.sort();
                names
            };
            for change in [None, Some("later")] {
                if let Some(change) = change {
                    env.ok(["import", change]);
                }
                env.ok(view);
                let fresh = format!("fresh-{}", change.is_some());
                env.ok(["view", "--to", &fresh, "--layout", layout, "--link", "hardlink"]);
                assert_eq!(listed("tree"), listed(&fresh), "{layout}: {put_back}, {change:?}");
            }
        }
    }
}
