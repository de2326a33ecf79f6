//! A log in PostgreSQL: a row of `wcas_log` is a record of a share.
//!
//! The primary key lets one record have each number. Beside that, writers take turns, by an advisory lock, once they lost: who has his
//! turn is not overtaken. A turn is a courtesy only; where it is lost, the key still decides.

mod session;
mod tls;

use super::{Error, Result};
use serde::Deserialize;
use session::{Failure, Session, Values};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::Type;

/// A server that is away is asked again for so long. Whoever waits is a command, or a server's answer.
const RETRY: Duration = Duration::from_secs(8);
/// So long for a connection, and for an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Who let that time pass isn't asked again for so long: one command asks several times.
const SILENCE: Duration = Duration::from_secs(5);
/// So long a writer waits for its turn, and does as if it had it after that.
const TURN_TIMEOUT: Duration = Duration::from_secs(20);

/// Records are read ahead, so many at a time, and of so many bytes beside the first.
const AHEAD: i64 = 256;
const AHEAD_BYTES: i64 = 4 << 20;

/// `record` is text to PostgreSQL as well: `json` keeps it as it was written, digest and all.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS wcas_log (
    share text NOT NULL,
    number bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    node bigint,
    who text NOT NULL,
    origin text NOT NULL,
    command text NOT NULL,
    record json,
    object text,
    PRIMARY KEY (share, number),
    CHECK ((record IS NULL) <> (object IS NULL)))";

/// Makes a record where none has its number, the one before is there (or none, for the first), and nobody else has his turn. Says so to
/// those who listen. Success is told of what is on the disk; a server that waits for others as well is left so.
const APPEND: &str = "WITH made AS (
    INSERT INTO wcas_log (share, number, node, who, origin, command, record, object)
    SELECT $1::text, $2::bigint, $3::bigint, $4::text, $5::text, $6::text, $7::text::json, $8::text
    WHERE ($2 = 1) IS DISTINCT FROM EXISTS (SELECT FROM wcas_log WHERE share = $1 AND ($2 = 1 OR number = $2 - 1))
      AND pg_try_advisory_xact_lock(hashtextextended('wcas ' || $1, 0))
    ON CONFLICT DO NOTHING
    RETURNING number)
  SELECT pg_notify('wcas_log', $1),
    CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', true) END
  FROM made";

/// What the record before them is, a small one, is told with the records: whoever writes wants to know that as well.
const READ: &str = "SELECT number, record::text, object FROM (
    SELECT number, record, object, sum(octet_length(record::text)) OVER (ORDER BY number) AS bytes FROM (
      SELECT number, record, object FROM wcas_log WHERE share = $1 AND number >= $2 ORDER BY number LIMIT $3) AS next) AS sized
  WHERE number = $2 OR coalesce(bytes, 0) <= $4
  UNION ALL SELECT number, record::text, object FROM wcas_log
  WHERE $5 AND share = $1 AND number = $2 - 1 AND octet_length(record::text) <= 65536
  ORDER BY number";

/// The numbers of a share's oldest record, of the first that was made after a time, and of the newest.
const OLD: &str = "SELECT min(number), min(number) FILTER (WHERE at > to_timestamp($2::bigint)), max(number)
  FROM wcas_log WHERE share = $1";

/// Removes records, and never the newest.
const REMOVE: &str = "DELETE FROM wcas_log WHERE share = $1 AND number < $2
  AND number < (SELECT max(number) FROM wcas_log WHERE share = $1)";

const TAKE_TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended('wcas ' || $1, 0))";

/// A password that somebody keeps outside of the URL, for a host, a port, a database and a user.
pub type FindPassword = fn(&str, u16, &str, &str) -> Option<String>;

/// Who finds it.
static PASSWORD: OnceLock<FindPassword> = OnceLock::new();

/// Says who finds passwords, when a database is first asked: only the binary reads environment and files.
pub fn on_password(find: FindPassword) {
    // The first one stays.
    let _ = PASSWORD.set(find);
}

/// Whether somebody was faster than this process, which takes turns from then on.
static HAS_LOST: AtomicBool = AtomicBool::new(false);

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// In its row.
    Here(Vec<u8>),
    /// In the bucket, under this key.
    Object(String),
}

/// What is told of a record in columns of its own, for people.
#[derive(Deserialize)]
struct Told {
    node: Option<i64>,
    who: String,
    origin: String,
    command: String,
}

/// A database that has logs of shares.
#[derive(Debug)]
pub(super) struct Postgres {
    config: Config,
    state: Mutex<State>,
}

/// What one handle has open. Turns and what was read ahead are its own.
#[derive(Debug, Default)]
struct State {
    session: Option<Session>,
    /// When nobody took a connection.
    silent: Option<Instant>,
    ahead: VecDeque<(i64, Kept)>,
    /// The record before the first that was asked for, until it is asked for itself.
    before: Option<(i64, Kept)>,
    has_read: bool,
}

