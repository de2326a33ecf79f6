//! What is under `packaging`: the scripts of the CI templates with the real program and a real server, the tree of a package, and what
//! can be checked of the rest without the programs that it is for. What is missing here is told as skipped.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests and their helpers may panic and say what they skip"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{Env, Output, Wheel};
use wcas::digest::Sha256;

const PROGRAM: &str = env!("CARGO_BIN_EXE_wcas");

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// Runs a text in bash, with the scripts' folder as `$packaging`.
fn bash(env: &Env, text: &str, vars: &[(&str, &str)]) -> Output {
    let mut command = env.shell("exec bash -euo pipefail -c \"$text\"");
    command.env("text", text).env("packaging", packaging("")).env("program", PROGRAM).envs(vars.iter().copied());
    let output = command.output().unwrap();
    // An output of ours, for its words.
    let mut made = env.run(["--version"]);
    made.code = output.status.code().unwrap_or(-1);
    made.stdout = String::from_utf8(output.stdout).unwrap();
    made.stderr = String::from_utf8(output.stderr).unwrap();
    made
}

fn sha256(path: &Path) -> String {
    Sha256::of(&fs::read(path).unwrap()).to_string()
}

fn lint(program: &str) -> Option<PathBuf> {
    let others = std::env::var_os("WCAS_TEST_CLIENTS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients.d"), PathBuf::from);
    let path = others.join("lint/bin").join(program);
    if !path.exists() {
        support::skip(format_args!("no {program} of the client lint; run tests/clients.sh"));
        return None;
    }
    Some(path)
}

/// Returns a program in the search path, or says that it isn't there.
fn found(program: &str) -> bool {
    let is_there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        support::skip(format_args!("no {program}"));
    }
    is_there
}

fn scripts() -> Vec<PathBuf> {
    let all = |dir: &str| fs::read_dir(packaging(dir)).unwrap().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let mut scripts: Vec<PathBuf> = [all(""), all("migrate"), all("deb")].concat();
    scripts.retain(|path| path.is_file() && fs::read_to_string(path).is_ok_and(|text| text.starts_with("#!")));
    assert!(scripts.len() > 7, "{scripts:?}");
    scripts
}

#[test]
fn scripts_can_be_run_and_are_clean() {
    use std::os::unix::fs::PermissionsExt as _;
    for script in scripts() {
        assert_ne!(fs::metadata(&script).unwrap().permissions().mode() & 0o111, 0, "{}", script.display());
        let shell = if fs::read_to_string(&script).unwrap().starts_with("#!/bin/sh") { "sh" } else { "bash" };
        assert!(Command::new(shell).arg("-n").arg(&script).status().unwrap().success(), "{}", script.display());
    }
    let Some(shellcheck) = lint("shellcheck") else { return };
    let output = Command::new(shellcheck).args(scripts()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn only_what_has_the_right_digest_is_installed() {
    let env = Env::new();
    // A program that tells its version is small enough to be packed often.
    let program = env.path("wcas-program");
    fs::write(&program, "#!/bin/sh\necho 'wcas 0.0.0 (trial)'\n").unwrap();
    let digest = sha256(&program);
    let install = |source: &Path, digest: &str| {
        let vars = [("source", source.to_str().unwrap()), ("digest", digest)];
        bash(&env, "\"$packaging/install.sh\" \"$source\" \"$digest\" bin", &vars)
    };
    let wrong = install(&program, &"0".repeat(64));
    assert_eq!(wrong.code, 1, "{wrong}");
    assert!(wrong.stderr.contains("nothing was installed") && wrong.stderr.contains(&digest), "{wrong}");
    for (source, digest) in
        [(Path::new("absent"), digest.as_str()), (&program, "abc"), (Path::new("http://index.example/wcas"), &digest)]
    {
        assert_eq!(install(source, digest).code, 1, "{}", source.display());
    }
    assert!(!env.path("bin/wcas").exists());
    let done = install(&program, &digest.to_uppercase());
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, format!("{}\n", env.path("bin/wcas").display()).as_str()),
        "{done}"
    );
    fs::remove_file(env.path("bin/wcas")).unwrap();
    // In an archive, in a wheel, and by a URL of this machine.
    let packed = bash(
        &env,
        "mkdir -p tree/wcas-0.data/scripts && cp wcas-program tree/wcas-0.data/scripts/wcas && tar -czf wcas.tar.gz -C tree . &&
         cd tree && python3 -m zipfile -c ../wcas-0-py3-none-any.whl wcas-0.data",
        &[],
    );
    if packed.code != 0 {
        return support::skip(format_args!("no tar or no python3, so archives are not installed: {packed}"));
    }
    for name in ["wcas.tar.gz", "wcas-0-py3-none-any.whl"] {
        let path = env.path(name);
        assert_eq!(install(&path, &sha256(&path)).code, 0, "{name}");
        fs::remove_file(env.path("bin/wcas")).unwrap();
    }
    let archive = fs::read(env.path("wcas.tar.gz")).unwrap();
    let server = support::Server::start();
    server.route("/wcas.tar.gz", support::Reply::file(archive));
    let url = PathBuf::from(server.url("/wcas.tar.gz"));
    if found("curl") {
        let done = install(&url, &sha256(&env.path("wcas.tar.gz")));
        assert_eq!(done.code, 0, "{done}");
        assert!(env.path("bin/wcas").exists());
    }
    // What doesn't run here takes no place.
    fs::write(&program, "\u{7f}ELF of another machine").unwrap();
    let foreign = install(&program, &sha256(&program));
    assert!(foreign.code == 1 && foreign.stderr.contains("no program for this machine"), "{foreign}");
    assert_eq!(
        fs::read_dir(env.path("bin")).unwrap().count(),
        usize::from(env.path("bin/wcas").exists()),
        "nothing half done"
    );
}

