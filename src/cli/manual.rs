//! The pages of the manual: what clap knows of each command, and what all commands share.

use super::environment::VARIABLES;
use super::help::EXIT_CODES;
use clap::Command;
use clap_mangen::Man;
use std::io::{self, Write};

/// Files that commands read and write, and what they are.
const FILES: [(&str, &str); 6] = [
    ("STORE/manifest.sqlite", "What is true of the store: collections, revisions, settings."),
    ("STORE/blobs/", "The bytes, each once."),
    ("STORE/wcas.json", "What kind of store the folder is."),
    ("~/.local/share/wcas/", "The store, where neither --store nor WCAS_STORE nor XDG_DATA_HOME says another place."),
    ("~/.netrc", "Credentials of remotes, as curl reads them."),
    ("~/.pgpass", "Passwords of a share's log in PostgreSQL."),
];

/// Returns all pages by name, that of the program first.
pub(super) fn pages(command: Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut built = command;
    built.build();
    let (mut pages, mut next) = (Vec::new(), vec![("wcas".to_owned(), built)]);
    while let Some((name, command)) = next.pop() {
        for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
            next.push((format!("{name}-{}", child.get_name()), child.clone()));
        }
        pages.push((name.clone(), page(&name, &command)?));
    }
    Ok(pages)
}

/// Writes the page of a command; `name` is the page's.
pub(super) fn page(name: &str, command: &Command) -> io::Result<Vec<u8>> {
    let is_whole = name == "wcas";
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    // The help of the program is laid out for a terminal, and the page's title is a name of its own, which clap wants to live as long as
    // the program.
    let title: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let own = command.clone().name(title).after_help(clap::builder::Resettable::Reset).disable_help_subcommand(true);
    let man = Man::new(own)
        .title(name.to_uppercase())
        .manual("Manual of wcas")
        .source(concat!("wcas ", env!("WCAS_VERSION")));
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    let (examples, notes): (Vec<&str>, Vec<&str>) = help.lines().partition(|line| line.starts_with("Example: "));
    let notes: Vec<&str> = notes.into_iter().filter(|line| !line.starts_with("Exit codes: ")).collect();
    if !notes.is_empty() {
        writeln!(out, ".SH NOTES\n{}", escaped(&notes.join("\n")))?;
    }
    writeln!(out, ".SH \"EXIT STATUS\"")?;
    for (code, means) in EXIT_CODES {
        term(&mut out, &code.to_string(), means)?;
    }
    writeln!(out, ".SH ENVIRONMENT")?;
    for (variable, what) in VARIABLES.iter().take(if is_whole { VARIABLES.len() } else { 2 }) {
        term(&mut out, variable, what)?;
    }
    if !is_whole {
        writeln!(out, ".PP\nThe others are in\n.BR wcas (1).")?;
    }
    writeln!(out, ".SH FILES")?;
    for (file, what) in FILES.iter().take(if is_whole { FILES.len() } else { 4 }) {
        term(&mut out, file, what)?;
    }
    writeln!(out, ".SH EXAMPLES")?;
    for example in examples.iter().filter_map(|line| line.strip_prefix("Example: ")) {
        writeln!(out, ".PP\n.nf\n{}\n.fi", escaped(example))?;
    }
    if !is_whole {
        writeln!(out, ".SH \"SEE ALSO\"\n.BR wcas (1)")?;
    }
    writeln!(out, ".SH VERSION\n{}", escaped(env!("WCAS_VERSION")))?;
    Ok(out)
}

fn term(out: &mut Vec<u8>, term: &str, what: &str) -> io::Result<()> {
    writeln!(out, ".TP\n\\fB{}\\fR\n{}", escaped(term), escaped(what))
}

/// Writes a text so that roff shows it as it is.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for line in text.lines() {
        if !shown.is_empty() {
            shown.push('\n');
        }
        if line.starts_with(['.', '\'']) {
            shown.push_str("\\&");
        }
        for c in line.chars() {
            match c {
                '\\' => shown.push_str("\\e"),
                '-' => shown.push_str("\\-"),
                '~' => shown.push_str("\\(ti"),
                '^' => shown.push_str("\\(ha"),
                '`' => shown.push_str("\\(ga"),
                '\'' => shown.push_str("\\(aq"),
                c => shown.push(c),
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_all_sections() {
        let pages = pages(super::super::help::command()).unwrap();
        assert!(pages.len() > 60, "{}", pages.len());
        for (name, page) in &pages {
            let page = String::from_utf8(page.clone()).unwrap();
            for section in ["NAME", "SYNOPSIS", "\"EXIT STATUS\"", "ENVIRONMENT", "FILES", "EXAMPLES"] {
                assert!(page.contains(&format!(".SH {section}\n")), "{name} lacks {section}:\n{page}");
            }
            let examples = page.split(".SH EXAMPLES\n").nth(1).unwrap_or_default();
            assert!(examples.starts_with(".PP\n.nf\nwcas "), "{name} has an example:\n{page}");
            assert!(page.contains(".TP\n\\fB130\\fR\ninterrupted\n"), "{page}");
        }
        assert!(pages.iter().any(|(name, _)| name == "wcas-collection-diff"));
    }

    #[test]
    fn text_is_no_request_to_roff() {
        assert_eq!(escaped(".nf\n'x' \\n --a"), "\\&.nf\n\\&\\(aqx\\(aq \\en \\-\\-a");
    }
}
