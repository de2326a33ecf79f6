//! What a transaction changes of shared rows, seen by temporary triggers that are made from the schema: no writer can forget to tell.

use super::super::Result;
use super::super::triggers::{Column, every_column, shared_tables};
use super::record::RowChange;
use rusqlite::{Connection, Row, types::Type};
use serde_json::{Map, Value};

/// Makes the triggers of this connection.
pub(super) fn install(conn: &Connection) -> Result<()> {
    let mut sql = "CREATE TEMP TABLE IF NOT EXISTS captured(
        number INTEGER PRIMARY KEY, subject TEXT NOT NULL, key TEXT, row TEXT) STRICT;\n"
        .to_owned();
    for table in shared_tables() {
        sql.push_str(&triggers(table, &every_column(conn, table)?));
    }
    Ok(conn.execute_batch(&sql)?)
}

fn triggers(table: &str, columns: &[Column]) -> String {
    let values = |row: &str, columns: &mut dyn Iterator<Item = &Column>| {
        let fields = columns.map(|Column { name, is_bytes, .. }| {
            // hex() makes a text of NULL, too.
            let value = if *is_bytes {
                format!("iif({row}.{name} IS NULL, NULL, hex({row}.{name}))")
            } else {
                format!("{row}.{name}")
            };
            format!("'{name}', {value}")
        });
        format!("json_object({})", fields.collect::<Vec<_>>().join(", "))
    };
    let key = values("old", &mut columns.iter().filter(|column| column.is_key));
    let row = values("new", &mut columns.iter());
    let differs = columns.iter().map(|Column { name, .. }| format!("old.{name} IS NOT new.{name}"));
    let differs = differs.collect::<Vec<_>>().join(" OR ");
    let insert = format!("INSERT INTO captured(subject, key, row) VALUES('{table}'");
    format!(
        "CREATE TEMP TRIGGER IF NOT EXISTS captured_{table}_added AFTER INSERT ON main.{table} BEGIN {insert}, NULL, {row}); END;
         CREATE TEMP TRIGGER IF NOT EXISTS captured_{table}_changed AFTER UPDATE ON main.{table} WHEN {differs} BEGIN {insert}, {key}, {row}); END;
         CREATE TEMP TRIGGER IF NOT EXISTS captured_{table}_deleted AFTER DELETE ON main.{table} BEGIN {insert}, {key}, NULL); END;\n"
    )
}

/// Returns what was collected, and forgets it.
pub(super) fn take(conn: &Connection) -> Result<Vec<RowChange>> {
    let mut statement = conn.prepare_cached("SELECT subject, key, row FROM captured ORDER BY number")?;
    let object = |row: &Row<'_>, column: usize| -> rusqlite::Result<Option<Map<String, Value>>> {
        let text: Option<String> = row.get(column)?;
        let unread = |error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error));
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(unread)
    };
    let changes = statement
        .query_map([], |row| Ok(RowChange { table: row.get(0)?, key: object(row, 1)?, row: object(row, 2)? }))?;
    let changes = changes.collect::<rusqlite::Result<Vec<_>>>()?;
    clear(conn)?;
    Ok(changes)
}

/// Forgets what was collected.
pub(super) fn clear(conn: &Connection) -> Result<()> {
    conn.prepare_cached("DELETE FROM captured")?.execute([])?;
    Ok(())
}
