//! reStructuredText as the events that Markdown is read as: what the descriptions of projects are made of, and no more.
//!
//! Headings, paragraphs, lists, definitions, fields, quotes, literal blocks, and the directives for code, pictures and hints. What isn't known is
//! shown as it is written. Nothing is included or fetched, and all of it is one pass over the lines for each level of indentation, of
//! which few are looked into.

mod explicit;
mod inline;
mod targets;

use inline::Inline;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Tag};
use targets::Targets;

/// Blocks within blocks, at most; what lies deeper is shown as it is written.
const DEPTH: usize = 7;
/// The characters that underline a title.
const ADORNMENTS: &str = "=-`:.'\"~^_*+#<>!$%&(),/;?@[\\]{|}";

/// Reads a text. The events are well nested.
pub(super) fn read(text: &str, put: &mut dyn FnMut(Event<'static>)) {
    let text: String = text.lines().map(|line| expanded(line) + "\n").collect();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let targets = Targets::read(&lines);
    let mut reader = Reader { put, targets, styles: Vec::new() };
    reader.blocks(&lines, 0);
}

/// Returns a line with spaces in place of its tabs.
fn expanded(line: &str) -> String {
    let mut whole = String::with_capacity(line.len());
    let mut column = 0;
    for letter in line.chars() {
        let width = if letter == '\t' { 8 - column % 8 } else { 1 };
        column += width;
        if letter == '\t' { whole.extend(std::iter::repeat_n(' ', width)) } else { whole.push(letter) }
    }
    whole
}

/// A title's underline, and whether there is a line above it, too.
type TitleStyle = (char, bool);

struct Reader<'p> {
    put: &'p mut dyn FnMut(Event<'static>),
    targets: Targets,
    /// The styles of titles so far: the first is the highest level.
    styles: Vec<TitleStyle>,
}

/// What an item of a list begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Bullet(char),
    /// The number, and what follows it: lists differ by that.
    Number(u64, char),
}

