//! Keeps the house in shape: who may import whom, and who may touch the disk, SQL, the terminal, the environment and the clock.
//!
//! The sources are read as tokens, without comments, strings and test modules; paths are followed through `use` groups,
//! renames, `super` and the names that `lib.rs` exports again. A macro that makes paths would escape; none does.

#[path = "support/source.rs"]
mod source;

use source::{Token, is_name, text, tokens};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The floors of `docs/design.md`, from below; the binary stands on all of them and sees only `wcas::`.
const FLOORS: [&[&str]; 11] = [
    &["budget", "digest", "meter", "name", "requirement", "status", "units", "words"],
    &["fs", "signed", "tls", "token", "wheel"],
    &["blobs", "index", "manifest", "parallel", "share", "view"],
    &["remote", "store"],
    &["context", "error"],
    &["keep"],
    &["catalog"],
    &["intake"],
    &["supply"],
    &["ops"],
    &["server"],
];

/// Functions that change the disk, by the module that offers them.
const MUTATORS: [(&[&str], &str); 5] = [
    (
        &["std", "fs"],
        "write remove_file remove_dir remove_dir_all rename create_dir create_dir_all copy hard_link soft_link \
         set_permissions set_times set_times_nofollow DirBuilder *",
    ),
    (&["std", "fs", "File"], "create create_new create_buffered *"),
    (&["std", "fs", "DirBuilder"], "new"),
    (&["std", "os", "unix", "fs"], "symlink chown fchown lchown mkfifo *"),
    (
        &["rustix", "fs"],
        "rename renameat renameat_with unlink unlinkat rmdir remove_dir mkdir mkdirat link linkat symlink symlinkat chmod \
         chmodat fchmod chown chownat fchown ftruncate fallocate utimensat futimens ioctl_ficlone copy_file_range \
         clonefile fclonefileat mknodat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr *",
    ),
];

/// Methods of open files that change the disk.
const MUTATING_METHODS: [&str; 4] = ["set_len", "set_permissions", "set_modified", "set_times"];

/// Options that open a file for writing, when they are `(true)`.
const OPEN_OPTIONS: [&str; 5] = ["write", "append", "create", "create_new", "truncate"];

/// Crates and paths that belong to one part of the house, and that part.
const HOMES: [(&[&str], &[&str]); 26] = [
    (&["ring"], &["signed"]),
    (&["getrandom"], &["cli"]),
    (&["rusqlite"], &["manifest"]),
    (&["reqwest"], &["remote", "share"]),
    (&["rustls"], &["tls", "remote", "share"]),
    (&["rustls_platform_verifier"], &["tls"]),
    (&["object_store"], &["share"]),
    (&["tokio_postgres"], &["share"]),
    (&["hyper"], &["server"]),
    (&["hyper_util"], &["server"]),
    (&["tokio"], &["server", "share"]),
    (&["tokio_rustls"], &["server", "share"]),
    (&["multer"], &["server"]),
    (&["quick_cache"], &["server"]),
    (&["maud"], &["server"]),
    (&["pulldown_cmark"], &["server"]),
    (&["html5gum"], &["index"]),
    (&["toml"], &["ops"]),
    (&["std", "env"], &["cli", "main"]),
    (&["std", "process", "Command"], &["cli"]),
    (&["std", "time", "SystemTime", "now"], &["cli", "main"]),
    (&["std", "time", "UNIX_EPOCH", "elapsed"], &["cli", "main"]),
    (&["clap"], &["cli", "main"]),
    (&["clap_complete"], &["cli", "main"]),
    (&["clap_mangen"], &["cli", "main"]),
    (&["unicode_width"], &["cli"]),
];

/// How many packages the program and its tests are made of, ours included. One more is a decision: write it down here, and why in
/// `docs/design.md`.
const PACKAGES: usize = 312;

/// Macros that write to the terminal.
const PRINTERS: [&str; 5] = ["println", "eprintln", "print", "eprint", "dbg"];

