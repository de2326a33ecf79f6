//! Pages of every form, read by a lookup.

use crate::support::{Env, Reply, Sdist, Server};
use crate::{asked, assert_whole, below, found, missed, serve_page, wheel, with_remote};
use wcas::digest::Sha256;

const FILE: &str = "/files/demo-1.0-py3-none-any.whl";

fn digest(bytes: &[u8]) -> String {
    Sha256::of(bytes).to_string()
}

#[test]
fn m2_links_of_every_form_lead_to_the_file() {
    let bytes = wheel("demo", "1.0", 1).bytes();
    let digest = digest(&bytes);
    let name = "demo-1.0-py3-none-any.whl";
    let escaped = "demo%2D1.0-py3-none-any%2Ewhl";
    for page in [
        format!("<a href=\"../../files/{name}#sha256={digest}\">{name}</a>"),
        format!("<a href=\"/files/{name}#sha256={digest}\">{name}</a>"),
        format!("<a href=\"SERVER/files/{name}#sha256={digest}\">{name}</a>"),
        format!("<A HREF='SERVER/files/{name}#sha256={digest}' rel=internal data-x=\"a>b\">any text</A>"),
        format!("<a href=\"UPPER/files/{name}#sha256={digest}\">{name}</a>"),
        format!("<a href=\"/files/{name}#sha256={}\">{name}</a>", digest.to_uppercase()),
        format!("<a href=\"&#x2F;files&#47;{name}&num;sha256&equals;{digest}\">{name}</a>"),
        format!("<a href=\"/files/{escaped}#sha256={digest}\">{escaped}</a>"),
        format!("<base href=\"/files/\"><a href={name}#sha256={digest}>{name}</a>"),
        format!("<a\n  href =\n \" ../../files/{name}#sha256={digest} \"\n>"),
    ] {
        let server = serve_page(Reply::status(404), FILE, &bytes);
        server.route(&format!("/files/{escaped}"), Reply::file(bytes.as_slice()));
        let upper = server.url("").replace("http:", "HTTP:");
        let page = page.replace("SERVER", &server.url("")).replace("UPPER", &upper);
        server.route("/simple/demo/", Reply::html(page.as_str()));
        let env = with_remote(&server, &[]);
        let output = env.run(["lookup", "demo==1.0"]);
        assert_eq!(output.code, 0, "{page}: {output}");
        assert!(output.stdout.trim_end().ends_with(&format!("/{name}")), "{output}");
    }
}

#[test]
fn x8_html_and_json_pages_answer_alike_and_no_root_page_is_needed() {
    let bytes = wheel("demo", "1.0+cu126", 1).bytes();
    let (digest, size) = (digest(&bytes), bytes.len());
    let name = "demo-1.0+cu126-py3-none-any.whl";
    let url = "../../files/demo-1.0%2Bcu126-py3-none-any.whl";
    let json = serde_json::json!({
        "meta": {"api-version": "1.1"}, "name": "demo",
        "files": [{"filename": name, "url": url, "hashes": {"sha256": digest}, "size": size, "yanked": false}],
    });
    for page in [
        Reply::json(json.to_string()),
        Reply::json(json.to_string()).gzip().chunked(),
        Reply::bytes("text/plain", json.to_string()),
        Reply::html(format!("<a href=\"{url}#sha256={digest}\">{name}</a>")),
        Reply::bytes("application/vnd.pypi.simple.v1+html", format!("<a href=\"{url}#sha256={digest}\">{name}</a>")),
    ] {
        let server = serve_page(page, "/files/demo-1.0%2Bcu126-py3-none-any.whl", &bytes);
        let env = with_remote(&server, &[]);
        assert_eq!(found(&env, &["demo==1.0+cu126"]), (Some("mirror".to_owned()), "1.0+cu126".to_owned()));
        let accepted = server.requests()[0].header("Accept").unwrap().to_owned();
        assert!(accepted.starts_with("application/vnd.pypi.simple.v1+json"), "{accepted}");
        assert_eq!(asked(&server, "/simple/"), 0);
    }
}

