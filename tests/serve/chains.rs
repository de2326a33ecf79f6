//! Servers in a row: wcas behind wcas, and remotes that fail while clients wait.

use crate::clients::{Desk, interpreter};
use crate::site::{JSON, PIP, Site, add, file_path, sha256, wheels};
use crate::support::{Env, Reply, Server, Wheel};
use std::fs;

/// Short enough for a test, and long enough for a busy machine.
const PATIENCE: [(&str, &str); 2] = [("WCAS_CONNECT_TIMEOUT", "5"), ("WCAS_STALL_TIMEOUT", "2")];

/// A store whose collection `cuda` has a remote, and a server on it.
fn behind(url: &str, options: &[&str]) -> Site {
    let env = Env::new();
    env.ok([&["remote", "add", "up", url, "--collection", "cuda"], options].concat());
    let server = crate::support::WcasServer::start_with(&env, &[], &PATIENCE);
    Site { env, server }
}

/// Returns the log's lines about files themselves, without sidecars.
fn taken(site: &Site) -> Vec<String> {
    let log = fs::read_to_string(site.env.path("stderr")).unwrap_or_default();
    log.lines().filter(|line| line.contains("/files/") && !line.contains(".metadata ")).map(str::to_owned).collect()
}

/// Returns the files of a page, in order, without what may differ between two servers.
fn files(site: &Site, project: &str) -> Vec<serde_json::Value> {
    let mut body = site.server.json(&format!("/cuda/simple/{project}/"));
    let mut rows = body["files"].as_array_mut().unwrap().clone();
    for row in &mut rows {
        let row = row.as_object_mut().unwrap();
        row.retain(|key, _| !key.starts_with('_'));
        // The digest of METADATA is told by who has its bytes; that there is some, by all.
        if let Some(told) = row.get_mut("core-metadata") {
            *told = (!told.is_null()).into();
        }
    }
    rows
}

#[test]
fn c2_d4_wcas_is_a_remote_of_wcas_twice_and_nothing_is_lost_on_the_way() {
    let env = Env::new();
    add(&env, "cuda", &wheels());
    env.ok(["yank", "demo-lib==2.5", "--reason", "broken", "--collection", "cuda"]);
    let first = Site::of(env, &[]);
    let second = behind(&first.server.url("/cuda/simple/"), &[]);
    let third = behind(&second.server.url("/cuda/simple/"), &[]);
    for project in ["demo-app", "demo-lib", "demo-native", "demo-odd"] {
        assert_eq!(files(&third, project), files(&first, project), "{project}");
    }
    // To resolve takes sidecars through the whole row, and no wheel.
    let desk = Desk::new();
    let index = third.server.url("/cuda/simple/");
    if let Some(python) = interpreter("uv") {
        desk.write("in.txt", "demo-app\n");
        let args = ["--no-config", "pip", "compile", "in.txt", "--index-url", &index, "--generate-hashes"];
        let done = desk.run(&python, "uv", &args);
        assert!(done.ok && done.said.contains(&sha256(&wheels()[2].bytes())), "{}", done.said);
        assert_eq!((taken(&first), taken(&second)), (vec![], vec![]));
    }
    for client in ["pip", "uv", "pip-22"].into_iter().filter(|client| interpreter(client).is_some()) {
        assert_eq!(desk.install(client, &index, &["demo-app"]), ["demo_app-3.0+cu12", "demo_lib-2.0"], "{client}");
    }
    // What came through is kept on the way: each file was taken once from each.
    let wheel = &wheels()[2];
    let path = file_path(&wheel.filename(), &wheel.bytes());
    third.server.get(&path).assert_brings(&wheel.bytes());
    let asked = |site: &Site| taken(site).iter().filter(|line| line.contains(&wheel.filename())).count();
    assert!(asked(&first) <= 1 && asked(&second) <= 1, "{:?} {:?}", taken(&first), taken(&second));
    // The page is the same after as before.
    for project in ["demo-app", "demo-lib"] {
        assert_eq!(files(&third, project), files(&first, project), "{project}");
    }
    third.end();
    second.end();
    first.end();
}

#[test]
fn many_clients_that_want_one_file_cost_one_fetch() {
    let env = Env::new();
    let big = Wheel::new("demo-big", "1.0").payload(8_000_000, 9);
    add(&env, "cuda", std::slice::from_ref(&big));
    let first = Site::of(env, &[]);
    let second = behind(&first.server.url("/cuda/simple/"), &[]);
    let bytes = big.bytes();
    let path = file_path(&big.filename(), &bytes);
    std::thread::scope(|scope| {
        for client in 0..24 {
            let (second, bytes, path) = (&second, &bytes, &path);
            scope.spawn(move || {
                if client % 4 == 3 {
                    // One in four leaves early.
                    let mut connection = second.server.connect();
                    connection.send_head("GET", path, &[]);
                    assert_eq!(connection.head().map(|head| head.status), Some(200));
                    return;
                }
                let range = [("Range", "bytes=-16384")];
                let headers: &[_] = if client % 4 == 2 { &range } else { &[] };
                let heard = second.server.ask("GET", path, headers);
                let wanted = if heard.status == 206 { &bytes[bytes.len() - 16384..] } else { &bytes[..] };
                assert!(heard.is_whole && heard.body == wanted, "{client}: {}", heard.status);
            });
        }
    });
    let fetched = taken(&first).iter().filter(|line| line.contains("GET")).count();
    assert!(fetched <= 2, "one for all, and one for who wants its end first: {:?}", taken(&first));
    second.end();
    first.end();
}

