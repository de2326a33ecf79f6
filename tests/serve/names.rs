//! Whose names are, by URL: what a stranger's index can't slip into a page, what is withheld by every address, and what a digest
//! is no key to.

use crate::ownership::listed;
use crate::site::{JSON, Site, add, sha256};
use crate::support::{Env, Heard, Reply, Server, Wheel, until};
use crate::uploads::{FORM, basic, form};

/// A stranger's index with a version of a project.
fn stranger(project: &str, version: &str) -> Server {
    let server = Server::start();
    let wheel = Wheel::new(project, version);
    server.route(&format!("/simple/{project}/"), Reply::html(server.wheel(&wheel.filename(), &wheel.bytes())));
    server
}

/// A page of a remote as JSON, with one file that has these digests.
fn page(server: &Server, wheel: &Wheel, hashes: &str, more: &str) {
    let (name, project) = (wheel.filename(), wheel.filename().split('-').next().unwrap().to_owned());
    let text = format!(
        "{{\"meta\":{{\"api-version\":\"1.4\"}},\"name\":\"{project}\",\"versions\":[],\"files\":[{{\"filename\":\"{name}\",\
         \"url\":\"/files/{name}\",\"hashes\":{{{hashes}}}{more}}}]}}"
    );
    server.route(&format!("/simple/{project}/"), Reply::json(text));
}

fn file(view: &str, wheel: &Wheel) -> String {
    let slash = if view.is_empty() { "" } else { "/" };
    format!("{slash}{view}/files/{}/{}", sha256(&wheel.bytes()), wheel.filename())
}

/// Makes remembered pages old.
fn forget_pages(env: &Env) {
    let manifest = rusqlite::Connection::open(env.path("store/manifest.sqlite")).unwrap();
    manifest.execute("UPDATE remote_page SET fetched_at = fetched_at - 100000, etag = NULL", []).unwrap();
}

fn upload(site: &Site, token: &str, wheel: &Wheel, name: &str) -> Heard {
    let login = basic(token);
    site.server.connect().post("/shared/legacy/", &[FORM, ("Authorization", &login)], &form(name, &wheel.bytes(), &[]))
}

#[test]
fn a_strangers_higher_version_is_on_no_page_and_at_no_address() {
    let server = stranger("demo", "99.0");
    let env = Env::new();
    let (own, theirs) = (Wheel::new("demo", "1.0"), Wheel::new("demo", "99.0"));
    add(&env, "shared", std::slice::from_ref(&own));
    env.ok(["remote", "add", "mirror", &server.url("/simple/"), "--collection", "shared"]);
    env.ok(["route", "set", "cuda", "--strategy", "union"]);
    env.ok(["collection", "create", "cuda"]);
    let site = Site::of(env, &[]);
    for path in ["/shared/simple/demo/", "/cuda/simple/demo/", "/shared/cache/simple/demo/"] {
        assert!(!listed(&site, path, None).contains(&theirs.filename()), "{path}");
    }
    assert_eq!(listed(&site, "/shared/simple/demo/", None), [own.filename()]);
    for view in ["shared", "cuda", ""] {
        assert_eq!(site.server.get(&file(view, &theirs)).status, 404, "{view}");
        assert_eq!(site.server.get(&(file(view, &theirs) + ".metadata")).status, 404, "{view}");
    }
    // The last own file goes, the name stays, also for a server that runs.
    site.env.ok(["invalidate", "demo"]);
    assert!(listed(&site, "/shared/simple/demo/", None).is_empty());
    assert!(server.paths().is_empty(), "{:?}", server.paths());
    site.env.ok(["collection", "set", "shared", "--open", "demo"]);
    assert_eq!(listed(&site, "/shared/simple/demo/", None), [theirs.filename()]);
    site.env.ok(["collection", "set", "shared", "--open", "none"]);
    site.env.ok(["reserve", "dem*", "--collection", "shared"]);
    assert!(listed(&site, "/shared/simple/demo/", None).is_empty());
    site.end();
}

