//! A bucket of the tests' own: SeaweedFS, a real server that speaks S3, beside `$WCAS_TEST_PEERS`.

#![allow(dead_code, clippy::unwrap_used, reason = "each test crate uses its own part, and tests may panic")]

use super::env::Env;
use super::skip::skip;
use super::wait::until;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// Who may use the bucket, and the secret.
pub(crate) const KEY: &str = "wcastest";
pub(crate) const SECRET: &str = "wcastestsecret0123456789";

/// A running SeaweedFS with a bucket `wcas`.
#[derive(Debug)]
pub(crate) struct Weed {
    child: Child,
    pub(crate) address: String,
    _dir: TempDir,
}

impl Drop for Weed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn program() -> Option<PathBuf> {
    let python = PathBuf::from(std::env::var_os("WCAS_TEST_PEERS")?);
    Some(python.with_file_name("weed")).filter(|weed| weed.exists())
}

impl Weed {
    fn start() -> Option<Self> {
        let Some(weed) = program() else {
            skip("WCAS_TEST_PEERS has no SeaweedFS: buckets are not tested");
            return None;
        };
        if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
            skip("there is no curl, which makes the bucket: buckets are not tested");
            return None;
        }
        let dir = TempDir::with_prefix("wcas-weed-").unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        let identities = format!(
            r#"{{"identities":[{{"name":"wcas","credentials":[{{"accessKey":"{KEY}","secretKey":"{SECRET}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
        );
        fs::write(dir.path().join("s3.json"), identities).unwrap();
        let ports = free_ports(8);
        let log = File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(weed);
        command.args(["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"]);
        command.args(["-master.volumeSizeLimitMB=128", "-volume.max=8", "-volume.preStopSeconds=0", "-filer", "-s3"]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
        command.arg(format!("-dir={}", dir.path().join("data").display()));
        command.arg(format!("-s3.config={}", dir.path().join("s3.json").display()));
        let names = [
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "s3.port",
            "s3.port.grpc",
        ];
        command.args(names.iter().zip(&ports).map(|(name, port)| format!("-{name}={port}")));
        command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let weed = Self { child: command.spawn().unwrap(), address: format!("127.0.0.1:{}", ports[6]), _dir: dir };
        // An open port is not enough: a volume server must have come, too.
        until("the bucket can be written", || {
            weed.ask("PUT", "/wcas", "").is_some_and(|status| status == 200 || status == 409)
                && weed.ask("PUT", "/wcas/.ready", "x") == Some(200)
        });
        Some(weed)
    }

    /// Asks with credentials, by a client that signs; returns the answer's status.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Option<u16> {
        let args = ["-o", "/dev/null", "-w", "%{http_code}", "-X", method, "--data-binary", body];
        self.curl(&args, path)?.parse().ok()
    }

    /// Returns the keys that begin with this, at most a thousand.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let found = self.curl(&[], &format!("/wcas?list-type=2&prefix={}", prefix.replace('/', "%2F"))).unwrap();
        assert!(found.contains("<IsTruncated>false"), "{found}");
        let keys = found.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap().to_owned());
        keys.collect()
    }

    fn curl(&self, args: &[&str], path: &str) -> Option<String> {
        let mut command = Command::new("curl");
        command.args(["-s", "--max-time", "5", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        command.args(["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &format!("{KEY}:{SECRET}")]).args(args);
        let output = command.arg(format!("http://{}{path}", self.address)).output().ok()?;
        String::from_utf8(output.stdout).ok()
    }
}

/// The server that all tests of a crate have in common: each has a prefix of its own.
pub(crate) fn weed() -> Option<&'static Weed> {
    static WEED: OnceLock<Option<Weed>> = OnceLock::new();
    WEED.get_or_init(|| Weed::start().inspect(|weed| end_with_us(weed.child.id()))).as_ref()
}

/// A value that lives as long as the process is never dropped: a process that waits for our end ends the server.
#[expect(clippy::zombie_processes, reason = "nobody waits for what ends after us")]
pub(crate) fn end_with_us(pid: u32) {
    let wait = format!("while kill -0 {} 2>/dev/null; do sleep 0.2; done; kill -9 {pid}", std::process::id());
    Command::new("sh")
        .args(["-c", &wait])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
}

/// Gives all commands of an environment what the bucket asks for, and returns the arguments that say a share of its own in it, asked at
/// an address.
pub(crate) fn place(env: &mut Env, address: &str) -> [String; 6] {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    env.set("AWS_ACCESS_KEY_ID", KEY);
    env.set("AWS_SECRET_ACCESS_KEY", SECRET);
    let url = format!("s3://wcas/share{}", NEXT.fetch_add(1, Ordering::Relaxed));
    ["--share", &url, "--endpoint", &format!("http://{address}"), "--region", "us-east-1"].map(str::to_owned)
}
