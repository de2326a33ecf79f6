//! Tables: columns as wide as they need to be, and on a terminal no wider than it.

use super::look::Style;
use super::print::{Lines, escaped};
use std::borrow::Cow;
use std::io;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A column of a table, under its heading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    heading: &'static str,
    is_number: bool,
    rank: u8,
}

impl Column {
    /// Lets a column go where a terminal is too narrow: those with the highest rank go first.
    pub(super) const fn least(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

/// A column of text.
pub(super) const fn text(heading: &'static str) -> Column {
    Column { heading, is_number: false, rank: 0 }
}

/// A column of numbers or sizes, which stand one under the other, and are never cut.
pub(super) const fn number(heading: &'static str) -> Column {
    Column { heading, is_number: true, rank: 0 }
}

impl From<&'static str> for Column {
    fn from(heading: &'static str) -> Self {
        text(heading)
    }
}

/// What is between two columns.
const GAP: usize = 2;

/// No text is cut to less.
const SHORTEST: usize = 8;

/// Prints rows under a heading, columns as wide as they need to be.
pub(super) fn table<C: Into<Column>, const N: usize>(
    out: &mut Lines<'_>,
    columns: [C; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    Table::new(columns).print(out, rows)
}

/// A table whose rows come one by one: columns are as wide as the first ones need, and widen where later ones need more.
pub(super) struct Table<const N: usize> {
    columns: [Column; N],
    needed: [usize; N],
    waiting: Vec<[String; N]>,
    /// Once the heading is printed: the columns that are shown.
    shown: Option<[bool; N]>,
}

impl<const N: usize> Table<N> {
    /// So many rows are held to see how wide they are.
    const ROWS: usize = 10_000;

    pub(super) fn new<C: Into<Column>>(columns: [C; N]) -> Self {
        let columns = columns.map(Into::into);
        Self { columns, needed: columns.map(|column| column.heading.width()), waiting: Vec::new(), shown: None }
    }

    pub(super) fn add(&mut self, out: &mut Lines<'_>, row: [String; N]) -> io::Result<()> {
        self.waiting.push(row);
        if self.waiting.len() < Self::ROWS { Ok(()) } else { self.end(out) }
    }

    /// Prints what waits.
    pub(super) fn end(&mut self, out: &mut Lines<'_>) -> io::Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        if rows.is_empty() { Ok(()) } else { self.print(out, &rows) }
    }

    fn print(&mut self, out: &mut Lines<'_>, rows: &[[String; N]]) -> io::Result<()> {
        for row in rows {
            for (needed, cell) in self.needed.iter_mut().zip(row) {
                *needed = (*needed).max(escaped(cell).width());
            }
        }
        let is_first = self.shown.is_none();
        let widths = fit(&self.columns, self.needed, self.shown, out.columns());
        self.shown = Some(widths.map(|width| width.is_some()));
        if is_first {
            let heading = self.columns.map(|column| column.heading.to_owned());
            let line = self.line(&heading, &widths);
            out.styled(Style::Heading, &line)?;
            writeln!(out)?;
        }
        rows.iter().try_for_each(|row| writeln!(out, "{}", self.line(row, &widths)))
    }

    fn line(&self, row: &[String; N], widths: &[Option<usize>; N]) -> String {
        let last = widths.iter().rposition(Option::is_some);
        let mut line = String::new();
        for (at, (cell, column)) in row.iter().zip(&self.columns).enumerate() {
            let Some(width) = widths[at] else { continue };
            let safe = escaped(cell);
            let cell = cut(&safe, width);
            let padding = width.saturating_sub(cell.width());
            if column.is_number {
                line.extend(std::iter::repeat_n(' ', padding));
            }
            line.push_str(&cell);
            if Some(at) != last {
                line.extend(std::iter::repeat_n(' ', if column.is_number { GAP } else { padding + GAP }));
            }
        }
        line
    }
}

/// Returns how wide each column is: as wide as it needs to be, or, where there is not so much room, without the columns that matter
/// least, and then with the widest texts cut. What is shown once stays.
fn fit<const N: usize>(
    columns: &[Column; N],
    needed: [usize; N],
    shown: Option<[bool; N]>,
    room: Option<usize>,
) -> [Option<usize>; N] {
    let mut widths = needed.map(Some);
    for (at, width) in widths.iter_mut().enumerate() {
        *width = width.filter(|_| shown.is_none_or(|shown| shown[at]));
    }
    let Some(room) = room else { return widths };
    let over = |widths: &[Option<usize>; N]| {
        let count = widths.iter().flatten().count();
        (widths.iter().flatten().sum::<usize>() + GAP * count.saturating_sub(1)).saturating_sub(room)
    };
    while shown.is_none() && over(&widths) > 0 {
        let may_go = (0..N).filter(|&at| columns[at].rank > 0 && widths[at].is_some());
        let Some(least) = may_go.max_by_key(|&at| columns[at].rank) else { break };
        widths[least] = None;
    }
    while over(&widths) > 0 {
        let long = (0..N).filter(|&at| !columns[at].is_number && widths[at].is_some_and(|width| width > SHORTEST));
        let Some(widest) = long.max_by_key(|&at| widths[at]) else { break };
        widths[widest] = widths[widest].map(|width| width - 1);
    }
    widths
}

/// Returns a text that is no wider than that; where something is left out, `…` says so.
pub(super) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut room = width.saturating_sub(1);
    let mut short = String::new();
    for c in text.chars() {
        let own = c.width().unwrap_or(0);
        if own > room {
            break;
        }
        room -= own;
        short.push(c);
    }
    short.push('…');
    Cow::Owned(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::look::Look;

    const COLUMNS: [Column; 4] = [text("NAME"), number("SIZE"), text("BUILD").least(2), text("FILENAME").least(1)];

    fn printed(columns: Option<usize>, rows: &[[&str; 4]]) -> Vec<String> {
        let look = Look { size: columns.map(|columns| (columns, 24)), ..Look::default() };
        let mut out = Vec::new();
        let rows: Vec<_> = rows.iter().map(|row| row.map(str::to_owned)).collect();
        table(&mut Lines::new(&mut out, look), COLUMNS, &rows).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn numbers_stand_one_under_the_other_and_wide_characters_count_twice() {
        let lines = printed(None, &[["a", "9 B", "-", "x"], ["漢字", "12.4 MB", "2_el9", "y\nz"]]);
        assert_eq!(lines, ["NAME     SIZE  BUILD  FILENAME", "a         9 B  -      x", "漢字  12.4 MB  2_el9  y\\nz"]);
    }

    #[test]
    fn a_number_at_the_end_stands_right_as_well() {
        let mut out = Vec::new();
        let rows = [["a".to_owned(), "7".to_owned()], ["b".to_owned(), "123".to_owned()]];
        table(&mut Lines::new(&mut out, Look::default()), [text("NAME"), number("N")], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME    N\na       7\nb     123\n");
    }

    #[test]
    fn what_matters_least_goes_first_and_then_the_widest_text_is_cut() {
        let row = [["torch-and-company", "1.0 GB", "2_el9", "torch-2.5.1.whl"]];
        assert_eq!(printed(Some(49), &row)[1], "torch-and-company  1.0 GB  2_el9  torch-2.5.1.whl");
        assert_eq!(printed(Some(48), &row)[1], "torch-and-company  1.0 GB  torch-2.5.1.whl");
        assert_eq!(printed(Some(41), &row), ["NAME                 SIZE", "torch-and-company  1.0 GB"]);
        assert_eq!(printed(Some(20), &row), ["NAME            SIZE", "torch-and-c…  1.0 GB"]);
        // No text is cut to nothing, and no number at all: the terminal breaks such a line.
        assert_eq!(printed(Some(1), &row), ["NAME        SIZE", "torch-a…  1.0 GB"]);
    }

    #[test]
    fn a_text_is_cut_between_characters_by_the_room_that_they_take() {
        for (text, width, short) in [
            ("torch", 5, "torch"),
            ("torch", 4, "tor…"),
            ("漢字漢字", 8, "漢字漢字"),
            ("漢字漢字", 7, "漢字漢…"),
            ("漢字漢字", 6, "漢字…"),
            ("é\u{301}\u{301}x", 1, "…"),
            ("abc", 0, "…"),
        ] {
            assert_eq!(cut(text, width), short, "{text} {width}");
        }
    }

    #[test]
    fn rows_that_come_later_keep_the_columns_of_the_first() {
        let look = Look { size: Some((30, 24)), ..Look::default() };
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, look);
        let mut table = Table::new([text("NAME"), text("MORE").least(1)]);
        table.add(&mut lines, ["a".to_owned(), "b".to_owned()]).unwrap();
        table.end(&mut lines).unwrap();
        table.add(&mut lines, ["c".repeat(40), "d".to_owned()]).unwrap();
        table.end(&mut lines).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, format!("NAME  MORE\na     b\n{}…  d\n", "c".repeat(23)));
    }
}
