//! Tokens: who may do what over HTTP. Of a secret there is only its digest.

use super::CollectionId;
use super::types::{joined, list, row_id};
use super::{Result, Rows, Transaction};
use crate::digest::Blake3;
use crate::name::CollectionName;
use crate::requirement::ProjectPattern;
use crate::token::Scope;
use rusqlite::{OptionalExtension as _, Row};

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
    /// The collection or variant that it is for, as it was called then; `None`: all.
    pub collection: Option<CollectionName>,
    /// That collection; `None`: all, or it is gone.
    pub collection_id: Option<CollectionId>,
    /// Where routes may lead its uploads beside that.
    pub into: Vec<Place>,
    /// The projects that it may upload; none: all.
    pub projects: Vec<ProjectPattern>,
    /// What it allows.
    pub scope: Scope,
    /// Whether it doesn't read, whatever its scope is.
    pub is_blind: bool,
    /// The publisher that it was made for, as it was called then; `None`: somebody made it.
    pub publisher: Option<String>,
    /// Whom the CI's token named that it was exchanged for.
    pub subject: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// When it was last used here, to about a minute.
    pub used_at: Option<i64>,
    /// The address that it was last used from.
    pub used_from: Option<String>,
}

/// A collection, by its row and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its row: it stays what it is, while its name may become another's.
    pub id: CollectionId,
    /// Its name.
    pub name: CollectionName,
}

/// Whether a token holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// It does.
    Live,
    /// It was revoked, at this time.
    Revoked(i64),
    /// It ended, at this time.
    Expired(i64),
    /// The collection that it is for was deleted.
    Orphaned,
}

/// A token that is about to be.
#[derive(Debug, Clone, Copy)]
pub struct NewToken<'a> {
    /// See [`TokenRow::name`].
    pub name: &'a str,
    /// See [`TokenRow::digest`].
    pub digest: &'a Blake3,
    /// The collection that it is for; `None`: all.
    pub collection: Option<&'a Place>,
    /// See [`TokenRow::into`].
    pub into: &'a [Place],
    /// See [`TokenRow::projects`].
    pub projects: &'a [ProjectPattern],
    /// See [`TokenRow::scope`].
    pub scope: Scope,
    /// See [`TokenRow::is_blind`].
    pub is_blind: bool,
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
            collection_id: row.get("collection_id")?,
            into: Vec::new(),
            projects: list(row, "project_patterns", '\n')?,
            scope: row.get("scope")?,
            is_blind: row.get("is_blind")?,
            publisher: row.get("publisher")?,
            subject: row.get("subject")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            revoked_at: row.get("revoked_at")?,
            used_at: row.get("used_at")?,
            used_from: row.get("used_from")?,
        })
    }

    /// Tells whether it holds at a time.
    pub fn state(&self, now: i64) -> TokenState {
        match (self.revoked_at, self.expires_at) {
            (Some(at), _) => TokenState::Revoked(at),
            (None, Some(end)) if end <= now => TokenState::Expired(end),
            _ if self.collection.is_some() && self.collection_id.is_none() => TokenState::Orphaned,
            _ => TokenState::Live,
        }
    }

    /// Tells whether it holds at a time.
    pub fn is_live(&self, now: i64) -> bool {
        self.state(now) == TokenState::Live
    }
}

impl Rows {
    /// Returns all tokens, those that hold no longer too, the oldest first.
    pub fn tokens(&self) -> Result<Vec<TokenRow>> {
        let mut statement =
            self.conn.prepare_cached("SELECT * FROM token LEFT JOIN token_use ON token_id = id ORDER BY id")?;
        let rows = statement.query_map([], TokenRow::from_row)?;
        rows.map(|row| self.with_places(row?)).collect()
    }

    /// Returns a token.
    pub fn token(&self, id: TokenId) -> Result<Option<TokenRow>> {
        let mut statement =
            self.conn.prepare_cached("SELECT * FROM token LEFT JOIN token_use ON token_id = id WHERE id = ?1")?;
        let row = statement.query_row([id], TokenRow::from_row).optional()?;
        row.map(|row| self.with_places(row)).transpose()
    }

    fn with_places(&self, mut token: TokenRow) -> Result<TokenRow> {
        let sql = "SELECT id, name FROM token_into JOIN collection ON id = collection_id WHERE token_id = ?1 \
                   ORDER BY name";
        let mut statement = self.conn.prepare_cached(sql)?;
        let place = |row: &Row<'_>| Ok(Place { id: row.get("id")?, name: row.get("name")? });
        token.into = statement.query_map([token.id], place)?.collect::<rusqlite::Result<_>>()?;
        Ok(token)
    }
}

