//! `wcas log`: whatever changes trust or content is in it, with who did it; what happens to the log itself is found.

use crate::support::{Env, Wheel};
use crate::{array, json_with_code, refused, texts};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, UNIX_EPOCH};

fn records(env: &Env, args: &[&str]) -> Vec<Value> {
    array(&env.json([&["log"], args].concat())["records"]).to_vec()
}

/// Changes the manifest as another program would.
fn by_hand(env: &Env, sql: &str) {
    let manifest = Connection::open(env.store().join("manifest.sqlite")).unwrap();
    manifest.execute_batch(sql).unwrap();
}

/// Every command that changes trust or content, in an order in which each has something to do, and the kind of record that it leaves.
const COMMANDS: [(&str, &str); 48] = [
    ("import in/demo-1.0-py3-none-any.whl --collection released", "import"),
    ("import in --collection released", "import"),
    ("collection create shared", "collection"),
    ("collection create cuda", "collection"),
    ("collection set released --accelerator none", "guard"),
    ("collection set released --guard warn", "guard"),
    ("collection set released --keep-builds 3", "retention"),
    ("collection set released --reuse-filenames yes", "collection"),
    ("collection set released --variants hide", "collection"),
    ("collection set released --fallback shared", "collection"),
    ("collection set released --cache max-build=3", "collection"),
    ("collection status released demo quarantined --reason odd", "status"),
    ("collection status released demo archived", "status"),
    ("collection status released demo active", "status"),
    ("collection snapshot released first", "snapshot"),
    ("collection promote released shared demo==1.0", "promote"),
    ("collection copy released copied", "copy"),
    ("yank demo==1.0 --reason broken --everywhere", "yank"),
    ("unyank demo==1.0 --everywhere", "unyank"),
    ("invalidate demo==1.0 --yes --everywhere", "invalidate"),
    ("undo", "undo"),
    ("collection rollback released 1", "rollback"),
    ("collection snapshot released first --delete", "snapshot"),
    ("pin demo==1.0 --reason needed", "pin"),
    ("unpin demo==1.0", "pin"),
    ("block demo==1.0 --reason broken", "block"),
    ("unblock demo==1.0", "block"),
    ("reserve acme-* --collection released --reason ours", "reservation"),
    ("unreserve acme-* --collection released", "reservation"),
    ("collection set released --open numpy", "collection"),
    ("collection set released --open none", "collection"),
    ("remote add up https://index.example/simple/ --collection shared", "remote"),
    ("remote set up --min-age 7d", "remote"),
    ("remote set up --trust-unhashed", "remote"),
    ("remote set up --collection cuda", "remote"),
    ("remote remove up", "remote"),
    ("route set cuda --requirements own.txt", "route"),
    ("route set cuda --detect", "route"),
    ("route override demo cuda", "route"),
    ("route override demo --remove", "route"),
    ("route default released", "store"),
    ("route delete cuda", "route"),
    ("token create --collection released --scope upload --name ci", "token"),
    ("token revoke ci", "token"),
    ("config apply wcas.toml", "retention"),
    ("collection delete copied --yes", "remove"),
    ("import in --collection shared", "import"),
    ("gc --keep-versions 1 --grace 0", "gc"),
];

fn filled() -> Env {
    let env = Env::new();
    for version in ["1.0", "2.0"] {
        Wheel::new("demo", version).write_to(env.path("in"));
    }
    std::fs::write(env.path("own.txt"), "torch\n").unwrap();
    env
}

