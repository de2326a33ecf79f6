//! One address, or one token, doesn't take what is for all.

use crate::site::{Site, add, token, wheels};
use crate::support::{Connection, Env, Wheel};
use crate::uploads::{FORM, basic, form};
use std::time::{Duration, Instant};

#[test]
fn silent_connections_of_one_address_give_way() {
    let env = Env::new();
    add(&env, "cuda", &wheels()[..1]);
    let site = Site::of(env, &["--max-connections", "40"]);
    // A connection that is asked on goes on, however many come after it.
    let mut kept = site.server.connect();
    assert_eq!(kept.ask("GET", "/healthz", &[]).status, 200);
    let silent: Vec<Connection> = (0..100).map(|_| site.server.connect()).collect();
    let begin = Instant::now();
    assert_eq!(site.server.get("/cuda/simple/").status, 200);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    drop(silent);
    site.end();
}

#[test]
fn one_tokens_slow_uploads_leave_room_for_anothers() {
    let env = Env::new();
    add(&env, "cuda", &wheels()[..1]);
    add(&env, "gaudi", &wheels()[..1]);
    let [slow, good] = ["gaudi", "cuda"].map(|name| basic(&token(&env, &["--collection", name, "--scope", "upload"])));
    let site = Site::of(env, &["--max-uploads", "8"]);
    let head = [FORM, ("Authorization", &*slow), ("Content-Length", "1000000")];
    let mut held: Vec<Connection> = (0..8)
        .map(|_| {
            let mut connection = site.server.connect();
            connection.send_head("POST", "/gaudi/legacy/", &head);
            connection
        })
        .collect();
    // Those beyond the share are told when their body has come; the others wait for it.
    std::thread::sleep(Duration::from_secs(1));
    held.iter_mut().for_each(|connection| drop(connection.send(b"--")));
    for version in ["1.0", "1.1"] {
        let wheel = Wheel::new("fine", version);
        let body = form(&wheel.filename(), &wheel.bytes(), &[]);
        let heard = site.server.connect().post("/cuda/legacy/", &[FORM, ("Authorization", &good)], &body);
        assert_eq!(heard.status, 200, "{heard}");
    }
    drop(held);
    site.end();
}

#[test]
fn an_address_asks_as_often_as_the_owner_allows() {
    let env = Env::new();
    add(&env, "cuda", &wheels()[..1]);
    let site = Site::of(env, &["--max-requests", "5", "--trust-proxy", "127.0.0.1"]);
    let mut connection = site.server.connect();
    let mut ask = |client: &str| connection.ask("GET", "/cuda/simple/", &[("X-Forwarded-For", client)]);
    let begin = Instant::now();
    let heard: Vec<_> = (0..20).map(|_| ask("192.0.2.1")).collect();
    // Five at once, and five more for each second that it took: a busy machine isn't asked as fast.
    let share = 5 + 5 * begin.elapsed().as_secs_f64().ceil() as usize;
    let refused: Vec<_> = heard.iter().filter(|heard| heard.status == 429).collect();
    assert!(refused.len() >= 20_usize.saturating_sub(share), "{share}: {heard:?}");
    assert!(refused.iter().all(|heard| heard.header("retry-after") == "1"), "{heard:?}");
    assert_eq!(ask("192.0.2.2").status, 200, "another client of the proxy's");
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(ask("192.0.2.1").status, 200);
    site.end();
}
