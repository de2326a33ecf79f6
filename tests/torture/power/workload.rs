//! What goes on while the power goes: several who import, upload, show, drop, repair and clean up, at once.
//!
//! Each works on collections and trees of its own, so that what must be there after its n-th act is known.

use super::actors::{Act, Actor, actors};
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
/// Another, whose manifest is made anew, and its backup.
pub(super) const ALONE: &str = "near/alone";
pub(super) const BACKUP: &str = "far/backup";
/// A node, and the share that it is one of, on the other disk.
pub(super) const NODE: &str = "near/node";
pub(super) const SHARE: &str = "far/share";
/// All syncs that a program can ask for: what the control leaves out.
const SYNCS: &str = "fsync,fdatasync,syncfs,sync_file_range,sync";

/// Who changes settings.
const SETTLER: &str = "refs";

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
    pub(super) actor: Actor,
    pub(super) times: Vec<(u64, u64)>,
    pub(super) seen: Vec<Seen>,
}

impl Course {
    /// Returns the number of acts that were acknowledged at a moment, and of those that had begun.
    pub(super) fn progress(&self, moment: u64) -> (usize, usize) {
        let count = |is: &dyn Fn(&(u64, u64)) -> bool| self.times.iter().take_while(|times| is(times)).count();
        (count(&|times| times.1 <= moment), count(&|times| times.0 < moment))
    }
}

