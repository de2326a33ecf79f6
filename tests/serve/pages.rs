//! Index pages as they go over the wire: paths, negotiation, codings, caching (INDEX.md A, B, C, D, E).

use crate::site::{
    BROWSER, FROMAGER, HTML, HTML_V1, JSON, PIP, POETRY, Site, UV, add, file_path, sha256, shared, wheels,
};
use crate::support::{Env, Heard, Sdist, WcasServer, Wheel};
use flate2::read::GzDecoder;
use std::io::Read as _;

/// Returns the start tags `<a …>` of a page with the texts that follow.
fn anchors(page: &str) -> Vec<(String, String)> {
    let cut = |part: &str| {
        let (tag, rest) = part.split_once('>').expect("a tag ends");
        (tag.to_owned(), rest.split_once("</a>").expect("an anchor ends").0.to_owned())
    };
    page.split("<a ").skip(1).map(cut).collect()
}

/// Returns an attribute's value as it is written.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split_once(&format!("{name}=\""))?.1.split_once('"').map(|(value, _)| value)
}

fn page(site: &Site, path: &str) -> String {
    let heard = site.server.ask("GET", path, &[("Accept", "text/html")]);
    assert_eq!(heard.status, 200, "{heard}");
    heard.text()
}

#[test]
fn a1_a2_each_page_has_one_url_and_the_others_lead_to_it() {
    let site = shared();
    for (path, to) in [
        ("/cuda", "cuda/"),
        ("/cuda/simple", "simple/"),
        ("/cuda/simple/demo-app", "demo-app/"),
        ("/cuda/simple/Demo_App/", "../demo-app/"),
        ("/cuda/simple/demo..app/", "../demo-app/"),
        ("/cuda/simple/demo__App", "demo-app/"),
    ] {
        for method in ["GET", "HEAD"] {
            let heard = site.server.ask(method, path, &[("Accept", PIP)]);
            assert!(matches!(heard.status, 301 | 308), "{path}: {heard}");
            let at = url::Url::parse(&site.server.url(path)).unwrap();
            let target = at.join(heard.header("location")).unwrap();
            assert_eq!(target, at.join(to).unwrap(), "{path}");
            assert_eq!(site.server.get(target.path()).status, 200, "{path}");
        }
    }
    for name in
        ["d%C3%A9mo", "-demo", "demo-", "demo%20app", "demo%00", "%64emo%2Fapp", "demo%", "..%2f", "%2e%2e", "a%5cb"]
    {
        assert_eq!(site.server.get(&format!("/cuda/simple/{name}/")).status, 404, "{name}");
    }
}

