//! Variant wheels (PEP 825): the label that a filename carries, and `variant.json`, which says what the label stands for.
//!
//! A wheel's own `variant.json` tells of its label alone. Clients choose by one document for all variant wheels of a version, a
//! [`union`] of theirs. Keys that nobody knows here are kept as they are: newer drafts only add some.

pub mod union;

pub use union::{Conflict, VariantUnion};

use crate::name::ProjectName;
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

/// The member of a wheel's `.dist-info` directory that tells of its variant.
pub(super) const MEMBER: &str = "variant.json";

/// The label whose properties are none.
const NULL: &str = "null";

/// Text that is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a variant label: expected lower case letters, digits, '_' and '.'")]
pub struct LabelError(pub String);

/// What names a variant wheel's variant among those of its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariantLabel(String);

impl VariantLabel {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VariantLabel {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let is_good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.');
        match !text.is_empty() && text.bytes().all(is_good) {
            true => Ok(Self(text.to_owned())),
            false => Err(LabelError(text.to_owned())),
        }
    }
}

impl fmt::Display for VariantLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl serde::Serialize for VariantLabel {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Why the bytes of a `variant.json` don't fit its wheel.
#[derive(Debug, thiserror::Error)]
pub enum VariantError {
    /// No JSON.
    #[error("expected JSON in variant.json")]
    Json(#[source] serde_json::Error),
    /// JSON of some other shape.
    #[error("expected {expected} at {place} in variant.json")]
    Shape {
        /// What should be there.
        expected: &'static str,
        /// Where.
        place: String,
    },
    /// Other labels than the filename's.
    #[error("expected {expected:?} as the only label in variant.json, as the filename says, found {found}")]
    Label {
        /// The filename's label.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Properties of the label that stands for none.
    #[error("expected no properties of the label \"null\" in variant.json: it always stands for none")]
    Null,
    /// A namespace without a place in the order.
    #[error("expected the namespace {0:?} in default-priorities.namespace in variant.json, which uses it")]
    Namespace(String),
}

/// Makes sure that the bytes of a `variant.json` are of this label, and that clients can read them.
pub fn check(bytes: &[u8], label: &VariantLabel) -> Result<(), VariantError> {
    let document: Value = serde_json::from_slice(bytes).map_err(VariantError::Json)?;
    let document = object(&document, "the top")?;
    let variants = document.get("variants").unwrap_or(&Value::Null);
    let variants = object(variants, "variants")?;
    let keys: Vec<&String> = variants.keys().collect();
    if keys != [label.as_str()] {
        let found = if keys.is_empty() { "none".to_owned() } else { format!("{keys:?}") };
        return Err(VariantError::Label { expected: label.as_str().to_owned(), found });
    }
    let place = format!("variants.{label}");
    let properties = object(&variants[label.as_str()], &place)?;
    if label.as_str() == NULL && !properties.is_empty() {
        return Err(VariantError::Null);
    }
    for (namespace, features) in properties {
        let place = format!("{place}.{namespace}");
        for (feature, values) in object(features, &place)? {
            texts(values, &format!("{place}.{feature}"))?;
        }
    }
    check_namespaces(document, properties)
}

/// Makes sure that all namespaces have a place in the order, on which the union with other wheels relies.
fn check_namespaces(document: &Map<String, Value>, properties: &Map<String, Value>) -> Result<(), VariantError> {
    let none = Map::new();
    let priorities = document.get("default-priorities").map(|all| object(all, "default-priorities")).transpose()?;
    let priorities = priorities.unwrap_or(&none);
    let listed = match priorities.get("namespace") {
        Some(list) => texts(list, "default-priorities.namespace")?,
        None => Vec::new(),
    };
    let mut used: Vec<&String> = properties.keys().collect();
    for key in ["feature", "property"] {
        if let Some(orders) = priorities.get(key) {
            used.extend(object(orders, &format!("default-priorities.{key}"))?.keys());
        }
    }
    match used.into_iter().find(|namespace| !listed.contains(&namespace.as_str())) {
        Some(namespace) => Err(VariantError::Namespace(namespace.clone())),
        None => Ok(()),
    }
}

fn object<'a>(value: &'a Value, place: &str) -> Result<&'a Map<String, Value>, VariantError> {
    value.as_object().ok_or_else(|| VariantError::Shape { expected: "an object", place: place.to_owned() })
}

fn texts<'a>(value: &'a Value, place: &str) -> Result<Vec<&'a str>, VariantError> {
    let texts = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
    texts.ok_or_else(|| VariantError::Shape { expected: "a list of texts", place: place.to_owned() })
}

