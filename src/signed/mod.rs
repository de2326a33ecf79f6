//! What a collection holds at a revision, as a text that can be signed: [`RevisionText`]. Signatures are OpenSSH's ([`sshsig`]), so that
//! anybody checks them with `ssh-keygen` alone; who may sign is what `ssh-keygen -Y verify` reads as well ([`signers`]).
//!
//! ```text
//! wcas-revision/1
//! collection released
//! revision 41
//! previous 40 0123…
//! files 2
//! SHA256 SIZE demo-1.0-py3-none-any.whl
//! SHA256 SIZE demo-2.0-py3-none-any.whl yanked "broken"
//! ```
//!
//! Files are sorted by the bytes of their names; `previous` is the newest signed revision before it, with the digest of its text, or `-`.
//! A name with a space or a control character in it, and a yanked file's reason, are JSON texts. Lines end in a line feed, the last one, too. The digest of a revision is the SHA-256 of this text.

pub mod hmac;
pub mod jwk;
pub mod jwt;
pub mod signers;
pub mod sshsig;

use crate::digest::Sha256;
use crate::name::CollectionName;
use signers::Signers;
use sshsig::Signature;
use std::borrow::Cow;
use std::fmt::Write as _;

/// The namespace of signatures of revisions.
pub const NAMESPACE: &str = "wcas-revision";
/// The first line.
const HEADING: &str = "wcas-revision/1";

/// A file that a revision has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Its name.
    pub filename: String,
    /// The digest of its bytes.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// Why it is yanked, maybe ''.
    pub yanked: Option<String>,
}

/// What a collection holds at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionText {
    /// The collection.
    pub collection: CollectionName,
    /// The revision.
    pub revision: i64,
    /// The newest signed revision before it, and the digest of its text.
    pub previous: Option<(i64, Sha256)>,
    /// The files, sorted by name.
    pub files: Vec<ListedFile>,
}

impl RevisionText {
    /// Returns the text.
    pub fn render(&self) -> String {
        let mut text = format!("{HEADING}\ncollection {}\nrevision {}\n", self.collection, self.revision);
        // Nothing fails in writing to a text.
        let _ = match &self.previous {
            Some((number, digest)) => writeln!(text, "previous {number} {digest}"),
            None => writeln!(text, "previous -"),
        };
        let _ = writeln!(text, "files {}", self.files.len());
        for file in &self.files {
            let _ = write!(text, "{} {} {}", file.sha256, file.size, written(&file.filename));
            if let Some(reason) = &file.yanked {
                let _ = write!(text, " yanked {}", serde_json::Value::from(reason.as_str()));
            }
            text.push('\n');
        }
        text
    }

    /// Reads a text. Only the very text that [`RevisionText::render`] writes is one: there is one way to say a thing.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split_terminator('\n');
        if lines.next() != Some(HEADING) {
            return None;
        }
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let collection = field("collection")?.parse().ok()?;
        let revision = field("revision")?.parse().ok()?;
        let previous = match field("previous")? {
            "-" => None,
            told => {
                let (number, digest) = told.split_once(' ')?;
                Some((number.parse().ok()?, digest.parse().ok()?))
            }
        };
        let _count = field("files")?;
        let files = lines.map(file).collect::<Option<Vec<_>>>()?;
        let parsed = Self { collection, revision, previous, files };
        let is_sorted = parsed.files.is_sorted_by(|a, b| a.filename < b.filename);
        (is_sorted && parsed.render() == text).then_some(parsed)
    }

    /// Returns the file of this name.
    pub fn find(&self, filename: &str) -> Option<&ListedFile> {
        let found = self.files.binary_search_by(|file| file.filename.as_str().cmp(filename));
        found.ok().map(|index| &self.files[index])
    }
}

/// Why a text is not what somebody signed who may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The signature is none of this text.
    #[error("the signature is not good: {0}")]
    Signature(#[from] sshsig::Error),
    /// Somebody else signed it.
    #[error("the signature is by a key that is not among the allowed signers")]
    Signer,
    /// It is something else.
    #[error("what was signed is no list of a revision")]
    Text,
}

