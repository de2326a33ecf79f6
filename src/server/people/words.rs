//! Numbers, times and tags as people read them.

use maud::{Markup, html};

/// Writes a byte count with three digits or so: `1.26 GB`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        // What would be written as 1000 is one of the next unit.
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    let digits = match value {
        _ if unit == "B" => 0,
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// Writes a number in groups of three, with spaces that don't break.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Writes how many there are of something: `1 file`, `2 files`.
pub(super) fn counted(count: u64, thing: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {thing}{ending}", number(count))
}

/// Writes that so many of something are: `1 blob is`, `2 blobs are`.
pub(super) fn are(count: u64, thing: &str) -> String {
    format!("{} {}", counted(count, thing), if count == 1 { "is" } else { "are" })
}

/// Writes a share of a whole; of nothing there is none.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let share = part as f64 * 100.0 / whole as f64;
    // Neither all nor nothing, if it isn't quite.
    match share {
        share if part > 0 && share < 0.5 => "<1 %".to_owned(),
        share if part < whole && share > 99.5 => ">99 %".to_owned(),
        share => format!("{share:.0} %"),
    }
}

/// Writes a time as machines want it: `2026-11-24T03:47:00Z`.
pub(super) fn rfc3339(seconds: i64) -> String {
    crate::index::rfc3339(seconds)
}

/// Writes a day: `2026-11-24`.
pub(super) fn day(day: i64) -> String {
    rfc3339(day.saturating_mul(86_400))[..10].to_owned()
}

/// Shows a time: how long ago, and when exactly on the element itself.
pub(super) fn time(seconds: i64, now: i64) -> Markup {
    let exact = rfc3339(seconds);
    let shown = format!("{} {} UTC", &exact[..10], &exact[11..16]);
    html! { time datetime=(exact) title=(shown) { (ago(now - seconds)) } }
}

/// Shows a time with its date.
pub(super) fn date(seconds: i64, now: i64) -> Markup {
    let exact = rfc3339(seconds);
    html! { time datetime=(exact) title=(ago(now - seconds)) { (exact[..10]) " " (exact[11..16]) " UTC" } }
}

fn ago(seconds: i64) -> String {
    let units = [(86_400 * 365, "year"), (86_400 * 30, "month"), (86_400, "day"), (3600, "hour"), (60, "minute")];
    match units.iter().find(|(length, _)| seconds >= *length) {
        Some((length, unit)) => {
            let count = (seconds / length).cast_unsigned();
            format!("{} ago", counted(count, unit))
        }
        None if seconds < -60 => "in the future".to_owned(),
        None => "just now".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits_and_a_unit() {
        let written = [0, 1, 999, 1000, 1234, 99_940, 999_499, 999_500, 1_260_000_000, u64::MAX].map(bytes);
        let wanted =
            ["0 B", "1 B", "999 B", "1.00 kB", "1.23 kB", "99.9 kB", "999 kB", "1.00 MB", "1.26 GB", "18.4 EB"];
        assert_eq!(written, wanted);
    }

    #[test]
    fn numbers_come_in_groups_of_three() {
        let written = [0, 12, 123, 1234, 12_345, 1_234_567].map(|own| number(own).replace('\u{202f}', "_"));
        assert_eq!(written, ["0", "12", "123", "1_234", "12_345", "1_234_567"]);
        assert_eq!((counted(1, "file"), counted(2, "file")), ("1 file".to_owned(), "2 files".to_owned()));
    }

    #[test]
    fn a_share_is_all_or_nothing_only_when_it_is() {
        let written = [(0, 0), (0, 9), (1, 1000), (1, 2), (999, 1000), (9, 9)].map(|(part, all)| percent(part, all));
        assert_eq!(written, ["–", "0 %", "<1 %", "50 %", ">99 %", "100 %"]);
    }

    #[test]
    fn times_of_any_row_can_be_written() {
        assert_eq!(rfc3339(1_800_000_000), "2027-01-15T08:00:00Z");
        assert_eq!((rfc3339(-5), rfc3339(i64::MAX)), ("1970-01-01T00:00:00Z".into(), "9999-12-31T23:59:59Z".into()));
        assert_eq!((day(0), day(20_833)), ("1970-01-01".to_owned(), "2027-01-15".to_owned()));
        let written = [5, 60, 7200, 86_400 * 3, 86_400 * 400, -3600].map(ago);
        let wanted = ["just now", "1 minute ago", "2 hours ago", "3 days ago", "1 year ago", "in the future"];
        assert_eq!(written, wanted);
    }
}
