//! Webhooks while the server runs: told soon, by nobody who waits, and after a crash as well.

use crate::support::{Env, Reply, Server, WcasServer, Wheel, until};

fn hooked(server: &Server) -> Env {
    let env = Env::new();
    env.ok(["collection", "create", "cuda"]);
    env.ok(["webhook", "add", &server.url("/hook"), "--collection", "cuda"]);
    env
}

fn import(env: &Env, version: &str) {
    Wheel::new("demo", version).write_to(env.path(version));
    env.ok(["import", version, "--collection", "cuda"]);
}

/// Returns the revisions that the receiver was told of, in order.
fn told(server: &Server) -> Vec<i64> {
    let revision = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap()["revision"].as_i64();
    server.requests().iter().filter_map(|request| revision(&request.body)).collect()
}

#[test]
fn a_server_tells_what_others_changed_with_a_link() {
    let receiver = Server::start();
    receiver.route("/hook", Reply::status(200));
    let env = hooked(&receiver);
    let server = WcasServer::start(&env, &["--base-url", "https://wheels.example/x/"]);
    import(&env, "1.0");
    until("the receiver is told", || told(&receiver) == [1]);
    let body = String::from_utf8(receiver.requests()[0].body.clone()).unwrap();
    assert!(body.contains("\"url\":\"https://wheels.example/x/cuda@0...1/\""), "{body}");
    assert_eq!(server.get("/cuda@0...1/").status, 200, "the link leads somewhere");
    until("that is noted", || env.json(["webhook", "list"])["webhooks"][0]["waiting"] == 0);
    server.stop();
}

#[test]
fn what_was_committed_is_told_after_a_crash() {
    let receiver = Server::start();
    receiver.route("/hook", Reply::status(503));
    let env = hooked(&receiver);
    let server = WcasServer::start(&env, &[]);
    import(&env, "1.0");
    until("a try failed", || {
        server.metric("wcas_webhooks_waiting{collection=\"cuda\"}") == 1.0
            && env.json(["webhook", "deliveries"])["deliveries"][0]["tries"].as_i64() > Some(0)
    });
    server.kill();
    // This one was never tried.
    import(&env, "2.0");
    let before = told(&receiver).len();
    receiver.route("/hook", Reply::status(200));
    let server = WcasServer::start(&env, &[]);
    until("the receiver is told of both", || told(&receiver).len() >= before + 2);
    assert_eq!(told(&receiver)[before..], [1, 2]);
    until("that is noted", || server.metric("wcas_webhooks_waiting{collection=\"cuda\"}") == 0.0);
    server.stop();
}

#[test]
fn a_receiver_that_hangs_holds_up_no_request() {
    let receiver = Server::start();
    receiver.route("/hook", Reply::hang());
    let env = hooked(&receiver);
    let server = WcasServer::start(&env, &[]);
    import(&env, "1.0");
    until("it is asked", || !receiver.requests().is_empty());
    assert_eq!(server.get("/cuda/simple/demo/").status, 200);
    assert_eq!(env.json(["webhook", "deliver"])["delivered"], 0, "another sends it just now");
    assert_eq!(receiver.requests().len(), 1);
    server.stop();
}
