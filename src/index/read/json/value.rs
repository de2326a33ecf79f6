//! Values of any kind, where a page says what it likes: those of another kind than is wanted are nothing.

use crate::index::read::claim::Claim;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Any value, of which only the kinds that pages use are kept.
#[derive(Debug, Default)]
pub(super) enum Fact<'a> {
    #[default]
    Null,
    Bool(bool),
    Whole(u64),
    Text(Cow<'a, str>),
    /// What it says as a map of digests, of which a key may come twice.
    Map(Claim),
    Other,
}

impl<'a> Fact<'a> {
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns what a map of digests says.
    pub(super) fn claim(&self) -> Claim {
        let Self::Map(claim) = self else { return Claim::default() };
        claim.clone()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fact<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FactVisitor)
    }
}

struct FactVisitor;

impl<'de> Visitor<'de> for FactVisitor {
    type Value = Fact<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Fact<'de>, E> {
        Ok(Fact::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Fact<'de>, E> {
        Ok(Fact::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Fact<'de>, E> {
        Ok(Fact::Whole(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Fact<'de>, E> {
        Ok(Fact::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Fact<'de>, E> {
        Ok(Fact::Other)
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Fact<'de>, E> {
        Ok(Fact::Text(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Fact<'de>, E> {
        Ok(Fact::Text(value.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fact<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Fact::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fact<'de>, A::Error> {
        let mut claim = Claim::default();
        while let Some((Text(algorithm), value)) = map.next_entry::<_, Fact<'de>>()? {
            match value {
                Fact::Null => {}
                Fact::Text(value) => claim.add(&algorithm, Some(&value)),
                _ => claim.add(&algorithm, None),
            }
        }
        Ok(Fact::Map(claim))
    }
}

/// What is said of the project: of each key the first, if it is a text.
#[derive(Default)]
pub(super) struct StatusJson<'a> {
    pub(super) status: Option<Cow<'a, str>>,
    pub(super) state: Option<Cow<'a, str>>,
    pub(super) reason: Option<Cow<'a, str>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for StatusJson<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusVisitor)
    }
}

struct StatusVisitor;

impl<'de> Visitor<'de> for StatusVisitor {
    type Value = StatusJson<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(StatusJson::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(StatusJson::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(StatusJson::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(StatusJson::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(StatusJson::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(StatusJson::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(StatusJson::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut seen) = (StatusJson::default(), [false; 3]);
        while let Some(Text(key)) = map.next_key()? {
            let (at, place) = match key.as_ref() {
                "status" => (0, &mut found.status),
                "state" => (1, &mut found.state),
                "reason" => (2, &mut found.reason),
                _ => {
                    // Whoever nests it without end is refused.
                    map.next_value::<Fact<'de>>()?;
                    continue;
                }
            };
            let value: Fact<'de> = map.next_value()?;
            if !std::mem::replace(&mut seen[at], true) {
                *place = value.text();
            }
        }
        Ok(found)
    }
}

/// A key, borrowed where the page has it without escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);
