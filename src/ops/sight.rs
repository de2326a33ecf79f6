//! `why`, `show --variant`: what became of each file in the collections that a variant searches.

use crate::catalog::merge::Fate;
use crate::catalog::ownership::{OwnProjects, Ownership};
use crate::catalog::search::{self, Filter};
use crate::catalog::search_order::SearchOrder;
use crate::catalog::view_contents::{fates, strategy_of};
use crate::catalog::wish::Wish;
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::manifest::Strategy;
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;
use crate::supply::{self, RemoteSight};
use crate::wheel::BuildTag;
use serde::Serialize;

/// A file of a collection that a variant searches, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct SeenFile {
    /// The collection.
    pub collection: CollectionName,
    /// The filename.
    pub filename: String,
    /// The project.
    pub project: ProjectName,
    /// The version, normalised.
    pub version: String,
    /// A wheel's build tag.
    pub build_tag: Option<BuildTag>,
    /// Its SHA-256 digest.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size: u64,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What a variant sees of some projects.
#[derive(Debug, Clone, Serialize)]
pub struct SightReport {
    /// The variant.
    pub variant: CollectionName,
    /// How its view is put together.
    pub strategy: Strategy,
    /// The collections that it searches for a project without an override, in order.
    pub order: Vec<CollectionName>,
    /// The files, by project and nearness.
    pub files: Vec<SeenFile>,
    /// What remotes have, as far as is remembered, in the order in which they are asked.
    pub remotes: Vec<RemoteSight>,
}

/// Tells of each file in the collections that a variant searches whether it is listed, and if not, why.
pub fn sight(
    store: &Store,
    context: &Context<'_>,
    variant: &CollectionName,
    strategy: Option<Strategy>,
    own: &OwnProjects,
    filter: &Filter,
) -> Result<SightReport> {
    let rows = store.manifest.read()?;
    let order = SearchOrder::read(&rows, variant)?;
    let strategy = strategy_of(&rows, variant, strategy)?;
    let (mut files, mut remotes) = (Vec::new(), Vec::new());
    for spec in &filter.specs {
        let wish = Wish::new(spec.clone(), filter.tags.clone());
        let project = wish.project();
        let searched = match &project {
            Some(project) => order.of(project),
            None => order.all(),
        };
        let has_remotes = remotes.len();
        let own = Ownership::read(&rows, variant, own, project.as_ref())?;
        remotes.extend(supply::remotes_of(store, &searched, &own, &wish, context.now)?);
        // What hides a file may be of another version than is asked for: all of the project is looked at.
        let fates = fates(&rows, &order, &own, strategy, project.as_ref())?;
        let before = files.len();
        let meant = fates.into_iter().filter(|(entry, _)| search::is_meant(spec, entry) && wish.tags.matches(entry));
        files.extend(meant.map(|(entry, fate)| SeenFile {
            build_tag: entry.parsed_build_tag(),
            collection: entry.collection,
            filename: entry.filename,
            project: entry.project,
            version: entry.version,
            sha256: entry.sha256,
            size: entry.size,
            fate,
        }));
        if files.len() == before && remotes.len() == has_remotes {
            return Err(Error::NoMatch(format!("{spec} in what variant {variant} searches")));
        }
    }
    let order = order.base().iter().map(|row| row.name.clone()).collect();
    Ok(SightReport { variant: variant.clone(), strategy, order, files, remotes })
}