impl Reader<'_> {
    fn put(&mut self, event: Event<'static>) {
        (self.put)(event);
    }

    /// Puts what an element has between its begin and end.
    fn within(&mut self, tag: Tag<'static>, put: impl FnOnce(&mut Self)) {
        let end = tag.to_end();
        self.put(Event::Start(tag));
        put(self);
        self.put(Event::End(end));
    }

    fn inline(&mut self, text: &str) {
        Inline::new(text, &mut self.targets, self.put).read();
    }

    fn paragraph(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.within(Tag::Paragraph, |own| own.inline(text));
        }
    }

    fn literal(&mut self, lines: &[&str]) {
        let text = trimmed(lines).join("\n");
        if !text.is_empty() {
            self.within(Tag::CodeBlock(CodeBlockKind::Indented), |own| own.put(Event::Text(text.into())));
        }
    }

    /// Reads blocks whose lines begin in the first column.
    fn blocks(&mut self, lines: &[&str], depth: usize) {
        if depth > DEPTH {
            return self.literal(lines);
        }
        let mut at = 0;
        while at < lines.len() {
            let rest = &lines[at..];
            at += if rest[0].is_empty() { 1 } else { self.block(rest, depth).max(1) };
        }
    }

    /// Reads the block that begins here, and returns how many lines it takes.
    fn block(&mut self, lines: &[&str], depth: usize) -> usize {
        let first = lines[0];
        if first.starts_with(' ') {
            let (body, taken) = indented(lines);
            self.within(Tag::BlockQuote(None), |own| own.blocks(&body, depth + 1));
            return taken;
        }
        if let Some((title, style, taken)) = title(lines) {
            self.title(title, style);
            return taken;
        }
        if is_adornment(first) && first.len() >= 4 && lines.get(1).is_none_or(|next| next.is_empty()) {
            self.put(Event::Rule);
            return 1;
        }
        if first == ".." || first.starts_with(".. ") || first.starts_with("__ ") {
            return self.explicit(lines, depth);
        }
        if let Some((marker, _)) = marker(lines) {
            return self.list(lines, marker, depth);
        }
        if field(first).is_some() || option(first).is_some() {
            return self.fields(lines, depth);
        }
        if first.starts_with(">>> ") || is_table(first) {
            let taken = until(lines, str::is_empty);
            // A table of spaces has empty lines in it, up to its last border.
            let taken = if first.starts_with('=') { table_end(lines).unwrap_or(taken) } else { taken };
            self.literal(&lines[..taken]);
            return taken;
        }
        if first == "|" || first.starts_with("| ") {
            return self.line_block(lines);
        }
        self.text(lines, depth)
    }

    fn title(&mut self, title: &str, style: TitleStyle) {
        let level = self.styles.iter().position(|known| *known == style).unwrap_or_else(|| {
            self.styles.push(style);
            self.styles.len() - 1
        });
        let level = HeadingLevel::try_from(level.min(5) + 1).unwrap_or(HeadingLevel::H6);
        let heading = Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() };
        self.within(heading, |own| own.inline(title));
    }

    fn list(&mut self, lines: &[&str], first: Marker, depth: usize) -> usize {
        let start = match first {
            Marker::Bullet(_) => None,
            Marker::Number(number, _) => Some(number),
        };
        let mut at = 0;
        self.put(Event::Start(Tag::List(start)));
        while let Some((marker, width)) = lines.get(at..).and_then(marker) {
            let is_next = match (first, marker) {
                (Marker::Bullet(a), Marker::Bullet(b)) => a == b,
                (Marker::Number(_, a), Marker::Number(_, b)) => a == b,
                _ => false,
            };
            if !is_next {
                break;
            }
            let head = lines[at].get(width..).unwrap_or_default().trim_start();
            let (body, taken) = hanging(head, &lines[at + 1..]);
            self.within(Tag::Item, |own| own.item(&body, depth));
            at += 1 + taken;
        }
        self.put(Event::End(Tag::List(start).to_end()));
        at
    }

    /// Reads what an item has: one that is a single paragraph is shown without one.
    fn item(&mut self, body: &[&str], depth: usize) {
        let is_single = !body.iter().any(|line| line.is_empty() || line.starts_with(' '))
            && marker(body).is_none()
            && !body.first().is_some_and(|line| line.starts_with(".. ") || field(line).is_some())
            && !body.last().is_some_and(|line| line.ends_with("::"));
        if is_single { self.inline(&body.join("\n")) } else { self.blocks(body, depth + 1) }
    }

    /// Reads fields (`:name: value`), or options (`-a, --all  what it does`).
    fn fields(&mut self, lines: &[&str], depth: usize) -> usize {
        let mut at = 0;
        self.put(Event::Start(Tag::DefinitionList));
        while let Some(line) = lines.get(at) {
            let (name, head, is_option) = match (field(line), option(line)) {
                (Some((name, head)), _) => (name, head, false),
                (None, Some((name, head))) => (name, head, true),
                (None, None) if line.is_empty() => {
                    at += 1;
                    continue;
                }
                (None, None) => break,
            };
            let (body, taken) = hanging(head, &lines[at + 1..]);
            self.within(Tag::DefinitionListTitle, |own| match is_option {
                true => own.put(Event::Code(name.to_owned().into())),
                false => own.inline(name),
            });
            self.within(Tag::DefinitionListDefinition, |own| own.item(&body, depth));
            at += 1 + taken;
        }
        self.put(Event::End(Tag::DefinitionList.to_end()));
        at
    }

    fn line_block(&mut self, lines: &[&str]) -> usize {
        let taken = until(lines, |line| !line.starts_with('|') && !line.starts_with(' '));
        self.within(Tag::Paragraph, |own| {
            for line in &lines[..taken] {
                own.inline(line.strip_prefix('|').unwrap_or(line).trim_start());
                own.put(Event::HardBreak);
            }
        });
        taken
    }

    /// Reads a paragraph, or a term and its definition, and what is literal after `::`.
    fn text(&mut self, lines: &[&str], depth: usize) -> usize {
        let is_indented = |line: &&str| line.starts_with(' ');
        if lines.get(1).is_some_and(is_indented) && !lines[0].ends_with("::") {
            return self.definitions(lines, depth);
        }
        let taken = until(lines, |line| line.is_empty() || line.starts_with(' '));
        let text = lines[..taken].join("\n");
        let Some(before) = text.strip_suffix("::") else {
            self.paragraph(&text);
            return taken;
        };
        if !before.is_empty() {
            let is_hidden = before.ends_with([' ', '\n']);
            self.paragraph(&if is_hidden { before.trim_end().to_owned() } else { format!("{before}:") });
        }
        let blank = until(&lines[taken..], |line| !line.is_empty());
        let rest = &lines[taken + blank..];
        let (body, more) = match rest.first() {
            Some(line) if line.starts_with(' ') => indented(rest),
            // Quoted: each line begins with the same sign.
            Some(line) if blank > 0 && line.starts_with(|sign: char| ADORNMENTS.contains(sign) && sign != '.') => {
                let sign = line.chars().next().unwrap_or_default();
                let own = until(rest, |line| !line.starts_with(sign));
                (rest[..own].to_vec(), own)
            }
            _ => return taken,
        };
        self.literal(&body);
        taken + blank + more
    }

    fn definitions(&mut self, lines: &[&str], depth: usize) -> usize {
        let mut at = 0;
        self.put(Event::Start(Tag::DefinitionList));
        while let [term, next, ..] = &lines[at..] {
            if term.is_empty() || term.starts_with(' ') || !next.starts_with(' ') || term.starts_with(".. ") {
                break;
            }
            self.within(Tag::DefinitionListTitle, |own| own.inline(term));
            let (body, taken) = indented(&lines[at + 1..]);
            self.within(Tag::DefinitionListDefinition, |own| own.item(trimmed(&body), depth));
            at += 1 + taken;
        }
        self.put(Event::End(Tag::DefinitionList.to_end()));
        at
    }
}

