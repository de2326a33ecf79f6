//! Durations and byte counts as people write them, on the command line and in files of settings.

use std::time::Duration;

/// Parses `48h`, `7d`, `1h 30min`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 48h, 7d, 30min or seconds"))
}

/// Parses a duration into whole seconds.
pub fn seconds(text: &str) -> Result<i64, String> {
    duration(text).and_then(|duration| i64::try_from(duration.as_secs()).map_err(|_| "too long".to_owned()))
}

/// Parses `500G`, `200M`, `1.5GiB`: K, M, G and T (with or without B) are powers of 1000, KiB, MiB, GiB and TiB of 1024.
pub fn bytes(text: &str) -> Result<u64, String> {
    let number = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err("write a number with K, M, G, T, or KiB, MiB, GiB, TiB".to_owned()),
    };
    let whole = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    let fraction = || number.parse::<f64>().ok().map(|number| (number * factor as f64) as u64);
    whole.or_else(fraction).ok_or_else(|| format!("{number:?} is not a number"))
}

/// Writes seconds so that [`seconds`] reads them again, in the largest unit that leaves no rest.
pub fn seconds_text(seconds: i64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    match units.iter().find(|(length, _)| seconds != 0 && seconds % length == 0) {
        Some((length, unit)) => format!("{}{unit}", seconds / length),
        None => format!("{seconds}s"),
    }
}

/// Writes a byte count so that [`bytes`] reads it again, in the largest unit that leaves no rest.
pub(crate) fn bytes_text(bytes: u64) -> String {
    let units = [
        (1 << 40, "TiB"),
        (1_000_000_000_000, "T"),
        (1 << 30, "GiB"),
        (1_000_000_000, "G"),
        (1 << 20, "MiB"),
        (1_000_000, "M"),
        (1 << 10, "KiB"),
        (1000, "K"),
    ];
    match units.iter().find(|(size, _)| bytes != 0 && bytes.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{}{unit}", bytes / size),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_they_are_documented() {
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(seconds("48h"), Ok(172_800));
        assert_eq!(seconds("7d"), Ok(604_800));
        assert!(seconds("soon").is_err());
        assert_eq!(bytes("500G"), Ok(500_000_000_000));
        assert_eq!(bytes("1.5GiB"), Ok(1_610_612_736));
        assert_eq!(bytes("0"), Ok(0));
        for bad in ["", "G", "5X", "-1", "1.2.3M"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for number in [0, 1, 59, 60, 61, 3600, 86_400, 604_800, 7_776_000, 7_776_001] {
            assert_eq!(seconds(&seconds_text(number)), Ok(number), "{}", seconds_text(number));
        }
        for number in [0, 1, 999, 1000, 1024, 500_000_000_000, 3 << 40, u64::MAX >> 1] {
            assert_eq!(bytes(&bytes_text(number)), Ok(number), "{}", bytes_text(number));
        }
        assert_eq!((seconds_text(604_800), bytes_text(500_000_000_000)), ("7d".to_owned(), "500G".to_owned()));
    }
}