impl Postgres {
    /// Takes the place of a database. Nothing is asked yet.
    pub(super) fn at(url: &str) -> Result<Self> {
        let refused = |why: String| Error::Log { url: url.to_owned(), why };
        let mut config: Config = url.parse().map_err(|error| refused(told(&error)))?;
        if config.get_password().is_some() {
            // It would stand in the store's wcas.json, and in the list of processes.
            return Err(refused("a password belongs into PGPASSWORD or ~/.pgpass, not into the URL".to_owned()));
        }
        let is_local = |host: &Host| match host {
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
            Host::Unix(_) => true,
        };
        if config.get_hosts().is_empty() {
            return Err(refused("it names no host: postgres://user@host/database".to_owned()));
        }
        if config.get_ssl_mode() == SslMode::Prefer {
            // Whoever sits between could say that there is no TLS.
            let is_local = config.get_hosts().iter().all(is_local);
            config.ssl_mode(if is_local { SslMode::Disable } else { SslMode::Require });
        }
        if let Some(find) = PASSWORD.get()
            && let Some(password) = password(&config, *find)
        {
            config.password(password);
        }
        config.connect_timeout(CONNECT_TIMEOUT).tcp_user_timeout(ANSWER_TIMEOUT).keepalives_idle(CONNECT_TIMEOUT * 3);
        config.application_name("wcas");
        Ok(Self { config, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks once more where the connection was lost, for a while.
    fn ask<T>(
        &self,
        state: &mut State,
        act: &'static str,
        mut ask: impl FnMut(&mut Session) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        if state.silent.is_some_and(|since| since.elapsed() < SILENCE) {
            return Err(Error::Database { act, why: "it says nothing".to_owned() });
        }
        state.silent = None;
        let began = Instant::now();
        let mut pause = Duration::from_millis(20);
        loop {
            let opened = Session::of(&mut state.session, &self.config);
            let is_silent = opened.as_ref().err().is_some_and(Failure::is_silence);
            match opened.and_then(&mut ask) {
                Ok(answer) => return Ok(answer),
                Err(failure) if failure.may_pass() && began.elapsed() + pause < RETRY => {
                    // What it was in the middle of is over.
                    state.session = None;
                    std::thread::sleep(pause);
                    pause *= 2;
                }
                Err(failure) => {
                    state.session = None;
                    state.silent = is_silent.then(Instant::now);
                    return Err(Error::Database { act, why: failure.to_string() });
                }
            }
        }
    }

    /// Makes the table, if it isn't there, and sees that records can be made in it.
    pub(super) fn prepare(&self) -> Result<()> {
        let mut state = self.state();
        let encoding = self.ask(&mut state, "look at", |session| session.text("SHOW server_encoding"))?;
        if encoding != "UTF8" {
            let why = format!("the database is encoded in {encoding}: a log needs UTF8");
            return Err(Error::Database { act: "begin", why });
        }
        self.ask(&mut state, "begin", |session| {
            // Who may not make tables may have been given one.
            if session.text("SELECT coalesce(to_regclass('wcas_log')::text, '')")?.is_empty() {
                session.run(&format!("BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('wcas', 0)); {TABLE}; COMMIT"))?;
            }
            session.run(
                "BEGIN; INSERT INTO wcas_log (share, number, who, origin, command, record) VALUES ('', 0, '', '', 'probe', '{}'); ROLLBACK",
            )
        })
    }

    /// Returns a record, and reads those after it ahead; `None`: it isn't there yet.
    pub(super) fn read(&self, share: &str, number: i64) -> Result<Option<Kept>> {
        let mut state = self.state();
        while let Some((found, kept)) = state.ahead.pop_front() {
            if found == number {
                return Ok(Some(kept));
            }
        }
        if let Some((_, kept)) = state.before.take_if(|(found, _)| *found == number) {
            return Ok(Some(kept));
        }
        let with_before = !std::mem::replace(&mut state.has_read, true);
        let rows = self.ask(&mut state, "read", |session| {
            let values: Values<'_> = &[
                (&share, Type::TEXT),
                (&number, Type::INT8),
                (&AHEAD, Type::INT8),
                (&AHEAD_BYTES, Type::INT8),
                (&with_before, Type::BOOL),
            ];
            session.query(READ, values, ANSWER_TIMEOUT)
        })?;
        let kept = rows.iter().map(|row| {
            let (record, object): (Option<String>, Option<String>) = (row.get(1), row.get(2));
            // The table's check lets one of them be there.
            let kept = object.map_or_else(|| Kept::Here(record.unwrap_or_default().into_bytes()), Kept::Object);
            (row.get(0), kept)
        });
        let mut kept = kept.peekable();
        let before = kept.next_if(|(found, _)| *found < number);
        if before.is_some() {
            state.before = before;
        }
        // A hole would be somebody's hand in the table.
        let expected = number..;
        state.ahead =
            kept.zip(expected).take_while(|((found, _), wanted)| found == wanted).map(|(kept, _)| kept).collect();
        Ok(state.ahead.pop_front().map(|(_, kept)| kept))
    }

    /// Makes a record, if there is none with this number. Returns whether it is there now. Ends the turn.
    pub(super) fn append(&self, share: &str, number: i64, record: &[u8], kept: &Kept) -> Result<bool> {
        let told: Told = serde_json::from_slice(record).map_err(|_| Error::WrongBytes(format!("record {number}")))?;
        let (record, object) = match kept {
            Kept::Here(bytes) => (std::str::from_utf8(bytes).ok(), None),
            Kept::Object(key) => (None, Some(key.as_str())),
        };
        let mut state = self.state();
        let made = self.ask(&mut state, "append to", |session| {
            let row: Values<'_> = &[
                (&share, Type::TEXT),
                (&number, Type::INT8),
                (&told.node, Type::INT8),
                (&told.who, Type::TEXT),
                (&told.origin, Type::TEXT),
                (&told.command, Type::TEXT),
                (&record, Type::TEXT),
                (&object, Type::TEXT),
            ];
            Ok(!session.commit(APPEND, row)?.is_empty())
        })?;
        drop(state);
        // Also what a second try of ours is told, where the answer to the first was lost.
        let is_there = made || self.read(share, number)?.as_ref() == Some(kept);
        if !is_there {
            HAS_LOST.store(true, Relaxed);
        }
        Ok(is_there)
    }

    /// Returns the records that are there before the first that was made after a time, without the newest.
    pub(super) fn old(&self, share: &str, before: i64) -> Result<Range<i64>> {
        let (oldest, young, newest) = self.ends(share, before)?;
        Ok(oldest.unwrap_or(0)..young.or(newest).unwrap_or(0))
    }

    /// Returns the number of the newest record.
    pub(super) fn newest(&self, share: &str) -> Result<Option<i64>> {
        Ok(self.ends(share, 0)?.2)
    }

    fn ends(&self, share: &str, before: i64) -> Result<(Option<i64>, Option<i64>, Option<i64>)> {
        let rows = self.ask(&mut self.state(), "look at", |session| {
            session.query(OLD, &[(&share, Type::TEXT), (&before, Type::INT8)], ANSWER_TIMEOUT)
        })?;
        Ok(rows.first().map_or((None, None, None), |row| (row.get(0), row.get(1), row.get(2))))
    }

    /// Removes the records before a number, all or none.
    pub(super) fn remove(&self, share: &str, before: i64) -> Result<()> {
        self.ask(&mut self.state(), "prune", |session| {
            session.query(REMOVE, &[(&share, Type::TEXT), (&before, Type::INT8)], ANSWER_TIMEOUT).map(drop)
        })
    }

    /// Tells whether this process was overtaken.
    pub(super) fn has_lost(&self) -> bool {
        HAS_LOST.load(Relaxed)
    }

    /// Waits for this writer's turn, if many write, or it was overtaken before.
    pub(super) fn take_turn(&self, share: &str, is_contended: bool) -> Result<()> {
        if !is_contended && !self.has_lost() {
            return Ok(());
        }
        let mut state = self.state();
        state.ahead.clear();
        self.ask(&mut state, "wait for", |session| session.begin_turn(TAKE_TURN, &[(&share, Type::TEXT)]))
    }

    /// Ends the turn, if this writer has it.
    pub(super) fn end_turn(&self) {
        let session = &mut self.state().session;
        if session.as_mut().is_some_and(|session| session.end_turn().is_err()) {
            *session = None;
        }
    }

    /// Waits until a record may have come, or for so long. What was said before the first call isn't heard.
    pub(super) fn wait(&self, most: Duration) {
        let mut state = self.state();
        let began = Instant::now();
        let heard = Session::of(&mut state.session, &self.config).and_then(|session| session.listen(most));
        drop(state);
        // Then it is asked as often as if nothing could be heard.
        if heard.is_err() {
            std::thread::sleep(most.saturating_sub(began.elapsed()));
        }
    }
}

/// Returns the password that is kept for a database.
fn password(config: &Config, find: FindPassword) -> Option<String> {
    let user = config.get_user()?;
    let host = match config.get_hosts().first()? {
        Host::Tcp(name) => name.as_str(),
        Host::Unix(_) => "localhost",
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    find(host, port, config.get_dbname().unwrap_or(user), user)
}

/// Returns all that an error says of itself.
fn told(error: &tokio_postgres::Error) -> String {
    crate::words::reason(error)
}
