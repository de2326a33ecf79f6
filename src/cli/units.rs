//! Durations and byte counts as people write them.

use std::time::Duration;

/// Parses `48h`, `7d`, `1h 30min`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 48h, 7d, 30min or seconds"))
}

/// Parses a duration into whole seconds.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    duration(text).and_then(|duration| i64::try_from(duration.as_secs()).map_err(|_| "too long".to_owned()))
}

/// Parses `500G`, `200M`, `1.5GiB`: K, M, G and T (with or without B) are powers of 1000, KiB, MiB, GiB and TiB of 1024.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
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
}
