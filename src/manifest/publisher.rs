//! Publishers: whose CI may upload, the tokens that were made for them, and which tokens of a CI were used.

use super::token::{NamedCollection, TokenId};
use super::types::{joined, list, row_id};
use super::{CollectionId, Result, Rows, Transaction};
use crate::digest::Sha256;
use crate::name::{CollectionName, PublisherName};
use crate::requirement::ProjectPattern;
use crate::token::Scope;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row};
use std::collections::BTreeMap;

row_id! {
    /// A publisher's row.
    PublisherId
}

/// What a CI's token must say, and what it is exchanged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherSettings {
    /// Who issues it, as it names them (`iss`).
    pub issuer: String,
    /// Whom it must be for (`aud`).
    pub audience: String,
    /// What else it must say: the claims and their values, which may end in `*`.
    pub claims: BTreeMap<String, String>,
    /// The projects that may be uploaded; none: all.
    pub projects: Vec<ProjectPattern>,
    /// What is allowed.
    pub scope: Scope,
    /// Whether nothing may be read.
    pub is_blind: bool,
}

/// A publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherRow {
    /// Its row.
    pub id: PublisherId,
    /// Its name.
    pub name: PublisherName,
    /// The collection that it uploads to.
    pub collection: CollectionId,
    /// That collection's name.
    pub collection_name: CollectionName,
    /// Where routes may lead its uploads beside that.
    pub into: Vec<NamedCollection>,
    /// The rest.
    pub settings: PublisherSettings,
}

impl PublisherRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let claims: String = row.get("claims")?;
        let claims = serde_json::from_str(&claims)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error)))?;
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            collection: row.get("collection_id")?,
            collection_name: row.get("collection_name")?,
            into: Vec::new(),
            settings: PublisherSettings {
                issuer: row.get("issuer")?,
                audience: row.get("audience")?,
                claims,
                projects: list(row, "project_patterns", '\n')?,
                scope: row.get("scope")?,
                is_blind: row.get("is_blind")?,
            },
        })
    }
}

/// Returns claims and projects as columns have them.
fn texts(settings: &PublisherSettings) -> (String, String) {
    // Texts as keys and values are always JSON.
    (serde_json::to_string(&settings.claims).unwrap_or_default(), joined(&settings.projects, "\n"))
}

const SELECT: &str =
    "SELECT p.*, c.name AS collection_name FROM publisher p JOIN collection c ON c.id = p.collection_id";

impl Rows {
    /// Returns all publishers, by name.
    pub fn publishers(&self) -> Result<Vec<PublisherRow>> {
        let mut statement = self.conn.prepare_cached(&format!("{SELECT} ORDER BY p.name"))?;
        let rows = statement.query_map([], PublisherRow::from_row)?;
        rows.map(|row| self.with_publisher_places(row?)).collect()
    }

    /// Returns the publisher of this name.
    pub fn find_publisher(&self, name: &PublisherName) -> Result<Option<PublisherRow>> {
        let mut statement = self.conn.prepare_cached(&format!("{SELECT} WHERE p.name = ?1"))?;
        let row = statement.query_row([name], PublisherRow::from_row).optional()?;
        row.map(|row| self.with_publisher_places(row)).transpose()
    }

    fn with_publisher_places(&self, mut row: PublisherRow) -> Result<PublisherRow> {
        let sql = "SELECT id, name FROM publisher_into JOIN collection ON id = collection_id WHERE publisher_id = ?1 \
                   ORDER BY name";
        let mut statement = self.conn.prepare_cached(sql)?;
        let place = |row: &Row<'_>| Ok(NamedCollection { id: row.get("id")?, name: row.get("name")? });
        row.into = statement.query_map([row.id], place)?.collect::<rusqlite::Result<_>>()?;
        Ok(row)
    }

