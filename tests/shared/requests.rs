//! Killed, or refused for good, at each request to the bucket and to the log: what was told counts, the nodes stay equal, and running
//! it again does it.

use super::bucket::message;
use super::support::bucket::place;
use super::support::{Env, Postgres, WcasServer, Wheel, postgres, until, weed};
use super::{Team, blobs, shared_rows, wheels};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

/// What becomes of a command at one of its requests.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// It is killed before the server hears of the request.
    KilledBefore,
    /// It is killed when the server has done what was asked.
    KilledAfter,
    /// This request, all that ask the same, and all of its database that come later, are refused.
    Refused,
}

const ENDS: [End; 3] = [End::KilledBefore, End::KilledAfter, End::Refused];

#[derive(Debug, Default)]
struct State {
    /// At which request what happens.
    plan: Option<(usize, End)>,
    /// Which run of a command it is: one that has ended isn't killed any more.
    run: usize,
    /// Its process.
    pid: Option<u32>,
    passed: usize,
    /// What the request asked for that met its plan.
    met: Option<String>,
}

/// Stands before a bucket and a database, and counts what is asked of both.
struct Gate {
    bucket: String,
    database: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Gate {
    fn before(bucket: &str, database: &str) -> Self {
        let state = Arc::default();
        Self {
            bucket: listen(bucket, &state, |client, server, state| drop(carry_http(client, server, state))),
            database: listen(database, &state, |client, server, state| drop(carry_sql(client, server, state))),
            state,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }

    /// Runs a command that meets an end at one of its requests; returns its exit code and the request, if it came to that.
    fn run(&self, node: &Env, number: usize, end: End, args: &[&str]) -> (i32, Option<String>) {
        let run = self.state().run + 1;
        *self.state() = State { plan: Some((number, end)), run, ..State::default() };
        let log = fs::File::create(node.path("said")).unwrap();
        let mut child = node.command(args).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.state().pid = Some(child.id());
        self.state.1.notify_all();
        let code = child.wait().unwrap().code().unwrap_or(137);
        let met = self.state().met.take();
        *self.state() = State { run, ..State::default() };
        self.state.1.notify_all();
        (code, met)
    }
}

type Shared = (Mutex<State>, Condvar);

/// Lets connections to an address of its own be carried to a server's; returns that address.
fn listen(
    server: &str,
    state: &Arc<Shared>,
    carry: impl Fn(TcpStream, &str, &Shared) + Send + Copy + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (server, state) = (server.to_owned(), state.clone());
    thread::spawn(move || {
        for client in listener.incoming() {
            let (server, state) = (server.clone(), state.clone());
            thread::spawn(move || carry(client.unwrap(), &server, &state));
        }
    });
    address
}

/// Counts a request; returns the run that it is of, and the end that it meets.
fn pass((state, _): &Shared, what: &str) -> (usize, Option<End>) {
    let mut state = state.lock().unwrap();
    state.passed += 1;
    let end = match (state.plan, &state.met) {
        (Some((number, end)), None) if state.passed == number => {
            state.met = Some(what.to_owned());
            Some(end)
        }
        (Some((_, End::Refused)), Some(met)) if met == what => Some(End::Refused),
        _ => None,
    };
    (state.run, end)
}

/// Kills the command of a run, as soon as it is known which process it is.
fn kill((state, is_known): &Shared, run: usize) -> std::io::Result<()> {
    let is_awaited = |state: &mut State| state.run == run && state.plan.is_some() && state.pid.is_none();
    let state = is_known.wait_while(state.lock().unwrap(), is_awaited).unwrap();
    let Some(pid) = state.pid.filter(|_| state.run == run) else { return Ok(()) };
    Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status().map(drop)
}

fn carry_http(mut client: TcpStream, server: &str, state: &Shared) -> std::io::Result<()> {
    while let Some(request) = message(&mut client, false)? {
        let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
        let (run, end) = pass(state, &line);
        match end {
            Some(End::KilledBefore) => return kill(state, run),
            Some(End::Refused) => {
                client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")?;
                continue;
            }
            _ => {}
        }
        let mut server = TcpStream::connect(server)?;
        server.write_all(&request)?;
        let answer = message(&mut server, line.starts_with("HEAD "))?.unwrap_or_default();
        if end == Some(End::KilledAfter) {
            return kill(state, run);
        }
        client.write_all(&answer)?;
    }
    Ok(())
}

/// Returns what a database says to whom it refuses something.
fn refusal() -> Vec<u8> {
    let fields = b"SFATAL\0C42501\0Mrefused\0\0";
    let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
    [&b"E"[..], &length, fields].concat()
}

/// What a client sends at once is a request to a database.
fn carry_sql(mut client: TcpStream, server: &str, state: &Shared) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server)?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    let is_lost = Arc::new(Mutex::new(false));
    let known = is_lost.clone();
    let (told, heard) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut bytes = [0; 65536];
        while let Ok(size @ 1..) = answers.read(&mut bytes) {
            let is_lost = *known.lock().unwrap();
            let _ = told.send(());
            if is_lost || back.write_all(&bytes[..size]).is_err() {
                break;
            }
        }
        drop(back.shutdown(std::net::Shutdown::Both));
    });
    let mut bytes = [0; 65536];
    while let Ok(size @ 1..) = client.read(&mut bytes) {
        let (run, end) = pass(state, "the database");
        match end {
            Some(End::KilledBefore) => return kill(state, run),
            Some(End::Refused) => {
                client.write_all(&refusal())?;
                break;
            }
            Some(End::KilledAfter) => {
                heard.try_iter().for_each(drop);
                *is_lost.lock().unwrap() = true;
                server.write_all(&bytes[..size])?;
                // The end of a session has no answer.
                let _ = heard.recv_timeout(std::time::Duration::from_secs(1));
                return kill(state, run);
            }
            None => server.write_all(&bytes[..size])?,
        }
    }
    drop(client.shutdown(std::net::Shutdown::Both));
    drop(server.shutdown(std::net::Shutdown::Both));
    Ok(())
}

