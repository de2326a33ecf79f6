//! A node that is cut off: in a network namespace of its own, where what it sends to the bucket's server goes nowhere and nobody says so.

use super::bucket::team;
use super::support::skip::skip;
use super::support::{Env, postgres, weed};
use super::{Team, blames_share, bucket, wheels};
use std::process::{Command, Output};
use std::time::Instant;

/// Makes the namespace's loopback addresses lead to a neighbour that isn't there, and runs the rest of the line.
const SILENCE: &str = "set -e
ip link add near type veth peer name far
ip link set near up
ip link set far up
ip addr add 10.9.0.1/24 dev near
echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:09 dev near nud permanent
ip route add 127.0.0.0/8 via 10.9.0.2 dev near
exec \"$@\"";

/// Returns a command that is run where nobody answers.
fn in_silence(command: &Command) -> Command {
    let mut silent = Command::new("unshare");
    silent.args(["--user", "--map-root-user", "--net", "sh", "-c", SILENCE, "sh"]);
    silent.arg(command.get_program()).args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        silent.current_dir(dir);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => silent.env(name, value),
            None => silent.env_remove(name),
        };
    }
    silent
}

/// Tells whether namespaces can be made here.
fn can_be_silent() -> bool {
    let tried = in_silence(&Command::new("true")).output();
    let is_possible = tried.as_ref().is_ok_and(|output| output.status.success());
    if !is_possible {
        let told = tried.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
        skip(format!("no node can be cut off without network namespaces (unshare, ip): {told:?}"));
    }
    is_possible
}

/// Runs a command where nobody answers, which ends within a minute.
fn run(node: &Env, args: &[&str]) -> Output {
    let begun = Instant::now();
    let mut command = node.command(["x"]);
    command = {
        let mut limited = Command::new("timeout");
        limited.arg("60").arg(command.get_program()).args(args);
        limited.current_dir(command.get_current_dir().unwrap());
        for (name, value) in command.get_envs() {
            limited.env(name, value.unwrap_or_default());
        }
        limited
    };
    let output = in_silence(&command).output().unwrap();
    println!("{args:?}: {:?} after {:?}", output.status.code(), begun.elapsed());
    output
}

fn assert_goes_on(team: &Team) {
    let [one, two] = &team.nodes[..] else { panic!() };
    let known = two.json(["lookup", "demo0"])["path"].as_str().unwrap().to_owned();
    wheels("late", 1)[0].write_to(two.path("."));
    // What is here is given; what would have to be told to others isn't done, and says why.
    let found = run(two, &["lookup", "demo0"]);
    assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), known, "{found:?}");
    let listed = run(two, &["list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("demo1"), "{listed:?}");
    let text = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let refused = run(two, &["import", "late0-1.0-py3-none-any.whl"]);
    assert!(refused.status.code() == Some(1) && blames_share(&text(&refused)), "{refused:?}");
    let missed = run(two, &["lookup", "demo1"]);
    assert!(missed.status.code() == Some(1) && blames_share(&text(&missed)), "{missed:?}");
    // Others go on, and so does this node when it is back.
    one.ok(["collection", "create", "meanwhile"]);
    two.ok(["import", "late0-1.0-py3-none-any.whl"]);
    two.ok(["lookup", "demo1"]);
    team.assert_equal();
    two.ok(["verify"]);
}

/// A team of two, the second of which has none of the files.
fn filled(team: Team) -> Team {
    let one = &team.nodes[0];
    let dist = one.path("dist");
    std::fs::create_dir(&dist).unwrap();
    for wheel in wheels("demo", 2) {
        wheel.write_to(&dist);
    }
    one.ok(["import", "dist"]);
    team
}

#[test]
fn a_node_that_is_cut_off_reads_what_it_has_and_says_what_it_cannot() {
    if !can_be_silent() {
        return;
    }
    let Some(weed) = weed() else { return };
    assert_goes_on(&filled(team(2, &weed.address)));
}

#[test]
fn so_does_one_that_is_cut_off_from_the_logs_database_as_well() {
    if !can_be_silent() {
        return;
    }
    let (Some(weed), Some(server)) = (weed(), postgres()) else { return };
    assert_goes_on(&filled(bucket::team_with(2, &weed.address, &["--log", &server.database()])));
}
