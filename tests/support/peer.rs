//! Servers that people run beside ours: pypiserver, devpi, proxpi.
//!
//! `$WCAS_TEST_PEERS` is the interpreter that `tests/peers.sh` printed; without it a test says so and passes.

#![allow(dead_code, clippy::unwrap_used, reason = "each test crate uses its own part, and tests may panic")]

use super::env::Env;
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that ends with the test.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    /// Where it answers, without a slash at the end.
    pub(crate) url: String,
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns a command of the peers' environment that knows nothing of the outside.
#[allow(clippy::print_stdout, reason = "it says what it skips")]
pub(crate) fn program(env: &Env, name: &str) -> Option<Command> {
    let Some(python) = std::env::var_os("WCAS_TEST_PEERS").map(PathBuf::from) else {
        super::skip::skip("WCAS_TEST_PEERS is not set; run tests/peers.sh");
        return None;
    };
    let mut command = Command::new(python.with_file_name(name));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", env.path("home")).env("TMPDIR", env.path("tmp"));
    command.current_dir(env.path("")).stdin(Stdio::null()).stdout(Stdio::null());
    let log = fs::File::options().create(true).append(true).open(env.path("peer.log")).unwrap();
    command.stderr(log);
    Some(command)
}

/// Starts a server on a free port, which replaces `PORT`, and waits until it answers.
pub(crate) fn start<A: AsRef<OsStr>>(
    env: &Env,
    name: &str,
    vars: &[(&str, &str)],
    args: impl Fn(&str) -> Vec<A>,
) -> Option<Peer> {
    let mut command = program(env, name)?;
    command.envs(vars.iter().copied());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = command.args(args(&port.to_string())).spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut peer = Peer { child, url: format!("http://127.0.0.1:{port}") };
    let begin = Instant::now();
    while http().get(&peer.url).send().is_err() {
        let log = || fs::read_to_string(env.path("peer.log")).unwrap();
        assert!(peer.child.try_wait().unwrap().is_none(), "{name} ended: {}", log());
        assert!(begin.elapsed() < Duration::from_secs(60), "{name} does not answer: {}", log());
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(peer)
}

/// A client of the test's own, without proxies.
pub(crate) fn http() -> reqwest::blocking::Client {
    // Another test may have done so already.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::blocking::Client::builder().no_proxy().build().unwrap()
}
