//! METADATA and PKG-INFO: the headers of a distribution's core metadata.
//!
//! Read as Python's `email` parser reads them: any line end, folded lines, names in any case, up to the first line that
//! is no header; of a field that should be there once the first counts. The description below is for [`particulars`](super::particulars).

use super::filename::Kind;
use std::borrow::Cow;

/// Metadata without a field that every distribution must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a {field} header, found none among {found} headers")]
pub struct MetadataError {
    /// The field's name.
    pub field: &'static str,
    /// The number of headers that were read.
    pub found: usize,
}

/// The fields of core metadata that the store and its indexes use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The version of the metadata's own format.
    pub metadata_version: Option<String>,
    /// The project, as its author writes it.
    pub name: String,
    /// The version, as its author writes it.
    pub version: String,
    /// One line about the project.
    pub summary: Option<String>,
    /// The interpreters that it runs on, as a version specifier.
    pub requires_python: Option<String>,
    /// What it depends on, one requirement each.
    pub requires_dist: Vec<String>,
    /// The extras that requirements may ask for.
    pub provides_extra: Vec<String>,
    /// The fields that a build may change.
    pub dynamic: Vec<String>,
}

impl Metadata {
    /// Parses the bytes of METADATA or PKG-INFO; invalid UTF-8 becomes replacement characters.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetadataError> {
        let mut metadata = Self::default();
        let (mut name, mut version) = (None, None);
        let mut found = 0;
        for (field, value) in headers(bytes) {
            found += 1;
            let once = |slot: &mut Option<String>| _ = slot.get_or_insert_with(|| text(&value));
            match field.to_ascii_lowercase().as_slice() {
                b"metadata-version" => once(&mut metadata.metadata_version),
                b"name" => once(&mut name),
                b"version" => once(&mut version),
                b"summary" => once(&mut metadata.summary),
                b"requires-python" => once(&mut metadata.requires_python),
                b"requires-dist" => metadata.requires_dist.push(text(&value)),
                b"provides-extra" => metadata.provides_extra.push(text(&value)),
                b"dynamic" => metadata.dynamic.push(text(&value)),
                _ => {}
            }
        }
        metadata.name = name.ok_or(MetadataError { field: "Name", found })?;
        metadata.version = version.ok_or(MetadataError { field: "Version", found })?;
        // Old tools wrote an empty value, or the word UNKNOWN, for what its author had left out.
        metadata.summary.take_if(|summary| summary.is_empty() || summary == "UNKNOWN");
        metadata.requires_python.take_if(|python| python.is_empty());
        Ok(metadata)
    }

    /// Returns whether these bytes may be served beside the distribution, as its `.metadata` file.
    ///
    /// A wheel's always. An sdist's only since metadata 2.2, which tells what a build may change; before that it
    /// promised nothing.
    pub fn may_be_served(&self, kind: Kind) -> bool {
        let version = self.metadata_version.as_deref().and_then(|version| {
            let (major, minor) = version.split_once('.')?;
            Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
        });
        kind == Kind::Wheel || version.is_some_and(|version| version >= (2, 2))
    }
}

/// Tells whether an sdist's PKG-INFO is of before Metadata 2.2 and lacks, or doesn't know, its own name or version.
pub(super) fn says_nothing(bytes: &[u8]) -> bool {
    let find =
        |field: &[u8]| headers(bytes).find(|(name, _)| name.eq_ignore_ascii_case(field)).map(|(_, value)| text(&value));
    let is_known = |value: Option<String>| value.is_some_and(|value| !value.is_empty() && value != "UNKNOWN");
    let format = Metadata { metadata_version: find(b"metadata-version"), ..Metadata::default() };
    !(format.may_be_served(Kind::Sdist) || is_known(find(b"name")) && is_known(find(b"version")))
}

/// Returns a value as one line of text.
fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim().to_owned()
}

/// Returns all values of a field, each as one line.
pub fn values(bytes: &[u8], field: &str) -> Vec<String> {
    let own = headers(bytes).filter(|(name, _)| name.eq_ignore_ascii_case(field.as_bytes()));
    own.map(|(_, value)| text(&value)).collect()
}

/// Walks the headers: names as they are, values unfolded.
pub(super) fn headers(bytes: &[u8]) -> Headers<'_> {
    let mut rest = bytes;
    while is_folded(rest) && !next_line(&mut rest).trim_ascii().is_empty() {}
    Headers { rest, is_over: false }
}

/// A walk over headers.
pub(super) struct Headers<'a> {
    rest: &'a [u8],
    is_over: bool,
}

