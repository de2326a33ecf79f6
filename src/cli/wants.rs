//! `wcas wants`

use super::app::App;
use super::print::{number, text};
use super::{End, print, units};
use serde::Serialize;
use wcas::error::Result;
use wcas::name::CollectionName;
use wcas::ops;
use wcas::ops::builder_index::WantReport;

/// List what builders asked the cache endpoint for in vain, for whoever schedules builds
#[derive(Debug, clap::Args)]
#[command(after_help = "What has come since is left out.\nExample: wcas wants --variant cuda --since 1d")]
pub(super) struct Args {
    /// Only what was asked of this collection or variant
    #[arg(long, value_name = "V")]
    variant: Option<CollectionName>,
    /// Only what was asked for in this time
    #[arg(long, value_name = "TIME", value_parser = units::seconds)]
    since: Option<i64>,
    /// Forget instead what was not asked for in this time (`0s`: all)
    #[arg(long, value_name = "TIME", value_parser = units::seconds, conflicts_with = "since")]
    forget: Option<i64>,
}

#[derive(Serialize)]
struct Document<'a> {
    wants: &'a [WantReport],
}

#[derive(Serialize)]
struct Forgotten {
    forgotten: u64,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let store = app.open()?;
    if let Some(age) = args.forget {
        // What was asked for in this very second is older than nothing.
        let before = if age == 0 { i64::MAX } else { app.now.saturating_sub(age) };
        let forgotten = ops::builder_index::forget_wanted(&store, args.variant.as_ref(), before)?;
        app.done("wants", &Forgotten { forgotten }, |out| {
            writeln!(out, "forgot {}", print::count(forgotten as usize, "project"))
        })?;
        return Ok(End::Done);
    }
    let mut wants = ops::builder_index::wanted(&store, &app.context(), args.variant.as_ref(), usize::MAX)?;
    if let Some(age) = args.since {
        wants.retain(|want| want.last_at >= app.now.saturating_sub(age));
    }
    let rows = wants.iter().map(|want| {
        let (project, variant) = (want.project.to_string(), want.variant.to_string());
        [project, variant, want.count.to_string(), print::time(want.first_at), print::time(want.last_at)]
    });
    let heading = [text("PROJECT"), text("VARIANT"), number("TIMES"), text("FIRST").least(1), text("LAST")];
    app.table("wants", &Document { wants: &wants }, heading, (rows, "no builder asked in vain"))?;
    Ok(End::Done)
}
