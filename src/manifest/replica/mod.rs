//! A manifest that follows the log of a shared store: rows that are true of the store are the log's, those of this folder its own.
//!
//! A transaction that writes brings the replica to the log's end, and what it changes of shared rows becomes the log's next record:
//! that is its commit. The local one comes after; where it doesn't, since the process was killed, the next opening reads the record.
//!
//! Each record names the digest of the one before it, so that a replica never goes on from another past than its own.

mod anew;
mod apply;
mod capture;
mod known;
mod record;
mod snapshot;
mod upgrade;

use super::opened_file::OpenedFile;
use super::schema::version;
use super::{Error, Link, Manifest, RELAXED_WAIT, Result, Rows, START, Transaction};
use crate::digest::Sha256;
use crate::fs::fault::{Change, point};
use crate::words::reason;
pub use known::KEPT_SECONDS;
use record::Head;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
pub use snapshot::BackedUp;
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The key in `here` of the newest record that this replica has: its number and digest.
const PLACE: &str = "shared_log";
/// The key in `here` of this node's number.
const NODE: &str = "node";
/// The key in `here` of where this node was when it got its number: the machine, and the manifest's inode.
const SEAT: &str = "node_seat";
/// The key in `here` of how many numbers this node has given to files.
const FILES: &str = "node_files";
/// The key in `here` that says that this manifest is no replica any more.
const LEFT: &str = "left_share";
/// So many numbers of files each node has for itself.
const FILES_OF_NODE: i64 = 1 << 40;

/// The key in `here` of when a writer on this node was overtaken, in seconds since 1970: for so many seconds the next ones take turns.
const LOST_AT: &str = "share_lost";
const LOST_SECONDS: i64 = 60;

/// A log that could not be asked, which took so long to find out, isn't asked again for as long.
const AWAY: Duration = Duration::from_secs(1);

/// The key in `here` of when that was, in seconds since 1970: commands that follow within so many seconds and only read don't wait again.
const AWAY_AT: &str = "share_away";
const AWAY_SECONDS: i64 = 10;

/// Why a log could not be asked.
pub type LogError = Box<dyn std::error::Error + Send + Sync>;

/// A shared store's log: records by number from 1, each committed once and never changed.
pub trait SharedLog: Debug + Send + Sync {
    /// Returns a record; `None`: it isn't there yet.
    fn read(&self, number: i64) -> std::result::Result<Option<Vec<u8>>, LogError>;

    /// Returns the number of the newest record; `None`: there is none yet.
    fn newest(&self) -> std::result::Result<Option<i64>, LogError>;

    /// Returns the digest that was kept of a record that was pruned; `None`: there is none.
    fn kept_digest(&self, number: i64) -> std::result::Result<Option<Sha256>, LogError>;

    /// Commits a record, durably, where none has its number. Returns whether it is there now; `false`: another one is.
    fn append(&self, number: i64, record: &[u8]) -> std::result::Result<bool, LogError>;

    /// Waits for the writer's turn before it begins, where writers take turns (if many write, or this one was overtaken): then nobody
    /// overtakes it.
    fn take_turn(&self, _is_contended: bool) {}

    /// Tells whether a writer of this process was overtaken, where writers can take turns.
    fn has_lost(&self) -> bool {
        false
    }

    /// Ends the turn, whatever became of it.
    fn end_turn(&self) {}
}

/// The log that a manifest follows.
#[derive(Debug)]
pub(super) struct Replica {
    log: Arc<dyn SharedLog>,
    /// Whether what changes is collected.
    is_capturing: Cell<bool>,
    /// Why the log could not be followed when the last transaction began.
    lag: RefCell<Option<Error>>,
    /// When the log could not be asked, and why.
    away: RefCell<Option<(Instant, String)>>,
    /// When the log was found by this handle to have the record that this replica stands on.
    known_at: Cell<Option<Instant>>,
}

