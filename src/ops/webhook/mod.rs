//! `webhook`: who is told by HTTP when a collection changes.
//!
//! What is to be told is in the manifest with the revision that it tells of, so that no end of a process loses it; it is sent at least
//! once, in order for each webhook ([`deliver`]). Secrets are in files of their owners: the store knows where, and no answer shows more.

mod document;
mod secret;
mod send;

pub use send::{DeliverReport, DeliveryReport, deliver, deliveries, redeliver, test, waiting};

use crate::catalog::at::collection_row;
use crate::error::{Error, Result};
use crate::manifest::{CollectionId, Rows, Transaction, WebhookCounts, WebhookRow, WebhookSettings};
use crate::name::CollectionName;
use crate::store::Store;
use serde::Serialize;
use url::Url;

/// The changes that a webhook may be told of.
pub const EVENTS: [&str; 4] = ["added", "removed", "replaced", "yanked"];

/// A webhook as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookReport {
    /// Where it is told.
    pub url: String,
    /// Of which collection.
    pub collection: CollectionName,
    /// The changes that count; none: all.
    pub events: Vec<String>,
    /// The file with the secret that signs what is sent.
    pub secret_file: Option<String>,
    /// Whether its receiver said that it is gone for good (410): nothing is sent until it is added again.
    pub is_gone: bool,
    /// How much is to be sent.
    pub waiting: u64,
    /// What was given up in the last 30 days.
    pub failed: u64,
    /// When something was last taken, in seconds since 1970.
    pub delivered_at: Option<i64>,
}

fn report(rows: &Rows, row: WebhookRow) -> Result<WebhookReport> {
    let WebhookCounts { waiting, failed, delivered_at } = rows.webhook_counts(row.id)?;
    let WebhookSettings { secret_file, events } = row.settings;
    let (url, collection, is_gone) = (row.url, row.collection_name, row.is_gone);
    Ok(WebhookReport { url, collection, events, secret_file, is_gone, waiting, failed, delivered_at })
}

/// Lists webhooks; of one collection or of all.
pub fn webhooks(store: &Store, collection: Option<&CollectionName>) -> Result<Vec<WebhookReport>> {
    let rows = store.manifest.read()?;
    if let Some(name) = collection {
        collection_row(&rows, name)?;
    }
    let of = |row: &WebhookRow| collection.is_none_or(|name| row.collection_name == *name);
    rows.webhooks()?.into_iter().filter(of).map(|row| report(&rows, row)).collect()
}

/// Adds a webhook, or changes the one of this URL and turns it on again. Returns whether it is new, too.
pub fn add_webhook(
    store: &Store,
    collection: &CollectionName,
    url: &str,
    settings: &WebhookSettings,
) -> Result<(WebhookReport, bool)> {
    store.require_writable()?;
    let (url, settings) = (check_url(url)?, check(settings.clone())?);
    if let Some(file) = &settings.secret_file {
        secret::read(file)?;
    }
    let transaction = store.manifest.write()?;
    let collection = collection_row(&transaction, collection)?.id;
    let is_new = transaction.find_webhook(collection, &url)?.is_none();
    transaction.put_webhook(collection, &url, &settings)?;
    let report = report(&transaction, webhook_row(&transaction, collection, &url)?)?;
    transaction.commit()?;
    Ok((report, is_new))
}

/// Removes a webhook, with what it was to be told.
pub fn remove_webhook(store: &Store, collection: &CollectionName, url: &str) -> Result<WebhookReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let collection = collection_row(&transaction, collection)?.id;
    let row = webhook_row(&transaction, collection, url)?;
    let id = row.id;
    let report = report(&transaction, row)?;
    transaction.delete_webhook(id)?;
    transaction.commit()?;
    Ok(report)
}

/// Writes a collection's webhooks, whose settings were checked: others go.
pub(super) fn replace<'a>(
    transaction: &Transaction<'_>,
    collection: CollectionId,
    wanted: impl Iterator<Item = (&'a String, WebhookSettings)>,
) -> Result<()> {
    let mut known = transaction.webhooks()?;
    known.retain(|row| row.collection == collection);
    for (url, settings) in wanted {
        let old = known.iter().position(|row| row.url == *url).map(|at| known.swap_remove(at));
        if old.is_none_or(|old| old.settings != settings) {
            transaction.put_webhook(collection, url, &settings)?;
        }
    }
    known.iter().try_for_each(|row| Ok(transaction.delete_webhook(row.id)?))
}

fn webhook_row(rows: &Rows, collection: CollectionId, url: &str) -> Result<WebhookRow> {
    let parsed = Url::parse(url).map_or_else(|_| url.to_owned(), String::from);
    if let Some(row) = rows.find_webhook(collection, &parsed)? {
        return Ok(row);
    }
    let known = rows.webhooks()?.into_iter().filter(|row| row.collection == collection);
    let known: Vec<String> = known.map(|row| row.url).collect();
    let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
    Err(Error::NoSuch(format!("webhook {url} of this collection; its webhooks are: {known}")))
}

/// Checks a webhook's URL. What may be a secret is not repeated in an error.
pub(super) fn check_url(text: &str) -> Result<String> {
    let refuse = |why: String| Err(Error::Refused(why));
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return refuse(format!("this is not a URL ({error}); write https://hook.example/wcas")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return refuse(format!("a webhook's URL begins with https:// or http://, not {}:", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return refuse("the URL names no host; write https://hook.example/wcas".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        let text = "a webhook's URL is stored and shown: no user, no password, no `?` (which may hold a secret) and no `#`; a \
                    receiver knows who sends by the signature (--secret-file)";
        return refuse(text.to_owned());
    }
    Ok(url.into())
}

/// Checks where a server's pages are said to be.
pub fn check_base_url(text: &str) -> Result<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.filter(|url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty());
    let refused =
        || Error::Refused("--base-url is a URL such as https://wheels.example, without `?` and `#`".to_owned());
    url.map(|url| String::from(url).trim_end_matches('/').to_owned()).ok_or_else(refused)
}

/// Checks what people say of a webhook, and brings it into the form that is stored.
pub(super) fn check(mut settings: WebhookSettings) -> Result<WebhookSettings> {
    if let Some(event) = settings.events.iter().find(|event| !EVENTS.contains(&event.as_str())) {
        return Err(Error::Refused(format!("there is no event {event:?}; the events are {}", EVENTS.join(", "))));
    }
    settings.events.sort_unstable();
    settings.events.dedup();
    if settings.events.len() == EVENTS.len() {
        settings.events.clear();
    }
    if let Some(file) = &settings.secret_file {
        secret::check_path(file)?;
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_http_with_a_host_and_nothing_secret() {
        assert_eq!(check_url("HTTPS://Hook.Example").unwrap(), "https://hook.example/");
        assert_eq!(check_url("http://127.0.0.1:9/a/b").unwrap(), "http://127.0.0.1:9/a/b");
        for bad in [
            "hook.example",
            "ftp://hook.example/",
            "https://",
            "https://s3cret@h.example/",
            "https://h.example/?s3cret",
        ] {
            let error = check_url(bad).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn events_are_known_and_all_of_them_are_no_choice() {
        let of = |events: &[&str]| {
            let events = events.iter().map(|event| (*event).to_owned()).collect();
            check(WebhookSettings { events, secret_file: None })
        };
        assert_eq!(of(&["yanked", "added", "yanked"]).unwrap().events, ["added", "yanked"]);
        assert!(of(&EVENTS).unwrap().events.is_empty());
        assert!(of(&["pushed"]).unwrap_err().to_string().contains("added, removed, replaced, yanked"));
    }
}
