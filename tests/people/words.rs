//! What pages say.

use crate::site::Site;
use crate::support::{Env, Got, Server as Upstream, Wheel};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use wcas::server::Anonymous;

/// Tells a page's text without its elements, in one line.
fn told(html: &str) -> String {
    let body = &html[html.find("<main").unwrap()..html.find("</main>").unwrap()];
    let mut text = String::new();
    for part in body.split('<') {
        let (element, rest) = part.split_once('>').unwrap_or(("", part));
        let is_inline = ["a", "b", "/a", "/b", "code", "/code", "time", "/time", "small", "/small"];
        let name = element.split_whitespace().next().unwrap_or("");
        text.push_str(if is_inline.contains(&name) { "" } else { " " });
        text.push_str(rest);
    }
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace("&quot;", "\"")
        .replace("&gt;", ">")
        .replace("&lt;", "<")
}

pub(crate) fn has(html: &str, wanted: &[&str]) {
    let text = told(html);
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
}

#[test]
fn the_first_page_tells_what_the_store_holds_and_how_it_does() {
    let site = Site::full();
    // numpy is in three collections and kept once.
    let home = site.page("/");
    has(
        &home,
        &["Saved by sharing", "Collections 3", "Variants beside them 1", "a variant without a collection of its own"],
    );
    has(&home, &["mirror ok", "broken not asked yet", "invalidate", "just now"]);
    has(&home, &["Found Not found Rate", "67 %"]);
    site.browse("/rocm/projects/none/");
    has(&site.page("/"), &["broken failing"]);
    let stats = site.env.json(["stats"]);
    let saved = stats["saved_bytes"].as_u64().unwrap();
    has(&home, &[&format!("{:.0} kB", saved as f64 / 1e3)]);
}

#[test]
fn a_change_by_another_process_is_on_the_next_page() {
    let site = Site::full();
    assert!(!site.page("/").contains("href=\"./fresh/\""));
    assert_eq!(site.browse("/fresh/").status, 404);
    Wheel::new("new", "1.0").write_to(site.env.path("new"));
    site.env.ok(["import", "new", "--collection", "fresh"]);
    assert!(site.page("/").contains("href=\"./fresh/\""));
    // A collection that is no variant serves what it has, and what it names.
    has(&site.page("/fresh/"), &["1 project", "at revision 1"]);
}

#[test]
fn a_collections_page_tells_its_order_and_settings_and_finds_projects() {
    let site = Site::full();
    let page = site.page("/cuda/");
    has(&page, &["is looked for in cuda, then shared", "index-url = https://wheels.example/cuda/simple/"]);
    has(&page, &["[[tool.uv.index]] name = \"cuda\"", "publish-url = \"https://wheels.example/cuda/legacy/\""]);
    has(
        &page,
        &[
            "[[tool.poetry.source]]",
            "fromager --variant cuda bootstrap",
            "repository = https://wheels.example/cuda/legacy/",
        ],
    );
    has(&page, &["Snapshots", "Recent revisions", "1 to 100", "Page 1 of 2"]);
    has(&site.page("/cuda/?page=2"), &["Page 2 of 2", "101 to"]);
    has(&site.page("/cuda/?page=18446744073709551615"), &["Page 2 of 2"]);
    has(&site.page("/cuda/?q=Plain_12"), &["10 of", "plain-129"]);
    has(&site.page("/cuda/?q=einops"), &["Ask the remotes for einops"]);
    has(&site.page("/cpu/"), &["A variant without a collection of its own"]);
    let at = site.page("/cuda@release/");
    has(&at, &["kept under this name", "index-url = https://wheels.example/cuda@release/simple/"]);
    assert!(!at.contains("legacy/"), "nothing is uploaded into a revision");
    let odd = site.ask("/cuda/", &[(HOST, "evil\"]"), (ACCEPT, "text/html")]).text().to_owned();
    assert!(odd.contains("https://THIS-SERVER/cuda/simple/") && !odd.contains("evil"));
}

