//! Segments of paths, as they are written and as they are meant.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

/// Decodes a segment, once. Nothing comes out that could be more than one segment, or another, wherever it is written.
pub(super) fn decoded(raw: &str, limit: usize) -> Option<Cow<'_, str>> {
    let is_escaped = |rest: &str| rest.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    if !raw.split('%').skip(1).all(is_escaped) {
        return None;
    }
    let text = percent_decode_str(raw).decode_utf8().ok()?;
    let is_plain = |letter: char| !letter.is_control() && letter != '/' && letter != '\\';
    let is_fit = !text.is_empty() && text.len() <= limit && text != "." && text != "..";
    (is_fit && text.chars().all(is_plain)).then_some(text)
}

/// Returns a filename as a segment of a path, whatever it has.
pub(super) fn encoded(filename: &str) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(filename, PLAIN).to_string()
}
