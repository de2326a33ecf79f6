//! The Python package: built by maturin from this very tree, installed into an environment of its own, and used as README's reader would.
//!
//! maturin is that of `target/clients.d` (`tests/clients.sh`); where it isn't there, the test says that it is skipped. The program in the
//! package is built as the tests' is, so that hardly anything is compiled twice.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests and their helpers may panic and say what they skip"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{Env, Wheel};

fn tools() -> Option<(PathBuf, PathBuf)> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let others = std::env::var_os("WCAS_TEST_CLIENTS").map_or_else(|| target.join("clients.d"), PathBuf::from);
    let python = std::env::var_os("WCAS_TEST_PYTHON").map_or_else(|| target.join("clients/bin/python"), PathBuf::from);
    let maturin = others.join("maturin/bin/maturin");
    if !maturin.exists() || !python.exists() {
        support::skip("no maturin or no Python; run tests/clients.sh");
        return None;
    }
    Some((maturin, python))
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    said.into_owned()
}

fn only(dir: &Path, end: &str) -> PathBuf {
    let found: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).collect();
    let mut found = found.into_iter().filter(|path| path.to_string_lossy().ends_with(end));
    let one = found.next().unwrap_or_else(|| panic!("no {end} in {}", dir.display()));
    assert!(found.next().is_none(), "more than one {end}");
    one
}

#[test]
fn the_package_installs_and_has_the_program_and_the_plug_in() {
    let Some((maturin, python)) = tools() else { return };
    let (env, root) = (Env::new(), Path::new(env!("CARGO_MANIFEST_DIR")));
    let out = env.path("dist");
    let target = Path::new(env!("CARGO_BIN_EXE_wcas")).parent().unwrap().parent().unwrap();
    // Its own platform only: what a release takes is in docs/releasing.md.
    let built = ["build", "--profile", "dev", "--compatibility", "linux", "--locked", "--target-dir"];
    run(Command::new(&maturin).args(built).arg(target).arg("--out").arg(&out).current_dir(root));
    let wheel = only(&out, ".whl");
    let venv = env.path("venv");
    run(Command::new(&python).args(["-m", "venv"]).arg(&venv));
    let own = venv.join("bin/python");
    run(Command::new(&own).args(["-m", "pip", "install", "--quiet", "--no-index"]).arg(&wheel));
    // From the program itself, from Python, and by the entry points that fromager looks for.
    let program = venv.join("bin/wcas");
    let version = run(Command::new(&program).arg("--version"));
    assert!(version.starts_with(concat!("wcas ", env!("CARGO_PKG_VERSION"))), "{version}");
    assert_eq!(run(Command::new(&own).args(["-m", "wcas", "--version"])), version);
    let text = "from importlib.metadata import entry_points, version\nimport wcas\n\
                print(sorted(point.name for point in entry_points(group='fromager.hooks')), version('wcas'), wcas.find_program())";
    let said = run(Command::new(&own).args(["-c", text]));
    let wanted = format!(
        "['post_bootstrap', 'post_build', 'prebuilt_wheel'] {} {}\n",
        env!("CARGO_PKG_VERSION"),
        program.display()
    );
    assert_eq!(said, wanted);
    let missing = Command::new(&own).args(["-m", "wcas"]).env("WCAS_PROGRAM", "/nowhere/wcas").output().unwrap();
    assert!(!missing.status.success());
    // README's first lines.
    let demo = Wheel::new("demo", "1.0").write_to(env.path("wheels"));
    let ours =
        |args: &[&str]| run(Command::new(&program).args(args).current_dir(env.path("")).env("WCAS_STORE", env.store()));
    ours(&["import", demo.to_str().unwrap(), "--collection", "cuda"]);
    let page = ours(&["view", "--collection", "cuda"]);
    std::fs::write(env.path("cuda.html"), page).unwrap();
    let install = ["-m", "pip", "install", "--quiet", "--no-index", "--find-links", "cuda.html", "demo"];
    run(Command::new(&own).args(install).current_dir(env.path("")));
    assert!(ours(&["verify", "--parallel"]).contains("1 "), "it was looked at");
}

#[test]
fn the_source_distribution_has_all_that_building_takes() {
    let Some((maturin, _)) = tools() else { return };
    let (env, root) = (Env::new(), Path::new(env!("CARGO_MANIFEST_DIR")));
    let out = env.path("dist");
    run(Command::new(&maturin).arg("sdist").arg("--out").arg(&out).current_dir(root));
    let names = run(Command::new("tar").arg("-tzf").arg(only(&out, ".tar.gz")));
    for name in [
        "Cargo.toml",
        "Cargo.lock",
        "pyproject.toml",
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "src/build.rs",
        "src/main.rs",
        "src/manifest/schema/1.sql",
        "python/wcas/hooks.py",
        "docs/fromager.md",
        "tests/cases.rs",
        "packaging/install.sh",
        "python/wcas/py.typed",
    ] {
        assert!(
            names.lines().any(|line| line.split_once('/').is_some_and(|(_, rest)| rest == name)),
            "{name}: {names}"
        );
    }
    assert!(!names.contains("__pycache__") && !names.contains("/target/"), "{names}");
}
