//! pip and uv at the server: they resolve by sidecars, install, lock, and mind what a page says.
//!
//! The interpreter is `$WCAS_TEST_PYTHON`, the folder of other clients `$WCAS_TEST_CLIENTS`; else those that `tests/clients.sh` made.
//! What is not there is said to be skipped.

use crate::site::{Site, add, sha256, shared, wheels};
use crate::support::{Env, Wheel};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns the interpreter of a client, or says that it is skipped: `uv` (which has pip, too), or a folder of `clients.d`.
pub(crate) fn interpreter(client: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let python = match client {
        "uv" | "pip" => {
            std::env::var_os("WCAS_TEST_PYTHON").map_or_else(|| target.join("clients/bin/python"), PathBuf::from)
        }
        other => {
            let others = std::env::var_os("WCAS_TEST_CLIENTS").map_or_else(|| target.join("clients.d"), PathBuf::from);
            others.join(other).join("bin/python")
        }
    };
    if !python.exists() {
        crate::support::skip(format_args!("no {client}; run tests/clients.sh"));
        return None;
    }
    Some(python)
}

/// A folder in which a client runs, without anything of the outside.
pub(crate) struct Desk {
    env: Env,
}

/// What a client did.
pub(crate) struct Done {
    pub(crate) ok: bool,
    pub(crate) said: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { env: Env::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.env.path(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns a program that knows this folder as its home.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.path("")).stdin(Stdio::null()).env("PATH", "/usr/bin:/bin");
        command.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp")).env("LC_ALL", "C.UTF-8");
        command.env("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring");
        command
    }

    pub(crate) fn finish(command: &mut Command) -> Done {
        let output = command.output().expect("the client starts");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Done { ok: output.status.success(), said: said.into_owned() }
    }

    /// Runs a module of a client's interpreter with these arguments.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, python: &Path, module: &str, args: &[A]) -> Done {
        Self::finish(self.command(python).args(["-m", module]).args(args))
    }

    /// Installs by a client, which must work, and returns the names of what is there then.
    #[track_caller]
    pub(crate) fn install(&self, client: &str, index: &str, args: &[&str]) -> Vec<String> {
        let (done, names) = self.try_install(client, index, args);
        assert!(done.ok, "{client} {args:?}: {}", done.said);
        names
    }

    /// Installs by a client: `pip`, an old pip, or `uv`; their caches are on.
    pub(crate) fn try_install(&self, client: &str, index: &str, args: &[&str]) -> (Done, Vec<String>) {
        let python = interpreter(client).expect("asked before");
        let target = self.path("installed");
        drop(fs::remove_dir_all(&target));
        let mut command = self.command(&python);
        if client == "uv" {
            command.args(["-m", "uv", "--no-config", "pip", "install", "--python"]).arg(&python);
        } else {
            command.args(["-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--retries", "0"]);
        }
        let done = Self::finish(command.args(["--index-url", index, "--target"]).arg(&target).args(args));
        let names = fs::read_dir(&target).into_iter().flatten().map(|entry| entry.unwrap().file_name());
        let names = names.filter_map(|name| name.to_str()?.strip_suffix(".dist-info").map(str::to_owned));
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        (done, names)
    }
}

/// The clients that install and are there.
fn installers() -> Vec<&'static str> {
    ["pip", "uv", "pip-24", "pip-22"].into_iter().filter(|client| interpreter(client).is_some()).collect()
}

fn index(site: &Site, collection: &str) -> String {
    site.server.url(&format!("/{collection}/simple/"))
}

