//! Remotes, their pages as they were last seen, and counts of what they answered.
//!
//! Counts are by name and outlive the remote; pages go with it. No row holds a secret.

use super::types::{joined, list, row_id};
use super::{CollectionId, Result, Rows, Transaction};
use crate::name::{CollectionName, ProjectName, RemoteName};
use crate::requirement::ProjectPattern;
use rusqlite::{Params, Row, named_params};

row_id! {
    /// A remote's row.
    RemoteId
}

/// What people say of a remote.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct RemoteSettings {
    /// Its URL, without credentials.
    pub url: String,
    /// The lower is asked first.
    pub priority: i64,
    /// Patterns of the projects that it is asked for; none: all.
    pub only: Vec<ProjectPattern>,
    /// Patterns of the projects that it is never asked for.
    pub except: Vec<ProjectPattern>,
    /// How many seconds ago a file must have been uploaded.
    pub min_age: Option<i64>,
    /// The status codes that mean 404 there.
    pub not_found: Vec<u16>,
    /// Other hosts whose pages are believed where the remote sends to them.
    pub follow_hosts: Vec<String>,
    /// Whether files without a digest are taken over plain http.
    pub allow_insecure: bool,
    /// Whether files without a digest are taken at all.
    pub trust_unhashed: bool,
    /// Whether its root page names all its projects, so that others need not be asked for.
    pub is_listed: bool,
    /// Whether farther remotes and collections answer while it fails; else nobody does, since it may hide what they have.
    pub is_optional: bool,
    /// Where credentials are: `netrc`, or `env:` and the name of a variable; never the credentials.
    pub auth: Option<String>,
    /// Whether it is a cache of the same organisation; others are strangers, who get nothing.
    pub is_ours: bool,
    /// Whether what is built here goes there, too.
    pub writes_back: bool,
    /// Where files are uploaded to, without credentials; `None`: its own URL tells.
    pub upload_url: Option<String>,
    /// Who may sign the list of what is taken from it, as a file of allowed signers says it; `None`: it needs no list.
    pub signed_by: Option<String>,
}

/// A remote's row.
#[derive(Debug, Clone)]
pub struct RemoteRow {
    /// The row.
    pub id: RemoteId,
    /// Its name.
    pub name: RemoteName,
    /// The collection that pulls from it.
    pub collection: CollectionId,
    /// That collection's name.
    pub collection_name: CollectionName,
    /// What people say of it.
    pub settings: RemoteSettings,
    /// Where its pages are, as was found on first use.
    pub layout: Option<String>,
    /// When it last gave an answer.
    pub ok_at: Option<i64>,
    /// When it last failed.
    pub failed_at: Option<i64>,
    /// How it last failed.
    pub failure: Option<String>,
}

impl RemoteRow {
    /// Tells whether its patterns let a project through.
    pub fn includes(&self, project: &ProjectName) -> bool {
        let any = |patterns: &[ProjectPattern]| patterns.iter().any(|pattern| pattern.matches(project));
        (self.settings.only.is_empty() || any(&self.settings.only)) && !any(&self.settings.except)
    }

    /// Tells whether the last thing heard of it was a failure.
    pub fn is_failing(&self) -> bool {
        // In doubt (both in one second) it is.
        self.failed_at.is_some_and(|failed| self.ok_at.is_none_or(|ok| ok <= failed))
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            collection: row.get("collection_id")?,
            collection_name: row.get("collection_name")?,
            settings: RemoteSettings {
                url: row.get("url")?,
                priority: row.get("priority")?,
                only: list(row, "only_patterns", '\n')?,
                except: list(row, "except_patterns", '\n')?,
                min_age: row.get("min_age")?,
                not_found: list(row, "not_found", ',')?,
                follow_hosts: list(row, "follow_hosts", ',')?,
                allow_insecure: row.get("allow_insecure")?,
                trust_unhashed: row.get("trust_unhashed")?,
                is_listed: row.get("is_listed")?,
                is_optional: row.get("is_optional")?,
                auth: row.get("auth")?,
                is_ours: row.get("is_ours")?,
                writes_back: row.get("writes_back")?,
                upload_url: row.get("upload_url")?,
                signed_by: row.get("signed_by")?,
            },
            layout: row.get("layout")?,
            ok_at: row.get("ok_at")?,
            failed_at: row.get("failed_at")?,
            failure: row.get("failure")?,
        })
    }
}