/// Runs a command that must be acknowledged; in the control, syncs are told as done and aren't.
pub(super) fn run(env: &Env, store: &str, act: &str, is_control: bool) -> Result<String, String> {
    let mut command = env.command(act.split(' '));
    command.env("WCAS_STORE", env.path(store));
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
fn upload(env: &Env, server: &WcasServer, project: &str) -> Result<(), String> {
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

/// Looks at what actors of the store that most share did, from outside.
pub(super) fn look(env: &Env, actors: &[&Actor]) -> Result<Vec<Seen>, String> {
    let rows = list(env, STORE)?;
    // Only one of them changes settings.
    let has_settings = actors.iter().any(|actor| actor.name == SETTLER);
    let settings = if has_settings { run(env, STORE, "config show", false)? } else { String::new() };
    let see = |actor: &&Actor| {
        let is_own = |collection: &str| {
            collection.strip_prefix(actor.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let own = rows.iter().filter(|(collection, _)| is_own(collection));
        let trees = actor.trees.iter().map(|name| ((*name).to_owned(), state::tree(&env.path(name)))).collect();
        let head = format!("[collections.{}]", actor.name);
        let lines = settings.lines().skip_while(|line| *line != head).skip(1);
        let settings = lines.take_while(|line| actor.name == SETTLER && !line.starts_with('[')).collect::<Vec<_>>();
        Seen { listing: own.map(|(_, line)| line.clone()).collect(), trees, settings: settings.join("\n") }
    };
    Ok(actors.iter().map(see).collect())
}

/// Looks at the store that is alone, and at its backup.
pub(super) fn look_alone(env: &Env) -> Result<Seen, String> {
    let lines = |store: &str| -> Result<Vec<String>, String> {
        // wcas.json gets its name last, when all is on the disk: a folder without it is no store yet.
        let is_store = env.path(store).join("wcas.json").exists();
        let rows = if is_store { list(env, store)? } else { Vec::new() };
        Ok(rows.into_iter().map(|(_, line)| line).collect())
    };
    let backup = lines(BACKUP)?.into_iter().map(|line| (line.clone(), state::sha256(line.as_bytes()))).collect();
    let trees = BTreeMap::from([(BACKUP.to_owned(), backup)]);
    Ok(Seen { listing: lines(ALONE)?, trees, settings: String::new() })
}

/// Looks at what a store has, by a folder that knows of it.
pub(super) fn look_at(env: &Env, store: &str) -> Result<Seen, String> {
    let listing = list(env, store)?.into_iter().map(|(_, line)| line).collect();
    Ok(Seen { listing, trees: BTreeMap::new(), settings: String::new() })
}

/// Lists a store: collections with lines, sorted.
fn list(env: &Env, store: &str) -> Result<Vec<(String, String)>, String> {
    let text = run(env, store, "list --json", false)?;
    let document: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    let line = |row: &serde_json::Value| {
        let line = ["collection", "filename", "sha256", "size", "yanked"].map(|field| row[field].to_string()).join(" ");
        (row["collection"].as_str().unwrap_or_default().to_owned(), line)
    };
    let mut rows: Vec<_> = document["distributions"].as_array().ok_or("no list")?.iter().map(line).collect();
    rows.sort();
    Ok(rows)
}

/// Does one thing of a course; what it returns without an error was acknowledged.
pub(super) fn act(
    env: &Env,
    server: Option<&WcasServer>,
    actor: &Actor,
    act: &Act,
    is_control: bool,
) -> Result<(), String> {
    match act {
        Act::Run(args) => run(env, actor.store, args, is_control).map(drop),
        Act::Upload(project) => upload(env, server.ok_or("no server")?, project),
        Act::Backup => {
            drop(fs::remove_dir_all(env.path(BACKUP)));
            fs::create_dir_all(env.path(BACKUP)).map_err(|error| error.to_string())?;
            let manifest = rusqlite::Connection::open(env.path(ALONE).join("manifest.sqlite"));
            let copy = env.path(BACKUP).join("manifest.sqlite");
            let copy = copy.to_str().expect("a temporary folder's path is UTF-8");
            manifest.and_then(|it| it.execute("VACUUM INTO ?1", [copy])).map_err(|error| error.to_string())?;
            shell(
                env,
                "cd near/alone; cp -a blobs filenames ../../far/backup; cp wcas.json ../../far/backup/new; sync -f ../../far/backup; \
                 mv ../../far/backup/new ../../far/backup/wcas.json; sync -f ../../far/backup",
            )
        }
        Act::Restore => shell(
            env,
            "cd near/alone; cp ../../far/backup/manifest.sqlite new; sync -f .; rm -f manifest.sqlite-wal manifest.sqlite-shm; mv new manifest.sqlite; \
             cp -an ../../far/backup/blobs .; sync -f .",
        ),
    }
}

/// Runs what an operator types.
fn shell(env: &Env, script: &str) -> Result<(), String> {
    let output = Command::new("sh").args(["-ec", script]).current_dir(env.path("")).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("`{script}`: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Lets everybody work at once on recorded disks; each act has the moments of its begin and its end.
pub(super) fn work(env: &Env, recorder: &Recorder, is_control: bool, seed: u64) -> Vec<Course> {
    let server = serve(env);
    let tracer = is_control.then(|| leave_out_syncs(server.pid()));
    let is_over = AtomicBool::new(false);
    let courses = std::thread::scope(|scope| {
        let noise = scope.spawn(|| make_noise(env, &is_over, Random(seed)));
        let one = |actor, number| {
            let server = &server;
            move || go(env, recorder, actor, server, is_control, Random(seed ^ number))
        };
        let threads: Vec<_> =
            actors().into_iter().zip(1..).map(|(actor, number)| scope.spawn(one(actor, number))).collect();
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
    actor: Actor,
    server: &WcasServer,
    is_control: bool,
    mut random: Random,
) -> Course {
    let see = || {
        let seen = match actor.store {
            ALONE => look_alone(env),
            NODE => look_at(env, NODE),
            _ => look(env, &[&actor]).map(|mut it| it.remove(0)),
        };
        seen.unwrap_or_else(|error| panic!("{}: {error}", actor.name))
    };
    let (mut times, mut all_seen) = (Vec::new(), vec![see()]);
    for act in &actor.acts {
        std::thread::sleep(Duration::from_millis(random.below(60)));
        let begin = recorder.now();
        let done = self::act(env, Some(server), &actor, act, is_control);
        let end = recorder.now();
        done.unwrap_or_else(|error| panic!("{}: {error}", actor.name));
        times.push((begin, end));
        all_seen.push(see());
    }
    Course { actor, times, seen: all_seen }
}

/// Others on the same disk: each sync of theirs makes some of what the store wrote durable, in the filesystem's own order.
fn make_noise(env: &Env, is_over: &AtomicBool, mut random: Random) {
    let files = ["near", "far"].map(|disk| File::create(env.path(disk).join("noise")).expect("a file can be made"));
    while !is_over.load(Ordering::Relaxed) {
        let mut file = &files[usize::from(random.below(12) == 0)];
        file.write_all(&[1; 5000]).and_then(|()| file.sync_data()).expect("a file can be written");
        std::thread::sleep(Duration::from_millis(random.below(80)));
    }
}
