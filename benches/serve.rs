//! How many pages and files a second does the server give, how soon, and with how much memory, beside nginx with the same bytes?
//!
//! The load comes from `wrk`, over the loopback device; it, the server and nginx share the processors, in turns.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::place::Place;
use support::run::{find, measure, run, shell, wcas};
use support::{data, median, say};

const ROUNDS: usize = 5;
const CONNECTIONS: usize = 32;
const SECONDS: &str = "3s";
const JSON: &str = "application/vnd.pypi.simple.v1+json";
const LARGE_BYTES: usize = 64 << 20;

fn main() {
    say("| question | wcas | baseline | figure (min-max) | limit |\n| --- | --- | --- | --- | --- |");
    start_of_a_large_store();
    let place = Place::disk();
    let (Some(wrk), Some(nginx)) = (find("wrk", "WCAS_BENCH_WRK"), find("nginx", "WCAS_BENCH_NGINX")) else {
        say("| load | - | - | skipped: needs wrk and nginx | - |");
        return;
    };
    let store = place.path("store");
    run(&mut shell("cp -a \"$1\" \"$2\"", &[&data::store(10_000), &store]));
    let large = data::large(&place.path("large"), LARGE_BYTES);
    run(&mut wcas(&store, &["import", "--link", "copy", large.to_str().expect("a path of text")]));
    let own = Server::wcas(&store);
    let site = Site::of(&own, &place);
    let peer = Server::nginx(&nginx, &place, &site.root);
    let before = own.memory();
    for question in &site.questions {
        let script = place.path("paths.lua");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(Load::run(&wrk, &script, &own, &question.own, question.headers));
            theirs.push(Load::run(&wrk, &script, &peer, &question.peer, question.headers));
        }
        question.tell(&ours, &theirs);
    }
    let filled = own.memory();
    let many = Load::with_connections(&wrk, &place.path("paths.lua"), &own, &site.questions[0].own, "", 1000);
    say(&format!(
        "| memory: before, pages of all projects, 1000 connections | {before:.0}, {filled:.0}, {:.0} MiB | - | {:.0} a second | 48 MiB |",
        own.memory(),
        many.rate
    ));
    drop(own);
    resolve(&place, &nginx);
}

/// A server that ends with the value.
struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn wcas(store: &Path) -> Self {
        let mut command = wcas(store, &["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program runs");
        let mut url = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut url).expect("it tells its URL");
        Self { child, url: url.trim().trim_end_matches('/').to_owned() }
    }

    /// Serves a folder, plainly: no log, sendfile, connections kept.
    fn nginx(program: &Path, place: &Place, root: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port is free").port();
        let dir = place.path(&format!("nginx-{port}"));
        fs::create_dir_all(&dir).expect("the scratch folder can be written");
        let (text, root) = (dir.display(), root.display());
        let config = format!(
            "daemon off; worker_processes auto; pid {text}/pid; error_log {text}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type text/html;\n\
             types {{ {JSON} json; text/html html; }}\n  gzip_static on;\n\
             client_body_temp_path {text}/a; proxy_temp_path {text}/b; fastcgi_temp_path {text}/c; uwsgi_temp_path {text}/d; \
             scgi_temp_path {text}/e;\n\
             server {{ listen 127.0.0.1:{port}; root {root}; index index.html; }}\n}}\n"
        );
        fs::write(dir.join("nginx.conf"), config).expect("the scratch folder can be written");
        let mut command = Command::new(program);
        // Root's workers are nobody's, who may not read the scratch folder.
        command.args(["-g", "user root;", "-c"]).arg(dir.join("nginx.conf")).arg("-p").arg(&dir);
        let child = command.stderr(Stdio::null()).spawn().expect("nginx runs");
        let server = Self { child, url: format!("http://127.0.0.1:{port}") };
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "nginx doesn't listen: see {text}/error.log");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// Fetches a path's bytes.
    fn get(&self, path: &str, headers: &str) -> Vec<u8> {
        let address = self.url.strip_prefix("http://").expect("there is no TLS");
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n")
            .expect("it takes requests");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        assert!(
            answer.starts_with(b"HTTP/1.1 200 "),
            "{path}: {}",
            String::from_utf8_lossy(&answer[..200.min(answer.len())])
        );
        let body = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head ends");
        answer.split_off(body + 4)
    }

    /// Returns the memory of its own that it has now, in MiB: pages of files that are mapped or cached are the kernel's.
    fn memory(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(f64::NAN) / 1024.0
    }
}

