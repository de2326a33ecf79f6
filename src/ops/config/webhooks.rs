//! A collection's webhook in the document, by its URL: the options of `webhook add`, as keys.

use crate::error::{Error, Result};
use crate::manifest::{WebhookRow, WebhookSettings};
use crate::ops::webhook;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct WebhookConfig {
    /// See [`WebhookSettings::secret_file`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<String>,
    /// See [`WebhookSettings::events`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

impl From<WebhookSettings> for WebhookConfig {
    fn from(WebhookSettings { secret_file, events }: WebhookSettings) -> Self {
        Self { secret_file, events }
    }
}

impl WebhookConfig {
    /// Returns the settings as a row has them.
    pub(super) fn settings(&self) -> WebhookSettings {
        WebhookSettings { secret_file: self.secret_file.clone(), events: self.events.clone() }
    }
}

/// Webhooks by URL.
pub(super) type Webhooks = BTreeMap<String, WebhookConfig>;

/// Returns a collection's webhooks, of all rows.
pub(super) fn of(rows: &[WebhookRow], collection: crate::manifest::CollectionId) -> Webhooks {
    let own = rows.iter().filter(|row| row.collection == collection);
    own.map(|row| (row.url.clone(), row.settings.clone().into())).collect()
}

/// Checks webhooks, and brings them into the form that is stored.
pub(super) fn checked(all: Webhooks) -> Result<Webhooks> {
    let mut checked = Webhooks::new();
    for (url, config) in all {
        let url = webhook::check_url(&url)?;
        let settings = webhook::check(config.settings())?;
        if checked.insert(url.clone(), settings.into()).is_some() {
            return Err(Error::Refused(format!("{url} is there twice")));
        }
    }
    Ok(checked)
}
