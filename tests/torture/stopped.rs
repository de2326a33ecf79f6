//! Processes that are stopped, as by Ctrl-Z, while they hold something.
//!
//! Others go on, or tell whom they wait for; a stopped one that goes on ends well, and after one that is killed the next cleans up.

use crate::commands::ALL;
use crate::lab::{Faults, Lab, Random, end_of};
use crate::share::Share;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::process::Child;
use std::time::{Duration, Instant};

/// What holds something half-way.
const HOLDERS: &[&str] = &[
    "import in2",
    "import moved --link move",
    "gc --grace 0",
    "gc",
    "verify",
    "verify --repair",
    "view --to tree",
    "view --to new --link copy",
    "view --to flat --layout flat",
    "run --key in2 --out dist2 -- sh build.sh",
    "collection copy shared again",
    "invalidate demo==1.0 --collection shared",
    "rebuild --force",
    "lookup demo",
];

/// How long another command is left before the stopped one goes on. Whom it waits for is told after 2 s.
const PATIENCE: Duration = Duration::from_secs(4);

/// Waits until a process is stopped; tells whether it is, and hasn't ended.
fn is_stopped(child: &mut Child) -> bool {
    loop {
        let state = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        if state.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T')) {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Starts a command whose words go to a file.
fn start(lab: &Lab, line: &str, fault: &str, name: &str) -> Child {
    let mut command = lab.command(&line.split(' ').collect::<Vec<_>>());
    if !fault.is_empty() {
        command.env("WCAS_FAULT", fault);
    }
    let file = || File::create(lab.outside(name)).unwrap();
    command.stdout(std::process::Stdio::null()).stderr(file()).spawn().unwrap()
}

#[test]
fn a_stopped_process_is_named_and_neither_its_end_nor_its_going_on_harms() {
    let share = Share::start(Duration::from_secs(10));
    let lab = Lab::new();
    let mut random = Random::new("stopped");
    let (faults, mut tried) = (Faults::default(), 0);
    while share.is_left() {
        lab.renew();
        let (holder, point) = (HOLDERS[random.below(HOLDERS.len())], 1 + random.below(60));
        let command = ALL[random.below(ALL.len())];
        let mut held = start(&lab, holder, &format!("stop@{point}"), "holder");
        if !is_stopped(&mut held) {
            continue;
        }
        let story = format!("{holder} stopped at {point} × {}", command.line);
        let mut other = start(&lab, command.line, "", "other");
        let begin = Instant::now();
        while other.try_wait().unwrap().is_none() && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
        }
        let waits = other.try_wait().unwrap().is_none();
        let said = |name: &str| fs::read_to_string(lab.outside(name)).unwrap();
        if waits && !said("other").contains(&format!("process {}", held.id())) {
            faults.note(format!("{story}: waits without a word of whom: {}", said("other")));
        }
        let is_killed = random.below(2) == 0;
        signal(&held, if is_killed { Signal::KILL } else { Signal::CONT });
        let (first, second) = (end_of(&mut held), end_of(&mut other));
        tried += 1;
        let fine = |code: i32| matches!(code, 0..=5);
        let is_panic = ["holder", "other"].iter().any(|name| said(name).contains("panicked"));
        if !(fine(first) || is_killed && first == 137) || !fine(second) || is_panic {
            faults.note(format!(
                "{story}, killed: {is_killed}: {first} {} and {second} {}",
                said("holder"),
                said("other")
            ));
        }
        for line in ["import in", "gc", "verify", "view --to tree", "doctor"] {
            let ran = lab.run(&line.split(' ').collect::<Vec<_>>());
            if ran.code != 0 {
                faults.note(format!("{story}, killed: {is_killed}: then {line}: {ran}"));
            }
        }
        if !lab.lost().is_empty() {
            faults.note(format!("{story}, killed: {is_killed}: lost {:?}", lab.lost()));
        }
    }
    faults.none(tried);
}
