//! Remotes, their pages as they were last seen, and counts of what they answered.
//!
//! Counts are by name and outlive the remote; pages go with it. No row holds a secret.

use super::types::{joined, list, row_id, text_column};
use super::{CollectionId, Result, Rows, Transaction};
use crate::budget;
use crate::name::{CollectionName, ProjectName, RemoteName};
use crate::requirement::ProjectPattern;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Params, Row, named_params};
use std::io::Read;

row_id! {
    /// A remote's row.
    RemoteId
}

text_column! {
    /// How a remote answered.
    RemoteOutcome {
        /// It had what was asked for.
        Hit = "hit",
        /// It had not.
        Miss = "miss",
        /// It gave no answer that could be used.
        Failure = "failure",
    }
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

text_column! {
    /// What a failure of a remote says about asking again.
    Setback {
        /// It may be gone a moment later.
        Passing = "passing",
        /// Waiting won't help.
        Lasting = "lasting",
        /// It cost time, and will again.
        Slow = "slow",
        /// It was too slow for somebody in a hurry; who has the time may wait.
        Late = "late",
    }
}

/// How a question to a remote failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFailure {
    /// When, in seconds since 1970.
    pub failed_at: i64,
    /// How.
    pub reason: String,
    /// What that says about asking again.
    pub setback: Setback,
}

