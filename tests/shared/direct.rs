//! `serve --direct-uploads`: builders put files into the bucket, and the server takes them from there.

use super::bucket::{Between, Trouble, team};
use super::support::peer::http;
use super::support::{Env, WcasServer, Weed, Wheel, weed};
use super::{Team, shared_rows, wheels};
use serde_json::Value;

/// A server on a team's second node, and the token that a builder has.
struct Site {
    team: Team,
    server: WcasServer,
    token: String,
    weed: &'static Weed,
    between: Between,
}

impl Site {
    fn start(options: &[&str]) -> Option<Self> {
        let weed = weed()?;
        let between = Between::start(&weed.address);
        let team = team(2, &between.address);
        let two = &team.nodes[1];
        two.ok(["collection", "create", "cuda"]);
        let server = WcasServer::start(two, &[&["--direct-uploads"], options].concat());
        let token = token(two);
        Some(Self { team, server, token, weed, between })
    }

    /// Sends a form that names a wheel and doesn't have it. Returns the status and the text.
    fn refer(&self, token: &str, wheel: &Wheel, size: u64) -> (u16, String) {
        let name = wheel.filename();
        let digest = wcas::digest::Sha256::of(&wheel.bytes()).to_string();
        self.refer_to(token, &[("filename", &name), ("sha256_digest", &digest), ("size", &size.to_string())])
    }

    fn refer_to(&self, token: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let fields = [&[(":action", "file_reference"), ("direct", "yes")], fields].concat();
        let field =
            |(name, value)| format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        let form: String = fields.into_iter().map(field).chain(["--limit--\r\n".to_owned()]).collect();
        let request =
            http().post(self.server.url("/cuda/legacy/")).header("Content-Type", "multipart/form-data; boundary=limit");
        let answer = request.basic_auth("__token__", Some(token)).body(form).send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    }

