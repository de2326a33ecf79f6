//! A connection to a database, and whose turn it is there.

use super::tls::Tls;
use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, TURN_TIMEOUT};
use crate::share::runtime::runtime;
use crate::words::reason;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Row};

/// What begins each class of errors that another try may be spared: the connection, its resources, and the server's own end.
const PASSING: [&str; 4] = ["08", "53", "57P", "40"];

/// Why there is no answer.
pub(super) enum Failure {
    /// The client can't work.
    Client(String),
    /// There was none in time.
    Late,
    /// The connection, or the server.
    Postgres(tokio_postgres::Error),
}

impl Failure {
    /// Tells whether another try may be answered.
    pub(super) fn may_pass(&self) -> bool {
        let Self::Postgres(error) = self else { return false };
        match (error.code(), network(error)) {
            (Some(code), _) => PASSING.iter().any(|class| code.code().starts_with(class)),
            // A certificate that isn't believed is told as one, and stays so; who was silent has been waited for.
            (None, Some(told)) => !self.is_silence() && !told.to_string().contains("certificate"),
            (None, None) => error.is_closed(),
        }
    }

    /// Tells whether nobody said anything: another try would wait as long.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::Client(_) => false,
            Self::Late => true,
            Self::Postgres(error) => network(error).is_some_and(|told| told.kind() == std::io::ErrorKind::TimedOut),
        }
    }
}

/// Returns what the network said.
fn network(error: &tokio_postgres::Error) -> Option<&std::io::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(told) = inner.downcast_ref() {
            return Some(told);
        }
        cause = inner.source();
    }
    None
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(why) => formatter.write_str(why),
            Self::Late => write!(formatter, "no answer within {} s", ANSWER_TIMEOUT.as_secs()),
            Self::Postgres(error) => match error.as_db_error() {
                Some(told) => formatter.write_str(told.message()),
                None => formatter.write_str(&reason(error)),
            },
        }
    }
}

/// What a statement is asked with.
pub(super) type Values<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// An open connection.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    runtime: &'static Runtime,
    /// Told when a record came, once [`Self::listen`] was called.
    news: Arc<Notify>,
    listens: bool,
    has_turn: bool,
}

type Result<T> = std::result::Result<T, Failure>;

impl Session {
    /// Connects.
    pub(super) fn open(config: &Config) -> Result<Self> {
        let runtime = runtime().map_err(|error| Failure::Client(error.to_string()))?;
        let (client, mut connection) = within(runtime, CONNECT_TIMEOUT, config.connect(Tls))?;
        let news = Arc::new(Notify::new());
        let heard = news.clone();
        runtime.spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if matches!(message, AsyncMessage::Notification(_)) {
                    heard.notify_one();
                }
            }
            heard.notify_one();
        });
        Ok(Self { client, runtime, news, listens: false, has_turn: false })
    }

    /// Returns the connection, which is made where there is none.
    pub(super) fn of<'s>(session: &'s mut Option<Self>, config: &Config) -> Result<&'s mut Self> {
        let open = session.take().filter(Self::is_open).map_or_else(|| Self::open(config), Ok)?;
        Ok(session.insert(open))
    }

    fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Runs statements that answer nothing.
    pub(super) fn run(&self, sql: &str) -> Result<()> {
        within(self.runtime, ANSWER_TIMEOUT, self.client.batch_execute(sql))
    }

    /// Returns the rows that a statement answers: its values have their types, so that one question is enough.
    pub(super) fn query(&self, sql: &str, values: Values<'_>, most: Duration) -> Result<Vec<Row>> {
        within(self.runtime, most, self.client.query_typed(sql, values))
    }

    /// Does the same, and ends the turn with it, if there is one.
    pub(super) fn commit(&mut self, sql: &str, values: Values<'_>) -> Result<Vec<Row>> {
        if !std::mem::take(&mut self.has_turn) {
            return self.query(sql, values, ANSWER_TIMEOUT);
        }
        // The second is on its way before the first is answered; where that failed it takes everything back.
        let asked = async { tokio::join!(self.client.query_typed(sql, values), self.client.batch_execute("COMMIT")) };
        let (rows, done) = within(self.runtime, ANSWER_TIMEOUT, async { Ok(asked.await) })?;
        let rows = rows.map_err(Failure::Postgres)?;
        done.map_err(Failure::Postgres)?;
        Ok(rows)
    }

    /// Returns the text that a statement answers.
    pub(super) fn text(&self, sql: &str) -> Result<String> {
        within(self.runtime, ANSWER_TIMEOUT, self.client.query_one(sql, &[])).map(|row| row.get(0))
    }

    /// Begins a turn, for which a statement waits. A process that is stopped meanwhile loses it, and stops nobody for longer.
    pub(super) fn begin_turn(&mut self, sql: &str, values: Values<'_>) -> Result<()> {
        let wait = TURN_TIMEOUT.as_millis();
        let begin = format!(
            "ROLLBACK; BEGIN; SET LOCAL lock_timeout = {wait}; SET LOCAL idle_in_transaction_session_timeout = 30000"
        );
        self.has_turn = true;
        let asked = async { tokio::join!(self.client.batch_execute(&begin), self.client.query_typed(sql, values)) };
        let (begun, taken) = within(self.runtime, TURN_TIMEOUT + ANSWER_TIMEOUT, async { Ok(asked.await) })?;
        begun.and(taken.map(drop)).map_err(Failure::Postgres)
    }

    /// Ends a turn in which nothing was made.
    pub(super) fn end_turn(&mut self) -> Result<()> {
        if std::mem::take(&mut self.has_turn) { self.run("ROLLBACK") } else { Ok(()) }
    }

    /// Waits until a record may have come, or for so long. One of another share costs a look.
    pub(super) fn listen(&mut self, most: Duration) -> Result<()> {
        if !self.listens {
            self.run("LISTEN wcas_log")?;
            self.listens = true;
        }
        let news = &self.news;
        self.runtime.block_on(async { tokio::time::timeout(most, news.notified()).await }).ok();
        Ok(())
    }
}

/// Waits so long for an answer.
fn within<T>(
    runtime: &Runtime,
    most: Duration,
    asked: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
) -> Result<T> {
    let answer = runtime.block_on(async { tokio::time::timeout(most, asked).await });
    answer.map_err(|_| Failure::Late)?.map_err(Failure::Postgres)
}
