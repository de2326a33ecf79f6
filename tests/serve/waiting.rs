//! Remotes that hang, drip or lead astray: who doesn't need them doesn't wait for them.

use crate::site::{Site, add, sha256, wheels};
use crate::support::{Env, Reply, Server, Wheel};
use std::time::{Duration, Instant};

fn add_remote(env: &Env, name: &str, remote: &Server, collection: &str) {
    env.ok(["remote", "add", name, &remote.url("/simple/"), "--collection", collection]);
}

#[test]
fn a_crowd_that_waits_for_a_remote_holds_up_nobody_else() {
    let (env, slow, good) = (Env::new(), Server::start(), Server::start());
    add(&env, "shared", &wheels()[..1]);
    add(&env, "quiet", &[Wheel::new("other", "1.0")]);
    for number in 0..300 {
        slow.route(&format!("/simple/nosuch{number}/"), Reply::hang());
    }
    let wheel = Wheel::new("fine", "1.0");
    let link = good.wheel(&wheel.filename(), &wheel.bytes());
    good.route("/simple/fine/", Reply::html(link));
    add_remote(&env, "slow", &slow, "shared");
    add_remote(&env, "good", &good, "quiet");
    let site = Site::of(env, &[]);
    let crowd: Vec<_> = (0..300)
        .map(|number| {
            let mut connection = site.server.connect();
            connection.send_head("GET", &format!("/shared/simple/nosuch{number}/"), &[]);
            connection
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    let begin = Instant::now();
    assert_eq!(site.server.get("/healthz").status, 200);
    assert_eq!(site.server.get("/quiet/simple/other/").status, 200);
    assert_eq!(site.server.get("/quiet/simple/fine/").status, 200, "another remote's page");
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    // What is beyond the remote's share is told at once.
    let mut told = 0;
    for mut connection in crowd {
        connection.patience(Duration::from_millis(2));
        if let Some(heard) = connection.head() {
            assert_eq!(heard.status, 503, "{heard}");
            told += 1;
        }
    }
    assert!(told > 0, "300 waited for one remote");
    site.server.kill();
}

#[test]
fn a_remote_whose_files_drip_leaves_threads_to_the_others() {
    let (env, evil, good) = (Env::new(), Server::start(), Server::start());
    let drip: String = (1..=20)
        .map(|number| {
            let name = format!("drip-{number}.0-py3-none-any.whl");
            evil.route(&format!("/f/{name}"), Reply::file(vec![7; 1 << 20]).drip(2048, Duration::from_secs(1)));
            format!("<a href=\"/f/{name}#sha256={number:064x}\">{name}</a>")
        })
        .collect();
    evil.route("/simple/drip/", Reply::html(drip));
    let wheel = Wheel::new("fine", "1.0");
    let link = good.wheel(&wheel.filename(), &wheel.bytes());
    good.route("/simple/fine/", Reply::html(link));
    add_remote(&env, "evil", &evil, "other");
    add_remote(&env, "good", &good, "shared");
    let site = Site::of(env, &[]);
    assert_eq!(site.server.get("/other/simple/drip/").status, 200);
    let crowd: Vec<_> = (1..=20)
        .map(|number| {
            let mut connection = site.server.connect();
            let path = format!("/files/{number:064x}/drip-{number}.0-py3-none-any.whl");
            connection.send_head("GET", &path, &[]);
            connection
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    let begin = Instant::now();
    let heard = site.server.get(&format!("/files/{}/{}", sha256(&wheel.bytes()), wheel.filename()));
    assert_eq!(heard.status, 200, "{heard}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    let asked = evil.paths().iter().filter(|path| path.starts_with("/f/")).count();
    assert_eq!(asked, 8, "one remote has half the threads");
    drop(crowd);
    site.server.kill();
}

#[test]
fn a_page_that_leads_astray_fails_alone() {
    let (env, remote) = (Env::new(), Server::start());
    let wheel = Wheel::new("fine", "1.0");
    let link = remote.wheel(&wheel.filename(), &wheel.bytes());
    remote.route("/simple/fine/", Reply::html(link));
    remote.route("/simple/astray/", Reply::redirect(302, &format!("{}/simple/astray/", Server::nobody())));
    add_remote(&env, "remote", &remote, "shared");
    let site = Site::of(env, &[]);
    let astray = site.server.get("/shared/simple/astray/");
    assert_eq!(astray.status, 503, "{astray}");
    let fine = site.server.get("/shared/simple/fine/");
    assert_eq!(fine.status, 200, "{fine}");
    site.end();
}
