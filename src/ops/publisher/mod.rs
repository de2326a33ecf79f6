//! `publisher`: whose CI may upload without a secret that is kept anywhere. A CI proves who it is by a token of its issuer (OpenID
//! Connect), and exchanges that for one of ours, which lasts 15 minutes ([`mint()`]). Known as trusted publishing.
//!
//! Nothing is believed of a token but what a publisher says: who issued it, whom it is for, whose job it names. On a public CI anybody
//! gets tokens of the same issuer, so that a publisher without the name of an owner would let in everybody (`claims`).

mod claims;
mod issuers;
mod mint;

pub use issuers::Issuers;
pub(super) use mint::forget_ended;
pub use mint::{Denial, DenialKind, audience, burn, mint};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::manifest::{NamedCollection, PublisherRow, PublisherSettings, Rows, Transaction};
use crate::name::{CollectionName, PublisherName};
use crate::ops::token::place;
use crate::requirement::ProjectPattern;
use crate::store::Store;
use crate::token::Scope;
use crate::words::counted;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a publisher is to be.
#[derive(Debug, Clone)]
pub struct PublisherOptions {
    /// The collection or variant that it uploads to.
    pub collection: CollectionName,
    /// Where routes may lead its uploads beside that.
    pub into: Vec<CollectionName>,
    /// The rest.
    pub settings: PublisherSettings,
}

/// A publisher as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct PublisherReport {
    /// Its name.
    pub name: PublisherName,
    /// See [`PublisherSettings::issuer`].
    pub issuer: String,
    /// See [`PublisherSettings::audience`].
    pub audience: String,
    /// See [`PublisherSettings::claims`].
    pub claims: BTreeMap<String, String>,
    /// The collection or variant that it uploads to.
    pub collection: CollectionName,
    /// Where routes may lead its uploads beside that; what is there it never replaces.
    pub into: Vec<CollectionName>,
    /// See [`PublisherSettings::projects`].
    pub projects: Vec<ProjectPattern>,
    /// See [`PublisherSettings::scope`].
    pub scope: Scope,
    /// Whether it reads.
    pub reads: bool,
}

impl From<PublisherRow> for PublisherReport {
    fn from(row: PublisherRow) -> Self {
        let PublisherSettings { issuer, audience, claims, projects, scope, is_blind } = row.settings;
        Self {
            name: row.name,
            issuer,
            audience,
            claims,
            collection: row.collection_name,
            into: row.into.into_iter().map(|place| place.name).collect(),
            projects,
            scope,
            reads: !is_blind,
        }
    }
}

/// Lists all publishers.
pub fn publishers(store: &Store) -> Result<Vec<PublisherReport>> {
    Ok(store.manifest.read()?.publishers()?.into_iter().map(Into::into).collect())
}

/// Adds a publisher.
pub fn add_publisher(
    store: &Store,
    context: &Context<'_>,
    name: &PublisherName,
    options: &PublisherOptions,
) -> Result<PublisherReport> {
    store.require_writable()?;
    let options = PublisherOptions { settings: check(options.settings.clone())?, ..options.clone() };
    let transaction = store.manifest.write()?;
    if transaction.find_publisher(name)?.is_some() {
        let text = format!("the publisher {name} is there already; `wcas publisher remove {name}` takes it away");
        return Err(Error::Refused(text));
    }
    let others = transaction.publishers()?;
    refuse_other_audience(others.iter().map(|row| &row.settings), &options.settings)?;
    put(&transaction, context, name, &options)?;
    let report = publisher_row(&transaction, name)?.into();
    transaction.commit()?;
    Ok(report)
}

/// Removes a publisher, and ends the tokens that were made for it.
pub fn remove_publisher(store: &Store, context: &Context<'_>, name: &PublisherName) -> Result<PublisherReport> {
    store.require_writable()?;
    let transaction = store.manifest.write()?;
    let row = publisher_row(&transaction, name)?;
    transaction.delete_publisher(row.id, context.now)?;
    transaction.commit()?;
    Ok(row.into())
}

/// Writes a publisher whose settings were checked.
pub(super) fn put(
    transaction: &Transaction<'_>,
    context: &Context<'_>,
    name: &PublisherName,
    options: &PublisherOptions,
) -> Result<()> {
    let PublisherOptions { collection, into, settings } = options;
    let own = place(transaction, collection, context.now)?;
    let into = into.iter().filter(|name| *name != collection).map(|name| place(transaction, name, context.now));
    let into = into.collect::<Result<Vec<NamedCollection>>>()?;
    match transaction.find_publisher(name)? {
        Some(row) => transaction.update_publisher(row.id, own.id, &into, settings, context.now)?,
        None => transaction.insert_publisher(name, own.id, &into, settings)?,
    }
    Ok(())
}

/// Refuses a second audience: clients ask a server for its audience before they have anything else to say.
pub(super) fn refuse_other_audience<'a>(
    others: impl IntoIterator<Item = &'a PublisherSettings>,
    settings: &PublisherSettings,
) -> Result<()> {
    match others.into_iter().find(|other| other.audience != settings.audience) {
        Some(PublisherSettings { audience, .. }) => Err(Error::Refused(format!(
            "clients are told one audience, and other publishers have {audience:?}: say --audience {audience}, or change all of them \
             in one document (`wcas config apply`)"
        ))),
        None => Ok(()),
    }
}

fn publisher_row(rows: &Rows, name: &PublisherName) -> Result<PublisherRow> {
    if let Some(row) = rows.find_publisher(name)? {
        return Ok(row);
    }
    let known: Vec<String> = rows.publishers()?.into_iter().map(|row| row.name.to_string()).collect();
    let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
    Err(Error::NoSuch(format!("publisher {name}; the publishers are: {known}")))
}

/// The longest audience or claim, in characters.
const MAX_TEXT: usize = 1024;
/// The most claims.
const MAX_CLAIMS: usize = 32;

/// Checks what people say of a publisher, and brings it into the form that is stored.
pub(super) fn check(mut settings: PublisherSettings) -> Result<PublisherSettings> {
    issuers::check(&settings.issuer)?;
    let is_text =
        |text: &str| !text.is_empty() && text.chars().count() <= MAX_TEXT && !text.chars().any(char::is_control);
    if !is_text(&settings.audience) {
        return Err(Error::Refused("an audience is a text that the CI writes into its tokens: say wcas".to_owned()));
    }
    if settings.scope == Scope::Read {
        return Err(Error::Refused("a publisher uploads: its scope is upload, or admin".to_owned()));
    }
    if settings.claims.len() > MAX_CLAIMS {
        return Err(Error::Refused(format!("more than {}", counted(MAX_CLAIMS, "claim"))));
    }
    if let Some(name) = settings.claims.iter().find(|(name, value)| !is_text(name) || !is_text(value)) {
        return Err(Error::Refused(format!("the claim {:?} is no text of 1 to {MAX_TEXT} characters", name.0)));
    }
    claims::check(&settings.claims)?;
    settings.projects.sort_unstable();
    settings.projects.dedup();
    Ok(settings)
}
