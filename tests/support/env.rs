//! The real binary in a hermetic environment: a temporary folder, a store in it, and no variable from outside but PATH.

#![allow(dead_code, reason = "each test crate uses its own part")]

use super::bucket::{self, Weed, weed};
use super::postgres::{Postgres, postgres};
use super::wait::is_in_time;
use super::wheels::Wheel;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::{Deref, DerefMut};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

/// The name of the test crate, whose end says what its stores are.
const CRATE: &str = env!("CARGO_CRATE_NAME");

/// A temporary folder with a store to be made in it; commands run with the folder as their working directory.
///
/// At its end nothing that works may be left in the store: no session, no lock that is held, no staged file, no command that runs.
#[derive(Debug)]
pub(crate) struct Env {
    root: PathBuf,
    /// Why something is left, where a test wants it so.
    left: OnceLock<&'static str>,
    /// A share of it is with each command that was spawned.
    spawned: Arc<()>,
    /// What all commands have in their environment.
    variables: Vec<(String, String)>,
    _dir: TempDir,
}

impl Env {
    /// Makes the folder; the store itself is left to the first command.
    pub(crate) fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    /// Makes one whose store has these wheels, imported from the folder `in`.
    pub(crate) fn filled(wheels: impl IntoIterator<Item = Wheel>) -> Self {
        let env = Self::new();
        for wheel in wheels {
            wheel.write_to(env.path("in"));
        }
        env.ok(["import", "in"]);
        env
    }

    /// Makes the folder in another one.
    pub(crate) fn new_in(parent: &Path) -> Self {
        let engines = Self::is_in_bucket().then(engines);
        let dir = TempDir::with_prefix_in("wcas-test-", parent).expect("a temporary folder can be made");
        // The real path: what the binary prints after it resolved links can then be replaced.
        let root = dir.path().canonicalize().expect("a new folder has a path");
        for name in ["home", "tmp"] {
            fs::create_dir(root.join(name)).expect("a new folder can be written");
        }
        let mut env = Self { root, left: OnceLock::new(), spawned: Arc::new(()), variables: Vec::new(), _dir: dir };
        if Self::is_node() {
            let share = match engines {
                Some((weed, server)) => {
                    let place = bucket::place(&mut env, &weed.address).into_iter();
                    place.chain(["--log".to_owned(), server.url("wcas")]).collect()
                }
                None => vec!["--share".to_owned(), format!("file://{}", env.path("share").display())],
            };
            env.ok(["init".to_owned()].into_iter().chain(share));
        }
        env
    }

    /// Tells whether stores are nodes of shared ones: the same tests, once more, in a crate whose name says so.
    pub(crate) fn is_node() -> bool {
        CRATE.ends_with("_on_nodes") || Self::is_in_bucket() || std::env::var_os("WCAS_TEST_SHARED").is_some()
    }

    /// Tells whether their share is in a bucket, which only commands with this environment's variables may ask.
    pub(crate) fn is_in_bucket() -> bool {
        CRATE.ends_with("_on_bucket")
    }

    /// Tells whether a test has nothing to say of a node, for this reason.
    pub(crate) fn is_of_own_store_only(why: &str) -> bool {
        let is_skipped = Self::is_node();
        if is_skipped {
            super::skip(format_args!("not of a node: {why}"));
        }
        is_skipped
    }

    /// Gives all commands another environment variable.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Says that the test leaves something in the store on purpose, and why: its end is not looked at.
    pub(crate) fn leaves(&self, why: &'static str) {
        // The first reason is as good as the second.
        let _ = self.left.set(why);
    }

