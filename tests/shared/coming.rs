//! Large files that a node's server gives while they come from the share's bucket.

use super::bucket::{Between, Trouble, team};
use super::support::{Connection, WcasServer, Wheel, weed};
use super::{Team, blobs};

/// What a server keeps back until all is checked.
const HELD: usize = 64 << 10;

/// A node whose bucket has a large file, and what lies between them.
struct Slow {
    between: Between,
    team: Team,
    server: WcasServer,
    /// Where the server has it.
    path: String,
    bytes: Vec<u8>,
}

impl Slow {
    fn new() -> Option<Self> {
        let between = Between::start(&weed()?.address);
        let team = team(2, &between.address);
        let wheel = Wheel::new("large", "1.0").payload(3_000_000, 7);
        team.import(0, std::slice::from_ref(&wheel));
        let server = WcasServer::start(&team.nodes[1], &[]);
        let path = super::served::path_of(&server, "large");
        Some(Self { between, team, server, path, bytes: wheel.bytes() })
    }

    /// Asks for the file, or a part of it.
    fn ask(&self, headers: &[(&str, &str)]) -> Connection {
        let mut connection = self.server.connect();
        connection.send_head("GET", &self.path, headers);
        connection
    }

    fn end(self) {
        self.server.get(&self.path).assert_brings(&self.bytes);
        self.server.stop();
        assert_eq!(blobs(&self.team.nodes[1]).len(), 1);
        self.team.assert_equal();
    }
}

#[test]
fn clients_get_a_large_file_and_parts_of_it_while_it_comes() {
    let Some(slow) = Slow::new() else { return };
    let quarter = slow.bytes.len() / 4;
    slow.between.plan(&[("GET /blobs/", Trouble::Halved)]);
    let mut first = slow.ask(&[]);
    let head = first.head().unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, slow.bytes.len().to_string().as_str()));
    assert!(first.read(quarter) == slow.bytes[..quarter]);
    // Who comes later has it from its beginning, or the part that he asks for.
    let mut second = slow.ask(&[]);
    assert_eq!(second.head().unwrap().status, 200);
    let mut third = slow.ask(&[("Range", "bytes=1000-2000999")]);
    let head = third.head().unwrap();
    assert_eq!((head.status, head.header("content-length")), (206, "2000000"));
    // Those who go away again harm nobody.
    drop(slow.ask(&[]));
    assert_eq!(blobs(&slow.team.nodes[1]).len(), 0);
    slow.between.plan(&[]);
    assert!(first.read(slow.bytes.len() - quarter) == slow.bytes[quarter..]);
    assert!(second.read(slow.bytes.len()) == slow.bytes);
    assert!(third.read(2_000_000) == slow.bytes[1000..2_001_000]);
    slow.end();
}

#[test]
fn nobody_gets_the_whole_of_a_file_that_turns_out_wrong() {
    let Some(slow) = Slow::new() else { return };
    slow.between.plan(&[("GET /blobs/", Trouble::Altered)]);
    let mut client = slow.ask(&[]);
    // Where all came before the client was told of anything, it is told that it can't be had.
    let status = client.head().unwrap().status;
    let got = client.rest();
    assert!(status == 503 || status == 200 && got.len() <= slow.bytes.len() - HELD, "{status}: {}", got.len());
    assert_eq!(blobs(&slow.team.nodes[1]).len(), 0);
    slow.end();
}

#[test]
fn a_head_fetches_nothing_and_what_cant_be_fetched_is_told_before_a_byte_is_promised() {
    let Some(slow) = Slow::new() else { return };
    slow.between.plan(&[("GET /blobs/", Trouble::Refused(403))]);
    let head = slow.server.ask("HEAD", &slow.path, &[]);
    assert_eq!((head.status, head.header("content-length")), (200, slow.bytes.len().to_string().as_str()));
    let refused = slow.server.get(&slow.path);
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(!refused.header("retry-after").is_empty() && !refused.text().contains("blobs"), "{}", refused.text());
    slow.end();
}
