//! A node whose disk is full: what is refused says so, nothing is lost, and all goes on when there is room.

use super::support::{Env, Fill, SmallDisk, Wheel};
use super::{Team, blobs, files_below, wheels};

/// A team whose second node is on a disk of its own, which is small: but for what stays free (`disk-spare`) it has room for some 70 MB.
fn team_on_a_small_disk() -> Option<(Team, SmallDisk)> {
    let one = Env::new();
    let disk = SmallDisk::mount(&one.path("disk"), "size=140m,nr_inodes=500")?;
    let two = Env::new_in(disk.path());
    let url = format!("file://{}", one.path("share").display());
    Some((Team::at(vec![one, two], &["--share", &url]), disk))
}

/// Returns what a node has on its way.
fn staged(node: &Env) -> usize {
    files_below(&node.store().join("staging")).len()
}

#[test]
fn without_room_a_node_says_so_and_loses_nothing() {
    for with in [Fill::Bytes, Fill::Names] {
        let Some((team, disk)) = team_on_a_small_disk() else { return };
        let [one, two] = &team.nodes[..] else { panic!() };
        team.import(0, &wheels("demo", 6));
        team.import(1, &wheels("own", 2));
        one.ok(["invalidate", "demo5", "--yes"]);
        two.ok(["lookup", "demo0"]);
        disk.fill(with);
        // What is here is told, and what isn't can't be fetched.
        two.ok(["lookup", "own0"]);
        two.ok(["lookup", "demo0"]);
        two.ok(["list"]);
        let import = one.path("dist");
        for args in [&["lookup", "demo1"][..], &["import", import.to_str().unwrap(), "--collection", "new"]] {
            let output = two.run(args);
            assert_eq!(output.code, 1, "{with:?} {args:?}: {output}");
            assert!(output.stderr.contains("`wcas gc`"), "{with:?} {args:?}: {output}");
        }
        let gc = two.run(["gc", "--grace", "0"]);
        // It works by its reserve, and tells that it can't have it back yet.
        assert!(gc.code == 0 || (gc.code == 3 && gc.stderr.contains("set the reserve aside")), "{with:?}: {gc}");
        // The others aren't hindered.
        one.ok(["lookup", "own1"]);
        disk.unfill();
        two.ok(["lookup", "demo1"]);
        two.ok(["import", import.to_str().unwrap(), "--collection", "new"]);
        one.ok(["lookup", "demo5", "--collection", "new"]);
        two.ok(["gc", "--grace", "0"]);
        two.ok(["verify"]);
        two.ok(["verify", "--bucket"]);
        assert_eq!(staged(two), 0);
        team.assert_equal();
    }
}

#[test]
fn what_is_larger_than_the_room_leaves_nothing_behind_and_comes_when_there_is_some() {
    let Some((team, disk)) = team_on_a_small_disk() else { return };
    let [one, two] = &team.nodes[..] else { panic!() };
    team.import(0, &[Wheel::new("large", "1.0").payload(45_000_000, 1), Wheel::new("demo", "1.0")]);
    let before = one.ok(["list"]).stdout;
    std::fs::write(disk.path().join("filling-0"), vec![1; 100_000_000]).unwrap();
    let output = two.run(["lookup", "large"]);
    assert!(output.code == 1 && output.stderr.contains("`wcas gc`"), "{output}");
    let dist = one.path("dist");
    let import = ["import", dist.to_str().unwrap(), "--collection", "new", "--link", "copy"];
    let output = two.run(import);
    assert_ne!(output.code, 0, "{output}");
    assert!(output.stderr.contains("`wcas gc`"), "{output}");
    assert_eq!((staged(two), two.ok(["list", "--collection", "shared"]).stdout), (0, before), "{output}");
    disk.unfill();
    two.ok(["lookup", "large"]);
    two.ok(import);
    one.ok(["lookup", "large", "--collection", "new"]);
    assert_eq!(blobs(two).len(), 2);
    two.ok(["verify"]);
    team.assert_equal();
}
