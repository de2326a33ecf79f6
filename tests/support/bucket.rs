//! A bucket of the tests' own: SeaweedFS, a real server that speaks S3, beside `$WCAS_TEST_PEERS`.

#![allow(dead_code, clippy::unwrap_used, reason = "each test crate uses its own part, and tests may panic")]

use super::env::Env;
use super::skip::skip;
use super::wait::until;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
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
    dir: TempDir,
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

/// Returns the program, if a bucket can be had here; says loudly why not.
fn found() -> Option<PathBuf> {
    let Some(weed) = program() else {
        skip("WCAS_TEST_PEERS has no SeaweedFS: buckets are not tested");
        return None;
    };
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        skip("there is no curl, which makes the bucket: buckets are not tested");
        return None;
    }
    Some(weed)
}

/// Makes a folder for what servers keep, with who may ask them.
fn place_for_data() -> TempDir {
    let dir = TempDir::with_prefix("wcas-weed-").unwrap();
    let identities = format!(
        r#"{{"identities":[{{"name":"wcas","credentials":[{{"accessKey":"{KEY}","secretKey":"{SECRET}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
    );
    fs::write(dir.path().join("s3.json"), identities).unwrap();
    dir
}

fn run(weed: &Path, dir: &Path, args: &[String]) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
    let mut command = Command::new(weed);
    command.arg("-logtostderr=true").args(args).current_dir(dir);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

impl Weed {
    fn start() -> Option<Self> {
        let weed = found()?;
        let dir = place_for_data();
        fs::create_dir(dir.path().join("data")).unwrap();
        let ports = free_ports(8);
        let fixed = [
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=128",
            "-volume.max=8",
            "-volume.preStopSeconds=0",
            "-filer",
            "-s3",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ];
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
        let mut args: Vec<String> = fixed.map(str::to_owned).into();
        args.push(format!("-dir={}", dir.path().join("data").display()));
        args.push(format!("-s3.config={}", dir.path().join("s3.json").display()));
        args.extend(names.iter().zip(&ports).map(|(name, port)| format!("-{name}={port}")));
        let weed = Self { child: run(&weed, dir.path(), &args), address: format!("127.0.0.1:{}", ports[6]), dir };
        weed.wait();
        Some(weed)
    }

    /// Waits for the bucket. An open port is not enough: a volume server must have come, too.
    fn wait(&self) {
        until("the bucket can be written", || {
            self.ask("PUT", "/wcas", "").is_some_and(|status| status == 200 || status == 409)
                && self.ask("PUT", "/wcas/.ready", "x") == Some(200)
        });
    }

    /// Asks with credentials; returns the answer's status.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Option<u16> {
        ask(&self.address, method, path, body)
    }

    /// Returns the keys that begin with this, at most a thousand.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let path = format!("/wcas?list-type=2&prefix={}", prefix.replace('/', "%2F"));
        let found = curl(&self.address, &[], &path).unwrap();
        assert!(found.contains("<IsTruncated>false"), "{found}");
        let keys = found.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap().to_owned());
        keys.collect()
    }
}

/// Asks a bucket's server with credentials; returns the answer's status.
pub(crate) fn ask(address: &str, method: &str, path: &str, body: &str) -> Option<u16> {
    let args = ["-o", "/dev/null", "-w", "%{http_code}", "-X", method, "--data-binary", body];
    curl(address, &args, path)?.parse().ok()
}

