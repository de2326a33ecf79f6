//! Servers on nodes: what one takes the others serve.

use super::support::{WcasServer, Wheel, until};
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

#[test]
fn servers_of_two_nodes_take_uploads_at_once() {
    const UPLOADS: u64 = 6;
    let team = Team::new(2);
    team.nodes[0].ok(["collection", "create", "cuda"]);
    let servers: Vec<_> = team.nodes.iter().map(|node| WcasServer::start(node, &["--anonymous", "upload"])).collect();
    std::thread::scope(|scope| {
        for (number, server) in servers.iter().enumerate() {
            scope.spawn(move || {
                for upload in 0..UPLOADS {
                    let wheel = Wheel::new(&format!("up{number}x{upload}"), "1.0").payload(9000, upload);
                    let heard = server.connect().post("/cuda/legacy/", &[FORM], &form(&wheel));
                    assert_eq!(heard.status, 200, "{heard}");
                    assert_eq!(
                        server.get(&format!("/cuda/simple/up{number}x{upload}/")).status,
                        200,
                        "what was taken is there"
                    );
                }
            });
        }
    });
    for server in servers {
        until("all is seen everywhere", || {
            server.json("/cuda/simple/")["projects"].as_array().unwrap().len() == 2 * UPLOADS as usize
        });
        server
            .get(&path_in(&server, "cuda", "up0x3"))
            .assert_brings(&Wheel::new("up0x3", "1.0").payload(9000, 3).bytes());
        server.stop();
    }
    team.assert_equal();
}

const FORM: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=shared");

/// Returns the form of an upload.
fn form(wheel: &Wheel) -> Vec<u8> {
    let mut body = Vec::new();
    let digest = wcas::digest::Sha256::of(&wheel.bytes()).to_string();
    for (name, value) in [(":action", "file_upload"), ("protocol_version", "1"), ("sha256_digest", &digest)] {
        body.extend(format!("--shared\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    let filename = wheel.filename();
    body.extend(
        format!("--shared\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{filename}\"\r\n\r\n")
            .bytes(),
    );
    body.extend(wheel.bytes());
    body.extend(b"\r\n--shared--\r\n");
    body
}

/// Returns the path of the one file of a project, as its page links it.
pub(super) fn path_of(server: &WcasServer, project: &str) -> String {
    path_in(server, "shared", project)
}

pub(super) fn path_in(server: &WcasServer, collection: &str, project: &str) -> String {
    let page = server.json(&format!("/{collection}/simple/{project}/"));
    let base = url::Url::parse(&server.url(&format!("/{collection}/simple/{project}/"))).unwrap();
    base.join(page["files"][0]["url"].as_str().unwrap()).unwrap().path().to_owned()
}
