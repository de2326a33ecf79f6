//! What is near a name that isn't there: a project's versions wherever they are, and names like it.

use super::{CollectionId, Result, Rows, Scope};
use crate::name::{CollectionName, ProjectName};
use rusqlite::types::Value;

impl Rows {
    /// Returns which versions of a project are in which collections, in no order; so many rows at the most.
    pub fn project_versions(&self, project: &ProjectName, most: u32) -> Result<Vec<(CollectionName, String)>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT DISTINCT c.name, d.version FROM distribution d
             JOIN entry e ON e.blob_id = d.blob_id AND e.filename = d.filename AND +e.removed IS NULL
             JOIN collection c ON c.id = e.collection_id
             WHERE d.project = ?1 LIMIT ?2",
        )?;
        let rows = statement.query_map((project, most), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns which of some names are projects of a collection: a probe of an index for each, whatever the store has.
    pub fn projects_among(&self, collection: CollectionId, scope: Scope, names: &[String]) -> Result<Vec<ProjectName>> {
        let names = serde_json::to_string(names).unwrap_or_default();
        let mut statement = self.conn.prepare_cached(
            "SELECT n.value FROM json_each(?2) n WHERE EXISTS (
               SELECT 1 FROM distribution d
               JOIN entry e ON e.blob_id = d.blob_id AND e.filename = d.filename
               WHERE d.project = n.value AND +e.collection_id = ?1 AND (CASE WHEN ?3 IS NULL THEN +e.removed IS NULL
                 ELSE e.added <= ?3 AND (e.removed IS NULL OR e.removed > ?3) END))",
        )?;
        let at = match scope {
            Scope::Live => None,
            Scope::At(revision) => Some(revision),
        };
        let rows = statement.query_map((collection, Value::Text(names), at), |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the names of projects that begin with a text, in order, whatever collections have them; so many at the most. From one
    /// name the index leads to the next, past all files of it.
    pub fn projects_beginning(&self, text: &str, most: u32) -> Result<Vec<ProjectName>> {
        let mut statement = self.conn.prepare_cached(
            "WITH RECURSIVE found(project) AS (
               SELECT min(project) FROM distribution WHERE project >= ?1 AND project < ?1 || '{'
               UNION ALL
               SELECT (SELECT min(project) FROM distribution WHERE project > found.project AND project < ?1 || '{')
               FROM found WHERE found.project IS NOT NULL LIMIT ?2)
             SELECT project FROM found WHERE project IS NOT NULL",
        )?;
        let rows = statement.query_map((text, most), |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
