//! What several variant wheels of one version say of their variants, as one document.
//!
//! The union doesn't depend on the order in which wheels come: the same wheels give the same bytes, or contradict each other
//! whichever comes first. Objects are united by key, and what two of them have in common must be equal; only the list of
//! namespaces may be longer in one, if it continues the other's. An order of features or values may come only with a namespace
//! that the others don't list, since it would change what they meant.

use serde_json::{Map, Value};

/// A wheel that contradicts others of its version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("variant.json says {own} of {place}, and the version's other variant wheels say {theirs}")]
pub struct Conflict {
    /// Where they differ.
    pub place: String,
    /// What the others say.
    pub theirs: String,
    /// What this one says.
    pub own: String,
}

/// The document about the variant wheels of a version, as far as they are added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VariantUnion {
    document: Map<String, Value>,
}

type Merged<T> = Result<T, Conflict>;

impl VariantUnion {
    /// Adds what a wheel's `variant.json` says, which was checked when the wheel came in. One that contradicts changes nothing.
    pub fn add(&mut self, bytes: &[u8]) -> Merged<()> {
        let mut own = match serde_json::from_slice(bytes) {
            Ok(Value::Object(own)) => own,
            Ok(other) => return Err(conflict("the top", &Value::Object(self.document.clone()), &other)),
            Err(error) => {
                let why = Value::String(error.to_string());
                return Err(conflict("the top", &Value::Object(self.document.clone()), &why));
            }
        };
        sort_values(&mut own);
        self.document = unite(&self.document, &own, |key, theirs, own| match (key, theirs, own) {
            ("default-priorities", Value::Object(theirs), Value::Object(own)) => Ok(priorities(theirs, own)?.into()),
            (_, Value::Object(theirs), Value::Object(own)) => members(key, theirs, own),
            _ => same(key, theirs, own),
        })?;
        Ok(())
    }

    /// Returns the document, its keys sorted, so that equal documents are equal bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut document = Value::Object(self.document.clone());
        document.sort_all_objects();
        let mut bytes = serde_json::to_vec(&document).expect("a map with text keys is JSON");
        bytes.push(b'\n');
        bytes
    }
}

/// Sorts the values of properties: they are a set, of which a machine must have one.
fn sort_values(document: &mut Map<String, Value>) {
    let Some(Value::Object(labels)) = document.get_mut("variants") else { return };
    let namespaces = labels.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    let features = namespaces.filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    for values in features.filter_map(Value::as_array_mut) {
        values.sort_by_key(ToString::to_string);
        values.dedup();
    }
}

/// Unites two objects; `both` decides on what both have.
fn unite(
    theirs: &Map<String, Value>,
    own: &Map<String, Value>,
    both: impl Fn(&str, &Value, &Value) -> Merged<Value>,
) -> Merged<Map<String, Value>> {
    let mut united = theirs.clone();
    for (key, value) in own {
        let value = match theirs.get(key) {
            Some(known) => both(key, known, value)?,
            None => value.clone(),
        };
        united.insert(key.clone(), value);
    }
    Ok(united)
}

/// Unites two objects whose members (a label, a provider) are whole: what both have must be equal.
fn members(place: &str, theirs: &Map<String, Value>, own: &Map<String, Value>) -> Merged<Value> {
    Ok(unite(theirs, own, |key, theirs, own| same(&format!("{place}.{key}"), theirs, own))?.into())
}

fn same(place: &str, theirs: &Value, own: &Value) -> Merged<Value> {
    if theirs == own { Ok(own.clone()) } else { Err(conflict(place, theirs, own)) }
}

fn conflict(place: &str, theirs: &Value, own: &Value) -> Conflict {
    Conflict { place: place.to_owned(), theirs: theirs.to_string(), own: own.to_string() }
}

/// Unites the order of namespaces, and the orders of what is in them.
fn priorities(theirs: &Map<String, Value>, own: &Map<String, Value>) -> Merged<Map<String, Value>> {
    let united = unite(theirs, own, |key, theirs, own| {
        let place = format!("default-priorities.{key}");
        match (key, theirs, own) {
            ("namespace", Value::Array(first), Value::Array(second)) => {
                let (short, long) = if first.len() <= second.len() { (first, second) } else { (second, first) };
                if long.starts_with(short) { Ok(long.clone().into()) } else { Err(conflict(&place, theirs, own)) }
            }
            (_, Value::Object(theirs), Value::Object(own)) => members(&place, theirs, own),
            _ => same(&place, theirs, own),
        }
    })?;
    // What one of them orders and the other, although it lists the namespace, doesn't.
    for key in ["feature", "property"] {
        for namespace in united.get(key).and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            let order = |of: &Map<String, Value>| of.get(key)?.get(namespace).cloned();
            if lists(theirs, namespace) && lists(own, namespace) && order(theirs) != order(own) {
                let place = format!("default-priorities.{key}.{namespace}");
                return Err(conflict(&place, &order(theirs).into(), &order(own).into()));
            }
        }
    }
    Ok(united)
}