impl Manifest {
    /// Lets the manifest follow a shared store's log from now on, and brings it to the log's end. An answer says why that couldn't be:
    /// what is here can be read, as old as it is.
    pub fn follow(&mut self, log: Arc<dyn SharedLog>) -> Result<Option<Error>> {
        self.rows.replica = Some(Replica {
            log,
            is_capturing: Cell::new(false),
            lag: RefCell::new(None),
            away: RefCell::new(None),
            known_at: Cell::new(None),
        });
        if let Some(ago) = self.away_for()? {
            return Ok(Some(Error::Log(format!("it could not be asked {ago} s ago").into())));
        }
        // Who only reads waits for nobody.
        let (wait, asked) = (self.wait.get(), Instant::now());
        self.set_wait(wait.min(RELAXED_WAIT))?;
        let done = self.catch_up();
        if done.as_ref().err().is_some_and(Error::is_of_log) && asked.elapsed() >= AWAY {
            // Who can't note it waits again.
            let _ = self.note_away();
        }
        self.set_wait(wait)?;
        match done {
            Err(error) if error.is_of_log() || error.is_full() => Ok(Some(error)),
            // Whoever keeps this one from writing reads the log, too.
            Err(error) if error.is_busy() => Ok(None),
            done => done.map(|()| None),
        }
    }

    /// Tells how many seconds ago somebody waited for the log in vain, if that was just now.
    fn away_for(&self) -> Result<Option<i64>> {
        let Some(at) = self.here(AWAY_AT)?.and_then(|at| at.parse::<i64>().ok()) else { return Ok(None) };
        let ago = self.clock()?.saturating_sub(at);
        Ok((0..AWAY_SECONDS).contains(&ago).then_some(ago))
    }

    fn note_away(&self) -> Result<()> {
        let transaction = self.begin("BEGIN IMMEDIATE")?;
        transaction.set_here(AWAY_AT, &self.clock()?.to_string())?;
        transaction.commit_here()
    }

    /// Reads what others have committed to the shared store's log.
    pub fn catch_up(&self) -> Result<()> {
        let Some(replica) = &self.rows.replica else { return Ok(()) };
        if replica.read(self.place()?.number + 1)?.is_none() {
            return self.require_end();
        }
        // Nothing of its own is written here, so nothing is collected: where there are triggers SQLite keeps each statement so that it could be
        // taken back alone, which costs the more the larger the record is.
        // Nor need it be on the disk: what is lost with the power is read again.
        self.conn.pragma_update(None, "synchronous", "NORMAL")?;
        let done = self.read_on_alone(replica);
        self.conn.pragma_update(None, "synchronous", "FULL")?;
        done
    }

    fn read_on_alone(&self, replica: &Replica) -> Result<()> {
        let transaction = self.begin("BEGIN IMMEDIATE")?;
        let done = transaction.read_on(replica);
        match &done {
            Err(error) if !error.is_of_log() => return done,
            _ => drop(replica.lag.take()),
        }
        // What could be read before it failed counts.
        transaction.commit_here()?;
        done
    }

    /// Begins a transaction at the log's end. Where that can't be reached, what is known here counts until the commit.
    pub(super) fn begin_following(&self) -> Result<Transaction<'_>> {
        let Some(replica) = &self.rows.replica else { return self.begin("BEGIN IMMEDIATE") };
        replica.capture(&self.conn)?;
        // Before the manifest's own lock: who has the turn may be waiting for that.
        replica.log.take_turn(self.was_overtaken(self.clock()?, LOST_SECONDS)?);
        let transaction = self.begin("BEGIN IMMEDIATE").inspect_err(|_| replica.log.end_turn())?;
        let done = transaction.read_on(replica);
        match done {
            Err(error) if error.is_of_log() => drop(replica.lag.replace(Some(error))),
            done => {
                done?;
                replica.lag.take();
            }
        }
        Ok(transaction)
    }

    /// Makes this folder a node of the shared store, if it isn't one. Returns its number.
    ///
    /// A copy of a node is another node: numbers of files are each node's own. So is one on a machine that calls itself otherwise.
    pub fn join(&self, name: &str, machine: &str, now: i64) -> Result<i64> {
        if let Some(number) = self.node()?
            && self.here(SEAT)? == Some(self.seat(machine))
        {
            return Ok(number);
        }
        let transaction = self.write()?;
        let number = transaction.take_seat(name, machine, now)?;
        transaction.commit()?;
        Ok(number)
    }
}