#[test]
fn pip_of_three_ages_and_uv_install_from_the_server() {
    let site = shared();
    for client in installers() {
        let desk = Desk::new();
        let index = index(&site, "cuda");
        // Neither the yanked one, nor the pre-release, nor what asks for another Python.
        assert_eq!(desk.install(client, &index, &["demo-app"]), ["demo_app-3.0+cu12", "demo_lib-2.0"], "{client}");
        assert_eq!(
            desk.install(client, &index, &["demo-lib==2.5"]),
            ["demo_lib-2.5"],
            "{client}: yanked, and asked for"
        );
        let pre: &[&str] = if client == "uv" { &["demo-lib", "--prerelease", "allow"] } else { &["demo-lib", "--pre"] };
        assert_eq!(desk.install(client, &index, pre), ["demo_lib-3.0rc1"], "{client}");
        assert_eq!(desk.install(client, &index, &["demo-native"]), ["demo_native-1.0"], "{client}");
        let built = desk.read("installed/demo_native-1.0.dist-info/RECORD");
        assert!(!built.is_empty(), "{client}");
        let (done, _) = desk.try_install(client, &index, &["demo-lib==9.0"]);
        assert!(!done.ok, "{client}: it wants another Python");
        let (done, _) = desk.try_install(client, &index, &["demo-absent"]);
        assert!(!done.ok, "{client}: {}", done.said);
    }
}

#[test]
fn sdists_are_built_and_digests_are_minded() {
    let site = shared();
    for client in installers() {
        let desk = Desk::new();
        let index = index(&site, "cuda");
        let wheel = &wheels()[3];
        let right = format!("demo-lib==1.0 --hash=sha256:{}\n", sha256(&wheel.bytes()));
        desk.write("right.txt", &right);
        desk.write("wrong.txt", &right.replace(&sha256(&wheel.bytes()), &sha256(b"other")));
        assert_eq!(
            desk.install(client, &index, &["--require-hashes", "-r", "right.txt"]),
            ["demo_lib-1.0"],
            "{client}"
        );
        let (done, names) = desk.try_install(client, &index, &["--require-hashes", "-r", "wrong.txt"]);
        assert!(!done.ok && names.is_empty(), "{client}: {}", done.said);
        // The sdist brings its build backend along. The old pips' environments for builds want what is on no index here.
        if matches!(client, "pip" | "uv") {
            assert_eq!(desk.install(client, &index, &["demo-lib==0.1"]), ["demo_lib-0.1"], "{client}");
        }
    }
}

#[test]
fn d3_resolving_takes_sidecars_and_no_byte_of_a_wheel() {
    let clients = installers();
    if clients.is_empty() {
        return;
    }
    let env = Env::new();
    add(&env, "cuda", &wheels());
    let site = Site::of(env, &[]);
    let index = index(&site, "cuda");
    let desk = Desk::new();
    if let Some(python) = interpreter("uv") {
        desk.write("in.txt", "demo-app\n");
        let args =
            ["--no-config", "pip", "compile", "in.txt", "--index-url", &index, "--generate-hashes", "-o", "out.txt"];
        let done = desk.run(&python, "uv", &args);
        assert!(done.ok, "{}", done.said);
        let out = desk.read("out.txt");
        assert!(out.contains("demo-app==3.0+cu12") && out.contains(&sha256(&wheels()[2].bytes())), "{out}");
    }
    if let Some(python) = interpreter("pip") {
        let args = [
            "install",
            "--dry-run",
            "--ignore-installed",
            "--report",
            "report.json",
            "--index-url",
            &index,
            "demo-app",
        ];
        let done = desk.run(&python, "pip", &args);
        assert!(done.ok, "{}", done.said);
        let report: serde_json::Value = serde_json::from_str(&desk.read("report.json")).unwrap();
        assert_eq!(report["install"].as_array().unwrap().len(), 2, "{report}");
    }
    let log = fs::read_to_string(site.env.path("stderr")).unwrap();
    let files: Vec<&str> = log.lines().filter(|line| line.contains("/files/")).collect();
    assert!(!files.is_empty() && files.iter().all(|line| line.contains(".metadata ")), "{log}");
    site.end();
}

