//! How answers look: on a terminal, which `script` of util-linux makes, and where there is none.

use crate::support::{Env, Wheel, skip};
use std::fs;
use std::process::Command;

/// A terminal of so many columns and lines.
struct Terminal<'a> {
    env: &'a Env,
    columns: usize,
    lines: usize,
    /// Variables for the command: `NAME=VALUE`.
    variables: &'a str,
}

impl Terminal<'_> {
    /// Runs a command on it; returns what is on the screen in the end, escapes and all, and the exit code.
    fn run(&self, arguments: &str) -> (String, i32) {
        let (columns, lines, variables) = (self.columns, self.lines, self.variables);
        let size = format!("stty cols {columns} rows {lines}");
        let program = env!("CARGO_BIN_EXE_wcas");
        let line = format!("{size}; env -u NO_COLOR TERM=xterm {variables} '{program}' {arguments}");
        let output =
            self.env.shell(&format!("exec script -qec \"{line}\" /dev/null")).output().expect("a shell starts");
        let text = String::from_utf8(output.stdout).expect("the screen is UTF-8");
        (text.replace("\r\n", "\n"), output.status.code().expect("it ended by itself"))
    }
}

/// Returns whether terminals can be made here; says so where they can't.
fn has_terminals() -> bool {
    let version = Command::new("script").arg("--version").output();
    let is_there = version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("util-linux"));
    if !is_there {
        skip("no `script` of util-linux is here to make a terminal");
    }
    is_there
}

fn filled() -> Env {
    Env::filled((1..=9).map(|number| Wheel::new(&format!("demo-with-a-long-name-{number}"), "1.0")))
}

fn terminal(env: &Env) -> Terminal<'_> {
    Terminal { env, columns: 100, lines: 50, variables: "WCAS_PAGER=" }
}

#[test]
fn a_table_fits_the_terminal_and_is_whole_in_a_pipe() {
    let env = filled();
    let whole = env.ok(["list"]).stdout;
    assert!(whole.lines().all(|line| line.len() > 60), "{whole}");
    assert!(whole.contains("PROJECT") && !whole.contains('…'), "{whole}");
    if !has_terminals() {
        return;
    }
    for columns in [44, 64, 80] {
        let (text, code) = Terminal { columns, ..terminal(&env) }.run("--color never list");
        assert_eq!((code, text.lines().count()), (0, 10), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns}: {text}");
        assert!(!text.contains("PROJECT") && text.contains("SIZE"), "{columns}: {text}");
        assert_eq!(text.contains('…'), columns < 60, "{columns}: {text}");
    }
    let (text, _) = Terminal { variables: "WCAS_PAGER= COLUMNS=44", ..terminal(&env) }.run("--color never list");
    assert!(text.lines().all(|line| line.chars().count() <= 44), "{text}");
}