#[test]
fn a_projects_page_tells_all_of_its_files() {
    let site = Site::full();
    let page = site.page("/cuda/projects/torch/");
    has(&page, &["Tensors and dynamic neural networks", "CPython 3.12, Linux x86-64 with glibc 2.28 or later"]);
    has(
        &page,
        &["Requires Python >=3.9", "Build 2", "building from source", "imported or uploaded into cuda", "901 kB"],
    );
    has(&page, &["pip install --index-url https://wheels.example/cuda/simple/ torch"]);
    let places: Vec<usize> =
        ["2.5.1+cu121</h2>", "2.5.1</h2>", "2.4.0+cu121</h2>"].map(|own| page.find(own).unwrap()).into();
    assert!(places.is_sorted(), "the newest first");
    has(&site.page("/cuda/projects/idna/"), &["Same bytes shared", "Other bytes rocm", "Python 3, any platform"]);
    has(&site.page("/cuda/projects/einops/"), &["the remote mirror, at 127.0.0.1", "Only at remotes yet 1"]);
    has(&site.page("/cuda/projects/closed/"), &["This project is quarantined. it steals keys", "Not listed here"]);
    let got = site.browse("/cuda/projects/gone/");
    assert_eq!(got.status, 404, "what was removed is no project any more");
}

#[test]
fn a_file_that_is_linked_can_be_had() {
    let site = Site::full();
    for (path, up) in [("/cuda/projects/torch/", "/files/"), ("/cuda@release/projects/torch/", "/cuda@release/files/")]
    {
        let page = site.page(path);
        let base = url::Url::parse(&format!("https://wheels.example{path}")).unwrap();
        let links: Vec<&str> = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let files: Vec<url::Url> =
            links.iter().filter(|link| link.contains("/files/")).map(|link| base.join(link).unwrap()).collect();
        assert_eq!(files.len(), 4, "{links:?}");
        for file in files {
            assert!(file.path().starts_with(up), "{file}");
            let peer = wcas::server::Peer { address: std::net::Ipv4Addr::LOCALHOST.into(), is_secure: true };
            let request = http::Request::builder().uri(file.path()).body(peer).unwrap();
            assert_eq!(site.server.respond(&request).status(), 200, "{file}");
        }
    }
}

#[test]
fn a_remote_that_is_down_is_not_a_project_that_is_not_there() {
    let site = Site::full();
    let got = site.browse("/rocm/projects/never/");
    assert_eq!((got.status, got.headers["retry-after"].to_str().unwrap()), (503, "30"), "{}", got.text());
    has(got.text(), &["The remote broken failed"]);
}

#[test]
fn what_is_not_there_is_a_page_for_browsers_and_a_line_for_others() {
    let site = Site::full();
    for path in ["/none/", "/cuda/projects/none-such/", "/cuda@999/", "/%00", "/a/b/c/d"] {
        let got = site.browse(path);
        assert_eq!(got.status, 404, "{path}");
        assert!(got.text().contains("<h1>Not found</h1>"), "{path}: {}", got.text());
        let got = site.ask(path, &[]);
        assert_eq!(
            (got.status, got.headers[CONTENT_TYPE].to_str().unwrap()),
            (404, "text/plain; charset=utf-8"),
            "{path}"
        );
    }
}

#[test]
fn who_may_not_read_a_collection_does_not_see_its_name() {
    let env = Env::new();
    for (name, seed) in [("open", 1), ("covert", 2)] {
        Wheel::new("demo", "1.0").payload(100, seed).write_to(env.path(name));
        env.ok(["import", name, "--collection", name]);
    }
    Wheel::new("other", "1.0").payload(100, 3).write_to(env.path("covert"));
    env.ok(["import", "covert", "--collection", "covert"]);
    env.ok(["collection", "set", "open", "--fallback", "covert"]);
    env.ok(["collection", "promote", "covert", "third", "other"]);
    env.ok(["remote", "add", "upstream", "https://index.example/simple/", "--collection", "covert"]);
    let token = env.json(["token", "create", "--collection", "open", "--scope", "read"]);
    let token = token["secret"].as_str().unwrap().to_owned();
    let site = Site::of(env, Upstream::start(), Anonymous::Nothing);
    let bearer = format!("Bearer {token}");
    assert_eq!(site.browse("/").status, 401);
    let pages = ["/", "/open/", "/open/projects/demo/", "/open/projects/other/", "/open@0...1/", "/open/changes.atom"];
    let sections = ["/_/remotes/", "/_/history/", "/_/wanted/", "/_/search/?q=demo", "/open/pypi/demo/json"];
    for path in pages.into_iter().chain(sections) {
        let got = site.ask(path, &[(AUTHORIZATION, &bearer)]);
        assert_eq!(got.status, 200, "{path}: {}", got.text());
        assert!(!got.text().contains("covert"), "{path}: {}", got.text());
    }
    for path in ["/covert/", "/covert@0...1/", "/covert/changes.atom", "/_/health/", "/metrics"] {
        assert_eq!(site.ask(path, &[(AUTHORIZATION, &bearer)]).status, 403, "{path}");
    }
    for path in ["/_/history/", "/_/remotes/", "/_/health/", "/open/changes.atom", "/open@0...1/"] {
        assert_eq!(site.browse(path).status, 401, "{path}");
    }
}

