//! `wcas reserve`, `wcas unreserve`, `wcas block`, `wcas unblock`: whose names are, and what must not come back

use super::app::App;
use super::print::{dash, text};
use super::{End, miss, print};
use serde::Serialize;
use wcas::catalog::search::Filter;
use wcas::error::Result;
use wcas::manifest::{BlockRow, Reservation};
use wcas::name::CollectionName;
use wcas::requirement::{ProjectPattern, Spec};
use wcas::{Error, ops};

/// Reserve names for a collection: strangers' remotes are not asked for them; without a pattern, list what is reserved
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas reserve 'acme-*' --collection shared --reason 'our own libraries'")]
pub(super) struct ReserveArgs {
    /// A project, or a part with '*' for the rest: acme-*
    patterns: Vec<ProjectPattern>,
    /// Whose they are
    #[arg(long, value_name = "C")]
    collection: Option<CollectionName>,
    /// Why, for people
    #[arg(long, value_name = "TEXT", requires = "patterns")]
    reason: Option<String>,
}

/// Let reserved names go
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas unreserve 'acme-*' --collection shared")]
pub(super) struct UnreserveArgs {
    /// The patterns, as they were reserved
    #[arg(required = true)]
    patterns: Vec<ProjectPattern>,
    /// Whose they are
    #[arg(long, value_name = "C")]
    collection: CollectionName,
}

/// Keep versions or files from coming back: they are neither taken nor offered; `block list` lists them
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas block torch==2.5.1 --reason 'CVE-2026-1234'\n\
                        Nothing is deleted: `wcas unblock` lets it be as it was.")]
pub(super) struct BlockArgs {
    /// `torch==2.5.1`, `torch<2.5`, a filename, a digest; or the word list
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<Spec>,
    /// Only in this collection [default: all, those to come too]
    #[arg(long, value_name = "C")]
    collection: Option<CollectionName>,
    /// Why: whoever asks for it is told
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Let what is blocked come again
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas unblock torch==2.5.1")]
pub(super) struct UnblockArgs {
    /// As it was blocked
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<Spec>,
    /// In this collection [default: what is blocked in all]
    #[arg(long, value_name = "C")]
    collection: Option<CollectionName>,
}

#[derive(Serialize)]
struct ReservationsDocument<'a> {
    reservations: &'a [Reservation],
}

#[derive(Serialize)]
struct BlocksDocument<'a> {
    blocks: &'a [BlockRow],
}

pub(super) fn reserve(app: &App, args: ReserveArgs) -> Result<End> {
    let store = app.open()?;
    let rows = match (&args.collection, args.patterns.as_slice()) {
        (collection, []) => ops::reserve::reservations(&store, collection.as_ref())?,
        (Some(collection), patterns) => {
            ops::reserve::reserve(&store, &app.context(), collection, patterns, args.reason.as_deref())?
        }
        (None, _) => return Err(Error::Refused("say whose they are: --collection C".to_owned())),
    };
    let row = |row: &Reservation| {
        [row.pattern.to_string(), row.collection.to_string(), dash(row.reason.clone().unwrap_or_default())]
    };
    let (document, heading) = (ReservationsDocument { reservations: &rows }, ["PROJECTS", "COLLECTION", "REASON"]);
    app.table("reserve", &document, heading, (rows.iter().map(row), "nothing is reserved"))?;
    Ok(End::Done)
}

pub(super) fn unreserve(app: &App, args: UnreserveArgs) -> Result<End> {
    ops::reserve::unreserve(&app.open()?, &args.collection, &args.patterns)?;
    app.report("unreserve", &ReservationsDocument { reservations: &[] }, |_| Ok(()))?;
    app.note(&format!("{} reserves {} no more", args.collection, print::count(args.patterns.len(), "pattern")));
    Ok(End::Done)
}

pub(super) fn block(app: &App, args: BlockArgs) -> Result<End> {
    let store = app.open()?;
    let is_list = args.reason.is_none() && matches!(args.specs.as_slice(), [only] if only.to_string() == "list");
    let rows = match &args.reason {
        _ if is_list => {
            let mut rows = ops::block::blocks(&store)?;
            rows.retain(|row| args.collection.is_none() || row.collection == args.collection);
            rows
        }
        Some(reason) => {
            let rows = ops::block::block(&store, &app.context(), &args.specs, args.collection.as_ref(), reason)?;
            let collections = args.collection.clone().map(Into::into).into_iter().collect();
            miss::tell_absent(app, &store, &Filter { collections, specs: args.specs, ..Filter::default() })?;
            rows
        }
        None => return Err(Error::Refused("say why: --reason TEXT; whoever asks for it is told".to_owned())),
    };
    let row = |row: &BlockRow| {
        let place = row.collection.as_ref().map_or("all".to_owned(), ToString::to_string);
        [row.spec.clone(), place, row.reason.clone(), print::time(row.blocked_at)]
    };
    let (document, heading) = (
        BlocksDocument { blocks: &rows },
        [text("BLOCKED"), text("COLLECTION"), text("REASON"), text("SINCE").least(1)],
    );
    app.table("block", &document, heading, (rows.iter().map(row), "nothing is blocked"))?;
    Ok(End::Done)
}

pub(super) fn unblock(app: &App, args: UnblockArgs) -> Result<End> {
    ops::block::unblock(&app.open()?, &app.context(), &args.specs, args.collection.as_ref())?;
    app.report("unblock", &BlocksDocument { blocks: &[] }, |_| Ok(()))?;
    Ok(End::Done)
}
