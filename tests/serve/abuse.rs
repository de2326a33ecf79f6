//! What an enemy may try by the socket: paths out of the store, heads without end, silence, uploads cut short, crowds.

use crate::site::{Site, add, file_path, shared, token, wheels, whole};
use crate::support::{Connection, Env, WcasServer, Wheel};
use crate::uploads::{FORM, basic, form};
use std::fs;
use std::time::{Duration, Instant};

/// How clients are treated where a test is about impatience.
const IMPATIENT: [&str; 2] = ["--client-timeout", "1s"];

#[test]
fn no_path_leads_out_in_any_position() {
    let site = shared();
    let digest = "0123456789abcdef".repeat(4);
    let wheel = &wheels()[0];
    let own = file_path(&wheel.filename(), &wheel.bytes());
    let steps = [
        "..",
        ".",
        "...",
        "%2e%2e",
        "%2E.",
        "..%2f..",
        "%2e%2e%2f%2e%2e",
        "..%5c..",
        "%00",
        "a%00b",
        "%252e%252e",
        "%c0%ae%c0%ae",
        "%ff",
        "%",
        "%zz",
        "~root",
        "C:",
        "wcas.json",
        "manifest.sqlite",
        "%0d%0aX-Evil:%201",
        "..;",
        "\\..\\..",
    ];
    let shapes = [
        "/{}",
        "/{}/",
        "/{}/simple/",
        "/{}/simple/demo-app/",
        "/cuda/{}/",
        "/cuda/{}",
        "/cuda/simple/{}/",
        "/cuda/simple/{}",
        "/cuda@{}/simple/",
        "/files/{}/x.whl",
        "/files/{}",
        "/cuda/files/{}/x.whl",
        "/cuda/variants/{}/a-1-variants.json",
        "/-/{}",
        "/cuda/simple/demo-app/{}",
        "/cuda/simple/{}/{}/{}/{}/etc/passwd",
        "/files/../../{}",
        "/{}/{}/{}/{}/{}/{}/etc/passwd",
    ];
    for step in steps {
        let more = [
            format!("/files/{digest}/{step}"),
            format!("/files/{digest}/{step}/x.whl"),
            format!("{own}/{step}"),
            format!("{own}/../{step}"),
            format!("{own}.metadata/{step}"),
        ];
        let mut connection = site.server.connect();
        for path in shapes.iter().map(|shape| shape.replace("{}", step)).chain(more) {
            if !path.is_ascii() || path.contains([' ', '\\']) {
                continue;
            }
            let heard = connection.ask("GET", &path, &[]);
            let is_moved = heard.status == 301;
            assert!(is_moved || heard.status == 404 || heard.status == 400, "{path}: {heard}");
            assert!(heard.header("x-evil").is_empty(), "{path}: {heard}");
            assert!(!heard.header("location").contains("//"), "{path}: {heard}");
            let text = String::from_utf8_lossy(&heard.body).into_owned();
            assert!(!text.contains("root:") && !text.contains("SQLite") && !text.contains("schema"), "{path}: {heard}");
            if heard.status == 400 {
                connection = site.server.connect();
            }
        }
    }
    // A redirect stays on this host, whatever the path looks like.
    for path in ["//evil.example/simple", "//evil.example", "/cuda/simple//evil.example", "/\t/evil"] {
        let mut connection = site.server.connect();
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
        let Some(heard) = connection.head() else { continue };
        let location = heard.header("location");
        assert!(!location.starts_with('/') && !location.contains("://"), "{path}: {heard}");
        assert!(heard.status >= 300, "{path}: {heard}");
    }
}

#[test]
fn heads_that_are_no_heads_are_refused_and_the_server_goes_on() {
    let site = shared();
    let long = "x".repeat(70_000);
    let many: String = (0..2000).map(|number| format!("X-{number}: y\r\n")).collect();
    let heads = [
        format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n"),
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"),
        "GET /healthz HTTP/9.9\r\n\r\n".to_owned(),
        "NONSENSE\r\n\r\n".to_owned(),
        "GET  /healthz  HTTP/1.1\r\n\r\n".to_owned(),
        "GET /healthz HTTP/1.1\r\nHost x\r\n\r\n".to_owned(),
        "GET /healthz HTTP/1.1\r\nX\0: y\r\n\r\n".to_owned(),
        "POST /cuda/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "POST /cuda/ HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned(),
    ];
    for head in heads {
        let mut connection = site.server.connect();
        drop(connection.send(head.as_bytes()));
        connection.patience(Duration::from_secs(2));
        let start: String = head.chars().take(40).collect();
        if let Some(heard) = connection.head() {
            assert!((400..600).contains(&heard.status), "{start:?}: {heard}");
            assert_ne!(heard.status, 500, "{start:?}");
        }
    }
    // Two lengths of one body: what follows is no request of its own.
    let mut connection = site.server.connect();
    let smuggled = "POST /cuda/simple/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
                    0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    drop(connection.send(smuggled.as_bytes()));
    connection.patience(Duration::from_secs(1));
    let said = String::from_utf8_lossy(&connection.rest()).into_owned();
    assert!(said.matches("wcas_build_info{").count() <= 1, "{said}");
    assert_eq!(site.server.get("/healthz").status, 200);
}

