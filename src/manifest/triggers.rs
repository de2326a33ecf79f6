//! The triggers that see what changes, so that no change can be forgotten by whoever writes it.
//!
//! They are made from the schema itself, for every table that isn't named here: a new table, or a new column, is in the log unless
//! somebody says why not. What a transaction changed is in `change` until its commit makes records of it.

use super::Result;
use rusqlite::Connection;

/// Where what a table says is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrueOf {
    /// Of the store, whatever machine has it.
    Shared,
    /// Of this folder alone.
    Here,
}

/// All tables: where each is true, whether the log tells of its rows, and why. One that isn't here is told of, and fails the tests.
const TABLES: [(TrueOf, bool, &str, &[&str]); 7] = [
    (
        TrueOf::Shared,
        true,
        "trust, content and settings",
        &[
            "blob",
            "block",
            "collection",
            "entry",
            "fallback",
            "meta",
            "node",
            "pin",
            "project_status",
            "publisher",
            "publisher_into",
            "remote",
            "reservation",
            "revision_signature",
            "route_override",
            "snapshot",
            "token",
            "token_into",
            "variant",
            "variant_requirement",
            "webhook",
        ],
    ),
    (TrueOf::Shared, false, "the log itself", &["record"]),
    (
        TrueOf::Shared,
        false,
        "numbers that only an entry gives a meaning",
        &["operation", "revision", "distribution", "metadata", "variant_json"],
    ),
    (
        TrueOf::Shared,
        false,
        "what keeps history, and follows from content or from what others said once and for all",
        &[
            "view",
            "view_source",
            "inspection",
            "owned_project",
            "exchanged",
            "remote_list",
            "remote_list_file",
            "write_back",
            "build_run",
            "build_run_file",
            "doomed",
            "delivery",
        ],
    ),
    (TrueOf::Here, true, "bytes of this folder that went bad", &["file", "quarantine"]),
    (
        TrueOf::Here,
        false,
        "running commands, uses, counts",
        &[
            "change",
            "here",
            "session",
            "hold",
            "seen",
            "token_use",
            "view_shown",
            "lookup_count",
            "remote_count",
            "download",
        ],
    ),
    (
        TrueOf::Here,
        false,
        "what can be found or asked for again",
        &[
            "remote_health",
            "remote_page",
            "remote_failure",
            "remote_refusal",
            "remote_metadata",
            "remote_first_seen",
            "want",
        ],
    ),
];

/// Columns that say nothing for the log, or must not: secrets, numbers of rows, what moves with each use.
const UNSEEN_COLUMNS: [(&str, &[&str]); 9] = [
    ("collection", &["id", "revision", "complete_since", "created_at"]),
    ("entry", &["id", "added", "removed", "removed_at", "uploaded_at"]),
    ("pin", &["id", "created_at"]),
    ("publisher", &["id"]),
    ("quarantine", &["id", "at"]),
    ("remote", &["id"]),
    ("revision_signature", &["signature", "signed_at", "text"]),
    ("token", &["digest", "created_at", "publisher_id"]),
    ("webhook", &["id"]),
];

/// The only keys of `meta` that are settings.
const META_SEEN: &str = "'default_collection'";

/// One column of a table.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) is_bytes: bool,
    pub(super) is_key: bool,
}

/// Returns the tables whose rows are true of the store, whatever machine has it.
pub(super) fn shared_tables() -> impl Iterator<Item = &'static str> {
    tables(TrueOf::Shared)
}

/// Returns the tables whose rows are true of this folder.
pub(super) fn tables_of_one_folder() -> impl Iterator<Item = &'static str> {
    tables(TrueOf::Here)
}

fn tables(of: TrueOf) -> impl Iterator<Item = &'static str> {
    TABLES.iter().filter(move |(place, ..)| *place == of).flat_map(|(.., names)| names.iter().copied())
}

/// Makes the triggers, in place of older ones.
pub(super) fn install(conn: &Connection) -> Result<()> {
    remove(conn)?;
    let mut sql = String::new();
    let mut tables =
        conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'")?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let is_told = |table: &&String| TABLES.iter().all(|(_, told, _, names)| *told || !names.contains(&table.as_str()));
    for table in tables.iter().filter(is_told) {
        sql.push_str(&match table.as_str() {
            "blob" => blob(),
            "file" => file(),
            "entry" => entry(&columns(conn, table)?),
            _ => whole(table, &columns(conn, table)?),
        });
    }
    sql.push_str(&collection(conn, &tables)?);
    sql.push_str(TOKEN_USE);
    Ok(conn.execute_batch(&sql)?)
}

