//! The inputs of a command as one document, whose digest is the run's key; and what differs between two of them.
//!
//! Pure: what the document says was read by others. Values of variables are in it as digests, since some are secrets.

use crate::digest::{Blake3, Digests};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Moves when the document says more or other things: then no earlier key fits.
const VERSION: u32 = 1;

/// Everything that decides what a command makes, as far as whoever runs it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInputs {
    version: u32,
    command: Vec<String>,
    files: Vec<KeyFile>,
    variables: BTreeMap<String, Option<Blake3>>,
    interpreter: Option<Interpreter>,
    tags: Vec<String>,
}

/// A file that a command is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyFile {
    /// Its name, relative to where the command runs.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// The digest of its bytes; of a link, of what it says.
    pub blake3: Blake3,
}

/// What a name in a folder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A file.
    File,
    /// A file that can be run.
    Program,
    /// A symbolic link, which isn't followed.
    Link,
}

/// A Python interpreter, as far as wheels depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// `cpython`, `pypy`.
    pub implementation: String,
    /// The full version.
    pub version: String,
    /// What extension modules are named by.
    pub abi: String,
    /// The platform, as `sysconfig` says it.
    pub platform: String,
    /// The C library and its version.
    pub libc: String,
}

impl fmt::Display for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { implementation, version, abi, platform, libc } = self;
        write!(f, "{implementation} {version} ({abi}, {platform}, {libc})")
    }
}

impl RunInputs {
    /// Puts the document together; the order of files and tags means nothing.
    pub fn new(
        command: Vec<String>,
        mut files: Vec<KeyFile>,
        variables: BTreeMap<String, Option<Blake3>>,
        interpreter: Option<Interpreter>,
        mut tags: Vec<String>,
    ) -> Self {
        files.sort();
        files.dedup();
        tags.sort();
        tags.dedup();
        Self { version: VERSION, command, files, variables, interpreter, tags }
    }

    /// Returns the document's bytes: JSON, always the same for equal inputs.
    pub fn document(&self) -> String {
        serde_json::to_string(self).expect("texts, lists and maps with texts as keys can be written")
    }

    /// Returns the key.
    pub fn key(&self) -> Blake3 {
        Digests::of(self.document().as_bytes()).blake3
    }

    /// Reads a document; `None`: another version wrote it.
    pub fn parse(document: &str) -> Option<Self> {
        serde_json::from_str(document).ok().filter(|inputs: &Self| inputs.version == VERSION)
    }

    /// Tells whether two runs have the same command.
    pub fn has_command_of(&self, other: &Self) -> bool {
        self.command == other.command
    }

    /// Tells in words what is other than it was in an earlier run.
    pub fn differences(&self, earlier: &Self) -> Vec<String> {
        let mut texts = Vec::new();
        let files = |inputs: &'_ Self| -> BTreeMap<String, (FileKind, Blake3)> {
            inputs.files.iter().map(|file| (file.name.clone(), (file.kind, file.blake3))).collect()
        };
        compare(&files(self), &files(earlier), |name, change| {
            let word = match change {
                Change::Added => "is new",
                Change::Removed => "is gone",
                Change::Changed => "has changed",
            };
            texts.push(format!("{name} {word}"));
        });
        compare(&self.variables, &earlier.variables, |name, change| {
            let word = match change {
                Change::Added => "counts, which it didn't",
                Change::Removed => "counts no longer",
                Change::Changed => "has another value",
            };
            texts.push(format!("the variable {name} {word}"));
        });
        if self.interpreter != earlier.interpreter {
            let words =
                |found: &Option<Interpreter>| found.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            texts.push(format!(
                "the interpreter is {}, and was {}",
                words(&self.interpreter),
                words(&earlier.interpreter)
            ));
        }
        if self.tags != earlier.tags {
            texts.push(format!("the tags are {:?}, and were {:?}", self.tags, earlier.tags));
        }
        texts
    }
}

enum Change {
    Added,
    Removed,
    Changed,
}

