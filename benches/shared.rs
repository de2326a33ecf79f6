//! What does a store that many machines share cost: to read on a node, to commit, to join, to catch up, to import through?
//!
//! The share is a folder, or where `WCAS_BENCH_SHARE` says (`s3://bucket/prefix`; `WCAS_BENCH_ENDPOINT`, credentials as always), its log
//! in the bucket or at `WCAS_BENCH_LOG` (`postgres://…`). `WCAS_BENCH_COPY` is a command that copies a folder there by other means, to
//! stand beside an import: `s5cmd cp $1/ s3://bucket/copies/`.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use support::Limit::{Nothing, Wall, WallRatio};
use support::place::Place;
use support::run::{Usage, measure, program, run, shell, wcas};
use support::{alternate, data, head, repeat, skip, tell};

/// So many distributions the store has.
const BLOBS: usize = 10_000;
/// So many records a node is behind.
const RECORDS: usize = 300;
/// So many commits each of the nodes makes that write at once.
const COMMITS: usize = 5;

/// Where the share is.
struct Shared {
    url: String,
    more: Vec<String>,
    is_database: bool,
    is_bucket: bool,
}

impl Shared {
    /// Returns a new share's place; of a folder it is in `place`.
    fn new(place: &Place) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let log = variable("WCAS_BENCH_LOG");
        let mut more = Vec::new();
        let bucket = variable("WCAS_BENCH_SHARE");
        if let Some(endpoint) = variable("WCAS_BENCH_ENDPOINT") {
            more.extend(["--endpoint".to_owned(), endpoint, "--region".to_owned(), "us-east-1".to_owned()]);
        }
        if let Some(log) = &log {
            more.extend(["--log".to_owned(), log.clone()]);
        }
        let (is_database, is_bucket) = (log.is_some(), bucket.is_some());
        let url = bucket.map_or_else(
            || format!("file://{}", place.path("share").display()),
            |url| format!("{}/{}", url.trim_end_matches('/'), std::process::id()),
        );
        Self { url, more, is_database, is_bucket }
    }

    fn with<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        words.iter().copied().chain(self.more.iter().map(String::as_str)).collect()
    }

    /// Lets a new folder join.
    fn join(&self, store: &Path) -> Command {
        wcas(store, &self.with(&["init", "--share", &self.url]))
    }
}

