//! `log`: what was done to the store, by whom; and whether the log is whole.

use crate::context::Context;
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::keep::prune::prune;
use crate::manifest::{ActorKind, Link, NewRecord, RecordFilter, RecordRow, Rows, START};
use crate::store::Store;
use serde::Serialize;
use serde_json::Value;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct By {
    /// `user`, `token`, `anonymous` or `unknown`.
    pub kind: ActorKind,
    /// The user's or token's number.
    pub id: Option<i64>,
    /// The user's or token's name.
    pub name: String,
}

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordReport {
    /// Its number.
    pub number: i64,
    /// When, in seconds since 1970.
    pub at: i64,
    /// What was done: `import`, `guard`, `token`, …
    pub kind: String,
    /// Who did it.
    pub by: By,
    /// From where: the host, or the client's address.
    pub from: String,
    /// By which command, without its arguments.
    pub command: String,
    /// The name of the remote, token, variant, … that it was done to.
    pub name: Option<String>,
    /// The collection.
    pub collection: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// The file.
    pub filename: Option<String>,
    /// Its digest, as it is now.
    pub sha256: Option<Sha256>,
    /// What was; `None`: it was not there. Of a change only what differs.
    pub before: Option<Value>,
    /// What is; `None`: it is gone.
    pub after: Option<Value>,
    /// The digest of this record and of all before it.
    pub digest: Sha256,
}

impl From<RecordRow> for RecordReport {
    fn from(row: RecordRow) -> Self {
        let value = |text: Option<String>| text.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)));
        let NewRecord { kind, name, collection, project, filename, sha256, before, after } = row.what;
        Self {
            number: row.number,
            at: row.at,
            kind,
            by: By { kind: row.actor.kind, id: row.actor.id, name: row.actor.name },
            from: row.actor.origin,
            command: row.actor.command,
            name,
            collection,
            project,
            filename,
            sha256,
            before: value(before),
            after: value(after),
            digest: row.digest,
        }
    }
}

/// Shows the records that fit one by one, the oldest first, as the log is at one moment.
pub fn each_record(
    store: &Store,
    filter: &RecordFilter,
    show: &mut dyn FnMut(RecordReport) -> Result<()>,
) -> Result<()> {
    store.manifest.read()?.each_record(filter, |row| show(row.into()))
}

/// What is wrong with the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogProblem {
    /// `changed`, `missing`, `added`, or `expected`: the head that was asked for is not in it.
    pub kind: &'static str,
    /// The record where it shows.
    pub number: i64,
    /// The same in words.
    pub detail: String,
}

/// Whether the log is whole.
#[derive(Debug, Serialize)]
pub struct LogCheck {
    /// How many records there are.
    pub records: u64,
    /// The newest record: kept elsewhere, it tells later whether this log is still the same one.
    pub head: Link,
    /// The last record that was pruned.
    pub pruned: Option<Link>,
    /// What is wrong.
    pub problems: Vec<LogProblem>,
}

/// Checks the log: each record against its digest and the one before, the last against the head that was noted beside it, and, where
/// somebody kept a head elsewhere, that this one is in it.
pub fn verify_log(store: &Store, expected: Option<&Link>) -> Result<LogCheck> {
    check(&*store.manifest.read()?, expected)
}

/// The same in a transaction.
pub(super) fn check(rows: &Rows, expected: Option<&Link>) -> Result<LogCheck> {
    let base = rows.log_base()?;
    let mut chain = Chain::new(base.unwrap_or(START), expected.copied());
    rows.each_record(&RecordFilter::default(), |row| {
        chain.take(&row);
        Ok::<_, Error>(())
    })?;
    Ok(chain.end(rows.log_head()?, base))
}

/// A walk along the chain.
struct Chain {
    end: Link,
    records: u64,
    /// What the newest record of a pruning says that it left out.
    pruned: Option<(i64, String)>,
    expected: Option<Link>,
    is_met: bool,
    problems: Vec<LogProblem>,
}