#[test]
fn a_remote_that_is_down_is_never_an_empty_page() {
    let env = Env::new();
    add(&env, "cuda", &wheels());
    let first = Site::of(env, &[]);
    let second = behind(&first.server.url("/cuda/simple/"), &[]);
    second.add("cuda", &[Wheel::new("demo-own", "1.0")]);
    // A stranger wouldn't be asked for what is our own.
    second.env.ok(["remote", "set", "up", "--ours"]);
    assert_eq!(files(&second, "demo-app").len(), 3);
    let wheel = &wheels()[0];
    let path = file_path(&wheel.filename(), &wheel.bytes());
    second.server.get(&path).assert_brings(&wheel.bytes());
    first.end();
    // A page that was seen, and what was pulled, stay.
    assert_eq!(files(&second, "demo-app").len(), 3);
    second.server.get(&path).assert_brings(&wheel.bytes());
    for accept in [PIP, "text/html"] {
        let heard = second.server.ask("GET", "/cuda/simple/demo-lib/", &[("Accept", accept)]);
        assert_eq!(heard.status, 503, "{heard}");
        assert!(heard.header("retry-after").parse::<u32>().unwrap() > 0 && heard.text().contains("up"), "{heard}");
        let own = second.server.ask("GET", "/cuda/simple/demo-own/", &[("Accept", accept)]);
        assert_eq!((own.status, own.header("x-wcas-incomplete")), (200, "up"), "{own}");
    }
    let listed = &wheels()[1];
    let missing = second.server.get(&file_path(&listed.filename(), &listed.bytes()));
    assert!(matches!(missing.status, 502..=504), "listed, and not to be had now: {missing}");
    assert!(!missing.header("retry-after").is_empty(), "{missing}");
    second.end();
}

/// A remote with one project, `demo`, whose file answers so.
fn faulty(wheel: &Wheel, reply: Reply) -> Server {
    let server = Server::start();
    let bytes = wheel.bytes();
    let link = format!("<a href=\"/files/{0}#sha256={1}\">{0}</a>", wheel.filename(), sha256(&bytes));
    server.route("/simple/demo/", Reply::html(link)).route(&format!("/files/{}", wheel.filename()), reply);
    server
}

#[test]
fn bytes_of_a_bad_remote_never_come_to_an_end_at_a_client() {
    let wheel = Wheel::new("demo", "1.0").payload(3_000_000, 4);
    let bytes = wheel.bytes();
    let mut wrong = bytes.clone();
    let middle = wrong.len() / 2;
    wrong[middle] ^= 1;
    let mut longer = bytes.clone();
    longer.extend(b"more");
    for (name, reply) in [
        ("wrong", Reply::file(&*wrong)),
        ("longer", Reply::file(&*longer)),
        ("shorter", Reply::file(&bytes[..bytes.len() - 5])),
        ("cut", Reply::file(&*bytes).cut_at(1_000_000)),
        ("gone", Reply::status(404)),
        ("refused", Reply::status(500)),
        ("closed", Reply::hang_up()),
        ("an HTML page", Reply::html("<p>please log in")),
    ] {
        let server = faulty(&wheel, reply);
        let site = behind(&server.url("/simple/"), &[]);
        assert_eq!(files(&site, "demo").len(), 1, "{name}");
        let path = file_path(&wheel.filename(), &bytes);
        for turn in 0..2 {
            let mut connection = site.server.connect();
            connection.send_head("GET", &path, &[]);
            let Some(head) = connection.head() else { continue };
            if head.status == 200 {
                let length: usize = head.header("content-length").parse().unwrap_or(usize::MAX);
                let body = connection.rest();
                assert!(body.len() < length, "{name} {turn}: {} of {length} bytes, and they seem whole", body.len());
            } else {
                assert!(matches!(head.status, 404 | 500..=504), "{name} {turn}: {head}");
            }
        }
        let got = site.server.get(&format!("{path}.metadata"));
        assert_ne!(got.status, 200, "{name}: {got}");
        site.end();
    }
}

#[test]
fn credentials_of_a_remote_stay_between_the_servers() {
    let env = Env::new();
    add(&env, "cuda", &wheels());
    let first = Site::of(env, &["--anonymous", "nothing"]);
    let token = first.token(&["--collection", "cuda", "--scope", "read"]);
    let env = Env::new();
    let url = first.server.url("/cuda/simple/");
    env.ok(["remote", "add", "up", &url, "--collection", "cuda", "--auth", "env:UP_LOGIN"]);
    let login = format!("__token__:{token}");
    let server = crate::support::WcasServer::start_with(&env, &[], &[("UP_LOGIN", &login)]);
    let second = Site { env, server };
    let page = second.server.ask("GET", "/cuda/simple/demo-app/", &[("Accept", JSON)]);
    assert!(page.status == 200 && !page.text().contains(&token) && !page.text().contains('@'), "{page}");
    let wheel = &wheels()[0];
    assert!(second.server.get(&file_path(&wheel.filename(), &wheel.bytes())).body == wheel.bytes());
    let log = fs::read_to_string(second.env.path("stderr")).unwrap();
    assert!(!log.contains(&token), "{log}");
    let manifest = fs::read(second.env.store().join("manifest.sqlite")).unwrap();
    assert!(!manifest.windows(token.len()).any(|bytes| bytes == token.as_bytes()), "no secret is stored");
    second.end();
    first.end();
}
