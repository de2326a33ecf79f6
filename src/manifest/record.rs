//! The log: what was done, by whom; a chain in which each record vouches for all before it.
//!
//! A record's digest is the SHA-256 of the digest before it in hexadecimal digits, a line feed, the record as a JSON array of its
//! fields in the order of the table, and a line feed. The first record stands on 64 zeros. Where older records were pruned, the
//! chain begins with the digest of the last of them, which `meta` keeps and the record of the pruning repeats.

use super::actor::Actor;
use super::{Error, Result, Rows, Transaction};
use crate::digest::Sha256;
use rusqlite::{OptionalExtension, Row, named_params};
use serde::Serialize;

/// The key of the newest record's number and digest in `meta`.
const HEAD: &str = "log_head";
/// The key of the number and digest of the last record that was pruned.
const BASE: &str = "log_base";

/// A place in the chain: a record's number and digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The number.
    pub number: i64,
    /// The digest.
    pub digest: Sha256,
}

/// What the chain's first record stands on.
pub const START: Link = Link { number: 0, digest: Sha256::from_bytes([0; 32]) };

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.number, self.digest)
    }
}

impl std::str::FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let expected =
            || format!("{text:?} is no place in the log: expected NUMBER:DIGEST, as `wcas log verify` prints it");
        let (number, digest) = text.split_once(':').ok_or_else(expected)?;
        let (number, digest) = (number.parse().map_err(|_| expected())?, digest.parse().map_err(|_| expected())?);
        Ok(Self { number, digest })
    }
}

impl Serialize for Link {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a record is about, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// What was done: `import`, `remote`, …
    pub kind: String,
    /// The name of the remote, token, variant, … that it was done to.
    pub name: Option<String>,
    /// The collection.
    pub collection: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// The file.
    pub filename: Option<String>,
    /// Its bytes, as they are now.
    pub sha256: Option<Sha256>,
    /// What was, as JSON; `None`: it was not there.
    pub before: Option<String>,
    /// What is, as JSON; `None`: it is gone.
    pub after: Option<String>,
}

/// A record of the log.
#[derive(Debug, Clone)]
pub struct RecordRow {
    /// Its number.
    pub number: i64,
    /// When, in seconds since 1970.
    pub at: i64,
    /// What.
    pub what: NewRecord,
    /// Who.
    pub actor: Actor,
    /// The digest of this record and of all before it.
    pub digest: Sha256,
}

/// Which records are wanted.
#[derive(Debug, Clone, Default)]
pub struct RecordFilter {
    /// After this number.
    pub after: i64,
    /// Not older than this, in seconds since 1970.
    pub since: Option<i64>,
    /// Of this collection.
    pub collection: Option<String>,
    /// Of this project.
    pub project: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// By the user or token of this name or number.
    pub by: Option<String>,
    /// Only so many, the newest.
    pub limit: Option<u64>,
}

/// What a filter asks of a record.
const FITS: &str = "number > :after AND (:since IS NULL OR at >= :since)
    AND (:collection IS NULL OR collection = :collection) AND (:project IS NULL OR project = :project)
    AND (:kind IS NULL OR kind = :kind) AND (:by IS NULL OR actor_name = :by OR CAST(actor_id AS TEXT) = :by OR actor = :by)";

impl RecordRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get("number")?,
            at: row.get("at")?,
            what: NewRecord {
                kind: row.get("kind")?,
                name: row.get("name")?,
                collection: row.get("collection")?,
                project: row.get("project")?,
                filename: row.get("filename")?,
                sha256: row.get("sha256")?,
                before: row.get("before")?,
                after: row.get("after")?,
            },
            actor: Actor {
                kind: row.get("actor")?,
                id: row.get("actor_id")?,
                name: row.get("actor_name")?,
                origin: row.get("origin")?,
                command: row.get("command")?,
            },
            digest: row.get("digest")?,
        })
    }

    /// Returns the digest that the record has to have after this one.
    pub fn expected(&self, before: &Sha256) -> Sha256 {
        digest(before, self.number, self.at, &self.what, &self.actor)
    }
}

fn digest(before: &Sha256, number: i64, at: i64, what: &NewRecord, actor: &Actor) -> Sha256 {
    let Actor { kind, id, name, origin, command } = actor;
    let who = (kind, id, name, origin, command);
    let subject = (&what.name, &what.collection, &what.project, &what.filename, &what.sha256);
    let fields = (number, at, &what.kind, who, subject, &what.before, &what.after);
    let line = serde_json::to_string(&fields).expect("texts and numbers are JSON");
    Sha256::of(format!("{before}\n{line}\n").as_bytes())
}

impl Rows {
    /// Returns records, the oldest first.
    pub fn records(&self, filter: &RecordFilter) -> Result<Vec<RecordRow>> {
        let mut rows = Vec::new();
        self.each_record(filter, |row| {
            rows.push(row);
            Ok::<_, Error>(())
        })?;
        Ok(rows)
    }

    /// Shows records one by one, the oldest first.
    pub fn each_record<E: From<Error>>(
        &self,
        filter: &RecordFilter,
        mut show: impl FnMut(RecordRow) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let RecordFilter { after, since, collection, project, kind, by, limit } = filter;
        let limit = limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let first = if limit.is_some() {
            format!(
                "number >= coalesce((SELECT min(number) FROM (SELECT number FROM record WHERE {FITS} ORDER BY number DESC LIMIT :limit)), 0)"
            )
        } else {
            ":limit IS NULL".to_owned()
        };
        let sql = format!("SELECT * FROM record WHERE {first} AND {FITS} ORDER BY number");
        let mut statement = self.conn.prepare_cached(&sql).map_err(Error::from)?;
        let params = named_params! {
            ":after": after, ":since": since, ":collection": collection, ":project": project, ":kind": kind, ":by": by,
            ":limit": limit,
        };
        let mut rows = statement.query(params).map_err(Error::from)?;
        while let Some(row) = rows.next().map_err(Error::from)? {
            show(RecordRow::from_row(row).map_err(Error::from)?)?;
        }
        Ok(())
    }

