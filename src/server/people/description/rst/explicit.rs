//! What begins with two dots: directives, footnotes, comments. Targets were read before.

use super::targets::picture;
use super::{Reader, field, indented, trimmed, until};
use pulldown_cmark::{Event, LinkType, Tag};

/// Directives that say something about the document, or are for other programs.
const SILENT: &[&str] = &[
    "class",
    "contents",
    "currentmodule",
    "default-role",
    "footer",
    "header",
    "highlight",
    "include",
    "index",
    "meta",
    "role",
    "sectnum",
    "section-numbering",
    "sectionauthor",
    "tabularcolumns",
    "target-notes",
    "testsetup",
    "title",
    "toctree",
    "module",
    "unicode",
    "replace",
    "date",
];
/// Directives whose content is shown as it is written.
const LITERAL: &[&str] = &[
    "code",
    "code-block",
    "sourcecode",
    "parsed-literal",
    "math",
    "doctest",
    "testcode",
    "testoutput",
    "prompt",
    "productionlist",
    "list-table",
    "csv-table",
    "command-output",
    "program-output",
    "literalinclude",
    "mermaid",
    "graphviz",
];
/// Hints, and the words above them.
const HINTS: &[(&str, &str)] = &[
    ("note", "Note"),
    ("warning", "Warning"),
    ("tip", "Tip"),
    ("important", "Important"),
    ("hint", "Hint"),
    ("attention", "Attention"),
    ("caution", "Caution"),
    ("danger", "Danger"),
    ("error", "Error"),
    ("seealso", "See also"),
    ("todo", "To do"),
];
/// Hints about a version, which stands beside them.
const VERSIONS: &[(&str, &str)] = &[
    ("versionadded", "New in version"),
    ("versionchanged", "Changed in version"),
    ("deprecated", "Deprecated since version"),
    ("versionremoved", "Removed in version"),
];

/// A directive.
struct Directive<'a> {
    name: &'a str,
    /// What stands beside the name, and in lines right below it.
    argument: &'a str,
    options: Vec<&'a str>,
    body: Vec<&'a str>,
    /// All of it below the first line.
    lines: Vec<&'a str>,
}

impl Reader<'_> {
    /// Reads what begins with two dots, and returns how many lines it takes.
    pub(super) fn explicit(&mut self, lines: &[&str], depth: usize) -> usize {
        let (below, taken) = indented(&lines[1..]);
        let taken = 1 + taken;
        let Some(head) = lines[0].strip_prefix("..").map(str::trim_start) else { return 1 };
        // A comment that is empty ends at once: it parts what is indented from what stands before it.
        if head.is_empty() && lines.get(1).is_none_or(|next| next.is_empty()) {
            return 1;
        }
        if head.starts_with(['_', '|']) {
            return taken;
        }
        if let Some((label, rest)) = head.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            self.within(Tag::Paragraph, |own| {
                own.put(Event::Text(format!("[{}] ", label.trim_start_matches('#')).into()));
                own.inline(&std::iter::once(rest.trim_start()).chain(below).collect::<Vec<_>>().join("\n"));
            });
            return taken;
        }
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:+.".contains(&byte));
        if let Some((name, argument)) = head.split_once("::").filter(|(name, _)| !name.is_empty() && is_name(name)) {
            let split = until(&below, |line| field(line).is_none());
            let options = below[..split].to_vec();
            let body = trimmed(&below[split..]).to_vec();
            self.directive(Directive { name, argument: argument.trim(), options, body, lines: below }, depth);
        }
        taken
    }

    fn directive(&mut self, own: Directive<'_>, depth: usize) {
        let named = |list: &[(&'static str, &'static str)]| {
            list.iter().find(|(name, _)| *name == own.name).map(|(_, title)| *title)
        };
        if let Some(title) = named(HINTS) {
            return self.hint(title.to_owned(), own.argument, &own.body, depth);
        }
        if let Some(title) = named(VERSIONS) {
            let (version, rest) = own.argument.split_once(' ').unwrap_or((own.argument, ""));
            return self.hint(format!("{title} {version}"), rest, &own.body, depth);
        }
        match own.name {
            name if SILENT.contains(&name) => {}
            name if LITERAL.contains(&name) => self.literal(&own.body),
            "image" | "figure" => {
                let (text, address) = picture(own.argument, own.options.iter().copied(), None);
                self.within(Tag::Paragraph, |reader| reader.picture(&text, &address));
                self.blocks(&own.body, depth + 1);
            }
            // Tags of others are dropped as in Markdown; what is for other writers is not for us.
            "raw" if own.argument.eq_ignore_ascii_case("html") => {
                self.within(Tag::HtmlBlock, |reader| reader.put(Event::Html((own.body.join("\n") + "\n").into())));
            }
            "raw" => {}
            "admonition" | "topic" | "sidebar" => self.hint(own.argument.to_owned(), "", &own.body, depth),
            "rubric" => self.within(Tag::Paragraph, |reader| {
                reader.within(Tag::Strong, |reader| reader.inline(own.argument));
            }),
            "container" | "compound" | "epigraph" | "highlights" | "pull-quote" | "centered" | "table" | "only" => {
                self.blocks(&own.body, depth + 1);
            }
            name => {
                let first = format!(".. {name}:: {}", own.argument);
                let below: Vec<String> = own.lines.iter().map(|line| format!("   {line}")).collect();
                let lines: Vec<&str> =
                    std::iter::once(first.trim_end()).chain(below.iter().map(|line| line.trim_end())).collect();
                self.literal(&lines);
            }
        }
    }

    fn hint(&mut self, title: String, argument: &str, body: &[&str], depth: usize) {
        self.within(Tag::BlockQuote(None), |own| {
            own.within(Tag::Paragraph, |own| own.within(Tag::Strong, |own| own.inline(&title)));
            // What stands beside the name goes on in the lines below.
            let more = until(body, str::is_empty);
            if argument.is_empty() {
                own.blocks(body, depth + 1);
            } else {
                let text: Vec<&str> = std::iter::once(argument).chain(body[..more].iter().copied()).collect();
                own.paragraph(&text.join("\n"));
                own.blocks(&body[more..], depth + 1);
            }
        });
    }

    /// A picture is a link with its words.
    pub(super) fn picture(&mut self, text: &str, address: &str) {
        let address = match address.strip_suffix('_').and_then(|name| self.targets.address(name)) {
            Some(known) => known.unwrap_or_default(),
            None => address.replace(' ', ""),
        };
        let text = text.to_owned();
        self.within(link(address), |own| own.put(Event::Text(text.into())));
    }
}

/// Begins a link.
pub(super) fn link(address: String) -> Tag<'static> {
    Tag::Link { link_type: LinkType::Inline, dest_url: address.into(), title: "".into(), id: "".into() }
}
