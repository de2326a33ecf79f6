//! Deliveries: sent at least once, in order for each webhook, one at a time, by one of all who look.

use super::document::{of_revision, of_test};
use super::{secret, webhook_row};
use crate::catalog::at::collection_row;
use crate::context::Context;
use crate::digest::Sha256;
use crate::error::{Error, Result};
use crate::manifest::{DeliveryFilter, DeliveryId, DeliveryRow, DeliveryState, Rows, Told, Transaction, WebhookRow};
use crate::name::CollectionName;
use crate::signed::hmac;
use crate::store::Store;
use crate::words::reason;
use serde::Serialize;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;
use url::Url;

/// An answer comes within this time, all of it.
const LIMIT: Duration = Duration::from_secs(10);
/// So long, in seconds, it is believed that whoever took on a delivery sends it: longer than it may take.
const CLAIM_SECONDS: i64 = 30;
/// What waited for so long, in seconds, is given up at the next failure.
const GIVE_UP_SECONDS: i64 = 72 * 3600;
/// The longest wait between two tries, in seconds.
const LONGEST_WAIT: i64 = 3600;
/// So many characters of an answer are kept.
const MOST_ANSWER: usize = 300;
/// How often what was sent is noted again where another node was faster.
const TRIES: u32 = 20;

/// A delivery as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryReport {
    /// Its number, which the receiver is told.
    pub id: i64,
    /// The collection.
    pub collection: CollectionName,
    /// Where it goes.
    pub url: String,
    /// The revision that it tells of; `None`: a test.
    pub revision: Option<i64>,
    /// `waiting`, `delivered`, `failed` or `skipped`: the webhook is not told of such changes.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tries: u32,
    /// Since when it waits or waited, in seconds since 1970.
    pub queued_at: i64,
    /// When it is tried next, at the earliest; `None`: it waits no more.
    pub next_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// How that begins, or why there was none.
    pub answer: Option<String>,
}

impl From<DeliveryRow> for DeliveryReport {
    fn from(row: DeliveryRow) -> Self {
        let is_waiting = row.state == DeliveryState::Waiting;
        Self {
            id: row.id.number(),
            collection: row.collection,
            url: row.url,
            revision: row.revision,
            state: row.state,
            tries: row.tries,
            queued_at: row.queued_at,
            next_at: is_waiting.then_some(row.next_at.max(row.queued_at)),
            ended_at: row.ended_at,
            status: row.status,
            answer: row.answer,
        }
    }
}

/// What was sent.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DeliverReport {
    /// How many were taken.
    pub delivered: usize,
    /// How many are no matter of their webhooks.
    pub skipped: usize,
    /// Those that failed, as they are now.
    pub failed: Vec<DeliveryReport>,
}

/// Lists the newest deliveries, newest first.
pub fn deliveries(
    store: &Store,
    collection: Option<&CollectionName>,
    url: Option<&str>,
    state: Option<DeliveryState>,
    most: u32,
) -> Result<Vec<DeliveryReport>> {
    let rows = store.manifest.read()?;
    let collection = collection.map(|name| collection_row(&rows, name)).transpose()?.map(|row| row.id);
    let url = url.map(|url| Url::parse(url).map_or_else(|_| url.to_owned(), String::from));
    let filter = DeliveryFilter { collection, url: url.as_deref(), state };
    Ok(rows.deliveries(&filter, most)?.into_iter().map(Into::into).collect())
}

/// Lets a delivery be sent again, with the number that it had.
pub fn redeliver(store: &Store, context: &Context<'_>, number: i64) -> Result<DeliveryReport> {
    store.require_writable()?;
    let id = DeliveryId::from_number(number);
    let transaction = store.manifest.write()?;
    let row = delivery_row(&transaction, id)?;
    if row.revision.is_none() {
        return Err(Error::Refused(format!("delivery {number} was a test: `wcas webhook test` sends another")));
    }
    if transaction.webhook(row.webhook)?.is_none_or(|hook| hook.is_gone) {
        let text = format!("{} said that it is gone for good (410): `wcas webhook add` turns it on again", row.url);
        return Err(Error::Refused(text));
    }
    transaction.requeue_delivery(id, context.now)?;
    let report = delivery_row(&transaction, id)?.into();
    transaction.commit()?;
    Ok(report)
}

fn delivery_row(rows: &Rows, id: DeliveryId) -> Result<DeliveryRow> {
    rows.delivery(id)?.ok_or_else(|| Error::NoSuch(format!("delivery {}", id.number())))
}

/// Counts what waits, and what was given up and is known still, by collection.
pub fn waiting(rows: &Rows) -> Result<Vec<(CollectionName, u64, u64)>> {
    let mut counts: Vec<(CollectionName, u64, u64)> = Vec::new();
    for hook in rows.webhooks()? {
        let count = rows.webhook_counts(hook.id)?;
        match counts.last_mut().filter(|(name, ..)| *name == hook.collection_name) {
            Some((_, waiting, failed)) => (*waiting, *failed) = (*waiting + count.waiting, *failed + count.failed),
            None => counts.push((hook.collection_name, count.waiting, count.failed)),
        }
    }
    Ok(counts)
}

