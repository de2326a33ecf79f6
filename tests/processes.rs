//! Several real processes at once, killed at random (X2, T1, X11): imports that overlap and contradict each other, views, verifies,
//! gc without grace, invalidations, rollbacks and lookups on one store.
//!
//! The choice of commands and kills comes from a seed, which is printed; `WCAS_TEST_SEED` sets it, `WCAS_TEST_SECONDS` the time.

#[path = "crash/state.rs"]
mod state;
mod support;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use support::{Env, Random, Wheel};

/// Nothing is ever taken from this collection: what an import into it acknowledged must stay.
const KEPT: &str = "kept";
/// Anything may happen to these.
const BUSY: [&str; 2] = ["shared", "cuda"];
/// How many wheels there are, each in two contents: only the first ones go to the kept collection.
const WHEELS: u64 = 12;

/// What the threads share.
struct Stage {
    env: Env,
    end: Instant,
    /// Filenames and digests that imports into the kept collection acknowledged.
    acknowledged: Mutex<BTreeMap<String, String>>,
    /// What must not happen and did.
    faults: Mutex<Vec<String>>,
    /// How often each command ended with each code.
    ends: Mutex<BTreeMap<(String, i32), u32>>,
}

struct End {
    code: i32,
    stdout: String,
}

const KILLED: i32 = 137;

