//! The documents' commands are ones that the program has: each line in a code block is parsed as the program would, and each option that
//! the prose names is one of its command. Nothing is run.

use super::Cli;
use clap::{CommandFactory, Parser, error::ErrorKind};
use std::fs;
use std::path::{Path, PathBuf};

/// Words that may be before a command in a line of a shell, a unit or a job, and aren't it.
const BEFORE: [&str; 13] =
    ["sudo", "exec", "time", "nohup", "if", "while", "until", "then", "do", "else", "!", "-", "run:"];

/// Kinds of code blocks in which nothing is a command.
const NOT_COMMANDS: [&str; 4] = ["text", "toml", "json", "python"];

/// A line of a document.
struct Line {
    /// The document and the number.
    place: String,
    text: String,
    /// The kind of the code block that it is in.
    block: Option<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the files with these endings, in a folder and those below it.
fn files(dir: &Path, ends: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ends));
        } else if path.extension().is_some_and(|end| ends.iter().any(|known| end == *known)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn documents() -> Vec<PathBuf> {
    let mut found = files(&root().join("docs"), &["md"]);
    let top = fs::read_dir(root()).unwrap().flatten().map(|entry| entry.path());
    found.extend(top.filter(|path| path.extension().is_some_and(|end| end == "md")));
    found.extend(files(&root().join("packaging"), &["md"]));
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Returns a document's lines, those that end in a backslash joined.
fn lines(path: &Path) -> Vec<Line> {
    let text = fs::read_to_string(path).unwrap();
    let is_document = path.extension().is_some_and(|end| end == "md");
    let mut block = (!is_document).then(String::new);
    let mut found: Vec<Line> = Vec::new();
    let mut is_open = false;
    for (at, line) in text.lines().enumerate() {
        if let Some(kind) = line.trim_start().strip_prefix("```").filter(|_| is_document) {
            block = if block.is_some() { None } else { Some(kind.trim().to_owned()) };
            is_open = false;
            continue;
        }
        // `docker run … > file` of a console goes on under it with its own sign.
        let (part, goes_on) = line.trim_end().strip_suffix('\\').map_or((line, false), |part| (part, block.is_some()));
        match found.last_mut().filter(|_| is_open) {
            Some(last) => {
                last.text.push(' ');
                last.text.push_str(part.trim_start().trim_start_matches("> "));
            }
            None => found.push(Line {
                place: format!("{}:{}", name(path), at + 1),
                text: part.to_owned(),
                block: block.clone(),
            }),
        }
        is_open = goes_on;
    }
    found
}

/// Splits a line into commands, each into words, as a shell does; a comment ends it.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut found, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut letters = line.chars().peekable();
    let mut quote = None;
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(own), _) if own == letter => quote = None,
            // What is in another command's place is a command of its own.
            (Some('"') | None, '$') if letters.peek() == Some(&'(') => {
                letters.next();
                let inner: String = letters.by_ref().take_while(|letter| *letter != ')').collect();
                found.extend(commands(&inner));
                word.get_or_insert_default().push_str("$()");
            }
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().extend(letters.next()),
            (None, '#') if word.is_none() => break,
            (None, '|' | '&' | ';' | '(' | ')') => {
                words.extend(word.take());
                found.push(std::mem::take(&mut words));
            }
            (None, '<' | '>') => {
                // A number before it is a descriptor.
                words.extend(word.take().filter(|word| word.parse::<u8>().is_err()));
                while letters.next_if(|letter| "<>& ".contains(*letter)).is_some() {}
                while letters.next_if(|letter| !letter.is_whitespace() && !"|&;)".contains(*letter)).is_some() {}
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    found.push(words);
    found
}

/// Returns the words of our command, where it is one.
fn ours(words: &[String]) -> Option<&[String]> {
    let is_program = |word: &str| word == "wcas" || word.ends_with("/wcas") && !word.contains('=');
    let at = words.iter().position(|word| is_program(word.strip_prefix("ExecStart=").unwrap_or(word)))?;
    let is_before = |word: &String| {
        let is_setting = word
            .split_once('=')
            .is_some_and(|(name, _)| name.chars().all(|letter| letter.is_alphanumeric() || letter == '_'));
        let is_time = word.chars().all(|letter| "0123456789*/,-".contains(letter));
        BEFORE.contains(&word.as_str()) || is_setting || is_time
    };
    words[..at].iter().all(is_before).then_some(&words[at..])
}

/// Returns the lines of a code block that a reader would type, without the console's sign.
fn typed(line: &Line) -> Option<&str> {
    match line.block.as_deref()? {
        "console" => line.text.trim_start().strip_prefix("$ "),
        kind if NOT_COMMANDS.contains(&kind) => None,
        _ => Some(&line.text),
    }
}

/// Returns what the program says of a command that it doesn't take.
fn refused(words: &[String]) -> Option<String> {
    // What a variable holds is not known: its name stands for it, and nothing for one that has options.
    let is_known = |word: &&String| !(word.starts_with('$') && word.ends_with("OPTIONS"));
    let plain = |word: &String| word.replace("$()", "made").replace(['$', '{', '}'], "");
    let error = Cli::try_parse_from(words.iter().filter(is_known).map(plain)).err()?;
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    (!is_answer).then(|| error.to_string())
}

#[test]
fn the_program_takes_every_command_of_the_documents() {
    let packaging = files(&root().join("packaging"), &["service", "sh", "yml", "yaml"]);
    let mut seen = 0;
    let mut wrong = Vec::new();
    for line in documents().iter().chain(&packaging).flat_map(|path| lines(path)) {
        for words in typed(&line).map(commands).into_iter().flatten() {
            let Some(words) = ours(&words) else { continue };
            seen += 1;
            wrong.extend(refused(words).map(|why| format!("{}: {}\n{why}", line.place, words.join(" "))));
        }
    }
    assert!(wrong.is_empty(), "{} commands that the program doesn't take:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen > 100, "only {seen} commands were found");
}

#[test]
fn a_wrong_command_is_found_wherever_a_line_has_it() {
    let found = |line: &str| -> Vec<bool> {
        commands(line).iter().filter_map(|words| ours(words)).map(|words| refused(words).is_some()).collect()
    };
    for line in [
        "wcas imort dist/",
        "wcas import dist/ --no-such-option",
        "cd /srv && sudo WCAS_STORE=/srv/wcas wcas gc --grace soon   # nightly",
        "30 2 * * *  /usr/bin/wcas --store /srv/wcas",
        "path=\"$(wcas lookup)\"",
        "ExecStart=/usr/bin/wcas serve --port 80",
        "for name in a b; do wcas collection create $name --fallback; done",
    ] {
        assert_eq!(found(line), [true], "{line}");
    }
    for line in [
        "wcas import 'dist folder' --collection cuda > log 2>&1 # --no-such-option",
        "wcas view --collection cuda | sort",
        "wcas help collection set",
    ] {
        assert_eq!(found(line), [false], "{line}");
    }
    for line in ["chown wcas /store", "# wcas imort", "echo 'wcas imort'", "COPY out/bin/wcas /usr/local/bin/wcas"] {
        assert!(found(line).is_empty(), "{line}");
    }
}

/// Returns the code in a line of prose.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns the options that a text names.
fn options(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
        .filter_map(|word| word.strip_prefix("--"))
        .filter(|name| name.starts_with(|letter: char| letter.is_ascii_lowercase()))
}

/// Returns the options that a text names and its command doesn't have, where it begins with a command.
fn unknown_options(span: &str) -> Vec<String> {
    let root = Cli::command();
    let (mut command, mut globals) = (&root, Vec::new());
    let span = span.split(" -- ").next().unwrap_or(span);
    let mut words = span.split_whitespace().peekable();
    if words.next_if_eq(&"wcas").is_some() && words.peek().is_some_and(|word| word.starts_with("--")) {
        // Global options are of all commands.
        return Vec::new();
    }
    while let Some(next) = words.peek().and_then(|word| command.find_subcommand(word)) {
        command = next;
        globals.extend(words.next());
    }
    let has = |command: &clap::Command, name: &str| {
        command
            .get_arguments()
            .any(|argument| argument.get_long_and_visible_aliases().is_some_and(|all| all.contains(&name)))
    };
    // Below a command that has others, one of them may be meant.
    let is_known = |name: &&str| {
        let inner = command.get_subcommands().any(|command| has(command, name));
        matches!(*name, "help" | "version") || has(&root, name) || has(command, name) || inner
    };
    if globals.is_empty() {
        return Vec::new();
    }
    options(span).filter(|name| !is_known(name)).map(|name| format!("{} --{name}", globals.join(" "))).collect()
}

#[test]
fn the_options_that_the_prose_names_are_their_commands_own() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for line in documents().iter().flat_map(|path| lines(path)).filter(|line| line.block.is_none()) {
        for span in spans(&line.text) {
            seen += options(span).count();
            wrong.extend(unknown_options(span).iter().map(|what| format!("{}: {what}", line.place)));
        }
    }
    assert!(wrong.is_empty(), "options that the program hasn't got:\n{}", wrong.join("\n"));
    assert!(seen > 200, "only {seen} options were found");
    assert_eq!(unknown_options("wcas collection set NAME [--falback C]"), ["collection set --falback"]);
    assert_eq!(unknown_options("import --link copy --pre-bilt"), ["import --pre-bilt"]);
    assert!(unknown_options("run --key FILE -- COMMAND --its-own").is_empty());
}

#[test]
fn no_document_installs_from_a_registry_where_nothing_is() {
    let installs = |words: &[String]| {
        let program = words.iter().find(|word| !BEFORE.contains(&word.as_str()) && !word.contains('='))?;
        let is_installer =
            matches!(program.as_str(), "pip" | "pip3" | "pipx" | "uv" | "cargo" | "helm" | "python" | "python3");
        let is_named = |word: &String| word.split(['=', '[', '@', '<', '>']).next() == Some("wcas");
        (is_installer && words.iter().any(|word| word == "install") && words.iter().skip(1).any(is_named)).then_some(())
    };
    let is_wrong = |line: &str| {
        let line = line.replace("--no-binary wcas", "");
        commands(&line).iter().any(|words| installs(words).is_some())
    };
    assert!(is_wrong("pip install fromager wcas==0.1") && is_wrong("cd x && cargo install wcas"));
    assert!(!is_wrong("pip install ./wcas-0.1.0-py3-none-linux_x86_64.whl") && !is_wrong("cargo install --path ."));
    let mut wrong = Vec::new();
    for line in documents().iter().flat_map(|path| lines(path)) {
        let code: Vec<&str> = match &line.block {
            Some(_) => vec![line.text.trim_start().trim_start_matches("$ ").trim_start_matches("- ")],
            None => spans(&line.text).collect(),
        };
        wrong.extend(code.into_iter().filter(|code| is_wrong(code)).map(|code| format!("{}: {code}", line.place)));
    }
    assert!(wrong.is_empty(), "nothing is published, so this installs a stranger's:\n{}", wrong.join("\n"));
}

/// Returns the name that a heading's link has.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(|letter: char| !letter.is_alphanumeric() && !" -_".contains(letter), "");
    kept.trim().replace(' ', "-")
}

