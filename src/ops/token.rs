//! `token`: who may do what over HTTP.

use super::Context;
use super::variant::is_known_in;
use crate::error::{Error, Result};
use crate::manifest::{NewToken, TokenId, TokenRow};
use crate::name::CollectionName;
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
    /// What it allows.
    pub scope: Scope,
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
    /// What it allows.
    pub scope: Scope,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// When it was last used, to about an hour.
    pub used_at: Option<i64>,
    /// Whether it holds now.
    pub is_live: bool,
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
    if options.expires_at.is_some_and(|end| end <= context.now) {
        return Err(Error::Refused("the token would have ended already".to_owned()));
    }
    let transaction = store.manifest.write()?;
    if let Some(collection) = &options.collection
        && !is_known_in(&transaction, collection)?
    {
        let known = transaction.collections()?.into_iter().map(|row| row.name.to_string()).collect();
        return Err(Error::NoCollection { name: collection.to_string(), known });
    }
    if transaction.tokens()?.iter().any(|row| row.name == name && row.is_live(context.now)) {
        return Err(Error::Refused(format!("there is a token {name:?}; `wcas token revoke {name}` ends it")));
    }
    let digest = &secret.digest();
    let TokenOptions { collection, scope, expires_at, .. } = options;
    let new = NewToken { name, digest, collection: collection.as_ref(), scope: *scope, expires_at: *expires_at };
    let id = transaction.insert_token(&new, context.now)?;
    let report = report(context, find(transaction.tokens()?, id)?);
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
    let report = report(context, find(transaction.tokens()?, id)?);
    transaction.commit()?;
    Ok(report)
}

fn find(rows: Vec<TokenRow>, id: TokenId) -> Result<TokenRow> {
    let found = rows.into_iter().find(|row| row.id == id);
    found.ok_or_else(|| Error::NoSuch(format!("token {}", id.number())))
}

fn report(context: &Context<'_>, row: TokenRow) -> TokenReport {
    TokenReport {
        id: row.id.number(),
        is_live: row.is_live(context.now),
        name: row.name,
        collection: row.collection,
        scope: row.scope,
        created_at: row.created_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
        used_at: row.used_at,
    }
}