/// A team whose second node asks its bucket, and its log, through a gate.
struct Place {
    team: Team,
    gate: Gate,
    /// What says the direct way.
    share: Vec<String>,
    has_database: bool,
}

impl Place {
    /// Returns one with its log in the bucket, and one with its log in a database.
    fn all() -> impl Iterator<Item = Self> {
        [false, true].into_iter().filter_map(Self::new)
    }

    /// Returns the second, and the first in a long run only: for what mostly asks the bucket itself.
    fn some() -> impl Iterator<Item = Self> {
        [false, true].into_iter().filter(|has_database| *has_database || is_long()).filter_map(Self::new)
    }

    fn new(has_database: bool) -> Option<Self> {
        let (weed, server) = (weed()?, postgres()?);
        let gate = Gate::before(&weed.address, &server.address());
        let mut nodes = vec![Env::new(), Env::new()];
        place(&mut nodes[1], &weed.address);
        let share = said(&mut nodes[0], has_database.then_some(server));
        let place = Self { team: Team { nodes }, gate, share, has_database };
        init(&place.team.nodes[0], &place.share);
        init(&place.team.nodes[1], &place.gated(&place.share));
        Some(place)
    }

    /// Returns what says the way through the gate.
    fn gated(&self, share: &[String]) -> Vec<String> {
        let (weed, server) = (weed().unwrap(), postgres().unwrap());
        let gated = |word: &String| {
            word.replace(&weed.address, &self.gate.bucket).replace(&server.address(), &self.gate.database)
        };
        share.iter().map(gated).collect()
    }

    /// Makes a store on another machine, and says a share for it.
    fn other(&self) -> (Env, Vec<String>) {
        let mut node = Env::new();
        let share = said(&mut node, postgres().filter(|_| self.has_database));
        (node, share)
    }

