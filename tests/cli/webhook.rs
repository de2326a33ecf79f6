//! `wcas webhook`: who is told of changes, what they are told, and what happens when that fails.

use crate::array;
use crate::support::{Env, Reply, Server, Wheel, skip};
use serde_json::Value;
use std::fs;
use std::process::Command;
use wcas::signed::hmac;

const SECRET: &str = "a secret of some length";

/// A store with a collection, and a webhook that is signed.
fn hooked(server: &Server) -> Env {
    let env = Env::new();
    env.ok(["collection", "create", "cuda"]);
    fs::write(env.path("hook.key"), format!("{SECRET}\n")).unwrap();
    env.ok(["webhook", "add", &server.url("/hook"), "--collection", "cuda", "--secret-file", "hook.key"]);
    env
}

fn import(env: &Env, project: &str, version: &str) {
    Wheel::new(project, version).write_to(env.path(version));
    env.ok(["import", version, "--collection", "cuda"]);
}

/// Returns what the receiver was told, in order.
fn bodies(server: &Server) -> Vec<Value> {
    server.requests().iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

#[test]
fn a_change_is_told_once_signed_and_in_order() {
    let server = Server::start();
    server.route("/hook", Reply::status(204));
    let env = hooked(&server);
    import(&env, "demo", "1.0");
    import(&env, "demo", "2.0");
    env.ok(["yank", "demo==1.0", "--collection", "cuda"]);
    assert!(server.requests().is_empty(), "nobody sends yet");
    let report = env.json(["webhook", "deliver", "--base-url", "https://wheels.example/"]);
    assert_eq!((&report["delivered"], &report["failed"]), (&3.into(), &Value::Array(vec![])), "{report}");
    let told = bodies(&server);
    assert_eq!(told.iter().map(|body| body["revision"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(told[1]["added"], serde_json::json!([{"project": "demo", "version": "2.0", "files": 1}]));
    assert_eq!((&told[2]["yanked"][0]["version"], &told[2]["added"]), (&"1.0".into(), &serde_json::json!([])));
    assert_eq!(told[1]["url"], "https://wheels.example/cuda@1...2/");
    assert_eq!(
        (&told[0]["previous"], &told[0]["kind"], &told[0]["is_whole"]),
        (&0.into(), &"import".into(), &true.into())
    );
    for request in server.requests() {
        assert_eq!((request.method.as_str(), request.header("Wcas-Event")), ("POST", Some("revision")));
        let (time, code) = request.header("Wcas-Signature").unwrap().split_once(",v1=").unwrap();
        let text = [time.strip_prefix("t=").unwrap().as_bytes(), b".", &request.body].concat();
        assert_eq!(code, hmac::sha256(SECRET.as_bytes(), &text));
    }
    assert_eq!(env.json(["webhook", "deliver"])["delivered"], 0);
    assert_eq!(server.requests().len(), 3);
    let listed = env.json(["webhook", "list"]);
    assert!(!listed.to_string().contains(SECRET) && listed["webhooks"][0]["delivered_at"].is_number(), "{listed}");
}

#[test]
fn what_fails_waits_and_holds_up_what_comes_after_it() {
    let server = Server::start();
    server.sequence("/hook", [Reply::status(500), Reply::status(200)]);
    let env = hooked(&server);
    import(&env, "demo", "1.0");
    import(&env, "demo", "2.0");
    let output = env.run(["webhook", "deliver"]);
    assert!(output.code == 3 && output.stderr.contains("tried again") && output.stderr.contains("500"), "{output}");
    let waiting = env.json(["webhook", "deliveries", "--state", "waiting"]);
    let tries: Vec<_> = array(&waiting["deliveries"]).iter().map(|row| row["tries"].as_i64().unwrap()).collect();
    assert_eq!(tries, [0, 1], "the second was not tried before the first: {waiting}");
    let first = &waiting["deliveries"][1];
    assert!(first["next_at"].as_i64() > first["queued_at"].as_i64(), "{waiting}");
    // By hand it goes at once.
    env.ok(["webhook", "redeliver", &first["id"].to_string()]);
    assert_eq!(env.json(["webhook", "deliver"])["delivered"], 2);
    let numbers: Vec<_> =
        server.requests().iter().map(|request| request.header("Wcas-Delivery").unwrap().to_owned()).collect();
    assert_eq!((numbers.len(), &numbers[0]), (3, &numbers[1]), "a number stays");
    assert!(!env.ok(["webhook", "deliveries"]).stdout.contains("waiting"));
}

#[test]
fn a_receiver_that_is_gone_is_told_nothing_more_until_it_is_added_again() {
    let server = Server::start();
    server.sequence("/hook", [Reply::status(410), Reply::status(200)]);
    let env = hooked(&server);
    for version in ["1.0", "2.0"] {
        import(&env, "demo", version);
    }
    assert_eq!(env.run(["webhook", "deliver"]).code, 3);
    import(&env, "demo", "3.0");
    env.ok(["webhook", "deliver"]);
    assert_eq!(server.requests().len(), 1);
    let hook = env.json(["webhook", "list"])["webhooks"][0].clone();
    assert_eq!((&hook["is_gone"], &hook["failed"], &hook["waiting"]), (&true.into(), &2.into(), &0.into()), "{hook}");
    let records = env.json(["log", "--kind", "webhook"]);
    let last = array(&records["records"]).last().unwrap().clone();
    assert!(last["after"].to_string().contains("is_gone") && !records.to_string().contains(SECRET), "{records}");
    let failed = env.json(["webhook", "deliveries"])["deliveries"][0]["id"].to_string();
    let output = env.run(["webhook", "redeliver", &failed]);
    assert!(output.code == 2 && output.stderr.contains("webhook add"), "{output}");
    env.ok(["webhook", "add", &server.url("/hook"), "--collection", "cuda"]);
    env.ok(["webhook", "redeliver", &failed]);
    assert_eq!(env.json(["webhook", "deliver"])["delivered"], 1);
    assert_eq!(server.requests()[1].header("Wcas-Signature"), None);
}

#[test]
fn nothing_goes_where_nobody_meant_it_to() {
    let server = Server::start();
    server.route("/hook", Reply::redirect(307, &server.url("/elsewhere"))).route("/elsewhere", Reply::status(200));
    let env = hooked(&server);
    let output = env.run(["webhook", "test", &server.url("/hook"), "--collection", "cuda"]);
    assert!(output.code == 3 && output.stdout.contains("not followed"), "{output}");
    assert_eq!(server.paths(), ["/hook"]);
    server.route("/hook", Reply::status(200));
    assert_eq!(env.json(["webhook", "test", &server.url("/hook"), "--collection", "cuda"])["state"], "delivered");
    // Without its secret nothing is sent.
    fs::remove_file(env.path("hook.key")).unwrap();
    let output = env.run(["webhook", "test", &server.url("/hook"), "--collection", "cuda"]);
    assert!(output.code == 3 && output.stdout.contains("hook.key"), "{output}");
    assert_eq!(server.paths().len(), 2);
    for (args, code, word) in [
        (&["webhook", "add", "ftp://h.example/", "--collection", "cuda"][..], 2, "https://"),
        (&["webhook", "add", "https://u:s3cret@h.example/", "--collection", "cuda"], 2, "stored and shown"),
        (&["webhook", "add", "https://h.example/?s3cret", "--collection", "cuda"], 2, "stored and shown"),
        (&["webhook", "add", "https://h.example/", "--collection", "none"], 4, "no collection"),
        (&["webhook", "add", "https://h.example/", "--collection", "cuda", "--secret-file", "none"], 1, "none"),
        (&["webhook", "remove", "https://h.example/", "--collection", "cuda"], 4, "its webhooks are"),
        (&["webhook", "redeliver", "99"], 4, "no delivery 99"),
        (&["webhook", "deliver", "--base-url", "wheels"], 2, "--base-url"),
    ] {
        let output = env.run(args);
        assert!(output.code == code && output.stderr.contains(word), "{args:?}: {output}");
        assert!(!output.stderr.contains("s3cret"), "{output}");
    }
}

#[test]
fn only_the_changes_that_count_are_told() {
    let server = Server::start();
    server.route("/hook", Reply::status(200));
    let env = hooked(&server);
    env.ok(["webhook", "add", &server.url("/hook"), "--collection", "cuda", "--events", "removed,yanked"]);
    import(&env, "demo", "1.0");
    env.ok(["invalidate", "demo", "--collection", "cuda"]);
    let report = env.json(["webhook", "deliver"]);
    assert_eq!((&report["delivered"], &report["skipped"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(bodies(&server)[0]["removed"][0]["project"], "demo");
    env.ok(["webhook", "remove", &server.url("/hook"), "--collection", "cuda"]);
    import(&env, "demo", "2.0");
    assert_eq!(env.json(["webhook", "deliveries"])["deliveries"], serde_json::json!([]));
}

#[test]
fn much_is_told_in_few_words() {
    let server = Server::start();
    server.route("/hook", Reply::status(200));
    let env = hooked(&server);
    for number in 0..205 {
        Wheel::new("demo", &format!("1.{number}")).write_to(env.path("in"));
    }
    env.ok(["import", "in", "--collection", "cuda"]);
    env.ok(["webhook", "deliver"]);
    let body = bodies(&server).remove(0);
    assert_eq!((array(&body["added"]).len(), &body["more"], &body["totals"]["added"]), (200, &5.into(), &205.into()));
}

#[test]
fn webhooks_are_settings_of_their_collection() {
    let env = Env::new();
    let apply = |text: &str| {
        fs::write(env.path("wcas.toml"), text).unwrap();
        env.run(["config", "apply", "wcas.toml"])
    };
    let whole =
        "[collections.cuda.webhooks.'https://hook.example/']\nsecret-file = '/etc/hook.key'\nevents = ['added']\n";
    assert_eq!(apply(whole).code, 0);
    let shown = env.ok(["config", "show"]).stdout;
    assert!(shown.contains("[collections.cuda.webhooks.\"https://hook.example/\"]"), "{shown}");
    assert_eq!(env.json(["webhook", "list"])["webhooks"][0]["events"], serde_json::json!(["added"]));
    assert_eq!(apply(&shown).code, 0);
    assert!(env.json(["config", "apply", "wcas.toml"])["changes"].as_array().unwrap().is_empty());
    for (text, word) in [
        (whole.replace("https:", "ftp:"), "collections.cuda.webhooks: a webhook's URL"),
        (whole.replace("/etc/", ""), "begins with /"),
        (whole.replace("added", "pushed"), "no event \"pushed\""),
    ] {
        let output = apply(&text);
        assert!(output.code == 2 && output.stderr.contains(word), "{output}");
    }
    assert_eq!(apply("[collections.cuda]\n").code, 0);
    assert_eq!(env.json(["webhook", "list"])["webhooks"], serde_json::json!([]));
}

#[test]
fn the_example_of_the_documentation_believes_what_is_genuine() {
    let python = std::env::var("WCAS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let server = Server::start();
    server.route("/hook", Reply::status(200));
    let env = hooked(&server);
    env.ok(["webhook", "test", &server.url("/hook"), "--collection", "cuda"]);
    let request = server.requests().remove(0);
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/webhooks.md")).unwrap();
    let example = document.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let checks = r#"
import pathlib
import sys

header, body = sys.argv[1], pathlib.Path("body").read_bytes()
secret = pathlib.Path("hook.key").read_bytes().rstrip(b"\r\n")
assert is_genuine(secret, header, body)
assert not is_genuine(secret, header, body + b" ")
assert not is_genuine(b"another", header, body)
assert not is_genuine(secret, header.replace("t=", "t=1"), body)
for bad in ["", "t=,v1=", "t=x,v1=y", "v1", header.split(",")[0], header.split(",")[0] + ",v1=\u00e9"]:
    assert not is_genuine(secret, bad, body), bad
print("genuine")
"#;
    fs::write(env.path("body"), &request.body).unwrap();
    fs::write(env.path("receiver.py"), format!("{example}{checks}")).unwrap();
    let header = request.header("Wcas-Signature").unwrap();
    let Ok(output) = Command::new(python).args(["receiver.py", header]).current_dir(env.path("")).output() else {
        return skip("there is no Python");
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "genuine", "{output:?}");
}
