//! The Python API (`python/wcas`): with the real program, a real server, and under mypy's strict eyes.
//!
//! Python is `WCAS_TEST_PYTHON` or the oldest and the newest that are found; mypy is that of `target/clients.d` (`tests/clients.sh`).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests and their helpers may panic and say what they skip"
)]

#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{Env, Wheel};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the Python versions to try: one of each that is there, from 3.9 on.
fn pythons() -> Vec<PathBuf> {
    let named = std::env::var_os("WCAS_TEST_PYTHON").map(PathBuf::from);
    let own = named.into_iter().chain((9..=14).map(|minor| PathBuf::from(format!("python3.{minor}"))));
    let is_one = |python: &PathBuf| {
        let text = "import sys; sys.exit(sys.version_info < (3, 9))";
        Command::new(python).args(["-c", text]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    own.chain([PathBuf::from("python3")]).filter(is_one).collect()
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

#[test]
fn the_api_does_what_its_document_says() {
    let pythons = pythons();
    if pythons.is_empty() {
        support::skip("no Python of 3.9 or newer");
    }
    let env = Env::new();
    let wheels = env.path("wheels");
    for wheel in [Wheel::new("demo", "1.0"), Wheel::new("demo", "2.0"), Wheel::new("other", "1.0")] {
        wheel.write_to(&wheels);
    }
    Wheel::new("other", "1.0").payload(100, 7).write_to(wheels.join("changed"));
    std::fs::write(wheels.join("bad-1.0-py3-none-any.whl"), "no zip archive").unwrap();
    std::fs::write(wheels.join("notes.txt"), "no distribution").unwrap();
    // The oldest and the newest: what is between them is as they are.
    for python in [pythons.first(), pythons.last()].into_iter().flatten() {
        let work = tempfile::TempDir::new_in(env.path("tmp")).unwrap();
        let mut command = Command::new(python);
        command.env_clear().env("HOME", env.path("home")).envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.arg(root().join("tests/python/api.py")).arg(env!("CARGO_BIN_EXE_wcas")).arg(work.path()).arg(&wheels);
        run(command.env("PYTHONPATH", root().join("python")).env("PYTHONDONTWRITEBYTECODE", "1"));
    }
}

#[test]
fn the_package_is_typed() {
    let others = std::env::var_os("WCAS_TEST_CLIENTS").map_or_else(|| root().join("target/clients.d"), PathBuf::from);
    let mypy = others.join("mypy/bin/mypy");
    if !mypy.exists() {
        return support::skip("no mypy; run tests/clients.sh");
    }
    let env = Env::new();
    let strict = ["--strict", "--cache-dir", "/dev/null", "--python-version", "3.10"];
    // The plug-in's modules are typed by fromager and what that brings; the others need nobody.
    let own = ["__init__", "__main__", "_documents", "_errors", "_form", "_local", "_program", "_server"];
    let mut command = Command::new(&mypy);
    command.args(strict).args(own.map(|name| format!("wcas/{name}.py"))).current_dir(root().join("python"));
    run(&mut command);
    let fromager = others.join("fromager/bin/python");
    if fromager.exists() {
        let mut command = Command::new(&mypy);
        command.args(["--strict", "--cache-dir", "/dev/null", "-p", "wcas", "--python-executable"]).arg(fromager);
        run(command.current_dir(root().join("python")));
    } else {
        support::skip("no fromager, so the plug-in's types are not checked; run tests/clients.sh");
    }
    // A caller's mistake is seen, so the types reach who uses them.
    let script = env.path("mistake.py");
    std::fs::write(&script, "import wcas\nnumber: int = wcas.Store().lookup('demo').sha256\n").unwrap();
    let mut command = Command::new(&mypy);
    command.args(["--strict", "--cache-dir", "/dev/null"]).arg(&script).env("MYPYPATH", root().join("python"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("Incompatible types in assignment"), "{said}");
}
