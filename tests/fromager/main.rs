//! The real fromager with the plug-in, from source to a second variant: what was built once is never built again, nothing of another
//! accelerator is handed out, and no remote makes it fail (SEED.md: F1, F2, X6, X7, X12).
//!
//! Its projects are made here, with a build backend of their own, so that nothing comes from elsewhere. fromager is
//! `$WCAS_TEST_CLIENTS/fromager`, and its oldest release that the plug-in is for `fromager-098` (`tests/clients.sh` makes them); where one
//! isn't there, its tests say that they are skipped. Each scenario runs with the oldest one by URL and with the newest one in a local
//! store, so that both see all of it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests and their helpers may panic and say what they skip"
)]

#[path = "../support/mod.rs"]
mod support;

mod scenario;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Env, Reply, Server, WcasServer};
use wcas::digest::Sha256;

/// A build backend without needs: it is built by itself.
const BACKEND: &str = r#"
import base64, hashlib, importlib, os, re, tarfile, zipfile
try:
    import tomllib
except ImportError:
    tomllib = None
def _project():
    with open("pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]
def _used():
    # What a wheel was built with: the modules of its build requirements tell.
    with open("pyproject.toml", "rb") as file:
        needs = tomllib.load(file)["build-system"]["requires"]
    modules = [re.match(r"[\w-]+", need)[0].replace("-", "_") for need in needs]
    used = [importlib.import_module(module) for module in modules if module != "demo_backend"]
    return [getattr(module, "NAME", "another " + module.__name__) for module in used]
def get_requires_for_build_wheel(config_settings=None): return []
def get_requires_for_build_sdist(config_settings=None): return []
def _metadata(project):
    lines = ["Metadata-Version: 2.1", "Name: " + project["name"], "Version: " + project["version"]]
    lines += ["Requires-Dist: " + need for need in project.get("dependencies", [])]
    return "\n".join(lines) + "\n"
def _see_no_token():
    # What a stranger's build would look for, here and in the processes that began it.
    assert "WCAS_TOKEN" not in os.environ
    pid = os.getpid()
    while pid > 1:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                assert not re.search(rb"wcas_[0-9a-f]{16}", file.read()), pid
            with open(f"/proc/{pid}/stat") as file:
                pid = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            break
def build_wheel(directory, config_settings=None, metadata_directory=None):
    _see_no_token()
    project = _project()
    stem = re.sub(r"[-_.]+", "_", project["name"]) + "-" + project["version"]
    name = stem + "-py3-none-any.whl"
    members = {}
    for file in sorted(os.listdir(".")):
        if file.endswith((".py", ".so")):
            members[file] = open(file, "rb").read()
    used = "".join("Summary: built with " + name + "\n" for name in _used())
    members[stem + ".dist-info/METADATA"] = (_metadata(project) + used).encode()
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

/// How the plug-in comes to the store.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Store,
    Url,
}

/// A place with sources, a store with its server, and folders in which fromager works.
struct Yard {
    env: Env,
    /// Where the sources are; a server's log is its environment's.
    origin: Env,
    fromager: PathBuf,
    way: Way,
    token: String,
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

fn fromager(client: &str) -> Option<PathBuf> {
    let others = std::env::var_os("WCAS_TEST_CLIENTS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients.d"), PathBuf::from);
    let python = others.join(client).join("bin/python");
    if !python.exists() {
        support::skip(format_args!("no {client}; run tests/clients.sh"));
        return None;
    }
    Some(python)
}

/// Makes a project's source distribution.
fn source(env: &Env, name: &str, version: &str, needs: &[&str]) {
    source_with(env, name, version, needs, &[], None);
}

