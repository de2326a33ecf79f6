//! What is true: blobs, distributions, collections and their history, references. The only module that holds SQL.
//!
//! [`Rows`] reads; a [`Transaction`] also writes, and what it wrote is durable when `commit` has returned. Functions here take
//! plain values and return plain values; they decide nothing and touch no file but the manifest's own.

mod actor;
mod blob;
mod build_run;
mod cache;
mod collection;
mod compact;
mod count;
mod delivery;
mod distribution;
mod doomed;
mod download;
mod entry;
mod error;
mod file;
mod finding;
mod garbage;
mod growth;
mod held;
mod inspection;
mod near;
mod opened_file;
mod owner;
mod pin;
mod publisher;
mod recent;
mod record;
mod refusal;
mod rehearsal;
mod remote;
mod remote_count;
mod remote_list;
mod remote_metadata;
mod remote_page;
mod replica;
mod revision_signature;
mod route;
mod schema;
mod session;
mod soundness;
mod status;
mod token;
mod triggers;
mod types;
mod variant_wheel;
mod view;
mod want;
mod webhook;
mod witness;
mod write_back;

pub use actor::{Actor, ActorKind};
pub use blob::BlobRow;
pub use build_run::BuildRunRow;
pub use collection::{CollectionRow, CollectionSettings, Guard, OperationId, Retention, RevisionRow, SnapshotRow};
pub use count::{LookupCount, Outcome, StoreTotals};
pub use delivery::{DeliveryFilter, DeliveryId, DeliveryRow, DeliveryState, Told};
pub use distribution::{Described, Distribution};
pub use download::Downloaded;
pub use entry::{Entry, NewEntry, Origin, Scope};
pub use error::{Error, Result};
pub use file::{State, Verified};
pub use finding::FoundFile;
pub use garbage::{Garbage, PrunedEntry};
pub use growth::{ChangedBytes, SharedSet, Span};
pub use inspection::{BoundFile, InspectionRow};
pub use owner::{BlockRow, Reservation};
pub use pin::{DroppedKept, PinRow, Reference};
pub use publisher::{PublisherId, PublisherRow, PublisherSettings};
pub use recent::{DayCount, OperationRow};
pub use record::{Link, NewRecord, RecordFilter, RecordRow, START};
pub use refusal::RefusalRow;
pub use remote::{RemoteId, RemoteRow, RemoteSettings};
pub use remote_count::{RemoteCount, RemoteOutcome};
pub use remote_list::{RemoteListRow, TakenList};
pub use remote_page::{PageFailure, PageRow, Setback};
pub use replica::{BackedUp, KEPT_SECONDS, LogError, SharedLog};
pub use revision_signature::SignatureRow;
pub use route::{RouteOverride, Strategy, VariantRequirement, VariantRow};
#[cfg(debug_assertions)]
pub use schema::try_step;
pub use schema::version;
pub use session::{Seen, SessionRow};
pub use status::StatusRow;
pub use token::{NamedCollection, NewToken, TokenId, TokenRow, TokenState};
pub use types::{BlobId, CollectionId};
pub use view::{Layout, LinkKind, ViewId, ViewRow};
pub use want::WantRow;
pub use webhook::{WebhookCounts, WebhookId, WebhookRow, WebhookSettings};
pub use write_back::{WaitingCount, WaitingRow};

use crate::fs::fault::{Change, point};
use opened_file::OpenedFile;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

/// How much of the manifest may be in memory.
const CACHE_KIB: i64 = 32 * 1024;

/// Writes whose loss is bearable wait so long for other processes: somebody waits for an answer meanwhile.
const RELAXED_WAIT: Duration = Duration::from_millis(500);

/// How the manifest is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Made when there is none.
    Create,
    /// Must be there.
    Write,
    /// While others write, by a process that can't: their log is read.
    Read,
    /// As `Read`, on a disk without room: no index of the log is made.
    ReadInPlace,
    /// On a medium that nobody writes to: no locks, no log files.
    Immutable,
}

/// An open manifest.
#[derive(Debug)]
pub struct Manifest {
    rows: Rows,
    actor: Actor,
    /// How long a statement waits for another process.
    wait: Cell<Duration>,
}