/// A remote's page as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRow {
    /// Whether the remote said that there is none.
    pub is_absent: bool,
    /// Where it was in the end, which is the base of its links.
    pub url: String,
    /// What the remote called it.
    pub content_type: Option<String>,
    /// Its entity tag.
    pub etag: Option<String>,
    /// When it last changed, as the remote wrote it.
    pub last_modified: Option<String>,
    /// When it was last fetched or found unchanged.
    pub fetched_at: i64,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// A count over all days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCount {
    /// The remote's name.
    pub remote: String,
    /// What is counted.
    pub outcome: RemoteOutcome,
    /// How many.
    pub count: u64,
    /// The bytes that came.
    pub bytes: u64,
    /// The time that it took.
    pub milliseconds: u64,
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

    /// Returns a remote's page of a project as it was last seen; of no project (`""`), its root or only page.
    pub fn remote_page(&self, id: RemoteId, project: &str) -> Result<Option<PageRow>> {
        let mut statement =
            self.conn.prepare_cached("SELECT * FROM remote_page WHERE remote_id = ?1 AND project = ?2")?;
        let page = statement.query_row((id, project), |row| {
            let mut body = Vec::new();
            let column = row.as_ref().column_index("body")?;
            DeflateDecoder::new(row.get_ref(column)?.as_blob()?)
                .read_to_end(&mut body)
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error)))?;
            Ok(PageRow {
                is_absent: row.get("is_absent")?,
                url: row.get("url")?,
                content_type: row.get("content_type")?,
                etag: row.get("etag")?,
                last_modified: row.get("last_modified")?,
                fetched_at: row.get("fetched_at")?,
                body,
            })
        });
        Ok(page.optional()?)
    }

    /// Returns when and how a question for a project's page last failed, or one to the remote as a whole, after a time.
    pub fn page_failure(&self, id: RemoteId, project: &str, after: i64) -> Result<Option<PageFailure>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT failed_at, reason, kind FROM remote_failure
             WHERE remote_id = ?1 AND project IN ('', ?2) AND failed_at > ?3 ORDER BY failed_at DESC LIMIT 1",
        )?;
        let failure = statement.query_row((id, project, after), |row| {
            Ok(PageFailure { failed_at: row.get("failed_at")?, reason: row.get("reason")?, setback: row.get("kind")? })
        });
        Ok(failure.optional()?)
    }

    /// Returns all counts of remotes, those of remotes that are gone as well.
    pub fn remote_counts(&self) -> Result<Vec<RemoteCount>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT remote, outcome, sum(count) AS count, sum(bytes) AS bytes, sum(milliseconds) AS milliseconds
             FROM remote_count GROUP BY remote, outcome ORDER BY remote, outcome",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(RemoteCount {
                remote: row.get("remote")?,
                outcome: row.get("outcome")?,
                count: row.get::<_, i64>("count")?.cast_unsigned(),
                bytes: row.get::<_, i64>("bytes")?.cast_unsigned(),
                milliseconds: row.get::<_, i64>("milliseconds")?.cast_unsigned(),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns since when a remote is known to list a file that it tells no time of.
    pub fn first_seen(&self, id: RemoteId, filename: &str) -> Result<Option<i64>> {
        let sql = "SELECT first_at FROM remote_first_seen WHERE remote_id = ?1 AND filename = ?2";
        Ok(self.conn.prepare_cached(sql)?.query_row((id, filename), |row| row.get(0)).optional()?)
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

    /// Remembers that a project's page (empty: the remote as a whole) can't be had.
    pub fn put_page_failure(&self, id: RemoteId, project: &str, failure: &PageFailure) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO remote_failure(remote_id, project, failed_at, reason, kind)
                   VALUES(?1, ?2, ?3, ?4, ?5)";
        let PageFailure { failed_at, reason, setback } = failure;
        self.conn.prepare_cached(sql)?.execute((id, project, failed_at, reason, setback))?;
        Ok(())
    }

    /// Forgets failures of a project's page and of the remote as a whole: it answers.
    pub fn forget_page_failures(&self, id: RemoteId, project: &str) -> Result<()> {
        let sql = "DELETE FROM remote_failure WHERE remote_id = ?1 AND project IN ('', ?2)";
        self.conn.prepare_cached(sql)?.execute((id, project))?;
        Ok(())
    }

    /// Remembers a remote's page of a project; of no project (`""`), its root or only page.
    pub fn put_remote_page(&self, id: RemoteId, project: &str, page: &PageRow) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT OR REPLACE INTO remote_page(remote_id, project, is_absent, url, content_type, etag, last_modified, fetched_at, body)
             VALUES(:remote, :project, :is_absent, :url, :content_type, :etag, :last_modified, :fetched_at, :body)",
        )?;
        let mut body = Vec::new();
        // Memory to memory: nothing can fail.
        DeflateEncoder::new(page.body.as_slice(), Compression::fast())
            .read_to_end(&mut body)
            .expect("memory can be read");
        statement.execute(named_params! {
            ":remote": id, ":project": project, ":is_absent": page.is_absent, ":url": page.url,
            ":content_type": page.content_type, ":etag": page.etag, ":last_modified": page.last_modified,
            ":fetched_at": page.fetched_at, ":body": body,
        })?;
        if page.is_absent {
            // Anybody may ask for any name, so what was asked for last stays.
            let mut statement = self.conn.prepare_cached(
                "DELETE FROM remote_page WHERE rowid IN (SELECT rowid FROM remote_page
                   WHERE remote_id = ?1 AND is_absent = 1 ORDER BY fetched_at DESC LIMIT -1 OFFSET ?2)",
            )?;
            statement.execute((id, budget::ABSENT_PAGES.limit.cast_signed()))?;
        }
        Ok(())
    }

    /// Forgets what remotes said so long ago that nobody goes by it: that they lack a project before `absent`, pages before `pages`;
    /// and failures before `absent`. Of first sights the oldest are kept, as many as there may be: others count as never seen.
    pub fn forget_old_pages(&self, absent: i64, pages: i64) -> Result<usize> {
        let sql = "DELETE FROM remote_page WHERE fetched_at < ?2 OR is_absent = 1 AND fetched_at < ?1";
        let mut count = self.conn.prepare_cached(sql)?.execute((absent, pages))?;
        count += self.conn.prepare_cached("DELETE FROM remote_failure WHERE failed_at < ?1")?.execute([absent])?;
        let mut statement = self.conn.prepare_cached(
            "DELETE FROM remote_first_seen WHERE (remote_id, filename) IN (SELECT remote_id, filename FROM
               (SELECT remote_id, filename, row_number() OVER (PARTITION BY remote_id ORDER BY first_at, filename) AS place
                  FROM remote_first_seen) WHERE place > ?1)",
        )?;
        count += statement.execute([budget::FIRST_SEEN.limit.cast_signed()])?;
        Ok(count)
    }

    /// Remembers since when a remote lists a file, unless that is known.
    pub fn add_first_seen(&self, id: RemoteId, filename: &str, at: i64) -> Result<()> {
        let sql =
            "INSERT INTO remote_first_seen(remote_id, filename, first_at) VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING";
        self.conn.prepare_cached(sql)?.execute((id, filename, at))?;
        Ok(())
    }

    /// Records that a remote's page was found unchanged.
    pub fn touch_remote_page(&self, id: RemoteId, project: &str, fetched_at: i64) -> Result<()> {
        let sql = "UPDATE remote_page SET fetched_at = ?3 WHERE remote_id = ?1 AND project = ?2";
        self.conn.prepare_cached(sql)?.execute((id, project, fetched_at))?;
        Ok(())
    }

    /// Forgets all pages of a remote.
    pub fn forget_remote_pages(&self, id: RemoteId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM remote_page WHERE remote_id = ?1")?.execute([id])?;
        Ok(())
    }

    /// Adds to a remote's counts of the day of `now`.
    pub fn add_remote_count(
        &self,
        now: i64,
        remote: &str,
        outcome: RemoteOutcome,
        count: u64,
        bytes: u64,
        milliseconds: u64,
    ) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO remote_count(day, remote, outcome, count, bytes, milliseconds) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes,
               milliseconds = milliseconds + excluded.milliseconds",
        )?;
        let numbers = [count, bytes, milliseconds].map(u64::cast_signed);
        statement.execute((now.div_euclid(86_400), remote, outcome, numbers[0], numbers[1], numbers[2]))?;
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

    #[test]
    fn pages_are_kept_to_the_byte_and_go_with_their_remote() {
        let (_dir, manifest) = manifest();
        let transaction = manifest.write().unwrap();
        let shared = transaction.insert_collection(&"shared".parse().unwrap(), 1).unwrap();
        let id = transaction.insert_remote(&"mirror".parse().unwrap(), shared, &settings()).unwrap();
        let mut page = PageRow {
            is_absent: false,
            url: "https://index.example/simple/demo/".to_owned(),
            content_type: Some("text/html".to_owned()),
            etag: Some("\"7\"".to_owned()),
            last_modified: None,
            fetched_at: 5,
            body: b"<a href=demo-1.0.tar.gz>demo-1.0.tar.gz</a>\0\xff".repeat(1000),
        };
        transaction.put_remote_page(id, "demo", &page).unwrap();
        assert_eq!(transaction.remote_page(id, "demo").unwrap().as_ref(), Some(&page));
        let sql = "SELECT length(body) FROM remote_page";
        let stored: i64 = transaction.conn.query_row(sql, [], |row| row.get(0)).unwrap();
        assert!(stored < 2000, "{stored} bytes for {}", page.body.len());
        transaction.touch_remote_page(id, "demo", 9).unwrap();
        page.fetched_at = 9;
        assert_eq!(transaction.remote_page(id, "demo").unwrap().as_ref(), Some(&page));
        let absent = PageRow { is_absent: true, body: Vec::new(), etag: None, ..page };
        transaction.put_remote_page(id, "demo", &absent).unwrap();
        assert_eq!(transaction.remote_page(id, "demo").unwrap(), Some(absent));
        assert_eq!(transaction.remote_page(id, "").unwrap(), None);
        assert_eq!(transaction.forget_old_pages(9, 9).unwrap(), 0);
        assert_eq!(transaction.forget_old_pages(10, 9).unwrap(), 1);
        assert_eq!(transaction.remote_page(id, "demo").unwrap(), None);
        let page = PageRow { fetched_at: 9, ..some_page() };
        transaction.put_remote_page(id, "demo", &page).unwrap();
        assert_eq!(transaction.forget_old_pages(100, 9).unwrap(), 0);
        assert_eq!(transaction.forget_old_pages(100, 10).unwrap(), 1);
        transaction.put_remote_page(id, "demo", &page).unwrap();
        transaction.delete_remote(id).unwrap();
        assert_eq!(transaction.remote_page(id, "demo").unwrap(), None);
    }

    fn some_page() -> PageRow {
        PageRow {
            is_absent: false,
            url: "https://index.example/simple/demo/".to_owned(),
            content_type: None,
            etag: None,
            last_modified: None,
            fetched_at: 0,
            body: Vec::new(),
        }
    }

    #[test]
    fn of_projects_that_a_remote_lacks_the_last_ones_are_remembered() {
        let (_dir, manifest) = manifest();
        let transaction = manifest.write().unwrap();
        let shared = transaction.insert_collection(&"shared".parse().unwrap(), 1).unwrap();
        let id = transaction.insert_remote(&"mirror".parse().unwrap(), shared, &settings()).unwrap();
        let most = budget::ABSENT_PAGES.limit.cast_signed();
        transaction.put_remote_page(id, "there", &some_page()).unwrap();
        for number in 0..most + 3 {
            let page = PageRow { is_absent: true, fetched_at: number, ..some_page() };
            transaction.put_remote_page(id, &format!("n{number}"), &page).unwrap();
        }
        let count: i64 = transaction.conn.query_row("SELECT count(*) FROM remote_page", [], |row| row.get(0)).unwrap();
        assert_eq!(count, most + 1);
        assert!(transaction.remote_page(id, "there").unwrap().is_some());
        assert!(
            transaction.remote_page(id, "n2").unwrap().is_none()
                && transaction.remote_page(id, "n3").unwrap().is_some()
        );
    }

    #[test]
    fn counts_are_summed_over_days_and_outlive_their_remote() {
        let (_dir, manifest) = manifest();
        let transaction = manifest.write().unwrap();
        for (now, outcome) in [(0, RemoteOutcome::Hit), (1, RemoteOutcome::Hit), (90_000, RemoteOutcome::Hit)] {
            transaction.add_remote_count(now, "gone", outcome, 1, 100, 7).unwrap();
        }
        transaction.add_remote_count(90_000, "gone", RemoteOutcome::Failure, 1, 0, 30_000).unwrap();
        let count = |outcome, count, bytes, milliseconds| RemoteCount {
            remote: "gone".to_owned(),
            outcome,
            count,
            bytes,
            milliseconds,
        };
        let expected = [count(RemoteOutcome::Failure, 1, 0, 30_000), count(RemoteOutcome::Hit, 3, 300, 21)];
        assert_eq!(transaction.remote_counts().unwrap(), expected);
    }
}
