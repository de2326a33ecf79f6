//! Pages that read whole collections: whoever asks for many of them takes nobody else's place.

use crate::site::{Site, add, wheels};
use crate::support::{Connection, Env, Reply, Server, Wheel};

/// What asks for such pages, of all kinds, and what they are answered.
const WIDE: [(&str, u16); 12] = [
    ("/", 200),
    ("/_/history/", 200),
    ("/_/history/?before=2", 200),
    ("/_/search/?q=torch", 200),
    ("/_/health/", 200),
    ("/cuda/", 200),
    ("/cuda@1/", 200),
    ("/cuda@0...1/", 200),
    ("/cuda@1/simple/", 200),
    ("/cuda/changes.atom", 200),
    ("/cuda@1/revision.txt", 200),
    ("/nothing/projects/torch/", 404),
];

#[test]
fn who_asks_for_many_wide_pages_is_told_and_others_are_answered() {
    let (env, slow) = (Env::new(), Server::start());
    add(&env, "cuda", &wheels()[..1]);
    add(&env, "quiet", &[Wheel::new("other", "1.0")]);
    for number in 0..100 {
        slow.route(&format!("/simple/nosuch{number}/"), Reply::hang());
    }
    env.ok(["remote", "add", "slow", &slow.url("/simple/"), "--collection", "cuda"]);
    let site = Site::of(env, &["--trust-proxy", "127.0.0.1"]);
    let mut crowd: Vec<Connection> = (0..100).map(|_| site.server.connect()).collect();
    for (number, connection) in crowd.iter_mut().enumerate() {
        // All addresses of one network are one.
        let from = format!("2001:db8::{number:x}");
        connection.send_head("GET", &format!("/cuda/projects/nosuch{number}/"), &[("X-Forwarded-For", &from)]);
    }
    let other = [("X-Forwarded-For", "192.0.2.1")];
    for (path, status) in WIDE {
        let heard = site.server.ask("GET", path, &other);
        assert_eq!(heard.status, status, "{path}: {heard}");
    }
    for path in ["/healthz", "/metrics", "/quiet/simple/other/", "/cuda/simple/"] {
        assert_eq!(site.server.ask("GET", path, &[("X-Forwarded-For", "2001:db8::1")]).status, 200, "{path}");
    }
    let mut told = 0;
    for mut connection in crowd {
        let heard = connection.head().expect("an answer");
        assert_eq!(heard.status, 503, "{heard}");
        let wait = heard.header("retry-after").to_owned();
        let text =
            String::from_utf8_lossy(&connection.read(heard.header("content-length").parse().unwrap())).into_owned();
        if text.contains("(budget wide-pages)") {
            assert_eq!(wait, "5", "{text}");
            told += 1;
        }
    }
    assert!((1..=68).contains(&told), "one network has 32 places: {told} were told");
    site.end();
}

#[test]
fn a_place_is_free_again_whatever_became_of_its_answer() {
    let env = Env::new();
    add(&env, "cuda", &wheels()[..1]);
    let site = Site::of(env, &[]);
    let mut connection = site.server.connect();
    for round in 0..8 {
        for (path, status) in WIDE {
            let method = if round % 2 == 0 { "GET" } else { "HEAD" };
            assert_eq!(connection.ask(method, path, &[]).status, status, "{round}: {method} {path}");
        }
        let etag = connection.ask("GET", "/cuda/changes.atom", &[]).header("etag").to_owned();
        let heard = connection.ask("GET", "/cuda/changes.atom", &[("If-None-Match", &etag)]);
        assert_eq!(heard.status, 304, "{heard}");
        // Whoever goes away before the answer gives his place back as well.
        for _ in 0..8 {
            site.server.connect().send_head("GET", "/cuda/", &[]);
        }
    }
    assert_eq!(site.server.get("/").status, 200);
    site.end();
}