    /// Makes sure that each blob has its object, and that there is no other after a while.
    fn assert_no_other_object(&self) {
        let one = &self.team.nodes[0];
        // A bucket's clock is told in whole seconds: what came in this one isn't before the fence yet.
        until("all objects that nobody needs are gone", || {
            one.ok(["gc", "--grace", "0"]);
            let report = one.json(["verify", "--bucket"]);
            let rows = shared_rows(&one.store());
            let blobs = rows.iter().filter(|row| row.starts_with("blob ")).count() as u64;
            assert!(report["objects"].as_u64() >= Some(blobs), "{report}");
            report["objects"].as_u64() == Some(blobs)
        });
    }
}

/// Returns the words that say a share that nothing else has.
fn said(node: &mut Env, database: Option<&Postgres>) -> Vec<String> {
    let mut share = place(node, &weed().unwrap().address).to_vec();
    share.extend(database.into_iter().flat_map(|server| ["--log".to_owned(), server.url("wcas")]));
    share
}

fn init(node: &Env, share: &[String]) {
    node.ok(["init"].into_iter().chain(share.iter().map(String::as_str)));
}

fn is_long() -> bool {
    std::env::var_os("WCAS_TEST_SECONDS").is_some()
}

/// Tries something with an end at its first request, its second and so on, until one is not met: each request meets one of the ends in
/// turn, or all of them in a long run (`WCAS_TEST_SECONDS`). `at` is told which it is of all.
fn at_each_request(what: &str, least: usize, mut at: impl FnMut(usize, usize, End) -> Option<String>) {
    let mut tried = 0;
    for turn in 0..if is_long() { ENDS.len() } else { 1 } {
        let mut number = 1;
        loop {
            tried += 1;
            if at(tried, number, ENDS[(number + turn) % ENDS.len()]).is_none() {
                break;
            }
            number += 1;
        }
        assert!(number > least, "{what} asks only {number} times");
    }
    println!("{what}: {tried} ends");
}

/// Imports new wheels on a node.
fn import(node: &Env, name: &str, wheels: &[Wheel]) -> String {
    let dist = node.path(name);
    fs::create_dir(&dist).unwrap();
    wheels.iter().for_each(|wheel| drop(wheel.write_to(&dist)));
    dist.to_str().unwrap().to_owned()
}

#[track_caller]
fn assert_ended(node: &Env, end: End, code: i32, met: Option<&String>) {
    let told = || fs::read_to_string(node.path("said")).unwrap();
    // What is not met, or isn't needed, hinders nobody.
    let is_expected = match (code, end) {
        (0, _) => true,
        (137, End::KilledBefore | End::KilledAfter) => met.is_some(),
        // Also of what it knows, which may be old then.
        (1 | 3 | 4, End::Refused) => met.is_some() && super::blames_share(&told()),
        _ => false,
    };
    assert!(is_expected, "{end:?} at {met:?}: exit {code}: {}", told());
}

#[test]
fn an_import_that_ends_at_any_request_counts_or_does_not_and_again_it_does() {
    for place in Place::all() {
        let [one, two] = &place.team.nodes[..] else { panic!() };
        at_each_request("import", 5, |tried, number, end| {
            let wheels = wheels(&format!("new{tried}x"), 2);
            let dist = import(two, &format!("dist{tried}"), &wheels);
            let (code, met) = place.gate.run(two, number, end, &["import", &dist]);
            assert_ended(two, end, code, met.as_ref());
            let name = format!("new{tried}x1");
            let found = one.run(["lookup", &name]).code;
            assert!(found == 0 || (code != 0 && found == 4), "{end:?} at {met:?}: {found}");
            two.ok(["import", &dist]);
            one.ok(["lookup", &name]);
            two.ok(["verify"]);
            place.team.assert_equal();
            met
        });
        place.assert_no_other_object();
        place.team.assert_equal();
    }
}

