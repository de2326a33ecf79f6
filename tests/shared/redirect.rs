//! `serve --redirect`: clients fetch files from the bucket, by addresses that hold for a while.

use super::bucket::{Between, team};
use super::served::path_in;
use super::support::weed;
use super::support::{Connection, Env, Heard, WcasServer, Wheel};
use super::web::install;
use super::{Team, blobs, wheels};
use std::fs;
use std::time::Duration;

/// Asks the bucket at an address that a server gave.
pub(super) fn follow(address: &str, method: &str, headers: &[(&str, &str)]) -> Heard {
    let url = url::Url::parse(address).unwrap();
    let path = &url[url::Position::BeforePath..];
    Connection::open(url.socket_addrs(|| None).unwrap()[0]).ask(method, path, headers)
}

/// A team of two nodes on the bucket, of which the first has wheels in a collection of its own.
fn filled() -> Option<(Team, Between)> {
    let between = Between::start(&weed()?.address);
    let team = team(2, &between.address);
    let one = &team.nodes[0];
    fs::create_dir(one.path("dist")).unwrap();
    Wheel::new("demo-app", "1.0+cu12").requires("demo-lib").payload(70_000, 1).write_to(one.path("dist"));
    Wheel::new("demo-lib", "1.0").write_to(one.path("dist"));
    one.ok(["import", "dist", "--collection", "cuda"]);
    Some((team, between))
}

#[test]
fn a_file_is_redirected_to_one_object_of_the_bucket_for_a_while() {
    let Some((team, _between)) = filled() else { return };
    let [one, two] = &team.nodes[..] else { panic!() };
    let server = WcasServer::start(two, &["--redirect", "--redirect-for", "4s"]);
    let path = path_in(&server, "cuda", "demo-app");
    let heard = server.get(&path);
    assert_eq!(heard.status, 307, "{heard}");
    assert_eq!(heard.header("cache-control"), "private, no-store");
    let address = heard.header("location").to_owned();
    let bytes = fs::read(one.path("dist/demo_app-1.0+cu12-py3-none-any.whl")).unwrap();
    follow(&address, "GET", &[]).assert_brings(&bytes);
    let part = follow(&address, "GET", &[("Range", "bytes=10-19")]);
    assert!(part.status == 206 && part.body == bytes[10..20], "{part}");
    // It is signed for that object, to be read.
    for method in ["HEAD", "PUT", "DELETE"] {
        assert_eq!(follow(&address, method, &[]).status, 403, "{method}");
    }
    let other = server.get(&path_in(&server, "cuda", "demo-lib")).header("location").to_owned();
    let key = |address: &str| address.split('?').next().unwrap().to_owned();
    assert_eq!(follow(&address.replace(&key(&address), &key(&other)), "GET", &[]).status, 403);
    assert_eq!(follow(&key(&address), "GET", &[]).status, 403);
    // A part is redirected, too; what needs no bytes of the bucket is answered here.
    assert_eq!(server.ask("GET", &path, &[("Range", "bytes=-100")]).status, 307);
    assert_eq!(server.ask("GET", &path, &[("Range", "bytes=900000-")]).status, 416);
    let etag = format!("\"{}\"", wcas::digest::Sha256::of(&bytes));
    assert_eq!(server.ask("GET", &path, &[("If-None-Match", &etag)]).status, 304);
    let head = server.ask("HEAD", &path, &[]);
    assert_eq!((head.status, head.header("content-length")), (200, &*bytes.len().to_string()), "{head}");
    assert_eq!((head.header("accept-ranges"), head.header("cache-control")), ("bytes", "private, no-store"));
    assert_eq!(server.get(&format!("{path}.metadata")).status, 200);
    assert_eq!(blobs(two).len(), 0, "no file came here");
    assert!(server.metric("wcas_redirects_total") >= 3.0);
    // Builders that check no digest get what was checked here.
    server.get(&path_in(&server, "cuda/cache", "demo-app")).assert_brings(&bytes);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(follow(&address, "GET", &[]).status, 403, "it has ended");
    assert_eq!(server.get(&path).status, 307);
    server.stop();
}

#[test]
fn clients_follow_a_redirect_and_their_token_stays_here() {
    let Some((team, between)) = filled() else { return };
    let two = &team.nodes[1];
    let server = WcasServer::start(two, &["--redirect", "--anonymous", "nothing"]);
    two.ok(["collection", "create", "other"]);
    let token = |collection: &str| {
        two.ok(["token", "create", "--collection", collection, "--scope", "read"]).stdout.trim().to_owned()
    };
    let (own, other) = (token("cuda"), token("other"));
    let basic = |token: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("__token__:{token}")))
    };
    let page = server.ask("GET", "/cuda/simple/demo-app/", &[("Authorization", &basic(&own))]).text();
    let link = page.split("href=\"").nth(1).unwrap().split('#').next().unwrap();
    let base = url::Url::parse(&server.url("/cuda/simple/demo-app/")).unwrap();
    let path = base.join(link).unwrap().path().to_owned();
    assert_eq!(server.get(&path).status, 401);
    let refused = server.ask("GET", &path, &[("Authorization", &basic(&other))]);
    assert!([403, 404].contains(&refused.status) && refused.header("location").is_empty(), "{refused}");
    assert_eq!(server.ask("GET", &path, &[("Authorization", &basic(&own))]).status, 307);
    let index = server.url_as(&format!("__token__:{own}"), "/cuda/simple/");
    if install(two, &index, "demo-app", &["demo_app-1.0+cu12", "demo_lib-1.0"]) {
        assert_eq!(blobs(two).len(), 0, "no file came here");
        let asked = between.asked();
        assert!(asked.iter().any(|line| line.contains("X-Amz-Signature")), "{asked:#?}");
        assert!(!asked.iter().any(|line| line.starts_with("PASSWORD")), "{asked:#?}");
    }
    server.stop();
}

#[test]
fn a_store_without_a_bucket_redirects_nobody() {
    let team = Team::with(1, &wheels("demo", 1));
    let alone = Env::new();
    alone.ok(["collection", "create", "cuda"]);
    for env in [&team.nodes[0], &alone] {
        let output = env.run(["serve", "--listen", "127.0.0.1:0", "--redirect"]);
        assert!(output.code == 2 && output.stderr.contains("no node of a share in a bucket"), "{output}");
    }
}
