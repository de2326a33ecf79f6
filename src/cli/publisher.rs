//! `wcas publisher`

use super::End;
use super::app::App;
use clap::Subcommand;
use serde::Serialize;
use std::collections::BTreeMap;
use wcas::error::Result;
use wcas::manifest::PublisherSettings;
use wcas::name::{CollectionName, PublisherName};
use wcas::ops::publisher::{PublisherOptions, PublisherReport};
use wcas::requirement::ProjectPattern;
use wcas::token::Scope;
use wcas::{Error, ops};

/// Say whose CI may upload without a secret that is kept: it exchanges its own token for one that lasts 15 minutes
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas publisher add release --issuer https://ci.example --audience wcas \
                  --claim repository=acme/tools --collection released --project 'acme-*'")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a publisher
    Add {
        /// Its name
        name: PublisherName,
        /// Who issues the CI's tokens: the URL that they name (iss), https://…
        #[arg(long, value_name = "URL")]
        issuer: String,
        /// Whom the tokens must be for (aud), and for no other; clients are told it
        #[arg(long, value_name = "AUD")]
        audience: String,
        /// What they must say: a claim and its value, which may end in `*`; may be given more than once. One must name an owner, such
        /// as repository=OWNER/NAME
        #[arg(long = "claim", value_name = "KEY=VALUE", value_parser = claim)]
        claims: Vec<(String, String)>,
        /// The collection or variant that it uploads to
        #[arg(long, value_name = "C")]
        collection: CollectionName,
        /// Its uploads may be routed into this collection, too, where they never replace anything; may be given more than once
        #[arg(long, value_name = "C", value_delimiter = ',')]
        into: Vec<CollectionName>,
        /// It uploads these projects only, such as torch or acme-*; may be given more than once
        #[arg(long = "project", value_name = "PATTERN", value_delimiter = ',')]
        projects: Vec<ProjectPattern>,
        /// What its tokens allow: upload; admin: replace what is there, too
        #[arg(long, value_name = "SCOPE", default_value = "upload")]
        scope: Scope,
        /// Its tokens may read the collection, too
        #[arg(long)]
        read: bool,
    },
    /// List publishers
    List,
    /// Remove a publisher, and end its tokens at once
    Remove {
        /// The publisher
        name: PublisherName,
    },
}

fn claim(text: &str) -> std::result::Result<(String, String), String> {
    let claim = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    let (name, value) = claim.ok_or("a claim is KEY=VALUE, such as repository=acme/tools")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Serialize)]
struct Publishers<'a> {
    publishers: &'a [PublisherReport],
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    match args.command {
        Command::Add { name, issuer, audience, claims: given, collection, into, projects, scope, read } => {
            let mut claims = BTreeMap::new();
            for (key, value) in given {
                if claims.insert(key.clone(), value).is_some() {
                    return Err(Error::Refused(format!("the claim {key} has two values: add two publishers")));
                }
            }
            let settings = PublisherSettings { issuer, audience, claims, projects, scope, is_blind: !read };
            let options = PublisherOptions { collection, into, settings };
            let report = ops::publisher::add_publisher(&app.open()?, &app.context(), &name, &options)?;
            app.report("publisher-add", &report, |out| {
                writeln!(out, "{name}: {} of {} may {}", claims_of(&report), report.issuer, does(&report))
            })?;
        }
        Command::List => {
            let publishers = ops::publisher::publishers(&app.open()?)?;
            let (document, heading) =
                (Publishers { publishers: &publishers }, ["PUBLISHER", "ISSUER", "AUDIENCE", "CLAIMS", "MAY"]);
            let rows = publishers.iter().map(row);
            app.table("publisher-list", &document, heading, (rows, "there are no publishers"))?;
        }
        Command::Remove { name } => {
            let report = ops::publisher::remove_publisher(&app.open()?, &app.context(), &name)?;
            app.report("publisher-remove", &report, |_| Ok(()))?;
            app.note(&format!("{name} uploads to {} no longer; its tokens have ended", report.collection));
        }
    }
    Ok(End::Done)
}

fn row(report: &PublisherReport) -> [String; 5] {
    let PublisherReport { name, issuer, audience, .. } = report;
    [name.to_string(), issuer.clone(), audience.clone(), claims_of(report), does(report)]
}

fn claims_of(report: &PublisherReport) -> String {
    report.claims.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// What a publisher's tokens allow, and where.
fn does(report: &PublisherReport) -> String {
    let texts = |word: &str, items: Vec<String>| {
        if items.is_empty() { String::new() } else { format!("{word} {}", items.join(", ")) }
    };
    let projects = texts(" of", report.projects.iter().map(ToString::to_string).collect());
    let into = texts(", into", report.into.iter().map(ToString::to_string).collect());
    let scope = if report.scope == Scope::Admin { "upload and replace" } else { "upload" };
    let read = if report.reads { ", and read it" } else { "" };
    format!("{scope}{projects} to {}{into}{read}", report.collection)
}