macro_rules! select_remotes {
    ($rest:literal) => {
        concat!(
            "SELECT r.*, h.layout, h.ok_at, h.failed_at, h.failure, c.name AS collection_name FROM remote r
             JOIN collection c ON c.id = r.collection_id LEFT JOIN remote_health h ON h.remote_id = r.id ",
            $rest
        )
    };
}

impl Rows {
    fn remotes_where(&self, sql: &'static str, params: impl Params) -> Result<Vec<RemoteRow>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params, RemoteRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns all remotes by name.
    pub fn remotes(&self) -> Result<Vec<RemoteRow>> {
        self.remotes_where(select_remotes!("ORDER BY r.name"), [])
    }

    /// Returns the remotes of a collection in the order in which they are asked.
    pub fn remotes_of(&self, collection: CollectionId) -> Result<Vec<RemoteRow>> {
        self.remotes_where(select_remotes!("WHERE r.collection_id = ?1 ORDER BY r.priority, r.name"), [collection])
    }

    /// Returns the remote with this name.
    pub fn find_remote(&self, name: &RemoteName) -> Result<Option<RemoteRow>> {
        Ok(self.remotes_where(select_remotes!("WHERE r.name = ?1"), [name])?.pop())
    }
}

impl Transaction<'_> {
    /// Inserts a remote of a collection.
    pub fn insert_remote(
        &self,
        name: &RemoteName,
        collection: CollectionId,
        settings: &RemoteSettings,
    ) -> Result<RemoteId> {
        let sql = "INSERT INTO remote(name, url, collection_id) VALUES(?1, ?2, ?3)";
        let id = RemoteId(self.conn.prepare_cached(sql)?.insert((name, &settings.url, collection))?);
        self.update_remote(id, collection, settings)?;
        Ok(id)
    }