/// Sends a test at once, and tells how that went; nothing is tried again, and nothing waits for it.
pub fn test(store: &Store, context: &Context<'_>, collection: &CollectionName, url: &str) -> Result<DeliveryReport> {
    store.require_writable()?;
    let (hook, revision) = {
        let rows = store.manifest.read()?;
        let row = collection_row(&rows, collection)?;
        (webhook_row(&rows, row.id, url)?, row.revision)
    };
    let body = of_test(collection, revision, context.now, context.who)?;
    let sent = send(context, &hook, ("test", "test"), body);
    let state = if sent.is_taken() { DeliveryState::Delivered } else { DeliveryState::Failed };
    let transaction = store.manifest.write()?;
    let told = Told { state, at: context.now, next_at: 0, status: sent.status, answer: &sent.answer };
    let id = transaction.insert_test_delivery(hook.id, &told)?;
    let report = delivery_row(&transaction, id)?.into();
    transaction.commit()?;
    Ok(report)
}

/// Sends all that is due, each webhook's in order until one fails. `clock` tells the time, since sending takes some.
pub fn deliver(
    store: &Store,
    context: &Context<'_>,
    clock: &dyn Fn() -> i64,
    base_url: Option<&str>,
) -> Result<DeliverReport> {
    store.require_writable()?;
    let (mut report, mut failing) = (DeliverReport::default(), HashSet::new());
    let claim = format!("{}:{}", crate::fs::host_name(), std::process::id());
    loop {
        let now = clock();
        let due = store.manifest.read()?.due_deliveries(now, now.saturating_add(LONGEST_WAIT))?;
        let mut has_moved = false;
        // One of each webhook in turn: one that has much to hear, slowly, holds up no other for long.
        // What failed is for a later look.
        for row in due.into_iter().filter(|row| !failing.contains(&row.webhook)).collect::<Vec<_>>() {
            match deliver_one(store, (context, clock), &row, &claim, base_url)? {
                Some(DeliveryState::Delivered) => report.delivered += 1,
                Some(DeliveryState::Skipped) => report.skipped += 1,
                Some(_) => {
                    failing.insert(row.webhook);
                    report.failed.extend(store.manifest.delivery(row.id)?.map(DeliveryReport::from));
                }
                None => continue,
            }
            has_moved = true;
        }
        if !has_moved {
            return Ok(report);
        }
    }
}

/// Sends one; `None`: somebody else does.
fn deliver_one(
    store: &Store,
    (context, clock): (&Context<'_>, &dyn Fn() -> i64),
    row: &DeliveryRow,
    claim: &str,
    base_url: Option<&str>,
) -> Result<Option<DeliveryState>> {
    let context = &Context { now: clock(), ..*context };
    let now = context.now;
    let claimed = store.manifest.write().map_err(Error::from).and_then(|transaction| {
        let [until, latest] = [CLAIM_SECONDS, LONGEST_WAIT].map(|seconds| now.saturating_add(seconds));
        let is_ours = transaction.claim_delivery(row.id, claim, now, until, latest)?;
        transaction.commit()?;
        Ok(is_ours)
    });
    match claimed {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        // Another node was faster, or another process writes for long: there is a next look.
        Err(Error::Manifest(error)) if error.is_busy() => return Ok(None),
        Err(error) => return Err(error),
    }
    let Some((hook, body)) = prepared(store, row, base_url)? else { return Ok(None) };
    let number = row.id.number().to_string();
    let Some(body) = body else {
        let told = Told { state: DeliveryState::Skipped, at: now, next_at: 0, status: None, answer: "" };
        note(store, |transaction| Ok(transaction.set_delivery_told(row.id, claim, &told)?))?;
        return Ok(Some(DeliveryState::Skipped));
    };
    let sent = send(context, &hook, ("revision", &number), body);
    // It took its time.
    let now = clock();
    let told = judge(row, &sent, now);
    note(store, |transaction| {
        let is_ours = transaction.set_delivery_told(row.id, claim, &told)?;
        if is_ours && sent.status == Some(GONE) {
            transaction.set_webhook_gone(hook.id)?;
            transaction.fail_deliveries(hook.id, now, "the receiver is gone (410)")?;
        }
        Ok(is_ours)
    })?;
    Ok(Some(told.state))
}

/// Returns the webhook and what it is to be told, if anything; `None`: the webhook was removed meanwhile.
fn prepared(store: &Store, row: &DeliveryRow, base_url: Option<&str>) -> Result<Option<(WebhookRow, Option<Vec<u8>>)>> {
    let rows = store.manifest.read()?;
    let Some(hook) = rows.webhook(row.webhook)? else { return Ok(None) };
    let revision = row.revision.unwrap_or(0);
    let of = (hook.collection, &hook.collection_name);
    let body = of_revision(&rows, of, revision, &hook.settings.events, base_url)?;
    Ok(Some((hook, body)))
}

/// Says what is to become of a delivery after a try.
fn judge<'a>(row: &DeliveryRow, sent: &'a Sent, now: i64) -> Told<'a> {
    let is_late = now.saturating_sub(row.queued_at) >= GIVE_UP_SECONDS;
    let state = match () {
        () if sent.is_taken() => DeliveryState::Delivered,
        () if is_late || sent.status == Some(GONE) => DeliveryState::Failed,
        () => DeliveryState::Waiting,
    };
    let next_at = now.saturating_add(wait(row.id.number(), row.tries));
    Told { state, at: now, next_at, status: sent.status, answer: &sent.answer }
}

