//! What remotes said of projects: their pages, how questions failed, and since when files without a time are known.

use super::types::text_column;
use super::{RemoteId, Result, Rows, Transaction};
use crate::budget;
use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, named_params};
use std::io::Read;

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

impl Rows {
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

    /// Returns since when a remote is known to list a file that it tells no time of.
    pub fn first_seen(&self, id: RemoteId, filename: &str) -> Result<Option<i64>> {
        let sql = "SELECT first_at FROM remote_first_seen WHERE remote_id = ?1 AND filename = ?2";
        Ok(self.conn.prepare_cached(sql)?.query_row((id, filename), |row| row.get(0)).optional()?)
    }
}

impl Transaction<'_> {
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
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest, RemoteSettings};
    use super::*;
    use std::time::Duration;

    fn manifest() -> (tempfile::TempDir, Manifest) {
        let dir = tempfile::tempdir().unwrap();
        let manifest =
            Manifest::open(&dir.path().join("manifest.sqlite"), Access::Create, Duration::from_secs(5)).unwrap();
        (dir, manifest)
    }

    fn remote(transaction: &Transaction<'_>) -> RemoteId {
        let shared = transaction.insert_collection(&"shared".parse().unwrap(), 1).unwrap();
        let settings = RemoteSettings { url: "https://index.example/simple/".to_owned(), ..RemoteSettings::default() };
        transaction.insert_remote(&"mirror".parse().unwrap(), shared, &settings).unwrap()
    }

    #[test]
    fn pages_are_kept_to_the_byte_and_go_with_their_remote() {
        let (_dir, manifest) = manifest();
        let transaction = manifest.write().unwrap();
        let id = remote(&transaction);
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
        let id = remote(&transaction);
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
}
