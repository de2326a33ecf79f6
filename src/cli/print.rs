//! Text as people read it: tables, sizes, times.

use std::io::{self, Write};

/// Prints rows under a heading, columns as wide as they need to be.
pub(super) fn table<const N: usize>(out: &mut dyn Write, heading: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let mut widths = heading.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let heading = heading.map(str::to_owned);
    for row in std::iter::once(&heading).chain(rows) {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            match column + 1 == N {
                true => writeln!(out, "{cell}")?,
                false => write!(out, "{cell:width$}  ")?,
            }
        }
    }
    Ok(())
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
    let since = std::time::Duration::from_secs(seconds.max(0).cast_unsigned());
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
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
