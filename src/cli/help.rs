//! The command line as it is offered: what clap derives from the commands, and what all of them have in common, said once.
//!
//! Commands are told in groups, global options stand under a heading of their own, every command has an example, `-c` is short for
//! `--collection`, and names that people type for commands of other programs work.

use super::Cli;
use super::complete::{self, Asked};
use clap::{Arg, Command, CommandFactory};
use std::sync::Arc;

/// The commands, as the help of the program tells them: each in one group.
const GROUPS: [(&str, &[&str]); 7] = [
    ("Getting wheels in", &["import", "inspect", "compare", "pull", "prefetch", "run"]),
    ("Answers", &["lookup", "list", "show", "why", "view", "log", "stats", "wants", "audit"]),
    (
        "Changing what is offered",
        &[
            "collection",
            "route",
            "reserve",
            "unreserve",
            "block",
            "unblock",
            "yank",
            "unyank",
            "invalidate",
            "undo",
            "pin",
            "unpin",
            "config",
        ],
    ),
    ("Remotes", &["remote", "push"]),
    (
        "Keeping the store",
        &["init", "verify", "gc", "doctor", "rebuild", "backup", "restore", "share", "unshare", "upgrade"],
    ),
    ("Serving", &["serve", "token", "publisher", "webhook"]),
    ("About wcas", &["help", "completions", "man"]),
];

/// Names that people type for a command, by its words.
const ALIASES: [(&str, &[&str]); 4] =
    [("list", &["ls", "search"]), ("invalidate", &["rm"]), ("verify", &["check"]), ("log", &["history"])];

/// Examples of the commands that have none of their own.
const EXAMPLES: [(&str, &str); 50] = [
    ("help", "wcas help import"),
    ("collection create", "wcas collection create cuda"),
    ("collection list", "wcas collection list --json"),
    ("collection show", "wcas collection show cuda"),
    ("collection delete", "wcas collection delete old --yes"),
    ("collection copy", "wcas collection copy cuda@release cuda-next"),
    ("collection promote", "wcas collection promote nightly cuda torch==2.5.1 --dry-run"),
    ("collection diff", "wcas collection diff cuda@41 cuda"),
    ("collection log", "wcas collection log cuda"),
    ("collection rollback", "wcas collection rollback cuda 41"),
    ("collection snapshot", "wcas collection snapshot cuda@41 release"),
    ("collection revision", "wcas collection revision cuda@41"),
    ("collection sign", "wcas collection sign cuda --key ~/.ssh/id_ed25519"),
    ("collection set", "wcas collection set cuda --fallback shared --keep-builds 3"),
    ("collection status", "wcas collection status shared old-tool archived --reason 'use new-tool'"),
    ("remote add", "wcas remote add mirror https://index.example/simple/ --collection shared"),
    ("remote set", "wcas remote set mirror --min-age 7d"),
    ("remote remove", "wcas remote remove mirror"),
    ("remote list", "wcas remote list"),
    ("remote test", "wcas remote test mirror --project torch"),
    ("config show", "wcas config show > wcas.toml"),
    ("config apply", "wcas config apply wcas.toml --dry-run"),
    ("route set", "wcas route set cuda --requirements cuda.txt --detect"),
    ("route override", "wcas route override xformers shared --variant cuda"),
    ("route default", "wcas route default shared"),
    ("route list", "wcas route list"),
    ("route show", "wcas route show cuda"),
    ("route delete", "wcas route delete cuda"),
    ("route explain", "wcas route explain torch==2.5.1 --variant cuda"),
    ("token create", "wcas token create --collection cuda --scope upload --expires 30d"),
    ("token list", "wcas token list"),
    ("token revoke", "wcas token revoke 3"),
    (
        "publisher add",
        "wcas publisher add ci --issuer https://ci.example --audience wcas --claim repository=acme/tools --collection cuda",
    ),
    ("publisher list", "wcas publisher list"),
    ("publisher remove", "wcas publisher remove ci"),
    (
        "webhook add",
        "wcas webhook add https://hook.example/wcas --collection cuda --secret-file /etc/wcas/hook.key --events added,removed",
    ),
    ("webhook list", "wcas webhook list --collection cuda"),
    ("webhook remove", "wcas webhook remove https://hook.example/wcas --collection cuda"),
    ("webhook test", "wcas webhook test https://hook.example/wcas --collection cuda"),
    ("webhook deliveries", "wcas webhook deliveries --collection cuda --state failed"),
    ("webhook redeliver", "wcas webhook redeliver 41"),
    ("webhook deliver", "wcas webhook deliver --base-url https://wheels.example"),
    ("log prune", "wcas log prune --older-than 90d"),
    ("log verify", "wcas log verify"),
    ("init", "wcas init"),
    ("share", "wcas share s3://wheels/team --region eu-central-1"),
    ("unshare", "wcas unshare"),
    ("upgrade", "wcas upgrade"),
    ("backup", "wcas backup /mnt/backup --keep-for 90d"),
    ("restore", "wcas restore /mnt/backup"),
];

