//! What goes on while the power goes: several who import, upload, show, drop, repair and clean up, at once.
//!
//! Each works on collections and trees of its own, so that what must be there after its n-th act is known.

use super::disk::Recorder;
use super::random::Random;
use super::state;
use crate::support::env::Env;
use crate::support::wcas_server::WcasServer;
use crate::support::wheels::Wheel;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Where the store is, seen from the environment's folder.
pub(super) const STORE: &str = "near/store";
/// All syncs that a program can ask for: what the control leaves out.
const SYNCS: &str = "fsync,fdatasync,syncfs,sync_file_range,sync";

/// Who changes settings.
const SETTLER: &str = "refs";

/// One thing that is done and acknowledged.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// A command, which ends with 0.
    Run(String),
    /// An upload of this project, which is answered with 200.
    Upload(String),
}

/// Somebody who does one thing after the other.
#[derive(Debug)]
pub(super) struct Actor {
    /// Collections are called so, or begin so.
    pub(super) name: &'static str,
    pub(super) acts: Vec<Act>,
    pub(super) trees: &'static [&'static str],
}

/// What was seen of an actor's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) listing: Vec<String>,
    pub(super) trees: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) settings: String,
}

/// How an actor's acts went: when each began and was acknowledged, and what was seen before the first and after each.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) times: Vec<(u64, u64)>,
    pub(super) seen: Vec<Seen>,
}

/// Everybody.
pub(super) fn actors() -> Vec<Actor> {
    let actor = |name, trees, acts: &[&str]| {
        let act = |act: &&str| match act.strip_prefix("upload ") {
            Some(project) => Act::Upload(project.to_owned()),
            None => Act::Run((*act).to_owned()),
        };
        Actor { name, trees, acts: acts.iter().map(act).collect() }
    };
    vec![
        actor(
            "copy",
            &["near/views/copy", "far/views/copy"],
            &[
                "import near/src/copy-0 --collection copy --link copy",
                "view --collection copy --to near/views/copy",
                "view --collection copy --to far/views/copy",
                "import far/src/copy-1 --collection copy --link copy",
                "view --collection copy --to far/views/copy",
                "import near/src/copy-2 --collection copy",
                "view --collection copy --to near/views/copy",
                "view --collection copy --to far/views/copy",
            ],
        ),
        actor(
            "hard",
            &["near/views/hard", "far/views/hard"],
            &[
                "import near/src/hard-0 --collection hard --link hardlink",
                "view --collection hard --to near/views/hard --link hardlink",
                "view --collection hard --to far/views/hard --layout flat",
                "import near/src/hard-1 --collection hard --link hardlink",
                "view --collection hard --to near/views/hard --link hardlink",
                "view --collection hard --to far/views/hard --layout flat",
                "import near/src/hard-2 --collection hard --link hardlink",
            ],
        ),
        actor(
            "clone",
            &["near/views/clone", "far/views/clone"],
            &[
                "import near/src/clone-0 --collection clone --link auto",
                "view --collection clone --to near/views/clone --layout flat --link reflink",
                "view --collection clone --to far/views/clone --link copy",
                "import near/src/clone-1 --collection clone --link auto",
                "view --collection clone --to near/views/clone --layout flat --link reflink",
                "view --remove far/views/clone",
                "import near/src/clone-2 --collection clone",
            ],
        ),
        actor(
            "move",
            &[],
            &[
                "import near/src/move-0 --collection move --link move",
                "import far/src/move-1 --collection move --link move",
                "import near/src/move-2 --collection move --link move",
            ],
        ),
        actor(
            "sent",
            &[],
            &["upload sent-0-0", "upload sent-0-1", "upload sent-0-2", "upload sent-0-3", "upload sent-0-4"],
        ),
        actor(
            "refs",
            &["near/views/refs"],
            &[
                "invalidate refs-0-0 --collection refs",
                "undo",
                "collection promote refs refs-two refs-0-1",
                "gc --grace 0s",
                "config apply near/one.toml",
                "invalidate refs-0-2 --collection refs",
                "gc --grace 0s",
                "view --collection refs --to near/views/refs",
                "yank refs-0-3 --collection refs",
                "collection snapshot refs good",
                "config apply near/two.toml",
                "gc --grace 0s",
            ],
        ),
        actor(
            "sick",
            &["far/views/sick"],
            &["verify --repair", "view --collection sick --to far/views/sick --link copy"],
        ),
    ]
}

