//! What webhooks are to be told, and were.
//!
//! A trigger makes the row in the transaction that makes the revision. Who sends it claims it first: where several processes or nodes
//! look, one sends. A claim ends by itself, so that what was claimed by a process that ended is sent again.

use super::types::{row_id, text_column};
use super::{CollectionId, Result, Rows, Transaction, WebhookId};
use crate::name::CollectionName;
use rusqlite::{OptionalExtension, Row, named_params};

row_id! {
    /// A delivery's row.
    DeliveryId
}

impl DeliveryId {
    /// Returns the delivery's number, as people and receivers know it.
    pub fn number(self) -> i64 {
        self.0
    }

    /// Takes a number that somebody says.
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }
}

text_column! {
    /// How far a delivery is.
    DeliveryState {
        /// It is to be sent.
        Waiting = "waiting",
        /// It was taken.
        Delivered = "delivered",
        /// It was given up.
        Failed = "failed",
        /// The webhook is not told of such changes.
        Skipped = "skipped",
    }
}

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its number.
    pub id: DeliveryId,
    /// The webhook.
    pub webhook: WebhookId,
    /// The webhook's collection.
    pub collection: CollectionName,
    /// The webhook's URL.
    pub url: String,
    /// The revision; `None`: a test.
    pub revision: Option<i64>,
    /// Since when it waits, or waited.
    pub queued_at: i64,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, at the earliest.
    pub next_at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// How that begins, or why there was none.
    pub answer: Option<String>,
}

/// How a try went.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// How far the delivery is now.
    pub state: DeliveryState,
    /// When.
    pub at: i64,
    /// When it is tried next, where it waits still.
    pub next_at: i64,
    /// The answer's status.
    pub status: Option<u16>,
    /// How that begins, or why there was none.
    pub answer: &'a str,
}

/// Which deliveries are meant.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeliveryFilter<'a> {
    /// Of this collection.
    pub collection: Option<CollectionId>,
    /// To this URL.
    pub url: Option<&'a str>,
    /// As far as this.
    pub state: Option<DeliveryState>,
}

macro_rules! select_deliveries {
    ($rest:literal) => {
        concat!(
            "SELECT d.id, d.webhook_id, c.name AS collection, w.url, d.revision, d.queued_at, d.state, d.tries, d.next_at,
                    d.ended_at, d.status, d.answer
             FROM delivery d JOIN webhook w ON w.id = d.webhook_id JOIN collection c ON c.id = w.collection_id ",
            $rest
        )
    };
}

impl DeliveryRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            webhook: row.get("webhook_id")?,
            collection: row.get("collection")?,
            url: row.get("url")?,
            revision: row.get("revision")?,
            queued_at: row.get("queued_at")?,
            state: row.get("state")?,
            tries: row.get("tries")?,
            next_at: row.get("next_at")?,
            ended_at: row.get("ended_at")?,
            status: row.get("status")?,
            answer: row.get("answer")?,
        })
    }
}

