//! How an error is told: in lines to people, in a document to programs.

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
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    error: &'a Failure,
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        let (kind, exit_code) = match error.kind() {
            ErrorKind::Failed => ("failed", 1),
            ErrorKind::Usage => ("usage", 2),
            ErrorKind::NotFound => ("not-found", 4),
            ErrorKind::Busy => ("busy", 5),
        };
        Self { message: error.to_string(), causes: causes(error), hint: error.hint(), kind, exit_code }
    }

    /// Returns what people read: what, because of what, and what to do next.
    pub(super) fn lines(&self) -> Vec<String> {
        let causes = self.causes.iter().map(|cause| format!("  because: {cause}"));
        let hint = self.hint.iter().map(|hint| format!("  hint: {hint}"));
        std::iter::once(format!("wcas: {}", self.message)).chain(causes).chain(hint).collect()
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
