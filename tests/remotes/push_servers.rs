//! Writing back to servers that people run: another wcas, pypiserver and devpi; and `wcas serve` as the one who sends.

use crate::push::{import, names, waits};
use crate::support::peer::{program, start};
use crate::support::{Env, Server, WcasServer, Wheel, until};
use crate::{json, wheel};

/// Starts a wcas that takes files, with a collection `cuda`, and an environment whose `shared` is written back to it.
fn team() -> (Env, WcasServer, Env) {
    let there = Env::new();
    there.ok(["collection", "create", "cuda"]);
    let server = WcasServer::start(&there, &["--anonymous", "upload"]);
    let here = Env::new();
    here.ok(["remote", "add", "team", &server.url("/cuda/simple/"), "--ours", "--write-back"]);
    (there, server, here)
}

/// Tells whether a store has a wheel with its bytes.
fn has(env: &Env, wheel: &Wheel) -> bool {
    let shown = env.run(["--json", "show", &wheel.filename()]);
    let digest = wcas::digest::Sha256::of(&wheel.bytes()).to_string();
    shown.code == 0 && shown.stdout.contains(&digest)
}

#[test]
fn another_wcas_gets_what_it_lacks_and_keeps_what_it_has() {
    let (there, _server, here) = team();
    let [new, known, elsewhere, other] = ["new", "known", "elsewhere", "other"].map(|project| wheel(project, "1.0", 1));
    [&known, &wheel("other", "1.0", 4)].iter().for_each(|wheel| drop(wheel.write_to(there.path("in"))));
    there.ok(["import", "in", "--collection", "cuda"]);
    elsewhere.write_to(there.path("released"));
    there.ok(["import", "released", "--collection", "released"]);
    [&new, &known, &elsewhere, &other].into_iter().for_each(|wheel| import(&here, wheel));
    let report = json(&here, 3, &["push"]);
    assert!(has(&there, &new) && has(&there, &known) && !has(&there, &other), "{report}");
    let own = there.json(["show", &elsewhere.filename()]);
    assert!(own.to_string().contains("cuda"), "its own collection has it, too: {own}");
    assert_eq!(names(&report, "sent"), [new.filename()], "{report}");
    let mut is_there = names(&report, "there");
    is_there.sort_unstable();
    assert_eq!(is_there, [elsewhere.filename(), known.filename()], "no byte of them is sent: {report}");
    assert_eq!(names(&report, "failed"), [other.filename()], "{report}");
    let reason = report["failed"][0]["reason"].as_str().unwrap();
    let digest = wcas::digest::Sha256::of(&wheel("other", "1.0", 4).bytes()).to_string();
    assert!(report["failed"][0]["is_given_up"] == true && reason.contains(&digest), "{report}");
    assert_eq!(waits(&here, "team"), (1, 1));
    there.ok(["verify"]);
    // As after a push that was killed before it could note the answers.
    here.ok(["push", "--forget"]);
    let report = json(&here, 3, &["push", "--all"]);
    assert_eq!((names(&report, "sent").len(), names(&report, "there").len()), (0, 3), "{report}");
}

#[test]
fn a_token_opens_another_wcas_and_nothing_waits_in_vain_for_it() {
    let there = Env::new();
    there.ok(["collection", "create", "cuda"]);
    let server = WcasServer::start(&there, &[]);
    let secret = there.ok(["token", "create", "--collection", "cuda", "--scope", "upload"]).stdout;
    let here = Env::new();
    let url = server.url("/cuda/simple/");
    here.ok(["remote", "add", "team", &url, "--ours", "--write-back", "--auth", "env:TEAM"]);
    let demo = wheel("demo", "1.0", 1);
    import(&here, &demo);
    let push = |secret: &str| here.run_with_env(&[("TEAM", secret)], ["--json", "push"]);
    let report = crate::document(&push("hunter2"), 3);
    let reason = report["failed"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("/cuda/legacy/ answered with status 40") && !reason.contains("hunter2"), "{reason}");
    let report = crate::document(&push(secret.trim()), 0);
    assert_eq!((names(&report, "sent"), &report["left"]), (vec![demo.filename().as_str()], &0.into()), "{report}");
    assert!(has(&there, &demo));
}

#[test]
fn serve_sends_by_itself_what_others_import() {
    let (there, _server, here) = team();
    let builder = WcasServer::start(&here, &[]);
    let demo = wheel("demo", "1.0", 1);
    import(&here, &demo);
    until("it is sent", || has(&there, &demo) && waits(&here, "team") == (0, 0));
    assert_eq!(builder.metric("wcas_write_back_waiting{remote=\"team\"}"), 0.0);
    builder.stop();
}

