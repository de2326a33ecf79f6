//! Tokens: who may do what over HTTP. Of a secret there is only its digest.

use super::types::row_id;
use super::{Result, Rows, Transaction};
use crate::digest::Blake3;
use crate::name::CollectionName;
use crate::token::Scope;
use rusqlite::Row;

row_id! {
    /// A token's row.
    TokenId
}

impl TokenId {
    /// Returns the number that people call it by.
    pub fn number(self) -> i64 {
        self.0
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its row.
    pub id: TokenId,
    /// Its name, for people.
    pub name: String,
    /// The digest of its secret.
    pub digest: Blake3,
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
}

/// A token that is about to be.
#[derive(Debug, Clone, Copy)]
pub struct NewToken<'a> {
    /// See [`TokenRow::name`].
    pub name: &'a str,
    /// See [`TokenRow::digest`].
    pub digest: &'a Blake3,
    /// See [`TokenRow::collection`].
    pub collection: Option<&'a CollectionName>,
    /// See [`TokenRow::scope`].
    pub scope: Scope,
    /// See [`TokenRow::expires_at`].
    pub expires_at: Option<i64>,
}

impl TokenRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            digest: row.get("digest")?,
            collection: row.get("collection")?,
            scope: row.get("scope")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            revoked_at: row.get("revoked_at")?,
            used_at: row.get("used_at")?,
        })
    }

    /// Tells whether it holds at a time.
    pub fn is_live(&self, now: i64) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

impl Rows {
    /// Returns all tokens, those that hold no longer too, the oldest first.
    pub fn tokens(&self) -> Result<Vec<TokenRow>> {
        let mut statement = self.conn.prepare_cached("SELECT * FROM token ORDER BY id")?;
        let rows = statement.query_map([], TokenRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Transaction<'_> {
    /// Makes a token.
    pub fn insert_token(&self, token: &NewToken<'_>, now: i64) -> Result<TokenId> {
        let sql = "INSERT INTO token(name, digest, collection, scope, created_at, expires_at) \
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
        let NewToken { name, digest, collection, scope, expires_at } = *token;
        self.conn.prepare_cached(sql)?.execute((name, digest, collection, scope, now, expires_at))?;
        Ok(TokenId(self.conn.last_insert_rowid()))
    }

    /// Ends a token that has not been revoked.
    pub fn revoke_token(&self, id: TokenId, now: i64) -> Result<()> {
        let sql = "UPDATE token SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
        self.conn.prepare_cached(sql)?.execute((id, now))?;
        Ok(())
    }

    /// Notes that a token was used.
    pub fn set_token_used(&self, id: TokenId, at: i64) -> Result<()> {
        self.conn.prepare_cached("UPDATE token SET used_at = ?2 WHERE id = ?1")?.execute((id, at))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest};
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_token_holds_until_it_ends_or_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let cuda: CollectionName = "cuda".parse().unwrap();
        let new = |digest, collection, expires_at| NewToken {
            name: "ci",
            digest,
            collection,
            scope: Scope::Upload,
            expires_at,
        };
        let [one, other] = [[1; 32], [2; 32]].map(Blake3::from_bytes);
        let id = transaction.insert_token(&new(&one, Some(&cuda), Some(100)), 10).unwrap();
        transaction.insert_token(&new(&other, None, None), 11).unwrap();
        assert!(transaction.insert_token(&new(&other, None, None), 11).is_err(), "a secret is one token's");
        let tokens = transaction.tokens().unwrap();
        assert_eq!((tokens[0].collection.as_ref(), tokens[1].collection.as_ref()), (Some(&cuda), None));
        assert!(tokens[0].is_live(99) && !tokens[0].is_live(100) && tokens[1].is_live(i64::MAX));
        transaction.set_token_used(id, 50).unwrap();
        transaction.revoke_token(id, 60).unwrap();
        transaction.revoke_token(id, 70).unwrap();
        let token = transaction.tokens().unwrap().remove(0);
        assert_eq!((token.used_at, token.revoked_at, token.is_live(61)), (Some(50), Some(60), false));
    }
}