/// The exit codes, and what they mean.
pub(super) const EXIT_CODES: [(u8, &str); 7] = [
    (0, "done"),
    (1, "failed"),
    (2, "usage"),
    (3, "done but problems were found or inputs refused"),
    (4, "no such thing"),
    (5, "busy"),
    (130, "interrupted"),
];

/// The columns that the list of commands is set in: every terminal has them.
const WIDTH: usize = 80;
/// The columns of a command's name, with what follows it.
const NAME: usize = 13;

/// Returns the whole command line.
pub(super) fn command() -> Command {
    completing(None)
}

/// Returns the whole command line; for a shell that asks, with what completes the store's names.
pub(super) fn completing(asked: Option<Arc<Asked>>) -> Command {
    let command = dressed(Cli::command(), "", asked.as_ref());
    let template = template(&command);
    let codes: Vec<String> = EXIT_CODES.iter().map(|(code, means)| format!("{code} {means}")).collect();
    let example = "Example: wcas import dist/ && wcas view --collection shared > index.html";
    command.help_template(template).after_help(format!("Exit codes: {}.\n{example}", codes.join(", ")))
}

/// Gives a command, and those below it, what all have.
fn dressed(command: Command, path: &str, asked: Option<&Arc<Asked>>) -> Command {
    let has_c = command.get_arguments().any(|arg| arg.get_short() == Some('c'));
    let mut command = command.mut_args(|arg| argument(arg, path, has_c, asked));
    if let Some((_, names)) = ALIASES.iter().find(|(of, _)| *of == path) {
        command = command.visible_aliases(names.iter().copied());
    }
    let example = EXAMPLES.iter().find(|(of, _)| *of == path).filter(|_| command.get_after_help().is_none());
    if let Some((_, example)) = example {
        command = command.after_help(format!("Example: {example}"));
    }
    command.mut_subcommands(|child| {
        let path = format!("{path} {}", child.get_name());
        dressed(child, path.trim_start(), asked)
    })
}

fn argument(mut arg: Arg, path: &str, has_c: bool, asked: Option<&Arc<Asked>>) -> Arg {
    if arg.is_global_set() {
        arg = arg.help_heading("Global options");
    }
    if arg.get_long() == Some("collection") && arg.get_short().is_none() && !has_c {
        arg = arg.short('c');
    }
    match asked {
        Some(asked) => complete::with_names(arg, path, asked),
        None => arg,
    }
}

/// Writes the help of the program: clap has no groups of commands.
fn template(command: &Command) -> String {
    let style = command.get_styles();
    let (heading, literal) = (style.get_header(), style.get_literal());
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (title, names) in GROUPS {
        text.push_str(&format!("\n{heading}{title}:{heading:#}\n"));
        for name in names {
            let about = match command.find_subcommand(name) {
                Some(found) => about(found),
                None => "Tell of a command: wcas help COMMAND".to_owned(),
            };
            text.push_str(&format!("  {literal}{name:<NAME$}{literal:#}"));
            text.push_str(&wrapped(&about, 2 + NAME));
            text.push('\n');
        }
    }
    // At the top all options are global.
    text + &format!("\n{heading}Global options:{heading:#}\n{{options}}{{after-help}}")
}

/// Returns what a command is for, in a line, with its other names.
fn about(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    let also = if aliases.is_empty() { String::new() } else { format!(" [aliases: {}]", aliases.join(", ")) };
    // A template's own words are in braces.
    format!("{about}{also}").replace('{', "(").replace('}', ")")
}