#[test]
fn a1_b9_links_hold_behind_a_prefix() {
    let env = Env::new();
    add(&env, "cuda", &wheels());
    let site = Site::of(env, &["--base-path", "/deep/wheels"]);
    // A proxy may leave the prefix or take it away.
    let origin = site.server.url("").replace("/deep/wheels", "");
    for prefix in ["", "/deep/wheels"] {
        let at = url::Url::parse(&format!("{origin}{prefix}/cuda/simple/demo-app/")).unwrap();
        let body = site.server.json(at.path());
        let link = at.join(body["files"][0]["url"].as_str().unwrap()).unwrap();
        assert!(link.path().starts_with(&format!("{prefix}/files/")), "{link}");
        assert_eq!(site.server.get(link.path()).status, 200, "{link}");
        let moved = site.server.get(&format!("{prefix}/cuda/simple/Demo.App"));
        assert_eq!(moved.status, 301, "{moved}");
        let to = at.join("../Demo.App").unwrap().join(moved.header("location")).unwrap();
        assert_eq!(to.path(), format!("{prefix}/cuda/simple/demo-app/"));
        for page in ["/", "/cuda/", "/cuda/projects/demo-app/", "/_/history/", "/cuda@0...1/", "/none/"] {
            let at = url::Url::parse(&format!("{origin}{prefix}{page}")).unwrap();
            let heard = site.server.ask("GET", at.path(), &[("Accept", "text/html")]);
            let text = heard.text();
            let href = text.split("href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
            let icon = at.join(href).unwrap();
            assert!(icon.path().starts_with(&format!("{prefix}/-/icon-")), "{at} leads to {icon}");
        }
    }
    site.end();
}

#[test]
fn a3_a4_a5_a6_a7_a8_a9_html_pages_have_one_anchor_a_file_and_nothing_that_confuses() {
    let site = shared();
    let root = page(&site, "/cuda/simple/");
    assert!(root.starts_with("<!DOCTYPE html>"), "{root}");
    let names: Vec<String> = anchors(&root).into_iter().map(|(_, text)| text).collect();
    assert_eq!(names, ["demo-app", "demo-lib", "demo-native", "demo-odd"]);
    for (project, count) in [("demo-app", 4), ("demo-lib", 6), ("demo-native", 3), ("demo-odd", 1)] {
        let html = page(&site, &format!("/cuda/simple/{project}/"));
        assert!(html.starts_with("<!DOCTYPE html>") && !html.contains("<base"), "{html}");
        assert!(!html.contains("gpg"), "nothing is signed: {html}");
        let found = anchors(&html);
        assert_eq!(found.len(), count, "{html}");
        for (tag, text) in found {
            let href = attribute(&tag, "href").unwrap();
            let (url, fragment) = href.split_once('#').unwrap();
            let segment = url.rsplit('/').next().unwrap();
            assert_eq!(segment, text, "the last segment is the filename, a plus is literal");
            let digest = fragment.strip_prefix("sha256=").unwrap();
            assert!(digest.len() == 64 && url.contains(digest), "{href}");
            let path = format!("/files/{}", url.split_once("files/").unwrap().1);
            let bytes = site.server.get(&path).body;
            assert_eq!(sha256(&bytes), digest, "{href}");
        }
    }
    let html = page(&site, "/cuda/simple/demo-lib/");
    assert!(html.contains(r#"data-requires-python="&gt;=3.8""#), "{html}");
    let odd = page(&site, "/cuda/simple/demo-odd/");
    let (tag, _) = anchors(&odd).remove(0);
    let value = attribute(&tag, "data-requires-python").unwrap();
    assert!(!value.contains(['<', '>']) && value.contains("&lt;"), "{value}");
    // Verbatim, though no specifier.
    assert_eq!(site.server.json("/cuda/simple/demo-odd/")["files"][0]["requires-python"], ">=3.7,'<&\"");
}

#[test]
fn a10_head_is_everywhere_and_what_there_is_not_is_404_in_each_form() {
    let site = shared();
    let wheel = &wheels()[0];
    let file = file_path(&wheel.filename(), &wheel.bytes());
    for path in [
        "/",
        "/cuda/",
        "/cuda/projects/demo-app/",
        "/cuda/simple/",
        "/cuda/simple/demo-app/",
        "/healthz",
        "/metrics",
        &file,
    ] {
        let mut connection = site.server.connect();
        let get = connection.ask("GET", path, &[]);
        assert!(get.status == 200 && get.is_whole, "{path}: {get}");
        let head = connection.ask("HEAD", path, &[]);
        assert_eq!((head.status, head.header("content-type")), (200, get.header("content-type")), "{path}");
        if path != "/metrics" {
            assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        }
        // The connection goes on: HEAD had no body.
        assert_eq!(connection.ask("GET", "/healthz", &[]).status, 200, "{path}");
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
            let heard = site.server.ask(method, path, &[]);
            assert_eq!(heard.status, 405, "{method} {path}: {heard}");
            assert!(heard.header("allow").contains("GET, HEAD"), "{heard}");
        }
    }
    for path in ["/cuda/simple/absent/", "/absent/simple/", "/absent/simple/demo-app/", "/cuda@999/simple/"] {
        for accept in [PIP, UV, BROWSER, "*/*"] {
            for method in ["GET", "HEAD"] {
                assert_eq!(site.server.ask(method, path, &[("Accept", accept)]).status, 404, "{path} {accept}");
            }
        }
    }
}

#[test]
fn b1_b2_b3_b4_the_form_is_what_the_client_asks_for() {
    let site = shared();
    let none = "\u{0}";
    for (accept, wanted) in [
        (PIP, JSON),
        (UV, JSON),
        (POETRY, JSON),
        (FROMAGER, JSON),
        (BROWSER, HTML),
        ("*/*", HTML),
        ("", HTML),
        (none, HTML),
        ("text/html", HTML),
        (HTML_V1, HTML_V1),
        ("application/vnd.pypi.simple.latest+json", JSON),
        ("application/vnd.pypi.simple.latest+html", HTML_V1),
        ("application/vnd.pypi.simple.v1+json;q=0, */*", HTML),
        ("text/html;q=0, */*;q=0.1", JSON),
        ("APPLICATION/VND.PYPI.SIMPLE.V1+JSON", JSON),
        ("text/html;q=0.5, application/vnd.pypi.simple.v1+json;q=0.4", HTML),
        ("image/png", ""),
        ("application/json", ""),
        ("application/vnd.pypi.simple.v2+json", ""),
        ("*/*;q=0", ""),
    ] {
        for path in ["/cuda/simple/", "/cuda/simple/demo-app/"] {
            let headers = [("Accept", accept)];
            let heard = site.server.ask("GET", path, if accept == none { &[] } else { &headers });
            if wanted.is_empty() {
                assert_eq!(heard.status, 406, "{accept}: {heard}");
                continue;
            }
            assert_eq!((heard.status, heard.header("content-type")), (200, wanted), "{accept}");
            assert_eq!(heard.header("vary"), "Accept, Accept-Encoding");
        }
    }
    for (query, wanted) in [
        ("?format=application/vnd.pypi.simple.v1+json", JSON),
        ("?format=application%2Fvnd.pypi.simple.v1%2Bhtml", HTML_V1),
        ("?format=text/html", HTML),
    ] {
        let heard = site.server.ask("GET", &format!("/cuda/simple/demo-app/{query}"), &[("Accept", "image/png")]);
        assert_eq!(heard.header("content-type"), wanted, "{query}: {heard}");
    }
}

#[test]
fn b3_codings_and_forms_have_tags_of_their_own_and_the_same_text() {
    let site = shared();
    let mut tags = std::collections::HashMap::new();
    for accept in [JSON, HTML_V1, "text/html"] {
        let plain = site.server.ask("GET", "/cuda/simple/demo-app/", &[("Accept", accept)]).body;
        for (coding, wanted) in [
            ("identity", ""),
            ("gzip, deflate", "gzip"),
            ("gzip, deflate, zstd", "zstd"),
            ("zstd, gzip, deflate", "zstd"),
            ("gzip;q=0, zstd;q=0", ""),
            ("br", ""),
        ] {
            let headers = [("Accept", accept), ("Accept-Encoding", coding)];
            let heard = site.server.ask("GET", "/cuda/simple/demo-app/", &headers);
            assert_eq!(heard.header("content-encoding"), wanted, "{coding}: {}", heard.status);
            assert_eq!(heard.header("content-length"), heard.body.len().to_string());
            let text = match wanted {
                "gzip" => {
                    let mut text = Vec::new();
                    GzDecoder::new(&heard.body[..]).read_to_end(&mut text).unwrap();
                    text
                }
                "zstd" => zstd::decode_all(&heard.body[..]).unwrap(),
                _ => heard.body.clone(),
            };
            assert_eq!(text, plain, "{accept} {coding}");
            let etag = heard.header("etag").to_owned();
            assert!(etag.starts_with('"'), "a strong tag: {etag}");
            tags.entry(etag.clone()).or_insert((accept, wanted));
            assert_eq!(tags[&etag], (accept, wanted), "one tag for two forms");
            let again = site.server.ask(
                "GET",
                "/cuda/simple/demo-app/",
                &[&headers[..], &[("If-None-Match", &etag), ("Cache-Control", "no-cache")]].concat(),
            );
            assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, &*etag), "{again}");
            assert_eq!(again.header("vary"), "Accept, Accept-Encoding");
            assert_eq!(again.header("cache-control"), "max-age=0, must-revalidate");
        }
    }
}

