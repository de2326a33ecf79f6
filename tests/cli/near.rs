//! What is said where nothing was found, and collections read at a revision.

use crate::support::{Env, Wheel};
use crate::{assert_output, json_with_code, refused, texts};
use serde_json::json;

const LINUX: &str = "cp312-cp312-manylinux_2_28_x86_64";

/// Two versions of torch in cuda, one in rocm, where requests is, too.
fn filled() -> Env {
    let env = Env::new();
    Wheel::new("torch", "2.4.0").tags(LINUX).write_to(env.path("cuda"));
    Wheel::new("torch", "2.5.1").tags(LINUX).write_to(env.path("cuda"));
    Wheel::new("torch", "2.6.0").tags("cp313-abi3-macosx_14_0_arm64").write_to(env.path("rocm"));
    Wheel::new("requests", "2.30.0").requires_python(">=3.9").write_to(env.path("rocm"));
    Wheel::new("tensorboard", "1.0").write_to(env.path("rocm"));
    for collection in ["cuda", "rocm"] {
        env.ok(["import", collection, "--collection", collection]);
    }
    env
}

#[test]
fn a_miss_says_why_and_what_is_near() {
    let env = filled();
    assert_output!(env.run(["lookup", "torch==3", "--collection", "cuda"]), @r"
    exit 4
    --- stderr
    no match for torch==3
      cuda has torch 2.5.1, 2.4.0
      not searched: rocm has torch 2.6.0
    ");
    assert_output!(env.run(["lookup", "torch==2.5.1", "--collection", "cuda", "--python", "3.11"]), @r"
    exit 4
    --- stderr
    no match for torch==2.5.1
      left out torch-2.5.1-cp312-cp312-manylinux_2_28_x86_64.whl (cuda): it needs CPython 3.12, and 3.11 is asked for
      cuda has torch 2.5.1, 2.4.0
      not searched: rocm has torch 2.6.0
    ");
    let why = |args: &[&str]| {
        let missed = json_with_code(&env, 4, &[&["lookup"], args].concat())["miss"].clone();
        texts(&missed["left_out"], "reason").join("; ")
    };
    let rocm = ["--collection", "rocm"];
    assert_eq!(
        why(&[&["torch", "--platform", "linux_x86_64"], &rocm[..]].concat()),
        "it is for macosx_14_0_arm64, and linux_x86_64 is asked for"
    );
    assert_eq!(
        why(&[&["torch", "--python", "3.12"], &rocm[..]].concat()),
        "it needs CPython 3.13 or later, and 3.12 is asked for"
    );
    assert_eq!(
        why(&[&["requests", "--python", "3.8"], &rocm[..]].concat()),
        "it requires Python >=3.9, and 3.8 is asked for"
    );
    assert_eq!(
        why(&[&["requests", "--build-tag", "2"], &rocm[..]].concat()),
        "it has no build tag, and 2 is asked for"
    );
    env.ok(["yank", "requests", "--reason", "broken"]);
    assert_eq!(
        why(&["requests", "--collection", "rocm"]),
        "it is yanked (broken), and given to who asks for its very version"
    );
    env.ok(["block", "torch==2.6.0", "--reason", "bad"]);
    // The note says it, and so it is not said twice.
    let output = env.run(["lookup", "torch", "--collection", "rocm"]);
    assert_eq!(output.stderr.matches("is blocked: bad").count(), 1, "{output}");
    assert_eq!(why(&["torch", "--collection", "rocm"]), "torch==2.6.0 is blocked: bad");
    let missed = json_with_code(&env, 4, &["lookup", "torch==9", "--collection", "cuda"])["miss"].clone();
    assert_eq!(missed["has"], json!([{"collection": "cuda", "versions": ["2.5.1", "2.4.0"], "more": 0}]));
    assert_eq!(missed["elsewhere"], json!([{"collection": "rocm", "versions": ["2.6.0"], "more": 0}]));
    assert!(env.json(["lookup", "torch", "--collection", "cuda"]).get("miss").is_none());
    assert_eq!(json_with_code(&env, 4, &["lookup", "torch", "--no-cache", "--collection", "cuda"]).get("miss"), None);
}

#[test]
fn a_long_answer_is_cut_and_says_by_how_much() {
    let env = Env::new();
    for number in 0..12 {
        let dist = format!("dist{number}");
        Wheel::new("demo", &format!("1.{number}")).write_to(env.path("many"));
        Wheel::new("demo", "0.1").write_to(env.path(&dist));
        env.ok(["import", &dist, "--collection", &format!("c{number:02}")]);
    }
    Wheel::new("demos", "1.0").write_to(env.path("many"));
    env.ok(["import", "many", "--collection", "many"]);
    let asked = ["lookup", "demo>=1", "--python", "2.6", "--collection", "many"];
    let missed = json_with_code(&env, 4, &asked)["miss"].clone();
    let counts = ["left_out", "elsewhere"].map(|list| missed[list].as_array().unwrap().len());
    assert_eq!(
        (counts, &missed["more_left_out"], &missed["more_elsewhere"]),
        ([10, 10], &json!(2), &json!(2)),
        "{missed}"
    );
    assert_eq!(missed["has"][0]["versions"].as_array().unwrap().len(), 10);
    assert_eq!(
        (&missed["has"][0]["versions"][0], &missed["has"][0]["more"]),
        (&json!("1.11"), &json!(2)),
        "the newest first"
    );
    // Another name is offered to who asked for one that isn't there.
    assert_eq!(missed["similar"], json!([]));
    let told = env.run(asked).stderr;
    for line in ["left out 2 more", "2 more collections have it", "many has demo 1.11, ", " and 2 more"] {
        assert!(told.contains(line), "{line}: {told}");
    }
}

#[test]
fn what_was_dropped_is_nowhere() {
    let env = filled();
    let sha256 = env.json(["show", "requests"])["distributions"][0]["sha256"].as_str().map(str::to_owned);
    let spec = format!("sha256:{}", sha256.unwrap());
    let missed = json_with_code(&env, 4, &["lookup", &spec, "--collection", "cuda"])["miss"].clone();
    assert_eq!(missed["elsewhere"], json!([{"collection": "rocm", "versions": ["2.30.0"], "more": 0}]));
    env.ok(["invalidate", "requests", "--everywhere"]);
    let missed = json_with_code(&env, 4, &["lookup", &spec, "--collection", "cuda"])["miss"].clone();
    assert_eq!((&missed["elsewhere"], &missed["project"]), (&json!([]), &json!(null)), "{missed}");
}

#[test]
fn a_name_that_is_a_slip_away_is_offered() {
    let env = filled();
    let similar = |name: &str| {
        let missed = json_with_code(&env, 4, &["lookup", name, "--collection", "rocm"])["miss"]["similar"].clone();
        missed.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    for (typed, meant) in [
        ("reqeusts", "requests"),
        ("request", "requests"),
        ("requestss", "requests"),
        ("r3quests", "requests"),
        ("equests", "requests"),
        // Two slips count in a long name whose first letter is right.
        ("tensrboadr", "tensorboard"),
        ("xensrboard", ""),
        ("torhc", "torch"),
        ("trhc", ""),
        ("numpy", ""),
    ] {
        assert_eq!(similar(typed), meant, "{typed}");
    }
    // Only what the collection has.
    assert_eq!(json_with_code(&env, 4, &["lookup", "reqests", "--collection", "cuda"])["miss"]["similar"], json!([]));
    // Nobody waits for a name without end.
    assert_eq!(similar(&"a".repeat(5000)), "");
    for args in [&["show", "reqests"][..], &["why", "reqests"], &["list", "reqests"]] {
        let output = env.run(args);
        assert!(output.code == 4 && output.stderr.contains("did you mean requests?"), "{output}");
        let misses = json_with_code(&env, 4, args)["misses"].clone();
        assert_eq!((&misses[0]["spec"], &misses[0]["similar"]), (&json!("reqests"), &json!(["requests"])));
    }
    let page = ["view", "--collection", "rocm", "--project", "reqests"];
    assert!(refused(&env, 4, &page).stderr.ends_with("did you mean requests?\n"));
    let missed = json_with_code(&env, 4, &page);
    assert_eq!((&missed["schema"], &missed["similar"]), (&json!("wcas.view-miss/1"), &json!(["requests"])));
}

#[test]
fn a_digest_tells_where_its_file_is() {
    let env = filled();
    let digest = env.json(["show", "requests"])["distributions"][0]["sha256"].as_str().unwrap().to_owned();
    let missed = json_with_code(&env, 4, &["lookup", &digest, "--collection", "cuda"])["miss"].clone();
    assert_eq!(missed["elsewhere"], json!([{"collection": "rocm", "versions": ["2.30.0"], "more": 0}]));
    assert_eq!(
        json_with_code(&env, 4, &["lookup", &"ab".repeat(32), "--collection", "cuda"])["miss"]["elsewhere"],
        json!([])
    );
}

#[test]
fn a_collection_is_read_at_a_revision_wherever_it_is_read() {
    let env = filled();
    env.ok(["collection", "snapshot", "cuda@1", "release"]);
    env.ok(["invalidate", "torch", "--collection", "cuda"]);
    Wheel::new("idna", "3.10").write_to(env.path("more"));
    env.ok(["import", "more", "--collection", "cuda"]);
    for at in ["cuda@1", "cuda@release"] {
        let listed = env.json(["list", "--collection", at]);
        assert_eq!(texts(&listed["distributions"], "version"), ["2.4.0", "2.5.1"], "{at}");
        assert_eq!(env.json(["lookup", "torch", "--collection", at])["version"], "2.5.1");
        assert_eq!(
            texts(&env.json(["show", "torch==2.4.0", "--collection", at])["distributions"], "version"),
            ["2.4.0"]
        );
        assert_eq!(array_len(&env.json(["why", "torch", "--collection", at])["blobs"]), 2);
        let page = env.json(["view", "--collection", at]);
        assert_eq!(texts(&page["files"], "filename").len(), 2);
        // What came since is not there.
        assert_eq!(env.run(["lookup", "idna", "--collection", at]).code, 4);
    }
    let missed = json_with_code(&env, 4, &["lookup", "trch", "--collection", "cuda@1"])["miss"]["similar"].clone();
    assert_eq!(missed, json!(["torch"]), "names are those of the revision");
    for args in [
        &["invalidate", "idna", "--collection", "cuda@1"][..],
        &["yank", "idna", "--collection", "cuda@1"],
        &["pin", "idna", "--collection", "cuda@release"],
        &["import", "more", "--collection", "cuda@1"],
        &["collection", "log", "cuda@1"],
        &["collection", "promote", "rocm", "cuda@1"],
    ] {
        let output = refused(&env, 2, args);
        assert!(output.stderr.contains("an older revision is only read"), "{output}");
    }
    assert!(refused(&env, 2, &["list", "--collection", "cuda@"]).stderr.contains("names no revision"));
    assert!(refused(&env, 4, &["list", "--collection", "cuda@99"]).stderr.contains("the newest is 3"));
    assert!(
        refused(&env, 2, &["view", "--collection", "cuda@1", "--at", "2"]).stderr.contains("say the revision once")
    );
}

fn array_len(value: &serde_json::Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

#[test]
fn a_list_takes_patterns_an_order_and_what_is_outdated() {
    let env = Env::new();
    Wheel::new("nvidia-nccl", "2.0").payload(500, 1).write_to(env.path("in"));
    Wheel::new("nvidia-cublas", "12.1").payload(9000, 1).write_to(env.path("in"));
    Wheel::new("nvidia-cublas", "12.2").payload(100, 1).write_to(env.path("in"));
    Wheel::new("nvidia-cublas", "13.0rc1").payload(50, 1).write_to(env.path("in"));
    Wheel::new("idna", "3.10").payload(3000, 1).write_to(env.path("in"));
    env.ok(["import", "in"]);
    let listed = |args: &[&str]| {
        let rows = env.json([&["list"], args].concat())["distributions"].clone();
        texts(&rows, "version").join(" ")
    };
    assert_eq!(listed(&["nvidia-*"]), "12.1 12.2 13.0rc1 2.0");
    assert_eq!(listed(&["*-nccl", "idna"]), "3.10 2.0");
    assert_eq!(listed(&["nvidia-*", "--sort", "size"]), "12.1 2.0 12.2 13.0rc1");
    assert_eq!(listed(&["nvidia-*", "--sort", "size", "--reverse"]), "13.0rc1 12.2 2.0 12.1");
    assert_eq!(listed(&["--sort", "version"]), "13.0rc1 12.2 12.1 3.10 2.0");
    assert_eq!(listed(&["--sort", "name"]), "3.10 12.1 12.2 13.0rc1 2.0");
    // A release is outdated by releases alone.
    assert_eq!(listed(&["--outdated"]), "12.1");
    let newer = env.json(["list", "--outdated"])["distributions"][0]["newer"].clone();
    assert_eq!(newer, json!({"version": "12.2", "remote": null}));
    env.ok(["yank", "nvidia-cublas==12.2"]);
    assert_eq!(env.run(["list", "--outdated"]).code, 0, "that nothing is outdated is an answer");
    assert_eq!(listed(&["--outdated"]), "");
    assert_eq!(json_with_code(&env, 4, &["list", "zzz-*"])["distributions"], json!([]));
    assert_eq!(refused(&env, 2, &["list", "--reverse"]).code, 2);
    assert_eq!(refused(&env, 2, &["list", "nvidia-*é"]).code, 2);
}

#[test]
fn a_difference_is_told_by_project_with_versions_and_sizes() {
    let env = Env::new();
    let put = |project: &str, version: &str, size: usize| {
        Wheel::new(project, version).payload(size, 7).write_to(env.path(format!("{project}{version}{size}")));
        env.ok(["import", &format!("{project}{version}{size}")]);
    };
    put("requests", "2.30.0", 100);
    put("same", "1.0", 100);
    put("gone", "1.0", 100);
    put("requests", "2.34.2", 20_000);
    env.ok(["invalidate", "requests==2.30.0", "gone"]);
    put("same", "1.0", 1100);
    put("new", "0.1", 100);
    let output = env.ok(["collection", "diff", "shared@3", "shared"]).stdout;
    let rows: Vec<Vec<&str>> = output
        .lines()
        .skip(1)
        .map(|line| line.split("  ").filter(|part| !part.is_empty()).map(str::trim).collect())
        .collect();
    let told: Vec<[&str; 3]> = rows.iter().map(|row| [row[0], row[1], row[2]]).collect();
    assert_eq!(
        told,
        [
            ["removed", "gone", "1.0"],
            ["added", "new", "0.1"],
            ["changed", "requests", "2.30.0 → 2.34.2"],
            ["replaced", "same", "1.0 (1 file with other bytes)"],
        ]
    );
    assert!(rows[2][3].starts_with('+') && rows[0][3].starts_with('-'), "{output}");
    let document = env.json(["collection", "diff", "shared@3", "shared"]);
    assert_eq!(texts(&document["projects"], "change"), ["removed", "added", "changed", "replaced"]);
    assert!(document["projects"][3]["bytes"].as_i64().is_some_and(|bytes| bytes >= 1000), "{document}");
    let totals = &document["totals"];
    assert_eq!((&totals["added"], &totals["removed"], &totals["replaced"]), (&json!(2), &json!(2), &json!(1)));
    let grown = document["projects"].as_array().unwrap().iter().map(|row| row["bytes"].as_i64().unwrap()).sum::<i64>();
    assert_eq!(totals["bytes_added"].as_i64().unwrap() - totals["bytes_removed"].as_i64().unwrap(), grown);
    let stat = env.ok(["collection", "diff", "shared@3", "shared", "--stat"]).stdout;
    assert!(
        stat.contains("projects  1 added, 1 removed, 2 changed\nfiles     2 added, 2 removed, 1 with other bytes\n"),
        "{stat}"
    );

    // The plan of a rollback is the same difference, and the rollback does what it says.
    let before = env.json(["list"]);
    let plan = env.json(["collection", "rollback", "shared", "3", "--dry-run"]);
    assert_eq!((env.json(["list"]), &plan["dry_run"]), (before, &json!(true)));
    assert_eq!(texts(&plan["diff"]["projects"], "change"), ["added", "removed", "changed", "replaced"]);
    let done = env.json(["collection", "rollback", "shared", "3"]);
    for field in ["added", "removed", "revision", "to", "collection"] {
        assert_eq!(plan[field], done[field], "{field}");
    }
    assert_eq!(done["dry_run"], false);
    assert_eq!(env.run(["collection", "rollback", "shared", "99", "--dry-run"]).code, 4);
    // A mark is no bytes; and where nothing differs, nothing is to be done.
    let revision = done["revision"].as_i64().unwrap();
    env.ok(["yank", "same", "--reason", "bad"]);
    let marked = env.json(["collection", "diff", &format!("shared@{revision}"), "shared"]);
    assert_eq!(texts(&marked["projects"], "change"), ["yanked"]);
    assert_eq!(
        (&marked["totals"]["bytes_added"], &marked["totals"]["bytes_removed"]),
        (&json!(0), &json!(0)),
        "{marked}"
    );
    let plan = env.json(["collection", "rollback", "shared", &(revision + 1).to_string(), "--dry-run"]);
    assert_eq!(
        (&plan["added"], &plan["removed"], &plan["revision"]),
        (&json!(0), &json!(0), &json!(revision + 1)),
        "{plan}"
    );
}

#[test]
fn what_was_undone_is_not_undone_again() {
    let env = filled();
    env.ok(["invalidate", "requests", "--everywhere"]);
    let number = env.json(["collection", "log", "rocm"])["revisions"][0]["operation"].to_string();
    env.ok(["undo", &number]);
    let output = refused(&env, 2, &["undo", &number]);
    assert!(output.stderr.contains("was undone already"), "{output}");
    assert_eq!(env.json(["list", "requests"])["distributions"].as_array().unwrap().len(), 1);
}

#[test]
fn any_operation_that_changed_files_can_be_undone() {
    let env = Env::new();
    let state = |collection: &str| {
        let rows = env.json(["list", "--collection", collection])["distributions"].clone();
        let told = |row: &serde_json::Value| format!("{} {} {}", row["filename"], row["sha256"], row["yanked"]);
        rows.as_array().unwrap().iter().map(told).collect::<Vec<_>>()
    };
    let last = || env.json(["collection", "log", "a"])["revisions"][0]["operation"].to_string();
    Wheel::new("demo", "1.0").payload(10, 1).write_to(env.path("one"));
    Wheel::new("demo", "1.0").payload(10, 2).write_to(env.path("two"));
    Wheel::new("demo", "2.0").write_to(env.path("two"));
    Wheel::new("other", "1.0").write_to(env.path("b"));
    env.ok(["import", "one", "--collection", "a"]);
    env.ok(["import", "b", "--collection", "b"]);
    for change in [
        &["import", "two", "--collection", "a"][..],
        &["collection", "promote", "b", "a"],
        &["collection", "copy", "b", "a"],
        &["yank", "demo==1.0", "--collection", "a", "--reason", "x"],
        &["collection", "rollback", "a", "0"],
        &["invalidate", "demo", "--collection", "a"],
    ] {
        let before = state("a");
        env.ok(change);
        let after = state("a");
        assert_ne!(before, after, "{change:?}");
        let report = env.json(["undo", &last()]);
        assert_eq!(state("a"), before, "{change:?}: {report}");
        // And that, too.
        env.ok(["undo", &last()]);
        assert_eq!(state("a"), after, "{change:?}");
        env.ok(["undo", &last()]);
    }
    // What was changed since stays, and is told.
    env.ok(["import", "two", "--collection", "a"]);
    let import = last();
    env.ok(["yank", "demo==2.0", "--collection", "a"]);
    let report = json_with_code(&env, 3, &["undo", &import]);
    assert_eq!(report["refused"][0][1], "is changed or gone since", "{report}");
    assert!(state("a").iter().any(|row| row.contains("demo-2.0")));
    env.ok(["collection", "set", "a", "--variants", "hide"]);
    let output = refused(&env, 2, &["undo", &last()]);
    assert!(output.stderr.contains("wcas collection set"), "{output}");
}

#[test]
fn a_change_that_misses_says_what_is_near() {
    let env = filled();
    for args in [
        &["yank", "reqests"][..],
        &["unyank", "reqests"],
        &["pin", "reqests"],
        &["unpin", "reqests"],
        &["invalidate", "reqests"],
        &["invalidate", "reqests", "--dry-run"],
        &["collection", "promote", "rocm", "cuda", "reqests"],
        &["compare", "reqests", "requests"],
        &["compare", "requests", "rocm:reqests"],
        &["why", "--variant", "rocm", "reqests"],
    ] {
        let output = refused(&env, 4, args);
        assert!(output.stderr.contains("nothing matches reqests"), "{args:?} {output}");
        assert!(output.stderr.contains("\n  did you mean requests?\n"), "{args:?} {output}");
        assert_eq!(output.stdout, "", "{args:?}");
        let quiet = env.run([&["-q"], args].concat());
        assert!(quiet.code == 4 && !quiet.stderr.contains("did you mean"), "{args:?} {quiet}");
        let told = env.run([&["--json"], args].concat()).stderr;
        let document: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        assert_eq!(document["error"]["misses"][0]["similar"], json!(["requests"]), "{args:?} {told}");
        assert_eq!((&document["schema"], &document["error"]["exit_code"]), (&json!("wcas.error/1"), &json!(4)));
    }
    assert_output!(env.run(["yank", "torch==3", "requests", "--collection", "cuda"]), @r"
    exit 4
    --- stderr
    wcas: nothing matches torch==3
      cuda has torch 2.5.1, 2.4.0
      not searched: rocm has torch 2.6.0
      not searched: rocm has requests 2.30.0
    ");
    // What is blocked need not be there; that it is not is told.
    let output = env.run(["block", "reqests==1", "--reason", "bad"]);
    assert!(output.code == 0 && output.stderr.contains("nothing matches reqests==1 yet\n"), "{output}");
    assert!(output.stderr.contains("did you mean requests?"), "{output}");
    let output = env.run(["block", "requests==2.30.0", "--reason", "bad"]);
    assert!(output.code == 0 && output.stderr.is_empty(), "{output}");
}

#[test]
fn a_flat_remotes_page_tells_what_is_outdated() {
    let env = Env::new();
    let server = crate::support::Server::start();
    let names = ["demo", "other", "third"];
    for name in names {
        Wheel::new(name, "1.0").write_to(env.path("in"));
    }
    let link = |name: &&str| {
        let wheel = Wheel::new(name, if *name == "third" { "1.0" } else { "2.0" });
        server.wheel(&wheel.filename(), &wheel.bytes())
    };
    server.route("/links.html", crate::support::Reply::html(names.iter().map(link).collect::<String>()));
    env.ok(["import", "in"]);
    // A stranger is not asked for what the collection has of its own.
    env.ok(["remote", "add", "flat", &server.url("/links.html"), "--ours"]);
    let outdated = || texts(&env.json(["list", "--outdated"])["distributions"], "project").join(" ");
    assert_eq!(outdated(), "", "nothing was asked yet");
    env.run(["lookup", "demo==9"]);
    let before = server.paths().len();
    assert_eq!(outdated(), "demo other");
    let newer = env.json(["list", "--outdated"])["distributions"][0]["newer"].clone();
    assert_eq!(newer, json!({"version": "2.0", "remote": "flat"}));
    env.ok(["remote", "set", "flat", "--except", "other"]);
    assert_eq!((outdated().as_str(), server.paths().len()), ("demo", before), "no remote is asked");
}

#[test]
fn what_is_no_path_is_told_what_to_do_instead() {
    let env = filled();
    for (path, word) in [
        (
            "https://files.example/a/torch-2.5.1%2Bcpu-cp312-cp312-linux_x86_64.whl?x=1#y",
            "wcas pull 'torch==2.5.1+cpu' --from REMOTE",
        ),
        ("http://index.example/simple/", "wcas remote add"),
        ("torch==2.5.1", "wcas pull 'torch==2.5.1'"),
        ("nothing", "No such file"),
    ] {
        let output = env.run(["import", path]);
        assert!(output.code == 3 && output.stderr.contains(word), "{path}: {output}");
        let mut nowhere = Env::new();
        nowhere.set("WCAS_STORE", "absent");
        let output = nowhere.run(["import", path]);
        assert!(output.code == 4 && (word.starts_with("No") || output.stderr.contains(word)), "{path}: {output}");
    }
    // A file is a file, whatever it is called.
    std::fs::write(env.path("torch==2.5.1"), "").unwrap();
    let output = env.run(["import", "torch==2.5.1"]);
    assert!(output.code == 3 && !output.stderr.contains("wcas pull"), "{output}");
}
