//! How new distributions of a variant are routed: variants, the projects that are their own, and overrides.

use super::types::text_column;
use super::{CollectionId, Result, Rows, Transaction};
use crate::name::{CollectionName, ProjectName};
use rusqlite::{OptionalExtension, Row};

text_column! {
    /// How a merged view puts together what several collections have of a project.
    Strategy {
        /// The nearest collection that has the project hides it in all others.
        Nearest = "nearest",
        /// All files are listed; of one filename, the nearest.
        Union = "union",
    }
}

/// A variant's row; its own collection is the one of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantRow {
    /// Its name.
    pub name: CollectionName,
    /// Whether it has a set of requirements: an empty one is a set, too.
    pub has_requirements: bool,
    /// Whether the accelerator that a file is bound to may decide.
    pub is_detecting: bool,
    /// How its merged view is put together.
    pub strategy: Strategy,
    /// Whether pure wheels of its own projects may be shared.
    pub shares_pure: bool,
}

impl VariantRow {
    /// Returns a variant as it is before anything was said of it.
    pub fn new(name: CollectionName) -> Self {
        Self { name, has_requirements: false, is_detecting: false, strategy: Strategy::Nearest, shares_pure: false }
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get("name")?,
            has_requirements: row.get("has_requirements")?,
            is_detecting: row.get("is_detecting")?,
            strategy: row.get("strategy")?,
            shares_pure: row.get("shares_pure")?,
        })
    }
}

/// A project that is a variant's own.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VariantRequirement {
    /// The project.
    pub project: ProjectName,
    /// The requirement as it was written.
    pub requirement: String,
}

/// A project's collection, whatever else is said.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RouteOverride {
    /// The project.
    pub project: ProjectName,
    /// For this variant only; `None`: for all that have none of their own.
    pub variant: Option<CollectionName>,
    /// The collection.
    pub collection: CollectionName,
}

/// No variant has this name: it stands in rows for all of them.
const ALL: &str = "";

fn column(variant: Option<&CollectionName>) -> &str {
    variant.map_or(ALL, CollectionName::as_str)
}

impl Rows {
    /// Returns the variant with this name.
    pub fn find_variant(&self, name: &CollectionName) -> Result<Option<VariantRow>> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM variant WHERE name = ?1")?;
        Ok(statement.query_row([name], VariantRow::from_row).optional()?)
    }

    /// Returns all variants by name.
    pub fn variants(&self) -> Result<Vec<VariantRow>> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM variant ORDER BY name")?;
        let rows = statement.query_map([], VariantRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns what a variant's set says of a project.
    pub fn variant_requirement(
        &self,
        variant: &CollectionName,
        project: &ProjectName,
    ) -> Result<Option<VariantRequirement>> {
        let sql = "SELECT requirement FROM variant_requirement WHERE variant = ?1 AND project = ?2";
        let requirement = self.conn.prepare_cached(sql)?.query_row((variant, project), |row| row.get(0)).optional()?;
        Ok(requirement.map(|requirement| VariantRequirement { project: project.clone(), requirement }))
    }

    /// Returns the projects that are a variant's own, by name.
    pub fn variant_requirements(&self, variant: &CollectionName) -> Result<Vec<VariantRequirement>> {
        let sql = "SELECT project, requirement FROM variant_requirement WHERE variant = ?1 ORDER BY project";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([variant], |row| {
            Ok(VariantRequirement { project: row.get("project")?, requirement: row.get("requirement")? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns all overrides by project; of one project, the one for all variants first.
    pub fn overrides(&self) -> Result<Vec<RouteOverride>> {
        let sql = "SELECT o.project, nullif(o.variant, '') AS variant, c.name AS collection
                   FROM route_override o JOIN collection c ON c.id = o.collection_id ORDER BY o.project, o.variant";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            Ok(RouteOverride {
                project: row.get("project")?,
                variant: row.get("variant")?,
                collection: row.get("collection")?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the collection that takes what no rule sends elsewhere; it may not exist yet.
    pub fn default_collection(&self) -> Result<CollectionName> {
        let mut statement = self.conn.prepare_cached("SELECT value FROM meta WHERE key = 'default_collection'")?;
        let found = statement.query_row([], |row| row.get("value")).optional()?;
        Ok(found.unwrap_or_else(CollectionName::shared))
    }
}

impl Transaction<'_> {
    /// Records a variant, or changes it.
    pub fn put_variant(&self, row: &VariantRow) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO variant(name, has_requirements, is_detecting, strategy, shares_pure) VALUES(?1, ?2, ?3, ?4, ?5)
             ON CONFLICT(name) DO UPDATE SET has_requirements = excluded.has_requirements,
               is_detecting = excluded.is_detecting, strategy = excluded.strategy, shares_pure = excluded.shares_pure",
        )?;
        statement.execute((&row.name, row.has_requirements, row.is_detecting, row.strategy, row.shares_pure))?;
        Ok(())
    }

    /// Replaces the projects that are a variant's own.
    pub fn set_variant_requirements(&self, variant: &CollectionName, set: &[VariantRequirement]) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM variant_requirement WHERE variant = ?1")?.execute([variant])?;
        let sql =
            "INSERT INTO variant_requirement(variant, project, requirement) VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING";
        for row in set {
            self.conn.prepare_cached(sql)?.execute((variant, &row.project, &row.requirement))?;
        }
        Ok(())
    }

    /// Deletes a variant with its requirements and overrides; its collection stays. Returns whether there was one.
    pub fn delete_variant(&self, variant: &CollectionName) -> Result<bool> {
        self.conn.prepare_cached("DELETE FROM route_override WHERE variant = ?1")?.execute([variant])?;
        Ok(self.conn.prepare_cached("DELETE FROM variant WHERE name = ?1")?.execute([variant])? == 1)
    }

    /// Deletes all variants and overrides, to be put anew.
    pub fn delete_routes(&self) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM route_override")?.execute([])?;
        self.conn.prepare_cached("DELETE FROM variant")?.execute([])?;
        Ok(())
    }

    /// Sends a project to a collection, for one variant or for all.
    pub fn put_override(
        &self,
        project: &ProjectName,
        variant: Option<&CollectionName>,
        collection: CollectionId,
    ) -> Result<()> {
        let sql = "INSERT INTO route_override(project, variant, collection_id) VALUES(?1, ?2, ?3)
                   ON CONFLICT(project, variant) DO UPDATE SET collection_id = excluded.collection_id";
        self.conn.prepare_cached(sql)?.execute((project, column(variant), collection))?;
        Ok(())
    }

    /// Lets a project go where the other rules send it. Returns whether there was an override.
    pub fn delete_override(&self, project: &ProjectName, variant: Option<&CollectionName>) -> Result<bool> {
        let sql = "DELETE FROM route_override WHERE project = ?1 AND variant = ?2";
        Ok(self.conn.prepare_cached(sql)?.execute((project, column(variant)))? == 1)
    }

    /// Changes the collection that takes what no rule sends elsewhere.
    pub fn set_default_collection(&self, name: &CollectionName) -> Result<()> {
        self.set_meta("default_collection", name.as_str())
    }
}