#[test]
fn every_module_imports_only_from_floors_below_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    assert!(files.iter().any(|(name, _)| name == "lib.rs"), "no sources under {}", root.display());
    let library = &files.iter().find(|(name, _)| name == "lib.rs").unwrap().1;
    let exports = exports(library);
    let found: Vec<String> = files.iter().flat_map(|(name, source)| check(name, source, &exports)).collect();
    assert!(found.is_empty(), "{} breaches of the floors:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_number_of_packages_is_the_one_that_was_written_down() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let lock = fs::read_to_string(lock).expect("the lock file is there");
    let packages = lock.lines().filter(|line| *line == "[[package]]").count();
    assert_eq!(packages, PACKAGES, "Cargo.lock has another number of packages than tests/floors.rs says");
    let registries: BTreeSet<&str> = lock.lines().filter_map(|line| line.strip_prefix("source = ")).collect();
    assert_eq!(registries.len(), 1, "all come from one registry: {registries:?}");
}

/// The lines that a file may have without its tests, and a function; the parameters that a function may have.
const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;
const PARAMETERS: usize = 6;

/// What is over a budget and still to be split: nothing.
const OVER_BUDGET: [&str; 0] = [];

#[test]
fn files_and_functions_are_within_their_budgets() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    let over: Vec<String> = files.iter().flat_map(|(name, source)| over_budget(name, source)).collect();
    let new: Vec<&String> = over.iter().filter(|one| !OVER_BUDGET.iter().any(|known| one.starts_with(known))).collect();
    assert!(new.is_empty(), "over budget: {new:#?}");
    let gone: Vec<_> = OVER_BUDGET.iter().filter(|known| !over.iter().any(|one| one.starts_with(*known))).collect();
    assert!(gone.is_empty(), "within budget by now, take them off the list: {gone:?}");
}

/// Returns what of a file is over a budget: `FILE`, or `FILE FUNCTION`, and by what.
fn over_budget(name: &str, source: &str) -> Vec<String> {
    let code = source.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(source);
    let lines: Vec<&str> = code.lines().collect();
    let mut over = Vec::new();
    if lines.len() > FILE_LINES && !name.ends_with("tests.rs") {
        over.push(format!("{name}: {} lines", lines.len()));
    }
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some((before, rest)) = line.split_once("fn ") else { continue };
        let is_head = before.trim().split(' ').all(|word| {
            matches!(word, "" | "pub" | "async" | "const" | "in") || word.starts_with("pub(") || word.ends_with(')')
        });
        let Some(function) = rest.split(['(', '<']).next().filter(|_| is_head) else { continue };
        // As rustfmt writes it, a function ends where a brace stands under its head.
        let end = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines[at..].iter().position(|line| *line == end) else { continue };
        if length + 1 > FUNCTION_LINES {
            over.push(format!("{name} {function}: {} lines", length + 1));
        }
        let parameters = match line.ends_with('(') {
            true => lines[at + 1..].iter().take_while(|line| line.len() - line.trim_start().len() > indent).count(),
            false => 0,
        };
        if parameters > PARAMETERS {
            over.push(format!("{name} {function}: {parameters} parameters"));
        }
    }
    over
}

/// Folders whose modules are siblings: none may need another that needs it.
const FAMILIES: [&str; 6] = ["keep", "catalog", "intake", "supply", "ops", "server"];

/// Arrows between siblings that close a circle, and are still to go. Without them there is none.
const CIRCLES: [(&str, &str, &str); 0] = [];

#[test]
fn no_siblings_need_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    let mut wrong = Vec::new();
    for family in FAMILIES {
        let mut arrows = arrows(family, &files);
        for (of, from, to) in CIRCLES.iter().filter(|(of, ..)| *of == family) {
            let is_needed = arrows.get_mut(*from).is_some_and(|needed| needed.remove(*to));
            assert!(is_needed, "{of}: `{from}` needs `{to}` no longer: take it off the list");
        }
        wrong.extend(circles(&arrows).iter().map(|circle| format!("{family}: {}", circle.join(" <-> "))));
    }
    assert!(wrong.is_empty(), "modules that need each other:\n{}", wrong.join("\n"));
}

