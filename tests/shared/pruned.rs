//! Old records of the log go, and nodes that lack them begin anew.

use super::support::{Env, WcasServer, postgres, until};
use super::{Team, database, faults::points, files_below, wheels};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Makes what is in the share's log old, up to a record.
fn age(team: &Team, up_to: i64) {
    for path in files_below(&team.share().join("log")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.split('.').next().unwrap().parse::<i64>().unwrap() <= up_to {
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(40 * 86_400)).unwrap();
        }
    }
}

/// Lets a node forget that it followed the log lately.
fn let_time_pass(node: &Env) {
    let manifest = rusqlite::Connection::open(node.store().join("manifest.sqlite")).unwrap();
    manifest.execute("DELETE FROM here WHERE key = 'shared_log_known'", []).unwrap();
}

/// Returns the newest record that a node knows, without opening it.
fn place(store: &Path) -> i64 {
    let manifest = rusqlite::Connection::open(store.join("manifest.sqlite")).unwrap();
    let sql = "SELECT value FROM here WHERE key = 'shared_log'";
    let place: String = manifest.query_row(sql, [], |row| row.get(0)).unwrap();
    place.split(':').next().unwrap().parse().unwrap()
}

/// Returns the numbers of the records that are there.
fn records(team: &Team) -> Vec<i64> {
    let names = files_below(&team.share().join("log")).into_iter();
    names.filter_map(|path| path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()).collect()
}

fn signal(wcas: &WcasServer, signal: &str) {
    assert!(Command::new("kill").args([signal, &wcas.pid().to_string()]).status().unwrap().success());
}

fn create(node: &Env, prefix: &str, count: usize) {
    (0..count).for_each(|number| drop(node.ok(["collection", "create", &format!("{prefix}{number}")])));
}

#[test]
fn old_records_go_and_nodes_that_lack_them_begin_anew() {
    let team = Team::with(3, &wheels("demo", 2));
    let [one, two, three] = &team.nodes[..] else { panic!() };
    two.ok(["lookup", "demo0"]);
    create(one, "a", 3);
    three.ok(["list"]);
    create(one, "b", 5);
    let head = *records(&team).last().unwrap();
    // What is young stays, whatever is asked for.
    let report = one.json(["log", "prune", "--older-than", "0"]);
    assert_eq!(report["shared"], 0, "{report}");
    let head_now = *records(&team).last().unwrap();
    age(&team, head - 1);
    let report = one.json(["log", "prune", "--older-than", "30d"]);
    assert_eq!(report["shared"].as_i64(), Some(head - 1), "{report}");
    let left = records(&team);
    assert_eq!((left[0], *left.last().unwrap()), (head, head_now), "{left:?}");
    assert_eq!(files_below(&team.share().join("snapshots")).len(), 2);
    assert_eq!(one.json(["log", "prune", "--older-than", "30d"])["shared"], 0);
    // A new node begins with a snapshot.
    let four = Env::new();
    four.ok(["init", "--share", &team.url()]);
    assert!(four.ok(["list"]).stdout.contains("demo1"));
    // One that was away notices, says so, and goes on.
    let files = super::blobs(two);
    let_time_pass(two);
    let output = two.ok(["collection", "create", "mine"]);
    assert!(output.stderr.contains("too far behind"), "{output}");
    assert_eq!(super::blobs(two), files);
    let_time_pass(three);
    assert!(three.ok(["collection", "list"]).stdout.contains("b4"));
    team.assert_equal();
    for node in [one, two, three, &four] {
        node.ok(["verify"]);
        node.ok(["gc", "--grace", "0"]);
    }
    two.ok(["lookup", "demo1"]);
    team.assert_equal();
}

#[test]
fn a_server_that_was_stopped_for_long_begins_anew() {
    let team = Team::with(2, &wheels("demo", 1));
    let [one, two] = &team.nodes[..] else { panic!() };
    let wcas = WcasServer::start(two, &[]);
    until("it serves", || wcas.get("/shared/simple/demo0/").status == 200);
    signal(&wcas, "-STOP");
    create(one, "a", 4);
    age(&team, place(&one.store()) - 1);
    assert!(one.json(["log", "prune", "--older-than", "1d"])["shared"].as_i64().unwrap() > 3);
    let_time_pass(two);
    signal(&wcas, "-CONT");
    until("the server goes on", || wcas.get("/a3/simple/").status == 200);
    wcas.stop();
    team.assert_equal();
}

