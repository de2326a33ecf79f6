//! Text as people read it: lines, sizes, times; and what strangers wrote in it, made harmless.
//!
//! Summaries, reasons, filenames and URLs come from strangers, and a terminal obeys what is in them: it clears lines, renames its
//! window, shows text in another order. All that the command line prints passes [`escaped`] once, in [`Lines`] or where notes are
//! said; documents (pages, paths, METADATA) are as they are for programs, and pass it where a terminal reads them.

use super::look::{self, CLOSING, Look, Style};
pub(super) use super::table::{Column, Table, number, table, text};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells whether a terminal would do something else with a character than show it.
fn is_unsafe(c: char) -> bool {
    c.is_control() && c != '\t'
        // Order of writing, invisible characters, separators of lines and paragraphs (Unicode TR 36).
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
        // Others that nothing shows, and that two names may differ in (Default_Ignorable_Code_Point, but for those of emoji).
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}')
        || matches!(c, '\u{3164}' | '\u{ffa0}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0080}'..='\u{e0fff}')
}

/// Returns a text with what is not to be shown as escapes: `\n`, `\u{1b}`.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_unsafe(c) {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Takes text line by line: what is formatted at once is one line, whose own end alone is a line's end.
pub(super) struct Lines<'a> {
    out: &'a mut dyn Write,
    line: String,
    look: Look,
}

impl<'a> Lines<'a> {
    pub(super) fn new(out: &'a mut dyn Write, look: Look) -> Self {
        Self { out, line: String::new(), look }
    }

    /// Returns how many columns a line may take; `None`: as many as it needs.
    pub(super) fn columns(&self) -> Option<usize> {
        self.look.size.map(|(columns, _)| columns)
    }

    /// Writes a part of a line in the colour of what it is, where there are colours.
    pub(super) fn styled(&mut self, style: Style, text: &str) -> io::Result<()> {
        let (opening, closing) = if self.look.is_coloured { (style.opening(), CLOSING) } else { ("", "") };
        write!(self.out, "{opening}{}{closing}", escaped(text))
    }

    /// Writes as [`Write::write_fmt`] does: what is formatted at once is one line.
    pub(super) fn write_fmt(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        Write::write_fmt(self, text)
    }
}

/// Takes the line back that the cursor is in.
const BACK: &str = "\r\u{1b}[K";

/// Whether a line is drawn that is to be taken back.
static IS_DRAWN: AtomicBool = AtomicBool::new(false);

/// Draws a line on the terminal of standard error, in the place of the one before.
pub(super) fn draw(line: &str) {
    IS_DRAWN.store(true, Ordering::Relaxed);
    let _ = io::stderr().write_all(format!("{BACK}{line}").as_bytes());
}

/// Takes the drawn line back, if there is one.
pub(super) fn undraw() {
    if IS_DRAWN.swap(false, Ordering::Relaxed) {
        let _ = io::stderr().write_all(BACK.as_bytes());
    }
}

/// Says something that is no answer, on standard error. Its first word is coloured where it says how bad it is.
pub(super) fn say(text: &str) {
    let mut buffer = Vec::new();
    let mut lines = Lines::new(&mut buffer, look::of_notes());
    let style = |word: &str| match word.trim_start() {
        "wcas:" | "refused" | "problem:" => Some(Style::Bad),
        "warning:" => Some(Style::Warning),
        "because:" | "hint:" => Some(Style::Dim),
        _ => None,
    };
    let first = text.len() - text.trim_start().len();
    let end = text[first..].find(' ').map_or(text.len(), |length| first + length);
    let (word, rest) = text.split_at(end);
    let written = match style(word) {
        Some(style) => lines.styled(style, word).and_then(|()| writeln!(lines, "{rest}")),
        None => writeln!(lines, "{text}"),
    };
    // At once, so that what several threads say is not mixed.
    undraw();
    let _ = written.and_then(|()| io::stderr().write_all(&buffer));
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        for part in text.split_inclusive('\n') {
            let end = if part.ends_with('\n') { "\n" } else { "" };
            write!(self.out, "{}{end}", escaped(part.strip_suffix('\n').unwrap_or(part)))?;
        }
        Ok(bytes.len())
    }

    fn write_fmt(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        self.line.clear();
        self.line.write_fmt(text).map_err(io::Error::other)?;
        let (line, end) = match self.line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (self.line.as_str(), ""),
        };
        self.out.write_all(escaped(line).as_bytes())?;
        self.out.write_all(end.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Returns a size with a unit: 1.5 GB.
pub(super) fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut number = bytes as f64 / 1000.0;
    let mut unit = 0;
    while number >= 999.95 && unit + 1 < units.len() {
        number /= 1000.0;
        unit += 1;
    }
    format!("{number:.1} {}", units[unit])
}

