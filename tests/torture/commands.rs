//! Every command, with arguments that make sense on the [lab](crate::lab)'s store.

use crate::lab::Lab;
use std::collections::BTreeSet;

/// What a command does to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// Answers, and changes nothing that matters.
    Read,
    /// Changes the store, or a tree of it.
    Write,
    /// Gives room back.
    Free,
    /// Says what the store isn't asked for.
    Nothing,
}

use Does::{Free, Nothing, Read, Write};

/// A command of the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command {
    /// Its words, as one line.
    pub(crate) line: &'static str,
    /// The exit code on the lab's store as it was made.
    pub(crate) code: i32,
    /// What it does.
    pub(crate) does: Does,
}

impl Command {
    /// Returns its arguments.
    pub(crate) fn args(self) -> Vec<&'static str> {
        self.line.split_whitespace().collect()
    }
}

const fn command(does: Does, code: i32, line: &'static str) -> Command {
    Command { line, code, does }
}

/// All commands. Where the remote is asked, it refuses connections.
pub(crate) const ALL: &[Command] = &[
    command(Nothing, 2, "init"),
    // The lab's folder, where it runs, has another name each time.
    command(Write, 0, "share file:///proc/self/cwd/share"),
    command(Read, 2, "unshare"),
    command(Write, 0, "backup kept"),
    command(Nothing, 1, "backup kept --list"),
    command(Nothing, 1, "restore kept"),
    command(Write, 0, "upgrade"),
    command(Read, 2, "prefetch"),
    command(Write, 0, "import in2"),
    command(Write, 0, "import in"),
    command(Write, 0, "import in2 --variant cuda"),
    command(Write, 0, "import in --link copy --collection other"),
    command(Write, 0, "import in2 --link hardlink"),
    command(Write, 0, "import moved --link move"),
    command(Nothing, 0, "inspect in/demo-1.0-py3-none-any.whl --deep"),
    command(Nothing, 0, "compare in/demo-1.0-py3-none-any.whl in/demo-1.0-py3-none-any.whl"),
    command(Read, 3, "compare demo==1.0 demo==2.0 --exit-code"),
    command(Read, 0, "lookup demo==1.0"),
    command(Read, 0, "lookup torch --variant cuda --offline"),
    command(Read, 0, "lookup demo --metadata"),
    command(Read, 4, "lookup absent --offline"),
    command(Write, 3, "pull absent --collection cuda"),
    command(Write, 0, "pull -r uv.lock"),
    command(Write, 0, "push --dry-run"),
    command(Write, 0, "run --key in --out dist -- sh build.sh"),
    command(Write, 0, "run --key in2 --out dist2 -- sh build.sh"),
    command(Read, 0, "view"),
    command(Read, 0, "view --format json --variant cuda"),
    command(Read, 0, "view --format paths"),
    command(Read, 0, "view --format requirements"),
    command(Read, 0, "view --format pylock --base-url https://index.example/files"),
    command(Read, 0, "view --at 1 --base-url https://index.example/files"),
    command(Write, 0, "view --to tree"),
    command(Write, 0, "view --to flat --layout flat --link copy"),
    command(Write, 0, "view --to new --link copy"),
    command(Write, 0, "view --remove tree"),
    command(Read, 0, "list"),
    command(Read, 0, "list d* --sort size --outdated"),
    command(Read, 0, "show demo"),
    command(Read, 0, "why demo"),
    command(Read, 0, "log --limit 5"),
    command(Read, 0, "log verify"),
    command(Write, 0, "log prune --older-than 1d"),
    command(Read, 0, "stats"),
    command(Read, 0, "wants"),
    command(Read, 0, "audit --licenses"),
    command(Read, 0, "audit --osv osv.json --ignore PYSEC-1"),
    command(Read, 0, "audit --sbom --collection cuda"),
    command(Write, 0, "collection create fresh"),
    command(Read, 0, "collection list"),
    command(Read, 0, "collection show shared"),
    command(Write, 0, "collection delete old --yes"),
    command(Write, 0, "collection copy shared again"),
    command(Write, 0, "collection promote cuda old torch"),
    command(Read, 0, "collection diff old shared"),
    command(Read, 0, "collection diff shared@1 shared@first --stat"),
    command(Read, 0, "collection log shared"),
    command(Read, 0, "collection rollback shared 1 --dry-run"),
    command(Write, 0, "collection rollback shared 1"),
    command(Write, 0, "collection snapshot shared second"),
    command(Write, 0, "collection snapshot shared first --delete"),
    command(Read, 0, "collection revision shared"),
    command(Write, 1, "collection sign shared --key no-key"),
    command(Write, 0, "collection set shared --keep-builds 3 --unused-for 90d"),
    command(Write, 0, "collection status shared demo archived --reason old"),
    command(Write, 0, "remote add third http://127.0.0.1:9/simple/ --collection shared"),
    command(Write, 0, "remote set up --priority 3"),
    command(Write, 0, "remote remove up"),
    command(Read, 0, "remote list"),
    command(Read, 3, "remote test up"),
    command(Read, 0, "config show"),
    command(Write, 0, "config apply wcas.toml"),
    command(Write, 0, "route set rocm --detect"),
    command(Write, 0, "route override numpy shared"),
    command(Write, 0, "route default shared"),
    command(Read, 0, "route list"),
    command(Read, 0, "route show cuda"),
    command(Write, 0, "route delete cuda"),
    command(Read, 0, "route explain --variant cuda torch"),
    command(Write, 0, "reserve mine-* --collection shared"),
    command(Write, 0, "unreserve corp-* --collection cuda"),
    command(Write, 0, "block worse==1.0 --reason bad"),
    command(Read, 0, "block list"),
    command(Write, 0, "unblock evil==1.0"),
    command(Write, 0, "invalidate demo==1.0 --collection shared"),
    command(Write, 0, "undo"),
    command(Read, 0, "list d* --collection shared@first"),
    command(Write, 0, "pin pure --reason good --everywhere"),
    command(Write, 0, "unpin demo"),
    command(Write, 0, "yank demo==1.0 --reason bad --collection shared"),
    command(Write, 0, "unyank pure --everywhere"),
    command(Read, 0, "verify"),
    command(Read, 0, "verify --quick --parallel"),
    command(Read, 0, "verify --deep --max-duration 1h"),
    command(Write, 0, "verify --repair"),
    command(Free, 0, "gc --dry-run"),
    command(Free, 0, "gc"),
    command(Free, 0, "gc --grace 0"),
    command(Free, 0, "gc --grace 0 --keep-versions 5 --max-bytes 500G"),
    command(Read, 0, "doctor"),
    command(Write, 2, "rebuild"),
    command(Write, 0, "rebuild --force"),
    command(Write, 0, "token create --all --scope read"),
    command(Read, 0, "token list"),
    command(Write, 0, "token revoke site"),
    command(
        Write,
        0,
        "publisher add more --issuer https://issuer.example --audience a --collection cuda --claim sub=y",
    ),
    command(Read, 0, "publisher list"),
    command(Write, 0, "publisher remove ci"),
    // Nobody listens there.
    command(Write, 0, "webhook add http://127.0.0.1:1/hook --collection cuda --events added,removed"),
    command(Read, 0, "webhook list"),
    command(Write, 4, "webhook remove http://127.0.0.1:1/hook --collection cuda"),
    command(Write, 4, "webhook test http://127.0.0.1:1/hook --collection cuda"),
    command(Read, 0, "webhook deliveries"),
    command(Write, 4, "webhook redeliver 7"),
    command(Write, 0, "webhook deliver"),
    command(Nothing, 0, "completions bash"),
    command(Nothing, 0, "man"),
    command(Nothing, 0, "man --to manuals"),
    // Nobody has this address (RFC 5737), so it ends.
    command(Read, 2, "serve --listen 192.0.2.1:1"),
];