#[test]
fn a_node_whose_past_is_another_keeps_what_it_has() {
    let team = Team::with(2, &wheels("demo", 1));
    let [one, two] = &team.nodes[..] else { panic!() };
    two.ok(["list"]);
    create(one, "a", 4);
    age(&team, place(&one.store()) - 1);
    one.ok(["log", "prune", "--older-than", "1d"]);
    let list = files_below(&team.share().join("log")).into_iter().find(|path| path.extension().unwrap() == "digests");
    let list = list.unwrap();
    let kept = fs::read_to_string(&list).unwrap();
    let own = place(&two.store());
    let changed: String = kept
        .lines()
        .map(|line| match line.starts_with(&format!("{own} ")) {
            true => format!("{own} {}\n", "0".repeat(64)),
            false => format!("{line}\n"),
        })
        .collect();
    assert_ne!(changed, kept);
    fs::write(&list, changed).unwrap();
    let_time_pass(two);
    let output = two.run(["collection", "create", "mine"]);
    assert!(output.code == 1 && output.stderr.contains("is not the one that follows"), "{output}");
    assert!(two.ok(["list"]).stdout.contains("demo0"));
    fs::write(&list, kept).unwrap();
    two.ok(["collection", "create", "mine"]);
    team.assert_equal();
}

