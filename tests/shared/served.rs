//! Servers on nodes: what one takes the others serve.

use super::support::{WcasServer, until};
use super::{Team, blobs, wheels};
use std::fs;

#[test]
fn a_server_shows_what_another_node_imports_and_fetches_what_is_asked_for() {
    let team = Team::with(2, &wheels("demo", 1));
    let [one, two] = &team.nodes[..] else { panic!() };
    let server = WcasServer::start(two, &[]);
    assert!(server.get("/shared/simple/demo0/").text().contains("demo0-1.0"));
    assert_eq!(blobs(two).len(), 0);
    fs::create_dir(one.path("more")).unwrap();
    let wheel = wheels("late", 1)[0].write_to(one.path("more"));
    one.ok(["import", "more"]);
    until("the other node's import is seen", || server.get("/shared/simple/late0/").status == 200);
    let late = path_of(&server, "late0");
    server.get(&late).assert_brings(&fs::read(&wheel).unwrap());
    assert_eq!(blobs(two).len(), 1);
    assert_eq!(server.get("/healthz").text(), "ok\n");
    assert!(server.metric("wcas_shared_log_age_seconds") < 10.0);
    // What isn't here while the share is away is refused for a while, and what is here is served.
    fs::rename(team.share(), one.path("away")).unwrap();
    assert_eq!(server.get(&late).status, 200);
    let other = path_of(&server, "demo0");
    let refused = server.get(&other);
    assert_eq!(refused.status, 503, "{other}: {}", refused.text());
    fs::rename(one.path("away"), team.share()).unwrap();
    assert_eq!(server.get(&other).status, 200);
    server.stop();
    team.assert_equal();
}

/// Returns the path of the one file of a project, as its page links it.
fn path_of(server: &WcasServer, project: &str) -> String {
    let page = server.json(&format!("/shared/simple/{project}/"));
    let base = url::Url::parse(&server.url(&format!("/shared/simple/{project}/"))).unwrap();
    base.join(page["files"][0]["url"].as_str().unwrap()).unwrap().path().to_owned()
}
