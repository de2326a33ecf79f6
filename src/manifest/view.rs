//! Trees on disk: where they are, and which revisions their generations show.

use super::types::{row_id, text_column};
use super::{CollectionId, Result, Rows, Transaction};
use crate::name::ProjectName;
use rusqlite::{OptionalExtension, Row};
use std::collections::BTreeSet;

row_id! {
    /// A view's row.
    ViewId
}

text_column! {
    /// How the files of a tree are arranged.
    Layout {
        /// The pages of PEP 503, each project's files beside its page.
        Simple = "simple",
        /// All files in one folder.
        Flat = "flat",
    }
}

text_column! {
    /// How the files of a tree have their bytes.
    LinkKind {
        /// A relative symbolic link to the blob.
        Symlink = "symlink",
        /// A hard link to the blob.
        Hardlink = "hardlink",
        /// A clone, where the filesystem can; else a copy.
        Reflink = "reflink",
        /// A copy.
        Copy = "copy",
    }
}

/// A tree on disk.
#[derive(Debug, Clone)]
pub struct ViewRow {
    /// The row.
    pub id: ViewId,
    /// Its folder.
    pub path: String,
    /// Its layout.
    pub layout: Layout,
    /// Its links.
    pub link: LinkKind,
    /// The generation that readers see; 0: none yet.
    pub generation: i64,
    /// The store's own folder when it was made.
    pub store: String,
    /// How many files it shows.
    pub files: usize,
    /// How many projects it shows.
    pub projects: usize,
    /// The folder's count of losses when it was made; `None`: something was left out of it.
    pub losses: Option<i64>,
    /// A digest of all that it shows; `None`: not known yet.
    pub digest: Option<String>,
}

macro_rules! select_views {
    ($rest:literal) => {
        concat!(
            "SELECT view.*, coalesce(generation, 0) AS generation, coalesce(files, 0) AS files, coalesce(projects, 0) AS projects, losses, digest
             FROM view LEFT JOIN view_shown ON view_id = id ",
            $rest
        )
    };
}

/// Returns what the paths of a node's views begin with; a store of one machine has no node.
pub(super) fn own_views(node: Option<i64>) -> String {
    node.map(|node| format!("{node}:")).unwrap_or_default()
}

impl ViewRow {
    /// Takes what tells whose folder it is from a path: on a node of a shared store its number and a colon come first. Paths are absolute.
    fn bare(path: String) -> String {
        path.split_once(':')
            .filter(|(node, _)| node.parse::<i64>().is_ok())
            .map(|(_, bare)| bare.to_owned())
            .unwrap_or(path)
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            path: Self::bare(row.get("path")?),
            layout: row.get("layout")?,
            link: row.get("link")?,
            generation: row.get("generation")?,
            store: row.get("store")?,
            files: row.get::<_, i64>("files")? as usize,
            projects: row.get::<_, i64>("projects")? as usize,
            losses: row.get("losses")?,
            digest: row.get("digest")?,
        })
    }
}

impl Rows {
    /// Returns what the paths of this folder's own views begin with.
    fn view_prefix(&self) -> Result<String> {
        Ok(own_views(self.node()?))
    }

    /// Returns the view of a folder.
    pub fn find_view(&self, path: &str) -> Result<Option<ViewRow>> {
        let mut statement = self.conn.prepare_cached(select_views!("WHERE path = ?1"))?;
        Ok(statement.query_row([self.view_prefix()? + path], ViewRow::from_row).optional()?)
    }

