//! Processes that are stopped, as by Ctrl-Z, while they hold something.
//!
//! Others go on, or tell whom they wait for; a stopped one that goes on ends well, and after one that is killed the next cleans up.

use crate::commands::ALL;
use crate::lab::{Faults, Lab, Random, end_of};
use crate::served;
use crate::share::Share;
use crate::support::Connection;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::process::Child;
use std::time::{Duration, Instant};

/// How many stories a plain `cargo test` tries at most.
const USUAL: usize = 20;

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
    let share = Share::start(Duration::from_secs(8));
    let lab = Lab::new();
    let mut random = Random::new("stopped");
    let (faults, mut tried) = (Faults::default(), 0);
    while share.goes_on(tried, USUAL) {
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
        // What was being made is made again.
        if is_killed && holder.starts_with("rebuild") {
            // Between the old manifest and the new one there is none.
            drop(lab.run(&["rebuild"]));
        }
        for line in ["import in", "gc", "verify", "view --to tree", "view --to flat --layout flat", "doctor"] {
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

/// The form of an upload.
fn form(name: &str, bytes: &[u8]) -> Vec<u8> {
    let field = |name: &str, value: &str| {
        format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let digest = served::sha256(bytes);
    let head =
        [field(":action", "file_upload"), field("protocol_version", "1"), field("sha256_digest", &digest)].concat();
    let file = format!("--limit\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{name}\"\r\n\r\n");
    [head.as_bytes(), file.as_bytes(), bytes, b"\r\n--limit--\r\n"].concat()
}

#[test]
fn a_server_that_is_stopped_in_an_upload_holds_nobody_and_goes_on() {
    use base64::Engine as _;
    let lab = Lab::new();
    let token = lab.run(&["token", "create", "--all", "--scope", "upload"]).stdout;
    let login = base64::engine::general_purpose::STANDARD.encode(format!("__token__:{}", token.trim_end()));
    let (name, bytes) = {
        let wheel = crate::support::Wheel::new("late", "1.0").payload(200_000, 9);
        (wheel.filename(), wheel.bytes())
    };
    for is_killed in [false, true] {
        let (mut server, address) = served::start(&lab);
        let address = address.unwrap();
        let body = form(&name, &bytes);
        let mut connection = Connection::open(address);
        let length = body.len().to_string();
        let headers = [
            ("Content-Type", "multipart/form-data; boundary=limit"),
            ("Content-Length", &*length),
            ("Authorization", &*format!("Basic {login}")),
        ];
        connection.send_head("POST", "/shared/legacy/", &headers);
        connection.send(&body[..body.len() / 2]).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        signal(&server, Signal::STOP);
        for line in ["import in2", "gc --grace 0", "verify", "view --to tree", "collection copy shared x --replace"] {
            let (begin, ran) = (Instant::now(), lab.run(&line.split(' ').collect::<Vec<_>>()));
            assert_eq!(ran.code, 0, "{line}: {ran}");
            assert!(begin.elapsed() < Duration::from_secs(30), "{line} waits for a server that is stopped");
        }
        // What needs the store for itself says who has it.
        let rebuild = lab.run(&["rebuild", "--force"]);
        assert_eq!(rebuild.code, 5, "{rebuild}");
        if is_killed {
            signal(&server, Signal::KILL);
            assert_eq!(end_of(&mut server), 137);
        } else {
            signal(&server, Signal::CONT);
            connection.send(&body[body.len() / 2..]).unwrap();
            let heard = connection.head().unwrap();
            assert_eq!(heard.status, 200, "{heard}");
            assert_eq!(lab.run(&["invalidate", "late", "--everywhere"]).code, 0);
            signal(&server, Signal::TERM);
            assert_eq!(end_of(&mut server), 0);
        }
        for line in ["gc --grace 0", "verify", "doctor"] {
            let ran = lab.run(&line.split(' ').collect::<Vec<_>>());
            assert_eq!(ran.code, 0, "killed: {is_killed}, {line}: {ran}");
        }
        assert_eq!(fs::read_dir(lab.store().join("staging")).unwrap().count(), 0, "killed: {is_killed}");
        assert!(lab.lost().is_empty());
    }
}