impl<'a> Headers<'a> {
    /// Takes the next header: its name, and its value as it stands there, with all lines that belong to it.
    pub(super) fn next_raw(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        if self.is_over {
            return None;
        }
        let before = self.rest;
        let line = next_line(&mut self.rest);
        let colon = line.iter().position(|byte| *byte == b':');
        // A space or any other letter that no field's name has: this line is the body already.
        let Some(colon) = colon.filter(|colon| line[..*colon].iter().all(u8::is_ascii_graphic)) else {
            self.is_over = true;
            if !line.is_empty() {
                self.rest = before;
            }
            return None;
        };
        while is_folded(self.rest) {
            next_line(&mut self.rest);
        }
        let whole = &before[..before.len() - self.rest.len()];
        Some((&line[..colon], &whole[colon + 1..]))
    }

    /// Returns what follows the headers.
    pub(super) fn body(mut self) -> &'a [u8] {
        while self.next_raw().is_some() {}
        self.rest
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Cow<'a, [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, mut raw) = self.next_raw()?;
        let mut value = Cow::Borrowed(next_line(&mut raw));
        while is_folded(raw) {
            let more = next_line(&mut raw);
            let value = value.to_mut();
            value.push(b' ');
            value.extend_from_slice(more.trim_ascii());
        }
        Some((name, value))
    }
}

/// Tells whether the line that comes belongs to the one before.
fn is_folded(rest: &[u8]) -> bool {
    matches!(rest.first(), Some(b' ' | b'\t'))
}

/// Takes a line, without its end, off the front.
fn next_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
    let (line, after) = rest.split_at(end);
    *rest = after.strip_prefix(b"\r\n").or_else(|| after.get(1..)).unwrap_or_default();
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_pythons_email_parser_reads_them() {
        let metadata = Metadata::parse(
            b"Metadata-Version: 2.1\r\nname:  Demo\nName: other\rVERSION: 1.0\nSummary: one\n  two\n\t three\n\
              Requires-Dist: a>=1\nRequires-dist: b ;\n extra == 'x'\nProvides-Extra: x\nRequires-Python: >=3.9,\n <4\n\
              License: caf\xe9\nDynamic: license\n\nName: body\nRequires-Dist: body\n",
        );
        let metadata = metadata.unwrap();
        assert_eq!((metadata.name.as_str(), metadata.version.as_str()), ("Demo", "1.0"));
        assert_eq!(metadata.summary.as_deref(), Some("one two three"));
        assert_eq!(metadata.requires_dist, ["a>=1", "b ; extra == 'x'"]);
        assert_eq!(metadata.requires_python.as_deref(), Some(">=3.9, <4"));
        assert_eq!((metadata.provides_extra, metadata.dynamic), (vec!["x".to_owned()], vec!["license".to_owned()]));
    }

    #[test]
    fn a_line_that_is_no_header_ends_the_headers() {
        for text in [
            "Name: a\nno header\nVersion: 1",
            "Name: a\nbad name: x\nVersion: 1",
            "Name: a\r\n\r\nVersion: 1",
            "Name: a",
        ] {
            assert_eq!(Metadata::parse(text.as_bytes()), Err(MetadataError { field: "Version", found: 1 }), "{text:?}");
        }
        assert_eq!(Metadata::parse(b""), Err(MetadataError { field: "Name", found: 0 }));
        assert!(Metadata::parse(b" odd first line\nName: a\nVersion: 1").is_ok());
    }

    #[test]
    fn what_an_author_left_out_is_none() {
        let metadata = Metadata::parse(b"Name: a\nVersion: 1\nSummary: UNKNOWN\nRequires-Python: \n").unwrap();
        assert_eq!((metadata.summary, metadata.requires_python), (None, None));
    }

    #[test]
    fn what_an_old_sdist_doesnt_know_of_itself_is_nothing() {
        for nothing in
            ["", "\nMetadata-Version: 1.0\nName: a\nVersion: 1", "Metadata-Version: 1.1\nName: UNKNOWN\nVersion: 0.0.0"]
        {
            assert!(says_nothing(nothing.as_bytes()), "{nothing:?}");
        }
        for text in [
            "Metadata-Version: 1.0\nName: a\nVersion: 1",
            "Metadata-Version: 2.2\nName: UNKNOWN",
            "Name: a\nVersion: 2",
        ] {
            assert!(!says_nothing(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn an_sdists_metadata_may_be_served_since_2_2_and_a_wheels_always() {
        for (version, sdist) in
            [("1.2", false), ("2.1", false), ("2.2", true), ("2.10", true), ("3.0", true), ("2", false)]
        {
            let metadata = Metadata { metadata_version: Some(version.to_owned()), ..Metadata::default() };
            assert!(metadata.may_be_served(Kind::Wheel));
            assert_eq!(metadata.may_be_served(Kind::Sdist), sdist, "{version}");
        }
    }
}