/// What can be read from a manifest.
#[derive(Debug)]
pub struct Rows {
    conn: Connection,
    /// Nothing, of a copy that only this process has.
    opened: Option<OpenedFile>,
    /// The log of the shared store that this is a replica of.
    replica: Option<replica::Replica>,
}

/// A transaction: all of it or, when dropped without `commit`, nothing.
#[derive(Debug)]
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction<'m> {
    rows: &'m Rows,
    is_open: bool,
    /// Who writes.
    actor: &'m Actor,
    /// The last change that another program left in the manifest, where this transaction makes records.
    foreign: Option<i64>,
    /// What kind of operation this is, once that is written.
    operation: RefCell<Option<String>>,
}

impl Manifest {
    /// Opens the manifest. `wait` bounds how long a statement waits for another process's transaction.
    pub fn open(path: &Path, access: Access, wait: Duration) -> Result<Self> {
        opened_file::require_plain(path)?;
        let before = OpenedFile::at(path);
        let conn = connect(path, access)?;
        // The order matters: the wait must be set before the first statement that can meet another process.
        conn.busy_timeout(wait)?;
        if matches!(access, Access::Create | Access::Write) {
            conn.pragma_update(None, "journal_mode", "WAL")?;
            conn.pragma_update(None, "synchronous", "FULL")?;
        }
        set_up(&conn)?;
        let opened = OpenedFile::at(path);
        if before.is_some() && opened != before {
            return Err(Error::Replaced(path.to_owned()));
        }
        let opened = opened.ok_or_else(|| Error::Replaced(path.to_owned()))?;
        let manifest = Self {
            rows: Rows { conn, opened: Some(opened), replica: None },
            actor: Actor::default(),
            wait: Cell::new(wait),
        };
        manifest.migrate(path, access)?;
        Ok(manifest)
    }

    fn pragma(&self, name: &str) -> Result<i64> {
        Ok(self.conn.pragma_query_value(None, name, |row| row.get(0))?)
    }

    /// Starts a transaction that writes; waits for another process's to end.
    pub fn write(&self) -> Result<Transaction<'_>> {
        self.opened.iter().try_for_each(|_| point(Change::Grow, "write to", Path::new("manifest.sqlite")))?;
        self.begin_recorded()
    }

    /// Starts a transaction that only reads: all its answers are of one moment.
    pub fn read(&self) -> Result<Transaction<'_>> {
        self.begin("BEGIN DEFERRED")
    }

    /// Does some writes whose loss is bearable (counters, what remotes said), without waiting for the disk, or long for others.
    pub fn write_relaxed<T>(&self, write: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.relaxed(|| {
            let transaction = self.begin_recorded()?;
            let value = write(&transaction)?;
            transaction.commit().map(|()| value)
        })
    }

    fn relaxed<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        self.conn.pragma_update(None, "synchronous", "NORMAL")?;
        let wait = self.wait.replace(self.wait.get().min(RELAXED_WAIT));
        self.conn.busy_timeout(self.wait.get())?;
        let done = act();
        self.set_wait(wait)?;
        self.conn.pragma_update(None, "synchronous", "FULL")?;
        done
    }

    fn begin(&self, sql: &str) -> Result<Transaction<'_>> {
        held::begin(&self.conn, sql, self.wait.get())?;
        let (operation, actor) = (RefCell::new(None), &self.actor);
        Ok(Transaction { rows: &self.rows, is_open: true, actor, foreign: None, operation })
    }

    /// Begins a transaction whose commit makes records of what changed.
    fn begin_recorded(&self) -> Result<Transaction<'_>> {
        let mut transaction = self.begin_following()?;
        transaction.foreign = Some(transaction.last_foreign_change()?);
        Ok(transaction)
    }

    /// Tells whether the file that was opened is still the one at its path.
    pub fn is_in_place(&self) -> bool {
        self.opened.as_ref().is_none_or(|opened| opened.require().is_ok())
    }

    /// Returns who writes.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Says who writes from now on: that is in the record of each change.
    pub fn set_actor(&mut self, actor: Actor) {
        self.actor = actor;
    }

    /// Changes how long a statement waits for another process.
    pub fn set_wait(&self, wait: Duration) -> Result<()> {
        self.wait.set(wait);
        Ok(self.conn.busy_timeout(wait)?)
    }

    /// Changes how much of the manifest this handle may keep in memory, for programs with many handles.
    pub fn set_cache(&self, kib: i64) -> Result<()> {
        Ok(self.conn.pragma_update(None, "cache_size", -kib)?)
    }

    /// Returns a number that moves when another connection has changed the manifest. It means nothing to other connections.
    pub fn version(&self) -> Result<i64> {
        Ok(self.conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
    }
}