    /// Returns how many numbers of used tokens are remembered.
    pub fn exchanged_count(&self) -> Result<u64> {
        let count: i64 = self.conn.prepare_cached("SELECT count(*) FROM exchanged")?.query_row([], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    /// Returns how many tokens of publishers hold, and how many of them are this one's.
    pub fn publisher_token_counts(&self, id: PublisherId, now: i64) -> Result<(u64, u64)> {
        let sql = "SELECT count(*), count(*) FILTER (WHERE publisher_id = ?1) FROM token
                   WHERE publisher_id IS NOT NULL AND revoked_at IS NULL AND expires_at > ?2";
        let counts: (i64, i64) =
            self.conn.prepare_cached(sql)?.query_row((id, now), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((counts.0.cast_unsigned(), counts.1.cast_unsigned()))
    }
}

impl Transaction<'_> {
    /// Adds a publisher.
    pub fn insert_publisher(
        &self,
        name: &PublisherName,
        collection: CollectionId,
        into: &[NamedCollection],
        settings: &PublisherSettings,
    ) -> Result<()> {
        let sql = "INSERT INTO publisher(name, issuer, audience, claims, collection_id, project_patterns, scope, is_blind) \
                   VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let (PublisherSettings { issuer, audience, scope, is_blind, .. }, texts) = (settings, texts(settings));
        let row = (name, issuer, audience, texts.0, collection, texts.1, scope, is_blind);
        let id = PublisherId(self.conn.prepare_cached(sql)?.insert(row)?);
        self.set_publisher_into(id, into)
    }

    /// Changes a publisher, and ends the tokens that were made for it as it was.
    pub fn update_publisher(
        &self,
        id: PublisherId,
        collection: CollectionId,
        into: &[NamedCollection],
        settings: &PublisherSettings,
        now: i64,
    ) -> Result<()> {
        self.end_publisher_tokens(id, now)?;
        let sql = "UPDATE publisher SET issuer = ?2, audience = ?3, claims = ?4, collection_id = ?5, project_patterns = ?6, \
                   scope = ?7, is_blind = ?8 WHERE id = ?1";
        let (PublisherSettings { issuer, audience, scope, is_blind, .. }, texts) = (settings, texts(settings));
        let row = (id, issuer, audience, texts.0, collection, texts.1, scope, is_blind);
        self.conn.prepare_cached(sql)?.execute(row)?;
        self.set_publisher_into(id, into)
    }

    fn set_publisher_into(&self, id: PublisherId, into: &[NamedCollection]) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM publisher_into WHERE publisher_id = ?1")?.execute([id])?;
        for place in into {
            let sql = "INSERT OR IGNORE INTO publisher_into(publisher_id, collection_id) VALUES(?1, ?2)";
            self.conn.prepare_cached(sql)?.execute((id, place.id))?;
        }
        Ok(())
    }

    /// Removes a publisher, and ends the tokens that were made for it.
    pub fn delete_publisher(&self, id: PublisherId, now: i64) -> Result<()> {
        self.end_publisher_tokens(id, now)?;
        // Before it, while its name is there for the log.
        self.set_publisher_into(id, &[])?;
        self.conn.prepare_cached("DELETE FROM publisher WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    fn end_publisher_tokens(&self, id: PublisherId, now: i64) -> Result<()> {
        let sql = "UPDATE token SET revoked_at = ?2 WHERE publisher_id = ?1 AND revoked_at IS NULL AND expires_at > ?2";
        self.conn.prepare_cached(sql)?.execute((id, now))?;
        Ok(())
    }

    /// Says for which publisher a new token was made, and whom the CI's token named.
    pub fn set_token_publisher(&self, id: TokenId, publisher: &PublisherRow, subject: &str) -> Result<()> {
        let sql = "UPDATE token SET publisher = ?2, publisher_id = ?3, subject = ?4 WHERE id = ?1";
        self.conn.prepare_cached(sql)?.execute((id, &publisher.name, publisher.id, subject))?;
        Ok(())
    }

    /// Notes that a CI's token was used. Returns false where it was used before.
    pub fn insert_exchanged(&self, digest: &Sha256, ends_at: i64) -> Result<bool> {
        let sql = "INSERT OR IGNORE INTO exchanged(digest, ends_at) VALUES(?1, ?2)";
        Ok(self.conn.prepare_cached(sql)?.execute((digest, ends_at))? == 1)
    }

    /// Forgets used tokens of a CI that ended until a time, and tokens of publishers that ended before another.
    pub fn forget_exchanged(&self, used_until: i64, ended_before: i64) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM exchanged WHERE ends_at <= ?1")?.execute([used_until])?;
        let ended = "publisher IS NOT NULL AND min(expires_at, coalesce(revoked_at, expires_at)) < ?1";
        // Before them, while the log can see whose they were.
        let into = format!("DELETE FROM token_into WHERE token_id IN (SELECT id FROM token WHERE {ended})");
        self.conn.prepare_cached(&into)?.execute([ended_before])?;
        self.conn.prepare_cached(&format!("DELETE FROM token WHERE {ended}"))?.execute([ended_before])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest, NewToken};
    use super::*;
    use crate::digest::Blake3;
    use std::time::Duration;

    fn settings() -> PublisherSettings {
        PublisherSettings {
            issuer: "https://ci.example".to_owned(),
            audience: "wcas".to_owned(),
            claims: BTreeMap::from([("repository".to_owned(), "acme/tools".to_owned())]),
            projects: vec!["acme-*".parse().unwrap()],
            scope: Scope::Upload,
            is_blind: true,
        }
    }

    fn make(transaction: &Transaction<'_>, name: &str) -> NamedCollection {
        let name: CollectionName = name.parse().unwrap();
        NamedCollection { id: transaction.insert_collection(&name, 1).unwrap(), name }
    }

    #[test]
    fn a_publisher_goes_with_its_collection_and_ends_its_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let (released, shared) = (make(&transaction, "released"), make(&transaction, "shared"));
        let name: PublisherName = "release".parse().unwrap();
        transaction.insert_publisher(&name, released.id, std::slice::from_ref(&shared), &settings()).unwrap();
        assert!(transaction.insert_publisher(&name, released.id, &[], &settings()).is_err(), "a name is one's");
        let row = transaction.find_publisher(&name).unwrap().unwrap();
        assert_eq!((&row.settings, &row.into[..], row.collection), (&settings(), &[shared][..], released.id));
        let digest = Blake3::from_bytes([1; 32]);
        let new = NewToken {
            name: "t",
            digest: &digest,
            collection: Some(&released),
            into: &row.into,
            projects: &[],
            scope: Scope::Upload,
            is_blind: true,
            expires_at: Some(100),
        };
        let token = transaction.insert_token(&new, 10).unwrap();
        transaction.set_token_publisher(token, &row, "repo:acme/tools").unwrap();
        assert_eq!(transaction.publisher_token_counts(row.id, 99).unwrap(), (1, 1));
        assert_eq!(transaction.publisher_token_counts(row.id, 100).unwrap(), (0, 0));
        transaction.delete_publisher(row.id, 50).unwrap();
        let ended = transaction.token(token).unwrap().unwrap();
        assert_eq!((ended.publisher, ended.revoked_at), (Some("release".to_owned()), Some(50)));
        assert_eq!(ended.subject.as_deref(), Some("repo:acme/tools"));
        transaction.forget_exchanged(60, 50).unwrap();
        assert!(transaction.token(token).unwrap().is_some());
        transaction.forget_exchanged(60, 51).unwrap();
        assert_eq!(transaction.token(token).unwrap(), None);
        transaction.insert_publisher(&name, released.id, &[], &settings()).unwrap();
        transaction.delete_collection(released.id).unwrap();
        assert_eq!(transaction.publishers().unwrap(), []);
    }

    #[test]
    fn a_token_of_a_ci_is_used_once_and_forgotten_when_it_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let digest = Sha256::of(b"x");
        assert!(transaction.insert_exchanged(&digest, 100).unwrap());
        assert!(!transaction.insert_exchanged(&digest, 200).unwrap());
        assert_eq!(transaction.exchanged_count().unwrap(), 1);
        transaction.forget_exchanged(99, 0).unwrap();
        assert!(!transaction.insert_exchanged(&digest, 200).unwrap());
        transaction.forget_exchanged(100, 0).unwrap();
        assert!(transaction.insert_exchanged(&digest, 200).unwrap());
    }
}