    /// Sets the collection and settings of a remote.
    pub fn update_remote(&self, id: RemoteId, collection: CollectionId, settings: &RemoteSettings) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE remote SET url = :url, collection_id = :collection, priority = :priority, only_patterns = :only,
               except_patterns = :except, min_age = :min_age, not_found = :not_found, follow_hosts = :follow_hosts, allow_insecure = :allow_insecure,
               trust_unhashed = :trust_unhashed, is_listed = :is_listed, is_optional = :is_optional, auth = :auth, is_ours = :is_ours,
               writes_back = :writes_back, upload_url = :upload_url, signed_by = :signed_by WHERE id = :id",
        )?;
        statement.execute(named_params! {
            ":id": id, ":url": settings.url, ":collection": collection, ":priority": settings.priority,
            ":only": joined(&settings.only, "\n"), ":except": joined(&settings.except, "\n"), ":min_age": settings.min_age,
            ":not_found": joined(&settings.not_found, ","), ":follow_hosts": joined(&settings.follow_hosts, ","), ":allow_insecure": settings.allow_insecure,
            ":trust_unhashed": settings.trust_unhashed, ":is_listed": settings.is_listed, ":is_optional": settings.is_optional,
            ":auth": settings.auth,
            ":is_ours": settings.is_ours, ":writes_back": settings.writes_back, ":upload_url": settings.upload_url,
            ":signed_by": settings.signed_by,
        })?;
        Ok(())
    }

    /// Deletes a remote with its pages; what came from it stays, and so do its counts.
    pub fn delete_remote(&self, id: RemoteId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM remote WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// Remembers where a remote's pages are; `None`: to be found anew.
    pub fn set_remote_layout(&self, id: RemoteId, layout: Option<&str>) -> Result<()> {
        let sql = "INSERT INTO remote_health(remote_id, layout) VALUES(?1, ?2) ON CONFLICT DO UPDATE SET layout = ?2";
        self.conn.prepare_cached(sql)?.execute((id, layout))?;
        Ok(())
    }

    /// Records that a remote gave an answer.
    pub fn set_remote_ok(&self, id: RemoteId, at: i64) -> Result<()> {
        let sql = "INSERT INTO remote_health(remote_id, ok_at) VALUES(?1, ?2) ON CONFLICT DO UPDATE SET ok_at = ?2";
        self.conn.prepare_cached(sql)?.execute((id, at))?;
        Ok(())
    }

    /// Records how a remote failed.
    pub fn set_remote_failure(&self, id: RemoteId, at: i64, text: &str) -> Result<()> {
        let sql = "INSERT INTO remote_health(remote_id, failed_at, failure) VALUES(?1, ?2, ?3)
                   ON CONFLICT DO UPDATE SET failed_at = ?2, failure = ?3";
        self.conn.prepare_cached(sql)?.execute((id, at, text))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest};
    use super::*;
    use std::time::Duration;

    fn manifest() -> (tempfile::TempDir, Manifest) {
        let dir = tempfile::tempdir().unwrap();
        let manifest =
            Manifest::open(&dir.path().join("manifest.sqlite"), Access::Create, Duration::from_secs(5)).unwrap();
        (dir, manifest)
    }

    fn settings() -> RemoteSettings {
        RemoteSettings {
            url: "https://index.example/simple/".to_owned(),
            priority: -3,
            only: vec!["nvidia-*".parse().unwrap(), "torch".parse().unwrap()],
            except: vec!["internal-*".parse().unwrap()],
            min_age: Some(604_800),
            not_found: vec![403, 410],
            follow_hosts: vec!["files.example".to_owned()],
            allow_insecure: true,
            trust_unhashed: true,
            is_listed: true,
            is_optional: true,
            auth: Some("env:TOKEN".to_owned()),
            is_ours: true,
            writes_back: true,
            upload_url: Some("https://index.example/legacy/".to_owned()),
            signed_by: Some("me ssh-ed25519 AAAA".to_owned()),
        }
    }

    #[test]
    fn what_people_say_of_a_remote_comes_back_whole() {
        let (_dir, manifest) = manifest();
        let transaction = manifest.write().unwrap();
        let shared = transaction.insert_collection(&"shared".parse().unwrap(), 1).unwrap();
        let name: RemoteName = "mirror".parse().unwrap();
        let id = transaction.insert_remote(&name, shared, &settings()).unwrap();
        let row = transaction.find_remote(&name).unwrap().unwrap();
        assert_eq!((row.id, row.collection_name.as_str(), &row.settings), (id, "shared", &settings()));
        let plain = RemoteSettings { url: "http://index.example/".to_owned(), ..RemoteSettings::default() };
        transaction.update_remote(id, shared, &plain).unwrap();
        assert_eq!(transaction.find_remote(&name).unwrap().unwrap().settings, plain);
        assert!(transaction.insert_remote(&name, shared, &plain).is_err(), "a name is given once");
    }

    #[test]
    fn remotes_of_a_collection_come_by_priority_then_name() {
        let (_dir, manifest) = manifest();
        let transaction = manifest.write().unwrap();
        let shared = transaction.insert_collection(&"shared".parse().unwrap(), 1).unwrap();
        let cuda = transaction.insert_collection(&"cuda".parse().unwrap(), 1).unwrap();
        for (name, collection, priority) in [("b", shared, 1), ("a", shared, 1), ("z", shared, 0), ("c", cuda, 0)] {
            let settings = RemoteSettings { priority, ..settings() };
            transaction.insert_remote(&name.parse().unwrap(), collection, &settings).unwrap();
        }
        let names = |rows: Vec<RemoteRow>| rows.iter().map(|row| row.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(transaction.remotes_of(shared).unwrap()), ["z", "a", "b"]);
        assert_eq!(names(transaction.remotes().unwrap()), ["a", "b", "c", "z"]);
    }

    #[test]
    fn health_is_the_last_thing_heard() {
        let (_dir, manifest) = manifest();
        let transaction = manifest.write().unwrap();
        let shared = transaction.insert_collection(&"shared".parse().unwrap(), 1).unwrap();
        let name: RemoteName = "mirror".parse().unwrap();
        let id = transaction.insert_remote(&name, shared, &settings()).unwrap();
        let is_failing = || transaction.find_remote(&name).unwrap().unwrap().is_failing();
        assert!(!is_failing(), "nothing was heard of it yet");
        transaction.set_remote_ok(id, 10).unwrap();
        assert!(!is_failing());
        transaction.set_remote_failure(id, 11, "connection refused").unwrap();
        assert!(is_failing());
        transaction.set_remote_ok(id, 12).unwrap();
        assert!(!is_failing());
        let row = transaction.find_remote(&name).unwrap().unwrap();
        assert_eq!((row.failed_at, row.failure.as_deref()), (Some(11), Some("connection refused")));
    }
}
