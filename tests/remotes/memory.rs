//! What is remembered of a remote, for how long, and what is asked again.

use crate::support::{Reply, Server};
use crate::{
    add, age, asked, assert_whole, counts, found, json, manifest, missed, notes, offer, serve, wheel, with_remote,
};

const PAGE: &str = "/simple/demo/";

#[test]
fn m1_a_page_is_fetched_when_a_project_is_asked_for_and_once() {
    let server = serve("demo", &[wheel("demo", "1.0", 1), wheel("demo", "2.0", 2)]);
    let env = with_remote(&server, &[]);
    env.ok(["remote", "list"]);
    env.ok(["list"]);
    assert_eq!(server.paths(), [""; 0], "nobody is asked before anything is wanted");
    for version in ["1.0", "2.0", "1.0", "2.0"] {
        env.ok(["lookup", &format!("demo=={version}")]);
    }
    let file = |version: &str| format!("/files/demo-{version}-py3-none-any.whl");
    assert_eq!(server.paths(), [PAGE, &file("1.0"), &file("2.0")]);
}

#[test]
fn m1_a_remote_that_lists_its_projects_is_not_asked_for_others() {
    let server = serve("demo", &[wheel("demo", "1.0", 1)]);
    server.route("/simple/", Reply::html("<a href=\"demo/\">demo</a>"));
    let env = with_remote(&server, &["--listed"]);
    env.ok(["lookup", "demo"]);
    missed(&env, &["unknown"]);
    missed(&env, &["other"]);
    assert_eq!(
        (asked(&server, "/simple/"), asked(&server, "/simple/unknown/"), asked(&server, "/simple/other/")),
        (1, 0, 0)
    );
    assert_eq!(counts(&env, "mirror"), (1, 2, 0));
}

#[test]
fn m1_a_root_page_that_fails_hides_no_project() {
    for root in [Reply::status(500), Reply::status(404), Reply::html("<form></form>"), Reply::hang_up()] {
        let server = serve("demo", &[wheel("demo", "1.0", 1)]);
        offer(&server, "other", &[wheel("other", "1.0", 1)]);
        server.route("/simple/", root);
        let env = with_remote(&server, &["--listed"]);
        found(&env, &["demo"]);
        found(&env, &["other"]);
        assert!(asked(&server, "/simple/") > 0);
    }
}

#[test]
fn m5_a_remotes_answer_is_local_from_then_on_and_nothing_is_ever_written_to_a_remote() {
    let server = serve("demo", &[wheel("demo", "1.0", 1)]);
    let env = with_remote(&server, &[]);
    assert_eq!(found(&env, &["demo"]).0.as_deref(), Some("mirror"));
    let before = server.connections();
    assert_eq!(found(&env, &["demo"]).0, None);
    assert_eq!(found(&env, &["demo", "--offline"]).0, None);
    assert_eq!(server.connections(), before);
    let list = env.json(["list"]);
    assert_eq!(list["distributions"][0]["filename"], "demo-1.0-py3-none-any.whl", "{list}");
    assert!(server.requests().iter().all(|request| request.method == "GET"));
    assert_whole(&env);
}

#[test]
fn m6_a_404_is_remembered_for_a_while() {
    let server = Server::start();
    let env = with_remote(&server, &[]);
    assert_eq!(missed(&env, &["demo"]), "", "a definite miss is no failure");
    missed(&env, &["demo"]);
    assert_eq!(asked(&server, PAGE), 1);
    offer(&server, "demo", &[wheel("demo", "1.0", 1)]);
    age(&env, 30);
    missed(&env, &["demo"]);
    age(&env, 31);
    found(&env, &["demo"]);
    assert_eq!(counts(&env, "mirror"), (1, 3, 0));
}

#[test]
fn m6_a_server_error_is_unknown_and_no_miss() {
    for (fault, costs_time) in [
        (Reply::status(500), true),
        (Reply::status(429), true),
        (Reply::status(403), false),
        (Reply::hang_up(), false),
        (Reply::html("<form></form>"), false),
    ] {
        let server = Server::start();
        server.route(PAGE, fault);
        let env = with_remote(&server, &[]);
        assert!(missed(&env, &["demo"]).starts_with("mirror: "));
        offer(&server, "demo", &[wheel("demo", "1.0", 1)]);
        if costs_time {
            let before = asked(&server, PAGE);
            assert!(missed(&env, &["demo"]).contains("not asked, since it failed"));
            assert_eq!(asked(&server, PAGE), before, "for half a minute others don't wait for it");
            manifest(&env).execute("UPDATE remote_failure SET failed_at = failed_at - 31", []).unwrap();
        }
        found(&env, &["demo"]);
    }
}

