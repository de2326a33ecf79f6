//! The real fromager with the plug-in, from source to a second variant: what was built once is never built again, nothing of another
//! accelerator is handed out, and no remote makes it fail (SEED.md: F1, F2, X6, X7, X12).
//!
//! Its projects are made here, with a build backend of their own, so that nothing comes from elsewhere. fromager is
//! `$WCAS_TEST_CLIENTS/fromager` (`tests/clients.sh` makes it); where it isn't there, each test says that it is skipped.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests and their helpers may panic and say what they skip"
)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Env, Reply, Server, WcasServer};
use wcas::digest::Sha256;

/// A build backend without needs: it is built by itself.
const BACKEND: &str = r#"
import base64, hashlib, os, re, tarfile, zipfile
try:
    import tomllib
except ImportError:
    tomllib = None
def _project():
    with open("pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]
def get_requires_for_build_wheel(config_settings=None): return []
def get_requires_for_build_sdist(config_settings=None): return []
def _metadata(project):
    lines = ["Metadata-Version: 2.1", "Name: " + project["name"], "Version: " + project["version"]]
    lines += ["Requires-Dist: " + need for need in project.get("dependencies", [])]
    return "\n".join(lines) + "\n"
def build_wheel(directory, config_settings=None, metadata_directory=None):
    project = _project()
    stem = re.sub(r"[-_.]+", "_", project["name"]) + "-" + project["version"]
    name = stem + "-py3-none-any.whl"
    members = {}
    for file in sorted(os.listdir(".")):
        if file.endswith(".py"):
            members[file] = open(file, "rb").read()
    members[stem + ".dist-info/METADATA"] = _metadata(project).encode()
    members[stem + ".dist-info/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: demo\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = ""
    for path, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    members[stem + ".dist-info/RECORD"] = (record + stem + ".dist-info/RECORD,,\n").encode()
    with zipfile.ZipFile(os.path.join(directory, name), "w") as archive:
        for path, data in members.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), data)
    return name
def build_sdist(directory, config_settings=None):
    project = _project()
    stem = re.sub(r"[-_.]+", "_", project["name"]) + "-" + project["version"]
    with open("PKG-INFO", "w") as file:
        file.write(_metadata(project))
    with tarfile.open(os.path.join(directory, stem + ".tar.gz"), "w:gz") as archive:
        for file in sorted(os.listdir(".")):
            if os.path.isfile(file):
                archive.add(file, stem + "/" + file)
    return stem + ".tar.gz"
"#;

const PROJECTS: [&str; 3] = ["demo-backend", "demo-lib", "demo-app"];

/// A place with sources, a store with its server, and folders in which fromager works.
struct Yard {
    env: Env,
    /// Where the sources are; a server's log is its environment's.
    origin: Env,
    fromager: PathBuf,
    source: WcasServer,
    server: WcasServer,
}

/// What a run of fromager did.
struct Run {
    work: PathBuf,
    said: String,
    /// The projects that were built, with their versions.
    built: Vec<String>,
    /// Source distributions that were fetched.
    sources: usize,
    took: Duration,
}

fn fromager() -> Option<PathBuf> {
    let others = std::env::var_os("WCAS_TEST_CLIENTS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients.d"), PathBuf::from);
    let python = others.join("fromager/bin/python");
    if !python.exists() {
        println!("skipped: no fromager; run tests/clients.sh");
        return None;
    }
    Some(python)
}

