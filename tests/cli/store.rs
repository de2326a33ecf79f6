//! The store as a whole: formats, read-only ones, where it is, and what every command has in common.

use crate::support::{Env, Wheel};
use crate::{assert_output, files, refused};
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn filled() -> Env {
    Env::filled([Wheel::new("demo", "1.0")])
}

/// Returns the commands that `--help` of a command lists.
fn subcommands(env: &Env, path: &[&str]) -> Vec<String> {
    let help = env.ok([path, &["--help"]].concat()).stdout;
    // They stand in groups before everything else that is set in.
    let rows = help.lines().take_while(|line| !matches!(*line, "Arguments:" | "Options:" | "Global options:"));
    let names = rows.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_commands_help_has_an_example() {
    let env = Env::new();
    let commands = subcommands(&env, &[]);
    assert!(commands.len() >= 18, "{commands:?}");
    for command in &commands {
        for arg in ["--help", "-h"] {
            let help = env.ok([command, arg]).stdout;
            assert!(help.contains("Example"), "{command} {arg}:\n{help}");
        }
    }
    let without: Vec<String> = subcommands(&env, &["collection"])
        .into_iter()
        .filter(|name| env.ok(["collection", name, "--help"]).stdout.is_empty())
        .collect();
    assert_eq!(without, [""; 0]);
    assert!(env.ok(["--help"]).stdout.contains("Exit codes"));
    let said = env.ok(["--version"]).stdout;
    let revision = said.strip_prefix(concat!("wcas ", env!("CARGO_PKG_VERSION"))).unwrap().trim();
    let digits = revision.trim_start_matches('(').trim_end_matches(')');
    assert!(digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "a revision of git, or none: {said}");
}

#[test]
fn a_closed_standard_output_is_quiet() {
    let env = filled();
    for number in 0..300 {
        Wheel::new(&format!("p{number}"), "1.0").write_to(env.path("many"));
    }
    env.ok(["import", "many"]);
    let commands: [&[&str]; 9] = [
        &["list"],
        &["--json", "list"],
        &["view"],
        &["view", "--format", "paths"],
        &["show", "demo"],
        &["stats"],
        &["verify"],
        &["--help"],
        &["completions", "bash"],
    ];
    for args in commands {
        let mut child = env.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_reader_who_left_changes_nothing_of_how_a_command_ends() {
    let env = filled();
    let (one, two) = ("in/demo-1.0-py3-none-any.whl", "in/demo-2.0-py3-none-any.whl");
    for number in ["1.0", "2.0"] {
        Wheel::new("demo", number).payload(9000, number.len() as u64).write_to(env.path("in"));
    }
    let closed = |args: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = env.command(args).stdout(writer).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for args in [&["compare", "--exit-code", one, two][..], &["--json", "compare", "--exit-code", one, two]] {
        assert_eq!(closed(args), (Some(3), String::new()), "{args:?}");
    }
    // What was done is told where notes go.
    let (code, notes) = closed(&["invalidate", "demo", "--everywhere"]);
    assert!(code == Some(0) && notes.contains("undo"), "{notes}");
    // A secret that nobody read is nobody's.
    let (code, notes) = closed(&["token", "create", "--all", "--scope", "read"]);
    assert!(code == Some(1) && notes.contains("is revoked") && notes.contains("Broken pipe"), "{notes}");
}

#[test]
fn who_may_open_too_few_files_is_told_so() {
    if Env::is_of_own_store_only("a node has more files open") {
        return;
    }
    let env = filled();
    for (handles, args) in [(6, "list"), (8, "compare in/demo-1.0-py3-none-any.whl demo"), (8, "backup kept")] {
        let text = format!("ulimit -n {handles} && exec {} {args}", env!("CARGO_BIN_EXE_wcas"));
        let mut command = Command::new("sh");
        command.args(["-c", &text]).current_dir(env.path("")).env("WCAS_STORE", env.store());
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && stderr.contains("`ulimit -n`"), "{handles} {args}: {stderr}");
    }
    // What they couldn't put away goes with the next one that can.
    env.ok(["gc"]);
}

#[test]
fn an_interrupt_ends_a_command_with_130() {
    let env = filled();
    // It waits for the list on its standard input, which stays open.
    let mut child = env.command(["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let reads = format!("/proc/{}/syscall", child.id());
    if std::fs::read_to_string(&reads).is_err() {
        crate::support::skip("what a process waits for can't be seen here");
        child.kill().unwrap();
        child.wait().unwrap();
        return;
    }
    // 0 is read(2) of x86-64, 63 of others: the handler was set long before.
    while std::fs::read_to_string(&reads)
        .is_ok_and(|call| !["0 0x0 ", "63 0x0 "].iter().any(|read| call.starts_with(read)))
    {
        std::thread::yield_now();
    }
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    env.ok(["import", "in"]);
}

#[test]
fn quiet_leaves_answers_and_errors() {
    let env = filled();
    // Whether a total is an answer or a note is a matter of taste: only standard error must be silent.
    assert_eq!(env.ok(["-q", "import", "in"]).stderr, "");
    assert_output!(env.run(["-q", "list", "absent"]), @"exit 4");
    // What an action did is no answer.
    assert_output!(env.run(["-q", "invalidate", "demo"]), @"exit 0");
    assert_output!(env.run(["-q", "undo"]), @"exit 0");
    assert_output!(env.run(["-q", "show", "absent"]), @r"
    exit 4
    --- stderr
    wcas: nothing matches absent
    ");
    assert_eq!(env.run(["-q", "-v", "list"]).code, 2);
}

#[test]
fn the_store_is_where_the_option_says_else_the_variable_else_the_data_folder() {
    if Env::is_of_own_store_only("it is made before the test") {
        return;
    }
    let env = Env::new();
    Wheel::new("demo", "1.0").write_to(env.path("in"));
    env.ok(["--store", "elsewhere", "import", "in"]);
    assert!(env.path("elsewhere/wcas.json").exists() && !env.store().exists());
    env.ok(["import", "in", "--store", "after"]);
    assert!(env.path("after/wcas.json").exists());
    let output = env.run_with_env(&[("WCAS_STORE", ""), ("XDG_DATA_HOME", "")], ["import", "in"]);
    assert_eq!(output.code, 0, "{output}");
    let home = files(&env.path("home"));
    assert!(home.iter().any(|path| path.ends_with("wcas/wcas.json")), "{home:?}");
}

#[test]
fn a_store_of_a_newer_format_is_refused() {
    let env = filled();
    let path = env.path("store/wcas.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"b3-v1\"", "\"b3-v1\", \"b4\"")).unwrap();
    assert_output!(refused(&env, 1, &["list"]), @r#"
    exit 1
    --- stderr
    wcas: the store at $STORE needs "b4", which this wcas doesn't know: use a newer wcas
    "#);
    assert_output!(refused(&env, 1, &["import", "in"]), @r#"
    exit 1
    --- stderr
    wcas: the store at $STORE needs "b4", which this wcas doesn't know: use a newer wcas
    "#);
    // What only writers must know lets readers in.
    fs::write(&path, text.replace("\"ro_compat\": []", "\"ro_compat\": [\"journal\"]")).unwrap();
    env.ok(["list"]);
    assert_output!(refused(&env, 1, &["gc"]), @r#"
    exit 1
    --- stderr
    wcas: the store at $STORE can't be written: it needs "journal" for that
    "#);
    fs::write(&path, text.replace("\"compat\": []", "\"compat\": [\"hints\"]")).unwrap();
    env.ok(["gc"]);
    fs::write(&path, "{").unwrap();
    assert_output!(refused(&env, 1, &["list"]), @r"
    exit 1
    --- stderr
    wcas: $STORE/wcas.json can't be understood
      because: EOF while parsing an object at line 1 column 1
      hint: put a copy of wcas.json in place, or `wcas rebuild` writes a new one; `wcas doctor` tells more
    ");
}

#[test]
fn a_manifest_of_a_newer_schema_or_of_another_program_is_refused() {
    let env = filled();
    let path = env.path("store/manifest.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    drop(connection);
    assert_output!(refused(&env, 1, &["list"]), @r"
    exit 1
    --- stderr
    wcas: $STORE/manifest.sqlite has schema 999, and this wcas knows up to 11: use a newer wcas
    ");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 1; PRAGMA application_id = 7").unwrap();
    drop(connection);
    assert_output!(refused(&env, 1, &["list"]), @r"
    exit 1
    --- stderr
    wcas: $STORE/manifest.sqlite is not a wcas manifest
      hint: keep a copy of what is there, then put a backup in place or `wcas rebuild`
    ");
    fs::write(&path, "garbage, and more of it than a header has bytes".repeat(20)).unwrap();
    let output = refused(&env, 1, &["list"]);
    assert!(output.stderr.contains("file is not a database") && output.stderr.contains("wcas rebuild"), "{output}");
    fs::remove_file(&path).unwrap();
    assert_output!(refused(&env, 1, &["list"]), @r"
    exit 1
    --- stderr
    wcas: the store at $STORE has lost its manifest.sqlite
      hint: put a backup in place, or `wcas rebuild` reads the blobs again
    ");
    assert_eq!(env.run(["import", "in"]).code, 1, "a lost manifest is never made anew in silence");
}

/// Sets the modes of a folder and all in it.
fn chmod(dir: &Path, folders: u32, plain: u32) {
    for entry in walkdir::WalkDir::new(dir).contents_first(true) {
        let entry = entry.unwrap();
        let mode = if entry.file_type().is_dir() { folders } else { plain };
        if !entry.path_is_symlink() {
            fs::set_permissions(entry.path(), Permissions::from_mode(mode)).unwrap();
        }
    }
}

#[test]
fn a_read_only_store_can_be_read_and_says_why_it_is_not_written() {
    let env = filled();
    env.ok(["lookup", "demo"]);
    chmod(&env.store(), 0o555, 0o444);
    if fs::write(env.path("store/probe"), "").is_ok() {
        fs::remove_file(env.path("store/probe")).unwrap();
        crate::support::skip("permissions don't bind root");
        return;
    }
    for args in [&["list"][..], &["lookup", "demo"], &["view"], &["stats"], &["show", "demo"], &["verify"]] {
        env.ok(args);
    }
    for args in
        [&["import", "in"][..], &["gc"], &["invalidate", "demo"], &["pin", "demo"], &["collection", "create", "x"]]
    {
        let output = refused(&env, 1, args);
        assert!(output.stderr.contains("can't be written"), "{args:?}: {output}");
    }
    chmod(&env.store(), 0o755, 0o644);
}

/// Returns what doctor finds wrong, as kinds.
fn problems(env: &Env) -> Vec<String> {
    let output = env.run(["--json", "doctor"]);
    let rows = output.json()["findings"].as_array().unwrap().clone();
    let rows = rows.iter().filter(|row| row["severity"] == "problem");
    rows.map(|row| row["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn folders_that_a_copy_left_out_are_made_again() {
    for dir in ["locks", "locks/sessions", "staging", "quarantine"] {
        let env = filled();
        fs::remove_dir_all(env.store().join(dir)).unwrap();
        Wheel::new("more", "1.0").payload(1000, 3).write_to(env.path("more"));
        env.ok(["import", "more"]);
        env.ok(["gc"]);
        assert_eq!(problems(&env), [""; 0], "{dir}");
        env.ok(["verify"]);
    }
    let env = filled();
    fs::remove_dir_all(env.store().join("blobs")).unwrap();
    let report = env.json(["import", "in"]);
    assert!(report["distributions"].as_array().unwrap().iter().all(|row| row["outcome"] == "healed"), "{report}");
    env.ok(["verify"]);
}

#[test]
fn what_can_not_be_opened_is_diagnosed_and_rebuilt() {
    if Env::is_of_own_store_only("its manifest is the share's") {
        return;
    }
    let damage = |what: &str| -> Env {
        let env = filled();
        let (manifest, format) = (env.store().join("manifest.sqlite"), env.store().join("wcas.json"));
        match what {
            "short" => fs::File::options().write(true).open(manifest).unwrap().set_len(5000).unwrap(),
            "empty" => fs::write(manifest, "").unwrap(),
            "no database" => fs::write(manifest, "x".repeat(9000)).unwrap(),
            "no manifest" => fs::remove_file(manifest).unwrap(),
            "no locks" => {
                fs::remove_file(&manifest).and_then(|()| fs::remove_dir_all(env.store().join("locks"))).unwrap()
            }
            "no format" => fs::remove_file(format).unwrap(),
            _ => fs::write(format, "{\"store\":").unwrap(),
        }
        env
    };
    for what in ["short", "empty", "no database", "no manifest", "no locks", "no format", "broken format"] {
        let env = damage(what);
        let kind = if what.ends_with("format") { "format" } else { "manifest" };
        assert_eq!(problems(&env), [kind], "{what}");
        let text = env.run(["doctor"]);
        assert!(text.stdout.contains("wcas rebuild") && text.code == 3, "{what}: {text}");
        // What says what kind of store it is is all that was lost then, and it is written first.
        let rebuilt = env.run(["rebuild"]);
        assert_eq!(rebuilt.code, if kind == "format" { 2 } else { 0 }, "{what}: {rebuilt}");
        assert_eq!(problems(&env), [""; 0], "{what}");
        assert_eq!(env.json(["list"])["distributions"].as_array().unwrap().len(), 1, "{what}");
    }
    // What is no store is none.
    let env = Env::new();
    assert_eq!(env.run(["doctor"]).code, 4);
}
