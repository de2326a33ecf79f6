//! A publisher in the document: the options of `publisher add`, as keys.

use super::document::is_default;
use crate::error::Result;
use crate::manifest::{PublisherRow, PublisherSettings};
use crate::name::CollectionName;
use crate::ops::publisher::{self, PublisherOptions};
use crate::requirement::ProjectPattern;
use crate::token::Scope;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A publisher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PublisherConfig {
    /// See [`PublisherSettings::issuer`].
    pub issuer: String,
    /// See [`PublisherSettings::audience`].
    pub audience: String,
    /// The collection or variant that it uploads to.
    pub collection: CollectionName,
    /// Where routes may lead its uploads beside that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub into: Vec<CollectionName>,
    /// See [`PublisherSettings::projects`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects: Vec<ProjectPattern>,
    /// See [`PublisherSettings::scope`].
    #[serde(default = "upload", skip_serializing_if = "is_upload")]
    pub scope: Scope,
    /// Whether its tokens read, too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub read: bool,
    /// See [`PublisherSettings::claims`].
    pub claims: BTreeMap<String, String>,
}

fn upload() -> Scope {
    Scope::Upload
}

fn is_upload(scope: &Scope) -> bool {
    *scope == Scope::Upload
}

impl From<PublisherRow> for PublisherConfig {
    fn from(row: PublisherRow) -> Self {
        let into = row.into.into_iter().map(|place| place.name).collect();
        Self::new(PublisherOptions { collection: row.collection_name, into, settings: row.settings })
    }
}

impl PublisherConfig {
    fn new(options: PublisherOptions) -> Self {
        let PublisherOptions { collection, mut into, settings } = options;
        into.retain(|name| *name != collection);
        into.sort_unstable();
        into.dedup();
        let PublisherSettings { issuer, audience, claims, projects, scope, is_blind } = settings;
        Self { issuer, audience, collection, into, projects, scope, read: !is_blind, claims }
    }

    /// Returns the settings as a row has them.
    pub(super) fn options(&self) -> PublisherOptions {
        let all = self.clone();
        let (claims, projects, scope) = (all.claims, all.projects, all.scope);
        let (issuer, audience, is_blind) = (all.issuer, all.audience, !all.read);
        let settings = PublisherSettings { issuer, audience, claims, projects, scope, is_blind };
        PublisherOptions { collection: all.collection, into: all.into, settings }
    }

    /// Checks what it says, and brings it into the form that is stored.
    pub(super) fn checked(&self) -> Result<Self> {
        let options = self.options();
        Ok(Self::new(PublisherOptions { settings: publisher::check(options.settings)?, ..options }))
    }
}