/// Reads a text that somebody signed who may, and returns who did, as the allowed signers call them.
pub fn read(text: &str, signature: &str, signers: &Signers) -> Result<(String, RevisionText), ReadError> {
    let signature = Signature::parse(signature)?;
    signature.verify(NAMESPACE, text.as_bytes())?;
    let signer = signers.find(&signature.key, NAMESPACE).ok_or(ReadError::Signer)?;
    Ok((signer.to_owned(), RevisionText::parse(text).ok_or(ReadError::Text)?))
}

fn file(line: &str) -> Option<ListedFile> {
    let (sha256, rest) = line.split_once(' ')?;
    let (size, rest) = rest.split_once(' ')?;
    let (filename, rest) = if rest.starts_with('"') {
        let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let filename = texts.next()?.ok()?;
        (filename, &rest[texts.byte_offset()..])
    } else {
        let end = rest.find(' ').unwrap_or(rest.len());
        (rest[..end].to_owned(), &rest[end..])
    };
    let yanked = match rest {
        "" => None,
        told => Some(serde_json::from_str(told.strip_prefix(" yanked ")?).ok()?),
    };
    Some(ListedFile { filename, sha256: sha256.parse().ok()?, size: size.parse().ok()?, yanked })
}

/// Returns a filename as a line has it.
fn written(filename: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| !letter.is_whitespace() && !letter.is_control();
    if filename.is_empty() || filename.starts_with('"') || !filename.chars().all(is_plain) {
        return serde_json::Value::from(filename).to_string().into();
    }
    filename.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> RevisionText {
        let file = |name: &str, yanked: Option<&str>| ListedFile {
            filename: name.to_owned(),
            sha256: Sha256::of(name.as_bytes()),
            size: 7,
            yanked: yanked.map(str::to_owned),
        };
        RevisionText {
            collection: "released".parse().unwrap(),
            revision: 41,
            previous: Some((40, Sha256::of(b"before"))),
            files: vec![
                file("a-1.0.whl", None),
                file("b-1.0.whl", Some("bad\n\u{1b} \" yanked ")),
                file("c", Some("")),
                file("d\n", None),
                file("d yanked \"e\"", Some("why")),
            ],
        }
    }

    #[test]
    fn a_text_reads_back() {
        for previous in [None, Some((40, Sha256::of(b"x")))] {
            let text = RevisionText { previous, ..text() };
            assert_eq!(RevisionText::parse(&text.render()), Some(text));
        }
        let text = text();
        assert_eq!(text.find("b-1.0.whl"), Some(&text.files[1]));
        assert_eq!(text.find("b"), None);
    }

    #[test]
    fn there_is_one_way_to_say_a_thing() {
        let good = text().render();
        let mut swapped: Vec<&str> = good.lines().collect();
        swapped.swap(5, 6);
        for bad in [
            String::new(),
            good.trim_end().to_owned(),
            format!("{good}\n"),
            good.replace("wcas-revision/1", "wcas-revision/2"),
            good.replace("files 5", "files 4"),
            good.replace("revision 41", "revision 041"),
            good.replace("revision 41", "revision +41"),
            good.replace(" 7 a", " 07 a"),
            good.replace('\n', "\r\n"),
            good.replace("a-1.0.whl", "c"),
            good.replace("a-1.0.whl", "\"a-1.0.whl\""),
            swapped.join("\n") + "\n",
        ] {
            assert_eq!(RevisionText::parse(&bad), None, "{bad}");
        }
        for name in ["", "a b", "a\nb", "\"a", "a\u{2028}b", "a\"b", "a yanked \"x\""] {
            let mut text = text();
            text.files[0].filename = name.to_owned();
            assert_eq!(text.render().lines().count(), 10, "{name:?}");
            assert_eq!(RevisionText::parse(&text.render()), Some(text), "{name:?}");
        }
    }
}
