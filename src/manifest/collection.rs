//! Collections, their revisions and snapshots, and the operations that made them.

use super::types::{joined, list, row_id};
use super::{CollectionId, Result, Rows, Transaction};
use crate::name::CollectionName;
use crate::requirement::ProjectPattern;
use crate::wheel::accelerator::Accelerator;
use rusqlite::{OptionalExtension, Row, named_params};

row_id! {
    /// An operation's row: one command that changed collections.
    OperationId
}

impl OperationId {
    /// Returns the number that people see.
    pub fn number(self) -> i64 {
        self.0
    }

    /// Takes the number that people see.
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }
}

/// The rules of a collection that drop references; `None`: no such rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Retention {
    /// Keep this many builds of each project, version, tags and build suffix.
    pub keep_builds: Option<u32>,
    /// Keep this many versions of each project.
    pub keep_versions: Option<u32>,
    /// Drop what no lookup gave for this many seconds.
    pub unused_for: Option<i64>,
    /// Drop the least recently used until the rest has at most this many bytes.
    pub max_bytes: Option<u64>,
}

/// What a collection holds of wheels that are bound to accelerators.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Guard {
    /// The accelerators that it may hold; `None`: anything goes, empty: none.
    pub accelerators: Option<Vec<Accelerator>>,
    /// Whether it only warns of others, instead of refusing them.
    pub is_warning: bool,
    /// Whether wheels that merely carry device code count, too.
    pub is_strict: bool,
}

/// What people say of a collection, but for its fallbacks.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct CollectionSettings {
    /// Its rules for gc.
    pub retention: Retention,
    /// What it holds of wheels that are bound to accelerators.
    pub guard: Guard,
    /// Whether views of it leave its variant wheels out.
    pub hides_variants: bool,
    /// Whether an upload may give a filename that was removed other bytes.
    pub reuses_filenames: bool,
    /// What its cache endpoint offers; `None`: the defaults.
    #[serde(rename = "cache")]
    pub cache_rules: Option<String>,
    /// Patterns of projects for which strangers' remotes are asked, though it owns them.
    #[serde(rename = "open")]
    pub open_projects: Vec<ProjectPattern>,
}

/// A collection's row.
#[derive(Debug, Clone)]
pub struct CollectionRow {
    /// The row.
    pub id: CollectionId,
    /// Its name.
    pub name: CollectionName,
    /// The newest revision; 0: nothing happened yet.
    pub revision: i64,
    /// Revisions before this one have lost entries to gc, snapshots excepted.
    pub complete_since: i64,
    /// When it was created.
    pub created_at: i64,
    /// What people say of it.
    pub settings: CollectionSettings,
}

impl RevisionRow {
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get("number")?,
            operation: row.get("operation_id")?,
            at: row.get("at")?,
            kind: row.get("kind")?,
            what: row.get("what")?,
            who: row.get("who")?,
            undone_by: row.get("undone_by")?,
            added: row.get("added")?,
            removed: row.get("removed")?,
        })
    }
}

impl CollectionRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let has_guard = row.get::<_, Option<String>>("accelerators")?.is_some();
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            revision: row.get("revision")?,
            complete_since: row.get("complete_since")?,
            created_at: row.get("created_at")?,
            settings: CollectionSettings {
                retention: Retention {
                    keep_builds: row.get("keep_builds")?,
                    keep_versions: row.get("keep_versions")?,
                    unused_for: row.get("unused_for")?,
                    max_bytes: row.get::<_, Option<i64>>("max_bytes")?.map(i64::cast_unsigned),
                },
                guard: Guard {
                    accelerators: if has_guard { Some(list(row, "accelerators", ',')?) } else { None },
                    is_warning: row.get::<_, String>("guard")? == "warn",
                    is_strict: row.get("guard_strict")?,
                },
                hides_variants: row.get("hide_variants")?,
                reuses_filenames: row.get("reuse_filenames")?,
                cache_rules: row.get("cache_rules")?,
                open_projects: list(row, "open_projects", ',')?,
            },
        })
    }
}

/// A revision with the operation that made it.
#[derive(Debug, Clone)]
pub struct RevisionRow {
    /// The revision's number.
    pub number: i64,
    /// The operation.
    pub operation: OperationId,
    /// When.
    pub at: i64,
    /// The operation's kind: "import", "invalidate", …
    pub kind: String,
    /// What was asked.
    pub what: String,
    /// Who asked.
    pub who: String,
    /// The operation that took it back.
    pub undone_by: Option<OperationId>,
    /// How many entries were added.
    pub added: i64,
    /// How many entries were removed.
    pub removed: i64,
}