#[test]
fn m6_another_status_means_not_there_where_its_owner_says_so() {
    let server = Server::start();
    server.route(PAGE, Reply::status(403));
    let env = with_remote(&server, &["--not-found", "403"]);
    assert_eq!(missed(&env, &["demo"]), "");
    missed(&env, &["demo"]);
    assert_eq!(asked(&server, PAGE), 1, "and it is remembered");
    assert_eq!(counts(&env, "mirror"), (0, 2, 0));
}

#[test]
fn a_page_without_the_answer_is_asked_for_again_soon_and_one_with_it_later_both_with_their_validators() {
    let server = serve("demo", &[]);
    let link = server.wheel("demo-1.0-py3-none-any.whl", &wheel("demo", "1.0", 1).bytes());
    let time = "Mon, 01 Jan 2024 00:00:00 GMT";
    server.route(PAGE, Reply::html(link).etag("\"one\"").last_modified(time));
    let env = with_remote(&server, &[]);
    missed(&env, &["demo==2.0"]);
    missed(&env, &["demo==2.0"]);
    assert_eq!(asked(&server, PAGE), 1);
    age(&env, 61);
    missed(&env, &["demo==2.0"]);
    let last = server.requests().pop().unwrap();
    assert_eq!((last.header("If-None-Match"), last.header("If-Modified-Since")), (Some("\"one\""), Some(time)));
    // It was found unchanged: young again, and still good.
    missed(&env, &["demo==2.0"]);
    assert_eq!(asked(&server, PAGE), 2);
    age(&env, 500);
    found(&env, &["demo==1.0"]);
    assert_eq!(asked(&server, PAGE), 2, "what it has it is believed for longer");
}

#[test]
fn a_remembered_page_is_used_while_its_remote_is_down() {
    let server = serve("demo", &[wheel("demo", "1.0", 1)]);
    let env = with_remote(&server, &[]);
    missed(&env, &["demo==2.0"]);
    age(&env, 700);
    server.route(PAGE, Reply::status(503).header("Retry-After", "3600"));
    let report = json(&env, 0, &["lookup", "demo==1.0"]);
    assert_eq!(report["remote"], "mirror");
    let told = notes(&report["remotes"]);
    assert!(told.contains("status 503; its remembered page is used"), "{told}");
    let list = env.json(["remote", "list"]);
    assert_eq!(list["remotes"][0]["health"], "failing", "{list}");
}

#[test]
fn a_page_that_is_gone_is_a_miss_and_another_url_is_another_index() {
    let server = serve("demo", &[wheel("demo", "1.0", 1)]);
    let env = with_remote(&server, &[]);
    missed(&env, &["demo==2.0"]);
    age(&env, 700);
    server.route(PAGE, Reply::status(404));
    assert_eq!(missed(&env, &["demo==1.0"]), "", "what its owner took away isn't offered any more");
    let other = serve("demo", &[wheel("demo", "1.0", 1)]);
    env.ok(["remote", "set", "mirror", "--url", &other.url("/simple/")]);
    found(&env, &["demo==1.0"]);
    assert_eq!(asked(&other, PAGE), 1);
}

#[test]
fn x8_one_page_of_links_is_an_index_and_is_fetched_once_for_all_projects() {
    let server = Server::start();
    let links: String = ["demo", "other"]
        .iter()
        .map(|project| server.wheel(&wheel(project, "1.0", 1).filename(), &wheel(project, "1.0", 1).bytes()))
        .collect();
    server.route("/whl/links.html", Reply::html(links));
    let env = crate::support::Env::new();
    env.ok(["remote", "add", "flat", &server.url("/whl/links.html")]);
    found(&env, &["demo"]);
    let before = server.paths().len();
    found(&env, &["other"]);
    missed(&env, &["unknown"]);
    assert_eq!(server.paths()[before..], ["/files/other-1.0-py3-none-any.whl"]);
    assert_eq!(asked(&server, "/whl/links.html"), 1);
}