fn main() {
    head();
    let place = Place::disk();
    let local = place.path("local");
    run(&mut shell(r#"cp -a "$1" "$2""#, &[&data::store(BLOBS), &local]));
    let node = place.path("node");
    run(&mut shell(r#"cp -a "$1" "$2""#, &[&local, &node]));
    let shared = Shared::new(&place);
    run(&mut wcas(&node, &shared.with(&["share", &shared.url])));

    read(&shared, &local, &node);
    join(&shared, &place, &node);
    catch_up(&shared, &place, &node);
    commit(&shared, &place);
    serve(&shared, &place);
    import(&place, &node);
}

/// What only reads costs a node what it costs a store of its own, and a question to the log.
fn read(shared: &Shared, local: &Path, node: &Path) {
    // Each command asks the log once; what that takes is the bucket's or the database's.
    let limit = if shared.is_bucket { Nothing } else { WallRatio(1.05) };
    for (question, arguments) in [
        ("lookup on a node", &["lookup", data::SPEC][..]),
        ("a project's page on a node", &["view", "--project", "project-0250"]),
        ("list on a node", &["list"]),
    ] {
        let times = |store: &Path| total((0..10).map(|_| measure(&mut wcas(store, arguments))));
        let (own, raw) = alternate(|_| times(node), |_| times(local));
        tell(&format!("{question}, 10 times"), &own, Some(("a local store", &raw)), &[limit]);
    }
}

/// A new node begins with a snapshot: a copy of the manifest is the least that it takes.
fn join(shared: &Shared, place: &Place, node: &Path) {
    run(&mut wcas(node, &["gc"]));
    let (manifest, copy) = (node.join("manifest.sqlite"), place.path("copy.sqlite"));
    let new = |round: usize| measure(&mut shared.join(&place.path(&format!("new-{round}"))));
    let copied = |_| measure(&mut program("cp", &[&manifest, &copy]));
    let (own, raw) = alternate(new, copied);
    tell(&format!("a new node of {BLOBS}"), &own, Some(("cp of the manifest", &raw)), &[Wall(0.5)]);
}

/// A node that was away reads what others committed.
fn catch_up(shared: &Shared, place: &Place, node: &Path) {
    let late: Vec<PathBuf> = (0..3).map(|number| place.path(&format!("late-{number}"))).collect();
    late.iter().for_each(|late| run(&mut shared.join(late)));
    for number in 0..RECORDS {
        run(&mut wcas(node, &["collection", "create", &format!("record-{number}")]));
    }
    let own = repeat(late.len(), |round| measure(&mut wcas(&late[round], &["collection", "list"])));
    tell(&format!("{RECORDS} records behind"), &own, None, &[Wall(0.06)]);
}

/// Nodes that write at once: what counts is how many commits a second they make together.
fn commit(shared: &Shared, place: &Place) {
    let count = if shared.is_bucket && !shared.is_database { 4 } else { 8 };
    let nodes: Vec<PathBuf> = (0..count).map(|number| place.path(&format!("writer-{number}"))).collect();
    nodes.iter().for_each(|node| run(&mut shared.join(node)));
    let at_once = |round: usize| {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for (number, node) in nodes.iter().enumerate() {
                scope.spawn(move || {
                    for commit in 0..COMMITS {
                        let name = format!("c-{round}-{number}-{commit}");
                        run(&mut wcas(node, &["collection", "create", &name]));
                    }
                });
            }
        });
        Usage { wall: start.elapsed().as_secs_f64(), ..Usage::default() }
    };
    // A folder has no limit of its own.
    let limit = match (shared.is_database, shared.is_bucket) {
        (true, _) => Wall((count * COMMITS) as f64 / 100.0),
        (_, true) => Wall((count * COMMITS) as f64 / 8.0),
        _ => Nothing,
    };
    tell(&format!("{COMMITS} commits of each of {count} nodes at once"), &repeat(3, at_once), None, &[limit]);
}

/// Servers of several nodes that are sent small wheels at once, each by one client.
fn serve(shared: &Shared, place: &Place) {
    let count = if shared.is_bucket && !shared.is_database { 4 } else { 8 };
    let nodes: Vec<PathBuf> = (0..count).map(|number| place.path(&format!("server-{number}"))).collect();
    nodes.iter().for_each(|node| run(&mut shared.join(node)));
    run(&mut wcas(&nodes[0], &["collection", "create", "sent"]));
    let servers: Vec<Server> = nodes.iter().map(|node| Server::start(node)).collect();
    let dir = place.path("sent");
    let at_once = |round: usize| {
        let forms: Vec<Vec<Vec<u8>>> = (0..count)
            .map(|node| (0..COMMITS).map(|commit| form(&dir, (round * count + node) * COMMITS + commit)).collect())
            .collect();
        let start = Instant::now();
        std::thread::scope(|scope| {
            for (server, forms) in servers.iter().zip(&forms) {
                scope.spawn(move || forms.iter().for_each(|form| server.send(form)));
            }
        });
        Usage { wall: start.elapsed().as_secs_f64(), ..Usage::default() }
    };
    // The first rounds find out that others write as well.
    let limit = match (shared.is_database, shared.is_bucket) {
        (true, _) => Wall((count * COMMITS) as f64 / 100.0),
        (_, true) => Wall((count * COMMITS) as f64 / 8.0),
        _ => Nothing,
    };
    tell(&format!("{COMMITS} uploads to each of {count} servers at once"), &repeat(5, at_once), None, &[limit]);
}

/// A server on a node; it ends with the value.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(node: &Path) -> Self {
        let mut command = wcas(node, &["serve", "--listen", "127.0.0.1:0", "--anonymous", "upload"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program runs");
        let mut url = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut url).expect("it tells its URL");
        let address = url.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { child, address }
    }

    /// Sends a form, and waits until it counts.
    fn send(&self, form: &[u8]) {
        let head = format!(
            "POST /sent/legacy/ HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\
             content-type: multipart/form-data; boundary=b\r\n\r\n",
            self.address,
            form.len()
        );
        let mut server = TcpStream::connect(&self.address).expect("the server listens");
        server.write_all(&[head.as_bytes(), form].concat()).expect("the server reads");
        let mut answer = String::new();
        server.read_to_string(&mut answer).expect("the server answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// Returns the form by which one more small wheel is sent.
fn form(dir: &Path, number: usize) -> Vec<u8> {
    let dir = data::one_more(dir, number);
    let file = data::files(&dir).remove(0);
    let name = file.file_name().expect("a file has a name").to_string_lossy().into_owned();
    let mut form = b"--b\r\ncontent-disposition: form-data; name=\":action\"\r\n\r\nfile_upload\r\n".to_vec();
    let part = format!("--b\r\ncontent-disposition: form-data; name=\"content\"; filename=\"{name}\"\r\n\r\n");
    form.extend(part.into_bytes());
    form.extend(std::fs::read(&file).expect("the file was made"));
    form.extend(b"\r\n--b--\r\n");
    form
}

/// Bytes go to the share and into this folder.
fn import(place: &Place, node: &Path) {
    let large = place.path("large");
    let sources = |round: usize| {
        let dir = large.join(round.to_string());
        std::fs::create_dir_all(&dir).expect("the scratch folder can be written");
        (0..8).for_each(|number| drop(data::large_of(&dir, round * 8 + number, 24 << 20)));
        dir
    };
    let rounds: Vec<PathBuf> = (0..support::RUNS).map(sources).collect();
    let own = |round: usize| {
        let dir = rounds[round].to_str().expect("the scratch folder's path is text");
        measure(&mut wcas(node, &["import", dir, "--collection", "large"]))
    };
    match std::env::var("WCAS_BENCH_COPY") {
        Ok(copy) => {
            let (own, raw) = alternate(own, |round| measure(&mut shell(&copy, &[&rounds[round]])));
            tell("import of 200 MB through a node", &own, Some(("WCAS_BENCH_COPY", &raw)), &[WallRatio(1.1)]);
        }
        Err(_) => {
            skip("import beside another program", "no WCAS_BENCH_COPY");
            let twice = r#"cp -r "$1" "$2"/a && cp -r "$1" "$2"/b && sync -f "$2" && rm -r "$2"/a "$2"/b"#;
            let target = place.path("target");
            std::fs::create_dir_all(&target).expect("the scratch folder can be written");
            let (own, raw) = alternate(own, |round| measure(&mut shell(twice, &[&rounds[round], &target])));
            tell("import of 200 MB through a node", &own, Some(("two copies, synced", &raw)), &[Nothing]);
        }
    }
}

fn total(runs: impl Iterator<Item = Usage>) -> Usage {
    runs.fold(Usage::default(), |sum, run| Usage { wall: sum.wall + run.wall, cpu: sum.cpu + run.cpu, memory: 0.0 })
}
