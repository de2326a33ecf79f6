//! Remotes that hang, drip or lead astray: who doesn't need them doesn't wait for them.

use crate::site::{Site, add, file_path, sha256, wheels};
use crate::support::{Connection, Env, Reply, Server, Wheel, until};
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
    let mut crowd: Vec<_> = (0..300)
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
    crowd.iter().for_each(|connection| connection.patience(Duration::from_millis(2)));
    let mut told: Vec<_> = Vec::new();
    until("some of 300 don't wait for one remote", || {
        told.extend(crowd.iter_mut().filter_map(Connection::head));
        !told.is_empty()
    });
    told.iter().for_each(|heard| assert_eq!(heard.status, 503, "{heard}"));
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
    let asked = || evil.paths().iter().filter(|path| path.starts_with("/f/")).count();
    until("eight files are asked for", || asked() >= 8);
    let begin = Instant::now();
    let heard = site.server.get(&format!("/files/{}/{}", sha256(&wheel.bytes()), wheel.filename()));
    assert_eq!(heard.status, 200, "{heard}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!(asked(), 8, "one remote has half the threads");
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

#[test]
fn a_refusal_that_lasts_ends_at_once_and_says_so() {
    let demo = Wheel::new("demo", "1.0");
    for (status, lasts) in
        [(400, true), (401, true), (403, true), (451, true), (429, false), (500, false), (503, false)]
    {
        let server = Server::start();
        server.route("/simple/page/", Reply::status(status));
        server.route("/simple/demo/", Reply::html(server.wheel(&demo.filename(), &demo.bytes())));
        server.route(&format!("/files/{}", demo.filename()), Reply::status(status));
        let env = Env::new();
        env.ok(["remote", "add", "mirror", &server.url("/simple/")]);
        let site = Site::of(env, &[]);
        // The second answer comes from what is remembered.
        for round in 0..2 {
            let heard = site.server.get("/shared/simple/page/");
            let wanted = if lasts { 424 } else { 503 };
            assert_eq!(heard.status, wanted, "{status} {round}: {heard}");
            assert_eq!(heard.header("retry-after").is_empty(), lasts, "{status}: {heard}");
            assert!(heard.text().contains("mirror") && !heard.text().contains(&status.to_string()), "{heard}");
            assert_eq!(heard.text().contains("waiting won't change"), lasts, "{heard}");
        }
        let path = format!("/shared{}", file_path(&demo.filename(), &demo.bytes()));
        let heard = site.server.get(&path);
        assert_eq!((heard.status == 424, heard.header("retry-after").is_empty()), (lasts, lasts), "{status}: {heard}");
        site.end();
    }
}

#[test]
fn while_an_optional_remote_fails_farther_ones_answer() {
    let demo = Wheel::new("demo", "1.0");
    let (near, far) = (Server::start(), Server::start());
    near.route("/simple/demo/", Reply::status(500)).route("/simple/gone/", Reply::status(500));
    far.route("/simple/demo/", Reply::html(far.wheel(&demo.filename(), &demo.bytes())));
    for place in ["beside", "own"] {
        let env = Env::new();
        env.ok(["collection", "create", "cuda"]);
        env.ok(["collection", "create", "shared"]);
        env.ok(["collection", "set", "cuda", "--fallback", "shared"]);
        env.ok(["remote", "add", "near", &near.url("/simple/"), "--collection", "cuda", "--priority", "1"]);
        match place {
            "own" => add(&env, "shared", std::slice::from_ref(&demo)),
            _ => _ = env.ok(["remote", "add", "far", &far.url("/simple/"), "--collection", "cuda", "--priority", "5"]),
        }
        let site = Site::of(env, &[]);
        let heard = site.server.get("/cuda/simple/demo/");
        assert_eq!(heard.status, 503, "{place}: {heard}");
        assert_eq!(heard.text().contains("shared has it, farther away"), place == "own", "{heard}");
        let page = site.server.ask("GET", "/cuda/projects/demo/", &[("Accept", "text/html")]);
        assert_eq!(page.text().contains("The store has nothing of it"), place != "own", "{page}");
        site.env.ok(["remote", "set", "near", "--optional"]);
        let heard = site.server.get("/cuda/simple/demo/");
        assert!(heard.status == 200 && heard.text().contains(&demo.filename()), "{place}: {heard}");
        assert!(heard.header("x-wcas-incomplete").contains("near"), "{place}: {heard}");
        assert_eq!(site.server.get("/cuda/simple/gone/").status, 503, "nobody else has it");
        assert!(site.env.ok(["config", "show"]).stdout.contains("optional = true"));
        let listed = site.env.json(["remote", "list"])["remotes"].as_array().unwrap().clone();
        assert!(listed.iter().all(|row| row["is_optional"] == (row["name"] == "near")), "{listed:?}");
        site.env.ok(["remote", "set", "near", "--no-optional"]);
        assert_eq!(site.server.get("/cuda/simple/demo/").status, 503, "{place}");
        site.end();
    }
}