#[test]
fn a_collections_url_serves_what_it_has_and_what_it_names() {
    let server = stranger("remote", "1.0");
    let env = Env::new();
    add(&env, "shared", &[Wheel::new("common", "1.0")]);
    add(&env, "released", &[Wheel::new("demo", "1.0")]);
    env.ok(["remote", "add", "mirror", &server.url("/simple/"), "--collection", "shared"]);
    let site = Site::of(env, &[]);
    let hits = |site: &Site| {
        ["demo", "common", "remote"].map(|project| {
            let looked = site.env.run(["lookup", project, "--collection", "released", "--offline"]).code == 0;
            let found = !listed(site, &format!("/released/simple/{project}/"), None).is_empty();
            assert!(looked == found || project == "remote", "{project}: one answer");
            found
        })
    };
    assert_eq!(hits(&site), [true, false, false]);
    assert_eq!(site.server.get(&file("released", &Wheel::new("common", "1.0"))).status, 404);
    assert!(server.paths().is_empty(), "it names nobody: {:?}", server.paths());
    assert_eq!(site.server.json("/released/simple/")["projects"].as_array().unwrap().len(), 1);
    site.env.ok(["collection", "set", "released", "--fallback", "shared"]);
    assert_eq!(hits(&site), [true, true, true]);
    // A variant has the default collection without naming it.
    site.env.ok(["collection", "set", "released", "--fallback", "none"]);
    assert_eq!(hits(&site), [true, false, false]);
    site.env.ok(["route", "set", "released"]);
    assert!(!listed(&site, "/released/simple/remote/", None).is_empty());
    site.end();
}

#[test]
fn what_is_blocked_is_on_no_page_and_at_no_address() {
    let server = stranger("other", "1.0");
    let env = Env::new();
    let (demo, other) = (Wheel::new("demo", "1.0").build("0"), Wheel::new("other", "1.0"));
    add(&env, "shared", &[demo.clone(), Wheel::new("demo", "2.0").build("0")]);
    env.ok(["remote", "add", "mirror", &server.url("/simple/"), "--collection", "shared"]);
    let site = Site::of(env, &[]);
    let token = site.token(&["--collection", "shared", "--scope", "upload"]);
    assert_eq!(site.server.get(&file("shared", &demo)).status, 200);
    site.env.ok(["block", "demo==1.0", "other", "--reason", "CVE-2026-1"]);
    assert_eq!(listed(&site, "/shared/simple/demo/", None), [Wheel::new("demo", "2.0").build("0").filename()]);
    assert_eq!(listed(&site, "/shared/cache/simple/demo/", None).len(), 1);
    for view in ["shared", "shared@1", ""] {
        assert_eq!(site.server.get(&file(view, &demo)).status, 404, "{view}");
    }
    for wheel in [&demo, &other] {
        let gone = site.server.get(&file("shared/cache", wheel));
        assert!(gone.status == 410 && gone.text().contains("CVE-2026-1"), "{gone}");
    }
    assert!(listed(&site, "/shared/simple/other/", None).is_empty());
    let refused = upload(&site, &token, &Wheel::new("demo", "1.0").build("1"), "demo-1.0-1-py3-none-any.whl");
    assert!(refused.status == 400 && refused.text().contains("CVE-2026-1"), "{refused}");
    let shown = site.server.get("/shared/projects/demo/");
    assert!(shown.text().contains("CVE-2026-1"), "{shown}");
    site.env.ok(["unblock", "demo==1.0", "other"]);
    assert_eq!(site.server.get(&file("shared", &demo)).status, 200);
    assert_eq!(listed(&site, "/shared/simple/other/", None).len(), 1);
    site.end();
}

#[test]
fn what_a_page_withholds_its_old_revisions_files_withhold_too() {
    let env = Env::new();
    let demo = Wheel::new("demo", "1.0");
    add(&env, "shared", std::slice::from_ref(&demo));
    env.ok(["collection", "snapshot", "shared", "release"]);
    let site = Site::of(env, &[]);
    let views = ["shared", "shared@1", "shared@release", ""];
    let codes = |site: &Site| views.map(|view| site.server.get(&file(view, &demo)).status);
    assert_eq!(codes(&site), [200; 4]);
    site.env.ok(["collection", "status", "shared", "demo", "quarantined", "--reason", "malware"]);
    assert_eq!(codes(&site), [404; 4]);
    for view in ["shared", "shared@1"] {
        let page = site.server.ask("GET", &format!("/{view}/simple/demo/"), &[("Accept", JSON)]);
        assert!(page.text().contains("quarantined") && page.text().contains("malware"), "{view}: {page}");
    }
    for view in views {
        assert_eq!(site.server.ask("HEAD", &(file(view, &demo) + ".metadata"), &[]).status, 404, "{view}");
    }
    site.env.ok(["collection", "status", "shared", "demo", "active"]);
    assert_eq!(codes(&site), [200; 4]);
    site.end();
}

