//! A share whose log is in PostgreSQL, a real one.

use super::support::{Env, Postgres, WcasServer, Wheel, postgres, until};
use super::{Team, wheels};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Makes a team whose share is a folder of its first node, and its log in a database.
pub(super) fn team(count: usize, log: &str) -> Team {
    let nodes: Vec<Env> = (0..count).map(|_| Env::new()).collect();
    let url = format!("file://{}", nodes[0].path("share").display());
    Team::at(nodes, &["--share", &url, "--log", log])
}

fn database(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

#[test]
fn nodes_have_one_log_that_people_can_read() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let team = team(2, &url);
    team.import(0, &wheels("demo", 3));
    let [one, two] = &team.nodes[..] else { panic!() };
    two.ok(["lookup", "demo2"]);
    two.ok(["collection", "create", "cuda"]);
    two.ok(["block", "demo2==9", "--reason", "für \u{1F3CE}, \\u0000 and 'quotes'"]);
    assert_eq!(one.json(["collection", "list"])["collections"].as_array().unwrap().len(), 2);
    // The share says where its log is: who joins need not.
    let three = Env::new();
    let joined = three.json(["init", "--share", &team.url()]);
    assert_eq!((joined["node"].as_u64(), joined["log"].as_str()), (Some(3), Some(url.as_str())));
    assert!(three.ok(["list"]).stdout.contains("demo1"));
    assert_eq!(three.json(["doctor"])["share"]["log"], url.as_str());
    assert_eq!(fs::read_dir(team.share().join("log")).unwrap().count(), 0);
    let told = server.sql(
        database(&url),
        "SELECT node, command, record->'changes'->0->>'table' FROM wcas_log WHERE command = 'collection create'",
    );
    assert_eq!(told, "2|collection create|collection");
    let numbers = server.sql(database(&url), "SELECT min(number) = 1 AND max(number) = count(*) FROM wcas_log");
    assert_eq!(numbers, "t");
    team.assert_equal();
}

#[test]
fn nodes_that_write_at_once_take_turns() {
    let Some(server) = postgres() else { return };
    let team = team(3, &server.database());
    team.import_at_once(4);
    team.assert_equal();
    std::thread::scope(|scope| {
        for (number, node) in team.nodes.iter().enumerate() {
            scope.spawn(move || {
                for name in 0..20 {
                    node.ok(["collection", "create", &format!("c{number}x{name}")]);
                }
            });
        }
    });
    assert_eq!(team.nodes[0].json(["collection", "list"])["collections"].as_array().unwrap().len(), 61);
    team.assert_equal();
}

#[test]
fn who_finds_that_another_has_his_turn_waits_for_it() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let team = team(1, &url);
    let id = server.sql(database(&url), "SELECT share FROM wcas_log LIMIT 1");
    let lock = format!("hashtextextended('wcas ' || '{id}', 0)");
    let began = Instant::now();
    let mut holder = server.spawn(&url, &format!("SELECT pg_advisory_lock({lock}), pg_sleep(3)"));
    until("somebody has his turn", || {
        server.sql(database(&url), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "1"
    });
    team.nodes[0].ok(["collection", "create", "cuda"]);
    assert!(began.elapsed() >= Duration::from_secs(3));
    holder.wait().unwrap();
}

#[test]
fn a_database_that_crashes_and_comes_back_loses_nothing_that_was_told() {
    let Some(server) = Postgres::start() else { return };
    let url = server.url("wcas");
    let team = team(2, &url);
    let [one, two] = &team.nodes[..] else { panic!() };
    let is_over = AtomicBool::new(false);
    let done = std::thread::scope(|scope| {
        let done = scope.spawn(|| {
            let created = |name: &u32| one.run(["collection", "create", &format!("c{name}")]).code == 0;
            (0..).take_while(|_| !is_over.load(Relaxed)).filter(created).collect::<Vec<u32>>()
        });
        let trouble = scope.spawn(|| {
            for signal in ["QUIT", "INT", "KILL"] {
                std::thread::sleep(Duration::from_millis(300));
                server.end(signal);
                server.run();
            }
        });
        let ended = trouble.join();
        is_over.store(true, Relaxed);
        ended.unwrap();
        done.join().unwrap()
    });
    assert!(!done.is_empty());
    let listed = two.ok(["collection", "list"]).stdout;
    done.iter().for_each(|name| assert!(listed.contains(&format!("c{name} ")), "{name}: {listed}"));
    team.assert_equal();
    // Away: what is here is told and served, nothing is written, and who says so says what to do.
    team.import(0, &wheels("demo", 1));
    two.ok(["lookup", "demo0"]);
    let wcas = WcasServer::start(two, &[]);
    server.end("INT");
    let refused = one.run(["collection", "create", "late"]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("PostgreSQL"), "{refused}");
    assert!(two.ok(["list"]).stdout.contains("demo0"));
    assert_eq!(wcas.get("/shared/simple/demo0/").status, 200);
    until("the log's age is told", || wcas.metric("wcas_shared_log_age_seconds") > 1.0);
    server.run();
    one.ok(["collection", "create", "late"]);
    until("the server follows again", || wcas.get("/late/simple/").status == 200);
    wcas.stop();
    team.assert_equal();
    server.end("QUIT");
}

#[test]
fn a_large_record_is_an_object_of_the_bucket() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let team = team(2, &url);
    let text = "Nothing to see here. ".repeat(230_000);
    let wheel = Wheel::new("large", "1.0").header("Description", &text);
    team.import(0, &[wheel]);
    team.nodes[1].ok(["lookup", "large"]);
    let objects = server.sql(database(&url), "SELECT object FROM wcas_log WHERE object IS NOT NULL");
    assert!(team.share().join(&objects).is_file(), "{objects}");
    team.assert_equal();
}

#[test]
fn what_is_no_log_is_refused_with_a_reason() {
    let Some(server) = postgres() else { return };
    let env = Env::new();
    let share = format!("file://{}", env.path("share").display());
    let refused = |log: &str, why: &str| {
        let output = env.run(["init", "--share", &share, "--log", log]);
        assert!(output.code == 1 && output.stderr.contains(why), "{log}: {output}");
        assert!(!env.store().exists());
    };
    refused("mysql://host/db", "can't be a log");
    refused("postgres://wcas:secret@127.0.0.1/wcas", "PGPASSWORD");
    refused(&server.url("nowhere"), "does not exist");
    refused("postgres://wcas@/wcas", "no host");
    server.sql("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    refused(&server.url("latin"), "UTF8");
    env.ok(["init", "--share", &share]);
    let other = Env::new();
    let output = other.run(["init", "--share", &share, "--log", &server.url("wcas")]);
    assert!(output.code == 1 && output.stderr.contains("has its log in its bucket"), "{output}");
}
