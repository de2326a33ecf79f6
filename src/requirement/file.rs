//! Requirements files in pip's format: what a file and those that it includes ask for, with the place of each line.
//!
//! The format is pip 26.3's. A line that isn't understood is refused with its place and the lines beside it stay good; what only an
//! installer obeys (other indexes, `--pre`) is noted. The caller opens files; variables of the environment stay as they are.

use super::environment::Environment;
use super::line::{self, Parts};
use super::lines::{self, EncodingError, Logical};
use super::marker::Marker;
use super::options::{self, Means, Setting};
use super::spec::{self, Spec};
use crate::digest::Sha256;
use crate::name::ProjectName;
use pep440_rs::{Operator, Version, VersionSpecifiers};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Files included by each other deeper than this are refused: the reader calls itself for each.
const MAX_DEPTH: usize = 50;

/// A requirements file that can't be read at all, and why.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can't be opened.
    #[error("cannot read the requirements file {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no text in UTF-8.
    #[error("the requirements file {path} is not UTF-8")]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What it is.
        source: EncodingError,
    },
}

/// A line of a file; a continued line is at its first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineOfFile {
    /// The file, as it was given or included.
    pub file: PathBuf,
    /// The line's number, from 1.
    pub line: usize,
}

impl fmt::Display for LineOfFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// What one line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The project, normalised.
    pub name: ProjectName,
    /// Its extras, normalised.
    pub extras: Vec<String>,
    /// The versions; for a wheel or sdist without a name of its own, the version in its filename.
    pub specifiers: VersionSpecifiers,
    /// The URL or path that it is to come from, as it was written.
    pub url: Option<String>,
    /// Where it is for.
    pub marker: Marker,
    /// The SHA-256 digests that its file may have, from `--hash` and a URL's fragment; without any, and without others, all may.
    pub sha256: Vec<Sha256>,
    /// Digests by algorithms that aren't known here (`sha512:…`), as written: where only such are given, no file can be trusted.
    pub other_digests: Vec<String>,
    /// The line that asks for it.
    pub place: LineOfFile,
    /// The requirement as people write it, without digests.
    pub text: String,
}

impl Requirement {
    /// Returns the project and versions as a [`Spec`].
    pub fn spec(&self) -> Spec {
        Spec::Project { name: self.name.clone(), specifiers: self.specifiers.clone() }
    }

    /// Returns the one version that is asked for, with `==` or `===`, if the other specifiers take it.
    pub fn pinned(&self) -> Option<&Version> {
        let exact = |operator: &Operator| matches!(operator, Operator::Equal | Operator::ExactEqual);
        let pin = self.specifiers.iter().find(|specifier| exact(specifier.operator()))?.version();
        self.specifiers.iter().all(|specifier| spec::contains(specifier, pin)).then_some(pin)
    }

    /// Returns whether its URL has a user or a password in it.
    pub fn has_credentials(&self) -> bool {
        let authority = self.url.as_deref().and_then(|url| url.split_once("://")).map_or("", |(_, rest)| rest);
        authority.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
    }

    /// Returns whether the requirement is for this environment; where that isn't known, it is.
    pub fn applies(&self, environment: Option<&Environment>) -> bool {
        environment.is_none_or(|environment| self.marker.evaluate(environment) != Some(false))
    }
}

/// What a file and those that it includes say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requirements {
    /// What is asked for, in the order of the lines; a project may be there several times.
    pub requirements: Vec<Requirement>,
    /// What limits versions without asking for them.
    pub constraints: Vec<Requirement>,
    /// What was read and isn't obeyed.
    pub notes: Vec<(LineOfFile, String)>,
    /// What wasn't read, and why.
    pub refused: Vec<(LineOfFile, String)>,
}

/// Reads a requirements file and what it includes; `open` returns a file's bytes.
pub fn read(path: &Path, open: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>) -> Result<Requirements, FileError> {
    let mut reader = Reader { open, found: Requirements::default(), stack: Vec::new(), done: BTreeSet::new() };
    reader.file(path, false)?;
    Ok(reader.found)
}

