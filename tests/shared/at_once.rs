//! Nodes that write at once: one order, and nothing that was told is lost.

use super::{Team, wheels};
use std::fs;
use std::thread;

#[test]
fn imports_on_all_nodes_at_once_all_count() {
    const IMPORTS: usize = 6;
    let team = Team::new(3);
    team.import_at_once(IMPORTS);
    team.assert_equal();
    for node in &team.nodes {
        let listed = node.json(["list"]);
        assert_eq!(listed["distributions"].as_array().unwrap().len(), IMPORTS * 4);
        for import in 0..IMPORTS {
            node.ok(["lookup", &format!("all{import}x0")]);
            node.ok(["lookup", &format!("own0x{import}x0")]);
        }
        node.ok(["log", "verify"]);
    }
    team.nodes[0].ok(["gc", "--grace", "0"]);
    assert_eq!(team.objects().len(), IMPORTS * 4, "what was put twice went");
    team.assert_equal();
}

#[test]
fn gc_beside_imports_takes_nothing_that_counts() {
    let team = Team::with(2, &wheels("demo", 4));
    let is_over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let imports = scope.spawn(|| {
            for round in 0..8 {
                let dist = team.nodes[0].path("again");
                let _ = fs::remove_dir_all(&dist);
                fs::create_dir(&dist).unwrap();
                wheels("demo", 4).iter().for_each(|wheel| drop(wheel.write_to(&dist)));
                team.nodes[0].ok(["import", "again"]);
                if round < 7 {
                    team.nodes[0].ok(["invalidate", "demo1", "demo2", "--yes"]);
                }
            }
            is_over.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        while !is_over.load(std::sync::atomic::Ordering::SeqCst) && !imports.is_finished() {
            team.nodes[1].ok(["gc", "--grace", "0"]);
        }
    });
    team.assert_equal();
    for node in &team.nodes {
        for number in 0..4 {
            node.ok(["lookup", &format!("demo{number}")]);
        }
    }
    team.assert_equal();
}

#[test]
fn what_came_by_standard_input_counts_whatever_the_others_do() {
    const ROUNDS: usize = 6;
    let team = Team::new(2);
    thread::scope(|scope| {
        for (number, node) in team.nodes.iter().enumerate() {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let text = format!("[collections.c{number}x{round}]\n");
                    let output = node.run_with_stdin(text, ["config", "apply", "-"]);
                    assert!(output.code == 0 && output.stderr.contains("1 change made"), "{output}");
                }
            });
        }
    });
    let list = team.nodes[0].ok(["collection", "list"]).stdout;
    for name in (0..2).flat_map(|number| (0..ROUNDS).map(move |round| format!("c{number}x{round}"))) {
        assert!(list.contains(&name), "{name}: {list}");
    }
    team.assert_equal();
}
