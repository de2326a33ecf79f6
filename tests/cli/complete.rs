//! `wcas completions`: what shells are told while a line is typed, through the engine and through real shells.

use crate::support::{Env, Wheel, skip};
use std::fs;
use std::process::Command;

fn filled() -> Env {
    let env = Env::filled(["torch", "torchvision", "numpy"].map(|project| Wheel::new(project, "1.0")));
    env.ok(["import", "in", "--collection", "cuda-next"]);
    env.ok(["collection", "snapshot", "cuda-next", "release"]);
    env.ok(["route", "set", "cuda", "--detect"]);
    env.ok(["remote", "add", "mirror", "http://127.0.0.1:9/simple/", "--collection", "shared"]);
    env
}

/// Returns what the program tells bash of the last of these words.
fn told(env: &Env, words: &[&str]) -> Vec<String> {
    let mut command = env.command([&["--"], words].concat());
    command.env("WCAS_COMPLETE", "bash").env("_CLAP_IFS", "\n");
    let output = command.env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn names_of_the_store_are_told_where_they_belong() {
    let env = filled();
    for (words, names) in [
        (&["wcas", "list", "tor"][..], &["torch", "torchvision"][..]),
        (&["wcas", "list", "--collection", "cu"], &["cuda-next"]),
        (&["wcas", "list", "--collection=cu"], &["--collection=cuda-next"]),
        (&["wcas", "list", "-c", "sha"], &["shared"]),
        (&["wcas", "lookup", "torch", "--variant", ""], &["cuda"]),
        (&["wcas", "remote", "test", "m"], &["mirror"]),
        (&["wcas", "collection", "diff", "cuda-next@"], &["cuda-next@release", "cuda-next@1"]),
        (&["wcas", "collection", "diff", "cuda-next@rel"], &["cuda-next@release"]),
        (&["wcas", "collection", "rollback", "cuda-next", "r"], &["release"]),
        (&["wcas", "view", "-c", "cuda-next", "--at", ""], &["release", "1"]),
        (&["wcas", "route", "show", "c"], &["cuda"]),
        (&["wcas", "list", "absent"], &[]),
        (&["wcas", "list", "--collection", "$(touch x)"], &[]),
    ] {
        assert_eq!(told(&env, words), names, "{words:?}");
    }
    assert!(told(&env, &["wcas", "inv"]).contains(&"invalidate".to_owned()));
    let options = told(&env, &["wcas", "list", "--"]);
    assert!(
        ["--collection", "--json", "--python"].iter().all(|own| options.iter().any(|one| one == own)),
        "{options:?}"
    );
}

#[test]
fn the_line_says_which_store_and_none_is_made() {
    if Env::is_of_own_store_only("it is made before the test") {
        return;
    }
    let env = filled();
    fs::rename(env.store(), env.path("other")).unwrap();
    assert_eq!(told(&env, &["wcas", "list", "tor"]), [""; 0]);
    assert!(!env.store().exists(), "looking makes no store");
    let other = env.path("other").display().to_string();
    assert_eq!(told(&env, &["wcas", "--store", &other, "list", "num"]), ["numpy"]);
    assert_eq!(told(&env, &["wcas", &format!("--store={other}"), "list", "num"]), ["numpy"]);
    fs::write(env.path("other/manifest.sqlite"), "no manifest").unwrap();
    assert_eq!(told(&env, &["wcas", "--store", &other, "list", "num"]), [""; 0]);
    fs::remove_dir_all(env.path("other")).unwrap();
}

#[test]
fn a_busy_store_keeps_nobody_waiting() {
    let env = filled();
    let names = ["torch", "torchvision"];
    let writer = rusqlite::Connection::open(env.store().join("manifest.sqlite")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(told(&env, &["wcas", "list", "tor"]), names, "who writes is no hindrance");
    drop(writer);
    let alone = wcas::fs::Lock::try_exclusive(&env.store().join("locks/store")).unwrap().unwrap();
    assert_eq!(told(&env, &["wcas", "list", "tor"]), [""; 0], "what a rebuild has alone is not read");
    drop(alone);
    assert_eq!(told(&env, &["wcas", "list", "tor"]), names);
}

#[test]
fn a_variable_alone_changes_no_command() {
    let env = filled();
    for shell in ["bash", "tcsh", ""] {
        let output = env.command(["list", "numpy", "-c", "shared"]).env("WCAS_COMPLETE", shell).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("numpy-1.0"), "{shell}: {output:?}");
    }
}

/// Returns whether a shell is there.
fn has(shell: &str) -> bool {
    let is_there = Command::new(shell).arg("--version").output().is_ok();
    if !is_there {
        skip(format!("{shell} isn't here"));
    }
    is_there
}

/// Makes a folder of programs where `wcas` is the one that is tested.
fn programs(env: &Env) -> String {
    let dir = env.path("programs");
    fs::create_dir_all(&dir).unwrap();
    let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wcas"), dir.join("wcas"));
    format!("{}:{}", dir.display(), std::env::var("PATH").unwrap_or_default())
}

#[test]
fn bash_completes_within_words_that_it_parts() {
    if !has("bash") {
        return;
    }
    let env = filled();
    let script = env.ok(["completions", "bash"]).stdout;
    fs::write(env.path("wcas.bash"), script).unwrap();
    // Words as bash parts them, which is what readline does with the line.
    for (line, words, replies) in [
        ("wcas list tor", "wcas list tor", "torch torchvision"),
        ("wcas list --collection=cu", "wcas list --collection = cu", "cuda-next"),
        ("wcas collection diff cuda-next@rel", "wcas collection diff cuda-next @ rel", "release"),
        ("wcas collection diff cuda-next@", "wcas collection diff cuda-next @", "release 1"),
        ("wcas  list   num", "wcas list num", "numpy"),
        ("wcas stat", "wcas stat", "stats"),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let test = format!(
            "set -u; source wcas.bash; complete -p wcas > /dev/null || exit 9; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; \
             COMP_WORDS=({}); COMP_CWORD={}; _wcas wcas; echo \"${{COMPREPLY[*]}}\"",
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words.len() - 1,
        );
        let mut command = Command::new("bash");
        command.args(["--norc", "--noprofile", "-c", &test]).env_clear().env("PATH", programs(&env));
        let output =
            command.env("HOME", env.path("home")).env("WCAS_STORE", env.store()).current_dir(env.path("")).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), replies, "{line}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
    }
}

