//! What a transaction changes of shared rows, seen by temporary triggers that are made from the schema: no writer can forget to tell.

use super::super::Result;
use super::super::triggers::{Column, every_column, shared_tables};
use rusqlite::Connection;

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

/// Writes what was collected as the elements of a JSON array, and forgets it. Returns whether there was anything.
///
/// SQLite has made JSON of the rows already: an import of many thousands is in memory once.
pub(super) fn take(conn: &Connection, into: &mut Vec<u8>) -> Result<bool> {
    let mut statement = conn.prepare_cached("SELECT subject, key, row FROM captured ORDER BY number")?;
    let mut rows = statement.query([])?;
    let mut is_first = true;
    while let Some(row) = rows.next()? {
        let text = |column| -> Result<Option<&str>> {
            Ok(row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?)
        };
        into.extend_from_slice(if is_first { b"{\"table\":\"" } else { b",{\"table\":\"" });
        into.extend_from_slice(text(0)?.unwrap_or_default().as_bytes());
        into.push(b'"');
        for (name, column) in [(&b",\"key\":"[..], 1), (b",\"row\":", 2)] {
            if let Some(json) = text(column)? {
                into.extend_from_slice(name);
                into.extend_from_slice(json.as_bytes());
            }
        }
        into.push(b'}');
        is_first = false;
    }
    drop(rows);
    drop(statement);
    clear(conn)?;
    Ok(!is_first)
}

/// Forgets what was collected.
pub(super) fn clear(conn: &Connection) -> Result<()> {
    conn.prepare_cached("DELETE FROM captured")?.execute([])?;
    Ok(())
}
