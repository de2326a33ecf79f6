//! HTML pages: the anchors of whatever HTML it is, read token by token as browsers read it.

use super::link::{Link, Listing, Outcome, last_segment};
use super::looks::Looks;
use super::{ListedPage, PageError, Syntax, is_known};
use crate::budget;
use crate::name::ProjectName;
use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Readable as _, Reader, Span, StringReader, Tokenizer};
use std::borrow::Cow;
use std::cell::Cell;
use std::convert::Infallible;
use url::Url;

/// Reads a page.
pub(super) fn read(body: &[u8], url: &Url) -> Result<ListedPage, PageError> {
    let mut scanner = scan(body, url, None);
    let Some(base) = scanner.late_base.take() else { return scanner.finish() };
    // To browsers and pip a <base> holds for the links before it, too. It is so rare that reading again is good enough.
    drop(scanner);
    scan(body, url, Some(base)).finish()
}

fn scan<'a>(body: &[u8], url: &'a Url, base: Option<Url>) -> Scanner<'a> {
    let mut scanner = Scanner::new(url, base, body.len());
    let is_enough = Cell::new(false);
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _: Span<()>| {
        scanner.event(event);
        is_enough.set(scanner.listing.excess.is_some());
        None::<Infallible>
    });
    // Else a script's text is read as tags.
    emitter.naively_switch_states(true);
    // Where it ends early, `excess` says why.
    let _ = Tokenizer::new_with_emitter(Bytes { rest: body.to_reader(), is_enough: &is_enough }, emitter).finish();
    scanner
}

/// The bytes of a page, until there was enough of them: the tokenizer calls itself for each attribute of a tag, and only an error
/// brings it back.
struct Bytes<'a> {
    rest: StringReader<'a>,
    is_enough: &'a Cell<bool>,
}

/// There was enough.
#[derive(Debug, thiserror::Error)]
#[error("the page is too much")]
struct Enough;

impl Bytes<'_> {
    fn check(&self) -> Result<(), Enough> {
        if self.is_enough.get() { Err(Enough) } else { Ok(()) }
    }
}

impl Reader for Bytes<'_> {
    type Error = Enough;

    #[inline]
    fn read_byte(&mut self) -> Result<Option<u8>, Enough> {
        self.check()?;
        let Ok(byte) = self.rest.read_byte();
        Ok(byte)
    }

    #[inline]
    fn read_until<'b>(&'b mut self, ends: &[u8], buffer: &'b mut [u8; 4]) -> Result<Option<&'b [u8]>, Enough> {
        self.check()?;
        let Ok(bytes) = self.rest.read_until(ends, buffer);
        Ok(bytes)
    }

    #[inline]
    fn try_read_string(&mut self, text: &[u8], is_case_sensitive: bool) -> Result<bool, Enough> {
        let Ok(is_there) = self.rest.try_read_string(text, is_case_sensitive);
        Ok(is_there)
    }
}

/// A start tag that matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    Anchor,
    Base,
    Meta,
    Other,
}

/// The attributes that matter, of any tag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Href,
    Name,
    Content,
    RequiresPython,
    Yanked,
    CoreMetadata,
    DistInfoMetadata,
    Size,
    UploadTime,
    Provenance,
}

const ATTRIBUTES: [(&[u8], Attribute); 10] = [
    (b"href", Attribute::Href),
    (b"name", Attribute::Name),
    (b"content", Attribute::Content),
    (b"data-requires-python", Attribute::RequiresPython),
    (b"data-yanked", Attribute::Yanked),
    (b"data-core-metadata", Attribute::CoreMetadata),
    (b"data-dist-info-metadata", Attribute::DistInfoMetadata),
    (b"data-size", Attribute::Size),
    (b"data-upload-time", Attribute::UploadTime),
    (b"data-provenance", Attribute::Provenance),
];

/// The element whose text is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Body,
    /// A title or a first heading.
    Title,
    /// A script or a style: no text for people.
    Code,
}

struct Scanner<'a> {
    listing: Listing<'a>,
    looks: Looks,
    has_base: bool,
    late_base: Option<Url>,
    tag: Tag,
    inside: Inside,
    /// The attributes of the tag, each once: the first counts.
    values: [Option<String>; ATTRIBUTES.len()],
    attribute: Option<Attribute>,
    /// How many attributes the tag has.
    attributes: u64,
    /// The segment that an anchor leads to and whether a slash follows, until its text is read.
    pending: Option<(String, bool)>,
    text: String,
}

