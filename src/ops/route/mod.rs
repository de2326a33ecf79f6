//! `route`: where a variant's new distributions go, and the rows that say so.

use crate::catalog::at::collection_row;
use crate::catalog::ownership::{OwnProjects, find_override};
use crate::catalog::search_order::{self, SearchOrder};
use crate::error::{Error, Result};
use crate::intake::route::{Decision, Router, Rule, Subject};
use crate::manifest::{RouteOverride, Rows, Strategy, VariantRequirement, VariantRow};
use crate::name::{CollectionName, ProjectName};
use crate::store::Store;
use crate::words::counted;
use serde::Serialize;

/// What `route set` changes: `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct VariantSettings {
    /// The projects that are the variant's own; `Some(None)` takes the set away, which an empty one doesn't.
    pub requirements: Option<Option<Vec<VariantRequirement>>>,
    /// Whether the accelerator that a file is bound to may decide.
    pub is_detecting: Option<bool>,
    /// How its merged view is put together.
    pub strategy: Option<Strategy>,
    /// Whether pure wheels of its own projects may be shared.
    pub shares_pure: Option<bool>,
}

/// A variant as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct VariantReport {
    /// Its name, which is its collection's, too.
    pub name: CollectionName,
    /// Whether there is that collection.
    pub has_collection: bool,
    /// The projects that are its own; `None`: it has no set.
    pub requirements: Option<Vec<VariantRequirement>>,
    /// Whether the accelerator that a file is bound to may decide.
    pub detect: bool,
    /// How its merged view is put together.
    pub strategy: Strategy,
    /// Whether pure wheels of its own projects may be shared.
    pub shares_pure: bool,
    /// The collections that are searched, in order.
    pub order: Vec<CollectionName>,
    /// Its own overrides, and those for all variants that hold for it.
    pub overrides: Vec<RouteOverride>,
}

/// All that routes.
#[derive(Debug, Clone, Serialize)]
pub struct RoutesReport {
    /// The collection that takes what no rule sends elsewhere.
    pub default: CollectionName,
    /// The variants.
    pub variants: Vec<VariantReport>,
    /// All overrides.
    pub overrides: Vec<RouteOverride>,
}

/// Where a project's files of a variant go, and where they are looked for.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainReport {
    /// The variant.
    pub variant: CollectionName,
    /// The project.
    pub project: ProjectName,
    /// Where it goes, and why.
    #[serde(flatten)]
    pub decision: Decision,
    /// Whether there is that collection.
    pub has_collection: bool,
    /// The collections that are searched for it, in order.
    pub order: Vec<CollectionName>,
}

/// Reads what decides for a variant.
pub fn router(store: &Store, name: &CollectionName, own: &OwnProjects) -> Result<Router> {
    Router::read(&*store.manifest.read()?, name, own)
}

/// Makes a variant, or changes one.
pub fn set_variant(store: &Store, name: &CollectionName, settings: VariantSettings) -> Result<VariantReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let mut row = transaction.find_variant(name)?.unwrap_or_else(|| VariantRow::new(name.clone()));
    row.has_requirements = settings.requirements.as_ref().map_or(row.has_requirements, Option::is_some);
    row.is_detecting = settings.is_detecting.unwrap_or(row.is_detecting);
    row.strategy = settings.strategy.unwrap_or(row.strategy);
    row.shares_pure = settings.shares_pure.unwrap_or(row.shares_pure);
    transaction.put_variant(&row)?;
    if let Some(set) = settings.requirements {
        transaction.set_variant_requirements(name, &set.unwrap_or_default())?;
    }
    let report = report(&transaction, row)?;
    transaction.commit()?;
    Ok(report)
}

/// Deletes a variant with its requirements and overrides; its collection stays.
pub fn delete_variant(store: &Store, name: &CollectionName) -> Result<VariantReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let report = report(&transaction, variant_row(&transaction, name)?)?;
    transaction.delete_variant(name)?;
    transaction.commit()?;
    Ok(report)
}

/// Sends a project to a collection that there is, for one variant or for all.
pub fn set_override(
    store: &Store,
    project: &ProjectName,
    variant: Option<&CollectionName>,
    collection: &CollectionName,
) -> Result<RouteOverride> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = collection_row(&transaction, collection)?;
    transaction.put_override(project, variant, row.id)?;
    transaction.commit()?;
    Ok(RouteOverride { project: project.clone(), variant: variant.cloned(), collection: collection.clone() })
}

