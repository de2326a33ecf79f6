//! Servers on nodes: what one takes the others serve.

use super::bucket::team_with;
use super::support::{Random, WcasServer, Wheel, peer, postgres, until, weed};
use super::{Team, blobs, wheels};
use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

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

/// Uploads a wheel at one server after the other, until one takes it; the second must.
fn upload(client: &reqwest::blocking::Client, urls: &[String], wheel: &Wheel) {
    let mut told = Vec::new();
    for url in urls.iter().take(2) {
        let request = client.post(format!("{url}/cuda/legacy/")).header(FORM.0, FORM.1).body(form(wheel));
        match request.send() {
            Ok(answer) if answer.status() == 200 => return,
            other => told.push(format!("{other:?}")),
        }
    }
    panic!("{}: {told:?}", wheel.filename());
}

/// Downloads a wheel by its page. Returns whether all came; what came is right.
fn download(client: &reqwest::blocking::Client, url: &str, project: &str, wheel: &Wheel) -> bool {
    let page = format!("{url}/cuda/simple/{project}/");
    let request = client.get(&page).header("Accept", "application/vnd.pypi.simple.v1+json");
    // A server that follows may not know it yet.
    let Some(answer) = request.send().ok().filter(|answer| answer.status() != 404) else { return false };
    let Ok(text) = answer.error_for_status().and_then(|answer| answer.text()) else { return false };
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let files = told["files"].as_array().unwrap();
    let digest = wcas::digest::Sha256::of(&wheel.bytes()).to_string();
    assert_eq!((files.len(), files[0]["hashes"]["sha256"].as_str()), (1, Some(&*digest)), "{text}");
    let file = url::Url::parse(&page).unwrap().join(files[0]["url"].as_str().unwrap()).unwrap();
    let answer = client.get(file).send().and_then(|answer| answer.error_for_status()?.bytes());
    let bytes = answer.map(|bytes| assert!(bytes == wheel.bytes(), "{project}"));
    bytes.is_ok()
}

#[test]
fn of_three_servers_one_may_be_killed_and_clients_go_on_at_another() {
    const CLIENTS: u64 = 4;
    let (Some(weed), Some(server)) = (weed(), postgres()) else { return };
    let team = team_with(3, &weed.address, &["--log", &server.database()]);
    team.nodes[0].ok(["collection", "create", "cuda"]);
    let start = |node| WcasServer::start(&team.nodes[node], &["--anonymous", "upload"]);
    let mut servers: Vec<_> = (0..3).map(|node| Some(start(node))).collect();
    let url = |server: &Option<WcasServer>| server.as_ref().unwrap().url("").trim_end_matches('/').to_owned();
    // Which of them clients ask; a new server has another port.
    let urls = Mutex::new(servers.iter().map(url).collect::<Vec<_>>());
    let seconds = std::env::var("WCAS_TEST_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    let end = Instant::now() + Duration::from_secs(seconds);
    let wheel_of = |client: u64, number: u64| {
        let project = format!("up{client}x{number}");
        let wheel = Wheel::new(&project, "1.0").payload(30_000, client << 32 | number);
        (project, wheel)
    };
    let (counts, kills) = std::thread::scope(|scope| {
        let (urls, wheel_of) = (&urls, &wheel_of);
        let clients = (0..CLIENTS).map(|number| {
            scope.spawn(move || {
                let (random, client) = (&mut Random(number + 1), peer::http());
                let (mut uploads, mut downloads) = (0, 0);
                while Instant::now() < end {
                    let order = |random: &mut Random| {
                        let mut urls = urls.lock().unwrap().clone();
                        urls.rotate_left(random.below(3) as usize);
                        urls
                    };
                    let (_, wheel) = wheel_of(number, uploads);
                    upload(&client, &order(random), &wheel);
                    uploads += 1;
                    for _ in 0..3 {
                        let (project, wheel) = wheel_of(number, random.below(uploads));
                        // Another is asked where one was killed; who only follows may not know it for a moment.
                        until("what was taken is at one of them", || {
                            order(random).iter().any(|url| download(&client, url, &project, &wheel))
                        });
                        downloads += 1;
                    }
                }
                (uploads, downloads)
            })
        });
        let clients: Vec<_> = clients.collect();
        let (random, mut kills) = (&mut Random(7), 0);
        while Instant::now() + Duration::from_secs(4) < end {
            std::thread::sleep(Duration::from_millis(500 + random.below(1000)));
            let victim = random.below(3) as usize;
            servers[victim].take().unwrap().kill();
            kills += 1;
            std::thread::sleep(Duration::from_millis(500 + random.below(1000)));
            servers[victim] = Some(start(victim));
            urls.lock().unwrap()[victim] = url(&servers[victim]);
        }
        (clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>(), kills)
    });
    println!("uploads and downloads of each client: {counts:?}; {kills} servers were killed");
    assert!(kills > 0);
    let client = peer::http();
    for (number, (uploads, _)) in counts.iter().enumerate() {
        for upload in 0..*uploads {
            let (project, wheel) = wheel_of(number as u64, upload);
            for server in &servers {
                until("what was taken is on all nodes", || download(&client, &url(server), &project, &wheel));
            }
        }
    }
    servers.into_iter().flatten().for_each(WcasServer::stop);
    for node in &team.nodes {
        node.ok(["verify"]);
        node.ok(["log", "verify"]);
    }
    team.assert_equal();
}

pub(super) const FORM: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=shared");

/// Returns the form of an upload.
pub(super) fn form(wheel: &Wheel) -> Vec<u8> {
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
