//! A project's description as HTML that is made of what we know: no element, attribute or link of a stranger's passes through.
//!
//! Markdown comes as events (pulldown-cmark), reStructuredText as the same ones (`rst`), and each that is known becomes an element of ours. HTML in it loses its tags, pictures
//! become links, links lead to the web or to a mailbox or are none. Depth and length are bounded, whatever is written.

mod rst;

use maud::{Escaper, Markup, PreEscaped, html};
use pulldown_cmark::{Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};
use std::fmt::Write as _;
use url::Url;

/// Elements within elements, at most; what lies deeper is shown without its own.
const DEPTH: usize = 24;
/// So many bytes of HTML are made, about.
const BYTES: usize = 1 << 20;
/// The longest address that becomes a link.
const ADDRESS_BYTES: usize = 2000;

/// Shows Markdown.
pub(super) fn markdown(text: &str) -> Markup {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut writer = Writer { level: 2, ..Writer::default() };
    for event in Parser::new_ext(text, options) {
        writer.take_more(event);
        if writer.is_cut {
            break;
        }
    }
    writer.shown()
}

/// Shows reStructuredText.
pub(super) fn restructured_text(text: &str) -> Markup {
    let mut writer = Writer { level: 2, ..Writer::default() };
    rst::read(text, &mut |event| writer.take_more(event));
    writer.shown()
}

/// Shows text as it is written, with links where it has addresses.
pub(super) fn plain(text: &str) -> Markup {
    html! { pre.prose { (linked(text)) } }
}

/// Makes links of the addresses in a text.
pub(super) fn linked(text: &str) -> Markup {
    let mut html = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("http").filter(|_| html.len() < BYTES) {
        let (before, from) = rest.split_at(at);
        escape(&mut html, before);
        let Some(address) = address(from) else {
            html.push_str("http");
            rest = &from[4..];
            continue;
        };
        match web(address) {
            Some(url) => html.push_str(&link(&url, address).into_string()),
            None => escape(&mut html, address),
        }
        rest = &from[address.len()..];
    }
    escape(&mut html, rest);
    PreEscaped(html)
}

/// Returns the address that a text begins with.
fn address(text: &str) -> Option<&str> {
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return None;
    }
    let is_end = |letter: char| letter.is_whitespace() || matches!(letter, '<' | '>' | '"' | '`' | '\'' | '|');
    let end = text.find(is_end).unwrap_or(text.len());
    Some(text[..end].trim_end_matches(['.', ',', ';', ':', ')', ']', '}', '_', '*', '!', '?']))
}

/// Shows a link out of the server.
pub(super) fn link(url: &str, text: &str) -> Markup {
    html! { a href=(url) rel="noreferrer noopener nofollow" { (text) } }
}

/// Returns where a link of a stranger leads, if that is the web or a mailbox.
pub(super) fn web(address: &str) -> Option<String> {
    // What a browser would make of it counts: it takes away tabs and line ends before it looks for the scheme.
    let url =
        Some(address).filter(|address| address.len() <= ADDRESS_BYTES).and_then(|address| Url::parse(address).ok())?;
    let is_web = matches!(url.scheme(), "https" | "http") && url.host().is_some();
    (is_web || url.scheme() == "mailto").then(|| url.into())
}

fn escape(html: &mut String, text: &str) {
    // Writing to a string does not fail.
    let _ = Escaper::new(html).write_str(text);
}

/// Writes HTML from events.
#[derive(Default)]
struct Writer {
    html: String,
    /// What ends each element that is open; empty for one that was not begun.
    open: Vec<&'static str>,
    /// The elements among them that were begun.
    depth: usize,
    /// The level of the last heading: the next is at most one deeper.
    level: u8,
    /// Whether a link is open; another inside it is none.
    is_link: bool,
    /// Whether a row of headers is open.
    is_head: bool,
    /// The number of tables.
    tables: usize,
    /// A block of HTML as it comes, of which the text alone is shown.
    block: Option<String>,
    /// Whether inside an element of HTML that nobody is to see the inside of.
    is_hidden: bool,
    is_cut: bool,
}

impl Writer {
    /// Takes an event, unless there is enough.
    fn take_more(&mut self, event: Event<'_>) {
        self.is_cut |= self.html.len() >= BYTES;
        if !self.is_cut {
            self.take(event);
        }
    }

