//! What every command prints with `--json` is what `docs/schema.json` says.

use crate::commands::ALL;
use crate::lab::Lab;
use serde_json::Value;
use std::collections::BTreeSet;

const SCHEMA: &str = include_str!("../../docs/schema.json");

/// The words of JSON Schema that the descriptions are made of, and this validator knows.
const KNOWN: [&str; 11] = [
    "$ref",
    "type",
    "const",
    "enum",
    "properties",
    "required",
    "items",
    "additionalProperties",
    "anyOf",
    "description",
    "prefixItems",
];

/// Tells what is wrong with a value, where it is.
fn check(schema: &Value, value: &Value, whole: &Value, at: &str, wrong: &mut Vec<String>) {
    let Some(rules) = schema.as_object() else { return };
    for word in rules.keys() {
        assert!(KNOWN.contains(&word.as_str()), "the validator doesn't know {word:?} at {at}");
    }
    if let Some(name) = rules.get("$ref").and_then(Value::as_str) {
        let place = name.strip_prefix('#').unwrap_or_else(|| panic!("{name} is elsewhere"));
        let other = whole.pointer(place).unwrap_or_else(|| panic!("{name} is not there"));
        check(other, value, whole, at, wrong);
    }
    let types: Vec<&str> = match rules.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is_type = |name: &&str| match *name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    };
    if !types.is_empty() && !types.iter().any(is_type) {
        wrong.push(format!("{at}: {value} is not {types:?}"));
    }
    if rules.get("const").is_some_and(|own| own != value) {
        wrong.push(format!("{at}: {value} is not {}", rules["const"]));
    }
    if rules.get("enum").and_then(Value::as_array).is_some_and(|all| !all.contains(value)) {
        wrong.push(format!("{at}: {value} is none of {}", rules["enum"]));
    }
    if let Some(ways) = rules.get("anyOf").and_then(Value::as_array) {
        let fits = |way: &Value| {
            let mut inner = Vec::new();
            check(way, value, whole, at, &mut inner);
            inner.is_empty()
        };
        if !ways.iter().any(fits) {
            wrong.push(format!("{at}: {value} is none of what it may be"));
        }
    }
    if let Some(object) = value.as_object() {
        for name in rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                wrong.push(format!("{at}: {name} is missing"));
            }
        }
        for (name, inner) in object {
            let own = rules.get("properties").and_then(|own| own.get(name)).or(rules.get("additionalProperties"));
            if let Some(own) = own {
                check(own, inner, whole, &format!("{at}.{name}"), wrong);
            }
        }
    }
    if let (Some(items), Some(own)) = (value.as_array(), rules.get("items")) {
        for (index, item) in items.iter().enumerate() {
            check(own, item, whole, &format!("{at}[{index}]"), wrong);
        }
    }
}

/// Checks a document against the description of its schema, and returns that one's name.
fn checked(schema: &Value, document: &Value, wrong: &mut Vec<String>) -> String {
    let name = document["schema"].as_str().unwrap_or_default();
    let name = name.strip_prefix("wcas.").and_then(|name| name.strip_suffix("/1")).unwrap_or_default().to_owned();
    match schema["$defs"].get(&name) {
        Some(own) => check(own, document, schema, &name, wrong),
        None => wrong.push(format!("{name:?} is not described: {document}")),
    }
    name
}

#[test]
fn every_document_is_as_it_is_described() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let (lab, mut seen, mut wrong) = (Lab::new(), BTreeSet::new(), Vec::new());
    for command in ALL {
        lab.renew();
        let ran = lab.run(&[&["--json"], &command.args()[..]].concat());
        let is_document = |line: &&str| line.starts_with("{\"schema\":");
        let error = ran.stderr.lines().filter(is_document).map(str::to_owned);
        let answer = Some(ran.stdout.clone()).filter(|text| is_document(&text.as_str()));
        let mut documents = 0;
        for text in answer.into_iter().chain(error) {
            documents += 1;
            let mut inner = Vec::new();
            match serde_json::from_str(&text) {
                Ok(document) => drop(seen.insert(checked(&schema, &document, &mut inner))),
                Err(error) => inner.push(format!("is no document: {error}")),
            }
            wrong.extend(inner.into_iter().map(|what| format!("{}: {what}", command.line)));
        }
        // A manual, a script and others' documents are printed as they are.
        let is_page = command.line.starts_with("view") && ran.stdout.starts_with("{\"meta\":");
        let is_other = ["man", "man --to manuals", "completions bash"].contains(&command.line)
            || command.line.contains("--sbom")
            || is_page;
        if documents != 1 && !is_other && command.code != 2 {
            wrong.push(format!("{}: {documents} documents: {ran}", command.line));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.contains("error") && seen.len() > 50, "{seen:?}");
}

#[test]
fn every_description_is_one_that_can_be_checked() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for (name, own) in schema["$defs"].as_object().unwrap() {
        let mut wrong = Vec::new();
        check(own, &serde_json::json!({"schema": "wcas.other/1"}), &schema, name, &mut wrong);
        let is_document = own["properties"].get("schema").is_some();
        assert!(!is_document || wrong.iter().any(|what| what.contains("wcas.other/1")), "{name} takes anything");
    }
}

#[test]
fn what_differs_from_a_description_is_found() {
    let schema = serde_json::json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": ["integer", "null"]}, "b": {"items": {"enum": ["x", "y"]}}, "c": {"anyOf": [{"const": 1}, {"type": "string"}]}}});
    let wrong = |value: Value| {
        let mut wrong = Vec::new();
        check(&schema, &value, &schema, "", &mut wrong);
        wrong.len()
    };
    for (value, count) in [
        (serde_json::json!({"a": 1, "b": ["x"], "c": "t", "more": true}), 0),
        (serde_json::json!({"a": null}), 0),
        (serde_json::json!({"a": "1"}), 1),
        (serde_json::json!({}), 1),
        (serde_json::json!({"a": 1, "b": ["x", "z", "w"]}), 2),
        (serde_json::json!({"a": 1, "c": 2}), 1),
        (serde_json::json!([]), 1),
    ] {
        assert_eq!(wrong(value.clone()), count, "{value}");
    }
}
