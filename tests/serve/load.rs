//! A server that is killed, and one beside which others work: what was promised holds.

use crate::site::{Site, add, file_path, sha256, token, whole};
use crate::support::{Connection, Env, Heard, WcasServer, Wheel};
use crate::uploads::{FORM, basic, form};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Uploads one after the other until the server is gone; returns what was answered with 200.
fn upload_until_the_end(address: SocketAddr, login: &str, series: u64) -> Vec<Wheel> {
    let mut taken = Vec::new();
    for number in 0..500 {
        let wheel = Wheel::new("demo-up", &format!("{series}.{number}")).payload(80_000, series * 1000 + number);
        let body = form(&wheel.filename(), &wheel.bytes(), &[]);
        let Ok(mut connection) = Connection::try_open(address) else { break };
        let length = body.len().to_string();
        let head = format!(
            "POST /cuda/legacy/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: {login}\r\n{}: {}\r\nContent-Length: {length}\r\n\r\n",
            FORM.0, FORM.1
        );
        if connection.send(head.as_bytes()).is_err() || connection.send(&body).is_err() {
            break;
        }
        match connection.head() {
            Some(Heard { status: 200, .. }) => taken.push(wheel),
            Some(other) => panic!("{other}"),
            None => break,
        }
    }
    taken
}

#[test]
fn what_was_answered_with_200_outlives_a_kill_at_any_time() {
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("demo-lib", "1.0")]);
    let login = basic(&token(&env, &["--collection", "cuda", "--scope", "upload"]));
    let mut promised = Vec::new();
    for (series, millis) in (1..).zip([90, 230, 400, 650]) {
        let server = WcasServer::start(&env, &[]);
        let address = server.address();
        std::thread::scope(|scope| {
            let begin = Instant::now();
            let workers: Vec<_> = (0..3)
                .map(|worker| {
                    let login = &login;
                    scope.spawn(move || upload_until_the_end(address, login, series * 10 + worker))
                })
                .collect();
            while begin.elapsed() < Duration::from_millis(millis) {
                std::thread::sleep(Duration::from_millis(5));
            }
            env.leaves("uploads of a server that is killed");
            server.kill();
            for worker in workers {
                promised.extend(worker.join().unwrap());
            }
        });
    }
    assert!(promised.len() > 4, "only {} uploads came through", promised.len());
    let server = WcasServer::start(&env, &[]);
    let page = server.json("/cuda/simple/demo-up/");
    let rows = page["files"].as_array().unwrap();
    for wheel in &promised {
        let bytes = wheel.bytes();
        let row = rows.iter().find(|row| row["filename"] == wheel.filename());
        assert_eq!(row.map(|row| &row["hashes"]["sha256"]), Some(&sha256(&bytes).into()), "{}", wheel.filename());
        assert!(server.get(&file_path(&wheel.filename(), &bytes)).body == bytes);
    }
    server.stop();
    // The next session that changes something takes away what the kills left.
    env.ok(["gc"]);
    whole(&env);
}

#[test]
fn imports_gc_and_uploads_beside_a_server_are_seen_at_once_and_spoil_nothing() {
    let env = Env::new();
    let first: Vec<Wheel> = (0..4).map(|number| wheel(0, number)).collect();
    add(&env, "cuda", &first);
    let site = Site::of(env, &[]);
    let login = basic(&site.token(&["--collection", "cuda", "--scope", "upload"]));
    let is_over = AtomicBool::new(false);
    let withdrawn = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    read_all(&site);
                }
            });
        }
        let uploader = scope.spawn(|| {
            for number in 0..15 {
                let wheel = Wheel::new("demo-up", &format!("1.{number}")).payload(50_000, number);
                let body = form(&wheel.filename(), &wheel.bytes(), &[]);
                let headers = [FORM, ("Authorization", &*login)];
                let heard = site.server.connect().post("/cuda/legacy/", &headers, &body);
                assert_eq!(heard.status, 200, "{heard}");
                let row = site.server.json("/cuda/simple/demo-up/");
                assert!(row.to_string().contains(&wheel.filename()), "it was taken, and is not there");
            }
        });
        for round in 1..7 {
            let wheels: Vec<Wheel> = (0..4).map(|number| wheel(round, number)).collect();
            site.add("cuda", &wheels);
            let page = site.server.json("/cuda/simple/demo-load/").to_string();
            assert!(wheels.iter().all(|wheel| page.contains(&wheel.filename())), "imported, and not there: {page}");
            let gone = format!("demo-load=={}.*", round - 1);
            site.env.ok(["invalidate", &gone, "--collection", "cuda"]);
            site.env.ok(["gc", "--grace", "0s"]);
            *withdrawn.lock().unwrap() += 1;
            let page = site.server.json("/cuda/simple/demo-load/").to_string();
            assert!(!page.contains(&format!("demo_load-{}.", round - 1)), "withdrawn, and still there: {page}");
        }
        uploader.join().unwrap();
        is_over.store(true, Ordering::Relaxed);
    });
    let list = site.env.json(["list", "--collection", "cuda"]);
    assert_eq!(list["distributions"].as_array().unwrap().len(), 4 + 15, "{list}");
    site.end();
}

