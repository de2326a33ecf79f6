//! A share in a bucket: SeaweedFS, a real server that speaks S3, and what lies between it and us.

use super::support::bucket::{KEY, SECRET, ask, free_ports, place};
use super::support::{Env, postgres, weed};
use super::web::Found;
use super::{Team, blobs, wheels};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Returns an object, asked for with credentials: its headers and its bytes; `None`: there is none.
pub(super) fn get(address: &str, path: &str) -> Found {
    let mut command = Command::new("curl");
    command.args(["-s", "-i", "--max-time", "20", "--aws-sigv4", "aws:amz:us-east-1:s3"]);
    command.args(["--user", &format!("{KEY}:{SECRET}"), "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
    // As signatures have them.
    let path = path.replace('+', "%2B").replace('!', "%21");
    let answer = command.arg(format!("http://{address}{path}")).output().unwrap().stdout;
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let named = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let status = head.split(' ').nth(1).unwrap();
    assert!(["200", "404"].contains(&status), "{head}");
    (status == "200").then(|| (head.lines().filter_map(named).collect(), answer[end + 4..].to_vec()))
}

/// Makes a team whose share is in the bucket, asked at an address.
pub(super) fn team(count: usize, address: &str) -> Team {
    team_with(count, address, &[])
}

/// Makes one whose nodes are said more of it.
pub(super) fn team_with(count: usize, address: &str, more: &[&str]) -> Team {
    let mut nodes: Vec<Env> = (0..count).map(|_| Env::new()).collect();
    // All of them need the credentials, and one of the shares will do.
    let shares: Vec<_> = nodes.iter_mut().map(|node| place(node, address)).collect();
    Team::at(nodes, &[&shares[0].each_ref().map(String::as_str), more].concat())
}

#[test]
fn nodes_of_a_bucket_have_one_store() {
    let Some(weed) = weed() else { return };
    let team = team(2, &weed.address);
    let one = &team.nodes[0];
    super::clouds::assert_one_store(&team);
    let manifest = rusqlite::Connection::open(one.store().join("manifest.sqlite")).unwrap();
    manifest.execute_batch("UPDATE blob SET created_at = 1, used_at = 1").unwrap();
    assert_eq!(one.json(["gc", "--cache-size", "0"])["evicted"], 1);
    assert_eq!(one.json(["prefetch"])["fetched"], 1);
    // So that all say the same again.
    manifest.execute_batch("UPDATE blob SET created_at = (SELECT max(uploaded_at) FROM entry), used_at = 1").unwrap();
    drop(manifest);
    assert_eq!(blobs(one).len(), 1);
    let late = team.nodes[0].run(["init", "--share", "s3://", "--store", one.path("x").to_str().unwrap()]);
    assert!(late.code == 2 && late.stderr.contains("s3://bucket"), "{late}");
}

#[test]
fn imports_into_a_bucket_at_once_all_count() {
    let Some(weed) = weed() else { return };
    let team = team(3, &weed.address);
    team.import_at_once(4);
    team.assert_equal();
    assert_eq!(team.nodes[0].json(["list"])["distributions"].as_array().unwrap().len(), 16);
}

#[test]
fn who_was_away_reads_many_records_at_once_large_ones_among_them() {
    let Some(weed) = weed() else { return };
    let between = Between::start(&weed.address);
    let team = team(2, &between.address);
    let [one, two] = &team.nodes[..] else { panic!() };
    two.ok(["list"]);
    for number in 0..20 {
        one.ok(["collection", "create", &format!("c{number}")]);
        if number == 12 {
            let dist = one.path("large");
            fs::create_dir(&dist).unwrap();
            for wheel in wheels("large", 60) {
                wheel.header("Keywords", &"not so short ".repeat(1500)).write_to(&dist);
            }
            one.ok(["import", "large"]);
        }
    }
    let newest = one.json(["doctor"])["share"]["records"].as_i64().unwrap();
    between.asked();
    // One that can't be read when it isn't its turn yet is read in its turn.
    between.plan(&[("GET /log/", Trouble::Refused(404)), ("GET /log/", Trouble::Cut)]);
    two.ok(["list"]);
    two.ok(["list"]);
    between.plan(&[]);
    team.assert_equal();
    let asked = between.asked();
    let read = |number: i64| asked.iter().filter(|line| line.contains(&format!("log/{number:020}.json"))).count();
    assert!(read(newest) >= 1, "{asked:#?}");
    // None is asked for more than a few times: as one that isn't there yet, ahead, and in its turn.
    for number in newest - 10..=newest {
        assert!(read(number) < 8, "{number}: {asked:#?}");
    }
    let log: Vec<_> = asked.iter().filter(|line| line.contains("/log/")).collect();
    assert!(log.len() < 120, "{log:#?}");
}

#[test]
fn wrong_credentials_and_no_server_are_told_within_seconds() {
    let Some(weed) = weed() else { return };
    let mut env = Env::new();
    let endpoint = format!("http://{}", weed.address);
    let args = ["init", "--share", "s3://wcas/wrong", "--endpoint", &endpoint, "--region", "us-east-1"];
    env.set("AWS_ACCESS_KEY_ID", KEY);
    let secret = [("AWS_SECRET_ACCESS_KEY", "wrong")];
    let output = env.run_with_env(&secret, args);
    assert!(output.code == 1 && output.stderr.contains("403"), "{output}");
    let none = format!("http://127.0.0.1:{}", free_ports(1)[0]);
    let args = ["init", "--share", "s3://wcas/wrong", "--endpoint", &none, "--region", "us-east-1"];
    let output = env.run_with_env(&secret, args);
    assert!(output.code == 1 && output.stderr.contains("the bucket can't read"), "{output}");
    assert!(!env.store().exists());
}

#[test]
fn credentials_come_from_a_profile_where_the_environment_has_none() {
    let Some(weed) = weed() else { return };
    let mut env = Env::new();
    let aws = env.path("home/.aws");
    fs::create_dir(&aws).unwrap();
    fs::write(aws.join("credentials"), format!("[default]\naws_access_key_id = {KEY}\naws_secret_access_key = wrong\n[team]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")).unwrap();
    fs::write(
        aws.join("config"),
        format!("[profile team]\nregion = us-east-1\nendpoint_url = http://{}\n", weed.address),
    )
    .unwrap();
    let endpoint = format!("http://{}", weed.address);
    let output = env.run(["init", "--share", "s3://wcas/profile", "--endpoint", &endpoint]);
    assert!(output.code == 1 && output.stderr.contains("403"), "{output}");
    env.set("AWS_PROFILE", "team");
    env.ok(["init", "--share", "s3://wcas/profile"]);
    let text = fs::read_to_string(env.store().join("wcas.json")).unwrap();
    assert!(!text.contains(SECRET) && !text.contains(KEY), "{text}");
    env.ok(["collection", "create", "cuda"]);
}

/// What lies between a node and its bucket does with the next request that fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Trouble {
    /// The server does what it was asked; its answer is lost.
    AnswerLost,
    /// The server does what it was asked, and this status is told instead.
    Told(u16),
    /// Nothing is done, and this status is told.
    Refused(u16),
    /// Nothing is done, and the connection is cut.
    Cut,
    /// Half of the answer comes, and the rest when the plan is over.
    Halved,
    /// Half of the answer comes, and the connection is cut.
    Torn,
    /// What is there is removed before, until the plan is over: a server that takes conditions and doesn't keep them, as Garage.
    Overwritten,
    /// The last byte of the answer is another one.
    Altered,
}

/// Stands before a bucket and makes trouble.
pub(super) struct Between {
    pub(super) address: String,
    plan: Arc<Mutex<Vec<(String, Trouble)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Between {
    pub(super) fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let plan: Arc<Mutex<Vec<(String, Trouble)>>> = Arc::default();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (target, known, noted) = (target.to_owned(), plan.clone(), asked.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let (target, plan, asked) = (target.clone(), known.clone(), noted.clone());
                thread::spawn(move || drop(carry(client.unwrap(), &target, &plan, &asked)));
            }
        });
        Self { address, plan, asked }
    }

    /// Returns what was asked since the last time, a line each.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Lets the next requests of a kind (`PUT log/`) meet trouble, one each.
    pub(super) fn plan(&self, troubles: &[(&str, Trouble)]) {
        *self.plan.lock().unwrap() = troubles.iter().map(|(what, trouble)| ((*what).to_owned(), *trouble)).collect();
    }

    pub(super) fn is_over(&self) -> bool {
        self.plan.lock().unwrap().is_empty()
    }
}

