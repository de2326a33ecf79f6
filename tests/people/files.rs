//! What a file's page says.

use crate::site::Site;
use crate::support::{Env, Server as Upstream, Wheel};
use crate::words::has;
use http::header::AUTHORIZATION;
use wcas::server::Anonymous;

const FILE: &str = "/cuda/projects/atlas/atlas-2.0%2Bcu126-cp312-cp312-manylinux_2_28_x86_64.whl/";

#[test]
fn a_file_tells_what_is_in_it_and_how_it_came() {
    let site = Site::full();
    let page = site.page(FILE);
    has(
        &page,
        &["A file of atlas in cuda", "RECORD fits It names 7 files", "atlas/_C.so", "atlas-2.0+cu126.dist-info/RECORD"],
    );
    has(&page, &["What it is made of (SBOM):", "atlas-2.0+cu126.dist-info/sboms/atlas.cdx.json, 2 B"]);
    has(&page, &["Added", "import", "no signed revision names it", "requires cuda", "local version +cu126"]);
    has(&page, &["Requires-Dist: numpy>=2"]);
    let sdist = site.page("/cuda/projects/atlas/atlas-2.0.tar.gz/");
    has(&sdist, &["building from source", "atlas-2.0/PKG-INFO"]);
    assert!(!sdist.contains("RECORD"), "an sdist has none");
}

#[test]
fn a_file_that_the_view_does_not_list_has_no_page_there() {
    let site = Site::full();
    for path in [
        "/cuda/projects/atlas/none-1.0-py3-none-any.whl/",
        "/cuda/projects/torch/atlas-2.0.tar.gz/",
        "/cuda/projects/Atlas/atlas-2.0.tar.gz/",
        // Blocked, in quarantine, of another collection.
        "/cuda/projects/atlas/atlas-1.1-3-cp312-cp312-manylinux_2_28_x86_64.whl/",
        "/cuda/projects/closed/closed-1.0-py3-none-any.whl/",
        "/cuda/projects/atlas/atlas-2.1-cp312-cp312-musllinux_1_2_x86_64.whl/",
        // Of a later revision.
        &FILE.replace("/cuda/", "/cuda@release/"),
        "/none/projects/atlas/atlas-2.0.tar.gz/",
        "/cuda/projects/atlas/..%2Fx/",
    ] {
        assert_eq!(site.browse(path).status, 404, "{path}");
    }
    let moved = site.browse("/cuda/projects/atlas/atlas-2.0.tar.gz");
    assert_eq!((moved.status, moved.headers["location"].to_str().unwrap()), (301, "atlas-2.0.tar.gz/"));
}

#[test]
fn a_record_that_does_not_fit_is_told() {
    let env = Env::new();
    let record = "demo/gone.py,,5\ndemo/__init__.py,,1\n";
    Wheel::new("demo", "1.0").member("demo-1.0.dist-info/RECORD", record).write_to(env.path("in"));
    env.ok(["import", "in", "--collection", "cuda"]);
    let site = Site::of(env, Upstream::start(), Anonymous::Read);
    let page = site.page("/cuda/projects/demo/demo-1.0-py3-none-any.whl/");
    has(
        &page,
        &["RECORD does not fit.", "demo/gone.py: not in the archive", "demo-1.0.dist-info/METADATA: not in RECORD"],
    );
    has(&page, &["demo/__init__.py: 1 bytes in RECORD"]);
}

#[test]
fn a_page_about_a_file_asks_no_remote_and_reads_no_bytes_that_changed() {
    let site = Site::full();
    // No page of the remote is kept, so that nothing is known of its files.
    assert_eq!(site.browse("/cuda/projects/einops/einops-0.8.0-py3-none-any.whl/").status, 404);
    site.page("/cuda/projects/einops/");
    has(&site.page("/cuda/projects/einops/einops-0.8.0-py3-none-any.whl/"), &["Only a remote has it"]);
    let show = site.env.json(["show", "atlas-2.0.tar.gz", "--collection", "cuda"]);
    let text = show.to_string();
    let at = text.find("\"blake3\":\"").unwrap() + 10;
    let blake3 = &text[at..at + 64];
    let blob = site.env.store().join("blobs/b3").join(&blake3[..2]).join(blake3);
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, b"other bytes").unwrap();
    has(&site.page("/cuda/projects/atlas/atlas-2.0.tar.gz/"), &["Its bytes are not what they were"]);
}

#[test]
fn who_reads_one_view_hears_nothing_of_where_its_files_are() {
    let env = Env::new();
    for (name, seed) in [("open", 1), ("covert", 2)] {
        Wheel::new(&format!("demo-{name}"), "1.0").payload(100, seed).write_to(env.path(name));
        env.ok(["import", name, "--collection", name]);
    }
    env.ok(["collection", "set", "open", "--fallback", "covert"]);
    let token = env.json(["token", "create", "--collection", "open", "--scope", "read"]);
    let bearer = format!("Bearer {}", token["secret"].as_str().unwrap());
    let site = Site::of(env, Upstream::start(), Anonymous::Nothing);
    let path = "/open/projects/demo-covert/demo_covert-1.0-py3-none-any.whl/";
    assert_eq!(site.browse(path).status, 401);
    let got = site.ask(path, &[(AUTHORIZATION, &bearer)]);
    assert_eq!(got.status, 200, "{}", got.text());
    let text = got.text().replace("demo-covert", "").replace("demo_covert", "");
    assert!(!text.contains("covert") && text.contains("RECORD fits"), "{text}");
    assert_eq!(site.ask(&path.replace("/open/", "/covert/"), &[(AUTHORIZATION, &bearer)]).status, 403);
}