#[test]
fn a_collections_quarantine_takes_what_its_remotes_have_too() {
    let server = stranger("demo", "1.0");
    let env = Env::new();
    env.ok(["remote", "add", "mirror", &server.url("/simple/"), "--collection", "shared"]);
    let site = Site::of(env, &[]);
    assert_eq!(listed(&site, "/shared/simple/demo/", None).len(), 1);
    site.env.ok(["collection", "status", "shared", "demo", "quarantined", "--reason", "malware"]);
    let heard = site.server.ask("GET", "/shared/simple/demo/", &[("Accept", JSON)]);
    assert!(heard.text().contains("quarantined") && !heard.text().contains(".whl"), "{heard}");
    let gone = site.server.get(&file("shared", &Wheel::new("demo", "1.0")));
    assert_eq!(gone.status, 404, "{gone}");
    site.env.ok(["collection", "status", "shared", "demo", "active"]);
    assert_eq!(site.server.get(&file("shared", &Wheel::new("demo", "1.0"))).status, 200);
    site.end();
}

#[test]
fn a_remotes_quarantine_takes_its_own_files_and_no_others() {
    let (bad, good) = (Server::start(), stranger("demo", "3.0"));
    let wheel = Wheel::new("demo", "2.0");
    page(&bad, &wheel, &format!("\"sha256\":\"{}\"", sha256(&wheel.bytes())), "");
    bad.route(&format!("/files/{}", wheel.filename()), Reply::file(wheel.bytes()));
    let env = Env::new();
    env.ok(["remote", "add", "bad", &bad.url("/simple/"), "--collection", "shared", "--priority", "1"]);
    env.ok(["pull", "demo==2.0"]);
    add(&env, "shared", &[Wheel::new("demo", "1.0"), Wheel::new("other", "1.0")]);
    env.ok(["collection", "set", "shared", "--open", "demo,other"]);
    env.ok(["remote", "add", "good", &good.url("/simple/"), "--collection", "shared", "--priority", "2"]);
    env.ok(["route", "set", "shared", "--strategy", "union"]);
    let status = "{\"meta\":{\"api-version\":\"1.4\"},\"name\":\"demo\",\"files\":[],\
                  \"project-status\":{\"status\":\"quarantined\",\"reason\":\"malware\"}}";
    bad.route("/simple/demo/", Reply::json(status));
    bad.route("/simple/other/", Reply::json(status.replace("demo", "other")));
    forget_pages(&env);
    let site = Site::of(env, &[]);
    // Who has none of its files misses none. What is missing is told by the pages for people, and the log says why.
    assert_eq!(listed(&site, "/shared/simple/other/", None), [Wheel::new("other", "1.0").filename()]);
    let page = site.server.get("/shared/projects/other/");
    assert!(page.status == 200 && !page.text().contains("the server's log says why"), "{page}");
    let told = || {
        std::fs::read_to_string(site.env.path("stderr"))
            .unwrap()
            .matches("the remote bad: it has the project in quarantine")
            .count()
    };
    assert_eq!(told(), 0);
    assert_eq!(
        listed(&site, "/shared/simple/demo/", None),
        [Wheel::new("demo", "1.0").filename(), Wheel::new("demo", "3.0").filename()]
    );
    let page = site.server.get("/shared/projects/demo/");
    assert!(page.status == 200 && page.text().contains("the server's log says why"), "{page}");
    until("the log tells what is left out", || told() == 1);
    // Where it alone has the project, clients are told.
    site.env.ok(["invalidate", "demo==1.0"]);
    site.env.ok(["remote", "remove", "good"]);
    let heard = site.server.ask("GET", "/shared/simple/demo/", &[("Accept", JSON)]);
    assert!(heard.text().contains("quarantined") && !heard.text().contains(".whl"), "{heard}");
    site.end();
}