#[test]
fn every_change_leaves_a_record_of_who_and_what() {
    if Env::is_of_own_store_only("its log begins with its joining") {
        return;
    }
    let env = filled();
    let mut last = 0;
    for (command, kind) in COMMANDS {
        if command.starts_with("config") {
            let config = env.ok(["config", "show"]).stdout.replace("keep-builds = 3", "keep-builds = 4");
            std::fs::write(env.path("wcas.toml"), config).unwrap();
        }
        let args: Vec<&str> = command.split(' ').collect();
        let output = env.run(&args);
        assert_eq!(output.code, 0, "{command}: {output}");
        let records = records(&env, &[]);
        let new: Vec<&Value> = records.iter().filter(|record| record["number"].as_i64().unwrap() > last).collect();
        assert!(!new.is_empty(), "{command} leaves no record");
        let kinds: Vec<&str> = new.iter().map(|record| record["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&kind), "{command}: {kinds:?}");
        for record in &new {
            assert_eq!((&record["by"]["kind"], &record["by"]["name"].is_string()), (&json!("user"), &true), "{record}");
            let told = record["command"].as_str().unwrap();
            assert!(!told.is_empty() && command.starts_with(told), "{command}: {record}");
            assert!(!record["from"].as_str().unwrap().is_empty(), "{record}");
        }
        last = records.last().unwrap()["number"].as_i64().unwrap();
        env.ok(["log", "verify"]);
    }
    let log = env.ok(["log", "--json"]).stdout;
    let secret = env.json(["token", "create", "--all", "--scope", "admin", "--name", "x"])["secret"].clone();
    assert!(!log.contains(secret.as_str().unwrap()) && !env.ok(["log"]).stdout.contains(secret.as_str().unwrap()));
}

#[test]
fn a_record_tells_what_was_and_what_is() {
    let env = filled();
    env.ok(["import", "in/demo-1.0-py3-none-any.whl", "--collection", "released"]);
    let wheel = Wheel::new("demo", "1.0");
    let digest = wcas::digest::Digests::of(&wheel.bytes()).sha256.to_string();
    let import = records(&env, &["--kind", "import"])[0].clone();
    let told = ["collection", "project", "filename", "sha256"].map(|field| import[field].as_str().unwrap().to_owned());
    assert_eq!(told, ["released".to_owned(), "demo".to_owned(), wheel.filename(), digest]);
    assert_eq!((&import["before"], &import["after"]["size"]), (&Value::Null, &json!(wheel.bytes().len())));
    env.ok(["collection", "set", "released", "--accelerator", "none", "--keep-builds", "2"]);
    let guard = records(&env, &["--kind", "guard"])[0].clone();
    assert_eq!(
        (&guard["before"], &guard["after"]),
        (&json!({"accelerators": "any"}), &json!({"accelerators": "none"}))
    );
    let retention = records(&env, &["--kind", "retention"])[0].clone();
    assert_eq!(
        (&retention["before"], &retention["after"]),
        (&json!({"keep_builds": null}), &json!({"keep_builds": 2}))
    );
    env.ok(["yank", "demo", "--reason", "bad\u{1b}[2J"]);
    let yank = records(&env, &["--kind", "yank"])[0].clone();
    assert_eq!((&yank["before"], &yank["after"]["yanked"]), (&json!({"yanked": null}), &json!("bad\u{1b}[2J")));
    assert!(!env.ok(["log"]).stdout.contains('\u{1b}'), "nothing speaks to the terminal");
    // What changes nothing is not in it.
    let count = records(&env, &[]).len();
    env.ok(["collection", "set", "released", "--keep-builds", "2"]);
    env.ok(["import", "in/demo-1.0-py3-none-any.whl", "--collection", "released"]);
    env.ok(["gc", "--dry-run", "--keep-builds", "1"]);
    env.ok(["list"]);
    refused(&env, 4, &["collection", "set", "absent", "--keep-builds", "2"]);
    assert_eq!(records(&env, &[]).len(), count);
}

#[test]
fn filters_and_the_newest() {
    if Env::is_of_own_store_only("its log begins with its joining") {
        return;
    }
    let env = filled();
    env.ok(["import", "in", "--collection", "released"]);
    env.ok(["collection", "create", "other"]);
    assert_eq!(texts(&json!(records(&env, &["--collection", "other"])), "command"), ["collection create"]);
    assert_eq!(records(&env, &["--project", "Demo"]).len(), 2);
    assert_eq!(records(&env, &["--limit", "1"])[0]["collection"], "other");
    assert_eq!(records(&env, &["--by", "nobody-of-this-name"]).len(), 0);
    assert_eq!(records(&env, &["--since", "1d"]).len(), 4);
    let name = records(&env, &[])[0]["by"]["name"].as_str().unwrap().to_owned();
    assert_eq!(records(&env, &["--by", &name]).len(), 4);
    let id = records(&env, &[])[0]["by"]["id"].to_string();
    assert_eq!(records(&env, &["--by", &id]).len(), 4);
}

#[test]
fn follow_prints_what_comes() {
    if Env::is_of_own_store_only("its log begins with its joining") {
        return;
    }
    let env = filled();
    env.ok(["collection", "create", "one"]);
    let mut running = env.spawn(["--json", "log", "--follow"]);
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["collection"].clone();
    assert_eq!(next(), "one");
    env.ok(["collection", "create", "two"]);
    assert_eq!(next(), "two");
    running.kill().unwrap();
    running.wait().unwrap();
}

#[test]
fn what_others_wrote_is_shown_as_escapes_to_programs_too() {
    if Env::is_of_own_store_only("its log begins with its joining") {
        return;
    }
    let env = filled();
    env.ok(["import", "in", "--collection", "released"]);
    env.ok(["block", "demo==1.0", "--reason", "\u{202e}odd\u{7f}"]);
    let mut running = env.spawn(["log", "--follow"]);
    let line = BufReader::new(running.stdout.take().unwrap()).lines().nth(3).unwrap().unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    for text in [line, env.ok(["log"]).stdout] {
        assert!(text.contains("\\u{202e}odd") && !text.contains(['\u{202e}', '\u{7f}']), "{text}");
    }
}

#[test]
fn a_change_by_another_program_is_told_as_such() {
    let env = filled();
    env.ok(["import", "in", "--collection", "released"]);
    by_hand(&env, "UPDATE collection SET accelerators = 'cuda'; DELETE FROM token;");
    env.ok(["collection", "create", "other"]);
    let [.., hand, own] = &records(&env, &[])[..] else { panic!("too few") };
    assert_eq!(
        (&hand["by"]["kind"], &hand["kind"], &hand["after"]),
        (&json!("unknown"), &json!("guard"), &json!({"accelerators": "cuda"}))
    );
    assert_eq!(own["by"]["kind"], "user");
    env.ok(["log", "verify"]);
}

#[test]
fn a_record_that_was_changed_dropped_or_put_in_is_found() {
    if Env::is_of_own_store_only("its manifest is the share's") {
        return;
    }
    const COLUMNS: &str = "at, kind, actor, actor_id, actor_name, origin, command, name, collection, project, filename, sha256, before, after";
    let cases = [
        ("UPDATE record SET actor_name = 'mallory' WHERE number = 3", vec!["changed"]),
        ("UPDATE record SET after = NULL WHERE number = 6", vec!["changed"]),
        ("UPDATE record SET digest = zeroblob(32) WHERE number = 2", vec!["changed", "changed"]),
        ("DELETE FROM record WHERE number = 3", vec!["missing"]),
        ("DELETE FROM record WHERE number = 1", vec!["missing"]),
        ("DELETE FROM record WHERE number = 6", vec!["missing"]),
        ("DELETE FROM record", vec!["missing"]),
        ("DELETE FROM record WHERE number = 6; UPDATE meta SET value = '' WHERE key = 'log_head'", vec!["missing"]),
        (
            "DELETE FROM record WHERE number <= 2; INSERT INTO meta SELECT 'log_base', '2:' || lower(hex(digest)) FROM record WHERE number = 3",
            vec!["changed", "missing"],
        ),
        (
            "DELETE FROM record WHERE number = 3; UPDATE record SET number = number - 1 WHERE number > 3",
            vec!["changed", "changed", "changed", "missing"],
        ),
        ("INSERT INTO record SELECT 7, {COLUMNS}, digest FROM record WHERE number = 6", vec!["changed", "added"]),
        (
            "UPDATE record SET number = 7 WHERE number = 6; INSERT INTO record SELECT 6, {COLUMNS}, digest FROM record WHERE number = 5",
            vec!["changed", "changed", "added"],
        ),
    ];
    for (sql, expected) in cases {
        let env = filled();
        for name in ["a", "b", "c", "d", "e", "f"] {
            env.ok(["collection", "create", name]);
        }
        assert_eq!(env.json(["log", "verify"])["records"], 6);
        let sql = sql.replace("{COLUMNS}", COLUMNS);
        by_hand(&env, &format!("DROP TRIGGER record_stays; {sql}"));
        let check = json_with_code(&env, 3, &["log", "verify"]);
        assert_eq!(texts(&check["problems"], "kind"), expected, "{sql}: {check}");
        let doctor = json_with_code(&env, 3, &["doctor"]);
        assert!(texts(&doctor["findings"], "kind").contains(&"log"), "{sql}: {doctor}");
        assert_eq!(env.run(["log", "prune", "--older-than", "0s"]).code, 3, "{sql}: the evidence stays");
        // The store goes on, and the log goes on to tell.
        env.ok(["collection", "create", "later"]);
        assert_eq!(env.run(["log", "verify"]).code, 3, "{sql}");
    }
}

#[test]
fn a_record_is_not_changed_by_mistake() {
    let env = filled();
    env.ok(["collection", "create", "a"]);
    let manifest = Connection::open(env.store().join("manifest.sqlite")).unwrap();
    assert!(manifest.execute("UPDATE record SET kind = 'x'", []).is_err());
}

#[test]
fn a_head_that_was_kept_elsewhere_tells_a_chain_that_was_made_anew() {
    if Env::is_of_own_store_only("its manifest is the share's") {
        return;
    }
    let env = filled();
    env.ok(["collection", "create", "a"]);
    let head = env.json(["log", "verify"])["head"].as_str().unwrap().to_owned();
    env.ok(["collection", "create", "b"]);
    env.ok(["log", "verify", "--expect", &head]);
    let other = filled();
    for name in ["x", "y"] {
        other.ok(["collection", "create", name]);
    }
    let check = json_with_code(&other, 3, &["log", "verify", "--expect", &head]);
    assert_eq!(texts(&check["problems"], "kind"), ["expected"]);
    let beyond = head.replacen("1:", "9:", 1);
    assert_eq!(json_with_code(&env, 3, &["log", "verify", "--expect", &beyond])["problems"][0]["kind"], "expected");
    assert_eq!(env.run(["log", "verify", "--expect", "nonsense"]).code, 2);
}

#[test]
fn what_is_pruned_is_told_and_the_rest_is_a_chain() {
    if Env::is_of_own_store_only("its log begins with its joining") {
        return;
    }
    let env = filled();
    for name in ["a", "b", "c"] {
        env.ok(["collection", "create", name]);
    }
    let middle = records(&env, &[])[1].clone();
    let kept = format!("2:{}", middle["digest"].as_str().unwrap());
    assert_eq!(env.json(["log", "prune", "--older-than", "400d"])["records"], 0);
    assert_eq!(env.json(["log", "verify"])["records"], 3);
    // The clock of a record can't be turned by hand without being found; so the second of the last one is waited for to end.
    let newest: u32 = Connection::open(env.store().join("manifest.sqlite"))
        .and_then(|manifest| manifest.query_row("SELECT max(at) FROM record", [], |row| row.get(0)))
        .unwrap();
    while UNIX_EPOCH.elapsed().unwrap().as_secs() <= newest.into() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(env.json(["log", "prune", "--older-than", "0s"])["records"], 3);
    let left = records(&env, &[]);
    assert_eq!(left.last().unwrap()["kind"], "prune");
    let check = env.json(["log", "verify"]);
    let base = check["pruned"].as_str().unwrap().to_owned();
    env.ok(["log", "verify", "--expect", &base]);
    assert_eq!(json_with_code(&env, 3, &["log", "verify", "--expect", &kept])["problems"][0]["kind"], "expected");
    env.ok(["collection", "create", "d"]);
    env.ok(["log", "verify"]);
    // A record of a pruning that goes, goes not unseen.
    by_hand(&env, "DELETE FROM record WHERE kind = 'prune'");
    assert_eq!(env.run(["log", "verify"]).code, 3);
}

#[test]
fn a_rebuild_takes_the_log_over() {
    if Env::is_of_own_store_only("its manifest is the share's") {
        return;
    }
    let env = filled();
    env.ok(["import", "in", "--collection", "released"]);
    let head = env.json(["log", "verify"])["head"].as_str().unwrap().to_owned();
    env.ok(["rebuild", "--force"]);
    env.ok(["log", "verify", "--expect", &head]);
    let kinds = json!(records(&env, &["--kind", "rebuild"]));
    assert_eq!(texts(&kinds, "command"), ["rebuild"; 3], "the log, and two files");
}

#[cfg(debug_assertions)]
#[test]
fn wherever_a_command_ends_what_is_there_is_in_the_log_and_nothing_else() {
    if Env::is_of_own_store_only("its log begins with its joining") {
        return;
    }
    for point in 1..=60 {
        let env = filled();
        env.ok(["collection", "create", "released"]);
        env.leaves("the session of an import that was killed");
        let fault = format!("kill@{point}");
        let output = env.run_with_env(&[("WCAS_FAULT", &fault)], ["import", "in", "--collection", "released"]);
        let (there, told) =
            (array(&env.json(["list"])["distributions"]).len(), records(&env, &["--kind", "import"]).len());
        assert_eq!(there, told, "{fault}");
        env.ok(["log", "verify"]);
        if output.code == 0 {
            return;
        }
    }
    panic!("the import has more points than this test expects");
}
