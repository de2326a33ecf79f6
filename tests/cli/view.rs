//! `wcas view` on standard output: formats, revisions, and what links lead to.

use crate::support::{Env, Wheel};
use crate::{array, assert_output, blob, refused, texts};
use std::fs::{self, File};
use std::path::Path;

fn filled() -> Env {
    let env = Env::new();
    Wheel::new("demo", "1.0").requires_python(">=3.9,<4").payload(100, 1).write_to(env.path("one"));
    Wheel::new("demo", "2.0+cu12").build("1_x").write_to(env.path("two"));
    Wheel::new("idna", "3.10").write_to(env.path("two"));
    env.ok(["import", "one"]);
    env.ok(["import", "two"]);
    env
}

#[test]
fn a_page_tells_how_often_what_it_shows_changed() {
    let env = filled();
    let serial =
        |args: &[&str]| env.json([&["view", "--format", "json"], args].concat())["meta"]["_last-serial"].clone();
    assert_eq!((serial(&[]), serial(&["--at", "1"])), (2.into(), 1.into()));
    Wheel::new("own", "1.0").write_to(env.path("three"));
    env.ok(["import", "three", "--collection", "gpu"]);
    assert_eq!(serial(&["--variant", "gpu"]), 3, "one of its own, two of the default collection");
}

#[test]
fn a_page_has_an_anchor_for_each_file_with_what_installers_need() {
    let env = filled();
    let page = env.ok(["view"]);
    let anchors: Vec<&str> = page.stdout.lines().filter(|line| line.starts_with("<a ")).collect();
    assert_eq!(anchors.len(), 3);
    let files = env.json(["view", "--format", "json"])["files"].clone();
    for (anchor, file) in anchors.iter().zip(array(&files)) {
        let url = file["url"].as_str().unwrap();
        assert!(
            anchor.contains(&format!("href=\"{url}#sha256={}\"", file["hashes"]["sha256"].as_str().unwrap())),
            "{anchor}"
        );
        assert!(anchor.contains(&format!(">{}</a>", file["filename"].as_str().unwrap())), "{anchor}");
        let path = Path::new(url.strip_prefix("file://").expect("an absolute link into the store"));
        assert!(path.starts_with(env.store()) && url.ends_with(file["filename"].as_str().unwrap()));
        assert_eq!(fs::metadata(path).unwrap().len(), file["size"].as_u64().unwrap());
    }
    assert!(anchors[0].contains("data-requires-python=\"&gt;=3.9,&lt;4\""), "{}", anchors[0]);
    // No sidecar is promised where none can be had: pip fails on that.
    assert!(!page.stdout.contains("core-metadata") && !page.stdout.contains("dist-info-metadata"));
    assert!(page.stdout.contains("demo-2.0+cu12-1_x-"), "a plus stays a plus in links");
}

#[test]
fn links_begin_with_the_base_url() {
    let env = filled();
    let page = env.json(["view", "--base-url", "https://wheels.example/cuda/"]);
    assert_eq!(page["files"][0]["url"], "https://wheels.example/cuda/demo-1.0-py3-none-any.whl");
    let page = env.ok(["view", "--base-url", "https://wheels.example/cuda"]).stdout;
    assert!(page.contains("href=\"https://wheels.example/cuda/demo-2.0+cu12-1_x-py3-none-any.whl#sha256="), "{page}");
}

