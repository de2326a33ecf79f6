//! Which entries of a collection a statement is about: those that are live, or those of a revision.

use crate::manifest::{CollectionId, Result, Rows};
use rusqlite::Row;

/// Which entries of a collection are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those that are not removed.
    Live,
    /// Those of a revision.
    At(i64),
}

/// The two statements of a selection of a collection's entries: of those that are live, and of those of a revision.
macro_rules! in_scope {
    ($($select:tt)*) => {
        [
            concat!($($select)*, "e.removed IS NULL"),
            concat!($($select)*, "e.added <= ?2 AND (e.removed IS NULL OR e.removed > ?2)"),
        ]
    };
}
pub(in crate::manifest) use in_scope;

impl Rows {
    /// Shows the rows of a selection, `in_scope`, one by one.
    pub(in crate::manifest) fn each_in_scope(
        &self,
        [live, at]: [&'static str; 2],
        collection: CollectionId,
        scope: Scope,
        mut show: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<()> {
        let mut statement;
        let mut rows = match scope {
            Scope::Live => {
                statement = self.conn.prepare_cached(live)?;
                statement.query([collection])?
            }
            Scope::At(revision) => {
                statement = self.conn.prepare_cached(at)?;
                statement.query((collection, revision))?
            }
        };
        while let Some(row) = rows.next()? {
            show(row)?;
        }
        Ok(())
    }
}