/// Returns the filename of the document about all variant wheels of a version.
pub fn document_name(project: &ProjectName, version: &str) -> String {
    format!("{}-{version}-variants.json", project.as_str().replace('-', "_"))
}

/// Returns the only label in the bytes of a `variant.json`.
pub(super) fn only_label(bytes: &[u8]) -> Option<VariantLabel> {
    let document: Value = serde_json::from_slice(bytes).ok()?;
    let mut labels = document.get("variants")?.as_object()?.keys();
    let label = labels.next()?.parse().ok()?;
    labels.next().is_none().then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(label: &str, document: &str) -> String {
        let label = label.parse().unwrap();
        check(document.as_bytes(), &label).map_or_else(|error| error.to_string(), |()| "good".to_owned())
    }

    #[test]
    fn v1_labels_are_lower_case_letters_digits_underscores_and_dots() {
        for good in ["cuda12", "x86_64_v3", "null", "cu12.8", "0", ".", "_"] {
            assert_eq!(good.parse::<VariantLabel>().unwrap().as_str(), good);
        }
        for bad in ["", "CUDA", "cuda-12", "cuda 12", "é", "a/b", "a+b"] {
            assert_eq!(bad.parse::<VariantLabel>(), Err(LabelError(bad.to_owned())));
        }
    }

    #[test]
    fn v1_the_label_is_the_only_key_in_variant_json() {
        let cuda =
            r#""default-priorities": {"namespace": ["nvidia"]}, "variants": {"cuda12": {"nvidia": {"sm": ["90"]}}}"#;
        assert_eq!(refusal("cuda12", &format!("{{{cuda}}}")), "good");
        let unknown = r#""providers": {"nvidia": {"requires": ["a"]}}, "$schema": "https://index.example/v9.json""#;
        assert_eq!(refusal("cuda12", &format!("{{{cuda}, {unknown}}}")), "good");
        for (label, document, expected) in [
            (
                "cuda13",
                format!("{{{cuda}}}"),
                r#"expected "cuda13" as the only label in variant.json, as the filename says, found ["cuda12"]"#,
            ),
            ("a", r#"{"variants": {"a": {}, "b": {}}}"#.to_owned(), r#"found ["a", "b"]"#),
            ("a", r#"{"variants": {}}"#.to_owned(), "found none"),
            ("a", "{}".to_owned(), "expected an object at variants in variant.json"),
            ("a", "[]".to_owned(), "expected an object at the top in variant.json"),
            ("a", "{".to_owned(), "expected JSON in variant.json"),
            (
                "a",
                r#"{"variants": {"a": {"x": {"y": "z"}}}}"#.to_owned(),
                "expected a list of texts at variants.a.x.y in",
            ),
            ("a", r#"{"variants": {"a": {"x": []}}}"#.to_owned(), "expected an object at variants.a.x in"),
            (
                "a",
                r#"{"variants": {"a": {"x": {"y": [1]}}}}"#.to_owned(),
                "expected a list of texts at variants.a.x.y in",
            ),
            (
                "a",
                r#"{"variants": {"a": {"x": {"y": ["z"]}}}}"#.to_owned(),
                r#"expected the namespace "x" in default-priorities"#,
            ),
        ] {
            let found = refusal(label, &document);
            assert!(found.contains(expected), "{document}\n{found}");
        }
    }

    #[test]
    fn v1_null_stands_for_no_properties() {
        assert_eq!(refusal("null", r#"{"variants": {"null": {}}}"#), "good");
        let properties = r#"{"default-priorities": {"namespace": ["x"]}, "variants": {"null": {"x": {"y": ["z"]}}}}"#;
        assert!(refusal("null", properties).starts_with("expected no properties"));
        assert_eq!(refusal("plain", r#"{"variants": {"plain": {}}}"#), "good");
    }

    #[test]
    fn the_document_is_named_as_wheels_are() {
        let project: ProjectName = "Flask.RESTful".parse().unwrap();
        assert_eq!(document_name(&project, "1!2.0+cu12"), "flask_restful-1!2.0+cu12-variants.json");
    }
}