impl Stage {
    /// Runs a command; one in `kill_one_in` (0: none) is killed at some moment.
    fn run(&self, random: &mut Random, kill_one_in: u64, args: &[&str]) -> End {
        let mut command = self.env.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let killed = kill_one_in > 0 && random.below(kill_one_in) == 0;
        if killed {
            thread::sleep(Duration::from_micros(random.below(60_000)));
            // It may have ended already.
            drop(child.kill());
        }
        let output = child.wait_with_output().expect("the binary ends");
        let code = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or_default());
        let stderr = String::from_utf8_lossy(&output.stderr);
        // Done; done with problems; no such thing (any more); busy; killed by this test.
        let is_fine = matches!(code, 0 | 3 | 4 | 5) || (killed && code == KILLED);
        if !is_fine || stderr.contains("panicked") {
            self.fault(format!("{} ended with {code}: {stderr}", args.join(" ")));
        }
        let name = args.iter().find(|arg| !arg.starts_with('-')).copied().unwrap_or_default();
        *self.ends.lock().expect("no thread panics with it").entry((name.to_owned(), code)).or_default() += 1;
        End { code, stdout: String::from_utf8_lossy(&output.stdout).into_owned() }
    }

    fn fault(&self, fault: String) {
        self.faults.lock().expect("no thread panics with it").push(fault);
    }

    fn goes_on(&self) -> bool {
        Instant::now() < self.end && self.faults.lock().expect("no thread panics with it").len() < 5
    }

    fn json(&self, end: &End) -> Value {
        serde_json::from_str(&end.stdout).unwrap_or_else(|error| {
            self.fault(format!("no document: {error}: {}", end.stdout));
            Value::Null
        })
    }

    /// Imports some wheels into the kept collection, always with the same bytes under a name, and notes what is acknowledged.
    fn import_kept(&self, random: &mut Random) {
        let paths: Vec<String> = (0..1 + random.below(4)).map(|_| source(0, random.below(WHEELS))).collect();
        let link = random.pick(&["auto", "copy", "hardlink"]);
        let mut args = vec!["--json", "import", "--collection", KEPT, "--link", link];
        args.extend(paths.iter().map(String::as_str));
        let end = self.run(random, 4, &args);
        if end.code == 0 {
            let document = self.json(&end);
            let mut acknowledged = self.acknowledged.lock().expect("no thread panics with it");
            for entry in document["distributions"].as_array().into_iter().flatten() {
                acknowledged.insert(text(&entry["filename"]), text(&entry["sha256"]));
            }
        }
    }

    /// Imports into the other collections, with either bytes under a name.
    fn import_busy(&self, random: &mut Random) {
        let contents = random.below(2);
        let paths: Vec<String> = (0..1 + random.below(6)).map(|_| source(contents, random.below(WHEELS))).collect();
        let (collection, link) = (random.pick(&BUSY), random.pick(&["auto", "copy", "hardlink"]));
        let mut args = vec!["import", "--collection", collection, "--link", link];
        args.extend(paths.iter().map(String::as_str));
        self.run(random, 3, &args);
    }

    fn take_away(&self, random: &mut Random) {
        let spec = format!("project-{}", random.below(WHEELS));
        let collection = random.pick(&BUSY);
        match random.below(4) {
            0 => self.run(random, 6, &["collection", "rollback", collection, "start"]),
            1 => self.run(random, 6, &["invalidate", "--all", "--yes", "--collection", collection]),
            _ => self.run(random, 6, &["invalidate", &spec, "--collection", collection]),
        };
    }

    fn collect(&self, random: &mut Random) {
        let end = self.run(random, 4, &["gc", "--grace", "0s"]);
        if end.code == 3 {
            self.fault(format!("gc has problems: {}", end.stdout));
        }
    }

    fn verify(&self, random: &mut Random) {
        let args: &[&str] = if random.below(2) == 0 { &["verify"] } else { &["verify", "--repair", "--parallel", "3"] };
        let end = self.run(random, 5, args);
        if end.code == 3 {
            self.fault(format!("verify has problems: {}", end.stdout));
        }
    }

    fn view(&self, random: &mut Random) {
        let (to, link, layout) = random.pick(&[
            ("views/kept", "symlink", "simple"),
            ("views/kept-flat", "copy", "flat"),
            ("views/cuda", "hardlink", "simple"),
        ]);
        let collection = if to == "views/cuda" { "cuda" } else { KEPT };
        // All may have been invalidated before: an empty tree is meant then.
        let args = ["view", "--collection", collection, "--to", to, "--link", link, "--layout", layout, "--replace"];
        let end = self.run(random, 4, &args);
        if end.code == 3 {
            self.fault(format!("a view left something out: {}", end.stdout));
        }
    }

    /// A lookup never fails and never gives wrong bytes, whatever else runs (T1, X11).
    fn look_up(&self, random: &mut Random) {
        let wheel = random.below(WHEELS);
        let collection = random.pick(&[KEPT, KEPT, BUSY[0], BUSY[1]]);
        let is_known = collection == KEPT && {
            let acknowledged = self.acknowledged.lock().expect("no thread panics with it");
            acknowledged.contains_key(&wheel_name(wheel))
        };
        let end = self.run(random, 0, &["--json", "lookup", &format!("project-{wheel}"), "--collection", collection]);
        if end.code != 0 {
            // Before the first import there is no such collection.
            if is_known || end.code != 4 {
                self.fault(format!(
                    "lookup of project-{wheel} in {collection} ended with {}: {}",
                    end.code, end.stdout
                ));
            }
            return;
        }
        let found = self.json(&end);
        match fs::read(text(&found["path"])) {
            Ok(bytes) if state::sha256(&bytes) == text(&found["sha256"]) => {}
            Ok(_) => self.fault(format!("lookup gave wrong bytes: {found}")),
            // Taken away and collected since.
            Err(error) if error.kind() == ErrorKind::NotFound && collection != KEPT => {}
            Err(error) => self.fault(format!("lookup gave what can't be read ({error}): {found}")),
        }
    }

    /// Reads a tree as a client does: what was shown of the kept collection stays readable while the tree is made anew.
    fn browse(&self) {
        let simple = self.env.path("views/kept/simple");
        let Some(root) = read_shown(&simple.join("index.html")) else { return };
        for (project, _) in state::links(&String::from_utf8_lossy(&root)) {
            let Some(page) = read_shown(&simple.join(&project).join("index.html")) else {
                self.fault(format!("{project} is listed and has no page"));
                continue;
            };
            for (filename, digest) in state::links(&String::from_utf8_lossy(&page)) {
                let bytes = read_shown(&simple.join(&project).join(&filename));
                if bytes.as_deref().map(state::sha256) != digest {
                    self.fault(format!(
                        "{filename} is listed with {digest:?}, and {} bytes are there",
                        bytes.map_or(0, |b| b.len())
                    ));
                }
            }
        }
    }
}

