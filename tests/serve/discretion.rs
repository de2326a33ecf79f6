//! What clients hear of remotes and of collections that they may not read.

use crate::site::{JSON, Site, add, file_path};
use crate::support::{Env, Reply, Server, Wheel};
use crate::uploads::basic;

/// An index with a project that it gives, one that fails in words of its own, and nothing else.
fn index(wheel: &Wheel) -> Server {
    let server = Server::start();
    let link = server.wheel(&wheel.filename(), &wheel.bytes());
    server.route("/simple/innerlib/", Reply::html(link));
    let gone = "<a href=\"/nowhere/lost-1.0-py3-none-any.whl#sha256=".to_owned() + &"1".repeat(64) + "\">lost</a>";
    server.route("/simple/lost/", Reply::html(gone.replace(">lost<", ">lost-1.0-py3-none-any.whl<")));
    let words = "<html><head><title>SECRET-TITLE</title></head><body><form></form></body></html>";
    server.route("/simple/broken/", Reply::html(words).code(418));
    server.route("/simple/odd/", Reply::json("{\"files\": \"AKIASECRET\"}"));
    server
}

#[test]
fn a_token_of_one_collection_hears_nothing_of_the_others() {
    let (env, wheel) = (Env::new(), Wheel::new("innerlib", "1.0"));
    let inner = index(&wheel);
    let both = Wheel::new("both", "1.0");
    add(&env, "alpha", &[Wheel::new("alib", "1.0")]);
    add(&env, "beta-secret", std::slice::from_ref(&both));
    add(&env, "gamma-secret", &[Wheel::new("hidden", "1.0"), both]);
    env.ok(["collection", "set", "alpha", "--fallback", "beta-secret"]);
    env.ok(["remote", "add", "corp-secret", &inner.url("/simple/"), "--collection", "beta-secret"]);
    env.ok(["collection", "promote", "gamma-secret", "alpha", "hidden"]);
    let site = Site::of(env, &["--anonymous", "nothing"]);
    site.token(&["--collection", "gamma-secret", "--scope", "upload", "--name", "token-secret"]);
    let login = basic(&site.token(&["--collection", "alpha", "--scope", "read", "--name", "guest"]));
    let host = inner.url("");
    let host = host.trim_end_matches('/').rsplit('/').next().unwrap();
    let store = site.env.store().display().to_string();
    let secrets = ["beta-secret", "gamma-secret", "corp-secret", "token-secret", host, &store, "SECRET", "status 418"];
    let ask = |path: &str, accept: &str| {
        let heard = site.server.ask("GET", path, &[("Accept", accept), ("Authorization", &login)]);
        for secret in secrets {
            assert!(!heard.to_string().contains(secret), "{secret} at {path}: {heard}");
        }
        heard.status
    };
    // In the store, but pulled by another collection's remote.
    assert_eq!(ask(&format!("/alpha{}", file_path(&wheel.filename(), &wheel.bytes())), "*/*"), 200);
    for path in ["/", "/alpha/", "/alpha/simple/", "/alpha@1/", "/gamma-secret/simple/", "/metrics", "/healthz"] {
        ask(path, "text/html");
    }
    for path in ["history", "remotes", "wanted", "health", "search/?q=hidden", "search/?q=both", "search/?q=secret"] {
        ask(&format!("/_/{}", if path.contains('?') { path.to_owned() } else { format!("{path}/") }), "text/html");
    }
    for path in ["/alpha/changes.atom", "/alpha@0...1/", "/gamma-secret/changes.atom", "/gamma-secret@0...1/"] {
        ask(path, "text/html");
    }
    for project in ["alib", "both", "hidden", "hiddem"] {
        for path in ["alpha/pypi", "alpha@1/pypi", "gamma-secret/pypi"] {
            ask(&format!("/{path}/{project}/json"), JSON);
        }
    }
    let lost = "lost-1.0-py3-none-any.whl";
    assert!(ask(&format!("/alpha/files/{}/{lost}", "1".repeat(64)), "*/*") >= 400);
    let mut statuses = Vec::new();
    for project in ["alib", "both", "innerlib", "lost", "broken", "odd", "hidden", "nosuch"] {
        for view in ["alpha", "alpha@1"] {
            for page in ["projects", "simple", "cache/simple", "build/simple"] {
                for accept in ["text/html", JSON] {
                    statuses.push(ask(&format!("/{view}/{page}/{project}/"), accept));
                }
            }
        }
    }
    assert!(statuses.contains(&200) && statuses.contains(&424), "{statuses:?}");
    let env = site.end();
    let log = std::fs::read_to_string(env.path("stderr")).unwrap();
    assert!(log.contains("the remote corp-secret: ") && log.contains("status 418"), "{log}");
    assert!(log.matches("status 418").count() <= 2, "once a minute: {log}");
}

