//! Webhooks of a shared store: they are the store's, and of nodes that look at once one sends.

use super::support::{Reply, Server};
use super::{Team, wheels};

#[test]
fn of_nodes_that_look_at_once_one_sends() {
    let receiver = Server::start();
    receiver.route("/hook", Reply::status(200));
    let team = Team::new(3);
    team.nodes[1].ok(["collection", "create", "shared"]);
    team.nodes[1].ok(["webhook", "add", &receiver.url("/hook"), "--collection", "shared"]);
    for number in 0..4 {
        team.import(0, &wheels(&format!("demo{number}x"), 1));
    }
    std::thread::scope(|scope| {
        for node in &team.nodes {
            scope.spawn(|| node.ok(["webhook", "deliver"]));
        }
    });
    // Who found that another was sending has left the rest to it.
    team.nodes[2].ok(["webhook", "deliver"]);
    let revision = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap()["revision"].as_i64();
    let told: Vec<_> = receiver.requests().iter().filter_map(|request| revision(&request.body)).collect();
    assert_eq!(told, [1, 2, 3, 4]);
    for node in &team.nodes {
        let hook = &node.json(["webhook", "list"])["webhooks"][0];
        assert_eq!((&hook["waiting"], &hook["failed"]), (&0.into(), &0.into()), "{hook}");
    }
    team.assert_equal();
}
