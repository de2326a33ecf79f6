//! Files as they go over the wire: parts, conditions, kept connections (INDEX.md 2.1, 2.2).

use crate::site::{Site, add, file_path, sha256, shared, wheels};
use crate::support::{Env, Wheel};

/// The shared site's first wheel: path and bytes.
fn first() -> (String, Vec<u8>) {
    let wheel = &wheels()[0];
    let bytes = wheel.bytes();
    (file_path(&wheel.filename(), &bytes), bytes)
}

#[test]
fn a7_a_file_goes_out_as_it_is_whatever_coding_is_liked() {
    let site = shared();
    let (path, bytes) = first();
    for coding in ["identity", "gzip, deflate, zstd", "*", "identity;q=0, gzip"] {
        let heard = site.server.ask("GET", &path, &[("Accept-Encoding", coding)]);
        assert_eq!((heard.status, heard.header("content-encoding")), (200, ""), "{coding}: {}", heard.reason);
        assert!(heard.body == bytes, "the bytes are the file's");
        assert_eq!(heard.header("content-length"), bytes.len().to_string());
        assert_eq!(heard.header("etag"), format!("\"{}\"", sha256(&bytes)));
        assert_eq!(heard.header("cache-control"), "max-age=31536000, immutable");
        assert_eq!(heard.header("accept-ranges"), "bytes");
        assert_ne!(heard.header("content-type"), "");
        assert!(heard.headers.iter().all(|(name, value)| name != "content-type" || !value.contains("html")));
    }
}

#[test]
fn parts_are_what_uv_pip_and_poetry_ask_for() {
    let site = shared();
    let (path, bytes) = first();
    let size = bytes.len();
    let etag = format!("\"{}\"", sha256(&bytes));
    // One connection: an answer that is longer or shorter than it says would spoil the next.
    let mut connection = site.server.connect();
    for (range, wanted) in [
        (format!("bytes={}-{}", size - 16384, size - 1), Some(size - 16384..size)),
        ("bytes=-16384".to_owned(), Some(size - 16384..size)),
        (format!("bytes=-{}", size * 2), Some(0..size)),
        ("bytes=0-0".to_owned(), Some(0..1)),
        ("bytes=100-".to_owned(), Some(100..size)),
        (format!("bytes=100-{}", size * 9), Some(100..size)),
        (format!("bytes={size}-"), None),
        ("bytes=-0".to_owned(), None),
    ] {
        for method in ["GET", "HEAD"] {
            let heard = connection.ask(method, &path, &[("Range", &range), ("Accept-Encoding", "identity")]);
            match &wanted {
                // A range means something for GET only.
                _ if method == "HEAD" => assert!(matches!(heard.status, 200 | 206 | 416), "{range}: {heard}"),
                Some(part) => {
                    assert_eq!(heard.status, 206, "{range}: {}", heard.reason);
                    let line = format!("bytes {}-{}/{size}", part.start, part.end - 1);
                    assert_eq!(heard.header("content-range"), line);
                    assert!(heard.body == bytes[part.clone()], "{range}");
                    assert_eq!(heard.header("etag"), etag);
                }
                None => {
                    assert_eq!((heard.status, heard.header("content-range")), (416, &*format!("bytes */{size}")));
                }
            }
        }
    }
    for (condition, status) in [(etag.as_str(), 206), ("\"other\"", 200), ("W/\"weak\"", 200)] {
        let heard = connection.ask("GET", &path, &[("Range", "bytes=100-199"), ("If-Range", condition)]);
        assert_eq!(heard.status, status, "{condition}");
        assert!(heard.body == if status == 206 { &bytes[100..200] } else { &bytes[..] });
    }
    for nonsense in
        ["bytes=9-1", "bytes=a-b", "items=1-2", "bytes=", "bytes=1-2,4-5", "bytes=-", "bytes=99999999999999999999-"]
    {
        let heard = connection.ask("GET", &path, &[("Range", nonsense)]);
        assert!(matches!(heard.status, 200 | 206 | 416), "{nonsense}: {heard}");
        assert!(heard.is_whole && (heard.status != 200 || heard.body == bytes), "{nonsense}");
    }
    assert_eq!(connection.ask("GET", &path, &[("If-None-Match", &etag)]).status, 304);
    assert_eq!(connection.ask("GET", &path, &[("If-None-Match", "*")]).status, 304);
    assert_eq!(connection.ask("GET", &path, &[("If-Match", "\"other\"")]).status, 412);
}

#[test]
fn a_file_of_many_megabytes_comes_whole_also_to_slow_clients() {
    let env = Env::new();
    let big = Wheel::new("demo-big", "1.0").payload(24_000_000, 5);
    add(&env, "cuda", std::slice::from_ref(&big));
    let site = Site::of(env, &[]);
    let bytes = big.bytes();
    let path = file_path(&big.filename(), &bytes);
    // All have begun when the file is invalidated: who comes later is told that there is none.
    let begun = std::sync::Barrier::new(9);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut connection = site.server.connect();
                connection.send_head("GET", &path, &[]);
                let head = connection.head().unwrap();
                begun.wait();
                assert_eq!(head.status, 200, "{head}");
                assert!(connection.read(bytes.len()) == bytes);
            });
        }
        scope.spawn(|| {
            let mut connection = site.server.connect();
            connection.send_head("GET", &path, &[]);
            let head = connection.head().unwrap();
            assert_eq!(head.header("content-length"), bytes.len().to_string());
            // The file is invalidated meanwhile: who has begun gets it whole.
            assert!(connection.read(1000) == bytes[..1000]);
            begun.wait();
            site.env.ok(["invalidate", "demo-big", "--collection", "cuda"]);
            assert_eq!(site.server.get(&path).status, 404);
            assert!(connection.read(bytes.len() - 1000) == bytes[1000..]);
            assert_eq!(connection.ask("GET", "/healthz", &[]).status, 200);
        });
    });
    site.end();
}

#[test]
fn requests_in_a_row_are_answered_in_a_row_and_in_each_form_of_http() {
    let site = shared();
    let (path, bytes) = first();
    let mut connection = site.server.connect();
    // Pipelined, as no client does that we know; hyper answers one after the other.
    for path in ["/healthz", &path, "/cuda/simple/demo-app/", "/absent/simple/"] {
        connection.send_head("GET", path, &[]);
    }
    let mut heard = Vec::new();
    for _ in 0..4 {
        let head = connection.head().unwrap();
        let body = connection.read(head.header("content-length").parse().unwrap());
        heard.push((head.status, body));
    }
    assert_eq!(heard.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 200, 200, 404]);
    assert!(heard[1].1 == bytes);
    // HTTP/1.0 ends with the connection, and has no chunks.
    let mut old = site.server.connect();
    old.send(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let all = old.rest();
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    assert!(all[end + 4..] == bytes);
    // The absolute form, which proxies send.
    let absolute = site.server.url("/cuda/simple/demo-app/");
    assert_eq!(site.server.get(&absolute).status, 200);
    let closed = site.server.ask("GET", "/healthz", &[("Connection", "close")]);
    assert_eq!(closed.header("connection"), "close");
}
