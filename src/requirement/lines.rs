//! A requirements file's bytes, cut into logical lines: decoded, joined at `\`, without comments and blank lines.
//!
//! The rules are pip 26.3's, whose notion of a line is Python's: a form feed ends one, too.

/// A line as its reader means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logical {
    /// Where it begins, from 1.
    pub(super) number: usize,
    pub(super) text: String,
}

/// Why bytes are not read as text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// A byte-order mark of UTF-16 or UTF-32.
    #[error("it is {0}: save it as UTF-8")]
    Mark(&'static str),
    /// A comment in the first two lines names an encoding, and there are letters that it concerns.
    #[error("it says that it is {0:?}: save it as UTF-8")]
    Declared(String),
    /// Bytes that are no UTF-8.
    #[error("line {0} is not UTF-8: save it as UTF-8")]
    Bytes(usize),
}

/// Decodes a file, with or without a byte-order mark.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, EncodingError> {
    // UTF-32's mark begins with that of UTF-16.
    let marks: [(&[u8], &str); 4] = [
        (&[0xff, 0xfe, 0, 0], "UTF-32"),
        (&[0, 0, 0xfe, 0xff], "UTF-32"),
        (&[0xff, 0xfe], "UTF-16"),
        (&[0xfe, 0xff], "UTF-16"),
    ];
    if let Some((_, name)) = marks.iter().find(|(mark, _)| bytes.starts_with(mark)) {
        return Err(EncodingError::Mark(name));
    }
    if let Some(bytes) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return utf8(bytes);
    }
    match bytes.split(|byte| *byte == b'\n').take(2).find_map(declared) {
        Some(name) if !bytes.is_ascii() => Err(EncodingError::Declared(name)),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, EncodingError> {
    std::str::from_utf8(bytes).map_err(|error| {
        EncodingError::Bytes(1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count())
    })
}

/// Returns the encoding other than UTF-8 that a comment such as `# -*- coding: latin-1 -*-` names.
fn declared(line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line.strip_prefix(b"#")?);
    let (_, behind) = line.split_once("coding:").or_else(|| line.split_once("coding="))?;
    let behind = behind.trim_start();
    let end = behind.find(|letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '-' | '_' | '.'));
    let name = &behind[..end.unwrap_or(behind.len())];
    let same = matches!(name.to_ascii_lowercase().replace('_', "-").as_str(), "" | "utf-8" | "utf8" | "utf-8-sig");
    (!same).then(|| name.to_owned())
}

/// Cuts a text into logical lines.
pub(super) fn logical(text: &str) -> Vec<Logical> {
    let mut lines = Vec::new();
    let mut joined: Option<Logical> = None;
    for (at, line) in physical(text).into_iter().enumerate() {
        let comment = line.trim_start().starts_with('#');
        let continues = line.ends_with('\\') && !comment;
        let Logical { number, text } = joined.get_or_insert_with(|| Logical { number: at + 1, text: String::new() });
        if continues {
            text.push_str(line.trim_matches('\\'));
            continue;
        }
        // A comment ends what it stands behind, and is one there only after a space.
        text.push_str(if comment { " " } else { "" });
        text.push_str(line);
        lines.push(Logical { number: *number, text: std::mem::take(text) });
        joined = None;
    }
    lines.extend(joined);
    for line in &mut lines {
        line.text = without_comment(&line.text).trim().to_owned();
    }
    lines.retain(|line| !line.text.is_empty());
    lines
}

/// Cuts where Python's `str.splitlines` does.
fn physical(text: &str) -> Vec<&str> {
    let ends = |letter: char| {
        matches!(letter, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(ends) {
        lines.push(&rest[..at]);
        let end = rest[at..].chars().next().map_or(1, char::len_utf8);
        rest = rest[at..].strip_prefix("\r\n").unwrap_or(&rest[at + end..]);
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Cuts a comment off: `#` at the beginning or after a space, not that of `#egg=` in a URL.
fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        if letter == '#' && before.is_whitespace() {
            return &line[..at];
        }
        before = letter;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(usize, String)> {
        logical(text).into_iter().map(|line| (line.number, line.text)).collect()
    }

    fn lines(expected: &[(usize, &str)]) -> Vec<(usize, String)> {
        expected.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
    }

    #[test]
    fn comments_begin_a_line_or_follow_a_space() {
        assert_eq!(
            cut("# a\na # b\n\t#c\nx#y\nhttps://h/a.zip#egg=a #z"),
            lines(&[(2, "a"), (4, "x#y"), (5, "https://h/a.zip#egg=a")])
        );
    }

    #[test]
    fn a_backslash_joins_lines_and_the_first_gives_the_number() {
        assert_eq!(cut("\na==1 \\\n  --x \\\n  --y\nb"), lines(&[(2, "a==1   --x   --y"), (5, "b")]));
        assert_eq!(cut("a\\\r\nb\r\nc\\"), lines(&[(1, "ab"), (3, "c")]));
        assert_eq!(cut("a \\ \nb"), lines(&[(1, "a \\"), (2, "b")]));
    }

    #[test]
    fn a_comment_ends_a_continued_line_and_is_never_continued() {
        assert_eq!(cut("a \\\n# why \\\nb"), lines(&[(1, "a"), (3, "b")]));
        assert_eq!(cut("a # x \\\nb"), lines(&[(1, "a")]), "the backslash joins first, then the comment goes");
    }

    #[test]
    fn lines_end_where_python_ends_them() {
        assert_eq!(cut("a\rb\r\nc\x0cd\u{2028}e\n\n"), lines(&[(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")]));
    }

    #[test]
    fn only_utf8_is_read_and_others_are_refused_by_name() {
        assert_eq!(decode(b"\xef\xbb\xbfa"), Ok("a"));
        assert_eq!(decode("# -*- coding: utf-8 -*-\nä".as_bytes()), Ok("# -*- coding: utf-8 -*-\nä"));
        assert_eq!(decode(b"# -*- coding: latin-1 -*-\na"), Ok("# -*- coding: latin-1 -*-\na"));
        assert_eq!(decode(b"# coding=latin-1\n# \xe4"), Err(EncodingError::Declared("latin-1".to_owned())));
        assert_eq!(decode(b"a\nb\xe4"), Err(EncodingError::Bytes(2)));
        assert_eq!(decode(b"\xff\xfea\0"), Err(EncodingError::Mark("UTF-16")));
        assert_eq!(decode(b"\xff\xfe\0\0a\0\0\0"), Err(EncodingError::Mark("UTF-32")));
    }
}