#[test]
fn a_job_serves_its_store_and_leaves_it_small() {
    let env = Env::new();
    let wheel = Wheel::new("demo", "1.0").write_to(env.path("wheels"));
    let vars = [("WCAS", PROGRAM)];
    let serve = || bash(&env, "\"$packaging/ci-serve.sh\" cuda cpu-2", &vars);
    let begun = serve();
    assert_eq!(begun.code, 0, "{begun}");
    let settings: Vec<(&str, &str)> = begun.stdout.lines().filter_map(|line| line.split_once('=')).collect();
    let names: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["WCAS_INDEX", "WCAS_INDEX_CUDA", "WCAS_INDEX_CPU_2"]);
    let twice = serve();
    assert!(twice.code == 1 && twice.stderr.contains("runs already"), "{twice}");
    env.ok(["import", "--collection", "cuda", wheel.to_str().unwrap()]);
    let address = settings[0].1.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let page = support::Connection::open(address.parse().unwrap()).ask("GET", "/cuda/simple/demo/", &[]);
    assert!(page.status == 200 && page.text().contains("demo-1.0"), "{}", page.text());
    let (host, port) = address.split_once(':').unwrap();
    let health = [("host", host), ("port", port)];
    let check = || bash(&env, "\"$packaging/healthcheck.sh\" \"$host\" \"$port\"", &health).code;
    assert_eq!(check(), 0);
    assert_eq!(env.json(["collection", "show", "cuda"])["fallbacks"], serde_json::json!(["shared"]));
    let ended = bash(&env, "\"$packaging/ci-end.sh\" 14d", &vars);
    assert_eq!(ended.code, 0, "{ended}");
    assert_ne!(check(), 0, "nobody listens any more");
    assert!(env.json(["collection", "show", "cuda"])["retention"]["unused_for"].as_u64() == Some(14 * 86_400));
    // The next job finds what the first had; an end without a server is one, too.
    env.ok(["lookup", "demo", "--collection", "cuda"]);
    assert_eq!(bash(&env, "\"$packaging/ci-end.sh\"", &vars).code, 0);
    // A server that can't begin is told with its words.
    fs::write(env.path("taken"), "no store").unwrap();
    let vars = [("WCAS", PROGRAM), ("WCAS_LISTEN", "nowhere.invalid:1")];
    let failed = bash(&env, "\"$packaging/ci-serve.sh\" cuda", &vars);
    assert!(failed.code == 1 && failed.stderr.contains("the server ended"), "{failed}");
}