/// Returns the commands that the help of one lists, with their own; `None` when there are none below.
fn below(lab: &Lab, path: &[String], found: &mut BTreeSet<String>) {
    let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = lab.run(&args).stdout;
    // They stand in groups before everything else that is set in.
    let rows = help.lines().take_while(|line| !matches!(*line, "Arguments:" | "Options:" | "Global options:"));
    let names = rows.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<_> =
        names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    if names.is_empty() {
        found.insert(path.join(" "));
    }
    for name in names {
        below(lab, &[path, &[name.to_owned()]].concat(), found);
    }
}

#[test]
fn no_command_is_missing_from_the_list_and_each_does_what_it_should() {
    let lab = Lab::new();
    let mut known = BTreeSet::new();
    below(&lab, &[], &mut known);
    assert!(known.len() > 50, "{known:?}");
    let has = |name: &String| ALL.iter().any(|command| format!("{} ", command.line).starts_with(&format!("{name} ")));
    let missing: Vec<_> = known.iter().filter(|name| !has(name)).collect();
    assert!(missing.is_empty(), "the torture doesn't know {missing:?}: tests/torture/commands.rs");
    let wrong: Vec<String> = ALL
        .iter()
        .filter_map(|command| {
            lab.renew();
            let ran = lab.run(&command.args());
            (ran.code != command.code).then(|| format!("{}: not {} but {ran}", command.line, command.code))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