#[test]
fn who_is_silent_is_left_and_others_are_served_meanwhile() {
    let env = Env::new();
    add(&env, "cuda", &wheels()[..1]);
    let site = Site::of(env, &[&IMPATIENT[..], &["--max-connections", "64"]].concat());
    let begin = Instant::now();
    let mut silent: Vec<Connection> = (0..60)
        .map(|number| {
            let mut connection = site.server.connect();
            let head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
            drop(connection.send(&head.as_bytes()[..number % head.len()]));
            connection
        })
        .collect();
    assert_eq!(site.server.get("/healthz").status, 200, "there is room for four more");
    assert!(begin.elapsed() < Duration::from_secs(20));
    // All there may be, and some who wait: they are served when the silent ones have been left.
    let more: Vec<Connection> = (0..40).map(|_| site.server.connect()).collect();
    assert_eq!(site.server.get("/healthz").status, 200);
    for connection in &mut silent {
        let said = connection.rest();
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&said));
    }
    drop(more);
    // One that drips is left as well: the head has its time as a whole.
    let mut drip = site.server.connect();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(30) && drip.send(b"X").is_ok() {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(begin.elapsed() < Duration::from_secs(30), "the head never ends, and nobody minds");
    site.end();
}

#[test]
fn who_reads_slowly_costs_no_memory() {
    let env = Env::new();
    let wheel = Wheel::new("demo-big", "1.0").payload(24 << 20, 1);
    add(&env, "cuda", std::slice::from_ref(&wheel));
    let site = Site::of(env, &[]);
    let path = file_path(&wheel.filename(), &wheel.bytes());
    let mut slow: Vec<Connection> = (0..40)
        .map(|_| {
            let mut connection = site.server.connect();
            connection.send_head("GET", &path, &[]);
            assert_eq!(connection.head().map(|head| head.status), Some(200));
            connection
        })
        .collect();
    // Each takes some, and more than the server had when it began.
    slow.iter_mut().for_each(|connection| drop(connection.read(1 << 20)));
    assert_eq!(site.server.get("/healthz").status, 200);
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.server.pid())).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    assert!(peak.is_none_or(|kib| kib < 200 << 10), "{peak:?} KiB for 40 slow readers of 24 MiB");
    drop(slow);
    site.end();
}

#[test]
fn an_upload_that_is_cut_at_any_stage_leaves_nothing() {
    let env = Env::new();
    add(&env, "cuda", &wheels()[..1]);
    let secret = token(&env, &["--collection", "cuda", "--scope", "upload"]);
    let site = Site::of(env, &IMPATIENT);
    let login = basic(&secret);
    let wheel = Wheel::new("demo-up", "1.0").payload(400_000, 3);
    let body = form(&wheel.filename(), &wheel.bytes(), &[("name", "demo-up"), ("version", "1.0")]);
    let length = body.len();
    let open = |chunked: bool| {
        let mut connection = site.server.connect();
        let size = length.to_string();
        let framing = if chunked { ("Transfer-Encoding", "chunked") } else { ("Content-Length", &*size) };
        connection.send_head("POST", "/cuda/legacy/", &[FORM, ("Authorization", &login), framing]);
        connection
    };
    let cuts = [0, 1, 30, 90, 200, 400, 600, 700, 10_000, length / 2, length - 100, length - 11, length - 3];
    for cut in cuts {
        // By closing, and in the other framing.
        for chunked in [false, true] {
            let mut connection = open(chunked);
            if chunked {
                drop(connection.send(format!("{:x}\r\n", cut + 7).as_bytes()));
            }
            drop(connection.send(&body[..cut]));
        }
    }
    // By silence: each gets an answer, or the end.
    let mut silent: Vec<Connection> = cuts
        .iter()
        .map(|cut| {
            let mut connection = open(false);
            drop(connection.send(&body[..*cut]));
            connection
        })
        .collect();
    for (connection, cut) in silent.iter_mut().zip(cuts) {
        if let Some(heard) = connection.head() {
            assert!(matches!(heard.status, 400..=499 | 503), "{cut}: {heard}");
        }
    }
    assert_eq!(site.server.get("/cuda/simple/demo-up/").status, 404, "half a file was taken");
    let begin = Instant::now();
    let staged = || fs::read_dir(site.env.store().join("staging")).into_iter().flatten().count();
    while staged() > 0 && begin.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(staged(), 0, "what was cut is gone while the server runs");
    let heard = site.server.connect().post("/cuda/legacy/", &[FORM, ("Authorization", &login)], &body);
    assert_eq!(heard.status, 200, "{heard}");
    assert_eq!(site.server.get("/cuda/simple/demo-up/").status, 200);
    site.end();
}

