//! A record of the shared store's log, as bytes: one JSON document, for people to read as well.

mod changes;
mod fields;

use super::super::schema::version;
use super::super::{Error, Link, Result};
use crate::digest::Sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What of a record's [`Head`] is looked at before its changes, whose words a newer program may have chosen.
#[derive(Debug, Deserialize)]
struct Place {
    number: i64,
    before: Sha256,
    schema: i64,
}

/// A row that came (no key), changed, or went (no row). Bytes are hexadecimal digits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RowChange {
    /// The table.
    pub(super) table: String,
    /// Its primary key as it was.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "fields::read")]
    pub(super) key: Option<Map<String, Value>>,
    /// All its values.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "fields::read")]
    pub(super) row: Option<Map<String, Value>>,
}

/// What is told of a record before its rows, which a newer program's may not be understood.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    /// Its number.
    pub(super) number: i64,
    /// The SHA-256 digest of the record before it.
    pub(super) before: Sha256,
    /// What no other record has: whoever lost the answer knows his own by it.
    pub(super) id: String,
    /// When, by the clock of the node, in seconds since 1970.
    pub(super) at: i64,
    /// Which node wrote it; `None`: one that is about to join.
    pub(super) node: Option<i64>,
    /// Who.
    pub(super) who: String,
    /// From where.
    pub(super) origin: String,
    /// By which command.
    pub(super) command: String,
    /// The schema of the rows.
    pub(super) schema: i64,
}

impl Head {
    /// Returns the bytes of the record, up to its changes, which are written there as elements of an array; then comes [`END`].
    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("texts and numbers are JSON");
        bytes.pop();
        bytes.extend_from_slice(b",\"changes\":[");
        bytes
    }
}

/// What a record's bytes end with.
pub(super) const END: &[u8] = b"]}";

/// Reads the record that comes after a place, and shows its changes one by one: as values they take many times their bytes, and a record
/// may be large. Where this fails, what was shown doesn't count.
pub(super) fn each_change(bytes: &[u8], after: Link, show: &mut dyn FnMut(RowChange) -> Result<()>) -> Result<()> {
    let number = after.number + 1;
    let damaged = |_| Error::DamagedRecord(number);
    let place: Place = serde_json::from_slice(bytes).map_err(damaged)?;
    if place.schema > version() {
        return Err(Error::NewerRecord { number, schema: place.schema });
    }
    if (place.number, place.before) != (number, after.digest) {
        return Err(Error::Diverged(number));
    }
    changes::each(bytes, show).map_err(damaged)?
}