impl<'a> Scanner<'a> {
    fn new(url: &'a Url, base: Option<Url>, bytes: usize) -> Self {
        let has_base = base.is_some();
        let listing = Listing::new(url, base.unwrap_or_else(|| url.clone()), Syntax::Html, bytes);
        Self {
            listing,
            looks: Looks::default(),
            has_base,
            late_base: None,
            tag: Tag::Other,
            inside: Inside::Body,
            values: Default::default(),
            attribute: None,
            attributes: 0,
            pending: None,
            text: String::new(),
        }
    }

    fn event(&mut self, event: CallbackEvent<'_>) {
        if self.listing.excess.is_some() {
            return;
        }
        match event {
            CallbackEvent::OpenStartTag { name } => self.open(name),
            CallbackEvent::AttributeName { name } => self.name_attribute(name),
            CallbackEvent::AttributeValue { value } => {
                if let Some(attribute) = self.attribute.take() {
                    self.values[attribute as usize] = Some(text(value));
                }
            }
            CallbackEvent::CloseStartTag { .. } => self.close(),
            CallbackEvent::EndTag { name } => self.end(name),
            CallbackEvent::String { value } => self.string(value),
            CallbackEvent::Doctype { name, .. } => self.looks.is_html |= name == b"html",
            CallbackEvent::Comment { .. } | CallbackEvent::Error(_) => {}
        }
    }

    fn open(&mut self, name: &[u8]) {
        self.values = Default::default();
        self.attributes = 0;
        self.attribute = None;
        self.tag = match name {
            b"a" => Tag::Anchor,
            b"base" => Tag::Base,
            b"meta" => Tag::Meta,
            _ => Tag::Other,
        };
        match name {
            b"title" | b"h1" => self.inside = Inside::Title,
            b"style" => self.inside = Inside::Code,
            b"script" => (self.inside, self.looks.has_form) = (Inside::Code, true),
            b"form" | b"input" => self.looks.has_form = true,
            b"html" | b"head" | b"body" => self.looks.is_html = true,
            _ => {}
        }
    }

    fn name_attribute(&mut self, name: &[u8]) {
        self.attributes += 1;
        if self.attributes > budget::TAG_ATTRIBUTES.limit {
            self.listing.excess.get_or_insert(budget::TAG_ATTRIBUTES);
        }
        let known = ATTRIBUTES.iter().find(|(own, _)| *own == name).map(|(_, attribute)| *attribute);
        self.attribute = known.filter(|attribute| self.tag != Tag::Other && self.values[*attribute as usize].is_none());
        if let Some(attribute) = self.attribute {
            // There is no event for an empty value.
            self.values[attribute as usize] = Some(String::new());
        }
    }

    fn value(&mut self, attribute: Attribute) -> Option<String> {
        self.values[attribute as usize].take()
    }

    fn close(&mut self) {
        (self.attribute, self.attributes) = (None, 0);
        match self.tag {
            Tag::Anchor => self.anchor(),
            Tag::Base => self.base(),
            Tag::Meta => self.meta(),
            Tag::Other => {}
        }
        self.tag = Tag::Other;
    }

    fn end(&mut self, name: &[u8]) {
        // Attributes of an end tag mean nothing.
        (self.tag, self.attribute, self.attributes) = (Tag::Other, None, 0);
        match name {
            b"a" => self.end_anchor(),
            b"title" | b"h1" => {
                self.looks.title.push('\n');
                self.inside = Inside::Body;
            }
            b"script" | b"style" => self.inside = Inside::Body,
            _ => {}
        }
    }

    fn string(&mut self, value: &[u8]) {
        if self.pending.is_some() {
            push(&mut self.text, value);
        }
        match self.inside {
            Inside::Title => push(&mut self.looks.title, value),
            Inside::Body => self.looks.has_text |= !value.trim_ascii().is_empty(),
            Inside::Code => {}
        }
    }

    fn base(&mut self) {
        let Some(href) = self.value(Attribute::Href).filter(|_| !self.has_base) else { return };
        self.has_base = true;
        match self.listing.url.join(href.trim()) {
            Ok(base) if matches!(base.scheme(), "data" | "javascript") || base.cannot_be_a_base() => {
                self.listing.problem("the page's <base> is no place for files: it is not used".to_owned());
            }
            Ok(base) if self.looks.has_anchor => self.late_base = Some(base),
            Ok(base) => self.listing.base = base,
            Err(error) => self.listing.problem(format!("the page's <base> is no URL: {error}")),
        }
    }