/// Reads a file of a tree. The folder that a path led to may be removed while it is walked: then the path leads elsewhere now.
fn read_shown(path: &Path) -> Option<Vec<u8>> {
    (0..5).find_map(|_| {
        let mut bytes = Vec::new();
        fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).ok().map(|_| bytes)
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn wheel(contents: u64, number: u64) -> Wheel {
    let size = usize::try_from(20_000 * (1 + number * number)).expect("a wheel is small");
    Wheel::new(&format!("project-{number}"), "1.0").payload(size, 100 * contents + number)
}

fn source(contents: u64, number: u64) -> String {
    format!("src/{contents}/{}", wheel_name(number))
}

fn wheel_name(number: u64) -> String {
    format!("project_{number}-1.0-py3-none-any.whl")
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

#[test]
fn processes_that_are_killed_at_random_lose_nothing_that_was_acknowledged() {
    let seed = number("WCAS_TEST_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("WCAS_TEST_SEED={seed}");
    let env = Env::new();
    for (contents, number) in (0..2).flat_map(|contents| (0..WHEELS).map(move |number| (contents, number))) {
        wheel(contents, number).write_to(env.path(format!("src/{contents}")));
    }
    env.ok(["collection", "create", KEPT]);
    for collection in BUSY {
        env.ok(["import", &source(0, 1), "--collection", collection]);
        // A snapshot keeps what can be rolled back to.
        env.ok(["collection", "snapshot", collection, "start"]);
    }
    let end = Instant::now() + Duration::from_secs(number("WCAS_TEST_SECONDS").unwrap_or(15));
    let (acknowledged, faults, ends) = (Mutex::default(), Mutex::default(), Mutex::default());
    let stage = Stage { env, end, acknowledged, faults, ends };
    let parts: [fn(&Stage, &mut Random); 10] = [
        Stage::import_kept,
        Stage::import_kept,
        Stage::import_busy,
        Stage::import_busy,
        Stage::take_away,
        Stage::collect,
        Stage::verify,
        Stage::view,
        Stage::look_up,
        |stage, _| stage.browse(),
    ];
    thread::scope(|scope| {
        for (part, number) in parts.into_iter().zip(1..) {
            let stage = &stage;
            scope.spawn(move || {
                let mut random = Random(seed.wrapping_mul(1000) + number);
                while stage.goes_on() {
                    part(stage, &mut random);
                }
            });
        }
    });
    let Stage { env, acknowledged, faults, ends, .. } = stage;
    let ends = ends.into_inner().expect("no thread panics with it");
    println!("{ends:?}");
    let faults = faults.into_inner().expect("no thread panics with it");
    assert!(faults.is_empty(), "WCAS_TEST_SEED={seed}:\n{}", faults.join("\n"));
    let busy: u32 = ends.iter().filter(|((_, code), _)| *code == 5).map(|(_, count)| count).sum();
    assert!(busy * 20 <= ends.values().sum(), "busy is rare: {ends:?}");
    check_end(&env, &acknowledged.into_inner().expect("no thread panics with it"));
}

/// What must be true when all is over.
fn check_end(env: &Env, acknowledged: &BTreeMap<String, String>) {
    let (store, none) = (env.store(), BTreeSet::new());
    assert_eq!(state::unsound(&store, &none), Vec::<String>::new());
    env.ok(["gc", "--grace", "0s"]);
    state::collect(&store, 0);
    assert_eq!(state::unsound(&store, &none), Vec::<String>::new());
    assert_eq!(state::leftovers(&store), Vec::<String>::new());
    assert_eq!(env.json(["verify"])["problems"], Value::Array(Vec::new()));
    assert_eq!(state::names(&store.join("quarantine")), Vec::<String>::new(), "nothing was ever bad");

    assert!(!acknowledged.is_empty(), "some imports must have come to their end");
    let listed = env.json(["list", "--collection", KEPT]);
    let listed: BTreeMap<String, String> = listed["distributions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| (text(&entry["filename"]), text(&entry["sha256"])))
        .collect();
    for (filename, sha256) in acknowledged {
        assert_eq!(listed.get(filename), Some(sha256), "{filename} was acknowledged");
        let path = env.json(["lookup", filename, "--collection", KEPT]);
        let bytes = fs::read(text(&path["path"])).expect("what lookup gives can be read");
        assert_eq!(state::sha256(&bytes), *sha256, "{filename} has its bytes");
    }
    let views: [(&str, &[&str]); 2] =
        [("views/kept", &[]), ("views/kept-flat", &["--layout", "flat", "--link", "copy"])];
    for (to, more) in views {
        let args = ["view", "--collection", KEPT, "--to", to];
        env.ok(args.iter().chain(more));
        let shown = state::tree(&env.path(to));
        let files = shown.iter().filter(|(path, _)| path.ends_with(".whl"));
        let files: BTreeMap<String, String> = files
            .map(|(path, digest)| (path.rsplit('/').next().unwrap_or_default().to_owned(), digest.clone()))
            .collect();
        assert_eq!(files, listed, "{to} shows the collection");
    }
}
