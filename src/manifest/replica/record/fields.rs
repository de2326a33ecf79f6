//! The values of a row by their columns, as a record has them: no more than a row can have, and none that have others in them.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// No table has so many columns.
const MOST: usize = 100;

/// Reads the values of a row.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Map<String, Value>>, D::Error> {
    deserializer.deserialize_any(Fields)
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Option<Map<String, Value>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some((name, Field(value))) = map.next_entry()? {
            fields.insert(name, value);
            if fields.len() > MOST {
                return Err(A::Error::invalid_length(fields.len(), &self));
            }
        }
        Ok(Some(fields))
    }
}

struct Field(Value);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar).map(Self)
    }
}

struct Scalar;

impl Visitor<'_> for Scalar {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number or null")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::RowChange;
    use serde_json::{Map, Value};

    #[test]
    fn a_row_has_scalars_and_few() {
        let read = |row: &str| serde_json::from_str::<RowChange>(&format!("{{\"table\":\"t\",\"row\":{row}}}"));
        let row = read(r#"{"a":1,"b":"x","c":null,"d":-1}"#).unwrap().row.unwrap();
        assert_eq!(Value::Object(row), serde_json::json!({"a": 1, "b": "x", "c": null, "d": -1}));
        assert!(read("null").unwrap().row.is_none());
        let many = |count: usize| (0..count).map(|at| (at.to_string(), Value::from(at))).collect::<Map<_, _>>();
        let text = |row| Value::Object(row).to_string();
        assert!(read(&text(many(100))).is_ok() && read(&text(many(101))).is_err());
        for row in [r#"{"a":[1]}"#, r#"{"a":{"b":1}}"#, r#"{"a":true}"#, r#"{"a":1.5}"#, "[]", "1", "\"x\""] {
            assert!(read(row).is_err(), "{row}");
        }
    }
}