#[test]
fn forms_of_an_enemy_choose_no_path_and_no_size() {
    let env = Env::new();
    env.ok(["collection", "create", "cuda"]);
    let secret = token(&env, &["--collection", "cuda", "--scope", "upload"]);
    let site = Site::of(env, &["--max-upload-size", "1M"]);
    let login = basic(&secret);
    let post = |body: &[u8]| site.server.connect().post("/cuda/legacy/", &[FORM, ("Authorization", &login)], body);
    let wheel = Wheel::new("demo-up", "1.0");
    for name in [
        "../../../evil-1.0-py3-none-any.whl",
        "/etc/evil-1.0-py3-none-any.whl",
        "..",
        "",
        "a\\b-1-py3-none-any.whl",
        "x",
    ] {
        let heard = post(&form(name, &wheel.bytes(), &[]));
        assert_eq!(heard.status, 400, "{name}: {heard}");
    }
    let big = Wheel::new("demo-up", "2.0").payload(3_000_000, 1);
    let heard = post(&form(&big.filename(), &big.bytes(), &[]));
    assert_eq!(heard.status, 413, "{heard}");
    let field = "y".repeat(2_000_000);
    let heard = post(&form(&wheel.filename(), &wheel.bytes(), &[("version", &field)]));
    assert!(matches!(heard.status, 400 | 413), "{}", heard.status);
    for (kind, body) in [
        ("text/plain", &b"hello"[..]),
        ("multipart/form-data", b"hello"),
        ("multipart/form-data; boundary=", b"hello"),
        ("multipart/form-data; boundary=limit", b"no limit at all"),
        ("multipart/form-data; boundary=limit", b"--limit--\r\n"),
        ("multipart/form-data; boundary=limit", b""),
    ] {
        let headers = [("Content-Type", kind), ("Authorization", &*login)];
        let heard = site.server.connect().post("/cuda/legacy/", &headers, body);
        assert_eq!(heard.status, 400, "{kind}: {heard}");
    }
    // Twenty members of a zip that would fill the disk are not unpacked: METADATA alone is read, and has its limit.
    let bomb = Wheel::new("demo-up", "3.0").member("demo_up-3.0.dist-info/METADATA", vec![b' '; 60_000_000]);
    let heard = post(&form(&bomb.filename(), &bomb.bytes(), &[]));
    assert!((400..500).contains(&heard.status), "{heard}");
    assert_eq!(site.server.json("/cuda/simple/")["projects"], serde_json::json!([]));
    site.end();
}

#[test]
fn thousands_of_connections_at_once_are_all_served() {
    let Some(limit) = wcas::fs::raise_open_files().filter(|limit| *limit >= 4600) else {
        crate::support::skip("too few files may be open for thousands of connections");
        return;
    };
    let site = shared();
    let count = if limit >= 9000 { 4000 } else { 2000 };
    let mut late = 0;
    let connect = |_| {
        let begin = Instant::now();
        let connection = site.server.connect();
        late += usize::from(begin.elapsed() >= Duration::from_secs(1));
        connection
    };
    let mut crowd: Vec<Connection> = (0..count).map(connect).collect();
    // With a short queue some of them would have been lost, and tried again after a second each.
    assert!(late < 6, "{late} were lost at first");
    let wheel = &wheels()[3];
    let file = file_path(&wheel.filename(), &wheel.bytes());
    for turn in 0..2 {
        for (number, connection) in crowd.iter_mut().enumerate() {
            let path = if number % 2 == turn { "/cuda/simple/demo-app/" } else { &file };
            connection.send_head("GET", path, &[]);
        }
        for connection in &mut crowd {
            let head = connection.head().expect("each is answered");
            assert_eq!(head.status, 200);
            connection.read(head.header("content-length").parse().unwrap());
        }
    }
}

