//! What strangers send is looked into whole: each member's header and bytes.

use crate::ownership::{listed, post};
use crate::site::{FROMAGER, Site, add, sha256};
use crate::support::{Env, Reply, Sdist, Server, Wheel};
use crate::uploads::form;

/// A site whose collection `cuda` takes uploads, with a token.
fn site() -> (Site, String) {
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("other", "1.0")]);
    let site = Site::of(env, &[]);
    let token = site.token(&["--collection", "cuda", "--scope", "upload"]);
    (site, token)
}

/// Where the own header of the first member begins whose name ends so.
fn header(bytes: &[u8], name: &str) -> usize {
    let at = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
    (0..at).rev().find(|at| bytes[*at..].starts_with(b"PK\x03\x04")).unwrap()
}

#[test]
fn an_upload_whose_members_are_not_what_the_directory_says_is_refused_and_not_listed() {
    let (site, token) = site();
    let wheel = Wheel::new("demo", "1.0").payload(5000, 1);
    let good = wheel.bytes();
    let at = header(&good, "payload.bin");
    // Another name, another size, another CRC, other bytes.
    for (place, why) in [(31, "the same name"), (22, "in its header"), (14, "in its header"), (2000, "payload.bin")] {
        let mut bytes = good.clone();
        bytes[at + place] ^= 1;
        let heard = post(&site, "/cuda/legacy/", &token, &form(&wheel.filename(), &bytes, &[]));
        assert_eq!(heard.status, 400, "{heard}");
        assert!(heard.text().contains(why), "byte {place}: {}", heard.text());
        assert_eq!(site.server.ask("GET", "/cuda/simple/demo/", &[("Accept", FROMAGER)]).status, 404);
    }
    let heard = post(&site, "/cuda/legacy/", &token, &form(&wheel.filename(), &good, &[]));
    assert_eq!(heard.status, 200, "{heard}");
}

#[test]
fn uploads_of_old_sdists_are_refused_where_the_public_index_refuses_them_and_taken_where_their_form_says_whose_they_are()
 {
    let (site, token) = site();
    let bytes = Sdist::new("functools32", "3-2").bytes();
    let send = |name: &str, fields: &[(&str, &str)]| post(&site, "/cuda/legacy/", &token, &form(name, &bytes, fields));
    let heard = send("functools32-3.post2.tgz", &[]);
    assert_eq!(heard.status, 400, "{heard}");
    assert!(heard.text().contains("new sdists are .tar.gz or .zip"), "{}", heard.text());
    // The name alone would be of a project functools32-3.
    let heard = send("functools32-3-2.tar.gz", &[("name", "functools32"), ("version", "3.post2")]);
    assert_eq!(heard.status, 200, "{heard}");
    let cut = post(&site, "/cuda/legacy/", &token, &form("demo-1.0.tar.gz", &bytes[..bytes.len() / 2], &[]));
    assert_eq!(cut.status, 400, "{cut}");
}

#[test]
fn what_a_remote_has_whose_members_are_not_what_the_directory_says_is_not_taken_and_then_not_listed() {
    let (wheel, good) = (Wheel::new("demo", "1.0").payload(5000, 1), Wheel::new("demo", "0.9"));
    let mut bytes = wheel.bytes();
    let at = header(&bytes, "payload.bin");
    bytes[at + 31] ^= 1;
    let remote = Server::start();
    let links = [remote.wheel(&wheel.filename(), &bytes), remote.wheel(&good.filename(), &good.bytes())].concat();
    remote.route("/simple/demo/", Reply::html(format!("<html><body>{links}</body></html>")));
    let env = Env::new();
    env.ok(["remote", "add", "mirror", &remote.url("/simple/"), "--allow-insecure"]);
    let site = Site::of(env, &[]);
    let names = || listed(&site, "/shared/simple/demo/", None);
    assert_eq!(names().len(), 2);
    // Its digest is the page's.
    let path = format!("/shared/files/{}/{}", sha256(&bytes), wheel.filename());
    let mut connection = site.server.connect();
    connection.send_head("GET", &path, &[("Connection", "close")]);
    drop(connection.head());
    assert!(connection.rest().len() < bytes.len(), "nobody gets all of it");
    assert_eq!(names(), [good.filename()]);
}
