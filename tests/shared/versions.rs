//! Nodes of different versions: a newer schema is in no record before somebody said so. What is newer is this program with a step more,
//! which debug builds take from the environment.

use super::support::{Env, WcasServer, until};
use super::{Team, wheels};

/// A step that adds a column, which collections of some names have a value of their own in.
const STEP: &str = "ALTER TABLE collection ADD COLUMN novelty TEXT NOT NULL DEFAULT 'none';
    ALTER TABLE collection ADD COLUMN novel_bytes BLOB DEFAULT x'00ff';
    CREATE TRIGGER novelty AFTER INSERT ON collection WHEN new.name GLOB 'novel*' BEGIN
      UPDATE collection SET novelty = new.name WHERE id = new.id; END;";

/// Gives a node the newer program.
fn renew(node: &mut Env) {
    node.set("WCAS_STEP", STEP);
}

/// Returns what a node's manifest says of its collections' new column.
fn novelties(node: &Env) -> Vec<(String, String)> {
    let manifest = rusqlite::Connection::open(node.store().join("manifest.sqlite")).unwrap();
    let mut statement = manifest.prepare("SELECT name, novelty FROM collection ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Returns the newest record, as text.
fn newest(team: &Team) -> String {
    let log = super::files_below(&team.share().join("log"));
    std::fs::read_to_string(log.last().unwrap()).unwrap()
}

#[test]
fn a_newer_program_writes_what_older_ones_read_until_it_is_told_otherwise() {
    let mut team = Team::with(3, &wheels("demo", 2));
    for node in [1, 2] {
        renew(&mut team.nodes[node]);
    }
    let [one, two, three] = &team.nodes[..] else { panic!() };
    // Nothing is written by the way.
    two.ok(["list"]);
    two.ok(["doctor"]);
    assert!(newest(&team).contains("\"schema\":11,"));
    two.ok(["collection", "create", "plain"]);
    assert!(newest(&team).contains("\"schema\":11,") && !newest(&team).contains("\"novelty\""), "{}", newest(&team));
    two.ok(["lookup", "demo0"]);
    team.import(1, &wheels("more", 1));
    one.ok(["collection", "set", "plain", "--keep-builds", "3"]);
    one.ok(["collection", "create", "older"]);
    one.ok(["lookup", "more0"]);
    // What the older schema can't say is refused, and said by nobody.
    let output = two.run(["collection", "create", "novel"]);
    assert!(output.code == 1 && output.stderr.contains("wcas upgrade"), "{output}");
    assert!(!one.ok(["collection", "list"]).stdout.contains("novel"));
    assert!(!two.ok(["collection", "list"]).stdout.contains("novel"));
    // Rows that older programs wrote have the defaults.
    three.ok(["list"]);
    let none = |name: &str| (name.to_owned(), "none".to_owned());
    assert_eq!(novelties(three), [none("older"), none("plain"), none("shared")]);
    // A snapshot would be one that older nodes can't begin with.
    assert_eq!(two.json(["log", "prune", "--older-than", "0"])["shared"], 0);
    let server = WcasServer::start(one, &[]);
    let report = two.json(["upgrade"]);
    assert_eq!((report["from"].as_i64(), report["to"].as_i64()), (Some(11), Some(12)), "{report}");
    assert!(newest(&team).contains("\"schema\":12,"));
    assert_eq!(two.json(["upgrade"])["from"], 12);
    two.ok(["collection", "create", "novel"]);
    // Older nodes read on, as old as what they know is, write nothing, and say why.
    for args in [&["list"][..], &["lookup", "demo0"], &["view"]] {
        let output = one.ok(args);
        assert!(output.stderr.contains("use a newer wcas"), "{output}");
    }
    until("the server says that it gets old", || server.metric("wcas_shared_log_age_seconds") > 1.0);
    assert_eq!(server.get("/shared/simple/demo0/").status, 200);
    server.stop();
    let before = newest(&team);
    for args in [&["collection", "create", "late"][..], &["gc"], &["upgrade"]] {
        let output = one.run(args);
        assert!(output.code == 1 && output.stderr.contains("use a newer wcas"), "{output}");
    }
    assert_eq!(newest(&team), before);
    // Newer ones go on, those that weren't there as well.
    three.ok(["collection", "create", "novel2"]);
    let expected = [("novel", "novel"), ("novel2", "novel2"), ("older", "none"), ("plain", "none"), ("shared", "none")];
    two.ok(["list"]);
    for node in [two, three] {
        let found = novelties(node);
        assert!(found.iter().map(|(name, novelty)| (name.as_str(), novelty.as_str())).eq(expected), "{found:?}");
    }
    let mut four = Env::new();
    let output = four.run(["init", "--share", &team.url()]);
    assert!(output.code == 1 && output.stderr.contains("use a newer wcas"), "{output}");
    renew(&mut four);
    four.ok(["list"]);
    assert_eq!(novelties(&four).len(), 5);
    // With the newer program, a node that was left behind is as the others are.
    renew(&mut team.nodes[0]);
    team.nodes[0].ok(["collection", "create", "late"]);
    team.assert_equal();
}

#[test]
fn a_share_that_a_newer_program_makes_is_of_its_schema() {
    let mut team = Team { nodes: vec![Env::new(), Env::new()] };
    renew(&mut team.nodes[0]);
    let [one, two] = &team.nodes[..] else { panic!() };
    wheels("demo", 1)[0].write_to(one.path("dist"));
    one.ok(["import", "dist"]);
    let report = one.json(["upgrade"]);
    assert_eq!((report["share"].as_str(), &report["from"]), (None, &report["to"]));
    one.ok(["share", &team.url()]);
    one.ok(["collection", "create", "novel"]);
    assert_eq!(one.json(["upgrade"])["from"], 12);
    let output = two.run(["init", "--share", &team.url()]);
    assert!(output.code == 1 && output.stderr.contains("use a newer wcas"), "{output}");
    renew(&mut team.nodes[1]);
    team.nodes[1].ok(["init", "--share", &team.url()]);
    team.assert_equal();
    // What a store of its own is again, it is of its own schema.
    team.nodes[0].ok(["unshare"]);
    team.nodes[0].ok(["collection", "create", "novel3"]);
    team.nodes[0].ok(["doctor"]);
}

#[test]
fn a_snapshot_of_an_older_schema_does_for_a_newer_node() {
    let own = Env::new();
    wheels("demo", 1)[0].write_to(own.path("dist"));
    own.ok(["import", "dist"]);
    let team = Team { nodes: vec![own] };
    team.nodes[0].ok(["share", &team.url()]);
    let mut two = Env::new();
    renew(&mut two);
    two.ok(["init", "--share", &team.url()]);
    two.ok(["lookup", "demo0"]);
    team.nodes[0].ok(["collection", "create", "older"]);
    two.ok(["upgrade"]);
    two.ok(["collection", "create", "novel"]);
    assert_eq!(novelties(&two).len(), 3);
}
