//! How long does it take to pull 100 small wheels from an index on the own machine?

mod support;

#[path = "../tests/support/server.rs"]
mod server;

use server::{Reply, Server};
use std::fs;
use std::path::Path;
use std::process::Command;
use support::Limit::Nothing;
use support::place::{Place, clear};
use support::run::{Usage, find, measure, run, wcas};
use support::{alternate, data, head, skip, tell};

const WHEELS: usize = 100;

fn main() {
    head();
    let server = Server::start();
    let place = Place::disk();
    let list = place.path("requirements.txt");
    fs::write(&list, offer(&server)).expect("the scratch folder can be written");
    let url = server.url("/simple/");

    let question = format!("pull {WHEELS} wheels, empty store");
    let python = find("python", "WCAS_TEST_PYTHON");
    let Some(python) = python.filter(|python| python.with_file_name("uv").is_file()) else {
        skip(&question, "needs pip and uv: WCAS_TEST_PYTHON=\"$(tests/clients.sh)\"");
        return;
    };
    let own = |round: usize| pull(&place.path(&format!("store-{round}")), &url, &list);
    let pip = |round: usize| {
        let to = place.path(&format!("pip-{round}"));
        let mut command = Command::new(&python);
        command.args(["-m", "pip", "download", "--isolated", "--no-cache-dir", "--disable-pip-version-check"]);
        command.args(["--no-deps", "--only-binary=:all:", "-i", &url, "-r"]).arg(&list).arg("-d").arg(&to);
        command.env("no_proxy", "127.0.0.1");
        timed(&mut command, &to, WHEELS)
    };
    // uv has no download: what it fetched it also unpacks.
    let uv = |round: usize| {
        let to = place.path(&format!("uv-{round}"));
        let mut command = Command::new(python.with_file_name("uv"));
        command.args(["pip", "install", "--no-config", "--no-cache", "--no-deps", "--only-binary=:all:"]);
        command.args(["-i", &url, "-r"]).arg(&list).arg("--target").arg(&to).arg("--python").arg(&python);
        command.env("no_proxy", "127.0.0.1");
        timed(&mut command, &to, WHEELS)
    };
    let (wcas, peer) = alternate(own, pip);
    tell(&question, &wcas, Some(("pip download", &peer)), &[Nothing]);
    let (wcas, peer) = alternate(own, uv);
    tell(&question, &wcas, Some(("uv pip install --target", &peer)), &[Nothing]);

    let store = place.path("store");
    prepare(&store, &url);
    run(&mut command(&store, &list));
    let again = support::repeat(support::RUNS, |_| measure(&mut command(&store, &list)));
    tell("the same again: all are there", &again, None, &[Nothing]);
}

/// Puts the wheels on the server, each with its project's page, and returns the list of requirements.
fn offer(server: &Server) -> String {
    let mut list = String::new();
    for path in data::files(&data::small(WHEELS)) {
        let name = path.file_name().and_then(|name| name.to_str()).expect("the builder's names are text");
        let anchor = server.wheel(name, &fs::read(&path).expect("it was written"));
        let mut parts = name.split('-');
        let (project, version) =
            parts.next().zip(parts.next()).expect("a wheel's name has a project and a version in front");
        let project = project.replace('_', "-");
        let page = format!("<!DOCTYPE html><html><body>\n{anchor}</body></html>\n");
        server.route(&format!("/simple/{project}/"), Reply::html(page));
        list.push_str(&format!("{project}=={version}\n"));
    }
    list
}

fn prepare(store: &Path, url: &str) {
    run(&mut wcas(store, &["remote", "add", "index", url]));
}

fn command(store: &Path, list: &Path) -> Command {
    let mut command = wcas(store, &["pull", "-r"]);
    command.arg(list).env("no_proxy", "127.0.0.1");
    command
}

/// Pulls into a store that is made for it.
fn pull(store: &Path, url: &str, list: &Path) -> Usage {
    prepare(store, url);
    let usage = measure(&mut command(store, list));
    let blobs = data::files(&store.join("blobs"));
    assert_eq!(blobs.len(), WHEELS, "all were pulled");
    clear(store);
    usage
}

/// Runs a peer, looks whether it has done its work, and tidies up.
fn timed(command: &mut Command, to: &Path, least: usize) -> Usage {
    let usage = measure(command);
    let done = fs::read_dir(to).map_or(0, Iterator::count);
    assert!(done >= least, "{command:?} left {done} of {least}");
    clear(to);
    usage
}