/// Makes a project's source distribution.
fn source(env: &Env, name: &str, version: &str, needs: &[&str]) {
    let stem = format!("{}-{version}", name.replace('-', "_"));
    let dir = env.path("sources").join(&stem);
    fs::create_dir_all(&dir).unwrap();
    let module = name.replace('-', "_");
    let is_backend = name == "demo-backend";
    let system = if is_backend {
        "requires = []\nbuild-backend = \"demo_backend\"\nbackend-path = [\".\"]"
    } else {
        "requires = [\"demo-backend\"]\nbuild-backend = \"demo_backend\""
    };
    let needs: Vec<String> = needs.iter().map(|need| format!("{need:?}")).collect();
    let project = format!(
        "[build-system]\n{system}\n[project]\nname = \"{name}\"\nversion = \"{version}\"\ndependencies = [{}]\n",
        needs.join(", ")
    );
    fs::write(dir.join("pyproject.toml"), project).unwrap();
    fs::write(dir.join("PKG-INFO"), format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")).unwrap();
    let text = if is_backend { BACKEND.to_owned() } else { format!("NAME = {name:?}\n") };
    fs::write(dir.join(format!("{module}.py")), text).unwrap();
    let out = env.path("sdists");
    fs::create_dir_all(&out).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-czf".into(), out.join(format!("{stem}.tar.gz")), "-C".into(), env.path("sources"), stem.into()]);
    assert!(tar.status().unwrap().success());
}

impl Yard {
    fn new() -> Option<Self> {
        let fromager = fromager()?;
        let (env, origin) = (Env::new(), Env::new());
        source(&origin, "demo-backend", "1.0", &[]);
        source(&origin, "demo-lib", "2.0", &[]);
        source(&origin, "demo-app", "3.0", &["demo-lib>=1"]);
        origin.ok(["import", "--collection", "src", "sdists"]);
        let source = WcasServer::start(&origin, &[]);
        for project in PROJECTS {
            let path = env.path("settings").join(format!("{}.yaml", project.replace('-', "_")));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let url = source.url("/src/simple/");
            fs::write(path, format!("resolver_dist:\n  sdist_server_url: {url}\n  include_wheels: false\n")).unwrap();
        }
        // The plug-in as an installation would show it.
        let info = env.path("plugin/wcas-0.1.0.dist-info");
        fs::create_dir_all(&info).unwrap();
        fs::write(info.join("METADATA"), "Metadata-Version: 2.1\nName: wcas\nVersion: 0.1.0\n").unwrap();
        let pyproject = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pyproject.toml")).unwrap();
        let (_, hooks) = pyproject.split_once("[project.entry-points.\"fromager.hooks\"]\n").unwrap();
        let hooks = hooks.split("\n\n").next().unwrap().replace('"', "");
        fs::write(info.join("entry_points.txt"), format!("[fromager.hooks]\n{hooks}\n")).unwrap();
        env.ok(["collection", "create", "shared"]);
        for variant in ["cuda", "cpu"] {
            env.ok(["collection", "create", variant]);
            env.ok(["collection", "set", variant, "--fallback", "shared"]);
        }
        let server = WcasServer::start(&env, &[]);
        Some(Self { env, origin, fromager, source, server })
    }

    fn cache(&self, variant: &str) -> String {
        self.server.url(&format!("/{variant}/cache/simple/"))
    }

    /// Runs fromager in a folder of its own, with the plug-in.
    fn run(&self, name: &str, variant: &str, global: &[&str], args: &[&str], vars: &[(&str, &str)]) -> Run {
        let work = self.env.path("work").join(name);
        fs::create_dir_all(&work).unwrap();
        let before = self.source_log();
        let bin = self.fromager.parent().unwrap();
        let python_path = [self.env.path("plugin"), Path::new(env!("CARGO_MANIFEST_DIR")).join("python")];
        let mut command = Command::new(bin.join("fromager"));
        command.env_clear().current_dir(&work).stdin(Stdio::null());
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("HOME", self.env.path("home"));
        command.env("PYTHONPATH", std::env::join_paths(python_path).unwrap()).env("TMPDIR", self.env.path("tmp"));
        command.env("WCAS_PROGRAM", env!("CARGO_BIN_EXE_wcas")).env("no_proxy", "127.0.0.1").env("LC_ALL", "C.UTF-8");
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("UV_NO_CONFIG", "1").envs(vars.iter().copied());
        command.args(["--no-network-isolation", "--variant", variant, "--settings-dir"]).arg(self.env.path("settings"));
        let begin = std::time::Instant::now();
        let output = command.args(global).args(args).output().unwrap();
        let took = begin.elapsed();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), !name.starts_with("fails"), "{name}: {said}");
        let built =
            |line: &str| (line.contains(": building ") && line.contains(" wheel for ")).then(|| line.to_owned());
        let mut built: Vec<String> = said.lines().filter_map(built).collect();
        built.sort();
        let sources = self.source_log() - before;
        Run { work, said: said.into_owned(), built, sources, took }
    }

    fn bootstrap(&self, name: &str, variant: &str, vars: &[(&str, &str)]) -> Run {
        let url = self.cache(variant);
        let store = self.env.store();
        let vars: Vec<_> = vars.iter().copied().chain([("WCAS_STORE", store.to_str().unwrap())]).collect();
        let global = ["--build-wheel-server-url", &url];
        self.run(name, variant, &global, &["bootstrap", "--cache-wheel-server-url", &url, "demo-app"], &vars)
    }

    /// Returns how many source distributions were given so far.
    fn source_log(&self) -> usize {
        let log = fs::read_to_string(self.origin.path("stderr")).unwrap_or_default();
        log.lines().filter(|line| line.contains("GET ") && line.contains(".tar.gz ")).count()
    }

    /// Returns the collections' wheels.
    fn wheels(&self, collection: &str) -> Vec<String> {
        let list = self.env.json(["list", "--collection", collection]);
        let rows = list["distributions"].as_array().unwrap();
        let mut names: Vec<String> = rows.iter().map(|row| row["filename"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    fn end(self) {
        self.server.stop();
        self.source.stop();
        self.env.ok(["verify"]);
        self.env.ok(["doctor"]);
    }
}

impl Run {
    /// Returns the digests of the wheels that the run has in the end.
    fn digests(&self) -> BTreeMap<String, Sha256> {
        let wheels = fs::read_dir(self.work.join("wheels-repo/downloads")).unwrap().flatten();
        let wheels = wheels.filter(|entry| entry.path().extension().is_some_and(|end| end == "whl"));
        wheels
            .map(|entry| (entry.file_name().into_string().unwrap(), Sha256::of(&fs::read(entry.path()).unwrap())))
            .collect()
    }
}

#[test]
fn f1_f2_two_variants_share_a_store_and_nothing_is_built_twice() {
    let Some(yard) = Yard::new() else { return };
    let cold = yard.bootstrap("cold", "cuda", &[]);
    assert_eq!((cold.built.len(), cold.sources), (3, 3), "{}", cold.said);
    assert_eq!(yard.wheels("cuda"), ["demo_app-3.0-0-py3-none-any.whl"], "what is top-level is the variant's own");
    let shared = ["demo_backend-1.0-0-py3-none-any.whl", "demo_lib-2.0-0-py3-none-any.whl"];
    assert_eq!(yard.wheels("shared"), shared, "all else is for everybody");
    // From an empty folder: all is there, to the byte, and nothing is built or fetched.
    let warm = yard.bootstrap("warm", "cuda", &[]);
    assert_eq!((warm.built.len(), warm.sources), (0, 0), "{}", warm.said);
    assert_eq!(warm.digests(), cold.digests());
    assert_eq!(yard.env.json(["stats"])["blobs"]["count"], 3, "a hit isn't stored again");
    // Another variant builds only what is its own.
    let other = yard.bootstrap("other", "cpu", &[]);
    assert_eq!((other.built.len(), other.sources), (1, 1), "{}", other.said);
    assert_eq!(yard.wheels("cpu"), ["demo_app-3.0-0-py3-none-any.whl"]);
    assert_eq!(yard.wheels("shared"), shared);
    // With the short circuit: the same wheels, and no environments.
    let quick = yard.bootstrap("quick", "cuda", &[("WCAS_SHORT_CIRCUIT", "1")]);
    assert_eq!((quick.built.len(), quick.sources), (0, 0), "{}", quick.said);
    assert!(quick.said.contains("is taken as it is"), "{}", quick.said);
    let graph = |run: &Run| {
        let text = fs::read_to_string(run.work.join("work-dir/graph.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap().as_object().unwrap().len()
    };
    assert_eq!((graph(&cold), graph(&warm)), (4, 4), "the walk is whole");
    assert_eq!(graph(&quick), 3, "x12: what is skipped is missing from it, which is why it is off by default");
    println!("cold {:?}, warm {:?}, quick {:?}", cold.took, warm.took, quick.took);
    yard.end();
}

#[test]
fn build_sequence_and_build_parallel_store_what_they_build_and_a_higher_build_stops_nobody() {
    let Some(yard) = Yard::new() else { return };
    let cold = yard.bootstrap("cold", "cuda", &[]);
    let order = cold.work.join("work-dir/build-order.json");
    let graph = cold.work.join("work-dir/graph.json");
    let (order, graph) = (order.to_str().unwrap(), graph.to_str().unwrap());
    // Another builder has a build with a higher number.
    let high = support::Wheel::new("demo-lib", "2.0").build("7").write_to(yard.env.path("high"));
    yard.env.ok(["import", "--collection", "shared", high.to_str().unwrap()]);
    yard.env.ok(["route", "set", "cuda"]);
    let store = yard.env.store();
    let vars = [("WCAS_STORE", store.to_str().unwrap())];
    let url = yard.server.url("/cuda/cache/max-build=0/simple/");
    let global = ["--build-wheel-server-url", &url];
    let found = yard.run("found", "cuda", &global, &["build-sequence", "-c", &url, order], &vars);
    assert_eq!((found.built.len(), found.sources), (0, 0), "{}", found.said);
    // What is invalidated is built, and stored again.
    yard.env.ok(["invalidate", "demo-lib", "--collection", "shared"]);
    let again = yard.run("again", "cuda", &global, &["build-sequence", "-c", &url, order], &vars);
    assert_eq!((again.built.len(), again.sources), (1, 1), "{}", again.said);
    assert!(yard.wheels("shared").contains(&"demo_lib-2.0-0-py3-none-any.whl".to_owned()), "{}", again.said);
    yard.env.ok(["invalidate", "--all", "--yes", "--collection", "shared"]);
    yard.env.ok(["invalidate", "--all", "--yes", "--collection", "cuda"]);
    yard.env.ok(["import", "--collection", "shared", high.to_str().unwrap()]);
    let parallel = yard.run("parallel", "cuda", &global, &["build-parallel", "-c", &url, graph], &vars);
    assert_eq!((parallel.built.len(), parallel.sources), (3, 3), "{}", parallel.said);
    assert_eq!(yard.wheels("shared").len() + yard.wheels("cuda").len(), 4, "{}", parallel.said);
    // Without the rule it would end there.
    let plain = yard.cache("cuda");
    let stopped = yard.run("fails-high", "cuda", &[], &["build-sequence", "-c", &plain, order], &vars);
    assert!(stopped.said.contains("changelog for version 2.0 is inconsistent"), "{}", stopped.said);
    yard.end();
}

/// A wheel as fromager builds it, with a payload that tells who did.
fn built(name: &str, version: &str, tag: &str, mark: &str) -> support::Wheel {
    let info = format!("{}-{version}.dist-info", name.replace('-', "_"));
    let list = |wheel: support::Wheel, kind: &str| {
        let needs = if kind == "build-system" { "demo-backend\n" } else { "" };
        wheel.member(&format!("{info}/fromager-{kind}-requirements.txt"), needs)
    };
    let wheel = support::Wheel::new(name, version).build(tag).member("demo_mark.txt", mark);
    ["build-system", "build-backend", "build-sdist"].into_iter().fold(wheel, list)
}

#[test]
fn builds_for_two_accelerators_lie_side_by_side_and_each_variant_gets_its_own() {
    let Some(yard) = Yard::new() else { return };
    let cold = yard.bootstrap("cold", "cuda", &[]);
    assert_eq!(cold.built.len(), 3, "{}", cold.said);
    yard.env.ok(["collection", "create", "rocm"]);
    yard.env.ok(["collection", "set", "rocm", "--fallback", "shared"]);
    // The same version with two suffixes and two labels in the collection that all share; rocm sorts last, and would be taken.
    yard.env.ok(["invalidate", "demo-lib", "--collection", "shared"]);
    let marks =
        [("2_cuda", "cuda"), ("2_rocm6", "rocm")].map(|(tag, mark)| (built("demo-lib", "2.0", tag, mark), mark));
    for (wheel, _) in &marks {
        let path = wheel.write_to(yard.env.path("marked"));
        yard.env.ok(["import", "--collection", "shared", path.to_str().unwrap()]);
    }
    for (wheel, variant) in &marks {
        let run = yard.bootstrap(&format!("run-{variant}"), variant, &[]);
        let digests = run.digests();
        let got: Vec<_> = digests.iter().filter(|(name, _)| name.starts_with("demo_lib")).collect();
        assert_eq!(got, [(&wheel.filename(), &Sha256::of(&wheel.bytes()))], "{variant}: {}", run.said);
    }
    yard.end();
}

#[test]
fn a_server_with_a_token_takes_what_is_built_and_gives_it_to_the_next_run() {
    let Some(yard) = Yard::new() else { return };
    let token = yard.env.json(["token", "create", "--all", "--scope", "upload"])["secret"].as_str().unwrap().to_owned();
    // Its log is of no interest, and may share a file with the other one's.
    let server = WcasServer::start(&yard.env, &["--anonymous", "nothing"]);
    let url = server.url("/");
    let cache = server.url("/cuda/cache/simple/");
    let vars = [("WCAS_URL", &*url), ("WCAS_TOKEN", &*token)];
    let args = ["bootstrap", "--cache-wheel-server-url", &cache, "demo-app"];
    let cold = yard.run("cold", "cuda", &[], &args, &vars);
    assert_eq!(cold.built.len(), 3, "{}", cold.said);
    let warm = yard.run("warm", "cuda", &[], &args, &vars);
    assert_eq!((warm.built.len(), warm.sources), (0, 0), "{}", warm.said);
    assert!(!warm.said.contains(&token), "nobody is told the token");
    // Without it nothing is found, nothing stored, and nothing fails; unless that is asked for.
    let without = yard.run("without", "cuda", &[], &args, &[("WCAS_URL", &*url)]);
    assert!(without.built.len() == 3 && without.said.contains("is not stored"), "{}", without.said);
    let strict = yard.run("fails-strict", "cuda", &[], &args, &[("WCAS_URL", &*url), ("WCAS_STRICT", "1")]);
    assert!(
        strict.built.len() == 1 && strict.said.contains("demo_backend-1.0-0-py3-none-any.whl is not stored"),
        "{}",
        strict.said
    );
    // Nothing was said of a store: one line, and nothing is stored.
    let silent = yard.run("silent", "cuda", &[], &args, &[]);
    assert_eq!(silent.said.matches("neither WCAS_STORE nor WCAS_URL is set").count(), 1, "{}", silent.said);
    server.stop();
    yard.end();
}

#[test]
fn the_short_circuit_refuses_a_fromager_that_it_does_not_know() {
    let Some(yard) = Yard::new() else { return };
    let info = yard.env.path("plugin/fromager-0.50.0.dist-info");
    fs::create_dir_all(&info).unwrap();
    fs::write(info.join("METADATA"), "Metadata-Version: 2.1\nName: fromager\nVersion: 0.50.0\n").unwrap();
    // Its own entry points are its commands.
    let text =
        "from importlib.metadata import distribution; print(distribution('fromager').read_text('entry_points.txt'))";
    let points = Command::new(&yard.fromager).args(["-c", text]).output().unwrap();
    fs::write(info.join("entry_points.txt"), points.stdout).unwrap();
    let args = ["bootstrap", "demo-app"];
    let run = yard.run("fails-unknown", "cuda", &[], &args, &[("WCAS_SHORT_CIRCUIT", "1")]);
    assert!(
        run.built.is_empty() && run.said.contains("WCAS_SHORT_CIRCUIT=1 is not for fromager 0.50.0"),
        "{}",
        run.said
    );
    yard.end();
}

#[test]
fn remotes_that_are_down_slow_or_lie_change_nothing() {
    let Some(yard) = Yard::new() else { return };
    let cold = yard.bootstrap("cold", "cuda", &[]);
    // Another team's store, whose remotes are three bad ones and, after them, the first one's server.
    let team = Env::new();
    let lying = Server::start();
    for (name, _) in cold.digests() {
        let project = name.split('-').next().unwrap().replace('_', "-");
        let link = format!("<a href=\"/files/{name}#sha256={}\">{name}</a>", "0".repeat(64));
        lying.route(&format!("/simple/{project}/"), Reply::html(link));
        lying.route(&format!("/files/{name}"), Reply::file(b"no wheel"));
    }
    let slow = Server::start();
    for project in PROJECTS {
        slow.route(&format!("/simple/{project}/"), Reply::html("<p>none</p>").drip(3, Duration::from_millis(125)));
    }
    let good = yard.server.url("/cuda/simple/");
    team.ok(["collection", "create", "cuda"]);
    for (name, url) in [
        ("a-down", format!("{}/simple/", Server::nobody())),
        ("b-slow", slow.url("/simple/")),
        ("d-good", good),
        ("c-lying", lying.url("/simple/")),
    ] {
        team.ok(["remote", "add", name, &url, "--collection", "cuda"]);
    }
    let server = WcasServer::start(&team, &[]);
    let cache = server.url("/cuda/cache/simple/");
    let args = ["bootstrap", "--cache-wheel-server-url", &cache, "demo-app"];
    let run = yard.run("team", "cuda", &[], &args, &[]);
    assert_eq!((run.built.len(), run.sources), (0, 0), "{}", run.said);
    assert_eq!(run.digests(), cold.digests());
    let log = fs::read_to_string(team.path("stderr")).unwrap();
    let lookups = log.lines().filter(|line| line.contains("/cuda/cache/simple/"));
    let seconds = |line: &str| {
        let took = line.rsplit(' ').next().unwrap();
        let units = [("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9), ("s", 1.0)];
        units.iter().find_map(|(unit, factor)| Some(took.strip_suffix(unit)?.parse::<f64>().ok()? * factor)).unwrap()
    };
    let slowest = lookups.map(seconds).fold(0.0, f64::max);
    assert!((0.3..2.0).contains(&slowest), "the slowest lookup took {slowest} s: {log}");
    server.stop();
    team.ok(["verify"]);
    yard.end();
}
