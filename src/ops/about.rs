//! What a view is: where it looks, what it is made of, what happened to it lately, what is kept of it.

use super::remote::RemoteReport;
use crate::catalog::at::resolve;
use crate::catalog::search_order::SearchOrder;
use crate::catalog::view_contents::{Shown, strategy_of};
use crate::error::{Error, Result};
use crate::manifest::{CollectionRow, OperationRow, Rows, SnapshotRow, Strategy};
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;

/// So many of the newest revisions are told.
const REVISIONS: u32 = 15;

/// What a view is.
#[derive(Debug, Clone)]
pub struct AboutView {
    /// The revision that an `@` stands for; `None`: what is true now.
    pub at: Option<i64>,
    /// The collections that are searched, the nearest first; of an `@` the collection alone.
    pub order: Vec<CollectionRow>,
    /// The projects that are looked for in a collection of their own first.
    pub overrides: Vec<(ProjectName, CollectionName)>,
    /// How several collections are put together.
    pub strategy: Strategy,
    /// The collection of that name; `None`: a variant without one.
    pub own: Option<CollectionRow>,
    /// The newest revisions of that collection, newest first.
    pub revisions: Vec<OperationRow>,
    /// The snapshots of that collection.
    pub snapshots: Vec<SnapshotRow>,
    /// The remotes that are asked, in their order; of an `@` none.
    pub remotes: Vec<RemoteReport>,
}

/// Tells what a view is; `None`: there is no such view.
pub fn about(store: &Store, shown: &Shown) -> Result<Option<AboutView>> {
    let rows = store.manifest.read()?;
    match shown {
        Shown::Collection { name, at } => {
            let Some(row) = rows.find_collection(name)? else { return Ok(None) };
            let revision = match resolve(&rows, &row, at.as_deref()) {
                Ok(revision) => revision,
                Err(Error::NoRevision { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let view = of_own(&rows, Some(row.clone()))?;
            Ok(Some(AboutView { at: Some(revision), order: vec![row], ..view }))
        }
        Shown::Variant { name, sense, strategy, .. } => {
            let Some(order) = SearchOrder::of_name(&rows, name, *sense)? else { return Ok(None) };
            let mut remotes = Vec::new();
            for row in order.all() {
                remotes.extend(rows.remotes_of(row.id)?.into_iter().map(RemoteReport::from));
            }
            let overridden = order.overridden().map(|(project, row)| (project.clone(), row.name.clone()));
            Ok(Some(AboutView {
                overrides: overridden.collect(),
                strategy: strategy_of(&rows, name, *strategy)?,
                order: order.base().to_vec(),
                remotes,
                ..of_own(&rows, rows.find_collection(name)?)?
            }))
        }
    }
}

fn of_own(rows: &Rows, own: Option<CollectionRow>) -> Result<AboutView> {
    let (mut revisions, mut snapshots) = (Vec::new(), Vec::new());
    if let Some(row) = &own {
        revisions = rows.recent_revisions(row.id, REVISIONS)?;
        snapshots = rows.snapshots(row.id)?;
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse((snapshot.revision, snapshot.created_at)));
    }
    let (at, order, overrides, remotes) = (None, Vec::new(), Vec::new(), Vec::new());
    Ok(AboutView { at, order, overrides, strategy: Strategy::Nearest, own, revisions, snapshots, remotes })
}
