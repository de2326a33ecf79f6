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

    /// Makes records of what changed, those of another program (up to `foreign`) by themselves.
    pub(super) fn record_changes(&self, foreign: i64) -> Result<()> {
        if !self.conn.prepare_cached("SELECT 1 FROM change")?.exists([])? {
            return Ok(());
        }
        let unknown = Actor { command: "another program".to_owned(), ..Actor::default() };
        let operation = self.operation.borrow();
        self.insert_records(|add| {
            self.each_change(foreign, |change| {
                if change.before == change.after {
                    return Ok(());
                }
                let is_foreign = change.id <= foreign;
                let actor = if is_foreign { unknown.clone() } else { actor(&change, self.actor) };
                let operation = operation.as_deref().filter(|_| !is_foreign);
                described(change, operation, &actor).try_for_each(|record| add(record, &actor))
            })
        })?;
        self.conn.prepare_cached("DELETE FROM change")?.execute([])?;
        Ok(())
    }

    /// Shows the changes one by one: of one row's all as one, from what was at first to what is at last.
    fn each_change(&self, foreign: i64, mut show: impl FnMut(Change) -> Result<()>) -> Result<()> {
        let again = self.changed_again(foreign)?;
        let mut last = self.conn.prepare_cached("SELECT after FROM change WHERE id = ?1")?;
        let mut statement = self.conn.prepare_cached("SELECT id, subject, before, after FROM change ORDER BY id")?;
        let mut rows = statement.query([])?;
        let values = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            let after = match again.get(&id) {
                None => row.get(3)?,
                Some(Some(end)) => last.query_row([end], |row| row.get(0))?,
                Some(None) => continue,
            };
            show(Change { id, subject: row.get(1)?, before: values(row.get(2)?), after: values(after) })?;
        }
        Ok(())
    }

    /// Returns the changes of rows that changed more than once: the first of a row with its last, the others with nothing.
    fn changed_again(&self, foreign: i64) -> Result<HashMap<i64, Option<i64>>> {
        let sql = "SELECT json_group_array(id) FROM change GROUP BY id > ?1, subject, row HAVING count(*) > 1";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query([foreign])?;
        let mut again = HashMap::new();
        while let Some(row) = rows.next()? {
            let ids: Vec<i64> = serde_json::from_str(&row.get::<_, String>(0)?).unwrap_or_default();
            again.extend(ids.iter().map(|id| (*id, None)));
            again.extend(ids.iter().min().map(|first| (*first, ids.iter().max().copied())));
        }
        Ok(again)
    }
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