#[test]
fn the_pages_about_all_collections_tell_of_all() {
    let site = Site::full();
    has(&site.page("/_/remotes/"), &["mirror ok", "broken not asked yet", "Latency"]);
    let history = site.page("/_/history/");
    has(&history, &["invalidate gone", "snapshot release", "Sharing", "Growth, 90 days", "removed and there still"]);
    // numpy's bytes are in all three.
    has(&history, &["cuda rocm shared"]);
    has(&site.page("/_/history/?before=1"), &["There is nothing older.", "Newest"]);
    has(&site.page("/_/history/?before=x"), &["invalidate gone"]);
    has(&site.page("/_/wanted/"), &["Nothing is wanted."]);
    has(&site.page("/_/search/?q=torch"), &["torch", "cuda"]);
    has(&site.page("/_/search/?q=no-such"), &["Nothing is found"]);
    has(&site.page("/_/health/"), &["Bad blobs 0", "none that is known", "No collection has rules that drop files."]);
    site.env.ok(["collection", "set", "rocm", "--keep-versions", "1"]);
    has(&site.page("/_/health/"), &["rocm 0 0 B"]);
    let marked = |html: &str| html.matches("aria-current=\"page\"").count();
    assert_eq!(marked(&site.page("/_/health/")), 2, "in the bar and in the way back");
    assert!(site.page("/cuda/").contains("aria-current=\"true\">Collections"));
    for path in ["/_/none/", "/_/", "/_/remotes/x/"] {
        assert_eq!(site.browse(path).status, 404, "{path}");
    }
}

#[test]
fn two_revisions_are_compared_by_project() {
    let site = Site::full();
    for wheels in [[("idna", "3.10", 90), ("new", "1.0", 91)], [("new", "2.0", 92), ("idna", "3.10", 90)]] {
        let dir = format!("more-{}", wheels[0].0);
        for (name, version, seed) in wheels {
            Wheel::new(name, version).payload(5000, seed).write_to(site.env.path(&dir));
        }
        site.env.ok(["import", &dir, "--collection", "rocm", "--on-conflict", "replace"]);
    }
    site.env.ok(["invalidate", "numpy", "--collection", "rocm"]);
    let page = site.page("/rocm@2...5/");
    has(&page, &["idna changed 1 1", "new added 1.0, 2.0 0 2", "numpy removed 2.1.3 0 1", "other bytes idna-3.10"]);
    has(&site.page("/rocm@2...2/"), &["Nothing differs."]);
    has(&site.page("/rocm@5...2/"), &["new removed 1.0, 2.0"]);
    let json = |got: Got| serde_json::from_str::<serde_json::Value>(got.text()).unwrap();
    let by_query = json(site.browse("/rocm@2...5/?format=json"));
    assert_eq!(by_query, json(site.ask("/rocm@2...5/", &[(ACCEPT, "application/json")])));
    assert_eq!((&by_query["from"], &by_query["to"], &by_query["changed_files"]), (&2.into(), &5.into(), &4.into()));
    let idna = &by_query["projects"][0]["files"][0];
    assert_eq!((&idna["change"], &idna["version"]), (&"replaced".into(), &"3.10".into()));
    assert_ne!(idna["before"]["sha256"], idna["after"]["sha256"]);
    for path in ["/rocm@1...99/", "/rocm@x...1/", "/rocm@.../", "/rocm@1....2/", "/none@1...2/"] {
        assert_eq!(site.browse(path).status, 404, "{path}");
    }
    // What is in quarantine now is in no revision.
    site.env.ok(["collection", "status", "rocm", "new", "quarantined"]);
    assert!(!told(&site.page("/rocm@2...5/")).contains("new added"));
    // A snapshot may be called so.
    site.env.ok(["collection", "snapshot", "rocm@1", "2...5"]);
    has(&site.page("/rocm@2...5/"), &["kept under this name"]);
    assert!(site.page("/rocm/").contains("href=\"../rocm@4...5/\""));
}

