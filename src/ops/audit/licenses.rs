//! The licences that METADATA tells: an expression, an author's own words, classifiers.

use crate::wheel::metadata::values;
use serde::Serialize;
use serde_json::{Value, json};

/// What a distribution says of its licences.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Licenses {
    /// An SPDX expression (Metadata 2.4).
    pub expression: Option<String>,
    /// The author's own words; of a whole text the first line.
    pub text: Option<String>,
    /// What follows `License ::` in classifiers.
    pub classifiers: Vec<String>,
}

/// So much of an author's own words is told.
const WORDS: usize = 120;

impl Licenses {
    /// Reads them in METADATA or PKG-INFO.
    pub(super) fn read(metadata: &[u8]) -> Self {
        let first =
            |field: &str| values(metadata, field).into_iter().find(|text| !text.is_empty() && text != "UNKNOWN");
        let line = |text: String| text.lines().next().unwrap_or_default().chars().take(WORDS).collect::<String>();
        let classifiers = values(metadata, "Classifier");
        let licences = classifiers.iter().filter_map(|text| text.strip_prefix("License ::"));
        Self {
            expression: first("License-Expression"),
            text: first("License").map(line),
            classifiers: licences
                .map(|text| text.trim().trim_start_matches("OSI Approved ::").trim().to_owned())
                .collect(),
        }
    }

    /// Returns the best word for it: the expression, else the author's words, else the classifiers.
    pub fn word(&self) -> Option<String> {
        let classifiers = || Some(self.classifiers.join(", ")).filter(|text| !text.is_empty());
        self.expression.clone().or_else(|| self.text.clone()).or_else(classifiers)
    }

    /// Returns them as CycloneDX lists licences: one expression, or names.
    pub(super) fn bill(&self) -> Vec<Value> {
        if let Some(expression) = &self.expression {
            return vec![json!({"expression": expression})];
        }
        let names = self.text.iter().chain(&self.classifiers);
        names.map(|name| json!({"license": {"name": name}})).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_best_is_told() {
        let read = |text: &str| Licenses::read(text.as_bytes());
        let all = read(
            "Name: a\nLicense-Expression: MIT\nLicense: see LICENSE\nClassifier: License :: OSI Approved :: MIT License\n",
        );
        assert_eq!(all.word().as_deref(), Some("MIT"));
        assert_eq!(all.bill(), [json!({"expression": "MIT"})]);
        let old =
            read("License: UNKNOWN\nClassifier: Topic :: X\nClassifier: License :: OSI Approved :: BSD License\n");
        assert_eq!(old.word().as_deref(), Some("BSD License"));
        assert_eq!(old.bill(), [json!({"license": {"name": "BSD License"}})]);
        assert_eq!(read("Name: a\n\nLicense: body").word(), None);
        assert_eq!(read(&format!("License: {}\n", "x".repeat(5000))).word().map(|text| text.len()), Some(WORDS));
    }
}
