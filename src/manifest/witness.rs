//! What a transaction changed becomes records of the log, in the same transaction: neither is there without the other.

use super::actor::{Actor, ActorKind};
use super::record::NewRecord;
use super::{Result, Transaction};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// A row's values.
type Values = Map<String, Value>;

/// What a trigger saw.
struct Change {
    id: i64,
    subject: String,
    row: String,
    before: Option<Values>,
    after: Option<Values>,
}

/// Settings of a collection that have a kind of their own.
const KINDS: [(&str, &[&str]); 2] = [
    ("retention", &["keep_builds", "keep_versions", "unused_for", "max_bytes"]),
    ("guard", &["accelerators", "guard", "guard_strict"]),
];

impl Transaction<'_> {
    /// Tells how far changes go that another program left.
    pub(super) fn last_foreign_change(&self) -> Result<i64> {
        let sql = "SELECT coalesce(max(id), 0) FROM change";
        Ok(self.conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }

    /// Makes records of what changed.
    pub(super) fn record_changes(&self, foreign: i64) -> Result<()> {
        let changes = self.changes()?;
        if changes.is_empty() {
            return Ok(());
        }
        let foreign = changes.partition_point(|change| change.id <= foreign);
        let mut changes = changes.into_iter();
        let mut records = Vec::new();
        let unknown = Actor { command: "another program".to_owned(), ..Actor::default() };
        for change in merged(changes.by_ref().take(foreign)) {
            records.extend(described(change, None, &unknown).map(|record| (record, unknown.clone())));
        }
        let operation = self.operation.borrow();
        for change in merged(changes) {
            let actor = actor(&change, self.actor);
            records.extend(described(change, operation.as_deref(), &actor).map(|record| (record, actor.clone())));
        }
        self.conn.prepare_cached("DELETE FROM change")?.execute([])?;
        if records.is_empty() { Ok(()) } else { self.insert_records(records) }
    }

    fn changes(&self) -> Result<Vec<Change>> {
        let mut statement =
            self.conn.prepare_cached("SELECT id, subject, row, before, after FROM change ORDER BY id")?;
        let rows = statement.query_map([], |row| {
            let values = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
            Ok(Change {
                id: row.get(0)?,
                subject: row.get(1)?,
                row: row.get(2)?,
                before: values(row.get(3)?),
                after: values(row.get(4)?),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// Makes one change of all changes of one row: from what was at first to what is at last.
fn merged(changes: impl Iterator<Item = Change>) -> Vec<Change> {
    let mut merged: Vec<Change> = Vec::new();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for change in changes {
        match places.get(&(change.subject.clone(), change.row.clone())) {
            Some(&place) => merged[place].after = change.after,
            None => {
                places.insert((change.subject.clone(), change.row.clone()), merged.len());
                merged.push(change);
            }
        }
    }
    merged.retain(|change| change.before != change.after);
    merged
}

/// Returns who did it: a token's first use is the token's own doing, whoever writes it down.
fn actor(change: &Change, actor: &Actor) -> Actor {
    match (&*change.subject, &change.after) {
        ("token use", Some(values)) => Actor {
            kind: ActorKind::Token,
            id: values.get("id").and_then(Value::as_i64),
            name: text(values, "name").unwrap_or_default(),
            origin: text(values, "used_from").unwrap_or_else(|| actor.origin.clone()),
            command: actor.command.clone(),
        },
        _ => actor.clone(),
    }
}

/// Makes records of a change: one, but a collection's settings are told by kind.
fn described(change: Change, operation: Option<&str>, actor: &Actor) -> impl Iterator<Item = NewRecord> {
    let Change { subject, before, after, .. } = change;
    let kind = kind(&subject, operation, actor, after.as_ref());
    let main = after.as_ref().or(before.as_ref()).cloned().unwrap_or_default();
    let of = |name: &str| text(&main, name);
    let collection = if subject == "collection" { of("name") } else { of("collection") };
    let name = of("name").or_else(|| of("variant").filter(|variant| !variant.is_empty())).or_else(|| of("key"));
    let record = NewRecord {
        name: name.filter(|_| subject != "collection"),
        collection,
        project: of("project"),
        filename: of("filename"),
        sha256: of("sha256").and_then(|digest| digest.parse().ok()),
        ..NewRecord::default()
    };
    let is_change = before.is_some() && after.is_some();
    let [before, after] = rest(&main, before, after);
    let mut records = Vec::new();
    let mut left = [before, after];
    if subject == "collection" && is_change {
        for (kind, names) in KINDS {
            let part = left.each_mut().map(|values| taken(values, names));
            if part.iter().flatten().any(|values| !values.is_empty()) {
                records.push(with(&record, kind, part));
            }
        }
    }
    if !is_change || left.iter().flatten().any(|values| !values.is_empty()) {
        records.push(with(&record, &kind, left));
    }
    records.into_iter()
}

fn with(record: &NewRecord, kind: &str, values: [Option<Values>; 2]) -> NewRecord {
    let [before, after] = values.map(|values| values.map(|values| Value::Object(values).to_string()));
    NewRecord { kind: kind.to_owned(), before, after, ..record.clone() }
}

fn taken(values: &mut Option<Values>, names: &[&str]) -> Option<Values> {
    let values = values.as_mut()?;
    Some(names.iter().filter_map(|name| Some(((*name).to_owned(), values.remove(*name)?))).collect())
}

/// Returns the word for what was done.
fn kind(subject: &str, operation: Option<&str>, actor: &Actor, after: Option<&Values>) -> String {
    let word = match (subject, operation) {
        ("entry", Some("import")) if after.is_some_and(|values| text(values, "remote").is_some()) => "pull",
        ("entry", Some("import")) if actor.command == "upload" => "upload",
        ("entry", Some(operation)) => operation,
        ("entry", None) if after.is_none() => "remove",
        ("fallback", _) => "collection",
        ("project_status", _) => "status",
        ("revision_signature", _) => "sign",
        ("route_override" | "variant_requirement" | "variant", _) => "route",
        ("publisher_into", _) => "publisher",
        ("token use" | "token_into", _) => "token",
        ("meta", _) => "store",
        (subject, _) => subject,
    };
    word.to_owned()
}

/// Returns what there is to say beside what a record has fields for: of a change only what differs.
fn rest(main: &Values, before: Option<Values>, after: Option<Values>) -> [Option<Values>; 2] {
    const FIELDS: [&str; 5] = ["name", "collection", "project", "filename", "sha256"];
    let is_change = before.is_some() && after.is_some();
    let differs = |name: &String| match (&before, &after) {
        (Some(before), Some(after)) => before.get(name) != after.get(name),
        _ => !FIELDS.contains(&name.as_str()) || !main.contains_key(name),
    };
    let part = |values: &Option<Values>| {
        let values = values.as_ref()?.iter().filter(|(name, value)| differs(name) && (is_change || !value.is_null()));
        Some(values.map(|(name, value)| (name.clone(), without_secrets(value))).collect())
    };
    [part(&before), part(&after)]
}

fn text(values: &Values, name: &str) -> Option<String> {
    values.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// Takes the credentials out of a text that is a URL.
fn without_secrets(value: &Value) -> Value {
    let Value::String(text) = value else { return value.clone() };
    let Some((scheme, rest)) = text.split_once("://") else { return value.clone() };
    let host = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..host].rfind('@') {
        Some(at) => Value::String(format!("{scheme}://***{}", &rest[at..])),
        None => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_loses_its_credentials_and_nothing_else() {
        for (url, expected) in [
            ("https://user:pa@ss@index.example/simple/", "https://***@index.example/simple/"),
            ("https://token@index.example", "https://***@index.example"),
            ("https://index.example/@scope/x", "https://index.example/@scope/x"),
            ("https://index.example?mail=a@b", "https://index.example?mail=a@b"),
            ("a@b", "a@b"),
        ] {
            assert_eq!(without_secrets(&Value::from(url)), Value::from(expected));
        }
    }
}
