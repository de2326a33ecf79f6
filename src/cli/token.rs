//! `wcas token`

use super::app::App;
use super::print::{number, text};
use super::{End, print, units};
use clap::Subcommand;
use serde::Serialize;
use wcas::error::{Error, Result};
use wcas::name::CollectionName;
use wcas::ops;
use wcas::ops::token::{TokenOptions, TokenReport};
use wcas::requirement::ProjectPattern;
use wcas::token::{Scope, Secret};

/// So long a token lasts that wasn't told otherwise: as long as people remember whom they gave it, and no longer.
const DEFAULT_SECONDS: i64 = 90 * 86_400;

/// Create, list and revoke tokens for the server
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas token create --collection cuda --scope upload --into shared --expires 30d")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a token and print its secret, which is shown this once
    Create {
        /// The collection or variant that it is for
        #[arg(long, value_name = "C", required_unless_present = "all", conflicts_with = "all")]
        collection: Option<CollectionName>,
        /// It is for all collections and variants
        #[arg(long)]
        all: bool,
        /// What it allows: read; upload, too; admin: replace what is there, and act on the pages of `serve --actions`, too
        #[arg(long, value_name = "SCOPE")]
        scope: Scope,
        /// Its uploads may be routed into this collection, too, where they never replace anything; may be given more than once
        #[arg(long, value_name = "C", conflicts_with = "all", value_delimiter = ',')]
        into: Vec<CollectionName>,
        /// It uploads these projects only, such as torch or acme-*; may be given more than once
        #[arg(long = "project", value_name = "PATTERN", value_delimiter = ',')]
        projects: Vec<ProjectPattern>,
        /// It uploads, and reads nothing
        #[arg(long)]
        no_read: bool,
        /// When it ends: after a time such as 30d, or at a date such as 2031-12-31 (UTC) [default: 90d]
        #[arg(long, value_name = "TIME|DATE", value_parser = expiry)]
        expires: Option<Expiry>,
        /// It ends only when it is revoked
        #[arg(long, conflicts_with = "expires")]
        forever: bool,
        /// Its name [default: what it is for]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// List tokens, without their secrets
    List,
    /// End a token at once
    Revoke {
        /// Its number or name
        token: String,
    },
}

/// When a token ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    /// In so many seconds.
    In(i64),
    /// At this moment, in seconds since 1970.
    At(i64),
}

impl Expiry {
    fn at(self, now: i64) -> i64 {
        match self {
            Self::In(seconds) => now.saturating_add(seconds),
            Self::At(moment) => moment,
        }
    }
}

/// Reads `30d`, `2031-12-31` or `2031-12-31T18:00:00Z`.
fn expiry(text: &str) -> std::result::Result<Expiry, String> {
    if let Some(moment) = units::moment(text) {
        return Ok(Expiry::At(moment));
    }
    units::seconds(text).map(Expiry::In).map_err(|error| format!("{error}, or a date such as 2031-12-31"))
}

#[derive(Serialize)]
struct Created<'a> {
    secret: &'a str,
    #[serde(flatten)]
    token: &'a TokenReport,
}

