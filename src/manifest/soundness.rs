//! Whether the manifest is sound: its pages, its indexes, its references and its words.

use super::{Access, Error, Manifest, Result, schema, triggers};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

impl Manifest {
    /// Asks SQLite whether the file is sound, and compares its schema with the one that this program writes; returns what is wrong.
    pub fn complaints(&self) -> Result<Vec<String>> {
        let mut lines = self.altered()?;
        // Not the quick one: it passes over indexes, and a lookup that goes by one finds less than there is.
        for check in ["PRAGMA integrity_check", "PRAGMA foreign_key_check"] {
            let mut statement = self.conn.prepare(check)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let text: String = row.get::<_, Option<String>>(0)?.unwrap_or_default();
                if text != "ok" {
                    lines.push(if check.contains("key") { format!("a row of {text} refers to nothing") } else { text });
                }
            }
        }
        lines.extend(self.parted()?);
        Ok(lines)
    }

    /// Opens a manifest that came from elsewhere, brings it up to date, and makes sure that its schema is the one that this program writes:
    /// else its maker's triggers and views would run in this store, whatever is done with it.
    pub fn open_foreign(path: &Path) -> Result<Self> {
        let manifest = Self::open(path, Access::Write, Duration::ZERO)?;
        if manifest.altered()?.is_empty() { Ok(manifest) } else { Err(Error::Altered(path.to_owned())) }
    }

    /// Compares the rows of files with those of their blobs, which say the same of digests and sizes.
    fn parted(&self) -> Result<Option<String>> {
        let sql = "SELECT count(*) FROM file f LEFT JOIN blob b ON b.id = f.id
                   WHERE iif(b.id IS NULL, f.state IN ('live', 'lost'), b.blake3 <> f.blake3 OR b.size <> f.size)";
        let count: i64 = self.conn.query_row(sql, [], |row| row.get(0))?;
        Ok((count > 0).then(|| format!("rows of files that are not those of their blobs: {count}")))
    }

    /// Compares the words of the schema: SQLite believes them, whatever a flipped bit has made of them.
    fn altered(&self) -> Result<Vec<String>> {
        let (right, found) = (right()?, definitions(&self.conn)?);
        let names = right.keys().chain(found.keys().filter(|name| !right.contains_key(*name)));
        let differs = names.filter(|name| right.get(*name) != found.get(*name));
        Ok(differs.map(|name| format!("the schema's words on {name:?} are not those that wcas writes")).collect())
    }
}

/// Returns the definitions that this program writes. To make them takes longer than all else of a small store: once for a process.
fn right() -> Result<&'static BTreeMap<String, String>> {
    static RIGHT: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    if let Some(right) = RIGHT.get() {
        return Ok(right);
    }
    let conn = Connection::open_in_memory()?;
    schema::build(&conn, 0, schema::version())?;
    triggers::install(&conn)?;
    let right = definitions(&conn)?;
    Ok(RIGHT.get_or_init(|| right))
}

/// Returns the definitions of tables, indexes and triggers by their names, without what `ALTER TABLE` may write in another way.
fn definitions(conn: &Connection) -> Result<BTreeMap<String, String>> {
    // What begins with `sqlite_` is SQLite's own: counts for its planner, indexes of constraints.
    let sql = "SELECT name, type || ' ' || tbl_name || ' ' || coalesce(sql, '')
               FROM main.sqlite_schema WHERE name NOT GLOB 'sqlite_*'";
    let mut statement = conn.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let is_kept = |c: &char| !c.is_whitespace() && *c != '"';
    let bare = |(name, text): (String, String)| (name, text.chars().filter(is_kept).collect());
    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().map(bare).collect())
}

#[cfg(test)]
mod tests {
    use super::super::schema::{NEWEST, STEPS};
    use super::*;

    #[test]
    fn a_manifest_from_elsewhere_brings_nothing_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest");
        drop(Manifest::open(&path, Access::Create, Duration::ZERO).unwrap());
        assert!(Manifest::open_foreign(&path).is_ok());
        for (sql, back) in [
            ("CREATE TRIGGER more AFTER INSERT ON token BEGIN DELETE FROM block; END", "DROP TRIGGER more"),
            ("CREATE VIEW more AS SELECT * FROM token", "DROP VIEW more"),
            ("CREATE TABLE more(a)", "DROP TABLE more"),
            ("ALTER TABLE block RENAME TO hidden", "ALTER TABLE hidden RENAME TO block"),
        ] {
            Connection::open(&path).unwrap().execute_batch(sql).unwrap();
            assert!(matches!(Manifest::open_foreign(&path), Err(Error::Altered(_))), "{sql}");
            Connection::open(&path).unwrap().execute_batch(back).unwrap();
        }
        assert!(Manifest::open_foreign(&path).is_ok());
    }

    #[test]
    fn the_newest_schema_is_what_all_steps_make() {
        let conn = Connection::open_in_memory().unwrap();
        STEPS.iter().for_each(|step| conn.execute_batch(step).unwrap());
        let sql = "SELECT sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*' ORDER BY rowid";
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let made: String = rows.map(|sql| format!("{};\n", sql.unwrap())).collect();
        let (_, written) = NEWEST.split_once("\n\n").unwrap();
        assert!(made == written, "schema/newest.sql has to say, below its first line and an empty one:\n{made}");
        // No step leaves a row in an empty manifest, which that would lack.
        let tables = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
        let names = { tables }.query_map([], |row| row.get::<_, String>(0)).unwrap().collect::<Vec<_>>();
        for name in names {
            let name = name.unwrap();
            let count: i64 = conn.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get(0)).unwrap();
            assert_eq!(count, 0, "{name}");
        }
    }
}