impl Rows {
    /// Returns what tells this folder on this machine from a copy of it.
    fn seat(&self, machine: &str) -> String {
        format!("{machine} {}", self.opened.as_ref().map_or(0, OpenedFile::inode))
    }

    /// Returns this node's number in the shared store.
    pub fn node(&self) -> Result<Option<i64>> {
        Ok(self.here(NODE)?.and_then(|number| number.parse().ok()))
    }

    /// Returns the newest record of the shared store's log that is known here.
    pub fn place(&self) -> Result<Link> {
        Ok(self.here(PLACE)?.and_then(|place| place.parse().ok()).unwrap_or(START))
    }

    /// Tells whether a writer on this node was overtaken so few seconds ago.
    fn was_overtaken(&self, now: i64, seconds: i64) -> Result<bool> {
        let at: Option<i64> = self.here(LOST_AT)?.and_then(|at| at.parse().ok());
        Ok(at.is_some_and(|at| (0..seconds).contains(&now.saturating_sub(at))))
    }

    /// Tells whether the store has left its share, whatever its `wcas.json` says: that is written after it.
    pub fn has_left(&self) -> Result<bool> {
        Ok(self.here(LEFT)?.is_some())
    }
}

impl Replica {
    /// Lets other writers have their turn.
    pub(super) fn end_turn(&self) {
        self.log.end_turn();
    }

    fn read(&self, number: i64) -> Result<Option<Vec<u8>>> {
        // To find that out took its time: nobody waits for it twice in a row.
        let mut away = self.away.borrow_mut();
        if let Some((_, why)) = away.as_ref().filter(|(at, _)| at.elapsed() < AWAY) {
            return Err(Error::Log(why.clone().into()));
        }
        let asked = Instant::now();
        let read = self.log.read(number);
        let failure = read.as_ref().err().filter(|_| asked.elapsed() >= AWAY);
        *away = failure.map(|error| (Instant::now(), reason(error.as_ref())));
        read.map_err(Error::Log)
    }

    /// Forgets what was collected of rows that the log has: temporary triggers fire where all others are off.
    fn forget(&self, conn: &Connection) -> Result<()> {
        if self.is_capturing.get() { capture::clear(conn) } else { Ok(()) }
    }

    /// Collects what changes from now on, on this connection.
    fn capture(&self, conn: &Connection) -> Result<()> {
        if !self.is_capturing.get() {
            capture::install(conn)?;
            self.is_capturing.set(true);
        }
        Ok(())
    }
}