#[test]
fn who_names_a_digest_does_not_get_the_bytes_of_others() {
    let evil = Server::start();
    let secret = Wheel::new("secretlib", "1.0").payload(500, 7);
    let sha = sha256(&secret.bytes());
    page(&evil, &secret, &format!("\"sha256\":\"{sha}\""), "");
    let env = Env::new();
    add(&env, "private", std::slice::from_ref(&secret));
    env.ok(["remote", "add", "partner", &evil.url("/simple/"), "--collection", "guests"]);
    let site = Site::of(env, &["--anonymous", "nothing"]);
    let guest = basic(&site.token(&["--collection", "guests", "--scope", "read"]));
    let ask = |path: &str| site.server.ask("GET", path, &[("Authorization", guest.as_str())]);
    let heard = ask(&file("guests", &secret));
    assert!(heard.status != 200 && heard.body != secret.bytes(), "{heard}");
    assert!(evil.paths().iter().any(|path| path.starts_with("/files/")), "its own bytes are wanted");
    assert_ne!(ask(&(file("guests", &secret) + ".metadata")).status, 200);
    assert_ne!(site.env.run(["pull", "secretlib", "--collection", "guests"]).code, 0);
    // Who has them shares the blob.
    let good = Server::start();
    page(&good, &secret, &format!("\"sha256\":\"{sha}\""), "");
    good.route(&format!("/files/{}", secret.filename()), Reply::file(secret.bytes()));
    site.env.ok(["remote", "add", "friend", &good.url("/simple/"), "--collection", "guests", "--priority", "-1"]);
    site.env.ok(["remote", "remove", "partner"]);
    let heard = ask(&file("guests", &secret));
    assert!(heard.status == 200 && heard.body == secret.bytes(), "{heard}");
    let rows = site.env.json(["list"]);
    let rows = rows["distributions"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["blake3"]), (2, &rows[1]["blake3"]), "one blob");
    site.end();
}

#[test]
fn metadata_is_what_one_remote_tells_and_goes_with_it() {
    let wheel = Wheel::new("victim", "1.0").requires("requests");
    let sha = sha256(&wheel.bytes());
    let (good, evil) = (Server::start(), Server::start());
    let truth = "Metadata-Version: 2.1\nName: victim\nVersion: 1.0\nRequires-Dist: requests\n";
    let lie = truth.replace("requests", "evil-package");
    for (server, text) in [(&good, truth), (&evil, lie.as_str())] {
        let more = format!(",\"core-metadata\":{{\"sha256\":\"{}\"}}", sha256(text.as_bytes()));
        page(server, &wheel, &format!("\"sha256\":\"{sha}\""), &more);
        server.route(&format!("/files/{}.metadata", wheel.filename()), Reply::file(text));
    }
    let env = Env::new();
    env.ok(["remote", "add", "trusted", &good.url("/simple/"), "--collection", "shared"]);
    env.ok(["remote", "add", "sandbox", &evil.url("/simple/"), "--collection", "playground"]);
    let site = Site::of(env, &[]);
    let told = |view: &str| site.server.get(&(file(view, &wheel) + ".metadata")).text();
    assert!(told("playground").contains("evil-package"), "that one's own lie");
    assert!(told("shared").contains("Requires-Dist: requests"), "{}", told("shared"));
    let page = site.server.ask("GET", "/shared/simple/victim/", &[("Accept", JSON)]).text();
    assert!(page.contains(&sha256(truth.as_bytes())) && !page.contains(&sha256(lie.as_bytes())), "{page}");
    // The address without a view doesn't say whom to believe: the file, which its digest vouches for, does.
    good.route(&format!("/files/{}", wheel.filename()), Reply::file(wheel.bytes()));
    let any = site.server.get(&(file("", &wheel) + ".metadata"));
    assert!(any.status == 200 && any.text().contains("Requires-Dist: requests"), "{any}");
    site.env.ok(["invalidate", "victim", "--everywhere"]);
    site.env.ok(["remote", "remove", "sandbox"]);
    assert!(!told("playground").contains("evil-package"));
    site.end();
}