/// Prepares the disks that all rounds begin with: sources, a store with some collections, one with a rotten blob.
pub(super) fn prepare(env: &Env) {
    for (number, name) in ["copy", "hard", "clone", "move", "sent", "refs", "sick", "waste"].into_iter().enumerate() {
        for batch in 0..3 {
            let is_far = (name, batch) == ("copy", 1) || (name, batch) == ("move", 1);
            let dir = env.path(if is_far { "far/src" } else { "near/src" }).join(format!("{name}-{batch}"));
            // Some small ones, and one of several pieces.
            for (file, size) in [3000, 70_000, 12_000, 900_000, 400].into_iter().enumerate() {
                let seed = (number * 100 + batch * 10 + file) as u64;
                Wheel::new(&format!("{name}-{batch}-{file}"), "1.0").payload(size, seed).write_to(&dir);
            }
        }
    }
    for (file, keep) in [("one", 50), ("two", 60)] {
        fs::write(env.path(format!("near/{file}.toml")), format!("[collections.refs]\nkeep-builds = {keep}\n"))
            .expect("a file can be written");
    }
    for act in [
        "collection create sent",
        "import near/src/refs-0 --collection refs",
        "import near/src/sick-0 --collection sick",
        "view --collection sick --to far/views/sick --link copy",
        "import near/src/waste-0 near/src/waste-1 --collection waste",
        "invalidate --all --yes --collection waste",
    ] {
        run(env, act, false).unwrap_or_else(|error| panic!("{error}"));
    }
    for number in [1, 3] {
        let blob = state::blob_path(&env.path(STORE), &rotten(number));
        let mut bytes = fs::read(&blob).expect("a blob can be read");
        bytes[200] ^= 1;
        fs::write(&blob, bytes).expect("a blob can be written");
    }
}

/// Returns the digests of the blobs that are rotten from the beginning.
pub(super) fn rotten_blobs() -> std::collections::BTreeSet<String> {
    [1, 3].into_iter().map(rotten).collect()
}

fn rotten(number: usize) -> String {
    let size = [3000, 70_000, 12_000, 900_000][number];
    let wheel = Wheel::new(&format!("sick-0-{number}"), "1.0").payload(size, 600 + number as u64);
    blake3::hash(&wheel.bytes()).to_hex().to_string()
}

/// Runs a command that must be acknowledged; in the control, syncs are told as done and aren't.
pub(super) fn run(env: &Env, act: &str, is_control: bool) -> Result<String, String> {
    let mut command = env.command(act.split(' '));
    command.env("WCAS_STORE", env.path(STORE));
    if is_control {
        command = without_syncs(&command);
    }
    let output = command.current_dir(env.path("")).output().expect("the binary starts");
    // What is rotten from the beginning is told until it is repaired.
    let is_good = output.status.success() || act.starts_with("verify") && output.status.code() == Some(3);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if is_good {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("`wcas {act}` ends with {}: {said}", output.status))
    }
}

/// Runs the same with a tracer that skips all syncs.
fn without_syncs(command: &Command) -> Command {
    let mut traced = Command::new("strace");
    let (trace, inject) = (format!("trace={SYNCS}"), format!("inject={SYNCS}:retval=0"));
    traced.args(["-f", "--seccomp-bpf", "-o", "/dev/null", "-e", &trace, "-e", &inject]);
    traced.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null()).env_clear();
    traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced
}

/// Skips the syncs of a process that runs.
fn leave_out_syncs(pid: u32) -> Child {
    let (trace, inject) = (format!("trace={SYNCS}"), format!("inject={SYNCS}:retval=0"));
    let mut tracer = Command::new("strace");
    tracer.args(["-f", "-q", "-o", "/dev/null", "-e", &trace, "-e", &inject, "-p", &pid.to_string()]);
    let tracer = tracer.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace starts");
    let status = format!("/proc/{pid}/status");
    let is_traced = || fs::read_to_string(&status).is_ok_and(|text| !text.contains("TracerPid:\t0"));
    while !is_traced() {
        std::thread::sleep(Duration::from_millis(10));
    }
    // The other threads, too.
    std::thread::sleep(Duration::from_millis(300));
    tracer
}

/// A server on the store, which takes uploads from anybody.
pub(super) fn serve(env: &Env) -> WcasServer {
    let store = env.path(STORE);
    let store = store.to_str().expect("a temporary folder's path is UTF-8");
    WcasServer::start_with(env, &["--anonymous", "upload"], &[("WCAS_STORE", store)])
}

