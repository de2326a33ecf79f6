//! Downloads by day: each file that is given counts once, and the counts outlast the server.

use crate::site::file_path;
use crate::support::{Env, WcasServer, Wheel};

#[test]
fn what_is_given_is_counted_by_file_and_kept() {
    let env = Env::new();
    let (demo, other) = (Wheel::new("demo", "1.0"), Wheel::new("other", "1.0"));
    demo.write_to(env.path("in"));
    other.write_to(env.path("in"));
    env.ok(["import", "in", "--collection", "cuda"]);
    let server = WcasServer::start(&env, &[]);
    let path = |wheel: &Wheel| file_path(&wheel.filename(), &wheel.bytes());
    for _ in 0..3 {
        server.get(&path(&demo)).assert_brings(&demo.bytes());
    }
    // Its head, its end, what is known already and what isn't there are no download.
    assert_eq!(server.ask("HEAD", &path(&demo), &[]).status, 200);
    assert_eq!(server.ask("GET", &path(&demo), &[("Range", "bytes=-20")]).status, 206);
    let etag = server.get(&path(&demo)).header("etag").to_owned();
    assert_eq!(server.ask("GET", &path(&demo), &[("If-None-Match", &etag)]).status, 304);
    assert_eq!(server.get(&format!("{}x", path(&demo))).status, 404);
    assert_eq!(server.metric("wcas_downloads_total"), 4.0);
    let page = "/cuda/projects/demo/demo-1.0-py3-none-any.whl/";
    server.stop();
    assert_eq!(env.json(["show", "demo"])["distributions"][0]["downloads"], 4);
    assert!(
        env.ok(["show", "demo"])
            .stdout
            .lines()
            .any(|line| line.trim().starts_with("downloads ") && line.ends_with(" 4"))
    );
    let listed = env.json(["list", "--sort", "downloads", "--reverse"]);
    let counts = listed["distributions"].as_array().unwrap().iter();
    let counts: Vec<_> =
        counts.map(|row| (row["project"].as_str().unwrap(), row["downloads"].as_i64().unwrap())).collect();
    assert_eq!(counts, [("other", 0), ("demo", 4)]);
    assert!(env.json(["list"])["distributions"][0].get("downloads").is_none(), "nobody asked");
    let server = WcasServer::start(&env, &[]);
    let shown = server.get(page).text();
    assert!(shown.contains("4 downloads from ") && shown.contains("id=\"downloads\""), "{shown}");
    assert!(!server.get("/cuda/projects/other/other-1.0-py3-none-any.whl/").text().contains("id=\"downloads\""));
    server.get(&path(&demo));
    server.stop();
    assert_eq!(env.json(["show", "demo"])["distributions"][0]["downloads"], 5);
}
