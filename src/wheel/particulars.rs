//! What METADATA tells people: the description, links, licence and all else that no index needs. Pure, and bounded.

use super::metadata::headers;

/// The longest description that is kept, in bytes.
const DESCRIPTION_BYTES: usize = 256 * 1024;
/// So many values of a field that may come again are kept, and so many bytes of each.
const VALUES: usize = 200;
const VALUE_BYTES: usize = 1000;

/// How a description is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DescriptionFormat {
    /// Markdown, as its content type says.
    Markdown,
    /// reStructuredText: said, or nothing said.
    #[default]
    ReStructuredText,
    /// Plain text.
    Plain,
}

/// What METADATA tells people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Particulars {
    /// The version that tells it, as its author writes it.
    pub version: Option<String>,
    /// One line about the project.
    pub summary: Option<String>,
    /// The authors, as names, addresses or both.
    pub authors: Vec<String>,
    /// The maintainers.
    pub maintainers: Vec<String>,
    /// The licence as an SPDX expression.
    pub license_expression: Option<String>,
    /// The licence in words of its own.
    pub license: Option<String>,
    /// The files with the licence's text, as they are called in the distribution.
    pub license_files: Vec<String>,
    /// The classifiers.
    pub classifiers: Vec<String>,
    /// The keywords, each once.
    pub keywords: Vec<String>,
    /// Links, with what each is called.
    pub urls: Vec<(String, String)>,
    /// The interpreters that it runs on.
    pub requires_python: Option<String>,
    /// What it depends on.
    pub requires_dist: Vec<String>,
    /// The extras that it offers.
    pub provides_extra: Vec<String>,
    /// The description, maybe empty.
    pub description: String,
    /// How it is written.
    pub format: DescriptionFormat,
    /// Whether something was left out, since there was too much of it.
    pub is_cut: bool,
}

impl Particulars {
    /// Reads the bytes of METADATA or PKG-INFO; what isn't there is empty.
    pub fn read(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        let mut headers = headers(bytes);
        let mut description = None;
        while let Some((name, raw)) = headers.next_raw() {
            if name.eq_ignore_ascii_case(b"description") {
                // It is the only field whose lines count.
                description.get_or_insert(raw);
            } else {
                found.take(&name.to_ascii_lowercase(), raw);
            }
        }
        let body = headers.body();
        let text = match description {
            Some(raw) if body.trim_ascii().is_empty() => {
                unindented(&String::from_utf8_lossy(cut(raw, &mut found.is_cut)))
            }
            _ => String::from_utf8_lossy(cut(body, &mut found.is_cut)).into_owned(),
        };
        found.description = if text.trim() == "UNKNOWN" { String::new() } else { text.trim_end().to_owned() };
        found
    }

    fn take(&mut self, field: &[u8], raw: &[u8]) {
        let text = one_line(raw);
        if text.is_empty() || text == "UNKNOWN" {
            return;
        }
        let many = match field {
            b"author" | b"author-email" => &mut self.authors,
            b"maintainer" | b"maintainer-email" => &mut self.maintainers,
            b"license-file" => &mut self.license_files,
            b"classifier" => &mut self.classifiers,
            b"requires-dist" => &mut self.requires_dist,
            b"provides-extra" => &mut self.provides_extra,
            _ => return self.take_one(field, text),
        };
        if many.len() < VALUES {
            many.push(text);
        } else {
            self.is_cut = true;
        }
    }

    fn take_one(&mut self, field: &[u8], text: String) {
        let slot = match field {
            b"version" => &mut self.version,
            b"summary" => &mut self.summary,
            b"license-expression" => &mut self.license_expression,
            b"license" => &mut self.license,
            b"requires-python" => &mut self.requires_python,
            b"description-content-type" => {
                self.format = format(&text);
                return;
            }
            // The field may come again, as often as METADATA has room for it.
            b"keywords" if self.keywords.len() >= VALUES => return,
            b"keywords" => {
                // Old tools part them by spaces, new ones by commas.
                let parts =
                    text.split(|letter: char| if text.contains(',') { letter == ',' } else { letter.is_whitespace() });
                let words = parts.map(str::trim).filter(|word| !word.is_empty()).take(VALUES);
                for word in words {
                    if self.keywords.len() < VALUES && !self.keywords.iter().any(|own| own == word) {
                        self.keywords.push(word.to_owned());
                    }
                }
                return;
            }
            b"home-page" => return self.link("Home page".to_owned(), text),
            b"download-url" => return self.link("Download".to_owned(), text),
            b"project-url" => {
                let (label, url) = text.split_once(',').unwrap_or(("Link", &text));
                return self.link(label.trim().to_owned(), url.trim().to_owned());
            }
            _ => return,
        };
        slot.get_or_insert(text);
    }

    fn link(&mut self, label: String, url: String) {
        if self.urls.len() < VALUES && !self.urls.iter().any(|(_, own)| *own == url) {
            self.urls.push((label, url));
        }
    }
}

