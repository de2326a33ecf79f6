//! How text looks where it goes: in colours or not, in how many columns, times told from now or in full.
//!
//! Standard output and standard error may be two places, so each has a look of its own. Both are found once, when the program begins.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

/// What a piece of text is, which is all that a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A table's heading, or what an answer is about.
    Heading,
    /// An error, or a problem.
    Bad,
    /// A warning.
    Warning,
    /// All is well.
    Good,
    /// What matters less than the text beside it.
    Dim,
}

impl Style {
    /// What a terminal is sent before the text; it works on light and dark ones.
    pub(super) fn opening(self) -> &'static str {
        match self {
            Self::Heading => "\u{1b}[1m",
            Self::Bad => "\u{1b}[31m",
            Self::Warning => "\u{1b}[33m",
            Self::Good => "\u{1b}[32m",
            Self::Dim => "\u{1b}[2m",
        }
    }
}

/// What a terminal is sent after the text.
pub(super) const CLOSING: &str = "\u{1b}[0m";

/// When there are colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless the environment says otherwise
    #[default]
    Auto,
    /// Also where it is no terminal
    Always,
    /// Not at all
    Never,
}

impl When {
    /// Tells whether there are colours, as <https://no-color.org> and <https://bixense.com/clicolors> want it.
    fn decide(self, is_terminal: bool, variable: &dyn Fn(&str) -> Option<String>) -> bool {
        let is_set = |name| variable(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if is_set("NO_COLOR") => false,
            Self::Auto if is_set("CLICOLOR_FORCE") && variable("CLICOLOR_FORCE").as_deref() != Some("0") => true,
            Self::Auto if variable("CLICOLOR").as_deref() == Some("0") => false,
            Self::Auto => is_terminal && variable("TERM").is_some_and(|term| !term.is_empty() && term != "dumb"),
        }
    }
}

/// How text looks in one place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Look {
    pub(super) is_coloured: bool,
    /// How many columns and lines a terminal has.
    pub(super) size: Option<(usize, usize)>,
    /// Whether times are told from this moment.
    pub(super) now: Option<i64>,
}

/// How answers look, and how what is said beside them.
static LOOKS: OnceLock<(Look, Look)> = OnceLock::new();

/// Finds how text looks from here on.
pub(super) fn set(colours: When, now: i64) {
    let (answers, notes) = (io::stdout(), io::stderr());
    let look = |is_terminal: bool, size: Option<(usize, usize)>| Look {
        is_coloured: colours.decide(is_terminal, &|name| std::env::var(name).ok()),
        size,
        now: is_terminal.then_some(now),
    };
    let of_answers = look(answers.is_terminal(), answers.is_terminal().then(|| size(&answers)));
    let of_notes = look(notes.is_terminal(), None);
    let _ = LOOKS.set((of_answers, of_notes));
}

/// Returns how answers look; plain, where nothing was set.
pub(super) fn of_answers() -> Look {
    LOOKS.get().map(|looks| looks.0).unwrap_or_default()
}

/// Returns how notes, warnings and errors look.
pub(super) fn of_notes() -> Look {
    LOOKS.get().map(|looks| looks.1).unwrap_or_default()
}

/// Tells whether standard error is a terminal where a line can be drawn again.
pub(super) fn can_draw() -> bool {
    io::stderr().is_terminal() && is_able()
}

/// Tells whether terminals do more than print what they are sent.
pub(super) fn is_able() -> bool {
    std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb")
}

/// Returns how many columns the terminal of standard error has now.
pub(super) fn columns_of_notes() -> usize {
    size(&io::stderr()).0
}

/// Returns how many columns and lines a terminal has: as the environment says, else as it says itself.
fn size(terminal: &impl std::os::fd::AsFd) -> (usize, usize) {
    let said = |name| std::env::var(name).ok()?.parse::<usize>().ok().filter(|number| *number > 0);
    let own = rustix::termios::tcgetwinsize(terminal).ok();
    let columns = own.map(|own| usize::from(own.ws_col)).filter(|number| *number > 0);
    let lines = own.map(|own| usize::from(own.ws_row)).filter(|number| *number > 0);
    (said("COLUMNS").or(columns).unwrap_or(80), said("LINES").or(lines).unwrap_or(24))
}

/// Returns what is said of colours among the program's arguments, for the help and the errors that are printed before they are parsed.
pub(super) fn colours_of(arguments: impl Iterator<Item = std::ffi::OsString>) -> clap::ColorChoice {
    let words: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    let own = words.iter().take_while(|word| *word != "--");
    let next = words.iter().skip(1);
    let said = own.zip(next.map(Some).chain([None])).filter_map(|(word, next)| match word.strip_prefix("--color") {
        Some("") => next.map(String::as_str),
        Some(value) => value.strip_prefix('='),
        None => None,
    });
    match said.last() {
        Some("always") => clap::ColorChoice::Always,
        Some("never") => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_where_the_option_the_environment_and_the_place_want_them() {
        for (when, is_terminal, environment, has) in [
            (When::Auto, true, &[("TERM", "xterm")][..], true),
            (When::Auto, true, &[("TERM", "dumb")], false),
            (When::Auto, true, &[], false),
            (When::Auto, false, &[("TERM", "xterm")], false),
            (When::Auto, true, &[("TERM", "xterm"), ("NO_COLOR", "1")], false),
            (When::Auto, true, &[("TERM", "xterm"), ("NO_COLOR", "")], true),
            (When::Auto, true, &[("TERM", "xterm"), ("CLICOLOR", "0")], false),
            (When::Auto, false, &[("CLICOLOR_FORCE", "1")], true),
            (When::Auto, false, &[("CLICOLOR_FORCE", "0")], false),
            (When::Auto, false, &[("CLICOLOR_FORCE", "")], false),
            (When::Auto, false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
            (When::Auto, false, &[("CLICOLOR_FORCE", "1"), ("CLICOLOR", "0")], true),
            (When::Always, false, &[("NO_COLOR", "1")], true),
            (When::Never, true, &[("TERM", "xterm"), ("CLICOLOR_FORCE", "1")], false),
        ] {
            let variable =
                |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(when.decide(is_terminal, &variable), has, "{when:?} {is_terminal} {environment:?}");
        }
    }

    #[test]
    fn the_choice_is_found_before_arguments_are_parsed() {
        use clap::ColorChoice::{Always, Auto, Never};
        for (line, choice) in [
            ("wcas --color=always list", Always),
            ("wcas list --color never", Never),
            ("wcas --color never --color always list", Always),
            ("wcas run -- --color never", Auto),
            ("wcas list --colors never", Auto),
            ("wcas list --color", Auto),
            ("wcas list --color --", Auto),
        ] {
            assert_eq!(colours_of(line.split(' ').map(Into::into)), choice, "{line}");
        }
    }
}
