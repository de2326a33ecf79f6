//! What stands within a line: emphasis, literals, links, roles, pictures by name.

use super::explicit::link;
use super::targets::{Substitute, Targets};
use pulldown_cmark::{Event, Tag};

/// What may begin something, and how it ends. The longer goes first.
const SPANS: &[(&str, &str)] = &[("``", "``"), ("**", "**"), ("*", "*"), ("_`", "`"), ("`", "`"), ("|", "|")];

/// The place of single back quotes among them.
const QUOTE: usize = 4;
/// The longest name of a role, and of a footnote.
const ROLE_BYTES: usize = 40;
/// The longest name, in letters, that needs no quotes.
const WORD: usize = 100;

/// Reads a text within a block.
pub(super) struct Inline<'a, 'p> {
    text: &'a str,
    at: usize,
    /// What stands before and isn't put yet.
    plain: String,
    /// Which of the spans have no end from here on, so that none is looked for again.
    is_endless: [bool; SPANS.len()],
    targets: &'p mut Targets,
    put: &'p mut dyn FnMut(Event<'static>),
}

/// What of a text was understood: what is put, and where it ends.
type Understood = (Vec<Event<'static>>, usize);

impl<'a, 'p> Inline<'a, 'p> {
    pub(super) fn new(text: &'a str, targets: &'p mut Targets, put: &'p mut dyn FnMut(Event<'static>)) -> Self {
        Self { text, at: 0, plain: String::new(), is_endless: [false; SPANS.len()], targets, put }
    }

    /// Reads all of it.
    pub(super) fn read(mut self) {
        while let Some(letter) = self.text[self.at..].chars().next() {
            let understood = match letter {
                '\\' => {
                    self.escaped();
                    continue;
                }
                '`' | '*' | '|' | '_' if self.is_start() => self.span(),
                ':' if self.is_start() => self.role(),
                '[' if self.is_start() => self.footnote(),
                'h' if self.is_start() => self.address(),
                '_' => self.word(),
                _ => None,
            };
            match understood {
                Some((events, end)) => {
                    self.flush();
                    events.into_iter().for_each(&mut *self.put);
                    self.at = end;
                }
                None => {
                    self.plain.push(letter);
                    self.at += letter.len_utf8();
                }
            }
        }
        self.flush();
    }

    fn flush(&mut self) {
        if !self.plain.is_empty() {
            (self.put)(Event::Text(std::mem::take(&mut self.plain).into()));
        }
    }

    /// Takes a backslash, and what it makes plain; a space behind it is nothing.
    fn escaped(&mut self) {
        let next = self.text[self.at + 1..].chars().next();
        self.plain.extend(next.filter(|letter| !letter.is_whitespace()));
        self.at += 1 + next.map_or(0, char::len_utf8);
    }

    fn before(&self) -> Option<char> {
        self.text[..self.at].chars().next_back()
    }

    /// Tells whether something may begin here.
    fn is_start(&self) -> bool {
        self.before().is_none_or(|letter| !letter.is_alphanumeric() && !"_*`\\|".contains(letter))
    }

    /// Reads what is between two signs.
    fn span(&mut self) -> Option<Understood> {
        let rest = &self.text[self.at..];
        let (kind, (start, end)) = SPANS.iter().enumerate().find(|(_, (start, _))| rest.starts_with(start))?;
        let inner = &rest[start.len()..];
        let first = inner.chars().next().filter(|letter| !letter.is_whitespace())?;
        let is_quoted = matches!(
            (self.before(), first),
            (Some('"'), '"') | (Some('\''), '\'') | (Some('('), ')') | (Some('['), ']') | (Some('<'), '>')
        );
        if self.is_endless[kind] || is_quoted {
            return None;
        }
        let Some(long) = closing(inner, end, *start == "``") else {
            self.is_endless[kind] = true;
            return None;
        };
        let (own, after) = (&inner[..long], self.at + start.len() + long + end.len());
        match *start {
            "``" => Some((vec![Event::Code(own.to_owned().into())], after)),
            "**" => Some((around(Tag::Strong, own), after)),
            "*" => Some((around(Tag::Emphasis, own), after)),
            "_`" => Some((vec![Event::Text(own.to_owned().into())], after)),
            "|" => self.substitute(own, after),
            _ => Some(self.quoted(own, after)),
        }
    }

    /// Reads what is in back quotes: a link, or a text with a role behind it.
    fn quoted(&mut self, own: &str, after: usize) -> Understood {
        let rest = &self.text[after..];
        let marks = if rest.starts_with("__") { 2 } else { usize::from(rest.starts_with('_')) };
        if marks == 0 {
            let role = rest.strip_prefix(':').and_then(|rest| rest.split_once(':')).map(|(role, _)| role);
            return match role.filter(|role| is_role(role)) {
                Some(role) => (of_role(role, own), after + role.len() + 2),
                None => (around(Tag::Emphasis, own), after),
            };
        }
        let embedded = own.strip_suffix('>').and_then(|own| own.rsplit_once('<'));
        let (text, address) = match embedded {
            Some((text, address)) => {
                let address = match address.strip_suffix('_').and_then(|name| self.targets.address(name)) {
                    Some(known) => known.unwrap_or_default(),
                    None => address.split_whitespace().collect(),
                };
                let text = text.trim();
                if marks == 1 {
                    self.targets.note(text, &address);
                }
                (if text.is_empty() { address.clone() } else { plain(text) }, Some(address))
            }
            None if marks == 2 => (plain(own), self.targets.next_unnamed()),
            None => (plain(own), self.targets.address(own).flatten()),
        };
        (linked(text, address), after + marks)
    }

    /// Reads `:role:` and the text in back quotes behind it.
    fn role(&mut self) -> Option<Understood> {
        let text = &self.text[self.at + 1..];
        let width = text.bytes().take(ROLE_BYTES + 1).position(|byte| byte == b'`')?;
        let role = text[..width].strip_suffix(':').filter(|role| is_role(role))?;
        let rest = &text[width + 1..];
        if self.is_endless[QUOTE] {
            return None;
        }
        let Some(long) = closing(rest, "`", false) else {
            self.is_endless[QUOTE] = true;
            return None;
        };
        Some((of_role(role, &rest[..long]), self.at + 1 + width + 1 + long + 1))
    }

    fn substitute(&mut self, name: &str, after: usize) -> Option<Understood> {
        let known = self.targets.substitute(name)?.clone();
        let rest = &self.text[after..];
        let marks = if rest.starts_with("__") { 2 } else { usize::from(rest.starts_with('_')) };
        let outer = match marks {
            0 => None,
            1 => self.targets.address(name).flatten(),
            _ => self.targets.next_unnamed(),
        };
        let events = match known {
            Substitute::Text(text) => linked(text, outer),
            Substitute::Picture { text, address } => {
                let named = address.strip_suffix('_').and_then(|name| self.targets.address(name)).flatten();
                linked(text, outer.or(named).or(Some(address)))
            }
        };
        Some((events, after + marks))
    }

    /// Reads `[1]_`, as it is shown.
    fn footnote(&mut self) -> Option<Understood> {
        let text = &self.text[self.at + 1..];
        let label = &text[..text.bytes().take(ROLE_BYTES).position(|byte| byte == b']')?];
        let is_label = text[label.len()..].starts_with("]_")
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"#*-_.".contains(&byte));
        let shown = format!("[{}]", label.trim_start_matches('#'));
        is_label.then(|| (vec![Event::Text(shown.into())], self.at + label.len() + 3))
    }

    fn address(&mut self) -> Option<Understood> {
        let own = super::super::address(&self.text[self.at..])?;
        Some((linked(own.to_owned(), Some(own.to_owned())), self.at + own.len()))
    }

    /// Reads the end of `name_` or `name__`, where that is a name; the word itself waits to be put.
    fn word(&mut self) -> Option<Understood> {
        let rest = &self.text[self.at..];
        let marks = if rest.starts_with("__") { 2 } else { 1 };
        if rest[marks..].starts_with(|letter: char| letter.is_alphanumeric() || "_`*".contains(letter)) {
            return None;
        }
        let is_part = |letter: &char| letter.is_alphanumeric() || "-_.+:".contains(*letter);
        let letters = self.plain.chars().rev().take_while(is_part).take(WORD);
        let start = self.plain.len() - letters.map(char::len_utf8).sum::<usize>();
        let word = self.plain[start..].to_owned();
        let word = word.trim_start_matches(['-', '_', '.', '+', ':']);
        if word.is_empty() {
            return None;
        }
        let address = if marks == 2 { Some(self.targets.next_unnamed()?) } else { self.targets.address(word)? };
        self.plain.truncate(self.plain.len() - word.len());
        Some((linked(word.to_owned(), address), self.at + marks))
    }
}