/// A snapshot's row.
#[derive(Debug, Clone)]
pub struct SnapshotRow {
    /// Its name.
    pub name: String,
    /// The revision that it keeps.
    pub revision: i64,
    /// When it was made.
    pub created_at: i64,
}

impl Rows {
    /// Returns the collection with this name.
    pub fn find_collection(&self, name: &CollectionName) -> Result<Option<CollectionRow>> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM collection WHERE name = ?1")?;
        Ok(statement.query_row([name], CollectionRow::from_row).optional()?)
    }

    /// Returns all collections by name.
    pub fn collections(&self) -> Result<Vec<CollectionRow>> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM collection ORDER BY name")?;
        let rows = statement.query_map([], CollectionRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns a collection's fallbacks in their order.
    pub fn fallbacks(&self, collection: CollectionId) -> Result<Vec<CollectionRow>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT c.* FROM fallback f JOIN collection c ON c.id = f.fallback_id WHERE f.collection_id = ?1 ORDER BY f.position",
        )?;
        let rows = statement.query_map([collection], CollectionRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the revisions of a collection, newest first.
    pub fn revisions(&self, collection: CollectionId) -> Result<Vec<RevisionRow>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT r.number, r.operation_id, r.added, r.removed, o.at, o.kind, o.what, o.who, o.undone_by
             FROM revision r JOIN operation o ON o.id = r.operation_id WHERE r.collection_id = ?1 ORDER BY r.number DESC",
        )?;
        let rows = statement.query_map([collection], RevisionRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns a collection's snapshots by name.
    pub fn snapshots(&self, collection: CollectionId) -> Result<Vec<SnapshotRow>> {
        let sql = "SELECT name, revision, created_at FROM snapshot WHERE collection_id = ?1 ORDER BY name";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([collection], |row| {
            Ok(SnapshotRow {
                name: row.get("name")?,
                revision: row.get("revision")?,
                created_at: row.get("created_at")?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the newest operation of one of these kinds that was not undone.
    pub fn last_operation(&self, kinds: [&str; 2]) -> Result<Option<OperationId>> {
        let sql = "SELECT max(id) FROM operation WHERE kind IN (?1, ?2) AND undone_by IS NULL";
        Ok(self.conn.prepare_cached(sql)?.query_row(kinds, |row| row.get(0))?)
    }

    /// Returns an operation's kind, its words, and whether it was undone.
    pub fn operation(&self, id: OperationId) -> Result<Option<(String, String, bool)>> {
        let sql = "SELECT kind, what, undone_by IS NOT NULL FROM operation WHERE id = ?1";
        let mut statement = self.conn.prepare_cached(sql)?;
        Ok(statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?)
    }

    /// Returns how many live entries a collection has.
    pub fn live_count(&self, collection: CollectionId) -> Result<u64> {
        let sql = "SELECT count(*) FROM entry WHERE collection_id = ?1 AND removed IS NULL";
        Ok(self.conn.prepare_cached(sql)?.query_row([collection], |row| row.get::<_, i64>(0))?.cast_unsigned())
    }
}

impl Transaction<'_> {
    /// Creates a collection.
    pub fn insert_collection(&self, name: &CollectionName, now: i64) -> Result<CollectionId> {
        let sql = "INSERT INTO collection(name, created_at) VALUES(?1, ?2)";
        Ok(CollectionId(self.conn.prepare_cached(sql)?.insert((name, now))?))
    }

    /// Deletes a collection with its entries and history; what only it referenced is left to gc.
    pub fn delete_collection(&self, id: CollectionId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM collection WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// Sets what people say of a collection.
    pub fn set_collection_settings(&self, id: CollectionId, settings: &CollectionSettings) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE collection SET keep_builds = :keep_builds, keep_versions = :keep_versions, unused_for = :unused_for,
               max_bytes = :max_bytes, accelerators = :accelerators, guard = :guard, guard_strict = :guard_strict,
               hide_variants = :hide_variants, reuse_filenames = :reuse_filenames, cache_rules = :cache_rules,
               open_projects = :open_projects WHERE id = :id",
        )?;
        let CollectionSettings { retention, guard, .. } = settings;
        statement.execute(named_params! {
            ":id": id, ":keep_builds": retention.keep_builds, ":keep_versions": retention.keep_versions,
            ":unused_for": retention.unused_for, ":max_bytes": retention.max_bytes.map(u64::cast_signed),
            ":accelerators": guard.accelerators.as_ref().map(|accelerators| joined(accelerators, ",")),
            ":guard": if guard.is_warning { "warn" } else { "refuse" }, ":guard_strict": guard.is_strict,
            ":hide_variants": settings.hides_variants, ":reuse_filenames": settings.reuses_filenames,
            ":cache_rules": settings.cache_rules, ":open_projects": joined(&settings.open_projects, ","),
        })?;
        Ok(())
    }

    /// Sets a collection's fallbacks, in this order.
    pub fn set_fallbacks(&self, id: CollectionId, fallbacks: &[CollectionId]) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM fallback WHERE collection_id = ?1")?.execute([id])?;
        let sql = "INSERT INTO fallback(collection_id, position, fallback_id) VALUES(?1, ?2, ?3)";
        for (position, fallback) in fallbacks.iter().enumerate() {
            self.conn.prepare_cached(sql)?.execute((id, position as i64, fallback))?;
        }
        Ok(())
    }

    /// Starts an operation.
    pub fn insert_operation(&self, kind: &str, what: &str, who: &str, now: i64) -> Result<OperationId> {
        *self.operation.borrow_mut() = Some(kind.to_owned());
        let sql = "INSERT INTO operation(at, kind, what, who) VALUES(?1, ?2, ?3, ?4)";
        Ok(OperationId(self.conn.prepare_cached(sql)?.insert((now, kind, what, who))?))
    }

    /// Records that an operation was undone by another.
    pub fn set_undone(&self, id: OperationId, by: OperationId) -> Result<()> {
        self.conn.prepare_cached("UPDATE operation SET undone_by = ?2 WHERE id = ?1")?.execute((id, by))?;
        Ok(())
    }

    /// Makes a revision the collection's newest. Its entries carry the number already: the constraint is the transaction.
    pub fn insert_revision(
        &self,
        collection: CollectionId,
        number: i64,
        operation: OperationId,
        added: usize,
        removed: usize,
    ) -> Result<()> {
        let sql = "UPDATE collection SET revision = ?2 WHERE id = ?1";
        self.conn.prepare_cached(sql)?.execute((collection, number))?;
        let sql =
            "INSERT INTO revision(collection_id, number, operation_id, added, removed) VALUES(?1, ?2, ?3, ?4, ?5)";
        self.conn.prepare_cached(sql)?.execute((collection, number, operation, added as i64, removed as i64))?;
        Ok(())
    }

    /// Keeps a revision whole under a name. Returns false when the name is taken.
    pub fn insert_snapshot(&self, collection: CollectionId, name: &str, revision: i64, now: i64) -> Result<bool> {
        let sql = "INSERT INTO snapshot(collection_id, name, revision, created_at) VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        Ok(self.conn.prepare_cached(sql)?.execute((collection, name, revision, now))? == 1)
    }

    /// Lets a snapshot go. Returns whether there was one.
    pub fn delete_snapshot(&self, collection: CollectionId, name: &str) -> Result<bool> {
        let sql = "DELETE FROM snapshot WHERE collection_id = ?1 AND name = ?2";
        Ok(self.conn.prepare_cached(sql)?.execute((collection, name))? == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Access, Manifest};
    use std::time::Duration;

    #[test]
    fn settings_come_back_as_they_were_set() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.sqlite");
        let manifest = Manifest::open(&path, Access::Create, Duration::from_secs(5)).unwrap();
        let transaction = manifest.write().unwrap();
        let name: CollectionName = "shared".parse().unwrap();
        let shared = transaction.insert_collection(&name, 1).unwrap();
        let read = || transaction.find_collection(&name).unwrap().unwrap().settings;
        assert_eq!(read(), CollectionSettings::default());
        for accelerators in [None, Some(vec![]), Some(vec![Accelerator::Cuda, Accelerator::Rocm])] {
            let settings = CollectionSettings {
                retention: Retention { keep_builds: Some(2), max_bytes: Some(u64::MAX / 2), ..Retention::default() },
                guard: Guard { accelerators, is_warning: true, is_strict: true },
                hides_variants: true,
                reuses_filenames: true,
                cache_rules: Some("local=drop".to_owned()),
                open_projects: vec!["acme-*".parse().unwrap()],
            };
            transaction.set_collection_settings(shared, &settings).unwrap();
            assert_eq!(read(), settings);
        }
    }
}
