//! What is said where nothing was found: why, and what is near.

use super::End;
use super::app::App;
use serde::Serialize;
use wcas::catalog::at::RevisionSpec;
use wcas::catalog::near::{LeftOut, Near};
use wcas::catalog::search::Filter;
use wcas::catalog::view_contents::Shown;
use wcas::catalog::wish::Wish;
use wcas::error::Result;
use wcas::name::ProjectName;
use wcas::requirement::Spec;
use wcas::{Error, Store, ops};

/// A specification that nothing matches, and what is near.
#[derive(Serialize)]
pub(super) struct Miss {
    spec: String,
    #[serde(flatten)]
    pub(super) near: Near,
}

/// Says what is near, below the line that says what was missed.
pub(super) fn tell(app: &App, near: &Near) {
    near.lines().iter().for_each(|line| app.note(&format!("  {line}")));
}

/// Says the same without what notes have said already, or of files whose bytes are bad.
pub(super) fn tell_rest(app: &App, near: &Near, notes: &[String], unusable: &[String]) {
    let is_told =
        |file: &LeftOut| unusable.contains(&file.filename) || notes.iter().any(|note| note.ends_with(&file.reason));
    near.lines_but(is_told).iter().for_each(|line| app.note(&format!("  {line}")));
}

/// Tells what a filter's specifications missed, where a command failed for that; any other error stays one. `document` prints what
/// the command answers then.
pub(super) fn of_filter(
    app: &App,
    store: &Store,
    filter: &Filter,
    error: Error,
    document: impl FnOnce(&[Miss]) -> Result<()>,
) -> Result<End> {
    let Error::NoMatch(missed) = &error else { return Err(error) };
    let mut misses = Vec::new();
    for spec in &filter.specs {
        // A blob that no collection lists has a digest all the same.
        if matches!(spec, Spec::Digest(_)) && spec.to_string() != *missed {
            continue;
        }
        let one = Filter { specs: vec![spec.clone()], ..filter.clone() };
        if ops::list::list(store, &one)?.is_empty() {
            let wish = Wish::new(spec.clone(), filter.tags.clone());
            misses.push(of_wish(store, &filter.collections, &wish)?);
        }
    }
    document(&misses)?;
    for Miss { spec, near } in &misses {
        app.warn(&format!("wcas: nothing matches {spec}"));
        tell(app, near);
    }
    if misses.is_empty() { Err(error) } else { Ok(End::NotFound) }
}

/// Finds what is near to a wish that was missed.
pub(super) fn of_wish(store: &Store, collections: &[RevisionSpec], wish: &Wish) -> Result<Miss> {
    Ok(Miss { spec: wish.spec.to_string(), near: ops::lookup::near_to(store, collections, wish)? })
}

/// Finds what is near to a project that a view hasn't got.
pub(super) fn of_view(store: &Store, shown: &Shown, project: &ProjectName) -> Result<Miss> {
    Ok(Miss { spec: project.to_string(), near: ops::lookup::near_in_view(store, shown, project)? })
}

impl Miss {
    /// Tells it, or prints it as the document of this name; the error itself is told already.
    pub(super) fn tell(&self, app: &App, document: &str) -> Result<End> {
        if app.json {
            app.report(document, self, |_| Ok(()))?;
        }
        tell(app, &self.near);
        Ok(End::NotFound)
    }
}