/// Takes the triggers away: while the schema changes under them, or where nobody reads what they would tell.
pub(super) fn remove(conn: &Connection) -> Result<()> {
    let mut old = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name GLOB 'seen_*'")?;
    let old: Vec<String> = old.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let sql: String = old.iter().map(|name| format!("DROP TRIGGER {name};\n")).collect();
    Ok(conn.execute_batch(&sql)?)
}

/// A token's first use is worth a record, the others are not.
const TOKEN_USE: &str = "CREATE TRIGGER seen_token_used AFTER INSERT ON token_use BEGIN
    INSERT INTO change(subject, row, after) SELECT 'token use', id, json_object('id', id, 'name', name,
      'collection', collection, 'used_at', new.used_at, 'used_from', new.used_from) FROM token WHERE id = new.token_id; END;\n";

/// What goes with a collection goes before it: its name, which the records need, is there still.
fn collection(conn: &Connection, tables: &[String]) -> Result<String> {
    let mut statement = conn.prepare(
        "SELECT \"from\" FROM pragma_foreign_key_list(?1) WHERE \"table\" = 'collection' AND on_delete = 'CASCADE'",
    )?;
    let mut sql = "CREATE TRIGGER seen_collection_empties BEFORE DELETE ON collection BEGIN\n".to_owned();
    for table in tables {
        for column in statement.query_map([table], |row| row.get::<_, String>(0))? {
            sql.push_str(&format!("DELETE FROM {table} WHERE {} = old.id;\n", column?));
        }
    }
    Ok(sql + "END;\n")
}

/// Returns the columns of a table, in their order.
pub(super) fn every_column(conn: &Connection, table: &str) -> Result<Vec<Column>> {
    let mut statement = conn.prepare("SELECT name, type = 'BLOB', pk > 0 FROM pragma_table_info(?1)")?;
    let columns = statement
        .query_map([table], |row| Ok(Column { name: row.get(0)?, is_bytes: row.get(1)?, is_key: row.get(2)? }))?;
    Ok(columns.collect::<rusqlite::Result<_>>()?)
}

/// Returns the columns that count.
fn columns(conn: &Connection, table: &str) -> Result<Vec<Column>> {
    let unseen = UNSEEN_COLUMNS.iter().find(|(name, _)| *name == table).map_or(&[][..], |(_, columns)| columns);
    // What tells of a use moves with each.
    let counts = |column: &Column| !unseen.contains(&column.name.as_str()) && !column.name.starts_with("used_");
    let columns = every_column(conn, table)?.into_iter();
    Ok(columns.filter(|column| column.is_key || counts(column)).collect())
}

/// Returns the values of a row as JSON, with names and digests for numbers of rows.
fn values(table: &str, columns: &[Column], row: &str) -> String {
    let has_collection = columns.iter().any(|column| column.name == "collection_id");
    let is_told = |column: &&Column| match column.name.as_str() {
        "id" => table == "token",
        // Told by the collection's row.
        "collection" => !has_collection,
        _ => true,
    };
    let fields = columns.iter().filter(is_told).map(|Column { name, is_bytes, .. }| match name.as_str() {
        "collection_id" | "fallback_id" | "remote_id" => {
            let (stem, of) = (name.trim_end_matches("_id"), name.replace("fallback", "collection"));
            format!("'{stem}', (SELECT name FROM {} WHERE id = {row}.{name})", of.trim_end_matches("_id"))
        }
        "publisher_id" => format!("'name', (SELECT name FROM publisher WHERE id = {row}.publisher_id)"),
        "token_id" => format!("'id', {row}.token_id, 'name', (SELECT name FROM token WHERE id = {row}.token_id)"),
        "blob_id" => format!(
            "'sha256', (SELECT lower(hex(sha256)) FROM blob WHERE id = {row}.blob_id), \
             'filename', (SELECT min(filename) FROM distribution WHERE blob_id = {row}.blob_id)"
        ),
        // As the command line says it.
        "accelerators" => {
            format!("'{name}', CASE {row}.{name} WHEN '' THEN 'none' ELSE coalesce({row}.{name}, 'any') END")
        }
        _ if *is_bytes => format!("'{name}', lower(hex({row}.{name}))"),
        _ => format!("'{name}', {row}.{name}"),
    });
    format!("json_object({})", fields.collect::<Vec<_>>().join(", "))
}