/// Returns which modules of a folder need which, by name.
fn arrows(family: &str, files: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let own: Vec<(Vec<String>, &String)> = files
        .iter()
        .map(|(name, source)| (name.trim_end_matches(".rs").split('/').map(str::to_owned).collect::<Vec<_>>(), source))
        .filter(|(home, _)| home[0] == family)
        .collect();
    let siblings: BTreeSet<&str> = own.iter().map(|(home, _)| home[1].as_str()).filter(|name| *name != "mod").collect();
    let head = own.iter().find(|(home, _)| home[1] == "mod").expect("a family has a head").1;
    let named = paths(&tokens(head), &[family.to_owned()]).into_iter().filter_map(SourcePath::alias);
    // What the head names again is that of the module where it comes from.
    let again: BTreeMap<String, String> = named
        .filter_map(|(name, path)| Some((name, path.get(2).filter(|of| siblings.contains(of.as_str()))?.clone())))
        .collect();
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (home, source) in own.iter().filter(|(home, _)| home[1] != "mod") {
        let tokens = tokens(source);
        let aliases: BTreeMap<String, Vec<String>> =
            paths(&tokens, home).into_iter().filter_map(SourcePath::alias).collect();
        for path in paths(&tokens, home) {
            let segments = path.resolved(&aliases);
            let ["crate", of, name, ..] = segments.iter().map(String::as_str).collect::<Vec<_>>()[..] else { continue };
            let to = again.get(name).map_or(name, String::as_str);
            if of == family && to != home[1] && siblings.contains(to) {
                arrows.entry(home[1].clone()).or_default().insert(to.to_owned());
            }
        }
    }
    arrows
}

/// Returns the sets of names that all reach one another.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(name) = next.pop() {
            next.extend(arrows.get(name).into_iter().flatten().filter(|to| seen.insert((*to).clone())));
        }
        seen
    };
    let reach: BTreeMap<&String, BTreeSet<String>> = arrows.keys().map(|from| (from, reached(from))).collect();
    let mut found = BTreeSet::new();
    for (from, to) in &reach {
        let circle: Vec<String> =
            to.iter().filter(|name| reach.get(name).is_some_and(|back| back.contains(*from))).cloned().collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<(String, String)>) {
    let entries =
        fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>).expect("the sources can be listed");
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let name = path.strip_prefix(root).expect("a listed path is under the root");
            files.push((name.display().to_string(), fs::read_to_string(&path).expect("a source is UTF-8")));
        }
    }
}

/// Returns the breaches in one file, whose name is relative to `src`.
fn check(name: &str, source: &str, exports: &BTreeMap<String, String>) -> Vec<String> {
    if name == "build.rs" {
        // It runs before there is a house.
        return Vec::new();
    }
    let tokens = tokens(source);
    let home: Vec<String> = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let top = home[0].as_str();
    let binary = matches!(top, "main" | "cli");
    let mut found = BTreeSet::new();
    let mut breach = |line: usize, text: String| {
        found.insert((line, text));
    };
    if floor(top).is_none() && !binary && top != "lib" {
        breach(1, format!("the module `{top}` has no floor"));
    }
    let aliases: BTreeMap<String, Vec<String>> =
        paths(&tokens, &home).into_iter().filter_map(SourcePath::alias).collect();
    let mut imports = BTreeSet::new();
    for path in paths(&tokens, &home) {
        let segments = path.resolved(&aliases);
        // Once a file: an imported name comes back at each use.
        if segments[0] == "crate"
            && let Some(text) = check_floor(top, &segments[1..], exports)
            && imports.insert(text.clone())
        {
            breach(path.line, text);
        }
        for (what, homes) in HOMES {
            if starts(&segments, what) && !homes.contains(&top) {
                breach(path.line, format!("`{}` belongs to {}", what.join("::"), homes.join(" and ")));
            }
        }
        if top != "fs" && changes_disk(&segments) {
            breach(path.line, format!("`{}` changes the disk, which only `fs` does", segments.join("::")));
        }
    }
    for (at, token) in tokens.iter().enumerate() {
        let text = token.text.as_str();
        let next = self::text(&tokens, at + 1);
        if !binary && next == "!" && PRINTERS.contains(&text) {
            breach(token.line, format!("`{text}!` belongs to cli and main"));
        }
        let method = at > 0 && tokens[at - 1].text == "." && next == "(";
        let set = self::text(&tokens, at + 2) == "true" && OPEN_OPTIONS.contains(&text);
        if top != "fs" && method && (set || MUTATING_METHODS.contains(&text)) {
            breach(token.line, format!("`.{text}()` changes the disk, which only `fs` does"));
        }
        if top == "main" && text == "mod" && next != "cli" {
            breach(token.line, format!("the binary has no module `{next}`: it sees only `wcas::`"));
        }
    }
    found.into_iter().map(|(line, text)| format!("src/{name}:{line}: {text}")).collect()
}

