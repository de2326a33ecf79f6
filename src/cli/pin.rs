//! `wcas pin`, `wcas unpin`

use super::app::App;
use super::print::text;
use super::select::{Everywhere, Selection, Within};
use super::{End, miss, print, units};
use serde::Serialize;
use std::collections::HashSet;
use wcas::error::Result;
use wcas::ops;
use wcas::ops::pin::{PinReport, Pinned};
use wcas::requirement::Spec;

/// Keep blobs whatever the rules say; without a specification, list the pins
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas pin torch==2.5.1 --owner release --reason '24.11 image' --for 90d")]
pub(super) struct PinArgs {
    /// `torch==2.5.1`, a filename, a digest
    specs: Vec<Spec>,
    #[command(flatten)]
    within: Within,
    #[command(flatten)]
    everywhere: Everywhere,
    /// Who needs them
    #[arg(long, default_value = "admin")]
    owner: String,
    /// What for
    #[arg(long, default_value = "")]
    reason: String,
    /// For how long [default: until unpinned]
    #[arg(long = "for", value_name = "TIME", value_parser = units::seconds)]
    duration: Option<i64>,
}

/// Take pins off
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas unpin torch==2.5.1 --owner release")]
pub(super) struct UnpinArgs {
    #[command(flatten)]
    selection: Selection,
    /// Only this owner's [default: all]
    #[arg(long)]
    owner: Option<String>,
}

#[derive(Serialize)]
struct PinsDocument<'a> {
    pins: &'a [Pinned],
}

pub(super) fn pin(app: &App, args: PinArgs) -> Result<End> {
    let store = app.open()?;
    if args.specs.is_empty() {
        let pins = ops::pin::pins(&store)?;
        let rows = pins.iter().map(|pin| {
            let until = pin.expires_at.map_or_else(|| "-".to_owned(), print::time);
            [pin.owner.clone(), until, pin.reason.clone(), pin.filenames.join(", ")]
        });
        let heading = [text("OWNER"), text("UNTIL"), text("REASON").least(1), text("FILENAMES")];
        app.table("pin", &PinsDocument { pins: &pins }, heading, (rows, "nothing is pinned"))?;
        return Ok(End::Done);
    }
    let filter = args.within.filter_to_change(args.specs)?;
    // One blob is pinned once, wherever it is listed.
    let blobs: HashSet<_> = ops::list::list(&store, &filter)?.into_iter().map(|row| row.blake3).collect();
    if blobs.len() > 1 {
        args.everywhere.confirm(app, &store, &filter, "pin")?;
    }
    let expires_at = args.duration.map(|seconds| app.now.saturating_add(seconds));
    match ops::pin::pin(&store, &app.context(), &filter, &args.owner, &args.reason, expires_at) {
        Ok(report) => tell(app, "pin", &report),
        Err(error) => miss::beside(app, &store, &filter, error),
    }
}

pub(super) fn unpin(app: &App, args: UnpinArgs) -> Result<End> {
    let (store, filter) = (app.open()?, args.selection.filter_to_change()?);
    match ops::pin::unpin(&store, &filter, args.owner.as_deref()) {
        Ok(report) => tell(app, "unpin", &report),
        Err(error) => miss::beside(app, &store, &filter, error),
    }
}

fn tell(app: &App, command: &str, report: &PinReport) -> Result<End> {
    app.report(command, report, |out| report.filenames.iter().try_for_each(|filename| writeln!(out, "{filename}")))?;
    Ok(End::Done)
}