#[test]
fn a_full_disk_is_told_and_reading_goes_on() {
    let wheel = Wheel::new("demo-up", "1.0").payload(300_000, 3);
    let body = form(&wheel.filename(), &wheel.bytes(), &[]);
    let upstream = Env::new();
    let far = Wheel::new("demo-far", "1.0").payload(300_000, 4);
    add(&upstream, "cuda", std::slice::from_ref(&far));
    let upstream = Site::of(upstream, &[]);
    let mut failed = 0;
    for number in [1, 2, 3, 4, 6, 8, 12, 16, 24] {
        let env = Env::new();
        let own = Wheel::new("demo-own", "1.0").payload(50_000, 5);
        add(&env, "cuda", std::slice::from_ref(&own));
        env.ok(["remote", "add", "up", &upstream.server.url("/cuda/simple/"), "--collection", "cuda"]);
        let login = basic(&token(&env, &["--collection", "cuda", "--scope", "upload"]));
        let fault = format!("enospc@{number}");
        let server = WcasServer::start_with(&env, &[], &[("WCAS_FAULT", &fault)]);
        let heard = server.connect().post("/cuda/legacy/", &[FORM, ("Authorization", &login)], &body);
        assert!(matches!(heard.status, 200 | 503 | 507), "{fault}: {heard}");
        failed += usize::from(heard.status != 200);
        let listed = server.get("/cuda/simple/demo-up/").status;
        assert!(heard.status != 200 || listed == 200, "{fault}: taken, and not there");
        let pulled = server.get(&file_path(&far.filename(), &far.bytes()));
        // It may be given though it can't be kept; never half of it as a whole.
        let is_right = pulled.status == 200 && pulled.is_whole && pulled.body == far.bytes();
        assert!(is_right || !pulled.is_whole || pulled.status >= 500, "{fault}: {}", pulled.status);
        let kept = server.get(&file_path(&own.filename(), &own.bytes()));
        assert!(kept.status == 200 && kept.body == own.bytes(), "{fault}: {kept}");
        server.stop();
        // With room again all is well.
        let server = WcasServer::start(&env, &[]);
        let heard = server.connect().post("/cuda/legacy/", &[FORM, ("Authorization", &login)], &body);
        assert_eq!(heard.status, 200, "{fault}: {heard}");
        assert!(server.get(&file_path(&far.filename(), &far.bytes())).body == far.bytes(), "{fault}");
        server.stop();
        whole(&env);
    }
    assert!(failed >= 3, "only {failed} uploads met the full disk");
    upstream.end();
}

#[test]
fn a_form_without_its_boundary_or_with_an_endless_head_is_refused_by_name() {
    let env = Env::new();
    env.ok(["collection", "create", "cuda"]);
    let token = token(&env, &["--collection", "cuda", "--scope", "upload"]);
    let site = Site::of(env, &[]);
    let login = basic(&token);
    let head = "--limit\r\nContent-Disposition: form-data; name=\"x\"; y=\"";
    let parts = "--limit\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n".repeat(4200);
    for (start, budget) in [("", "form-head"), (head, "form-head"), (&parts, "form-parts")] {
        let mut body = start.as_bytes().to_vec();
        body.resize(body.len() + (1 << 20), b'A');
        let heard = site.server.connect().post("/cuda/legacy/", &[FORM, ("Authorization", &login)], &body);
        assert_eq!(heard.status, 400, "{heard}");
        assert!(heard.text().contains(&format!("budget {budget}")), "{heard}");
    }
    site.end();
}

#[test]
fn an_upload_that_drips_gives_its_place_to_the_next() {
    let env = Env::new();
    add(&env, "cuda", &wheels()[..1]);
    let upload = basic(&token(&env, &["--collection", "cuda", "--scope", "upload"]));
    let site = Site::of(env, &[&IMPATIENT[..], &["--max-uploads", "2"]].concat());
    let wheel = Wheel::new("drip", "1.0").payload(200_000, 3);
    let body = form(&wheel.filename(), &wheel.bytes(), &[]);
    let length = body.len().to_string();
    let head = [FORM, ("Authorization", &*upload), ("Content-Length", &length)];
    // A byte now and then, each within the time that silence may last.
    let mut connection = site.server.connect();
    connection.send_head("POST", "/cuda/legacy/", &head);
    let begin = Instant::now();
    let sent = body.iter().take_while(|byte| {
        std::thread::sleep(Duration::from_millis(100));
        begin.elapsed() < Duration::from_secs(20) && connection.send(std::slice::from_ref(byte)).is_ok()
    });
    let count = sent.count();
    assert!(begin.elapsed() < Duration::from_secs(10), "{count} bytes in {:?}", begin.elapsed());
    if let Some(heard) = connection.head() {
        assert!(heard.status == 408, "{heard}");
        assert!(String::from_utf8_lossy(&connection.rest()).contains("upload-rate"), "{heard}");
    }
    // Slow, and fast enough.
    let mut connection = site.server.connect();
    connection.send_head("POST", "/cuda/legacy/", &head);
    for piece in body.chunks(10_000) {
        std::thread::sleep(Duration::from_millis(150));
        connection.send(piece).unwrap();
    }
    assert_eq!(connection.head().map(|heard| heard.status), Some(200));
    site.end();
}
