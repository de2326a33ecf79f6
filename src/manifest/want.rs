//! What builders asked for in vain.

use super::{Result, Rows, Transaction};
use crate::budget;
use crate::name::{CollectionName, ProjectName};
use rusqlite::named_params;

/// A project that was asked for, and wasn't there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantRow {
    /// The collection or variant that was asked.
    pub variant: CollectionName,
    /// The project.
    pub project: ProjectName,
    /// How often.
    pub count: u64,
    /// When first, in seconds since 1970.
    pub first_at: i64,
    /// When last.
    pub last_at: i64,
}

impl Rows {
    /// Returns what was asked for, most often first.
    pub fn wants(&self) -> Result<Vec<WantRow>> {
        let sql = "SELECT * FROM want ORDER BY count DESC, variant, project";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            Ok(WantRow {
                variant: row.get("variant")?,
                project: row.get("project")?,
                count: row.get::<_, i64>("count")?.cast_unsigned(),
                first_at: row.get("first_at")?,
                last_at: row.get("last_at")?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Transaction<'_> {
    /// Counts that a project was asked for.
    pub fn add_want(&self, variant: &CollectionName, project: &ProjectName, count: u64, now: i64) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO want(variant, project, count, first_at, last_at) VALUES(:variant, :project, :count, :now, :now)
             ON CONFLICT DO UPDATE SET count = count + :count, last_at = :now",
        )?;
        statement.execute(named_params! {
            ":variant": variant, ":project": project, ":count": count.cast_signed(), ":now": now,
        })?;
        Ok(())
    }

    /// Forgets what nobody asked for since a time.
    pub fn forget_old_wants(&self, before: i64) -> Result<usize> {
        Ok(self.conn.prepare_cached("DELETE FROM want WHERE last_at < ?1")?.execute([before])?)
    }

    /// Forgets a variant's oldest where there are too many; anybody may ask for any name.
    pub fn trim_wants(&self, variant: &CollectionName) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "DELETE FROM want WHERE variant = ?1 AND project IN
               (SELECT project FROM want WHERE variant = ?1 ORDER BY last_at DESC, count DESC LIMIT -1 OFFSET ?2)",
        )?;
        statement.execute((variant, budget::WANTS.limit.cast_signed()))?;
        Ok(())
    }

    /// Forgets a want.
    pub fn forget_want(&self, variant: &CollectionName, project: &ProjectName) -> Result<()> {
        let sql = "DELETE FROM want WHERE variant = ?1 AND project = ?2";
        self.conn.prepare_cached(sql)?.execute((variant, project))?;
        Ok(())
    }
}
