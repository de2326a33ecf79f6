//! `wcas token`

use super::app::App;
use super::{End, print, units};
use clap::Subcommand;
use serde::Serialize;
use wcas::error::{Error, Result};
use wcas::name::CollectionName;
use wcas::ops::{self, TokenOptions, TokenReport};
use wcas::token::{Scope, Secret};

/// Create, list and revoke tokens for the server
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas token create --collection cuda --scope upload --expires 90d")]
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
        /// What it allows: read; upload, too; admin: replace what is there, too
        #[arg(long, value_name = "SCOPE")]
        scope: Scope,
        /// When it ends [default: when it is revoked]
        #[arg(long, value_name = "TIME", value_parser = units::seconds)]
        expires: Option<i64>,
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
        Command::Create { collection, all: _, scope, expires, name } => {
            let mut random = [0; 32];
            getrandom::fill(&mut random)
                .map_err(|error| Error::Refused(format!("the system gives no random numbers: {error}")))?;
            let secret = Secret::of(random);
            let place = collection.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
            let options = TokenOptions {
                name: name.unwrap_or_else(|| format!("{place}-{scope}-{}", &secret.digest().to_string()[..6])),
                collection,
                scope,
                expires_at: expires.map(|seconds| app.now.saturating_add(seconds)),
            };
            let token = ops::create_token(&store, &app.context(), &secret, &options)?;
            app.report("token", &Created { secret: secret.reveal(), token: &token }, |out| {
                writeln!(out, "{}", secret.reveal())
            })?;
            let until = token.expires_at.map_or_else(String::new, |end| format!(", until {}", print::time(end)));
            app.note(&format!("token {} ({}): {scope} of {place}{until}; it is not shown again", token.id, token.name));
        }
        Command::List => {
            let tokens = ops::tokens(&store, &app.context())?;
            app.report("tokens", &Tokens { tokens: &tokens }, |out| {
                let rows: Vec<[String; 7]> = tokens.iter().map(row).collect();
                print::table(out, ["ID", "NAME", "COLLECTION", "SCOPE", "CREATED", "USED", "STATE"], &rows)
            })?;
        }
        Command::Revoke { token } => {
            let token = ops::revoke_token(&store, &app.context(), &token)?;
            app.done("token", &token, |out| writeln!(out, "revoked token {} ({})", token.id, token.name))?;
        }
    }
    Ok(End::Done)
}

fn row(token: &TokenReport) -> [String; 7] {
    let state = match (token.is_live, token.revoked_at, token.expires_at) {
        (true, _, Some(end)) => format!("until {}", print::time(end)),
        (true, _, None) => "until revoked".to_owned(),
        (false, Some(at), _) => format!("revoked {}", print::time(at)),
        (false, None, _) => "ended".to_owned(),
    };
    let place = token.collection.as_ref().map_or_else(|| "(all)".to_owned(), ToString::to_string);
    let used = token.used_at.map_or_else(|| "-".to_owned(), print::time);
    let created = print::time(token.created_at);
    [token.id.to_string(), token.name.clone(), place, token.scope.to_string(), created, used, state]
}