struct Reader<'a> {
    open: &'a mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    found: Requirements,
    /// The files that are being read, each included by the one before.
    stack: Vec<PathBuf>,
    /// What was read, and whether as constraints: once more it would say nothing new.
    done: BTreeSet<(PathBuf, bool)>,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, constraint: bool) -> Result<(), FileError> {
        let bytes = (self.open)(path).map_err(|source| FileError::Open { path: path.to_owned(), source })?;
        let text = lines::decode(&bytes).map_err(|source| FileError::Encoding { path: path.to_owned(), source })?;
        self.stack.push(plain(path));
        for Logical { number, text } in lines::logical(text) {
            let place = LineOfFile { file: path.to_owned(), line: number };
            if let Some(name) = variable(&text) {
                let note = format!("variables of the environment are not read: {name} stays as it is");
                self.found.notes.push((place.clone(), note));
            }
            self.line(&place, &text, constraint);
        }
        self.stack.pop();
        self.done.insert((plain(path), constraint));
        Ok(())
    }

    fn line(&mut self, place: &LineOfFile, text: &str, constraint: bool) {
        let (requirement, options) = text.split_at(options::begin(text));
        let settings = match options::parse(options) {
            Ok(settings) => settings,
            Err(error) => return self.refuse(place, told(&error)),
        };
        if requirement.is_empty() {
            if !settings.words.is_empty() {
                let words = settings.words.join(" ");
                self.refuse(place, format!("{words:?} follows an option: give it a line of its own"));
            }
            return self.settings(place, settings.options);
        }
        if !settings.words.is_empty() {
            self.note(place, format!("{:?} follows an option, and is not read", settings.words.join(" ")));
        }
        match self.requirement(place, requirement.trim(), settings.options) {
            Ok(found) if constraint => {
                if !found.extras.is_empty() {
                    self.note(place, "a constraint has no extras: they are not read".to_owned());
                }
                self.found.constraints.push(found);
            }
            Ok(found) => self.found.requirements.push(found),
            Err(reason) => self.refuse(place, reason),
        }
    }

    fn requirement(&mut self, place: &LineOfFile, text: &str, options: Vec<Setting>) -> Result<Requirement, String> {
        let parts = line::parse(text).map_err(|error| told(&error))?;
        let (mut sha256, mut other_digests) = (Vec::new(), Vec::new());
        let mut digest = |algorithm: &str, digits: &str| {
            if algorithm.eq_ignore_ascii_case("sha256") {
                sha256.push(digits.parse::<Sha256>().map_err(|error| told(&error))?);
            } else {
                other_digests.push(format!("{algorithm}:{digits}"));
            }
            Ok::<_, String>(())
        };
        for option in &options {
            match (option.means, option.value.split_once(':')) {
                (Means::Hash, Some((algorithm, digits))) => digest(algorithm, digits)?,
                (Means::Hash, None) => return Err(format!("--hash {:?} is not ALGORITHM:DIGITS", option.value)),
                _ => {}
            }
        }
        let algorithms = ["sha256", "sha384", "sha512", "sha224", "sha1", "md5"];
        for (key, value) in parts.url.iter().flat_map(|url| line::fragment(url)) {
            if algorithms.contains(&key) {
                digest(key, value)?;
            }
        }
        for option in options.iter().filter(|option| option.means != Means::Hash) {
            self.note(place, format!("{} beside a requirement is not obeyed", option.name));
        }
        for other in &other_digests {
            let algorithm = other.split(':').next().unwrap_or_default();
            self.note(place, format!("a digest by {algorithm} is of no use here: give one by sha256"));
        }
        if parts.url.as_deref().is_some_and(line::is_checkout) {
            self.note(place, "a checkout is no wheel or sdist: only the project's name is of use here".to_owned());
        }
        let text = parts.to_string();
        let Parts { name, extras, specifiers, url, marker } = parts;
        Ok(Requirement { name, extras, specifiers, url, marker, sha256, other_digests, place: place.clone(), text })
    }

    /// Obeys a line that has options only.
    fn settings(&mut self, place: &LineOfFile, options: Vec<Setting>) {
        let mut included = false;
        for Setting { means, name, value } in options {
            match means {
                // pip reads one file a line and says nothing of the others.
                Means::Include | Means::Constrain if included => {
                    self.refuse(place, format!("{name} {value}: give it a line of its own"));
                }
                Means::Include | Means::Constrain => {
                    included = true;
                    self.include(place, &value, means == Means::Constrain);
                }
                Means::Editable => {
                    let hint = "a folder to edit is no wheel or sdist; write NAME, NAME==VERSION or NAME @ URL";
                    self.refuse(place, format!("{name} {value}: {hint}"));
                }
                Means::Hash | Means::Installer => self.refuse(place, format!("{name} belongs behind a requirement")),
                // Without the value: a URL may hold a password.
                Means::Global => self.note(place, format!("{name} is for an installer, and is not obeyed")),
            }
        }
    }

    fn include(&mut self, place: &LineOfFile, value: &str, constraint: bool) {
        let scheme = value.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        let path = match scheme.as_str() {
            "" => place.file.parent().unwrap_or(Path::new("")).join(value),
            "file" => match url::Url::parse(value).map(|url| url.to_file_path()) {
                Ok(Ok(path)) => path,
                _ => return self.refuse(place, format!("{value} names no file on this machine")),
            },
            _ => return self.refuse(place, format!("{value} is not on this machine: fetch it, and include the file")),
        };
        let path = plain(&path);
        if let Some(at) = self.stack.iter().position(|open| *open == path) {
            let around =
                if at + 1 == self.stack.len() { "includes itself" } else { "includes itself by way of others" };
            return self.refuse(place, format!("{} {around}: take this line out", path.display()));
        }
        if self.stack.len() == MAX_DEPTH {
            return self.refuse(place, format!("{} is included {MAX_DEPTH} files deep", path.display()));
        }
        if self.done.contains(&(path.clone(), constraint)) {
            return;
        }
        if let Err(error) = self.file(&path, constraint) {
            self.refuse(place, told(&error));
        }
    }

    fn note(&mut self, place: &LineOfFile, note: String) {
        self.found.notes.push((place.clone(), note));
    }

    fn refuse(&mut self, place: &LineOfFile, reason: String) {
        self.found.refused.push((place.clone(), reason));
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if !self.extras.is_empty() {
            write!(f, "[{}]", self.extras.join(","))?;
        }
        match &self.url {
            Some(url) => write!(f, " @ {url}")?,
            None => spec::write_specifiers(f, &self.specifiers)?,
        }
        if self.marker.is_always() { Ok(()) } else { write!(f, " ; {}", self.marker) }
    }
}

/// Returns an error's message with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Cleans a path by its text alone, so that one file has one name: `a/./b/../c` is `a/c`.
fn plain(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// Finds the first `${NAME}` of a line.
fn variable(text: &str) -> Option<&str> {
    text.match_indices("${").find_map(|(at, _)| {
        let (name, _) = text[at + 2..].split_once('}')?;
        let letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        (!name.is_empty() && name.bytes().all(letter)).then(|| &text[at..at + name.len() + 3])
    })
}