#[test]
fn b5_b6_b7_b8_b10_c1_d2_json_has_what_is_known_and_never_null() {
    let site = shared();
    let root = site.server.json("/cuda/simple/");
    let names: Vec<_> = root["projects"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["demo-app", "demo-lib", "demo-native", "demo-odd"]);
    for project in names {
        let heard = site.server.ask("GET", &format!("/cuda/simple/{project}/"), &[("Accept", JSON)]);
        assert!(!heard.text().contains("null") && !heard.text().contains("dist-info-metadata"), "{heard}");
        assert!(heard.header("x-pypi-last-serial").parse::<u64>().unwrap() > 0);
        let body: serde_json::Value = serde_json::from_slice(&heard.body).unwrap();
        assert_eq!((&body["meta"]["api-version"], &body["name"]), (&"1.4".into(), &project.into()));
        assert_eq!(body["meta"]["_last-serial"].to_string(), heard.header("x-pypi-last-serial"));
        let versions: Vec<&str> =
            body["versions"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        for file in body["files"].as_array().unwrap() {
            let name = file["filename"].as_str().unwrap();
            assert!(versions.iter().any(|version| name.contains(&format!("-{version}"))), "{name} {versions:?}");
            let hashes: Vec<_> = file["hashes"].as_object().unwrap().keys().collect();
            assert_eq!(hashes, ["sha256"], "pip knows hashlib's names only");
            assert!(file["size"].as_u64().unwrap() > 0);
            let time = file["upload-time"].as_str().unwrap();
            assert!(time.len() >= 20 && &time[10..11] == "T" && time.ends_with('Z'), "{time}");
            if file["filename"].as_str().unwrap().ends_with(".whl") {
                assert!(file["core-metadata"]["sha256"].is_string(), "{file}");
            }
        }
    }
}

#[test]
fn d1_d2_d3_sidecars_are_the_wheels_own_metadata() {
    let site = shared();
    let html = page(&site, "/cuda/simple/demo-app/");
    for (tag, _) in anchors(&html) {
        let equal = attribute(&tag, "data-core-metadata") == attribute(&tag, "data-dist-info-metadata");
        assert!(equal, "{tag}");
    }
    for wheel in &wheels()[..3] {
        let body = site.server.json("/cuda/simple/demo-app/");
        let row = body["files"].as_array().unwrap().iter().find(|file| file["filename"] == wheel.filename()).unwrap();
        let path = format!("{}.metadata", file_path(&wheel.filename(), &wheel.bytes()));
        let heard = site.server.get(&path);
        assert_eq!(sha256(&heard.body), row["core-metadata"]["sha256"].as_str().unwrap());
        assert!(heard.text().starts_with("Metadata-Version:"), "{heard}");
        assert_eq!(heard.header("cache-control"), "max-age=31536000, immutable");
        for (coding, wanted) in [("zstd, gzip, deflate", "zstd"), ("identity", "")] {
            let coded = site.server.ask("GET", &path, &[("Accept-Encoding", coding)]);
            // A few bytes are not worth a coding.
            assert!([wanted, ""].contains(&coded.header("content-encoding")), "{coded}");
            let text = if coded.header("content-encoding").is_empty() {
                coded.body
            } else {
                zstd::decode_all(&coded.body[..]).unwrap()
            };
            assert_eq!(text, heard.body);
        }
    }
}

#[test]
fn e1_e2_e3_yanks_and_statuses_are_shown_at_once_and_taken_back() {
    let env = Env::new();
    add(&env, "cuda", &wheels());
    add(&env, "rocm", &wheels());
    let site = Site::of(env, &[]);
    let row = |collection: &str| -> serde_json::Value {
        let body = site.server.json(&format!("/{collection}/simple/demo-lib/"));
        let rows = body["files"].as_array().unwrap().clone();
        rows.into_iter().find(|file| file["filename"].as_str().unwrap().starts_with("demo_lib-2.5")).unwrap()
    };
    assert!(row("cuda").get("yanked").is_none_or(|yanked| yanked == false), "{}", row("cuda"));
    site.env.ok(["yank", "demo-lib==2.5", "--reason", "broke <b>", "--collection", "cuda"]);
    assert_eq!(row("cuda")["yanked"], "broke <b>");
    assert!(page(&site, "/cuda/simple/demo-lib/").contains(r#"data-yanked="broke &lt;b&gt;""#));
    assert!(row("rocm").get("yanked").is_none_or(|yanked| yanked == false), "a yank is the collection's own");
    site.env.ok(["unyank", "demo-lib==2.5", "--collection", "cuda"]);
    assert!(row("cuda").get("yanked").is_none_or(|yanked| yanked == false));
    let wheel = &wheels()[3];
    let file = file_path(&wheel.filename(), &wheel.bytes());
    for (status, files) in [("deprecated", 5), ("archived", 5), ("quarantined", 0), ("active", 5)] {
        for collection in ["cuda", "rocm"] {
            site.env.ok(["collection", "status", collection, "demo-lib", status, "--reason", "so it is"]);
        }
        let body = site.server.json("/cuda/simple/demo-lib/");
        assert_eq!(body["files"].as_array().unwrap().len(), files, "{body}");
        let html = page(&site, "/cuda/simple/demo-lib/");
        if status != "active" {
            assert_eq!(
                (&body["project-status"]["status"], &body["project-status"]["reason"]),
                (&status.into(), &"so it is".into())
            );
            assert!(html.contains("pypi:project-status") && html.contains(status), "{html}");
        }
        let wanted = if files == 0 { 404 } else { 200 };
        assert_eq!(site.server.get(&file).status, wanted, "{status}");
        assert_eq!(site.server.get(&format!("{file}.metadata")).status, wanted, "{status}");
    }
    site.end();
}

#[test]
fn h1_h3_h4_every_distribution_is_listed_whatever_its_tags() {
    let site = shared();
    let names = |project: &str| -> Vec<String> {
        let body = site.server.json(&format!("/cuda/simple/{project}/"));
        body["files"].as_array().unwrap().iter().map(|file| file["filename"].as_str().unwrap().to_owned()).collect()
    };
    let mut native = names("demo-native");
    native.sort_unstable();
    assert_eq!(
        native,
        [
            "demo_native-1.0-10-py3-none-any.whl",
            "demo_native-1.0-2-py3-none-any.whl",
            "demo_native-1.0-cp39-abi9-haiku_3_vax.whl"
        ]
    );
    assert!(names("demo-lib").contains(&Sdist::new("demo-lib", "0.1").filename()));
}

#[test]
fn h5_one_filename_has_other_bytes_in_another_collection() {
    let site = shared();
    let link = |collection: &str| -> (String, Heard) {
        let body = site.server.json(&format!("/{collection}/simple/demo-app/"));
        let rows = body["files"].as_array().unwrap();
        let row = rows.iter().find(|file| file["filename"] == "demo_app-1.0-py3-none-any.whl").unwrap();
        let at = url::Url::parse(&site.server.url(&format!("/{collection}/simple/demo-app/"))).unwrap();
        let url = at.join(row["url"].as_str().unwrap()).unwrap();
        let heard = site.server.get(url.path());
        assert_eq!(sha256(&heard.body), row["hashes"]["sha256"].as_str().unwrap());
        (url.to_string(), heard)
    };
    let (cuda, rocm) = (link("cuda"), link("rocm"));
    assert_ne!(cuda.0, rocm.0);
    assert_ne!(cuda.1.body, rocm.1.body);
    assert_ne!(cuda.1.header("etag"), rocm.1.header("etag"));
}

#[test]
fn b10_what_a_page_shows_is_new_at_once_and_a_revision_stays_as_it_was() {
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("demo-lib", "1.0")]);
    let site = Site::of(env, &[]);
    let ask = |path: &str, etag: &str| site.server.ask("GET", path, &[("Accept", JSON), ("If-None-Match", etag)]);
    let mut serial = 0;
    let mut etag = String::new();
    for minor in 1..6 {
        let heard = ask("/cuda/simple/demo-lib/", &etag);
        assert_eq!(heard.status, 200, "{heard}");
        assert_eq!(heard.text().matches("\"filename\"").count(), minor);
        let own: i64 = heard.header("x-pypi-last-serial").parse().unwrap();
        assert!(own > serial, "it only grows");
        (serial, etag) = (own, heard.header("etag").to_owned());
        assert_eq!(ask("/cuda/simple/demo-lib/", &etag).status, 304);
        site.add("cuda", &[Wheel::new("demo-lib", &format!("1.{minor}"))]);
    }
    let old = ask("/cuda@1/simple/demo-lib/", "");
    assert_eq!(old.text().matches("\"filename\"").count(), 1, "{old}");
    assert_eq!(old.header("cache-control"), "max-age=86400");
    // Its files, too: not what has the name now.
    let [then, now] = [1, 2].map(|seed| Wheel::new("other-lib", "1.0").payload(100, seed));
    site.add("cuda", std::slice::from_ref(&then));
    let before = site.server.get("/cuda/simple/other-lib/").header("x-pypi-last-serial").to_owned();
    site.add("cuda", std::slice::from_ref(&now));
    for (wheel, is_there) in [(&then, true), (&now, false)] {
        let heard = site.server.get(&format!("/cuda@{before}{}", file_path(&wheel.filename(), &wheel.bytes())));
        assert_eq!((heard.status == 200, heard.body == wheel.bytes()), (is_there, is_there), "{heard}");
    }
    site.env.ok(["invalidate", "other-lib", "--collection", "cuda"]);
    // The list of projects, too, with those that came or went since.
    site.add("cuda", &[Wheel::new("late", "1.0")]);
    site.env.ok(["invalidate", "demo-lib", "--collection", "cuda"]);
    let names = |path: &str| -> Vec<String> {
        let root = site.server.json(path);
        root["projects"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((names("/cuda@1/simple/"), names("/cuda/simple/")), (vec!["demo-lib".into()], vec!["late".into()]));
    site.end();
}

#[test]
fn f1_provenance_is_the_remotes_where_it_is_secure() {
    let server = crate::support::Server::start();
    let (plain, vouched) = (Wheel::new("demo", "1.0"), Wheel::new("demo", "2.0"));
    let row = |wheel: &Wheel, provenance: &str| {
        let (name, digest) = (wheel.filename(), sha256(&wheel.bytes()));
        serde_json::json!({"filename": name, "url": format!("/files/{name}"), "hashes": {"sha256": digest},
            "upload-time": "2024-05-06T07:08:09.123456Z", "provenance": provenance})
    };
    let secure = "https://index.example/integrity/demo/2.0/provenance";
    let files = [row(&plain, "http://index.example/integrity/demo/1.0/provenance"), row(&vouched, secure)];
    let page =
        serde_json::json!({"meta": {"api-version": "1.3"}, "name": "demo", "versions": ["1.0", "2.0"], "files": files});
    server.route("/simple/demo/", crate::support::Reply::json(page.to_string()));
    for wheel in [&plain, &vouched] {
        server.route(&format!("/files/{}", wheel.filename()), crate::support::Reply::file(wheel.bytes()));
    }
    let env = Env::new();
    env.ok(["remote", "add", "up", &server.url("/simple/"), "--collection", "cuda"]);
    let site = Site::of(env, &[]);
    // Before the files were taken, and after.
    for turn in 0..2 {
        let body = site.server.json("/cuda/simple/demo/");
        let rows = body["files"].as_array().unwrap();
        assert_eq!(rows.len(), 2, "{turn}: {body}");
        assert!(rows[0].get("provenance").is_none(), "{turn}: {body}");
        assert_eq!(rows[1]["provenance"], secure, "{turn}: {body}");
        // C2: the time is the remote's, not that of our fetch.
        assert!(
            rows.iter().all(|row| row["upload-time"].as_str().unwrap().starts_with("2024-05-06T07:08:09")),
            "{body}"
        );
        for wheel in [&plain, &vouched] {
            assert_eq!(site.server.get(&file_path(&wheel.filename(), &wheel.bytes())).status, 200, "{turn}");
        }
    }
    site.end();
}

#[test]
fn c3_files_of_a_remote_that_tells_no_time_have_the_one_since_which_they_are_known() {
    let old = Wheel::new("demo-untimed", "1.0");
    let remote = crate::support::Server::start();
    let link = remote.wheel(&old.filename(), &old.bytes());
    let page = crate::support::Reply::html(link.clone()).last_modified("Mon, 01 Jan 2024 00:00:00 GMT");
    remote.route("/simple/demo-untimed/", page);
    let env = Env::new();
    env.ok(["remote", "add", "up", &remote.url("/simple/"), "--collection", "cuda"]);
    let site = Site::of(env, &[]);
    let file = |site: &Site| site.server.json("/cuda/simple/demo-untimed/")["files"][0].clone();
    let seen = file(&site);
    assert_eq!(
        (&seen["upload-time"], &seen["_upload-time-source"]),
        (&"2024-01-01T00:00:00Z".into(), &"first-seen".into())
    );
    let html = site.server.ask("GET", "/cuda/simple/demo-untimed/", &[("Accept", "text/html")]).text();
    assert!(html.contains("data-upload-time=\"2024-01-01T00:00:00Z\""), "{html}");
    // It stays when the file has been pulled, and where the server is another process.
    assert_eq!(site.server.get(&file_path(&old.filename(), &old.bytes())).status, 200);
    assert_eq!(file(&site)["upload-time"], "2024-01-01T00:00:00Z");
    let site = Site::of(site.end(), &[]);
    assert_eq!(file(&site)["upload-time"], "2024-01-01T00:00:00Z");
    site.end();
}

#[test]
fn the_highest_build_of_a_version_is_listed_first() {
    let env = Env::new();
    let builds = [None, Some("1"), Some("2"), Some("10"), Some("2_b")];
    let wheels: Vec<Wheel> = builds
        .iter()
        .zip(1..)
        .map(|(build, seed)| {
            let wheel = Wheel::new("demo", "1.0").payload(10, seed);
            build.map_or(wheel.clone(), |build| wheel.build(build))
        })
        .chain([Wheel::new("demo", "0.9"), Wheel::new("demo", "2.0")])
        .collect();
    add(&env, "cuda", &wheels);
    let site = Site::of(env, &[]);
    let names: Vec<String> = site.server.json("/cuda/simple/demo/")["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["filename"].as_str().unwrap().replace("-py3-none-any.whl", ""))
        .collect();
    assert_eq!(names, ["demo-0.9", "demo-1.0-10", "demo-1.0-2_b", "demo-1.0-2", "demo-1.0-1", "demo-1.0", "demo-2.0"]);
    let tree = site.env.path("tree");
    site.env.ok(["view", "--collection", "cuda", "--to", tree.to_str().unwrap()]);
    let page = std::fs::read_to_string(tree.join("simple/demo/index.html")).unwrap();
    let at = |name: &str| page.find(&format!("{name}-py3-none-any.whl\"")).or_else(|| page.find(name)).unwrap();
    assert!(at("demo-1.0-10") < at("demo-1.0-2") && at("demo-1.0-2") < at("demo-1.0-1-"), "{page}");
    site.end();
}

#[test]
fn several_slashes_are_one() {
    let site = shared();
    for path in ["//cuda/simple/demo-lib/", "/cuda//simple//demo-lib/", "/cuda/simple/demo-lib//", "/cuda///simple/"] {
        let heard = site.server.get(path);
        assert_eq!(heard.status, 200, "{path}: {heard}");
    }
    assert_eq!(site.server.get("//").status, 200);
    assert_eq!(site.server.get("/cuda//nothing/here").status, 404);
}

#[test]
fn a_mirror_finds_serials_documents_and_files() {
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("demo", "1.0").requires_python(">=3.8"), Wheel::new("other", "1.0")]);
    add(&env, "cuda", &[Wheel::new("demo", "2.0").build("3")]);
    env.ok(["yank", "demo==2.0", "--reason", "broken", "--collection", "cuda"]);
    let site = Site::of(env, &[]);
    let root = site.server.json("/cuda/simple/");
    let serials: Vec<_> =
        root["projects"].as_array().unwrap().iter().map(|row| (&row["name"], &row["_last-serial"])).collect();
    assert_eq!(serials, [(&"demo".into(), &3.into()), (&"other".into(), &1.into())], "{root}");
    let heard = site.server.get("/cuda/pypi/demo/json");
    assert_eq!((heard.status, heard.header("x-pypi-last-serial")), (200, "3"));
    let document: serde_json::Value = serde_json::from_str(&heard.text()).unwrap();
    assert_eq!((&document["info"]["version"], &document["last_serial"]), (&"2.0".into(), &3.into()));
    assert_eq!((&document["info"]["yanked"], &document["info"]["yanked_reason"]), (&true.into(), &"broken".into()));
    let file = &document["releases"]["2.0"][0];
    assert_eq!((&file["yanked"], &file["yanked_reason"]), (&true.into(), &"broken".into()));
    assert_eq!(document["releases"]["1.0"][0]["requires_python"], ">=3.8");
    for base in ["", "/cuda"] {
        let path = format!("{base}{}", file["url"].as_str().unwrap());
        let got = site.server.get(&path);
        assert_eq!((got.status, got.body.len() as u64), (200, file["size"].as_u64().unwrap()), "{path}");
        assert_eq!(sha256(&got.body), file["digests"]["sha256"].as_str().unwrap());
    }
    assert_eq!(site.server.get("/cuda/pypi/nothing/json").status, 404);
    let of_version = |path: &str| -> serde_json::Value { serde_json::from_str(&site.server.get(path).text()).unwrap() };
    let document = of_version("/cuda/pypi/demo/1.0/json");
    assert_eq!((&document["info"]["version"], &document["info"]["requires_python"]), (&"1.0".into(), &">=3.8".into()));
    assert_eq!((document["urls"].as_array().unwrap().len(), document.get("releases")), (1, None));
    assert_eq!(document, of_version("/cuda/pypi/Demo/1/json"), "the same version, spelled otherwise");
    for path in ["/cuda/pypi/demo/3.0/json", "/cuda/pypi/demo/x/json", "/cuda/pypi/nothing/1.0/json"] {
        assert_eq!(site.server.get(path).status, 404, "{path}");
    }
    site.end();
}

/// The most memory that a process had, in bytes (`proc_pid_status(5)`).
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells it");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

#[test]
fn pages_of_old_revisions_take_memory_for_what_they_show_and_not_for_all_there_is() {
    const FILES: u32 = 30_000;
    const PROJECTS: u32 = 300;
    let env = Env::new();
    add(&env, "big", &[Wheel::new("p0", "0")]);
    let manifest = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
    // Rows of a wheel that is there, many times over: what is in memory are rows.
    manifest
        .execute_batch(&format!(
            "CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {FILES}) SELECT i FROM n;
             INSERT INTO blob(blake3, sha256, size, created_at) SELECT randomblob(32), randomblob(32), i, 1 FROM n;
             INSERT INTO file(id, blake3, size, state) SELECT id, blake3, size, 'live' FROM blob WHERE created_at = 1;
             INSERT INTO distribution(blob_id, filename, kind, project, version, tags)
                 SELECT b.id, printf('p%d-%d-py3-none-any.whl', b.size % {PROJECTS}, b.size), 'wheel', printf('p%d', b.size % {PROJECTS}),
                        b.size, 'py3-none-any' FROM blob b WHERE b.created_at = 1;
             INSERT INTO entry(collection_id, filename, blob_id, added, uploaded_at)
                 SELECT 1, d.filename, d.blob_id, 1, 1 FROM distribution d JOIN blob b ON b.id = d.blob_id WHERE b.created_at = 1;"
        ))
        .unwrap();
    drop(manifest);
    for number in 0..12 {
        add(&env, "big", &[Wheel::new("later", &number.to_string())]);
    }
    let server = WcasServer::start(&env, &[]);
    assert_eq!(server.get("/big@1/simple/p7/").status, 200);
    let before = peak(server.pid());
    let server = &server;
    let ask_all = |path: &(dyn Fn(u32) -> String + Sync)| {
        std::thread::scope(|scope| {
            let asked: Vec<_> = (1..=12).map(|number| scope.spawn(move || server_get(server, &path(number)))).collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect::<Vec<_>>()
        })
    };
    let roots = ask_all(&|number| format!("/big@{number}/simple/"));
    let projects = ask_all(&|number| format!("/big@{number}/simple/p{number}/"));
    let grown = peak(server.pid()) - before;
    for (number, root) in (1..).zip(&roots) {
        assert_eq!(root.matches("\"name\"").count(), PROJECTS as usize + usize::from(number > 1), "{number}");
    }
    assert!(projects.iter().all(|page| page.matches("\"filename\"").count() == (FILES / PROJECTS) as usize));
    println!("twelve roots and twelve projects of {FILES} files: {} MiB more", grown >> 20);
    // Each handle on the manifest keeps 2 MiB of it; all rows of a revision would be 30 MiB, twelve times.
    assert!(grown < 48 << 20, "{} MiB", grown >> 20);
    // What is withheld by then is not among the names.
    env.ok(["collection", "status", "big", "p3", "quarantined"]);
    let root = server_get(server, "/big@1/simple/");
    assert!(!root.contains("\"p3\"") && root.contains("\"p30\""));
}

fn server_get(server: &WcasServer, path: &str) -> String {
    let heard = server.ask("GET", path, &[("Accept", PIP)]);
    assert_eq!(heard.status, 200, "{heard}");
    heard.text()
}
