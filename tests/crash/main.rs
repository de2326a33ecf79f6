//! Stops each command at each of its disk changes: the process is killed, the change fails, the disk is full (X1, I1-I5, I8-I11).
//!
//! After each stop the store is sound, readers see the old or the new state and nothing between, and running again ends where an
//! undisturbed run ends. Fault points are in debug builds only; in a release build these tests say so and do nothing.

mod races;
mod sandbox;
mod state;
#[path = "../support/mod.rs"]
mod support;

use sandbox::{KILLED, Output, Sandbox, Seen};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use support::{Sdist, Wheel};

/// At most about so many points of one command are tried with each kind of failing change; a kill is tried at every one.
const SAMPLES: usize = 24;

/// What an undisturbed run does.
struct Goal {
    args: Vec<&'static str>,
    /// Exit codes of the command when its work was done before.
    again: &'static [i32],
    code: i32,
    before: Seen,
    after: Seen,
    /// Blobs that were bad before, on purpose, and those that still are after.
    were_bad: BTreeSet<String>,
    are_bad: BTreeSet<String>,
    wrong_bytes: BTreeSet<Vec<u8>>,
    /// The blobs that gc without grace leaves.
    blobs: BTreeSet<String>,
    points: usize,
}

/// Prepares a sandbox that is come back to; none in a release build, which has no fault points.
fn prepared(prepare: impl Fn(&Sandbox)) -> Option<Sandbox> {
    if cfg!(not(debug_assertions)) {
        support::skip("there are no fault points in a release build");
        return None;
    }
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    sandbox.save();
    Some(sandbox)
}