/// Returns how many seconds to wait after a failure: twice as long each time, a quarter more or less, so that not all come at once.
fn wait(number: i64, failures: u32) -> i64 {
    let wait = 1_i64.checked_shl(failures.min(12)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
    let digest = Sha256::of(format!("{number} {failures}").as_bytes());
    let [a, b, ..] = *digest.as_bytes();
    let dice = i64::from(u16::from_be_bytes([a, b])) % (wait / 4 * 2 + 1);
    (wait - wait / 4 + dice).min(LONGEST_WAIT)
}

/// Writes what must not be lost because another node was faster.
fn note(store: &Store, write: impl Fn(&Transaction<'_>) -> Result<bool>) -> Result<()> {
    let mut failures = 0;
    loop {
        let done = store.manifest.write().map_err(Error::from).and_then(|transaction| {
            write(&transaction)?;
            Ok(transaction.commit()?)
        });
        match done {
            Err(Error::Manifest(error)) if error.is_busy() && failures < TRIES => failures += 1,
            done => return done,
        }
    }
}

/// The status that says: never again.
const GONE: u16 = 410;

/// How a try went.
struct Sent {
    status: Option<u16>,
    answer: String,
}

impl Sent {
    fn is_taken(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    fn failed(why: &str) -> Self {
        Self { status: None, answer: kept(why) }
    }
}

/// Sends a document to a webhook.
fn send(context: &Context<'_>, hook: &WebhookRow, (event, number): (&str, &str), body: Vec<u8>) -> Sent {
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("wcas-event", event.to_owned()),
        ("wcas-delivery", number.to_owned()),
    ];
    if let Some(file) = &hook.settings.secret_file {
        match secret::read(file) {
            Ok(secret) => headers.push(("wcas-signature", signature(&secret, context.now, &body))),
            // Unsigned it would be refused, or worse, believed.
            Err(error) => return Sent::failed(&reason(&error)),
        }
    }
    let Ok(url) = Url::parse(&hook.url) else { return Sent::failed("this is not a URL") };
    let Some(client) = context.client else { return Sent::failed("nothing is sent offline") };
    let answer = match client.get() {
        Ok(client) => client.post(&url, &headers, body, LIMIT),
        Err(error) => return Sent::failed(&reason(error)),
    };
    match answer {
        Ok(answer) if (300..400).contains(&answer.status) => {
            Sent { status: Some(answer.status), answer: "it redirects, which is not followed".to_owned() }
        }
        Ok(answer) => Sent { status: Some(answer.status), answer: kept(&answer.text) },
        Err(failure) => Sent::failed(&reason(&failure)),
    }
}

/// Returns the header that shows who sent a body, and when.
fn signature(secret: &[u8], now: i64, body: &[u8]) -> String {
    let text = [now.to_string().as_bytes(), b".", body].concat();
    let mut header = format!("t={now},v1=");
    // Memory takes all text.
    let _ = write!(header, "{}", hmac::sha256(secret, &text));
    header
}

/// Returns what is kept of an answer: its beginning, on one line.
fn kept(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|letter| !letter.is_control()).take(MOST_ANSWER).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_an_hour_and_differ() {
        let waits: Vec<i64> = (0..16).map(|failures| wait(7, failures)).collect();
        assert_eq!(waits[0], 1);
        for (failures, wait) in waits.iter().enumerate() {
            let whole = (1_i64 << failures.min(12)).min(LONGEST_WAIT);
            assert!((whole - whole / 4..=(whole + whole / 4).min(LONGEST_WAIT)).contains(wait), "{failures}: {wait}");
        }
        assert!((0..50).any(|number| wait(number, 9) != wait(0, 9)));
        assert!((0..50).all(|number| wait(number, u32::MAX) <= LONGEST_WAIT));
    }

    #[test]
    fn what_is_kept_of_an_answer_is_short_and_one_line() {
        assert_eq!(kept(" a\n\tb\u{1b}[31m  c "), "a b[31m c");
        assert_eq!(kept(&"x".repeat(9000)).len(), MOST_ANSWER);
    }
}
