//! One requirement as text: a named one (PEP 508), or a URL or path that names its project only by a filename.

use super::marker::{Marker, MarkerError};
use crate::name::{NameError, ProjectName};
use pep440_rs::{Version, VersionSpecifier, VersionSpecifiers};
use percent_encoding::percent_decode_str;
use std::collections::HashSet;
use std::str::FromStr;

/// What a requirement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) name: ProjectName,
    /// Normalised, in the order given, each once.
    pub(super) extras: Vec<String>,
    pub(super) specifiers: VersionSpecifiers,
    pub(super) url: Option<String>,
    pub(super) marker: Marker,
}

/// A requirement that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    #[error("{0:?} is not a requirement such as NAME, NAME==VERSION or NAME @ URL")]
    Name(String, #[source] NameError),
    #[error("the extras in {0:?} are not understood: write NAME[EXTRA,EXTRA]")]
    Extras(String),
    #[error("{part:?} is not a version specifier such as ==2.5.1, >=2 or ~=2.5, with commas between several: {reason}")]
    Specifier { part: String, reason: String },
    #[error("{0:?} is not a URL: no spaces in it, and a space before ';' behind it")]
    Url(String),
    #[error("{0:?} does not say which project it is: write NAME @ URL")]
    Unnamed(String),
    #[error("the condition behind ';' is refused")]
    Marker(#[from] MarkerError),
}

/// Parses a requirement without its options.
pub(super) fn parse(text: &str) -> Result<Parts, LineError> {
    let url = is_url(text);
    // A URL may have a semicolon of its own.
    let (head, marker) = text.split_once(if url { "; " } else { ";" }).unwrap_or((text, ""));
    let (head, marker) = (head.trim(), marker.parse()?);
    let parts = if url || is_path(head) { located(head)? } else { named(head)? };
    Ok(Parts { marker, ..parts })
}

/// Returns whether a URL says that it is a checkout of a version control system.
pub(super) fn is_checkout(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| scheme.contains('+'))
}

/// Returns the pairs of a URL's fragment: `#egg=demo&sha256=…`.
pub(super) fn fragment(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let fragment = url.split_once('#').map_or("", |(_, fragment)| fragment);
    fragment.split('&').filter_map(|pair| pair.split_once('='))
}

fn is_url(text: &str) -> bool {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    matches!(scheme.as_str(), "http" | "https" | "file" | "ftp")
        || ["git+", "hg+", "svn+", "bzr+"].iter().any(|system| scheme.starts_with(system))
}

/// Returns whether a requirement that is no URL is a path: it has a separator, begins with a dot, or ends as a file does.
fn is_path(head: &str) -> bool {
    let before_at = head.split_once('@').map_or(head, |(before, _)| before);
    let separated = before_at.contains(['/', '\\']) || head.starts_with('.');
    separated
        || before_at == head && file_stem(without_extras(head).0).is_some() && !head.contains(['<', '>', '=', '~'])
}

/// Parses a URL or a path: its filename, or else `#egg=NAME`, is to say which project it is.
fn located(head: &str) -> Result<Parts, LineError> {
    let unnamed = || LineError::Unnamed(head.to_owned());
    let (place, extras) = if is_url(head) { (head, None) } else { without_extras(head) };
    if is_url(head) && place.contains(char::is_whitespace) {
        return Err(LineError::Url(head.to_owned()));
    }
    let path = place.split(['#', '?']).next().unwrap_or(place);
    let last = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let filename = percent_decode_str(last).decode_utf8_lossy().into_owned();
    let mut pairs = if is_url(head) { Some(fragment(place)) } else { None }.into_iter().flatten();
    let egg = pairs.find(|(key, _)| *key == "egg").map(|(_, value)| value);
    let mut parts = match (egg, from_filename(&filename)) {
        (_, Some((name, version))) if filename.to_ascii_lowercase().ends_with(".whl") || egg.is_none() => {
            let pin = VersionSpecifier::equals_version(version);
            let specifiers = [pin].into_iter().collect();
            Parts { name, extras: Vec::new(), specifiers, url: None, marker: Marker::default() }
        }
        (Some(egg), _) => named(&percent_decode_str(egg).decode_utf8_lossy())
            .ok()
            .filter(|parts| parts.specifiers.is_empty() && parts.url.is_none())
            .ok_or_else(unnamed)?,
        _ => return Err(unnamed()),
    };
    if let Some(extras) = extras {
        parts.extras = parse_extras(extras, head)?;
    }
    Ok(Parts { url: Some(without_spaces(place)), ..parts })
}

