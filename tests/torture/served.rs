//! Each way of damage × a server on the store: what it gives out whole is right, and it ends when it is told to.

use crate::damage_kinds::{self, Kind};
use crate::lab::{Faults, Lab, Random, end_of};
use crate::share::Share;
use crate::support::{Connection, Heard};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Duration;

/// How many damages a plain `cargo test` tries at most.
const USUAL: usize = 30;

/// What is asked for.
const PATHS: [&str; 7] = [
    "/simple/",
    "/shared/simple/",
    "/shared/simple/demo/",
    "/cuda/simple/torch/",
    "/shared/simple/absent/",
    "/cuda@1/simple/torch/",
    "/metrics",
];

/// Starts a server; `None` when it ends instead, with its exit code.
pub(crate) fn start(lab: &Lab) -> (Child, Option<SocketAddr>) {
    let mut command = lab.command(&["serve", "--listen", "127.0.0.1:0", "--grace-time", "5s"]);
    let stderr = std::fs::File::create(lab.outside("stderr")).unwrap();
    let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let mut line = String::new();
    let read = BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line);
    let address = read.ok().and_then(|_| line.trim_end().split('/').nth(2)?.parse().ok());
    (child, address)
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Option<Heard> {
    let mut connection = Connection::try_open(address).ok()?;
    connection.patience(Duration::from_secs(30));
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut heard = connection.head()?;
    heard.body = connection.rest();
    Some(heard)
}

#[test]
fn a_server_on_a_damaged_store_gives_out_nothing_wrong() {
    let share = Share::start(Duration::from_secs(5));
    let mut random = Random::new("served");
    let lab = Lab::new();
    damage_kinds::prepare(&lab);
    let mut damages = damage_kinds::all(&lab);
    damages.retain(|damage| damage.kind != Kind::NoMode);
    random.shuffle(&mut damages);
    let (faults, mut tried) = (Faults::default(), 0);
    for damage in damages {
        if !share.goes_on(tried, USUAL) {
            break;
        }
        lab.renew();
        // Some is done before it starts, some to one that runs.
        let is_before = random.below(2) == 0;
        let number = random.next();
        if is_before && !damage.apply(&lab, number) {
            continue;
        }
        let (mut child, address) = start(&lab);
        let fault = |what: String| {
            let said = std::fs::read_to_string(lab.outside("stderr")).unwrap_or_default();
            faults.note(format!("{damage}, before: {is_before}: {what}\n{said}"));
        };
        tried += 1;
        let Some(address) = address else {
            let code = end_of(&mut child);
            if !is_before || !matches!(code, 1..=5) {
                fault(format!("it ends with {code}"));
            }
            continue;
        };
        if !is_before {
            damage.apply(&lab, number);
        }
        for path in PATHS {
            match get(address, path) {
                Some(heard) if matches!(heard.status, 200 | 404 | 410 | 500 | 503) => {}
                heard => fault(format!("{path}: {:?}", heard.map(|heard| heard.status))),
            }
        }
        for (name, bytes) in lab.wheels() {
            let path = format!("/files/{}/{name}", sha256(bytes));
            match get(address, &path) {
                Some(heard) if heard.status == 200 => {
                    let length: usize = heard.header("content-length").parse().unwrap_or(0);
                    let is_whole = heard.body.len() == length;
                    if is_whole && heard.body != bytes {
                        fault(format!("{path}: wrong bytes are given out whole"));
                    }
                }
                Some(heard) if matches!(heard.status, 404 | 410 | 500 | 503) => {}
                heard => fault(format!("{path}: {:?}", heard.map(|heard| heard.status))),
            }
        }
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let code = end_of(&mut child);
        if code != 0 {
            fault(format!("told to end, it ends with {code}"));
        }
        let said = std::fs::read_to_string(lab.outside("stderr")).unwrap();
        if said.contains("panicked") {
            fault("a panic".to_owned());
        }
    }
    faults.none(tried);
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