/// Asks by a client that signs.
fn curl(address: &str, args: &[&str], path: &str) -> Option<String> {
    let mut command = Command::new("curl");
    command.args(["-s", "--max-time", "5", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
    command.args(["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &format!("{KEY}:{SECRET}")]).args(args);
    let output = command.arg(format!("http://{address}{path}")).output().ok()?;
    String::from_utf8(output.stdout).ok()
}

/// A SeaweedFS of several processes: two of three volume servers have each object.
#[derive(Debug)]
pub(crate) struct WeedCluster {
    master: Child,
    volumes: Vec<(Vec<String>, Option<Child>)>,
    filer: Child,
    weed: PathBuf,
    /// Asks the cluster's gateway.
    pub(crate) gateway: Weed,
}

impl Drop for WeedCluster {
    fn drop(&mut self) {
        let volumes = self.volumes.iter_mut().filter_map(|(_, child)| child.as_mut());
        for child in volumes.chain([&mut self.master, &mut self.filer]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl WeedCluster {
    /// Starts one; `None`, said loudly: it can't be had here.
    pub(crate) fn start() -> Option<Self> {
        let weed = found()?;
        let dir = place_for_data();
        let ports = free_ports(12).iter().map(u16::to_string).collect::<Vec<_>>();
        let run = |args: Vec<String>| run(&weed, dir.path(), &args);
        let at = |port: usize, options: [&str; 2]| {
            let numbers = options.iter().zip(&ports[port..]).map(|(option, number)| format!("-{option}={number}"));
            numbers.chain(["-ip.bind=127.0.0.1".to_owned()]).collect::<Vec<_>>()
        };
        let own = |name: &str, option: &str| {
            let own = dir.path().join(name);
            fs::create_dir(&own).unwrap();
            format!("-{option}={}", own.display())
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let master_at = format!("-master=127.0.0.1:{}.{}", ports[0], ports[1]);
        let mut args = words(&["master", "-ip=127.0.0.1", "-telemetry=false", "-defaultReplication=010"]);
        args.extend(words(&["-volumeSizeLimitMB=64", &own("master", "mdir")]));
        args.extend(at(0, ["port", "port.grpc"]));
        let master = run(args);
        let volumes = (0..3).map(|number| {
            let mut args =
                words(&["volume", "-ip=127.0.0.1", "-max=30", "-preStopSeconds=0", "-dataCenter=dc", &master_at]);
            args.extend(words(&[&format!("-rack=r{number}"), &own(&format!("volume{number}"), "dir")]));
            args.extend(at(2 + 2 * number, ["port", "port.grpc"]));
            let child = run(args.clone());
            (args, Some(child))
        });
        let volumes = volumes.collect();
        let mut args = words(&["filer", "-ip=127.0.0.1", "-defaultReplicaPlacement=010", &master_at]);
        args.push(own("filer", "defaultStoreDir"));
        args.extend(at(8, ["port", "port.grpc"]));
        let filer = run(args);
        let mut args = words(&["s3", "-port.iceberg=0", "-port.lance=0"]);
        args.push(format!("-filer=127.0.0.1:{}.{}", ports[8], ports[9]));
        args.push(format!("-config={}", dir.path().join("s3.json").display()));
        args.extend(at(10, ["port", "port.grpc"]));
        let gateway = Weed { child: run(args), address: format!("127.0.0.1:{}", ports[10]), dir };
        gateway.wait();
        Some(Self { master, volumes, filer, weed, gateway })
    }

    /// Kills a volume server as a loss of power does.
    pub(crate) fn kill(&mut self, number: usize) {
        let mut child = self.volumes[number].1.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts it again.
    pub(crate) fn revive(&mut self, number: usize) {
        let (args, child) = &mut self.volumes[number];
        *child = Some(run(&self.weed, self.gateway.dir.path(), args));
    }
}

/// The server that all tests of a crate have in common: each has a prefix of its own.
pub(crate) fn weed() -> Option<&'static Weed> {
    static WEED: OnceLock<Option<Weed>> = OnceLock::new();
    WEED.get_or_init(|| Weed::start().inspect(|weed| end_with_us(weed.child.id(), weed.dir.path()))).as_ref()
}

/// A value that lives as long as the process is never dropped: a process that waits for our end ends the server, and removes its folder.
#[expect(clippy::zombie_processes, reason = "nobody waits for what ends after us")]
pub(crate) fn end_with_us(pid: u32, dir: &Path) {
    let wait = format!(
        "while kill -0 {} 2>/dev/null; do sleep 0.2; done; kill -9 {pid}; sleep 1; rm -rf {}",
        std::process::id(),
        dir.display()
    );
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