#[test]
fn one_file_is_uploaded_under_one_spelling() {
    let env = Env::new();
    env.ok(["collection", "create", "shared"]);
    let site = Site::of(env, &[]);
    let token = site.token(&["--collection", "shared", "--scope", "upload"]);
    let wheel = |seed| Wheel::new("demo_x", "1.0").payload(100, seed);
    assert_eq!(upload(&site, &token, &wheel(1), "demo_x-1.0-py3-none-any.whl").status, 200);
    for name in [
        "Demo_X-1.0-py3-none-any.whl",
        "demo.x-1.0-py3-none-any.whl",
        "demo_x-1.0.0-py3-none-any.whl",
        "demo_x-01.0-py3-none-any.whl",
    ] {
        let said = upload(&site, &token, &wheel(2), name);
        assert!(said.status == 400, "{name}: {said}");
    }
    assert_eq!(listed(&site, "/shared/simple/demo-x/", None), ["demo_x-1.0-py3-none-any.whl"]);
    site.end();
}

#[test]
fn digests_of_other_kinds_are_checked_and_the_strong_ones_vouch() {
    let wheel = Wheel::new("demo", "1.0");
    let other = Wheel::new("demo", "1.0").payload(10, 3);
    // hashlib.new(NAME, bytes).hexdigest(), by the algorithm itself.
    let digest = |name: &str, bytes: &[u8]| {
        use sha2::Digest;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match name {
            "sha512" => hex(&sha2::Sha512::digest(bytes)),
            "sha384" => hex(&sha2::Sha384::digest(bytes)),
            "sha1" => hex(&sha1::Sha1::digest(bytes)),
            "md5" => hex(&md5::Md5::digest(bytes)),
            other => panic!("{other}"),
        }
    };
    for (name, vouches) in [("sha512", true), ("sha384", true), ("sha1", false), ("md5", false)] {
        let server = Server::start();
        page(&server, &wheel, &format!("\"{name}\":\"{}\"", digest(name, &wheel.bytes())), "");
        server.route(&format!("/files/{}", wheel.filename()), Reply::file(other.bytes()));
        let env = Env::new();
        env.ok(["remote", "add", "r", &server.url("/simple/"), "--trust-unhashed"]);
        let wrong = env.run(["lookup", "demo"]);
        assert!(wrong.code == 4 && wrong.stderr.contains("its digest says"), "{name}: {wrong}");
        server.route(&format!("/files/{}", wheel.filename()), Reply::file(wheel.bytes()));
        assert_eq!(env.run(["lookup", "demo"]).code, 0, "{name}");
        let strict = Env::new();
        strict.ok(["remote", "add", "r", &server.url("/simple/")]);
        assert_eq!(strict.run(["lookup", "demo"]).code == 0, vouches, "{name}");
    }
}

#[test]
fn a_page_on_another_host_is_not_this_remotes() {
    let server = Server::start();
    let wheel = Wheel::new("demo", "1.0");
    server.route("/real/demo/", Reply::html(server.wheel(&wheel.filename(), &wheel.bytes())));
    server.route("/simple/demo/", Reply::redirect(302, &server.other_url("/real/demo/")));
    server.route("/moved/demo/", Reply::redirect(301, "/real/demo/"));
    let env = Env::new();
    env.ok(["remote", "add", "r", &server.url("/simple/")]);
    let refused = env.run(["lookup", "demo"]);
    assert!(refused.code == 4 && refused.stderr.contains("--follow-host localhost"), "{refused}");
    env.ok(["remote", "set", "r", "--follow-host", "localhost"]);
    assert_eq!(env.run(["lookup", "demo"]).code, 0);
    // On its own host it may move, and a redirect may mean that there is nothing.
    let moved = Env::new();
    moved.ok(["remote", "add", "r", &server.url("/moved/")]);
    assert_eq!(moved.run(["lookup", "demo"]).code, 0);
    let absent = Env::new();
    absent.ok(["remote", "add", "r", &server.url("/simple/"), "--not-found", "302"]);
    let missed = absent.run(["lookup", "demo"]);
    assert!(missed.code == 4 && !missed.stderr.contains("redirect"), "{missed}");
    assert_eq!(absent.run(["remote", "set", "r", "--not-found", "304"]).code, 2);
}