/// What is asked for, of both servers.
struct Question {
    name: &'static str,
    own: Vec<String>,
    peer: Vec<String>,
    headers: &'static str,
    least: f64,
    most_p99: f64,
}

struct Site {
    root: PathBuf,
    questions: Vec<Question>,
}

impl Site {
    /// Saves the server's own pages and files for nginx: the same bytes.
    fn of(own: &Server, place: &Place) -> Self {
        let root = place.path("root");
        fs::create_dir_all(&root).expect("the scratch folder can be written");
        let save = |name: &str, bytes: &[u8]| fs::write(root.join(name), bytes).expect("the scratch folder has room");
        let (mut pages, mut html, mut json) = (Vec::new(), Vec::new(), Vec::new());
        let (mut files, mut saved_files) = (Vec::new(), Vec::new());
        for number in 0..500 {
            let path = format!("/shared/simple/project-{number:04}/");
            save(&format!("{number}.html"), &own.get(&path, "Accept: text/html\r\n"));
            save(&format!("{number}.html.gz"), &own.get(&path, "Accept: text/html\r\nAccept-Encoding: gzip\r\n"));
            let page = own.get(&path, &format!("Accept: {JSON}\r\n"));
            save(&format!("{number}.json"), &page);
            let page: serde_json::Value = serde_json::from_slice(&page).expect("a page is JSON");
            let file = &page["files"][0];
            let name = file["filename"].as_str().expect("a file has a name");
            let sha256 = file["hashes"]["sha256"].as_str().expect("a file has a digest");
            let path_of_file = format!("/files/{sha256}/{name}");
            save(name, &own.get(&path_of_file, ""));
            files.push(path_of_file);
            saved_files.push(format!("/{name}"));
            pages.push(path);
            html.push(format!("/{number}.html"));
            json.push(format!("/{number}.json"));
        }
        let page: serde_json::Value =
            serde_json::from_slice(&own.get("/shared/simple/large/", &format!("Accept: {JSON}\r\n")))
                .expect("a page is JSON");
        let sha256 = page["files"][0]["hashes"]["sha256"].as_str().expect("a file has a digest").to_owned();
        let large = format!("/files/{sha256}/large-1.0-py3-none-any.whl");
        save("large.whl", &own.get(&large, ""));
        let question = |name, own: &Vec<String>, peer: &Vec<String>, headers, least| Question {
            name,
            own: own.clone(),
            peer: peer.clone(),
            headers,
            least,
            most_p99: 2.5,
        };
        let questions = vec![
            question("pages, JSON, 500 projects", &pages, &json, "Accept: application/vnd.pypi.simple.v1+json", 0.8),
            question("pages, HTML", &pages, &html, "Accept: text/html", 0.8),
            question("pages, HTML, gzip", &pages, &html, "Accept: text/html|Accept-Encoding: gzip", 0.8),
            question("files of 2-20 kB, 500", &files, &saved_files, "", 0.7),
            question("a file of 64 MiB", &vec![large], &vec!["/large.whl".to_owned()], "", 0.7),
        ];
        Self { root, questions }
    }
}

impl Question {
    fn tell(&self, ours: &[Load], theirs: &[Load]) {
        let of = |loads: &[Load], pick: fn(&Load) -> f64| median(loads.iter().map(pick));
        let pairs: Vec<f64> = ours.iter().zip(theirs).map(|(one, other)| one.rate / other.rate).collect();
        let (least, most) =
            pairs.iter().fold((f64::MAX, 0.0_f64), |(least, most), &pair| (least.min(pair), most.max(pair)));
        let (rate, p99) = (|load: &Load| load.rate, |load: &Load| load.p99);
        let (own, peer) = (of(ours, rate), of(theirs, rate));
        let name = self.name;
        say(&format!(
            "| {name}, a second | {own:.0} | nginx {peer:.0} | {:.2} ({least:.2}-{most:.2}) | >= {} |",
            own / peer,
            self.least
        ));
        let (own, peer) = (of(ours, p99), of(theirs, p99));
        say(&format!(
            "| {name}, 99th percentile | {own:.2} ms | nginx {peer:.2} ms | {:.2} | <= {} |",
            own / peer,
            self.most_p99
        ));
    }
}