#[test]
fn changes_are_told_as_a_feed() {
    let site = Site::full();
    let got = site.browse("/cuda/changes.atom");
    assert_eq!((got.status, got.headers[CONTENT_TYPE].to_str().unwrap()), (200, "application/atom+xml; charset=utf-8"));
    let text = got.text().to_owned();
    let count = |what: &str| text.matches(what).count();
    let entries = count("<entry>");
    assert!(entries > 5 && text.starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?>"), "{text}");
    for element in ["<id>urn:uuid:", "<updated>2", "<title>"] {
        assert_eq!(count(element), entries + 1, "{element}: {text}");
    }
    let ids: std::collections::BTreeSet<&str> =
        text.split("<id>").skip(1).map(|rest| rest.split("</id>").next().unwrap()).collect();
    assert_eq!(ids.len(), entries + 1, "no id twice");
    assert!(text.contains(
        "<link rel=\"self\" type=\"application/atom+xml\" href=\"https://wheels.example/cuda/changes.atom\"/>"
    ));
    assert!(text.contains("href=\"https://wheels.example/cuda@1...2/\"") && !text.contains("<script"), "{text}");
    let etag = got.headers["etag"].to_str().unwrap().to_owned();
    let asked = [(HOST, "wheels.example"), (ACCEPT, "*/*"), (http::header::IF_NONE_MATCH, etag.as_str())];
    assert_eq!(site.ask("/cuda/changes.atom", &asked).status, 304);
    assert!(site.page("/cuda/").contains(
        "<link rel=\"alternate\" type=\"application/atom+xml\" title=\"Changes of cuda\" href=\"./changes.atom\">"
    ));
    assert!(!site.page("/cuda@release/").contains("changes.atom"));
    for path in ["/none/changes.atom", "/cpu/changes.atom", "/cuda@1/changes.atom"] {
        assert_eq!(site.browse(path).status, 404, "{path}");
    }
}

#[test]
fn settings_keep_tokens_out_of_command_lines() {
    let env = Env::new();
    Wheel::new("demo", "1.0").write_to(env.path("in"));
    env.ok(["import", "in", "--collection", "cuda"]);
    let token = env.json(["token", "create", "--all", "--scope", "read"]);
    let bearer = format!("Bearer {}", token["secret"].as_str().unwrap());
    let site = Site::of(env, Upstream::start(), Anonymous::Nothing);
    let page = site.ask("/cuda/", &[(HOST, "wheels.example"), (AUTHORIZATION, &bearer)]).text().to_owned();
    has(
        &page,
        &["machine wheels.example login __token__ password TOKEN", "keyring set https://wheels.example/cuda/simple/"],
    );
    has(
        &page,
        &["[[tool.pdm.source]]", "- --index-url https://wheels.example/cuda/simple/", "--mount=type=secret,id=netrc"],
    );
    has(&page, &["WCAS_TOKEN: ${{ secrets.WCAS_TOKEN }}", "poetry config http-basic.cuda __token__"]);
    assert!(!page.contains("trusted-host") && !page.contains("verify_ssl"), "it is reached by TLS");
    for argument in ["--password", "-p TOKEN", "--token", ":TOKEN@", "__token__ TOKEN"] {
        assert!(!page.contains(argument), "{argument}");
    }
}

#[test]
fn a_project_that_is_not_there_is_told_with_those_that_may_be_meant() {
    let site = Site::full();
    let got = site.browse("/cuda/projects/atals/");
    assert_eq!(got.status, 404);
    has(got.text(), &["cuda has no project atals.", "Did you mean atlas?"]);
    assert!(got.text().contains("href=\"../atlas/\""), "{}", got.text());
    let far = site.browse("/cuda/projects/nothing-like-it/");
    assert!(far.status == 404 && !far.text().contains("Did you mean"), "{}", far.text());
}