/// Returns the triggers of a table whose rows count as they are.
fn whole(table: &str, columns: &[Column]) -> String {
    let keys: Vec<&Column> = columns.iter().filter(|column| column.is_key).collect();
    let key = |row: &str| {
        let names: Vec<String> = keys.iter().map(|column| format!("{row}.{}", column.name)).collect();
        // A table without a key of its own has SQLite's.
        if names.is_empty() { format!("{row}.rowid") } else { format!("json_array({})", names.join(", ")) }
    };
    let (old, new) = (values(table, columns, "old"), values(table, columns, "new"));
    let when = |row: &str| if table == "meta" { format!("WHEN {row}.key IN ({META_SEEN})") } else { String::new() };
    let gone = match table {
        // What ended by itself is told by the record of its making.
        "token" => "WHEN old.publisher IS NULL".to_owned(),
        "token_into" => "WHEN (SELECT publisher FROM token WHERE id = old.token_id) IS NULL".to_owned(),
        _ => when("old"),
    };
    let changed = columns.iter().map(|Column { name, .. }| format!("old.{name} IS NOT new.{name}"));
    let changed = changed.collect::<Vec<_>>().join(" OR ");
    let changed = if table == "meta" { format!("old.key IN ({META_SEEN}) AND ({changed})") } else { changed };
    let insert = format!("INSERT INTO change(subject, row, before, after) VALUES('{table}'");
    format!(
        "CREATE TRIGGER seen_{table}_added AFTER INSERT ON {table} {} BEGIN {insert}, {}, NULL, {new}); END;
         CREATE TRIGGER seen_{table}_changed AFTER UPDATE ON {table} WHEN {changed} BEGIN {insert}, {}, {old}, {new}); END;
         CREATE TRIGGER seen_{table}_deleted BEFORE DELETE ON {table} {} BEGIN {insert}, {}, {old}, NULL); END;\n",
        when("new"),
        key("new"),
        key("old"),
        gone,
        key("old"),
    )
}

/// Returns the triggers of entries, of which only the live ones are content.
fn entry(columns: &[Column]) -> String {
    let change = |row: &str, before: bool| {
        let own = columns.iter().filter(|column| !matches!(column.name.as_str(), "id" | "collection_id" | "blob_id"));
        let own: Vec<String> = own.map(|Column { name, .. }| format!("'{name}', {row}.{name}")).collect();
        let values = format!(
            "json_object('collection', c.name, 'project', d.project, 'sha256', lower(hex(b.sha256)), 'size', b.size, {})",
            own.join(", ")
        );
        let [old, new] = if before { [values.as_str(), "NULL"] } else { ["NULL", values.as_str()] };
        format!(
            "INSERT INTO change(subject, row, before, after)
             SELECT 'entry', json_array({row}.collection_id, {row}.filename), {old}, {new} FROM (SELECT 1)
             LEFT JOIN collection c ON c.id = {row}.collection_id LEFT JOIN blob b ON b.id = {row}.blob_id
             LEFT JOIN distribution d ON d.blob_id = {row}.blob_id AND d.filename = {row}.filename;"
        )
    };
    let (gone, come) = (change("old", true), change("new", false));
    let changed = columns.iter().map(|Column { name, .. }| format!("old.{name} IS NOT new.{name}"));
    let changed = changed.collect::<Vec<_>>().join(" OR ");
    format!(
        "CREATE TRIGGER seen_entry_added AFTER INSERT ON entry WHEN new.removed IS NULL BEGIN {come} END;
         CREATE TRIGGER seen_entry_removed AFTER UPDATE ON entry WHEN old.removed IS NULL AND new.removed IS NOT NULL BEGIN {gone} END;
         CREATE TRIGGER seen_entry_restored AFTER UPDATE ON entry WHEN old.removed IS NOT NULL AND new.removed IS NULL BEGIN {come} END;
         CREATE TRIGGER seen_entry_changed AFTER UPDATE ON entry WHEN old.removed IS NULL AND new.removed IS NULL AND ({changed})
         BEGIN {gone} {come} END;
         CREATE TRIGGER seen_entry_deleted BEFORE DELETE ON entry WHEN old.removed IS NULL BEGIN {gone} END;\n"
    )
}

/// Returns the values of a blob's row, which is in a trigger or in a statement, as JSON.
fn blob_values(row: &str, state: &str) -> String {
    format!(
        "json_object('sha256', lower(hex({row}.sha256)), 'size', {row}.size, 'state', {state},
         'filename', (SELECT min(filename) FROM distribution WHERE blob_id = {row}.id))"
    )
}

/// Returns the trigger of blobs: that bytes are gone for good.
fn blob() -> String {
    format!(
        "CREATE TRIGGER seen_blob_deleted BEFORE DELETE ON blob BEGIN
           INSERT INTO change(subject, row, before) VALUES('blob', old.id, {}); END;\n",
        blob_values("old", "'deleting'"),
    )
}

