//! How an error is told: in lines to people, in a document to programs.

use super::miss::Miss;
use serde::Serialize;
use std::error::Error as _;
use wcas::{Error, ErrorKind};

/// What is told of an error.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    kind: &'static str,
    pub(super) exit_code: u8,
    /// What is near to the specifications that nothing matches, where that was looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    misses: Vec<Miss>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    error: &'a Failure,
}

impl Failure {
    pub(super) fn of(error: &Error, misses: Vec<Miss>) -> Self {
        let (kind, exit_code) = match error.kind() {
            ErrorKind::Failed => ("failed", 1),
            ErrorKind::Usage => ("usage", 2),
            ErrorKind::NotFound => ("not-found", 4),
            ErrorKind::Busy => ("busy", 5),
        };
        Self { message: error.to_string(), causes: causes(error), hint: error.hint(), kind, exit_code, misses }
    }

    /// Returns what people read: what, because of what, what is near, unless notes are not wanted, and what to do next.
    pub(super) fn lines(&self, is_quiet: bool) -> Vec<String> {
        let told = if is_quiet { &[] } else { self.misses.as_slice() };
        let near = told.iter().flat_map(|miss| miss.near.lines()).map(|line| format!("  {line}"));
        let causes = self.causes.iter().map(|cause| format!("  because: {cause}"));
        let hint = self.hint.iter().map(|hint| format!("  hint: {hint}"));
        std::iter::once(format!("wcas: {}", self.message)).chain(causes).chain(near).chain(hint).collect()
    }

    /// Returns what programs read.
    pub(super) fn document(&self) -> String {
        // Texts and numbers are always JSON.
        serde_json::to_string(&Document { schema: "wcas.error/1", error: self }).unwrap_or_default()
    }
}

/// Returns what an error came of, the nearest cause first.
fn causes(error: &Error) -> Vec<String> {
    let mut causes = Vec::new();
    let (mut cause, mut told) = (error.source(), error.to_string());
    while let Some(source) = cause {
        let text = source.to_string();
        // Some libraries tell the same twice, once with a number.
        if !text.ends_with(&told) {
            causes.push(text.clone());
        }
        (cause, told) = (source.source(), text);
    }
    causes
}