/// Returns how many lines there are before one of a kind.
fn until(lines: &[&str], is_end: impl Fn(&str) -> bool) -> usize {
    lines.iter().position(|line| is_end(line)).unwrap_or(lines.len())
}

/// Returns lines without the empty ones around them.
fn trimmed<'a, 'b>(lines: &'b [&'a str]) -> &'b [&'a str] {
    let start = until(lines, |line| !line.is_empty());
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(start, |last| last + 1);
    &lines[start..end]
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Returns the indented lines that stand here, moved to the first column, and how many lines they are with the empty ones after them.
fn indented<'a>(lines: &[&'a str]) -> (Vec<&'a str>, usize) {
    let taken = until(lines, |line| !line.is_empty() && !line.starts_with(' '));
    let own = &lines[..taken];
    let least = own.iter().filter(|line| !line.is_empty()).map(|line| indent(line)).min().unwrap_or_default();
    (own.iter().map(|line| line.get(least..).unwrap_or_default()).collect(), taken)
}

/// The same of what hangs under a first line, which goes before it.
fn hanging<'a>(head: &'a str, lines: &[&'a str]) -> (Vec<&'a str>, usize) {
    let (body, taken) = indented(lines);
    let own = std::iter::once(head).filter(|head| !head.is_empty()).chain(body).collect::<Vec<_>>();
    (trimmed(&own).to_vec(), taken)
}

/// Tells whether a line is one sign again and again.
fn is_adornment(line: &str) -> bool {
    let mut letters = line.chars();
    letters.next().is_some_and(|first| ADORNMENTS.contains(first) && letters.all(|letter| letter == first))
}