impl Rows {
    /// Returns of each webhook what is to be sent first, where that is due and nobody else sends it. Times after `latest` were never
    /// meant: they are of a clock that was ahead.
    pub fn due_deliveries(&self, now: i64, latest: i64) -> Result<Vec<DeliveryRow>> {
        let sql = select_deliveries!(
            "WHERE w.is_gone = 0 AND d.next_at NOT BETWEEN ?1 + 1 AND ?2 AND d.claimed_until NOT BETWEEN ?1 + 1 AND ?2
               AND d.id = (SELECT min(id) FROM delivery WHERE webhook_id = w.id AND state = 'waiting') ORDER BY d.id"
        );
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map((now, latest), DeliveryRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns a delivery.
    pub fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>> {
        let sql = select_deliveries!("WHERE d.id = ?1");
        Ok(self.conn.prepare_cached(sql)?.query_row([id], DeliveryRow::from_row).optional()?)
    }

    /// Returns the newest deliveries of a kind, newest first.
    pub fn deliveries(&self, filter: &DeliveryFilter<'_>, most: u32) -> Result<Vec<DeliveryRow>> {
        let sql = select_deliveries!(
            "WHERE (?1 IS NULL OR w.collection_id = ?1) AND (?2 IS NULL OR w.url = ?2) AND (?3 IS NULL OR d.state = ?3)
             ORDER BY d.id DESC LIMIT ?4"
        );
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map((filter.collection, filter.url, filter.state, most), DeliveryRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl Transaction<'_> {
    /// Takes it on to send a delivery, for a time. Returns false where it waits no more, or somebody else sends it. `latest` is as in
    /// [`Rows::due_deliveries`].
    pub fn claim_delivery(&self, id: DeliveryId, claim: &str, now: i64, until: i64, latest: i64) -> Result<bool> {
        let sql = "UPDATE delivery SET claim = ?2, claimed_until = ?4 WHERE id = ?1 AND state = 'waiting'
                   AND claimed_until NOT BETWEEN ?3 + 1 AND ?5 AND next_at NOT BETWEEN ?3 + 1 AND ?5";
        Ok(self.conn.prepare_cached(sql)?.execute((id, claim, now, until, latest))? == 1)
    }

    /// Records how a try went. Returns false where somebody else has it meanwhile, whose word counts.
    pub fn set_delivery_told(&self, id: DeliveryId, claim: &str, told: &Told<'_>) -> Result<bool> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE delivery SET state = :state, tries = tries + (:state <> 'skipped'), next_at = :next, claim = NULL,
               claimed_until = 0, ended_at = iif(:state = 'waiting', NULL, :at), status = :status, answer = :answer
             WHERE id = :id AND state = 'waiting' AND claim IS :claim",
        )?;
        let changed = statement.execute(named_params! {
            ":state": told.state, ":next": told.next_at, ":at": told.at, ":status": told.status, ":answer": told.answer,
            ":id": id, ":claim": claim,
        })?;
        Ok(changed == 1)
    }

    /// Records a test, which waited for nobody.
    pub fn insert_test_delivery(&self, webhook: WebhookId, told: &Told<'_>) -> Result<DeliveryId> {
        let sql = "INSERT INTO delivery(webhook_id, queued_at, state, tries, ended_at, status, answer)
                   VALUES(?1, ?2, ?3, 1, ?2, ?4, ?5)";
        let row = (webhook, told.at, told.state, told.status, told.answer);
        Ok(DeliveryId(self.conn.prepare_cached(sql)?.insert(row)?))
    }

    /// Gives up all that a webhook was to be told.
    pub fn fail_deliveries(&self, webhook: WebhookId, at: i64, why: &str) -> Result<()> {
        let sql = "UPDATE delivery SET state = 'failed', ended_at = ?2, answer = ?3, claim = NULL, claimed_until = 0
                   WHERE webhook_id = ?1 AND state = 'waiting'";
        self.conn.prepare_cached(sql)?.execute((webhook, at, why))?;
        Ok(())
    }

    /// Lets a delivery wait again, as if it were new.
    pub fn requeue_delivery(&self, id: DeliveryId, now: i64) -> Result<()> {
        let sql = "UPDATE delivery SET state = 'waiting', tries = 0, next_at = 0, queued_at = ?2, ended_at = NULL,
                   claim = NULL, claimed_until = 0 WHERE id = ?1";
        self.conn.prepare_cached(sql)?.execute((id, now))?;
        Ok(())
    }

    /// Forgets deliveries that ended before a time. Returns how many.
    pub fn forget_deliveries(&self, before: i64) -> Result<usize> {
        Ok(self.conn.prepare_cached("DELETE FROM delivery WHERE ended_at < ?1")?.execute([before])?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Manifest, WebhookCounts, WebhookSettings};
    use super::*;
    use std::time::Duration;

    fn told(state: DeliveryState, next_at: i64) -> Told<'static> {
        Told { state, at: 50, next_at, status: Some(500), answer: "no" }
    }

    #[test]
    fn a_revision_is_told_in_order_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::open(&dir.path().join("manifest"), Access::Create, Duration::ZERO).unwrap();
        let transaction = manifest.write().unwrap();
        let collection = transaction.insert_collection(&"cuda".parse().unwrap(), 0).unwrap();
        let other = transaction.insert_collection(&"rocm".parse().unwrap(), 0).unwrap();
        transaction.put_webhook(collection, "https://hook.example/", &WebhookSettings::default()).unwrap();
        let hook = transaction.webhooks().unwrap().remove(0);
        for (collection, revision) in [(collection, 1), (other, 1), (collection, 2)] {
            let sql = "INSERT INTO operation(at, kind, what, who) VALUES(7, 'import', '', 'me')";
            transaction.conn.execute(sql, []).unwrap();
            let sql = "INSERT INTO revision SELECT ?1, ?2, max(id), 1, 0 FROM operation";
            transaction.conn.execute(sql, (collection, revision)).unwrap();
        }
        let waiting = transaction.deliveries(&DeliveryFilter::default(), 9).unwrap();
        assert_eq!(waiting.iter().map(|row| row.revision).collect::<Vec<_>>(), [Some(2), Some(1)]);
        let due = |now| {
            transaction.due_deliveries(now, now + 1000).unwrap().into_iter().map(|row| row.id).collect::<Vec<_>>()
        };
        let (second, first) = (waiting[0].id, waiting[1].id);
        assert_eq!(due(10), [first], "one of each webhook, the oldest");
        assert!(transaction.claim_delivery(first, "a", 10, 40, 1000).unwrap());
        assert!(!transaction.claim_delivery(first, "b", 39, 70, 1000).unwrap(), "another has it");
        assert!(due(39).is_empty());
        assert!(transaction.claim_delivery(first, "b", 40, 70, 1000).unwrap(), "whoever had it is late");
        assert!(!transaction.set_delivery_told(first, "a", &told(DeliveryState::Delivered, 0)).unwrap());
        assert!(transaction.set_delivery_told(first, "b", &told(DeliveryState::Waiting, 60)).unwrap());
        assert!(due(59).is_empty(), "the second waits for the first");
        assert_eq!(transaction.due_deliveries(10, 59).unwrap().len(), 1, "a clock was ahead");
        assert_eq!(due(60), [first]);
        transaction.claim_delivery(first, "b", 60, 90, 1000).unwrap();
        assert!(transaction.set_delivery_told(first, "b", &told(DeliveryState::Failed, 0)).unwrap());
        assert_eq!(due(60), [second]);
        let counts = transaction.webhook_counts(hook.id).unwrap();
        assert_eq!(counts, WebhookCounts { waiting: 1, failed: 1, delivered_at: None });
        transaction.set_webhook_gone(hook.id).unwrap();
        assert!(due(99).is_empty());
        transaction.fail_deliveries(hook.id, 99, "gone").unwrap();
        assert_eq!(transaction.forget_deliveries(99).unwrap(), 1);
        transaction.put_webhook(collection, "https://hook.example/", &WebhookSettings::default()).unwrap();
        transaction.requeue_delivery(second, 100).unwrap();
        assert_eq!(due(100), [second]);
        transaction.delete_webhook(hook.id).unwrap();
        assert!(transaction.delivery(second).unwrap().is_none());
    }
}
