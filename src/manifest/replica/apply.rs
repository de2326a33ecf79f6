//! Records of the log, applied to a replica's rows.

use super::super::triggers::{Column, every_column, shared_tables};
use super::super::{Error, Result};
use super::record::RowChange;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, ErrorCode, params_from_iter};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The tables that records were applied to, with what the schema says of them.
#[derive(Debug, Default)]
pub(super) struct Tables(HashMap<&'static str, Vec<Column>>);

impl Tables {
    /// Applies a change of the record that has this number.
    pub(super) fn apply(&mut self, conn: &Connection, number: i64, change: &RowChange) -> Result<()> {
        let damaged = || Error::DamagedRecord(number);
        let columns = self.columns(conn, &change.table)?.ok_or_else(damaged)?;
        let key = change.key.as_ref().map(|key| values(columns, key, true).ok_or_else(damaged)).transpose()?;
        let row = change.row.as_ref().map(|row| values(columns, row, false).ok_or_else(damaged)).transpose()?;
        let table = &change.table;
        if key.as_ref().is_some_and(Vec::is_empty) || row.as_ref().is_some_and(Vec::is_empty) {
            return Err(damaged());
        }
        let (sql, params) = match (key, row) {
            (None, Some(row)) => {
                let marks = vec!["?"; row.len()].join(", ");
                (format!("INSERT INTO {table}({}) VALUES({marks})", names(&row, ", ", "")), row)
            }
            (Some(key), None) => (format!("DELETE FROM {table} WHERE {}", names(&key, " AND ", " = ?")), key),
            (Some(key), Some(mut row)) => {
                let set = names(&row, ", ", " = ?");
                let sql = format!("UPDATE {table} SET {set} WHERE {}", names(&key, " AND ", " = ?"));
                row.extend(key);
                (sql, row)
            }
            (None, None) => return Err(damaged()),
        };
        let values = params_from_iter(params.iter().map(|(_, value)| value));
        let done = conn.prepare_cached(&sql)?.execute(values).map(drop);
        done.and_then(|()| if table == "blob" { settle_file(conn, change) } else { Ok(()) })
            .map_err(|error| if is_refusal(&error) { damaged() } else { error.into() })
    }

    fn columns(&mut self, conn: &Connection, table: &str) -> Result<Option<&[Column]>> {
        let Some(table) = shared_tables().find(|shared| *shared == table) else { return Ok(None) };
        if !self.0.contains_key(table) {
            self.0.insert(table, every_column(conn, table)?);
        }
        Ok(self.0.get(table).map(Vec::as_slice))
    }
}

/// Tells whether the schema has no place for what a record says: a value of another type, a row that is there, none where one must be.
/// Then it is the record that is wrong, and not the manifest.
fn is_refusal(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::ParameterOutOfRange
        )
    )
}

/// Returns the values that a record has for these columns; `None`: one has a value that it can't have, or isn't there.
fn values<'c>(columns: &'c [Column], object: &Map<String, Value>, is_key: bool) -> Option<Vec<(&'c str, SqlValue)>> {
    let column = |name: &str| columns.iter().find(|column| column.name == name && (column.is_key || !is_key));
    object
        .iter()
        .map(|(name, value)| column(name).and_then(|column| Some((column.name.as_str(), sql(column, value)?))))
        .collect()
}

fn sql(column: &Column, value: &Value) -> Option<SqlValue> {
    Some(match value {
        Value::Null => SqlValue::Null,
        Value::Number(number) => SqlValue::Integer(number.as_i64()?),
        Value::String(digits) if column.is_bytes => SqlValue::Blob(unhex(digits)?),
        Value::String(text) => SqlValue::Text(text.clone()),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    })
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |&[high, low]: &[u8; 2]| Some(nibble(high)? << 4 | nibble(low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

fn names(values: &[(&str, SqlValue)], between: &str, end: &str) -> String {
    values.iter().map(|(name, _)| format!("{name}{end}")).collect::<Vec<_>>().join(between)
}

/// Lets the row of a file here follow its blob's: it has its number, and where the blob went, the file is one that nobody wants.
fn settle_file(conn: &Connection, change: &RowChange) -> rusqlite::Result<()> {
    let number = |object: &Option<Map<String, Value>>| object.as_ref()?.get("id")?.as_i64();
    match (number(&change.key), number(&change.row)) {
        (_, Some(id)) => {
            // Where this node was publishing the same bytes, another was faster.
            let sql = "UPDATE file SET id = ?1 WHERE id <> ?1 AND blake3 = (SELECT blake3 FROM blob WHERE id = ?1)";
            conn.prepare_cached(sql)?.execute([id])?;
        }
        (Some(id), None) => {
            let sql = "UPDATE file SET state = 'staged', epoch = epoch + 1 WHERE id = ?1 AND state IN ('live', 'lost')";
            conn.prepare_cached(sql)?.execute([id])?;
        }
        (None, None) => {}
    }
    Ok(())
}