#[test]
fn links_of_the_documents_lead_to_files_and_headings() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for path in documents() {
        for line in lines(&path).iter().filter(|line| line.block.is_none()) {
            for target in line.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if target.contains("://") {
                    continue;
                }
                seen += 1;
                let (file, heading) = target.split_once('#').unwrap_or((target, ""));
                let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
                let is_there = file.exists() && (heading.is_empty() || has_heading(&file, heading));
                wrong.extend((!is_there).then(|| format!("{}: {target}", line.place)));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
    assert!(seen > 50, "only {seen} links were found");
}

fn has_heading(file: &Path, heading: &str) -> bool {
    let file = file.canonicalize().unwrap();
    let lines = lines(&file);
    let headings = lines.iter().filter(|line| line.block.is_none() && line.text.starts_with('#'));
    headings.map(|line| slug(line.text.trim_start_matches('#'))).any(|own| own == heading)
}

#[test]
fn the_messages_that_troubleshooting_explains_are_the_programs_own() {
    let sources: Vec<String> =
        files(&root().join("src"), &["rs"]).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    // A text that goes on in the next line of a source is one.
    let joined = sources.iter().flat_map(|text| text.split("\\\n")).map(str::trim_start).collect::<String>();
    let mut seen = 0;
    for line in lines(&root().join("docs/troubleshooting.md")).iter().filter(|line| line.text.starts_with("| `")) {
        let first = line.text.split(" | ").next().unwrap();
        for part in spans(first).flat_map(|message| message.split('…')).map(str::trim).filter(|part| part.len() > 3) {
            seen += 1;
            assert!(joined.contains(part), "{}: nothing says {part:?}", line.place);
        }
    }
    assert!(seen > 25, "only {seen} were found");
}
