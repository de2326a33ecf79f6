//! METADATA for programs that want every field, as it stands there, and the description; people get [`particulars`](super::particulars).

use super::metadata::headers;
use std::collections::BTreeMap;

/// All fields of METADATA, and its description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// The values of each field, by its name in lower case, in their order.
    fields: BTreeMap<String, Vec<String>>,
    /// What stands below the fields.
    body: Option<String>,
}

impl Fields {
    /// Reads METADATA or PKG-INFO; what is no UTF-8 becomes replacement characters.
    pub fn read(bytes: &[u8]) -> Self {
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut headers = headers(bytes);
        for (name, value) in headers.by_ref() {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            fields.entry(name).or_default().push(String::from_utf8_lossy(&value).trim().to_owned());
        }
        let body = String::from_utf8_lossy(headers.body());
        let body = (!body.trim().is_empty()).then(|| body.into_owned());
        Self { fields, body }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_fields_and_the_description_are_there() {
        let fields = Fields::read(
            b"Metadata-Version: 2.4\r\nName: Demo\r\nAuthor: UNKNOWN\r\nClassifier: A\r\nclassifier: B\r\n\
              Project-URL: Source, https://code.example/a,b\r\nProject-URL: none\r\nLicense: \xff\r\n\r\n# Demo\r\n\r\nText: x\r\n",
        );
        assert_eq!(
            (fields.one("name"), fields.one("author"), fields.one("license")),
            (Some("Demo"), None, Some("\u{fffd}"))
        );
        assert_eq!(fields.all("classifier"), ["A", "B"]);
        assert_eq!(fields.urls(), BTreeMap::from([("Source", "https://code.example/a,b")]));
        assert_eq!(fields.description(), Some("# Demo\r\n\r\nText: x\r\n"));
        assert_eq!(Fields::read(b"Name: a\nDescription: b\n  c\n").description(), Some("b c"));
        assert_eq!(Fields::read(b"Name: a\n\n\n").description(), None);
        assert_eq!(Fields::read(b""), Fields::default());
    }
}