/// Carries requests of one connection, one after another.
fn carry(
    mut client: TcpStream,
    target: &str,
    plan: &Mutex<Vec<(String, Trouble)>>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    loop {
        let Some(request) = message(&mut client, false)? else { return Ok(()) };
        let line =
            String::from_utf8_lossy(&request[..request.iter().position(|byte| *byte == b'\r').unwrap()]).into_owned();
        asked.lock().unwrap().push(line.clone());
        let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if head.lines().take_while(|line| !line.is_empty()).any(|line| line.starts_with("authorization: basic")) {
            asked.lock().unwrap().push(format!("PASSWORD {line}"));
        }
        let (method, path) = line.split_once(' ').unwrap();
        let trouble = {
            let mut plan = plan.lock().unwrap();
            let fits = |(what, _): &(String, Trouble)| {
                let path = path.replace("%2F", "/");
                what.split_once(' ').is_some_and(|(kind, part)| kind == method && path.contains(part))
            };
            let lasts = |trouble: &Trouble| matches!(trouble, Trouble::Halved | Trouble::Overwritten);
            let found = plan.iter().position(fits).map(|at| (at, plan[at].1));
            // Such a one goes on until another plan is made.
            found
                .inspect(|(at, trouble)| {
                    if !lasts(trouble) {
                        drop(plan.remove(*at))
                    }
                })
                .map(|(_, trouble)| trouble)
        };
        let told = |status: u16| format!("HTTP/1.1 {status} Trouble\r\ncontent-length: 0\r\n\r\n").into_bytes();
        let answer = match trouble {
            Some(Trouble::Cut) => return Ok(()),
            Some(Trouble::Refused(status)) => told(status),
            _ => {
                if trouble == Some(Trouble::Overwritten) {
                    let _ = ask(target, "DELETE", path.split(' ').next().unwrap_or_default(), "");
                }
                let mut server = TcpStream::connect(target)?;
                server.write_all(&request)?;
                let answer = message(&mut server, method == "HEAD")?.unwrap_or_default();
                match trouble {
                    Some(Trouble::AnswerLost) => return Ok(()),
                    Some(Trouble::Torn) => return client.write_all(&answer[..answer.len() / 2]),
                    Some(Trouble::Told(status)) => told(status),
                    Some(Trouble::Altered) => {
                        let [rest @ .., last] = &answer[..] else { return Ok(()) };
                        [rest, &[last ^ 1]].concat()
                    }
                    Some(Trouble::Halved) => {
                        let (first, rest) = answer.split_at(answer.len() / 2);
                        client.write_all(first)?;
                        while !plan.lock().unwrap().is_empty() {
                            thread::sleep(Duration::from_millis(5));
                        }
                        rest.to_vec()
                    }
                    _ => answer,
                }
            }
        };
        client.write_all(&answer)?;
    }
}