/// Prints the scripts of the templates, as their runners run them.
const STEPS: &str = r#"
import pathlib, sys, yaml
root, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
out.mkdir()
for step in yaml.safe_load((root / "github-action/action.yml").read_text())["runs"]["steps"]:
    if "run" in step:
        (out / step["name"]).write_text("set -eo pipefail\n" + step["run"])
job = yaml.safe_load((root / "gitlab/wcas.gitlab-ci.yml").read_text())[".wcas"]
text = "\n".join(["set -eo pipefail", *job["before_script"], 'echo "index=$WCAS_INDEX_CUDA"', *job["after_script"]])
(out / "gitlab").write_text(text)
"#;

#[test]
fn the_templates_scripts_install_serve_and_end() {
    let Some(python) = lint("python") else { return };
    let env = Env::new();
    let steps = env.path("steps");
    let made =
        Command::new(python).args(["-c", STEPS]).arg(packaging("")).arg(&steps).stdin(Stdio::null()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (digest, at) = (sha256(Path::new(PROGRAM)), |name: &str| env.path(name).to_str().unwrap().to_owned());
    let (bin, store, packaging) = (at("runner/bin"), at("runner/store"), packaging("").display().to_string());
    let (path, output, more) = (at("github-path"), at("github-output"), at("github-env"));
    let vars = [
        ("SOURCE", PROGRAM),
        ("SHA256", &digest),
        ("BIN", &bin),
        ("PACKAGING", &packaging),
        ("VARIANTS", "cuda cpu"),
        ("WCAS_STORE", &store),
        ("GITHUB_PATH", &path),
        ("GITHUB_OUTPUT", &output),
        ("GITHUB_ENV", &more),
    ];
    let install = bash(&env, "bash steps/Install", &vars);
    assert!(install.code == 0 && fs::read_to_string(&path).unwrap().trim() == bin, "{install}");
    let serve = bash(&env, "export PATH=\"$(cat github-path):$PATH\"; bash steps/Serve", &vars);
    assert_eq!(serve.code, 0, "{serve}");
    let (output, more) = (fs::read_to_string(&output).unwrap(), fs::read_to_string(&more).unwrap());
    assert!(output.starts_with("WCAS_INDEX=http://127.0.0.1:") && more.starts_with(&output), "{output}{more}");
    // What the next steps have, and the last one says.
    let end = "export PATH=\"$(cat github-path):$PATH\"; set -a; . ./github-env; set +a; wcas collection show cpu; \"$WCAS_END\" 14d";
    let ended = bash(&env, end, &[]);
    assert_eq!(ended.code, 0, "{ended}");
    let vars = [
        ("CI_PROJECT_DIR", env.path("").to_str().unwrap().to_owned()),
        ("WCAS_SOURCE", PROGRAM.to_owned()),
        ("WCAS_SHA256", digest),
        ("WCAS_VARIANTS", "cuda".to_owned()),
        ("WCAS_PACKAGING", packaging),
        ("WCAS_UNUSED_FOR", "30d".to_owned()),
        ("WCAS_STORE", at(".wcas/store")),
    ];
    let vars: Vec<(&str, &str)> = vars.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let job = bash(&env, "bash steps/gitlab", &vars);
    assert!(job.code == 0 && job.stdout.contains("index=http://127.0.0.1:"), "{job}");
    assert!(job.stdout.contains("/cuda/simple/"), "{job}");
}

#[test]
fn a_folder_and_an_export_of_devpi_become_collections() {
    let env = Env::new();
    let wheels = [Wheel::new("demo", "1.0"), Wheel::new("demo", "2.0"), Wheel::new("other", "1.0")];
    let paths: Vec<PathBuf> = wheels.iter().map(|wheel| wheel.write_to(env.path("folder"))).collect();
    fs::write(env.path("folder/bad-1.0-py3-none-any.whl"), "no zip archive").unwrap();
    let vars = [("WCAS", PROGRAM)];
    let folder = || bash(&env, "\"$packaging/migrate/from-folder.sh\" plain folder", &vars);
    let first = folder();
    assert!(first.code == 3 && first.stderr.contains("bad-1.0"), "one is refused, and told: {first}");
    assert_eq!(env.json(["collection", "show", "plain"])["distributions"], 3);
    fs::remove_file(env.path("folder/bad-1.0-py3-none-any.whl")).unwrap();
    assert_eq!(folder().code, 0, "again");
    // As devpi-export 6 writes it; tests/remotes has the real one.
    let copied = |index: &str, path: &Path| {
        let relative = format!("{index}/{}", path.file_name().unwrap().display());
        fs::create_dir_all(env.path("export").join(index)).unwrap();
        fs::copy(path, env.path("export").join(&relative)).unwrap();
        serde_json::json!({"type": "releasefile", "relpath": relative})
    };
    let write = |files: serde_json::Value| {
        let export = serde_json::json!({"users": {}, "indexes": {
            "Root/Dev": {"indexconfig": {"type": "stage", "bases": ["root/base", "gone/away"]}, "files": files},
            "root/base": {"indexconfig": {"type": "stage", "bases": ["root/up"]}, "files": [copied("root/base", &paths[2])]},
            "root/up": {"indexconfig": {"type": "mirror", "mirror_url": "https://index.example/simple/"}},
        }});
        fs::write(env.path("export/dataindex.json"), export.to_string()).unwrap();
    };
    let migrate = || bash(&env, "\"$packaging/migrate/from-devpi.sh\" export", &vars);
    fs::create_dir(env.path("export")).unwrap();
    write(
        serde_json::json!([copied("Root/Dev", &paths[0]), copied("Root/Dev", &paths[1]), {"type": "doczip", "relpath": "docs"}]),
    );
    for _ in 0..2 {
        let done = migrate();
        assert!(done.code == 0 && done.stderr.contains("gone/away"), "{done}");
    }
    let dev = env.json(["collection", "show", "root-dev"]);
    assert_eq!((&dev["distributions"], &dev["fallbacks"]), (&2.into(), &serde_json::json!(["root-base"])));
    assert_eq!(env.json(["lookup", "other", "--collection", "root-dev", "--offline"])["collection"], "root-base");
    assert_eq!(env.json(["remote", "list"])["remotes"][0]["url"], "https://index.example/simple/");
    // A path that leads out of the export takes nothing.
    write(serde_json::json!([{"type": "releasefile", "relpath": "../folder/demo-1.0-py3-none-any.whl"}]));
    let out = migrate();
    assert!(out.code != 0 && out.stderr.contains("leads out of the export"), "{out}");
    assert_eq!(bash(&env, "\"$packaging/migrate/from-devpi.sh\" folder", &vars).code, 2, "no export");
}

#[test]
fn a_package_has_the_program_and_all_that_belongs_to_it() {
    let env = Env::new();
    let staged = bash(&env, "\"$packaging/stage.sh\" \"$program\" tree", &[]);
    assert_eq!(staged.code, 0, "{staged}");
    let tree = env.path("tree");
    let manifest: toml::Table = fs::read_to_string(packaging("../Cargo.toml")).unwrap().parse().unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    let assets = deb["assets"].as_array().unwrap();
    assert!(assets.len() > 5);
    for asset in assets {
        let source = asset[0].as_str().unwrap();
        let Some(staged) = source.strip_prefix("target/package/") else { continue };
        let dir = tree.join(staged).parent().unwrap().to_owned();
        let is_there =
            if staged.contains('*') { fs::read_dir(&dir).unwrap().count() > 0 } else { tree.join(staged).exists() };
        assert!(is_there, "{source}");
    }
    let pages = fs::read_dir(tree.join("usr/share/man/man1")).unwrap().flatten().map(|entry| entry.file_name());
    let pages: Vec<String> = pages.map(|name| name.display().to_string()).collect();
    assert!(pages.len() > 30 && pages.iter().all(|name| name.ends_with(".1.gz")), "{pages:?}");
    for (completion, word) in [
        ("bash-completion/completions/wcas", "complete -F"),
        ("zsh/vendor-completions/_wcas", "#compdef wcas"),
        ("fish/vendor_completions.d/wcas.fish", "wcas"),
    ] {
        assert!(fs::read_to_string(tree.join("usr/share").join(completion)).unwrap().contains(word), "{completion}");
    }
    // The manual page that a unit names is there.
    for unit in fs::read_dir(tree.join("usr/lib/systemd/system")).unwrap().flatten() {
        let text = fs::read_to_string(unit.path()).unwrap();
        let page = text.lines().find_map(|line| line.strip_prefix("Documentation=man:")).unwrap();
        assert!(pages.contains(&page.replace("(1)", ".1.gz")), "{page}");
    }
}

#[test]
fn units_are_what_systemd_takes() {
    if !found("systemd-analyze") {
        return;
    }
    let env = Env::new();
    // It looks for the program, its user and pages, which aren't installed here.
    for name in ["wcas-serve.service", "wcas-gc.service", "wcas-verify.service", "wcas-gc.timer", "wcas-verify.timer"] {
        let text = fs::read_to_string(packaging("systemd").join(name)).unwrap();
        let text = text.replace("/usr/bin/wcas", "/bin/true");
        let text: String = text
            .lines()
            .filter(|line| !["Documentation=", "User=", "Group="].iter().any(|key| line.starts_with(key)))
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(env.path(name), text).unwrap();
    }
    let verified = bash(&env, "systemd-analyze verify ./*.service ./*.timer", &[]);
    assert!(verified.code == 0 && verified.stderr.trim().is_empty(), "{verified}");
    for name in ["serve", "gc", "verify"] {
        let text = format!("systemd-analyze security --offline=true --threshold=25 ./wcas-{name}.service");
        let judged = bash(&env, &text, &[]);
        if judged.stderr.contains("unrecognized option") {
            return support::skip("this systemd-analyze judges no unit that isn't loaded");
        }
        assert_eq!(judged.code, 0, "{judged}");
    }
}

/// Reads what is YAML, and the chart's templates as far as that goes without helm: each value that they name is there, each block ends, and
/// what is left without the actions is YAML.
const READ: &str = r#"
import pathlib, re, sys, yaml
root = pathlib.Path(sys.argv[1])
plain = ["compose.yaml", "github-action/action.yml", "gitlab/wcas.gitlab-ci.yml", "helm/wcas/Chart.yaml", "helm/wcas/values.yaml"]
read = {name: yaml.safe_load((root / name).read_text()) for name in plain}
compose = read["compose.yaml"]["services"]
for name, service in compose.items():
    for other in service.get("depends_on", {}):
        assert other in compose, (name, other)
    assert not re.search(r"(?i)(secret|password).*[:=] *[a-z0-9]{6,}$", yaml.dump(service.get("environment", {}))), name
action = read["github-action/action.yml"]
text = (root / "github-action/action.yml").read_text()
for name in re.findall(r"inputs\.([a-z0-9-]+)", text):
    assert name in action["inputs"], name
for step in action["runs"]["steps"]:
    # An input in a script's text would be a command of whoever says it.
    assert "${{" not in step.get("run", ""), step
values = read["helm/wcas/values.yaml"]
for path in sorted((root / "helm/wcas/templates").iterdir()):
    text = path.read_text()
    for name in re.findall(r"\.Values((?:\.\w+)+)", text):
        at = values
        for part in name.split(".")[1:]:
            at = at[part]
    begun = len(re.findall(r"\{\{-? *(?:if|range|with|define)\b", text))
    assert begun == len(re.findall(r"\{\{-? *end\b", text)), path
    for name in re.findall(r'include "([\w.]+)"', text):
        assert f'define "{name}"' in (root / "helm/wcas/templates/_helpers.tpl").read_text(), name
    if path.suffix == ".yaml":
        lines = [line for line in text.splitlines() if not re.fullmatch(r" *\{\{-? *(?:if|range|with|end|include|toYaml)\b.*\}\} *", line)]
        bare = re.sub(r"\{\{.*?\}\}", "x", "\n".join(lines))
        assert all(isinstance(document, dict) for document in yaml.safe_load_all(bare) if document is not None), path
print("read", len(plain))
"#;

#[test]
fn what_is_yaml_can_be_read() {
    support::skip("helm lint, docker build, docker compose config, actionlint: templates are only read");
    let Some(python) = lint("python") else { return };
    let output = Command::new(python).args(["-c", READ]).arg(packaging("")).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