/// Takes an override away, and returns it.
pub fn remove_override(
    store: &Store,
    project: &ProjectName,
    variant: Option<&CollectionName>,
) -> Result<RouteOverride> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let is_it = |row: &RouteOverride| row.project == *project && row.variant.as_ref() == variant;
    let Some(found) = transaction.overrides()?.into_iter().find(is_it) else {
        let whose = variant.map_or_else(|| "all variants".to_owned(), |name| format!("variant {name}"));
        return Err(Error::NoSuch(format!("override of {project} for {whose}")));
    };
    transaction.delete_override(project, variant)?;
    transaction.commit()?;
    Ok(found)
}

/// Changes the collection that takes what no rule sends elsewhere, and tells whether it is there: if not, the first import that needs
/// it makes it.
pub fn set_default_collection(store: &Store, name: &CollectionName) -> Result<bool> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    transaction.set_default_collection(name)?;
    let is_there = transaction.find_collection(name)?.is_some();
    transaction.commit()?;
    Ok(is_there)
}

/// Tells all that routes.
pub fn routes(store: &Store) -> Result<RoutesReport> {
    let rows = store.manifest.read()?;
    Ok(RoutesReport {
        default: rows.default_collection()?,
        variants: rows.variants()?.into_iter().map(|row| report(&rows, row)).collect::<Result<_>>()?,
        overrides: rows.overrides()?,
    })
}

/// Tells what is said of a variant.
pub fn show_variant(store: &Store, name: &CollectionName) -> Result<VariantReport> {
    let rows = store.manifest.read()?;
    report(&rows, variant_row(&rows, name)?)
}

/// Tells where a project's files would go, by which rule, and what else was considered.
pub fn explain(store: &Store, router: &Router, subject: &Subject<'_>) -> Result<ExplainReport> {
    let rows = store.manifest.read()?;
    let (mut decision, project) = (router.decide(subject), subject.project);
    if let (Some(bound), Some(row)) = (subject.bound, rows.find_collection(&decision.collection)?)
        && let Some(admitted) = row.settings.guard.accelerators.filter(|_| !row.settings.guard.is_warning)
        && let Some(foreign) = bound.iter().find(|own| !admitted.contains(own))
    {
        let objection = format!("{} doesn't admit what is bound to {foreign}", row.name);
        decision = router.decide_refused(&decision, bound, &objection).unwrap_or(decision);
    }
    let has_collection = match decision.rule {
        // Only this one is never made: the other collections are when there are none.
        Rule::Override => collection_row(&rows, &decision.collection).map(|_| true)?,
        _ => rows.find_collection(&decision.collection)?.is_some(),
    };
    let order = search_order::order(&rows, router.variant(), Some(project))?;
    Ok(ExplainReport {
        variant: router.variant().clone(),
        project: project.clone(),
        decision,
        has_collection,
        order: order.into_iter().map(|row| row.name).collect(),
    })
}

fn variant_row(rows: &Rows, name: &CollectionName) -> Result<VariantRow> {
    if let Some(row) = rows.find_variant(name)? {
        return Ok(row);
    }
    let known: Vec<String> = rows.variants()?.into_iter().map(|row| row.name.to_string()).collect();
    let known =
        if known.is_empty() { "there are none yet".to_owned() } else { format!("there are {}", known.join(", ")) };
    Err(Error::NoSuch(format!("variant {name}: {known}")))
}

fn report(rows: &Rows, row: VariantRow) -> Result<VariantReport> {
    let all = rows.overrides()?;
    // Of the overrides for all, those that the variant has none of its own for.
    let holds = |found: &&RouteOverride| find_override(&all, &row.name, &found.project) == Some(*found);
    let overrides = all.iter().filter(holds).cloned().collect();
    Ok(VariantReport {
        has_collection: rows.find_collection(&row.name)?.is_some(),
        requirements: if row.has_requirements { Some(rows.variant_requirements(&row.name)?) } else { None },
        detect: row.is_detecting,
        strategy: row.strategy,
        shares_pure: row.shares_pure,
        order: SearchOrder::read(rows, &row.name)?.base().iter().map(|row| row.name.clone()).collect(),
        overrides,
        name: row.name,
    })
}

impl VariantReport {
    /// Returns its set of requirements in words.
    pub fn requirements_in_words(&self) -> String {
        match &self.requirements {
            None => "none".to_owned(),
            Some(set) if set.is_empty() => "an empty set".to_owned(),
            Some(set) => counted(set.len(), "project"),
        }
    }
}