/// Returns a path as it may stand behind `NAME @`, where a space would end it (PEP 508).
fn without_spaces(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for letter in path.chars() {
        match letter.is_whitespace() {
            true => letter.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| encoded.push_str(&format!("%{byte:02X}"))),
            false => encoded.push(letter),
        }
    }
    encoded
}

/// Splits `path[extra]`; the second part is what is between the brackets.
fn without_extras(head: &str) -> (&str, Option<&str>) {
    match head.strip_suffix(']').and_then(|head| head.rsplit_once('[')) {
        Some((path, extras)) if !path.is_empty() => (path.trim_end(), Some(extras)),
        _ => (head, None),
    }
}

/// Returns a filename without the end that makes it a wheel or an archive.
fn file_stem(filename: &str) -> Option<&str> {
    const ENDS: [&str; 8] = [".whl", ".tar.gz", ".tgz", ".tar", ".zip", ".tar.bz2", ".tbz", ".tar.xz"];
    let lower = filename.to_ascii_lowercase();
    ENDS.iter().find(|end| lower.ends_with(*end)).map(|end| &filename[..filename.len() - end.len()])
}

/// Reads project and version from a filename. What the rest of a wheel's name says is for its reader on a higher floor.
fn from_filename(filename: &str) -> Option<(ProjectName, Version)> {
    let stem = file_stem(filename)?;
    let (name, version) = if filename.to_ascii_lowercase().ends_with(".whl") {
        let parts: Vec<&str> = stem.split('-').collect();
        (matches!(parts.len(), 5 | 6)).then(|| (parts[0], parts[1]))?
    } else {
        stem.rsplit_once('-')?
    };
    Some((name.parse().ok()?, version.parse().ok()?))
}

/// Parses `NAME[extras] specifiers` or `NAME[extras] @ URL`.
fn named(head: &str) -> Result<Parts, LineError> {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let (name, rest) = head.split_at(head.find(|letter| !inner(letter)).unwrap_or(head.len()));
    let name = name.parse().map_err(|source| LineError::Name(head.to_owned(), source))?;
    let mut rest = rest.trim_start();
    let mut extras = Vec::new();
    if let Some(behind) = rest.strip_prefix('[') {
        let (inside, behind) = behind.split_once(']').ok_or_else(|| LineError::Extras(head.to_owned()))?;
        extras = parse_extras(inside, head)?;
        rest = behind.trim_start();
    }
    let (specifiers, url) = match rest.strip_prefix('@') {
        Some(url) => (VersionSpecifiers::empty(), Some(parse_url(url.trim())?)),
        None => (parse_specifiers(rest)?, None),
    };
    Ok(Parts { name, extras, specifiers, url, marker: Marker::default() })
}

fn parse_url(url: &str) -> Result<String, LineError> {
    // With a space before it, as pip writes it, a dash begins an option, and a number sign a comment.
    let good = !url.is_empty() && !url.starts_with(['-', '#']) && !url.contains(char::is_whitespace);
    if good { Ok(url.to_owned()) } else { Err(LineError::Url(url.to_owned())) }
}

fn parse_extras(inside: &str, head: &str) -> Result<Vec<String>, LineError> {
    let (mut extras, mut known) = (Vec::new(), HashSet::new());
    if inside.trim().is_empty() {
        return Ok(extras);
    }
    for extra in inside.split(',') {
        // An extra is written and compared as a project's name is (PEP 685).
        let extra: ProjectName = extra.trim().parse().map_err(|_| LineError::Extras(head.to_owned()))?;
        if known.insert(extra.clone()) {
            extras.push(extra.to_string());
        }
    }
    Ok(extras)
}

/// Parses specifiers, in parentheses or not; one comma too many at the end is no harm.
fn parse_specifiers(text: &str) -> Result<VersionSpecifiers, LineError> {
    let text = text.trim();
    let text = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).map_or(text, str::trim);
    if text.is_empty() {
        return Ok(VersionSpecifiers::empty());
    }
    let parts = text.strip_suffix(',').unwrap_or(text).split(',').map(|part| {
        let part = part.trim();
        VersionSpecifier::from_str(part)
            .map_err(|error| LineError::Specifier { part: part.to_owned(), reason: error.to_string() })
    });
    Ok(parts.collect::<Result<Vec<_>, _>>()?.into_iter().collect())
}
