//! The schema that a shared store's records are written in. A manifest is brought up to date when a newer program opens it; the records
//! are not, before somebody says that all nodes have that program: older ones can't read them.
//!
//! Until then a newer program writes what the older schema can say. Later steps make that possible: they only add tables and columns, and
//! nothing is in those but their defaults.

use super::super::schema::{build, version};
use super::super::triggers::{every_column, shared_tables};
use super::super::{Error, Result, Rows, Transaction};
use super::record::RowChange;
use rusqlite::Connection;
use serde_json::Value;
use std::collections::HashMap;

/// The key in `meta` of the schema of the records.
const SCHEMA: &str = "schema";
/// That of stores that don't say it: they were shared before it could be another one.
const FIRST: i64 = 10;

impl Rows {
    /// Returns the schema that the shared store's records are written in.
    pub fn log_schema(&self) -> Result<i64> {
        Ok(self.meta(SCHEMA)?.and_then(|schema| schema.parse().ok()).unwrap_or(FIRST))
    }

    /// Tells whether this program's schema is newer than that of the shared store's records: what it writes for other nodes is not to show
    /// it.
    pub fn awaits_upgrade(&self) -> Result<bool> {
        Ok(self.replica.is_some() && self.log_schema()? < version())
    }
}

impl Transaction<'_> {
    /// Lets records be written in this program's schema from this transaction's on.
    pub fn set_log_schema(&self) -> Result<()> {
        self.set_meta(SCHEMA, &version().to_string())
    }
}

/// Forgets the schema of the records, where there are no records any more.
pub(super) fn forget(conn: &Connection) -> Result<()> {
    conn.execute("DELETE FROM meta WHERE key = ?1", [SCHEMA])?;
    Ok(())
}

/// A column that came later than the records' schema: its default as records would say it.
type Since = HashMap<String, Value>;

/// Returns the same changes, which are elements of a JSON array, in the words of an older schema.
pub(super) fn in_words_of(conn: &Connection, schema: i64, changes: &[u8]) -> Result<Vec<u8>> {
    let newer = Error::NotUpgraded { schema };
    let text = [b"[", changes, b"]"].concat();
    let Ok(mut changes) = serde_json::from_slice::<Vec<RowChange>>(&text) else { return Err(newer) };
    let since = since(conn, schema)?;
    for change in &mut changes {
        match since.get(&change.table) {
            None => {}
            Some(None) => return Err(newer),
            Some(Some(columns)) => {
                let row =
                    change.row.iter_mut().flat_map(|row| columns.iter().map(|(name, value)| (row.remove(name), value)));
                if row.into_iter().any(|(found, default)| found.as_ref() != Some(default)) {
                    return Err(newer);
                }
            }
        }
    }
    let mut text = serde_json::to_vec(&changes).expect("texts and numbers are JSON");
    text.pop();
    text.remove(0);
    Ok(text)
}

/// Returns the shared tables that differ from those of an older schema: what came since; `None`: all of it.
fn since(conn: &Connection, schema: i64) -> Result<HashMap<String, Option<Since>>> {
    let old = Connection::open_in_memory()?;
    build(&old, 0, schema)?;
    let mut since = HashMap::new();
    for table in shared_tables() {
        let known = every_column(&old, table)?;
        let now = every_column(conn, table)?;
        let mut columns = Since::new();
        for column in now.iter().filter(|column| known.iter().all(|known| known.name != column.name)) {
            columns.insert(column.name.clone(), default(conn, table, &column.name, column.is_bytes)?);
        }
        if !columns.is_empty() {
            since.insert(table.to_owned(), (!known.is_empty()).then_some(columns));
        }
    }
    Ok(since)
}

/// Returns the default of a column as records say it.
fn default(conn: &Connection, table: &str, column: &str, is_bytes: bool) -> Result<Value> {
    let sql = "SELECT dflt_value FROM pragma_table_info(?1) WHERE name = ?2";
    let said: Option<String> = conn.query_row(sql, [table, column], |row| row.get(0))?;
    let said = said.unwrap_or_else(|| "NULL".to_owned());
    // hex() makes a text of NULL, too.
    let value = if is_bytes { format!("iif({said} IS NULL, NULL, hex({said}))") } else { said };
    let text: String = conn.query_row(&format!("SELECT json_array({value})"), [], |row| row.get(0))?;
    Ok(serde_json::from_str::<[Value; 1]>(&text).map_or(Value::Null, |[value]| value))
}

#[cfg(test)]
mod tests {
    use super::super::super::schema::STEPS;
    use super::*;

    #[test]
    fn steps_of_a_shared_store_only_add() {
        for step in FIRST..STEPS.len() as i64 {
            let [old, new] = [step, step + 1].map(|version| {
                let conn = Connection::open_in_memory().unwrap();
                build(&conn, 0, version).unwrap();
                conn
            });
            for table in shared_tables() {
                let now = every_column(&new, table).unwrap();
                for column in every_column(&old, table).unwrap() {
                    let is_same = |now: &&super::super::super::triggers::Column| {
                        (&now.name, now.is_bytes, now.is_key) == (&column.name, column.is_bytes, column.is_key)
                    };
                    assert!(now.iter().any(|now| is_same(&now)), "step {} changes {table}.{}", step + 1, column.name);
                }
            }
            // What a key says of its parent changes no row.
            let text = STEPS[usize::try_from(step).unwrap()].replace("ON DELETE ", "");
            for word in ["UPDATE ", "DELETE ", "DROP ", "RENAME "] {
                assert!(!text.contains(word), "step {}: nodes take it at different times: {word}", step + 1);
            }
        }
    }
}
