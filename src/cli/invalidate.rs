//! `wcas invalidate`, `wcas undo`, `wcas yank`, `wcas unyank`

use super::app::App;
use super::select::{Everywhere, Selection, Within};
use super::{End, miss, print, units};
use serde::Serialize;
use wcas::catalog::search::Filter;
use wcas::error::Result;
use wcas::ops::invalidate::{InvalidateOptions, RemovedEntry};
use wcas::requirement::Spec;
use wcas::{Error, ops};

/// Drop distributions from collections; `undo` brings them back until gc has taken them
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas invalidate 'torch<2.5' --collection cuda --dry-run")]
pub(super) struct InvalidateArgs {
    /// `torch`, `torch==2.5.1`, a filename, a digest
    #[arg(required_unless_present = "all")]
    specs: Vec<Spec>,
    #[command(flatten)]
    within: Within,
    #[command(flatten)]
    everywhere: Everywhere,
    /// Drop all there is (in the collections named); asks first
    #[arg(long, conflicts_with = "specs")]
    all: bool,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    /// Change nothing, tell what would go
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn invalidate(app: &App, args: InvalidateArgs) -> Result<End> {
    let store = app.open_or_rehearse(args.dry_run)?;
    let filter = args.within.filter_to_change(args.specs)?;
    if args.all && !args.yes && !args.dry_run {
        let mut count = 0;
        ops::list::each_listed(&store, &filter, &mut |_| {
            count += 1;
            Ok(())
        })?;
        if !app.confirm(&format!("drop {}?", print::count(count, "distribution"))) {
            return Err(Error::Refused("--all was not confirmed; say --yes where there is no terminal".to_owned()));
        }
    }
    if !args.all && !args.dry_run {
        args.everywhere.confirm(app, &store, &filter, "drop")?;
    }
    let options = InvalidateOptions { filter, all: args.all, dry_run: args.dry_run };
    let report = match ops::invalidate::invalidate(&store, &app.context(), &options) {
        Ok(report) => report,
        Err(error) => return miss::beside(app, &store, &options.filter, error),
    };
    app.done("invalidate", &report, |out| {
        for removed in &report.removed {
            writeln!(out, "{}: {}", removed.collection, removed.filename)?;
        }
        Ok(())
    })?;
    let count = print::count(report.removed.len(), "distribution");
    match report.operation {
        Some(operation) => {
            app.note(&format!("dropped {count}; `wcas undo {operation}` brings them back until gc has run"))
        }
        None if report.dry_run => app.note(&format!("would drop {count}")),
        None => app.note("there was nothing to drop"),
    }
    Ok(End::Done)
}

/// Take back what one operation did to collections: what it dropped comes back, what it brought goes
///
/// Without a number that is the last `invalidate`, or what gc's rules dropped last. With one, as `collection log` tells it, it may be any
/// that changed files: an import, upload, pull, copy, promotion, rollback, yank, or an undo. What was changed again since stays as it is
/// and is told. Settings, pins and a deleted collection have no such number.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas undo 12")]
pub(super) struct UndoArgs {
    /// The operation, as `invalidate` and `collection log` tell it [default: the last one]
    #[arg(value_parser = operation)]
    operation: Option<i64>,
}

fn operation(text: &str) -> std::result::Result<i64, String> {
    units::positive(text)
        .map_err(|_: String| "write an operation's number, as `invalidate` and `collection log` tell it".to_owned())
}

pub(super) fn undo(app: &App, args: UndoArgs) -> Result<End> {
    let report = ops::invalidate::undo(&app.open()?, &app.context(), args.operation)?;
    app.done("undo", &report, |out| {
        for restored in &report.restored {
            writeln!(out, "{}: {}", restored.collection, restored.filename)?;
        }
        for removed in &report.removed {
            writeln!(out, "{}: {}  (removed)", removed.collection, removed.filename)?;
        }
        Ok(())
    })?;
    let count = print::count(report.restored.len(), "distribution");
    let gone = if report.removed.is_empty() { String::new() } else { format!(", {} removed", report.removed.len()) };
    app.note(&format!("undid operation {} ({}): {count} back{gone}", report.operation, report.what));
    for (entry, why) in &report.refused {
        app.warn(&format!("{}: {}: {why}", entry.collection, entry.filename));
    }
    Ok(if report.refused.is_empty() { End::Done } else { End::Problems })
}

/// Mark distributions as yanked (PEP 592): installers take them only by exact version
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas yank torch==2.5.1 --collection cuda --reason 'wrong ABI'")]
pub(super) struct YankArgs {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    everywhere: Everywhere,
    /// Why, for those who meet it
    #[arg(long, default_value = "")]
    reason: String,
}

/// Take the yanked mark away
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas unyank torch==2.5.1 --collection cuda")]
pub(super) struct UnyankArgs {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    everywhere: Everywhere,
}

pub(super) fn yank(app: &App, args: YankArgs) -> Result<End> {
    mark(app, "yank", &args.selection.filter_to_change()?, args.everywhere, Some(&args.reason))
}

pub(super) fn unyank(app: &App, args: UnyankArgs) -> Result<End> {
    mark(app, "unyank", &args.selection.filter_to_change()?, args.everywhere, None)
}

#[derive(Serialize)]
struct YankDocument<'a> {
    changed: &'a [RemovedEntry],
}

fn mark(app: &App, command: &str, filter: &Filter, everywhere: Everywhere, reason: Option<&str>) -> Result<End> {
    let store = app.open()?;
    everywhere.confirm(app, &store, filter, command)?;
    let changed = match ops::invalidate::yank(&store, &app.context(), filter, reason) {
        Ok(changed) => changed,
        Err(error) => return miss::beside(app, &store, filter, error),
    };
    app.done(command, &YankDocument { changed: &changed }, |out| {
        for entry in &changed {
            writeln!(out, "{}: {}", entry.collection, entry.filename)?;
        }
        Ok(())
    })?;
    app.note(&format!("{} changed", print::count(changed.len(), "distribution")));
    Ok(End::Done)
}
