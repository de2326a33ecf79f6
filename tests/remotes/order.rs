//! Who is asked, in which order, and who is not.

use crate::support::{Env, Server};
use crate::{add, asked, assert_whole, counts, found, missed, offer, serve, wheel};
use std::fs;

const PAGE: &str = "/simple/demo/";

fn import(env: &Env, collection: &str, wheels: &[crate::Wheel]) {
    drop(fs::remove_dir_all(env.path("in")));
    for wheel in wheels {
        wheel.write_to(env.path("in"));
    }
    env.ok(["import", "in", "--collection", collection]);
}

/// Has the collection `near` fall back to `far`, each with a remote of its own.
fn two_collections(near: &Server, far: &Server) -> Env {
    let env = Env::new();
    add(&env, "near-mirror", near, &["--collection", "near"]);
    add(&env, "far-mirror", far, &["--collection", "far"]);
    env.ok(["collection", "set", "near", "--fallback", "far"]);
    env
}

#[test]
fn c1_a_collections_files_come_before_its_remotes_and_these_before_the_next_collections_files() {
    let (near, far) = (serve("demo", &[wheel("demo", "2.0", 1)]), serve("demo", &[wheel("demo", "4.0", 2)]));
    let env = two_collections(&near, &far);
    import(&env, "far", &[wheel("demo", "3.0", 3)]);
    // Nothing near: its remote answers, although the farther collection has a file, and a higher version.
    let args = ["demo", "--collection", "near"];
    assert_eq!(found(&env, &args), (Some("near-mirror".to_owned()), "2.0".to_owned()));
    // Something near: no remote is asked.
    assert_eq!(found(&env, &args), (None, "2.0".to_owned()));
    assert_eq!((asked(&near, PAGE), asked(&far, PAGE)), (1, 0));
    // What only the farther one has, its file answers.
    assert_eq!(found(&env, &["demo==3.0", "--collection", "near"]), (None, "3.0".to_owned()));
    assert_eq!(asked(&far, PAGE), 0);
    assert_whole(&env);
}

#[test]
fn c1_a_local_build_comes_before_a_farther_remotes_higher_version() {
    let (near, far) = (Server::start(), serve("demo", &[wheel("demo", "9.0", 2)]));
    let env = two_collections(&near, &far);
    import(&env, "near", &[wheel("demo", "1.0", 1)]);
    assert_eq!(found(&env, &["demo", "--collection", "near"]), (None, "1.0".to_owned()));
    assert_eq!((near.paths(), far.paths()), (vec![], vec![]));
}

#[test]
fn a_project_of_a_nearer_collection_is_never_asked_for_farther_away() {
    let (near, far) = (Server::start(), serve("demo", &[wheel("demo", "9.0", 2)]));
    let env = two_collections(&near, &far);
    import(&env, "near", &[wheel("demo", "1.0", 1)]);
    // Not even for a version that only the farther remote has: its name would be all that they have in common.
    missed(&env, &["demo==9.0", "--collection", "near"]);
    missed(&env, &["demo-9.0-py3-none-any.whl", "--collection", "near"]);
    assert_eq!(env.run(["pull", "demo==9.0", "--collection", "near"]).code, 3);
    assert_eq!(asked(&near, PAGE), 0, "nor is its own remote, which is a stranger's");
    assert_eq!(far.paths(), [""; 0]);
    // Who asks the farther collection itself gets it.
    assert_eq!(found(&env, &["demo==9.0", "--collection", "far"]).0.as_deref(), Some("far-mirror"));
}

#[test]
fn x8_several_remotes_are_asked_by_priority_and_each_keeps_what_it_said() {
    let (first, second) = (serve("demo", &[wheel("demo", "1.0", 1)]), serve("demo", &[wheel("demo", "2.0", 2)]));
    let env = Env::new();
    add(&env, "second", &second, &["--priority", "5"]);
    add(&env, "first", &first, &["--priority", "1"]);
    assert_eq!(found(&env, &["demo"]), (Some("first".to_owned()), "1.0".to_owned()));
    assert_eq!((asked(&first, PAGE), asked(&second, PAGE)), (1, 0));
    // The first has no such version: a miss of its own, and no note.
    assert_eq!(found(&env, &["demo==2.0"]), (Some("second".to_owned()), "2.0".to_owned()));
    assert_eq!((asked(&first, PAGE), asked(&second, PAGE)), (1, 1), "the first one's page is remembered");
    assert_eq!((counts(&env, "first"), counts(&env, "second")), ((1, 1, 0), (1, 0, 0)));
}

#[test]
fn a_remote_is_asked_only_for_the_projects_that_its_patterns_let_through() {
    let server = Server::start();
    for project in ["nvidia-cublas", "torch", "internal-torch"] {
        offer(&server, project, &[wheel(project, "1.0", 1)]);
    }
    let env = crate::with_remote(&server, &["--only", "Nvidia_*,*torch", "--except", "internal-*"]);
    for (project, is_asked) in [("nvidia-cublas", true), ("torch", true), ("internal-torch", false), ("numpy", false)] {
        let output = env.run(["lookup", project]);
        assert_eq!(output.code == 0, is_asked, "{project}: {output}");
        assert_eq!(server.paths().iter().any(|path| *path == format!("/simple/{project}/")), is_asked, "{project}");
    }
    assert_eq!(counts(&env, "mirror"), (2, 0, 0), "who isn't asked isn't counted");
}

#[test]
fn c2_who_wants_no_answer_or_no_remote_has_none_asked() {
    let server = serve("demo", &[wheel("demo", "1.0", 1)]);
    let env = crate::with_remote(&server, &[]);
    assert_eq!(env.run(["lookup", "demo", "--offline"]).code, 4);
    assert_eq!(env.run(["lookup", "demo", "--no-cache"]).code, 4);
    assert_eq!(env.run(["lookup", &"0".repeat(64)]).code, 4, "a digest names no project to ask for");
    assert_eq!(server.paths(), [""; 0]);
}