/// Reads a request or an answer, whole; bodies have a length, or are none.
pub(super) fn message(stream: &mut TcpStream, is_head: bool) -> std::io::Result<Option<Vec<u8>>> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |size| size.trim().parse().unwrap());
    if head.contains("transfer-encoding: chunked") {
        // To its last, empty chunk.
        while !bytes.ends_with(b"\r\n0\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Ok(None);
            }
            bytes.push(byte[0]);
        }
    } else if !is_head {
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        bytes.extend(body);
    }
    Ok(Some(bytes))
}

#[test]
fn an_answer_that_is_lost_counts_once_whatever_the_bucket_says() {
    let Some(weed) = weed() else { return };
    let between = Between::start(&weed.address);
    assert_lost_answers_count_once(&between, &team(2, &between.address));
}

/// Makes sure that two nodes, whose requests this one carries, commit once and the same whatever becomes of an answer.
pub(super) fn assert_lost_answers_count_once(between: &Between, team: &Team) {
    use Trouble::{AnswerLost, Cut, Refused, Told};
    let troubles: &[&[(&str, Trouble)]] = &[
        &[("PUT /log/", AnswerLost)],
        &[("PUT /log/", AnswerLost), ("PUT /log/", Cut)],
        &[("PUT /log/", Told(500))],
        &[("PUT /log/", Told(503)), ("PUT /log/", Refused(503))],
        &[("PUT /log/", Told(409))],
        &[("PUT /log/", Told(412))],
        &[("PUT /log/", Refused(409))],
        &[("PUT /log/", Refused(412))],
        &[("PUT /log/", Refused(500)), ("PUT /log/", Refused(500))],
        &[("GET /log/", Refused(500))],
        &[("GET /log/", Cut), ("GET /log/", Refused(503))],
        &[("PUT /blobs/", AnswerLost)],
        &[("PUT /blobs/", Refused(503)), ("PUT /blobs/", Cut)],
    ];
    for (round, plan) in troubles.iter().enumerate() {
        let node = &team.nodes[round % 2];
        let dist = node.path(format!("dist{round}"));
        fs::create_dir(&dist).unwrap();
        wheels(&format!("demo{round}x"), 1)[0].write_to(&dist);
        between.plan(plan);
        let output = node.run(["import", dist.to_str().unwrap()]);
        assert_eq!(output.code, 0, "{plan:?}: {output}");
        assert!(between.is_over(), "{plan:?}: {output}");
        let listed = team.nodes[(round + 1) % 2].json(["list"]);
        assert_eq!(listed["distributions"].as_array().unwrap().len(), round + 1, "{plan:?}");
        team.assert_equal();
    }
    // What can't be told in the end is an error, and nothing of it counts.
    let before = team.nodes[0].json(["list"]);
    between.plan(&[("PUT /log/", Refused(403))]);
    let output = team.nodes[0].run(["collection", "create", "never"]);
    assert!(
        output.code == 1 && output.stderr.contains("isn't known") && output.stderr.contains("run it again"),
        "{output}"
    );
    assert_eq!(team.nodes[0].json(["list"]), before);
    team.assert_equal();
}