    /// Asks where a wheel may be put.
    fn offer(&self, token: &str, wheel: &Wheel) -> Value {
        let (status, text) = self.refer(token, wheel, wheel.bytes().len() as u64);
        assert_eq!(status, 202, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["put"].take()
    }

    /// Returns the keys of what lies in the bucket and is no blob yet.
    fn incoming(&self) -> Vec<String> {
        let url = self.team.nodes[0].json(["doctor"])["share"]["url"].as_str().unwrap().to_owned();
        self.weed.keys(&format!("{}/incoming/", url.strip_prefix("s3://wcas/").unwrap()))
    }
}

fn token(node: &Env) -> String {
    node.ok(["token", "create", "--collection", "cuda", "--scope", "upload"]).stdout.trim().to_owned()
}

/// Puts bytes as an offer says. Returns the status.
fn put(offer: &Value, bytes: Vec<u8>) -> u16 {
    let mut request = http().put(offer["url"].as_str().unwrap());
    for (name, value) in offer["headers"].as_object().unwrap() {
        request = request.header(name, value.as_str().unwrap());
    }
    request.body(bytes).send().unwrap().status().as_u16()
}

#[test]
fn a_builder_puts_a_wheel_into_the_bucket_and_it_is_listed_once_it_was_looked_at() {
    let Some(site) = Site::start(&[]) else { return };
    let wheel = Wheel::new("demo", "1.0+cu12").payload(300_000, 1);
    let offer = site.offer(&site.token, &wheel);
    assert_eq!((&offer["size"], &offer["expires_in"]), (&wheel.bytes().len().into(), &900.into()), "{offer}");
    assert_eq!(site.server.get("/cuda/simple/demo/").status, 404, "an offer is nothing");
    assert_eq!(put(&offer, wheel.bytes()), 200);
    assert_eq!((site.server.get("/cuda/simple/demo/").status, site.incoming().len()), (404, 1), "nobody has looked");
    let (status, text) = site.refer(&site.token, &wheel, wheel.bytes().len() as u64);
    assert!(status == 200 && text.contains("is there in cuda"), "{text}");
    assert_eq!(site.incoming(), [""; 0]);
    assert_eq!(site.server.metric("wcas_direct_uploads_total"), 1.0);
    // The other node has it, from the bucket, and the log says whose it is.
    let found = site.team.nodes[0].json(["lookup", "demo", "--collection", "cuda"]);
    assert_eq!(std::fs::read(found["path"].as_str().unwrap()).unwrap(), wheel.bytes());
    site.team.assert_equal();
    assert!(shared_rows(&site.team.nodes[0].store()).iter().any(|row| row.contains("upload")));
    // What is there isn't put again.
    let again = site.refer(&site.token, &wheel, wheel.bytes().len() as u64).0;
    assert!([200, 202].contains(&again), "{again}");
    site.server.stop();
}

#[test]
fn an_address_holds_for_what_was_announced_by_who_announced_it() {
    let Some(site) = Site::start(&["--max-upload-size", "1M"]) else { return };
    let wheel = Wheel::new("demo", "1.0").payload(9000, 1);
    let offer = site.offer(&site.token, &wheel);
    // It is signed with its digest.
    let mut bare = offer.clone();
    bare["headers"] = serde_json::json!({});
    assert_eq!(put(&bare, wheel.bytes()), 403);
    let mut foreign = offer.clone();
    foreign["headers"]["x-amz-checksum-sha256"] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".into();
    assert_eq!(put(&foreign, Vec::new()), 403);
    // Whether or not the bucket compares digests, this program does.
    let mut other = wheel.bytes();
    other[4000] ^= 1;
    let taken = put(&offer, other);
    println!("the bucket answered other bytes with {taken}");
    let (status, text) = site.refer(&site.token, &wheel, wheel.bytes().len() as u64);
    match taken {
        200 => assert!(status == 400 && text.contains("another sha256_digest"), "{text}"),
        _ => assert_eq!(status, 202, "{text}"),
    }
    assert_eq!(site.incoming(), [""; 0]);
    // Who else knows the digest has nothing of it: neither another token, nor nobody.
    assert_eq!(put(&site.offer(&site.token, &wheel), wheel.bytes()), 200);
    assert_eq!(site.refer(&token(&site.team.nodes[1]), &wheel, wheel.bytes().len() as u64).0, 202);
    assert_eq!(site.refer("wcas_nonsense", &wheel, 1).0, 401);
    // Another size than what is there.
    let (status, text) = site.refer(&site.token, &wheel, 5);
    assert!(status == 400 && text.contains("and not 5"), "{text}");
    let size = wheel.bytes().len().to_string();
    let digest = wcas::digest::Sha256::of(&wheel.bytes()).to_string();
    let of = |fields: &[(&str, &str)]| {
        let fields = [&[("sha256_digest", digest.as_str())], fields].concat();
        site.refer_to(&site.token, &fields)
    };
    assert_eq!(of(&[("filename", "demo-1.0-py3-none-any.whl"), ("size", "1048577")]).0, 413);
    for size in ["", "-1", "many", "99999999999999999999999"] {
        assert_eq!(of(&[("filename", "demo-1.0-py3-none-any.whl"), ("size", size)]).0, 400, "{size}");
    }
    assert_eq!(of(&[("filename", "../demo-1.0-py3-none-any.whl"), ("size", &size)]).0, 400);
    site.server.stop();
}

#[test]
fn what_is_no_wheel_goes_and_what_could_not_be_read_stays() {
    let Some(site) = Site::start(&[]) else { return };
    // Right bytes of the wrong kind.
    let junk = vec![b'x'; 4000];
    let digest = wcas::digest::Sha256::of(&junk).to_string();
    let fields = [("filename", "demo-1.0-py3-none-any.whl"), ("sha256_digest", &*digest), ("size", "4000")];
    let (status, text) = site.refer_to(&site.token, &fields);
    assert_eq!(status, 202, "{text}");
    assert_eq!(put(&serde_json::from_str::<Value>(&text).unwrap()["put"], junk), 200);
    let (status, text) = site.refer_to(&site.token, &fields);
    assert!(status == 400 && text.starts_with("demo-1.0-py3-none-any.whl: "), "{text}");
    assert_eq!(site.incoming(), [""; 0]);
    // A bucket that can't be read just now loses nothing.
    let wheel = Wheel::new("demo", "2.0").payload(9000, 1);
    assert_eq!(put(&site.offer(&site.token, &wheel), wheel.bytes()), 200);
    site.between.plan(&[("GET /incoming/", Trouble::Refused(403))]);
    let size = wheel.bytes().len() as u64;
    let status = site.refer(&site.token, &wheel, size).0;
    assert!(status >= 500, "{status}");
    site.between.plan(&[]);
    assert_eq!(site.refer(&site.token, &wheel, size).0, 200);
    site.server.stop();
}

#[test]
fn without_the_option_or_a_bucket_files_are_sent() {
    let Some(weed) = weed() else { return };
    let team = team(1, &weed.address);
    let one = &team.nodes[0];
    one.ok(["collection", "create", "cuda"]);
    let server = WcasServer::start(one, &[]);
    let (token, between) = (token(one), Between::start(&weed.address));
    let site = Site { team, server, token, weed, between };
    let (status, text) = site.refer(&site.token, &Wheel::new("demo", "1.0"), 10);
    assert!(status == 404 && text.contains("send it"), "{text}");
    site.server.stop();
    let alone = Env::new();
    alone.ok(["collection", "create", "cuda"]);
    for env in [&Team::with(1, &wheels("demo", 1)).nodes[0], &alone] {
        let output = env.run(["serve", "--listen", "127.0.0.1:0", "--direct-uploads"]);
        assert!(output.code == 2 && output.stderr.contains("no node of a share in a bucket"), "{output}");
    }
}