impl Chain {
    fn new(base: Link, expected: Option<Link>) -> Self {
        let is_met = expected.is_none_or(|expected| expected == base);
        Self { end: base, records: 0, pruned: None, expected, is_met, problems: Vec::new() }
    }

    fn problem(&mut self, kind: &'static str, number: i64, detail: String) {
        self.problems.push(LogProblem { kind, number, detail });
    }

    fn take(&mut self, row: &RecordRow) {
        let (number, next) = (row.number, self.end.number + 1);
        if number > next {
            let which = if number - 1 == next {
                format!("record {next} is")
            } else {
                format!("records {next} to {} are", number - 1)
            };
            self.problem("missing", next, format!("{which} missing"));
        } else if number < next {
            self.problem("added", number, format!("record {number} stands where records were pruned"));
        } else if row.expected(&self.end.digest) != row.digest {
            let text = format!(
                "record {number} is not the one that was written: it, or the one before it, was changed or put in"
            );
            self.problem("changed", number, text);
        }
        self.end = Link { number, digest: row.digest };
        self.records += 1;
        self.is_met |= self.expected == Some(self.end);
        if row.what.kind == "prune" {
            let told: Option<Value> = row.what.after.as_deref().and_then(|text| serde_json::from_str(text).ok());
            self.pruned = told.and_then(|told| Some((told["through"].as_i64()?, told["digest"].as_str()?.to_owned())));
        }
    }

    fn end(mut self, head: Option<Link>, base: Option<Link>) -> LogCheck {
        let end = self.end;
        match head {
            Some(head) if head.number > end.number => {
                self.problem("missing", head.number, format!("the newest records, up to {}, are missing", head.number));
            }
            Some(head) if head != end => {
                self.problem("added", end.number, format!("record {} is not the last that was written", end.number));
            }
            None if self.records > 0 => {
                self.problem("missing", end.number, "the note of the newest record is missing".to_owned());
            }
            _ => {}
        }
        if let Some(base) = base
            && self
                .pruned
                .take()
                .is_none_or(|(through, digest)| (through, digest) != (base.number, base.digest.to_string()))
        {
            let text = format!("the records up to {} are gone, and none tells that they were pruned", base.number);
            self.problem("missing", base.number, text);
        }
        if let (false, Some(expected)) = (self.is_met, self.expected) {
            let number = expected.number;
            let why = match base {
                Some(base) if number < base.number => "it was pruned, so nothing can be told",
                _ if number > end.number => "the log ends before it",
                _ => "another record stands there",
            };
            self.problem("expected", number, format!("the log does not contain {expected}: {why}"));
        }
        LogCheck { records: self.records, head: end, pruned: base, problems: self.problems }
    }
}

/// What was pruned.
#[derive(Debug, Serialize)]
pub struct PruneReport {
    /// How many records went.
    pub records: u64,
    /// The last of them, on which the chain stands now.
    pub through: Option<Link>,
    /// How many records of the share's log went, of a node.
    pub shared: u64,
}

/// Forgets the records that are older than so many seconds, from the oldest on. A record tells of it, and what is left stays a chain. A
/// log that isn't whole is refused: what is wrong with it would be forgotten, too. Of a node the share's own records go as well, as far as
/// nobody needs them.
pub fn prune_log(store: &Store, context: &Context<'_>, age: i64) -> Result<std::result::Result<PruneReport, LogCheck>> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let check = check(&transaction, None)?;
    if !check.problems.is_empty() {
        return Ok(Err(check));
    }
    let pruned = transaction.prune_records(context.now.saturating_sub(age))?;
    transaction.commit()?;
    let (records, through) = pruned.map_or((0, None), |(records, last)| (records, Some(last)));
    let shared = prune(store, age)?;
    Ok(Ok(PruneReport { records, through, shared }))
}