impl Transaction<'_> {
    /// Gives this folder the next number of a node.
    fn take_seat(&self, name: &str, machine: &str, now: i64) -> Result<i64> {
        if self.place()? == START {
            self.set_log_schema()?;
        }
        let sql = "INSERT INTO node(name, joined_at) VALUES(?1, ?2) RETURNING number";
        let number: i64 = self.conn.query_row(sql, (name, now), |row| row.get(0))?;
        self.set_here(NODE, &number.to_string())?;
        self.set_here(SEAT, &self.seat(machine))?;
        self.set_here(FILES, "0")?;
        Ok(number)
    }

    /// Applies the records that the log has after those that are known here. An error tells why there may be more.
    fn read_on(&self, replica: &Replica) -> Result<()> {
        let mut place = self.place()?;
        let next = replica.read(place.number + 1);
        if !matches!(next, Ok(Some(_))) {
            return next.map(drop);
        }
        // What triggers did is in the records.
        self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        self.conn.pragma_update(None, "defer_foreign_keys", true)?;
        let ended = self.apply_from(replica, next, &mut place);
        self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
        // What this transaction writes itself must not find out at its end, when the log has it, that it refers to nothing.
        self.conn.pragma_update(None, "defer_foreign_keys", false)?;
        let ended = ended?;
        self.set_here(PLACE, &place.to_string())?;
        self.note_known()?;
        replica.forget(&self.conn)?;
        ended
    }

    /// Applies records, as far as they can be read and understood; tells why there may be more. An error of the manifest is one.
    fn apply_from(&self, replica: &Replica, mut next: Result<Option<Vec<u8>>>, place: &mut Link) -> Result<Result<()>> {
        let mut tables = apply::Tables::default();
        loop {
            let bytes = match next {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            // A record counts whole, or not at all.
            self.conn.prepare_cached("SAVEPOINT record")?.execute([])?;
            let number = place.number + 1;
            let apply = &mut |change| tables.apply(&self.conn, number, &change);
            let applied = record::each_change(&bytes, *place, apply);
            if let Err(error) = applied {
                self.conn.execute_batch("ROLLBACK TO record; RELEASE record")?;
                return Ok(Err(error));
            }
            self.conn.prepare_cached("RELEASE record")?.execute([])?;
            *place = Link { number, digest: Sha256::of(&bytes) };
            next = replica.read(number + 1);
        }
    }

    /// Commits what changed of shared rows to the log, if the manifest follows one: after this, it counts.
    pub(super) fn publish(&self) -> Result<()> {
        let Some(replica) = &self.replica else { return Ok(()) };
        let (place, began) = (self.place()?, Instant::now());
        let (number, schema) = (place.number + 1, self.log_schema()?);
        let head = Head {
            number,
            before: place.digest,
            id: crate::fs::unique_name(),
            at: self.clock()?,
            node: self.node()?,
            who: self.actor.name.clone(),
            origin: self.actor.origin.clone(),
            command: self.actor.command.clone(),
            schema,
        };
        let mut bytes = head.write();
        let changes = bytes.len();
        if !capture::take(&self.conn, &mut bytes)? {
            return Ok(());
        }
        if schema < version() {
            let older = upgrade::in_words_of(&self.conn, schema, &bytes[changes..])?;
            bytes.truncate(changes);
            bytes.extend_from_slice(&older);
        }
        bytes.extend_from_slice(record::END);
        if let Some(error) = replica.lag.take() {
            return Err(error);
        }
        self.require_known()?;
        // What is committed there is to be committed here.
        self.opened.iter().try_for_each(OpenedFile::require)?;
        point(Change::Grow, "append to", Path::new("the shared log"))?;
        if !replica.log.append(number, &bytes).map_err(Error::Unsure)? {
            return Err(Error::Conflict);
        }
        self.require_in_time(replica, (began, head.at), place)?;
        self.set_here(PLACE, &Link { number, digest: Sha256::of(&bytes) }.to_string())?;
        self.note_known()?;
        self.note_lost(replica)?;
        point(Change::Grow, "know of", Path::new("the shared log"))?;
        Ok(())
    }

    /// Notes that others write as well, so that the commands that follow don't find out by themselves.
    fn note_lost(&self, replica: &Replica) -> Result<()> {
        let now = self.clock()?;
        if replica.log.has_lost() && !self.was_overtaken(now, LOST_SECONDS / 2)? {
            self.set_here(LOST_AT, &now.to_string())?;
        }
        Ok(())
    }

    /// Returns the number of a new file's row; `None`: the next one will do, since no other machine gives any.
    pub(super) fn file_number(&self) -> Result<Option<i64>> {
        if self.replica.is_none() {
            return Ok(None);
        }
        let node = self.node()?.ok_or(Error::NotJoined)?;
        let sql = "INSERT INTO here(key, value) VALUES(?1, '1')
                   ON CONFLICT(key) DO UPDATE SET value = CAST(value AS INTEGER) + 1 RETURNING CAST(value AS INTEGER)";
        let given: i64 = self.conn.prepare_cached(sql)?.query_row([FILES], |row| row.get(0))?;
        Ok(Some(node.saturating_mul(FILES_OF_NODE).saturating_add(given)))
    }
}

#[cfg(test)]
mod tests;