/// Finds what ends a span: it follows no space, and no letter follows it.
fn closing(text: &str, end: &str, is_literal: bool) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find(end).map(|at| from + at) {
        let (before, after) = (text[..at].chars().next_back(), text[at + end.len()..].chars().next());
        let is_escaped = !is_literal && text[..at].ends_with('\\');
        let is_closed = before.is_some_and(|letter| !letter.is_whitespace()) && !is_escaped;
        // Of more signs in a row the last ones end it.
        let is_last = after.is_none_or(|letter| !letter.is_alphanumeric() && (end == "|" || !end.starts_with(letter)));
        if is_closed && is_last {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// Takes the backslashes away.
fn plain(text: &str) -> String {
    let mut letters = text.chars();
    let mut whole = String::with_capacity(text.len());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => whole.extend(letters.next().filter(|next| !next.is_whitespace())),
            _ => whole.push(letter),
        }
    }
    whole
}

fn around(tag: Tag<'static>, text: &str) -> Vec<Event<'static>> {
    let end = tag.to_end();
    vec![Event::Start(tag), Event::Text(plain(text).into()), Event::End(end)]
}

fn linked(text: String, address: Option<String>) -> Vec<Event<'static>> {
    let Some(address) = address else { return vec![Event::Text(text.into())] };
    // What has no scheme and is a mailbox is meant as one.
    let is_mailbox = address.contains('@') && !address.contains(['/', ':']);
    let tag = link(if is_mailbox { format!("mailto:{address}") } else { address });
    let end = tag.to_end();
    vec![Event::Start(tag), Event::Text(text.into()), Event::End(end)]
}

