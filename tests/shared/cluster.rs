//! A bucket of several servers, of which one is killed: no wrong answer, and what failed succeeds when it is done again.

use super::bucket::team_with;
use super::support::{Env, Random, WeedCluster, postgres, until};
use super::{Team, wheels};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

#[test]
fn a_volume_server_that_is_killed_loses_nothing_and_a_second_try_succeeds() {
    let Some(mut cluster) = WeedCluster::start() else { return };
    let logs = [Some(Vec::new()), postgres().map(|server| vec!["--log".to_owned(), server.database()])];
    for (round, log) in logs.into_iter().flatten().enumerate() {
        let log: Vec<&str> = log.iter().map(String::as_str).collect();
        let team = team_with(2, &cluster.gateway.address, &log);
        work(&team, || {
            thread::sleep(Duration::from_secs(2));
            cluster.kill(round);
            thread::sleep(Duration::from_secs(6));
            cluster.revive(round);
            thread::sleep(Duration::from_secs(2));
        });
    }
}

/// Lets both nodes import and look up while something happens; what fails is done again until it succeeds.
fn work(team: &Team, trouble: impl FnOnce()) {
    let all = team.nodes[0].path("all");
    fs::create_dir(&all).unwrap();
    let (is_over, failed) = (AtomicBool::new(false), AtomicU32::new(0));
    let acknowledged = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for (number, node) in team.nodes.iter().enumerate() {
            let (is_over, failed, acknowledged) = (&is_over, &failed, &acknowledged);
            scope.spawn(move || {
                let random = &mut Random(number as u64 + 1);
                let mut import = 0;
                while !is_over.load(Relaxed) {
                    import += 1;
                    let name = format!("w{number}x{import}x0");
                    let dist = node.path(format!("dist{import}"));
                    fs::create_dir(&dist).unwrap();
                    wheels(&format!("w{number}x{import}x"), 1)[0].write_to(&dist);
                    again(node, failed, &["import", dist.to_str().unwrap()]);
                    acknowledged.lock().unwrap().insert((name, wheels(&format!("w{number}x{import}x"), 1)[0].bytes()));
                    let known = acknowledged.lock().unwrap();
                    let (name, bytes) = known.iter().nth(random.below(known.len() as u64) as usize).unwrap().clone();
                    drop(known);
                    let path = again(node, failed, &["lookup", &name]);
                    assert!(fs::read(path).unwrap() == bytes, "{name}");
                }
            });
        }
        trouble();
        is_over.store(true, Relaxed);
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    println!("{} imports, {} tries that failed", acknowledged.len(), failed.into_inner());
    for (number, (name, bytes)) in acknowledged.iter().enumerate() {
        let path = again(&team.nodes[number % 2], &AtomicU32::new(0), &["lookup", name]);
        assert!(&fs::read(path).unwrap() == bytes, "{name}");
    }
    for node in &team.nodes {
        node.ok(["prefetch"]);
        node.ok(["verify"]);
        node.ok(["log", "verify"]);
    }
    let report = team.nodes[0].json(["verify", "--bucket"]);
    assert_eq!(report["checked"].as_u64(), Some(acknowledged.len() as u64), "{report}");
    team.assert_equal();
}

/// Runs a command until it succeeds; before, it may only say that the share fails. Returns what it prints.
fn again(node: &Env, failed: &AtomicU32, args: &[&str]) -> PathBuf {
    let mut printed = PathBuf::new();
    until("a command succeeds again", || {
        let output = node.run(args);
        let has_failed = output.code != 0;
        assert!(!has_failed || super::blames_share(&output.stderr), "{args:?}: {output}");
        failed.fetch_add(u32::from(has_failed), Relaxed);
        printed = PathBuf::from(output.stdout.trim_end());
        !has_failed
    });
    printed
}