fn compare<T: PartialEq>(new: &BTreeMap<String, T>, old: &BTreeMap<String, T>, mut tell: impl FnMut(&str, Change)) {
    for (name, value) in new {
        match old.get(name) {
            None => tell(name, Change::Added),
            Some(before) if before != value => tell(name, Change::Changed),
            Some(_) => {}
        }
    }
    old.keys().filter(|name| !new.contains_key(*name)).for_each(|name| tell(name, Change::Removed));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: &str) -> KeyFile {
        KeyFile { name: name.to_owned(), kind: FileKind::File, blake3: Digests::of(bytes.as_bytes()).blake3 }
    }

    fn python(version: &str) -> Option<Interpreter> {
        let text = |text: &str| text.to_owned();
        Some(Interpreter {
            implementation: text("cpython"),
            version: text(version),
            abi: text("cpython-312"),
            platform: text("linux-x86_64"),
            libc: text("glibc-2.36"),
        })
    }

    fn inputs(files: Vec<KeyFile>, variable: Option<&str>, version: &str, tags: &[&str]) -> RunInputs {
        let value = variable.map(|value| Digests::of(value.as_bytes()).blake3);
        let variables = BTreeMap::from([("CUDA".to_owned(), value)]);
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        RunInputs::new(vec!["make".to_owned(), "wheel".to_owned()], files, variables, python(version), tags)
    }

    #[test]
    fn the_key_depends_on_each_input_and_on_no_order() {
        let base = || inputs(vec![file("a", "1"), file("b", "2")], Some("12"), "3.12.1", &["x", "y"]);
        let again = inputs(vec![file("b", "2"), file("a", "1"), file("a", "1")], Some("12"), "3.12.1", &["y", "x"]);
        assert_eq!(base().key(), again.key());
        assert_eq!(RunInputs::parse(&base().document()), Some(base()), "what is kept says the same");
        let others = [
            inputs(vec![file("a", "1"), file("b", "3")], Some("12"), "3.12.1", &["x", "y"]),
            inputs(vec![file("a", "1"), file("c", "2")], Some("12"), "3.12.1", &["x", "y"]),
            inputs(vec![file("a", "1")], Some("12"), "3.12.1", &["x", "y"]),
            inputs(vec![file("a", "1"), file("b", "2")], Some("13"), "3.12.1", &["x", "y"]),
            inputs(vec![file("a", "1"), file("b", "2")], Some(""), "3.12.1", &["x", "y"]),
            inputs(vec![file("a", "1"), file("b", "2")], None, "3.12.1", &["x", "y"]),
            inputs(vec![file("a", "1"), file("b", "2")], Some("12"), "3.12.2", &["x", "y"]),
            inputs(vec![file("a", "1"), file("b", "2")], Some("12"), "3.12.1", &["xy"]),
            RunInputs { command: vec!["make wheel".to_owned()], ..base() },
            RunInputs { interpreter: None, ..base() },
            RunInputs { variables: BTreeMap::new(), ..base() },
        ];
        let mut keys: Vec<Blake3> = others.iter().map(RunInputs::key).chain([base().key()]).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), others.len() + 1, "each is a key of its own");
    }

    #[test]
    fn the_key_is_the_same_tomorrow() {
        let inputs = inputs(vec![file("a", "1")], None, "3.12.1", &[]);
        assert_eq!(
            inputs.document(),
            format!(
                r#"{{"version":1,"command":["make","wheel"],"files":[{{"name":"a","kind":"file","blake3":"{}"}}],"variables":{{"CUDA":null}},"interpreter":{{"implementation":"cpython","version":"3.12.1","abi":"cpython-312","platform":"linux-x86_64","libc":"glibc-2.36"}},"tags":[]}}"#,
                Digests::of(b"1").blake3
            )
        );
    }

    #[test]
    fn differences_are_told_one_by_one() {
        let old = inputs(vec![file("a", "1"), file("b", "2")], None, "3.12.1", &["x"]);
        let new = inputs(vec![file("a", "9"), file("c", "2")], Some("12"), "3.12.2", &[]);
        assert_eq!(
            new.differences(&old),
            [
                "a has changed",
                "c is new",
                "b is gone",
                "the variable CUDA has another value",
                "the interpreter is cpython 3.12.2 (cpython-312, linux-x86_64, glibc-2.36), and was cpython 3.12.1 \
                 (cpython-312, linux-x86_64, glibc-2.36)",
                r#"the tags are [], and were ["x"]"#,
            ]
        );
        assert_eq!(old.differences(&old), Vec::<String>::new());
    }
}