#[test]
fn x8_a_remote_may_be_named_without_simple() {
    let server = serve("demo", &[wheel("demo", "1.0", 1)]);
    offer(&server, "other", &[wheel("other", "1.0", 1)]);
    let env = crate::support::Env::new();
    env.ok(["remote", "add", "mirror", &server.url("/")]);
    found(&env, &["demo"]);
    let before = server.paths().len();
    found(&env, &["other"]);
    let paths = server.paths();
    assert_eq!(
        paths[before..],
        ["/simple/other/", "/files/other-1.0-py3-none-any.whl"],
        "where its pages are is known now"
    );
    // Two names of one index share nothing: to name a digest is not to have the bytes, which other readers may not have.
    add(&env, "again", &server, &["--collection", "again"]);
    let pulled = ["pull", "demo", "--from", "again"];
    env.ok(pulled);
    assert_eq!(asked(&server, "/files/demo-1.0-py3-none-any.whl"), 2);
    // Where they may, or where the remote gave them before, bytes that the store has aren't fetched.
    env.ok(["invalidate", "demo", "--collection", "again"]);
    env.ok(pulled);
    add(&env, "third", &server, &["--collection", "third"]);
    env.ok(["collection", "set", "third", "--fallback", "again"]);
    env.ok(["pull", "demo", "--from", "third"]);
    assert_eq!(asked(&server, "/files/demo-1.0-py3-none-any.whl"), 2);
    let rows = env.json(["list"]);
    let blobs = rows["distributions"].as_array().unwrap().iter().map(|row| row["blake3"].as_str().unwrap());
    assert_eq!(blobs.collect::<std::collections::BTreeSet<_>>().len(), 2, "demo and other, each once");
}

#[test]
fn metadata_alone_is_told_and_nothing_is_imported() {
    let server = serve("demo", &[wheel("demo", "1.0", 1)]);
    let env = with_remote(&server, &["--allow-insecure"]);
    let told = env.ok(["lookup", "demo", "--metadata"]);
    assert!(told.stdout.starts_with("Metadata-Version: ") && told.stdout.contains("\nName: demo\n"), "{told}");
    assert_eq!(env.json(["list"])["distributions"], serde_json::json!([]));
    found(&env, &["demo"]);
    let requests = server.connections();
    assert_eq!(env.ok(["lookup", "demo", "--metadata"]).stdout, told.stdout, "the store says the same");
    assert_eq!(server.connections(), requests);
}

#[test]
fn gc_forgets_what_nobody_goes_by_any_more() {
    let server = serve("demo", &[wheel("demo", "1.0", 1)]);
    let env = with_remote(&server, &[]);
    env.ok(["lookup", "demo"]);
    for number in 0..5 {
        missed(&env, &[&format!("nosuch{number}")]);
    }
    let rows = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        manifest(&env).query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let insert = |sql: &str| assert_eq!(manifest(&env).execute(sql, []).unwrap(), 1, "{sql}");
    insert("INSERT INTO remote_metadata SELECT id, zeroblob(32), zeroblob(32), 5, x'00' FROM remote");
    insert("INSERT INTO remote_failure SELECT id, 'old', 5, 'gone', 'passing' FROM remote");
    insert("INSERT INTO want VALUES('shared', 'old', 1, 5, 5)");
    assert_eq!((rows("remote_page"), rows("remote_first_seen")), (6, 1));
    env.ok(["gc"]);
    assert_eq!(rows("remote_page"), 6, "what was said just now stands");
    assert_eq!((rows("remote_metadata"), rows("remote_failure"), rows("want")), (0, 0, 0));
    env.ok(["gc", "--grace", "0"]);
    assert_eq!((rows("remote_page"), rows("remote_first_seen")), (1, 1));
    age(&env, 29 * 86_400);
    env.ok(["gc"]);
    assert_eq!(rows("remote_page"), 1);
    age(&env, 2 * 86_400);
    env.ok(["gc"]);
    assert_eq!((rows("remote_page"), rows("remote_first_seen")), (0, 1));
}