#[derive(Serialize)]
struct Tokens<'a> {
    tokens: &'a [TokenReport],
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let store = app.open()?;
    match args.command {
        Command::Create { collection, all: _, scope, into, projects, no_read, expires, forever, name } => {
            let secret = Secret::of(random()?);
            let place = collection.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
            let options = TokenOptions {
                name: name.unwrap_or_else(|| format!("{place}-{scope}-{}", &secret.digest().to_string()[..6])),
                collection,
                into,
                projects,
                scope,
                is_blind: no_read,
                expires_at: (!forever).then(|| expires.unwrap_or(Expiry::In(DEFAULT_SECONDS)).at(app.now)),
            };
            let token = ops::token::create_token(&store, &app.context(), &secret, &options)?;
            let created = Created { secret: secret.reveal(), token: &token };
            let told = app.report_to_somebody("token", &created, secret.reveal());
            if let Err(error) = told {
                // Nobody knows the secret, or nobody should.
                ops::token::revoke_token(&store, &app.context(), &token.id.to_string())?;
                app.warn(&format!("token {} ({}) could not be told to anybody, and is revoked", token.id, token.name));
                return Err(error);
            }
            let until = token
                .expires_at
                .map_or_else(|| "until it is revoked".to_owned(), |end| format!("until {}", print::date(end)));
            let (id, name, does, place) = (token.id, &token.name, does(&token), places(&token));
            app.note(&format!("token {id} ({name}): {does} {place}, {until}; it is not shown again"));
        }
        Command::List => {
            let tokens = ops::token::tokens(&store, &app.context())?;
            let heading = [
                number("ID"),
                text("NAME"),
                text("COLLECTION"),
                text("MAY"),
                text("CREATED").least(2),
                text("USED").least(1),
                text("STATE"),
            ];
            app.table("tokens", &Tokens { tokens: &tokens }, heading, (tokens.iter().map(row), "there are no tokens"))?;
        }
        Command::Revoke { token } => {
            let token = ops::token::revoke_token(&store, &app.context(), &token)?;
            app.done("token", &token, |out| writeln!(out, "revoked token {} ({})", token.id, token.name))?;
        }
    }
    Ok(End::Done)
}

/// Returns random bytes of the system.
pub(super) fn random() -> Result<[u8; 32]> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Error::Refused(format!("the system gives no random numbers: {error}")))?;
    Ok(random)
}

fn row(token: &TokenReport) -> [String; 7] {
    let state = match (token.is_live, token.revoked_at, token.expires_at) {
        (true, _, Some(end)) => print::until(end),
        (true, _, None) => "until revoked".to_owned(),
        (false, Some(at), _) => format!("revoked {}", print::time(at)),
        (false, None, _) if token.is_orphaned => "ended with its collection".to_owned(),
        (false, None, Some(end)) => format!("expired {}", print::time(end)),
        (false, None, None) => "ended".to_owned(),
    };
    let from = token.used_from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
    let used = token.used_at.map_or_else(|| "-".to_owned(), |at| format!("{}{from}", print::time(at)));
    let created = print::time(token.created_at);
    [token.id.to_string(), token.name.clone(), places(token), does(token), created, used, state]
}

/// Where a token is good.
fn places(token: &TokenReport) -> String {
    let Some(own) = &token.collection else { return "(all)".to_owned() };
    let into: Vec<String> = token.into.iter().map(ToString::to_string).collect();
    if into.is_empty() { own.to_string() } else { format!("{own}, into {}", into.join(", ")) }
}

/// What a token allows.
fn does(token: &TokenReport) -> String {
    let blind = if token.reads { "" } else { ", no read" };
    let projects: Vec<String> = token.projects.iter().map(ToString::to_string).collect();
    let projects = if projects.is_empty() { String::new() } else { format!(" of {}", projects.join(", ")) };
    let publisher = token.publisher.as_ref().map(|name| format!(", for the publisher {name}"));
    let subject = token.subject.as_ref().map(|subject| format!(" ({subject})"));
    format!("{}{blind}{projects}{}{}", token.scope, publisher.unwrap_or_default(), subject.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_time_from_now_or_a_date() {
        assert_eq!(expiry("30d").unwrap().at(100), 100 + 30 * 86_400);
        assert_eq!(expiry("60").unwrap().at(100), 160);
        assert_eq!(expiry("1970-01-03").unwrap().at(100), 2 * 86_400);
        assert_eq!(expiry("1970-01-03T01:00:00Z").unwrap().at(100), 2 * 86_400 + 3600);
        assert_eq!(Expiry::In(i64::MAX).at(100), i64::MAX);
        for text in ["", "soon", "2031-13-01", "01-02-2031", "2031-1-1", "-5d"] {
            assert!(expiry(text).is_err(), "{text}");
        }
    }
}