    /// Returns the path of `name` in the folder.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// Returns the store's path.
    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Returns the command to be run, for what the other methods do not offer.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_wcas"));
        command.args(args);
        command
    }

    /// Returns the command of a shell that starts ours.
    pub(crate) fn shell(&self, text: &str) -> Command {
        let mut command = self.program("sh");
        command.args(["-c", text]);
        command
    }

    fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null()).env_clear();
        command.env("WCAS_STORE", self.store()).env("HOME", self.path("home")).env("TMPDIR", self.path("tmp"));
        command.envs([("NO_COLOR", "1"), ("TZ", "UTC"), ("LC_ALL", "C"), ("USER", "unknown")]);
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.finish(&mut self.command(args), b"")
    }

    /// Runs a command with more environment variables.
    pub(crate) fn run_with_env<A: AsRef<OsStr>>(
        &self,
        vars: &[(&str, &str)],
        args: impl IntoIterator<Item = A>,
    ) -> Output {
        self.finish(self.command(args).envs(vars.iter().copied()), b"")
    }

    /// Runs a command that reads `stdin`.
    pub(crate) fn run_with_stdin<A: AsRef<OsStr>>(
        &self,
        stdin: impl AsRef<[u8]>,
        args: impl IntoIterator<Item = A>,
    ) -> Output {
        self.finish(self.command(args).stdin(Stdio::piped()), stdin.as_ref())
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub(crate) fn ok<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        let output = self.run(args);
        assert_eq!(output.code, 0, "the command must succeed:\n{output}");
        output
    }

    /// Runs a command with `--json` that must succeed, and returns its document.
    #[track_caller]
    pub(crate) fn json<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> serde_json::Value {
        let output = self.finish(self.command(["--json"]).args(args), b"");
        assert_eq!(output.code, 0, "the command must succeed:\n{output}");
        output.json()
    }

    /// Returns the filenames that `list` tells.
    #[track_caller]
    pub(crate) fn listed(&self, args: &[&str]) -> Vec<String> {
        let document = self.json([&["list"], args].concat());
        let rows = document["distributions"].as_array().expect("a list");
        rows.iter().map(|row| row["filename"].as_str().expect("a name").to_owned()).collect()
    }

    /// Starts a command and leaves it running: its stdout is a pipe, its stderr goes to the file `stderr` in the folder.
    pub(crate) fn spawn<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Running {
        self.spawn_with(&[], args)
    }

    /// Starts a command with more environment variables and leaves it running.
    pub(crate) fn spawn_with<A: AsRef<OsStr>>(
        &self,
        vars: &[(&str, &str)],
        args: impl IntoIterator<Item = A>,
    ) -> Running {
        let stderr = File::options().create(true).append(true).open(self.path("stderr"));
        let mut command = self.command(args);
        command.envs(vars.iter().copied());
        command.stdout(Stdio::piped()).stderr(stderr.expect("a new folder can be written"));
        Running(command.spawn().expect("the binary starts"), Arc::clone(&self.spawned))
    }

    /// Returns what is left in the store of those who worked in it.
    fn left(&self) -> Vec<String> {
        let names = |dir: &str| -> Vec<String> {
            let entries = fs::read_dir(self.store().join(dir)).into_iter().flatten().flatten();
            entries.map(|entry| format!("{dir}/{}", entry.file_name().display())).collect()
        };
        let mut left = [names("staging"), names("locks/sessions")].concat();
        // What is no file can't be locked, and a pipe can't be opened.
        let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        for name in names("locks") {
            let path = self.store().join(&name);
            if is_file(&path) && File::open(&path).is_ok_and(|file| file.try_lock().is_err()) {
                left.push(format!("{name}, which is held"));
            }
        }
        let sessions = self.sessions().unwrap_or_default();
        left.extend(sessions.into_iter().map(|command| format!("the session of {command:?}")));
        left.extend((Arc::strong_count(&self.spawned) > 1).then(|| "a command that runs".to_owned()));
        left
    }

    /// Returns the commands of the sessions; an error where the test has left no manifest that can be read.
    fn sessions(&self) -> rusqlite::Result<Vec<String>> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let manifest = rusqlite::Connection::open_with_flags(self.store().join("manifest.sqlite"), flags)?;
        manifest.prepare("SELECT command FROM session")?.query_map([], |row| row.get(0))?.collect()
    }

    fn finish(&self, command: &mut Command, stdin: &[u8]) -> Output {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let output = std::thread::scope(|scope| {
            if let Some(mut pipe) = child.stdin.take() {
                // A command that ends early closes its end: not this test's matter.
                scope.spawn(move || drop(pipe.write_all(stdin)));
            }
            child.wait_with_output().expect("the binary ends")
        });
        // A signal counts as in a shell.
        let signal = || 128 + output.status.signal().expect("a command without a code was ended by a signal");
        Output {
            code: output.status.code().unwrap_or_else(signal),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
            root: self.root.clone(),
        }
    }
}

/// Returns the servers that have the shares of a crate's stores, and their logs.
fn engines() -> (&'static Weed, &'static Postgres) {
    let (Some(weed), Some(server)) = (weed(), postgres()) else {
        // Each of them has said what is missing, once; no test of this crate has anything to say without it.
        std::process::exit(0);
    };
    (weed, server)
}

impl Drop for Env {
    fn drop(&mut self) {
        if std::thread::panicking() || self.left.get().is_some() {
            return;
        }
        // A process that another test starts has this one's descriptors, and so its locks, until it is another program.
        assert!(is_in_time(|| self.left().is_empty()), "the test leaves in the store: {:?}", self.left());
    }
}

/// What a command left; as text it is a snapshot that is the same in any folder.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// The exit code; 128 and the signal's number when one ended the command.
    pub(crate) code: i32,
    /// All of stdout, as it was.
    pub(crate) stdout: String,
    /// All of stderr, as it was.
    pub(crate) stderr: String,
    root: PathBuf,
}

impl Output {
    /// Reads stdout as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("stdout is not one document: {error}\n{self}"))
    }

    /// Returns a text with the temporary paths as `$STORE` and `$TMP`, and digests cut to eight digits.
    pub(crate) fn plain(&self, text: &str) -> String {
        let root = self.root.to_str().expect("a temporary folder's path is UTF-8");
        shorten_digests(&text.replace(&format!("{root}/store"), "$STORE").replace(root, "$TMP"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}", self.code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                write!(f, "\n--- {name}\n{}", self.plain(text).trim_end())?;
            }
        }
        Ok(())
    }
}

/// Cuts each run of exactly 64 hexadecimal digits to the first eight and an ellipsis.
fn shorten_digests(text: &str) -> String {
    let digit = |letter: char| matches!(letter, '0'..='9' | 'a'..='f');
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(digit) {
        let run = rest[start..].find(|letter| !digit(letter)).unwrap_or(rest.len() - start);
        let kept = if run == 64 { 8 } else { run };
        short += &rest[..start + kept];
        short += if run == 64 { "…" } else { "" };
        rest = &rest[start + run..];
    }
    short + rest
}

/// A command that still runs; it is killed when the test ends before it does.
#[derive(Debug)]
pub(crate) struct Running(Child, Arc<()>);

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the command has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