#[test]
fn serve_goes_on_when_the_other_server_is_back() {
    let here = Env::new();
    let url = format!("{}/cuda/simple/", Server::nobody());
    here.ok(["remote", "add", "team", &url, "--ours", "--write-back"]);
    let builder = WcasServer::start(&here, &[]);
    let demo = wheel("demo", "1.0", 1);
    import(&here, &demo);
    let said = || std::fs::read_to_string(here.path("stderr")).unwrap_or_default();
    until("it tells of the failure", || said().contains("write-back: demo-1.0-py3-none-any.whl to team: cannot reach"));
    assert_eq!(builder.metric("wcas_write_back_waiting{remote=\"team\"}"), 1.0);
    let there = Env::new();
    there.ok(["collection", "create", "cuda"]);
    let server = WcasServer::start(&there, &["--anonymous", "upload"]);
    here.ok(["remote", "set", "team", "--url", &server.url("/cuda/simple/")]);
    until("it is sent", || has(&there, &demo) && waits(&here, "team") == (0, 0));
    builder.kill();
}

#[test]
fn an_upload_waits_for_the_servers_own_remotes() {
    let (there, _server, here) = team();
    let builder = WcasServer::start(&here, &["--anonymous", "upload"]);
    let relay = Env::new();
    let demo = wheel("demo", "1.0", 1);
    relay.ok(["remote", "add", "near", &builder.url("/shared/cache/simple/"), "--ours", "--write-back"]);
    import(&relay, &demo);
    assert_eq!(names(&relay.json(["push"]), "sent"), [demo.filename()]);
    until("it goes from server to server", || has(&there, &demo));
}

#[test]
fn pypiserver_takes_what_is_sent() {
    let env = Env::new();
    std::fs::create_dir(env.path("served")).unwrap();
    let Some(peer) = start(&env, "pypi-server", &[], |port| {
        let fixed = "run -i 127.0.0.1 --disable-fallback --hash-algo sha256 -P . -a . -p";
        fixed.split(' ').chain([port, "served"]).map(str::to_owned).collect::<Vec<_>>()
    }) else {
        return;
    };
    send_to(&env, &format!("{}/simple/", peer.url), &format!("{}/", peer.url), &[]);
}

#[test]
fn devpi_takes_what_is_sent() {
    let env = Env::new();
    let fixed = "--argon2-memory-cost 8 --argon2-parallelism 1 --argon2-time-cost 1";
    let Some(mut init) = program(&env, "devpi-init") else { return };
    assert!(init.args(["--serverdir", "devpi", "--no-root-pypi"]).status().unwrap().success());
    let args = |port: &str| {
        let own = ["--serverdir", "devpi", "--host", "127.0.0.1", "--offline-mode", "--port", port];
        own.into_iter().chain(fixed.split(' ')).map(str::to_owned).collect::<Vec<_>>()
    };
    let Some(peer) = start(&env, "devpi-server", &[], args) else { return };
    crate::peers::make_devpi_index(&peer.url);
    let uploads = format!("{}/root/dev/", peer.url);
    send_to(&env, &format!("{uploads}+simple/"), &uploads, &[("TEAM", "root:")]);
}

/// Sends two wheels to a server, and one of them again as if nobody had noted that it is there.
fn send_to(env: &Env, pages: &str, uploads: &str, vars: &[(&str, &str)]) {
    let add = ["remote", "add", "team", pages, "--ours", "--write-back", "--upload-url", uploads];
    let auth: &[&str] = if vars.is_empty() { &[] } else { &["--auth", "env:TEAM"] };
    env.ok([&add[..], auth].concat());
    let wheels = [wheel("demo-app", "1.0", 1).requires("a>=1"), wheel("demo-app", "2.0+cu126", 2)];
    wheels.iter().for_each(|wheel| import(env, wheel));
    let push = |args: &[&str]| env.run_with_env(vars, [&["--json", "push"], args].concat());
    let report = crate::document(&push(&[]), 0);
    assert_eq!(names(&report, "sent").len(), 2, "{report}");
    let other = Env::new();
    other.ok(["remote", "add", "peer", pages]);
    other.ok(["pull", "demo-app==1.0", "demo-app==2.0+cu126"]);
    assert!(wheels.iter().all(|wheel| has(&other, wheel)), "what was sent is offered");
    let again = crate::document(&push(&["--all"]), 0);
    assert_eq!((names(&again, "sent").len() + names(&again, "there").len(), &again["left"]), (2, &0.into()), "{again}");
}
