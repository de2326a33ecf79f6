//! The protocol under stress: writers, collectors and readers on several nodes, killed and stopped at random.
//!
//! What they do comes from a seed, which is printed; `WCAS_TEST_SEED` sets it, `WCAS_TEST_SECONDS` the time.

use super::bucket::{self, Between, Trouble};
use super::support::{Env, Postgres, Random, WcasServer, Weed, postgres, until, weed};
use super::{Team, files_below, wheels};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const NODES: u64 = 4;
/// Who writes and who collects, in a plain run, and where `WCAS_TEST_SECONDS` asks for a long one.
const CROWD: [(u64, u64); 2] = [(5, 2), (8, 4)];
/// How many wheels there are. Of an even one nothing is ever taken away: what an import of it acknowledged must stay.
const WHEELS: u64 = 24;

/// What the threads share.
struct Stage {
    team: Team,
    wheels: Vec<PathBuf>,
    end: Instant,
    acknowledged: Mutex<BTreeSet<u64>>,
    faults: Mutex<Vec<String>>,
    ends: Mutex<BTreeMap<(String, i32), u32>>,
    /// Whether the share fails at random: who says that it did has done right.
    share_fails: bool,
}

impl Stage {
    /// Runs a command, which may be killed or stopped for a while. Returns its exit code.
    fn run(&self, random: &mut Random, node: &Env, args: &[&str]) -> i32 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let said = node.path(format!("said{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let mut command = node.command(args);
        let file = fs::File::create(&said).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let mut child = command.spawn().unwrap();
        let pid = child.id().to_string();
        let signal = |name: &str| drop(Command::new("kill").args([name, &pid]).stderr(Stdio::null()).status());
        match random.below(6) {
            0 | 1 => {
                thread::sleep(Duration::from_millis(random.below(40)));
                let _ = child.kill();
            }
            2 => {
                thread::sleep(Duration::from_millis(random.below(30)));
                signal("-STOP");
                thread::sleep(Duration::from_millis(random.below(900)));
                signal("-CONT");
            }
            _ => {}
        }
        let code = child.wait().unwrap().code().unwrap_or(137);
        let text = String::from_utf8_lossy(&fs::read(&said).unwrap()).into_owned();
        // Somebody was at it, or there was nothing to do it to.
        let is_excused = self.share_fails
            && match code {
                1 => super::blames_share(&text),
                3 => text.contains("not all objects could be read: "),
                _ => false,
            };
        if !matches!(code, 0 | 4 | 5 | 137) && !is_excused {
            self.faults.lock().unwrap().push(format!("{args:?}: exit {code}: {text}"));
        }
        let _ = fs::remove_file(said);
        *self.ends.lock().unwrap().entry((args[0].to_owned(), code)).or_default() += 1;
        code
    }

    fn write(&self, random: &mut Random, writer: u64) {
        let mut round = 0;
        while Instant::now() < self.end {
            round += 1;
            let node = &self.team.nodes[random.below(NODES) as usize];
            let dist = node.path(format!("dist{writer}x{round}"));
            fs::create_dir(&dist).unwrap();
            let numbers: BTreeSet<u64> = (0..=random.below(3)).map(|_| random.below(WHEELS)).collect();
            for number in &numbers {
                let wheel = &self.wheels[*number as usize];
                fs::copy(wheel, dist.join(wheel.file_name().unwrap())).unwrap();
            }
            if self.run(random, node, &["import", dist.to_str().unwrap()]) == 0 {
                self.acknowledged.lock().unwrap().extend(numbers.iter().filter(|number| *number % 2 == 0));
            }
            let _ = fs::remove_dir_all(dist);
        }
    }

    fn collect(&self, random: &mut Random) {
        while Instant::now() < self.end {
            let node = &self.team.nodes[random.below(NODES) as usize];
            let name = format!("w{}", random.below(WHEELS / 2) * 2 + 1);
            match random.below(6) {
                0 | 1 => drop(self.run(random, node, &["invalidate", &name, "--yes"])),
                2 => drop(self.run(random, node, &["lookup", &name])),
                3 => drop(self.run(random, node, &["verify"])),
                4 => drop(self.run(random, node, &["verify", "--bucket", "--repair"])),
                _ => drop(self.run(random, node, &["gc", "--grace", "0", "--cache-size", "0"])),
            }
        }
    }
}

impl Stage {
    /// Asks a server for wheels that nobody takes away, as a client does: what it gives is right, or it says that it can't.
    fn read(&self, random: &mut Random, server: &WcasServer) {
        while Instant::now() < self.end {
            let number = random.below(WHEELS / 2) * 2;
            if let Err(wrong) = ask(server, number, &self.wheels[number as usize]) {
                self.faults.lock().unwrap().push(wrong);
            }
            // Whoever writes needs the processors as well.
            thread::sleep(Duration::from_millis(random.below(60)));
        }
    }
}

/// Fetches a wheel as clients do. Returns whether it is there; an answer that is wrong is an error.
fn ask(server: &WcasServer, number: u64, wheel: &Path) -> Result<bool, String> {
    let path = format!("/shared/simple/w{number}/");
    let page = server.get(&path);
    let text = match page.status {
        200 => page.text(),
        404 | 503 => return Ok(false),
        _ => return Err(format!("{path}: {page}")),
    };
    let Some(link) = text.split("href=\"").nth(1).and_then(|rest| rest.split(['#', '"']).next()) else {
        return Ok(false);
    };
    let link = url::Url::parse(&server.url(&path)).unwrap().join(link).unwrap();
    let file = server.get(link.path());
    match file.status {
        200 if file.body == fs::read(wheel).unwrap() => Ok(true),
        404 | 503 => Ok(false),
        _ => Err(format!("{link}: {file}")),
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn digest(path: &Path) -> String {
    wcas::digest::Sha256::of(&fs::read(path).unwrap()).to_string()
}

#[test]
fn nodes_that_are_killed_and_stopped_at_random_lose_nothing_that_was_acknowledged() {
    stress(Team::new(NODES as usize), None, |_, _| {});
}

#[test]
fn a_log_in_a_database_that_crashes_meanwhile_loses_nothing_either() {
    let Some(server) = Postgres::start() else { return };
    stress(super::database::team(NODES as usize, &server.url("wcas")), None, |random, end| {
        while Instant::now() + Duration::from_secs(3) < end {
            thread::sleep(Duration::from_millis(1000 + random.below(3000)));
            match random.below(3) {
                0 => drop(server.sql(
                    "postgres",
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wcas'",
                )),
                1 => {
                    server.end("KILL");
                    server.run();
                }
                _ => {
                    server.end("INT");
                    server.run();
                }
            }
        }
    });
    server.end("QUIT");
}

#[test]
fn a_bucket_that_loses_refuses_and_tears_answers_loses_nothing_either() {
    let Some(weed) = weed() else { return };
    stress_bucket(weed, &[]);
}

#[test]
fn nor_does_such_a_bucket_with_a_log_in_a_database() {
    let (Some(weed), Some(server)) = (weed(), postgres()) else { return };
    stress_bucket(weed, &["--log", &server.database()]);
}

fn stress_bucket(weed: &Weed, log: &[&str]) {
    let between = Between::start(&weed.address);
    let team = bucket::team_with(NODES as usize, &between.address, log);
    stress(team, Some(weed), |random, end| {
        while Instant::now() < end {
            let plan: Vec<_> = (0..random.below(4)).map(|_| trouble(random)).collect();
            between.plan(&plan);
            thread::sleep(Duration::from_millis(50 + random.below(400)));
        }
        between.plan(&[]);
    });
}

/// Returns what becomes of some request.
fn trouble(random: &mut Random) -> (&'static str, Trouble) {
    const ASKED: [&str; 8] = [
        "PUT /log/",
        "PUT /log/",
        "GET /log/",
        "PUT /blobs/",
        "GET /blobs/",
        "DELETE /blobs/",
        "HEAD /blobs/",
        "GET list-type",
    ];
    const TOLD: [u16; 4] = [500, 503, 409, 412];
    let status = TOLD[random.below(4) as usize];
    let trouble = match random.below(6) {
        0 => Trouble::AnswerLost,
        1 => Trouble::Told(status),
        2 => Trouble::Refused(status),
        3 => Trouble::Cut,
        4 => Trouble::Torn,
        _ => Trouble::Halved,
    };
    (ASKED[random.below(8) as usize], trouble)
}

/// Lets a team be written, read and collected at random, while its engine has its own troubles until the end. The team's share is a
/// folder, or in this bucket.
fn stress(team: Team, weed: Option<&Weed>, trouble: impl FnOnce(&mut Random, Instant) + Send) {
    let all = team.nodes[0].path("all");
    fs::create_dir(&all).unwrap();
    let seed = number("WCAS_TEST_SEED")
        .unwrap_or_else(|| u64::from(std::process::id()) << 20 | u64::from(Instant::now().elapsed().subsec_nanos()));
    println!("WCAS_TEST_SEED={seed}");
    team.nodes[0].ok(["collection", "create", "shared"]);
    let servers: Vec<WcasServer> = team.nodes.iter().map(|node| WcasServer::start(node, &[])).collect();
    let end = Instant::now() + Duration::from_secs(number("WCAS_TEST_SECONDS").unwrap_or(12));
    let wheels = wheels("w", WHEELS as usize).iter().map(|wheel| wheel.write_to(&all)).collect();
    let (acknowledged, faults, ends) = Default::default();
    let stage = Stage { team, wheels, end, acknowledged, faults, ends, share_fails: weed.is_some() };
    thread::scope(|scope| {
        let stage = &stage;
        let (writers, collectors) = CROWD[usize::from(number("WCAS_TEST_SECONDS").is_some())];
        for writer in 0..writers {
            scope.spawn(move || stage.write(&mut Random(seed ^ writer), writer));
        }
        for collector in 0..collectors {
            scope.spawn(move || stage.collect(&mut Random(seed ^ (100 + collector))));
        }
        for (number, server) in servers.iter().enumerate() {
            scope.spawn(move || stage.read(&mut Random(seed ^ (200 + number as u64)), server));
        }
        scope.spawn(move || trouble(&mut Random(seed ^ 1000), end));
    });
    let Stage { team, wheels, acknowledged, faults, ends, .. } = stage;
    println!("{:?}", ends.into_inner().unwrap());
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > 3, "next to nothing was done: {acknowledged:?}");
    for server in servers {
        for number in &acknowledged {
            until("each server has what was acknowledged", || {
                ask(&server, *number, &wheels[*number as usize]).unwrap_or_else(|wrong| panic!("{wrong}"))
            });
        }
        server.stop();
    }
    for node in &team.nodes {
        node.ok(["gc", "--grace", "0"]);
    }
    team.assert_equal();
    for node in &team.nodes {
        for number in &acknowledged {
            let found = node.json(["lookup", &format!("w{number}")]);
            assert_eq!(digest(Path::new(found["path"].as_str().unwrap())), digest(&wheels[*number as usize]));
        }
        let listed = node.json(["list"]);
        for row in listed["distributions"].as_array().unwrap() {
            node.ok(["lookup", row["project"].as_str().unwrap()]);
        }
        node.ok(["verify"]);
        node.ok(["log", "verify"]);
    }
    // Each blob has its object, and there is no other.
    let blobs = super::shared_rows(&team.nodes[0].store()).iter().filter(|row| row.starts_with("blob ")).count();
    match weed {
        None => {
            assert_eq!(files_below(&team.share().join("blobs")).len(), blobs);
            assert!(files_below(&team.share().join("tmp")).len() < 200);
        }
        Some(weed) => {
            let url = team.nodes[0].json(["doctor"])["share"]["url"].as_str().unwrap().to_owned();
            let prefix = format!("{}/blobs/", url.strip_prefix("s3://wcas/").unwrap());
            // A bucket's clock is told in whole seconds: what came in this one isn't before the fence yet.
            until("all objects that nobody needs are gone", || {
                team.nodes[0].ok(["gc", "--grace", "0"]);
                assert!(weed.keys(&prefix).len() >= blobs);
                weed.keys(&prefix).len() == blobs
            });
            assert_eq!(team.nodes[0].json(["verify", "--bucket"])["checked"], blobs);
        }
    }
    team.assert_equal();
}