fn format(content_type: &str) -> DescriptionFormat {
    match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "text/markdown" => DescriptionFormat::Markdown,
        "text/plain" => DescriptionFormat::Plain,
        _ => DescriptionFormat::ReStructuredText,
    }
}

/// Returns a value as one line of text; a long one, such as a licence's whole text, loses its end.
fn one_line(raw: &[u8]) -> String {
    let raw = raw.trim_ascii_end();
    let own = &raw[..raw.len().min(VALUE_BYTES)];
    let mut text = String::from_utf8_lossy(own).split_whitespace().collect::<Vec<_>>().join(" ");
    if own.len() < raw.len() {
        text.push('…');
    }
    text
}

fn cut<'a>(text: &'a [u8], is_cut: &mut bool) -> &'a [u8] {
    *is_cut |= text.len() > DESCRIPTION_BYTES;
    &text[..text.len().min(DESCRIPTION_BYTES)]
}

/// Takes away what a header's further lines begin with: eight spaces, or seven and a bar.
fn unindented(text: &str) -> String {
    let mut lines = text.lines();
    let mut whole = lines.next().unwrap_or_default().trim_start().to_owned();
    for line in lines {
        let spaces = line.bytes().take(8).take_while(|byte| *byte == b' ').count();
        let rest = &line[spaces..];
        whole.push('\n');
        whole.push_str(if spaces == 7 { rest.strip_prefix('|').unwrap_or(rest) } else { rest });
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_that_people_look_for_is_read() {
        let found = Particulars::read(
            b"Metadata-Version: 2.4\nName: demo\nVersion: 1.0\nSummary: One\n  line\nAuthor: Ann\nAuthor-email: Ann <a@x.example>\n\
              Maintainer: UNKNOWN\nLicense-Expression: MIT\nLicense-File: LICENSE\nKeywords: a, b ,a\nHome-page: https://x.example\n\
              Project-URL: Source, https://y.example/a,b\nProject-URL: Home, https://x.example\nClassifier: A :: B\n\
              Requires-Dist: c>=1\nProvides-Extra: x\nRequires-Python: >=3.9\nDescription-Content-Type: text/Markdown; charset=UTF-8\n\
              \n# Demo\n\ntext\n\n",
        );
        assert_eq!(found.summary.as_deref(), Some("One line"));
        assert_eq!((found.authors.join("; "), found.maintainers.len()), ("Ann; Ann <a@x.example>".to_owned(), 0));
        assert_eq!(
            (found.license_expression.as_deref(), found.license_files.join(",")),
            (Some("MIT"), "LICENSE".to_owned())
        );
        assert_eq!(found.keywords, ["a", "b"]);
        let urls: Vec<String> = found.urls.iter().map(|(label, url)| format!("{label}={url}")).collect();
        assert_eq!(urls, ["Home page=https://x.example", "Source=https://y.example/a,b"]);
        assert_eq!((found.description.as_str(), found.format), ("# Demo\n\ntext", DescriptionFormat::Markdown));
        assert!(!found.is_cut);
    }

    #[test]
    fn a_description_in_a_header_keeps_its_lines() {
        for text in [
            "Description: One\n        \n        two\n          three\nName: demo\n",
            "Description: One\n       |\n       |two\n       |  three\n",
        ] {
            let found = Particulars::read(text.as_bytes());
            assert_eq!(
                (found.description.as_str(), found.format),
                ("One\n\ntwo\n  three", DescriptionFormat::ReStructuredText)
            );
        }
        assert_eq!(Particulars::read(b"Name: a\nDescription: UNKNOWN\n").description, "");
        assert_eq!(Particulars::read(b"Name: a\nno header\nrest").description, "no header\nrest");
    }

    #[test]
    fn too_much_is_cut_and_said() {
        let mut text = "Classifier: a\n".repeat(VALUES + 1);
        text.push('\n');
        let found = Particulars::read(text.as_bytes());
        assert_eq!((found.classifiers.len(), found.is_cut), (VALUES, true));
        let found = Particulars::read(format!("Name: a\n\n{}", "ä".repeat(DESCRIPTION_BYTES)).as_bytes());
        assert!(found.is_cut && found.description.len() <= DESCRIPTION_BYTES);
        let lines: String = (0..1000).map(|line| format!("Keywords: {line}a,{line}b\n")).collect();
        assert_eq!(Particulars::read(lines.as_bytes()).keywords.len(), VALUES);
        let found = Particulars::read(format!("Summary: {}\n", "x ".repeat(VALUE_BYTES)).as_bytes());
        assert!(found.summary.is_some_and(|text| text.len() < VALUE_BYTES + 9 && text.ends_with('…')) && !found.is_cut);
    }

    proptest! {
        #[test]
        fn no_bytes_confuse(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let found = Particulars::read(&bytes);
            prop_assert!(found.description.len() <= bytes.len() * 3);
        }
    }
}
