//! The rows of routing as a file of settings has them: all read, all replaced.

use super::{CollectionId, Result, Rows, Strategy, Transaction};
use crate::name::{CollectionName, ProjectName};

/// How new distributions of a variant are routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantSettings {
    /// The variant, and its collection.
    pub name: CollectionName,
    /// Its own projects and how each was written; `None`: nothing was said, which is not an empty set.
    pub requirements: Option<Vec<(ProjectName, String)>>,
    /// Whether unlisted wheels go by the accelerator that they are bound to.
    pub is_detecting: bool,
    /// How its view is made.
    pub strategy: Strategy,
}

/// A project that goes to one collection whatever else is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideSettings {
    /// The project.
    pub project: ProjectName,
    /// The variant that it holds for; `None`: for all.
    pub variant: Option<CollectionName>,
    /// Where the project goes.
    pub collection: CollectionName,
}

impl Rows {
    /// Returns how each variant is routed, by name.
    pub fn variant_settings(&self) -> Result<Vec<VariantSettings>> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM variant ORDER BY name")?;
        let rows = statement.query_map([], |row| {
            Ok(VariantSettings {
                name: row.get("name")?,
                requirements: row.get::<_, bool>("has_requirements")?.then(Vec::new),
                is_detecting: row.get("is_detecting")?,
                strategy: row.get("strategy")?,
            })
        })?;
        let mut variants: Vec<VariantSettings> = rows.collect::<rusqlite::Result<_>>()?;
        let sql = "SELECT project, requirement FROM variant_requirement WHERE variant = ?1 ORDER BY project";
        let mut statement = self.conn.prepare_cached(sql)?;
        for variant in &mut variants {
            let Some(requirements) = &mut variant.requirements else { continue };
            let rows = statement.query_map([&variant.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            *requirements = rows.collect::<rusqlite::Result<_>>()?;
        }
        Ok(variants)
    }

    /// Returns all overrides, by project and variant.
    pub fn override_settings(&self) -> Result<Vec<OverrideSettings>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT o.project, nullif(o.variant, '') AS variant, c.name AS collection FROM route_override o
             JOIN collection c ON c.id = o.collection_id ORDER BY o.project, o.variant",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(OverrideSettings {
                project: row.get("project")?,
                variant: row.get("variant")?,
                collection: row.get("collection")?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Transaction<'_> {
    /// Replaces how all variants are routed.
    pub fn replace_variants(&self, variants: &[VariantSettings]) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM variant")?.execute([])?;
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO variant(name, has_requirements, is_detecting, strategy) VALUES(?1, ?2, ?3, ?4)",
        )?;
        let mut require = self
            .conn
            .prepare_cached("INSERT INTO variant_requirement(variant, project, requirement) VALUES(?1, ?2, ?3)")?;
        for variant in variants {
            let has_requirements = variant.requirements.is_some();
            insert.execute((&variant.name, has_requirements, variant.is_detecting, variant.strategy))?;
            for (project, requirement) in variant.requirements.iter().flatten() {
                require.execute((&variant.name, project, requirement))?;
            }
        }
        Ok(())
    }

    /// Replaces all overrides: a project, the variant that it holds for (none: for all), and where it goes.
    pub fn replace_overrides(&self, overrides: &[(&ProjectName, Option<&CollectionName>, CollectionId)]) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM route_override")?.execute([])?;
        let sql = "INSERT INTO route_override(project, variant, collection_id) VALUES(?1, ?2, ?3)";
        let mut insert = self.conn.prepare_cached(sql)?;
        for (project, variant, collection) in overrides {
            insert.execute((project, variant.map_or("", CollectionName::as_str), collection))?;
        }
        Ok(())
    }
}
