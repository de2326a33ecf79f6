//! WHEEL: the version of the format that a wheel is in.

use super::metadata::headers;

/// The largest WHEEL that is read.
pub(super) const MAX_BYTES: u64 = 256 * 1024;
/// The format's version that installers know. They take what is newer within it (PEP 427).
const MAJOR: u64 = 1;

/// Why WHEEL was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Not UTF-8.
    #[error("WHEEL is not UTF-8")]
    Utf8,
    /// No version of the format.
    #[error("expected Wheel-Version in WHEEL, found {0:?}")]
    Version(String),
    /// A format that no installer of today knows.
    #[error("expected Wheel-Version {MAJOR}.x in WHEEL, found {0:?}: installers must refuse that (PEP 427)")]
    Unknown(String),
}

/// Makes sure that WHEEL is one that installers take.
pub(super) fn check(bytes: &[u8]) -> Result<(), FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|_| FormatError::Utf8)?;
    // What Windows' editors put first is no part of a name.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut headers = headers(text.as_bytes());
    let value = headers.find(|(name, _)| name.eq_ignore_ascii_case(b"wheel-version")).map(|(_, value)| value);
    let value = value.map(|value| String::from_utf8_lossy(&value).trim().to_owned()).unwrap_or_default();
    let numbers: Option<Vec<u64>> = value.split('.').map(|number| number.parse().ok()).collect();
    match numbers.as_deref() {
        Some([major, ..]) if *major <= MAJOR => Ok(()),
        Some(_) => Err(FormatError::Unknown(value)),
        None => Err(FormatError::Version(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_today_is_taken_and_the_next_is_not() {
        for good in [
            "Wheel-Version: 1.0\nTag: x",
            "wheel-version: 1.9\r\n",
            "Generator: x\nWheel-Version:1",
            "\u{feff}Wheel-Version: 0.1",
        ] {
            assert_eq!(check(good.as_bytes()), Ok(()), "{good:?}");
        }
        assert_eq!(check(b"Wheel-Version: 2.0"), Err(FormatError::Unknown("2.0".to_owned())));
        for bad in [
            "",
            "Tag: py3-none-any",
            "Wheel-Version: one",
            "Wheel-Version:",
            "\nWheel-Version: 1.0",
            "Wheel-Version: 1.x",
        ] {
            assert!(matches!(check(bad.as_bytes()), Err(FormatError::Version(_))), "{bad:?}");
        }
        assert_eq!(check(b"Wheel-Version: 1.0\nGenerator: caf\xe9"), Err(FormatError::Utf8));
    }
}
