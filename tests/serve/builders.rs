//! The index that others than fromager build from: `/{view}/build/simple/` has our own wheels and everybody's sources, and no wheel
//! that somebody else built. Real pip and uv build from it, and find their build requirements there.

use crate::clients::{Desk, interpreter};
use crate::site::{FROMAGER, Site, add};
use crate::support::{Env, Reply, Sdist, Server, Wheel};
use std::fs;

/// An upstream that offers a wheel and a source of each project.
fn upstream(projects: &[(&str, &str)]) -> Server {
    let server = Server::start();
    for (project, version) in projects {
        let (wheel, sdist) = (Wheel::new(project, version), Sdist::new(project, version));
        let links = server.wheel(&wheel.filename(), &wheel.bytes()) + &server.wheel(&sdist.filename(), &sdist.bytes());
        server.route(&format!("/simple/{project}/"), Reply::html(links));
    }
    server
}

fn site(upstream: &Server) -> Site {
    let env = Env::new();
    for name in ["shared", "cuda"] {
        env.ok(["collection", "create", name]);
    }
    env.ok(["collection", "set", "cuda", "--fallback", "shared"]);
    env.ok(["remote", "add", "upstream", &upstream.url("/simple/"), "--collection", "shared"]);
    Site::of(env, &[])
}

fn listed(site: &Site, project: &str) -> Vec<String> {
    site.server.ask("GET", &format!("/cuda/build/simple/{project}/"), &[("Accept", FROMAGER)]).files()
}

#[test]
fn wheels_are_ours_and_sources_are_everybodys() {
    let server = upstream(&[("lib", "2.0"), ("ours", "99.0"), ("torch", "3.0")]);
    let site = site(&server);
    assert_eq!(listed(&site, "lib"), ["lib-2.0.tar.gz"], "never a wheel that others built");
    // Built from upstream's source, and told so: newer sources are offered still.
    let built = Wheel::new("lib", "1.0").build("1").write_to(site.env.path("in"));
    let url = "https://index.example/lib-1.0.tar.gz";
    site.env.ok(["import", "--collection", "shared", "--source-url", url, built.to_str().unwrap()]);
    assert_eq!(listed(&site, "lib"), ["lib-1.0-1-py3-none-any.whl", "lib-2.0.tar.gz"]);
    // A project of which nobody else is the source is ours alone.
    add(&site.env, "shared", &[Wheel::new("ours", "1.0")]);
    assert_eq!(listed(&site, "ours"), ["ours-1.0-py3-none-any.whl"]);
    assert!(!server.paths().contains(&"/simple/ours/".to_owned()), "a stranger isn't even asked");
    // A variant's own project is built from the source, whoever's build lies in shared.
    let others = Wheel::new("torch", "2.0").build("1").write_to(site.env.path("in"));
    site.env.ok(["import", "--collection", "shared", "--source-url", url, others.to_str().unwrap()]);
    fs::write(site.env.path("cuda.txt"), "torch\n").unwrap();
    site.env.ok(["route", "set", "cuda", "--requirements", "cuda.txt"]);
    assert_eq!(listed(&site, "torch"), ["torch-3.0.tar.gz"]);
    assert_eq!(site.server.get("/cuda/build/simple/absent/").status, 404);
    assert_eq!(site.server.get("/nowhere/build/simple/lib/").status, 404);
    // To who resolves, an error is better than an older version.
    drop(server);
    site.env.ok(["remote", "set", "upstream", "--url", &Server::nobody()]);
    assert_eq!(site.server.get("/cuda/build/simple/absent/").status, 503);
    site.end();
}

/// A remote with these files.
fn offering(files: &[(&str, String, Vec<u8>)]) -> Server {
    let server = Server::start();
    for (project, ..) in files {
        let own = files.iter().filter(|(of, ..)| of == project);
        let links: String = own.map(|(_, filename, bytes)| server.wheel(filename, bytes)).collect();
        server.route(&format!("/simple/{project}/"), Reply::html(links));
    }
    server
}

