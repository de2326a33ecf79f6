//! What a token's uploads reach: its own collection, those that routes may lead to beside it, and of both its projects only.
//!
//! Asked in the transaction that makes the entry, by rows: a token that was revoked while its file came, or whose collection made way
//! for another of that name, reaches nothing.

use super::{ImportPolicy, IncomingFile, Objection};
use crate::error::Result;
use crate::manifest::{NamedCollection, Rows, TokenRow};
use crate::name::CollectionName;

/// What an upload may do where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenReach {
    /// Whatever its wishes say.
    Own,
    /// Add what isn't there.
    Beside,
}

/// Tells what an item may do in the collection that it is routed to, or what is against it.
pub(super) fn reach(
    rows: &Rows,
    terms: ImportPolicy,
    item: &IncomingFile,
) -> Result<std::result::Result<TokenReach, Objection>> {
    let ImportPolicy::Upload { token: Some(id), .. } = terms else { return Ok(Ok(TokenReach::Own)) };
    let Some(token) = rows.token(id)?.filter(|token| token.revoked_at.is_none()) else {
        return Ok(Err(Objection::Forbidden("the token was revoked meanwhile".to_owned())));
    };
    let (collection, project) = (&item.decision.collection, item.name.project());
    if !token.projects.is_empty() && !token.projects.iter().any(|pattern| pattern.matches(project)) {
        let patterns: Vec<String> = token.projects.iter().map(ToString::to_string).collect();
        let (name, patterns) = (&token.name, patterns.join(", "));
        let text = format!("the token {name} uploads {patterns} only: {project} takes one with --project {project}");
        return Ok(Err(Objection::Forbidden(text)));
    }
    let Some(own) = &token.collection else { return Ok(Ok(TokenReach::Own)) };
    let target = rows.find_collection(collection)?.map(|row| row.id);
    Ok(match target {
        Some(id) if token.collection_id == Some(id) => Ok(TokenReach::Own),
        Some(id) if token.into.iter().any(|place| place.id == id) => Ok(TokenReach::Beside),
        _ => Err(Objection::Forbidden(astray(&token, own, item))),
    })
}

/// Says that a collection has other bytes, and that a token may not put its own in their place.
pub(super) fn not_replaced(collection: &CollectionName, filename: &str) -> Objection {
    let text = format!(
        "{collection} has other bytes as {filename}: only a token of {collection} itself, with the scope admin, replaces them"
    );
    Objection::Forbidden(text)
}

fn astray(token: &TokenRow, own: &CollectionName, item: &IncomingFile) -> String {
    let (collection, filename, name) = (&item.decision.collection, item.name.as_str(), &token.name);
    let places: Vec<String> = std::iter::once(own)
        .chain(token.into.iter().map(|NamedCollection { name, .. }| name))
        .map(ToString::to_string)
        .collect();
    let advice = match &token.publisher {
        Some(publisher) => format!("the publisher {publisher} needs `--into {collection}` (`wcas publisher add`)"),
        None => format!("`wcas token create --collection {own} --into {collection} --scope upload` makes one that may"),
    };
    format!(
        "{filename} goes to {collection} ({}), and the token {name} uploads to {} only: {advice}",
        item.decision.reason,
        places.join(", "),
    )
}
