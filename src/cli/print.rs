//! Text as people read it: tables, sizes, times; and what strangers wrote in it, made harmless.
//!
//! Summaries, reasons, filenames and URLs come from strangers, and a terminal obeys what is in them: it clears lines, renames its
//! window, shows text in another order. All that the command line prints passes [`escaped`] once, in [`Lines`] or where notes are
//! said; documents (pages, paths, METADATA) are as they are for programs, and pass it where a terminal reads them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Tells whether a terminal would do something else with a character than show it.
fn is_unsafe(c: char) -> bool {
    c.is_control() && c != '\t'
        // Order of writing, invisible characters, separators of lines and paragraphs (Unicode TR 36).
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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
}

impl<'a> Lines<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, line: String::new() }
    }
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

/// Prints rows under a heading, columns as wide as they need to be.
pub(super) fn table<const N: usize>(out: &mut dyn Write, heading: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let mut table = Table::new(heading);
    table.print(out, rows)
}

/// A table whose rows come one by one: columns are as wide as the first ones need, and widen where later ones need more.
pub(super) struct Table<'a, const N: usize> {
    /// Until it is printed.
    heading: Option<[&'a str; N]>,
    widths: [usize; N],
    waiting: Vec<[String; N]>,
}

impl<'a, const N: usize> Table<'a, N> {
    /// So many rows are held to see how wide they are.
    const ROWS: usize = 10_000;

    pub(super) fn new(heading: [&'a str; N]) -> Self {
        Self { heading: Some(heading), widths: heading.map(str::len), waiting: Vec::new() }
    }

    pub(super) fn add(&mut self, out: &mut dyn Write, row: [String; N]) -> io::Result<()> {
        self.waiting.push(row);
        if self.waiting.len() < Self::ROWS { Ok(()) } else { self.end(out) }
    }

    /// Prints what waits.
    pub(super) fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        if rows.is_empty() { Ok(()) } else { self.print(out, &rows) }
    }

    fn print(&mut self, out: &mut dyn Write, rows: &[[String; N]]) -> io::Result<()> {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let heading = self.heading.take().map(|heading| heading.map(str::to_owned));
        for row in heading.iter().chain(rows) {
            for (column, (cell, &width)) in row.iter().zip(&self.widths).enumerate() {
                match column + 1 == N {
                    true => writeln!(out, "{cell}")?,
                    false => write!(out, "{cell:width$}  ")?,
                }
            }
        }
        Ok(())
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
pub(super) fn time(seconds: i64) -> String {
    wcas::index::rfc3339(seconds)
}

/// Returns a text that says nothing to a terminal: what foreign names and reasons have of control and layout is shown as escapes.
pub(super) fn printable(text: &str) -> String {
    let speaks = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    };
    text.chars().flat_map(|c| if speaks(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Returns a number of things in words: "1 file", "2 files".
pub(super) fn count(number: usize, thing: &str) -> String {
    match (number, thing.strip_suffix('y')) {
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
            ("a\u{200b}b\u{feff}\u{2028}", "a\\u{200b}b\\u{feff}\\u{2028}"),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }

    #[test]
    fn a_line_ends_where_its_format_ends_and_not_where_a_stranger_wants() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out);
        let summary = "nice\nrefused: nothing";
        writeln!(lines, "summary: {summary}").unwrap();
        writeln!(lines).unwrap();
        write!(lines, "{:<3}|", "a").unwrap();
        lines.write_all(b"x\ny\x1b\n").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "summary: nice\\nrefused: nothing\n\na  |x\ny\\u{1b}\n");
    }
}
