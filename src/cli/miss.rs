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
use wcas::requirement::Spec;
use wcas::{Error, Store, ops};

/// A specification that nothing matches, and what is near.
#[derive(Debug, Serialize)]
pub(super) struct Miss {
    spec: String,
    #[serde(flatten)]
    pub(super) near: Near,
}

/// Says which specifications mean nothing that is there, and what is near: where that is allowed, and may be a slip all the same.
pub(super) fn tell_absent(app: &App, store: &Store, filter: &Filter) -> Result<()> {
    for spec in &filter.specs {
        let one = Filter { specs: vec![spec.clone()], ..filter.clone() };
        if ops::list::list(store, &one)?.is_empty() {
            let Miss { spec, near } =
                of_wish(store, &filter.collections, &Wish::new(spec.clone(), filter.tags.clone()))?;
            app.note(&format!("nothing matches {spec} yet"));
            tell(app, &near);
        }
    }
    Ok(())
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
    let misses = missed(store, filter, &error)?;
    if misses.is_empty() {
        return Err(error);
    }
    document(&misses)?;
    for Miss { spec, near } in &misses {
        app.warn(&format!("wcas: nothing matches {spec}"));
        tell(app, near);
    }
    Ok(End::NotFound)
}

/// Tells an error of a command that changes something, and what is near to the specifications that it missed.
pub(super) fn beside(app: &App, store: &Store, filter: &Filter, error: Error) -> Result<End> {
    let misses = missed(store, filter, &error)?;
    if misses.is_empty() {
        return Err(error);
    }
    app.fail_near(&error, misses);
    Ok(End::NotFound)
}

/// Finds what is near to each specification of a filter that means nothing, where a command failed for one.
fn missed(store: &Store, filter: &Filter, error: &Error) -> Result<Vec<Miss>> {
    let Error::NoMatch(missed) = error else { return Ok(Vec::new()) };
    let mut misses = Vec::new();
    for spec in &filter.specs {
        // A blob that no collection lists has a digest all the same.
        if matches!(spec, Spec::Digest(_)) && !missed.starts_with(&spec.to_string()) {
            continue;
        }
        let one = Filter { specs: vec![spec.clone()], ..filter.clone() };
        if ops::list::list(store, &one)?.is_empty() {
            let wish = Wish::new(spec.clone(), filter.tags.clone());
            misses.push(of_wish(store, &filter.collections, &wish)?);
        }
    }
    Ok(misses)
}

/// Finds what is near to a wish that was missed.
pub(super) fn of_wish(store: &Store, collections: &[RevisionSpec], wish: &Wish) -> Result<Miss> {
    Ok(Miss { spec: wish.spec.to_string(), near: ops::lookup::near_to(store, collections, wish)? })
}

/// Finds what is near to a wish that a view doesn't meet.
pub(super) fn of_view(store: &Store, shown: &Shown, wish: &Wish) -> Result<Miss> {
    Ok(Miss { spec: wish.spec.to_string(), near: ops::lookup::near_in_view(store, shown, wish)? })
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