#[test]
fn a_gc_that_ends_at_any_request_takes_nothing_that_counts() {
    let Some(weed) = weed() else { return };
    for place in Place::all() {
        let [one, two] = &place.team.nodes[..] else { panic!() };
        one.ok(["import", &import(one, "kept", &wheels("kept", 2))]);
        let prefix = place.share[1].strip_prefix("s3:/").unwrap();
        at_each_request("gc", 8, |tried, number, end| {
            let name = format!("gone{tried}x0");
            one.ok(["import", &import(one, &name, &wheels(&format!("gone{tried}x"), 1))]);
            one.ok(["invalidate", &name, "--yes"]);
            // What a killed import left.
            let stray = format!("{prefix}/blobs/ab/ab{}.000000000010123456789abcdef", "0".repeat(62));
            assert_eq!(weed.ask("PUT", &stray, "stray"), Some(200));
            let (code, met) = place.gate.run(two, number, end, &["gc", "--grace", "0"]);
            assert_ended(two, end, code, met.as_ref());
            for node in [one, two] {
                node.ok(["lookup", "kept0"]);
                node.ok(["lookup", "kept1"]);
            }
            assert_eq!(one.json(["verify", "--bucket"])["problems"].as_array().unwrap().len(), 0);
            two.ok(["gc", "--grace", "0"]);
            place.team.assert_equal();
            met
        });
        place.assert_no_other_object();
        assert_eq!(one.json(["verify", "--bucket"])["objects"], 2);
    }
}

#[test]
fn a_lookup_that_ends_at_any_request_of_its_fetch_brings_the_bytes_again() {
    for place in Place::some() {
        let [one, two] = &place.team.nodes[..] else { panic!() };
        at_each_request("lookup", 2, |tried, number, end| {
            let name = format!("demo{tried}");
            let wheel = Wheel::new(&name, "1.0").payload(40_000, tried as u64);
            one.ok(["import", &import(one, &name, std::slice::from_ref(&wheel))]);
            let (code, met) = place.gate.run(two, number, end, &["lookup", &name]);
            assert_ended(two, end, code, met.as_ref());
            let path = two.json(["lookup", &name])["path"].as_str().unwrap().to_owned();
            assert!(fs::read(path).unwrap() == wheel.bytes(), "{end:?} at {met:?}");
            assert_eq!(blobs(two).len(), tried);
            met
        });
        two.ok(["verify"]);
        place.team.assert_equal();
    }
}

#[test]
fn a_snapshot_that_ends_at_any_request_leaves_whole_ones_only() {
    const RECORDS: u64 = 500;
    let Some(place) = Place::new(true) else { return };
    let [one, two] = &place.team.nodes[..] else { panic!() };
    one.ok(["import", &import(one, "kept", &wheels("kept", 2))]);
    let server = WcasServer::start(one, &["--anonymous", "upload"]);
    let mut connection = server.connect();
    for number in 0..RECORDS {
        let wheel = Wheel::new("many", &format!("1.{number}"));
        let heard = connection.post("/shared/legacy/", &[super::served::FORM], &super::served::form(&wheel));
        assert_eq!(heard.status, 200, "{heard}");
    }
    drop(connection);
    server.stop();
    let prefix = place.share[1].strip_prefix("s3:/").unwrap();
    let list = one.ok(["list"]).stdout;
    at_each_request("snapshot", 8, |_, number, end| {
        let (code, met) = place.gate.run(two, number, end, &["gc"]);
        assert_ended(two, end, code, met.as_ref());
        let (node, _) = place.other();
        init(&node, &place.share);
        assert_eq!(node.ok(["list"]).stdout, list, "{end:?} at {met:?}");
        // So that the next has one to make.
        for key in weed().unwrap().keys(&format!("{}/snapshots/", prefix.strip_prefix("/wcas/").unwrap())) {
            assert_eq!(weed().unwrap().ask("DELETE", &format!("/wcas/{key}"), ""), Some(204));
        }
        met
    });
    place.team.assert_equal();
}