    fn meta(&mut self) {
        let (name, content) = (self.value(Attribute::Name), self.value(Attribute::Content));
        let (Some(name), Some(content)) = (name, content) else { return };
        let is = |text: &str| name.trim().eq_ignore_ascii_case(text);
        if is("pypi:repository-version") && self.listing.page.version.is_none() {
            self.listing.page.version = Some(content.trim().to_owned());
        } else if is("pypi:project-status") {
            // Said twice, the stricter word counts.
            let is_quarantined = |word: &str| word.trim().eq_ignore_ascii_case("quarantined");
            if !self.looks.status.as_deref().is_some_and(is_quarantined) {
                self.looks.status = Some(content);
            }
        } else if is("pypi:project-status-reason") {
            self.looks.status_reason = Some(content);
        }
    }

    fn anchor(&mut self) {
        // An anchor can't be in an anchor: the next one ends it.
        self.end_anchor();
        self.looks.has_anchor = true;
        let Some(href) = self.value(Attribute::Href) else { return };
        let mut link = Link { href: href.into(), ..Link::default() };
        link.requires_python = self.value(Attribute::RequiresPython).map(Cow::Owned);
        link.yanked = self.value(Attribute::Yanked).map(Cow::Owned);
        // PEP 714: the new name counts, where there is one.
        let metadata = self.value(Attribute::CoreMetadata).or_else(|| self.value(Attribute::DistInfoMetadata));
        metadata.iter().for_each(|text| link.set_sidecar(text));
        if let Some(size) = self.value(Attribute::Size) {
            link.size = size.trim().parse().ok();
            link.size.is_none().then(|| link.doubts.push("its size is no whole number"));
        }
        link.provenance = self.value(Attribute::Provenance).map(Cow::Owned);
        self.value(Attribute::UploadTime).iter().for_each(|text| link.set_upload_time(text));
        if let Outcome::Elsewhere(Some(url)) = self.listing.take_link(link) {
            self.elsewhere(&url);
        }
    }

    /// Keeps in mind what may be a project, until the anchor's text says so.
    fn elsewhere(&mut self, url: &Url) {
        const OTHERS: [&str; 3] = [".egg", ".exe", ".msi"];
        self.looks.has_other_file |= OTHERS.iter().any(|end| url.path().ends_with(end));
        let path = url.path();
        let (path, has_slash) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
        let parent = path.rfind('/').map_or("", |slash| &path[..=slash]);
        let is_below = |base: &Url| {
            // A page without a slash at its end may still mean its children.
            let own = base.path();
            url.origin() == base.origin()
                && (parent == &own[..own.rfind('/').map_or(0, |slash| slash + 1)]
                    || parent.strip_suffix('/').is_some_and(|parent| parent == own))
        };
        let below = url.query().is_none() && (is_below(self.listing.url) || is_below(&self.listing.base));
        self.pending = last_segment(path).filter(|_| below).map(|name| (name.into_owned(), has_slash));
        self.text.clear();
    }

    fn end_anchor(&mut self) {
        let Some((segment, has_slash)) = self.pending.take() else { return };
        let text = self.text.trim().trim_end_matches('/');
        // Directory listings cut long names.
        let is_cut = text.strip_suffix("..>").is_some_and(|start| !start.is_empty() && segment.starts_with(start));
        // What has a dot and no slash is some other file.
        if let Ok(project) = segment.parse::<ProjectName>()
            && (has_slash || !segment.contains('.'))
            && (is_cut || text.parse::<ProjectName>().is_ok_and(|text| text == project))
        {
            self.listing.add_project(project);
        }
    }

    fn finish(mut self) -> Result<ListedPage, PageError> {
        self.end_anchor();
        self.listing.check_excess()?;
        let page = &self.listing.page;
        if let Some(version) = page.version.as_ref().filter(|version| !is_known(version)) {
            return Err(PageError::Version(version.clone()));
        }
        if let Some(reason) = self.looks.foreign(page) {
            return Err(PageError::Foreign(reason));
        }
        if let Some(word) = &self.looks.status {
            self.listing.set_status(word, self.looks.status_reason.as_deref());
        }
        Ok(self.listing.finish())
    }
}

/// A longer value of an attribute is none that an index has.
const VALUE_BYTES: usize = 1 << 20;

/// Adds to a text for people, of which only the beginning counts.
fn push(to: &mut String, value: &[u8]) {
    let room = VALUE_BYTES.saturating_sub(to.len());
    to.push_str(&text(&value[..value.len().min(room)]));
}

/// Takes over bytes as text, the common case first: replacing looks at each byte. What is too long is as good as unreadable.
fn text(value: &[u8]) -> String {
    if value.len() > VALUE_BYTES {
        return char::REPLACEMENT_CHARACTER.to_string();
    }
    str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value).into_owned(), str::to_owned)
}
