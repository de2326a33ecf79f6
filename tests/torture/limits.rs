//! Limits of the shell and of the machine, and what a process is started without × each command.
//!
//! Whatever a command ends by, the store is sound afterwards, and the same command works without the limit.

use crate::commands::{ALL, Command};
use crate::lab::{Faults, Lab, Ran, Random, give};
use crate::share::Share;
use std::process;
use std::time::Duration;

/// How many cells a plain `cargo test` tries at most.
const USUAL: usize = 150;

/// A user without processes, whose limits are nobody else's.
const NOBODY: u32 = 65532;

/// What a shell does before it becomes the command.
#[derive(Debug, Clone)]
struct Limit {
    script: String,
    /// Exit codes that are none of the contract's: the loader's, the kernel's, the allocator's.
    also: &'static [i32],
}

/// The loader can't start it; the allocator aborts; the kernel kills it for its stack, or for its time.
const MEMORY: &[i32] = &[126, 127, 134, 137, 139];
const TIME: &[i32] = &[137, 152];

fn limits(may_change_user: bool) -> Vec<Limit> {
    let limit = |script: String, also: &'static [i32]| Limit { script, also };
    let exec = |before: &str| limit(format!("{before}; exec \"$@\""), &[]);
    let mut all: Vec<Limit> =
        [4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 32, 64].iter().map(|n| exec(&format!("ulimit -n {n}"))).collect();
    // In blocks of 512 bytes: what is written to the test's own files counts, too.
    all.extend([0, 1, 8, 64, 500, 1500].iter().map(|n| exec(&format!("ulimit -f {n}"))));
    let memory = |letter: char, kib: &u32| limit(format!("ulimit -{letter} {kib}; exec \"$@\""), MEMORY);
    all.extend([4_000, 20_000, 40_000, 80_000, 150_000, 300_000].iter().map(|kib| memory('v', kib)));
    all.extend([100, 1_000, 4_000, 10_000, 40_000].iter().map(|kib| memory('d', kib)));
    all.extend([64, 256, 1024].iter().map(|kib| memory('s', kib)));
    all.push(limit("ulimit -t 1; exec \"$@\"".to_owned(), TIME));
    for redirected in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", "</dev/full"] {
        all.push(limit(format!("exec \"$@\" {redirected}"), &[]));
    }
    all.push(exec("rm -rf ../cwd; mkdir ../cwd; cd ../cwd; rmdir ../cwd"));
    all.extend(["000", "077", "777"].iter().map(|mask| exec(&format!("umask {mask}"))));
    all.push(limit("exec env -i WCAS_STORE=\"$WCAS_STORE\" \"$@\"".to_owned(), &[]));
    all.push(exec("HOME=/nonexistent TMPDIR=/nonexistent XDG_DATA_HOME=relative"));
    all.push(exec("unset HOME TMPDIR PATH"));
    if may_change_user {
        let as_nobody = format!("exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups");
        for processes in 1..=4 {
            all.push(limit(format!("{as_nobody} prlimit --nproc={processes} \"$@\""), &[]));
        }
    }
    all
}

fn run(lab: &Lab, limit: &Limit, command: Command) -> Ran {
    let plain = lab.command(&command.args());
    let mut shell = process::Command::new("sh");
    shell.args(["-c", &limit.script, "sh"]).arg(plain.get_program()).args(plain.get_args()).current_dir(lab.work());
    shell.stdin(process::Stdio::null()).env_clear();
    shell.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    lab.finish(&mut shell)
}

fn cell(lab: &Lab, limit: &Limit, command: Command, faults: &Faults) {
    let fault = |what: String| faults.note(format!("{} × {}: {what}", limit.script, command.line));
    lab.renew();
    let is_user = limit.script.contains("setpriv");
    if is_user {
        give(&lab.work(), NOBODY);
    }
    let ran = run(lab, limit, command);
    if !(matches!(ran.code, 0..=5) || limit.also.contains(&ran.code)) {
        fault(format!("no code of the contract: {ran}"));
    }
    if ran.stderr.contains("panicked") && limit.also.is_empty() {
        fault(format!("a panic: {ran}"));
    }
    for line in ["verify", "doctor"] {
        let ran = lab.run(&[line]);
        if ran.code != 0 {
            fault(format!("then {line}: {ran}"));
        }
    }
    let again = lab.run(&command.args());
    // What was done, and could only not be told, stays done.
    let is_untold = ran.stderr.contains("cannot write standard output");
    let was_done = (ran.code != 1 || is_untold) && matches!(again.code, 0..=4);
    if again.code != command.code && !was_done && command.line != "undo" {
        fault(format!("then, without the limit: {again}, before: {ran}"));
    }
    if !lab.lost().is_empty() {
        fault(format!("lost {:?}: {ran}", lab.lost()));
    }
}

#[test]
fn no_limit_damages_anything() {
    let share = Share::start(Duration::from_secs(8));
    let mut random = Random::new("limits");
    let lab = Lab::new();
    let limits = limits(lab.may_change_user());
    let mut cells: Vec<_> = limits.iter().flat_map(|limit| ALL.iter().map(move |command| (limit, *command))).collect();
    random.shuffle(&mut cells);
    println!("{} cells", cells.len());
    let (faults, mut tried) = (Faults::default(), 0);
    for (limit, command) in cells {
        if !share.goes_on(tried, USUAL) {
            break;
        }
        cell(&lab, limit, command, &faults);
        tried += 1;
    }
    faults.none(tried);
}