#[test]
fn where_no_snapshot_is_whole_new_ones_are_put_first() {
    let team = Team::with(2, &wheels("demo", 1));
    let [one, two] = &team.nodes[..] else { panic!() };
    create(one, "a", 4);
    age(&team, place(&one.store()) - 1);
    one.ok(["log", "prune", "--older-than", "1d"]);
    create(one, "b", 2);
    let snapshots = files_below(&team.share().join("snapshots"));
    let bytes = fs::read(&snapshots[1]).unwrap();
    fs::set_permissions(&snapshots[1], std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    fs::write(&snapshots[1], &bytes[1..]).unwrap();
    // Whoever comes takes the other one.
    let three = Env::new();
    three.ok(["init", "--share", &team.url()]);
    assert!(three.ok(["collection", "list"]).stdout.contains("b1"));
    let_time_pass(two);
    two.ok(["list"]);
    team.assert_equal();
    age(&team, place(&one.store()) - 1);
    assert!(one.json(["log", "prune", "--older-than", "1d"])["shared"].as_i64().unwrap() > 0);
    let four = Env::new();
    four.ok(["init", "--share", &team.url()]);
    // Where all are bad, nobody is left in the belief that there is nothing.
    for snapshot in files_below(&team.share().join("snapshots")) {
        fs::remove_file(snapshot).unwrap();
    }
    let five = Env::new();
    let output = five.run(["init", "--share", &team.url()]);
    assert!(output.code == 1 && output.stderr.contains("too far behind"), "{output}");
}

/// Returns faults at each of so many points: killed, and with an error of the disk at some.
fn faults(count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(|point| if point % 3 == 0 { format!("eio@{point}") } else { format!("kill@{point}") })
}

#[test]
fn a_prune_that_is_killed_anywhere_is_finished_by_the_next() {
    let team = Team::with(2, &wheels("demo", 1));
    let [one, two] = &team.nodes[..] else { panic!() };
    let args = ["log", "prune", "--older-than", "1d"];
    let write = |name: &str| {
        one.ok(["collection", "create", name]);
        two.ok(["collection", "create", &format!("{name}x")]);
        one.ok(["list"]);
        let head = place(&one.store());
        age(&team, head - 1);
        let_time_pass(two);
        head
    };
    write("traced");
    let count = points(&one.run_with_env(&[("WCAS_FAULT", "trace")], args));
    assert!(count > 20, "{count}");
    for armed in faults(count) {
        let name = armed.replace('@', "-");
        let head = write(&name);
        let output = one.run_with_env(&[("WCAS_FAULT", &armed)], args);
        let listed = two.ok(["collection", "list"]).stdout;
        assert!(listed.contains(&name), "{armed}: {output}");
        if armed.ends_with('0') {
            let new = Env::new();
            new.ok(["init", "--share", &team.url()]);
            assert_eq!(new.ok(["collection", "list"]).stdout, listed, "{armed}: {output}");
        }
        two.ok(args);
        assert!(records(&team)[0] >= head, "{armed}: {output}");
    }
    // What was left of those that were killed goes.
    one.ok(["gc"]);
    team.assert_equal();
}

#[test]
fn a_node_that_is_killed_anywhere_while_it_begins_anew_does_so_again() {
    let team = Team::with(2, &wheels("demo", 1));
    let [one, two] = &team.nodes[..] else { panic!() };
    two.ok(["lookup", "demo0"]);
    let leave_behind = |name: &str| {
        create(one, name, 2);
        age(&team, place(&one.store()) - 1);
        one.ok(["log", "prune", "--older-than", "1d"]);
        let_time_pass(two);
    };
    leave_behind("traced");
    let count = points(&two.run_with_env(&[("WCAS_FAULT", "trace")], ["collection", "create", "mine"]));
    assert!(count > 10, "{count}");
    for armed in faults(count) {
        let name = armed.replace('@', "-");
        leave_behind(&name);
        let mine = format!("mine-{name}");
        let output = two.run_with_env(&[("WCAS_FAULT", &armed)], ["collection", "create", &mine]);
        let listed = two.ok(["collection", "list"]).stdout;
        assert!(listed.contains(&format!("{name}1")), "{armed}: {output}");
        // Killed after the log had it, it counts all the same.
        assert!(output.code != 0 || listed.contains(&mine), "{armed}: {output}");
        assert_eq!(one.ok(["collection", "list"]).stdout, listed, "{armed}: {output}");
        two.ok(["collection", "create", &format!("yours-{name}")]);
    }
    two.ok(["gc", "--grace", "0"]);
    assert_eq!(super::blobs(two).len(), 1);
    two.ok(["verify"]);
    team.assert_equal();
}

#[test]
fn nodes_that_prune_at_once_while_others_write_lose_nothing() {
    let team = Team::with(4, &wheels("demo", 1));
    create(&team.nodes[0], "a", 20);
    age(&team, place(&team.nodes[0].store()) - 1);
    std::thread::scope(|scope| {
        for node in &team.nodes[..3] {
            scope.spawn(|| node.ok(["log", "prune", "--older-than", "1d"]));
        }
        scope.spawn(|| create(&team.nodes[3], "b", 10));
    });
    assert!(records(&team)[0] > 20);
    let listed = team.nodes[1].ok(["collection", "list"]).stdout;
    (0..10).for_each(|number| assert!(listed.contains(&format!("b{number}"))));
    team.assert_equal();
    // Whoever was faster, each record's digest was kept.
    let lists = files_below(&team.share().join("log")).into_iter();
    let lists =
        lists.filter(|path| path.extension().unwrap() == "digests").map(|path| fs::read_to_string(path).unwrap());
    let kept: std::collections::BTreeSet<i64> = lists
        .flat_map(|text| text.lines().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect::<Vec<_>>())
        .collect();
    assert_eq!(kept.into_iter().collect::<Vec<_>>(), (1..records(&team)[0]).collect::<Vec<_>>());
}

#[test]
fn a_log_in_postgresql_is_pruned_with_its_large_records() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let team = database::team(2, &url);
    let sql = |sql: &str| server.sql(url.rsplit('/').next().unwrap(), sql);
    let [one, two] = &team.nodes[..] else { panic!() };
    let text = "Nothing to see here. ".repeat(230_000);
    team.import(0, &[super::support::Wheel::new("large", "1.0").header("Description", &text)]);
    two.ok(["list"]);
    create(one, "a", 5);
    assert_eq!(files_below(&team.share().join("log")).len(), 1);
    sql("UPDATE wcas_log SET at = at - interval '40 days'");
    let head = place(&one.store());
    let report = one.json(["log", "prune", "--older-than", "30d"]);
    // The record of the audit's own pruning is young.
    let left = sql("SELECT min(number), max(number) - count(*) + 1 FROM wcas_log");
    assert_eq!(report["shared"].as_i64(), Some(head - 1), "{report}");
    assert_eq!(left, format!("{head}|{head}"));
    let kept = files_below(&team.share().join("log"));
    assert!(kept.len() == 1 && kept[0].extension().unwrap() == "digests", "{kept:?}");
    let_time_pass(two);
    let output = two.ok(["collection", "create", "mine"]);
    assert!(output.stderr.contains("too far behind"), "{output}");
    two.ok(["lookup", "large"]);
    let three = Env::new();
    three.ok(["init", "--share", &team.url()]);
    team.assert_equal();
    // The newest record stays, whoever asks.
    sql("UPDATE wcas_log SET at = at - interval '40 days'");
    std::thread::scope(|scope| {
        for node in &team.nodes {
            scope.spawn(|| node.ok(["log", "prune", "--older-than", "1d"]));
        }
    });
    assert_ne!(sql("SELECT count(*) FROM wcas_log"), "0");
    team.assert_equal();
}