#[test]
fn c3_times_of_uploads_are_minded_by_pip_and_uv() {
    let env = Env::new();
    add(&env, "cuda", &wheels());
    let site = Site::of(env, &[]);
    let index = index(&site, "cuda");
    for (client, option) in [("pip", "--uploaded-prior-to"), ("uv", "--exclude-newer")] {
        if interpreter(client).is_none() {
            continue;
        }
        let desk = Desk::new();
        let late = [option, "2999-01-01T00:00:00Z", "demo-lib"];
        assert_eq!(desk.install(client, &index, &late), ["demo_lib-2.5"], "{client}");
        let (done, names) = desk.try_install(client, &index, &[option, "2001-01-01T00:00:00Z", "demo-lib"]);
        assert!(!done.ok && names.is_empty(), "{client}: {}", done.said);
    }
    site.end();
}

#[test]
fn h5_caches_of_clients_never_mix_two_collections() {
    let site = shared();
    for client in installers() {
        // One desk: one cache.
        let desk = Desk::new();
        let mut seen = Vec::new();
        for collection in ["cuda", "rocm", "cuda", "rocm"] {
            let args = ["--no-deps", "demo-app==1.0"];
            desk.install(client, &index(&site, collection), &args);
            seen.push(sha256(&fs::read(desk.path("installed/demo_app/payload.bin")).unwrap()));
        }
        assert!(seen[0] == seen[2] && seen[1] == seen[3] && seen[0] != seen[1], "{client}: {seen:?}");
    }
}

#[test]
fn uv_locks_to_an_index_and_the_lock_holds() {
    let (Some(python), site) = (interpreter("uv"), shared()) else { return };
    let desk = Desk::new();
    desk.write(
        "pyproject.toml",
        &format!(
            "[project]\nname = \"consumer\"\nversion = \"1\"\nrequires-python = \">=3.10\"\ndependencies = [\"demo-app==2.0\"]\n\
             [[tool.uv.index]]\nname = \"cuda\"\nurl = \"{}\"\ndefault = true\n",
            index(&site, "cuda")
        ),
    );
    let uv = |args: &[&str]| {
        let mut command = desk.command(&python);
        command.args(["-m", "uv", "--no-python-downloads"]).args(args).arg("--python").arg(&python);
        Desk::finish(&mut command)
    };
    let done = uv(&["lock"]);
    assert!(done.ok, "{}", done.said);
    let lock = desk.read("uv.lock");
    assert!(
        lock.contains(&sha256(&wheels()[1].bytes())) && lock.contains("upload-time") && lock.contains("size = "),
        "{lock}"
    );
    for args in
        [&["lock", "--check"][..], &["lock", "--refresh", "--check"], &["sync", "--frozen", "--no-install-project"]]
    {
        let done = uv(args);
        assert!(done.ok, "{args:?}: {}", done.said);
    }
    assert_eq!(lock, desk.read("uv.lock"));
}

/// A site whose pages want a token, with one for reading.
fn closed() -> (Site, String) {
    let env = Env::new();
    add(&env, "cuda", &wheels());
    let site = Site::of(env, &["--anonymous", "nothing"]);
    let token = site.token(&["--collection", "cuda", "--scope", "read"]);
    (site, token)
}