    /// Returns all views, on a node its own.
    pub fn views(&self) -> Result<Vec<ViewRow>> {
        let mut statement = self.conn.prepare_cached(select_views!("WHERE path GLOB ?1 ORDER BY path"))?;
        let rows = statement.query_map([self.view_prefix()? + "/*"], ViewRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the collections and revisions that a generation shows.
    pub fn view_sources(&self, view: ViewId, generation: i64) -> Result<Vec<(CollectionId, i64)>> {
        let sql = "SELECT collection_id, revision FROM view_source WHERE view_id = ?1 AND generation = ?2 ORDER BY 1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map((view, generation), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the projects of which entries came or went since a revision that a view shows; `None`: it changed in other ways, too.
    pub fn changed_projects(&self, collection: CollectionId, since: i64) -> Result<Option<BTreeSet<ProjectName>>> {
        let sql =
            "SELECT EXISTS(SELECT 1 FROM revision WHERE collection_id = ?1 AND number > ?2 AND added + removed = 0)";
        if self.conn.prepare_cached(sql)?.query_row((collection, since), |row| row.get(0))? {
            return Ok(None);
        }
        // Rows are numbered as they come: those that came since are the last ones of the collection.
        let sql = "WITH known(id) AS MATERIALIZED (
                       SELECT id FROM entry WHERE +collection_id = ?1 AND added <= ?2 ORDER BY id DESC LIMIT 1),
                   changed AS (
                       SELECT blob_id, filename FROM entry
                       WHERE id > coalesce((SELECT id FROM known), 0) AND +collection_id = ?1
                       UNION ALL
                       SELECT blob_id, filename FROM entry WHERE collection_id = ?1 AND removed > ?2)
                   SELECT DISTINCT d.project FROM changed JOIN distribution d USING(blob_id, filename)";
        let mut statement = self.conn.prepare_cached(sql)?;
        let projects = statement.query_map((collection, since), |row| row.get(0))?;
        Ok(Some(projects.collect::<rusqlite::Result<_>>()?))
    }

    /// Returns the folders of the views that show a collection.
    pub fn views_of(&self, collection: CollectionId) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT w.path FROM view_source v JOIN view w ON w.id = v.view_id WHERE v.collection_id = ?1 ORDER BY 1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([collection], |row| row.get(0))?;
        rows.map(|path| self.tell_view(path?)).collect()
    }

    /// Returns a view's path as it is told: on a node whose, where it is another's.
    pub(super) fn tell_view(&self, path: String) -> Result<String> {
        let own = self.view_prefix()?;
        Ok(match path.split_once(':') {
            Some((_, bare)) if path.starts_with(&own) && !own.is_empty() => bare.to_owned(),
            Some((node, bare)) if node.parse::<i64>().is_ok() => format!("{bare} of node {node}"),
            _ => path,
        })
    }

    /// Returns the newest generation that was begun, finished or not.
    pub fn last_generation(&self, view: ViewId) -> Result<i64> {
        let sql = "SELECT max(coalesce((SELECT generation FROM view_shown WHERE view_id = ?1), 0),
                   coalesce((SELECT max(generation) FROM view_source WHERE view_id = ?1), 0))";
        Ok(self.conn.prepare_cached(sql)?.query_row([view], |row| row.get(0))?)
    }
}

impl Transaction<'_> {
    /// Records a tree, or its new layout and links.
    pub fn insert_view(&self, path: &str, store: &str, layout: Layout, link: LinkKind) -> Result<ViewId> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO view(path, store, layout, link) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(path)
             DO UPDATE SET store = excluded.store, layout = excluded.layout, link = excluded.link RETURNING id",
        )?;
        let view = statement.query_row((self.view_prefix()? + path, store, layout, link), |row| row.get(0))?;
        self.conn.prepare_cached("UPDATE view_shown SET losses = NULL WHERE view_id = ?1")?.execute([view])?;
        Ok(view)
    }

    /// Records what a generation will show, before its first link is made.
    pub fn insert_view_source(
        &self,
        view: ViewId,
        generation: i64,
        collection: CollectionId,
        revision: i64,
    ) -> Result<()> {
        let sql = "INSERT INTO view_source(view_id, generation, collection_id, revision) VALUES(?1, ?2, ?3, ?4)";
        self.conn.prepare_cached(sql)?.execute((view, generation, collection, revision))?;
        Ok(())
    }

    /// Records that readers see a generation of so many files and projects, and that nothing of any other is left.
    pub fn set_generation(
        &self,
        view: ViewId,
        generation: i64,
        (files, projects): (usize, usize),
        losses: Option<i64>,
        digest: &str,
    ) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO view_shown(view_id, generation, files, projects, losses, digest)
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
        self.conn.prepare_cached(sql)?.execute((view, generation, files as i64, projects as i64, losses, digest))?;
        let sql = "DELETE FROM view_source WHERE view_id = ?1 AND generation <> ?2";
        self.conn.prepare_cached(sql)?.execute((view, generation))?;
        Ok(())
    }

    /// Forgets a tree: what it kept is kept no longer.
    pub fn delete_view(&self, view: ViewId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM view WHERE id = ?1")?.execute([view])?;
        Ok(())
    }
}