#[test]
fn colours_are_on_a_terminal_or_where_they_are_wanted() {
    let env = filled();
    let heading = |text: &str| text.contains("\u{1b}[1mCOLLECTION");
    assert!(heading(&env.ok(["--color", "always", "list"]).stdout));
    let document = env.ok(["--color", "always", "--json", "list"]).stdout;
    assert!(!document.contains('\u{1b}') && !document.is_empty());
    let forced = env.run_with_env(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")], ["list"]);
    assert!(heading(&forced.stdout), "{forced}");
    let refused = env.run(["--color=always", "show", "absent"]);
    assert_eq!(refused.stderr, "\u{1b}[31mwcas:\u{1b}[0m nothing matches absent\n");
    assert!(env.run(["--color=always", "show", "--absent"]).stderr.contains("\u{1b}["));
    assert!(!env.run(["--color=never", "show", "--absent"]).stderr.contains("\u{1b}["));
    assert_eq!(env.run(["--color=often", "list"]).code, 2);
    if !has_terminals() {
        return;
    }
    let on = terminal(&env);
    assert!(heading(&on.run("list").0));
    for plain in ["--color never list", "--json list", "list | cat"] {
        let text = on.run(plain).0;
        assert!(!text.contains('\u{1b}') && text.contains("demo"), "{plain}: {text}");
    }
    let (text, code) = on.run("show absent");
    assert_eq!((text.as_str(), code), ("\u{1b}[31mwcas:\u{1b}[0m nothing matches absent\n", 4));
}

#[test]
fn times_are_told_from_now_on_a_terminal() {
    let env = filled();
    let uploaded = |text: &str| text.lines().find(|line| line.contains("uploaded")).expect("it is told").to_owned();
    let piped = uploaded(&env.ok(["show", "demo-with-a-long-name-1"]).stdout);
    assert!(piped.ends_with('Z') && piped.contains('T'), "{piped}");
    if !has_terminals() {
        return;
    }
    let shown = uploaded(&terminal(&env).run("show demo-with-a-long-name-1").0);
    assert!(shown.ends_with(" ago") || shown.ends_with(" now"), "{shown}");
}

#[test]
fn a_long_answer_goes_to_the_pager_and_its_end_is_no_error() {
    if !has_terminals() {
        return;
    }
    let env = filled();
    let run = |lines, pager, arguments: &str| {
        let variables = format!("WCAS_PAGER='{pager}'");
        Terminal { lines, variables: &variables, ..terminal(&env) }.run(arguments)
    };
    let marks = "sed s/^/page:/";
    let (text, code) = run(8, marks, "list");
    assert_eq!((code, text.lines().filter(|line| line.starts_with("page:")).count()), (0, 10), "{text}");
    // What fits needs none, nor do programs and those who said so, nor what tells of an action.
    let plain = ["--no-pager list", "--json list", "list | cat", "verify"];
    for (lines, arguments) in [(11, "list"), (1, plain[0]), (1, plain[1]), (1, plain[2]), (1, plain[3])] {
        let (text, code) = run(lines, marks, arguments);
        assert!(code == 0 && !text.contains("page:") && !text.is_empty(), "{arguments}: {text}");
    }
    for none in ["", "cat", "a-program-that-nobody-has"] {
        assert_eq!(run(1, none, "list"), run(50, "", "list"), "{none}");
    }
    // Who reads no more ends the answer, and the exit code is the command's.
    let blobs = env.json(["list"]);
    let blake3 = blobs["distributions"][0]["blake3"].as_str().expect("a digest").to_owned();
    fs::remove_file(env.store().join("blobs/b3").join(&blake3[..2]).join(&blake3)).expect("the blob was there");
    for pager in ["true", "head -n 1", marks] {
        assert_eq!(run(1, pager, "doctor").1, 3, "{pager}");
        assert_eq!(run(1, pager, "show absent").1, 4, "{pager}");
    }
}

#[test]
fn progress_is_told_to_programs_in_documents_and_to_others_on_terminals_only() {
    let env = Env::new();
    for number in 1..=3 {
        Wheel::new(&format!("demo{number}"), "1.0").write_to(env.path("in"));
    }
    let files = fs::read_dir(env.path("in")).expect("a folder");
    let bytes: u64 = files.map(|file| file.and_then(|file| file.metadata()).expect("a file").len()).sum();
    assert_eq!(env.ok(["import", "in"]).stderr, "");
    assert_eq!(env.ok(["--progress", "never", "verify"]).stderr, "");
    assert_eq!(env.ok(["--verbose", "verify"]).stderr, "", "30 seconds have not passed");
    let output = env.ok(["--progress", "json", "-q", "verify"]);
    let documents: Vec<serde_json::Value> =
        output.stderr.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect();
    let last = documents.last().expect("one tells of the end");
    let told = ["event", "command", "what"].map(|name| last[name].as_str().unwrap_or_default());
    assert_eq!(told, ["end", "verify", "verifying"]);
    assert_eq!((&last["done"], &last["total"], &last["file"]), (&3.into(), &3.into(), &serde_json::Value::Null));
    assert_eq!((&last["bytes"], &last["bytes_total"]), (&bytes.into(), &bytes.into()));
    assert_eq!(env.run(["--progress", "loud", "verify"]).code, 2);
    // A flat tree has its page besides, which is made, too.
    for (link, what, total, bytes) in [("copy", "copying", 4, bytes), ("symlink", "linking", 4, 0)] {
        let to = format!("flat-{link}");
        let output = env.ok(["--progress", "json", "-q", "view", "--to", &to, "--layout", "flat", "--link", link]);
        let last: serde_json::Value = serde_json::from_str(output.stderr.lines().last().unwrap()).unwrap();
        assert_eq!((&last["event"], &last["what"]), (&"end".into(), &what.into()), "{output}");
        assert_eq!((&last["done"], &last["total"]), (&total.into(), &total.into()), "{output}");
        assert_eq!((&last["bytes"], &last["bytes_total"]), (&bytes.into(), &bytes.into()), "{output}");
    }
}

#[test]
fn what_work_cost_is_told_to_who_looks_on() {
    let env = Env::new();
    Wheel::new("demo", "1.0").write_to(env.path("in"));
    let told = env.ok(["import", "in", "-v"]).stdout;
    assert!(told.contains("1 distribution in shared@1 (1 new), ") && told.ends_with(" s\n"), "{told}");
    assert_eq!(env.ok(["import", "in"]).stdout, "1 distribution in shared@1 (1 unchanged)\n");
    if has_terminals() {
        let told = terminal(&env).run("import in").0;
        assert!(told.contains(" B, in 0.") && told.ends_with(" s\n"), "{told}");
    }
}