#[test]
fn what_a_remote_says_is_in_the_log_and_which_one_failed_in_the_answer() {
    let (env, wheel) = (Env::new(), Wheel::new("innerlib", "1.0"));
    let inner = index(&wheel);
    env.ok(["remote", "add", "evil", &inner.url("/simple/")]);
    let site = Site::of(env, &[]);
    for project in ["broken", "odd"] {
        for (page, accept) in [("simple", JSON), ("simple", "text/html"), ("projects", "text/html")] {
            let heard = site.server.ask("GET", &format!("/shared/{page}/{project}/"), &[("Accept", accept)]);
            assert!(matches!(heard.status, 424 | 503) && heard.text().contains("evil"), "{heard}");
            for word in ["SECRET", "418", "127.0.0.1", "JSON"] {
                assert!(!heard.text().contains(word), "{word}: {heard}");
            }
        }
    }
    let digest = "1".repeat(64);
    let page = site.server.ask("GET", "/shared/simple/lost/", &[("Accept", JSON)]);
    assert_eq!(page.status, 200, "{page}");
    let heard = site.server.get(&format!("/shared/files/{digest}/lost-1.0-py3-none-any.whl"));
    assert!(heard.status == 404 && heard.text().contains("the remote evil lists lost-1.0"), "{heard}");
    assert!(!heard.text().contains("127.0.0.1"), "{heard}");
    let home = site.server.ask("GET", "/", &[("Accept", "text/html")]);
    assert!(home.text().contains("evil") && !home.text().contains("418"), "{home}");
    // Whoever asks for projects without end doesn't fill the log.
    for number in 0..40 {
        inner.route(&format!("/simple/p{number}/"), Reply::status(418));
        let status = site.server.get(&format!("/shared/simple/p{number}/")).status;
        assert!(matches!(status, 424 | 503), "{status}");
    }
    let env = site.end();
    let log = std::fs::read_to_string(env.path("stderr")).unwrap();
    let said = log.lines().filter(|line| line.starts_with("the remote evil: ")).count();
    assert!((2..=20).contains(&said), "{said}: {log}");
    assert!(log.contains("418") && log.contains("lost-1.0-py3-none-any.whl of remote evil"), "{log}");
}

#[test]
fn a_file_without_a_view_is_asked_of_no_remote_that_no_page_named() {
    let env = Env::new();
    let (own, wheel) = (Wheel::new("acme-secret-project", "1.0"), Wheel::new("innerlib", "1.0"));
    add(&env, "private", std::slice::from_ref(&own));
    let public = index(&wheel);
    env.ok(["remote", "add", "public", &public.url("/simple/"), "--collection", "shared"]);
    let site = Site::of(env, &[]);
    let path = file_path(&own.filename(), &own.bytes());
    assert_eq!(site.server.get(&path).status, 200);
    site.env.ok(["invalidate", "acme-secret-project", "--collection", "private"]);
    assert_eq!(site.server.get(&path).status, 404);
    let wrong = format!("/files/{}/{}", "2".repeat(64), own.filename());
    assert_eq!(site.server.get(&wrong).status, 404);
    // Nor is a name that is only reserved.
    site.env.ok(["reserve", "acme-plans*", "--collection", "private"]);
    assert_eq!(site.server.get(&format!("/files/{}/acme_plans-1.0-py3-none-any.whl", "3".repeat(64))).status, 404);
    assert_eq!(public.paths(), [""; 0]);
    // What a page linked is to be had, also of a server that began since.
    let path = file_path(&wheel.filename(), &wheel.bytes());
    assert_eq!(site.server.ask("GET", "/shared/simple/innerlib/", &[("Accept", JSON)]).status, 200);
    let again = Site::of(site.end(), &[]);
    again.server.get(&path).assert_brings(&wheel.bytes());
    again.end();
}