/// Sets a text in lines that begin at a column.
fn wrapped(text: &str, column: usize) -> String {
    let (mut lines, mut at) = (String::new(), column);
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if at > column && at + 1 + length > WIDTH {
            lines.push('\n');
            lines.push_str(&" ".repeat(column));
            at = column;
        } else if at > column {
            lines.push(' ');
            at += 1;
        }
        lines.push_str(word);
        at += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Returns all commands below one, with their words.
    fn all(command: &Command, path: &str) -> Vec<(String, Command)> {
        let mut found = Vec::new();
        for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
            let path = format!("{path} {}", child.get_name()).trim_start().to_owned();
            found.extend(all(child, &path));
            found.push((path, child.clone()));
        }
        found
    }

    /// Returns the commands of a line as a shell reads it: by words, to what ends a command.
    fn shell_words(line: &str) -> Vec<Vec<String>> {
        let (mut commands, mut words, mut word, mut quote) = (Vec::new(), Vec::new(), None::<String>, None);
        for c in line.chars().chain([' ', ';']) {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), c) => word.get_or_insert_default().push(c),
                (None, '\'' | '"') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (None, '#') if word.is_none() => break,
                (None, ' ') => words.extend(word.take()),
                (None, '|' | '&' | ';') => commands.push(std::mem::take(&mut words)),
                (None, c) => word.get_or_insert_default().push(c),
            }
        }
        assert_eq!(quote, None, "{line}");
        commands.push(words);
        for words in &mut commands {
            // What goes to a file is the shell's.
            if let Some(at) = words.iter().position(|word| word.starts_with('>')) {
                words.truncate(at);
            }
        }
        commands
    }

    #[test]
    fn clap_finds_no_clash_in_the_whole_command_line() {
        command().debug_assert();
    }

    #[test]
    fn every_command_is_in_one_group() {
        let told: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let there: BTreeSet<String> = command().get_subcommands().map(|child| child.get_name().to_owned()).collect();
        let set: BTreeSet<String> = told.iter().map(|name| (*name).to_owned()).filter(|name| name != "help").collect();
        assert_eq!(set, there, "GROUPS names each command");
        assert_eq!(set.len() + 1, told.len(), "GROUPS names each command once");
    }

    #[test]
    fn what_is_said_of_commands_is_of_ones_that_are_there() {
        let known: BTreeSet<String> = all(&command(), "").into_iter().map(|(path, _)| path).collect();
        for path in ALIASES.iter().map(|(path, _)| path).chain(EXAMPLES.iter().map(|(path, _)| path)) {
            assert!(known.contains(*path) || *path == "help", "{path} is no command");
        }
    }

    #[test]
    fn every_command_has_an_example_that_can_be_typed() {
        for (path, own) in all(&command(), "") {
            let help = own.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("Example: ")).collect();
            assert!(!examples.is_empty(), "wcas {path} has no example");
            for example in examples {
                let mut of_it = false;
                for words in shell_words(example) {
                    if words.first().is_none_or(|first| first != "wcas") {
                        continue;
                    }
                    let parsed = command().try_get_matches_from(&words);
                    let parsed = parsed.unwrap_or_else(|error| panic!("{example}\n{error}"));
                    let name = crate::cli::command_name(&parsed);
                    of_it |= name == path || name.starts_with(&format!("{path} "));
                }
                assert!(of_it, "an example of wcas {path} that is of another command: {example}");
            }
        }
    }

    #[test]
    fn global_options_have_their_own_heading_everywhere_and_collections_a_short_name() {
        let mut built = command();
        built.build();
        for (path, own) in all(&built, "") {
            let store = own.get_arguments().find(|arg| arg.get_id() == "store").expect("a global option");
            assert_eq!(store.get_help_heading(), Some("Global options"), "{path}");
            let collection = own.get_arguments().find(|arg| arg.get_long() == Some("collection"));
            let is_taken = own.get_arguments().any(|arg| arg.get_short() == Some('c'));
            assert!(collection.is_none() || is_taken, "{path}");
        }
        let short = command().try_get_matches_from(["wcas", "list", "-c", "cuda"]).expect("-c is --collection");
        assert_eq!(crate::cli::command_name(&short), "list");
        let alias = command().try_get_matches_from(["wcas", "rm", "torch==2.5.1", "-ccuda"]).expect("rm is invalidate");
        assert_eq!(crate::cli::command_name(&alias), "invalidate");
    }

    #[test]
    fn the_help_of_the_program_fits_a_narrow_terminal() {
        let help = command().render_help().to_string();
        for (title, names) in GROUPS {
            assert!(help.contains(&format!("\n{title}:\n")), "{help}");
            assert!(names.iter().all(|name| help.contains(&format!("\n  {name:<NAME$}"))), "{help}");
        }
        let list = help.split("\nGlobal options:\n").next().unwrap_or_default();
        let long: Vec<&str> = list.lines().skip(2).filter(|line| line.chars().count() > WIDTH).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}
