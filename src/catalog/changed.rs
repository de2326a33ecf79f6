//! What a collection's pages list differently at two revisions, a project at a time: what both have alike is never in memory at once.

use super::at::{collection_row, resolve};
use super::view_contents::Withholding;
use crate::error::Result;
use crate::manifest::{Entry, Rows};
use crate::name::{CollectionName, ProjectName};

/// Shows each project of which a collection has other entries at two revisions, by name, with what its pages list of it at both. Returns
/// the revisions' numbers.
pub(crate) fn each_changed(
    rows: &Rows,
    name: &CollectionName,
    asked: [&str; 2],
    mut show: impl FnMut(ProjectName, [Vec<Entry>; 2]),
) -> Result<[i64; 2]> {
    let row = collection_row(rows, name)?;
    let revisions = [resolve(rows, &row, Some(asked[0]))?, resolve(rows, &row, Some(asked[1]))?];
    let [low, high] = if revisions[0] < revisions[1] { revisions } else { [revisions[1], revisions[0]] };
    let withholding = Withholding::read(rows, vec![&row])?;
    for project in rows.projects_changed(row.id, low, high)? {
        let listed = |revision| -> Result<Vec<Entry>> {
            Ok(withholding.listed(rows.project_entries_at(row.id, &project, revision)?, &row))
        };
        let both = [listed(revisions[0])?, listed(revisions[1])?];
        show(project, both);
    }
    Ok(revisions)
}