#[test]
fn g5_credentials_come_by_url_netrc_and_any_name() {
    let (site, token) = closed();
    let bare = index(&site, "cuda");
    let host = site.server.address().ip().to_string();
    for client in installers() {
        for user in ["__token__", "ci"] {
            let desk = Desk::new();
            let login = site.server.url_as(&format!("{user}:{token}"), "/cuda/simple/");
            assert_eq!(desk.install(client, &login, &["demo-app==1.0"]), ["demo_app-1.0", "demo_lib-2.5"], "{client}");
        }
        let desk = Desk::new();
        let (done, names) = desk.try_install(client, &bare, &["demo-lib"]);
        assert!(!done.ok && names.is_empty(), "{client}: {}", done.said);
        desk.write("home/.netrc", &format!("machine {host} login __token__ password {token}\n"));
        assert_eq!(desk.install(client, &bare, &["demo-lib==1.0"]), ["demo_lib-1.0"], "{client}");
        let wrong = site.server.url_as(&format!("__token__:{}x", &token[..token.len() - 1]), "/cuda/simple/");
        drop(fs::remove_file(desk.path("home/.netrc")));
        let (done, _) = desk.try_install(client, &wrong, &["demo-lib==2.0"]);
        assert!(!done.ok, "{client}: {}", done.said);
    }
    let unasked = site.server.ask("GET", "/cuda/simple/", &[("Accept", "text/html")]);
    assert_eq!(unasked.status, 401, "{unasked}");
    assert!(unasked.header("www-authenticate").starts_with("Basic"), "{unasked}");
    let log = fs::read_to_string(site.env.path("stderr")).unwrap();
    assert!(!log.contains(&token), "a secret is in the log");
    site.end();
}

#[test]
fn a_variants_page_hides_what_is_farther_and_clients_see_one_index() {
    let env = Env::new();
    add(&env, "cuda", &[Wheel::new("demo-app", "1.0").requires("demo-lib").payload(9000, 1)]);
    add(&env, "shared", &[Wheel::new("demo-app", "5.0"), Wheel::new("demo-lib", "1.0")]);
    env.ok(["route", "set", "cuda", "--no-detect"]);
    let site = Site::of(env, &[]);
    for client in installers() {
        let desk = Desk::new();
        // The nearest collection that has the project hides newer versions of it farther away.
        assert_eq!(
            desk.install(client, &index(&site, "cuda"), &["demo-app"]),
            ["demo_app-1.0", "demo_lib-1.0"],
            "{client}"
        );
        assert_eq!(desk.install(client, &index(&site, "shared"), &["demo-app"]), ["demo_app-5.0"], "{client}");
    }
    site.env.ok(["route", "set", "cuda", "--strategy", "union"]);
    for client in installers() {
        let desk = Desk::new();
        assert_eq!(desk.install(client, &index(&site, "cuda"), &["demo-app"]), ["demo_app-5.0"], "{client}");
    }
    site.end();
}

#[test]
fn pip_and_uv_come_by_tls() {
    let env = Env::new();
    add(&env, "cuda", &wheels());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/tls");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (file("own.pem"), file("own.key.pem"));
    let site = Site::of(env, &["--tls-cert", &certificate, "--tls-key", &key]);
    assert!(site.server.url("").starts_with("https://"), "{}", site.server.url(""));
    for client in installers() {
        let desk = Desk::new();
        let index = index(&site, "cuda");
        let (done, _) = desk.try_install(client, &index, &["demo-lib==1.0"]);
        assert!(!done.ok, "{client} trusts anybody: {}", done.said);
        if client != "uv" {
            let args = ["--cert", &certificate, "demo-app==1.0"];
            assert_eq!(desk.install(client, &index, &args), ["demo_app-1.0", "demo_lib-2.5"], "{client}");
            // By TLS pip keeps pages: one that changed is seen all the same.
            site.add("cuda", &[Wheel::new("demo-lib", &format!("2.6.{}", client.len()))]);
            let newest = desk.install(client, &index, &["--cert", &certificate, "demo-lib", "--upgrade"]);
            assert_eq!(newest, [format!("demo_lib-2.6.{}", client.len())], "{client}");
            site.env.ok(["invalidate", "demo-lib==2.6.*", "--collection", "cuda"]);
        } else {
            let host = site.server.address().to_string();
            let args = ["--allow-insecure-host", &host, "demo-app==1.0"];
            assert_eq!(desk.install(client, &index, &args), ["demo_app-1.0", "demo_lib-2.5"], "{client}");
        }
    }
    site.end();
}