/// Makes one that has more build requirements, and a library.
fn source_with(env: &Env, name: &str, version: &str, needs: &[&str], build_needs: &[&str], library: Option<&[u8]>) {
    let stem = format!("{}-{version}", name.replace('-', "_"));
    let dir = env.path("sources").join(&stem);
    fs::create_dir_all(&dir).unwrap();
    let module = name.replace('-', "_");
    let is_backend = name == "demo-backend";
    let system = if is_backend {
        "requires = []\nbuild-backend = \"demo_backend\"\nbackend-path = [\".\"]".to_owned()
    } else {
        let requires = [&["demo-backend"], build_needs].concat();
        format!("requires = {requires:?}\nbuild-backend = \"demo_backend\"")
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
    if let Some(library) = library {
        fs::write(dir.join(format!("{module}_kernels.so")), library).unwrap();
    }
    let out = env.path("sdists");
    fs::create_dir_all(&out).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-czf".into(), out.join(format!("{stem}.tar.gz")), "-C".into(), env.path("sources"), stem.into()]);
    assert!(tar.status().unwrap().success());
}

/// Lets fromager look for a project's sources at a server.
fn come_from(env: &Env, project: &str, source: &WcasServer) {
    let path = env.path("settings").join(format!("{}.yaml", project.replace('-', "_")));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let url = source.url("/src/simple/");
    fs::write(path, format!("resolver_dist:\n  sdist_server_url: {url}\n  include_wheels: false\n")).unwrap();
}

impl Yard {
    fn new(client: &str, way: Way) -> Option<Self> {
        let fromager = fromager(client)?;
        let (env, origin) = (Env::new(), Env::new());
        source(&origin, "demo-backend", "1.0", &[]);
        source(&origin, "demo-lib", "2.0", &[]);
        source(&origin, "demo-app", "3.0", &["demo-lib>=1"]);
        origin.ok(["import", "--collection", "src", "sdists"]);
        let source = WcasServer::start(&origin, &[]);
        for project in PROJECTS {
            come_from(&env, project, &source);
        }
        // The plug-in as an installation would show it.
        let info = env.path("plugin/wcas-0.1.0.dist-info");
        fs::create_dir_all(&info).unwrap();
        fs::write(info.join("METADATA"), "Metadata-Version: 2.1\nName: wcas\nVersion: 0.1.0\n").unwrap();
        let pyproject = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pyproject.toml")).unwrap();
        let mut points = String::new();
        for group in ["fromager.hooks", "fromager.cli"] {
            let (_, lines) = pyproject.split_once(&format!("[project.entry-points.\"{group}\"]\n")).unwrap();
            points += &format!("[{group}]\n{}\n", lines.split("\n\n").next().unwrap().replace('"', ""));
        }
        fs::write(info.join("entry_points.txt"), points).unwrap();
        env.ok(["collection", "create", "shared"]);
        for variant in ["cuda", "cpu"] {
            env.ok(["collection", "create", variant]);
            env.ok(["collection", "set", variant, "--fallback", "shared"]);
        }
        let token = token(&env, "upload");
        let server = WcasServer::start(&env, &[]);
        Some(Self { env, origin, fromager, way, token, source, server })
    }

    /// Adds a project with build requirements, and perhaps a library.
    fn add(&self, name: &str, needs: &[&str], build_needs: &[&str], library: Option<&[u8]>) {
        source_with(&self.origin, name, "1.0", needs, build_needs, library);
        let sdist = format!("sdists/{}-1.0.tar.gz", name.replace('-', "_"));
        self.origin.ok(["import", "--collection", "src", &sdist]);
        come_from(&self.env, name, &self.source);
    }

    /// Returns the summary of a collection's only wheel of a project.
    fn summary(&self, collection: &str, project: &str) -> Option<String> {
        let shown = self.env.json(["show", project, "--collection", collection]);
        let rows = shown["distributions"].as_array().unwrap().iter();
        let mut wheels = rows.filter(|row| row["filename"].as_str().unwrap().ends_with(".whl"));
        let wheel = wheels.next()?;
        assert!(wheels.next().is_none(), "{shown}");
        wheel["summary"].as_str().map(str::to_owned)
    }

    fn cache(&self, variant: &str) -> String {
        self.server.url(&format!("/{variant}/cache/simple/"))
    }

    /// Runs fromager with the plug-in, which is told of the store.
    fn run(&self, name: &str, variant: &str, global: &[&str], args: &[&str], vars: &[(&str, &str)]) -> Run {
        let (store, url) = (self.env.store(), self.server.url("/"));
        let told = match self.way {
            Way::Store => vec![("WCAS_STORE", store.to_str().unwrap())],
            Way::Url => vec![("WCAS_URL", &*url), ("WCAS_TOKEN", &*self.token)],
        };
        self.run_untold(name, variant, global, args, &[&told, vars].concat())
    }

    /// Runs fromager in a folder of its own, with the plug-in.
    fn run_untold(&self, name: &str, variant: &str, global: &[&str], args: &[&str], vars: &[(&str, &str)]) -> Run {
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

    fn bootstrap(&self, name: &str, variant: &str, wanted: &[&str], vars: &[(&str, &str)]) -> Run {
        let url = self.cache(variant);
        let args = [&["bootstrap", "--cache-wheel-server-url", &url], wanted].concat();
        self.run(name, variant, &["--build-wheel-server-url", &url], &args, vars)
    }

    /// Returns how many uploads and references were sent so far.
    fn posts(&self) -> usize {
        let log = fs::read_to_string(self.env.path("stderr")).unwrap_or_default();
        log.lines().filter(|line| line.contains(" POST ")).count()
    }

    /// Returns how many source distributions were given so far.
    fn source_log(&self) -> usize {
        let log = fs::read_to_string(self.origin.path("stderr")).unwrap_or_default();
        log.lines().filter(|line| line.contains("GET ") && line.contains(".tar.gz ")).count()
    }

    /// Returns a collection's files that end so, with their digests.
    fn files(&self, collection: &str, end: &str) -> BTreeMap<String, String> {
        let list = self.env.json(["list", "--collection", collection]);
        let text = |row: &serde_json::Value, field: &str| row[field].as_str().unwrap().to_owned();
        let rows = list["distributions"].as_array().unwrap().iter();
        rows.map(|row| (text(row, "filename"), text(row, "sha256"))).filter(|(name, _)| name.ends_with(end)).collect()
    }

    /// Returns the names of a collection's wheels.
    fn wheels(&self, collection: &str) -> Vec<String> {
        self.files(collection, ".whl").into_keys().collect()
    }

    fn end(self) {
        self.server.stop();
        self.source.stop();
        self.env.ok(["verify"]);
        self.env.ok(["doctor"]);
    }
}

fn token(env: &Env, scope: &str) -> String {
    env.json(["token", "create", "--all", "--scope", scope])["secret"].as_str().unwrap().to_owned()
}

impl Run {
    /// Returns the path of a file that the run wrote.
    fn file(&self, name: &str) -> String {
        self.work.join("work-dir").join(name).to_str().unwrap().to_owned()
    }

    /// Returns how many nodes its graph has, with the root.
    fn nodes(&self) -> usize {
        let text = fs::read_to_string(self.file("graph.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap().as_object().unwrap().len()
    }

    /// Returns the digests of the wheels that the run has in the end.
    fn digests(&self) -> BTreeMap<String, Sha256> {
        let wheels = fs::read_dir(self.work.join("wheels-repo/downloads")).unwrap().flatten();
        let wheels = wheels.filter(|entry| entry.path().extension().is_some_and(|end| end == "whl"));
        wheels
            .map(|entry| (entry.file_name().into_string().unwrap(), Sha256::of(&fs::read(entry.path()).unwrap())))
            .collect()
    }
}

/// Makes the two tests of each scenario.
macro_rules! scenarios {
    ($($name:ident)*) => {$(
        mod $name {
            use super::{Way, Yard};

            #[test]
            fn oldest_by_url() {
                Yard::new("fromager-098", Way::Url).into_iter().for_each(super::scenario::$name);
            }

            #[test]
            fn newest_in_a_store() {
                Yard::new("fromager", Way::Store).into_iter().for_each(super::scenario::$name);
            }
        }
    )*};
}

scenarios! {
    f1_f2_two_variants_share_a_store_and_nothing_is_built_twice
    build_sequence_and_build_parallel_store_what_they_build_and_a_higher_build_stops_nobody
    what_one_variant_needs_another_one_may_want_for_its_own
    the_top_level_set_travels_with_each_command
    an_equal_build_is_kept_unless_fromager_is_forced
    a_prebuilt_wheel_is_for_those_who_take_it_so
    what_shared_refuses_is_found_by_the_next_build_environment
    a_build_environment_gets_what_is_the_runs_own_and_no_other_teams
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
    let Some(yard) = Yard::new("fromager", Way::Store) else { return };
    let cold = yard.bootstrap("cold", "cuda", &["demo-app"], &[]);
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
    // Its changelog says 2, and a function of the builders what follows.
    let settings = yard.env.path("settings/demo_lib.yaml");
    let more = fs::read_to_string(&settings).unwrap() + "changelog:\n  '2.0': [first, second]\n";
    fs::write(&settings, more).unwrap();
    let suffix =
        "def suffix(*, ctx, req, version, wheel_tags):\n    return [{'rocm': 'rocm6'}.get(ctx.variant, ctx.variant)]\n";
    fs::write(yard.env.path("plugin/demo_suffix.py"), suffix).unwrap();
    let tags = yard.env.path("tags.yaml");
    fs::write(&tags, "wheels:\n  build_tag_hook: 'demo_suffix:suffix'\n").unwrap();
    for (wheel, variant) in &marks {
        let url = yard.cache(variant);
        let global = ["--settings-file", tags.to_str().unwrap(), "--build-wheel-server-url", &url];
        let run = yard.run(&format!("run-{variant}"), variant, &global, &["bootstrap", "-c", &url, "demo-app"], &[]);
        let digests = run.digests();
        let got: Vec<_> = digests.iter().filter(|(name, _)| name.starts_with("demo_lib")).collect();
        assert_eq!(got, [(&wheel.filename(), &Sha256::of(&wheel.bytes()))], "{variant}: {}", run.said);
    }
    yard.end();
}

#[test]
fn a_server_with_a_token_takes_what_is_built_and_gives_it_to_the_next_run() {
    let Some(yard) = Yard::new("fromager", Way::Store) else { return };
    let token = token(&yard.env, "upload");
    // Its log is of no interest, and may share a file with the other one's.
    let server = WcasServer::start(&yard.env, &["--anonymous", "nothing"]);
    let url = server.url("/");
    let cache = server.url("/cuda/cache/simple/");
    let vars = [("WCAS_URL", &*url), ("WCAS_TOKEN", &*token)];
    let args = ["bootstrap", "--cache-wheel-server-url", &cache, "demo-app"];
    let cold = yard.run_untold("cold", "cuda", &[], &args, &vars);
    assert_eq!(cold.built.len(), 3, "{}", cold.said);
    let warm = yard.run_untold("warm", "cuda", &[], &args, &vars);
    assert_eq!((warm.built.len(), warm.sources), (0, 0), "{}", warm.said);
    assert!(!warm.said.contains(&token), "nobody is told the token");
    // Without it nothing is found, nothing stored, and nothing fails; unless that is asked for.
    let without = yard.run_untold("without", "cuda", &[], &args, &[("WCAS_URL", &*url)]);
    assert!(without.built.len() == 3 && without.said.contains("is not stored"), "{}", without.said);
    let strict = yard.run_untold("fails-strict", "cuda", &[], &args, &[("WCAS_URL", &*url), ("WCAS_STRICT", "1")]);
    assert!(
        strict.built.len() == 1 && strict.said.contains("demo_backend-1.0-0-py3-none-any.whl is not stored"),
        "{}",
        strict.said
    );
    // Nothing was said of a store: one line, and nothing is stored.
    let silent = yard.run_untold("silent", "cuda", &[], &args, &[]);
    assert_eq!(silent.said.matches("neither WCAS_STORE nor WCAS_URL is set").count(), 1, "{}", silent.said);
    server.stop();
    yard.end();
}

#[test]
fn the_plug_in_by_itself() {
    for client in ["fromager", "fromager-098"] {
        let Some(python) = fromager(client) else { continue };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(python);
        command.arg(root.join("tests/fromager/plugin.py")).env("PYTHONPATH", root.join("python"));
        let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
        assert!(output.status.success(), "{client}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn remotes_that_are_down_slow_or_lie_change_nothing() {
    let Some(yard) = Yard::new("fromager", Way::Store) else { return };
    let cold = yard.bootstrap("cold", "cuda", &["demo-app"], &[]);
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
    let run = yard.run_untold("team", "cuda", &[], &args, &[]);
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
