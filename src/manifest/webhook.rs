//! Who is told when a collection changes. The secrets are in files; a row names the file.

use super::types::row_id;
use super::{CollectionId, Result, Rows, Transaction};
use crate::name::CollectionName;
use rusqlite::{OptionalExtension, Row};

row_id! {
    /// A webhook's row.
    WebhookId
}

/// What people say of a webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookSettings {
    /// The file with the secret that signs what is sent; `None`: nothing signs.
    pub secret_file: Option<String>,
    /// The changes that count, in order; none: all.
    pub events: Vec<String>,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRow {
    /// Its number.
    pub id: WebhookId,
    /// The collection.
    pub collection: CollectionId,
    /// The collection's name.
    pub collection_name: CollectionName,
    /// Where it is told.
    pub url: String,
    /// What people say of it.
    pub settings: WebhookSettings,
    /// Whether its receiver said that it is gone for good: nothing is sent.
    pub is_gone: bool,
}

/// How a webhook does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookCounts {
    /// How much is to be sent.
    pub waiting: u64,
    /// What was given up, of what is still known.
    pub failed: u64,
    /// When something was last taken.
    pub delivered_at: Option<i64>,
}

macro_rules! select_webhooks {
    ($rest:literal) => {
        concat!(
            "SELECT w.id, w.collection_id, c.name AS collection, w.url, w.secret_file, w.events, w.is_gone
             FROM webhook w JOIN collection c ON c.id = w.collection_id ",
            $rest
        )
    };
}

impl WebhookRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let events: String = row.get("events")?;
        let events = events.split(',').filter(|event| !event.is_empty()).map(str::to_owned).collect();
        Ok(Self {
            id: row.get("id")?,
            collection: row.get("collection_id")?,
            collection_name: row.get("collection")?,
            url: row.get("url")?,
            settings: WebhookSettings { secret_file: row.get("secret_file")?, events },
            is_gone: row.get("is_gone")?,
        })
    }
}

impl Rows {
    /// Returns all webhooks, by collection and URL.
    pub fn webhooks(&self) -> Result<Vec<WebhookRow>> {
        let mut statement = self.conn.prepare_cached(select_webhooks!("ORDER BY c.name, w.url"))?;
        let rows = statement.query_map([], WebhookRow::from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Finds a collection's webhook by its URL.
    pub fn find_webhook(&self, collection: CollectionId, url: &str) -> Result<Option<WebhookRow>> {
        let sql = select_webhooks!("WHERE w.collection_id = ?1 AND w.url = ?2");
        Ok(self.conn.prepare_cached(sql)?.query_row((collection, url), WebhookRow::from_row).optional()?)
    }

    /// Finds a webhook by its number.
    pub fn webhook(&self, id: WebhookId) -> Result<Option<WebhookRow>> {
        let sql = select_webhooks!("WHERE w.id = ?1");
        Ok(self.conn.prepare_cached(sql)?.query_row([id], WebhookRow::from_row).optional()?)
    }

    /// Counts what a webhook is to be told, and was.
    pub fn webhook_counts(&self, id: WebhookId) -> Result<WebhookCounts> {
        let sql = "SELECT coalesce(sum(state = 'waiting'), 0), coalesce(sum(state = 'failed'), 0),
                          max(iif(state = 'delivered', ended_at, NULL)) FROM delivery WHERE webhook_id = ?1";
        Ok(self.conn.prepare_cached(sql)?.query_row([id], |row| {
            Ok(WebhookCounts {
                waiting: row.get::<_, i64>(0)?.cast_unsigned(),
                failed: row.get::<_, i64>(1)?.cast_unsigned(),
                delivered_at: row.get(2)?,
            })
        })?)
    }
}

impl Transaction<'_> {
    /// Adds a webhook, or changes the one of this URL and turns it on again.
    pub fn put_webhook(&self, collection: CollectionId, url: &str, settings: &WebhookSettings) -> Result<()> {
        let sql = "INSERT INTO webhook(collection_id, url, secret_file, events) VALUES(?1, ?2, ?3, ?4)
                   ON CONFLICT(collection_id, url) DO UPDATE
                   SET secret_file = excluded.secret_file, events = excluded.events, is_gone = 0";
        let row = (collection, url, &settings.secret_file, settings.events.join(","));
        self.conn.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Removes a webhook, with what it was told and was to be told.
    pub fn delete_webhook(&self, id: WebhookId) -> Result<()> {
        self.conn.prepare_cached("DELETE FROM webhook WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// Says that a webhook's receiver is gone for good.
    pub fn set_webhook_gone(&self, id: WebhookId) -> Result<()> {
        self.conn.prepare_cached("UPDATE webhook SET is_gone = 1 WHERE id = ?1")?.execute([id])?;
        Ok(())
    }
}