fn wheel(round: u64, number: u64) -> Wheel {
    Wheel::new("demo-load", &format!("{round}.{number}")).payload(30_000, round * 100 + number)
}

/// Reads a page and each file of it: right bytes, or withdrawn since.
fn read_all(site: &Site) {
    for project in ["demo-load", "demo-up"] {
        let heard = site.server.ask("GET", &format!("/cuda/simple/{project}/"), &[("Accept", crate::site::JSON)]);
        if heard.status == 404 && project == "demo-up" {
            continue;
        }
        assert_eq!(heard.status, 200, "{heard}");
        let page: serde_json::Value = serde_json::from_slice(&heard.body).unwrap();
        for row in page["files"].as_array().unwrap() {
            let digest = row["hashes"]["sha256"].as_str().unwrap();
            let path = format!("/files/{digest}/{}", row["filename"].as_str().unwrap());
            let got = site.server.get(&path);
            match got.status {
                200 => assert_eq!(sha256(&got.body), digest, "{path}"),
                404 => {
                    let now = site.server.json(&format!("/cuda/simple/{project}/")).to_string();
                    assert!(!now.contains(digest), "{path} is listed, and isn't there");
                }
                _ => panic!("{path}: {got}"),
            }
        }
    }
}

#[test]
fn a_server_that_is_stopped_finishes_what_it_began() {
    let env = Env::new();
    let big = Wheel::new("demo-big", "1.0").payload(30_000_000, 6);
    add(&env, "cuda", std::slice::from_ref(&big));
    let login = basic(&token(&env, &["--collection", "cuda", "--scope", "upload"]));
    let server = WcasServer::start(&env, &[]);
    let (bytes, address) = (big.bytes(), server.address());
    let idle = server.connect();
    let mut download = server.connect();
    download.send_head("GET", &file_path(&big.filename(), &bytes), &[]);
    assert_eq!(download.head().map(|head| head.status), Some(200));
    let wheel = Wheel::new("demo-up", "1.0").payload(100_000, 1);
    let body = form(&wheel.filename(), &wheel.bytes(), &[]);
    let mut upload = server.connect();
    let size = body.len().to_string();
    let headers = [FORM, ("Authorization", &*login), ("Content-Length", &*size)];
    upload.send_head("POST", "/cuda/legacy/", &headers);
    upload.send(&body[..50_000]).unwrap();
    let ended = std::thread::spawn(move || server.stop());
    let begin = Instant::now();
    while std::net::TcpStream::connect(address).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it still takes connections");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(download.read(bytes.len()) == bytes, "the download came to its end");
    upload.send(&body[50_000..]).unwrap();
    assert_eq!(upload.head().map(|head| head.status), Some(200), "and so did the upload");
    ended.join().unwrap();
    drop(idle);
    let list = env.json(["list", "--collection", "cuda"]);
    assert_eq!(list["distributions"].as_array().unwrap().len(), 2, "{list}");
    whole(&env);
}

#[test]
fn a_form_without_a_length_is_taken_as_well() {
    let env = Env::new();
    env.ok(["collection", "create", "cuda"]);
    let login = basic(&token(&env, &["--collection", "cuda", "--scope", "upload"]));
    let site = Site::of(env, &[]);
    let wheel = Wheel::new("demo-up", "1.0").payload(100_000, 1);
    let body = form(&wheel.filename(), &wheel.bytes(), &[]);
    let mut connection = site.server.connect();
    let headers = [FORM, ("Authorization", &*login), ("Transfer-Encoding", "chunked"), ("Expect", "100-continue")];
    connection.send_head("POST", "/cuda/legacy/", &headers);
    assert_eq!(connection.head().map(|head| head.status), Some(100), "the client waits for this");
    for piece in body.chunks(7001) {
        connection.send(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).unwrap();
    }
    connection.send(b"0\r\n\r\n").unwrap();
    assert_eq!(connection.head().map(|head| head.status), Some(200));
    assert_eq!(site.server.get("/cuda/simple/demo-up/").status, 200);
    site.end();
}
