//! Where the names of a text lead: `.. _name: address`, `.. |name| image:: address`.

use std::collections::{HashMap, VecDeque};

/// So many names lead from one to the next.
const CHAIN: usize = 4;
/// The longest text or address that a name stands for: it may be used again and again.
const BYTES: usize = 2000;
/// So many lines are read of what a name stands for.
const LINES: usize = 20;

/// What a name in bars stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Substitute {
    /// A picture: what it shows, where it is, and where it leads.
    Picture { text: String, address: String },
    /// A text.
    Text(String),
}

/// All names of a text.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Addresses, names of other targets, and of places in the text nothing.
    names: HashMap<String, Option<String>>,
    /// Addresses without a name, in the order of the links to them.
    unnamed: VecDeque<String>,
    substitutes: HashMap<String, Substitute>,
}

/// Returns a name as it is compared.
fn folded(name: &str) -> String {
    name.replace(['`', '\\'], "").split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

impl Targets {
    /// Reads the names of all lines, however deep they stand.
    pub(super) fn read(lines: &[&str]) -> Self {
        let mut found = Self::default();
        for (at, line) in lines.iter().enumerate() {
            let own = line.trim_start();
            let depth = line.len() - own.len();
            let is_more = |line: &&&str| !line.is_empty() && line.len() - line.trim_start().len() > depth;
            let more = || lines[at + 1..].iter().take_while(is_more).take(LINES).map(|line| line.trim());
            let Some(rest) = own.strip_prefix(".. ").map(str::trim_start) else {
                found.unnamed.extend(own.strip_prefix("__ ").map(|address| address.trim().to_owned()));
                continue;
            };
            if let Some((name, address)) = rest.strip_prefix('_').and_then(named) {
                let address: String = std::iter::once(address.trim()).chain(more()).collect();
                if name == "_" {
                    found.unnamed.push_back(address);
                } else {
                    let address = Some(address).filter(|address| !address.is_empty() && address.len() <= BYTES);
                    found.names.entry(folded(name)).or_insert(address);
                }
            } else if let Some((name, rest)) = rest.strip_prefix('|').and_then(|rest| rest.split_once("| ")) {
                found.substitutes.extend(substitute(name, rest.trim(), more()).map(|own| (folded(name), own)));
            }
        }
        found
    }

    /// Notes where a name leads that is told where it is used.
    pub(super) fn note(&mut self, name: &str, address: &str) {
        if address.len() <= BYTES {
            self.names.entry(folded(name)).or_insert_with(|| Some(address.to_owned()));
        }
    }

    /// Returns where a name leads; within: a place in the text, of which no address is known here. Outer `None`: there is no such name.
    pub(super) fn address(&self, name: &str) -> Option<Option<String>> {
        let mut known = self.names.get(&folded(name))?;
        for _ in 0..CHAIN {
            let other = known
                .as_ref()
                .and_then(|address| address.strip_suffix('_'))
                .and_then(|name| self.names.get(&folded(name)));
            match other {
                Some(other) => known = other,
                None => break,
            }
        }
        Some(known.clone())
    }

    /// Returns where the next link without a name leads.
    pub(super) fn next_unnamed(&mut self) -> Option<String> {
        self.unnamed.pop_front()
    }

    /// Returns what a name in bars stands for.
    pub(super) fn substitute(&self, name: &str) -> Option<&Substitute> {
        self.substitutes.get(&folded(name))
    }
}

/// Parts `name: address`, where the name may be quoted.
fn named(text: &str) -> Option<(&str, &str)> {
    if let Some(quoted) = text.strip_prefix('`') {
        let (name, rest) = quoted.split_once('`')?;
        return rest.strip_prefix(':').map(|address| (name, address));
    }
    let mut from = 0;
    while let Some(at) = text[from..].find(':').map(|at| from + at) {
        let is_end = matches!(text[at + 1..].chars().next(), None | Some(' '));
        if is_end && !text[..at].ends_with('\\') {
            return Some((&text[..at], &text[at + 1..]));
        }
        from = at + 1;
    }
    None
}

fn substitute<'a>(name: &str, text: &'a str, more: impl Iterator<Item = &'a str>) -> Option<Substitute> {
    let (kind, value) = text.split_once("::")?;
    let value = value.trim();
    let (own, bytes) = match kind {
        "image" | "figure" => {
            let (text, address) = picture(value, more, Some(name));
            let bytes = text.len() + address.len();
            (Substitute::Picture { text, address }, bytes)
        }
        "replace" => {
            let text = std::iter::once(value).chain(more).collect::<Vec<_>>().join(" ");
            let bytes = text.len();
            (Substitute::Text(text), bytes)
        }
        _ => return None,
    };
    (bytes <= BYTES).then_some(own)
}

/// Returns what a picture shows, in words, and where whoever follows it comes. What says nothing is called by its name, else by its file's.
pub(super) fn picture<'a>(
    source: &str,
    options: impl Iterator<Item = &'a str>,
    name: Option<&str>,
) -> (String, String) {
    let (mut text, mut address) = (String::new(), source.to_owned());
    for option in options {
        if let Some(value) = option.strip_prefix(":alt:") {
            value.trim().clone_into(&mut text);
        } else if let Some(value) = option.strip_prefix(":target:") {
            value.trim().clone_into(&mut address);
        }
    }
    if text.is_empty() {
        let path = source.split(['?', '#']).next().unwrap_or_default();
        name.or_else(|| path.rsplit('/').next()).unwrap_or_default().clone_into(&mut text);
    }
    (text, address)
}