#[test]
fn sources_are_those_of_ours_and_of_the_nearest_stranger_that_has_any() {
    let wheel = |project: &'static str, version: &str| {
        let wheel = Wheel::new(project, version).build("1");
        (project, wheel.filename(), wheel.bytes())
    };
    let sdist = |project: &'static str, version: &str| {
        let sdist = Sdist::new(project, version);
        (project, sdist.filename(), sdist.bytes())
    };
    let near = offering(&[wheel("lib", "2.0"), sdist("lib", "2.0"), wheel("bare", "1.0")]);
    let far = offering(&[sdist("lib", "3.0"), sdist("bare", "1.0")]);
    let ours = offering(&[
        wheel("lib", "1.0"),
        wheel("lib", "1.1"),
        sdist("lib", "1.5"),
        wheel("torch", "2.0"),
        sdist("torch", "2.0"),
    ]);
    let site = site(&far);
    site.env.ok(["remote", "add", "near", &near.url("/simple/"), "--collection", "cuda"]);
    site.env.ok(["remote", "add", "ours", &ours.url("/simple/"), "--collection", "shared", "--ours"]);
    site.env.ok(["block", "lib==1.1", "--reason", "miscompiled"]);
    fs::write(site.env.path("cuda.txt"), "torch\n").unwrap();
    site.env.ok(["route", "set", "cuda", "--requirements", "cuda.txt"]);
    let sorted = |project: &str| {
        let mut names = listed(&site, project);
        names.sort_unstable();
        names
    };
    assert_eq!(sorted("lib"), ["lib-1.0-1-py3-none-any.whl", "lib-1.5.tar.gz", "lib-2.0.tar.gz"]);
    assert!(!far.paths().contains(&"/simple/lib/".to_owned()), "a nearer stranger has it");
    assert_eq!(sorted("bare"), ["bare-1.0.tar.gz"], "who has only wheels has no source, and hides none");
    assert_eq!(
        sorted("torch"),
        ["torch-2.0.tar.gz"],
        "a variant's own project is built for it, whoever of ours built it"
    );
    site.end();
}

#[test]
fn pip_and_uv_build_from_it_with_what_they_need_to_build() {
    for client in ["pip", "uv"] {
        let Some(python) = interpreter(client) else { continue };
        let server = upstream(&[("lib", "2.0")]);
        let pyproject = "[build-system]\nrequires = [\"lib\"]\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";
        let app = Sdist::new("app", "1.0").member("pyproject.toml", pyproject);
        server.route("/simple/app/", Reply::html(server.wheel(&app.filename(), &app.bytes())));
        let site = site(&server);
        let (desk, index) = (Desk::new(), site.server.url("/cuda/build/simple/"));
        let out = desk.path("out");
        let mut command = desk.command(&python);
        if client == "pip" {
            command.args(["-m", "pip", "--disable-pip-version-check", "--no-input", "wheel", "--retries", "0"]);
            command.args(["--index-url", &index, "app", "-w"]).arg(&out);
        } else {
            // uv builds a folder; its build requirements come from the index.
            let source = app.write_to(desk.path("sources"));
            command.args(["-m", "uv", "--no-config", "build", "--wheel", "--python"]).arg(&python);
            command.args(["--default-index", &index, "--out-dir"]).arg(&out).arg(source);
        }
        let done = Desk::finish(&mut command);
        assert!(done.ok, "{client}: {}", done.said);
        assert!(out.join("app-1.0-py3-none-any.whl").exists(), "{client}: {}", done.said);
        let asked = server.paths();
        assert!(asked.iter().any(|path| path.ends_with("lib-2.0.tar.gz")), "{client}: {asked:?}");
        assert!(asked.iter().all(|path| !path.ends_with(".whl")), "{client} took a wheel of upstream: {asked:?}");
        site.end();
    }
}
