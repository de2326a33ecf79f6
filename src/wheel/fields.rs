//! What METADATA says of a project to people: every field, and the description.

use super::metadata::headers;
use std::collections::BTreeMap;

/// All fields of METADATA, and its description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The values of each field, by its name in lower case, in their order.
    fields: BTreeMap<String, Vec<String>>,
    /// What stands below the fields.
    body: Option<String>,
}

impl About {
    /// Reads METADATA or PKG-INFO; what is no UTF-8 becomes replacement characters.
    pub fn read(bytes: &[u8]) -> Self {
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in headers(bytes) {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            fields.entry(name).or_default().push(String::from_utf8_lossy(&value).trim().to_owned());
        }
        Self { fields, body: body(bytes) }
    }

    /// Returns a field's first value; an empty one, or the word UNKNOWN, which old tools wrote, is none.
    pub fn one(&self, name: &str) -> Option<&str> {
        let value = self.fields.get(name)?.first()?;
        (!value.is_empty() && value != "UNKNOWN").then_some(value.as_str())
    }

    /// Returns all values of a field.
    pub fn all(&self, name: &str) -> &[String] {
        self.fields.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the description: what stands below the fields, or else the field of that name.
    pub fn description(&self) -> Option<&str> {
        self.body.as_deref().or_else(|| self.one("description"))
    }

    /// Returns the links, by what they are called: `Project-URL: Source, https://…`.
    pub fn urls(&self) -> BTreeMap<&str, &str> {
        let pairs = self.all("project-url").iter().filter_map(|line| line.split_once(','));
        pairs.map(|(label, url)| (label.trim(), url.trim())).collect()
    }
}

/// Returns what stands below the first empty line.
fn body(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        if line.is_empty() {
            break;
        }
    }
    let text = String::from_utf8_lossy(rest);
    (!text.trim().is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_fields_and_the_description_are_there() {
        let about = About::read(
            b"Metadata-Version: 2.4\r\nName: Demo\r\nAuthor: UNKNOWN\r\nClassifier: A\r\nclassifier: B\r\n\
              Project-URL: Source, https://code.example/a,b\r\nProject-URL: none\r\nLicense: \xff\r\n\r\n# Demo\r\n\r\nText: x\r\n",
        );
        assert_eq!(
            (about.one("name"), about.one("author"), about.one("license")),
            (Some("Demo"), None, Some("\u{fffd}"))
        );
        assert_eq!(about.all("classifier"), ["A", "B"]);
        assert_eq!(about.urls(), BTreeMap::from([("Source", "https://code.example/a,b")]));
        assert_eq!(about.description(), Some("# Demo\r\n\r\nText: x\r\n"));
        assert_eq!(About::read(b"Name: a\nDescription: b\n  c\n").description(), Some("b c"));
        assert_eq!(About::read(b"Name: a\n\n\n").description(), None);
        assert_eq!(About::read(b""), About::default());
    }
}