impl Deref for Manifest {
    type Target = Rows;

    fn deref(&self) -> &Rows {
        &self.rows
    }
}

impl Deref for Transaction<'_> {
    type Target = Rows;

    fn deref(&self) -> &Rows {
        self.rows
    }
}

impl Transaction<'_> {
    /// Makes all that was written durable, with the records of it, in the file that others find at the manifest's path.
    pub fn commit(self) -> Result<()> {
        if let Some(foreign) = self.foreign {
            self.record_changes(foreign)?;
            self.publish()?;
        }
        self.commit_here()
    }

    /// Makes durable in this folder what is committed already where others look for it, or is true of this folder alone.
    fn commit_here(mut self) -> Result<()> {
        let Some(opened) = &self.rows.opened else {
            self.rows.conn.execute_batch("COMMIT")?;
            self.is_open = false;
            return Ok(());
        };
        point(Change::Grow, "commit to", Path::new("manifest.sqlite"))?;
        opened.require()?;
        self.rows.conn.execute_batch("COMMIT")?;
        self.is_open = false;
        // Success is told only of what is where others look.
        opened.require()
    }

    /// Sets a named value of the store.
    pub fn set_meta(&self, key: &str, value: &str) -> Result<()> {
        let sql = "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value";
        self.conn.prepare_cached(sql)?.execute([key, value])?;
        Ok(())
    }

    /// Sets a named value of this folder.
    pub(super) fn set_here(&self, key: &str, value: &str) -> Result<()> {
        let sql = "INSERT INTO here(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value";
        self.conn.prepare_cached(sql)?.execute([key, value])?;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // SQLite has rolled back by itself after some errors; then there is nothing left to do.
            let _ = self.rows.conn.execute_batch("ROLLBACK");
        }
        if let Some(replica) = &self.rows.replica {
            replica.end_turn();
        }
    }
}

impl Rows {
    /// Returns what tells this manifest from one that is put in its place: the same rows may mean something else there.
    pub fn file(&self) -> impl std::hash::Hash + '_ {
        &self.opened
    }

    /// Returns the time by the system's clock, in seconds since 1970.
    pub fn clock(&self) -> Result<i64> {
        Ok(self.conn.prepare_cached("SELECT unixepoch()")?.query_row([], |row| row.get(0))?)
    }

    /// Returns a named value of the store.
    pub fn meta(&self, key: &str) -> Result<Option<String>> {
        let mut statement = self.conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
        Ok(statement.query_row([key], |row| row.get("value")).optional()?)
    }

    /// Returns a named value of this folder.
    fn here(&self, key: &str) -> Result<Option<String>> {
        let mut statement = self.conn.prepare_cached("SELECT value FROM here WHERE key = ?1")?;
        Ok(statement.query_row([key], |row| row.get("value")).optional()?)
    }
}

fn connect(path: &Path, access: Access) -> Result<Connection> {
    let opened = match access {
        Access::Create | Access::Write => {
            let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            flags.set(OpenFlags::SQLITE_OPEN_CREATE, access == Access::Create);
            Connection::open_with_flags(path, flags)
        }
        Access::Read => {
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        }
        Access::ReadInPlace | Access::Immutable => {
            let how = if access == Access::Immutable { "immutable=1" } else { "readonly_shm=1" };
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags(uri(path, how), flags)
        }
    };
    Ok(opened?)
}

/// Sets what every handle has, whatever it is for.
fn set_up(conn: &Connection) -> Result<()> {
    conn.pragma_update(None, "foreign_keys", true)?;
    // What a schema says is done with functions that can do no harm alone, whoever wrote it.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Without this, SQLite looks at the values that parameters have and compiles some statements anew for each.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Else each statement that may be rolled back alone (a delete with foreign keys) writes a temporary file.
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Digests come in no order: with a small cache, an import of many reads the same pages again and again.
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn uri(path: &Path, how: &str) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    format!("{uri}?{how}")
}