fn is_role(role: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+:".contains(&byte);
    !role.is_empty() && role.len() <= ROLE_BYTES && role.bytes().all(is_part)
}

/// Shows a text in a role: names of code as code, numbered documents as links to them.
fn of_role(role: &str, text: &str) -> Vec<Event<'static>> {
    let (shown, target) = match text.strip_suffix('>').and_then(|own| own.rsplit_once('<')) {
        Some((shown, target)) if !shown.trim().is_empty() => (shown.trim(), target),
        _ => (text, text),
    };
    let number =
        |of: &str| target.split('#').next()?.trim().strip_prefix(of).unwrap_or(target).trim().parse::<u32>().ok();
    match role {
        "emphasis" | "title-reference" | "title" | "t" | "dfn" => around(Tag::Emphasis, shown),
        "strong" | "guilabel" | "menuselection" => around(Tag::Strong, shown),
        "sub" | "sup" | "subscript" | "superscript" | "abbr" | "doc" | "ref" | "term" | "numref" => {
            vec![Event::Text(plain(shown).into())]
        }
        "pep" | "rfc" => {
            let (name, address) = match role {
                "pep" => ("PEP", number("PEP").map(|number| format!("https://peps.python.org/pep-{number:04}/"))),
                _ => ("RFC", number("RFC").map(|number| format!("https://www.rfc-editor.org/rfc/rfc{number}"))),
            };
            let is_number = shown.trim().starts_with(|letter: char| letter.is_ascii_digit());
            linked(if is_number { format!("{name} {}", shown.trim()) } else { plain(shown) }, address)
        }
        _ => vec![Event::Code(plain(shown).trim_start_matches(['~', '!']).to_owned().into())],
    }
}
