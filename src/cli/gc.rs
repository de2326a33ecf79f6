//! `wcas gc`

use super::app::App;
use super::print::Lines;
use super::{End, print, units};
use std::time::Duration;
use wcas::error::Result;
use wcas::manifest::Retention;
use wcas::name::CollectionName;
use wcas::ops;
use wcas::ops::gc::GcOptions;

/// Apply the collections' rules and delete what nothing refers to
///
/// Without rules here, each collection's own count (`wcas collection set`). Pins win. What a rule drops can be brought back by
/// `wcas undo` until the grace has passed. Safe beside running imports, views, verifies and servers, and on a full disk.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: wcas gc --quiet --max-duration 30min\n\
                        For cron: 30 3 * * * wcas gc --quiet --max-duration 30min")]
pub(super) struct Args {
    /// Change nothing, tell what would go
    #[arg(long)]
    dry_run: bool,
    /// How long what was dropped stays
    #[arg(long, value_name = "TIME", value_parser = units::seconds, default_value = "48h")]
    grace: i64,
    /// Keep the N highest builds of each project, version, tags and build suffix
    #[arg(long, value_name = "N", value_parser = units::whole::<u32>)]
    keep_builds: Option<u32>,
    /// Keep the N highest versions of each project (counted apart by tags and by the name of a local part such as +cu or +rocm)
    #[arg(long, value_name = "N", value_parser = units::whole::<u32>)]
    keep_versions: Option<u32>,
    /// Drop what no lookup gave in this time
    #[arg(long, value_name = "TIME", value_parser = units::seconds)]
    unused_for: Option<i64>,
    /// Drop the least recently used until the rest of the store has at most this size
    #[arg(long, value_name = "BYTES", value_parser = units::bytes)]
    max_bytes: Option<u64>,
    /// On a node: keep at most this size here of what the share has, too; what was used or came within a day stays
    #[arg(long, value_name = "BYTES", value_parser = units::bytes)]
    cache_size: Option<u64>,
    /// Apply rules to this collection only; may be given several times
    #[arg(long, value_name = "C", value_delimiter = ',')]
    collection: Vec<CollectionName>,
    /// Stop after this time; the next run goes on
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    max_duration: Option<Duration>,
}

pub(super) fn run(app: &App, args: Args) -> Result<End> {
    let store = if args.dry_run { app.open_to_rehearse()? } else { app.open_to_free_room()? };
    let options = GcOptions {
        dry_run: args.dry_run,
        grace: args.grace,
        rules: Retention {
            keep_builds: args.keep_builds,
            keep_versions: args.keep_versions,
            unused_for: args.unused_for,
            max_bytes: args.max_bytes,
        },
        collections: args.collection,
        cache_size: args.cache_size,
        max_duration: args.max_duration,
    };
    let report = ops::gc::gc(&store, &app.context(), &options)?;
    let text = |out: &mut Lines<'_>| {
        for removed in &report.references {
            writeln!(out, "{}: {}: {}", removed.collection, removed.filename, removed.reason)?;
        }
        let (references, blobs) =
            (print::count(report.references.len(), "reference"), print::count(report.blobs, "blob"));
        let verbs = if report.dry_run { ("would drop", "would delete") } else { ("dropped", "deleted") };
        let (freed, cost) = (print::size(report.freed_bytes), app.cost(None));
        writeln!(out, "{} {references}, {} {blobs}, {freed} freed{cost}", verbs.0, verbs.1)?;
        for kept in &report.kept {
            let (files, bytes) =
                (print::count(usize::try_from(kept.files).unwrap_or(usize::MAX), "file"), print::size(kept.bytes));
            let advice = match kept.kind.as_str() {
                "tree" => "`wcas view --to` shows a newer revision there, `--remove` lets go",
                _ => "`wcas collection snapshot C NAME --delete` lets go",
            };
            writeln!(
                out,
                "{} {} keeps {files} that collections have dropped, {bytes}: {advice}",
                kept.kind, kept.name
            )?;
        }
        if report.evicted > 0 {
            let (files, bytes) = (print::count(report.evicted, "file"), print::size(report.evicted_bytes));
            writeln!(out, "{files} that the share has went from here, {bytes}")?;
        }
        if report.swept > 0 {
            writeln!(out, "{} went from the share", print::count(report.swept, "object"))?;
        }
        if report.held_bytes > 0 {
            writeln!(out, "{} more are held by hard links outside the store", print::size(report.held_bytes))?;
        }
        Ok(())
    };
    // A dry run is asked for its answer.
    if report.dry_run {
        app.report("gc", &report, text)?
    } else {
        app.done("gc", &report, text)?
    }
    if report.is_unfinished {
        app.note("the time was over; the next run goes on");
    }
    for problem in &report.problems {
        app.warn(problem);
    }
    Ok(if report.problems.is_empty() { End::Done } else { End::Problems })
}