/// What one run of wrk tells.
struct Load {
    rate: f64,
    /// In milliseconds.
    p99: f64,
}

impl Load {
    fn run(wrk: &Path, script: &Path, server: &Server, paths: &[String], headers: &str) -> Self {
        Self::with_connections(wrk, script, server, paths, headers, CONNECTIONS)
    }

    fn with_connections(
        wrk: &Path,
        script: &Path,
        server: &Server,
        paths: &[String],
        headers: &str,
        connections: usize,
    ) -> Self {
        // The requests are made before the clock starts.
        let mut lua = String::from("local requests, at = {}, 0\nfunction init(args)\n");
        let headers = headers.split('|').filter_map(|header| header.split_once(": "));
        let headers = headers.fold(String::new(), |mut text, (name, value)| {
            let _ = write!(text, "[\"{name}\"]=\"{value}\",");
            text
        });
        for path in paths {
            let _ = writeln!(lua, "  requests[#requests + 1] = wrk.format(\"GET\", \"{path}\", {{{headers}}})");
        }
        lua.push_str("end\nfunction request() at = at % #requests + 1; return requests[at] end\n");
        fs::write(script, lua).expect("the scratch folder can be written");
        let mut command = Command::new(wrk);
        command
            .args(["-t1", "-d", SECONDS, "--latency", "--timeout", "30s", "-c", &connections.to_string(), "-s"])
            .arg(script);
        let output = command.arg(&server.url).output().expect("wrk runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{}: {text}", server.url);
        let value = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or("").trim();
        let rate = value("Requests/sec:").parse().unwrap_or(f64::NAN);
        Self { rate, p99: milliseconds(value("99%")) }
    }
}

fn milliseconds(text: &str) -> f64 {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0)];
    let found = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    found.and_then(|(number, factor)| Some(number.parse::<f64>().ok()? * factor)).unwrap_or(f64::NAN)
}

/// How long until a server on a store of 100 000 answers?
fn start_of_a_large_store() {
    let store = data::store(100_000);
    let times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let server = Server::wcas(&store);
            server.get("/shared/simple/project-0000/", "");
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    let (least, most) =
        times.iter().fold((f64::MAX, 0.0_f64), |(least, most), &time| (least.min(time), most.max(time)));
    let middle = median(times.into_iter());
    say(&format!("| start on 100 000, first page | {middle:.0} ms ({least:.0}-{most:.0}) | - | - | 200 ms |"));
}

/// How long does uv take to resolve 70 packages by their sidecars?
fn resolve(place: &Place, nginx: &Path) {
    let python = find("python", "WCAS_TEST_PYTHON");
    let with_uv = python.map(|python| (python.with_file_name("uv"), python)).filter(|(uv, _)| uv.is_file());
    let Some((uv, python)) = with_uv else {
        say("| uv pip compile of 70 | - | - | skipped: needs uv: WCAS_TEST_PYTHON=\"$(tests/clients.sh)\" | - |");
        return;
    };
    let (store, tree) = (place.path("chain"), place.path("tree"));
    let wheels = data::chain(&place.path("chain-wheels"), 70);
    run(&mut wcas(&store, &["import", "--link", "copy", wheels.to_str().expect("a path of text")]));
    run(&mut wcas(&store, &["view", "--collection", "shared", "--to", tree.to_str().expect("a path of text")]));
    let (own, peer) = (Server::wcas(&store), Server::nginx(nginx, place, &tree));
    let list = place.path("in.txt");
    fs::write(&list, "chain-0\n").expect("the scratch folder can be written");
    let compile = |url: String| {
        let mut command = Command::new(&uv);
        command.args(["pip", "compile", "--no-config", "--no-cache", "--quiet", "-i", &url]);
        // Left to itself uv looks for interpreters first, for seconds.
        command.arg("--python").arg(&python);
        command.arg(&list).env("no_proxy", "127.0.0.1");
        measure(&mut command)
    };
    let both = support::alternate(
        |_| compile(format!("{}/shared/simple/", own.url)),
        |_| compile(format!("{}/simple/", peer.url)),
    );
    let (ours, theirs) = (both.0.wall(), both.1.wall());
    say(&format!(
        "| uv pip compile of 70 packages | {:.0} ms | nginx, pages and sidecars on disk {:.0} ms | {:.2} | <= 1.2 |",
        ours * 1000.0,
        theirs * 1000.0,
        ours / theirs
    ));
}
