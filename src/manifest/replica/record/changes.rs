//! The changes of a record, one by one as they are read.

use super::super::super::Error;
use super::RowChange;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Shows the changes of a record in their order, until one can't be taken, which is the inner result.
pub(super) fn each(
    bytes: &[u8],
    show: &mut dyn FnMut(RowChange) -> Result<(), Error>,
) -> serde_json::Result<Result<(), Error>> {
    let mut failure = None;
    let mut document = serde_json::Deserializer::from_slice(bytes);
    let read =
        document.deserialize_map(Document(Changes { show, failure: &mut failure })).and_then(|()| document.end());
    failure.map_or(read.map(Ok), |failure| Ok(Err(failure)))
}

struct Document<'a>(Changes<'a>);

struct Changes<'a> {
    show: &'a mut dyn FnMut(RowChange) -> Result<(), Error>,
    failure: &'a mut Option<Error>,
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut changes = Some(self.0);
        while let Some(name) = map.next_key::<String>()? {
            if name == "changes" {
                map.next_value_seed(changes.take().ok_or_else(|| A::Error::duplicate_field("changes"))?)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        changes.map_or(Ok(()), |_| Err(A::Error::missing_field("changes")))
    }
}

impl<'de> DeserializeSeed<'de> for Changes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Changes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("changes of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(change) = seq.next_element()? {
            if let Err(failure) = (self.show)(change) {
                *self.failure = Some(failure);
                return Err(A::Error::custom("it can't be applied"));
            }
        }
        Ok(())
    }
}