/// Uploads a wheel of the prepared sources.
pub(super) fn upload(env: &Env, server: &WcasServer, project: &str) -> Result<(), String> {
    let filename = Wheel::new(project, "1.0").filename();
    let bytes =
        fs::read(env.path("near/src/sent-0").join(&filename)).map_err(|error| format!("{filename}: {error}"))?;
    let mut body = Vec::new();
    for (name, value) in
        [(":action", "file_upload"), ("protocol_version", "1"), ("sha256_digest", &*state::sha256(&bytes))]
    {
        body.extend(format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    let head = format!("--limit\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{filename}\"\r\n\r\n");
    let body = [&body[..], head.as_bytes(), &bytes, b"\r\n--limit--\r\n"].concat();
    let kind = ("Content-Type", "multipart/form-data; boundary=limit");
    let heard = server.connect().post("/sent/legacy/", &[kind], &body);
    if heard.status == 200 { Ok(()) } else { Err(format!("an upload of {filename} is answered with {heard}")) }
}

/// Looks at what actors did, from outside.
pub(super) fn look(env: &Env, actors: &[&Actor]) -> Result<Vec<Seen>, String> {
    let text = run(env, "list --json", false)?;
    let document: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    let rows = document["distributions"].as_array().ok_or("no list")?;
    // Only one of them changes settings.
    let has_settings = actors.iter().any(|actor| actor.name == SETTLER);
    let settings = if has_settings { run(env, "config show", false)? } else { String::new() };
    actors
        .iter()
        .map(|actor| {
            let is_own = |collection: &str| {
                collection.strip_prefix(actor.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            };
            let own = rows.iter().filter(|row| row["collection"].as_str().is_some_and(is_own));
            let line = |row: &serde_json::Value| {
                ["collection", "filename", "sha256", "size", "yanked"].map(|field| row[field].to_string()).join(" ")
            };
            let mut listing: Vec<String> = own.map(line).collect();
            listing.sort();
            let trees = actor.trees.iter().map(|name| ((*name).to_owned(), state::tree(&env.path(name)))).collect();
            let head = format!("[collections.{}]", actor.name);
            let lines = settings.lines().skip_while(|line| *line != head).skip(1);
            let settings = lines.take_while(|line| actor.name == SETTLER && !line.starts_with('[')).collect::<Vec<_>>();
            Ok(Seen { listing, trees, settings: settings.join("\n") })
        })
        .collect()
}

/// Lets everybody work at once on recorded disks; each act has the moments of its begin and its end.
pub(super) fn work(env: &Env, recorder: &Recorder, is_control: bool, seed: u64) -> Vec<Course> {
    let server = serve(env);
    let tracer = is_control.then(|| leave_out_syncs(server.pid()));
    let is_over = AtomicBool::new(false);
    let actors = actors();
    let courses = std::thread::scope(|scope| {
        let noise = scope.spawn(|| make_noise(env, &is_over, Random(seed)));
        let one = |actor, number| {
            let server = &server;
            move || go(env, recorder, actor, server, is_control, Random(seed ^ number))
        };
        let threads: Vec<_> = actors.iter().zip(1..).map(|(actor, number)| scope.spawn(one(actor, number))).collect();
        let courses: Vec<_> = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        drop(noise.join());
        courses.into_iter().map(|course| course.expect("an actor's work goes well")).collect()
    });
    server.kill();
    if let Some(mut tracer) = tracer {
        drop(tracer.kill());
        drop(tracer.wait());
    }
    courses
}

/// One actor's work.
fn go(
    env: &Env,
    recorder: &Recorder,
    actor: &Actor,
    server: &WcasServer,
    is_control: bool,
    mut random: Random,
) -> Course {
    let see = || look(env, &[actor]).unwrap_or_else(|error| panic!("{}: {error}", actor.name)).remove(0);
    let mut course = Course { times: Vec::new(), seen: vec![see()] };
    for act in &actor.acts {
        std::thread::sleep(Duration::from_millis(random.below(60)));
        let begin = recorder.now();
        let done = match act {
            Act::Run(args) => run(env, args, is_control).map(drop),
            Act::Upload(project) => upload(env, server, project),
        };
        let end = recorder.now();
        done.unwrap_or_else(|error| panic!("{}: {error}", actor.name));
        course.times.push((begin, end));
        course.seen.push(see());
    }
    course
}

/// Others on the same disk: each sync of theirs makes some of what the store wrote durable, in the filesystem's own order.
fn make_noise(env: &Env, is_over: &AtomicBool, mut random: Random) {
    let files = ["near", "far"].map(|disk| File::create(env.path(disk).join("noise")).expect("a file can be made"));
    while !is_over.load(Ordering::Relaxed) {
        let mut file = &files[usize::from(random.below(3) == 0)];
        file.write_all(&[1; 5000]).and_then(|()| file.sync_data()).expect("a file can be written");
        std::thread::sleep(Duration::from_millis(random.below(80)));
    }
}