fn check_floor(top: &str, path: &[String], exports: &BTreeMap<String, String>) -> Option<String> {
    // `lib.rs` declares all of them; `crate` alone is a visibility, `pub(crate)`.
    let first = path.first()?;
    let target = exports.get(first).unwrap_or(first).as_str();
    if top == "lib" || target == top {
        return None;
    }
    if matches!(top, "main" | "cli") {
        return (target != "cli").then(|| format!("the binary imports `crate::{target}`: it sees only `wcas::`"));
    }
    if (top, floor(target)) == ("requirement", Some(0)) {
        // Vocabulary made of vocabulary: a requirement has a name and maybe a digest.
        return None;
    }
    match (floor(top), floor(target)) {
        (_, None) => Some(format!("`crate::{target}` is on no floor")),
        (Some(own), Some(other)) if other >= own => {
            Some(format!("`{top}` (floor {own}) imports `{target}` (floor {other})"))
        }
        _ => None,
    }
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

fn changes_disk(path: &[String]) -> bool {
    let listed = MUTATORS.iter().any(|(module, names)| {
        starts(path, module)
            && path.get(module.len()).is_some_and(|name| names.split_whitespace().any(|own| own == name))
    });
    let last = path.last().map_or("", String::as_str);
    let flag = matches!(last, "WRONLY" | "RDWR" | "CREATE" | "TRUNC" | "APPEND" | "TMPFILE");
    listed || flag && path.iter().any(|segment| segment == "OFlags")
}

fn starts(path: &[String], with: &[&str]) -> bool {
    path.len() >= with.len() && path.iter().zip(with).all(|(own, other)| own == other)
}

/// Returns the names that `lib.rs` exports again, and the modules that they come from.
fn exports(library: &str) -> BTreeMap<String, String> {
    let paths = paths(&tokens(library), &["lib".to_owned()]);
    paths
        .into_iter()
        .filter_map(SourcePath::alias)
        .map(|(name, path)| (name, path.into_iter().find(|segment| segment != "crate").unwrap_or_default()))
        .filter(|(_, module)| floor(module).is_some())
        .collect()
}

/// A path in the source: `a::b::c`, with `self` and `super` replaced by what they mean.
struct SourcePath {
    segments: Vec<String>,
    /// The name that a `use` gives it with `as`.
    rename: Option<String>,
    imported: bool,
    line: usize,
}

impl SourcePath {
    /// Returns the name that a `use` makes, and what it stands for.
    fn alias(self) -> Option<(String, Vec<String>)> {
        let name = self.rename.or_else(|| self.segments.last().cloned())?;
        self.imported.then_some((name, self.segments))
    }

    /// Returns the path with the names that `use` made replaced; a few turns are enough for `use std::fs; use fs::File`.
    fn resolved(&self, aliases: &BTreeMap<String, Vec<String>>) -> Vec<String> {
        let mut segments = self.segments.clone();
        for _ in 0..4 {
            let Some(path) = aliases.get(&segments[0]).filter(|path| path[0] != segments[0]) else { break };
            segments.splice(..1, path.iter().cloned());
        }
        segments
    }
}

/// Finds all paths in a file, whose own path of modules is `home`.
fn paths(tokens: &[Token], home: &[String]) -> Vec<SourcePath> {
    let mut here = vec!["crate".to_owned()];
    here.extend(home.iter().filter(|part| !matches!(part.as_str(), "lib" | "main" | "mod")).cloned());
    let (mut found, mut imported, mut depth, mut inline) = (Vec::new(), false, 0usize, Vec::new());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "use" => imported = text(tokens, at + 1) != "<",
            ";" => imported = false,
            "mod" if text(tokens, at + 2) == "{" => {
                here.push(tokens[at + 1].text.clone());
                inline.push(depth);
                at += 1;
            }
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if inline.pop_if(|opened| *opened == depth).is_some() {
                    here.pop();
                }
            }
            // A field or a method, `.write`, but not the end of a range, `..write`.
            "." if text(tokens, at + 1) != "." && (at == 0 || tokens[at - 1].text != ".") => at += 1,
            name if is_name(name) => {
                at = tree(tokens, at, &here, Vec::new(), imported, &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads a path, or the tree of paths of a `use`, that continues `segments`; returns the place after it.
fn tree(
    tokens: &[Token],
    mut at: usize,
    here: &[String],
    mut segments: Vec<String>,
    imported: bool,
    found: &mut Vec<SourcePath>,
) -> usize {
    let line = tokens[at].line;
    loop {
        match text(tokens, at) {
            "{" => {
                at += 1;
                while !matches!(text(tokens, at), "}" | "") {
                    let member = is_name(text(tokens, at)) || text(tokens, at) == "*";
                    at = if member { tree(tokens, at, here, segments.clone(), imported, found) } else { at + 1 };
                }
                return at + 1;
            }
            // In a group, `self` is the group's own path.
            "self" | "super" if segments.is_empty() => segments = here.to_vec(),
            "self" | "super" => {}
            name => segments.push(name.to_owned()),
        }
        if text(tokens, at) == "super" && segments.len() > 1 {
            segments.pop();
        }
        at += 1;
        let next = text(tokens, at + 1);
        if text(tokens, at) != "::" || !(is_name(next) || matches!(next, "{" | "*")) {
            break;
        }
        at += 1;
    }
    let rename = (imported && text(tokens, at) == "as").then(|| text(tokens, at + 1).to_owned());
    at += if rename.is_some() { 2 } else { 0 };
    found.push(SourcePath { segments, rename, imported, line });
    at
}

fn breaches(name: &str, source: &str) -> Vec<String> {
    let library = "pub mod digest; pub use error::{Error, ErrorKind}; pub use crate::store::Store as Opened;";
    check(name, source, &exports(library))
}

#[test]
fn imports_from_lower_floors_and_the_own_folder_pass() {
    for (name, source) in [
        (
            "ops/gc.rs",
            "use crate::{digest::Blake3, ops::lookup::lookup, store::{self, Store}, Error};\nuse super::verify;",
        ),
        ("wheel/elf.rs", "use super::tags; use super::super::name::ProjectName; use self::inner::x;"),
        ("wheel/mod.rs", "mod tags; pub(crate) use tags::Tag; use super::name; pub(in crate::wheel) fn f() {}"),
        (
            "blobs/mod.rs",
            "use crate::fs; fn f() { fs::write(p); fs::rename(a, b); std::fs::File::open(p); file.write(&b) }",
        ),
        ("fs/mod.rs", "use std::fs; fn f() { fs::write(p, b); File::options().write(true) }"),
        ("manifest/mod.rs", "use rusqlite::Connection;"),
        ("cli/gc.rs", "use crate::cli::Context; use wcas::ops; fn f() { println!(\"x\"); std::env::var(\"X\") }"),
        ("cli/run.rs", "use std::process::Command; fn f() { Command::new(p) }"),
        ("store/session.rs", "fn f() { std::process::id() }"),
        ("main.rs", "mod cli; fn main() { cli::run(std::env::args(), std::time::SystemTime::now()) }"),
        (
            "digest.rs",
            "//! crate::ops\n/* crate::ops /* std::fs::write */ println!() */\nfn f<'a>(x: &'a str) { '\"'; }",
        ),
        (
            "digest.rs",
            "const A: &str = r#\"\"crate::ops::x\"#; const B: &[u8] = b\"\\\"std::env\"; const C: char = '\\'';",
        ),
        ("digest.rs", "#[cfg(test)]\nmod tests {\n use crate::ops; fn f() { std::fs::write(p, b) }\n}\nfn g() {}"),
        ("digest.rs", "struct A { #[cfg(test)] faults: crate::ops::X, b: u8 }"),
    ] {
        assert_eq!(breaches(name, source), Vec::<String>::new(), "{name}: {source}");
    }
}

#[test]
fn each_kind_of_breach_is_found() {
    for (name, source, message) in [
        ("digest.rs", "\n\nuse crate::ops;", "src/digest.rs:3: `digest` (floor 0) imports `ops` (floor 9)"),
        ("digest.rs", "use crate::name::X;", "`digest` (floor 0) imports `name` (floor 0)"),
        ("blobs/mod.rs", "use crate::{digest, wheel::{a, b}, manifest::{self as m}};", "imports `manifest` (floor 2)"),
        ("wheel/elf.rs", "use super::super::store::Store;", "`wheel` (floor 1) imports `store` (floor 3)"),
        ("wheel/elf.rs", "mod inner { use super::super::super::store; } use super::tags;", "imports `store` (floor 3)"),
        ("wheel/elf.rs", "use {std::fmt, crate::view};", "imports `view` (floor 2)"),
        ("view/mod.rs", "fn f() -> Vec<crate::Error> { 0..1 }", "`view` (floor 2) imports `error` (floor 4)"),
        ("view/mod.rs", "fn f() -> crate::Opened {}", "`view` (floor 2) imports `store` (floor 3)"),
        ("view/mod.rs", "use crate as root; fn f() { root::ops::gc::gc() }", "imports `ops` (floor 9)"),
        ("view/mod.rs", "use crate::*;", "`crate::*` is on no floor"),
        ("view/mod.rs", "use crate::helpers::x;", "`crate::helpers` is on no floor"),
        ("helpers.rs", "", "src/helpers.rs:1: the module `helpers` has no floor"),
        ("store.rs", "#[cfg(test)]\nmod tests { fn f() { '{'; \"}\"; } }\nuse crate::ops;", "src/store.rs:3: "),
        ("main.rs", "mod cli; mod store;", "the binary has no module `store`"),
        ("cli/gc.rs", "use crate::store;", "the binary imports `crate::store`"),
        ("cli/gc.rs", "fn f() { std::fs::remove_file(p) }", "`std::fs::remove_file` changes the disk"),
        ("ops/gc.rs", "use std::{fs, io}; fn f() { fs::write(p, b) }", "`std::fs::write` changes the disk"),
        ("ops/gc.rs", "use std::fs as disk; fn f() { disk::rename(a, b) }", "`std::fs::rename` changes the disk"),
        ("ops/gc.rs", "use std::fs; use fs::File; fn f() { File::create(p) }", "`std::fs::File::create` changes"),
        ("ops/gc.rs", "use std::fs::File; fn f() { File::options().append(true) }", "`.append()` changes the disk"),
        ("ops/gc.rs", "fn f() { 0..std::fs::copy(a, b) }", "`std::fs::copy` changes the disk"),
        ("ops/gc.rs", "use std::os::unix::fs::symlink;", "`std::os::unix::fs::symlink` changes the disk"),
        (
            "ops/gc.rs",
            "use rustix::fs::{openat, OFlags}; fn f() { OFlags::CREATE }",
            "OFlags::CREATE` changes the disk",
        ),
        ("ops/gc.rs", "fn f() { rustix::fs::unlinkat(d, n, x) }", "`rustix::fs::unlinkat` changes the disk"),
        ("ops/gc.rs", "fn f() { file.set_len(0) }", "`.set_len()` changes the disk"),
        ("store.rs", "use rusqlite::Connection;", "`rusqlite` belongs to manifest"),
        (
            "ops/run.rs",
            "use std::process; fn f() { process::Command::new(p) }",
            "`std::process::Command` belongs to cli",
        ),
        ("store.rs", "use std::{env, io};", "`std::env` belongs to cli and main"),
        (
            "store.rs",
            "use std::time::*; use std::time::SystemTime; fn f() { SystemTime::now() }",
            "SystemTime::now` belongs",
        ),
        ("store.rs", "fn f() { eprintln!(\"x\") }", "`eprintln!` belongs to cli and main"),
        ("ops/gc.rs", "use clap::Parser;", "`clap` belongs to cli and main"),
        ("ops/pull.rs", "use reqwest::blocking::Client;", "`reqwest` belongs to remote"),
    ] {
        let found = breaches(name, source);
        assert!(
            found.iter().any(|breach| breach.contains(message)),
            "{name}: {source}\nfound {found:?}\nnot {message}"
        );
    }
}
