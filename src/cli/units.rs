//! Numbers, durations and byte counts as people write them: the library's, which reads files of settings with them as well.

use std::str::FromStr;
pub(super) use wcas::units::{bytes, duration, seconds, seconds_text};

/// The least bytes a second that work goes on with: at fewer, one wheel takes a day.
const LEAST_RATE: u64 = 64 << 10;

/// Reads a whole number.
pub(super) fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "write a whole number, as in 3".to_owned())
}

/// Reads a whole number of things of which there must be one.
pub(super) fn positive<T: FromStr + Default + PartialEq>(text: &str) -> Result<T, String> {
    whole(text).ok().filter(|number| *number != T::default()).ok_or_else(|| "write a whole number from 1".to_owned())
}

/// Reads `2031-12-31` or `2031-12-31T18:00:00Z`, as seconds since 1970.
pub(super) fn moment(text: &str) -> Option<i64> {
    let is_date = text.len() == 10 && text.split('-').count() == 3;
    let moment = if is_date { format!("{text} 00:00:00") } else { text.to_owned() };
    let time = humantime::parse_rfc3339_weak(&moment).ok()?;
    Some(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs().cast_signed())
}

/// Reads bytes a second.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    let rate = bytes(text.strip_suffix("/s").unwrap_or(text))?;
    if rate < LEAST_RATE {
        return Err(format!("{rate} bytes a second would take for ever: write 200M for 200 000 000, 64KiB at least"));
    }
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_one_that_ends() {
        assert_eq!(rate("200M"), Ok(200_000_000));
        assert_eq!(rate("64KiB/s"), Ok(65_536));
        for text in ["5", "0", "60K", "fast", "", "5M/min"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_whole() {
        assert_eq!(whole::<i64>("-3"), Ok(-3));
        assert_eq!(positive::<usize>("1"), Ok(1));
        for text in ["abc", "", "1.5", "0x3", "99999999999999999999"] {
            assert!(whole::<i64>(text).is_err(), "{text}");
        }
        assert!(positive::<usize>("0").is_err());
    }
}
