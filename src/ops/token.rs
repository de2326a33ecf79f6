//! `token`: who may do what over HTTP.

use crate::catalog::search_order::is_known_in;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::manifest::{NamedCollection, NewToken, Rows, TokenId, TokenRow, TokenState, Transaction};
use crate::name::CollectionName;
use crate::requirement::ProjectPattern;
use crate::store::Store;
use crate::token::{Scope, Secret};
use serde::Serialize;

/// What a new token is to be.
#[derive(Debug, Clone)]
pub struct TokenOptions {
    /// Its name, for people: no other live token has it.
    pub name: String,
    /// The collection or variant that it is for; `None`: all.
    pub collection: Option<CollectionName>,
    /// Where routes may lead its uploads beside that.
    pub into: Vec<CollectionName>,
    /// The projects that it may upload; none: all.
    pub projects: Vec<ProjectPattern>,
    /// What it allows.
    pub scope: Scope,
    /// Whether it doesn't read, whatever its scope is.
    pub is_blind: bool,
    /// When it ends, in seconds since 1970.
    pub expires_at: Option<i64>,
}

/// A token, without its secret.
#[derive(Debug, Clone, Serialize)]
pub struct TokenReport {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The collection or variant that it is for; `None`: all.
    pub collection: Option<CollectionName>,
    /// Where routes may lead its uploads beside that; what is there it never replaces.
    pub into: Vec<CollectionName>,
    /// The projects that it may upload; none: all.
    pub projects: Vec<ProjectPattern>,
    /// What it allows.
    pub scope: Scope,
    /// Whether it reads.
    pub reads: bool,
    /// The publisher that it was made for; `None`: somebody made it.
    pub publisher: Option<String>,
    /// Whom the CI's token named that it was exchanged for.
    pub subject: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// When it was last used, to about a minute.
    pub used_at: Option<i64>,
    /// The address that it was last used from.
    pub used_from: Option<String>,
    /// Whether it holds now.
    pub is_live: bool,
    /// Whether it ended because its collection was deleted.
    pub is_orphaned: bool,
}

/// The longest name of a token, in characters.
const MAX_NAME: usize = 100;

/// Makes a token that this secret stands for.
pub fn create_token(
    store: &Store,
    context: &Context<'_>,
    secret: &Secret,
    options: &TokenOptions,
) -> Result<TokenReport> {
    store.require_writable()?;
    let name = options.name.as_str();
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    if name.is_empty() || is_number || name.chars().any(char::is_control) || name.chars().count() > MAX_NAME {
        let text = format!("{name:?} can't be a token's name: expected at most {MAX_NAME} characters, not only digits");
        return Err(Error::Refused(text));
    }
    if options.scope == Scope::Read && (options.is_blind || !options.into.is_empty() || !options.projects.is_empty()) {
        return Err(Error::Refused("a token of the scope read uploads nothing: say --scope upload".to_owned()));
    }
    if options.collection.is_none() && !options.into.is_empty() {
        return Err(Error::Refused("a token for all collections goes into any: leave out --into".to_owned()));
    }
    if options.expires_at.is_some_and(|end| end <= context.now) {
        return Err(Error::Refused("the token would have ended already".to_owned()));
    }
    let transaction = store.manifest.write()?;
    if transaction.tokens()?.iter().any(|row| row.name == name && row.is_live(context.now)) {
        return Err(Error::Refused(format!("there is a token {name:?}; `wcas token revoke {name}` ends it")));
    }
    let digest = &secret.digest();
    let place = |name: &CollectionName| place(&transaction, name, context.now);
    let collection = options.collection.as_ref().map(place).transpose()?;
    let into = options.into.iter().filter(|name| options.collection.as_ref() != Some(*name));
    let into = into.map(place).collect::<Result<Vec<_>>>()?;
    let TokenOptions { projects, scope, is_blind, expires_at, .. } = options;
    let new = NewToken {
        name,
        digest,
        collection: collection.as_ref(),
        into: &into,
        projects,
        scope: *scope,
        is_blind: *is_blind,
        expires_at: *expires_at,
    };
    let id = transaction.insert_token(&new, context.now)?;
    let report = token_report(&transaction, context, id)?;
    transaction.commit()?;
    Ok(report)
}

/// Lists all tokens.
pub fn tokens(store: &Store, context: &Context<'_>) -> Result<Vec<TokenReport>> {
    Ok(store.manifest.read()?.tokens()?.into_iter().map(|row| report(context, row)).collect())
}

/// Ends a token, by its number or name.
pub fn revoke_token(store: &Store, context: &Context<'_>, which: &str) -> Result<TokenReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let rows = transaction.tokens()?;
    let number = which.parse::<i64>().ok();
    let by_number = rows.iter().find(|row| Some(row.id.number()) == number);
    // A name may have been another token's before.
    let live = rows.iter().find(|row| row.name == which && row.is_live(context.now));
    let found = by_number.or(live).or_else(|| rows.iter().rfind(|row| row.name == which));
    let Some(row) = found else { return Err(Error::NoSuch(format!("token {which:?}"))) };
    let id = row.id;
    transaction.revoke_token(id, context.now)?;
    let report = token_report(&transaction, context, id)?;
    transaction.commit()?;
    Ok(report)
}

/// Returns the collection of this name. A token is a collection's, not a name's: where a variant has none of its own yet, and where
/// there is no default one, it is made, as the first upload would.
pub(super) fn place(transaction: &Transaction<'_>, name: &CollectionName, now: i64) -> Result<NamedCollection> {
    if let Some(row) = transaction.find_collection(name)? {
        return Ok(NamedCollection { id: row.id, name: row.name });
    }
    if is_known_in(transaction, name)? || transaction.default_collection()? == *name {
        return Ok(NamedCollection { id: transaction.insert_collection(name, now)?, name: name.clone() });
    }
    let known = transaction.collections()?.into_iter().map(|row| row.name.to_string()).collect();
    Err(Error::NoCollection { name: name.to_string(), known })
}

/// Returns a token as people see it.
pub(super) fn token_report(rows: &Rows, context: &Context<'_>, id: TokenId) -> Result<TokenReport> {
    let row = rows.token(id)?.ok_or_else(|| Error::NoSuch(format!("token {}", id.number())))?;
    Ok(report(context, row))
}

fn report(context: &Context<'_>, row: TokenRow) -> TokenReport {
    TokenReport {
        id: row.id.number(),
        is_live: row.is_live(context.now),
        is_orphaned: row.state(context.now) == TokenState::Orphaned,
        name: row.name,
        collection: row.collection,
        into: row.into.into_iter().map(|place| place.name).collect(),
        projects: row.projects,
        scope: row.scope,
        reads: !row.is_blind,
        publisher: row.publisher,
        subject: row.subject,
        created_at: row.created_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
        used_at: row.used_at,
        used_from: row.used_from,
    }
}