impl Transaction<'_> {
    /// Makes a token.
    pub fn insert_token(&self, token: &NewToken<'_>, now: i64) -> Result<TokenId> {
        let sql = "INSERT INTO token(name, digest, collection, collection_id, project_patterns, scope, is_blind, \
                   created_at, expires_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let NewToken { name, digest, collection, into, projects, scope, is_blind, expires_at } = *token;
        let (place, projects) = (collection.map(|place| (&place.name, place.id)), joined(projects, "\n"));
        let (place, place_id) = place.unzip();
        let id = self
            .conn
            .prepare_cached(sql)?
            .insert((name, digest, place, place_id, projects, scope, is_blind, now, expires_at))?;
        for place in into {
            let sql = "INSERT OR IGNORE INTO token_into(token_id, collection_id) VALUES(?1, ?2)";
            self.conn.prepare_cached(sql)?.execute((id, place.id))?;
        }
        Ok(TokenId(id))
    }

    /// Ends a token that has not been revoked.
    pub fn revoke_token(&self, id: TokenId, now: i64) -> Result<()> {
        let sql = "UPDATE token SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
        self.conn.prepare_cached(sql)?.execute((id, now))?;
        Ok(())
    }

    /// Notes that a token was used, and from which address.
    pub fn set_token_used(&self, id: TokenId, at: i64, from: &str) -> Result<()> {
        let sql = "INSERT INTO token_use(token_id, used_at, used_from) VALUES(?1, ?2, ?3)
                   ON CONFLICT DO UPDATE SET used_at = ?2, used_from = ?3";
        self.conn.prepare_cached(sql)?.execute((id, at, from))?;
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
        let [cuda, shared] = ["cuda", "shared"].map(|name| {
            let name: CollectionName = name.parse().unwrap();
            Place { id: transaction.insert_collection(&name, 1).unwrap(), name }
        });
        let (into, projects) = ([shared.clone()], ["acme-*".parse().unwrap()]);
        let new = |digest, collection, expires_at| NewToken {
            name: "ci",
            digest,
            collection,
            into: &into,
            projects: &projects,
            scope: Scope::Upload,
            is_blind: true,
            expires_at,
        };
        let [one, other] = [[1; 32], [2; 32]].map(Blake3::from_bytes);
        let id = transaction.insert_token(&new(&one, Some(&cuda), Some(100)), 10).unwrap();
        transaction.insert_token(&new(&other, None, None), 11).unwrap();
        assert!(transaction.insert_token(&new(&other, None, None), 11).is_err(), "a secret is one token's");
        let tokens = transaction.tokens().unwrap();
        assert_eq!((tokens[0].collection.as_ref(), tokens[1].collection.as_ref()), (Some(&cuda.name), None));
        assert_eq!(
            (&tokens[0].into[..], &tokens[0].projects[..], tokens[0].is_blind),
            (&into[..], &projects[..], true)
        );
        assert!(tokens[0].is_live(99) && !tokens[0].is_live(100) && tokens[1].is_live(i64::MAX));
        transaction.set_token_used(id, 50, "::1").unwrap();
        transaction.revoke_token(id, 60).unwrap();
        transaction.revoke_token(id, 70).unwrap();
        let token = transaction.token(id).unwrap().unwrap();
        assert_eq!((token.used_at, token.used_from.as_deref()), (Some(50), Some("::1")));
        assert_eq!((token.state(61), token.state(200)), (TokenState::Revoked(60), TokenState::Revoked(60)));
    }

    #[test]
    fn a_token_ends_with_its_collection_whatever_has_its_name_then() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let make = |name: &str| {
            let name: CollectionName = name.parse().unwrap();
            Place { id: transaction.insert_collection(&name, 1).unwrap(), name }
        };
        let (shared, team) = (make("shared"), make("team"));
        let digest = Blake3::from_bytes([1; 32]);
        let (into, scope) = (&[shared.clone()][..], Scope::Upload);
        let new = NewToken {
            name: "ci",
            digest: &digest,
            collection: Some(&team),
            into,
            projects: &[],
            scope,
            is_blind: false,
            expires_at: None,
        };
        let id = transaction.insert_token(&new, 10).unwrap();
        transaction.delete_collection(team.id).unwrap();
        let again = make("team");
        assert_eq!(again.id, team.id, "the row's number is given again");
        transaction.delete_collection(shared.id).unwrap();
        make("shared");
        let token = transaction.token(id).unwrap().unwrap();
        assert_eq!(
            (token.state(20), token.collection, &token.into[..]),
            (TokenState::Orphaned, Some(team.name), &[][..])
        );
    }
}
