//! What is asked wrongly: the code, and a message that says what, where, and what to do next.

use crate::support::{Env, Wheel};
use crate::{assert_output, refused};
use std::fs;

fn filled() -> Env {
    let env = Env::filled([Wheel::new("demo", "1.0")]);
    env.ok(["import", "in", "--collection", "cuda"]);
    env
}

#[test]
fn an_unknown_collection_is_told_with_the_known_ones() {
    let env = filled();
    assert_output!(refused(&env, 4, &["list", "--collection", "rocm"]), @r#"
    exit 4
    --- stderr
    wcas: there is no collection "rocm"
      hint: the collections are: cuda, shared
    "#);
    assert_output!(refused(&env, 4, &["view", "--collection", "rocm", "--to", "tree"]), @r#"
    exit 4
    --- stderr
    wcas: there is no collection "rocm"
      hint: the collections are: cuda, shared
    "#);
    assert!(!env.path("tree/simple").exists());
    let empty = Env::new();
    empty.ok(["collection", "create", "only"]);
    empty.ok(["collection", "delete", "only"]);
    assert_output!(refused(&empty, 4, &["view"]), @r#"
    exit 4
    --- stderr
    wcas: there is no collection "shared"
      hint: there are no collections yet; `wcas import PATH` or `wcas collection create NAME` makes one
    "#);
}

#[test]
fn no_store_is_told_with_what_makes_one() {
    if Env::is_of_own_store_only("it is made before the test") {
        return;
    }
    let env = Env::new();
    let commands: [&[&str]; 15] = [
        &["list"],
        &["serve"],
        &["serve", "--listen", "127.0.0.1:0", "--watch", "."],
        &["import", "absent", "absent too"],
        &["view"],
        &["view", "--to", "tree"],
        &["lookup", "demo"],
        &["show", "demo"],
        &["why", "demo"],
        &["stats"],
        &["verify"],
        &["gc"],
        &["pin"],
        &["undo"],
        &["collection", "list"],
    ];
    for args in commands {
        let output = refused(&env, 4, args);
        assert!(
            output.stderr.contains("there is no store at") && output.stderr.contains("wcas import")
                || output.stderr.contains("there is no file or folder absent, and no store"),
            "{args:?}: {output}"
        );
    }
    assert!(!env.store().exists(), "asking makes no store");
    assert_output!(refused(&env, 4, &["list"]), @r"
    exit 4
    --- stderr
    wcas: there is no store at $STORE
      hint: `wcas import PATH…` or `wcas serve --create` makes one; --store or WCAS_STORE says where
    ");
}

#[test]
fn a_folder_with_other_things_in_it_is_no_store() {
    if Env::is_of_own_store_only("it is made before the test") {
        return;
    }
    let env = Env::new();
    Wheel::new("demo", "1.0").write_to(env.path("in"));
    fs::create_dir(env.store()).unwrap();
    fs::write(env.path("store/thesis.tex"), "precious").unwrap();
    assert_output!(refused(&env, 1, &["import", "in"]), @r"
    exit 1
    --- stderr
    wcas: $STORE is not empty and not a store
      hint: a new store needs a folder of its own: --store DIR
    ");
    assert_output!(refused(&env, 4, &["list"]), @r"
    exit 4
    --- stderr
    wcas: there is no store at $STORE
      hint: `wcas import PATH…` or `wcas serve --create` makes one; --store or WCAS_STORE says where
    ");
    assert_eq!(crate::files(&env.store()), ["thesis.tex"]);
    // A file is no folder.
    fs::remove_dir_all(env.store()).and_then(|()| fs::write(env.store(), "a file")).unwrap();
    assert_eq!(env.run(["import", "in"]).code, 1);
    assert_eq!(fs::read(env.store()).unwrap(), b"a file");
}

#[test]
fn a_bad_specification_is_usage_and_says_the_forms() {
    let env = filled();
    for spec in ["demo 1.0", "demo==", "demo[extra]", "./demo.whl", "demo=1", "sha256:abc", ""] {
        for command in ["lookup", "list", "show", "invalidate", "pin"] {
            let output = refused(&env, 2, &[command, spec]);
            assert!(output.stderr.contains("error: invalid value"), "{command} {spec:?}: {output}");
        }
    }
    assert_output!(refused(&env, 2, &["lookup", "torch @ https://host/x.whl"]), @r#"
    exit 2
    --- stderr
    error: invalid value 'torch @ https://host/x.whl' for '<SPEC>': "torch @ https://host/x.whl" is a path or a URL: give NAME, NAME==VERSION, NAME>=A,<B, a .whl/.tar.gz/.zip filename, or a digest (64 hexadecimal digits)

    For more information, try '--help'.
    "#);
    assert_output!(refused(&env, 2, &["lookup", "demo", "--python", "three"]), @r#"
    exit 2
    --- stderr
    wcas: "three" is not a CPython version: expected one like '3.12', '3.13t' or 'cp312'
    "#);
    assert_output!(refused(&env, 2, &["lookup", "demo", "--platform", "amiga"]), @r#"
    exit 2
    --- stderr
    wcas: "amiga" is not a platform: expected one like 'manylinux_2_28_x86_64', 'linux_x86_64', 'win_amd64' or 'any'
    "#);
    assert_output!(refused(&env, 2, &["lookup", "demo", "--build-tag", "x"]), @r#"
    exit 2
    --- stderr
    error: invalid value 'x' for '--build-tag <TAG>': "x" is not a build tag: expected a number up to 18446744073709551615 and any suffix, without '-' or '/'

    For more information, try '--help'.
    "#);
    assert_output!(refused(&env, 2, &["import", "in", "--collection", "Not/Good"]), @r#"
    exit 2
    --- stderr
    error: invalid value 'Not/Good' for '--collection <C>': "Not/Good" is not a collection name: 1 to 100 of a-z, 0-9, '.', '_' and '-', with a letter or digit first

    For more information, try '--help'.
    "#);
    assert_output!(refused(&env, 2, &["gc", "--grace", "soon"]), @r"
    exit 2
    --- stderr
    error: invalid value 'soon' for '--grace <TIME>': expected number at 0; write 48h, 7d, 30min or seconds

    For more information, try '--help'.
    ");
    assert_output!(refused(&env, 2, &["view", "--to", "x", "--format", "json"]), @r"
    exit 2
    --- stderr
    error: the argument '--to <DIR|URL>' cannot be used with '--format <FORMAT>'

    Usage: wcas view --to <DIR|URL>

    For more information, try '--help'.
    ");
}

#[test]
fn what_matches_nothing_is_code_4_for_every_command_that_needs_a_match() {
    let env = filled();
    let commands: [&[&str]; 10] = [
        &["lookup", "absent"],
        &["show", "absent"],
        &["why", "absent"],
        &["invalidate", "absent"],
        &["invalidate", "demo", "absent"],
        &["pin", "absent"],
        &["unpin", "absent"],
        &["unpin", "demo"],
        &["yank", "absent"],
        &["view", "--project", "absent"],
    ];
    for args in commands {
        let output = refused(&env, 4, args);
        assert!(output.stderr.contains("absent") || args == ["unpin", "demo"], "{args:?}: {output}");
    }
    assert_eq!(env.json(["list"])["distributions"].as_array().unwrap().len(), 2, "and nothing was half done");
}

#[test]
fn a_second_gc_is_busy_while_one_runs() {
    let env = filled();
    let lock = fs::File::options().create(true).truncate(false).write(true).open(env.path("store/locks/gc")).unwrap();
    lock.lock().unwrap();
    assert_output!(refused(&env, 5, &["gc"]), @r"
    exit 5
    --- stderr
    wcas: gc is in use by another run of gc
      hint: try again in a moment
    ");
    drop(lock);
    env.ok(["gc"]);
}

#[test]
fn quiet_is_quiet_and_each_name_that_nothing_matches_is_told() {
    let env = Env::new();
    for version in ["1.0", "2.0"] {
        Wheel::new("demo", version).write_to(env.path("in"));
    }
    env.ok(["import", "in"]);
    for args in [["why", "demo", "nothing"], ["why", "nothing", "demo"], ["show", "demo", "nothing"]] {
        let output = env.run(args);
        assert_eq!(output.code, 4, "{args:?}: {output}");
        assert!(output.stderr.contains("nothing matches nothing"), "{args:?}: {output}");
    }
    for args in
        [&["yank", "demo==1.0", "--reason", "x"][..], &["unyank", "demo==1.0"], &["invalidate", "demo==1.0"], &["undo"]]
    {
        let output = env.ok([&["-q"], args].concat());
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""), "{args:?}");
        let document = env.json(["list"]);
        assert!(document["distributions"].as_array().is_some_and(|rows| !rows.is_empty()));
    }
    // A document is what was asked for.
    assert!(!env.ok(["-q", "--json", "yank", "demo==2.0"]).stdout.is_empty());
}

#[test]
fn numbers_names_and_addresses_that_are_none_are_told_as_people_write_them() {
    let env = filled();
    for (args, text) in [
        ("undo abc", "write an operation's number"),
        ("undo 0", "write an operation's number"),
        ("log --limit many", "write a whole number, as in 3"),
        ("gc --keep-builds two", "write a whole number, as in 3"),
        ("collection set cuda --keep-versions two", "write a whole number, as in 3"),
        ("verify --parallel all", "write a whole number, as in 3"),
        ("verify --rate 5", "5 bytes a second would take for ever: write 200M"),
        ("verify --rate 0", "0 bytes a second would take for ever"),
        ("serve --workers 0", "write a whole number from 1"),
        ("serve --max-connections 0", "write a whole number from 1"),
        ("serve --listen 8080", "write ADDRESS:PORT, as in 127.0.0.1:8080"),
        ("serve --listen localhost", "write ADDRESS:PORT"),
        ("serve --listen http://127.0.0.1:80", "write ADDRESS:PORT"),
    ] {
        let output = refused(&env, 2, &args.split(' ').collect::<Vec<_>>());
        assert!(output.stderr.contains(text), "{args}: {output}");
    }
    let output = refused(&env, 2, &["serve", "--listen", "nowhere.invalid:0"]);
    assert!(output.stderr.contains("nowhere.invalid:0 can't be listened on"), "{output}");
}

#[test]
fn names_may_be_joined_by_commas() {
    let env = filled();
    env.ok(["collection", "create", "rocm"]);
    env.ok(["collection", "set", "rocm", "--fallback", "cuda,shared"]);
    assert_eq!(env.json(["collection", "show", "rocm"])["fallbacks"], serde_json::json!(["cuda", "shared"]));
    assert_eq!(env.json(["list", "--collection", "cuda,shared"])["distributions"].as_array().unwrap().len(), 2);
    let output = refused(&env, 4, &["collection", "set", "rocm", "--fallback", "cuda,nope"]);
    assert!(output.stderr.contains("there is no collection \"nope\""), "{output}");
    assert_eq!(env.json(["collection", "show", "rocm"])["fallbacks"], serde_json::json!(["cuda", "shared"]));
}

#[test]
fn a_default_collection_that_is_not_there_is_said_to_be_made_later() {
    let env = filled();
    assert_eq!(env.ok(["route", "default", "cuda"]).stderr, "");
    let output = env.ok(["route", "default", "cuad"]);
    assert!(output.stderr.contains("there is no collection cuad yet"), "{output}");
}