#[test]
fn one_project_has_a_page_of_its_own() {
    let env = filled();
    let page = env.json(["view", "--project", "Demo"]);
    assert_eq!((page["name"].as_str(), texts(&page["files"], "filename").len()), (Some("demo"), 2));
    assert_eq!(page["versions"], serde_json::json!(["1.0", "2.0+cu12"]));
    assert!(!env.ok(["view", "--project", "demo"]).stdout.contains("idna"));
    assert_output!(refused(&env, 4, &["view", "--project", "absent"]), @r"
    exit 4
    --- stderr
    wcas: nothing matches absent in shared
    ");
}

#[test]
fn an_older_revision_or_snapshot_is_shown_as_it_was() {
    let env = filled();
    env.ok(["collection", "snapshot", "shared@1", "first"]);
    env.ok(["invalidate", "demo==1.0"]);
    let names = |args: &[&str]| texts(&env.json([&["view"], args].concat())["files"], "filename").join(" ");
    assert_eq!(names(&["--at", "1"]), "demo-1.0-py3-none-any.whl");
    assert_eq!(names(&["--at", "first"]), "demo-1.0-py3-none-any.whl");
    assert_eq!(
        names(&["--at", "2", "--project", "demo"]),
        "demo-1.0-py3-none-any.whl demo-2.0+cu12-1_x-py3-none-any.whl"
    );
    assert_eq!(names(&[]), "demo-2.0+cu12-1_x-py3-none-any.whl idna-3.10-py3-none-any.whl");
    assert_eq!(names(&["--at", "0"]), "");
    assert_output!(refused(&env, 4, &["view", "--at", "4"]), @r"
    exit 4
    --- stderr
    wcas: collection shared has no revision 4: the newest is 3
    ");
    assert_output!(refused(&env, 4, &["view", "--at", "second"]), @r"
    exit 4
    --- stderr
    wcas: collection shared has no revision second: there is no snapshot of that name
    ");
    assert_output!(refused(&env, 4, &["view", "--at=-1"]), @r"
    exit 4
    --- stderr
    wcas: collection shared has no revision -1: the newest is 3
    ");
}

#[test]
fn requirements_carry_each_digest_and_paths_lead_to_the_bytes() {
    let env = filled();
    assert_output!(env.run(["view", "--format", "requirements"]), @r"
    exit 0
    --- stdout
    demo==1.0 \
        --hash=sha256:8d035543…
    demo==2.0+cu12 \
        --hash=sha256:7cb0b17f…
    idna==3.10 \
        --hash=sha256:88d78ead…
    ");
    let paths = env.ok(["view", "--format", "paths"]).stdout;
    for (path, name) in paths.lines().zip(["demo-1.0-", "demo-2.0+cu12-1_x-", "idna-3.10-"]) {
        let path = Path::new(path);
        assert!(path.file_name().unwrap().to_str().unwrap().starts_with(name), "{}", path.display());
        assert!(path.is_absolute() && path.exists());
    }
    assert_eq!(paths.lines().count(), 3);
}

#[test]
fn a_page_in_a_file_that_pip_would_not_read_is_told() {
    let env = filled();
    let into = |name: &str, args: &[&str]| {
        let file = File::create(env.path(name)).unwrap();
        let output = env.command([&["view"], args].concat()).stdout(file).output().unwrap();
        assert!(output.status.success());
        assert!(!fs::read_to_string(env.path(name)).unwrap().is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(into("index", &[]).contains("*.html"));
    assert_eq!(into("index.html", &[]), "");
    assert_eq!(into("page.json", &["--format", "json"]), "");
    assert_eq!(into("requirements.txt", &["--format", "requirements"]), "");
    assert_eq!(into("index", &["-q"]), "");
}

#[test]
fn a_file_whose_bytes_are_lost_is_left_out_and_told() {
    if Env::is_of_own_store_only("what it loses the share has") {
        return;
    }
    let env = filled();
    fs::remove_file(blob(&env, "idna")).unwrap();
    assert_eq!(env.run(["verify"]).code, 3);
    for format in ["html", "json", "requirements", "paths"] {
        let output = env.run(["view", "--format", format]);
        assert_eq!(output.code, 3, "{format}: {output}");
        assert!(
            !output.stdout.contains("idna") && output.stderr.contains("idna-3.10-py3-none-any.whl"),
            "{format}: {output}"
        );
    }
    env.ok(["import", "two"]);
    assert!(env.ok(["view"]).stdout.contains("idna"));
}

/// What is put in a blob's place, and how.
type Spoil = (&'static str, fn(&Path));

#[test]
fn no_link_leads_to_what_is_no_longer_the_blob() {
    if Env::is_of_own_store_only("what it loses the share has") {
        return;
    }
    let spoil: [Spoil; 7] = [
        ("cut short", |path| fs::write(path, "x").unwrap()),
        ("empty", |path| fs::write(path, "").unwrap()),
        ("longer", |path| fs::write(path, vec![0; 100_000]).unwrap()),
        ("other bytes of its size", |path| {
            let size = fs::symlink_metadata(path.with_extension("was")).unwrap().len();
            fs::write(path, vec![b'x'; size as usize]).unwrap();
        }),
        ("a folder", |path| fs::create_dir(path).unwrap()),
        ("a symlink", |path| std::os::unix::fs::symlink(path.with_extension("was"), path).unwrap()),
        ("a pipe", |path| {
            assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        }),
    ];
    for (what, act) in spoil {
        let env = filled();
        let path = blob(&env, "demo==1.0");
        let named = env.ok(["view", "--format", "paths"]).stdout;
        assert!(named.contains("demo-1.0-py3"), "{named}");
        fs::rename(&path, path.with_extension("was")).unwrap();
        act(&path);
        for format in ["paths", "html", "json"] {
            let output = env.run(["view", "--format", format]);
            assert!(!output.stdout.contains("demo-1.0-py3"), "{what}: {output}");
            assert!(output.stdout.contains("idna-3.10"), "{what}: {output}");
            assert!(output.stderr.contains("demo-1.0-py3-none-any.whl"), "{what}: {output}");
        }
        // The right bytes under another stat are good.
        if path.is_dir() {
            fs::remove_dir(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        fs::copy(path.with_extension("was"), &path).unwrap();
        env.run(["verify"]);
        assert!(env.ok(["view", "--format", "paths"]).stdout.contains("demo-1.0-py3"), "{what}");
    }
}

#[test]
fn a_yanked_file_says_so_on_the_page_and_older_pages_do_not() {
    let env = filled();
    env.ok(["yank", "idna", "--reason", "wrong \"ABI\""]);
    assert!(env.ok(["view"]).stdout.contains("data-yanked=\"wrong &quot;ABI&quot;\""));
    assert_eq!(env.json(["view", "--project", "idna"])["files"][0]["yanked"], "wrong \"ABI\"");
    assert!(env.json(["view", "--project", "idna", "--at", "2"])["files"][0].get("yanked").is_none());
    env.ok(["unyank", "idna"]);
    assert!(!env.ok(["view"]).stdout.contains("yanked"));
}