#[test]
fn m3_names_that_would_leave_their_folder_are_left_out_and_others_are_not() {
    let bytes = wheel("demo", "1.0", 1).bytes();
    let digest = digest(&bytes);
    for evil in [
        "/files/..%2F..%2F..%2Fdemo-1.0-py3-none-any.whl",
        "/files/..%5C..%5Cdemo-1.0-py3-none-any.whl",
        "/files/%2Ftmp%2Fdemo-1.0-py3-none-any.whl",
        "/files/demo-1.0-py3-none-any.whl%00.txt",
        "/files/demo-1.0-..%2Fx-none-any.whl",
        "/files/.demo-1.0-py3-none-any.whl",
        "/files/demo-1.0-py3-none-any.whl%0A",
    ] {
        let server = serve_page(Reply::html(format!("<a href=\"{evil}#sha256={digest}\">x</a>")), evil, &bytes);
        let env = with_remote(&server, &[]);
        missed(&env, &["demo"]);
        assert_eq!(asked(&server, evil), 0, "{evil}");
        let own: Vec<_> =
            below(&env, "..").into_iter().filter(|path| path.extension().is_some_and(|end| end == "whl")).collect();
        assert!(own.is_empty(), "{evil}: {own:?}");
        assert_whole(&env);
    }
    // One bad name takes no good one with it.
    let good =
        format!("<a href=\"/files/..%2Fdemo-9.0-py3-none-any.whl\">x</a><a href=\"{FILE}#sha256={digest}\">y</a>");
    found(&with_remote(&serve_page(Reply::html(good), FILE, &bytes), &[]), &["demo"]);
}

#[test]
fn m3_what_was_yanked_is_had_by_its_very_version_only() {
    let bytes = wheel("demo", "1.0", 1).bytes();
    let page = format!("<a href=\"{FILE}#sha256={}\" data-yanked=\"broken &amp; sad\">x</a>", digest(&bytes));
    let server = serve_page(Reply::html(page), FILE, &bytes);
    let env = with_remote(&server, &[]);
    assert_eq!(missed(&env, &["demo"]), "mirror: demo-1.0-py3-none-any.whl: yanked\n");
    missed(&env, &["demo>=1"]);
    found(&env, &["demo==1.0"]);
    let show = env.json(["show", "demo"]);
    assert_eq!(show["distributions"][0]["yanked"]["shared"], "broken & sad", "{show}");
    assert_eq!(env.run(["lookup", "demo"]).code, 4, "here it is as yanked as there");
}

#[test]
fn m3_a_file_for_another_python_is_not_taken() {
    let bytes = wheel("demo", "1.0", 1).bytes();
    let digest = digest(&bytes);
    let page = format!("<a href=\"{FILE}#sha256={digest}\" data-requires-python=\"&gt;=3.10,&lt;3.13\">x</a>");
    let server = serve_page(Reply::html(page), FILE, &bytes);
    let env = with_remote(&server, &[]);
    for python in ["3.9", "3.13"] {
        let told = missed(&env, &["demo", "--python", python]);
        assert_eq!(told, "mirror: demo-1.0-py3-none-any.whl: requires Python >=3.10,<3.13\n");
    }
    assert_eq!(asked(&server, FILE), 0);
    found(&env, &["demo", "--python", "3.12"]);
}

#[test]
fn the_tags_of_a_wheel_decide_before_it_is_fetched() {
    let server = Server::start();
    let wheels: Vec<_> =
        ["cp311-cp311-manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-win_amd64"]
            .iter()
            .map(|tags| wheel("demo", "1.0", 1).tags(tags))
            .collect();
    crate::offer(&server, "demo", &wheels);
    let env = with_remote(&server, &[]);
    env.ok(["lookup", "demo", "--python", "3.12", "--platform", "manylinux_2_28_x86_64"]);
    assert_eq!(server.paths(), ["/simple/demo/", &format!("/files/{}", wheels[1].filename())]);
}

#[test]
fn a_source_distribution_is_had_by_its_filename_only() {
    let sdist = Sdist::new("demo", "1.0");
    let server = Server::start();
    let link = server.wheel(&sdist.filename(), &sdist.bytes());
    server.route("/simple/demo/", Reply::html(link));
    let env: Env = with_remote(&server, &[]);
    assert!(missed(&env, &["demo"]).contains("a source distribution"));
    found(&env, &["demo-1.0.tar.gz"]);
    assert_whole(&env);
}
