//! How long does a lookup take in a store of 100 000, in a process that has it open and as a command?

mod support;

use std::hint::black_box;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};
use support::Limit::Wall;
use support::run::{Usage, measure, program, run, shell, wcas};
use support::{alternate, data, head, say, tell};
use wcas::Store;
use wcas::catalog::search::TagFilter;
use wcas::catalog::wish::Wish;
use wcas::context::Context;
use wcas::ops::lookup::{LookupOptions, lookup};
use wcas::remote::{ClientOptions, LazyClient};

/// A lookup is short: so many are timed one by one in each turn.
const LIBRARY: usize = 1000;
const BINARY: usize = 50;
const BLOBS: usize = 100_000;
/// A project that neither the store nor the remote has.
const ABSENT: &str = "nothing-of-the-kind==1";

fn main() {
    head();
    let plain = data::store(BLOBS);
    let place = support::place::Place::disk();
    let with_remote = place.path("store");
    run(&mut shell(r#"cp -a "$1" "$2""#, &[&plain, &with_remote]));
    let url = nothing_there();
    run(&mut wcas(&with_remote, &["remote", "add", "cache", &url]));

    let (hits, miss) = (specs(LIBRARY), vec![ABSENT.to_owned()]);
    for (question, store, specs) in [
        ("a hit", &plain, &hits),
        ("a hit, with a remote", &with_remote, &hits),
        ("a miss, no remote", &plain, &miss),
        ("a miss, absence remembered", &with_remote, &miss),
    ] {
        // The remote is asked here, and what it says is believed for a minute: no turn may ask it again.
        let start = Instant::now();
        measure(&mut wcas(store, &["lookup", &specs[0]]));
        library(question, store, specs);
        binary(question, store, specs);
        if start.elapsed() > Duration::from_secs(55) {
            say("that took too long: the remote was asked again in between");
        }
    }
}

/// Times the function, in a store that stays open.
fn library(question: &str, path: &Path, specs: &[String]) {
    let store = Store::open(path).expect("the store was made for this");
    let client = LazyClient::new(ClientOptions::default());
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let context =
        Context { now: time.as_secs().cast_signed(), who: "bench", jobs: 1, progress: &(), client: Some(&client) };
    let options = |spec: &String| LookupOptions {
        wish: Wish::new(spec.parse().expect("this is a specification"), TagFilter::default()),
        collections: Vec::new(),
        variant: None,
        own: wcas::catalog::ownership::OwnProjects::Stored,
        force_miss: false,
        is_offline: false,
    };
    let options: Vec<LookupOptions> = specs.iter().map(options).collect();
    let one = |index: usize| {
        let start = Instant::now();
        let report = lookup(&store, &context, &options[index % options.len()]).expect("the store is good");
        assert!(report.remotes.is_empty(), "no remote may fail here: {:?}", report.remotes);
        black_box(report);
        Usage { wall: start.elapsed().as_secs_f64(), ..Usage::default() }
    };
    // Each answer looks at a file once; the links that carry filenames are made when they are first asked for.
    let file = std::fs::canonicalize(path.join("wcas.json")).expect("each store has this");
    let raw = |_| {
        let start = Instant::now();
        black_box(std::fs::metadata(&file)).expect("it was there");
        Usage { wall: start.elapsed().as_secs_f64(), ..Usage::default() }
    };
    middle(LIBRARY, one);
    let (own, raw) = alternate(|_| middle(LIBRARY, one), |_| middle(LIBRARY, raw));
    tell(&format!("{question}: 1 of {LIBRARY} calls"), &own, Some(("stat", &raw)), &[Wall(0.001)]);
}

/// Times the command, start of the process and all.
fn binary(question: &str, store: &Path, specs: &[String]) {
    let own = |index: usize| measure(&mut wcas(store, &["lookup", &specs[index % specs.len()]]));
    let raw = |_| measure(&mut program("true", &[]));
    let (own, raw) = alternate(|_| middle(BINARY, own), |_| middle(BINARY, raw));
    tell(&format!("{question}: command"), &own, Some(("true", &raw)), &[Wall(0.008)]);
}

/// Runs something short often, and returns the medians.
fn middle(times: usize, mut one: impl FnMut(usize) -> Usage) -> Usage {
    let runs: Vec<Usage> = (0..times).map(&mut one).collect();
    let median = |pick: fn(&Usage) -> f64| support::median(runs.iter().map(pick));
    Usage { wall: median(|run| run.wall), cpu: median(|run| run.cpu), memory: 0.0 }
}

/// Returns specifications of wheels that the store has, of as many projects as there are.
fn specs(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("project-{:04}==1.{}.0", index * 7 % 2000, index % 50)).collect()
}

/// Starts a server that has nothing, for as long as the bench runs, and returns its URL.
fn nothing_there() -> String {
    use std::io::{BufRead, BufReader, Write};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}/simple/", listener.local_addr().expect("a bound socket has an address"));
    let answer = |stream: TcpStream| -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 2 {
            line.clear();
        }
        (&stream).write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    };
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(answer(stream))));
    url
}