#[test]
fn a_fetch_that_breaks_off_or_brings_other_bytes_is_never_handed_out() {
    use Trouble::{Cut, Refused};
    let Some(weed) = weed() else { return };
    let between = Between::start(&weed.address);
    let team = team(2, &between.address);
    team.import(0, &wheels("demo", 1));
    let two = &team.nodes[1];
    between.plan(&[("GET /blobs/", Cut), ("GET /blobs/", Refused(500))]);
    two.ok(["lookup", "demo0"]);
    assert_eq!(blobs(two).len(), 1);
    team.assert_equal();
}

#[test]
fn a_bucket_that_keeps_no_condition_has_its_log_in_a_database() {
    let Some(weed) = weed() else { return };
    let between = Between::start(&weed.address);
    between.plan(&[("PUT /", Trouble::Overwritten)]);
    let mut env = Env::new();
    let share = place(&mut env, &between.address);
    let output = env.run(["init"].into_iter().chain(share.iter().map(String::as_str)));
    assert!(output.code == 1 && output.stderr.contains("`--log postgres://"), "{output}");
    assert!(!env.store().exists());
    let Some(server) = postgres() else { return };
    let team = team_with(3, &between.address, &["--log", &server.database()]);
    team.import_at_once(3);
    team.nodes[1].ok(["invalidate", "all0x0", "--yes"]);
    team.nodes[2].ok(["gc", "--grace", "0"]);
    assert_eq!(team.nodes[0].json(["verify", "--bucket"])["checked"], 11);
    team.assert_equal();
}