    /// Returns the newest record's place, as it was written when that was made.
    pub fn log_head(&self) -> Result<Option<Link>> {
        Ok(self.meta(HEAD)?.and_then(|text| text.parse().ok()))
    }

    /// Returns the place on which the chain stands: that of the last record that was pruned.
    pub fn log_base(&self) -> Result<Option<Link>> {
        Ok(self.meta(BASE)?.and_then(|text| text.parse().ok()))
    }

    /// Returns the place after which a record comes next.
    fn log_end(&self) -> Result<Link> {
        let sql = "SELECT number, digest FROM record ORDER BY number DESC LIMIT 1";
        let row = |row: &Row<'_>| Ok(Link { number: row.get(0)?, digest: row.get(1)? });
        let last = self.conn.prepare_cached(sql)?.query_row([], row).optional()?;
        let known = self.log_head()?.or(self.log_base()?).unwrap_or(START);
        Ok(match last {
            // Somebody put a record in: the chain tells, and goes on.
            Some(last) if last.number > known.number => Link { number: last.number, ..known },
            _ => known,
        })
    }
}

impl Transaction<'_> {
    /// Adds the records that `tell` tells of at the end of the chain, one by one: there may be as many as entries.
    pub(super) fn insert_records(
        &self,
        tell: impl FnOnce(&mut dyn FnMut(NewRecord, &Actor) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let at: i64 = self.conn.prepare_cached("SELECT unixepoch()")?.query_row([], |row| row.get(0))?;
        let known = self.log_end()?;
        let mut end = known;
        tell(&mut |what, actor| {
            let number = end.number + 1;
            let digest = digest(&end.digest, number, at, &what, actor);
            self.insert_record(number, at, &what, actor, &digest)?;
            end = Link { number, digest };
            Ok(())
        })?;
        if end == known { Ok(()) } else { self.set_meta(HEAD, &end.to_string()) }
    }

    fn insert_record(&self, number: i64, at: i64, what: &NewRecord, actor: &Actor, digest: &Sha256) -> Result<()> {
        let mut statement = self.conn.prepare_cached(
            "INSERT INTO record(number, at, kind, actor, actor_id, actor_name, origin, command, name, collection, project,
               filename, sha256, before, after, digest)
             VALUES(:number, :at, :kind, :actor, :actor_id, :actor_name, :origin, :command, :name, :collection, :project,
               :filename, :sha256, :before, :after, :digest)",
        )?;
        statement.execute(named_params! {
            ":number": number, ":at": at, ":kind": what.kind, ":actor": actor.kind, ":actor_id": actor.id,
            ":actor_name": actor.name, ":origin": actor.origin, ":command": actor.command, ":name": what.name,
            ":collection": what.collection, ":project": what.project, ":filename": what.filename,
            ":sha256": what.sha256, ":before": what.before, ":after": what.after, ":digest": digest,
        })?;
        Ok(())
    }

    /// Takes the records of another manifest, as they are, and adds one that tells of it. Returns how many there were.
    pub fn take_log(&self, base: Option<Link>, walk: impl FnOnce(&mut dyn FnMut(RecordRow))) -> Result<u64> {
        if let Some(base) = base {
            self.set_meta(BASE, &base.to_string())?;
        }
        let mut done = Ok(());
        let (mut first, mut last, mut count) = (None, None, 0);
        walk(&mut |row| {
            if done.is_ok() {
                done = self.insert_record(row.number, row.at, &row.what, &row.actor, &row.digest);
                first.get_or_insert(row.number);
                last = Some(Link { number: row.number, digest: row.digest });
                count += 1;
            }
        });
        done?;
        if let Some(last) = last {
            self.set_meta(HEAD, &last.to_string())?;
        }
        let after = serde_json::json!({ "records": count, "from": first, "through": last });
        let what = NewRecord { kind: "rebuild".to_owned(), after: Some(after.to_string()), ..NewRecord::default() };
        self.insert_records(|add| add(what, self.actor))?;
        Ok(count)
    }

    /// Forgets the oldest records, up to the first that is not older than a time. Returns how many went, and the last of them.
    pub fn prune_records(&self, before: i64) -> Result<Option<(u64, Link)>> {
        let sql = "SELECT number, digest FROM record
                   WHERE number < coalesce((SELECT min(number) FROM record WHERE at >= ?1), 9223372036854775807)
                   ORDER BY number DESC LIMIT 1";
        let row = |row: &Row<'_>| Ok(Link { number: row.get(0)?, digest: row.get(1)? });
        let Some(last) = self.conn.prepare_cached(sql)?.query_row([before], row).optional()? else { return Ok(None) };
        let count = self.conn.execute("DELETE FROM record WHERE number <= ?1", [last.number])?;
        self.set_meta(BASE, &last.to_string())?;
        let after = serde_json::json!({ "records": count, "through": last.number, "digest": last.digest.to_string() });
        let what = NewRecord { kind: "prune".to_owned(), after: Some(after.to_string()), ..NewRecord::default() };
        self.insert_records(|add| add(what, self.actor))?;
        Ok(Some((count as u64, last)))
    }
}