#[test]
fn scripts_of_all_shells_are_ones_that_they_can_read() {
    let env = Env::new();
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = env.ok(["completions", shell]).stdout;
        assert!(script.contains("WCAS_COMPLETE"), "{script}");
        fs::write(env.path(format!("script.{shell}")), script).unwrap();
        if has(shell) {
            let output = Command::new(shell).arg(check).arg(env.path(format!("script.{shell}"))).output().unwrap();
            assert!(output.status.success(), "{shell}: {output:?}");
        }
    }
    for shell in ["elvish", "powershell"] {
        assert!(env.ok(["completions", shell]).stdout.contains("WCAS_COMPLETE"), "{shell}");
    }
}

#[test]
fn pages_of_the_manual_are_ones_that_man_can_read() {
    let env = Env::new();
    env.ok(["man", "--to", "pages"]);
    let pages = fs::read_dir(env.path("pages")).unwrap().map(|entry| entry.unwrap().path());
    let pages: Vec<_> = pages.collect();
    assert!(pages.len() > 60, "{}", pages.len());
    for (program, args) in
        [("mandoc", &["-T", "lint", "-W", "error"][..]), ("groff", &["-z", "-ww", "-man", "-K", "utf8"])]
    {
        if Command::new(program).arg("--version").output().is_err() {
            skip(format!("{program} isn't here"));
            continue;
        }
        let output = Command::new(program).args(args).args(&pages).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{program}: {output:?}");
    }
}