/// Reads a title with its lines: the text, its style, and how many lines it takes.
fn title<'a>(lines: &[&'a str]) -> Option<(&'a str, TitleStyle, usize)> {
    let is_under = |under: &str, text: &str| {
        let (long, wide) = (under.chars().count(), text.trim().chars().count());
        is_adornment(under) && (long >= wide || long >= 4)
    };
    let sign = |line: &str| line.chars().next().unwrap_or_default();
    match lines {
        [over, text, under, ..]
            if is_adornment(over) && !text.is_empty() && sign(over) == sign(under) && is_under(under, text) =>
        {
            (!is_adornment(text)).then(|| (text.trim(), (sign(under), true), 3))
        }
        [text, under, ..] if !is_adornment(text) && is_under(under, text) && !is_table(under) => {
            Some((text.trim(), (sign(under), false), 2))
        }
        _ => None,
    }
}

/// Reads what an item begins with, and returns it with its width.
fn marker(lines: &[&str]) -> Option<(Marker, usize)> {
    let line = lines.first()?;
    let first = line.chars().next()?;
    if "*+-•‣⁃".contains(first) {
        let after = &line[first.len_utf8()..];
        return (after.is_empty() || after.starts_with(' '))
            .then(|| (Marker::Bullet(first), line.len() - after.trim_start().len()));
    }
    let inner = line.strip_prefix('(').unwrap_or(line);
    let end = inner.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '#')?;
    let (word, rest) = inner.split_at(end);
    let sign = rest.chars().next().filter(|sign| matches!(sign, '.' | ')'))?;
    let after = &rest[1..];
    let number = match word {
        "#" => 1,
        _ if word.len() == 1 && word.as_bytes()[0].is_ascii_alphabetic() => {
            u64::from(word.as_bytes()[0].to_ascii_lowercase() - b'a' + 1)
        }
        _ => word.parse().ok().filter(|number| *number < 1_000_000)?,
    };
    // A sentence may begin with a number, or with initials; a list's next line is indented, or an item.
    let is_list = |next: &&str| {
        next.is_empty()
            || next.starts_with(' ')
            || *word == *"#"
            || next.starts_with(|l: char| l.is_ascii_digit() || l == '(')
    };
    let is_whole = (after.starts_with(' ') || after.is_empty()) && lines.get(1).is_none_or(is_list);
    (is_whole && after.len() < line.len())
        .then(|| (Marker::Number(number, sign), line.len() - after.trim_start().len()))
}

/// Reads a field: its name, and what stands beside it.
fn field(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix(':')?.split_once(':')?;
    let is_name = !name.is_empty() && !name.starts_with(' ');
    (is_name && (rest.is_empty() || rest.starts_with(' '))).then(|| (name, rest.trim_start()))
}

/// Reads an option of a command line: how it is written, and what stands beside it.
fn option(line: &str) -> Option<(&str, &str)> {
    let letters = line.strip_prefix("--").or_else(|| line.strip_prefix('-'))?;
    if !letters.starts_with(|letter: char| letter.is_ascii_alphanumeric()) {
        return None;
    }
    let (name, rest) = line.split_once("  ").unwrap_or((line, ""));
    (name.split(' ').count() <= 4).then(|| (name, rest.trim_start()))
}

/// Tells whether a line is a table's border: `+---+---+`, or `==== ====`.
fn is_table(line: &str) -> bool {
    let is_grid = line.starts_with("+-") && line.ends_with('+') && line.bytes().all(|byte| b"+-=".contains(&byte));
    let is_simple = line.starts_with("==") && line.contains(' ') && line.bytes().all(|byte| b"= ".contains(&byte));
    is_grid || is_simple
}

/// Returns where a table of columns ends: after the last border before a line that doesn't belong to it.
fn table_end(lines: &[&str]) -> Option<usize> {
    let borders: Vec<usize> = (0..lines.len()).filter(|at| is_table(lines[*at])).take(3).collect();
    match borders.as_slice() {
        // Two borders are a table without a head, unless a third comes before anything else begins.
        [_, second, third]
            if !lines[second + 1..*third].windows(2).any(|two| two.iter().all(|line| line.is_empty())) =>
        {
            Some(third + 1)
        }
        [_, second, ..] => Some(second + 1),
        _ => None,
    }
}