    fn shown(self) -> Markup {
        let (body, is_cut) = self.end();
        html! {
            div.prose { (body) }
            @if is_cut { p.quiet { "The rest is left out." } }
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::HtmlBlock) => self.block = Some(String::new()),
            Event::End(TagEnd::HtmlBlock) => {
                let text = visible(&self.block.take().unwrap_or_default());
                if !text.is_empty() {
                    self.html.push_str("<p>");
                    escape(&mut self.html, &text);
                    self.html.push_str("</p>");
                }
            }
            Event::Html(text) | Event::Text(text) if self.block.is_some() => {
                self.block.get_or_insert_default().push_str(&text);
            }
            Event::Start(tag) => self.begin(&tag),
            Event::End(_) => self.close(),
            Event::InlineHtml(text) | Event::Html(text) => self.inline(&text),
            _ if self.is_hidden => {}
            Event::Text(text) => escape(&mut self.html, &text),
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.html.push_str("<code>");
                escape(&mut self.html, &text);
                self.html.push_str("</code>");
            }
            Event::SoftBreak => self.html.push('\n'),
            Event::HardBreak => self.html.push_str("<br>"),
            Event::Rule => self.html.push_str("<hr>"),
            Event::TaskListMarker(is_done) => self.html.push_str(if is_done { "☑ " } else { "☐ " }),
            Event::FootnoteReference(name) => escape(&mut self.html, &name),
        }
    }

    /// Takes a tag of HTML inside a line: it is dropped, but for a line's end, and for what begins or ends what nobody is to see.
    fn inline(&mut self, tag: &str) {
        let name = tag_name(tag);
        match name.as_str() {
            "br" => self.html.push_str("<br>"),
            "script" | "style" => self.is_hidden = !tag.starts_with("</"),
            _ => {}
        }
    }

    fn begin(&mut self, tag: &Tag<'_>) {
        if self.depth >= DEPTH {
            self.open.push("");
            return;
        }
        let (start, end) = match tag {
            Tag::Paragraph => ("<p>", "</p>"),
            Tag::Heading { level, .. } => self.heading(*level),
            Tag::BlockQuote(_) => ("<blockquote>", "</blockquote>"),
            Tag::CodeBlock(_) => ("<pre><code>", "</code></pre>"),
            Tag::List(None) => ("<ul>", "</ul>"),
            Tag::List(Some(first)) => {
                let _ = write!(self.html, "<ol start=\"{first}\">");
                ("", "</ol>")
            }
            Tag::Item => ("<li>", "</li>"),
            Tag::DefinitionList => ("<dl>", "</dl>"),
            Tag::DefinitionListTitle => ("<dt>", "</dt>"),
            Tag::DefinitionListDefinition => ("<dd>", "</dd>"),
            Tag::Table(_) => {
                self.tables += 1;
                let label = format!("Table {} of the description", self.tables);
                let _ = write!(
                    self.html,
                    "<div class=\"scroll\" role=\"region\" aria-label=\"{label}\" tabindex=\"0\">\
                     <table><caption class=\"hidden\">{label}</caption>"
                );
                ("", "</table></div>")
            }
            Tag::TableHead => {
                self.is_head = true;
                ("<thead><tr>", "</tr></thead>")
            }
            Tag::TableRow => ("<tr>", "</tr>"),
            Tag::TableCell if self.is_head => ("<th scope=\"col\">", "</th>"),
            Tag::TableCell => ("<td>", "</td>"),
            Tag::Emphasis => ("<em>", "</em>"),
            Tag::Strong => ("<strong>", "</strong>"),
            Tag::Strikethrough => ("<del>", "</del>"),
            Tag::Link { link_type: LinkType::Email, dest_url, .. } => self.link(&format!("mailto:{dest_url}")),
            // A picture is a link, too: nothing is fetched from elsewhere when somebody reads a page.
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.link(dest_url),
            _ => ("", ""),
        };
        self.html.push_str(start);
        self.depth += usize::from(!end.is_empty());
        self.open.push(end);
    }

    fn close(&mut self) {
        let end = self.open.pop().unwrap_or_default();
        match end {
            "</a>" => self.is_link = false,
            "</tr></thead>" => self.is_head = false,
            _ => {}
        }
        // A link without a text could not be followed by ear.
        if end == "</a>" && self.html.ends_with("nofollow\">") {
            self.html.push_str("link");
        }
        self.depth -= usize::from(!end.is_empty());
        self.html.push_str(end);
    }

    /// Shifts a heading below the page's own, and leaves out no level on the way.
    fn heading(&mut self, level: HeadingLevel) -> (&'static str, &'static str) {
        let wanted = level as u8 + 2;
        self.level = wanted.min(self.level + 1).min(6);
        match self.level {
            3 => ("<h3>", "</h3>"),
            4 => ("<h4>", "</h4>"),
            5 => ("<h5>", "</h5>"),
            _ => ("<h6>", "</h6>"),
        }
    }

    fn link(&mut self, address: &str) -> (&'static str, &'static str) {
        let Some(url) = web(address).filter(|_| !self.is_link) else { return ("", "") };
        self.is_link = true;
        let whole = link(&url, "").into_string();
        self.html.push_str(whole.trim_end_matches("</a>"));
        ("", "</a>")
    }

    /// Closes what is open.
    fn end(mut self) -> (Markup, bool) {
        while !self.open.is_empty() {
            self.close();
        }
        (PreEscaped(self.html), self.is_cut)
    }
}

/// Returns a tag's name in small letters, without a slash.
fn tag_name(tag: &str) -> String {
    let rest = tag.trim_start_matches('<').trim_start_matches('/');
    let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(rest.len());
    rest[..end].to_ascii_lowercase()
}

/// Returns the text of a block of HTML: without tags, comments, and what is in scripts and styles.
fn visible(block: &str) -> String {
    let (mut text, mut rest) = (String::new(), block);
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let name = tag_name(from);
        let end = match name.as_str() {
            _ if from.starts_with("<!--") => ends(from, "-->"),
            "script" | "style" if !from.starts_with("</") => {
                ends(from, &format!("</{name}")).and_then(|at| Some(at + ends(&from[at..], ">")?))
            }
            _ => ends(from, ">"),
        };
        // A tag without an end hides the rest, as in a browser.
        rest = end.map_or("", |end| &from[end..]);
        text.push(' ');
    }
    text.push_str(rest);
    let text = text
        .replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn ends(text: &str, with: &str) -> Option<usize> {
    text.find(with).map(|at| at + with.len())
}

#[cfg(test)]
mod tests;
