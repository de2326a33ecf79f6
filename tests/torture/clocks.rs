//! Clocks that are wrong: years ahead, years back, standing, jumping from one command to the next.
//!
//! A small library, put before the C library's, tells a process another time. The times of files stay the kernel's.

use crate::commands::ALL;
use crate::lab::{Faults, Lab, Ran, Random};
use crate::share::Share;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How many commands a plain `cargo test` tries at most.
const USUAL: usize = 120;

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

/// What the clocks say, as the library understands it.
const CLOCKS: &[&str] = &[
    "+0",
    "+86400",
    "-86400",
    "+473040000",
    "-473040000",
    "+6000000000",
    "=0",
    "=1",
    "=2147483647",
    "=2147483648",
    "=4294967296",
    "=1700000000",
    "=253402300800",
    "=-1",
    "=-86400",
];

/// A lab whose commands can be told another time.
struct Clocks {
    lab: Lab,
    library: PathBuf,
}

impl Clocks {
    fn new() -> Option<Self> {
        let lab = Lab::new();
        let library = lab.outside("clock.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture/clock/clock.c");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).output();
        if !compiled.is_ok_and(|output| output.status.success()) {
            crate::support::skip("no C compiler makes a library here, so nothing was tried with wrong clocks");
            return None;
        }
        let clocks = Self { lab, library };
        let is_moved = clocks.run("=1000", "token create --all --scope read --expires 1d --name moved").code == 0
            && clocks.run("+0", "token list").stdout.contains("1970");
        clocks.lab.renew();
        if !is_moved {
            crate::support::skip("the clock can't be told to be another here, so nothing was tried with wrong clocks");
        }
        is_moved.then_some(clocks)
    }

    fn run(&self, clock: &str, line: &str) -> Ran {
        let mut command = self.lab.command(&line.split(' ').collect::<Vec<_>>());
        self.lab.finish(command.env("LD_PRELOAD", &self.library).env("WCAS_TEST_CLOCK", clock))
    }

    /// Runs a command that must end with this code.
    #[track_caller]
    fn expect(&self, code: i32, clock: &str, line: &str) -> Ran {
        let ran = self.run(clock, line);
        assert_eq!(ran.code, code, "clock {clock} × {line}: {ran}");
        ran
    }
}

fn ahead(seconds: i64) -> String {
    format!("{seconds:+}")
}

#[test]
fn no_clock_makes_a_command_lie_or_lose() {
    let share = Share::start(Duration::from_secs(6));
    let Some(clocks) = Clocks::new() else { return };
    let mut random = Random::new("clocks");
    let (faults, mut tried) = (Faults::default(), 0);
    // A few commands one after another, each with a clock of its own, then the right one again.
    while share.goes_on(tried, USUAL) {
        clocks.lab.renew();
        let mut story = String::new();
        for _ in 0..4 {
            let (clock, command) = (CLOCKS[random.below(CLOCKS.len())], ALL[random.below(ALL.len())]);
            let ran = clocks.run(clock, command.line);
            story += &format!("{clock} {}: {}\n", command.line, ran.code);
            tried += 1;
            if !matches!(ran.code, 0..=5) || ran.stderr.contains("panicked") {
                faults.note(format!("{story}{ran}"));
            }
        }
        for line in ["verify", "doctor", "log verify", "list"] {
            let ran = clocks.run("+0", line);
            if ran.code != 0 {
                faults.note(format!("{story}then {line}: {ran}"));
            }
        }
        if !clocks.lab.lost().is_empty() {
            faults.note(format!("{story}lost {:?}", clocks.lab.lost()));
        }
    }
    faults.none(tried);
}

#[test]
fn nothing_goes_before_its_grace_nor_stays_for_ever() {
    let Some(clocks) = Clocks::new() else { return };
    // The lab's `gone` was invalidated just now.
    for clock in [ahead(-YEAR), ahead(-DAY), ahead(DAY), "=0".to_owned()] {
        clocks.expect(0, &clock, "gc");
        clocks.expect(0, &clock, "undo");
        clocks.lab.renew();
    }
    // Marked by a clock that was ahead: it stays for the grace from now on, and no longer.
    clocks.expect(0, &ahead(15 * YEAR), "invalidate pure --everywhere");
    for line in ["gc", "undo", "lookup pure==1.0", "invalidate pure --everywhere", "gc --grace 0"] {
        clocks.expect(0, "+0", line);
    }
    clocks.expect(4, "+0", "lookup pure==1.0 --offline");
}