#[test]
fn a_store_whose_sharing_ends_at_any_request_is_one_of_its_own_or_a_node() {
    for place in Place::some() {
        at_each_request("share", 10, |_, number, end| {
            let (node, share) = place.other();
            node.ok(["import", &import(&node, "dist", &wheels("demo", 2))]);
            let list = node.ok(["list"]).stdout;
            let gated = place.gated(&share);
            // `share` takes the URL without its option.
            let args: Vec<&str> = ["share"].into_iter().chain(gated[1..].iter().map(String::as_str)).collect();
            let (code, met) = place.gate.run(&node, number, end, &args);
            assert_ended(&node, end, code, met.as_ref());
            assert_eq!(node.ok(["list"]).stdout, list, "{end:?} at {met:?}");
            let again = node.run(&args);
            assert!(again.code == 0 || again.stderr.contains("is a node of"), "{end:?} at {met:?}: {again}");
            let (other, _) = place.other();
            init(&other, &share);
            assert_eq!(other.ok(["list"]).stdout, list, "{end:?} at {met:?}");
            other.ok(["lookup", "demo1"]);
            Team { nodes: vec![node, other] }.assert_equal();
            met
        });
    }
}

#[test]
fn a_node_that_leaves_and_ends_at_any_request_is_a_node_or_has_all() {
    for place in Place::some() {
        let one = &place.team.nodes[0];
        one.ok(["import", &import(one, "dist", &wheels("demo", 2))]);
        let list = one.ok(["list"]).stdout;
        at_each_request("unshare", 2, |_, number, end| {
            let (node, _) = place.other();
            init(&node, &place.gated(&place.share));
            let (code, met) = place.gate.run(&node, number, end, &["unshare"]);
            assert_ended(&node, end, code, met.as_ref());
            assert_eq!(node.ok(["list"]).stdout, list, "{end:?} at {met:?}");
            let again = node.run(["unshare"]);
            assert!(again.code == 0 || again.stderr.contains("is no node"), "{end:?} at {met:?}: {again}");
            assert_eq!(blobs(&node).len(), 2);
            node.ok(["verify"]);
            node.ok(["log", "verify"]);
            assert_eq!(node.ok(["list"]).stdout, list, "{end:?} at {met:?}");
            met
        });
        place.team.assert_equal();
    }
}

#[test]
fn a_node_that_joins_and_ends_at_any_request_joins_later() {
    for place in Place::some() {
        // A share of its own each time: who joins reads one record after the other.
        at_each_request("init", 3, |_, number, end| {
            let (one, share) = place.other();
            init(&one, &share);
            one.ok(["import", &import(&one, "dist", &wheels("demo", 1))]);
            let (node, _) = place.other();
            let gated = place.gated(&share);
            let args: Vec<&str> = ["init"].into_iter().chain(gated.iter().map(String::as_str)).collect();
            let (code, met) = place.gate.run(&node, number, end, &args);
            assert_ended(&node, end, code, met.as_ref());
            let again = node.run(&args);
            // Cut off after its end it is there.
            assert!(again.code == 0 || again.stderr.contains("there is a store at"), "{end:?} at {met:?}: {again}");
            node.ok(["lookup", "demo0"]);
            node.ok(["collection", "create", "cuda"]);
            Team { nodes: vec![one, node] }.assert_equal();
            met
        });
    }
}

#[test]
fn a_first_node_that_ends_at_any_request_leaves_a_place_where_a_share_can_be_made() {
    for place in Place::some() {
        at_each_request("init of the first", 5, |_, number, end| {
            let (node, share) = place.other();
            let gated = place.gated(&share);
            let args: Vec<&str> = ["init"].into_iter().chain(gated.iter().map(String::as_str)).collect();
            let (code, met) = place.gate.run(&node, number, end, &args);
            assert_ended(&node, end, code, met.as_ref());
            let (other, _) = place.other();
            init(&other, &share);
            let again = node.run(&args);
            assert!(again.code == 0 || again.stderr.contains("there is a store at"), "{end:?} at {met:?}: {again}");
            other.ok(["collection", "create", "cuda"]);
            node.ok(["collection", "create", "rocm"]);
            Team { nodes: vec![node, other] }.assert_equal();
            met
        });
    }
}
