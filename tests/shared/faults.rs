//! Killed at each change of the disk, the share's among them: nothing that was told is lost, and the nodes stay equal.

use super::{Team, wheels};
use std::fs;

/// Returns how many fault points a command passes.
pub(super) fn points(output: &super::support::Output) -> usize {
    let line = output.stderr.lines().find(|line| line.starts_with("passed ")).expect("a debug build counts");
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_node_killed_anywhere_in_an_import_leaves_the_team_sound() {
    let traced = Team::with(2, &wheels("demo", 1));
    let dist = traced.nodes[1].path("dist");
    fs::create_dir(&dist).unwrap();
    wheels("new", 2).iter().for_each(|wheel| drop(wheel.write_to(&dist)));
    let count = points(&traced.nodes[1].run_with_env(&[("WCAS_FAULT", "trace")], ["import", "dist"]));
    assert!(count > 60, "{count}");
    // The commit to the log is among them.
    for fault in ["kill", "eio"] {
        for point in (1..=count).step_by(if fault == "kill" { 2 } else { 5 }) {
            let team = Team::with(2, &wheels("demo", 1));
            let [one, two] = &team.nodes[..] else { panic!() };
            fs::create_dir(two.path("dist")).unwrap();
            wheels("new", 2).iter().for_each(|wheel| drop(wheel.write_to(two.path("dist"))));
            let armed = format!("{fault}@{point}");
            let output = two.run_with_env(&[("WCAS_FAULT", &armed)], ["import", "dist"]);
            // What was told counts, on the other node, too.
            if output.code == 0 {
                one.ok(["lookup", "new0"]);
            }
            for object in one.json(["list"])["distributions"].as_array().unwrap() {
                one.ok(["lookup", object["project"].as_str().unwrap()]);
            }
            two.ok(["import", "dist"]);
            team.assert_equal();
            one.ok(["lookup", "new1"]);
            two.ok(["gc", "--grace", "0"]);
            assert_eq!(team.objects().len(), 3, "{armed}: {output}");
            team.assert_equal();
        }
    }
}

#[test]
fn a_node_killed_anywhere_in_a_fetch_fetches_again() {
    let team = Team::with(2, &wheels("demo", 1));
    let count = points(&team.nodes[1].run_with_env(&[("WCAS_FAULT", "trace")], ["lookup", "demo0"]));
    assert!(count > 15, "{count}");
    for (fault, point) in (1..=count).flat_map(|point| [("kill", point), ("eio", point)]) {
        let team = Team::with(2, &wheels("demo", 1));
        let two = &team.nodes[1];
        let armed = format!("{fault}@{point}");
        let output = two.run_with_env(&[("WCAS_FAULT", &armed)], ["lookup", "demo0"]);
        two.ok(["lookup", "demo0"]);
        two.ok(["verify"]);
        two.ok(["gc", "--grace", "0"]);
        assert_eq!(super::blobs(two).len(), 1, "{armed}: {output}");
        team.assert_equal();
    }
}