/// Stops a command at each of its disk changes. `again` are the exit codes that it may have when all was done before.
#[expect(clippy::print_stdout, reason = "a test says what it tried, or that it could not")]
fn stop_everywhere(prepare: impl Fn(&Sandbox), args: &[&'static str], again: &'static [i32]) {
    let Some(sandbox) = prepared(prepare) else { return };
    let goal = undisturbed(&sandbox, "", args, again);
    assert!(goal.points > 1, "the command must change the disk");
    let stride = goal.points.div_ceil(SAMPLES);
    let (mut stopped, mut most) = (0, 0);
    // What comes first after the stop matters most where nothing could be tidied: both orders for a kill.
    for (fault, stride, others_first) in
        [("kill", 1, true), ("kill", 1, false), ("eio", stride, true), ("enospc", stride, false)]
    {
        for number in (1..).step_by(stride) {
            sandbox.restore();
            let output = sandbox.run(Some(&format!("{fault}@{number}")), &goal.args);
            let at =
                format!("{} with {fault}@{number} (exit {}: {})", args.join(" "), output.code, output.stderr.trim());
            if is_over(&output, number) {
                check_done(&sandbox, &goal, &at);
                break;
            }
            stopped += 1;
            most = most.max(number);
            check_output(&sandbox.path("").to_string_lossy(), &output, fault, &at);
            check_stopped(&sandbox, &goal, &output, &at);
            run_again(&sandbox, &goal, others_first, &at);
        }
    }
    println!("{}: {} points, stopped {stopped} times, last at {most}", args.join(" "), goal.points);
}

/// Reads a line of a trace: `point 17: rename to PATH`.
fn point(line: &str) -> Option<(usize, &str)> {
    let (number, act) = line.strip_prefix("point ")?.split_once(": ")?;
    Some((number.parse().ok()?, act))
}

/// Kills a command before each of its renames and around them, on a filesystem that knows no renames that exchange names or spare
/// what is there: its other points are those that all filesystems have.
#[expect(clippy::print_stdout, reason = "a test says what it tried, or that it could not")]
fn stop_at_plain_renames(prepare: impl Fn(&Sandbox), args: &[&'static str], again: &'static [i32]) {
    let Some(sandbox) = prepared(prepare) else { return };
    let trail = sandbox.run(Some("plain-renames,trace"), args).stderr;
    sandbox.restore();
    let goal = undisturbed(&sandbox, "plain-renames,", args, again);
    let is_rename = |act: &str| act.starts_with("exchange ") || act.starts_with("rename to ");
    // The folder of a flat tree is open, and its path is the handle's.
    let is_tree = |act: &str| act.contains("/proc/self/fd/") && !act.ends_with(".wcas-view");
    let points: BTreeMap<usize, &str> = trail.lines().filter_map(point).collect();
    let renames = points.iter().filter(|(_, act)| is_rename(act) && is_tree(act));
    let stops: BTreeSet<usize> = renames.flat_map(|(&at, _)| [at, at + 1, at + 2]).collect();
    assert!(!stops.is_empty(), "nothing was renamed: {trail}");
    for &number in &stops {
        sandbox.restore();
        let output = sandbox.run(Some(&format!("plain-renames,kill@{number}")), &goal.args);
        let at = format!("{} with plain-renames,kill@{number}", args.join(" "));
        check_stopped(&sandbox, &goal, &output, &at);
        run_again(&sandbox, &goal, number % 2 == 0, &at);
    }
    println!("{}: stopped {} times of {} points", args.join(" "), stops.len(), points.len());
}

fn undisturbed(sandbox: &Sandbox, lack: &str, args: &[&'static str], again: &'static [i32]) -> Goal {
    let before = sandbox.look();
    let were_bad = state::bad_blobs(&sandbox.store());
    let wrong_bytes = sandbox.wrong_bytes(&were_bad);
    let Output { code, stderr } = sandbox.run(Some(&format!("{lack}kill@1000000")), args);
    assert!(matches!(code, 0 | 3), "{args:?} undisturbed: {stderr}");
    let after = sandbox.look();
    assert_eq!(state::unsound(&sandbox.store(), &were_bad), Vec::<String>::new(), "{args:?} undisturbed");
    state::collect(&sandbox.store(), 0);
    assert_eq!(state::leftovers(&sandbox.store()), Vec::<String>::new(), "{args:?} undisturbed");
    let are_bad = state::problems(&sandbox.store());
    let blobs = state::blob_files(&sandbox.store()).into_keys().collect();
    let args = args.to_vec();
    Goal { args, again, code, before, after, were_bad, are_bad, wrong_bytes, blobs, points: passed(&stderr) }
}

fn passed(stderr: &str) -> usize {
    let count =
        stderr.lines().find_map(|line| line.strip_prefix("passed ")?.strip_suffix(" fault points")?.parse().ok());
    count.unwrap_or_else(|| panic!("a command with a fault that ends says how many points it passed: {stderr}"))
}

/// Tells that a command came to its end before the fault.
fn is_over(output: &Output, number: usize) -> bool {
    output.code != KILLED && passed(&output.stderr) < number
}

#[track_caller]
fn check_done(sandbox: &Sandbox, goal: &Goal, at: &str) {
    assert_eq!(sandbox.look(), goal.after, "{at}");
    assert_eq!(state::unsound(&sandbox.store(), &goal.were_bad), Vec::<String>::new(), "{at}");
}

/// A kill leaves no message; a failed change is told with its place, or was rightly absorbed.
#[track_caller]
fn check_output(root: &str, output: &Output, fault: &str, at: &str) {
    if fault == "kill" {
        assert_eq!(output.code, KILLED, "{at}");
        return;
    }
    assert!(!output.stderr.contains("panicked"), "{at}");
    assert!(matches!(output.code, 0 | 1 | 3), "{at}");
    if output.code == 1 {
        assert!(output.stderr.contains(root) || output.stderr.contains("manifest"), "it tells no place: {at}");
        assert!(output.stderr.contains("because: "), "{at}");
        assert!(fault != "enospc" || output.stderr.contains("hint: "), "{at}");
    }
}

/// Whatever stopped it: nothing is broken, and readers see the old state or the new one.
#[track_caller]
fn check_stopped(sandbox: &Sandbox, goal: &Goal, output: &Output, at: &str) {
    assert_eq!(state::unsound(&sandbox.store(), &goal.were_bad), Vec::<String>::new(), "{at}");
    let seen = sandbox.look();
    assert!(
        seen.listing == goal.before.listing || seen.listing == goal.after.listing,
        "neither old nor new: {seen:#?}\n{at}"
    );
    assert!(
        state::is_between(&seen.trees, &goal.before.trees, &goal.after.trees),
        "neither old nor new: {seen:#?}\n{at}"
    );
    if output.code == 0 {
        assert_eq!(seen, goal.after, "it said that it is done: {at}");
    }
    assert!(sandbox.wrong_bytes(&goal.were_bad).is_superset(&goal.wrong_bytes), "bytes were destroyed: {at}");
}

/// Running again ends where an undisturbed run ends, whether or not verify and gc come between.
#[track_caller]
fn run_again(sandbox: &Sandbox, goal: &Goal, others_first: bool, at: &str) {
    let store = sandbox.store();
    if others_first {
        let problems = state::problems(&store);
        assert!(problems.is_subset(&goal.were_bad), "verify finds more than the damage: {problems:?}\n{at}");
        // What is half published or half deleted needs no grace; what came before the end of an import may wait for the next.
        state::collect(&store, 48 * 3600);
        assert_eq!(state::leftovers(&store), Vec::<String>::new(), "after verify and gc: {at}");
        assert_eq!(state::unsound(&store, &goal.were_bad), Vec::<String>::new(), "after verify and gc: {at}");
    }
    let was_done = sandbox.look() == goal.after;
    let again = sandbox.run(None, &goal.args);
    let is_expected = again.code == goal.code || (was_done && goal.again.contains(&again.code));
    assert!(is_expected, "again: exit {}: {}\n{at}", again.code, again.stderr);
    assert_eq!(sandbox.look(), goal.after, "again: {at}");
    state::collect(&store, 0);
    assert_eq!(sandbox.look(), goal.after, "after gc: {at}");
    assert_eq!(state::unsound(&store, &goal.were_bad), Vec::<String>::new(), "in the end: {at}");
    assert_eq!(state::problems(&store), goal.are_bad, "in the end: {at}");
    assert_eq!(state::blob_files(&store).into_keys().collect::<BTreeSet<_>>(), goal.blobs, "in the end: {at}");
    assert_eq!(state::leftovers(&store), Vec::<String>::new(), "in the end: {at}");
    for name in state::names(&sandbox.path("views")) {
        assert!(!name.starts_with('.'), "{name} is left: {at}");
        let dir = sandbox.path("views").join(name);
        let hidden = state::names(&dir.join(".wcas"));
        assert!(hidden.len() <= 3, "of a tree {hidden:?} is left: {at}");
        let mut hidden = state::names(&dir);
        hidden.retain(|name| name.starts_with('.') && name != ".wcas" && name != ".wcas-view");
        assert!(hidden.is_empty(), "of a flat tree {hidden:?} is left: {at}");
    }
}

/// Puts a few wheels and an sdist into a folder.
fn write_sources(sandbox: &Sandbox) {
    let dir = sandbox.path("src/one");
    Wheel::new("alpha", "1.0").build("1").payload(2000, 1).write_to(&dir);
    Wheel::new("alpha", "1.0").build("2").payload(3000, 2).write_to(&dir);
    Wheel::new("beta", "1.0").requires("alpha").payload(4000, 3).write_to(&dir);
    Sdist::new("gamma", "1.0").payload(500, 4).write_to(dir.join("below"));
}

/// Adds to the folder: new, other bytes under a known name, known bytes under a new name.
fn write_more_sources(sandbox: &Sandbox) {
    let dir = sandbox.path("src/two");
    Wheel::new("delta", "1.0").payload(2500, 5).write_to(&dir);
    Wheel::new("beta", "1.0").requires("alpha").payload(4000, 6).write_to(&dir);
    let alpha = Wheel::new("alpha", "1.0").build("1").payload(2000, 1);
    alpha.write_to(&dir);
    fs::write(dir.join("alpha-1.0-7-py3-none-any.whl"), alpha.bytes()).expect("a test's folder can be written");
    Sdist::new("gamma", "1.0").payload(500, 4).write_to(&dir);
    Sdist::new("gamma", "2.0").payload(700, 7).write_to(&dir);
}

/// A store with two collections that share blobs, and history.
fn prepare_store(sandbox: &Sandbox) {
    write_sources(sandbox);
    sandbox.ok(&["import", "src/one", "--collection", "cuda"]);
    sandbox.ok(&["import", "src/one/beta-1.0-py3-none-any.whl"]);
    write_more_sources(sandbox);
}

/// Damages blobs: the first has other bytes of its size, the second is cut short, the third is gone.
fn damage(sandbox: &Sandbox, count: usize) {
    for (name, act) in state::blob_files(&sandbox.store()).keys().take(count).zip(0..) {
        let path = state::blob_path(&sandbox.store(), name);
        let mut bytes = fs::read(&path).expect("a blob can be read");
        fs::remove_file(&path).expect("a blob can be removed");
        match act {
            0 => bytes[100] ^= 1,
            1 => bytes.truncate(100),
            _ => continue,
        }
        fs::write(&path, bytes).expect("a blob can be written");
    }
}

#[test]
fn an_import_into_no_store_can_be_stopped_anywhere() {
    stop_everywhere(write_sources, &["import", "src/one", "--link", "copy"], &[]);
}

#[test]
fn an_import_by_hard_links_can_be_stopped_anywhere() {
    stop_everywhere(write_sources, &["import", "src/one", "--link", "hardlink"], &[]);
}

#[test]
fn an_import_that_moves_can_be_stopped_anywhere() {
    stop_everywhere(prepare_store, &["import", "src/two", "--collection", "rocm", "--link", "move"], &[]);
}

#[test]
fn an_import_of_known_new_and_replaced_files_can_be_stopped_anywhere() {
    stop_everywhere(prepare_store, &["import", "src/two", "--collection", "cuda"], &[]);
}

#[test]
fn a_routed_import_can_be_stopped_anywhere() {
    let prepare = |sandbox: &Sandbox| {
        prepare_store(sandbox);
        fs::write(sandbox.path("cuda.txt"), "beta\ngamma\n").expect("a test's folder can be written");
        sandbox.ok(&["route", "set", "cuda", "--requirements", "cuda.txt"]);
        sandbox.ok(&["route", "override", "delta", "cuda"]);
    };
    stop_everywhere(prepare, &["import", "src/two", "--variant", "cuda"], &[]);
}

#[test]
fn an_import_that_heals_can_be_stopped_anywhere() {
    let prepare = |sandbox: &Sandbox| {
        prepare_store(sandbox);
        damage(sandbox, 3);
    };
    stop_everywhere(prepare, &["import", "src/one", "--collection", "cuda"], &[]);
}

#[test]
fn an_import_that_heals_what_verify_found_can_be_stopped_anywhere() {
    let prepare = |sandbox: &Sandbox| {
        prepare_store(sandbox);
        damage(sandbox, 3);
        assert_eq!(sandbox.run(None, &["verify"]).code, 3);
    };
    stop_everywhere(prepare, &["import", "src/one", "--collection", "cuda", "--link", "hardlink"], &[]);
}

#[test]
fn a_first_view_can_be_stopped_anywhere() {
    stop_everywhere(prepare_store, &["view", "--collection", "cuda", "--to", "views/cuda"], &[]);
}

#[test]
fn a_view_of_one_changed_project_can_be_stopped_anywhere() {
    let prepare = |sandbox: &Sandbox| {
        prepare_store(sandbox);
        sandbox.ok(&["view", "--collection", "cuda", "--to", "views/cuda", "--link", "hardlink"]);
        sandbox.ok(&["import", "src/two/beta-1.0-py3-none-any.whl", "--collection", "cuda"]);
    };
    stop_everywhere(prepare, &["view", "--collection", "cuda", "--to", "views/cuda", "--link", "hardlink"], &[]);
}

#[test]
fn a_view_of_several_changed_projects_can_be_stopped_anywhere() {
    let prepare = |sandbox: &Sandbox| {
        prepare_store(sandbox);
        sandbox.ok(&["view", "--collection", "cuda", "--to", "views/cuda"]);
        sandbox.ok(&["import", "src/two", "--collection", "cuda"]);
        sandbox.ok(&["invalidate", "gamma==1.0", "--collection", "cuda"]);
    };
    stop_everywhere(prepare, &["view", "--collection", "cuda", "--to", "views/cuda"], &[]);
}

#[test]
fn a_merged_view_can_be_stopped_anywhere() {
    let args = ["view", "--variant", "cuda", "--to", "views/cuda"];
    let prepare = |sandbox: &Sandbox| {
        prepare_store(sandbox);
        sandbox.ok(&args);
        sandbox.ok(&["import", "src/two"]);
        sandbox.ok(&["route", "set", "cuda", "--strategy", "union"]);
    };
    stop_everywhere(prepare, &args, &[]);
}

#[test]
fn a_first_flat_view_can_be_stopped_anywhere() {
    stop_everywhere(prepare_store, &["view", "--collection", "cuda", "--to", "views/cuda", "--layout", "flat"], &[]);
}

#[test]
fn a_changed_flat_view_can_be_stopped_anywhere() {
    let args = ["view", "--collection", "cuda", "--to", "views/cuda", "--layout", "flat", "--link", "copy"];
    let prepare = |sandbox: &Sandbox| {
        prepare_store(sandbox);
        sandbox.ok(&args);
        sandbox.ok(&["import", "src/two", "--collection", "cuda"]);
    };
    stop_everywhere(prepare, &args, &[]);
}

#[test]
fn a_flat_view_where_names_can_not_be_exchanged_can_be_stopped_anywhere() {
    let args = ["view", "--collection", "cuda", "--to", "views/cuda", "--layout", "flat", "--link", "copy"];
    let prepare = |sandbox: &Sandbox| {
        prepare_store(sandbox);
        sandbox.ok(&args);
        // One file is new, one has other bytes under its name, one goes.
        for name in ["delta-1.0-py3-none-any.whl", "beta-1.0-py3-none-any.whl"] {
            sandbox.ok(&["import", &format!("src/two/{name}"), "--collection", "cuda"]);
        }
        sandbox.ok(&["invalidate", "alpha==1.0", "--collection", "cuda", "--build-tag", "1"]);
    };
    stop_at_plain_renames(prepare, &args, &[]);
}

#[test]
fn a_foreign_file_survives_where_names_can_not_be_exchanged() {
    if cfg!(not(debug_assertions)) {
        return;
    }
    let sandbox = Sandbox::new();
    let args = ["view", "--collection", "cuda", "--to", "views/cuda", "--layout", "flat", "--link", "copy"];
    prepare_store(&sandbox);
    sandbox.ok(&args);
    sandbox.ok(&["import", "src/two/beta-1.0-py3-none-any.whl", "--collection", "cuda"]);
    let path = sandbox.path("views/cuda/beta-1.0-py3-none-any.whl");
    fs::remove_file(&path).expect("a test's folder can be written");
    fs::write(&path, "a builder's").expect("a test's folder can be written");
    for fault in [None, Some("plain-renames")] {
        let output = sandbox.run(fault, &args);
        assert_ne!(output.code, 0, "{}", output.stderr);
        assert_eq!(fs::read(&path).expect("it stays"), b"a builder's");
    }
}

#[test]
fn sidecars_have_their_names_for_good_before_a_tree_links_them() {
    if cfg!(not(debug_assertions)) {
        return;
    }
    let sandbox = Sandbox::new();
    prepare_store(&sandbox);
    let elsewhere =
        tempfile::TempDir::with_prefix_in("wcas-elsewhere-", env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let is_elsewhere = state::device(elsewhere.path()) != state::device(&sandbox.store());
    let to = elsewhere.path().join("tree");
    let view = ["view", "--collection", "cuda", "--to", to.to_str().expect("a plain path")];
    for round in 0..2 {
        let trail = sandbox.run(Some("trace"), &view).stderr;
        let points: Vec<&str> = trail.lines().filter_map(point).map(|(_, act)| act).collect();
        let store = sandbox.store().to_string_lossy().into_owned();
        let last_name =
            points.iter().rposition(|point| point.starts_with("rename to ") && point.contains("/metadata/"));
        let first_link = points.iter().position(|point| point.starts_with("link ") && point.ends_with(".metadata"));
        let first_link = first_link.unwrap_or_else(|| panic!("no link to METADATA: {trail}"));
        let start = last_name.map_or(0, |last| last + 1);
        let synced = points[start..first_link].iter().any(|point| point.starts_with("sync ") && point.contains(&store));
        assert_eq!(last_name.is_some(), round == 0, "{trail}");
        assert!(synced || !is_elsewhere, "round {round}: {trail}");
        // A kill between the names and their sync leaves names that the next run finds.
        fs::remove_dir_all(&to).expect("a test's folder can be removed");
        sandbox.ok(&["view", "--remove", to.to_str().expect("a plain path")]);
    }
}

#[test]
fn a_doctor_calls_no_flat_view_damaged_that_is_only_cut_off() {
    let sandbox = Sandbox::new();
    let args = ["view", "--collection", "cuda", "--to", "views/cuda", "--layout", "flat"];
    prepare_store(&sandbox);
    sandbox.ok(&args);
    sandbox.ok(&["import", "src/two", "--collection", "cuda"]);
    sandbox.save();
    let told = (1..).map_while(|number| {
        sandbox.restore();
        let is_cut_off = sandbox.run(Some(&format!("kill@{number}")), &args).code == KILLED;
        let store = state::open(&sandbox.store()).expect("the store is there");
        let report = wcas::ops::doctor::doctor(&store, &state::context()).expect("a doctor can look");
        let of_view = report.findings.into_iter().filter(|finding| finding.kind == "view").collect::<Vec<_>>();
        assert!(
            of_view.iter().all(|finding| finding.severity == wcas::ops::doctor::Severity::Note),
            "kill@{number}: {of_view:?}"
        );
        is_cut_off.then_some(of_view.len())
    });
    assert!(told.sum::<usize>() > 0, "somewhere it tells that the view is unfinished");
}

#[test]
fn removing_a_view_can_be_stopped_anywhere() {
    for layout in ["simple", "flat"] {
        let prepare = |sandbox: &Sandbox| {
            prepare_store(sandbox);
            sandbox.ok(&["view", "--collection", "cuda", "--to", "views/cuda", "--layout", layout]);
            sandbox.ok(&["invalidate", "alpha"]);
        };
        stop_everywhere(prepare, &["view", "--remove", "views/cuda"], &[4]);
    }
}

#[test]
fn gc_can_be_stopped_anywhere() {
    let prepare = |sandbox: &Sandbox| {
        prepare_store(sandbox);
        sandbox.ok(&["import", "src/two", "--collection", "cuda"]);
        // Links by name, which go with their blobs.
        sandbox.ok(&["view", "--collection", "cuda", "--format", "paths"]);
        sandbox.ok(&["view", "--to", "views/shared"]);
        sandbox.ok(&["invalidate", "delta", "beta", "--everywhere"]);
        // And a dead session with a hold.
        Wheel::new("epsilon", "1.0").payload(900, 8).write_to(sandbox.path("src/three"));
        Wheel::new("zeta", "1.0").payload(900, 9).write_to(sandbox.path("src/four"));
        let points = passed(&sandbox.run(Some("kill@1000000"), &["import", "src/four", "--collection", "rocm"]).stderr);
        let killed =
            sandbox.run(Some(&format!("kill@{}", points - 6)), &["import", "src/three", "--collection", "rocm"]);
        assert_eq!(killed.code, KILLED);
    };
    stop_everywhere(prepare, &["gc", "--grace", "0s", "--keep-builds", "1", "--keep-versions", "1"], &[]);
}

#[test]
fn verify_that_repairs_can_be_stopped_anywhere() {
    let prepare = |sandbox: &Sandbox| {
        prepare_store(sandbox);
        // The tree has copies of the shared collection only: one of the three damaged blobs can't be repaired.
        let blobs: Vec<String> = state::blob_files(&sandbox.store()).into_keys().collect();
        sandbox.ok(&["collection", "copy", "cuda", "rocm"]);
        sandbox.ok(&["invalidate", "gamma", "--collection", "rocm"]);
        sandbox.ok(&["view", "--collection", "rocm", "--to", "views/rocm", "--link", "copy"]);
        assert_eq!(blobs.len(), 4);
        damage(sandbox, 4);
    };
    stop_everywhere(prepare, &["verify", "--repair"], &[0, 3]);
}

#[test]
fn changes_of_references_can_be_stopped_anywhere() {
    let prepare = |sandbox: &Sandbox| {
        prepare_store(sandbox);
        sandbox.ok(&["import", "src/two", "--collection", "cuda"]);
        sandbox.ok(&["invalidate", "alpha", "--collection", "cuda"]);
    };
    stop_everywhere(prepare, &["collection", "rollback", "cuda", "1"], &[0]);
    stop_everywhere(prepare, &["invalidate", "beta", "gamma", "--everywhere"], &[4]);
    stop_everywhere(prepare, &["undo"], &[2, 4]);
    stop_everywhere(prepare, &["collection", "promote", "cuda", "released", "beta", "gamma"], &[0]);
}