/// Returns a moment as RFC 3339 text.
pub(super) fn date(seconds: i64) -> String {
    wcas::index::rfc3339(seconds)
}

/// Returns a moment for a place of its own, such as a cell: on a terminal how far it is from now, else its date.
pub(super) fn time(seconds: i64) -> String {
    look::of_answers().now.map_or_else(|| date(seconds), |now| from_now(seconds, now))
}

/// Returns a moment as a part of a sentence: on a terminal how far it is from now, else "at" its date.
pub(super) fn at(seconds: i64) -> String {
    look::of_answers().now.map_or_else(|| format!("at {}", date(seconds)), |now| from_now(seconds, now))
}

/// Returns an end to come as a part of a sentence: on a terminal how long it is until then, else "until" its date.
pub(super) fn until(seconds: i64) -> String {
    let left = look::of_answers().now.filter(|now| seconds > *now).map(|now| from_now(seconds, now));
    match left.as_deref().and_then(|left| left.strip_prefix("in ")) {
        Some(left) => format!("for {left}"),
        None => format!("until {}", date(seconds)),
    }
}

/// Returns how far a moment is from now, in the largest unit: "3 hours ago", "in 5 days".
fn from_now(at: i64, now: i64) -> String {
    let far = at.abs_diff(now);
    let units =
        [(31_536_000, "year"), (2_592_000, "month"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let Some((unit, name)) = units.into_iter().find(|(unit, _)| far >= *unit) else { return "now".to_owned() };
    let far = count(usize::try_from(far / unit).unwrap_or(usize::MAX), name);
    if at > now { format!("in {far}") } else { format!("{far} ago") }
}

/// Returns a dash for what is empty.
pub(super) fn dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// Returns a number of things in words: "1 file", "2 files", "3 copies", "4 days".
pub(super) fn count(number: usize, thing: &str) -> String {
    match (number, thing.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']))) {
        (1, _) => format!("1 {thing}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_nothing_else_is_changed() {
        for (text, shown) in [
            ("plain, ä, 漢字, 🐍 and\ttabs", "plain, ä, 漢字, 🐍 and\ttabs"),
            ("\u{1b}]0;pwned\u{7}\u{1b}[2J", "\\u{1b}]0;pwned\\u{7}\\u{1b}[2J"),
            ("one\nwcas: two\r", "one\\nwcas: two\\r"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("safe\u{202e}lhw.\u{2066}x", "safe\\u{202e}lhw.\\u{2066}x"),
            ("a\u{ad}b\u{3164}\u{e0101}c", "a\\u{ad}b\\u{3164}\\u{e0101}c"),
            ("a\u{200b}b\u{feff}\u{2028}", "a\\u{200b}b\\u{feff}\\u{2028}"),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }

    #[test]
    fn a_line_ends_where_its_format_ends_and_not_where_a_stranger_wants() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, Look::default());
        let summary = "nice\nrefused: nothing";
        writeln!(lines, "summary: {summary}").unwrap();
        writeln!(lines).unwrap();
        write!(lines, "{:<3}|", "a").unwrap();
        lines.write_all(b"x\ny\x1b\n").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "summary: nice\\nrefused: nothing\n\na  |x\ny\\u{1b}\n");
    }

    #[test]
    fn a_stranger_colours_nothing() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, Look { is_coloured: true, ..Look::default() });
        lines.styled(Style::Bad, "a\u{1b}[32m").unwrap();
        writeln!(lines, ": b").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\u{1b}[31ma\\u{1b}[32m\u{1b}[0m: b\n");
    }

    #[test]
    fn a_moment_is_told_from_now_in_the_largest_unit() {
        for (far, text) in [
            (0, "now"),
            (-1, "1 second ago"),
            (59, "in 59 seconds"),
            (-60, "1 minute ago"),
            (-3599, "59 minutes ago"),
            (-3 * 3600, "3 hours ago"),
            (86_400, "in 1 day"),
            (5 * 86_400 + 7, "in 5 days"),
            (-45 * 86_400, "1 month ago"),
            (-364 * 86_400, "12 months ago"),
            (-800 * 86_400, "2 years ago"),
        ] {
            assert_eq!(from_now(1_000_000_000 + far, 1_000_000_000), text);
        }
        assert_eq!(from_now(i64::MIN, i64::MAX), "584942417355 years ago");
    }

    #[test]
    fn things_are_counted_in_words() {
        let counted = [(1, "day"), (2, "day"), (2, "entry"), (0, "file")].map(|(number, thing)| count(number, thing));
        assert_eq!(counted, ["1 day", "2 days", "2 entries", "0 files"]);
    }
}
