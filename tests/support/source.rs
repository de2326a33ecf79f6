//! Reads Rust sources as tokens, just well enough for `tests/floors.rs`.

/// A name, a number, `::`, or one other character.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Returns the text of the token at a place; past the end there is none.
pub(crate) fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

/// Tells whether a token is a name or a keyword.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Cuts a source into tokens, without comments, strings, characters, lifetimes and test modules.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let (mut tokens, mut rest, mut line) = (Vec::new(), source, 1);
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        let (skip, kept) = match (skipped(rest), first) {
            (Some(length), _) => (length, None),
            (None, _) if rest.starts_with("r#") => (2, None),
            (None, _) if word > 0 => (word, Some(&rest[..word])),
            (None, _) if rest.starts_with("::") => (2, Some("::")),
            (None, _) if first.is_whitespace() => (first.len_utf8(), None),
            (None, _) => (first.len_utf8(), Some(&rest[..first.len_utf8()])),
        };
        tokens.extend(kept.map(|text| Token { text: text.to_owned(), line }));
        line += rest[..skip].matches('\n').count();
        rest = &rest[skip..];
    }
    without_tests(tokens)
}

/// Returns the length of the comment, string, character or lifetime that `rest` begins with.
fn skipped(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        let (mut depth, mut at) = (0, 0);
        loop {
            match rest.get(at..at + 2) {
                Some("/*") => (depth, at) = (depth + 1, at + 2),
                Some("*/") => (depth, at) = (depth - 1, at + 2),
                _ => at += 1,
            }
            if depth == 0 || at >= rest.len() {
                return Some(at);
            }
        }
    }
    let plain = rest.trim_start_matches(['b', 'c']);
    let prefix = rest.len() - plain.len();
    if prefix > 1 {
        return None;
    }
    let bare = plain.strip_prefix('r').unwrap_or(plain);
    let hashes = bare.len() - bare.trim_start_matches('#').len();
    if bare.len() < plain.len() && bare[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let body = &bare[hashes + 1..];
        return Some(rest.len() - body.len() + body.find(&end).map_or(body.len(), |at| at + end.len()));
    }
    let quote = plain.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let mut letters = plain.char_indices().skip(1).peekable();
    if quote == '\'' && !plain[1..].starts_with('\\') && plain.chars().nth(2) != Some('\'') {
        return (prefix == 0)
            .then(|| plain[1..].find(|c: char| !c.is_alphanumeric() && c != '_').map_or(plain.len(), |at| at + 1));
    }
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            _ if letter == quote => return Some(prefix + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// Drops what `#[cfg(test)]` stands before.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let head: Vec<&str> = tokens[at..].iter().take(7).map(|token| token.text.as_str()).collect();
        if head == ["#", "[", "cfg", "(", "test", ")", "]"] {
            at = item_end(&tokens, at + 7);
        } else {
            kept.push(Token { text: tokens[at].text.clone(), line: tokens[at].line });
            at += 1;
        }
    }
    kept
}

/// Returns the place after an item: its `;`, or the end of its body.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" if depth == 1 => return at + 1,
            "}" | ")" | "]" if depth > 0 => depth -= 1,
            "}" | ")" | "]" => return at,
            ";" | "," if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}