/// Returns the trigger of files: that a blob's bytes were found bad, or came back.
fn file() -> String {
    format!(
        "CREATE TRIGGER seen_file_state AFTER UPDATE OF state ON file
         WHEN old.state IS NOT new.state AND (old.state = 'lost' OR new.state = 'lost') BEGIN
           INSERT INTO change(subject, row, before, after) SELECT 'blob', old.id, {}, {} FROM blob b WHERE b.id = old.id; END;\n",
        blob_values("b", "old.state"),
        blob_values("b", "new.state"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest, RecordFilter};
    use super::*;
    use std::time::Duration;

    fn manifest() -> (tempfile::TempDir, Manifest) {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest"), Access::Create, Duration::ZERO).unwrap();
        (dir, manifest)
    }

    fn kinds(manifest: &Manifest) -> Vec<String> {
        manifest.records(&RecordFilter::default()).unwrap().into_iter().map(|row| row.what.kind).collect()
    }

    #[test]
    fn a_table_and_a_column_that_nobody_thought_of_are_in_the_log() {
        let (_dir, manifest) = manifest();
        manifest.conn.execute_batch("CREATE TABLE novelty(name TEXT PRIMARY KEY, secret BLOB) STRICT").unwrap();
        manifest.conn.execute_batch("ALTER TABLE remote ADD COLUMN novelty TEXT").unwrap();
        install(&manifest.conn).unwrap();
        let transaction = manifest.write().unwrap();
        transaction.conn.execute_batch("INSERT INTO novelty VALUES('x', x'00ff')").unwrap();
        transaction.insert_collection(&"c".parse().unwrap(), 0).unwrap();
        transaction.conn.execute_batch("INSERT INTO remote(name, url, collection_id) VALUES('up', 'u', 1)").unwrap();
        transaction.commit().unwrap();
        let transaction = manifest.write().unwrap();
        transaction.conn.execute_batch("UPDATE novelty SET secret = NULL; UPDATE remote SET novelty = 'y'").unwrap();
        transaction.commit().unwrap();
        assert_eq!(kinds(&manifest), ["novelty", "collection", "remote", "novelty", "remote"]);
        let last = manifest.records(&RecordFilter::default()).unwrap().pop().unwrap();
        assert_eq!(
            (last.what.before.as_deref(), last.what.after.as_deref()),
            (Some("{\"novelty\":null}"), Some("{\"novelty\":\"y\"}"))
        );
    }

    fn tables(manifest: &Manifest) -> Vec<String> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name";
        let mut statement = manifest.conn.prepare(sql).unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.collect::<rusqlite::Result<_>>().unwrap()
    }

    #[test]
    fn each_table_is_true_of_the_store_or_of_this_folder() {
        let (_dir, manifest) = manifest();
        let places = |table: &str| -> Vec<TrueOf> {
            TABLES.iter().filter(|(.., names)| names.contains(&table)).map(|(place, ..)| *place).collect()
        };
        let tables = tables(&manifest);
        for table in &tables {
            assert_eq!(places(table).len(), 1, "{table} needs one place in TABLES: Shared or Here");
        }
        for table in TABLES.iter().flat_map(|(.., names)| *names) {
            assert!(tables.iter().any(|name| name == table), "there is no table {table}");
        }
        // What is true everywhere can't rest on what is true of one folder.
        for table in tables.iter().filter(|table| places(table) == [TrueOf::Shared]) {
            let mut keys = manifest.conn.prepare("SELECT \"table\" FROM pragma_foreign_key_list(?1)").unwrap();
            let parents = keys.query_map([table], |row| row.get::<_, String>(0)).unwrap();
            for parent in parents.map(std::result::Result::unwrap) {
                assert_eq!(places(&parent), [TrueOf::Shared], "{table} is shared, and refers to {parent}");
            }
        }
    }

    #[test]
    fn what_is_left_out_exists() {
        let (_dir, manifest) = manifest();
        for (table, columns) in UNSEEN_COLUMNS {
            for column in columns {
                let sql = format!("SELECT {column} FROM {table}");
                assert!(manifest.conn.prepare(&sql).is_ok(), "there is no {table}.{column}");
            }
        }
    }

    #[test]
    fn a_transaction_that_is_dropped_leaves_no_record() {
        let (_dir, manifest) = manifest();
        let transaction = manifest.write().unwrap();
        transaction.insert_collection(&"c".parse().unwrap(), 0).unwrap();
        drop(transaction);
        assert!(kinds(&manifest).is_empty());
        manifest.write_relaxed(|transaction| transaction.insert_collection(&"d".parse().unwrap(), 0)).unwrap();
        assert_eq!(kinds(&manifest), ["collection"]);
        let waiting: i64 = manifest.conn.query_row("SELECT count(*) FROM change", [], |row| row.get(0)).unwrap();
        assert_eq!(waiting, 0);
    }
}