fn lists(priorities: &Map<String, Value>, namespace: &str) -> bool {
    let list = priorities.get("namespace").and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|own| own == namespace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn union(documents: &[&Value]) -> Result<Value, String> {
        let mut union = VariantUnion::default();
        for document in documents {
            union.add(document.to_string().as_bytes()).map_err(|conflict| conflict.place)?;
        }
        Ok(serde_json::from_slice(&union.bytes()).unwrap())
    }

    /// Returns what all orders of the documents give, which must be one and the same.
    fn in_all_orders(documents: &[Value]) -> Result<Value, String> {
        fn permute<'a>(left: Vec<&'a Value>, taken: &mut Vec<&'a Value>, found: &mut Vec<Result<Value, String>>) {
            if left.is_empty() {
                return found.push(union(taken));
            }
            for at in 0..left.len() {
                let mut rest = left.clone();
                taken.push(rest.remove(at));
                permute(rest, taken, found);
                taken.pop();
            }
        }
        let mut found = Vec::new();
        permute(documents.iter().collect(), &mut Vec::new(), &mut found);
        assert!(found.iter().all(|other| other.is_ok() == found[0].is_ok()), "{found:?}");
        assert!(found[0].is_err() || found.iter().all(|other| *other == found[0]), "{found:?}");
        found.swap_remove(0)
    }

    fn wheel(label: &str, namespaces: &[&str], properties: Value) -> Value {
        json!({"$schema": "https://index.example/v1.json", "default-priorities": {"namespace": namespaces},
               "variants": {label: properties}})
    }

    #[test]
    fn v2_the_union_has_all_labels_and_the_longest_list_of_namespaces_in_any_order() {
        let united = in_all_orders(&[
            wheel("null", &[], json!({})),
            wheel("v3", &["x86_64"], json!({"x86_64": {"level": ["v3"]}})),
            wheel("cuda12", &["x86_64", "nvidia", "amd"], json!({"nvidia": {"sm": ["90", "120", "90"]}})),
            wheel("cuda12", &["x86_64", "nvidia"], json!({"nvidia": {"sm": ["120", "90"]}})),
        ]);
        assert_eq!(
            united.unwrap(),
            json!({"$schema": "https://index.example/v1.json",
                   "default-priorities": {"namespace": ["x86_64", "nvidia", "amd"]},
                   "variants": {"null": {}, "v3": {"x86_64": {"level": ["v3"]}},
                                "cuda12": {"nvidia": {"sm": ["120", "90"]}}}})
        );
    }

    #[test]
    fn v2_what_contradicts_is_a_conflict_whichever_comes_first() {
        let plain = wheel("a", &["x", "y"], json!({"x": {"f": ["1"]}}));
        let mut ordered = wheel("b", &["x", "y"], json!({}));
        ordered["default-priorities"]["feature"] = json!({"x": ["f"]});
        let mut other_schema = wheel("b", &["x"], json!({}));
        other_schema["$schema"] = json!("https://index.example/v2.json");
        for (second, place) in [
            (wheel("a", &["x", "y"], json!({"x": {"f": ["2"]}})), "variants.a"),
            (wheel("b", &["y"], json!({})), "default-priorities.namespace"),
            (wheel("b", &["x", "z", "y"], json!({})), "default-priorities.namespace"),
            (ordered, "default-priorities.feature.x"),
            (other_schema, "$schema"),
        ] {
            assert_eq!(in_all_orders(&[plain.clone(), second]).unwrap_err(), place);
        }
    }

    #[test]
    fn v2_an_order_may_come_with_a_new_namespace() {
        let mut longer = wheel("b", &["x", "y"], json!({}));
        longer["default-priorities"]["feature"] = json!({"y": ["g"]});
        longer["default-priorities"]["property"] = json!({"y": {"g": ["1"]}});
        let united = in_all_orders(&[wheel("a", &["x"], json!({})), longer.clone()]).unwrap();
        assert_eq!(united["default-priorities"], longer["default-priorities"]);
    }

    #[test]
    fn v2_unknown_keys_are_kept_and_united() {
        let (mut first, mut second) = (wheel("a", &["x"], json!({})), wheel("b", &["x"], json!({})));
        first["providers"] = json!({"x": {"requires": ["p"]}, "y": {"requires": []}});
        first["note"] = json!([1, null]);
        second["providers"] = json!({"x": {"requires": ["p"]}, "z": {}});
        let united = in_all_orders(&[first, second.clone()]).unwrap();
        assert_eq!(united["providers"], json!({"x": {"requires": ["p"]}, "y": {"requires": []}, "z": {}}));
        assert_eq!(united["note"], json!([1, null]));
        let mut third = wheel("c", &["x"], json!({}));
        third["providers"] = json!({"x": {"requires": ["q"]}});
        assert_eq!(in_all_orders(&[second, third]).unwrap_err(), "providers.x");
    }

    #[test]
    fn what_contradicts_leaves_the_union_as_it_was() {
        let mut union = VariantUnion::default();
        union.add(wheel("a", &["x"], json!({})).to_string().as_bytes()).unwrap();
        let before = union.clone();
        let contrary = wheel("b", &["y"], json!({})).to_string();
        for bytes in [contrary.as_bytes(), b"[]", b"{", b"\xff"] {
            union.add(bytes).unwrap_err();
            assert_eq!(union, before);
        }
        let text = union.add(contrary.as_bytes()).unwrap_err().to_string();
        let expected = r#"variant.json says ["y"] of default-priorities.namespace, and the version's other variant wheels say ["x"]"#;
        assert_eq!(text, expected);
    }
}
